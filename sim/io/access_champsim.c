/* SPDX-License-Identifier: MIT
 *
 * access_champsim.c - ChampSim's traces: one record of 64 bytes an instruction (struct input_instr, inc/trace_instruction.h),
 * little-endian, usually in xz or gz.
 *
 *     0   ip                        8 bytes
 *     8   is_branch, branch_taken   1 byte each, 0 or 1
 *     10  destination_registers     2 of 1 byte
 *     12  source_registers          4 of 1 byte
 *     16  destination_memory        2 addresses, 0: none
 *     32  source_memory             4 addresses, 0: none
 *
 * An instruction becomes the fetch at its ip, its loads, its stores. The records tell no sizes, so every access has 1 byte. The
 * records of the Cloudsuite traces (struct cloudsuite_instr, 88 bytes) are not read.
 */
#include "sim/io/access_text.h"

#include <endian.h>
#include <string.h>

#define RECORD_BYTES 64u
#define IS_BRANCH 8u
#define BRANCH_TAKEN 9u
#define DESTINATION_MEMORY 16u
#define DESTINATIONS 2u
#define SOURCE_MEMORY 32u
#define SOURCES 4u
/* The most accesses of one record. */
#define RECORD_ACCESSES (1 + SOURCES + DESTINATIONS)

/* Accesses of the last record that did not fit into the batch. */
struct champsim {
	struct access left[RECORD_ACCESSES];
	unsigned count, at;
};

static inline uint64_t load64(const unsigned char *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

static bool record_is_possible(const unsigned char *record)
{
	return record[IS_BRANCH] <= 1 && record[BRANCH_TAKEN] <= 1;
}

static bool champsim_begins(const unsigned char *bytes, size_t length, bool whole)
{
	if (length < RECORD_BYTES || (whole && length % RECORD_BYTES != 0))
		return false;
	for (size_t at = 0; at + RECORD_BYTES <= length; at += RECORD_BYTES)
		if (!record_is_possible(bytes + at) || load64(bytes + at) == 0)
			return false;
	return true;
}

static unsigned add_accesses(struct access *accesses, const unsigned char *addresses, unsigned count, enum access_kind kind)
{
	unsigned made = 0;
	for (unsigned i = 0; i < count; i++) {
		uint64_t address = load64(addresses + 8 * i);
		if (address)
			accesses[made++] = (struct access){.address = address, .bytes = 1, .kind = (uint8_t)kind};
	}
	return made;
}

static unsigned take_record(struct access *accesses, const unsigned char *record)
{
	unsigned made = 1;
	accesses[0] = (struct access){.address = load64(record), .bytes = 1, .kind = ACCESS_CODE};
	made += add_accesses(accesses + made, record + SOURCE_MEMORY, SOURCES, ACCESS_LOAD);
	return made + add_accesses(accesses + made, record + DESTINATION_MEMORY, DESTINATIONS, ACCESS_STORE);
}

/* Whole records of the buffer, as long as the batch has room for the largest. */
static bool take_records(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct access_input *input = &reader->input;
	for (; input->end - input->at >= (ptrdiff_t)RECORD_BYTES && capacity - *count >= RECORD_ACCESSES;
	     input->at += RECORD_BYTES) {
		if (!record_is_possible(input->at))
			return access_wrong_at(reader, input_offset(input), error,
			                       "found a record with is_branch %u and branch_taken %u, expected 0 or 1 (champsim)",
			                       input->at[IS_BRANCH], input->at[BRANCH_TAKEN]);
		*count += take_record(batch + *count, input->at);
	}
	return true;
}

static size_t take_left(struct champsim *state, struct access *batch, size_t capacity)
{
	size_t taken = 0;
	while (state->at < state->count && taken < capacity)
		batch[taken++] = state->left[state->at++];
	return taken;
}

static bool champsim_read(struct access_reader *reader, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct access_input *input = &reader->input;
	struct champsim *state = reader->state;
	*count = take_left(state, batch, capacity);
	if (*count > 0)
		return true;
	if (!input_bytes(input, RECORD_BYTES, error))
		return false;
	size_t left = (size_t)(input->end - input->at);
	if (left > 0 && left < RECORD_BYTES)
		return access_wrong_at(reader, input_offset(input), error,
		                       "found %zu bytes before the end, expected a record of %u", left, RECORD_BYTES);
	if (left == 0 || capacity >= RECORD_ACCESSES)
		return take_records(reader, batch, capacity, count, error);
	size_t made = 0;
	if (!take_records(reader, state->left, RECORD_ACCESSES, &made, error))
		return false;
	state->count = (unsigned)made;
	state->at = 0;
	*count = take_left(state, batch, capacity);
	return true;
}

const struct access_format access_format_champsim = {
        .name = "champsim",
        .help = "ChampSim's 64-byte records: fetch, loads and stores of each instruction",
        .endings = ".champsim .champsimtrace .trace",
        .expected = "records of 64 bytes",
        .state_bytes = sizeof(struct champsim),
        .begins = champsim_begins,
        .read = champsim_read,
};
