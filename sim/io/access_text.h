/* SPDX-License-Identifier: MIT
 *
 * access_text.h - numbers and spaces of one line of an access trace.
 *
 * Every line ends with a newline, and nothing here moves behind one: a parser that asks for what is not there stays in its line.
 * Everything is inline, because a trace has 10^8 lines.
 */
#ifndef SIM_IO_ACCESS_TEXT_H
#define SIM_IO_ACCESS_TEXT_H

#include "sim/io/access_format.h"

struct text_cursor {
	const unsigned char *at;
	const char *problem; /* why the line is wrong, as a clause: "the address does not fit into 64 bits" */
	void *state;         /* access_format.state_bytes of memory, zeroed at the start */
};

/* The value of a hexadecimal digit, TEXT_NO_DIGIT for other bytes. */
#define TEXT_NO_DIGIT 0xff
extern const unsigned char text_digit[256];

/* Reads hexadecimal digits. false: there are none, or they do not fit into 64 bits, which becomes the problem. */
static inline bool text_hex(struct text_cursor *cursor, uint64_t *value)
{
	const unsigned char *at = cursor->at;
	uint64_t read = 0, lost = 0;
	unsigned digit;
	while ((digit = text_digit[*at]) != TEXT_NO_DIGIT) {
		lost |= read >> 60;
		read = read << 4 | digit;
		at++;
	}
	bool any = at > cursor->at;
	cursor->at = at;
	*value = read;
	if (lost)
		cursor->problem = "a number does not fit into 64 bits";
	return any && !lost;
}

/* The same with decimal digits. */
static inline bool text_decimal(struct text_cursor *cursor, uint64_t *value)
{
	const unsigned char *at = cursor->at;
	uint64_t read = 0;
	bool lost = false;
	unsigned digit;
	while ((digit = text_digit[*at]) < 10) {
		lost |= read > (UINT64_MAX - digit) / 10;
		read = read * 10 + digit;
		at++;
	}
	bool any = at > cursor->at;
	cursor->at = at;
	*value = read;
	if (lost)
		cursor->problem = "a number does not fit into 64 bits";
	return any && !lost;
}

/* Moves behind this character, which is no newline; whether it was there. */
static inline bool text_take(struct text_cursor *cursor, unsigned char character)
{
	bool there = *cursor->at == character;
	cursor->at += there;
	return there;
}

/* Moves behind "0x"; whether it was there. */
static inline bool text_prefix(struct text_cursor *cursor)
{
	bool there = cursor->at[0] == '0' && (cursor->at[1] | 0x20) == 'x';
	cursor->at += there ? 2 : 0;
	return there;
}

/* Hexadecimal behind 0x, else decimal. */
static inline bool text_number(struct text_cursor *cursor, uint64_t *value)
{
	return text_prefix(cursor) ? text_hex(cursor, value) : text_decimal(cursor, value);
}

/* Moves behind spaces and tabs; whether there were any. */
static inline bool text_spaces(struct text_cursor *cursor)
{
	const unsigned char *at = cursor->at;
	while (*at == ' ' || *at == '\t')
		at++;
	bool any = at > cursor->at;
	cursor->at = at;
	return any;
}

/* Whether nothing but spaces (and a carriage return) comes before the line's end. */
static inline bool text_line_ends(struct text_cursor *cursor)
{
	text_spaces(cursor);
	cursor->at += *cursor->at == '\r';
	return *cursor->at == '\n';
}

/* The access, if it may be so; else the cursor gets the problem. */
static inline enum access_line text_access(struct text_cursor *cursor, struct access *access, enum access_kind kind,
                                           uint64_t address, uint64_t bytes)
{
	*access = (struct access){.address = address, .bytes = (uint32_t)bytes, .kind = (uint8_t)kind};
	return access_is_possible(address, bytes, &cursor->problem) ? LINE_ACCESS : LINE_WRONG;
}

#endif
