/* SPDX-License-Identifier: MIT
 *
 * test_core_code.c - code that paths fetch: what cold and warm lines cost, and which lines the kernel's tables have.
 *
 * A level answers in L1 = 4, L2 = 14, LLC = 44, memory in DRAM = 240; what a fetch waits for is what lies beyond the first.
 */
#include "tests/timing/timed_rig.h"

#include "models/kernel_code.h"
#include "models/page_allocator/memory_map.h"
#include "models/settings.h"
#include "sim/core.h"
#include "sim/layout.h"

#define TEXT 0xffffffff81000000u

/* One set each: four lines of code, eight in the second level, sixteen in the last. */
static const char *const levels[] = {"l1i size=256B ways=4 serves=code", "l1d size=256B ways=4 serves=data",
                                     "l2 size=512B ways=8", "llc size=1KiB ways=16 cores=all", NULL};

enum { NOTHING, THREE, FIVE, EIGHT, ODD, PIECES };
static const struct code_stretch three[] = {{0, 128}, {640, 64}}, five[] = {{4096, 320}}, eight[] = {{8192, 512}},
                                 odd[] = {{64, 64}, {128, 64}};
static const struct code_piece pieces[PIECES] = {
        [THREE] = {three, 2}, [FIVE] = {five, 1}, [EIGHT] = {eight, 1}, [ODD] = {odd, 2}};
static const struct code_image image = {.text = TEXT, .pieces = pieces, .count = PIECES};

struct code_rig {
	struct machine_rig memory;
	struct machine machine;
	struct steps steps;
};

static void rig_init(struct code_rig *rig, uint32_t line_bytes)
{
	static const struct core_config core = {.instructions_per_cycle = 4, .misses_in_flight = 1};
	machine_rig_settings(&rig->memory, 1, levels);
	assert_true(machine_rig_make(&rig->memory, "timed", NULL));
	machine_init(&rig->machine,
	             &(struct machine_wiring){
	                     .cpus = 1, .line_bytes = line_bytes, .core = core, .memory = rig->memory.memory, .code = &image});
	steps_init(&rig->steps, true);
	rig->steps.runs = STEP_RUN;
}

static void rig_release(struct code_rig *rig)
{
	machine_check(&rig->machine);
	steps_release(&rig->steps);
	machine_release(&rig->machine);
	machine_rig_release(&rig->memory);
}

/* Cycles that the steps recorded so far take. */
static cycle run(struct code_rig *rig)
{
	const struct core *core = &rig->machine.cores[0];
	uint64_t before = core->counters.busy_cycles;
	core_push(&rig->machine, 0, &(struct job_about){.kind = JOB_OBJECT_ALLOC, .call_site = NO_CALL_SITE}, &rig->steps);
	steps_clear(&rig->steps);
	machine_drain(&rig->machine);
	return core->counters.busy_cycles - before;
}

static cycle run_piece(struct code_rig *rig, uint32_t code, uint32_t instructions)
{
	step_run(&rig->steps, code, instructions);
	return run(rig);
}

/*
 * Three cold lines come from memory, 236 cycles each, and eight instructions take two; run again they take the two. Would catch:
 * a hit that is waited for, the first level's cycles counted twice, a line left out or fetched twice, instructions forgotten.
 */
static void cold_lines_cost_their_level_and_warm_ones_nothing(void **state)
{
	(void)state;
	struct code_rig rig;
	rig_init(&rig, 64);
	assert_int_equal(run_piece(&rig, THREE, 8), 3 * (DRAM - L1) + 2);
	assert_int_equal(run_piece(&rig, THREE, 8), 2);
	const struct core_counters *counters = &rig.machine.cores[0].counters;
	assert_int_equal(counters->code_lines, 6);
	assert_int_equal(counters->code_stalls, 3);
	assert_int_equal(counters->code_cycles, 3 * (DRAM - L1));
	assert_int_equal(counters->cost.cycles[COST_COMPUTE], 4);
	assert_int_equal(counters->cost.cycles[COST_L1], 0);
	assert_int_equal(counters->cost.cycles[COST_L2], 3 * (L2 - L1));
	assert_int_equal(counters->cost.cycles[COST_LLC], 3 * (LLC - L2));
	assert_int_equal(counters->cost.cycles[COST_DRAM], 3 * (DRAM - LLC));
	rig_release(&rig);
}

/*
 * Five other lines drive three out of the four of the first level, not out of the second (8 lines); eight more out of that, not
 * out of the last (16): LRU, one set each. Would catch: code that data's first level serves, a level that fetches pass by.
 */
static void other_code_drives_a_path_out(void **state)
{
	(void)state;
	struct code_rig rig;
	rig_init(&rig, 64);
	run_piece(&rig, THREE, 4);
	assert_int_equal(run_piece(&rig, FIVE, 4), 5 * (DRAM - L1) + 1);
	assert_int_equal(run_piece(&rig, THREE, 4), 3 * (L2 - L1) + 1);
	run_piece(&rig, EIGHT, 4);
	assert_int_equal(run_piece(&rig, THREE, 4), 3 * (LLC - L1) + 1);
	rig_release(&rig);
}

/* The line is fetched before what the piece does, and data keep their own first level. Would catch: code in place of data. */
static void data_are_as_without_code(void **state)
{
	(void)state;
	struct code_rig rig;
	rig_init(&rig, 64);
	step_read(&rig.steps, vaddr_of(0x1000), 8);
	assert_int_equal(run(&rig), DRAM);
	run_piece(&rig, FIVE, 4);
	step_run(&rig.steps, FIVE, 4);
	step_read(&rig.steps, vaddr_of(0x1000), 8);
	/* One set of four and five lines in turn: each is gone when it is needed, and in the second level. */
	assert_int_equal(run(&rig), 5 * (L2 - L1) + 1 + L1);
	assert_int_equal(rig.machine.measured[JOB_LINES][JOB_OBJECT_ALLOC].max, 1);
	rig_release(&rig);
}

/* Recorded without code a piece is instructions alone. Would catch: a setting that is off and fetches. */
static void instructions_alone_fetch_nothing(void **state)
{
	(void)state;
	struct code_rig rig;
	rig_init(&rig, 64);
	rig.steps.runs = STEP_SPEND;
	assert_int_equal(run_piece(&rig, THREE, 8), 2);
	assert_int_equal(rig.machine.cores[0].counters.code_lines, 0);
	step_run(&rig.steps, THREE, 0);
	assert_int_equal(rig.steps.count, 0);
	rig_release(&rig);
}

/*
 * Bytes 64 to 191 of the image are two lines of 64, two of 128 and four of 32. Would catch: lines of another size taken for 64
 * bytes, a line of two stretches fetched twice where they meet.
 */
static void lines_of_another_size(void **state)
{
	(void)state;
	static const struct {
		uint32_t line_bytes, lines;
	} cases[] = {{64, 2}, {128, 2}, {32, 4}, {256, 1}};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct code_rig rig;
		rig_init(&rig, cases[i].line_bytes);
		run_piece(&rig, ODD, 1);
		assert_int_equal(rig.machine.cores[0].counters.code_lines, cases[i].lines);
		rig_release(&rig);
	}
}

/* Would catch: a table made of the wrong lines or cut off, a line twice in a piece, code where the image has none. */
static void the_table_is_lines_of_an_image(void **state)
{
	(void)state;
	for (unsigned code = 0; code < KERNEL_CODES; code++) {
		const struct code_piece *piece = &kernel_code_pieces[code];
		for (uint32_t i = 0; i < piece->count; i++) {
			const struct code_stretch *at = &piece->at[i];
			assert_int_equal(at->offset % CODE_LINE, 0);
			assert_int_equal(at->bytes % CODE_LINE, 0);
			assert_true(at->bytes > 0 && at->offset + at->bytes <= 16u << 20);
			for (uint32_t other = 0; other < i; other++)
				assert_true(piece->at[other].offset + piece->at[other].bytes <= at->offset ||
				            at->offset + at->bytes <= piece->at[other].offset);
		}
	}
}

/*
 * Functions begin where Debian's 6.1.0-56 has them (its /proc/kallsyms, nokaslr): a path begins with the line of its entry. Would
 * catch: offsets from another symbol than _text, pieces that took each other's lines.
 */
static void a_path_begins_at_its_entry(void **state)
{
	(void)state;
	static const struct {
		enum kernel_code code;
		uint64_t entry;
	} cases[] = {{CODE_SLUB_ALLOC, 0xffffffff8132bb10},     {CODE_SLUB_FREE, 0xffffffff8132d290},
	             {CODE_KMALLOC, 0xffffffff812b9660},        {CODE_SLUB_KFREE, 0xffffffff812b8f60},
	             {CODE_PAGE_ALLOC, 0xffffffff812f9230},     {CODE_PAGE_FREE, 0xffffffff812f6130},
	             {CODE_FAULT, 0xffffffff81a48560},          {CODE_VMALLOC_AREA, 0xffffffff812f0730},
	             {CODE_FAULT_ENTRY, 0xffffffff81c00be0},    {CODE_FAULT_SWAP, 0xffffffff812cd970},
	             {CODE_TABLE_MAKE, 0xffffffff812ca9b0},     {CODE_FORK, 0xffffffff81c00080},
	             {CODE_CONTEXT_SWITCH, 0xffffffff81a523d0}, {CODE_DIRECT_RECLAIM, 0xffffffff812a4bc0},
	             {CODE_RECLAIM_UNMAP, 0xffffffff812e98e0},  {CODE_SWAP_ADD, 0xffffffff81302320},
	             {CODE_PAGEOUT, 0xffffffff81298f10}};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(kernel_code_pieces[cases[i].code].count > 0);
		assert_int_equal(TEXT + kernel_code_pieces[cases[i].code].at[0].offset, cases[i].entry / CODE_LINE * CODE_LINE);
	}
}

/* Where the text lies, and what the caller's code is. Would catch: a text without its offset, bytes in place of lines. */
static void the_image_lies_in_the_kernels_text(void **state)
{
	(void)state;
	struct settings settings;
	struct layout layout;
	struct kernel_code_image code;
	settings_init(&settings);
	layout_init(&layout, 64);
	assert_null(kernel_code_init(&code, &settings, &layout));
	settings.cost.code_fetch = true;
	const struct code_image *made = kernel_code_init(&code, &settings, &layout);
	assert_int_equal(made->text, TEXT); /* _text of every kernel for amd64 without KASLR */
	assert_int_equal(layout_region(&layout, made->text), REGION_TEXT);
	assert_int_equal(code_piece_lines(&made->pieces[CODE_CALLER]), 0);
	settings.cost.code_fetch = false;
	settings.cost.caller_code = 1000;
	made = kernel_code_init(&code, &settings, &layout);
	assert_int_equal(code_piece_lines(&made->pieces[CODE_CALLER]), 16);
	settings_release(&settings);
}

/* Lines of the table in frames that the machine's kernel gives away, and how many frames these are. */
static unsigned lines_given_away(const struct settings *settings, unsigned *frames)
{
	struct memory_map map;
	struct error error = {0};
	static uint8_t seen[(16u << 20) / CODE_LINE];
	unsigned lines = 0;
	uint32_t last = UINT32_MAX;
	memset(seen, 0, sizeof seen);
	*frames = 0;
	assert_true(memory_map_describe(&map, settings, 1, &error));
	for (unsigned code = 0; code < KERNEL_CODES; code++)
		for (uint32_t i = 0; i < kernel_code_pieces[code].count; i++) {
			const struct code_stretch *at = &kernel_code_pieces[code].at[i];
			memset(seen + at->offset / CODE_LINE, 1, at->bytes / CODE_LINE);
		}
	for (uint32_t line = 0; line < sizeof seen; line++) {
		uint32_t frame = map.image_pfn + line / (PAGE_SIZE / CODE_LINE);
		if (!seen[line] || kept_in(&map, (struct range){frame, frame + 1}))
			continue;
		lines++;
		*frames += frame != last;
		last = frame;
	}
	return lines;
}

/*
 * What docs/models.md says of lines that may share one with a page of data: the frames of the recorded image are 0 to 600, 800 to
 * 99f, a00 to c0c and cce to e05, those of kernel.reserved as many at a stretch. Would catch: another table or image, and the
 * sentence forgotten.
 */
static void few_lines_lie_in_frames_of_data(void **state)
{
	(void)state;
	struct settings settings;
	unsigned frames;
	settings_init(&settings);
	settings.machine.memory_bytes = (uint64_t)512 << 20;
	assert_int_equal(lines_given_away(&settings, &frames), 551);
	assert_int_equal(frames, 34);
	settings.kernel.reserved_bytes = (uint64_t)32 << 20;
	assert_int_equal(lines_given_away(&settings, &frames), 24);
	assert_int_equal(frames, 3);
	settings_release(&settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(cold_lines_cost_their_level_and_warm_ones_nothing),
	        cmocka_unit_test(other_code_drives_a_path_out),
	        cmocka_unit_test(data_are_as_without_code),
	        cmocka_unit_test(instructions_alone_fetch_nothing),
	        cmocka_unit_test(lines_of_another_size),
	        cmocka_unit_test(the_table_is_lines_of_an_image),
	        cmocka_unit_test(a_path_begins_at_its_entry),
	        cmocka_unit_test(the_image_lies_in_the_kernels_text),
	        cmocka_unit_test(few_lines_lie_in_frames_of_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
