/* SPDX-License-Identifier: MIT
 *
 * mmu.h - a core's memory management unit: TLBs of any number of levels, and behind them the page walker.
 *
 *   batch of accesses, virtual -> level 0: code and data arrays, one a page size or shared
 *                                   miss -> level 1 ... -> last level
 *                                             miss -> walker -> batch of accesses, physical
 *
 * Without a walker addresses stay as they are and the TLBs look up numbers of 4 KiB pages; code, or data, that no array of any
 * level serves is then not looked up. Between levels:
 *
 *   neither     a walk fills every level, a hit in a lower one those above it; each lets go what it wants
 *   inclusive   the same, and what goes from the level goes from those above it
 *   exclusive   a walk fills the levels above it only; the level keeps what they evict, and a hit moves up
 *
 * An access that reaches over several pages is one access for each of them, here and behind. An access to an address of the upper
 * half is one of supervisor mode, any other one of user mode.
 *
 * In front stands a filter: for every set of the first level the page that was used in it last. Using it once more changes
 * nothing in any policy, so the filter counts hits without asking. It is right because it is emptied by whatever else may change
 * a set.
 *
 * A store by a translation that is not dirty yet makes the walker walk again and set the bit; a translation that forbids the
 * access is dropped and walked anew, as a processor does before it faults. Neither is a miss. A TLB that prefetches asks the
 * walker for the next page at each miss of the last level, and keeps it there.
 *
 * Laws (mmu_check): for each level and kind accesses = hits + misses, for the first accesses = pages touched, for each further
 * one accesses = misses of the level above; walks = misses of the last level + walks for dirty, rights, prefetch and after
 * faults.
 */
#ifndef SIM_MMU_H
#define SIM_MMU_H

#include "sim/access.h"
#include "sim/layout.h"
#include "sim/port/tlb_level.h"
#include "sim/walker.h"

#define MMU_LEVELS_MAX 4
#define MMU_ARRAYS_MAX 32

enum mmu_side { MMU_DATA, MMU_CODE, MMU_SIDES };

enum tlb_inclusion { TLB_NEITHER, TLB_INCLUSIVE, TLB_EXCLUSIVE };

struct mmu_level {
	/* The array that keeps pages of a size for a side; NULL: none does. One array may stand in several places. */
	struct tlb_level *array[MMU_SIDES][PAGE_SIZES];
	enum tlb_inclusion inclusion; /* towards the levels above it */
	uint32_t latency_cycles;      /* what a lookup adds; the MMU itself knows no clock */
};

struct mmu_level_counters {
	uint64_t accesses[ACCESS_KINDS];
	uint64_t hits[ACCESS_KINDS][PAGE_SIZES], misses[ACCESS_KINDS][PAGE_SIZES]; /* a miss that found no page counts as 4K */
};

struct mmu_counters {
	uint64_t accesses;       /* taken from the batches */
	uint64_t pages;          /* that they touched, one by one: lookups */
	uint64_t miss_walks;     /* at misses of the last level */
	uint64_t dirty_walks;    /* to set a dirty bit by a translation that was there */
	uint64_t rights_walks;   /* because the translation that was there forbade the access */
	uint64_t prefetch_walks; /* for the page after one that missed */
	uint64_t prefetch_fills; /* of them those that brought a translation */
	uint64_t fault_walks;    /* once more after a fault that was put right */
	uint64_t faults;         /* page faults, put right or not */
	uint64_t refused;        /* accesses to a page that nothing put right: they go no further */
	uint64_t invalidations;  /* instructions that took effect here */
	uint64_t shootdowns;     /* of them those another core asked for */
};

extern const struct metric mmu_metrics[];

/* What was used last in a set of the first level. */
struct mmu_recent {
	uint64_t page;    /* linear address >> its shift; MMU_PAGE_NONE: nothing */
	uint64_t frame;   /* physical address of the page */
	uint32_t offsets; /* the bits of an address that lie inside it */
	uint8_t size;     /* enum page_size */
	uint8_t kinds;    /* of access that it allows, a bit for each */
	uint8_t region;   /* as struct access has it; 0 where that is not told */
};

#define MMU_PAGE_NONE UINT64_MAX
#define MMU_RECENT_MAX 64
#define MMU_RECENT_LARGE_MAX 8

struct mmu_recents {
	struct mmu_recent of_set[MMU_RECENT_MAX]; /* 4 KiB pages, by their lowest bits */
	/* Larger pages, by their size and the lowest bits of their numbers, which count pages of that size. */
	struct mmu_recent large[PAGE_SIZES][MMU_RECENT_LARGE_MAX];
	uint8_t large_sizes; /* of which some page is there, a bit for each */
};

/* A larger page that a first-level array had, by the 2 MiB of addresses that it was used in. */
struct mmu_known {
	uint64_t chunk;           /* linear address >> MMU_CHUNK_SHIFT */
	uint64_t tag;             /* sim/port/tlb_level.h */
	uint32_t era;             /* of the MMU, when it was written: older ones are forgotten */
	uint64_t *ways;           /* its set in an array in the order of use, MMU_KNOWN_WAYS and more; NULL: it is another one */
	uint64_t *payloads;       /* the same set's */
	uint64_t word;            /* of its translation, which `recent` was made of */
	struct mmu_recent recent; /* what the filter knows of it while it is used last */
	struct mmu_recent *place; /* where the filter has it then */
};

/* Ways of a set that are looked through in place. */
#define MMU_KNOWN_WAYS 4u

#define MMU_CHUNK_SHIFT 21
#define MMU_KNOWN_BITS 10
#define MMU_KNOWN (1u << MMU_KNOWN_BITS)

struct mmu {
	unsigned levels;
	struct mmu_level level[MMU_LEVELS_MAX];
	struct tlb_level *arrays[MMU_ARRAYS_MAX]; /* each once; owned */
	unsigned arrays_count;
	bool prefetch_next_page;
	struct walker *walker;       /* NULL: addresses stay as they are; not owned */
	const struct layout *layout; /* whose regions accesses are told to lie in; NULL: not told */
	/* What happens at a fault: true if the access is to be tried again. NULL: nothing. */
	bool (*fault)(void *context, uint64_t linear, enum walk_outcome outcome, unsigned error_code);
	void *context;

	/* The rest is made by mmu_init(). */
	struct mmu_recents recents[MMU_SIDES];
	struct mmu_known known[MMU_SIDES][MMU_KNOWN];
	uint32_t era;                   /* 1 and more */
	unsigned recents_of[MMU_SIDES]; /* which of them a side uses: one for both where they share all first-level arrays */
	struct mmu_recents *front[MMU_SIDES]; /* the same */
	bool partly_joint;                    /* the sides share first-level arrays of some page sizes only */
	uint64_t recent_mask[MMU_SIDES];
	uint64_t large_mask[MMU_SIDES][PAGE_SIZES];
	uint8_t sharing_sizes[MMU_SIDES][PAGE_SIZES]; /* other sizes that the first-level array of a size keeps, a bit for each */
	bool served[MMU_SIDES];                       /* looked up at all */
	bool seen[PAGE_SIZES];                        /* pages of this size were ever filled */
	bool seen_unusual[2];                         /* larger pages or global ones; by user mode */
	bool seen_large;                              /* any of them but 4 KiB */
	bool seen_more;                               /* than mmu_usual.c knows of */
	bool watched;
	uint64_t user_end;              /* first address that is not one of user mode */
	uint8_t kinds_by_rights[2][16]; /* kinds of access allowed, by user mode and the word's rights and dirty bit */
	bool whole_batches;
	struct mmu_runs *runs;   /* of whole batches; owned */
	struct mmu_usual *usual; /* of all others; owned */
	uint32_t partial;        /* bytes of the next access that are done */
	struct mmu_level_counters level_counters[MMU_LEVELS_MAX];
	struct mmu_counters counters;
};

/* Takes the fields above the line as given, each array in `arrays`, and the walker as it is; makes the rest. Neither moves after.
 */
void mmu_init(struct mmu *mmu);
void mmu_release(struct mmu *mmu);

/*
 * Has every array watched (level_watch.h), its own number of entries being the window; slower. Arrays must keep words. *owner may
 * be NULL.
 */
void mmu_watch(struct mmu *mmu, const uint32_t *owner);

/* Room that one page of an access may need in the output. */
#define MMU_ROOM (2 * WALK_REFERENCES_MAX + 4)

/*
 * Takes accesses in order, and writes what goes on to the caches: each access with its physical address, before it the walker's
 * references. Returns how many accesses are done; the rest waits for more room. capacity is at least MMU_ROOM; `out` NULL:
 * nothing is written, things are only counted.
 */
size_t mmu_run(struct mmu *mmu, const struct access *in, size_t count, struct access *out, size_t capacity, size_t *made);

/*
 * As mmu_run(), and cycles[i] tells what the lookups for out[i] in levels behind the first take (mmu_lookup_cycles); all of
 * `capacity` are zero before. It ends with an access that is refused: then *is_refused, and what looking for its refused pages
 * took in *refused_cycles. Not for whole_batches.
 */
size_t mmu_run_told(struct mmu *mmu, const struct access *in, size_t count, struct access *out, uint32_t *cycles, size_t capacity,
                    size_t *made, bool *is_refused, uint64_t *refused_cycles);

/* Cycles of all lookups that accesses of a kind have made behind the first level. */
uint64_t mmu_lookup_cycles(const struct mmu *mmu, uint8_t kind);

/* Instructions of this core. */
void mmu_invlpg(struct mmu *mmu, uint64_t linear);
void mmu_invpcid(struct mmu *mmu, enum invpcid type, unsigned pcid, uint64_t linear);
void mmu_write_cr3(struct mmu *mmu, uint64_t root, unsigned pcid, bool no_flush);
void mmu_toggle_global_pages(struct mmu *mmu, bool global_pages); /* MOV to CR4: PGE */

/* Takes out what the scope covers, on this core. */
void mmu_invalidate(struct mmu *mmu, const struct tlb_scope *scope);

/* The same on other cores, asked for by this one with an interrupt: `others` without the asking one. */
void mmu_shoot_down(struct mmu *const *others, size_t count, const struct tlb_scope *scope);

/* The kinds of access that a page at an address allows as it is, a bit for each: none would make the walker walk again. */
static inline uint8_t mmu_kinds_of(const struct mmu *mmu, uint64_t linear, uint64_t word)
{
	_Static_assert((WORD_RIGHTS | WORD_DIRTY) == 0x1e, "four bits in a row, from bit 1");
	return mmu->kinds_by_rights[linear < mmu->user_end][word >> 1 & 0xf];
}

/* Whose memory an address is, 0 where that is not told. */
static inline uint8_t mmu_region_of(const struct mmu *mmu, uint64_t linear)
{
	return mmu->layout ? (uint8_t)layout_region(mmu->layout, linear) : 0;
}

/* What an access tells the caches of where it goes (struct access: region). */
static inline uint8_t mmu_place_of(const struct mmu *mmu, uint64_t linear, enum page_size size)
{
	_Static_assert(REGION_NUMBERS <= 1u << ACCESS_REGION_BITS && PAGE_SIZES + 1 <= WATCH_PAGES, "both fit a byte");
	return mmu->layout && mmu->walker ? access_on_page(mmu_region_of(mmu, linear), size) : mmu_region_of(mmu, linear);
}

/* What the filter knows of a larger page around an address; NULL: nothing. */
static inline const struct mmu_recent *mmu_recent_large(const struct mmu_recents *recents, const uint64_t masks[PAGE_SIZES],
                                                        uint64_t linear)
{
	for (unsigned sizes = recents->large_sizes; sizes; sizes &= sizes - 1) {
		enum page_size size = (enum page_size)__builtin_ctz(sizes);
		uint64_t page = linear >> page_size_shift(size);
		const struct mmu_recent *recent = &recents->large[size][page & masks[size]];
		if (recent->page == page)
			return recent;
	}
	return NULL;
}

/* Where an access goes. */
struct mmu_place {
	uint64_t physical;
	uint8_t region; /* as struct access has it */
	bool is_known;  /* false: not told, and nothing has happened */
};

/* What the filter knows of the page around an address; NULL: nothing. */
static inline const struct mmu_recent *mmu_recent_of(const struct mmu *mmu, uint64_t linear, unsigned kind)
{
	unsigned side = kind == ACCESS_CODE;
	const struct mmu_recents *recents = mmu->front[side];
	const struct mmu_recent *recent = &recents->of_set[linear >> PAGE_SHIFT & mmu->recent_mask[side]];
	return recent->page == linear >> PAGE_SHIFT ? recent : mmu_recent_large(recents, mmu->large_mask[side], linear);
}

/*
 * Where the filter does not know a page that allows the access: a larger page that was there before is looked for in the first
 * level, and used; the filter knows it now. NULL: there is none that allows it. It may have been used all the same, which changes
 * nothing: mmu_run() uses it next.
 */
const struct mmu_recent *mmu_use_known(struct mmu *mmu, uint64_t linear, unsigned kind);

/* A lookup that what the filter knows has answered. */
static inline void mmu_count_recent(struct mmu *mmu, unsigned kind, const struct mmu_recent *recent)
{
	mmu->counters.pages++;
	mmu->level_counters[0].accesses[kind]++;
	mmu->level_counters[0].hits[kind][recent->size]++;
}

/* Whether an access has to be made by mmu_run(): it lies in two pages, or every lookup is watched. */
static inline bool mmu_needs_run(const struct mmu *mmu, uint64_t linear, uint32_t bytes)
{
	return (linear & (PAGE_SIZE - 1)) + bytes > PAGE_SIZE || mmu->watched || mmu->partial;
}

/* Where an access goes by what the filter knows, counted as mmu_run() counts it. */
static inline struct mmu_place mmu_place_by(struct mmu *mmu, uint64_t linear, unsigned kind, const struct mmu_recent *recent)
{
	mmu->counters.accesses++;
	mmu_count_recent(mmu, kind, recent);
	return (struct mmu_place){
	        .physical = recent->frame | (linear & recent->offsets), .region = recent->region, .is_known = true};
}

/* The filter's answer to one access. */
static inline struct mmu_place mmu_recent_access(struct mmu *mmu, uint64_t linear, uint32_t bytes, unsigned kind)
{
	const struct mmu_recent *recent = mmu_recent_of(mmu, linear, kind);
	if (!recent || !(recent->kinds >> kind & 1) || mmu_needs_run(mmu, linear, bytes))
		return (struct mmu_place){.is_known = false};
	return mmu_place_by(mmu, linear, kind, recent);
}

/* The same where mmu_recent_access() had none: a larger page that the first level has, for mmu_place_by(). */
static inline const struct mmu_recent *mmu_known_recent(struct mmu *mmu, uint64_t linear, uint32_t bytes, unsigned kind)
{
	return mmu_needs_run(mmu, linear, bytes) || !mmu->seen_large ? NULL : mmu_use_known(mmu, linear, kind);
}

void mmu_check(const struct mmu *mmu);

#endif
