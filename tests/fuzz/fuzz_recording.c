/* SPDX-License-Identifier: MIT
 *
 * fuzz_recording.c - any bytes as a recording of a script: what is taken must have lines within their bounds, and its dumps must be
 * readable or refused with a sentence; any two dumps can be compared.
 */
#include "sim/recording.h"
#include "sim/state_diff.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const struct recording_line *line)
{
	SIM_ASSERT(line->id < RECORDING_IDS_MAX && line->cpu < CPUS_MAX && line->offset < PAGE_SIZE);
	SIM_ASSERT(line->kind <= LINE_EVENT && strlen(line->text) < SIZE_MAX);
}

static void check_dump(const struct recording *recording, size_t at)
{
	struct error error = {0};
	struct state_dump dump;
	struct recording_dump from = recording_dump_at(recording, at);
	SIM_ASSERT(from.count > 0 && at + from.count <= recording->count);
	if (!from.state)
		return;
	bool read = recording_state(recording, &from, &dump, &error);
	SIM_ASSERT(read == (error.kind == ERROR_NONE));
	if (read)
		state_dump_release(&dump);
}

static void check_diff(const char *text, size_t size)
{
	struct error error = {0};
	struct state_lines state;
	uint64_t compared;
	char *copy = xcalloc(size + 1, 1);
	memcpy(copy, text, size);
	if (!state_lines_take(&state, "fuzz", copy, NULL, true, &error)) {
		SIM_ASSERT(error.kind != ERROR_NONE);
		return;
	}
	FILE *nowhere = fopen("/dev/null", "w");
	SIM_ASSERT(nowhere);
	state_diff(&state, &state, nowhere, &compared);
	fclose(nowhere);
	state_lines_release(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error error = {0};
	struct recording recording;
	check_diff((const char *)data, size);
	char *text = xcalloc(size + 1, 1);
	memcpy(text, data, size);
	bool read = recording_parse(&recording, "fuzz", text, size, &error);
	SIM_ASSERT(read == (error.kind == ERROR_NONE));
	if (!read)
		return 0;
	for (size_t i = 0; i < recording.count; i++) {
		check_line(&recording.lines[i]);
		if (recording.lines[i].text[0] == '@')
			check_dump(&recording, i);
	}
	recording_release(&recording);
	return 0;
}
