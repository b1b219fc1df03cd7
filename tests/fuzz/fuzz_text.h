/* SPDX-License-Identifier: MIT
 *
 * fuzz_text.h - any bytes as a text recording: what the import accepts must read back to its end, and what it refuses must be
 * refused with a sentence. The import's own laws are asserted while it runs.
 */
#ifndef TESTS_FUZZ_TEXT_H
#define TESTS_FUZZ_TEXT_H

#include "sim/trace.h"
#include "sim/trace_report.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file in memory with these bytes, reachable as `path`. */
static inline int fuzz_file(const void *bytes, size_t size, char path[64])
{
	int file = memfd_create("fuzz", MFD_CLOEXEC);
	SIM_ASSERT(file >= 0 && write(file, bytes, size) == (ssize_t)size);
	snprintf(path, 64, "/proc/self/fd/%d", file);
	return file;
}

static inline void fuzz_read_all(struct trace *trace)
{
	struct error error = {0};
	struct op batch[256];
	size_t count;
	uint64_t ops = 0;
	do {
		SIM_ASSERT(trace_next(trace, batch, 256, &count, &error));
		ops += count;
	} while (count > 0);
	SIM_ASSERT(ops == trace_info(trace)->ops);
	struct detail details[256];
	uint64_t all = 0, line = 0;
	do {
		SIM_ASSERT(trace_next_details(trace, details, 256, &count, &error));
		for (size_t i = 0; i < count; i++) {
			SIM_ASSERT(details[i].kind < DETAIL_KINDS && details[i].order < ORDERS && details[i].line >= line);
			line = details[i].line;
		}
		all += count;
	} while (count > 0);
	SIM_ASSERT(all == trace_info(trace)->details);
}

static inline void fuzz_report(const struct trace *trace)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	trace_report_text(out, trace);
	trace_report_json(out, trace);
	fclose(out);
	free(text);
}

static inline int fuzz_text(const uint8_t *data, size_t size)
{
	struct error error = {0};
	char path[64];
	int file = fuzz_file(data, size, path);
	struct trace *trace = trace_open_any(path, NULL, &error);
	SIM_ASSERT((trace == NULL) == (error.kind != ERROR_NONE));
	/* A recording in the native form may be damaged in ways that only reading it shows; a text that was imported may not. */
	if (trace && !trace_is_native(path)) {
		fuzz_read_all(trace);
		fuzz_report(trace);
	}
	trace_close(trace);
	close(file);
	return 0;
}

#endif
