/* SPDX-License-Identifier: MIT
 *
 * translation.c - what is the same for every paging mode (interface: sim/port/translation.h).
 */
#include "sim/port/translation.h"

const char *page_size_name(enum page_size size)
{
	static const char *const names[PAGE_SIZES] = {[PAGE_4K] = "4K", [PAGE_2M] = "2M", [PAGE_4M] = "4M", [PAGE_1G] = "1G"};
	SIM_ASSERT(size < PAGE_SIZES);
	return names[size];
}

unsigned translation_leaf_level(const struct translation_ops *mode, enum page_size size)
{
	unsigned level = 0;
	while (level < mode->levels && mode->level[level].page != size)
		level++;
	return level;
}
