/* SPDX-License-Identifier: MIT
 *
 * buddy.h - inside the buddy model: the zoned page allocator of Linux 6.1 (mm/page_alloc.c), decision for decision.
 *
 * Three nouns. A *zone* is a range of frames with its own free lists, watermarks and lock. A *block* is 2^order frames, aligned;
 * it is free in its zone (FRAME_BUDDY), waits on a CPU's list (FRAME_PCP), is allocated (FRAME_ALLOCATED) or, a single frame,
 * holds page cache or slab of the load model that can be reclaimed (FRAME_CACHE). A *frame* record
 * exists for each frame of memory, but only the first frame of a block carries marks; the rest of a block, reserved frames
 * and frames in use since before the simulation began are all zero, so untouched memory costs nothing.
 *
 *   zone.c    zones, watermarks, lowmem_reserve, pcp sizes, zone lists: how a machine's numbers come from its memory
 *   node.c    nodes, zone lists
 *   memory_map.c  the memory of a described machine
 *   boot.c    the state a boot leaves in it
 *   state.c   the state of a recorded dump, and a comparison with one
 *   state_print.c  the state as lines of a dump
 *   blocks.c  free lists, split and merge, pageblock types, fallback, stealing, highatomic reserve
 *   pcp.c     per-CPU lists
 *   alloc.c   watermark checks, fast path, bulk allocation; request.h has what it shares with the next three
 *   slowpath.c what is tried when no zone serves
 *   compact.c compaction
 *   reclaim.c kswapd and direct reclaim: a load model, and the port's reclaimer if there is one
 *   check.c   the laws
 *   buddy.c   the port: wrong frees, views, counters, creation
 *
 * Lists are circular, through frame records; the list heads are frame records beyond the last frame (list_head_of()).
 *
 * Invariant, for each zone: managed = free + on per-CPU lists + allocated + cache, and no frame is in two blocks.
 */
#ifndef MODELS_PAGE_ALLOCATOR_BUDDY_H
#define MODELS_PAGE_ALLOCATOR_BUDDY_H

#include "models/settings.h"
#include "sim/list_steps.h"
#include "sim/metric.h"
#include "sim/port/page_allocator.h"

/* include/linux/mmzone.h: orders above this are costly; those up to it have per-CPU lists. */
#define PAGE_ALLOC_COSTLY_ORDER 3
/* include/linux/mmzone.h: UNMOVABLE, MOVABLE and RECLAIMABLE have per-CPU lists. */
#define MIGRATE_PCPTYPES 3
/* include/linux/mmzone.h: NR_LOWORDER_PCP_LISTS, and two more for huge pages. */
#define PCP_LISTS_LOW (MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1))
#define PCP_LISTS_MAX (PCP_LISTS_LOW + 2)
/* mm/page_alloc.c: CONFIG_PCP_BATCH_SCALE_MAX, the largest free_factor. */
#define PCP_BATCH_SCALE_MAX 5

/* Bits of zone->flags (enum zone_flags of Linux 6.1). */
#define ZONE_BOOSTED_WATERMARK_BIT 0
#define ZONE_RECLAIM_ACTIVE_BIT 1

enum frame_state { FRAME_REST, FRAME_ALLOCATED, FRAME_BUDDY, FRAME_PCP, FRAME_CACHE };

/* One frame of memory, or the head of a list. All zero: not the first frame of a known block. */
struct frame {
	uint32_t next, prev;
	uint8_t state; /* enum frame_state */
	uint8_t order;
	uint8_t type;  /* migrate type: of the list it is on (buddy), or the one it had when it was freed (pcp) */
	uint8_t zone;  /* index into buddy.zones */
	bool lru;      /* on an LRU list: movable */
	bool compound; /* allocated with __GFP_COMP: the scanners of compaction step over it at once */
};

#define BLOCK_NONE UINT32_MAX
/* Frames of a block of the highest order. */
#define BLOCK_MAX_FRAMES (1u << (ORDERS - 1))

enum wmark { WMARK_MIN, WMARK_LOW, WMARK_HIGH, WMARKS };

enum zone_kind { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_HIGHMEM, ZONE_MOVABLE, ZONE_KINDS };

/* The per-CPU lists of a zone (struct per_cpu_pages), and the CPU's part of the zone's statistics (struct per_cpu_zonestat). */
struct pcp {
	uint32_t count, high, batch;
	uint32_t free_factor;
	int32_t free_pages_delta; /* vm_stat_diff[NR_FREE_PAGES]: not yet in zone.free_pages */
	int32_t stat_threshold;
	uint32_t lists; /* list head of list 0 */
};

struct zone {
	/* what every allocation reads */
	int64_t free_pages; /* vm_stat[NR_FREE_PAGES], without what the CPUs still hold back */
	uint64_t watermark[WMARKS];
	uint64_t watermark_boost;
	uint64_t nr_reserved_highatomic;
	uint64_t lowmem_reserve[LOWMEM_RESERVE_ZONES];
	struct pcp *pcp;                  /* one a CPU */
	uint32_t start_pfn, end_pfn;      /* spanned */
	uint32_t free_lists;              /* list head of (order 0, type 0) */
	uint16_t nonempty[MIGRATE_TYPES]; /* bit `order`: that list has a block */
	uint8_t number;                   /* own index in buddy.zones */
	uint8_t index;                    /* the kernel's zone_idx() */
	uint8_t kind;                     /* enum zone_kind */
	bool boosted;                     /* ZONE_BOOSTED_WATERMARK */
	bool reclaim_active;              /* ZONE_RECLAIM_ACTIVE */
	/* the rest */
	uint64_t free_blocks[ORDERS][MIGRATE_TYPES];
	uint8_t *pageblock_type;
	uint64_t pageblocks[MIGRATE_TYPES]; /* as /proc/pagetypeinfo counts them */
	uint64_t present, managed;
	char name[16];
	unsigned node;
	uint64_t file_pages; /* page cache of the load model in this zone */
	/* compaction: where the scanners stopped, what they need not look at again, and for how long not to try */
	uint8_t *pageblock_skip;
	uint32_t compact_cached_migrate_pfn[2]; /* of asynchronous, of synchronous scans */
	uint32_t compact_cached_free_pfn;
	uint32_t compact_init_migrate_pfn, compact_init_free_pfn;
	uint32_t compact_considered, compact_defer_shift, compact_order_failed;
	bool compact_blockskip_flush;
	vaddr address;                    /* of the simulated struct zone */
	uint64_t pcp_offset, stat_offset; /* of the per-CPU structs */
};

/* The most nodes: each has its zones in buddy.zones. */
#define NODES_MAX (ZONES_MAX / LOWMEM_RESERVE_ZONES)

/* Zone numbers with memory, in the order in which a request tries them. */
struct zonelist {
	uint8_t length;
	uint8_t zones[ZONES_MAX];
};

/* balance_pgdat() of kswapd, from its beginning to its end; in between kswapd may sleep. */
struct balancing {
	bool is_under_way;
	unsigned asked_order, order, highest_zone; /* what kswapd was woken for; what it is at */
	int priority;
	uint64_t reclaimed;
	uint64_t boost, boosts[ZONES_MAX]; /* of the watermarks: what is left to work off, what there was */
};

/* A node: its share of the load model, and its daemons (pg_data_t). */
struct node {
	unsigned cpus;                   /* CPUs near it */
	unsigned nr_zones;               /* its highest zone index with memory, plus one */
	uint64_t stat_offset;            /* of the CPUs' part of its statistics; with kernel.vmstat */
	uint32_t page_cache, slab_cache; /* list heads: youngest at the head */
	uint64_t slab_pages, slab_deferred;
	bool kswapd_awake;
	unsigned kswapd_order, kswapd_highest_zone; /* what it was woken for; LOWMEM_RESERVE_ZONES: for nothing yet */
	unsigned kswapd_failures;                   /* runs in a row without a page */
	struct balancing balancing;
	bool kcompactd_awake;
	unsigned kcompactd_max_order, kcompactd_highest_zone;
};

/* Where a free may be caught while a request compacts (struct capture_control). */
struct capture {
	const struct zone *zone;
	unsigned order;
	uint32_t nr; /* BLOCK_NONE: nothing caught yet */
};

struct buddy_counters {
	uint64_t pgalloc_dma, pgalloc_dma32, pgalloc_normal, pgalloc_high, pgalloc_movable;
	uint64_t pgfree;
	uint64_t alloc_requests, alloc_pcp, alloc_buddy, alloc_fail;
	uint64_t numa_hit, numa_miss, numa_local, numa_other;
	uint64_t free_requests, frees, wrong_frees;
	uint64_t pcp_alloc_pages, pcp_free_pages, pcp_refill_pages, pcp_drain_pages;
	uint64_t buddy_alloc_pages, buddy_free_pages;
	uint64_t allocslow, allocslow_success, allocslow_fail;
	uint64_t allocstall, pcp_drain_all;
	uint64_t kswapd_wake_slowpath, kswapd_wake_boost, watermark_boosts;
	uint64_t extfrag, extfrag_whole, extfrag_claimed, extfrag_moved, extfrag_single;
	uint64_t extfrag_unmovable, extfrag_movable, extfrag_reclaimable; /* those that are not whole, by who asked */
	uint64_t highatomic_reserved_pages, highatomic_unreserved_pages;
	uint64_t alloc_captured, captured_pages;
	uint64_t compact_stall, compact_success, compact_fail;
	uint64_t compact_migrate_scanned, compact_free_scanned;
	uint64_t compact_isolated_free, compact_released_free;
	uint64_t compact_isolated_migrate, compact_putback;
	uint64_t pgmigrate_success;
	uint64_t kswapd_wake, kswapd_runs, kcompactd_runs;
	uint64_t pgscan_kswapd, pgscan_direct, pgsteal_kswapd, pgsteal_direct, pgsteal_reclaimer;
	uint64_t slabs_scanned, slab_pages_reclaimed;
	uint64_t oom, nofail_failed;
};

extern const struct metric buddy_metrics[];
extern const struct page_allocator_ops page_allocator_buddy_ops;
struct page_allocator *page_allocator_buddy_create(const struct page_allocator_wiring *wiring, struct error *error);

struct buddy {
	struct page_allocator port;
	struct frame *frames;
	struct zone zones[ZONES_MAX];
	unsigned zone_count, cpus;
	unsigned pageblock_order;
	bool transparent_hugepage; /* blocks of pageblock_order have per-CPU lists */
	bool mobility_disabled;    /* page_group_by_mobility_disabled */
	uint64_t vm_total_pages;   /* what a boot's log calls "Total pages"; decides that */
	bool has_dma32;            /* CONFIG_ZONE_DMA32: ALLOC_NOFRAGMENT exists */
	bool movable_is_lru;       /* order-0 __GFP_MOVABLE allocations count as pages on an LRU list */
	uint32_t watermark_boost_factor;
	uint8_t gfp_zone[16]; /* zone index by the four zone bits of gfp */
	uint8_t node_of_cpu[CPUS_MAX];
	/* By the CPU's node and the highest zone index; all nodes, and (for __GFP_THISNODE) the node alone. */
	struct zonelist zonelist[NODES_MAX][LOWMEM_RESERVE_ZONES], thisnode[NODES_MAX][LOWMEM_RESERVE_ZONES];
	struct capture *capture;          /* NULL: nobody compacts */
	bool vmstat;                      /* CPUs fold their statistics once a second */
	uint64_t vmstat_due_ns[CPUS_MAX]; /* when each does so next; 0: it has not been asked yet */
	uint32_t kswapd_countdown;        /* calls until the daemons run; 0: none is awake */
	uint32_t kswapd_delay;            /* calls from its waking to kswapd's turn; 0: it never runs */
	bool reclaiming;                  /* frees come from within a reclaim, and let no daemon run */
	bool compaction;                  /* CONFIG_COMPACTION */
	struct node nodes[NODES_MAX];
	unsigned node_count;
	uint32_t frame_records; /* frames, a gap up to a whole largest pair, list heads, heads of largest blocks */
	uint32_t list_heads;    /* first of them */
	uint32_t largest_heads; /* records of frames that are multiples of BLOCK_MAX_FRAMES */
	/* the start state, for the laws */
	uint64_t start_allocated, start_free, start_pcp, start_highatomic, start_boosted, start_cache;
	uint64_t cache_pages;    /* page cache and slab of the load model, all zones */
	uint64_t unknown_in_use; /* frames in use since the start whose blocks are not known (buddy_adopt()) */
	struct buddy_counters counters;
	struct steps *steps;
	const struct layout *layout;
	struct page_contents contents;
	struct cost_settings cost;
	bool init_on_alloc;    /* kernel.init_on_alloc */
	uint64_t event_offset; /* per-CPU: struct vm_event_state */
	vaddr pageblock_bits;  /* of the simulated pageblock bitmap */
};

/* --- zone.c: a machine's numbers --- */

/* A zone as a machine description or a recorded dump gives it. */
struct zone_spec {
	char name[16];
	enum zone_kind kind;
	unsigned index; /* zone_idx(), < LOWMEM_RESERVE_ZONES */
	unsigned node;
	uint32_t start_pfn, spanned;
	uint64_t present, managed;
	uint64_t watermark[WMARKS];
	uint64_t lowmem_reserve[LOWMEM_RESERVE_ZONES];
	uint32_t pcp_high, pcp_batch;
	int32_t stat_threshold;
};

struct buddy_spec {
	unsigned pageblock_order, cpus;
	bool transparent_hugepage;
	bool movable_is_lru;
	uint32_t watermark_boost_factor;
	uint32_t dma_reserve;              /* frames of zone 0 that are not free before the memory map is there (x86-64) */
	struct zone_spec zones[ZONES_MAX]; /* node after node, ascending by index, zones without memory too */
	unsigned zone_count;
	unsigned node_count;                    /* 0: one */
	uint8_t distance[NODES_MAX][NODES_MAX]; /* as node_distance() gives it; of one node unused */
	uint8_t node_of_cpu[CPUS_MAX];
};

/* min_free_kbytes of so many frames of memory that is no highmem (calculate_min_free_kbytes). */
uint64_t min_free_kbytes_of(uint64_t lowmem_pages);
/* What khugepaged raises it to on a machine with huge pages (set_recommended_min_free_kbytes). */
uint64_t min_free_kbytes_for_hugepages(uint64_t min_free_kbytes, unsigned pageblock_order, unsigned populated_zones,
                                       uint64_t lowmem_pages);
/* The settings that the numbers of a zone depend on. */
struct zone_tuning {
	uint64_t min_free_kbytes;
	uint32_t watermark_scale_factor;
	uint32_t percpu_pagelist_high_fraction;    /* 0: from the low watermark */
	uint32_t lowmem_reserve_ratio[ZONE_KINDS]; /* 0: no reserve */
	unsigned cpus;
	unsigned node_cpus[NODES_MAX]; /* CPUs near each node; 0: all CPUs serve it */
};
/* As the settings have them; min_free_kbytes 0: to be computed. All CPUs serve every node. */
struct zone_tuning zone_tuning_of(const struct settings *settings, unsigned cpus);
/* Fills watermarks, lowmem_reserve, pcp sizes and stat thresholds of all zones from their managed counts. */
void zones_set_limits(struct zone_spec *zones, unsigned zone_count, const struct zone_tuning *tuning);

/* Whether kernel.page_group_by_mobility turns grouping off; `otherwise` where it is auto. */
bool mobility_disabled(const struct settings *settings, bool otherwise);

/*
 * A buddy with these zones and nothing in it: no block is free, all pageblocks are UNMOVABLE. Continue with buddy_place_*()
 * and end with buddy_start(). NULL with *error filled if the description contradicts itself.
 */
struct buddy *buddy_empty(const struct buddy_spec *spec, const struct page_allocator_wiring *wiring, struct error *error);
/* Appends a free block to the tail of its list. False with *error if it is outside the zone or not free to be placed. */
bool buddy_place_free(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type, struct error *error);
/* Appends a block to the tail of per-CPU list `list`; type is the migrate type it goes back to. */
bool buddy_place_pcp(struct buddy *buddy, struct zone *zone, unsigned cpu, unsigned list, uint32_t nr, unsigned type,
                     struct error *error);
/* The type of a pageblock in a section of the memory map that does not exist. */
#define PAGEBLOCK_ABSENT MIGRATE_TYPES
/* Sets a pageblock's type, whatever mobility grouping says. */
void buddy_place_pageblock(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned type);
/* Marks a frame as being on an LRU list. */
void buddy_place_lru(struct buddy *buddy, uint32_t nr);
/* Closes the start state: what is managed and neither free nor on a per-CPU list is in use. */
bool buddy_start(struct buddy *buddy, struct error *error);
/* Makes a block that is in use since the start known, so that it can be freed. False if it is not such a block. */
bool buddy_adopt(struct buddy *buddy, uint32_t nr, unsigned order);
/* The zone a frame lies in, NULL if in none. */
struct zone *buddy_zone_of(struct buddy *buddy, uint32_t nr);
/*
 * The zone that the struct page of a frame names. Frames outside of all zones (frame 0) have the zone above them, at the end of
 * memory the one below (init_unavailable_range).
 */
const struct zone *buddy_zone_linked(struct buddy *buddy, uint32_t nr);
/* Entries that /proc/pagetypeinfo looks at: one every pageblock from the zone's first frame on. */
uint32_t pageblocks_counted(const struct buddy *buddy, const struct zone *zone);
void buddy_destroy(struct page_allocator *pages);

/* --- node.c --- */

/* List heads of a node: its page cache, its slab. */
#define NODE_LISTS 2
/* Sets up nodes and zone lists from the description; list heads from `next_head` on are the nodes'. */
void nodes_init(struct buddy *buddy, const struct buddy_spec *spec, uint32_t next_head);

/* --- boot.c --- */
struct page_allocator *buddy_boot(const struct page_allocator_wiring *wiring, struct error *error);

/* --- state.c --- */
struct state_dump;
/* The allocator in the state of a recorded dump (sim/state_dump.h) that holds pages (what=p). NULL with *error filled. */
struct page_allocator *buddy_load(const struct state_dump *dump, const struct page_allocator_wiring *wiring, struct error *error);
/* Compares with a dump, list by list. Counts lists and numbers in *compared and *equal; the first difference goes to `text`. */
void buddy_compare(const struct page_allocator *pages, const struct state_dump *dump, uint64_t *compared, uint64_t *equal,
                   char *text, size_t size);

/*
 * Where the CPUs' shares of nr_free_pages are split otherwise than in the dump but their sum is the same, takes the dump's:
 * another CPU folded its share into the zone's count without an event (refresh_cpu_vm_stats). Returns how many numbers that
 * changed.
 */
unsigned buddy_take_folds(struct page_allocator *pages, const struct state_dump *dump);

/* --- state_print.c --- */
void buddy_print_state(const struct page_allocator *pages, FILE *out);

/* --- place.c --- */
struct procfs_memory;
/* The allocator with as many free blocks as /proc/buddyinfo and pagetypeinfo count, at places drawn from wiring->seed. */
struct page_allocator *buddy_place_counts(const struct procfs_memory *memory, const struct page_allocator_wiring *wiring,
                                          struct error *error);

/* --- blocks.c --- */

/* Flags of one allocation (mm/internal.h); the lowest two bits choose the watermark. */
enum alloc_flags {
	ALLOC_WMARK_MIN = WMARK_MIN,
	ALLOC_WMARK_LOW = WMARK_LOW,
	ALLOC_WMARK_HIGH = WMARK_HIGH,
	ALLOC_NO_WATERMARKS = 0x04,
	ALLOC_WMARK_MASK = ALLOC_NO_WATERMARKS - 1,
	ALLOC_OOM = 0x08,
	ALLOC_NON_BLOCK = 0x10,
	ALLOC_MIN_RESERVE = 0x20,
	ALLOC_NOFRAGMENT = 0x100,
	ALLOC_HIGHATOMIC = 0x200,
	ALLOC_KSWAPD = 0x800,
	ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM
};

/* Takes the free block that begins at `nr` apart until the block [first, first + 2^order) inside of it is alone and off the
 * lists. */
void split_out(struct buddy *buddy, struct zone *zone, uint32_t nr, uint32_t first, unsigned order);
/* Takes a block of exactly `order` off the lists of `type` or, failing that, of other types. BLOCK_NONE if there is none. */
uint32_t rmqueue_locked(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, unsigned alloc_flags);
/* The same from the lists of `type` alone. */
uint32_t rmqueue_smallest(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type);
/* Gives a block back to the lists of `type`, merged as far as it goes. */
void free_one_page(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned type, bool to_tail,
                   unsigned cpu);
void reserve_highatomic_pageblock(struct buddy *buddy, struct zone *zone, uint32_t nr);
/* Takes a reserved pageblock back for `type` in the zones of a zone list; false if there was none to take. */
bool unreserve_highatomic_pageblock(struct buddy *buddy, const struct zonelist *zonelist, unsigned type, bool force);
/* Whether a request of `type` could take free blocks of this order over from another type. */
bool fallback_is_stealable(const struct buddy *buddy, const struct zone *zone, unsigned order, unsigned type);
/* __isolate_free_page(): takes a free block off its list for compaction. False where the min watermark forbids. */
bool isolate_free_page(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned cpu);

/* --- pcp.c --- */
uint32_t rmqueue_pcplist(struct buddy *buddy, struct zone *zone, unsigned order, unsigned type, unsigned alloc_flags,
                         unsigned cpu);
/* Takes up to `wanted` single frames as the bulk allocator does, one call of the kernel's inner loop each. */
unsigned rmqueue_pcplist_bulk(struct buddy *buddy, struct zone *zone, unsigned type, unsigned alloc_flags, unsigned cpu,
                              unsigned wanted, pfn *frames);
void free_unref_page(struct buddy *buddy, struct zone *zone, uint32_t nr, unsigned order, unsigned cpu);
/* Returns a CPU's lists of one zone; `worker` does the work. */
void drain_pages_zone(struct buddy *buddy, struct zone *zone, unsigned cpu, unsigned worker);
/* Returns all per-CPU lists of all zones; `cpu` does the work. */
void drain_all_pages(struct buddy *buddy, unsigned cpu);

/* --- follow.c --- */
extern const struct page_follow_ops buddy_follow_ops;

/* --- alloc.c --- */
pfn buddy_alloc(struct page_allocator *pages, unsigned order, gfp flags, unsigned cpu);
/*
 * The bulk allocator (__alloc_pages_bulk), single frames only: fills frames[0..] with up to `wanted` frames and returns how
 * many. Keeps pages->allocated_pages itself, being no call of the port.
 */
unsigned buddy_alloc_bulk(struct page_allocator *pages, gfp flags, unsigned cpu, unsigned wanted, pfn *frames);

/* vmstat.c: the port's tick. */
uint64_t buddy_tick(struct page_allocator *pages, unsigned cpu, uint64_t now_ns);

/* --- check.c --- */
void buddy_check(const struct page_allocator *pages);

/* --- small things that all of them use --- */

static inline struct buddy *buddy_of(struct page_allocator *pages)
{
	return (struct buddy *)pages;
}

static inline const struct buddy *buddy_const(const struct page_allocator *pages)
{
	return (const struct buddy *)pages;
}

/*
 * The record of a frame, or of a list head. Frames that can begin a largest block have theirs side by side, so that the large
 * free blocks of a fresh machine touch little of the host's memory.
 */
static inline struct frame *frame_at(const struct buddy *buddy, uint32_t nr)
{
	return &buddy->frames[nr & (BLOCK_MAX_FRAMES - 1) ? nr : buddy->largest_heads + nr / BLOCK_MAX_FRAMES];
}

/* An order's per-CPU list exists for orders 0..3 and, with huge pages, for whole pageblocks (pcp_allowed_order). */
static inline bool pcp_allowed_order(const struct buddy *buddy, unsigned order)
{
	return order <= PAGE_ALLOC_COSTLY_ORDER || (buddy->transparent_hugepage && order == buddy->pageblock_order);
}

static inline unsigned pcp_lists(const struct buddy *buddy)
{
	return buddy->transparent_hugepage ? PCP_LISTS_MAX : PCP_LISTS_LOW;
}

static inline unsigned order_to_pindex(unsigned type, unsigned order)
{
	if (order > PAGE_ALLOC_COSTLY_ORDER)
		return PCP_LISTS_LOW + (type == MIGRATE_MOVABLE);
	return MIGRATE_PCPTYPES * order + type;
}

static inline unsigned pindex_to_order(const struct buddy *buddy, unsigned pindex)
{
	return pindex >= PCP_LISTS_LOW ? buddy->pageblock_order : pindex / MIGRATE_PCPTYPES;
}

static inline uint32_t list_head_of(const struct zone *zone, unsigned order, unsigned type)
{
	return zone->free_lists + order * MIGRATE_TYPES + type;
}

static inline bool list_empty(const struct buddy *buddy, uint32_t head)
{
	return frame_at(buddy, head)->next == head;
}

static inline bool zone_spans(const struct zone *zone, uint32_t nr)
{
	return nr >= zone->start_pfn && nr < zone->end_pfn;
}

static inline uint32_t pageblock_frames(const struct buddy *buddy)
{
	return 1u << buddy->pageblock_order;
}

static inline uint32_t pageblock_index(const struct buddy *buddy, const struct zone *zone, uint32_t nr)
{
	return (nr >> buddy->pageblock_order) - (zone->start_pfn >> buddy->pageblock_order);
}

static inline unsigned pageblock_type(const struct buddy *buddy, const struct zone *zone, uint32_t nr)
{
	return zone->pageblock_type[pageblock_index(buddy, zone, nr)];
}

/* zone_page_state(NR_FREE_PAGES): never negative for those who ask. */
static inline int64_t zone_free_pages(const struct zone *zone)
{
	return zone->free_pages < 0 ? 0 : zone->free_pages;
}

/*
 * Where the fields lie that a path touches, for steps. Source: struct zone, struct per_cpu_pages, struct per_cpu_zonestat of
 * Linux 6.1 as Debian builds it for amd64 (NUMA, memory hotplug, MIGRATE_ISOLATE; include/linux/mmzone.h); struct page by
 * machine words (mm_types.h). MODEL: 32-bit kernels, whose zones are smaller, have these offsets in struct zone too.
 */
enum {
	ZONE_WATERMARK_OFFSET = 0, /* _watermark[]: min, low, high, promo */
	ZONE_BOOST_OFFSET = 32,
	ZONE_HIGHATOMIC_OFFSET = 40,
	ZONE_LOWMEM_RESERVE_OFFSET = 48,
	ZONE_NODE_OFFSET = 88,
	ZONE_PGDAT_OFFSET = 96,
	ZONE_PAGESET_OFFSET = 104,
	ZONE_ZONESTATS_OFFSET = 112,
	ZONE_FREE_AREA_OFFSET = 256, /* free_area[order]: a list head for each of five types, and nr_free */
	ZONE_FREE_AREA_BYTES = 88,
	ZONE_NR_FREE_OFFSET = 80,
	ZONE_FLAGS_OFFSET = 1224,
	ZONE_LOCK_OFFSET = 1232,
	ZONE_VM_STAT_OFFSET = 1344,
	ZONE_BYTES = 1536,
	ZONE_WORD = 8,
	PCP_COUNT_OFFSET = 4,
	PCP_HIGH_OFFSET = 8,
	PCP_BATCH_OFFSET = 12,
	PCP_FREE_FACTOR_OFFSET = 16,
	PCP_EXPIRE_OFFSET = 18,
	PCP_LISTS_OFFSET = 24,
	PCP_BYTES = 256,
	PCP_ALIGN = 64,                 /* ____cacheline_aligned_in_smp */
	ZONESTAT_THRESHOLD_OFFSET = 11, /* behind the bytes that count for vm_stat[] */
	ZONESTAT_NUMA_HIT_OFFSET = 16,
	ZONESTAT_NUMA_LOCAL_OFFSET = 48,
	ZONESTAT_BYTES = 64,
	ZONESTAT_ALIGN = 8,
	ZONE_STAT_ITEMS = 11,     /* NR_VM_ZONE_STAT_ITEMS with zsmalloc */
	NODE_STAT_ITEMS = 43,     /* NR_VM_NODE_STAT_ITEMS with swap and NUMA balancing */
	NODESTAT_DIFF_OFFSET = 1, /* struct per_cpu_nodestat: behind the threshold */
	NODESTAT_BYTES = 64,
	/* struct vm_event_state as far as it is used; PGALLOC of the other zones lies on the same line as that of Normal. */
	VM_EVENT_PGALLOC_OFFSET = 48,
	VM_EVENT_PGFREE_OFFSET = 152,
	VM_EVENT_BYTES = 160,
	LIST_HEAD_BYTES = 16,
	INT_BYTES = 4,
	PAGEBLOCK_BITS = 4, /* NR_PAGEBLOCK_BITS */
	PAGEBLOCKS_PER_WORD = 16
};

/* Words of struct page. _mapcount (page_type of free pages) is an int, and _refcount the int behind it. */
enum page_word {
	PAGE_FLAGS,
	PAGE_LRU, /* next, prev; compound_head of a tail page */
	PAGE_MAPPING = 3,
	PAGE_INDEX,
	PAGE_PRIVATE,
	PAGE_MAPCOUNT
};

static inline vaddr zone_lock_address(const struct zone *zone)
{
	return vaddr_of(zone->address.addr + ZONE_LOCK_OFFSET);
}

static inline vaddr pcp_address(const struct buddy *buddy, const struct zone *zone, unsigned cpu)
{
	return layout_per_cpu(buddy->layout, zone->pcp_offset, cpu);
}

static inline vaddr zone_field(const struct zone *zone, uint32_t offset)
{
	return vaddr_of(zone->address.addr + offset);
}

static inline vaddr zone_stat_field(const struct buddy *buddy, const struct zone *zone, unsigned cpu, uint32_t offset)
{
	return vaddr_of(layout_per_cpu(buddy->layout, zone->stat_offset, cpu).addr + offset);
}

/*
 * __mod_zone_page_state(): a CPU keeps small changes to itself until they exceed its threshold; then it adds them to the zone's
 * counter. MODEL: and not to the machine's (vm_zone_stat), which lies on another line.
 */
static inline void zone_mod_free_pages(const struct buddy *buddy, struct zone *zone, unsigned cpu, int32_t delta)
{
	struct pcp *pcp = &zone->pcp[cpu];
	int32_t sum = pcp->free_pages_delta + delta;
	step_read(buddy->steps, zone_field(zone, ZONE_ZONESTATS_OFFSET), ZONE_WORD);
	step_use(buddy->steps);
	step_read(buddy->steps, zone_stat_field(buddy, zone, cpu, ZONESTAT_THRESHOLD_OFFSET), 1);
	if (sum > pcp->stat_threshold || sum < -pcp->stat_threshold) {
		zone->free_pages += sum;
		sum = 0;
		step_atomic(buddy->steps, zone_field(zone, ZONE_VM_STAT_OFFSET), ZONE_WORD);
	}
	pcp->free_pages_delta = sum;
	step_update(buddy->steps, zone_stat_field(buddy, zone, cpu, 0), 1);
}

/* The words of struct page are as long as pointers: a kernel address below 4 GiB means a machine of 32 bits. */
static inline uint32_t page_word_bytes(const struct buddy *buddy)
{
	return buddy->layout->direct_map >> 32 ? 8 : 4;
}

static inline vaddr page_word_address(const struct buddy *buddy, uint32_t nr, enum page_word word)
{
	return vaddr_of(layout_struct_page(buddy->layout, pfn_of(nr)).addr + (uint64_t)word * page_word_bytes(buddy));
}

static inline vaddr page_refcount_address(const struct buddy *buddy, uint32_t nr)
{
	return vaddr_of(page_word_address(buddy, nr, PAGE_MAPCOUNT).addr + INT_BYTES);
}

static inline void page_read(const struct buddy *buddy, uint32_t nr, enum page_word word)
{
	step_read(buddy->steps, page_word_address(buddy, nr, word), page_word_bytes(buddy));
}

static inline void page_write(const struct buddy *buddy, uint32_t nr, enum page_word word)
{
	step_write(buddy->steps, page_word_address(buddy, nr, word), page_word_bytes(buddy));
}

static inline void page_update_mapcount(const struct buddy *buddy, uint32_t nr)
{
	step_update(buddy->steps, page_word_address(buddy, nr, PAGE_MAPCOUNT), INT_BYTES);
}

/* set_buddy_order() and its opposite: the order stands in `private`, that the page is a free block's head in page_type. */
static inline void touch_buddy_order(const struct buddy *buddy, uint32_t nr)
{
	page_write(buddy, nr, PAGE_PRIVATE);
	page_update_mapcount(buddy, nr);
}

/* The list head inside a block's first struct page, or the list's own at `at` for its number. */
static inline vaddr link_address(const struct buddy *buddy, uint32_t nr, uint32_t head, vaddr at)
{
	return nr == head ? at : page_word_address(buddy, nr, PAGE_LRU);
}

/* list_add(), list_add_tail() of a block that is on the list already. The neighbour is found in the head: prev for the tail. */
static inline void touch_list_add(const struct buddy *buddy, uint32_t nr, uint32_t head, vaddr at, bool tail)
{
	if (!buddy->steps->recording)
		return;
	uint32_t bytes = page_word_bytes(buddy);
	step_read(buddy->steps, tail ? list_prev_pointer(at, bytes) : at, bytes);
	step_use(buddy->steps);
	step_list_add(buddy->steps, page_word_address(buddy, nr, PAGE_LRU),
	              link_address(buddy, frame_at(buddy, nr)->prev, head, at),
	              link_address(buddy, frame_at(buddy, nr)->next, head, at), bytes);
}

/* list_del() of a block that is on the list still. */
static inline void touch_list_del(const struct buddy *buddy, uint32_t nr, uint32_t head, vaddr at)
{
	if (!buddy->steps->recording)
		return;
	step_list_del(buddy->steps, page_word_address(buddy, nr, PAGE_LRU),
	              link_address(buddy, frame_at(buddy, nr)->prev, head, at),
	              link_address(buddy, frame_at(buddy, nr)->next, head, at), page_word_bytes(buddy));
}

static inline vaddr free_list_address(const struct zone *zone, unsigned order, unsigned type)
{
	return zone_field(zone, ZONE_FREE_AREA_OFFSET + order * ZONE_FREE_AREA_BYTES + type * LIST_HEAD_BYTES);
}

static inline void touch_nr_free(const struct buddy *buddy, const struct zone *zone, unsigned order)
{
	step_update(buddy->steps, zone_field(zone, ZONE_FREE_AREA_OFFSET + order * ZONE_FREE_AREA_BYTES + ZONE_NR_FREE_OFFSET),
	            ZONE_WORD);
}

static inline vaddr pcp_list_address(const struct buddy *buddy, const struct zone *zone, unsigned cpu, unsigned pindex)
{
	return vaddr_of(pcp_address(buddy, zone, cpu).addr + PCP_LISTS_OFFSET + pindex * LIST_HEAD_BYTES);
}

static inline vaddr pcp_field(const struct buddy *buddy, const struct zone *zone, unsigned cpu, uint32_t offset)
{
	return vaddr_of(pcp_address(buddy, zone, cpu).addr + offset);
}

static inline void touch_vm_event(const struct buddy *buddy, unsigned cpu, uint32_t offset)
{
	step_update(buddy->steps, vaddr_of(layout_per_cpu(buddy->layout, buddy->event_offset, cpu).addr + offset), ZONE_WORD);
}

/* check_new_page(), free_page_is_bad(): flags, mapping, counts and memcg_data of each page of a block are as they should be. */
static inline void touch_check_pages(const struct buddy *buddy, uint32_t nr, unsigned order)
{
	for (uint32_t i = 0; i < 1u << order && buddy->steps->recording; i++)
		step_read(buddy->steps, layout_struct_page(buddy->layout, pfn_of(nr + i)), buddy->layout->page_struct_bytes);
}

/* The 64-bit word of the pageblock bitmap that holds a frame's type. */
static inline vaddr pageblock_word(const struct buddy *buddy, uint32_t nr)
{
	return vaddr_of(buddy->pageblock_bits.addr + (uint64_t)(nr >> buddy->pageblock_order) / PAGEBLOCKS_PER_WORD * 8);
}

static inline void list_insert(struct buddy *buddy, uint32_t nr, uint32_t prev, uint32_t next)
{
	frame_at(buddy, next)->prev = nr;
	frame_at(buddy, nr)->next = next;
	frame_at(buddy, nr)->prev = prev;
	frame_at(buddy, prev)->next = nr;
}

static inline void list_add(struct buddy *buddy, uint32_t nr, uint32_t head)
{
	list_insert(buddy, nr, head, frame_at(buddy, head)->next);
}

static inline void list_add_tail(struct buddy *buddy, uint32_t nr, uint32_t head)
{
	list_insert(buddy, nr, frame_at(buddy, head)->prev, head);
}

static inline void list_del(struct buddy *buddy, uint32_t nr)
{
	uint32_t next = frame_at(buddy, nr)->next, prev = frame_at(buddy, nr)->prev;
	frame_at(buddy, next)->prev = prev;
	frame_at(buddy, prev)->next = next;
}

#endif
