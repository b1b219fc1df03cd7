/* SPDX-License-Identifier: MIT
 *
 * page_lru.h - pages of user memory and of the page cache by age: four lists a node, active and inactive, of anonymous memory and
 * of files, and the reclaim that takes pages off their ends.
 *
 * The lists are Linux 6.1's two-list LRU, which Debian's kernel uses: CONFIG_LRU_GEN is built in there and off
 * (CONFIG_LRU_GEN_ENABLED is not set). A page comes in at the head of an inactive list by way of its CPU's batch of 15; marked
 * accessed twice it goes to the active list; from the ends pages go the other way, and out. Of mapped pages the accessed bits in
 * the page tables tell: one is a second chance, two make the page active. An evicted page leaves a shadow behind (shadow.h), and
 * when it comes back soon enough it comes in active.
 *
 *   page_lru.c   frames, lists, batches, marks, refaults
 *   reclaim.c    how much of which list, scanning, writing out
 *   writeback.c  pages on their way to a device
 *   huge_lru.c   huge pages taken apart
 *   lru_steps.c  lines and locks of lists and batches, for who pays
 *   swap_in.c    pages back from the swap device
 *   page_cache.c pages of files
 *
 * Whoever maps the pages answers three questions about a frame (struct reverse_map); the page allocator asks for reclaim by the
 * port's struct page_reclaimer.
 *
 * Time. Decisions know no cycles. Each CPU has a clock in nanoseconds: that of the ops, and what its ops have waited for devices
 * so far. Who waits for a page writes down a step for it (step_sleep), and the core pays for it as cost part `io`.
 *
 * Huge pages. A huge page is one place on a list and counts for its 512 frames; its marks are those of its first frame. It goes
 * to a list at once, past the batch. Reclaim takes it to the swap device as a whole where a cluster is free, and takes it apart
 * where none is, or where no entry maps it as a whole; then its frames are pages like others. One that is mapped in part waits
 * in the node's queue to be taken apart when memory is short (huge_lru.c).
 *
 * Source: mm/swap.c, mm/vmscan.c, mm/workingset.c, mm/huge_memory.c, include/linux/mm_inline.h of Linux 6.1.
 * What MADV_FREE named is anonymous memory without contents that matter (PG_LAZYFREE): it comes to the inactive list of files,
 * goes from there without a write, and is like other anonymous memory again when reclaim finds that it was written meanwhile.
 *
 * MODEL: control groups and mlock are left out.
 *
 * Laws: a page on a list is marked so, and on the list of its marks; each list is as long as counted, by zone, too; no frame is
 * on two; pages in batches are counted by their pins; frames of huge pages behind the first one are marked so, and as nothing
 * else; the queues hold huge pages alone.
 */
#ifndef MODELS_PAGE_RECLAIM_PAGE_LRU_H
#define MODELS_PAGE_RECLAIM_PAGE_LRU_H

#include "models/page_reclaim/block_device.h"
#include "models/page_reclaim/lru_steps.h"
#include "models/page_reclaim/swap.h"
#include "models/page_reclaim/writeback.h"
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/page_allocator.h"
#include "sim/port/user_memory.h"

/* include/linux/pagevec.h; include/linux/swap.h; include/linux/mmzone.h. */
#define PAGEVEC_SIZE 15
#define SWAP_CLUSTER_MAX 32
#define DEF_PRIORITY 12
#define LRU_NODES_MAX 4

#define HUGE_PAGE_ORDER 9u
#define HUGE_PAGE_FRAMES (1u << HUGE_PAGE_ORDER)

enum lru_list { LRU_INACTIVE_ANON, LRU_ACTIVE_ANON, LRU_INACTIVE_FILE, LRU_ACTIVE_FILE, LRU_LISTS };
/* List heads of a node: the lists, and the queue of huge pages that are mapped in part. */
#define LRU_HEADS (LRU_LISTS + 1u)

/* What a page belongs to. */
enum page_kind { PAGE_ANON, PAGE_FILE, PAGE_KINDS };

/* Marks of a page, as enum pageflags has them. */
enum page_mark {
	PG_LRU = 1 << 0, /* on a list */
	PG_ACTIVE = 1 << 1,
	PG_REFERENCED = 1 << 2,
	PG_WORKINGSET = 1 << 3, /* was active before */
	PG_FILE = 1 << 4,       /* not PG_swapbacked */
	PG_DIRTY = 1 << 5,
	PG_SWAPCACHE = 1 << 6,
	PG_READAHEAD = 1 << 7,  /* PG_reclaim as well: the same bit */
	PG_KNOWN = 1 << 8,      /* the frame is a page of ours */
	PG_RELEASED = 1 << 9,   /* nobody's any more: goes when its last batch is emptied */
	PG_SHMEM = 1 << 10,     /* of shared memory: swap-backed, and not in the swap cache, as that is not its mapping then */
	PG_WRITEBACK = 1 << 11, /* on its way to a device */
	PG_HUGE = 1 << 12,      /* the first frame of a huge page, which speaks for all */
	PG_TAIL = 1 << 13,      /* another one of its frames */
	PG_LAZYFREE = 1 << 14   /* anonymous and not PG_swapbacked: its contents may go (MADV_FREE) */
};

/* The record of a frame, or the head of a list. The links of a huge page's second frame are those of the queue it waits in. */
struct user_page {
	uint32_t next, prev;
	uint32_t index; /* PG_SWAPCACHE: slot, of a huge page the first one. PG_FILE: page of the file */
	uint32_t file;
	uint64_t ready_ns; /* its contents are there */
	uint16_t marks;
	uint8_t zone;
	uint8_t pins; /* batches and callers that hold it */
};

struct page_batch {
	uint32_t frames[PAGEVEC_SIZE];
	uint32_t count;
};

struct lru_counters {
	uint64_t pgscan_anon, pgscan_file, pgsteal_anon, pgsteal_file, pgscan_skip;
	uint64_t pgrefill, pgactivate, pgdeactivate;
	uint64_t workingset_refault_anon, workingset_refault_file;
	uint64_t workingset_activate_anon, workingset_activate_file;
	uint64_t workingset_restore_anon, workingset_restore_file;
	uint64_t nr_vmscan_write, nr_vmscan_immediate_reclaim;
	uint64_t pgrotated, nr_written;
	uint64_t reclaim_throttled, kswapd_sleeps;
	uint64_t pswpin, pswpout, swap_ra, swap_ra_hit;
	uint64_t pgpgin, pgpgout; /* of files, pages */
	uint64_t pgmajfault;
	uint64_t io_waits, io_wait_ns;
	uint64_t pages_added, pages_freed, pages_moved;
	uint64_t pglazyfree, pglazyfreed;
	uint64_t thp_swpout, thp_swpout_fallback;
	uint64_t thp_split_page, thp_split_page_failed, thp_deferred_split_page;
	/* Levels, brought up to date by lru_counters(). */
	uint64_t nr_inactive_anon, nr_active_anon, nr_inactive_file, nr_active_file;
	uint64_t nr_lru_pages, nr_swapcached, nr_dirty, nr_writeback, swap_slots_used, nr_anon_huge, nr_split_queue;
};

extern const struct metric lru_metrics[];

/* The lists of a node (struct lruvec). */
struct lruvec {
	uint64_t pages[LRU_LISTS];
	uint64_t anon_cost, file_cost;
	uint64_t nonresident_age;
	uint64_t activated[PAGE_KINDS]; /* by refaults */
	uint64_t refaults[PAGE_KINDS];  /* that number when reclaim ended last */
	uint64_t split_queue;           /* huge pages that wait to be taken apart */
	uint64_t split_deferred;        /* of them, that a pass would have looked at were they more (shrinker.nr_deferred) */
	/* What kswapd met last, until the node is balanced. */
	bool dirty;         /* PGDAT_DIRTY: files' pages that nobody writes, so that it writes them, too */
	bool writeback;     /* PGDAT_WRITEBACK: nothing but pages under writeback, so that it waits for those it marked */
	bool congested;     /* LRUVEC_CONGESTED: all dirty pages come by a second time under writeback */
	uint64_t kswapd_ns; /* it sleeps until then */
};

/* Answers of who maps the pages. Calls come from within allocations and frees; none of the page allocator's from here. */
struct reverse_map {
	/* Entries that map the frame. 0: it is not mapped. */
	uint32_t (*entries)(void *context, uint32_t frame);
	/* Entries that map a huge page, by its first frame, or a part of it; *whole: those of all of it. NULL: there are none. */
	uint32_t (*huge_entries)(void *context, uint32_t frame, uint32_t *whole);
	/* A huge page, by its first frame, becomes single pages; those of them that nothing maps are nobody's from then on. */
	void (*split)(void *context, uint32_t frame, unsigned cpu);
	/*
	 * folio_referenced(): how many of them have their accessed bit set (of a huge page, how many areas); it is cleared.
	 * *executable: one of those is of executable memory.
	 */
	uint32_t (*referenced)(void *context, uint32_t frame, bool *executable, unsigned cpu);
	/*
	 * try_to_unmap(): every entry names `slot` from now on, those of a huge page's parts the slots from there on, and is told
	 * by page_swap_duplicate(); SWAP_SLOT_NONE, of a file's page: it is empty. Whether one of them was dirty.
	 */
	bool (*unmap)(void *context, uint32_t frame, uint32_t slot, unsigned cpu);
	/* try_to_unmap_flush(): what was unmapped leaves the TLBs; only_dirty: if a written page is among it. */
	void (*flush)(void *context, bool only_dirty, unsigned cpu);
	/*
	 * A page of shared memory (PG_SHMEM) that nobody maps leaves for a slot, which its owner counts as one entry that names
	 * it (page_swap_duplicate()); SWAP_SLOT_NONE: it was never written, and is gone.
	 */
	void (*shared_left)(void *context, uint32_t frame, uint32_t slot, unsigned cpu);
	void *context;
};

struct page_cache;

struct lru_spec {
	struct swap_spec swap; /* its drop and context are the LRU's own */
	struct block_device_spec swap_device, disk;
	bool swap_synchronous; /* the device answers while the caller waits: no read-ahead, no swap cache (SWP_SYNCHRONOUS_IO) */
	uint32_t page_cluster; /* vm.page-cluster: 2^page_cluster pages are read ahead at most, 0..5 */
	uint32_t swappiness;   /* vm.swappiness, 0..200 */
	uint32_t read_ahead_pages;                    /* of files */
	uint64_t pageout_ns;                          /* what writing a page out takes a CPU, beside waiting */
	uint32_t dirty_background_ratio, dirty_ratio; /* percent of what could be dirty */
	struct cost_settings cost;
	unsigned cpus;
};

struct lru_wiring {
	struct lru_spec spec;
	struct page_allocator *pages; /* its reclaimer becomes this LRU */
	struct steps *steps;
	struct layout *layout;          /* NULL: what lists and batches touch is not told */
	const struct reverse_map *rmap; /* copied */
};

struct page_lru {
	struct page_allocator *pages;
	struct steps *steps;
	struct reverse_map rmap;
	struct lru_spec spec;
	struct page_reclaimer reclaimer;
	struct user_page *frames; /* owned; list heads behind the last frame */
	uint32_t end_pfn;
	struct {
		uint32_t start, end;
		unsigned node;
		uint64_t pages[LRU_LISTS];
	} zones[ZONES_MAX];
	unsigned zone_count;
	struct lruvec nodes[LRU_NODES_MAX];
	struct page_batch lru_add[CPUS_MAX], rotate[CPUS_MAX], lazyfree[CPUS_MAX], activate[CPUS_MAX];
	uint64_t op_ns[CPUS_MAX], waited_ns[CPUS_MAX]; /* clock of each CPU: their sum; the latter with page_lru_work() */
	struct writeback writeback;
	struct swap swap;
	struct lru_places places;
	struct swap_read_ahead cluster; /* where read-ahead by slots stands: of no area */
	struct block_device swap_device, disk;
	struct page_cache *cache; /* owned */
	struct lru_counters counters;
};

#define PAGE_NONE UINT32_MAX

struct page_lru *page_lru_create(const struct lru_wiring *wiring);
/*
 * Writes under way end, and pages go that nobody has any more: those whose owner left them while they were under writeback, which
 * otherwise wait for reclaim.
 */
void page_lru_settle(struct page_lru *lru);
/* All pages must have gone, but for those of files, which are given back, and those that page_lru_settle() is about. */
void page_lru_destroy(struct page_lru *lru);

/* --- clocks --- */

/* An op of the CPU begins, so many nanoseconds after the run did. */
void page_lru_op(struct page_lru *lru, unsigned cpu, uint64_t op_ns);
uint64_t page_lru_now(const struct page_lru *lru, unsigned cpu);
/* The CPU's op sleeps until then, if that is not over; writes that end meanwhile end. */
void page_lru_wait_until(struct page_lru *lru, unsigned cpu, uint64_t ns);

/* The CPU's op works so long, on its clock alone: the core's time is that of its steps. */
void page_lru_work(struct page_lru *lru, unsigned cpu, uint64_t ns);
/* The clock comes to the op that is being decided, and what has ended by then ends. */
void page_lru_catch_up(struct page_lru *lru, unsigned cpu);

/* --- pages --- */

/* folio_add_lru() of a page just allocated. `marks`: PG_FILE, PG_SHMEM, PG_DIRTY, PG_WORKINGSET, PG_ACTIVE, PG_HUGE. */
void page_lru_add(struct page_lru *lru, unsigned cpu, uint32_t frame, unsigned marks);
/*
 * The last mapping of an anonymous page is gone, and its owner gives the frame back: it leaves swap cache and list. True: it is
 * not to be given back, as a batch or the swap cache has it still; it is freed from here.
 */
bool page_lru_forget(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* The same, and its frame is freed, now or then. */
void page_lru_release(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* folio_mark_accessed() */
void page_lru_mark_accessed(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* mark_page_lazyfree(): by way of the CPU's batch to the inactive list of files, unless it is on no list, or has a slot. */
void page_lru_lazyfree(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* lru_add_drain(): the CPU's batches go to the lists. */
void page_lru_drain(struct page_lru *lru, unsigned cpu);
/* deferred_split_huge_page(): a part of a huge page, by its first frame, is not mapped any more, and another is. */
void page_lru_split_later(struct page_lru *lru, uint32_t frame);
/* The page moved to another frame (compaction). */
void page_lru_move(struct page_lru *lru, unsigned cpu, uint32_t from, uint32_t to);
/* Nobody may take the page away meanwhile. */
void page_lru_pin(struct page_lru *lru, uint32_t frame);
void page_lru_unpin(struct page_lru *lru, unsigned cpu, uint32_t frame);

static inline struct user_page *page_of(const struct page_lru *lru, uint32_t frame)
{
	return &lru->frames[frame];
}

/* The frame whose record speaks for a frame: the first one of a huge page, else itself. */
static inline uint32_t page_head(const struct page_lru *lru, uint32_t frame)
{
	return lru->frames[frame].marks & PG_TAIL ? frame & ~(HUGE_PAGE_FRAMES - 1) : frame;
}

/* Frames of the page: folio_nr_pages(). */
static inline uint32_t page_frames(const struct user_page *page)
{
	return page->marks & PG_HUGE ? HUGE_PAGE_FRAMES : 1;
}

static inline bool page_has(const struct page_lru *lru, uint32_t frame, enum page_mark mark)
{
	return lru->frames[frame].marks & mark;
}

/* --- swap --- */

/* The fault: page numbers are virtual addresses by PAGE_SIZE. */
struct swap_fault {
	uint64_t page, first_page, end_page; /* of the fault, of its area */
	struct swap_read_ahead *read_ahead;
	/* The slot that the entry of a page of the area names, SWAP_SLOT_NONE if it names none. */
	uint32_t (*slot_of)(void *context, uint64_t page);
	void *context;
	gfp flags;    /* of the frames it allocates */
	bool retries; /* it does not wait for a page of the swap cache that is being read (FAULT_FLAG_ALLOW_RETRY) */
};

/* SWAP_IN_RETRY: the page is on its way into the swap cache, and the entry as it was. */
enum swap_in_result { SWAP_IN_MINOR, SWAP_IN_MAJOR, SWAP_IN_NO_MEMORY, SWAP_IN_RETRY };

/*
 * do_swap_page() up to the mapping: the page of `slot` comes from the swap cache or the device, its neighbours with it, and the
 * CPU waits for it. *frame is pinned. The caller then maps it and calls page_swapped_in().
 */
enum swap_in_result page_swap_in(struct page_lru *lru, unsigned cpu, uint32_t slot, const struct swap_fault *fault,
                                 uint32_t *frame);
/*
 * The entry names the frame instead of the slot now. Returns whether the page is the entry's alone, so that a write need not
 * copy it. Unpins it.
 */
bool page_swapped_in(struct page_lru *lru, unsigned cpu, uint32_t slot, uint32_t frame, bool write);
/*
 * shmem_swapin_folio(): the page of a slot that shared memory names comes back as its page, and the slot is given back.
 * PAGE_NONE: no memory. Nobody may allocate before it is mapped.
 */
uint32_t page_shared_in(struct page_lru *lru, unsigned cpu, uint32_t slot, gfp flags);
/* fork(): one more entry names the slot. An entry that goes with its area: swap_entry_gone(). */
void page_swap_duplicate(struct page_lru *lru, uint32_t slot);
void page_swap_entry_gone(struct page_lru *lru, unsigned cpu, uint32_t slot);

/* --- for the files of this folder --- */

uint64_t lru_pages_of_node(const struct page_lru *lru, unsigned node, enum lru_list list, uint32_t end_pfn);
void lru_list_add(struct page_lru *lru, uint32_t frame);
/* Behind another record of the list that is the page's. */
void lru_list_add_after(struct page_lru *lru, uint32_t frame, uint32_t place);
void lru_list_del(struct page_lru *lru, uint32_t frame);
/* The same of a page that goes: release_pages(), __page_cache_release(). */
void lru_list_release(struct page_lru *lru, unsigned cpu, uint32_t frame);
uint32_t lru_list_last(const struct page_lru *lru, unsigned node, enum lru_list list);
void lru_list_rotate(struct page_lru *lru, uint32_t frame);
/* Entries that map the page or, of a huge one, a part of it. */
uint32_t lru_entries(const struct page_lru *lru, uint32_t frame);
/* An entry names the slot of a page of the swap cache, or one of a huge page's (folio_swapped()). */
bool lru_is_named(const struct page_lru *lru, uint32_t frame);
/* Neither page tables, nor a cache, nor a caller has the page, which is isolated: its frame is free to go. */
bool lru_is_nobodys(const struct page_lru *lru, uint32_t frame);
/* Links of a record, whichever list they are of. */
void lru_link_after(struct page_lru *lru, uint32_t frame, uint32_t head);
void lru_unlink(struct page_lru *lru, uint32_t frame);
/*
 * split_huge_page_to_list(): false, it stays as it is (somebody holds it, or it is being written). Where it is on a list its
 * frames are, too, in their order from the older end on, and those that are nobody's go, the first one excepted; else all are
 * the caller's.
 */
bool lru_split(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* The page is freed or taken apart: it waits no more. */
void lru_leave_split_queue(struct page_lru *lru, uint32_t frame);
/* do_shrink_slab() of deferred_split_shrinker: huge pages of the node's queue are taken apart. */
void lru_shrink_split_queue(struct page_lru *lru, unsigned node, int priority, unsigned cpu);
void lru_check_split_queues(const struct page_lru *lru);
/* The record that is the head of a node's list. */
static inline uint32_t lru_list_head(const struct page_lru *lru, unsigned node, unsigned list)
{
	return lru->end_pfn + node * LRU_HEADS + list;
}
/* folio_rotate_reclaimable(): by way of the CPU's batch to the end of its inactive list. */
void lru_rotate_later(struct page_lru *lru, unsigned cpu, uint32_t frame);
void lru_note_cost(struct page_lru *lru, unsigned node, enum page_kind kind, uint64_t pages);
/* folio_is_file_lru(): whose lists the page is on. */
static inline enum page_kind kind_of_page(const struct page_lru *lru, uint32_t frame)
{
	return lru->frames[frame].marks & (PG_FILE | PG_LAZYFREE) ? PAGE_FILE : PAGE_ANON;
}
static inline unsigned node_of_page(const struct page_lru *lru, uint32_t frame)
{
	return lru->zones[lru->frames[frame].zone].node;
}
/* workingset_eviction(), workingset_refault() */
page_shadow lru_evict(struct page_lru *lru, uint32_t frame);
void lru_refault(struct page_lru *lru, uint32_t frame, unsigned *marks, page_shadow shadow);
/*
 * folio_free_swap(): the page gives its slot up if no entry names it, of a huge page none of its slots, and it is not being
 * written; it is dirty then.
 */
bool lru_free_swap(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* Takes a page that is on no list out of our hands and frees its frame. */
void lru_free_frame(struct page_lru *lru, unsigned cpu, uint32_t frame);
/* reclaim.c */
extern const struct page_reclaimer lru_reclaimer;

/* Counters with levels brought up to date. */
const struct lru_counters *page_lru_counters(struct page_lru *lru);
void page_lru_check(const struct page_lru *lru);

#endif
