/* SPDX-License-Identifier: MIT
 *
 * state.c - the buddy model in a recorded state (sim/state_dump.h), and the comparison of a model with a recorded state.
 *
 * Everything is taken from the dump: zones, watermarks, pageblock types, free lists and per-CPU lists in order, what each CPU
 * holds back of the statistics. Frames that are neither free nor on a per-CPU list are in use; their blocks are not known
 * until buddy_adopt() names them.
 *
 * MODEL: a dump does not say to which type a page on a per-CPU list goes back: the list's, or HIGHATOMIC for a page of a
 * HIGHATOMIC pageblock on a movable list. Effect: wrong for pages whose pageblock changed type between their free and the dump.
 */
#include "models/page_allocator/buddy.h"

#include "sim/state_dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool kind_of_name(const char *name, enum zone_kind *kind)
{
	static const char *const names[ZONE_KINDS] = {"DMA", "DMA32", "Normal", "HighMem", "Movable"};
	for (unsigned i = 0; i < ZONE_KINDS; i++)
		if (strcmp(name, names[i]) == 0) {
			*kind = (enum zone_kind)i;
			return true;
		}
	return false;
}

static bool describe_zone(struct zone_spec *spec, const struct state_zone *zone, struct error *error)
{
	*spec = (struct zone_spec){.index = zone->index,
	                           .start_pfn = zone->start_pfn,
	                           .present = zone->present,
	                           .managed = zone->managed,
	                           .watermark = {zone->watermark_min, zone->watermark_low, zone->watermark_high},
	                           .pcp_high = zone->pcp_high,
	                           .pcp_batch = zone->pcp_batch,
	                           .stat_threshold = zone->threshold[0]};
	memcpy(spec->name, zone->name, sizeof spec->name);
	for (uint32_t i = 0; i < zone->lowmem_reserves && i < LOWMEM_RESERVE_ZONES; i++)
		spec->lowmem_reserve[i] = zone->lowmem_reserve[i];
	if (!kind_of_name(zone->name, &spec->kind))
		return error_set(error, ERROR_INPUT,
		                 "state dump: zone name \"%s\"; expected DMA, DMA32, Normal, HighMem or Movable", zone->name);
	if (zone->spanned > UINT32_MAX)
		return error_set(error, ERROR_INPUT, "state dump: zone %s spans %llu frames", zone->name,
		                 (unsigned long long)zone->spanned);
	spec->spanned = (uint32_t)zone->spanned;
	return true;
}

static bool describe(struct buddy_spec *spec, const struct state_dump *dump, const struct settings *settings, struct error *error)
{
	if (!dump->memory.known)
		return error_set(error, ERROR_INPUT, "state dump \"%s\" of line %llu: no @MEM line", dump->tag,
		                 (unsigned long long)dump->line);
	spec->pageblock_order = dump->memory.pageblock_order;
	spec->watermark_boost_factor = settings->kernel.watermark_boost_factor;
	spec->transparent_hugepage = settings->kernel.transparent_hugepage;
	for (size_t i = 0; i < dump->pcp_list_count; i++)
		spec->transparent_hugepage |= dump->pcp_lists[i].list >= PCP_LISTS_LOW;
	for (unsigned i = 0; i < STATE_ZONES_MAX; i++) {
		if (!dump->zones[i].known)
			continue;
		if (dump->zones[i].cpus > spec->cpus)
			spec->cpus = dump->zones[i].cpus;
		if (!describe_zone(&spec->zones[spec->zone_count++], &dump->zones[i], error))
			return false;
	}
	return true;
}

/* The model's zone of a zone number of the dump, NULL if it has none. */
static struct zone *zone_numbered(struct buddy *buddy, uint32_t index)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (buddy->zones[i].index == index)
			return &buddy->zones[i];
	return NULL;
}

static bool no_zone(const struct state_dump *dump, uint32_t index, struct error *error)
{
	return error_set(error, ERROR_INPUT, "state dump \"%s\" of line %llu: a list of zone %u, which has no @ZONE line",
	                 dump->tag, (unsigned long long)dump->line, index);
}

static bool place_pageblocks(struct buddy *buddy, const struct state_dump *dump, struct error *error)
{
	for (size_t i = 0; i < dump->pageblocks_count; i++) {
		const struct state_pageblocks *blocks = &dump->pageblocks[i];
		struct zone *zone = zone_numbered(buddy, blocks->zone);
		if (!zone)
			return no_zone(dump, blocks->zone, error);
		uint64_t first = blocks->first_pfn >> buddy->pageblock_order;
		if (blocks->count && (first < zone->start_pfn >> buddy->pageblock_order || zone->end_pfn == zone->start_pfn ||
		                      first + blocks->count - 1 > (zone->end_pfn - 1) >> buddy->pageblock_order))
			return error_set(error, ERROR_INPUT, "state dump: pageblocks from frame %x on are not in zone %s",
			                 blocks->first_pfn, zone->name);
		for (size_t j = 0; j < blocks->count; j++) {
			uint8_t type = dump->types[blocks->first + j];
			if (type == STATE_NO_PAGEBLOCK)
				type = PAGEBLOCK_ABSENT;
			else if (type >= MIGRATE_TYPES)
				return error_set(error, ERROR_INPUT, "state dump: pageblock type %u; expected 0..%u", type,
				                 MIGRATE_TYPES - 1);
			buddy_place_pageblock(buddy, zone, (uint32_t)((first + j) << buddy->pageblock_order), type);
		}
	}
	return true;
}

static bool place_free_lists(struct buddy *buddy, const struct state_dump *dump, struct error *error)
{
	for (size_t i = 0; i < dump->free_list_count; i++) {
		const struct state_list *list = &dump->free_lists[i];
		struct zone *zone = zone_numbered(buddy, list->zone);
		if (!zone)
			return no_zone(dump, list->zone, error);
		for (size_t j = 0; j < list->count; j++)
			if (!buddy_place_free(buddy, zone, dump->pfns[list->first + j], list->order, list->type, error))
				return false;
	}
	return true;
}

static bool place_pcp_list(struct buddy *buddy, struct zone *zone, const struct state_dump *dump, const struct state_list *list,
                           struct error *error)
{
	bool movable = list->list < PCP_LISTS_LOW ? list->list % MIGRATE_PCPTYPES == MIGRATE_MOVABLE : list->list > PCP_LISTS_LOW;
	for (size_t j = 0; j < list->count; j++) {
		uint32_t nr = dump->pfns[list->first + j];
		unsigned type = movable ? MIGRATE_MOVABLE : MIGRATE_UNMOVABLE;
		if (list->list < PCP_LISTS_LOW)
			type = list->list % MIGRATE_PCPTYPES;
		else if (!movable && zone_spans(zone, nr))
			type = pageblock_type(buddy, zone, nr) == MIGRATE_RECLAIMABLE ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
		if (movable && zone_spans(zone, nr) && pageblock_type(buddy, zone, nr) == MIGRATE_HIGHATOMIC)
			type = MIGRATE_HIGHATOMIC;
		if (!buddy_place_pcp(buddy, zone, list->cpu, list->list, nr, type, error))
			return false;
	}
	return true;
}

static bool place_pcp(struct buddy *buddy, const struct state_dump *dump, struct error *error)
{
	for (size_t i = 0; i < dump->pcp_list_count; i++) {
		struct zone *zone = zone_numbered(buddy, dump->pcp_lists[i].zone);
		if (!zone)
			return no_zone(dump, dump->pcp_lists[i].zone, error);
		if (!place_pcp_list(buddy, zone, dump, &dump->pcp_lists[i], error))
			return false;
	}
	for (size_t i = 0; i < dump->pcp_count; i++) {
		const struct state_pcp *one = &dump->pcps[i];
		struct zone *zone = zone_numbered(buddy, one->zone);
		if (!zone || one->cpu >= buddy->cpus)
			return no_zone(dump, one->zone, error);
		struct pcp *pcp = &zone->pcp[one->cpu];
		if (pcp->count != one->count)
			return error_set(error, ERROR_INPUT,
			                 "state dump: CPU %u of zone %s has count=%u, but %u frames on its lists", one->cpu,
			                 zone->name, one->count, pcp->count);
		pcp->high = one->high;
		pcp->batch = one->batch ? one->batch : 1; /* a drain of nothing at a time would never end */
		pcp->free_factor = one->free_factor > PCP_BATCH_SCALE_MAX ? PCP_BATCH_SCALE_MAX : one->free_factor;
	}
	return true;
}

static bool place_numbers(struct buddy *buddy, const struct state_dump *dump, struct error *error)
{
	for (unsigned i = 0; i < STATE_ZONES_MAX; i++) {
		const struct state_zone *from = &dump->zones[i];
		struct zone *zone = from->known ? zone_numbered(buddy, i) : NULL;
		if (!zone)
			continue;
		int64_t sum = from->nr_free;
		for (uint32_t cpu = 0; cpu < from->cpus; cpu++) {
			zone->pcp[cpu].stat_threshold = from->threshold[cpu];
			zone->pcp[cpu].free_pages_delta = from->diff[cpu];
			sum += from->diff[cpu];
			if (from->threshold[cpu] < 0 || from->diff[cpu] > from->threshold[cpu] ||
			    -from->diff[cpu] > from->threshold[cpu])
				return error_set(error, ERROR_INPUT, "state dump: zone %s: diff%u=%d is beyond thr%u=%d",
				                 zone->name, cpu, from->diff[cpu], cpu, from->threshold[cpu]);
		}
		if (sum != zone->free_pages)
			return error_set(error, ERROR_INPUT,
			                 "state dump: zone %s counts %lld free frames, but its lists hold %lld", zone->name,
			                 (long long)sum, (long long)zone->free_pages);
		zone->free_pages = from->nr_free;
		zone->watermark_boost = from->watermark_boost;
		zone->nr_reserved_highatomic = from->nr_reserved_highatomic;
		zone->boosted = from->flags >> ZONE_BOOSTED_WATERMARK_BIT & 1;
		zone->reclaim_active = from->flags >> ZONE_RECLAIM_ACTIVE_BIT & 1;
	}
	return true;
}

static void place_lru(struct buddy *buddy, const struct state_dump *dump)
{
	for (size_t i = 0; i < dump->map_count; i++) {
		const struct state_run *run = &dump->map[i];
		if (run->kind != 'a' && run->kind != 'l')
			continue;
		for (uint32_t nr = run->first; nr < run->first + run->count && nr < buddy->port.end_pfn; nr++)
			buddy_place_lru(buddy, nr);
	}
}

struct page_allocator *buddy_load(const struct state_dump *dump, const struct page_allocator_wiring *wiring, struct error *error)
{
	struct buddy_spec spec = {0};
	if (!describe(&spec, dump, wiring->settings, error))
		return NULL;
	struct buddy *buddy = buddy_empty(&spec, wiring, error);
	if (!buddy)
		return NULL;
	buddy->mobility_disabled = mobility_disabled(wiring->settings, dump->memory.mobility_off);
	place_lru(buddy, dump);
	if (place_pageblocks(buddy, dump, error) && place_free_lists(buddy, dump, error) && place_pcp(buddy, dump, error) &&
	    place_numbers(buddy, dump, error) && buddy_start(buddy, error))
		return &buddy->port;
	buddy_destroy(&buddy->port);
	return NULL;
}

/* A comparison under way: what was looked at, what was equal, and the first difference. */
struct comparison {
	const struct buddy *buddy;
	const struct state_dump *dump;
	uint64_t *compared, *equal;
	char *text;
	size_t size;
	bool told;
};

__attribute__((format(printf, 3, 4))) static void tell(struct comparison *comparison, bool equal, const char *format, ...)
{
	(*comparison->compared)++;
	*comparison->equal += equal;
	if (equal || comparison->told)
		return;
	comparison->told = true;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(comparison->text, comparison->size, format, arguments);
	va_end(arguments);
}

static void compare_number(struct comparison *comparison, const struct zone *zone, const char *name, int64_t expected,
                           int64_t got)
{
	tell(comparison, expected == got, "zone %s: %s: expected %lld, got %lld", zone->name, name, (long long)expected,
	     (long long)got);
}

/* A list of the model against one of the dump; `list` NULL stands for an empty one. */
static void compare_list(struct comparison *comparison, const struct zone *zone, const char *what, unsigned a, unsigned b,
                         uint32_t head, const struct state_list *list)
{
	const struct buddy *buddy = comparison->buddy;
	uint32_t nr = frame_at(buddy, head)->next;
	size_t count = list ? list->count : 0;
	for (size_t i = 0; i < count; i++, nr = frame_at(buddy, nr)->next) {
		uint32_t expected = comparison->dump->pfns[list->first + i];
		if (nr == expected)
			continue;
		tell(comparison, false, "zone %s: %s %u %u: place %zu: expected %x, got %x%s", zone->name, what, a, b, i,
		     expected, nr == head ? 0 : nr, nr == head ? " (the list ends)" : "");
		return;
	}
	tell(comparison, nr == head, "zone %s: %s %u %u: longer than %zu: then %x", zone->name, what, a, b, count, nr);
}

static const struct state_list *list_of(const struct state_list *lists, size_t count, const struct state_list *like)
{
	for (size_t i = 0; i < count; i++)
		if (lists[i].zone == like->zone && lists[i].order == like->order && lists[i].type == like->type &&
		    lists[i].cpu == like->cpu && lists[i].list == like->list)
			return &lists[i];
	return NULL;
}

static void compare_free_lists(struct comparison *comparison, const struct zone *zone)
{
	for (unsigned order = 0; order < ORDERS; order++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++) {
			struct state_list like = {.zone = zone->index, .order = order, .type = type};
			compare_list(comparison, zone, "free list (order, type)", order, type, list_head_of(zone, order, type),
			             list_of(comparison->dump->free_lists, comparison->dump->free_list_count, &like));
		}
}

static void compare_pcp(struct comparison *comparison, const struct zone *zone, const struct state_pcp *expected)
{
	const struct pcp *pcp = &zone->pcp[expected->cpu];
	compare_number(comparison, zone, "pcp count", expected->count, pcp->count);
	compare_number(comparison, zone, "pcp high", expected->high, pcp->high);
	compare_number(comparison, zone, "pcp batch", expected->batch, pcp->batch);
	compare_number(comparison, zone, "pcp free_factor", expected->free_factor, pcp->free_factor);
	for (unsigned pindex = 0; pindex < pcp_lists(comparison->buddy); pindex++) {
		struct state_list like = {.zone = zone->index, .cpu = expected->cpu, .list = pindex};
		compare_list(comparison, zone, "per-CPU list (cpu, list)", expected->cpu, pindex, pcp->lists + pindex,
		             list_of(comparison->dump->pcp_lists, comparison->dump->pcp_list_count, &like));
	}
}

static void compare_pageblocks(struct comparison *comparison, const struct zone *zone, const struct state_pageblocks *blocks)
{
	const uint8_t *types = &comparison->dump->types[blocks->first];
	for (size_t i = 0; i < blocks->count; i++) {
		uint64_t nr = blocks->first_pfn + ((uint64_t)i << comparison->buddy->pageblock_order);
		uint64_t last = nr + pageblock_frames(comparison->buddy) - 1;
		if (last < zone->start_pfn || nr >= zone->end_pfn || types[i] == STATE_NO_PAGEBLOCK ||
		    pageblock_type(comparison->buddy, zone, (uint32_t)nr) == types[i])
			continue;
		tell(comparison, false, "zone %s: pageblock of frame %llx: expected type %u, got %u", zone->name,
		     (unsigned long long)nr, types[i], pageblock_type(comparison->buddy, zone, (uint32_t)nr));
		return;
	}
	tell(comparison, true, "equal");
}

static void compare_numbers(struct comparison *comparison, const struct zone *zone, const struct state_zone *expected)
{
	compare_number(comparison, zone, "watermark boost", (int64_t)expected->watermark_boost, (int64_t)zone->watermark_boost);
	compare_number(comparison, zone, "highatomic reserve", (int64_t)expected->nr_reserved_highatomic,
	               (int64_t)zone->nr_reserved_highatomic);
	compare_number(comparison, zone, "zone flags", (int64_t)expected->flags,
	               zone->boosted << ZONE_BOOSTED_WATERMARK_BIT | zone->reclaim_active << ZONE_RECLAIM_ACTIVE_BIT);
	compare_number(comparison, zone, "nr_free_pages", expected->nr_free, zone->free_pages);
	for (uint32_t cpu = 0; cpu < expected->cpus && cpu < comparison->buddy->cpus; cpu++)
		compare_number(comparison, zone, "nr_free_pages of a CPU", expected->diff[cpu], zone->pcp[cpu].free_pages_delta);
}

void buddy_compare(const struct page_allocator *pages, const struct state_dump *dump, uint64_t *compared, uint64_t *equal,
                   char *text, size_t size)
{
	struct comparison comparison = {
	        .buddy = buddy_const(pages), .dump = dump, .compared = compared, .equal = equal, .text = text, .size = size};
	for (unsigned i = 0; i < comparison.buddy->zone_count; i++) {
		const struct zone *zone = &comparison.buddy->zones[i];
		if (!dump->zones[zone->index].known || !zone->present)
			continue;
		compare_free_lists(&comparison, zone);
		for (size_t j = 0; j < dump->pcp_count; j++)
			if (dump->pcps[j].zone == zone->index && dump->pcps[j].cpu < comparison.buddy->cpus)
				compare_pcp(&comparison, zone, &dump->pcps[j]);
		for (size_t j = 0; j < dump->pageblocks_count; j++)
			if (dump->pageblocks[j].zone == zone->index)
				compare_pageblocks(&comparison, zone, &dump->pageblocks[j]);
		compare_numbers(&comparison, zone, &dump->zones[zone->index]);
	}
}

unsigned buddy_take_folds(struct page_allocator *pages, const struct state_dump *dump)
{
	struct buddy *buddy = buddy_of(pages);
	unsigned changed = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		struct zone *zone = &buddy->zones[i];
		const struct state_zone *from = &dump->zones[zone->index];
		int64_t have = zone->free_pages, want = from->nr_free;
		for (uint32_t cpu = 0; cpu < buddy->cpus && cpu < from->cpus; cpu++) {
			have += zone->pcp[cpu].free_pages_delta;
			want += from->diff[cpu];
		}
		if (!from->known || have != want || from->cpus != buddy->cpus)
			continue;
		changed += zone->free_pages != from->nr_free;
		zone->free_pages = from->nr_free;
		for (uint32_t cpu = 0; cpu < buddy->cpus; cpu++) {
			changed += zone->pcp[cpu].free_pages_delta != from->diff[cpu];
			zone->pcp[cpu].free_pages_delta = from->diff[cpu];
		}
	}
	return changed;
}
