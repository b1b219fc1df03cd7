/* SPDX-License-Identifier: MIT
 *
 * access_raw.c - records of 8 bytes, little-endian: bits 0-55 the address, bits 56-62 the size in bytes, bit 63 set for a store,
 * else a load.
 */
#include "sim/io/access_text.h"

#include <endian.h>
#include <string.h>

#define RECORD_BYTES 8u
#define ADDRESS_BITS 56
#define SIZE_MASK 0x7fu
#define STORE_SHIFT 63

/* A program's accesses have at most this many bytes but for rare instructions; a wider guess would take any file for this. */
#define USUAL_BYTES_MAX 64u
/* One record may be anything; a shorter trace is told by its name. */
#define RECORDS_MIN 2u
/*
 * Addresses of programs have 47 bits, or all of bits 47 to 55 in the kernel's half. So byte 6 of a record is 0x00 or
 * 0xff, which no text has, be it ASCII or UTF-8.
 */
#define USER_BITS 47u

static inline uint64_t load_record(const unsigned char *at)
{
	uint64_t record;
	memcpy(&record, at, sizeof record);
	return le64toh(record);
}

static bool record_looks_right(uint64_t record)
{
	unsigned size = (unsigned)(record >> ADDRESS_BITS) & SIZE_MASK;
	uint64_t address = record & ((1ull << ADDRESS_BITS) - 1), half = address >> USER_BITS;
	return size > 0 && size <= USUAL_BYTES_MAX && (half == 0 || half == (1u << (ADDRESS_BITS - USER_BITS)) - 1);
}

static bool raw_begins(const unsigned char *bytes, size_t length, bool whole)
{
	if (length < RECORDS_MIN * RECORD_BYTES || (whole && length % RECORD_BYTES != 0))
		return false;
	for (size_t at = 0; at + RECORD_BYTES <= length; at += RECORD_BYTES)
		if (!record_looks_right(load_record(bytes + at)))
			return false;
	return true;
}

/* Turns whole records into accesses; how many of them have a size. */
static size_t take_records(const unsigned char *at, struct access *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t record = load_record(at + RECORD_BYTES * i);
		uint32_t bytes = (uint32_t)(record >> ADDRESS_BITS) & SIZE_MASK;
		if (bytes == 0)
			return i;
		batch[i] = (struct access){.address = record & ((1ull << ADDRESS_BITS) - 1),
		                           .bytes = bytes,
		                           .kind = record >> STORE_SHIFT ? ACCESS_STORE : ACCESS_LOAD};
	}
	return count;
}

static bool raw_read(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct access_input *input = &reader->input;
	*count = 0;
	if (!input_bytes(input, RECORD_BYTES, error))
		return false;
	size_t whole = (size_t)(input->end - input->at) / RECORD_BYTES;
	size_t wanted = whole < capacity ? whole : capacity;
	if (wanted == 0 && input->at < input->end)
		return access_wrong_at(reader, input_offset(input), error,
		                       "found %zu bytes before the end, expected a record of %u",
		                       (size_t)(input->end - input->at), RECORD_BYTES);
	*count = take_records(input->at, batch, wanted);
	input->at += *count * RECORD_BYTES;
	return *count == wanted || access_wrong_at(reader, input_offset(input), error,
	                                           "found a record of size 0, expected 1 to %u (bits 56-62)", SIZE_MASK);
}

const struct access_format access_format_raw = {
        .name = "raw",
        .help = "8-byte records: address in bits 0-55, size in 56-62, bit 63 a store",
        .endings = ".b8 .raw",
        .expected = "records of 8 bytes",
        .begins = raw_begins,
        .read = raw_read,
};
