/* SPDX-License-Identifier: MIT
 *
 * slab_check.c - SLAB's side of the recorded logs (slab_log.h): prints a cache of the model as the recorder printed the kernel's,
 * for comparing line by line, and loads a dumped cache into the model.
 *
 * Lines of one cache, in this order:
 *   k ...                       what /proc/slabinfo would show, only in dumps of the script's own cache
 *   @C name key=value ...       geometry and node
 *   @CC cpu ... [ objects ]     a CPU's array, bottom first
 *   @CS 0 ... [ objects ]       the shared array
 *   @CL list frame active/num colour=.. fl=.. [ index[active..num) ] ...    slabs of a list, head first; empty lists have no line
 */
#include "models/object_allocator/slab.h"
#include "tests/oracle/slab_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The order in which the recorder prints the lists, and their names. */
static const struct {
	const char *name;
	enum slab_list list;
} dumped_lists[SLAB_LISTS] = {{"partial", SLABS_PARTIAL}, {"free", SLABS_FREE}, {"full", SLABS_FULL}};

/* Lines joined by newlines, growing. */
struct text {
	char *at;
	size_t used, capacity;
};

static void print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	SIM_ASSERT(length >= 0);
	if (text->used + (size_t)length + 1 > text->capacity) {
		text->capacity = 2 * (text->used + (size_t)length + 1);
		text->at = xrealloc(text->at, text->capacity);
	}
	va_start(arguments, format);
	vsnprintf(text->at + text->used, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->used += (size_t)length;
}

static void print_address(struct text *text, const struct slab_allocator *allocator, uint64_t at)
{
	uint64_t offset = at ? at - allocator->wiring.layout->direct_map : 0;
	print(text, "%" PRIx64 ".%" PRIx64, offset >> PAGE_SHIFT, offset & (PAGE_SIZE - 1));
}

static void print_slabinfo(struct text *text, const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	struct cache_view view;
	if (!slab_view(allocator, (cache_id){cache->id}, &view))
		return;
	print(text, "k active=%" PRIu64 " num=%" PRIu64 " act_slabs=%" PRIu64 " slabs=%" PRIu64 " shared=%" PRIu64,
	      view.active_objects, view.total_objects, view.active_slabs, view.slabs, view.shared_available);
	print(text, " objs=%u order=%u\n", view.objects_per_slab, cache->geometry.order);
}

/* The region for user copies is the whole object of kmalloc caches and nothing of a script's cache. */
static void print_cache(struct text *text, const struct slab_cache *cache)
{
	const struct slab_geometry *geometry = &cache->geometry;
	const struct slab_node *node = &cache->node;
	print(text, "@C %s obj=%u size=%u align=%u flags=%x order=%u objs=%u colour=%u colour_off=%u freelist_size=%u",
	      cache->name, cache->object_size, cache->size, geometry->align, geometry->flags, geometry->order, cache->num,
	      geometry->colour, geometry->colour_off, cache->num);
	print(text, " limit=%u batch=%u shared=%u allocflags=%x ref=%d ctor=%d usersize=%u", geometry->limit,
	      geometry->batchcount, geometry->shared, geometry->allocflags, cache->refcount, cache->ctor,
	      cache->kmalloc ? cache->object_size : 0);
	print(text,
	      " total_slabs=%" PRIu64 " free_slabs=%" PRIu64 " free_objects=%" PRIu64
	      " free_limit=%u colour_next=%u free_touched=%d\n",
	      node->total_slabs, node->free_slabs, node->free_objects, node->free_limit, node->colour_next, node->free_touched);
}

static void print_array(struct text *text, const struct slab_allocator *allocator, const char *tag, unsigned cpu,
                        const struct array_cache *array)
{
	print(text, "%s %u avail=%u limit=%u batch=%u touched=%u [", tag, cpu, array->avail, array->limit, array->batchcount,
	      array->touched);
	for (uint32_t i = 0; i < array->avail; i++) {
		const struct slab *slab = slab_at(allocator, array->entry[i].slab);
		print(text, " ");
		print_address(text, allocator, slab_object_address(slab->cache, slab, array->entry[i].index));
	}
	print(text, " ]\n");
}

static void print_slab(struct text *text, const struct slab_allocator *allocator, const struct slab_cache *cache,
                       struct slab *slab)
{
	uint64_t begin = layout_page_address(allocator->wiring.layout, pfn_of(slab->frame)).addr;
	print(text, " %x %u/%u colour=%" PRIx64 " fl=", slab->frame, slab->active, cache->num, slab->s_mem - begin);
	print_address(text, allocator, slab->freelist);
	print(text, " [");
	for (uint32_t i = slab->active; slab->freelist && i < cache->num; i++)
		print(text, " %u", slab_index(cache, slab)[i]);
	print(text, " ]");
}

static void print_lists(struct text *text, const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	for (size_t i = 0; i < SLAB_LISTS; i++) {
		uint32_t number = cache->node.list[dumped_lists[i].list].first;
		if (number == 0)
			continue;
		print(text, "@CL %s", dumped_lists[i].name);
		for (; number != 0; number = slab_at(allocator, number)->next)
			print_slab(text, allocator, cache, slab_at(allocator, number));
		print(text, "\n");
	}
}

static void print_lines(struct text *text, const struct slab_allocator *allocator, const struct slab_cache *cache)
{
	print_cache(text, cache);
	for (unsigned cpu = 0; cpu < allocator->rules.cpus; cpu++)
		print_array(text, allocator, "@CC", cpu, cpu_array(cache, cpu));
	if (cache->node.shared)
		print_array(text, allocator, "@CS", 0, cache->node.shared);
	print_lists(text, allocator, cache);
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

static bool begins_cache(const struct slab_log_line *line)
{
	return strncmp(line->text, "@C ", 3) == 0;
}

/* Whether a line belongs to the cache whose @C line stands before it. */
static bool of_cache(const struct slab_log_line *line)
{
	return strncmp(line->text, "@CC ", 4) == 0 || strncmp(line->text, "@CS ", 4) == 0 || strncmp(line->text, "@CL ", 4) == 0;
}

/* Holds recorded lines, as many as the model printed, against the text; what one side has alone is a difference. */
static void compare_lines(const struct slab_log *log, const struct slab_log_line *lines, size_t count, struct text *text,
                          struct slab_log_tally *tally)
{
	char *rest = text->at;
	for (size_t i = 0; i < count; i++) {
		char *end = rest ? strchr(rest, '\n') : NULL;
		if (end)
			*end = '\0';
		slab_log_state(tally, log, &lines[i], end ? rest : "");
		rest = end ? end + 1 : NULL;
	}
	if (!rest || *rest == '\0')
		return;
	tally->states++;
	slab_log_differs(tally, log, &lines[count - 1], "the model has one line more: %.300s", rest);
}

void slab_state_compare(struct object_allocator *objects, cache_id own, const struct slab_log *log,
                        const struct slab_log_dump *dump, struct slab_log_tally *tally)
{
	const struct slab_allocator *allocator = slab_allocator_of(objects);
	object_allocator_check(objects);
	for (size_t i = 0, count; i < dump->count; i += count) {
		const struct slab_log_line *line = &dump->lines[i];
		struct text text = {0};
		count = 1;
		if (line->kind == LOG_SLABINFO && own.nr != UINT32_MAX) {
			print_slabinfo(&text, allocator, slab_cache_of(allocator, own));
			compare_lines(log, line, count, &text, tally);
		}
		const struct slab_cache *cache = begins_cache(line) ? named_cache(allocator, line->text) : NULL;
		if (cache) {
			while (i + count < dump->count && of_cache(&dump->lines[i + count]))
				count++;
			print_lines(&text, allocator, cache);
			compare_lines(log, line, count, &text, tally);
		}
		free(text.at);
	}
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
                       const struct slab_log_line *line)
{
	uint64_t avail = slab_log_number(line, "avail", 0);
	const char *at = line->text;
	if (!array || avail > array->limit || slab_log_number(line, "limit", 0) != array->limit || !skip_behind(&at, "["))
		return false;
	vaddr objects[SHARED_LIMIT_MAX];
	for (uint64_t i = 0; i < avail; i++)
		objects[i] = read_address(allocator, &at);
	return slab_load_array(allocator, cache, array, objects, (uint32_t)avail, (uint32_t)slab_log_number(line, "touched", 0));
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

static bool load_list(struct slab_allocator *allocator, struct slab_cache *cache, const struct slab_log_line *line)
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

static bool load_node(struct slab_allocator *allocator, struct slab_cache *cache, const struct slab_log_line *line)
{
	struct slab_node_state state = {
	        .total_slabs = slab_log_number(line, "total_slabs", 0),
	        .free_slabs = slab_log_number(line, "free_slabs", 0),
	        .free_objects = slab_log_number(line, "free_objects", 0),
	        .free_limit = (uint32_t)slab_log_number(line, "free_limit", 0),
	        .colour_next = (uint32_t)slab_log_number(line, "colour_next", 0),
	        .free_touched = slab_log_number(line, "free_touched", 0) != 0,
	};
	return slab_load_node(allocator, cache, &state);
}

/* Slabs first, then arrays, then the node (slab.h). lines[0] is the @C line. */
static const struct slab_log_line *load_cache(struct slab_allocator *allocator, struct slab_cache *cache,
                                              const struct slab_log_line *lines, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (strncmp(lines[i].text, "@CL ", 4) == 0 && !load_list(allocator, cache, &lines[i]))
			return &lines[i];
	for (size_t i = 1; i < count; i++) {
		const char *text = lines[i].text;
		unsigned long cpu = strtoul(text + 4, NULL, 10);
		bool cpu_line = strncmp(text, "@CC ", 4) == 0;
		if (cpu_line &&
		    (cpu >= allocator->rules.cpus || !load_array(allocator, cache, cpu_array(cache, (unsigned)cpu), &lines[i])))
			return &lines[i];
		if (strncmp(text, "@CS ", 4) == 0 && !load_array(allocator, cache, cache->node.shared, &lines[i]))
			return &lines[i];
	}
	return load_node(allocator, cache, &lines[0]) ? NULL : &lines[0];
}

bool slab_state_load(struct object_allocator *objects, const struct slab_log_dump *dump, struct error *error)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	for (size_t i = 0, count; i < dump->count; i += count) {
		const struct slab_log_line *line = &dump->lines[i];
		count = 1;
		struct slab_cache *cache = begins_cache(line) ? named_cache(allocator, line->text) : NULL;
		if (!cache)
			continue;
		while (i + count < dump->count && of_cache(&dump->lines[i + count]))
			count++;
		const struct slab_log_line *bad = load_cache(allocator, cache, line, count);
		if (bad)
			return error_set(error, ERROR_INPUT, "line %u: cache %s cannot be in this state: %.200s", bad->number,
			                 cache->name, bad->text);
	}
	object_allocator_check(objects);
	return true;
}
