/* SPDX-License-Identifier: MIT
 *
 * access_dynamorio.c - the text of DynamoRIO's `drrun -t drmemtrace -tool view` (earlier -t drcachesim -simulator_type view).
 *
 *     <--record#-> <--instr#->: <---tid---> <record details>
 *     ------------------------------------------------------------
 *                1           0:     2765542 <marker: version 5>
 *            47445       37770:     2765543 ifetch       5 byte(s) @ 0x0000000000404a7e 48 8b 5c 24 08       mov    0x08(%rsp) ->
 * %rbx 47446       37770:     2765543 read         8 byte(s) @ 0x00007fdf64e2adc8 by PC 0x0000000000404a7e
 *
 * Checked against every version of DynamoRIO's clients/drcachesim/tools/view.cpp and view.h up to August 2026, and
 * tests/offline-*.templatex. The words ifetch, read and write stand there since May 2022 (542d59bdd), behind RECORD and T342625;
 * the column of instructions since November 2022 (38ccf41c4), the thread without T since February 2023 (4fc7d9d15), W0.T292
 * (workload and thread) since March 2025 (069cbaf94), non-fetched since February 2026 (e980a6d8a). What was printed before May
 * 2022 is disassembly without sizes, and refused. Lines of a longer instruction's further bytes have the columns and hexadecimal
 * digits alone. Threads become numbers in the order in which they appear. Markers, exits of threads, headings, flushes (iflush,
 * dflush) touch no memory. MODEL: prefetches (pref...) are hints and are left out, where drcachesim lets them fill its caches. An
 * instruction that was not fetched anew (the turns of a rep string loop) is `non-fetched` and touches no memory; older versions
 * showed it as an ifetch where view disassembled it, which cannot be told from one and counts as one.
 */
#include "sim/io/access_text.h"

#include <string.h>

#define THREADS_MAX 65536u
#define THREAD_SLOTS (2 * THREADS_MAX)

struct thread_slot {
	uint64_t id;
	uint32_t number; /* + 1; 0: the slot is empty */
};

struct dynamorio {
	struct thread_slot *slots; /* by hash of the id, open addressing */
	uint64_t last_id;
	uint32_t last_number;
	uint32_t threads;
};

static struct thread_slot *slot_of(struct dynamorio *state, uint64_t id)
{
	uint64_t hash = id * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio: Fibonacci hashing, Knuth 6.4 */
	uint64_t slot = (hash >> 32) % THREAD_SLOTS;
	while (state->slots[slot].number && state->slots[slot].id != id)
		slot = (slot + 1) % THREAD_SLOTS;
	return &state->slots[slot];
}

/* The number of a thread, from 0; false: there are too many. */
static bool thread_number(struct text_cursor *cursor, uint64_t id, uint16_t *number)
{
	struct dynamorio *state = cursor->state;
	if (!state->slots)
		state->slots = lazy_alloc(THREAD_SLOTS, sizeof *state->slots);
	if (state->threads == 0 || id != state->last_id) {
		struct thread_slot *slot = slot_of(state, id);
		if (!slot->number && state->threads == THREADS_MAX) {
			cursor->problem = "there are more than 65536 threads";
			return false;
		}
		if (!slot->number)
			*slot = (struct thread_slot){id, ++state->threads};
		state->last_id = id;
		state->last_number = slot->number - 1;
	}
	*number = (uint16_t)state->last_number;
	return true;
}

static void dynamorio_end(void *memory)
{
	struct dynamorio *state = memory;
	if (state && state->slots)
		lazy_free(state->slots, THREAD_SLOTS, sizeof *state->slots);
}

static bool starts_with(const unsigned char *at, const char *text)
{
	return strncmp((const char *)at, text, strlen(text)) == 0;
}

static bool is_heading(const unsigned char *at)
{
	return *at == '\n' || *at == '<' || starts_with(at, "----") || starts_with(at, "Output format:") ||
	       starts_with(at, "View tool results:");
}

/* "2765542", "T292" or "W0.T292", and the space behind it. The workload takes the bits above any thread's. */
static bool read_thread(struct text_cursor *cursor, uint64_t *id)
{
	uint64_t workload = 0;
	if (*cursor->at == 'W') {
		cursor->at++;
		if (!text_decimal(cursor, &workload) || *cursor->at != '.' || cursor->at[1] != 'T')
			return false;
		cursor->at++;
		workload++;
	}
	cursor->at += *cursor->at == 'T';
	bool read = text_decimal(cursor, id) && text_take(cursor, ' ');
	*id += workload << 48;
	return read;
}

/* Moves behind the columns "RECORD INSTRUCTION: ", "RECORD: ", or nothing. */
static bool skip_columns(struct text_cursor *cursor)
{
	uint64_t number;
	if (*cursor->at == 'T' || *cursor->at == 'W')
		return true;
	if (!text_decimal(cursor, &number))
		return false;
	text_spaces(cursor);
	if (*cursor->at != ':' && !text_decimal(cursor, &number))
		return false;
	if (!text_take(cursor, ':'))
		return false;
	return text_spaces(cursor);
}

/* The record's word; *touches: it touches memory. */
static bool read_word(struct text_cursor *cursor, enum access_kind *kind, bool *touches)
{
	static const struct {
		const char *word;
		enum access_kind kind;
		bool touches;
	} words[] = {{"ifetch ", ACCESS_CODE, true},       {"read ", ACCESS_LOAD, true}, {"write ", ACCESS_STORE, true},
	             {"non-fetched ", ACCESS_CODE, false}, {"pref", ACCESS_LOAD, false}, {"iflush ", ACCESS_LOAD, false},
	             {"dflush ", ACCESS_LOAD, false}};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (starts_with(cursor->at, words[i].word)) {
			cursor->at += strlen(words[i].word);
			*kind = words[i].kind;
			*touches = words[i].touches;
			return true;
		}
	return false;
}

/* "8 byte(s) @ 0x00007fdf64e2adc8", and then the end or a space */
static bool read_place(struct text_cursor *cursor, uint64_t *address, uint64_t *bytes)
{
	static const char between[] = " byte(s) @ 0x";
	text_spaces(cursor);
	if (!text_decimal(cursor, bytes) || !starts_with(cursor->at, between))
		return false;
	cursor->at += sizeof between - 1;
	return text_hex(cursor, address) && (*cursor->at == ' ' || text_line_ends(cursor));
}

/* "                         01 00 00", of an instruction that is too long for its line: groups of hexadecimal digits */
static bool is_further_bytes(struct text_cursor *cursor)
{
	uint64_t digits;
	do {
		text_spaces(cursor);
		if (text_line_ends(cursor))
			return true;
	} while (text_hex(cursor, &digits) && (*cursor->at == ' ' || text_line_ends(cursor)));
	return false;
}

/* "47448 : total instructions", the last line */
static bool is_total(struct text_cursor *cursor)
{
	uint64_t number;
	return text_decimal(cursor, &number) && starts_with(cursor->at, " : total ");
}

static enum access_line dynamorio_line(struct text_cursor *cursor, struct access *access)
{
	uint64_t id, address, bytes;
	enum access_kind kind;
	bool touches;
	uint16_t cpu;
	if (is_heading(cursor->at))
		return LINE_NOTHING;
	text_spaces(cursor);
	struct text_cursor summary = *cursor;
	if (!skip_columns(cursor) || !read_thread(cursor, &id))
		return is_total(&summary) ? LINE_NOTHING : LINE_WRONG;
	if (*cursor->at == '<')
		return LINE_NOTHING;
	if (*cursor->at == ' ')
		return is_further_bytes(cursor) ? LINE_NOTHING : LINE_WRONG;
	if (!read_word(cursor, &kind, &touches))
		return LINE_WRONG;
	if (!touches)
		return LINE_NOTHING;
	if (!read_place(cursor, &address, &bytes) || !thread_number(cursor, id, &cpu))
		return LINE_WRONG;
	if (kind == ACCESS_CODE && starts_with(cursor->at, " non-fetched instruction"))
		return LINE_NOTHING;
	enum access_line line = text_access(cursor, access, kind, address, bytes);
	access->cpu = cpu;
	return line;
}

const struct access_format access_format_dynamorio = {
        .name = "dynamorio",
        .help = "DynamoRIO's drmemtrace -tool view",
        .endings = ".view",
        .expected = "'RECORD INSTRUCTION: THREAD ifetch|read|write SIZE byte(s) @ 0xADDRESS ...'",
        .state_bytes = sizeof(struct dynamorio),
        .line = dynamorio_line,
        .end = dynamorio_end,
};
