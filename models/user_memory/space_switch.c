/* SPDX-License-Identifier: MIT
 *
 * space_switch.c - which address space a CPU has loaded, what its TLB may hold of others, and flushes (interface: mm.h).
 *
 * With PCIDs a CPU keeps the translations of the last six spaces it ran (TLB_NR_DYN_ASIDS), each under the process-context
 * identifier of its slot plus 1. Every change of a space's tables that needs a flush counts its generation up; a CPU whose slot
 * of the space is of an older generation flushes it when it loads the space. Slots are taken by turns. Without PCIDs every load
 * of CR3 flushes all that is not global.
 *
 * A CPU that runs a kernel thread, or nothing, keeps the space that was loaded (lazy TLB), and is not told of flushes, unless
 * tables are freed; it looks at the generation when it goes on with that space.
 *
 * Source: Linux 6.1 arch/x86/mm/tlb.c: switch_mm_irqs_off(), choose_new_asid(), load_new_mm_cr3(), enter_lazy_tlb(),
 * flush_tlb_func(), flush_tlb_mm_range(), native_flush_tlb_multi(), should_flush_tlb(), arch_tlbbatch_flush(); mm/rmap.c:
 * should_defer_flush(), set_tlb_ubc_flush_pending(), try_to_unmap_flush(); kernel/sched/core.c: context_switch().
 * MODEL: no mitigations: no IBPB, no page table isolation with its second PCID.
 * MODEL: who has what loaded is known when a flush is decided; a core that is behind that with its work drops translations of
 * the space that it has loaded then.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

/* struct tlb_state: loaded_mm, loaded_mm_asid and next_asid; ctxs; the shared part on a line of its own. */
#define STATE_LOADED 0u
#define STATE_CTXS 32u
#define STATE_LAZY 192u
#define STATE_CURRENT 256u

/* INIT_MM_CONTEXT. */
#define INIT_CTX_ID 1u

static vaddr state_of(const struct mm *mm, uint32_t offset, unsigned cpu)
{
	return layout_per_cpu(mm->layout, mm->tlb_state + offset, cpu);
}

static uint64_t ctx_id_of(const struct space *space)
{
	return space ? space->ctx_id : INIT_CTX_ID;
}

static uint64_t generation_of(const struct space *space)
{
	return space ? space->tlb_gen : 0;
}

/* The slot of a space, taken from another one where it has none; whether it must be flushed. */
static uint32_t choose_asid(struct mm *mm, const struct space *next, unsigned cpu, bool *flush)
{
	struct cpu_state *state = &mm->cpu[cpu];
	*flush = true;
	if (!mm->pcid)
		return 0;
	for (uint32_t asid = 0; asid < ASIDS; asid++) {
		step_read(mm->steps, state_of(mm, STATE_CTXS + 16 * asid, cpu), 8);
		if (state->ctx[asid].ctx_id != ctx_id_of(next))
			continue;
		*flush = state->ctx[asid].tlb_gen < generation_of(next);
		return asid;
	}
	step_update(mm->steps, state_of(mm, STATE_LOADED, cpu), 2);
	uint32_t asid = state->next_asid++;
	if (asid < ASIDS)
		return asid;
	state->next_asid = 1;
	return 0;
}

static void load_cr3(struct mm *mm, const struct space *next, uint32_t asid, bool flush, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	if (flush) {
		state->ctx[asid].ctx_id = ctx_id_of(next);
		state->ctx[asid].tlb_gen = generation_of(next);
		step_write(mm->steps, state_of(mm, STATE_CTXS + 16 * asid, cpu), 16);
	}
	uint64_t root = next ? (uint64_t)next->root->frame.nr << PAGE_SHIFT : STEP_KERNEL_ROOT;
	step_switch(mm->steps, root, mm->pcid ? asid + 1 : 0, !flush);
	step_write(mm->steps, state_of(mm, STATE_LOADED, cpu), 16);
	state->asid = asid;
	mm->counters.cr3_loads++;
	mm->counters.cr3_flushes += flush;
}

/* The space that a CPU leaves may have been kept by it alone. */
static void set_loaded(struct mm *mm, struct space *next, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	struct space *previous = state->loaded;
	state->loaded = next;
	if (next)
		next->lazy++;
	if (previous)
		space_put(mm, previous, cpu);
}

/* switch_mm_irqs_off(); NULL: init_mm. */
void switch_to_space(struct mm *mm, struct space *next, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	struct space *previous = state->loaded;
	bool was_lazy = state->lazy, flush = true;
	step_read(mm->steps, state_of(mm, STATE_LOADED, cpu), 16);
	if (was_lazy)
		step_write(mm->steps, state_of(mm, STATE_LAZY, cpu), 1);
	state->lazy = false;
	if (previous == next) {
		if (!was_lazy || !next)
			return;
		read_field(mm, &next->object, MM_CONTEXT);
		if (state->ctx[state->asid].tlb_gen == next->tlb_gen)
			return;
		load_cr3(mm, next, state->asid, true, cpu);
		return;
	}
	if (previous) {
		step_atomic(mm->steps, mm_field(&previous->object, MM_CPUMASK + cpu / 8), 1);
		previous->cpumask[cpu] = 0;
	}
	if (next) {
		step_atomic(mm->steps, mm_field(&next->object, MM_CPUMASK + cpu / 8), 1);
		next->cpumask[cpu] = 1;
		read_field(mm, &next->object, MM_CONTEXT);
	}
	uint32_t asid = choose_asid(mm, next, cpu, &flush);
	load_cr3(mm, next, asid, flush, cpu);
	set_loaded(mm, next, cpu);
}

static void leave_current(struct mm *mm, unsigned cpu)
{
	uint32_t current = mm->cpu[cpu].current;
	if (current != UINT32_MAX)
		mm->processes[current].on_cpu = UINT32_MAX;
	mm->cpu[cpu].current = UINT32_MAX;
}

/* A process that goes on here has left the CPU it ran on, which has nothing else to do. */
static void leave_other_cpu(struct mm *mm, const struct process *process, unsigned cpu)
{
	uint32_t other = process->on_cpu;
	if (other == UINT32_MAX || other == cpu)
		return;
	bool recording = mm->steps->recording;
	mm->steps->recording = false; /* its work, not that of this CPU */
	switch_to_kernel(mm, other);
	mm->steps->recording = recording;
	mm->counters.switches_moved++;
}

void switch_to_process(struct mm *mm, process_id process, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	struct process *next = process_of(mm, process);
	next->space->last_cpu = cpu;
	if (state->current == process.nr) {
		mm->counters.switches_same++;
		return;
	}
	leave_other_cpu(mm, next, cpu);
	leave_current(mm, cpu);
	mm->counters.switches++;
	step_run(mm->steps, CODE_CONTEXT_SWITCH, mm->cost.context_switch);
	read_field(mm, &next->task, TASK_MM);
	switch_to_space(mm, next->space, cpu);
	step_write(mm->steps, state_of(mm, STATE_CURRENT, cpu), 8);
	state->current = process.nr;
	next->on_cpu = cpu;
}

void switch_to_kernel(struct mm *mm, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	if (state->current == UINT32_MAX) {
		mm->counters.switches_same++;
		return;
	}
	leave_current(mm, cpu);
	mm->counters.switches++;
	mm->counters.switches_lazy++;
	step_run(mm->steps, CODE_CONTEXT_SWITCH, mm->cost.context_switch);
	step_write(mm->steps, state_of(mm, STATE_CURRENT, cpu), 8);
	state->current = UINT32_MAX;
	if (!state->loaded)
		return;
	state->lazy = true;
	step_write(mm->steps, state_of(mm, STATE_LAZY, cpu), 1);
}

void kernel_thread_begin(struct mm *mm, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	if (!state->loaded || state->lazy)
		return;
	state->lazy = true;
	step_write(mm->steps, state_of(mm, STATE_LAZY, cpu), 1);
}

void kernel_thread_end(struct mm *mm, unsigned cpu)
{
	uint32_t current = mm->cpu[cpu].current;
	if (current != UINT32_MAX)
		switch_to_space(mm, mm->processes[current].space, cpu);
}

/* ---- flushes ---- */

struct flush {
	struct space *space;
	uint64_t start, pages;
	bool all;
	uint64_t generation;
};

/* Whether the CPU drops only the pages of the range; it is up to date then. */
static bool catches_up_by_pages(struct cpu_state *state, const struct flush *flush)
{
	uint64_t *local = &state->ctx[state->asid].tlb_gen;
	bool by_pages = !flush->all && flush->generation == *local + 1;
	*local = flush->space->tlb_gen;
	return by_pages;
}

/* flush_tlb_func() on the CPU that asks for it. */
static void flush_here(struct mm *mm, const struct flush *flush, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[cpu];
	if (state->lazy) {
		switch_to_space(mm, NULL, cpu);
		return;
	}
	bool by_pages = catches_up_by_pages(state, flush);
	step_invalidate_pages(mm->steps, by_pages ? flush->start : STEP_USER_ADDRESSES, by_pages ? (uint32_t)flush->pages : 1);
	step_write(mm->steps, state_of(mm, STATE_CTXS + 16 * state->asid, cpu), 16);
	mm->counters.flush_pages += by_pages ? flush->pages : 0;
	mm->counters.flush_full += !by_pages;
}

/* A CPU that kept the space lazily lets go of it when it is interrupted: it loads init_mm. */
static void leave_there(struct mm *mm, unsigned other)
{
	struct cpu_state *state = &mm->cpu[other];
	bool flush, recording = mm->steps->recording;
	mm->steps->recording = false; /* its work, not that of the CPU that asks */
	uint32_t asid = choose_asid(mm, NULL, other, &flush);
	mm->steps->recording = recording;
	step_ipi_leave(mm->steps, other, mm->pcid ? asid + 1 : 0, !flush);
	if (flush) {
		state->ctx[asid].ctx_id = INIT_CTX_ID;
		state->ctx[asid].tlb_gen = 0;
	}
	state->asid = asid;
	state->lazy = false;
	state->loaded->cpumask[other] = 0;
	mm->counters.cr3_loads++;
	mm->counters.cr3_flushes += flush;
	set_loaded(mm, NULL, other);
}

static void flush_there(struct mm *mm, const struct flush *flush, unsigned other)
{
	struct cpu_state *state = &mm->cpu[other];
	mm->counters.flush_ipis++;
	if (state->lazy) {
		leave_there(mm, other);
		return;
	}
	bool by_pages = catches_up_by_pages(state, flush);
	step_ipi_pages(mm->steps, other, by_pages ? flush->start : STEP_USER_ADDRESSES, by_pages ? (uint32_t)flush->pages : 1);
	mm->counters.flush_pages += by_pages ? flush->pages : 0;
	mm->counters.flush_full += !by_pages;
}

void flush_range(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, bool freed_tables, unsigned cpu)
{
	step_run(mm->steps, CODE_TLB_FLUSH, mm->cost.tlb_flush);
	step_atomic(mm->steps, mm_field(&space->object, MM_CONTEXT + 8), 8);
	space->tlb_gen++;
	mm->counters.flushes++;
	const struct flush flush = {
	        .space = space, .start = start, .pages = pages, .all = pages > FLUSH_CEILING, .generation = space->tlb_gen};
	bool waits = false;
	read_field(mm, &space->object, MM_CPUMASK);
	for (unsigned other = 0; other < mm->cpus; other++) {
		if (other == cpu || !space->cpumask[other])
			continue;
		step_read(mm->steps, state_of(mm, STATE_LAZY, other), 1);
		if (mm->cpu[other].lazy && !freed_tables)
			continue;
		flush_there(mm, &flush, other);
		waits = true;
	}
	if (mm->cpu[cpu].loaded == space)
		flush_here(mm, &flush, cpu);
	if (waits)
		step_ipi_wait(mm->steps);
}

bool flush_put_off(struct mm *mm, struct space *space, bool dirty, unsigned cpu)
{
	bool elsewhere = false;
	read_field(mm, &space->object, MM_CPUMASK);
	for (unsigned other = 0; other < mm->cpus; other++)
		elsewhere |= other != cpu && space->cpumask[other];
	if (!elsewhere)
		return false;
	step_atomic(mm->steps, mm_field(&space->object, MM_CONTEXT + 8), 8);
	space->tlb_gen++;
	for (unsigned other = 0; other < mm->cpus; other++)
		mm->unmapped.cpus[other] |= space->cpumask[other];
	step_atomic(mm->steps, mm_field(&space->object, MM_FLUSH_BATCHED), 4);
	mm->unmapped.required = true;
	mm->unmapped.writable |= dirty;
	mm->counters.flushes_put_off++;
	return true;
}

/* flush_tlb_func() of no space in particular: what is loaded there is flushed as a whole, if it is not up to date. */
static void catch_up(struct mm *mm, unsigned on, unsigned cpu)
{
	struct cpu_state *state = &mm->cpu[on];
	const struct space *loaded = state->loaded;
	bool behind = loaded && state->ctx[state->asid].tlb_gen < loaded->tlb_gen;
	const struct flush flush = {.space = state->loaded, .all = true};
	if (behind && on == cpu)
		flush_here(mm, &flush, cpu);
	else if (behind)
		flush_there(mm, &flush, on);
	else if (on != cpu) {
		step_ipi(mm->steps, on, STEP_NO_ADDRESS);
		mm->counters.flush_ipis++;
	}
}

/* arch_tlbbatch_flush(). A CPU that has its space lazily looks at the generation when it goes on. */
void flush_unmapped(struct mm *mm, bool only_dirty, unsigned cpu)
{
	bool waits = false;
	if (!mm->unmapped.required || (only_dirty && !mm->unmapped.writable))
		return;
	step_run(mm->steps, CODE_TLB_FLUSH, mm->cost.tlb_flush);
	mm->counters.flush_batches++;
	for (unsigned on = 0; on < mm->cpus; on++) {
		if (!mm->unmapped.cpus[on])
			continue;
		step_read(mm->steps, state_of(mm, STATE_LAZY, on), 1);
		mm->unmapped.cpus[on] = 0;
		if (mm->cpu[on].lazy)
			continue;
		catch_up(mm, on, cpu);
		waits |= on != cpu;
	}
	if (waits)
		step_ipi_wait(mm->steps);
	mm->unmapped.required = mm->unmapped.writable = false;
}

/* One holder less: a CPU that has it loaded, or its threads (mmdrop()). */
void space_put(struct mm *mm, struct space *space, unsigned cpu)
{
	SIM_ASSERT(space->lazy > 0);
	step_atomic(mm->steps, mm_field(&space->object, MM_COUNT), 4);
	if (--space->lazy == 0)
		space_free(mm, space, cpu);
}
