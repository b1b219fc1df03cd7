/* SPDX-License-Identifier: MIT
 *
 * nearest.h - the valid name nearest to a wrong one, for "did you mean 'allocator'?".
 *
 *     struct nearest nearest;
 *     nearest_start(&nearest, "alocator");
 *     for each valid name: nearest_offer(&nearest, name);
 *     nearest_found(&nearest) -> the name, or NULL if none is near enough to be meant
 *
 * Distance: the smallest number of inserted, left out, changed or swapped neighbouring letters (optimal string alignment; Damerau
 * 1964). A name that begins with the wanted letters (three or more) counts as one letter away. Of equally near names the one
 * offered first wins, so the answer depends on the order of the table only.
 */
#ifndef SIM_NEAREST_H
#define SIM_NEAREST_H

#include "sim/base.h"

/* Longer names are compared by their first letters only. */
#define NEAREST_LENGTH_MAX 63

struct nearest {
	const char *wanted;
	const char *name;
	unsigned distance;
};

/* Both pointers must stay valid until nearest_found() has been used. */
void nearest_start(struct nearest *nearest, const char *wanted);
void nearest_offer(struct nearest *nearest, const char *name);

/* The nearest name if at most a third of the wanted letters (rounded up) differ, else NULL. */
const char *nearest_found(const struct nearest *nearest);

/* The distance itself. */
unsigned nearest_distance(const char *left, const char *right);

#endif
