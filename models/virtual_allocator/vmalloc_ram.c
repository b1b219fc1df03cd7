/* SPDX-License-Identifier: MIT
 *
 * vmalloc_ram.c - vm_map_ram's blocks: addresses for short mappings, without a search (interface: vmalloc.h).
 *
 * A block is an area, aligned to its size, that one CPU hands out piece by piece, each a power of two of pages, from its start to
 * its end. What was given back is dirty: it is not handed out again before the whole block was, and given back. A block whose
 * last piece came back goes to the purge tree; so does, at a purge, one whose pieces are all back though it has pages that were
 * never handed out.
 *
 * Source: mm/vmalloc.c of Linux 6.1: new_vmap_block, free_vmap_block, vb_alloc, vb_free, purge_fragmented_blocks,
 * _vm_unmap_aliases.
 *
 * MODEL: the structure of a block is freed at once, the kernel waits for a grace period of RCU (kfree_rcu). MODEL: finding a
 * block by its address (an XArray) touches the block alone.
 *
 * Invariant: free + dirty + pages in use = pages of a block; a queued block has free pages.
 */
#include "models/virtual_allocator/vmalloc.h"

#include <stdlib.h>
#include <string.h>

/* sizeof(struct vmap_block): lock, area, two counts, a range, two lists, a head of RCU; as the compiler lays it out. */
#define BLOCK_BYTES_64 104u
#define BLOCK_BYTES_32 52u
/* What a piece changes: the lock, the counts and the range. */
#define BLOCK_HEAD_BYTES 48u

/* mm/vmalloc.c: VMALLOC_SPACE on 64 and 32 bits, and the share of it that all CPUs' first 16 blocks may be. */
#define SPACE_64 (128ull << 30)
#define SPACE_32 (128ull << 20)
#define BLOCKS_PER_CPU 16u

static uint32_t next_power(uint32_t value)
{
	return value <= 1 ? 1 : 1u << (32 - __builtin_clz(value - 1));
}

/* VMAP_BBMAP_BITS */
static uint32_t block_pages(bool is_64, uint32_t kernel_cpus)
{
	uint64_t pages = ((is_64 ? SPACE_64 : SPACE_32) >> PAGE_SHIFT) / next_power(kernel_cpus) / BLOCKS_PER_CPU;
	uint32_t least = 2 * (is_64 ? 64 : 32);
	if (pages < least)
		pages = least;
	return pages < RAM_BLOCK_PAGES_MAX ? (uint32_t)pages : RAM_BLOCK_PAGES_MAX;
}

void vmalloc_ram_init(struct vmalloc *vmalloc, bool is_64)
{
	vmalloc->ram.pages = block_pages(is_64, vmalloc->kernel_cpus);
	vmalloc->ram.largest = is_64 ? 64 : 32; /* VMAP_MAX_ALLOC: BITS_PER_LONG */
}

static uint64_t block_bytes(const struct vmalloc *vmalloc)
{
	return (uint64_t)vmalloc->ram.pages << PAGE_SHIFT;
}

static uint64_t start_of(const struct vmalloc *vmalloc, const struct ram_block *block)
{
	return area_of(&vmalloc->pool, block->area)->start;
}

static unsigned order_of(uint32_t pages)
{
	return (unsigned)__builtin_ctz(next_power(pages));
}

static void touch(const struct vmalloc *vmalloc, const struct ram_block *block)
{
	if (!block->address.addr)
		return;
	step_lock(vmalloc->steps, block->address);
	step_write(vmalloc->steps, block->address, BLOCK_HEAD_BYTES);
	step_unlock(vmalloc->steps, block->address);
}

/* new_vmap_block() */
static struct ram_block *new_block(struct vmalloc *vmalloc, unsigned cpu, enum virtual_alloc_result *result)
{
	struct ram_blocks *ram = &vmalloc->ram;
	const struct vmalloc_range range = {block_bytes(vmalloc), block_bytes(vmalloc), vmalloc->at.start, vmalloc->at.end};
	vaddr address;
	uint32_t area;
	*result = VIRTUAL_ALLOC_NO_PAGES;
	if (!vmalloc_take_memory(vmalloc, vmalloc->at.pointer_bytes == 8 ? BLOCK_BYTES_64 : BLOCK_BYTES_32, cpu, &address))
		return NULL;
	*result = vmalloc_alloc_area(vmalloc, &range, cpu, &area);
	if (*result != VIRTUAL_ALLOC_OK) {
		vmalloc_give_memory(vmalloc, address, cpu);
		return NULL;
	}
	vmalloc_new_mapping(vmalloc, MAPPING_RAM_BLOCK, area);
	if (ram->count == ram->room) {
		ram->room = ram->room ? 2 * ram->room : 16;
		ram->at = xrealloc(ram->at, ram->room * sizeof *ram->at);
	}
	ram->at[ram->count] = (struct ram_block){.area = area,
	                                         .cpu = cpu,
	                                         .free = ram->pages,
	                                         .dirty_min = ram->pages,
	                                         .queued = true,
	                                         .address = address,
	                                         .taken = xcalloc(ram->pages, 1),
	                                         .mapped = xcalloc(ram->pages, 1)};
	vmalloc->counters.ram_blocks_made++;
	return &ram->at[ram->count++];
}

/* free_vmap_block() */
static void free_block(struct vmalloc *vmalloc, uint32_t nr, unsigned cpu)
{
	struct ram_blocks *ram = &vmalloc->ram;
	struct ram_block block = ram->at[nr];
	memmove(&ram->at[nr], &ram->at[nr + 1], (--ram->count - nr) * sizeof *ram->at);
	vmalloc_drop_mapping(vmalloc, block.area);
	vmalloc_free_area(vmalloc, block.area, cpu);
	vmalloc_give_memory(vmalloc, block.address, cpu);
	free(block.taken);
	free(block.mapped);
	vmalloc->counters.ram_blocks_freed++;
}

/* The first block of the CPU with room for a piece, in the order in which they were made. */
static struct ram_block *block_with_room(struct vmalloc *vmalloc, unsigned order, unsigned cpu)
{
	for (uint32_t nr = 0; nr < vmalloc->ram.count; nr++) {
		struct ram_block *block = &vmalloc->ram.at[nr];
		if (block->cpu != cpu || !block->queued)
			continue;
		if (block->free >= 1u << order)
			return block;
		if (block->address.addr)
			step_read(vmalloc->steps, block->address, BLOCK_HEAD_BYTES);
	}
	return NULL;
}

/* vb_free() */
static void free_piece(struct vmalloc *vmalloc, uint32_t nr, uint32_t first, unsigned cpu)
{
	struct ram_block *block = &vmalloc->ram.at[nr];
	uint32_t pages = 1u << (block->taken[first] - 1);
	vmalloc_unmap_range(vmalloc, start_of(vmalloc, block) + ((uint64_t)first << PAGE_SHIFT), block->mapped[first]);
	block->taken[first] = block->mapped[first] = 0;
	vmalloc->ram.live--;
	touch(vmalloc, block);
	block->dirty_min = first < block->dirty_min ? first : block->dirty_min;
	block->dirty_max = first + pages > block->dirty_max ? first + pages : block->dirty_max;
	block->dirty += pages;
	if (block->dirty == vmalloc->ram.pages)
		free_block(vmalloc, nr, cpu);
}

struct virtual_area vmalloc_ram_map(struct vmalloc *vmalloc, const pfn *frames, uint32_t pages, unsigned cpu)
{
	unsigned order = order_of(pages);
	enum virtual_alloc_result result = VIRTUAL_ALLOC_OK;
	struct ram_block *block = block_with_room(vmalloc, order, cpu);
	if (!block)
		block = new_block(vmalloc, cpu, &result);
	if (!block)
		return (struct virtual_area){.result = result};
	uint32_t first = vmalloc->ram.pages - block->free;
	touch(vmalloc, block);
	block->taken[first] = (uint8_t)(order + 1);
	block->free -= 1u << order;
	block->queued = block->free > 0;
	vmalloc->ram.live++;
	uint64_t at = start_of(vmalloc, block) + ((uint64_t)first << PAGE_SHIFT);
	block->mapped[first] = (uint8_t)vmalloc_map_range(vmalloc, at, pages, &(struct behind){.frames = frames}, cpu);
	if (block->mapped[first] == pages)
		return (struct virtual_area){.at = vaddr_of(at), .result = VIRTUAL_ALLOC_OK};
	free_piece(vmalloc, (uint32_t)(block - vmalloc->ram.at), first, cpu);
	return (struct virtual_area){.result = VIRTUAL_ALLOC_NO_PAGES};
}

enum virtual_free_result vmalloc_ram_unmap(struct vmalloc *vmalloc, vaddr at, uint32_t pages, unsigned cpu)
{
	for (uint32_t nr = 0; nr < vmalloc->ram.count; nr++) {
		const struct ram_block *block = &vmalloc->ram.at[nr];
		uint64_t start = start_of(vmalloc, block);
		if (at.addr < start || at.addr >= start + block_bytes(vmalloc))
			continue;
		uint32_t first = (uint32_t)((at.addr - start) >> PAGE_SHIFT);
		if (block->taken[first] != order_of(pages) + 1)
			return VIRTUAL_FREE_NOT_AREA;
		free_piece(vmalloc, nr, first, cpu);
		return VIRTUAL_FREE_OK;
	}
	return VIRTUAL_FREE_NOT_AREA;
}

void vmalloc_ram_purge(struct vmalloc *vmalloc, unsigned cpu)
{
	for (unsigned of = 0; of < vmalloc->cpus && vmalloc->ram.count; of++)
		for (uint32_t nr = 0; nr < vmalloc->ram.count;) {
			const struct ram_block *block = &vmalloc->ram.at[nr];
			if (block->cpu != of || !block->queued || block->free + block->dirty != vmalloc->ram.pages) {
				nr++;
				continue;
			}
			touch(vmalloc, block);
			vmalloc->counters.ram_blocks_fragmented++;
			free_block(vmalloc, nr, cpu);
		}
}

bool vmalloc_ram_dirty(const struct vmalloc *vmalloc, uint64_t *start, uint64_t *end)
{
	bool any = false;
	for (uint32_t nr = 0; nr < vmalloc->ram.count; nr++) {
		const struct ram_block *block = &vmalloc->ram.at[nr];
		if (!block->queued || !block->dirty)
			continue;
		uint64_t at = start_of(vmalloc, block);
		uint64_t from = at + ((uint64_t)block->dirty_min << PAGE_SHIFT);
		uint64_t to = at + ((uint64_t)block->dirty_max << PAGE_SHIFT);
		*start = from < *start ? from : *start;
		*end = to > *end ? to : *end;
		any = true;
	}
	return any;
}

void vmalloc_ram_release(struct vmalloc *vmalloc)
{
	while (vmalloc->ram.count)
		free_block(vmalloc, vmalloc->ram.count - 1, 0);
	free(vmalloc->ram.at);
}

uint64_t vmalloc_ram_check(const struct vmalloc *vmalloc)
{
	uint64_t live = 0, mapped = 0;
	for (uint32_t nr = 0; nr < vmalloc->ram.count; nr++) {
		const struct ram_block *block = &vmalloc->ram.at[nr];
		uint32_t in_use = 0;
		for (uint32_t page = 0; page < vmalloc->ram.pages; page++) {
			in_use += block->taken[page] ? 1u << (block->taken[page] - 1) : 0;
			live += block->taken[page] != 0;
			mapped += block->mapped[page];
			SIM_ASSERT(block->taken[page] || !block->mapped[page]);
		}
		SIM_ASSERT(block->free + block->dirty + in_use == vmalloc->ram.pages);
		SIM_ASSERT(block->queued == (block->free > 0) && block->dirty < vmalloc->ram.pages);
	}
	SIM_ASSERT(live == vmalloc->ram.live);
	SIM_ASSERT(vmalloc->counters.ram_blocks_made == vmalloc->counters.ram_blocks_freed + vmalloc->ram.count);
	SIM_ASSERT(vmalloc->counters.ram_blocks_fragmented <= vmalloc->counters.ram_blocks_freed);
	return mapped;
}
