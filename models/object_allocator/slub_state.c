/* SPDX-License-Identifier: MIT
 *
 * slub_state.c - SLUB's lists as lines of a state dump, printed and read back (interface: print_state and load_state of
 * sim/port/object_allocator.h).
 *
 *   @C name key=value ...                 geometry and totals; the lines behind it belong to this cache
 *   @CC cpu { lockless chain } SLAB       the CPU's slab
 *   @CP cpu slabs=n SLAB SLAB ...         the CPU's partial list, head first
 *   @CN SLAB SLAB ...                     the node's partial list, head first
 * SLAB is ` pfn inuse/objects/frozen [ own chain ]`; chains hold the numbers of objects in their slab. A cache without any of the
 * last three has no such line.
 */
#include "models/object_allocator/slub_internal.h"
#include "sim/state_dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- printing ---- */

static void print_chain(FILE *out, const struct slub_slab *slab, uint16_t head)
{
	for (uint16_t i = head; i != LINK_NONE; i = slab->links[i])
		fprintf(out, " %u", i);
}

static void print_slab(FILE *out, const struct slub_slab *slab)
{
	fprintf(out, " %x %u/%u/%u [", slab->first.nr, slab->inuse, slab->objects, slub_frozen(slab));
	print_chain(out, slab, slab->freelist);
	fprintf(out, " ]");
}

static void print_cpu(FILE *out, const struct slub_cpu *c, unsigned cpu)
{
	if (c->slab) {
		fprintf(out, "@CC %u {", cpu);
		print_chain(out, c->slab, c->freelist);
		fprintf(out, " }");
		print_slab(out, c->slab);
		fprintf(out, "\n");
	}
	if (!c->partial)
		return;
	fprintf(out, "@CP %u slabs=%u", cpu, c->partial->slabs);
	for (const struct slub_slab *slab = c->partial; slab; slab = slab->next)
		print_slab(out, slab);
	fprintf(out, "\n");
}

static void print_geometry(FILE *out, const struct slub_cache *cache)
{
	const struct slub_geometry *g = &cache->geometry;
	fprintf(out, "@C %s obj=%u size=%u inuse=%u align=%u offset=%u flags=%x ", cache->name, g->object_size, g->size, g->inuse,
	        g->align, g->offset, g->flags);
	fprintf(out, "order=%u objs=%u minorder=%u minobjs=%u min_partial=%u ", g->order, g->objects, g->min_order,
	        g->min_objects, g->min_partial);
	fprintf(out, "cpu_partial=%u cpu_partial_slabs=%u allocflags=%x ref=%d ", g->cpu_partial, g->cpu_partial_slabs,
	        g->allocflags, cache->refcount);
	fprintf(out, "ctor=%d usersize=%u slabs=%" PRIu64 " total=%" PRIu64 " partial=%" PRIu64 "\n", cache->ctor,
	        cache->usersize, cache->nr_slabs, cache->total_objects, cache->partial.nr);
}

static void print_cache(const struct slub *slub, const struct slub_cache *cache, FILE *out)
{
	print_geometry(out, cache);
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++)
		print_cpu(out, &cache->cpus[cpu], cpu);
	if (cache->partial.nr == 0)
		return;
	fprintf(out, "@CN");
	for (const struct slub_slab *slab = cache->partial.head; slab; slab = slab->next)
		print_slab(out, slab);
	fprintf(out, "\n");
}

void slub_print_state(const struct object_allocator *objects, cache_id one, FILE *out)
{
	const struct slub *slub = (const struct slub *)objects;
	for (uint32_t nr = 0; nr < slub->cache_limit; nr++)
		if (slub->caches[nr] && (one.nr == UINT32_MAX || one.nr == nr))
			print_cache(slub, slub->caches[nr], out);
}

/* ---- reading ---- */

/* Where the reader of a list line stands. */
struct reader {
	const char *at;
	const struct state_text *line;
	struct error *error;
	uint16_t *chain, *lockless; /* MAX_OBJS_PER_PAGE each */
};

static bool damaged(const struct reader *reader)
{
	return error_set(reader->error, ERROR_INPUT, "line %llu: not a list of slabs: %.80s",
	                 (unsigned long long)reader->line->line, reader->line->text);
}

static bool take_number(struct reader *reader, int base, uint32_t *number)
{
	char *end;
	reader->at += strspn(reader->at, " ");
	unsigned long value = strtoul(reader->at, &end, base);
	if (end == reader->at || *reader->at == '-' || value > UINT32_MAX)
		return damaged(reader);
	*number = (uint32_t)value;
	reader->at = end;
	return true;
}

static bool take_text(struct reader *reader, const char *text)
{
	reader->at += strspn(reader->at, " ");
	size_t length = strlen(text);
	if (strncmp(reader->at, text, length) != 0)
		return damaged(reader);
	reader->at += length;
	return true;
}

/* `open n n n close` */
static bool take_chain(struct reader *reader, const char *open, char close, uint16_t *chain, uint32_t *length)
{
	*length = 0;
	if (!take_text(reader, open))
		return false;
	for (;; ++*length) {
		reader->at += strspn(reader->at, " ");
		if (*reader->at == close)
			break;
		uint32_t index = 0;
		if (*length >= MAX_OBJS_PER_PAGE || !take_number(reader, 10, &index) || index >= MAX_OBJS_PER_PAGE)
			return damaged(reader);
		chain[*length] = (uint16_t)index;
	}
	reader->at++;
	return true;
}

static bool take_slab(struct reader *reader, struct slub_loaded_slab *slab)
{
	uint32_t frozen;
	slab->chain = reader->chain;
	return take_number(reader, 16, &slab->first.nr) && take_number(reader, 10, &slab->inuse) && take_text(reader, "/") &&
	       take_number(reader, 10, &slab->objects) && take_text(reader, "/") && take_number(reader, 10, &frozen) &&
	       take_chain(reader, "[", ']', reader->chain, &slab->chain_length);
}

static bool load_list(struct slub *slub, struct slub_cache *cache, struct reader *reader)
{
	const char kind = reader->line->text[2];
	enum slub_place place = kind == 'C' ? SLUB_CPU : kind == 'P' ? SLUB_CPU_PARTIAL : SLUB_NODE_PARTIAL;
	struct slub_loaded_slab slab = {.lockless = reader->lockless};
	uint32_t cpu = 0, slabs;
	reader->at = reader->line->text + 3;
	if (place != SLUB_NODE_PARTIAL && !take_number(reader, 10, &cpu))
		return false;
	if (place == SLUB_CPU && !take_chain(reader, "{", '}', reader->lockless, &slab.lockless_length))
		return false;
	if (place == SLUB_CPU_PARTIAL && (!take_text(reader, "slabs=") || !take_number(reader, 10, &slabs)))
		return false;
	do {
		if (!take_slab(reader, &slab) || !slub_load_slab(slub, cache, &slab, place, cpu, reader->error))
			return false;
		reader->at += strspn(reader->at, " ");
	} while (*reader->at);
	return true;
}

/* What @C counts and no list shows is full. */
static bool load_unseen(struct slub *slub, struct slub_cache *cache, const struct state_text *line, struct error *error)
{
	uint64_t slabs = state_text_number(line->text, "slabs", 0), objects = state_text_number(line->text, "total", 0);
	uint64_t frames = slub->kmalloc.frames.frames;
	if (slabs <= cache->nr_slabs || objects <= cache->total_objects)
		return true;
	slabs -= cache->nr_slabs;
	objects -= cache->total_objects;
	if (slabs > frames || objects > slabs * MAX_OBJS_PER_PAGE)
		return error_set(error, ERROR_INPUT, "line %llu: more slabs than memory: %.80s", (unsigned long long)line->line,
		                 line->text);
	slub_load_unseen(slub, cache, slabs, objects);
	return true;
}

/* The cache a line `@C name ...` is of, NULL if the model has none of that name. */
static struct slub_cache *cache_named(const struct slub *slub, const char *text)
{
	const char *name = text + strlen("@C ");
	size_t length = strcspn(name, " ");
	for (uint32_t id = 0; id < slub->cache_limit; id++) {
		struct slub_cache *cache = slub->caches[id];
		if (cache && strlen(cache->name) == length && memcmp(cache->name, name, length) == 0)
			return cache;
	}
	return NULL;
}

static bool is_list_line(const char *text)
{
	return state_text_begins(text, "@CC ") || state_text_begins(text, "@CP ") || state_text_begins(text, "@CN ");
}

bool slub_load_state(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	struct slub *slub = slub_of(objects);
	struct slub_cache *cache = NULL;
	const struct state_text *of_cache = NULL;
	uint16_t *chains = xcalloc(2 * MAX_OBJS_PER_PAGE, sizeof *chains);
	bool done = true;
	for (size_t i = 0; done && i <= dump->text_count; i++) {
		const struct state_text *line = i < dump->text_count ? &dump->texts[i] : NULL;
		if (line && is_list_line(line->text)) {
			struct reader reader = {
			        .line = line, .error = error, .chain = chains, .lockless = chains + MAX_OBJS_PER_PAGE};
			done = !cache || load_list(slub, cache, &reader);
			continue;
		}
		if (cache)
			done = load_unseen(slub, cache, of_cache, error);
		cache = line && state_text_begins(line->text, "@C ") ? cache_named(slub, line->text) : NULL;
		of_cache = line;
	}
	free(chains);
	return done;
}
