/* SPDX-License-Identifier: MIT
 *
 * user_tables.h - page tables of processes in physical memory, where the cores' page walkers find them.
 *
 * A model decides what the tables say (sim/port/user_memory.h) and writes it down as steps; the tables change when a core comes
 * to those steps, so that a walk sees what a real one would at that time. Every top table has the kernel's half of the kernel's
 * own (pgd_ctor(), Linux 6.1 arch/x86/mm/pgtable.c).
 */
#ifndef SIM_USER_TABLES_H
#define SIM_USER_TABLES_H

#include "sim/physical_memory.h"
#include "sim/walker.h"

struct user_tables {
	struct physical_memory *memory; /* not owned */
	uint64_t kernel_root;           /* address of the kernel's top table */
	uint32_t entry_bytes;
	uint32_t first_kernel_entry, entries; /* of a top table */
};

/* The frame is an empty table, with `is_top` one that has the kernel's half. */
void user_tables_new(struct user_tables *tables, uint64_t address, bool is_top);

static inline void user_tables_set(struct user_tables *tables, uint64_t entry, uint64_t raw)
{
	physical_memory_write(tables->memory, entry, tables->entry_bytes, raw);
}

/* What a core's walker stands at, and who puts other faults right (struct mmu: fault). */
struct user_tables_fault {
	const struct user_tables *tables;
	const struct walker *walker;
	bool (*next)(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code);
	void *context;
};

/*
 * struct mmu: fault. An entry that the kernel's top table got after the loaded one was made is copied, and the access tried again
 * (vmalloc_fault() of i386). MODEL: on x86-64 a kernel has all top tables of areas from the start (preallocate_vmalloc_pages()):
 * there the first use of each 512 GiB of them costs a walk more.
 */
bool user_tables_fault(void *fault, uint64_t linear, enum walk_outcome outcome, unsigned error_code);

#endif
