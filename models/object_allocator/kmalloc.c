/* SPDX-License-Identifier: MIT
 *
 * kmalloc.c - the table of size classes, making the kmalloc caches, and large requests (interface, source and invariants:
 * kmalloc.h).
 */
#include "models/object_allocator/kmalloc.h"
#include "models/kernel_code.h"

#include "models/object_allocator/slab_common.h"
#include "models/settings.h"
#include "sim/steps.h"

#include <stdlib.h>

#define KMALLOC_INFO(bytes, text) \
	{ \
		.name = {"kmalloc-" text, "kmalloc-cg-" text, "kmalloc-rcl-" text, "dma-kmalloc-" text}, .size = (bytes) \
	}

const struct kmalloc_info kmalloc_info[KMALLOC_SHIFT_HIGH + 1] = {
        {.size = 0},
        KMALLOC_INFO(96, "96"),
        KMALLOC_INFO(192, "192"),
        KMALLOC_INFO(8, "8"),
        KMALLOC_INFO(16, "16"),
        KMALLOC_INFO(32, "32"),
        KMALLOC_INFO(64, "64"),
        KMALLOC_INFO(128, "128"),
        KMALLOC_INFO(256, "256"),
        KMALLOC_INFO(512, "512"),
        KMALLOC_INFO(1024, "1k"),
        KMALLOC_INFO(2048, "2k"),
        KMALLOC_INFO(4096, "4k"),
        KMALLOC_INFO(8192, "8k"),
};

/* The class of a size up to KMALLOC_TABLE_MAX: the next power of two unless 96 or 192 fits closer, never below the smallest. */
static unsigned small_index(uint32_t size, unsigned shift_low)
{
	if (size <= 1u << shift_low)
		return shift_low;
	if (size > 64 && size <= 96)
		return KMALLOC_INDEX_96;
	if (size > 128 && size <= 192)
		return KMALLOC_INDEX_192;
	return 32 - (unsigned)__builtin_clz(size - 1);
}

void kmalloc_init(struct kmalloc *kmalloc, const struct object_allocator_wiring *wiring, unsigned shift_low)
{
	/* The two odd classes exist in both allocators only while the smallest class is below 64 bytes. */
	SIM_ASSERT(shift_low >= KMALLOC_SHIFT_LOW_SLUB && shift_low <= KMALLOC_SHIFT_LOW_SLAB);
	*kmalloc = (struct kmalloc){.wiring = wiring, .memcg_kmem = wiring->settings->kernel.memcg_kmem, .shift_low = shift_low};
	for (unsigned type = 0; type < NR_KMALLOC_TYPES; type++)
		for (unsigned index = 0; index <= KMALLOC_SHIFT_HIGH; index++)
			kmalloc->caches[type][index] = CACHE_NONE;
	for (uint32_t size = 8; size <= KMALLOC_TABLE_MAX; size += 8)
		kmalloc->size_index[(size - 1) / 8] = (uint8_t)small_index(size, shift_low);
	frame_map_init(&kmalloc->frames, wiring->pages->end_pfn);
	kmalloc->size_index_at = layout_kernel_data(wiring->layout, sizeof kmalloc->size_index);
	kmalloc->caches_at = layout_kernel_data(wiring->layout, NR_KMALLOC_TYPES * (KMALLOC_SHIFT_HIGH + 1) * sizeof(uint64_t));
}

void kmalloc_release(struct kmalloc *kmalloc)
{
	frame_map_release(&kmalloc->frames);
	free(kmalloc->large);
	*kmalloc = (struct kmalloc){0};
}

static uint32_t type_flags(enum kmalloc_cache_type type)
{
	switch (type) {
	case KMALLOC_RECLAIM:
		return SLAB_RECLAIM_ACCOUNT;
	case KMALLOC_CGROUP:
		return SLAB_ACCOUNT;
	case KMALLOC_DMA:
		return SLAB_CACHE_DMA;
	default:
		return 0;
	}
}

static void create_one(struct kmalloc *kmalloc, unsigned index, enum kmalloc_cache_type type, uint32_t flags,
                       kmalloc_cache_maker *make, void *owner)
{
	uint32_t size = kmalloc_info[index].size;
	bool power_of_two = (size & (size - 1)) == 0;
	struct cache_spec spec = {
	        .name = kmalloc_info[index].name[type],
	        .object_size = size,
	        .align = power_of_two && size > ARCH_MINALIGN ? size : ARCH_MINALIGN,
	        .flags = flags | type_flags(type) | SLAB_KMALLOC,
	        .usersize = size,
	};
	kmalloc->caches[type][index] = make(owner, &spec, type);
}

void kmalloc_create_caches(struct kmalloc *kmalloc, uint32_t flags, kmalloc_cache_maker *make, void *owner)
{
	for (enum kmalloc_cache_type type = KMALLOC_NORMAL; type < NR_KMALLOC_TYPES; type++) {
		if (type == KMALLOC_CGROUP && !kmalloc->memcg_kmem)
			continue;
		for (unsigned index = kmalloc->shift_low; index <= KMALLOC_SHIFT_HIGH; index++) {
			create_one(kmalloc, index, type, flags, make, owner);
			if (index == 6)
				create_one(kmalloc, KMALLOC_INDEX_96, type, flags, make, owner);
			if (index == 7)
				create_one(kmalloc, KMALLOC_INDEX_192, type, flags, make, owner);
		}
	}
}

static uint32_t large_entry(struct kmalloc *kmalloc)
{
	if (kmalloc->large_unused) {
		uint32_t number = kmalloc->large_unused - 1;
		kmalloc->large_unused = kmalloc->large[number].order;
		return number;
	}
	if (kmalloc->large_used == kmalloc->large_capacity) {
		kmalloc->large_capacity = kmalloc->large_capacity ? 2 * kmalloc->large_capacity : 64;
		kmalloc->large = xrealloc(kmalloc->large, kmalloc->large_capacity * sizeof *kmalloc->large);
	}
	return kmalloc->large_used++;
}

void kmalloc_touch_slab(const struct kmalloc *kmalloc, uint32_t size, gfp flags)
{
	struct steps *steps = kmalloc->wiring->steps;
	uint32_t pointer_bytes = kmalloc->wiring->layout->direct_map >> 32 ? 8 : 4;
	step_run(steps, CODE_KMALLOC, kmalloc->wiring->settings->cost.kmalloc_slab);
	if (size <= KMALLOC_TABLE_MAX)
		step_read(steps, vaddr_of(kmalloc->size_index_at.addr + (size - 1) / 8), 1);
	uint32_t entry = kmalloc_type(kmalloc, flags) * (KMALLOC_SHIFT_HIGH + 1) + kmalloc_index(kmalloc, size);
	step_read(steps, vaddr_of(kmalloc->caches_at.addr + (uint64_t)entry * pointer_bytes), pointer_bytes);
}

struct object kmalloc_large(struct kmalloc *kmalloc, uint32_t size, gfp flags, unsigned cpu)
{
	const struct object_allocator_wiring *wiring = kmalloc->wiring;
	step_run(wiring->steps, CODE_KMALLOC_LARGE, wiring->settings->cost.kmalloc_large);
	unsigned order = get_order(size);
	struct object object = {.at = VADDR_NULL, .bytes_alloc = PAGE_SIZE << order, .cache = CACHE_NONE};
	if (order >= ORDERS) {
		kmalloc->counters.large_failures++;
		return object;
	}
	/* Highmem and DMA32 are no zones a kmalloc may ask for (GFP_SLAB_BUG_MASK); the kernel warns and goes on without them. */
	gfp page_flags = (flags & ~(gfp)(__GFP_HIGHMEM | __GFP_DMA32)) | __GFP_COMP;
	pfn first = page_alloc(wiring->pages, order, page_flags, cpu);
	if (first.nr == UINT32_MAX) {
		kmalloc->counters.large_failures++;
		return object;
	}
	uint32_t number = large_entry(kmalloc);
	kmalloc->large[number] = (struct kmalloc_large_block){.first = first, .order = order};
	frame_map_set(&kmalloc->frames, first, 1, FRAME_LARGE | number);
	kmalloc->pages_large += 1ull << order;
	kmalloc->counters.large_allocs++;
	object.at = layout_page_address(wiring->layout, first);
	return object;
}

/* The block that begins at `at`, NULL if none does. */
static struct kmalloc_large_block *large_block_at(const struct kmalloc *kmalloc, vaddr at)
{
	uint32_t entry = frame_map_get(&kmalloc->frames, layout_pfn_of(kmalloc->wiring->layout, at));
	if (!(entry & FRAME_LARGE) || at.addr % PAGE_SIZE != 0)
		return NULL;
	return &kmalloc->large[entry & ~FRAME_LARGE];
}

enum object_free_result kfree_large(struct kmalloc *kmalloc, vaddr at, unsigned cpu)
{
	const struct object_allocator_wiring *wiring = kmalloc->wiring;
	struct kmalloc_large_block *block = large_block_at(kmalloc, at);
	if (!block)
		return OBJECT_FREE_NOT_OBJECT;
	/* The order stands in the second struct page of a compound page. */
	step_read(wiring->steps, layout_struct_page(wiring->layout, block->first), 2 * wiring->layout->page_struct_bytes);
	step_run(wiring->steps, CODE_KFREE_LARGE, wiring->settings->cost.kfree_large);
	enum page_free_result result = page_free(wiring->pages, block->first, block->order, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
	frame_map_set(&kmalloc->frames, block->first, 1, 0);
	kmalloc->pages_large -= 1ull << block->order;
	kmalloc->counters.large_frees++;
	*block = (struct kmalloc_large_block){.first = PFN_NONE, .order = kmalloc->large_unused};
	kmalloc->large_unused = (uint32_t)(block - kmalloc->large) + 1;
	return OBJECT_FREE_OK;
}

uint32_t kmalloc_large_bytes(const struct kmalloc *kmalloc, vaddr at)
{
	const struct kmalloc_large_block *block = large_block_at(kmalloc, at);
	return block ? PAGE_SIZE << block->order : 0;
}

void kmalloc_check(const struct kmalloc *kmalloc)
{
	uint64_t pages = 0, live = 0, unused = 0;
	for (uint32_t number = 0; number < kmalloc->large_used; number++) {
		const struct kmalloc_large_block *block = &kmalloc->large[number];
		if (block->first.nr == UINT32_MAX)
			continue;
		SIM_ASSERT(frame_map_get(&kmalloc->frames, block->first) == (FRAME_LARGE | number));
		pages += 1ull << block->order;
		live++;
	}
	for (uint32_t entry = kmalloc->large_unused; entry; entry = kmalloc->large[entry - 1].order) {
		SIM_ASSERT(entry <= kmalloc->large_used && kmalloc->large[entry - 1].first.nr == UINT32_MAX);
		unused++;
		SIM_ASSERT(unused <= kmalloc->large_used);
	}
	SIM_ASSERT(live + unused == kmalloc->large_used);
	SIM_ASSERT(live == kmalloc_large_live(kmalloc));
	SIM_ASSERT(pages == kmalloc->pages_large);
}
