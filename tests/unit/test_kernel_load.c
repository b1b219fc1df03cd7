/* SPDX-License-Identifier: MIT
 *
 * test_kernel_load.c - the made-up kernel loads: how much each step allocates, counted by hand from Linux 6.1; on whose core it
 * is freed; when RCU frees; times; and the recorded kernel's own numbers.
 */
#include "models/kernel_load.h"
#include "tests/unit/made_up.h"

#include <string.h>

/* What every fork allocates with the default keys and blocks for stacks. */
enum {
	FORK_TASK = 2,                   /* task_struct, stack */
	FORK_OTHERS = 5,                 /* credentials, files, fs, sighand, signal */
	FORK_SPACE = 2 + 10 + 3 * 5 + 8, /* mm, node; areas; anon_vma and two chains each; tables */
	FORK_PID = 2,                    /* pid, and its node */
	FORK_PAGES = 14 + 1,             /* and the page that lists them when they go */
	FORK_SIGNAL = 1,
	FORK_ALL = FORK_TASK + FORK_OTHERS + FORK_SPACE + FORK_PID + FORK_PAGES + FORK_SIGNAL,
	/* Two names, bprm, mm, credentials, file, headers; areas; anon_vma and chain each; nodes; tables; pages. */
	EXEC_ALL = 7 + 10 + 2 * 4 + 14 + 10 + 8
};

/* Would catch: an object of a process left out or made twice. */
static void test_what_a_fork_allocates(void **state)
{
	(void)state;
	assert_int_equal(made("fork_storm count=100 exec=0 vmap_stack=false", 3).allocs, 100 * FORK_ALL);
	assert_int_equal(made("fork_storm count=100 exec=0", 3).allocs, 100 * FORK_ALL); /* its stack is an area */
	assert_int_equal(made("fork_storm count=100 exec=100 vmap_stack=false", 3).allocs, 100 * (FORK_ALL + EXEC_ALL));
}

/* Would catch: RCU's frees on another core than the one that gave them, a child that runs where it should not. */
static void test_who_frees_a_process(void **state)
{
	(void)state;
	assert_int_equal(made("fork_storm away=0", 4).remote_frees, 0);
	struct seen seen = made("fork_storm count=100 away=100 exec=0 vmap_stack=false", 4);
	/* The child's core frees what the parent's made: space but its pages, files, fs, stack; and its signal goes the other
	 * way. */
	assert_int_equal(seen.remote_frees, 100 * (FORK_SPACE + 2 + 1 + FORK_SIGNAL));
}

/* Would catch: a buffer of a path that stays, a node for a file of one page. */
static void test_what_a_file_allocates(void **state)
{
	(void)state;
	/* Path, file, dentry, inode, page; another path for unlink. */
	assert_int_equal(made("files count=100 pages=1", 2).allocs, 100 * 6);
	assert_int_equal(made("files count=100 pages=1 fs=ramfs long=100 kept=7", 2).allocs, 100 * 6);
}

/* Would catch: packets that the wrong core receives or frees. */
static void test_who_frees_a_packet(void **state)
{
	(void)state;
	struct seen seen = made("network count=1000 receivers=1 queue=10 fragments=0", 2);
	assert_int_equal(seen.allocs, 2000); /* a head and its data */
	assert_int_equal(seen.by_cpu[0], 2000);
	assert_int_equal(seen.remote_frees, 2 * (1000 - 10)); /* all but the last, which the end frees */
	assert_int_equal(seen.most_live, 2 * 10);
	assert_int_equal(made("network away=0", 4).remote_frees, 0);
	seen = made("network count=6400 receivers=4", 8);
	for (unsigned cpu = 0; cpu < 4; cpu++)
		assert_true(seen.by_cpu[cpu] > 0);
	assert_int_equal(seen.by_cpu[4], 0);
}

/*
 * 1500 bytes and 64 of headroom are 1600 in lines, and 320 for the shared info: 17 fragments a block of 32 KiB. Would catch: a
 * block given back too early or never, one that is not begun again when all is back.
 */
static void test_fragments(void **state)
{
	(void)state;
	/* One packet waits when a block is full: it cannot be begun again. */
	assert_int_equal(made("network count=1700 receivers=1 queue=2 small=0 middle=0", 2).allocs, 1700 + 100);
	/* None waits: one block serves all. */
	assert_int_equal(made("network count=1700 receivers=1 queue=1 small=0 middle=0", 2).allocs, 1700 + 1);
}

/* 58, 33 and 9 percent of 20000. Would catch: shares of lengths that are not kept. */
static void test_lengths_of_packets(void **state)
{
	(void)state;
	int file = make("network count=20000 fragments=0", 2, 1);
	struct trace *trace = open_trace(file);
	struct error error = {0};
	struct op ops[512];
	size_t count;
	uint32_t small = 0, middle = 0, large = 0;
	while (trace_next(trace, ops, 512, &count, &error) && count > 0)
		for (size_t i = 0; i < count; i++) {
			small += ops[i].kind == OP_KMALLOC && ops[i].bytes_req == 448;
			middle += ops[i].kind == OP_KMALLOC && ops[i].bytes_req == 960;
			large += ops[i].kind == OP_KMALLOC && ops[i].bytes_req == 1920;
		}
	trace_close(trace);
	close(file);
	assert_int_equal(small + middle + large, 20000);
	assert_in_range(small, 11600 - 280, 11600 + 280); /* four standard deviations of 70 */
	assert_in_range(middle, 6600 - 266, 6600 + 266);  /* of 66 */
}

/* With no file cached 25 percent of 16 MiB are 5461 pairs. Would catch: more than the share, a change that frees none or two. */
static void test_dentries_keep_the_share(void **state)
{
	(void)state;
	const uint64_t names = MADE_UP_MEMORY / 100 * 25 / (192 + 576);
	struct seen seen = made("dentries count=3000 cached=0 swing=0 rate=100 grace=1us", 3);
	assert_int_equal(seen.allocs, 2 * (names + 3000));
	assert_int_equal(seen.most_live, 2 * (names + 1)); /* one waits for RCU while its successor is made */
}

/*
 * In 30 s two programs come, after 10 and 20 s; half of 16 MiB is four huge pages less the bytes that per cent lose. Would catch:
 * a program at the very beginning, huge pages that stay.
 */
static void test_programs_ask_for_huge_pages(void **state)
{
	(void)state;
	const uint64_t names = MADE_UP_MEMORY / 100 * 25 / (192 + 576);
	struct seen seen = made("dentries count=3000 cached=0 swing=0 rate=100 grace=1us huge=50 huge_every=10s", 3);
	assert_int_equal(seen.allocs, 2 * (names + 3000) + 2 * 3);
	assert_in_range(seen.most_live, 2 * names + 3, 2 * (names + 1) + 3);
}

/*
 * Of 5461 a half goes: 2730 steps that end two and make one, then as many that end one and make two, ... Would catch: a swing
 * that is too far, or goes one way only.
 */
static void test_dentries_swing(void **state)
{
	(void)state;
	const uint64_t names = MADE_UP_MEMORY / 100 * 25 / (192 + 576), swing = names * 50 / 100;
	assert_int_equal(made("dentries count=2730 cached=0 rate=100 grace=1us", 3).allocs, 2 * (names + swing));
	assert_int_equal(made("dentries count=5460 cached=0 rate=100 grace=1us", 3).allocs, 2 * (names + swing + 2 * swing));
	assert_int_equal(made("dentries count=5461 cached=0 rate=100 grace=1us", 3).allocs, 2 * (names + swing + 2 * swing + 1));
	/* Three old ones may wait for RCU while one is made. */
	assert_in_range(made("dentries count=9000 cached=0 rate=100 grace=1us", 3).most_live, 2 * names, 2 * (names + 3));
}

/* Of the first `first` allocations, how many live behind allocation number `behind`. Ids are used again. */
static uint64_t survivors(const char *text, uint64_t first, uint64_t behind)
{
	int file = make(text, 2, 1);
	struct trace *trace = open_trace(file);
	struct error error = {0};
	struct op ops[512];
	size_t count;
	uint64_t allocs = 0, alive = 0;
	bool *is_first = xcalloc(trace_info(trace)->ids + 1, sizeof *is_first);
	while (allocs < behind && trace_next(trace, ops, 512, &count, &error) && count > 0)
		for (size_t i = 0; i < count && allocs < behind; i++) {
			if (ops[i].kind == OP_CACHE_ALLOC) {
				is_first[ops[i].id] = allocs++ < first;
				alive += is_first[ops[i].id];
			} else {
				alive -= is_first[ops[i].id];
				is_first[ops[i].id] = false;
			}
		}
	free(is_first);
	trace_close(trace);
	close(file);
	return alive;
}

/*
 * Without a tail every life is one to two units long, so no successor dies before the last of the first: as many changes as names
 * end just these. With half of the lives twice as long and so on some stay far longer: of the first, those with more than 16
 * units are 1/32 and more. Would catch: a heap that gives the wrong one, lives that do not double.
 */
static void test_lives_have_a_tail(void **state)
{
	(void)state;
	const uint64_t names = MADE_UP_MEMORY / 100 * 25 / (192 + 576), first = 2 * names;
	const char *even = "dentries count=6000 cached=0 swing=0 rate=100 grace=1us tail=0";
	const char *tailed = "dentries count=22000 cached=0 swing=0 rate=100 grace=1us tail=50";
	/* What a change ends is freed at the beginning of the next one. */
	assert_int_equal(survivors(even, first, first + 2 * names), 2);
	assert_int_equal(survivors(even, first, first + 2 * names + 2), 0);
	assert_in_range(survivors(tailed, first, first + 2 * 4 * names), first / 32, first / 2);
}

/* Would catch: a part of a module left out, or what only loading needs kept. */
static void test_what_a_module_allocates(void **state)
{
	(void)state;
	/* Two areas; arguments, two kobjects; 12 nodes and a section's with
	   names; the table of sections and a section's name. */
	assert_int_equal(made("module_load count=50 live=5 pages=1 sections=1 parameters=0", 2).allocs,
	                 50 * (2 + 1 + 2 + 13 * 2 + 2));
}

/* Would catch: weights that are not looked at, a load of weight 0 that is run. */
static void test_a_mix(void **state)
{
	(void)state;
	const char *text = "mix fork_storm=0 files=0 network=3 dentries=0 module_load=0 count=5000";
	/* Other draws, so other numbers of blocks of fragments: a packet in eleven lies in one of 17. */
	assert_in_range(made(text, 2).allocs, 2 * 5000 - 600, 2 * 5000);
	uint64_t both = made("mix fork_storm=0 files=1 network=3 dentries=0 module_load=0 count=4000", 2).allocs;
	uint64_t network = made("network count=4000", 2).allocs, files = made("files count=4000", 2).allocs;
	uint64_t expected = (3 * network + files) / 4;
	assert_in_range(both, expected - expected / 20, expected + expected / 20);
}

/* Would catch: a duration that is not looked at, times that drift or stand still. */
static void test_the_pace(void **state)
{
	(void)state;
	struct seen seen = made("files rate=3 duration=7200s pages=1", 2);
	assert_int_equal(seen.allocs, 6 * 3 * 7200);
	assert_in_range(seen.time_ns, 7199666666666,
	                7199666666666 + 1000000); /* the last begins a third of a second before the end */
	assert_int_equal(made("files rate=1000 count=77 pages=1", 2).allocs, 6 * 77);
}

#define GRACE_NS 1000000u

/* Three frees given to RCU in the first, second and fourth grace period. */
static void give_to_rcu(struct workload *workload, const void *values)
{
	(void)values;
	struct rcu_frees rcu;
	workload_kind kind = workload_kmalloc(workload, "test", 64, GFP_KERNEL);
	rcu_frees_init(&rcu, workload, GRACE_NS);
	static const uint64_t given_ns[] = {0, GRACE_NS + 500, 3 * GRACE_NS + 500};
	for (unsigned i = 0; i < 3; i++) {
		workload_wait_until(workload, given_ns[i]);
		rcu_frees_run(&rcu);
		rcu_frees_add(&rcu, i, workload_alloc(workload, 0, kind));
	}
	for (uint64_t now_ns = 4 * GRACE_NS; now_ns < 8 * GRACE_NS; now_ns += GRACE_NS / 4) {
		workload_wait_until(workload, now_ns);
		rcu_frees_run(&rcu);
	}
	rcu_frees_end(&rcu);
}

/* By hand: given in period n, free from period n + 2 on. Would catch: a period too few, a free on the wrong core. */
static void test_rcu_waits(void **state)
{
	(void)state;
	static const struct setting no_keys[] = {{.key = NULL}};
	const struct workload_ops ops = {.name = "test", .keys = no_keys, .generate = give_to_rcu};
	const struct workload_wiring wiring = {.ops = &ops, .line = "test", .cpus = 3, .seed = 1};
	struct error error = {0};
	int file = workload_write(&wiring, &error);
	assert_true(file >= 0);
	struct trace *trace = open_trace(file);
	struct op op;
	size_t count;
	unsigned freed = 0;
	/* The first is due at 2, but the first look after that is at 3 and 500 ns; the second at 3, seen then too. */
	static const uint64_t due_ns[] = {3 * GRACE_NS + 500, 3 * GRACE_NS + 500, 5 * GRACE_NS};
	while (trace_next(trace, &op, 1, &count, &error) && count > 0)
		if (op.kind == OP_KFREE) {
			assert_int_equal(op.cpu, freed);
			assert_in_range(op.time_ns, due_ns[freed], due_ns[freed] + 1000);
			freed++;
		}
	assert_int_equal(freed, 3);
	trace_close(trace);
	close(file);
}

/* Allocations of a cache, and the most of them that lived at once. */
struct used {
	uint64_t allocs, live, most_live;
};

static void count_caches(const char *text, struct used *used)
{
	int file = make(text, 1, 1);
	struct trace *trace = open_trace(file);
	struct error error = {0};
	struct op ops[512];
	size_t count;
	while (trace_next(trace, ops, 512, &count, &error) && count > 0)
		for (size_t i = 0; i < count; i++) {
			bool allocates = ops[i].kind == OP_CACHE_ALLOC;
			if (!allocates && ops[i].kind != OP_CACHE_FREE)
				continue;
			unsigned cache = 0;
			while (strcmp(kernel_caches[cache].name, trace_cache(trace, ops[i].cache)->name) != 0)
				cache++;
			used[cache].allocs += allocates;
			used[cache].live += allocates ? 1 : UINT64_MAX;
			if (used[cache].live > used[cache].most_live)
				used[cache].most_live = used[cache].live;
		}
	trace_close(trace);
	close(file);
}

/*
 * What the recorded kernel allocated from each cache in the part "fork" of traces/qemu-512m-slub-small (132 forks, 72 of them
 * call execve), and how many of that lived at once, against as many made-up forks at the same rate, six of which live: within a
 * twentieth of the allocations, and within a half of what lives. Not compared: what the shell opens and reads (dentry, inodes,
 * other names, other files), and the nodes of the maple tree that live: execve gives all it makes to RCU here. Would catch:
 * numbers that are not the recording's.
 */
static void test_against_the_recording(void **state)
{
	(void)state;
	static const struct {
		enum kernel_cache cache;
		uint32_t allocs, most_live;
	} recorded[] = {{CACHE_TASK_STRUCT, 132, 8},
	                {CACHE_SIGHAND, 132, 6},
	                {CACHE_SIGNAL, 132, 8},
	                {CACHE_FILES, 132, 6},
	                {CACHE_FS, 132, 6},
	                {CACHE_MM_STRUCT, 204, 7},
	                {CACHE_VM_AREA_STRUCT, 2040, 58},
	                {CACHE_ANON_VMA, 948, 26},
	                {CACHE_ANON_VMA_CHAIN, 1680, 43},
	                {CACHE_PID, 132, 8},
	                {CACHE_CRED_JAR, 204, 13}};
	struct used used[KERNEL_CACHES] = {{0}};
	count_caches("fork_storm count=132 live=6 rate=36 vmap_stack=false", used);
	for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
		const struct used *ours = &used[recorded[i].cache];
		assert_in_range(ours->allocs, recorded[i].allocs - recorded[i].allocs / 20, recorded[i].allocs);
		assert_in_range(ours->most_live, recorded[i].most_live / 2, recorded[i].most_live + recorded[i].most_live / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_what_a_fork_allocates),

	        cmocka_unit_test(test_who_frees_a_process),
	        cmocka_unit_test(test_what_a_file_allocates),
	        cmocka_unit_test(test_who_frees_a_packet),
	        cmocka_unit_test(test_fragments),
	        cmocka_unit_test(test_lengths_of_packets),
	        cmocka_unit_test(test_dentries_keep_the_share),
	        cmocka_unit_test(test_programs_ask_for_huge_pages),
	        cmocka_unit_test(test_dentries_swing),
	        cmocka_unit_test(test_lives_have_a_tail),
	        cmocka_unit_test(test_what_a_module_allocates),
	        cmocka_unit_test(test_a_mix),
	        cmocka_unit_test(test_the_pace),
	        cmocka_unit_test(test_rcu_waits),
	        cmocka_unit_test(test_against_the_recording),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
