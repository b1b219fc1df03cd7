/* SPDX-License-Identifier: MIT
 *
 * replay_program.c - accesses of a program as a process's (interface and rules: replay_program.h).
 */
#include "sim/replay_program.h"

#include "sim/metric.h"

#include <inttypes.h>

const struct metric program_metrics[] = {
        METRIC(struct program_counters, accesses, "1", "Accesses of the program"),
        METRIC(struct program_counters, faults, "1", "Page faults that they took"),
        METRIC(struct program_counters, left_out, "1",
               "Of them, those that were not made, as there was no memory (one on several pages counts for each)"),
        METRIC_END,
};

/* ---- paying ---- */

static void pay(struct program_replay *program, unsigned cpu, enum job_kind kind, struct steps *steps)
{
	const struct job_about about = {.kind = kind, .call_site = NO_CALL_SITE};
	if (program->machine && steps->count > 0)
		push_with_daemons(program->machine, program->daemons, cpu, &about, steps);
}

/* The steps before a fault are a job, of which no daemon is; those of the fault are another one. */
static void pay_fault(struct program_replay *program, unsigned cpu, uint32_t before)
{
	const struct job_about about = {.kind = JOB_ACCESSES, .call_site = NO_CALL_SITE};
	struct steps *steps = program->steps;
	const struct steps head = {.at = steps->at, .count = before};
	if (program->machine && before > 0)
		core_push(program->machine, cpu, &about, &head);
	steps_cut(steps, before);
	if (program->machine && program->last_fault_cpu != cpu)
		machine_wait_for(program->machine, program->last_fault_cpu);
	program->last_fault_cpu = cpu;
	pay(program, cpu, JOB_TOUCH, steps);
}

/* ---- accesses ---- */

/* Those of one thread, in order. */
static void make(struct program_replay *program, const struct access *accesses, size_t count, process_id process, unsigned cpu)
{
	struct user_run run = {.instructions = program->has_code ? 0 : program->instructions_per_access};
	if (process.nr == UINT32_MAX) {
		program->counters.left_out += count;
		return;
	}
	for (size_t made = 0; made < count;) {
		made += user_run(program->users, process, accesses + made, count - made, &run, cpu);
		program->counters.faults += run.faulted;
		program->counters.left_out += run.result != USER_OK;
		if (run.faulted)
			pay_fault(program, cpu, run.before);
	}
	pay(program, cpu, JOB_ACCESSES, program->steps);
}

/* ---- one op ---- */

struct window {
	struct access at[PROCESS_RUN_MAX];
	struct access own[PROCESS_RUN_MAX]; /* of one thread, each within a page */
	uint32_t count, own_count;
	bool is_plain; /* `at` is of one thread, and each access within a page */
};

/* A CPU beyond the machine's is one modulo them; each has a thread. */
static bool read_window(struct program_replay *program, struct window *window, uint32_t count, unsigned threads,
                        struct error *error)
{
	size_t read;
	for (window->count = 0; window->count < count; window->count += (uint32_t)read) {
		if (!access_source_read(program->accesses, window->at + window->count, count - window->count, &read, error))
			return false;
		if (read == 0)
			return error_set(error, ERROR_INPUT,
			                 "the program has no more than %" PRIu64 " accesses; it had more before",
			                 program->counters.accesses + window->count);
	}
	window->is_plain = program->cpus == 1;
	for (uint32_t index = 0; index < count; index++) {
		struct access *access = &window->at[index];
		access->cpu = (uint16_t)(program->cpus > 1 ? access->cpu % program->cpus : 0);
		if (access->cpu >= threads)
			return error_set(error, ERROR_INPUT,
			                 "access %" PRIu64 " of the program is one of CPU %u; it had %u before",
			                 program->counters.accesses + index + 1, access->cpu, threads);
		program->has_code |= access->kind == ACCESS_CODE;
		window->is_plain &= access->bytes <= PAGE_SIZE - access->address % PAGE_SIZE;
	}
	program->counters.accesses += count;
	return true;
}

static void make_own(struct program_replay *program, struct window *window, process_id process, unsigned cpu)
{
	if (window->own_count > 0)
		make(program, window->own, window->own_count, process, cpu);
	window->own_count = 0;
}

/* Page by page. */
static void add_parts(struct program_replay *program, struct window *window, const struct access *access, process_id process,
                      unsigned cpu)
{
	struct access part = *access;
	for (uint32_t left = access->bytes; left > 0; left -= part.bytes) {
		uint64_t room = PAGE_SIZE - part.address % PAGE_SIZE;
		part.bytes = left < room ? left : (uint32_t)room;
		if (window->own_count == PROCESS_RUN_MAX)
			make_own(program, window, process, cpu);
		window->own[window->own_count++] = part;
		part.address += part.bytes;
	}
}

bool program_run(struct program_replay *program, const struct op *op, const process_id threads[], struct error *error)
{
	struct window window;
	if (!read_window(program, &window, op->bytes_req, op->bytes_alloc, error))
		return false;
	window.own_count = 0;
	if (window.is_plain)
		make(program, window.at, window.count, threads[0], 0);
	for (unsigned cpu = 0; cpu < op->bytes_alloc && !window.is_plain; cpu++) {
		for (uint32_t index = 0; index < window.count; index++)
			if (window.at[index].cpu == cpu)
				add_parts(program, &window, &window.at[index], threads[cpu], cpu);
		make_own(program, &window, threads[cpu], cpu);
	}
	/* They are many, and nobody else comes first: what they took need not be kept. */
	if (program->machine && program->cpus == 1)
		machine_wait_for(program->machine, 0);
	return true;
}
