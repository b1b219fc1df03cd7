/* SPDX-License-Identifier: MIT
 *
 * timed_coherence.c - coherence among cores: MESI or MOESI by an exact directory (interface: timed_coherence.h).
 *
 *   read, another core has written it   comes from there; MESI: written back to the cache below it or memory, both share it;
 *                                       MOESI: its core keeps it, written, and owns it
 *   read, others have it clean          from the cache that the cores share if that has it, else from the nearest of them
 *   write, others have it               their copies go: as long as the farthest round trip, beside the fetch if there is one
 *   write, nobody else has it           nothing: it was exclusive
 *
 * A transfer takes machine.latency.remote from the core's request, and what the ways of both cores to the line's slice of the
 * last-level cache add: the request goes there, and from there to who has the line. Behind another last-level cache it takes
 * machine.latency.remote_far. A line is busy until it has arrived, and so long as a locked instruction keeps it; who asks for it
 * meanwhile waits, so N cores that write one line take it in N transfers one after the other.
 *
 * The directory says in whose own caches, and in which shared ones, a line is. Tags change in many places during an access; each
 * is noted, and at its end the caches of those lines are looked at again (coherence_settle). What was found the directory learns
 * before it is looked at for the next time.
 *
 * A prefetch into a shared cache takes what others have written from them, as a read does. MODEL: what a core of its own has
 * written, and what others have clean, it takes from below; of the first it has an older copy, as after a store.
 *
 * MODEL: the directory is exact; real ones are told of written lines that leave only. MODEL: a clean copy comes from another core
 * wherever no shared cache of the asking core has the line. MODEL: answers do not meet: what one core's request changes is
 * changed when it is made.
 *
 * Source: Intel SDM vol. 3A 11.4 (MESI); AMD APM vol. 2 7.3 (MOESI); Molka et al., Cache Coherence Protocol and Memory
 * Performance of the Intel Haswell-EP Architecture, 2015 (where data come from). That the way goes by the line's slice: in
 * measured matrices of one line each pair costs what its two cores have to that line, not to each other
 * (docs/studies/core-to-core.md).
 *
 * Most lines that leave a first-level cache are still in the core's next one, and nothing changes. So that nobody has to look for
 * them there, one that the next cache let go before is marked in the first level (WAY_ALONE), as is one that came without it.
 *
 * Laws (coherence_check): the directory = what the caches hold; what a first-level cache holds unmarked its next one holds too; a line that is written in a core's own caches has that core as
 * its owner, and with MESI no other holder but the owner's shared caches; transfers received = transfers given + those of shared
 * caches; invalidations sent = received + those of shared caches; the sums of the cores = those of the memory.
 */
#include "models/memory/timed_coherence.h"

#include "models/memory/timed_serve.h"

#include <stdlib.h>

/* ---- distances ---- */

static const struct cache_level *last_cache(const struct timed_memory *timed)
{
	return timed->caches->caches[timed->caches->count - 1];
}

/* From one core to what another has of a line: by the line's slice, which knows who has it. */
static uint32_t distance(const struct timed_memory *timed, uint64_t line, unsigned from, unsigned to)
{
	const struct coherence *coherence = timed->coherence;
	const struct cache_level *last = last_cache(timed);
	const struct timed_level *level = &timed->level[last->number];
	if (cache_hierarchy_instance(last, from) != cache_hierarchy_instance(last, to) && last->spec->cores != 1)
		return coherence->far_cycles;
	if (!level->interconnect.cycles)
		return coherence->near_cycles;
	unsigned slice = slice_of(level, line << coherence->line_shift);
	return coherence->near_cycles + way_to_slice(level, &timed->core[from], slice) +
	       way_to_slice(level, &timed->core[to], slice);
}

/* ---- who else has the line ---- */

/* Holders of a line but for a core and the shared caches that it uses. */
struct others {
	struct core_set cores, shared;
};

static struct others others_of(const struct coherence *coherence, const struct directory_entry *entry, unsigned cpu)
{
	struct others others = {entry->cores, entry->shared};
	core_set_remove(&others.cores, cpu);
	for (unsigned word = 0; word < CPUS_MAX / 64; word++)
		others.shared.bits[word] &= ~coherence->chain[cpu].bits[word];
	return others;
}

/* Whether there are none: as a rule. */
static bool nobody_else(const struct coherence *coherence, const struct directory_entry *entry, unsigned cpu)
{
	uint64_t bits = 0;
	for (unsigned word = 0; word < CPUS_MAX / 64; word++) {
		uint64_t own = cpu / 64 == word ? 1ull << cpu % 64 : 0;
		bits |= (entry->cores.bits[word] & ~own) | (entry->shared.bits[word] & ~coherence->chain[cpu].bits[word]);
	}
	return bits == 0;
}

/* The nearest and the farthest of them. */
struct reaches {
	uint32_t nearest, farthest;
	unsigned giver; /* the nearest; CPUS_MAX: a shared cache */
};

static void reach_holder(const struct timed_memory *timed, struct reaches *reaches, uint64_t line, unsigned from, unsigned to,
                         unsigned giver)
{
	uint32_t cycles = distance(timed, line, from, to);
	if (cycles < reaches->nearest) {
		reaches->nearest = cycles;
		reaches->giver = giver;
	}
	if (cycles > reaches->farthest)
		reaches->farthest = cycles;
}

static struct reaches reaches_of(const struct timed_memory *timed, const struct others *others, uint64_t line, unsigned from)
{
	struct reaches reaches = {.nearest = UINT32_MAX, .giver = CPUS_MAX};
	for (unsigned cpu = core_set_next(&others->cores, 0); cpu < CPUS_MAX; cpu = core_set_next(&others->cores, cpu + 1))
		reach_holder(timed, &reaches, line, from, cpu, cpu);
	for (unsigned nr = core_set_next(&others->shared, 0); nr < CPUS_MAX; nr = core_set_next(&others->shared, nr + 1))
		reach_holder(timed, &reaches, line, from, timed->coherence->shared_cpu[nr], CPUS_MAX);
	return reaches;
}

/* The cache and instance of a shared holder. */
static struct cache_level *shared_cache(const struct timed_memory *timed, unsigned nr, unsigned *instance)
{
	const struct coherence *coherence = timed->coherence;
	unsigned i = coherence->shared_count - 1;
	while (coherence->shared_base[coherence->shared[i]] > nr)
		i--;
	*instance = nr - coherence->shared_base[coherence->shared[i]];
	return timed->caches->caches[coherence->shared[i]];
}

/* ---- counting ---- */

static struct bounced_line *record(struct coherence *coherence, uint64_t line, unsigned cpu)
{
	struct bounced_line *bounced = bounces_make(&coherence->bounces, line);
	if (bounced)
		core_set_add(&bounced->cores, cpu);
	return bounced;
}

/* A copy was taken from a core (CPUS_MAX: from a shared cache) for another one's store. */
static void count_invalidation(struct timed_memory *timed, unsigned by, unsigned of, struct bounced_line *bounced)
{
	struct coherence *coherence = timed->coherence;
	timed->counters.invalidations++;
	coherence->core[by].invalidations_sent++;
	if (of < CPUS_MAX)
		coherence->core[of].invalidations_received++;
	else
		timed->counters.shared_invalidations++;
	if (!bounced)
		return;
	bounced->invalidations++;
	if (of < CPUS_MAX)
		core_set_add(&bounced->cores, of);
}

/* ---- copies that go, or become shared ---- */

static void forget_recent(struct timed_level *level, unsigned instance, uint64_t line)
{
	if (level->recent)
		level->recent[instance * (level->recent_mask + 1) + (line & level->recent_mask)] = UINT64_MAX;
}

static unsigned remove_from(struct timed_memory *timed, unsigned number, unsigned instance, uint64_t line, bool *dirty)
{
	struct timed_level *level = &timed->level[number];
	forget_recent(level, instance, line);
	return level->cache->ops->remove(level->cache, instance, line << timed->coherence->line_shift,
	                                 level->cache->spec->line_bytes, dirty);
}

static unsigned remove_own(struct timed_memory *timed, unsigned cpu, uint64_t line, bool *dirty)
{
	const struct coherence *coherence = timed->coherence;
	unsigned held = 0;
	for (unsigned i = 0; i < coherence->own_count; i++)
		held += remove_from(timed, coherence->own[i], cpu, line, dirty);
	return held;
}

/* Takes the line from all others, and out of what the directory is to know of it. */
static void invalidate_others(struct timed_memory *timed, struct directory_entry *entry, const struct others *others, unsigned by)
{
	struct coherence *coherence = timed->coherence;
	uint64_t line = entry->line;
	struct bounced_line *bounced = record(coherence, line, by);
	bool dirty = false;
	for (unsigned cpu = core_set_next(&others->cores, 0); cpu < CPUS_MAX; cpu = core_set_next(&others->cores, cpu + 1)) {
		remove_own(timed, cpu, line, &dirty);
		core_set_remove(&entry->cores, cpu);
		count_invalidation(timed, by, cpu, bounced);
	}
	for (unsigned nr = core_set_next(&others->shared, 0); nr < CPUS_MAX; nr = core_set_next(&others->shared, nr + 1)) {
		unsigned instance;
		const struct cache_level *cache = shared_cache(timed, nr, &instance);
		remove_from(timed, cache->number, instance, line, &dirty);
		core_set_remove(&entry->shared, nr);
		count_invalidation(timed, by, CPUS_MAX, bounced);
	}
	if (entry->owner != by)
		entry->owner = OWNER_NONE;
}

/* The first cache of a core from `depth` on that serves data, and in *depth where it is; NULL: none. */
static struct cache_level *next_cache(const struct timed_memory *timed, unsigned *depth)
{
	const struct cache_hierarchy *caches = timed->caches;
	while (*depth < caches->levels && caches->level[*depth].list_of[ACCESS_LOAD] == LIST_PASSING)
		++*depth;
	return *depth < caches->levels ? caches->level[*depth].cache[caches->level[*depth].list_of[ACCESS_LOAD]] : NULL;
}

/*
 * The exclusive caches below a core's own ones have the line clean from now on: they would hand it up as written. Where a core
 * owns the line, theirs is an older copy. Returns whether one of them had written it.
 */
static bool clean_exclusive(struct timed_memory *timed, unsigned cpu, uint64_t line)
{
	struct cache_level *cache;
	bool dirty = false;
	for (unsigned depth = timed->coherence->first_shared; (cache = next_cache(timed, &depth)); depth++)
		if (cache->spec->inclusion == INCLUSION_EXCLUSIVE)
			dirty |= cache->ops->clean(cache, cache_hierarchy_instance(cache, cpu),
			                           line << timed->coherence->line_shift);
	return dirty;
}

/* A written line goes to the first cache below a core's own ones that has it, or to memory; exclusive ones do not take it. */
static void write_back(struct timed_memory *timed, unsigned cpu, uint64_t line, cycle at)
{
	uint64_t address = line << timed->coherence->line_shift;
	struct cache_level *cache;
	for (unsigned depth = timed->coherence->first_shared; (cache = next_cache(timed, &depth)); depth++)
		if (cache->spec->inclusion != INCLUSION_EXCLUSIVE &&
		    cache->ops->mark_dirty(cache, cache_hierarchy_instance(cache, cpu), address))
			return;
	timed->counters.dram_writes++;
	dram_access(timed->dram, address, true, at);
}

/* MESI: the owner's copies are as memory, or the cache below them, has the line. */
static void share(struct timed_memory *timed, struct directory_entry *entry, cycle at)
{
	const struct coherence *coherence = timed->coherence;
	uint64_t line = entry->line;
	unsigned cpu = entry->owner;
	for (unsigned i = 0; i < coherence->own_count; i++) {
		struct timed_level *level = &timed->level[coherence->own[i]];
		forget_recent(level, cpu, line);
		level->cache->ops->clean(level->cache, cpu, line << coherence->line_shift);
	}
	entry->owner = OWNER_NONE;
	write_back(timed, cpu, line, at);
}

/* MESI: what an exclusive cache has written is not handed up as written while others have the line. */
static void share_exclusive(struct timed_memory *timed, unsigned cpu, uint64_t line, cycle at)
{
	if (clean_exclusive(timed, cpu, line))
		write_back(timed, cpu, line, at);
}

/* MOESI: the owner keeps its written copy, but may not write it again without asking. */
static void share_owned(struct timed_memory *timed, const struct directory_entry *entry)
{
	const struct coherence *coherence = timed->coherence;
	for (unsigned i = 0; i < coherence->own_count; i++)
		forget_recent(&timed->level[coherence->own[i]], entry->owner, entry->line);
}

/* ---- what the directory has to look at again ---- */

static void add_note(struct coherence *coherence, struct holder_note note)
{
	if (coherence->notes_count == coherence->notes_capacity) {
		coherence->notes_capacity = coherence->notes_capacity ? 2 * coherence->notes_capacity : 64;
		coherence->notes = xrealloc(coherence->notes, coherence->notes_capacity * sizeof *coherence->notes);
	}
	coherence->notes[coherence->notes_count++] = note;
}

/* A core's own caches. */
static void note_own(struct coherence *coherence, unsigned cpu, uint64_t line)
{
	add_note(coherence, (struct holder_note){line, (uint16_t)cpu, false, HIERARCHY_CACHES_MAX});
}

static bool is_own_note(const struct holder_note *note, unsigned cpu, uint64_t line)
{
	return note->line == line && note->holder == cpu && !note->is_shared && note->left == HIERARCHY_CACHES_MAX;
}

/* ---- what the directory learns ---- */

/* The line is held, or is not, by a holder that may have written it. */
static void set_holder(struct directory *directory, struct directory_slot *slot, const struct lesson *lesson)
{
	struct directory_entry entry = directory_look(directory, slot);
	struct core_set *set = lesson->is_shared ? &entry.shared : &entry.cores;
	if (lesson->is_here)
		core_set_add(set, lesson->holder);
	else
		core_set_remove(set, lesson->holder);
	if (!lesson->is_shared && lesson->is_dirty)
		entry.owner = lesson->holder;
	else if (!lesson->is_shared && entry.owner == lesson->holder)
		entry.owner = OWNER_NONE;
	if (core_set_empty(&entry.cores) && core_set_empty(&entry.shared))
		directory_drop(directory, slot);
	else
		directory_set(directory, slot, &entry);
}

/* A line that the directory does not know has a holder. */
static void add_holder(struct directory *directory, const struct lesson *lesson)
{
	if (lesson->is_shared)
		directory_add_shared(directory, lesson->line, lesson->holder);
	else
		directory_add(directory, lesson->line, lesson->holder, lesson->is_dirty);
}

static void learn(struct directory *directory, const struct lesson *lesson)
{
	struct directory_slot *slot = directory_find(directory, lesson->line);
	if (!slot && !lesson->is_kept && lesson->is_here)
		add_holder(directory, lesson);
	if (!slot)
		return;
	if (lesson->is_kept)
		directory_keep(directory, slot, lesson->busy_until);
	else if (lesson->is_shared || !directory_set_core(slot, lesson->holder, lesson->is_here, lesson->is_dirty))
		set_holder(directory, slot, lesson);
	else if (directory_is_left(slot))
		directory_drop(directory, slot);
}

static void learn_all(struct coherence *coherence)
{
	for (uint32_t i = 0; i < coherence->lessons_count; i++)
		learn(&coherence->directory, &coherence->lessons[i]);
	coherence->lessons_count = 0;
}

/* What the directory will learn, of a line, to be filled in there: what is copied would be read before it is written through. */
static inline struct lesson *next_lesson(struct coherence *coherence, uint64_t line)
{
	if (coherence->lessons_count == LESSONS_MAX)
		learn_all(coherence);
	struct lesson *lesson = &coherence->lessons[coherence->lessons_count++];
	lesson->line = line;
	return lesson;
}

/* The line's slot in a directory that knows all; NULL: nobody holds the line. */
static struct directory_slot *find_slot(struct coherence *coherence, uint64_t line)
{
	if (coherence->lessons_count > 0)
		learn_all(coherence);
	return directory_find(&coherence->directory, line);
}

/* ---- a store ---- */

/* Whether the first level has the line written, so that with MESI nobody else has it. */
static bool first_level_has_written(const struct timed_memory *timed, const struct timed_core *core, const struct access *access)
{
	const struct cache_hierarchy_level *first = &timed->caches->level[0];
	unsigned list = first->list_of[access->kind == ACCESS_MODIFY ? ACCESS_LOAD : access->kind];
	uint64_t marks = 0;
	return list != LIST_PASSING && cache_level_holds(first->cache[list], core->cpu, access->address, &marks) &&
	       (marks & WAY_DIRTY);
}

static uint32_t first_latency(const struct timed_memory *timed)
{
	const struct cache_hierarchy_level *first = &timed->caches->level[0];
	unsigned list = first->list_of[ACCESS_LOAD];
	return list == LIST_PASSING ? 0 : timed->level[first->cache[list]->number].latency;
}

/* A store to a line that others have, and this core has or not: their copies go. */
static cycle own_shared(struct timed_memory *timed, const struct timed_core *core, struct directory_entry *entry, cycle now,
                        struct cost *cost)
{
	struct coherence *coherence = timed->coherence;
	const uint64_t line = entry->line;
	struct others others = others_of(coherence, entry, core->cpu);
	struct reaches reaches = reaches_of(timed, &others, line, core->cpu);
	bool is_upgrade = core_set_has(&entry->cores, core->cpu), is_dirty = entry->owner != OWNER_NONE && !is_upgrade;
	unsigned owner = entry->owner;
	cycle busy_until = entry->busy_until;
	invalidate_others(timed, entry, &others, core->cpu);
	if (!is_upgrade) {
		coherence->supply =
		        (struct supply){.is_active = true,
		                        .is_dirty = is_dirty,
		                        .has_copy = true,
		                        .line = line,
		                        .cycles = is_dirty ? distance(timed, line, core->cpu, owner) : reaches.nearest,
		                        .invalidate_cycles = reaches.farthest,
		                        .busy_until = busy_until,
		                        .giver = is_dirty ? owner : reaches.giver};
		return now;
	}
	coherence->core[core->cpu].upgrades++;
	timed->counters.upgrades++;
	struct bounced_line *bounced = bounces_find(&coherence->bounces, line);
	if (bounced)
		bounced->upgrades++;
	uint32_t latency = first_latency(timed), trip = reaches.farthest > latency ? reaches.farthest - latency : 0;
	cycle start = busy_until > now ? busy_until : now;
	entry->busy_until = start + latency + trip;
	timed->counters.line_waits += start > now;
	timed->counters.line_wait_cycles += start - now;
	cost->cycles[COST_COHERENCE] += start + trip - now;
	return start + trip;
}

cycle coherence_own(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                    struct cost *cost)
{
	struct coherence *coherence = timed->coherence;
	uint64_t line = access->address >> coherence->line_shift;
	coherence->supply.is_active = false;
	directory_foresee(&coherence->directory, line);
	if (!coherence->keeps_owner && first_level_has_written(timed, core, access))
		return now;
	struct directory_slot *slot = find_slot(coherence, line);
	const bool is_only = slot && directory_is_only(slot, core->cpu);
	if (is_only && (slot->known & SLOT_OWNED))
		return now;
	if (!slot || is_only) {
		note_own(coherence, core->cpu, line);
		return now;
	}
	struct directory_entry entry = directory_look(&coherence->directory, slot);
	if (entry.owner != core->cpu)
		note_own(coherence, core->cpu, line);
	if (nobody_else(coherence, &entry, core->cpu))
		return now;
	cycle start = own_shared(timed, core, &entry, now, cost);
	directory_set(&coherence->directory, slot, &entry);
	return start;
}

/* ---- a fetch ---- */

/* The shared cache among others that has written the line, CPUS_MAX if none has. */
static unsigned written_in_shared(const struct timed_memory *timed, const struct others *others, uint64_t line)
{
	for (unsigned nr = core_set_next(&others->shared, 0); nr < CPUS_MAX; nr = core_set_next(&others->shared, nr + 1)) {
		unsigned instance;
		uint64_t marks = 0;
		const struct cache_level *cache = shared_cache(timed, nr, &instance);
		if (cache->ops->holds(cache, instance, line << timed->coherence->line_shift, &marks) && (marks & WAY_DIRTY))
			return nr;
	}
	return CPUS_MAX;
}

/* Whether a shared cache that the core uses has the line, and the owner does not use that one: it is as the owner has it. */
static bool has_up_to_date(const struct coherence *coherence, const struct directory_entry *entry, unsigned cpu)
{
	uint64_t bits = 0;
	for (unsigned word = 0; word < CPUS_MAX / 64; word++) {
		uint64_t owners = entry->owner == OWNER_NONE ? 0 : coherence->chain[entry->owner].bits[word];
		bits |= entry->shared.bits[word] & coherence->chain[cpu].bits[word] & ~owners;
	}
	return bits != 0;
}

/* The owner gives the line, and its copy becomes shared. */
static void supply_from_owner(struct timed_memory *timed, const struct timed_core *core, struct directory_entry *entry, cycle at)
{
	struct coherence *coherence = timed->coherence;
	struct supply *supply = &coherence->supply;
	supply->is_dirty = true;
	supply->giver = entry->owner;
	supply->cycles = distance(timed, supply->line, core->cpu, entry->owner);
	clean_exclusive(timed, entry->owner, supply->line);
	if (coherence->keeps_owner)
		share_owned(timed, entry);
	else
		share(timed, entry, at);
}

/* A shared cache that has written the line gives it; MESI: it is written to memory. */
static void supply_from_shared(struct timed_memory *timed, const struct timed_core *core, unsigned nr, cycle at)
{
	struct coherence *coherence = timed->coherence;
	struct supply *supply = &coherence->supply;
	supply->is_dirty = true;
	supply->giver = CPUS_MAX;
	supply->cycles = distance(timed, supply->line, core->cpu, coherence->shared_cpu[nr]);
	if (coherence->keeps_owner)
		return;
	unsigned instance;
	struct cache_level *cache = shared_cache(timed, nr, &instance);
	cache->ops->clean(cache, instance, supply->line << coherence->line_shift);
	timed->counters.dram_writes++;
	dram_access(timed->dram, supply->line << coherence->line_shift, true, at);
}

void coherence_leave(struct timed_memory *timed, const struct timed_core *core, uint64_t line, cycle at)
{
	struct coherence *coherence = timed->coherence;
	struct supply *supply = &coherence->supply;
	/* A store has been the first to say so. */
	if (coherence->notes_count == 0 || !is_own_note(&coherence->notes[0], core->cpu, line))
		note_own(coherence, core->cpu, line);
	if (supply->is_active && supply->line == line)
		return;
	supply->is_active = false;
	struct directory_slot *slot = find_slot(coherence, line);
	if (!slot || directory_is_only(slot, core->cpu))
		return;
	struct directory_entry entry = directory_look(&coherence->directory, slot);
	if (nobody_else(coherence, &entry, core->cpu))
		return;
	if (!coherence->keeps_owner && entry.owner == OWNER_NONE)
		share_exclusive(timed, core->cpu, line, at);
	if (has_up_to_date(coherence, &entry, core->cpu))
		return;
	*supply = (struct supply){.is_active = true, .has_copy = true, .line = line, .busy_until = entry.busy_until};
	if (entry.owner != OWNER_NONE && entry.owner != core->cpu) {
		supply_from_owner(timed, core, &entry, at);
		directory_set(&coherence->directory, slot, &entry);
		return;
	}
	struct others others = others_of(coherence, &entry, core->cpu);
	unsigned nr = written_in_shared(timed, &others, line);
	if (nr < CPUS_MAX) {
		supply_from_shared(timed, core, nr, at);
		return;
	}
	struct reaches reaches = reaches_of(timed, &others, line, core->cpu);
	supply->cycles = reaches.nearest;
	supply->giver = reaches.giver;
}

/* Whether a core uses the same instance of a cache. */
static bool uses_same(const struct cache_level *cache, unsigned cpu, unsigned other)
{
	return cache_hierarchy_instance(cache, cpu) == cache_hierarchy_instance(cache, other);
}

bool coherence_leave_shared(struct timed_memory *timed, const struct timed_core *core, const struct cache_level *cache,
                            uint64_t line, cycle at)
{
	struct coherence *coherence = timed->coherence;
	struct supply *supply = &coherence->supply;
	if (cache->instances == 1 || (supply->is_active && supply->line == line))
		return false;
	struct directory_slot *slot = find_slot(coherence, line);
	if (!slot)
		return false;
	struct directory_entry entry = directory_look(&coherence->directory, slot);
	if (has_up_to_date(coherence, &entry, core->cpu))
		return false;
	const struct supply found = {.is_active = true, .has_copy = true, .line = line, .busy_until = entry.busy_until};
	/* Of what the cache's own cores have written it may have an older copy. */
	if (entry.owner != OWNER_NONE) {
		if (uses_same(cache, core->cpu, entry.owner))
			return false;
		*supply = found;
		supply_from_owner(timed, core, &entry, at);
		directory_set(&coherence->directory, slot, &entry);
		return true;
	}
	struct others others = others_of(coherence, &entry, core->cpu);
	unsigned nr = written_in_shared(timed, &others, line);
	if (nr == CPUS_MAX || uses_same(cache, core->cpu, coherence->shared_cpu[nr]))
		return false;
	*supply = found;
	supply_from_shared(timed, core, nr, at);
	return true;
}

void coherence_take(struct timed_memory *timed, const struct timed_core *core, bool is_dirty, cycle done)
{
	struct coherence *coherence = timed->coherence;
	const struct supply *supply = &coherence->supply;
	struct memory_core_counters *counters = &coherence->core[core->cpu];
	struct bounced_line *bounced = record(coherence, supply->line, core->cpu);
	timed->counters.transfers_dirty += is_dirty;
	timed->counters.transfers_clean += !is_dirty;
	counters->transfers_dirty += is_dirty;
	counters->transfers_clean += !is_dirty;
	if (supply->giver < CPUS_MAX)
		coherence->core[supply->giver].transfers_given++;
	else
		timed->counters.shared_transfers++;
	if (bounced) {
		bounced->transfers_dirty += is_dirty;
		bounced->transfers_clean += !is_dirty;
		if (supply->giver < CPUS_MAX)
			core_set_add(&bounced->cores, supply->giver);
	}
	coherence_keep(coherence, supply->line, done);
}

void coherence_keep(struct coherence *coherence, uint64_t line, cycle until)
{
	struct directory_slot *slot = find_slot(coherence, line);
	if (slot)
		directory_keep(&coherence->directory, slot, until);
}

void coherence_keep_after(struct coherence *coherence, uint64_t line, cycle until)
{
	struct lesson *lesson = next_lesson(coherence, line);
	lesson->busy_until = until;
	lesson->is_kept = true;
}

/* ---- the directory follows the caches ---- */

void coherence_note(struct coherence *coherence, const struct cache_level *cache, unsigned instance, uint64_t line)
{
	if (cache->instances == 1)
		return;
	bool is_shared = cache->spec->cores != 1;
	/* What coherence_settle() will look at. */
	directory_foresee(&coherence->directory, line);
	if (!is_shared)
		cache_level_foresee(coherence->last_own, instance, line << coherence->line_shift);
	unsigned holder = is_shared ? coherence->shared_base[cache->number] + instance : instance;
	add_note(coherence, (struct holder_note){line, (uint16_t)holder, is_shared, HIERARCHY_CACHES_MAX});
}

void coherence_note_gone(struct coherence *coherence, const struct cache_level *cache, unsigned instance, uint64_t word)
{
	if (cache->spec->cores != 1 || (word & WAY_DIRTY)) {
		coherence_note(coherence, cache, instance, way_tag(word));
		return;
	}
	/* Nothing changes for the directory while the next cache has the line. */
	if ((coherence->backed >> cache->number & 1) && !(word & WAY_ALONE))
		return;
	if (cache == coherence->last_own)
		directory_foresee(&coherence->directory, way_tag(word));
	else
		cache_level_foresee(coherence->last_own, instance, way_tag(word) << coherence->line_shift);
	add_note(coherence, (struct holder_note){way_tag(word), (uint16_t)instance, false, cache->number});
}

/* Whether one of a core's own caches holds the line; *dirty becomes true if it has written it. */
static bool cache_holds(const struct timed_memory *timed, unsigned number, unsigned cpu, uint64_t line, bool *dirty)
{
	const struct cache_level *cache = timed->caches->caches[number];
	uint64_t marks = 0;
	bool here = cache_level_holds(cache, cpu, line << timed->coherence->line_shift, &marks);
	*dirty |= (marks & WAY_DIRTY) != 0;
	return here;
}

/* First-level caches of a core, a bit for each, hold a line that their next one does not: its leaving will have to be told. */
static __attribute__((noinline)) void mark_alone(const struct timed_memory *timed, uint32_t numbers, unsigned cpu, uint64_t line)
{
	for (; numbers; numbers &= numbers - 1) {
		const struct replacement *array = timed->caches->caches[__builtin_ctz(numbers)]->arrays[cpu];
		const uint32_t set = replacement_set_of(array, line);
		replacement_words(array, set)[replacement_find(array, set, line)] |= WAY_ALONE;
	}
}

/* Which of a core's own caches hold the line, a bit for each by number, and whether written. The last of them as a rule knows. */
static uint32_t look_own(const struct timed_memory *timed, unsigned cpu, uint64_t line, bool *dirty)
{
	const struct coherence *coherence = timed->coherence;
	uint32_t here = 0;
	*dirty = false;
	for (unsigned i = coherence->own_count; i-- > 0;)
		here |= (uint32_t)cache_holds(timed, coherence->own[i], cpu, line, dirty) << coherence->own[i];
	return here;
}

/* Whether a core's own caches hold the line, and whether written. */
static bool own_hold(const struct timed_memory *timed, unsigned cpu, uint64_t line, bool *dirty)
{
	const struct coherence *coherence = timed->coherence;
	const uint32_t here = look_own(timed, cpu, line, dirty), alone = here & coherence->backed;
	if (alone && !(here >> coherence->backing->number & 1))
		mark_alone(timed, alone, cpu, line);
	return here != 0;
}

/* Whether a core's own caches but the one that the note names hold the line. */
static bool others_of_own_hold(const struct timed_memory *timed, const struct holder_note *note)
{
	const struct coherence *coherence = timed->coherence;
	const bool was_backing = coherence->backing && note->left == coherence->backing->number;
	uint32_t here = 0;
	for (unsigned i = coherence->own_count; i-- > 0 && (was_backing || !here);) {
		const struct cache_level *cache = timed->caches->caches[coherence->own[i]];
		if (cache->number != note->left)
			here |= (uint32_t)cache->ops->holds(cache, note->holder, note->line << coherence->line_shift, NULL)
			        << cache->number;
	}
	if (was_backing && (here & coherence->backed))
		mark_alone(timed, here & coherence->backed, note->holder, note->line);
	return here != 0;
}

/* Whether another note tells of the same line: each that comes into a core's own cache is noted, if only as one that went. */
static bool is_noted_again(const struct coherence *coherence, uint32_t at)
{
	for (uint32_t i = 0; i < coherence->notes_count; i++)
		if (i != at && coherence->notes[i].line == coherence->notes[at].line)
			return true;
	return false;
}

void coherence_settle(struct timed_memory *timed)
{
	struct coherence *coherence = timed->coherence;
	for (uint32_t i = 0; i < coherence->notes_count; i++) {
		const struct holder_note *note = &coherence->notes[i];
		bool dirty = false, here;
		if (note->is_shared) {
			unsigned instance;
			const struct cache_level *cache = shared_cache(timed, note->holder, &instance);
			here = cache->ops->holds(cache, instance, note->line << coherence->line_shift, NULL);
		} else if (note->left == HIERARCHY_CACHES_MAX) {
			here = own_hold(timed, note->holder, note->line, &dirty);
		} else if (others_of_own_hold(timed, note)) {
			continue;
		} else { /* it may have come back */
			here = is_noted_again(coherence, i) &&
			       cache_holds(timed, note->left, note->holder, note->line, &dirty);
		}
		struct lesson *lesson = next_lesson(coherence, note->line);
		lesson->holder = note->holder;
		lesson->is_kept = false;
		lesson->is_shared = note->is_shared;
		lesson->is_here = here;
		lesson->is_dirty = dirty;
	}
	coherence->notes_count = 0;
}

/* A cache in which each line is noted. */
struct noted_cache {
	struct coherence *coherence;
	const struct cache_level *cache;
	unsigned instance;
};

static void note_line(void *context, uint64_t address, uint64_t marks)
{
	const struct noted_cache *noted = context;
	(void)marks;
	coherence_note(noted->coherence, noted->cache, noted->instance, address >> noted->coherence->line_shift);
}

/* What was written back may lie in caches that did not have it. */
static void note_caches(struct timed_memory *timed)
{
	for (unsigned i = 0; i < timed->caches->count; i++) {
		const struct cache_level *cache = timed->caches->caches[i];
		for (unsigned instance = 0; cache->instances > 1 && instance < cache->instances; instance++) {
			struct noted_cache noted = {timed->coherence, cache, instance};
			cache->ops->each_line(cache, instance, note_line, &noted);
		}
	}
}

void coherence_look_again(struct timed_memory *timed)
{
	struct coherence *coherence = timed->coherence;
	note_caches(timed);
	learn_all(coherence);
	for (uint64_t place = 0; place < coherence->directory.capacity; place++) {
		const struct directory_slot *slot = &coherence->directory.slots[place];
		if (!slot->line)
			continue;
		const struct directory_entry entry = directory_look(&coherence->directory, slot);
		for (unsigned cpu = core_set_next(&entry.cores, 0); cpu < CPUS_MAX; cpu = core_set_next(&entry.cores, cpu + 1))
			note_own(coherence, cpu, entry.line);
		for (unsigned nr = core_set_next(&entry.shared, 0); nr < CPUS_MAX; nr = core_set_next(&entry.shared, nr + 1))
			add_note(coherence, (struct holder_note){entry.line, (uint16_t)nr, true, HIERARCHY_CACHES_MAX});
	}
	coherence_settle(timed);
}

/* ---- inclusive caches ---- */

static unsigned last_core(const struct timed_memory *timed, const struct cache_level *cache, unsigned instance)
{
	unsigned cores = cache->spec->cores ? cache->spec->cores : timed->cpus, last = (instance + 1) * cores - 1;
	return last < timed->cpus ? last : timed->cpus - 1;
}

/* Out of the own caches, above `from`, of a core. */
static unsigned remove_above(struct timed_memory *timed, const struct cache_level *from, unsigned cpu, uint64_t line, bool *dirty)
{
	struct coherence *coherence = timed->coherence;
	unsigned held = 0;
	for (unsigned i = 0; i < coherence->own_count && coherence->own[i] < from->number; i++)
		held += remove_from(timed, coherence->own[i], cpu, line, dirty);
	if (held)
		note_own(coherence, cpu, line);
	return held;
}

/* Out of the shared caches, above `from`, of these cores. */
static unsigned remove_shared_above(struct timed_memory *timed, const struct cache_level *from, unsigned first, unsigned last,
                                    uint64_t line, bool *dirty)
{
	struct coherence *coherence = timed->coherence;
	unsigned held = 0;
	for (unsigned i = 0; i < coherence->shared_count && coherence->shared[i] < from->number; i++) {
		const struct cache_level *cache = timed->caches->caches[coherence->shared[i]];
		for (unsigned instance = cache_hierarchy_instance(cache, first);
		     instance <= cache_hierarchy_instance(cache, last); instance++) {
			unsigned here = remove_from(timed, cache->number, instance, line, dirty);
			held += here;
			if (here)
				coherence_note(coherence, cache, instance, line);
		}
	}
	return held;
}

unsigned coherence_back_invalidate(struct timed_memory *timed, const struct cache_level *from, unsigned from_instance,
                                   uint64_t address, bool *dirty)
{
	struct coherence *coherence = timed->coherence;
	uint64_t line = address >> coherence->line_shift;
	if (from->spec->cores == 1)
		return remove_above(timed, from, from_instance, line, dirty);
	unsigned first = from_instance * from->spec->cores, last = last_core(timed, from, from_instance);
	/* The current core's caches may be ahead of the directory. */
	unsigned held = remove_above(timed, from, coherence->current, line, dirty);
	const struct directory_slot *slot = find_slot(coherence, line);
	if (!slot)
		return held + remove_shared_above(timed, from, coherence->current, coherence->current, line, dirty);
	const struct directory_entry entry = directory_look(&coherence->directory, slot);
	for (unsigned cpu = core_set_next(&entry.cores, first); cpu <= last; cpu = core_set_next(&entry.cores, cpu + 1))
		held += remove_above(timed, from, cpu, line, dirty);
	return held + remove_shared_above(timed, from, first, last, line, dirty);
}

/* ---- laws ---- */

struct line_check {
	const struct timed_memory *timed;
	const struct cache_level *cache;
	unsigned instance;
};

static void line_is_in_directory(void *context, uint64_t address, uint64_t marks)
{
	const struct line_check *check = context;
	const struct coherence *coherence = check->timed->coherence;
	const struct directory_slot *slot = directory_find(&coherence->directory, address >> coherence->line_shift);
	SIM_ASSERT(slot);
	const struct directory_entry entry = directory_look(&coherence->directory, slot);
	if (check->cache->spec->cores != 1) {
		SIM_ASSERT(core_set_has(&entry.shared, coherence->shared_base[check->cache->number] + check->instance));
		return;
	}
	SIM_ASSERT(core_set_has(&entry.cores, check->instance));
	SIM_ASSERT(!(marks & WAY_DIRTY) || entry.owner == check->instance);
	if ((coherence->backed >> check->cache->number & 1) && !(marks & WAY_ALONE))
		SIM_ASSERT(coherence->backing->ops->holds(coherence->backing, check->instance, address, NULL));
}

static void check_entry(const struct timed_memory *timed, const struct directory_entry *entry)
{
	const struct coherence *coherence = timed->coherence;
	uint64_t line = entry->line;
	bool dirty;
	for (unsigned cpu = core_set_next(&entry->cores, 0); cpu < CPUS_MAX; cpu = core_set_next(&entry->cores, cpu + 1)) {
		bool here = look_own(timed, cpu, line, &dirty) != 0;
		SIM_ASSERT(here && dirty == (entry->owner == cpu));
	}
	for (unsigned nr = core_set_next(&entry->shared, 0); nr < CPUS_MAX; nr = core_set_next(&entry->shared, nr + 1)) {
		unsigned instance;
		const struct cache_level *cache = shared_cache(timed, nr, &instance);
		SIM_ASSERT(cache->ops->holds(cache, instance, line << coherence->line_shift, NULL));
	}
	if (entry->owner == OWNER_NONE || coherence->keeps_owner)
		return;
	SIM_ASSERT(nobody_else(coherence, entry, entry->owner));
}

static void check_counters(const struct timed_memory *timed)
{
	const struct timed_counters *counters = &timed->counters;
	struct memory_core_counters sum = {0};
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++)
		metrics_add(memory_core_metrics, &sum, &timed->coherence->core[cpu]);
	SIM_ASSERT(sum.transfers_clean == counters->transfers_clean && sum.transfers_dirty == counters->transfers_dirty);
	SIM_ASSERT(sum.transfers_clean + sum.transfers_dirty == sum.transfers_given + counters->shared_transfers);
	SIM_ASSERT(sum.invalidations_sent == counters->invalidations);
	SIM_ASSERT(sum.invalidations_sent == sum.invalidations_received + counters->shared_invalidations);
	SIM_ASSERT(sum.upgrades == counters->upgrades);
	uint64_t told = 0;
	for (uint32_t i = 0; i < timed->coherence->bounces.count; i++) {
		const struct bounced_line *line = &timed->coherence->bounces.lines[i];
		told += line->transfers_clean + line->transfers_dirty + line->invalidations;
	}
	uint64_t events = counters->transfers_clean + counters->transfers_dirty + counters->invalidations;
	SIM_ASSERT(told <= events && (timed->coherence->bounces.untold > 0 || told == events));
}

void coherence_check(const struct timed_memory *timed)
{
	struct coherence *coherence = timed->coherence;
	learn_all(coherence);
	directory_check(&coherence->directory);
	SIM_ASSERT(coherence->notes_count == 0);
	for (unsigned i = 0; i < timed->caches->count; i++) {
		const struct cache_level *cache = timed->caches->caches[i];
		for (unsigned instance = 0; cache->instances > 1 && instance < cache->instances; instance++) {
			struct line_check check = {timed, cache, instance};
			cache->ops->each_line(cache, instance, line_is_in_directory, &check);
		}
	}
	for (uint64_t place = 0; place < coherence->directory.capacity; place++) {
		const struct directory_slot *slot = &coherence->directory.slots[place];
		if (slot->line == 0)
			continue;
		const struct directory_entry entry = directory_look(&coherence->directory, slot);
		check_entry(timed, &entry);
	}
	check_counters(timed);
}

/* ---- making it ---- */

static bool caches_fit(const struct timed_memory *timed, struct error *error)
{
	const struct cache_hierarchy *caches = timed->caches;
	for (unsigned i = 0; i < caches->count; i++) {
		if (caches->specs[i].line_bytes != caches->specs[0].line_bytes)
			return error_set(
			        error, ERROR_USAGE,
			        "machine.memory_model: timed of several cores needs lines of one length; %s has %u bytes, %s %u",
			        caches->specs[0].name, caches->specs[0].line_bytes, caches->specs[i].name,
			        caches->specs[i].line_bytes);
		if (caches->depth[i] == 0 && caches->specs[i].cores != 1)
			return error_set(error, ERROR_USAGE,
			                 "machine.memory_model: timed of several cores needs a first level of each core's own; "
			                 "%s is shared "
			                 "(cores=%u)",
			                 caches->specs[i].name, caches->specs[i].cores);
	}
	return true;
}

/* Which caches are own, which are shared by some, and by what numbers. */
static bool make_holders(struct timed_memory *timed, struct error *error)
{
	struct coherence *coherence = timed->coherence;
	unsigned holders = 0;
	coherence->first_shared = timed->caches->levels;
	for (unsigned i = 0; i < timed->caches->count; i++) {
		const struct cache_level *cache = timed->caches->caches[i];
		if (cache->spec->cores == 1) {
			coherence->own[coherence->own_count++] = i;
			coherence->last_own = cache;
			continue;
		}
		if (timed->caches->depth[i] < coherence->first_shared)
			coherence->first_shared = timed->caches->depth[i];
		if (cache->instances == 1)
			continue;
		coherence->shared[coherence->shared_count++] = i;
		coherence->shared_base[i] = holders;
		for (unsigned instance = 0; instance < cache->instances; instance++, holders++) {
			if (holders == CPUS_MAX)
				return error_set(error, ERROR_USAGE, "machine.caches: more than %u caches that some cores share",
				                 (unsigned)CPUS_MAX);
			coherence->shared_cpu[holders] = (uint16_t)(instance * cache->spec->cores);
		}
	}
	return true;
}

/* Whether whatever comes into a first-level cache comes through the second level's, and stays there. */
static bool comes_through(const struct timed_memory *timed, unsigned list)
{
	const struct cache_hierarchy_level *first = &timed->caches->level[0], *second = &timed->caches->level[1];
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		if (first->list_of[kind] == list && second->list_of[kind] == LIST_PASSING)
			return false;
	return first->cache[list]->takes;
}

static void make_backing(const struct timed_memory *timed)
{
	const struct cache_hierarchy_level *level = timed->caches->level;
	if (timed->caches->levels < 2 || level[1].caches != 1 || level[1].cache[0]->spec->cores != 1 || !level[1].cache[0]->takes)
		return;
	timed->coherence->backing = level[1].cache[0];
	for (unsigned list = 0; list < level[0].caches; list++)
		if (comes_through(timed, list))
			timed->coherence->backed |= 1u << level[0].cache[list]->number;
}

static void make_chains(struct timed_memory *timed)
{
	struct coherence *coherence = timed->coherence;
	coherence->chain = xcalloc(timed->cpus, sizeof *coherence->chain);
	for (unsigned cpu = 0; cpu < timed->cpus; cpu++)
		for (unsigned i = 0; i < coherence->shared_count; i++) {
			const struct cache_level *cache = timed->caches->caches[coherence->shared[i]];
			core_set_add(&coherence->chain[cpu],
			             coherence->shared_base[coherence->shared[i]] + cache_hierarchy_instance(cache, cpu));
		}
}

bool coherence_create(struct timed_memory *timed, const struct machine_settings *machine, struct error *error)
{
	bool is_needed = false;
	for (unsigned i = 0; i < timed->caches->count; i++)
		is_needed |= timed->caches->caches[i]->instances > 1;
	if (!is_needed)
		return true;
	if (!caches_fit(timed, error))
		return false;
	struct coherence *coherence = xcalloc(1, sizeof *coherence);
	timed->coherence = coherence;
	coherence->line_shift = timed->caches->caches[0]->line_shift;
	coherence->keeps_owner = machine->coherence == COHERENCE_MOESI;
	coherence->near_cycles = machine->remote_cycles;
	coherence->far_cycles = machine->remote_far_cycles ? machine->remote_far_cycles : machine->remote_cycles;
	directory_init(&coherence->directory);
	bounces_init(&coherence->bounces, coherence->line_shift);
	coherence->core = xcalloc(timed->cpus, sizeof *coherence->core);
	if (!make_holders(timed, error))
		return false;
	make_chains(timed);
	make_backing(timed);
	return true;
}

void coherence_destroy(struct coherence *coherence)
{
	if (!coherence)
		return;
	directory_release(&coherence->directory);
	bounces_release(&coherence->bounces);
	free(coherence->chain);
	free(coherence->notes);
	free(coherence->core);
	free(coherence);
}
