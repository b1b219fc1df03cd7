/* SPDX-License-Identifier: MIT
 *
 * trace_facts.c - files beside a recording (interface: trace_facts.h).
 *
 * Formats: /proc/slabinfo 2.1 (mm/slab_common.c print_slabinfo_header), /proc/zoneinfo (mm/vmstat.c zoneinfo_show_print), and the
 * slab sysfs files of SLUB joined into lines "cache/attribute:value".
 */
#include "sim/trace_facts.h"

#include "sim/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FACT_BYTES_MAX (16u << 20)
/* Kernels have some hundred caches; with one for each memory cgroup, before 5.9, some thousand. */
#define CACHES_MAX 8192u
#define LINE_MAX_BYTES 512u

static const char *const fact_names[] = {"zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo", "meminfo", "slub_sysfs"};

/* Suffixes that are no part of a recording's stem. */
static const char *const suffixes[] = {".gz", ".xz", ".zst", ".txt"};

static char *stem_of(const char *path)
{
	char *stem = xstrdup(path);
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		size_t length = strlen(stem), suffix = strlen(suffixes[i]);
		if (length > suffix && strcmp(stem + length - suffix, suffixes[i]) == 0)
			stem[length - suffix] = '\0';
	}
	return stem;
}

/* Reads a whole file; *text stays NULL if there is none. */
static bool read_file(const char *path, char **text, size_t *length, struct error *error)
{
	struct stat status;
	if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
		return true;
	FILE *file = fopen(path, "re");
	if (!file)
		return error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
	/* Files of /proc tell a length of 0, so the end decides. */
	size_t room = 1u << 16, used = 0;
	char *bytes = xcalloc(room + 1, 1);
	for (size_t got; (got = fread(bytes + used, 1, room - used, file)) > 0;) {
		used += got;
		if (used == room) {
			room *= 2;
			bytes = xrealloc(bytes, room + 1);
		}
		if (used > FACT_BYTES_MAX)
			break;
	}
	bool failed = ferror(file), large = used > FACT_BYTES_MAX;
	fclose(file);
	if (failed || large) {
		free(bytes);
		return error_set(error, ERROR_INPUT,
		                 failed ? "%s: reading failed" : "%s: larger than 16 MiB, no file of /proc is", path);
	}
	bytes[used] = '\0';
	*text = bytes;
	*length = used;
	return true;
}

static bool add_fact(struct trace_facts *facts, const char *name, char *path, bool *found, struct error *error)
{
	char *text = NULL;
	size_t length = 0;
	bool read = read_file(path, &text, &length, error);
	free(path);
	*found = text != NULL;
	if (!text)
		return read;
	facts->facts = xrealloc(facts->facts, (facts->count + 1) * sizeof *facts->facts);
	facts->facts[facts->count++] = (struct trace_fact){xstrdup(name), text, length};
	return true;
}

/* The places of one fact, the nearest to the recording first. */
static bool read_fact(struct trace_facts *facts, const char *folder, const char *stem, const char *name, struct error *error)
{
	bool found;
	char *after_name = xasprintf("%s.after", name);
	bool read = add_fact(facts, name, xasprintf("%s.%s", stem, name), &found, error);
	if (read && !found)
		read = add_fact(facts, name, xasprintf("%s/%s", folder, name), &found, error);
	if (read && !found)
		read = add_fact(facts, name, xasprintf("%s/before/%s", folder, name), &found, error);
	if (read)
		read = add_fact(facts, after_name, xasprintf("%s.%s.after", stem, name), &found, error);
	if (read && !found)
		read = add_fact(facts, after_name, xasprintf("%s/after/%s", folder, name), &found, error);
	free(after_name);
	return read;
}

bool trace_facts_read(struct trace_facts *facts, const char *path, struct error *error)
{
	*facts = (struct trace_facts){0};
	char *stem = stem_of(path);
	char *folder = path_open_folder(path);
	bool read = true;
	for (size_t i = 0; read && i < sizeof fact_names / sizeof fact_names[0]; i++)
		read = read_fact(facts, folder, stem, fact_names[i], error);
	free(stem);
	free(folder);
	if (!read)
		trace_facts_release(facts);
	return read;
}

void trace_facts_release(struct trace_facts *facts)
{
	for (uint32_t i = 0; i < facts->count; i++) {
		free((void *)(uintptr_t)facts->facts[i].name);
		free((void *)(uintptr_t)facts->facts[i].text);
	}
	free(facts->facts);
	*facts = (struct trace_facts){0};
}

static const struct trace_fact *find_fact(const struct trace_facts *facts, const char *name)
{
	for (uint32_t i = 0; i < facts->count; i++)
		if (strcmp(facts->facts[i].name, name) == 0)
			return &facts->facts[i];
	return NULL;
}

static struct fact_cache *find_cache(const struct fact_caches *caches, const char *name, size_t length)
{
	for (uint32_t i = 0; i < caches->count; i++)
		if (strlen(caches->caches[i].name) == length && memcmp(caches->caches[i].name, name, length) == 0)
			return &caches->caches[i];
	return NULL;
}

/* Finds or adds; NULL for a name that no kernel has. */
static struct fact_cache *cache_of_name(struct fact_caches *caches, const char *name, size_t length)
{
	struct fact_cache *cache = find_cache(caches, name, length);
	if (cache || length == 0 || length >= sizeof cache->name || caches->count == CACHES_MAX)
		return cache;
	if (caches->count == caches->room) {
		caches->room = 2 * caches->room + 64;
		caches->caches = xrealloc(caches->caches, caches->room * sizeof *caches->caches);
	}
	cache = &caches->caches[caches->count++];
	*cache = (struct fact_cache){0};
	memcpy(cache->name, name, length);
	return cache;
}

/* The next line of *text, without its newline; false at the end. */
static bool next_line(const char **text, const char **line, size_t *length)
{
	if (**text == '\0')
		return false;
	*line = *text;
	*length = strcspn(*text, "\n");
	*text += *length + ((*text)[*length] == '\n');
	return true;
}

/* A line as a text of its own, so that no reading runs beyond it. false: longer than any line of interest. */
static bool copy_line(char text[LINE_MAX_BYTES], const char *line, size_t length)
{
	if (length >= LINE_MAX_BYTES)
		return false;
	memcpy(text, line, length);
	text[length] = '\0';
	return true;
}

/* Reads a number that fits 32 bits; 0 for anything else. */
static uint32_t small_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	return end == text || value > UINT32_MAX || *text == '-' ? 0 : (uint32_t)value;
}

/* "filp/align:64" */
static void read_sysfs_line(struct fact_caches *caches, const char *line, size_t length)
{
	const char *slash = memchr(line, '/', length);
	const char *colon = slash ? memchr(slash, ':', (size_t)(line + length - slash)) : NULL;
	struct fact_cache *cache = colon ? cache_of_name(caches, line, (size_t)(slash - line)) : NULL;
	if (!cache)
		return;
	size_t key_length = (size_t)(colon - slash - 1);
	const struct {
		const char *key;
		uint32_t *number;
		bool *flag;
	} attributes[] = {{"object_size", &cache->object_size, NULL},         {"slab_size", &cache->size, NULL},
	                  {"align", &cache->align, &cache->from_sysfs},       {"hwcache_align", NULL, &cache->hwcache_align},
	                  {"reclaim_account", NULL, &cache->reclaim_account}, {"cache_dma", NULL, &cache->cache_dma}};
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
		if (strlen(attributes[i].key) != key_length || memcmp(attributes[i].key, slash + 1, key_length) != 0)
			continue;
		uint32_t value = small_number(colon + 1);
		if (attributes[i].number)
			*attributes[i].number = value;
		if (attributes[i].flag)
			*attributes[i].flag = *attributes[i].flag || value != 0;
	}
	if (key_length == 4 && memcmp(slash + 1, "ctor", 4) == 0)
		cache->ctor = colon + 1 < line + length;
}

/* "name <active_objs> <num_objs> <objsize> ..." */
static void read_slabinfo_line(struct fact_caches *caches, const char *line, size_t length)
{
	char text[LINE_MAX_BYTES];
	unsigned active, total, size;
	char name[128];
	if (length == 0 || *line == '#' || strncmp(line, "slabinfo", 8) == 0 || !copy_line(text, line, length))
		return;
	if (sscanf(text, "%127s %u %u %u", name, &active, &total, &size) != 4)
		return;
	struct fact_cache *cache = cache_of_name(caches, name, strlen(name));
	if (cache && !cache->from_sysfs)
		cache->size = size;
}

static void read_lines(struct fact_caches *caches, const struct trace_fact *fact,
                       void (*read)(struct fact_caches *, const char *line, size_t length))
{
	const char *text = fact ? fact->text : "", *line;
	size_t length;
	while (next_line(&text, &line, &length))
		read(caches, line, length);
}

void fact_caches_read(struct fact_caches *caches, const struct trace_facts *facts)
{
	*caches = (struct fact_caches){0};
	read_lines(caches, find_fact(facts, "slub_sysfs"), read_sysfs_line);
	read_lines(caches, find_fact(facts, "slub_sysfs.after"), read_sysfs_line);
	read_lines(caches, find_fact(facts, "slabinfo"), read_slabinfo_line);
	read_lines(caches, find_fact(facts, "slabinfo.after"), read_slabinfo_line);
}

void fact_caches_release(struct fact_caches *caches)
{
	free(caches->caches);
	*caches = (struct fact_caches){0};
}

const struct fact_cache *fact_cache_named(const struct fact_caches *caches, const char *name)
{
	return find_cache(caches, name, strlen(name));
}

static enum recorded_allocator allocator_of_slabinfo(const struct trace_fact *slabinfo)
{
	const char *text = slabinfo->text, *line;
	size_t length;
	bool any = false;
	/* SLOB has no caches to show: its file is there, but empty, or it is not there at all. */
	if (strspn(text, " \t\n") == slabinfo->length)
		return RECORDED_SLOB;
	while (next_line(&text, &line, &length)) {
		unsigned limit;
		char copy[LINE_MAX_BYTES];
		const char *tunables = copy_line(copy, line, length) ? strstr(copy, ": tunables") : NULL;
		if (*line == '#' || !tunables || sscanf(tunables + 10, "%u", &limit) != 1)
			continue;
		if (limit > 0)
			return RECORDED_SLAB;
		any = true;
	}
	return any ? RECORDED_SLUB : RECORDED_UNKNOWN;
}

enum recorded_allocator fact_allocator(const struct trace_facts *facts)
{
	const struct trace_fact *sysfs = find_fact(facts, "slub_sysfs");
	const struct trace_fact *slabinfo = find_fact(facts, "slabinfo");
	if (sysfs && sysfs->length > 0)
		return RECORDED_SLUB;
	return slabinfo ? allocator_of_slabinfo(slabinfo) : RECORDED_UNKNOWN;
}

uint64_t fact_memory_frames(const struct trace_facts *facts)
{
	const struct trace_fact *zoneinfo = find_fact(facts, "zoneinfo");
	const char *text = zoneinfo ? zoneinfo->text : "", *line;
	size_t length;
	uint64_t spanned = 0, frames = 0;
	while (next_line(&text, &line, &length)) {
		char word[32], copy[LINE_MAX_BYTES];
		unsigned long long value;
		if (!copy_line(copy, line, length) || sscanf(copy, " %31s %llu", word, &value) != 2)
			continue;
		if (strcmp(word, "spanned") == 0)
			spanned = value;
		if (strcmp(word, "start_pfn:") == 0 && spanned > 0 && value + spanned > frames && value + spanned < UINT32_MAX)
			frames = value + spanned;
	}
	return frames;
}
