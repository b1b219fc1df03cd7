/* SPDX-License-Identifier: MIT
 *
 * physical_memory.h - the contents of simulated memory, as far as the machine itself reads them: page tables.
 *
 * Frames cost host memory only once they are written; a frame that never was reads as zeroes. Addresses have 52 bits at most.
 * Algorithm: a hash table from frame number to 4096 bytes, open addressing, at most half full.
 */
#ifndef SIM_PHYSICAL_MEMORY_H
#define SIM_PHYSICAL_MEMORY_H

#include "sim/base.h"

struct physical_frame;

struct physical_memory {
	struct physical_frame *slots;
	size_t capacity; /* a power of two */
	size_t frames;   /* that cost host memory */
};

void physical_memory_init(struct physical_memory *memory);
void physical_memory_release(struct physical_memory *memory);

/* A number of 4 or 8 bytes that does not cross a frame's end. */
uint64_t physical_memory_read(const struct physical_memory *memory, uint64_t address, unsigned bytes);
void physical_memory_write(struct physical_memory *memory, uint64_t address, unsigned bytes, uint64_t value);

/* Makes a frame read as zeroes, and gives its host memory back. */
void physical_memory_forget(struct physical_memory *memory, uint64_t address);

#endif
