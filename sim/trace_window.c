/* SPDX-License-Identifier: MIT
 *
 * trace_window.c - the ops of an import on their way to the file, and their ids (interface: trace_attribution.h).
 *
 * The window holds up to two pieces of ops; when it is full the older one is written. So at least the last KMT_PIECE_OPS ops can
 * still be changed in place, and nearly everything is learned by then; a correction of an older op is kept in memory until the
 * end. Ids are handed out last in, first out, so that they stay dense.
 */
#include "sim/trace_attribution.h"

#include <stdlib.h>

#define WINDOW_OPS (2 * KMT_PIECE_OPS)

uint32_t window_profile(struct attribution *self, const struct profile_row *row)
{
	uint32_t index = row_table_index(&self->profiles, row);
	attribution_profile(self, index)->count++;
	return index;
}

static void write_window(struct attribution *self, size_t count)
{
	if (self->error.kind == ERROR_NONE)
		kmt_write_ops(self->writer, KMT_OPS, self->window, count, &self->error);
	memmove(self->window, self->window + count, (self->window_used - count) * sizeof *self->window);
	self->window_used -= count;
	self->window_first += count;
}

uint64_t window_push(struct attribution *self, const struct attribution_event *event, uint32_t id, uint32_t profile,
                     uint64_t address)
{
	if (self->window_used == WINDOW_OPS)
		write_window(self, KMT_PIECE_OPS);
	self->frees += profile == KMT_FREE;
	self->window[self->window_used] = (struct kmt_op){event->time_ns, event->line, address, id, profile, event->cpu};
	return self->window_first + self->window_used++;
}

void window_push_before(struct attribution *self, const struct attribution_event *event, uint32_t id, uint32_t profile,
                        uint64_t address)
{
	if (self->prologue_count == self->prologue_room) {
		self->prologue_room = 2 * self->prologue_room + 1024;
		self->prologue = xrealloc(self->prologue, self->prologue_room * sizeof *self->prologue);
	}
	self->prologue[self->prologue_count++] = (struct kmt_op){self->first_ns, 0, address, id, profile, event->cpu};
}

static void push_late(struct attribution *self, uint64_t op, uint32_t profile, uint32_t name)
{
	if (self->late_count == self->late_room) {
		self->late_room = 2 * self->late_room + 1024;
		self->late = xrealloc(self->late, self->late_room * sizeof *self->late);
	}
	self->late[self->late_count++] = (struct late_correction){op, name, profile};
}

void window_take_back(struct attribution *self, uint64_t op, uint32_t profile)
{
	attribution_profile(self, profile)->count--;
	if (op >= self->window_first)
		self->window[op - self->window_first].profile = KMT_HOLE;
	else
		push_late(self, op, profile, KMT_TAKEN_BACK);
}

void window_rename(struct attribution *self, uint64_t op, uint32_t profile, uint32_t name)
{
	struct profile_row row = *attribution_profile(self, profile);
	row.name = name;
	row.count = 0;
	attribution_profile(self, profile)->count--;
	uint32_t renamed = window_profile(self, &row);
	if (op >= self->window_first)
		self->window[op - self->window_first].profile = renamed;
	else
		push_late(self, op, renamed, name);
}

uint32_t window_fresh_id(struct attribution *self)
{
	SIM_ASSERT(self->ids < UINT32_MAX);
	return self->ids++;
}

uint32_t window_new_id(struct attribution *self)
{
	return self->free_id_count > 0 ? self->free_ids[--self->free_id_count] : window_fresh_id(self);
}

void window_release_id(struct attribution *self, uint32_t id)
{
	if (self->free_id_count == self->free_id_room) {
		self->free_id_room = 2 * self->free_id_room + 1024;
		self->free_ids = xrealloc(self->free_ids, self->free_id_room * sizeof *self->free_ids);
	}
	self->free_ids[self->free_id_count++] = id;
}

void window_finish(struct attribution *self)
{
	while (self->window_used > 0)
		write_window(self, self->window_used < KMT_PIECE_OPS ? self->window_used : KMT_PIECE_OPS);
	for (size_t at = 0; at < self->prologue_count && self->error.kind == ERROR_NONE; at += KMT_PIECE_OPS) {
		size_t left = self->prologue_count - at;
		kmt_write_ops(self->writer, KMT_PROLOGUE, self->prologue + at, left < KMT_PIECE_OPS ? left : KMT_PIECE_OPS,
		              &self->error);
	}
}
