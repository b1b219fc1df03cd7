/* SPDX-License-Identifier: MIT
 *
 * x86_5level.c - 5-level paging (CR4.LA57): 57-bit linear addresses, one table more above the PML4.
 *
 * Source: Intel SDM vol. 3A 4.5; Intel, 5-Level Paging and 5-Level EPT (335252).
 */
#include "models/translation/x86_entry.h"

extern const struct translation_ops translation_x86_5level_ops;

const struct translation_ops translation_x86_5level_ops = {
        .name = "x86_5level",
        .help = "x86-64 with LA57, 57-bit linear addresses, pages of 4 KiB, 2 MiB, 1 GiB",
        .levels = 5,
        .linear_bits = 57,
        .sign_extended = true,
        .entry_bytes = 8,
        .page_frame = WORD_FRAME,
        .level = {{"PTE", 12, 9, PAGE_4K},
                  {"PDE", 21, 9, PAGE_2M},
                  {"PDPTE", 30, 9, PAGE_1G},
                  {"PML4E", 39, 9, PAGE_SIZES},
                  {"PML5E", 48, 9, PAGE_SIZES}},
        .decode = x86_decode,
        .encode = x86_encode,
        .accessed = x86_accessed,
        .dirty = x86_dirty,
};
