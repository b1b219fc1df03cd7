/* SPDX-License-Identifier: MIT
 *
 * trace_address.c - the bases of a recorded kernel (interface and rule: trace_address.h).
 *
 * Sources of the bases: Documentation/arch/x86/x86_64/mm.rst (and the same page of 4.19), arch/x86/Kconfig PAGE_OFFSET.
 */
#include "sim/trace_address.h"

#include <stdlib.h>

/* KASLR aligns the direct map to a page-middle-directory's reach, 1 GiB (arch/x86/mm/kaslr.c). */
#define BASE_ALIGN_SHIFT 30
#define CANDIDATES 64u
/* Pairs that must agree on a base that is none of the usual ones; a chance pair fits with probability 2^-18 per frame. */
#define VOTES_NEEDED 3u
/* An object counts for the last so many page allocations of its CPU, if that is so many events back at most. */
#define RECENT_PAGES 4u
#define RECENT_EVENTS 16u
#define RECENT_CPUS 128u
/* Objects that must lie in existing frames to confirm a base without a pair. */
#define OBJECTS_NEEDED 16u

static const uint64_t usual_bases_64[] = {
        0xffff888000000000u, /* 4-level since 4.20 */
        0xffff880000000000u, /* 4-level before */
        0xff11000000000000u, /* 5-level since 4.20 */
        0xff10000000000000u, /* 5-level before */
};
static const uint64_t usual_bases_32[] = {0xc0000000u, 0xb0000000u, 0x80000000u, 0x78000000u, 0x40000000u};

struct recent_pages {
	struct {
		uint64_t pfn;
		size_t event;
		uint8_t order;
	} last[RECENT_PAGES];
	unsigned next;
};

struct votes {
	uint64_t base[CANDIDATES];
	uint64_t count[CANDIDATES];
	unsigned used;
};

static bool has_object(const struct attribution_event *event)
{
	return event->kind <= TEXT_CACHE_FREE && event->ptr_state == POINTER_VALUE && event->ptr >= PAGE_SIZE;
}

static bool allocates_object(const struct attribution_event *event)
{
	return has_object(event) && (event->kind == TEXT_KMALLOC || event->kind == TEXT_CACHE_ALLOC);
}

static void vote(struct votes *votes, uint64_t base)
{
	for (unsigned i = 0; i < votes->used; i++)
		if (votes->base[i] == base) {
			votes->count[i]++;
			return;
		}
	if (votes->used == CANDIDATES)
		return;
	votes->base[votes->used] = base;
	votes->count[votes->used++] = 1;
}

/* Votes for the base that puts the object into the block, if there is one. */
static void vote_pair(struct votes *votes, uint64_t address, uint64_t block, unsigned order, bool wide)
{
	uint64_t first = (address >> PAGE_SHIFT) - block; /* of the base, if the object lies in the block's first frame */
	if (!wide) {
		for (size_t i = 0; i < sizeof usual_bases_32 / sizeof usual_bases_32[0]; i++)
			if (first - (usual_bases_32[i] >> PAGE_SHIFT) < 1ull << order)
				vote(votes, usual_bases_32[i]);
		return;
	}
	uint64_t mask = (1ull << (BASE_ALIGN_SHIFT - PAGE_SHIFT)) - 1;
	if ((first & mask) < 1ull << order && first << PAGE_SHIFT >> 63)
		vote(votes, (first & ~mask) << PAGE_SHIFT);
}

static void collect_votes(const struct attribution_event *events, size_t count, bool wide, struct votes *votes)
{
	struct recent_pages *recent = xcalloc(RECENT_CPUS, sizeof *recent);
	for (size_t i = 0; i < count; i++) {
		struct recent_pages *cpu = &recent[events[i].cpu % RECENT_CPUS];
		if (events[i].kind == TEXT_PAGE_ALLOC && events[i].has_pfn) {
			unsigned next = cpu->next++ % RECENT_PAGES;
			cpu->last[next].pfn = events[i].pfn;
			cpu->last[next].event = i;
			cpu->last[next].order = events[i].order;
		} else if (allocates_object(&events[i])) {
			for (unsigned k = 0; k < RECENT_PAGES && k < cpu->next; k++)
				if (i - cpu->last[k].event <= RECENT_EVENTS)
					vote_pair(votes, events[i].ptr, cpu->last[k].pfn, cpu->last[k].order, wide);
		}
	}
	free(recent);
}

static bool is_usual(uint64_t base, bool wide)
{
	const uint64_t *bases = wide ? usual_bases_64 : usual_bases_32;
	size_t count = wide ? sizeof usual_bases_64 / sizeof *bases : sizeof usual_bases_32 / sizeof *bases;
	for (size_t i = 0; i < count; i++)
		if (bases[i] == base)
			return true;
	return false;
}

/* Whether candidate a is to be preferred to b: more votes, then a usual base, then the lower one. */
static bool is_better(const struct votes *votes, unsigned a, unsigned b, bool wide)
{
	if (votes->count[a] != votes->count[b])
		return votes->count[a] > votes->count[b];
	if (is_usual(votes->base[a], wide) != is_usual(votes->base[b], wide))
		return is_usual(votes->base[a], wide);
	return votes->base[a] < votes->base[b];
}

static bool elect(const struct votes *votes, bool wide, uint64_t *base)
{
	unsigned best = CANDIDATES;
	for (unsigned i = 0; i < votes->used; i++) {
		if (votes->count[i] < VOTES_NEEDED && !is_usual(votes->base[i], wide))
			continue;
		if (best == CANDIDATES || is_better(votes, i, best, wide))
			best = i;
	}
	if (best == CANDIDATES)
		return false;
	*base = votes->base[best];
	return true;
}

/* Whether the base puts all objects, and enough of them, into frames that exist. */
static bool fits_all_objects(const struct attribution_event *events, size_t count, uint64_t base, uint64_t frames)
{
	size_t objects = 0;
	for (size_t i = 0; i < count; i++) {
		if (!has_object(&events[i]))
			continue;
		if (events[i].ptr < base || (events[i].ptr - base) >> PAGE_SHIFT >= frames)
			return false;
		objects++;
	}
	return objects >= OBJECTS_NEEDED;
}

static uint64_t highest_frame(const struct attribution_event *events, size_t count)
{
	uint64_t highest = 0;
	for (size_t i = 0; i < count; i++)
		if (events[i].has_pfn && events[i].pfn >= highest)
			highest = events[i].pfn + 1;
	return highest;
}

static bool try_usual_bases(const struct attribution_event *events, size_t count, uint64_t frames, bool wide, uint64_t *base)
{
	const uint64_t *bases = wide ? usual_bases_64 : usual_bases_32;
	size_t bases_count = wide ? sizeof usual_bases_64 / sizeof *bases : sizeof usual_bases_32 / sizeof *bases;
	for (size_t i = 0; i < bases_count; i++)
		if (fits_all_objects(events, count, bases[i], frames)) {
			*base = bases[i];
			return true;
		}
	return false;
}

/* 64 if an address needs it or was printed with 16 digits; 64 too where there is no pointer at all. */
static uint32_t derive_pointer_bits(const struct attribution_event *events, size_t count)
{
	bool narrow = false;
	for (size_t i = 0; i < count; i++) {
		bool object = has_object(&events[i]);
		bool page = !object && events[i].page_state == POINTER_VALUE;
		if ((object && (events[i].ptr > UINT32_MAX || events[i].ptr_digits == 16)) ||
		    (page && events[i].page > UINT32_MAX))
			return 64;
		narrow = narrow || object;
	}
	return narrow ? 32 : 64;
}

/* On 64 bits no kernel address is below 2^32; on 32 bits none is below the lowest PAGE_OFFSET, where a hash often is. */
static bool derive_hashed(const struct attribution_event *events, size_t count, bool wide)
{
	size_t objects = 0, low = 0;
	for (size_t i = 0; i < count; i++) {
		if (!has_object(&events[i]))
			continue;
		objects++;
		low += wide ? events[i].ptr <= UINT32_MAX : events[i].ptr < usual_bases_32[4];
	}
	return objects > 0 && (wide ? low == objects : low > objects / 10);
}

/* The sizes of struct page that x86 kernels have had: 32 and 40 on 32 bits, 56 where it is not aligned to 64. */
static const uint32_t page_struct_sizes[] = {64, 56, 32, 40};
#define PAGE_STRUCT_SIZES (sizeof page_struct_sizes / sizeof page_struct_sizes[0])
/* Frames of one memory section lie in one array (SECTION_SIZE_BITS 27 on x86-64). */
#define SECTION_FRAMES (1u << 15)

static uint32_t derive_page_struct(const struct attribution_event *events, size_t count)
{
	size_t votes[PAGE_STRUCT_SIZES] = {0}, best = 0;
	const struct attribution_event *last = NULL;
	for (size_t i = 0; i < count; i++) {
		if (events[i].page_state != POINTER_VALUE || !events[i].has_pfn)
			continue;
		uint64_t frames = last ? events[i].pfn - last->pfn : 0;
		uint64_t bytes = last ? events[i].page - last->page : 0;
		for (size_t k = 0; k < PAGE_STRUCT_SIZES && frames != 0 && frames + SECTION_FRAMES < 2 * SECTION_FRAMES; k++)
			votes[k] += bytes == frames * page_struct_sizes[k];
		last = &events[i];
	}
	for (size_t k = 1; k < PAGE_STRUCT_SIZES; k++)
		if (votes[k] > votes[best])
			best = k;
	return votes[best] > 0 ? page_struct_sizes[best] : 0;
}

static uint64_t derive_vmemmap(const struct attribution_event *events, size_t count, uint32_t page_struct_bytes, bool wide)
{
	uint64_t base = 0;
	for (size_t i = 0; i < count && page_struct_bytes != 0; i++) {
		if (events[i].page_state != POINTER_VALUE || !events[i].has_pfn)
			continue;
		uint64_t here = events[i].page - events[i].pfn * page_struct_bytes;
		here = wide ? here : (uint32_t)here;
		if (base != 0 && here != base)
			return 0; /* each section has an array of its own (SPARSEMEM without VMEMMAP) */
		base = here;
	}
	return base;
}

struct trace_addresses trace_derive_addresses(const struct attribution_event *events, size_t count, uint64_t memory_frames)
{
	struct trace_addresses found = {.pointer_bits = derive_pointer_bits(events, count)};
	bool wide = found.pointer_bits == 64;
	found.hashed = derive_hashed(events, count, wide);
	if (found.hashed)
		return found;
	found.page_struct_bytes = derive_page_struct(events, count);
	found.vmemmap = derive_vmemmap(events, count, found.page_struct_bytes, wide);
	struct votes votes = {0};
	collect_votes(events, count, wide, &votes);
	uint64_t frames = highest_frame(events, count);
	if (memory_frames > frames)
		frames = memory_frames;
	found.frames_known =
	        elect(&votes, wide, &found.direct_map) || try_usual_bases(events, count, frames, wide, &found.direct_map);
	return found;
}
