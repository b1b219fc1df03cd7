/* SPDX-License-Identifier: MIT
 *
 * timed.c - memory under the clock: TLBs, page walkers and caches with latencies, and what their requests share.
 *
 *   request -> MMU: filter | further TLBs + latency | page walk by a free walker, reference after reference
 *           -> level 1 -> ... -> last level -> memory
 *                port, slice: waits for its turn        (sim/reserve.h)
 *                here: latency of the level; on its way: when it is there
 *                not here: a miss slot, then the next level; what has to go follows without being waited for
 *
 * Tags are those of the cache_level port: each request goes through every level it reaches at once (cache_level_ops.take, or
 * serve where a cache does not take requests), so the counts are those of memory_model: hierarchy. Time is a second thing beside
 * them: a request carries the cycle `now`, which waits push on, and a level answers now + its latency, counted from the core as
 * manuals do.
 *
 * Between a core's own caches and those it shares stands the directory of timed_coherence.c, where there are several cores.
 *
 * A request of several lines starts one line a cycle, and is done when the last line is. A load-store takes its line once. A
 * locked instruction costs machine.latency.atomic on top.
 *
 * MODEL: a line's tag is there from its request on, not from its arrival: who asks for it meanwhile waits for it (a hit that
 * waits is a merged miss). MODEL: write-backs and prefetches take ports, slices and slots, but nobody waits for them. MODEL: the
 * walk for a next page (machine.tlb_prefetch) is waited for. MODEL: without page walks every page that a slot of kmap() maps in
 * turn has the slot's address, and so its cache lines.
 *
 * Source of latencies counted from the core: Intel 64 and IA-32 Architectures Optimization Reference Manual, tables of caches.
 */
#include "models/memory/timed.h"
#include "models/memory/timed_coherence.h"
#include "models/memory/timed_plan.h"
#include "models/memory/timed_run.h"
#include "models/memory/timed_serve.h"

#include <stdlib.h>

/* ---- accesses ---- */

/* Whether the access lies in more than one line. */
static bool crosses(const struct access *access, unsigned shift)
{
	return access->address >> shift != (access->address + access->bytes - 1) >> shift;
}

/* Whether the caches were asked already (timed_plan.h). */
static inline bool is_looked_up(const struct timed_memory *timed)
{
	return timed->plan && timed->plan->has_lines;
}

/* Several cores: which words of a line that bounces the access touches, the directory, and how long the line is kept. */
static void end_shared(struct timed_memory *timed, const struct timed_core *core, const struct access *access, bool writes,
                       cycle done)
{
	struct coherence *coherence = timed->coherence;
	uint64_t line = access->address >> coherence->line_shift;
	coherence->supply.is_active = false;
	if (coherence->notes_count > 0)
		coherence_settle(timed);
	if (timed->kept_cycles || timed->served_by == timed->caches->levels)
		coherence_keep_after(coherence, line, done + timed->kept_cycles);
	if (!writes && timed->served_by < coherence->first_shared)
		return;
	struct bounced_line *bounced = bounces_find(&coherence->bounces, line);
	if (!bounced)
		return;
	uint8_t words = bounces_words(&coherence->bounces, access->address, access->bytes);
	if (!bounced->linear && !access_is_walk(access->kind))
		bounced->linear = (line << coherence->line_shift) + timed->to_linear;
	if (writes)
		bounced->written[core->cpu] |= words;
	if (!writes || access->kind == ACCESS_MODIFY)
		bounced->read[core->cpu] |= words;
}

/* As timed_pass_on() to the first level; most requests find their line there, and nothing follows from them. */
static inline cycle serve_first(struct timed_memory *timed, const struct timed_core *core, uint64_t request,
                                const struct cache_about *about, struct reach reach, struct cost *cost)
{
	const struct timed_stop *at = &core->path[about->kind].stop[0];
	struct missed missed[CACHE_LEVELS_MAX];
	if (!at->level)
		return timed_pass_on(timed, core, 0, request, about, reach, cost);
	take_stop(timed, core, at, request, about, reach, cost, &missed[0]);
	cycle done = missed[0].reach.now + missed[0].reach.cycles;
	if (missed[0].taken.hit && !fill_set_find(at->fills, request >> at->cache->line_shift, done))
		return done;
	return timed_serve_taken(timed, core, 0, request, about, missed, cost);
}

/* The part of an access that lies in one line. Returns when it is done. */
static cycle access_line(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                         struct cost *cost)
{
	if (is_looked_up(timed))
		return timed_plan_line(timed, access, now, cost);
	uint64_t address = access->address & ~WAY_MARKS;
	struct cache_about about;
	cache_about_set(&about, core->cpu, access->kind, access->region);
	bool is_modify = access->kind == ACCESS_MODIFY;
	if (is_modify)
		about.kind = ACCESS_LOAD;
	uint64_t marks = timed->caches->entry[about.kind].marks;
	if (is_modify && timed->modify_is_load)
		marks = WAY_DIRTY;
	unsigned whole = timed->caches->entry[about.kind].shift;
	if (marks && about.kind != ACCESS_LOAD && access->bytes == 1ull << whole)
		about.flags = REQUEST_WHOLE_LINE;
	bool writes = marks || is_modify;
	if (timed->coherence) {
		timed->coherence->current = core->cpu;
		if (writes)
			now = coherence_own(timed, core, access, now, cost);
	}
	const struct reach reach = {.now = now};
	/* A store that needs no fetch is served where it goes. */
	timed->served_by = 0;
	cycle done = serve_first(timed, core, address | marks, &about, reach, cost);
	unsigned served_by = timed->served_by;
	timed->counters.lines++;
	++*timed->depth_counter[served_by];
	if (is_modify && !timed->modify_is_load) {
		about.kind = ACCESS_STORE;
		about.flags = access->bytes == 1ull << timed->caches->entry[ACCESS_STORE].shift ? REQUEST_WHOLE_LINE : 0;
		timed_pass_on(timed, core, 0, address | WAY_DIRTY, &about, reach, &timed->unseen);
	}
	timed->served_by = served_by;
	if (timed->coherence)
		end_shared(timed, core, access, writes, done);
	return done;
}

/* ---- lines, the short way ---- */

/* A line that the first level, asked already, does not have. Returns when it is here. */
static cycle line_missed(struct timed_memory *timed, const struct timed_core *core, uint64_t request,
                         const struct cache_about *about, struct cache_taken taken, cycle now, struct cost *cost)
{
	const struct timed_stop *first = &core->path[about->kind].stop[0];
	struct missed missed[CACHE_LEVELS_MAX];
	missed[0].reach.now = now;
	missed[0].reach.cycles = 0;
	missed[0].taken = taken;
	enter_level(timed, core, first->level, first->instance, request, &missed[0].reach, cost == &timed->unasked ? NULL : cost);
	if (timed->coherence) {
		timed->coherence->current = core->cpu;
		note_taken(timed, first, request >> first->cache->line_shift, &missed[0].taken);
	}
	remember(timed, first->level, first->instance, request, false);
	timed->served_by = 0; /* a store that needs no fetch is served where it goes */
	cycle done = timed_serve_taken(timed, core, 0, request, about, missed, cost);
	if (cost != &timed->unseen) {
		timed->counters.lines++;
		++*timed->depth_counter[timed->served_by];
	}
	return done;
}

/* A request's turn at the first level's port. */
static inline cycle enter_first(struct timed_memory *timed, const struct timed_entry *entry, cycle now)
{
	if (!entry->ports)
		return now;
	cycle at = port_set_take(entry->ports, entry->ports_count, now);
	timed->counters.port_wait_cycles += at - now;
	return at;
}

/* A line of the first level that is on its way, and would be there at `done`. Returns when it is. */
static __attribute__((noinline)) cycle line_awaited(struct timed_memory *timed, const struct fill *fill, cycle now, cycle done,
                                                    struct cost *cost)
{
	timed->counters.fill_waits++;
	timed->counters.fill_wait_cycles += fill->ready - done;
	if (cost != &timed->unasked) {
		cost_clear(cost);
		cost->cycles[COST_L1] = done - now;
		cost->cycles[fill->part] += fill->ready - done;
	}
	return fill->ready;
}

/* The first level has the line. *in_first: as line_quick() tells it. */
static inline cycle line_here(struct timed_memory *timed, const struct timed_entry *entry, uint64_t line, cycle now,
                              struct cost *cost, bool *in_first)
{
	cycle done = enter_first(timed, entry, now) + entry->latency;
	timed->counters.lines++;
	timed->counters.l1_hits++;
	const struct fill *fill = fill_set_find(entry->fills, line, done);
	*in_first = !fill;
	return fill ? line_awaited(timed, fill, now, done, cost) : done;
}

/* Whether the first level's filter knows the line, for an access by this entry. */
static inline bool is_recent(const struct timed_entry *entry, uint64_t line)
{
	uint64_t recent = entry->recent[line & entry->recent_mask];
	return (recent | (entry->mark ^ 1)) == (line << 1 | 1);
}

/* The cache counts an access that the filter has answered. */
static inline void count_recent(const struct timed_entry *entry)
{
	++*entry->accesses;
	++*entry->hits;
}

/* Asks the first level for a line that the filter does not know, for an access of that kind, or the part of one. */
static inline struct cache_taken take_first(struct timed_memory *timed, const struct timed_core *core,
                                            const struct timed_entry *entry, const struct access *access, unsigned kind,
                                            uint64_t line, uint64_t *request, struct cache_about *about)
{
	*request = (access->address & ~WAY_MARKS) | (entry->mark ? WAY_DIRTY : 0);
	cache_about_set(about, core->cpu, (uint8_t)kind, access->region);
	if (entry->mark && access->bytes == 1ull << entry->shift)
		about->flags = REQUEST_WHOLE_LINE;
	struct cache_taken taken = entry->stop->cache->ops->take(entry->stop->cache, entry->stop->instance, *request, about);
	if (taken.hit)
		remember_hit(timed, entry->level, &entry->recent[line & entry->recent_mask], line, entry->mark);
	return taken;
}

/*
 * An access that lies in one line, as one of that kind: by an entry with a short path, or of a line that the filter knows.
 * Returns when it is done; in *in_first whether all its cycles are the first level's: if not, *cost tells what they are. Where
 * other cores have a say, it writes nothing that they would have to be asked for.
 */
static inline cycle line_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                               unsigned kind, cycle now, struct cost *cost, bool *in_first)
{
	const struct timed_entry *entry = &core->entry[kind];
	uint64_t line = access->address >> entry->shift, request;
	struct cache_about about;
	if (is_recent(entry, line)) {
		count_recent(entry);
		return line_here(timed, entry, line, now, cost, in_first);
	}
	struct cache_taken taken = take_first(timed, core, entry, access, kind, line, &request, &about);
	if (taken.hit)
		return line_here(timed, entry, line, now, cost, in_first);
	*in_first = false;
	if (cost != &timed->unasked)
		cost_clear(cost);
	cycle done = line_missed(timed, core, request, &about, taken, now, cost);
	if (timed->coherence)
		end_shared(timed, core, access, false, done);
	return done;
}

/* The store of an access that loads and stores: nobody waits for it. */
static inline void store_unseen(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now)
{
	const struct timed_entry *entry = &core->entry[ACCESS_STORE];
	uint64_t line = access->address >> entry->shift, request;
	struct cache_about about;
	if (is_recent(entry, line)) {
		count_recent(entry);
		enter_first(timed, entry, now);
		return;
	}
	struct cache_taken taken = take_first(timed, core, entry, access, ACCESS_STORE, line, &request, &about);
	if (taken.hit)
		enter_first(timed, entry, now);
	else
		line_missed(timed, core, request, &about, taken, now, &timed->unseen);
}

/* Whether line_quick() may take an access of this kind in one line. */
static inline bool is_quick(const struct timed_core *core, const struct access *access)
{
	const struct timed_entry *entry = &core->entry[access->kind];
	return entry->stop || (entry->level && is_recent(entry, access->address >> entry->shift));
}

/*
 * The usual case: an access in one line, the short way. Returns whether that was one; then *done is when it is done, and
 * *in_first as of line_quick().
 */
static inline bool access_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                                struct cost *cost, cycle *done, bool *in_first)
{
	if (crosses(access, timed->line_shift))
		return false;
	if (access->kind != ACCESS_MODIFY) {
		if (!is_quick(core, access))
			return false;
		*done = line_quick(timed, core, access, access->kind, now, cost, in_first);
		return true;
	}
	if (!core->modifies_quickly)
		return false;
	*done = line_quick(timed, core, access, ACCESS_LOAD, now, cost, in_first);
	unsigned served_by = timed->served_by;
	store_unseen(timed, core, access, now);
	timed->served_by = served_by;
	return true;
}

/* A request on its way: its next line starts at `now`, those before it are done at `done`, and *cost tells why. */
struct issue {
	cycle now, done;
	struct cost *cost;
};

/* Nothing was under way while the translation of what comes next was looked for. */
static void end_lookup(struct issue *issue)
{
	if (issue->now <= issue->done)
		return;
	issue->cost->cycles[COST_TLB] += issue->now - issue->done;
	issue->done = issue->now;
}

/* The short way. Returns whether it was one; if not, nothing happened. */
static bool issue_line_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *line,
                             struct issue *issue)
{
	const bool is_asked = issue->cost != &timed->unasked;
	struct cost own, *parts = is_asked ? &own : issue->cost;
	bool in_first;
	cycle done, before = issue->done;
	if (!access_quick(timed, core, line, issue->now, parts, &done, &in_first))
		return false;
	if (done <= before)
		return true;
	if (in_first)
		issue->cost->cycles[COST_L1] += done - before;
	else if (is_asked && issue->now == before)
		cost_add(issue->cost, parts);
	else if (is_asked)
		cost_take_last(issue->cost, parts, done - before);
	issue->done = done;
	return true;
}

static void issue_line(struct timed_memory *timed, const struct timed_core *core, const struct access *line, struct issue *issue)
{
	end_lookup(issue);
	if (!is_looked_up(timed) && issue_line_quick(timed, core, line, issue))
		return;
	if (issue->now == issue->done) {
		issue->done = access_line(timed, core, line, issue->now, issue->cost);
		return;
	}
	/* The lines before it are under way: it counts for what it takes longer than they. */
	struct cost parts;
	cost_clear(&parts);
	cycle done = access_line(timed, core, line, issue->now, &parts);
	if (done <= issue->done)
		return;
	cost_take_last(issue->cost, &parts, done - issue->done);
	issue->done = done;
}

/* Fewer lines are looked up sooner one after the other. */
#define RUN_LINES_MIN 4u

/* The whole lines from `address` to before `end` that may be looked up at once. */
static inline unsigned lines_of_run(const struct timed_entry *entry, uint64_t address, uint64_t end)
{
	if (address & ((1ull << entry->shift) - 1))
		return 0;
	const uint64_t lines = (end - address) >> entry->shift, room = entry->run_lines;
	const unsigned run = (unsigned)(lines < room ? lines : room);
	return run < RUN_LINES_MIN ? 0 : run;
}

/* The next lines of an access whose parts nobody asks for, each the short way, where there are no other cores. */
static void issue_lines(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                        struct issue *issue)
{
	const uint64_t line_bytes = 1ull << timed->line_shift, end = access->address + access->bytes;
	const struct timed_entry *entry = &core->entry[access->kind];
	struct access line = *access;
	bool in_first;
	for (uint64_t next; line.address < end; line.address = next, issue->now++) {
		for (unsigned lines; (lines = lines_of_run(entry, line.address, end)) > 0;) {
			cycle done = timed_run_lines(timed, core, line.address, lines, access->kind, access->region, issue->now);
			issue->done = done > issue->done ? done : issue->done;
			issue->now += lines;
			line.address += (uint64_t)lines << entry->shift;
		}
		if (line.address == end)
			return;
		next = (line.address | (line_bytes - 1)) + 1;
		line.bytes = (uint32_t)((next < end ? next : end) - line.address);
		end_lookup(issue);
		cycle done = line_quick(timed, core, &line, line.kind, issue->now, issue->cost, &in_first);
		if (done > issue->done)
			issue->done = done;
	}
}

static void access_physical(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                            struct issue *issue)
{
	if (!crosses(access, timed->line_shift)) {
		issue_line(timed, core, access, issue);
		issue->now++;
		return;
	}
	if (issue->cost == &timed->unasked && !timed->coherence && !is_looked_up(timed) && access->kind != ACCESS_MODIFY &&
	    core->entry[access->kind].stop) {
		issue_lines(timed, core, access, issue);
		return;
	}
	struct access line = *access;
	uint64_t address = access->address, end = address + access->bytes, line_bytes = 1ull << timed->line_shift;
	while (address < end) {
		uint64_t line_end = (address | (line_bytes - 1)) + 1;
		line.address = address;
		line.bytes = (uint32_t)((line_end < end ? line_end : end) - address);
		issue_line(timed, core, &line, issue);
		issue->now++;
		address = line_end;
	}
}

/* One reference of a walk. Returns when it is done. */
static inline cycle walk_reference(struct timed_memory *timed, const struct timed_core *core, const struct access *reference,
                                   cycle now)
{
	cycle done;
	bool in_first;
	if (is_looked_up(timed))
		return timed_plan_line(timed, reference, now, &timed->unasked);
	if (access_quick(timed, core, reference, now, &timed->unasked, &done, &in_first))
		return done;
	return access_line(timed, core, reference, now, &timed->unasked);
}

/* References of a walk by the walker that is free the soonest. Returns when the translation is known. */
static cycle walk(struct timed_memory *timed, struct timed_core *core, const struct access *references, size_t count, cycle now)
{
	unsigned soonest = 0;
	for (unsigned walker = 1; walker < timed->walkers && core->walker[soonest] > now; walker++)
		if (core->walker[walker] < core->walker[soonest])
			soonest = walker;
	cycle at = core->walker[soonest] > now ? core->walker[soonest] : now;
	timed->counters.walker_waits += at > now;
	timed->counters.walker_wait_cycles += at - now;
	uint32_t kept_cycles = timed->kept_cycles;
	timed->kept_cycles = 0;
	for (size_t i = 0; i < count; i++)
		at = walk_reference(timed, core, &references[i], at);
	timed->kept_cycles = kept_cycles;
	core->walker[soonest] = at;
	timed->counters.walks++;
	timed->counters.walk_cycles += at - now;
	return at;
}

/* What an access, or a part of one, refers to in physical memory, one after the other: page table entries and what it is for. */
static void access_entries(struct timed_memory *timed, struct timed_core *core, const struct access *out, size_t count,
                           uint64_t linear, struct issue *issue)
{
	size_t first = 0;
	/*
	 * At once, so that the host fetches side by side what will be looked at one after the other: the last table's entry and
	 * what it leads to. Those of the tables before it are few, and in the first level as a rule.
	 */
	timed->is_foreseen = count > 1;
	for (size_t i = count > 1 && !is_looked_up(timed) ? count - 2 : count; i < count; i++)
		timed_foresee(timed, core, 1, out[i].address, out[i].kind == ACCESS_MODIFY ? (uint8_t)ACCESS_LOAD : out[i].kind);
	for (size_t i = 0; i < count; i++) {
		if (access_is_walk(out[i].kind))
			continue;
		if (first < i)
			issue->now = walk(timed, core, &out[first], i - first, issue->now);
		timed->to_linear = linear - out[i].address;
		linear += out[i].bytes;
		access_physical(timed, core, &out[i], issue);
		first = i + 1;
	}
	if (first < count) /* refused after its walk */
		issue->now = walk(timed, core, &out[first], count - first, issue->now);
	if (first < count || count == 0)
		end_lookup(issue);
	timed->is_foreseen = false;
}

/* An access by its linear address that the filter does not know: with the page walks that it takes. */
static void access_linear(struct timed_memory *timed, struct timed_core *core, const struct access *access, struct issue *issue)
{
	struct access out[2 * MMU_ROOM];
	struct mmu *mmu = core->mmu;
	uint64_t looked_up = mmu_lookup_cycles(mmu, access->kind), linear = access->address;
	size_t done, made;
	do {
		done = mmu_run(mmu, access, 1, out, 2 * MMU_ROOM, &made);
		uint64_t cycles = mmu_lookup_cycles(mmu, access->kind) - looked_up;
		looked_up += cycles;
		timed->counters.tlb_cycles += cycles;
		issue->now += cycles;
		access_entries(timed, core, out, made, linear, issue);
		for (size_t i = 0; i < made; i++)
			linear += access_is_walk(out[i].kind) ? 0 : out[i].bytes;
	} while (done == 0);
}

/* A plain request of a plan without lines. Returns whether it was made, and in *first what memory_ops.access returns; if not,
 * nothing happened. */
static bool planned_quick(struct timed_memory *timed, const struct planned *planned, cycle now, struct cost *cost, cycle *first)
{
	cycle done;
	bool in_first;
	timed->kept_cycles = 0;
	if (!access_quick(timed, &timed->core[0], &timed->plan->out[planned->at], now, cost, &done, &in_first))
		return false;
	*first = in_first ? done - now : 0;
	return true;
}

/* A request of the plan, by all that was looked up for it. */
static void planned_slow(struct timed_memory *timed, const struct planned *planned, const struct memory_request *request,
                         struct cost *cost)
{
	struct timed_plan *plan = timed->plan;
	const bool is_last = plan->next + 1 == plan->requests;
	const size_t end = is_last ? plan->made : planned[1].at;
	uint64_t cycles = is_last && plan->is_refused ? plan->refused_cycles : 0;
	for (size_t i = planned->at; i < end; i++)
		cycles += plan->cycles[i];
	cost_clear(cost);
	struct issue issue = {.now = request->now + cycles, .done = request->now, .cost = cost};
	timed->counters.tlb_cycles += cycles;
	timed->kept_cycles = 0;
	plan->stream[0].next = planned->line;
	access_entries(timed, &timed->core[0], &plan->out[planned->at], end - planned->at, request->address, &issue);
}

/* What is no hit of a plan with lines. Returns what memory_ops.access returns. */
static __attribute__((noinline)) cycle planned_further(struct timed_memory *timed, const struct planned *planned,
                                                       const struct memory_request *request, struct cost *cost)
{
	cycle first = 0;
	if (!planned->is_plain || timed->plan->has_lines || !planned_quick(timed, planned, request->now, cost, &first))
		planned_slow(timed, planned, request, cost);
	return first;
}

/* Whether an entry of a plan is what a request in one page came to. */
static inline bool is_same(const struct access *out, const struct memory_request *request)
{
	return out->bytes == request->bytes && out->kind == request->kind && !request->is_locked &&
	       (out->address ^ request->address) % PAGE_SIZE == 0;
}

/* The first level has the line: the cycles that it takes, a wait for a port with them. 0: the line is still on its way, and
 * nothing has happened. */
static inline cycle hit_first(struct timed_memory *timed, const struct timed_level *level, const struct fill_set *fills,
                              struct port_set *ports, uint64_t line, cycle now)
{
	/* One that is on its way when the port is free would be there later at the earliest. */
	if (fill_set_find(fills, line, now + level->latency))
		return 0;
	cycle began = ports ? port_set_take(ports, level->cache->spec->ports, now) : now;
	timed->counters.port_wait_cycles += began - now;
	timed->counters.lines++;
	timed->counters.l1_hits++;
	return began - now + level->latency;
}

/*
 * A plain request that finds its line in the first level and waits for nothing but a port: the cycles that takes, all of them in
 * that level. 0: it is not one, and nothing has happened.
 */
static inline cycle planned_hit(struct timed_memory *timed, const struct access *access, cycle now)
{
	const struct timed_core *core = &timed->core[0];
	const struct timed_stop *at = &core->path[access->kind].stop[0];
	const struct timed_entry *entry = &core->entry[access->kind];
	if (timed->plan->has_lines)
		return hit_first(timed, at->level, at->fills, at->level->ports ? &at->level->ports[at->instance] : NULL,
		                 access->address >> timed->line_shift, now);
	const uint64_t line = access->address >> entry->shift;
	if (!entry->level || !is_recent(entry, line))
		return 0;
	cycle first = hit_first(timed, entry->level, entry->fills, entry->ports, line, now);
	entry->level->cache->counters.accesses[access->kind] += first > 0;
	entry->level->cache->counters.hits[access->kind] += first > 0;
	return first;
}

/* The last request of a plan was made. */
static void end_plan(struct timed_memory *timed)
{
	timed->is_planned = timed->plan->has_lines = false;
	for (unsigned side = 0; side < MMU_SIDES; side++)
		timed->core[0].usual[side].kinds = timed->core[0].usual[side].kinds_made;
}

/* A request that was planned. */
static __attribute__((noinline)) cycle access_planned(struct timed_memory *timed, const struct memory_request *request,
                                                      struct cost *cost)
{
	struct timed_plan *plan = timed->plan;
	const struct planned *planned = &plan->request[plan->next];
	cycle first = 0;
	if (planned->is_plain) {
		SIM_ASSERT(is_same(&plan->out[planned->at], request));
		first = planned_hit(timed, &plan->out[planned->at], request->now);
	}
	if (first == 0)
		first = planned_further(timed, planned, request, cost);
	if (++plan->next == plan->requests)
		end_plan(timed);
	return first;
}

/* A request whose page is known, in one line that may go the short way. Returns whether it does; if so, *cycles are all it
 * takes, and *in_first as of line_quick(). */
static inline bool request_quick(struct timed_memory *timed, const struct timed_core *core, const struct access *access,
                                 const struct memory_request *request, struct cost *cost, cycle *cycles, bool *in_first)
{
	cycle done;
	if (!access_quick(timed, core, access, request->now, cost, &done, in_first))
		return false;
	*cycles = done - request->now;
	if (!request->is_locked)
		return true;
	if (*in_first) {
		cost_clear(cost);
		cost->cycles[COST_L1] = *cycles;
	}
	*in_first = false;
	cost->cycles[COST_COMPUTE] += timed->atomic_cycles;
	*cycles += timed->atomic_cycles;
	return true;
}

static inline void set_access(struct access *access, const struct memory_request *request, uint64_t address, uint8_t region)
{
	access->address = address;
	access->bytes = request->bytes;
	access->cpu = request->cpu;
	access->kind = request->kind;
	access->region = region;
}

/* A request is done that was issued line by line. Returns what memory_ops.access returns. */
static inline cycle end_issued(const struct timed_memory *timed, const struct memory_request *request, const struct issue *issue,
                               bool is_asked)
{
	const uint32_t locked = request->is_locked ? timed->atomic_cycles : 0;
	if (locked)
		issue->cost->cycles[COST_COMPUTE] += locked;
	return is_asked ? 0 : issue->done - request->now + locked;
}

/* A request whose place is known, but not the usual one. */
static __attribute__((noinline)) cycle access_slow(struct timed_memory *timed, const struct memory_request *request,
                                                   struct mmu_place place, struct cost *asked)
{
	const struct timed_core *core = &timed->core[request->cpu];
	struct cost *cost = asked ? asked : &timed->unasked;
	struct access access;
	cycle cycles;
	bool in_first;
	set_access(&access, request, place.physical, place.region);
	timed->kept_cycles = request->is_locked ? timed->atomic_cycles : 0;
	timed->to_linear = request->address - access.address;
	if (request_quick(timed, core, &access, request, cost, &cycles, &in_first))
		return in_first || !asked ? cycles : 0;
	if (asked)
		cost_clear(cost);
	struct issue issue = {.now = request->now, .done = request->now, .cost = cost};
	access_physical(timed, core, &access, &issue);
	return end_issued(timed, request, &issue, asked);
}

/* A request whose place the levels of TLBs have to tell. */
static __attribute__((noinline)) cycle access_looked_up(struct timed_memory *timed, const struct memory_request *request,
                                                        struct cost *asked)
{
	struct access access;
	struct issue issue = {.now = request->now, .done = request->now, .cost = asked ? asked : &timed->unasked};
	set_access(&access, request, request->address, 0);
	timed->kept_cycles = request->is_locked ? timed->atomic_cycles : 0;
	if (asked)
		cost_clear(asked);
	access_linear(timed, &timed->core[request->cpu], &access, &issue);
	return end_issued(timed, request, &issue, asked);
}

/* A planned request of which nobody asks for the parts. */
static __attribute__((noinline)) cycle access_planned_unasked(struct timed_memory *timed, const struct memory_request *request)
{
	struct cost own;
	cycle first = access_planned(timed, request, &own);
	return first > 0 ? first : cost_total(&own);
}

/* A request of no bytes takes no time. */
static cycle access_nothing(struct cost *asked)
{
	if (asked)
		cost_clear(asked);
	return 0;
}

/* The line of a hit is on its way. */
static __attribute__((noinline)) cycle access_awaited(struct timed_memory *timed, const struct fill *fill,
                                                      const struct memory_request *request, cycle done, struct cost *asked)
{
	cycle here = line_awaited(timed, fill, request->now, done, asked ? asked : &timed->unasked);
	return asked ? 0 : here - request->now;
}

/* A request that lies in one line, which the first level has: that has counted it. Returns what memory_ops.access returns. */
static inline cycle request_here(struct timed_memory *timed, const struct timed_entry *entry, uint64_t line,
                                 const struct memory_request *request, struct cost *asked)
{
	const cycle done = enter_first(timed, entry, request->now) + entry->latency;
	timed->counters.lines++;
	timed->counters.l1_hits++;
	if (entry->store) {
		count_recent(entry->store);
		enter_first(timed, entry->store, request->now);
	}
	const struct fill *fill = fill_set_find(entry->fills, line, done);
	if (__builtin_expect(fill == NULL, 1))
		return done - request->now;
	return access_awaited(timed, fill, request, done, asked);
}

/* A request whose place is known. The usual case: one line, which the first level's filter knows. */
static inline cycle access_placed(struct timed_memory *timed, const struct timed_core *core, const struct memory_request *request,
                                  struct mmu_place place, struct cost *asked)
{
	const struct timed_entry *entry = &core->entry[request->kind];
	const uint64_t line = place.physical >> entry->shift, address = request->address;
	if (!entry->level || (address ^ (address + request->bytes - 1)) >> timed->line_shift != 0 || !is_recent(entry, line) ||
	    request->is_locked)
		return access_slow(timed, request, place, asked);
	count_recent(entry);
	return request_here(timed, entry, line, request, asked);
}

/* A request whose page the MMU's filter has only now come to know. */
static __attribute__((noinline)) cycle access_known(struct timed_memory *timed, const struct memory_request *request,
                                                    const struct mmu_recent *recent, struct cost *asked)
{
	const struct timed_core *core = &timed->core[request->cpu];
	return access_placed(timed, core, request, mmu_place_by(core->mmu, request->address, request->kind, recent), asked);
}

/* A request whose page the MMU's filter does not know. */
static __attribute__((noinline)) cycle access_unknown(struct timed_memory *timed, const struct memory_request *request,
                                                      struct cost *asked)
{
	struct mmu *mmu = timed->core[request->cpu].mmu;
	const struct mmu_recent *recent = mmu_known_recent(mmu, request->address, request->bytes, request->kind);
	if (recent)
		return access_known(timed, request, recent, asked);
	return access_looked_up(timed, request, asked);
}

/* A request that is not planned, and of no usual line. */
static __attribute__((noinline)) cycle access_unusual(struct timed_memory *timed, const struct memory_request *request,
                                                      struct cost *asked)
{
	SIM_ASSERT(request->cpu < timed->cpus);
	const struct timed_core *core = &timed->core[request->cpu];
	struct mmu_place place = {.physical = request->address, .is_known = true};
	if (__builtin_expect(request->bytes == 0, 0))
		return access_nothing(asked);
	if (core->mmu)
		place = mmu_recent_access(core->mmu, request->address, request->bytes, request->kind);
	if (__builtin_expect(!place.is_known, 0))
		return access_unknown(timed, request, asked);
	return access_placed(timed, core, request, place, asked);
}

/* A request of a usual line, which is in the first level, and whose page the filter knows. But for a lock prefix. */
static inline cycle access_usual(struct timed_memory *timed, const struct timed_core *core, const struct usual_line *usual,
                                 const struct memory_request *request, struct cost *asked)
{
	const struct timed_entry *entry = &core->entry[request->kind];
	const uint64_t line = way_tag(usual->word);
	core->mmu->counters.accesses++;
	mmu_count_recent(core->mmu, request->kind, usual->page);
	usual_line_use(usual, entry->mark);
	remember_hit(timed, entry->level, &entry->recent[line & entry->recent_mask], line, entry->mark);
	count_recent(entry);
	return request_here(timed, entry, line, request, asked);
}

/* The same with one. */
static __attribute__((noinline)) cycle access_usual_locked(struct timed_memory *timed, const struct usual_line *usual,
                                                           const struct memory_request *request, struct cost *asked)
{
	struct cost own, *cost = asked ? asked : &own;
	const cycle first = access_usual(timed, &timed->core[request->cpu], usual, request, cost);
	if (first > 0) {
		cost_clear(cost);
		cost->cycles[COST_L1] = first;
	}
	cost->cycles[COST_COMPUTE] += timed->atomic_cycles;
	return asked ? 0 : cost_total(cost);
}

/* A request of a line that is not usual, or not any more: it is from now on, if it is here then. */
static __attribute__((noinline)) cycle access_learnt(struct timed_memory *timed, struct usual_lines *lines,
                                                     const struct memory_request *request, struct cost *asked)
{
	const cycle first = access_unusual(timed, request, asked);
	if (usual_lines_may_have(lines, request->address, request->bytes, request->kind))
		usual_lines_learn(lines, request->address, request->kind);
	return first;
}

/* A request that was not planned, of a core with usual lines. */
static __attribute__((noinline)) cycle access_unplanned(struct timed_memory *timed, const struct memory_request *request,
                                                        struct cost *asked)
{
	SIM_ASSERT(request->cpu < timed->cpus);
	const struct timed_core *core = &timed->core[request->cpu];
	struct usual_lines *lines = &core->usual[request->kind == ACCESS_CODE ? MMU_CODE : MMU_DATA];
	const struct usual_line *usual = usual_lines_find(lines, request->address, request->bytes, request->kind);
	if (!usual)
		return access_learnt(timed, lines, request, asked);
	if (!usual_line_is_translated(usual, request->kind) && !usual_lines_turn(lines, usual, request->address, request->kind))
		return access_learnt(timed, lines, request, asked);
	if (!usual_line_is_here(usual))
		return access_learnt(timed, lines, request, asked);
	if (request->is_locked)
		return access_usual_locked(timed, usual, request, asked);
	return access_usual(timed, core, usual, request, asked);
}

/* Calls one of them as its last step, so that none saves another's registers. */
static cycle timed_access(struct memory *memory, const struct memory_request *request, struct cost *asked)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	if (!timed->is_planned)
		return timed->has_usual ? access_unplanned(timed, request, asked) : access_unusual(timed, request, asked);
	return asked ? access_planned(timed, request, asked) : access_planned_unasked(timed, request);
}

static size_t timed_plan(struct memory *memory, const struct access *requests, size_t count)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	return timed->plan ? timed_plan_make(timed, requests, count) : 0;
}

static void timed_invalidate(struct memory *memory, unsigned cpu, const struct tlb_scope *scope)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus && (!timed->plan || timed->plan->next == timed->plan->requests));
	if (timed->core[cpu].mmu)
		mmu_invalidate(timed->core[cpu].mmu, scope);
}

static void timed_caches_changed(struct memory *memory)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(!timed->plan || timed->plan->next == timed->plan->requests);
	forget_recents(timed);
	if (timed->coherence)
		coherence_look_again(timed);
}

static void timed_switch_space(struct memory *memory, unsigned cpu, uint64_t root, unsigned pcid, bool no_flush)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus);
	if (timed->core[cpu].mmu && timed->core[cpu].mmu->walker)
		mmu_write_cr3(timed->core[cpu].mmu, root, pcid, no_flush);
}

/* Accesses of a kind that were usual, by pages of a size. A load that stores is one of each in the cache. */
static void settle_kind(struct timed_memory *timed, const struct timed_core *core, unsigned kind, enum page_size size,
                        uint64_t count)
{
	const struct timed_entry *entry = &core->entry[kind];
	core->mmu->counters.accesses += count;
	core->mmu->counters.pages += count;
	core->mmu->level_counters[0].accesses[kind] += count;
	core->mmu->level_counters[0].hits[kind][size] += count;
	for (; entry; entry = entry->store) {
		*entry->accesses += count;
		*entry->hits += count;
	}
	timed->counters.lines += count;
	timed->counters.l1_hits += count;
}

static void settle_lines(struct timed_memory *timed, const struct timed_core *core, struct usual_lines *lines)
{
	for (unsigned sizes = lines->sizes; sizes; sizes &= sizes - 1) {
		const unsigned size = (unsigned)__builtin_ctz(sizes);
		for (unsigned kinds = lines->kinds_made; kinds; kinds &= kinds - 1) {
			const unsigned kind = (unsigned)__builtin_ctz(kinds);
			uint64_t *count = &lines->count[size][kind];
			if (*count > 0)
				settle_kind(timed, core, kind, (enum page_size)size, *count);
			*count = 0;
		}
	}
	timed->counters.port_wait_cycles += lines->port_wait_cycles;
	lines->port_wait_cycles = 0;
}

static void timed_settle(struct memory *memory)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++)
		for (unsigned side = 0; side < MMU_SIDES; side++)
			if (timed->core[cpu].usual[side].sizes)
				settle_lines(timed, &timed->core[cpu], &timed->core[cpu].usual[side]);
}

static const void *timed_counters(const struct memory *memory)
{
	return &((const struct timed_memory *)memory)->counters;
}

static const void *timed_core_counters(const struct memory *memory, unsigned cpu)
{
	static const struct memory_core_counters none;
	const struct timed_memory *timed = (const struct timed_memory *)memory;
	SIM_ASSERT(cpu < timed->cpus);
	return timed->coherence ? &timed->coherence->core[cpu] : &none;
}

static size_t timed_bounced_lines(const struct memory *memory, const struct bounced_line **top, size_t count)
{
	const struct timed_memory *timed = (const struct timed_memory *)memory;
	return timed->coherence ? bounces_top(&timed->coherence->bounces, top, count) : 0;
}

static void timed_destroy(struct memory *memory)
{
	struct timed_memory *timed = (struct timed_memory *)memory;
	for (unsigned i = 0; i < timed->caches->count; i++) {
		struct timed_level *level = &timed->level[i];
		for (unsigned instance = 0; level->fills && instance < level->cache->instances; instance++)
			fill_set_release(&level->fills[instance]);
		free(level->fills);
		free(level->ports);
		free(level->slices);
		free(level->recent);
		cache_batch_release(&level->sent);
		interconnect_release(&level->interconnect);
	}
	for (unsigned cpu = 0; timed->core && cpu < timed->cpus; cpu++)
		free(timed->core[cpu].walker);
	for (unsigned i = 0; memory->usual && i < timed->cpus * MMU_SIDES; i++)
		usual_lines_release(&memory->usual[i]);
	free(memory->usual);
	free(timed->core);
	coherence_destroy(timed->coherence);
	timed_plan_destroy(timed->plan);
	free(timed);
}

const struct memory_ops memory_timed_ops = {
        .name = "timed",
        .help = "the TLBs, page walkers and caches of the machine under the clock: latencies, and waiting for what is shared",
        .has_dram = true,
        .access = timed_access,
        .settle = timed_settle,
        .plan = timed_plan,
        .invalidate = timed_invalidate,
        .caches_changed = timed_caches_changed,
        .switch_space = timed_switch_space,
        .check = timed_check,
        .metrics = timed_metrics,
        .counters = timed_counters,
        .core_metrics = memory_core_metrics,
        .core_counters = timed_core_counters,
        .bounced_lines = timed_bounced_lines,
        .destroy = timed_destroy,
};
