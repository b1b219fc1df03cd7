/* SPDX-License-Identifier: MIT
 *
 * object_allocator.h - the port that hands out objects: caches (kmem_cache_*) and sizes (kmalloc, kfree).
 *
 * Models: models/object_allocator/{slub,slab,slob,ideal}.c. A model embeds struct object_allocator as its first member.
 * An object is named by its address in the direct map, as in the kernel; a free needs nothing else.
 */
#ifndef SIM_PORT_OBJECT_ALLOCATOR_H
#define SIM_PORT_OBJECT_ALLOCATOR_H

#include "sim/base.h"
#include "sim/gfp.h"
#include "sim/port/page_allocator.h"

#include <stdio.h>

struct state_dump;

/* Cache flags with the bit values of Linux 6.1 (include/linux/slab.h). */
enum {
	SLAB_CONSISTENCY_CHECKS = 0x00000100,
	SLAB_RED_ZONE = 0x00000400,
	SLAB_POISON = 0x00000800,
	SLAB_HWCACHE_ALIGN = 0x00002000,
	SLAB_CACHE_DMA = 0x00004000,
	SLAB_CACHE_DMA32 = 0x00008000,
	SLAB_STORE_USER = 0x00010000,
	SLAB_RECLAIM_ACCOUNT = 0x00020000,
	SLAB_PANIC = 0x00040000,
	SLAB_TYPESAFE_BY_RCU = 0x00080000,
	SLAB_NOLEAKTRACE = 0x00800000,
	SLAB_ACCOUNT = 0x04000000
};

/* What kmem_cache_create() is told. */
struct cache_spec {
	const char *name;
	uint32_t object_size; /* bytes, 1 .. KMALLOC_MAX_SIZE */
	uint32_t align;       /* bytes, power of two, 0 = the architecture's minimum */
	uint32_t flags;       /* SLAB_* */
	bool ctor;            /* the cache has a constructor: its free pointer may not lie inside the object */
	/* The part of each object that user copies may touch (kmem_cache_create_usercopy); usersize 0: none. A region that does
	 * not lie in the object counts as none, as in the kernel. A cache with one is never merged. */
	uint32_t useroffset, usersize;
};

/* Index of a cache in its allocator; stable until the cache is destroyed, then it may be used again. */
typedef struct {
	uint32_t nr;
} cache_id;

#define CACHE_NONE ((cache_id){UINT32_MAX})

struct object {
	vaddr at;             /* VADDR_NULL: no memory. kmalloc(0) gives ZERO_SIZE_PTR */
	uint32_t bytes_alloc; /* what the kmalloc and kmem_cache_alloc tracepoints would print */
	cache_id cache;       /* the cache that served it; CACHE_NONE for a large kmalloc, or where sizes have no caches (SLOB) */
};

#define ZERO_SIZE_PTR ((vaddr){16})

enum object_free_result {
	OBJECT_FREE_OK,
	OBJECT_FREE_NOT_ALLOCATED, /* free already, or never handed out */
	OBJECT_FREE_NOT_OBJECT,    /* not the first byte of any object, or no slab memory at all */
	OBJECT_FREE_WRONG_CACHE    /* an object, but of another cache */
};

/* One cache as /proc/slabinfo 2.1 shows it, and what the report needs beside it. */
struct cache_view {
	const char *name;
	uint32_t object_size; /* bytes asked for */
	uint32_t size;        /* bytes each object takes, with padding and metadata */
	uint32_t align;
	uint32_t flags;
	uint32_t objects_per_slab;
	uint32_t pages_per_slab;
	uint64_t active_objects; /* as slabinfo counts them: SLUB counts free objects of cpu slabs as active */
	uint64_t total_objects;
	uint64_t active_slabs, slabs;
	uint32_t limit, batchcount, shared; /* tunables, SLAB only */
	uint64_t shared_available;
	uint64_t live_objects; /* handed out and not given back: the truth, which slabinfo does not show */
	bool kmalloc;          /* one of the kmalloc-* caches, made by the allocator itself */
};

struct object_allocator;

/* Calls of no kernel, for sim/follow.h and follow_pages.h alone: what a recording shows is brought about in the model. */
struct object_follow_ops {
	/* Whether the allocator holds a block of pages that begins with this frame. */
	bool (*holds)(const struct object_allocator *, pfn);
	/* Gives such a block back to the page allocator, whatever lives in it. Returns how many objects did. NULL: it cannot. */
	uint64_t (*evict)(struct object_allocator *, pfn, unsigned cpu);
	/* Hands out the free object at this very address, wherever it stands. false: none is free there. NULL: it cannot. */
	bool (*claim)(struct object_allocator *, vaddr, struct object *);
	/*
	 * Where a call of the cache, or with CACHE_NONE of kmalloc, would put its object now; nothing changes. VADDR_NULL: it
	 * would ask the page allocator. For models that a call and its free do not leave as they were; NULL in the others.
	 */
	vaddr (*foresee)(const struct object_allocator *, cache_id, uint32_t bytes);
	/* Makes that call with its object at this very address, in a new page if there is none. false: it cannot lie there. */
	bool (*place)(struct object_allocator *, cache_id, uint32_t bytes, gfp, unsigned cpu, vaddr, struct object *);
	/* At this time of the recording a slab went that no call freed: the CPU's daemon may have run. NULL: there is none. */
	void (*daemon_seen)(struct object_allocator *, unsigned cpu, uint64_t now_ns);
	/* Objects of SLAB_TYPESAFE_BY_RCU caches, and not only their pages, are freed by RCU, later than their event. */
	bool rcu_frees_objects;
};

struct object_allocator_ops {
	const char *name;
	const char *help;

	/* Makes a cache. CACHE_NONE: the spec is one the kernel refuses, or no memory. The name is copied. */
	cache_id (*cache_create)(struct object_allocator *, const struct cache_spec *);
	/* Destroys a cache and gives its slabs back. false: objects are live, the cache stays as the kernel leaves it. */
	bool (*cache_destroy)(struct object_allocator *, cache_id, unsigned cpu);
	/* kmem_cache_shrink: gives empty slabs back. */
	void (*cache_shrink)(struct object_allocator *, cache_id, unsigned cpu);

	struct object (*alloc)(struct object_allocator *, cache_id, gfp, unsigned cpu);
	enum object_free_result (*free)(struct object_allocator *, cache_id, vaddr, unsigned cpu);
	struct object (*kmalloc)(struct object_allocator *, uint32_t size, gfp, unsigned cpu);
	/* kfree(NULL) and kfree(ZERO_SIZE_PTR) do nothing and are OBJECT_FREE_OK. Frees objects of any cache, as in the kernel.
	 */
	enum object_free_result (*kfree)(struct object_allocator *, vaddr, unsigned cpu);
	/*
	 * Many objects in one call (kmem_cache_alloc_bulk, kmem_cache_free_bulk; with CACHE_NONE kfree_bulk). NULL: the allocator
	 * does them one by one, as the wrappers then do. Unlike the calls for one object they keep live_objects themselves.
	 */
	bool (*alloc_bulk)(struct object_allocator *, cache_id, gfp, size_t count, vaddr *at, unsigned cpu);
	enum object_free_result (*free_bulk)(struct object_allocator *, cache_id, size_t count, vaddr *at, unsigned cpu);
	/* A CPU went offline: what it kept for itself of every cache goes back; `cpu` does the work. NULL: CPUs keep nothing. */
	void (*cpu_dead)(struct object_allocator *, unsigned dead, unsigned cpu);
	/*
	 * The allocator's own work at fixed times (a daemon): does what is due on `cpu` at now_ns, simulated time since boot, and
	 * returns when it wants to be called for that CPU again, > now_ns. Called first at the start, then in the order of time.
	 * NULL: it has none.
	 */
	uint64_t (*tick)(struct object_allocator *, unsigned cpu, uint64_t now_ns);
	/* Usable bytes of a live object, 0 if there is none at that address. */
	uint32_t (*ksize)(const struct object_allocator *, vaddr);

	/* Ids run from 0 to cache_limit()-1; cache_view() is false for one that is not in use. */
	uint32_t (*cache_limit)(const struct object_allocator *);
	bool (*cache_view)(const struct object_allocator *, cache_id, struct cache_view *);

	/* Frames held for objects now (slabs and large kmallocs), and of them those of large kmallocs. O(1). */
	uint64_t (*pages_held)(const struct object_allocator *);
	uint64_t (*pages_large)(const struct object_allocator *);

	/*
	 * The allocator's lists as lines of a state dump (sim/state_dump.h, docs/formats.md): of one cache, or with CACHE_NONE
	 * all there is. NULL in a model that no kernel's dump can show.
	 */
	void (*print_state)(const struct object_allocator *, cache_id, FILE *);
	/*
	 * Puts the recorded state into a fresh allocator: caches are found by name, what is of others is passed over. The frames
	 * of slabs are adopted in a page allocator that adopts. False with *error filled if the state contradicts itself or the
	 * caches' geometry, or a slab's frames are free; the allocator can then only be destroyed.
	 */
	bool (*load_state)(struct object_allocator *, const struct state_dump *, struct error *);
	/*
	 * Puts a slab of the usual size into a fresh allocator, at frames of the page allocator that are in use by nobody known,
	 * with these objects free (ascending) and the others live. False and nothing changed if the frames are not such ones.
	 * NULL: the model has no slabs.
	 */
	bool (*place_slab)(struct object_allocator *, cache_id, pfn first, const uint16_t *free, uint32_t free_count);
	/*
	 * Makes an object known that is live since the loaded state, where that did not say so: as one of `cache`, or with
	 * CACHE_NONE as a kmalloc of `size` bytes; false if nothing unknown is there. NULL: states say all.
	 */
	bool (*adopt)(struct object_allocator *, vaddr, cache_id, uint32_t size);

	/* What keeps the model beside a recording. NULL: it follows none. */
	const struct object_follow_ops *follow;

	void (*check)(const struct object_allocator *);

	const struct metric *metrics;
	const void *(*counters)(const struct object_allocator *);

	void (*destroy)(struct object_allocator *);
};

struct object_allocator {
	const struct object_allocator_ops *ops;
	uint64_t live_objects; /* handed out and not given back, all caches and large kmallocs; kept by the wrappers */
	bool followed; /* it is kept beside a recording that tells which pages its daemons give back (sim/follow_pages.h) */
};

struct object_allocator_wiring {
	const struct settings *settings;
	struct page_allocator *pages;
	struct layout *layout;
	struct steps *steps;
	uint64_t seed;
};

static inline cache_id cache_create(struct object_allocator *objects, const struct cache_spec *spec)
{
	SIM_ASSERT(spec->name && (spec->align & (spec->align - 1)) == 0);
	return objects->ops->cache_create(objects, spec);
}

static inline bool cache_destroy(struct object_allocator *objects, cache_id cache, unsigned cpu)
{
	return objects->ops->cache_destroy(objects, cache, cpu);
}

static inline struct object cache_alloc(struct object_allocator *objects, cache_id cache, gfp flags, unsigned cpu)
{
	struct object object = objects->ops->alloc(objects, cache, flags, cpu);
	objects->live_objects += object.at.addr != 0;
	return object;
}

static inline enum object_free_result cache_free(struct object_allocator *objects, cache_id cache, vaddr at, unsigned cpu)
{
	enum object_free_result result = objects->ops->free(objects, cache, at, cpu);
	objects->live_objects -= result == OBJECT_FREE_OK && at.addr != 0;
	return result;
}

static inline struct object object_kmalloc(struct object_allocator *objects, uint32_t size, gfp flags, unsigned cpu)
{
	struct object object = objects->ops->kmalloc(objects, size, flags, cpu);
	objects->live_objects += object.at.addr > ZERO_SIZE_PTR.addr;
	return object;
}

static inline enum object_free_result object_kfree(struct object_allocator *objects, vaddr at, unsigned cpu)
{
	enum object_free_result result = objects->ops->kfree(objects, at, cpu);
	objects->live_objects -= result == OBJECT_FREE_OK && at.addr > ZERO_SIZE_PTR.addr;
	return result;
}

/*
 * Frees `count` objects, of one cache or, with CACHE_NONE, kmallocs of any; `at` may be reordered. The first wrong one is the
 * result. SLUB then frees none of them, as it looks at all first; where they go one by one, those before it are freed.
 */
static inline enum object_free_result cache_free_bulk(struct object_allocator *objects, cache_id cache, size_t count, vaddr *at,
                                                      unsigned cpu)
{
	if (objects->ops->free_bulk)
		return objects->ops->free_bulk(objects, cache, count, at, cpu);
	for (size_t i = 0; i < count; i++) {
		enum object_free_result result =
		        cache.nr == UINT32_MAX ? object_kfree(objects, at[i], cpu) : cache_free(objects, cache, at[i], cpu);
		if (result != OBJECT_FREE_OK)
			return result;
	}
	return OBJECT_FREE_OK;
}

/* Fills `at` with `count` objects, or, if memory runs out on the way, gives all back: false. */
static inline bool cache_alloc_bulk(struct object_allocator *objects, cache_id cache, gfp flags, size_t count, vaddr *at,
                                    unsigned cpu)
{
	if (objects->ops->alloc_bulk)
		return objects->ops->alloc_bulk(objects, cache, flags, count, at, cpu);
	for (size_t i = 0; i < count; i++) {
		at[i] = cache_alloc(objects, cache, flags, cpu).at;
		if (at[i].addr)
			continue;
		enum object_free_result result = cache_free_bulk(objects, cache, i, at, cpu);
		SIM_ASSERT(result == OBJECT_FREE_OK);
		return false;
	}
	return true;
}

static inline void object_allocator_cpu_dead(struct object_allocator *objects, unsigned dead, unsigned cpu)
{
	if (objects->ops->cpu_dead)
		objects->ops->cpu_dead(objects, dead, cpu);
}

static inline bool object_adopt(struct object_allocator *objects, vaddr at, cache_id cache, uint32_t size)
{
	bool adopted = objects->ops->adopt && objects->ops->adopt(objects, at, cache, size);
	objects->live_objects += adopted;
	return adopted;
}

/* false: the allocator does not let go of the block. */
static inline bool object_evict(struct object_allocator *objects, pfn first, unsigned cpu)
{
	if (!objects->ops->follow->evict)
		return false;
	objects->live_objects -= objects->ops->follow->evict(objects, first, cpu);
	return true;
}

static inline bool object_place(struct object_allocator *objects, cache_id cache, uint32_t bytes, gfp flags, unsigned cpu,
                                vaddr at, struct object *object)
{
	bool placed = objects->ops->follow->place(objects, cache, bytes, flags, cpu, at, object);
	objects->live_objects += placed;
	return placed;
}

static inline bool object_claim(struct object_allocator *objects, vaddr at, struct object *object)
{
	bool claimed = objects->ops->follow && objects->ops->follow->claim && objects->ops->follow->claim(objects, at, object);
	objects->live_objects += claimed;
	return claimed;
}

/* UINT64_MAX: never again. */
static inline uint64_t object_allocator_tick(struct object_allocator *objects, unsigned cpu, uint64_t now_ns)
{
	if (!objects->ops->tick)
		return UINT64_MAX;
	uint64_t next_ns = objects->ops->tick(objects, cpu, now_ns);
	SIM_ASSERT(next_ns > now_ns);
	return next_ns;
}

static inline void object_allocator_check(const struct object_allocator *objects)
{
	objects->ops->check(objects);
}

static inline void object_allocator_destroy(struct object_allocator *objects)
{
	if (objects)
		objects->ops->destroy(objects);
}

#endif
