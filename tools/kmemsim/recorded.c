/* SPDX-License-Identifier: MIT
 *
 * recorded.c - settings from a recording's own facts (interface: recorded.h).
 */
#include "tools/kmemsim/recorded.h"

#include "models/page_allocator/memory_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Pages of 2 MiB, which PAE has: HPAGE_PMD_ORDER. Without it they are of 4 MiB. */
#define PAGEBLOCK_ORDER_PAE 9u
/* More than this is not guessed to make room for a kernel; each CPU keeps less than 1 MiB. */
#define GUESSED_MEMORY_MAX ((uint64_t)4 << 30)
/* Memory that the highest frame seen stands for ends at a multiple of the largest block, 2^10 frames. */
#define LARGEST_BLOCK (1u << (ORDERS - 1))

static bool read_fact(const struct trace *trace, const char *name, struct procfs_memory *memory,
                      bool (*read)(struct procfs_memory *, const char *, const char *, size_t, struct error *),
                      struct error *error)
{
	const struct trace_fact *fact = trace_fact_named(trace, name);
	return !fact || fact->length == 0 || read(memory, fact->name, fact->text, fact->length, error);
}

/* Memory up to the last frame that a zoneinfo knows, and what of it the page allocator does not manage. */
static void memory_from_zoneinfo(const struct procfs_memory *memory, struct settings *settings)
{
	uint64_t end_pfn = 0, managed = 0, present = 0;
	for (unsigned index = 0; index < memory->count; index++) {
		const struct zone_view *zone = &memory->zones[index];
		managed += zone->managed;
		present += zone->present;
		if (zone->spanned && zone->start_pfn + zone->spanned > end_pfn)
			end_pfn = zone->start_pfn + zone->spanned;
	}
	if (end_pfn <= managed)
		return;
	if (settings->machine.memory_bytes == 0)
		settings->machine.memory_bytes = end_pfn << PAGE_SHIFT;
	/* What the recorded kernel kept to itself says something only of a machine of the same size. */
	if (settings->kernel.reserved_bytes == 0 && settings->machine.memory_bytes == end_pfn << PAGE_SHIFT)
		settings->kernel.reserved_bytes = (present - managed) << PAGE_SHIFT;
}

static uint64_t free_pages(const struct procfs_memory *memory)
{
	uint64_t pages = 0;
	for (unsigned index = 0; index < memory->count; index++)
		for (unsigned order = 0; order < ORDERS; order++)
			for (unsigned type = 0; type < MIGRATE_TYPES; type++)
				pages += memory->zones[index].free_blocks[order][type] << order;
	return pages;
}

static bool has_room(const struct settings *settings, uint64_t memory_bytes, unsigned cpus)
{
	struct settings tried = *settings;
	struct memory_map map;
	struct error none = {0};
	tried.machine.memory_bytes = memory_bytes;
	return memory_map_describe(&map, &tried, cpus, &none);
}

/* The recorded kernel had room for itself, though no frame beyond may have been seen. */
static void leave_room_for_kernel(struct settings *settings)
{
	uint64_t bytes = settings->machine.memory_bytes;
	while (bytes <= GUESSED_MEMORY_MAX && !has_room(settings, bytes, settings->machine.cpus))
		bytes *= 2;
	if (bytes <= GUESSED_MEMORY_MAX)
		settings->machine.memory_bytes = bytes;
}

/* What was free must have been there, and so must the highest frame. */
static void memory_from_frames(const struct procfs_memory *memory, uint64_t end_pfn, struct settings *settings)
{
	uint64_t pages = memory->has_buddyinfo ? free_pages(memory) : 0;
	if (pages < end_pfn)
		pages = end_pfn;
	pages = (pages + LARGEST_BLOCK - 1) / LARGEST_BLOCK * LARGEST_BLOCK;
	settings->machine.memory_bytes = pages << PAGE_SHIFT;
	leave_room_for_kernel(settings);
}

/* The mode of a recorded x86-32 kernel, where something tells of PAE. */
static bool paging_from_pageblocks(const struct trace *trace, struct settings *settings, struct error *error)
{
	struct procfs_memory memory = {0};
	if (settings->machine.architecture != ARCHITECTURE_X86_32 || strcmp(settings->machine.paging, PAGING_AUTO) != 0)
		return true;
	if (!read_fact(trace, "pagetypeinfo", &memory, procfs_read_pagetypeinfo, error))
		return false;
	if (memory.has_pagetypeinfo && memory.pageblock_order == PAGEBLOCK_ORDER_PAE) {
		free(settings->machine.paging);
		settings->machine.paging = xstrdup("x86_pae");
	}
	return true;
}

bool recorded_kernel(const struct trace *trace, struct settings *settings, struct error *error)
{
	struct kernel_settings *kernel = &settings->kernel;
	struct procfs_memory memory = {0};
	if (!read_fact(trace, "pagetypeinfo", &memory, procfs_read_pagetypeinfo, error) ||
	    !read_fact(trace, "zoneinfo", &memory, procfs_read_zoneinfo, error))
		return false;
	free(kernel->name);
	kernel->name = xstrdup(RECORDED_KERNEL);
	if (memory.has_pagetypeinfo) {
		kernel->pageblock_order = memory.pageblock_order;
		/* Blocks of order 9 come from huge pages, which also give order 9 a list per CPU. */
		kernel->transparent_hugepage = memory.pageblock_order < ORDERS - 1;
	}
	const struct zone_view *high = procfs_zone(&memory, 0, "HighMem");
	if (high && high->spanned)
		kernel->lowmem_bytes = high->start_pfn << PAGE_SHIFT;
	const struct trace_fact *slabinfo = trace_fact_named(trace, "slabinfo");
	if (slabinfo)
		kernel->memcg_kmem = memmem(slabinfo->text, slabinfo->length, "\nkmalloc-cg-", 12) != NULL;
	/* The recording's caches are those that the recorded kernel kept apart. */
	kernel->slab_merge = false;
	if (trace_info(trace)->page_struct_bytes)
		kernel->page_struct_bytes = trace_info(trace)->page_struct_bytes;
	return true;
}

static unsigned cpus_of(const struct trace_info *info)
{
	return info->cpus < CPUS_MAX ? info->cpus : CPUS_MAX;
}

bool recorded_complete(const struct trace *trace, struct settings *settings, struct error *error)
{
	const struct trace_info *info = trace_info(trace);
	struct procfs_memory memory = {0};
	if (!read_fact(trace, "zoneinfo", &memory, procfs_read_zoneinfo, error) ||
	    !read_fact(trace, "buddyinfo", &memory, procfs_read_buddyinfo, error))
		return false;
	if (settings->machine.architecture == ARCHITECTURE_AUTO)
		settings->machine.architecture = info->pointer_bits == 32 ? ARCHITECTURE_X86_32 : ARCHITECTURE_X86_64;
	if (!paging_from_pageblocks(trace, settings, error))
		return false;
	if (settings->machine.cpus == 0)
		settings->machine.cpus = cpus_of(info);
	if (memory.has_zoneinfo)
		memory_from_zoneinfo(&memory, settings);
	if (settings->machine.memory_bytes == 0 && (info->end_pfn || memory.has_buddyinfo))
		memory_from_frames(&memory, info->end_pfn, settings);
	if (settings->machine.memory_bytes == 0)
		return error_set(error, ERROR_USAGE,
		                 "%s: neither a zoneinfo or buddyinfo beside the recording nor a page event tells the memory's "
		                 "size; say it: "
		                 "--set memory=SIZE",
		                 info->source);
	return true;
}

/* The line of the first op of that CPU or one above; 0: no op is, or the recording is damaged. */
static uint64_t line_of_cpu(struct trace *trace, unsigned cpu)
{
	struct op batch[256];
	struct error none = {0};
	size_t count;
	while (trace_next(trace, batch, sizeof batch / sizeof *batch, &count, &none) && count > 0)
		for (size_t i = 0; i < count; i++)
			if (batch[i].cpu >= cpu)
				return batch[i].line;
	return 0;
}

void recorded_blame_cpus(struct trace *trace, const struct settings *settings, struct error *error)
{
	const struct trace_info *info = trace_info(trace);
	const struct error told = *error;
	uint64_t memory = settings->machine.memory_bytes;
	if (settings->machine.cpus != cpus_of(info) || has_room(settings, memory, settings->machine.cpus) ||
	    !has_room(settings, memory, 1))
		return;
	uint64_t line = line_of_cpu(trace, settings->machine.cpus - 1);
	*error = (struct error){0};
	if (line)
		error_set(error, told.kind, "%s (%s:%" PRIu64 " is of CPU %u or above)", told.text, info->source, line,
		          settings->machine.cpus - 1);
	else
		error_set(error, told.kind, "%s (%s tells of %" PRIu32 " CPUs)", told.text, info->source, info->cpus);
}

bool recorded_slabs_read(const struct trace *trace, struct procfs_slabinfo *slabs, struct error *error)
{
	*slabs = (struct procfs_slabinfo){0};
	const struct trace_fact *fact = trace_fact_named(trace, "slabinfo.after");
	/* A SLOB kernel has no slabinfo, and copying what is not there leaves an empty file. */
	return !fact || fact->length == 0 || procfs_read_slabinfo(slabs, fact->name, fact->text, fact->length, error);
}
