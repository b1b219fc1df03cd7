/* SPDX-License-Identifier: MIT
 *
 * test_slub_geometry.c - sizes, offsets and orders that SLUB gives its caches, against what real kernels chose (tests/data/slub:
 * its README says where each number comes from) and against laws that hold for every size.
 */
#include "tests/unit/test.h"

#include "models/object_allocator/slub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA "tests/data/slub/"

static struct slub_config config_with(uint32_t cpus)
{
	return (struct slub_config){
	        .cpus = cpus, .pointer_bytes = 8, .cache_line_bytes = 64, .max_order = 3, .cpu_partial = true};
}

/* Catches any step of calculate_order() that is off: waste limits, minimum of objects by CPUs, falling back to fewer. */
static void published_table_of_166_caches(void **state)
{
	(void)state;
	FILE *in = fopen(DATA "slub-geometry-linux-5.15-16cpu.tsv", "r");
	assert_non_null(in);
	struct slub_config config = config_with(16);
	char line[256], name[64];
	unsigned rows = 0, size, objects, pages;
	while (fgets(line, sizeof line, in)) {
		if (sscanf(line, "%63s %u %u %u", name, &size, &objects, &pages) != 4)
			continue;
		uint32_t order = slub_calculate_order(&config, size);
		if (1u << order != pages || (4096u << order) / size != objects)
			fail_msg("%s: size %u: order %u, expected %u objects in %u pages", name, size, order, objects, pages);
		rows++;
	}
	fclose(in);
	assert_int_equal(rows, 166);
}

/* mm/slab_common.c: calculate_alignment(). Catches a small object on a whole cache line, or less than it asks for. */
static void alignment_to_cache_lines(void **state)
{
	(void)state;
	static const struct {
		uint32_t size, align;
	} cases[] = {{1, 8}, {8, 8}, {9, 16}, {16, 16}, {17, 32}, {32, 32}, {33, 64}, {64, 64}, {1000, 64}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(calculate_alignment(SLAB_HWCACHE_ALIGN, 0, cases[i].size, 64, 8), cases[i].align);
		assert_int_equal(calculate_alignment(SLAB_HWCACHE_ALIGN, 128, cases[i].size, 64, 8), 128);
		assert_int_equal(calculate_alignment(0, 0, cases[i].size, 64, 8), 8);
		assert_int_equal(calculate_alignment(0, 4, cases[i].size, 64, 4), 8);
	}
	assert_int_equal(calculate_alignment(SLAB_HWCACHE_ALIGN, 0, 40, 128, 8), 64);
}

struct row {
	unsigned bits, cpus;
	char option[32], name[64];
	struct slub_geometry g;
	unsigned ctor;
};

static bool row_read(struct row *row, const char *line)
{
	struct slub_geometry *g = &row->g;
	*row = (struct row){0};
	return sscanf(line, "%u,%u,%31[^,],%63[^,],%u,%u,%u,%u,%u,%x,%u,%u,%u,%u,%u,%u,%u,%x,%u", &row->bits, &row->cpus,
	              row->option, row->name, &g->object_size, &g->size, &g->inuse, &g->align, &g->offset, &g->flags, &g->order,
	              &g->objects, &g->min_order, &g->min_objects, &g->min_partial, &g->cpu_partial, &g->cpu_partial_slabs,
	              &g->allocflags, &row->ctor) == 19;
}

static struct slub_config config_of_row(const struct row *row)
{
	struct slub_config config = config_with(row->cpus);
	config.pointer_bytes = row->bits / 8;
	if (strcmp(row->option, "slub_max_order=0") == 0)
		config.max_order = 0;
	if (strcmp(row->option, "slub_min_objects=32") == 0)
		config.min_objects = 32;
	if (strcmp(row->option, "slub_debug=FZPU") == 0)
		assert_true(slub_debug_parse(&config, "FZPU", NULL));
	return config;
}

/* Catches a wrong place of the free pointer, padding, debug bytes, limits of the lists or allocation flags. */
static void every_cache_of_recorded_kernels(void **state)
{
	(void)state;
	FILE *in = fopen(DATA "caches-linux-6.1.csv", "r");
	assert_non_null(in);
	char line[512];
	unsigned rows = 0;
	while (fgets(line, sizeof line, in)) {
		struct row row;
		if (!row_read(&row, line))
			continue;
		struct slub_config config = config_of_row(&row);
		/* What SLUB adds itself is taken out of the flags and must come back. */
		uint32_t flags = row.g.flags & ~(SLUB_OBJECT_POISON | SLUB_CMPXCHG_DOUBLE | config.debug_flags);
		struct slub_geometry got;
		flags = slub_cache_flags(&config, flags, row.name);
		assert_true(slub_geometry_calculate(&got, &config, row.g.object_size, row.g.align, flags, row.ctor));
		row.g.red_left_pad = got.red_left_pad; /* not recorded; it is part of size */
		if (memcmp(&got, &row.g, sizeof got) != 0)
			fail_msg("%s (%s, %u CPUs, %u bit): size %u inuse %u offset %u flags %x order %u objects %u min %u/%u "
			         "partial %u %u %u alloc %x",
			         row.name, row.option, row.cpus, row.bits, got.size, got.inuse, got.offset, got.flags, got.order,
			         got.objects, got.min_order, got.min_objects, got.min_partial, got.cpu_partial,
			         got.cpu_partial_slabs, got.allocflags);
		rows++;
	}
	fclose(in);
	assert_int_equal(rows, 600);
}

static void check_laws(const struct slub_config *config, uint32_t object_size, uint32_t align, uint32_t flags)
{
	struct slub_geometry g;
	uint32_t real_align = calculate_alignment(flags, align, object_size, 64, 8);
	assert_true(slub_geometry_calculate(&g, config, object_size, real_align, flags, false));
	assert_int_equal(g.size % real_align, 0);
	assert_true(g.size >= object_size && g.inuse >= object_size && g.inuse <= g.size);
	assert_int_equal(g.offset % 8, 0);
	assert_true(g.offset + 8 <= g.size);
	assert_int_equal(g.objects, (4096u << g.order) / g.size);
	assert_int_equal(g.min_objects, (4096u << g.min_order) / g.size);
	assert_true(g.objects >= 1 && g.min_objects >= 1 && g.min_order <= g.order);
	assert_true(g.order <= 3 || g.order == g.min_order);
	/* More than a quarter is wasted only where a slab of the highest order holds a single object. */
	assert_true((4096u << g.order) % g.size <= (1024u << g.order) || (4096u << 3) / g.size <= 1);
	assert_true(g.min_partial >= 5 && g.min_partial <= 10);
	/* The CPU's share of slabs holds twice its share of objects, and not a slab more. */
	assert_true(g.cpu_partial_slabs * g.objects >= 2 * g.cpu_partial);
	assert_true((g.cpu_partial_slabs - 1) * g.objects < 2 * g.cpu_partial);
}

/* Catches geometry that no slab could have, for any size, alignment and number of CPUs. */
static void laws_for_every_size(void **state)
{
	(void)state;
	for (uint32_t cpus = 1; cpus <= CPUS_MAX; cpus = cpus < 4 ? cpus + 1 : 2 * cpus) {
		struct slub_config config = config_with(cpus);
		for (uint32_t size = 1; size <= 8200; size++) {
			check_laws(&config, size, 0, 0);
			check_laws(&config, size, 0, SLAB_HWCACHE_ALIGN);
			check_laws(&config, size, 1u << (size % 13), SLAB_TYPESAFE_BY_RCU);
		}
	}
}

/* Catches min_partial that is not log2(size)/2 within 5..10: 2^12 is the first size with 6 (mm/slub.c: kmem_cache_open). */
static void min_partial_by_size(void **state)
{
	(void)state;
	struct slub_config config = config_with(1);
	static const struct {
		uint32_t size, min_partial;
	} cases[] = {{8, 5}, {2048, 5}, {4088, 5}, {4096, 6}, {16384, 7}, {1u << 20, 10}, {1u << 22, 10}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slub_geometry g;
		assert_true(slub_geometry_calculate(&g, &config, cases[i].size, 8, 0, false));
		assert_int_equal(g.min_partial, cases[i].min_partial);
	}
}

/* Catches the bounds of set_cpu_partial(): 120 below 256 bytes, 52 below 1 KiB, 24 below a page, 6 from there on. */
static void cpu_partial_by_size(void **state)
{
	(void)state;
	struct slub_config config = config_with(1);
	static const struct {
		uint32_t size, objects;
	} cases[] = {{248, 120}, {256, 52}, {1016, 52}, {1024, 24}, {4088, 24}, {4096, 6}, {100000, 6}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slub_geometry g;
		assert_true(slub_geometry_calculate(&g, &config, cases[i].size, 8, 0, false));
		assert_int_equal(g.cpu_partial, cases[i].objects);
	}
	config.cpu_partial = false;
	struct slub_geometry g;
	assert_true(slub_geometry_calculate(&g, &config, 64, 8, 0, false));
	assert_int_equal(g.cpu_partial + g.cpu_partial_slabs, 0);
}

/* Catches orders beyond the machine's, division by nothing, and a size that overflows. */
static void what_the_kernel_refuses(void **state)
{
	(void)state;
	struct slub_config config = config_with(1);
	struct slub_geometry g;
	assert_false(slub_geometry_calculate(&g, &config, 0, 8, 0, false));
	assert_false(slub_geometry_calculate(&g, &config, (1u << 22) + 1, 8, 0, false));
	assert_false(slub_geometry_calculate(&g, &config, 1u << 22, 8, SLAB_RED_ZONE, false));
	assert_false(slub_geometry_calculate(&g, &config, UINT32_MAX, 8, 0, false));
	assert_true(slub_geometry_calculate(&g, &config, 1u << 22, 8, 0, false));
	assert_int_equal(g.order, 10);
	config.min_order = 11;
	assert_false(slub_geometry_calculate(&g, &config, 64, 8, 0, false));
	config.min_order = 5; /* above max_order: the kernel still takes it */
	assert_true(slub_geometry_calculate(&g, &config, 64, 8, 0, false));
	assert_int_equal(g.order, 5);
	config.min_order = 10; /* 4 MiB hold more 8-byte objects than the kernel can count: the order is the highest that fits */
	assert_true(slub_geometry_calculate(&g, &config, 8, 8, 0, false));
	assert_int_equal(g.order, 5);
	assert_true(g.objects <= 32767);
}

/* Catches a stack trace kept for caches of the leak detector, and debugging forced on a cache that must not have it. */
static void debugging_by_boot_option(void **state)
{
	(void)state;
	struct slub_config config = config_with(1);
	assert_true(slub_debug_parse(&config, "PU", NULL));
	assert_int_equal(slub_cache_flags(&config, 0, "any"), SLAB_POISON | SLAB_STORE_USER);
	assert_int_equal(slub_cache_flags(&config, SLAB_NOLEAKTRACE, "any"), SLAB_NOLEAKTRACE | SLAB_POISON);
	assert_int_equal(slub_cache_flags(&config, SLAB_NO_USER_FLAGS, "any"), SLAB_NO_USER_FLAGS);
	assert_true(slub_debug_parse(&config, NULL, NULL));
	assert_int_equal(slub_cache_flags(&config, 0, "any"), 0);
}

static uint32_t flags_under(const char *text, const char *name)
{
	struct slub_config config = config_with(1);
	struct error error = {0};
	if (!slub_debug_parse(&config, text, &error))
		fail_msg("%s: %s", text, error.text);
	return slub_cache_flags(&config, 0, name);
}

/* kmem_cache_flags(), by its source. Catches a block that reaches other caches, or adds to the general one. */
static void debugging_of_named_caches(void **state)
{
	(void)state;
	const uint32_t all = SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER;
	assert_int_equal(flags_under(",dentry", "dentry"), all);
	assert_int_equal(flags_under(",dentry", "dentry2"), 0);
	assert_int_equal(flags_under(",dentry", "dent"), 0);
	assert_int_equal(flags_under("P,kmalloc-*,dentry", "kmalloc-64"), SLAB_POISON);
	assert_int_equal(flags_under("P,kmalloc-*,dentry", "dentry"), SLAB_POISON);
	assert_int_equal(flags_under("P,kmalloc-*,dentry", "dma-kmalloc-64"), 0);
	assert_int_equal(flags_under("FZ;U,dentry;-,filp", "inode"), SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE);
	assert_int_equal(flags_under("FZ;U,dentry;-,filp", "dentry"), SLAB_STORE_USER);
	assert_int_equal(flags_under("FZ;U,dentry;-,filp", "filp"), 0);
	assert_int_equal(flags_under("fz-t", "any"), SLAB_TRACE);
	struct slub_config config = config_with(1);
	struct error error = {0};
	assert_false(slub_debug_parse(&config, "FX", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_non_null(strstr(error.text, "kernel.slub_debug: 'X'"));
}

/*
 * kmem_cache_open() with slub_debug=FZPUO: 4096 bytes with metadata would need order 1, so they go without it, but stay checked;
 * 2000 bytes fit into a page either way. Catches O ignored, or checks dropped with the metadata.
 */
static void debugging_that_keeps_the_order(void **state)
{
	(void)state;
	struct slub_config config = config_with(1);
	struct slub_geometry g;
	assert_true(slub_debug_parse(&config, "FZPUO", NULL));
	uint32_t flags = slub_cache_flags(&config, 0, "any");
	assert_true(slub_geometry_calculate(&g, &config, 4096, 8, flags, false));
	assert_int_equal(g.size, 4096);
	assert_int_equal(g.flags, SLAB_CONSISTENCY_CHECKS);
	assert_int_equal(g.offset, 2048);
	assert_int_equal(g.red_left_pad, 0);
	assert_int_equal(g.min_order, 0);
	/* 2000, a word of red zone, the pointer, two tracks of 32 bytes, a word and the left pad of a word */
	assert_true(slub_geometry_calculate(&g, &config, 2000, 8, flags, false));
	assert_int_equal(g.size, 2000 + 8 + 8 + 64 + 8 + 8);
	assert_true(slub_debug_parse(&config, "FZPU", NULL));
	assert_true(slub_geometry_calculate(&g, &config, 4096, 8, flags, false));
	assert_int_equal(g.min_order, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(published_table_of_166_caches),
	        cmocka_unit_test(alignment_to_cache_lines),
	        cmocka_unit_test(every_cache_of_recorded_kernels),
	        cmocka_unit_test(laws_for_every_size),
	        cmocka_unit_test(min_partial_by_size),
	        cmocka_unit_test(cpu_partial_by_size),
	        cmocka_unit_test(what_the_kernel_refuses),
	        cmocka_unit_test(debugging_by_boot_option),
	        cmocka_unit_test(debugging_of_named_caches),
	        cmocka_unit_test(debugging_that_keeps_the_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
