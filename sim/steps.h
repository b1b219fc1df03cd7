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
	STEP_FETCH,    /* an instruction of a program, whose `bytes` of code at `address` are fetched */
	STEP_SPEND,    /* `bytes` instructions, those of the steps around them among them; `address`: the piece they are of */
	STEP_RUN,      /* the same, once the lines of that piece's code have been fetched (sim/code_image.h) */
	STEP_IRQS,     /* interrupts off or on: what that takes beyond the instruction; `bytes` is an enum step_irqs */
	STEP_LOCK,     /* spin until the lock whose word lies at `address` is ours */
	STEP_UNLOCK,   /* give that lock up */
	STEP_INVALIDATE, /* drop the translations of `bytes` pages from `address` on here, of all addresses with
	                    STEP_ALL_ADDRESSES */
	STEP_IPI,        /* interrupt a core (STEP_CPU of `bytes`): it shall drop the translation of `address` (STEP_NO_ADDRESS:
	                    none), or of STEP_PAGES of `bytes` pages from there */
	STEP_IPI_WAIT,   /* until all those cores have acknowledged */
	STEP_SLEEP,      /* nothing is done for `address` nanoseconds: a device is waited for */
	/* Of page tables in physical memory (sim/user_tables.h): what walks find from here on. They take no time of their own. */
	STEP_NEW_TABLE,   /* the frame at physical `address` is an empty table; bytes 1: a top table */
	STEP_ENTRY,       /* the entry at physical `address` ... */
	STEP_ENTRY_VALUE, /* ... is `address` now */
	STEP_SWITCH,      /* load CR3 with the top table at physical `address` and STEP_PCID of `bytes` */
	STEP_MAP,  /* from here on page tables map what step_map() was told; the stores that do it are steps of their own */
	STEP_UNMAP /* likewise, map no longer */
};

/* In the place of an address: */
#define STEP_ALL_ADDRESSES UINT64_MAX
#define STEP_NO_ADDRESS (UINT64_MAX - 1)
/* All that is not global, of the address space that the core has loaded. */
#define STEP_USER_ADDRESSES (UINT64_MAX - 2)
/* Of an interrupt: load the kernel's own tables, with STEP_PCID of STEP_PAGES. */
#define STEP_LEAVE_SPACE (UINT64_MAX - 3)
/* Of STEP_SWITCH, in the place of a table: the kernel's own. */
#define STEP_KERNEL_ROOT (UINT64_MAX - 4)

/* Parts of STEP_IPI's `bytes`, and of what CR3 is loaded with. */
#define STEP_CPU(bytes) ((bytes)&0xffff)
#define STEP_PAGES(bytes) ((bytes) >> 16)
#define STEP_PCID(bytes) ((bytes)&0xfff)
#define STEP_NO_FLUSH 0x1000u

/* Instructions that switch a core's interrupts, each counted as one of STEP_SPEND too. */
enum step_irqs {
	IRQS_SAVE,     /* PUSHF and CLI: local_irq_save() */
	IRQS_DISABLE,  /* CLI: local_irq_disable(); local_irq_save() where they are off already takes the PUSHF as well */
	IRQS_ENABLE,   /* STI: local_irq_enable(); local_irq_restore(), if they were on (Linux 5.12 and later; POPF before) */
	IRQS_EXCEPTION /* an exception, from a program into the kernel, and the IRET back; none of STEP_SPEND */
};

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
	uint32_t bytes; /* STEP_SPEND: instructions; STEP_IRQS: which; STEP_IPI: the other core; STEP_MAP: lower bits of the first
	                   frame */
	uint8_t kind;   /* enum step_kind */
	bool uses;      /* its address comes out of loads before it */
	uint8_t frame;  /* STEP_MAP: upper bits of the first frame */
	union {
		uint8_t order;  /* STEP_MAP, STEP_UNMAP: log2 of the number of pages */
		uint8_t before; /* STEP_READ, STEP_WRITE, STEP_PREFETCH: instructions that go before it */
	};
};

_Static_assert(sizeof(struct step) == 16, "four steps a cache line");

struct steps {
	bool recording;
	bool maps;       /* somebody keeps page tables: STEP_MAP and STEP_UNMAP are recorded */
	bool uses;       /* the next step does */
	uint8_t runs;    /* what a piece of a path is recorded as: STEP_SPEND, or STEP_RUN where its code is fetched */
	uint64_t now_ns; /* of the op that is decided, from the beginning of the run; for models of devices */
	uint8_t path;    /* enum step_path: the farthest so far */
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

/* Room for so many more. */
void steps_reserve(struct steps *steps, uint32_t count);

/* For many at once, into room that is there: steps_append(), and the instructions that go before it, where its kind has them. */
static inline struct step *steps_put(struct steps *steps, enum step_kind kind, uint64_t address, uint32_t bytes, uint32_t before)
{
	struct step *step = &steps->at[steps->count++];
	*step = (struct step){.address = address, .bytes = bytes, .kind = (uint8_t)kind, .before = (uint8_t)before};
	return step;
}

static inline void steps_clear(struct steps *steps)
{
	steps->count = 0;
	steps->uses = false;
	steps->path = PATH_FAST;
	steps->daemons_count = 0;
}

/* Takes the first ones away, none of which a daemon made. */
void steps_cut(struct steps *steps, uint32_t count);

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

/* Instructions of a piece of a path whose code has a number. Stands before what they do. */
static inline void step_run(struct steps *steps, uint32_t code, uint32_t instructions)
{
	if (steps->recording && instructions > 0)
		steps_append(steps, (enum step_kind)steps->runs, code, instructions);
}

static inline void step_irqs(struct steps *steps, enum step_irqs which)
{
	if (steps->recording)
		steps_append(steps, STEP_IRQS, 0, which);
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

/* spin_lock_irq() and spin_unlock_irq(). */
static inline void step_lock_irq(struct steps *steps, vaddr lock)
{
	step_irqs(steps, IRQS_DISABLE);
	step_lock(steps, lock);
}

static inline void step_unlock_irq(struct steps *steps, vaddr lock)
{
	step_unlock(steps, lock);
	step_irqs(steps, IRQS_ENABLE);
}

/* spin_lock_irqsave() and spin_unlock_irqrestore(), from where interrupts are on. */
static inline void step_lock_irqsave(struct steps *steps, vaddr lock)
{
	step_irqs(steps, IRQS_SAVE);
	step_lock(steps, lock);
}

static inline void step_unlock_irqrestore(struct steps *steps, vaddr lock)
{
	step_unlock_irq(steps, lock);
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

/* The op sleeps until a device is done. MODEL: its core waits with it, and runs nobody else meanwhile. */
static inline void step_sleep(struct steps *steps, uint64_t ns)
{
	if (steps->recording)
		steps_append(steps, STEP_SLEEP, ns, 0);
}

/* The same of several pages, one after the other; `pages` 1..65535. */
static inline void step_invalidate_pages(struct steps *steps, uint64_t address, uint32_t pages)
{
	if (steps->recording)
		steps_append(steps, STEP_INVALIDATE, address, pages);
}

static inline void step_ipi_pages(struct steps *steps, unsigned cpu, uint64_t address, uint32_t pages)
{
	if (steps->recording)
		steps_append(steps, STEP_IPI, address, pages << 16 | cpu);
}

static inline void step_ipi_leave(struct steps *steps, unsigned cpu, unsigned pcid, bool no_flush)
{
	if (steps->recording)
		steps_append(steps, STEP_IPI, STEP_LEAVE_SPACE, (pcid | (no_flush ? STEP_NO_FLUSH : 0)) << 16 | cpu);
}

static inline void step_new_table(struct steps *steps, uint64_t physical, bool is_top)
{
	if (steps->recording)
		steps_append(steps, STEP_NEW_TABLE, physical, is_top);
}

static inline void step_table_entry(struct steps *steps, uint64_t physical, uint64_t raw)
{
	if (!steps->recording)
		return;
	steps_append(steps, STEP_ENTRY, physical, 8);
	steps_append(steps, STEP_ENTRY_VALUE, raw, 8);
}

static inline void step_switch(struct steps *steps, uint64_t root, unsigned pcid, bool no_flush)
{
	if (steps->recording)
		steps_append(steps, STEP_SWITCH, root, pcid | (no_flush ? STEP_NO_FLUSH : 0));
}

static inline void step_ipi_wait(struct steps *steps)
{
	if (steps->recording)
		steps_append(steps, STEP_IPI_WAIT, STEP_NO_ADDRESS, 0);
}

/* Pages of one size, one behind the other, that page tables map or map no more. */
struct step_mapping {
	uint64_t linear;
	uint64_t frame;      /* of the first one, in pages of 4 KiB, below STEP_FRAMES; STEP_UNMAP: not told */
	unsigned page_shift; /* log2 of a page's bytes, 12 to 63 */
	unsigned order;      /* there are 2^order of them; step_map() and step_unmap() see to it */
};

/* As many as physical addresses of 52 bits reach. */
#define STEP_FRAMES (1ull << 40)

/* Out of line, as steps_append(): so many pages, in as few steps as powers of two are in their number. */
void steps_append_mapping(struct steps *steps, enum step_kind kind, const struct step_mapping *mapping, uint64_t pages);
struct step_mapping steps_mapping_of(const struct step *step);

static inline void step_map(struct steps *steps, const struct step_mapping *mapping, uint64_t pages)
{
	if (steps->recording && steps->maps)
		steps_append_mapping(steps, STEP_MAP, mapping, pages);
}

static inline void step_unmap(struct steps *steps, const struct step_mapping *mapping, uint64_t pages)
{
	if (steps->recording && steps->maps)
		steps_append_mapping(steps, STEP_UNMAP, mapping, pages);
}

/* The op went at least this far. */
static inline void step_path(struct steps *steps, enum step_path path)
{
	if (steps->path < path)
		steps->path = (uint8_t)path;
}

#endif
