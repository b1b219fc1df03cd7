/* SPDX-License-Identifier: MIT
 *
 * replay_users.c - ops of processes (replay_internal.h).
 */
#include "sim/replay_internal.h"

/*
 * What happens in an address space on one CPU comes behind what happened in it on another: that core has to come to its end
 * first. MODEL: so threads of a process take turns under the clock, and no two of them run at once.
 */
static void follow_process(const struct replay *replay, process_id process, unsigned cpu)
{
	struct process_view view;
	if (!replay->parts.machine || !replay->parts.users->ops->view(replay->parts.users, process, &view))
		return;
	unsigned last = view.last_cpu;
	if (last != cpu)
		machine_wait_for(replay->parts.machine, last);
}

/* The process that an op is of, or its parent; NULL: none lives there. */
static struct live *subject_of(struct replay *replay, const struct op *op)
{
	struct live *live = &replay->live[op->kind == OP_PROCESS_FORK ? op_parent_of(op) : op->id];
	return live->state == LIVE_PROCESS || live->state == LIVE_FAILED ? live : NULL;
}

static bool process_done(struct replay *replay, const struct op *op, const struct process_op_done *done, unsigned cpu,
                         struct error *error)
{
	if (done->result == PROCESS_OP_WRONG)
		return replay_wrong_op(replay, op, done->what, error);
	bool failed = done->result == PROCESS_OP_NO_MEMORY;
	replay->counters.process_ops += !failed;
	replay->counters.failed_process_ops += failed;
	if (makes_process(op->kind))
		replay->live[op->id] =
		        (struct live){.address = done->process.nr,
		                      .cache = UINT32_MAX,
		                      .cpu = (uint16_t)cpu,
		                      .state = failed ? LIVE_FAILED : LIVE_PROCESS,
		                      .other_areas = op->kind == OP_PROCESS_FORK && subject_of(replay, op)->other_areas};
	if (op->kind == OP_PROCESS_EXIT)
		replay->live[op->id].state = LIVE_NOT;
	replay->counters.live_processes = replay->parts.users->live_processes;
	return true;
}

static bool changes_areas(unsigned kind)
{
	return kind == OP_PROCESS_MAP || kind == OP_PROCESS_UNMAP || kind == OP_PROCESS_PROTECT || kind == OP_PROCESS_REMAP ||
	       kind == OP_PROCESS_EXEC;
}

/*
 * A change of areas that found no memory is not there for what comes after it: that finds none either, and is no mistake of the
 * recording. MODEL: from the first such change on all that the process, or one forked of it, does wrong with areas counts so; of
 * threads, what the thread does that asked for the change, and those made after it.
 */
static void forgive_areas(struct live *live, const struct op *op, struct process_op_done *done)
{
	if (op->kind == OP_PROCESS_EXEC && done->result == PROCESS_OP_DONE)
		live->other_areas = false;
	if (changes_areas(op->kind) && done->result == PROCESS_OP_NO_MEMORY)
		live->other_areas = true;
	if (done->result == PROCESS_OP_WRONG && done->is_of_areas && live->other_areas)
		done->result = PROCESS_OP_NO_MEMORY;
}

bool replay_decide_process(struct replay *replay, const struct op *op, unsigned cpu, struct error *error)
{
	struct process_op_done done = {.result = PROCESS_OP_NO_MEMORY, .process = PROCESS_NONE};
	process_id process = PROCESS_NONE;
	struct live *live = NULL;
	if (makes_process(op->kind) && replay->live[op->id].state != LIVE_NOT)
		return replay_wrong_op(replay, op, "its id is still in use", error);
	if (op->kind != OP_PROCESS_CREATE && op->kind != OP_PROCESS_LEAVE) {
		live = subject_of(replay, op);
		if (!live)
			return replay_wrong_op(replay, op, "no process is live under its id", error);
		/* One that could not be made does nothing. */
		if (live->state == LIVE_FAILED)
			return process_done(replay, op, &done, cpu, error);
		process = (process_id){(uint32_t)live->address};
		follow_process(replay, process, cpu);
	}
	done = process_op(replay->parts.users, op, process, cpu);
	if (live)
		forgive_areas(live, op, &done);
	if (done.result == PROCESS_OP_DONE)
		space_peaks_op(&replay->space_peaks, replay->parts.users, op, makes_process(op->kind) ? done.process : process);
	replay_note_users_tick(replay);
	set_next_tick(replay);
	return process_done(replay, op, &done, cpu, error);
}

/* The threads of a program, whose ids follow each other. NULL, or what is wrong with the op. */
static const char *threads_of(const struct replay *replay, const struct op *op, process_id threads[])
{
	if (!replay->parts.accesses)
		return "it is of a program whose accesses are not here";
	if (op->bytes_alloc > replay->config.cpus)
		return "it has more threads than the machine has CPUs";
	for (uint32_t cpu = 0; cpu < op->bytes_alloc; cpu++) {
		const struct live *live = &replay->live[op->id + cpu];
		if (live->state != LIVE_PROCESS && live->state != LIVE_FAILED)
			return "no process is live under the id of one of its threads";
		threads[cpu] = live->state == LIVE_FAILED ? PROCESS_NONE : (process_id){(uint32_t)live->address};
	}
	return NULL;
}

bool replay_run_program(struct replay *replay, const struct op *op, struct error *error)
{
	process_id threads[CPUS_MAX];
	const char *what = threads_of(replay, op, threads);
	if (what)
		return replay_wrong_op(replay, op, what, error);
	if (!program_run(&replay->program, op, threads, error))
		return false;
	if (threads[0].nr != UINT32_MAX)
		space_peaks_op(&replay->space_peaks, replay->parts.users, op, threads[0]);
	replay->counters.process_ops++;
	replay_note_users_tick(replay);
	set_next_tick(replay);
	return true;
}
