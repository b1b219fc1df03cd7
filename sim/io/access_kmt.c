/* SPDX-License-Identifier: MIT
 *
 * access_kmt.c - reads access traces in the native form (layout: access_kmt.h, docs/formats.md).
 *
 * A piece is unpacked whole, its table of classes is read, and then two cursors go through its columns, as many accesses as are
 * asked for at a time. An access's class says how many bytes its difference has, so that the place of the next difference hangs
 * on the column of classes alone and many accesses are in flight at once; masks take the place of branches. Nothing of the file
 * is believed before it is checked: sizes against bounds, classes against what an access may be, both columns to end where the
 * piece ends, the totals of the last piece against what was read, and the end of the file behind it.
 */
#include "sim/io/access_kmt.h"
#include "sim/io/access_text.h"
#include "sim/io/kmt.h"
#include "sim/io/zstd_trace.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Differences are read as words, and only a run of them is checked against the piece's end: so far the longest may lead behind
 * it. */
#define PADDING ((KMA_PIECE_ACCESSES + 1) * KMA_DIFFERENCE_MAX)
/* zstd's bound on what KMA_RAW_MAX bytes may be packed into, with room. */
#define PACKED_MAX (KMA_RAW_MAX + KMA_RAW_MAX / 128 + 1024u)

struct class
{
	struct access access; /* without its address */
	uint64_t mask, sign;  /* of a difference: its bits, and the highest of them; 0: it has no bytes */
	uint64_t *expected;   /* of its stream */
	uint64_t accesses;    /* of the piece, so far */
	uint32_t step;        /* from its address to where the next one of the stream is expected */
	uint32_t difference_bytes;
};

struct kma {
	bool begun, ended;
	bool made; /* the buffers below are there */
	struct zstd_unpacker unpacker;
	uint64_t *expected; /* by stream */
	struct class classes[KMA_PIECE_ACCESSES];
	uint32_t class_count;
	unsigned char *packed, *raw;
	/* The piece. */
	uint64_t offset; /* in the trace */
	const unsigned char *code, *address, *end;
	uint32_t left; /* accesses that were not handed on */
	uint64_t kinds[KMA_KINDS];
};

static bool damaged(const struct access_reader *reader, const char *what, struct error *error)
{
	const struct kma *state = reader->state;
	return access_wrong_at(reader, state->offset, error, "damaged kmemsim access trace: %s", what);
}

static bool kmt_begins(const unsigned char *bytes, size_t length, bool whole)
{
	(void)whole;
	return length >= 8 && memcmp(bytes, KMA_MAGIC, 8) == 0;
}

/* Copies exactly so many bytes of the trace. */
static bool take_bytes(struct access_reader *reader, void *bytes, size_t length, struct error *error)
{
	struct access_input *input = &reader->input;
	unsigned char *to = bytes;
	while (length > 0) {
		if (!input_bytes(input, 1, error))
			return false;
		size_t there = (size_t)(input->end - input->at), part = there < length ? there : length;
		if (part == 0)
			return access_wrong_at(reader, input_offset(input), error,
			                       "the trace ends, where %zu bytes more were expected: it was cut", length);
		memcpy(to, input->at, part);
		input->at += part;
		to += part;
		length -= part;
	}
	return true;
}

static bool begin(struct access_reader *reader, struct error *error)
{
	struct kma *state = reader->state;
	unsigned char head[KMT_HEAD_BYTES];
	state->begun = true;
	if (!take_bytes(reader, head, sizeof head, error))
		return false;
	if (memcmp(head, KMT_MAGIC, sizeof KMT_MAGIC - 1) == 0)
		return error_set(
		        error, ERROR_INPUT,
		        "%s: this is a recording of kernel memory, expected an access trace; `kmemsim replay` reads recordings",
		        reader->input.path);
	if (!kmt_begins(head, sizeof head, true))
		return damaged(reader, "its first bytes are others", error);
	if (kmt_load64(head + KMT_HEAD_BYTES - 8) != kmt_checksum(head, KMT_HEAD_BYTES - 8) ||
	    kmt_load32(head + 12) != KMT_HEAD_BYTES)
		return damaged(reader, "the head's checksum is wrong", error);
	if (kmt_load32(head + 8) != KMA_VERSION)
		return access_wrong_at(reader, 8, error, "an access trace of version %u, this program reads version %u",
		                       kmt_load32(head + 8), KMA_VERSION);
	zstd_unpacker_init(&state->unpacker);
	state->expected = lazy_alloc(KMA_STREAMS, sizeof *state->expected);
	state->packed = xcalloc(PACKED_MAX, 1);
	state->raw = xcalloc(KMA_RAW_MAX + PADDING, 1);
	state->made = true;
	return true;
}

static void kmt_end(void *memory)
{
	struct kma *state = memory;
	if (!state || !state->made)
		return;
	zstd_unpacker_release(&state->unpacker);
	lazy_free(state->expected, KMA_STREAMS, sizeof *state->expected);
	free(state->packed);
	free(state->raw);
}

/* A varint of the piece; false: it runs over the end, or has more than 64 bits. */
static bool take_varint(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	uint64_t read = 0;
	for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
		unsigned char byte = *(*at)++;
		if (shift == 63 && byte > 1)
			return false;
		read |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = read;
			return true;
		}
	}
	return false;
}

static bool read_class(struct kma *state, struct class *class, const unsigned char **at)
{
	uint64_t kind, bytes, cpu, length;
	if (!take_varint(at, state->end, &kind) || !take_varint(at, state->end, &bytes) || !take_varint(at, state->end, &cpu) ||
	    !take_varint(at, state->end, &length) || kind >= KMA_KINDS || bytes == 0 || bytes > ACCESS_BYTES_MAX ||
	    cpu > UINT16_MAX || length > KMA_DIFFERENCE_MAX)
		return false;
	*class = (struct class){.access = {.bytes = (uint32_t)bytes, .cpu = (uint16_t)cpu, .kind = (uint8_t)kind}};
	class->sign = length ? 1ull << (8 * length - 1) : 0;
	class->mask = class->sign | (class->sign - (length > 0));
	class->expected = &state->expected[kma_stream((uint8_t)kind, (uint16_t)cpu)];
	class->step = (uint32_t)kma_expected(&class->access);
	class->difference_bytes = (uint32_t)length;
	*class->expected = 0;
	return true;
}

static bool read_classes(struct access_reader *reader, uint32_t count, struct error *error)
{
	struct kma *state = reader->state;
	const unsigned char *at = state->raw;
	uint64_t classes;
	if (!take_varint(&at, state->end, &classes) || classes == 0 || classes > count)
		return damaged(reader, "a piece has no sound number of classes", error);
	for (uint32_t i = 0; i < classes; i++)
		if (!read_class(state, &state->classes[i], &at))
			return damaged(reader, "a class is none that an access may have", error);
	state->class_count = (uint32_t)classes;
	size_t code_bytes = (size_t)count * (classes > 256 ? 2 : 1);
	if (code_bytes > (size_t)(state->end - at))
		return damaged(reader, "a piece is shorter than its accesses", error);
	state->code = at;
	state->address = at + code_bytes;
	state->left = count;
	return true;
}

static bool read_totals(struct access_reader *reader, uint32_t raw, struct error *error)
{
	struct kma *state = reader->state;
	if (raw != 8 * KMA_KINDS)
		return damaged(reader, "its last piece has another size", error);
	for (unsigned kind = 0; kind < KMA_KINDS; kind++)
		if (kmt_load64(state->raw + 8 * kind) != state->kinds[kind])
			return damaged(reader, "its totals are not those of its accesses", error);
	state->ended = true;
	if (!input_bytes(&reader->input, 1, error))
		return false;
	return reader->input.at == reader->input.end || damaged(reader, "it has bytes behind its end", error);
}

static bool read_piece(struct access_reader *reader, struct error *error)
{
	struct kma *state = reader->state;
	unsigned char head[KMT_PIECE_HEAD_BYTES];
	state->offset = input_offset(&reader->input);
	if (!take_bytes(reader, head, sizeof head, error))
		return false;
	uint32_t tag = kmt_load32(head), count = kmt_load32(head + 4), raw = kmt_load32(head + 8), packed = kmt_load32(head + 12);
	bool plausible = (tag == KMA_ACCESSES && count > 0 && count <= KMA_PIECE_ACCESSES) || (tag == KMA_END && count == 0);
	if (!plausible || raw > KMA_RAW_MAX || packed > PACKED_MAX)
		return damaged(reader, "the head of a piece is none", error);
	if (!take_bytes(reader, state->packed, packed, error))
		return false;
	if (!zstd_unpack(&state->unpacker, state->packed, packed, state->raw, raw))
		return damaged(reader, "a piece does not unpack", error);
	state->end = state->raw + raw;
	return tag == KMA_END ? read_totals(reader, raw, error) : read_classes(reader, count, error);
}

/*
 * Takes the next accesses, whole batches at once: false if one of them is damaged, that is if its class is none, it runs over the
 * end of the address space, or its difference over the end of the piece. Cursors are kept in registers, and the two widths of
 * codes are two loops.
 */
static inline __attribute__((always_inline)) bool take(struct kma *state, struct access *restrict batch, size_t count,
                                                       const bool wide)
{
	const unsigned char *code = state->code, *address = state->address;
	const uint32_t classes = state->class_count;
	bool wrapped = false;
	for (size_t i = 0; i < count; i++, code += wide ? 2 : 1) {
		uint32_t index = wide ? code[0] | (uint32_t)code[1] << 8 : code[0];
		if (index >= classes)
			return false;
		struct class *class = &state->classes[index];
		uint64_t word;
		memcpy(&word, address, sizeof word);
		address += class->difference_bytes;
		uint64_t at = *class->expected + (((le64toh(word) & class->mask) ^ class->sign) - class->sign);
		*class->expected = at + class->step;
		class->accesses++;
		batch[i] = class->access;
		batch[i].address = at;
		wrapped |= at + class->access.bytes - 1 < at;
	}
	state->code = code;
	state->address = address;
	return !wrapped && address <= state->end;
}

static bool take_accesses(struct kma *state, struct access *batch, size_t count)
{
	return state->class_count > 256 ? take(state, batch, count, true) : take(state, batch, count, false);
}

/* The accesses of the piece are all taken. */
static bool end_piece(struct access_reader *reader, struct error *error)
{
	struct kma *state = reader->state;
	for (uint32_t i = 0; i < state->class_count; i++)
		state->kinds[state->classes[i].access.kind] += state->classes[i].accesses;
	return state->address == state->end || damaged(reader, "a piece has bytes left over", error);
}

static bool kmt_read(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct kma *state = reader->state;
	*count = 0;
	if (!state->begun && !begin(reader, error))
		return false;
	if (!state->made)
		return damaged(reader, "it has no head", error);
	if (state->left == 0 && !state->ended && !read_piece(reader, error))
		return false;
	if (state->ended)
		return true;
	size_t wanted = state->left < capacity ? state->left : capacity;
	if (!take_accesses(state, batch, wanted))
		return damaged(reader, "an access is none that may be", error);
	*count = wanted;
	state->left -= (uint32_t)wanted;
	return state->left > 0 || end_piece(reader, error);
}

const struct access_format access_format_kmt = {
        .name = "kmt",
        .help = "kmemsim's own, made by `kmemsim trace convert`",
        .endings = ".kmt",
        .expected = "an access trace of kmemsim",
        .state_bytes = sizeof(struct kma),
        .begins = kmt_begins,
        .read = kmt_read,
        .end = kmt_end,
};
