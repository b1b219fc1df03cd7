/* SPDX-License-Identifier: MIT
 *
 * trace_address.h - where the recorded kernel's direct map and its struct pages lie, derived from the first events.
 *
 * An object's frame is (address - direct map) >> PAGE_SHIFT. With KASLR the direct map begins at some multiple of 1 GiB, so the
 * pages of a new slab and the first object in it tell where: only one multiple of 1 GiB puts the object into the pages. The bases
 * without KASLR are taken if one such pair confirms them, or if they put all objects into frames that exist; others need more
 * pairs. Hashed pointers (%p since 4.15 without no_hash_pointers) have 32 bits that mean nothing; no frames can be told then.
 */
#ifndef SIM_TRACE_ADDRESS_H
#define SIM_TRACE_ADDRESS_H

#include "sim/trace_attribution.h"

struct trace_addresses {
	uint32_t pointer_bits; /* 32 or 64 */
	bool hashed;
	bool frames_known;
	uint64_t direct_map; /* 0 = could not be derived */
	uint64_t vmemmap;    /* address of frame 0's struct page, 0 = there is none that fits all */
	uint32_t page_struct_bytes;
};

/* memory_frames: frames of the machine as a fact beside the recording tells, 0 = not known. */
struct trace_addresses trace_derive_addresses(const struct attribution_event *events, size_t count, uint64_t memory_frames);

#endif
