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
