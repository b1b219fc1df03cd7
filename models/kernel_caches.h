/* SPDX-License-Identifier: MIT
 *
 * kernel_caches.h - the caches that made-up kernel loads take their objects from: sizes, alignment and flags of Linux 6.1.
 *
 * Source of the sizes: /sys/kernel/slab/<cache>/object_size of the recorded x86-64 kernel 6.1.192
 * (traces/qemu-512m-slub-small/before/slub_sysfs). Source of alignment, flags and constructors: each cache's kmem_cache_create()
 * in Linux 6.1, named beside its row.
 * MODEL: the recorded kernel is a small one (no control groups, no security modules, no NUMA); a distribution's structures are
 * larger by some fields, and its sizes are not the same everywhere either.
 */
#ifndef MODELS_KERNEL_CACHES_H
#define MODELS_KERNEL_CACHES_H

#include "sim/workload.h"

enum kernel_cache {
	CACHE_TASK_STRUCT,
	CACHE_SIGHAND,
	CACHE_SIGNAL,
	CACHE_FILES,
	CACHE_FS,
	CACHE_MM_STRUCT,
	CACHE_VM_AREA_STRUCT,
	CACHE_MAPLE_NODE,
	CACHE_ANON_VMA,
	CACHE_ANON_VMA_CHAIN,
	CACHE_PID,
	CACHE_CRED_JAR,
	CACHE_SIGQUEUE,
	CACHE_RADIX_TREE_NODE,
	CACHE_DENTRY,
	CACHE_INODE,
	CACHE_SHMEM_INODE,
	CACHE_PROC_INODE,
	CACHE_FILP,
	CACHE_NAMES,
	CACHE_SKBUFF_HEAD,
	CACHE_KERNFS_NODE,
	CACHE_MM_SLOT,
	KERNEL_CACHES
};

extern const struct workload_cache_spec kernel_caches[KERNEL_CACHES];

/* An object of one of them, for this caller. */
workload_kind kernel_object(struct workload *workload, enum kernel_cache cache, const char *call_site, gfp flags);

#endif
