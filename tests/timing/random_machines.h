/* SPDX-License-Identifier: MIT
 *
 * random_machines.h - what tests of random machines share: names picked for their lines, and two machines' counts compared.
 */
#ifndef TESTS_RANDOM_MACHINES_H
#define TESTS_RANDOM_MACHINES_H

#include "tests/timing/timed_rig.h"

#include "sim/metric.h"
#include "sim/rng.h"

#include <stdio.h>

#define LINE_TEXT 160 /* room for a line of machine.caches */

static inline const char *pick(struct rng *rng, const char *const *names, unsigned count)
{
	return names[rng_below(rng, count)];
}

static inline void compare_caches(const struct cache_hierarchy *a, const struct cache_hierarchy *b, const char *what)
{
	for (unsigned i = 0; i < a->count; i++)
		if (memcmp(&a->caches[i]->counters, &b->caches[i]->counters, sizeof a->caches[i]->counters) != 0)
			fail_msg("%s: counters of %s differ", what, a->specs[i].name);
	assert_int_equal(a->uncached, b->uncached);
}

/* The caches' counters and the memory's; `way_a` and `way_b` tell what each machine did otherwise. */
static inline void compare_counters(const struct machine_rig *a, const char *way_a, const struct machine_rig *b,
                                    const char *way_b, const char *what)
{
	compare_caches(a->caches, b->caches, what);
	for (const struct metric *metric = a->memory->ops->metrics; metric->name; metric++)
		if (rig_counter(a, metric->name) != rig_counter(b, metric->name))
			fail_msg("%s: %s is %llu %s and %llu %s", what, metric->name,
			         (unsigned long long)rig_counter(a, metric->name), way_a,
			         (unsigned long long)rig_counter(b, metric->name), way_b);
}

#endif
