/* SPDX-License-Identifier: MIT
 *
 * test_replacement.c - every replacement policy beside a second one written with plain lists: random and adversarial streams,
 * many geometries, removals, payloads, batches, each kind of vector instruction.
 */
#include "models/registry.h"
#include "sim/rng.h"
#include "tests/unit/plain_set.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* ---- the second opinion ---- */

struct plain {
	const char *policy;
	unsigned sets, ways;
	bool xor ;
	struct plain_set *set;
};

static void plain_use(struct plain *plain, struct plain_set *set, unsigned way)
{
	plain_set_use(set, plain->ways, way);
}

static struct plain_set *plain_set_of(const struct plain *plain, uint64_t tag)
{
	if (!plain->xor)
		return &plain->set[tag % plain->sets];
	uint64_t above = tag / plain->sets;
	return &plain->set[(tag % plain->sets) ^ (above % plain->sets)];
}

static struct plain_way *plain_find(const struct plain *plain, uint64_t tag)
{
	struct plain_set *set = plain_set_of(plain, tag);
	for (unsigned i = 0; i < plain->ways; i++)
		if (set->way[i].valid && set->way[i].tag == tag)
			return &set->way[i];
	return NULL;
}

/* Puts a tag in; returns what was there, with `valid` false if nothing. */
static struct plain_way plain_insert(struct plain *plain, uint64_t tag, uint64_t marks, uint64_t payload)
{
	struct plain_set *set = plain_set_of(plain, tag);
	unsigned way = plain_set_victim(set, plain->ways, plain->policy);
	struct plain_way old = set->way[way];
	plain_set_put(set, plain->ways, way, (struct plain_way){.tag = tag, .marks = marks, .payload = payload});
	return old;
}

/* ---- streams ---- */

enum stream { STREAM_RANDOM, STREAM_LOCAL, STREAM_ROUND, STREAM_ONE_SET, STREAMS };

/* Tags that press on the sets: twice the capacity at random, a drifting window, a loop of one more than fits, one set only. */
static uint64_t next_tag(enum stream stream, const struct plain *plain, struct rng *rng, unsigned step)
{
	unsigned lines = plain->sets * plain->ways;
	switch (stream) {
	case STREAM_RANDOM:
		return rng_below(rng, 2 * lines + 1);
	case STREAM_LOCAL:
		return step / 8 + rng_below(rng, lines / 2 + 2);
	case STREAM_ROUND:
		return step % (lines + 1);
	default:
		return TAG_MAX - (TAG_MAX % plain->sets) - (uint64_t)plain->sets * rng_below(rng, 2 * plain->ways);
	}
}

struct geometry {
	unsigned sets, ways;
	bool xor ;
};

static const struct geometry geometries[] = {{1, 1, false},  {8, 1, false},  {1, 2, false},   {16, 2, false},   {5, 3, false},
                                             {1, 4, false},  {64, 4, false}, {7, 5, false},   {3, 6, false},    {16, 8, false},
                                             {16, 8, true},  {12, 8, false}, {4, 11, false},  {128, 12, false}, {96, 16, false},
                                             {4, 16, true},  {2, 17, false}, {1, 20, false},  {2, 32, false},   {1, 33, false},
                                             {1, 64, false}, {1, 65, false}, {1, 128, false}, {3, 130, false}};

static struct replacement *make_array(const char *policy, const struct geometry *geometry, bool payloads, bool unmarked,
                                      enum simd simd)
{
	struct error error = {0};
	const struct replacement_wiring wiring = {.sets = geometry->sets,
	                                          .ways = geometry->ways,
	                                          .index = geometry->xor ? INDEX_XOR : INDEX_LINEAR,
	                                          .tag_shift = WAY_MARK_BITS,
	                                          .payloads = payloads,
	                                          .unmarked = unmarked,
	                                          .simd = simd,
	                                          .seed = 1,
	                                          .stream = "test"};
	struct replacement *array = replacement_model(policy, &error)->create(&wiring, &error);
	if (!array)
		fail_msg("%s", error.text);
	return array;
}

static struct replacement *make(const char *policy, const struct geometry *geometry, bool payloads, enum simd simd)
{
	return make_array(policy, geometry, payloads, false, simd);
}

static struct plain make_plain(const char *policy, const struct geometry *geometry)
{
	struct plain plain = {.policy = policy, .sets = geometry->sets, .ways = geometry->ways, .xor = geometry->xor };
	plain.set = xcalloc(plain.sets, sizeof *plain.set);
	return plain;
}

/* One more use, in place if the policy tells how. Returns the way that it is now. */
static uint32_t use_in_place(struct replacement *array, uint32_t set, uint32_t way)
{
	struct replacement_in_place use;
	if (!array->ops->in_place || !array->ops->in_place(array, set, way, &use))
		return replacement_use(array, set, way);
	assert_ptr_equal(use.word, &replacement_words(array, set)[way]);
	*use.state = (*use.state & ~(uint64_t)use.cleared) | use.set;
	return way;
}

/* One access as a TLB makes it: found and used, or put in. */
static void step_single(struct replacement *array, struct plain *plain, uint64_t tag, uint64_t payload)
{
	uint32_t set = replacement_set_of(array, tag), way = replacement_find(array, set, tag);
	struct plain_way *known = plain_find(plain, tag);
	assert_int_equal(way < array->ways, known != NULL);
	if (known) {
		way = payload & 8 ? use_in_place(array, set, way) : replacement_use(array, set, way);
		assert_int_equal(way_tag(replacement_words(array, set)[way]), tag);
		assert_int_equal(replacement_payloads(array, set)[way], known->payload);
		plain_use(plain, plain_set_of(plain, tag), (unsigned)(known - plain_set_of(plain, tag)->way));
		return;
	}
	uint64_t evicted, evicted_payload;
	uint64_t marks = (payload & 7) << 1;
	way = replacement_insert(array, set, way_word(tag, WAY_VALID | marks), payload, &evicted, &evicted_payload);
	assert_int_equal(replacement_words(array, set)[way], way_word(tag, WAY_VALID | marks));
	struct plain_way old = plain_insert(plain, tag, marks, payload);
	assert_int_equal(evicted, old.valid ? way_word(old.tag, WAY_VALID | old.marks) : 0);
	assert_int_equal(evicted_payload, old.valid ? old.payload : 0);
}

/* Would catch: a wrong victim, a payload that stays behind when its way moves, an order that a removal breaks, a use in place
 * that is not the policy's. */
static void policies_equal_plain_lists(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 1, "replacement");
	for (const char *const *policy = deterministic; *policy; policy++) {
		for (size_t g = 0; g < sizeof geometries / sizeof *geometries; g++) {
			for (unsigned stream = 0; stream < STREAMS; stream++) {
				struct replacement *array = make(*policy, &geometries[g], true, SIMD_AUTO);
				struct plain plain = make_plain(*policy, &geometries[g]);
				for (unsigned step = 0; step < 1500; step++) {
					uint64_t tag = next_tag((enum stream)stream, &plain, &rng, step);
					struct plain_way *known = plain_find(&plain, tag);
					if (known && rng_below(&rng, 16) == 0) {
						uint32_t set = replacement_set_of(array, tag);
						replacement_remove(array, set, replacement_find(array, set, tag));
						plain_remove(known);
						continue;
					}
					step_single(array, &plain, tag, rng_next(&rng));
				}
				replacement_check(array);
				replacement_destroy(array);
				free(plain.set);
			}
		}
	}
}

/* Requests of the longest run. */
#define RUN_MAX 1600u

/* The same requests as a run, or one by one. Returns how many missed. */
static size_t run_or_take(struct replacement *array, const uint64_t *requests, size_t count, struct replacement_miss *misses,
                          bool one_by_one)
{
	size_t missed = 0;
	if (!one_by_one)
		return replacement_run(array, requests, count, misses);
	for (size_t i = 0; i < count; i++) {
		misses[missed].request = (uint32_t)i;
		missed += !array->take(array, requests[i], &misses[missed].evicted);
	}
	return missed;
}

/* What a run of requests must miss, by the plain lists. */
static void expect_run(struct replacement *array, struct plain *plain, const uint64_t *requests, size_t count, bool one_by_one)
{
	static struct replacement_miss misses[RUN_MAX];
	size_t missed = run_or_take(array, requests, count, misses, one_by_one), at = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t tag = requests[i] >> WAY_MARK_BITS, marks = requests[i] & WAY_MARKS & ~USED_AGAIN;
		struct plain_way *known = plain_find(plain, tag);
		struct plain_set *set = plain_set_of(plain, tag);
		if (!known) {
			struct plain_way old = plain_insert(plain, tag, marks, 0);
			assert_true(at < missed);
			assert_int_equal(misses[at].request, i);
			assert_int_equal(misses[at++].evicted, old.valid ? way_word(old.tag, WAY_VALID | old.marks) : 0);
		} else {
			known->marks |= marks;
			plain_use(plain, set, (unsigned)(known - set->way));
		}
		if (requests[i] & USED_AGAIN)
			plain_use(plain, set, (unsigned)(plain_find(plain, tag) - set->way));
	}
	assert_int_equal(at, missed);
}

static void expect_same_contents(const struct replacement *array, const struct plain *plain)
{
	uint64_t valid = 0;
	for (unsigned set = 0; set < plain->sets; set++)
		for (unsigned way = 0; way < plain->ways; way++)
			valid += plain->set[set].way[way].valid;
	assert_int_equal(replacement_count(array, 0, NULL), valid);
	for (uint32_t set = 0; set < array->sets; set++)
		for (uint32_t way = 0; way < array->ways; way++) {
			uint64_t word = replacement_words(array, set)[way];
			if (!(word & WAY_VALID))
				continue;
			const struct plain_way *known = plain_find(plain, way_tag(word));
			assert_non_null(known);
			assert_int_equal(word & WAY_MARKS & ~WAY_VALID, known->marks);
		}
}

/*
 * Runs cut anyhow, with marks and double uses, in each kind of vector instruction that this host has.
 * Would catch: a vector loop that sees a way too few or too many, a mark lost when a way moves, a second use that is not one.
 */
static void runs_equal_plain_lists(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 2, "runs");
	for (enum simd simd = SIMD_PLAIN; simd < SIMDS; simd++) {
		for (const char *const *policy = deterministic; simd_has(simd) && *policy; policy++) {
			for (size_t g = 0; g < sizeof geometries / sizeof *geometries; g++) {
				struct replacement *array = make(*policy, &geometries[g], false, simd);
				struct plain plain = make_plain(*policy, &geometries[g]);
				for (unsigned step = 0, batch = 0; step < 4000; batch++) {
					uint64_t requests[200];
					unsigned count = rng_below(&rng, 200);
					enum stream stream = (enum stream)(batch % STREAMS);
					for (unsigned i = 0; i < count; i++, step++)
						requests[i] = next_tag(stream, &plain, &rng, step) << WAY_MARK_BITS |
						              (rng_next(&rng) & rng_next(&rng) & WAY_MARKS);
					expect_run(array, &plain, requests, count, batch / STREAMS % 2);
					if (batch % 8 == 0 && count) {
						uint64_t tag = requests[0] >> WAY_MARK_BITS;
						struct plain_way *known = plain_find(&plain, tag);
						uint32_t set = replacement_set_of(array, tag);
						if (known)
							replacement_remove(array, set, replacement_find(array, set, tag));
						if (known)
							plain_remove(known);
					}
				}
				expect_same_contents(array, &plain);
				replacement_check(array);
				replacement_destroy(array);
				free(plain.set);
			}
		}
	}
}

/* Beyond the longest set that any loop keeps in vectors, and one set count for each way that a set is found in. */
#define VECTOR_WAYS 33
static const unsigned set_counts[] = {1, 2, 5, 64, 600};
#define SET_COUNTS (sizeof set_counts / sizeof *set_counts)

/*
 * LRU with each kind of vector instruction, every length of a set, few sets and more than the host's nearest cache holds.
 * Would catch: a vector's edge in the wrong place, a set found by the wrong stride, a look ahead beyond the run's end.
 */
static void lru_runs_equal_plain_lists_at_any_ways(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 5, "ways");
	for (enum simd simd = SIMD_PLAIN; simd < SIMDS; simd++)
		for (unsigned ways = 1; simd_has(simd) && ways <= VECTOR_WAYS; ways++)
			for (unsigned g = 0; g < SET_COUNTS; g++) {
				const struct geometry geometry = {set_counts[g], ways, set_counts[g] == 64 && ways % 2};
				/* What was seen of a run is used in its further part. */
				const unsigned longest = set_counts[g] == 600 ? RUN_MAX : 200;
				const uint64_t marks = ways % 3 == 1 ? USED_AGAIN : WAY_MARKS;
				struct replacement *array = make_array("lru", &geometry, false, ways % 3 == 1, simd);
				struct plain plain = make_plain("lru", &geometry);
				for (unsigned step = 0, batch = 0; step < 4 * longest; batch++) {
					uint64_t requests[RUN_MAX];
					unsigned count = rng_below(&rng, longest);
					for (unsigned i = 0; i < count; i++, step++)
						requests[i] = next_tag((enum stream)(batch % STREAMS), &plain, &rng, step)
						                      << WAY_MARK_BITS |
						              (rng_next(&rng) & rng_next(&rng) & marks);
					expect_run(array, &plain, requests, count, step % 2 == 1);
				}
				expect_same_contents(array, &plain);
				replacement_check(array);
				replacement_destroy(array);
				free(plain.set);
			}
}

/* ---- runs straight from accesses ---- */

#define ACCESSES 700
/* Code may have an array of its own, writeback none at all. */
struct routed {
	struct replacement *array[2];
	struct plain plain[2];
	struct replacement_route route[ACCESS_KINDS];
	uint64_t tag_mask;
};

static unsigned array_of(const struct routed *routed, unsigned kind)
{
	return kind == ACCESS_CODE && routed->array[1] ? 1 : 0;
}

static void make_routed(struct routed *routed, const struct geometry *geometry, bool split, bool unmarked, enum simd simd)
{
	static const uint64_t marks[ACCESS_KINDS] = {[ACCESS_STORE] = 2, [ACCESS_MODIFY] = 10};
	*routed = (struct routed){.tag_mask = split ? UINT64_MAX : (1ull << 20) - 1};
	for (unsigned i = 0; i <= split; i++) {
		routed->array[i] = make_array("lru", geometry, false, unmarked, simd);
		routed->plain[i] = make_plain("lru", geometry);
	}
	for (unsigned kind = 0; kind < ACCESS_WRITEBACK; kind++) {
		const struct replacement *array = routed->array[array_of(routed, kind)];
		routed->route[kind] = (struct replacement_route){.words = array->words,
		                                                 .marks = unmarked ? 0 : marks[kind],
		                                                 .tag_mask = routed->tag_mask,
		                                                 .set_mask = array->sets - 1,
		                                                 .stride = array->stride,
		                                                 .ways = array->ways,
		                                                 .tag_shift = array->tag_shift,
		                                                 .unmarked = array->unmarked,
		                                                 .simd = array->simd};
	}
}

static void release_routed(struct routed *routed)
{
	for (unsigned i = 0; i < 2 && routed->array[i]; i++) {
		expect_same_contents(routed->array[i], &routed->plain[i]);
		replacement_check(routed->array[i]);
		replacement_destroy(routed->array[i]);
		free(routed->plain[i].set);
	}
}

/* Mostly whole inside a line, often in the line of the one before; now and then one that ends a run. */
static void make_accesses(const struct routed *routed, struct access *accesses, struct rng *rng)
{
	for (unsigned i = 0; i < ACCESSES; i++) {
		uint64_t tag = next_tag((enum stream)(i / 64 % STREAMS), &routed->plain[0], rng, i) & routed->tag_mask;
		unsigned offset = rng_below(rng, 1u << WAY_MARK_BITS);
		if (i > 0 && rng_below(rng, 2))
			tag = accesses[i - 1].address >> WAY_MARK_BITS;
		accesses[i] = (struct access){.address = tag << WAY_MARK_BITS | offset,
		                              .bytes = 1 + rng_below(rng, (1u << WAY_MARK_BITS) - offset),
		                              .cpu = rng_below(rng, 100) ? 3 : 4,
		                              .kind = (uint8_t)rng_below(rng, ACCESS_WRITEBACK),
		                              .region = (uint8_t)rng_next(rng)};
		if (rng_below(rng, 100) == 0)
			accesses[i].kind = ACCESS_WRITEBACK;
		if (rng_below(rng, 100) == 0)
			accesses[i].bytes = 17;
		/* Above the tag's bits anything may stand. */
		if (routed->tag_mask != UINT64_MAX)
			accesses[i].address |= (uint64_t)rng_below(rng, 3) << 40;
	}
}

/* Whether a run that began with `first` ends before this access. */
static bool ends_run(const struct access *access, const struct access *first)
{
	uint64_t inside = access->address % (1u << WAY_MARK_BITS);
	return access->cpu != first->cpu || access->kind == ACCESS_WRITEBACK || inside + access->bytes > 1u << WAY_MARK_BITS;
}

/* One run, beside the plain lists. Returns how many accesses it took. */
static size_t expect_run_of_accesses(struct routed *routed, const struct access *accesses, size_t count)
{
	static struct replacement_miss misses[ACCESSES];
	struct replacement_ran ran;
	size_t missed = routed->array[0]->ops->run_accesses(routed->route, accesses, count, &ran, misses), at = 0, i;
	uint64_t kinds[ACCESS_KINDS] = {0};
	for (i = 0; i < count && !ends_run(&accesses[i], accesses); i++) {
		unsigned kind = accesses[i].kind;
		struct plain *plain = &routed->plain[array_of(routed, kind)];
		uint64_t tag = accesses[i].address >> WAY_MARK_BITS & routed->tag_mask, marks = routed->route[kind].marks;
		struct plain_way *known = plain_find(plain, tag);
		kinds[kind]++;
		if (known) {
			known->marks |= marks;
			plain_use(plain, plain_set_of(plain, tag), (unsigned)(known - plain_set_of(plain, tag)->way));
			continue;
		}
		struct plain_way old = plain_insert(plain, tag, marks, 0);
		assert_true(at < missed);
		assert_int_equal(misses[at].request, i);
		assert_int_equal(misses[at++].evicted, old.valid ? way_word(old.tag, WAY_VALID | old.marks) : 0);
	}
	assert_int_equal(at, missed);
	assert_int_equal(ran.done, i);
	assert_memory_equal(ran.accesses, kinds, sizeof kinds);
	return ran.done;
}

/*
 * Accesses by routes, one array for all kinds or one for code beside one for data, with each kind of vector instruction.
 * Would catch: a mark lost because the access before was of the same line, two arrays taken for one, an access too many or too
 * few where a run ends, a kind counted as another.
 */
static void lru_runs_of_accesses_equal_plain_lists(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 6, "accesses");
	for (enum simd simd = SIMD_PLAIN; simd < SIMDS; simd++)
		for (unsigned ways = 1; simd_has(simd) && ways <= VECTOR_WAYS; ways++)
			for (unsigned shape = 0; shape < 4; shape++) {
				static struct access accesses[ACCESSES];
				const struct geometry geometry = {shape < 2 ? 1 : 16, ways, false};
				struct routed routed;
				make_routed(&routed, &geometry, shape % 2, ways % 3 == 1, simd);
				make_accesses(&routed, accesses, &rng);
				for (size_t done = 0; done < ACCESSES;) {
					size_t ran = expect_run_of_accesses(&routed, accesses + done, ACCESSES - done);
					done += ran ? ran : 1;
				}
				release_routed(&routed);
			}
}

/* Would catch: a random policy that evicts while a way is free, draws always the same way, or depends on anything but its seed.
 */
static void random_is_seeded_and_even(void **state)
{
	(void)state;
	const struct geometry geometry = {1, 8, false};
	struct replacement *first = make("random", &geometry, false, SIMD_PLAIN),
	                   *second = make("random", &geometry, false, SIMD_AUTO);
	unsigned victims[8] = {0};
	for (uint64_t tag = 0; tag < 8008; tag++) {
		uint64_t request = tag << WAY_MARK_BITS;
		struct replacement_miss one, other;
		assert_int_equal(replacement_run(first, &request, 1, &one), 1);
		assert_int_equal(replacement_run(second, &request, 1, &other), 1);
		assert_int_equal(one.evicted, other.evicted);
		assert_int_equal(one.evicted == 0, tag < 8);
		if (tag >= 8)
			victims[replacement_find(first, 0, tag)]++;
	}
	/* 1,000 a way are expected; five standard deviations are 148. */
	for (unsigned way = 0; way < 8; way++)
		assert_in_range(victims[way], 852, 1148);
	replacement_destroy(first);
	replacement_destroy(second);
}

static bool is_odd(void *context, uint64_t word, uint64_t payload)
{
	assert_int_equal(payload, way_tag(word) + 7);
	++*(unsigned *)context;
	return way_tag(word) % 2;
}

/* Would catch: a way skipped because the one before it was taken out. */
static void predicates_remove_what_they_name(void **state)
{
	(void)state;
	const struct geometry geometry = {2, 12, false};
	for (const struct replacement_model *model = replacement_models; model->ops; model++) {
		struct replacement *array = make(model->ops->name, &geometry, true, SIMD_AUTO);
		for (uint64_t i = 0; i < 12; i++) {
			uint64_t tag = 100 + 2 * i, evicted;
			replacement_insert(array, replacement_set_of(array, tag), way_word(tag, WAY_VALID), tag + 7, &evicted,
			                   NULL);
			tag++;
			replacement_insert(array, replacement_set_of(array, tag), way_word(tag, WAY_VALID), tag + 7, &evicted,
			                   NULL);
		}
		unsigned seen = 0;
		assert_int_equal(replacement_remove_if(array, 0, is_odd, &seen), 0);
		assert_int_equal(replacement_remove_if(array, 1, is_odd, &seen), 12);
		assert_int_equal(seen, 24);
		assert_int_equal(replacement_count(array, 0, NULL), 12);
		replacement_check(array);
		replacement_destroy(array);
	}
}

/* The mixed access pattern of SRRIP's paper (Jaleel et al. 2010): a1 and a2, used twice, outlive the scan b1 to b4 in four ways.
 */
static void srrip_resists_the_papers_scan(void **state)
{
	(void)state;
	const struct geometry geometry = {1, 4, false};
	struct replacement *array = make("srrip", &geometry, false, SIMD_AUTO);
	const uint64_t a1 = 1, a2 = 2, scan[] = {a1, a2, a2, a1, 11, 12, 13, 14, a1, a2};
	unsigned hits = 0;
	for (size_t i = 0; i < sizeof scan / sizeof *scan; i++) {
		uint64_t request = scan[i] << WAY_MARK_BITS;
		struct replacement_miss miss;
		hits += replacement_run(array, &request, 1, &miss) == 0;
	}
	assert_int_equal(hits, 4);
	replacement_destroy(array);
}

/* Would catch: an array of absurd size that is tried, or an error that does not name the owner. */
static void impossible_geometries_are_refused(void **state)
{
	(void)state;
	const struct replacement_wiring wirings[] = {{.sets = 0, .ways = 1, .stream = "l9"},
	                                             {.sets = 1, .ways = 0, .stream = "l9"},
	                                             {.sets = 6, .ways = 2, .index = INDEX_XOR, .stream = "l9"},
	                                             {.sets = 1u << 28, .ways = 2, .stream = "l9"},
	                                             {.sets = 1, .ways = UINT32_MAX, .stream = "l9"}};
	for (const struct replacement_model *model = replacement_models; model->ops; model++)
		for (size_t i = 0; i < sizeof wirings / sizeof *wirings; i++) {
			struct error error = {0};
			assert_null(model->create(&wirings[i], &error));
			assert_int_equal(error.kind, ERROR_USAGE);
			assert_non_null(strstr(error.text, "l9"));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(policies_equal_plain_lists),
	        cmocka_unit_test(runs_equal_plain_lists),
	        cmocka_unit_test(lru_runs_equal_plain_lists_at_any_ways),
	        cmocka_unit_test(lru_runs_of_accesses_equal_plain_lists),
	        cmocka_unit_test(random_is_seeded_and_even),
	        cmocka_unit_test(predicates_remove_what_they_name),
	        cmocka_unit_test(srrip_resists_the_papers_scan),
	        cmocka_unit_test(impossible_geometries_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
