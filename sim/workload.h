/* SPDX-License-Identifier: MIT
 *
 * workload.h - a load that nobody recorded: a generator writes ops, which are a recording (.kmt) like any other from then on.
 *
 * The ops get dense ids, ascending times and the tables that go with them. A generator says what is allocated (workload_kmalloc,
 * workload_object, workload_pages, workload_area), by whom (a call site's name) and when it is freed; workload_wait_until() lets
 * time pass. Models: models/workload/, known by name; each has keys of its own, written as a line "NAME KEY=VALUE ...".
 *
 * Same line, same seed, same number of CPUs and bytes of memory: the same bytes of the file.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim/gfp.h"
#include "sim/port/page_mapper.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"
#include "sim/rng.h"
#include "sim/trace.h"

struct setting;
struct workload;

struct workload_ops {
	const char *name;
	const char *help;
	/* The keys of its line (sim/setting.h); the first row is the name. */
	const struct setting *keys;
	size_t values_bytes; /* of the struct that the line is read into */
	void (*generate)(struct workload *, const void *values);
	/* Whether the values go together; false with *error. NULL: any do. */
	bool (*check)(const void *values, const char *place, struct error *error);
};

/* A kind of allocation: from one call site, of one size. */
typedef struct {
	uint32_t nr;
} workload_kind;

/* What lives. */
typedef struct {
	uint32_t id;
} workload_block;

struct workload_wiring {
	const struct workload_ops *ops;
	const void *values;
	const char *line; /* as the user wrote it: the recording's name */
	unsigned cpus;
	uint64_t memory_bytes; /* of the machine: loads that fill it go by that */
	bool is_32bit;         /* x86-32: processes have 3 GiB of addresses */
	uint64_t seed;
	const struct progress *progress; /* may be NULL */
};

/*
 * Writes the ops of a workload into a file without a name, in $TMPDIR or /tmp. Returns its descriptor, -1 with *error on failure.
 */
int workload_write(const struct workload_wiring *wiring, struct error *error);

/* ---- for generators ---- */

/* A cache as kmem_cache_create() is told of it. flags: SLAB_* of sim/port/object_allocator.h. */
struct workload_cache_spec {
	const char *name;
	uint32_t bytes, align, flags; /* align 0: the smallest */
	bool ctor;
};

unsigned workload_cpus(const struct workload *workload);
uint64_t workload_memory_bytes(const struct workload *workload);

/* Whether no more of it will be written: the host has refused, or the load does not fit (workload_has_room). */
bool workload_has_failed(const struct workload *workload);

/* The generator's own stream of random numbers. */
struct rng *workload_rng(struct workload *workload);

/* kmalloc of so many bytes, at that call site. */
workload_kind workload_kmalloc(struct workload *workload, const char *call_site, uint32_t bytes, gfp flags);

/* An object of a cache, made on first mention of its name. */
workload_kind workload_object(struct workload *workload, const char *call_site, const struct workload_cache_spec *cache,
                              gfp flags);

/* A block of pages. */
workload_kind workload_pages(struct workload *workload, const char *call_site, unsigned order, gfp flags);

/* An area of kernel addresses of so many bytes; of calls that map the caller's pages, whole pages. */
workload_kind workload_area(struct workload *workload, const char *call_site, enum virtual_call call, uint32_t bytes);
static inline workload_kind workload_vmalloc(struct workload *workload, const char *call_site, uint32_t bytes)
{
	return workload_area(workload, call_site, CALL_VMALLOC, bytes);
}

/*
 * A page's address in the kernel, whose user writes so many bytes there: a kind for workload_map(). Or whole pages through such
 * addresses: a kind for workload_clear() and workload_copy().
 */
workload_kind workload_page_map(struct workload *workload, const char *call_site, enum page_map_call call, uint32_t bytes);
workload_kind workload_page_clear(struct workload *workload, const char *call_site, enum page_map_call call);
workload_kind workload_page_copy(struct workload *workload, const char *call_site, enum page_map_call call);

/* Maps a page of a live block; workload_free() unmaps it. */
workload_block workload_map(struct workload *workload, unsigned cpu, workload_kind kind, workload_block pages, uint32_t page);
void workload_clear(struct workload *workload, unsigned cpu, workload_kind kind, workload_block pages);
void workload_copy(struct workload *workload, unsigned cpu, workload_kind kind, workload_block target, workload_block source);

/* ioremap() of a kind that workload_area() made, at a physical address. */
workload_block workload_ioremap(struct workload *workload, unsigned cpu, workload_kind kind, uint64_t physical);

workload_block workload_alloc(struct workload *workload, unsigned cpu, workload_kind kind);
/* ---- processes (ops of sim/trace.h) ---- */

/* A run of accesses. */
struct workload_touch {
	uint64_t address;
	uint32_t bytes, stride; /* at most TOUCH_ACCESSES_MAX accesses */
	enum touch_kind kind;
};

/* Where processes of this machine map memory: below their stack and far above their program. */
uint64_t workload_map_start(const struct workload *workload);
/* Whether a process has addresses from `start` on for so many pages, called `what` in the line; if not, the workload fails. */
bool workload_has_room(struct workload *workload, uint64_t start, uint64_t pages, const char *what);

workload_block workload_process_create(struct workload *workload, unsigned cpu);
workload_block workload_process_fork(struct workload *workload, unsigned cpu, workload_block parent, enum fork_kind kind);
void workload_process_exec(struct workload *workload, unsigned cpu, workload_block process);
void workload_process_exit(struct workload *workload, unsigned cpu, workload_block process);
/* At most 2^32 - 1 pages. */
void workload_process_map(struct workload *workload, unsigned cpu, workload_block process,
                          const struct user_area_request *request);
void workload_process_unmap(struct workload *workload, unsigned cpu, workload_block process, uint64_t start, uint64_t pages);
void workload_process_advise(struct workload *workload, unsigned cpu, workload_block process, uint64_t start, uint64_t pages,
                             enum user_advice advice);
void workload_process_protect(struct workload *workload, unsigned cpu, workload_block process, uint64_t start, uint64_t pages,
                              unsigned rights);
/* Addresses below 2^REMAP_ADDRESS_BITS. */
void workload_process_remap(struct workload *workload, unsigned cpu, workload_block process, const struct user_remap *remap);
void workload_touch(struct workload *workload, unsigned cpu, workload_block process, const struct workload_touch *touch);
/* The next accesses of the run's program, at most PROCESS_RUN_MAX; `first` is the thread of CPU 0, the others were made after it.
 */
void workload_process_run(struct workload *workload, workload_block first, unsigned threads, uint32_t accesses);
void workload_process_switch(struct workload *workload, unsigned cpu, workload_block process);
/* The CPU goes on with a kernel thread, or with nothing. */
void workload_process_leave(struct workload *workload, unsigned cpu);

void workload_free(struct workload *workload, unsigned cpu, workload_block block);

/* Simulated time of the op before. */
uint64_t workload_now_ns(const struct workload *workload);
/* Lets time pass; nothing if that time is over. */
void workload_wait_until(struct workload *workload, uint64_t ns);

/* How far the generator has come, of how much. */
void workload_tell(struct workload *workload, uint64_t done, uint64_t total);

#endif
