/* SPDX-License-Identifier: MIT
 *
 * slub_debug.c - the boot parameter slub_debug=: which debugging flags a cache gets (interface: slub.h).
 *
 * The text is blocks separated by ';'. A block is letters, and then, behind a ',', names of caches it is for, separated by ','; a
 * name may end in '*'. A block without names is for all caches that no block names; if there is none, those get no debugging.
 * Letters: F consistency checks, Z red zones, P poison, U who allocated and freed, T tracing, O no metadata where that would make
 * the smallest slab larger, - nothing. A block that has names but no letters means FZPU.
 *
 * Source: Linux 6.1 mm/slub.c (setup_slub_debug, parse_slub_debug_flags, kmem_cache_flags). The kernel skips a letter that it
 * does not know and logs it; here that is an error of the scenario. A (fail on purpose) is such a letter, as in a kernel without
 * CONFIG_FAILSLAB.
 */
#include "models/object_allocator/slub.h"

#include <string.h>

/* Ends of a block's letters, of a name, of a block. */
#define LETTERS_END ",;"
#define NAME_END ",;"

struct debug_letter {
	char letter;
	uint32_t flags;
};

static const struct debug_letter debug_letters[] = {
        {'f', SLAB_CONSISTENCY_CHECKS}, {'z', SLAB_RED_ZONE}, {'p', SLAB_POISON},
        {'u', SLAB_STORE_USER},         {'t', SLAB_TRACE},    {'o', 0},
};

static const struct debug_letter *letter_of(char letter)
{
	for (size_t i = 0; i < sizeof debug_letters / sizeof *debug_letters; i++)
		if (debug_letters[i].letter == (letter | 0x20))
			return &debug_letters[i];
	return NULL;
}

/* The flags of the block that begins at `at`; '-' takes back what stands before it. *names is behind the ',' or NULL. */
static uint32_t block_flags(const char *at, const char **names)
{
	size_t length = strcspn(at, LETTERS_END);
	uint32_t flags = 0;
	*names = at[length] == ',' ? at + length + 1 : NULL;
	if (length == 0 && *names)
		return SLUB_DEBUG_DEFAULT_FLAGS;
	for (size_t i = 0; i < length; i++) {
		const struct debug_letter *letter = letter_of(at[i]);
		flags = at[i] == '-' ? 0 : flags | (letter ? letter->flags : 0);
	}
	return flags;
}

/* The next block, "" at the end. Empty blocks are none. */
static const char *next_block(const char *at)
{
	at += strcspn(at, ";");
	return at + strspn(at, ";");
}

static bool name_matches(const char *pattern, size_t length, const char *name)
{
	const char *star = memchr(pattern, '*', length);
	if (star)
		return strncmp(name, pattern, (size_t)(star - pattern)) == 0;
	return strlen(name) == length && memcmp(name, pattern, length) == 0;
}

/* Whether one of a block's names is the cache's. */
static bool names_cache(const char *names, const char *name)
{
	for (const char *at = names;; at++) {
		size_t length = strcspn(at, NAME_END);
		if (name_matches(at, length, name))
			return true;
		at += length;
		if (*at != ',')
			return false;
	}
}

bool slub_debug_parse(struct slub_config *config, const char *text, struct error *error)
{
	config->debug_flags = 0;
	config->debug_blocks = NULL;
	config->debug_order_kept = false;
	if (!text)
		return true;
	for (const char *block = text + strspn(text, ";"); *block; block = next_block(block)) {
		const char *names;
		uint32_t flags = block_flags(block, &names);
		for (size_t i = 0; i < strcspn(block, LETTERS_END); i++) {
			if (!letter_of(block[i]) && block[i] != '-')
				return error_set(error, ERROR_USAGE,
				                 "kernel.slub_debug: '%c' in \"%s\" is none of the letters F Z P U T O and -",
				                 block[i], text);
			config->debug_order_kept |= (block[i] | 0x20) == 'o';
		}
		if (names)
			config->debug_blocks = text;
		else
			config->debug_flags = flags;
	}
	return true;
}

uint32_t slub_cache_flags(const struct slub_config *config, uint32_t flags, const char *name)
{
	if (flags & SLAB_NO_USER_FLAGS)
		return flags;
	for (const char *block = config->debug_blocks; block && *block; block = next_block(block)) {
		const char *names;
		uint32_t asked = block_flags(block, &names);
		if (names && names_cache(names, name))
			return flags | asked;
	}
	/* Caches of the leak detector keep no stack traces: taking them would allocate from those caches. */
	if (flags & SLAB_NOLEAKTRACE)
		return flags | (config->debug_flags & ~(uint32_t)SLAB_STORE_USER);
	return flags | config->debug_flags;
}
