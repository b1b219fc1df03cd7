/* SPDX-License-Identifier: MIT
 *
 * irq_stacks.h - the stacks that a described machine's CPUs take interrupts on, as its boot makes them, and their entry areas in
 * the kernel's map.
 *
 *   x86-64   16 KiB of the CPU's static per-CPU data, mapped once more by vmap(): the areas are vmalloc's first, as
 *            /proc/vmallocinfo of machines shows that of CPU 0. arch/x86/kernel/irq_64.c: map_irq_stack()
 *   x86-32   two blocks of 8 KiB, for hard and soft interrupts. arch/x86/kernel/irq_32.c: irq_init_percpu_irqstack()
 *
 * Where no virtual allocator is, the areas are where it would have put them.
 *
 * MODEL: the areas of all CPUs follow each other; between them a kernel makes others, and the stacks of idle threads. Effect:
 * addresses of CPUs but the first.
 * MODEL: from a recorded state on nothing is made, as the state has it in use: x86-64's IRQ stacks are then at their direct-map
 * addresses (as without CONFIG_VMAP_STACK), on x86-32 interrupts touch none. Effect: a page of the TLB.
 */
#ifndef TOOLS_IRQ_STACKS_H
#define TOOLS_IRQ_STACKS_H

#include "models/settings.h"
#include "sim/kernel_map.h"
#include "sim/port/page_allocator.h"
#include "sim/port/virtual_allocator.h"

struct irq_stacks {
	const struct settings *settings;
	struct layout *layout; /* gets irq_stack[]; its per-CPU data has been placed, or there are none */
	struct page_allocator *pages;
	struct virtual_allocator *areas; /* NULL: the run has none */
	struct kernel_map *map;          /* NULL: nothing is translated */
	struct steps *steps;             /* empty, and empty again at the end */
	bool of_state;                   /* the run starts from a recorded state */
};

/* False with *error if there is no memory for them. */
bool irq_stacks_make(const struct irq_stacks *stacks, struct error *error);

#endif
