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
	struct run runs[2 * MMU_SIDES];
	struct run *side[MMU_SIDES]; /* of the level at work; what both share stands in the data side */
	struct run *next[MMU_SIDES]; /* what it missed */
	struct replacement_miss miss[RUN_MAX];
};

struct mmu_runs *mmu_runs_new(void)
{
	struct mmu_runs *runs = xcalloc(1, sizeof *runs);
	for (unsigned side = 0; side < MMU_SIDES; side++) {
		runs->side[side] = &runs->runs[side];
		runs->next[side] = &runs->runs[MMU_SIDES + side];
	}
	return runs;
}

static void swap_side(struct mmu_runs *runs, unsigned side)
{
	struct run *swapped = runs->side[side];
	runs->side[side] = runs->next[side];
	runs->next[side] = swapped;
}

static void add_request(struct run *run, const struct run *from, size_t at)
{
	run->request[run->count] = from->request[at] & ~WAY_MARKS;
	run->order[run->count] = from->order[at];
	run->kind[run->count++] = from->kind[at];
}

/* What the array of a side misses goes to the side's next run. Without an array everything does. */
static void run_array(struct mmu *mmu, unsigned level, unsigned side)
{
	struct mmu_runs *runs = mmu->runs;
	const struct run *run = runs->side[side];
	struct run *next = runs->next[side];
	struct mmu_level_counters *counters = &mmu->level_counters[level];
	struct tlb_level *array = mmu->level[level].array[side][PAGE_4K];
	size_t missed = array ? tlb_run(array, run->request, run->count, runs->miss) : run->count;
	next->count = 0;
	for (size_t i = 0; i < missed; i++) {
		size_t from = array ? runs->miss[i].request : i;
		counters->misses[run->kind[from]][PAGE_4K]++;
		add_request(next, run, from);
	}
}

static bool joint(const struct mmu *mmu, unsigned level)
{
	const struct mmu_level *at = &mmu->level[level];
	return at->array[MMU_CODE][PAGE_4K] && at->array[MMU_CODE][PAGE_4K] == at->array[MMU_DATA][PAGE_4K];
}

static void count_accesses(struct mmu *mmu, unsigned level, const struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		mmu->level_counters[level].accesses[run->kind[i]]++;
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
		add_request(runs->side[!is_joint && from->kind[at] == ACCESS_CODE ? MMU_CODE : MMU_DATA], from, at);
	}
}

/* The gathered requests through all levels. */
static void run_levels(struct mmu *mmu)
{
	struct mmu_runs *runs = mmu->runs;
	for (unsigned level = 0; level < mmu->levels; level++) {
		if (level > 0) {
			hand_on(runs, joint(mmu, level - 1), joint(mmu, level));
			count_accesses(mmu, level, runs->side[MMU_DATA]);
			count_accesses(mmu, level, runs->side[MMU_CODE]);
		}
		run_array(mmu, level, MMU_DATA);
		run_array(mmu, level, MMU_CODE);
	}
	runs->side[MMU_DATA]->count = runs->side[MMU_CODE]->count = 0;
}

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

static void count_hits(struct mmu *mmu)
{
	for (unsigned level = 0; level < mmu->levels; level++) {
		struct mmu_level_counters *at = &mmu->level_counters[level];
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
			at->hits[kind][PAGE_4K] = at->accesses[kind] - at->misses[kind][PAGE_4K];
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

void mmu_runs_do(struct mmu *mmu, const struct access *in, size_t count)
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
	mmu->counters.accesses += count;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		mmu->level_counters[0].accesses[kind] += accesses[kind];
		mmu->counters.pages += accesses[kind];
	}
	count_hits(mmu);
}
