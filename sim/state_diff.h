/* SPDX-License-Identifier: MIT
 *
 * state_diff.h - two states side by side: which lists differ, and where first.
 *
 * A state is what stands between an @STATE line and its @END (sim/state_dump.h), recorded or printed by the models; lines of all
 * kinds are compared, also those that no model reads. A line is known by the words it begins with (`@FREE 1 0 2`: zone,
 * order, type; `@CC 0` within its cache); the rest are its items: words, bracketed groups, or key=value pairs.
 * A list that one state does not have is empty there.
 */
#ifndef SIM_STATE_DIFF_H
#define SIM_STATE_DIFF_H

#include "sim/base.h"

#include <stdio.h>

struct state_lines {
	char *text; /* owned; the lines point into it */
	struct state_line *lines;
	size_t count;
	char tag[64];
};

/*
 * Takes the state of that tag out of a text (NULL: the only one, or the first of several with `any`), which it then owns. `name`
 * is for messages. False with *error naming the tags there are.
 */
bool state_lines_take(struct state_lines *state, const char *name, char *text, const char *tag, bool any, struct error *error);
void state_lines_release(struct state_lines *state);

/* Prints what differs, a line each, and returns how many lists and lines that is; *compared is how many there are. */
uint64_t state_diff(const struct state_lines *a, const struct state_lines *b, FILE *out, uint64_t *compared);

#endif
