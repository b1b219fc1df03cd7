/* SPDX-License-Identifier: MIT
 *
 * ideal.c - processes whose memory costs nothing but the pages they need: the bound that the kernel's way is held against.
 *
 * Interface: the user_memory port. A page comes with its first touch, at once: a write to private memory takes a frame, a read of
 * what nobody wrote takes none (all share the zero page), pages of files come from their cache, and after a fork private pages
 * are shared until one of their users writes. What a page is stands in a tree of the host (page_tree.h).
 *
 * MODEL: no page faults, no page tables, no TLBs and their flushes, no switches of address spaces, no huge pages, no locks, and
 * no frames or objects for tasks, areas and kernel stacks. Effect: what is left of memory is the pages that hold contents, what
 * is left of the time is the program's accesses. MODEL: accesses go through the kernel's direct map, as there are no tables to
 * walk; those of high memory are left out. MODEL: private and shared pages are told to no page_watcher: they are neither
 * reclaimed nor swapped, so unmap_page() knows pages of files alone. Effect: memory ends where all of it is private pages.
 *
 * Laws (check): touched pages = the sum of what touches found or did; a frame's count is the words that name it; a space's counts
 * and the gauges are those found; every word lies in an area; processes made - ended = there are.
 */
#include "models/settings.h"
#include "models/user_memory/page_tree.h"
#include "sim/metric.h"
#include "sim/port/user_memory.h"
#include "sim/trace_table.h"

#include <stdlib.h>
#include <string.h>

extern const struct user_memory_ops user_memory_ideal_ops;
struct user_memory *user_memory_ideal_create(const struct user_memory_wiring *wiring, struct error *error);

/* What one access of a touch reads or writes. */
#define ACCESS_BYTES 8u
/* PAGE_OFFSET of i386. */
#define USER_END_32BIT 0xc0000000u

/* A word: frame << PAGE_SHIFT, what it is (never 0), and what was done with it. */
enum ideal_kind { IDEAL_NONE, IDEAL_PRIVATE, IDEAL_FILE, IDEAL_SHARED, IDEAL_ZERO, IDEAL_KINDS };
#define IDEAL_KIND 7u
#define IDEAL_USED 8u
#define IDEAL_DIRTY 16u

struct ideal_counters {
	uint64_t processes_created, processes_forked, threads_created, execs, exits;
	uint64_t touched_pages; /* = the next seven */
	uint64_t touches_found, touches_taken, touches_zero, touches_copied, touches_file, touches_shared, touches_failed;
	/* Levels. */
	uint64_t mapped_pages, zero_pages, private_pages, shared_pages, kept_pages;
};

/* What is known of a frame that words name, or that holds shared memory. */
struct frame_use {
	uint32_t words;
	uint32_t file;  /* likewise of shared memory: its number */
	uint64_t place; /* page of the file or the shared memory; of a private page the linear one */
	uint8_t kind;   /* enum ideal_kind */
};

/* Memory that areas of USER_SHARED have in common. */
struct shared {
	uint32_t number, areas;
	uint64_t pages;
	uint32_t *frames; /* owned; plus 1, 0: none yet */
};

/* Pages by number, linear address >> PAGE_SHIFT. */
struct ideal_area {
	uint64_t first, end;
	enum user_area_kind kind;
	unsigned rights;
	uint32_t file;
	uint64_t first_page; /* of the file or the shared memory at `first` */
	struct shared *shared;
};

struct ideal_space {
	struct ideal_area *areas; /* owned, ascending */
	uint32_t count, room;
	struct page_tree pages;
	uint32_t sharers, slot, last_cpu;
	uint64_t mapped[IDEAL_KINDS]; /* words by kind */
};

struct ideal_process {
	struct ideal_space *space; /* NULL: no such process */
	vaddr stack;
};

struct kept_page {
	uint64_t key; /* file << 40 | index, plus 1 */
	uint32_t frame;
};

struct ideal {
	struct user_memory port;
	struct page_allocator *pages;
	struct layout *layout;
	struct steps *steps;
	uint32_t user_access_cycles;
	uint64_t user_end;
	struct frame_use *use; /* by frame */
	uint32_t end_pfn;
	struct virtual_allocator *stacks; /* NULL: there are none */
	struct ideal_process *process;    /* by process_id; owned */
	uint32_t *free_ids;
	uint32_t process_count, process_room, free_count;
	struct ideal_space **spaces; /* every one that lives */
	uint32_t space_count, space_room, next_shared;
	struct number_map kept; /* the model's own pages of files, where nobody keeps them */
	struct ideal_counters counters;
};

static const struct metric ideal_metrics[] = {
        METRIC(struct ideal_counters, processes_created, "1", "Processes made by the kernel itself"),
        METRIC(struct ideal_counters, processes_forked, "1", "Processes made by fork()"),
        METRIC(struct ideal_counters, threads_created, "1", "Threads made by clone(CLONE_VM)"),
        METRIC(struct ideal_counters, execs, "1", "Programs that took a process over (execve)"),
        METRIC(struct ideal_counters, exits, "1", "Processes and threads that ended"),
        METRIC(struct ideal_counters, touched_pages, "1", "Pages that touches came by, each time counted"),
        METRIC(struct ideal_counters, touches_found, "1", "Of them, those that were there"),
        METRIC(struct ideal_counters, touches_taken, "1", "Of them, those that took a frame"),
        METRIC(struct ideal_counters, touches_zero, "1", "Of them, reads of what nobody wrote"),
        METRIC(struct ideal_counters, touches_copied, "1", "Of them, writes that took a frame in place of one that others use"),
        METRIC(struct ideal_counters, touches_file, "1", "Of them, those of a file's page that was not mapped"),
        METRIC(struct ideal_counters, touches_shared, "1", "Of them, those of shared memory that was not mapped"),
        METRIC(struct ideal_counters, touches_failed, "1", "Of them, those without memory, outside of areas, against rights"),
        GAUGE(struct ideal_counters, mapped_pages, "pages", "Mapped at the end, each as often as it is (rss)"),
        GAUGE(struct ideal_counters, zero_pages, "1", "Pages at the end that were read and never written"),
        GAUGE(struct ideal_counters, private_pages, "pages", "Frames of private pages at the end"),
        GAUGE(struct ideal_counters, shared_pages, "pages", "Frames of shared memory at the end"),
        GAUGE(struct ideal_counters, kept_pages, "pages", "Frames of files that the model keeps at the end"),
        METRIC_END};

static struct ideal *ideal_of(struct user_memory *users)
{
	return (struct ideal *)users;
}

static const struct ideal *ideal_const(const struct user_memory *users)
{
	return (const struct ideal *)users;
}

static enum ideal_kind kind_of(uint64_t word)
{
	return (enum ideal_kind)(word & IDEAL_KIND);
}

static pfn frame_of(uint64_t word)
{
	return pfn_of((uint32_t)(word >> PAGE_SHIFT));
}

static void give_back(struct ideal *ideal, pfn frame, unsigned cpu)
{
	enum page_free_result result = page_free(ideal->pages, frame, 0, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

/* ---- words ---- */

static void set_word(struct ideal *ideal, struct ideal_space *space, uint64_t *word, enum ideal_kind kind, pfn frame)
{
	*word = (uint64_t)frame.nr << PAGE_SHIFT | kind;
	space->mapped[kind]++;
	if (kind == IDEAL_ZERO) {
		ideal->counters.zero_pages++;
		return;
	}
	struct frame_use *use = &ideal->use[frame.nr];
	const struct file_pages *files = &ideal->port.files;
	ideal->counters.mapped_pages++;
	if (use->words++ == 0 && kind == IDEAL_FILE && files->mapped)
		files->mapped(files->context, frame);
}

static void drop_file(struct ideal *ideal, pfn frame, uint64_t word, unsigned cpu)
{
	const struct file_pages *files = &ideal->port.files;
	if (files->used)
		files->used(files->context, frame, word & IDEAL_USED, word & IDEAL_DIRTY, cpu);
	if (ideal->use[frame.nr].words > 0)
		return;
	ideal->use[frame.nr] = (struct frame_use){0};
	if (files->unmapped)
		files->unmapped(files->context, frame, word & IDEAL_DIRTY);
}

/* What a word names loses that use of it. */
static void drop_word(struct ideal *ideal, struct ideal_space *space, uint64_t *at, unsigned cpu)
{
	uint64_t word = *at;
	enum ideal_kind kind = kind_of(word);
	*at = 0;
	if (kind == IDEAL_NONE)
		return;
	space->mapped[kind]--;
	if (kind == IDEAL_ZERO) {
		ideal->counters.zero_pages--;
		return;
	}
	pfn frame = frame_of(word);
	struct frame_use *use = &ideal->use[frame.nr];
	SIM_ASSERT(use->words > 0 && use->kind == kind);
	use->words--;
	ideal->counters.mapped_pages--;
	if (kind == IDEAL_FILE)
		drop_file(ideal, frame, word, cpu);
	if (kind != IDEAL_PRIVATE || use->words > 0)
		return;
	*use = (struct frame_use){0};
	ideal->counters.private_pages--;
	give_back(ideal, frame, cpu);
}

/* ---- shared memory ---- */

static struct shared *shared_make(struct ideal *ideal, uint64_t pages)
{
	struct shared *shared = xcalloc(1, sizeof *shared);
	*shared = (struct shared){.number = ideal->next_shared++, .pages = pages};
	shared->frames = lazy_alloc(pages, sizeof *shared->frames);
	return shared;
}

static void shared_put(struct ideal *ideal, struct shared *shared, unsigned cpu)
{
	if (--shared->areas > 0)
		return;
	for (uint64_t i = 0; i < shared->pages; i++) {
		if (!shared->frames[i])
			continue;
		pfn frame = pfn_of(shared->frames[i] - 1);
		SIM_ASSERT(ideal->use[frame.nr].words == 0);
		ideal->use[frame.nr] = (struct frame_use){0};
		ideal->counters.shared_pages--;
		give_back(ideal, frame, cpu);
	}
	lazy_free(shared->frames, shared->pages, sizeof *shared->frames);
	free(shared);
}

/* ---- areas ---- */

/* Index of the first area that ends above a page. */
static uint32_t area_index(const struct ideal_space *space, uint64_t page)
{
	uint32_t low = 0, high = space->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (space->areas[middle].end > page)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void insert_area(struct ideal_space *space, const struct ideal_area *area)
{
	uint32_t index = area_index(space, area->first);
	if (space->count == space->room) {
		space->room = 2 * space->room + 8;
		space->areas = xrealloc(space->areas, space->room * sizeof *space->areas);
	}
	memmove(space->areas + index + 1, space->areas + index, (space->count - index) * sizeof *space->areas);
	space->areas[index] = *area;
	space->count++;
	if (area->shared)
		area->shared->areas++;
}

/* The area that holds both `at` and the page before it becomes two. */
static void split_area(struct ideal_space *space, uint64_t at)
{
	uint32_t index = area_index(space, at);
	if (index == space->count || space->areas[index].first >= at)
		return;
	struct ideal_area tail = space->areas[index];
	tail.first_page += at - tail.first;
	tail.first = at;
	space->areas[index].end = at;
	insert_area(space, &tail);
}

static bool range_is_user(const struct ideal *ideal, uint64_t start, uint64_t pages)
{
	return start % PAGE_SIZE == 0 && pages > 0 && start < ideal->user_end && pages <= (ideal->user_end - start) >> PAGE_SHIFT;
}

/* __vm_enough_memory(), OVERCOMMIT_GUESS: one area may not promise more than there is. */
static bool is_too_much(const struct ideal *ideal, const struct user_area_request *request)
{
	bool accounted = request->kind == USER_SHARED || (request->rights & USER_WRITE && request->kind != USER_FILE_SHARED);
	return accounted && request->pages > ideal->pages->managed_pages;
}

static enum user_result map_area(struct ideal *ideal, struct ideal_space *space, const struct user_area_request *request)
{
	if (!range_is_user(ideal, request->start, request->pages))
		return USER_BAD_RANGE;
	uint64_t first = request->start >> PAGE_SHIFT, end = first + request->pages;
	uint32_t index = area_index(space, first);
	if (index < space->count && space->areas[index].first < end)
		return USER_BAD_RANGE;
	if (is_too_much(ideal, request))
		return USER_NO_MEMORY;
	struct ideal_area *below = index > 0 ? &space->areas[index - 1] : NULL;
	if (request->kind == USER_HEAP && below && below->kind == USER_HEAP && below->end == first &&
	    below->rights == request->rights) {
		below->end = end;
		return USER_OK;
	}
	const struct ideal_area area = {.first = first,
	                                .end = end,
	                                .kind = request->kind,
	                                .rights = request->rights,
	                                .file = request->file,
	                                .first_page = request->kind == USER_SHARED ? 0 : request->first_page,
	                                .shared = request->kind == USER_SHARED ? shared_make(ideal, request->pages) : NULL};
	insert_area(space, &area);
	const struct file_pages *files = &ideal->port.files;
	if (user_area_has_file(request->kind) && files->shown)
		files->shown(files->context, request->file, request->first_page + request->pages);
	return USER_OK;
}

struct dropping {
	struct ideal *ideal;
	struct ideal_space *space;
	unsigned cpu;
};

static void drop_visited(void *context, uint64_t page, uint64_t *word)
{
	const struct dropping *dropping = context;
	(void)page;
	drop_word(dropping->ideal, dropping->space, word, dropping->cpu);
}

static void unmap_areas(struct ideal *ideal, struct ideal_space *space, uint64_t first, uint64_t end, unsigned cpu)
{
	struct dropping dropping = {ideal, space, cpu};
	split_area(space, first);
	split_area(space, end);
	page_tree_visit(&space->pages, first, end, drop_visited, &dropping);
	uint32_t from = area_index(space, first), to = from;
	for (; to < space->count && space->areas[to].first < end; to++)
		if (space->areas[to].shared)
			shared_put(ideal, space->areas[to].shared, cpu);
	memmove(space->areas + from, space->areas + to, (space->count - to) * sizeof *space->areas);
	space->count -= to - from;
}

/* ---- touches ---- */

/* A new private page in place of what stands there, which what made room for it may have changed. */
static bool take_private(struct ideal *ideal, struct ideal_space *space, uint64_t page, uint64_t *word, unsigned cpu)
{
	pfn frame = page_alloc(ideal->pages, 0, GFP_HIGHUSER_MOVABLE, cpu);
	if (frame.nr == UINT32_MAX)
		return false;
	drop_word(ideal, space, word, cpu);
	SIM_ASSERT(frame.nr < ideal->end_pfn && ideal->use[frame.nr].kind == IDEAL_NONE);
	ideal->use[frame.nr] = (struct frame_use){.kind = IDEAL_PRIVATE, .place = page};
	ideal->counters.private_pages++;
	set_word(ideal, space, word, IDEAL_PRIVATE, frame);
	return true;
}

static pfn kept_page(struct ideal *ideal, uint32_t file, uint64_t index, unsigned cpu)
{
	uint64_t key = ((uint64_t)file << 40 | index) + 1;
	struct kept_page *kept = number_map_find(&ideal->kept, key, sizeof *kept);
	if (kept)
		return pfn_of(kept->frame);
	pfn frame = page_alloc(ideal->pages, 0, GFP_HIGHUSER_MOVABLE, cpu);
	if (frame.nr == UINT32_MAX)
		return frame;
	kept = number_map_add(&ideal->kept, key, sizeof *kept);
	kept->frame = frame.nr;
	ideal->counters.kept_pages++;
	return frame;
}

static pfn file_page(struct ideal *ideal, uint32_t file, uint64_t index, unsigned cpu)
{
	const struct file_pages *files = &ideal->port.files;
	if (!files->find)
		return kept_page(ideal, file, index, cpu);
	bool again; /* nobody holds mmap_lock */
	pfn frame = files->find(files->context, file, index, FILE_NORMAL, cpu, &again);
	return frame.nr != UINT32_MAX ? frame : files->read(files->context, file, index, FILE_NORMAL, cpu, &again);
}

static uint64_t index_in(const struct ideal_area *area, uint64_t page)
{
	return area->first_page + (page - area->first);
}

static bool take_file(struct ideal *ideal, struct ideal_space *space, const struct ideal_area *area, uint64_t page,
                      uint64_t *word, bool write, unsigned cpu)
{
	const struct file_pages *files = &ideal->port.files;
	uint64_t index = index_in(area, page);
	uint32_t file = area->file;
	bool copies = write && area->kind == USER_FILE_PRIVATE;
	pfn frame = file_page(ideal, file, index, cpu);
	if (frame.nr == UINT32_MAX)
		return false;
	bool taken = true;
	if (copies) {
		taken = take_private(ideal, space, page, word, cpu);
	} else {
		if (ideal->use[frame.nr].words == 0)
			ideal->use[frame.nr] = (struct frame_use){.kind = IDEAL_FILE, .place = index, .file = file};
		set_word(ideal, space, word, IDEAL_FILE, frame);
	}
	if (files->put)
		files->put(files->context, frame, cpu);
	return taken;
}

static bool take_shared(struct ideal *ideal, struct ideal_space *space, const struct ideal_area *area, uint64_t page,
                        uint64_t *word, unsigned cpu)
{
	struct shared *shared = area->shared;
	uint64_t index = index_in(area, page);
	SIM_ASSERT(index < shared->pages);
	if (!shared->frames[index]) {
		pfn made = page_alloc(ideal->pages, 0, GFP_HIGHUSER_MOVABLE, cpu);
		if (made.nr == UINT32_MAX)
			return false;
		ideal->use[made.nr] = (struct frame_use){.kind = IDEAL_SHARED, .place = index, .file = shared->number};
		shared->frames[index] = made.nr + 1;
		ideal->counters.shared_pages++;
	}
	set_word(ideal, space, word, IDEAL_SHARED, pfn_of(shared->frames[index] - 1));
	return true;
}

/* Makes the page what the access needs; *what: the counter of what that was. false: no memory. */
static bool prepare(struct ideal *ideal, struct ideal_space *space, const struct ideal_area *area, uint64_t page, uint64_t *word,
                    bool write, unsigned cpu, uint64_t **what)
{
	struct ideal_counters *counters = &ideal->counters;
	enum ideal_kind kind = kind_of(*word);
	*what = &counters->touches_found;
	if (kind == IDEAL_NONE && area->shared) {
		*what = &counters->touches_shared;
		return take_shared(ideal, space, area, page, word, cpu);
	}
	if (kind == IDEAL_NONE && user_area_has_file(area->kind)) {
		*what = &counters->touches_file;
		return take_file(ideal, space, area, page, word, write, cpu);
	}
	if (kind == IDEAL_NONE && !write) {
		*what = &counters->touches_zero;
		set_word(ideal, space, word, IDEAL_ZERO, pfn_of(0));
		return true;
	}
	if (kind == IDEAL_NONE || (kind == IDEAL_ZERO && write)) {
		*what = &counters->touches_taken;
		return take_private(ideal, space, page, word, cpu);
	}
	bool copies = write && ((kind == IDEAL_PRIVATE && ideal->use[frame_of(*word).nr].words > 1) ||
	                        (kind == IDEAL_FILE && area->kind == USER_FILE_PRIVATE));
	if (!copies)
		return true;
	*what = &counters->touches_copied;
	return take_private(ideal, space, page, word, cpu);
}

static bool is_allowed(const struct ideal_area *area, enum access_kind kind)
{
	if (kind == ACCESS_STORE)
		return area->rights & USER_WRITE;
	return kind == ACCESS_CODE ? area->rights & USER_EXECUTE : area->rights != 0;
}

/* The word of a page that may be accessed; NULL with *result if it may not. */
static uint64_t *touch_page(struct ideal *ideal, struct ideal_space *space, uint64_t page, enum access_kind kind, unsigned cpu,
                            enum user_result *result)
{
	uint32_t index = area_index(space, page);
	const struct ideal_area *area = index < space->count && space->areas[index].first <= page ? &space->areas[index] : NULL;
	uint64_t *what = &ideal->counters.touches_failed, *word = NULL;
	ideal->counters.touched_pages++;
	*result = !area ? USER_NO_AREA : is_allowed(area, kind) ? USER_OK : USER_NO_RIGHT;
	if (*result == USER_OK) {
		word = page_tree_word(&space->pages, page, true);
		if (prepare(ideal, space, area, page, word, kind == ACCESS_STORE, cpu, &what)) {
			*word |= kind == ACCESS_STORE ? IDEAL_USED | IDEAL_DIRTY : IDEAL_USED;
		} else {
			what = &ideal->counters.touches_failed;
			*result = USER_NO_MEMORY;
			word = NULL;
		}
	}
	++*what;
	return word;
}

/* The accesses of a touch that begin in one page. *next: the first one behind it. */
static void make_accesses(struct ideal *ideal, const struct user_touch *touch, uint64_t word, uint64_t *next)
{
	uint64_t page_end = (*next | (PAGE_SIZE - 1)) + 1, end = touch->address + touch->bytes;
	uint64_t last = page_end < end ? page_end : end;
	vaddr page = layout_page_address(ideal->layout, frame_of(word));
	bool reached = layout_region(ideal->layout, page.addr) == REGION_DIRECT_MAP;
	for (; ideal->steps->recording && *next < last; *next += touch->stride) {
		uint32_t bytes = (uint32_t)(last - *next < ACCESS_BYTES ? last - *next : ACCESS_BYTES);
		vaddr at = vaddr_of(page.addr + *next % PAGE_SIZE);
		step_spend(ideal->steps, ideal->user_access_cycles);
		if (!reached)
			continue;
		if (touch->kind == ACCESS_STORE)
			step_write(ideal->steps, at, bytes);
		else
			step_read(ideal->steps, at, bytes);
	}
	if (*next < last)
		*next += (last - *next + touch->stride - 1) / touch->stride * touch->stride;
}

/* ---- processes ---- */

static struct ideal_space *space_of(const struct ideal *ideal, process_id process)
{
	return process.nr < ideal->process_count ? ideal->process[process.nr].space : NULL;
}

static struct ideal_space *space_make(struct ideal *ideal, unsigned cpu)
{
	struct ideal_space *space = xcalloc(1, sizeof *space);
	if (ideal->space_count == ideal->space_room) {
		ideal->space_room = 2 * ideal->space_room + 16;
		ideal->spaces = xrealloc(ideal->spaces, ideal->space_room * sizeof(struct ideal_space *));
	}
	*space = (struct ideal_space){.sharers = 1, .slot = ideal->space_count, .last_cpu = cpu};
	ideal->spaces[ideal->space_count++] = space;
	return space;
}

static void space_leave(struct ideal *ideal, struct ideal_space *space, unsigned cpu)
{
	if (--space->sharers > 0)
		return;
	unmap_areas(ideal, space, 0, ideal->user_end >> PAGE_SHIFT, cpu);
	page_tree_release(&space->pages);
	ideal->spaces[space->slot] = ideal->spaces[--ideal->space_count];
	ideal->spaces[space->slot]->slot = space->slot;
	free(space->areas);
	free(space);
}

/* A new program's: its stack, and in it a page with the arguments. NULL: no memory. */
static struct ideal_space *make_program(struct ideal *ideal, unsigned cpu)
{
	struct ideal_space *space = space_make(ideal, cpu);
	uint64_t top = user_stack_end(ideal->user_end);
	const struct user_area_request stack = {.start = top - USER_STACK_BYTES,
	                                        .pages = USER_STACK_BYTES >> PAGE_SHIFT,
	                                        .kind = USER_STACK,
	                                        .rights = USER_READ | USER_WRITE};
	enum user_result result = map_area(ideal, space, &stack);
	if (result == USER_OK && touch_page(ideal, space, (top >> PAGE_SHIFT) - 1, ACCESS_STORE, cpu, &result))
		return space;
	space_leave(ideal, space, cpu);
	return NULL;
}

struct forking {
	struct ideal *ideal;
	struct ideal_space *child;
};

/* What can be had again by a touch is not shared at once. */
static void fork_word(void *context, uint64_t page, uint64_t *word)
{
	const struct forking *forking = context;
	if (kind_of(*word) == IDEAL_PRIVATE || kind_of(*word) == IDEAL_ZERO)
		set_word(forking->ideal, forking->child, page_tree_word(&forking->child->pages, page, true), kind_of(*word),
		         frame_of(*word));
}

static struct ideal_space *fork_space(struct ideal *ideal, struct ideal_space *parent, unsigned cpu)
{
	struct ideal_space *child = space_make(ideal, cpu);
	struct forking forking = {ideal, child};
	for (uint32_t i = 0; i < parent->count; i++)
		insert_area(child, &parent->areas[i]);
	page_tree_visit(&parent->pages, 0, ideal->user_end >> PAGE_SHIFT, fork_word, &forking);
	return child;
}

static const struct virtual_request stack_call = {.call = CALL_THREAD_STACK, .size = PAGE_SIZE << 2, .caller = "dup_task_struct"};

static uint32_t take_number(struct ideal *ideal)
{
	if (ideal->free_count > 0)
		return ideal->free_ids[--ideal->free_count];
	if (ideal->process_count == ideal->process_room) {
		ideal->process_room = 2 * ideal->process_room + 16;
		ideal->process = xrealloc(ideal->process, ideal->process_room * sizeof *ideal->process);
		ideal->free_ids = xrealloc(ideal->free_ids, ideal->process_room * sizeof *ideal->free_ids);
	}
	return ideal->process_count++;
}

/* A process with its stack in an address space, which is left if there is no memory for the stack. */
static process_id enter(struct ideal *ideal, struct ideal_space *space, uint64_t *made, unsigned cpu)
{
	vaddr stack = ideal->stacks ? virtual_get(ideal->stacks, &stack_call, cpu).at : VADDR_NULL;
	if (ideal->stacks && !stack.addr) {
		space_leave(ideal, space, cpu);
		return PROCESS_NONE;
	}
	uint32_t nr = take_number(ideal);
	ideal->process[nr] = (struct ideal_process){space, stack};
	++*made;
	return (process_id){nr};
}

static process_id ideal_create(struct user_memory *users, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = make_program(ideal, cpu);
	return space ? enter(ideal, space, &ideal->counters.processes_created, cpu) : PROCESS_NONE;
}

static process_id ideal_fork(struct user_memory *users, process_id parent, bool thread, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, parent);
	if (!space)
		return PROCESS_NONE;
	space->last_cpu = cpu;
	space->sharers += thread;
	uint64_t *made = thread ? &ideal->counters.threads_created : &ideal->counters.processes_forked;
	return enter(ideal, thread ? space : fork_space(ideal, space, cpu), made, cpu);
}

static enum user_result ideal_exec(struct user_memory *users, process_id process, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *old = space_of(ideal, process);
	if (!old)
		return USER_NO_PROCESS;
	struct ideal_space *space = make_program(ideal, cpu);
	if (!space)
		return USER_NO_MEMORY;
	ideal->process[process.nr].space = space;
	space_leave(ideal, old, cpu);
	ideal->counters.execs++;
	return USER_OK;
}

static void ideal_exit(struct user_memory *users, process_id process, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, process);
	SIM_ASSERT(space);
	if (ideal->stacks) {
		enum virtual_free_result result = virtual_put(ideal->stacks, ideal->process[process.nr].stack, &stack_call, cpu);
		SIM_ASSERT(result == VIRTUAL_FREE_OK);
	}
	ideal->process[process.nr] = (struct ideal_process){0};
	ideal->free_ids[ideal->free_count++] = process.nr;
	space_leave(ideal, space, cpu);
	ideal->counters.exits++;
}

static enum user_result ideal_map(struct user_memory *users, process_id process, const struct user_area_request *request,
                                  unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, process);
	if (!space)
		return USER_NO_PROCESS;
	space->last_cpu = cpu;
	return map_area(ideal, space, request);
}

static enum user_result ideal_unmap(struct user_memory *users, process_id process, uint64_t start, uint64_t pages, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, process);
	if (!space)
		return USER_NO_PROCESS;
	if (!range_is_user(ideal, start, pages))
		return USER_BAD_RANGE;
	space->last_cpu = cpu;
	unmap_areas(ideal, space, start >> PAGE_SHIFT, (start >> PAGE_SHIFT) + pages, cpu);
	return USER_OK;
}

/* Whether areas lie side by side over all pages of a range. */
static bool is_whole(const struct ideal_space *space, uint64_t first, uint64_t end)
{
	for (uint32_t index = area_index(space, first); first < end; first = space->areas[index++].end)
		if (index == space->count || space->areas[index].first > first)
			return false;
	return true;
}

/* Pages of one size, and files read as they are asked for: but for DONTNEED, advice changes nothing. */
static enum user_result ideal_advise(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                     enum user_advice advice, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, process);
	if (!space)
		return USER_NO_PROCESS;
	if (!range_is_user(ideal, start, pages))
		return USER_BAD_RANGE;
	space->last_cpu = cpu;
	uint64_t first = start >> PAGE_SHIFT;
	struct dropping dropping = {ideal, space, cpu};
	if (advice == USER_DONTNEED)
		page_tree_visit(&space->pages, first, first + pages, drop_visited, &dropping);
	return is_whole(space, first, first + pages) ? USER_OK : USER_HOLE;
}

static enum user_result ideal_touch(struct user_memory *users, process_id process, const struct user_touch *touch, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, process);
	if (!space)
		return USER_NO_PROCESS;
	if (touch->address >= ideal->user_end || touch->bytes > ideal->user_end - touch->address)
		return USER_BAD_RANGE;
	space->last_cpu = cpu;
	for (uint64_t next = touch->address; next - touch->address < touch->bytes;) {
		enum user_result result;
		const uint64_t *word = touch_page(ideal, space, next >> PAGE_SHIFT, touch->kind, cpu, &result);
		if (!word)
			return result;
		make_accesses(ideal, touch, *word, &next);
	}
	return USER_OK;
}

/* A page that comes at its first touch takes no step, so nothing faults. */
static size_t ideal_run(struct user_memory *users, process_id process, const struct access *accesses, size_t count,
                        struct user_run *run, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct ideal_space *space = space_of(ideal, process);
	size_t made = 0;
	run->result = space ? USER_OK : USER_NO_PROCESS;
	if (!space)
		return 1;
	space->last_cpu = cpu;
	steps_reserve(ideal->steps, (uint32_t)count * USER_ACCESS_STEPS);
	while (made < count && run->result == USER_OK) {
		const struct access *access = &accesses[made++];
		enum access_kind kind = access->kind == ACCESS_MODIFY ? ACCESS_STORE : (enum access_kind)access->kind;
		const uint64_t *word = NULL;
		run->before = ideal->steps->count;
		if (kind != ACCESS_PREFETCH)
			word = touch_page(ideal, space, access->address >> PAGE_SHIFT, kind, cpu, &run->result);
		if (!word)
			continue;
		vaddr page = layout_page_address(ideal->layout, frame_of(*word));
		if (layout_region(ideal->layout, page.addr) == REGION_DIRECT_MAP)
			user_access_steps(ideal->steps, run, access, vaddr_of(page.addr + access->address % PAGE_SIZE));
	}
	return made;
}

static void ideal_switch(struct user_memory *users, process_id process, unsigned cpu)
{
	struct ideal_space *space = space_of(ideal_of(users), process);
	if (space)
		space->last_cpu = cpu;
}

/* ---- frames ---- */

/* Where a word stands. */
struct word_place {
	struct ideal *ideal;
	struct ideal_space *space;
	const struct ideal_area *area;
	uint64_t *word;
};

/* Hands out each word that names the frame of a file or of private memory. */
static uint32_t visit_words(struct ideal *ideal, pfn frame, void (*visit)(const struct word_place *, void *), void *context)
{
	const struct frame_use use = ideal->use[frame.nr];
	uint32_t found = 0;
	for (uint32_t s = 0; s < ideal->space_count; s++) {
		struct ideal_space *space = ideal->spaces[s];
		for (uint32_t i = 0; i < space->count; i++) {
			const struct ideal_area *area = &space->areas[i];
			uint64_t pages = area->end - area->first, place = use.place;
			bool shows = use.kind == IDEAL_PRIVATE  ? place >= area->first && place < area->end
			             : use.kind == IDEAL_SHARED ? area->shared && area->shared->number == use.file
			                                        : user_area_has_file(area->kind) && area->file == use.file;
			if (use.kind != IDEAL_PRIVATE && (place < area->first_page || place - area->first_page >= pages))
				continue;
			uint64_t page = use.kind == IDEAL_PRIVATE ? place : area->first + (place - area->first_page);
			uint64_t *word = shows ? page_tree_word(&space->pages, page, false) : NULL;
			if (!word || kind_of(*word) != use.kind || frame_of(*word).nr != frame.nr)
				continue;
			visit(&(struct word_place){ideal, space, area, word}, context);
			found++;
		}
	}
	return found;
}

static void move_word(const struct word_place *at, void *context)
{
	*at->word = (*at->word & (PAGE_SIZE - 1)) | (uint64_t)((const pfn *)context)->nr << PAGE_SHIFT;
}

static void move_shared(struct ideal *ideal, const struct frame_use *use, pfn to)
{
	for (uint32_t s = 0; s < ideal->space_count; s++)
		for (uint32_t i = 0; i < ideal->spaces[s]->count; i++) {
			struct shared *shared = ideal->spaces[s]->areas[i].shared;
			if (shared && shared->number == use->file)
				shared->frames[use->place] = to.nr + 1;
		}
}

static bool move_kept(struct ideal *ideal, pfn from, pfn to)
{
	for (size_t slot = 0; slot <= ideal->kept.mask; slot++) {
		struct kept_page *kept = (void *)(ideal->kept.entries + slot * sizeof *kept);
		if (kept->key == 0 || kept->frame != from.nr)
			continue;
		kept->frame = to.nr;
		return true;
	}
	return false;
}

static bool ideal_moved(struct user_memory *users, pfn from, pfn to)
{
	struct ideal *ideal = ideal_of(users);
	const struct page_watcher *watcher = &users->watcher;
	bool watched = watcher->moved && watcher->moved(watcher->context, from, to);
	bool kept = move_kept(ideal, from, to);
	struct frame_use use = ideal->use[from.nr];
	if (use.kind == IDEAL_NONE)
		return kept || watched;
	uint32_t moved = visit_words(ideal, from, move_word, &to);
	SIM_ASSERT(moved == use.words);
	if (use.kind == IDEAL_SHARED)
		move_shared(ideal, &use, to);
	ideal->use[to.nr] = use;
	ideal->use[from.nr] = (struct frame_use){0};
	return true;
}

static uint32_t ideal_map_count(const struct user_memory *users, pfn frame)
{
	const struct ideal *ideal = ideal_const(users);
	return frame.nr < ideal->end_pfn ? ideal->use[frame.nr].words : 0;
}

struct uses {
	uint32_t count;
	bool executable;
};

static void forget_use(const struct word_place *at, void *context)
{
	struct uses *uses = context;
	if (!(*at->word & IDEAL_USED))
		return;
	uses->count++;
	uses->executable = uses->executable || at->area->rights & USER_EXECUTE;
	*at->word &= ~(uint64_t)IDEAL_USED;
}

static uint32_t ideal_referenced(struct user_memory *users, pfn frame, bool *executable, unsigned cpu)
{
	struct uses uses = {0};
	(void)cpu;
	visit_words(ideal_of(users), frame, forget_use, &uses);
	*executable = uses.executable;
	return uses.count;
}

struct taking {
	unsigned cpu;
	bool dirty;
};

static void take_away(const struct word_place *at, void *context)
{
	struct taking *taking = context;
	taking->dirty = taking->dirty || *at->word & IDEAL_DIRTY;
	/* Who takes it away knows what was done with it. */
	*at->word &= ~(uint64_t)(IDEAL_USED | IDEAL_DIRTY);
	drop_word(at->ideal, at->space, at->word, taking->cpu);
}

static uint32_t ideal_unmap_page(struct user_memory *users, pfn frame, uint64_t entry, bool *dirty, unsigned cpu)
{
	struct ideal *ideal = ideal_of(users);
	struct taking taking = {cpu, false};
	(void)entry;
	uint32_t words = ideal->use[frame.nr].kind == IDEAL_FILE ? visit_words(ideal, frame, take_away, &taking) : 0;
	*dirty = taking.dirty;
	return words;
}

/* There are no translations to be old. */
static void ideal_flush_unmapped(struct user_memory *users, bool only_dirty, unsigned cpu)
{
	(void)users;
	(void)only_dirty;
	(void)cpu;
}

static void ideal_shared_left(struct user_memory *users, pfn frame, uint64_t entry)
{
	(void)users;
	(void)frame;
	(void)entry;
	SIM_UNREACHABLE("shared memory that no watcher was told of");
}

static bool ideal_view(const struct user_memory *users, process_id process, struct process_view *view)
{
	const struct ideal_space *space = space_of(ideal_const(users), process);
	if (!space)
		return false;
	*view = (struct process_view){.areas = space->count,
	                              .anonymous = space->mapped[IDEAL_PRIVATE],
	                              .file = space->mapped[IDEAL_FILE],
	                              .shared = space->mapped[IDEAL_SHARED],
	                              .sharers = space->sharers,
	                              .last_cpu = space->last_cpu};
	for (uint32_t i = 0; i < space->count; i++)
		view->area_pages += space->areas[i].end - space->areas[i].first;
	return true;
}

static uint64_t ideal_pages_held(const struct user_memory *users)
{
	const struct ideal_counters *counters = &ideal_const(users)->counters;
	const struct page_watcher *watcher = &users->watcher;
	return counters->private_pages + counters->shared_pages + counters->kept_pages +
	       (watcher->pages_held ? watcher->pages_held(watcher->context) : 0);
}

/* ---- check ---- */

struct recount {
	const struct ideal_space *space;
	uint32_t *words; /* by frame */
	uint64_t kinds[IDEAL_KINDS];
};

static void recount_word(void *context, uint64_t page, uint64_t *word)
{
	struct recount *recount = context;
	uint32_t index = area_index(recount->space, page);
	SIM_ASSERT(index < recount->space->count && recount->space->areas[index].first <= page);
	recount->kinds[kind_of(*word)]++;
	if (kind_of(*word) != IDEAL_ZERO)
		recount->words[frame_of(*word).nr]++;
}

/* The space's words by kind, and its areas. */
static void check_space(const struct ideal *ideal, struct ideal_space *space, uint32_t *words, uint64_t kinds[IDEAL_KINDS])
{
	struct recount recount = {.space = space, .words = words};
	page_tree_visit(&space->pages, 0, ideal->user_end >> PAGE_SHIFT, recount_word, &recount);
	for (unsigned kind = 0; kind < IDEAL_KINDS; kind++) {
		SIM_ASSERT(recount.kinds[kind] == space->mapped[kind]);
		kinds[kind] += recount.kinds[kind];
	}
	for (uint32_t i = 0; i < space->count; i++)
		SIM_ASSERT(space->areas[i].first < space->areas[i].end &&
		           (i == 0 || space->areas[i - 1].end <= space->areas[i].first));
	SIM_ASSERT(space->sharers > 0);
}

static void check_frames(const struct ideal *ideal, const uint32_t *words)
{
	uint64_t private_pages = 0, shared_pages = 0;
	for (uint32_t frame = 0; frame < ideal->end_pfn; frame++) {
		SIM_ASSERT(words[frame] == ideal->use[frame].words);
		private_pages += ideal->use[frame].kind == IDEAL_PRIVATE;
		shared_pages += ideal->use[frame].kind == IDEAL_SHARED;
	}
	SIM_ASSERT(private_pages == ideal->counters.private_pages && shared_pages == ideal->counters.shared_pages);
}

static void ideal_check(const struct user_memory *users)
{
	const struct ideal *ideal = ideal_const(users);
	const struct ideal_counters *counters = &ideal->counters;
	uint32_t *words = lazy_alloc(ideal->end_pfn, sizeof *words);
	uint64_t kinds[IDEAL_KINDS] = {0}, sharers = 0;
	for (uint32_t s = 0; s < ideal->space_count; s++) {
		check_space(ideal, ideal->spaces[s], words, kinds);
		sharers += ideal->spaces[s]->sharers;
	}
	check_frames(ideal, words);
	lazy_free(words, ideal->end_pfn, sizeof *words);
	SIM_ASSERT(kinds[IDEAL_ZERO] == counters->zero_pages && ideal->kept.count == counters->kept_pages);
	SIM_ASSERT(kinds[IDEAL_PRIVATE] + kinds[IDEAL_FILE] + kinds[IDEAL_SHARED] == counters->mapped_pages);
	SIM_ASSERT(sharers == ideal->process_count - ideal->free_count);
	SIM_ASSERT(counters->processes_created + counters->processes_forked + counters->threads_created - counters->exits ==
	           sharers);
	SIM_ASSERT(counters->touched_pages == counters->touches_found + counters->touches_taken + counters->touches_zero +
	                                              counters->touches_copied + counters->touches_file +
	                                              counters->touches_shared + counters->touches_failed);
	if (users->watcher.check)
		users->watcher.check(users->watcher.context);
}

static const void *ideal_counters(const struct user_memory *users)
{
	return &ideal_const(users)->counters;
}

static void ideal_destroy(struct user_memory *users)
{
	struct ideal *ideal = ideal_of(users);
	for (uint32_t nr = 0; nr < ideal->process_count; nr++)
		if (ideal->process[nr].space)
			ideal_exit(users, (process_id){nr}, 0);
	for (size_t slot = 0; slot <= ideal->kept.mask; slot++) {
		const struct kept_page *kept = (const void *)(ideal->kept.entries + slot * sizeof *kept);
		if (kept->key)
			give_back(ideal, pfn_of(kept->frame), 0);
	}
	number_map_release(&ideal->kept);
	lazy_free(ideal->use, ideal->end_pfn, sizeof *ideal->use);
	free(ideal->spaces);
	free(ideal->process);
	free(ideal->free_ids);
	free(ideal);
}

const struct user_memory_ops user_memory_ideal_ops = {
        .name = "ideal",
        .help = "processes whose pages come at once and cost nothing: no faults, page tables, switches or structures",
        .create = ideal_create,
        .fork = ideal_fork,
        .exec = ideal_exec,
        .exit = ideal_exit,
        .map = ideal_map,
        .unmap = ideal_unmap,
        .advise = ideal_advise,
        .touch = ideal_touch,
        .run = ideal_run,
        .switch_to = ideal_switch,
        .moved = ideal_moved,
        .map_count = ideal_map_count,
        .referenced = ideal_referenced,
        .unmap_page = ideal_unmap_page,
        .flush_unmapped = ideal_flush_unmapped,
        .shared_left = ideal_shared_left,
        .view = ideal_view,
        .pages_held = ideal_pages_held,
        .check = ideal_check,
        .metrics = ideal_metrics,
        .counters = ideal_counters,
        .destroy = ideal_destroy,
};

struct user_memory *user_memory_ideal_create(const struct user_memory_wiring *wiring, struct error *error)
{
	(void)error;
	struct ideal *ideal = xcalloc(1, sizeof *ideal);
	SIM_ASSERT(wiring->mode->levels > 0);
	*ideal = (struct ideal){.port = {.ops = &user_memory_ideal_ops, .next_tick_ns = UINT64_MAX},
	                        .pages = wiring->pages,
	                        .stacks = wiring->areas,
	                        .layout = wiring->layout,
	                        .steps = wiring->steps,
	                        .user_access_cycles = wiring->settings->cost.user_access,
	                        .user_end = wiring->mode->sign_extended ? (1ull << (wiring->mode->linear_bits - 1)) - PAGE_SIZE
	                                                                : USER_END_32BIT,
	                        .end_pfn = wiring->pages->end_pfn};
	number_map_init(&ideal->kept, sizeof(struct kept_page));
	ideal->use = lazy_alloc(ideal->end_pfn, sizeof *ideal->use);
	return &ideal->port;
}
