/* SPDX-License-Identifier: MIT
 *
 * fuzz_workload.c - any bytes as the line of a made-up load: the first byte chooses ops (the setting `workload`) or accesses
 * (`access_workload`), the rest is the line. What is refused is refused with a sentence. A short load that is taken is made: its
 * ops must read back, its accesses must be as the port promises them.
 */
#include "tests/fuzz/fuzz_text.h"

#include "models/access_workload.h"
#include "models/workload_line.h"
#include "sim/setting.h"

#include <string.h>

/* Loads of larger numbers are read but not made: they only cost time. */
#define COUNT_MAX 200u
#define SIZE_MAX_BYTES (1u << 20)
#define DURATION_MAX_NS 1000000000ull
#define MEMORY_BYTES (8ull << 20)
#define ACCESSES_MAX 2000u
#define CPUS 2u

static uint64_t number_max(enum setting_type type)
{
	switch (type) {
	case SETTING_COUNT:
		return COUNT_MAX;
	case SETTING_SIZE:
		return SIZE_MAX_BYTES;
	case SETTING_DURATION:
		return DURATION_MAX_NS;
	default:
		return UINT64_MAX;
	}
}

static bool is_small(const struct workload_line *line)
{
	for (const struct setting *row = line->ops->keys; row->key; row++) {
		uint64_t value = 0;
		if (row->size <= sizeof value)
			memcpy(&value, (const char *)line->values + row->offset, row->size);
		if (value > number_max(row->type))
			return false;
	}
	return true;
}

static void make_ops(const struct workload_line *line, const char *text)
{
	struct error error = {0};
	const struct workload_wiring wiring = {
	        .ops = line->ops, .values = line->values, .line = text, .cpus = CPUS, .memory_bytes = MEMORY_BYTES, .seed = 1};
	int file = workload_write(&wiring, &error);
	SIM_ASSERT((file >= 0) == (error.kind == ERROR_NONE));
	if (file < 0)
		return;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	struct trace *trace = trace_open(path, &error);
	SIM_ASSERT(trace);
	fuzz_read_all(trace);
	trace_close(trace);
	close(file);
}

static void try_ops(const char *text)
{
	struct error error = {0};
	struct workload_line line = {0};
	bool read = workload_line_read(&line, text, "workload", &error);
	SIM_ASSERT(read == (error.kind == ERROR_NONE) && (read || error.text[0]));
	if (!read)
		return;
	if (is_small(&line))
		make_ops(&line, text);
	workload_line_release(&line);
}

static void try_accesses(const char *text)
{
	struct error error = {0};
	bool sound = access_workload_line_check(text, &error);
	SIM_ASSERT(sound == (error.kind == ERROR_NONE) && (sound || error.text[0]));
	if (!sound)
		return;
	struct access_source *source = access_workload_open(text, CPUS, 1, &error);
	SIM_ASSERT((source != NULL) == (error.kind == ERROR_NONE));
	struct access batch[100];
	size_t count = 1, all = 0;
	while (source && count > 0 && all < ACCESSES_MAX && access_source_read(source, batch, 100, &count, &error)) {
		for (size_t i = 0; i < count; i++)
			SIM_ASSERT(batch[i].kind <= ACCESS_MODIFY && batch[i].bytes > 0 && batch[i].cpu < CPUS);
		all += count;
	}
	SIM_ASSERT(error.kind == ERROR_NONE || error.text[0]);
	access_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = xcalloc(size, 1);
	memcpy(text, data + 1, size - 1);
	if (data[0] % 2 == 0)
		try_ops(text);
	else
		try_accesses(text);
	free(text);
	return 0;
}
