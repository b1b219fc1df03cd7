/* SPDX-License-Identifier: MIT
 *
 * count.c - an access trace through the named caches and TLBs (interface: count.h).
 */
#include "tools/kmemsim/count.h"

#include "models/cache_settings.h"
#include "models/tlb_settings.h"
#include "sim/port/access_source.h"
#include "tools/kmemsim/count_space.h"
#include "tools/kmemsim/flush_every.h"

#include <stdlib.h>
#include <string.h>

const char *const count_cache_names[COUNT_CACHES] = {"l1i", "l1d", "l2", "llc"};
const char *const count_tlb_names[COUNT_TLBS] = {"itlb", "dtlb", "stlb"};

/* Each word's source: docs/counting.md. */
const struct count_rules count_rules_known[] = {
        {"drcachesim",
         "an access a line, a load-store is two; write-backs unseen",
         {.rule = CACHE_RULE_DEMAND, .line_crossing = CROSSING_EACH_LINE, .modify = MODIFY_LOAD_STORE},
         false},
        {"cachegrind",
         "an access over two lines, and a load-store, is one; write-backs unseen",
         {.rule = CACHE_RULE_DEMAND, .line_crossing = CROSSING_ONE_ACCESS, .modify = MODIFY_LOAD},
         false},
        {"dinero",
         "an access a line, a load-store is two; write-backs are stores to the next level, also at the end",
         {.rule = CACHE_RULE_WRITEBACK, .line_crossing = CROSSING_EACH_LINE, .modify = MODIFY_LOAD_STORE},
         true},
        {0}};

/* ---- what the command line names ---- */

static const char *const cache_serves[COUNT_CACHES] = {"code", "data", "all", "all"};

/* cachegrind's and drcachesim's users write bytes without a unit. */
static const char *unit_of(const char *number)
{
	return number[strspn(number, "0123456789")] == '\0' ? "B" : "";
}

/* The user's words "SIZE,WAYS,LINE,KEY=VALUE,..." as a line of machine.caches; NULL with *error if they are too few. */
static char *cache_line_of(enum count_cache cache, const char *words, struct error *error)
{
	char *copy = xstrdup(words), *rest = copy, *size = strsep(&rest, ","), *ways = strsep(&rest, ","),
	     *line = strsep(&rest, ",");
	char *text = NULL;
	for (char *at = rest; at && *at; at++)
		if (*at == ',')
			*at = ' ';
	if (line && *size && *ways && *line && !strchr(size, '=') && !strchr(ways, '=') && !strchr(line, '='))
		text = xasprintf("%s size=%s%s ways=%s line=%s%s serves=%s %s", count_cache_names[cache], size, unit_of(size),
		                 ways, line, unit_of(line), cache_serves[cache], rest ? rest : "");
	else
		error_set(error, ERROR_USAGE, "--%s: found '%s', expected SIZE,WAYS,LINE[,KEY=VALUE...], for example 32768,8,64",
		          count_cache_names[cache], words);
	free(copy);
	return text;
}

/* An empty list of caches is no hierarchy: *caches NULL with true. */
static bool create_caches(const struct count_request *request, struct cache_hierarchy **caches, struct error *error)
{
	struct cache_level_spec specs[COUNT_CACHES];
	unsigned count = 0;
	*caches = NULL;
	for (unsigned cache = 0; cache < COUNT_CACHES && error->kind == ERROR_NONE; cache++) {
		if (!request->cache[cache])
			continue;
		char *line = cache_line_of(cache, request->cache[cache], error);
		char *place = xasprintf("--%s", count_cache_names[cache]);
		if (line && cache_spec_read(line, place, &specs[count], error))
			count++;
		free(place);
		free(line);
	}
	if (error->kind == ERROR_NONE && count > 0)
		*caches = caches_create(specs, count, &request->rules.caches, 1, 1, SIMD_AUTO, error);
	for (unsigned i = 0; i < count; i++)
		cache_spec_release(&specs[i]);
	return error->kind == ERROR_NONE;
}

/* "ENTRIES,WAYS,KEY=VALUE,..." as a line of machine.tlbs; NULL with *error if the words are too few. */
static char *tlb_line_of(const struct count_request *request, enum count_tlb tlb, struct error *error)
{
	static const char *const serves[COUNT_TLBS] = {"code", "data", "all"};
	const char *words = request->tlb[tlb];
	unsigned level = tlb == COUNT_STLB && (request->tlb[COUNT_ITLB] || request->tlb[COUNT_DTLB]) ? 2 : 1;
	char *copy = xstrdup(words), *rest = copy, *entries = strsep(&rest, ","), *ways = strsep(&rest, ",");
	char *text = NULL;
	for (char *at = rest; at && *at; at++)
		if (*at == ',')
			*at = ' ';
	if (ways && *entries && *ways && !strchr(entries, '=') && !strchr(ways, '='))
		text = xasprintf("%s entries=%s ways=%s level=%u serves=%s %s", count_tlb_names[tlb], entries, ways, level,
		                 serves[tlb], rest ? rest : "");
	else
		error_set(error, ERROR_USAGE, "--%s: found '%s', expected ENTRIES,WAYS[,KEY=VALUE...], for example 64,4",
		          count_tlb_names[tlb], words);
	free(copy);
	return text;
}

/* The TLBs that are named, by their place; the others hold no values. */
struct tlb_specs {
	struct tlb_spec spec[COUNT_TLBS];
	unsigned count;
	bool has[COUNT_TLBS];
};

static bool read_tlbs(const struct count_request *request, struct tlb_specs *specs, struct error *error)
{
	for (unsigned tlb = 0; tlb < COUNT_TLBS && error->kind == ERROR_NONE; tlb++) {
		if (!request->tlb[tlb])
			continue;
		char *line = tlb_line_of(request, tlb, error);
		char *place = xasprintf("--%s", count_tlb_names[tlb]);
		if (line && tlb_spec_read(line, place, &specs->spec[specs->count], error))
			specs->count++;
		free(place);
		free(line);
	}
	return error->kind == ERROR_NONE;
}

struct machine {
	struct cache_hierarchy *caches; /* NULL: none named */
	struct mmu mmu;
	bool has_tlbs;
	struct count_space space; /* of has_space */
	bool has_space;
	struct flush_every flush;
};

static bool create_tlbs(const struct count_request *request, struct machine *machine, struct error *error)
{
	struct tlb_specs specs = {.count = 0};
	bool walks = request->walk == WALK_4LEVEL;
	if (!read_tlbs(request, &specs, error))
		goto release;
	if (specs.count == 0 && walks)
		error_set(error, ERROR_USAGE,
		          "--walk: a walk is what a miss of the last TLB costs; name one with --dtlb, --itlb or --stlb");
	if (specs.count == 0)
		goto release;
	const struct tlbs_wiring wiring = {
	        .specs = specs.spec, .count = specs.count, .words = walks, .seed = 1, .simd = SIMD_AUTO};
	machine->has_tlbs = tlbs_create(&machine->mmu, &wiring, error);
	if (!machine->has_tlbs)
		goto release;
	if (walks) {
		machine->has_space = true;
		count_space_init(&machine->space, error);
		count_space_attach(&machine->space, &machine->mmu);
	}
	mmu_init(&machine->mmu);
release:
	for (unsigned i = 0; i < specs.count; i++)
		tlb_spec_release(&specs.spec[i]);
	return error->kind == ERROR_NONE;
}

/* ---- the run ---- */

/* With a walker the caches see physical addresses, and the walker's references before the access that caused them. */
static void run_translated(struct machine *machine, const struct access *accesses, size_t count)
{
	struct access out[ACCESS_BATCH + MMU_ROOM];
	size_t made;
	for (size_t done = 0; done < count;) {
		done += mmu_run(&machine->mmu, accesses + done, count - done, out, ACCESS_BATCH + MMU_ROOM, &made);
		if (machine->caches)
			cache_hierarchy_run(machine->caches, out, made);
	}
}

static void machine_run(void *context, const struct access *accesses, size_t count)
{
	struct machine *machine = context;
	size_t made;
	if (machine->has_space) {
		run_translated(machine, accesses, count);
		return;
	}
	for (size_t done = 0; machine->has_tlbs && done < count;)
		done += mmu_run(&machine->mmu, accesses + done, count - done, NULL, 0, &made);
	if (machine->caches)
		cache_hierarchy_run(machine->caches, accesses, count);
}

static void machine_flush(void *context)
{
	const struct machine *machine = context;
	if (machine->caches)
		cache_hierarchy_flush(machine->caches, true);
}

static void run_batch(struct machine *machine, struct count_result *result, const struct access *batch, size_t count)
{
	for (size_t i = 0; i < count; i++)
		result->kinds[batch[i].kind]++;
	result->records += count;
	flush_every_run(&machine->flush, batch, count);
	result->flushes = machine->flush.flushes;
}

static bool run_source(struct machine *machine, struct access_source *source, const struct count_request *request,
                       struct count_result *result, struct error *error)
{
	struct access batch[ACCESS_BATCH];
	for (;;) {
		size_t wanted = ACCESS_BATCH, count;
		if (request->records && request->records - result->records < wanted)
			wanted = (size_t)(request->records - result->records);
		if (*request->interrupt)
			result->interrupted = true;
		if (wanted == 0 || result->interrupted)
			return true;
		if (!access_source_read(source, batch, wanted, &count, error))
			return false;
		if (count == 0)
			return true;
		run_batch(machine, result, batch, count);
		request->progress->tell(request->progress->context, source->bytes_done, source->bytes_total);
	}
}

/* ---- what was counted ---- */

static void take_counts(struct count_level *level, const struct cache_level *cache)
{
	memcpy(level->accesses, cache->counters.accesses, sizeof level->accesses);
	memcpy(level->misses, cache->counters.misses, sizeof level->misses);
	level->own_prefetches = cache->counters.prefetches;
	level->own_prefetch_misses = cache->counters.prefetch_fills;
}

static void take_cache(struct count_result *result, const struct cache_level *cache, const char *name)
{
	const struct cache_level_spec *spec = cache->spec;
	struct count_level *level = &result->level[result->levels++];
	char size[SETTING_NUMBER_MAX], ways[32] = "one set";
	if (spec->ways)
		snprintf(ways, sizeof ways, "%u-way", spec->ways);
	if (cache->entries)
		snprintf(level->geometry, sizeof level->geometry, "%s, %s, %u B, %s",
		         setting_number_text(SETTING_SIZE, spec->size_bytes, size), ways, spec->line_bytes, spec->replacement);
	else
		snprintf(level->geometry, sizeof level->geometry, "without an end, %u B", spec->line_bytes);
	level->name = name;
	level->write_backs = access_sum(cache->counters.write_backs) + cache->counters.flush_write_backs;
	take_counts(level, cache);
}

/* Ends the trace: the flush at its end counts as accesses of the next level, not among the lines written back. */
static void end_caches(struct machine *machine, const struct count_request *request, struct count_result *result)
{
	struct cache_hierarchy *caches = machine->caches;
	unsigned first = result->levels;
	for (unsigned cache = 0; cache < COUNT_CACHES; cache++)
		if (request->cache[cache])
			take_cache(result, cache_hierarchy_find(caches, count_cache_names[cache]), count_cache_names[cache]);
	if (request->rules.final_flush && !result->interrupted) {
		cache_hierarchy_flush(caches, false);
		for (unsigned level = first; level < result->levels; level++)
			take_counts(&result->level[level], cache_hierarchy_find(caches, result->level[level].name));
	}
	result->memory_reads = cache_hierarchy_memory_reads(caches);
	result->memory_writes = cache_hierarchy_memory_writes(caches);
	result->has_caches = true;
	cache_hierarchy_check(caches);
}

/*
 * What a level's TLBs counted of the kinds that come to one of them. A load-store is looked up once; as two accesses, its second
 * one hits in the first level.
 */
static void take_tlb(struct count_result *result, const struct count_request *request, const struct machine *machine,
                     enum count_tlb tlb)
{
	unsigned depth = tlb == COUNT_STLB && machine->mmu.levels > 1;
	const struct mmu_level_counters *counters = &machine->mmu.level_counters[depth];
	struct count_level *level = &result->level[result->levels++];
	level->name = count_tlb_names[tlb];
	level->is_tlb = true;
	size_t entries = strcspn(request->tlb[tlb], ",");
	snprintf(level->geometry, sizeof level->geometry, "%.*s entries, %s-way", (int)entries, request->tlb[tlb],
	         request->tlb[tlb] + entries + 1);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		if ((tlb == COUNT_ITLB && kind != ACCESS_CODE) || (tlb == COUNT_DTLB && kind == ACCESS_CODE))
			continue;
		unsigned as = kind == ACCESS_MODIFY ? ACCESS_LOAD : kind;
		level->accesses[as] += counters->accesses[kind];
		for (unsigned size = 0; size < PAGE_SIZES; size++)
			level->misses[as] += counters->misses[kind][size];
	}
	if (depth == 0 && request->rules.caches.modify == MODIFY_LOAD_STORE && tlb != COUNT_ITLB)
		level->accesses[ACCESS_STORE] += counters->accesses[ACCESS_MODIFY];
}

static void end_walks(const struct machine *machine, struct count_result *result)
{
	const struct walker_counters *counters = &machine->space.walker.counters;
	count_space_check(&machine->space);
	result->has_walks = true;
	result->walks = machine->mmu.counters.miss_walks;
	result->first_touches = machine->mmu.counters.faults - machine->mmu.counters.refused;
	result->refused = machine->mmu.counters.refused;
	for (unsigned level = 0; level < PAGING_LEVELS_MAX; level++) {
		result->walk_reads[level] = counters->reads[level];
		result->walk_stores += counters->stores[level];
	}
}

static void end_tlbs(const struct machine *machine, const struct count_request *request, struct count_result *result)
{
	for (unsigned tlb = 0; tlb < COUNT_TLBS; tlb++)
		if (request->tlb[tlb])
			take_tlb(result, request, machine, tlb);
	mmu_check(&machine->mmu);
	if (machine->has_space)
		end_walks(machine, result);
}

bool count_run(const struct count_request *request, struct count_result *result, struct error *error)
{
	struct machine machine = {0};
	*result = (struct count_result){0};
	struct access_source *source = NULL;
	if (create_caches(request, &machine.caches, error) && create_tlbs(request, &machine, error))
		source = access_source_open(request->trace, request->format, error);
	machine.flush = (struct flush_every){.every = request->flush_every,
	                                     .modify = request->rules.caches.modify,
	                                     .run = machine_run,
	                                     .flush = machine_flush,
	                                     .context = &machine};
	bool done = source && run_source(&machine, source, request, result, error);
	if (done && machine.caches)
		end_caches(&machine, request, result);
	if (done && machine.has_tlbs)
		end_tlbs(&machine, request, result);
	access_source_close(source);
	cache_hierarchy_destroy(machine.caches);
	if (machine.has_tlbs)
		mmu_release(&machine.mmu);
	if (machine.has_space)
		count_space_release(&machine.space);
	return done;
}
