/* SPDX-License-Identifier: MIT
 *
 * slob_heap.c - placing and taking back runs of units in SLOB's pages (interface: slob_heap.h).
 *
 * Algorithm, as Linux 6.1's mm/slob.c (slob_alloc, slob_page_alloc, slob_free) decides:
 *   - a run is looked for on the list of its size, page by page from the head, in each page the first block that holds it after
 *     alignment; pages with too few free units are passed over;
 *   - the list is then turned so that the page found comes first, unless the run filled it: then it leaves the list;
 *   - if no page has room, a fresh page goes to the head of the list;
 *   - a freed run is put in address order and joined with free neighbours; a page that was full goes to the head of the list of
 *     the freed size, whatever list it was on before; an empty page is given back.
 * `largest` of a page saves looking into its blocks when none can hold the run: they are counted (and recorded as steps) all the
 * same, since the kernel does look.
 *
 * Invariants: blocks of a page ascend and do not touch; units = sum of its blocks; largest >= each; a page is on a list exactly
 * if it has free units, and never has all units free.
 */
#include "models/object_allocator/slob_heap.h"
#include "models/kernel_code.h"
#include "sim/list_steps.h"

#include "models/settings.h"

#include <stdlib.h>
#include <string.h>

/* Bounds of the lists, in bytes (SLOB_BREAK1, SLOB_BREAK2). */
#define SLOB_BREAK1 256u
#define SLOB_BREAK2 1024u

/* Where struct slab of SLOB lies in its struct page: slab_list behind the flags, freelist, units (mm/slab.h, 64 bit). */
#define STRUCT_SLAB_LIST 8u
#define STRUCT_SLAB_FREELIST 32u
#define STRUCT_SLAB_UNITS 40u
#define WORD 8u

/* struct per_cpu_nodestat: a byte counts the node's slab pages. */
#define PER_CPU_NODESTAT_BYTES 64u
#define NODESTAT_SLAB_OFFSET 6u

/* A list head: two pointers. */
#define LIST_HEAD_BYTES 16u

#define PAGES_AT_FIRST 64u

static enum slob_list list_of_size(uint32_t size)
{
	if (size < SLOB_BREAK1)
		return SLOB_SMALL;
	return size < SLOB_BREAK2 ? SLOB_MEDIUM : SLOB_LARGE;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- steps: what the kernel touches ---- */

static vaddr struct_slab(const struct slob_heap *heap, uint32_t page, uint32_t field)
{
	return vaddr_of(layout_struct_page(heap->wiring->layout, heap->bodies[page].frame).addr + field);
}

static vaddr list_links(const struct slob_heap *heap, uint32_t page)
{
	return page < SLOB_LISTS ? heap->heads[page] : struct_slab(heap, page, STRUCT_SLAB_LIST);
}

/* The chain words of a free block: size and next, or the one unit that a block of one unit has. */
static uint32_t chain_bytes(struct slob_block block)
{
	return block.units > 1 ? 2 * SLOB_UNIT : SLOB_UNIT;
}

static vaddr block_address(const struct slob_heap *heap, uint32_t page, struct slob_block block)
{
	return slob_address(heap, (struct slob_place){page, block.offset * SLOB_UNIT});
}

/* slob_units(), slob_next(): whoever led here had to be read first. */
static void read_block(const struct slob_heap *heap, uint32_t page, struct slob_block block)
{
	step_use(heap->wiring->steps);
	step_read(heap->wiring->steps, block_address(heap, page, block), chain_bytes(block));
}

/* Reads blocks [0, count) of a page, each `instructions` long. */
static void read_blocks(const struct slob_heap *heap, uint32_t page, uint32_t count, uint32_t instructions)
{
	if (!heap->wiring->steps->recording)
		return;
	step_read(heap->wiring->steps, struct_slab(heap, page, STRUCT_SLAB_FREELIST), WORD);
	for (uint32_t i = 0; i < count; i++) {
		read_block(heap, page, heap->bodies[page].block[i]);
		step_spend(heap->wiring->steps, instructions);
	}
}

/* set_slob() */
static void write_chain(const struct slob_heap *heap, uint32_t page, struct slob_block block)
{
	step_write(heap->wiring->steps, block_address(heap, page, block), chain_bytes(block));
}

static void write_block(const struct slob_heap *heap, uint32_t page, uint32_t i)
{
	if (heap->wiring->steps->recording)
		write_chain(heap, page, heap->bodies[page].block[i]);
}

/* Whoever points at block i: the block before it, or the page's freelist. */
static void write_link_to(const struct slob_heap *heap, uint32_t page, uint32_t i)
{
	if (!heap->wiring->steps->recording)
		return;
	if (i > 0)
		write_block(heap, page, i - 1);
	else
		step_write(heap->wiring->steps, struct_slab(heap, page, STRUCT_SLAB_FREELIST), WORD);
}

static void write_units(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_write(heap->wiring->steps, struct_slab(heap, page, STRUCT_SLAB_UNITS), WORD);
}

static void update_units(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_update(heap->wiring->steps, struct_slab(heap, page, STRUCT_SLAB_UNITS), WORD);
}

/* The page's flags say that it is a slab, and whether it is on a list (PG_slob_free). */
static void update_flags(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_update(heap->wiring->steps, struct_slab(heap, page, 0), WORD);
}

static void read_flags(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_read(heap->wiring->steps, struct_slab(heap, page, 0), WORD);
}

/* list_del() of what is on the list still. */
static void record_del(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_list_del(heap->wiring->steps, list_links(heap, page), list_links(heap, heap->pages[page].prev),
		              list_links(heap, heap->pages[page].next), WORD);
}

/* list_add(), list_add_tail() of what is on the list already. */
static void record_add(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_list_add(heap->wiring->steps, list_links(heap, page), list_links(heap, heap->pages[page].prev),
		              list_links(heap, heap->pages[page].next), WORD);
}

/* A page met on the list: its free units. */
static void read_page(const struct slob_heap *heap, uint32_t page)
{
	if (!heap->wiring->steps->recording)
		return;
	step_use(heap->wiring->steps);
	step_read(heap->wiring->steps, struct_slab(heap, page, STRUCT_SLAB_UNITS), WORD);
	step_spend(heap->wiring->steps, heap->wiring->settings->cost.slob_page);
}

static void read_next_page(const struct slob_heap *heap, uint32_t page)
{
	if (heap->wiring->steps->recording)
		step_read(heap->wiring->steps, struct_slab(heap, page, STRUCT_SLAB_LIST), WORD);
}

static void touch_node_stat(const struct slob_heap *heap, unsigned cpu)
{
	vaddr at = layout_per_cpu(heap->wiring->layout, heap->node_stat_offset, cpu);
	step_update(heap->wiring->steps, vaddr_of(at.addr + NODESTAT_SLAB_OFFSET), 1);
}

/* ---- lists ---- */

static void link_between(struct slob_heap *heap, uint32_t page, uint32_t prev, uint32_t next)
{
	heap->pages[page].prev = prev;
	heap->pages[page].next = next;
	heap->pages[prev].next = page;
	heap->pages[next].prev = page;
}

static void unlink_page(struct slob_heap *heap, uint32_t page)
{
	uint32_t prev = heap->pages[page].prev, next = heap->pages[page].next;
	heap->pages[prev].next = next;
	heap->pages[next].prev = prev;
}

static void enter_list(struct slob_heap *heap, uint32_t page, enum slob_list list, uint32_t prev)
{
	uint32_t next = heap->pages[prev].next;
	link_between(heap, page, prev, next);
	heap->pages[page].list = (uint8_t)list;
	heap->counters.slob_pages[list]++;
	heap->counters.slob_free_bytes[list] += SLOB_UNIT * heap->pages[page].units;
	record_add(heap, page);
	update_flags(heap, page);
}

static void leave_list(struct slob_heap *heap, uint32_t page)
{
	struct slob_page *entry = &heap->pages[page];
	heap->counters.slob_pages[entry->list]--;
	heap->counters.slob_free_bytes[entry->list] -= SLOB_UNIT * entry->units;
	record_del(heap, page);
	update_flags(heap, page);
	unlink_page(heap, page);
}

/* Turns the list so that `page` is first: the head moves in front of it, the order of the pages around the ring stays. */
static void rotate_to_front(struct slob_heap *heap, enum slob_list list, uint32_t page)
{
	if (heap->pages[list].next == page)
		return;
	record_del(heap, list);
	unlink_page(heap, list);
	link_between(heap, list, heap->pages[page].prev, page);
	record_add(heap, list);
}

/* ---- arrays of free blocks ---- */

static struct slob_block *take_room(struct slob_heap *heap, unsigned room)
{
	struct slob_spare *spare = heap->spare[room];
	if (!spare)
		return xcalloc(1u << (room + SLOB_ROOM_SHIFT), sizeof(struct slob_block));
	heap->spare[room] = spare->next;
	return (void *)spare;
}

static void give_room(struct slob_heap *heap, struct slob_block *blocks, unsigned room)
{
	struct slob_spare *spare = (void *)blocks;
	spare->next = heap->spare[room];
	heap->spare[room] = spare;
}

static void grow_room(struct slob_heap *heap, uint32_t page)
{
	struct slob_page *entry = &heap->pages[page];
	struct slob_body *body = &heap->bodies[page];
	SIM_ASSERT(entry->room + 1 < SLOB_ROOMS);
	struct slob_block *wider = take_room(heap, entry->room + 1u);
	memcpy(wider, body->block, entry->blocks * sizeof *wider);
	give_room(heap, body->block, entry->room);
	body->block = wider;
	entry->room++;
}

/* Makes place `i` of the array free. */
static void insert_place(struct slob_heap *heap, uint32_t page, uint32_t i)
{
	struct slob_page *entry = &heap->pages[page];
	if (entry->blocks == 1u << (entry->room + SLOB_ROOM_SHIFT))
		grow_room(heap, page);
	struct slob_block *block = heap->bodies[page].block;
	memmove(&block[i + 1], &block[i], (entry->blocks - i) * sizeof *block);
	entry->blocks++;
}

static void remove_place(struct slob_heap *heap, uint32_t page, uint32_t i)
{
	struct slob_page *entry = &heap->pages[page];
	struct slob_block *block = heap->bodies[page].block;
	entry->blocks--;
	memmove(&block[i], &block[i + 1], (entry->blocks - i) * sizeof *block);
}

/* ---- entries ---- */

static uint32_t take_entry(struct slob_heap *heap)
{
	uint32_t page = heap->unused;
	if (page) {
		heap->unused = heap->pages[page].next;
		return page;
	}
	if (heap->used == heap->capacity) {
		uint32_t capacity = 2 * heap->capacity;
		heap->pages = xrealloc(heap->pages, capacity * sizeof *heap->pages);
		heap->bodies = xrealloc(heap->bodies, capacity * sizeof *heap->bodies);
		heap->capacity = capacity;
	}
	page = heap->used++;
	heap->bodies[page] = (struct slob_body){.owner = xcalloc(SLOB_PAGE_SLOTS, sizeof(uint16_t))};
	return page;
}

/* An entry for a page in use, on no list and with no free block yet. */
static uint32_t open_page(struct slob_heap *heap, pfn frame)
{
	uint32_t page = take_entry(heap);
	heap->pages[page] = (struct slob_page){.list = SLOB_FULL};
	heap->bodies[page].block = take_room(heap, 0);
	heap->bodies[page].frame = frame;
	heap->bodies[page].unknown = 0;
	frame_map_set(&heap->frames, frame, 1, page);
	return page;
}

/* The page is empty and on no list. Its owner marks are all 0 again. */
static void close_page(struct slob_heap *heap, uint32_t page, unsigned cpu)
{
	pfn frame = heap->bodies[page].frame;
	give_room(heap, heap->bodies[page].block, heap->pages[page].room);
	heap->bodies[page].block = NULL;
	heap->bodies[page].frame = PFN_NONE;
	heap->pages[page].next = heap->unused;
	heap->unused = page;
	frame_map_set(&heap->frames, frame, 1, 0);
	touch_node_stat(heap, cpu);
	heap->counters.slob_freed_pages++;
	enum page_free_result result = page_free(heap->wiring->pages, frame, 0, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

void slob_heap_init(struct slob_heap *heap, const struct object_allocator_wiring *wiring)
{
	*heap = (struct slob_heap){.wiring = wiring, .used = SLOB_LISTS, .capacity = PAGES_AT_FIRST};
	heap->pages = xcalloc(heap->capacity, sizeof *heap->pages);
	heap->bodies = xcalloc(heap->capacity, sizeof *heap->bodies);
	frame_map_init(&heap->frames, wiring->pages->end_pfn);
	heap->node_stat_offset = layout_per_cpu_alloc(wiring->layout, PER_CPU_NODESTAT_BYTES, PER_CPU_ALIGN_MIN);
	heap->lock = layout_kernel_data(wiring->layout, sizeof(uint32_t));
	layout_name(wiring->layout, heap->lock, sizeof(uint32_t), "slob_lock", "");
	for (uint32_t list = 0; list < SLOB_LISTS; list++) {
		heap->pages[list].prev = heap->pages[list].next = list;
		heap->heads[list] = layout_kernel_data(wiring->layout, LIST_HEAD_BYTES);
	}
}

void slob_heap_release(struct slob_heap *heap)
{
	for (uint32_t page = SLOB_LISTS; page < heap->used; page++) {
		free(heap->bodies[page].block);
		free(heap->bodies[page].owner);
	}
	for (unsigned room = 0; room < SLOB_ROOMS; room++)
		while (heap->spare[room])
			free(take_room(heap, room));
	free(heap->pages);
	free(heap->bodies);
	frame_map_release(&heap->frames);
	*heap = (struct slob_heap){0};
}

/* ---- placing ---- */

/* Units from the start of `block` to the first place where a run may begin. */
static uint32_t units_to_align(struct slob_block block, uint32_t align, uint32_t align_offset)
{
	uint32_t at = block.offset * SLOB_UNIT + align_offset;
	return (((at + align - 1) & ~(align - 1)) - at) / SLOB_UNIT;
}

/*
 * Cuts `units` out of block i, `before` units behind its start; what is left on either side stays free. The kernel first splits a
 * block that has to be aligned, then takes the run off the start of the second half.
 */
static void cut(struct slob_heap *heap, uint32_t page, uint32_t i, uint32_t before, uint32_t units)
{
	struct slob_block *block = &heap->bodies[page].block[i];
	struct slob_block behind = {.offset = (uint16_t)(block->offset + before + units),
	                            .units = (uint16_t)(block->units - before - units)};
	if (before) {
		struct slob_block aligned = {.offset = (uint16_t)(block->offset + before),
		                             .units = (uint16_t)(block->units - before)};
		write_chain(heap, page, aligned);
		block->units = (uint16_t)before;
		write_block(heap, page, i);
		read_block(heap, page, aligned);
		write_block(heap, page, i);
		if (!behind.units)
			return;
		insert_place(heap, page, ++i);
		heap->bodies[page].block[i] = behind;
		write_block(heap, page, i);
		return;
	}
	write_link_to(heap, page, i);
	if (behind.units) {
		*block = behind;
		write_block(heap, page, i);
	} else {
		remove_place(heap, page, i);
	}
}

/* Counts the blocks of a page in which none holds the run. */
static void pass_over(struct slob_heap *heap, uint32_t page)
{
	heap->counters.slob_blocks_scanned += heap->pages[page].blocks;
	heap->counters.slob_blocks_no_fit += heap->pages[page].blocks;
	heap->counters.slob_pages_no_fit++;
	read_blocks(heap, page, heap->pages[page].blocks, heap->wiring->settings->cost.slob_block);
}

/* Takes the first block of the page that holds the run (slob_page_alloc). false: none does. */
static bool place_in_page(struct slob_heap *heap, uint32_t page, uint32_t units, uint32_t align, uint32_t align_offset,
                          uint32_t *offset)
{
	struct slob_page *entry = &heap->pages[page];
	const struct slob_block *block = heap->bodies[page].block;
	uint32_t largest = 0;
	for (uint32_t i = 0; i < entry->blocks; i++) {
		if (block[i].units < units) {
			largest = larger(largest, block[i].units);
			continue;
		}
		uint32_t before = units_to_align(block[i], align, align_offset);
		if (block[i].units < units + before) {
			largest = larger(largest, block[i].units);
			continue;
		}
		heap->counters.slob_blocks_scanned += i + 1;
		heap->counters.slob_blocks_no_fit += i;
		read_blocks(heap, page, i + 1, heap->wiring->settings->cost.slob_block);
		*offset = (block[i].offset + before) * SLOB_UNIT;
		cut(heap, page, i, before, units);
		entry->units = (uint16_t)(entry->units - units);
		update_units(heap, page);
		return true;
	}
	entry->largest = (uint16_t)largest;
	pass_over(heap, page);
	return false;
}

/* A page on the list has lost `units`: its list turns to it, or, now full, it leaves the list. */
static void settle(struct slob_heap *heap, uint32_t page, enum slob_list list, uint32_t units)
{
	heap->counters.slob_free_bytes[list] -= SLOB_UNIT * units;
	if (heap->pages[page].units) {
		rotate_to_front(heap, list, page);
		return;
	}
	leave_list(heap, page);
	heap->pages[page].list = SLOB_FULL;
	heap->counters.slob_pages[SLOB_FULL]++;
}

/* Looks through the list from its head. page 0: no page has room. */
static struct slob_place place_on_list(struct slob_heap *heap, enum slob_list list, uint32_t units, uint32_t align,
                                       uint32_t align_offset)
{
	uint64_t scanned = 0, too_full = 0;
	struct slob_place place = {0, 0};
	for (uint32_t page = heap->pages[list].next; page != list; page = heap->pages[page].next) {
		scanned++;
		read_page(heap, page);
		if (heap->pages[page].units < units) {
			too_full++;
		} else if (heap->pages[page].largest < units) {
			pass_over(heap, page);
		} else if (place_in_page(heap, page, units, align, align_offset, &place.offset)) {
			place.page = page;
			settle(heap, page, list, units);
			break;
		}
		read_next_page(heap, page);
	}
	heap->counters.slob_pages_scanned += scanned;
	heap->counters.slob_pages_too_full += too_full;
	return place;
}

/* An entry for a page just fetched, all of it free, on no list yet. */
static uint32_t open_free_page(struct slob_heap *heap, pfn frame)
{
	uint32_t page = open_page(heap, frame);
	struct slob_page *entry = &heap->pages[page];
	heap->counters.slob_new_pages++;
	heap->bodies[page].block[0] = (struct slob_block){0, SLOB_PAGE_UNITS};
	entry->blocks = 1;
	entry->units = entry->largest = SLOB_PAGE_UNITS;
	return page;
}

static pfn fetch_page(struct slob_heap *heap, gfp flags, unsigned cpu)
{
	return page_alloc(heap->wiring->pages, 0, flags & ~(gfp)__GFP_ZERO, cpu);
}

/* Fetches a page, puts it at the head of the list and places the run in it. It always fits: align is at most a page. */
static struct slob_place place_on_new_page(struct slob_heap *heap, enum slob_list list, uint32_t units, uint32_t align,
                                           uint32_t align_offset, gfp flags, unsigned cpu)
{
	struct slob_place place = {0, 0};
	pfn frame = fetch_page(heap, flags, cpu);
	if (frame.nr == UINT32_MAX) {
		heap->counters.slob_failures++;
		return place;
	}
	place.page = open_free_page(heap, frame);
	touch_node_stat(heap, cpu);
	update_flags(heap, place.page);

	step_lock_irqsave(heap->wiring->steps, heap->lock);
	write_units(heap, place.page);
	write_link_to(heap, place.page, 0);
	step_write(heap->wiring->steps, list_links(heap, place.page), LIST_HEAD_BYTES);
	write_block(heap, place.page, 0);
	enter_list(heap, place.page, list, list);
	bool fits = place_in_page(heap, place.page, units, align, align_offset, &place.offset);
	SIM_ASSERT(fits);
	settle(heap, place.page, list, units);
	step_unlock_irqrestore(heap->wiring->steps, heap->lock);
	return place;
}

struct slob_place slob_heap_alloc(struct slob_heap *heap, uint32_t size, uint32_t align, uint32_t align_offset, gfp flags,
                                  unsigned cpu)
{
	SIM_ASSERT(size > 0 && size < PAGE_SIZE && align >= SLOB_SLOT && align <= PAGE_SIZE);
	enum slob_list list = list_of_size(size);
	uint32_t units = slob_units(size);
	const struct cost_settings *cost = &heap->wiring->settings->cost;
	step_run(heap->wiring->steps, CODE_SLOB_ALLOC, cost->slob_alloc);
	step_lock_irqsave(heap->wiring->steps, heap->lock);
	step_read(heap->wiring->steps, heap->heads[list], WORD);
	struct slob_place place = place_on_list(heap, list, units, align, align_offset);
	step_unlock_irqrestore(heap->wiring->steps, heap->lock);
	if (place.page) {
		heap->counters.slob_list_hits++;
	} else {
		heap->counters.slob_list_misses++;
		step_path(heap->wiring->steps, PATH_PAGES);
		step_run(heap->wiring->steps, CODE_SLOB_NEW_PAGE, cost->slob_new_page);
		place = place_on_new_page(heap, list, units, align, align_offset, flags, cpu);
	}
	heap->counters.slob_allocs += place.page != 0;
	if (place.page && flags & __GFP_ZERO)
		step_write(heap->wiring->steps, slob_address(heap, place), size);
	return place;
}

/* ---- taking back ---- */

/* The number of the page's free blocks that lie before `offset` (units). */
static uint32_t blocks_before(const struct slob_heap *heap, uint32_t page, uint32_t offset)
{
	const struct slob_block *block = heap->bodies[page].block;
	uint32_t low = 0, high = heap->pages[page].blocks;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (block[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- beside a recording ---- */

/* The first block that holds the run, *before units behind its start; entry->blocks if none does. */
static uint32_t first_fit(const struct slob_heap *heap, uint32_t page, uint32_t units, uint32_t align, uint32_t align_offset,
                          uint32_t *before)
{
	const struct slob_block *block = heap->bodies[page].block;
	uint32_t i = 0;
	for (; i < heap->pages[page].blocks; i++) {
		*before = units_to_align(block[i], align, align_offset);
		if (block[i].units >= units + *before)
			break;
	}
	return i;
}

struct slob_place slob_heap_foresee(const struct slob_heap *heap, uint32_t size, uint32_t align, uint32_t align_offset)
{
	enum slob_list list = list_of_size(size);
	uint32_t units = slob_units(size), before;
	for (uint32_t page = heap->pages[list].next; page != list; page = heap->pages[page].next) {
		if (heap->pages[page].units < units || heap->pages[page].largest < units)
			continue;
		uint32_t i = first_fit(heap, page, units, align, align_offset, &before);
		if (i < heap->pages[page].blocks)
			return (struct slob_place){page, (heap->bodies[page].block[i].offset + before) * SLOB_UNIT};
	}
	return (struct slob_place){0, 0};
}

/* Fetches the page at this very frame and puts it on the list. 0: the page allocator gives another one. */
static uint32_t open_page_at(struct slob_heap *heap, enum slob_list list, pfn frame, gfp flags, unsigned cpu)
{
	pfn got = fetch_page(heap, flags, cpu);
	if (got.nr == UINT32_MAX)
		return 0;
	if (got.nr != frame.nr) {
		enum page_free_result result = page_free(heap->wiring->pages, got, 0, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
		return 0;
	}
	uint32_t page = open_free_page(heap, frame);
	heap->counters.slob_list_misses++;
	enter_list(heap, page, list, list);
	return page;
}

bool slob_heap_place_at(struct slob_heap *heap, uint32_t size, pfn frame, uint32_t offset, gfp flags, unsigned cpu,
                        struct slob_place *place)
{
	enum slob_list list = list_of_size(size);
	uint32_t units = slob_units(size), at = offset / SLOB_UNIT, page = frame_map_get(&heap->frames, frame);
	bool fresh = !page;
	if (at + units > SLOB_PAGE_UNITS)
		return false;
	if (fresh && !(page = open_page_at(heap, list, frame, flags, cpu)))
		return false;
	uint32_t i = blocks_before(heap, page, at + 1);
	if (i == 0)
		return false;
	struct slob_block block = heap->bodies[page].block[--i];
	if (block.offset + block.units < at + units)
		return false;
	if (heap->pages[page].list != list) {
		leave_list(heap, page);
		enter_list(heap, page, list, list);
	}
	cut(heap, page, i, at - block.offset, units);
	heap->pages[page].units = (uint16_t)(heap->pages[page].units - units);
	settle(heap, page, list, units);
	heap->counters.slob_allocs++;
	heap->counters.slob_list_hits += !fresh;
	heap->counters.slob_pages_scanned += !fresh;
	heap->counters.slob_blocks_scanned++;
	*place = (struct slob_place){page, offset};
	return true;
}

void slob_heap_evict(struct slob_heap *heap, uint32_t page, unsigned cpu)
{
	if (heap->pages[page].list != SLOB_FULL)
		leave_list(heap, page);
	else
		heap->counters.slob_pages[SLOB_FULL]--;
	close_page(heap, page, cpu);
}

bool slob_heap_is_free(const struct slob_heap *heap, struct slob_place place)
{
	uint32_t unit = place.offset / SLOB_UNIT, i = blocks_before(heap, place.page, unit);
	if (i == 0)
		return false;
	struct slob_block block = heap->bodies[place.page].block[i - 1];
	return unit < (uint32_t)block.offset + block.units;
}

/* Puts the run in front of block i, joined with the blocks it touches. Returns the units of the block it is part of now. */
static uint32_t join(struct slob_heap *heap, uint32_t page, uint32_t i, struct slob_block run)
{
	struct slob_block *block = heap->bodies[page].block;
	bool with_next = i < heap->pages[page].blocks && run.offset + run.units == block[i].offset;
	bool with_prev = i > 0 && block[i - 1].offset + block[i - 1].units == run.offset;
	if (with_next) {
		read_block(heap, page, block[i]);
		run.units = (uint16_t)(run.units + block[i].units);
	}
	if (with_prev) {
		write_chain(heap, page, run);
		block[i - 1].units = (uint16_t)(block[i - 1].units + run.units);
		if (with_next)
			remove_place(heap, page, i);
		write_block(heap, page, i - 1);
		return block[i - 1].units;
	}
	if (!with_next)
		insert_place(heap, page, i);
	heap->bodies[page].block[i] = run;
	write_block(heap, page, i);
	write_link_to(heap, page, i);
	return run.units;
}

/* Puts a run back into a page that keeps others. The kernel walks the chain to find its place, we search. */
static void insert_run(struct slob_heap *heap, uint32_t page, struct slob_block run)
{
	struct slob_page *entry = &heap->pages[page];
	uint32_t before = blocks_before(heap, page, run.offset);
	update_units(heap, page);
	read_blocks(heap, page, before, heap->wiring->settings->cost.slob_free_block);
	heap->counters.slob_frees_inside += before > 0;
	heap->counters.slob_free_blocks_scanned += before;
	entry->units = (uint16_t)(entry->units + run.units);
	heap->counters.slob_free_bytes[entry->list] += SLOB_UNIT * run.units;
	uint32_t joined = join(heap, page, before, run);
	entry->largest = (uint16_t)larger(entry->largest, joined);
}

static void reopen_full_page(struct slob_heap *heap, uint32_t page, struct slob_block run, enum slob_list list)
{
	struct slob_page *entry = &heap->pages[page];
	heap->bodies[page].block[0] = run;
	entry->blocks = 1;
	entry->units = entry->largest = run.units;
	write_units(heap, page);
	write_link_to(heap, page, 0);
	write_block(heap, page, 0);
	heap->counters.slob_pages[SLOB_FULL]--;
	enter_list(heap, page, list, list);
}

void slob_heap_free(struct slob_heap *heap, struct slob_place place, uint32_t size, unsigned cpu)
{
	struct steps *steps = heap->wiring->steps;
	struct slob_page *entry = &heap->pages[place.page];
	struct slob_block run = {.offset = (uint16_t)(place.offset / SLOB_UNIT), .units = (uint16_t)slob_units(size)};
	heap->counters.slob_frees++;
	step_run(steps, CODE_SLOB_FREE, heap->wiring->settings->cost.slob_free);
	/* virt_to_slab() */
	step_read(steps, struct_slab(heap, place.page, STRUCT_SLAB_LIST), WORD);
	read_flags(heap, place.page);
	step_lock_irqsave(steps, heap->lock);
	step_read(steps, struct_slab(heap, place.page, STRUCT_SLAB_UNITS), WORD);
	read_flags(heap, place.page);
	if (entry->units + run.units == SLOB_PAGE_UNITS) {
		if (entry->list != SLOB_FULL)
			leave_list(heap, place.page);
		else
			heap->counters.slob_pages[SLOB_FULL]--;
		step_unlock_irqrestore(steps, heap->lock);
		step_path(steps, PATH_PAGES);
		step_run(steps, CODE_SLOB_FREE_PAGE, heap->wiring->settings->cost.slob_free_page);
		update_flags(heap, place.page);
		close_page(heap, place.page, cpu);
		return;
	}
	if (entry->list == SLOB_FULL)
		reopen_full_page(heap, place.page, run, list_of_size(size));
	else
		insert_run(heap, place.page, run);
	step_unlock_irqrestore(steps, heap->lock);
}

/* ---- loading ---- */

static bool blocks_are_a_chain(const struct slob_block *blocks, uint32_t count)
{
	uint32_t end = 0;
	if (count == 1 && blocks[0].units == SLOB_PAGE_UNITS)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!blocks[i].units || (i > 0 && blocks[i].offset <= end))
			return false;
		end = (uint32_t)blocks[i].offset + blocks[i].units;
		if (end > SLOB_PAGE_UNITS)
			return false;
	}
	return true;
}

bool slob_heap_load(struct slob_heap *heap, enum slob_list list, pfn frame, const struct slob_block *blocks, uint32_t count,
                    struct error *error)
{
	if (frame.nr >= heap->frames.frames || frame_map_get(&heap->frames, frame))
		return error_set(error, ERROR_INPUT, "SLOB's page %x is beyond memory or listed twice", frame.nr);
	if ((count == 0) != (list == SLOB_FULL) || !blocks_are_a_chain(blocks, count))
		return error_set(error, ERROR_INPUT, "the free blocks of SLOB's page %x are not ascending inside the page",
		                 frame.nr);
	uint32_t page = open_page(heap, frame);
	struct slob_page *entry = &heap->pages[page];
	for (uint32_t i = 0; i < count; i++) {
		insert_place(heap, page, i);
		heap->bodies[page].block[i] = blocks[i];
		entry->units = (uint16_t)(entry->units + blocks[i].units);
		entry->largest = (uint16_t)larger(entry->largest, blocks[i].units);
	}
	heap->bodies[page].unknown = (uint16_t)(SLOB_PAGE_UNITS - entry->units);
	heap->loaded_pages++;
	if (list == SLOB_FULL)
		heap->counters.slob_pages[SLOB_FULL]++;
	else
		enter_list(heap, page, list, heap->pages[list].prev);
	return true;
}

/* ---- check ---- */

static void check_page(const struct slob_heap *heap, uint32_t page)
{
	const struct slob_page *entry = &heap->pages[page];
	const struct slob_body *body = &heap->bodies[page];
	SIM_ASSERT(frame_map_get(&heap->frames, body->frame) == page);
	SIM_ASSERT(entry->blocks <= 1u << (entry->room + SLOB_ROOM_SHIFT));
	SIM_ASSERT(blocks_are_a_chain(body->block, entry->blocks));
	uint32_t units = 0;
	for (uint32_t i = 0; i < entry->blocks; i++) {
		units += body->block[i].units;
		SIM_ASSERT(body->block[i].units <= entry->largest);
	}
	SIM_ASSERT(units == entry->units && units + body->unknown <= SLOB_PAGE_UNITS);
	SIM_ASSERT(units < SLOB_PAGE_UNITS && (units == 0) == (entry->list == SLOB_FULL));
}

/* Pages on the list; each is checked. */
static uint64_t check_list(const struct slob_heap *heap, uint32_t list)
{
	uint64_t count = 0, free_bytes = 0;
	uint32_t prev = list;
	for (uint32_t page = heap->pages[list].next; page != list; prev = page, page = heap->pages[page].next) {
		SIM_ASSERT(page >= SLOB_LISTS && page < heap->used && heap->pages[page].prev == prev &&
		           heap->pages[page].list == list);
		check_page(heap, page);
		free_bytes += SLOB_UNIT * heap->pages[page].units;
		count++;
		SIM_ASSERT(count <= heap->used);
	}
	SIM_ASSERT(heap->pages[list].prev == prev);
	SIM_ASSERT(count == heap->counters.slob_pages[list] && free_bytes == heap->counters.slob_free_bytes[list]);
	return count;
}

static void check_laws(const struct slob_counters *count)
{
	SIM_ASSERT(count->slob_allocs == count->slob_list_hits + count->slob_new_pages);
	SIM_ASSERT(count->slob_list_misses == count->slob_new_pages + count->slob_failures);
	SIM_ASSERT(count->slob_pages_scanned == count->slob_pages_too_full + count->slob_pages_no_fit + count->slob_list_hits);
	SIM_ASSERT(count->slob_blocks_scanned == count->slob_blocks_no_fit + count->slob_allocs);
	SIM_ASSERT(count->slob_frees_inside <= count->slob_free_blocks_scanned && count->slob_frees_inside <= count->slob_frees);
}

void slob_heap_check(const struct slob_heap *heap)
{
	uint64_t listed = 0, full = 0, unused = 0;
	for (uint32_t list = 0; list < SLOB_LISTS; list++)
		listed += check_list(heap, list);
	for (uint32_t page = SLOB_LISTS; page < heap->used; page++) {
		if (heap->bodies[page].block && heap->pages[page].list == SLOB_FULL) {
			check_page(heap, page);
			full++;
		}
	}
	for (uint32_t page = heap->unused; page; page = heap->pages[page].next) {
		SIM_ASSERT(!heap->bodies[page].block && unused < heap->used);
		unused++;
	}
	SIM_ASSERT(full == heap->counters.slob_pages[SLOB_FULL]);
	SIM_ASSERT(listed + full == slob_heap_pages(heap) && listed + full + unused + SLOB_LISTS == heap->used);
	check_laws(&heap->counters);
}
