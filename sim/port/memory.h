/* SPDX-License-Identifier: MIT
 *
 * memory.h - the port that answers what an access of a core costs.
 *
 * Models: models/memory/{ideal,hierarchy,timed}.c. A component answers with the cycle at which it will be done: it reserves what
 * it uses, and who comes earlier waits. There are no call-backs.
 *
 * The answer also says where the cycles went: the parts add up to the whole, always (memory_access asserts it).
 */
#ifndef SIM_PORT_MEMORY_H
#define SIM_PORT_MEMORY_H

#include "sim/access.h"
#include "sim/base.h"
#include "sim/cost.h"

struct bounced_line;
struct cache_hierarchy;
struct dram;
struct layout;
struct mmu;
struct settings;
struct metric;
struct memory;
struct tlb_scope;
struct usual_lines;

/* One access of a core, by its linear address; kinds are those of a program, not a walker's. */
struct memory_request {
	uint64_t address;
	uint32_t bytes;
	uint16_t cpu;
	uint8_t kind;   /* enum access_kind: ACCESS_LOAD, ACCESS_STORE, ACCESS_MODIFY, ACCESS_CODE, ACCESS_PREFETCH */
	bool is_locked; /* ACCESS_MODIFY: with the lock prefix, so that the line stays this core's from load to store */
	cycle now;      /* when it starts */
};

struct memory_ops {
	const char *name;
	const char *help;
	bool has_dram; /* lines that no cache has come from wiring->dram */
	/*
	 * Tells in the parts of *cost (sim/cost.h) what the access takes, and returns 0; it is done that many cycles after it
	 * began. Or, for an access that takes nothing but cycles of the first level, returns these, and leaves *cost alone: what
	 * was in it does not matter. cost NULL: nobody asks for the parts, and all cycles are returned.
	 */
	cycle (*access)(struct memory *, const struct memory_request *, struct cost *);
	/* Counts what was made in memory.usual since it did so last. NULL: there is none. */
	void (*settle)(struct memory *);
	/*
	 * Told of requests that the only core will make, by linear address, in this order and with nothing else between: the
	 * memory may look them up together, which is faster and changes nothing. Returns how many of them it has taken; these
	 * have to be made before the next plan, before invalidate() and check(). NULL: it does not plan.
	 */
	size_t (*plan)(struct memory *, const struct access *requests, size_t count);
	/* Drops translations of a core's TLBs; NULL: it has none. */
	void (*invalidate)(struct memory *, unsigned cpu, const struct tlb_scope *);
	/* Somebody else has written caches back or emptied them, and no request is under way. NULL: it keeps nothing of what they
	 * hold. */
	void (*caches_changed)(struct memory *);
	/* Loads a core's CR3: a top table's physical address, the PCID, and whether the PCID's translations stay. NULL: nothing
	 * is translated. */
	void (*switch_space)(struct memory *, unsigned cpu, uint64_t root, unsigned pcid, bool no_flush);
	void (*check)(const struct memory *);
	const struct metric *metrics;
	const void *(*counters)(const struct memory *);
	/* What each core counts; NULL: nothing. */
	const struct metric *core_metrics;
	const void *(*core_counters)(const struct memory *, unsigned cpu);
	/* The `count` lines that cores took from each other the most (sim/bounce.h), the first the most; returns how many there
	 * are. They live as long as the memory, and change with it. NULL: it does not know. */
	size_t (*bounced_lines)(const struct memory *, const struct bounced_line **top, size_t count);
	void (*destroy)(struct memory *);
};

struct memory {
	const struct memory_ops *ops;
	/* What a core may make itself instead of asking, by its two tables (sim/usual_lines.h), that of data first; then settle()
	 * before anybody looks at a counter. NULL: nothing. */
	struct usual_lines *usual;
};

struct memory_wiring {
	const struct settings *settings;
	/* These outlive the memory; NULL: the machine has none. */
	struct cache_hierarchy *caches;
	struct mmu *mmu; /* one for each core */
	const struct layout *layout;
	struct dram *dram; /* behind the last level, where has_dram */
};

/*
 * The cycle at which the access is done. *cost tells where the cycles since request->now went; true in *in_first: all of them in
 * the first level of caches, and *cost is nobody's business.
 */
static inline cycle memory_access_quick(struct memory *memory, const struct memory_request *request, struct cost *cost,
                                        bool *in_first)
{
	cycle first = memory->ops->access(memory, request, cost);
	*in_first = first > 0;
	return request->now + (first > 0 ? first : cost_total(cost));
}

/* The same, with *cost always telling. */
static inline cycle memory_access(struct memory *memory, const struct memory_request *request, struct cost *cost)
{
	bool in_first;
	cycle done = memory_access_quick(memory, request, cost, &in_first);
	if (in_first) {
		*cost = (struct cost){0};
		cost->cycles[COST_L1] = done - request->now;
	}
	return done;
}

/* The cycle at which the access is done, for who does not ask where the cycles went. */
static inline cycle memory_done(struct memory *memory, const struct memory_request *request)
{
	return request->now + memory->ops->access(memory, request, NULL);
}

static inline size_t memory_plan(struct memory *memory, const struct access *requests, size_t count)
{
	return memory->ops->plan ? memory->ops->plan(memory, requests, count) : 0;
}

static inline void memory_settle(struct memory *memory)
{
	if (memory->ops->settle)
		memory->ops->settle(memory);
}

static inline void memory_caches_changed(struct memory *memory)
{
	if (memory->ops->caches_changed)
		memory->ops->caches_changed(memory);
}

static inline void memory_invalidate(struct memory *memory, unsigned cpu, const struct tlb_scope *scope)
{
	if (memory->ops->invalidate)
		memory->ops->invalidate(memory, cpu, scope);
}

static inline void memory_switch_space(struct memory *memory, unsigned cpu, uint64_t root, unsigned pcid, bool no_flush)
{
	if (memory->ops->switch_space)
		memory->ops->switch_space(memory, cpu, root, pcid, no_flush);
}

static inline void memory_destroy(struct memory *memory)
{
	if (memory)
		memory->ops->destroy(memory);
}

#endif
