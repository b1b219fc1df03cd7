/* SPDX-License-Identifier: MIT
 *
 * working_set.c - one process on each core that uses memory of its own: pages in turn, at random, or some far more often than
 * others.
 *
 * The process maps its memory and touches each page once, in turn; that is the beginning. A step of the load is one access of one
 * core to one page after it. With `file` the memory is a file that is mapped shared, with a number of its own for each core. At
 * the end the processes exit, and all of it comes back.
 *
 * Of `zipf` the page of rank k is used in proportion to 1/k; ranks lie anywhere in memory, drawn once.
 */
#include "models/kernel_load.h"
#include "sim/port/user_memory.h"

#include <stdlib.h>

static const char *const reading_names[] = {"normal", "random", "sequential", NULL};
static const enum user_advice advice_of_reading[] = {USER_READ_NORMAL, USER_READ_RANDOM, USER_READ_SEQUENTIAL};

enum working_set_pattern { SET_SEQUENTIAL, SET_UNIFORM, SET_ZIPF };
static const char *const pattern_names[] = {"sequential", "uniform", "zipf", NULL};

struct working_set {
	char *name;
	struct load_pace pace;
	uint64_t bytes;
	uint32_t percent, writes;
	enum working_set_pattern pattern;
	bool file;
	uint32_t reading; /* of advice_of_reading */
};

#define AT(field) .offset = offsetof(struct working_set, field), .size = sizeof(((struct working_set *)0)->field)

static const struct setting keys[] = {
        {.key = "name",
         .type = SETTING_STRING,
         .default_text = "",
         .help = "working_set",
         .source = "every line has one",
         AT(name)},
        LOAD_PACE_KEYS(struct working_set, "accesses", "100000", "1000000"),
        {.key = "bytes",
         .type = SETTING_SIZE,
         .default_text = "none",
         .zero_word = "none",
         .min = 4096,
         .max = (uint64_t)1 << 36,
         .help = "Memory of each core's process; none: as percent says",
         .source = LOAD_CHOICE,
         AT(bytes)},
        {.key = "percent",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "150",
         .min = 1,
         .max = 10000,
         .help = "Without bytes: of machine.memory, that of all processes together",
         .source = LOAD_CHOICE,
         AT(percent)},
        {.key = "writes",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "50",
         .min = 0,
         .max = 100,
         .help = "Of the accesses are stores, others loads; of the first ones to each page all are stores",
         .source = LOAD_CHOICE,
         AT(writes)},
        {.key = "pattern",
         .type = SETTING_ENUM,
         .names = pattern_names,
         .default_text = "uniform",
         .help = "sequential: in turn; uniform: any page; zipf: the page of rank k in proportion to 1/k",
         .source = LOAD_CHOICE,
         AT(pattern)},
        {.key = "file",
         .type = SETTING_BOOL,
         .default_text = "false",
         .help = "The memory is a mapped file, whose first touches are loads; else anonymous",
         .source = LOAD_CHOICE,
         AT(file)},
        {.key = "reading",
         .type = SETTING_ENUM,
         .names = reading_names,
         .default_text = "normal",
         .help = "Of a file: how it will be read, as its process says (MADV_RANDOM, MADV_SEQUENTIAL)",
         .source = LOAD_CHOICE,
         AT(reading)},
        {.key = NULL},
};

/* Ranks are drawn by the sums of 1/k in steps of 2^-32. */
#define ZIPF_UNIT 4294967296ull
#define FIRST_FILE 1000u

struct load {
	struct workload *workload;
	const struct working_set *values;
	uint32_t pages; /* of each process */
	unsigned cpus, next;
	uint64_t start;            /* of each process's memory */
	workload_block *processes; /* owned, one a core */
	uint32_t *at;              /* owned, likewise: the next page in turn */
	uint64_t *sums;            /* owned: of 1/k up to each rank */
	uint32_t *page_of_rank;    /* owned */
};

static void touch(struct load *load, unsigned cpu, uint32_t page, enum touch_kind kind)
{
	const struct workload_touch run = {
	        .address = load->start + ((uint64_t)page << PAGE_SHIFT), .bytes = 8, .stride = 8, .kind = kind};
	workload_touch(load->workload, cpu, load->processes[cpu], &run);
}

static void draw_ranks(struct load *load)
{
	uint64_t sum = 0;
	load->sums = xcalloc(load->pages, sizeof *load->sums);
	load->page_of_rank = xcalloc(load->pages, sizeof *load->page_of_rank);
	for (uint32_t rank = 0; rank < load->pages; rank++) {
		sum += ZIPF_UNIT / (rank + 1);
		load->sums[rank] = sum;
		uint32_t other = rng_below(workload_rng(load->workload), rank + 1);
		load->page_of_rank[rank] = load->page_of_rank[other];
		load->page_of_rank[other] = rank;
	}
}

/* The first rank whose sum is above a number drawn below the last one's. */
static uint32_t page_by_rank(struct load *load)
{
	uint64_t drawn = rng_next(workload_rng(load->workload)) % load->sums[load->pages - 1];
	uint32_t low = 0, high = load->pages - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (load->sums[middle] > drawn)
			high = middle;
		else
			low = middle + 1;
	}
	return load->page_of_rank[low];
}

static uint32_t next_page(struct load *load, unsigned cpu)
{
	if (load->values->pattern == SET_ZIPF)
		return page_by_rank(load);
	if (load->values->pattern == SET_UNIFORM)
		return rng_below(workload_rng(load->workload), load->pages);
	uint32_t page = load->at[cpu];
	load->at[cpu] = (page + 1) % load->pages;
	return page;
}

static uint32_t pages_of_each(const struct load *load)
{
	const struct working_set *values = load->values;
	uint64_t bytes = values->bytes;
	if (!bytes)
		bytes = workload_memory_bytes(load->workload) / 100 * values->percent / load->cpus;
	uint64_t pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
	return pages ? (uint32_t)pages : 1;
}

static void start_process(struct load *load, unsigned cpu)
{
	const struct working_set *values = load->values;
	const struct user_area_request request = {.start = load->start,
	                                          .pages = load->pages,
	                                          .kind = values->file ? USER_FILE_SHARED : USER_ANONYMOUS,
	                                          .rights = USER_READ | USER_WRITE,
	                                          .file = values->file ? FIRST_FILE + cpu : 0};
	load->processes[cpu] = workload_process_create(load->workload, cpu);
	workload_process_map(load->workload, cpu, load->processes[cpu], &request);
	enum user_advice advice = advice_of_reading[values->reading];
	if (advice != USER_READ_NORMAL)
		workload_process_advise(load->workload, cpu, load->processes[cpu], load->start, load->pages, advice);
	for (uint32_t page = 0; page < load->pages; page++)
		touch(load, cpu, page, values->file ? TOUCH_READ : TOUCH_WRITE);
}

static void *begin(struct workload *workload, const void *opaque)
{
	struct load *load = xcalloc(1, sizeof *load);
	load->workload = workload;
	load->values = opaque;
	load->cpus = workload_cpus(workload);
	load->pages = pages_of_each(load);
	load->start = workload_map_start(workload);
	load->processes = xcalloc(load->cpus, sizeof *load->processes);
	load->at = xcalloc(load->cpus, sizeof *load->at);
	if (load->values->pattern == SET_ZIPF)
		draw_ranks(load);
	bool has_room = workload_has_room(workload, load->start, load->pages, load->values->bytes ? "bytes" : "percent");
	for (unsigned cpu = 0; cpu < load->cpus && has_room; cpu++)
		start_process(load, cpu);
	return load;
}

static void step(void *opaque)
{
	struct load *load = opaque;
	unsigned cpu = load->next++ % load->cpus;
	bool write = load_chance(load->workload, load->values->writes);
	touch(load, cpu, next_page(load, cpu), write ? TOUCH_WRITE : TOUCH_READ);
}

static void end(void *opaque)
{
	struct load *load = opaque;
	for (unsigned cpu = 0; cpu < load->cpus && !workload_has_failed(load->workload); cpu++)
		workload_process_exit(load->workload, cpu, load->processes[cpu]);
	free(load->processes);
	free(load->at);
	free(load->sums);
	free(load->page_of_rank);
	free(load);
}

extern const struct workload_ops workload_working_set_ops;

static const struct kernel_load working_set_load = {
        .workload = &workload_working_set_ops, .begin = begin, .step = step, .end = end};

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &working_set_load, values, &((const struct working_set *)values)->pace);
}

const struct workload_ops workload_working_set_ops = {
        .name = "working_set",
        .help = "a process on each core that uses memory of its own, more than there is if asked to",
        .keys = keys,
        .values_bytes = sizeof(struct working_set),
        .generate = generate,
};
