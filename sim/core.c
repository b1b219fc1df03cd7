/* SPDX-License-Identifier: MIT
 *
 * core.c - cores and their queues of ops (interface, rules and laws: core.h).
 */
#include "sim/core_internal.h"
#include "sim/entry_area.h"
#include "sim/layout.h"

#include <stdlib.h>
#include <string.h>

#define COST_METRIC(part, name, help) \
	{ \
		name "_cycles", "cycles", METRIC_COUNTER, help, offsetof(struct core_counters, cost.cycles[part]) \
	}

const struct metric core_metrics[] = {
        METRIC(struct core_counters, jobs, "1", "Ops whose steps were run"),
        METRIC(struct core_counters, busy_cycles, "cycles", "Cycles in which a core had an op to run"),
        COST_METRIC(COST_COMPUTE, "compute", "Of the busy cycles, those of instructions"),
        COST_METRIC(COST_TLB, "tlb", "Those of further TLBs and page walks"),
        COST_METRIC(COST_L1, "l1", "Those of the first level of caches"),
        COST_METRIC(COST_L2, "l2", "Those of levels of caches between the first and the last"),
        COST_METRIC(COST_LLC, "llc", "Those of the last level of caches, and the way to it"),
        COST_METRIC(COST_COHERENCE, "coherence", "Those of lines fetched from other cores, and of making others' copies invalid"),
        COST_METRIC(COST_DRAM, "dram", "Those of memory"),
        COST_METRIC(COST_STORE_BUFFER, "store_buffer", "Those spent waiting for the store buffer"),
        COST_METRIC(COST_LOCK, "lock", "Those spent waiting for a lock"),
        COST_METRIC(COST_IPI, "ipi", "Those of waiting for acknowledgements and of serving interrupts"),
        COST_METRIC(COST_IO, "io", "Those spent sleeping until a disk or swap device is done"),
        METRIC(struct core_counters, cmpxchg_retries, "1",
               "Compare-and-exchanges made once more, as another core had changed the word"),
        METRIC(struct core_counters, ipis_sent, "1", "Interrupts sent to other cores"),
        METRIC(struct core_counters, irq_stack_lines, "1", "Lines of IRQ stacks written in serving interrupts"),
        METRIC(struct core_counters, ipis_served, "1", "Interrupts of other cores served"),
        METRIC(struct core_counters, cr3_loads, "1", "Writes of CR3"),
        METRIC(struct core_counters, context_switches, "1", "Switches between a daemon and what ran before"),
        METRIC(struct core_counters, code_lines, "1", "Lines of the kernel's code that paths fetched (cost.code_fetch)"),
        METRIC(struct core_counters, code_stalls, "1", "Of these, those that were waited for: not in the first level"),
        METRIC(struct core_counters, code_cycles, "cycles",
               "Cycles waited for them, which stand among those of the levels that had them"),
        METRIC_END,
};

static const char *const histogram_names[JOB_MEASURES][JOB_KINDS] = {
        [JOB_CYCLES] = {"cycles_per_alloc", "cycles_per_free", "cycles_per_page_alloc", "cycles_per_page_free",
                        "cycles_per_daemon_run", "cycles_per_area_alloc", "cycles_per_area_free", "cycles_per_page_map",
                        "cycles_per_page_unmap", "cycles_per_page_clear", "cycles_per_page_copy", "cycles_per_process",
                        "cycles_per_touch", "cycles_per_switch", "cycles_per_accesses"},
        [JOB_LINES] = {"lines_per_alloc", "lines_per_free", "lines_per_page_alloc", "lines_per_page_free", "lines_per_daemon_run",
                       "lines_per_area_alloc", "lines_per_area_free", "lines_per_page_map", "lines_per_page_unmap",
                       "lines_per_page_clear", "lines_per_page_copy", "lines_per_process", "lines_per_touch", "lines_per_switch",
                       "lines_per_accesses"},
        [JOB_PAGES] = {"pages_per_alloc", "pages_per_free", "pages_per_page_alloc", "pages_per_page_free", "pages_per_daemon_run",
                       "pages_per_area_alloc", "pages_per_area_free", "pages_per_page_map", "pages_per_page_unmap",
                       "pages_per_page_clear", "pages_per_page_copy", "pages_per_process", "pages_per_touch", "pages_per_switch",
                       "pages_per_accesses"},
};

const char *job_histogram_name(enum job_measure measure, enum job_kind kind)
{
	SIM_ASSERT(measure < JOB_MEASURES && kind < JOB_KINDS);
	return histogram_names[measure][kind];
}

const char *job_histogram_unit(enum job_measure measure)
{
	static const char *const units[JOB_MEASURES] = {[JOB_CYCLES] = "cycles", [JOB_LINES] = "lines", [JOB_PAGES] = "pages"};
	SIM_ASSERT(measure < JOB_MEASURES);
	return units[measure];
}

/* Kinds of steps whose bytes count as touched, a bit each: accesses, and locks. */
#define STEPS_THAT_TOUCH ((1u << STEP_SPEND) - 1u + (1u << STEP_LOCK) + (1u << STEP_UNLOCK))
_Static_assert(STEP_UNMAP < 32, "a bit for each kind");

/* What the steps of an op touched, however the machine served them. */
static void measure_touched(struct machine *machine, const struct core_job *job)
{
	struct touched *touched = &machine->touched;
	if (job->about.kind == JOB_ACCESSES) /* thousands, whose number says nothing of an op */
		return;
	touched_clear(touched);
	struct touching touching = touching_begin(touched);
	for (const struct step *step = job->at, *end = job->at + job->count; step < end; step++)
		if (STEPS_THAT_TOUCH >> step->kind & 1)
			touching_add(touched, &touching, step->address, step->bytes);
	touching_end(touched, touching);
	histogram_add(&machine->measured[JOB_LINES][job->about.kind], touched->lines);
	histogram_add(&machine->measured[JOB_PAGES][job->about.kind], touched->pages);
}

/* A daemon has a thread of its own, for which the core has to switch. */
static cycle begin_job(struct core *core, cycle now)
{
	bool is_daemon = core->jobs[core->first].about.kind == JOB_DAEMON;
	core->is_begun = true;
	core->started = now;
	core->before = core->counters.cost;
	if (is_daemon == core->ran_daemon)
		return now;
	core->ran_daemon = is_daemon;
	core->counters.context_switches++;
	return core_pay(core, COST_COMPUTE, core->machine->config.context_switch_cycles, now);
}

static void finish_job(struct core *core, cycle now)
{
	struct machine *machine = core->machine;
	const struct core_job *job = &core->jobs[core->first];
	struct cost cost = core->counters.cost;
	for (unsigned part = 0; part < COST_PARTS; part++)
		cost.cycles[part] -= core->before.cycles[part];
	SIM_ASSERT(cost_total(&cost) == now - core->started);
	histogram_add(&machine->measured[JOB_CYCLES][job->about.kind], now - core->started);
	op_costs_add(&machine->op_costs, &(struct op_cost_key){job->about, job->path}, &cost);
	measure_touched(machine, job);
	if (machine->listener) {
		const struct core_job_done done = {core->cpu, &job->about, (enum step_path)job->path, core->started, now, &cost};
		machine->listener->job(machine->listener, &done);
	}
	core->counters.jobs++;
	core->counters.busy_cycles += now - core->started;
	core->first = (core->first + 1) % machine->ring;
	core->queued--;
	core->queued_steps -= job->count;
	machine->awaited -= machine->awaited > 0;
	core->position = 0;
	core->is_begun = false;
	core->started = now;
}

void core_go_on(struct core *core, cycle at)
{
	event_queue_add(&core->machine->queue, &core->event, at);
}

/* The next piece of work of a core that has some. CYCLE_NEVER: it waits. */
static cycle work(struct core *core, cycle now)
{
	const struct core_job *job = &core->jobs[core->first];
	core->machine->owner = job->about.owner;
	core->machine->caller = job->about.call_site + 1; /* NO_CALL_SITE + 1 is 0 */
	if (!core->is_begun)
		return begin_job(core, now);
	if (core->takes) {
		now = core_take(core, now);
		core->position++;
		return now;
	}
	if (core->position == job->count) {
		/* The op is over when all that it read is there; what it wrote may still be on its way. */
		cycle done = core_wait_for_loads(core, now);
		finish_job(core, done);
		return done;
	}
	return core_run_steps(core, now);
}

static void core_run(struct event *event, cycle now)
{
	struct core *core = (struct core *)(void *)event;
	while (core->queued > 0) {
		now = work(core, now);
		if (now == CYCLE_NEVER)
			return;
		if (core->queued > 0 && core_must_wait(core->machine, now)) {
			core_go_on(core, now);
			return;
		}
	}
}

/* Two lines of each core's own: its node of lock queues, and what others announce interrupts in. */
static void place_lines(struct machine *machine, struct layout *layout)
{
	uint32_t bytes = 2 * machine->line_bytes;
	uint64_t offset = layout ? layout_per_cpu_static(layout, bytes) : 0;
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		machine->own_lines[cpu] = layout ? layout_per_cpu(layout, offset, cpu).addr : (uint64_t)cpu * bytes;
		if (!layout)
			continue;
		layout_name(layout, vaddr_of(core_queue_node(machine, cpu)), machine->line_bytes, "qnodes", "");
		layout_name(layout, vaddr_of(core_ipi_line(machine, cpu)), machine->line_bytes, "call_single_queue", "");
	}
}

/* The tables of a core; of a memory that has none, two without a line, which nobody writes. */
static struct usual_lines *usual_of(const struct memory *memory, unsigned cpu)
{
	static struct usual_lines none[MMU_SIDES];
	return memory && memory->usual ? &memory->usual[cpu * MMU_SIDES] : none;
}

/* 32: a number that is no power of two. */
static unsigned log2_or_none(uint32_t number)
{
	return number & (number - 1) ? 32 : (unsigned)__builtin_ctz(number);
}

void machine_init(struct machine *machine, const struct machine_wiring *wiring)
{
	const struct core_config *config = &wiring->core;
	SIM_ASSERT(wiring->cpus > 0 && wiring->cpus <= CPUS_MAX && config->instructions_per_cycle > 0);
	SIM_ASSERT(config->misses_in_flight > 0 && config->misses_in_flight <= CORE_MISSES_MAX);
	SIM_ASSERT(config->store_buffer <= CORE_STORES_MAX && (!wiring->settles || wiring->cpus == 1));
	*machine = (struct machine){.memory = wiring->memory,
	                            .user_tables = wiring->user_tables,
	                            .listener = wiring->listener,
	                            .tables = wiring->tables,
	                            .code = wiring->code,
	                            .cpus = wiring->cpus,
	                            .config = *config,
	                            .per_cycle_shift = log2_or_none(config->instructions_per_cycle),
	                            .frequency_mhz = wiring->frequency_mhz,
	                            .line_bytes = wiring->line_bytes,
	                            .ring = wiring->settles ? CORE_JOBS_SETTLED : CORE_JOBS,
	                            .settles = wiring->settles};
	event_queue_init(&machine->queue);
	lock_table_init(&machine->locks);
	touched_init(&machine->touched, wiring->line_bytes);
	place_lines(machine, wiring->layout);
	if (machine->code)
		machine->code_runs = xcalloc(machine->code->count, sizeof *machine->code_runs);
	for (unsigned cpu = 0; wiring->layout && cpu < wiring->cpus; cpu++)
		if (wiring->layout->irq_stack[cpu])
			machine->irq_stack_top[cpu] = wiring->layout->irq_stack[cpu] + IRQ_STACK_BYTES;
	machine->words = xcalloc(CMPXCHG_WORDS, sizeof *machine->words);
	machine->cores = xcalloc(wiring->cpus, sizeof *machine->cores);
	for (unsigned cpu = 0; cpu < wiring->cpus; cpu++) {
		struct core *core = &machine->cores[cpu];
		core->event = (struct event){.run = core_run, .phase = PHASE_CORE};
		core->interrupt = (struct event){.run = core_serve_interrupt, .phase = PHASE_CORE};
		core->machine = machine;
		core->cpu = cpu;
		core->usual = usual_of(machine->memory, cpu);
		core->jobs = xcalloc(machine->ring, sizeof *core->jobs);
	}
}

void machine_release(struct machine *machine)
{
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		for (unsigned job = 0; job < machine->ring; job++)
			free(machine->cores[cpu].jobs[job].at);
		free(machine->cores[cpu].jobs);
	}
	free(machine->cores);
	free(machine->code_runs);
	free(machine->words);
	op_costs_release(&machine->op_costs);
	touched_release(&machine->touched);
	lock_table_release(&machine->locks);
	event_queue_release(&machine->queue);
	*machine = (struct machine){0};
}

/* Jobs that wait to be made together are many: those of many steps do not keep their room. */
#define STEPS_KEPT 1024u

static void reserve_steps(struct core_job *job, uint32_t count)
{
	if (count <= job->capacity && job->capacity <= STEPS_KEPT)
		return;
	job->capacity = count;
	job->at = xrealloc(job->at, (size_t)(count ? count : 1) * sizeof *job->at);
}

/* Nobody looks at the memory's counters while time passes. */
static void end_run(const struct machine *machine)
{
	if (machine->memory)
		memory_settle(machine->memory);
}

/* Lets time pass until a core has no more than so many jobs, none of which comes meanwhile. */
static void run_down(struct machine *machine, const struct core *core, unsigned jobs)
{
	while (core->queued > jobs) {
		/* Of several cores another one's job may end first. */
		machine->awaited = machine->cpus == 1 ? core->queued - jobs : 1;
		event_queue_run_next(&machine->queue);
	}
	machine->awaited = 0;
	end_run(machine);
}

void machine_settle(struct machine *machine)
{
	if (machine->settles)
		run_down(machine, &machine->cores[0], CORE_JOBS);
}

/* The job that comes next into a core's queue. */
static struct core_job *next_job(struct machine *machine, struct core *core)
{
	if (core->queued == machine->ring || (machine->settles && core->queued_steps > CORE_STEPS_SETTLED))
		run_down(machine, core, CORE_JOBS - 1);
	if (core->queued == 0)
		core->first = 0; /* whose room was used last */
	return &core->jobs[(core->first + core->queued) % machine->ring];
}

/* It has its steps. */
static void queue_job(struct machine *machine, struct core *core, struct core_job *job, const struct job_about *about,
                      const struct steps *steps)
{
	job->count = steps->count;
	job->about = *about;
	job->path = steps->path;
	core->queued_steps += steps->count;
	if (core->queued++ == 0) {
		SIM_ASSERT(core->event.place == 0 && core->position == 0 && !core->is_begun);
		/* `started` is the end of the core's last op: it may lie ahead of the clock. */
		if (core->started < machine->queue.now)
			core->started = machine->queue.now;
		event_queue_add(&machine->queue, &core->event, core->started);
	}
}

void core_push(struct machine *machine, unsigned cpu, const struct job_about *about, const struct steps *steps)
{
	SIM_ASSERT(cpu < machine->cpus);
	struct core *core = &machine->cores[cpu];
	struct core_job *job = next_job(machine, core);
	reserve_steps(job, steps->count);
	if (steps->count > 0)
		memcpy(job->at, steps->at, steps->count * sizeof *job->at);
	queue_job(machine, core, job, about, steps);
}

void core_give(struct machine *machine, unsigned cpu, const struct job_about *about, struct steps *steps)
{
	SIM_ASSERT(cpu < machine->cpus && steps->count <= steps->capacity); /* room of its own */
	struct core *core = &machine->cores[cpu];
	struct core_job *job = next_job(machine, core);
	if (job->capacity == 0 || steps->count > STEPS_KEPT) {
		core_push(machine, cpu, about, steps);
		return;
	}
	struct step *room = job->at;
	const uint32_t capacity = job->capacity;
	job->at = steps->at;
	job->capacity = steps->capacity;
	steps->at = room;
	steps->capacity = capacity;
	queue_job(machine, core, job, about, steps);
}

void machine_run_until(struct machine *machine, cycle until)
{
	machine->horizon = until;
	event_queue_run_until(&machine->queue, until);
	end_run(machine);
}

void machine_wait_for(struct machine *machine, unsigned cpu)
{
	const struct core *core = &machine->cores[cpu];
	run_down(machine, core, 0);
	if (core->started > machine->queue.now)
		event_queue_run_until(&machine->queue, core->started);
	end_run(machine);
}

static bool machine_busy(const struct machine *machine)
{
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		if (machine->cores[cpu].queued > 0)
			return true;
	return false;
}

void machine_drain(struct machine *machine)
{
	machine_settle(machine);
	machine->horizon = CYCLE_NEVER;
	if (machine->cpus == 1)
		run_down(machine, &machine->cores[0], 0);
	while (machine_busy(machine))
		event_queue_run_next(&machine->queue);
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		if (machine->cores[cpu].started > machine->queue.now)
			event_queue_run_until(&machine->queue, machine->cores[cpu].started);
	end_run(machine);
}

struct core_counters machine_counters(const struct machine *machine)
{
	struct core_counters sum = {0};
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		const struct core_counters *counters = &machine->cores[cpu].counters;
		sum.jobs += counters->jobs;
		sum.busy_cycles += counters->busy_cycles;
		cost_add(&sum.cost, &counters->cost);
		sum.cmpxchg_retries += counters->cmpxchg_retries;
		sum.ipis_sent += counters->ipis_sent;
		sum.ipis_served += counters->ipis_served;
		sum.irq_stack_lines += counters->irq_stack_lines;
		sum.context_switches += counters->context_switches;
		sum.cr3_loads += counters->cr3_loads;
		sum.code_lines += counters->code_lines;
		sum.code_stalls += counters->code_stalls;
		sum.code_cycles += counters->code_cycles;
	}
	return sum;
}

void machine_check(const struct machine *machine)
{
	event_queue_check(&machine->queue);
	lock_table_check(&machine->locks);
	uint64_t jobs = 0, sent = 0, served = 0;
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		const struct core *core = &machine->cores[cpu];
		const struct core_counters *counters = &core->counters;
		jobs += counters->jobs;
		sent += counters->ipis_sent;
		served += counters->ipis_served + core->ipi_count;
		SIM_ASSERT(counters->irq_stack_lines ==
		           (machine->irq_stack_top[cpu] ? IRQ_STACK_LINES * counters->ipis_served : 0));
		if (core->queued == 0) /* within a job its cycles are not added up yet */
			SIM_ASSERT(counters->busy_cycles == cost_total(&counters->cost));
		SIM_ASSERT(core->queued == 0 || core->event.place != 0 || core->waits_for || core->waits_for_acks);
	}
	SIM_ASSERT(sent == served);
	machine_check_code(machine);
	op_costs_check(&machine->op_costs);
	for (unsigned measure = 0; measure < JOB_MEASURES; measure++) {
		uint64_t measured = measure == JOB_CYCLES ? 0 : machine->measured[JOB_CYCLES][JOB_ACCESSES].count;
		for (unsigned kind = 0; kind < JOB_KINDS; kind++) {
			histogram_check(&machine->measured[measure][kind]);
			measured += machine->measured[measure][kind].count;
		}
		SIM_ASSERT(measured == jobs);
	}
}
