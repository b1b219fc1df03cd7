/* SPDX-License-Identifier: MIT
 *
 * curve.c - the trace's blocks into the stacks (interface: curve.h).
 */
#include "tools/kmemsim/curve.h"

#include "sim/port/access_source.h"

/* Distinct blocks of an exact pass: some 4 GiB of host memory. */
#define BLOCKS_MAX (1ull << 25)

#define BLOCKS_AT_ONCE 4096u

/* Skylake client and server, lines of 64 bytes and pages of 4 KiB (Intel 64 and IA-32 Architectures Optimization Reference
 * Manual). */
static const struct curve_geometry geometries[] = {
        {"skylake l1d 32 KiB", 512, 8, false},
        {"skylake l2 256 KiB", 4096, 4, false},
        {"skylake server l2 1 MiB", 16384, 16, false},
        {"skylake llc 8 MiB", 131072, 16, false},
        {"skylake dtlb", 64, 4, true},
        {"skylake stlb", 1536, 12, true},
};

struct pass {
	const struct curve_request *request;
	struct curve_result *result;
	uint64_t blocks[BLOCKS_AT_ONCE];
	size_t count;
	unsigned shift;
};

static bool count_blocks(struct pass *pass, struct error *error)
{
	struct curve_result *result = pass->result;
	if (result->stack)
		stack_distance_count(result->stack, pass->blocks, pass->count);
	else
		shards_count(result->shards, pass->blocks, pass->count);
	if (pass->request->sets)
		set_stacks_count(&result->by_sets, pass->blocks, pass->count);
	for (uint32_t index = 0; index < result->geometries; index++)
		set_stacks_count(&result->of_geometry[index], pass->blocks, pass->count);
	result->accesses += pass->count;
	pass->count = 0;
	return !result->stack || stack_distance_blocks(result->stack) <= BLOCKS_MAX ||
	       error_set(
	               error, ERROR_USAGE,
	               "%s: more than %llu different blocks, too many for exact distances; sample them with --sample-size 65536",
	               pass->request->trace, BLOCKS_MAX);
}

static bool add_access(struct pass *pass, const struct access *access, struct error *error)
{
	uint64_t last = (access->address + access->bytes - 1) >> pass->shift;
	unsigned times = access->kind == ACCESS_MODIFY ? 2 : 1;
	if (pass->request->kinds != CURVE_ALL && (access->kind == ACCESS_CODE) != (pass->request->kinds == CURVE_CODE))
		return true;
	for (unsigned time = 0; time < times; time++)
		for (uint64_t block = access->address >> pass->shift; block <= last; block++) {
			pass->blocks[pass->count++] = block;
			if (pass->count == BLOCKS_AT_ONCE && !count_blocks(pass, error))
				return false;
		}
	return true;
}

static bool read_all(struct pass *pass, struct access_source *source, struct error *error)
{
	struct access batch[ACCESS_BATCH];
	struct curve_result *result = pass->result;
	const uint64_t records = pass->request->records ? pass->request->records : UINT64_MAX;
	for (size_t count = 1; count > 0 && result->records < records && !result->interrupted;) {
		uint64_t left = records - result->records;
		if (!access_source_read(source, batch, left < ACCESS_BATCH ? (size_t)left : ACCESS_BATCH, &count, error))
			return false;
		for (size_t index = 0; index < count; index++)
			if (!add_access(pass, &batch[index], error))
				return false;
		result->records += count;
		pass->request->progress->tell(pass->request->progress->context, source->bytes_done, source->bytes_total);
		result->interrupted = *pass->request->interrupt != 0;
	}
	return count_blocks(pass, error);
}

static void make_stacks(const struct curve_request *request, struct curve_result *result)
{
	if (request->sampled)
		result->shards = shards_create(request->rate, request->sample_blocks, request->seed);
	else
		result->stack = stack_distance_create();
	if (request->sets)
		set_stacks_init(&result->by_sets, request->sets, request->max_ways);
	if (request->block_bytes != (request->tlb ? PAGE_SIZE : 64))
		return;
	for (size_t index = 0; index < sizeof geometries / sizeof geometries[0]; index++) {
		const struct curve_geometry *geometry = &geometries[index];
		if (geometry->tlb != request->tlb)
			continue;
		result->geometry[result->geometries] = *geometry;
		set_stacks_init(&result->of_geometry[result->geometries++], geometry->entries / geometry->ways, geometry->ways);
	}
}

static void check(const struct curve_request *request, const struct curve_result *result)
{
	if (result->stack)
		stack_distance_check(result->stack);
	else
		shards_check(result->shards);
	if (request->sets)
		set_stacks_check(&result->by_sets);
	for (uint32_t index = 0; index < result->geometries; index++)
		set_stacks_check(&result->of_geometry[index]);
}

bool curve_run(const struct curve_request *request, struct curve_result *result, struct error *error)
{
	*result = (struct curve_result){0};
	struct pass pass = {.request = request, .result = result, .shift = (unsigned)__builtin_ctzll(request->block_bytes)};
	struct access_source *source = access_source_open(request->trace, request->format, error);
	if (!source)
		return false;
	make_stacks(request, result);
	bool done = read_all(&pass, source, error);
	access_source_close(source);
	if (done)
		check(request, result);
	else
		curve_release(result);
	return done;
}

void curve_release(struct curve_result *result)
{
	stack_distance_destroy(result->stack);
	shards_destroy(result->shards);
	set_stacks_release(&result->by_sets);
	for (uint32_t index = 0; index < result->geometries; index++)
		set_stacks_release(&result->of_geometry[index]);
	*result = (struct curve_result){0};
}
