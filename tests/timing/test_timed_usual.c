/* SPDX-License-Identifier: MIT
 *
 * test_timed_usual.c - accesses that a core makes in place (sim/usual_lines.h) against the same ones made by a memory whose MMU
 * is watched, and so looks up every page: the same cycles, counters, TLBs and lines, on random machines with larger pages, while
 * pages are mapped anew, rights change, and translations go.
 */
#include "tests/timing/random_machines.h"
#include "tests/unit/mmu_rig.h"

#include "sim/usual_lines.h"

extern const struct translation_ops translation_x86_4level_ops;

#define MACHINES 120u
#define REQUESTS 4000u
#define SMALL_PAGES 24u
#define LARGE_PAGES 12u
#define KERNEL 0xffff880000000000u
#define GIGABYTE 0xffff890000000000u
#define USER 0x100000000u

struct world {
	struct rig rig;
	struct machine_rig machine;
};

static const char *const tlbs[][RIG_SPECS] = {
        {"itlb entries=8 ways=8 serves=code", "itlb_2m entries=8 ways=8 pages=2M+4M serves=code",
         "dtlb entries=16 ways=4 serves=data", "dtlb_2m entries=8 ways=4 pages=2M+4M serves=data",
         "dtlb_1g entries=4 ways=4 pages=1G serves=data", "stlb level=2 entries=48 ways=12 pages=4K+2M+4M index=xor latency=9",
         "stlb_1g level=2 entries=4 ways=4 pages=1G latency=9"},
        {"dtlb entries=8 ways=all pages=4K+2M+4M+1G", "stlb level=2 entries=32 ways=8 pages=4K+2M+4M+1G latency=7"},
        {"dtlb entries=8 ways=4 replacement=tree_plru serves=data",
         "dtlb_2m entries=8 ways=4 pages=2M+1G replacement=tree_plru serves=data", "itlb entries=8 ways=4 serves=code"},
};

static void map_all(struct world *world)
{
	const uint64_t rights = WORD_WRITE | WORD_ACCESSED | WORD_EXECUTE;
	for (uint64_t page = 0; page < SMALL_PAGES; page++)
		rig_map(&world->rig, USER + (page << PAGE_SHIFT),
		        (page + 0x800) << PAGE_SHIFT | rights | WORD_USER | (page % 3 ? WORD_DIRTY : 0), PAGE_4K);
	for (uint64_t page = 0; page < LARGE_PAGES; page++)
		rig_map(&world->rig, KERNEL + (page << 21), (page + 16) << 21 | rights | (page % 3 ? WORD_DIRTY : 0), PAGE_2M);
	rig_map(&world->rig, GIGABYTE, 1ull << 30 | rights | WORD_DIRTY, PAGE_1G);
}

static bool begin(struct world *world, const char *const *tlb_lines, const char *const *cache_lines)
{
	rig_begin(&world->rig, &translation_x86_4level_ops, 0x1000000);
	map_all(world);
	rig_tlbs(&world->rig, tlb_lines, false, true);
	machine_rig_settings(&world->machine, 1, cache_lines);
	return machine_rig_make(&world->machine, "timed", &world->rig.mmu);
}

static void end(struct world *world)
{
	machine_rig_release(&world->machine);
	rig_end(&world->rig);
}

/* A word, now and then of no bytes or over two lines: of few lines of few pages as a rule. */
static struct memory_request make_request(struct rng *rng)
{
	static const uint8_t kinds[] = {ACCESS_LOAD,   ACCESS_LOAD, ACCESS_STORE,    ACCESS_STORE,
	                                ACCESS_MODIFY, ACCESS_LOAD, ACCESS_PREFETCH, ACCESS_CODE};
	static const uint32_t sizes[] = {8, 8, 8, 8, 4, 1, 0, 64};
	const unsigned where = rng_below(rng, 8);
	const uint64_t page = rng_below(rng, 8) ? rng_below(rng, 3) : rng_below(rng, SMALL_PAGES);
	uint64_t inside = rng_below(rng, 8) ? (rng_below(rng, 5) * 72 + page * 640) % PAGE_SIZE : rng_below(rng, PAGE_SIZE);
	uint64_t base = USER + (page << PAGE_SHIFT);
	if (where < 5)
		base = KERNEL + (page % LARGE_PAGES << 21) + 0x2000;
	else if (where < 6)
		base = GIGABYTE + (page << 22) + 0x4000;
	const uint8_t kind = kinds[rng_below(rng, 8)];
	return (struct memory_request){.address = base + inside,
	                               .bytes = sizes[rng_below(rng, 8)],
	                               .kind = kind,
	                               .is_locked = kind == ACCESS_MODIFY && rng_below(rng, 3) == 0};
}

/* An instruction of the core, or the kernel changes a page, with or without telling the TLBs. */
static void disturb(struct world *world, struct rng *rng)
{
	struct page_tables *tables = &world->rig.tables;
	const unsigned what = rng_below(rng, 6);
	const bool is_large = rng_below(rng, 2);
	const uint64_t linear = is_large ? KERNEL + ((uint64_t)rng_below(rng, LARGE_PAGES) << 21)
	                                 : USER + ((uint64_t)rng_below(rng, SMALL_PAGES) << PAGE_SHIFT);
	const struct tlb_scope scope = tlb_scope_invlpg(linear, world->rig.walker.pcid);
	enum page_size size;
	const uint64_t word = page_tables_find(tables, linear, &size);
	if (what < 2)
		page_tables_change(tables, linear, word ^ (is_large ? 1ull << 26 : 0x40ull << PAGE_SHIFT));
	else if (what == 2)
		page_tables_change(tables, linear, word ^ WORD_DIRTY);
	if (what == 3)
		memory_switch_space(world->machine.memory, 0, tables->root, rng_below(rng, 3), rng_below(rng, 2));
	else if (what < 5)
		memory_invalidate(world->machine.memory, 0, &scope);
}

struct told {
	uint64_t tag, word;
};

struct entries {
	struct told entry[256];
	size_t count;
};

static void keep_entry(void *context, struct tlb_entry entry)
{
	struct entries *entries = context;
	assert_true(entries->count < 256);
	entries->entry[entries->count++] = (struct told){entry.tag, entry.word & ~TLB_WORD_USED};
}

static void compare_worlds(struct world *usual, struct world *plain, const char *what)
{
	const struct mmu *one = &usual->rig.mmu, *other = &plain->rig.mmu;
	memory_settle(usual->machine.memory);
	compare_counters(&usual->machine, "in place", &plain->machine, "plainly", what);
	assert_memory_equal(&one->counters, &other->counters, sizeof one->counters);
	assert_memory_equal(one->level_counters, other->level_counters, sizeof one->level_counters);
	for (unsigned i = 0; i < one->arrays_count; i++) {
		struct entries of_one = {.count = 0}, of_other = {.count = 0};
		one->arrays[i]->ops->visit(one->arrays[i], keep_entry, &of_one);
		other->arrays[i]->ops->visit(other->arrays[i], keep_entry, &of_other);
		assert_int_equal(of_one.count, of_other.count);
		assert_memory_equal(of_one.entry, of_other.entry, of_one.count * sizeof *of_one.entry);
	}
}

/* Returns how many accesses were made in place. */
static unsigned compare_runs(struct world *usual, struct world *plain, struct rng *rng, const char *what)
{
	unsigned in_place = 0;
	cycle now = 0;
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct memory_request request = make_request(rng);
		request.now = now;
		struct usual_lines *lines = &usual->machine.memory->usual[request.kind == ACCESS_CODE ? MMU_CODE : MMU_DATA];
		cycle first = usual_lines_access(lines, request.address, request.bytes, request.kind, now);
		const cycle locked = request.is_locked ? lines->locked_cycles : 0;
		cycle done =
		        first > 0 ? now + first + locked : memory_access(usual->machine.memory, &request, &usual->machine.cost);
		cycle expected = memory_access(plain->machine.memory, &request, &plain->machine.cost);
		if (done != expected)
			fail_msg("%s: request %u is done at %llu in place, at %llu plainly", what, i, (unsigned long long)done,
			         (unsigned long long)expected);
		in_place += first > 0;
		now = rng_below(rng, 4) ? now + rng_below(rng, 6) : done;
		now += rng_below(rng, 60) ? 0 : 1000;
		if (rng_below(rng, 80) > 0)
			continue;
		struct rng again = *rng;
		disturb(usual, rng);
		disturb(plain, &again);
		if (rng_below(rng, 4) == 0)
			compare_worlds(usual, plain, what);
	}
	compare_worlds(usual, plain, what);
	return in_place;
}

/* Would catch: a line taken for the one of another frame, or of a page that forbids the access now; one that had gone; a use that
 * the set's order, its tree, or the filter in front of it does not see; a store that leaves its line clean; an access over the
 * line's end; a line on its way taken for one that is there; a port's wait, or the count of an access, forgotten. */
static void in_place_is_as_plain(void **state)
{
	(void)state;
	static const char *const policies[] = {"lru", "tree_plru", "tree_plru", "tree_plru", "random", "fifo", "bit_plru"};
	static const char *const waits[] = {"", " ports=1", " ports=2", " slots=3 ports=3"};
	static struct world usual, plain;
	struct rng rng;
	rng_init(&rng, 7, "usual");
	unsigned in_place = 0;
	for (unsigned number = 0; number < MACHINES; number++) {
		char first[LINE_TEXT], what[3 * LINE_TEXT];
		const char *const lines[] = {first, "l2 size=4KiB ways=4", "llc size=16KiB ways=8 cores=all inclusion=inclusive",
		                             NULL};
		const char *const *tlb_lines = tlbs[rng_below(&rng, sizeof tlbs / sizeof *tlbs)];
		snprintf(first, sizeof first, "l1 size=%uB ways=%u replacement=%s%s", 1024u << rng_below(&rng, 3),
		         1u << rng_below(&rng, 4), pick(&rng, policies, 7), pick(&rng, waits, 4));
		snprintf(what, sizeof what, "machine %u: %s; %s", number, first, tlb_lines[0]);
		assert_true(begin(&usual, tlb_lines, lines) && begin(&plain, tlb_lines, lines));
		mmu_watch(&plain.rig.mmu, NULL);
		in_place += compare_runs(&usual, &plain, &rng, what);
		end(&usual);
		end(&plain);
	}
	assert_true(in_place > MACHINES * REQUESTS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(in_place_is_as_plain)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
