/* SPDX-License-Identifier: MIT
 *
 * mmu.c - access by access through TLBs and walker (interface and laws: mmu.h). Whole batches at a time: mmu_runs.c;
 * what is usual: mmu_usual.c.
 */
#include "sim/mmu.h"

#include "sim/mmu_runs.h"
#include "sim/mmu_usual.h"

#include <stdlib.h>

const struct metric mmu_metrics[] = {
        METRIC(struct mmu_counters, accesses, "1", "Accesses that came"),
        METRIC(struct mmu_counters, pages, "1", "Pages that they touched: lookups"),
        METRIC(struct mmu_counters, miss_walks, "1", "Page walks at misses of the last level"),
        METRIC(struct mmu_counters, dirty_walks, "1", "Page walks to set a dirty bit by a translation that was there"),
        METRIC(struct mmu_counters, rights_walks, "1", "Page walks because the translation that was there forbade the access"),
        METRIC(struct mmu_counters, prefetch_walks, "1", "Page walks for the page after one that missed"),
        METRIC(struct mmu_counters, prefetch_fills, "1", "Translations that such walks brought"),
        METRIC(struct mmu_counters, fault_walks, "1", "Page walks once more after a fault that was put right"),
        METRIC(struct mmu_counters, faults, "1", "Faults"),
        METRIC(struct mmu_counters, refused, "1", "Accesses to a page that nothing put right"),
        METRIC(struct mmu_counters, invalidations, "1", "Invalidations that took effect on this core"),
        METRIC(struct mmu_counters, shootdowns, "1", "Of them those that another core asked for"),
        METRIC_END,
};

/* One page of an access on its way. */
struct lookup {
	enum mmu_side side;
	uint8_t kind;
	struct walk_request request;
	struct walk_sink *sink;
	/* Found: */
	uint64_t word;
	enum page_size size;
};

/* Where the kernel begins on a 32-bit machine: PAGE_OFFSET of the usual split (sim/layout.h). */
#define USER_END_32BIT 0xc0000000u
/* Any other's upper half. */
#define USER_END_64BIT (1ull << 63)

static void set_request(struct walk_request *request, const struct mmu *mmu, uint8_t kind, uint64_t linear)
{
	request->linear = linear;
	request->write = kind == ACCESS_STORE || kind == ACCESS_MODIFY;
	request->user = linear < mmu->user_end;
	request->fetch = kind == ACCESS_CODE;
	request->prefetch = false;
}

/* ---- the filter ---- */

static void forget_large(struct mmu_recents *recents, enum page_size size)
{
	for (unsigned place = 0; place < MMU_RECENT_LARGE_MAX; place++)
		recents->large[size][place].page = MMU_PAGE_NONE;
	recents->large_sizes &= (uint8_t) ~(1u << size);
}

static void forget_small(struct mmu_recents *recents, uint64_t mask)
{
	for (uint64_t place = 0; place <= mask; place++)
		recents->of_set[place].page = MMU_PAGE_NONE;
}

/* All at once, by a new era; numbers come round after 2^32 of them, and then none may be left. */
static void forget_known(struct mmu *mmu)
{
	if (++mmu->era > 0)
		return;
	for (unsigned side = 0; side < MMU_SIDES; side++)
		for (unsigned place = 0; place < MMU_KNOWN; place++)
			mmu->known[side][place].era = 0;
	mmu->era = 1;
}

static void forget_recents(struct mmu *mmu)
{
	for (unsigned side = 0; side < MMU_SIDES; side++) {
		forget_small(&mmu->recents[side], MMU_RECENT_MAX - 1);
		for (unsigned size = PAGE_4K + 1; size < PAGE_SIZES; size++)
			forget_large(&mmu->recents[side], (enum page_size)size);
	}
	forget_known(mmu);
}

/* The kinds of access that a page of these rights allows as it is, a bit for each. */
static uint8_t allowed_kinds(const struct mmu *mmu, bool user, uint64_t word)
{
	unsigned kinds = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		struct walk_request request;
		set_request(&request, mmu, (uint8_t)kind, 0);
		request.user = user;
		if (!mmu->walker || (walker_allows(mmu->walker, &request, word) && (!request.write || word & WORD_DIRTY)))
			kinds |= 1u << kind;
	}
	return (uint8_t)kinds;
}

/* Where the filter has a page of a size. */
static inline struct mmu_recent *recent_of(struct mmu *mmu, enum mmu_side side, enum page_size size, uint64_t linear)
{
	struct mmu_recents *recents = &mmu->recents[mmu->recents_of[side]];
	uint64_t page = linear >> page_size_shift(size);
	return size == PAGE_4K ? &recents->of_set[page & mmu->recent_mask[side]]
	                       : &recents->large[size][page & mmu->large_mask[side][size]];
}

/* A page of a size was used: of the other sizes in its array none is known to be the last of its set. */
static void forget_sharing(struct mmu *mmu, enum mmu_side side, enum page_size size)
{
	struct mmu_recents *recents = &mmu->recents[mmu->recents_of[side]];
	unsigned sharing = mmu->sharing_sizes[side][size];
	if (sharing & 1u << PAGE_4K)
		forget_small(recents, mmu->recent_mask[side]);
	for (unsigned sizes = sharing & recents->large_sizes; sizes; sizes &= sizes - 1)
		forget_large(recents, (enum page_size)__builtin_ctz(sizes));
}

/* A first-level array got another entry: what was last used in its set is not known any more. */
static void forget_side(struct mmu *mmu, enum mmu_side side, enum page_size size, uint64_t linear)
{
	recent_of(mmu, side, size, linear)->page = MMU_PAGE_NONE;
	forget_sharing(mmu, side, size);
}

/* The same for the other side, where it has the array too but other recents. */
static void forget_other_side(struct mmu *mmu, enum mmu_side side, enum page_size size, uint64_t linear)
{
	const struct mmu_level *first = &mmu->level[0];
	if (mmu->partly_joint && first->array[MMU_DATA][size] && first->array[MMU_DATA][size] == first->array[MMU_CODE][size])
		forget_side(mmu, side == MMU_DATA ? MMU_CODE : MMU_DATA, size, linear);
}

/* A page was just used, by a hit, in a first-level array: the filter forgets what does not hold any more. */
static inline void begin_recent(struct mmu *mmu, enum mmu_side side, enum page_size size, uint64_t linear)
{
	struct mmu_recents *recents = &mmu->recents[mmu->recents_of[side]];
	if (mmu->partly_joint)
		forget_other_side(mmu, side, size, linear);
	if (mmu->sharing_sizes[side][size] & (recents->large_sizes | 1u << PAGE_4K))
		forget_sharing(mmu, side, size);
	if (size != PAGE_4K)
		recents->large_sizes |= (uint8_t)(1u << size);
}

/* The same, by this word, and it lies in that region; the filter has it now. */
static inline struct mmu_recent *remember_recent(struct mmu *mmu, enum mmu_side side, enum page_size size, uint64_t linear,
                                                 uint64_t word, uint8_t region)
{
	struct mmu_recent *recent = recent_of(mmu, side, size, linear);
	begin_recent(mmu, side, size, linear);
	recent->page = linear >> page_size_shift(size);
	recent->frame = mmu->walker ? word & WORD_FRAME : linear & ~(uint64_t)(PAGE_SIZE - 1);
	recent->offsets = (uint32_t)(page_size_bytes(size) - 1);
	recent->size = (uint8_t)size;
	recent->kinds = mmu_kinds_of(mmu, linear, word);
	recent->region = region;
	return recent;
}

static struct mmu_known *known_of(struct mmu *mmu, enum mmu_side side, uint64_t linear)
{
	/* 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4) */
	return &mmu->known[side][(linear >> MMU_CHUNK_SHIFT) * 0x9e3779b97f4a7c15u >> (64 - MMU_KNOWN_BITS)];
}

static void see(struct mmu *mmu, uint64_t linear, enum page_size size, uint64_t word)
{
	const bool user = linear<mmu->user_end, is_unusual = size> PAGE_4K || word & WORD_GLOBAL;
	mmu->seen_more = mmu->seen_more || !mmu->seen[size] || (is_unusual && !mmu->seen_unusual[user]);
	mmu->seen[size] = true;
	mmu->seen_large |= size > PAGE_4K;
	mmu->seen_unusual[user] |= is_unusual;
}

static uint64_t tag_of(const struct mmu *mmu, uint64_t linear, uint64_t word, enum page_size size)
{
	return word & WORD_GLOBAL ? tlb_tag_global(linear, size) : tlb_tag(linear, size, mmu->walker ? mmu->walker->pcid : 0);
}

/* What is known of a larger page of a first-level array, from its use on. */
static void know(struct mmu *mmu, enum mmu_side side, uint64_t linear, uint64_t word, struct mmu_recent *recent)
{
	struct mmu_known *known = known_of(mmu, side, linear);
	const enum page_size size = (enum page_size)recent->size;
	const struct replacement *sets = mmu->level[0].array[side][size]->in_order;
	*known = (struct mmu_known){.chunk = linear >> MMU_CHUNK_SHIFT,
	                            .tag = tag_of(mmu, linear, word, size),
	                            .era = mmu->era,
	                            .word = word,
	                            .recent = *recent,
	                            .place = recent};
	if (!sets || sets->ways < MMU_KNOWN_WAYS)
		return;
	const uint32_t set = replacement_set_of(sets, known->tag);
	known->ways = replacement_words(sets, set);
	known->payloads = replacement_payloads(sets, set);
}

static void remember(struct mmu *mmu, const struct lookup *lookup)
{
	uint64_t linear = lookup->request.linear;
	uint8_t region = mmu_place_of(mmu, linear, lookup->size);
	struct mmu_recent *recent = remember_recent(mmu, lookup->side, lookup->size, linear, lookup->word, region);
	if (lookup->size != PAGE_4K)
		know(mmu, lookup->side, linear, lookup->word, recent);
}

/* Moves what stands before a way up by one, and the way's word first. */
static inline void put_first(uint64_t *words, unsigned way)
{
	const uint64_t word = words[way];
	for (; way > 0; way--)
		words[way] = words[way - 1];
	words[0] = word;
}

/* An entry is used once more: tlb_use(). Returns its translation's word, NULL: the array has no such entry any more. */
static inline const uint64_t *use_known_entry(struct tlb_level *array, const struct mmu_known *known)
{
	const uint64_t wanted = way_word(known->tag, WAY_VALID);
	uint64_t *ways = known->ways, *word;
	for (unsigned way = 0; ways && way < MMU_KNOWN_WAYS; way++) {
		if (ways[way] != wanted)
			continue;
		put_first(ways, way);
		put_first(known->payloads, way);
		return known->payloads;
	}
	return tlb_use(array, known->tag, &word) ? word : NULL;
}

/*
 * What find_in_level() and hit() do of a page in the first level. The tag was that of the chunk's page when it was used last, and
 * is asked for again: an entry that went, or is another address space's, is not found.
 */
const struct mmu_recent *mmu_use_known(struct mmu *mmu, uint64_t linear, unsigned kind)
{
	const enum mmu_side side = kind == ACCESS_CODE ? MMU_CODE : MMU_DATA;
	struct mmu_known *known = known_of(mmu, side, linear);
	if (known->chunk != linear >> MMU_CHUNK_SHIFT || known->era != mmu->era || !mmu->walker)
		return NULL;
	const enum page_size size = (enum page_size)known->recent.size;
	const uint64_t *word = use_known_entry(mmu->level[0].array[side][size], known);
	if (!word)
		return NULL;
	if (*word != known->word)
		return mmu_kinds_of(mmu, linear, *word) >> kind & 1
		               ? remember_recent(mmu, side, size, linear, *word, known->recent.region)
		               : NULL;
	if (!(known->recent.kinds >> kind & 1))
		return NULL;
	begin_recent(mmu, side, size, linear);
	*known->place = known->recent;
	return known->place;
}

/* ---- entries in levels ---- */

static void fill_level(struct mmu *mmu, unsigned level, enum mmu_side side, uint8_t kind, struct tlb_entry entry);

/* Takes a page out of every array above a level. */
static void remove_above(struct mmu *mmu, unsigned level, uint64_t tag)
{
	enum page_size size = tlb_tag_size(tag);
	for (unsigned above = 0; above < level; above++)
		for (unsigned side = 0; side < MMU_SIDES; side++)
			if (mmu->level[above].array[side][size])
				tlb_remove(mmu->level[above].array[side][size], tag);
	forget_recents(mmu);
}

/* An entry had to leave a level. */
static void evicted_from(struct mmu *mmu, unsigned level, enum mmu_side side, uint8_t kind, struct tlb_entry entry)
{
	if (mmu->level[level].inclusion == TLB_INCLUSIVE && level > 0)
		remove_above(mmu, level, entry.tag);
	if (level + 1 == mmu->levels || mmu->level[level + 1].inclusion != TLB_EXCLUSIVE)
		return;
	/* Code and data arrays may both have had the page: the second to let it go finds it there. */
	struct tlb_level *below = mmu->level[level + 1].array[side][tlb_tag_size(entry.tag)];
	if (below && !tlb_use(below, entry.tag, NULL))
		fill_level(mmu, level + 1, side, kind, entry);
}

/* Keeps an entry in a level, because of an access of that kind. */
static void fill_level(struct mmu *mmu, unsigned level, enum mmu_side side, uint8_t kind, struct tlb_entry entry)
{
	enum page_size size = tlb_tag_size(entry.tag);
	struct tlb_level *array = mmu->level[level].array[side][size];
	if (!array)
		return;
	struct tlb_entry evicted = tlb_fill(array, entry);
	if (evicted.tag == TLB_NONE)
		return;
	if (array->watch) {
		level_watch_evicted(array->watch, 0, evicted.tag, evicted.word & TLB_WORD_USED);
		level_watch_kind(array->watch, kind, access_on_page(0, tlb_tag_size(evicted.tag)))->evictions++;
	}
	evicted.word &= ~TLB_WORD_USED;
	evicted_from(mmu, level, side, kind, evicted);
}

/* The entry that a level keeps of a translation: the page, or the largest piece around the address that its arrays keep. */
static struct tlb_entry entry_for(const struct mmu *mmu, unsigned level, const struct lookup *lookup)
{
	uint64_t linear = lookup->request.linear, word = lookup->word;
	unsigned size = lookup->size;
	while (size > PAGE_4K && !mmu->level[level].array[lookup->side][size])
		size--;
	if (size != lookup->size) {
		uint64_t inside = page_size_bytes(lookup->size) - 1, piece = page_size_bytes((enum page_size)size) - 1;
		word |= linear & inside & ~piece;
	}
	return (struct tlb_entry){tag_of(mmu, linear, word, (enum page_size)size), word};
}

/* Puts a translation into the levels above `below` that take it, the lowest first. */
static void fill_above(struct mmu *mmu, unsigned below, const struct lookup *lookup)
{
	uint64_t linear = lookup->request.linear;
	const struct tlb_entry whole = {tag_of(mmu, linear, lookup->word, lookup->size), lookup->word};
	enum page_size first = lookup->size;
	for (unsigned level = below; level-- > 0;) {
		if (level > 0 && mmu->level[level].inclusion == TLB_EXCLUSIVE)
			continue;
		bool keeps_whole = mmu->level[level].array[lookup->side][lookup->size] != NULL;
		const struct tlb_entry entry = keeps_whole ? whole : entry_for(mmu, level, lookup);
		first = tlb_tag_size(entry.tag);
		see(mmu, linear, first, entry.word);
		fill_level(mmu, level, lookup->side, lookup->kind, entry);
	}
	forget_side(mmu, lookup->side, first, linear);
	forget_other_side(mmu, lookup->side, first, linear);
}

/* The array's entry for an address: of this address space, or global. */
static bool use_entry(const struct mmu *mmu, struct tlb_level *array, uint64_t linear, enum page_size size, uint64_t **word)
{
	return tlb_use(array, tlb_tag(linear, size, mmu->walker ? mmu->walker->pcid : 0), word) ||
	       (array->globals && tlb_use(array, tlb_tag_global(linear, size), word));
}

static bool find_in_level(struct mmu *mmu, unsigned level, struct lookup *lookup)
{
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		struct tlb_level *array = mmu->level[level].array[lookup->side][size];
		uint64_t *word;
		if (!array || !mmu->seen[size] || !use_entry(mmu, array, lookup->request.linear, (enum page_size)size, &word))
			continue;
		lookup->word = *word & ~TLB_WORD_USED;
		lookup->size = (enum page_size)size;
		if (mmu->watched)
			*word |= TLB_WORD_USED;
		return true;
	}
	return false;
}

/* Writes a changed word into every array that has the page. */
static void change_word(struct mmu *mmu, uint64_t tag, uint64_t changed)
{
	uint64_t *word;
	for (unsigned i = 0; i < mmu->arrays_count; i++)
		if (tlb_find(mmu->arrays[i], tag, &word))
			*word = changed | (*word & TLB_WORD_USED);
}

static void remove_everywhere(struct mmu *mmu, uint64_t tag)
{
	for (unsigned i = 0; i < mmu->arrays_count; i++)
		tlb_remove(mmu->arrays[i], tag);
}

/* All that is there of this address space, or of all, around an address. */
static void remove_page(struct mmu *mmu, uint64_t linear)
{
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		remove_everywhere(mmu, tlb_tag(linear, (enum page_size)size, mmu->walker->pcid));
		remove_everywhere(mmu, tlb_tag_global(linear, (enum page_size)size));
	}
	forget_recents(mmu);
}

/* ---- walks ---- */

/* Walks until there is a translation, or nobody puts the fault right. */
static bool walk(struct mmu *mmu, struct lookup *lookup)
{
	struct walk walk = walker_walk(mmu->walker, &lookup->request, lookup->sink);
	if (walk.outcome != WALK_OK) {
		mmu->counters.faults++;
		if (!mmu->fault || !mmu->fault(mmu->context, lookup->request.linear, walk.outcome, walk.error_code))
			return false;
		mmu->counters.fault_walks++;
		walk = walker_walk(mmu->walker, &lookup->request, lookup->sink);
		if (walk.outcome != WALK_OK) {
			mmu->counters.faults++;
			return false;
		}
	}
	lookup->word = walk.word;
	lookup->size = walk.size;
	return true;
}

/* Brings the next page's translation into the last level. */
static void prefetch_next(struct mmu *mmu, const struct lookup *missed)
{
	struct lookup next = *missed;
	uint64_t bytes = page_size_bytes(missed->size);
	next.request.linear = (missed->request.linear & ~(bytes - 1)) + bytes;
	next.request.prefetch = true;
	next.request.write = false;
	if (!translation_canonical(mmu->walker->mode, next.request.linear))
		return;
	unsigned last = mmu->levels - 1;
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		struct tlb_level *array = mmu->level[last].array[next.side][size];
		if (array && (tlb_find(array, tlb_tag(next.request.linear, (enum page_size)size, mmu->walker->pcid), NULL) ||
		              tlb_find(array, tlb_tag_global(next.request.linear, (enum page_size)size), NULL)))
			return;
	}
	mmu->counters.prefetch_walks++;
	struct walk walk = walker_walk(mmu->walker, &next.request, next.sink);
	struct tlb_level *array = walk.outcome == WALK_OK ? mmu->level[last].array[next.side][walk.size] : NULL;
	if (!array)
		return;
	mmu->counters.prefetch_fills++;
	see(mmu, next.request.linear, walk.size, walk.word);
	fill_level(mmu, last, next.side, ACCESS_PREFETCH,
	           (struct tlb_entry){tag_of(mmu, next.request.linear, walk.word, walk.size), walk.word});
	if (last == 0)
		forget_recents(mmu);
}

/* A translation that is there does not do for this access as it is: the walker looks again. */
static bool renew(struct mmu *mmu, struct lookup *lookup, bool allowed)
{
	uint64_t old_tag = tag_of(mmu, lookup->request.linear, lookup->word, lookup->size);
	if (allowed)
		mmu->counters.dirty_walks++;
	else
		mmu->counters.rights_walks++;
	struct lookup renewed = *lookup;
	if (!walk(mmu, &renewed)) {
		/* A fault drops the translation it came from (Intel SDM vol. 3A 4.10.4.1). */
		remove_everywhere(mmu, old_tag);
		forget_recents(mmu);
		return false;
	}
	bool same = allowed && tag_of(mmu, renewed.request.linear, renewed.word, renewed.size) == old_tag;
	if (!same) {
		remove_page(mmu, lookup->request.linear);
		fill_above(mmu, mmu->levels, &renewed);
	} else {
		change_word(mmu, old_tag, renewed.word);
		/* It was used, so no other page is the last of its set. */
		forget_side(mmu, lookup->side, lookup->size, lookup->request.linear);
	}
	*lookup = renewed;
	return true;
}

static bool serves(const struct mmu *mmu, const struct lookup *lookup, bool *allowed)
{
	*allowed = walker_allows(mmu->walker, &lookup->request, lookup->word);
	return *allowed && (!lookup->request.write || lookup->word & WORD_DIRTY);
}

/* Tells the watch of the array that would have, or had, the page. */
static void watch_level(struct mmu *mmu, unsigned level, const struct lookup *lookup, bool missed)
{
	struct tlb_level *array = mmu->level[level].array[lookup->side][lookup->size];
	if (array && array->watch)
		level_watch_access(array->watch, 0, tag_of(mmu, lookup->request.linear, lookup->word, lookup->size),
		                   mmu_region_of(mmu, lookup->request.linear), missed);
}

/* A level has the page. */
static bool hit(struct mmu *mmu, unsigned level, struct lookup *lookup)
{
	bool allowed;
	mmu->level_counters[level].hits[lookup->kind][lookup->size]++;
	if (mmu->watched)
		watch_level(mmu, level, lookup, false);
	if (level > 0) {
		if (mmu->level[level].inclusion == TLB_EXCLUSIVE)
			tlb_remove(mmu->level[level].array[lookup->side][lookup->size],
			           tag_of(mmu, lookup->request.linear, lookup->word, lookup->size));
		fill_above(mmu, level, lookup);
	}
	if (mmu->walker && !serves(mmu, lookup, &allowed))
		return renew(mmu, lookup, allowed);
	if (level == 0)
		remember(mmu, lookup);
	return true;
}

static void count_miss(struct mmu *mmu, unsigned levels, const struct lookup *lookup)
{
	for (unsigned level = 0; level < levels; level++) {
		mmu->level_counters[level].misses[lookup->kind][lookup->size]++;
		if (mmu->watched)
			watch_level(mmu, level, lookup, true);
	}
}

/* No level has the page. */
static bool miss(struct mmu *mmu, struct lookup *lookup)
{
	lookup->size = PAGE_4K;
	lookup->word = 0; /* what a walk in vain finds */
	if (!mmu->walker) {
		lookup->word = lookup->request.linear & WORD_FRAME;
		count_miss(mmu, mmu->levels, lookup);
		fill_above(mmu, mmu->levels, lookup);
		return true;
	}
	mmu->counters.miss_walks++;
	bool found = walk(mmu, lookup);
	count_miss(mmu, mmu->levels, lookup);
	if (!found)
		return false;
	fill_above(mmu, mmu->levels, lookup);
	if (mmu->prefetch_next_page)
		prefetch_next(mmu, lookup);
	return true;
}

/* One page of an access; false: it is refused. */
static bool translate(struct mmu *mmu, struct lookup *lookup)
{
	mmu->counters.pages++;
	for (unsigned level = 0; level < mmu->levels; level++) {
		mmu->level_counters[level].accesses[lookup->kind]++;
		if (!find_in_level(mmu, level, lookup))
			continue;
		count_miss(mmu, level, lookup);
		return hit(mmu, level, lookup);
	}
	return miss(mmu, lookup);
}

/* ---- accesses ---- */

/* The part of an access that lies in one page, by the long way. Returns whether it goes on. */
static bool slow_page(struct mmu *mmu, struct access *part, struct walk_sink *sink)
{
	struct lookup lookup;
	lookup.side = part->kind == ACCESS_CODE ? MMU_CODE : MMU_DATA;
	lookup.kind = part->kind;
	lookup.sink = sink;
	set_request(&lookup.request, mmu, part->kind, part->address);
	if (mmu->layout)
		part->region = mmu_region_of(mmu, part->address);
	if (!mmu->served[lookup.side])
		return true;
	sink->cpu = part->cpu;
	if (!translate(mmu, &lookup)) {
		mmu->counters.refused++;
		return false;
	}
	if (mmu->layout)
		part->region = mmu_place_of(mmu, part->address, lookup.size);
	if (mmu->walker)
		part->address = (lookup.word & WORD_FRAME) | (part->address & (page_size_bytes(lookup.size) - 1));
	return true;
}

/* What of the next access lies in its first page that is not done. */
static struct access next_part(struct mmu *mmu, const struct access *access)
{
	struct access part = *access;
	part.address += mmu->partial;
	part.bytes -= mmu->partial;
	uint64_t room = PAGE_SIZE - (part.address & (PAGE_SIZE - 1));
	if (part.bytes > room)
		part.bytes = (uint32_t)room;
	mmu->partial += part.bytes;
	if (mmu->partial >= access->bytes)
		mmu->partial = 0;
	return part;
}

uint64_t mmu_lookup_cycles(const struct mmu *mmu, uint8_t kind)
{
	uint64_t cycles = 0;
	for (unsigned level = 1; level < mmu->levels; level++)
		cycles += mmu->level_counters[level].accesses[kind] * mmu->level[level].latency_cycles;
	return cycles;
}

/* What a run tells of an access that is refused. */
struct refusal {
	bool is_refused;
	uint64_t cycles;
};

/* The next page of an access. */
static void run_part(struct mmu *mmu, const struct access *access, struct walk_sink *sink, struct refusal *refusal)
{
	struct access part = next_part(mmu, access);
	uint64_t before = sink->cycles ? mmu_lookup_cycles(mmu, part.kind) : 0;
	bool goes_on = slow_page(mmu, &part, sink);
	uint64_t cycles = sink->cycles ? mmu_lookup_cycles(mmu, part.kind) - before : 0;
	if (!goes_on) {
		refusal->is_refused = true;
		refusal->cycles += cycles;
		return;
	}
	if (sink->cycles)
		sink->cycles[sink->count] = (uint32_t)cycles;
	if (sink->at)
		sink->at[sink->count++] = part;
}

/* An access in one page by a larger page that the first level is known to have had. false: it has not; nothing happened. */
static bool run_known(struct mmu *mmu, const struct access *access, struct walk_sink *sink)
{
	const struct mmu_recent *recent = NULL;
	if ((access->address & (PAGE_SIZE - 1)) + access->bytes <= PAGE_SIZE)
		recent = mmu_use_known(mmu, access->address, access->kind);
	if (!recent)
		return false;
	mmu_count_recent(mmu, access->kind, recent);
	if (!sink->at)
		return true;
	struct access *physical = &sink->at[sink->count++];
	*physical = *access;
	physical->address = recent->frame | (access->address & recent->offsets);
	if (mmu->layout)
		physical->region = recent->region;
	return true;
}

/* Accesses one by one. Where the sink tells cycles, a refused one is the last. */
static size_t run_each(struct mmu *mmu, const struct access *in, size_t count, struct walk_sink *sink, size_t capacity,
                       struct refusal *refusal)
{
	size_t done = 0;
	bool ends = false;
	while (done < count && !ends && (!sink->at || sink->count + MMU_ROOM <= capacity)) {
		if (!mmu->partial && !mmu->watched) {
			size_t usual = mmu_usual_run(mmu, in + done, count - done, sink, capacity);
			done += usual;
			if (usual > 0)
				continue;
			if (run_known(mmu, &in[done], sink)) {
				done++;
				continue;
			}
		}
		run_part(mmu, &in[done], sink, refusal);
		ends = sink->cycles && refusal->is_refused && !mmu->partial;
		done += !mmu->partial;
	}
	mmu->counters.accesses += done;
	return done;
}

size_t mmu_run_told(struct mmu *mmu, const struct access *in, size_t count, struct access *out, uint32_t *cycles, size_t capacity,
                    size_t *made, bool *is_refused, uint64_t *refused_cycles)
{
	SIM_ASSERT(!mmu->whole_batches && capacity >= MMU_ROOM);
	struct walk_sink sink = {.at = out, .cycles = cycles};
	struct refusal refusal = {0};
	size_t done = run_each(mmu, in, count, &sink, capacity, &refusal);
	*made = sink.count;
	*is_refused = refusal.is_refused;
	*refused_cycles = refusal.cycles;
	return done;
}

size_t mmu_run(struct mmu *mmu, const struct access *in, size_t count, struct access *out, size_t capacity, size_t *made)
{
	SIM_ASSERT(!out || capacity >= MMU_ROOM);
	if (!mmu->whole_batches) {
		struct walk_sink sink = {.at = out};
		struct refusal refusal = {0};
		size_t done = run_each(mmu, in, count, &sink, capacity, &refusal);
		*made = sink.count;
		return done;
	}
	if (out && count > capacity)
		count = capacity;
	mmu_runs_do(mmu, in, count);
	*made = 0;
	if (!out)
		return count;
	for (size_t i = 0; i < count; i++)
		out[i] = in[i];
	*made = count;
	return count;
}

/* ---- invalidation ---- */

void mmu_invalidate(struct mmu *mmu, const struct tlb_scope *scope)
{
	mmu->counters.invalidations++;
	for (unsigned i = 0; i < mmu->arrays_count; i++)
		tlb_invalidate(mmu->arrays[i], scope);
	if (mmu->walker)
		walker_invalidate(mmu->walker, scope);
	forget_recents(mmu);
}

void mmu_invlpg(struct mmu *mmu, uint64_t linear)
{
	const struct tlb_scope scope = tlb_scope_invlpg(linear, mmu->walker ? mmu->walker->pcid : 0);
	mmu_invalidate(mmu, &scope);
}

void mmu_invpcid(struct mmu *mmu, enum invpcid type, unsigned pcid, uint64_t linear)
{
	const struct tlb_scope scope = tlb_scope_invpcid(type, pcid, linear);
	mmu_invalidate(mmu, &scope);
}

void mmu_write_cr3(struct mmu *mmu, uint64_t root, unsigned pcid, bool no_flush)
{
	walker_load_root(mmu->walker, root, pcid);
	forget_recents(mmu); /* they are those of the old PCID */
	if (no_flush)
		return;
	const struct tlb_scope scope = tlb_scope_cr3(pcid);
	mmu_invalidate(mmu, &scope);
}

void mmu_toggle_global_pages(struct mmu *mmu, bool global_pages)
{
	if (mmu->walker->controls.global_pages == global_pages)
		return;
	mmu->walker->controls.global_pages = global_pages;
	const struct tlb_scope scope = tlb_scope_everything();
	mmu_invalidate(mmu, &scope);
}

void mmu_shoot_down(struct mmu *const *others, size_t count, const struct tlb_scope *scope)
{
	for (size_t i = 0; i < count; i++) {
		others[i]->counters.shootdowns++;
		mmu_invalidate(others[i], scope);
	}
}

/* ---- making and checking ---- */

static bool can_run_whole_batches(const struct mmu *mmu)
{
	if (mmu->walker || mmu->prefetch_next_page || mmu->levels == 0)
		return false;
	for (unsigned level = 0; level < mmu->levels; level++) {
		if (mmu->level[level].inclusion != TLB_NEITHER)
			return false;
		for (unsigned side = 0; side < MMU_SIDES; side++) {
			const struct tlb_level *array = mmu->level[level].array[side][PAGE_4K];
			if (array && (!array->ops->run || array->keeps_words))
				return false;
		}
	}
	return true;
}

/* The filter of a page size: its places, and what shares the array with it. */
static void init_size(struct mmu *mmu, enum mmu_side side, enum page_size size)
{
	struct tlb_level *const *arrays = mmu->level[0].array[side];
	uint32_t sets = arrays[size] ? arrays[size]->sets : 1;
	mmu->large_mask[side][size] = (sets < MMU_RECENT_LARGE_MAX ? sets : MMU_RECENT_LARGE_MAX) - 1;
	for (unsigned other = 0; other < PAGE_SIZES; other++)
		if (arrays[size] && other != size && arrays[other] == arrays[size])
			mmu->sharing_sizes[side][size] |= (uint8_t)(1u << other);
}

void mmu_init(struct mmu *mmu)
{
	const struct mmu_level *first = &mmu->level[0];
	SIM_ASSERT(mmu->levels <= MMU_LEVELS_MAX);
	bool one_for_both = true, any_joint = false;
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		const struct tlb_level *data = first->array[MMU_DATA][size], *code = first->array[MMU_CODE][size];
		one_for_both = one_for_both && data == code;
		any_joint = any_joint || (data && data == code);
	}
	for (unsigned side = 0; side < MMU_SIDES; side++) {
		const struct tlb_level *array = first->array[side][PAGE_4K];
		mmu->served[side] = mmu->walker != NULL;
		for (unsigned level = 0; level < mmu->levels; level++)
			mmu->served[side] = mmu->served[side] || mmu->level[level].array[side][PAGE_4K];
		uint32_t sets = array ? array->sets : 1;
		mmu->recents_of[side] = one_for_both ? 0 : side;
		mmu->front[side] = &mmu->recents[mmu->recents_of[side]];
		mmu->recent_mask[side] = (sets < MMU_RECENT_MAX ? sets : MMU_RECENT_MAX) - 1;
		for (unsigned size = PAGE_4K; size < PAGE_SIZES; size++)
			init_size(mmu, (enum mmu_side)side, (enum page_size)size);
	}
	mmu->partly_joint = any_joint && !one_for_both;
	bool is_32bit = mmu->walker && mmu->walker->mode->linear_bits == 32;
	mmu->user_end = is_32bit ? USER_END_32BIT : USER_END_64BIT;
	for (unsigned rights = 0; rights < 16; rights++)
		for (unsigned user = 0; user < 2; user++)
			mmu->kinds_by_rights[user][rights] = allowed_kinds(mmu, user, (uint64_t)rights << 1);
	forget_recents(mmu);
	mmu->seen[PAGE_4K] = mmu->seen_more = true;
	mmu->whole_batches = can_run_whole_batches(mmu);
	if (mmu->whole_batches)
		mmu->runs = mmu_runs_new(mmu);
	mmu->usual = mmu_usual_new(mmu);
}

void mmu_watch(struct mmu *mmu, const uint32_t *owner)
{
	for (unsigned i = 0; i < mmu->arrays_count; i++) {
		struct tlb_level *array = mmu->arrays[i];
		array->watch = level_watch_create(1, array->capacity ? array->capacity : UINT32_MAX, owner);
	}
	mmu->watched = true;
	mmu->whole_batches = false;
}

void mmu_release(struct mmu *mmu)
{
	for (unsigned i = 0; i < mmu->arrays_count; i++)
		tlb_destroy(mmu->arrays[i]);
	free(mmu->runs);
	free(mmu->usual);
	*mmu = (struct mmu){0};
}

static uint64_t sum_of_sizes(const uint64_t sizes[PAGE_SIZES])
{
	uint64_t sum = 0;
	for (unsigned size = 0; size < PAGE_SIZES; size++)
		sum += sizes[size];
	return sum;
}

/* An array's watch counts its evictions only by kind and size of page; the levels count the accesses. */
static void check_watch(const struct tlb_level *array)
{
	uint64_t evictions = 0;
	level_watch_check(array->watch);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		for (unsigned page = 0; page < WATCH_PAGES; page++)
			evictions += array->watch->kind[kind][page].evictions;
	SIM_ASSERT(evictions == array->counters.evictions);
}

void mmu_check(const struct mmu *mmu)
{
	const struct mmu_counters *counters = &mmu->counters;
	uint64_t went_on[ACCESS_KINDS] = {0}, left = counters->pages;
	for (unsigned level = 0; level < mmu->levels; level++) {
		const struct mmu_level_counters *at = &mmu->level_counters[level];
		uint64_t accesses = 0;
		left = 0;
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
			uint64_t misses = sum_of_sizes(at->misses[kind]);
			SIM_ASSERT(at->accesses[kind] == sum_of_sizes(at->hits[kind]) + misses);
			SIM_ASSERT(level == 0 || at->accesses[kind] == went_on[kind]);
			accesses += at->accesses[kind];
			went_on[kind] = misses;
			left += misses;
		}
		SIM_ASSERT(level > 0 || accesses == counters->pages);
	}
	for (unsigned i = 0; i < mmu->arrays_count; i++) {
		tlb_check(mmu->arrays[i]);
		if (mmu->arrays[i]->watch)
			check_watch(mmu->arrays[i]);
	}
	if (!mmu->walker)
		return;
	SIM_ASSERT(counters->miss_walks == left);
	SIM_ASSERT(mmu->walker->counters.walks == counters->miss_walks + counters->dirty_walks + counters->rights_walks +
	                                                  counters->prefetch_walks + counters->fault_walks);
	SIM_ASSERT(counters->prefetch_fills <= counters->prefetch_walks && counters->fault_walks <= counters->faults);
	SIM_ASSERT(counters->shootdowns <= counters->invalidations && counters->refused <= counters->faults);
	walker_check(mmu->walker);
}
