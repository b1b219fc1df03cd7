/* SPDX-License-Identifier: MIT
 *
 * test_program.c - a program's accesses as a process: areas and contents, and the ops that come of them.
 */
#include "models/program_load.h"
#include "sim/io/kmt.h"
#include "sim/replay_program.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (2ull << 20)
#define USER_END ((1ull << 47) - PAGE_SIZE)

/* Accesses that stand in memory, given three at a time. */
struct told {
	struct access_source source; /* first member */
	const struct access *at;
	size_t count, next;
};

static bool told_read(struct access_source *source, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct told *told = (struct told *)source;
	(void)error;
	for (*count = 0; *count < capacity && *count < 3 && told->next < told->count; ++*count)
		batch[*count] = told->at[told->next++];
	return true;
}

static bool read_told(struct program *program, const struct access *at, size_t count, unsigned cpus, struct error *error)
{
	static const struct access_source_ops ops = {.name = "told", .read = told_read};
	struct told told = {.source = {.ops = &ops}, .at = at, .count = count};
	const struct program_reading reading = {.name = "told", .cpus = cpus, .user_end = USER_END};
	return program_read(program, &told.source, &reading, error);
}

static struct access access_of(enum access_kind kind, uint64_t address, uint32_t bytes, unsigned cpu)
{
	return (struct access){.address = address, .bytes = bytes, .cpu = (uint16_t)cpu, .kind = (uint8_t)kind};
}

static void expect_range(const struct program_range *range, uint64_t start, uint64_t pages)
{
	assert_int_equal(range->start, start);
	assert_int_equal(range->pages, pages);
}

/* Would catch: an area that reaches over what is touched, blocks that are not joined or joined over a gap, a page that a store
 * made taken for one with contents (and the other way round), the second page of an access forgotten. */
static void test_areas_and_contents_are_told(void **state)
{
	(void)state;
	struct error error = {0};
	struct program program;
	const struct access at[] = {
	        access_of(ACCESS_STORE, 10 * BLOCK + 0x5008, 8, 0),  access_of(ACCESS_LOAD, 10 * BLOCK + 0x5008, 8, 0),
	        access_of(ACCESS_LOAD, 11 * BLOCK + 0x3ffc, 8, 5),   access_of(ACCESS_STORE, 11 * BLOCK + 0x3ffc, 8, 0),
	        access_of(ACCESS_MODIFY, 13 * BLOCK + 0x1000, 4, 1), access_of(ACCESS_CODE, 2 * BLOCK, 4, 0),
	        access_of(ACCESS_PREFETCH, 40 * BLOCK, 1, 0),        access_of(ACCESS_STORE, 13 * BLOCK + 0x2000, 4, 0),
	};
	assert_true(read_told(&program, at, 8, 4, &error));
	assert_int_equal(program.accesses, 8);
	assert_int_equal(program.threads, 2); /* 5 is 1 of four */
	assert_true(program.has_code);
	assert_int_equal(program.pages, 1 + 2 + 2 + 1);
	assert_int_equal(program.area_count, 3);
	expect_range(&program.areas[0], 2 * BLOCK, 1);
	expect_range(&program.areas[1], 10 * BLOCK + 0x5000, 512 - 5 + 5);
	expect_range(&program.areas[2], 13 * BLOCK + 0x1000, 2);
	assert_int_equal(program.filled_count, 3);
	expect_range(&program.filled[0], 2 * BLOCK, 1);
	expect_range(&program.filled[1], 11 * BLOCK + 0x3000, 2);
	expect_range(&program.filled[2], 13 * BLOCK + 0x1000, 1);
	program_release(&program);
}

static void expect_same_ranges(const struct program_range *one, uint32_t count, const struct program_range *other,
                               uint32_t others)
{
	assert_int_equal(count, others);
	for (uint32_t i = 0; i < count; i++)
		expect_range(&one[i], other[i].start, other[i].pages);
}

/* The accesses of one thread, read for one CPU, which passes over pages touched lately, and for two. Would catch: an access to a
 * known page that reaches into another one, a fetch that is not seen, accesses that are not counted. */
static void test_pages_touched_lately_are_passed_over(void **state)
{
	(void)state;
	static const enum access_kind kinds[] = {ACCESS_LOAD, ACCESS_STORE, ACCESS_MODIFY, ACCESS_PREFETCH, ACCESS_CODE};
	struct access at[400];
	struct program one, two;
	struct error error = {0};
	for (unsigned turn = 0; turn < 50; turn++) {
		struct rng rng;
		rng_init(&rng, turn, "program");
		for (unsigned i = 0; i < 400; i++)
			at[i] = access_of(kinds[rng_below(&rng, turn % 2 ? 4 : 5)],
			                  3 * BLOCK + rng_below(&rng, 600) * PAGE_SIZE + (rng_below(&rng, 4) ? 8 : 4092), 8, 0);
		assert_true(read_told(&one, at, 400, 1, &error) && read_told(&two, at, 400, 2, &error));
		assert_int_equal(one.accesses, two.accesses);
		assert_int_equal(one.pages, two.pages);
		assert_int_equal(one.threads, two.threads);
		assert_int_equal(one.has_code, two.has_code);
		expect_same_ranges(one.areas, one.area_count, two.areas, two.area_count);
		expect_same_ranges(one.filled, one.filled_count, two.filled, two.filled_count);
		program_release(&one);
		program_release(&two);
	}
}

/* Would catch: accesses of a kernel, or of nobody, that become a process; more areas than one has. */
static void test_what_no_process_can_make_is_refused(void **state)
{
	(void)state;
	struct error error = {0};
	struct program program;
	struct access one = access_of(ACCESS_LOAD, USER_END - 4, 8, 0);
	assert_false(read_told(&program, &one, 1, 1, &error));
	assert_non_null(strstr(error.text, "told: access 1: address 0x7ffffffff003"));
	one = access_of(ACCESS_LOAD, USER_END - 8, 8, 0);
	assert_true(read_told(&program, &one, 1, 1, &error));
	program_release(&program);
	error = (struct error){0};
	one = access_of(ACCESS_PREFETCH, 0, 1, 0);
	assert_false(read_told(&program, &one, 1, 1, &error));
	assert_non_null(strstr(error.text, "no accesses"));
	error = (struct error){0};
	size_t count = PROGRAM_AREAS_MAX + 1;
	struct access *many = xcalloc(count, sizeof *many);
	for (size_t index = 0; index < count; index++)
		many[index] = access_of(ACCESS_STORE, 2 * index * BLOCK, 8, 0);
	assert_false(read_told(&program, many, count, 1, &error));
	assert_non_null(strstr(error.text, "65531 areas"));
	assert_true(read_told(&program, many, count - 1, 1, &error));
	program_release(&program);
	free(many);
}

struct ops_seen {
	uint64_t created, forked, exited, mapped_pages, mapped_stack, filled_pages, accesses, windows_of_all;
};

static struct ops_seen ops_of(const struct program *program)
{
	struct error error = {0};
	struct ops_seen seen = {0};
	const struct program_load load = {.program = program, .user_end = USER_END};
	const struct workload_wiring wiring = {
	        .ops = &program_load_ops, .values = &load, .line = "told", .cpus = 4, .memory_bytes = 1 << 30, .seed = 1};
	int file = workload_write(&wiring, &error);
	assert_true(file >= 0);
	struct trace *trace = kmt_open(file, "told", &error);
	assert_non_null(trace);
	assert_true(trace_has_processes(trace));
	struct op ops[64];
	size_t count;
	uint64_t stack = user_stack_end(USER_END) - USER_STACK_BYTES;
	while (trace_next(trace, ops, 64, &count, &error) && count > 0)
		for (size_t i = 0; i < count; i++) {
			seen.created += ops[i].kind == OP_PROCESS_CREATE;
			seen.forked += ops[i].kind == OP_PROCESS_FORK;
			seen.exited += ops[i].kind == OP_PROCESS_EXIT;
			seen.mapped_pages += ops[i].kind == OP_PROCESS_MAP ? ops[i].bytes_req : 0;
			seen.mapped_stack += ops[i].kind == OP_PROCESS_MAP &&
			                     ops[i].address + ((uint64_t)ops[i].bytes_req << PAGE_SHIFT) > stack;
			seen.filled_pages += ops[i].kind == OP_PROCESS_TOUCH ? ops[i].bytes_req >> PAGE_SHIFT : 0;
			seen.accesses += ops[i].kind == OP_PROCESS_RUN ? ops[i].bytes_req : 0;
			seen.windows_of_all += ops[i].kind == OP_PROCESS_RUN && ops[i].bytes_alloc == program->threads;
		}
	assert_int_equal(error.kind, ERROR_NONE);
	trace_close(trace);
	return seen;
}

/* Would catch: accesses lost between two ops, threads without a process, an area mapped over the stack that a process has. */
static void test_a_program_is_ops_of_a_process(void **state)
{
	(void)state;
	struct error error = {0};
	struct program program;
	struct access at[1000];
	for (unsigned index = 0; index < 1000; index++)
		at[index] = access_of(index % 3 ? ACCESS_STORE : ACCESS_LOAD, 10 * BLOCK + index * 0x1000, 8, index % 3);
	at[999].address = USER_END - PAGE_SIZE; /* of the stack, and first loaded from */
	at[999].kind = ACCESS_LOAD;
	assert_true(read_told(&program, at, 1000, 4, &error));
	struct ops_seen seen = ops_of(&program);
	assert_int_equal(seen.created, 1);
	assert_int_equal(seen.forked, 2);
	assert_int_equal(seen.exited, 3);
	assert_int_equal(seen.mapped_pages, 999);
	assert_int_equal(seen.mapped_stack, 0);
	assert_int_equal(seen.filled_pages, 334);
	assert_int_equal(seen.accesses, 1000);
	assert_int_equal(seen.windows_of_all, (1000 + PROGRAM_WINDOW - 1) / PROGRAM_WINDOW);
	program_release(&program);
}

/* Would catch: a trace that changed between its two readings, and whose accesses are then lost without a word. */
static void test_a_program_that_changed_is_told(void **state)
{
	(void)state;
	static const struct access_source_ops ops = {.name = "told", .read = told_read};
	const struct access at[] = {access_of(ACCESS_STORE, 10 * BLOCK, 8, 0), access_of(ACCESS_STORE, 10 * BLOCK, 8, 2)};
	const process_id threads[] = {PROCESS_NONE, PROCESS_NONE};
	struct steps steps;
	steps_init(&steps, false);
	struct told told = {.source = {.ops = &ops}, .at = at, .count = 2};
	struct program_replay program = {.accesses = &told.source, .steps = &steps, .cpus = 4};
	struct op op = {.kind = OP_PROCESS_RUN, .bytes_req = 2, .bytes_alloc = 2};
	struct error error = {0};
	assert_false(program_run(&program, &op, threads, &error));
	assert_non_null(strstr(error.text, "access 2 of the program is one of CPU 2; it had 2 before"));
	error = (struct error){0};
	told.next = 0;
	op.bytes_req = 3;
	assert_false(program_run(&program, &op, threads, &error));
	assert_non_null(strstr(error.text, "no more than 2 accesses"));
	error = (struct error){0};
	told.next = 0;
	op = (struct op){.kind = OP_PROCESS_RUN, .bytes_req = 2, .bytes_alloc = 3};
	assert_true(program_run(&program, &op, (const process_id[]){PROCESS_NONE, PROCESS_NONE, PROCESS_NONE}, &error));
	assert_int_equal(program.counters.left_out, 2); /* the threads could not be made */
	steps_release(&steps);
}

/* Would catch: data taken for code; instructions would then be counted by the fetches that are not there. */
static void test_a_program_of_data_has_no_code(void **state)
{
	(void)state;
	struct error error = {0};
	struct program program;
	const struct access at[] = {access_of(ACCESS_STORE, BLOCK, 8, 0), access_of(ACCESS_LOAD, BLOCK, 8, 0)};
	assert_true(read_told(&program, at, 2, 1, &error));
	assert_false(program.has_code);
	program_release(&program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_areas_and_contents_are_told),
	        cmocka_unit_test(test_pages_touched_lately_are_passed_over),
	        cmocka_unit_test(test_what_no_process_can_make_is_refused),
	        cmocka_unit_test(test_a_program_is_ops_of_a_process),
	        cmocka_unit_test(test_a_program_that_changed_is_told),
	        cmocka_unit_test(test_a_program_of_data_has_no_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
