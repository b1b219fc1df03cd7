/* SPDX-License-Identifier: MIT
 *
 * test_workload.c - made-up loads: ops that fit together, the shape that the line asks for, the same bytes for the same seed.
 */
#include "models/registry.h"
#include "tests/unit/made_up.h"

#include <stdlib.h>
#include <unistd.h>

/* Would catch, for every workload there is: an op that frees what does not live, something that is never freed. */
static void test_everything_is_freed(void **state)
{
	(void)state;
	static const unsigned cpus[] = {1, 2, 5, MADE_UP_CPUS_MAX};
	for (const struct workload_model *model = workload_models; model->ops; model++)
		for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
			int file = make(model->ops->name, cpus[i], 1);
			struct trace *trace = open_trace(file);
			struct seen seen = read_all(trace);
			assert_true(seen.allocs > 0);
			assert_int_equal(seen.live, 0);
			trace_close(trace);
			close(file);
		}
}

/* Sizes 8, 16, 32; 10 of each on 2 cores, twice; in batches of 4. Would catch: a size too many, a batch that is not one. */
static void test_a_loop(void **state)
{
	(void)state;
	int file = make("kmalloc_loop min=8B max=32B count=10 batch=4 rounds=2", 2, 1);
	struct trace *trace = open_trace(file);
	struct seen seen = read_all(trace);
	assert_int_equal(seen.allocs, 3 * 10 * 2 * 2);
	assert_int_equal(seen.by_cpu[0], 60);
	assert_int_equal(seen.by_cpu[1], 60);
	assert_int_equal(seen.most_live, 4 * 2);
	assert_int_equal(seen.remote_frees, 0);
	trace_close(trace);
	close(file);
}

/* Sizes 4, 8, 16 KiB; 6 areas on 2 cores, in batches of 3. Would catch: a call or a size that the file does not keep, a free that
 * does not know its call, a physical address that is lost. */
static void test_a_loop_of_areas(void **state)
{
	(void)state;
	struct error error = {0};
	struct op ops[128];
	size_t count;
	int file = make("vmalloc_loop call=ioremap min=4KiB max=16KiB count=6 batch=3", 2, 1);
	struct trace *trace = open_trace(file);
	assert_true(trace_has_areas(trace));
	assert_true(trace_next(trace, ops, 128, &count, &error));
	assert_int_equal(count, 2 * 3 * 6 * 2);
	for (size_t i = 0; i < count; i++) {
		bool frees = i % 12 >= 6;
		assert_int_equal(ops[i].kind, frees ? OP_AREA_FREE : OP_AREA_ALLOC);
		assert_int_equal(ops[i].order, CALL_IOREMAP);
		assert_int_equal(ops[i].address, 0xe0000000);
		if (!frees)
			assert_int_equal(ops[i].bytes_req, 4096u << i / 24);
	}
	trace_close(trace);
	close(file);
	file = make("kmalloc_loop count=1", 1, 1);
	trace = open_trace(file);
	assert_false(trace_has_areas(trace));
	trace_close(trace);
	close(file);
}

/* Would catch: the allocating core that frees, more live than the depth, a share that is not kept. */
static void test_remote_frees(void **state)
{
	(void)state;
	int file = make("kmalloc_remote count=1000 depth=16", 4, 1);
	struct trace *trace = open_trace(file);
	struct seen seen = read_all(trace);
	assert_int_equal(seen.allocs, 2000);
	assert_int_equal(seen.by_cpu[1] + seen.by_cpu[3], 0);
	assert_int_equal(seen.remote_frees, 2000);
	assert_int_equal(seen.most_live, 2 * 16);
	trace_close(trace);
	close(file);
	file = make("kmalloc_remote count=1000 depth=16 share=0", 4, 1);
	trace = open_trace(file);
	assert_int_equal(read_all(trace).remote_frees, 0);
	trace_close(trace);
	close(file);
	file = make("kmalloc_remote count=10000 share=25", 2, 1);
	trace = open_trace(file);
	seen = read_all(trace);
	assert_in_range(seen.remote_frees, 2300, 2700); /* 2500, standard deviation 43 */
	trace_close(trace);
	close(file);
}

/*
 * One turn of one program: the pages of its working set have three accesses each, which do not divide a page. A shell of 3,000
 * pages with 512 accesses each needs several ops (TOUCH_ACCESSES_MAX). Would catch: a fourth access; an op of too many.
 */
static void test_touches_of_processes(void **state)
{
	(void)state;
	struct error error = {0};
	struct op ops[512];
	size_t count;
	uint32_t pages = 0;
	int file = make("processes live=1 pages=20 touched=20 accesses=3 count=1", 1, 1);
	struct trace *trace = open_trace(file);
	assert_true(trace_next(trace, ops, 512, &count, &error));
	for (size_t i = 0; i < count; i++)
		if (ops[i].kind == OP_PROCESS_TOUCH && ops[i].bytes_req <= PAGE_SIZE) {
			assert_int_equal((ops[i].bytes_req + ops[i].bytes_alloc - 1) / ops[i].bytes_alloc, 3);
			pages++;
		}
	assert_int_equal(pages, 20);
	trace_close(trace);
	close(file);
	file = make("processes live=1 accesses=512 inherited=3000 count=1", 1, 1);
	trace = open_trace(file);
	assert_true(trace_next(trace, ops, 512, &count, &error));
	uint64_t bytes = 0;
	for (size_t i = 0; i < count && ops[i].kind != OP_PROCESS_FORK; i++)
		bytes += ops[i].kind == OP_PROCESS_TOUCH ? ops[i].bytes_req : 0;
	assert_int_equal(bytes, 3000u * PAGE_SIZE);
	trace_close(trace);
	close(file);
}

/*
 * Would catch: more than the share, a replacement that is no replacement, sizes outside of the range. With two rounds three times
 * as many are allocated as fill memory.
 */
static void test_fill(void **state)
{
	(void)state;
	int file = make("kmalloc_fill fill=20 rounds=2 min=16B max=1KiB", 2, 1);
	struct trace *trace = open_trace(file);
	struct error error = {0};
	struct op ops[512];
	size_t count;
	uint64_t live = 0, most = 0, allocs = 0, filled = 0;
	uint32_t *bytes = xcalloc(trace_info(trace)->ids, sizeof *bytes);
	while (trace_next(trace, ops, 512, &count, &error) && count > 0)
		for (size_t i = 0; i < count; i++) {
			bool alloc = ops[i].kind == OP_KMALLOC;
			if (alloc)
				bytes[ops[i].id] = ops[i].bytes_req;
			assert_true(bytes[ops[i].id] >= 16 && bytes[ops[i].id] < 1024 && bytes[ops[i].id] % 8 == 0);
			live = alloc ? live + bytes[ops[i].id] : live - bytes[ops[i].id];
			most = live > most ? live : most;
			allocs += alloc;
			filled = !filled && !alloc ? allocs : filled; /* the first free comes when memory is full */
		}
	assert_int_equal(live, 0);
	assert_in_range(most, MADE_UP_MEMORY / 100 * 20 - 1024, MADE_UP_MEMORY / 100 * 20);
	assert_in_range(allocs, 3 * filled - 64, 3 * filled); /* some small ones may fit before the first goes */
	free(bytes);
	trace_close(trace);
	close(file);
}

static uint64_t digest(int file)
{
	static unsigned char bytes[1 << 22];
	ssize_t length = pread(file, bytes, sizeof bytes, 0);
	assert_in_range(length, 1, sizeof bytes - 1);
	return kmt_checksum(bytes, (size_t)length);
}

/* Would catch: a clock or an address in the file; a seed that nobody reads. */
static void test_equal_seeds_equal_bytes(void **state)
{
	(void)state;
	for (const struct workload_model *model = workload_models; model->ops; model++) {
		int first = make(model->ops->name, 2, 7), again = make(model->ops->name, 2, 7),
		    other = make(model->ops->name, 2, 8);
		assert_true(digest(first) == digest(again));
		assert_true(digest(first) != digest(other));
		close(first);
		close(again);
		close(other);
	}
}

/* Would catch: a wrong name or key that is taken silently, or refused without saying what is near. */
static void test_wrong_lines(void **state)
{
	(void)state;
	static const struct {
		const char *line, *told;
	} cases[] = {{"kmalloc_lop", "kmalloc_loop"},
	             {"kmalloc_loop cuont=3", "count"},
	             {"kmalloc_loop count=-3", "count"},
	             {"kmalloc_loop min=64B max=32B", "min=64B"},
	             {"kmalloc_fill min=64B max=32B", "min=64"},
	             {"kmalloc_fill min=24B", "24"},
	             {"network small=80 middle=30", "middle=30"},
	             {"mix fork_storm=0 files=0 network=0 dentries=0 module_load=0", "weights"},
	             {"files fs=ext5", "ramfs"},
	             {"", "workload"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct error error = {0};
		struct workload_line line;
		assert_false(workload_line_read(&line, cases[i].line, "a.yaml:3:1", &error));
		if (!strstr(error.text, cases[i].told))
			fail_msg("'%s' does not name '%s'", error.text, cases[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_everything_is_freed),
	        cmocka_unit_test(test_a_loop),
	        cmocka_unit_test(test_a_loop_of_areas),
	        cmocka_unit_test(test_remote_frees),
	        cmocka_unit_test(test_fill),
	        cmocka_unit_test(test_touches_of_processes),
	        cmocka_unit_test(test_equal_seeds_equal_bytes),
	        cmocka_unit_test(test_wrong_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
