/* SPDX-License-Identifier: MIT
 *
 * access_kmt.h - access traces in the native form, a sister of the .kmt of recordings: the layout both sides share, and the
 * writer. Byte by byte in docs/formats.md.
 *
 * A file is a head, pieces of at most KMA_PIECE_ACCESSES accesses, and a last piece with the totals; it is read from front to
 * back, so that it may come through a pipe. Pieces stand for themselves. An access has a difference, of its address to where the
 * last access of the same kind and CPU lets it be expected (behind it for code, at it for data), and a class (kind, size, CPU,
 * bytes of the difference; each piece has a table of them).
 */
#ifndef SIM_IO_ACCESS_KMT_H
#define SIM_IO_ACCESS_KMT_H

#include "sim/access_summary.h"
#include "sim/trace.h"

#define KMA_MAGIC "\x89KMA\r\n\x1a\n"
#define KMA_VERSION 1u
#define KMA_PIECE_ACCESSES 16384u
/* A difference has 0 to so many bytes. */
#define KMA_DIFFERENCE_MAX 8u
/* Most of a piece unpacked: per access a class of its own (1 + 3 + 3 + 1 bytes), two bytes of code, eight of address. */
#define KMA_RAW_MAX (KMA_PIECE_ACCESSES * 18u + 16u)

enum kma_tag { KMA_ACCESSES = 1, KMA_END };

/* What a trace can tell: ACCESS_CODE to ACCESS_MODIFY. */
#define KMA_KINDS 4u

/* Streams of expected addresses: kind and CPU. */
#define KMA_STREAMS (KMA_KINDS << 16)

static inline uint32_t kma_stream(uint8_t kind, uint16_t cpu)
{
	return (uint32_t)kind << 16 | cpu;
}

/* Where the next access of the stream is expected. */
static inline uint64_t kma_expected(const struct access *access)
{
	return access->address + (access->kind == ACCESS_CODE ? access->bytes : 0);
}

/*
 * Writes all that the source gives into a file `out`, which appears whole or not at all. progress may be NULL. *summary tells
 * what was written.
 */
bool access_write_kmt(struct access_source *source, const char *out, const struct progress *progress,
                      struct access_summary *summary, struct error *error);

#endif
