/* SPDX-License-Identifier: MIT
 *
 * slab.h - the inside of the SLAB model, for its own files, its tests and whoever compares or loads a recorded state.
 * Users of the port need only sim/port/object_allocator.h.
 *
 * Four nouns, as in the kernel:
 *   slab          a block of 2^order frames cut into `num` equal objects. `active` of them are outside: in an array or in
 *                 use. index[active..num) is the stack of the objects inside; the next one to leave is index[active].
 *   array_cache   a stack of objects that are free but outside their slabs, one per cache and CPU, and one shared by all
 *                 CPUs of a cache if there is more than one CPU.
 *   node          the three lists of a cache's slabs (partial, full, free), its counts and its shared array.
 *   cache         geometry, arrays, node.
 *
 * Where the kernel keeps a slab's index array (the "freelist": one byte per object) is decided by the geometry:
 *   CFLGS_OBJFREELIST_SLAB   inside a free object of the slab, the one that lies deepest in the stack;
 *   CFLGS_OFF_SLAB           in a kmalloc'ed object of another cache;
 *   neither                  in the last bytes of the slab.
 * The model keeps the array's contents beside the slab's record and the array's address in slab.freelist.
 *
 * slab.c           alloc, free, refill, flush, grow: the paths of every operation, and the port
 * slab_cache.c     create, destroy, shrink, reap, view: what happens to a whole cache
 * slab_geometry.c  sizes, orders, colours, array limits: pure functions
 * slab_lists.c     slab records, lists of them, and the steps that both leave
 * slab_laws.c      check()
 * slab_load.c      a recorded state put into the model
 *
 * Source of all rules: Linux 6.1 mm/slab.c, mm/slab_common.c, include/linux/slab_def.h.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_SLAB_H
#define MODELS_OBJECT_ALLOCATOR_SLAB_H

#include "models/object_allocator/kmalloc.h"
#include "models/object_allocator/slab_common.h"
#include "models/settings.h"
#include "sim/port/object_allocator.h"

/* Flags of a cache beyond the port's: the two of mm/slab.c that say where the index array lies. */
#define CFLGS_OBJFREELIST_SLAB 0x40000000u
#define CFLGS_OFF_SLAB 0x80000000u

/* One byte indexes an object, because the smallest object has 16 bytes (SLAB_OBJ_MIN_SIZE) and a page 256 of them. */
#define SLAB_OBJ_MAX_NUM 255u
#define SLAB_OBJ_MIN_SIZE 16u

/* An array that was not used since the last reap is refilled with no more than this. */
#define BATCHREFILL_LIMIT 16u

/* enable_cpucache(): the largest limit, and the largest shared array (8 batches of 60). */
#define ARRAY_LIMIT_MAX 120u
#define SHARED_LIMIT_MAX 480u

/* What the geometry depends on beside the cache's own spec. */
struct slab_rules {
	uint32_t cache_line_bytes;
	uint32_t max_order; /* slab_max_order */
	uint32_t cpus;      /* num_possible_cpus(), all online */
	bool memcg_kmem;    /* without memory cgroups SLAB_ACCOUNT does not exist */
};

struct slab_geometry {
	uint32_t object_size; /* as asked for */
	uint32_t size;        /* with padding: the distance of two objects */
	uint32_t align;
	uint32_t flags; /* SLAB_*, CFLGS_* */
	uint32_t num;   /* objects per slab, at most SLAB_OBJ_MAX_NUM */
	uint32_t order;
	uint32_t colour;     /* number of different offsets of the first object; 0 counts as 1 */
	uint32_t colour_off; /* bytes from one colour to the next */
	gfp allocflags;
	uint32_t limit, batchcount, shared; /* of the arrays; `shared` counts batches */
};

/* slab_max_order as the kernel sets it from the memory size when no boot parameter does. */
uint32_t slab_max_order_auto(uint64_t managed_pages);

/* False: the kernel refuses such a cache (-E2BIG, -EINVAL). spec->align is the caller's, calculate_alignment() is applied here.
 */
bool slab_geometry_of(const struct slab_rules *rules, const struct cache_spec *spec, struct slab_geometry *geometry);

/*
 * Free objects a cache may keep in its slabs: init_cache_node() counts the CPUs that are online when the cache is made. Caches
 * made before the other CPUs came up (before_smp) were counted again while each came up, but before it was online.
 */
uint32_t slab_free_limit(const struct slab_rules *rules, const struct slab_geometry *geometry, bool before_smp);

/* An object, by its slab and its place there. */
struct slab_entry {
	uint32_t slab; /* number of the slab's record */
	uint32_t index;
};

struct array_cache {
	uint32_t avail, limit, batchcount, touched;
	struct slab_entry entry[]; /* [0..avail), the last one is handed out first */
};

enum slab_list { SLABS_PARTIAL, SLABS_FULL, SLABS_FREE, SLAB_LISTS };

struct slab_cache;

/* A record lies in the arena of struct slab_allocator and is named by the number of its first unit.
 * Number 0 is nobody; any other is its own entry in the frame map. */
#define SLAB_UNIT 64u
#define SLAB_UNITS_MAX 6u
/* The arena holds, for each size of record, one record per frame: 1 + 2 + ... + SLAB_UNITS_MAX. */
#define ARENA_UNITS_PER_FRAME (SLAB_UNITS_MAX * (SLAB_UNITS_MAX + 1) / 2)

struct slab {
	struct slab_cache *cache;
	uint64_t s_mem;    /* address of the first object */
	uint64_t freelist; /* address of the index array, 0: the slab is full and the array was in an object */
	uint32_t frame;
	uint32_t prev, next; /* numbers, 0 at the ends */
	uint8_t active;
	uint8_t list; /* enum slab_list */
	uint8_t units;
	uint8_t bytes[]; /* a bit per object: in use; behind it the index array, a byte per object */
};

struct slab_list_head {
	uint32_t first, last;
};

/* struct kmem_cache_node, of the only node there is. MODEL: one memory node, so no alien caches and no other node to fall back
 * to. */
struct slab_node {
	struct slab_list_head list[SLAB_LISTS];
	uint64_t total_slabs, free_slabs, free_objects;
	uint32_t free_limit; /* free objects beyond which free slabs are given back */
	uint32_t colour_next;
	bool free_touched;
	uint64_t next_reap_ms;
	struct array_cache *shared; /* NULL: one CPU, or objects larger than a page */
};

struct slab_cache {
	/* every alloc and free */
	char *arrays; /* struct array_cache, one per CPU */
	uint32_t array_stride;
	uint32_t size;
	uint32_t num;
	uint32_t reciprocal; /* 2^32 / size, rounded up */
	uint32_t index_at;   /* where the index array begins in slab.bytes */
	uint32_t object_size;
	uint64_t live; /* objects in use */
	vaddr descriptor, node_at;
	uint64_t array_at;                /* per-CPU offset */
	uint32_t array_room, shared_room; /* entries that the simulated memory at array_at and shared_at has room for */

	/* refill, flush, grow */
	struct slab_geometry geometry; /* object_size grows when a larger cache is merged into this one */
	struct slab_node node;
	vaddr shared_at;

	/* the cache as a whole */
	char *name;
	uint16_t *random_seq; /* kernel.slab_freelist_random: order of a fresh slab's objects; NULL: by address */
	uint32_t id;
	uint32_t older, newer; /* neighbours in slab_caches + 1, 0 at the ends; or `older` = next unused id + 1 */
	int32_t refcount;
	uint32_t usersize; /* region for user copies: a cache with one is never merged */
	bool used;
	bool kmalloc;
	bool ctor;
};

struct slab_counters {
	uint64_t allochit, allocmiss, freehit, freemiss;
	uint64_t refill_shared, refill_lists, refill_grown, alloc_failed;
	uint64_t flush_shared, flush_lists;
	uint64_t num_allocations, num_frees, num_active, high_mark;
	uint64_t grown, reaped, shrunk, over_limit;
	uint64_t pages_slab;
};

struct slab_allocator {
	struct object_allocator port;
	struct object_allocator_wiring wiring;
	struct steps *steps;
	struct slab_rules rules;
	struct slab_cache **caches; /* by id; kept when a cache is destroyed, for its addresses */
	uint32_t cache_limit;
	uint32_t unused_id;                  /* head of the chain of unused ids + 1 */
	uint32_t oldest_cache, newest_cache; /* slab_caches, ids + 1 */
	bool merge, freelist_random;
	uint64_t node_stat_offset; /* per-CPU: struct per_cpu_nodestat */
	struct rng freelist_rng;   /* of slab_freelist_random */

	char *arena; /* of slab records, in units of SLAB_UNIT bytes */
	size_t arena_units;
	uint32_t arena_used;                        /* units handed out so far; unit 0 is nobody's */
	uint32_t unused_record[SLAB_UNITS_MAX + 1]; /* heads of the chains of unused records by their units */

	struct kmalloc kmalloc;
	struct slab_counters counters;
	uint64_t off_slab_freelists;    /* live kmalloc'ed index arrays: objects in use that the port never handed out */
	uint64_t reap_due_ns[CPUS_MAX]; /* 0: slab_tick() was not called for this CPU yet */
	struct {
		uint64_t seen_ns; /* a moment at which the recording's reaper may have run; 0: none */
		bool known;       /* it did: its turns are multiples of two seconds from there */
	} recorded_reaper[CPUS_MAX];
	bool cpu_dead[CPUS_MAX]; /* taken out of the free limits */
	uint64_t now_ms;         /* when slab_reap() last ran */
	struct {
		uint64_t live, active, slabs;
	} loaded; /* what slab_load_*() brought, which no counter saw coming */
};

static inline struct slab *slab_at(const struct slab_allocator *allocator, uint32_t number)
{
	return (struct slab *)(void *)(allocator->arena + (size_t)number * SLAB_UNIT);
}

static inline struct array_cache *cpu_array(const struct slab_cache *cache, unsigned cpu)
{
	return (struct array_cache *)(void *)(cache->arrays + (size_t)cpu * cache->array_stride);
}

static inline uint64_t slab_object_address(const struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
	return slab->s_mem + (uint64_t)index * cache->size;
}

static inline uint8_t *slab_index(const struct slab_cache *cache, struct slab *slab)
{
	return slab->bytes + cache->index_at;
}

static inline bool slab_object_live(const struct slab *slab, uint32_t index)
{
	return slab->bytes[index / 8] >> (index % 8) & 1;
}

static inline uint32_t slab_frames(const struct slab_cache *cache)
{
	return 1u << cache->geometry.order;
}

extern const struct object_allocator_ops object_allocator_slab_ops;
struct object_allocator *object_allocator_slab_create(const struct object_allocator_wiring *wiring, struct error *error);

/* The model behind a port. */
struct slab_allocator *slab_allocator_of(struct object_allocator *objects);

/* NULL if there is no such cache. */
struct slab_cache *slab_cache_of(const struct slab_allocator *allocator, cache_id id);

/* The CPU array or the shared array that lies at `at` in the simulated machine; for touches of its header and entries. */
vaddr slab_array_address(const struct slab_allocator *allocator, const struct slab_cache *cache, unsigned cpu);

/* slab_lists.c */

/* A record for a slab of `cache` whose first frame is `frame`, on no list, everything inside; enters it into the frame map. */
uint32_t slab_record_take(struct slab_allocator *allocator, struct slab_cache *cache, pfn frame);
/* Forgets the record and its frames' entries. */
void slab_record_give(struct slab_allocator *allocator, uint32_t number);
void slab_list_add(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, uint32_t number);
void slab_list_add_tail(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list, uint32_t number);
void slab_list_del(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t number);

/* Steps on a slab's struct page, by the kernel's offsets in struct slab. */
#define SLAB_PAGE_LIST 8u   /* slab_list: two pointers */
#define SLAB_PAGE_CACHE 24u /* slab_cache, and behind it freelist, s_mem, active */
#define SLAB_PAGE_FREELIST 32u
#define SLAB_PAGE_S_MEM 40u
#define SLAB_PAGE_ACTIVE 48u

static inline vaddr slab_page_field(const struct slab_allocator *allocator, const struct slab *slab, uint32_t offset)
{
	return vaddr_of(layout_struct_page(allocator->wiring.layout, pfn_of(slab->frame)).addr + offset);
}

/*
 * Offsets in struct kmem_cache, struct kmem_cache_node and struct array_cache of Debian's amd64 kernel with CONFIG_SLAB (NUMA, no
 * debugging), and their sizes. MODEL: 32-bit kernels, whose pointers are shorter, have these too.
 */
#define KMEM_CACHE_BYTES 136u /* up to node[0] */
#define CACHE_CPU_CACHE 0u
#define CACHE_FLAGS 32u
#define CACHE_NUM 36u
#define CACHE_GFPORDER 40u
#define CACHE_ALLOCFLAGS 44u
#define CACHE_COLOUR 48u
#define CACHE_COLOUR_OFF 56u
#define CACHE_CTOR 64u
#define CACHE_OBJECT_SIZE 100u
#define CACHE_RANDOM_SEQ 112u
#define CACHE_NODE 128u
#define KMEM_CACHE_NODE_BYTES 120u
#define NODE_LISTS 8u /* slabs_partial, slabs_full, slabs_free, two pointers each */
#define NODE_TOTAL_SLABS 56u
#define NODE_FREE_SLABS 64u
#define NODE_FREE_OBJECTS 72u
#define NODE_FREE_LIMIT 80u
#define NODE_COLOUR_NEXT 84u
#define NODE_SHARED 88u
#define NODE_FREE_TOUCHED 112u
#define ARRAY_CACHE_BYTES 16u /* avail, limit, batchcount, touched */
#define ARRAY_AVAIL 0u
#define ARRAY_LIMIT 4u
#define ARRAY_BATCHCOUNT 8u
#define ARRAY_TOUCHED 12u
#define INT_BYTES 4u
/* struct per_cpu_nodestat: a byte counts the node's slab pages. */
#define PER_CPU_NODESTAT_BYTES 64u
#define NODESTAT_SLAB_OFFSET 6u

/* slab.c */

/* Moves entries[0..count) back into their slabs; slabs beyond free_limit are chained from *doomed on, in the order to free them.
 */
void slab_free_block(struct slab_allocator *allocator, struct slab_cache *cache, const struct slab_entry *entries, uint32_t count,
                     uint32_t *doomed);
/* Gives back the slabs of such a chain. */
void slab_destroy_chain(struct slab_allocator *allocator, uint32_t doomed, unsigned cpu);
/* Gives one slab back that is on no list. */
void slab_destroy_one(struct slab_allocator *allocator, uint32_t number, unsigned cpu);
/* The object that begins at `at`; its slab is 0 if none does. */
struct slab_entry slab_find_object(const struct slab_allocator *allocator, vaddr at);
struct object slab_do_alloc(struct slab_allocator *allocator, struct slab_cache *cache, gfp flags, unsigned cpu);
enum object_free_result slab_do_kfree(struct slab_allocator *allocator, vaddr at, unsigned cpu);

/* slab_cache.c */

cache_id slab_create_cache(struct slab_allocator *allocator, const struct cache_spec *spec);
/* The maker that kmalloc_create_caches() calls; owner is the struct slab_allocator. */
cache_id slab_create_kmalloc_cache(void *owner, const struct cache_spec *spec, enum kmalloc_cache_type type);
bool slab_destroy_cache(struct slab_allocator *allocator, cache_id id, unsigned cpu);
/*
 * do_tune_cpucache(): new limits, as written to /proc/slabinfo; what the old arrays held goes back into the slabs, `cpu` doing
 * the work. 1 <= batchcount <= limit; shared counts batches, 0 for no shared array.
 */
void slab_tune_cpucache(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t limit, uint32_t batchcount,
                        uint32_t shared, unsigned cpu);
/* Returns whether objects are still outside. */
bool slab_shrink_cache(struct slab_allocator *allocator, struct slab_cache *cache, unsigned cpu);
bool slab_view(const struct slab_allocator *allocator, cache_id id, struct cache_view *view);
void slab_release_caches(struct slab_allocator *allocator);
/*
 * slab_dead_cpu(): of each cache, newest first, the dead CPU's array goes back into the slabs and the free limit sinks by its
 * batch; then every cache gives its free slabs back.
 */
void slab_cpu_dead(struct object_allocator *objects, unsigned dead, unsigned cpu);

/*
 * What cache_reap() does on `cpu` every two seconds (REAPTIMEOUT_AC): of each cache, newest first, drains a fifth of an array
 * that was not used since the last time; and, if four seconds (REAPTIMEOUT_NODE) have passed for that cache, the same of the
 * shared array and a fifth of what free_limit allows of its free slabs. now_ms is the simulated time, which never runs back.
 */
void slab_reap(struct object_allocator *objects, unsigned cpu, uint64_t now_ms);

/* object_follow_ops.daemon_seen: where the recording shows turns of the reaper, the model takes them at those moments. */
void slab_reaper_seen(struct object_allocator *objects, unsigned cpu, uint64_t now_ns);

/* slab_follow.c */
bool slab_holds(const struct object_allocator *objects, pfn first);
uint64_t slab_evict(struct object_allocator *objects, pfn first, unsigned cpu);

/* The port's tick: slab_reap() at the times at which the kernel's timer runs it. */
uint64_t slab_tick(struct object_allocator *objects, unsigned cpu, uint64_t now_ns);

/* slab_laws.c */
void slab_check(const struct object_allocator *objects);

/*
 * slab_load.c: a state as the recordings' dumps hold it. Call after the cache was made, before its first use, and in this
 * order: slabs (each list from its head on), then arrays, then the node's numbers. The frames must be allocated already in
 * the page allocator that will be asked to free them. False: the state is not one this cache can have; it must then be given up.
 */

/* A slab as a dump tells it. */
struct slab_state {
	pfn frame;
	uint32_t colour_bytes; /* offset of the first object */
	uint32_t active;
	uint64_t freelist;    /* address of the index array, 0 if there is none (then nothing of the slab is free) */
	const uint8_t *stack; /* index[active..num) */
};
/* Appends a slab to a list. */
bool slab_load_slab(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list,
                    const struct slab_state *state);
/* Fills an empty array of the cache (cpu_array() or node.shared) bottom to top; the objects are no longer in use from then on. */
bool slab_load_array(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array, const vaddr *objects,
                     uint32_t avail, uint32_t touched);

/* The node as a dump tells it. */
struct slab_node_state {
	uint64_t total_slabs, free_slabs, free_objects;
	uint32_t free_limit, colour_next;
	bool free_touched;
};
bool slab_load_node(struct slab_allocator *allocator, struct slab_cache *cache, const struct slab_node_state *state);
/* The port's place_slab: a slab, and the node's numbers with it. */
bool slab_place_slab(struct object_allocator *objects, cache_id id, pfn first, const uint16_t *free_objects, uint32_t free_count);

/* slab_state.c */
void slab_print_state(const struct object_allocator *objects, cache_id one, FILE *out);
bool slab_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error);

#endif
