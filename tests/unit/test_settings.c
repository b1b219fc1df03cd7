/* SPDX-License-Identifier: MIT
 *
 * test_settings.c - the settings table, reading and printing of its values, nearest names.
 */
#include "models/settings.h"
#include "sim/nearest.h"
#include "sim/setting.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Models as the tests know them, so that no registry is needed. */
static const char *const object_names[] = {"slub", "slab", "slob", "ideal", NULL};
static const struct setting_names names[] = {{"object_allocator", object_names}, {NULL, NULL}};

static bool set(struct settings *settings, const char *key, const char *text, struct error *error)
{
	const struct setting *row = setting_find(settings_table(), key);
	assert_non_null(row);
	*error = (struct error){0};
	return setting_set(row, &text, 1, false, names, settings, "here", error);
}

static void expect_refused(const char *key, const char *text, const char *message)
{
	struct settings settings;
	struct error error;
	settings_init(&settings);
	if (set(&settings, key, text, &error))
		fail_msg("%s: '%s' was taken", key, text);
	assert_int_equal(error.kind, ERROR_USAGE);
	if (strncmp(error.text, "here: ", 6) != 0 || !strstr(error.text, key) || !strstr(error.text, message))
		fail_msg("'%s' does not say '%s'", error.text, message);
	struct settings untouched;
	settings_init(&untouched);
	for (const struct setting *row = settings_table(); row->key; row++)
		assert_true(setting_equal(row, &settings, &untouched));
	settings_release(&untouched);
	settings_release(&settings);
}

/* ---- the table ---- */

/* Would catch: a row without help or source, a default outside its own range, a key that is the group of another. */
static void every_row_is_complete(void **state)
{
	(void)state;
	for (const struct setting *row = settings_table(); row->key; row++) {
		assert_true(row->help && *row->help && row->source && *row->source && row->default_text);
		assert_true(row->min <= row->max || row->type == SETTING_LIST);
		assert_true(row->size == 1 || row->size == 4 || row->size == 8);
		assert_ptr_equal(setting_find(settings_table(), row->key), row);
		if (row->alias)
			assert_ptr_equal(setting_find(settings_table(), row->alias), row);
		size_t length = strlen(row->key);
		for (const struct setting *other = settings_table(); other->key; other++) {
			bool below = strncmp(other->key, row->key, length) == 0 && other->key[length] == '.';
			assert_false(below);
		}
	}
}

static void mark(unsigned char *used, size_t offset, size_t size)
{
	for (size_t i = offset; i < offset + size; i++) {
		assert_int_equal(used[i], 0);
		used[i] = 1;
	}
}

/*
 * Each field has one row: rows do not overlap, and what they leave of the struct is padding, less than 8 bytes at a time.
 * Would catch: a new field without a row, two rows for one field.
 */
static void rows_cover_the_struct(void **state)
{
	(void)state;
	unsigned char used[sizeof(struct settings)] = {0};
	for (const struct setting *row = settings_table(); row->key; row++) {
		mark(used, row->offset, row->size);
		if (row->type == SETTING_LIST)
			mark(used, row->count_offset, sizeof(uint32_t));
	}
	size_t unused = 0;
	for (size_t i = 0; i < sizeof used; i++)
		unused += !used[i];
	/* Padding of the x86-64 and other 64-bit ABIs: after the lists' counts, enums and bools. */
	assert_true(unused < 80);
	for (size_t i = 0, run = 0; i < sizeof used; i++) {
		run = used[i] ? 0 : run + 1;
		assert_true(run < 8);
	}
}

/* Would catch: a default changed by accident. The values are those of Linux 6.1's source as the table's source column says. */
static void defaults_are_the_kernels(void **state)
{
	(void)state;
	struct settings settings;
	settings_init(&settings);
	assert_int_equal(settings.kernel.watermark_scale_factor, 10);
	assert_int_equal(settings.kernel.watermark_boost_factor, 15000);
	assert_int_equal(settings.kernel.lowmem_reserve_dma, 256);
	assert_int_equal(settings.kernel.lowmem_reserve_dma32, 256);
	assert_int_equal(settings.kernel.slub_max_order, 3);
	assert_int_equal(settings.kernel.slub_min_order, 0);
	assert_int_equal(settings.kernel.slub_min_objects, 0);
	assert_int_equal(settings.kernel.page_struct_bytes, 64);
	assert_int_equal(settings.machine.cache_line_bytes, 64);
	assert_int_equal(settings.machine.frequency_hz, 3000000000u);
	assert_int_equal(settings.sample_every_ns, 100000000);
	assert_int_equal(settings.machine.memory_bytes, 0);
	assert_int_equal(settings.allocators, 1);
	assert_string_equal(settings.allocator[0], "slub");
	assert_null(settings.trace);
	settings_release(&settings);
}

/* Would catch: strings shared between copies (a double free), a row left out of the copy. */
static void a_copy_stands_alone(void **state)
{
	(void)state;
	struct settings original, copy;
	struct error error;
	settings_init(&original);
	assert_true(set(&original, "label", "first", &error));
	assert_true(set(&original, "machine.memory", "96 MiB", &error));
	settings_copy(&copy, &original);
	for (const struct setting *row = settings_table(); row->key; row++)
		assert_true(setting_equal(row, &original, &copy));
	assert_true(set(&original, "label", "second", &error));
	assert_string_equal(copy.label, "first");
	settings_release(&original);
	assert_string_equal(copy.label, "first");
	assert_int_equal(copy.machine.memory_bytes, 96u << 20);
	settings_release(&copy);
}

/* ---- numbers ---- */

static void expect_number(enum setting_type type, const char *text, uint64_t expected)
{
	uint64_t value;
	char why[SETTING_WHY_MAX];
	if (!setting_parse_number(type, text, &value, why))
		fail_msg("'%s' %s", text, why);
	assert_true(value == expected);
}

/* Would catch: decimal units for binary ones, floating-point rounding, the blank before the unit demanded or refused. */
static void numbers_carry_units(void **state)
{
	(void)state;
	expect_number(SETTING_SIZE, "512 MiB", 536870912);
	expect_number(SETTING_SIZE, "512MiB", 536870912);
	expect_number(SETTING_SIZE, "1.5 KiB", 1536);
}

static void expect_no_number(enum setting_type type, const char *text, const char *reason)
{
	uint64_t value;
	char why[SETTING_WHY_MAX];
	if (setting_parse_number(type, text, &value, why))
		fail_msg("'%s' was taken", text);
	if (!strstr(why, reason))
		fail_msg("'%s' %s", text, why);
}

/* Would catch: wrap-around, signs, trailing text, units guessed. */
static void wrong_numbers_say_why(void **state)
{
	(void)state;
	expect_no_number(SETTING_SIZE, "512", "has no unit");
	expect_no_number(SETTING_SIZE, "512 MB", "unit ('MB')");
	expect_no_number(SETTING_SIZE, "512 mib", "unit ('mib')");
	expect_no_number(SETTING_SIZE, "MiB", "not a number");
	expect_no_number(SETTING_SIZE, "", "not a number");
	expect_no_number(SETTING_SIZE, "-1 MiB", "out of range");
	expect_no_number(SETTING_SIZE, "+1 MiB", "not a number");
	expect_no_number(SETTING_SIZE, "0.3 B", "whole number");
	expect_no_number(SETTING_SIZE, "1. MiB", "decimals");
	expect_no_number(SETTING_SIZE, "0.0000001 TiB", "decimals");
	expect_no_number(SETTING_SIZE, "18446744073709551616 B", "out of range");
	expect_no_number(SETTING_SIZE, "16777216 TiB", "out of range");
	expect_no_number(SETTING_SIZE, "1 MiB 2", "unit ('MiB 2')");
	expect_no_number(SETTING_DURATION, "5 days", "ns, us, ms, s, min, h");
	expect_no_number(SETTING_COUNT, "1 MiB", "whole number");
	expect_no_number(SETTING_COUNT, "1.0", "whole number");
	expect_no_number(SETTING_COUNT, "0x", "whole number");
	expect_no_number(SETTING_COUNT, "1e9", "whole number");
	expect_no_number(SETTING_COUNT, "18446744073709551616", "out of range");
	expect_no_number(SETTING_COUNT, "-1", "out of range");
}

static void numbers_of_other_units(void **state)
{
	(void)state;
	expect_number(SETTING_DURATION, "10 ms", 10000000);
	expect_number(SETTING_DURATION, "90 min", 5400000000000);
	expect_number(SETTING_DURATION, "1.500001 h", 5400003600000);
	expect_number(SETTING_DURATION, "0.25 s", 250000000);
	expect_number(SETTING_FREQUENCY, "2.1 GHz", 2100000000);
	expect_number(SETTING_FREQUENCY, "1998.846 MHz", 1998846000);
	expect_number(SETTING_CYCLES, "44 cycles", 44);
	expect_number(SETTING_CYCLES, "1 cycle", 1);
	expect_number(SETTING_DELAY, "13.75 ns", 13750);
	expect_number(SETTING_DELAY, "7.8 us", 7800000);
	expect_number(SETTING_DELAY, "22 clocks", SETTING_DELAY_CLOCKS | 22);
	expect_number(SETTING_DELAY, "1 cycle", SETTING_DELAY_CYCLES | 1);
	expect_no_number(SETTING_DELAY, "4611686018427387904 ps", "out of range");
	expect_number(SETTING_COUNT, "0x10", 16);
	expect_number(SETTING_COUNT, "18446744073709551615", UINT64_MAX);
	expect_number(SETTING_SIZE, "16777215 TiB", UINT64_MAX - (1ull << 40) + 1);
}

/* Law: a number printed and read again is the same. Would catch: a unit printed that does not divide the number. */
static void printed_numbers_read_back(void **state)
{
	(void)state;
	static const enum setting_type types[] = {SETTING_COUNT, SETTING_SIZE, SETTING_DURATION, SETTING_FREQUENCY,
	                                          SETTING_CYCLES};
	static const uint64_t numbers[] = {0,        1,       999,           1000,        1024,       1536,
	                                   1u << 20, 1000000, 524160u << 10, 3000000000u, 1ull << 43, UINT64_MAX};
	for (size_t type = 0; type < sizeof types / sizeof *types; type++)
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
			char text[SETTING_NUMBER_MAX];
			expect_number(types[type], setting_number_text(types[type], numbers[i], text), numbers[i]);
		}
	char text[SETTING_NUMBER_MAX];
	static const uint64_t delays[] = {0,
	                                  1,
	                                  13750,
	                                  7800000,
	                                  SETTING_DELAY_CLOCKS,
	                                  SETTING_DELAY_CLOCKS | 1000,
	                                  250000,
	                                  1ull << 61,
	                                  SETTING_DELAY_CYCLES | 3};
	for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
		expect_number(SETTING_DELAY, setting_number_text(SETTING_DELAY, delays[i], text), delays[i]);
	assert_string_equal(setting_number_text(SETTING_DELAY, 13750, text), "13750 ps");
	assert_string_equal(setting_number_text(SETTING_DELAY, SETTING_DELAY_CLOCKS | 1000, text), "1000 clocks");
	assert_string_equal(setting_number_text(SETTING_SIZE, 536870912, text), "512 MiB");
	assert_string_equal(setting_number_text(SETTING_SIZE, 524160u << 10, text), "524160 KiB");
	assert_string_equal(setting_number_text(SETTING_DURATION, 0, text), "0 ns");
}

/* ---- values ---- */

/* Would catch: ranges not held or not told, a refused value stored all the same, a list where one value belongs. */
static void refused_values_say_what_is_allowed(void **state)
{
	(void)state;
	expect_refused("machine.memory", "512", "has no unit");
	expect_refused("machine.memory", "1 MiB", "out of range; it may be 4 MiB to 8 TiB or 'auto'");
	expect_refused("machine.memory", "0 B", "out of range");
	expect_refused("machine.memory", "99999999 TiB", "out of range");
	expect_refused("machine.cpus", "129", "1 to 128");
	expect_refused("machine.cpus", "-1", "1 to 128");
	expect_refused("machine.cache_line", "48 B", "not a power of two");
	expect_refused("kernel.slub_max_order", "11", "0 to 10");
	expect_refused("kernel.percpu_pagelist_high_fraction", "7", "8 to");
	expect_refused("timing", "cycle", "did you mean 'cycles'?");
	expect_refused("kernel.slab_merge", "maybe", "neither 'true' nor 'false'");
	expect_refused("allocator", "sulb", "did you mean 'slub'?");
	expect_refused("allocator", "", "the list is empty");
	expect_refused("label", "a\nb", "control characters");
	expect_refused("label", "\xff", "not UTF-8");
	expect_refused("label", "\xe2\x80\xa8", "control characters");
	struct settings settings;
	settings_init(&settings);
	struct error error = {0};
	const char *const two[] = {"1", "2"};
	assert_false(setting_set(setting_find(settings_table(), "seed"), two, 2, true, names, &settings, "here", &error));
	assert_non_null(strstr(error.text, "not a list"));
	error = (struct error){0};
	const char *const twice[] = {"slub", "slub"};
	assert_false(setting_set(setting_find(settings_table(), "allocator"), twice, 2, true, names, &settings, "here", &error));
	assert_non_null(strstr(error.text, "twice"));
	settings_release(&settings);
}

/* Would catch: words for 0 not known, booleans of YAML's other spellings refused, lists not replaced but added to. */
static void values_are_stored(void **state)
{
	(void)state;
	struct settings settings;
	struct error error;
	settings_init(&settings);
	assert_true(set(&settings, "sample.every", "off", &error));
	assert_int_equal(settings.sample_every_ns, 0);
	assert_true(set(&settings, "memory", "1 GiB", &error));
	assert_int_equal(settings.machine.memory_bytes, 1u << 30);
	assert_true(set(&settings, "memory", "auto", &error));
	assert_int_equal(settings.machine.memory_bytes, 0);
	/* 0 and "auto" are two values of this row. */
	assert_int_equal(settings.kernel.slab_max_order, SETTING_UNSET);
	assert_true(set(&settings, "kernel.slab_max_order", "0", &error));
	assert_int_equal(settings.kernel.slab_max_order, 0);
	assert_true(set(&settings, "kernel.slab_max_order", "auto", &error));
	assert_int_equal(settings.kernel.slab_max_order, SETTING_UNSET);
	assert_false(set(&settings, "kernel.slab_max_order", "4294967295", &error));
	assert_true(set(&settings, "kernel.slab_merge", "no", &error));
	assert_false(settings.kernel.slab_merge);
	assert_true(set(&settings, "timing", "cycles", &error));
	assert_int_equal(settings.timing, TIMING_CYCLES);
	const char *const three[] = {"slab", "slub", "slob"};
	assert_true(setting_set(setting_find(settings_table(), "allocator"), three, 3, true, names, &settings, "here", &error));
	assert_int_equal(settings.allocators, 3);
	assert_string_equal(settings.allocator[2], "slob");
	assert_true(set(&settings, "allocator", "ideal", &error));
	assert_int_equal(settings.allocators, 1);
	assert_string_equal(settings.allocator[0], "ideal");
	assert_true(set(&settings, "label", "", &error));
	assert_null(settings.label);
	settings_release(&settings);
}

/* ---- nearest names ---- */

/* Distances by hand. Would catch: a swap counted as two changes, a row index mixed up. */
static void distances(void **state)
{
	(void)state;
	assert_int_equal(nearest_distance("", ""), 0);
	assert_int_equal(nearest_distance("abc", ""), 3);
	assert_int_equal(nearest_distance("alocator", "allocator"), 1);
	assert_int_equal(nearest_distance("sulb", "slub"), 1);
	assert_int_equal(nearest_distance("slab", "slob"), 1);
	assert_int_equal(nearest_distance("kitten", "sitting"), 3);
	assert_int_equal(nearest_distance("ca", "abc"), 3);
}

/* Would catch: a suggestion that has nothing in common with the word, no suggestion for a beginning or a missing group. */
static void nearest_keys(void **state)
{
	(void)state;
	assert_string_equal(setting_nearest_key(settings_table(), "alocator"), "allocator");
	assert_string_equal(setting_nearest_key(settings_table(), "memroy"), "memory");
	assert_string_equal(setting_nearest_key(settings_table(), "slub_max_order"), "kernel.slub_max_order");
	assert_string_equal(setting_nearest_key(settings_table(), "kernel.slub_maxorder"), "kernel.slub_max_order");
	assert_null(setting_nearest_key(settings_table(), "colour"));
	assert_null(setting_nearest_key(settings_table(), ""));
	struct nearest nearest;
	nearest_start(&nearest, "debian");
	nearest_offer(&nearest, "lab-6.1");
	nearest_offer(&nearest, "debian-6.1");
	assert_string_equal(nearest_found(&nearest), "debian-6.1");
}

/* Would catch: a control character or half a character in a message. */
static void quotes_are_printable(void **state)
{
	(void)state;
	char out[SETTING_QUOTE_MAX];
	assert_string_equal(setting_quote("a\x1b[31m", out), "'a?[31m'");
	char text[200];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	memcpy(text + 59, "\xc3\xa9", 2);
	setting_quote(text, out);
	assert_int_equal(strlen(out), 1 + 59 + 4);
	assert_string_equal(out + 58, "xx...'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_row_is_complete),
	        cmocka_unit_test(rows_cover_the_struct),
	        cmocka_unit_test(defaults_are_the_kernels),
	        cmocka_unit_test(a_copy_stands_alone),
	        cmocka_unit_test(numbers_carry_units),
	        cmocka_unit_test(numbers_of_other_units),
	        cmocka_unit_test(wrong_numbers_say_why),
	        cmocka_unit_test(printed_numbers_read_back),
	        cmocka_unit_test(refused_values_say_what_is_allowed),
	        cmocka_unit_test(values_are_stored),
	        cmocka_unit_test(distances),
	        cmocka_unit_test(nearest_keys),
	        cmocka_unit_test(quotes_are_printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
