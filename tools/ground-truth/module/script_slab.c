// SPDX-License-Identifier: GPL-2.0
/*
 * script_slab.c - a cache of its own: made, filled and emptied in five patterns, shrunk, destroyed.
 *
 * Soft interrupts are off from the first dump to the last, so on one CPU nobody else calls the allocators meanwhile.
 */
#include "oracle.h"
#include <linux/bottom_half.h>

static void check(struct kmem_cache *cache, const char *tag)
{
	bool logged = events_log(false);

	say("@CHECK %s\n", tag);
	say_slabinfo(cache);
	dump_cache(cache);
	events_log(logged);
}

static void allocate(struct kmem_cache *cache, u32 id)
{
	void *object = kmem_cache_alloc(cache, GFP_KERNEL);

	objects[id].address = object;
	if (object)
		say("a %u %lx.%x\n", id, frame_of(object), offset_of(object));
	else
		say("a %u FAIL\n", id);
}

/* The line comes first, so that the pages it frees are logged below it. */
static void release(struct kmem_cache *cache, u32 id)
{
	say("f %u\n", id);
	kmem_cache_free(cache, objects[id].address);
	objects[id].address = NULL;
}

static void pattern_fifo(struct kmem_cache *cache, u32 count)
{
	u32 i;

	say("# pattern fifo k=%u\n", count);
	for (i = 0; i < count; i++)
		allocate(cache, i);
	check(cache, "fifo-full");
	for (i = 0; i < count; i++)
		release(cache, i);
	check(cache, "fifo-empty");
}

static void pattern_lifo(struct kmem_cache *cache, u32 count)
{
	u32 i;

	say("# pattern lifo k=%u\n", count);
	for (i = 0; i < count; i++)
		allocate(cache, i);
	for (i = count; i--;)
		release(cache, i);
	check(cache, "lifo-empty");
}

static void pattern_every_other(struct kmem_cache *cache, u32 count)
{
	u32 i;

	say("# pattern other k=%u\n", count);
	for (i = 0; i < count; i++)
		allocate(cache, i);
	for (i = 0; i < count; i += 2)
		release(cache, i);
	check(cache, "other-half");
	for (i = 0; i < count; i += 2)
		allocate(cache, i);
	for (i = 1; i < count; i += 2)
		release(cache, i);
	for (i = 0; i < count; i += 2)
		release(cache, i);
	check(cache, "other-empty");
}

/* Up by half of count, down to an eighth more than before, six times. */
static void pattern_sawtooth(struct kmem_cache *cache, u32 count)
{
	u32 i, tooth, number = 0, keep = 0;

	say("# pattern sawtooth k=%u\n", count);
	for (tooth = 0; tooth < 6; tooth++) {
		keep = number + count / 8;
		for (i = 0; i < count / 2; i++)
			allocate(cache, number++);
		while (number > keep)
			release(cache, --number);
	}
	check(cache, "saw-end");
	while (number)
		release(cache, --number);
	check(cache, "saw-empty");
}

static void pattern_random(struct kmem_cache *cache, u64 seed, u32 calls)
{
	u32 i, limit = min(8 * cache_objects(cache) + 500, 4000u);
	char tag[20];

	say("# pattern random\n");
	script_seed(seed);
	live_reset();
	for (i = 0; i < calls; i++) {
		if (script_allocates(live_count() < limit, usual_percent(i, 500)))
			allocate(cache, live_add());
		else
			release(cache, live_take_random());
		if (i % 1000 == 999) {
			snprintf(tag, sizeof(tag), "rand-%u", i + 1);
			check(cache, tag);
		}
	}
	while (live_count())
		release(cache, live_take_random());
	check(cache, "rand-empty");
}

static struct kmem_cache *create(unsigned int size, unsigned int align, bool hwcache_align)
{
	struct kmem_cache *cache;
	char name[32];

	snprintf(name, sizeof(name), "o_%u_%u%s", size, align, hwcache_align ? "h" : "n");
	script_quiesce();
	events_log(true);
	cache = kmem_cache_create(name, size, align, hwcache_align ? SLAB_HWCACHE_ALIGN : 0, NULL);
	events_log(false);
	if (cache)
		script_quiesce();
	return cache;
}

void script_slab(unsigned int size, unsigned int align, bool hwcache_align, u64 seed, u32 calls)
{
	struct kmem_cache *cache;
	u32 count;

	say("#BEGIN slab size=%u align=%u hwalign=%u seed=%llu nops=%u\n", size, align, hwcache_align, seed, calls);
	cache = create(size, align, hwcache_align);
	if (!cache) {
		say("#FAIL create\n");
		return;
	}
	count = clamp(4 * cache_objects(cache) + 3, 40u, 1100u);

	local_bh_disable();
	dump_state("slab-initial", letters_before_slab_script);
	check(cache, "created");
	events_log(true);
	pattern_fifo(cache, count);
	pattern_lifo(cache, count);
	pattern_every_other(cache, count);
	pattern_sawtooth(cache, count);
	pattern_random(cache, seed, calls);
	events_log(false);
	dump_state("slab-final", "p");
	local_bh_enable();

	events_log(true);
	say("# shrink\n");
	kmem_cache_shrink(cache);
	check(cache, "shrunk");
	say("# destroy\n");
	kmem_cache_destroy(cache);
	events_log(false);
	say("#END slab lost=%zu\n", log_lost());
}
