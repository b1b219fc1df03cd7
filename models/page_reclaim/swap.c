/* SPDX-License-Identifier: MIT
 *
 * swap.c - slots of a swap device (interface, source and laws: swap.h).
 */
#include "models/page_reclaim/swap.h"

#include <stdlib.h>

#define SWAP_HAS_CACHE 0x80000000u
#define SWAP_BAD 0x40000000u
#define SWAP_COUNT_MASK 0x3fffffffu
#define SWAP_CLUSTER_NONE UINT32_MAX
/* include/linux/swap.h, mm/swapfile.c: the slots of one tree of the swap cache, and how many lists of clusters there are a tree.
 */
#define SWAP_TREE_SLOTS (1u << 14)
#define SWAP_LATENCY_LIMIT 256
/* include/linux/swap_slots.h: the stores are used from so many free slots a CPU on, and down to so many. */
#define STORES_ACTIVATE (5 * SWAP_STORE_SLOTS)
#define STORES_DEACTIVATE (2 * SWAP_STORE_SLOTS)

static void append_free_cluster(struct swap *swap, uint32_t index)
{
	struct swap_cluster *cluster = &swap->clusters[index];
	SIM_ASSERT(cluster->count == 0 && !cluster->is_free);
	cluster->is_free = true;
	cluster->next = SWAP_CLUSTER_NONE;
	if (swap->free_head == SWAP_CLUSTER_NONE)
		swap->free_head = index;
	else
		swap->clusters[swap->free_tail].next = index;
	swap->free_tail = index;
}

/* The free clusters, so that neighbours on the list lie in different trees of the swap cache. */
static void list_clusters(struct swap *swap)
{
	uint32_t columns = SWAP_TREE_SLOTS / swap->cluster_slots;
	for (uint32_t column = 0; column < columns; column++)
		for (uint32_t index = column; index < swap->cluster_count; index += columns)
			if (swap->clusters[index].count == 0)
				append_free_cluster(swap, index);
}

void swap_init(struct swap *swap, const struct swap_spec *spec)
{
	SIM_ASSERT(spec->slots <= SWAP_SLOTS_MAX && spec->cpus <= CPUS_MAX);
	*swap = (struct swap){.slots = spec->slots > 1 ? spec->slots : 0,
	                      .cluster_slots = spec->cluster_slots,
	                      .cpus = spec->cpus,
	                      .free_head = SWAP_CLUSTER_NONE,
	                      .drop = spec->drop,
	                      .context = spec->context};
	if (!swap->slots)
		return;
	rng_init(&swap->rng, spec->seed, "swap");
	swap->lowest = 1;
	swap->highest = swap->slots - 1;
	swap->cluster_count = (swap->slots + swap->cluster_slots - 1) / swap->cluster_slots;
	swap->map = xcalloc(swap->slots, sizeof *swap->map);
	for (uint32_t slot = 0; slot < swap->slots; slot++)
		swap->map[slot].frame = SWAP_FRAME_NONE;
	swap->map[0].count = SWAP_BAD;
	swap->clusters = xcalloc(swap->cluster_count, sizeof *swap->clusters);
	/* The header, and what the last cluster would have beyond the end, are never free. */
	swap->clusters[0].count = 1;
	swap->clusters[swap->cluster_count - 1].count += swap->cluster_count * swap->cluster_slots - swap->slots;
	list_clusters(swap);
	for (unsigned cpu = 0; cpu < swap->cpus; cpu++) {
		swap->cpu[cpu].cluster = SWAP_CLUSTER_NONE;
		swap->cpu[cpu].scan_base = 1 + rng_below(&swap->rng, swap->highest);
	}
}

void swap_release(struct swap *swap)
{
	free(swap->map);
	free(swap->clusters);
	*swap = (struct swap){0};
}

/* --- the device's slots --- */

static void use_cluster(struct swap *swap, uint32_t slot, uint32_t count)
{
	uint32_t index = slot / swap->cluster_slots;
	struct swap_cluster *cluster = &swap->clusters[index];
	if (cluster->is_free) {
		SIM_ASSERT(swap->free_head == index);
		swap->free_head = cluster->next;
		cluster->is_free = false;
	}
	cluster->count += count;
	SIM_ASSERT(cluster->count <= swap->cluster_slots);
}

/* swap_range_alloc() */
static void range_alloc(struct swap *swap, uint32_t slot, uint32_t count)
{
	if (slot == swap->lowest)
		swap->lowest += count;
	if (slot + count - 1 == swap->highest)
		swap->highest -= count;
	swap->in_use += count;
	if (swap->in_use > swap->counters.used_peak)
		swap->counters.used_peak = swap->in_use;
	swap->counters.slots_allocated += count;
	if (swap->in_use == swap->slots - 1) {
		swap->lowest = swap->slots;
		swap->highest = 0;
	}
}

/* swap_range_free() */
static void range_free(struct swap *swap, uint32_t slot, uint32_t count)
{
	if (slot < swap->lowest)
		swap->lowest = slot;
	if (slot + count - 1 > swap->highest)
		swap->highest = slot + count - 1;
	swap->in_use -= count;
	swap->counters.slots_freed += count;
}

/* swap_entry_free(): the device has it again. */
static void return_slot(struct swap *swap, uint32_t slot)
{
	struct swap_cluster *cluster = &swap->clusters[slot / swap->cluster_slots];
	SIM_ASSERT(swap->map[slot].count == SWAP_HAS_CACHE && swap->map[slot].frame == SWAP_FRAME_NONE);
	swap->map[slot].count = 0;
	swap->map[slot].shadow = SHADOW_NONE;
	cluster->count--;
	if (cluster->count == 0)
		append_free_cluster(swap, slot / swap->cluster_slots);
	range_free(swap, slot, 1);
}

/* scan_swap_map_try_ssd_cluster(): the next slot of the CPU's cluster, or of a free one that becomes its. */
static bool try_cluster(struct swap *swap, unsigned cpu, uint32_t *slot, uint32_t *scan_base)
{
	struct swap_cpu *own = &swap->cpu[cpu];
	for (;;) {
		if (own->cluster == SWAP_CLUSTER_NONE) {
			if (swap->free_head == SWAP_CLUSTER_NONE)
				return false;
			own->cluster = swap->free_head;
			own->next = own->cluster * swap->cluster_slots;
		}
		uint32_t end = (own->cluster + 1) * swap->cluster_slots, next = own->next;
		if (end > swap->slots)
			end = swap->slots;
		while (next < end && swap->map[next].count)
			next++;
		if (next < end) {
			own->next = next + 1;
			*slot = *scan_base = next;
			return true;
		}
		own->cluster = SWAP_CLUSTER_NONE;
	}
}

/* The slot lies in a free cluster that is not the next one to be taken. */
static bool conflicts(struct swap *swap, unsigned cpu, uint32_t slot)
{
	uint32_t index = slot / swap->cluster_slots;
	if (swap->free_head == SWAP_CLUSTER_NONE || index == swap->free_head || !swap->clusters[index].is_free)
		return false;
	swap->cpu[cpu].cluster = SWAP_CLUSTER_NONE;
	return true;
}

/* A slot that nobody but the swap cache has, of a page that is in memory. */
static bool only_cached(const struct swap *swap, uint32_t slot)
{
	return swap->map[slot].count == SWAP_HAS_CACHE && swap->map[slot].frame != SWAP_FRAME_NONE;
}

/* Whether the scan may stop here. The kernel looks in vain at slots of the stores, too. */
static bool is_available(const struct swap *swap, uint32_t slot)
{
	return !swap->map[slot].count || (swap_is_full(swap) && only_cached(swap, slot));
}

/* Looks behind and then before the place where it began. False: there is none. */
static bool scan_for_slot(const struct swap *swap, uint32_t scan_base, uint32_t *slot)
{
	for (uint32_t at = *slot + 1; at <= swap->highest; at++)
		if (is_available(swap, at)) {
			*slot = at;
			return true;
		}
	for (uint32_t at = swap->lowest; at < scan_base; at++)
		if (is_available(swap, at)) {
			*slot = at;
			return true;
		}
	return false;
}

/* set_cluster_next(): where another tree of the swap cache begins, a tree is drawn. */
static void set_scan_base(struct swap *swap, unsigned cpu, uint32_t next)
{
	struct swap_cpu *own = &swap->cpu[cpu];
	if (own->scan_base / SWAP_TREE_SLOTS != next / SWAP_TREE_SLOTS) {
		if (swap->highest <= swap->lowest)
			return;
		next = swap->lowest + rng_below(&swap->rng, swap->highest - swap->lowest + 1);
		next = next / SWAP_TREE_SLOTS * SWAP_TREE_SLOTS;
		next = next < swap->lowest ? swap->lowest : next;
	}
	own->scan_base = next;
}

/* What the scan under way knows. */
struct scan {
	uint32_t slot, base;
};

enum visit { VISIT_TAKEN, VISIT_BUSY, VISIT_END };

/* The part of scan_swap_map_slots() from `checks` on: takes the slot if it is free. */
static enum visit visit(struct swap *swap, unsigned cpu, struct scan *scan, uint32_t found)
{
	for (;;) {
		while (conflicts(swap, cpu, scan->slot)) {
			if (found)
				return VISIT_END;
			if (!try_cluster(swap, cpu, &scan->slot, &scan->base))
				return VISIT_BUSY;
		}
		if (!swap->highest)
			return VISIT_END;
		if (scan->slot > swap->highest)
			scan->base = scan->slot = swap->lowest;
		if (!swap_is_full(swap) || !only_cached(swap, scan->slot))
			break;
		/* The freed slot goes to the CPU's store, not to this scan; a cluster that came free may be used from here. */
		if (!swap->drop(swap->context, swap->map[scan->slot].frame, cpu))
			return VISIT_BUSY;
	}
	if (swap->map[scan->slot].count)
		return VISIT_BUSY;
	swap->map[scan->slot].count = SWAP_HAS_CACHE;
	use_cluster(swap, scan->slot, 1);
	range_alloc(swap, scan->slot, 1);
	return VISIT_TAKEN;
}

/* Behind the last slot taken, with no cluster to be had: the next free one within a short look. */
static bool look_ahead(const struct swap *swap, struct scan *scan)
{
	uint32_t limit = scan->slot < scan->base ? scan->base : swap->highest;
	for (unsigned looks = SWAP_LATENCY_LIMIT; scan->slot <= limit && --looks > 0; scan->slot++)
		if (!swap->map[scan->slot].count)
			return true;
	return false;
}

/* scan_swap_map_slots(): up to `wanted` slots, one for sure if there is any. */
static uint32_t scan_slots(struct swap *swap, unsigned cpu, uint32_t wanted, uint32_t *slots)
{
	struct scan scan = {.slot = swap->cpu[cpu].scan_base, .base = swap->cpu[cpu].scan_base};
	uint32_t found = 0;
	bool is_found = try_cluster(swap, cpu, &scan.slot, &scan.base);
	for (;;) {
		enum visit result = is_found ? visit(swap, cpu, &scan, found) : VISIT_BUSY;
		if (result == VISIT_END || (result == VISIT_BUSY && found))
			break;
		if (result == VISIT_BUSY) {
			/* It ends: a slot that it stops at and does not take leaves the swap cache. */
			if (!scan_for_slot(swap, scan.base, &scan.slot))
				return found;
			is_found = true;
			continue;
		}
		slots[found++] = scan.slot;
		if (found == wanted || scan.slot >= swap->highest)
			break;
		is_found = try_cluster(swap, cpu, &scan.slot, &scan.base) || look_ahead(swap, &scan);
		if (!is_found)
			break;
	}
	set_scan_base(swap, cpu, scan.slot + 1);
	return found;
}

/* get_swap_pages() of single slots. */
static uint32_t get_slots(struct swap *swap, unsigned cpu, uint32_t wanted, uint32_t *slots)
{
	uint32_t available = swap_free_slots(swap);
	if (!available)
		return 0;
	return scan_slots(swap, cpu, wanted < available ? wanted : available, slots);
}

/* get_swap_pages() of a huge page, swap_alloc_cluster(). MODEL: the device is a block device; the kernel asks for one. */
uint32_t swap_take_cluster(struct swap *swap)
{
	if (!swap->slots || swap->cluster_slots != SWAP_HUGE_SLOTS || swap_free_slots(swap) < SWAP_HUGE_SLOTS || !swap->highest ||
	    swap->free_head == SWAP_CLUSTER_NONE)
		return SWAP_SLOT_NONE;
	uint32_t first = swap->free_head * swap->cluster_slots;
	use_cluster(swap, first, SWAP_HUGE_SLOTS);
	for (uint32_t slot = first; slot < first + SWAP_HUGE_SLOTS; slot++)
		swap->map[slot].count = SWAP_HAS_CACHE;
	range_alloc(swap, first, SWAP_HUGE_SLOTS);
	return first;
}

/* --- the CPUs' stores --- */

static void give_back_taken(struct swap *swap, struct swap_cpu *own)
{
	for (uint32_t i = 0; i < own->taken_count; i++)
		return_slot(swap, own->taken[own->taken_at + i]);
	own->taken_count = 0;
}

static void give_back_given(struct swap *swap, struct swap_cpu *own)
{
	for (uint32_t i = 0; i < own->given_count; i++)
		return_slot(swap, own->given[i]);
	own->given_count = 0;
}

void swap_drain_stores(struct swap *swap)
{
	for (unsigned cpu = 0; swap->slots && cpu < swap->cpus; cpu++) {
		give_back_taken(swap, &swap->cpu[cpu]);
		give_back_given(swap, &swap->cpu[cpu]);
	}
}

/* check_cache_active(): near the end of the device nobody holds slots back. Those on their way back stay, as in the kernel. */
static bool stores_are_active(struct swap *swap)
{
	uint64_t available = swap_free_slots(swap);
	if (!swap->stores_active) {
		swap->stores_active = available > (uint64_t)swap->cpus * STORES_ACTIVATE;
	} else if (available < (uint64_t)swap->cpus * STORES_DEACTIVATE) {
		swap->stores_active = false;
		for (unsigned cpu = 0; cpu < swap->cpus; cpu++)
			give_back_taken(swap, &swap->cpu[cpu]);
	}
	return swap->stores_active;
}

uint32_t swap_take(struct swap *swap, unsigned cpu)
{
	if (!swap->slots)
		return SWAP_SLOT_NONE;
	struct swap_cpu *own = &swap->cpu[cpu];
	if (stores_are_active(swap)) {
		if (!own->taken_count) {
			own->taken_at = 0;
			own->taken_count = get_slots(swap, cpu, SWAP_STORE_SLOTS, own->taken);
		}
		if (own->taken_count) {
			own->taken_count--;
			return own->taken[own->taken_at++];
		}
	}
	uint32_t slot;
	return get_slots(swap, cpu, 1, &slot) ? slot : SWAP_SLOT_NONE;
}

/* free_swap_slot(): its mark stays until the store is given back. */
static void store_freed(struct swap *swap, unsigned cpu, uint32_t slot)
{
	struct swap_cpu *own = &swap->cpu[cpu];
	swap->map[slot].count = SWAP_HAS_CACHE;
	if (own->given_count == SWAP_STORE_SLOTS)
		give_back_given(swap, own);
	own->given[own->given_count++] = slot;
}

/* --- entries and the swap cache --- */

uint32_t swap_entries(const struct swap *swap, uint32_t slot)
{
	return swap->map[slot].count & SWAP_COUNT_MASK;
}

void swap_duplicate(struct swap *swap, uint32_t slot)
{
	SIM_ASSERT(swap->map[slot].count && !(swap->map[slot].count & SWAP_BAD));
	swap->map[slot].count++;
	SIM_ASSERT(swap_entries(swap, slot));
}

void swap_free(struct swap *swap, unsigned cpu, uint32_t slot)
{
	SIM_ASSERT(swap_entries(swap, slot));
	if (!--swap->map[slot].count)
		store_freed(swap, cpu, slot);
}

void swap_cache_add(struct swap *swap, uint32_t slot, uint32_t frame)
{
	SIM_ASSERT(swap->map[slot].count && swap->map[slot].frame == SWAP_FRAME_NONE);
	swap->map[slot].count |= SWAP_HAS_CACHE;
	swap->map[slot].frame = frame;
	swap->map[slot].shadow = SHADOW_NONE;
	swap->cached++;
}

void swap_cache_remove(struct swap *swap, unsigned cpu, uint32_t slot, page_shadow shadow)
{
	SIM_ASSERT(swap->map[slot].count & SWAP_HAS_CACHE && swap->map[slot].frame != SWAP_FRAME_NONE);
	swap->map[slot].frame = SWAP_FRAME_NONE;
	swap->map[slot].shadow = shadow;
	swap->map[slot].count &= ~SWAP_HAS_CACHE;
	swap->cached--;
	if (!swap->map[slot].count)
		store_freed(swap, cpu, slot);
}

void swap_cache_add_cluster(struct swap *swap, uint32_t slot, uint32_t frame)
{
	for (uint32_t i = 0; i < SWAP_HUGE_SLOTS; i++)
		swap_cache_add(swap, slot + i, frame + i);
}

/* swap_free_cluster(). No entry names a slot of it, and it has left the cache. */
static void free_cluster(struct swap *swap, uint32_t first)
{
	uint32_t index = first / swap->cluster_slots;
	for (uint32_t slot = first; slot < first + SWAP_HUGE_SLOTS; slot++)
		swap->map[slot] = (struct swap_slot){.frame = SWAP_FRAME_NONE};
	SIM_ASSERT(swap->clusters[index].count == SWAP_HUGE_SLOTS);
	swap->clusters[index].count = 0;
	append_free_cluster(swap, index);
	range_free(swap, first, SWAP_HUGE_SLOTS);
	swap->cached -= SWAP_HUGE_SLOTS;
}

void swap_cache_remove_cluster(struct swap *swap, unsigned cpu, uint32_t slot, page_shadow shadow)
{
	bool named = false;
	for (uint32_t i = 0; i < SWAP_HUGE_SLOTS; i++)
		named |= swap_entries(swap, slot + i) > 0;
	if (!named) {
		free_cluster(swap, slot);
		return;
	}
	for (uint32_t i = 0; i < SWAP_HUGE_SLOTS; i++)
		swap_cache_remove(swap, cpu, slot + i, shadow);
}

/* --- laws --- */

void swap_check(const struct swap *swap)
{
	uint32_t in_use = 0, cached = 0, stored = 0, owned = 0;
	if (!swap->slots)
		return;
	uint32_t *counts = xcalloc(swap->cluster_count, sizeof *counts);
	for (uint32_t slot = 1; slot < swap->slots; slot++) {
		const struct swap_slot *self = &swap->map[slot];
		in_use += self->count != 0;
		cached += self->frame != SWAP_FRAME_NONE;
		owned += swap_entries(swap, slot) || self->frame != SWAP_FRAME_NONE;
		counts[slot / swap->cluster_slots] += self->count != 0;
		SIM_ASSERT(self->frame == SWAP_FRAME_NONE || self->count & SWAP_HAS_CACHE);
		SIM_ASSERT(!shadow_exists(self->shadow) || (self->count && self->frame == SWAP_FRAME_NONE));
	}
	for (unsigned cpu = 0; cpu < swap->cpus; cpu++)
		stored += swap->cpu[cpu].taken_count + swap->cpu[cpu].given_count;
	SIM_ASSERT(in_use == swap->in_use && cached == swap->cached && in_use == owned + stored);
	SIM_ASSERT(swap->counters.slots_allocated - swap->counters.slots_freed == in_use);
	counts[0]++;
	counts[swap->cluster_count - 1] += swap->cluster_count * swap->cluster_slots - swap->slots;
	for (uint32_t index = 0; index < swap->cluster_count; index++) {
		SIM_ASSERT(swap->clusters[index].count == counts[index]);
		SIM_ASSERT(swap->clusters[index].is_free == (counts[index] == 0));
	}
	free(counts);
}
