/* SPDX-License-Identifier: MIT
 *
 * kernel_code.c - the image of the simulated kernel's code (interface and sources: kernel_code.h).
 */
#include "models/kernel_code.h"

#include "models/settings.h"
#include "sim/layout.h"

#include <string.h>

/* CONFIG_PHYSICAL_START: the image lies so far above where physical memory begins in the map of the kernel's text. */
#define IMAGE_START ((uint64_t)16 << 20)
/* The caller's code, 4 MiB at most: no line of these is in it, and it lies within what the image keeps of memory. */
#define CALLER_OFFSET ((uint32_t)4 << 20)

const struct code_image *kernel_code_init(struct kernel_code_image *code, const struct settings *settings,
                                          const struct layout *layout)
{
	if (!settings->cost.code_fetch && settings->cost.caller_code == 0)
		return NULL;
	uint64_t bytes = (settings->cost.caller_code + CODE_LINE - 1) / CODE_LINE * CODE_LINE;
	memcpy(code->pieces, kernel_code_pieces, sizeof code->pieces);
	code->caller = (struct code_stretch){.offset = CALLER_OFFSET, .bytes = (uint32_t)bytes};
	code->pieces[CODE_CALLER] = (struct code_piece){.at = &code->caller, .count = bytes > 0};
	code->image = (struct code_image){
	        .text = layout_span_of(layout, REGION_TEXT)->first + IMAGE_START, .pieces = code->pieces, .count = KERNEL_CODES};
	return &code->image;
}
