/* SPDX-License-Identifier: MIT
 *
 * recording_facts.c - what a recorded kernel said of itself (interface: recording.h): the block of facts in or beside a
 * recording, and the command line of the machine that QEMU was told to make.
 *
 * A file beside a recording helps where it is there and sound; one that is missing or damaged is as if it were not there.
 */
#include "sim/recording.h"

#include "sim/io/decompress.h"
#include "sim/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As far as a file beside a recording is looked at: the block of facts and the first lines of the dump behind it. */
#define BESIDE_BYTES_MAX 8192
/* The largest memory that is modelled (models/settings.c, machine.memory). */
#define MEMORY_BYTES_MAX (8ull << 40)

/* How the name of a file beside a recording may end. */
static const char *const packings[] = {"", ".xz", ".gz", ".zst"};

static void take_allocator(struct recording_facts *facts, const char *text)
{
	static const struct {
		const char *word, *name;
	} names[] = {{"allocator=SLUB", "slub"}, {"allocator=SLAB", "slab"}, {"allocator=SLOB", "slob"}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(text, names[i].word) == 0)
			memcpy(facts->allocator, names[i].name, strlen(names[i].name) + 1);
}

static void take_number(const char *text, const char *key, uint32_t max, uint32_t *number)
{
	uint64_t value = state_text_number(text, key, 0);
	if (value > 0 && value <= max)
		*number = (uint32_t)value;
}

void recording_facts_line(struct recording_facts *facts, const char *text)
{
	facts->known = true;
	take_allocator(facts, text);
	take_number(text, "present", CPUS_MAX, &facts->cpus);
	take_number(text, "NR_PCP_LISTS", UINT32_MAX, &facts->pcp_lists);
	take_number(text, "cache_line_size", PAGE_SIZE, &facts->cache_line_bytes);
	if (strncmp(text, "sizeof ", 7) == 0)
		take_number(text, "page", PAGE_SIZE, &facts->page_struct_bytes);
	if (strncmp(text, "PAGE_OFFSET=", 12) == 0)
		facts->page_offset = strtoull(text + 12, NULL, 16);
	const char *max_pfn = strncmp(text, "@MEM ", 5) == 0 ? strstr(text, " max_pfn=") : NULL;
	uint64_t end_pfn = max_pfn ? strtoull(max_pfn + strlen(" max_pfn="), NULL, 16) : 0;
	if (end_pfn > 0 && end_pfn < UINT32_MAX)
		facts->end_pfn = end_pfn;
}

/* Where a file beside the recording is; the caller's. */
static char *path_beside(const struct recording *recording, const char *name, const char *packed)
{
	return xasprintf("%.*s%s%s", (int)(path_name(recording->path) - recording->path), recording->path, name, packed);
}

/* The beginning of a file beside the recording, NULL without one. */
static char *read_beside(const struct recording *recording, const char *name, const char *packed)
{
	char *path = path_beside(recording, name, packed);
	struct decompress *input = decompress_open(path, NULL, NULL);
	free(path);
	if (!input)
		return NULL;
	char *text = xcalloc(BESIDE_BYTES_MAX + 1, 1);
	size_t used = 0, count = 1;
	while (used < BESIDE_BYTES_MAX && count > 0) {
		count = 0;
		if (decompress_read(input, text + used, BESIDE_BYTES_MAX - used, &count, NULL))
			used += count;
	}
	decompress_close(input);
	return text;
}

static bool read_facts(struct recording *recording, const char *packed)
{
	char *text = read_beside(recording, "facts/state_boot", packed);
	if (!text)
		return false;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));)
		recording_facts_line(&recording->facts, line);
	free(text);
	return true;
}

/* The size behind `-m `: MiB, or GiB with a G; 0: none that could be a machine's. */
static uint64_t memory_of(const char *command)
{
	const char *at = strstr(command, "-m ");
	if (!at)
		return 0;
	char *end;
	uint64_t size = strtoull(at + strlen("-m "), &end, 10);
	unsigned shift = *end == 'G' ? 30 : 20;
	return size <= MEMORY_BYTES_MAX >> shift ? size << shift : 0;
}

/* `-smp N` tells the CPUs, `-m SIZE` the memory, `-append TEXT` the kernel's parameters. */
static void read_qemu(struct recording *recording)
{
	struct recording_facts *facts = &recording->facts;
	char *text = read_beside(recording, "qemu_cmdline", "");
	if (!text)
		return;
	const char *smp = strstr(text, "-smp ");
	uint64_t cpus = smp ? strtoull(smp + strlen("-smp "), NULL, 10) : 0;
	if (!facts->cpus && cpus > 0 && cpus <= CPUS_MAX)
		facts->cpus = (uint32_t)cpus;
	facts->memory_bytes = memory_of(text);
	const char *append = strstr(text, "-append ");
	if (append && !facts->boot_parameters)
		facts->boot_parameters = xstrdup(append + strlen("-append "));
	free(text);
}

void recording_read_beside(struct recording *recording)
{
	for (size_t i = 0; !recording->facts.known && i < sizeof packings / sizeof packings[0]; i++)
		if (read_facts(recording, packings[i]))
			break;
	read_qemu(recording);
}

static bool has_all(const struct state_dump *dump, const char *letters)
{
	while (*letters && state_dump_has(dump, *letters))
		letters++;
	return *letters == '\0';
}

/* Whether a text of many dumps has one that is wanted; *dump is the last of them. */
static bool last_dump(char *text, const char *letters, struct state_dump *dump)
{
	struct state_dump next;
	uint64_t number = 0;
	bool found = false;
	state_dump_init(&next);
	for (char *line; (line = strsep(&text, "\n"));) {
		enum state_line_result result = state_dump_line(&next, line, strlen(line), ++number, NULL);
		if (result == STATE_WRONG)
			break;
		if (result != STATE_WHOLE || !has_all(&next, letters))
			continue;
		found = true;
		state_dump_release(dump);
		*dump = next;
		state_dump_init(&next);
	}
	state_dump_release(&next);
	return found;
}

bool recording_dump_beside(const struct recording *recording, const char *name, const char *letters, struct state_dump *dump)
{
	bool found = false;
	state_dump_init(dump);
	for (size_t i = 0; !found && i < sizeof packings / sizeof packings[0]; i++) {
		char *path = path_beside(recording, name, packings[i]), *text;
		size_t bytes;
		if (decompress_all(path, RECORDING_BYTES_MAX, &text, &bytes, NULL)) {
			found = last_dump(text, letters, dump);
			free(text);
		}
		free(path);
	}
	return found;
}
