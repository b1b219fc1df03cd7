/* SPDX-License-Identifier: MIT
 *
 * entry_area.c - the parts of a CPU's entry area (interface and sources: entry_area.h).
 */
#include "sim/entry_area.h"

const struct entry_part entry_parts[] = {
        {"gdt_page", 0, 0xb, 1},    {"entry_stack_storage", 1, 0x18, 1}, {"cpu_tss_rw", 2, 0x6, 5},
        {"DF_stack", 8, 0xc, 2},    {"NMI_stack", 11, 0xe, 2},           {"DB_stack", 14, 0x10, 2},
        {"MCE_stack", 17, 0x12, 2}, {"cpu_debug_store", 26, 0x1, 1},     {"", 0, 0, 0},
};
