/* SPDX-License-Identifier: MIT
 *
 * store.h - where runs are written: one SQLite database (sim/io/sqlite_store.c is its only door; schema in results/README.md).
 *
 * Several processes may write runs into one database at the same time (WAL). A run's row comes first (status running), then its
 * samples and results, at the end its status. Rows wait in memory and are written in short transactions of bounded size and age,
 * so writers do not wait for each other's simulation, and a killed run leaves a database that opens, with what had been measured.
 * Every table but `run` has a primary key that begins with the run's id, so the contents do not depend on which process wrote
 * first. The last process that closes the database leaves one plain file, without -wal and -shm beside it.
 *
 * A store belongs to the process that opened it: close it before fork(), each process opens its own (SQLite's locks are kept per
 * process and do not survive a fork).
 *
 * All functions return false with *error filled when the database refuses (full disk, lock, damage). Rows that were waiting then
 * are lost, earlier ones are not. Numbers above 2^63-1 do not fit the database and are refused, the seed apart.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "sim/base.h"
#include "sim/cost.h"
#include "sim/histogram.h"
#include "sim/metric.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"

struct store;

/* PRAGMA application_id ("kmem") and PRAGMA user_version: the version of the tables. */
#define STORE_APPLICATION_ID 0x6b6d656d
#define STORE_VERSION 6

/* Opens or creates the database. A file that is no kmemsim database, or of another version, is an error and stays as it is. */
struct store *store_open(const char *path, struct error *error);
/* Opens an existing database for reading, also one whose run was killed, and one in a folder that cannot be written. */
struct store *store_open_readonly(const char *path, struct error *error);
/* Writes what waits and closes. The store is gone afterwards, whatever the result. NULL is closed already. */
bool store_close(struct store *store, struct error *error);

/* What is known of a run when it starts. Strings may be NULL where there is nothing to say. */
struct store_run {
	const char *label, *allocator, *page_allocator, *timing;
	uint64_t seed;
	const char *scenario; /* the resolved settings as YAML */
	const char *trace, *trace_sha256;
	const char *version, *compiler;
	const char *machine, *kernel;
	uint32_t cpus;
	uint64_t memory_bytes;
	uint64_t frequency_hz;
};

/* Writes the run's row at once (its own transaction) and gives its id; ids grow in the order of these calls. */
bool store_run_begin(struct store *store, const struct store_run *run, int64_t *run_id, struct error *error);

/* What is known at the end. status: "complete", "interrupted", "failed". */
struct store_end {
	const char *status, *message;
	double wall_s;        /* wall clock; left out of the digest, as it differs between equal runs */
	double replay_wall_s; /* of it the replay itself, without import and opening */
	uint64_t ops, simulated_ns, cycles;
	uint64_t peak_pages; /* most the object allocator held at any op, large kmallocs too; 0 = take the highest sample's */
};
bool store_run_end(struct store *store, int64_t run_id, const struct store_end *end, struct error *error);

/* One scalar result or counter of a component: ('buddy', 'pgalloc', value). A second value replaces the first. */
bool store_metric(struct store *store, int64_t run_id, const char *component, const struct metric *metric, uint64_t value,
                  struct error *error);

/* Samples: one moment. sample numbers run 0.. per run; the last is the end of the run. A sample comes before its zones. */
struct store_sample {
	uint64_t time_ns;
	uint64_t pages_free, pages_pcp, pages_allocated;
	uint64_t pages_slab; /* held by the object allocator in slabs, without large kmallocs */
	uint64_t pages_kmalloc_large;
	uint64_t pages_unmovable, pages_movable, pages_reclaimable; /* held by page allocations of the recording, by mobility */
	uint64_t bytes_req, bytes_alloc;                            /* of live objects */
	uint64_t live_objects;
};
bool store_sample(struct store *store, int64_t run_id, uint32_t sample, const struct store_sample *row, struct error *error);
/*
 * The free lists of a zone at that sample: free blocks by migrate type and order. The views v_free_blocks and v_fragmentation
 * make one row per order of it, with the unusable index.
 */
bool store_sample_zone(struct store *store, int64_t run_id, uint32_t sample, const struct zone_view *zone, struct error *error);

/* Areas of kernel addresses at that sample; only in runs that have some. */
struct store_sample_area {
	uint64_t areas;               /* live, of the recording */
	uint64_t pages, pages_mapped; /* behind areas, with their tables; of the recording's own, mapped by areas */
	uint64_t pages_lazy;          /* of address range, waiting for a purge */
	uint64_t purges, tlb_flushes; /* so far */
};
bool store_sample_area(struct store *store, int64_t run_id, uint32_t sample, const struct store_sample_area *row,
                       struct error *error);

/*
 * Blocks of an order that the recording asked the page allocator for between the sample before and this one, and those of them
 * that it did not get.
 */
bool store_sample_order(struct store *store, int64_t run_id, uint32_t sample, unsigned page_order, uint64_t asked,
                        uint64_t failed, struct error *error);

/* /proc/buddyinfo, /proc/pagetypeinfo, ... as text at a moment (snapshot kinds are free text: "buddyinfo"). */
bool store_snapshot(struct store *store, int64_t run_id, const char *kind, uint32_t sample, const char *text,
                    struct error *error);

/* Results per cache at the end of the run; slabs_peak and the recorded columns are the replay's. */
struct store_cache {
	struct cache_view view;
	uint64_t slabs_peak;
	uint64_t total_allocs, total_frees;
	uint64_t bytes_req, bytes_alloc; /* total over all allocations (perf kmem: total_req, total_alloc) */
	uint64_t live_bytes_req, live_bytes_alloc;
	int64_t recorded_slabs; /* of the slabinfo beside the recording, -1 = not known */
};
bool store_cache(struct store *store, int64_t run_id, const struct store_cache *cache, struct error *error);

/*
 * Results per call site (perf kmem's columns: Callsite, Total_alloc, Total_req, Hit, Ping-pong, Frag). Every allocation belongs
 * to one, so their sums are the run's totals. Two calls for one call site add up.
 */
struct store_call_site {
	const char *call_site;
	uint64_t hit, ping_pong;         /* allocations; frees on another CPU than the allocation's */
	uint64_t bytes_req, bytes_alloc; /* total over all allocations */
	uint64_t live_objects, live_bytes_req, live_bytes_alloc;
};
bool store_call_site(struct store *store, int64_t run_id, const struct store_call_site *site, struct error *error);

/* An address space of the recording: its highest counts of resident pages as recorded (by rss_stat) and as replayed. */
struct store_space {
	uint32_t nr, task, mm; /* in order of first sight; thread number of its first task; its number in rss_stat */
	uint64_t samples;      /* rss_stat events of it; 0: nothing is recorded of it */
	struct store_space_pages {
		uint64_t file, anonymous, shared, swapped, resident;
	} recorded, replayed;
};
bool store_space(struct store *store, int64_t run_id, const struct store_space *space, struct error *error);

/* A histogram: one row per non-empty bucket (lower bound, count), name e.g. "cycles_per_alloc", unit "cycles". */
bool store_histogram(struct store *store, int64_t run_id, const char *name, const char *unit, const struct histogram *histogram,
                     struct error *error);

/* A lock's accounts (timing: cycles). */
struct store_lock {
	const char *name;
	uint64_t address, acquisitions, waits, hand_overs, wait_cycles, take_cycles;
};
bool store_lock(struct store *store, int64_t run_id, const struct store_lock *lock, struct error *error);

/* A line that cores took from each other (timing: cycles; sim/bounce.h). */
struct store_line {
	const char *name;           /* of what lies there */
	uint64_t address, physical; /* address 0: only page walkers used it */
	uint64_t transfers_clean, transfers_dirty, invalidations, upgrades;
	unsigned cores, writers; /* that took part; that wrote */
	bool false_sharing;      /* no word that one of them wrote was used by another */
};
bool store_line(struct store *store, int64_t run_id, const struct store_line *line, struct error *error);

/* What the ops of one kind cost that went one path in one cache (timing: cycles). Their parts add up to the histogram's sum. */
struct store_op_cost {
	const char *kind, *cache, *path;
	uint32_t owner; /* tells caches of one name apart */
	const struct histogram *cycles;
	const struct cost *cost;
};
bool store_op_cost(struct store *store, int64_t run_id, const struct store_op_cost *row, struct error *error);

/* The same by call site; two calls for one add up. */
struct store_site_cost {
	const char *kind, *call_site;
	uint64_t ops;
	const struct cost *cost;
};
bool store_site_cost(struct store *store, int64_t run_id, const struct store_site_cost *row, struct error *error);

/* One level of the machine: a cache or a TLB, over all cores that have one of their own (docs/metrics.md says what the words
 * mean). */
struct store_level {
	const char *level, *port; /* "l1d", "cache" */
	uint32_t position;        /* in tables and pictures */
	uint64_t instances, entries, ways;
	uint32_t unit_bytes;  /* a line; the smallest page of a TLB */
	uint64_t reach_bytes; /* what its valid entries cover at the end */
	uint64_t accesses, misses, evictions, write_backs;
	bool watched; /* whether the numbers of thrashing below were kept */
	uint64_t thrash_window, unused_evictions, remisses, ping_pong_blocks;
};
bool store_level(struct store *store, int64_t run_id, const struct store_level *level, struct error *error);

/* Its accesses by page size (0 of a cache) and kind ("code", "load", "store", "walk", "prefetch" ...). */
struct store_level_kind {
	const char *level, *kind;
	uint64_t page_bytes;
	uint64_t accesses, hits, misses, evictions, write_backs;
};
bool store_level_kind(struct store *store, int64_t run_id, const struct store_level_kind *row, struct error *error);

/*
 * Its accesses and misses up to a moment: samples 0.. in order, at `position` accesses of the trace (or ops of the recording) and
 * time_ns on the simulated clock.
 */
struct store_level_sample {
	const char *level;
	uint64_t position, time_ns;
	uint64_t accesses, misses;
};
bool store_level_sample(struct store *store, int64_t run_id, uint32_t sample, const struct store_level_sample *row,
                        struct error *error);

/* Its accesses and misses by what they were for: by "region" ("direct map", "user" ...) or "owner" (a cache). Two calls for one
 * name add up. */
struct store_level_share {
	const char *level, *by, *name;
	uint64_t accesses, misses;
};
bool store_level_share(struct store *store, int64_t run_id, const struct store_level_share *row, struct error *error);

/* References of the page walker to one level of the tables ("PML4E" ... "PTE"), by the level that served them. */
struct store_walk_reference {
	const char *entry, *served_by;
	uint64_t references;
};
bool store_walk_reference(struct store *store, int64_t run_id, const struct store_walk_reference *row, struct error *error);

/* A wrong op: its place in the trace and what was wrong. The caller bounds how many are written. */
struct store_wrong_op {
	uint64_t op, line; /* number in the trace, line of the recording's text (0 = none) */
	const char *kind, *what;
};
bool store_wrong_op(struct store *store, int64_t run_id, const struct store_wrong_op *wrong, struct error *error);

/*
 * A miss curve: what a pass over a trace of accesses measured, in blocks of unit_bytes (lines or pages). A run has one or none;
 * it comes before its sizes, distances and machines.
 */
struct store_curve {
	const char *port;  /* "cache" or "tlb" */
	const char *kinds; /* of the accesses: "all", "data", "code" */
	uint64_t unit_bytes;
	uint64_t records, accesses; /* read; of them the accesses to blocks */
	uint64_t blocks;            /* different ones; of a sample an estimate */
	bool sampled;
	uint64_t sampled_blocks, sampled_accesses, rate_ppb; /* of a sample; the rate at its end, in parts of 10^9 */
};
bool store_curve(struct store *store, int64_t run_id, const struct store_curve *curve, struct error *error);

/* Misses of an LRU level of `sets` sets with `ways` ways; 1 set: fully associative. A second row of a size replaces the first. */
struct store_curve_size {
	uint64_t sets, ways, misses;
	bool estimated;
	uint64_t standard_error; /* misses; where estimated */
};
bool store_curve_size(struct store *store, int64_t run_id, const struct store_curve_size *size, struct error *error);

/* Accesses that came after `lowest` to `highest` other blocks had been used since their own. First uses have no distance. */
struct store_curve_distance {
	uint64_t lowest, highest, accesses;
};
bool store_curve_distance(struct store *store, int64_t run_id, const struct store_curve_distance *row, struct error *error);

/* A level of a described machine, alone. Rows are numbered in the order of these calls. */
struct store_curve_machine {
	const char *machine, *level;
	uint64_t entries, ways, accesses, misses;
};
bool store_curve_machine(struct store *store, int64_t run_id, const struct store_curve_machine *row, struct error *error);

/* A point of a pointer chase (kmemsim machine measure): what a load cost in a set of so many lines; femtoseconds 0: not timed. */
struct store_chase {
	const char *series;
	uint64_t lines, bytes, milli_cycles, femtoseconds;
};
bool store_chase(struct store *store, int64_t run_id, const struct store_chase *row, struct error *error);

/* Ends the current batch before its time, so that other processes and a later reader see it. */
bool store_flush(struct store *store, struct error *error);

/*
 * The SHA-256 of everything in the database, as lower-case hex: equal runs, equal digests. Left out are the columns of `run` that
 * differ between equal runs: the wall clock (started_at, wall_s, replay_wall_s), the compiler, and where the trace lay.
 */
bool store_digest(struct store *store, char digest[65], struct error *error);

/* One value of a row that a query gives. text is NULL unless kind is STORE_TEXT; both live until the next row. */
enum store_value_kind { STORE_NULL, STORE_INTEGER, STORE_REAL, STORE_TEXT };

struct store_value {
	enum store_value_kind kind;
	int64_t integer;
	double real; /* also filled for integers */
	const char *text;
};

struct store_row {
	size_t columns;
	const char *const *names;
	const struct store_value *values;
};

/* Called for each row, and false with *error filled ends the query. */
typedef bool store_row_function(void *context, const struct store_row *row, struct error *error);

/*
 * Asks the database one question in SQL that only reads; ?1, ?2 ... stand for the parameters. Rows that wait are written first.
 */
bool store_query(struct store *store, const char *sql, const int64_t *parameters, size_t parameters_count,
                 store_row_function *each, void *context, struct error *error);

#endif
