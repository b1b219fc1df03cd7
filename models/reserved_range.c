/* SPDX-License-Identifier: MIT
 *
 * reserved_range.c - reads ranges of machine.reserved (interface and grammar: reserved_range.h).
 */
#include "models/reserved_range.h"

#include "sim/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Physical addresses of x86-64 have at most 52 bits (Intel SDM vol. 3, MAXPHYADDR). */
#define ADDRESS_MAX (1ull << 52)

static const char separator[] = " at ";

static bool fail(const char *text, struct error *error)
{
	char quoted[SETTING_QUOTE_MAX];
	return error_set(error, ERROR_USAGE,
	                 "machine.reserved: %s; expected FIRST-LAST in hexadecimal as in /proc/iomem, or SIZE at ADDRESS such as "
	                 "\"16 MiB at 1 GiB\"",
	                 setting_quote(text, quoted));
}

/* Hexadecimal digits up to `end`, not all of them blank; NULL if there are none. */
static const char *hexadecimal(const char *text, uint64_t *value)
{
	char *end;
	text += strspn(text, " ");
	if (strspn(text, "0123456789abcdefABCDEFx") == 0)
		return NULL;
	*value = strtoull(text, &end, 16);
	if (end == text || *value > ADDRESS_MAX)
		return NULL;
	return end + strspn(end, " ");
}

/* A size with its unit, or a number 0x... */
static bool address(const char *text, size_t length, uint64_t *value)
{
	char copy[64], why[SETTING_WHY_MAX];
	if (length >= sizeof copy)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (strncmp(copy, "0x", 2) == 0) {
		const char *end = hexadecimal(copy, value);
		return end && *end == '\0';
	}
	return setting_parse_number(SETTING_SIZE, copy, value, why) && *value <= ADDRESS_MAX;
}

bool reserved_range_parse(const char *text, struct reserved_range *range, struct error *error)
{
	const char *at = strstr(text, separator);
	if (at) {
		uint64_t size;
		const char *start = at + strlen(separator);
		if (!address(text, (size_t)(at - text), &size) || !address(start, strlen(start), &range->start) || size == 0)
			return fail(text, error);
		range->end = range->start + size;
		return true;
	}
	uint64_t last;
	at = hexadecimal(text, &range->start);
	at = at && *at == '-' ? hexadecimal(at + 1, &last) : NULL;
	if (!at || *at || last < range->start)
		return fail(text, error);
	range->end = last + 1;
	return true;
}

bool reserved_ranges_check(const struct settings *settings, struct error *error)
{
	struct reserved_range range;
	for (uint32_t i = 0; i < settings->machine.reserved_count; i++)
		if (!reserved_range_parse(settings->machine.reserved[i], &range, error))
			return false;
	return true;
}
