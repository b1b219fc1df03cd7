/* SPDX-License-Identifier: MIT
 *
 * lru.h - what the files of LRU share: the words of a turn, and the runs with AVX-512 (lru_avx512.c).
 *
 * A turn finds the wanted word, marks apart, puts it first with its marks and the request's, and moves those before it up by one.
 * If it is not there, it comes in, and the last one goes.
 */
#ifndef MODELS_REPLACEMENT_LRU_H
#define MODELS_REPLACEMENT_LRU_H

#include "models/replacement/array.h"

#define OWNERS_MARKS (WAY_MARKS & ~WAY_VALID)

/* How far ahead the host is told of sets that will be looked at. */
#define AHEAD 16u

/* Arrays up to this stay in the host's first-level cache, and beyond it are told of ahead. */
#define NEAR_WORDS (32u * 1024 / sizeof(uint64_t))

/* The longest set that the runs with AVX-512 take, and the shortest. */
#define LRU_AVX512_WAYS_MAX 32u
#define LRU_AVX512_WAYS_MIN 3u

/* replacement_ops.run for an array of such sets, with any index, on a host that has AVX-512. */
size_t lru_run_avx512(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses);

/* replacement_ops.take for such an array. */
typedef bool lru_take_function(struct replacement *array, uint64_t request, uint64_t *evicted);
lru_take_function *lru_take_avx512(const struct replacement *array);

/* Whether lru_run_accesses_avx512() takes these routes: all of one geometry. */
bool lru_avx512_takes(const struct replacement_route route[ACCESS_KINDS]);

/* replacement_ops.run_accesses for such routes. */
size_t lru_run_accesses_avx512(const struct replacement_route route[ACCESS_KINDS], const struct access *accesses, size_t count,
                               struct replacement_ran *ran, struct replacement_miss *misses);

#endif
