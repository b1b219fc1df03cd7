/* SPDX-License-Identifier: MIT
 *
 * access_summary.h - what an access trace holds, counted while it is read.
 */
#ifndef SIM_ACCESS_SUMMARY_H
#define SIM_ACCESS_SUMMARY_H

#include "sim/port/access_source.h"
#include "sim/trace.h"

#include <stdio.h>

struct access_summary {
	uint64_t kinds[ACCESS_KINDS]; /* accesses by kind */
	uint64_t bytes;               /* of all accesses */
	uint64_t first, last;         /* lowest byte, highest byte */
	uint32_t bytes_max;           /* of one access */
	uint32_t cpus;                /* one above the highest */
};

void access_summary_init(struct access_summary *summary);
void access_summary_add(struct access_summary *summary, const struct access *batch, size_t count);
uint64_t access_summary_accesses(const struct access_summary *summary);

/* Reads a source to its end. progress may be NULL. */
bool access_summary_read(struct access_summary *summary, struct access_source *source, const struct progress *progress,
                         struct error *error);

/* `format` and `path` name the source. */
void access_summary_text(const struct access_summary *summary, const char *path, const char *format, FILE *out);
void access_summary_json(const struct access_summary *summary, const char *path, const char *format, FILE *out);

#endif
