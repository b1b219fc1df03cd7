/* SPDX-License-Identifier: MIT
 *
 * x86_4level.c - 4-level paging: 48-bit linear addresses, tables of 512 entries of 8 bytes, pages of 4 KiB, 2 MiB and 1 GiB.
 *
 * Source: Intel SDM vol. 3A 4.5, figures 4-8 to 4-10; AMD APM vol. 2 5.3.
 */
#include "models/translation/x86_entry.h"

extern const struct translation_ops translation_x86_4level_ops;

const struct translation_ops translation_x86_4level_ops = {
        .name = "x86_4level",
        .help = "x86-64, 48-bit linear addresses, pages of 4 KiB, 2 MiB, 1 GiB",
        .levels = 4,
        .linear_bits = 48,
        .sign_extended = true,
        .entry_bytes = 8,
        .page_frame = WORD_FRAME,
        .level = {{"PTE", 12, 9, PAGE_4K}, {"PDE", 21, 9, PAGE_2M}, {"PDPTE", 30, 9, PAGE_1G}, {"PML4E", 39, 9, PAGE_SIZES}},
        .decode = x86_decode,
        .encode = x86_encode,
        .accessed = x86_accessed,
        .dirty = x86_dirty,
};
