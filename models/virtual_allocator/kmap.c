/* SPDX-License-Identifier: MIT
 *
 * kmap.c - permanent and local mappings of high memory (interface and rules: kmap.h).
 */
#include "models/virtual_allocator/kmap.h"

#include <stdlib.h>

const struct metric kmap_metrics[] = {
        METRIC(struct kmap_counters, kmaps, "1", "Calls of kmap for pages of high memory that got an address"),
        METRIC(struct kmap_counters, kunmaps, "1", "Calls of kunmap for such pages"),
        METRIC(struct kmap_counters, waits, "1", "Calls of kmap that found every slot in use"),
        METRIC(struct kmap_counters, new_mappings, "1", "Calls of kmap that took a new slot"),
        METRIC(struct kmap_counters, flushes, "1", "Flushes of all CPUs' TLBs when the search came round"),
        METRIC(struct kmap_counters, dropped_mappings, "1", "Mappings without users that were dropped there"),
        METRIC(struct kmap_counters, local_maps, "1", "Local slots taken"),
        METRIC(struct kmap_counters, local_unmaps, "1", "Local slots given back"),
        METRIC(struct kmap_counters, wrong_unmaps, "1", "Unmaps of what is not mapped, or out of order"),
        METRIC_END};

void kmap_init(struct kmap *kmap, const struct kmap_spec *spec)
{
	SIM_ASSERT(spec->last_pkmap >= 2 && spec->last_pkmap <= LAST_PKMAP && !(spec->last_pkmap & (spec->last_pkmap - 1)));
	SIM_ASSERT(spec->cpus >= 1 && spec->cpus <= CPUS_MAX && spec->highmem_pfn <= spec->end_pfn);
	*kmap = (struct kmap){
	        .spec = *spec,
	        .pkmap_count = xcalloc(spec->last_pkmap, sizeof *kmap->pkmap_count),
	        .pkmap_frame = xcalloc(spec->last_pkmap, sizeof *kmap->pkmap_frame),
	        .slot_of = lazy_alloc(spec->end_pfn - spec->highmem_pfn + 1, sizeof *kmap->slot_of),
	};
}

void kmap_release(struct kmap *kmap)
{
	free(kmap->pkmap_count);
	free(kmap->pkmap_frame);
	lazy_free(kmap->slot_of, kmap->spec.end_pfn - kmap->spec.highmem_pfn + 1, sizeof *kmap->slot_of);
	*kmap = (struct kmap){0};
}

static bool is_lowmem(const struct kmap *kmap, pfn frame)
{
	SIM_ASSERT(frame.nr < kmap->spec.end_pfn);
	return frame.nr < kmap->spec.highmem_pfn;
}

static vaddr direct_address(const struct kmap *kmap, pfn frame)
{
	return vaddr_of(kmap->spec.direct_map + ((uint64_t)frame.nr << PAGE_SHIFT));
}

static uint16_t *slot_of(const struct kmap *kmap, uint32_t frame)
{
	return &kmap->slot_of[frame - kmap->spec.highmem_pfn];
}

static vaddr slot_address(const struct kmap *kmap, uint32_t slot)
{
	return vaddr_of(kmap->spec.pkmap_base + ((uint64_t)slot << PAGE_SHIFT));
}

/* flush_all_zero_pkmaps(): mappings without users go. */
static void flush_unused(struct kmap *kmap)
{
	uint64_t dropped = 0;
	for (uint32_t slot = 0; slot < kmap->spec.last_pkmap; slot++) {
		if (kmap->pkmap_count[slot] != 1)
			continue;
		kmap->pkmap_count[slot] = 0;
		*slot_of(kmap, kmap->pkmap_frame[slot]) = 0;
		dropped++;
	}
	kmap->counters.dropped_mappings += dropped;
	kmap->counters.flushes += dropped != 0;
}

/*
 * map_new_virtual(): the search begins behind the slot taken last, and looks at each slot once, or once more from slot 0 on if it
 * comes past it. False: all have users.
 */
static bool find_slot(struct kmap *kmap, uint32_t *slot)
{
	for (uint32_t left = kmap->spec.last_pkmap; left;) {
		kmap->last_pkmap_nr = (kmap->last_pkmap_nr + 1) & (kmap->spec.last_pkmap - 1);
		*slot = kmap->last_pkmap_nr;
		if (*slot == 0) {
			flush_unused(kmap);
			left = kmap->spec.last_pkmap;
		}
		if (!kmap->pkmap_count[*slot])
			return true;
		left--;
	}
	return false;
}

enum kmap_result kmap_page(struct kmap *kmap, pfn frame, vaddr *at)
{
	if (is_lowmem(kmap, frame)) {
		*at = direct_address(kmap, frame);
		return KMAP_OK;
	}
	uint16_t *known = slot_of(kmap, frame.nr);
	if (!*known) {
		uint32_t slot;
		if (!find_slot(kmap, &slot)) {
			kmap->counters.waits++;
			return KMAP_MUST_WAIT;
		}
		kmap->pkmap_count[slot] = 1;
		kmap->pkmap_frame[slot] = frame.nr;
		*known = (uint16_t)(slot + 1);
		kmap->counters.new_mappings++;
	}
	uint32_t slot = *known - 1u;
	kmap->pkmap_count[slot]++;
	kmap->counters.kmaps++;
	*at = slot_address(kmap, slot);
	return KMAP_OK;
}

enum kunmap_result kunmap_page(struct kmap *kmap, pfn frame)
{
	if (is_lowmem(kmap, frame))
		return KUNMAP_OK;
	uint16_t known = *slot_of(kmap, frame.nr);
	if (!known || kmap->pkmap_count[known - 1] < 2) {
		kmap->counters.wrong_unmaps++;
		return KUNMAP_NOT_MAPPED;
	}
	kmap->pkmap_count[known - 1]--;
	kmap->counters.kunmaps++;
	return KUNMAP_OK;
}

static vaddr local_address(const struct kmap *kmap, unsigned cpu, unsigned index)
{
	return vaddr_of(kmap->spec.fixmap_begin - ((uint64_t)(cpu * KM_MAX_IDX + index) << PAGE_SHIFT));
}

enum kmap_result kmap_local(struct kmap *kmap, pfn frame, unsigned cpu, vaddr *at)
{
	SIM_ASSERT(cpu < kmap->spec.cpus);
	if (is_lowmem(kmap, frame)) {
		*at = direct_address(kmap, frame);
		return KMAP_OK;
	}
	if (kmap->depth[cpu] + 1u >= KM_MAX_IDX)
		return KMAP_TOO_DEEP;
	*at = local_address(kmap, cpu, kmap->depth[cpu]++);
	kmap->counters.local_maps++;
	return KMAP_OK;
}

enum kunmap_result kunmap_local(struct kmap *kmap, vaddr at, unsigned cpu)
{
	SIM_ASSERT(cpu < kmap->spec.cpus);
	const struct kmap_spec *spec = &kmap->spec;
	uint64_t high = spec->direct_map + ((uint64_t)spec->highmem_pfn << PAGE_SHIFT);
	if (at.addr >= spec->direct_map && at.addr < high)
		return KUNMAP_OK;
	unsigned depth = kmap->depth[cpu];
	if (depth && local_address(kmap, cpu, depth - 1).addr == at.addr) {
		kmap->depth[cpu]--;
		kmap->counters.local_unmaps++;
		return KUNMAP_OK;
	}
	kmap->counters.wrong_unmaps++;
	for (unsigned index = 0; index < depth; index++)
		if (local_address(kmap, cpu, index).addr == at.addr)
			return KUNMAP_WRONG_ORDER;
	return KUNMAP_NOT_MAPPED;
}

void kmap_check(const struct kmap *kmap)
{
	const struct kmap_counters *counters = &kmap->counters;
	uint64_t mapped = 0, users = 0, depth = 0;
	for (uint32_t slot = 0; slot < kmap->spec.last_pkmap; slot++) {
		if (!kmap->pkmap_count[slot])
			continue;
		SIM_ASSERT(*slot_of(kmap, kmap->pkmap_frame[slot]) == slot + 1);
		mapped++;
		users += kmap->pkmap_count[slot] - 1;
	}
	for (unsigned cpu = 0; cpu < kmap->spec.cpus; cpu++)
		depth += kmap->depth[cpu];
	SIM_ASSERT(mapped == counters->new_mappings - counters->dropped_mappings);
	SIM_ASSERT(users == counters->kmaps - counters->kunmaps);
	SIM_ASSERT(depth == counters->local_maps - counters->local_unmaps);
}
