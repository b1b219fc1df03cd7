/* SPDX-License-Identifier: MIT
 *
 * physical_memory.h - the contents of simulated memory, as far as the machine itself reads them: page tables.
 *
 * Frames cost host memory only once they are written; a frame that never was reads as zeroes. Addresses have 52 bits at most.
 * Algorithm: a hash table from frame number to 4096 bytes, open addressing, at most an eighth full.
 */
#ifndef SIM_PHYSICAL_MEMORY_H
#define SIM_PHYSICAL_MEMORY_H

#include "sim/base.h"

#include <string.h>

struct physical_frame {
	uint64_t number;      /* of the frame, plus 1; 0: empty slot */
	unsigned char *bytes; /* NULL: forgotten, reads as zeroes */
};

struct physical_memory {
	struct physical_frame *slots;
	size_t capacity;         /* a power of two */
	size_t frames;           /* that cost host memory */
	uint64_t frames_changed; /* how often a frame came to have bytes of its own, or lost them */
};

void physical_memory_init(struct physical_memory *memory);
void physical_memory_release(struct physical_memory *memory);

#define PHYSICAL_HASH_FACTOR 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4) */

/* The frame's slot, or the empty one where it would be looked for last. */
static inline struct physical_frame *physical_memory_slot(const struct physical_memory *memory, uint64_t number)
{
	const size_t mask = memory->capacity - 1;
	size_t index = (size_t)(((number + 1) * PHYSICAL_HASH_FACTOR) >> 32) & mask;
	while (memory->slots[index].number != number + 1 && memory->slots[index].number)
		index = (index + 1) & mask;
	return &memory->slots[index];
}

/* The bytes at an address, good until frames_changed does; NULL if they read as zeroes. */
static inline const unsigned char *physical_memory_bytes(const struct physical_memory *memory, uint64_t address)
{
	const unsigned char *bytes = physical_memory_slot(memory, address >> PAGE_SHIFT)->bytes;
	return bytes ? bytes + (address & (PAGE_SIZE - 1)) : NULL;
}

/* A number of 4 or 8 bytes that does not cross a frame's end. */
static inline uint64_t physical_memory_read(const struct physical_memory *memory, uint64_t address, unsigned bytes)
{
	const struct physical_frame *slot = physical_memory_slot(memory, address >> PAGE_SHIFT);
	size_t offset = address & (PAGE_SIZE - 1);
	SIM_ASSERT((bytes == 4 || bytes == 8) && offset + bytes <= PAGE_SIZE);
	if (!slot->bytes)
		return 0;
	uint64_t value;
	uint32_t half;
	if (bytes == 8) {
		memcpy(&value, slot->bytes + offset, 8);
		return value;
	}
	memcpy(&half, slot->bytes + offset, 4);
	return half;
}

void physical_memory_write(struct physical_memory *memory, uint64_t address, unsigned bytes, uint64_t value);

/* Makes a frame read as zeroes, and gives its host memory back. */
void physical_memory_forget(struct physical_memory *memory, uint64_t address);

#endif
