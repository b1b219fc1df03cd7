/* SPDX-License-Identifier: MIT
 *
 * core_code.c - the code that a core runs on the kernel's paths (rules: core.h).
 */
#include "sim/core_internal.h"

/* One line, and what it takes beyond the first level, which is counted by itself too. */
static cycle fetch_line(struct core *core, uint64_t address, cycle now)
{
	cycle done = core_fetch(core, address, 1, now);
	core->counters.code_lines++;
	core->counters.code_stalls += done > now;
	core->counters.code_cycles += done - now;
	return done;
}

cycle core_run_code(struct core *core, uint64_t code, uint32_t instructions, cycle now)
{
	const struct code_image *image = core->machine->code;
	SIM_ASSERT(image && code < image->count);
	const struct code_piece *piece = &image->pieces[code];
	uint64_t line = core->machine->line_bytes, last = UINT64_MAX;
	for (uint32_t i = 0; i < piece->count; i++) {
		uint64_t at = image->text + piece->at[i].offset, end = at + piece->at[i].bytes;
		for (at -= at % line; at < end; at += line) {
			if (at != last) /* lines of more than CODE_LINE: the last one may hold this stretch's beginning too */
				now = fetch_line(core, at, now);
			last = at;
		}
	}
	core->machine->code_runs[code]++;
	return core_spend(core, instructions, now);
}

void machine_check_code(const struct machine *machine)
{
	uint64_t lines = 0, fetched = 0;
	if (machine->code && machine->line_bytes == CODE_LINE)
		for (uint32_t i = 0; i < machine->code->count; i++)
			lines += machine->code_runs[i] * code_piece_lines(&machine->code->pieces[i]);
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		const struct core_counters *counters = &machine->cores[cpu].counters;
		fetched += counters->code_lines;
		SIM_ASSERT(counters->code_stalls <= counters->code_lines);
		SIM_ASSERT((counters->code_stalls == 0) == (counters->code_cycles == 0));
		SIM_ASSERT(counters->code_cycles >= counters->code_stalls);
	}
	if (!machine->code || machine->line_bytes == CODE_LINE)
		SIM_ASSERT(fetched == lines);
}
