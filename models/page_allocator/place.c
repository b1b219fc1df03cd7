/* SPDX-License-Identifier: MIT
 *
 * place.c - a start state from counts alone: /proc/buddyinfo, with pagetypeinfo and zoneinfo where there are any.
 *
 * The files say how many free blocks of each order and type a zone has, not where. Blocks are placed from the highest order down,
 * each at a random place of its zone that is aligned, still unused, and whose buddy is not a free block of the same order (the
 * two would be one). What is neither free nor placed is in use, by nobody the run knows.
 *
 * MODEL: positions and list order are a seeded draw; each pageblock has the type of the first block placed in it, the rest are
 * MOVABLE; per-CPU lists start empty. Effect: addresses mean nothing, and how fast free blocks merge again depends on the draw.
 * MODEL: without zoneinfo a zone lies where x86-64 puts it (DMA below 16 MiB, DMA32 below 4 GiB, Normal above; with a HighMem or
 * machine.architecture x86-32 as that does), and the last one ends with machine.memory or, where that is smaller than what is
 * free, at twice the free frames; the rest of its numbers are computed from that, as at boot.
 */
#include "models/page_allocator/buddy.h"

#include "sim/procfs.h"
#include "sim/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Random places that are tried before the zone is searched from a random place on. */
#define TRIES 64

/* arch/x86: MAX_DMA_PFN, MAX_DMA32_PFN */
#define DMA_END_PFN (16u << (20 - PAGE_SHIFT))
#define DMA32_END_PFN (1u << (32 - PAGE_SHIFT))

static uint64_t free_frames(const struct zone_view *view)
{
	uint64_t frames = 0;
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++)
			frames += view->free_blocks[order][type] << order;
	return frames;
}

static bool kind_of(const char *name, enum zone_kind *kind)
{
	static const char *const names[ZONE_KINDS] = {"DMA", "DMA32", "Normal", "HighMem", "Movable"};
	for (unsigned i = 0; i < ZONE_KINDS; i++)
		if (strcmp(name, names[i]) == 0) {
			*kind = (enum zone_kind)i;
			return true;
		}
	return false;
}

/* The frames a zone may lie in if no zoneinfo says so. */
static void zone_bounds(enum zone_kind kind, bool is_32bit, const struct settings *settings, uint64_t *start, uint64_t *end)
{
	uint64_t lowmem_end = settings_layout_32bit(settings).lowmem_bytes >> PAGE_SHIFT;
	*start = kind == ZONE_DMA ? 1 : kind == ZONE_HIGHMEM ? lowmem_end : DMA_END_PFN;
	*end = kind == ZONE_DMA ? DMA_END_PFN : kind == ZONE_DMA32 ? DMA32_END_PFN : UINT32_MAX;
	if (is_32bit)
		*end = kind == ZONE_NORMAL ? lowmem_end : *end;
	else if (kind == ZONE_NORMAL)
		*start = DMA32_END_PFN;
}

static void guess_place(struct zone_spec *spec, const struct zone_view *view, bool is_32bit, const struct settings *settings)
{
	uint64_t room = 2 * free_frames(view), end = settings->machine.memory_bytes >> PAGE_SHIFT, start, limit;
	zone_bounds(spec->kind, is_32bit, settings, &start, &limit);
	if (end < start + room)
		end = (start + room + BLOCK_MAX_FRAMES) & ~(uint64_t)(BLOCK_MAX_FRAMES - 1);
	if (end > limit)
		end = limit;
	spec->start_pfn = (uint32_t)start;
	spec->spanned = (uint32_t)(end - start);
	spec->present = spec->managed = spec->spanned;
}

/* HighMem is there only where the kernel cannot map everything. */
static bool is_of_32bit(const struct procfs_memory *memory, const struct settings *settings)
{
	return settings->machine.architecture == ARCHITECTURE_X86_32 || procfs_zone(memory, 0, "HighMem");
}

static bool describe_zone(struct zone_spec *spec, const struct zone_view *view, const struct procfs_memory *memory,
                          const struct settings *settings, struct error *error)
{
	*spec = (struct zone_spec){.node = view->node};
	snprintf(spec->name, sizeof spec->name, "%s", view->name);
	if (!kind_of(view->name, &spec->kind))
		return error_set(error, ERROR_INPUT, "start: zone name \"%s\"; expected DMA, DMA32, Normal, HighMem or Movable",
		                 view->name);
	if (!memory->has_zoneinfo) {
		guess_place(spec, view, is_of_32bit(memory, settings), settings);
	} else {
		if (view->start_pfn + view->spanned > UINT32_MAX)
			return error_set(error, ERROR_INPUT, "start: zone %s ends beyond 16 TiB", view->name);
		spec->start_pfn = (uint32_t)view->start_pfn;
		spec->spanned = (uint32_t)view->spanned;
		spec->present = view->present;
		spec->managed = view->managed;
	}
	if (free_frames(view) > spec->managed)
		return error_set(error, ERROR_INPUT, "start: zone %s has %llu free frames but only %llu in all", view->name,
		                 (unsigned long long)free_frames(view), (unsigned long long)spec->managed);
	return true;
}

static bool describe(struct buddy_spec *spec, const struct procfs_memory *memory, const struct settings *settings,
                     struct error *error)
{
	*spec = (struct buddy_spec){.pageblock_order = settings->kernel.pageblock_order,
	                            .cpus = settings->machine.cpus ? settings->machine.cpus : 1,
	                            .transparent_hugepage = settings->kernel.transparent_hugepage,
	                            .movable_is_lru = true,
	                            .watermark_boost_factor = settings->kernel.watermark_boost_factor,
	                            .zone_count = memory->count};
	uint64_t lowmem = 0;
	for (unsigned i = 0; i < memory->count; i++) {
		struct zone_spec *zone = &spec->zones[i];
		if (memory->zones[i].node > 0)
			return error_set(error, ERROR_USAGE, "start: memory of node %u; only one node can be started from",
			                 memory->zones[i].node);
		if (!describe_zone(zone, &memory->zones[i], memory, settings, error))
			return false;
		zone->index = i;
		if (i >= LOWMEM_RESERVE_ZONES)
			return error_set(error, ERROR_USAGE, "start: more than %d zones", LOWMEM_RESERVE_ZONES);
		lowmem += zone->kind == ZONE_HIGHMEM || zone->kind == ZONE_MOVABLE ? 0 : zone->managed;
	}
	/* The struct pages lie at the end of memory: what is missing in zone 0 was reserved before them. */
	if (!is_of_32bit(memory, settings) && spec->zone_count > 0)
		spec->dma_reserve = (uint32_t)(spec->zones[0].present - spec->zones[0].managed);
	struct zone_tuning tuning = zone_tuning_of(settings, spec->cpus);
	if (!tuning.min_free_kbytes)
		tuning.min_free_kbytes = min_free_kbytes_of(lowmem);
	zones_set_limits(spec->zones, spec->zone_count, &tuning);
	return true;
}

/* Whether the block's buddy is a free block of its order. */
static bool buddy_is_free(struct buddy *buddy, const struct zone *zone, uint32_t nr, unsigned order)
{
	uint32_t other = nr ^ 1u << order;
	if (order == ORDERS - 1 || other < zone->start_pfn || other >= zone->end_pfn)
		return false;
	const struct frame *frame = frame_at(buddy, other);
	return frame->state == FRAME_BUDDY && frame->order == order;
}

static bool try_place(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type)
{
	struct error taken = {0};
	return nr >= zone->start_pfn && !buddy_is_free(buddy, zone, nr, order) &&
	       buddy_place_free(buddy, zone, nr, order, type, &taken);
}

static bool place_one(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, struct rng *rng)
{
	uint32_t first = zone->start_pfn >> order, slots = (zone->end_pfn >> order) - first;
	if (slots == 0)
		return false;
	for (unsigned tries = 0; tries < TRIES; tries++)
		if (try_place(buddy, zone, (first + rng_below(rng, slots)) << order, order, type))
			return true;
	uint32_t from = rng_below(rng, slots);
	for (uint32_t i = 0; i < slots; i++)
		if (try_place(buddy, zone, (first + (from + i) % slots) << order, order, type))
			return true;
	return false;
}

static bool place_zone(struct buddy *buddy, struct zone *zone, const struct zone_view *view, struct rng *rng, struct error *error)
{
	for (uint64_t nr = zone->start_pfn; nr < zone->end_pfn; nr = (nr | (pageblock_frames(buddy) - 1)) + 1)
		buddy_place_pageblock(buddy, zone, (uint32_t)nr, MIGRATE_MOVABLE);
	for (unsigned order = ORDERS; order-- > 0;)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++)
			for (uint64_t i = 0; i < view->free_blocks[order][type]; i++)
				if (!place_one(buddy, zone, order, type, rng))
					return error_set(error, ERROR_INPUT,
					                 "start: zone %s has no room for %llu free blocks of order %u",
					                 zone->name, (unsigned long long)view->free_blocks[order][type], order);
	return true;
}

struct page_allocator *buddy_place_counts(const struct procfs_memory *memory, const struct page_allocator_wiring *wiring,
                                          struct error *error)
{
	struct buddy_spec *spec = xcalloc(1, sizeof *spec);
	struct buddy *buddy = describe(spec, memory, wiring->settings, error) ? buddy_empty(spec, wiring, error) : NULL;
	free(spec);
	if (!buddy)
		return NULL;
	struct rng rng;
	rng_init(&rng, wiring->seed, "start");
	bool placed = true;
	for (unsigned i = 0; placed && i < memory->count; i++)
		placed = place_zone(buddy, &buddy->zones[i], &memory->zones[i], &rng, error);
	if (placed && buddy_start(buddy, error))
		return &buddy->port;
	buddy_destroy(&buddy->port);
	return NULL;
}
