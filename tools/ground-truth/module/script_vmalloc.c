// SPDX-License-Identifier: GPL-2.0
/*
 * script_vmalloc.c - vmalloc: a random mix, and the powers of two up to where it fails.
 *
 * The mix asks 1 + r bytes, r below a power of two from 256 to 256 Ki. Soft interrupts are on: vmalloc forbids otherwise.
 */
#include "oracle.h"

/* The longest line: 64 frames, a blank and at most 13 digits each, behind the number and the address. */
#define LINE_MAX 1024

#define LARGEST_TRIED (2UL << 30)

/* From here on one failure is enough. */
#define LIMIT_PASSED (8UL << 20)

static u32 percent_of(u32 call)
{
	static const u8 percent[] = {75, 50, 25, 65, 35};

	return percent[call / 200 % ARRAY_SIZE(percent)];
}

static void allocate(void)
{
	u32 size = 1 + random_below(1u << (8 + random_below(11)));
	static char line[LINE_MAX];
	u32 id = live_add(), i;
	size_t length;
	char *area;

	say("v %u %u lazy=%ld\n", id, size, vmap_lazy());
	area = vmalloc(size);
	objects[id].address = area;
	/* Said at once, for events of interrupts and of other CPUs come in between. */
	length = scnprintf(line, sizeof(line), "V %u %lx :", id, (unsigned long)area);
	for (i = 0; area && i < PAGE_ALIGN(size); i += PAGE_SIZE)
		length += scnprintf(line + length, sizeof(line) - length, " %lx", vmalloc_to_pfn(area + i));
	say("%s\n", line);
}

static void release(u32 id)
{
	say("F %u lazy=%ld\n", id, vmap_lazy());
	vfree(objects[id].address);
}

void script_vmalloc(u64 seed, u32 calls, u32 limit)
{
	u32 i;

	script_quiesce();
	say("#BEGIN vmalloc seed=%llu nops=%u lim=%u\n", seed, calls, limit);
	dump_state("vm-initial", "pv");
	events_log(true);
	script_seed(seed);
	live_reset();
	for (i = 0; i < calls; i++) {
		if (script_allocates(live_count() < limit, percent_of(i)))
			allocate();
		else
			release(live_take_random());
		if (i % 1000 == 999)
			dump_state("vm-check", "v");
	}
	dump_state("vm-live", "pv");
	while (live_count())
		release(live_take_random());
	events_log(false);
	dump_state("vm-final", "pv");
	say("#END vmalloc lost=%zu\n", log_lost());
}

void script_vmalloc_pow2(void)
{
	size_t size;
	void *area;

	script_quiesce();
	say("#BEGIN vmalloc_pow2\n");
	for (size = 1; size && size <= LARGEST_TRIED; size <<= 1) {
		area = __vmalloc(size, GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
		if (area)
			say("2 %zu OK %lx pfn0=%lx\n", size, (unsigned long)area, vmalloc_to_pfn(area));
		else
			say("2 %zu FAIL\n", size);
		vfree(area);
		if (!area && size > LIMIT_PASSED)
			break;
	}
	say("#END pow2 lost=%zu\n", log_lost());
}
