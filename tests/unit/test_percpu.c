/* SPDX-License-Identifier: MIT
 *
 * test_percpu.c - the plan of the first chunk of per-CPU data, against lines of published and recorded boot logs, and where the
 * layout puts its units and further chunks. Each test names the mistake it would catch.
 */
#include "sim/layout.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024ull * 1024)

/* Nodes of CPUs, one digit a CPU; NULL: all on one. */
struct boot_log {
	const char *source;
	bool is_64bit;
	uint32_t static_bytes, dynamic_bytes; /* 0: what Linux 6.1 asks for */
	unsigned cpus;
	const char *nodes;
	const char *lines; /* or the first of them, where only that was published */
};

/* Lines that kernels printed. Those before 3.15 asked for 20 KiB of dynamic data on 64 bits. */
static const struct boot_log logs[] = {
        {"Debian 12, 6.1.0-28-amd64, 8 CPUs", true, 212992, 0, 8, NULL,
         "percpu: Embedded 61 pages/cpu s212992 r8192 d28672 u262144\n"
         "pcpu-alloc: s212992 r8192 d28672 u262144 alloc=1*2097152\n"
         "pcpu-alloc: [0] 0 1 2 3 4 5 6 7 \n"},
        {"Debian 11, 5.10.0-11-amd64, 24 CPUs on 2 nodes", true, 200536, 0, 24, "000000111111010101010101",
         "percpu: Embedded 58 pages/cpu s200536 r8192 d28840 u262144\n"
         "pcpu-alloc: s200536 r8192 d28840 u262144 alloc=1*2097152\n"
         "pcpu-alloc: [0] 00 01 02 03 04 05 12 14 [0] 16 18 20 22 -- -- -- -- \n"
         "pcpu-alloc: [1] 06 07 08 09 10 11 13 15 [1] 17 19 21 23 -- -- -- -- \n"},
        {"Ubuntu, 5.15.0-1041-azure, 2 CPUs", true, 204800, 0, 2, NULL,
         "percpu: Embedded 59 pages/cpu s204800 r8192 d28672 u1048576\n"
         "pcpu-alloc: s204800 r8192 d28672 u1048576 alloc=1*2097152\n"
         "pcpu-alloc: [0] 0 1 \n"},
        {"linux-next 20220831, 4 CPUs on 2 of 4 nodes", true, 274432, 0, 4, "0011",
         "percpu: Embedded 76 pages/cpu s274432 r8192 d28672 u1048576\n"
         "pcpu-alloc: s274432 r8192 d28672 u1048576 alloc=1*2097152\n"
         "pcpu-alloc: [0] 0 1 [1] 2 3 \n"},
        {"3.14-rc6, 80 CPUs on 4 nodes", true, 81088, 20480, 80,
         "01230123012301230123012301230123012301230123012301230123012301230123012301230123",
         "percpu: Embedded 27 pages/cpu s81088 r8192 d21312 u262144\n"
         "pcpu-alloc: s81088 r8192 d21312 u262144 alloc=1*2097152\n"
         "pcpu-alloc: [0] 00 04 08 12 16 20 24 28 [0] 32 36 40 44 48 52 56 60 \n"
         "pcpu-alloc: [0] 64 68 72 76 -- -- -- -- [1] 01 05 09 13 17 21 25 29 \n"
         "pcpu-alloc: [1] 33 37 41 45 49 53 57 61 [1] 65 69 73 77 -- -- -- -- \n"
         "pcpu-alloc: [2] 02 06 10 14 18 22 26 30 [2] 34 38 42 46 50 54 58 62 \n"
         "pcpu-alloc: [2] 66 70 74 78 -- -- -- -- [3] 03 07 11 15 19 23 27 31 \n"
         "pcpu-alloc: [3] 35 39 43 47 51 55 59 63 [3] 67 71 75 79 -- -- -- -- \n"},
        {"2.6.32 of RHEL 6, 64 CPUs on 2 nodes", true, 79616, 20480, 64,
         "0011010101010101010101010101010101010101010101010101010101010101",
         "percpu: Embedded 27 pages/cpu s79616 r8192 d22784 u131072\n"
         "pcpu-alloc: s79616 r8192 d22784 u131072 alloc=1*2097152\n"
         "pcpu-alloc: [0] 00 01 04 06 08 10 12 14 16 18 20 22 24 26 28 30 \n"
         "pcpu-alloc: [0] 32 34 36 38 40 42 44 46 48 50 52 54 56 58 60 62 \n"
         "pcpu-alloc: [1] 02 03 05 07 09 11 13 15 17 19 21 23 25 27 29 31 \n"
         "pcpu-alloc: [1] 33 35 37 39 41 43 45 47 49 51 53 55 57 59 61 63 \n"},
        {"Ubuntu, 3.11.0-12-generic for i386, 4 CPUs", false, 36288, 20480, 4, NULL,
         "percpu: Embedded 14 pages/cpu s36288 r0 d21056 u57344\n"
         "pcpu-alloc: s36288 r0 d21056 u57344 alloc=14*4096\n"
         "pcpu-alloc: [0] 0 [0] 1 [0] 2 [0] 3 \n"},
        {"recorded 6.1.192 for i386, 1 CPU", false, 86188, 0, 1, NULL,
         "percpu: Embedded 29 pages/cpu s86188 r0 d32596 u118784\n"
         "pcpu-alloc: s86188 r0 d32596 u118784 alloc=29*4096\n"
         "pcpu-alloc: [0] 0 \n"},
        {"recorded 6.1.192, 1 CPU", true, 165824, 0, 1, NULL,
         "percpu: Embedded 50 pages/cpu s165824 r8192 d30784 u2097152\n"
         "pcpu-alloc: s165824 r8192 d30784 u2097152 alloc=1*2097152\n"
         "pcpu-alloc: [0] 0 \n"},
        {"5.2.0-rc7, percpu_alloc=page, 8 CPUs on 4 nodes", true, 208152, 0, 8, "00112233",
         "percpu: 56 4K pages/cpu s208152 r8192 d13032\n"},
        {"a 3.x of 8 nodes that fell back to pages", true, 107200, 0, 128, NULL,
         "percpu: 32 4K pages/cpu s107200 r8192 d15680\n"},
        {"3.7-rc7 for i386 on 2 nodes, 8 CPUs", false, 30592, 0, 8, NULL, "percpu: 11 4K pages/cpu s30592 r0 d14464\n"},
        {"its second kind of line, by hand (pcpu_dump_alloc_info())", false, 30592, 0, 2, NULL,
         "percpu: 11 4K pages/cpu s30592 r0 d14464\n"
         "pcpu-alloc: s30592 r0 d14464 u45056 alloc=11*4096\n"
         "pcpu-alloc: [0] 0 [0] 1 \n"},
};

static void plan(struct percpu_chunk *chunk, const struct boot_log *log)
{
	struct percpu_sizes sizes = strstr(log->lines, " 4K pages/cpu") ? percpu_sizes_by_pages(log->is_64bit, log->static_bytes)
	                                                                : percpu_sizes_x86(log->is_64bit, log->static_bytes);
	uint8_t node_of_cpu[CPUS_MAX] = {0};
	for (unsigned cpu = 0; log->nodes && cpu < log->cpus; cpu++)
		node_of_cpu[cpu] = (uint8_t)(log->nodes[cpu] - '0');
	if (log->dynamic_bytes)
		sizes.dynamic_bytes = log->dynamic_bytes;
	percpu_plan(chunk, &sizes, log->cpus, log->nodes ? node_of_cpu : NULL);
}

/* Would catch: dynamic data that does not grow to its page, units that waste too much or too little, CPUs of two nodes in one
 * group. */
static void the_plan_is_what_kernels_print(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
		struct percpu_chunk chunk;
		char *text = NULL;
		size_t length;
		plan(&chunk, &logs[i]);
		FILE *out = open_memstream(&text, &length);
		percpu_print(&chunk, out);
		fclose(out);
		if (strncmp(text, logs[i].lines, strlen(logs[i].lines)) != 0)
			fail_msg("%s:\n%s", logs[i].source, text);
		free(text);
	}
}

/*
 * A machine of 2 nodes whose groups lie 40 GiB from each other: further chunks keep that distance, and the upper group of the
 * first of them ends where a published /proc/vmallocinfo has it ("0xffffe8ffffc00000-0xffffe8ffffe00000 2097152
 * pcpu_get_vm_areas"; that machine's lower group: 0xffffe8ff5fc00000, 2.5 GiB below). Would catch: chunks that overlap, units of
 * a group that moved.
 */
static void further_chunks_end_where_vmalloc_does(void **state)
{
	(void)state;
	const struct boot_log log = {"", true, 212992, 0, 4, "0011", ""};
	const uint64_t distance = 0xa0000000; /* 0xffffe8ffffc00000 - 0xffffe8ff5fc00000 */
	struct percpu_chunk chunk;
	struct layout layout;
	plan(&chunk, &log);
	layout_init(&layout, 64);
	layout_place_per_cpu(&layout,
	                     &(struct layout_places){.per_cpu = &chunk, .per_cpu_group = {4096 * MIB, 4096 * MIB + distance}});
	assert_int_equal(layout.per_cpu, 0xffff888000000000u + 4096 * MIB);
	uint64_t first = layout_per_cpu_alloc(&layout, 28672, 64); /* all of the first chunk's */
	assert_int_equal(layout_per_cpu(&layout, first, 0).addr, layout.per_cpu + 212992 + 8192);
	assert_int_equal(layout_per_cpu(&layout, first, 3).addr, layout.per_cpu + distance + MIB + 212992 + 8192);
	assert_int_equal(layout_per_cpu_chunks(&layout), 1);
	assert_false(layout_is_per_cpu_chunk(&layout, 0xffffe8ffffc00000u));
	uint64_t second = layout_per_cpu_alloc(&layout, 64, 16);
	assert_int_equal(layout_per_cpu_chunks(&layout), 2);
	assert_int_equal(layout_per_cpu(&layout, second, 0).addr, 0xffffe8ff5fc00000u);
	assert_int_equal(layout_per_cpu(&layout, second, 1).addr, 0xffffe8ff5fc00000u + MIB);
	assert_int_equal(layout_per_cpu(&layout, second, 2).addr, 0xffffe8ffffc00000u);
	assert_true(layout_is_per_cpu_chunk(&layout, 0xffffe8ffffdfffffu));
	assert_false(layout_is_per_cpu_chunk(&layout, 0xffffe8ffffe00000u));
	layout_per_cpu_alloc(&layout, (uint32_t)MIB - 64, 64); /* the rest of the second */
	uint64_t third = layout_per_cpu_alloc(&layout, 8, 8);
	assert_int_equal(layout_per_cpu(&layout, third, 2).addr, 0xffffe8ffffa00000u);
	layout_release(&layout);
}

/*
 * Per-CPU data is at the alignment that was asked for, static data on lines of its own; the rest of a unit is not per-CPU data.
 * Would catch: two CPUs' data in one unit, a region that counts memory given back.
 */
static void units_lie_in_the_direct_map(void **state)
{
	(void)state;
	struct percpu_chunk chunk;
	struct layout layout;
	plan(&chunk, &logs[0]);
	layout_init(&layout, 64);
	layout_place_per_cpu(&layout, &(struct layout_places){.per_cpu = &chunk, .per_cpu_group = {512 * MIB}});
	const uint64_t base = 0xffff888020000000u;
	uint64_t word = layout_per_cpu_alloc(&layout, 4, 4), slab = layout_per_cpu_alloc(&layout, 32, 16);
	uint64_t next = layout_per_cpu_alloc(&layout, 32, 16), lists = layout_per_cpu_alloc(&layout, 256, 64);
	assert_int_equal(word, 212992 + 8192);
	assert_int_equal(slab, word + 16);
	assert_int_equal(next, slab + 32);
	assert_int_equal(lists % 64, 0);
	assert_int_equal(layout_per_cpu_static(&layout, 8) % 64, 0);
	assert_int_equal(layout_per_cpu(&layout, word, 7).addr, base + 7 * 262144 + word);
	assert_int_equal(layout_region(&layout, base), REGION_PER_CPU);
	assert_int_equal(layout_region(&layout, base + 61 * 4096 - 1), REGION_PER_CPU);
	assert_int_equal(layout_region(&layout, base + 61 * 4096), REGION_DIRECT_MAP);
	assert_int_equal(layout_region(&layout, base + 7 * 262144), REGION_PER_CPU);
	assert_int_equal(layout_region(&layout, base + 8 * 262144), REGION_DIRECT_MAP);
	assert_int_equal(layout_region(&layout, base - 1), REGION_DIRECT_MAP);
	layout_release(&layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_plan_is_what_kernels_print),
	        cmocka_unit_test(further_chunks_end_where_vmalloc_does),
	        cmocka_unit_test(units_lie_in_the_direct_map),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
