/* SPDX-License-Identifier: MIT
 *
 * kmap.c - permanent and local mappings of high memory (interface and rules: kmap.h).
 */
#include "models/virtual_allocator/kmap.h"

#include "models/settings.h"

#include <stdlib.h>
#include <string.h>

/* struct page_address_map: page, virtual, list. struct page_address_slot: a list head and its lock, on a line of its own. */
#define ADDRESS_MAP_BYTES 16u
#define ADDRESS_SLOT_BYTES 64u
#define ADDRESS_SLOT_LOCK 8u
#define WORD_BYTES 4u

/* GOLDEN_RATIO_32 of include/linux/hash.h */
#define GOLDEN_RATIO 0x61c88647u
#define PA_HASH_SHIFT 25u

const struct metric kmap_metrics[] = {
        METRIC(struct kmap_counters, kmaps, "1", "Calls of kmap for pages of high memory that got an address"),
        METRIC(struct kmap_counters, kunmaps, "1", "Calls of kunmap for such pages"),
        METRIC(struct kmap_counters, waits, "1", "Searches of kmap that found every slot in use"),
        METRIC(struct kmap_counters, new_mappings, "1", "Calls of kmap that took a new slot"),
        METRIC(struct kmap_counters, flushes, "1", "Flushes of all CPUs' TLBs when the search came round"),
        METRIC(struct kmap_counters, dropped_mappings, "1", "Mappings without users that were dropped there"),
        METRIC(struct kmap_counters, local_maps, "1", "Local slots taken"),
        METRIC(struct kmap_counters, local_unmaps, "1", "Local slots given back"),
        METRIC(struct kmap_counters, wrong_unmaps, "1", "Unmaps of what is not mapped, or out of order"),
        METRIC(struct kmap_counters, too_deep, "1",
               "Local mappings refused: as many were one inside the other as there are slots"),
        METRIC(struct kmap_counters, lowmem_maps, "1", "Mappings of pages that have a direct address"),
        METRIC(struct kmap_counters, lowmem_unmaps, "1", "Unmaps of such pages"),
        GAUGE(struct kmap_counters, peak_users, "1", "Most users of slots at once"),
        METRIC_END};

void kmap_init(struct kmap *kmap, const struct kmap_spec *spec, struct steps *steps)
{
	SIM_ASSERT(spec->last_pkmap >= 2 && spec->last_pkmap <= LAST_PKMAP && !(spec->last_pkmap & (spec->last_pkmap - 1)));
	SIM_ASSERT(spec->cpus >= 1 && spec->cpus <= CPUS_MAX && spec->highmem_pfn <= spec->end_pfn);
	*kmap = (struct kmap){
	        .spec = *spec,
	        .steps = steps,
	        .pkmap_count = xcalloc(spec->last_pkmap, sizeof *kmap->pkmap_count),
	        .pkmap_frame = xcalloc(spec->last_pkmap, sizeof *kmap->pkmap_frame),
	        .next = xcalloc(spec->last_pkmap, sizeof *kmap->next),
	};
}

void kmap_release(struct kmap *kmap)
{
	free(kmap->pkmap_count);
	free(kmap->pkmap_frame);
	free(kmap->next);
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

static vaddr slot_address(const struct kmap *kmap, uint32_t slot)
{
	return vaddr_of(kmap->spec.pkmap_base + ((uint64_t)slot << PAGE_SHIFT));
}

/* ---- steps ---- */

/* A field of one of its structures; arrays of several elements by index. */
static vaddr at(vaddr base, uint64_t offset)
{
	return vaddr_of(base.addr + offset);
}

static vaddr count_word(const struct kmap *kmap, uint32_t slot)
{
	return at(kmap->places.pkmap_count, slot * WORD_BYTES);
}

static vaddr table_entry(const struct kmap *kmap, uint32_t slot)
{
	return at(kmap->places.pkmap_table, (uint64_t)slot * kmap->places.pte_bytes);
}

static vaddr address_map(const struct kmap *kmap, uint32_t slot)
{
	return at(kmap->places.maps, slot * ADDRESS_MAP_BYTES);
}

static vaddr bucket_head(const struct kmap *kmap, uint32_t bucket)
{
	return at(kmap->places.hash, bucket * ADDRESS_SLOT_BYTES);
}

/* PageHighMem(): the zone in the page's flags. */
static void step_is_high(const struct kmap *kmap, pfn frame)
{
	if (kmap->is_32bit)
		step_read(kmap->steps, layout_struct_page(kmap->layout, frame), WORD_BYTES);
}

/* What the write of a slot's entry does: the page has a frame from here on, or (NULL) none. */
static void step_slot(const struct kmap *kmap, vaddr page, const uint32_t *frame)
{
	const struct step_mapping mapping = {.linear = page.addr, .frame = frame ? *frame : 0, .page_shift = PAGE_SHIFT};
	if (frame)
		step_map(kmap->steps, &mapping, 1);
	else
		step_unmap(kmap->steps, &mapping, 1);
}

/* flush_tlb_kernel_range() of more pages than are flushed one by one (tlb_single_page_flush_ceiling). */
static void step_flush_all(const struct kmap *kmap, unsigned cpu)
{
	if (!kmap->steps->recording)
		return;
	for (unsigned other = 0; other < kmap->spec.cpus; other++)
		if (other != cpu)
			step_ipi(kmap->steps, other, STEP_ALL_ADDRESSES);
	step_invalidate(kmap->steps, STEP_ALL_ADDRESSES);
	step_ipi_wait(kmap->steps);
}

/* ---- page_address() and set_page_address() ---- */

static uint32_t bucket_of(const struct kmap *kmap, uint32_t frame)
{
	uint32_t page = (uint32_t)kmap->spec.mem_map + frame * (kmap->spec.page_struct_bytes ? kmap->spec.page_struct_bytes : 1);
	return page * GOLDEN_RATIO >> PA_HASH_SHIFT;
}

/* Slot + 1, 0 for none; *link is the word that leads there, or the list's end. */
static uint32_t find_mapping(struct kmap *kmap, uint32_t frame, uint16_t **link)
{
	uint32_t bucket = bucket_of(kmap, frame);
	step_read(kmap->steps, bucket_head(kmap, bucket), 2 * WORD_BYTES);
	for (*link = &kmap->first[bucket]; **link; *link = &kmap->next[**link - 1]) {
		step_use(kmap->steps);
		step_read(kmap->steps, address_map(kmap, **link - 1u), ADDRESS_MAP_BYTES);
		if (kmap->pkmap_frame[**link - 1] == frame)
			break;
	}
	return **link;
}

static void lock_bucket(const struct kmap *kmap, uint32_t frame)
{
	step_lock(kmap->steps, at(bucket_head(kmap, bucket_of(kmap, frame)), ADDRESS_SLOT_LOCK));
}

static void unlock_bucket(const struct kmap *kmap, uint32_t frame)
{
	step_unlock(kmap->steps, at(bucket_head(kmap, bucket_of(kmap, frame)), ADDRESS_SLOT_LOCK));
}

static uint32_t mapping_of(struct kmap *kmap, uint32_t frame)
{
	uint16_t *link;
	lock_bucket(kmap, frame);
	uint32_t known = find_mapping(kmap, frame, &link);
	unlock_bucket(kmap, frame);
	return known;
}

/* The list of the bucket gets the slot at its end. */
static void set_mapping(struct kmap *kmap, uint32_t slot)
{
	uint32_t frame = kmap->pkmap_frame[slot], last = 0;
	uint16_t *link = &kmap->first[bucket_of(kmap, frame)];
	step_write(kmap->steps, address_map(kmap, slot), ADDRESS_MAP_BYTES);
	lock_bucket(kmap, frame);
	for (; *link; link = &kmap->next[*link - 1])
		last = *link;
	*link = (uint16_t)(slot + 1);
	kmap->next[slot] = 0;
	step_update(kmap->steps, bucket_head(kmap, bucket_of(kmap, frame)), 2 * WORD_BYTES);
	if (last)
		step_write(kmap->steps, at(address_map(kmap, last - 1), 2 * WORD_BYTES), WORD_BYTES);
	unlock_bucket(kmap, frame);
}

static void forget_mapping(struct kmap *kmap, uint32_t frame)
{
	uint16_t *link;
	lock_bucket(kmap, frame);
	uint32_t known = find_mapping(kmap, frame, &link);
	SIM_ASSERT(known);
	*link = kmap->next[known - 1];
	step_write(kmap->steps, at(address_map(kmap, known - 1), 2 * WORD_BYTES), 2 * WORD_BYTES);
	step_update(kmap->steps, bucket_head(kmap, bucket_of(kmap, frame)), 2 * WORD_BYTES);
	unlock_bucket(kmap, frame);
}

/* ---- permanent slots ---- */

/* flush_all_zero_pkmaps(): mappings without users go. */
static void flush_unused(struct kmap *kmap, unsigned cpu)
{
	uint64_t dropped = 0;
	step_read(kmap->steps, kmap->places.pkmap_count, kmap->spec.last_pkmap * WORD_BYTES);
	step_spend(kmap->steps, kmap->costs.flush_slot * kmap->spec.last_pkmap);
	for (uint32_t slot = 0; slot < kmap->spec.last_pkmap; slot++) {
		if (kmap->pkmap_count[slot] != 1)
			continue;
		kmap->pkmap_count[slot] = 0;
		step_write(kmap->steps, count_word(kmap, slot), WORD_BYTES);
		step_write(kmap->steps, table_entry(kmap, slot), kmap->places.pte_bytes);
		step_slot(kmap, slot_address(kmap, slot), NULL);
		step_spend(kmap->steps, kmap->costs.drop);
		forget_mapping(kmap, kmap->pkmap_frame[slot]);
		dropped++;
	}
	kmap->counters.dropped_mappings += dropped;
	kmap->counters.flushes += dropped != 0;
	if (dropped)
		step_flush_all(kmap, cpu);
}

/*
 * map_new_virtual(): the search begins behind the slot taken last, and looks at each slot once, or once more from slot 0 on if it
 * comes past it. False: all have users.
 */
static bool find_slot(struct kmap *kmap, unsigned cpu, uint32_t *slot)
{
	for (uint32_t left = kmap->spec.last_pkmap; left;) {
		kmap->last_pkmap_nr = (kmap->last_pkmap_nr + 1) & (kmap->spec.last_pkmap - 1);
		*slot = kmap->last_pkmap_nr;
		step_update(kmap->steps, kmap->places.last_pkmap_nr, WORD_BYTES);
		if (*slot == 0) {
			flush_unused(kmap, cpu);
			left = kmap->spec.last_pkmap;
		}
		step_read(kmap->steps, count_word(kmap, *slot), WORD_BYTES);
		step_spend(kmap->steps, kmap->costs.slot);
		if (!kmap->pkmap_count[*slot])
			return true;
		left--;
	}
	return false;
}

/* Slot + 1, 0: none has no users. */
static uint32_t map_new_virtual(struct kmap *kmap, uint32_t frame, unsigned cpu)
{
	uint32_t slot;
	step_path(kmap->steps, PATH_LISTS);
	if (!find_slot(kmap, cpu, &slot))
		return 0;
	step_spend(kmap->steps, kmap->costs.new_slot);
	step_write(kmap->steps, table_entry(kmap, slot), kmap->places.pte_bytes);
	step_slot(kmap, slot_address(kmap, slot), &frame);
	kmap->pkmap_count[slot] = 1;
	step_write(kmap->steps, count_word(kmap, slot), WORD_BYTES);
	kmap->pkmap_frame[slot] = frame;
	set_mapping(kmap, slot);
	kmap->counters.new_mappings++;
	return slot + 1;
}

static void count_user(struct kmap *kmap)
{
	if (++kmap->users > kmap->counters.peak_users)
		kmap->counters.peak_users = kmap->users;
}

enum page_map_result kmap_page(struct kmap *kmap, pfn frame, unsigned cpu, vaddr *address)
{
	step_is_high(kmap, frame);
	if (is_lowmem(kmap, frame)) {
		kmap->counters.lowmem_maps++;
		*address = direct_address(kmap, frame);
		return PAGE_MAP_OK;
	}
	step_lock(kmap->steps, kmap->places.lock);
	step_spend(kmap->steps, kmap->costs.kmap);
	uint32_t known = mapping_of(kmap, frame.nr);
	if (!known)
		known = map_new_virtual(kmap, frame.nr, cpu);
	if (known) {
		kmap->pkmap_count[known - 1]++;
		step_update(kmap->steps, count_word(kmap, known - 1), WORD_BYTES);
		kmap->counters.kmaps++;
		count_user(kmap);
		*address = slot_address(kmap, known - 1);
	}
	step_unlock(kmap->steps, kmap->places.lock);
	kmap->counters.waits += !known;
	return known ? PAGE_MAP_OK : PAGE_MAP_MUST_WAIT;
}

enum page_unmap_result kunmap_page(struct kmap *kmap, pfn frame)
{
	step_is_high(kmap, frame);
	if (is_lowmem(kmap, frame)) {
		kmap->counters.lowmem_unmaps++;
		return PAGE_UNMAP_OK;
	}
	step_lock(kmap->steps, kmap->places.lock);
	step_spend(kmap->steps, kmap->costs.kunmap);
	uint32_t known = mapping_of(kmap, frame.nr);
	bool mapped = known && kmap->pkmap_count[known - 1] >= 2;
	if (mapped) {
		step_update(kmap->steps, count_word(kmap, known - 1), WORD_BYTES);
		if (--kmap->pkmap_count[known - 1] == 1)
			step_read(kmap->steps, kmap->places.wait, 2 * WORD_BYTES);
		kmap->counters.kunmaps++;
		kmap->users--;
	}
	step_unlock(kmap->steps, kmap->places.lock);
	kmap->counters.wrong_unmaps += !mapped;
	return mapped ? PAGE_UNMAP_OK : PAGE_UNMAP_NOT_MAPPED;
}

/* ---- local slots ---- */

static vaddr local_address(const struct kmap *kmap, unsigned cpu, unsigned index)
{
	return vaddr_of(kmap->spec.fixmap_begin - ((uint64_t)(cpu * KM_MAX_IDX + index) << PAGE_SHIFT));
}

/* The slot's entry is changed, and the task's own copy of it (current->kmap_ctrl: idx, pteval[]). */
static void step_local(const struct kmap *kmap, unsigned cpu, unsigned index)
{
	if (!kmap->layout)
		return;
	vaddr task = layout_per_cpu(kmap->layout, kmap->places.task, cpu);
	uint64_t bytes = kmap->places.pte_bytes, below = (uint64_t)(cpu * KM_MAX_IDX + index) * bytes;
	step_update(kmap->steps, task, WORD_BYTES);
	step_write(kmap->steps, vaddr_of(kmap->places.fixmap_table.addr - below), (uint32_t)bytes);
	step_write(kmap->steps, at(task, bytes * (index + 1)), (uint32_t)bytes);
}

enum page_map_result kmap_local(struct kmap *kmap, pfn frame, unsigned cpu, vaddr *address)
{
	SIM_ASSERT(cpu < kmap->spec.cpus);
	step_is_high(kmap, frame);
	if (is_lowmem(kmap, frame)) {
		kmap->counters.lowmem_maps++;
		*address = direct_address(kmap, frame);
		return PAGE_MAP_OK;
	}
	if (kmap->depth[cpu] + 1u >= KM_MAX_IDX) {
		kmap->counters.too_deep++;
		return PAGE_MAP_TOO_DEEP;
	}
	step_spend(kmap->steps, kmap->costs.local);
	step_local(kmap, cpu, kmap->depth[cpu]);
	*address = local_address(kmap, cpu, kmap->depth[cpu]++);
	step_slot(kmap, *address, &frame.nr);
	kmap->counters.local_maps++;
	count_user(kmap);
	return PAGE_MAP_OK;
}

enum page_unmap_result kunmap_local(struct kmap *kmap, vaddr address, unsigned cpu)
{
	SIM_ASSERT(cpu < kmap->spec.cpus);
	const struct kmap_spec *spec = &kmap->spec;
	uint64_t high = spec->direct_map + ((uint64_t)spec->highmem_pfn << PAGE_SHIFT);
	if (address.addr >= spec->direct_map && address.addr < high) {
		kmap->counters.lowmem_unmaps++;
		return PAGE_UNMAP_OK;
	}
	unsigned depth = kmap->depth[cpu];
	if (depth && local_address(kmap, cpu, depth - 1).addr == address.addr) {
		step_spend(kmap->steps, kmap->costs.local_unmap);
		step_local(kmap, cpu, depth - 1);
		step_slot(kmap, address, NULL);
		step_invalidate(kmap->steps, address.addr);
		kmap->depth[cpu]--;
		kmap->counters.local_unmaps++;
		kmap->users--;
		return PAGE_UNMAP_OK;
	}
	kmap->counters.wrong_unmaps++;
	for (unsigned index = 0; index < depth; index++)
		if (local_address(kmap, cpu, index).addr == address.addr)
			return PAGE_UNMAP_WRONG_ORDER;
	return PAGE_UNMAP_NOT_MAPPED;
}

/* ---- laws ---- */

static uint64_t listed(const struct kmap *kmap)
{
	uint64_t count = 0;
	for (uint32_t bucket = 0; bucket < PA_HASH_BUCKETS; bucket++)
		for (uint32_t slot = kmap->first[bucket]; slot; slot = kmap->next[slot - 1], count++) {
			SIM_ASSERT(count < kmap->spec.last_pkmap && kmap->pkmap_count[slot - 1]);
			SIM_ASSERT(bucket_of(kmap, kmap->pkmap_frame[slot - 1]) == bucket);
		}
	return count;
}

void kmap_check(const struct kmap *kmap)
{
	const struct kmap_counters *counters = &kmap->counters;
	uint64_t mapped = 0, users = 0, depth = 0;
	for (uint32_t slot = 0; slot < kmap->spec.last_pkmap; slot++) {
		if (!kmap->pkmap_count[slot])
			continue;
		mapped++;
		users += kmap->pkmap_count[slot] - 1;
	}
	for (unsigned cpu = 0; cpu < kmap->spec.cpus; cpu++)
		depth += kmap->depth[cpu];
	SIM_ASSERT(mapped == counters->new_mappings - counters->dropped_mappings && mapped == listed(kmap));
	SIM_ASSERT(users == counters->kmaps - counters->kunmaps);
	SIM_ASSERT(depth == counters->local_maps - counters->local_unmaps);
	SIM_ASSERT(kmap->users == users + depth && kmap->users <= counters->peak_users);
	SIM_ASSERT(counters->flushes <= counters->dropped_mappings && counters->new_mappings <= counters->kmaps);
	SIM_ASSERT(counters->lowmem_unmaps <= counters->lowmem_maps);
}

/* ---- the port ---- */

static struct kmap *kmap_of(struct page_mapper *base)
{
	return (struct kmap *)base;
}

static enum page_map_result map(struct page_mapper *base, enum page_map_call call, pfn frame, unsigned cpu, vaddr *address)
{
	if (call == PAGE_MAP_PERMANENT)
		return kmap_page(kmap_of(base), frame, cpu, address);
	return kmap_local(kmap_of(base), frame, cpu, address);
}

static enum page_unmap_result unmap(struct page_mapper *base, enum page_map_call call, pfn frame, vaddr address, unsigned cpu)
{
	return call == PAGE_MAP_PERMANENT ? kunmap_page(kmap_of(base), frame) : kunmap_local(kmap_of(base), address, cpu);
}

static uint64_t users(const struct page_mapper *base)
{
	return ((const struct kmap *)base)->users;
}

static void check(const struct page_mapper *base)
{
	kmap_check((const struct kmap *)base);
}

static const void *counters(const struct page_mapper *base)
{
	return &((const struct kmap *)base)->counters;
}

static void destroy(struct page_mapper *base)
{
	kmap_release(kmap_of(base));
	free(base);
}

static const struct page_mapper_ops page_mapper_kmap_ops = {
        .name = "kmap",
        .help = "addresses of pages: the direct map, and Linux 6.1's kmap() and kmap_local_page() for high memory",
        .map = map,
        .unmap = unmap,
        .users = users,
        .check = check,
        .metrics = kmap_metrics,
        .counters = counters,
        .destroy = destroy,
};

/* The entry for an address in the table that the boot made for it, in the direct map; false if it is not known where that lies.
 */
static bool boot_entry(const struct kmap *kmap, uint64_t linear, unsigned table_shift, vaddr *entry)
{
	pfn table = layout_table_frame(kmap->layout, linear, table_shift);
	if (table.nr == UINT32_MAX)
		return false;
	uint64_t index = (linear & ((1ull << table_shift) - 1)) >> PAGE_SHIFT;
	*entry = at(layout_page_address(kmap->layout, table), index * kmap->places.pte_bytes);
	return true;
}

static void place_data(struct kmap *kmap)
{
	struct layout *layout = kmap->layout;
	struct kmap_places *places = &kmap->places;
	const unsigned table_shift = places->pte_bytes == 8 ? 21 : 22;
	uint32_t locals = kmap->spec.cpus * KM_MAX_IDX * places->pte_bytes;
	places->lock = layout_kernel_data(layout, WORD_BYTES);
	layout_name(layout, places->lock, WORD_BYTES, "kmap_lock", "");
	places->last_pkmap_nr = layout_kernel_data(layout, WORD_BYTES);
	places->wait = layout_kernel_data(layout, 3 * WORD_BYTES);
	places->pkmap_count = layout_kernel_data(layout, kmap->spec.last_pkmap * WORD_BYTES);
	if (!boot_entry(kmap, kmap->spec.pkmap_base, table_shift, &places->pkmap_table))
		places->pkmap_table = layout_kernel_data(layout, PAGE_SIZE);
	if (!boot_entry(kmap, kmap->spec.fixmap_begin, table_shift, &places->fixmap_table))
		places->fixmap_table = at(layout_kernel_data(layout, locals), locals - places->pte_bytes);
	places->hash = layout_kernel_data(layout, PA_HASH_BUCKETS * ADDRESS_SLOT_BYTES);
	layout_name(layout, places->hash, PA_HASH_BUCKETS * ADDRESS_SLOT_BYTES, "page_address_htable", "");
	places->maps = layout_kernel_data(layout, kmap->spec.last_pkmap * ADDRESS_MAP_BYTES);
	places->task = layout_per_cpu_static(layout, (KM_MAX_IDX + 1) * places->pte_bytes);
}

struct page_mapper *page_mapper_kmap_create(const struct page_mapper_wiring *wiring)
{
	const struct settings *settings = wiring->settings;
	const struct cost_settings *costs = &settings->cost;
	const struct layout_span *slots = layout_span_of(wiring->layout, REGION_KMAP);
	bool is_32bit = slots != NULL, pae = settings_are_pae(settings);
	struct kmap_spec spec = {.direct_map = wiring->layout->direct_map,
	                         .highmem_pfn = UINT32_MAX,
	                         .end_pfn = UINT32_MAX,
	                         .last_pkmap = pae ? LAST_PKMAP_PAE : LAST_PKMAP,
	                         .cpus = settings->machine.cpus};
	const struct layout_32bit machine = settings_layout_32bit(settings);
	if (is_32bit) {
		spec.highmem_pfn = wiring->layout->direct_map_frames;
		spec.pkmap_base = slots->first;
		spec.fixmap_begin = layout_fixed_32bit(&machine).kmap_begin;
		spec.mem_map = wiring->layout->vmemmap;
		spec.page_struct_bytes = wiring->layout->page_struct_bytes;
	}
	struct kmap *kmap = xcalloc(1, sizeof *kmap);
	kmap_init(kmap, &spec, wiring->steps);
	kmap->port.ops = &page_mapper_kmap_ops;
	kmap->layout = wiring->layout;
	kmap->is_32bit = is_32bit;
	kmap->costs = (struct kmap_costs){.kmap = costs->kmap,
	                                  .new_slot = costs->kmap_new,
	                                  .slot = costs->kmap_slot,
	                                  .flush_slot = costs->kmap_flush_slot,
	                                  .drop = costs->kmap_drop,
	                                  .kunmap = costs->kunmap,
	                                  .local = costs->kmap_local,
	                                  .local_unmap = costs->kunmap_local};
	kmap->places.pte_bytes = pae ? 8 : 4;
	if (is_32bit)
		place_data(kmap);
	return &kmap->port;
}
