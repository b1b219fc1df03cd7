/* SPDX-License-Identifier: MIT
 *
 * test_timed_counts.c - memory under the clock counts what memory without one counts: every counter of every cache and TLB, on
 * random machines and on a recorded program.
 */
#include "tests/timing/random_machines.h"

#include "sim/io/access_format.h"
#include "tests/unit/mmu_rig.h"

#define MACHINES 240
#define ACCESSES 1500

/* Lines of a machine with two or three levels, small enough for everything to be evicted. */
static void make_lines(struct rng *rng, char lines[4][LINE_TEXT], const char *pointers[5])
{
	static const char *const policies[] = {"lru", "tree_plru", "bit_plru", "srrip", "fifo", "random"};
	static const char *const inclusions[] = {"neither", "inclusive", "exclusive"};
	static const char *const extras[] = {"", " index=xor", " write=through", " write_allocate=false", " ways=all"};
	static const char *const sides[] = {"code", "data"};
	unsigned count = 0, sets = 1u << rng_below(rng, 3);
	for (unsigned side = 0; side < 2; side++) {
		snprintf(lines[count], LINE_TEXT, "l1%c size=%uB ways=2 serves=%s replacement=%s%s", sides[side][0], sets * 128,
		         sides[side], pick(rng, policies, 6), rng_below(rng, 3) ? "" : pick(rng, extras, 4));
		pointers[count] = lines[count];
		count++;
	}
	unsigned further = 1 + rng_below(rng, 2);
	for (unsigned level = 0; level < further; level++) {
		snprintf(lines[count], LINE_TEXT, "l%u size=%uB ways=4 replacement=%s inclusion=%s%s", level + 2,
		         (1024u << (2 * level)) * (1 + rng_below(rng, 2)), pick(rng, policies, 6), pick(rng, inclusions, 3),
		         rng_below(rng, 3) ? "" : pick(rng, extras, 4));
		pointers[count] = lines[count];
		count++;
	}
	pointers[count] = NULL;
}

/* Near the last access, or anywhere in four times the caches; single bytes, words over two lines, whole lines. */
static struct memory_request make_request(struct rng *rng, uint64_t *address, cycle now)
{
	static const uint8_t kinds[] = {ACCESS_LOAD, ACCESS_LOAD, ACCESS_STORE, ACCESS_MODIFY, ACCESS_CODE};
	static const uint32_t sizes[] = {1, 8, 8, 64, 100};
	struct memory_request request = {.kind = kinds[rng_below(rng, 5)], .bytes = sizes[rng_below(rng, 5)], .now = now};
	*address = rng_below(rng, 4) ? *address + rng_below(rng, 40) : rng_below(rng, 1u << 15);
	request.address = rng_below(rng, 3) ? *address : *address & ~(uint64_t)63;
	return request;
}

/*
 * Would catch: a filter that hides a use from a policy or outlives its line, a request made twice or in another order, a victim
 * that is lost, a write to memory counted as one to a cache.
 */
static void random_machines_count_what_hierarchy_counts(void **state)
{
	(void)state;
	struct rng rng;
	rng_init(&rng, 1, "timed");
	unsigned made = 0;
	for (unsigned machine = 0; machine < MACHINES; machine++) {
		char lines[4][LINE_TEXT], what[5 * LINE_TEXT];
		const char *pointers[5];
		make_lines(&rng, lines, pointers);
		struct machine_rig timed, plain;
		machine_rig_settings(&timed, 1, pointers);
		machine_rig_settings(&plain, 1, pointers);
		timed.settings.machine.cache_modify = plain.settings.machine.cache_modify = rng_below(&rng, 2) ? MODIFY_LOAD : 0;
		timed.settings.machine.cache_rule = plain.settings.machine.cache_rule =
		        rng_below(&rng, 2) ? CACHE_RULE_DEMAND : CACHE_RULE_WRITEBACK;
		if (machine_rig_make(&timed, "timed", NULL)) {
			machine_rig_make(&plain, "hierarchy", NULL);
			made++;
			uint64_t address = 0;
			cycle now = 0;
			snprintf(what, sizeof what, "machine %u: %s; %s; %s; %s", machine, lines[0], lines[1], lines[2],
			         pointers[3] ? lines[3] : "");
			for (unsigned i = 0; i < ACCESSES; i++) {
				const struct memory_request request = make_request(&rng, &address, now);
				now = rng_below(&rng, 2) ? memory_access(timed.memory, &request, &timed.cost) : now + 1;
				if (now == request.now + 1)
					memory_access(timed.memory, &request, &timed.cost);
				memory_access(plain.memory, &request, &plain.cost);
			}
			compare_caches(timed.caches, plain.caches, what);
			machine_rig_release(&plain);
		} else {
			settings_release(&plain.settings);
		}
		machine_rig_release(&timed);
	}
	assert_true(made > MACHINES / 3);
}

/* A page gets the next frame when it is first touched. */
static bool first_touch(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	(void)outcome;
	(void)error_code;
	struct rig *rig = context;
	uint64_t page = linear & ~(uint64_t)(PAGE_SIZE - 1);
	return page_tables_map(&rig->tables, page, WORD_PRESENT | WORD_WRITE | WORD_EXECUTE | WORD_USER | rig_take(rig),
	                       PAGE_4K) == MAP_OK;
}

/* A core with Skylake's caches and TLBs, and page tables that fill at first touch. */
static void make_core(struct machine_rig *machine, struct rig *rig, const char *model)
{
	static const char *const caches[] = {"l1i size=32KiB ways=8 serves=code", "l1d size=32KiB ways=8 serves=data",
	                                     "l2 size=256KiB ways=4", "llc size=1MiB ways=16 inclusion=inclusive", NULL};
	static const char *const tlbs[] = {"itlb entries=16 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data",
	                                   "stlb level=2 entries=64 ways=4 latency=9", NULL};
	rig_begin(rig, translation_model("x86_4level", NULL)->ops, 1 << 20);
	rig->mmu.fault = first_touch;
	rig->mmu.context = rig;
	rig_structure_cache(rig, 1, 4);
	rig_tlbs(rig, tlbs, false, true);
	machine_rig_settings(machine, 1, caches);
	assert_true(machine_rig_make(machine, model, &rig->mmu));
}

/* Would catch: a translation that the filter answers and that is looked up again, a walk's reference that no cache sees. */
static void a_recorded_program_counts_what_hierarchy_counts(void **state)
{
	(void)state;
	static struct access batch[ACCESS_BATCH];
	struct machine_rig timed, plain;
	static struct rig timed_rig, plain_rig;
	struct error error = {0};
	make_core(&timed, &timed_rig, "timed");
	make_core(&plain, &plain_rig, "hierarchy");
	struct access_source *source = access_source_open("tests/data/access/mix.lackey.xz", NULL, &error);
	if (!source)
		fail_msg("%s", error.text);
	size_t count;
	cycle now = 0;
	uint64_t accesses = 0;
	while (access_source_read(source, batch, ACCESS_BATCH, &count, &error) && count > 0) {
		accesses += count;
		for (size_t i = 0; i < count; i++) {
			const struct memory_request request = {
			        .address = batch[i].address, .bytes = batch[i].bytes, .kind = batch[i].kind, .now = now};
			now = memory_access(timed.memory, &request, &timed.cost);
			memory_access(plain.memory, &request, &plain.cost);
		}
	}
	access_source_close(source);
	assert_true(accesses > 10000);
	compare_caches(timed.caches, plain.caches, "mix");
	assert_memory_equal(&timed_rig.mmu.counters, &plain_rig.mmu.counters, sizeof timed_rig.mmu.counters);
	assert_memory_equal(timed_rig.mmu.level_counters, plain_rig.mmu.level_counters, sizeof timed_rig.mmu.level_counters);
	machine_rig_release(&timed);
	machine_rig_release(&plain);
	rig_end(&timed_rig);
	rig_end(&plain_rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(random_machines_count_what_hierarchy_counts),
	        cmocka_unit_test(a_recorded_program_counts_what_hierarchy_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
