/* SPDX-License-Identifier: MIT
 *
 * start_state.c - reads recorded states, brings allocators into them and holds allocators against them (interface:
 * start_state.h).
 */
#include "models/start_state.h"

#include "models/page_allocator/buddy.h"
#include "models/start_slabs.h"
#include "sim/io/decompress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* No state of a machine that is simulated here comes near this. */
#define STATE_BYTES_MAX (1ull << 30)
/* One part in so many is still near. */
#define NEAR_PARTS 100
/* Longest cache name that is taken from a dump. */
#define NAME_MAX_BYTES 128

/* The flags of a dumped cache that its maker gave it; the rest are the allocator's own. */
#define SPEC_FLAGS \
	(SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | \
	 SLAB_STORE_USER | SLAB_RECLAIM_ACCOUNT | SLAB_TYPESAFE_BY_RCU | SLAB_ACCOUNT)

static char *read_file(const char *path, size_t *length, struct error *error)
{
	struct decompress *input = decompress_open(path, NULL, error);
	if (!input)
		return NULL;
	size_t room = 1u << 20, count = 1;
	char *text = xcalloc(room, 1);
	bool read = true;
	for (*length = 0; read && count > 0; *length += count) {
		if (*length + 1 == room)
			text = xrealloc(text, room *= 2);
		if (room > STATE_BYTES_MAX)
			read = error_set(error, ERROR_INPUT, "%s: longer than %llu bytes", path, STATE_BYTES_MAX);
		read = read && decompress_read(input, text + *length, room - *length - 1, &count, error);
		if (!read)
			count = 0;
	}
	decompress_close(input);
	if (!read) {
		free(text);
		return NULL;
	}
	text[*length] = '\0';
	return text;
}

/* The first dump of the text. */
static bool read_dump(struct start_state *state, const char *text, size_t length, struct error *error)
{
	uint64_t number = 0;
	struct error inside = {0};
	for (const char *at = text, *end = text + length, *next; at < end; at = next) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		next = newline ? newline + 1 : end;
		switch (state_dump_line(&state->dump, at, (size_t)((newline ? newline : end) - at), ++number, &inside)) {
		case STATE_OUTSIDE:
		case STATE_INSIDE:
			break;
		case STATE_WHOLE:
			return true;
		case STATE_WRONG:
			return error_set(error, ERROR_INPUT, "%s: %s", state->path, inside.text);
		}
	}
	return error_set(error, ERROR_INPUT, "%s: the dump ends before its @END line", state->path);
}

/* A /proc file by what it begins with; the name does not matter. */
static bool read_proc(struct start_state *state, const char *path, const char *text, size_t length, bool *known,
                      struct error *error)
{
	*known = true;
	if (state_text_begins(text, "slabinfo - version"))
		return procfs_read_slabinfo(&state->slabs, path, text, length, error);
	if (state_text_begins(text, "Page block order"))
		return procfs_read_pagetypeinfo(&state->memory, path, text, length, error);
	if (state_text_begins(text, "Node ") && strstr(text, "pages free"))
		return procfs_read_zoneinfo(&state->memory, path, text, length, error);
	if (state_text_begins(text, "Node "))
		return procfs_read_buddyinfo(&state->memory, path, text, length, error);
	*known = false;
	return true;
}

static bool read_folder(struct start_state *state, struct error *error)
{
	static const char *const names[] = {"zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo"};
	bool any = false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = xasprintf("%s/%s", state->path, names[i]);
		struct stat there;
		size_t length;
		bool known = false, read = true;
		if (stat(path, &there) == 0) {
			char *text = read_file(path, &length, error);
			/* SLOB's slabinfo has no caches and no version line. */
			read = text && read_proc(state, path, text, length, &known, error);
			free(text);
		}
		free(path);
		any |= known;
		if (!read)
			return false;
	}
	return any || error_set(error, ERROR_INPUT,
	                        "%s: neither zoneinfo, buddyinfo, pagetypeinfo nor slabinfo is in this folder", state->path);
}

static bool read_alone(struct start_state *state, struct error *error)
{
	size_t length;
	bool known;
	char *text = read_file(state->path, &length, error);
	if (!text)
		return false;
	state->is_dump = strstr(text, "@STATE ") != NULL;
	bool read = state->is_dump ? read_dump(state, text, length, error)
	                           : read_proc(state, state->path, text, length, &known, error);
	free(text);
	if (read && !state->is_dump && !known)
		return error_set(error, ERROR_INPUT,
		                 "%s: neither a state dump (@STATE ... @END) nor a buddyinfo, pagetypeinfo, zoneinfo or slabinfo",
		                 state->path);
	return read;
}

bool start_state_read(struct start_state *state, const char *path, struct error *error)
{
	struct stat there;
	*state = (struct start_state){.path = xstrdup(path)};
	state_dump_init(&state->dump);
	if (stat(path, &there) != 0)
		error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
	else if (S_ISDIR(there.st_mode) ? read_folder(state, error) : read_alone(state, error))
		return true;
	start_state_release(state);
	return false;
}

void start_state_release(struct start_state *state)
{
	state_dump_release(&state->dump);
	procfs_slabinfo_release(&state->slabs);
	free(state->path);
	*state = (struct start_state){0};
}

void start_state_complete(const struct start_state *state, struct settings *settings)
{
	if (!state->is_dump) {
		if (state->memory.has_pagetypeinfo)
			settings->kernel.pageblock_order = state->memory.pageblock_order;
		return;
	}
	uint32_t cpus = 0;
	for (unsigned i = 0; i < STATE_ZONES_MAX; i++)
		if (state->dump.zones[i].known && state->dump.zones[i].cpus > cpus)
			cpus = state->dump.zones[i].cpus;
	if (cpus > 0)
		settings->machine.cpus = cpus;
	settings->machine.memory_bytes = state->dump.memory.max_pfn << PAGE_SHIFT;
	settings->kernel.pageblock_order = state->dump.memory.pageblock_order;
}

struct page_allocator *start_state_pages(const struct start_state *state, const struct page_allocator_wiring *wiring,
                                         struct error *error)
{
	if (strcmp(wiring->settings->page_allocator, page_allocator_buddy_ops.name) != 0) {
		error_set(error, ERROR_USAGE,
		          "start: the page allocator '%s' has no lists to bring into a state; expected 'buddy'",
		          wiring->settings->page_allocator);
		return NULL;
	}
	if (state->is_dump) {
		struct page_allocator *pages = buddy_load(&state->dump, wiring, error);
		if (pages)
			buddy_of(pages)->movable_is_lru =
			        true; /* what a workload allocates as movable is user memory and page cache */
		return pages;
	}
	if (state->memory.count == 0) {
		error_set(error, ERROR_USAGE, "%s: no buddyinfo, so there are no free lists to start from", state->path);
		return NULL;
	}
	return buddy_place_counts(&state->memory, wiring, error);
}

/* The word behind `@C `, cut at NAME_MAX_BYTES. */
static void cache_name(const char *text, char name[NAME_MAX_BYTES])
{
	snprintf(name, NAME_MAX_BYTES, "%.*s", (int)strcspn(text + strlen("@C "), " "), text + strlen("@C "));
}

/* The cache of that name, CACHE_NONE if there is none. */
static cache_id find_cache(const struct object_allocator *objects, const char *name)
{
	struct cache_view view;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++)
		if (objects->ops->cache_view(objects, (cache_id){nr}, &view) && strcmp(view.name, name) == 0)
			return (cache_id){nr};
	return CACHE_NONE;
}

static bool make_cache(struct object_allocator *objects, const struct state_text *line, const char *name, struct error *error)
{
	uint64_t object_size = state_text_number(line->text, "obj", 0), align = state_text_number(line->text, "align", 0);
	uint64_t usersize = state_text_number(line->text, "usersize", 0);
	const char *flags = strstr(line->text, " flags="); /* hexadecimal without 0x */
	if (object_size == 0 || object_size > UINT32_MAX || align > UINT32_MAX || (align & (align - 1)) || usersize > UINT32_MAX)
		return error_set(error, ERROR_INPUT, "line %" PRIu64 ": no cache has such sizes: %.100s", line->line, line->text);
	struct cache_spec spec = {
	        .name = name,
	        .object_size = (uint32_t)object_size,
	        .align = (uint32_t)align,
	        .flags = flags ? (uint32_t)strtoul(flags + strlen(" flags="), NULL, 16) & SPEC_FLAGS : 0,
	        .ctor = state_text_number(line->text, "ctor", 0) != 0,
	        .usersize = (uint32_t)usersize,
	};
	return cache_create(objects, &spec).nr != UINT32_MAX ||
	       error_set(error, ERROR_INPUT, "line %" PRIu64 ": the allocator refuses this cache: %.100s", line->line,
	                 line->text);
}

/* Makes every cache of the dump that the fresh allocator does not have. A dump names the newest cache first. */
static bool make_caches(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	char name[NAME_MAX_BYTES];
	for (size_t i = dump->text_count; i-- > 0;) {
		if (!state_text_begins(dump->texts[i].text, "@C "))
			continue;
		cache_name(dump->texts[i].text, name);
		if (find_cache(objects, name).nr == UINT32_MAX && !make_cache(objects, &dump->texts[i], name, error))
			return false;
	}
	return true;
}

/* A dump of SLOB names no cache, so the other models would take it for one without any. */
static bool is_of_slob(const struct state_dump *dump)
{
	for (size_t i = 0; i < dump->text_count; i++)
		if (state_text_begins(dump->texts[i].text, "@SL "))
			return true;
	return false;
}

bool start_state_objects(const struct start_state *state, struct object_allocator *objects,
                         const struct object_allocator_wiring *wiring, struct error *error)
{
	if (!state->is_dump) {
		if (!start_slabs_place(&state->slabs, objects, wiring, error))
			return false;
		object_allocator_check(objects);
		return true;
	}
	if (!objects->ops->load_state)
		return error_set(error, ERROR_USAGE, "start: '%s' cannot be brought into a recorded state", objects->ops->name);
	if (is_of_slob(&state->dump) && strcmp(objects->ops->name, "slob") != 0)
		return error_set(error, ERROR_INPUT, "%s: a state of slob, which '%s' cannot start from", state->path,
		                 objects->ops->name);
	struct error why = {0};
	if (make_caches(objects, &state->dump, &why) && objects->ops->load_state(objects, &state->dump, &why)) {
		object_allocator_check(objects);
		return true;
	}
	return error_set(error, why.kind, "%s: not a state of %s: %s", state->path, objects->ops->name, why.text);
}

bool state_near(uint64_t expected, uint64_t got)
{
	uint64_t apart = expected > got ? expected - got : got - expected;
	return apart <= 1 || apart * NEAR_PARTS <= expected;
}

static void compare_blocks(uint64_t expected, uint64_t got, const char *zone, unsigned order, struct state_tally *tally,
                           FILE *out)
{
	tally->blocks++;
	tally->blocks_equal += expected == got;
	tally->blocks_near += state_near(expected, got);
	if (!state_near(expected, got))
		fprintf(out, "  free blocks, zone %s, order %u: expected %" PRIu64 ", got %" PRIu64 "\n", zone, order, expected,
		        got);
}

/* Free blocks of an order, all migrate types. */
static uint64_t blocks_of(const struct zone_view *zone, unsigned order)
{
	uint64_t blocks = 0;
	for (unsigned type = 0; type < MIGRATE_TYPES; type++)
		blocks += zone->free_blocks[order][type];
	return blocks;
}

static uint64_t dumped_blocks(const struct state_dump *dump, const char *zone, unsigned order, bool *known)
{
	uint64_t blocks = 0;
	*known = false;
	for (unsigned i = 0; i < STATE_ZONES_MAX; i++) {
		if (!dump->zones[i].known || strcmp(dump->zones[i].name, zone) != 0)
			continue;
		*known = true;
		for (size_t list = 0; list < dump->free_list_count; list++)
			if (dump->free_lists[list].zone == i && dump->free_lists[list].order == order)
				blocks += dump->free_lists[list].count;
	}
	return blocks;
}

static void compare_zones(const struct start_state *state, const struct page_allocator *pages, struct state_tally *tally,
                          FILE *out)
{
	struct zone_view *view = xcalloc(1, sizeof *view);
	for (unsigned index = 0; index < pages->ops->zones(pages); index++) {
		pages->ops->zone_view(pages, index, view);
		const struct zone_view *told = state->is_dump ? NULL : procfs_zone(&state->memory, view->node, view->name);
		for (unsigned order = 0; view->managed > 0 && order < ORDERS; order++) {
			bool known = told != NULL;
			uint64_t expected = state->is_dump ? dumped_blocks(&state->dump, view->name, order, &known) : 0;
			if (told)
				expected = blocks_of(told, order);
			if (known)
				compare_blocks(expected, blocks_of(view, order), view->name, order, tally, out);
		}
	}
	free(view);
}

/* What /proc/slabinfo says of a cache. */
struct expected_cache {
	uint64_t slabs, active_objects;
};

static void compare_cache(const char *name, const struct expected_cache *expected, const struct object_allocator *objects,
                          struct state_tally *tally, FILE *out)
{
	struct cache_view view = {0};
	cache_id id = find_cache(objects, name);
	if (id.nr == UINT32_MAX || !objects->ops->cache_view(objects, id, &view))
		return;
	tally->caches++;
	tally->caches_equal += view.slabs == expected->slabs;
	tally->caches_near += state_near(expected->slabs, view.slabs);
	tally->objects++;
	tally->objects_equal += view.active_objects == expected->active_objects;
	tally->objects_near += state_near(expected->active_objects, view.active_objects);
	if (!state_near(expected->slabs, view.slabs))
		fprintf(out, "  slabs, cache %s: expected %" PRIu64 ", got %" PRIu64 "\n", name, expected->slabs, view.slabs);
	if (!state_near(expected->active_objects, view.active_objects))
		fprintf(out, "  active objects, cache %s: expected %" PRIu64 ", got %" PRIu64 "\n", name,
		        expected->active_objects, view.active_objects);
}

/* Free objects of the slabs on a node's partial list, "@CN FRAME INUSE/OBJECTS/FROZEN [ ... ] ...". */
static uint64_t free_on_list(const char *text)
{
	uint64_t free_objects = 0;
	for (const char *at = strchr(text, '/'); at; at = strchr(at, '/')) {
		const char *start = at;
		while (start > text && start[-1] >= '0' && start[-1] <= '9')
			start--;
		char *end;
		uint64_t objects = strtoull(at + 1, &end, 10), inuse = strtoull(start, NULL, 10);
		free_objects += objects > inuse ? objects - inuse : 0;
		at = *end == '/' ? end + 1 : end;
	}
	return free_objects;
}

/* A cache of a dump: SLUB says slabs= and total=, and its node's list; SLAB total_slabs=, objs= and free_objects=. */
static struct expected_cache dumped_cache(const struct state_dump *dump, size_t line)
{
	const char *text = dump->texts[line].text;
	uint64_t slabs = state_text_number(text, "total_slabs", UINT64_MAX);
	if (slabs != UINT64_MAX)
		return (struct expected_cache){slabs, slabs * state_text_number(text, "objs", 0) -
		                                              state_text_number(text, "free_objects", 0)};
	struct expected_cache cache = {state_text_number(text, "slabs", 0), state_text_number(text, "total", 0)};
	while (++line < dump->text_count && !state_text_begins(dump->texts[line].text, "@C "))
		if (state_text_begins(dump->texts[line].text, "@CN "))
			cache.active_objects -= free_on_list(dump->texts[line].text);
	return cache;
}

static void compare_caches(const struct start_state *state, const struct object_allocator *objects, struct state_tally *tally,
                           FILE *out)
{
	char name[NAME_MAX_BYTES];
	for (size_t i = 0; i < state->slabs.count; i++) {
		const struct cache_view *told = &state->slabs.at[i];
		compare_cache(told->name, &(struct expected_cache){told->slabs, told->active_objects}, objects, tally, out);
	}
	for (size_t i = 0; i < state->dump.text_count; i++) {
		if (!state_text_begins(state->dump.texts[i].text, "@C "))
			continue;
		struct expected_cache expected = dumped_cache(&state->dump, i);
		cache_name(state->dump.texts[i].text, name);
		compare_cache(name, &expected, objects, tally, out);
	}
}

void start_state_compare(const struct start_state *state, const struct page_allocator *pages,
                         const struct object_allocator *objects, struct state_tally *tally, FILE *out)
{
	*tally = (struct state_tally){0};
	if (state->is_dump && pages->ops == &page_allocator_buddy_ops)
		buddy_compare(pages, &state->dump, &tally->lists, &tally->lists_equal, tally->first, sizeof tally->first);
	compare_zones(state, pages, tally, out);
	compare_caches(state, objects, tally, out);
}
