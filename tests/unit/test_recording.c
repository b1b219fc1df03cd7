/* SPDX-License-Identifier: MIT
 *
 * test_recording.c - reading recordings of scripts, and states side by side. Each test names the mistake it would catch.
 */
#include "sim/recording.h"
#include "sim/state_diff.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(struct recording *recording, const char *text, struct error *error)
{
	return recording_parse(recording, "test", xstrdup(text), strlen(text), error);
}

/* Would catch: a field read from the wrong place or in the wrong base, a line taken for another kind. */
static void lines_are_taken_apart(void **state)
{
	(void)state;
	struct recording recording;
	struct error error = {0};
	assert_true(parse(&recording,
	                  "#BEGIN slab size=64 align=0 hwalign=0 seed=129 nops=4000\n"
	                  ">1S PA 4c10 3 d2cc0 0\n"
	                  ">0t PF 4c18 2\n"
	                  ">0t KM a_caller 3856 4096 cc0 230e.10\n"
	                  ">0t CA a_caller dentry cc0 22d8.280\n"
	                  ">0t KF a_caller 230e.10\n"
	                  ">0t PZ 4c10 3 0 1\n"
	                  "a 9 56de.240\n"
	                  "a 10 FAIL\n"
	                  "f 9\n"
	                  "# shrink\n"
	                  "# pattern fifo k=259\n"
	                  "# destroy\n"
	                  "#END slab lost=2\n",
	                  &error));
	static const enum recording_line_kind kinds[] = {LINE_BLOCK,  LINE_BLOCK,  LINE_OBJECT, LINE_OBJECT,
	                                                 LINE_OBJECT, LINE_EVENT,  LINE_ALLOC,  LINE_ALLOC,
	                                                 LINE_FREE,   LINE_SHRINK, LINE_NOTE,   LINE_DESTROY};
	assert_int_equal(recording.script, RECORDING_SLAB);
	assert_int_equal(recording.count, sizeof kinds / sizeof kinds[0]);
	for (size_t i = 0; i < recording.count; i++)
		assert_int_equal(recording.lines[i].kind, kinds[i]);
	const struct recording_line *lines = recording.lines;
	assert_true(lines[0].cpu == 1 && lines[0].context == 'S' && lines[0].taken && lines[0].order == 3);
	assert_true(lines[0].frame == 0x4c10 && lines[0].flags == 0xd2cc0 && lines[0].number == 2);
	assert_true(!lines[1].taken && lines[1].frame == 0x4c18 && lines[1].order == 2);
	assert_true(lines[2].taken && lines[2].size == 3856 && lines[2].flags == 0xcc0);
	assert_true(lines[2].frame == 0x230e && lines[2].offset == 0x10);
	assert_true(lines[3].taken && lines[3].frame == 0x22d8 && !lines[4].taken);
	assert_true(lines[6].id == 9 && lines[6].frame == 0x56de && lines[6].offset == 0x240 && !lines[6].failed);
	assert_true(lines[7].failed && lines[7].frame == UINT32_MAX);
	assert_false(recording.cut);
	assert_int_equal(recording.lost, 2);
	recording_release(&recording);
}

/* Would catch: a failed allocation's frame of all ones taken for a frame, an order or a flag of the wrong base. */
static void page_calls_are_taken_apart(void **state)
{
	(void)state;
	struct recording recording;
	struct error error = {0};
	assert_true(parse(&recording,
	                  "#BEGIN pages mix=0 seed=11 nops=10 lim=3 floor=4\n"
	                  ">0t PA ffffffffffffffff 10 cc0 0\n"
	                  "A 3 10 cc0 FAIL\n"
	                  "A 4 0 2cc0 2837\n"
	                  "F 4\n"
	                  "#END pages lost=0\n",
	                  &error));
	assert_int_equal(recording.lines[0].frame, UINT32_MAX);
	assert_true(recording.lines[1].kind == LINE_PAGES && recording.lines[1].failed && recording.lines[1].order == 10);
	assert_true(recording.lines[2].frame == 0x2837 && recording.lines[2].flags == 0x2cc0);
	assert_int_equal(recording.lines[3].kind, LINE_PAGES_FREE);
	recording_release(&recording);
	assert_true(parse(&recording,
	                  "#BEGIN vmalloc seed=31 nops=3000 lim=200\n"
	                  "v 3 7686 lazy=232\n"
	                  "V 3 ffffc90001909000 : 2850 2222\n"
	                  "F 3 lazy=232\n"
	                  "#END vmalloc lost=0\n",
	                  &error));
	assert_true(recording.lines[0].kind == LINE_VMALLOC && recording.lines[0].size == 7686);
	assert_int_equal(recording.lines[1].kind, LINE_AREA);
	assert_int_equal(recording.lines[2].kind, LINE_VFREE);
	recording_release(&recording);
}

/* Would catch: lines that mean nothing and are taken, numbers that are used as an index without a bound. */
static void wrong_lines_are_told(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	        "",
	        "x 1",
	        "a",
	        "a x",
	        "a 1",
	        "a 1 12z",
	        "a 1 12.1000",
	        "a 1048576 12.0",
	        "a 99999999999999999999999999 12.0",
	        "f -1",
	        "m 1 8 cc0",
	        "A 1 64 cc0 12",
	        "A 1 0 cc0 12x",
	        "> PA 1 0 0 0",
	        ">128t PA 1 0 0 0",
	        ">0t PA 1 0",
	        ">0t PF 12",
	        ">0t KM caller 8",
	        "K 1",
	        "V 1 zz",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct recording recording;
		struct error error = {0};
		char *text = xasprintf("#BEGIN slab size=8\n%s\n#END slab lost=0\n", wrong[i]);
		if (parse(&recording, text, &error))
			fail_msg("taken: \"%s\"", wrong[i]);
		assert_int_equal(error.kind, ERROR_INPUT);
		assert_non_null(strstr(error.text, "test:2: "));
		free(text);
	}
	struct recording recording;
	struct error error = {0};
	assert_false(parse(&recording, "", &error));
	assert_false(parse(&recording, "#BEGIN facts\n#END facts\n", &error));
	assert_false(parse(&recording, "#BEGIN something\n#END\n", &error));
	assert_false(parse(&recording, "#BEGIN slab size=8\n#BEGIN slab size=8\n", &error));
	assert_false(recording_parse(&recording, "test", calloc(30, 1), 29, &error));
}

/* Would catch: a call whose events are missing replayed as if it were whole; a half line read as a number that it is not. */
static void a_cut_recording_ends_before_its_last_call(void **state)
{
	(void)state;
	struct recording recording;
	struct error error = {0};
	assert_true(parse(&recording, "#BEGIN slab size=8\na 1 12.0\nf 1\n>0t PF 12 0\na 2 12", &error));
	assert_true(recording.cut);
	assert_int_equal(recording.count, 1);
	assert_int_equal(recording.lines[0].kind, LINE_ALLOC);
	recording_release(&recording);
	/* A dump behind it shows that the last call was whole. */
	assert_true(parse(&recording, "#BEGIN slab size=8\nf 1\n@CHECK half\n@C o\n", &error));
	assert_int_equal(recording.count, 3);
	struct recording_dump dump = recording_dump_at(&recording, 1);
	assert_false(dump.whole);
	recording_release(&recording);
}

/* Would catch: a dump that takes in what stands behind it, or misses its end. */
static void dumps_have_their_lines(void **state)
{
	(void)state;
	struct recording recording;
	struct error error = {0};
	assert_true(parse(&recording,
	                  "#BEGIN slab size=8\n"
	                  "@STATE first what=c ts=1\n@C o_8 cpu_partial=1\n@END first ts=2\n"
	                  "@CHECK second\nk active=1\n@C o_8\n"
	                  "@CHECK third\n"
	                  "a 1 12.0\n"
	                  "#END slab lost=0\n",
	                  &error));
	struct recording_dump dump = recording_dump_at(&recording, 0);
	assert_true(dump.state && dump.whole && dump.count == 2);
	struct state_dump read;
	assert_true(recording_state(&recording, &dump, &read, &error));
	assert_string_equal(read.tag, "first");
	assert_int_equal(read.text_count, 1);
	assert_int_equal(read.texts[0].line, 3);
	state_dump_release(&read);
	dump = recording_dump_at(&recording, 3);
	assert_true(!dump.state && dump.whole && dump.count == 3);
	dump = recording_dump_at(&recording, 6);
	assert_true(dump.whole && dump.count == 1);
	assert_string_equal(recording.allocator, "slub");
	recording_release(&recording);
}

/* Would catch: a machine that is guessed where the recording tells it. */
static void the_machine_is_told_by_its_own_lines(void **state)
{
	(void)state;
	struct recording recording;
	struct error error = {0};
	assert_true(parse(&recording,
	                  "#BEGIN facts\n"
	                  "allocator=SLAB\n"
	                  "MAX_ORDER=11 NR_PCP_LISTS=14\n"
	                  "ARCH_SLAB_MINALIGN=8 cache_line_size=64 nr_cpu_ids=4 online=2 present=2 possible=4\n"
	                  "sizeof page=32 kmem_cache=132\n"
	                  "PAGE_OFFSET=c0000000 VMALLOC_START=f7bfe000\n"
	                  "#END facts\n"
	                  "#BEGIN kmap pkmap_base=ff400000\n"
	                  "@STATE s what=p ts=1\n"
	                  "@MEM totalram=1 max_pfn=1ffe0\n"
	                  "@ZONE 1 DMA32 nr_free=5 diff0=0 thr0=6 diff1=1 thr1=6 reserve=0\n"
	                  "@SL small\n"
	                  "@END s\n"
	                  "#END kmap lost=0\n",
	                  &error));
	const struct recording_facts *facts = &recording.facts;
	assert_string_equal(facts->allocator, "slab");
	assert_true(facts->cpus == 2 && facts->pcp_lists == 14 && facts->page_struct_bytes == 32 &&
	            facts->cache_line_bytes == 64);
	assert_int_equal(facts->page_offset, 0xc0000000);
	assert_int_equal(recording.end_pfn, 0x1ffe0);
	assert_int_equal(recording.cpus, 2);
	assert_true(recording.has_dma32);
	assert_string_equal(recording.allocator, "slob");
	recording_release(&recording);
}

static struct state_lines state_of(const char *text)
{
	struct state_lines lines;
	struct error error = {0};
	if (!state_lines_take(&lines, "test", xstrdup(text), NULL, false, &error))
		fail_msg("%s", error.text);
	return lines;
}

static uint64_t diff(const char *left, const char *right, char **said)
{
	struct state_lines a = state_of(left), b = state_of(right);
	size_t bytes;
	uint64_t compared;
	FILE *out = open_memstream(said, &bytes);
	assert_non_null(out);
	uint64_t different = state_diff(&a, &b, out, &compared);
	fclose(out);
	state_lines_release(&a);
	state_lines_release(&b);
	return different;
}

/* Would catch: lists held against lists of another cache, a place counted wrong, a difference in the order of lines. */
static void states_are_compared_list_by_list(void **state)
{
	(void)state;
	char *said;
	assert_int_equal(
	        diff("@STATE a what=p\n@FREE 1 0 0 : 12 14 18\n@PB 1 0 :0121\n@ZONE 1 DMA32 start=0 nr_free=3\n@END a\n",
	             "@STATE b what=p\n@ZONE 1 DMA32 start=0 nr_free=3\n@PB 1 0 :0121\n@FREE 1 0 0 : 12 14 18 \n@END b\n", &said),
	        0);
	assert_string_equal(said, "");
	free(said);
	assert_int_equal(diff("@STATE a what=p\n@FREE 1 0 0 : 12 14 18\n@FREE 1 1 0 : 20\n@PB 1 0 :0121\n@ZONE 1 D nr_free=3 "
	                      "wmin=1\n@END\n",
	                      "@STATE b what=p\n@FREE 1 0 0 : 12 16 18 20\n@FREE 1 2 0 : 40\n@PB 1 0 :0101\n@ZONE 1 D nr_free=4 "
	                      "wmin=1\n@END\n",
	                      &said),
	                 5);
	assert_string_equal(said, "@FREE 1 0 0: 3 against 4 items, the first that differs at place 1: 14 | 16\n"
	                          "@FREE 1 1 0: 1 against 0 items, the first that differs at place 0: 20 | (the list ends)\n"
	                          "@PB 1 0: 4 against 4 items, the first that differs at place 2: 2 | 0\n"
	                          "@ZONE 1 D: nr_free=3 | nr_free=4\n"
	                          "@FREE 1 2 0: 0 against 1 items, the first that differs at place 0: (the list ends) | 40\n");
	free(said);
	assert_int_equal(
	        diff("@STATE a what=c\n@C x objs=8\n@CC 0 { 1 2 } 12 1/8/1 [ 3 ]\n@C y objs=8\n@CC 0 { 1 } 13 1/8/1 [ ]\n@END\n",
	             "@STATE b what=c\n@C y objs=8\n@CC 0 { 1 } 13 1/8/1 [ ]\n@C x objs=8\n@CC 0 { 2 1 } 12 1/8/1 [ 3 ]\n@END\n",
	             &said),
	        1);
	assert_string_equal(said, "@C x @CC 0: 4 against 4 items, the first that differs at place 0: { 1 2 } | { 2 1 }\n");
	free(said);
}

/* Would catch: what a dump was not asked for taken as a difference. */
static void what_one_state_does_not_tell_is_passed_over(void **state)
{
	(void)state;
	char *said;
	assert_int_equal(diff("@STATE a what=pmc\n@FREE 1 0 0 : 12\n@MAP 0 : B1\n@C x objs=8\n@CN 12 1/8/0 [ 3 ]\n@END\n",
	                      "@STATE b what=p\n@FREE 1 0 0 : 12\n@END\n", &said),
	                 0);
	free(said);
}

/* Would catch: another state than the one asked for; a message that does not name the tags there are. */
static void tags_choose_a_state(void **state)
{
	(void)state;
	static const char text[] =
	        "@STATE one what=p\n@FREE 1 0 0 : 1\n@END one\nA 1\n@STATE two what=p\n@FREE 1 0 0 : 2\n@END two\n";
	struct state_lines lines;
	struct error error = {0};
	assert_true(state_lines_take(&lines, "test", xstrdup(text), "two", false, &error));
	assert_int_equal(lines.count, 1);
	assert_string_equal(lines.lines ? lines.tag : "", "two");
	state_lines_release(&lines);
	assert_false(state_lines_take(&lines, "test", xstrdup(text), NULL, false, &error));
	assert_non_null(strstr(error.text, "one, two"));
	error = (struct error){0};
	assert_false(state_lines_take(&lines, "test", xstrdup(text), "three", false, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	error = (struct error){0};
	assert_false(state_lines_take(&lines, "test", xstrdup("nothing"), NULL, true, &error));
	assert_int_equal(error.kind, ERROR_INPUT);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	free(path);
}

static void remove_file(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	remove(path);
	free(path);
}

/* Would catch: the first dump instead of the last, one without the letters asked for, one that was cut, what follows damage. */
static void the_last_dump_beside_is_found(void **state)
{
	(void)state;
	char folder[] = "/tmp/kmemsim-recording-XXXXXX";
	assert_non_null(mkdtemp(folder));
	struct recording recording = {.path = xasprintf("%s/recording.log", folder)};
	struct state_dump dump;
	assert_false(recording_dump_beside(&recording, "states", "p", &dump));
	state_dump_release(&dump);
	write_file(folder, "states",
	           "@STATE one what=pv ts=1\n@END one\nF 1\n@STATE two what=pv ts=1\n@END two\n@STATE three what=v ts=1\n@END "
	           "three\n"
	           "@STATE four what=pv ts=1\n");
	assert_true(recording_dump_beside(&recording, "states", "pv", &dump));
	assert_string_equal(dump.tag, "two");
	state_dump_release(&dump);
	assert_true(recording_dump_beside(&recording, "states", "v", &dump));
	assert_string_equal(dump.tag, "three");
	state_dump_release(&dump);
	assert_false(recording_dump_beside(&recording, "states", "c", &dump));
	state_dump_release(&dump);
	write_file(folder, "states",
	           "@STATE one what=p ts=1\n@END one\n@STATE two what=p ts=1\n@FREE x\n@END two\n@STATE three what=p ts=1\n@END "
	           "three\n");
	assert_true(recording_dump_beside(&recording, "states", "p", &dump));
	assert_string_equal(dump.tag, "one");
	state_dump_release(&dump);
	remove_file(folder, "states");
	remove(folder);
	free(recording.path);
}

/* Would catch: MiB taken for GiB, a size that no machine has, `-machine` taken for `-m`. */
static void memory_is_told_beside(void **state)
{
	(void)state;
	static const struct {
		const char *command;
		uint64_t bytes;
	} commands[] = {{"qemu -machine 7 -smp 1 -m 512M -nic none", 512ull << 20},
	                {"qemu -m 6G", 6ull << 30},
	                {"qemu -m 96 ", 96ull << 20},
	                {"qemu -m 9999999999G", 0},
	                {"qemu -smp 1", 0}};
	char folder[] = "/tmp/kmemsim-recording-XXXXXX";
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
		struct recording recording = {.path = xasprintf("%s/recording.log", folder)};
		write_file(folder, "qemu_cmdline", commands[i].command);
		recording_read_beside(&recording);
		assert_int_equal(recording.facts.memory_bytes, commands[i].bytes);
		recording_release(&recording);
	}
	remove_file(folder, "qemu_cmdline");
	remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines_are_taken_apart),
	        cmocka_unit_test(page_calls_are_taken_apart),
	        cmocka_unit_test(wrong_lines_are_told),
	        cmocka_unit_test(a_cut_recording_ends_before_its_last_call),
	        cmocka_unit_test(dumps_have_their_lines),
	        cmocka_unit_test(the_machine_is_told_by_its_own_lines),
	        cmocka_unit_test(states_are_compared_list_by_list),
	        cmocka_unit_test(what_one_state_does_not_tell_is_passed_over),
	        cmocka_unit_test(tags_choose_a_state),
	        cmocka_unit_test(the_last_dump_beside_is_found),
	        cmocka_unit_test(memory_is_told_beside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
