/* SPDX-License-Identifier: MIT
 *
 * fuzz_page_walk.c - page walks over arbitrary memory: every mode, nested too. No table may make the walker crash, go on for
 * ever, or leave the room that a walk has for its references.
 *
 * Input: a byte of choices, then addresses of 8 bytes to be walked for (first half), then what all frames of memory hold.
 */
#include "models/tlb_settings.h"
#include "sim/walker.h"

#include <string.h>

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops, translation_x86_pae_ops,
        translation_x86_32_ops, translation_x86_ept_ops;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES 16u /* of memory, repeated: frame numbers count modulo this */

static void fill(struct physical_memory *memory, const uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 8 <= size && at < FRAMES * PAGE_SIZE; at += 8) {
		uint64_t value;
		memcpy(&value, data + at, 8);
		/* Frame numbers that lead back into the memory there is, where a bit says so. */
		if (value & 1ull << 11)
			value &= ~(WORD_FRAME & ~(uint64_t)(FRAMES * PAGE_SIZE - 1));
		physical_memory_write(memory, at, 8, value);
	}
}

static void give_caches(struct walker *walker)
{
	for (unsigned level = 1; level < walker->mode->levels; level++)
		walker->structure[level] = tlb_create(&(struct tlb_spec){.name = "structure", .entries = 4, .replacement = "lru"},
		                                      &(struct tlbs_wiring){.words = true}, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct translation_ops *const modes[] = {&translation_x86_4level_ops, &translation_x86_5level_ops,
	                                                      &translation_x86_pae_ops, &translation_x86_32_ops};
	static struct access references[WALK_REFERENCES_MAX];
	struct physical_memory memory;
	if (size < 1 + 2 * 8)
		return 0;
	uint8_t choices = data[0];
	size_t half = (size - 1) / 16 * 8;
	physical_memory_init(&memory);
	fill(&memory, data + 1 + half, size - 1 - half);
	struct walker walker = {.mode = modes[choices & 3], .memory = &memory},
	              host = {.mode = choices & 8 ? &translation_x86_ept_ops : &translation_x86_4level_ops, .memory = &memory};
	walker.controls = (struct paging_controls){.physical_bits = 46,
	                                           .nx = choices & 16,
	                                           .large_pages = choices & 32,
	                                           .gigabyte_pages = choices & 64,
	                                           .write_protect = true,
	                                           .smep = choices & 128,
	                                           .global_pages = true};
	host.controls = walker.controls;
	give_caches(&walker);
	give_caches(&host);
	if (choices & 4)
		walker.host = &host;
	walker_load_root(&walker, 0, 0);
	for (size_t at = 0; at < half && at < 64 * 8; at += 8) {
		struct walk_request request = {0};
		struct walk_sink sink = {.at = references};
		memcpy(&request.linear, data + 1 + at, 8);
		request.write = request.linear & 1;
		request.fetch = request.linear & 2 && !request.write;
		request.user = request.linear & 4;
		request.prefetch = request.linear & 8 && !request.write;
		walker_walk(&walker, &request, &sink);
		SIM_ASSERT(sink.count <= WALK_REFERENCES_MAX);
	}
	walker_check(&walker);
	walker_check(&host);
	walker_release(&walker);
	walker_release(&host);
	physical_memory_release(&memory);
	return 0;
}
