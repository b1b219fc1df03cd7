/* SPDX-License-Identifier: MIT
 *
 * kernel_code.h - the code of the kernel's paths: which lines of its image each of them runs, for cores that fetch them
 * (cost.code_fetch).
 *
 * A piece is what one setting of cost.* counts the instructions of, with the lines that a run of it came to and that the path
 * below it ("more ...") had not. Nothing is estimated from sizes of functions:
 *
 *   SLUB, pages, areas, faults   Debian's linux-image-6.1.0-56-amd64 (6.1.192-2, gcc 12), booted in QEMU 7.2 with a plugin that
 *                                writes down every instruction between a function's entry and its return;
 *                                tools/kernel-paths/pieces takes the calls of each way and their lines (rules:
 *                                tools/kernel-paths/pieces.slub)
 *   processes, reclaim, disks    likewise, of tools/kernel-paths/record-processes (process-pieces, rules: pieces.processes)
 *   SLAB, SLOB                   mm/slab.c and mm/slob.c of the same source, gcc 12.2 -O2, with NUMA, hardened and shuffled lists
 *                                and Debian's thunks for returns, run function by function in an emulator of the processor on
 *                                structures made up for each path (tools/kernel-paths/emulate)
 *
 * All lie in one image, that of Debian's kernel: its lines meet in the sets of a cache as they do there.
 *
 * MODEL: mm/slab.o and mm/slob.o lie where mm/slub.o does in that image; what is behind it would lie 13 and 28 KB lower. They are
 * built without DEBUG_LIST and with spin_unlock() inlined: up to 3 lines fewer on paths with lists. memset(), memcpy() of pages
 * and clear_page() are left out: 1 or 2 lines where an object or page is zeroed. SLOB's kmalloc() runs kmem_cache_alloc()'s
 * lines; allocations in bulk and debugging those of the ordinary path. Modules lie elsewhere: a device's driver has no lines. The
 * image is this one, whatever kernel is simulated; x86-32 has none, so kmap() fetches nothing. Not fetched: what has no piece
 * here (whole blocks of pages, compaction), and callers but for cost.caller_code.
 */
#ifndef MODELS_KERNEL_CODE_H
#define MODELS_KERNEL_CODE_H

#include "sim/code_image.h"

enum kernel_code {
	CODE_NONE,   /* instructions whose lines are in the piece around them */
	CODE_CALLER, /* what runs between two ops */
	CODE_KMALLOC,
	CODE_KMALLOC_LARGE,
	CODE_KFREE_LARGE,
	CODE_SLUB_ALLOC,
	CODE_SLUB_KMALLOC, /* kmalloc() has a copy of its own of the fast path, and so has kfree() */
	CODE_SLUB_ALLOC_SLOW,
	CODE_SLUB_CPU_PARTIAL,
	CODE_SLUB_GET_PARTIAL,
	CODE_SLUB_NEW_SLAB,
	CODE_SLUB_FREE,
	CODE_SLUB_KFREE,
	CODE_SLUB_FREE_SLOW,
	CODE_SLUB_PUT_CPU_PARTIAL,
	CODE_SLUB_FREE_NODE,
	CODE_SLUB_UNFREEZE_SLAB,
	CODE_SLUB_DISCARD,
	CODE_SLAB_ALLOC,
	CODE_SLAB_KMALLOC,
	CODE_SLAB_REFILL,
	CODE_SLAB_GROW,
	CODE_SLAB_FREE,
	CODE_SLAB_KFREE,
	CODE_SLAB_FLUSH,
	CODE_SLAB_FREE_OBJECT,
	CODE_SLAB_DESTROY,
	CODE_SLOB_ALLOC,
	CODE_SLOB_NEW_PAGE,
	CODE_SLOB_WHOLE_PAGE,
	CODE_SLOB_FREE,
	CODE_SLOB_FREE_PAGE,
	CODE_PAGE_ALLOC,
	CODE_PAGE_BULK,
	CODE_PAGE_ZONE_ALLOC,
	CODE_PAGE_TAIL_ALLOC,
	CODE_PAGE_FREE,
	CODE_PAGE_TAIL_FREE,
	CODE_PAGE_DRAIN,
	CODE_PAGE_ZONE_FREE,
	CODE_PAGE_SLOWPATH,
	CODE_DIRECT_RECLAIM,
	CODE_KSWAPD_RUN,
	CODE_RECLAIM_PASS,
	CODE_RECLAIM_BATCH,
	CODE_RECLAIM_REFERENCED,
	CODE_RECLAIM_UNMAP,
	CODE_RECLAIM_FREE,
	CODE_DEACTIVATE,
	CODE_SWAP_ADD,
	CODE_PAGEOUT,
	CODE_SWAP_IN_PAGE,
	CODE_READ_AHEAD,
	CODE_BLOCK_REQUEST,
	CODE_VMALLOC_AREA,
	CODE_VMALLOC_PAGE,
	CODE_VFREE_AREA,
	CODE_VFREE_PAGE,
	CODE_FAULT_ENTRY,
	CODE_FAULT,
	CODE_FAULT_ZERO,
	CODE_FAULT_ANONYMOUS,
	CODE_FAULT_REUSE,
	CODE_FAULT_AROUND,
	CODE_FAULT_FILE,
	CODE_FAULT_FILE_COPY,
	CODE_FAULT_SHARED_NEW,
	CODE_FAULT_SWAP,
	CODE_FAULT_COPY,
	CODE_TABLE_MAKE,
	CODE_TABLE_FREE,
	CODE_UNMAP_ENTRY,
	CODE_RELEASE_PAGE,
	CODE_MMAP,
	CODE_MUNMAP,
	CODE_MADVISE,
	CODE_MPROTECT,
	CODE_UNLINK_ANON_VMA,
	CODE_TLB_FLUSH,
	CODE_FORK,
	CODE_FORK_AREA,
	CODE_FORK_ANON_VMA,
	CODE_FORK_ENTRY,
	CODE_EXEC,
	CODE_EXIT,
	CODE_CONTEXT_SWITCH,
	CODE_COLLAPSE_RANGE,
	CODE_COLLAPSE,
	KERNEL_CODES
};

struct settings;
struct layout;

/* Those that are not known have no stretches. */
extern const struct code_piece kernel_code_pieces[KERNEL_CODES];

/* The image that the run's cores fetch from; lives as long as it is not moved. */
struct kernel_code_image {
	struct code_image image;
	struct code_piece pieces[KERNEL_CODES];
	struct code_stretch caller;
};

/*
 * The code of the kernel; its image lies where the layout has the kernel's text.
 * Returns what a core is to be given: &code->image, or NULL if nothing is fetched (cost.code_fetch: false and cost.caller_code
 * 0). On x86-32, of which no code is known, nobody may ask for it.
 */
const struct code_image *kernel_code_init(struct kernel_code_image *code, const struct settings *settings,
                                          const struct layout *layout);

#endif
