/* SPDX-License-Identifier: MIT
 *
 * access_lackey.c - what `valgrind --tool=lackey --trace-mem=yes` prints (valgrind's manual, "Lackey: an example tool"; the
 * comment at the head of lk_main.c gives the lines):
 *
 *     I  0023c790,2     code: address in hexadecimal, size in decimal
 *      L 1ffeffe7c8,8   load
 *      S 1ffeffe7c8,8   store
 *      M 0025747c,1     modify: a load and a store of the same bytes
 *
 * Lines of superblocks ("SB 04016b80", --trace-superblocks) and what valgrind says of itself ("==PID== ...", "--PID-- ...",
 * "**PID** ...") touch no memory.
 */
#include "sim/io/access_text.h"

/* "==1234== ", also with a time in front of the PID's end (--time-stamp=yes) */
static bool is_valgrinds_own(const unsigned char *at)
{
	return (at[0] == '=' || at[0] == '-' || at[0] == '*') && at[1] == at[0];
}

static bool kind_of(const unsigned char *at, enum access_kind *kind)
{
	if (at[0] == 'I' && at[1] == ' ' && at[2] == ' ') {
		*kind = ACCESS_CODE;
		return true;
	}
	if (at[0] != ' ' || at[1] == '\n' || at[2] != ' ')
		return false;
	*kind = at[1] == 'L' ? ACCESS_LOAD : at[1] == 'S' ? ACCESS_STORE : ACCESS_MODIFY;
	return at[1] == 'L' || at[1] == 'S' || at[1] == 'M';
}

static enum access_line lackey_line(struct text_cursor *cursor, struct access *access)
{
	enum access_kind kind;
	uint64_t address, bytes;
	const unsigned char *at = cursor->at;
	if (!kind_of(at, &kind)) {
		bool nothing = is_valgrinds_own(at) || at[0] == '\n' || (at[0] == 'S' && at[1] == 'B' && at[2] == ' ');
		return nothing ? LINE_NOTHING : LINE_WRONG;
	}
	cursor->at += 3;
	if (!text_hex(cursor, &address) || !text_take(cursor, ',') || !text_decimal(cursor, &bytes) || !text_line_ends(cursor))
		return LINE_WRONG;
	return text_access(cursor, access, kind, address, bytes);
}

const struct access_format access_format_lackey = {
        .name = "lackey",
        .help = "valgrind --tool=lackey --trace-mem=yes",
        .endings = ".lackey",
        .expected = "'I  ADDRESS,SIZE', ' L ADDRESS,SIZE', ' S ...' or ' M ...'",
        .line = lackey_line,
};
