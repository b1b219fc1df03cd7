/* SPDX-License-Identifier: MIT
 *
 * set_assoc.c - a TLB array of sets and ways, any number of either, with any replacement policy.
 *
 * The sets, and the policy that keeps them, are those of sim/port/replacement.h. A page's set comes from its number alone: pages
 * of different sizes and address spaces share sets as their numbers say.
 *
 * Invariant: that of the replacement port; entries = valid ways.
 */
#include "sim/order_of_use.h"
#include "sim/port/tlb_level.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct tlb_level_ops tlb_level_set_assoc_ops;
struct tlb_level *tlb_level_set_assoc_create(const struct tlb_wiring *wiring, struct error *error);

struct set_assoc {
	struct tlb_level tlb;
	struct replacement *array;
	struct ordered_sets sets; /* where turns_in_place */
	bool turns_in_place;      /* uses turn sets in the order of use with AVX2 */
};

#if defined(__x86_64__)
/* The way whose word is `wanted`, four at a time; ways are a whole number of vectors, unused ones zero. */
__attribute__((target("avx2"))) static uint32_t find_avx2(const struct replacement *array, const uint64_t *words, uint64_t wanted)
{
	const __m256i all = _mm256_set1_epi64x((long long)wanted);
	for (uint32_t way = 0; way < array->ways; way += 4) {
		const __m256i four = _mm256_loadu_si256((const __m256i *)(const void *)(words + way));
		int equal = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(four, all)));
		if (equal)
			return way + (uint32_t)__builtin_ctz((unsigned)equal);
	}
	return array->ways;
}
#endif

/* A TLB's words have no marks but WAY_VALID, so the whole word is compared. */
static inline uint32_t find_way(const struct replacement *array, uint32_t set, uint64_t tag)
{
	const uint64_t *words = replacement_words(array, set);
	uint64_t wanted = way_word(tag, WAY_VALID);
	if (words[0] == wanted)
		return 0;
#if defined(__x86_64__)
	if (array->simd >= SIMD_AVX2 && array->stride % 4 == 0)
		return find_avx2(array, words, wanted);
#endif
	uint32_t way = 1;
	while (way < array->ways && words[way] != wanted)
		way++;
	return way;
}

static bool set_assoc_find(struct tlb_level *tlb, uint64_t tag, uint64_t **word)
{
	struct replacement *array = ((struct set_assoc *)tlb)->array;
	uint32_t set = replacement_set_of(array, tag), way = find_way(array, set, tag);
	if (way == array->ways)
		return false;
	if (word)
		*word = &replacement_payloads(array, set)[way];
	return true;
}

#ifdef ORDER_HAS_AVX2
ORDER_INLINE ORDER_AVX2 bool use_in_place(const struct ordered_sets *sets, uint64_t tag, uint64_t **word, unsigned vectors)
{
	const uint64_t wanted = way_word(tag, WAY_VALID);
	const size_t set = ordered_set(sets, tag, true);
	if (sets->words[set] != wanted) {
		uint32_t way = ordered_find_avx2(sets, set, wanted, vectors);
		if (way == ORDER_NOWHERE)
			return false;
		ordered_use_avx2(sets, set, way, wanted, sets->payloads[set + way], vectors);
	}
	if (word)
		*word = &sets->payloads[set];
	return true;
}

static ORDER_AVX2 bool use_one_vector(const struct ordered_sets *sets, uint64_t tag, uint64_t **word)
{
	return use_in_place(sets, tag, word, 1);
}

static ORDER_AVX2 bool use_vectors(const struct ordered_sets *sets, uint64_t tag, uint64_t **word)
{
	return use_in_place(sets, tag, word, 0);
}

static bool use_with_avx2(const struct ordered_sets *sets, uint64_t tag, uint64_t **word)
{
	return sets->stride == ORDER_VECTOR ? use_one_vector(sets, tag, word) : use_vectors(sets, tag, word);
}
#else
static bool use_with_avx2(const struct ordered_sets *sets, uint64_t tag, uint64_t **word)
{
	(void)sets, (void)tag, (void)word;
	SIM_UNREACHABLE("no AVX2");
}
#endif

static bool set_assoc_use(struct tlb_level *tlb, uint64_t tag, uint64_t **word)
{
	if (((struct set_assoc *)tlb)->turns_in_place)
		return use_with_avx2(&((struct set_assoc *)tlb)->sets, tag, word);
	struct replacement *array = ((struct set_assoc *)tlb)->array;
	uint32_t set = replacement_set_of(array, tag), way = find_way(array, set, tag);
	if (way == array->ways)
		return false;
	way = replacement_use(array, set, way);
	if (word)
		*word = &replacement_payloads(array, set)[way];
	return true;
}

static struct tlb_entry set_assoc_fill(struct tlb_level *tlb, struct tlb_entry entry)
{
	struct replacement *array = ((struct set_assoc *)tlb)->array;
	uint64_t evicted, word = 0;
	replacement_insert(array, replacement_set_of(array, entry.tag), way_word(entry.tag, WAY_VALID), entry.word, &evicted,
	                   &word);
	return (struct tlb_entry){evicted ? way_tag(evicted) : TLB_NONE, word};
}

static struct tlb_entry set_assoc_remove(struct tlb_level *tlb, uint64_t tag)
{
	struct replacement *array = ((struct set_assoc *)tlb)->array;
	uint32_t set = replacement_set_of(array, tag), way = find_way(array, set, tag);
	if (way == array->ways)
		return (struct tlb_entry){TLB_NONE, 0};
	struct tlb_entry entry = {tag, array->payloads ? replacement_payloads(array, set)[way] : 0};
	replacement_remove(array, set, way);
	return entry;
}

static bool in_scope(void *context, uint64_t word, uint64_t payload)
{
	(void)payload;
	return tlb_scope_has(context, way_tag(word));
}

static uint64_t set_assoc_invalidate(struct tlb_level *tlb, const struct tlb_scope *scope)
{
	struct replacement *array = ((struct set_assoc *)tlb)->array;
	struct tlb_scope copy = *scope;
	uint64_t gone = 0;
	for (uint32_t set = 0; set < array->sets; set++)
		gone += replacement_remove_if(array, set, in_scope, &copy);
	return gone;
}

static size_t set_assoc_run(struct tlb_level *tlb, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	return replacement_run(((struct set_assoc *)tlb)->array, requests, count, misses);
}

static const struct replacement_ops *set_assoc_route(const struct tlb_level *tlb, struct replacement_route *route)
{
	const struct replacement *array = ((const struct set_assoc *)tlb)->array;
	if (tlb->keeps_words || !array->ops->run_accesses || !array->sets_are_power_of_two || array->index != INDEX_LINEAR)
		return NULL;
	*route = (struct replacement_route){.words = array->words,
	                                    .tag_mask = TLB_NUMBER,
	                                    .set_mask = array->sets - 1,
	                                    .stride = array->stride,
	                                    .ways = array->ways,
	                                    .tag_shift = PAGE_SHIFT,
	                                    .unmarked = array->unmarked,
	                                    .simd = array->simd};
	return array->ops;
}

static uint64_t set_assoc_entries(const struct tlb_level *tlb)
{
	return replacement_count(((const struct set_assoc *)tlb)->array, 0, NULL);
}

static void set_assoc_visit(const struct tlb_level *tlb, void (*visit)(void *, struct tlb_entry), void *context)
{
	const struct replacement *array = ((const struct set_assoc *)tlb)->array;
	for (uint32_t set = 0; set < array->sets; set++)
		for (uint32_t way = 0; way < array->ways; way++) {
			uint64_t word = replacement_words(array, set)[way];
			if (word & WAY_VALID)
				visit(context, (struct tlb_entry){way_tag(word),
				                                  array->payloads ? replacement_payloads(array, set)[way] : 0});
		}
}

static void set_assoc_check(const struct tlb_level *tlb)
{
	replacement_check(((const struct set_assoc *)tlb)->array);
}

static void set_assoc_destroy(struct tlb_level *tlb)
{
	replacement_destroy(((struct set_assoc *)tlb)->array);
	free(tlb);
}

const struct tlb_level_ops tlb_level_set_assoc_ops = {
        .name = "set_assoc",
        .help = "sets and ways, a replacement policy",
        .use = set_assoc_use,
        .find = set_assoc_find,
        .fill = set_assoc_fill,
        .remove = set_assoc_remove,
        .invalidate = set_assoc_invalidate,
        .run = set_assoc_run,
        .route = set_assoc_route,
        .entries = set_assoc_entries,
        .visit = set_assoc_visit,
        .check = set_assoc_check,
        .destroy = set_assoc_destroy,
};

struct tlb_level *tlb_level_set_assoc_create(const struct tlb_wiring *wiring, struct error *error)
{
	uint32_t ways = wiring->ways ? wiring->ways : wiring->entries;
	if (wiring->entries == 0 || wiring->entries % ways != 0) {
		error_set(error, ERROR_USAGE, "%s: %u entries in %u ways; expected a multiple of the ways", wiring->name,
		          wiring->entries, ways);
		return NULL;
	}
	const struct replacement_wiring array = {.sets = wiring->entries / ways,
	                                         .ways = ways,
	                                         .index = wiring->index,
	                                         .tag_shift = PAGE_SHIFT,
	                                         .number_bits = TLB_NUMBER_BITS,
	                                         .payloads = wiring->words,
	                                         .unmarked = true,
	                                         .simd = wiring->simd,
	                                         .seed = wiring->seed,
	                                         .stream = wiring->name};
	struct set_assoc *tlb = xcalloc(1, sizeof *tlb);
	tlb->array = wiring->make_replacement(wiring->replacement, &array, error);
	if (!tlb->array) {
		free(tlb);
		return NULL;
	}
	tlb->tlb.ops = &tlb_level_set_assoc_ops;
	snprintf(tlb->tlb.name, sizeof tlb->tlb.name, "%s", wiring->name);
	tlb->tlb.capacity = wiring->entries;
	tlb->tlb.ways = ways;
	tlb->tlb.keeps_words = wiring->words;
	tlb->tlb.in_order = wiring->words && tlb->array->ops->order_of_use ? tlb->array : NULL;
	if (ordered_sets_fit(tlb->array) && replacement_has_vectors(tlb->array)) {
		tlb->sets = ordered_sets_of(tlb->array);
		tlb->turns_in_place = true;
	}
	bool lowest_bits = wiring->index == INDEX_LINEAR && tlb->array->sets_are_power_of_two;
	tlb->tlb.sets = lowest_bits ? tlb->array->sets : 1;
	return &tlb->tlb;
}
