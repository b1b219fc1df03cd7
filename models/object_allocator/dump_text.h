/* SPDX-License-Identifier: MIT
 *
 * dump_text.h - small readers of the cache lines of a recorded dump (`@C name key=value ...` and lists), for <model>_dump.c.
 *
 * The text comes from a file, so each reader says whether it found what it looked for, and nothing runs beyond the line's end.
 */
#ifndef MODELS_OBJECT_ALLOCATOR_DUMP_TEXT_H
#define MODELS_OBJECT_ALLOCATOR_DUMP_TEXT_H

#include "sim/port/object_allocator.h"
#include "sim/state_dump.h"

#include <stdlib.h>
#include <string.h>

/* Longest cache name that is taken from a dump. */
#define DUMP_NAME_MAX 128

/* The flags of a dumped cache that its maker gave it; the rest are the allocator's own. */
#define DUMP_SPEC_FLAGS \
	(SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_HWCACHE_ALIGN | SLAB_CACHE_DMA | SLAB_CACHE_DMA32 | \
	 SLAB_STORE_USER | SLAB_RECLAIM_ACCOUNT | SLAB_TYPESAFE_BY_RCU | SLAB_ACCOUNT)

static inline bool dump_starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The number behind ` key=`, 0 without that key. */
static inline uint64_t dump_number(const char *text, const char *key, int base)
{
	size_t length = strlen(key);
	for (const char *at = text; (at = strstr(at, key)); at += length)
		if (at > text && at[-1] == ' ' && at[length] == '=')
			return strtoull(at + length + 1, NULL, base);
	return 0;
}

/* Reads a number at *at, leading blanks too, and moves behind it. */
static inline bool dump_take(const char **at, int base, uint64_t max, uint64_t *value)
{
	char *end;
	*value = strtoull(*at, &end, base);
	if (end == *at || *value > max)
		return false;
	*at = end;
	return true;
}

/* Moves behind `text`, leading blanks too; false if something else is there. */
static inline bool dump_skip(const char **at, const char *text)
{
	*at += strspn(*at, " ");
	if (!dump_starts(*at, text))
		return false;
	*at += strlen(text);
	return true;
}

/* The word behind `@C `, cut at DUMP_NAME_MAX. */
static inline void dump_cache_name(const char *text, char name[DUMP_NAME_MAX])
{
	const char *from = text + strlen("@C ");
	size_t length = strcspn(from, " ");
	if (length >= DUMP_NAME_MAX)
		length = DUMP_NAME_MAX - 1;
	memcpy(name, from, length);
	name[length] = '\0';
}

/* The cache of that name, CACHE_NONE if there is none. */
static inline cache_id dump_find_cache(const struct object_allocator *objects, const char *name)
{
	struct cache_view view;
	for (uint32_t nr = 0; nr < objects->ops->cache_limit(objects); nr++)
		if (objects->ops->cache_view(objects, (cache_id){nr}, &view) && strcmp(view.name, name) == 0)
			return (cache_id){nr};
	return CACHE_NONE;
}

static inline bool dump_error(const struct state_text *line, const char *what, struct error *error)
{
	return error_set(error, ERROR_INPUT, "state dump, line %llu: %s: %.100s", (unsigned long long)line->line, what,
	                 line->text);
}

/* Makes every cache of the dump that the fresh allocator does not have. A dump names the newest cache first. */
static inline bool dump_make_caches(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	for (size_t i = dump->text_count; i-- > 0;) {
		const char *text = dump->texts[i].text;
		char name[DUMP_NAME_MAX];
		if (!dump_starts(text, "@C "))
			continue;
		dump_cache_name(text, name);
		if (dump_find_cache(objects, name).nr != UINT32_MAX)
			continue;
		uint64_t object_size = dump_number(text, "obj", 10), align = dump_number(text, "align", 10);
		if (object_size == 0 || object_size > UINT32_MAX || align > UINT32_MAX || (align & (align - 1)))
			return dump_error(&dump->texts[i], "no cache has such sizes", error);
		struct cache_spec spec = {.name = name,
		                          .object_size = (uint32_t)object_size,
		                          .align = (uint32_t)align,
		                          .flags = (uint32_t)dump_number(text, "flags", 16) & DUMP_SPEC_FLAGS,
		                          .ctor = dump_number(text, "ctor", 10) != 0};
		if (cache_create(objects, &spec).nr == UINT32_MAX)
			return dump_error(&dump->texts[i], "the allocator refuses this cache", error);
	}
	return true;
}

#endif
