/* SPDX-License-Identifier: MIT
 *
 * access_din.c - Dinero's two text formats, as tracein_din() (dinfmt.c) and tracein_xdin() (xdinfmt.c) of Dinero IV read them.
 *
 *     din, "d"     LABEL ADDRESS            0 read, 1 write, 2 instruction fetch, 3 miscellaneous, 4 copy back, 5 invalidate
 *     xdin, "D"    LETTER ADDRESS SIZE      r w i m c v, the same; address and size are hexadecimal
 *
 * The address is hexadecimal, with or without 0x; what follows the last field is ignored. Blank lines, which Dinero refuses, are
 * passed over. din knows no sizes: as in Dinero IV every access has 4 bytes and its address is rounded down to a multiple of 4.
 * Dinero's "miscellaneous" goes the way of a read. Copying back and invalidating are commands to a cache and touch no memory:
 * such records are left out.
 */
#include "sim/io/access_text.h"

#define DIN_BYTES 4u

/* What a label or a letter stands for. */
enum din_type { DIN_READ, DIN_WRITE, DIN_FETCH, DIN_MISCELLANEOUS, DIN_COPY_BACK, DIN_INVALIDATE, DIN_TYPES };

static const enum access_kind kinds[] = {ACCESS_LOAD, ACCESS_STORE, ACCESS_CODE, ACCESS_LOAD};

static bool field_ends(const struct text_cursor *cursor)
{
	return *cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\r' || *cursor->at == '\n';
}

static bool hex_field(struct text_cursor *cursor, uint64_t *value)
{
	text_prefix(cursor);
	return text_hex(cursor, value) && field_ends(cursor);
}

static enum access_line din_line(struct text_cursor *cursor, struct access *access)
{
	uint64_t type, address;
	text_spaces(cursor);
	if (text_line_ends(cursor))
		return LINE_NOTHING;
	if (!hex_field(cursor, &type) || type >= DIN_TYPES || !text_spaces(cursor) || !hex_field(cursor, &address))
		return LINE_WRONG;
	if (type >= DIN_COPY_BACK)
		return LINE_NOTHING;
	return text_access(cursor, access, kinds[type], address & ~(uint64_t)(DIN_BYTES - 1), DIN_BYTES);
}

static bool xdin_type(unsigned char letter, enum din_type *type)
{
	static const char letters[] = "rwimcv";
	for (unsigned i = 0; i < DIN_TYPES; i++)
		if ((letter | 0x20) == letters[i]) {
			*type = (enum din_type)i;
			return true;
		}
	return false;
}

static enum access_line xdin_line(struct text_cursor *cursor, struct access *access)
{
	enum din_type type;
	uint64_t address, bytes;
	text_spaces(cursor);
	if (text_line_ends(cursor))
		return LINE_NOTHING;
	if (!xdin_type(*cursor->at++, &type) || !text_spaces(cursor) || !hex_field(cursor, &address) || !text_spaces(cursor) ||
	    !hex_field(cursor, &bytes))
		return LINE_WRONG;
	if (type >= DIN_COPY_BACK)
		return LINE_NOTHING;
	return text_access(cursor, access, kinds[type], address, bytes);
}

const struct access_format access_format_din = {
        .name = "din",
        .help = "Dinero's traditional text: LABEL ADDRESS, accesses of 4 bytes",
        .endings = ".din .din4",
        .expected = "'LABEL ADDRESS', a label from 0 to 5 and a hexadecimal address",
        .hand_written = true,
        .line = din_line,
};

const struct access_format access_format_xdin = {
        .name = "xdin",
        .help = "Dinero's extended text: r|w|i|m|c|v ADDRESS SIZE, hexadecimal",
        .endings = ".xdin",
        .expected = "'r|w|i|m|c|v ADDRESS SIZE', address and size in hexadecimal",
        .hand_written = true,
        .line = xdin_line,
};
