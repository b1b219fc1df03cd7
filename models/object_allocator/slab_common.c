/* SPDX-License-Identifier: MIT
 *
 * slab_common.c - alignment and merging of caches (interface and source: slab_common.h).
 */
#include "models/object_allocator/slab_common.h"

/* A cache with one of these is never shared (SLAB_NEVER_MERGE). */
#define SLAB_NEVER_MERGE (SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_TYPESAFE_BY_RCU | SLAB_NOLEAKTRACE)

/* Caches that share must agree in these (SLAB_MERGE_SAME). */
#define SLAB_MERGE_SAME (SLAB_RECLAIM_ACCOUNT | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | SLAB_ACCOUNT)

static uint32_t max_of(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

uint32_t calculate_alignment(uint32_t flags, uint32_t align, uint32_t size, uint32_t cache_line_bytes, uint32_t pointer_bytes)
{
	if (flags & SLAB_HWCACHE_ALIGN) {
		uint32_t line = cache_line_bytes;
		while (size <= line / 2)
			line /= 2;
		align = max_of(align, line);
	}
	return align_up(max_of(align, ARCH_MINALIGN), pointer_bytes);
}

/* A Fisher-Yates shuffle from the top, each place by the remainder of a number of 32 bits. */
uint16_t *cache_random_seq_create(struct rng *rng, uint32_t count)
{
	if (count < 2)
		return NULL;
	uint16_t *sequence = xcalloc(count, sizeof *sequence);
	for (uint32_t i = 0; i < count; i++)
		sequence[i] = (uint16_t)i;
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t other = (uint32_t)rng_next(rng) % (i + 1);
		uint16_t moved = sequence[i];
		sequence[i] = sequence[other];
		sequence[other] = moved;
	}
	return sequence;
}

uint32_t slab_usersize(const struct cache_spec *spec)
{
	bool inside = spec->usersize <= spec->object_size && spec->useroffset <= spec->object_size - spec->usersize;
	return inside ? spec->usersize : 0;
}

bool slab_mergeable(const struct mergeable *have, const struct mergeable *want, uint32_t cache_line_bytes, uint32_t pointer_bytes,
                    bool align_must_divide)
{
	if (have->never || want->never || (have->flags | want->flags) & SLAB_NEVER_MERGE)
		return false;
	uint32_t size = align_up(want->size, pointer_bytes);
	uint32_t align = calculate_alignment(want->flags, want->align, size, cache_line_bytes, pointer_bytes);
	size = align_up(size, align);
	if (size > have->size || (want->flags & SLAB_MERGE_SAME) != (have->flags & SLAB_MERGE_SAME))
		return false;
	/* Every object of the old cache must lie on the new one's alignment, and waste less than a pointer. */
	if (have->size % align != 0 || have->size - size >= pointer_bytes)
		return false;
	return !align_must_divide || (align <= have->align && have->align % align == 0);
}
