/* SPDX-License-Identifier: MIT
 *
 * mmu_runs.c - whole batches through TLBs (interface: mmu_runs.h).
 */
#include "sim/mmu_runs.h"

#include "sim/mmu.h"

#include <string.h>

#define RUN_MAX ACCESS_BATCH

/* Requests of one array at one level, in program order. */
struct run {
	size_t count;
	uint64_t request[RUN_MAX]; /* address, the lowest bits marks */
	uint32_t order[RUN_MAX];   /* among the requests of all arrays of the first level */
	uint8_t kind[RUN_MAX];
};

struct mmu_runs {
	struct replacement_route routes[ACCESS_KINDS]; /* of accesses into the first level */
	const struct replacement_ops *routed;          /* the policy of all routes; NULL: none */
	struct run runs[2 * MMU_SIDES];
	struct run *side[MMU_SIDES]; /* of the level at work; what both share stands in the data side */
	struct run *next[MMU_SIDES]; /* what it missed */
	struct replacement_miss miss[RUN_MAX];
};

/* Routes of all kinds that an array of the first level serves, if each of these has one of the same policy. */
static void make_routes(const struct mmu *mmu, struct mmu_runs *runs)
{
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		const struct tlb_level *array = mmu->level[0].array[kind == ACCESS_CODE ? MMU_CODE : MMU_DATA][PAGE_4K];
		if (!array)
			continue;
		const struct replacement_ops *ops = array->ops->route ? array->ops->route(array, &runs->routes[kind]) : NULL;
		if (!ops || (runs->routed && ops != runs->routed)) {
			runs->routed = NULL;
			return;
		}
		runs->routed = ops;
	}
}

struct mmu_runs *mmu_runs_new(const struct mmu *mmu)
{
	struct mmu_runs *runs = xcalloc(1, sizeof *runs);
	for (unsigned side = 0; side < MMU_SIDES; side++) {
		runs->side[side] = &runs->runs[side];
		runs->next[side] = &runs->runs[MMU_SIDES + side];
	}
	make_routes(mmu, runs);
	return runs;
}

static void swap_side(struct mmu_runs *runs, unsigned side)
{
	struct run *swapped = runs->side[side];
	runs->side[side] = runs->next[side];
	runs->next[side] = swapped;
}

static inline void copy_request(struct run *run, size_t place, const struct run *from, size_t at)
{
	run->request[place] = from->request[at] & ~WAY_MARKS;
	run->order[place] = from->order[at];
	run->kind[place] = from->kind[at];
}

static void count_misses(struct mmu_level_counters *counters, uint64_t bytes)
{
	uint64_t misses[ACCESS_KINDS] = {0};
	add_kind_bytes(misses, bytes);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		counters->misses[kind][PAGE_4K] += misses[kind];
}

/* What the array of a side misses goes to the side's next run. Without an array everything does. */
static void run_array(struct mmu *mmu, unsigned level, unsigned side)
{
	struct mmu_runs *runs = mmu->runs;
	const struct run *run = runs->side[side];
	struct run *next = runs->next[side];
	struct tlb_level *array = mmu->level[level].array[side][PAGE_4K];
	size_t missed = array ? tlb_run(array, run->request, run->count, runs->miss) : run->count;
	bool is_last = level + 1 == mmu->levels;
	for (size_t i = 0, end; i < missed; i = end) {
		uint64_t bytes = 0;
		for (end = i; end < missed && end < i + KIND_BYTES_MAX; end++) {
			size_t from = array ? runs->miss[end].request : end;
			bytes += kind_byte(run->kind[from]);
			if (!is_last)
				copy_request(next, end, run, from);
		}
		count_misses(&mmu->level_counters[level], bytes);
	}
	next->count = is_last ? 0 : missed;
}

static bool joint(const struct mmu *mmu, unsigned level)
{
	const struct mmu_level *at = &mmu->level[level];
	return at->array[MMU_CODE][PAGE_4K] && at->array[MMU_CODE][PAGE_4K] == at->array[MMU_DATA][PAGE_4K];
}

/* What both sides missed, in program order, becomes what the next level is asked, by its own sides. */
static void hand_on(struct mmu_runs *runs, bool was_joint, bool is_joint)
{
	const struct run *code = runs->next[MMU_CODE], *data = runs->next[MMU_DATA];
	runs->side[MMU_CODE]->count = runs->side[MMU_DATA]->count = 0;
	if (was_joint == is_joint || (is_joint && code->count == 0)) {
		swap_side(runs, MMU_DATA);
		swap_side(runs, MMU_CODE);
		return;
	}
	for (size_t c = 0, d = 0; c + d < code->count + data->count;) {
		bool from_code = d == data->count || (c < code->count && code->order[c] < data->order[d]);
		const struct run *from = from_code ? code : data;
		size_t at = from_code ? c++ : d++;
		struct run *to = runs->side[!is_joint && from->kind[at] == ACCESS_CODE ? MMU_CODE : MMU_DATA];
		copy_request(to, to->count++, from, at);
	}
}

/* What the first level missed through all others. */
static void run_levels_below(struct mmu *mmu)
{
	struct mmu_runs *runs = mmu->runs;
	for (unsigned level = 1; level < mmu->levels; level++) {
		hand_on(runs, joint(mmu, level - 1), joint(mmu, level));
		run_array(mmu, level, MMU_DATA);
		run_array(mmu, level, MMU_CODE);
	}
	runs->side[MMU_DATA]->count = runs->side[MMU_CODE]->count = 0;
}

/* The gathered requests through all levels. */
static void run_levels(struct mmu *mmu)
{
	run_array(mmu, 0, MMU_DATA);
	run_array(mmu, 0, MMU_CODE);
	run_levels_below(mmu);
}

/* ---- accesses as requests ---- */

/* What a side of the first level was asked for last, set by set, in this batch. */
struct last_asked {
	struct run *run;
	bool is_array; /* else everything goes on to the next level */
	uint64_t mask;
	uint64_t page[MMU_RECENT_MAX]; /* UINT64_MAX: nothing */
	uint32_t request[MMU_RECENT_MAX];
};

static void begin_batch(const struct mmu *mmu, struct last_asked asked[MMU_SIDES])
{
	for (unsigned side = 0; side < MMU_SIDES; side++) {
		asked[side].run = mmu->runs->side[side];
		asked[side].is_array = mmu->level[0].array[side][PAGE_4K] != NULL;
		asked[side].mask = mmu->recent_mask[side];
		for (uint64_t set = 0; set <= asked[side].mask; set++)
			asked[side].page[set] = UINT64_MAX;
	}
}

/* A request, unless the page's set was asked for this page last: then that one stands for this too. Returns whether it is new. */
static inline bool gather(struct last_asked *asked, uint64_t page, uint8_t kind, uint32_t order)
{
	struct run *run = asked->run;
	uint64_t set = page & asked->mask;
	if (asked->page[set] == page) {
		run->request[asked->request[set]] |= USED_AGAIN;
		return false;
	}
	asked->page[set] = asked->is_array ? page : UINT64_MAX;
	asked->request[set] = (uint32_t)run->count;
	run->request[run->count] = (page & TLB_NUMBER) << PAGE_SHIFT;
	run->order[run->count] = order;
	run->kind[run->count++] = kind;
	return true;
}

/* A level is asked for what the one above missed, and has what it does not miss. */
static void count_hits(struct mmu *mmu)
{
	for (unsigned level = 0; level < mmu->levels; level++) {
		struct mmu_level_counters *at = &mmu->level_counters[level];
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
			if (level > 0)
				at->accesses[kind] = mmu->level_counters[level - 1].misses[kind][PAGE_4K];
			at->hits[kind][PAGE_4K] = at->accesses[kind] - at->misses[kind][PAGE_4K];
		}
	}
}

/* An access that reaches into further pages asks for each. */
static uint32_t gather_further(struct last_asked *asked, const struct access *access, uint64_t page, uint64_t last,
                               uint32_t order, struct mmu *mmu, struct last_asked all[MMU_SIDES])
{
	while (page++ != last) {
		if (order == RUN_MAX) {
			run_levels(mmu);
			begin_batch(mmu, all);
			order = 0;
		}
		mmu->level_counters[0].accesses[access->kind]++;
		mmu->counters.pages++;
		order += gather(asked, page, access->kind, order);
	}
	return order;
}

/* Accesses one after the other as requests, which then run in one go. */
static void run_as_requests(struct mmu *mmu, const struct access *in, size_t count)
{
	struct last_asked asked[MMU_SIDES];
	struct last_asked *const data = &asked[MMU_DATA], *const code = joint(mmu, 0) ? data : &asked[MMU_CODE];
	uint64_t accesses[ACCESS_KINDS] = {0};
	uint32_t order = 0;
	begin_batch(mmu, asked);
	for (size_t i = 0; i < count; i++) {
		const struct access *access = &in[i];
		uint64_t page = access->address >> PAGE_SHIFT;
		bool is_code = access->kind == ACCESS_CODE;
		struct last_asked *of = is_code ? code : data;
		if (!mmu->served[is_code ? MMU_CODE : MMU_DATA])
			continue;
		if (order == RUN_MAX) {
			run_levels(mmu);
			begin_batch(mmu, asked);
			order = 0;
		}
		accesses[access->kind]++;
		order += gather(of, page, access->kind, order);
		if ((access->address & (PAGE_SIZE - 1)) + access->bytes > PAGE_SIZE)
			order = gather_further(of, access, page, (access->address + access->bytes - 1) >> PAGE_SHIFT, order, mmu,
			                       asked);
	}
	run_levels(mmu);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		mmu->level_counters[0].accesses[kind] += accesses[kind];
		mmu->counters.pages += accesses[kind];
	}
}

/* ---- accesses as they are ---- */

/* Counts what an array of the first level did with the accesses of a kind. */
static void count_kind(struct mmu *mmu, unsigned kind, uint64_t accesses, uint64_t misses, uint64_t evictions)
{
	struct tlb_level *array = mmu->level[0].array[kind == ACCESS_CODE ? MMU_CODE : MMU_DATA][PAGE_4K];
	mmu->level_counters[0].accesses[kind] += accesses;
	mmu->level_counters[0].misses[kind][PAGE_4K] += misses;
	mmu->counters.pages += accesses;
	if (!array)
		return;
	array->counters.fills += misses;
	array->counters.evictions += evictions;
}

/* Counts misses of accesses that came by routes, at most KIND_BYTES_MAX of them. */
static void count_routed(const struct access *in, const struct replacement_miss *miss, size_t count,
                         uint64_t misses[ACCESS_KINDS], uint64_t evictions[ACCESS_KINDS])
{
	uint64_t miss_bytes = 0, eviction_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t byte = kind_byte(in[miss[i].request].kind);
		miss_bytes += byte;
		eviction_bytes += miss[i].evicted ? byte : 0;
	}
	add_kind_bytes(misses, miss_bytes);
	add_kind_bytes(evictions, eviction_bytes);
}

/* What a side of the first level missed of accesses that came by routes, as what the next level is asked. */
static void take_misses(struct mmu_runs *runs, const struct access *in, size_t missed, unsigned side, bool is_joint)
{
	struct run *next = runs->next[side];
	size_t count = 0;
	for (size_t i = 0; i < missed; i++) {
		uint32_t order = runs->miss[i].request;
		const struct access *access = &in[order];
		next->request[count] = (access->address >> PAGE_SHIFT & TLB_NUMBER) << PAGE_SHIFT;
		next->order[count] = order;
		next->kind[count] = access->kind;
		count += is_joint || (access->kind == ACCESS_CODE) == (side == MMU_CODE);
	}
	next->count = count;
}

/* Runs accesses as far as their routes lead. Returns how many. */
static size_t run_routes(struct mmu *mmu, const struct access *in, size_t count)
{
	struct mmu_runs *runs = mmu->runs;
	uint64_t misses[ACCESS_KINDS] = {0}, evictions[ACCESS_KINDS] = {0};
	struct replacement_ran ran;
	size_t missed = runs->routed->run_accesses(runs->routes, in, count < RUN_MAX ? count : RUN_MAX, &ran, runs->miss);
	for (size_t i = 0; i < missed; i += KIND_BYTES_MAX)
		count_routed(in, runs->miss + i, missed - i < KIND_BYTES_MAX ? missed - i : KIND_BYTES_MAX, misses, evictions);
	bool is_joint = joint(mmu, 0);
	take_misses(runs, in, missed, MMU_DATA, is_joint);
	take_misses(runs, in, is_joint || ran.accesses[ACCESS_CODE] == 0 ? 0 : missed, MMU_CODE, is_joint);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		count_kind(mmu, kind, ran.accesses[kind], misses[kind], evictions[kind]);
	run_levels_below(mmu);
	return ran.done;
}

void mmu_runs_do(struct mmu *mmu, const struct access *in, size_t count)
{
	const struct mmu_runs *runs = mmu->runs;
	for (size_t done = 0; done < count;) {
		size_t ran = runs->routed ? run_routes(mmu, in + done, count - done) : 0;
		done += ran;
		if (ran > 0)
			continue;
		/* One that lies over two pages; or one whose kind has no route, which likely comes again soon. */
		size_t part = runs->routed && runs->routes[in[done].kind].words ? 1 : count - done;
		run_as_requests(mmu, in + done, part);
		done += part;
	}
	mmu->counters.accesses += count;
	count_hits(mmu);
}
