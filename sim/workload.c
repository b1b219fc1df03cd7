/* SPDX-License-Identifier: MIT
 *
 * workload.c - ops of a generator into a recording's file (interface: workload.h).
 *
 * Ops are gathered in pieces and written as they fill; call sites, caches and profiles are small tables written at the end. An id
 * that was freed is handed out again, the latest first, so ids stay dense.
 */
#include "sim/workload.h"

#include "sim/io/kmt.h"
#include "sim/new_file.h"
#include "sim/sha256.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct workload_cache {
	struct workload_cache_spec spec; /* its name is owned */
	uint64_t allocs;
};

struct workload {
	const struct workload_wiring *wiring;
	struct kmt_writer *writer;
	struct error *error;
	bool failed;
	struct rng rng;
	uint64_t time_ns, first_ns, ops;
	struct kmt_op batch[KMT_PIECE_OPS];
	size_t batched;
	struct string_table strings;
	struct row_table profiles; /* struct kmt_profile, which is its own key */
	struct workload_cache *caches;
	uint32_t caches_count;
	uint32_t ids;
	uint32_t *free_ids; /* a stack */
	uint32_t free_count, free_room;
};

/* Of a load without a clock of its own: between two ops. */
#define OP_NS 100

unsigned workload_cpus(const struct workload *workload)
{
	return workload->wiring->cpus;
}

uint64_t workload_memory_bytes(const struct workload *workload)
{
	return workload->wiring->memory_bytes;
}

bool workload_has_failed(const struct workload *workload)
{
	return workload->failed;
}

/* TASK_UNMAPPED_BASE of 32 bits (arch/x86/include/asm/page_32_types.h): a third of what a process has. */
#define MAP_START_32BIT 0x40000000u
#define MAP_START_64BIT 0x7f0000000000u
#define USER_END_32BIT 0xc0000000u

uint64_t workload_map_start(const struct workload *workload)
{
	return workload->wiring->is_32bit ? MAP_START_32BIT : MAP_START_64BIT;
}

bool workload_has_room(struct workload *workload, uint64_t start, uint64_t pages, const char *what)
{
	uint64_t end = user_stack_end(workload->wiring->is_32bit ? USER_END_32BIT : UINT64_MAX) - USER_STACK_BYTES;
	if (!workload->failed && pages > (end - start) >> PAGE_SHIFT)
		workload->failed =
		        !error_set(workload->error, ERROR_USAGE,
		                   "workload: %s: %" PRIu64 " pages of 4 KiB, but a process has addresses for %" PRIu64 " there",
		                   what, pages, (end - start) >> PAGE_SHIFT);
	return !workload->failed;
}

struct rng *workload_rng(struct workload *workload)
{
	return &workload->rng;
}

static workload_kind kind_of(struct workload *workload, const struct kmt_profile *profile)
{
	return (workload_kind){row_table_index(&workload->profiles, profile)};
}

static uint32_t text(struct workload *workload, const char *call_site)
{
	return string_table_index(&workload->strings, call_site, strlen(call_site));
}

workload_kind workload_kmalloc(struct workload *workload, const char *call_site, uint32_t bytes, gfp flags)
{
	struct kmt_profile profile;
	memset(&profile, 0, sizeof profile); /* its padding too, as it is a key */
	profile.call_site = text(workload, call_site);
	profile.cache = TRACE_CACHE_NONE;
	profile.gfp = flags;
	profile.bytes_req = bytes;
	profile.kind = OP_KMALLOC;
	return kind_of(workload, &profile);
}

static uint32_t cache_named(struct workload *workload, const struct workload_cache_spec *spec)
{
	uint32_t nr = 0;
	while (nr < workload->caches_count && strcmp(workload->caches[nr].spec.name, spec->name) != 0)
		nr++;
	if (nr < workload->caches_count)
		return nr;
	workload->caches = xrealloc(workload->caches, (nr + 1) * sizeof *workload->caches);
	struct workload_cache *cache = &workload->caches[workload->caches_count++];
	*cache = (struct workload_cache){.spec = *spec};
	cache->spec.name = xstrdup(spec->name);
	return nr;
}

workload_kind workload_object(struct workload *workload, const char *call_site, const struct workload_cache_spec *cache,
                              gfp flags)
{
	struct kmt_profile profile;
	memset(&profile, 0, sizeof profile);
	profile.call_site = text(workload, call_site);
	profile.cache = cache_named(workload, cache);
	profile.gfp = flags;
	profile.bytes_req = cache->bytes;
	profile.kind = OP_CACHE_ALLOC;
	return kind_of(workload, &profile);
}

workload_kind workload_pages(struct workload *workload, const char *call_site, unsigned order, gfp flags)
{
	struct kmt_profile profile;
	memset(&profile, 0, sizeof profile);
	profile.call_site = text(workload, call_site);
	profile.cache = TRACE_CACHE_NONE;
	profile.gfp = flags;
	profile.order = (uint8_t)order;
	profile.kind = OP_PAGE_ALLOC;
	return kind_of(workload, &profile);
}

workload_kind workload_area(struct workload *workload, const char *call_site, enum virtual_call call, uint32_t bytes)
{
	struct kmt_profile profile;
	memset(&profile, 0, sizeof profile);
	profile.call_site = text(workload, call_site);
	profile.cache = TRACE_CACHE_NONE;
	profile.gfp = GFP_KERNEL;
	profile.bytes_req = virtual_call_maps(call) ? (bytes + PAGE_SIZE - 1) & ~(uint32_t)(PAGE_SIZE - 1) : bytes;
	profile.order = (uint8_t)call;
	profile.kind = OP_AREA_ALLOC;
	return kind_of(workload, &profile);
}

static workload_kind page_kind(struct workload *workload, const char *call_site, enum op_kind op, enum page_map_call call,
                               uint32_t bytes)
{
	struct kmt_profile profile;
	memset(&profile, 0, sizeof profile);
	profile.call_site = text(workload, call_site);
	profile.cache = TRACE_CACHE_NONE;
	profile.bytes_req = bytes;
	profile.order = (uint8_t)call;
	profile.kind = (uint8_t)op;
	return kind_of(workload, &profile);
}

workload_kind workload_page_map(struct workload *workload, const char *call_site, enum page_map_call call, uint32_t bytes)
{
	SIM_ASSERT(bytes <= PAGE_SIZE);
	return page_kind(workload, call_site, OP_PAGE_MAP, call, bytes);
}

workload_kind workload_page_clear(struct workload *workload, const char *call_site, enum page_map_call call)
{
	return page_kind(workload, call_site, OP_PAGE_CLEAR, call, 0);
}

workload_kind workload_page_copy(struct workload *workload, const char *call_site, enum page_map_call call)
{
	return page_kind(workload, call_site, OP_PAGE_COPY, call, 0);
}

static void write_batch(struct workload *workload)
{
	if (!workload->failed && workload->batched > 0)
		workload->failed = !kmt_write_ops(workload->writer, KMT_OPS, workload->batch, workload->batched, workload->error);
	workload->batched = 0;
}

static void add_op_at(struct workload *workload, unsigned cpu, uint32_t id, uint32_t profile, uint64_t address)
{
	SIM_ASSERT(cpu < workload->wiring->cpus);
	workload->time_ns += OP_NS;
	if (workload->ops == 0)
		workload->first_ns = workload->time_ns;
	workload->batch[workload->batched++] = (struct kmt_op){
	        .time_ns = workload->time_ns, .address = address, .id = id, .profile = profile, .cpu = (uint16_t)cpu};
	workload->ops++;
	if (workload->batched == KMT_PIECE_OPS)
		write_batch(workload);
}

static void add_op(struct workload *workload, unsigned cpu, uint32_t id, uint32_t profile)
{
	add_op_at(workload, cpu, id, profile, 0);
}

static uint32_t take_id(struct workload *workload)
{
	return workload->free_count ? workload->free_ids[--workload->free_count] : workload->ids++;
}

workload_block workload_alloc(struct workload *workload, unsigned cpu, workload_kind kind)
{
	const struct kmt_profile *profile = row_table_row(&workload->profiles, kind.nr);
	if (profile->kind == OP_CACHE_ALLOC)
		workload->caches[profile->cache].allocs++;
	uint32_t id = take_id(workload);
	add_op(workload, cpu, id, kind.nr);
	return (workload_block){id};
}

workload_block workload_ioremap(struct workload *workload, unsigned cpu, workload_kind kind, uint64_t physical)
{
	uint32_t id = take_id(workload);
	add_op_at(workload, cpu, id, kind.nr, physical);
	return (workload_block){id};
}

workload_block workload_map(struct workload *workload, unsigned cpu, workload_kind kind, workload_block pages, uint32_t page)
{
	uint32_t id = take_id(workload);
	add_op_at(workload, cpu, id, kind.nr, op_page_of(pages.id, page));
	return (workload_block){id};
}

void workload_clear(struct workload *workload, unsigned cpu, workload_kind kind, workload_block pages)
{
	add_op(workload, cpu, pages.id, kind.nr);
}

void workload_copy(struct workload *workload, unsigned cpu, workload_kind kind, workload_block target, workload_block source)
{
	add_op_at(workload, cpu, target.id, kind.nr, source.id);
}

/* ---- processes ---- */

static struct kmt_profile process_profile(enum op_kind kind)
{
	struct kmt_profile profile;
	memset(&profile, 0, sizeof profile);
	profile.cache = TRACE_CACHE_NONE;
	profile.kind = (uint8_t)kind;
	return profile;
}

/* An op of a process, or of a fresh id. */
static void add_process_op(struct workload *workload, unsigned cpu, uint32_t id, struct kmt_profile *profile, uint64_t address)
{
	profile->call_site = text(workload, "");
	add_op_at(workload, cpu, id, kind_of(workload, profile).nr, address);
}

workload_block workload_process_create(struct workload *workload, unsigned cpu)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_CREATE);
	workload_block made = {take_id(workload)};
	add_process_op(workload, cpu, made.id, &profile, 0);
	return made;
}

workload_block workload_process_fork(struct workload *workload, unsigned cpu, workload_block parent, enum fork_kind kind)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_FORK);
	workload_block made = {take_id(workload)};
	profile.order = (uint8_t)kind;
	add_process_op(workload, cpu, made.id, &profile, parent.id);
	return made;
}

void workload_process_exec(struct workload *workload, unsigned cpu, workload_block process)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_EXEC);
	add_process_op(workload, cpu, process.id, &profile, 0);
}

void workload_process_exit(struct workload *workload, unsigned cpu, workload_block process)
{
	workload_free(workload, cpu, process);
}

void workload_process_map(struct workload *workload, unsigned cpu, workload_block process,
                          const struct user_area_request *request)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_MAP);
	SIM_ASSERT(request->pages > 0 && request->pages <= UINT32_MAX &&
	           request->first_page >> (32 - PROCESS_MAP_PAGE_SHIFT) == 0);
	profile.bytes_req = (uint32_t)request->pages;
	profile.order = (uint8_t)request->kind;
	profile.gfp = request->rights | (uint32_t)request->first_page << PROCESS_MAP_PAGE_SHIFT;
	profile.bytes_alloc = request->file;
	add_process_op(workload, cpu, process.id, &profile, request->start);
}

void workload_process_unmap(struct workload *workload, unsigned cpu, workload_block process, uint64_t start, uint64_t pages)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_UNMAP);
	SIM_ASSERT(pages > 0 && pages <= UINT32_MAX);
	profile.bytes_req = (uint32_t)pages;
	add_process_op(workload, cpu, process.id, &profile, start);
}

void workload_process_advise(struct workload *workload, unsigned cpu, workload_block process, uint64_t start, uint64_t pages,
                             enum user_advice advice)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_ADVISE);
	SIM_ASSERT(pages > 0 && pages <= UINT32_MAX && advice < USER_ADVICES);
	profile.bytes_req = (uint32_t)pages;
	profile.order = (uint8_t)advice;
	add_process_op(workload, cpu, process.id, &profile, start);
}

void workload_process_protect(struct workload *workload, unsigned cpu, workload_block process, uint64_t start, uint64_t pages,
                              unsigned rights)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_PROTECT);
	SIM_ASSERT(pages > 0 && pages <= UINT32_MAX && rights <= USER_RIGHTS);
	profile.bytes_req = (uint32_t)pages;
	profile.order = (uint8_t)rights;
	add_process_op(workload, cpu, process.id, &profile, start);
}

void workload_process_remap(struct workload *workload, unsigned cpu, workload_block process, const struct user_remap *remap)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_REMAP);
	uint64_t page = remap->to >> PAGE_SHIFT;
	SIM_ASSERT(remap->pages > 0 && remap->pages <= UINT32_MAX && remap->new_pages > 0 && remap->new_pages <= UINT32_MAX);
	SIM_ASSERT(remap->to >> REMAP_ADDRESS_BITS == 0);
	profile.bytes_req = (uint32_t)remap->pages;
	profile.bytes_alloc = (uint32_t)remap->new_pages;
	profile.gfp = (uint32_t)page;
	profile.order = (uint8_t)(page >> 32);
	add_process_op(workload, cpu, process.id, &profile, remap->start);
}

void workload_touch(struct workload *workload, unsigned cpu, workload_block process, const struct workload_touch *touch)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_TOUCH);
	SIM_ASSERT(touch->bytes > 0 && touch->stride > 0 && touch->bytes / touch->stride < TOUCH_ACCESSES_MAX);
	profile.bytes_req = touch->bytes;
	profile.bytes_alloc = touch->stride;
	profile.order = (uint8_t)touch->kind;
	add_process_op(workload, cpu, process.id, &profile, touch->address);
}

void workload_process_run(struct workload *workload, workload_block first, unsigned threads, uint32_t accesses)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_RUN);
	SIM_ASSERT(accesses > 0 && accesses <= PROCESS_RUN_MAX);
	profile.bytes_req = accesses;
	profile.bytes_alloc = threads;
	add_process_op(workload, 0, first.id, &profile, 0);
}

void workload_process_switch(struct workload *workload, unsigned cpu, workload_block process)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_SWITCH);
	add_process_op(workload, cpu, process.id, &profile, 0);
}

void workload_process_leave(struct workload *workload, unsigned cpu)
{
	struct kmt_profile profile = process_profile(OP_PROCESS_LEAVE);
	add_process_op(workload, cpu, 0, &profile, 0);
}

void workload_free(struct workload *workload, unsigned cpu, workload_block block)
{
	if (workload->free_count == workload->free_room) {
		workload->free_room = workload->free_room ? 2 * workload->free_room : 1024;
		workload->free_ids = xrealloc(workload->free_ids, workload->free_room * sizeof *workload->free_ids);
	}
	workload->free_ids[workload->free_count++] = block.id;
	add_op(workload, cpu, block.id, KMT_FREE);
}

uint64_t workload_now_ns(const struct workload *workload)
{
	return workload->time_ns;
}

void workload_wait_until(struct workload *workload, uint64_t ns)
{
	if (workload->time_ns < ns)
		workload->time_ns = ns;
}

void workload_tell(struct workload *workload, uint64_t done, uint64_t total)
{
	const struct progress *progress = workload->wiring->progress;
	if (progress)
		progress->tell(progress->context, done, total);
}

static void name_source(struct trace_info *info, const struct workload_wiring *wiring)
{
	struct sha256 hash;
	char *whole = xasprintf("%s seed=%" PRIu64 " cpus=%u memory=%" PRIu64, wiring->line, wiring->seed, wiring->cpus,
	                        wiring->memory_bytes);
	snprintf(info->source, sizeof info->source, "%s", wiring->line);
	sha256_init(&hash);
	sha256_add(&hash, whole, strlen(whole));
	sha256_final(&hash, info->sha256);
	free(whole);
}

static void write_tables(struct workload *workload)
{
	struct trace_info info = {.version = KMT_VERSION,
	                          .cpus = workload->wiring->cpus,
	                          .pointer_bits = 64,
	                          .ids = workload->ids,
	                          .caches = workload->caches_count,
	                          .call_sites = workload->strings.count,
	                          .ops = workload->ops,
	                          .first_ns = workload->first_ns,
	                          .last_ns = workload->time_ns};
	struct trace_cache *caches = xcalloc(workload->caches_count + 1, sizeof *caches);
	for (uint32_t nr = 0; nr < workload->caches_count; nr++) {
		const struct workload_cache_spec *spec = &workload->caches[nr].spec;
		caches[nr] = (struct trace_cache){.name = spec->name,
		                                  .named = true,
		                                  .object_size = spec->bytes,
		                                  .align = spec->align,
		                                  .flags = spec->flags,
		                                  .ctor = spec->ctor,
		                                  .allocs = workload->caches[nr].allocs};
	}
	info.summary.ops = workload->ops;
	name_source(&info, workload->wiring);
	const struct kmt_tables tables = {.info = &info,
	                                  .strings = &workload->strings,
	                                  .profiles = (const struct kmt_profile *)(const void *)workload->profiles.rows,
	                                  .profile_count = workload->profiles.count,
	                                  .caches = caches};
	if (!workload->failed)
		workload->failed = !kmt_write_tables(workload->writer, &tables, workload->error);
	free(caches);
}

static bool write_all(const struct workload_wiring *wiring, int file, struct error *error)
{
	struct workload *workload = xcalloc(1, sizeof *workload);
	workload->wiring = wiring;
	workload->error = error;
	workload->writer = kmt_writer_create(file, wiring->line);
	rng_init(&workload->rng, wiring->seed, wiring->ops->name);
	string_table_init(&workload->strings);
	row_table_init(&workload->profiles, sizeof(struct kmt_profile), sizeof(struct kmt_profile));
	wiring->ops->generate(workload, wiring->values);
	write_batch(workload);
	write_tables(workload);
	bool written = !workload->failed;
	kmt_writer_destroy(workload->writer);
	string_table_release(&workload->strings);
	row_table_release(&workload->profiles);
	for (uint32_t nr = 0; nr < workload->caches_count; nr++)
		free((void *)(uintptr_t)workload->caches[nr].spec.name);
	free(workload->caches);
	free(workload->free_ids);
	free(workload);
	return written;
}

int workload_write(const struct workload_wiring *wiring, struct error *error)
{
	char *name;
	int file = new_file_unnamed(&name, error);
	if (file >= 0 && !write_all(wiring, file, error)) {
		close(file);
		file = -1;
	}
	free(name);
	return file;
}
