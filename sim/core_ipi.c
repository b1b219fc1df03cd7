/* SPDX-License-Identifier: MIT
 *
 * core_ipi.c - interrupts between cores, and what they ask for: translations to be dropped (rules: core.h).
 *
 * Source: Linux 6.1 kernel/smp.c (smp_call_function_many_cond: an entry on the other core's queue, one interrupt each, wait for
 * every entry to be unlocked), arch/x86/mm/tlb.c (flush_tlb_func).
 */
#include "sim/core_internal.h"
#include "sim/port/tlb_level.h"

#include <string.h>

#define ENTRY_BYTES 8u

cycle core_load_cr3(struct core *core, uint64_t root, uint32_t bytes, cycle now)
{
	struct machine *machine = core->machine;
	core->pcid = STEP_PCID(bytes);
	core->counters.cr3_loads++;
	if (machine->user_tables)
		memory_switch_space(machine->memory, core->cpu,
		                    root == STEP_KERNEL_ROOT ? machine->user_tables->kernel_root : root, core->pcid,
		                    bytes & STEP_NO_FLUSH);
	return now + machine->config.cr3_cycles;
}

void core_change_table(struct core *core, const struct step *step)
{
	struct user_tables *tables = core->machine->user_tables;
	if (step->kind == STEP_ENTRY)
		core->entry = step->address;
	else if (tables && step->kind == STEP_NEW_TABLE)
		user_tables_new(tables, step->address, step->bytes);
	else if (tables)
		user_tables_set(tables, core->entry, step->address);
}

cycle core_invalidate(struct core *core, uint64_t address, uint32_t pages, cycle now)
{
	struct machine *machine = core->machine;
	if (address == STEP_NO_ADDRESS)
		return now;
	if (address == STEP_LEAVE_SPACE)
		return core_load_cr3(core, STEP_KERNEL_ROOT, pages, now);
	if (address == STEP_ALL_ADDRESSES || address == STEP_USER_ADDRESSES) {
		const struct tlb_scope scope = address == STEP_ALL_ADDRESSES ? tlb_scope_everything() : tlb_scope_cr3(core->pcid);
		memory_invalidate(machine->memory, core->cpu, &scope);
		return now + machine->config.invalidate_cycles;
	}
	for (uint32_t page = 0; page < pages; page++) {
		const struct tlb_scope scope = tlb_scope_invlpg(address + (uint64_t)page * PAGE_SIZE, core->pcid);
		memory_invalidate(machine->memory, core->cpu, &scope);
	}
	return now + (cycle)pages * machine->config.invalidate_cycles;
}

static void wake_sender(struct core *sender, cycle acked)
{
	SIM_ASSERT(sender->acks_awaited > 0);
	if (sender->acked < acked)
		sender->acked = acked;
	if (--sender->acks_awaited > 0 || !sender->waits_for_acks)
		return;
	cycle at = sender->acked > sender->interrupted_until ? sender->acked : sender->interrupted_until;
	if (at < sender->waits_since)
		at = sender->waits_since;
	core_pay(sender, COST_IPI, at - sender->waits_since, sender->waits_since);
	core_tell(sender, SPAN_ACKS, 0, sender->waits_since, at);
	sender->waits_for_acks = false;
	sender->position++;
	core_go_on(sender, at);
}

/* The cycle at which the core may begin with an interrupt: the end of the step or of the interrupt at work. */
static cycle free_from(const struct core *core, cycle now)
{
	cycle from = core->event.place != 0 && core->event.at > now ? core->event.at : now;
	if (core->queued == 0 && core->started > from)
		from = core->started;
	return core->interrupted_until > from ? core->interrupted_until : from;
}

/* Writes the handler's frames; what takes no longer than the first level is in the handler's own cycles. */
static cycle touch_irq_stack(struct core *core, cycle now)
{
	struct machine *machine = core->machine;
	uint64_t top = machine->irq_stack_top[core->cpu];
	for (unsigned line = 1; top && line <= IRQ_STACK_LINES; line++) {
		const struct memory_request request = {.address = top - line * machine->line_bytes,
		                                       .bytes = ENTRY_BYTES,
		                                       .cpu = (uint16_t)core->cpu,
		                                       .kind = ACCESS_STORE,
		                                       .now = now};
		struct cost cost;
		bool in_first;
		memory_access_quick(machine->memory, &request, &cost, &in_first);
		now += in_first ? 0 : cost_total(&cost) - cost.cycles[COST_L1];
		core->counters.irq_stack_lines++;
	}
	return now;
}

void core_serve_interrupt(struct event *event, cycle now)
{
	struct core *core = (struct core *)(void *)((char *)event - offsetof(struct core, interrupt));
	struct machine *machine = core->machine;
	SIM_ASSERT(core->ipi_count > 0 && core->ipis[0].at <= now);
	const struct core_ipi ipi = core->ipis[0];
	memmove(core->ipis, core->ipis + 1, --core->ipi_count * sizeof core->ipis[0]);
	cycle from = free_from(core, now), until = from + machine->config.ipi_handler_cycles;
	until = touch_irq_stack(core, until);
	until = core_invalidate(core, ipi.address, ipi.pages, until);
	bool is_waiting = core->waits_for || core->waits_for_acks;
	core->counters.ipis_served++;
	if (!is_waiting)
		core_pay(core, COST_IPI, until - from, from);
	core->interrupted_until = until;
	core_tell(core, SPAN_INTERRUPT, ipi.sender, from, until);
	if (!is_waiting && !core->is_begun)
		core->counters.busy_cycles += until - from; /* of no op */
	if (core->event.place != 0) {
		event_queue_remove(&machine->queue, &core->event);
		core_go_on(core, until);
	} else if (core->queued == 0) {
		core->started = until;
	}
	wake_sender(&machine->cores[ipi.sender], until + machine->config.ipi_ack_cycles);
	if (core->ipi_count > 0)
		event_queue_add(&machine->queue, &core->interrupt, core->ipis[0].at > now ? core->ipis[0].at : now);
}

/* An interrupt on its way to a core, in the order of arrival; of two that arrive together the one sent first. */
static void add_ipi(struct core *core, const struct core_ipi *ipi)
{
	SIM_ASSERT(core->ipi_count < CPUS_MAX);
	uint32_t at = core->ipi_count++;
	for (; at > 0 && core->ipis[at - 1].at > ipi->at; at--)
		core->ipis[at] = core->ipis[at - 1];
	core->ipis[at] = *ipi;
	if (at > 0)
		return;
	event_queue_remove(&core->machine->queue, &core->interrupt);
	event_queue_add(&core->machine->queue, &core->interrupt, ipi->at);
}

cycle core_send_ipi(struct core *core, const struct step *step, cycle now)
{
	struct machine *machine = core->machine;
	unsigned cpu = STEP_CPU(step->bytes);
	/* A whole step_ipi() is of one page. */
	uint32_t pages = STEP_PAGES(step->bytes) ? STEP_PAGES(step->bytes) : step->address != STEP_LEAVE_SPACE;
	SIM_ASSERT(cpu < machine->cpus);
	if (cpu == core->cpu) {
		cycle done = core_invalidate(core, step->address, pages, now);
		return core_pay(core, COST_IPI, done - now, now);
	}
	now = core_locked(core, core_ipi_line(machine, cpu), ENTRY_BYTES, now);
	now = core_pay(core, COST_IPI, machine->config.ipi_send_cycles, now);
	add_ipi(&machine->cores[cpu],
	        &(struct core_ipi){
	                .at = now + machine->config.ipi_cycles, .address = step->address, .pages = pages, .sender = core->cpu});
	core->counters.ipis_sent++;
	core->acks_awaited++;
	return now;
}

cycle core_wait_for_acks(struct core *core, cycle now)
{
	if (core->acks_awaited == 0) {
		core_tell(core, SPAN_ACKS, 0, now, core->acked);
		return core_wait_until(core, COST_IPI, core->acked, now);
	}
	core->waits_for_acks = true;
	core->waits_since = now;
	return CYCLE_NEVER;
}
