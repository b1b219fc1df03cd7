/* SPDX-License-Identifier: MIT
 *
 * trace_user_pages.c - faults of processes as areas and touches, and the pages they took (interface: trace_processes.h; rules:
 * docs/formats.md, "Processes").
 *
 * MODEL: areas may be read, written and executed, and lie where touches show them: anonymous ones 1 MiB each, those of files the
 * window of a fault. A page goes when its frame, if that is known, is freed. A fault that ended in a signal looks like one that
 * was put right.
 */
#include "sim/port/user_memory.h"
#include "sim/trace_attribution.h"
#include "sim/trace_later.h"

#include <string.h>

/* No area is ever at the lowest page (mmap_min_addr), and addresses above this are the kernel's. */
#define LOWEST_PAGE 1u
#define USER_END_64BIT (1ull << 56)
/* Frames have less than 32 bits here (frames_are_possible()). */
#define NO_FRAME UINT32_MAX
/* MODEL: where user mode ends on 32 bit: PAGE_OFFSET of VMSPLIT_3G. */
#define USER_END_32BIT 0xc0000000ull

/* Where the stack that each process has from the start begins and ends, by pages. */
static uint64_t stack_end(const struct attribution *self)
{
	return user_stack_end(self->machine.is_32bit ? USER_END_32BIT : USER_END_64BIT) >> PAGE_SHIFT;
}

static uint64_t stack_start(const struct attribution *self)
{
	return stack_end(self) - (USER_STACK_BYTES >> PAGE_SHIFT);
}

/* The pages of a region that are no stack: it may lie at the end of one, never at its beginning. */
static uint32_t area_pages(const struct attribution *self, uint64_t first)
{
	uint64_t stack = stack_start(self);
	return first < stack && first + REGION_PAGES > stack ? (uint32_t)(stack - first) : REGION_PAGES;
}

static bool is_stack(const struct attribution *self, uint64_t page)
{
	return page >= stack_start(self) && page < stack_end(self);
}

/* Between the stack's end and the next region lies at most a page that no process of 47 bits has. */
bool user_pages_hold(const struct attribution *self, uint64_t address)
{
	uint64_t page = address >> PAGE_SHIFT;
	uint64_t end = self->machine.is_32bit ? USER_END_32BIT : USER_END_64BIT, stack = stack_end(self);
	bool behind_stack = page >= stack && page <= ((stack - 1) | (REGION_PAGES - 1));
	return page >= LOWEST_PAGE && page < end >> PAGE_SHIFT && !behind_stack;
}

/* The region that the page lies in; the stack has none, though an area may share its region. */
static struct user_region *region_of(const struct attribution *self, const struct user_space *space, uint64_t page)
{
	if (is_stack(self, page))
		return NULL;
	return number_map_find(&space->regions, (page >> (REGION_SHIFT - PAGE_SHIFT)) + 1, sizeof(struct user_region));
}

static bool has_page(const uint64_t *bits, uint32_t page)
{
	return bits[page / 64] >> page % 64 & 1;
}

static bool has_any(const uint64_t *bits, uint32_t first, uint32_t end)
{
	for (uint32_t page = first; page < end; page++)
		if (has_page(bits, page))
			return true;
	return false;
}

static void set_pages(uint64_t *bits, uint32_t first, uint32_t end, bool value)
{
	for (uint32_t page = first; page < end; page++)
		if (value)
			bits[page / 64] |= 1ull << page % 64;
		else
			bits[page / 64] &= ~(1ull << page % 64);
}

static uint32_t page_in_region(uint64_t page)
{
	return (uint32_t)(page & (REGION_PAGES - 1));
}

/* `page` is the op's address. */
static void push_map(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                     const struct process_profile *map, uint64_t page)
{
	processes_push(self, event, task->id, map, page << PAGE_SHIFT);
	self->summary->process_ops++;
}

static void push_anonymous(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                           struct user_region *region, uint64_t page, uint32_t pages)
{
	const struct process_profile map = {
	        .kind = OP_PROCESS_MAP, .order = USER_ANONYMOUS, .gfp = USER_RIGHTS, .bytes_req = pages};
	uint32_t first = page_in_region(page);
	set_pages(region->mapped, first, first + pages, true);
	push_map(self, event, task, &map, page);
}

/* An anonymous area over what of the aligned 1 MiB about the page is in none. */
static void map_anonymous(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                          struct user_region *region, uint64_t page)
{
	uint64_t start = page & ~(uint64_t)(REGION_PAGES - 1);
	uint32_t first = page_in_region(page), end = first + 1, pages = area_pages(self, start);
	uint32_t lowest = first & ~(AREA_PAGES - 1), highest = lowest + AREA_PAGES < pages ? lowest + AREA_PAGES : pages;
	while (first > lowest && !has_page(region->mapped, first - 1))
		first--;
	while (end < highest && !has_page(region->mapped, end))
		end++;
	push_anonymous(self, event, task, region, start + first, end - first);
}

static void push_unmap(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                       uint64_t page, uint32_t pages)
{
	const struct process_profile unmap = {.kind = OP_PROCESS_UNMAP, .bytes_req = pages};
	push_map(self, event, task, &unmap, page);
}

/* ---- files ---- */

/* MODEL: how far from a program's first page of it a file reaches, either way: 1 GiB. */
#define FILE_REACH (1u << 18)

/* The same program's n-th base is of the same file each time. MODEL: programs that are not told are one. */
static uint32_t file_number(struct processes *processes, uint32_t program, uint32_t n)
{
	uint64_t key = ((uint64_t)program << 8 | n) + 1;
	struct program_file *known = number_map_find(&processes->files, key, sizeof *known);
	if (!known) {
		known = number_map_add(&processes->files, key, sizeof *known);
		known->file = processes->files_count++;
	}
	return known->file;
}

/* The base near the page; one is made there if there is none. NULL: there are too many. */
static const struct file_base *file_base_of(struct processes *processes, struct user_space *space, uint64_t page)
{
	for (uint32_t n = 0; n < space->bases_count; n++)
		if (page + FILE_REACH >= space->bases[n].at && page < space->bases[n].at + FILE_REACH - WINDOW_PAGES)
			return &space->bases[n];
	if (space->bases_count == FILE_BASES)
		return NULL;
	struct file_base *base = &space->bases[space->bases_count];
	*base = (struct file_base){page, file_number(processes, space->program, space->bases_count)};
	space->bases_count++;
	return base;
}

/*
 * MODEL: what is executed is a file's; so is what is read, unless its neighbours take faults too, as the zero page's do: a fault
 * of a file maps them beside its own. Nothing says so where a writing fault was before.
 */
static bool is_of_file(const struct attribution *self, const struct attribution_event *event)
{
	uint32_t code = event->process.error_code;
	if (code & (FAULT_WRITE | FAULT_PROTECTION))
		return false;
	return code & FAULT_INSTRUCTION || later_reads(self->later, event->task, event->ptr) < LATER_READS_MAX;
}

/* An area of a file over the window about the page, if no fault was in it before. */
static bool map_window(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                       struct user_region *region, uint64_t page)
{
	struct user_space *space = &self->processes.spaces[task->space];
	uint64_t start = page & ~(uint64_t)(WINDOW_PAGES - 1);
	uint32_t first = page_in_region(start), end = first + WINDOW_PAGES;
	if (end > area_pages(self, start - first) || has_any(region->touched, first, end) || !is_of_file(self, event))
		return false;
	const struct file_base *base = file_base_of(&self->processes, space, page);
	if (!base)
		return false;
	if (has_any(region->mapped, first, end))
		push_unmap(self, event, task, start, WINDOW_PAGES);
	uint64_t first_page = start + FILE_REACH - base->at + WINDOW_PAGES;
	const struct process_profile map = {.kind = OP_PROCESS_MAP,
	                                    .order = USER_FILE_PRIVATE,
	                                    .gfp = USER_RIGHTS | (gfp)first_page << PROCESS_MAP_PAGE_SHIFT,
	                                    .bytes_req = WINDOW_PAGES,
	                                    .bytes_alloc = base->file};
	set_pages(region->mapped, first, end, true);
	push_map(self, event, task, &map, start);
	self->summary->file_areas++;
	return true;
}

/* ---- faults ---- */

/* The page lies in an area from now on, and had a fault. */
static void make_area(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                      uint64_t page)
{
	struct user_space *space = &self->processes.spaces[task->space];
	if (is_stack(self, page))
		return;
	struct user_region *region = region_of(self, space, page);
	if (!region)
		region = number_map_add(&space->regions, (page >> (REGION_SHIFT - PAGE_SHIFT)) + 1, sizeof *region);
	uint32_t at = page_in_region(page);
	if (!map_window(self, event, task, region, page) && !has_page(region->mapped, at))
		map_anonymous(self, event, task, region, page);
	set_pages(region->touched, at, at + 1, true);
}

/* A fault is over: its page, if it had to have one, came or did not. */
static void end_fault(struct attribution *self, struct user_task *task)
{
	self->summary->faults_without_page += task->fault_page != 0 && task->fault_writes;
	task->fault_page = 0;
}

void user_pages_fault(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	uint64_t page = event->ptr >> PAGE_SHIFT;
	uint32_t code = event->process.error_code;
	end_fault(self, task);
	make_area(self, event, task, page);
	const struct process_profile touch = {.kind = OP_PROCESS_TOUCH,
	                                      .order = code & FAULT_INSTRUCTION ? TOUCH_EXECUTE
	                                               : code & FAULT_WRITE     ? TOUCH_WRITE
	                                                                        : TOUCH_READ,
	                                      .bytes_req = 1,
	                                      .bytes_alloc = 1};
	processes_push(self, event, task->id, &touch, event->ptr);
	task->fault_page = page + 1;
	task->fault_writes = code & FAULT_WRITE;
}

/*
 * The page lies in the frame from now on. Where no area is, nobody asks for its pages: the stack stays as long as its process,
 * and a page may have been given back while a fault in it is under way.
 */
static void place_page(const struct attribution *self, struct user_space *space, uint64_t page, uint32_t frame)
{
	struct user_region *region = region_of(self, space, page);
	uint32_t at = page_in_region(page);
	if (!region || !has_page(region->mapped, at))
		return;
	/* The first of a huge page had no fault itself. */
	set_pages(region->touched, at, at + 1, true);
	struct user_page *known = number_map_find(&space->pages, page + 1, sizeof *known);
	if (!known)
		known = number_map_add(&space->pages, page + 1, sizeof *known);
	known->frame = frame;
}

/* Pages that a huge page has taken the place of, or that go with one: their frames' frees say nothing any more. */
static void forget_pages(struct user_space *space, uint64_t first, unsigned order)
{
	for (uint64_t page = first; page < first + (1u << order); page++) {
		struct user_page *known = number_map_find(&space->pages, page + 1, sizeof *known);
		if (known)
			number_map_remove(&space->pages, known, sizeof *known);
	}
}

void user_pages_fork(struct user_space *child, const struct user_space *parent)
{
	child->program = parent->program;
	child->bases_count = parent->bases_count;
	memcpy(child->bases, parent->bases, sizeof child->bases);
	for (size_t slot = 0; slot <= parent->regions.mask; slot++) {
		const struct user_region *from = (const void *)(parent->regions.entries + slot * sizeof *from);
		if (from->key == 0)
			continue;
		struct user_region *to = number_map_add(&child->regions, from->key, sizeof *to);
		*to = *from;
	}
}

void user_pages_flush(struct attribution *self)
{
	struct pending_unmap *pending = &self->processes.pending;
	if (pending->pages == 0)
		return;
	const struct user_space *space = &self->processes.spaces[pending->space];
	const struct attribution_event event = {.time_ns = pending->time_ns, .line = pending->line, .cpu = pending->cpu};
	const struct process_profile unmap = {.kind = OP_PROCESS_UNMAP, .bytes_req = (uint32_t)pending->pages};
	SIM_ASSERT(space->ids_count > 0);
	processes_push(self, &event, space->ids[0], &unmap, pending->first << PAGE_SHIFT);
	self->summary->process_ops++;
	pending->pages = 0;
}

/* Pages are given back; those of one mmu_gather come in any order, but beside each other. */
static void give_back(struct attribution *self, const struct attribution_event *event, uint32_t space, uint64_t first,
                      uint64_t pages)
{
	struct pending_unmap *pending = &self->processes.pending;
	bool beside = pending->pages > 0 && pending->space == space && pending->pages + pages <= REGION_PAGES;
	if (beside && first == pending->first + pending->pages) {
		pending->pages += pages;
		return;
	}
	if (beside && first + pages == pending->first) {
		pending->first = first;
		pending->pages += pages;
		return;
	}
	user_pages_flush(self);
	*pending = (struct pending_unmap){first, pages, space, event->time_ns, event->line, event->cpu};
}

/* MODEL: what another frees is reclaimed, not unmapped; the model reclaims by itself. */
static bool is_task_of(const struct attribution *self, uint32_t number, uint32_t space)
{
	const struct user_task *task = processes_task(&self->processes, number);
	return task && task->space == space;
}

void processes_page_gone(struct attribution *self, const struct attribution_event *event, const struct page_block *block)
{
	struct user_space *space = &self->processes.spaces[block->space];
	if (space->ids_count == 0)
		return;
	struct user_page *known = number_map_find(&space->pages, block->page + 1, sizeof *known);
	/* A copy has taken its place, or another process's fault found it shared. */
	if (!known || known->frame != (uint32_t)(block->key - 1))
		return;
	number_map_remove(&space->pages, known, sizeof *known);
	struct user_region *region = region_of(self, space, block->page);
	SIM_ASSERT(region);
	if (!is_task_of(self, event->task, block->space))
		return;
	forget_pages(space, block->page, block->order);
	uint32_t first = page_in_region(block->page), end = first + (1u << block->order);
	uint64_t start = block->page - first;
	uint32_t pages = area_pages(self, start);
	end = end < pages ? end : pages;
	set_pages(region->mapped, first, end, false);
	set_pages(region->touched, first, end, false);
	if (has_any(region->touched, 0, REGION_PAGES)) {
		give_back(self, event, block->space, block->page, end - first);
		return;
	}
	/* Nothing of the region is used any more. */
	struct pending_unmap *pending = &self->processes.pending;
	if (pending->space == block->space && pending->first >= start && pending->first + pending->pages <= start + pages)
		pending->pages = 0;
	number_map_remove(&space->regions, region, sizeof *region);
	give_back(self, event, block->space, start, pages);
}

/*
 * __GFP_ACCOUNT is what the kernel's own table pages are asked for with (GFP_PGTABLE_USER), in user space's high memory too where
 * tables may lie there; a top table takes two frames with page table isolation.
 */
static bool is_page_table(const struct attribution_event *event)
{
	gfp table = GFP_KERNEL | __GFP_ZERO | __GFP_ACCOUNT;
	return event->order <= 1 && (event->gfp & ~(gfp)__GFP_HIGHMEM) == table;
}

/* vma_alloc_folio() of do_anonymous_page() and wp_page_copy(), with __GFP_COMP since 5.19; of do_huge_pmd_anonymous_page(). */
static bool is_fault_page(const struct attribution_event *event)
{
	gfp movable = __GFP_HIGHMEM | __GFP_MOVABLE;
	if ((event->gfp & movable) != movable)
		return false;
	if (event->order == 0)
		return (event->gfp & ~(gfp)(__GFP_ZERO | __GFP_COMP)) == GFP_HIGHUSER_MOVABLE;
	return event->order == REGION_SHIFT - PAGE_SHIFT && event->gfp & __GFP_COMP;
}

/* The fault got a huge page, so an area has room for it: what there was is put by, and touched anew. */
static void make_room(struct attribution *self, const struct attribution_event *event, const struct user_task *task)
{
	uint64_t page = task->fault_page - 1, start = page & ~(uint64_t)(REGION_PAGES - 1);
	struct user_region *region = region_of(self, &self->processes.spaces[task->space], page);
	if (!region || area_pages(self, start) < REGION_PAGES)
		return;
	const struct process_profile touch = {.kind = OP_PROCESS_TOUCH, .order = TOUCH_WRITE, .bytes_req = 1, .bytes_alloc = 1};
	push_unmap(self, event, task, start, REGION_PAGES);
	push_anonymous(self, event, task, region, start, REGION_PAGES);
	push_map(self, event, task, &touch, page);
}

static void take_fault_page(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	uint64_t page = task->fault_page - 1;
	if (event->order > 0)
		page &= ~(uint64_t)(REGION_PAGES - 1);
	struct user_space *space = &self->processes.spaces[task->space];
	if (event->order > 0) {
		make_room(self, event, task);
		forget_pages(space, page, event->order);
	}
	task->fault_page = 0;
	/* The frame may have been this space's before, and its free not seen: then that page is gone, but not this one's area. */
	place_page(self, space, page, NO_FRAME);
	frames_process_block(self, event, &(struct page_block){.use = BLOCK_USER_PAGE, .space = task->space, .page = page});
	place_page(self, space, page, (uint32_t)event->pfn);
	self->summary->events_left_out++;
	self->summary->left_fault_pages++;
}

bool processes_take(struct attribution *self, const struct attribution_event *event)
{
	if (!self->processes.any || event->context & (CONTEXT_SOFTIRQ | CONTEXT_HARDIRQ))
		return false;
	struct user_task *task = number_map_find(&self->processes.tasks, (uint64_t)event->task + 1, sizeof *task);
	if (!task)
		return false;
	if (event->kind == TEXT_PAGE_ALLOC && event->has_pfn) {
		if (is_page_table(event)) {
			frames_process_block(self, event, &(struct page_block){.use = BLOCK_PAGE_TABLE});
			self->summary->events_left_out++;
			self->summary->left_page_tables++;
			return true;
		}
		if (task->fault_page != 0 && task->fault_writes && is_fault_page(event)) {
			take_fault_page(self, event, task);
			return true;
		}
	}
	/* A fault takes objects of caches before its page (anon_vma_prepare()), and nothing else. */
	if (event->kind != TEXT_CACHE_ALLOC)
		end_fault(self, task);
	return false;
}

void user_pages_check(const struct attribution *self, const struct user_space *space)
{
	if (space->ids_count == 0)
		return;
	for (size_t slot = 0; slot <= space->pages.mask; slot++) {
		const struct user_page *page = (const void *)(space->pages.entries + slot * sizeof *page);
		const struct user_region *region = page->key ? region_of(self, space, page->key - 1) : NULL;
		SIM_ASSERT(page->key == 0 || (region && has_page(region->mapped, page_in_region(page->key - 1))));
	}
	for (size_t slot = 0; slot <= space->regions.mask; slot++) {
		const struct user_region *region = (const void *)(space->regions.entries + slot * sizeof *region);
		SIM_ASSERT(region->key == 0 || has_any(region->touched, 0, REGION_PAGES));
		for (uint32_t word = 0; word < REGION_WORDS; word++)
			SIM_ASSERT(!(region->touched[word] & ~region->mapped[word]));
	}
}
