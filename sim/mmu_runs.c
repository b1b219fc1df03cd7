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

/* One page of an access: a request, unless the side's array was asked for this page last. */
static inline void gather(struct mmu *mmu, uint64_t address, uint8_t kind, uint32_t order, unsigned side)
{
	struct run *run = mmu->runs->side[side];
	uint64_t page = address >> PAGE_SHIFT & TLB_NUMBER;
	mmu->level_counters[0].accesses[kind]++;
	if (run->count && run->request[run->count - 1] >> PAGE_SHIFT == page) {
		run->request[run->count - 1] |= USED_AGAIN;
		return;
	}
	run->request[run->count] = page << PAGE_SHIFT;
	run->order[run->count] = order;
	run->kind[run->count++] = kind;
}

void mmu_runs_do(struct mmu *mmu, const struct access *in, size_t count)
{
	unsigned code_side = joint(mmu, 0) ? MMU_DATA : MMU_CODE;
	uint32_t order = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t address = in[i].address, pages = ((address & (PAGE_SIZE - 1)) + in[i].bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
		unsigned side = in[i].kind == ACCESS_CODE ? code_side : MMU_DATA;
		for (uint64_t page = 0; page < (pages ? pages : 1); page++) {
			if (order == RUN_MAX) {
				run_levels(mmu);
				order = 0;
			}
			gather(mmu, address + (page << PAGE_SHIFT), in[i].kind, order++, side);
			mmu->counters.pages++;
		}
	}
	mmu->counters.accesses += count;
	run_levels(mmu);
	for (unsigned level = 0; level < mmu->levels; level++) {
		struct mmu_level_counters *at = &mmu->level_counters[level];
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
			at->hits[kind][PAGE_4K] = at->accesses[kind] - at->misses[kind][PAGE_4K];
	}
}
