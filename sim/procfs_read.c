/* SPDX-License-Identifier: MIT
 *
 * procfs_read.c - reading the kernel's tables back into views (interface and rules: procfs.h).
 *
 * Every reader walks lines of bounded text with a cursor; nothing is copied but cache names, nothing is allocated per zone.
 */
#include "sim/procfs.h"

#include <stdlib.h>
#include <string.h>

/* A slabinfo of more caches than this is no slabinfo; with it, memory is bounded. */
#define CACHES_MAX 100000

/* A cursor over lines. A line's text runs from `at` to `end`, without its newline. */
struct lines {
	const char *at, *end;
	const char *next, *stop;
	const char *name;
	unsigned long number;
	struct error *error;
};

static struct lines lines_of(const char *name, const char *text, size_t length, struct error *error)
{
	return (struct lines){.next = text, .stop = text + length, .name = name, .error = error};
}

static bool next_line(struct lines *lines)
{
	if (lines->next == lines->stop)
		return false;
	const char *newline = memchr(lines->next, '\n', (size_t)(lines->stop - lines->next));
	lines->at = lines->next;
	lines->end = newline ? newline : lines->stop;
	lines->next = newline ? newline + 1 : lines->stop;
	if (lines->end > lines->at && lines->end[-1] == '\r')
		lines->end--;
	lines->number++;
	return true;
}

static bool fail_line(const struct lines *lines, const char *expected)
{
	return error_set(lines->error, ERROR_INPUT, "%s:%lu: expected %s", lines->name, lines->number, expected);
}

/* ---- pieces of a line ---- */

static void skip_blanks(struct lines *lines)
{
	while (lines->at < lines->end && (*lines->at == ' ' || *lines->at == '\t'))
		lines->at++;
}

static bool at_end(struct lines *lines)
{
	skip_blanks(lines);
	return lines->at == lines->end;
}

/* Steps over the text if the rest of the line, blanks apart, begins with it. */
static bool take(struct lines *lines, const char *text)
{
	skip_blanks(lines);
	size_t length = strlen(text);
	if ((size_t)(lines->end - lines->at) < length || memcmp(lines->at, text, length) != 0)
		return false;
	lines->at += length;
	return true;
}

static bool take_number(struct lines *lines, uint64_t *value)
{
	skip_blanks(lines);
	const char *digits = lines->at;
	*value = 0;
	for (; lines->at < lines->end && *lines->at >= '0' && *lines->at <= '9'; lines->at++)
		if (__builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, (unsigned)(*lines->at - '0'), value))
			return false;
	return lines->at > digits;
}

static bool take_u32(struct lines *lines, uint32_t *value)
{
	uint64_t wide;
	if (!take_number(lines, &wide) || wide > UINT32_MAX)
		return false;
	*value = (uint32_t)wide;
	return true;
}

/* The next word, up to a blank or comma, into a buffer; false if there is none or it is too long. */
static bool take_word(struct lines *lines, char *word, size_t size)
{
	skip_blanks(lines);
	size_t length = 0;
	for (; lines->at < lines->end && *lines->at != ' ' && *lines->at != ',' && *lines->at != '\t'; lines->at++) {
		if (length + 1 == size)
			return false;
		word[length++] = *lines->at;
	}
	word[length] = 0;
	return length > 0;
}

/* ---- zones ---- */

/* mm/page_alloc.c: zone_names, without the zone of device memory, which no allocator hands out. */
static const char *const zone_names[] = {"DMA", "DMA32", "Normal", "HighMem", "Movable"};

static struct zone_view *find_or_add_zone(struct procfs_memory *memory, uint32_t node, const char *name)
{
	struct zone_view *zone = (struct zone_view *)(uintptr_t)procfs_zone(memory, node, name);
	if (zone)
		return zone;
	for (size_t i = 0; i < sizeof zone_names / sizeof *zone_names; i++) {
		if (strcmp(zone_names[i], name) != 0 || memory->count == ZONES_MAX)
			continue;
		zone = &memory->zones[memory->count++];
		zone->node = node;
		zone->name = zone_names[i];
		return zone;
	}
	return NULL;
}

const struct zone_view *procfs_zone(const struct procfs_memory *memory, unsigned node, const char *name)
{
	for (const struct zone_view *zone = memory->zones; zone < memory->zones + memory->count; zone++)
		if (zone->node == node && strcmp(zone->name, name) == 0)
			return zone;
	return NULL;
}

/* "Node 0, zone    DMA32": the zone, NULL with *device set for the zone of device memory, NULL with the error otherwise. */
static struct zone_view *take_zone(struct lines *lines, struct procfs_memory *memory, bool *device)
{
	uint32_t node;
	char name[16];
	*device = false;
	if (!take(lines, "Node") || !take_u32(lines, &node) || !take(lines, ", zone") || !take_word(lines, name, sizeof name)) {
		fail_line(lines, "'Node N, zone NAME'");
		return NULL;
	}
	*device = strcmp(name, "Device") == 0;
	struct zone_view *zone = *device ? NULL : find_or_add_zone(memory, node, name);
	if (!zone && !*device)
		fail_line(lines, "a zone DMA, DMA32, Normal, HighMem or Movable, at most 16 zones in all");
	return zone;
}

/* The orders' counts of a line; ">100000" is counted in *capped. */
static bool take_orders(struct lines *lines, uint64_t blocks[ORDERS], unsigned *capped)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		*capped += take(lines, ">");
		if (!take_number(lines, &blocks[order]) || blocks[order] > UINT32_MAX)
			return fail_line(lines, "11 counts of free blocks, orders 0 to 10");
	}
	return at_end(lines) ? true : fail_line(lines, "no more than 11 counts");
}

/* What free lists say of a zone's size while zoneinfo has not been read. */
static void bound_present(struct zone_view *zone)
{
	uint64_t pages = 0;
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++)
			pages += zone->free_blocks[order][type] << order;
	zone->present = pages > 1 ? pages : 1;
	zone->free_pages = pages;
}

bool procfs_read_buddyinfo(struct procfs_memory *memory, const char *name, const char *text, size_t length, struct error *error)
{
	struct lines lines = lines_of(name, text, length, error);
	unsigned zones = 0;
	while (next_line(&lines)) {
		if (at_end(&lines))
			continue;
		bool device;
		struct zone_view *zone = take_zone(&lines, memory, &device);
		if (!zone && !device)
			return false;
		uint64_t blocks[ORDERS];
		unsigned capped = 0;
		if (!take_orders(&lines, blocks, &capped))
			return false;
		zones++;
		for (unsigned order = 0; zone && !memory->has_pagetypeinfo && order < ORDERS; order++) {
			memset(zone->free_blocks[order], 0, sizeof zone->free_blocks[order]);
			zone->free_blocks[order][MIGRATE_MOVABLE] = blocks[order];
		}
		if (zone && !memory->has_zoneinfo)
			bound_present(zone);
	}
	memory->has_buddyinfo = zones > 0;
	return zones > 0 ? true : fail_line(&lines, "a line 'Node N, zone NAME' with counts, the file has none");
}

/* ---- pagetypeinfo ---- */

/* The migrate type of a kernel's name, MIGRATE_TYPES for one there is no model of. */
static unsigned type_of(const char *name)
{
	static const char *const names[MIGRATE_TYPES] = {"Unmovable", "Movable", "Reclaimable", "HighAtomic"};
	unsigned type = 0;
	while (type < MIGRATE_TYPES && strcmp(names[type], name) != 0)
		type++;
	return type;
}

/* "Node    0, zone      DMA, type    Unmovable      0 ...": the free blocks of one type. */
static bool read_free_by_type(struct lines *lines, struct procfs_memory *memory)
{
	bool device;
	char word[32];
	struct zone_view *zone = take_zone(lines, memory, &device);
	if (!zone && !device)
		return false;
	uint64_t blocks[ORDERS], all = 0;
	unsigned capped = 0;
	if (!take(lines, ", type") || !take_word(lines, word, sizeof word))
		return fail_line(lines, "', type NAME'");
	if (!take_orders(lines, blocks, &capped))
		return false;
	unsigned type = type_of(word);
	for (unsigned order = 0; order < ORDERS; order++) {
		all += blocks[order];
		if (zone && type < MIGRATE_TYPES)
			zone->free_blocks[order][type] = blocks[order];
	}
	memory->unknown_type_rows += type == MIGRATE_TYPES && all > 0;
	memory->capped_counts += capped;
	if (zone && !memory->has_zoneinfo)
		bound_present(zone);
	return true;
}

/* The columns of the table of pageblocks: which type each is. Returns how many there are, 0 with the error. */
#define TYPE_COLUMNS_MAX 8
static unsigned read_block_columns(struct lines *lines, unsigned types[TYPE_COLUMNS_MAX])
{
	unsigned columns = 0;
	char word[32];
	while (!at_end(lines)) {
		if (columns == TYPE_COLUMNS_MAX || !take_word(lines, word, sizeof word)) {
			fail_line(lines, "at most 8 migrate types");
			return 0;
		}
		types[columns++] = type_of(word);
	}
	if (columns == 0)
		fail_line(lines, "the names of migrate types");
	return columns;
}

static bool read_blocks(struct lines *lines, struct procfs_memory *memory, const unsigned types[TYPE_COLUMNS_MAX],
                        unsigned columns)
{
	bool device;
	struct zone_view *zone = take_zone(lines, memory, &device);
	if (!zone && !device)
		return false;
	for (unsigned column = 0; column < columns; column++) {
		uint64_t blocks;
		if (!take_number(lines, &blocks))
			return fail_line(lines, "a number of blocks for each type");
		if (zone && types[column] < MIGRATE_TYPES)
			zone->pageblocks[types[column]] = blocks;
	}
	return true;
}

/* Where in a pagetypeinfo the reader is: which table, and which types its columns are. */
struct pagetypeinfo {
	enum { TABLE_NONE, TABLE_FREE, TABLE_BLOCKS } table;
	unsigned types[TYPE_COLUMNS_MAX], columns;
	unsigned free_rows;
};

static bool read_pageblock_order(struct lines *lines, struct procfs_memory *memory)
{
	uint32_t order;
	if (!take_u32(lines, &order) || order == 0 || order >= ORDERS)
		return fail_line(lines, "a page block order from 1 to 10");
	memory->pageblock_order = order;
	return true;
}

static bool read_pagetypeinfo_line(struct lines *lines, struct procfs_memory *memory, struct pagetypeinfo *at)
{
	if (take(lines, "Page block order:")) {
		at->table = TABLE_NONE; /* the next node's part begins */
		return read_pageblock_order(lines, memory);
	}
	if (take(lines, "Free pages count per migrate type")) {
		at->table = TABLE_FREE;
		return true;
	}
	if (take(lines, "Number of blocks type")) {
		at->table = TABLE_BLOCKS;
		at->columns = read_block_columns(lines, at->types);
		return at->columns > 0;
	}
	if (take(lines, "Number of")) {
		at->table = TABLE_NONE; /* "mixed blocks", of kernels with page owners */
		return true;
	}
	if (at->table == TABLE_BLOCKS)
		return read_blocks(lines, memory, at->types, at->columns);
	if (at->table == TABLE_NONE)
		return true;
	at->free_rows++;
	return read_free_by_type(lines, memory);
}

bool procfs_read_pagetypeinfo(struct procfs_memory *memory, const char *name, const char *text, size_t length,
                              struct error *error)
{
	struct lines lines = lines_of(name, text, length, error);
	struct pagetypeinfo at = {0};
	memory->has_pagetypeinfo = true;
	for (unsigned zone = 0; zone < memory->count; zone++)
		memset(memory->zones[zone].free_blocks, 0, sizeof memory->zones[zone].free_blocks);
	while (next_line(&lines))
		if (!at_end(&lines) && !read_pagetypeinfo_line(&lines, memory, &at))
			return false;
	if (at.free_rows == 0 || memory->pageblock_order == 0)
		return fail_line(&lines, "the page block order and free counts by type, the file lacks one of them");
	return true;
}

/* ---- zoneinfo ---- */

/* "(0, 470, 470, 470)": reserves beyond LOWMEM_RESERVE_ZONES (device memory's) are skipped. */
static bool read_protection(struct lines *lines, struct zone_view *zone)
{
	if (!take(lines, "("))
		return fail_line(lines, "'(' and the zone's reserves");
	for (unsigned i = 0;; i++) {
		uint64_t reserve;
		if (!take_number(lines, &reserve))
			return fail_line(lines, "a reserve in pages");
		if (i < LOWMEM_RESERVE_ZONES)
			zone->lowmem_reserve[i] = reserve;
		if (take(lines, ")"))
			return true;
		if (!take(lines, ","))
			return fail_line(lines, "',' or ')'");
	}
}

/* A line of the form "key value" whose value is wanted. The first matching key wins, so longer keys stand before their heads. */
struct zone_field {
	const char *key;
	size_t offset;
};

static const struct zone_field zone_fields[] = {
        {"pages free", offsetof(struct zone_view, free_pages)}, {"boost ", offsetof(struct zone_view, watermark_boost)},
        {"min ", offsetof(struct zone_view, watermark_min)},    {"low ", offsetof(struct zone_view, watermark_low)},
        {"high ", offsetof(struct zone_view, watermark_high)},  {"spanned ", offsetof(struct zone_view, spanned)},
        {"present ", offsetof(struct zone_view, present)},      {"managed ", offsetof(struct zone_view, managed)},
        {"start_pfn:", offsetof(struct zone_view, start_pfn)}};

/* "cpu: 3" begins a CPU's numbers; CPUs come in ascending order, offline ones are missing. */
static bool read_cpu(struct lines *lines, struct zone_view *zone, unsigned *cpu)
{
	uint32_t number;
	if (!take_u32(lines, &number) || number >= CPUS_MAX)
		return fail_line(lines, "a CPU number below 128");
	*cpu = number;
	if (zone->cpus <= number)
		zone->cpus = number + 1;
	return true;
}

static bool read_zone_line(struct lines *lines, struct zone_view *zone, unsigned *cpu)
{
	if (take(lines, "protection:"))
		return read_protection(lines, zone);
	if (take(lines, "cpu:"))
		return read_cpu(lines, zone, cpu);
	uint32_t *pcp = NULL;
	if (take(lines, "count:"))
		pcp = &zone->pcp[*cpu].count;
	else if (take(lines, "high:"))
		pcp = &zone->pcp[*cpu].high;
	else if (take(lines, "batch:"))
		pcp = &zone->pcp[*cpu].batch;
	if (pcp)
		return take_u32(lines, pcp) ? true : fail_line(lines, "a number of pages");
	for (size_t i = 0; i < sizeof zone_fields / sizeof *zone_fields; i++) {
		if (!take(lines, zone_fields[i].key))
			continue;
		uint64_t *value = (uint64_t *)(void *)((char *)zone + zone_fields[i].offset);
		return take_number(lines, value) ? true : fail_line(lines, "a number of pages");
	}
	return true;
}

/* The file's watermarks include the boost, a view's do not. Older kernels have no boost. */
static bool finish_zone(const struct lines *lines, struct zone_view *zone)
{
	uint64_t boost = zone->watermark_boost;
	if (boost > zone->watermark_min || boost > zone->watermark_low || boost > zone->watermark_high)
		return error_set(lines->error, ERROR_INPUT, "%s: zone %s has a boost above its watermarks", lines->name,
		                 zone->name);
	zone->watermark_min -= boost;
	zone->watermark_low -= boost;
	zone->watermark_high -= boost;
	return true;
}

/* Clears what zoneinfo tells, so that a second reading starts afresh; free lists are other files' business. */
static void clear_zone(struct zone_view *zone)
{
	struct zone_view fresh = {.name = zone->name, .node = zone->node};
	memcpy(fresh.free_blocks, zone->free_blocks, sizeof fresh.free_blocks);
	memcpy(fresh.pageblocks, zone->pageblocks, sizeof fresh.pageblocks);
	*zone = fresh;
}

bool procfs_read_zoneinfo(struct procfs_memory *memory, const char *name, const char *text, size_t length, struct error *error)
{
	struct lines lines = lines_of(name, text, length, error);
	struct zone_view *zone = NULL;
	unsigned cpu = 0, zones = 0;
	memory->has_zoneinfo = true;
	while (next_line(&lines)) {
		const char *begin = lines.at;
		if (take(&lines, "Node")) {
			lines.at = begin;
			bool device;
			if (zone && !finish_zone(&lines, zone))
				return false;
			zone = take_zone(&lines, memory, &device);
			if (!zone && !device)
				return false;
			if (zone)
				clear_zone(zone);
			cpu = 0;
			zones++;
		} else if (zone && !read_zone_line(&lines, zone, &cpu)) {
			return false;
		}
	}
	if (zones == 0)
		return fail_line(&lines, "a line 'Node N, zone NAME', the file has none");
	return !zone || finish_zone(&lines, zone);
}

/* ---- slabinfo ---- */

/* Where the line's columns begin: five numbers back from " : tunables". NULL if they are not there. */
static const char *find_columns(const struct lines *lines, const char *tunables)
{
	const char *at = tunables;
	for (unsigned column = 0; column < 5; column++) {
		while (at > lines->at && at[-1] == ' ')
			at--;
		const char *end = at;
		while (at > lines->at && at[-1] >= '0' && at[-1] <= '9')
			at--;
		if (at == end || at == lines->at || at[-1] != ' ')
			return NULL;
	}
	return at;
}

static bool take_columns(struct lines *lines, struct cache_view *cache)
{
	return take_number(lines, &cache->active_objects) && take_number(lines, &cache->total_objects) &&
	       take_u32(lines, &cache->size) && take_u32(lines, &cache->objects_per_slab) &&
	       take_u32(lines, &cache->pages_per_slab) && take(lines, ": tunables") && take_u32(lines, &cache->limit) &&
	       take_u32(lines, &cache->batchcount) && take_u32(lines, &cache->shared) && take(lines, ": slabdata") &&
	       take_number(lines, &cache->active_slabs) && take_number(lines, &cache->slabs) &&
	       take_number(lines, &cache->shared_available);
}

static bool read_cache(struct lines *lines, struct cache_view *cache)
{
	static const char mark[] = " : tunables";
	const char *tunables = memmem(lines->at, (size_t)(lines->end - lines->at), mark, sizeof mark - 1);
	const char *columns = tunables ? find_columns(lines, tunables) : NULL;
	if (!columns)
		return fail_line(lines, "a name, five numbers, ': tunables', three, ': slabdata', three");
	const char *name = lines->at, *name_end = columns;
	while (name_end > name && name_end[-1] == ' ')
		name_end--;
	if (name_end == name || memchr(name, 0, (size_t)(name_end - name)))
		return fail_line(lines, "a cache's name");
	*cache = (struct cache_view){0};
	lines->at = columns;
	if (!take_columns(lines, cache))
		return fail_line(lines, "five numbers, ': tunables', three, ': slabdata', three, none above its size");
	cache->name = xasprintf("%.*s", (int)(name_end - name), name);
	cache->kmalloc = strncmp(cache->name, "kmalloc-", 8) == 0 || strncmp(cache->name, "dma-kmalloc-", 12) == 0;
	return true;
}

static bool read_caches(struct lines *lines, struct procfs_slabinfo *slabinfo)
{
	size_t capacity = 0;
	while (next_line(lines)) {
		if (at_end(lines) || *lines->at == '#')
			continue;
		if (slabinfo->count == CACHES_MAX)
			return fail_line(lines, "at most 100000 caches");
		if (slabinfo->count == capacity) {
			capacity = capacity ? 2 * capacity : 256;
			slabinfo->at = xrealloc(slabinfo->at, capacity * sizeof *slabinfo->at);
		}
		if (!read_cache(lines, &slabinfo->at[slabinfo->count]))
			return false;
		slabinfo->count++;
	}
	return true;
}

bool procfs_read_slabinfo(struct procfs_slabinfo *slabinfo, const char *name, const char *text, size_t length,
                          struct error *error)
{
	struct lines lines = lines_of(name, text, length, error);
	*slabinfo = (struct procfs_slabinfo){0};
	if (!next_line(&lines) || !take(&lines, "slabinfo - version: 2."))
		return fail_line(&lines, "'slabinfo - version: 2.1'");
	if (read_caches(&lines, slabinfo))
		return true;
	procfs_slabinfo_release(slabinfo);
	return false;
}

void procfs_slabinfo_release(struct procfs_slabinfo *slabinfo)
{
	for (size_t i = 0; i < slabinfo->count; i++)
		free((void *)(uintptr_t)slabinfo->at[i].name);
	free(slabinfo->at);
	*slabinfo = (struct procfs_slabinfo){0};
}

const struct cache_view *procfs_slabinfo_cache(const struct procfs_slabinfo *slabinfo, const char *name)
{
	for (size_t i = 0; i < slabinfo->count; i++)
		if (strcmp(slabinfo->at[i].name, name) == 0)
			return &slabinfo->at[i];
	return NULL;
}
