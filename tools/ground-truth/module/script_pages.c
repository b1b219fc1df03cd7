// SPDX-License-Identifier: GPL-2.0
/*
 * script_pages.c - the page allocator: random mixes of alloc_pages and __free_pages.
 *
 *   mix 0  order 0, GFP_KERNEL                     mix 1  orders 0 to 10, GFP_KERNEL
 *   mix 2  orders 0 to 10, every kind of gfp       mix 3  as 2, in longer phases: more live pages
 *   mix 4  orders 0 to 3, every kind of gfp        mix 5  as 2, phases of nearly pure allocation: runs out of memory in small
 * guests
 *
 * Order o+1 comes up 0.45 times as often as order o. Nothing is allocated while fewer pages than `floor` are free. No call may
 * reclaim or compact directly, for what that frees depends on the whole machine: the bit is taken out of gfp, but for the small
 * orders of mixes 0 and 1, which never leave the fast path above the floor. kswapd is woken but cannot run before the script
 * ends.
 */
#include "oracle.h"
#include <linux/bottom_half.h>
#include <linux/swap.h>

static u32 percent_of(unsigned int mix, u32 call)
{
	static const u8 percent[] = {75, 50, 25, 65, 35, 85, 15, 55};
	static const u8 to_exhaustion[] = {97, 50, 30, 95, 45, 98, 20, 60};

	if (mix == 5)
		return to_exhaustion[call / 3000 % ARRAY_SIZE(to_exhaustion)];
	return percent[call / (mix == 3 ? 4000 : 1000) % ARRAY_SIZE(percent)];
}

static unsigned int random_order(unsigned int mix)
{
	unsigned int order = 0, highest = mix == 4 ? 3 : MAX_ORDER - 1;

	if (!mix)
		return 0;
	while (order < highest && random_below(100) < 45)
		order++;
	return order;
}

static gfp_t random_gfp(unsigned int mix, unsigned int order)
{
	const gfp_t kinds[] = {
	        GFP_KERNEL,           GFP_ATOMIC,
	        GFP_DMA | GFP_KERNEL, IS_ENABLED(CONFIG_ZONE_DMA32) ? GFP_DMA32 | GFP_KERNEL : GFP_KERNEL,
	        GFP_HIGHUSER_MOVABLE, GFP_KERNEL | __GFP_RECLAIMABLE,
	        GFP_HIGHUSER,
	};
	bool fast_path_only = mix < 2 && order <= PAGE_ALLOC_COSTLY_ORDER;
	gfp_t gfp = mix < 2 ? GFP_KERNEL : kinds[random_below(ARRAY_SIZE(kinds))];

	gfp |= __GFP_NOWARN;
	return fast_path_only ? gfp : gfp & ~__GFP_DIRECT_RECLAIM;
}

static void allocate(unsigned int mix)
{
	unsigned int order = random_order(mix);
	gfp_t gfp = random_gfp(mix, order);
	u32 id = live_add();
	struct page *page = alloc_pages(gfp, order);

	objects[id].address = page;
	objects[id].order = order;
	if (page) {
		say("A %u %u %x %lx\n", id, order, gfp, page_to_pfn(page));
		return;
	}
	say("A %u %u %x FAIL\n", id, order, gfp);
	live_drop_last();
}

static void release(u32 id)
{
	say("F %u\n", id);
	__free_pages(objects[id].address, objects[id].order);
}

void script_pages(unsigned int mix, u64 seed, u32 calls, u32 limit, unsigned long floor)
{
	char tag[20];
	u32 i;

	script_quiesce();
	say("#BEGIN pages mix=%u seed=%llu nops=%u lim=%u floor=%lu\n", mix, seed, calls, limit, floor);
	local_bh_disable();
	dump_state("pg-initial", "pm");
	events_log(true);
	script_seed(seed);
	live_reset();
	for (i = 0; i < calls; i++) {
		if (script_allocates(live_count() < limit && nr_free_pages() > floor, percent_of(mix, i)))
			allocate(mix);
		else
			release(live_take_random());
		if (i % 5000 == 4999) {
			snprintf(tag, sizeof(tag), "pg-%u", i + 1);
			dump_state(tag, "p");
		}
	}
	say("# drain in random order, %u live\n", live_count());
	while (live_count())
		release(live_take_random());
	events_log(false);
	dump_state("pg-final", "pm");
	local_bh_enable();
	say("#END pages lost=%zu\n", log_lost());
}
