/* SPDX-License-Identifier: MIT
 *
 * program_load.c - a program as ops of a process (interface: program_load.h).
 */
#include "models/program_load.h"

/* Pages that one op writes before the program begins. */
#define FILL_PAGES 64u
#define MAP_PAGES_MAX (1u << 31)

static void map(struct workload *workload, workload_block process, uint64_t start, uint64_t end)
{
	while (start < end) {
		uint64_t pages = (end - start) >> PAGE_SHIFT;
		struct user_area_request request = {.start = start, .pages = pages, .kind = USER_ANONYMOUS, .rights = USER_RIGHTS};
		if (pages > MAP_PAGES_MAX)
			request.pages = MAP_PAGES_MAX;
		workload_process_map(workload, 0, process, &request);
		start += request.pages << PAGE_SHIFT;
	}
}

/* A process has a stack from the beginning. */
static void map_all(struct workload *workload, const struct program_load *load, workload_block process)
{
	uint64_t stack_end = user_stack_end(load->user_end), stack_start = stack_end - USER_STACK_BYTES;
	for (uint32_t index = 0; index < load->program->area_count; index++) {
		const struct program_range *area = &load->program->areas[index];
		uint64_t end = area->start + (area->pages << PAGE_SHIFT);
		map(workload, process, area->start, end < stack_start ? end : stack_start);
		map(workload, process, area->start > stack_end ? area->start : stack_end, end);
	}
}

static void fill(struct workload *workload, const struct program *program, workload_block process)
{
	for (uint32_t index = 0; index < program->filled_count; index++) {
		const struct program_range *range = &program->filled[index];
		for (uint64_t done = 0, pages; done < range->pages; done += pages) {
			pages = range->pages - done < FILL_PAGES ? range->pages - done : FILL_PAGES;
			workload_touch(workload, 0, process,
			               &(struct workload_touch){.address = range->start + (done << PAGE_SHIFT),
			                                        .bytes = (uint32_t)pages << PAGE_SHIFT,
			                                        .stride = PAGE_SIZE,
			                                        .kind = TOUCH_WRITE});
		}
	}
}

static void run(struct workload *workload, const struct program *program, workload_block process)
{
	uint32_t most = program->threads > 1 ? PROGRAM_WINDOW : PROCESS_RUN_MAX;
	for (uint64_t done = 0, now; done < program->accesses; done += now) {
		now = program->accesses - done < most ? program->accesses - done : most;
		workload_process_run(workload, process, program->threads, (uint32_t)now);
		workload_wait_until(workload, workload_now_ns(workload) + now * PROGRAM_STEP_NS);
		workload_tell(workload, done, program->accesses);
	}
}

static void generate(struct workload *workload, const void *values)
{
	const struct program_load *load = values;
	const struct program *program = load->program;
	workload_block process = workload_process_create(workload, 0), thread[CPUS_MAX];
	for (unsigned cpu = 1; cpu < program->threads; cpu++)
		thread[cpu] = workload_process_fork(workload, 0, process, FORK_THREAD);
	map_all(workload, load, process);
	fill(workload, program, process);
	run(workload, program, process);
	for (unsigned cpu = 1; cpu < program->threads; cpu++)
		workload_process_exit(workload, cpu, thread[cpu]);
	workload_process_exit(workload, 0, process);
}

const struct workload_ops program_load_ops = {
        .name = "program",
        .help = "The accesses of a program, as a process",
        .values_bytes = sizeof(struct program_load),
        .generate = generate,
};
