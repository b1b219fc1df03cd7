/* SPDX-License-Identifier: MIT
 *
 * trace_caches.c - from groups and names to caches (interface: trace_caches.h; rules: docs/formats.md).
 *
 * In order: groups that share slabs share the name one of them has; a group without a name takes that of the only cache of the
 * facts that has its sizes; what is left is called CALL_SITE:BYTES. Then each (name, sizes) in use is one cache; allocations
 * whose sizes no event told take those of the cache of their name. Last, each cache's creation is inferred from its sizes.
 */
#include "sim/trace_caches.h"

#include "sim/port/object_allocator.h"

#include <inttypes.h>
#include <stdlib.h>

/* The size of objects whose size nothing tells, as for kfree (trace_attribution.c). */
#define GUESSED_BYTES 64u
/* sizeof(struct slob_rcu) of 6.1 on 64 and 32 bits: SLOB puts it behind each object of a TYPESAFE_BY_RCU cache. */
#define SLOB_RCU_BYTES_64 24u
#define SLOB_RCU_BYTES_32 12u
/* The cache line x86 kernels align SLAB_HWCACHE_ALIGN caches to. */
#define CACHE_LINE_BYTES 64u
/* ARCH_SLAB_MINALIGN, __alignof__(unsigned long long), of both x86. */
#define MIN_ALIGN_BYTES 8u

/* A cache by what tells it apart. */
struct cache_row {
	uint32_t name;  /* in names, TABLE_NONE: only its group tells it */
	uint32_t group; /* root of the nameless, TABLE_NONE for others */
	uint32_t bytes_req, bytes_alloc;
	uint64_t allocs;
	uint32_t flags;
};
#define CACHE_KEY_BYTES offsetof(struct cache_row, allocs)

static uint32_t align_up(uint32_t size, uint32_t align)
{
	return (size + align - 1) & ~(align - 1);
}

/* calculate_alignment(): the cache line, halved while the object fits twice. */
static uint32_t hwcache_align(uint32_t object_size)
{
	uint32_t align = CACHE_LINE_BYTES;
	while (align > MIN_ALIGN_BYTES && object_size <= align / 2)
		align /= 2;
	return align;
}

static void infer_slob(struct trace_cache *cache, uint32_t pointer_bits)
{
	uint32_t rcu = pointer_bits == 64 ? SLOB_RCU_BYTES_64 : SLOB_RCU_BYTES_32;
	if (cache->bytes_alloc == cache->object_size + rcu)
		cache->flags |= SLAB_TYPESAFE_BY_RCU;
}

/* SLUB puts its free pointer behind objects that must keep their contents while they are free. */
static bool try_alignment(struct trace_cache *cache, uint32_t size, uint32_t align, uint32_t flags, bool ctor)
{
	if (align_up(size, align) != cache->bytes_alloc)
		return false;
	cache->align = flags == 0 && align > MIN_ALIGN_BYTES ? align : 0;
	cache->flags |= flags;
	cache->ctor = ctor;
	return true;
}

static void infer_from_sizes(struct trace_cache *cache, bool slub, uint32_t word)
{
	uint32_t size = align_up(cache->object_size, word);
	uint32_t hwcache = hwcache_align(cache->object_size);
	if (try_alignment(cache, size, MIN_ALIGN_BYTES, 0, false) ||
	    try_alignment(cache, size, hwcache, SLAB_HWCACHE_ALIGN, false))
		return;
	if (slub && (try_alignment(cache, size + word, MIN_ALIGN_BYTES, 0, true) ||
	             try_alignment(cache, size + word, hwcache, SLAB_HWCACHE_ALIGN, true)))
		return;
	for (uint32_t align = 2 * MIN_ALIGN_BYTES; align <= PAGE_SIZE; align *= 2)
		if (try_alignment(cache, size, align, 0, false) || (slub && try_alignment(cache, size + word, align, 0, true)))
			return;
}

static void infer_from_fact(struct trace_cache *cache, uint32_t word, const struct fact_cache *fact)
{
	uint32_t size = align_up(cache->object_size, word);
	bool sound = fact->align >= word && (fact->align & (fact->align - 1)) == 0 && fact->align <= PAGE_SIZE;
	cache->align = sound && fact->align > MIN_ALIGN_BYTES ? fact->align : 0;
	cache->ctor = fact->ctor;
	if (fact->hwcache_align)
		cache->flags |= SLAB_HWCACHE_ALIGN;
	if (fact->reclaim_account)
		cache->flags |= SLAB_RECLAIM_ACCOUNT;
	if (fact->cache_dma)
		cache->flags |= SLAB_CACHE_DMA;
	uint32_t align = sound ? fact->align : MIN_ALIGN_BYTES;
	if (!fact->ctor && align_up(size, align) != cache->bytes_alloc && align_up(size + word, align) == cache->bytes_alloc)
		cache->flags |= SLAB_TYPESAFE_BY_RCU;
}

void caches_infer(struct trace_cache *cache, enum recorded_allocator allocator, uint32_t pointer_bits,
                  const struct fact_cache *fact)
{
	uint32_t word = pointer_bits / 8;
	if (cache->object_size == 0 || cache->object_size > 1u << 30 || cache->bytes_alloc < cache->object_size)
		return;
	if (allocator == RECORDED_SLOB)
		infer_slob(cache, pointer_bits);
	else if (fact && fact->from_sysfs)
		infer_from_fact(cache, word, fact);
	else
		infer_from_sizes(cache, allocator != RECORDED_SLAB, word);
}

static uint32_t root_of(const struct attribution *attribution, uint32_t group)
{
	while (attribution_group(attribution, group)->parent != group)
		group = attribution_group(attribution, group)->parent;
	return group;
}

/* Each root takes the name of the first group of its set that has one; then each nameless group takes its root's. */
static void spread_names(struct attribution *attribution)
{
	for (uint32_t i = 0; i < attribution->groups.count; i++) {
		struct group *root = attribution_group(attribution, root_of(attribution, i));
		const struct group *group = attribution_group(attribution, i);
		if (root->name == TABLE_NONE)
			root->name = group->name;
		root->flags |= group->flags;
	}
	for (uint32_t i = 0; i < attribution->groups.count; i++) {
		struct group *group = attribution_group(attribution, i);
		if (group->name == TABLE_NONE)
			group->name = attribution_group(attribution, root_of(attribution, i))->name;
	}
}

static bool is_kmalloc_name(const char *name)
{
	return strstr(name, "kmalloc-") != NULL;
}

/* The sizes of the groups that have a name; `several` if they differ. */
struct name_use {
	uint32_t bytes_req, bytes_alloc;
	bool used, several;
};

static void use_name(struct name_use *uses, const struct group *group)
{
	if (group->name == TABLE_NONE || group->bytes_req == 0)
		return;
	struct name_use *use = &uses[group->name];
	use->several =
	        use->several || (use->used && (use->bytes_req != group->bytes_req || use->bytes_alloc != group->bytes_alloc));
	*use = (struct name_use){group->bytes_req, group->bytes_alloc, true, use->several};
}

/* Whether only groups of the same sizes, or none, have the name. */
static bool is_open_to(const struct name_use *use, const struct group *group)
{
	return !use->used || (!use->several && use->bytes_req == group->bytes_req && use->bytes_alloc == group->bytes_alloc);
}

/* The name of the only cache of the facts that has the group's sizes; TABLE_NONE if none or several have. */
static uint32_t only_fact(const struct fact_caches *facts, const uint32_t *fact_names, const struct name_use *uses,
                          const struct group *group)
{
	uint32_t found = TABLE_NONE;
	for (uint32_t i = 0; i < facts->count; i++) {
		const struct fact_cache *fact = &facts->caches[i];
		bool fits = fact->size == group->bytes_alloc && (fact->object_size == 0 || fact->object_size == group->bytes_req);
		if (!fits || is_kmalloc_name(fact->name) || !is_open_to(&uses[fact_names[i]], group))
			continue;
		if (found != TABLE_NONE)
			return TABLE_NONE;
		found = fact_names[i];
	}
	return found;
}

static void name_by_facts(struct attribution *attribution, const struct fact_caches *facts)
{
	uint32_t *fact_names = xcalloc(facts->count, sizeof *fact_names);
	for (uint32_t i = 0; i < facts->count; i++)
		fact_names[i] = string_table_index(attribution->names, facts->caches[i].name, strlen(facts->caches[i].name));
	struct name_use *uses = xcalloc(attribution->names->count, sizeof *uses);
	for (uint32_t i = 0; i < attribution->groups.count; i++)
		use_name(uses, attribution_group(attribution, i));
	for (uint32_t i = 0; i < attribution->groups.count; i++) {
		struct group *group = attribution_group(attribution, i);
		if (group->name != TABLE_NONE || group->bytes_req == 0)
			continue;
		group->name = only_fact(facts, fact_names, uses, group);
		use_name(uses, group);
	}
	free(uses);
	free(fact_names);
}

/* The key of the cache that a profile's allocations are of. */
static struct cache_row key_of(const struct attribution *attribution, const struct profile_row *profile)
{
	struct cache_row key = {profile->name, TABLE_NONE, profile->bytes_req, profile->bytes_alloc, 0, 0};
	if (key.name == TABLE_NONE)
		key.name = attribution_group(attribution, profile->group)->name;
	if (key.name == TABLE_NONE)
		key.group = root_of(attribution, profile->group);
	return key;
}

static bool is_cache_profile(const struct profile_row *profile)
{
	return (profile->what & 0xff) == OP_CACHE_ALLOC;
}

static void count_profile(const struct attribution *attribution, struct row_table *rows, const struct profile_row *profile)
{
	struct cache_row key = key_of(attribution, profile);
	uint32_t index = row_table_index(rows, &key);
	struct cache_row *row = row_table_row(rows, index);
	row->allocs += profile->count;
	if (profile->group != TABLE_NONE)
		row->flags |= attribution_group(attribution, root_of(attribution, profile->group))->flags;
}

/* For each name the most used cache of known sizes, as index + 1; 0 = none. */
static uint32_t *best_by_name(const struct attribution *attribution, const struct row_table *rows)
{
	uint32_t *best = xcalloc(attribution->names->count, sizeof *best);
	for (uint32_t i = 0; i < rows->count; i++) {
		const struct cache_row *row = row_table_row(rows, i);
		if (row->name == TABLE_NONE)
			continue;
		const struct cache_row *other = best[row->name] ? row_table_row(rows, best[row->name] - 1) : NULL;
		if (!other || row->allocs > other->allocs)
			best[row->name] = i + 1;
	}
	return best;
}

/* Gives sizes to a profile that has none: those of the most used cache of its name, of the facts, or a guess. */
static void size_profile(struct attribution *attribution, const struct row_table *rows, const uint32_t *best,
                         struct profile_row *profile, const struct fact_caches *facts)
{
	uint32_t name = key_of(attribution, profile).name;
	if (name != TABLE_NONE && best[name] != 0) {
		const struct cache_row *row = row_table_row(rows, best[name] - 1);
		profile->bytes_req = row->bytes_req;
		profile->bytes_alloc = row->bytes_alloc;
		return;
	}
	const struct fact_cache *fact =
	        name == TABLE_NONE ? NULL : fact_cache_named(facts, string_table_text(attribution->names, name));
	if (fact && fact->size != 0) {
		profile->bytes_req = fact->object_size != 0 ? fact->object_size : fact->size;
		profile->bytes_alloc = fact->size;
		return;
	}
	profile->bytes_req = GUESSED_BYTES;
	attribution->summary->guessed_sizes += profile->count;
}

/* Collects the caches that are in use; those of known sizes first, because the others take their sizes from them. */
static void collect_caches(struct attribution *attribution, struct row_table *rows, const struct fact_caches *facts)
{
	for (uint32_t i = 0; i < attribution->profiles.count; i++) {
		const struct profile_row *profile = attribution_profile(attribution, i);
		if (is_cache_profile(profile) && profile->count > 0 && profile->bytes_req != 0)
			count_profile(attribution, rows, profile);
	}
	uint32_t *best = best_by_name(attribution, rows);
	for (uint32_t i = 0; i < attribution->profiles.count; i++) {
		struct profile_row *profile = attribution_profile(attribution, i);
		if (!is_cache_profile(profile) || profile->bytes_req != 0)
			continue;
		size_profile(attribution, rows, best, profile, facts);
		if (profile->count > 0)
			count_profile(attribution, rows, profile);
	}
	free(best);
}

/* "name", "name#2" and so on for the second and further pairs of sizes under one name. */
static char *name_cache(struct attribution *attribution, uint32_t *uses, const struct cache_row *row)
{
	if (row->name == TABLE_NONE) {
		const struct group *group = attribution_group(attribution, row->group);
		return xasprintf("%s:%" PRIu32, string_table_text(attribution->strings, group->call_site), row->bytes_req);
	}
	uint32_t use = ++uses[row->name];
	attribution->summary->same_name_caches += use == 2;
	const char *name = string_table_text(attribution->names, row->name);
	return use > 1 ? xasprintf("%s#%" PRIu32, name, use) : xstrdup(name);
}

static struct trace_cache make_cache(const struct attribution *attribution, const struct cache_row *row, char *name,
                                     const struct fact_caches *facts, uint32_t pointer_bits)
{
	struct trace_cache cache = {.name = name,
	                            .named = row->name != TABLE_NONE,
	                            .object_size = row->bytes_req,
	                            .bytes_alloc = row->bytes_alloc,
	                            .flags = row->flags,
	                            .allocs = row->allocs};
	const struct fact_cache *fact =
	        row->name == TABLE_NONE ? NULL : fact_cache_named(facts, string_table_text(attribution->names, row->name));
	/* A fact of the same name but another size is of another cache, or of another time. */
	if (fact && fact->size != row->bytes_alloc)
		fact = NULL;
	caches_infer(&cache, attribution->machine.allocator, pointer_bits, fact);
	return cache;
}

static struct kmt_profile make_profile(const struct attribution *attribution, const struct row_table *rows,
                                       const struct profile_row *row)
{
	struct kmt_profile profile = {.call_site = row->call_site,
	                              .cache = TRACE_CACHE_NONE,
	                              .gfp = row->gfp,
	                              .bytes_req = row->bytes_req,
	                              .bytes_alloc = row->bytes_alloc,
	                              .kind = (uint8_t)row->what,
	                              .order = (uint8_t)(row->what >> 8),
	                              .origin = (uint8_t)(row->what >> 16)};
	if (!is_cache_profile(row))
		return profile;
	struct cache_row key = key_of(attribution, row);
	profile.cache = row_table_find(rows, &key);
	if (profile.cache != TABLE_NONE)
		return profile;
	/* Nothing counts for it any more: all its ops were corrected, late ones only in the list of corrections. */
	profile.cache = rows->count > 0 ? 0 : TRACE_CACHE_NONE;
	profile.kind = rows->count > 0 ? OP_CACHE_ALLOC : OP_KMALLOC;
	return profile;
}

static int by_op(const void *a, const void *b)
{
	const struct kmt_late *first = a, *second = b;
	return first->op < second->op ? -1 : first->op > second->op;
}

static void make_late(struct resolved_caches *resolved, const struct attribution *attribution)
{
	resolved->late_count = attribution->late_count;
	resolved->late = xcalloc(attribution->late_count, sizeof *resolved->late);
	for (size_t i = 0; i < attribution->late_count; i++) {
		const struct late_correction *late = &attribution->late[i];
		resolved->late[i].op = late->op;
		resolved->late[i].cache = late->name == KMT_TAKEN_BACK ? KMT_TAKEN_BACK : resolved->profiles[late->profile].cache;
	}
	qsort(resolved->late, resolved->late_count, sizeof *resolved->late, by_op);
}

void caches_resolve(struct resolved_caches *resolved, struct attribution *attribution, const struct fact_caches *facts,
                    uint32_t pointer_bits)
{
	struct row_table rows;
	*resolved = (struct resolved_caches){0};
	row_table_init(&rows, sizeof(struct cache_row), CACHE_KEY_BYTES);
	spread_names(attribution);
	if (facts->count > 0)
		name_by_facts(attribution, facts);
	collect_caches(attribution, &rows, facts);

	resolved->count = rows.count;
	resolved->caches = xcalloc(rows.count, sizeof *resolved->caches);
	uint32_t *uses = xcalloc(attribution->names->count, sizeof *uses);
	for (uint32_t i = 0; i < rows.count; i++) {
		const struct cache_row *row = row_table_row(&rows, i);
		resolved->caches[i] = make_cache(attribution, row, name_cache(attribution, uses, row), facts, pointer_bits);
	}
	free(uses);
	resolved->profiles = xcalloc(attribution->profiles.count, sizeof *resolved->profiles);
	for (uint32_t i = 0; i < attribution->profiles.count; i++)
		resolved->profiles[i] = make_profile(attribution, &rows, attribution_profile(attribution, i));
	make_late(resolved, attribution);
	row_table_release(&rows);
}

void caches_release(struct resolved_caches *resolved)
{
	for (uint32_t i = 0; i < resolved->count; i++)
		free((void *)(uintptr_t)resolved->caches[i].name);
	free(resolved->caches);
	free(resolved->profiles);
	free(resolved->late);
	*resolved = (struct resolved_caches){0};
}
