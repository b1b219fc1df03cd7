// SPDX-License-Identifier: GPL-2.0
/*
 * vmap.c - vmalloc's areas: free, in use, and freed but not yet flushed (purge), each list in address order.
 */
#include "oracle.h"

long vmap_lazy(void)
{
	return symbols.vmap_lazy_nr ? atomic_long_read(symbols.vmap_lazy_nr) : -1;
}

static void dump_areas(const char *name, struct list_head *list)
{
	struct vmap_area *area;

	if (!list)
		return;
	say("@VA %s :", name);
	list_for_each_entry(area, list, list)
		say(" %lx-%lx", area->va_start, area->va_end);
	say("\n");
}

void dump_vmap(void)
{
	say("@VM start=%lx end=%lx lazy=%ld\n", (unsigned long)VMALLOC_START, (unsigned long)VMALLOC_END, vmap_lazy());
	dump_areas("free", symbols.free_vmap_area_list);
	dump_areas("busy", symbols.vmap_area_list);
	dump_areas("purge", symbols.purge_vmap_area_list);
}
