/* SPDX-License-Identifier: MIT
 *
 * timed_run.h - whole lines of one access, one after the other, such as those of a page that is zeroed: the levels are asked for
 * all of them at once, and the clock goes line by line.
 */
#ifndef MODELS_MEMORY_TIMED_RUN_H
#define MODELS_MEMORY_TIMED_RUN_H

#include "models/memory/timed.h"

/* Lines at most in a run: a bit for each. */
#define RUN_LINES_MAX 64u

/* How many lines of a core's accesses of a kind may be looked up so; 0: none. Once short paths are made. */
unsigned timed_run_room(const struct timed_memory *timed, const struct timed_core *core, unsigned kind);

/*
 * `lines` whole lines (1 to the room of that kind) from `address` on, the first at `now` and each a cycle after the one before
 * it, of which nobody asks where their cycles went. Returns when all are done.
 */
cycle timed_run_lines(struct timed_memory *timed, const struct timed_core *core, uint64_t address, unsigned lines, unsigned kind,
                      uint8_t region, cycle now);

#endif
