/* SPDX-License-Identifier: MIT
 *
 * space_peaks.c - (interface: space_peaks.h)
 */
#include "sim/space_peaks.h"

#include <stdlib.h>

void space_peaks_init(struct space_peaks *peaks, const struct trace *trace)
{
	const struct trace_space *spaces;
	*peaks = (struct space_peaks){.count = trace_spaces(trace, &spaces)};
	if (peaks->count == 0)
		return;
	peaks->peak = xcalloc(peaks->count, sizeof *peaks->peak);
	peaks->space_of = xcalloc((size_t)trace_info(trace)->ids + 1, sizeof *peaks->space_of);
}

void space_peaks_release(struct space_peaks *peaks)
{
	free(peaks->peak);
	free(peaks->space_of);
}

static void raise(uint64_t *peak, uint64_t value)
{
	if (value > *peak)
		*peak = value;
}

void space_peaks_op(struct space_peaks *peaks, const struct user_memory *users, const struct op *op, process_id process)
{
	struct process_view view;
	if (peaks->count == 0 || op->kind == OP_PROCESS_LEAVE)
		return;
	bool makes = op->kind == OP_PROCESS_CREATE || op->kind == OP_PROCESS_FORK || op->kind == OP_PROCESS_EXEC;
	if (makes)
		peaks->space_of[op->id] = op_space_of(op) + 1;
	uint32_t space = peaks->space_of[op->id];
	if (space == 0 || !users->ops->view(users, process, &view))
		return;
	struct space_peak *peak = &peaks->peak[space - 1];
	raise(&peak->pages[SPACE_FILE], view.file);
	raise(&peak->pages[SPACE_ANONYMOUS], view.anonymous);
	raise(&peak->pages[SPACE_SWAP], view.swapped);
	raise(&peak->pages[SPACE_SHARED], view.shared);
	raise(&peak->resident, view.file + view.anonymous + view.shared);
}
