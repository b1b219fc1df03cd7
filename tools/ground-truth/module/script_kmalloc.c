// SPDX-License-Identifier: GPL-2.0
/*
 * script_kmalloc.c - kmalloc: every size once, the powers of two up to the limit, a random mix.
 *
 * The random mix asks 1 + r bytes, r below a power of two from 8 to 8192; one call in 32 each is for DMA memory, reclaimable,
 * zeroed, atomic.
 */
#include "oracle.h"
#include <linux/bottom_half.h>

#define LARGEST_TRIED (64UL << 20)

/* From here on one failure is enough: kmalloc's limit is passed. */
#define LIMIT_PASSED (8UL << 20)

void script_kmalloc_sizes(size_t max)
{
	size_t size;
	void *object;

	script_quiesce();
	say("#BEGIN kmalloc_sizes max=%zu\n", max);
	local_bh_disable();
	dump_state("ks-initial", "pk");
	events_log(true);
	for (size = 0; size <= max; size++) {
		object = kmalloc(size, GFP_KERNEL);
		if (ZERO_OR_NULL_PTR(object))
			say("K %zu 0 %px\n", size, object);
		else
			say("K %zu %zu %lx.%x\n", size, ksize(object), frame_of(object), offset_of(object));
		kfree(object);
	}
	events_log(false);
	dump_state("ks-final", "pk");
	local_bh_enable();
	say("#END kmalloc_sizes lost=%zu\n", log_lost());
}

void script_kmalloc_pow2(void)
{
	size_t size;
	void *object;

	script_quiesce();
	say("#BEGIN kmalloc_pow2\n");
	events_log(true);
	for (size = 1; size <= LARGEST_TRIED; size <<= 1) {
		object = kmalloc(size, GFP_KERNEL | __GFP_NOWARN);
		if (object)
			say("2 %zu %zu %lx.%x\n", size, ksize(object), frame_of(object), offset_of(object));
		else
			say("2 %zu FAIL\n", size);
		kfree(object);
		if (!object && size > LIMIT_PASSED)
			break;
	}
	events_log(false);
	say("#END pow2 lost=%zu\n", log_lost());
}

static gfp_t random_gfp(void)
{
	switch (random_below(32)) {
	case 0:
		return GFP_KERNEL | GFP_DMA;
	case 1:
		return GFP_KERNEL | __GFP_RECLAIMABLE;
	case 2:
		return GFP_KERNEL | __GFP_ZERO;
	case 3:
		return GFP_ATOMIC;
	default:
		return GFP_KERNEL;
	}
}

static void allocate(void)
{
	u32 size = 1 + random_below(1u << (3 + random_below(11)));
	gfp_t gfp = random_gfp();
	u32 id = live_add();
	void *object = kmalloc(size, gfp);

	objects[id].address = object;
	if (object) {
		say("m %u %u %x %lx.%x\n", id, size, gfp, frame_of(object), offset_of(object));
		return;
	}
	say("m %u %u %x FAIL\n", id, size, gfp);
	live_drop_last();
}

static void release(u32 id)
{
	say("f %u\n", id);
	kfree(objects[id].address);
}

static void check(u32 calls)
{
	bool logged = events_log(false);

	say("@CHECK kr-%u\n", calls);
	dump_caches("kmalloc");
	events_log(logged);
}

void script_kmalloc_rand(u64 seed, u32 calls, u32 limit)
{
	u32 i;

	script_quiesce();
	say("#BEGIN kmalloc_rand seed=%llu nops=%u lim=%u\n", seed, calls, limit);
	local_bh_disable();
	dump_state("kr-initial", letters_of_kmalloc);
	events_log(true);
	script_seed(seed);
	live_reset();
	for (i = 0; i < calls; i++) {
		if (script_allocates(live_count() < limit, usual_percent(i, 500)))
			allocate();
		else
			release(live_take_random());
		if (i % 5000 == 4999)
			check(i + 1);
	}
	while (live_count())
		release(live_take_random());
	events_log(false);
	dump_state("kr-final", letters_of_kmalloc);
	local_bh_enable();
	say("#END kmalloc_rand lost=%zu\n", log_lost());
}
