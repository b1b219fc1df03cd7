/* SPDX-License-Identifier: MIT
 *
 * steps.h - the record of a decision: what the decided op would make a core do.
 *
 * A model decides at once, in straight-line code, and writes down what that took: the bytes it touched at the addresses where
 * the real structures would lie, the locks, the instructions. It knows no clock. A core pays for the steps later (sim/core.h).
 * With `timing: none` recording is false and each call costs one predictable branch.
 *
 * Reads do not wait for each other unless one's address comes out of another: step_use() says so for the step that follows.
 *
 * What a decision lets a daemon do stands among its steps, marked (steps_daemon_begin): a thread of its own pays for it
 * (sim/daemon_jobs.h).
 *
 * Invariant: within the steps of one op every lock taken is released, in reverse order or by name; so within those of each
 * daemon. Daemons' parts lie one after the other.
 */
#ifndef SIM_STEPS_H
#define SIM_STEPS_H

#include "sim/base.h"

enum step_kind {
	STEP_READ,     /* load of `bytes` at `address` */
	STEP_WRITE,    /* store of `bytes` at `address` */
	STEP_ATOMIC,   /* locked read-modify-write of `bytes` at `address` */
	STEP_CMPXCHG,  /* locked compare-and-exchange of what was read from `address`: once more if another core changed it since
	                */
	STEP_UPDATE,   /* read-modify-write without lock prefix, whose result no later step needs: a counter, this_cpu_add() */
	STEP_EXCHANGE, /* compare-and-exchange without lock prefix, as this_cpu_cmpxchg_double() is */
	STEP_PREFETCH, /* the line of `address` shall come; nobody waits for it */
	STEP_SPEND,    /* `bytes` instructions, those of the steps around them among them */
	STEP_LOCK,     /* spin until the lock whose word lies at `address` is ours */
	STEP_UNLOCK,   /* give that lock up */
	STEP_INVALIDATE, /* drop the translation of `address` on this core, of all addresses with STEP_ALL_ADDRESSES */
	STEP_IPI,        /* interrupt core `bytes`: it shall drop the translation of `address` (STEP_NO_ADDRESS: none) */
	STEP_IPI_WAIT,   /* until all those cores have acknowledged */
	STEP_SET_PAGE    /* the page of the kernel's addresses that begins at `address` now has the frame `bytes` (STEP_NO_FRAME:
	                    none): what the write of its table entry beside it does. It takes no time and drops no translation */
};

/* In the place of an address: */
#define STEP_ALL_ADDRESSES UINT64_MAX
#define STEP_NO_ADDRESS (UINT64_MAX - 1)
/* In the place of a frame: */
#define STEP_NO_FRAME UINT32_MAX

/* How far an op went. Each includes what stands before it. */
enum step_path {
	PATH_FAST,  /* from or to what this CPU keeps for itself */
	PATH_LISTS, /* from or to the lists of the node or zone */
	PATH_PAGES, /* slabs: pages were taken or given back; pages: the slow path */
	STEP_PATHS
};

/* The kernel's threads whose work a decision may include. */
enum step_daemon { DAEMON_KSWAPD, DAEMON_KCOMPACTD, STEP_DAEMONS };

/* The steps of one of them, from its waking to its sleep. */
struct daemon_part {
	uint32_t first, count;
	uint8_t daemon; /* enum step_daemon */
	uint8_t path;   /* enum step_path: how far it went */
};

struct step {
	uint64_t address;
	uint32_t bytes; /* STEP_SPEND: instructions; STEP_IPI: the other core */
	uint8_t kind;   /* enum step_kind */
	bool uses;      /* its address comes out of loads before it */
};

_Static_assert(sizeof(struct step) == 16, "four steps a cache line");

struct steps {
	bool recording;
	bool uses;    /* the next step does */
	uint8_t path; /* enum step_path: the farthest so far */
	uint32_t count;
	uint32_t capacity;
	struct step *at; /* owned */
	/* Daemons' parts, ascending. */
	struct daemon_part *daemons; /* owned */
	uint32_t daemons_count, daemons_capacity;
	bool in_daemon;   /* a part has begun */
	uint8_t own_path; /* meanwhile, the op's */
};

void steps_init(struct steps *steps, bool recording);
void steps_release(struct steps *steps);

/* Out of line so that the inline wrappers stay one branch long. */
void steps_append(struct steps *steps, enum step_kind kind, uint64_t address, uint32_t bytes);

static inline void steps_clear(struct steps *steps)
{
	steps->count = 0;
	steps->uses = false;
	steps->path = PATH_FAST;
	steps->daemons_count = 0;
}

/* What follows, up to steps_daemon_end(), is a daemon's, and does not tell how far the op goes. */
void steps_daemon_begin(struct steps *steps, enum step_daemon daemon);
void steps_daemon_end(struct steps *steps);

/* The steps of a daemon's part, as long as *steps stays as it is; not to be released. */
struct steps steps_of_daemon(const struct steps *steps, const struct daemon_part *part);

/* Leaves the op's own steps. */
void steps_drop_daemons(struct steps *steps);

static inline void step_read(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_READ, at.addr, bytes);
}

static inline void step_write(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_WRITE, at.addr, bytes);
}

static inline void step_atomic(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_ATOMIC, at.addr, bytes);
}

static inline void step_cmpxchg(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_CMPXCHG, at.addr, bytes);
}

static inline void step_update(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_UPDATE, at.addr, bytes);
}

static inline void step_exchange(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_EXCHANGE, at.addr, bytes);
}

static inline void step_prefetch(struct steps *steps, vaddr at)
{
	if (steps->recording)
		steps_append(steps, STEP_PREFETCH, at.addr, 1);
}

/* The address of the step that follows comes out of loads before it. */
static inline void step_use(struct steps *steps)
{
	steps->uses = true;
}

static inline void step_spend(struct steps *steps, uint32_t instructions)
{
	if (steps->recording && instructions > 0)
		steps_append(steps, STEP_SPEND, 0, instructions);
}

static inline void step_lock(struct steps *steps, vaddr lock)
{
	if (steps->recording)
		steps_append(steps, STEP_LOCK, lock.addr, 4);
}

static inline void step_unlock(struct steps *steps, vaddr lock)
{
	if (steps->recording)
		steps_append(steps, STEP_UNLOCK, lock.addr, 4);
}

static inline void step_invalidate(struct steps *steps, uint64_t address)
{
	if (steps->recording)
		steps_append(steps, STEP_INVALIDATE, address, 1);
}

static inline void step_ipi(struct steps *steps, unsigned cpu, uint64_t address)
{
	if (steps->recording)
		steps_append(steps, STEP_IPI, address, cpu);
}

static inline void step_ipi_wait(struct steps *steps)
{
	if (steps->recording)
		steps_append(steps, STEP_IPI_WAIT, STEP_NO_ADDRESS, 0);
}

static inline void step_set_page(struct steps *steps, vaddr page, uint32_t frame)
{
	if (steps->recording)
		steps_append(steps, STEP_SET_PAGE, page.addr, frame);
}

/* The op went at least this far. */
static inline void step_path(struct steps *steps, enum step_path path)
{
	if (steps->path < path)
		steps->path = (uint8_t)path;
}

#endif
