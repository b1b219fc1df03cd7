/* SPDX-License-Identifier: MIT
 *
 * slob_heap.h - the heap below SLOB: pages cut into blocks of two-byte units, three lists of partly free pages.
 *
 * Interface: slob_heap_alloc() places a run of bytes and says where, slob_heap_free() takes one back. Who owns a run is the
 * business of slob.c, which keeps its marks in slob_body.owner.
 *
 * In the kernel the free blocks of a page are a chain inside the free memory itself: a block's first unit holds its size (or,
 * in a block of one unit, minus the offset of the next), its second the offset of the next. Here the same chain is an array
 * in address order, which holds no more and no less: the chain is always in that order and its blocks never touch.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLOB_HEAP_H
#define MODELS_OBJECT_ALLOCATOR_SLOB_HEAP_H

#include "models/object_allocator/frame_map.h"
#include "models/object_allocator/slob.h"

/* Every run begins on a multiple of 8 bytes (the smallest alignment there is), so a page has one owner mark for each 8 bytes. */
#define SLOB_SLOT 8u
#define SLOB_PAGE_SLOTS (PAGE_SIZE / SLOB_SLOT)

/* Arrays of free blocks grow by doubling from 4 to 1024, the most that fit into a page without touching. */
#define SLOB_ROOM_SHIFT 2
#define SLOB_ROOMS 9

/* What the search for a page looks at, 16 bytes. The first SLOB_LISTS entries of the array are the heads of the lists. */
struct slob_page {
	uint32_t prev, next; /* on its list; `next` also chains unused entries */
	uint16_t units;      /* free ones */
	uint16_t largest;    /* no free block is larger; may be too high, never too low */
	uint16_t blocks;     /* free ones */
	uint8_t list;        /* enum slob_list */
	uint8_t room;        /* the array of blocks has room for 1 << (room + SLOB_ROOM_SHIFT) */
};

/* The rest of a page. */
struct slob_body {
	struct slob_block *block; /* in address order */
	uint16_t *owner; /* SLOB_PAGE_SLOTS marks of slob.c; 0 = nothing begins here; kept when the entry is used again */
	pfn frame;
	uint16_t unknown; /* units of a loaded page that are neither free nor of a known object */
};

struct slob_counters {
	uint64_t slob_allocs, slob_list_hits, slob_list_misses, slob_new_pages, slob_failures;
	uint64_t slob_pages_scanned, slob_pages_too_full, slob_pages_no_fit;
	uint64_t slob_blocks_scanned, slob_blocks_no_fit;
	uint64_t slob_frees, slob_frees_inside, slob_free_blocks_scanned, slob_freed_pages;
	uint64_t slob_whole_page_requests, slob_whole_page_allocs, slob_whole_page_failures, slob_whole_page_frees;
	uint64_t slob_pages[SLOB_LISTS + 1];  /* gauge by list, SLOB_FULL last */
	uint64_t slob_free_bytes[SLOB_LISTS]; /* gauge by list */
};

/* An array of blocks that no page uses; the smallest has room for the pointer. */
struct slob_spare {
	struct slob_spare *next;
};

struct slob_heap {
	const struct object_allocator_wiring *wiring;
	struct slob_page *pages; /* the list heads, then pages; an entry's number is its entry in `frames` */
	struct slob_body *bodies;
	uint32_t used, capacity;
	uint32_t unused;                      /* chain of unused entries, 0 = none */
	struct slob_spare *spare[SLOB_ROOMS]; /* by room */
	struct frame_map frames;
	uint64_t node_stat_offset; /* per-CPU: struct per_cpu_nodestat */
	vaddr lock;                /* slob_lock */
	vaddr heads[SLOB_LISTS];   /* the list heads, 16 bytes each */
	uint64_t loaded_pages;
	struct slob_counters counters;
};

/* Where a run lies. */
struct slob_place {
	uint32_t page;   /* 0: no memory */
	uint32_t offset; /* bytes from the page's start */
};

/* `wiring` must stay where it is as long as the heap. */
void slob_heap_init(struct slob_heap *heap, const struct object_allocator_wiring *wiring);
void slob_heap_release(struct slob_heap *heap);

/* Places `size` bytes, 1 .. PAGE_SIZE - 1, so that the byte `align_offset` behind their start lies on a multiple of `align`. */
struct slob_place slob_heap_alloc(struct slob_heap *heap, uint32_t size, uint32_t align, uint32_t align_offset, gfp flags,
                                  unsigned cpu);

/* Takes back a run that slob_heap_alloc() placed. An empty page goes back to the page allocator at once. */
void slob_heap_free(struct slob_heap *heap, struct slob_place place, uint32_t size, unsigned cpu);

/* Where slob_heap_alloc() would place the run on its list; page 0: it would fetch a page. Nothing changes. */
struct slob_place slob_heap_foresee(const struct slob_heap *heap, uint32_t size, uint32_t align, uint32_t align_offset);

/*
 * Beside a recording: takes the run at this very place, `offset` bytes into the page at `frame`, as slob_heap_alloc() takes one
 * it found, in a fresh page if the heap has none there. false: it is not free, or the page allocator gives another page.
 */
bool slob_heap_place_at(struct slob_heap *heap, uint32_t size, pfn frame, uint32_t offset, gfp flags, unsigned cpu,
                        struct slob_place *place);
/* Gives a page back, whatever lives in it. */
void slob_heap_evict(struct slob_heap *heap, uint32_t page, unsigned cpu);

/* Whether the unit at `offset` bytes is in a free block. */
bool slob_heap_is_free(const struct slob_heap *heap, struct slob_place place);

/* Adds a page of a recorded state: slob_load_page() in slob.h. */
bool slob_heap_load(struct slob_heap *heap, enum slob_list list, pfn frame, const struct slob_block *blocks, uint32_t count,
                    struct error *error);

/* Heap pages held. */
static inline uint64_t slob_heap_pages(const struct slob_heap *heap)
{
	return heap->counters.slob_new_pages + heap->loaded_pages - heap->counters.slob_freed_pages;
}

/* Walks lists, blocks and pages, recounts and compares. Owners are slob.c's to check. */
void slob_heap_check(const struct slob_heap *heap);

static inline uint32_t slob_units(uint32_t bytes)
{
	return (bytes + SLOB_UNIT - 1) / SLOB_UNIT;
}

static inline vaddr slob_address(const struct slob_heap *heap, struct slob_place place)
{
	return vaddr_of(layout_page_address(heap->wiring->layout, heap->bodies[place.page].frame).addr + place.offset);
}

#endif
