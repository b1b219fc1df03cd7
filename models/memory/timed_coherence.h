/* SPDX-License-Identifier: MIT
 *
 * timed_coherence.h - the caches of several cores kept right under the clock: what timed.c asks of timed_coherence.c.
 *
 * Caches of one core are its own; those that some cores share and others do not count one by one; a cache that all share needs
 * no directory.
 */
#ifndef MODELS_MEMORY_TIMED_COHERENCE_H
#define MODELS_MEMORY_TIMED_COHERENCE_H

#include "models/memory/timed.h"
#include "sim/bounce.h"
#include "sim/directory.h"

/* What others have of the line that a core is about to get. */
struct supply {
	bool is_active;
	bool is_dirty;              /* one of them has written it: it comes from there, whatever caches below have */
	bool has_copy;              /* one of them has it as memory does: it comes from there in place of memory */
	uint64_t line;              /* its number */
	uint32_t cycles;            /* from the core, to that one's copy */
	uint32_t invalidate_cycles; /* until the farthest copy is gone; 0: none has to go */
	cycle busy_until;           /* on its way to, or kept by, another core */
	unsigned giver;             /* core; CPUS_MAX: a shared cache */
};

/* A line that came to a holder or left it in this access, so that the directory has to look again. */
struct holder_note {
	uint64_t line;
	uint16_t holder; /* core, or number of a shared cache */
	bool is_shared;
	/* Number of the core's own cache that let the line go as it had got it; HIERARCHY_CACHES_MAX: none. While another of the
	 * core's own caches has the line, nothing has changed for the directory. */
	uint8_t left;
};

/*
 * What the directory has to learn. It learns it before it is looked at again, not at once: the host has fetched the slots of lines
 * that left by then.
 */
struct lesson {
	uint64_t line;
	cycle busy_until; /* is_kept: the line is busy until then */
	uint16_t holder;  /* else: whether this holder has it, and has written it */
	bool is_kept, is_shared, is_here, is_dirty;
};

#define LESSONS_MAX 16u

struct coherence {
	struct directory directory;
	struct bounces bounces;
	bool keeps_owner; /* MOESI */
	unsigned line_shift;
	unsigned first_shared; /* depth at which a request leaves a core's own caches */
	uint32_t near_cycles, far_cycles;
	unsigned own[HIERARCHY_CACHES_MAX], own_count;       /* numbers of the caches of one core */
	const struct cache_level *last_own;                  /* the one whose sets are the most */
	/* A core's second cache, through which all lines of its first-level ones come, a bit for each by number: it has them too,
	 * unless they are marked WAY_ALONE. NULL: there is none that can be relied on. */
	const struct cache_level *backing;
	uint32_t backed;
	unsigned shared[HIERARCHY_CACHES_MAX], shared_count; /* of those of some cores */
	unsigned shared_base[HIERARCHY_CACHES_MAX];          /* number of a shared cache's first instance as a holder, by cache */
	uint16_t shared_cpu[CPUS_MAX];                       /* first core of each such holder */
	struct core_set *chain;                              /* by core: the shared holders that it uses; owned */
	unsigned current;                                    /* core whose access it is */
	struct supply supply;
	struct holder_note *notes; /* owned */
	uint32_t notes_count, notes_capacity, lessons_count;
	struct lesson lessons[LESSONS_MAX]; /* in their order */
	struct memory_core_counters *core; /* owned */
};

/* false with *error if the caches are of a kind that cannot be kept right. Does nothing where all caches are shared by all. */
bool coherence_create(struct timed_memory *timed, const struct machine_settings *machine, struct error *error);
void coherence_destroy(struct coherence *coherence);

/*
 * A core is about to write a line: others' copies go. Returns from when on the core may use its own copy, `now` if nobody else
 * has one; what it gets from others is in the supply of the fetch that follows.
 */
cycle coherence_own(struct timed_memory *timed, const struct timed_core *core, const struct access *access, cycle now,
                    struct cost *cost);

/* A fetch of a line leaves the core's own caches: finds what others have of it, and makes a written copy shared. */
void coherence_leave(struct timed_memory *timed, const struct timed_core *core, uint64_t line, cycle at);

/*
 * A cache that some cores share prefetches a line for one of them: if a core or a cache of others has written it, that is the
 * supply, and the copy becomes shared. Returns whether; what the supply was is lost then.
 */
bool coherence_leave_shared(struct timed_memory *timed, const struct timed_core *core, const struct cache_level *cache,
                            uint64_t line, cycle at);

/* The supply's copy is taken, and the line busy until it has arrived. */
void coherence_take(struct timed_memory *timed, const struct timed_core *core, bool is_dirty, cycle done);

/* A line was looked for in a cache, brought in, or had to go: note it. */
void coherence_note(struct coherence *coherence, const struct cache_level *cache, unsigned instance, uint64_t line);

/* A line had to go from a cache that held this word of it. */
void coherence_note_gone(struct coherence *coherence, const struct cache_level *cache, unsigned instance, uint64_t word);

/* The end of an access: what was noted is looked at, and the directory will learn it. */
void coherence_settle(struct timed_memory *timed);
/* The caches were changed from outside: the directory looks at all of its lines, and of theirs, again. */
void coherence_look_again(struct timed_memory *timed);

/* The line stays busy until then: a locked instruction keeps it, or it is on its way from memory. */
void coherence_keep(struct coherence *coherence, uint64_t line, cycle until);
/* The same, at the end of an access. */
void coherence_keep_after(struct coherence *coherence, uint64_t line, cycle until);

/* Takes a line out of the caches above an inclusive one; returns how many held it. */
unsigned coherence_back_invalidate(struct timed_memory *timed, const struct cache_level *from, unsigned from_instance,
                                   uint64_t address, bool *dirty);

void coherence_check(const struct timed_memory *timed);

#endif
