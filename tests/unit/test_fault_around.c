/* SPDX-License-Identifier: MIT
 *
 * test_fault_around.c - pages of files and of shared memory that come with the one a fault is for, against mm/memory.c and
 * mm/filemap.c of Linux 6.1 worked out by hand: on the zoned page allocator, with a page cache.
 */
#include "models/page_reclaim/page_cache.h"
#include "models/page_reclaim/process_pages.h"
#include "tests/unit/mm_rig.h"

#define CPUS 2
#define FILE_NUMBER 3

struct rig {
	struct mm_rig mm;
	struct process_pages *kept;
	const struct mm_counters *counters;
};

static void begin(struct rig *rig, uint64_t around_bytes, bool recording)
{
	*rig = (struct rig){0};
	mm_rig_init(&rig->mm, 128ull << 20, CPUS);
	rig->mm.settings.kernel.thp = THP_NEVER;
	rig->mm.settings.kernel.fault_around_bytes = around_bytes;
	mm_rig_make(&rig->mm, "buddy", "slub", recording);
	rig->kept = process_pages_create(&rig->mm.settings, rig->mm.pages, &rig->mm.layout, &rig->mm.steps, rig->mm.users);
	rig->counters = rig->mm.users->ops->counters(rig->mm.users);
}

static void end(struct rig *rig)
{
	user_memory_check(rig->mm.users);
	user_memory_destroy(rig->mm.users);
	process_pages_destroy(rig->kept);
	assert_int_equal(rig->mm.pages->allocated_pages, rig->mm.objects->ops->pages_held(rig->mm.objects));
	mm_rig_release(&rig->mm);
}

/* An area that shows a file from its page `first` on, `page` pages behind BASE. */
static void map(struct rig *rig, process_id process, uint64_t page, uint64_t pages, enum user_area_kind kind, uint64_t first)
{
	const struct user_area_request request = {.start = BASE + page * PAGE_SIZE,
	                                          .pages = pages,
	                                          .kind = kind,
	                                          .rights = USER_READ | USER_WRITE,
	                                          .file = FILE_NUMBER,
	                                          .first_page = first};
	assert_int_equal(user_map(rig->mm.users, process, &request, 0), USER_OK);
}

/* How many faults it takes. */
static uint64_t touch(struct rig *rig, process_id process, uint64_t page, uint64_t pages, enum access_kind kind, unsigned cpu)
{
	uint64_t before = rig->counters->faults;
	mm_rig_touch(&rig->mm, process, BASE + page * PAGE_SIZE, pages, kind, cpu);
	user_memory_check(rig->mm.users);
	return rig->counters->faults - before;
}

static struct process_view view(const struct rig *rig, process_id process)
{
	struct process_view seen;
	assert_true(rig->mm.users->ops->view(rig->mm.users, process, &seen));
	return seen;
}

/* A process that has read pages of the file, so that they are in memory, without marks. */
static process_id reader_of(struct rig *rig, uint64_t pages)
{
	process_id process = user_create(rig->mm.users, 0);
	map(rig, process, 0, pages, USER_FILE_SHARED, 0);
	touch(rig, process, 0, pages, ACCESS_LOAD, 0);
	return process;
}

static uint64_t word_of(const struct rig *rig, process_id process, uint64_t page)
{
	struct entry entry;
	entry_find(rig->mm.mm, rig->mm.mm->processes[process.nr].space, BASE + page * PAGE_SIZE, &entry);
	return entry.level == 0 ? entry_word(&entry) : 0;
}

/*
 * Pages in memory come by ranges of `around_bytes`, as far as the area goes: that of 100 pages from a multiple of it
 * takes ceil(100 / pages in a range) faults; that of 40 pages from page 5 on, which shows the file from its page 3 on, one for
 * each range it touches. Would catch: a range that begins at the fault, or goes by places in the file; one that leaves the area,
 * or the table; pages that are mapped and not counted.
 */
static void pages_in_memory_come_by_ranges(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes, whole, cut;
	} cases[] = {{4096, 100, 40}, {8192, 50, 21}, {12288, 50, 21}, {65536, 7, 3}, {2u << 20, 1, 1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rig rig;
		begin(&rig, cases[i].bytes, false);
		reader_of(&rig, 100);
		process_id other = user_create(rig.mm.users, 0);
		map(&rig, other, 0, 100, USER_FILE_SHARED, 0);
		map(&rig, other, 512 + 5, 40, USER_FILE_PRIVATE, 3);
		uint64_t mapped = rig.counters->around_mapped;
		assert_int_equal(touch(&rig, other, 0, 100, ACCESS_LOAD, 0), cases[i].whole);
		assert_int_equal(view(&rig, other).file, 100);
		assert_int_equal(rig.counters->around_mapped - mapped, 100 - cases[i].whole);
		assert_int_equal(touch(&rig, other, 512 + 5, 40, ACCESS_LOAD, 0), cases[i].cut);
		assert_int_equal(view(&rig, other).file, 140);
		for (unsigned page = 0; page < 40; page++)
			assert_int_equal(
			        rig.mm.mm->page[mm_rig_frame(&rig.mm, other, BASE + (512 + 5 + page) * PAGE_SIZE).nr].place,
			        3 + page);
		end(&rig);
	}
}

/* Over the end of a table: the range of 2 MiB that the fault is in, no more. Would catch: entries written in another table. */
static void a_range_ends_with_its_table(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 2u << 20, false);
	reader_of(&rig, 100);
	process_id other = user_create(rig.mm.users, 0);
	map(&rig, other, 512 - 30, 100, USER_FILE_SHARED, 0);
	assert_int_equal(touch(&rig, other, 512 - 7, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, other).file, 30);
	assert_int_equal(touch(&rig, other, 512, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, other).file, 100);
	end(&rig);
}

/*
 * The area's first range is as long as any, from where the area begins: 16 pages from page 5 of the table on, where the aligned
 * ones end 5 pages before; a fault behind them has the rest of its aligned range, those mapped already being passed by. An area
 * that begins 3 pages before the table's end has those. Would catch: a range cut at both ends, one that goes on in another table.
 */
static void a_range_may_begin_with_its_area(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 65536, false);
	reader_of(&rig, 100);
	process_id other = user_create(rig.mm.users, 0);
	map(&rig, other, 5, 40, USER_FILE_SHARED, 0);
	map(&rig, other, 512 - 3, 40, USER_FILE_SHARED, 0);
	assert_int_equal(touch(&rig, other, 9, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, other).file, 16);
	assert_int_not_equal(word_of(&rig, other, 20), 0);
	assert_int_equal(word_of(&rig, other, 21), 0);
	uint64_t there = rig.counters->around_there;
	assert_int_equal(touch(&rig, other, 21, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(rig.counters->around_there - there, 21 - 16);
	assert_int_equal(view(&rig, other).file, 32 - 5);
	assert_int_equal(touch(&rig, other, 512 - 2, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, other).file, 32 - 5 + 3);
	end(&rig);
}

/*
 * From the disk, 32 pages about a fault: the faults of pages 0 and 16, of the marked page 24, which reads 32 more, and so on. The
 * first and each marked one let go of mmap_lock and are made twice; the second time finds what was read. Would catch: a marked
 * page that is mapped with others, so that nothing is read ahead any more; a fault that does not look again behind its read.
 */
static void marked_pages_are_for_faults_of_their_own(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 65536, false);
	process_id process = user_create(rig.mm.users, 0);
	map(&rig, process, 0, 1000, USER_FILE_SHARED, 0);
	assert_int_equal(touch(&rig, process, 0, 16, ACCESS_LOAD, 0), 1);
	assert_int_equal(rig.counters->faults_file_read, 1);
	assert_int_equal(rig.counters->faults_again, 1);
	assert_int_equal(view(&rig, process).file, 16);
	assert_int_equal(touch(&rig, process, 16, 8, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, process).file, 16 + 15);
	assert_int_equal(word_of(&rig, process, 24), 0);
	assert_int_equal(touch(&rig, process, 24, 8, ACCESS_LOAD, 0), 1);
	assert_int_equal(rig.counters->faults_file_read, 1);
	assert_int_equal(rig.counters->faults_again, 2);
	assert_int_equal(process_pages_lru(rig.kept)->counters.pgpgin, 64);
	assert_int_equal(view(&rig, process).file, 32);
	end(&rig);
}

/*
 * What is being read when the fault comes is not mapped with others; who asks for it waits, and then has those about it. CPU 1's
 * clock stands where the run began. Would catch: pages that are mapped before their contents are there.
 */
static void pages_on_their_way_wait(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 65536, false);
	process_id first = user_create(rig.mm.users, 0), second = user_create(rig.mm.users, 1);
	map(&rig, first, 0, 100, USER_FILE_SHARED, 0);
	map(&rig, second, 0, 100, USER_FILE_SHARED, 0);
	touch(&rig, first, 0, 1, ACCESS_LOAD, 0);
	uint64_t waited_ns = process_pages_lru(rig.kept)->counters.io_wait_ns, found = rig.counters->around_found;
	assert_true(waited_ns > 0);
	assert_int_equal(touch(&rig, second, 3, 1, ACCESS_LOAD, 1), 1);
	assert_int_equal(process_pages_lru(rig.kept)->counters.io_wait_ns, 2 * waited_ns);
	/* Nothing at its first look, 16 at its second. */
	assert_int_equal(rig.counters->around_found, found + 16);
	assert_int_equal(rig.counters->faults_again, 2);
	assert_int_equal(rig.counters->faults_file_read, 1);
	end(&rig);
}

/*
 * A write maps its own page alone, or a copy of it; what came with a read is accessed and neither dirty nor writable, and a write
 * to it is a fault like any first write. Would catch: a write that looks around, a page writable without anybody's knowing.
 */
static void writes_come_alone(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 65536, false);
	reader_of(&rig, 64);
	process_id other = user_create(rig.mm.users, 0);
	map(&rig, other, 0, 32, USER_FILE_SHARED, 0);
	map(&rig, other, 64, 32, USER_FILE_PRIVATE, 0);
	uint64_t looked = rig.counters->around_faults;
	touch(&rig, other, 5, 1, ACCESS_STORE, 0);
	touch(&rig, other, 64 + 5, 1, ACCESS_STORE, 0);
	assert_int_equal(rig.counters->around_faults, looked);
	assert_int_equal(view(&rig, other).file, 1);
	assert_int_equal(view(&rig, other).anonymous, 1 + 1); /* the page with arguments */
	uint64_t there = rig.counters->around_there;
	touch(&rig, other, 0, 1, ACCESS_LOAD, 0);
	touch(&rig, other, 64, 1, ACCESS_LOAD, 0);
	assert_int_equal(rig.counters->around_there - there, 2);
	assert_int_equal(view(&rig, other).file, 16 + 15);
	assert_int_equal(word_of(&rig, other, 1) & (WORD_ACCESSED | WORD_DIRTY | WORD_WRITE), WORD_ACCESSED);
	assert_int_equal(touch(&rig, other, 1, 1, ACCESS_STORE, 0), 1);
	assert_int_equal(rig.counters->faults_made_writable, 1);
	uint64_t copied = rig.counters->faults_copied;
	assert_int_equal(touch(&rig, other, 64 + 1, 1, ACCESS_STORE, 0), 1);
	assert_int_equal(rig.counters->faults_copied, copied + 1);
	end(&rig);
}

/*
 * Of shared memory what somebody has used already, writable at once; a place that nobody used stays empty. Would catch: new pages
 * made for a range, a child's second fault for what came with the first.
 */
static void shared_memory_comes_too(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 65536, false);
	process_id parent = user_create(rig.mm.users, 0);
	map(&rig, parent, 0, 64, USER_SHARED, 0);
	static const unsigned used[] = {1, 3, 17};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(touch(&rig, parent, used[i], 1, ACCESS_STORE, 0), 1);
	process_id child = user_fork(rig.mm.users, parent, false, 0);
	assert_int_equal(touch(&rig, child, 3, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, child).shared, 2);
	assert_int_equal(touch(&rig, child, 1, 1, ACCESS_STORE, 0), 0);
	assert_int_equal(touch(&rig, child, 2, 1, ACCESS_LOAD, 0), 1);
	assert_int_equal(view(&rig, child).shared, 3);
	assert_int_equal(rig.counters->around_there, 2);
	assert_int_equal(rig.counters->shared_pages, 4);
	end(&rig);
}

/*
 * 16 pages in one fault: one lock of the table, 16 entries, for each page its count of entries, its reference and its lock and
 * unlock, and the instructions of the setting. Would catch: a lock for each page, pages for nothing.
 */
static void what_a_range_costs(void **state)
{
	(void)state;
	struct rig rig;
	begin(&rig, 65536, true);
	reader_of(&rig, 16);
	process_id other = user_create(rig.mm.users, 0);
	map(&rig, other, 0, 16, USER_FILE_SHARED, 0);
	map(&rig, other, 32, 1, USER_ANONYMOUS, 0);
	touch(&rig, other, 32, 1, ACCESS_STORE, 0); /* the table is there */
	uint32_t spent = rig.mm.settings.cost.fault_around_page, pages = 0, around = 0;
	touch(&rig, other, 7, 1, ACCESS_LOAD, 0);
	assert_int_equal(mm_rig_steps(&rig.mm, STEP_ENTRY, 0), 16);
	assert_int_equal(mm_rig_steps(&rig.mm, STEP_LOCK, 0), 1);
	for (unsigned page = 0; page < 16; page++) {
		pfn frame = mm_rig_frame(&rig.mm, other, BASE + page * PAGE_SIZE);
		uint64_t structure = layout_struct_page(&rig.mm.layout, frame).addr;
		for (uint32_t i = 0; i < rig.mm.steps.count; i++) {
			const struct step *step = &rig.mm.steps.at[i];
			pages += (step->kind == STEP_ATOMIC || step->kind == STEP_CMPXCHG) && step->address >= structure &&
			         step->address < structure + 64;
		}
	}
	for (uint32_t i = 0; i < rig.mm.steps.count; i++)
		around += rig.mm.steps.at[i].kind == STEP_SPEND && rig.mm.steps.at[i].bytes == spent;
	assert_int_equal(pages, 16 * 4);
	assert_int_equal(around, 16);
	end(&rig);
}

/*
 * Pages found round a fault count as hits do: one miss, and sixteen less, so that a file read here and there is read around for
 * ever; with ranges of one page the 101st miss ends that. Would catch: mmap_miss left alone.
 */
static void found_pages_count_against_misses(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes, pages;
	} cases[] = {{65536, 110 * 32}, {4096, 100 * 32 + 10}};
	for (unsigned i = 0; i < 2; i++) {
		struct rig rig;
		begin(&rig, cases[i].bytes, false);
		process_id process = user_create(rig.mm.users, 0);
		map(&rig, process, 0, 120 * 4096, USER_FILE_SHARED, 0);
		for (uint64_t nr = 1; nr <= 110; nr++)
			touch(&rig, process, nr * 4096 + 4, 1, ACCESS_LOAD, 0);
		assert_int_equal(process_pages_lru(rig.kept)->counters.pgpgin, cases[i].pages);
		end(&rig);
	}
}

/*
 * As the area says: at random, a page a fault, and nothing round it from the disk; in turn, a window from the fault on; and what
 * is read in turn does not count as used. Would catch: advice that ends at the area, or never comes to who reads.
 */
static void read_as_advised(void **state)
{
	(void)state;
	struct rig rig;
	bool executable;
	begin(&rig, 65536, false);
	const struct lru_counters *counters = &process_pages_lru(rig.kept)->counters;
	process_id process = user_create(rig.mm.users, 0);
	map(&rig, process, 0, 4000, USER_FILE_SHARED, 0);
	assert_int_equal(user_advise(rig.mm.users, process, BASE, 2000, USER_READ_RANDOM, 0), USER_OK);
	assert_int_equal(user_advise(rig.mm.users, process, BASE + 2000 * PAGE_SIZE, 2000, USER_READ_SEQUENTIAL, 0), USER_OK);
	touch(&rig, process, 1000, 1, ACCESS_LOAD, 0);
	assert_int_equal(counters->pgpgin, 1);
	touch(&rig, process, 2000, 1, ACCESS_LOAD, 0);
	assert_int_equal(counters->pgpgin, 1 + 32);
	assert_int_not_equal(word_of(&rig, process, 2000) & WORD_ACCESSED, 0);
	pfn random = mm_rig_frame(&rig.mm, process, BASE + 1000 * PAGE_SIZE);
	pfn in_turn = mm_rig_frame(&rig.mm, process, BASE + 2000 * PAGE_SIZE);
	assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, random, &executable, 0), 1);
	assert_int_equal(rig.mm.users->ops->referenced(rig.mm.users, in_turn, &executable, 0), 0);
	assert_int_equal(word_of(&rig, process, 2000) & WORD_ACCESSED, 0);
	/* Nor when it is unmapped. */
	touch(&rig, process, 1000, 1, ACCESS_LOAD, 0);
	touch(&rig, process, 2000, 1, ACCESS_LOAD, 0);
	assert_int_equal(user_unmap(rig.mm.users, process, BASE, 4000, 0), USER_OK);
	assert_true(page_has(process_pages_lru(rig.kept), random.nr, PG_REFERENCED));
	assert_false(page_has(process_pages_lru(rig.kept), in_turn.nr, PG_REFERENCED));
	end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pages_in_memory_come_by_ranges),   cmocka_unit_test(a_range_ends_with_its_table),
	        cmocka_unit_test(a_range_may_begin_with_its_area),  cmocka_unit_test(marked_pages_are_for_faults_of_their_own),
	        cmocka_unit_test(pages_on_their_way_wait),          cmocka_unit_test(writes_come_alone),
	        cmocka_unit_test(shared_memory_comes_too),          cmocka_unit_test(what_a_range_costs),
	        cmocka_unit_test(found_pages_count_against_misses), cmocka_unit_test(read_as_advised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
