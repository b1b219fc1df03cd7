/* SPDX-License-Identifier: GPL-2.0 */
/*
 * oracle.h - what the files of the recording module share.
 *
 * The module runs scripts of allocator calls inside the kernel and writes every call, its outcome and the allocators' state
 * into a text log (the formats: docs/ground-truth.md). commands.c is the way in, script_*.c make the calls, events.c logs what
 * the kernel does meanwhile, state.c and the files it calls print the state, log.c holds the text.
 *
 * It includes the kernel's private mm/slab.h when it is built, which is why it is licensed as the kernel is.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/types.h>
#include <linux/vmalloc.h>
#include "slab.h"

/* log.c: the text. */
int log_init(unsigned int megabytes);
void log_release(void);
void log_reset(void);
ssize_t log_copy(char __user *to, size_t size, loff_t *position);
size_t log_lost(void); /* pieces of text that found the buffer full since it was reset */
__printf(1, 2) void say(const char *format, ...);
__printf(1, 2) void say_event(const char *format, ...); /* dropped while events are not wanted */
bool events_log(bool wanted);                           /* returns what was set before */
bool events_logged(void);

/* An address of the direct map is printed as frame and offset: "%lx.%x". */
static inline unsigned long frame_of(const void *address)
{
	return __pa(address) >> PAGE_SHIFT;
}

static inline unsigned int offset_of(const void *address)
{
	return (unsigned long)address & (PAGE_SIZE - 1);
}

/* symbols.c: parts of the kernel that it does not export; NULL where this kernel lacks one. */
struct kernel_symbols {
	unsigned long max_pfn, max_low_pfn;
	int *page_group_by_mobility_disabled;
	unsigned long (*get_pfnblock_flags_mask)(const struct page *page, unsigned long pfn, unsigned long mask);
	struct list_head *slab_caches;
	void (*get_slabinfo)(struct kmem_cache *cache, struct slabinfo *info);
	struct list_head *free_slob_small, *free_slob_medium, *free_slob_large;
	struct list_head *free_vmap_area_list, *vmap_area_list, *purge_vmap_area_list;
	atomic_long_t *vmap_lazy_nr;
	int *pkmap_count;
};

extern struct kernel_symbols symbols;

int symbols_find(void);

/* events.c: what the kernel's kmem tracepoints say while a script runs. */
int events_hook(void);
void events_unhook(void);

/* state.c: a dump of the parts named by the letters of `what`. */
void dump_state(const char *tag, const char *what);

/* pages.c, vmap.c: the letters p, m and v. */
void dump_pages(void);
void dump_map(void);
void dump_vmap(void);
long vmap_lazy(void);

/* caches_slub.c, caches_slab.c or caches_slob.c, with caches.c for the first two: the letters c, k, s. */
extern const char *const allocator_name;
extern const char *const letters_before_slab_script, *const letters_of_kmalloc;
unsigned int cache_objects(const struct kmem_cache *cache); /* in a slab of the usual order */
void dump_cache(struct kmem_cache *cache);                  /* SLOB: the lists that all caches share */
void dump_caches(const char *name_begins);                  /* all whose name begins so; NULL: all */
void dump_slab_pages(void);
void say_slabinfo(struct kmem_cache *cache);

/* script.c: what the scripts share. Every script draws from one stream of numbers, and knows its live objects by number. */
#define OBJECTS_MAX 65536

struct script_object {
	void *address;
	u8 order;
};

extern struct script_object objects[OBJECTS_MAX];

void script_quiesce(void);
void script_seed(u64 seed);
u32 random_below(u32 limit);
void live_reset(void);
u32 live_count(void);
u32 live_add(void);                            /* a new object's number */
void live_drop_last(void);                     /* its allocation failed */
u32 live_take_random(void);                    /* to be freed */
bool script_allocates(bool room, u32 percent); /* whether the next call allocates */
u32 usual_percent(u32 call, u32 phase_calls);

/* The scripts. */
void script_slab(unsigned int size, unsigned int align, bool hwcache_align, u64 seed, u32 calls);
void script_kmalloc_sizes(size_t max);
void script_kmalloc_pow2(void);
void script_kmalloc_rand(u64 seed, u32 calls, u32 limit);
void script_pages(unsigned int mix, u64 seed, u32 calls, u32 limit, unsigned long floor);
void script_vmalloc(u64 seed, u32 calls, u32 limit);
void script_vmalloc_pow2(void);
void say_facts(void);
#ifdef CONFIG_HIGHMEM
void script_kmap(void);
#else
static inline void script_kmap(void)
{
	say("#SKIP kmap (no CONFIG_HIGHMEM)\n");
}
#endif

#endif
