/* SPDX-License-Identifier: MIT
 *
 * trace_user_pages.c - faults of processes as areas and touches, and the pages they took (interface: trace_processes.h; rules:
 * docs/formats.md, "Processes").
 *
 * MODEL: areas are anonymous, may be read, written and executed, and lie where touches show them, 2 MiB each; an area goes when
 * the last of its pages whose frames are known is freed. A fault that ended in a signal looks like one that was put right.
 */
#include "sim/port/user_memory.h"
#include "sim/trace_attribution.h"

/* No area is ever at the lowest page (mmap_min_addr), and addresses above this are the kernel's. */
#define LOWEST_PAGE 1u
#define USER_END_64BIT (1ull << 56)
#define REGION_PAGES (1u << (REGION_SHIFT - PAGE_SHIFT))
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

/* The area that the page lies in; the stack has none, though an area may share its region. */
static struct user_region *area_of(const struct attribution *self, const struct user_space *space, uint64_t page)
{
	if (is_stack(self, page))
		return NULL;
	return number_map_find(&space->regions, (page >> (REGION_SHIFT - PAGE_SHIFT)) + 1, sizeof(struct user_region));
}

static void make_area(struct attribution *self, const struct attribution_event *event, const struct user_task *task,
                      uint64_t page)
{
	struct user_space *space = &self->processes.spaces[task->space];
	if (is_stack(self, page) || area_of(self, space, page))
		return;
	uint64_t first = page & ~(uint64_t)(REGION_PAGES - 1);
	number_map_add(&space->regions, (page >> (REGION_SHIFT - PAGE_SHIFT)) + 1, sizeof(struct user_region));
	const struct process_profile map = {
	        .kind = OP_PROCESS_MAP, .order = USER_ANONYMOUS, .gfp = USER_RIGHTS, .bytes_req = area_pages(self, first)};
	processes_push(self, event, task->id, &map, first << PAGE_SHIFT);
	self->summary->process_ops++;
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
 * and an area may go while a fault in it is under way.
 */
static void place_page(const struct attribution *self, struct user_space *space, uint64_t page, uint32_t frame)
{
	struct user_region *area = area_of(self, space, page);
	if (!area)
		return;
	struct user_page *known = number_map_find(&space->pages, page + 1, sizeof *known);
	if (!known) {
		known = number_map_add(&space->pages, page + 1, sizeof *known);
		area->resident++;
	}
	known->frame = frame;
}

void user_pages_fork(struct user_space *child, const struct user_space *parent)
{
	for (size_t slot = 0; slot <= parent->regions.mask; slot++) {
		const struct user_region *from = (const void *)(parent->regions.entries + slot * sizeof *from);
		if (from->key == 0)
			continue;
		struct user_region *to = number_map_add(&child->regions, from->key, sizeof *to);
		to->resident = from->resident;
	}
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
	struct user_region *area = area_of(self, space, block->page);
	SIM_ASSERT(area && area->resident > 0);
	if (--area->resident > 0)
		return;
	number_map_remove(&space->regions, area, sizeof *area);
	uint64_t first = block->page & ~(uint64_t)(REGION_PAGES - 1);
	const struct process_profile unmap = {.kind = OP_PROCESS_UNMAP, .bytes_req = area_pages(self, first)};
	processes_push(self, event, space->ids[0], &unmap, first << PAGE_SHIFT);
	self->summary->process_ops++;
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

static void take_fault_page(struct attribution *self, const struct attribution_event *event, struct user_task *task)
{
	uint64_t page = task->fault_page - 1;
	if (event->order > 0)
		page &= ~(uint64_t)(REGION_PAGES - 1);
	struct user_space *space = &self->processes.spaces[task->space];
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
	uint64_t pages = 0, resident = 0;
	if (space->ids_count == 0)
		return;
	for (size_t slot = 0; slot <= space->pages.mask; slot++) {
		const struct user_page *page = (const void *)(space->pages.entries + slot * sizeof *page);
		pages += page->key != 0;
		SIM_ASSERT(page->key == 0 || area_of(self, space, page->key - 1));
	}
	for (size_t slot = 0; slot <= space->regions.mask; slot++) {
		const struct user_region *area = (const void *)(space->regions.entries + slot * sizeof *area);
		resident += area->key ? area->resident : 0;
	}
	SIM_ASSERT(resident >= pages);
}
