/* SPDX-License-Identifier: MIT
 *
 * test_timed_memory.c - memory under the clock against closed forms: what each level costs, and who waits for whom, to the cycle.
 *
 * A level answers L1 = 4, L2 = 14, LLC = 44, DRAM = 240 cycles after a request that nothing holds up.
 */
#include "tests/timing/timed_rig.h"

#include "sim/interconnect.h"
#include "sim/metric.h"
#include "sim/reserve.h"
#include "tests/unit/mmu_rig.h"

/* Sets of 2, 4 and 8 lines, one each. */
static const char *const small[] = {"l1d size=128B ways=2", "l2 size=256B ways=4", "llc size=512B ways=8", NULL};

static void make(struct machine_rig *rig, const char *const *lines)
{
	machine_rig_settings(rig, 1, lines);
	assert_true(machine_rig_make(rig, "timed", NULL));
}

static uint64_t part(const struct machine_rig *rig, enum cost_part part)
{
	return rig->cost.cycles[part];
}

/*
 * After n other lines a line is in L1 for n < 2, in L2 for n < 4, in the LLC for n < 8 (LRU). What a level adds to the one before
 * it is its part of the cost. Would catch: a level taken for its neighbour, latencies added up, a part that is another's.
 */
static void each_level_costs_its_latency(void **state)
{
	(void)state;
	static const struct {
		unsigned others;
		cycle cycles;
		uint64_t parts[4];
	} cases[] = {{0, L1, {4, 0, 0, 0}},    {1, L1, {4, 0, 0, 0}},    {2, L2, {4, 10, 0, 0}},     {3, L2, {4, 10, 0, 0}},
	             {4, LLC, {4, 10, 30, 0}}, {7, LLC, {4, 10, 30, 0}}, {8, DRAM, {4, 10, 30, 196}}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine_rig rig;
		make(&rig, small);
		cycle now = 1000;
		for (unsigned other = 0; other <= cases[i].others; other++) {
			assert_int_equal(rig_load(&rig, 0, 64 * other, now), now + DRAM);
			now += 1000;
		}
		assert_int_equal(rig_load(&rig, 0, 0, now), now + cases[i].cycles);
		assert_int_equal(part(&rig, COST_L1), cases[i].parts[0]);
		assert_int_equal(part(&rig, COST_L2), cases[i].parts[1]);
		assert_int_equal(part(&rig, COST_LLC), cases[i].parts[2]);
		assert_int_equal(part(&rig, COST_DRAM), cases[i].parts[3]);
		assert_int_equal(rig_request(&rig, 0, ACCESS_MODIFY, 0, now + 1000), now + 1000 + L1 + ATOMIC);
		assert_int_equal(part(&rig, COST_COMPUTE), ATOMIC);
		machine_rig_release(&rig);
	}
}

/* A cache's own latency comes before that of its place. Would catch: a key without effect. */
static void a_cache_has_its_own_latency(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=128B ways=2 latency=5", "l2 size=256B ways=4 latency=17",
	                                    "llc size=512B ways=8 latency=70", NULL};
	static const cycle expected[] = {5, 17, 17, 70, 70, 70, 70, 70 + DRAM - LLC};
	for (unsigned others = 1; others <= 8; others++) {
		struct machine_rig rig;
		make(&rig, lines);
		for (unsigned other = 0; other <= others; other++)
			rig_load(&rig, 0, 64 * other, 1000 * (other + 1));
		assert_int_equal(rig_load(&rig, 0, 0, 100000), 100000 + expected[others - 1]);
		machine_rig_release(&rig);
	}
}

/*
 * A line asked for at 0 is there at 240. Whoever asks for it meanwhile has it then: at 10 and at 235 they wait, at 236 the L1's
 * own 4 cycles end as it arrives, at 237 it is there. Would catch: a second fetch, a hit on a line that is not there yet, a wait
 * for one that is.
 */
static void a_line_on_its_way_is_waited_for(void **state)
{
	(void)state;
	static const struct {
		cycle now, done;
	} cases[] = {{0, 240}, {10, 240}, {235, 240}, {236, 240}, {237, 241}, {300, 304}};
	struct machine_rig rig;
	make(&rig, small);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(rig_load(&rig, 0, 8 * i, cases[i].now), cases[i].done);
	assert_int_equal(rig_counter(&rig, "fill_waits"), 2);
	assert_int_equal(rig_counter(&rig, "fill_wait_cycles"), (240 - 14) + (240 - 239));
	assert_int_equal(rig_counter(&rig, "dram_reads"), 1);
	machine_rig_release(&rig);
}

/*
 * A line that the L1 prefetches with a miss at 0 comes from memory as that one does, whichever way the L2 between them is asked:
 * one that prefetches too is asked in another way. Would catch: a prefetched line that is there when the L2 has been asked.
 */
static void a_prefetched_line_comes_from_memory(void **state)
{
	(void)state;
	static const char *const seconds[] = {"l2 size=4KiB ways=4", "l2 size=4KiB ways=4 prefetch=stride"};
	for (unsigned i = 0; i < 2; i++) {
		const char *lines[] = {"l1d size=1KiB ways=2 prefetch=always", seconds[i], "llc size=16KiB ways=4", NULL};
		struct machine_rig rig;
		make(&rig, lines);
		assert_int_equal(rig_load(&rig, 0, 0, 0), DRAM);
		assert_int_equal(rig_load(&rig, 0, 64, 10), DRAM);
		assert_int_equal(rig_load(&rig, 0, 128, 237), DRAM + 10);
		machine_rig_release(&rig);
	}
}

/*
 * Two slots: of misses at 0, 0, 0 the third asks at 4 and gets a slot at 240: 236 later than alone. A miss at 235 asks at 239 and
 * waits one cycle, one at 236 asks as the slot is free. Would catch: a slot kept too long or too short, slots not counted.
 */
static void misses_wait_for_a_slot(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=4KiB ways=8 slots=2", "llc size=64KiB ways=8", NULL};
	static const struct {
		cycle third, done;
	} cases[] = {{0, 236 + DRAM}, {235, 236 + DRAM}, {236, 236 + DRAM}, {237, 237 + DRAM}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine_rig rig;
		make(&rig, lines);
		assert_int_equal(rig_load(&rig, 0, 0, 0), DRAM);
		assert_int_equal(rig_load(&rig, 0, 4096, 0), DRAM);
		assert_int_equal(rig_load(&rig, 0, 8192, cases[i].third), cases[i].done);
		assert_int_equal(part(&rig, COST_L1), 4 + cases[i].done - DRAM - cases[i].third);
		machine_rig_release(&rig);
	}
}

/*
 * 64 lines by ten slots: line i starts at i. The first ten are there at 240 + i; each later one asks when the slot ten lines
 * before it is free and is there 240 - 4 cycles after that: line 63, the fourth of the seventh ten, at 240 + 3 + 6 * 236.
 * Would catch: lines one after the other, or all at once.
 */
static void a_page_is_read_as_fast_as_slots_allow(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=32KiB ways=8 slots=10", "llc size=64KiB ways=8", NULL};
	struct machine_rig rig;
	make(&rig, lines);
	const struct memory_request request = {.address = 1 << 20, .bytes = 4096, .kind = ACCESS_LOAD, .now = 0};
	assert_int_equal(memory_access(rig.memory, &request, &rig.cost), 240 + 3 + 6 * 236);
	machine_rig_release(&rig);
}

/* Three hits in one cycle by two ports; the next cycle has one port left. Would catch: ports that nobody waits for. */
static void accesses_wait_for_a_port(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=4KiB ways=8 ports=2", NULL};
	struct machine_rig rig;
	make(&rig, lines);
	rig_load(&rig, 0, 0, 0);
	rig_load(&rig, 0, 0, 1000);
	static const struct {
		cycle now, done;
	} cases[] = {{2000, 2004}, {2000, 2004}, {2000, 2005}, {2001, 2005}, {2001, 2006}, {2003, 2007}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(rig_load(&rig, 0, 0, cases[i].now), cases[i].done);
	assert_int_equal(rig_counter(&rig, "port_wait_cycles"), 2);
	machine_rig_release(&rig);
}

/*
 * One slice, three cycles a request: LLC hits at 0, 0, 0 are done at 44, 47, 50; the next, at 8, at 53, one cycle before a
 * request alone would be; at 13 the slice is free. Would catch: bandwidth without end.
 */
static void a_slice_serves_one_after_the_other(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=64B ways=1", "llc size=4KiB ways=8 busy=3", NULL};
	static const struct {
		cycle now, done;
	} cases[] = {{0, 44}, {0, 47}, {0, 50}, {8, 53}, {13, 57}};
	struct machine_rig rig;
	make(&rig, lines);
	for (unsigned line = 0; line < 8; line++)
		rig_load(&rig, 0, 64 * line, 1000 * line);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(rig_load(&rig, 0, 64 * i, 10000 + cases[i].now), 10000 + cases[i].done);
	machine_rig_release(&rig);
}

/* Lines kept by two slices do not wait for each other. Would catch: slices that are one. */
static void slices_serve_beside_each_other(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=64B ways=1", "llc size=64KiB ways=8 slices=4 busy=100", NULL};
	struct machine_rig rig;
	make(&rig, lines);
	for (unsigned line = 0; line < 400; line++)
		rig_load(&rig, 0, 64 * line, 1000 * line);
	cycle last = 0;
	for (unsigned line = 0; line < 400; line++) {
		cycle done = rig_load(&rig, 0, 64 * line, 1000000);
		last = done > last ? done : last;
	}
	/* 400 requests, four slices, 100 cycles each: 10,000 cycles if the hash were perfect; it may be off by a tenth. */
	assert_in_range(last, 1000000 + LLC + 99 * 100, 1000000 + LLC + 109 * 100);
	machine_rig_release(&rig);
}

/*
 * A ring of eight stops: from core 0 the slices are 0, 1, 1, 2, 2, 3, 3, 4 hops away, two on average. Would catch: the long way
 * round, a hash that prefers a slice, hops that cost nothing.
 */
static void the_ring_adds_its_hops(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=64B ways=1", "llc size=512KiB ways=8 slices=8", NULL};
	struct machine_rig rig;
	machine_rig_settings(&rig, 1, lines);
	rig.settings.machine.topology = TOPOLOGY_RING;
	rig.settings.machine.hop_cycles = 10;
	assert_true(machine_rig_make(&rig, "timed", NULL));
	unsigned hops[5] = {0};
	for (unsigned line = 0; line < 4096; line++)
		rig_load(&rig, 0, 64 * line, 1000 * line);
	for (unsigned line = 0; line < 4096; line++) {
		cycle now = 10000000 + 1000 * line, cycles = rig_load(&rig, 0, 64 * line, now) - now;
		assert_true(cycles >= LLC && (cycles - LLC) % 10 == 0 && cycles <= LLC + 40);
		hops[(cycles - LLC) / 10]++;
	}
	for (unsigned i = 0; i < 5; i++) {
		unsigned slices = i == 0 || i == 4 ? 1 : 2;
		assert_in_range(hops[i], slices * 512 - 52, slices * 512 + 52);
	}
	machine_rig_release(&rig);
}

/* Worked by hand. A mesh of nine stops has three columns; of seven as well, the last row short. */
static void distances_of_stops(void **state)
{
	(void)state;
	static char row0[] = "0 5", row1[] = "7 0", bad[] = "1";
	char *rows[] = {row0, row1}, *bad_rows[] = {row0, bad};
	struct interconnect net;
	struct error error = {0};
	assert_true(interconnect_init(&net, &(struct interconnect_wiring){.topology = TOPOLOGY_MESH, .stops = 9, .hop_cycles = 2},
	                              &error));
	assert_int_equal(interconnect_cycles(&net, 0, 8), 2 * (2 + 2));
	assert_int_equal(interconnect_cycles(&net, 5, 3), 2 * 2);
	assert_int_equal(interconnect_cycles(&net, 4, 4), 0);
	interconnect_release(&net);
	assert_true(interconnect_init(&net, &(struct interconnect_wiring){.topology = TOPOLOGY_RING, .stops = 7, .hop_cycles = 3},
	                              &error));
	assert_int_equal(interconnect_cycles(&net, 0, 3), 3 * 3);
	assert_int_equal(interconnect_cycles(&net, 0, 4), 3 * 3);
	assert_int_equal(interconnect_stop(&net, 1, 2), 3);
	interconnect_release(&net);
	struct interconnect_wiring table = {
	        .topology = TOPOLOGY_TABLE, .stops = 2, .hop_cycles = 1, .rows = rows, .rows_count = 2};
	assert_true(interconnect_init(&net, &table, &error));
	assert_int_equal(interconnect_cycles(&net, 0, 1), 5);
	assert_int_equal(interconnect_cycles(&net, 1, 0), 7);
	interconnect_release(&net);
	table.rows = bad_rows;
	assert_false(interconnect_init(&net, &table, &error));
	assert_non_null(strstr(error.text, "expected 2 numbers"));
}

/* The gap of three cycles between two stretches is given to who fits. Would catch: a late reservation that holds up an early one.
 */
static void a_gap_in_a_timeline_is_used(void **state)
{
	(void)state;
	struct timeline line = {0};
	assert_int_equal(timeline_take(&line, 100, 10), 100);
	assert_int_equal(timeline_take(&line, 113, 10), 113);
	assert_int_equal(timeline_take(&line, 95, 4), 95);
	assert_int_equal(timeline_take(&line, 98, 4), 123);
	assert_int_equal(timeline_take(&line, 105, 3), 110);
	assert_int_equal(timeline_take(&line, 0, 1), 0);
	timeline_check(&line);
	/* 95-99, 100-127, 0-1 */
	assert_int_equal(line.count, 3);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(timeline_take(&line, 1000 + 2 * i, 1), 1000 + 2 * i);
	timeline_check(&line);
}

/*
 * A line of 64 bytes above lines of 32: both halves are asked for at once, the second waits 5 cycles for the one slice, and the
 * line is here with it. Would catch: halves one after the other, a cost that is not the time.
 */
static void a_line_in_pieces_is_here_with_its_last(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=4KiB ways=8", "llc size=64KiB ways=8 line=32B busy=5", NULL};
	struct machine_rig rig;
	make(&rig, lines);
	assert_int_equal(rig_load(&rig, 0, 0, 0), DRAM + 5);
	assert_int_equal(rig_counter(&rig, "dram_reads"), 2);
	machine_rig_release(&rig);
}

/* A dirty line that has to go is written to memory, and nobody waits for it. */
static void a_victim_delays_nobody(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=64B ways=1", "llc size=128B ways=2", NULL};
	struct machine_rig rig;
	make(&rig, lines);
	rig_store(&rig, 0, 0, 0);
	rig_load(&rig, 0, 64, 1000);
	assert_int_equal(rig_load(&rig, 0, 128, 2000), 2000 + DRAM);
	assert_int_equal(rig_load(&rig, 0, 192, 3000), 3000 + DRAM);
	assert_int_equal(rig_counter(&rig, "dram_writes"), 1);
	machine_rig_release(&rig);
}

/* ---- translation ---- */

#define FAR_APART (1ull << 45) /* entries of the top table 64 places apart: in other lines of every table */

static const char *const big[] = {"l1d size=32KiB ways=8", "l2 size=256KiB ways=4", "llc size=1MiB ways=16", NULL};

/* A core whose pages are mapped, accessed and dirty, at 0, 1, 2 and 3 times FAR_APART; no paging-structure cache. */
static void make_translated(struct machine_rig *machine, struct rig *rig, uint32_t walkers)
{
	static const char *const tlbs[] = {"dtlb entries=4 ways=all", "stlb level=2 entries=64 ways=4 latency=9", NULL};
	rig_begin(rig, translation_model("x86_4level", NULL)->ops, 1 << 20);
	for (uint64_t page = 0; page < 4; page++) {
		uint64_t frame = (64 + 4 * page) << 20;
		for (unsigned i = 0; i < 8; i++)
			rig_map(rig, page * FAR_APART + i * PAGE_SIZE,
			        WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_ACCESSED | WORD_DIRTY | (frame + i * PAGE_SIZE),
			        PAGE_4K);
	}
	rig_tlbs(rig, tlbs, false, true);
	machine_rig_settings(machine, 1, big);
	machine->settings.machine.walkers = walkers;
	assert_true(machine_rig_make(machine, "timed", &rig->mmu));
}

/*
 * Four references from memory, one after the other, after 9 cycles in the second TLB: 9 + 4 * 240, then the line, 240. The next
 * page's walk finds three of the four lines in L1, and the fourth, the same line of the last table, too: 9 + 4 * 4. A page that
 * only the second TLB has costs 9. Would catch: references side by side, a walk that costs nothing.
 */
static void a_walk_costs_the_sum_of_its_references(void **state)
{
	(void)state;
	struct machine_rig machine;
	static struct rig rig;
	make_translated(&machine, &rig, 1);
	assert_int_equal(rig_load(&machine, 0, 0, 0), 9 + 4 * DRAM + DRAM);
	assert_int_equal(part(&machine, COST_TLB), 9 + 4 * DRAM);
	assert_int_equal(rig_load(&machine, 0, PAGE_SIZE, 10000), 10000 + 9 + 4 * L1 + DRAM);
	assert_int_equal(part(&machine, COST_TLB), 9 + 4 * L1);
	for (unsigned page = 2; page < 5; page++)
		rig_load(&machine, 0, page * (PAGE_SIZE + 64), 10000 + page * 1000);
	assert_int_equal(rig_load(&machine, 0, 0, 20000), 20000 + 9 + L1);
	assert_int_equal(rig_load(&machine, 0, 0, 20100), 20100 + L1);
	machine_rig_release(&machine);
	rig_end(&rig);
}

/*
 * Walks asked for at 0, each 9 + 960 long. With two walkers two end at 969 and the third at 969 + 960; with one the second does.
 * A walk asked for at 959, of one walker free at 969, begins after 9 cycles in the TLB at 968 and waits one cycle; at 960 none.
 * Would catch: walkers without end, or one for all.
 */
static void walkers_make_so_many_walks_at_a_time(void **state)
{
	(void)state;
	static const struct {
		uint32_t walkers;
		cycle second_now, second_translated, third_translated;
	} cases[] = {{2, 0, 969, 969 + 960},
	             {1, 0, 969 + 960, 969 + 2 * 960},
	             {1, 959, 969 + 960, 969 + 2 * 960},
	             {1, 960, 969 + 960, 969 + 2 * 960},
	             {1, 961, 970 + 960, 970 + 2 * 960}};
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine_rig machine;
		static struct rig rig;
		make_translated(&machine, &rig, cases[i].walkers);
		assert_int_equal(rig_load(&machine, 0, 0, 0), 969 + DRAM);
		assert_int_equal(rig_load(&machine, 0, FAR_APART, cases[i].second_now), cases[i].second_translated + DRAM);
		assert_int_equal(rig_load(&machine, 0, 2 * FAR_APART, cases[i].second_now), cases[i].third_translated + DRAM);
		machine_rig_release(&machine);
		rig_end(&rig);
	}
}

/* A page that nothing maps: its walk is paid for, and its references go through the caches. Would catch: walks for nothing free.
 */
static void a_refused_access_costs_its_walk(void **state)
{
	(void)state;
	struct machine_rig machine;
	static struct rig rig;
	make_translated(&machine, &rig, 1);
	assert_int_equal(rig_load(&machine, 0, 8 * PAGE_SIZE, 0), 9 + 4 * DRAM);
	assert_int_equal(part(&machine, COST_TLB), 9 + 4 * DRAM);
	assert_int_equal(rig_counter(&machine, "lines"), 4);
	machine_rig_release(&machine);
	rig_end(&rig);
}

/* Would catch: a table of distances that cannot be read, taken as if all distances were nothing. */
static void wrong_distances_are_refused(void **state)
{
	(void)state;
	static const char *const lines[] = {"l1d size=64B ways=1", "llc size=512KiB ways=8 slices=2", NULL};
	struct machine_rig rig;
	struct error error = {0};
	machine_rig_settings(&rig, 1, lines);
	rig.settings.machine.topology = TOPOLOGY_TABLE;
	rig.settings.machine.hop_cycles = 10;
	rig.settings.machine.hops = xcalloc(2, sizeof *rig.settings.machine.hops);
	rig.settings.machine.hops_count = 2;
	rig.settings.machine.hops[0] = xstrdup("0 1");
	rig.settings.machine.hops[1] = xstrdup("1 near");
	struct cache_hierarchy *caches = caches_of_settings(&rig.settings, false, NULL, &error);
	assert_non_null(caches);
	struct dram *dram =
	        dram_model("fixed", &error)->create(&(struct dram_wiring){.settings = &rig.settings}, &error);
	const struct memory_wiring wiring = {.settings = &rig.settings, .caches = caches, .dram = dram};
	assert_null(memory_model("timed", &error)->create(&wiring, &error));
	assert_non_null(strstr(error.text, "machine.interconnect.distances: '1 near'"));
	cache_hierarchy_destroy(caches);
	dram_destroy(dram);
	settings_release(&rig.settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_level_costs_its_latency),
	        cmocka_unit_test(a_cache_has_its_own_latency),
	        cmocka_unit_test(a_line_on_its_way_is_waited_for),
	        cmocka_unit_test(a_prefetched_line_comes_from_memory),
	        cmocka_unit_test(misses_wait_for_a_slot),
	        cmocka_unit_test(a_page_is_read_as_fast_as_slots_allow),
	        cmocka_unit_test(accesses_wait_for_a_port),
	        cmocka_unit_test(a_slice_serves_one_after_the_other),
	        cmocka_unit_test(slices_serve_beside_each_other),
	        cmocka_unit_test(the_ring_adds_its_hops),
	        cmocka_unit_test(distances_of_stops),
	        cmocka_unit_test(a_gap_in_a_timeline_is_used),
	        cmocka_unit_test(a_line_in_pieces_is_here_with_its_last),
	        cmocka_unit_test(a_victim_delays_nobody),
	        cmocka_unit_test(a_walk_costs_the_sum_of_its_references),
	        cmocka_unit_test(walkers_make_so_many_walks_at_a_time),
	        cmocka_unit_test(a_refused_access_costs_its_walk),
	        cmocka_unit_test(wrong_distances_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
