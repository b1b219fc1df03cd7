/* SPDX-License-Identifier: MIT
 *
 * test_mmu_usual.c - the usual way of accesses through the MMU (sim/mmu_usual.c) against the plain one, which a watched MMU
 * takes: the same streams, cut into other batches, give the same accesses and walk references, counters, entries in their order,
 * and accessed and dirty bits. The plain way has tests of its own (test_mmu_tlbs.c, test_walker.c).
 */
#include "tests/unit/mmu_rig.h"

#include "sim/rng.h"

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops, translation_x86_pae_ops,
        translation_x86_32_ops;

#define STREAM 4000u
#define PAGES 96u
#define LARGE_PAGES 8u
#define OUT_MAX (STREAM * 16u)

struct machine {
	const char *name;
	const char *lines[RIG_SPECS];
	bool usual; /* pages of 4 KiB are looked up the usual way */
};

/* Sets of one vector before two, three and four, sets that fill no vector, one set, orders that are not of use. */
static const struct machine machines[] = {
        {"two vectors",
         {"itlb entries=8 ways=4 serves=code", "dtlb entries=8 ways=4 serves=data", "stlb level=2 entries=32 ways=8"},
         true},
        {"three, xor",
         {"itlb entries=8 ways=8 serves=code", "dtlb entries=16 ways=4 serves=data",
          "dtlb_2m entries=4 ways=4 pages=2M+4M serves=data", "stlb level=2 entries=48 ways=12 pages=4K+2M+4M index=xor"},
         true},
        {"sets of larger pages",
         {"itlb entries=8 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data",
          "dtlb_2m entries=4 ways=2 pages=2M+4M serves=data", "stlb level=2 entries=48 ways=12 pages=4K+2M+4M index=xor"},
         true},
        {"four", {"tlb entries=4 ways=4", "stlb level=2 entries=32 ways=16"}, true},
        {"no vectors",
         {"itlb entries=4 ways=1 serves=code", "dtlb entries=4 ways=2 serves=data", "stlb level=2 entries=20 ways=5"},
         true},
        {"six ways",
         {"itlb entries=12 ways=6 serves=code", "dtlb entries=12 ways=6 serves=data", "stlb level=2 entries=40 ways=20"},
         true},
        {"one level", {"itlb entries=8 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data"}, true},
        {"sizes together",
         {"itlb entries=16 ways=all pages=4K+2M+4M serves=code", "dtlb entries=18 ways=all pages=4K+2M+4M serves=data",
          "itlb2 level=2 entries=32 ways=8 serves=code", "dtlb2 level=2 entries=96 ways=24 serves=data pages=4K+2M+4M"},
         true},
        {"not in order",
         {"tlb entries=16 ways=4 replacement=tree_plru", "stlb level=2 entries=48 ways=12 replacement=fifo"},
         false},
        {"no code in front", {"dtlb entries=8 ways=4 serves=data", "stlb level=2 entries=32 ways=8"}, true},
        {"inclusive", {"tlb entries=8 ways=4", "stlb level=2 entries=32 ways=8 inclusion=inclusive"}, false},
};

#define MACHINES (sizeof machines / sizeof *machines)

/* What a stream is made of besides pages of 4 KiB, and where its walks begin. */
struct mixture {
	bool from_top;                 /* walkers have no caches */
	bool large, globals, oddities; /* larger pages; global ones; addresses that are none and accesses over pages */
	bool kernel_large;             /* larger pages of the kernel's half */
};

struct world {
	struct rig rig;
	const struct translation_ops *mode;
	uint64_t next_page;
	struct access out[OUT_MAX];
	size_t made;
};

static const struct layout map = {.spans = {{0x100000000u, 0x10000ffffu, REGION_USER},
                                            {0x100010000u, UINT64_MAX, REGION_VMALLOC},
                                            {0, 0xffffffffu, REGION_DIRECT_MAP}}};

/* Pages from here on; 32-bit modes have less room. */
static uint64_t user_base(const struct translation_ops *mode)
{
	return mode->linear_bits == 32 ? 0x40000000u : 0x100000000u;
}

static uint64_t kernel_base(const struct translation_ops *mode)
{
	return mode->linear_bits == 32 ? 0xd0000000u : 0xffff880000000000u;
}

static enum page_size large_size(const struct translation_ops *mode)
{
	return mode == &translation_x86_32_ops ? PAGE_4M : PAGE_2M;
}

/* Pages come at first touch, but every seventh never does. */
static bool give_page(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code)
{
	struct world *world = context;
	uint64_t page = linear & ~(uint64_t)(PAGE_SIZE - 1);
	if (outcome != WALK_PAGE_FAULT || error_code & PF_PRESENT || (page >> PAGE_SHIFT) % 7 == 0)
		return false;
	world->next_page += PAGE_SIZE;
	return page_tables_map(&world->rig.tables, page, world->next_page | WORD_WRITE | WORD_USER | WORD_EXECUTE, PAGE_4K) ==
	       MAP_OK;
}

/* Rights, accessed and dirty bits of every sort, some pages left out, some global where the machine is to have them. */
static void map_pages(struct world *world, bool globals)
{
	for (unsigned page = 0; page < PAGES; page++) {
		uint64_t word = (uint64_t)(page + 0x800) << PAGE_SHIFT | WORD_USER | WORD_WRITE | WORD_EXECUTE | WORD_ACCESSED;
		word |= page % 3 ? WORD_DIRTY : 0;
		word &= ~(page % 11 == 5 ? WORD_WRITE : 0) & ~(page % 13 == 5 ? WORD_ACCESSED : 0);
		word &= ~(page % 17 == 5 ? WORD_USER : 0) & ~(page % 19 == 5 ? WORD_EXECUTE : 0);
		word |= globals && page % 5 == 2 ? WORD_GLOBAL : 0;
		if (page % 8 != 7)
			rig_map(&world->rig, user_base(world->mode) + ((uint64_t)page << PAGE_SHIFT), word, PAGE_4K);
		if (page % 4 == 0)
			rig_map(&world->rig, kernel_base(world->mode) + ((uint64_t)page << PAGE_SHIFT), word & ~WORD_USER,
			        PAGE_4K);
	}
	for (uint64_t page = 0; page < LARGE_PAGES; page++) {
		unsigned shift = page_size_shift(large_size(world->mode));
		rig_map(&world->rig, user_base(world->mode) + ((page + 16) << shift),
		        (page + 32) << shift | WORD_USER | WORD_WRITE | WORD_EXECUTE | (page % 2 ? WORD_DIRTY : 0),
		        large_size(world->mode));
		rig_map(&world->rig, kernel_base(world->mode) + ((page + 16) << shift),
		        (page + 48) << shift | WORD_WRITE | WORD_ACCESSED | (page % 2 ? WORD_DIRTY : 0), large_size(world->mode));
	}
}

static void world_begin(struct world *world, const struct translation_ops *mode, const struct machine *machine, enum simd simd,
                        struct mixture mixture, bool tells_region)
{
	rig_begin(&world->rig, mode, 0x1000000);
	world->mode = mode;
	world->next_page = 0x2000000;
	world->made = 0;
	map_pages(world, mixture.globals);
	walker_load_root(&world->rig.walker, world->rig.tables.root, 0);
	for (unsigned level = 1; level < mode->levels - (mode->root_registers > 0) && !mixture.from_top; level++)
		rig_structure_cache(&world->rig, level, level == 1 ? 4 : 2);
	world->rig.mmu.fault = give_page;
	world->rig.mmu.context = world;
	world->rig.mmu.layout = tells_region ? &map : NULL;
	rig_tlbs_simd(&world->rig, machine->lines, false, true, simd);
}

/* Everything that the two ways have in common has to be the same. */
static void compare(const struct world *usual, const struct world *plain, const char *name)
{
	if (usual->made != plain->made || memcmp(usual->out, plain->out, usual->made * sizeof *usual->out) != 0)
		fail_msg("%s, %s: other accesses came out", name, usual->mode->name);
	assert_memory_equal(&usual->rig.mmu.counters, &plain->rig.mmu.counters, sizeof usual->rig.mmu.counters);
	assert_memory_equal(usual->rig.mmu.level_counters, plain->rig.mmu.level_counters, sizeof usual->rig.mmu.level_counters);
	assert_memory_equal(&usual->rig.walker.counters, &plain->rig.walker.counters, sizeof usual->rig.walker.counters);
}

#define ENTRIES_MAX 256u

struct entries {
	struct tlb_entry entry[ENTRIES_MAX];
	size_t count;
};

static void keep_entry(void *context, struct tlb_entry entry)
{
	struct entries *entries = context;
	entry.word &= ~TLB_WORD_USED;
	assert_true(entries->count < ENTRIES_MAX);
	entries->entry[entries->count++] = entry;
}

/* Entries set by set, and in a set in the order in which they will go. */
static void compare_arrays(const struct tlb_level *usual, const struct tlb_level *plain)
{
	struct entries of_usual = {.count = 0}, of_plain = {.count = 0};
	usual->ops->visit(usual, keep_entry, &of_usual);
	plain->ops->visit(plain, keep_entry, &of_plain);
	assert_int_equal(of_usual.count, of_plain.count);
	assert_memory_equal(of_usual.entry, of_plain.entry, of_usual.count * sizeof *of_usual.entry);
	assert_memory_equal(&usual->counters, &plain->counters, sizeof usual->counters);
	assert_int_equal(usual->globals, plain->globals);
}

static void compare_worlds(const struct world *usual, const struct world *plain, const char *name)
{
	compare(usual, plain, name);
	for (unsigned i = 0; i < usual->rig.mmu.arrays_count; i++)
		compare_arrays(usual->rig.mmu.arrays[i], plain->rig.mmu.arrays[i]);
	for (unsigned level = 1; level < PAGING_LEVELS_MAX; level++)
		if (usual->rig.walker.structure[level])
			compare_arrays(usual->rig.walker.structure[level], plain->rig.walker.structure[level]);
	for (uint64_t page = 0; page < PAGES; page++) {
		enum page_size size;
		uint64_t linear = user_base(usual->mode) + (page << PAGE_SHIFT);
		assert_int_equal(page_tables_find(&usual->rig.tables, linear, &size),
		                 page_tables_find(&plain->rig.tables, linear, &size));
	}
}

/* ---- streams ---- */

static const enum access_kind kinds[] = {ACCESS_LOAD, ACCESS_LOAD, ACCESS_STORE, ACCESS_MODIFY, ACCESS_CODE, ACCESS_LOAD};

#define NOT_IN_TAGS (1ull << 60)
#define FAR_PAGE (1ull << 14)

static uint64_t pick_page(struct rng *rng, const struct translation_ops *mode, struct mixture mixture)
{
	unsigned which = rng_below(rng, 20);
	uint64_t page = rng_below(rng, 3) ? rng_below(rng, 12) : rng_below(rng, PAGES);
	if (which == 0)
		return kernel_base(mode) + (page << PAGE_SHIFT);
	if (which < 6 && mixture.kernel_large)
		return kernel_base(mode) + (16ull << page_size_shift(large_size(mode))) + (page << 17);
	if (which < 4 && mixture.large)
		return user_base(mode) + (16ull << page_size_shift(large_size(mode))) + (page << 17);
	/* An address that is none but for the bits that no tag keeps, and one that nothing is mapped at. */
	if (which == 5 && mixture.oddities && rng_below(rng, 2))
		return (user_base(mode) + (page << PAGE_SHIFT)) | NOT_IN_TAGS;
	if (which == 5 && mixture.oddities)
		return user_base(mode) + (FAR_PAGE + page) * PAGE_SIZE;
	return user_base(mode) + (page << PAGE_SHIFT);
}

static struct access pick_access(struct rng *rng, const struct translation_ops *mode, struct mixture mixture)
{
	bool crossing = mixture.oddities && rng_below(rng, 40) == 0;
	struct access access = {.address = pick_page(rng, mode, mixture) + (crossing ? 4090 : rng_below(rng, 4088)),
	                        .bytes = crossing ? 1 + rng_below(rng, rng_below(rng, 2) ? 12 : 9000) : 8,
	                        .cpu = (uint16_t)rng_below(rng, 4),
	                        .kind = (uint8_t)kinds[rng_below(rng, 6)],
	                        .region = 3};
	return access;
}

/* Batches of any length, into as little room as there may be or into none at all but counted. */
static void run(struct world *world, const struct access *stream, size_t count, struct rng *cuts, bool writes)
{
	for (size_t at = 0; at < count;) {
		size_t step = 1 + rng_below(cuts, 700), made = 0;
		if (step > count - at)
			step = count - at;
		assert_true(world->made + 4096 < OUT_MAX);
		at += mmu_run(&world->rig.mmu, stream + at, step, writes ? world->out + world->made : NULL,
		              MMU_ROOM + rng_below(cuts, 600), &made);
		world->made += made;
	}
}

/* Each access alone, as a memory under the clock has it: what the filter knows, what the first level is known to have, the rest.
 */
static void run_one_by_one(struct world *world, const struct access *stream, size_t count)
{
	struct mmu *mmu = &world->rig.mmu;
	for (size_t i = 0; i < count; i++) {
		struct access *out = world->out + world->made;
		size_t done = 0, made;
		assert_true(world->made + 4096 < OUT_MAX);
		struct mmu_place place = mmu_recent_access(mmu, stream[i].address, stream[i].bytes, stream[i].kind);
		const struct mmu_recent *known = NULL;
		if (!place.is_known)
			known = mmu_known_recent(mmu, stream[i].address, stream[i].bytes, stream[i].kind);
		if (known)
			place = mmu_place_by(mmu, stream[i].address, stream[i].kind, known);
		if (place.is_known) {
			*out = stream[i];
			out->address = place.physical;
			if (mmu->layout)
				out->region = place.region;
			world->made++;
			continue;
		}
		while (done == 0) {
			done = mmu_run(mmu, &stream[i], 1, world->out + world->made, MMU_ROOM, &made);
			world->made += made;
		}
	}
}

/* A larger page of the kernel's becomes small ones, in the frames of others; translations of old stay in use. */
static void split_large(struct world *world, uint64_t number)
{
	unsigned shift = page_size_shift(large_size(world->mode));
	uint64_t linear = kernel_base(world->mode) + ((16 + number) << shift);
	enum page_size size;
	if (!page_tables_find(&world->rig.tables, linear, &size) || size == PAGE_4K)
		return;
	page_tables_unmap(&world->rig.tables, linear);
	for (uint64_t inside = 0; inside < 1ull << shift; inside += 1u << 17)
		rig_map(&world->rig, linear + inside, (0x30000000 + inside) | WORD_WRITE | WORD_ACCESSED | WORD_DIRTY, PAGE_4K);
}

/* Something other than accesses happens to a world: an instruction of its core, or the kernel changes a page. */
static void disturb(struct world *world, struct rng *rng, struct mixture mixture)
{
	struct mmu *mmu = &world->rig.mmu;
	uint64_t linear = user_base(world->mode) + ((uint64_t)rng_below(rng, PAGES) << PAGE_SHIFT);
	unsigned pcid = rng_below(rng, 3), what = rng_below(rng, mixture.kernel_large ? 9 : 8);
	enum page_size size;
	uint64_t word = page_tables_find(&world->rig.tables, linear, &size);
	if (what == 8)
		split_large(world, rng_below(rng, LARGE_PAGES));
	else if (what == 0)
		mmu_invlpg(mmu, linear);
	else if (what == 1)
		mmu_invpcid(mmu, (enum invpcid)rng_below(rng, 4), pcid, linear);
	else if (what < 4)
		mmu_write_cr3(mmu, world->rig.tables.root, pcid, what == 2);
	else if (what == 4 && mixture.globals)
		mmu_toggle_global_pages(mmu, !mmu->walker->controls.global_pages);
	/* The kernel forgets to invalidate, or does so: entries of old stay in use. */
	else if (what == 5 && word)
		page_tables_change(&world->rig.tables, linear, word ^ (rng_below(rng, 2) ? WORD_WRITE : WORD_DIRTY));
	else if (what == 6 && word)
		page_tables_change(&world->rig.tables, linear, (word & ~WORD_ACCESSED) ^ (0x40ull << PAGE_SHIFT));
	else if (what == 7 && word) {
		page_tables_unmap(&world->rig.tables, linear);
		mmu_invlpg(mmu, linear);
	}
}

static struct world usual, plain;

/* How the usual world gets its stream. */
enum way { BATCHES, COUNTED, ONE_BY_ONE };

static void compare_ways(const struct machine *machine, const struct translation_ops *mode, enum simd simd,
                         struct mixture mixture, enum way way)
{
	bool writes = way != COUNTED;
	static struct access stream[STREAM];
	struct rng rng, cuts;
	rng_init(&rng, (uint64_t)(machine - machines), mode->name);
	rng_init(&cuts, simd, machine->name);
	world_begin(&usual, mode, machine, simd, mixture, writes);
	world_begin(&plain, mode, machine, SIMD_PLAIN, mixture, writes);
	mmu_watch(&plain.rig.mmu, NULL);
	for (size_t done = 0; done < STREAM;) {
		size_t part = 1 + rng_below(&rng, 300);
		part = part > STREAM - done ? STREAM - done : part;
		for (size_t i = 0; i < part; i++)
			stream[done + i] = pick_access(&rng, mode, mixture);
		if (way == ONE_BY_ONE)
			run_one_by_one(&usual, stream + done, part);
		else
			run(&usual, stream + done, part, &cuts, writes);
		run(&plain, stream + done, part, &cuts, writes);
		struct rng again = rng;
		disturb(&usual, &rng, mixture);
		disturb(&plain, &again, mixture);
		done += part;
		compare(&usual, &plain, machine->name);
	}
	compare_worlds(&usual, &plain, machine->name);
	if (simd == SIMD_AUTO && machine->usual && !mixture.large && !mixture.globals && !mixture.kernel_large)
		assert_true(usual.rig.mmu.counters.miss_walks > 100);
	rig_end(&usual.rig);
	rig_end(&plain.rig);
}

static const struct mixture mixtures[] = {{.oddities = false},
                                          {.oddities = true},
                                          {.globals = true, .oddities = true},
                                          {.large = true, .oddities = true},
                                          {.large = true, .globals = true, .oddities = true},
                                          {.kernel_large = true},
                                          {.kernel_large = true, .oddities = true},
                                          {.kernel_large = true, .large = true, .globals = true},
                                          {.from_top = true},
                                          {.from_top = true, .oddities = true},
                                          {.from_top = true, .large = true, .oddities = true},
                                          {.from_top = true, .kernel_large = true, .globals = true, .oddities = true}};

/* Every machine in every mode. Would catch: a way found that is not the word's, an order of use, a victim or a counter other than
 * those of the plain way; a walk from the top past a right or a larger page, or that names another level; a stale
 * table's bytes; a word taken for one of another PCID or of a global page; a half of the address
 * space that is looked up although it has larger pages. */
static void both_ways_are_one(void **state)
{
	(void)state;
	static const struct translation_ops *const modes[] = {&translation_x86_4level_ops, &translation_x86_5level_ops,
	                                                      &translation_x86_pae_ops, &translation_x86_32_ops};
	for (size_t machine = 0; machine < MACHINES; machine++)
		for (size_t mode = 0; mode < sizeof modes / sizeof *modes; mode++)
			for (size_t mixture = 0; mixture < sizeof mixtures / sizeof *mixtures; mixture++)
				compare_ways(&machines[machine], modes[mode], mixture % 2 ? SIMD_PLAIN : SIMD_AUTO,
				             mixtures[mixture], BATCHES);
}

/* The same, an access at a time. Would catch: a larger page that is known by an address space, a size, or rights that it has not
 * any more; a use of it that the first level does not see. */
static void alone_and_together_are_one(void **state)
{
	(void)state;
	for (size_t machine = 0; machine < MACHINES; machine++)
		for (size_t mixture = 0; mixture < sizeof mixtures / sizeof *mixtures; mixture++) {
			compare_ways(&machines[machine], &translation_x86_4level_ops, SIMD_AUTO, mixtures[mixture], ONE_BY_ONE);
			compare_ways(&machines[machine], &translation_x86_32_ops, SIMD_PLAIN, mixtures[mixture], ONE_BY_ONE);
		}
}

/* The plain words' loop and the vectors' on the same, and accesses that are only counted. */
static void words_and_vectors_are_one(void **state)
{
	(void)state;
	for (size_t machine = 0; machine < MACHINES; machine++)
		for (unsigned simd = 0; simd < 2; simd++) {
			compare_ways(&machines[machine], &translation_x86_4level_ops, simd ? SIMD_AUTO : SIMD_PLAIN, mixtures[1],
			             BATCHES);
			compare_ways(&machines[machine], &translation_x86_4level_ops, simd ? SIMD_AUTO : SIMD_PLAIN, mixtures[1],
			             COUNTED);
		}
}

/* A frame that held a page table is given up and written anew: other frames are found there from then on. */
static void table_written_anew(void **state)
{
	(void)state;
	static const struct machine machine = {
	        "few", {"dtlb entries=4 ways=4 serves=data", "itlb entries=4 ways=4 serves=code"}, true};
	enum { FEW = 5 };
	uint64_t raw[FEW], moved = 1ull << 24, table = 0, other = 0x8000000, base = user_base(&translation_x86_4level_ops);
	struct access out[MMU_ROOM];
	world_begin(&usual, &translation_x86_4level_ops, &machine, SIMD_AUTO, (struct mixture){.large = false}, false);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned page = 0; page < FEW; page++) {
			uint64_t linear = base + page * PAGE_SIZE;
			size_t made = rig_access(&usual.rig, ACCESS_LOAD, linear, 8, out, MMU_ROOM);
			assert_int_equal(out[made - 1].address, ((uint64_t)(page + 0x800) << PAGE_SHIFT) + turn * moved);
			if (made > 1 && turn == 0)
				table = out[made - 2].address & ~(uint64_t)(PAGE_SIZE - 1);
		}
		assert_true(table != 0);
		for (unsigned page = 0; page < FEW; page++)
			raw[page] = physical_memory_read(&usual.rig.memory, table + page * 8, 8);
		physical_memory_forget(&usual.rig.memory, table);
		/* Another frame is to get the bytes that this one had. */
		for (unsigned page = 0; page < FEW; page++) {
			physical_memory_write(&usual.rig.memory, other + page * 8, 8, raw[page] + 2 * moved);
			physical_memory_write(&usual.rig.memory, table + page * 8, 8, raw[page] + moved);
		}
	}
	usual.rig.tables.root = FRAME_NONE; /* its pages are not those that were mapped */
	rig_end(&usual.rig);
}

/* The first larger page there is lies where the tables do: a walk that took its entry for one of a table would go on in them. */
static void larger_page_over_tables(void **state)
{
	(void)state;
	static const struct machine machine = {
	        "few", {"dtlb entries=4 ways=4 serves=data", "itlb entries=4 ways=4 serves=code"}, true};
	const uint64_t base = user_base(&translation_x86_4level_ops), linear = base + ((uint64_t)(16 + LARGE_PAGES) << 21);
	struct access out[MMU_ROOM];
	world_begin(&usual, &translation_x86_4level_ops, &machine, SIMD_AUTO, (struct mixture){.from_top = true}, false);
	uint64_t tables = usual.rig.tables.root;
	assert_int_equal(tables % page_size_bytes(PAGE_2M), 0);
	rig_map(&usual.rig, linear, tables | WORD_USER | WORD_WRITE | WORD_EXECUTE | WORD_ACCESSED | WORD_DIRTY, PAGE_2M);
	rig_access(&usual.rig, ACCESS_LOAD, base + PAGE_SIZE, 8, out, MMU_ROOM);
	size_t made = rig_access(&usual.rig, ACCESS_LOAD, linear, 8, out, MMU_ROOM);
	assert_int_equal(made, 4); /* three references of the walk */
	assert_int_equal(out[made - 1].address, tables);
	rig_end(&usual.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_ways_are_one),          cmocka_unit_test(words_and_vectors_are_one),
	        cmocka_unit_test(alone_and_together_are_one), cmocka_unit_test(table_written_anew),
	        cmocka_unit_test(larger_page_over_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
