// SPDX-License-Identifier: GPL-2.0
/*
 * symbols.c - finds the parts of the kernel that a module is not given.
 *
 * The kernel does not export the function that looks names up; a probe placed on it tells its address.
 */
#include "oracle.h"
#include <linux/kprobes.h>

struct kernel_symbols symbols;

int symbols_find(void)
{
	struct kprobe probe = {.symbol_name = "kallsyms_lookup_name"};
	unsigned long (*lookup)(const char *name);
	int result = register_kprobe(&probe);

	if (result)
		return result;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);

	symbols.max_pfn = *(unsigned long *)lookup("max_pfn");
	symbols.max_low_pfn = *(unsigned long *)lookup("max_low_pfn");
	symbols.page_group_by_mobility_disabled = (void *)lookup("page_group_by_mobility_disabled");
	symbols.get_pfnblock_flags_mask = (void *)lookup("get_pfnblock_flags_mask");
	symbols.slab_caches = (void *)lookup("slab_caches");
	symbols.get_slabinfo = (void *)lookup("get_slabinfo");
	symbols.free_slob_small = (void *)lookup("free_slob_small");
	symbols.free_slob_medium = (void *)lookup("free_slob_medium");
	symbols.free_slob_large = (void *)lookup("free_slob_large");
	symbols.free_vmap_area_list = (void *)lookup("free_vmap_area_list");
	symbols.vmap_area_list = (void *)lookup("vmap_area_list");
	symbols.purge_vmap_area_list = (void *)lookup("purge_vmap_area_list");
	symbols.vmap_lazy_nr = (void *)lookup("vmap_lazy_nr");
	symbols.pkmap_count = (void *)lookup("pkmap_count");
	return 0;
}
