/* SPDX-License-Identifier: MIT
 *
 * timed_run.c - whole lines of one access, looked up level by level (interface: timed_run.h; rules: timed.c).
 *
 * What a line finds does not depend on time (timed.c), so it may be looked up before. What follows from a line is a tree: a level
 * that misses asks the next one for the line, and then gives it what had to go. Its nodes are the run's roles, numbered in the
 * order in which they happen; with three levels:
 *
 *   0 first level
 *   1   fetch at the second      4   victim at the second
 *   2     fetch at the last      5     fetch at the last
 *   3     victim at the last     6     victim at the last
 *
 * All lines of the run are asked for role 0, then those that go on for role 1, and so on. That is the same as line after line:
 * all sets in which a line's tree may do something - those of the line, of what has to go for it, and above them, where an
 * inclusive level takes it out - hold lines of one set of the first level only, and no two lines of a run share that. It holds
 * where a line's set is its number modulo the sets, of which each level has a multiple of the one above, and where the way that
 * goes depends on its own set alone.
 *
 * Then the clock goes through the tree of each line. Memory is told in this second walk only: it keeps time, and needs the order.
 */
#include "models/memory/timed_run.h"

#include "models/memory/timed_serve.h"

/* Levels of caches whose roles are kept. */
#define RUN_LEVELS_MAX 4u
#define RUN_ROLES_MAX ((1u << RUN_LEVELS_MAX) - 1)

/* What became of the lines that came to a level in one role; a bit for each line of the run. */
struct run_role {
	uint64_t missed;
	uint64_t gives; /* of those that missed: what had to go goes to the next level */
	bool fetches;   /* those that missed ask the next level for their line */
	uint64_t evicted[RUN_LINES_MAX];
};

/* What the clock has to know of a level, near at hand. */
struct run_level {
	struct fill_set *fills;
	uint32_t latency;
	bool is_shared; /* it has ports or slices, for which requests wait */
};

struct line_run {
	struct timed_memory *timed;
	const struct timed_core *core;
	const struct timed_stop *stop;
	unsigned levels, line_shift;
	uint64_t first; /* the number of the run's first line */
	struct run_level level[RUN_LEVELS_MAX];
	struct run_role role[RUN_ROLES_MAX];
};

/* The roles that follow from one at a depth: the fetch's is the next one, the victim's comes behind all that follow from that. */
static inline unsigned victim_role(const struct line_run *run, unsigned role, unsigned depth)
{
	return role + (1u << (run->levels - depth - 1));
}

/* ---- what they find ---- */

/* The first level's filter learns what became of each line. */
static void remember_run(const struct line_run *run, uint64_t lines, uint64_t marks)
{
	const struct timed_stop *at = &run->stop[0];
	if (!at->level->recent)
		return;
	uint64_t *recent = &at->level->recent[at->instance * (at->level->recent_mask + 1)];
	const uint64_t mask = at->level->recent_mask, missed = run->role[0].missed;
	for (uint64_t rest = missed; rest; rest &= rest - 1)
		recent[(run->first + (unsigned)__builtin_ctzll(rest)) & mask] = UINT64_MAX;
	for (uint64_t rest = lines & ~missed; rest; rest &= rest - 1) {
		const uint64_t number = run->first + (unsigned)__builtin_ctzll(rest);
		remember_hit(run->timed, at->level, &recent[number & mask], number, marks);
	}
}

/* Asks the level at `depth`, in a role, for some of the run's lines: for themselves, or for what had to go for them elsewhere
 * (`gone`, NULL: themselves), and all levels below it for what follows. */
static void look_up(struct line_run *run, unsigned depth, unsigned role_number, uint64_t lines, const uint64_t *gone,
                    const struct cache_about *about, uint64_t marks)
{
	const struct timed_stop *at = &run->stop[depth];
	struct run_role *role = &run->role[role_number];
	struct cache_run asked;
	uint8_t line_of[RUN_LINES_MAX];
	asked.count = 0;
	for (uint64_t rest = lines; rest; rest &= rest - 1) {
		const unsigned line = (unsigned)__builtin_ctzll(rest);
		const uint64_t number = gone ? way_tag(gone[line]) : run->first + line;
		line_of[asked.count] = (uint8_t)line;
		asked.requests[asked.count++] = number << run->line_shift | marks;
	}
	at->cache->ops->take_run(at->cache, at->instance, about, &asked);
	role->missed = role->gives = 0;
	role->fetches = asked.fetches;
	for (unsigned i = 0; i < asked.missed; i++) {
		const unsigned line = line_of[asked.misses[i].request];
		role->missed |= 1ull << line;
		role->gives |= (asked.gives >> i & 1) << line;
		role->evicted[line] = asked.misses[i].evicted;
	}
	if (depth == 0)
		remember_run(run, lines, marks);
	if (depth + 1 == run->levels)
		return;
	if (role->fetches && role->missed) {
		struct cache_about fetch;
		cache_about_set(&fetch, about->cpu, asked.fetch_kind, about->region);
		look_up(run, depth + 1, role_number + 1, role->missed, gone, &fetch, 0);
	}
	if (role->gives) {
		struct cache_about victim;
		cache_about_set(&victim, about->cpu, ACCESS_WRITEBACK, about->region);
		victim.flags = REQUEST_WHOLE_LINE;
		look_up(run, depth + 1, victim_role(run, role_number, depth), role->gives, role->evicted, &victim, WAY_DIRTY);
	}
}

/* ---- when they are there ---- */

static cycle serve_unseen(const struct line_run *run, unsigned depth, unsigned role_number, unsigned line, uint64_t number,
                          struct reach reach);

/* What a level asks for, or gives away, goes to the next one, or to memory, and nobody waits for it. */
static cycle pass_unseen(const struct line_run *run, unsigned depth, unsigned role, unsigned line, uint64_t number, uint64_t marks,
                         struct reach reach)
{
	struct timed_memory *timed = run->timed;
	if (depth + 1 < run->levels)
		return serve_unseen(run, depth + 1, role, line, number, reach);
	return timed_memory_transfer(timed, run->core, number << run->line_shift | marks, reach, &timed->unseen);
}

/* What had to go for a line at a level. There is nothing to do where the next level has it, and has neither ports nor slices. */
static inline void give_away(const struct line_run *run, unsigned depth, unsigned role_number, unsigned line, struct reach entered)
{
	const struct run_role *role = &run->role[role_number];
	if (!(role->gives >> line & 1))
		return;
	const unsigned victim = victim_role(run, role_number, depth), below = depth + 1;
	if (below < run->levels && !run->level[below].is_shared && !(run->role[victim].missed >> line & 1))
		return;
	const unsigned served_by = run->timed->served_by;
	pass_unseen(run, depth, victim, line, way_tag(role->evicted[line]), WAY_DIRTY, entered);
	run->timed->served_by = served_by;
}

/* A miss that nobody waits for asks below. Returns when its line is here. */
static cycle fetch_unseen(const struct line_run *run, unsigned depth, unsigned role_number, unsigned line, uint64_t number,
                          struct reach reach)
{
	struct timed_memory *timed = run->timed;
	const struct timed_stop *at = &run->stop[depth];
	const uint32_t slot = take_slot(timed, at, &reach, false, NULL);
	const cycle done = pass_unseen(run, depth, role_number + 1, line, number, 0, reach);
	fill_set_add(at->fills, slot, number, done, source_of(timed));
	return done;
}

/* A line that nobody waits for comes to a level: the run's own, or one that had to go for it. Returns when it is there. */
static cycle serve_unseen(const struct line_run *run, unsigned depth, unsigned role_number, unsigned line, uint64_t number,
                          struct reach reach)
{
	struct timed_memory *timed = run->timed;
	const struct timed_stop *at = &run->stop[depth];
	const struct run_role *role = &run->role[role_number];
	enter_level(timed, run->core, at->level, at->instance, number << run->line_shift, &reach, NULL);
	cycle done = reach.now + reach.cycles;
	if (!(role->missed >> line & 1)) {
		timed->served_by = depth;
		return done;
	}
	if (role->fetches)
		done = fetch_unseen(run, depth, role_number, line, number, reach);
	give_away(run, depth, role_number, line, reach);
	return done;
}

/* A line is on its way to a level, which has asked for it before. One that went meanwhile is asked for again, which
 * nobody waits for. */
static __attribute__((noinline)) void end_merged(const struct line_run *run, unsigned depth, unsigned line, uint64_t number,
                                                 struct reach entered)
{
	if (run->role[depth].missed >> line & 1) {
		if (run->role[depth].fetches)
			fetch_unseen(run, depth, depth, line, number, entered);
		give_away(run, depth, depth, line, entered);
	}
	run->timed->served_by = depth;
}

/* A line of the run: its own roles have the numbers of their levels. Returns when it is there. `levels` are run->levels, a
 * constant where the compiler shall know them. */
static inline __attribute__((always_inline)) cycle serve_line(const struct line_run *run, unsigned line, cycle now, unsigned levels)
{
	struct timed_memory *timed = run->timed;
	const uint64_t number = run->first + line;
	struct {
		struct reach entered;
		uint32_t slot;
	} miss[RUN_LEVELS_MAX];
	struct reach reach = {.now = now};
	unsigned depth = 0;
	cycle done = now;
	timed->served_by = 0; /* a store that needs no fetch is served where it goes */
#pragma GCC unroll 4
	while (depth < levels) {
		const struct run_level *level = &run->level[depth];
		if (level->is_shared)
			enter_level(timed, run->core, run->stop[depth].level, run->stop[depth].instance, number << run->line_shift,
			            &reach, NULL);
		else if (reach.cycles < level->latency)
			reach.cycles = level->latency;
		const cycle here = reach.now + reach.cycles;
		done = wait_for_fill(timed, level->fills, number, here, &timed->unasked);
		if (done > here) {
			end_merged(run, depth, line, number, reach);
			break;
		}
		if (!(run->role[depth].missed >> line & 1)) {
			timed->served_by = depth;
			break;
		}
		miss[depth].entered = reach;
		if (!run->role[depth++].fetches)
			break;
		miss[depth - 1].slot = take_slot(timed, &run->stop[depth - 1], &reach, true, NULL);
		if (depth == levels) {
			done = timed_memory_transfer(timed, run->core, number << run->line_shift, reach, &timed->unasked);
			break;
		}
	}
	const enum cost_part source = source_of(timed);
	while (depth-- > 0) {
		if (run->role[depth].fetches)
			fill_set_add(run->level[depth].fills, miss[depth].slot, number, done, source);
		give_away(run, depth, depth, line, miss[depth].entered);
	}
	return done;
}

/* The first `lines` lines of the run, the first at `now`, each a cycle after the one before. Returns when all are there. */
static inline __attribute__((always_inline)) cycle serve_lines(const struct line_run *run, unsigned lines, cycle now,
                                                               unsigned levels)
{
	cycle last = now;
	for (unsigned line = 0; line < lines; line++) {
		const cycle done = serve_line(run, line, now + line, levels);
		++*run->timed->depth_counter[run->timed->served_by];
		if (done > last)
			last = done;
	}
	return last;
}

cycle timed_run_lines(struct timed_memory *timed, const struct timed_core *core, uint64_t address, unsigned lines, unsigned kind,
                      uint8_t region, cycle now)
{
	struct line_run run;
	struct cache_about about;
	const struct timed_entry *entry = &core->entry[kind];
	run.timed = timed;
	run.core = core;
	run.stop = core->path[kind].stop;
	run.levels = timed->caches->levels;
	run.line_shift = entry->shift;
	run.first = address >> entry->shift;
	for (unsigned depth = 0; depth < run.levels; depth++)
		run.level[depth] = (struct run_level){.fills = run.stop[depth].fills,
		                                      .latency = run.stop[depth].level->latency,
		                                      .is_shared = run.stop[depth].level->ports || run.stop[depth].level->is_sliced};
	cache_about_set(&about, core->cpu, (uint8_t)kind, region);
	if (entry->mark)
		about.flags = REQUEST_WHOLE_LINE;
	look_up(&run, 0, 0, UINT64_MAX >> (RUN_LINES_MAX - lines), NULL, &about, entry->mark ? WAY_DIRTY : 0);
	timed->counters.lines += lines;
	return run.levels == 3 ? serve_lines(&run, lines, now, 3) : serve_lines(&run, lines, now, run.levels);
}

/* ---- who may ---- */

/* Whether the way that goes depends on its own set alone, and all lines of a set share one of the level above. */
static bool is_apart(const struct timed_stop *at, const struct replacement *above)
{
	const struct replacement *array = at->cache->arrays[at->instance];
	return array->index == INDEX_LINEAR && !array->ops->has_stream && (!above || array->sets % above->sets == 0);
}

unsigned timed_run_room(const struct timed_memory *timed, const struct timed_core *core, unsigned kind)
{
	const struct timed_entry *entry = &core->entry[kind];
	const struct timed_stop *stop = core->path[kind].stop, *victims = core->path[ACCESS_WRITEBACK].stop;
	const struct replacement *above = NULL;
	if (timed->coherence || !entry->stop || entry->shift != timed->line_shift || timed->caches->levels > RUN_LEVELS_MAX)
		return 0;
	for (unsigned depth = 0; depth < timed->caches->levels; depth++) {
		if (!stop[depth].level || !stop[depth].cache->ops->take_run || !is_apart(&stop[depth], above))
			return 0;
		if (depth > 0 && victims[depth].level != stop[depth].level)
			return 0;
		above = stop[depth].cache->arrays[stop[depth].instance];
	}
	const uint32_t sets = stop[0].cache->arrays[stop[0].instance]->sets;
	return sets < RUN_LINES_MAX ? sets : RUN_LINES_MAX;
}
