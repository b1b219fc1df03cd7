/* SPDX-License-Identifier: MIT
 *
 * slub_steps.h - what SLUB's actions touch: the words of struct kmem_cache, kmem_cache_cpu, kmem_cache_node and struct slab
 * (which is the first struct page of the slab), and the free pointers inside objects.
 *
 * Offsets are in machine words, from Linux 6.1 include/linux/slub_def.h and mm/slab.h with CONFIG_SLUB_CPU_PARTIAL and
 * CONFIG_SLUB_DEBUG. Each function writes steps only while they are recorded.
 * MODEL: the prefetch of the next object's free pointer is not made; the next call pays for that line instead.
 * MODEL: the words of the percpu lock (a plain preempt/irq flag without PREEMPT_RT) are not touched.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLUB_STEPS_H
#define MODELS_OBJECT_ALLOCATOR_SLUB_STEPS_H

#include "models/object_allocator/slub.h"
#include "models/settings.h"
#include "sim/steps.h"

/* struct kmem_cache: cpu_slab .. offset are what every call reads; it is spread over two lines in all. */
#define KMEM_CACHE_BYTES 192u
#define KMEM_CACHE_HOT_WORDS 6u
/* struct kmem_cache_cpu: freelist, tid, slab, partial, lock. */
#define KMEM_CACHE_CPU_BYTES 40u
#define CPU_SLAB_WORD 2u
#define CPU_PARTIAL_WORD 3u
/* struct kmem_cache_node: list_lock, nr_partial, partial (2), nr_slabs, total_objects, full (2). */
#define KMEM_CACHE_NODE_BYTES 64u
#define NODE_NR_PARTIAL_WORD 1u
#define NODE_LIST_WORD 2u
#define NODE_NR_SLABS_WORD 4u
/* struct slab: flags, slab_list (2), slab_cache, freelist, counters. */
#define SLAB_LIST_WORD 1u
#define SLAB_CACHE_WORD 3u
#define SLAB_FREELIST_WORD 4u

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

/* With slab_freelist_hardened a pointer is stored mixed with its address and a random word of the cache. */
static inline void slub_decode_pointer(const struct slub *slub)
{
	if (slub->pointer_cycles > 0)
		step_spend(slub_steps(slub), slub->pointer_cycles);
}

static inline void slub_read_pointer(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	step_read(slub_steps(slub), slub_free_pointer(slub, slab, index), slub_words(slub, 1));
	slub_decode_pointer(slub);
}

static inline void slub_write_pointer(const struct slub *slub, const struct slub_slab *slab, uint16_t index)
{
	step_write(slub_steps(slub), slub_free_pointer(slub, slab, index), slub_words(slub, 1));
	slub_decode_pointer(slub);
}

/* Freelist and counters change together: one locked instruction, or under the page's bit lock where debugging forbids that. */
static inline void slub_touch_counters(const struct slub *slub, const struct slub_slab *slab)
{
	struct steps *steps = slub_steps(slub);
	if (!(slab->cache->geometry.flags & SLUB_CMPXCHG_DOUBLE))
		step_atomic(steps, slub_page_word(slub, slab, 0), slub_words(slub, 1));
	step_atomic(steps, slub_page_word(slub, slab, SLAB_FREELIST_WORD), slub_words(slub, 2));
}

static inline void slub_lock_node(const struct slub *slub, const struct slub_cache *cache)
{
	step_lock(slub_steps(slub), cache->at.node);
}

static inline void slub_unlock_node(const struct slub *slub, const struct slub_cache *cache)
{
	step_unlock(slub_steps(slub), cache->at.node);
}

/* The list words of a slab, or of the node's list head for NULL. */
static inline void slub_touch_list(const struct slub *slub, const struct slub_cache *cache, const struct slub_slab *slab)
{
	vaddr at = slab ? slub_page_word(slub, slab, SLAB_LIST_WORD) : slub_word(slub, cache->at.node, NODE_LIST_WORD);
	step_write(slub_steps(slub), at, slub_words(slub, 2));
}

/* Linking or unlinking a slab writes its own words, both neighbours' and the list's length. */
static inline void slub_touch_links(const struct slub *slub, const struct slub_slab *slab)
{
	if (!slub_steps(slub)->recording)
		return;
	const struct slub_cache *cache = slab->cache;
	slub_touch_list(slub, cache, slab);
	slub_touch_list(slub, cache, slab->prev);
	slub_touch_list(slub, cache, slab->next);
	step_write(slub_steps(slub), slub_word(slub, cache->at.node, NODE_NR_PARTIAL_WORD), slub_words(slub, 1));
}

static inline void slub_touch_nr_slabs(const struct slub *slub, const struct slub_cache *cache)
{
	step_atomic(slub_steps(slub), slub_word(slub, cache->at.node, NODE_NR_SLABS_WORD), slub_words(slub, 1));
	step_atomic(slub_steps(slub), slub_word(slub, cache->at.node, NODE_NR_SLABS_WORD + 1), slub_words(slub, 1));
}

#endif
