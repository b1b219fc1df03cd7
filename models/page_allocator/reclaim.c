/* SPDX-License-Identifier: MIT
 *
 * reclaim.c - memory that can be taken back, and who takes it: direct reclaim by a request in need, and kswapd.
 *
 * Pages that somebody keeps by age (struct page_reclaimer) are asked for from him, at the kernel's priorities and with its
 * limits. Of what has no owner there is a load model.
 *
 * Load model: a share of each node's memory is page cache (single movable frames on an LRU list, clean, used once) and a share is
 * reclaimable slab (single RECLAIMABLE frames, dentries and inodes). Both are there before the recording begins and are owned by
 * nobody in it. Reclaim takes the oldest first and frees it for good: nothing reads it in again.
 *
 * Algorithm: a pass at priority p looks at 1/2^p of the page cache, 32 frames at a time, and at 1/2^p of the slab twice over, 128
 * at a time; from priority 12 on down until enough is free. kswapd does so until a zone of its node stays above the high
 * watermark, then takes back the boost of the watermarks and goes to sleep; kcompactd runs after it.
 * Source: mm/vmscan.c of Linux 6.1: try_to_free_pages, do_try_to_free_pages, shrink_zones, compaction_ready, shrink_node,
 * should_continue_reclaim, shrink_lruvec, get_scan_count, do_shrink_slab, zone_reclaimable_pages, throttle_direct_reclaim,
 * allow_direct_reclaim, balance_pgdat, kswapd_shrink_node, pgdat_balanced, kswapd_try_to_sleep, wakeup_kswapd; mm/page_alloc.c:
 * free_unref_page_list; mm/vmstat.c: refresh_zone_stat_thresholds.
 *
 * MODEL: pages that a recording owns are not reclaimed; the load model's page cache is all inactive, clean and unmapped, so
 * whatever is looked at comes free. Effect: without a reclaimer what reclaim gets is known beforehand: the shares. With shares
 * of 0 it gets nothing. MODEL: slab comes back frame by frame, an object a frame. A kernel frees objects and gets a frame when
 * its last one goes. MODEL: kswapd gets its turn a settable number of page allocator calls after it was woken, and then runs at
 * once, before an allocation or after a free, to its end or until it sleeps for a device; then it has its next turn as many
 * calls later. A request that would be throttled until kswapd has made room lets it run right then, and sleeps as long as it
 * does. kswapd's smaller statistics threshold while it is awake is left out.
 *
 * Invariant: cache_pages = page cache of all zones + slab of all nodes = frames in FRAME_CACHE.
 */
#include "models/page_allocator/reclaim.h"
#include "models/kernel_code.h"
#include "models/page_allocator/request.h"
#include "sim/rng.h"

#include <stdlib.h>

/* include/linux/swap.h, include/linux/mmzone.h, include/linux/shrinker.h, mm/vmscan.c. */
#define SWAP_CLUSTER_MAX 32
#define DEF_PRIORITY 12
#define DEFAULT_SEEKS 2
#define SEEKS_UNIT 4
#define SHRINK_BATCH 128
/* No zone index was asked for. */
#define ZONE_INDEX_NONE LOWMEM_RESERVE_ZONES

/* A reclaim under way (struct scan_control). */
struct scan_control {
	unsigned order, cpu, highest_zone;
	gfp flags;
	int priority;
	bool kswapd;
	bool compaction_ready;
	bool may_swap, may_writepage, force_deactivate, skipped_deactivate;
	bool asleep, unfinished; /* kswapd, for a device; in the middle of a pass */
	uint64_t to_reclaim, scanned, reclaimed;
};

static bool in_node(const struct zone *zone, unsigned node, unsigned highest_zone)
{
	return zone->node == node && zone->managed && zone->index <= highest_zone;
}

static uint64_t page_cache_of(const struct buddy *buddy, unsigned node, unsigned highest_zone)
{
	uint64_t pages = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (in_node(&buddy->zones[i], node, highest_zone))
			pages += buddy->zones[i].file_pages;
	return pages;
}

uint64_t zone_reclaimable_pages(const struct buddy *buddy, const struct zone *zone)
{
	const struct page_reclaimer *reclaimer = buddy->port.reclaimer;
	uint64_t pages = zone->file_pages + (reclaimer ? reclaimer->reclaimable(reclaimer->context, zone->number) : 0);
	return pages ? pages : (uint64_t)free_pages_snapshot(buddy, zone);
}

/* --- taking pages back --- */

/* A frame of the load model becomes free. */
static void free_cache_frame(struct buddy *buddy, uint32_t nr, unsigned cpu)
{
	struct frame *frame = frame_at(buddy, nr);
	step_spend(buddy->steps, buddy->cost.reclaim_page);
	step_run(buddy->steps, CODE_RECLAIM_FREE, buddy->cost.reclaim_free);
	step_run(buddy->steps, CODE_PAGE_FREE, buddy->cost.page_free);
	frame->lru = false;
	buddy->cache_pages--;
	buddy->counters.pgfree++;
	free_unref_page(buddy, &buddy->zones[frame->zone], nr, 0, cpu);
}

/* Up to 32 oldest pages of zones that help; younger ones of other zones that are passed become the youngest. */
static unsigned isolate_oldest(struct buddy *buddy, unsigned node, unsigned wanted, unsigned highest_zone, uint32_t *frames)
{
	uint32_t list = buddy->nodes[node].page_cache;
	unsigned count = 0;
	while (count < wanted) {
		uint32_t nr = frame_at(buddy, list)->prev;
		struct zone *zone = &buddy->zones[frame_at(buddy, nr)->zone];
		list_del(buddy, nr);
		step_update(buddy->steps, page_word_address(buddy, nr, PAGE_LRU), LIST_HEAD_BYTES);
		if (zone->index > highest_zone) {
			list_add(buddy, nr, list);
			continue;
		}
		zone->file_pages--;
		frames[count++] = nr;
	}
	return count;
}

/* shrink_lruvec(): the page cache's part of a pass. kswapd and later passes stop when enough is free. */
static void shrink_page_cache(struct buddy *buddy, unsigned node, struct scan_control *sc)
{
	uint64_t left = page_cache_of(buddy, node, sc->highest_zone) >> sc->priority, reclaimed = 0;
	bool whole_share = !sc->kswapd && sc->priority == DEF_PRIORITY;
	while (left && (whole_share || reclaimed < sc->to_reclaim)) {
		uint32_t frames[SWAP_CLUSTER_MAX];
		unsigned wanted = left < SWAP_CLUSTER_MAX ? (unsigned)left : SWAP_CLUSTER_MAX;
		step_run(buddy->steps, CODE_RECLAIM_BATCH, buddy->cost.reclaim_batch);
		unsigned count = isolate_oldest(buddy, node, wanted, sc->highest_zone, frames);
		/* A cluster is freed from its youngest page on. */
		for (unsigned i = count; i-- > 0;)
			free_cache_frame(buddy, frames[i], sc->cpu);
		left -= wanted;
		reclaimed += count;
	}
	sc->scanned += reclaimed;
	sc->reclaimed += reclaimed;
	*(sc->kswapd ? &buddy->counters.pgscan_kswapd : &buddy->counters.pgscan_direct) += reclaimed;
	*(sc->kswapd ? &buddy->counters.pgsteal_kswapd : &buddy->counters.pgsteal_direct) += reclaimed;
}

/* The pass as the reclaimer is asked for it. */
static struct reclaim_request request_of_pass(const struct buddy *buddy, unsigned node, const struct scan_control *sc,
                                              struct reclaim_result *result)
{
	struct reclaim_request request = {.node = node,
	                                  .cpu = sc->cpu,
	                                  .priority = sc->priority,
	                                  .to_reclaim = sc->to_reclaim,
	                                  .flags = sc->flags,
	                                  .kswapd = sc->kswapd,
	                                  .kswapd_failed = buddy->nodes[node].kswapd_failures >= MAX_RECLAIM_RETRIES,
	                                  .may_swap = sc->may_swap,
	                                  .may_writepage = sc->may_writepage,
	                                  .force_deactivate = sc->force_deactivate,
	                                  .result = result};
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (in_node(zone, node, sc->highest_zone) && zone->end_pfn > request.end_pfn)
			request.end_pfn = zone->end_pfn;
		if (!in_node(zone, node, ZONE_INDEX_NONE))
			continue;
		request.free_pages += (uint64_t)zone_free_pages(zone);
		request.high_watermarks += (uint64_t)boosted_watermark(zone, ALLOC_WMARK_HIGH);
	}
	return request;
}

static void ask_reclaimer(struct buddy *buddy, unsigned node, const struct scan_control *sc,
                          void (*ask)(void *, const struct reclaim_request *), struct reclaim_result *result)
{
	struct reclaim_request request = request_of_pass(buddy, node, sc, result);
	buddy->reclaiming = true;
	ask(buddy->port.reclaimer->context, &request);
	buddy->reclaiming = false;
}

/* shrink_lruvec() of who keeps pages of user memory and of files. */
static void shrink_kept_pages(struct buddy *buddy, unsigned node, struct scan_control *sc)
{
	struct reclaim_result result = {0};
	if (!buddy->port.reclaimer)
		return;
	ask_reclaimer(buddy, node, sc, buddy->port.reclaimer->shrink, &result);
	sc->scanned += result.scanned;
	sc->reclaimed += result.reclaimed;
	sc->skipped_deactivate |= result.skipped_deactivate;
	sc->asleep |= result.asleep;
	sc->unfinished |= result.unfinished;
	buddy->counters.pgscan_kswapd += result.scanned_kswapd;
	buddy->counters.pgscan_direct += result.scanned_direct;
	*(sc->kswapd ? &buddy->counters.pgsteal_kswapd : &buddy->counters.pgsteal_direct) += result.reclaimed;
	buddy->counters.pgsteal_reclaimer += result.reclaimed;
}

static void age_kept_pages(struct buddy *buddy, unsigned node, const struct scan_control *sc)
{
	struct reclaim_result result = {0};
	if (buddy->port.reclaimer)
		ask_reclaimer(buddy, node, sc, buddy->port.reclaimer->age, &result);
}

static void end_with_kept_pages(const struct buddy *buddy, unsigned node, bool balanced)
{
	const struct page_reclaimer *reclaimer = buddy->port.reclaimer;
	if (reclaimer)
		reclaimer->end(reclaimer->context, node, balanced);
}

static uint64_t scan_slab(struct buddy *buddy, struct node *node, uint64_t wanted, unsigned cpu)
{
	uint64_t freed = 0;
	for (; freed < wanted && node->slab_pages; freed++) {
		uint32_t nr = frame_at(buddy, node->slab_cache)->prev;
		list_del(buddy, nr);
		node->slab_pages--;
		free_cache_frame(buddy, nr, cpu);
	}
	buddy->counters.slab_pages_reclaimed += freed;
	return freed;
}

/* do_shrink_slab(): what is too little for a batch is kept in mind for later passes. File systems free nothing for GFP_NOFS. */
static void shrink_slab(struct buddy *buddy, unsigned node, struct scan_control *sc)
{
	struct node *self = &buddy->nodes[node];
	uint64_t freeable = self->slab_pages, deferred = self->slab_deferred, scanned = 0;
	if (!freeable)
		return;
	uint64_t delta = (freeable >> sc->priority) * SEEKS_UNIT / DEFAULT_SEEKS;
	uint64_t total = (deferred >> sc->priority) + delta;
	if (total > 2 * freeable)
		total = 2 * freeable;
	while (sc->flags & __GFP_FS && (total >= SHRINK_BATCH || total >= freeable)) {
		uint64_t batch = total < SHRINK_BATCH ? total : SHRINK_BATCH;
		sc->reclaimed += scan_slab(buddy, self, batch, sc->cpu);
		buddy->counters.slabs_scanned += batch;
		total -= batch;
		scanned += batch;
	}
	deferred = deferred + delta > scanned ? deferred + delta - scanned : 0;
	self->slab_deferred = deferred > 2 * freeable ? 2 * freeable : deferred;
}

/* should_continue_reclaim(): a request for more than one frame goes on until compaction could take over. */
static bool should_continue(const struct buddy *buddy, unsigned node, const struct scan_control *sc, uint64_t reclaimed)
{
	if (!reclaimed || !buddy->compaction || !(sc->flags & __GFP_IO) || !sc->order ||
	    (sc->order <= PAGE_ALLOC_COSTLY_ORDER && sc->priority >= DEF_PRIORITY - 2))
		return false;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (in_node(&buddy->zones[i], node, sc->highest_zone) &&
		    compaction_suitable(&buddy->zones[i], sc->order, 0, sc->highest_zone) != COMPACT_SKIPPED)
			return false;
	const struct page_reclaimer *reclaimer = buddy->port.reclaimer;
	uint64_t kept = reclaimer ? reclaimer->inactive(reclaimer->context, node) : 0;
	return page_cache_of(buddy, node, ZONE_INDEX_NONE) + kept > compact_gap(sc->order);
}

static void shrink_node(struct buddy *buddy, unsigned node, struct scan_control *sc)
{
	uint64_t before;
	do {
		before = sc->reclaimed;
		step_run(buddy->steps, CODE_RECLAIM_PASS, buddy->cost.reclaim_pass);
		shrink_page_cache(buddy, node, sc);
		shrink_kept_pages(buddy, node, sc);
		if (!sc->unfinished)
			shrink_slab(buddy, node, sc);
		if (sc->reclaimed > before)
			buddy->nodes[node].kswapd_failures = 0;
	} while (!sc->asleep && should_continue(buddy, node, sc, sc->reclaimed - before));
}

/* --- watermarks of a node --- */

static int64_t high_watermark(const struct zone *zone)
{
	return boosted_watermark(zone, ALLOC_WMARK_HIGH);
}

/* zone_watermark_ok_safe(): where the CPUs may hold back more than lies between two marks, it counts exactly. */
static bool watermark_ok_safe(const struct buddy *buddy, const struct zone *zone, unsigned order, int64_t mark,
                              unsigned highest_zone)
{
	int64_t free_pages = zone_free_pages(zone), drift = (int64_t)buddy->cpus * zone->pcp[0].stat_threshold;
	if (drift > (int64_t)(zone->watermark[WMARK_LOW] - zone->watermark[WMARK_MIN]) &&
	    free_pages < (int64_t)zone->watermark[WMARK_HIGH] + drift)
		free_pages = free_pages_snapshot(buddy, zone);
	return watermark_ok(zone, order, mark, highest_zone, 0, free_pages);
}

/* One zone above its high mark is enough. */
static bool pgdat_balanced(const struct buddy *buddy, unsigned node, unsigned order, unsigned highest_zone)
{
	bool any = false;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (!in_node(zone, node, highest_zone))
			continue;
		any = true;
		if (watermark_ok_safe(buddy, zone, order, high_watermark(zone), highest_zone))
			return true;
	}
	return !any;
}

static bool pgdat_watermark_boosted(const struct buddy *buddy, unsigned node, unsigned highest_zone)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (in_node(&buddy->zones[i], node, highest_zone) && buddy->zones[i].watermark_boost)
			return true;
	return false;
}

/* --- direct reclaim --- */

/* So much is free that compaction should be tried instead. */
static bool compaction_ready(const struct buddy *buddy, const struct zone *zone, const struct scan_control *sc)
{
	if (!buddy->compaction || !(sc->flags & __GFP_IO))
		return false;
	enum compact_result suitable = compaction_suitable(zone, sc->order, 0, sc->highest_zone);
	if (suitable != COMPACT_CONTINUE)
		return suitable == COMPACT_SUCCESS;
	return watermark_ok_safe(buddy, zone, 0, high_watermark(zone) + (int64_t)compact_gap(sc->order), sc->highest_zone);
}

/* Nothing came free, and little is left to be tried. */
static void consider_reclaim_throttle(const struct buddy *buddy, const struct zonelist *zonelist, const struct scan_control *sc)
{
	const struct page_reclaimer *reclaimer = buddy->port.reclaimer;
	unsigned node = buddy->zones[zonelist->zones[0]].node;
	if (reclaimer && sc->priority == 1 && !sc->reclaimed && buddy->nodes[node].kswapd_failures < MAX_RECLAIM_RETRIES)
		reclaimer->no_progress(reclaimer->context, sc->cpu);
}

static void shrink_zones(struct buddy *buddy, const struct zonelist *zonelist, struct scan_control *sc)
{
	unsigned last_node = NODES_MAX;
	for (unsigned i = 0; i < zonelist->length; i++) {
		const struct zone *zone = &buddy->zones[zonelist->zones[i]];
		if (sc->order > PAGE_ALLOC_COSTLY_ORDER && compaction_ready(buddy, zone, sc)) {
			sc->compaction_ready = true;
			continue;
		}
		if (zone->node == last_node)
			continue;
		last_node = zone->node;
		shrink_node(buddy, zone->node, sc);
	}
	consider_reclaim_throttle(buddy, zonelist, sc);
}

/* allow_direct_reclaim(): more than half of the reserves of the node's lower zones is there. */
static bool allow_direct_reclaim(const struct buddy *buddy, unsigned node)
{
	int64_t reserve = 0, free_pages = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (!in_node(zone, node, buddy->gfp_zone[0]) || !zone_reclaimable_pages(buddy, zone))
			continue;
		reserve += boosted_watermark(zone, ALLOC_WMARK_MIN);
		free_pages += zone_free_pages(zone);
	}
	return !reserve || free_pages > reserve / 2 || buddy->nodes[node].kswapd_failures >= MAX_RECLAIM_RETRIES;
}

/* throttle_direct_reclaim(): the request waits for kswapd where the reserves are half gone. */
static void throttle_direct_reclaim(struct buddy *buddy, const struct request *request)
{
	unsigned node = buddy->zones[request->zonelist->zones[0]].node;
	struct node *self = &buddy->nodes[node];
	if (!buddy->kswapd_delay || allow_direct_reclaim(buddy, node))
		return;
	if (self->kswapd_highest_zone > buddy->gfp_zone[0])
		self->kswapd_highest_zone = buddy->gfp_zone[0];
	self->kswapd_awake = true;
	buddy->kswapd_countdown = 0;
	daemons_turn(buddy, request->cpu);
	while (!allow_direct_reclaim(buddy, node) && self->balancing.is_under_way) {
		buddy->port.reclaimer->wait_for_kswapd(buddy->port.reclaimer->context, node, request->cpu);
		daemons_turn(buddy, request->cpu);
	}
}

static void do_try_to_free_pages(struct buddy *buddy, const struct zonelist *zonelist, struct scan_control *sc)
{
	for (sc->priority = DEF_PRIORITY; sc->priority >= 0; sc->priority--) {
		shrink_zones(buddy, zonelist, sc);
		if (sc->reclaimed >= sc->to_reclaim || sc->compaction_ready)
			break;
	}
	unsigned last_node = NODES_MAX;
	for (unsigned i = 0; i < zonelist->length; i++) {
		unsigned node = buddy->zones[zonelist->zones[i]].node;
		if (node != last_node)
			end_with_kept_pages(buddy, node, false);
		last_node = node;
	}
}

uint64_t try_to_free_pages(struct buddy *buddy, const struct request *request)
{
	struct scan_control sc = {
	        .order = request->order,
	        .cpu = request->cpu,
	        .highest_zone = request->highest_zone,
	        .flags = request->flags,
	        .to_reclaim = SWAP_CLUSTER_MAX,
	        .may_swap = true,
	        .may_writepage = true,
	};
	step_run(buddy->steps, CODE_DIRECT_RECLAIM, buddy->cost.direct_reclaim);
	throttle_direct_reclaim(buddy, request);
	do_try_to_free_pages(buddy, request->zonelist, &sc);
	/* Active pages were left alone for the sake of the lists' balance: now they are needed. */
	if (!sc.reclaimed && !sc.compaction_ready && sc.skipped_deactivate) {
		sc.force_deactivate = true;
		do_try_to_free_pages(buddy, request->zonelist, &sc);
	}
	return sc.reclaimed ? sc.reclaimed : sc.compaction_ready;
}

/* --- kswapd --- */

void wakeup_kswapd(struct buddy *buddy, const struct zone *zone, gfp flags, unsigned order, unsigned highest_zone)
{
	struct node *self = &buddy->nodes[zone->node];
	if (!zone->managed || !buddy->kswapd_delay)
		return;
	if (self->kswapd_highest_zone == ZONE_INDEX_NONE || self->kswapd_highest_zone < highest_zone)
		self->kswapd_highest_zone = highest_zone;
	if (self->kswapd_order < order)
		self->kswapd_order = order;
	if (self->kswapd_awake)
		return;
	if (self->kswapd_failures >= MAX_RECLAIM_RETRIES || (pgdat_balanced(buddy, zone->node, order, highest_zone) &&
	                                                     !pgdat_watermark_boosted(buddy, zone->node, highest_zone))) {
		if (!(flags & __GFP_DIRECT_RECLAIM))
			wakeup_kcompactd(buddy, zone->node, order, highest_zone);
	} else {
		self->kswapd_awake = true;
		buddy->counters.kswapd_wake++;
	}
	if ((self->kswapd_awake || self->kcompactd_awake) && !buddy->kswapd_countdown)
		buddy->kswapd_countdown = buddy->kswapd_delay;
}

/* While it is set, the CPUs keep fewer pages to themselves. */
static void update_reclaim_active(struct buddy *buddy, unsigned node, unsigned highest_zone, bool active)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (in_node(&buddy->zones[i], node, highest_zone))
			buddy->zones[i].reclaim_active = active;
}

/* kswapd_shrink_node(). Returns whether it looked at as much as it would have liked to get. */
static bool kswapd_shrink_node(struct buddy *buddy, unsigned node, struct scan_control *sc)
{
	step_spend(buddy->steps, buddy->cost.kswapd_round);
	sc->to_reclaim = 0;
	sc->scanned = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (in_node(zone, node, sc->highest_zone))
			sc->to_reclaim +=
			        high_watermark(zone) > SWAP_CLUSTER_MAX ? (uint64_t)high_watermark(zone) : SWAP_CLUSTER_MAX;
	}
	shrink_node(buddy, node, sc);
	/* Enough came free that fragmentation must be to blame. */
	if (sc->order && sc->reclaimed >= compact_gap(sc->order))
		sc->order = 0;
	return sc->scanned >= sc->to_reclaim;
}

/* One pass. False: the node is balanced, or a boost alone cannot be worked off. */
static bool balance_pass(struct buddy *buddy, unsigned node, struct scan_control *sc, uint64_t *boost, bool *balanced)
{
	*balanced = pgdat_balanced(buddy, node, sc->order, sc->highest_zone);
	/* Out of balance counts for more than the boost. */
	if (!*balanced && *boost) {
		*boost = 0;
		sc->priority = DEF_PRIORITY;
	}
	if (!*boost && *balanced)
		return false;
	*balanced = false;
	bool raise = !(*boost && sc->priority == DEF_PRIORITY - 2);
	/* What a boost asks for is not worth any writing. */
	sc->may_swap = sc->may_writepage = !*boost;
	age_kept_pages(buddy, node, sc);
	if (sc->priority < DEF_PRIORITY - 2)
		sc->may_writepage = true;
	uint64_t reclaimed = sc->reclaimed;
	if (kswapd_shrink_node(buddy, node, sc))
		raise = false;
	reclaimed = sc->reclaimed - reclaimed;
	*boost -= *boost < reclaimed ? *boost : reclaimed;
	if (*boost && !reclaimed)
		return false;
	if (!sc->unfinished)
		sc->priority -= raise || !reclaimed;
	return sc->priority >= 1;
}

/* balance_pgdat() begins: for the order and the zones that kswapd was woken for since it last did. */
static void begin_balancing(struct buddy *buddy, unsigned node, unsigned highest_zone)
{
	struct node *self = &buddy->nodes[node];
	if (self->kswapd_highest_zone != ZONE_INDEX_NONE)
		highest_zone = self->kswapd_highest_zone;
	self->balancing = (struct balancing){.is_under_way = true,
	                                     .asked_order = self->kswapd_order,
	                                     .order = self->kswapd_order,
	                                     .highest_zone = highest_zone,
	                                     .priority = DEF_PRIORITY};
	self->kswapd_order = 0;
	self->kswapd_highest_zone = ZONE_INDEX_NONE;
	step_run(buddy->steps, CODE_KSWAPD_RUN, buddy->cost.kswapd_run);
	buddy->counters.kswapd_runs++;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (in_node(&buddy->zones[i], node, highest_zone))
			self->balancing.boost += self->balancing.boosts[i] = buddy->zones[i].watermark_boost;
	update_reclaim_active(buddy, node, highest_zone, true);
}

/* The boosts that it began with are worked off, and memory is likely to have come free in pieces. */
static void end_balancing(struct buddy *buddy, unsigned node)
{
	struct balancing *balancing = &buddy->nodes[node].balancing;
	bool boosted = false;
	update_reclaim_active(buddy, node, balancing->highest_zone, false);
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		struct zone *zone = &buddy->zones[i];
		uint64_t boost = balancing->boosts[i];
		boosted |= boost > 0;
		zone->watermark_boost -= zone->watermark_boost < boost ? zone->watermark_boost : boost;
	}
	if (boosted)
		wakeup_kcompactd(buddy, node, buddy->pageblock_order, balancing->highest_zone);
	balancing->is_under_way = false;
}

/*
 * balance_pgdat(): reclaims until a zone is above its high mark, then lowers the boost. False: kswapd sleeps in it, for a device,
 * and goes on with the next pass.
 */
static bool balance_pgdat(struct buddy *buddy, unsigned node, unsigned cpu)
{
	struct balancing *balancing = &buddy->nodes[node].balancing;
	struct scan_control sc = {.order = balancing->order,
	                          .cpu = cpu,
	                          .highest_zone = balancing->highest_zone,
	                          .flags = GFP_KERNEL,
	                          .priority = balancing->priority,
	                          .reclaimed = balancing->reclaimed,
	                          .kswapd = true};
	bool balanced, more;
	do
		more = balance_pass(buddy, node, &sc, &balancing->boost, &balanced);
	while (more && !sc.asleep);
	balancing->order = sc.order;
	balancing->priority = sc.priority;
	balancing->reclaimed = sc.reclaimed;
	if (more)
		return false;
	if (!balanced && !sc.reclaimed)
		buddy->nodes[node].kswapd_failures++;
	end_balancing(buddy, node);
	return true;
}

/* kswapd_try_to_sleep(): nothing is left to do, or it is of no use. */
static bool kswapd_sleeps(struct buddy *buddy, unsigned node, unsigned alloc_order, unsigned reclaim_order, unsigned highest_zone)
{
	bool hopeless = buddy->nodes[node].kswapd_failures >= MAX_RECLAIM_RETRIES;
	bool balanced = !hopeless && pgdat_balanced(buddy, node, reclaim_order, highest_zone);
	end_with_kept_pages(buddy, node, balanced);
	if (!hopeless && !balanced)
		return false;
	reset_isolation_suitable(buddy, node);
	wakeup_kcompactd(buddy, node, alloc_order, highest_zone);
	return true;
}

/* kswapd(): from its waking until it has nothing to do any more, or sleeps in the middle of it: then it stays awake to all. */
static void kswapd(struct buddy *buddy, unsigned node, unsigned cpu)
{
	struct node *self = &buddy->nodes[node];
	const struct balancing *balancing = &self->balancing;
	unsigned highest_zone = LOWMEM_RESERVE_ZONES - 1, order, reclaim_order;
	do {
		if (!balancing->is_under_way)
			begin_balancing(buddy, node, highest_zone);
		if (!balance_pgdat(buddy, node, cpu))
			return;
		highest_zone = balancing->highest_zone;
		order = balancing->asked_order;
		reclaim_order = balancing->order;
		/* Done for the order asked for, it looks whether it was asked for another while it slept. */
		if (reclaim_order >= order) {
			order = reclaim_order = self->kswapd_order;
			if (self->kswapd_highest_zone != ZONE_INDEX_NONE)
				highest_zone = self->kswapd_highest_zone;
		}
	} while (!kswapd_sleeps(buddy, node, order, reclaim_order, highest_zone));
	self->kswapd_awake = false;
}

/* It waits for a device in the middle of its work. */
static bool kswapd_waits(const struct buddy *buddy, unsigned node, unsigned cpu)
{
	const struct page_reclaimer *reclaimer = buddy->port.reclaimer;
	return buddy->nodes[node].balancing.is_under_way && reclaimer && reclaimer->kswapd_sleeps(reclaimer->context, node, cpu);
}

void daemons_turn(struct buddy *buddy, unsigned cpu)
{
	for (unsigned node = 0; node < buddy->node_count; node++) {
		if (buddy->nodes[node].kswapd_awake && !kswapd_waits(buddy, node, cpu)) {
			steps_daemon_begin(buddy->steps, DAEMON_KSWAPD);
			kswapd(buddy, node, cpu);
			steps_daemon_end(buddy->steps);
		}
		if (buddy->nodes[node].kswapd_awake)
			buddy->kswapd_countdown = buddy->kswapd_delay;
		if (buddy->nodes[node].kcompactd_awake) {
			steps_daemon_begin(buddy->steps, DAEMON_KCOMPACTD);
			kcompactd_do_work(buddy, node, cpu);
			steps_daemon_end(buddy->steps);
		}
	}
}

/* --- the start --- */

/* Allocates frames of a node for the load model; returns how many there were. */
static uint32_t take_frames(struct buddy *buddy, unsigned node, const struct request *like, uint32_t wanted, uint32_t *frames)
{
	struct request request = *like;
	uint32_t count = 0, nr;
	request.zonelist = &buddy->thisnode[node][like->highest_zone];
	while (count < wanted && (nr = get_page_from_freelist(buddy, &request, ALLOC_WMARK_HIGH)) != BLOCK_NONE)
		frames[count++] = nr;
	return count;
}

/* Ages have nothing to do with addresses. */
static void shuffle(uint32_t *frames, uint32_t count, struct rng *rng)
{
	for (uint32_t i = count; i > 1; i--) {
		uint32_t j = rng_below(rng, i), frame = frames[j];
		frames[j] = frames[i - 1];
		frames[i - 1] = frame;
	}
}

static void place_in_cache(struct buddy *buddy, uint32_t nr, bool is_file)
{
	struct frame *frame = frame_at(buddy, nr);
	struct zone *zone = &buddy->zones[frame->zone];
	struct node *node = &buddy->nodes[zone->node];
	frame->state = FRAME_CACHE;
	frame->lru = is_file;
	list_add(buddy, nr, is_file ? node->page_cache : node->slab_cache);
	zone->file_pages += is_file;
	node->slab_pages += !is_file;
	buddy->cache_pages++;
}

static void fill(struct buddy *buddy, unsigned node, bool is_file, uint32_t percent, struct rng *rng)
{
	struct request request = {
	        .type = is_file ? MIGRATE_MOVABLE : MIGRATE_RECLAIMABLE,
	        .highest_zone = buddy->gfp_zone[is_file ? __GFP_HIGHMEM | __GFP_MOVABLE : 0],
	};
	uint64_t managed = 0;
	for (unsigned i = 0; i < buddy->zone_count; i++)
		managed += buddy->zones[i].node == node ? buddy->zones[i].managed : 0;
	uint32_t wanted = (uint32_t)(managed * percent / 100);
	uint32_t *frames = xcalloc((size_t)wanted + 1, sizeof *frames);
	uint32_t count = take_frames(buddy, node, &request, wanted, frames);
	shuffle(frames, count, rng);
	for (uint32_t i = 0; i < count; i++)
		place_in_cache(buddy, frames[i], is_file);
	free(frames);
}

/* The per-CPU lists go back, so that the start is the same whatever was cut for the fill. */
void reclaim_fill(struct buddy *buddy, uint32_t page_cache_percent, uint32_t slab_percent, uint64_t seed)
{
	struct rng rng;
	bool recording = buddy->steps->recording;
	if (!page_cache_percent && !slab_percent)
		return;
	rng_init(&rng, seed, "page cache");
	buddy->steps->recording = false;
	for (unsigned node = 0; node < buddy->node_count; node++) {
		fill(buddy, node, false, slab_percent, &rng);
		fill(buddy, node, true, page_cache_percent, &rng);
	}
	drain_all_pages(buddy, 0);
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		/* That was long ago: kswapd has taken the boost back since. */
		buddy->zones[i].watermark_boost = 0;
		buddy->zones[i].boosted = false;
	}
	buddy->counters = (struct buddy_counters){0};
	buddy->steps->recording = recording;
}
