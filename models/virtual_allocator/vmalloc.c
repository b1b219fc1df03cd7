/* SPDX-License-Identifier: MIT
 *
 * vmalloc.c - the port: areas, what is behind them, and the lazy purge (rules and parts: vmalloc.h).
 */
#include "models/virtual_allocator/vmalloc.h"
#include "models/kernel_code.h"

#include "models/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* include/linux/gfp_types.h: flags of a request that its nested ones inherit, of those that GFP_KERNEL has. */
#define NESTED_GFP (GFP_KERNEL)
/* mm/vmalloc.c, __vmalloc_area_node(): what is added for the pages themselves. */
#define PAGES_GFP (__GFP_NOWARN | __GFP_HIGHMEM)
/* kernel/fork.c, THREADINFO_GFP without __GFP_ACCOUNT. */
#define STACK_GFP (GFP_KERNEL | __GFP_ZERO)
/* Pages that one call may map: as many as fit the counts kept of them. */
#define PAGES_MAX (UINT32_MAX - 1)
/* A page list longer than this is given back to the host with its area. */
#define ROOM_KEPT 1024u
#define ROOM_MIN 16u
#define LOCK_BYTES 4u

/* Without KASLR; the range, by the levels of tables: set_64bit(). Sizes of the structs: as the kernel's compiler lays them out.
 */
static const struct vmalloc_layout layout_64 = {
        .address_end = UINT64_MAX,
        .area_bytes = 64,
        .mapping_bytes = 64,
        .pointer_bytes = 8,
        .pte_bytes = 8,
        .pte_table_shift = 21,
        .pmd_table_shift = 30,
        .large_shift = 21,
        .ioremap_shift_max = 30,             /* arch/x86/include/asm/page_types.h, IOREMAP_MAX_ORDER: PUD_SHIFT */
        .modules_start = 0xffffffffa0000000, /* __START_KERNEL_map and the 512 MiB of an image, without KASLR */
        .modules_end = 0xffffffffff000000,
};

/* Without PAE. The range, which is that of modules too, and what PAE changes: set_32bit(). */
static const struct vmalloc_layout layout_32 = {
        .address_end = UINT32_MAX,
        .area_bytes = 32,
        .mapping_bytes = 32,
        .pointer_bytes = 4,
        .pte_bytes = 4,
        .pte_table_shift = 22,
        .ioremap_shift_max = 22, /* PMD_SHIFT, which is PGDIR_SHIFT without PAE */
};

static const struct metric vmalloc_metrics[] = {
        METRIC(struct vmalloc_counters, vmalloc_calls, "1", "Areas asked for with vmalloc, page arrays of large ones too"),
        METRIC(struct vmalloc_counters, vmap_calls, "1", "Areas asked for with vmap"),
        METRIC(struct vmalloc_counters, vfree_calls, "1", "Areas given back with vfree"),
        METRIC(struct vmalloc_counters, vunmap_calls, "1", "Areas given back with vunmap"),
        METRIC(struct vmalloc_counters, ioremap_calls, "1", "Areas asked for with ioremap"),
        METRIC(struct vmalloc_counters, iounmap_calls, "1", "Areas given back with iounmap"),
        METRIC(struct vmalloc_counters, vm_map_ram_calls, "1", "Ranges asked for with vm_map_ram"),
        METRIC(struct vmalloc_counters, vm_unmap_ram_calls, "1", "Ranges given back with vm_unmap_ram"),
        METRIC(struct vmalloc_counters, stacks_from_cache, "1", "Kernel stacks that their CPU had kept"),
        METRIC(struct vmalloc_counters, stacks_to_cache, "1", "Kernel stacks that their CPU kept when their task ended"),
        METRIC(struct vmalloc_counters, large_fallbacks, "1", "Requests for large pages that were met with small ones"),
        METRIC(struct vmalloc_counters, large_mappings, "1", "Large pages mapped"),
        METRIC(struct vmalloc_counters, ram_blocks_made, "1", "Blocks of addresses made for vm_map_ram"),
        METRIC(struct vmalloc_counters, ram_blocks_freed, "1", "Blocks given to the purge tree"),
        METRIC(struct vmalloc_counters, ram_blocks_fragmented, "1", "Of them, those that had pages never handed out"),
        METRIC(struct vmalloc_counters, fail_space, "1", "Requests for which no range of addresses was long enough"),
        METRIC(struct vmalloc_counters, fail_pages, "1", "Requests that got no pages, page tables or structures"),
        METRIC(struct vmalloc_counters, fail_exceeds_total, "1", "Requests of nothing, or for more pages than the machine has"),
        METRIC(struct vmalloc_counters, wrong_frees, "1", "Frees of what is no area, or by the wrong call"),
        METRIC(struct vmalloc_counters, areas_allocated, "1", "Ranges taken from the free tree"),
        METRIC(struct vmalloc_counters, areas_freed, "1", "Ranges given to the purge tree"),
        METRIC(struct vmalloc_counters, purges, "1", "Purges that found something"),
        METRIC(struct vmalloc_counters, purged_areas, "1", "Areas that purges made free, neighbours counted once"),
        METRIC(struct vmalloc_counters, purged_pages, "pages", "Pages of address range that purges made free"),
        METRIC(struct vmalloc_counters, tlb_flushes, "1", "Flushes of all CPUs' TLBs: purges, tables that went, aliases"),
        METRIC(struct vmalloc_counters, page_table_pages, "pages", "Page tables made"),
        METRIC(struct vmalloc_counters, page_table_pages_freed, "pages", "Page tables given back"),
        GAUGE(struct vmalloc_counters, nr_vmalloc_pages, "pages", "Pages held by areas of vmalloc and its kin"),
        GAUGE(struct vmalloc_counters, pages_of_areas, "pages", "Of them, those of vmalloc and vmalloc_huge"),
        GAUGE(struct vmalloc_counters, pages_of_modules, "pages", "Those of module_alloc"),
        GAUGE(struct vmalloc_counters, pages_of_stacks, "pages", "Those of kernel stacks, which CPUs keep for the next task too"),
        GAUGE(struct vmalloc_counters, pages_of_arrays, "pages", "Those of the page arrays of large areas"),
        GAUGE(struct vmalloc_counters, vmap_lazy_nr, "pages", "Pages of address range that wait for a purge"),
        GAUGE(struct vmalloc_counters, pages_mapped, "pages", "Pages that areas map: their own, their callers', devices'"),
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
static bool take_range(struct vmalloc *vmalloc, const struct vmalloc_range *range, uint64_t *begin, bool *memory, unsigned cpu)
{
	const struct area_request request = {
	        .size = range->size, .align = range->align, .start = range->start, .end = range->end};
	*memory = preload(vmalloc, cpu);
	uint32_t from = area_lowest_match(&vmalloc->pool, &vmalloc->trees[AREA_FREE], &request, begin);
	if (from && *memory)
		cut_free_area(vmalloc, from, *begin, range->size, cpu);
	step_unlock(vmalloc->steps, vmalloc->free_lock);
	return from && *memory;
}

static void purge_all(struct vmalloc *vmalloc, unsigned cpu);

/* alloc_vmap_area(): a range that is full leads to a purge and one more try. */
enum virtual_alloc_result vmalloc_alloc_area(struct vmalloc *vmalloc, const struct vmalloc_range *range, unsigned cpu,
                                             uint32_t *area)
{
	uint64_t begin;
	bool memory;
	*area = take_area(vmalloc, cpu);
	if (!*area)
		return VIRTUAL_ALLOC_NO_PAGES;
	step_run(vmalloc->steps, CODE_VMALLOC_AREA, vmalloc->costs->vmalloc_area);
	if (!take_range(vmalloc, range, &begin, &memory, cpu)) {
		purge_all(vmalloc, cpu);
		if (!take_range(vmalloc, range, &begin, &memory, cpu)) {
			give_area(vmalloc, *area, cpu);
			return memory ? VIRTUAL_ALLOC_NO_SPACE : VIRTUAL_ALLOC_NO_PAGES;
		}
	}
	struct area *at = area_of(&vmalloc->pool, *area);
	at->start = begin;
	at->end = begin + range->size;
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

void vmalloc_flush_tlbs(struct vmalloc *vmalloc, uint64_t start, uint64_t end, unsigned cpu)
{
	struct steps *steps = vmalloc->steps;
	uint64_t pages = (end - start + PAGE_SIZE - 1) >> PAGE_SHIFT;
	bool all = pages > TLB_SINGLE_PAGES;
	vmalloc->counters.tlb_flushes++;
	if (!steps->recording)
		return;
	for (unsigned other = 0; other < vmalloc->cpus; other++)
		if (other != cpu)
			step_ipi(steps, other, pages == 1 ? start : STEP_ALL_ADDRESSES);
	for (uint64_t page = 0; page < pages && !all; page++)
		step_invalidate(steps, start + (page << PAGE_SHIFT));
	if (all)
		step_invalidate(steps, STEP_ALL_ADDRESSES);
	step_ipi_wait(steps);
}

/* The end of the last area of a tree that is not empty. */
static uint64_t tree_end(const struct vmalloc *vmalloc, const struct area_tree *tree)
{
	uint32_t area = tree->root;
	while (area_of(&vmalloc->pool, area)->right)
		area = area_of(&vmalloc->pool, area)->right;
	return area_of(&vmalloc->pool, area)->end;
}

/* __purge_vmap_area_lazy(): in the order of addresses. [start, end) is flushed too. False: nothing was there. */
static bool purge(struct vmalloc *vmalloc, uint64_t start, uint64_t end, unsigned cpu)
{
	struct area_tree *tree = &vmalloc->trees[AREA_PURGE];
	if (!tree->count)
		return false;
	uint64_t first = area_of(&vmalloc->pool, area_first(&vmalloc->pool, tree))->start, last = tree_end(vmalloc, tree);
	vmalloc->counters.purges++;
	vmalloc_flush_tlbs(vmalloc, first < start ? first : start, last > end ? last : end, cpu);
	step_lock(vmalloc->steps, vmalloc->free_lock);
	for (uint32_t area; (area = area_first(&vmalloc->pool, tree));) {
		const struct area *at = area_of(&vmalloc->pool, area);
		uint64_t pages = (at->end - at->start) >> PAGE_SHIFT;
		step_spend(vmalloc->steps, vmalloc->costs->vmalloc_purge);
		area_remove(&vmalloc->pool, tree, area);
		merge_into(vmalloc, AREA_FREE, area, cpu);
		vmalloc->counters.purged_areas++;
		vmalloc->counters.purged_pages += pages;
		vmalloc->counters.vmap_lazy_nr -= pages;
	}
	step_unlock(vmalloc->steps, vmalloc->free_lock);
	return true;
}

/* purge_vmap_area_lazy() */
static void purge_all(struct vmalloc *vmalloc, unsigned cpu)
{
	vmalloc_ram_purge(vmalloc, cpu);
	purge(vmalloc, UINT64_MAX, 0, cpu);
}

/* free_vmap_area_noflush(), but for the purge it may make due. */
void vmalloc_free_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	const struct area *at = area_of(&vmalloc->pool, area);
	step_run(vmalloc->steps, CODE_VFREE_AREA, vmalloc->costs->vfree_area);
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

static uint32_t unused_mapping(struct vmalloc *vmalloc)
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

struct mapping *vmalloc_new_mapping(struct vmalloc *vmalloc, enum mapping_kind kind, uint32_t area)
{
	uint32_t nr = unused_mapping(vmalloc);
	vmalloc->mappings[nr].kind = kind;
	area_of(&vmalloc->pool, area)->mapping = nr;
	return &vmalloc->mappings[nr];
}

void vmalloc_drop_mapping(struct vmalloc *vmalloc, uint32_t area)
{
	drop_mapping(vmalloc, area_of(&vmalloc->pool, area)->mapping);
	area_of(&vmalloc->pool, area)->mapping = 0;
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
bool vmalloc_take_memory(struct vmalloc *vmalloc, uint64_t bytes, unsigned cpu, vaddr *at)
{
	*at = VADDR_NULL;
	if (!vmalloc->objects)
		return true;
	*at = object_kmalloc(vmalloc->objects, (uint32_t)bytes, NESTED_GFP | __GFP_ZERO, cpu).at;
	return at->addr != 0;
}

void vmalloc_give_memory(struct vmalloc *vmalloc, vaddr at, unsigned cpu)
{
	if (!vmalloc->objects || !at.addr)
		return;
	enum object_free_result result = object_kfree(vmalloc->objects, at, cpu);
	SIM_ASSERT(result == OBJECT_FREE_OK);
}

/* What a call wants of __get_vm_area_node(). */
struct wanted {
	enum mapping_kind kind;
	enum virtual_call call;
	uint64_t bytes; /* whole pages, without the guard page */
	uint64_t align;
	uint64_t start, end;
	gfp flags;      /* for its pages */
	unsigned order; /* of its pages */
	const char *caller;
};

/* __get_vm_area_node(): a vm_struct and a range with one guard page behind it. */
static enum virtual_alloc_result get_vm_area(struct vmalloc *vmalloc, const struct wanted *wanted, unsigned cpu, uint32_t *area)
{
	const struct vmalloc_range range = {wanted->bytes + PAGE_SIZE, wanted->align, wanted->start, wanted->end};
	vaddr address;
	if (!vmalloc_take_memory(vmalloc, vmalloc->at.mapping_bytes, cpu, &address))
		return VIRTUAL_ALLOC_NO_PAGES;
	enum virtual_alloc_result result = vmalloc_alloc_area(vmalloc, &range, cpu, area);
	if (result != VIRTUAL_ALLOC_OK) {
		vmalloc_give_memory(vmalloc, address, cpu);
		return result;
	}
	struct mapping *mapping = vmalloc_new_mapping(vmalloc, wanted->kind, *area);
	mapping->address = address;
	mapping->call = wanted->call;
	mapping->caller = wanted->caller;
	mapping->bytes = wanted->bytes;
	return VIRTUAL_ALLOC_OK;
}

/* ---- vmalloc ---- */

/* Blocks of an order, split into single pages as their users know them. */
static bool take_blocks(struct vmalloc *vmalloc, struct mapping *mapping, uint32_t pages, const struct wanted *wanted,
                        unsigned cpu)
{
	mapping->block_order = wanted->order;
	while (mapping->pages < pages) {
		pfn first = page_alloc(vmalloc->pages, wanted->order, wanted->flags | PAGES_GFP, cpu);
		if (first.nr == UINT32_MAX)
			return false;
		if (wanted->order && page_split(vmalloc->pages, first, wanted->order))
			mapping->block_order = 0;
		for (uint32_t i = 0; i < 1u << wanted->order; i++)
			mapping->frames[mapping->pages++] = pfn_of(first.nr + i);
	}
	return true;
}

/* vm_area_alloc_pages(): single pages in bulk as long as whole bulks come, then one by one. */
static bool take_pages(struct vmalloc *vmalloc, struct mapping *mapping, uint32_t pages, const struct wanted *wanted,
                       unsigned cpu)
{
	make_room(mapping, pages);
	while (!wanted->order && mapping->pages < pages) {
		uint32_t asked = pages - mapping->pages;
		asked = asked < VMALLOC_BULK_MAX ? asked : VMALLOC_BULK_MAX;
		uint32_t taken =
		        page_alloc_bulk(vmalloc->pages, wanted->flags | PAGES_GFP, cpu, asked, &mapping->frames[mapping->pages]);
		mapping->pages += taken;
		if (taken != asked)
			break;
	}
	return take_blocks(vmalloc, mapping, pages, wanted, cpu);
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
static struct virtual_area make_filled(struct vmalloc *vmalloc, const struct wanted *wanted, unsigned cpu);

/* The array of struct page pointers: an object, or if that were more than a page, an area of its own. */
static bool take_page_array(struct vmalloc *vmalloc, uint32_t nr, uint64_t pages, const struct wanted *wanted, unsigned cpu)
{
	uint64_t bytes = pages * vmalloc->at.pointer_bytes;
	vaddr array;
	bool is_area = bytes > PAGE_SIZE, taken;
	if (is_area) {
		array = make_filled(vmalloc,
		                    &(struct wanted){.kind = MAPPING_PAGE_ARRAY,
		                                     .bytes = bytes,
		                                     .align = 1,
		                                     .start = vmalloc->at.start,
		                                     .end = vmalloc->at.end,
		                                     .flags = NESTED_GFP | __GFP_ZERO,
		                                     .caller = wanted->caller},
		                    cpu)
		                .at;
		taken = array.addr != 0;
	} else {
		taken = vmalloc_take_memory(vmalloc, bytes, cpu, &array);
	}
	vmalloc->mappings[nr].page_array = array;
	vmalloc->mappings[nr].array_is_area = is_area && taken;
	return taken;
}

/* remove_vm_area() and kfree(): the range and its vm_struct, when nothing is behind it. */
static void free_vm_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
	vaddr address = vmalloc->mappings[nr].address;
	vmalloc_free_area(vmalloc, area, cpu);
	vmalloc_give_memory(vmalloc, address, cpu);
	drop_mapping(vmalloc, nr);
}

static void write_page_array(const struct vmalloc *vmalloc, const struct mapping *mapping)
{
	if (mapping->page_array.addr && mapping->pages)
		step_write(vmalloc->steps, mapping->page_array, mapping->pages * vmalloc->at.pointer_bytes);
}

/* Where pages of a mapping's own are counted. */
static uint64_t *pages_counter(struct vmalloc_counters *counters, const struct mapping *mapping)
{
	if (mapping->kind == MAPPING_PAGE_ARRAY)
		return &counters->pages_of_arrays;
	if (mapping->call == CALL_MODULE_ALLOC)
		return &counters->pages_of_modules;
	return mapping->call == CALL_THREAD_STACK ? &counters->pages_of_stacks : &counters->pages_of_areas;
}

static void count_pages(struct vmalloc *vmalloc, const struct mapping *mapping, int64_t change)
{
	vmalloc->counters.nr_vmalloc_pages += (uint64_t)change;
	*pages_counter(&vmalloc->counters, mapping) += (uint64_t)change;
}

/* __vmalloc_area_node(): page array, pages, page tables. Whatever is missing, all goes back as vfree() would do it. */
static bool fill_area(struct vmalloc *vmalloc, uint32_t area, const struct wanted *wanted, unsigned cpu)
{
	uint32_t nr = area_of(&vmalloc->pool, area)->mapping, pages = (uint32_t)(wanted->bytes >> PAGE_SHIFT);
	if (!take_page_array(vmalloc, nr, pages, wanted, cpu)) {
		free_vm_area(vmalloc, area, cpu);
		return false;
	}
	struct mapping *mapping = &vmalloc->mappings[nr];
	uint64_t start = area_of(&vmalloc->pool, area)->start;
	bool taken = !vmalloc->pages || take_pages(vmalloc, mapping, pages, wanted, cpu);
	count_pages(vmalloc, mapping, mapping->pages);
	step_run(vmalloc->steps, CODE_VMALLOC_PAGE, vmalloc->costs->vmalloc_page * mapping->pages);
	write_page_array(vmalloc, mapping);
	const struct behind behind = {.frames = mapping->frames, .large = wanted->order > 0};
	if (taken)
		mapping->mapped = (uint32_t)vmalloc_map_range(vmalloc, start, pages, &behind, cpu);
	if (mapping->mapped == pages)
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

/* More than the whole range: alloc_vmap_area() purges before it gives up, as it does when the range is full. */
static struct virtual_area failed_in_range(struct vmalloc *vmalloc, unsigned cpu)
{
	purge_all(vmalloc, cpu);
	return failed_as(vmalloc, VIRTUAL_ALLOC_NO_SPACE);
}

/* The rest of __vmalloc_node_range(), for pages of one size. */
static struct virtual_area make_filled(struct vmalloc *vmalloc, const struct wanted *asked, unsigned cpu)
{
	struct wanted wanted = *asked;
	uint64_t total = vmalloc->pages ? vmalloc->pages->managed_pages : UINT64_MAX;
	uint64_t unit = (uint64_t)PAGE_SIZE << wanted.order;
	uint32_t area;
	vmalloc->counters.vmalloc_calls++;
	if (!wanted.bytes || wanted.bytes >> PAGE_SHIFT > total)
		return failed(VIRTUAL_ALLOC_EXCEEDS_TOTAL, &vmalloc->counters.fail_exceeds_total);
	if (wanted.bytes > wanted.end - wanted.start || wanted.bytes >> PAGE_SHIFT > PAGES_MAX)
		return failed_in_range(vmalloc, cpu);
	wanted.bytes = (wanted.bytes + unit - 1) & ~(unit - 1);
	enum virtual_alloc_result result = get_vm_area(vmalloc, &wanted, cpu, &area);
	if (result != VIRTUAL_ALLOC_OK)
		return failed_as(vmalloc, result);
	if (!fill_area(vmalloc, area, &wanted, cpu))
		return failed_as(vmalloc, VIRTUAL_ALLOC_NO_PAGES);
	return (struct virtual_area){.at = vaddr_of(area_of(&vmalloc->pool, area)->start), .result = VIRTUAL_ALLOC_OK};
}

static struct wanted wanted_for(const struct vmalloc *vmalloc, const struct virtual_request *request, enum mapping_kind kind)
{
	return (struct wanted){.kind = kind,
	                       .call = request->call,
	                       .bytes = request->size,
	                       .align = 1,
	                       .start = vmalloc->at.start,
	                       .end = vmalloc->at.end,
	                       .flags = GFP_KERNEL,
	                       .caller = request->caller};
}

/* vmalloc_huge(): in large pages from one large page on; with small ones if that cannot be had. */
static struct virtual_area make_large(struct vmalloc *vmalloc, const struct wanted *wanted, unsigned cpu)
{
	struct wanted large = *wanted;
	if (!vmalloc->at.large_shift || wanted->bytes < 1ull << vmalloc->at.large_shift)
		return make_filled(vmalloc, wanted, cpu);
	large.order = vmalloc->at.large_shift - PAGE_SHIFT;
	large.align = 1ull << vmalloc->at.large_shift;
	struct virtual_area area = make_filled(vmalloc, &large, cpu);
	if (area.result == VIRTUAL_ALLOC_OK || area.result == VIRTUAL_ALLOC_EXCEEDS_TOTAL)
		return area;
	vmalloc->counters.large_fallbacks++;
	return make_filled(vmalloc, wanted, cpu);
}

/* A purge that freed areas made due; the kernel has a worker do it. */
static void purge_if_due(struct vmalloc *vmalloc, unsigned cpu)
{
	if (vmalloc->counters.vmap_lazy_nr > vmalloc->lazy_max_pages)
		purge(vmalloc, UINT64_MAX, 0, cpu);
}

static uint32_t busy_area_of(const struct vmalloc *vmalloc, vaddr at)
{
	uint32_t area = busy_area(vmalloc, at);
	SIM_ASSERT(area);
	return area;
}

/* ---- kernel stacks ---- */

static vaddr cached_stack(const struct vmalloc *vmalloc, unsigned slot, unsigned cpu)
{
	vaddr first = layout_per_cpu(vmalloc->layout, vmalloc->cached_stacks_offset, cpu);
	return vaddr_of(first.addr + slot * vmalloc->at.pointer_bytes);
}

/* alloc_thread_stack_node(): one that the CPU has kept is cleared by its user. */
static struct virtual_area make_stack(struct vmalloc *vmalloc, const struct virtual_request *request, unsigned cpu)
{
	for (unsigned slot = 0; slot < NR_CACHED_STACKS; slot++) {
		uint32_t area = vmalloc->cached_stacks[cpu][slot];
		step_update(vmalloc->steps, cached_stack(vmalloc, slot, cpu), vmalloc->at.pointer_bytes);
		if (!area)
			continue;
		vaddr at = vaddr_of(area_of(&vmalloc->pool, area)->start);
		vmalloc->cached_stacks[cpu][slot] = AREA_NONE;
		vmalloc->stacks_cached--;
		vmalloc->counters.stacks_from_cache++;
		vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping].caller = request->caller;
		step_write(vmalloc->steps, at, THREAD_SIZE);
		return (struct virtual_area){.at = at, .result = VIRTUAL_ALLOC_OK};
	}
	struct wanted wanted = wanted_for(vmalloc, request, MAPPING_VMALLOC);
	wanted.bytes = wanted.align = THREAD_SIZE;
	wanted.flags = STACK_GFP;
	return make_filled(vmalloc, &wanted, cpu);
}

/* try_release_thread_stack_to_cache() */
static bool keep_stack(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	for (unsigned slot = 0; slot < NR_CACHED_STACKS; slot++) {
		step_update(vmalloc->steps, cached_stack(vmalloc, slot, cpu), vmalloc->at.pointer_bytes);
		if (vmalloc->cached_stacks[cpu][slot])
			continue;
		vmalloc->cached_stacks[cpu][slot] = area;
		vmalloc->stacks_cached++;
		vmalloc->counters.stacks_to_cache++;
		return true;
	}
	return false;
}

static bool is_cached_stack(const struct vmalloc *vmalloc, uint32_t area)
{
	for (unsigned cpu = 0; cpu < vmalloc->cpus && vmalloc->stacks_cached; cpu++)
		for (unsigned slot = 0; slot < NR_CACHED_STACKS; slot++)
			if (vmalloc->cached_stacks[cpu][slot] == area)
				return true;
	return false;
}

/* ---- mappings of what is there ---- */

static struct virtual_area map_area(struct vmalloc *vmalloc, uint32_t area, uint64_t bytes, const struct behind *behind,
                                    unsigned cpu)
{
	uint64_t start = area_of(&vmalloc->pool, area)->start;
	struct mapping *mapping = &vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping];
	mapping->mapped = (uint32_t)vmalloc_map_range(vmalloc, start, bytes >> PAGE_SHIFT, behind, cpu);
	if (mapping->mapped == bytes >> PAGE_SHIFT)
		return (struct virtual_area){.at = vaddr_of(start), .result = VIRTUAL_ALLOC_OK};
	vmalloc_unmap_range(vmalloc, start, mapping->mapped);
	free_vm_area(vmalloc, area, cpu);
	return failed_as(vmalloc, VIRTUAL_ALLOC_NO_PAGES);
}

static void note_frames(struct mapping *mapping, const struct virtual_request *request)
{
	uint32_t count = (uint32_t)(request->size >> PAGE_SHIFT);
	make_room(mapping, count);
	memcpy(mapping->frames, request->frames, count * sizeof *mapping->frames);
	mapping->pages = count;
}

static bool maps_too_much(const struct vmalloc *vmalloc, const struct virtual_request *request)
{
	uint64_t pages = request->size >> PAGE_SHIFT;
	return !pages || pages > PAGES_MAX || (vmalloc->pages && pages > vmalloc->pages->managed_pages);
}

/* vmap() */
static struct virtual_area map_pages(struct vmalloc *vmalloc, const struct virtual_request *request, unsigned cpu)
{
	const struct wanted wanted = wanted_for(vmalloc, request, MAPPING_VMAP);
	uint32_t area;
	vmalloc->counters.vmap_calls++;
	if (maps_too_much(vmalloc, request))
		return failed(VIRTUAL_ALLOC_EXCEEDS_TOTAL, &vmalloc->counters.fail_exceeds_total);
	enum virtual_alloc_result result = get_vm_area(vmalloc, &wanted, cpu, &area);
	if (result != VIRTUAL_ALLOC_OK)
		return failed_as(vmalloc, result);
	note_frames(&vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping], request);
	return map_area(vmalloc, area, request->size, &(struct behind){.frames = request->frames}, cpu);
}

/* vm_map_ram(): what is too large for a block gets an area without guard page and without vm_struct. */
static struct virtual_area map_ram(struct vmalloc *vmalloc, const struct virtual_request *request, unsigned cpu)
{
	const struct vmalloc_range range = {request->size, PAGE_SIZE, vmalloc->at.start, vmalloc->at.end};
	uint64_t pages = request->size >> PAGE_SHIFT;
	uint32_t area;
	vmalloc->counters.vm_map_ram_calls++;
	if (maps_too_much(vmalloc, request))
		return failed(VIRTUAL_ALLOC_EXCEEDS_TOTAL, &vmalloc->counters.fail_exceeds_total);
	if (pages <= vmalloc->ram.largest) {
		struct virtual_area piece = vmalloc_ram_map(vmalloc, request->frames, (uint32_t)pages, cpu);
		return piece.result == VIRTUAL_ALLOC_OK ? piece : failed_as(vmalloc, piece.result);
	}
	enum virtual_alloc_result result = vmalloc_alloc_area(vmalloc, &range, cpu, &area);
	if (result != VIRTUAL_ALLOC_OK)
		return failed_as(vmalloc, result);
	struct mapping *mapping = vmalloc_new_mapping(vmalloc, MAPPING_RAM, area);
	mapping->call = CALL_VM_MAP_RAM;
	mapping->bytes = request->size;
	note_frames(mapping, request);
	return map_area(vmalloc, area, request->size, &(struct behind){.frames = request->frames}, cpu);
}

/* get_count_order_long() of a size, between a page and the largest that an ioremap() is aligned to. */
static uint64_t ioremap_align(const struct vmalloc *vmalloc, uint64_t bytes)
{
	unsigned shift = PAGE_SHIFT;
	while (shift < vmalloc->at.ioremap_shift_max && 1ull << shift < bytes)
		shift++;
	return 1ull << shift;
}

/* __ioremap_caller(): whole pages; the area's address has the offset in its page that the physical one has. */
static struct virtual_area map_io(struct vmalloc *vmalloc, const struct virtual_request *request, unsigned cpu)
{
	struct wanted wanted = wanted_for(vmalloc, request, MAPPING_IOREMAP);
	uint64_t offset = request->physical % PAGE_SIZE, large_bytes = 1ull << vmalloc->at.pte_table_shift;
	uint32_t area;
	vmalloc->counters.ioremap_calls++;
	if (!request->size)
		return failed(VIRTUAL_ALLOC_EXCEEDS_TOTAL, &vmalloc->counters.fail_exceeds_total);
	if (request->size > wanted.end - wanted.start || request->size >> PAGE_SHIFT > PAGES_MAX)
		return failed_in_range(vmalloc, cpu);
	wanted.bytes = (offset + request->size + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
	wanted.align = ioremap_align(vmalloc, wanted.bytes);
	enum virtual_alloc_result result = get_vm_area(vmalloc, &wanted, cpu, &area);
	if (result != VIRTUAL_ALLOC_OK)
		return failed_as(vmalloc, result);
	vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping].physical = request->physical - offset;
	const struct behind behind = {.physical = request->physical - offset,
	                              .large = vmalloc->at.large_shift && (request->physical - offset) % large_bytes == 0};
	struct virtual_area mapped = map_area(vmalloc, area, wanted.bytes, &behind, cpu);
	if (mapped.result == VIRTUAL_ALLOC_OK)
		mapped.at = vaddr_of(mapped.at.addr + offset);
	return mapped;
}

static struct virtual_area make_area(struct vmalloc *vmalloc, const struct virtual_request *request, unsigned cpu)
{
	struct wanted wanted = wanted_for(vmalloc, request, MAPPING_VMALLOC);
	switch (request->call) {
	case CALL_VMALLOC:
		return make_filled(vmalloc, &wanted, cpu);
	case CALL_VMALLOC_HUGE:
		return make_large(vmalloc, &wanted, cpu);
	case CALL_MODULE_ALLOC:
		wanted.start = vmalloc->at.modules_start;
		wanted.end = vmalloc->at.modules_end;
		return make_filled(vmalloc, &wanted, cpu);
	case CALL_THREAD_STACK:
		return make_stack(vmalloc, request, cpu);
	case CALL_VMAP:
		return map_pages(vmalloc, request, cpu);
	case CALL_IOREMAP:
		return map_io(vmalloc, request, cpu);
	case CALL_VM_MAP_RAM:
		return map_ram(vmalloc, request, cpu);
	case VIRTUAL_CALLS:
		break;
	}
	SIM_UNREACHABLE("a call of the port");
}

static struct virtual_area vmalloc_get(struct virtual_allocator *base, const struct virtual_request *request, unsigned cpu)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	struct virtual_area area = make_area(vmalloc, request, cpu);
	/* What a failure gave back, or the first try with large pages. */
	purge_if_due(vmalloc, cpu);
	return area;
}

/* ---- frees ---- */

/* _vm_unmap_aliases() of a module's pages: the direct map, where they lie, is flushed with the purge. */
static void flush_aliases(struct vmalloc *vmalloc, uint32_t nr, unsigned cpu)
{
	const struct mapping *mapping = &vmalloc->mappings[nr];
	uint64_t start = UINT64_MAX, end = 0;
	bool flush = mapping->pages > 0;
	for (uint32_t i = 0; i < mapping->pages; i++) {
		uint64_t at = layout_page_address(vmalloc->layout, mapping->frames[i]).addr;
		if (mapping->frames[i].nr >= vmalloc->layout->direct_map_frames)
			continue;
		start = at < start ? at : start;
		end = at + PAGE_SIZE > end ? at + PAGE_SIZE : end;
	}
	flush |= vmalloc_ram_dirty(vmalloc, &start, &end);
	vmalloc_ram_purge(vmalloc, cpu);
	if (!purge(vmalloc, start, end, cpu) && flush)
		vmalloc_flush_tlbs(vmalloc, start, end, cpu);
}

/* The pages of a mapping. Behind the first one the freeing task gives the CPU up, if a purge was made due, to who does it. */
static void give_pages(struct vmalloc *vmalloc, uint32_t nr, unsigned cpu)
{
	uint32_t pages = vmalloc->mappings[nr].pages, step = 1u << vmalloc->mappings[nr].block_order;
	step_run(vmalloc->steps, CODE_VFREE_PAGE, vmalloc->costs->vfree_page * pages);
	for (uint32_t i = 0; i < pages; i += step) {
		enum page_free_result result =
		        page_free(vmalloc->pages, vmalloc->mappings[nr].frames[i], vmalloc->mappings[nr].block_order, cpu);
		SIM_ASSERT(result == PAGE_FREE_OK);
		if (i == 0)
			purge_if_due(vmalloc, cpu);
	}
	count_pages(vmalloc, &vmalloc->mappings[nr], -(int64_t)pages);
	/* Where pages are not modelled. */
	purge_if_due(vmalloc, cpu);
}

/* __vunmap(): the range first, then page by page, then the page array and the vm_struct. */
static void vfree_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
	vmalloc_unmap_range(vmalloc, area_of(&vmalloc->pool, area)->start, vmalloc->mappings[nr].mapped);
	vmalloc->mappings[nr].mapped = 0;
	vmalloc_free_area(vmalloc, area, cpu);
	if (vmalloc->mappings[nr].call == CALL_MODULE_ALLOC)
		flush_aliases(vmalloc, nr, cpu);
	give_pages(vmalloc, nr, cpu);
	struct mapping mapping = vmalloc->mappings[nr];
	if (mapping.array_is_area) {
		vmalloc->counters.vfree_calls++;
		vfree_area(vmalloc, busy_area_of(vmalloc, mapping.page_array), cpu);
	} else {
		vmalloc_give_memory(vmalloc, mapping.page_array, cpu);
	}
	vmalloc_give_memory(vmalloc, mapping.address, cpu);
	drop_mapping(vmalloc, nr);
}

/* vfree() is one for vmalloc() and vmalloc_huge(); a page array is nobody's to free. */
static bool frees(enum virtual_call asked, const struct mapping *mapping)
{
	if (mapping->kind == MAPPING_PAGE_ARRAY || mapping->kind == MAPPING_RAM_BLOCK || mapping->kind == MAPPING_EARLY)
		return false;
	return asked == mapping->call || (asked == CALL_VMALLOC && mapping->call == CALL_VMALLOC_HUGE);
}

static enum virtual_free_result find_mapping(struct vmalloc *vmalloc, vaddr at, enum virtual_call call, uint32_t *area)
{
	step_lock(vmalloc->steps, vmalloc->busy_lock);
	*area = busy_area(vmalloc, at);
	step_unlock(vmalloc->steps, vmalloc->busy_lock);
	uint32_t nr = *area ? area_of(&vmalloc->pool, *area)->mapping : 0;
	if (!nr || is_cached_stack(vmalloc, *area))
		return VIRTUAL_FREE_NOT_AREA;
	return frees(call, &vmalloc->mappings[nr]) ? VIRTUAL_FREE_OK : VIRTUAL_FREE_WRONG_CALL;
}

/* vunmap(), iounmap() and vm_unmap_ram(): nothing behind the area is its own. */
static void unmap_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	uint32_t mapped = vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping].mapped;
	vmalloc_unmap_range(vmalloc, area_of(&vmalloc->pool, area)->start, mapped);
	free_vm_area(vmalloc, area, cpu);
}

static void put_area(struct vmalloc *vmalloc, uint32_t area, unsigned cpu)
{
	struct vmalloc_counters *counters = &vmalloc->counters;
	switch (vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping].call) {
	case CALL_THREAD_STACK:
	case CALL_VMALLOC:
	case CALL_VMALLOC_HUGE:
	case CALL_MODULE_ALLOC:
		counters->vfree_calls++;
		vfree_area(vmalloc, area, cpu);
		return;
	case CALL_VMAP:
		counters->vunmap_calls++;
		break;
	case CALL_IOREMAP:
		counters->iounmap_calls++;
		break;
	case CALL_VM_MAP_RAM:
		counters->vm_unmap_ram_calls++;
		break;
	case VIRTUAL_CALLS:
		SIM_UNREACHABLE("a call of the port");
	}
	unmap_area(vmalloc, area, cpu);
}

static enum virtual_free_result vmalloc_put(struct virtual_allocator *base, vaddr at, const struct virtual_request *request,
                                            unsigned cpu)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	uint64_t pages = request->size >> PAGE_SHIFT;
	enum virtual_free_result result;
	uint32_t area = AREA_NONE;
	if (request->call == CALL_VM_MAP_RAM && pages && pages <= vmalloc->ram.largest) {
		result = vmalloc_ram_unmap(vmalloc, at, (uint32_t)pages, cpu);
		vmalloc->counters.vm_unmap_ram_calls += result == VIRTUAL_FREE_OK;
	} else {
		vaddr page = vaddr_of(request->call == CALL_IOREMAP ? at.addr & ~(uint64_t)(PAGE_SIZE - 1) : at.addr);
		result = find_mapping(vmalloc, page, request->call, &area);
		bool kept = result == VIRTUAL_FREE_OK && request->call == CALL_THREAD_STACK && keep_stack(vmalloc, area, cpu);
		if (result == VIRTUAL_FREE_OK && !kept)
			put_area(vmalloc, area, cpu);
	}
	vmalloc->counters.wrong_frees += result != VIRTUAL_FREE_OK;
	purge_if_due(vmalloc, cpu);
	return result;
}

static void vmalloc_purge(struct virtual_allocator *base, unsigned cpu)
{
	purge_all(vmalloc_of(base), cpu);
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

static void vmalloc_purges(const struct virtual_allocator *base, uint64_t *purges, uint64_t *tlb_flushes)
{
	*purges = vmalloc_const(base)->counters.purges;
	*tlb_flushes = vmalloc_const(base)->counters.tlb_flushes;
}

static uint64_t vmalloc_pages_held(const struct virtual_allocator *base)
{
	const struct vmalloc *vmalloc = vmalloc_const(base);
	return vmalloc->counters.nr_vmalloc_pages + vmalloc->tables_held;
}

static uint64_t vmalloc_pages_mapped(const struct virtual_allocator *base)
{
	return vmalloc_const(base)->counters.pages_mapped;
}

static pfn table_frame(const struct virtual_allocator *base, uint64_t linear, unsigned shift)
{
	return vmalloc_table_frame(vmalloc_const(base), linear, shift);
}

static const void *vmalloc_counters_of(const struct virtual_allocator *base)
{
	return &vmalloc_const(base)->counters;
}

/* ---- laws ---- */

/* What the busy areas are of. */
struct survey {
	uint64_t mappings[MAPPING_KINDS];
	uint64_t own_pages, mapped, cached_stacks;
	struct vmalloc_counters counters; /* of pages, by what they are of */
};

static void survey(const struct vmalloc *vmalloc, struct survey *found)
{
	*found = (struct survey){0};
	for (uint32_t area = area_first(&vmalloc->pool, &vmalloc->trees[AREA_BUSY]); area;
	     area = area_next(&vmalloc->pool, area)) {
		const struct mapping *mapping = &vmalloc->mappings[area_of(&vmalloc->pool, area)->mapping];
		found->mappings[mapping->kind]++;
		if (mapping->kind == MAPPING_VMALLOC || mapping->kind == MAPPING_PAGE_ARRAY) {
			found->own_pages += mapping->pages;
			*pages_counter(&found->counters, mapping) += mapping->pages;
		}
		found->mapped += mapping->mapped;
		found->cached_stacks += is_cached_stack(vmalloc, area);
	}
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
	struct survey found;
	uint64_t lazy = 0, mappings = 0;
	for (unsigned list = 0; list < AREA_LISTS; list++)
		area_tree_check(&vmalloc->pool, &vmalloc->trees[list], list != AREA_BUSY);
	check_disjoint(vmalloc);
	const struct area_tree *waiting = &vmalloc->trees[AREA_PURGE];
	for (uint32_t area = area_first(&vmalloc->pool, waiting); area; area = area_next(&vmalloc->pool, area))
		lazy += (area_of(&vmalloc->pool, area)->end - area_of(&vmalloc->pool, area)->start) >> PAGE_SHIFT;
	SIM_ASSERT(lazy == counters->vmap_lazy_nr);
	survey(vmalloc, &found);
	found.mapped += vmalloc_ram_check(vmalloc);
	for (unsigned kind = MAPPING_UNUSED + 1; kind < MAPPING_EARLY; kind++)
		mappings += found.mappings[kind];
	SIM_ASSERT(counters->nr_vmalloc_pages == found.own_pages && counters->pages_mapped == found.mapped);
	SIM_ASSERT(counters->pages_of_areas == found.counters.pages_of_areas);
	SIM_ASSERT(counters->pages_of_modules == found.counters.pages_of_modules);
	SIM_ASSERT(counters->pages_of_stacks == found.counters.pages_of_stacks);
	SIM_ASSERT(counters->pages_of_arrays == found.counters.pages_of_arrays);
	SIM_ASSERT(mappings == counters->areas_allocated - counters->areas_freed);
	SIM_ASSERT(found.mappings[MAPPING_RAM_BLOCK] == vmalloc->ram.count && found.cached_stacks == vmalloc->stacks_cached);
	SIM_ASSERT(counters->stacks_to_cache == counters->stacks_from_cache + vmalloc->stacks_cached);
	SIM_ASSERT(vmalloc->port.live_areas + found.mappings[MAPPING_PAGE_ARRAY] + vmalloc->ram.count + vmalloc->stacks_cached ==
	           mappings + vmalloc->ram.live);
	SIM_ASSERT(vmalloc->tables_held == (vmalloc->pages ? counters->page_table_pages - counters->page_table_pages_freed : 0));
	SIM_ASSERT(counters->purges <= counters->tlb_flushes && counters->purges <= counters->purged_areas);
}

/* ---- beginning and end ---- */

static uint32_t insert_at_boot(struct vmalloc *vmalloc, enum area_list list, uint64_t start, uint64_t end)
{
	uint32_t area = vmalloc_area_at_boot(vmalloc);
	area_of(&vmalloc->pool, area)->start = start;
	area_of(&vmalloc->pool, area)->end = end;
	bool inserted = area_insert(&vmalloc->pool, &vmalloc->trees[list], area);
	SIM_ASSERT(inserted);
	return area;
}

/*
 * Everything above page 0 that is not handed out is free, the kernel's other areas too; what the boot registered early is in use
 * (vmalloc_init(), vmap_init_free_space()).
 */
static void free_everything(struct vmalloc *vmalloc)
{
	uint64_t early = layout_early_area_end(vmalloc->layout), start = 1;
	if (vmalloc->layout->per_cpu_by_pages) {
		vmalloc_new_mapping(vmalloc, MAPPING_EARLY, insert_at_boot(vmalloc, AREA_BUSY, vmalloc->at.start, early));
		insert_at_boot(vmalloc, AREA_FREE, start, vmalloc->at.start);
		start = early;
	}
	insert_at_boot(vmalloc, AREA_FREE, start, vmalloc->at.address_end);
}

static void vmalloc_destroy(struct virtual_allocator *base)
{
	struct vmalloc *vmalloc = vmalloc_of(base);
	struct area_view view;
	for (uint64_t from = 0; vmalloc_area_above(base, AREA_BUSY, from, &view); from = view.end) {
		uint32_t area = busy_area(vmalloc, vaddr_of(view.start));
		uint32_t nr = area_of(&vmalloc->pool, area)->mapping;
		enum mapping_kind kind = vmalloc->mappings[nr].kind;
		if (kind == MAPPING_VMALLOC)
			vfree_area(vmalloc, area, 0);
		else if (kind == MAPPING_VMAP || kind == MAPPING_IOREMAP || kind == MAPPING_RAM)
			unmap_area(vmalloc, area, 0);
	}
	vmalloc_ram_release(vmalloc);
	purge(vmalloc, UINT64_MAX, 0, 0);
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
        .get = vmalloc_get,
        .put = vmalloc_put,
        .purge = vmalloc_purge,
        .area_above = vmalloc_area_above,
        .area_pages = vmalloc_area_pages,
        .purges = vmalloc_purges,
        .lazy_pages = vmalloc_lazy_pages,
        .pages_held = vmalloc_pages_held,
        .pages_mapped = vmalloc_pages_mapped,
        .table_frame = table_frame,
        .print_info = vmalloc_print_info,
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

/* The range, and with PAE the tables of 8-byte entries; tables above the last level are there from boot on. */
static bool set_32bit(struct vmalloc *vmalloc, const struct settings *settings, struct error *error)
{
	const struct layout_32bit machine = settings_layout_32bit(settings);
	const struct layout_span range = layout_vmalloc_32bit(&machine);
	if (range.first >= range.last)
		return error_set(error, ERROR_USAGE,
		                 "kernel.lowmem: %" PRIu64
		                 " MiB of low memory leave no addresses for vmalloc, which end at %" PRIx64,
		                 machine.lowmem_bytes >> 20, range.last + 1);
	vmalloc->at.start = vmalloc->at.modules_start = range.first;
	vmalloc->at.end = vmalloc->at.modules_end = range.last + 1;
	if (machine.pae) {
		vmalloc->at.pte_bytes = 8;
		vmalloc->at.pte_table_shift = vmalloc->at.ioremap_shift_max = 21;
	}
	return true;
}

/* VMALLOC_START to VMALLOC_END; with 5 levels (P4D_SHIFT) one more level of tables is made where it is needed. */
static void set_64bit(struct vmalloc *vmalloc)
{
	const struct layout_span *range = layout_span_of(vmalloc->layout, REGION_VMALLOC);
	vmalloc->at.start = range->first;
	vmalloc->at.end = range->last;
	vmalloc->at.pud_table_shift = vmalloc->layout->is_5level ? 39 : 0;
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
	vmalloc->costs = &wiring->settings->cost;
	vmalloc->kernel_cpus = settings_kernel_cpus(wiring->settings, is_64);
	if (is_64)
		set_64bit(vmalloc);
	else if (!set_32bit(vmalloc, wiring->settings, error)) {
		free(vmalloc);
		return NULL;
	}
	vmalloc->cached_stacks_offset = layout_per_cpu_static(vmalloc->layout, NR_CACHED_STACKS * vmalloc->at.pointer_bytes);
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
	unused_mapping(vmalloc);
	vmalloc_ram_init(vmalloc, is_64);
	free_everything(vmalloc);
	return &vmalloc->port;
}
