/* SPDX-License-Identifier: MIT
 *
 * test_reserve.c - ports (sim/reserve.h): what is taken at once is what the whole way would have taken.
 */
#include "tests/unit/test.h"

#include "sim/reserve.h"
#include "sim/rng.h"

/* Bursts of one cycle fill more cycles than are remembered. Would catch: a cycle of a full stretch that is not remembered any
 * more taken for a free one, a stretch that is kept although one of its cycles was forgotten, one request too many in a cycle. */
static void at_once_is_as_the_whole_way(void **state)
{
	(void)state;
	static const uint32_t ports[] = {1, 2, 3};
	struct rng rng;
	rng_init(&rng, 3, "ports");
	for (unsigned round = 0; round < 60; round++) {
		struct port_set quick = {.full = 0}, whole = {.full = 0};
		const uint32_t count = ports[round % 3];
		cycle now = 1000;
		for (unsigned i = 0, burst = 0; i<4000; i++, burst -= burst> 0) {
			const unsigned what = rng_below(&rng, 40);
			if (rng_below(&rng, 300) == 0)
				burst = 100 * count;
			now += burst ? 0 : what == 0 ? rng_below(&rng, 300) : what < 4 + round % 8 ? rng_below(&rng, 4) : 0;
			const cycle at = burst || rng_below(&rng, 6) ? now : now - rng_below(&rng, 100) + rng_below(&rng, 200);
			assert_int_equal(port_set_take(&quick, count, at), port_set_take_later(&whole, count, at));
		}
		assert_memory_equal(&quick, &whole, sizeof quick);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(at_once_is_as_the_whole_way)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
