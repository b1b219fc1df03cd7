/* SPDX-License-Identifier: MIT
 *
 * utf8.c - well-formed UTF-8 by the table of RFC 3629, section 4 (interface: utf8.h).
 */
#include "sim/utf8.h"

#include <string.h>

/* Bytes of the character that begins with `lead`, and the range its second byte must lie in; 0 if none begins so. */
static size_t sequence(unsigned char lead, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef) {
		*low = lead == 0xe0 ? 0xa0 : 0x80;  /* no longer than needed */
		*high = lead == 0xed ? 0x9f : 0xbf; /* no surrogates */
		return 3;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		*low = lead == 0xf0 ? 0x90 : 0x80;
		*high = lead == 0xf4 ? 0x8f : 0xbf; /* nothing above U+10FFFF */
		return 4;
	}
	return 0;
}

size_t utf8_character(const char *text, size_t left)
{
	const unsigned char *at = (const unsigned char *)text;
	if (left == 0)
		return 0;
	unsigned char low, high;
	size_t length = sequence(at[0], &low, &high);
	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (at[i] < low || at[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

void utf8_copy(char *to, const char *from, size_t length)
{
	for (size_t at = 0; at < length;) {
		if ((unsigned char)from[at] < 0x80) {
			to[at] = from[at];
			at++;
			continue;
		}
		size_t bytes = utf8_character(from + at, length - at);
		if (bytes == 0) {
			to[at++] = '?';
			continue;
		}
		memcpy(to + at, from + at, bytes);
		at += bytes;
	}
}

size_t utf8_width(const char *text)
{
	size_t width = 0;
	for (size_t left = strlen(text); left; width++) {
		size_t bytes = utf8_character(text, left);
		text += bytes ? bytes : 1;
		left -= bytes ? bytes : 1;
	}
	return width;
}

char *utf8_line(const char *text, size_t characters)
{
	size_t left = strlen(text);
	char *line = xcalloc(left + 1, 1), *to = line;
	for (; left && characters; characters--) {
		size_t bytes = utf8_character(text, left);
		bool shown = bytes && (unsigned char)*text >= 0x20 && *text != 0x7f;
		bytes = bytes ? bytes : 1;
		if (shown)
			memcpy(to, text, bytes);
		else
			*to = '?';
		to += shown ? bytes : 1;
		text += bytes;
		left -= bytes;
	}
	return line;
}

void utf8_print_json(const char *text, FILE *out)
{
	size_t left = strlen(text);
	fputc('"', out);
	while (left) {
		size_t bytes = utf8_character(text, left);
		if (bytes == 0)
			fputc('?', out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", (unsigned)*text);
		else
			fwrite(text, 1, bytes, out);
		text += bytes ? bytes : 1;
		left -= bytes ? bytes : 1;
	}
	fputc('"', out);
}
