/* SPDX-License-Identifier: MIT
 *
 * made_up.h - for tests of made-up loads: makes one from its line, and reads all its ops by the laws that hold for every load.
 */
#ifndef TESTS_UNIT_MADE_UP_H
#define TESTS_UNIT_MADE_UP_H

#include "models/workload_line.h"
#include "sim/io/kmt.h"
#include "sim/port/object_allocator.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <unistd.h>

#define MADE_UP_CPUS_MAX 64
#define MADE_UP_MEMORY (16u << 20)

static inline int make(const char *text, unsigned cpus, uint64_t seed)
{
	struct error error = {0};
	struct workload_line line;
	if (!workload_line_read(&line, text, "test", &error))
		fail_msg("%s", error.text);
	const struct workload_wiring wiring = {
	        .ops = line.ops, .values = line.values, .line = text, .cpus = cpus, .memory_bytes = MADE_UP_MEMORY, .seed = seed};
	int file = workload_write(&wiring, &error);
	workload_line_release(&line);
	assert_true(file >= 0);
	return file;
}

static inline struct trace *open_trace(int file)
{
	struct error error = {0};
	struct trace *trace = kmt_open(dup(file), "test", &error);
	if (!trace)
		fail_msg("%s", error.text);
	return trace;
}

struct seen {
	uint64_t allocs, frees, uses, remote_frees, live, most_live, time_ns;
	uint64_t by_cpu[MADE_UP_CPUS_MAX];
};

/* Reads all ops: ids are allocated before they are freed and never twice, times ascend. */
static inline struct seen read_all(struct trace *trace)
{
	struct error error = {0};
	struct seen seen = {0};
	struct op ops[512];
	size_t count;
	uint16_t *owner = xcalloc(trace_info(trace)->ids + 1, sizeof *owner); /* cpu + 1 of what lives */
	while (trace_next(trace, ops, 512, &count, &error) && count > 0)
		for (size_t i = 0; i < count; i++) {
			const struct op *op = &ops[i];
			bool frees = op->kind == OP_KFREE || op->kind == OP_CACHE_FREE || op->kind == OP_PAGE_FREE ||
			             op->kind == OP_AREA_FREE || op->kind == OP_PAGE_UNMAP || op->kind == OP_PROCESS_EXIT;
			bool uses = op->kind == OP_PAGE_CLEAR || op->kind == OP_PAGE_COPY ||
			            (op->kind >= OP_PROCESS_EXEC && op->kind <= OP_PROCESS_LEAVE);
			assert_true(op->cpu < trace_info(trace)->cpus && op->time_ns > seen.time_ns);
			seen.time_ns = op->time_ns;
			if (uses) { /* of pages or a process that live, but for the last kind, which has no id */
				assert_true(op->kind == OP_PROCESS_LEAVE || owner[op->id] != 0);
				seen.uses++;
				continue;
			}
			assert_true(frees == (owner[op->id] != 0));
			seen.remote_frees += frees && owner[op->id] != op->cpu + 1;
			owner[op->id] = frees ? 0 : (uint16_t)(op->cpu + 1);
			seen.allocs += !frees;
			seen.frees += frees;
			seen.by_cpu[op->cpu] += !frees;
			seen.live = seen.allocs - seen.frees;
			if (seen.live > seen.most_live)
				seen.most_live = seen.live;
		}
	assert_int_equal(error.kind, ERROR_NONE);
	assert_int_equal(trace_info(trace)->ops, seen.allocs + seen.frees + seen.uses);
	free(owner);
	return seen;
}

/* Makes, reads and forgets. */
static inline struct seen made(const char *text, unsigned cpus)
{
	int file = make(text, cpus, 1);
	struct trace *trace = open_trace(file);
	struct seen seen = read_all(trace);
	assert_int_equal(seen.live, 0);
	trace_close(trace);
	close(file);
	return seen;
}

#endif
