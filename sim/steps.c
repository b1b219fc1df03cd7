/* SPDX-License-Identifier: MIT
 *
 * steps.c - the growing array behind steps.h.
 */
#include "sim/steps.h"

#include <stdlib.h>
#include <string.h>

void steps_init(struct steps *steps, bool recording)
{
	*steps = (struct steps){.recording = recording, .runs = STEP_SPEND};
}

void steps_release(struct steps *steps)
{
	free(steps->at);
	free(steps->daemons);
	*steps = (struct steps){0};
}

void steps_reserve(struct steps *steps, uint32_t count)
{
	uint32_t capacity = steps->capacity ? steps->capacity : 64;
	while (capacity - steps->count < count)
		capacity *= 2;
	if (capacity == steps->capacity)
		return;
	steps->at = xrealloc(steps->at, capacity * sizeof *steps->at);
	steps->capacity = capacity;
}

static __attribute__((noinline)) void append_growing(struct steps *steps, enum step_kind kind, uint64_t address, uint32_t bytes)
{
	steps_reserve(steps, 1);
	steps_append(steps, kind, address, bytes);
}

void steps_append(struct steps *steps, enum step_kind kind, uint64_t address, uint32_t bytes)
{
	if (__builtin_expect(steps->count == steps->capacity, 0)) {
		append_growing(steps, kind, address, bytes);
		return;
	}
	struct step *step = &steps->at[steps->count++];
	step->address = address;
	step->bytes = bytes;
	step->kind = (uint8_t)kind;
	step->uses = steps->uses;
	step->frame = step->order = 0;
	steps->uses = false;
}

void steps_cut(struct steps *steps, uint32_t count)
{
	SIM_ASSERT(count <= steps->count && !steps->in_daemon);
	steps->count -= count;
	memmove(steps->at, steps->at + count, steps->count * sizeof *steps->at);
	for (uint32_t part = 0; part < steps->daemons_count; part++) {
		SIM_ASSERT(steps->daemons[part].first >= count);
		steps->daemons[part].first -= count;
	}
}

/* A page's lowest bits are free in its address: they hold its size. */
#define SHIFT_BITS 6

void steps_append_mapping(struct steps *steps, enum step_kind kind, const struct step_mapping *mapping, uint64_t pages)
{
	uint64_t linear = mapping->linear, frame = kind == STEP_MAP ? mapping->frame : 0;
	SIM_ASSERT(mapping->page_shift >= PAGE_SHIFT && mapping->page_shift < 1u << SHIFT_BITS);
	SIM_ASSERT(linear % PAGE_SIZE == 0 && frame < STEP_FRAMES);
	for (uint64_t part; pages; pages -= part) {
		unsigned order = 63 - (unsigned)__builtin_clzll(pages);
		part = 1ull << order;
		steps_append(steps, kind, linear | mapping->page_shift, (uint32_t)frame);
		steps->at[steps->count - 1].frame = (uint8_t)(frame >> 32);
		steps->at[steps->count - 1].order = (uint8_t)order;
		linear += part << mapping->page_shift;
		frame += kind == STEP_MAP ? part << (mapping->page_shift - PAGE_SHIFT) : 0;
	}
}

struct step_mapping steps_mapping_of(const struct step *step)
{
	SIM_ASSERT(step->kind == STEP_MAP || step->kind == STEP_UNMAP);
	return (struct step_mapping){.linear = step->address & ~(uint64_t)(PAGE_SIZE - 1),
	                             .frame = (uint64_t)step->frame << 32 | step->bytes,
	                             .page_shift = step->address & ((1u << SHIFT_BITS) - 1),
	                             .order = step->order};
}

void steps_daemon_begin(struct steps *steps, enum step_daemon daemon)
{
	SIM_ASSERT(!steps->in_daemon);
	steps->in_daemon = true;
	steps->own_path = steps->path;
	steps->path = PATH_FAST;
	steps->uses = false;
	if (steps->daemons_count == steps->daemons_capacity) {
		steps->daemons_capacity = steps->daemons_capacity ? 2 * steps->daemons_capacity : 4;
		steps->daemons = xrealloc(steps->daemons, steps->daemons_capacity * sizeof *steps->daemons);
	}
	steps->daemons[steps->daemons_count++] = (struct daemon_part){.first = steps->count, .daemon = (uint8_t)daemon};
}

void steps_daemon_end(struct steps *steps)
{
	SIM_ASSERT(steps->in_daemon);
	struct daemon_part *part = &steps->daemons[steps->daemons_count - 1];
	part->count = steps->count - part->first;
	part->path = steps->path;
	if (part->count == 0)
		steps->daemons_count--;
	steps->in_daemon = false;
	steps->path = steps->own_path;
	steps->uses = false;
}

struct steps steps_of_daemon(const struct steps *steps, const struct daemon_part *part)
{
	return (struct steps){.at = steps->at + part->first, .count = part->count, .path = part->path};
}

void steps_drop_daemons(struct steps *steps)
{
	for (uint32_t i = steps->daemons_count; i-- > 0;) {
		const struct daemon_part *part = &steps->daemons[i];
		uint32_t end = part->first + part->count;
		memmove(steps->at + part->first, steps->at + end, (steps->count - end) * sizeof *steps->at);
		steps->count -= part->count;
	}
	steps->daemons_count = 0;
}
