/* SPDX-License-Identifier: MIT
 *
 * test_timed_unasked.c - a memory that is not asked where the cycles of an access went (memory_done) answers with the same cycle,
 * and counts the same, as one that is: on random machines with one core and with two, planned or not, accesses of up to a page.
 */
#include "tests/timing/random_machines.h"

#include "sim/mmu.h"

#define MACHINES 240
#define REQUESTS 1500

/* Three levels, small enough for everything to be evicted; the second may have fewer sets than the first. */
static void make_lines(struct rng *rng, char lines[3][LINE_TEXT], const char *pointers[4])
{
	static const char *const policies[] = {"lru", "lru", "tree_plru", "tree_plru", "random", "fifo", "bit_plru", "srrip"};
	static const char *const waits[] = {"", " ports=1", " slots=1", " slots=3 ports=2", " slots=10 ports=3"};
	static const char *const lasts[] = {"", " inclusion=inclusive", " slices=2 busy=5", " slots=2", " index=xor"};
	snprintf(lines[0], LINE_TEXT, "l1 size=%uB ways=%u replacement=%s%s", (rng_below(rng, 4) ? 512u : 768u) << rng_below(rng, 4), 1u << rng_below(rng, 4),
	         pick(rng, policies, 8), pick(rng, waits, 5));
	snprintf(lines[1], LINE_TEXT, "l2 size=2KiB ways=%u replacement=%s%s%s", 1u << rng_below(rng, 5), pick(rng, policies, 8),
	         pick(rng, waits, 5), rng_below(rng, 4) ? "" : " index=xor");
	snprintf(lines[2], LINE_TEXT, "llc size=%uKiB ways=%u cores=all replacement=%s%s", rng_below(rng, 5) ? 8 : 6,
	         4u << rng_below(rng, 3), pick(rng, policies, 8), pick(rng, lasts, 5));
	for (unsigned i = 0; i < 3; i++)
		pointers[i] = lines[i];
	pointers[3] = NULL;
}

/* Near the last access or anywhere in 64 KiB: words, whole lines, some lines, a page. */
static struct memory_request make_request(struct rng *rng, uint64_t *address, unsigned cpus)
{
	static const uint8_t kinds[] = {ACCESS_LOAD,  ACCESS_LOAD,   ACCESS_STORE,   ACCESS_STORE,
	                                ACCESS_STORE, ACCESS_MODIFY, ACCESS_PREFETCH};
	static const uint32_t sizes[] = {1, 8, 8, 8, 64, 130, 1000, 4096};
	*address = rng_below(rng, 4) ? *address + rng_below(rng, 40) : rng_below(rng, 1u << 16);
	struct memory_request request = {.address = rng_below(rng, 3) ? *address : *address & ~(uint64_t)63,
	                                 .bytes = sizes[rng_below(rng, 8)],
	                                 .cpu = (uint16_t)rng_below(rng, cpus),
	                                 .kind = kinds[rng_below(rng, 7)]};
	if (request.kind == ACCESS_MODIFY || request.kind == ACCESS_PREFETCH)
		request.bytes = 8;
	request.is_locked = request.kind == ACCESS_MODIFY && rng_below(rng, 2);
	return request;
}

/* Plans what comes next, as far as it may be planned, in both. Returns how many requests that are. */
static size_t plan_both(struct machine_rig *one, struct machine_rig *other, const struct memory_request *requests, size_t count)
{
	struct access known[16];
	size_t planned = 0;
	for (; planned < count && planned < 16 && requests[planned].kind != ACCESS_MODIFY; planned++)
		known[planned] = (struct access){
		        .address = requests[planned].address, .bytes = requests[planned].bytes, .kind = requests[planned].kind};
	size_t taken = memory_plan(one->memory, known, planned);
	assert_int_equal(memory_plan(other->memory, known, planned), taken);
	return taken;
}

static void make_both(struct machine_rig *unasked, struct machine_rig *asked, struct rng *rng, unsigned cpus, const char *what)
{
	static struct memory_request requests[REQUESTS];
	uint64_t address = 0;
	cycle now = 0;
	size_t known = 0;
	for (size_t i = 0; i < REQUESTS; i++)
		requests[i] = make_request(rng, &address, cpus);
	for (size_t i = 0; i < REQUESTS; i++) {
		if (i >= known && rng_below(rng, 20) == 0)
			known = i + plan_both(unasked, asked, requests + i, REQUESTS - i);
		requests[i].now = now;
		cycle expected = memory_access(asked->memory, &requests[i], &asked->cost);
		cycle done = rng_below(rng, 4) ? memory_done(unasked->memory, &requests[i])
		                               : memory_access(unasked->memory, &requests[i], &unasked->cost);
		if (done != expected)
			fail_msg("%s: request %zu is done at %llu unasked, at %llu asked", what, i, (unsigned long long)done,
			         (unsigned long long)expected);
		now = rng_below(rng, 3) ? done : now + rng_below(rng, 20);
	}
}

/* MMUs without TLBs, which leave addresses as they are: requests are planned by them too where no caches are looked up. */
static struct mmu *make_mmus(struct mmu *mmus, unsigned cpus)
{
	memset(mmus, 0, cpus * sizeof *mmus);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		mmu_init(&mmus[cpu]);
	return mmus;
}

static void release_mmus(struct mmu *mmus, unsigned cpus)
{
	for (unsigned cpu = 0; mmus && cpu < cpus; cpu++)
		mmu_release(&mmus[cpu]);
}

/* Would catch: a plan's parts that nobody kept account of added up, a wait that is counted only where somebody asks, the store of
 * a load that stores forgotten or made twice, a locked access without its cycles, the cost of another access told where a hit
 * takes no cycle; lines of a page looked up at once (timed_run.h) in another order than one after the other where that matters: a
 * policy that draws from a stream, fewer sets below, a victim before the fetch that made it one. */
static void who_asks_changes_nothing(void **state)
{
	(void)state;
	static const char *const models[] = {"timed", "timed", "timed", "hierarchy", "ideal"};
	static struct mmu mmus[2][2];
	struct rng rng;
	rng_init(&rng, 5, "unasked");
	unsigned made = 0;
	for (unsigned machine = 0; machine < MACHINES; machine++) {
		char lines[3][LINE_TEXT], what[5 * LINE_TEXT];
		const char *pointers[4], *model = pick(&rng, models, 5);
		struct machine_rig unasked, asked;
		unsigned cpus = 1 + (rng_below(&rng, 3) == 0);
		bool has_mmu = rng_below(&rng, 2);
		struct mmu *one = has_mmu ? make_mmus(mmus[0], cpus) : NULL, *other = has_mmu ? make_mmus(mmus[1], cpus) : NULL;
		make_lines(&rng, lines, pointers);
		machine_rig_settings(&unasked, cpus, pointers);
		machine_rig_settings(&asked, cpus, pointers);
		unasked.settings.machine.cache_rule = asked.settings.machine.cache_rule =
		        cpus == 1 && rng_below(&rng, 2) ? CACHE_RULE_DEMAND : CACHE_RULE_WRITEBACK;
		unasked.settings.machine.l1_cycles = asked.settings.machine.l1_cycles = rng_below(&rng, 4) ? L1 : 0;
		snprintf(what, sizeof what, "machine %u, %s, %u cores: %s; %s; %s", machine, model, cpus, lines[0], lines[1],
		         lines[2]);
		if (machine_rig_make(&unasked, model, one)) {
			assert_true(machine_rig_make(&asked, model, other));
			make_both(&unasked, &asked, &rng, cpus, what);
			compare_counters(&unasked, "unasked", &asked, "asked", what);
			made++;
			machine_rig_release(&asked);
		} else {
			settings_release(&asked.settings);
		}
		machine_rig_release(&unasked);
		release_mmus(one, cpus);
		release_mmus(other, cpus);
	}
	assert_true(made > MACHINES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(who_asks_changes_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
