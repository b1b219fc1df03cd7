/* SPDX-License-Identifier: MIT
 *
 * mmu_usual.c - the usual way of accesses through an MMU (interface and bounds: mmu_usual.h).
 *
 * A loop runs what the filter knows, and counts in a register. For anything else it calls the side's look-up, a template made for
 * plain words, for AVX2, and for the sets that most machines have.
 */
#include "sim/mmu_usual.h"

#include "sim/order_of_use.h"

#include <stdlib.h>
#include <string.h>

#define INLINE ORDER_INLINE

/* What became of up to KIND_BYTES_MAX accesses, by their kinds (kind_byte()). */
struct tally {
	uint64_t large;  /* hits in the first level by larger pages, which are counted by their size already */
	uint64_t missed; /* in the first level */
	uint64_t walked; /* missed in every level */
};

struct side;

/*
 * An access that the filter does not know as one of a 4 KiB page, whose entry there is `recent`. false: not a usual access, and
 * nothing happened.
 */
typedef bool look_up_function(struct mmu_usual *usual, const struct access *access, struct mmu_recent *recent);

/* Where the accesses of a side are looked up. */
struct side {
	struct mmu_recents *recents;
	const uint64_t *large_mask; /* of the MMU, by page size */
	look_up_function *look_up;  /* in the levels; NULL: only the filter may be asked */
	struct tlb_level *first_array, *second_array;
	struct ordered_sets first, second;
};

/* What an entry of a page table says, but for its frame. */
struct known_entry {
	uint64_t raw; /* the entry without its frame; UINT64_MAX: none */
	uint64_t word;
};

#define KNOWN_ENTRIES 8u

/* The bytes of a page table that was read. */
struct known_table {
	uint64_t table; /* its address; TABLE_NONE: none */
	const unsigned char *bytes;
};

/* An address that no entry is near. */
#define TABLE_NONE (UINT64_MAX / 2)
#define KNOWN_TABLES 256u

/* What the loop needs of a kind of access. */
struct kind {
	struct mmu_recent *recents;
	uint64_t recent_mask;
	uint64_t one; /* in a tally */
	const struct side *side;
	look_up_function *look_up;
};

struct mmu_usual {
	struct mmu *mmu;
	struct kind kind[ACCESS_KINDS];
	struct side side[MMU_SIDES];
	bool has_second; /* level */
	/* Addresses that the levels may be looked up for: so many from the first one on. */
	uint64_t first_looked_up, looked_up;

	/* Walks: */
	unsigned start;             /* the level in which they begin: the last, or, of a walker without caches, the top one */
	struct ordered_sets tables; /* the walker's cache of page directory entries, so page tables; none if they begin higher */
	unsigned table_shift, index_shift;
	uint64_t index_mask;     /* of the linear address, shifted right: bytes into the table */
	uint64_t rest_mask;      /* an entry without its frame */
	struct access reference; /* what a walk refers to, but for address and cpu */
	struct known_entry known_entries[PAGING_LEVELS_MAX][KNOWN_ENTRIES];
	bool global_pages; /* CR4.PGE, when known_entries were decoded */
	struct known_table known_tables[KNOWN_TABLES];
	uint64_t frames_changed; /* of the memory, when known_tables were read */

	/* Of the run: */
	uint64_t pcid;     /* as in a way's word, with WAY_VALID */
	struct access *to; /* the next one to write; NULL: none is written */
	struct access *first_to;
	uint32_t *cycles; /* beside first_to: of lookups in the second level; NULL: not told */
	struct tally tally;
};

INLINE const struct side *side_of(const struct mmu_usual *usual, unsigned kind)
{
	return &usual->side[kind == ACCESS_CODE ? MMU_CODE : MMU_DATA];
}

/* ---- counting ---- */

static uint64_t count_in(uint64_t counts, unsigned kind)
{
	return counts >> (8 * kind) & KIND_BYTES_MAX;
}

/* Misses in the first level, and how many of them were walks. */
static void count_misses(struct mmu *mmu, unsigned kind, uint64_t missed, uint64_t walked)
{
	const unsigned side = kind == ACCESS_CODE ? MMU_CODE : MMU_DATA;
	struct mmu_level_counters *first = &mmu->level_counters[0], *second = &mmu->level_counters[1];
	first->misses[kind][PAGE_4K] += missed;
	mmu->level[0].array[side][PAGE_4K]->counters.fills += missed;
	if (mmu->levels > 1) {
		second->accesses[kind] += missed;
		second->hits[kind][PAGE_4K] += missed - walked;
		second->misses[kind][PAGE_4K] += walked;
		mmu->level[1].array[side][PAGE_4K]->counters.fills += walked;
	}
	mmu->counters.miss_walks += walked;
	walker_count_usual(mmu->walker, mmu->usual->start, walked);
}

/* Adds one access, and what became of it, to the counters. */
INLINE void count_one(struct mmu_usual *usual, unsigned kind)
{
	struct mmu *mmu = usual->mmu;
	struct mmu_level_counters *first = &mmu->level_counters[0];
	const struct tally tally = usual->tally;
	mmu->counters.pages++;
	first->accesses[kind]++;
	first->hits[kind][PAGE_4K] += !tally.large && !tally.missed;
	if (tally.missed)
		count_misses(mmu, kind, 1, tally.walked != 0);
	usual->tally = (struct tally){0};
}

/* The same of many. */
static void count(struct mmu_usual *usual, uint64_t all)
{
	struct mmu *mmu = usual->mmu;
	struct mmu_level_counters *first = &mmu->level_counters[0];
	const struct tally tally = usual->tally;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		const uint64_t of_kind = count_in(all, kind), large = count_in(tally.large, kind),
		               missed = count_in(tally.missed, kind);
		if (!of_kind)
			continue;
		mmu->counters.pages += of_kind;
		first->accesses[kind] += of_kind;
		first->hits[kind][PAGE_4K] += of_kind - large - missed;
		if (missed)
			count_misses(mmu, kind, missed, count_in(tally.walked, kind));
	}
	usual->tally = (struct tally){0};
}

/* ---- writing ---- */

INLINE void write_access(struct access *to, const struct access *access, uint64_t address)
{
	*to = *access;
	to->address = address;
}

/* ---- looking up ---- */

/* How sets are looked through and turned: constants of a template. */
struct how {
	ordered_find *find;
	ordered_use *use;
	ordered_push *push;
	unsigned first, second, tables; /* vectors of a set of each level and of the walker's cache */
};

/* What the filter would know of a page. */
struct found {
	uint64_t word;
	uint8_t kinds;
	bool is_further; /* the first level did not have it */
};

/* A word that was found, if it allows the access as it is. */
INLINE bool take(const struct mmu_usual *usual, const struct access *access, uint64_t word, struct found *found)
{
	*found = (struct found){.word = word, .kinds = mmu_kinds_of(usual->mmu, access->address, word)};
	return found->kinds >> access->kind & 1;
}

INLINE struct known_entry *known_slot(struct mmu_usual *usual, unsigned level, uint64_t raw)
{
	/* Accessed and dirty tell most entries apart: bits 5 and 6 of most modes. */
	return &usual->known_entries[level][(raw >> 5 ^ raw >> 8) % KNOWN_ENTRIES];
}

/* The word of an entry of a level's table; 0 if it is not usual: not present, not accessed, global, with reserved bits, or that
 * of a larger page. */
INLINE uint64_t word_of_entry(struct mmu_usual *usual, unsigned level, uint64_t raw)
{
	const uint64_t rest = raw & usual->rest_mask, frame = raw ^ rest;
	struct known_entry *known = known_slot(usual, level, rest);
	if (known->raw == rest)
		return known->word | frame;
	const struct walker *walker = usual->mmu->walker;
	const struct paging_entry entry = walker->mode->decode(&walker->controls, level, raw);
	const uint64_t needed = WORD_PRESENT | WORD_ACCESSED;
	if ((entry.word & (needed | WORD_GLOBAL)) != needed || entry.reserved || entry.leaf != (level == 0))
		return 0;
	*known = (struct known_entry){rest, entry.word ^ frame};
	return entry.word;
}

/* An entry of a page table. */
INLINE uint64_t read_entry(struct mmu_usual *usual, uint64_t address)
{
	struct known_table *known = &usual->known_tables[(address >> PAGE_SHIFT) % KNOWN_TABLES];
	if (address - known->table >= PAGE_SIZE) {
		const uint64_t table = address & ~(uint64_t)(PAGE_SIZE - 1);
		const unsigned char *bytes = physical_memory_bytes(usual->mmu->walker->memory, table);
		if (!bytes)
			return 0;
		*known = (struct known_table){table, bytes};
	}
	const uint64_t inside = address - known->table;
	uint64_t raw = 0;
	if (usual->reference.bytes == sizeof raw)
		memcpy(&raw, known->bytes + inside, sizeof raw);
	else
		raw = physical_memory_read(usual->mmu->walker->memory, address, usual->reference.bytes);
	return raw;
}

/* Writes a reference to an entry of a level's table. */
INLINE void write_reference(struct mmu_usual *usual, const struct access *access, unsigned level, uint64_t address)
{
	write_access(usual->to, &usual->reference, address);
	usual->to->cpu = access->cpu;
	usual->to->region = (uint8_t)(usual->reference.region + level);
	usual->to++;
}

/* The walk from the top. false: not a usual one, and nothing happened. */
static bool walk_from_top(struct mmu_usual *usual, const struct access *access, struct found *found)
{
	const struct walker *walker = usual->mmu->walker;
	const struct translation_ops *mode = walker->mode;
	uint64_t address[PAGING_LEVELS_MAX], table = walker->root, rights = WORD_RIGHTS, word = 0;
	if (!translation_canonical(mode, access->address))
		return false;
	for (unsigned level = usual->start + 1; level-- > 0; table = word & WORD_FRAME) {
		address[level] = table + paging_index(&mode->level[level], access->address) * mode->entry_bytes;
		word = word_of_entry(usual, level, read_entry(usual, address[level]));
		if (!word)
			return false;
		rights &= word;
	}
	if (!take(usual, access, word & (~WORD_RIGHTS | rights), found))
		return false;
	for (unsigned level = usual->start + 1; level-- > 0 && usual->to;)
		write_reference(usual, access, level, address[level]);
	return true;
}

/*
 * The walk that reads one entry, in a page table that the walker's cache knows. false: not a usual one, and nothing happened. The
 * cache's tags keep all upper bits of an address, so one that it knows is canonical.
 */
INLINE bool walk(struct mmu_usual *usual, const struct access *access, struct found *found, const struct how how)
{
	const struct ordered_sets *tables = &usual->tables;
	if (usual->start > 0)
		return walk_from_top(usual, access, found);
	const uint64_t linear = access->address, number = linear >> usual->table_shift & TLB_NUMBER,
	               table_word = number << WAY_MARK_BITS | usual->pcid;
	const size_t set = ordered_set(tables, way_tag(table_word), !how.tables);
	const uint32_t way = how.find(tables, set, table_word, how.tables);
	if (way == ORDER_NOWHERE)
		return false;
	const uint64_t table = tables->payloads[set + way],
	               address = (table & WORD_FRAME) + (linear >> usual->index_shift & usual->index_mask);
	const uint64_t word = word_of_entry(usual, 0, read_entry(usual, address));
	if (!word || !take(usual, access, word & (~WORD_RIGHTS | table), found))
		return false;
	how.use(tables, set, way, table_word, table, how.tables);
	if (usual->to)
		write_reference(usual, access, 0, address);
	return true;
}

/* An entry comes first into a set of an array. */
INLINE void fill(struct tlb_level *array, const struct ordered_sets *sets, size_t set, uint64_t word, uint64_t payload,
                 ordered_push *push, unsigned vectors)
{
	const uint32_t last = vectors ? vectors * ORDER_VECTOR - 1 : sets->ways - 1;
	const uint64_t evicted = sets->words[set + last];
	array->counters.evictions += evicted & WAY_VALID;
	array->globals -= evicted & WAY_VALID && way_tag(evicted) & TLB_GLOBAL;
	push(sets, set, word, payload, vectors);
}

/* A page that the first level does not have. */
INLINE bool find_further(struct mmu_usual *usual, const struct side *side, const struct access *access, uint64_t page,
                         struct found *found, const struct how how)
{
	if (!usual->has_second) {
		if (!walk(usual, access, found, how))
			return false;
		usual->tally.walked += usual->kind[access->kind].one;
		return true;
	}
	const struct ordered_sets *second = &side->second;
	const size_t set = ordered_set(second, way_tag(page), true);
	const uint32_t way = how.find(second, set, page, how.second);
	if (way != ORDER_NOWHERE) {
		if (!take(usual, access, second->payloads[set + way], found))
			return false;
		how.use(second, set, way, page, found->word, how.second);
		return true;
	}
	if (!walk(usual, access, found, how))
		return false;
	usual->tally.walked += usual->kind[access->kind].one;
	fill(side->second_array, second, set, page, found->word, how.push, how.second);
	return true;
}

/* A page of 4 KiB. false: not there, or not usual; nothing happened. */
INLINE bool find_page(struct mmu_usual *usual, const struct side *side, const struct access *access, struct found *found,
                      const struct how how)
{
	const struct ordered_sets *first = &side->first;
	const uint64_t page = (access->address >> PAGE_SHIFT & TLB_NUMBER) << WAY_MARK_BITS | usual->pcid;
	const size_t set = ordered_set(first, way_tag(page), !how.first);
	const uint32_t way = how.find(first, set, page, how.first);
	if (way != ORDER_NOWHERE) {
		if (!take(usual, access, first->payloads[set + way], found))
			return false;
		how.use(first, set, way, page, found->word, how.first);
		return true;
	}
	if (!find_further(usual, side, access, page, found, how))
		return false;
	usual->tally.missed += usual->kind[access->kind].one;
	found->is_further = usual->has_second;
	fill(side->first_array, first, set, page, found->word, how.push, how.first);
	return true;
}

/* Hands an access on by what is known of its page. */
INLINE void hand_on(struct mmu_usual *usual, const struct access *access, const struct mmu_recent *recent)
{
	if (!usual->to)
		return;
	write_access(usual->to, access, recent->frame | (access->address & recent->offsets));
	if (usual->mmu->layout)
		usual->to->region = recent->region;
	usual->to++;
}

/* By a larger page that was the last of its set. */
INLINE bool look_up_large(struct mmu_usual *usual, const struct side *side, const struct access *access)
{
	const struct mmu_recent *large = mmu_recent_large(side->recents, side->large_mask, access->address);
	if (!large || !(large->kinds >> access->kind & 1))
		return false;
	usual->tally.large += usual->kind[access->kind].one;
	usual->mmu->level_counters[0].hits[access->kind][large->size]++;
	hand_on(usual, access, large);
	return true;
}

static bool look_up_filter(struct mmu_usual *usual, const struct access *access, struct mmu_recent *recent)
{
	(void)recent;
	return look_up_large(usual, usual->kind[access->kind].side, access);
}

INLINE bool levels_may_know(const struct mmu_usual *usual, uint64_t linear)
{
	return linear - usual->first_looked_up < usual->looked_up;
}

/* By the levels, while they have nothing but pages of 4 KiB around there. */
INLINE bool look_up_levels(struct mmu_usual *usual, const struct access *access, struct mmu_recent *recent, const struct how how)
{
	struct found found;
	if (!levels_may_know(usual, access->address))
		return look_up_large(usual, usual->kind[access->kind].side, access);
	if (!find_page(usual, usual->kind[access->kind].side, access, &found, how))
		return false;
	*recent = (struct mmu_recent){.page = access->address >> PAGE_SHIFT,
	                              .frame = found.word & WORD_FRAME,
	                              .offsets = (uint32_t)(PAGE_SIZE - 1),
	                              .size = PAGE_4K,
	                              .kinds = found.kinds,
	                              .region = mmu_place_of(usual->mmu, access->address, PAGE_4K)};
	if (usual->cycles && found.is_further)
		usual->cycles[usual->to - usual->first_to] = usual->mmu->level[1].latency_cycles;
	hand_on(usual, access, recent);
	return true;
}

#define LOOK_UP(name, attribute, ...) \
	static attribute bool name(struct mmu_usual *usual, const struct access *access, struct mmu_recent *recent) \
	{ \
		return look_up_levels(usual, access, recent, (struct how){__VA_ARGS__}); \
	}

LOOK_UP(look_up_plain, , ordered_find_plain, ordered_use_plain, ordered_push_plain, 0, 0, 0)

#ifdef ORDER_HAS_AVX2
#define HOW_AVX2 ordered_find_avx2, ordered_use_avx2, ordered_push_avx2
LOOK_UP(look_up_avx2, ORDER_AVX2, HOW_AVX2, 0, 0, 0)
/* Four ways before two to four times as many, and four in the walker's cache: what most machines have. */
LOOK_UP(look_up_avx2_2, ORDER_AVX2, HOW_AVX2, 1, 2, 1)
LOOK_UP(look_up_avx2_3, ORDER_AVX2, HOW_AVX2, 1, 3, 1)
LOOK_UP(look_up_avx2_4, ORDER_AVX2, HOW_AVX2, 1, 4, 1)
#endif

/* ---- a run ---- */

/* Whether there never was a page but those of 4 KiB. */
static bool only_small_pages(const struct mmu *mmu)
{
	for (unsigned size = PAGE_4K + 1; size < PAGE_SIZES; size++)
		if (mmu->seen[size])
			return false;
	return true;
}

/* Whether pages of 4 KiB and larger ones that were there stand in one array of the first level. */
static bool shares_sets(const struct mmu *mmu, unsigned side)
{
	return mmu->sharing_sizes[side][PAGE_4K] && !only_small_pages(mmu);
}

/* What may be looked up in the levels: halves of the address space that never had a page that is not usual. */
static void choose_half(struct mmu_usual *usual)
{
	const struct mmu *mmu = usual->mmu;
	const bool user = !mmu->seen_unusual[true], kernel = !mmu->seen_unusual[false];
	usual->first_looked_up = user ? 0 : mmu->user_end;
	usual->looked_up = user && kernel ? UINT64_MAX : user ? mmu->user_end : kernel ? 0 - mmu->user_end : 0;
}

/* What was read of page tables may not be there any more. */
static void forget_tables(struct mmu_usual *usual)
{
	for (unsigned i = 0; i < KNOWN_TABLES; i++)
		usual->known_tables[i].table = TABLE_NONE;
	usual->frames_changed = usual->mmu->walker->memory->frames_changed;
}

/* What was known of entries does not hold any more. */
static void forget_entries(struct mmu_usual *usual)
{
	for (unsigned level = 0; level < PAGING_LEVELS_MAX; level++)
		for (unsigned i = 0; i < KNOWN_ENTRIES; i++)
			usual->known_entries[level][i].raw = UINT64_MAX;
	usual->global_pages = usual->mmu->walker->controls.global_pages;
}

static void set_look_up(struct mmu_usual *usual, unsigned side, look_up_function *look_up)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		if ((kind == ACCESS_CODE) == (side == MMU_CODE))
			usual->kind[kind].look_up = look_up;
}

/* The levels are looked up where they hold nothing but pages of 4 KiB of address spaces of their own. */
static void choose_look_ups(struct mmu_usual *usual)
{
	usual->mmu->seen_more = false;
	choose_half(usual);
	for (unsigned i = 0; i < MMU_SIDES; i++) {
		const struct side *side = &usual->side[i];
		if (!side->look_up)
			continue;
		look_up_function *look_up = usual->looked_up && !shares_sets(usual->mmu, i) ? side->look_up : look_up_filter;
		if (usual->kind[i == MMU_CODE ? ACCESS_CODE : ACCESS_LOAD].look_up != look_up)
			set_look_up(usual, i, look_up);
	}
}

static void begin(struct mmu_usual *usual, const struct walk_sink *sink)
{
	const struct walker *walker = usual->mmu->walker;
	usual->to = sink->at ? sink->at + sink->count : NULL;
	usual->first_to = sink->at;
	usual->cycles = sink->cycles;
	if (!walker)
		return;
	usual->pcid = way_word((uint64_t)walker->pcid << TLB_PCID_SHIFT, WAY_VALID);
	if (usual->frames_changed != walker->memory->frames_changed)
		forget_tables(usual);
	if (usual->global_pages != walker->controls.global_pages)
		forget_entries(usual);
}

/*
 * Accesses as many as one tally takes, while `to` is not beyond `full`. Returns how many; fewer than both bounds allow if the
 * next one is not usual.
 */
INLINE size_t run_tally(struct mmu_usual *usual, const struct access *in, size_t count_max, const struct access *full,
                        bool writes, bool tells_region)
{
	const struct access *access = in, *const end = in + (count_max < KIND_BYTES_MAX ? count_max : KIND_BYTES_MAX);
	struct access *to = usual->to;
	uint64_t all = 0;
	for (; access < end && (!writes || to <= full); access++) {
		const struct kind *kind = &usual->kind[access->kind];
		const uint64_t address = access->address, page = address >> PAGE_SHIFT, inside = address & (PAGE_SIZE - 1);
		struct mmu_recent *recent = &kind->recents[page & kind->recent_mask];
		if (inside + access->bytes > PAGE_SIZE)
			break;
		if (recent->page != page || !(recent->kinds >> access->kind & 1)) {
			usual->to = to;
			if (!kind->look_up(usual, access, recent))
				break;
			to = usual->to;
		} else if (writes) {
			write_access(to, access, recent->frame | inside);
			if (tells_region)
				to->region = recent->region;
			to++;
		}
		all += kind->one;
	}
	usual->to = to;
	if (all)
		count(usual, all);
	return (size_t)(access - in);
}

/* The same of one access. */
INLINE bool run_one(struct mmu_usual *usual, const struct access *access)
{
	const struct kind *kind = &usual->kind[access->kind];
	const uint64_t page = access->address >> PAGE_SHIFT, inside = access->address & (PAGE_SIZE - 1);
	struct mmu_recent *recent = &kind->recents[page & kind->recent_mask];
	if (inside + access->bytes > PAGE_SIZE)
		return false;
	if (recent->page != page || !(recent->kinds >> access->kind & 1)) {
		if (!kind->look_up(usual, access, recent))
			return false;
	} else {
		hand_on(usual, access, recent);
	}
	count_one(usual, access->kind);
	return true;
}

/* Whether the filter or the levels may know the access: a look that costs little where they mostly do not. */
INLINE bool may_know(const struct mmu_usual *usual, const struct access *access)
{
	const struct kind *kind = &usual->kind[access->kind];
	const uint64_t page = access->address >> PAGE_SHIFT;
	return (kind->look_up != look_up_filter && levels_may_know(usual, access->address)) ||
	       kind->recents[page & kind->recent_mask].page == page ||
	       mmu_recent_large(kind->side->recents, kind->side->large_mask, access->address);
}

/* As many as there are, tally by tally. */
static __attribute__((noinline)) size_t run_tallies(struct mmu_usual *usual, const struct access *in, size_t count_max,
                                                    const struct access *full)
{
	size_t done = 0, some;
	do {
		if (!full)
			some = run_tally(usual, in + done, count_max - done, full, false, false);
		else if (usual->mmu->layout)
			some = run_tally(usual, in + done, count_max - done, full, true, true);
		else
			some = run_tally(usual, in + done, count_max - done, full, true, false);
		done += some;
	} while (some == KIND_BYTES_MAX);
	return done;
}

size_t mmu_usual_run(struct mmu *mmu, const struct access *in, size_t count_max, struct walk_sink *sink, size_t capacity)
{
	struct mmu_usual *usual = mmu->usual;
	if (mmu->seen_more)
		choose_look_ups(usual);
	if (!may_know(usual, in))
		return 0;
	begin(usual, sink);
	size_t done = count_max == 1 ? run_one(usual, in)
	                             : run_tallies(usual, in, count_max, sink->at ? sink->at + (capacity - MMU_ROOM) : NULL);
	if (sink->at)
		sink->count = (size_t)(usual->to - sink->at);
	return done;
}

/* ---- making ---- */

/* The look-up for a side's sets. */
static look_up_function *look_up_for(const struct mmu_usual *usual, const struct side *side, bool vectors)
{
#ifdef ORDER_HAS_AVX2
	static look_up_function *const of_second[] = {NULL, NULL, look_up_avx2_2, look_up_avx2_3, look_up_avx2_4};
	const uint32_t most = sizeof of_second / sizeof of_second[0] - 1, second = side->second.ways / ORDER_VECTOR;
	bool folds = side->first.fold != ORDER_NO_FOLD || usual->tables.fold != ORDER_NO_FOLD;
	bool four_tables = usual->start > 0 || usual->tables.ways == ORDER_VECTOR;
	if (vectors && !folds && side->first.ways == ORDER_VECTOR && four_tables && second <= most &&
	    side->second.ways % ORDER_VECTOR == 0 && of_second[second])
		return of_second[second];
	if (vectors)
		return look_up_avx2;
#else
	(void)usual, (void)side, (void)vectors;
#endif
	return look_up_plain;
}

static bool takes_sets(const struct tlb_level *array, struct ordered_sets *sets, bool *vectors)
{
	if (!array || !array->in_order || !ordered_sets_fit(array->in_order))
		return false;
	*sets = ordered_sets_of(array->in_order);
	*vectors = *vectors && array->in_order->simd >= SIMD_AVX2 && sets->stride % ORDER_VECTOR == 0;
	return true;
}

/* A side whose levels are such that more than the filter can be looked up. */
static void take_side(struct mmu_usual *usual, struct side *side, bool vectors)
{
	/* What the sides share while each has recents of its own is left to mmu.c. */
	const struct mmu_level *front = &usual->mmu->level[0];
	if (usual->mmu->partly_joint && front->array[MMU_DATA][PAGE_4K] == front->array[MMU_CODE][PAGE_4K])
		return;
	if (!takes_sets(side->first_array, &side->first, &vectors) ||
	    (usual->has_second && !takes_sets(side->second_array, &side->second, &vectors)))
		return;
	side->look_up = look_up_for(usual, side, vectors);
}

/* What a walk needs of the mode. */
static void take_mode(struct mmu_usual *usual, const struct walker *walker)
{
	const struct translation_ops *mode = walker->mode;
	const unsigned bytes_shift = (unsigned)__builtin_ctz(mode->entry_bytes);
	usual->table_shift = mode->level[1].shift;
	usual->index_shift = mode->level[0].shift - bytes_shift;
	usual->index_mask = ((1ull << mode->level[0].index_bits) - 1) << bytes_shift;
	usual->rest_mask = ~(mode->page_frame & ((1ull << walker->controls.physical_bits) - 1));
	usual->reference = walker_reference(walker, 0, 0, 0, ACCESS_WALK);
	forget_entries(usual);
	forget_tables(usual);
}

/* Where walks begin. false: somewhere that is not usual. */
static bool takes_walks(struct mmu_usual *usual, const struct walker *walker, bool *vectors)
{
	bool has_caches = false;
	for (unsigned level = 1; level < walker->mode->levels; level++)
		has_caches = has_caches || walker->structure[level];
	if (has_caches)
		return takes_sets(walker->structure[1], &usual->tables, vectors);
	usual->start = walker->mode->levels - 1;
	usual->tables.fold = ORDER_NO_FOLD;
	return walker->mode->root_registers == 0;
}

struct mmu_usual *mmu_usual_new(struct mmu *mmu)
{
	const struct walker *walker = mmu->walker;
	struct mmu_usual *usual = xcalloc(1, sizeof *usual);
	bool fits = walker && !walker->host && !mmu->prefetch_next_page && mmu->levels >= 1 && mmu->levels <= 2 &&
	            walker->mode->levels > 1,
	     vectors = true;
	for (unsigned level = 0; level < mmu->levels; level++)
		fits = fits && mmu->level[level].inclusion == TLB_NEITHER;
	usual->mmu = mmu;
	usual->has_second = mmu->levels > 1;
	fits = fits && takes_walks(usual, walker, &vectors);
	if (fits)
		take_mode(usual, walker);
	for (unsigned i = 0; i < MMU_SIDES; i++) {
		struct side *side = &usual->side[i];
		*side = (struct side){.recents = &mmu->recents[mmu->recents_of[i]],
		                      .large_mask = mmu->large_mask[i],
		                      .first_array = mmu->level[0].array[i][PAGE_4K],
		                      .second_array = mmu->level[1].array[i][PAGE_4K]};
		if (fits)
			take_side(usual, side, vectors);
	}
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		usual->kind[kind] = (struct kind){.recents = side_of(usual, kind)->recents->of_set,
		                                  .recent_mask = mmu->recent_mask[kind == ACCESS_CODE ? MMU_CODE : MMU_DATA],
		                                  .one = kind_byte(kind),
		                                  .side = side_of(usual, kind),
		                                  .look_up = look_up_filter};
	return usual;
}
