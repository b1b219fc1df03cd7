/* SPDX-License-Identifier: MIT
 *
 * physical_memory.c - sparse contents of simulated memory (interface: physical_memory.h).
 */
#include "sim/physical_memory.h"

#include <stdlib.h>
#include <string.h>

struct physical_frame {
	uint64_t number;      /* of the frame, plus 1; 0: empty slot */
	unsigned char *bytes; /* NULL: forgotten, reads as zeroes */
};

#define CAPACITY_FIRST 64u
#define HASH_FACTOR 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4) */

static struct physical_frame *slot_of(const struct physical_memory *memory, uint64_t number)
{
	size_t index = (size_t)(((number + 1) * HASH_FACTOR) >> 32) & (memory->capacity - 1);
	while (memory->slots[index].number && memory->slots[index].number != number + 1)
		index = (index + 1) & (memory->capacity - 1);
	return &memory->slots[index];
}

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
		*slot_of(memory, old.slots[index].number - 1) = old.slots[index];
		memory->frames++;
	}
	free(old.slots);
}

/* The frame's bytes, made if it has none. */
static unsigned char *bytes_of(struct physical_memory *memory, uint64_t number)
{
	struct physical_frame *slot = slot_of(memory, number);
	if (slot->number && slot->bytes)
		return slot->bytes;
	if (!slot->number && 2 * (memory->frames + 1) > memory->capacity) {
		grow(memory);
		slot = slot_of(memory, number);
	}
	memory->frames += !slot->number;
	slot->number = number + 1;
	slot->bytes = xcalloc(1, PAGE_SIZE);
	return slot->bytes;
}

uint64_t physical_memory_read(const struct physical_memory *memory, uint64_t address, unsigned bytes)
{
	const struct physical_frame *slot = slot_of(memory, address >> PAGE_SHIFT);
	uint64_t value = 0;
	size_t offset = address & (PAGE_SIZE - 1);
	SIM_ASSERT((bytes == 4 || bytes == 8) && offset + bytes <= PAGE_SIZE);
	if (!slot->bytes)
		return 0;
	if (bytes == 8) {
		memcpy(&value, slot->bytes + offset, 8);
		return value;
	}
	uint32_t half;
	memcpy(&half, slot->bytes + offset, 4);
	return half;
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
	struct physical_frame *slot = slot_of(memory, address >> PAGE_SHIFT);
	free(slot->bytes);
	slot->bytes = NULL; /* the slot keeps its number, so that others further on are still found */
}
