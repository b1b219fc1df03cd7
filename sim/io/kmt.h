/* SPDX-License-Identifier: MIT
 *
 * kmt.h - the native trace format, field by field in docs/formats.md: what the writer is given, and the layout both sides share.
 *
 * A file is a head of fixed size, pieces that lie one after the other without a gap, and a tail of fixed size. A piece is 16
 * bytes of head and one zstd frame. The last piece is the table of contents; it repeats every piece's head and place. Ops stand
 * in pieces of at most KMT_PIECE_OPS, each column by itself as differences in variable-length integers; what is known only at
 * the end of an import (tables, the ops before the recording, corrections) comes in pieces behind them.
 *
 * An op of the file is smaller than struct op: an allocation points to a profile (everything that equal allocations share), a
 * free names only its id, because the reader knows what lives under it.
 */
#ifndef SIM_IO_KMT_H
#define SIM_IO_KMT_H

#include "sim/trace.h"
#include "sim/trace_table.h"

#define KMT_VERSION 2u
#define KMT_MAGIC "\x89KMT\r\n\x1a\n" /* as PNG's: shows damage by text conversion */
#define KMT_END_MAGIC "KMT end\n"
#define KMT_HEAD_BYTES 32u
#define KMT_TAIL_BYTES 48u
#define KMT_PIECE_HEAD_BYTES 16u
#define KMT_PIECE_OPS 16384u
#define KMT_PIECE_DETAILS 16384u
#define KMT_COLUMNS 6u

/* No piece unpacks to more than this: ops are bounded by the longest integers, tables by what an import may collect. */
#define KMT_OPS_RAW_MAX (KMT_PIECE_OPS * 50u)
#define KMT_DETAILS_RAW_MAX (KMT_PIECE_DETAILS * 70u)
#define KMT_TABLE_RAW_MAX (1u << 30)

enum kmt_tag {
	KMT_OPS = 1,
	KMT_PROLOGUE,
	KMT_INFO,
	KMT_STRINGS,
	KMT_PROFILES,
	KMT_CACHES,
	KMT_LATE,
	KMT_FACT,
	KMT_CONTENTS,
	KMT_DETAILS,
	KMT_SPACES
};

/* Instead of a profile's index. */
#define KMT_FREE UINT32_MAX       /* the op frees its id */
#define KMT_HOLE (UINT32_MAX - 1) /* the op was taken back before it was written: it only uses up an op number */

struct kmt_op {
	uint64_t time_ns, line, address;
	uint32_t id;
	uint32_t profile;
	uint16_t cpu;
};

/* What equal allocations share. */
struct kmt_profile {
	uint32_t call_site, cache, gfp, bytes_req, bytes_alloc;
	uint8_t kind, order, origin;
};

/* A correction of an op that was written already: it is taken back, or its object is of another cache than its profile says. */
#define KMT_TAKEN_BACK UINT32_MAX
struct kmt_late {
	uint64_t op; /* number of the op in the order of pushing, holes included */
	uint32_t cache;
};

/* Everything but the ops. trace_info.source and the strings are copied into the file. */
struct kmt_tables {
	const struct trace_info *info;
	const struct string_table *strings; /* call sites, marks, cache names */
	const struct kmt_profile *profiles;
	uint32_t profile_count;
	const struct trace_cache *caches;
	const struct kmt_late *late; /* by op, ascending, each op once */
	size_t late_count;
	const struct trace_fact *facts;
	uint32_t fact_count;
	const struct trace_space *spaces; /* no piece if there are none */
	uint32_t space_count;
};

/* Whether a detail of the kind tells the value; other values are 0 and not in the file. */
static inline bool detail_has_frame(unsigned kind)
{
	return kind != DETAIL_CONTEXT;
}
static inline bool detail_has_order(unsigned kind)
{
	return kind != DETAIL_CONTEXT && kind != DETAIL_PAGE_FREE_BATCHED;
}
static inline bool detail_has_type(unsigned kind)
{
	return kind == DETAIL_PAGE_ALLOC || kind >= DETAIL_ZONE_LOCKED;
}

struct kmt_writer;

/* Writes to an open, empty file, which stays the caller's. `name` is for errors. */
struct kmt_writer *kmt_writer_create(int file, const char *name);
void kmt_writer_destroy(struct kmt_writer *writer);
/* Ops in order; count <= KMT_PIECE_OPS. All calls for the ops come before those for the prologue. */
bool kmt_write_ops(struct kmt_writer *writer, enum kmt_tag tag, const struct kmt_op *ops, size_t count, struct error *error);
/* Details in order, their lines never going back; count <= KMT_PIECE_DETAILS. Such calls may stand among those for the ops. */
bool kmt_write_details(struct kmt_writer *writer, const struct detail *details, size_t count, struct error *error);
/* Writes the tables and the tail. Afterwards only destroy is allowed. */
bool kmt_write_tables(struct kmt_writer *writer, const struct kmt_tables *tables, struct error *error);

/* Reads a file that is open for reading and positioned anywhere; the trace owns `file` from here on. `name` is for errors. */
struct trace *kmt_open(int file, const char *name, struct error *error);

/*
 * One count of struct trace_summary; the table is in the order of the file, ends with a NULL name, and serves printing too. Those
 * of processes stand last, and are in the file only if one of them is not 0.
 */
struct trace_count {
	const char *name;
	size_t offset;
	const char *help;
	bool of_processes;
};
extern const struct trace_count trace_counts[];

/* FNV-1a, 64 bits: any change of one byte changes it. Guards the head and the tail. */
uint64_t kmt_checksum(const void *bytes, size_t length);

/* Little-endian numbers. */
static inline void kmt_store32(unsigned char *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> 8 * i);
}

static inline void kmt_store64(unsigned char *at, uint64_t value)
{
	kmt_store32(at, (uint32_t)value);
	kmt_store32(at + 4, (uint32_t)(value >> 32));
}

static inline uint32_t kmt_load32(const unsigned char *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t kmt_load64(const unsigned char *at)
{
	return kmt_load32(at) | (uint64_t)kmt_load32(at + 4) << 32;
}

/* Signed differences as small unsigned numbers: 0, -1, 1, -2, ... */
static inline uint64_t kmt_zigzag(uint64_t difference)
{
	return difference << 1 ^ (uint64_t)((int64_t)difference >> 63);
}

static inline uint64_t kmt_unzigzag(uint64_t value)
{
	return value >> 1 ^ (0 - (value & 1));
}

#endif
