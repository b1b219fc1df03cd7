/* SPDX-License-Identifier: MIT
 *
 * tlb_level.h - the port of translation lookaside buffers: one array of entries, at one level of a core's TLBs.
 *
 * Models: models/tlb_level/{ideal,set_assoc}.c. Which arrays a level has, whom they serve and how levels stand to each other is
 * the MMU's business (sim/mmu.h); an array finds, keeps and forgets entries.
 *
 * An entry is a tag and a word. The tag tells which page of which address space:
 *
 *   59:48 PCID, 0 if global | 47:46 page size | 45 global | 44:0 page number (linear address >> page shift, 57-bit addresses)
 *
 * The word is the translation (WORD_* of sim/port/translation.h).
 *
 * Source: Intel SDM vol. 3A 4.10 (what is cached, what invalidates); AMD APM vol. 2 5.5.
 */
#ifndef SIM_PORT_TLB_LEVEL_H
#define SIM_PORT_TLB_LEVEL_H

#include "sim/level_watch.h"
#include "sim/metric.h"
#include "sim/port/replacement.h"
#include "sim/port/translation.h"

struct tlb_level;

#define TLB_NUMBER_BITS 45
#define TLB_NUMBER ((1ull << TLB_NUMBER_BITS) - 1)
#define TLB_GLOBAL (1ull << 45)
#define TLB_SIZE_SHIFT 46
#define TLB_PCID_SHIFT 48
#define PCID_MAX 0xfffu

struct tlb_entry {
	uint64_t tag; /* TLB_NONE: no entry */
	uint64_t word;
};

#define TLB_NONE UINT64_MAX

static inline uint64_t tlb_tag(uint64_t linear, enum page_size size, unsigned pcid)
{
	return (linear >> page_size_shift(size) & TLB_NUMBER) | (uint64_t)size << TLB_SIZE_SHIFT |
	       (uint64_t)pcid << TLB_PCID_SHIFT;
}

static inline uint64_t tlb_tag_global(uint64_t linear, enum page_size size)
{
	return tlb_tag(linear, size, 0) | TLB_GLOBAL;
}

static inline enum page_size tlb_tag_size(uint64_t tag)
{
	return (enum page_size)(tag >> TLB_SIZE_SHIFT & 3);
}

static inline unsigned tlb_tag_pcid(uint64_t tag)
{
	return (unsigned)(tag >> TLB_PCID_SHIFT);
}

/* What an invalidation takes out: entries that match every condition. */
struct tlb_scope {
	bool one_page; /* only those that translate `linear` */
	uint64_t linear;
	bool one_pcid; /* only those of `pcid`; says nothing about global entries */
	unsigned pcid;
	bool globals; /* global entries too */
};

/* The instructions' scopes (Intel SDM vol. 3A 4.10.4.1). */
struct tlb_scope tlb_scope_invlpg(uint64_t linear, unsigned pcid);
struct tlb_scope tlb_scope_cr3(unsigned pcid); /* MOV to CR3 with bit 63 clear */
struct tlb_scope tlb_scope_everything(void);   /* MOV to CR4 that changes PGE or clears PCIDE, MOV to CR0 that clears PG */

enum invpcid { INVPCID_ADDRESS, INVPCID_SINGLE, INVPCID_ALL_AND_GLOBAL, INVPCID_ALL };
struct tlb_scope tlb_scope_invpcid(enum invpcid type, unsigned pcid, uint64_t linear);

/* Whether an entry of this tag is in the scope. */
bool tlb_scope_has(const struct tlb_scope *scope, uint64_t tag);

struct tlb_level_ops {
	const char *name;
	const char *help;
	/* The word of an entry, and one use of it; false: there is none. Where it is told (NULL is allowed), *word is good until
	 * the next call and may be changed through the pointer. */
	bool (*use)(struct tlb_level *, uint64_t tag, uint64_t **word);
	/* The same without a use. */
	bool (*find)(struct tlb_level *, uint64_t tag, uint64_t **word);
	/* Keeps an entry whose tag is not there; what had to go for it, tag TLB_NONE if nothing. */
	struct tlb_entry (*fill)(struct tlb_level *, struct tlb_entry);
	/* Takes one entry out; what it was, tag TLB_NONE if it was not there. */
	struct tlb_entry (*remove)(struct tlb_level *, uint64_t tag);
	/* Takes out what is in the scope; how many entries that were. */
	uint64_t (*invalidate)(struct tlb_level *, const struct tlb_scope *);
	/*
	 * Many uses of 4 KiB pages in order, filled where they miss, words left alone: replacement_run() with addresses. NULL:
	 * the model has no such way.
	 */
	size_t (*run)(struct tlb_level *, const uint64_t *requests, size_t count, struct replacement_miss *misses);
	/* How accesses find this array without becoming requests, and its policy (replacement_ops.run_accesses); NULL where they
	 * have to. What it counts of them is the caller's business. */
	const struct replacement_ops *(*route)(const struct tlb_level *, struct replacement_route *route);
	/* Entries there are, and how many there can be (0: no end). */
	uint64_t (*entries)(const struct tlb_level *);
	/* Hands every entry to a visitor, in no order that means anything. */
	void (*visit)(const struct tlb_level *, void (*visit)(void *context, struct tlb_entry), void *context);
	void (*check)(const struct tlb_level *);
	void (*destroy)(struct tlb_level *);
};

/*
 * Kept by the wrappers below. Law: fills = evictions + removed + invalidated + entries there are. Uses are counted by the MMU,
 * once for a level, however many arrays of it were looked at.
 */
/* A mark in a word that a watched MMU keeps: the entry was hit since it came. Nobody else sees it. */
#define TLB_WORD_USED (1ull << 63)

struct tlb_counters {
	uint64_t fills, evictions, removed, invalidated;
};

extern const struct metric tlb_metrics[];

struct tlb_level {
	const struct tlb_level_ops *ops;
	char name[32];     /* the array's, as the machine's description has it */
	uint64_t capacity; /* 0: no end */
	uint32_t ways;     /* likewise */
	bool keeps_words;  /* entries have words, so they come one by one: no run() */
	uint32_t sets;     /* of 4 KiB entries, if the set is the page number's lowest bits; else 1 */
	uint64_t globals;  /* global entries there are */
	/* The sets, with words and in the order of use, for whoever turns them himself and keeps the counters; NULL: has none. */
	const struct replacement *in_order;
	struct tlb_counters counters;
	struct level_watch *watch; /* told by the MMU; NULL: nobody watches; owned */
};

/* One array of a machine: its row of machine.tlbs, as the models read it. */
struct tlb_wiring {
	const char *name;
	uint32_t entries, ways; /* ways 0: fully associative */
	const char *replacement;
	enum replacement_index index;
	bool words; /* the array keeps words; without, it can run() */
	enum simd simd;
	uint64_t seed;
	/* Makes the policy's array by name (models are found by the registry, which no model knows). */
	struct replacement *(*make_replacement)(const char *name, const struct replacement_wiring *, struct error *);
};

static inline bool tlb_use(struct tlb_level *tlb, uint64_t tag, uint64_t **word)
{
	return tlb->ops->use(tlb, tag, word);
}

static inline bool tlb_find(struct tlb_level *tlb, uint64_t tag, uint64_t **word)
{
	return tlb->ops->find(tlb, tag, word);
}

static inline struct tlb_entry tlb_fill(struct tlb_level *tlb, struct tlb_entry entry)
{
	SIM_ASSERT(entry.tag <= TAG_MAX);
	struct tlb_entry evicted = tlb->ops->fill(tlb, entry);
	tlb->counters.fills++;
	tlb->counters.evictions += evicted.tag != TLB_NONE;
	tlb->globals += (entry.tag & TLB_GLOBAL) != 0;
	tlb->globals -= evicted.tag != TLB_NONE && evicted.tag & TLB_GLOBAL;
	return evicted;
}

static inline struct tlb_entry tlb_remove(struct tlb_level *tlb, uint64_t tag)
{
	struct tlb_entry removed = tlb->ops->remove(tlb, tag);
	tlb->counters.removed += removed.tag != TLB_NONE;
	tlb->globals -= removed.tag != TLB_NONE && removed.tag & TLB_GLOBAL;
	return removed;
}

void tlb_invalidate(struct tlb_level *tlb, const struct tlb_scope *scope);
size_t tlb_run(struct tlb_level *tlb, const uint64_t *requests, size_t count, struct replacement_miss *misses);
void tlb_check(const struct tlb_level *tlb);

static inline void tlb_destroy(struct tlb_level *tlb)
{
	if (!tlb)
		return;
	level_watch_destroy(tlb->watch);
	tlb->ops->destroy(tlb);
}

#endif
