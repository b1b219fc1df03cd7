/* SPDX-License-Identifier: MIT
 *
 * kernel_caches.c - the rows, and an object of one (interface and sources: kernel_caches.h).
 *
 * SLAB_MEM_SPREAD of the kernel's calls is left out: it does nothing without cpusets.
 */
#include "models/kernel_caches.h"

#include "sim/port/object_allocator.h"

#define LINE_BYTES 64   /* L1_CACHE_BYTES of x86-64 */
#define MAPLE_BYTES 256 /* sizeof(struct maple_node), which is its alignment too */

/* Flags of most caches of processes, and of most caches of file systems. */
#define PROCESS (SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT)
#define FILES (SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_ACCOUNT)

const struct workload_cache_spec kernel_caches[KERNEL_CACHES] = {
        [CACHE_TASK_STRUCT] = {"task_struct", 2944, LINE_BYTES, SLAB_PANIC | SLAB_ACCOUNT, false},      /* kernel/fork.c */
        [CACHE_SIGHAND] = {"sighand_cache", 2080, 0, PROCESS | SLAB_TYPESAFE_BY_RCU, true},             /* kernel/fork.c */
        [CACHE_SIGNAL] = {"signal_cache", 960, 0, PROCESS, false},                                      /* kernel/fork.c */
        [CACHE_FILES] = {"files_cache", 704, 0, PROCESS, false},                                        /* kernel/fork.c */
        [CACHE_FS] = {"fs_cache", 56, 0, PROCESS, false},                                               /* kernel/fork.c */
        [CACHE_MM_STRUCT] = {"mm_struct", 920, 0, PROCESS, false},                                      /* kernel/fork.c */
        [CACHE_VM_AREA_STRUCT] = {"vm_area_struct", 128, 0, SLAB_PANIC | SLAB_ACCOUNT, false},          /* kernel/fork.c */
        [CACHE_MAPLE_NODE] = {"maple_node", MAPLE_BYTES, MAPLE_BYTES, SLAB_PANIC, false},               /* lib/maple_tree.c */
        [CACHE_ANON_VMA] = {"anon_vma", 96, 0, SLAB_TYPESAFE_BY_RCU | SLAB_PANIC | SLAB_ACCOUNT, true}, /* mm/rmap.c */
        [CACHE_ANON_VMA_CHAIN] = {"anon_vma_chain", 64, 0, SLAB_PANIC | SLAB_ACCOUNT, false},           /* mm/rmap.c */
        [CACHE_PID] = {"pid", 112, 0, PROCESS, false},                                                  /* kernel/pid.c */
        [CACHE_CRED_JAR] = {"cred_jar", 136, 0, PROCESS, false},                                        /* kernel/cred.c */
        [CACHE_SIGQUEUE] = {"sigqueue", 80, 0, SLAB_PANIC | SLAB_ACCOUNT, false},                       /* kernel/signal.c */
        [CACHE_RADIX_TREE_NODE] = {"radix_tree_node", 192, 0, SLAB_PANIC | SLAB_RECLAIM_ACCOUNT, true}, /* lib/radix-tree.c */
        [CACHE_DENTRY] = {"dentry", 192, 0, FILES, false},                                              /* fs/dcache.c */
        [CACHE_INODE] = {"inode_cache", 576, 0, FILES, true},                                           /* fs/inode.c */
        [CACHE_SHMEM_INODE] = {"shmem_inode_cache", 704, 0, SLAB_PANIC | SLAB_ACCOUNT, true},           /* mm/shmem.c */
        [CACHE_PROC_INODE] = {"proc_inode_cache", 648, 0, FILES, true},                                 /* fs/proc/inode.c */
        [CACHE_FILP] = {"filp", 224, 0, PROCESS, false},                                                /* fs/file_table.c */
        [CACHE_NAMES] = {"names_cache", 4096, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, false},               /* fs/dcache.c */
        [CACHE_SKBUFF_HEAD] = {"skbuff_head_cache", 208, 0, SLAB_HWCACHE_ALIGN | SLAB_PANIC, false},    /* net/core/skbuff.c */
        [CACHE_KERNFS_NODE] = {"kernfs_node_cache", 128, 0, SLAB_PANIC, false},                         /* fs/kernfs/mount.c */
        [CACHE_MM_SLOT] = {"khugepaged_mm_slot", 112, 8, 0, false},                                     /* mm/khugepaged.c */
};

workload_kind kernel_object(struct workload *workload, enum kernel_cache cache, const char *call_site, gfp flags)
{
	return workload_object(workload, call_site, &kernel_caches[cache], flags);
}
