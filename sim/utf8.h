/* SPDX-License-Identifier: MIT
 *
 * utf8.h - tells well-formed UTF-8 (RFC 3629) from other bytes, so that names out of a damaged recording do no harm in databases,
 * tables and pages.
 */
#ifndef SIM_UTF8_H
#define SIM_UTF8_H

#include "sim/base.h"

#include <stdio.h>

/* Bytes of the well-formed character at `text` (1..4), of which `left` bytes may be read; 0 if there is none. */
size_t utf8_character(const char *text, size_t left);

/* Characters of a text; bytes that belong to no character count as one each. */
size_t utf8_width(const char *text);

/*
 * A copy fit to be shown on one line: at most `characters` long, other bytes and control characters as '?'. free() it.
 */
char *utf8_line(const char *text, size_t characters);

/* Copies `length` bytes and puts '?' for each byte that belongs to no well-formed character. No terminating 0. */
void utf8_copy(char *to, const char *from, size_t length);

/* The text as a JSON string with its quotes (RFC 8259): bytes that belong to no well-formed character as '?'. */
void utf8_print_json(const char *text, FILE *out);

#endif
