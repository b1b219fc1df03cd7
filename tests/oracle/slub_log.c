/* SPDX-License-Identifier: MIT
 *
 * slub_log.c - holds SLUB's caches against dumps of a real kernel's, line by line, and loads such a dump as a start state
 * (interface: slab_log.h). The lines are:
 *
 *   k active= num= act_slabs= slabs= shared= objs= order=   /proc/slabinfo of the script's cache
 *   @C name key=value ...                                   geometry and totals; the lines behind it belong to this cache
 *   @CC cpu { lockless chain } SLAB                         the CPU's slab
 *   @CP cpu slabs=n SLAB SLAB ...                           the CPU's partial list, head first
 *   @CN SLAB SLAB ...                                       the node's partial list, head first
 * SLAB is `pfn inuse/objects/frozen [ own chain ]`. A cache without any of the last three has no such line.
 */
#include "models/object_allocator/slub.h"
#include "tests/oracle/slab_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing the model's state as the recorder would ---- */

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

/* usersize is no part of the model; it is taken from the recording. */
static void print_geometry(FILE *out, const struct slub_cache *cache, uint64_t usersize)
{
	const struct slub_geometry *g = &cache->geometry;
	fprintf(out, "@C %s obj=%u size=%u inuse=%u align=%u offset=%u flags=%x ", cache->name, g->object_size, g->size, g->inuse,
	        g->align, g->offset, g->flags);
	fprintf(out, "order=%u objs=%u minorder=%u minobjs=%u min_partial=%u ", g->order, g->objects, g->min_order,
	        g->min_objects, g->min_partial);
	fprintf(out, "cpu_partial=%u cpu_partial_slabs=%u allocflags=%x ref=%d ", g->cpu_partial, g->cpu_partial_slabs,
	        g->allocflags, cache->refcount);
	fprintf(out, "ctor=%d usersize=%" PRIu64 " slabs=%" PRIu64 " total=%" PRIu64 " partial=%" PRIu64 "\n", cache->ctor,
	        usersize, cache->nr_slabs, cache->total_objects, cache->partial.nr);
}

static char *cache_text(const struct slub *slub, const struct slub_cache *cache, uint64_t usersize)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	print_geometry(out, cache, usersize);
	for (uint32_t cpu = 0; cpu < slub->cpus; cpu++)
		print_cpu(out, &cache->cpus[cpu], cpu);
	if (cache->partial.nr > 0)
		fprintf(out, "@CN");
	for (const struct slub_slab *slab = cache->partial.head; slab; slab = slab->next)
		print_slab(out, slab);
	fprintf(out, "%s", cache->partial.nr > 0 ? "\n" : "");
	fclose(out);
	return text;
}

static char *slabinfo_text(const struct slub *slub, cache_id id)
{
	struct cache_view view;
	bool there = slub->base.ops->cache_view(&slub->base, id, &view);
	SIM_ASSERT(there);
	return xasprintf("k active=%" PRIu64 " num=%" PRIu64 " act_slabs=%" PRIu64 " slabs=%" PRIu64 " shared=%" PRIu64
	                 " objs=%u order=%d",
	                 view.active_objects, view.total_objects, view.active_slabs, view.slabs, view.shared_available,
	                 view.objects_per_slab, __builtin_ctz(view.pages_per_slab));
}

/* ---- comparing ---- */

static bool starts(const struct slab_log_line *line, const char *with)
{
	return strncmp(line->text, with, strlen(with)) == 0;
}

/* The cache a line `@C name ...` is of, NULL if the model has none of that name. */
static struct slub_cache *cache_named(const struct slub *slub, const struct slab_log_line *line)
{
	const char *name = line->text + strlen("@C ");
	size_t length = strcspn(name, " ");
	for (uint32_t id = 0; id < slub->cache_limit; id++) {
		struct slub_cache *cache = slub->caches[id];
		if (cache && strlen(cache->name) == length && memcmp(cache->name, name, length) == 0)
			return cache;
	}
	return NULL;
}

static bool is_list_line(const struct slab_log_line *line)
{
	return starts(line, "@CC ") || starts(line, "@CP ") || starts(line, "@CN ");
}

/* Holds the line @C at `i` and the list lines behind it against the cache. Returns how many lines that were. */
static size_t compare_cache(const struct slub *slub, const struct slab_log *log, const struct slab_log_dump *dump, size_t i,
                            struct slab_log_tally *tally)
{
	const struct slab_log_line *first = &dump->lines[i];
	const struct slub_cache *cache = cache_named(slub, first);
	size_t end = i + 1;
	while (end < dump->count && is_list_line(&dump->lines[end]))
		end++;
	if (!cache)
		return end - i;
	char *text = cache_text(slub, cache, slab_log_number(first, "usersize", 0));
	char *rest = text, *got;
	for (size_t j = i; j < end; j++) {
		got = strsep(&rest, "\n");
		slab_log_state(tally, log, &dump->lines[j], got ? got : "");
	}
	got = strsep(&rest, "\n");
	if (got && *got) {
		tally->states++;
		slab_log_differs(tally, log, first, "the model has one line more: %.300s", got);
	}
	free(text);
	return end - i;
}

void slub_state_compare(struct object_allocator *objects, cache_id own, const struct slab_log *log,
                        const struct slab_log_dump *dump, struct slab_log_tally *tally)
{
	const struct slub *slub = slub_of(objects);
	for (size_t i = 1, lines; i < dump->count; i += lines) {
		lines = 1;
		if (dump->lines[i].kind == LOG_SLABINFO && own.nr != UINT32_MAX) {
			char *text = slabinfo_text(slub, own);
			slab_log_state(tally, log, &dump->lines[i], text);
			free(text);
		} else if (starts(&dump->lines[i], "@C ")) {
			lines = compare_cache(slub, log, dump, i, tally);
		}
	}
}

/* ---- loading ---- */

/* Where the reader of a list line stands. */
struct reader {
	const char *at;
	const struct slab_log_line *line;
	struct error *error;
	uint16_t *chain, *lockless; /* MAX_OBJS_PER_PAGE each */
};

static bool damaged(const struct reader *reader)
{
	return error_set(reader->error, ERROR_INPUT, "line %u: not a list of slabs: %.80s", reader->line->number,
	                 reader->line->text);
}

static bool take_number(struct reader *reader, int base, uint32_t *number)
{
	char *end;
	unsigned long value = strtoul(reader->at, &end, base);
	if (end == reader->at || value > UINT32_MAX)
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
		uint32_t index;
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
static void load_unseen(struct slub *slub, struct slub_cache *cache, const struct slab_log_line *line)
{
	uint64_t slabs = slab_log_number(line, "slabs", 0), objects = slab_log_number(line, "total", 0);
	if (slabs > cache->nr_slabs && objects > cache->total_objects)
		slub_load_unseen(slub, cache, slabs - cache->nr_slabs, objects - cache->total_objects);
}

bool slub_state_load(struct object_allocator *objects, const struct slab_log_dump *dump, struct error *error)
{
	struct slub *slub = slub_of(objects);
	struct slub_cache *cache = NULL;
	const struct slab_log_line *of_cache = NULL;
	uint16_t *chains = xcalloc(2 * MAX_OBJS_PER_PAGE, sizeof *chains);
	bool done = true;
	for (size_t i = 1; done && i <= dump->count; i++) {
		const struct slab_log_line *line = i < dump->count ? &dump->lines[i] : NULL;
		if (cache && (!line || !is_list_line(line)))
			load_unseen(slub, cache, of_cache);
		if (!line || !is_list_line(line)) {
			cache = line && starts(line, "@C ") ? cache_named(slub, line) : NULL;
			of_cache = line;
			continue;
		}
		struct reader reader = {.line = line, .error = error, .chain = chains, .lockless = chains + MAX_OBJS_PER_PAGE};
		done = !cache || load_list(slub, cache, &reader);
	}
	free(chains);
	return done;
}
