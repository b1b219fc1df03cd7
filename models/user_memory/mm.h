/* SPDX-License-Identifier: MIT
 *
 * mm.h - what the files of the model `mm` share: mm.c (the port), areas.c (areas and their anonymous maps), area_changes.c
 * (madvise, mprotect), area_moves.c (mremap), tables.c (page tables), fault.c (page faults), fault_around.c (pages of files that
 * come with others), huge.c (pages of 2 MiB), khugepaged.c and collapse.c (the daemon that makes them of small ones), process.c
 * (fork, exec, exit), space_switch.c (CPUs and their TLBs).
 *
 * An address space (struct space, the kernel's mm_struct) has areas in ascending order and page tables. The tables stand here as
 * words (sim/port/translation.h), which decisions read and write; each write goes into the steps with its place in physical
 * memory, where a page walker finds it once the core has come that far (sim/user_tables.h).
 */
#ifndef MODELS_USER_MEMORY_MM_H
#define MODELS_USER_MEMORY_MM_H

#include "models/settings.h"
#include "models/user_memory/page_store.h"
#include "models/user_memory/rules.h"
#include "sim/metric.h"
#include "sim/port/user_memory.h"

/* arch/x86/include/asm/tlbflush.h: TLB_NR_DYN_ASIDS; arch/x86/mm/tlb.c: tlb_single_page_flush_ceiling. */
#define ASIDS 6
#define FLUSH_CEILING 33

/* A word that is not present and has this bit names an entry of a swap device, in the place of the frame. */
#define WORD_SWAP (1ull << 62)
/* The zero page, or the huge one: not counted by any struct page (pte_mkspecial). */
#define WORD_SPECIAL (1ull << 61)
#define WORD_SWAP_SHIFT PAGE_SHIFT

/* MODEL: the zero page is frame 0, which no allocator hands out; the kernel's lies in its image. */
#define ZERO_FRAME 0u

#define FRAMES_OF_HUGE 512u
#define HUGE_BYTES (1ull << 21)
#define HUGE_ORDER 9u

/* include/linux/gfp_types.h; asm-generic/pgalloc.h and arch/x86/include/asm/pgalloc.h (GFP_PGTABLE_USER, PGD_ALLOCATION_ORDER).
 */
#define GFP_TABLE (GFP_KERNEL | __GFP_ZERO | __GFP_ACCOUNT)

/* Fields: bytes from the beginning of each structure, to the cache line (include/linux/mm_types.h, sched.h; x86-64). */
enum {
	MM_COUNT = 0,
	MM_MT = 64,
	MM_PGD = 80,
	MM_USERS = 128,
	MM_TABLES_BYTES = 136,
	MM_MAP_COUNT = 144,
	MM_MMAP_LOCK = 152,
	MM_TOTAL_VM = 240,
	MM_BRK = 288,
	MM_RSS_STAT = 680,
	MM_CONTEXT = 720, /* ctx_id, tlb_gen */
	MM_FLUSH_BATCHED = 864,
	MM_CPUMASK = 904,
	VMA_START = 0,
	VMA_FLAGS = 32,
	VMA_ANON_CHAIN = 72,
	VMA_ANON_VMA = 88,
	VMA_OPS = 96,
	VMA_FILE = 112,
	PAGE_FLAGS = 0,
	PAGE_LRU = 8,
	PAGE_MAPPING = 24,
	PAGE_PTL = 40,
	PAGE_MAPCOUNT = 48,
	PAGE_REFCOUNT = 52,
	TASK_MM = 1280
};

enum object_kind {
	OBJECT_TASK,
	OBJECT_SIGHAND,
	OBJECT_SIGNAL,
	OBJECT_FILES,
	OBJECT_FS,
	OBJECT_MM,
	OBJECT_VMA,
	OBJECT_NODE,
	OBJECT_ANON_VMA,
	OBJECT_CHAIN,
	OBJECT_PID,
	OBJECT_CRED,
	OBJECT_NAMES,
	OBJECT_MM_SLOT, /* with huge pages only */
	OBJECT_KINDS
};

struct mm_counters {
	uint64_t processes_created, processes_forked, threads_created, execs, exits, forks_failed;
	uint64_t faults; /* = the next ones */
	uint64_t faults_anonymous, faults_zero, faults_file, faults_shared, faults_copied, faults_reused, faults_made_writable,
	        faults_swapped, faults_huge, faults_huge_zero, faults_huge_reused, faults_retried, faults_no_memory, faults_wrong;
	uint64_t faults_file_read; /* of the file's and of copies of it, those that read it in */
	uint64_t faults_again;     /* of the file's and of copies of it, those made twice */
	/* Read faults that looked around; pages that they found = the own ones + those mapped with them + those that were. */
	uint64_t around_faults, around_found, around_own, around_mapped, around_there;
	uint64_t touched_pages;
	uint64_t pages_zeroed, pages_copied; /* whole pages of 4 KiB */
	uint64_t areas_made, areas_gone;
	uint64_t remaps, remaps_moved; /* of them, those that went elsewhere */
	uint64_t moved_entries, moved_tables, moved_huge;
	uint64_t entries_set, entries_cleared, entries_forked; /* that map a page */
	uint64_t tables_made, tables_freed;
	uint64_t huge_asked, huge_fallback, huge_splits;
	/* khugepaged: ranges of 2 MiB that it looked at = the next ones. */
	uint64_t khugepaged_scanned;
	uint64_t khugepaged_pages_collapsed, thp_scan_pmd_none, thp_scan_pmd_mapped, thp_scan_exceed_none_pte,
	        thp_scan_exceed_swap_pte, thp_scan_exceed_shared_pte, thp_scan_page_ro, thp_scan_lack_referenced,
	        thp_scan_page_lru, thp_scan_page_count, thp_scan_pte_non_present, thp_scan_swap_in_failed,
	        thp_collapse_alloc_failed;
	uint64_t thp_collapse_alloc; /* = pages_collapsed + thp_collapse_undone + those given back before */
	uint64_t thp_collapse_unused, thp_collapse_undone;
	uint64_t thp_collapse_copied, thp_collapse_cleared, thp_collapse_swapped_in, thp_collapse_sync_ipis;
	uint64_t khugepaged_wakes, khugepaged_full_scans, khugepaged_slots_made, khugepaged_slots_gone;
	uint64_t switches, switches_same, switches_lazy, switches_moved;
	uint64_t cr3_loads, cr3_flushes; /* of them those that flush */
	uint64_t flushes, flush_ipis, flush_pages, flush_full;
	uint64_t flushes_put_off, flush_batches;
	/* Levels. */
	uint64_t live_areas, mapped_pages, zero_entries, table_pages, anonymous_pages, shared_pages, file_pages, kept_pages,
	        stack_pages, khugepaged_slots;
};

struct area;
struct space;

/* What is known of a frame that page tables map, or that is a shared page. */
struct mapped_page {
	uint32_t map_count; /* entries that map it: of a huge page's head, those of its parts and of the whole too */
	uint32_t own_count; /* of them those of this very frame by entries of 4 KiB */
	uint32_t whole;     /* head of a huge page: entries that map it as a whole */
	uint8_t kind;       /* enum mapped_kind */
	bool exclusive;     /* PageAnonExclusive */
	bool tail, head;    /* of a huge page */
	uint64_t place;     /* anonymous: area_private_page(); file: page of it */
	uint32_t file;      /* likewise; of a shared page the number of its struct shared */
	uint32_t mapper;    /* the slot in mm.spaces of who mapped it last; another space may have it since */
};

enum mapped_kind { MAPPED_NOT, MAPPED_ANONYMOUS, MAPPED_FILE, MAPPED_SHARED };

/* One table. A child's word points to it. */
struct table {
	pfn frame;
	uint32_t present;      /* words that are not 0 */
	uint64_t *word;        /* owned */
	struct table **child;  /* owned; NULL in a table of pages */
	struct table *deposit; /* of huge entries in it: tables for their parts, linked by this field; owned */
};

/* An anon_vma: pages of the areas that are chained to it. */
struct anon_vma {
	struct object object;
	struct anon_vma *parent; /* itself: the root */
	uint32_t chains;         /* that lead to it */
	uint32_t num_children, num_active_vmas;
	uint32_t references; /* of chains, areas and children; freed at 0 */
};

struct chain {
	struct object object;
	struct anon_vma *to;
};

/* The pages that areas of USER_SHARED have in common: a shmem file. */
struct shared {
	uint32_t number;
	uint32_t areas; /* that show it */
	uint64_t pages;
	uint32_t *frames; /* owned; frame numbers plus 1, 0: none yet; with SHARED_SWAPPED the entry of a swap device */
	struct shared *next;
};

#define SHARED_SWAPPED 0x80000000u

struct area {
	uint64_t start, end;
	enum user_area_kind kind;
	unsigned rights;
	uint32_t file;
	uint64_t first_page; /* of the file or the shared pages at `start` */
	/*
	 * The place of a private page at `start`: its linear address >> PAGE_SHIFT, until mremap() moves the area, whose pages
	 * keep theirs (linear_page_index()).
	 */
	uint64_t private_first;
	struct shared *shared;
	struct object object;
	bool wants_huge, refuses_huge; /* VM_HUGEPAGE, VM_NOHUGEPAGE */
	enum file_advice reading;      /* VM_SEQ_READ, VM_RAND_READ */
	struct swap_read_ahead read_ahead;
	struct anon_vma *anon_vma;
	struct chain *chains; /* owned; the oldest first */
	uint32_t chains_count;
};

#define FOUND_TABLES 16u

struct space {
	struct object object;
	struct area **areas; /* owned, ascending */
	uint32_t areas_count, areas_room;
	struct object *nodes; /* owned: of the maple tree */
	uint32_t nodes_count;
	struct table *root;
	uint32_t sharers; /* threads */
	uint32_t lazy;    /* mm_count: CPUs that have it loaded, and 1 for its threads together */
	uint64_t ctx_id, tlb_gen;
	uint8_t cpumask[CPUS_MAX]; /* mm_cpumask(), a byte each */
	uint64_t rss[4];           /* by enum mapped_kind; swap entries at MAPPED_NOT */
	uint64_t huge;             /* entries of 2 MiB */
	uint64_t tables;           /* frames */
	uint32_t slot;             /* in mm.spaces */
	bool has_moved;        /* an area of it, or of one it was forked from, was moved: private_first tells where pages are */
	uint32_t last_cpu;     /* that something happened in it on */
	struct object mm_slot; /* of khugepaged's list (MMF_VM_HUGEPAGE); at VADDR_NULL: it is not on it */
	/* Tables of pages that entry_find() came to lately, by their place among those of the space; table NULL: none. */
	struct {
		uint64_t place;
		struct table *table;
	} found[FOUND_TABLES];
};

struct process {
	bool used;
	struct space *space;
	struct object task, signal, sighand, files, fs, credentials, pid;
	vaddr stack;
	pfn stack_pages;
	bool thread;
	uint32_t on_cpu; /* that it is current of; UINT32_MAX: none */
};

/* What a CPU knows of its TLB (struct tlb_state). */
struct cpu_state {
	struct space *loaded; /* NULL: init_mm */
	uint32_t asid, next_asid;
	bool lazy;
	struct {
		uint64_t ctx_id, tlb_gen;
	} ctx[ASIDS];
	uint32_t current; /* process, UINT32_MAX: none */
};

/* khugepaged's list of address spaces, where it stands, and the scan that it is in. */
struct khugepaged {
	struct khugepaged_settings settings;
	struct space **at; /* owned: those on the list, in its order */
	uint32_t count, room;
	struct space *current; /* where it goes on, at `address`; NULL: with the first one */
	uint64_t address;
	bool scans; /* it sleeps in the middle of a scan, for want of a page */
	uint32_t progress, passes;
	vaddr lock; /* khugepaged_mm_lock, and the list's head */
};

struct mm {
	struct user_memory port;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *stacks;
	struct layout *layout;
	struct page_mapper *mapper;
	struct steps *steps;
	const struct translation_ops *mode;
	struct paging_controls controls;
	unsigned cpus;
	bool pcid, huge_pages;
	bool huge_if_advised;  /* kernel.thp madvise: in areas that want them alone */
	uint32_t around_pages; /* fault_around_bytes: a power of two */
	struct cost_settings cost;
	cache_id cache[OBJECT_KINDS];
	struct mapped_page *page; /* by frame */
	uint32_t end_pfn;
	struct process *processes;
	uint32_t processes_count, processes_room;
	uint32_t *free_processes;
	uint32_t free_count;
	struct space **spaces; /* every one that lives */
	uint32_t spaces_count, spaces_room;
	uint64_t next_ctx_id;
	uint32_t next_shared;
	struct shared *shared; /* every one that there is */
	struct cpu_state cpu[CPUS_MAX];
	uint64_t tlb_state; /* per-CPU offset of cpu_tlbstate, and of current */
	uint64_t user_end;
	uint32_t kernel_entries; /* of a top table: those of the kernel's half */
	pfn huge_zero;
	pfn taken_away; /* its last entry goes, but not its frame (rmap_unmap()) */
	struct {
		struct gathered {
			pfn frame;
			unsigned order;
		} * at; /* owned */
		uint32_t count, room;
		uint64_t start, end; /* linear addresses, from the first entry that went to the last; empty: none did */
		bool active;
	} gather;
	struct khugepaged khugepaged;
	struct {
		uint8_t cpus[CPUS_MAX]; /* that may hold translations of what was unmapped, a byte each */
		bool required, writable;
	} unmapped;             /* struct tlbflush_unmap_batch: flushes that were put off */
	struct page_store kept; /* the model's own pages of files, where nobody keeps them */
	struct mm_counters counters;
};

/* ---- mm.c ---- */

struct mm *mm_of(struct user_memory *users);
const struct mm *mm_const(const struct user_memory *users);

/* An object of one of the kernel's caches; at VADDR_NULL if there is no memory. */
struct object mm_object(struct mm *mm, enum object_kind kind, gfp flags, unsigned cpu);
void mm_free_object(struct mm *mm, enum object_kind kind, const struct object *object, unsigned cpu);

static inline vaddr mm_field(const struct object *object, uint32_t offset)
{
	return vaddr_of(object->at.addr + offset);
}

/* Steps on a structure's field. */
static inline void read_field(struct mm *mm, const struct object *object, uint32_t offset)
{
	step_read(mm->steps, mm_field(object, offset), 8);
}

static inline void write_field(struct mm *mm, const struct object *object, uint32_t offset)
{
	step_write(mm->steps, mm_field(object, offset), 8);
}

static inline vaddr page_field(const struct mm *mm, pfn frame, uint32_t offset)
{
	return vaddr_of(layout_struct_page(mm->layout, frame).addr + offset);
}

/* The model's own page cache never lets go of a page before the end, and reads in no time. */
pfn mm_kept_read(struct mm *mm, uint32_t file, uint64_t index, unsigned cpu);

/* mmap_lock. MODEL: nobody ever waits for it: a process's ops come one after the other. */
void lock_space(struct mm *mm, struct space *space, bool write);
void unlock_space(struct mm *mm, struct space *space, bool write);

static inline struct process *process_of(struct mm *mm, process_id process)
{
	return process.nr < mm->processes_count && mm->processes[process.nr].used ? &mm->processes[process.nr] : NULL;
}

/* ---- check.c ---- */

void mm_check(const struct user_memory *users);

/* ---- tables.c ---- */

/* Where an entry stands. */
struct entry {
	struct table *table;
	unsigned level;
	uint32_t index;
};

struct table *table_make(struct mm *mm, struct space *space, unsigned level, unsigned cpu);
void table_free(struct mm *mm, struct space *space, struct table *table, unsigned level, unsigned cpu);
bool tables_init(struct mm *mm, struct space *space, unsigned cpu);

/* The entry in which a walk for an address ends; with `make`, tables down to `leaf` are made: false, no memory. */
bool tables_entry(struct mm *mm, struct space *space, uint64_t linear, unsigned leaf, bool make, unsigned cpu,
                  struct entry *entry);
/* The same without steps: what the processor's walk would end in. */
void entry_find(const struct mm *mm, struct space *space, uint64_t linear, struct entry *entry);
/* Its quick part: false says nothing. */
static inline bool entry_found(const struct mm *mm, const struct space *space, uint64_t linear, struct entry *entry)
{
	uint64_t place = linear >> mm->mode->level[1].shift;
	if (!space->found[place % FOUND_TABLES].table || space->found[place % FOUND_TABLES].place != place)
		return false;
	entry->table = space->found[place % FOUND_TABLES].table;
	entry->level = 0;
	entry->index = (uint32_t)paging_index(&mm->mode->level[0], linear);
	return true;
}
/* A table leaves the space: what was found may be it. */
void tables_forget(struct space *space);
static inline uint64_t entry_word(const struct entry *entry)
{
	return entry->table->word[entry->index];
}
/*
 * Whether the processor lets an access through as the tables are. MODEL: without an execute right in the tables (32-bit paging)
 * code is not told from data.
 */
static inline bool entry_allows(const struct entry *entry, enum access_kind kind)
{
	uint64_t word = entry_word(entry);
	if (!(word & WORD_PRESENT) || !(word & WORD_USER) || (kind == ACCESS_STORE && !(word & WORD_WRITE)))
		return false;
	return kind != ACCESS_CODE || word & WORD_EXECUTE;
}
/* What the processor marks then. */
static inline void entry_mark_used(const struct entry *entry, enum access_kind kind)
{
	entry->table->word[entry->index] |= kind == ACCESS_STORE ? WORD_ACCESSED | WORD_DIRTY : WORD_ACCESSED;
}
/* Reads it, as steps; writes it. */
void entry_read(struct mm *mm, const struct entry *entry);
void entry_write(struct mm *mm, const struct entry *entry, uint64_t word);
void entry_lock(struct mm *mm, const struct entry *entry);
void entry_unlock(struct mm *mm, const struct entry *entry);
/* free_pgtables(): tables that hold nothing any more, in a range that no area is in. True if one went. */
bool tables_prune(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu);
void tables_release(struct mm *mm, struct space *space, unsigned cpu);

/* Hands every word of a table of pages, or of a huge page, that is not 0 in [start, end) to a visitor. */
typedef void entry_visitor(void *context, const struct entry *entry, uint64_t linear);
void tables_visit(const struct mm *mm, const struct space *space, uint64_t start, uint64_t end, entry_visitor *visit,
                  void *context);
/* The level whose entries map 2 MiB (or 4 MiB); the number of levels if there is none of 2 MiB. */
unsigned huge_level(const struct mm *mm);

/* ---- areas.c ---- */

struct area *area_at(const struct space *space, uint64_t linear);
/* Index of the first area that ends above an address. */
uint32_t area_index(const struct space *space, uint64_t linear);
enum user_result areas_map(struct mm *mm, struct space *space, const struct user_area_request *request, unsigned cpu);
enum user_result areas_unmap(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, unsigned cpu);
/* __split_vma() and vma_adjust_trans_huge(): areas, and huge pages, end at the edges of the range. False: no memory. */
bool areas_split_edges(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu);
/* munmap(), with mmap_lock held. */
enum user_result areas_unmap_locked(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, unsigned cpu);
/*
 * copy_vma(): a new area for the pages of one from an address on, at `to`; NULL: no memory. Its pages, if there are any, have
 * the places that they had.
 */
struct area *area_copy(struct mm *mm, struct space *space, const struct area *from, uint64_t start, uint64_t to, uint64_t pages,
                       unsigned cpu);
/* The area grows at its end, where there is room. */
void area_grow(struct mm *mm, struct space *space, struct area *area, uint64_t pages, unsigned cpu);
/* A huge page that reaches over the address is taken apart. */
void areas_split_huge(struct mm *mm, struct space *space, uint64_t at, unsigned cpu);
/* Clears the entries of the range, between gather_begin() and gather_end(). */
void areas_zap(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu);
/* vm_area_dup() and anon_vma_fork(); NULL: no memory. */
struct area *area_fork(struct mm *mm, struct space *space, const struct area *from, unsigned cpu);
void area_free(struct mm *mm, struct area *area, unsigned cpu);
bool area_prepare_anon(struct mm *mm, struct area *area, unsigned cpu);
bool areas_insert(struct mm *mm, struct space *space, struct area *area, unsigned cpu);
void areas_release(struct mm *mm, struct space *space, unsigned cpu);
void shared_put(struct mm *mm, struct shared *shared, unsigned cpu);
/* The shared pages that a frame is one of. */
struct shared *shared_of(const struct mm *mm, pfn frame);

/* ---- area_changes.c ---- */

enum user_result areas_advise(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, enum user_advice advice,
                              unsigned cpu);
enum user_result areas_protect(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, unsigned rights, unsigned cpu);

/* ---- area_moves.c ---- */

enum user_result areas_remap(struct mm *mm, struct space *space, const struct user_remap *remap, unsigned cpu);

/* ---- fault.c ---- */

/* One access of a program. */
void user_access(struct mm *mm, uint64_t linear, uint32_t bytes, enum access_kind kind);

/* Lets one page be accessed. */
enum user_result fault_touch(struct mm *mm, struct space *space, uint64_t linear, enum access_kind kind, unsigned cpu);
/* zap_pte_range(): what a word maps loses that mapping; the entry is cleared. */
void entry_zap(struct mm *mm, struct space *space, const struct entry *entry, uint64_t linear, unsigned cpu);
/* page_add_*_rmap(), page_remove_rmap(): one entry more or less. */
void page_mapped(struct mm *mm, struct space *space, pfn frame, bool whole);
void page_unmapped(struct mm *mm, struct space *space, pfn frame, bool whole, bool dirty, unsigned cpu);
/* A new frame of the model's own. */
pfn page_new(struct mm *mm, unsigned order, gfp flags, unsigned cpu);
void page_free_new(struct mm *mm, pfn frame, unsigned order, unsigned cpu);
uint64_t area_word(const struct area *area, pfn frame, bool write);
/* The copy of a page, where it takes place is counted by the caller. */
void page_copy_contents(struct mm *mm, pfn from, pfn to, unsigned cpu);
/* The page of an area's file, or of its shared pages, at an address. */
static inline uint64_t area_page(const struct area *area, uint64_t linear)
{
	return area->first_page + ((linear - area->start) >> PAGE_SHIFT);
}
/* The place of a private page of an area at an address (linear_page_index()). */
static inline uint64_t area_private_page(const struct area *area, uint64_t linear)
{
	return area->private_first + (linear >> PAGE_SHIFT) - (area->start >> PAGE_SHIFT);
}
/* The records of a huge page's frames, whose first one is anonymous memory of a place. */
void huge_become_anonymous(struct mm *mm, pfn first, uint64_t place, bool exclusive);
/* An entry is about to map the page of a file. */
void page_is_of_file(struct mm *mm, pfn frame, uint32_t file, uint64_t index);

/*
 * do_swap_page() for khugepaged, of an entry that names a slot. False: no page is there now, as there was no memory, or as the
 * device has to be waited for.
 */
bool fault_swap_in(struct mm *mm, struct space *space, struct area *area, uint64_t linear, unsigned cpu);

/*
 * tlb_gather_mmu(), tlb_finish_mmu(): between the two, frames and tables that nothing maps any more wait; they are given back
 * behind the flush of what was mapped. all: of the whole space, which is at its end (fullmm).
 */
void gather_begin(struct mm *mm);
/* __tlb_adjust_range(): an entry that mapped something went, or a table of which this is the first address. */
void gather_range(struct mm *mm, uint64_t linear, uint64_t bytes);
void gather_end(struct mm *mm, struct space *space, bool all, bool freed_tables, unsigned cpu);
/* Compaction moved a frame that waits; false: none waits there. */
bool gather_moved(struct mm *mm, pfn from, pfn to);
/* Gives frames back, now or then. */
void gather_free(struct mm *mm, pfn frame, unsigned order, unsigned cpu);

/* ---- fault_around.c ---- */

/*
 * do_fault_around() of a read: pages of the area that lie round the fault's, and are in memory, are mapped. `entry`: of the
 * fault's page, in a table of pages. Whether the fault's own page is mapped now.
 */
bool fault_around(struct mm *mm, struct space *space, const struct area *area, const struct entry *entry, uint64_t linear,
                  unsigned cpu);

/* ---- huge.c ---- */

/* A fault where no table of pages is yet. True if it is dealt with, with *result. */
bool huge_fault(struct mm *mm, struct space *space, struct area *area, uint64_t linear, bool write, unsigned cpu,
                enum user_result *result);
/* A write to a huge page that is not writable: true, done; false, it is in pieces now. */
bool huge_write(struct mm *mm, struct space *space, const struct entry *entry, uint64_t linear, unsigned cpu,
                enum user_result *result);
/* Tables for the parts of huge pages, one for each, kept where the huge pages' entries are (pgtable_trans_huge_deposit()). */
bool huge_deposit(struct mm *mm, struct space *space, struct table *table, unsigned cpu);
void huge_keep_table(struct mm *mm, struct table *table, struct table *parts);
struct table *huge_take_table(struct mm *mm, struct table *table);
void huge_withdraw(struct mm *mm, struct space *space, struct table *table, unsigned cpu);
/* split_huge_page(), all but the frames' block. How many frames nothing maps, which are not the model's any more. */
uint32_t huge_split_page(struct mm *mm, pfn first, unsigned cpu);
/* __split_huge_pmd(): 512 entries in place of one. */
void huge_split(struct mm *mm, struct space *space, const struct entry *entry, uint64_t linear, unsigned cpu);

/* hugepage_vma_check(), transhuge_vma_suitable(): the area may have huge pages, and the aligned 2 MiB around the address. */
bool huge_is_suitable(const struct mm *mm, const struct area *area, uint64_t linear);
/* A new frame of order 9 becomes the area's page for the range, under the entry, with a table for its parts in reserve. */
void huge_map(struct mm *mm, struct space *space, const struct area *area, const struct entry *entry, pfn frame, uint64_t linear,
              unsigned cpu);

/* ---- khugepaged.c ---- */

void khugepaged_init(struct mm *mm, const struct khugepaged_settings *settings);
void khugepaged_release(struct mm *mm);
/* khugepaged_enter_vma(), khugepaged_fork(): the address space comes to the end of its list, unless it is there. */
void khugepaged_enter_area(struct mm *mm, struct space *space, const struct area *area, unsigned cpu);
void khugepaged_fork(struct mm *mm, struct space *to, const struct space *from, unsigned cpu);
/* Before the memory of an address space goes that no thread has any more. */
void khugepaged_exit(struct mm *mm, struct space *space, unsigned cpu);
/* Its turn, which is due; sets the port's next_tick_ns. */
void khugepaged_turn(struct mm *mm, unsigned cpu, uint64_t now_ns);
void khugepaged_check(const struct mm *mm);

/* ---- collapse.c ---- */

/* What became of a range that khugepaged looked at, as the kernel's enum scan_result has it. */
enum collapse_result {
	COLLAPSE_DONE,
	COLLAPSE_REFUSED, /* for what the entries say: the same lock is held on */
	COLLAPSE_NO_PAGE, /* none of order 9 */
	COLLAPSE_GIVEN_UP /* after the page was there */
};

/* hpage_collapse_scan_pmd(): looks at the 2 MiB from `linear` on, which lie in the area, and makes one page of them. */
enum collapse_result collapse_range(struct mm *mm, struct space *space, struct area *area, uint64_t linear, unsigned cpu);

/* ---- reverse_map.c ---- */

bool rmap_moved(struct mm *mm, pfn from, pfn to);
uint32_t rmap_referenced(struct mm *mm, pfn frame, bool *executable, unsigned cpu);
uint32_t rmap_unmap(struct mm *mm, pfn frame, uint64_t entry, bool *dirty, unsigned cpu);
/* unmap_folio(), remap_page() of a huge page: all that maps it is of 4 KiB, and was away from it meanwhile. */
void rmap_split(struct mm *mm, pfn first, unsigned cpu);

/* ---- space_switch.c ---- */

void switch_to_space(struct mm *mm, struct space *space, unsigned cpu);
void switch_to_process(struct mm *mm, process_id process, unsigned cpu);
void switch_to_kernel(struct mm *mm, unsigned cpu);
/*
 * A kernel thread has the CPU for a while, whose process goes on behind it: the address space stays loaded, lazily. The core
 * pays for the switches (cost.daemon_switch).
 */
void kernel_thread_begin(struct mm *mm, unsigned cpu);
void kernel_thread_end(struct mm *mm, unsigned cpu);
/*
 * flush_tlb_mm_range(). pages > FLUSH_CEILING: all of the space. freed_tables: CPUs that have the space lazily are interrupted,
 * too; flush_tlb_range() and flush_tlb_mm() always say so, flush_tlb_page() never.
 */
void flush_range(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, bool freed_tables, unsigned cpu);
/* should_defer_flush(), set_tlb_ubc_flush_pending(): false, it is for the caller to flush now; `dirty`: the entry was. */
bool flush_put_off(struct mm *mm, struct space *space, bool dirty, unsigned cpu);
/* try_to_unmap_flush(), try_to_unmap_flush_dirty() */
void flush_unmapped(struct mm *mm, bool only_dirty, unsigned cpu);
/* mmdrop(): one holder less; without any it is freed. */
void space_put(struct mm *mm, struct space *space, unsigned cpu);

/* ---- process.c ---- */

process_id process_create(struct mm *mm, unsigned cpu);
process_id process_fork(struct mm *mm, process_id parent, bool thread, unsigned cpu);
enum user_result process_exec(struct mm *mm, process_id process, unsigned cpu);
void process_exit(struct mm *mm, process_id process, unsigned cpu);
void space_free(struct mm *mm, struct space *space, unsigned cpu);

#endif
