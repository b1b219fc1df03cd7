/* SPDX-License-Identifier: MIT
 *
 * dentries.c - ageing: names and inodes fill a share of memory, then old ones go and new ones come.
 *
 * Each is a dentry and an inode, some with a page of the page cache. Their lifetimes are drawn from a distribution with a long
 * tail: one of at least 2^n units lives twice as long with `tail` percent (Pareto's law with the exponent -log2(tail)). While
 * memory fills nothing goes; from then on each step frees the one whose life ends first, and its successor lives as much longer
 * as is drawn. So most slabs lose most of their objects soon, and a few old objects hold them.
 *
 * With `huge` a program comes by each `huge_every` that touches so much of memory in huge pages, and ends. Its faults are those
 * of Linux 6.1 (vma_thp_gfp_mask) with the sysctl transparent_hugepage/defrag at madvise.
 *
 * Algorithm: a binary heap by the end of life, then by age; it has as many entries as live.
 * MODEL: where a huge page is not to be had, the program goes without; a kernel gives it small ones.
 * MODEL: the kernel's shrinker (fs/dcache.c, shrink_dcache_sb) frees by recent use; here the lifetime decides.
 */
#include "models/kernel_load.h"

#include <stdlib.h>

extern const struct workload_ops workload_dentries_ops;

struct dentries {
	char *name;
	struct load_pace pace;
	uint64_t grace_ns;
	uint32_t fill, swing, tail, cached, huge;
	uint64_t huge_every_ns;
	bool madvise;
};

#define AT(field) .offset = offsetof(struct dentries, field), .size = sizeof(((struct dentries *)0)->field)

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct dentries, "dentries"),
        LOAD_PACE_KEYS(struct dentries, "changes", "1000", "20000"),
        {.key = "fill",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "25",
         .min = 1,
         .max = 90,
         .help = "Of memory are objects and their pages, before the first goes",
         .source = LOAD_CHOICE,
         AT(fill)},
        {.key = "swing",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "50",
         .min = 0,
         .max = 99,
         .help = "Of them go beyond the changes, one with each, then come back: as when memory is wanted elsewhere",
         .source = LOAD_CHOICE,
         AT(swing)},
        {.key = "tail",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "50",
         .min = 0,
         .max = 99,
         .help = "Of those that lived so long live twice as long",
         .source = LOAD_CHOICE,
         AT(tail)},
        {.key = "cached",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "50",
         .min = 0,
         .max = 100,
         .help = "Of the files have a page in the page cache",
         .source = LOAD_CHOICE,
         AT(cached)},
        {.key = "huge",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "none",
         .zero_word = "none",
         .min = 1,
         .max = 90,
         .help = "Of memory a program asks for in huge pages (2 MiB)",
         .source = "a choice: no such program",
         AT(huge)},
        {.key = "huge_every",
         .type = SETTING_DURATION,
         .default_text = "1 min",
         .min = 1000000,
         .max = 366ull * 24 * 3600 * 1000000000,
         .help = "From one such program to the next",
         .source = LOAD_CHOICE,
         AT(huge_every_ns)},
        {.key = "madvise",
         .type = SETTING_BOOL,
         .default_text = "true",
         .help = "These programs say MADV_HUGEPAGE: memory is compacted for them",
         .source = "a choice: a program that is asked about does",
         AT(madvise)},
        LOAD_GRACE_KEY(struct dentries),
        {.key = NULL},
};

/* HPAGE_PMD_ORDER of x86-64. */
#define HUGE_ORDER 9

/* Lives longer than 2^40 units are cut: with as many changes nobody would see one end. */
#define DOUBLINGS_MAX 40

struct name {
	uint64_t ends, born; /* in units of life; which of all */
	workload_block dentry, inode, page;
	bool has_page;
};

struct state {
	struct workload *workload;
	const struct dentries *values;
	struct rcu_frees rcu;
	workload_kind dentry, inode, page, huge_page;
	uint64_t huge_ns;  /* when the next program asks for huge pages */
	struct name *heap; /* the one that ends first is first */
	uint32_t count, room;
	uint64_t born, now; /* now: in units of life */
	bool is_full, is_falling;
};

static uint64_t fill_bytes(const struct state *state)
{
	return workload_memory_bytes(state->workload) / 100 * state->values->fill;
}

/* How many fill that share. */
static uint64_t count_names(const struct state *state)
{
	uint64_t each = 100 * ((uint64_t)kernel_caches[CACHE_DENTRY].bytes + kernel_caches[CACHE_INODE].bytes) +
	                PAGE_SIZE * (uint64_t)state->values->cached;
	uint64_t names = fill_bytes(state) * 100 / each;
	return names < 1 ? 1 : names < UINT32_MAX / 2 ? names : UINT32_MAX / 2;
}

static bool ends_before(const struct name *left, const struct name *right)
{
	return left->ends != right->ends ? left->ends < right->ends : left->born < right->born;
}

static void heap_push(struct state *state, const struct name *name)
{
	uint32_t at = state->count++;
	SIM_ASSERT(state->count <= state->room);
	for (; at > 0 && ends_before(name, &state->heap[(at - 1) / 2]); at = (at - 1) / 2)
		state->heap[at] = state->heap[(at - 1) / 2];
	state->heap[at] = *name;
}

static struct name heap_pop(struct state *state)
{
	struct name first = state->heap[0], last = state->heap[--state->count];
	uint32_t at = 0;
	for (uint32_t child = 1; child < state->count; child = 2 * at + 1) {
		if (child + 1 < state->count && ends_before(&state->heap[child + 1], &state->heap[child]))
			child++;
		if (ends_before(&last, &state->heap[child]))
			break;
		state->heap[at] = state->heap[child];
		at = child;
	}
	state->heap[at] = last;
	return first;
}

/* 2^n units with n doublings, and anything up to the next. */
static uint64_t any_life(struct state *state)
{
	unsigned doublings = 0;
	while (doublings < DOUBLINGS_MAX && load_chance(state->workload, state->values->tail))
		doublings++;
	uint64_t units = 1ull << (doublings + 16); /* a unit has 2^16 parts, so that few end together */
	return units + (rng_next(workload_rng(state->workload)) & (units - 1));
}

static void make_name(struct state *state)
{
	struct workload *workload = state->workload;
	unsigned cpu = load_any_cpu(workload);
	struct name name = {.ends = state->now + any_life(state), .born = state->born++};
	name.dentry = workload_alloc(workload, cpu, state->dentry);
	name.inode = workload_alloc(workload, cpu, state->inode);
	name.has_page = load_chance(workload, state->values->cached);
	if (name.has_page)
		name.page = workload_alloc(workload, cpu, state->page);
	heap_push(state, &name);
}

/* evict(): pages, then by RCU the rest. */
static void end_name(struct state *state)
{
	struct name name = heap_pop(state);
	unsigned cpu = load_any_cpu(state->workload);
	state->now = name.ends;
	if (name.has_page)
		workload_free(state->workload, cpu, name.page);
	rcu_frees_add(&state->rcu, cpu, name.inode);
	rcu_frees_add(&state->rcu, cpu, name.dentry);
}

static void *begin(struct workload *workload, const void *opaque)
{
	const struct dentries *values = opaque;
	struct state *state = xcalloc(1, sizeof *state);
	state->workload = workload;
	state->values = values;
	rcu_frees_init(&state->rcu, workload, values->grace_ns);
	state->dentry = kernel_object(workload, CACHE_DENTRY, "__d_alloc", GFP_KERNEL);
	state->inode = kernel_object(workload, CACHE_INODE, "alloc_inode", GFP_KERNEL);
	state->page = workload_pages(workload, "filemap_alloc_folio", 0, GFP_HIGHUSER_MOVABLE | __GFP_COMP);
	gfp huge = values->madvise ? GFP_TRANSHUGE : GFP_TRANSHUGE_LIGHT;
	state->huge_ns = values->huge_every_ns;
	if (values->huge > 0)
		state->huge_page = workload_pages(workload, "do_huge_pmd_anonymous_page", HUGE_ORDER, huge);
	state->room = (uint32_t)count_names(state);
	state->heap = xcalloc(state->room, sizeof *state->heap);
	return state;
}

/* One more goes or comes, between the full share and what the swing leaves of it. */
static void swing(struct state *state)
{
	uint32_t least = state->room - (uint32_t)((uint64_t)state->room * state->values->swing / 100);
	if (least == state->room)
		return;
	if (state->count == state->room)
		state->is_falling = true;
	else if (state->count <= least || state->count == 1)
		state->is_falling = false;
	if (state->is_falling)
		end_name(state);
	else
		make_name(state);
}

static void ask_for_huge_pages(struct state *state)
{
	uint64_t bytes = workload_memory_bytes(state->workload) / 100 * state->values->huge;
	unsigned cpu = load_any_cpu(state->workload);
	struct block_list pages = {0};
	block_list_alloc(&pages, state->workload, cpu, state->huge_page, (uint32_t)(bytes / (PAGE_SIZE << HUGE_ORDER)));
	block_list_free(&pages, state->workload, cpu);
	block_list_release(&pages);
	state->huge_ns += state->values->huge_every_ns;
}

static void step(void *load)
{
	struct state *state = load;
	/* Filling takes no step of its own: it is the state that the question begins with. */
	while (!state->is_full && state->count < state->room)
		make_name(state);
	state->is_full = true;
	rcu_frees_run(&state->rcu);
	if (state->values->huge > 0 && workload_now_ns(state->workload) >= state->huge_ns)
		ask_for_huge_pages(state);
	end_name(state);
	make_name(state);
	swing(state);
}

static void end(void *load)
{
	struct state *state = load;
	while (state->count > 0)
		end_name(state);
	rcu_frees_end(&state->rcu);
	free(state->heap);
	free(state);
}

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &dentries_load, values, &((const struct dentries *)values)->pace);
}

const struct workload_ops workload_dentries_ops = {
        .name = "dentries",
        .help = "names and inodes that fill memory, then change: ageing",
        .keys = keys,
        .values_bytes = sizeof(struct dentries),
        .generate = generate,
};

const struct kernel_load dentries_load = {.workload = &workload_dentries_ops, .begin = begin, .step = step, .end = end};
