/* SPDX-License-Identifier: MIT
 *
 * slowpath.c - what a request tries when no zone stays above its low watermark: in which order, with which flags, how often.
 *
 * Algorithm: wake kswapd and try down to the mark that the flags allow. A request that may block and wants more than the costly
 * order (or does not want movable memory) lets compaction try first, without waiting. Then in rounds: try, reclaim and try,
 * compact and try, until a rule says that another round is of no use. What is left then is the high watermark (somebody may
 * have freed much), and for __GFP_NOFAIL the reserves.
 * Source: mm/page_alloc.c of Linux 6.1: __alloc_pages_slowpath, gfp_to_alloc_flags, __gfp_pfmemalloc_flags,
 * __alloc_pages_direct_compact, should_compact_retry, __alloc_pages_direct_reclaim, should_reclaim_retry,
 * __alloc_pages_may_oom, wake_all_kswapds; include/linux/gfp.h: gfp_compaction_allowed; mm/compaction.c:
 * compaction_zonelist_suitable.
 *
 * MODEL: the OOM killer is a result: it is counted (oom) and the request fails. A kernel would kill a task and try again.
 * Effect: the recording's own frees alone make room afterwards.
 * MODEL: where a kernel would go round for ever (__GFP_NOFAIL, or GFP_NOFS at the end of memory, both waiting for others), the
 * request fails, for nobody else runs meanwhile; the former is counted (nofail_failed).
 * MODEL: no task is a real-time task, an OOM victim or a reclaimer (PF_MEMALLOC); no cpusets; memory is not plugged in.
 *
 * Invariant: a request that enters leaves with a block or is counted as failed once.
 */
#include "models/kernel_code.h"
#include "models/page_allocator/request.h"

/* mm/page_alloc.c: how often compaction may succeed without the request being served; a quarter of it for costly orders. */
#define MAX_COMPACT_RETRIES 16
#define COSTLY_COMPACT_PART 4

/* What changes from round to round. */
struct effort {
	unsigned alloc_flags;
	enum compact_priority priority;
	enum compact_result compacted;
	unsigned compaction_retries, no_progress_loops;
	uint64_t progress; /* pages that this round's reclaim brought */
	bool oom;          /* the OOM killer was called */
};

enum round { ROUND_SERVED, ROUND_AGAIN, ROUND_NO_PAGE };

static bool is_costly(const struct request *request)
{
	return request->order > PAGE_ALLOC_COSTLY_ORDER;
}

static bool can_compact(const struct buddy *buddy, const struct request *request)
{
	return buddy->compaction && request->flags & __GFP_IO;
}

/* What the slow path may do. __GFP_HIGH and __GFP_KSWAPD_RECLAIM have the bits of their ALLOC_ flags. */
static unsigned gfp_to_alloc_flags(const struct request *request)
{
	unsigned alloc_flags = ALLOC_WMARK_MIN | (request->flags & (__GFP_HIGH | __GFP_KSWAPD_RECLAIM));
	if (request->flags & (__GFP_DIRECT_RECLAIM | __GFP_NOMEMALLOC))
		return alloc_flags;
	alloc_flags |= ALLOC_NON_BLOCK;
	if (request->order && alloc_flags & ALLOC_MIN_RESERVE)
		alloc_flags |= ALLOC_HIGHATOMIC;
	return alloc_flags;
}

/* gfp_pfmemalloc_allowed(): the request frees memory in the end, so it may ignore all watermarks. */
static bool may_ignore_watermarks(const struct request *request)
{
	return request->flags & __GFP_MEMALLOC && !(request->flags & __GFP_NOMEMALLOC);
}

/* Once for each run of zones of one node. */
static void wake_all_kswapds(struct buddy *buddy, const struct request *request)
{
	unsigned last_node = NODES_MAX;
	for (unsigned i = 0; i < request->zonelist->length; i++) {
		const struct zone *zone = &buddy->zones[request->zonelist->zones[i]];
		if (!zone->managed || zone->node == last_node)
			continue;
		wakeup_kswapd(buddy, zone, request->flags, request->order, request->highest_zone);
		last_node = zone->node;
	}
}

/* Compacts and tries. The effort's last result stays where nothing was compacted because the order is 0. */
static uint32_t direct_compact(struct buddy *buddy, const struct request *request, struct effort *effort)
{
	uint32_t nr = BLOCK_NONE;
	if (!request->order)
		return BLOCK_NONE;
	effort->compacted = try_to_compact_pages(buddy, request, effort->alloc_flags, effort->priority, &nr);
	if (effort->compacted == COMPACT_SKIPPED)
		return BLOCK_NONE;
	buddy->counters.compact_stall++;
	if (nr != BLOCK_NONE) {
		hand_out(buddy, &buddy->zones[frame_at(buddy, nr)->zone], nr, request->order, request->flags, request->cpu);
		buddy->counters.alloc_captured++;
	} else {
		nr = get_page_from_freelist(buddy, request, effort->alloc_flags);
	}
	if (nr == BLOCK_NONE) {
		buddy->counters.compact_fail++;
		return BLOCK_NONE;
	}
	struct zone *zone = &buddy->zones[frame_at(buddy, nr)->zone];
	zone->compact_blockskip_flush = false;
	compaction_defer_reset(zone, request->order, true);
	buddy->counters.compact_success++;
	return nr;
}

/* Reclaims and, if that brought anything, tries; the second time with the per-CPU lists and spare reserves given back. */
static uint32_t direct_reclaim(struct buddy *buddy, const struct request *request, struct effort *effort)
{
	buddy->counters.allocstall++;
	effort->progress = try_to_free_pages(buddy, request);
	if (!effort->progress)
		return BLOCK_NONE;
	uint32_t nr = get_page_from_freelist(buddy, request, effort->alloc_flags);
	if (nr != BLOCK_NONE)
		return nr;
	unreserve_highatomic_pageblock(buddy, request->zonelist, request->type, false);
	drain_all_pages(buddy, request->cpu);
	buddy->counters.pcp_drain_all++;
	return get_page_from_freelist(buddy, request, effort->alloc_flags);
}

/* Some zone would serve if everything reclaimable in it were free. */
static bool could_serve(const struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	for (unsigned i = 0; i < request->zonelist->length; i++) {
		const struct zone *zone = &buddy->zones[request->zonelist->zones[i]];
		int64_t available = (int64_t)zone_reclaimable_pages(buddy, zone) + free_pages_snapshot(buddy, zone);
		if (watermark_ok(zone, request->order, boosted_watermark(zone, ALLOC_WMARK_MIN), request->highest_zone,
		                 alloc_flags, available))
			return true;
	}
	return false;
}

/* Go round again if reclaim brings something or may yet; at last if a highatomic reserve could be given up. */
static bool should_reclaim_retry(struct buddy *buddy, const struct request *request, struct effort *effort)
{
	if (effort->progress && !is_costly(request))
		effort->no_progress_loops = 0;
	else
		effort->no_progress_loops++;
	if (effort->no_progress_loops <= MAX_RECLAIM_RETRIES && could_serve(buddy, request, effort->alloc_flags))
		return true;
	return unreserve_highatomic_pageblock(buddy, request->zonelist, request->type, true);
}

/* With a part of what is reclaimable some zone would have room to compact. */
static bool compaction_zonelist_suitable(const struct buddy *buddy, const struct request *request, unsigned alloc_flags)
{
	for (unsigned i = 0; i < request->zonelist->length; i++) {
		const struct zone *zone = &buddy->zones[request->zonelist->zones[i]];
		int64_t available = (int64_t)(zone_reclaimable_pages(buddy, zone) / request->order);
		available += free_pages_snapshot(buddy, zone);
		if (compaction_suitable_with(zone, request->order, alloc_flags, request->highest_zone, available) ==
		    COMPACT_CONTINUE)
			return true;
	}
	return false;
}

/* The next round compacts with more effort, if there is more; costly orders never have full effort. */
static bool raise_priority(const struct request *request, struct effort *effort)
{
	enum compact_priority highest = is_costly(request) ? COMPACT_PRIO_SYNC_LIGHT : COMPACT_PRIO_SYNC_FULL;
	if (effort->priority <= highest)
		return false;
	effort->priority--;
	effort->compaction_retries = 0;
	return true;
}

static bool should_compact_retry(const struct buddy *buddy, const struct request *request, struct effort *effort)
{
	unsigned max_retries = is_costly(request) ? MAX_COMPACT_RETRIES / COSTLY_COMPACT_PART : MAX_COMPACT_RETRIES;
	if (!request->order)
		return false;
	if (effort->compacted == COMPACT_SKIPPED)
		return compaction_zonelist_suitable(buddy, request, effort->alloc_flags);
	/* It said that a block is there, and somebody's watermark or another's request was in the way. */
	if (effort->compacted == COMPACT_SUCCESS && ++effort->compaction_retries <= max_retries)
		return true;
	return raise_priority(request, effort);
}

/* __alloc_pages_may_oom(): the last try, and the OOM killer for those whom it may help. */
static uint32_t may_oom(struct buddy *buddy, const struct request *request, struct effort *effort)
{
	uint32_t nr = get_page_from_freelist(buddy, request, ALLOC_WMARK_HIGH);
	if (nr != BLOCK_NONE || is_costly(request) || request->flags & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE) ||
	    request->highest_zone < buddy->gfp_zone[0])
		return nr;
	effort->oom |= (request->flags & __GFP_FS) != 0;
	if (request->flags & __GFP_NOFAIL)
		nr = get_page_from_freelist(buddy, request, ALLOC_NO_WATERMARKS);
	return nr;
}

/* One round: try, reclaim, compact, and the rules that say whether to go on. */
static enum round one_round(struct buddy *buddy, const struct request *request, struct effort *effort, uint32_t *nr)
{
	if (effort->alloc_flags & ALLOC_KSWAPD)
		wake_all_kswapds(buddy, request);
	if (may_ignore_watermarks(request))
		effort->alloc_flags = ALLOC_NO_WATERMARKS | (effort->alloc_flags & ALLOC_KSWAPD);
	if ((*nr = get_page_from_freelist(buddy, request, effort->alloc_flags)) != BLOCK_NONE)
		return ROUND_SERVED;
	if (!(request->flags & __GFP_DIRECT_RECLAIM))
		return ROUND_NO_PAGE;
	if ((*nr = direct_reclaim(buddy, request, effort)) != BLOCK_NONE)
		return ROUND_SERVED;
	if ((*nr = direct_compact(buddy, request, effort)) != BLOCK_NONE)
		return ROUND_SERVED;
	if (request->flags & __GFP_NORETRY)
		return ROUND_NO_PAGE;
	if (is_costly(request) && !(can_compact(buddy, request) && request->flags & __GFP_RETRY_MAYFAIL))
		return ROUND_NO_PAGE;
	if (should_reclaim_retry(buddy, request, effort))
		return ROUND_AGAIN;
	if (effort->progress && can_compact(buddy, request) && should_compact_retry(buddy, request, effort))
		return ROUND_AGAIN;
	if ((*nr = may_oom(buddy, request, effort)) != BLOCK_NONE)
		return ROUND_SERVED;
	return ROUND_NO_PAGE;
}

/* Where the rounds end without a page: __GFP_NOFAIL may use a part of the reserves, then would go round again. */
static uint32_t no_page(struct buddy *buddy, const struct request *request)
{
	uint32_t nr = BLOCK_NONE;
	if (!(request->flags & __GFP_NOFAIL && request->flags & __GFP_DIRECT_RECLAIM))
		return BLOCK_NONE;
	nr = get_page_from_freelist(buddy, request, ALLOC_MIN_RESERVE);
	return nr;
}

/* Compaction before reclaim: most likely there are frames enough for a costly order, and others should not mix pageblocks. */
static bool compacts_first(const struct buddy *buddy, const struct request *request)
{
	return request->flags & __GFP_DIRECT_RECLAIM && can_compact(buddy, request) &&
	       (is_costly(request) || (request->order && request->type != MIGRATE_MOVABLE)) && !may_ignore_watermarks(request);
}

/* A costly request that must not insist stops where that compaction found no room, failed not long ago, or is to stay near. */
static bool gives_up_early(const struct request *request, const struct effort *effort)
{
	return is_costly(request) && request->flags & __GFP_NORETRY &&
	       (effort->compacted == COMPACT_SKIPPED || effort->compacted == COMPACT_DEFERRED || request->flags & __GFP_THISNODE);
}

static uint64_t reclaimed_pages(const struct buddy *buddy)
{
	const struct buddy_counters *counters = &buddy->counters;
	return counters->pgsteal_kswapd + counters->pgsteal_direct + counters->slab_pages_reclaimed;
}

/* Rounds until one serves or nothing moves any more. __GFP_NOFAIL goes on as long as reclaim frees pages. */
static uint32_t go_round(struct buddy *buddy, const struct request *request, struct effort *effort)
{
	uint32_t nr = BLOCK_NONE;
	for (;;) {
		uint64_t reclaimed = reclaimed_pages(buddy);
		effort->progress = 0;
		enum round round = one_round(buddy, request, effort, &nr);
		if (round == ROUND_SERVED)
			return nr;
		if (round == ROUND_AGAIN)
			continue;
		nr = no_page(buddy, request);
		if (nr != BLOCK_NONE || !(request->flags & __GFP_NOFAIL) || reclaimed_pages(buddy) == reclaimed)
			return nr;
	}
}

static uint32_t try_slowpath(struct buddy *buddy, struct request *request, struct effort *effort)
{
	/* Atomic and blocking at once contradict each other; the kernel warns and takes it as blocking. */
	if ((request->flags & (__GFP_ATOMIC | __GFP_DIRECT_RECLAIM)) == (__GFP_ATOMIC | __GFP_DIRECT_RECLAIM))
		request->flags &= ~(gfp)__GFP_ATOMIC;
	effort->alloc_flags = gfp_to_alloc_flags(request);
	if (!request->zonelist->length)
		return BLOCK_NONE;
	if (effort->alloc_flags & ALLOC_KSWAPD) {
		buddy->counters.kswapd_wake_slowpath++;
		wake_all_kswapds(buddy, request);
	}
	uint32_t nr = get_page_from_freelist(buddy, request, effort->alloc_flags);
	if (nr != BLOCK_NONE)
		return nr;
	if (compacts_first(buddy, request)) {
		effort->priority = COMPACT_PRIO_ASYNC;
		nr = direct_compact(buddy, request, effort);
		if (nr != BLOCK_NONE)
			return nr;
		/* Rounds wait for what they move, but for a costly request that must not insist. */
		bool early = gives_up_early(request, effort);
		if (early || !is_costly(request) || !(request->flags & __GFP_NORETRY))
			effort->priority = COMPACT_PRIO_SYNC_LIGHT;
		if (early)
			nr = no_page(buddy, request);
		if (nr != BLOCK_NONE || (early && !(request->flags & __GFP_NOFAIL)))
			return nr;
	}
	return go_round(buddy, request, effort);
}

uint32_t alloc_slowpath(struct buddy *buddy, struct request *request)
{
	buddy->counters.allocslow++;
	step_run(buddy->steps, CODE_PAGE_SLOWPATH, buddy->cost.page_slowpath);
	struct effort effort = {.priority = COMPACT_PRIO_SYNC_LIGHT, .compacted = COMPACT_SKIPPED};
	uint32_t nr = try_slowpath(buddy, request, &effort);
	buddy->counters.oom += effort.oom;
	if (nr != BLOCK_NONE) {
		buddy->counters.allocslow_success++;
		return nr;
	}
	buddy->counters.allocslow_fail++;
	buddy->counters.nofail_failed += (request->flags & __GFP_NOFAIL) != 0;
	return BLOCK_NONE;
}
