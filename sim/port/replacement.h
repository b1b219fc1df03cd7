/* SPDX-License-Identifier: MIT
 *
 * replacement.h - the port of what caches and TLBs are made of: sets of ways that hold tags, and the policy that says which way a
 * new tag gets.
 *
 * Models: models/replacement/{lru,tree_plru,bit_plru,srrip,fifo,random}.c. A model embeds struct replacement as its first member.
 *
 * A way is one word: tag << WAY_MARK_BITS | marks. A tag is a whole block or page number (60 bits: lines of 16 bytes and more of
 * a 64-bit address, or a page number beside a PCID), never a part of it, so a way tells its address. WAY_VALID says that a way is
 * in use; the other marks are the owner's (a cache's dirty line). A TLB keeps what it knows of a page in `payloads`, which move
 * with their words.
 *
 * A tag's set comes from the tag alone (replacement_set_of). Which way of the set holds it may change at any call for that set:
 * LRU and FIFO keep a set in their own order. So a way's number is good until the next call only.
 *
 * Invariant: a tag stands in at most one way, and in its own set; replacement_check() proves it.
 */
#ifndef SIM_PORT_REPLACEMENT_H
#define SIM_PORT_REPLACEMENT_H

#include "sim/access.h"
#include "sim/base.h"
#include "sim/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define WAY_MARK_BITS 4
#define WAY_MARKS ((1ull << WAY_MARK_BITS) - 1)
#define WAY_VALID 1ull
#define TAG_MAX (UINT64_MAX >> WAY_MARK_BITS)

/* What replacement_run() takes in the place of WAY_VALID: the tag is used twice in a row. */
#define USED_AGAIN 1ull

/* A bound of the model, far above any machine: the longest set, and the most sets. */
#define REPLACEMENT_WAYS_MAX (1u << 20)
#define REPLACEMENT_SETS_MAX (1u << 28)

enum replacement_index {
	INDEX_LINEAR, /* the tag modulo the number of sets */
	INDEX_XOR /* the lowest bits xor the next as many (Gras et al., TLBleed, 2018: Intel's STLB); sets are a power of two */
};

struct metric;
struct replacement;

/* A request of a run that did not find its tag. */
struct replacement_miss {
	uint64_t evicted; /* the word that had to go, 0 if a way was free */
	uint32_t request; /* index of the request in the run */
};

/* Where accesses of one kind look their line up: an array's numbers, laid out for replacement_ops.run_accesses. */
struct replacement_route {
	uint64_t *words;   /* NULL: this kind ends the run */
	uint64_t marks;    /* that an access of this kind sets */
	uint64_t tag_mask; /* of the address's bits above tag_shift, those of the tag */
	uint32_t set_mask, stride, ways;
	unsigned tag_shift;
	bool unmarked; /* as struct replacement has it */
	enum simd simd;
};

/* What a run of accesses did: how many it took, and how many those were of each kind. */
struct replacement_ran {
	size_t done;
	uint64_t accesses[ACCESS_KINDS];
};

/* One more use of a way, in place: the word stays where it is, and the policy's *state becomes (*state & ~cleared) | set. */
struct replacement_in_place {
	uint64_t *word, *state;
	uint32_t cleared, set;
};

struct replacement_ops {
	const char *name;
	const char *help;

	/* A set's ways stand in the order of use and a new word comes first, for the last: all there is to the policy, so that
	 * an owner may turn sets himself (sim/order_of_use.h). */
	bool order_of_use;

	/* Which way goes is drawn from a stream that all sets share, so that it depends on the order of their misses. */
	bool has_stream;

	/* The way is used once more. Returns the way that it is now. */
	uint32_t (*use)(struct replacement *, uint32_t set, uint32_t way);

	/*
	 * Tells how one more use of a valid way is made in place, for as long as its word stands there. false: not so of this
	 * way. NULL: of none.
	 */
	bool (*in_place)(const struct replacement *, uint32_t set, uint32_t way, struct replacement_in_place *);

	/* Puts a word into the set, whose tag must not be there. *evicted and *evicted_payload (may be NULL) tell what had to go:
	 * 0 if a way was free. Returns the way of the new word. */
	uint32_t (*insert)(struct replacement *, uint32_t set, uint64_t word, uint64_t payload, uint64_t *evicted,
	                   uint64_t *evicted_payload);

	/* Takes a valid way out. Ways with higher numbers may move down by one, no others move. */
	void (*remove)(struct replacement *, uint32_t set, uint32_t way);

	/*
	 * Many requests in order, for arrays without payloads: a request is an address whose lowest WAY_MARK_BITS bits are marks
	 * to be set in the way (USED_AGAIN in the place of WAY_VALID); its tag is address >> tag_shift. What is there is used,
	 * what is not there is inserted. Writes the misses in order and returns their number (at most count).
	 */
	size_t (*run)(struct replacement *, const uint64_t *requests, size_t count, struct replacement_miss *misses);

	/* The same of one request. Returns whether its tag was there; if not, *evicted is the word that had to go, 0: none. */
	bool (*take)(struct replacement *, uint64_t request, uint64_t *evicted);

	/*
	 * As run(), straight from accesses of one core, each in the array that its kind's route leads to: a power of two of sets,
	 * linear index, all arrays of this policy. Stops before the first access that lies over two lines, has no route, or is
	 * another core's. NULL where run() has to do.
	 */
	size_t (*run_accesses)(const struct replacement_route route[ACCESS_KINDS], const struct access *accesses, size_t count,
	                       struct replacement_ran *ran, struct replacement_miss *misses);

	/* Proves what the policy alone knows of a set. */
	void (*check_set)(const struct replacement *, uint32_t set);
};

struct replacement {
	const struct replacement_ops *ops;
	/* ops->take, or what does the same for sets such as this array's. */
	bool (*take)(struct replacement *, uint64_t request, uint64_t *evicted);
	uint32_t sets, ways;
	uint32_t stride; /* words from one set to the next: ways, rounded up to whole vectors */
	enum replacement_index index;
	unsigned index_bits; /* log2 of sets if a power of two, else 0 */
	bool sets_are_power_of_two;
	uint64_t modulo_mask; /* the tag's bits that count where sets are no power of two */
	unsigned tag_shift;   /* of run */
	bool unmarked;        /* no word has a mark but WAY_VALID */
	enum simd simd;
	uint64_t *words;
	uint64_t *payloads; /* as words; NULL without */
	uint64_t *state;    /* the policy's, state_words for each set; NULL without */
	uint32_t state_words;
	uint64_t random; /* state of the random policy's stream */
};

struct replacement_wiring {
	uint32_t sets, ways;
	enum replacement_index index;
	unsigned tag_shift;   /* of run: log2 of the line's bytes */
	unsigned number_bits; /* of a tag: what stands above them (a PCID) has no say in its set; 0: all are the number */
	bool payloads;
	bool unmarked; /* the owner sets no marks but WAY_VALID */
	enum simd simd;
	uint64_t seed;
	const char *stream; /* name of the owner: start of the random policy's stream */
};

static inline uint32_t replacement_set_of(const struct replacement *array, uint64_t tag)
{
	if (array->index == INDEX_XOR)
		tag ^= tag >> array->index_bits;
	return (uint32_t)(array->sets_are_power_of_two ? tag & (array->sets - 1) : (tag & array->modulo_mask) % array->sets);
}

static inline uint64_t *replacement_words(const struct replacement *array, uint32_t set)
{
	return array->words + (size_t)set * array->stride;
}

static inline uint64_t *replacement_payloads(const struct replacement *array, uint32_t set)
{
	return array->payloads + (size_t)set * array->stride;
}

static inline uint64_t way_tag(uint64_t word)
{
	return word >> WAY_MARK_BITS;
}

static inline uint64_t way_word(uint64_t tag, uint64_t marks)
{
	return tag << WAY_MARK_BITS | marks;
}

/* The owner's marks. */
#define WAY_OWNERS_MARKS (WAY_MARKS & ~WAY_VALID)

#if defined(__x86_64__)
#define REPLACEMENT_AVX2 __attribute__((target("avx2")))
#define REPLACEMENT_AVX2_WORDS 4u

/* replacement_find() of sets that are whole vectors: words behind the last way are zero, and so no tag's. */
static inline REPLACEMENT_AVX2 uint32_t replacement_find_avx2(const struct replacement *array, uint32_t set, uint64_t tag)
{
	const uint64_t *words = replacement_words(array, set);
	const __m256i wanted = _mm256_set1_epi64x((long long)way_word(tag, WAY_VALID));
	const __m256i compared = _mm256_set1_epi64x((long long)~WAY_OWNERS_MARKS);
	for (uint32_t way = 0; way < array->ways; way += REPLACEMENT_AVX2_WORDS) {
		__m256i here = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(words + way)), compared);
		int equal = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(here, wanted)));
		if (equal)
			return way + (uint32_t)__builtin_ctz((unsigned)equal);
	}
	return array->ways;
}
#endif

static inline bool replacement_has_vectors(const struct replacement *array)
{
#if defined(__x86_64__)
	return array->simd >= SIMD_AVX2 && array->stride % REPLACEMENT_AVX2_WORDS == 0;
#else
	(void)array;
	return false;
#endif
}

/* The way that holds the tag, `ways` if none does. Changes nothing. */
static inline uint32_t replacement_find(const struct replacement *array, uint32_t set, uint64_t tag)
{
#if defined(__x86_64__)
	if (replacement_has_vectors(array))
		return replacement_find_avx2(array, set, tag);
#endif
	const uint64_t *words = replacement_words(array, set);
	uint64_t wanted = way_word(tag, WAY_VALID);
	uint32_t way = 0;
	while (way < array->ways && (words[way] & ~WAY_OWNERS_MARKS) != wanted)
		way++;
	return way;
}

static inline uint32_t replacement_use(struct replacement *array, uint32_t set, uint32_t way)
{
	return array->ops->use(array, set, way);
}

static inline uint32_t replacement_insert(struct replacement *array, uint32_t set, uint64_t word, uint64_t payload,
                                          uint64_t *evicted, uint64_t *evicted_payload)
{
	return array->ops->insert(array, set, word, payload, evicted, evicted_payload);
}

static inline void replacement_remove(struct replacement *array, uint32_t set, uint32_t way)
{
	SIM_ASSERT(replacement_words(array, set)[way] & WAY_VALID);
	array->ops->remove(array, set, way);
}

static inline size_t replacement_run(struct replacement *array, const uint64_t *requests, size_t count,
                                     struct replacement_miss *misses)
{
	return array->ops->run(array, requests, count, misses);
}

/* Whether a way shall go; `payload` is 0 without payloads. */
typedef bool replacement_predicate(void *context, uint64_t word, uint64_t payload);

/* Takes out every way of a set that the predicate names. Returns how many. */
uint32_t replacement_remove_if(struct replacement *array, uint32_t set, replacement_predicate *goes, void *context);

/* Valid ways of the whole array; *marked (may be NULL): those of them with any of the marks. */
uint64_t replacement_count(const struct replacement *array, uint64_t marks, uint64_t *marked);

/* Proves the invariant of every set. */
void replacement_check(const struct replacement *array);

/* Frees the array, NULL too. */
void replacement_destroy(struct replacement *array);

#endif
