/* SPDX-License-Identifier: MIT
 *
 * metric.h - counters as rows: name, unit, kind, help and where the number lives.
 *
 * A component keeps plain uint64_t counters in a struct and describes them once in a table beside that struct:
 *
 *     static const struct metric slub_metrics[] = {
 *         METRIC(struct slub_counters, alloc_fastpath, "1", "Allocations served from the cpu slab's free list"),
 *         METRIC_END};
 *
 * `kmemsim list metrics`, the database and the docs come from those rows. Every counter stands in a law that the component's
 * check() proves.
 */
#ifndef SIM_METRIC_H
#define SIM_METRIC_H

#include "sim/base.h"

enum metric_kind {
	METRIC_COUNTER, /* only grows */
	METRIC_GAUGE    /* a level that goes up and down */
};

struct metric {
	const char *name; /* as the kernel or the manuals call it; lower case, underscores */
	const char *unit; /* "1", "pages", "bytes", "cycles" */
	enum metric_kind kind;
	const char *help;
	size_t offset; /* of the uint64_t in the counters struct */
};

#define METRIC(type, field, unit_, help_) \
	{ \
#field, unit_, METRIC_COUNTER, help_, offsetof(type, field) \
	}
#define GAUGE(type, field, unit_, help_) \
	{ \
#field, unit_, METRIC_GAUGE, help_, offsetof(type, field) \
	}
#define METRIC_END \
	{ \
		NULL, NULL, METRIC_COUNTER, NULL, 0 \
	}

static inline uint64_t metric_value(const struct metric *metric, const void *counters)
{
	return *(const uint64_t *)(const void *)((const char *)counters + metric->offset);
}

/* Adds the counters of one struct to those of another. */
static inline void metrics_add(const struct metric *metrics, void *to, const void *counters)
{
	for (const struct metric *metric = metrics; metric->name; metric++)
		*(uint64_t *)(void *)((char *)to + metric->offset) += metric_value(metric, counters);
}

#endif
