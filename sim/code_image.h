/* SPDX-License-Identifier: MIT
 *
 * code_image.h - where the code of the kernel's paths lies, for cores that fetch it.
 *
 * A piece is what STEP_SPEND counts the instructions of: a path, or what a longer path adds. Its code is some stretches of
 * cache lines of the kernel's image, in the order in which the path first comes to them. Who records a step names the piece by a
 * number; what a number means, and which lines it has, models decide (models/kernel_code.h).
 *
 * Interface: step_run() (sim/steps.h) records, core_run_code() (core_code.c) fetches. Pieces are facts, nothing of them changes.
 */
#ifndef SIM_CODE_IMAGE_H
#define SIM_CODE_IMAGE_H

#include "sim/base.h"

/* Stretches are told in lines of so many bytes; a core fetches them in lines of its own size. */
#define CODE_LINE 64u

struct code_stretch {
	uint32_t offset; /* from the image's first byte, a multiple of CODE_LINE */
	uint32_t bytes;  /* a multiple of CODE_LINE, > 0 */
};

struct code_piece {
	const struct code_stretch *at;
	uint32_t count;
};

struct code_image {
	uint64_t text; /* linear address of its first byte, a multiple of CODE_LINE */
	const struct code_piece *pieces;
	uint32_t count;
};

/* Lines of CODE_LINE bytes that a piece has. */
static inline uint64_t code_piece_lines(const struct code_piece *piece)
{
	uint64_t lines = 0;
	for (uint32_t i = 0; i < piece->count; i++)
		lines += piece->at[i].bytes / CODE_LINE;
	return lines;
}

#endif
