/* SPDX-License-Identifier: MIT
 *
 * test_mmu_tlbs.c - TLBs of many arrangements, under each policy that draws no lots, against a second model that knows nothing of
 * filters or batches: an array is a list of entries, searched from end to end; plain_set.h says which of a set has to go.
 */
#include "tests/unit/mmu_rig.h"
#include "tests/unit/plain_set.h"

#include "sim/rng.h"

extern const struct translation_ops translation_x86_4level_ops;

/* ---- the second model ---- */

#define SLOW_ENTRIES 2048

struct slow_entry {
	uint64_t page; /* number, in pages of its size */
	enum page_size size;
	unsigned pcid;
	bool global, valid;
};

struct slow_array {
	uint32_t sets, ways, level;
	char policy[16];
	bool xored;
	bool keeps[PAGE_SIZES], code, data;
	enum tlb_inclusion inclusion;
	struct slow_entry entries[SLOW_ENTRIES];
	struct plain_set *set; /* ways of the same numbers, for their order; owned */
};

struct slow {
	struct slow_array arrays[RIG_SPECS];
	unsigned count, levels;
	uint64_t hits[MMU_LEVELS_MAX][ACCESS_KINDS], misses[MMU_LEVELS_MAX][ACCESS_KINDS];
};

/* What an address maps to, told by the test. */
struct mapping {
	enum page_size size;
	bool global;
};

static uint32_t slow_set(const struct slow_array *array, uint64_t page)
{
	if (array->xored) {
		uint64_t folded = page % array->sets ^ page / array->sets % array->sets;
		return (uint32_t)folded;
	}
	return (uint32_t)((page & TLB_NUMBER) % array->sets);
}

static struct plain_set *set_of(const struct slow_array *array, const struct slow_entry *entry)
{
	return &array->set[(unsigned)(entry - array->entries) / array->ways];
}

static unsigned way_of(const struct slow_array *array, const struct slow_entry *entry)
{
	return (unsigned)(entry - array->entries) % array->ways;
}

static void slow_use(struct slow_array *array, const struct slow_entry *entry)
{
	plain_set_use(set_of(array, entry), array->ways, way_of(array, entry));
}

static void slow_remove(struct slow_array *array, struct slow_entry *entry)
{
	plain_remove(&set_of(array, entry)->way[way_of(array, entry)]);
	entry->valid = false;
}

static struct slow_entry *slow_find(struct slow_array *array, uint64_t linear, enum page_size size, unsigned pcid)
{
	uint64_t page = linear >> page_size_shift(size) & TLB_NUMBER;
	for (unsigned global = 0; global < 2; global++)
		for (unsigned i = 0; i < array->sets * array->ways; i++) {
			struct slow_entry *entry = &array->entries[i];
			if (entry->valid && entry->page == page && entry->size == size && entry->global == global &&
			    (global || entry->pcid == pcid))
				return entry;
		}
	return NULL;
}

static bool slow_serves(const struct slow_array *array, unsigned level, bool code, enum page_size size)
{
	return array->level == level && array->keeps[size] && (code ? array->code : array->data);
}

static void slow_fill(struct slow *slow, unsigned level, bool code, struct slow_entry entry);

static void slow_evicted(struct slow *slow, const struct slow_array *from, bool code, struct slow_entry entry)
{
	if (from->inclusion == TLB_INCLUSIVE)
		for (unsigned i = 0; i < slow->count; i++) {
			struct slow_array *above = &slow->arrays[i];
			if (above->level >= from->level || !above->keeps[entry.size])
				continue;
			for (unsigned e = 0; e < above->sets * above->ways; e++)
				if (above->entries[e].valid && above->entries[e].page == entry.page &&
				    above->entries[e].size == entry.size && above->entries[e].global == entry.global &&
				    (entry.global || above->entries[e].pcid == entry.pcid))
					slow_remove(above, &above->entries[e]);
		}
	for (unsigned i = 0; i < slow->count; i++) {
		struct slow_array *below = &slow->arrays[i];
		if (!slow_serves(below, from->level + 1, code, entry.size) || below->inclusion != TLB_EXCLUSIVE)
			continue;
		struct slow_entry *there = slow_find(below, entry.page << page_size_shift(entry.size), entry.size, entry.pcid);
		if (there)
			slow_use(below, there);
		else
			slow_fill(slow, below->level, code, entry);
	}
}

static void slow_fill(struct slow *slow, unsigned level, bool code, struct slow_entry entry)
{
	for (unsigned i = 0; i < slow->count; i++) {
		struct slow_array *array = &slow->arrays[i];
		if (!slow_serves(array, level, code, entry.size))
			continue;
		const uint32_t number = slow_set(array, entry.page);
		struct plain_set *set = &array->set[number];
		const unsigned way = plain_set_victim(set, array->ways, array->policy);
		struct slow_entry *place = &array->entries[number * array->ways + way], old = *place;
		plain_set_put(set, array->ways, way, (struct plain_way){0});
		entry.valid = true;
		*place = entry;
		if (old.valid)
			slow_evicted(slow, array, code, old);
	}
}

static bool level_is(const struct slow *slow, unsigned level, enum tlb_inclusion inclusion)
{
	for (unsigned i = 0; i < slow->count; i++)
		if (slow->arrays[i].level == level)
			return slow->arrays[i].inclusion == inclusion;
	return false;
}

static bool level_keeps(const struct slow *slow, unsigned level, bool code, enum page_size size)
{
	for (unsigned i = 0; i < slow->count; i++)
		if (slow_serves(&slow->arrays[i], level, code, size))
			return true;
	return false;
}

static void slow_access(struct slow *slow, enum access_kind kind, uint64_t linear, unsigned pcid, struct mapping mapping)
{
	bool code = kind == ACCESS_CODE;
	unsigned level = 1;
	struct slow_entry found = {.page = linear >> page_size_shift(mapping.size) & TLB_NUMBER,
	                           .size = mapping.size,
	                           .pcid = mapping.global ? 0 : pcid,
	                           .global = mapping.global};
	bool hit = false;
	for (; level <= slow->levels && !hit; level++) {
		for (unsigned i = 0; i < slow->count && !hit; i++) {
			struct slow_array *array = &slow->arrays[i];
			for (unsigned size = 0; size < PAGE_SIZES && !hit; size++) {
				struct slow_entry *entry = slow_serves(array, level, code, (enum page_size)size)
				                                   ? slow_find(array, linear, (enum page_size)size, pcid)
				                                   : NULL;
				if (!entry)
					continue;
				hit = true;
				found.size = entry->size;
				slow_use(array, entry);
				if (array->inclusion == TLB_EXCLUSIVE)
					slow_remove(array, entry);
			}
		}
		if (hit)
			slow->hits[level - 1][kind]++;
		else
			slow->misses[level - 1][kind]++;
	}
	/* On a hit, `level` is one beyond the level that hit. */
	for (unsigned above = hit ? level - 2 : slow->levels; above >= 1; above--) {
		struct slow_entry piece = found;
		while (piece.size != PAGE_4K && !level_keeps(slow, above, code, piece.size))
			piece.size--;
		piece.page = linear >> page_size_shift(piece.size) & TLB_NUMBER;
		if (!level_is(slow, above, TLB_EXCLUSIVE))
			slow_fill(slow, above, code, piece);
	}
}

static void slow_invalidate(struct slow *slow, const struct tlb_scope *scope)
{
	for (unsigned i = 0; i < slow->count; i++)
		for (unsigned e = 0; e < slow->arrays[i].sets * slow->arrays[i].ways; e++) {
			struct slow_entry *entry = &slow->arrays[i].entries[e];
			bool page =
			        !scope->one_page || entry->page == (scope->linear >> page_size_shift(entry->size) & TLB_NUMBER);
			bool space = entry->global ? scope->globals : !scope->one_pcid || entry->pcid == scope->pcid;
			if (entry->valid && page && space)
				slow_remove(&slow->arrays[i], entry);
		}
}

static void slow_begin(struct slow *slow, const char *const *lines)
{
	memset(slow, 0, sizeof *slow);
	for (; lines[slow->count]; slow->count++) {
		struct tlb_spec spec = {0};
		struct slow_array *array = &slow->arrays[slow->count];
		struct error error = {0};
		assert_true(tlb_spec_read(lines[slow->count], "test", &spec, &error));
		array->ways = spec.ways ? spec.ways : spec.entries;
		array->sets = spec.entries / array->ways;
		assert_true(spec.entries <= SLOW_ENTRIES);
		array->level = spec.level;
		snprintf(array->policy, sizeof array->policy, "%s", spec.replacement);
		assert_true(array->ways <= WAYS_MAX);
		array->set = xcalloc(array->sets, sizeof *array->set);
		array->xored = spec.index == INDEX_XOR;
		array->code = spec.serves != TLB_SERVES_DATA;
		array->data = spec.serves != TLB_SERVES_CODE;
		array->inclusion = spec.inclusion;
		for (unsigned size = 0; size < PAGE_SIZES; size++)
			array->keeps[size] = strstr(spec.pages, page_size_name((enum page_size)size)) != NULL;
		if (spec.level > slow->levels)
			slow->levels = spec.level;
		tlb_spec_release(&spec);
	}
}

static void slow_end(struct slow *slow)
{
	for (unsigned i = 0; i < slow->count; i++)
		free(slow->arrays[i].set);
}

static void compare_counts(const struct slow *slow, const struct mmu *mmu, const char *what)
{
	for (unsigned level = 0; level < slow->levels; level++)
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
			uint64_t hits = 0, misses = 0;
			for (unsigned size = 0; size < PAGE_SIZES; size++) {
				hits += mmu->level_counters[level].hits[kind][size];
				misses += mmu->level_counters[level].misses[kind][size];
			}
			if (hits != slow->hits[level][kind] || misses != slow->misses[level][kind])
				fail_msg("%s: level %u kind %u: %llu hits %llu misses, the second model has %llu and %llu", what,
				         level + 1, kind, (unsigned long long)hits, (unsigned long long)misses,
				         (unsigned long long)slow->hits[level][kind],
				         (unsigned long long)slow->misses[level][kind]);
		}
}

static void count_entry(void *context, struct tlb_entry entry)
{
	struct slow_array *array = context;
	uint64_t linear = (entry.tag & TLB_NUMBER) << page_size_shift(tlb_tag_size(entry.tag));
	const struct slow_entry *there = slow_find(array, linear, tlb_tag_size(entry.tag), tlb_tag_pcid(entry.tag));
	assert_non_null(there);
	assert_int_equal(there->global, (entry.tag & TLB_GLOBAL) != 0);
}

static void compare_contents(struct slow *slow, const struct mmu *mmu)
{
	for (unsigned i = 0; i < slow->count; i++) {
		uint64_t entries = 0;
		for (unsigned e = 0; e < slow->arrays[i].sets * slow->arrays[i].ways; e++)
			entries += slow->arrays[i].entries[e].valid;
		assert_int_equal(mmu->arrays[i]->ops->entries(mmu->arrays[i]), entries);
		mmu->arrays[i]->ops->visit(mmu->arrays[i], count_entry, &slow->arrays[i]);
	}
}

/* ---- streams ---- */

/* Pages that are asked for: some again and again, some in turns, some anywhere, as wide as `span` pages. */
static uint64_t next_page(struct rng *rng, uint64_t turn, uint32_t span)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return rng_below(rng, 1 + span / 16);
	case 1:
		return turn % span; /* round and round: what LRU is worst at */
	case 2:
		return turn / 5 % 7 * 16 % span; /* the same sets over and over */
	default:
		return rng_below(rng, span);
	}
}

/* ---- untranslated: whole batches, access by access, and the second model ---- */

struct arrangement {
	const char *name;
	const char *lines[RIG_SPECS];
};

#define LINE_LENGTH 160

/* An arrangement whose arrays have a policy. */
struct policed {
	char name[LINE_LENGTH], text[RIG_SPECS][LINE_LENGTH];
	const char *lines[RIG_SPECS];
};

static void make_policed(struct policed *policed, const struct arrangement *arrangement, const char *policy)
{
	memset(policed, 0, sizeof *policed);
	snprintf(policed->name, sizeof policed->name, "%s, %s", arrangement->name, policy);
	for (unsigned i = 0; arrangement->lines[i]; i++) {
		int length = snprintf(policed->text[i], LINE_LENGTH, "%s replacement=%s", arrangement->lines[i], policy);
		assert_true(length < LINE_LENGTH);
		policed->lines[i] = policed->text[i];
	}
}

static const struct arrangement untranslated[] = {
        {"two levels, split",
         {"itlb entries=16 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data", "stlb level=2 entries=96 ways=12"}},
        {"1536 entries of 12 ways",
         {"itlb entries=128 ways=8 serves=code", "dtlb entries=64 ways=4 serves=data", "stlb level=2 entries=1536 ways=12"}},
        {"sets that are no power of two", {"tlb entries=60 ways=4", "stlb level=2 entries=210 ways=7"}},
        {"fully associative, joint", {"tlb entries=24 ways=all"}},
        {"code at the third level only",
         {"a entries=8 ways=1 serves=data", "b level=2 entries=32 ways=2 serves=data", "c level=3 entries=128 ways=all"}},
        {"split at the second level, too",
         {"a entries=8 ways=2", "bi level=2 entries=32 ways=4 serves=code", "bd level=2 entries=64 ways=4 serves=data",
          "c level=3 entries=256 ways=8"}},
        {"xor index", {"tlb entries=64 ways=4 index=xor", "stlb level=2 entries=512 ways=4 index=xor"}},
        {"xor index under a linear one", {"tlb entries=60 ways=5", "stlb level=2 entries=96 ways=6 index=xor"}},
        {"data only", {"dtlb entries=64 ways=4 serves=data", "stlb level=2 entries=96 ways=12 serves=data"}},
};

static const enum access_kind kinds[] = {ACCESS_LOAD, ACCESS_STORE, ACCESS_CODE, ACCESS_MODIFY, ACCESS_LOAD};

#define STREAM 6000

/* Accesses, some over the end of a page, that the second model has seen. */
static void make_stream(struct access stream[STREAM], struct slow *slow, struct rng *rng, const struct arrangement *arrangement)
{
	const bool code_is_served = strcmp(arrangement->name, "data only") != 0;
	const uint32_t span = strstr(arrangement->name, "1536") ? 3000 : 300;
	for (unsigned n = 0; n < STREAM; n++) {
		uint64_t page = next_page(rng, n, span);
		bool crossing = rng_below(rng, 50) == 0;
		stream[n] = (struct access){.address = page << PAGE_SHIFT | (crossing ? 4090 : rng_below(rng, 4000)),
		                            .bytes = crossing ? 1 + rng_below(rng, 9000) : 8,
		                            .kind = (uint8_t)kinds[rng_below(rng, 5)]};
		uint64_t last = (stream[n].address + stream[n].bytes - 1) >> PAGE_SHIFT;
		for (; page <= last && (code_is_served || stream[n].kind != ACCESS_CODE); page++)
			slow_access(slow, (enum access_kind)stream[n].kind, page << PAGE_SHIFT, 0, (struct mapping){0});
	}
}

static void run_untranslated(const struct arrangement *arrangement, const char *policy, uint64_t seed)
{
	static struct slow slow;
	static struct access stream[STREAM];
	static struct policed policed;
	struct rig batches, singly;
	struct rng rng;
	size_t made;
	make_policed(&policed, arrangement, policy);
	rng_init(&rng, seed, "stream");
	rig_begin(&batches, &translation_x86_4level_ops, 0x100000);
	rig_begin(&singly, &translation_x86_4level_ops, 0x100000);
	rig_tlbs(&batches, policed.lines, true, false);
	rig_tlbs(&singly, policed.lines, true, true);
	assert_true(batches.mmu.whole_batches);
	singly.mmu.whole_batches = false;
	slow_begin(&slow, policed.lines);
	make_stream(stream, &slow, &rng, arrangement);
	for (size_t at = 0; at < STREAM;) {
		size_t step = 1 + rng_below(&rng, 5000);
		step = step > STREAM - at ? STREAM - at : step;
		at += mmu_run(&batches.mmu, stream + at, step, NULL, 0, &made);
	}
	assert_int_equal(mmu_run(&singly.mmu, stream, STREAM, NULL, 0, &made), STREAM);
	compare_counts(&slow, &batches.mmu, policed.name);
	compare_counts(&slow, &singly.mmu, policed.name);
	compare_contents(&slow, &batches.mmu);
	compare_contents(&slow, &singly.mmu);
	slow_end(&slow);
	rig_end(&batches);
	rig_end(&singly);
}

/* Would catch: a filter that hides a use, misses handed on in another order, a page-crossing access counted once, a policy that a
 * TLB asks otherwise than a cache does. */
static void whole_batches_equal_single_accesses_and_a_second_model(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof untranslated / sizeof *untranslated; i++)
		for (const char *const *policy = deterministic; *policy; policy++)
			run_untranslated(&untranslated[i], *policy, i);
}

/* With the policy that draws lots, which the second model does not know, too: whole batches against access by access. */
static void policies_do_not_see_batches(void **state)
{
	(void)state;
	static const char *const policies[] = {"lru", "tree_plru", "bit_plru", "srrip", "fifo", "random"};
	static struct access stream[20000];
	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
		char first[80], second[80];
		snprintf(first, sizeof first, "tlb entries=64 ways=4 replacement=%s", policies[i]);
		snprintf(second, sizeof second, "stlb level=2 entries=256 ways=8 replacement=%s", policies[i]);
		const char *const lines[] = {first, second, NULL};
		struct rig batches, singly;
		struct rng rng;
		rng_init(&rng, i, "stream");
		rig_begin(&batches, &translation_x86_4level_ops, 0x100000);
		rig_begin(&singly, &translation_x86_4level_ops, 0x100000);
		rig_tlbs(&batches, lines, true, false);
		rig_tlbs(&singly, lines, true, true);
		singly.mmu.whole_batches = false;
		for (unsigned n = 0; n < 20000; n++)
			stream[n] = (struct access){.address = next_page(&rng, n, 400) << PAGE_SHIFT,
			                            .bytes = 8,
			                            .kind = (uint8_t)kinds[rng_below(&rng, 5)]};
		size_t made;
		for (size_t at = 0; at < 20000; at += 1000)
			mmu_run(&batches.mmu, stream + at, 1000, NULL, 0, &made);
		mmu_run(&singly.mmu, stream, 20000, NULL, 0, &made);
		assert_memory_equal(batches.mmu.level_counters, singly.mmu.level_counters, sizeof batches.mmu.level_counters);
		rig_end(&batches);
		rig_end(&singly);
	}
}

/* ---- translated: page sizes, address spaces, invalidation ---- */

static const struct arrangement translated[] = {
        {"one size",
         {"itlb entries=16 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data", "stlb level=2 entries=96 ways=12"}},
        {"an array a size",
         {"itlb entries=16 ways=4 serves=code", "itlb_2m entries=8 ways=all pages=2M serves=code",
          "dtlb entries=16 ways=4 serves=data", "dtlb_2m entries=8 ways=4 pages=2M serves=data",
          "dtlb_1g entries=4 ways=all pages=1G serves=data", "stlb level=2 entries=96 ways=12 pages=4K+2M",
          "stlb_1g level=2 entries=4 ways=4 pages=1G"}},
        {"all sizes in one", {"tlb entries=32 ways=4 pages=4K+2M+1G", "stlb level=2 entries=96 ways=12 pages=4K+2M+1G"}},
        {"inclusive",
         {"itlb entries=32 ways=4 serves=code pages=4K+2M", "dtlb entries=32 ways=4 serves=data pages=4K+2M",
          "stlb level=2 entries=48 ways=6 pages=4K+2M inclusion=inclusive"}},
        {"exclusive",
         {"itlb entries=16 ways=4 serves=code pages=4K+2M+1G", "dtlb entries=16 ways=4 serves=data pages=4K+2M+1G",
          "stlb level=2 entries=48 ways=6 pages=4K+2M+1G inclusion=exclusive"}},
        {"exclusive over neither",
         {"tlb entries=8 ways=2 pages=4K", "mid level=2 entries=20 ways=5 pages=4K+2M inclusion=exclusive",
          "last level=3 entries=128 ways=8 pages=4K+2M+1G"}},
        {"modulo", {"tlb entries=36 ways=4 pages=4K+2M", "stlb level=2 entries=210 ways=7 pages=4K+2M+1G"}},
        {"xor, sizes and spaces together",
         {"tlb entries=32 ways=4 pages=4K+2M index=xor", "stlb level=2 entries=128 ways=8 pages=4K+2M+1G index=xor"}},
        {"an array a size, inclusive",
         {"itlb entries=16 ways=4 serves=code", "dtlb entries=16 ways=4 serves=data", "tlb_2m entries=8 ways=all pages=2M",
          "stlb level=2 entries=64 ways=4 pages=4K+2M inclusion=inclusive index=xor"}},
        {"an array a size, exclusive",
         {"tlb entries=12 ways=3", "tlb_2m entries=8 ways=2 pages=2M", "tlb_1g entries=2 ways=all pages=1G",
          "stlb level=2 entries=32 ways=4 pages=4K+2M inclusion=exclusive index=xor",
          "stlb_1g level=2 entries=3 ways=all pages=1G inclusion=exclusive"}},
        {"inclusive over two levels",
         {"itlb entries=8 ways=2 serves=code", "dtlb entries=8 ways=all serves=data", "mid level=2 entries=32 ways=4",
          "last level=3 entries=48 ways=6 inclusion=inclusive"}},
};

#define SMALL_PAGES 200
#define LARGE_PAGES 24
#define HUGE_PAGES 6
#define ROOTS 3

struct world {
	struct rig rig;
	struct page_tables spaces[ROOTS];
	unsigned current, pcid;
};

static uint64_t small_at(unsigned page)
{
	return 0x400000000000u + ((uint64_t)page << 12);
}

static uint64_t large_at(unsigned page)
{
	return 0x400040000000u + ((uint64_t)page << 21);
}

static uint64_t huge_at(unsigned page)
{
	return 0x410000000000u + ((uint64_t)page << 30);
}

/* Every third page is global. */
static void map_space(struct page_tables *space)
{
	const uint64_t rights = WORD_WRITE | WORD_USER | WORD_EXECUTE | WORD_ACCESSED | WORD_DIRTY;
	for (unsigned page = 0; page < SMALL_PAGES; page++)
		assert_int_equal(page_tables_map(space, small_at(page),
		                                 (uint64_t)(page + 0x1000) << 12 | rights | (page % 3 ? 0 : WORD_GLOBAL),
		                                 PAGE_4K),
		                 MAP_OK);
	for (unsigned page = 0; page < LARGE_PAGES; page++)
		assert_int_equal(page_tables_map(space, large_at(page),
		                                 (uint64_t)(page + 64) << 21 | rights | (page % 3 ? 0 : WORD_GLOBAL), PAGE_2M),
		                 MAP_OK);
	for (unsigned page = 0; page < HUGE_PAGES; page++)
		assert_int_equal(page_tables_map(space, huge_at(page),
		                                 (uint64_t)(page + 4) << 30 | rights | (page % 3 ? 0 : WORD_GLOBAL), PAGE_1G),
		                 MAP_OK);
}

static void world_begin_prefetching(struct world *world, const char *const *lines, bool prefetches)
{
	memset(world, 0, sizeof *world);
	rig_begin(&world->rig, &translation_x86_4level_ops, 0x100000);
	for (unsigned i = 0; i < ROOTS; i++) {
		world->spaces[i] = world->rig.tables;
		assert_true(page_tables_init(&world->spaces[i]));
		map_space(&world->spaces[i]);
	}
	for (unsigned level = 1; level < 4; level++)
		rig_structure_cache(&world->rig, level, 4);
	world->rig.mmu.prefetch_next_page = prefetches;
	rig_tlbs(&world->rig, lines, false, true);
	mmu_write_cr3(&world->rig.mmu, world->spaces[0].root, 0, true);
}

static void world_begin(struct world *world, const char *const *lines)
{
	world_begin_prefetching(world, lines, false);
}

static void world_end(struct world *world)
{
	for (unsigned i = 0; i < ROOTS; i++)
		page_tables_release(&world->spaces[i]);
	rig_end(&world->rig);
}

/* A page of the world, and how it is mapped. */
static uint64_t pick_address(struct rng *rng, uint64_t turn, struct mapping *mapping)
{
	unsigned which = rng_below(rng, 10), page;
	if (which < 6) {
		page = (unsigned)next_page(rng, turn, SMALL_PAGES);
		*mapping = (struct mapping){PAGE_4K, page % 3 == 0};
		return small_at(page) + rng_below(rng, 4000);
	}
	if (which < 9) {
		page = (unsigned)next_page(rng, turn, LARGE_PAGES);
		*mapping = (struct mapping){PAGE_2M, page % 3 == 0};
		return large_at(page) + ((uint64_t)rng_below(rng, 512) << 12);
	}
	page = rng_below(rng, HUGE_PAGES);
	*mapping = (struct mapping){PAGE_1G, page % 3 == 0};
	return huge_at(page) + ((uint64_t)rng_below(rng, 1 << 18) << 12);
}

static void invalidate_something(struct world *world, struct slow *slow, struct rng *rng, uint64_t linear)
{
	struct tlb_scope scope;
	struct mmu *mmu = &world->rig.mmu;
	unsigned space, pcid = rng_below(rng, 3);
	bool keep;
	switch (rng_below(rng, 8)) {
	case 0:
	case 1:
		mmu_invlpg(mmu, linear);
		scope = (struct tlb_scope){
		        .one_page = true, .linear = linear, .one_pcid = true, .pcid = world->pcid, .globals = true};
		break;
	case 2:
		mmu_invpcid(mmu, INVPCID_ADDRESS, pcid, linear);
		scope = (struct tlb_scope){.one_page = true, .linear = linear, .one_pcid = true, .pcid = pcid};
		break;
	case 3:
		mmu_invpcid(mmu, INVPCID_SINGLE, pcid, 0);
		scope = (struct tlb_scope){.one_pcid = true, .pcid = pcid};
		break;
	case 4:
		mmu_invpcid(mmu, INVPCID_ALL, 0, 0);
		scope = (struct tlb_scope){0};
		break;
	case 5:
		mmu_invpcid(mmu, INVPCID_ALL_AND_GLOBAL, 0, 0);
		scope = (struct tlb_scope){.globals = true};
		break;
	default:
		space = rng_below(rng, ROOTS);
		keep = rng_below(rng, 2);
		mmu_write_cr3(mmu, world->spaces[space].root, space, keep);
		world->pcid = space;
		if (keep)
			return;
		scope = (struct tlb_scope){.one_pcid = true, .pcid = space};
		break;
	}
	slow_invalidate(slow, &scope);
}

#define TURNS 2500
#define TOGETHER 32

/* Accesses that are handed to the MMU together, and the physical addresses that they must come out with. */
struct together {
	struct access in[TOGETHER];
	uint64_t physical[TOGETHER];
	unsigned count;
};

static void run_together(struct together *together, struct mmu *mmu)
{
	struct access out[2 * MMU_ROOM];
	unsigned next = 0;
	for (size_t done = 0, made; done < together->count;) {
		done += mmu_run(mmu, together->in + done, together->count - done, out, 2 * MMU_ROOM, &made);
		for (size_t i = 0; i < made; i++)
			if (out[i].kind != ACCESS_WALK && out[i].kind != ACCESS_WALK_STORE)
				assert_int_equal(out[i].address, together->physical[next++]);
	}
	assert_int_equal(next, together->count);
	together->count = 0;
}

static void run_translated(const struct arrangement *arrangement, const char *policy, uint64_t seed)
{
	static struct slow slow;
	static struct policed policed;
	struct together together = {.count = 0};
	struct world world;
	struct rng rng;
	make_policed(&policed, arrangement, policy);
	rng_init(&rng, seed, "translated");
	world_begin(&world, policed.lines);
	slow_begin(&slow, policed.lines);
	for (unsigned n = 0; n < TURNS; n++) {
		struct mapping mapping;
		uint64_t linear = pick_address(&rng, n, &mapping);
		enum access_kind kind = kinds[rng_below(&rng, 5)];
		if (rng_below(&rng, 60) == 0) {
			run_together(&together, &world.rig.mmu);
			invalidate_something(&world, &slow, &rng, linear);
		}
		enum page_size size;
		uint64_t word = page_tables_find(&world.spaces[world.pcid], linear, &size);
		assert_int_equal(size, mapping.size);
		together.physical[together.count] = (word & WORD_FRAME) + (linear & (page_size_bytes(size) - 1));
		together.in[together.count++] = (struct access){.address = linear, .bytes = 8, .kind = (uint8_t)kind};
		slow_access(&slow, kind, linear, world.pcid, mapping);
		if (together.count == TOGETHER || rng_below(&rng, 8) == 0)
			run_together(&together, &world.rig.mmu);
	}
	run_together(&together, &world.rig.mmu);
	compare_counts(&slow, &world.rig.mmu, policed.name);
	compare_contents(&slow, &world.rig.mmu);
	slow_end(&slow);
	world_end(&world);
}

/* Would catch: an invalidation that leaves or takes too much, an entry of another PCID that serves, a global one that does not, a
 * filter that survives, a page size looked up by another's number, an exclusive level that keeps a copy, an index that takes bits
 * of the address space, a policy that is not told of a use or of an entry that was taken out. */
static void every_arrangement_equals_a_second_model_under_invalidation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof translated / sizeof *translated; i++)
		for (const char *const *policy = deterministic; *policy; policy++)
			run_translated(&translated[i], *policy, i);
}

/* ---- single rules ---- */

static uint64_t misses_of(const struct mmu *mmu, unsigned level)
{
	uint64_t misses = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		for (unsigned size = 0; size < PAGE_SIZES; size++)
			misses += mmu->level_counters[level].misses[kind][size];
	return misses;
}

static const char *const two_levels[] = {"dtlb entries=4 ways=2 pages=4K", "dtlb_2m entries=4 ways=2 pages=2M",
                                         "stlb level=2 entries=16 ways=4 pages=4K+2M", NULL};

/* Would catch: a miss counted for each array of a level that was looked at. */
static void a_miss_is_counted_once(void **state)
{
	(void)state;
	struct world world;
	struct access out[2 * MMU_ROOM];
	world_begin(&world, two_levels);
	rig_access(&world.rig, ACCESS_LOAD, large_at(1), 8, out, 2 * MMU_ROOM);
	rig_access(&world.rig, ACCESS_LOAD, small_at(1), 8, out, 2 * MMU_ROOM);
	assert_int_equal(misses_of(&world.rig.mmu, 0), 2);
	assert_int_equal(misses_of(&world.rig.mmu, 1), 2);
	assert_int_equal(world.rig.mmu.level_counters[0].misses[ACCESS_LOAD][PAGE_2M], 1);
	assert_int_equal(world.rig.mmu.counters.miss_walks, 2);
	world_end(&world);
}

/* CR4.PGE: global entries go with everything else; without it no entry becomes global. */
static void toggling_global_pages_empties_all(void **state)
{
	(void)state;
	struct world world;
	struct access out[2 * MMU_ROOM];
	world_begin(&world, two_levels);
	rig_access(&world.rig, ACCESS_LOAD, small_at(0), 8, out, 2 * MMU_ROOM);
	mmu_write_cr3(&world.rig.mmu, world.spaces[0].root, 0, false);
	rig_access(&world.rig, ACCESS_LOAD, small_at(0), 8, out, 2 * MMU_ROOM);
	assert_int_equal(world.rig.mmu.counters.miss_walks, 1);
	mmu_toggle_global_pages(&world.rig.mmu, false);
	rig_access(&world.rig, ACCESS_LOAD, small_at(0), 8, out, 2 * MMU_ROOM);
	assert_int_equal(world.rig.mmu.counters.miss_walks, 2);
	mmu_write_cr3(&world.rig.mmu, world.spaces[0].root, 0, false);
	rig_access(&world.rig, ACCESS_LOAD, small_at(0), 8, out, 2 * MMU_ROOM);
	assert_int_equal(world.rig.mmu.counters.miss_walks, 3);
	world_end(&world);
}

/* A page that nobody invalidated is served as it was; after the shoot-down as it is. */
static void a_shoot_down_reaches_the_other_cores(void **state)
{
	(void)state;
	struct world here, there;
	struct access out[2 * MMU_ROOM];
	world_begin(&here, two_levels);
	world_begin(&there, two_levels);
	const uint64_t rights = WORD_WRITE | WORD_USER | WORD_EXECUTE | WORD_ACCESSED | WORD_DIRTY;
	rig_access(&there.rig, ACCESS_LOAD, small_at(1), 8, out, 2 * MMU_ROOM);
	assert_true(page_tables_change(&there.spaces[0], small_at(1), 0x7777000 | rights));
	size_t made = rig_access(&there.rig, ACCESS_LOAD, small_at(1), 8, out, 2 * MMU_ROOM);
	assert_int_equal(out[made - 1].address, 0x1001000);
	const struct tlb_scope scope = tlb_scope_invlpg(small_at(1), 0);
	struct mmu *const others[] = {&there.rig.mmu};
	mmu_invalidate(&here.rig.mmu, &scope);
	mmu_shoot_down(others, 1, &scope);
	made = rig_access(&there.rig, ACCESS_LOAD, small_at(1), 8, out, 2 * MMU_ROOM);
	assert_int_equal(out[made - 1].address, 0x7777000);
	assert_int_equal(there.rig.mmu.counters.shootdowns, 1);
	world_end(&here);
	world_end(&there);
}

/* Prefetch: the page after one that missed is in the last level, not in the first, and is no access. */
static void the_next_page_is_prefetched(void **state)
{
	(void)state;
	struct world world;
	struct access out[2 * MMU_ROOM];
	world_begin_prefetching(&world, two_levels, true);
	rig_access(&world.rig, ACCESS_LOAD, small_at(10), 8, out, 2 * MMU_ROOM);
	assert_int_equal(world.rig.mmu.counters.prefetch_fills, 1);
	rig_access(&world.rig, ACCESS_LOAD, small_at(11), 8, out, 2 * MMU_ROOM);
	assert_int_equal(misses_of(&world.rig.mmu, 0), 2);
	assert_int_equal(misses_of(&world.rig.mmu, 1), 1);
	/* The last page has no page after it: the walk brings nothing. */
	rig_access(&world.rig, ACCESS_LOAD, small_at(SMALL_PAGES - 1), 8, out, 2 * MMU_ROOM);
	assert_int_equal(world.rig.mmu.counters.prefetch_walks, 2);
	assert_int_equal(world.rig.mmu.counters.prefetch_fills, 1);
	world_end(&world);
}

static void expect_refused(const char *const *lines, const char *words)
{
	struct tlb_spec specs[RIG_SPECS] = {{0}};
	struct mmu mmu = {0};
	struct error error = {0};
	unsigned count = 0;
	bool read = true;
	for (; lines[count] && read; count += read)
		read = tlb_spec_read(lines[count], "test", &specs[count], &error);
	const struct tlbs_wiring wiring = {.specs = specs, .count = count};
	assert_false(read && tlbs_create(&mmu, &wiring, &error));
	if (!strstr(error.text, words))
		fail_msg("'%s' does not say '%s'", error.text, words);
	for (unsigned i = 0; i < count; i++)
		tlb_spec_release(&specs[i]);
}

static void wrong_lines_are_told(void **state)
{
	(void)state;
	expect_refused((const char *const[]){"tlb entries=10 ways=4", NULL}, "multiple of the ways");
	expect_refused((const char *const[]){"tlb entries=16 ways=4 pages=8K", NULL}, "expected 4K, 2M, 4M or 1G");
	expect_refused((const char *const[]){"a pages=4K", "b pages=4K+2M serves=code", NULL},
	               "level 1 has a for 4K pages of code");
	expect_refused((const char *const[]){"a level=2", NULL}, "no array of level 1");
	expect_refused((const char *const[]){"a inclusion=inclusive", NULL}, "no level above it");
	expect_refused((const char *const[]){"a", "b level=2 pages=4K+2M inclusion=inclusive", NULL}, "only keeps in pieces");
	expect_refused((const char *const[]){"a", "a level=2", NULL}, "two arrays are named a");
	expect_refused((const char *const[]){"a entires=4", NULL}, "entries");
	expect_refused((const char *const[]){"a replacement=lur", NULL}, "lru");
}

/*
 * The first store to a page that was only read walks to set its dirty bit, by the translation that is there, which stays: the
 * next load and the next store need no walk. Would catch: a translation that is dropped by its own dirty bit, or that never
 * learns of it.
 */
static void a_translation_outlives_its_dirty_bit(void **state)
{
	(void)state;
	struct world world;
	struct access out[2 * MMU_ROOM];
	world_begin(&world, two_levels);
	const uint64_t clean = 0x1001000 | WORD_WRITE | WORD_USER | WORD_EXECUTE | WORD_ACCESSED;
	assert_true(page_tables_change(&world.spaces[0], small_at(1), clean));
	for (unsigned i = 0; i < 4; i++)
		rig_access(&world.rig, i % 2 ? ACCESS_STORE : ACCESS_LOAD, small_at(1), 8, out, 2 * MMU_ROOM);
	assert_int_equal(world.rig.mmu.counters.miss_walks, 1);
	assert_int_equal(world.rig.mmu.counters.dirty_walks, 1);
	assert_int_equal(misses_of(&world.rig.mmu, 0), 1);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whole_batches_equal_single_accesses_and_a_second_model),
	        cmocka_unit_test(policies_do_not_see_batches),
	        cmocka_unit_test(every_arrangement_equals_a_second_model_under_invalidation),
	        cmocka_unit_test(a_miss_is_counted_once),
	        cmocka_unit_test(toggling_global_pages_empties_all),
	        cmocka_unit_test(a_shoot_down_reaches_the_other_cores),
	        cmocka_unit_test(the_next_page_is_prefetched),
	        cmocka_unit_test(wrong_lines_are_told),
	        cmocka_unit_test(a_translation_outlives_its_dirty_bit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
