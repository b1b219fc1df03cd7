/* SPDX-License-Identifier: MIT
 *
 * access_kmt_write.c - writes access traces in the native form (interface: access_kmt.h; layout: docs/formats.md).
 *
 * A piece is collected access by access: its class is looked up in a hash table of the piece's classes, the difference is
 * appended to the column of addresses. Equal traces give equal bytes (with the same libzstd).
 */
#include "sim/io/access_kmt.h"
#include "sim/io/kmt.h"
#include "sim/io/zstd_trace.h"
#include "sim/new_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* zstd's own default. Level 1 made a trace of ten million loads and stores 1.6 % larger, and its writing a tenth quicker. */
#define PACK_LEVEL 3
#define SLOTS (2 * KMA_PIECE_ACCESSES)
#define SLOT_EMPTY UINT16_MAX

struct class
{
	struct access access; /* its address does not matter */
	unsigned difference_bytes;
};

struct kma_writer {
	const struct new_file *file;
	uint64_t written;
	struct zstd_packer packer;
	uint64_t *expected; /* by stream; 0 where a piece has not been */
	struct class classes[KMA_PIECE_ACCESSES];
	uint16_t slots[SLOTS]; /* hash table: index of a class */
	uint16_t codes[KMA_PIECE_ACCESSES];
	unsigned char addresses[(KMA_PIECE_ACCESSES + 1) * KMA_DIFFERENCE_MAX];
	unsigned char raw[KMA_RAW_MAX];
	size_t address_bytes;
	uint32_t class_count, count;
};

static unsigned char *store_varint(unsigned char *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (unsigned char)(value | 0x80);
	*at++ = (unsigned char)value;
	return at;
}

static bool write_all(struct kma_writer *writer, const void *bytes, size_t length, struct error *error)
{
	const unsigned char *at = bytes;
	while (length > 0) {
		ssize_t wrote = write(writer->file->file, at, length);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return error_set(error, ERROR_HOST, "%s: writing failed at byte %llu: %s", writer->file->path,
			                 (unsigned long long)writer->written, strerror(errno));
		at += wrote;
		length -= (size_t)wrote;
		writer->written += (uint64_t)wrote;
	}
	return true;
}

static bool write_head(struct kma_writer *writer, struct error *error)
{
	unsigned char head[KMT_HEAD_BYTES] = {0};
	memcpy(head, KMA_MAGIC, 8);
	kmt_store32(head + 8, KMA_VERSION);
	kmt_store32(head + 12, KMT_HEAD_BYTES);
	kmt_store64(head + KMT_HEAD_BYTES - 8, kmt_checksum(head, KMT_HEAD_BYTES - 8));
	return write_all(writer, head, sizeof head, error);
}

static bool write_piece(struct kma_writer *writer, enum kma_tag tag, size_t length, struct error *error)
{
	unsigned char head[KMT_PIECE_HEAD_BYTES];
	zstd_pack(&writer->packer, writer->raw, length, PACK_LEVEL);
	kmt_store32(head, tag);
	kmt_store32(head + 4, writer->count);
	kmt_store32(head + 8, (uint32_t)length);
	kmt_store32(head + 12, (uint32_t)writer->packer.packed_bytes);
	return write_all(writer, head, sizeof head, error) &&
	       write_all(writer, writer->packer.packed, writer->packer.packed_bytes, error);
}

static void begin_piece(struct kma_writer *writer)
{
	for (uint32_t i = 0; i < writer->class_count; i++)
		writer->expected[kma_stream(writer->classes[i].access.kind, writer->classes[i].access.cpu)] = 0;
	memset(writer->slots, 0xff, sizeof writer->slots);
	writer->class_count = writer->count = 0;
	writer->address_bytes = 0;
}

static unsigned char *store_codes(const struct kma_writer *writer, unsigned char *at)
{
	bool wide = writer->class_count > 256;
	for (uint32_t i = 0; i < writer->count; i++) {
		*at++ = (unsigned char)writer->codes[i];
		if (wide)
			*at++ = (unsigned char)(writer->codes[i] >> 8);
	}
	return at;
}

static bool end_piece(struct kma_writer *writer, struct error *error)
{
	if (writer->count == 0)
		return true;
	unsigned char *at = store_varint(writer->raw, writer->class_count);
	for (uint32_t i = 0; i < writer->class_count; i++) {
		at = store_varint(at, writer->classes[i].access.kind);
		at = store_varint(at, writer->classes[i].access.bytes);
		at = store_varint(at, writer->classes[i].access.cpu);
		at = store_varint(at, writer->classes[i].difference_bytes);
	}
	at = store_codes(writer, at);
	memcpy(at, writer->addresses, writer->address_bytes);
	at += writer->address_bytes;
	bool written = write_piece(writer, KMA_ACCESSES, (size_t)(at - writer->raw), error);
	begin_piece(writer);
	return written;
}

static bool same_class(const struct class *class, const struct access *access, unsigned difference_bytes)
{
	return class->access.kind == access->kind && class->access.bytes == access->bytes && class->access.cpu == access->cpu &&
	       class->difference_bytes == difference_bytes;
}

static uint16_t class_of(struct kma_writer *writer, const struct access *access, unsigned difference_bytes)
{
	uint64_t key =
	        (uint64_t)access->bytes << 32 | (uint64_t)difference_bytes << 20 | (uint64_t)access->kind << 16 | access->cpu;
	uint64_t slot = (key * 0x9e3779b97f4a7c15u >> 32) % SLOTS; /* Fibonacci hashing, Knuth 6.4 */
	while (writer->slots[slot] != SLOT_EMPTY && !same_class(&writer->classes[writer->slots[slot]], access, difference_bytes))
		slot = (slot + 1) % SLOTS;
	if (writer->slots[slot] == SLOT_EMPTY) {
		writer->classes[writer->class_count] = (struct class){*access, difference_bytes};
		writer->slots[slot] = (uint16_t)writer->class_count++;
	}
	return writer->slots[slot];
}

/* The bytes that hold a difference as a two's complement; none for 0. */
static unsigned bytes_of(uint64_t difference)
{
	uint64_t magnitude = kmt_zigzag(difference);
	return magnitude ? (71 - (unsigned)__builtin_clzll(magnitude)) / 8 : 0;
}

static bool add_accesses(struct kma_writer *writer, const struct access *batch, size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		const struct access *access = &batch[i];
		SIM_ASSERT(access->kind < KMA_KINDS);
		if (writer->count == KMA_PIECE_ACCESSES && !end_piece(writer, error))
			return false;
		uint64_t *expected = &writer->expected[kma_stream(access->kind, access->cpu)];
		uint64_t difference = access->address - *expected;
		unsigned bytes = bytes_of(difference);
		writer->codes[writer->count++] = class_of(writer, access, bytes);
		kmt_store64(writer->addresses + writer->address_bytes, difference);
		writer->address_bytes += bytes;
		*expected = kma_expected(access);
	}
	return true;
}

static bool write_end(struct kma_writer *writer, const struct access_summary *summary, struct error *error)
{
	if (!end_piece(writer, error))
		return false;
	for (unsigned kind = 0; kind < KMA_KINDS; kind++)
		kmt_store64(writer->raw + 8 * kind, summary->kinds[kind]);
	return write_piece(writer, KMA_END, 8 * KMA_KINDS, error);
}

static bool write_source(struct kma_writer *writer, struct access_source *source, const struct progress *progress,
                         struct access_summary *summary, struct error *error)
{
	struct access batch[ACCESS_BATCH];
	size_t count = 1;
	if (!write_head(writer, error))
		return false;
	while (count > 0) {
		if (!access_source_read(source, batch, ACCESS_BATCH, &count, error) || !add_accesses(writer, batch, count, error))
			return false;
		access_summary_add(summary, batch, count);
		if (progress)
			progress->tell(progress->context, source->bytes_done, source->bytes_total);
	}
	return write_end(writer, summary, error);
}

bool access_write_kmt(struct access_source *source, const char *out, const struct progress *progress,
                      struct access_summary *summary, struct error *error)
{
	struct new_file file;
	if (!new_file_begin(&file, out, error))
		return false;
	struct kma_writer *writer = xcalloc(1, sizeof *writer);
	writer->file = &file;
	writer->expected = lazy_alloc(KMA_STREAMS, sizeof *writer->expected);
	zstd_packer_init(&writer->packer);
	begin_piece(writer);
	access_summary_init(summary);
	bool written = write_source(writer, source, progress, summary, error);
	zstd_packer_release(&writer->packer);
	lazy_free(writer->expected, KMA_STREAMS, sizeof *writer->expected);
	free(writer);
	return new_file_end(&file, written, error) && written;
}
