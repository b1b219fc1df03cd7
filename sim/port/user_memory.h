/* SPDX-License-Identifier: MIT
 *
 * user_memory.h - the port of processes and their memory: address spaces made of areas whose pages come at first touch, fork with
 * copy-on-write, exec, exit, and the switch of a CPU from one address space to another.
 *
 * Models: models/user_memory/mm.c. A model embeds struct user_memory as its first member and fills `ops`. Frames and
 * page tables come from the page allocator of its wiring, its structures from the object allocator, kernel stacks from the
 * virtual allocator. Pages of files come from a page cache (struct file_pages, below), which is somebody else's.
 *
 * Everything a process does happens on a CPU; a process that is not the one this CPU runs is switched to first.
 *
 * Who reclaims memory needs three things from here: to be told which anonymous pages there are (struct page_watcher), to ask
 * whether a page was used (ops.referenced), and to take it away from everybody (ops.unmap_page).
 *
 * Everything a caller may rely on is asserted in the wrappers below; tests/conformance runs every model against them.
 */
#ifndef SIM_PORT_USER_MEMORY_H
#define SIM_PORT_USER_MEMORY_H

#include "sim/access.h"
#include "sim/base.h"
#include "sim/layout.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/port/translation.h"
#include "sim/port/virtual_allocator.h"
#include "sim/steps.h"

struct settings; /* models/settings.h */
struct metric;

/* A process (or a thread, which shares its address space): an index, dense, used again after its exit. */
typedef struct {
	uint32_t nr;
} process_id;

#define PROCESS_NONE ((process_id){UINT32_MAX})

/* What an area of an address space is made of. Numbers stand in recordings (.kmt). */
enum user_area_kind {
	USER_ANONYMOUS,    /* private memory without a file */
	USER_SHARED,       /* shared memory without a file: children share its pages */
	USER_FILE_PRIVATE, /* pages of a file, copied when written */
	USER_FILE_SHARED,  /* pages of a file, written through */
	USER_STACK,        /* anonymous */
	USER_HEAP,         /* anonymous; the area of brk(), which grows upward */
	USER_AREA_KINDS
};

static inline bool user_area_has_file(enum user_area_kind kind)
{
	return kind == USER_FILE_PRIVATE || kind == USER_FILE_SHARED;
}

/* Private memory without a file (vma_is_anonymous()). */
static inline bool user_area_is_anonymous(enum user_area_kind kind)
{
	return kind == USER_ANONYMOUS || kind == USER_STACK || kind == USER_HEAP;
}

static inline bool user_area_is_shared(enum user_area_kind kind)
{
	return kind == USER_SHARED || kind == USER_FILE_SHARED;
}

/* What may be done with an area's pages. Numbers stand in recordings (.kmt). */
enum { USER_READ = 1, USER_WRITE = 2, USER_EXECUTE = 4, USER_RIGHTS = 7 };

/*
 * madvise(). Numbers stand in recordings (.kmt). DONTNEED: the pages' entries go, the areas stay; what is touched again is of
 * zeroes where it is private, else as it was. HUGEPAGE, NOHUGEPAGE: pages of 2 MiB are wanted (with kernel.thp madvise, had) or
 * not. NORMAL, RANDOM, SEQUENTIAL: how files are read ahead. FREE, of private memory without a file: contents may go whenever
 * memory is short, and are of zeroes then, until they are written again.
 */
enum user_advice {
	USER_DONTNEED,
	USER_HUGEPAGE,
	USER_NOHUGEPAGE,
	USER_READ_NORMAL,
	USER_READ_RANDOM,
	USER_READ_SEQUENTIAL,
	USER_FREE,
	USER_ADVICES
};

/* How an area reads its file. */
enum file_advice { FILE_NORMAL, FILE_SEQUENTIAL, FILE_RANDOM };

/* mmap(MAP_FIXED), or for USER_HEAP brk(): pages at `start`. */
struct user_area_request {
	uint64_t start; /* a multiple of PAGE_SIZE, in the user's half */
	uint64_t pages; /* 1 and more */
	enum user_area_kind kind;
	unsigned rights;     /* USER_* */
	uint32_t file;       /* of kinds with one: the page cache's number of it */
	uint64_t first_page; /* of the file, at `start` */
};

/*
 * What create() and exec() make the stack of: bytes up to where it ends (fs/exec.c: setup_arg_pages(): stack_expand, and the page
 * that holds the arguments), which is STACK_TOP of 64 bits where addresses above 47 bits are only given to who asks.
 */
#define USER_STACK_BYTES (131072u + PAGE_SIZE)

static inline uint64_t user_stack_end(uint64_t user_end)
{
	uint64_t top = (1ull << 47) - PAGE_SIZE;
	return user_end < top ? user_end : top;
}

/* The first address that no area may have: TASK_SIZE_MAX of 64 bits, TASK_SIZE of 32 (arch/x86/include/asm/page_64.h,
 * page_32_types.h). */
static inline uint64_t user_end_of(const struct translation_ops *mode)
{
	return mode->sign_extended ? (1ull << (mode->linear_bits - 1)) - PAGE_SIZE : 0xc0000000u;
}

enum user_result {
	USER_OK,
	USER_NO_MEMORY,  /* frames, tables or structures: what was done before it stays */
	USER_NO_PROCESS, /* no such process */
	USER_BAD_RANGE,  /* empty, not in the user's half, or (mapping, growing) over an area that is there */
	USER_NO_AREA,    /* a touch outside of all areas: SIGSEGV; what is moved or grows is not of one area (EFAULT) */
	USER_HOLE,       /* an advice, or new rights: a part of the range is no area; rights hold up to there, advice for the rest
	                    (ENOMEM) */
	USER_BAD_KIND,   /* an advice that is for other areas: what lies before this one in the range has it (EINVAL) */
	USER_NO_RIGHT    /* a touch that the area's rights forbid: SIGSEGV */
};

/* mremap() of pages of one area. */
struct user_remap {
	uint64_t start, pages; /* 1 and more */
	uint64_t to;        /* where they go, MREMAP_MAYMOVE | MREMAP_FIXED; `start`: they stay, and the area grows or shrinks */
	uint64_t new_pages; /* 1 and more: how many there are then */
};

/* A run of accesses: `bytes` from `address` on, one access every `stride` bytes, each of at most 8 bytes. */
struct user_touch {
	uint64_t address;
	uint64_t bytes;        /* 1 and more */
	uint32_t stride;       /* 1 and more */
	enum access_kind kind; /* ACCESS_LOAD, ACCESS_STORE or ACCESS_CODE */
};

/* A run of a program's accesses. */
struct user_run {
	uint32_t instructions; /* that go before each access that is no fetch */
	/* Of the last access made: */
	enum user_result result;
	bool faulted;
	uint32_t before; /* steps there were before it */
};

/* Of a process's address space; pages of 4 KiB. */
struct process_view {
	uint64_t areas, area_pages;
	uint64_t anonymous, file, shared; /* mapped pages: the kernel's MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES */
	uint64_t swapped;                 /* MM_SWAPENTS */
	uint64_t huge;                    /* of anonymous, those in pages of 2 MiB */
	uint64_t tables;                  /* page tables of all levels, in frames */
	uint32_t sharers;                 /* threads with this address space, this one too */
	uint64_t root;                    /* physical address of the top table */
	uint32_t last_cpu;                /* where something happened in it last: what comes next comes behind that */
};

/*
 * Where pages of files come from; the owner of the page cache fills it in. Both return a frame that stays the cache's: it is not
 * given back to the page allocator while a mapping is told of and not taken back. *again: a kernel let go of mmap_lock for it, as
 * it waited for a device or read ahead, and makes the fault once more (VM_FAULT_RETRY).
 */
struct file_pages {
	/* The frame of page `index` of a file, PFN_NONE if it is not cached (filemap_get_folio()). */
	pfn (*find)(void *context, uint32_t file, uint64_t index, enum file_advice, unsigned cpu, bool *again);
	/* Reads it in: takes a frame, fills it, and writes down the steps of that. PFN_NONE: no memory (filemap_fault()). */
	pfn (*read)(void *context, uint32_t file, uint64_t index, enum file_advice, unsigned cpu, bool *again);
	/*
	 * The next page that a read fault near it maps as well, at *index or behind it, up to `last`: one that is cached, whole,
	 * and marked for no read-ahead (next_uptodate_page()). *index: its place. PFN_NONE: there is none.
	 */
	pfn (*next)(void *context, uint32_t file, uint64_t *index, uint64_t last, unsigned cpu);
	/* The fault that asked for the frame is over; until then it stays (folio_put()). */
	void (*put)(void *context, pfn, unsigned cpu);
	/* An area shows so many pages of the file, from its beginning on: it has as many at least. NULL: nobody asks. */
	void (*shown)(void *context, uint32_t file, uint64_t pages);
	/* The first entry of any page table that maps the frame was written; the last one went (NULL: nobody asks). */
	void (*mapped)(void *context, pfn);
	void (*unmapped)(void *context, pfn, bool dirty);
	/* An entry that maps it goes: what the processor had marked there (zap_pte_range()). NULL: nobody asks. */
	void (*used)(void *context, pfn, bool accessed, bool dirty, unsigned cpu);
	void *context;
};

/* Where read-ahead from swap stands in an area (vma->swap_readahead_info); kept with it, used by who swaps. All zero at first. */
struct swap_read_ahead {
	uint64_t page; /* of the last fault */
	uint32_t window, hits;
	bool is_set;
};

/* A fault on an entry that unmap_page() left behind. Pages are linear addresses by PAGE_SIZE. */
struct user_swap_fault {
	uint64_t entry;
	uint64_t page, first_page, end_page; /* the fault's, its area's */
	bool write;
	/*
	 * Not NULL: the fault does not wait for the device. What is still to be read is asked for and left in the swap cache, and
	 * *waits is set (FAULT_FLAG_ALLOW_RETRY).
	 */
	bool *waits;
	struct swap_read_ahead *read_ahead;
	/* The entry of another page of the area, 0 if it has none. */
	uint64_t (*entry_of)(void *space, uint64_t page);
	void *space;
};

/* What who looks after a page says of it. */
enum watched_state {
	WATCHED_LISTED = 1,     /* it is on a list of the LRU, not in a CPU's batch (PageLRU) */
	WATCHED_PINNED = 2,     /* somebody beside page tables and swap cache has a reference */
	WATCHED_REFERENCED = 4, /* PageReferenced */
	WATCHED_HUGE = 8        /* it is a part of a page of 2 MiB, and as that all of this is said */
};

/* Who looks after anonymous pages (an LRU, swap). A callback may be NULL. */
struct page_watcher {
	/* A new anonymous page was mapped (folio_add_lru()); `order` 0, or 9 of a huge page. */
	void (*added)(void *context, pfn, unsigned order, unsigned cpu);
	/*
	 * A part of a huge page, of this first frame, is mapped no more, and another one is (deferred_split_huge_page()). NULL:
	 * nobody asks.
	 */
	void (*parts_unmapped)(void *context, pfn);
	/* It goes back to the page allocator after this call; true: the watcher does that itself, now or later. */
	bool (*removed)(void *context, pfn, unsigned order, unsigned cpu);
	/*
	 * do_swap_page(): brings the page in; the fault's entry is given back with that. *alone: nobody else has the page or an
	 * entry of it. The frame may be one that others map, or a part of a huge page (WATCHED_HUGE) that was not away yet.
	 * PFN_NONE: no memory, and the entry stays.
	 */
	pfn (*swap_in)(void *context, const struct user_swap_fault *, unsigned cpu, bool *alone);
	/* No entry names the page that is mapped once and shall be written; it gives its slot up with that (folio_free_swap()).
	 */
	bool (*alone)(void *context, pfn, unsigned cpu);
	/* One entry more (fork, unmap_page()), one less (unmapped). */
	void (*swap_taken)(void *context, uint64_t entry);
	void (*swap_given)(void *context, uint64_t entry, unsigned cpu);
	/*
	 * MADV_FREE of a page of private memory, or a huge one, that so many entries map. may_forget: whether its contents may
	 * go, which a slot does not keep any more, and is not dirty then; lazyfree: they may from now on (mark_page_lazyfree()).
	 * split: a huge page, by its first frame, is taken apart, with ops.split_page(); false: it cannot be. NULL: nobody
	 * reclaims.
	 */
	bool (*may_forget)(void *context, pfn, uint32_t entries, unsigned cpu);
	void (*lazyfree)(void *context, pfn, unsigned cpu);
	bool (*split)(void *context, pfn, unsigned cpu);
	/* enum watched_state of a mapped page. NULL: pages are on lists, and nobody's beside. */
	unsigned (*state)(const void *context, pfn);
	/* lru_add_drain(): the CPU's batches go to the lists; `all`: those of all CPUs (lru_add_drain_all()). */
	void (*drain)(void *context, unsigned cpu, bool all);
	/* The page allocator moved a frame; false: it is none of the watcher's. */
	bool (*moved)(void *context, pfn from, pfn to);
	/*
	 * A new page of shared memory without a file is there (shmem_fault()); it goes by removed(). `used`: an entry that maps
	 * it goes, and what the processor had marked there (zap_pte_range()). shared_in: brings a page back that shared_left()
	 * took away, and gives its entry back; PFN_NONE: no memory (shmem_swapin_folio()).
	 */
	void (*shared_added)(void *context, pfn, unsigned cpu);
	void (*shared_used)(void *context, pfn, bool accessed, bool dirty, unsigned cpu);
	pfn (*shared_in)(void *context, uint64_t entry, unsigned cpu);
	/* Frames that the watcher has beside those that are mapped: to be given back, or in a cache. */
	uint64_t (*pages_held)(void *context);
	/* Its laws; part of the port's check. */
	void (*check)(const void *context);
	/* Pages that swap has room for, in all. */
	uint64_t swap_pages;
	void *context;
};

struct user_memory;

struct user_memory_ops {
	const char *name;
	const char *help;

	/*
	 * Makes a process with an address space of its own that holds a stack and an argument page, as one that a kernel thread
	 * starts (kernel_execve()). PROCESS_NONE: no memory.
	 */
	process_id (*create)(struct user_memory *, unsigned cpu);
	/* fork(), by the parent on its CPU; with `thread` the child shares the address space (CLONE_VM). PROCESS_NONE: no memory,
	 * and nothing is left of it. */
	process_id (*fork)(struct user_memory *, process_id parent, bool thread, unsigned cpu);
	/* execve(): a new address space as create() makes one, the old one is left. USER_NO_MEMORY: nothing has changed. */
	enum user_result (*exec)(struct user_memory *, process_id, unsigned cpu);
	/* exit() on the process's CPU, and the parent's wait() for it. */
	void (*exit)(struct user_memory *, process_id, unsigned cpu);

	enum user_result (*map)(struct user_memory *, process_id, const struct user_area_request *, unsigned cpu);
	/* munmap(): what lies in the range; parts of areas too. Other CPUs that have the address space drop its translations. */
	enum user_result (*unmap)(struct user_memory *, process_id, uint64_t start, uint64_t pages, unsigned cpu);

	/*
	 * mremap(): entries of page tables go with what moves, not contents; what is too much goes, and what comes is untouched.
	 * What is mapped where it goes is unmapped first, also where the call fails after that. Shared memory without a file does
	 * not grow. What moves is USER_ANONYMOUS then where it was a heap or a stack. USER_NO_MEMORY: what was to move is where
	 * it was.
	 */
	enum user_result (*remap)(struct user_memory *, process_id, const struct user_remap *, unsigned cpu);

	/* madvise() */
	enum user_result (*advise)(struct user_memory *, process_id, uint64_t start, uint64_t pages, enum user_advice,
	                           unsigned cpu);

	/* mprotect(): the areas in the range have these rights, USER_*. */
	enum user_result (*protect)(struct user_memory *, process_id, uint64_t start, uint64_t pages, unsigned rights,
	                            unsigned cpu);

	/* Makes the accesses, with the faults they take. Those before one that cannot be put right are made. */
	enum user_result (*touch)(struct user_memory *, process_id, const struct user_touch *, unsigned cpu);

	/*
	 * Makes accesses of a program, one after the other, up to and with the first one that faults, or that is not made.
	 * Returns how many there were, 1 and more. Each is a load, a store, both, a fetch or a prefetch (which never faults), and
	 * none of its bytes lies beyond its page.
	 */
	size_t (*run)(struct user_memory *, process_id, const struct access *, size_t count, struct user_run *, unsigned cpu);

	/* The CPU goes on with this process; PROCESS_NONE: with a kernel thread or nothing (lazy TLB). */
	void (*switch_to)(struct user_memory *, process_id, unsigned cpu);

	/*
	 * The model's own work at fixed times (a daemon): does what is due at now_ns, from the beginning of the run, on a CPU.
	 * NULL: it has none, and next_tick_ns is UINT64_MAX.
	 */
	void (*tick)(struct user_memory *, unsigned cpu, uint64_t now_ns);

	/* A frame that the page allocator moved; false: it is none of this port's. */
	bool (*moved)(struct user_memory *, pfn from, pfn to);

	/* How many page table entries map a frame (page_mapcount()). */
	uint32_t (*map_count)(const struct user_memory *, pfn);
	/* The same of a huge page, by its first frame, and its parts together (folio_mapcount()); *whole: those of 2 MiB. */
	uint32_t (*huge_map_count)(const struct user_memory *, pfn, uint32_t *whole);
	/*
	 * How many of them were used since the last call, which forgets it (folio_referenced()); of a huge page, by its first
	 * frame, in how many areas. *executable: one of those is of an area with USER_EXECUTE.
	 */
	uint32_t (*referenced)(struct user_memory *, pfn, bool *executable, unsigned cpu);
	/*
	 * Takes a page out of all page tables (try_to_unmap()): entries of an anonymous page then hold `entry`, those of a file
	 * nothing. Those of an anonymous page hold nothing where `entry` is 0, as its contents may go (lazyfree), up to the first
	 * one that is dirty: that one, and what would come behind it, stays, and the page with them. *dirty: it was written
	 * through one of them. The frame of an anonymous page is the caller's from then on. A huge page goes as a whole, by its
	 * first frame, and its parts' entries hold `entry` and those behind it. The number of entries there were; 0 for a frame
	 * that is not mapped and for a part of a huge page. Other CPUs may use old translations until flush_unmapped(): no frame
	 * may be given away before it.
	 */
	uint32_t (*unmap_page)(struct user_memory *, pfn, uint64_t entry, bool *dirty, unsigned cpu);
	/*
	 * A huge page, by its first frame, is single pages from now on (split_huge_page()): what maps it is of 4 KiB, and frames
	 * that nothing maps are the caller's. How many ceased to be the model's; 0 where none was. The page allocator's block is
	 * for the caller to split.
	 */
	uint32_t (*split_page)(struct user_memory *, pfn, unsigned cpu);
	/*
	 * What unmap_page() took away leaves the TLBs, each CPU being interrupted once for all of it (try_to_unmap_flush());
	 * only_dirty: if something written was among it (try_to_unmap_flush_dirty()).
	 */
	void (*flush_unmapped)(struct user_memory *, bool only_dirty, unsigned cpu);

	/*
	 * A page of shared memory that nobody maps leaves: its frame is the caller's from now on, its place holds `entry` as one
	 * more that names it (shmem_writepage()); 0: it holds nothing, as a page that was never written.
	 */
	void (*shared_left)(struct user_memory *, pfn, uint64_t entry);

	/* False: no such process. */
	bool (*view)(const struct user_memory *, process_id, struct process_view *);
	/* Frames taken from the page allocator itself and not given back: pages, page tables, and what the model keeps. */
	uint64_t (*pages_held)(const struct user_memory *);

	/* Walks everything, recounts and compares; a broken law is SIM_ASSERTed. */
	void (*check)(const struct user_memory *);

	/* Counters of the model: rows beside the struct they live in (sim/metric.h). */
	const struct metric *metrics;
	const void *(*counters)(const struct user_memory *);

	/* Processes that live give everything back. */
	void (*destroy)(struct user_memory *);
};

struct user_memory {
	const struct user_memory_ops *ops;
	uint64_t live_processes; /* made and not over, threads too; kept by the wrappers */
	uint64_t next_tick_ns;   /* when ops.tick is due, UINT64_MAX: not; kept by the model, any call may change it */
	/* Set by their owners before the first process; without a page cache the model keeps what it reads until the end. */
	struct file_pages files;
	struct page_watcher watcher;
};

/* What a model is made of and stands on. The pointers outlive it. */
struct user_memory_wiring {
	const struct settings *settings;
	struct page_allocator *pages;
	struct object_allocator *objects;
	struct virtual_allocator *areas; /* of kernel stacks; NULL: they are blocks of pages */
	struct layout *layout;
	struct steps *steps;
	struct page_mapper *mapper;         /* NULL: contents of high memory are not touched */
	const struct translation_ops *mode; /* of the page tables; it has levels */
	const struct paging_controls *controls;
	unsigned cpus;
};

static inline process_id user_create(struct user_memory *users, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	process_id made = users->ops->create(users, cpu);
	users->live_processes += made.nr != UINT32_MAX;
	return made;
}

static inline process_id user_fork(struct user_memory *users, process_id parent, bool thread, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && parent.nr != UINT32_MAX);
	process_id made = users->ops->fork(users, parent, thread, cpu);
	users->live_processes += made.nr != UINT32_MAX;
	return made;
}

static inline enum user_result user_exec(struct user_memory *users, process_id process, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	return users->ops->exec(users, process, cpu);
}

static inline void user_exit(struct user_memory *users, process_id process, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && users->live_processes > 0);
	users->ops->exit(users, process, cpu);
	users->live_processes--;
}

static inline enum user_result user_map(struct user_memory *users, process_id process, const struct user_area_request *request,
                                        unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && request->kind < USER_AREA_KINDS && !(request->rights & ~(unsigned)USER_RIGHTS));
	return users->ops->map(users, process, request, cpu);
}

static inline enum user_result user_unmap(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                          unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	return users->ops->unmap(users, process, start, pages, cpu);
}

static inline enum user_result user_remap(struct user_memory *users, process_id process, const struct user_remap *remap,
                                          unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	return users->ops->remap(users, process, remap, cpu);
}

static inline enum user_result user_advise(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                           enum user_advice advice, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && advice < USER_ADVICES);
	return users->ops->advise(users, process, start, pages, advice, cpu);
}

static inline enum user_result user_protect(struct user_memory *users, process_id process, uint64_t start, uint64_t pages,
                                            unsigned rights, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && !(rights & ~(unsigned)USER_RIGHTS));
	return users->ops->protect(users, process, start, pages, rights, cpu);
}

static inline enum user_result user_touch(struct user_memory *users, process_id process, const struct user_touch *touch,
                                          unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && touch->bytes > 0 && touch->stride > 0);
	SIM_ASSERT(touch->kind == ACCESS_LOAD || touch->kind == ACCESS_STORE || touch->kind == ACCESS_CODE);
	return users->ops->touch(users, process, touch, cpu);
}

static inline size_t user_run(struct user_memory *users, process_id process, const struct access *accesses, size_t count,
                              struct user_run *run, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX && count > 0);
	run->result = USER_OK;
	run->faulted = false;
	size_t made = users->ops->run(users, process, accesses, count, run, cpu);
	SIM_ASSERT(made > 0 && made <= count);
	SIM_ASSERT(made == count || run->faulted || run->result != USER_OK);
	return made;
}

/*
 * For models: the steps of one of a run's accesses to where its byte lies, behind its instructions. There is room for
 * USER_ACCESS_STEPS (steps_reserve()).
 */
#define USER_ACCESS_STEPS 3u
static inline void user_access_steps(struct steps *steps, const struct user_run *run, const struct access *access, vaddr at)
{
	static const uint8_t step_of[ACCESS_KINDS] = {[ACCESS_CODE] = STEP_FETCH,
	                                              [ACCESS_LOAD] = STEP_READ,
	                                              [ACCESS_STORE] = STEP_WRITE,
	                                              [ACCESS_PREFETCH] = STEP_PREFETCH};
	uint32_t before = access->kind == ACCESS_CODE ? 0 : run->instructions;
	if (!steps->recording)
		return;
	SIM_ASSERT(steps->capacity - steps->count >= USER_ACCESS_STEPS);
	if (before > UINT8_MAX) {
		steps_put(steps, STEP_SPEND, 0, before, 0);
		before = 0;
	}
	if (access->kind == ACCESS_MODIFY) {
		steps_put(steps, STEP_READ, at.addr, access->bytes, before);
		steps_put(steps, STEP_WRITE, at.addr, access->bytes, 0)->uses = true;
		return;
	}
	steps_put(steps, (enum step_kind)step_of[access->kind], at.addr, access->kind == ACCESS_PREFETCH ? 1 : access->bytes,
	          before);
}

static inline void user_switch(struct user_memory *users, process_id process, unsigned cpu)
{
	SIM_ASSERT(cpu < CPUS_MAX);
	users->ops->switch_to(users, process, cpu);
}

static inline void user_memory_tick(struct user_memory *users, unsigned cpu, uint64_t now_ns)
{
	SIM_ASSERT(cpu < CPUS_MAX && users->ops->tick && users->next_tick_ns <= now_ns);
	users->ops->tick(users, cpu, now_ns);
	SIM_ASSERT(users->next_tick_ns > now_ns);
}

static inline void user_memory_check(const struct user_memory *users)
{
	users->ops->check(users);
}

static inline void user_memory_destroy(struct user_memory *users)
{
	if (users)
		users->ops->destroy(users);
}

#endif
