/* SPDX-License-Identifier: MIT
 *
 * variant.h - a line of the setting `variants`: "LABEL KEY=VALUE KEY=VALUE ...", what one run of a scenario has of its own.
 */
#ifndef MODELS_VARIANT_H
#define MODELS_VARIANT_H

#include "sim/base.h"

#define VARIANT_SETS_MAX 16

struct variant {
	char *label;                  /* owned */
	char *sets[VARIANT_SETS_MAX]; /* "key=value", owned */
	size_t sets_count;
};

/* Reads one. false with *error naming `place` and what was expected; then there is nothing to release. */
bool variant_read(struct variant *variant, const char *text, const char *place, struct error *error);
void variant_release(struct variant *variant);

/* Whether two labels are one where files are named after them: '/' becomes '-' there (the setting events.file). */
bool variant_is_same_label(const char *one, const char *other);

#endif
