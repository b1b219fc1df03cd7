// SPDX-License-Identifier: GPL-2.0
/*
 * facts.c - the constants that this kernel was built with, as name=value.
 */
#include "oracle.h"

#ifdef CONFIG_SLOB
#define SIZE_OF_NODE ((size_t)0)
#else
#define SIZE_OF_NODE sizeof(struct kmem_cache_node)
#endif

#ifdef CONFIG_SPARSEMEM
#define SECTION_BITS SECTION_SIZE_BITS
#else
#define SECTION_BITS 0
#endif

static void say_allocator_facts(void)
{
	say("allocator=%s\n", allocator_name);
	say("MAX_ORDER=%d pageblock_order=%d PAGE_ALLOC_COSTLY_ORDER=%d NR_PCP_LISTS=%d\n", MAX_ORDER, pageblock_order,
	    PAGE_ALLOC_COSTLY_ORDER, NR_PCP_LISTS);
	say("KMALLOC_MIN_SIZE=%d KMALLOC_SHIFT_LOW=%d KMALLOC_SHIFT_HIGH=%d KMALLOC_MAX_CACHE_SIZE=%lu KMALLOC_MAX_SIZE=%lu\n",
	    (int)KMALLOC_MIN_SIZE, (int)KMALLOC_SHIFT_LOW, (int)KMALLOC_SHIFT_HIGH, KMALLOC_MAX_CACHE_SIZE, KMALLOC_MAX_SIZE);
	say("ARCH_KMALLOC_MINALIGN=%d ARCH_SLAB_MINALIGN=%d cache_line_size=%d nr_cpu_ids=%u online=%u present=%u possible=%u\n",
	    (int)ARCH_KMALLOC_MINALIGN, (int)ARCH_SLAB_MINALIGN, (int)cache_line_size(), nr_cpu_ids, num_online_cpus(),
	    num_present_cpus(), num_possible_cpus());
	say("sizeof page=%zu kmem_cache=%zu kmem_cache_node=%zu vmap_area=%zu vm_struct=%zu\n", sizeof(struct page),
	    sizeof(struct kmem_cache), SIZE_OF_NODE, sizeof(struct vmap_area), sizeof(struct vm_struct));
}

static void say_address_facts(void)
{
	say("PAGE_OFFSET=%lx VMALLOC_START=%lx VMALLOC_END=%lx MODULES_VADDR=%lx\n", (unsigned long)PAGE_OFFSET,
	    (unsigned long)VMALLOC_START, (unsigned long)VMALLOC_END, (unsigned long)MODULES_VADDR);
	say("HZ=%d SECTION_SIZE_BITS=%d\n", HZ, SECTION_BITS);
}

static void say_gfp_facts(void)
{
	say("gfp KERNEL=%x ATOMIC=%x DMA=%x DMA32=%x HIGHUSER_MOVABLE=%x RECLAIMABLE=%x ZERO=%x COMP=%x NOWARN=%x NORETRY=%x "
	    "DIRECT_RECLAIM=%x KSWAPD=%x HIGH=%x ATOMICBIT=%x\n",
	    GFP_KERNEL, GFP_ATOMIC, GFP_DMA, GFP_DMA32, GFP_HIGHUSER_MOVABLE, __GFP_RECLAIMABLE, __GFP_ZERO, __GFP_COMP,
	    __GFP_NOWARN, __GFP_NORETRY, __GFP_DIRECT_RECLAIM, __GFP_KSWAPD_RECLAIM, __GFP_HIGH, __GFP_ATOMIC);
}

void say_facts(void)
{
	say("#BEGIN facts\n");
	say_allocator_facts();
	say_address_facts();
	say_gfp_facts();
	say("#END facts\n");
}
