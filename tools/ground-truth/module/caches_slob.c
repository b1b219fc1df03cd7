// SPDX-License-Identifier: GPL-2.0
/*
 * caches_slob.c - SLOB's state: the three lists of partly free pages that all caches share, in list order, each page with its
 * free blocks as offset+units (a unit is 2 bytes on pages of up to 64 KiB).
 *
 * A free block's first unit holds its size and its second the next block's place, in units from the page's start; a block of
 * one unit holds that place alone, negated. The last block points behind the page.
 */
#include "oracle.h"

#define UNITS_PER_PAGE (PAGE_SIZE / sizeof(s16))

const char *const allocator_name = "SLOB";
const char *const letters_before_slab_script = "pc";
const char *const letters_of_kmalloc = "pc";

unsigned int cache_objects(const struct kmem_cache *cache)
{
	return max(1u, (unsigned int)(PAGE_SIZE / cache->size));
}

static void say_page(struct slab *page)
{
	s16 *base = (s16 *)((unsigned long)page->freelist & PAGE_MASK), *block = page->freelist;
	int blocks = 0, units, next;

	say(" %lx %ld [", frame_of(base), page->units);
	do {
		units = block[0] > 0 ? block[0] : 1;
		next = block[0] < 0 ? -block[0] : block[1];
		say(" %x+%d", (unsigned int)((char *)block - (char *)base), units);
		block = base + next;
	} while (next < UNITS_PER_PAGE && ++blocks <= UNITS_PER_PAGE);
	say(" ]");
}

static void dump_list(const char *name, struct list_head *list)
{
	struct slab *page;

	say("@SL %s", name);
	list_for_each_entry(page, list, slab_list)
		say_page(page);
	say("\n");
}

void dump_cache(struct kmem_cache *cache)
{
	dump_list("small", symbols.free_slob_small);
	dump_list("medium", symbols.free_slob_medium);
	dump_list("large", symbols.free_slob_large);
}

void dump_caches(const char *name_begins)
{
	dump_cache(NULL);
}

void dump_slab_pages(void)
{
}

/* SLOB counts nothing. */
void say_slabinfo(struct kmem_cache *cache)
{
}
