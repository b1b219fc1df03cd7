/* SPDX-License-Identifier: MIT
 *
 * slub_internal.h - what the files of SLUB call of each other, in the order of a slab's life. Only for slub*.c; slub.h says what
 * the nouns are.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLUB_INTERNAL_H
#define MODELS_OBJECT_ALLOCATOR_SLUB_INTERNAL_H

#include "models/object_allocator/slub.h"
#include "sim/metric.h"

/* slub_slab.c */

/* A fresh slab with all its objects chained in its own freelist, on no list. NULL: no memory. */
struct slub_slab *slub_new_slab(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu);
/* Gives an empty slab that is on no list back to the page allocator. */
void slub_discard_slab(struct slub *slub, struct slub_slab *slab, unsigned cpu);
/* Puts a slab on its node's partial list, or takes it off; the caller holds the list lock. */
void slub_add_partial(struct slub *slub, struct slub_slab *slab, bool tail);
void slub_remove_partial(struct slub *slub, struct slub_slab *slab);
void slub_links_release(struct slub_link_pool *pool);

/* slub.c */

/* The slow path of an allocation: ___slab_alloc(). The object's address, 0 if there is no memory. */
uint64_t slub_alloc_slow(struct slub *slub, struct slub_cache *cache, gfp flags, unsigned cpu);
/* Frees the chain head .. tail of `count` objects of one slab; their links but the last are set already. */
void slub_free_chain(struct slub *slub, struct slub_slab *slab, uint16_t head, uint16_t tail, uint32_t count, unsigned cpu);
/* Whether `at` may be freed into `cache` (NULL: into any); sets slab and index if OBJECT_FREE_OK. Large kmallocs have no slab. */
enum object_free_result slub_find_object(const struct slub *slub, const struct slub_cache *cache, vaddr at,
                                         struct slub_slab **slab, uint16_t *index);

/* slub_follow.c */
extern const struct object_follow_ops slub_follow_ops;

/* slub_state.c */
void slub_print_state(const struct object_allocator *objects, cache_id one, FILE *out);
bool slub_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error);

/* slub_load.c */
bool slub_place_slab(struct object_allocator *objects, cache_id id, pfn first, const uint16_t *free_objects, uint32_t free_count);

/* slub_cache.c */
bool slub_create_kmalloc_caches(struct slub *slub);
cache_id slub_cache_create(struct object_allocator *objects, const struct cache_spec *spec);
bool slub_cache_destroy(struct object_allocator *objects, cache_id id, unsigned cpu);
void slub_cache_shrink(struct object_allocator *objects, cache_id id, unsigned cpu);
bool slub_cache_view(const struct object_allocator *objects, cache_id id, struct cache_view *view);
const void *slub_counters(const struct object_allocator *objects);
extern const struct metric slub_metrics[];
void slub_caches_release(struct slub *slub);

#endif
