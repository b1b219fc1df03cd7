// SPDX-License-Identifier: GPL-2.0
/*
 * script_kmap.c - mappings of high memory on 32 bits: kmap's slots and when they are reused, nested kmap_local and kmap_atomic.
 */
#include "oracle.h"
#include <linux/highmem.h>

#define PAGES 700
#define KEPT 300  /* pages of the first round: mapped and partly kept so */
#define LATER 380 /* pages from KEPT to here are mapped while those are */
#define AGAIN 20  /* pages below this are mapped a second time */
#define TURNS 1500

static struct page *pages[PAGES];

static void dump_counts(void)
{
	int i;

	say("@PK :");
	for (i = 0; symbols.pkmap_count && i < LAST_PKMAP; i++)
		say(" %d", symbols.pkmap_count[i]);
	say("\n");
}

static void map(const char *verb, int i)
{
	say("%s %d %lx\n", verb, i, (unsigned long)kmap(pages[i]));
}

static void unmap(int i)
{
	kunmap(pages[i]);
	say("kunmap %d\n", i);
}

/* One page in three is unmapped, then mapped again: it finds its old place. */
static void map_twice(void)
{
	int i;

	for (i = 0; i < KEPT; i++)
		map("kmap", i);
	for (i = 0; i < KEPT; i += 3)
		unmap(i);
	for (i = 1; i < AGAIN; i += 3)
		map("kmap-again", i);
	for (i = KEPT; i < LATER; i++)
		map("kmap", i);
	for (i = 1; i < AGAIN; i += 3)
		unmap(i);
	for (i = KEPT; i < LATER; i++)
		unmap(i);
	for (i = 1; i < KEPT; i++)
		if (i % 3)
			unmap(i);
}

/* Each page mapped and at once unmapped: shows where the slots wrap and are flushed. */
static void map_in_turn(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		map("kmap-turn", i % PAGES);
		kunmap(pages[i % PAGES]);
	}
}

static void map_nested(int i)
{
	void *first = kmap_local_page(pages[i]);
	void *second = kmap_atomic(pages[i + 1]);
	void *third = kmap_local_page(pages[i + 2]);

	say("kmap_local %d %lx kmap_atomic %d %lx kmap_local %d %lx\n", i, (unsigned long)first, i + 1, (unsigned long)second,
	    i + 2, (unsigned long)third);
	kunmap_local(third);
	kunmap_atomic(second);
	kunmap_local(first);
}

static void map_low_memory(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	void *mapped = kmap(page), *mapped_local = kmap_local_page(page);

	say("lowmem page %lx kmap %lx kmap_local %lx\n", page_to_pfn(page), (unsigned long)mapped, (unsigned long)mapped_local);
	kunmap_local(mapped_local);
	kunmap(page);
	__free_page(page);
}

void script_kmap(void)
{
	int i;

	script_quiesce();
	say("#BEGIN kmap pkmap_base=%lx last_pkmap=%d fixmap_begin=%lx\n", (unsigned long)PKMAP_BASE, LAST_PKMAP,
	    __fix_to_virt(FIX_KMAP_BEGIN));
	dump_counts();
	for (i = 0; i < PAGES; i++)
		pages[i] = alloc_page(GFP_HIGHUSER);
	for (i = 0; i < PAGES; i++)
		say("P %d %lx high=%d\n", i, page_to_pfn(pages[i]), PageHighMem(pages[i]));
	map_twice();
	map_in_turn();
	dump_counts();
	for (i = 0; i < 5; i++)
		map_nested(i);
	map_low_memory();
	for (i = 0; i < PAGES; i++)
		__free_page(pages[i]);
	say("#END kmap lost=%zu\n", log_lost());
}
