/* SPDX-License-Identifier: MIT
 *
 * gfp.h - the flags of an allocation, with the names and bit values of Linux 6.1 (include/linux/gfp_types.h), and their text form
 * as tracepoints print it ("GFP_KERNEL|__GFP_ZERO").
 */
#ifndef SIM_GFP_H
#define SIM_GFP_H

#include "sim/base.h"

typedef uint32_t gfp;

enum {
	__GFP_DMA = 0x1,
	__GFP_HIGHMEM = 0x2,
	__GFP_DMA32 = 0x4,
	__GFP_MOVABLE = 0x8,
	__GFP_RECLAIMABLE = 0x10,
	__GFP_HIGH = 0x20,
	__GFP_IO = 0x40,
	__GFP_FS = 0x80,
	__GFP_ZERO = 0x100,
	__GFP_ATOMIC = 0x200,
	__GFP_DIRECT_RECLAIM = 0x400,
	__GFP_KSWAPD_RECLAIM = 0x800,
	__GFP_WRITE = 0x1000,
	__GFP_NOWARN = 0x2000,
	__GFP_RETRY_MAYFAIL = 0x4000,
	__GFP_NOFAIL = 0x8000,
	__GFP_NORETRY = 0x10000,
	__GFP_MEMALLOC = 0x20000,
	__GFP_COMP = 0x40000,
	__GFP_NOMEMALLOC = 0x80000,
	__GFP_HARDWALL = 0x100000,
	__GFP_THISNODE = 0x200000,
	__GFP_ACCOUNT = 0x400000,
	__GFP_ZEROTAGS = 0x800000,
	__GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM,

	GFP_ATOMIC = __GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM,
	GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS,
	GFP_NOWAIT = __GFP_KSWAPD_RECLAIM,
	GFP_DMA = __GFP_DMA,
	GFP_DMA32 = __GFP_DMA32,
	GFP_USER = GFP_KERNEL | __GFP_HARDWALL,
	GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM,
	GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE,
	GFP_TRANSHUGE_LIGHT = (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM,
	GFP_TRANSHUGE = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM
};

/*
 * Reads flags as a tracepoint prints them: names joined by '|' (composite names, single names with or without the leading
 * underscores, names of older kernels mapped to today's meaning), "none", or one hexadecimal number, which is taken with the
 * bit values of 6.1. Unknown names are left out and make the result false; *flags then holds what was understood.
 */
bool gfp_parse(const char *text, size_t length, gfp *flags);

/* Writes flags as 6.1's tracepoints do, composite names first; always terminates. Returns text. */
const char *gfp_print(gfp flags, char *text, size_t size);

#endif
