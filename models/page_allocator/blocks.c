/* SPDX-License-Identifier: MIT
 *
 * blocks.c - the free lists of a zone: taking a block and splitting it, giving it back and merging it, and what happens when
 * the lists of the wanted migrate type are empty.
 *
 * Algorithm: binary buddies (Knowlton 1965; TAOCP 2.5) with lists per order and migrate type. A freed block merges with its
 * buddy as long as that is free and whole. It goes to its list's head, or to the tail if the pair it belongs to would merge next.
 * An empty type borrows from another: the largest block there, if that lets it take over the pageblock, else the smallest.
 * Source: mm/page_alloc.c of Linux 6.1: __rmqueue, __rmqueue_smallest, expand, __free_one_page, buddy_merge_likely,
 * __rmqueue_fallback, find_suitable_fallback, can_steal_fallback, steal_suitable_fallback, move_freepages_block,
 * boost_watermark, reserve_highatomic_pageblock, unreserve_highatomic_pageblock, __isolate_free_page, compaction_capture.
 *
 * Invariant: a FRAME_BUDDY frame is on the list of its order and type, that list's count is in free_blocks, and bit `order` of
 * nonempty[type] says whether the list has any.
 */
#include "models/page_allocator/buddy.h"

/* boost_watermark(): watermark_boost_factor counts in 1/10000 of the high watermark. */
#define BOOST_FACTOR_UNIT 10000
/* reserve_highatomic_pageblock(): the reserve may be 1 % of the zone, plus a pageblock. */
#define HIGHATOMIC_PART 100

static void count_added(struct zone *zone, unsigned order, unsigned type)
{
	zone->free_blocks[order][type]++;
	zone->nonempty[type] = (uint16_t)(zone->nonempty[type] | 1u << order);
}

static void count_removed(struct zone *zone, unsigned order, unsigned type)
{
	if (--zone->free_blocks[order][type] == 0)
		zone->nonempty[type] = (uint16_t)(zone->nonempty[type] & ~(1u << order));
}

static void add_to_free_list(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type, bool to_tail)
{
	uint32_t head = list_head_of(zone, order, type);
	struct frame *frame = frame_at(buddy, nr);
	frame->state = FRAME_BUDDY;
	frame->order = (uint8_t)order;
	frame->type = (uint8_t)type;
	frame->zone = zone->number;
	if (to_tail)
		list_add_tail(buddy, nr, head);
	else
		list_add(buddy, nr, head);
	count_added(zone, order, type);
	touch_list_add(buddy, nr, head, free_list_address(zone, order, type), to_tail);
	touch_nr_free(buddy, zone, order);
}

/* The frame is then nothing known; the caller says what it becomes. */
static void del_from_free_list(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order)
{
	struct frame *frame = frame_at(buddy, nr);
	touch_list_del(buddy, nr, list_head_of(zone, order, frame->type), free_list_address(zone, order, frame->type));
	page_update_mapcount(buddy, nr);
	page_write(buddy, nr, PAGE_PRIVATE);
	touch_nr_free(buddy, zone, order);
	list_del(buddy, nr);
	count_removed(zone, order, frame->type);
	frame->state = FRAME_REST;
}

static void move_to_free_list(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type)
{
	struct frame *frame = frame_at(buddy, nr);
	touch_list_del(buddy, nr, list_head_of(zone, order, frame->type), free_list_address(zone, order, frame->type));
	list_del(buddy, nr);
	count_removed(zone, order, frame->type);
	frame->type = (uint8_t)type;
	list_add_tail(buddy, nr, list_head_of(zone, order, type));
	count_added(zone, order, type);
	touch_list_add(buddy, nr, list_head_of(zone, order, type), free_list_address(zone, order, type), true);
}

static void set_pageblock_type(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned type)
{
	if (buddy->mobility_disabled && type < MIGRATE_PCPTYPES)
		type = MIGRATE_UNMOVABLE;
	buddy_place_pageblock(buddy, zone, nr, type);
	step_atomic(buddy->steps, pageblock_word(buddy, nr), 8);
}

/* Hands the upper half of a block back until `low` is left, highest order first, each half to its list's head. */
static void expand(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned low, unsigned high, unsigned type)
{
	while (high > low) {
		high--;
		step_spend(buddy->steps, buddy->cost.page_split);
		add_to_free_list(buddy, zone, nr + (1u << high), high, type, false);
		touch_buddy_order(buddy, nr + (1u << high));
	}
}

uint32_t rmqueue_smallest(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type)
{
	unsigned orders = (unsigned)zone->nonempty[type] >> order << order;
	unsigned current_order = orders ? (unsigned)__builtin_ctz(orders) : ORDERS;
	for (unsigned tried = order; tried < ORDERS && tried <= current_order; tried++)
		step_read(buddy->steps, free_list_address(zone, tried, type), ZONE_WORD);
	if (!orders)
		return BLOCK_NONE;
	step_use(buddy->steps);
	uint32_t nr = frame_at(buddy, list_head_of(zone, current_order, type))->next;
	del_from_free_list(buddy, zone, nr, current_order);
	expand(buddy, zone, nr, order, current_order, type);
	page_write(buddy, nr, PAGE_INDEX); /* set_pcppage_migratetype() */
	frame_at(buddy, nr)->order = (uint8_t)order;
	frame_at(buddy, nr)->type = (uint8_t)type;
	return nr;
}

void split_out(struct buddy *buddy, struct zone *zone, uint32_t nr, uint32_t first, unsigned order)
{
	unsigned high = frame_at(buddy, nr)->order, type = frame_at(buddy, nr)->type;
	del_from_free_list(buddy, zone, nr, high);
	while (high > order) {
		high--;
		uint32_t upper = nr + (1u << high);
		add_to_free_list(buddy, zone, first >= upper ? nr : upper, high, type, false);
		touch_buddy_order(buddy, first >= upper ? nr : upper);
		nr = first >= upper ? upper : nr;
	}
	frame_at(buddy, first)->order = (uint8_t)order;
	frame_at(buddy, first)->type = (uint8_t)type;
	frame_at(buddy, first)->zone = zone->number;
}

/* page_is_buddy(): free, whole, and in the zone of the block that asks. */
static bool page_is_buddy(const struct buddy *buddy, uint32_t nr, unsigned order, unsigned zone_number)
{
	const struct frame *frame = frame_at(buddy, nr);
	step_read(buddy->steps, page_word_address(buddy, nr, PAGE_MAPCOUNT), INT_BYTES);
	if (frame->state == FRAME_BUDDY)
		page_read(buddy, nr, PAGE_PRIVATE);
	if (frame->state == FRAME_BUDDY && frame->order == order)
		page_read(buddy, nr, PAGE_FLAGS);
	return frame->state == FRAME_BUDDY && frame->order == order && frame->zone == zone_number;
}

/* HIGHATOMIC pageblocks keep their free memory apart; the others may merge (migratetype_is_mergeable). */
static bool may_merge_pageblocks(const struct buddy *buddy, const struct zone *zone, uint32_t buddy_pfn, unsigned type)
{
	unsigned buddy_type = pageblock_type(buddy, zone, buddy_pfn);
	return type == buddy_type || (type < MIGRATE_PCPTYPES && buddy_type < MIGRATE_PCPTYPES);
}

/* Whether the pair that this block and its buddy make has a free buddy itself: then this block waits at the list's tail. */
static bool buddy_merge_likely(struct buddy *buddy, const struct zone *zone, uint32_t nr, uint32_t buddy_pfn, unsigned order)
{
	if (order >= ORDERS - 2)
		return false;
	uint32_t higher = buddy_pfn & nr;
	if (!zone_spans(zone, higher))
		zone = buddy_zone_linked(buddy, higher);
	return page_is_buddy(buddy, higher ^ (2u << order), order + 1, zone->number);
}

/*
 * compaction_capture(): the request that compacts this zone keeps a block of its order as it becomes whole. Less than a
 * pageblock of movable memory is left alone, so that no pageblock of movable pages gets others in it that way.
 */
static bool captured(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type, unsigned cpu)
{
	struct capture *capture = buddy->capture;
	if (capture->zone != zone || capture->nr != BLOCK_NONE || order != capture->order ||
	    (order < buddy->pageblock_order && type == MIGRATE_MOVABLE))
		return false;
	capture->nr = nr;
	frame_at(buddy, nr)->state = FRAME_REST;
	frame_at(buddy, nr)->zone = zone->number;
	zone_mod_free_pages(buddy, zone, cpu, -(1 << order));
	buddy->counters.captured_pages += 1ull << order;
	return true;
}

void free_one_page(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type, bool to_tail, unsigned cpu)
{
	uint32_t buddy_pfn = 0;
	zone_mod_free_pages(buddy, zone, cpu, 1 << order);
	while (order < ORDERS - 1) {
		if (buddy->capture && captured(buddy, zone, nr, order, type, cpu))
			return;
		buddy_pfn = nr ^ (1u << order);
		if (!page_is_buddy(buddy, buddy_pfn, order, zone->number))
			break;
		if (order >= buddy->pageblock_order && !may_merge_pageblocks(buddy, zone, buddy_pfn, type))
			break;
		step_spend(buddy->steps, buddy->cost.page_merge);
		del_from_free_list(buddy, zone, buddy_pfn, order);
		frame_at(buddy, nr)->state = FRAME_REST;
		nr &= buddy_pfn;
		order++;
	}
	touch_buddy_order(buddy, nr);
	if (!to_tail)
		to_tail = buddy_merge_likely(buddy, zone, nr, buddy_pfn, order);
	add_to_free_list(buddy, zone, nr, order, type, to_tail);
}

/* Frames that a block of the start state or an allocated block covers from its first frame on; 1 where nothing is known. */
static uint32_t known_frames(const struct frame *frame)
{
	return frame->state == FRAME_REST ? 1 : 1u << frame->order;
}

/*
 * Moves all free blocks of a pageblock to the lists of `type` (move_freepages_block). Returns how many frames were free;
 * *movable counts those in use that could be moved.
 */
static uint32_t move_freepages_block(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned type, uint32_t *movable)
{
	uint32_t start = nr & ~(pageblock_frames(buddy) - 1);
	uint32_t last = start + pageblock_frames(buddy) - 1;
	uint32_t moved = 0;
	*movable = 0;
	if (!zone_spans(zone, start))
		start = nr;
	if (!zone_spans(zone, last))
		return 0;
	step_read(buddy->steps, layout_struct_page(buddy->layout, pfn_of(start)),
	          (last - start + 1) * buddy->layout->page_struct_bytes);
	for (uint32_t at = start; at <= last;) {
		const struct frame *frame = frame_at(buddy, at);
		uint32_t frames = known_frames(frame);
		if (frame->state == FRAME_BUDDY) {
			move_to_free_list(buddy, zone, at, frame->order, type);
			moved += frames;
		} else if (frame->lru) {
			*movable += frames;
		}
		at += frames;
	}
	return moved;
}

static bool can_steal_fallback(const struct buddy *buddy, unsigned order, unsigned type)
{
	return order >= buddy->pageblock_order / 2 || type == MIGRATE_RECLAIMABLE || type == MIGRATE_UNMOVABLE ||
	       buddy->mobility_disabled;
}

/* The order in which a type's allocations look at the others. */
static const uint8_t fallbacks[MIGRATE_PCPTYPES][MIGRATE_PCPTYPES - 1] = {
        [MIGRATE_UNMOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE},
        [MIGRATE_MOVABLE] = {MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE},
        [MIGRATE_RECLAIMABLE] = {MIGRATE_UNMOVABLE, MIGRATE_MOVABLE},
};

/* The first other type with a block of this order; MIGRATE_TYPES if there is none. */
static unsigned find_fallback(const struct zone *zone, unsigned order, unsigned type)
{
	for (unsigned i = 0; i < MIGRATE_PCPTYPES - 1; i++)
		if (zone->nonempty[fallbacks[type][i]] >> order & 1)
			return fallbacks[type][i];
	return MIGRATE_TYPES;
}

bool fallback_is_stealable(const struct buddy *buddy, const struct zone *zone, unsigned order, unsigned type)
{
	return find_fallback(zone, order, type) != MIGRATE_TYPES && can_steal_fallback(buddy, order, type);
}

/* Raises the watermarks for a while, so that reclaim makes room and fewer types get mixed. Returns whether it did. */
static bool boost_watermark(struct buddy *buddy, struct zone *zone)
{
	uint64_t high = zone->watermark[WMARK_HIGH], factor = buddy->watermark_boost_factor;
	if (!factor || (uint64_t)pageblock_frames(buddy) * 4 > zone->managed)
		return false;
	uint64_t max_boost = high / BOOST_FACTOR_UNIT * factor + high % BOOST_FACTOR_UNIT * factor / BOOST_FACTOR_UNIT;
	if (!max_boost)
		return false;
	if (max_boost < pageblock_frames(buddy))
		max_boost = pageblock_frames(buddy);
	zone->watermark_boost += pageblock_frames(buddy);
	if (zone->watermark_boost > max_boost)
		zone->watermark_boost = max_boost;
	return true;
}

static void take_over_whole_pageblocks(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type)
{
	for (uint32_t at = nr; at < nr + (1u << order); at += pageblock_frames(buddy))
		set_pageblock_type(buddy, zone, at, type);
}

/*
 * Moves the free blocks of the pageblock and takes the pageblock over if at least half of it is free or in use by allocations
 * like ours. Returns false if nothing could be moved.
 */
static bool steal_pageblock(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned type, unsigned old_type)
{
	uint32_t movable, alike;
	uint32_t free_frames = move_freepages_block(buddy, zone, nr, type, &movable);
	if (type == MIGRATE_MOVABLE)
		alike = movable;
	else
		alike = old_type == MIGRATE_MOVABLE ? pageblock_frames(buddy) - (free_frames + movable) : 0;
	if (!free_frames)
		return false;
	if (free_frames + alike >= pageblock_frames(buddy) / 2 || buddy->mobility_disabled) {
		set_pageblock_type(buddy, zone, nr, type);
		buddy->counters.extfrag_claimed++;
	} else {
		buddy->counters.extfrag_moved++;
	}
	return true;
}

static void count_fragmenting(struct buddy_counters *counters, unsigned type)
{
	counters->extfrag_unmovable += type == MIGRATE_UNMOVABLE;
	counters->extfrag_movable += type == MIGRATE_MOVABLE;
	counters->extfrag_reclaimable += type == MIGRATE_RECLAIMABLE;
}

static void steal_suitable_fallback(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned alloc_flags, unsigned type,
                                    bool whole_block)
{
	unsigned order = frame_at(buddy, nr)->order;
	unsigned old_type = pageblock_type(buddy, zone, nr);
	buddy->counters.extfrag++;
	if (old_type != MIGRATE_HIGHATOMIC && order >= buddy->pageblock_order) {
		take_over_whole_pageblocks(buddy, zone, nr, order, type);
		buddy->counters.extfrag_whole++;
		move_to_free_list(buddy, zone, nr, order, type);
		return;
	}
	count_fragmenting(&buddy->counters, type);
	if (old_type != MIGRATE_HIGHATOMIC) {
		if (boost_watermark(buddy, zone)) {
			buddy->counters.watermark_boosts++;
			zone->boosted |= (alloc_flags & ALLOC_KSWAPD) != 0;
		}
		if (whole_block && steal_pageblock(buddy, zone, nr, type, old_type))
			return;
	}
	buddy->counters.extfrag_single++;
	move_to_free_list(buddy, zone, nr, order, type);
}

/* Brings a block of another type onto the lists of `type`. False if no other type has one. */
static bool rmqueue_fallback(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, unsigned alloc_flags)
{
	unsigned min_order = order, current_order = ORDERS, fallback = MIGRATE_TYPES;
	if (alloc_flags & ALLOC_NOFRAGMENT && order < buddy->pageblock_order)
		min_order = buddy->pageblock_order;
	while (current_order > min_order && fallback == MIGRATE_TYPES)
		fallback = find_fallback(zone, --current_order, type);
	if (fallback == MIGRATE_TYPES)
		return false;

	bool can_steal = can_steal_fallback(buddy, current_order, type);
	if (!can_steal && type == MIGRATE_MOVABLE && current_order > order) {
		current_order = order;
		while ((fallback = find_fallback(zone, current_order, type)) == MIGRATE_TYPES)
			current_order++;
		can_steal = can_steal_fallback(buddy, current_order, type);
	}
	uint32_t nr = frame_at(buddy, list_head_of(zone, current_order, fallback))->next;
	steal_suitable_fallback(buddy, zone, nr, alloc_flags, type, can_steal);
	return true;
}

uint32_t rmqueue_locked(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, unsigned alloc_flags)
{
	uint32_t nr = rmqueue_smallest(buddy, zone, order, type);
	while (nr == BLOCK_NONE && rmqueue_fallback(buddy, zone, order, type, alloc_flags))
		nr = rmqueue_smallest(buddy, zone, order, type);
	return nr;
}

void reserve_highatomic_pageblock(struct buddy *buddy, struct zone *zone, uint32_t nr)
{
	uint32_t movable;
	uint64_t max_managed = zone->managed / HIGHATOMIC_PART + pageblock_frames(buddy);
	if (zone->nr_reserved_highatomic >= max_managed)
		return;
	step_lock_irqsave(buddy->steps, zone_lock_address(zone));
	if (pageblock_type(buddy, zone, nr) < MIGRATE_PCPTYPES) {
		zone->nr_reserved_highatomic += pageblock_frames(buddy);
		buddy->counters.highatomic_reserved_pages += pageblock_frames(buddy);
		set_pageblock_type(buddy, zone, nr, MIGRATE_HIGHATOMIC);
		move_freepages_block(buddy, zone, nr, MIGRATE_HIGHATOMIC, &movable);
	}
	step_unlock_irqrestore(buddy->steps, zone_lock_address(zone));
}

static bool unreserve_in_zone(struct buddy *buddy, struct zone *zone, unsigned type)
{
	for (unsigned order = 0; order < ORDERS; order++) {
		if (!(zone->nonempty[MIGRATE_HIGHATOMIC] >> order & 1))
			continue;
		uint32_t movable, nr = frame_at(buddy, list_head_of(zone, order, MIGRATE_HIGHATOMIC))->next;
		if (pageblock_type(buddy, zone, nr) == MIGRATE_HIGHATOMIC) {
			uint64_t pages = pageblock_frames(buddy);
			if (pages > zone->nr_reserved_highatomic)
				pages = zone->nr_reserved_highatomic;
			zone->nr_reserved_highatomic -= pages;
			buddy->counters.highatomic_unreserved_pages += pages;
		}
		set_pageblock_type(buddy, zone, nr, type);
		if (move_freepages_block(buddy, zone, nr, type, &movable))
			return true;
	}
	return false;
}

bool unreserve_highatomic_pageblock(struct buddy *buddy, const struct zonelist *zonelist, unsigned type, bool force)
{
	for (unsigned i = 0; i < zonelist->length; i++) {
		struct zone *zone = &buddy->zones[zonelist->zones[i]];
		if (!force && zone->nr_reserved_highatomic <= pageblock_frames(buddy))
			continue;
		step_lock_irqsave(buddy->steps, zone_lock_address(zone));
		bool done = unreserve_in_zone(buddy, zone, type);
		step_unlock_irqrestore(buddy->steps, zone_lock_address(zone));
		if (done)
			return true;
	}
	return false;
}

bool isolate_free_page(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned cpu)
{
	unsigned order = frame_at(buddy, nr)->order;
	int64_t mark = (int64_t)zone->watermark[WMARK_MIN] + (1 << order);
	/* An order-0 check with the request for zone 0, whose own reserve is nothing. */
	if (zone_free_pages(zone) - (int64_t)zone->nr_reserved_highatomic <= mark + (int64_t)zone->lowmem_reserve[0])
		return false;
	zone_mod_free_pages(buddy, zone, cpu, -(1 << order));
	del_from_free_list(buddy, zone, nr, order);
	buddy->counters.compact_isolated_free += 1ull << order;
	if (order + 1 >= buddy->pageblock_order)
		for (uint32_t at = nr; at < nr + (1u << order) - 1; at += pageblock_frames(buddy))
			if (pageblock_type(buddy, zone, at) < MIGRATE_PCPTYPES)
				set_pageblock_type(buddy, zone, at, MIGRATE_MOVABLE);
	return true;
}
