/* SPDX-License-Identifier: MIT
 *
 * user_tables.c - new page tables of processes (interface: user_tables.h).
 */
#include "sim/user_tables.h"

void user_tables_new(struct user_tables *tables, uint64_t address, bool is_top)
{
	physical_memory_forget(tables->memory, address);
	for (uint32_t i = tables->first_kernel_entry; is_top && i < tables->entries; i++) {
		uint64_t offset = (uint64_t)i * tables->entry_bytes;
		uint64_t raw = physical_memory_read(tables->memory, tables->kernel_root + offset, tables->entry_bytes);
		physical_memory_write(tables->memory, address + offset, tables->entry_bytes, raw);
	}
}

/* Whether the loaded top table lacks the kernel's entry for an address; it has it then. */
static bool takes_over(const struct user_tables_fault *fault, uint64_t linear)
{
	const struct user_tables *tables = fault->tables;
	const struct walker *walker = fault->walker;
	const struct translation_ops *mode = walker->mode;
	uint64_t index = paging_index(&mode->level[mode->levels - 1], linear), offset = index * tables->entry_bytes;
	if (walker->root == tables->kernel_root || index < tables->first_kernel_entry)
		return false;
	uint64_t theirs = physical_memory_read(tables->memory, tables->kernel_root + offset, tables->entry_bytes);
	if (theirs == physical_memory_read(tables->memory, walker->root + offset, tables->entry_bytes))
		return false;
	physical_memory_write(tables->memory, walker->root + offset, tables->entry_bytes, theirs);
	return true;
}

bool user_tables_fault(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	const struct user_tables_fault *fault = context;
	if (outcome == WALK_PAGE_FAULT && takes_over(fault, linear))
		return true;
	/* What user mode may do is the model's decision, and made already: its first access faults in vain. */
	if (paging_index(&fault->walker->mode->level[fault->walker->mode->levels - 1], linear) <
	    fault->tables->first_kernel_entry)
		return false;
	bool is_right = fault->next(fault->context, linear, outcome, error_code);
	takes_over(fault, linear);
	return is_right;
}
