/* SPDX-License-Identifier: MIT
 *
 * test_timed_paths.c - requests of several cores on the short path of the caches (cache_level_ops.take) take the cycles, and
 * count, what they do on the long one (cache_level_ops.serve): on random machines whose cores use the same lines. A run whose
 * levels are watched takes the long one.
 */
#include "tests/timing/random_machines.h"

#include "sim/bounce.h"

#define MACHINES 150
#define REQUESTS 2000
#define CORES 4u
#define TOP 32

/* Two or three levels, small enough for everything to be evicted; the last one is that of all cores, or of each. */
static void make_lines(struct rng *rng, char lines[4][LINE_TEXT], const char *pointers[5])
{
	static const char *const policies[] = {"lru", "lru", "tree_plru", "fifo", "random"};
	static const char *const waits[] = {"", "", " ports=1", " slots=1", " slots=3 ports=2"};
	static const char *const seconds[] = {"", "", "", " inclusion=inclusive"};
	static const char *const lasts[] = {"cores=all",         "cores=all", "cores=all inclusion=inclusive",
	                                    "cores=all slots=2", "cores=1",   "cores=all slices=2 busy=5"};
	unsigned count = 0, line = 64u << (rng_below(rng, 3) ? 0 : rng_below(rng, 3)), times = line / 64;
	for (unsigned side = rng_below(rng, 2); side < 2; side++) {
		snprintf(lines[count], LINE_TEXT, "l1%c line=%uB size=%uB ways=%u serves=%s replacement=%s%s", side ? 'd' : 'i',
		         line, times * 256u << rng_below(rng, 2), 2u << rng_below(rng, 2), side ? "data" : "code",
		         pick(rng, policies, 5), pick(rng, waits, 5));
		pointers[count] = lines[count];
		count++;
	}
	if (rng_below(rng, 4)) {
		snprintf(lines[count], LINE_TEXT, "l2 line=%uB size=%uKiB ways=%u replacement=%s%s%s", line, times,
		         4u << rng_below(rng, 2), pick(rng, policies, 5), pick(rng, waits, 5), pick(rng, seconds, 4));
		pointers[count] = lines[count];
		count++;
	}
	snprintf(lines[count], LINE_TEXT, "llc line=%uB size=%uKiB ways=%u replacement=%s %s", line, 4 * times,
	         4u << rng_below(rng, 2), pick(rng, policies, 5), pick(rng, lasts, 6));
	pointers[count] = lines[count];
	pointers[count + 1] = NULL;
}

struct choices {
	enum coherence_protocol protocol;
	enum cache_rule rule;
	const char *dram;
};

/* false: the caches do not fit together. */
static bool make(struct machine_rig *rig, const char *const *lines, const struct choices *choices, bool is_short)
{
	struct error error = {0};
	machine_rig_settings(rig, CORES, lines);
	rig->settings.machine.coherence = choices->protocol;
	rig->settings.machine.cache_rule = choices->rule;
	rig->caches = caches_of_settings(&rig->settings, false, NULL, &error);
	if (!rig->caches)
		return false;
	for (unsigned i = 0; i < rig->caches->count && !is_short; i++)
		rig->caches->caches[i]->takes = false;
	rig->dram = dram_model(choices->dram, &error)->create(&(struct dram_wiring){.settings = &rig->settings}, &error);
	const struct memory_wiring wiring = {.settings = &rig->settings, .caches = rig->caches, .dram = rig->dram};
	rig->memory = memory_model("timed", &error)->create(&wiring, &error);
	return rig->memory != NULL;
}

/* Near the core's last access, or anywhere in 64 bytes to 16 KiB that all cores use. */
static struct memory_request make_request(struct rng *rng, uint64_t address[CORES], unsigned cpu)
{
	static const uint8_t kinds[] = {ACCESS_LOAD,  ACCESS_LOAD,   ACCESS_LOAD, ACCESS_STORE,
	                                ACCESS_STORE, ACCESS_MODIFY, ACCESS_CODE};
	address[cpu] = rng_below(rng, 3) ? address[cpu] + rng_below(rng, 40) : rng_below(rng, 64u << 2 * rng_below(rng, 5));
	struct memory_request request = {.address = rng_below(rng, 4) ? address[cpu] : address[cpu] & ~63ull,
	                                 .bytes = rng_below(rng, 8) ? 8 : 64,
	                                 .cpu = (uint16_t)cpu,
	                                 .kind = kinds[rng_below(rng, 7)]};
	request.is_locked = request.kind == ACCESS_MODIFY && rng_below(rng, 2);
	return request;
}

static void compare_lines(const struct machine_rig *a, const struct machine_rig *b, const char *what)
{
	const struct bounced_line *left[TOP], *right[TOP];
	size_t count = a->memory->ops->bounced_lines(a->memory, left, TOP);
	if (b->memory->ops->bounced_lines(b->memory, right, TOP) != count)
		fail_msg("%s: other lines bounced", what);
	for (size_t i = 0; i < count; i++)
		if (memcmp(left[i], right[i], sizeof *left[i]) != 0)
			fail_msg("%s: line 0x%llx bounced otherwise", what, (unsigned long long)left[i]->address);
}

static void compare(const struct machine_rig *a, const struct machine_rig *b, const char *what)
{
	compare_counters(a, "on the short path", b, "on the long one", what);
	for (unsigned cpu = 0; cpu < CORES; cpu++)
		for (const struct metric *metric = a->memory->ops->core_metrics; metric->name; metric++)
			if (metric_value(metric, a->memory->ops->core_counters(a->memory, cpu)) !=
			    metric_value(metric, b->memory->ops->core_counters(b->memory, cpu)))
				fail_msg("%s: %s of core %u differs", what, metric->name, cpu);
	compare_lines(a, b, what);
}

/* No request is under way for so long. */
#define APART 100000u

/* Cores take turns of some requests; each begins when the core's last one is done, or sooner, or long after. */
static void make_both(struct machine_rig *one, struct machine_rig *other, struct rng *rng, bool is_close, const char *what)
{
	uint64_t address[CORES] = {0};
	cycle now[CORES] = {0};
	unsigned cpu = 0;
	for (unsigned i = 0; i < REQUESTS; i++) {
		if (rng_below(rng, 4) == 0)
			cpu = rng_below(rng, CORES);
		struct memory_request request = make_request(rng, address, cpu);
		request.now = is_close ? now[cpu] : (i + 1ull) * APART;
		cycle done = memory_access(one->memory, &request, &one->cost);
		cycle expected = memory_access(other->memory, &request, &other->cost);
		if (done != expected || memcmp(&one->cost, &other->cost, sizeof one->cost) != 0)
			fail_msg("%s: request %u is done at %llu on the short path, at %llu on the long one", what, i,
			         (unsigned long long)done, (unsigned long long)expected);
		now[cpu] = rng_below(rng, 3) ? done : now[cpu] + rng_below(rng, 20);
		if (i % 100 == 0)
			one->memory->ops->check(one->memory);
	}
}

/*
 * Would catch: a line that left one cache of a core taken for one that left the core, or the other way round; a written copy that
 * went without the directory's owner; a cost told twice where a request leaves its core; a filter that keeps a line that went; a
 * line fetched unseen that is here before the level below has it; a line that comes from another place in memory.
 */
static void the_short_path_is_the_long_one(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 3, "paths");
	unsigned made = 0;
	for (unsigned machine = 0; machine < MACHINES; machine++) {
		char lines[4][LINE_TEXT] = {{0}}, what[5 * LINE_TEXT];
		const char *pointers[5];
		make_lines(&rng, lines, pointers);
		const struct choices choices = {rng_below(&rng, 3) ? COHERENCE_MESI : COHERENCE_MOESI,
		                                rng_below(&rng, 2) ? CACHE_RULE_DEMAND : CACHE_RULE_WRITEBACK,
		                                rng_below(&rng, 2) ? "fixed" : "ddr"};
		struct machine_rig one, other;
		snprintf(what, sizeof what, "machine %u: %s; %s; %s; %s", machine, lines[0], lines[1],
		         pointers[2] ? lines[2] : "", pointers[2] && pointers[3] ? lines[3] : "");
		bool fit = make(&one, pointers, &choices, true);
		assert_int_equal(make(&other, pointers, &choices, false), fit);
		if (fit) {
			bool is_close = rng_below(&rng, 2);
			make_both(&one, &other, &rng, is_close, what);
			compare(&one, &other, what);
			made++;
		}
		machine_rig_release(&one);
		machine_rig_release(&other);
	}
	assert_true(made > MACHINES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_short_path_is_the_long_one)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
