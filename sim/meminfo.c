/* SPDX-License-Identifier: MIT
 *
 * meminfo.c - memory by kind (interface, laws and sources: meminfo.h).
 */
#include "sim/meminfo.h"

#include <inttypes.h>
#include <string.h>

/* THREAD_SIZE: pages of a kernel stack that a CPU keeps. */
#define STACK_PAGES 4u

const struct metric meminfo_metrics[] = {
        GAUGE(struct meminfo, mem_total, "pages", "Memory that the page allocator was given (MemTotal)"),
        GAUGE(struct meminfo, mem_free, "pages", "On its free lists (MemFree)"),
        GAUGE(struct meminfo, pcp_lists, "pages", "On per-CPU lists, which count as neither free nor used"),
        GAUGE(struct meminfo, cached, "pages", "Pages of files and of shared memory (Cached)"),
        GAUGE(struct meminfo, anon_pages, "pages", "Private pages of processes (AnonPages)"),
        GAUGE(struct meminfo, slab_reclaimable, "pages", "Slabs of caches that shrinkers empty (SReclaimable)"),
        GAUGE(struct meminfo, slab_unreclaimable, "pages", "Other slabs, and large kmallocs (SUnreclaim)"),
        GAUGE(struct meminfo, kernel_stack, "pages", "Stacks of live tasks, most of them part of vmalloc_used (KernelStack)"),
        GAUGE(struct meminfo, page_tables, "pages", "Page tables of processes (PageTables)"),
        GAUGE(struct meminfo, vmalloc_used, "pages", "Pages of vmalloc and its kin (VmallocUsed)"),
        GAUGE(struct meminfo, area_tables, "pages", "Page tables of vmalloc areas"),
        GAUGE(struct meminfo, stack_blocks, "pages", "Kernel stacks that are blocks of pages"),
        GAUGE(struct meminfo, percpu, "pages", "Pages behind per-CPU data, not part of mem_total (Percpu)"),
        GAUGE(struct meminfo, other, "pages", "Blocks of pages of the load itself, and what a start state had in use"),
        GAUGE(struct meminfo, vmalloc_total, "KiB", "Addresses for areas (VmallocTotal)"),
        GAUGE(struct meminfo, high_total, "pages", "Of mem_total, zone HighMem's (HighTotal)"),
        GAUGE(struct meminfo, high_free, "pages", "Of mem_free, zone HighMem's (HighFree)"),
        METRIC_END};

/* A counter of a model by its name; 0 if that model does not count it. */
static uint64_t counted(const struct metric *metrics, const void *counters, const char *name)
{
	for (const struct metric *metric = metrics; metric && metric->name; metric++)
		if (strcmp(metric->name, name) == 0)
			return metric_value(metric, counters);
	return 0;
}

static void read_zones(struct meminfo *info, const struct page_allocator *pages)
{
	uint64_t managed = 0;
	for (unsigned index = 0; index < pages->ops->zones(pages); index++) {
		struct zone_view zone;
		pages->ops->zone_view(pages, index, &zone);
		bool is_high = strcmp(zone.name, "HighMem") == 0;
		managed += zone.managed;
		info->mem_free += zone.free_pages;
		info->high_total += is_high ? zone.managed : 0;
		info->high_free += is_high ? zone.free_pages : 0;
		for (unsigned cpu = 0; cpu < zone.cpus; cpu++)
			info->pcp_lists += zone.pcp[cpu].count;
	}
	info->mem_total = managed;
}

static void read_slabs(struct meminfo *info, const struct object_allocator *objects)
{
	uint64_t held = objects->ops->pages_held(objects), reclaimable = 0;
	struct cache_view view;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++)
		if (objects->ops->cache_view(objects, (cache_id){nr}, &view) && view.flags & SLAB_RECLAIM_ACCOUNT)
			reclaimable += view.slabs * view.pages_per_slab;
	info->slab_reclaimable = reclaimable < held ? reclaimable : held;
	info->slab_unreclaimable = held - info->slab_reclaimable;
}

static void read_areas(struct meminfo *info, const struct virtual_allocator *areas)
{
	const struct metric *metrics = areas->ops->metrics;
	const void *counters = areas->ops->counters(areas);
	uint64_t held = areas->ops->pages_held(areas);
	uint64_t used = counted(metrics, counters, "nr_vmalloc_pages") + counted(metrics, counters, "nr_pages");
	uint64_t kept = counted(metrics, counters, "stacks_to_cache") - counted(metrics, counters, "stacks_from_cache");
	uint64_t stacks = counted(metrics, counters, "pages_of_stacks");
	info->vmalloc_used = used < held ? used : held;
	info->area_tables = held - info->vmalloc_used;
	info->kernel_stack = stacks > kept * STACK_PAGES ? stacks - kept * STACK_PAGES : 0;
}

static void read_processes(struct meminfo *info, const struct user_memory *users)
{
	const struct metric *metrics = users->ops->metrics;
	const void *counters = users->ops->counters(users);
	uint64_t held = users->ops->pages_held(users);
	info->page_tables = counted(metrics, counters, "table_pages");
	info->stack_blocks = counted(metrics, counters, "stack_pages");
	info->anon_pages = counted(metrics, counters, "anonymous_pages");
	info->kernel_stack += info->stack_blocks;
	uint64_t known = info->page_tables + info->stack_blocks + info->anon_pages;
	SIM_ASSERT(known <= held);
	info->cached = held - known;
}

/* pcpu_nr_pages(): the pages of each chunk that data lies on, for each unit, also those that no CPU has. */
static uint64_t percpu_pages(const struct layout *layout)
{
	uint64_t units = 0, chunks = layout_per_cpu_chunks(layout), pages = layout->per_cpu_first_end / PAGE_SIZE;
	for (unsigned group = 0; group < layout->per_cpu_groups; group++)
		units += layout->per_cpu_group[group].bytes / layout->per_cpu_stride;
	if (chunks > 1) {
		pages += (chunks - 2) * (layout->per_cpu_stride / PAGE_SIZE);
		pages += (layout->per_cpu_used - (chunks - 1) * layout->per_cpu_stride + PAGE_SIZE - 1) / PAGE_SIZE;
	}
	return units * pages;
}

void meminfo_read(struct meminfo *info, const struct meminfo_parts *parts)
{
	const struct layout_span *areas = layout_span_of(parts->layout, REGION_VMALLOC);
	*info = (struct meminfo){.percpu = percpu_pages(parts->layout)};
	read_zones(info, parts->pages);
	read_slabs(info, parts->objects);
	if (parts->areas)
		read_areas(info, parts->areas);
	if (parts->users)
		read_processes(info, parts->users);
	/* VMALLOC_END is the last byte on 64 bits, the first behind it on 32. */
	if (areas && areas->last > areas->first)
		info->vmalloc_total = (areas->last - areas->first + (areas->first >> 32 == 0)) >> 10;
	uint64_t allocated = parts->pages->allocated_pages;
	uint64_t known = info->slab_reclaimable + info->slab_unreclaimable + info->vmalloc_used + info->area_tables +
	                 info->page_tables + info->stack_blocks + info->anon_pages + info->cached;
	SIM_ASSERT(known <= allocated && info->mem_free + info->pcp_lists + allocated <= info->mem_total);
	info->other = allocated - known;
	/* The load model's page cache is neither free nor anybody's. */
	info->cached += info->mem_total - info->mem_free - info->pcp_lists - allocated;
}

void meminfo_check(const struct meminfo *info)
{
	SIM_ASSERT(info->mem_total == info->mem_free + info->pcp_lists + info->cached + info->anon_pages +
	                                      info->slab_reclaimable + info->slab_unreclaimable + info->vmalloc_used +
	                                      info->area_tables + info->page_tables + info->stack_blocks + info->other);
	SIM_ASSERT(info->kernel_stack <= info->vmalloc_used + info->stack_blocks);
	SIM_ASSERT(info->high_total <= info->mem_total && info->high_free <= info->mem_free);
}

/* show_val_kb() */
static void line(FILE *out, const char *name, uint64_t pages)
{
	fprintf(out, "%-16s%8" PRIu64 " kB\n", name, pages << (PAGE_SHIFT - 10));
}

void meminfo_print(const struct meminfo *info, FILE *out)
{
	line(out, "MemTotal:", info->mem_total);
	line(out, "MemFree:", info->mem_free);
	line(out, "Cached:", info->cached);
	if (info->high_total > 0) {
		line(out, "HighTotal:", info->high_total);
		line(out, "HighFree:", info->high_free);
		line(out, "LowTotal:", info->mem_total - info->high_total);
		line(out, "LowFree:", info->mem_free - info->high_free);
	}
	line(out, "AnonPages:", info->anon_pages);
	line(out, "Slab:", info->slab_reclaimable + info->slab_unreclaimable);
	line(out, "SReclaimable:", info->slab_reclaimable);
	line(out, "SUnreclaim:", info->slab_unreclaimable);
	line(out, "KernelStack:", info->kernel_stack);
	line(out, "PageTables:", info->page_tables);
	fprintf(out, "VmallocTotal:   %8" PRIu64 " kB\n", info->vmalloc_total);
	line(out, "VmallocUsed:", info->vmalloc_used);
	line(out, "VmallocChunk:", 0);
	line(out, "Percpu:", info->percpu);
}
