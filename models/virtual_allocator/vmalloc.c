/* SPDX-License-Identifier: MIT
 *
 * vmalloc.c - the port: areas, what is behind them, and the lazy purge (rules and parts: vmalloc.h).
 */
#include "models/virtual_allocator/vmalloc.h"

#include "models/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* include/linux/gfp_types.h: flags of a request that its nested ones inherit, of those that GFP_KERNEL has. */
#define NESTED_GFP (GFP_KERNEL)
/* mm/vmalloc.c, __vmalloc_area_node(): what is added for the pages themselves. */
#define PAGES_GFP (__GFP_NOWARN | __GFP_HIGHMEM)
/* A page list longer than this is given back to the host with its area. */
#define ROOM_KEPT 1024u
#define ROOM_MIN 16u
#define LOCK_BYTES 4u

/* arch/x86/include/asm/pgtable_64_types.h: 4-level tables, no KASLR. Sizes of the structs: as the kernel's compiler lays them
 * out. */
static const struct vmalloc_layout layout_64 = {
        .start = 0xffffc90000000000,
        .end = 0xffffe8ffffffffff,
        .address_end = UINT64_MAX,
        .area_bytes = 64,
        .mapping_bytes = 64,
        .pointer_bytes = 8,
        .pte_bytes = 8,
        .pte_table_shift = 21,
        .pmd_table_shift = 30,
};

/*
 * arch/x86/include/asm/pgtable_32_areas.h: from high_memory plus a hole of 8 MiB up to two pages below the permanent kmaps, which
 * lie at ff400000 without PAE.
 * MODEL: high_memory is as on a machine with more than 883 MiB (MAXMEM); with less the range is longer.
 */
static const struct vmalloc_layout layout_32 = {
        .start = 0xf7bfe000,
        .end = 0xff3fe000,
        .address_end = UINT32_MAX,
        .area_bytes = 32,
        .mapping_bytes = 32,
        .pointer_bytes = 4,
        .pte_bytes = 4,
        .pte_table_shift = 22,
};

static const struct metric vmalloc_metrics[] = {
        METRIC(struct vmalloc_counters, vmalloc_calls, "1", "Areas asked for with vmalloc, page arrays of large ones too"),
        METRIC(struct vmalloc_counters, vmap_calls, "1", "Areas asked for with vmap"),
        METRIC(struct vmalloc_counters, vfree_calls, "1", "Areas given back with vfree"),
        METRIC(struct vmalloc_counters, vunmap_calls, "1", "Areas given back with vunmap"),
        METRIC(struct vmalloc_counters, fail_space, "1", "Requests for which no range of addresses was long enough"),
        METRIC(struct vmalloc_counters, fail_pages, "1", "Requests that got no pages, page tables or structures"),
        METRIC(struct vmalloc_counters, fail_exceeds_total, "1", "Requests of nothing, or for more pages than the machine has"),
        METRIC(struct vmalloc_counters, wrong_frees, "1", "Frees of what is no area, or by the wrong call"),
        METRIC(struct vmalloc_counters, areas_allocated, "1", "Ranges taken from the free tree"),
        METRIC(struct vmalloc_counters, areas_freed, "1", "Ranges given to the purge tree"),
        METRIC(struct vmalloc_counters, purges, "1", "Purges that found something"),
        METRIC(struct vmalloc_counters, purged_areas, "1", "Areas that purges made free, neighbours counted once"),
        METRIC(struct vmalloc_counters, purged_pages, "pages", "Pages of address range that purges made free"),
        METRIC(struct vmalloc_counters, tlb_flushes, "1", "Flushes of all CPUs' TLBs: one a purge"),
        METRIC(struct vmalloc_counters, page_table_pages, "pages", "Page tables made"),
        GAUGE(struct vmalloc_counters, nr_vmalloc_pages, "pages", "Pages held by areas of vmalloc"),
        GAUGE(struct vmalloc_counters, vmap_lazy_nr, "pages", "Pages of address range that wait for a purge"),
        METRIC_END};

/* ---- struct vmap_area ---- */

uint32_t vmalloc_area_at_boot(struct vmalloc *vmalloc)
{
	uint32_t area = area_new(&vmalloc->pool);
	struct area *at = area_of(&vmalloc->pool, area);
	if (!at->address)
		at->address = layout_kernel_data(vmalloc->layout, vmalloc->at.area_bytes).addr;
	return area;
}

/* AREA_NONE: no memory. */
static uint32_t take_area(struct vmalloc *vmalloc, unsigned cpu)
{
	if (!vmalloc->objects)
		return vmalloc_area_at_boot(vmalloc);
	struct object object = cache_alloc(vmalloc->objects, vmalloc->area_cache, NESTED_GFP, cpu);
	if (!object.at.addr)
		return AREA_NONE;
	uint32_t area = area_new(&vmalloc->pool);
	area_of(&vmalloc->pool, area)->address = object.at.addr;
	area_of(&vmalloc->pool, area)->is_object = true;
	return area;
}

/* MODEL: the structs of the first free areas and of a loaded state lie in kernel data, so their free makes no call. */
static void give_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	struct area *at = area_of(&vmalloc->pool, area);
	if (at->is_object) {
		enum object_free_result result = cache_free(vmalloc->objects, vmalloc->area_cache, vaddr_of(at->address), cpu);
		SIM_ASSERT(result == OBJECT_FREE_OK);
		at->address = 0;
	}
	area_drop(&vmalloc->pool, area);
}

/* ---- ranges ---- */

/* Takes [begin, begin + size) out of a free area; a hole in its middle needs the CPU's spare struct. */
static void cut_free_area(struct vmalloc *vmalloc, uint32_t from, uint64_t begin, uint64_t size, unsigned cpu)
{
	struct area_tree *tree = &vmalloc->trees[AREA_FREE];
	struct area *free = area_of(&vmalloc->pool, from);
	uint32_t lower = AREA_NONE;
	if (free->start == begin && free->end == begin + size) {
		area_remove(&vmalloc->pool, tree, from);
		give_area(vmalloc, from, cpu);
		return;
	}
	if (free->start == begin) {
		free->start += size;
	} else if (free->end == begin + size) {
		free->end = begin;
	} else {
		lower = vmalloc->preloaded[cpu];
		SIM_ASSERT(lower);
		vmalloc->preloaded[cpu] = AREA_NONE;
		area_of(&vmalloc->pool, lower)->start = free->start;
		area_of(&vmalloc->pool, lower)->end = begin;
		free->start = begin + size;
	}
	area_resized(&vmalloc->pool, from);
	if (!lower)
		return;
	bool inserted = area_insert(&vmalloc->pool, tree, lower);
	SIM_ASSERT(inserted);
}

/*
 * preload_this_cpu_lock(): the spare struct comes before the lock. False: no memory for one.
 * MODEL: the request then fails; the kernel goes on, and asks once more if it must split.
 */
static bool preload(struct vmalloc *vmalloc, unsigned cpu)
{
	if (!vmalloc->preloaded[cpu])
		vmalloc->preloaded[cpu] = take_area(vmalloc, cpu);
	step_lock(vmalloc->steps, vmalloc->free_lock);
	return vmalloc->preloaded[cpu] != AREA_NONE;
}

/* One try of alloc_vmap_area(); false: no free range is long enough. */
static bool take_range(struct vmalloc *vmalloc, uint64_t size, uint64_t *begin, bool *memory, unsigned cpu)
{
	struct area_request request = {.size = size, .align = 1, .start = vmalloc->at.start, .end = vmalloc->at.end};
	*memory = preload(vmalloc, cpu);
	uint32_t from = area_lowest_match(&vmalloc->pool, &vmalloc->trees[AREA_FREE], &request, begin);
	if (from && *memory)
		cut_free_area(vmalloc, from, *begin, size, cpu);
	step_unlock(vmalloc->steps, vmalloc->free_lock);
	return from && *memory;
}

static void purge(struct vmalloc *vmalloc, unsigned cpu);

/* alloc_vmap_area(): a range that is full leads to a purge and one more try. */
static enum virtual_alloc_result alloc_area(struct vmalloc *vmalloc, uint64_t size, unsigned cpu, uint32_t *area)
{
	uint64_t begin;
	bool memory;
	*area = take_area(vmalloc, cpu);
	if (!*area)
		return VIRTUAL_ALLOC_NO_PAGES;
	if (!take_range(vmalloc, size, &begin, &memory, cpu)) {
		purge(vmalloc, cpu);
		if (!take_range(vmalloc, size, &begin, &memory, cpu)) {
			give_area(vmalloc, *area, cpu);
			return memory ? VIRTUAL_ALLOC_NO_SPACE : VIRTUAL_ALLOC_NO_PAGES;
		}
	}
	struct area *at = area_of(&vmalloc->pool, *area);
	at->start = begin;
	at->end = begin + size;
	step_lock(vmalloc->steps, vmalloc->busy_lock);
	bool inserted = area_insert(&vmalloc->pool, &vmalloc->trees[AREA_BUSY], *area);
	step_unlock(vmalloc->steps, vmalloc->busy_lock);
	SIM_ASSERT(inserted);
	vmalloc->counters.areas_allocated++;
	return VIRTUAL_ALLOC_OK;
}

static void merge_into(struct vmalloc *vmalloc, enum area_list list, uint32_t area, unsigned cpu)
{
	uint32_t dropped[2];
	area_merge_or_add(&vmalloc->pool, &vmalloc->trees[list], area, dropped);
	for (unsigned i = 0; i < 2 && dropped[i]; i++)
		give_area(vmalloc, dropped[i], cpu);
}

/* __purge_vmap_area_lazy(): in the order of addresses. */
static void purge(struct vmalloc *vmalloc, unsigned cpu)
{
	struct area_tree *tree = &vmalloc->trees[AREA_PURGE];
	if (!tree->count)
		return;
	vmalloc->counters.purges++;
	vmalloc->counters.tlb_flushes++;
	step_lock(vmalloc->steps, vmalloc->free_lock);
	for (uint32_t area; (area = area_first(&vmalloc->pool, tree));) {
		const struct area *at = area_of(&vmalloc->pool, area);
		uint64_t pages = (at->end - at->start) >> PAGE_SHIFT;
		area_remove(&vmalloc->pool, tree, area);
		merge_into(vmalloc, AREA_FREE, area, cpu);
		vmalloc->counters.purged_areas++;
		vmalloc->counters.purged_pages += pages;
		vmalloc->counters.vmap_lazy_nr -= pages;
	}
	step_unlock(vmalloc->steps, vmalloc->free_lock);
}

/* free_vmap_area_noflush(), but for the purge it may make due. */
static void free_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	const struct area *at = area_of(&vmalloc->pool, area);
	step_lock(vmalloc->steps, vmalloc->busy_lock);
	area_remove(&vmalloc->pool, &vmalloc->trees[AREA_BUSY], area);
	step_unlock(vmalloc->steps, vmalloc->busy_lock);
	vmalloc->counters.vmap_lazy_nr += (at->end - at->start) >> PAGE_SHIFT;
	vmalloc->counters.areas_freed++;
	step_lock(vmalloc->steps, vmalloc->purge_lock);
	merge_into(vmalloc, AREA_PURGE, area, cpu);
	step_unlock(vmalloc->steps, vmalloc->purge_lock);
}

/* ---- struct vm_struct ---- */

static uint32_t new_mapping(struct vmalloc *vmalloc)
{
	uint32_t mapping = vmalloc->mapping_unused;
	if (mapping) {
		vmalloc->mapping_unused = vmalloc->mappings[mapping].next_unused;
		return mapping;
	}
	if (vmalloc->mappings_used == vmalloc->mapping_capacity) {
		SIM_ASSERT(vmalloc->mapping_capacity <= UINT32_MAX / 2);
		vmalloc->mapping_capacity = vmalloc->mapping_capacity ? 2 * vmalloc->mapping_capacity : ROOM_MIN;
		vmalloc->mappings = xrealloc(vmalloc->mappings, vmalloc->mapping_capacity * sizeof *vmalloc->mappings);
	}
	mapping = vmalloc->mappings_used++;
	vmalloc->mappings[mapping] = (struct mapping){0};
	return mapping;
}

static void drop_mapping(struct vmalloc *vmalloc, uint32_t nr)
{
	struct mapping *mapping = &vmalloc->mappings[nr];
	pfn *frames = mapping->frames;
	uint32_t room = mapping->room;
	if (room > ROOM_KEPT) {
		free(frames);
		frames = NULL;
		room = 0;
	}
	*mapping = (struct mapping){.frames = frames, .room = room, .next_unused = vmalloc->mapping_unused};
	vmalloc->mapping_unused = nr;
}

static void make_room(struct mapping *mapping, uint32_t pages)
{
	if (pages <= mapping->room)
		return;
	uint32_t room = mapping->room ? mapping->room : ROOM_MIN;
	while (room < pages)
		room = room <= UINT32_MAX / 2 ? 2 * room : pages;
	free(mapping->frames);
	mapping->frames = xcalloc(room, sizeof *mapping->frames);
	mapping->room = room;
}

/* kzalloc() and kfree() of the model's own structures; without an object allocator they are always there and nowhere. */
static bool take_memory(struct vmalloc *vmalloc, uint64_t bytes, unsigned cpu, vaddr *at)
{
	*at = VADDR_NULL;
	if (!vmalloc->objects)
		return true;
	*at = object_kmalloc(vmalloc->objects, (uint32_t)bytes, NESTED_GFP | __GFP_ZERO, cpu).at;
	return at->addr != 0;
}

static void give_memory(struct vmalloc *vmalloc, vaddr at, unsigned cpu)
{
	if (!vmalloc->objects)
		return;
	enum object_free_result result = object_kfree(vmalloc->objects, at, cpu);
	SIM_ASSERT(result == OBJECT_FREE_OK);
}

/* __get_vm_area_node(): a vm_struct and a range with one guard page behind it. */
static enum virtual_alloc_result get_vm_area(struct vmalloc *vmalloc, uint64_t pages, unsigned cpu, uint32_t *area)
{
	vaddr address;
	if (!take_memory(vmalloc, vmalloc->at.mapping_bytes, cpu, &address))
		return VIRTUAL_ALLOC_NO_PAGES;
	enum virtual_alloc_result result = alloc_area(vmalloc, (pages + 1) << PAGE_SHIFT, cpu, area);
	if (result != VIRTUAL_ALLOC_OK) {
		give_memory(vmalloc, address, cpu);
		return result;
	}
	uint32_t nr = new_mapping(vmalloc);
	vmalloc->mappings[nr].address = address;
	area_of(&vmalloc->pool, *area)->mapping = nr;
	return VIRTUAL_ALLOC_OK;
}

/* ---- vmalloc ---- */

/* vm_area_alloc_pages(): in bulk as long as whole bulks come, then one by one. */
static bool take_pages(struct vmalloc *vmalloc, struct mapping *mapping, uint32_t pages, gfp flags, unsigned cpu)
{
	make_room(mapping, pages);
	while (mapping->pages < pages) {
		uint32_t wanted = pages - mapping->pages;
		wanted = wanted < VMALLOC_BULK_MAX ? wanted : VMALLOC_BULK_MAX;
		uint32_t taken = page_alloc_bulk(vmalloc->pages, flags, cpu, wanted, &mapping->frames[mapping->pages]);
		mapping->pages += taken;
		if (taken != wanted)
			break;
	}
	while (mapping->pages < pages) {
		pfn frame = page_alloc(vmalloc->pages, 0, flags, cpu);
		if (frame.nr == UINT32_MAX)
			return false;
		mapping->frames[mapping->pages++] = frame;
	}
	return true;
}

/*
 * The busy area that a mapping of ours begins at. MODEL: the kernel also takes an address inside an area, and lets vfree() and
 * vunmap() be mixed up; both are reported as wrong here.
 */
static uint32_t busy_area(const struct vmalloc *vmalloc, vaddr at)
{
	uint32_t area = area_find(&vmalloc->pool, &vmalloc->trees[AREA_BUSY], at.addr);
	if (!area || area_of(&vmalloc->pool, area)->start != at.addr)
		return AREA_NONE;
	return area;
}

static void vfree_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu);
static struct virtual_area vmalloc_flags(struct vmalloc *vmalloc, uint64_t size, gfp flags, unsigned cpu);

/* The array of struct page pointers: an object, or if that were more than a page, an area of its own. */
static bool take_page_array(struct vmalloc *vmalloc, uint32_t nr, uint64_t pages, unsigned cpu)
{
	uint64_t bytes = pages * vmalloc->at.pointer_bytes;
	vaddr array;
	bool is_area = bytes > PAGE_SIZE, taken;
	if (is_area) {
		array = vmalloc_flags(vmalloc, bytes, NESTED_GFP | __GFP_ZERO, cpu).at;
		taken = array.addr != 0;
	} else {
		taken = take_memory(vmalloc, bytes, cpu, &array);
	}
	vmalloc->mappings[nr].page_array = array;
	vmalloc->mappings[nr].array_is_area = is_area && taken;
	if (is_area && taken) {
		uint32_t area = busy_area(vmalloc, array);
		vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping].kind = MAPPING_PAGE_ARRAY;
	}
	return taken;
}

/* remove_vm_area() and kfree(): the range and its vm_struct, when nothing is behind it. */
static void free_vm_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
	vaddr address = vmalloc->mappings[nr].address;
	free_area(vmalloc, area, cpu);
	give_memory(vmalloc, address, cpu);
	drop_mapping(vmalloc, nr);
}

/* __vmalloc_area_node(): page array, pages, page tables. Whatever is missing, all goes back as vfree() would do it. */
static bool fill_area(struct vmalloc *vmalloc, uint32_t area, uint64_t pages, gfp flags, unsigned cpu)
{
	uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
	if (!take_page_array(vmalloc, nr, pages, cpu)) {
		free_vm_area(vmalloc, area, cpu);
		return false;
	}
	struct mapping *mapping = &vmalloc->mappings[nr];
	uint64_t start = area_of(&vmalloc->pool, area)->start;
	mapping->kind = MAPPING_VMALLOC;
	bool taken = !vmalloc->pages || take_pages(vmalloc, mapping, (uint32_t)pages, flags | PAGES_GFP, cpu);
	vmalloc->counters.nr_vmalloc_pages += mapping->pages;
	if (taken && vmalloc_map_range(vmalloc, start, (uint32_t)pages, cpu))
		return true;
	vfree_area(vmalloc, area, cpu);
	return false;
}

static struct virtual_area failed(enum virtual_alloc_result result, uint64_t *counter)
{
	++*counter;
	return (struct virtual_area){.result = result};
}

static struct virtual_area failed_as(struct vmalloc *vmalloc, enum virtual_alloc_result result)
{
	struct vmalloc_counters *counters = &vmalloc->counters;
	return failed(result, result == VIRTUAL_ALLOC_NO_SPACE ? &counters->fail_space : &counters->fail_pages);
}

/* __vmalloc_node_range() */
static struct virtual_area vmalloc_flags(struct vmalloc *vmalloc, uint64_t size, gfp flags, unsigned cpu)
{
	vmalloc->counters.vmalloc_calls++;
	uint64_t total = vmalloc->pages ? vmalloc->pages->managed_pages : UINT64_MAX;
	if (!size || size >> PAGE_SHIFT > total)
		return failed(VIRTUAL_ALLOC_EXCEEDS_TOTAL, &vmalloc->counters.fail_exceeds_total);
	if (size > vmalloc->at.end - vmalloc->at.start)
		return failed(VIRTUAL_ALLOC_NO_SPACE, &vmalloc->counters.fail_space);
	uint64_t pages = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	uint32_t area;
	enum virtual_alloc_result result = get_vm_area(vmalloc, pages, cpu, &area);
	if (result != VIRTUAL_ALLOC_OK)
		return failed_as(vmalloc, result);
	if (!fill_area(vmalloc, area, pages, flags, cpu))
		return failed_as(vmalloc, VIRTUAL_ALLOC_NO_PAGES);
	return (struct virtual_area){.at = vaddr_of(area_of(&vmalloc->pool, area)->start), .result = VIRTUAL_ALLOC_OK};
}

/* A purge that freed areas made due; the kernel has a worker do it. */
static void purge_if_due(struct vmalloc *vmalloc, unsigned cpu)
{
	if (vmalloc->counters.vmap_lazy_nr > vmalloc->lazy_max_pages)
		purge(vmalloc, cpu);
}

static struct virtual_area vmalloc_valloc(struct virtual_allocator *base, uint64_t size, unsigned cpu)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	struct virtual_area area = vmalloc_flags(vmalloc, size, GFP_KERNEL, cpu);
	if (area.result != VIRTUAL_ALLOC_OK)
		purge_if_due(vmalloc, cpu);
	return area;
}

/* ---- vmap ---- */

static struct virtual_area vmalloc_vmap(struct virtual_allocator *base, const pfn *frames, uint32_t count, unsigned cpu)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	vmalloc->counters.vmap_calls++;
	if (!count || (vmalloc->pages && count > vmalloc->pages->managed_pages))
		return failed(VIRTUAL_ALLOC_EXCEEDS_TOTAL, &vmalloc->counters.fail_exceeds_total);
	uint32_t area;
	enum virtual_alloc_result result = get_vm_area(vmalloc, count, cpu, &area);
	if (result != VIRTUAL_ALLOC_OK)
		return failed_as(vmalloc, result);
	struct mapping *mapping = &vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping];
	uint64_t start = area_of(&vmalloc->pool, area)->start;
	mapping->kind = MAPPING_VMAP;
	make_room(mapping, count);
	memcpy(mapping->frames, frames, count * sizeof *frames);
	mapping->pages = count;
	if (vmalloc_map_range(vmalloc, start, count, cpu))
		return (struct virtual_area){.at = vaddr_of(start), .result = VIRTUAL_ALLOC_OK};
	vmalloc_unmap_range(vmalloc, start, count);
	free_vm_area(vmalloc, area, cpu);
	purge_if_due(vmalloc, cpu);
	return failed_as(vmalloc, VIRTUAL_ALLOC_NO_PAGES);
}

/* ---- frees ---- */

/* __vunmap(): the range first, then page by page, then the page array and the vm_struct. */
static void vfree_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
	uint32_t pages = vmalloc->mappings[nr].pages;
	vmalloc_unmap_range(vmalloc, area_of(&vmalloc->pool, area)->start, pages);
	free_area(vmalloc, area, cpu);
	for (uint32_t i = 0; i < pages; i++) {
		enum page_free_result result = page_free(vmalloc->pages, vmalloc->mappings[nr].frames[i], 0, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
	}
	vmalloc->counters.nr_vmalloc_pages -= pages;
	struct mapping mapping = vmalloc->mappings[nr];
	if (mapping.array_is_area) {
		uint32_t array = busy_area(vmalloc, mapping.page_array);
		SIM_ASSERT(array);
		vmalloc->counters.vfree_calls++;
		vfree_area(vmalloc, array, cpu);
	} else {
		give_memory(vmalloc, mapping.page_array, cpu);
	}
	give_memory(vmalloc, mapping.address, cpu);
	drop_mapping(vmalloc, nr);
}

static enum virtual_free_result find_mapping(struct vmalloc *vmalloc, vaddr at, enum mapping_kind kind, uint32_t *area)
{
	enum virtual_free_result result = VIRTUAL_FREE_OK;
	step_lock(vmalloc->steps, vmalloc->busy_lock);
	*area = busy_area(vmalloc, at);
	step_unlock(vmalloc->steps, vmalloc->busy_lock);
	uint32_t nr = *area ? area_of(&vmalloc->pool, *area)->mapping : 0;
	if (!nr)
		result = VIRTUAL_FREE_NOT_AREA;
	else if (vmalloc->mappings[nr].kind != kind)
		result = VIRTUAL_FREE_WRONG_CALL;
	vmalloc->counters.wrong_frees += result != VIRTUAL_FREE_OK;
	return result;
}

static enum virtual_free_result vmalloc_vfree(struct virtual_allocator *base, vaddr at, unsigned cpu)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	uint32_t area;
	enum virtual_free_result result = find_mapping(vmalloc, at, MAPPING_VMALLOC, &area);
	if (result != VIRTUAL_FREE_OK)
		return result;
	vmalloc->counters.vfree_calls++;
	vfree_area(vmalloc, area, cpu);
	purge_if_due(vmalloc, cpu);
	return result;
}

static enum virtual_free_result vmalloc_vunmap(struct virtual_allocator *base, vaddr at, unsigned cpu)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	uint32_t area;
	enum virtual_free_result result = find_mapping(vmalloc, at, MAPPING_VMAP, &area);
	if (result != VIRTUAL_FREE_OK)
		return result;
	vmalloc->counters.vunmap_calls++;
	vmalloc_unmap_range(vmalloc, at.addr, vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping].pages);
	free_vm_area(vmalloc, area, cpu);
	purge_if_due(vmalloc, cpu);
	return result;
}

static void vmalloc_purge(struct virtual_allocator *base, unsigned cpu)
{
	purge(vmalloc_of(base), cpu);
}

/* ---- views ---- */

static bool vmalloc_area_above(const struct virtual_allocator *base, enum area_list list, uint64_t from, struct area_view *view)
{
	const struct vmalloc *vmalloc = vmalloc_const(base);
	uint32_t area = area_find_above(&vmalloc->pool, &vmalloc->trees[list], from);
	if (area)
		*view = (struct area_view){area_of(&vmalloc->pool, area)->start, area_of(&vmalloc->pool, area)->end};
	return area != AREA_NONE;
}

static uint32_t vmalloc_area_pages(const struct virtual_allocator *base, vaddr at, pfn *frames, uint32_t room)
{
	const struct vmalloc *vmalloc = vmalloc_const(base);
	uint32_t area = area_find_above(&vmalloc->pool, &vmalloc->trees[AREA_BUSY], at.addr);
	uint32_t nr = area && area_of(&vmalloc->pool, area)->start == at.addr ? area_of(&vmalloc->pool, area)->mapping : 0;
	if (!nr)
		return 0;
	const struct mapping *mapping = &vmalloc->mappings[nr];
	uint32_t shown = mapping->pages < room ? mapping->pages : room;
	if (shown)
		memcpy(frames, mapping->frames, shown * sizeof *frames);
	return mapping->pages;
}

static uint64_t vmalloc_lazy_pages(const struct virtual_allocator *base)
{
	return vmalloc_const(base)->counters.vmap_lazy_nr;
}

static const void *vmalloc_counters_of(const struct virtual_allocator *base)
{
	return &vmalloc_const(base)->counters;
}

/* ---- laws ---- */

/* Pages that mappings of one kind hold, page arrays with vmalloc's, and how many mappings that are. */
static uint64_t mapped_pages(const struct vmalloc *vmalloc, enum mapping_kind kind, uint64_t *mappings)
{
	uint64_t pages = 0;
	for (uint32_t area = area_first(&vmalloc->pool, &vmalloc->trees[AREA_BUSY]); area;
	     area = area_next(&vmalloc->pool, area)) {
		const struct mapping *mapping = &vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping];
		if (mapping->kind != kind && (mapping->kind != MAPPING_PAGE_ARRAY || kind != MAPPING_VMALLOC))
			continue;
		++*mappings;
		pages += mapping->pages;
	}
	return pages;
}

static void check_disjoint(const struct vmalloc *vmalloc)
{
	for (unsigned list = 0; list < AREA_LISTS; list++) {
		const struct area_tree *tree = &vmalloc->trees[list], *other = &vmalloc->trees[(list + 1) % AREA_LISTS];
		for (uint32_t area = area_first(&vmalloc->pool, tree); area; area = area_next(&vmalloc->pool, area)) {
			const struct area *at = area_of(&vmalloc->pool, area);
			uint32_t above = area_find_above(&vmalloc->pool, other, at->start);
			SIM_ASSERT(!above || area_of(&vmalloc->pool, above)->start >= at->end);
		}
	}
}

static void vmalloc_check(const struct virtual_allocator *base)
{
	const struct vmalloc *vmalloc = vmalloc_const(base);
	const struct vmalloc_counters *counters = &vmalloc->counters;
	uint64_t lazy = 0, mappings = 0;
	for (unsigned list = 0; list < AREA_LISTS; list++)
		area_tree_check(&vmalloc->pool, &vmalloc->trees[list], list != AREA_BUSY);
	check_disjoint(vmalloc);
	const struct area_tree *waiting = &vmalloc->trees[AREA_PURGE];
	for (uint32_t area = area_first(&vmalloc->pool, waiting); area; area = area_next(&vmalloc->pool, area))
		lazy += (area_of(&vmalloc->pool, area)->end - area_of(&vmalloc->pool, area)->start) >> PAGE_SHIFT;
	SIM_ASSERT(lazy == counters->vmap_lazy_nr);
	SIM_ASSERT(counters->nr_vmalloc_pages == mapped_pages(vmalloc, MAPPING_VMALLOC, &mappings));
	mapped_pages(vmalloc, MAPPING_VMAP, &mappings);
	SIM_ASSERT(mappings == counters->areas_allocated - counters->areas_freed);
	SIM_ASSERT(mappings >= vmalloc->port.live_areas);
	SIM_ASSERT(counters->purges == counters->tlb_flushes && counters->purges <= counters->purged_areas);
}

/* ---- beginning and end ---- */

/* Everything above page 0 that is not handed out is free, the kernel's other areas too (vmalloc_init). */
static void free_everything(struct vmalloc *vmalloc)
{
	uint32_t area = vmalloc_area_at_boot(vmalloc);
	area_of(&vmalloc->pool, area)->start = 1;
	area_of(&vmalloc->pool, area)->end = vmalloc->at.address_end;
	bool inserted = area_insert(&vmalloc->pool, &vmalloc->trees[AREA_FREE], area);
	SIM_ASSERT(inserted);
}

static void vmalloc_destroy(struct virtual_allocator *base)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	struct area_view view;
	for (uint64_t from = 0; vmalloc_area_above(base, AREA_BUSY, from, &view); from = view.end) {
		uint32_t area = busy_area(vmalloc, vaddr_of(view.start));
		uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
		if (vmalloc->mappings[nr].kind == MAPPING_VMALLOC)
			vfree_area(vmalloc, area, 0);
		else if (vmalloc->mappings[nr].kind == MAPPING_VMAP)
			free_vm_area(vmalloc, area, 0);
	}
	purge(vmalloc, 0);
	for (uint32_t area; (area = area_first(&vmalloc->pool, &vmalloc->trees[AREA_FREE]));) {
		area_remove(&vmalloc->pool, &vmalloc->trees[AREA_FREE], area);
		give_area(vmalloc, area, 0);
	}
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (vmalloc->preloaded[cpu])
			give_area(vmalloc, vmalloc->preloaded[cpu], 0);
	if (vmalloc->objects)
		cache_destroy(vmalloc->objects, vmalloc->area_cache, 0);
	vmalloc_tables_release(vmalloc);
	for (uint32_t i = 0; i < vmalloc->mappings_used; i++)
		free(vmalloc->mappings[i].frames);
	free(vmalloc->mappings);
	area_pool_release(&vmalloc->pool);
	free(vmalloc);
}

const struct virtual_allocator_ops virtual_allocator_vmalloc_ops = {
        .name = "vmalloc",
        .help = "Linux 6.1's vmalloc: lowest fit, guard pages, lazy purge",
        .valloc = vmalloc_valloc,
        .vfree = vmalloc_vfree,
        .vmap = vmalloc_vmap,
        .vunmap = vmalloc_vunmap,
        .purge = vmalloc_purge,
        .area_above = vmalloc_area_above,
        .area_pages = vmalloc_area_pages,
        .lazy_pages = vmalloc_lazy_pages,
        .print_state = vmalloc_print_state,
        .check = vmalloc_check,
        .metrics = vmalloc_metrics,
        .counters = vmalloc_counters_of,
        .destroy = vmalloc_destroy,
};

static unsigned log_of_cpus(unsigned cpus)
{
	return (unsigned)(32 - __builtin_clz(cpus));
}

/* A lock of its own cache line, known by its name in the table of locks. */
static vaddr lock_word(struct layout *layout, const char *name)
{
	vaddr at = layout_kernel_data(layout, LOCK_BYTES);
	layout_name(layout, at, LOCK_BYTES, name, "");
	return at;
}

struct virtual_allocator *virtual_allocator_vmalloc_create(const struct virtual_allocator_wiring *wiring, struct error *error)
{
	bool is_64 = wiring->layout->direct_map >> 32;
	unsigned cpus = wiring->settings->machine.cpus ? wiring->settings->machine.cpus : 1;
	struct vmalloc *vmalloc = xcalloc(1, sizeof *vmalloc);
	SIM_ASSERT(cpus <= CPUS_MAX && (!wiring->objects || wiring->pages));
	vmalloc->port.ops = &virtual_allocator_vmalloc_ops;
	vmalloc->at = is_64 ? layout_64 : layout_32;
	vmalloc->cpus = cpus;
	vmalloc->pages = wiring->pages;
	vmalloc->objects = wiring->objects;
	vmalloc->layout = wiring->layout;
	vmalloc->steps = wiring->steps;
	vmalloc->lazy_max_pages = (uint64_t)log_of_cpus(cpus) * LAZY_PAGES_PER_LOG;
	if (vmalloc->objects) {
		struct cache_spec spec = {.name = "vmap_area", .object_size = vmalloc->at.area_bytes, .flags = SLAB_PANIC};
		vmalloc->area_cache = cache_create(vmalloc->objects, &spec);
		if (vmalloc->area_cache.nr == UINT32_MAX) {
			error_set(error, ERROR_USAGE, "vmalloc: there is no memory for its cache vmap_area");
			free(vmalloc);
			return NULL;
		}
	}
	vmalloc->busy_lock = lock_word(vmalloc->layout, "vmap_area_lock");
	vmalloc->free_lock = lock_word(vmalloc->layout, "free_vmap_area_lock");
	vmalloc->purge_lock = lock_word(vmalloc->layout, "purge_vmap_area_lock");
	area_pool_init(&vmalloc->pool, vmalloc->steps, vmalloc->at.area_bytes);
	vmalloc_tables_init(vmalloc);
	new_mapping(vmalloc);
	free_everything(vmalloc);
	return &vmalloc->port;
}
