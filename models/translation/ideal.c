/* SPDX-License-Identifier: MIT
 *
 * ideal.c - no translation: linear addresses are physical ones. There are no tables, so nothing is walked.
 *
 * MODEL: TLBs still look page numbers up, 4 KiB each; a miss costs nothing behind them.
 */
#include "sim/port/translation.h"

extern const struct translation_ops translation_ideal_ops;

const struct translation_ops translation_ideal_ops = {
        .name = "ideal",
        .help = "none: linear addresses are physical ones",
        .levels = 0,
        .linear_bits = 64,
};
