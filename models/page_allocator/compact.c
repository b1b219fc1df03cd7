/* SPDX-License-Identifier: MIT
 *
 * compact.c - compaction: moves pages from the bottom of a zone to free frames at its top, until a free block of the wanted order
 * has come together.
 *
 * Algorithm: two scanners. The migrate scanner goes up through the zone and isolates movable pages, up to 32 at a time; the
 * free scanner comes down from the zone's end and isolates free frames for them to move to. Both begin where the last run
 * ended, skip pageblocks that had nothing to give, and look first at free lists for a pageblock worth starting with. Done when
 * a block is free, nothing when the scanners meet; then the zone is left alone for 1, 2, 4 .. 64 requests (deferral).
 * Source: mm/compaction.c of Linux 6.1 (function names below are its own); mm/migrate.c: migrate_pages; mm/vmstat.c:
 * fragmentation_index; include/linux/compaction.h.
 *
 * MODEL: movable are single frames that were allocated with __GFP_MOVABLE in the simulation, if their owner takes notice of moves
 * (page_allocator.moved), and page cache of the load model. Pages in use since before the start stay. All that is isolated can be
 * moved: no page is locked, pinned, dirty or under writeback. Effect: compaction after the start does a little better, on pages
 * from before it worse, than a kernel's.
 * MODEL: movable pages of a recording count as anonymous: they move for GFP_NOFS requests too; page cache of the load model
 * does not.
 * MODEL: nobody contends for a lock, no signal comes and no reschedule is due, so a scan never ends early for that; a page is on
 * its LRU list as soon as it is allocated. There is no proactive compaction (vm.compaction_proactiveness 0).
 *
 * Invariant: what was isolated has been moved, put back or released when compact_zone() ends.
 */
#include "models/page_allocator/request.h"

/* mm/compaction.c: COMPACT_MAX_DEFER_SHIFT; include/linux/swap.h: COMPACT_CLUSTER_MAX. */
#define COMPACT_MAX_DEFER_SHIFT 6
#define COMPACT_CLUSTER_MAX 32
/* mm/compaction.c: sysctl_extfrag_threshold, in 1/1000. */
#define EXTFRAG_THRESHOLD 500
#define FRAGMENTATION_UNIT 1000
/* A block was there all the time. */
#define FRAGMENTATION_NONE (-FRAGMENTATION_UNIT)
/* No start of a fast search is known any more (ULONG_MAX in the kernel). */
#define FAST_START_USED UINT32_MAX

/* One run over one zone (struct compact_control). Isolated frames are stacks through frame.next. */
struct compact_control {
	struct buddy *buddy;
	struct zone *zone;
	unsigned order, type, cpu, alloc_flags, highest_zone;
	gfp flags;
	bool async, direct;
	bool whole_zone;
	bool everywhere;      /* pageblocks marked to be skipped, or not movable, are looked at too */
	bool rescan;          /* this pageblock was scanned just before */
	uint32_t migrate_pfn; /* the scanners */
	uint32_t free_pfn;
	uint32_t fast_start_pfn;
	unsigned fast_search_fail;
	int search_order;
	uint32_t freepages, migratepages; /* top of the stacks, BLOCK_NONE if empty */
	uint32_t nr_freepages, nr_migratepages;
};

/* --- deferral --- */

static void defer_compaction(struct zone *zone, unsigned order)
{
	zone->compact_considered = 0;
	if (zone->compact_defer_shift < COMPACT_MAX_DEFER_SHIFT)
		zone->compact_defer_shift++;
	if (order < zone->compact_order_failed)
		zone->compact_order_failed = order;
}

static bool compaction_deferred(struct zone *zone, unsigned order)
{
	uint32_t limit = 1u << zone->compact_defer_shift;
	if (order < zone->compact_order_failed)
		return false;
	if (++zone->compact_considered < limit)
		return true;
	zone->compact_considered = limit;
	return false;
}

void compaction_defer_reset(struct zone *zone, unsigned order, bool alloc_success)
{
	if (alloc_success) {
		zone->compact_considered = 0;
		zone->compact_defer_shift = 0;
	}
	if (order >= zone->compact_order_failed)
		zone->compact_order_failed = order + 1;
}

/* The zone has been left alone for as long as it ever is. */
static bool compaction_restarting(const struct zone *zone, unsigned order)
{
	return order >= zone->compact_order_failed && zone->compact_defer_shift == COMPACT_MAX_DEFER_SHIFT &&
	       zone->compact_considered >= 1u << zone->compact_defer_shift;
}

/* --- pageblocks --- */

static uint32_t pageblock_start(const struct buddy *buddy, uint32_t nr)
{
	return nr & ~(pageblock_frames(buddy) - 1);
}

static uint32_t pageblock_end(const struct buddy *buddy, uint32_t nr)
{
	return pageblock_start(buddy, nr) + pageblock_frames(buddy);
}

/* The end of the aligned block of an order that a frame lies in. */
static uint32_t block_end(uint32_t nr, unsigned order)
{
	return (nr | ((1u << order) - 1)) + 1;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static bool is_skipped(const struct buddy *buddy, const struct zone *zone, uint32_t nr)
{
	return zone->pageblock_skip[pageblock_index(buddy, zone, nr)];
}

static void set_skip(const struct buddy *buddy, struct zone *zone, uint32_t nr, bool skip)
{
	zone->pageblock_skip[pageblock_index(buddy, zone, nr)] = skip;
}

static bool isolation_suitable(const struct compact_control *cc, uint32_t nr)
{
	return cc->everywhere || !is_skipped(cc->buddy, cc->zone, nr);
}

/* pageblock_pfn_to_page(): the part of the zone is memory. */
static bool is_memory(const struct compact_control *cc, uint32_t nr)
{
	return zone_spans(cc->zone, nr) && pageblock_type(cc->buddy, cc->zone, nr) != PAGEBLOCK_ABSENT;
}

/* The frames of the compound block that begins here; 0 if none does. */
static uint32_t compound_frames(const struct frame *frame)
{
	return frame->state == FRAME_ALLOCATED && frame->compound ? 1u << frame->order : 0;
}

/* pageblock_skip_persistent(): a compound block of a whole pageblock or more will not go away. */
static bool is_one_compound(const struct buddy *buddy, uint32_t nr)
{
	for (unsigned order = buddy->pageblock_order; order < ORDERS; order++)
		if (compound_frames(frame_at(buddy, nr & ~((1u << order) - 1))) >= 1u << order)
			return true;
	return false;
}

static bool suitable_migration_source(const struct compact_control *cc, uint32_t nr)
{
	if (is_one_compound(cc->buddy, nr))
		return false;
	return !cc->async || !cc->direct || pageblock_type(cc->buddy, cc->zone, nr) == cc->type;
}

static bool suitable_migration_target(const struct compact_control *cc, uint32_t nr)
{
	const struct frame *frame = frame_at(cc->buddy, nr);
	if (frame->state == FRAME_BUDDY && frame->order >= cc->buddy->pageblock_order)
		return false;
	return cc->everywhere || pageblock_type(cc->buddy, cc->zone, nr) == MIGRATE_MOVABLE;
}

static void reset_cached_positions(const struct buddy *buddy, struct zone *zone)
{
	zone->compact_cached_migrate_pfn[0] = zone->start_pfn;
	zone->compact_cached_migrate_pfn[1] = zone->start_pfn;
	zone->compact_cached_free_pfn = pageblock_start(buddy, zone->end_pfn - 1);
}

/* __reset_isolation_pfn(): clears a pageblock's mark if a look at every eighth frame finds something to move, or free. */
static bool reset_isolation_pfn(struct buddy *buddy, struct zone *zone, uint32_t nr, bool check_source, bool check_target)
{
	if (!zone_spans(zone, nr) || pageblock_type(buddy, zone, nr) == PAGEBLOCK_ABSENT || is_one_compound(buddy, nr))
		return false;
	if (check_source && check_target && !is_skipped(buddy, zone, nr))
		return true;
	if (!check_source && check_target && pageblock_type(buddy, zone, nr) != MIGRATE_MOVABLE)
		return false;
	uint32_t at = larger(pageblock_start(buddy, nr), zone->start_pfn);
	uint32_t last = smaller(pageblock_end(buddy, nr), zone->end_pfn) - 1;
	for (; at <= last; at += 1u << PAGE_ALLOC_COSTLY_ORDER) {
		const struct frame *frame = frame_at(buddy, at);
		if ((check_source && frame->lru) || (check_target && frame->state == FRAME_BUDDY)) {
			set_skip(buddy, zone, nr, false);
			return true;
		}
	}
	return false;
}

/* __reset_isolation_suitable(): from both ends, and the scanners begin at the outermost pageblocks with something in them. */
static void reset_zone(struct buddy *buddy, struct zone *zone)
{
	uint32_t migrate_pfn = zone->start_pfn, free_pfn = zone->end_pfn - 1;
	uint32_t reset_migrate = free_pfn, reset_free = migrate_pfn;
	bool source_set = false, free_set = false;
	if (!zone->compact_blockskip_flush)
		return;
	zone->compact_blockskip_flush = false;
	while (migrate_pfn < free_pfn) {
		if (reset_isolation_pfn(buddy, zone, migrate_pfn, true, source_set) && migrate_pfn < reset_migrate) {
			source_set = true;
			reset_migrate = migrate_pfn;
			zone->compact_init_migrate_pfn = reset_migrate;
			zone->compact_cached_migrate_pfn[0] = reset_migrate;
			zone->compact_cached_migrate_pfn[1] = reset_migrate;
		}
		if (reset_isolation_pfn(buddy, zone, free_pfn, free_set, true) && free_pfn > reset_free) {
			free_set = true;
			reset_free = free_pfn;
			zone->compact_init_free_pfn = reset_free;
			zone->compact_cached_free_pfn = reset_free;
		}
		migrate_pfn += pageblock_frames(buddy);
		free_pfn = free_pfn > pageblock_frames(buddy) ? free_pfn - pageblock_frames(buddy) : 0;
	}
	if (reset_migrate >= reset_free) {
		zone->compact_cached_migrate_pfn[0] = migrate_pfn;
		zone->compact_cached_migrate_pfn[1] = migrate_pfn;
		zone->compact_cached_free_pfn = free_pfn;
	}
}

void reset_isolation_suitable(struct buddy *buddy, unsigned node)
{
	for (unsigned i = 0; i < buddy->zone_count; i++)
		if (buddy->zones[i].node == node && buddy->zones[i].present)
			reset_zone(buddy, &buddy->zones[i]);
}

static void update_cached_migrate(const struct compact_control *cc, uint32_t nr)
{
	uint32_t *cached = cc->zone->compact_cached_migrate_pfn;
	/* A whole pageblock on: the kernel rounds up beyond a boundary too. */
	nr = pageblock_end(cc->buddy, nr);
	if (nr > cached[0])
		cached[0] = nr;
	if (!cc->async && nr > cached[1])
		cached[1] = nr;
}

/* --- stacks of isolated frames --- */

static void push(const struct buddy *buddy, uint32_t *stack, uint32_t nr)
{
	frame_at(buddy, nr)->next = *stack;
	*stack = nr;
}

static uint32_t pop(const struct buddy *buddy, uint32_t *stack)
{
	uint32_t nr = *stack;
	*stack = frame_at(buddy, nr)->next;
	return nr;
}

/* --- the free scanner --- */

/* Takes a free block; its frames lie on the stack in their order, the last on top (split_map_pages). 0 if it must stay. */
static uint32_t isolate_block(struct compact_control *cc, uint32_t nr)
{
	uint32_t frames = 1u << frame_at(cc->buddy, nr)->order;
	if (!isolate_free_page(cc->buddy, cc->zone, nr, cc->cpu))
		return 0;
	for (uint32_t i = 0; i < frames; i++)
		push(cc->buddy, &cc->freepages, nr + i);
	cc->nr_freepages += frames;
	return frames;
}

/* Isolates free blocks from *start on until there are as many frames as pages to move; *start is where it ended. */
static uint32_t isolate_freepages_block(struct compact_control *cc, uint32_t *start, uint32_t end, uint32_t stride)
{
	struct buddy *buddy = cc->buddy;
	uint32_t at = *start, isolated = 0;
	step_lock_irqsave(buddy->steps, zone_lock_address(cc->zone));
	for (; at < end; at += stride) {
		const struct frame *frame = frame_at(buddy, at);
		uint32_t compound = compound_frames(frame);
		step_read(buddy->steps, layout_struct_page(buddy->layout, pfn_of(at)), buddy->layout->page_struct_bytes);
		buddy->counters.compact_free_scanned++;
		if (compound)
			at += compound - 1;
		if (frame->state != FRAME_BUDDY)
			continue;
		uint32_t frames = isolate_block(cc, at);
		if (!frames)
			break;
		buddy->counters.compact_free_scanned += frames - 1;
		isolated += frames;
		if (cc->nr_migratepages <= cc->nr_freepages) {
			at += frames;
			break;
		}
		at += frames - 1;
	}
	step_unlock_irqrestore(buddy->steps, zone_lock_address(cc->zone));
	*start = smaller(at, end);
	return isolated;
}

/* Half as many blocks after each search in vain. */
static uint32_t freelist_scan_limit(const struct compact_control *cc)
{
	return cc->fast_search_fail < 32 ? ((uint32_t)COMPACT_CLUSTER_MAX >> cc->fast_search_fail) + 1 : 1;
}

/* The list turned so that this block comes first (move_freelist_head). */
static void turn_to_head(struct buddy *buddy, uint32_t list, uint32_t nr)
{
	if (nr == list || frame_at(buddy, list)->next == nr)
		return;
	list_del(buddy, list);
	list_add_tail(buddy, list, nr);
}

/* The list turned so that this block comes last (move_freelist_tail). */
static void turn_to_tail(struct buddy *buddy, uint32_t list, uint32_t nr)
{
	if (frame_at(buddy, list)->prev == nr)
		return;
	list_del(buddy, list);
	list_add(buddy, list, nr);
}

static void fast_isolate_around(struct compact_control *cc, uint32_t nr)
{
	struct buddy *buddy = cc->buddy;
	if (cc->nr_freepages >= cc->nr_migratepages || (cc->direct && cc->async))
		return;
	uint32_t start = larger(pageblock_start(buddy, nr), cc->zone->start_pfn), first = start;
	uint32_t end = smaller(pageblock_end(buddy, nr), cc->zone->end_pfn);
	if (!is_memory(cc, start))
		return;
	isolate_freepages_block(cc, &start, end, 1);
	if (cc->nr_freepages < cc->nr_migratepages)
		set_skip(buddy, cc->zone, first, true);
}

/* The next smaller order, round and round; -1 after all orders, and the next search begins one lower. */
static int next_search_order(struct compact_control *cc, int order)
{
	order--;
	if (order < 0)
		order = (int)cc->order - 1;
	if (order != cc->search_order)
		return order;
	if (--cc->search_order < 0)
		cc->search_order = (int)cc->order - 1;
	return -1;
}

/* A search of the free lists for a block high up in the zone. */
struct fast_search {
	uint32_t low_pfn, min_pfn; /* from low_pfn on is good, from min_pfn on will do */
	uint32_t highest;          /* pageblock of the highest block seen; 0: none */
	uint32_t limit;            /* how many blocks of a list to look at */
	uint32_t scanned;
};

/* Looks at one list, from its tail. BLOCK_NONE if nothing there will do. */
static uint32_t search_list(struct compact_control *cc, struct fast_search *search, unsigned order, uint32_t *order_scanned)
{
	struct buddy *buddy = cc->buddy;
	uint32_t list = list_head_of(cc->zone, order, MIGRATE_MOVABLE);
	uint32_t found = BLOCK_NONE, high_pfn = 0, nr = frame_at(buddy, list)->prev;
	for (; nr != list; nr = frame_at(buddy, nr)->prev) {
		(*order_scanned)++;
		search->scanned++;
		if (nr >= search->highest)
			search->highest = larger(pageblock_start(buddy, nr), cc->zone->start_pfn);
		if (nr >= search->low_pfn) {
			cc->fast_search_fail = 0;
			cc->search_order = (int)order;
			found = nr;
			break;
		}
		if (nr >= search->min_pfn && nr > high_pfn) {
			high_pfn = nr;
			search->limit >>= 1;
		}
		if (*order_scanned >= search->limit)
			break;
	}
	if (found == BLOCK_NONE && high_pfn)
		found = nr = high_pfn;
	turn_to_head(buddy, list, nr);
	return found;
}

static bool has_free_block(const struct zone *zone, unsigned order)
{
	for (unsigned type = 0; type < MIGRATE_TYPES; type++)
		if (zone->nonempty[type] >> order & 1)
			return true;
	return false;
}

static uint32_t search_orders(struct compact_control *cc, struct fast_search *search)
{
	uint32_t found = BLOCK_NONE;
	if ((int)cc->order - 1 < cc->search_order)
		cc->search_order = (int)cc->order - 1;
	for (int order = cc->search_order; found == BLOCK_NONE && order >= 0; order = next_search_order(cc, order)) {
		uint32_t order_scanned = 0;
		if (!has_free_block(cc->zone, (unsigned)order))
			continue;
		found = search_list(cc, search, (unsigned)order, &order_scanned);
		if (found != BLOCK_NONE) {
			uint32_t frames = isolate_block(cc, found);
			search->scanned += frames ? frames - 1 : 0;
			if (!frames) {
				order = cc->search_order + 1;
				found = BLOCK_NONE;
			}
		}
		if (order_scanned >= search->limit)
			search->limit = larger(1, search->limit >> 1);
	}
	return found;
}

/* Where the linear scan shall begin when the fast search at a scan's start found no block. */
static uint32_t start_of_linear_scan(struct compact_control *cc, const struct fast_search *search)
{
	if (search->highest >= search->min_pfn) {
		cc->free_pfn = search->highest;
		return search->highest;
	}
	if (!cc->direct || search->min_pfn >= cc->buddy->port.end_pfn)
		return BLOCK_NONE;
	cc->free_pfn = search->min_pfn;
	return is_memory(cc, search->min_pfn) ? search->min_pfn : BLOCK_NONE;
}

static void fast_isolate_freepages(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	uint32_t distance = cc->free_pfn - cc->migrate_pfn;
	uint32_t limit = larger(1, freelist_scan_limit(cc) >> 1);
	bool scan_start = cc->free_pfn >= cc->zone->compact_init_free_pfn;
	struct fast_search search = {
	        .low_pfn = pageblock_start(buddy, cc->free_pfn - (distance >> 2)),
	        .min_pfn = pageblock_start(buddy, cc->free_pfn - (distance >> 1)),
	        .limit = scan_start ? pageblock_frames(buddy) / 2 : limit,
	};
	uint32_t found = search_orders(cc, &search);
	if (found == BLOCK_NONE) {
		cc->fast_search_fail++;
		if (scan_start)
			found = start_of_linear_scan(cc, &search);
	}
	if (search.highest && search.highest >= cc->zone->compact_cached_free_pfn)
		cc->zone->compact_cached_free_pfn = search.highest - smaller(search.highest, pageblock_frames(buddy));
	buddy->counters.compact_free_scanned += search.scanned;
	if (found != BLOCK_NONE)
		fast_isolate_around(cc, found);
}

/* One pageblock of the linear scan. True: the scan ends here; *next is where the next one begins. */
static bool scan_for_free(struct compact_control *cc, uint32_t start, uint32_t end, uint32_t *next, uint32_t *stride)
{
	struct buddy *buddy = cc->buddy;
	if (!is_memory(cc, start) || !suitable_migration_target(cc, start) || !isolation_suitable(cc, start))
		return false;
	uint32_t isolated = isolate_freepages_block(cc, next, end, *stride);
	if (*next == end) {
		set_skip(buddy, cc->zone, start, true);
		if (start < cc->zone->compact_cached_free_pfn)
			cc->zone->compact_cached_free_pfn = start;
	}
	if (cc->nr_freepages >= cc->nr_migratepages) {
		if (*next >= end)
			*next = start - pageblock_frames(buddy);
		return true;
	}
	if (*next < end)
		return true;
	*stride = isolated ? 1 : smaller(COMPACT_CLUSTER_MAX, *stride << 1);
	return false;
}

static void isolate_freepages(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	fast_isolate_freepages(cc);
	if (cc->nr_freepages)
		return;
	uint32_t next = cc->free_pfn, start = pageblock_start(buddy, next), low = pageblock_end(buddy, cc->migrate_pfn);
	uint32_t end = smaller(start + pageblock_frames(buddy), cc->zone->end_pfn);
	uint32_t stride = cc->async ? COMPACT_CLUSTER_MAX : 1;
	while (start >= low && !scan_for_free(cc, start, end, &next, &stride)) {
		end = start;
		start -= pageblock_frames(buddy);
		next = start;
	}
	cc->free_pfn = next;
}

/* --- the migrate scanner --- */

static bool is_movable(const struct compact_control *cc, const struct frame *frame)
{
	if (!frame->lru)
		return false;
	if (frame->state == FRAME_CACHE)
		return cc->flags & __GFP_FS;
	return frame->state == FRAME_ALLOCATED && cc->buddy->port.moved.tell;
}

static void isolate_page(struct compact_control *cc, uint32_t nr)
{
	struct frame *frame = frame_at(cc->buddy, nr);
	if (frame->state == FRAME_CACHE)
		list_del(cc->buddy, nr);
	frame->lru = false;
	push(cc->buddy, &cc->migratepages, nr);
	cc->nr_migratepages++;
	cc->buddy->counters.compact_isolated_migrate++;
}

/* A page is back on its LRU list, as the youngest. */
static void put_on_lru(struct buddy *buddy, uint32_t nr)
{
	struct frame *frame = frame_at(buddy, nr);
	frame->lru = true;
	if (frame->state == FRAME_CACHE)
		list_add(buddy, nr, buddy->nodes[buddy->zones[frame->zone].node].page_cache);
}

static void putback_movable_pages(struct compact_control *cc)
{
	while (cc->migratepages != BLOCK_NONE) {
		put_on_lru(cc->buddy, pop(cc->buddy, &cc->migratepages));
		cc->buddy->counters.compact_putback++;
	}
	cc->nr_migratepages = 0;
}

/* A scan of a pageblock, or the rest of one, for pages to move. */
struct migrate_scan {
	uint32_t low, end;
	uint32_t next_skip; /* where the aligned block of the wanted order ends */
	uint32_t isolated;
	bool skip_on_failure; /* one page that cannot move spoils its block */
	bool valid;           /* the pageblock's mark was looked at */
	bool skip_updated;    /* ... and set */
};

static void isolate_failed(struct compact_control *cc, struct migrate_scan *scan)
{
	if (!scan->skip_on_failure)
		return;
	if (scan->isolated) {
		putback_movable_pages(cc);
		scan->isolated = 0;
	}
	if (scan->low < scan->next_skip) {
		scan->low = scan->next_skip - 1;
		scan->next_skip += 1u << cc->order;
	}
}

/* test_and_set_skip(): marks the pageblock; true if it was marked by somebody else. */
static bool test_and_set_skip(struct compact_control *cc, uint32_t nr)
{
	if (cc->everywhere || nr & (pageblock_frames(cc->buddy) - 1))
		return false;
	bool skip = is_skipped(cc->buddy, cc->zone, nr);
	set_skip(cc->buddy, cc->zone, nr, true);
	return skip;
}

enum scan_step { SCAN_ON, SCAN_FULL, SCAN_ABORT };

/* Looks at one frame. */
static enum scan_step scan_frame(struct compact_control *cc, struct migrate_scan *scan)
{
	struct buddy *buddy = cc->buddy;
	const struct frame *frame = frame_at(buddy, scan->low);
	buddy->counters.compact_migrate_scanned++;
	step_read(buddy->steps, layout_struct_page(buddy->layout, pfn_of(scan->low)), buddy->layout->page_struct_bytes);
	if (!scan->valid && !(scan->low & (pageblock_frames(buddy) - 1))) {
		if (!isolation_suitable(cc, scan->low)) {
			scan->low = scan->end;
			return SCAN_ABORT;
		}
		scan->valid = true;
	}
	if (frame->state == FRAME_BUDDY) {
		scan->low += (1u << frame->order) - 1;
		return SCAN_ON;
	}
	if (compound_frames(frame) || !is_movable(cc, frame)) {
		scan->low += compound_frames(frame) ? compound_frames(frame) - 1 : 0;
		isolate_failed(cc, scan);
		return SCAN_ON;
	}
	if (!scan->skip_updated) {
		scan->skip_updated = true;
		if (test_and_set_skip(cc, scan->low))
			return SCAN_ABORT;
	}
	isolate_page(cc, scan->low);
	scan->isolated++;
	return cc->nr_migratepages >= COMPACT_CLUSTER_MAX && !cc->rescan ? SCAN_FULL : SCAN_ON;
}

static void isolate_migratepages_block(struct compact_control *cc, uint32_t low, uint32_t end)
{
	struct migrate_scan scan = {.low = low, .end = end, .skip_on_failure = cc->direct && cc->async};
	enum scan_step step = SCAN_ON;
	scan.next_skip = scan.skip_on_failure ? block_end(low, cc->order) : 0;
	for (; scan.low < end && step == SCAN_ON; scan.low += step != SCAN_ABORT) {
		if (scan.skip_on_failure && scan.low >= scan.next_skip) {
			if (scan.isolated)
				break;
			scan.next_skip = block_end(scan.low, cc->order);
		}
		step = scan_frame(cc, &scan);
	}
	scan.low = smaller(scan.low, end);
	if (scan.low == end && (!scan.isolated || cc->rescan)) {
		if (scan.valid && !scan.skip_updated)
			set_skip(cc->buddy, cc->zone, low, true);
		update_cached_migrate(cc, scan.low);
	}
	cc->migrate_pfn = scan.low;
}

static uint32_t reinit_migrate_pfn(struct compact_control *cc)
{
	if (cc->fast_start_pfn && cc->fast_start_pfn != FAST_START_USED) {
		cc->migrate_pfn = cc->fast_start_pfn;
		cc->fast_start_pfn = FAST_START_USED;
	}
	return cc->migrate_pfn;
}

/* Whether the free lists are worth a look for the pageblock to begin with. */
static bool wants_fast_find(const struct compact_control *cc)
{
	return !cc->everywhere &&
	       (cc->migrate_pfn == cc->zone->start_pfn || cc->migrate_pfn == pageblock_start(cc->buddy, cc->migrate_pfn)) &&
	       cc->order > PAGE_ALLOC_COSTLY_ORDER && (!cc->direct || cc->type == MIGRATE_MOVABLE);
}

/* Looks through one list for a block below high_pfn; its pageblock has free frames already. BLOCK_NONE if there is none. */
static uint32_t find_in_list(struct compact_control *cc, unsigned order, uint32_t high_pfn, uint32_t limit, uint32_t *scanned)
{
	struct buddy *buddy = cc->buddy;
	uint32_t list = list_head_of(cc->zone, order, MIGRATE_MOVABLE);
	for (uint32_t nr = frame_at(buddy, list)->next; nr != list; nr = frame_at(buddy, nr)->next) {
		if ((*scanned)++ >= limit) {
			turn_to_tail(buddy, list, nr);
			break;
		}
		if (nr >= high_pfn || is_skipped(buddy, cc->zone, nr))
			continue;
		turn_to_tail(buddy, list, nr);
		set_skip(buddy, cc->zone, nr, true);
		return nr;
	}
	return BLOCK_NONE;
}

static uint32_t fast_find_migrateblock(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	uint32_t scanned = 0, limit = freelist_scan_limit(cc), found = BLOCK_NONE;
	if (!wants_fast_find(cc))
		return cc->migrate_pfn;
	uint32_t distance = (cc->free_pfn - cc->migrate_pfn) >> 1;
	if (cc->migrate_pfn != cc->zone->start_pfn)
		distance >>= 2;
	uint32_t high_pfn = pageblock_start(buddy, cc->migrate_pfn + distance);
	for (unsigned order = cc->order - 1; order >= PAGE_ALLOC_COSTLY_ORDER && found == BLOCK_NONE && scanned < limit; order--)
		if (has_free_block(cc->zone, order))
			found = find_in_list(cc, order, high_pfn, limit, &scanned);
	buddy->counters.compact_migrate_scanned += scanned;
	if (found == BLOCK_NONE) {
		cc->fast_search_fail++;
		return reinit_migrate_pfn(cc);
	}
	if (cc->fast_start_pfn != FAST_START_USED)
		cc->fast_start_pfn = cc->fast_start_pfn ? smaller(cc->fast_start_pfn, found) : found;
	cc->fast_search_fail = 0;
	return larger(pageblock_start(buddy, found), cc->zone->start_pfn);
}

/* Isolates from the first suitable pageblock below the free scanner. */
static void isolate_migratepages(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	uint32_t low = fast_find_migrateblock(cc);
	uint32_t start = larger(pageblock_start(buddy, low), cc->zone->start_pfn), end = pageblock_end(buddy, low);
	bool fast_found = low != cc->migrate_pfn && !cc->fast_search_fail;
	for (; end <= cc->free_pfn; end += pageblock_frames(buddy)) {
		bool looks = is_memory(cc, start) &&
		             (low & (pageblock_frames(buddy) - 1) || fast_found || isolation_suitable(cc, start));
		if (looks && suitable_migration_source(cc, start)) {
			isolate_migratepages_block(cc, low, end);
			return;
		}
		if (looks)
			update_cached_migrate(cc, end);
		fast_found = false;
		cc->migrate_pfn = low = start = end;
	}
}

/* --- moving --- */

/* One page to one frame: contents, marks, and whose it is. The old frame is freed. */
static void move_page(struct compact_control *cc, uint32_t from, uint32_t to)
{
	struct buddy *buddy = cc->buddy;
	struct frame *old = frame_at(buddy, from), *new = frame_at(buddy, to);
	new->state = old->state;
	new->order = 0;
	new->zone = cc->zone->number;
	new->compound = false;
	page_contents_copy(&buddy->contents, pfn_of(to), pfn_of(from), cc->cpu);
	put_on_lru(buddy, to);
	if (new->state == FRAME_ALLOCATED)
		buddy->port.moved.tell(buddy->port.moved.context, pfn_of(from), pfn_of(to));
	buddy->counters.pgmigrate_success++;
	buddy->counters.pgfree++;
	free_unref_page(buddy, cc->zone, from, 0, cc->cpu);
}

/* Moves what was isolated, last isolated first. False if the frames ran out; the rest is put back. */
static bool migrate_pages(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	while (cc->migratepages != BLOCK_NONE) {
		if (cc->freepages == BLOCK_NONE)
			isolate_freepages(cc);
		if (cc->freepages == BLOCK_NONE) {
			putback_movable_pages(cc);
			return false;
		}
		cc->nr_freepages--;
		uint32_t to = pop(buddy, &cc->freepages);
		move_page(cc, pop(buddy, &cc->migratepages), to);
	}
	cc->nr_migratepages = 0;
	return true;
}

/* Frees the frames that nothing was moved to, and lets the free scanner come back to them. */
static void release_freepages(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	uint32_t high_pfn = 0;
	if (cc->freepages == BLOCK_NONE)
		return;
	while (cc->freepages != BLOCK_NONE) {
		uint32_t nr = pop(buddy, &cc->freepages);
		high_pfn = larger(high_pfn, nr);
		*frame_at(buddy, nr) = (struct frame){.zone = cc->zone->number};
		buddy->counters.compact_released_free++;
		buddy->counters.pgfree++;
		free_unref_page(buddy, cc->zone, nr, 0, cc->cpu);
	}
	cc->nr_freepages = 0;
	high_pfn = pageblock_start(buddy, high_pfn);
	if (high_pfn > cc->zone->compact_cached_free_pfn)
		cc->zone->compact_cached_free_pfn = high_pfn;
}

/* --- a zone --- */

static bool compact_scanners_met(const struct compact_control *cc)
{
	return cc->free_pfn >> cc->buddy->pageblock_order <= cc->migrate_pfn >> cc->buddy->pageblock_order;
}

static enum compact_result compact_finished(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	if (compact_scanners_met(cc)) {
		reset_cached_positions(buddy, cc->zone);
		cc->zone->compact_blockskip_flush |= cc->direct;
		return cc->whole_zone ? COMPACT_COMPLETE : COMPACT_PARTIAL_SKIPPED;
	}
	/* A pageblock is finished once begun, so that the next request of its kind finds more in it. */
	if (cc->migrate_pfn & (pageblock_frames(buddy) - 1))
		return COMPACT_CONTINUE;
	for (unsigned order = cc->order; order < ORDERS; order++)
		if (cc->zone->nonempty[cc->type] >> order & 1 || fallback_is_stealable(buddy, cc->zone, order, cc->type))
			return COMPACT_SUCCESS;
	return COMPACT_CONTINUE;
}

/* From 0, where memory is what is missing, to 1000, where it is there but in pieces; negative if a block is there. */
static int fragmentation_index(const struct zone *zone, unsigned order)
{
	uint64_t pages = 0, blocks = 0, suitable = 0;
	for (unsigned i = 0; i < ORDERS; i++)
		for (unsigned type = 0; type < MIGRATE_TYPES; type++) {
			blocks += zone->free_blocks[i][type];
			pages += zone->free_blocks[i][type] << i;
			suitable += i >= order ? zone->free_blocks[i][type] : 0;
		}
	if (!blocks)
		return 0;
	if (suitable)
		return FRAGMENTATION_NONE;
	return FRAGMENTATION_UNIT - (int)((FRAGMENTATION_UNIT + (pages * FRAGMENTATION_UNIT >> order)) / blocks);
}

enum compact_result compaction_suitable_with(const struct zone *zone, unsigned order, unsigned alloc_flags, unsigned highest_zone,
                                             int64_t free_pages)
{
	if (watermark_ok(zone, order, boosted_watermark(zone, alloc_flags), highest_zone, alloc_flags, zone_free_pages(zone)))
		return COMPACT_SUCCESS;
	int64_t mark = boosted_watermark(zone, order > PAGE_ALLOC_COSTLY_ORDER ? WMARK_LOW : WMARK_MIN);
	if (!watermark_ok(zone, 0, mark + (int64_t)compact_gap(order), highest_zone, 0, free_pages))
		return COMPACT_SKIPPED;
	return COMPACT_CONTINUE;
}

enum compact_result compaction_suitable(const struct zone *zone, unsigned order, unsigned alloc_flags, unsigned highest_zone)
{
	enum compact_result result = compaction_suitable_with(zone, order, alloc_flags, highest_zone, zone_free_pages(zone));
	if (result != COMPACT_CONTINUE || order <= PAGE_ALLOC_COSTLY_ORDER)
		return result;
	int index = fragmentation_index(zone, order);
	return index >= 0 && index <= EXTFRAG_THRESHOLD ? COMPACT_SKIPPED : COMPACT_CONTINUE;
}

static void place_scanners(struct compact_control *cc)
{
	struct zone *zone = cc->zone;
	cc->migrate_pfn = zone->start_pfn;
	cc->free_pfn = pageblock_start(cc->buddy, zone->end_pfn - 1);
	if (cc->whole_zone)
		return;
	if (zone_spans(zone, zone->compact_cached_free_pfn))
		cc->free_pfn = zone->compact_cached_free_pfn;
	else
		zone->compact_cached_free_pfn = cc->free_pfn;
	if (zone_spans(zone, zone->compact_cached_migrate_pfn[!cc->async])) {
		cc->migrate_pfn = zone->compact_cached_migrate_pfn[!cc->async];
	} else {
		zone->compact_cached_migrate_pfn[0] = cc->migrate_pfn;
		zone->compact_cached_migrate_pfn[1] = cc->migrate_pfn;
	}
	cc->whole_zone |= cc->migrate_pfn <= zone->compact_init_migrate_pfn;
}

/* Moves on after a step: pages freed so far may join once the scanner has left their block. */
static void flush_when_left(struct compact_control *cc, uint32_t *last_migrated)
{
	if (!*last_migrated || *last_migrated >= (cc->migrate_pfn & ~((1u << cc->order) - 1)))
		return;
	drain_pages_zone(cc->buddy, cc->zone, cc->cpu, cc->cpu);
	*last_migrated = 0;
}

/* Moves what a step isolated. False: the frames ran out before the scanners met. */
static bool migrate_step(struct compact_control *cc, uint32_t *last_migrated)
{
	if (migrate_pages(cc))
		return true;
	if (!compact_scanners_met(cc))
		return false;
	if (cc->direct && cc->async) {
		cc->migrate_pfn = block_end(cc->migrate_pfn - 1, cc->order);
		*last_migrated = 0;
	}
	return true;
}

static enum compact_result scan_zone(struct compact_control *cc)
{
	struct buddy *buddy = cc->buddy;
	uint32_t *cached = cc->zone->compact_cached_migrate_pfn, last_migrated = 0;
	/* While nothing is found, asynchronous scans move the start of the others along. */
	bool update_cached = cc->async && cached[0] == cached[1];
	enum compact_result result;
	while ((result = compact_finished(cc)) == COMPACT_CONTINUE) {
		uint32_t iteration_start = cc->migrate_pfn;
		cc->rescan = pageblock_start(buddy, last_migrated) == pageblock_start(buddy, iteration_start);
		isolate_migratepages(cc);
		if (cc->nr_migratepages) {
			update_cached = false;
			last_migrated = iteration_start;
			if (!migrate_step(cc, &last_migrated))
				return COMPACT_CONTENDED;
		} else if (update_cached) {
			cached[1] = cached[0];
		}
		flush_when_left(cc, &last_migrated);
		if (buddy->capture && buddy->capture->nr != BLOCK_NONE)
			return COMPACT_SUCCESS;
	}
	return result;
}

static enum compact_result compact_zone(struct compact_control *cc)
{
	enum compact_result result = compaction_suitable(cc->zone, cc->order, cc->alloc_flags, cc->highest_zone);
	if (result != COMPACT_CONTINUE)
		return result;
	if (compaction_restarting(cc->zone, cc->order))
		reset_zone(cc->buddy, cc->zone);
	cc->freepages = cc->migratepages = BLOCK_NONE;
	cc->nr_freepages = cc->nr_migratepages = 0;
	cc->fast_start_pfn = 0;
	place_scanners(cc);
	result = scan_zone(cc);
	release_freepages(cc);
	return result;
}

static enum compact_result compact_zone_order(struct buddy *buddy, struct zone *zone, const struct request *request,
                                              unsigned alloc_flags, enum compact_priority priority, uint32_t *captured)
{
	bool full = priority == COMPACT_PRIO_SYNC_FULL;
	struct capture capture = {.zone = zone, .order = request->order, .nr = BLOCK_NONE};
	struct compact_control cc = {
	        .buddy = buddy,
	        .zone = zone,
	        .order = request->order,
	        .search_order = (int)request->order,
	        .type = request->type,
	        .cpu = request->cpu,
	        .flags = request->flags,
	        .alloc_flags = alloc_flags,
	        .highest_zone = request->highest_zone,
	        .async = priority == COMPACT_PRIO_ASYNC,
	        .direct = true,
	        .whole_zone = full,
	        .everywhere = full,
	};
	buddy->capture = &capture;
	enum compact_result result = compact_zone(&cc);
	buddy->capture = NULL;
	*captured = capture.nr;
	return capture.nr == BLOCK_NONE ? result : COMPACT_SUCCESS;
}

enum compact_result try_to_compact_pages(struct buddy *buddy, const struct request *request, unsigned alloc_flags,
                                         enum compact_priority priority, uint32_t *captured)
{
	enum compact_result best = COMPACT_SKIPPED;
	*captured = BLOCK_NONE;
	if (!buddy->compaction || !(request->flags & __GFP_IO))
		return COMPACT_SKIPPED;
	for (unsigned i = 0; i < request->zonelist->length; i++) {
		struct zone *zone = &buddy->zones[request->zonelist->zones[i]];
		enum compact_result status = COMPACT_DEFERRED;
		bool deferred = priority > COMPACT_PRIO_SYNC_FULL && compaction_deferred(zone, request->order);
		if (!deferred)
			status = compact_zone_order(buddy, zone, request, alloc_flags, priority, captured);
		best = status > best ? status : best;
		if (status == COMPACT_SUCCESS) {
			compaction_defer_reset(zone, request->order, false);
			break;
		}
		if (priority != COMPACT_PRIO_ASYNC && (status == COMPACT_COMPLETE || status == COMPACT_PARTIAL_SKIPPED))
			defer_compaction(zone, request->order);
	}
	return best;
}

/* --- kcompactd --- */

/* Some zone of the node would profit. */
static bool kcompactd_node_suitable(const struct buddy *buddy, unsigned node)
{
	const struct node *self = &buddy->nodes[node];
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		const struct zone *zone = &buddy->zones[i];
		if (zone->node == node && zone->present && zone->index <= self->kcompactd_highest_zone &&
		    compaction_suitable(zone, self->kcompactd_max_order, 0, self->kcompactd_highest_zone) == COMPACT_CONTINUE)
			return true;
	}
	return false;
}

void wakeup_kcompactd(struct buddy *buddy, unsigned node, unsigned order, unsigned highest_zone)
{
	struct node *self = &buddy->nodes[node];
	if (!order || !buddy->compaction)
		return;
	if (self->kcompactd_max_order < order)
		self->kcompactd_max_order = order;
	if (self->kcompactd_highest_zone > highest_zone)
		self->kcompactd_highest_zone = highest_zone;
	self->kcompactd_awake |= kcompactd_node_suitable(buddy, node);
}

static void kcompactd_zone(struct compact_control *cc)
{
	struct zone *zone = cc->zone;
	if (compaction_deferred(zone, cc->order) || compaction_suitable(zone, cc->order, 0, zone->index) != COMPACT_CONTINUE)
		return;
	enum compact_result status = compact_zone(cc);
	if (status == COMPACT_SUCCESS) {
		compaction_defer_reset(zone, cc->order, false);
	} else if (status == COMPACT_PARTIAL_SKIPPED || status == COMPACT_COMPLETE) {
		for (unsigned of = 0; of < cc->buddy->cpus; of++)
			drain_pages_zone(cc->buddy, zone, of, cc->cpu);
		defer_compaction(zone, cc->order);
	}
}

void kcompactd_do_work(struct buddy *buddy, unsigned node, unsigned cpu)
{
	struct node *self = &buddy->nodes[node];
	/* As in the kernel one control serves all zones: what a zone's search learnt stays for the next. */
	struct compact_control cc = {
	        .buddy = buddy,
	        .order = self->kcompactd_max_order,
	        .search_order = (int)self->kcompactd_max_order,
	        .type = MIGRATE_UNMOVABLE,
	        .cpu = cpu,
	        .flags = GFP_KERNEL,
	        .highest_zone = self->kcompactd_highest_zone,
	};
	buddy->counters.kcompactd_runs++;
	self->kcompactd_awake = false;
	for (unsigned i = 0; i < buddy->zone_count; i++) {
		cc.zone = &buddy->zones[i];
		if (cc.zone->node == node && cc.zone->present && cc.zone->index <= cc.highest_zone)
			kcompactd_zone(&cc);
	}
	self->kcompactd_max_order = 0;
	self->kcompactd_highest_zone = self->nr_zones - 1;
}
