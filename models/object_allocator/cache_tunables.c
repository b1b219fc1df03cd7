/* SPDX-License-Identifier: MIT
 *
 * cache_tunables.c - reads kernel.cache_tunables (interface and form of an entry: cache_tunables.h).
 *
 * Source of the bounds: Linux 6.1 mm/slub.c (cpu_partial_store, min_partial_store) and mm/slab.c (slabinfo_write), which takes
 * its three numbers together, limit and batchcount at least 1 and batchcount at most limit.
 */
#include "models/object_allocator/cache_tunables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[CACHE_TUNABLES] = {
        [TUNE_CPU_PARTIAL] = "cpu_partial", [TUNE_MIN_PARTIAL] = "min_partial", [TUNE_LIMIT] = "limit",
        [TUNE_BATCHCOUNT] = "batchcount",   [TUNE_SHARED] = "shared",
};

/* The key before `=`; CACHE_TUNABLES if there is none of that name. */
static unsigned key_of(const char *text, size_t length)
{
	unsigned key = 0;
	while (key < CACHE_TUNABLES && (strlen(keys[key]) != length || memcmp(keys[key], text, length) != 0))
		key++;
	return key;
}

static bool fail(struct error *error, const char *entry, const char *why)
{
	return error_set(error, ERROR_USAGE,
	                 "kernel.cache_tunables: \"%s\" %s; an entry is NAME and then any of cpu_partial=N min_partial=N, or "
	                 "limit=N batchcount=N shared=N together",
	                 entry, why);
}

static bool read_number(const char *text, size_t length, uint32_t *value)
{
	char *end;
	if (length == 0 || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (errno != 0 || end != text + length || number > INT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

/* Reads what stands behind the name. `entry` is for messages. */
static bool read_keys(const char *entry, const char *at, struct cache_tunables *tunables, struct error *error)
{
	for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " "), name = strcspn(at, "= ");
		unsigned key = key_of(at, name);
		uint32_t value;
		if (key == CACHE_TUNABLES)
			return fail(error, entry, "has a key that no cache has");
		if (name == length || !read_number(at + name + 1, length - name - 1, &value))
			return fail(error, entry, "has a key without a whole number up to 2147483647");
		tunables->set[key] = true;
		tunables->value[key] = value;
		at += length;
	}
	return true;
}

static bool check_arrays(const char *entry, const struct cache_tunables *one, struct error *error)
{
	int given = one->set[TUNE_LIMIT] + one->set[TUNE_BATCHCOUNT] + one->set[TUNE_SHARED];
	if (given == 0)
		return true;
	if (given < 3)
		return fail(error, entry, "sets only a part of limit, batchcount and shared");
	uint32_t limit = one->value[TUNE_LIMIT], batchcount = one->value[TUNE_BATCHCOUNT], shared = one->value[TUNE_SHARED];
	if (limit == 0 || batchcount == 0 || batchcount > limit)
		return fail(error, entry, "needs 1 <= batchcount <= limit");
	if (limit > TUNED_ARRAY_MAX || (uint64_t)shared * batchcount > TUNED_ARRAY_MAX)
		return fail(error, entry, "has an array of more than 16384 objects (limit, shared * batchcount)");
	return true;
}

bool cache_tunables_check(const struct settings *settings, struct error *error)
{
	for (uint32_t i = 0; i < settings->kernel.cache_tunables_count; i++) {
		const char *entry = settings->kernel.cache_tunables[i];
		struct cache_tunables one = {0};
		size_t name = strcspn(entry, " ");
		if (name == 0 || memchr(entry, '=', name))
			return fail(error, entry, "does not begin with a cache's name");
		if (entry[name + strspn(entry + name, " ")] == '\0')
			return fail(error, entry, "sets nothing");
		if (!read_keys(entry, entry + name, &one, error) || !check_arrays(entry, &one, error))
			return false;
	}
	return true;
}

struct cache_tunables cache_tunables_of(const struct settings *settings, const char *name)
{
	struct cache_tunables all = {0};
	size_t length = strlen(name);
	for (uint32_t i = 0; i < settings->kernel.cache_tunables_count; i++) {
		const char *entry = settings->kernel.cache_tunables[i];
		if (strcspn(entry, " ") != length || memcmp(entry, name, length) != 0)
			continue;
		bool understood = read_keys(entry, entry + length, &all, NULL);
		SIM_ASSERT(understood);
	}
	return all;
}
