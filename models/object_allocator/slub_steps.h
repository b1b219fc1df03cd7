/* SPDX-License-Identifier: MIT
 *
 * slub_steps.h - what SLUB's actions touch: the fields of struct kmem_cache, kmem_cache_cpu, kmem_cache_node and struct slab
 * (which is the first struct page of the slab), and the free pointers inside objects.
 *
 * Offsets are those of Linux 6.1 include/linux/slub_def.h, mm/slab.h and mm/slub.c, built as Debian builds it for amd64 (NUMA,
 * SLUB_CPU_PARTIAL, SLUB_DEBUG, SLAB_FREELIST_HARDENED, SYSFS; no PREEMPT_RT), and for 32 bits without NUMA. Fields of
 * kmem_cache_cpu, kmem_cache_node and slab are machine words, so one number serves both. Each function writes steps only while
 * they are recorded; their order is the order of the source (docs/steps.md has the paths as tables). The first use of a pointer
 * that the path has just read waits for it (step_use); what lies on the same line behind it does not wait again.
 *
 * MODEL: variables that every path reads and nothing writes (gfp_allowed_mask, vmemmap_base, page_offset_base, static keys) and
 * the stack are not touched: they stay in the first level. The same holds for the preempt count. The per-CPU lock is the
 * interrupts that are off (local_lock_irqsave without PREEMPT_RT). MODEL: where they were off before, they are switched on again
 * nevertheless, but for put_cpu_partial() under the node's lock.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLUB_STEPS_H
#define MODELS_OBJECT_ALLOCATOR_SLUB_STEPS_H

#include "models/object_allocator/slub.h"
#include "models/settings.h"
#include "sim/list_steps.h"
#include "sim/steps.h"

/* The fields of struct kmem_cache that a path reads. */
enum slub_field {
	CACHE_CPU_SLAB,
	CACHE_FLAGS,
	CACHE_MIN_PARTIAL,
	CACHE_OBJECT_SIZE,
	CACHE_OFFSET,
	CACHE_CPU_PARTIAL_SLABS,
	CACHE_OO,
	CACHE_MIN,
	CACHE_ALLOCFLAGS,
	CACHE_CTOR,
	CACHE_RANDOM,
	CACHE_DEFRAG_RATIO,
	CACHE_RANDOM_SEQ,
	CACHE_NODE,
	CACHE_FIELDS
};

/* Up to node[0], the one pointer that is allocated on a machine of one node. */
#define KMEM_CACHE_BYTES 224u

/* struct kmem_cache_cpu: freelist, tid, slab, partial. */
#define KMEM_CACHE_CPU_BYTES 32u
/* alloc_kmem_cache_cpus(): two words that one instruction exchanges. */
#define KMEM_CACHE_CPU_ALIGN 16u
#define CPU_FREELIST_WORD 0u
#define CPU_TID_WORD 1u
#define CPU_SLAB_WORD 2u
#define CPU_PARTIAL_WORD 3u
/* struct kmem_cache_node: list_lock, nr_partial, partial (2), nr_slabs, total_objects, full (2). */
#define KMEM_CACHE_NODE_BYTES 64u
#define NODE_NR_PARTIAL_WORD 1u
#define NODE_LIST_WORD 2u
#define NODE_NR_SLABS_WORD 4u
/* struct slab: flags, slab_list (2; or next and slabs; or compound_head), slab_cache, freelist, counters. */
#define SLAB_FLAGS_WORD 0u
#define SLAB_LIST_WORD 1u
#define SLAB_SLABS_WORD 2u
#define SLAB_CACHE_WORD 3u
#define SLAB_FREELIST_WORD 4u
#define SLAB_COUNTERS_WORD 5u
/* struct per_cpu_nodestat: stat_threshold, then a byte for each item; NR_SLAB_RECLAIMABLE_B is the sixth. */
#define PER_CPU_NODESTAT_BYTES 64u
#define NODESTAT_SLAB_OFFSET 6u
/* `slabs` and the halves of `counters` that hold inuse, objects and frozen are ints. */
#define INT_BYTES 4u

static inline struct steps *slub_steps(const struct slub *slub)
{
	return slub->wiring.steps;
}

static inline uint32_t slub_words(const struct slub *slub, uint32_t count)
{
	return count * slub->config.pointer_bytes;
}

static inline vaddr slub_word(const struct slub *slub, vaddr base, uint32_t word)
{
	return vaddr_of(base.addr + slub_words(slub, word));
}

static inline vaddr slub_cpu_word(const struct slub *slub, const struct slub_cache *cache, unsigned cpu, uint32_t word)
{
	return slub_word(slub, layout_per_cpu(slub->wiring.layout, cache->at.cpu_offset, cpu), word);
}

static inline vaddr slub_page_word(const struct slub *slub, const struct slub_slab *slab, uint32_t word)
{
	return slub_word(slub, layout_struct_page(slub->wiring.layout, slab->first), word);
}

static inline vaddr slub_free_pointer(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	const struct slub_geometry *g = &slab->cache->geometry;
	return vaddr_of(slub_first_object(slub, slab) + (uint64_t)index * g->size + g->offset);
}

static inline void slub_read_field(const struct slub *slub, const struct slub_cache *cache, enum slub_field field)
{
	static const struct {
		uint8_t at64, at32;
		bool word; /* a pointer or a long; else an int */
	} fields[CACHE_FIELDS] = {
	        [CACHE_CPU_SLAB] = {0, 0, true},       [CACHE_FLAGS] = {8, 4, false},
	        [CACHE_MIN_PARTIAL] = {16, 8, true},   [CACHE_OBJECT_SIZE] = {28, 16, false},
	        [CACHE_OFFSET] = {40, 28, false},      [CACHE_CPU_PARTIAL_SLABS] = {48, 36, false},
	        [CACHE_OO] = {52, 40, false},          [CACHE_MIN] = {56, 44, false},
	        [CACHE_ALLOCFLAGS] = {60, 48, false},  [CACHE_CTOR] = {72, 56, true},
	        [CACHE_RANDOM] = {184, 120, true},     [CACHE_DEFRAG_RATIO] = {192, 124, false},
	        [CACHE_RANDOM_SEQ] = {200, 124, true}, [CACHE_NODE] = {216, 136, true},
	};
	uint64_t offset = slub->config.pointer_bytes == 8 ? fields[field].at64 : fields[field].at32;
	step_read(slub_steps(slub), vaddr_of(cache->at.kmem_cache.addr + offset),
	          fields[field].word ? slub->config.pointer_bytes : INT_BYTES);
}

static inline void slub_read_cpu(const struct slub *slub, const struct slub_cache *cache, unsigned cpu, uint32_t word)
{
	step_read(slub_steps(slub), slub_cpu_word(slub, cache, cpu, word), slub_words(slub, 1));
}

static inline void slub_write_cpu(const struct slub *slub, const struct slub_cache *cache, unsigned cpu, uint32_t word)
{
	step_write(slub_steps(slub), slub_cpu_word(slub, cache, cpu, word), slub_words(slub, 1));
}

/* A read-modify-write that is not locked: what a per-CPU structure needs, and nobody else touches. */
static inline void slub_update_cpu(const struct slub *slub, const struct slub_cache *cache, unsigned cpu, uint32_t word)
{
	step_update(slub_steps(slub), slub_cpu_word(slub, cache, cpu, word), slub_words(slub, 1));
}

/* this_cpu_cmpxchg_double() of freelist and tid. */
static inline void slub_exchange_cpu(const struct slub *slub, const struct slub_cache *cache, unsigned cpu)
{
	step_exchange(slub_steps(slub), slub_cpu_word(slub, cache, cpu, CPU_FREELIST_WORD), slub_words(slub, 2));
}

/* this_cpu_ptr(s->cpu_slab): what follows lies behind that pointer. */
static inline void slub_find_cpu(const struct slub *slub, const struct slub_cache *cache)
{
	slub_read_field(slub, cache, CACHE_CPU_SLAB);
	step_use(slub_steps(slub));
}

static inline void slub_read_slab(const struct slub *slub, const struct slub_slab *slab, uint32_t word)
{
	step_read(slub_steps(slub), slub_page_word(slub, slab, word), slub_words(slub, 1));
}

static inline void slub_write_slab(const struct slub *slub, const struct slub_slab *slab, uint32_t word)
{
	step_write(slub_steps(slub), slub_page_word(slub, slab, word), slub_words(slub, 1));
}

static inline void slub_update_slab(const struct slub *slub, const struct slub_slab *slab, uint32_t word)
{
	step_update(slub_steps(slub), slub_page_word(slub, slab, word), slub_words(slub, 1));
}

static inline void slub_read_node(const struct slub *slub, const struct slub_cache *cache, uint32_t word)
{
	step_read(slub_steps(slub), slub_word(slub, cache->at.node, word), slub_words(slub, 1));
}

/*
 * virt_to_slab(), virt_to_folio(): the struct page of the object's own frame says whether it is a tail, and of which head; the
 * head's flags say whether it is a slab.
 */
static inline void slub_virt_to_slab(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	uint64_t object = slub_first_object(slub, slab) + (uint64_t)index * slab->cache->geometry.size;
	pfn frame = layout_pfn_of(slub->wiring.layout, vaddr_of(object));
	vaddr page = layout_struct_page(slub->wiring.layout, frame);
	step_read(slub_steps(slub), slub_word(slub, page, SLAB_LIST_WORD), slub_words(slub, 1));
	step_use(slub_steps(slub));
	slub_read_slab(slub, slab, SLAB_FLAGS_WORD);
}

/* With slab_freelist_hardened a pointer is stored mixed with its address and a random word of the cache (freelist_ptr). */
static inline void slub_decode_pointer(const struct slub *slub, const struct slub_cache *cache)
{
	if (!slub->hardened)
		return;
	slub_read_field(slub, cache, CACHE_RANDOM);
	step_spend(slub_steps(slub), slub->wiring.settings->cost.freelist_decode);
}

/* get_freepointer() */
static inline void slub_read_pointer(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	slub_read_field(slub, slab->cache, CACHE_OFFSET);
	step_use(slub_steps(slub));
	step_read(slub_steps(slub), slub_free_pointer(slub, slab, index), slub_words(slub, 1));
	slub_decode_pointer(slub, slab->cache);
}

/* set_freepointer() */
static inline void slub_write_pointer(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	slub_read_field(slub, slab->cache, CACHE_OFFSET);
	slub_decode_pointer(slub, slab->cache);
	step_write(slub_steps(slub), slub_free_pointer(slub, slab, index), slub_words(slub, 1));
}

static inline void slub_read_counters(const struct slub *slub, const struct slub_slab *slab)
{
	slub_read_slab(slub, slab, SLAB_FREELIST_WORD);
	slub_read_slab(slub, slab, SLAB_COUNTERS_WORD);
}

/*
 * cmpxchg_double_slab(): freelist and counters change together, by one locked instruction, or under the page's bit lock where
 * debugging forbids that.
 */
static inline void slub_exchange_counters(const struct slub *slub, const struct slub_slab *slab)
{
	struct steps *steps = slub_steps(slub);
	slub_read_field(slub, slab->cache, CACHE_FLAGS);
	if (slab->cache->geometry.flags & SLUB_CMPXCHG_DOUBLE) {
		step_cmpxchg(steps, slub_page_word(slub, slab, SLAB_FREELIST_WORD), slub_words(slub, 2));
		return;
	}
	step_atomic(steps, slub_page_word(slub, slab, SLAB_FLAGS_WORD), slub_words(slub, 1));
	slub_read_counters(slub, slab);
	slub_write_slab(slub, slab, SLAB_FREELIST_WORD);
	slub_write_slab(slub, slab, SLAB_COUNTERS_WORD);
	step_write(steps, slub_page_word(slub, slab, SLAB_FLAGS_WORD), slub_words(slub, 1));
}

/* get_node(s, slab_nid(slab)): the node's number stands in the page's flags. */
static inline void slub_find_node(const struct slub *slub, const struct slub_slab *slab)
{
	slub_read_slab(slub, slab, SLAB_FLAGS_WORD);
	step_use(slub_steps(slub));
	slub_read_field(slub, slab->cache, CACHE_NODE);
	step_use(slub_steps(slub));
}

static inline void slub_lock_node(const struct slub *slub, const struct slub_cache *cache)
{
	step_lock_irqsave(slub_steps(slub), cache->at.node);
}

static inline void slub_unlock_node(const struct slub *slub, const struct slub_cache *cache)
{
	step_unlock_irqrestore(slub_steps(slub), cache->at.node);
}

/* The list head of a slab, or of the node's list for NULL. */
static inline vaddr slub_list_head(const struct slub *slub, const struct slub_cache *cache, const struct slub_slab *slab)
{
	return slab ? slub_page_word(slub, slab, SLAB_LIST_WORD) : slub_word(slub, cache->at.node, NODE_LIST_WORD);
}

/* n->nr_partial++ or -- */
static inline void slub_touch_nr_partial(const struct slub *slub, const struct slub_cache *cache)
{
	step_update(slub_steps(slub), slub_word(slub, cache->at.node, NODE_NR_PARTIAL_WORD), slub_words(slub, 1));
}

/* add_partial(), of a slab that the list has already. */
static inline void slub_touch_add(const struct slub *slub, const struct slub_slab *slab, bool tail)
{
	if (!slub_steps(slub)->recording)
		return;
	const struct slub_cache *cache = slab->cache;
	slub_touch_nr_partial(slub, cache);
	/* The one neighbour is the list's head; the other is found there: next, or prev for the tail. */
	slub_read_node(slub, cache, tail ? NODE_LIST_WORD + 1 : NODE_LIST_WORD);
	step_list_add(slub_steps(slub), slub_list_head(slub, cache, slab), slub_list_head(slub, cache, slab->prev),
	              slub_list_head(slub, cache, slab->next), slub_words(slub, 1));
}

/* remove_partial(), of a slab that the list still has. */
static inline void slub_touch_remove(const struct slub *slub, const struct slub_slab *slab)
{
	if (!slub_steps(slub)->recording)
		return;
	const struct slub_cache *cache = slab->cache;
	step_list_del(slub_steps(slub), slub_list_head(slub, cache, slab), slub_list_head(slub, cache, slab->prev),
	              slub_list_head(slub, cache, slab->next), slub_words(slub, 1));
	slub_touch_nr_partial(slub, cache);
}

/* inc_slabs_node(), dec_slabs_node(). */
static inline void slub_touch_nr_slabs(const struct slub *slub, const struct slub_slab *slab)
{
	const struct slub_cache *cache = slab->cache;
	slub_find_node(slub, slab);
	step_atomic(slub_steps(slub), slub_word(slub, cache->at.node, NODE_NR_SLABS_WORD), slub_words(slub, 1));
	step_atomic(slub_steps(slub), slub_word(slub, cache->at.node, NODE_NR_SLABS_WORD + 1), slub_words(slub, 1));
}

/* Zeroes an object for __GFP_ZERO or init_on_alloc (slab_want_init_on_alloc, memset). */
void slub_touch_init(const struct slub *slub, const struct slub_cache *cache, gfp flags, uint64_t object);

/* struct per_cpu_nodestat: a byte counts the node's slab pages (mod_node_page_state) until it exceeds its threshold. */
void slub_touch_node_stat(const struct slub *slub, unsigned cpu);

#endif
