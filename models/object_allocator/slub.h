/* SPDX-License-Identifier: MIT
 *
 * slub.h - the inside of the SLUB model: what a cache, a slab and a CPU's share of a cache are, for slub*.c, for tests that
 * compare states with a real kernel's, and for loading such a state.
 *
 * Three nouns:
 *   slab      2^order frames cut into equal objects. Its free objects form one or two chains (freelists): one in the slab
 *             itself, and one of the CPU that owns it.
 *   cpu slab  the one slab of a cache from which a CPU hands out objects, by its own chain, without locks.
 *   partial   slabs with some objects free: a short list per CPU (cpu partial, last in first out) and one list per cache
 *             (node partial). A slab without free objects that no CPU owns is on no list at all (full).
 *
 * A chain is kept as indices of objects, beside the simulated memory: links[i] is the object after object i. A live object's
 * link says LINK_LIVE, so that a wrong free is seen at once. The kernel keeps the chain in the objects themselves, at byte
 * `offset` of each; that is where the steps touch memory.
 *
 * Source: Linux 6.1 mm/slub.c, include/linux/slub_def.h, mm/slab.h. One node (no NUMA).
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLUB_H
#define MODELS_OBJECT_ALLOCATOR_SLUB_H

#include "models/object_allocator/kmalloc.h"
#include "models/object_allocator/slab_common.h"
#include "sim/port/object_allocator.h"

/* Flags SLUB gives a cache itself. */
#define SLUB_OBJECT_POISON 0x80000000u  /* __OBJECT_POISON: free objects are filled with a pattern */
#define SLUB_CMPXCHG_DOUBLE 0x40000000u /* __CMPXCHG_DOUBLE: freelist and counters change in one locked instruction */

/* What slub_debug= without letters switches on (DEBUG_DEFAULT_FLAGS). */
#define SLUB_DEBUG_DEFAULT_FLAGS (SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)

/* A cache with any of these takes the slow way for every call. */
#define SLUB_DEBUG_FLAGS (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_CONSISTENCY_CHECKS)

/* slab->objects has 15 bits in the kernel. */
#define MAX_OBJS_PER_PAGE 32767u

/* Values of a link and of a freelist beside indices of objects. */
#define LINK_NONE 0xffffu    /* the end of a chain; an empty freelist */
#define LINK_LIVE 0xfffeu    /* this object is handed out */
#define LINK_FREEING 0xfffdu /* a bulk free is looking at this object; never seen between calls */

/* Boot parameters and facts of the machine that decide geometry. */
struct slub_config {
	uint32_t cpus; /* num_present_cpus() = nr_cpu_ids */
	uint32_t pointer_bytes;
	uint32_t cache_line_bytes;
	uint32_t min_order, max_order, min_objects; /* slub_min_order=, slub_max_order=, slub_min_objects= (0: by cpus) */
	bool cpu_partial;                           /* CONFIG_SLUB_CPU_PARTIAL */
	/* slub_debug=, from slub_debug_parse(): */
	uint32_t debug_flags;     /* for caches that no block names */
	const char *debug_blocks; /* the text, if it has blocks for named caches, else NULL; not owned */
	bool debug_order_kept;    /* O: no metadata where that would make the smallest slab larger */
};

/* How a cache lays out objects and how many slabs it likes to keep; names as in struct kmem_cache. */
struct slub_geometry {
	uint32_t object_size; /* what the user asked for */
	uint32_t size;        /* from one object to the next */
	uint32_t inuse;       /* object with padding to a word, where metadata begins */
	uint32_t align;
	uint32_t offset;       /* of the free pointer */
	uint32_t red_left_pad; /* bytes before each object */
	uint32_t flags;
	uint32_t order, objects;         /* of a slab (s->oo) */
	uint32_t min_order, min_objects; /* of a slab when memory is short (s->min) */
	uint32_t min_partial;            /* empty slabs stay while the node's partial list is shorter than this */
	uint32_t cpu_partial, cpu_partial_slabs;
	gfp allocflags; /* added to every page allocation */
};

/*
 * kmem_cache_open() without its allocations. `align` is what calculate_alignment() gave, `flags` what slub_cache_flags() gave.
 * false: no slab can hold such an object, the kernel refuses the cache.
 */
bool slub_geometry_calculate(struct slub_geometry *geometry, const struct slub_config *config, uint32_t object_size,
                             uint32_t align, uint32_t flags, bool ctor);

/* Reads slub_debug=, NULL for none (slub_debug.c has its grammar). The text must live as long as the configuration. */
bool slub_debug_parse(struct slub_config *config, const char *text, struct error *error);

/* kmem_cache_flags(): the flags asked for and those of slub_debug=. */
uint32_t slub_cache_flags(const struct slub_config *config, uint32_t flags, const char *name);

/* calculate_order(): UINT32_MAX if no order will do. */
uint32_t slub_calculate_order(const struct slub_config *config, uint32_t size);

/* slub_set_cpu_partial() of the kernel: the limit in slabs that goes with a limit in objects. */
uint32_t slub_cpu_partial_slabs(uint32_t nr_objects, uint32_t objects_per_slab);

enum slub_place {
	SLUB_CPU,          /* frozen: a cpu slab */
	SLUB_CPU_PARTIAL,  /* frozen: on a cpu partial list */
	SLUB_NODE_PARTIAL, /* on the node's partial list */
	SLUB_FULL          /* on no list */
};

struct slub_slab {
	struct slub_cache *cache; /* NULL: this number is unused, `next` chains the unused ones */
	uint16_t *links;          /* one for each object */
	struct slub_slab *next;   /* SLUB_NODE_PARTIAL, SLUB_CPU_PARTIAL */
	struct slub_slab *prev;   /* SLUB_NODE_PARTIAL */
	pfn first;
	uint32_t slabs; /* SLUB_CPU_PARTIAL: length of the list from here on */
	uint16_t inuse; /* objects not on `freelist`: a CPU's own chain counts as in use, as in the kernel */
	uint16_t objects;
	uint16_t freelist; /* first free object of the slab's own chain */
	uint8_t order;
	uint8_t place; /* enum slub_place */
};

/* struct kmem_cache_cpu. links and address repeat what slab says, so that the fast path does not read the slab. */
struct slub_cpu {
	struct slub_slab *slab;
	uint16_t *links;
	uint64_t address; /* of the slab's first object */
	struct slub_slab *partial;
	uint16_t freelist; /* the lockless chain; not LINK_NONE only while slab is set */
};

/*
 * Counters of a cache, under the names of /sys/kernel/slab/<cache>/ (CONFIG_SLUB_STATS) where the kernel has them. The laws
 * among them stand in slub_check.c.
 * MODEL: cmpxchg_double_fail, cmpxchg_double_cpu_fail and alloc_node_mismatch are not kept: decisions never race, one node.
 */
struct slub_counters {
	uint64_t alloc_fastpath, alloc_slowpath;
	uint64_t free_fastpath, free_slowpath;
	uint64_t free_frozen, free_add_partial, free_remove_partial;
	uint64_t alloc_from_partial, alloc_slab, alloc_refill;
	uint64_t free_slab;
	uint64_t cpuslab_flush;
	uint64_t deactivate_full, deactivate_empty, deactivate_to_head, deactivate_to_tail, deactivate_remote_frees,
	        deactivate_bypass;
	uint64_t order_fallback;
	uint64_t cpu_partial_alloc, cpu_partial_free, cpu_partial_node, cpu_partial_drain;
	/* without a name in the kernel */
	uint64_t alloc_bulk;                                /* objects a bulk call took from the cpu chain */
	uint64_t alloc_failed;                              /* slow paths that found no memory */
	uint64_t free_bulk;                                 /* objects freed behind the first of each chain of a bulk call */
	uint64_t shrink_slab;                               /* slabs given back by shrink and destroy */
	uint64_t wrong_frees;                               /* refused frees; counted for the allocator, not per cache */
	uint64_t large_allocs, large_frees, large_failures; /* of the allocator: kmalloc.h */
};

struct slub_list {
	struct slub_slab *head, *tail;
	uint64_t nr;
};

/* Where a cache's descriptors lie in the simulated kernel; used again after the cache is destroyed. */
struct slub_descriptors {
	vaddr kmem_cache, node;
	uint64_t cpu_offset;
};

/*
 * What was there already when a recorded state was loaded; all 0 in a cache that began empty. Terms of the laws. Unseen are full
 * slabs that the state only counts: they are held, but nobody knows where they lie.
 */
struct slub_start {
	uint64_t objects, slabs, node_partial, cpu_partial, cpu_slabs;
	uint64_t unseen_slabs, unseen_objects;
};

struct slub_cache {
	struct slub_geometry geometry;
	uint64_t reciprocal; /* to divide by geometry.size: see slub_object_index() */
	bool debug;          /* any of SLUB_DEBUG_FLAGS */
	bool has_cpu_partial;
	bool ctor;
	bool kmalloc;
	uint32_t usersize; /* region for user copies: a cache with one is never merged */
	int refcount;      /* users of a merged cache; < 0: never merged; 0: destroyed while objects were live */
	uint32_t id;
	char *name;
	uint16_t *random_seq;     /* kernel.slab_freelist_random: order of a fresh slab's objects; NULL: by address */
	struct slub_list partial; /* node partial */
	uint64_t nr_slabs, total_objects;
	struct slub_descriptors at;
	struct slub_start start;
	struct slub_counters counters;
	struct slub_cpu cpus[]; /* by CPU number */
};

/* Links of slabs come in blocks of 2^n; given-back blocks are chained through themselves. */
#define SLUB_LINK_CLASSES 16
struct slub_link_pool {
	uint16_t *unused[SLUB_LINK_CLASSES];
	struct slub_link_chunk *chunks;
	size_t chunk_used;
};

struct slub {
	struct object_allocator base;
	struct object_allocator_wiring wiring;
	struct slub_config config;
	bool merge, freelist_random;
	struct rng freelist_rng;   /* of slab_freelist_random */
	bool hardened;             /* slab_freelist_hardened: free pointers are stored mixed with a random word */
	uint64_t node_stat_offset; /* per-CPU: struct per_cpu_nodestat */
	uint32_t cpus;

	struct slub_cache **caches; /* by id; NULL: destroyed. Ids are never used again, so they tell the order of creation */
	uint32_t cache_limit, cache_capacity;
	struct kmalloc kmalloc; /* its frames map also names the slab of each frame: number + 1 */

	struct slub_slab *slabs; /* by number */
	uint32_t slab_limit;     /* numbers from here on were never used */
	struct slub_slab *slab_unused;
	struct slub_link_pool links;
	uint64_t pages_slabs;

	struct slub_descriptors *spare; /* of destroyed caches */
	uint32_t spares, spare_capacity;

	uint64_t wrong_frees;
	struct slub_counters retired; /* of destroyed caches */
	struct slub_counters *sum;    /* what ops->counters() shows, made anew each time */
};

/* The object's number in its slab by its distance from the first; the caller compares back to see whether it is exact.
 * distance < 2^22 (a slab has at most order 10) and size <= 2^22 make the 44-bit reciprocal exact. */
#define SLUB_RECIPROCAL_SHIFT 44
static inline uint32_t slub_object_index(const struct slub_cache *cache, uint32_t distance)
{
	return (uint32_t)((distance * cache->reciprocal) >> SLUB_RECIPROCAL_SHIFT);
}

static inline bool slub_frozen(const struct slub_slab *slab)
{
	return slab->place == SLUB_CPU || slab->place == SLUB_CPU_PARTIAL;
}

/* The first object of a slab, behind its left red zone. */
static inline uint64_t slub_first_object(const struct slub *slub, const struct slub_slab *slab)
{
	return layout_page_address(slub->wiring.layout, slab->first).addr + slab->cache->geometry.red_left_pad;
}

/* The slab that holds an address, NULL if none does. */
static inline struct slub_slab *slub_slab_of(const struct slub *slub, vaddr at)
{
	uint32_t entry = frame_map_get(&slub->kmalloc.frames, layout_pfn_of(slub->wiring.layout, at));
	return entry == 0 || entry & FRAME_LARGE ? NULL : &slub->slabs[entry - 1];
}

static inline struct slub *slub_of(struct object_allocator *objects)
{
	return (struct slub *)objects;
}

static inline struct slub_cache *slub_cache_of(const struct slub *slub, cache_id id)
{
	return id.nr < slub->cache_limit ? slub->caches[id.nr] : NULL;
}

/* Objects handed out and not given back, by the counters. */
uint64_t slub_cache_live(const struct slub_cache *cache);

/* The lists of slub.c, also for loading. */
void slub_list_add(struct slub_list *list, struct slub_slab *slab, bool tail);
void slub_list_remove(struct slub_list *list, struct slub_slab *slab);

/* A slab over `order` frames at `first`, entered everywhere but on a list: all objects live, no chain, SLUB_FULL. */
struct slub_slab *slub_slab_create(struct slub *slub, struct slub_cache *cache, pfn first, uint32_t order, uint32_t objects);
/* Takes a slab out of all books, without giving its frames back. */
void slub_slab_release(struct slub *slub, struct slub_slab *slab);

/* Per-cache tunables, as written to /sys/kernel/slab/<cache>/. cpu_partial: false if the cache can have none. */
bool slub_tune_cpu_partial(struct slub *slub, struct slub_cache *cache, uint32_t nr_objects);
void slub_tune_min_partial(struct slub_cache *cache, uint32_t min_partial);

/* flush_cpu_slab(): the CPU gives its slab and its partial list to the node. */
void slub_flush_cpu(struct slub *slub, struct slub_cache *cache, unsigned cpu);

/* __kmem_cache_shrink(). */
void slub_shrink(struct slub *slub, struct slub_cache *cache, unsigned cpu);

/*
 * kmem_cache_alloc_bulk(): fills `at` with `count` objects, or none: false if memory ran out on the way.
 * kmem_cache_free_bulk(): frees them; `at` is reordered, as the kernel does. With CACHE_NONE objects may be of any cache, also
 * large kmallocs (kfree_bulk). The first wrong one is the result, and then nothing is freed.
 */
bool slub_alloc_bulk(struct slub *slub, cache_id id, gfp flags, size_t count, vaddr *at, unsigned cpu);
enum object_free_result slub_free_bulk(struct slub *slub, cache_id id, size_t count, vaddr *at, unsigned cpu);

/*
 * slub_load.c: a recorded state, slab by slab, each list from its head, into caches that hold nothing yet. Its frames must be
 * handed out already in the page allocator.
 */
struct slub_loaded_slab {
	pfn first;
	uint32_t inuse, objects;          /* as the kernel counts them */
	const uint16_t *chain, *lockless; /* objects of the slab's own chain; of the CPU's (SLUB_CPU only) */
	uint32_t chain_length, lockless_length;
};

/* Adds a slab as the CPU's, or at the tail of the list `place` names. false with *error if that cannot be. */
bool slub_load_slab(struct slub *slub, struct slub_cache *cache, const struct slub_loaded_slab *loaded, enum slub_place place,
                    unsigned cpu, struct error *error);
/* Accounts for full slabs that the recording does not show. */
void slub_load_unseen(struct slub *slub, struct slub_cache *cache, uint64_t slabs, uint64_t objects);

/* The model, as the registry knows it; the allocator given back is a struct slub (slub_of()). */
extern const struct object_allocator_ops object_allocator_slub_ops;
struct object_allocator *object_allocator_slub_create(const struct object_allocator_wiring *wiring, struct error *error);

/* slub_check.c: walks everything and proves the laws. */
void slub_check(const struct object_allocator *objects);

#endif
