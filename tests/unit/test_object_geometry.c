/* SPDX-License-Identifier: MIT
 *
 * test_object_geometry.c - a second opinion on the layout of SLUB's and SLAB's caches, for every object size 8 .. 8192, every
 * alignment and 1 .. 128 CPUs. What the models compute by the kernel's loops is found here by trying everything there is and
 * comparing, from the rule as a sentence (Linux 6.1 mm/slub.c: calculate_order; mm/slab.c: calculate_slab_order).
 */
#include "models/object_allocator/slab.h"
#include "models/object_allocator/slub.h"
#include "tests/unit/test.h"

#define SIZE_MIN 8u
#define SIZE_MAX_TRIED 8192u
#define LINE 64u

/* The least multiple of `step` that is not below `value`, by counting. */
static uint32_t multiple(uint32_t value, uint32_t step)
{
	uint32_t whole = value / step * step;
	return whole < value ? whole + step : whole;
}

/* Alignment as a sentence: the largest of 8, what is asked for, and, on request, the smallest half, quarter ... of a line that
 * holds the object. */
static uint32_t alignment(uint32_t asked, uint32_t size, bool cache_line)
{
	uint32_t align = asked > 8 ? asked : 8, line = LINE;
	for (uint32_t part = LINE; cache_line && part >= 8; part /= 2)
		if (part >= size)
			line = part;
	return cache_line && line > align ? line : align;
}

static uint32_t bits_of(uint32_t value)
{
	uint32_t bits = 0;
	for (; value > 0; value >>= 1)
		bits++;
	return bits;
}

/*
 * The order: of all (objects wanted, part of the slab that may be wasted, order up to 3) that fit, the one with the most objects
 * wanted, then the least waste allowed, then the lowest order. Objects wanted run down to 2 from 4 * (bits of the CPU count + 1),
 * or from what order 3 holds if that is less. If none fits, the lowest order that holds one object.
 */
static uint32_t slub_order(uint32_t size, uint32_t cpus)
{
	static const uint32_t parts[] = {16, 8, 4};
	uint32_t most = 4 * (bits_of(cpus) + 1);
	for (uint32_t wanted = most; wanted >= 2; wanted--)
		for (unsigned part = 0; wanted * size <= 32768 && part < 3; part++)
			for (uint32_t order = 0; order <= 3; order++) {
				uint32_t bytes = 4096u << order, wasted = bytes - bytes / size * size;
				if (wanted * size <= bytes && wasted <= bytes / parts[part])
					return order;
			}
	uint32_t order = 0;
	while (4096u << order < size)
		order++;
	return order;
}

/* Catches an order too high or too low for any size and number of CPUs. */
static void slub_orders(void **state)
{
	(void)state;
	for (uint32_t cpus = 1; cpus <= CPUS_MAX; cpus++) {
		struct slub_config config = {.cpus = cpus, .pointer_bytes = 8, .cache_line_bytes = LINE, .max_order = 3};
		/* CPU counts of equally many bits wish for the same; the others are tried for a few sizes. */
		uint32_t step = (cpus & (cpus - 1)) == 0 || cpus == CPUS_MAX ? 8 : 1048;
		for (uint32_t size = SIZE_MIN; size <= SIZE_MAX_TRIED; size += step)
			if (slub_calculate_order(&config, size) != slub_order(size, cpus))
				fail_msg("%u bytes, %u CPUs: order %u, expected %u", size, cpus,
				         slub_calculate_order(&config, size), slub_order(size, cpus));
	}
}

/* Catches objects that overlap, lie askew, or are farther apart than they must. */
static void slub_sizes(void **state)
{
	(void)state;
	const struct slub_config config = {
	        .cpus = 4, .pointer_bytes = 8, .cache_line_bytes = LINE, .max_order = 3, .cpu_partial = true};
	for (uint32_t asked = 1; asked <= 4096; asked *= 2)
		for (uint32_t size = SIZE_MIN; size <= SIZE_MAX_TRIED; size++)
			for (unsigned line = 0; line < 2; line++) {
				uint32_t flags = line ? SLAB_HWCACHE_ALIGN : 0, align = alignment(asked, size, line);
				struct slub_geometry g;
				assert_int_equal(calculate_alignment(flags, asked, size, LINE, 8), align);
				assert_true(slub_geometry_calculate(&g, &config, size, align, flags, false));
				assert_int_equal(g.size, multiple(multiple(size, 8), align));
				assert_true(g.offset % 8 == 0 && g.offset + 8 <= multiple(size, 8) && g.offset <= size / 2);
				assert_true(g.objects * g.size <= 4096u << g.order &&
				            (g.objects + 1) * g.size > 4096u << g.order);
				assert_true(g.min_order == 0 || g.size > 4096u << (g.min_order - 1));
				assert_true(g.min_objects >= 1 && g.min_objects * g.size <= 4096u << g.min_order);
			}
}

enum place { IN_OBJECT, OFF_SLAB, ON_SLAB };

struct layout_choice {
	uint32_t order, num, left;
};

/* The slot of SLAB's kmalloc cache for an index array: powers of two from 32, and 96 (whose slots take 128 bytes) and 192. */
static uint32_t kmalloc_slot(uint32_t bytes)
{
	static const uint32_t classes[] = {32, 64, 96, 128, 192, 256};
	for (unsigned i = 0; i < 6; i++)
		if (bytes <= classes[i])
			return classes[i] == 96 ? 128 : classes[i];
	return UINT32_MAX;
}

/*
 * The order for one place of the index array, as a sentence: orders from 0 up whose slab holds 1 to 255 objects (and, off the
 * slab, whose array's slot is at most half an object); the first that wastes at most an eighth, or is the highest allowed, or the
 * cache is reclaimable; if none is such, the last. num 0: there is none.
 */
static struct layout_choice slab_choice(uint32_t object_size, uint32_t size, enum place place, uint32_t max_order, bool reclaim)
{
	struct layout_choice choice = {0};
	for (uint32_t order = 0; order <= 10; order++) {
		uint32_t bytes = 4096u << order, each = size + (place == ON_SLAB), num = bytes / each, left = bytes - num * each;
		if (num == 0 || (place == OFF_SLAB && num <= 255 && kmalloc_slot(num) > object_size / 2))
			continue;
		if (num > 255)
			break;
		choice = (struct layout_choice){order, num, left};
		if (reclaim || order >= max_order || 8 * left <= bytes)
			break;
	}
	return choice;
}

static void check_slab(uint32_t object_size, uint32_t asked, bool line, bool ctor, bool reclaim, uint32_t max_order,
                       uint32_t cpus)
{
	struct slab_rules rules = {.cache_line_bytes = LINE, .max_order = max_order, .cpus = cpus};
	uint32_t flags = (line ? SLAB_HWCACHE_ALIGN : 0u) | (reclaim ? SLAB_RECLAIM_ACCOUNT : 0u);
	struct cache_spec spec = {.name = "x", .object_size = object_size, .align = asked, .flags = flags, .ctor = ctor};
	struct slab_geometry g;
	uint32_t align = alignment(asked, object_size, line), size = multiple(multiple(object_size, 8), align);
	if (size < 16)
		size = multiple(16, align);
	struct layout_choice choice = slab_choice(object_size, size, IN_OBJECT, max_order, reclaim);
	uint32_t place_flag = CFLGS_OBJFREELIST_SLAB;
	if (ctor || choice.num == 0 || choice.num > object_size) {
		choice = slab_choice(object_size, size, OFF_SLAB, max_order, reclaim);
		place_flag = CFLGS_OFF_SLAB;
		if (choice.num == 0 || choice.left >= choice.num) {
			choice = slab_choice(object_size, size, ON_SLAB, max_order, reclaim);
			place_flag = 0;
		}
	}
	assert_true(slab_geometry_of(&rules, &spec, &g));
	if (g.size != size || g.order != choice.order || g.num != choice.num ||
	    (g.flags & (CFLGS_OBJFREELIST_SLAB | CFLGS_OFF_SLAB)) != place_flag)
		fail_msg("%u bytes, alignment %u, ctor %d, reclaimable %d, %u: size %u order %u num %u flags %x, expected %u %u "
		         "%u %x",
		         object_size, asked, ctor, reclaim, max_order, g.size, g.order, g.num, g.flags, size, choice.order,
		         choice.num, place_flag);
	/* Every colour leaves room for all objects, and, where the array is at the end, for it; one colour more would not. */
	uint32_t used = g.num * g.size + (place_flag == 0 ? g.num : 0), bytes = 4096u << g.order;
	assert_true(used + g.colour * g.colour_off <= bytes && used + (g.colour + 1) * g.colour_off > bytes);
	assert_int_equal(g.colour_off, align > LINE ? align : LINE);
	assert_int_equal(g.batchcount, (g.limit + 1) / 2);
	assert_int_equal(g.shared, cpus > 1 && size <= 4096 ? 8 : 0);
	assert_int_equal(slab_free_limit(&rules, &g, false), (1 + cpus) * g.batchcount + g.num);
}

/* Catches a slab order, a place of the index array, a number of colours that no other rule than the kernel's gives. */
static void slab_layouts(void **state)
{
	(void)state;
	for (uint32_t asked = 1; asked <= 4096; asked *= 2)
		for (uint32_t size = SIZE_MIN; size <= SIZE_MAX_TRIED; size++)
			for (unsigned kind = 0; kind < 8; kind++)
				check_slab(size, asked, kind & 1, kind & 2, kind & 4, size % 3, 1 + (size + asked) % CPUS_MAX);
}

/* Catches limits that do not follow the number of CPUs. */
static void slab_limits_by_cpus(void **state)
{
	(void)state;
	for (uint32_t cpus = 1; cpus <= CPUS_MAX; cpus++)
		for (uint32_t size = SIZE_MIN; size <= SIZE_MAX_TRIED; size += 37)
			check_slab(size, 0, true, false, false, 1, cpus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(slub_orders),
	        cmocka_unit_test(slub_sizes),
	        cmocka_unit_test(slab_layouts),
	        cmocka_unit_test(slab_limits_by_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
