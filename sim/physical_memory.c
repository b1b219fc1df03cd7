/* SPDX-License-Identifier: MIT
 *
 * physical_memory.c - sparse contents of simulated memory (interface: physical_memory.h).
 */
#include "sim/physical_memory.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 256u
#define FRAME_SLOTS 8u /* at least so many for each frame: a slot is nothing beside 4096 bytes, a second probe is something */

void physical_memory_init(struct physical_memory *memory)
{
	*memory = (struct physical_memory){.capacity = CAPACITY_FIRST};
	memory->slots = xcalloc(memory->capacity, sizeof *memory->slots);
}

void physical_memory_release(struct physical_memory *memory)
{
	for (size_t index = 0; index < memory->capacity; index++)
		free(memory->slots[index].bytes);
	free(memory->slots);
	*memory = (struct physical_memory){0};
}

static void grow(struct physical_memory *memory)
{
	struct physical_memory old = *memory;
	memory->capacity *= 2;
	memory->frames = 0;
	memory->slots = xcalloc(memory->capacity, sizeof *memory->slots);
	for (size_t index = 0; index < old.capacity; index++) {
		if (!old.slots[index].bytes)
			continue;
		*physical_memory_slot(memory, old.slots[index].number - 1) = old.slots[index];
		memory->frames++;
	}
	free(old.slots);
}

/* The frame's bytes, made if it has none. */
static unsigned char *bytes_of(struct physical_memory *memory, uint64_t number)
{
	struct physical_frame *slot = physical_memory_slot(memory, number);
	if (slot->number && slot->bytes)
		return slot->bytes;
	if (!slot->number && FRAME_SLOTS * (memory->frames + 1) > memory->capacity) {
		grow(memory);
		slot = physical_memory_slot(memory, number);
	}
	memory->frames += !slot->number;
	slot->number = number + 1;
	slot->bytes = xcalloc(1, PAGE_SIZE);
	memory->frames_changed++;
	return slot->bytes;
}

void physical_memory_write(struct physical_memory *memory, uint64_t address, unsigned bytes, uint64_t value)
{
	size_t offset = address & (PAGE_SIZE - 1);
	SIM_ASSERT((bytes == 4 || bytes == 8) && offset + bytes <= PAGE_SIZE);
	unsigned char *at = bytes_of(memory, address >> PAGE_SHIFT) + offset;
	uint32_t half = (uint32_t)value;
	if (bytes == 8)
		memcpy(at, &value, 8);
	else
		memcpy(at, &half, 4);
}

void physical_memory_forget(struct physical_memory *memory, uint64_t address)
{
	struct physical_frame *slot = physical_memory_slot(memory, address >> PAGE_SHIFT);
	free(slot->bytes);
	memory->frames_changed++;
	slot->bytes = NULL; /* the slot keeps its number, so that others further on are still found */
}
