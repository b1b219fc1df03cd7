/* SPDX-License-Identifier: MIT
 *
 * trace.h - a recording as the engine sees it: a stream of ops with dense ids, and the tables the ops point into.
 *
 * A text recording is turned once into the native format (.kmt, docs/formats.md) by trace_import(); trace_open() reads .kmt.
 * Both stream: memory grows with the number of live objects, not with the length of the recording.
 *
 * Ids: an allocating op names a fresh id, the op that frees it names the same id, after that the id may be used again. Ids are
 * dense: below trace_info.ids. One id space serves objects, kmallocs and pages.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "sim/base.h"
#include "sim/gfp.h"

enum op_kind {
	OP_CACHE_ALLOC, /* id, cache, call_site, gfp, bytes_req, bytes_alloc */
	OP_CACHE_FREE,  /* id, cache */
	OP_KMALLOC,     /* id, call_site, gfp, bytes_req, bytes_alloc */
	OP_KFREE,       /* id */
	OP_PAGE_ALLOC,  /* id, order, gfp */
	OP_PAGE_FREE,   /* id, order */
	OP_MARK,        /* text in call_site: a line the recording user wrote (trace_marker) */
	OP_AREA_ALLOC,  /* id, order: the call (enum virtual_call), bytes_req, call_site; address: of an ioremap(), the physical
	                   one */
	OP_AREA_FREE,   /* id, order */
	OP_PAGE_MAP, /* id of the mapping; address: the page (op_page_of()); order: the call (enum page_map_call); bytes_req: that
	                its user writes there; call_site */
	OP_PAGE_UNMAP, /* id, order */
	OP_PAGE_CLEAR, /* id of a live block of pages, each of which is cleared; order: the call; call_site */
	OP_PAGE_COPY, /* id of a live block of pages, the target; address: id of the source's block; order: the call; call_site */
	/* Of processes (sim/port/user_memory.h); `id` is the process's where nothing else is said. */
	OP_PROCESS_CREATE, /* fresh id: a process that the kernel itself starts */
	OP_PROCESS_FORK,   /* fresh id; address: the parent's id (op_parent_of()); order: enum fork_kind. The parent runs on `cpu`
	                    */
	OP_PROCESS_EXIT,   /* id, of either */
	OP_PROCESS_EXEC,   /* another program: only a stack is left */
	OP_PROCESS_MAP,    /* address, bytes_req: pages; order: enum user_area_kind; gfp: USER_* rights, and the first page of the
	                      file << PROCESS_MAP_PAGE_SHIFT; bytes_alloc: the file's number */
	OP_PROCESS_UNMAP,  /* address, bytes_req: pages */
	OP_PROCESS_TOUCH,  /* address, bytes_req: bytes; bytes_alloc: from one access to the next; order: enum touch_kind */
	OP_PROCESS_SWITCH, /* the CPU goes on with it */
	OP_PROCESS_LEAVE,  /* no id: the CPU goes on with a kernel thread, or with nothing */
	OP_PROCESS_RUN, /* the next bytes_req accesses of the run's own program (sim/replay_program.h), each by the thread of its
	                   CPU: id is that of CPU 0; bytes_alloc: there are so many, whose ids follow each other */
	OP_PROCESS_ADVISE,  /* address, bytes_req: pages; order: enum user_advice */
	OP_PROCESS_PROTECT, /* address, bytes_req: pages; order: USER_* rights */
	OP_PROCESS_REMAP,   /* address, bytes_req: pages; bytes_alloc: pages then; gfp, order: where (op_remap_to()) */
	OP_KINDS
};

enum fork_kind { FORK_PROCESS, FORK_THREAD, FORK_KINDS };
enum touch_kind { TOUCH_READ, TOUCH_WRITE, TOUCH_EXECUTE, TOUCH_KINDS };

/* The address of OP_PROCESS_CREATE, FORK and EXEC: the parent's id (of FORK), and the recorded address space, index + 1. */
static inline uint64_t process_address(uint32_t parent, uint32_t space)
{
	return (uint64_t)(space + 1) << 32 | parent;
}

#define PROCESS_MAP_PAGE_SHIFT 3
/* Accesses of one OP_PROCESS_TOUCH: more are several ops. */
#define TOUCH_ACCESSES_MAX (1u << 20)
/* Of one OP_PROCESS_RUN. */
#define PROCESS_RUN_MAX 4096u

/* The address of an OP_PAGE_MAP: which page of which live block. */
static inline uint64_t op_page_of(uint32_t block, uint32_t page)
{
	return (uint64_t)page << 32 | block;
}

/* Why an op is in the stream although the recording has no event for it. */
enum op_origin {
	OP_RECORDED,
	OP_BEFORE, /* allocated before the recording began; these ops stand first, at the time of the first event */
	OP_UNSEEN  /* allocated by a path without an event (bulk allocation); stands right before its free */
};

struct op {
	uint64_t time_ns; /* the recording's clock */
	uint64_t line;    /* of the recording's text, 1 = first; 0 = no line */
	uint64_t address; /* where the recorded kernel put it: object address, or frame number for pages; 0 = not known */
	uint32_t id;
	uint32_t cache;     /* index into the cache table */
	uint32_t call_site; /* index into the call-site table */
	gfp gfp;
	uint32_t bytes_req;
	uint32_t bytes_alloc; /* as recorded; 0 = not known */
	uint16_t cpu;
	uint8_t kind; /* enum op_kind */
	uint8_t order;
	uint8_t origin; /* enum op_origin */
};

/* Where OP_PROCESS_REMAP goes: 40 bits of its page's number, so that addresses end at 2^52. */
#define REMAP_ADDRESS_BITS 52
static inline uint64_t op_remap_to(const struct op *op)
{
	return ((uint64_t)op->order << 32 | op->gfp) << PAGE_SHIFT;
}

static inline uint32_t op_parent_of(const struct op *op)
{
	return (uint32_t)op->address;
}

/* Index of the recorded address space that the op makes, UINT32_MAX: none is told. */
static inline uint32_t op_space_of(const struct op *op)
{
	return (uint32_t)(op->address >> 32) - 1;
}

/*
 * What a recording tells beside its ops: every event of the page allocator, those of slab pages and of its inside too, and who
 * made the calls. Only runs that follow a recording from a start state read it.
 */
enum detail_kind {
	DETAIL_CONTEXT,           /* task, context: of the events on this CPU from this line on */
	DETAIL_PAGE_ALLOC,        /* order, gfp, type: a block was handed out (mm_page_alloc) */
	DETAIL_PAGE_FREE,         /* order: a block is about to be given back (mm_page_free) */
	DETAIL_PAGE_FREE_BATCHED, /* a page of a list is about to be put away (mm_page_free_batched); its mm_page_free came before
	                           */
	DETAIL_ZONE_LOCKED,       /* order, type, refill: a block was taken from the zone (mm_page_alloc_zone_locked) */
	DETAIL_PCPU_DRAIN,        /* order, type: a block goes from a CPU's list to the zone (mm_page_pcpu_drain) */
	DETAIL_EXTFRAG,           /* order, type asked for; other_order, other_type taken instead (mm_page_alloc_extfrag) */
	DETAIL_KINDS
};

/* struct detail.context; CONTEXT_KNOWN is missing if the recording's lines do not tell. */
enum { CONTEXT_IRQS_OFF = 1, CONTEXT_SOFTIRQ = 2, CONTEXT_HARDIRQ = 4, CONTEXT_KNOWN = 8 };

struct detail {
	uint64_t time_ns;
	uint64_t line; /* of the recording's text: an op of the same event has the same. Never less than of the detail before */
	uint64_t pfn;
	gfp gfp;
	uint32_t task; /* thread number, 0 = idle or not told */
	uint16_t cpu;
	uint8_t kind; /* enum detail_kind */
	uint8_t context;
	uint8_t order, type; /* type: the kernel's migrate type */
	uint8_t other_order, other_type;
	bool refill; /* for a CPU's list */
};

enum recorded_allocator { RECORDED_UNKNOWN, RECORDED_SLUB, RECORDED_SLAB, RECORDED_SLOB };

/* A cache of the recording, as far as its events and the files beside it tell. */
struct trace_cache {
	const char *name;     /* the cache's own name, or "CALL_SITE:REQ" where no event named it */
	bool named;           /* name is the kernel's */
	uint32_t object_size; /* bytes_req of its events */
	uint32_t bytes_alloc; /* bytes_alloc of its events: the recorded allocator's size per object */
	uint32_t align;       /* inferred from the two sizes (docs/formats.md), 0 = minimum */
	uint32_t flags;       /* SLAB_* inferred likewise */
	bool ctor;            /* inferred likewise */
	uint64_t allocs;
};

/* What rss_stat counts, MM_FILEPAGES and so on in the kernel's order (include/linux/mm_types_task.h). */
enum space_member { SPACE_FILE, SPACE_ANONYMOUS, SPACE_SWAP, SPACE_SHARED, SPACE_MEMBERS };

/*
 * An address space of the recording that has a process: its counters of resident pages as rss_stat told them. Without such events
 * all is 0. The op that makes it (OP_PROCESS_CREATE, FORK or EXEC) names it by op_space_of().
 */
struct trace_space {
	uint64_t first_ns;                  /* when it was first seen */
	uint64_t samples;                   /* rss_stat events of it */
	uint64_t peak_pages[SPACE_MEMBERS]; /* each counter's highest value; what it was below 0 counts as 0 */
	uint64_t last_pages[SPACE_MEMBERS]; /* its last */
	uint64_t peak_resident;             /* of file, anonymous and shared pages together */
	uint32_t task;                      /* thread number of its first task */
	uint32_t mm;                        /* its number in rss_stat; 0 if it has no samples */
};

/* The counts of one import; every line of the text is in exactly one of the first group. */
struct trace_summary {
	uint64_t lines;
	/* lines = headers + blank + events_used + events_left_out + marks + events_unknown + lines_lost_notice + lines_damaged */
	uint64_t headers, blank, events_used, events_left_out, marks, events_unknown, lines_lost_notice, lines_damaged;
	/* events_left_out, by reason */
	uint64_t left_slab_pages, left_batched_duplicates, left_zone_internal, left_failed_allocs, left_null_frees,
	        left_slab_page_frees;
	/* what could not be seen */
	uint64_t freed_before_recording; /* frees of what was allocated before: objects and kmallocs */
	uint64_t pages_before_recording; /* likewise, page blocks */
	uint64_t unseen_allocs;          /* frees of what some path without an event allocated */
	uint64_t never_freed;            /* allocations still live at the end */
	uint64_t reallocated;            /* an address handed out while still live: its free was not seen */
	uint64_t events_lost;            /* as the recording itself says (LOST n EVENTS, entries-written - entries-in-buffer) */
	uint64_t time_went_back;         /* events older than the event before them */
	uint64_t unknown_keys, unknown_gfp_names;
	uint64_t hashed_pointers;         /* 1: pointers are hashed, frames of objects cannot be told */
	uint64_t left_no_pointer;         /* one more reason of events_left_out: the kernel could not print the pointer yet */
	uint64_t unseen_frees;            /* still live when its frames were handed out anew: its free was not seen */
	uint64_t split_frees;             /* frees of a part of a block: the rest of it is allocated anew by ... */
	uint64_t split_allocs;            /* ... this many ops (origin OP_UNSEEN) */
	uint64_t slab_pages_by_neighbour; /* of left_slab_pages, those told by the next event, as frames could not be told */
	uint64_t same_name_caches;        /* cache names that stand for more than one pair of sizes */
	uint64_t guessed_sizes;           /* unseen allocations whose size no event or fact tells: 64 bytes */
	uint64_t last_line_cut;           /* 1: the text ends in the middle of a line, which is among lines_damaged */
	uint64_t first_damaged_line;      /* number of the first damaged line, 0 = none */
	uint64_t ops;                     /* written, including those before the recording and unseen ones */
	/* Of processes; a file without them does not hold these. */
	uint64_t process_ops;      /* ops that make and end processes and areas: each event of a touch or a switch is one more */
	uint64_t left_fault_pages; /* reasons of events_left_out: page allocations of faults ... */
	uint64_t left_page_tables; /* ... of page tables ... */
	uint64_t left_process_page_frees;   /* ... frees of both ... */
	uint64_t left_rss_stats;            /* ... counters, which are kept in struct trace_space ... */
	uint64_t left_switches;             /* ... switches between tasks that are no known processes ... */
	uint64_t left_wild_faults;          /* ... faults that no area can cover, or whose address was not printed */
	uint64_t processes, threads, execs; /* of process_ops */
	uint64_t threads_apart;             /* processes that turned out to be threads too late */
	uint64_t faults_without_page;       /* writes whose page allocation was not found */
	uint64_t left_lives; /* one more reason of events_left_out: task_newtask, sched_process_exec and sched_process_exit */
	uint64_t file_areas; /* of process_ops */
};

/* op.cache where there is none: kmalloc and page ops, marks. */
#define TRACE_CACHE_NONE UINT32_MAX

struct trace_info {
	uint32_t version;
	uint32_t cpus;         /* CPUs of the recorded machine */
	uint32_t pointer_bits; /* 32 or 64 */
	uint32_t ids;          /* ids run below this */
	uint32_t caches, call_sites;
	uint64_t ops; /* including OP_BEFORE and OP_UNSEEN */
	uint64_t details;
	uint64_t first_ns, last_ns;
	uint64_t direct_map, vmemmap; /* bases as derived; 0 = could not be derived */
	uint32_t page_struct_bytes;   /* sizeof(struct page) of the recorded kernel; 0 = could not be derived */
	uint64_t end_pfn;             /* one beyond the highest frame seen */
	enum recorded_allocator allocator;
	char source[256]; /* file name of the text, without folders */
	char sha256[65];  /* of the text file as it lay there (compressed or not), lower-case hex */
	struct trace_summary summary;
};

/* A text file of the recorded machine that travels inside the .kmt, as found beside the text recording. */
struct trace_fact {
	const char *name; /* "zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo" (before), "slabinfo.after" ... */
	const char *text;
	size_t length;
};

struct trace;

/* Opens a .kmt file. NULL with *error filled if it is missing, damaged or of another version. Free with trace_close(). */
struct trace *trace_open(const char *path, struct error *error);
void trace_close(struct trace *trace);

/* These live as long as the trace. */
const struct trace_info *trace_info(const struct trace *trace);
const struct trace_cache *trace_cache(const struct trace *trace, uint32_t index);
const char *trace_call_site(const struct trace *trace, uint32_t index);
/* Whether any op is of an area of kernel addresses. */
bool trace_has_areas(const struct trace *trace);
/* Whether any op is of a process. */
bool trace_has_processes(const struct trace *trace);
/* Address spaces that rss_stat told of or whose processes were seen; NULL with 0. */
uint32_t trace_spaces(const struct trace *trace, const struct trace_space **spaces);
uint32_t trace_facts(const struct trace *trace, const struct trace_fact **facts);
/* The fact of that name, NULL if the recording has none. */
const struct trace_fact *trace_fact_named(const struct trace *trace, const char *name);

/*
 * Reads the next ops into a batch of the caller's. *count 0 with true: the end. false: the file is damaged from here on.
 */
bool trace_next(struct trace *trace, struct op *batch, size_t capacity, size_t *count, struct error *error);

/* The same of the details, which are a stream of their own. */
bool trace_next_details(struct trace *trace, struct detail *batch, size_t capacity, size_t *count, struct error *error);

/*
 * A part of a recording. A line counts, where it is given, else the time: times of several CPUs need not agree with the clock
 * that a state tells.
 */
struct trace_window {
	uint64_t start_ns, start_line; /* the first of it; start_line 0: by time */
	uint64_t end_ns, end_line;     /* the last of it, the first behind it; both 0: to the end of the recording */
};

static inline bool trace_is_before(const struct trace_window *window, uint64_t line, uint64_t time_ns)
{
	return window->start_line ? line < window->start_line : time_ns < window->start_ns;
}

static inline bool trace_is_behind(const struct trace_window *window, uint64_t line, uint64_t time_ns)
{
	return window->end_line ? line >= window->end_line : window->end_ns && time_ns > window->end_ns;
}

/* Starts over from the first op and the first detail. */
bool trace_rewind(struct trace *trace, struct error *error);

/* Progress of long work: called now and then with how much of the input's bytes is done. */
struct progress {
	void (*tell)(void *context, uint64_t done, uint64_t total);
	void *context;
};

/* Whether the events of processes become ops of them. Without, everything else is as if they were not in the recording. */
enum trace_processes { TRACE_PROCESSES, TRACE_NO_PROCESSES };

/*
 * Turns the text recording at `path` (ftrace text, trace-cmd report, perf script; plain, gz, xz or zst; told apart by content)
 * into .kmt at `out`, with the facts beside it (docs/formats.md says where they are looked for). The file appears whole or not
 * at all. progress may be NULL. A path that already is .kmt is an error.
 */
bool trace_import(const char *path, const char *out, enum trace_processes processes, const struct progress *progress,
                  struct trace_summary *summary, struct error *error);

/*
 * The same into a file without a name, in $TMPDIR or /tmp, which is gone with its last descriptor however the process ends.
 * Returns the descriptor, or -1 with the error.
 */
int trace_import_unnamed(const char *path, enum trace_processes processes, const struct progress *progress, struct error *error);

/* Whether the path is of a file that starts as a .kmt file does. Takes nothing out of a pipe. */
bool trace_is_native(const char *path);

/*
 * Opens a recording of any form: .kmt as it is; text by importing it, with its processes, into an unnamed temporary file first.
 */
struct trace *trace_open_any(const char *path, const struct progress *progress, struct error *error);

#endif
