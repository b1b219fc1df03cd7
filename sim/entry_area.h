/* SPDX-License-Identifier: MIT
 *
 * entry_area.h - the stacks of a CPU of x86-64 that are no task's: where each lies in the CPU's static per-CPU data, and at which
 * addresses it is mapped a second time, between pages that are not.
 *
 *     fffffe0000000000   the IDT, read only
 *     fffffe0000001000   + cpu * 59 pages: struct cpu_entry_area
 *         page  0        GDT                          7, 10, 13, 16, 19, 22, 25   guards
 *               1        entry stack                  8  double fault     14  debug        20, 23  (encrypted guests)
 *               2 .. 6   TSS and its bitmaps          11 NMI              17  machine check
 *              26        debug store, and 32 pages of its buffers
 *
 * The IRQ stack has 16 KiB, and an area of vmalloc with a guard page behind it (CONFIG_VMAP_STACK). An exception stack has 8 KiB.
 *
 * The area of a CPU is at the place of its number: Linux 6.1 does not randomise it (6.2 does). Source:
 * arch/x86/include/asm/cpu_entry_area.h, page_64_types.h, pgtable_64_types.h; arch/x86/mm/cpu_entry_area.c:
 * setup_cpu_entry_area(); arch/x86/kernel/irq_64.c: map_irq_stack(). The places in per-CPU data are those of published System.map
 * files of 5.19 to 6.14.
 *
 * MODEL: the IDT's page is not mapped, as nothing here reads it, nor are the buffers of the debug store, which come with its use;
 * the processor is Intel's, which has a debug store. Effect: none on accesses that are made.
 */
#ifndef SIM_ENTRY_AREA_H
#define SIM_ENTRY_AREA_H

#include "sim/base.h"

/* Documentation/x86/x86_64/mm.rst */
#define CPU_ENTRY_AREA_BASE 0xfffffe0000000000u
#define CPU_ENTRY_AREA_PER_CPU (CPU_ENTRY_AREA_BASE + PAGE_SIZE)
#define CPU_ENTRY_AREA_PAGES_64BIT 59u

/* arch/x86/include/asm/page_64_types.h: IRQ_STACK_SIZE, EXCEPTION_STKSZ */
#define IRQ_STACK_BYTES (4u * PAGE_SIZE)
#define EXCEPTION_STACK_BYTES (2u * PAGE_SIZE)
/* irq_stack_backing_store: its offset in static per-CPU data. */
#define IRQ_STACK_PER_CPU_OFFSET (2u * PAGE_SIZE)
/* Where the page-aligned part of static per-CPU data ends. */
#define PER_CPU_PAGE_ALIGNED_END (25u * PAGE_SIZE)

/* A part of the area that is mapped. */
struct entry_part {
	const char *name;
	uint8_t area_page; /* of struct cpu_entry_area */
	uint8_t unit_page; /* of static per-CPU data */
	uint8_t pages;
};

/* The parts, ascending by area_page; the last has no pages. */
extern const struct entry_part entry_parts[];

/* struct cpu_entry_area of a CPU. */
static inline uint64_t entry_area(unsigned cpu)
{
	return CPU_ENTRY_AREA_PER_CPU + (uint64_t)cpu * CPU_ENTRY_AREA_PAGES_64BIT * PAGE_SIZE;
}

#endif
