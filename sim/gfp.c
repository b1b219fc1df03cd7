/* SPDX-License-Identifier: MIT
 *
 * gfp.c - allocation flags as text (interface: gfp.h).
 *
 * Two tables: composite names as tracepoints of Linux 6.1 print them, most bits first (include/trace/events/mmflags.h gives the
 * order), and names of other kernels from 4.x to 6.x, mapped to the bits that mean the same today, or to none where the flag
 * has no effect on where memory comes from.
 */
#include "sim/gfp.h"

#include <stdio.h>
#include <string.h>

struct gfp_name {
	const char *name;
	gfp flags;
};

/* In the order in which 6.1 takes them out of a value when it prints. */
static const struct gfp_name printed_names[] = {
        {"GFP_TRANSHUGE", GFP_TRANSHUGE},
        {"GFP_TRANSHUGE_LIGHT", GFP_TRANSHUGE_LIGHT},
        {"GFP_HIGHUSER_MOVABLE", GFP_HIGHUSER_MOVABLE},
        {"GFP_HIGHUSER", GFP_HIGHUSER},
        {"GFP_USER", GFP_USER},
        {"GFP_KERNEL_ACCOUNT", GFP_KERNEL | __GFP_ACCOUNT},
        {"GFP_KERNEL", GFP_KERNEL},
        {"GFP_NOFS", __GFP_RECLAIM | __GFP_IO},
        {"GFP_ATOMIC", GFP_ATOMIC},
        {"GFP_NOIO", __GFP_RECLAIM},
        {"GFP_NOWAIT", GFP_NOWAIT},
        {"GFP_DMA", GFP_DMA},
        {"__GFP_HIGHMEM", __GFP_HIGHMEM},
        {"GFP_DMA32", GFP_DMA32},
        {"__GFP_HIGH", __GFP_HIGH},
        {"__GFP_ATOMIC", __GFP_ATOMIC},
        {"__GFP_IO", __GFP_IO},
        {"__GFP_FS", __GFP_FS},
        {"__GFP_NOWARN", __GFP_NOWARN},
        {"__GFP_RETRY_MAYFAIL", __GFP_RETRY_MAYFAIL},
        {"__GFP_NOFAIL", __GFP_NOFAIL},
        {"__GFP_NORETRY", __GFP_NORETRY},
        {"__GFP_COMP", __GFP_COMP},
        {"__GFP_ZERO", __GFP_ZERO},
        {"__GFP_NOMEMALLOC", __GFP_NOMEMALLOC},
        {"__GFP_MEMALLOC", __GFP_MEMALLOC},
        {"__GFP_HARDWALL", __GFP_HARDWALL},
        {"__GFP_THISNODE", __GFP_THISNODE},
        {"__GFP_RECLAIMABLE", __GFP_RECLAIMABLE},
        {"__GFP_MOVABLE", __GFP_MOVABLE},
        {"__GFP_ACCOUNT", __GFP_ACCOUNT},
        {"__GFP_WRITE", __GFP_WRITE},
        {"__GFP_RECLAIM", __GFP_RECLAIM},
        {"__GFP_DIRECT_RECLAIM", __GFP_DIRECT_RECLAIM},
        {"__GFP_KSWAPD_RECLAIM", __GFP_KSWAPD_RECLAIM},
        {"__GFP_ZEROTAGS", __GFP_ZEROTAGS},
};

/* Without the leading underscores. */
static const struct gfp_name other_kernels_names[] = {
        {"GFP_WAIT", __GFP_RECLAIM},                       /* until 4.3: may sleep and reclaim */
        {"GFP_REPEAT", __GFP_RETRY_MAYFAIL},               /* until 4.12 */
        {"GFP_TEMPORARY", GFP_KERNEL | __GFP_RECLAIMABLE}, /* until 4.14 */
        {"GFP_DMA", __GFP_DMA},
        {"GFP_DMA32", __GFP_DMA32},
        {"GFP_COLD", 0},
        {"GFP_NOTRACK", 0},
        {"GFP_OTHER_NODE", 0},
        {"GFP_NO_KSWAPD", 0},
        {"GFP_NOLOCKDEP", 0},
        {"GFP_NO_OBJ_EXT", 0},
        {"GFP_SKIP_ZERO", 0},
        {"GFP_SKIP_KASAN", 0},
        {"GFP_SKIP_KASAN_POISON", 0},
        {"GFP_SKIP_KASAN_UNPOISON", 0},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static bool is_name(const char *text, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(text, name, length) == 0;
}

static const char *without_underscores(const char *name)
{
	return strncmp(name, "__", 2) == 0 ? name + 2 : name;
}

/* Bits above the last one of gfp.h are debugging aids of some configurations. */
#define KNOWN_BITS (((uint64_t)__GFP_ZEROTAGS << 1) - 1)

static bool parse_hex(const char *text, size_t length, gfp *flags)
{
	uint64_t value = 0;
	if (length <= 2 || length > 18)
		return false;
	for (size_t i = 2; i < length; i++) {
		char c = text[i];
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*flags |= (gfp)(value & KNOWN_BITS);
	return true;
}

/* trace-cmd prints an event whose format it cannot parse with its fields as decimal numbers. */
static bool parse_decimal(const char *text, size_t length, gfp *flags)
{
	uint64_t value = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || value > UINT32_MAX)
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*flags |= (gfp)(value & KNOWN_BITS);
	return true;
}

static bool parse_one(const char *text, size_t length, gfp *flags)
{
	if (length == 0)
		return false;
	if (length >= 2 && text[0] == '0' && text[1] == 'x')
		return parse_hex(text, length, flags);
	if (text[0] >= '0' && text[0] <= '9')
		return parse_decimal(text, length, flags);
	for (size_t i = 0; i < COUNT(printed_names); i++)
		if (is_name(text, length, printed_names[i].name)) {
			*flags |= printed_names[i].flags;
			return true;
		}
	if (length > 2 && text[0] == '_' && text[1] == '_') {
		text += 2;
		length -= 2;
	}
	for (size_t i = 0; i < COUNT(printed_names); i++)
		if (printed_names[i].name[0] == '_' && is_name(text, length, without_underscores(printed_names[i].name))) {
			*flags |= printed_names[i].flags;
			return true;
		}
	for (size_t i = 0; i < COUNT(other_kernels_names); i++)
		if (is_name(text, length, other_kernels_names[i].name)) {
			*flags |= other_kernels_names[i].flags;
			return true;
		}
	return is_name(text, length, "none");
}

bool gfp_parse(const char *text, size_t length, gfp *flags)
{
	bool understood = length > 0;
	*flags = 0;
	while (length > 0) {
		const char *bar = memchr(text, '|', length);
		size_t piece = bar ? (size_t)(bar - text) : length;
		understood = parse_one(text, piece, flags) && understood;
		text += bar ? piece + 1 : piece;
		length -= bar ? piece + 1 : piece;
	}
	return understood;
}

const char *gfp_print(gfp flags, char *text, size_t size)
{
	size_t used = 0;
	if (size == 0)
		return text;
	text[0] = '\0';
	if (flags == 0)
		snprintf(text, size, "none");
	for (size_t i = 0; i < COUNT(printed_names) && flags != 0 && used < size; i++) {
		if ((flags & printed_names[i].flags) != printed_names[i].flags)
			continue;
		int written = snprintf(text + used, size - used, "%s%s", used ? "|" : "", printed_names[i].name);
		used += (size_t)written;
		flags &= ~printed_names[i].flags;
	}
	if (flags != 0 && used < size)
		snprintf(text + used, size - used, "%s0x%x", used ? "|" : "", flags);
	return text;
}
