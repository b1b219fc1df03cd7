/* SPDX-License-Identifier: MIT
 *
 * irq_stacks.c - IRQ stacks of a machine that has booted (interface: irq_stacks.h).
 */
#include "tools/kmemsim/irq_stacks.h"

#include "sim/entry_area.h"

/* x86-32: THREAD_SIZE_ORDER, and a stack each for hard and soft interrupts. */
#define THREAD_SIZE_ORDER_32BIT 1u
#define STACKS_32BIT 2u

static bool no_memory(unsigned cpu, struct error *error)
{
	return error_set(error, ERROR_USAGE, "memory: there is none for the IRQ stack of CPU %u", cpu);
}

static bool make_32bit(const struct irq_stacks *stacks, unsigned cpu, struct error *error)
{
	for (unsigned stack = 0; stack < STACKS_32BIT; stack++) {
		pfn first = page_alloc(stacks->pages, THREAD_SIZE_ORDER_32BIT, GFP_KERNEL | __GFP_ZERO, cpu);
		if (first.nr == UINT32_MAX)
			return no_memory(cpu, error);
		if (stack == 0) /* hard interrupts come first */
			stacks->layout->irq_stack[cpu] = layout_page_address(stacks->layout, first).addr;
	}
	return true;
}

/* vmap() of the CPU's backing store. */
static bool map_64bit(const struct irq_stacks *stacks, unsigned cpu, struct error *error)
{
	struct layout *layout = stacks->layout;
	pfn frames[IRQ_STACK_BYTES / PAGE_SIZE];
	for (uint32_t page = 0; page < IRQ_STACK_BYTES / PAGE_SIZE; page++) {
		uint64_t offset = IRQ_STACK_PER_CPU_OFFSET + page * PAGE_SIZE;
		frames[page] = pfn_of((uint32_t)(layout_per_cpu_physical(layout, offset, cpu) >> PAGE_SHIFT));
	}
	const struct virtual_request request = {
	        .call = CALL_VMAP, .size = IRQ_STACK_BYTES, .frames = frames, .caller = "irq_init_percpu_irqstack"};
	struct virtual_area area = virtual_get(stacks->areas, &request, cpu);
	if (area.result != VIRTUAL_ALLOC_OK)
		return no_memory(cpu, error);
	layout->irq_stack[cpu] = area.at.addr;
	return true;
}

static bool make_64bit(const struct irq_stacks *stacks, unsigned cpu, struct error *error)
{
	struct layout *layout = stacks->layout;
	if (stacks->of_state)
		layout->irq_stack[cpu] = layout_per_cpu(layout, IRQ_STACK_PER_CPU_OFFSET, cpu).addr;
	else if (stacks->areas)
		return map_64bit(stacks, cpu, error);
	else
		layout->irq_stack[cpu] = layout_early_area_end(layout) + (uint64_t)cpu * (IRQ_STACK_BYTES + PAGE_SIZE);
	return true;
}

bool irq_stacks_make(const struct irq_stacks *stacks, struct error *error)
{
	bool is_32bit = stacks->settings->machine.architecture == ARCHITECTURE_X86_32;
	unsigned cpus = stacks->settings->machine.cpus;
	if (stacks->layout->per_cpu_groups == 0 || (is_32bit && stacks->of_state))
		return true;
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		if (!(is_32bit ? make_32bit(stacks, cpu, error) : make_64bit(stacks, cpu, error)))
			return false;
	if (stacks->map) {
		kernel_map_remap_all(stacks->map, stacks->steps);
		if (!is_32bit)
			kernel_map_entry_areas(stacks->map, cpus, !stacks->areas);
	}
	steps_clear(stacks->steps);
	return true;
}
