/* SPDX-License-Identifier: MIT
 *
 * curve.c - the trace's blocks into the stacks (interface: curve.h).
 */
#include "tools/kmemsim/curve.h"

#include "sim/port/access_source.h"

#define BLOCKS_AT_ONCE 4096u

/* Blocks in order, those of all accesses and those of each kind, that wait to be counted together. */
struct pass {
	const struct curve_request *request;
	struct curve_result *result;
	uint64_t blocks[CURVE_KINDS][BLOCKS_AT_ONCE];
	size_t count[CURVE_KINDS];
	unsigned shift;
};

static void count_blocks(struct pass *pass)
{
	struct curve_result *result = pass->result;
	const uint64_t *blocks = pass->blocks[pass->request->kinds];
	size_t count = pass->count[pass->request->kinds];
	if (result->stack)
		stack_distance_count(result->stack, blocks, count);
	else
		shards_count(result->shards, blocks, count);
	if (pass->request->sets)
		set_stacks_count(&result->by_sets, blocks, count);
	result->accesses += count;
	for (enum curve_kinds kinds = 0; kinds < CURVE_KINDS; kinds++) {
		curve_machines_count(&result->machines, kinds, pass->blocks[kinds], pass->count[kinds]);
		pass->count[kinds] = 0;
	}
	if (result->stack && stack_distance_blocks(result->stack) >= pass->request->max_blocks)
		result->end = CURVE_TOO_MANY_BLOCKS;
}

static void add_access(struct pass *pass, const struct access *access)
{
	const uint64_t first = access->address >> pass->shift, last = (access->address + access->bytes - 1) >> pass->shift;
	const enum curve_kinds kind = access->kind == ACCESS_CODE ? CURVE_CODE : CURVE_DATA;
	unsigned times = access->kind == ACCESS_MODIFY ? 2 : 1;
	for (unsigned time = 0; time < times; time++)
		for (uint64_t block = first; block <= last; block++) {
			pass->blocks[CURVE_ALL][pass->count[CURVE_ALL]++] = block;
			pass->blocks[kind][pass->count[kind]++] = block;
			if (pass->count[CURVE_ALL] == BLOCKS_AT_ONCE)
				count_blocks(pass);
		}
}

/* Records until the batch or what the pass may hold ends. */
static void add_batch(struct pass *pass, const struct access *batch, size_t count)
{
	for (size_t index = 0; index < count && pass->result->end == CURVE_COMPLETE; index++) {
		add_access(pass, &batch[index]);
		pass->result->records++;
	}
}

static bool read_all(struct pass *pass, struct access_source *source, struct error *error)
{
	struct access batch[ACCESS_BATCH];
	struct curve_result *result = pass->result;
	const uint64_t records = pass->request->records ? pass->request->records : UINT64_MAX;
	while (result->records < records && result->end == CURVE_COMPLETE) {
		uint64_t left = records - result->records;
		size_t count;
		if (!access_source_read(source, batch, left < ACCESS_BATCH ? (size_t)left : ACCESS_BATCH, &count, error))
			return false;
		if (count == 0)
			break;
		add_batch(pass, batch, count);
		pass->request->progress->tell(pass->request->progress->context, source->bytes_done, source->bytes_total);
		if (*pass->request->interrupt && result->end == CURVE_COMPLETE)
			result->end = CURVE_INTERRUPTED;
	}
	count_blocks(pass);
	return true;
}

static void make_stacks(const struct curve_request *request, struct curve_result *result)
{
	if (request->sampled)
		result->shards = shards_create(request->rate, request->sample_blocks, request->seed);
	else
		result->stack = stack_distance_create();
	if (request->sets)
		set_stacks_init(&result->by_sets, request->sets, request->max_ways);
}

static void check(const struct curve_request *request, const struct curve_result *result)
{
	if (result->stack)
		stack_distance_check(result->stack);
	else
		shards_check(result->shards);
	if (request->sets)
		set_stacks_check(&result->by_sets);
	curve_machines_check(&result->machines);
}

bool curve_run(const struct curve_request *request, struct curve_result *result, struct error *error)
{
	const struct curve_wanted wanted = {request->machines, request->tlb, request->block_bytes, request->kinds};
	struct pass pass = {.request = request, .result = result, .shift = (unsigned)__builtin_ctzll(request->block_bytes)};
	*result = (struct curve_result){0};
	if (!curve_machines_read(&wanted, &result->machines, error))
		return false;
	struct access_source *source = access_source_open(request->trace, request->format, error);
	if (!source) {
		curve_release(result);
		return false;
	}
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
	curve_machines_release(&result->machines);
}
