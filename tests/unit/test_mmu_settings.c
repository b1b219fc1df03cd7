/* SPDX-License-Identifier: MIT
 *
 * test_mmu_settings.c - MMUs made from the settings of a machine, on bare metal and in a guest.
 */
#include "tests/unit/test.h"

#include "models/mmu_settings.h"
#include "models/settings.h"
#include "sim/setting.h"

#include <stdlib.h>
#include <string.h>

static void set_list(struct settings *settings, const char *key, const char *line)
{
	const char *const texts[] = {line};
	struct error error = {0};
	assert_true(setting_set(setting_find(settings_table(), key), texts, 1, true, NULL, settings, "test", &error));
}

static void set_no_caches(struct settings *settings)
{
	struct error error = {0};
	const struct setting *row = setting_find(settings_table(), "machine.paging_structure_caches");
	assert_true(setting_set(row, NULL, 0, true, NULL, settings, "test", &error));
}

static void set_text(struct settings *settings, const char *key, const char *text)
{
	struct error error = {0};
	assert_true(setting_set(setting_find(settings_table(), key), &text, 1, false, NULL, settings, "test", &error));
}

static uint64_t take_frame(void *context)
{
	uint64_t *next = context;
	*next += PAGE_SIZE;
	return *next;
}

struct guest {
	struct settings settings;
	struct mmus mmus;
	struct page_tables tables;
	uint64_t next_frame;
};

/* A machine of two cores whose tables map page p of 4 KiB to frame 0x5000 + p. */
static void begin_with_settings(struct guest *guest)
{
	struct error error = {0};
	if (!mmus_create(&guest->mmus, &guest->settings, 2, &error))
		fail_msg("%s", error.text);
	guest->tables = (struct page_tables){.mode = guest->mmus.mode,
	                                     .controls = guest->mmus.controls,
	                                     .memory = &guest->mmus.memory,
	                                     .frames = {.take = take_frame, .context = &guest->next_frame},
	                                     .host = mmus_host_address(&guest->mmus)};
	assert_true(page_tables_init(&guest->tables));
	for (uint64_t page = 0; page < 600; page++)
		assert_int_equal(page_tables_map(&guest->tables, page << PAGE_SHIFT,
		                                 (0x5000 + page) << PAGE_SHIFT | WORD_RIGHTS | WORD_ACCESSED | WORD_DIRTY,
		                                 PAGE_4K),
		                 MAP_OK);
	for (unsigned cpu = 0; cpu < 2; cpu++)
		mmu_write_cr3(&guest->mmus.mmu[cpu], guest->tables.root, 0, true);
}

static void begin(struct guest *guest, const char *virtualized)
{
	memset(guest, 0, sizeof *guest);
	settings_init(&guest->settings);
	set_text(&guest->settings, "machine.virtualized", virtualized);
	begin_with_settings(guest);
}

static void end(struct guest *guest)
{
	mmus_check(&guest->mmus);
	page_tables_check(&guest->tables);
	mmus_release(&guest->mmus);
	settings_release(&guest->settings);
}

static size_t access_on(struct guest *guest, unsigned cpu, uint64_t linear, struct access *out)
{
	const struct access access = {.address = linear, .bytes = 8, .kind = ACCESS_LOAD};
	size_t made;
	assert_int_equal(mmu_run(&guest->mmus.mmu[cpu], &access, 1, out, 2 * MMU_ROOM, &made), 1);
	return made;
}

/* Would catch: cores that share a TLB, caches of the walker that are not there. */
static void every_core_has_its_own(void **state)
{
	(void)state;
	struct guest machine;
	struct access out[2 * MMU_ROOM];
	begin(&machine, "off");
	assert_int_equal(access_on(&machine, 0, 0x3000, out), 5);
	assert_int_equal(out[4].address, 0x5003000);
	assert_int_equal(access_on(&machine, 0, 0x4000, out), 2); /* the PDE cache knows the page table */
	assert_int_equal(access_on(&machine, 1, 0x3000, out), 5);
	assert_int_equal(access_on(&machine, 1, 0x3000, out), 1);
	end(&machine);
}

/* A guest whose host has 2 MiB pages: 3 references a host walk, so 4 * (3 + 1) + 3 = 19 at most, fewer for what the first bring.
 */
static void a_guest_is_walked_in_two_dimensions(void **state)
{
	(void)state;
	static const char *const stages[] = {"x86_ept", "x86_4level"};
	for (unsigned i = 0; i < 2; i++) {
		struct guest guest;
		struct access out[2 * MMU_ROOM];
		begin(&guest, stages[i]);
		size_t cold = access_on(&guest, 0, 0x3000, out);
		assert_true(cold > 5 && cold <= 4 * 4 + 3 + 1 + 8); /* and what the host gave on the way */
		uint64_t page = out[cold - 1].address;
		assert_true(page >= 1ull << 40);
		size_t next = access_on(&guest, 0, 0x4000, out);
		assert_true(next < cold);
		assert_int_equal(out[next - 1].address, page + PAGE_SIZE);
		assert_int_equal(access_on(&guest, 0, 0x4000, out), 1);
		for (unsigned n = 0; n < 600; n++) {
			size_t made = access_on(&guest, 1, (uint64_t)n << PAGE_SHIFT, out);
			assert_int_equal(out[made - 1].address & 0x1fffff, (0x5000000 + n * PAGE_SIZE) & 0x1fffff);
		}
		end(&guest);
	}
}

/*
 * Without caches of the walkers, once the host has given all memory: n levels cost n references, and on m levels of a host
 * (n + 1) * (m + 1) - 1; a host page of 2 MiB ends its walks one level early, one of 1 GiB two. PAE: two levels, its third in
 * registers, which AMD's second stage does not keep.
 */
struct walk_length {
	const char *paging, *virtualized, *host_page;
	unsigned n, m;
};

static void walks_are_as_long_as_the_manuals_say(void **state)
{
	(void)state;
	static const struct walk_length lengths[] = {
	        {"x86_4level", "off", "2M", 4, 0},     {"x86_5level", "off", "2M", 5, 0},
	        {"x86_pae", "off", "2M", 2, 0},        {"x86_32", "off", "2M", 2, 0},
	        {"x86_4level", "x86_ept", "4K", 4, 4}, {"x86_4level", "x86_4level", "4K", 4, 4},
	        {"x86_4level", "x86_ept", "2M", 4, 3}, {"x86_4level", "x86_ept", "1G", 4, 2},
	        {"x86_5level", "x86_ept", "4K", 5, 4}, {"x86_5level", "x86_ept", "2M", 5, 3},
	        {"x86_pae", "x86_ept", "4K", 2, 4},    {"x86_pae", "x86_ept", "2M", 2, 3},
	        {"x86_pae", "x86_ept", "1G", 2, 2},    {"x86_pae", "x86_4level", "4K", 3, 4},
	        {"x86_pae", "x86_4level", "1G", 3, 2}, {"x86_32", "x86_ept", "4K", 2, 4},
	        {"x86_32", "x86_4level", "2M", 2, 3},  {"x86_32", "x86_ept", "1G", 2, 2},
	};
	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		const struct walk_length *length = &lengths[i];
		struct guest guest;
		struct access out[2 * MMU_ROOM];
		memset(&guest, 0, sizeof guest);
		settings_init(&guest.settings);
		set_text(&guest.settings, "machine.paging", length->paging);
		set_text(&guest.settings, "machine.virtualized", length->virtualized);
		set_text(&guest.settings, "machine.host_page", length->host_page);
		set_no_caches(&guest.settings);
		begin_with_settings(&guest);
		for (unsigned visit = 0; visit < 2; visit++) {
			mmu_write_cr3(&guest.mmus.mmu[0], guest.tables.root, 0, false);
			size_t made = access_on(&guest, 0, 0x3000, out);
			unsigned expected = (length->n + 1) * (length->m + 1) - 1;
			if (visit == 1 && made != expected + 1)
				fail_msg("%s on %s, %s: %zu references, expected %u", length->paging, length->virtualized,
				         length->host_page, made - 1, expected);
		}
		end(&guest);
	}
}

static void expect_error(void (*change)(struct settings *), const char *words)
{
	struct settings settings;
	struct mmus mmus;
	struct error error = {0};
	settings_init(&settings);
	change(&settings);
	assert_false(mmus_create(&mmus, &settings, 1, &error));
	if (!strstr(error.text, words))
		fail_msg("'%s' does not say '%s'", error.text, words);
	settings_release(&settings);
}

static void wrong_mode(struct settings *settings)
{
	set_text(settings, "machine.paging", "x86_4levels");
}

static void wrong_stage(struct settings *settings)
{
	set_text(settings, "machine.virtualized", "x86_32");
}

static void wrong_structure(struct settings *settings)
{
	set_list(settings, "machine.paging_structure_caches", "pdee entries=4");
}

static void no_tables(struct settings *settings)
{
	set_text(settings, "machine.paging", "ideal");
	set_text(settings, "machine.virtualized", "x86_ept");
}

static void no_gigabyte_pages(struct settings *settings)
{
	set_text(settings, "machine.virtualized", "x86_ept");
	set_text(settings, "machine.host_page", "1G");
	set_text(settings, "machine.gigabyte_pages", "false");
}

static void wrong_settings_are_told(void **state)
{
	(void)state;
	expect_error(wrong_mode, "x86_4level");
	expect_error(wrong_stage, "no second stage");
	expect_error(wrong_structure, "expected pde, pdpte");
	expect_error(no_tables, "a guest cannot have");
	expect_error(no_gigabyte_pages, "machine.host_page");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_core_has_its_own),
	        cmocka_unit_test(a_guest_is_walked_in_two_dimensions),
	        cmocka_unit_test(walks_are_as_long_as_the_manuals_say),
	        cmocka_unit_test(wrong_settings_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
