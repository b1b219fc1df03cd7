/* SPDX-License-Identifier: MIT
 *
 * slab_dump.c - brings SLAB into the state of a recorded dump (interface: slab.h; piece by piece: slab_load.c). The lines are:
 *
 *   @C name key=value ...                            a cache with its node's numbers; the lines behind it belong to it
 *   @CC cpu avail= limit= batch= touched= [ ... ]    the CPU's array, bottom to top
 *   @CS avail= limit= batch= [ ... ]                 the shared array
 *   @CL partial|free|full SLAB SLAB ...              a list, head first
 * SLAB is `pfn active/objs colour=hex fl=ADDRESS [ index stack from active on ]`, ADDRESS is `pfn.offset`.
 *
 * Invariant: every slab's frames are known to the page allocator as a block, so that SLAB can give them back.
 */
#include "models/object_allocator/dump_text.h"
#include "models/object_allocator/slab.h"

/* Entries of the largest array that a kernel makes (a shared array: 8 * 120). */
#define ARRAY_ENTRIES_MAX 1024u

static const struct {
	const char *name;
	enum slab_list list;
} list_names[SLAB_LISTS] = {{"partial", SLABS_PARTIAL}, {"free", SLABS_FREE}, {"full", SLABS_FULL}};

/* Moves behind the next `mark`; false if there is none. */
static bool skip_behind(const char **at, const char *mark)
{
	const char *found = strstr(*at, mark);
	if (!found)
		return false;
	*at = found + strlen(mark);
	return true;
}

/* `pfn.offset`; `0.0` is no address. */
static bool take_address(const struct slab_allocator *allocator, const char **at, vaddr *address)
{
	uint64_t frame, offset = 0;
	if (!dump_take(at, 16, UINT32_MAX, &frame))
		return false;
	if (**at == '.') {
		++*at;
		if (!dump_take(at, 16, UINT32_MAX, &offset))
			return false;
	}
	*address = frame || offset ? vaddr_of(allocator->wiring.layout->direct_map + (frame << PAGE_SHIFT) + offset) : VADDR_NULL;
	return true;
}

static bool load_array(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array, const char *text)
{
	uint64_t avail = dump_number(text, "avail", 10);
	if (!array || avail > array->limit || avail > ARRAY_ENTRIES_MAX || !skip_behind(&text, "["))
		return false;
	vaddr objects[ARRAY_ENTRIES_MAX];
	for (uint64_t i = 0; i < avail; i++)
		if (!take_address(allocator, &text, &objects[i]))
			return false;
	return slab_load_array(allocator, cache, array, objects, (uint32_t)avail, (uint32_t)dump_number(text, "touched", 10));
}

static bool load_slab(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, const char **at)
{
	uint8_t stack[SLAB_OBJ_MAX_NUM];
	uint64_t frame, active, colour, index;
	vaddr freelist;
	if (!dump_take(at, 16, UINT32_MAX - 1, &frame) || !dump_take(at, 10, cache->num, &active) ||
	    !skip_behind(at, "colour=") || !dump_take(at, 16, UINT32_MAX, &colour) || !skip_behind(at, "fl=") ||
	    !take_address(allocator, at, &freelist) || !skip_behind(at, "["))
		return false;
	for (uint64_t i = 0; i < cache->num - active; i++) {
		if (!dump_take(at, 10, UINT8_MAX, &index))
			return false;
		stack[i] = (uint8_t)index;
	}
	const struct slab_state state = {.frame = pfn_of((uint32_t)frame),
	                                 .colour_bytes = (uint32_t)colour,
	                                 .active = (uint32_t)active,
	                                 .freelist = freelist.addr,
	                                 .stack = stack};
	return skip_behind(at, "]") && slab_load_slab(allocator, cache, list, &state) &&
	       page_adopt(allocator->wiring.pages, state.frame, cache->geometry.order);
}

static bool load_list(struct slab_allocator *allocator, struct slab_cache *cache, const char *text)
{
	for (size_t i = 0; i < SLAB_LISTS; i++) {
		const char *at = text + strlen("@CL ");
		if (!dump_starts(at, list_names[i].name))
			continue;
		for (at += strlen(list_names[i].name); at += strspn(at, " "), *at;)
			if (!load_slab(allocator, cache, list_names[i].list, &at))
				return false;
		return true;
	}
	return false;
}

static bool load_cpu_array(struct slab_allocator *allocator, struct slab_cache *cache, const char *text)
{
	const char *at = text + strlen("@CC");
	uint64_t cpu;
	return dump_take(&at, 10, CPUS_MAX - 1, &cpu) && cpu < allocator->rules.cpus &&
	       load_array(allocator, cache, cpu_array(cache, (unsigned)cpu), text);
}

static bool load_node(struct slab_allocator *allocator, struct slab_cache *cache, const char *text)
{
	const struct slab_node_state state = {
	        .total_slabs = dump_number(text, "total_slabs", 10),
	        .free_slabs = dump_number(text, "free_slabs", 10),
	        .free_objects = dump_number(text, "free_objects", 10),
	        .free_limit = (uint32_t)dump_number(text, "free_limit", 10),
	        .colour_next = (uint32_t)dump_number(text, "colour_next", 10),
	        .free_touched = dump_number(text, "free_touched", 10) != 0,
	};
	return slab_load_node(allocator, cache, &state);
}

static bool of_cache(const char *text)
{
	return dump_starts(text, "@CC ") || dump_starts(text, "@CS ") || dump_starts(text, "@CL ");
}

/* Slabs first, then arrays, then the node (slab.h). lines[0] is the @C line; gives the line that cannot be, NULL if all can. */
static const struct state_text *load_cache(struct slab_allocator *allocator, struct slab_cache *cache,
                                           const struct state_text *lines, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (dump_starts(lines[i].text, "@CL ") && !load_list(allocator, cache, lines[i].text))
			return &lines[i];
	for (size_t i = 1; i < count; i++) {
		if (dump_starts(lines[i].text, "@CC ") && !load_cpu_array(allocator, cache, lines[i].text))
			return &lines[i];
		if (dump_starts(lines[i].text, "@CS ") && !load_array(allocator, cache, cache->node.shared, lines[i].text))
			return &lines[i];
	}
	return load_node(allocator, cache, lines[0].text) ? NULL : &lines[0];
}

bool slab_load_dump(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	if (!dump_make_caches(objects, dump, error))
		return false;
	for (size_t i = 0, count; i < dump->text_count; i += count) {
		const struct state_text *lines = &dump->texts[i];
		char name[DUMP_NAME_MAX];
		count = 1;
		if (!dump_starts(lines[0].text, "@C "))
			continue;
		while (i + count < dump->text_count && of_cache(lines[count].text))
			count++;
		dump_cache_name(lines[0].text, name);
		struct slab_cache *cache = slab_cache_of(allocator, dump_find_cache(objects, name));
		const struct state_text *bad = cache ? load_cache(allocator, cache, lines, count) : lines;
		if (bad)
			return dump_error(bad, "the cache cannot be in this state", error);
	}
	return true;
}
