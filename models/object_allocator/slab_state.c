/* SPDX-License-Identifier: MIT
 *
 * slab_state.c - SLAB's lists as lines of a state dump, printed and read back (interface: print_state and load_state of
 * sim/port/object_allocator.h).
 *
 * Lines of one cache, in this order:
 *   @C name key=value ...       geometry and node
 *   @CC cpu ... [ objects ]     a CPU's array, bottom first
 *   @CS 0 ... [ objects ]       the shared array
 *   @CL list frame active/num colour=.. fl=.. [ index[active..num) ] ...    slabs of a list, head first; empty lists have no line
 */
#include "models/object_allocator/slab.h"
#include "sim/state_dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The order in which the recorder prints the lists, and their names. */
static const struct {
	const char *name;
	enum slab_list list;
} dumped_lists[SLAB_LISTS] = {{"partial", SLABS_PARTIAL}, {"free", SLABS_FREE}, {"full", SLABS_FULL}};

static void print_address(FILE *out, const struct slab_allocator *allocator, uint64_t at)
{
	uint64_t offset = at ? at - allocator->wiring.layout->direct_map : 0;
	fprintf(out, "%" PRIx64 ".%" PRIx64, offset >> PAGE_SHIFT, offset & (PAGE_SIZE - 1));
}

static void print_cache(FILE *out, const struct slab_cache *cache)
{
	const struct slab_geometry *geometry = &cache->geometry;
	const struct slab_node *node = &cache->node;
	fprintf(out, "@C %s obj=%u size=%u align=%u flags=%x order=%u objs=%u colour=%u colour_off=%u freelist_size=%u",
	        cache->name, cache->object_size, cache->size, geometry->align, geometry->flags, geometry->order, cache->num,
	        geometry->colour, geometry->colour_off, cache->num);
	fprintf(out, " limit=%u batch=%u shared=%u allocflags=%x ref=%d ctor=%d usersize=%u", geometry->limit,
	        geometry->batchcount, geometry->shared, geometry->allocflags, cache->refcount, cache->ctor, cache->usersize);
	fprintf(out,
	        " total_slabs=%" PRIu64 " free_slabs=%" PRIu64 " free_objects=%" PRIu64
	        " free_limit=%u colour_next=%u free_touched=%d\n",
	        node->total_slabs, node->free_slabs, node->free_objects, node->free_limit, node->colour_next, node->free_touched);
}

static void print_array(FILE *out, const struct slab_allocator *allocator, const char *tag, unsigned cpu,
                        const struct array_cache *array)
{
	fprintf(out, "%s %u avail=%u limit=%u batch=%u touched=%u [", tag, cpu, array->avail, array->limit, array->batchcount,
	        array->touched);
	for (uint32_t i = 0; i < array->avail; i++) {
		const struct slab *slab = slab_at(allocator, array->entry[i].slab);
		fprintf(out, " ");
		print_address(out, allocator, slab_object_address(slab->cache, slab, array->entry[i].index));
	}
	fprintf(out, " ]\n");
}

static void print_slab(FILE *out, const struct slab_allocator *allocator, const struct slab_cache *cache, struct slab *slab)
{
	uint64_t begin = layout_page_address(allocator->wiring.layout, pfn_of(slab->frame)).addr;
	fprintf(out, " %x %u/%u colour=%" PRIx64 " fl=", slab->frame, slab->active, cache->num, slab->s_mem - begin);
	print_address(out, allocator, slab->freelist);
	fprintf(out, " [");
	for (uint32_t i = slab->active; slab->freelist && i < cache->num; i++)
		fprintf(out, " %u", slab_index(cache, slab)[i]);
	fprintf(out, " ]");
}

static void print_lists(FILE *out, const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	for (size_t i = 0; i < SLAB_LISTS; i++) {
		uint32_t number = cache->node.list[dumped_lists[i].list].first;
		if (number == 0)
			continue;
		fprintf(out, "@CL %s", dumped_lists[i].name);
		for (; number != 0; number = slab_at(allocator, number)->next)
			print_slab(out, allocator, cache, slab_at(allocator, number));
		fprintf(out, "\n");
	}
}

static void print_lines(FILE *out, const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	print_cache(out, cache);
	for (unsigned cpu = 0; cpu < allocator->rules.cpus; cpu++)
		print_array(out, allocator, "@CC", cpu, cpu_array(cache, cpu));
	if (cache->node.shared)
		print_array(out, allocator, "@CS", 0, cache->node.shared);
	print_lists(out, allocator, cache);
}

void slab_print_state(const struct object_allocator *objects, cache_id one, FILE *out)
{
	const struct slab_allocator *allocator = (const struct slab_allocator *)objects;
	for (uint32_t nr = 0; nr < allocator->cache_limit; nr++) {
		struct slab_cache *cache = slab_cache_of(allocator, (cache_id){nr});
		if (cache && (one.nr == UINT32_MAX || one.nr == nr))
			print_lines(out, allocator, cache);
	}
}

/* The cache an @C line names, NULL if the model has none of that name. */
static struct slab_cache *named_cache(const struct slab_allocator *allocator, const char *line)
{
	const char *name = line + strlen("@C ");
	size_t length = strcspn(name, " ");
	for (uint32_t nr = 0; nr < allocator->cache_limit; nr++) {
		struct slab_cache *cache = slab_cache_of(allocator, (cache_id){nr});
		if (cache && strlen(cache->name) == length && memcmp(cache->name, name, length) == 0)
			return cache;
	}
	return NULL;
}

/* Whether a line belongs to the cache whose @C line stands before it. */
static bool of_cache(const struct state_text *line)
{
	return state_text_begins(line->text, "@CC ") || state_text_begins(line->text, "@CS ") ||
	       state_text_begins(line->text, "@CL ");
}

/* ---- loading ---- */

/* Reads a number and moves behind it. */
static uint64_t read_number(const char **at, int base)
{
	char *end;
	uint64_t number = strtoull(*at, &end, base);
	*at = end;
	return number;
}

/* Reads `frame.offset` at *at and moves behind it. */
static vaddr read_address(const struct slab_allocator *allocator, const char **at)
{
	uint64_t frame = read_number(at, 16);
	uint64_t offset = 0;
	if (**at == '.') {
		++*at;
		offset = read_number(at, 16);
	}
	if (frame == 0 && offset == 0)
		return VADDR_NULL;
	return vaddr_of(allocator->wiring.layout->direct_map + (frame << PAGE_SHIFT) + offset);
}

/* Moves behind the next `mark`; false if there is none. */
static bool skip_behind(const char **at, const char *mark)
{
	const char *found = strstr(*at, mark);
	if (!found)
		return false;
	*at = found + strlen(mark);
	return true;
}

static bool load_array(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array,
                       const struct state_text *line)
{
	uint64_t avail = state_text_number(line->text, "avail", 0);
	const char *at = line->text;
	if (!array || avail > array->limit || state_text_number(line->text, "limit", 0) != array->limit || !skip_behind(&at, "["))
		return false;
	vaddr objects[SHARED_LIMIT_MAX];
	for (uint64_t i = 0; i < avail; i++)
		objects[i] = read_address(allocator, &at);
	return slab_load_array(allocator, cache, array, objects, (uint32_t)avail,
	                       (uint32_t)state_text_number(line->text, "touched", 0));
}

/* One slab of an @CL line; *at stands before its frame and afterwards behind its closing bracket. */
static bool load_slab(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, const char **at)
{
	uint8_t stack[SLAB_OBJ_MAX_NUM];
	struct slab_state state = {.stack = stack};
	state.frame = pfn_of((uint32_t)read_number(at, 16));
	state.active = (uint32_t)read_number(at, 10);
	if (!skip_behind(at, "colour="))
		return false;
	state.colour_bytes = (uint32_t)read_number(at, 16);
	if (!skip_behind(at, "fl="))
		return false;
	state.freelist = read_address(allocator, at).addr;
	if (!skip_behind(at, "[") || state.active > cache->num)
		return false;
	for (uint32_t i = 0; i < cache->num - state.active; i++)
		stack[i] = (uint8_t)read_number(at, 10);
	return skip_behind(at, "]") && slab_load_slab(allocator, cache, list, &state);
}

static bool load_list(struct slab_allocator *allocator, struct slab_cache *cache, const struct state_text *line)
{
	const char *at = line->text + strlen("@CL ");
	for (size_t i = 0; i < SLAB_LISTS; i++) {
		size_t length = strlen(dumped_lists[i].name);
		if (strncmp(at, dumped_lists[i].name, length) != 0)
			continue;
		for (at += length; *at == ' ';)
			if (!load_slab(allocator, cache, dumped_lists[i].list, &at))
				return false;
		return true;
	}
	return false;
}

static bool load_node(struct slab_allocator *allocator, struct slab_cache *cache, const struct state_text *line)
{
	struct slab_node_state state = {
	        .total_slabs = state_text_number(line->text, "total_slabs", 0),
	        .free_slabs = state_text_number(line->text, "free_slabs", 0),
	        .free_objects = state_text_number(line->text, "free_objects", 0),
	        .free_limit = (uint32_t)state_text_number(line->text, "free_limit", 0),
	        .colour_next = (uint32_t)state_text_number(line->text, "colour_next", 0),
	        .free_touched = state_text_number(line->text, "free_touched", 0) != 0,
	};
	return slab_load_node(allocator, cache, &state);
}

/* Slabs first, then arrays, then the node (slab.h). lines[0] is the @C line. */
static const struct state_text *load_cache(struct slab_allocator *allocator, struct slab_cache *cache,
                                           const struct state_text *lines, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (state_text_begins(lines[i].text, "@CL ") && !load_list(allocator, cache, &lines[i]))
			return &lines[i];
	for (size_t i = 1; i < count; i++) {
		const char *text = lines[i].text;
		unsigned long cpu = strtoul(text + 4, NULL, 10);
		bool cpu_line = state_text_begins(text, "@CC ");
		if (cpu_line &&
		    (cpu >= allocator->rules.cpus || !load_array(allocator, cache, cpu_array(cache, (unsigned)cpu), &lines[i])))
			return &lines[i];
		if (state_text_begins(text, "@CS ") && !load_array(allocator, cache, cache->node.shared, &lines[i]))
			return &lines[i];
	}
	return load_node(allocator, cache, &lines[0]) ? NULL : &lines[0];
}

bool slab_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	for (size_t i = 0, count; i < dump->text_count; i += count) {
		const struct state_text *line = &dump->texts[i];
		count = 1;
		struct slab_cache *cache = state_text_begins(line->text, "@C ") ? named_cache(allocator, line->text) : NULL;
		if (!cache)
			continue;
		while (i + count < dump->text_count && of_cache(&dump->texts[i + count]))
			count++;
		const struct state_text *bad = load_cache(allocator, cache, line, count);
		if (bad)
			return error_set(error, ERROR_INPUT, "line %llu: cache %s cannot be in this state: %.200s",
			                 (unsigned long long)bad->line, cache->name, bad->text);
	}
	return true;
}
