/* SPDX-License-Identifier: MIT
 *
 * bench_machine.c - how many accesses a second the machine takes, beside two yardsticks of the same run: copying the accesses,
 * and a one-level LRU cache as one writes it down without thinking of speed.
 *
 *     kmemsim-bench-machine TRACE [FIRST [PASS]]
 *
 * Each pass reads the trace anew through the reader's own thread and is timed by the processor time of this thread while it
 * handles a batch, so decoding has a line of its own: the processor time of a reader without that thread. Two rates: of the whole
 * trace, and of its first FIRST accesses, the least time of REPEATS. Each is a process of its own, whose peak memory stands
 * beside. With PASS only that one runs, once; tools/bench/run --instructions counts its instructions.
 *
 * A pass by a process of the simulated kernel is a replay as `kmemsim run` makes it (bench_process.h), and its first FIRST accesses
 * are a program of their own.
 */
#include "models/cache_settings.h"
#include "models/dram_settings.h"
#include "models/registry.h"
#include "models/settings.h"
#include "models/tlb_settings.h"
#include "sim/io/access_format.h"
#include "sim/stack_distance.h"
#include "tools/bench/bench_process.h"
#include "tools/kmemsim/count_space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPEATS 3
#define FIRST 6000000u

#define LINE_SHIFT 6
#define SETS 64u
#define WAYS 8u

static _Noreturn void give_up(const struct error *error)
{
	fprintf(stderr, "kmemsim-bench-machine: %s\n", error->text);
	exit((int)error->kind);
}

/* ---- passes ---- */

/* Of the pass with several cores. */
#define CORES 8u

struct bench_core {
	struct walker walker;
	cycle now;
};

struct rig {
	struct cache_hierarchy *caches;
	struct mmu mmu;
	struct count_space space;
	struct stack_distance *stack;
	uint64_t blocks[ACCESS_BATCH];
	struct access copy[ACCESS_BATCH];
	struct access physical[ACCESS_BATCH + MMU_ROOM];
	uint64_t tags[SETS][WAYS];
	uint64_t misses;
	struct settings settings;
	struct dram *dram;
	struct memory *memory;
	cycle now;                /* under the clock */
	struct bench_core *cores; /* CORES of them */
	struct mmu core_mmu[CORES];
};

struct pass {
	const char *name, *help;
	void (*start)(struct rig *);
	void (*run)(struct rig *, const struct access *, size_t);
	void (*end)(struct rig *);
	const char *const *settings; /* of a run with a process in place of these three; NULL: none */
};

static void nothing(struct rig *rig)
{
	(void)rig;
}

static void run_copy(struct rig *rig, const struct access *accesses, size_t count)
{
	memcpy(rig->copy, accesses, count * sizeof *accesses);
	__asm__ volatile("" : : "r"(rig->copy) : "memory");
}

/* 32 KiB, 8 ways, 64-byte lines; loads and stores alike. */
static void run_loop(struct rig *rig, const struct access *accesses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t tag = (accesses[i].address >> LINE_SHIFT) + 1, *set = rig->tags[(tag - 1) % SETS];
		unsigned way = 0;
		while (way < WAYS && set[way] != tag)
			way++;
		rig->misses += way == WAYS;
		if (way == WAYS)
			way = WAYS - 1;
		for (; way > 0; way--)
			set[way] = set[way - 1];
		set[0] = tag;
	}
}

static void make_caches(struct rig *rig, const char *const lines[3], unsigned cores)
{
	const struct cache_rules rules = {.rule = CACHE_RULE_DEMAND};
	struct cache_level_spec specs[3];
	struct error error = {0};
	for (unsigned i = 0; i < 3; i++)
		if (!cache_spec_read(lines[i], "bench", &specs[i], &error))
			give_up(&error);
	rig->caches = caches_create(specs, 3, &rules, cores, 1, SIMD_AUTO, &error);
	for (unsigned i = 0; i < 3; i++)
		cache_spec_release(&specs[i]);
	if (!rig->caches)
		give_up(&error);
}

static void start_caches(struct rig *rig)
{
	static const char *const lines[] = {"l1d size=32KiB ways=8 serves=data", "l2 size=1MiB ways=16", "llc size=8MiB ways=16"};
	make_caches(rig, lines, 1);
}

static void run_caches(struct rig *rig, const struct access *accesses, size_t count)
{
	cache_hierarchy_run(rig->caches, accesses, count);
}

static void end_caches(struct rig *rig)
{
	cache_hierarchy_check(rig->caches);
	cache_hierarchy_destroy(rig->caches);
}

static void make_tlbs(struct mmu *mmu, bool walks)
{
	static const char *const lines[] = {"dtlb entries=64 ways=4 serves=data", "stlb level=2 entries=1536 ways=12"};
	struct tlb_spec specs[2];
	struct error error = {0};
	for (unsigned i = 0; i < 2; i++)
		if (!tlb_spec_read(lines[i], "bench", &specs[i], &error))
			give_up(&error);
	const struct tlbs_wiring wiring = {.specs = specs, .count = 2, .words = walks, .seed = 1, .simd = SIMD_AUTO};
	if (!tlbs_create(mmu, &wiring, &error))
		give_up(&error);
	for (unsigned i = 0; i < 2; i++)
		tlb_spec_release(&specs[i]);
}

static void start_tlbs(struct rig *rig, bool walks)
{
	struct error error = {0};
	make_tlbs(&rig->mmu, walks);
	if (walks && !count_space_init(&rig->space, &error))
		give_up(&error);
	if (walks)
		count_space_attach(&rig->space, &rig->mmu);
	mmu_init(&rig->mmu);
}

static void start_demand(struct rig *rig)
{
	start_caches(rig);
	start_tlbs(rig, false);
}

static void run_demand(struct rig *rig, const struct access *accesses, size_t count)
{
	size_t made;
	for (size_t done = 0; done < count;)
		done += mmu_run(&rig->mmu, accesses + done, count - done, NULL, 0, &made);
	cache_hierarchy_run(rig->caches, accesses, count);
}

static void end_demand(struct rig *rig)
{
	end_caches(rig);
	mmu_check(&rig->mmu);
	mmu_release(&rig->mmu);
}

static void start_walks(struct rig *rig)
{
	start_caches(rig);
	start_tlbs(rig, true);
}

static void start_translation(struct rig *rig)
{
	start_tlbs(rig, true);
}

static void run_translation(struct rig *rig, const struct access *accesses, size_t count)
{
	size_t made;
	for (size_t done = 0; done < count;)
		done += mmu_run(&rig->mmu, accesses + done, count - done, rig->physical, ACCESS_BATCH + MMU_ROOM, &made);
}

static void end_translation(struct rig *rig)
{
	mmu_check(&rig->mmu);
	mmu_release(&rig->mmu);
	count_space_check(&rig->space);
	count_space_release(&rig->space);
}

static void run_walks(struct rig *rig, const struct access *accesses, size_t count)
{
	size_t made;
	for (size_t done = 0; done < count;) {
		done += mmu_run(&rig->mmu, accesses + done, count - done, rig->physical, ACCESS_BATCH + MMU_ROOM, &made);
		cache_hierarchy_run(rig->caches, rig->physical, made);
	}
}

static void end_walks(struct rig *rig)
{
	end_caches(rig);
	end_translation(rig);
}

static void start_distances(struct rig *rig)
{
	rig->stack = stack_distance_create();
}

static void run_distances(struct rig *rig, const struct access *accesses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rig->blocks[i] = accesses[i].address >> LINE_SHIFT;
	stack_distance_count(rig->stack, rig->blocks, count);
}

static void end_distances(struct rig *rig)
{
	stack_distance_check(rig->stack);
	stack_distance_destroy(rig->stack);
}

/* The memory under the clock of so many cores, made of rig->caches and these MMUs. */
static void make_timed(struct rig *rig, unsigned cores, struct mmu *mmu)
{
	struct error error = {0};
	settings_init(&rig->settings);
	rig->settings.machine.cpus = cores;
	rig->dram = dram_of_settings(&rig->settings, &error);
	if (!rig->dram)
		give_up(&error);
	const struct memory_wiring wiring = {.settings = &rig->settings, .caches = rig->caches, .mmu = mmu, .dram = rig->dram};
	rig->memory = memory_model("timed", &error)->create(&wiring, &error);
	if (!rig->memory)
		give_up(&error);
}

/* Caches, TLBs and walker of `walks`, under the clock: each request begins when the one before it is done. */
static void start_timed(struct rig *rig)
{
	start_walks(rig);
	make_timed(rig, 1, &rig->mmu);
}

static void run_timed(struct rig *rig, const struct access *accesses, size_t count)
{
	cycle now = rig->now;
	struct cost cost;
	for (size_t i = 0, planned = 0; i < count; i++) {
		if (i >= planned) /* each run is known beforehand */
			planned = i + memory_plan(rig->memory, accesses + i, count - i);
		const struct memory_request request = {
		        .address = accesses[i].address, .bytes = accesses[i].bytes, .kind = accesses[i].kind, .now = now};
		now = memory_access(rig->memory, &request, &cost);
	}
	rig->now = now;
}

static void end_memory(struct rig *rig)
{
	rig->memory->ops->check(rig->memory);
	memory_destroy(rig->memory);
	dram_destroy(rig->dram);
	settings_release(&rig->settings);
}

static void end_timed(struct rig *rig)
{
	end_memory(rig);
	end_walks(rig);
}

/* Eight cores with caches, TLBs and walkers of their own, but for the last level and the tables. */
static void start_cores(struct rig *rig)
{
	static const char *const lines[] = {"l1d size=32KiB ways=8 serves=data", "l2 size=1MiB ways=16",
	                                    "llc size=8MiB ways=16 cores=all"};
	make_caches(rig, lines, CORES);
	start_tlbs(rig, true);
	rig->cores = xcalloc(CORES, sizeof *rig->cores);
	for (unsigned cpu = 0; cpu < CORES; cpu++) {
		struct bench_core *core = &rig->cores[cpu];
		core->walker = (struct walker){
		        .mode = rig->space.walker.mode, .controls = rig->space.walker.controls, .memory = &rig->space.memory};
		walker_load_root(&core->walker, rig->space.tables.root, 0);
		make_tlbs(&rig->core_mmu[cpu], true);
		rig->core_mmu[cpu].fault = rig->mmu.fault;
		rig->core_mmu[cpu].context = rig->mmu.context;
		rig->core_mmu[cpu].walker = &core->walker;
		mmu_init(&rig->core_mmu[cpu]);
	}
	make_timed(rig, CORES, rig->core_mmu);
}

/* Dealt in runs of so many accesses: cores share lines and pages, but not each of them at each turn. */
#define DEAL 64u

static void run_cores(struct rig *rig, const struct access *accesses, size_t count)
{
	struct cost cost;
	for (size_t i = 0; i < count; i++) {
		unsigned cpu = (unsigned)(i / DEAL % CORES);
		const struct memory_request request = {.address = accesses[i].address,
		                                       .bytes = accesses[i].bytes,
		                                       .cpu = (uint16_t)cpu,
		                                       .kind = accesses[i].kind,
		                                       .now = rig->cores[cpu].now};
		rig->cores[cpu].now = memory_access(rig->memory, &request, &cost);
	}
}

static void end_cores(struct rig *rig)
{
	end_memory(rig);
	for (unsigned cpu = 0; cpu < CORES; cpu++) {
		mmu_release(&rig->core_mmu[cpu]);
		walker_release(&rig->cores[cpu].walker);
	}
	free(rig->cores);
	end_walks(rig);
}

/* The machine of `timed`, with a kernel: page tables from its page allocator, faults, the kernel's own accesses. */
static const char *const process_settings[] = {
        "machine.memory_model=timed", "machine.paging=x86_4level",
        "machine.caches=l1d size=32KiB ways=8 serves=data,l2 size=1MiB ways=16,llc size=8MiB ways=16",
        "machine.tlbs=dtlb entries=64 ways=4 serves=data,stlb level=2 entries=1536 ways=12", NULL};
static const char *const skylake_settings[] = {"machine=skylake", NULL};

static const struct pass passes[] = {
        {"memcpy", "yardstick: copy the accesses", nothing, run_copy, nothing, NULL},
        {"loop", "yardstick: one level, scalar loop", nothing, run_loop, nothing, NULL},
        {"caches", "three caches", start_caches, run_caches, end_caches, NULL},
        {"demand", "three caches and two TLBs", start_demand, run_demand, end_demand, NULL},
        {"translation", "translated, no caches", start_translation, run_translation, end_translation, NULL},
        {"walks", "translated, walker's references in the caches", start_walks, run_walks, end_walks, NULL},
        {"timed", "the same under the clock, one by one", start_timed, run_timed, end_timed, NULL},
        {.name = "process", .help = "the same, made by a process of the kernel", .settings = process_settings},
        {.name = "skylake", .help = "made by a process on machine: skylake", .settings = skylake_settings},
        {"cores", "eight cores under the clock, together", start_cores, run_cores, end_cores, NULL},
        {"distances", "stack distances of lines", start_distances, run_distances, end_distances, NULL},
        {0},
};

/* ---- timing ---- */

struct pass_time {
	double whole, first;
	uint64_t accesses, first_accesses;
	double peak_mib;
	char format[32]; /* of the trace */
};

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The only function whose instructions are counted. */
__attribute__((noinline)) static void run_pass_batch(const struct pass *pass, struct rig *rig, const struct access *batch,
                                                     size_t count)
{
	pass->run(rig, batch, count);
	__asm__ volatile("" : : : "memory");
}

static struct pass_time time_process(const struct pass *pass, const char *path, uint64_t first)
{
	struct process_time whole, beginning;
	struct error error = {0};
	if (!process_bench(path, UINT64_MAX, pass->settings, &whole, &error) ||
	    !process_bench(path, first, pass->settings, &beginning, &error))
		give_up(&error);
	return (struct pass_time){.whole = whole.seconds,
	                          .first = beginning.seconds,
	                          .accesses = whole.accesses,
	                          .first_accesses = beginning.accesses};
}

static struct pass_time time_pass(const struct pass *pass, const char *path, uint64_t first)
{
	if (pass->settings)
		return time_process(pass, path, first);
	static struct access batch[ACCESS_BATCH];
	struct pass_time timing = {0};
	struct error error = {0};
	struct rig *rig = xcalloc(1, sizeof *rig);
	pass->start(rig);
	struct access_source *source = access_source_open(path, NULL, &error);
	size_t count;
	while (source && access_source_read(source, batch, ACCESS_BATCH, &count, &error) && count > 0) {
		double started = seconds(CLOCK_THREAD_CPUTIME_ID);
		run_pass_batch(pass, rig, batch, count);
		timing.whole += seconds(CLOCK_THREAD_CPUTIME_ID) - started;
		timing.accesses += count;
		if (timing.accesses <= first) {
			timing.first = timing.whole;
			timing.first_accesses = timing.accesses;
		}
	}
	if (error.kind != ERROR_NONE)
		give_up(&error);
	access_source_close(source);
	pass->end(rig);
	free(rig);
	return timing;
}

/* Unpacks and parses the trace on this thread. */
static struct pass_time time_decoding(const char *path)
{
	static struct access batch[ACCESS_BATCH];
	struct pass_time timing = {0};
	struct error error = {0};
	double started = seconds(CLOCK_THREAD_CPUTIME_ID);
	struct access_source *source = access_reader_open(path, NULL, &error);
	size_t count;
	while (source && access_source_read(source, batch, ACCESS_BATCH, &count, &error) && count > 0)
		timing.accesses += count;
	if (error.kind != ERROR_NONE)
		give_up(&error);
	timing.whole = seconds(CLOCK_THREAD_CPUTIME_ID) - started;
	snprintf(timing.format, sizeof timing.format, "%s", source->ops->name);
	access_source_close(source);
	return timing;
}

/*
 * A pass, NULL: decoding, in a process of its own, so that its peak memory is its own too: what getrusage() says of all its
 * pages, those of the program and its libraries among them.
 */
static struct pass_time time_alone(const struct pass *pass, const char *path, uint64_t first)
{
	struct pass_time timing = {0};
	struct rusage usage;
	int ends[2], status = 0;
	fflush(stdout); /* or the child would print it once more */
	bool told = pipe(ends) == 0;
	pid_t child = told ? fork() : -1;
	if (child == 0) {
		timing = pass ? time_pass(pass, path, first) : time_decoding(path);
		_exit(write(ends[1], &timing, sizeof timing) == (ssize_t)sizeof timing ? EXIT_SUCCESS : (int)ERROR_HOST);
	}
	told = child > 0 && close(ends[1]) == 0 && read(ends[0], &timing, sizeof timing) == (ssize_t)sizeof timing;
	if (child > 0)
		close(ends[0]);
	if (child < 0 || wait4(child, &status, 0, &usage) != child || !told) {
		bool was_told = WIFEXITED(status) && WEXITSTATUS(status); /* give_up() said what */
		if (!was_told)
			fprintf(stderr, "kmemsim-bench-machine: a pass ended before its time\n");
		exit(was_told ? WEXITSTATUS(status) : (int)ERROR_HOST);
	}
	timing.peak_mib = (double)usage.ru_maxrss / 1024.0;
	return timing;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* The least times and the most memory of REPEATS. */
static struct pass_time best_alone(const struct pass *pass, const char *path, uint64_t first)
{
	struct pass_time best = time_alone(pass, path, first);
	for (unsigned repeat = 1; repeat < REPEATS; repeat++) {
		struct pass_time timing = time_alone(pass, path, first);
		best.whole = least(best.whole, timing.whole);
		best.first = least(best.first, timing.first);
		best.peak_mib = timing.peak_mib > best.peak_mib ? timing.peak_mib : best.peak_mib;
	}
	return best;
}

static void bench_pass(const struct pass *pass, const char *path, uint64_t first)
{
	struct pass_time best = best_alone(pass, path, first);
	printf("%-46s %8.1f %8.1f M accesses/s %6.1f MiB\n", pass->help, (double)best.accesses / best.whole / 1e6,
	       (double)best.first_accesses / best.first / 1e6, best.peak_mib);
}

/* The trace's format is named, so that traces of other formats can be set beside. */
static void bench_decoding(const char *path)
{
	struct pass_time best = best_alone(NULL, path, 0);
	char help[64];
	snprintf(help, sizeof help, "decoding (%s)", best.format);
	printf("%-46s %8.1f          M accesses/s %6.1f MiB\n", help, (double)best.accesses / best.whole / 1e6, best.peak_mib);
}

static const struct pass *pass_named(const char *name)
{
	const struct pass *pass = passes;
	while (pass->name && strcmp(pass->name, name) != 0)
		pass++;
	if (!pass->name) {
		fprintf(stderr, "kmemsim-bench-machine: there is no pass '%s'\n", name);
		exit(ERROR_USAGE);
	}
	return pass;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (const struct pass *pass = passes; pass->name; pass++)
			printf("%s\n", pass->name);
		return EXIT_SUCCESS;
	}
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "Usage: kmemsim-bench-machine TRACE [FIRST [PASS]]\n");
		return ERROR_USAGE;
	}
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : FIRST;
	if (argc == 4) {
		struct pass_time timing = time_pass(pass_named(argv[3]), argv[1], first);
		printf("%llu\n", (unsigned long long)timing.accesses);
		return EXIT_SUCCESS;
	}
	printf("%-46s %8s %8s %14s %10s\n", "", "whole", "first", "", "peak");
	bench_decoding(argv[1]);
	for (const struct pass *pass = passes; pass->name; pass++)
		bench_pass(pass, argv[1], first);
	return EXIT_SUCCESS;
}
