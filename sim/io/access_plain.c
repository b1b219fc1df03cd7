/* SPDX-License-Identifier: MIT
 *
 * access_plain.c - the plainest text there is, one access a line: KIND ADDRESS [SIZE]
 *
 *     R 0x7ffe1000 8     load       also L, r, l
 *     W 0x7ffe1008 8     store      also S, w, s
 *     I 0x401000 4       code       also F, i, f
 *     M 0x7ffe1010 1     modify     also m
 *
 * Fields stand apart by spaces or tabs. Numbers are hexadecimal behind 0x, else decimal; the size is 1 where there is
 * none. Blank lines and lines that begin with # say nothing.
 *
 * "plain_hex" is the same with addresses that are hexadecimal without 0x too. It is told by an address with a letter in the first
 * line; a trace of "plain" that has such an address later is refused, not misread.
 */
#include "sim/io/access_text.h"

static bool kind_of(unsigned char letter, enum access_kind *kind)
{
	switch (letter | 0x20) {
	case 'r':
	case 'l':
		*kind = ACCESS_LOAD;
		return true;
	case 'w':
	case 's':
		*kind = ACCESS_STORE;
		return true;
	case 'i':
	case 'f':
		*kind = ACCESS_CODE;
		return true;
	case 'm':
		*kind = ACCESS_MODIFY;
		return true;
	default:
		return false;
	}
}

static enum access_line read_line(struct text_cursor *cursor, struct access *access,
                                  bool (*address_number)(struct text_cursor *, uint64_t *))
{
	enum access_kind kind;
	uint64_t address, bytes = 1;
	text_spaces(cursor);
	if (*cursor->at == '#' || text_line_ends(cursor))
		return LINE_NOTHING;
	if (!kind_of(*cursor->at++, &kind) || !text_spaces(cursor) || !address_number(cursor, &address))
		return LINE_WRONG;
	bool apart = text_spaces(cursor);
	if (!text_line_ends(cursor) && (!apart || !text_number(cursor, &bytes) || !text_line_ends(cursor)))
		return LINE_WRONG;
	return text_access(cursor, access, kind, address, bytes);
}

static enum access_line plain_line(struct text_cursor *cursor, struct access *access)
{
	return read_line(cursor, access, text_number);
}

static bool any_hex(struct text_cursor *cursor, uint64_t *value)
{
	text_prefix(cursor);
	return text_hex(cursor, value);
}

static enum access_line plain_hex_line(struct text_cursor *cursor, struct access *access)
{
	return read_line(cursor, access, any_hex);
}

const struct access_format access_format_plain = {
        .name = "plain",
        .help = "text, one access a line: R|W|I|M ADDRESS [SIZE], decimal or 0x hexadecimal",
        .endings = ".plain",
        .expected = "'R|W|I|M ADDRESS [SIZE]', decimal or 0x and hexadecimal; --format plain_hex reads hexadecimal without 0x",
        .hand_written = true,
        .line = plain_line,
};

const struct access_format access_format_plain_hex = {
        .name = "plain_hex",
        .help = "the same, addresses hexadecimal without 0x",
        .expected = "'R|W|I|M ADDRESS [SIZE]', the address in hexadecimal",
        .hand_written = true,
        .line = plain_hex_line,
};
