/* SPDX-License-Identifier: MIT
 *
 * flush_every.h - accesses that run through caches which are written back and emptied after every so many of them, as Dinero IV's
 * -flushcount does.
 *
 * Invariant: accesses run = every * flushes + since.
 */
#ifndef TOOLS_FLUSH_EVERY_H
#define TOOLS_FLUSH_EVERY_H

#include "sim/cache_hierarchy.h"

struct flush_every {
	uint64_t every;            /* accesses; 0: never */
	enum modify_counts modify; /* a load-store is two accesses where it counts as a load and a store */
	/* Runs some accesses; and writes the caches back and empties them. */
	void (*run)(void *context, const struct access *accesses, size_t count);
	void (*flush)(void *context);
	void *context;
	uint64_t since, flushes; /* accesses since the last flush; flushes so far */
};

/* At most ACCESS_BATCH accesses in order. */
void flush_every_run(struct flush_every *flush, const struct access *accesses, size_t count);

#endif
