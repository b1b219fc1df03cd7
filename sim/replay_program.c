/* SPDX-License-Identifier: MIT
 *
 * replay_program.c - accesses of a program as a process's (interface and rules: replay_program.h).
 */
#include "sim/replay_program.h"

#include "sim/metric.h"

#include <inttypes.h>

const struct metric program_metrics[] = {
        METRIC(struct program_counters, accesses, "1", "Accesses of the program"),
        METRIC(struct program_counters, faulted, "1", "Of them, those that took a page fault"),
        METRIC(struct program_counters, left_out, "1", "Of them, those that were not made, as there was no memory"),
        METRIC_END,
};

/* ---- paying ---- */

static void pay(struct program_replay *program, unsigned cpu, enum job_kind kind, struct steps *steps)
{
	const struct job_about about = {.kind = kind, .call_site = NO_CALL_SITE};
	if (program->machine && steps->count > 0)
		push_with_daemons(program->machine, program->daemons, cpu, &about, steps);
}

/* The steps before a fault are a job, those of the fault another one. */
static void pay_fault(struct program_replay *program, unsigned cpu, uint32_t before)
{
	struct steps *steps = program->steps;
	struct steps head = {.at = steps->at, .count = before};
	pay(program, cpu, JOB_ACCESSES, &head);
	steps_cut(steps, before);
	if (program->machine && program->last_fault_cpu != cpu)
		machine_wait_for(program->machine, program->last_fault_cpu);
	program->last_fault_cpu = cpu;
	pay(program, cpu, JOB_TOUCH, steps);
}

/* ---- accesses ---- */

static enum user_result make_part(struct program_replay *program, const struct access *part, process_id process, unsigned cpu,
                                  bool *faulted)
{
	uint32_t before = program->steps->count;
	bool fault;
	enum user_result result = user_make_access(program->users, process, part, &fault, cpu);
	if (fault)
		pay_fault(program, cpu, before);
	*faulted |= fault;
	return result;
}

/* Page by page. */
static enum user_result make_parts(struct program_replay *program, const struct access *access, process_id process, unsigned cpu,
                                   bool *faulted)
{
	struct access part = *access;
	enum user_result result = USER_OK;
	for (uint32_t left = access->bytes; left > 0 && result == USER_OK; left -= part.bytes) {
		uint64_t room = PAGE_SIZE - part.address % PAGE_SIZE;
		part.bytes = left < room ? left : (uint32_t)room;
		result = make_part(program, &part, process, cpu, faulted);
		part.address += part.bytes;
	}
	return result;
}

static void make(struct program_replay *program, const struct access *access, process_id process, unsigned cpu)
{
	bool faulted = false;
	enum user_result result = USER_OK;
	program->counters.accesses++;
	program->has_code |= access->kind == ACCESS_CODE;
	if (!program->has_code)
		step_spend(program->steps, program->instructions_per_access);
	if (access->kind == ACCESS_PREFETCH)
		step_prefetch(program->steps, vaddr_of(access->address));
	else if (process.nr == UINT32_MAX)
		result = USER_NO_MEMORY;
	else
		result = make_parts(program, access, process, cpu, &faulted);
	program->counters.faulted += faulted;
	program->counters.left_out += result != USER_OK;
}

/* ---- one op ---- */

static bool read_window(struct program_replay *program, struct access *window, uint32_t count, struct error *error)
{
	size_t read;
	for (uint32_t have = 0; have < count; have += (uint32_t)read) {
		if (!access_source_read(program->accesses, window + have, count - have, &read, error))
			return false;
		if (read == 0)
			return error_set(error, ERROR_INPUT, "the program has no more than %" PRIu64 " accesses; it had more before",
			                 program->counters.accesses + have);
	}
	return true;
}

bool program_run(struct program_replay *program, const struct op *op, const process_id threads[], struct error *error)
{
	struct access window[PROCESS_RUN_MAX];
	uint64_t now_ns = program->steps->now_ns;
	if (!read_window(program, window, op->bytes_req, error))
		return false;
	for (unsigned cpu = 0; cpu < op->bytes_alloc; cpu++) {
		for (uint32_t index = 0; index < op->bytes_req; index++) {
			if (window[index].cpu % program->cpus != cpu)
				continue;
			program->steps->now_ns = now_ns + index;
			make(program, &window[index], threads[cpu], cpu);
		}
		pay(program, cpu, JOB_ACCESSES, program->steps);
	}
	return true;
}
