/* SPDX-License-Identifier: MIT
 *
 * usercopy_caches.c - the names (interface: usercopy_caches.h).
 *
 * Source: /sys/kernel/slab/<cache>/usersize of a running Linux 6.1.192 for those that every kernel has (dentry, mm_struct,
 * names_cache, proc_dir_entry, skbuff_head_cache, task_struct), and the callers of kmem_cache_create_usercopy() and the fields
 * proto.usersize in Linux 6.1 for file systems, drivers and protocols.
 * MODEL: caches of modules outside the kernel's own tree are not known; with kernel.slab_merge they may be merged here.
 */
#include "sim/usercopy_caches.h"

#include <string.h>

static const char *const names[] = {
        /* seen in sysfs */
        "dentry",
        "mm_struct",
        "names_cache",
        "proc_dir_entry",
        "skbuff_head_cache",
        "task_struct",
        /* short symbolic links inside inodes */
        "befs_inode_cache",
        "ext2_inode_cache",
        "ext4_inode_cache",
        "jfs_ip",
        "orangefs_inode_cache",
        "ufs_inode_cache",
        "vxfs_inode",
        /* buffers and control blocks */
        "cifs_request",
        "cifs_small_rq",
        "kvm_vcpu",
        "scsi_sense_cache",
        /* socket options inside sockets */
        "CAIF",
        "RAW",
        "RAWv6",
        "SCTP",
        "SCTPv6",
};

bool usercopy_cache(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}
