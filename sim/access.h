/* SPDX-License-Identifier: MIT
 *
 * access.h - one memory access, the word that access traces, the MMU and the caches speak to each other.
 *
 *     access trace -> access (virtual) -> MMU -> accesses (physical, with the walker's own before them) -> caches -> memory
 *
 * A stage takes a batch of accesses in program order and gives its successor a batch in the order in which they reach it. Batches
 * exist for speed alone: cutting a stream into other batches changes no count.
 */
#ifndef SIM_ACCESS_H
#define SIM_ACCESS_H

#include "sim/base.h"

/* What makes an access. A trace tells the first four; the others arise in the machine. */
enum access_kind {
	ACCESS_CODE, /* instruction fetch */
	ACCESS_LOAD,
	ACCESS_STORE,
	ACCESS_MODIFY,     /* a load and a store of the same bytes by one instruction */
	ACCESS_WALK,       /* the page walker reads an entry */
	ACCESS_WALK_STORE, /* the page walker sets an entry's accessed or dirty bit */
	ACCESS_PREFETCH,   /* nobody asked for it yet */
	ACCESS_WRITEBACK,  /* a dirty line leaves the level above */
	ACCESS_KINDS
};

/* Whether it is one of the page walker's. */
static inline bool access_is_walk(unsigned kind)
{
	return kind == ACCESS_WALK || kind == ACCESS_WALK_STORE;
}

/* "code", "load", ... */
const char *access_kind_name(enum access_kind kind);

/* The counts of all kinds together. */
static inline uint64_t access_sum(const uint64_t counts[ACCESS_KINDS])
{
	uint64_t sum = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		sum += counts[kind];
	return sum;
}

/* Number of accesses that stages hand on at once, as a rule. */
#define ACCESS_BATCH 4096

/* The most bytes one access of a trace may touch; more is a damaged trace (XSAVE areas and DMA bursts stay far below). */
#define ACCESS_BYTES_MAX (1u << 20)

struct access {
	uint64_t address; /* first byte; whether virtual or physical is said where it is used */
	uint32_t bytes;   /* 1..ACCESS_BYTES_MAX, address + bytes - 1 does not wrap; a trace that does not tell sizes says 1 */
	uint16_t cpu;     /* the core, or the thread of the trace, that makes it */
	uint8_t kind;     /* enum access_kind */
	uint8_t region;   /* whose memory, and of which page: below */
};

/*
 * The lowest bits of `region` tell whose memory it is, as the address space numbers its regions (0: not told); those above the
 * size of the page that maps it, plus 1 (0: not told). The MMU writes both. Before it, a source of accesses that has locks
 * (sim/port/access_source.h) writes here what a store is beyond one:
 */
#define ACCESS_TAKES_LOCK 1 /* takes the spin lock whose word lies at the address, when it is this core's turn */
#define ACCESS_GIVES_LOCK 2 /* gives it up */

#define ACCESS_REGION_BITS 5

static inline uint8_t access_on_page(unsigned region, unsigned page_size)
{
	return (uint8_t)(region | (page_size + 1) << ACCESS_REGION_BITS);
}

static inline unsigned access_region(uint8_t told)
{
	return told & ((1u << ACCESS_REGION_BITS) - 1);
}

/* The size plus 1. */
static inline unsigned access_page(uint8_t told)
{
	return told >> ACCESS_REGION_BITS;
}

/*
 * Counts of accesses by kind, a byte for each in one word: an addition need not wait for the memory that the last one wrote. At
 * most KIND_BYTES_MAX may be added up before they are unpacked.
 */
#define KIND_BYTES_MAX 255u

static inline uint64_t kind_byte(unsigned kind)
{
	return 1ull << (8 * kind);
}

static inline void add_kind_bytes(uint64_t counts[ACCESS_KINDS], uint64_t bytes)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		counts[kind] += bytes >> (8 * kind) & 0xff;
}

_Static_assert(ACCESS_KINDS == 8, "a byte of a word for each kind");

_Static_assert(sizeof(struct access) == 16, "four accesses a cache line");

#endif
