/* SPDX-License-Identifier: MIT
 *
 * oracle_objects.c - replays slab and kmalloc scripts on an object allocator (interface: oracle.h).
 *
 * The first whole dump is the start state: its page lists go into a buddy, its caches into the object allocator; what stands in
 * front of it is not replayed.
 *
 * Order of the events: those of an allocating call stand before its line, those of a free behind it. What a free leaves over
 * belongs to the call behind it (an allocation can give pages back, a free never takes any).
 * Objects of others (KM, KF; CA and CF of caches the model has) are replayed where they stand.
 */
#include "models/registry.h"
#include "tools/kmemsim/oracle.h"

#include <stdlib.h>
#include <string.h>

struct run {
	struct oracle *oracle;
	const struct recording *recording;
	struct follower pages;
	vaddr *at;          /* by id: the object the model gave */
	bool kmalloc_known; /* the start state shows the kmalloc caches, so objects of others in them can be made */
	bool started;       /* the start state is behind us: from here on calls are made */
};

/* ---- what a line stands for ---- */

static vaddr address_of(const struct run *run, const struct recording_line *line)
{
	return vaddr_of(layout_page_address(&run->oracle->layout, pfn_of(line->frame)).addr + line->offset);
}

/* Whether an object of somebody else is replayed. */
static bool replays_object(const struct run *run, const struct recording_line *line)
{
	const char *what = strchr(line->text, ' ');
	return run->started && run->kmalloc_known && line->kind == LINE_OBJECT && what && what[1] == 'K' &&
	       line->frame != UINT32_MAX && line->cpu < run->oracle->settings.machine.cpus;
}

/* The first line at or behind `i` that is no event of the call before it. */
static size_t behind_events(const struct run *run, size_t i)
{
	const struct recording *recording = run->recording;
	while (i < recording->count && recording_is_event(&recording->lines[i]) && !replays_object(run, &recording->lines[i]))
		i++;
	return i;
}

/* ---- calls ---- */

/* The address of an allocating call. */
static bool allocation_is_equal(struct run *run, const struct recording_line *line, vaddr at)
{
	struct oracle *oracle = run->oracle;
	if (line->failed || !at.addr) {
		if (line->failed != !at.addr)
			oracle_differs(oracle, line, "\"%.80s\": the model %s", line->text,
			               at.addr ? "has memory" : "has no memory");
		return line->failed == !at.addr;
	}
	uint32_t frame = UINT32_MAX, offset = 0;
	if (at.addr != ZERO_SIZE_PTR.addr) {
		frame = layout_pfn_of(&oracle->layout, at).nr;
		offset = (uint32_t)(at.addr & (PAGE_SIZE - 1));
	}
	if (frame == line->frame && offset == line->offset)
		return true;
	oracle_differs(oracle, line, "\"%.80s\": expected %x.%x, got %x.%x", line->text, line->frame, line->offset, frame,
	               offset);
	oracle_tell_cache(oracle);
	return false;
}

static void end_call(struct run *run, bool equal)
{
	run->oracle->tally->calls_equal += equal && run->pages.equal;
	oracle_check(run->oracle);
}

static void make_allocation(struct run *run, size_t i)
{
	const struct recording_line *line = &run->recording->lines[i];
	struct oracle *oracle = run->oracle;
	follower_begin(&run->pages, line, i);
	struct object object = {.at = VADDR_NULL}; /* of a cache that a damaged script has destroyed already */
	if (line->kind != LINE_ALLOC)
		object = object_kmalloc(oracle->objects, line->size, line->flags, 0);
	else if (oracle->own.nr != UINT32_MAX)
		object = cache_alloc(oracle->objects, oracle->own, line->flags, 0);
	run->at[line->id] = object.at;
	bool equal = allocation_is_equal(run, line, object.at);
	equal = follower_end(&run->pages, i) && equal;
	end_call(run, equal);
}

static bool free_is_done(struct run *run, const struct recording_line *line, vaddr at, unsigned cpu)
{
	struct oracle *oracle = run->oracle;
	bool kfree = oracle->own.nr == UINT32_MAX || line->kind == LINE_OBJECT;
	enum object_free_result result =
	        kfree ? object_kfree(oracle->objects, at, cpu) : cache_free(oracle->objects, oracle->own, at, cpu);
	if (result == OBJECT_FREE_OK)
		return true;
	oracle_differs(oracle, line, "\"%.80s\": the model refuses the free (result %d)", line->text, (int)result);
	return false;
}

/* Whether the page events that a free leaves over may be those of an allocation behind it. */
static bool allocation_follows(const struct run *run, size_t next)
{
	if (next >= run->recording->count)
		return run->recording->cut;
	const struct recording_line *line = &run->recording->lines[next];
	return line->kind == LINE_ALLOC || line->kind == LINE_KMALLOC || line->kind == LINE_KSIZE ||
	       (line->kind == LINE_OBJECT && line->taken);
}

static bool events_of_free_met(struct run *run, size_t i)
{
	size_t next = behind_events(run, i + 1);
	return allocation_follows(run, next) || follower_end(&run->pages, next);
}

static void make_free(struct run *run, size_t i)
{
	const struct recording_line *line = &run->recording->lines[i];
	follower_begin(&run->pages, line, behind_events(run, i + 1));
	bool equal = free_is_done(run, line, run->at[line->id], 0);
	run->at[line->id] = VADDR_NULL;
	equal = events_of_free_met(run, i) && equal;
	end_call(run, equal);
}

/* kmalloc, ksize and kfree in one line; the kfree's page events stand behind it. */
static void make_sized_pair(struct run *run, size_t i)
{
	const struct recording_line *line = &run->recording->lines[i];
	struct object_allocator *objects = run->oracle->objects;
	follower_begin(&run->pages, line, i);
	struct object object = object_kmalloc(objects, line->size, line->flags, 0);
	bool equal = allocation_is_equal(run, line, object.at);
	equal = follower_end(&run->pages, i) && equal;
	uint32_t usable = object.at.addr > ZERO_SIZE_PTR.addr ? objects->ops->ksize(objects, object.at) : 0;
	if (usable != line->ksize) {
		oracle_differs(run->oracle, line, "\"%.80s\": expected ksize %u, got %u", line->text, line->ksize, usable);
		equal = false;
	}
	run->pages.limit = behind_events(run, i + 1);
	equal = free_is_done(run, line, object.at, 0) && equal;
	equal = events_of_free_met(run, i) && equal;
	end_call(run, equal);
}

/* kmem_cache_shrink() and kmem_cache_destroy() of the script's cache. */
static void make_cache_call(struct run *run, size_t i)
{
	const struct recording_line *line = &run->recording->lines[i];
	struct oracle *oracle = run->oracle;
	if (oracle->own.nr == UINT32_MAX)
		return;
	size_t limit = behind_events(run, i + 1);
	follower_begin(&run->pages, line, limit);
	bool equal = true;
	if (line->kind == LINE_SHRINK) {
		oracle->objects->ops->cache_shrink(oracle->objects, oracle->own, 0);
	} else {
		equal = cache_destroy(oracle->objects, oracle->own, 0);
		if (!equal)
			oracle_differs(oracle, line, "the model refuses to destroy the cache");
		oracle->own = CACHE_NONE;
		/* What others free behind it is older than the start state. */
		run->kmalloc_known = false;
	}
	equal = follower_end(&run->pages, limit) && equal;
	end_call(run, equal);
}

/* An object of somebody else in a kmalloc cache; its pages' events stand as those of the script's own calls do. */
static void make_foreign_object(struct run *run, size_t i)
{
	const struct recording_line *line = &run->recording->lines[i];
	struct oracle *oracle = run->oracle;
	bool equal;
	oracle->tally->foreign++;
	follower_begin(&run->pages, line, line->taken ? i : behind_events(run, i + 1));
	if (line->taken) {
		struct object object = object_kmalloc(oracle->objects, line->size, line->flags, line->cpu);
		equal = allocation_is_equal(run, line, object.at);
		equal = follower_end(&run->pages, i) && equal;
	} else {
		equal = free_is_done(run, line, address_of(run, line), line->cpu);
		equal = events_of_free_met(run, i) && equal;
	}
	end_call(run, equal);
}

/* ---- dumps ---- */

static bool load_objects(struct run *run, const struct state_dump *dump, struct error *error)
{
	struct oracle *oracle = run->oracle;
	struct error inner = {0};
	if (!oracle->objects->ops->load_state(oracle->objects, dump, &inner))
		return error_set(error, inner.kind, "%s: %s", run->recording->path, inner.text);
	object_allocator_check(oracle->objects);
	return true;
}

static bool start(struct run *run, const struct recording_dump *from, const struct state_dump *dump, struct error *error)
{
	run->started = true;
	run->pages.cursor = (size_t)(from->lines - run->recording->lines) + from->count;
	if (state_dump_has(dump, 'p') && dump->free_list_count > 0 && !oracle_load_pages(run->oracle, dump, error))
		return false;
	if (!run->oracle->buddy)
		fprintf(run->oracle->note, "; no page lists: frames are handed out as recorded");
	return load_objects(run, dump, error);
}

/* The first dump is the start state, every later one a state to be equal to. */
static bool take_dump(struct run *run, size_t i, size_t *next, struct error *error)
{
	struct recording_dump from = recording_dump_at(run->recording, i);
	struct state_dump dump;
	*next = i + from.count;
	if (!from.whole)
		return true;
	if (!from.state) {
		if (run->started)
			oracle_compare_objects(run->oracle, &from);
		return true;
	}
	if (!recording_state(run->recording, &from, &dump, error))
		return false;
	bool done = true;
	if (!run->started) {
		done = start(run, &from, &dump, error);
	} else {
		oracle_compare_objects(run->oracle, &from);
		if (run->oracle->buddy && state_dump_has(&dump, 'p'))
			oracle_compare_pages(run->oracle, from.lines, &dump);
	}
	state_dump_release(&dump);
	return done;
}

/* ---- the whole recording ---- */

static bool run_line(struct run *run, size_t i, size_t *next, struct error *error)
{
	const struct recording_line *line = &run->recording->lines[i];
	*next = i + 1;
	if (line->kind == LINE_DUMP)
		return state_text_begins(line->text, "@END") || take_dump(run, i, next, error);
	if (!run->started)
		return true;
	switch ((enum recording_line_kind)line->kind) {
	case LINE_SHRINK:
	case LINE_DESTROY:
		make_cache_call(run, i);
		return true;
	case LINE_ALLOC:
	case LINE_KMALLOC:
		make_allocation(run, i);
		return true;
	case LINE_FREE:
		make_free(run, i);
		return true;
	case LINE_KSIZE:
		make_sized_pair(run, i);
		return true;
	case LINE_OBJECT:
		if (replays_object(run, line))
			make_foreign_object(run, i);
		return true;
	case LINE_NOTE:
	case LINE_BLOCK:
	case LINE_EVENT:
		return true;
	case LINE_PAGES:
	case LINE_PAGES_FREE:
	case LINE_VMALLOC:
	case LINE_AREA:
	case LINE_VFREE:
	case LINE_KMAP:
	case LINE_SLABINFO:
	case LINE_POW2:
	case LINE_DUMP:
		break;
	}
	return error_set(error, ERROR_INPUT, "%s:%u: \"%.60s\" has no place in a %s recording", run->recording->path,
	                 line->number, line->text, recording_script_name(run->recording->script));
}

/* The script's own cache, made as its #BEGIN line says. */
static bool make_cache(struct oracle *oracle, struct error *error)
{
	const char *begin = oracle->recording->begin;
	uint32_t size = (uint32_t)state_text_number(begin, "size", 0), align = (uint32_t)state_text_number(begin, "align", 0);
	bool line = state_text_number(begin, "hwalign", 0) != 0;
	char *name = xasprintf("o_%u_%u%s", size, align, line ? "h" : "n");
	struct cache_spec spec = {.name = name, .object_size = size, .align = align, .flags = line ? SLAB_HWCACHE_ALIGN : 0};
	if (size > 0 && (align & (align - 1)) == 0)
		oracle->own = cache_create(oracle->objects, &spec);
	free(name);
	if (oracle->own.nr == UINT32_MAX)
		return error_set(error, ERROR_INPUT, "%s: the model refuses this cache: %s", oracle->recording->path, begin);
	return true;
}

bool oracle_make_objects(struct oracle *oracle, struct page_allocator *pages, struct error *error)
{
	if (!oracle->allocator[0])
		return error_set(error, ERROR_INPUT, "%s: neither its dumps nor facts beside it tell which allocator it is of",
		                 oracle->recording->path);
	const struct object_allocator_model *model = object_allocator_model(oracle->allocator, error);
	const struct object_allocator_wiring wiring = {
	        .settings = &oracle->settings, .pages = pages, .layout = &oracle->layout, .steps = &oracle->steps};
	oracle->objects = model ? model->create(&wiring, error) : NULL;
	return oracle->objects != NULL;
}

bool oracle_replay_objects(struct oracle *oracle, struct error *error)
{
	const struct recording *recording = oracle->recording;
	struct run run = {.oracle = oracle,
	                  .recording = recording,
	                  .at = xcalloc(RECORDING_IDS_MAX, sizeof *run.at),
	                  .kmalloc_known = recording->script != RECORDING_SLAB || strcmp(oracle->allocator, "slob") == 0};
	follower_init(&run.pages, oracle);
	bool done = oracle_make_objects(oracle, &run.pages.base, error);
	done = done && (recording->script != RECORDING_SLAB || make_cache(oracle, error));
	for (size_t i = 0, next; done && i < recording->count; i = next)
		done = run_line(&run, i, &next, error);
	if (done && !run.started)
		fprintf(oracle->note, "; it has no whole start state: nothing to replay");
	if (done)
		object_allocator_check(oracle->objects);
	run.pages.in_order = false;
	if (oracle->buddy && done)
		page_allocator_check(oracle->buddy);
	page_allocator_destroy(oracle->buddy);
	oracle->buddy = NULL;
	object_allocator_destroy(oracle->objects);
	oracle->objects = NULL;
	page_allocator_destroy(&run.pages.base);
	free(run.at);
	return done;
}
