/* SPDX-License-Identifier: MIT
 *
 * bench.c - the rates that kmemsim promises, each beside a yardstick of the same run on the same machine.
 *
 *     kmemsim-bench TRACE.txt      (uncompressed text; tools/bench/run unpacks one)
 *
 * Times are processor seconds of this process, the least of REPEATS; ratios of two lines hold better than the lines themselves.
 */
#include "models/settings.h"
#include "sim/store.h"
#include "sim/trace.h"
#include "tools/kmemsim/recorded.h"
#include "tools/kmemsim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPEATS 5

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static _Noreturn void give_up(const struct error *error)
{
	fprintf(stderr, "kmemsim-bench: %s\n", error->text);
	exit((int)error->kind);
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void bench_yardsticks(const char *text, size_t bytes)
{
	double copy = 1e9, lines = 1e9;
	char *from = xcalloc(bytes, 1), *to = xcalloc(bytes, 1);
	char *command = xasprintf("cat '%s' | wc -l > /dev/null", text);
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		double started = seconds(CLOCK_PROCESS_CPUTIME_ID);
		memcpy(to, from, bytes);
		__asm__ volatile("" : : "r"(to) : "memory");
		copy = least(copy, seconds(CLOCK_PROCESS_CPUTIME_ID) - started);
		started = seconds(CLOCK_MONOTONIC);
		int status = system(command);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			lines = least(lines, seconds(CLOCK_MONOTONIC) - started);
	}
	printf("memcpy of the text          %10.0f MB/s\n", (double)bytes / copy / 1e6);
	printf("cat | wc -l (wall)          %10.0f MB/s\n", (double)bytes / lines / 1e6);
	free(command);
	free(from);
	free(to);
}

static void bench_import(const char *text, const char *kmt, size_t bytes)
{
	double best = 1e9;
	struct error error = {0};
	struct trace_summary summary;
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		double started = seconds(CLOCK_PROCESS_CPUTIME_ID);
		if (!trace_import(text, kmt, TRACE_PROCESSES, NULL, &summary, &error))
			give_up(&error);
		best = least(best, seconds(CLOCK_PROCESS_CPUTIME_ID) - started);
	}
	printf("import of the text          %10.0f MB/s    %.1f M lines/s\n", (double)bytes / best / 1e6,
	       (double)summary.lines / best / 1e6);
}

static void bench_decode(const char *kmt)
{
	static struct op batch[1024];
	double best = 1e9;
	struct error error = {0};
	struct trace *trace = trace_open(kmt, &error);
	if (!trace)
		give_up(&error);
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		double started = seconds(CLOCK_PROCESS_CPUTIME_ID);
		size_t count = 1;
		if (!trace_rewind(trace, &error))
			give_up(&error);
		while (count > 0)
			if (!trace_next(trace, batch, sizeof batch / sizeof batch[0], &count, &error))
				give_up(&error);
		best = least(best, seconds(CLOCK_PROCESS_CPUTIME_ID) - started);
	}
	printf("decoding .kmt               %10.1f M ops/s\n", (double)trace_info(trace)->ops / best / 1e6);
	trace_close(trace);
}

/* The same ops through glibc: malloc() of the bytes asked for, or of the pages. */
static double malloc_ops(struct trace *trace, void **live)
{
	static struct op batch[1024];
	struct error error = {0};
	size_t count = 1;
	if (!trace_rewind(trace, &error))
		give_up(&error);
	double started = seconds(CLOCK_PROCESS_CPUTIME_ID);
	while (count > 0) {
		if (!trace_next(trace, batch, sizeof batch / sizeof batch[0], &count, &error))
			give_up(&error);
		for (size_t index = 0; index < count; index++) {
			const struct op *op = &batch[index];
			if (op->kind == OP_CACHE_ALLOC || op->kind == OP_KMALLOC)
				live[op->id] = malloc(op->bytes_req);
			else if (op->kind == OP_PAGE_ALLOC)
				live[op->id] = malloc((size_t)PAGE_SIZE << op->order);
			else if (op->kind != OP_MARK) {
				free(live[op->id]);
				live[op->id] = NULL;
			}
		}
	}
	return seconds(CLOCK_PROCESS_CPUTIME_ID) - started;
}

static void bench_malloc(const char *kmt)
{
	struct error error = {0};
	struct trace *trace = trace_open(kmt, &error);
	if (!trace)
		give_up(&error);
	double best = 1e9;
	uint32_t ids = trace_info(trace)->ids;
	void **live = xcalloc(ids, sizeof *live);
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		best = least(best, malloc_ops(trace, live));
		for (uint32_t id = 0; id < ids; id++) {
			free(live[id]);
			live[id] = NULL;
		}
	}
	printf("replay through glibc malloc %10.1f M ops/s\n", (double)trace_info(trace)->ops / best / 1e6);
	free(live);
	trace_close(trace);
}

struct run_times {
	double ops, replay_s, wall_s;
};

static bool read_times(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	*(struct run_times *)context = (struct run_times){row->values[0].real, row->values[1].real, row->values[2].real};
	return true;
}

/* One run into a fresh database, as `kmemsim replay` does it. */
static struct run_times run_once(const struct settings *settings, const char *kmt, const char *db)
{
	static const volatile sig_atomic_t never;
	struct error error = {0};
	struct run_times times = {0};
	bool interrupted;
	unlink(db);
	struct run run = {.settings = settings, .trace_path = kmt, .db_path = db, .interrupt = &never};
	const struct store_run row = {.allocator = settings->allocator[0]};
	struct store *store = store_open(db, &error);
	if (!store || !store_run_begin(store, &row, &run.run_id, &error) || !store_close(store, &error) ||
	    !run_one(&run, &interrupted, &error))
		give_up(&error);
	store = store_open_readonly(db, &error);
	if (!store || !store_query(store, "SELECT ops, replay_wall_s, wall_s FROM run", NULL, 0, read_times, &times, &error))
		give_up(&error);
	store_close(store, &error);
	return times;
}

static void bench_replay(const char *kmt, const char *allocator, enum timing timing, bool samples)
{
	struct error error = {0};
	struct settings settings;
	settings_init(&settings);
	struct trace *trace = trace_open(kmt, &error);
	if (!trace || !recorded_kernel(trace, &settings, &error) || !recorded_complete(trace, &settings, &error))
		give_up(&error);
	trace_close(trace);
	settings.timing = timing;
	if (!samples)
		settings.sample_every_ns = 0;
	free(settings.allocator[0]);
	settings.allocator[0] = xstrdup(allocator);
	char *db = xasprintf("%s.db", kmt);
	struct run_times best = {.replay_s = 1e9, .wall_s = 1e9};
	for (unsigned repeat = 0; repeat < REPEATS; repeat++) {
		struct run_times times = run_once(&settings, kmt, db);
		best.ops = times.ops;
		best.replay_s = least(best.replay_s, times.replay_s);
		best.wall_s = least(best.wall_s, times.wall_s);
	}
	printf("replay %-5s timing %-6s   %10.1f M ops/s    %.1f M ops/s with opening, set-up and closing%s\n", allocator,
	       timing == TIMING_CYCLES ? "cycles" : "none", best.ops / best.replay_s / 1e6, best.ops / best.wall_s / 1e6,
	       samples ? "" : "    (no samples)");
	unlink(db);
	free(db);
	settings_release(&settings);
}

int main(int argc, char **argv)
{
	struct stat text;
	if (argc != 2 || stat(argv[1], &text) != 0) {
		fprintf(stderr, "usage: kmemsim-bench TRACE.txt (uncompressed text of a recording)\n");
		return ERROR_USAGE;
	}
	char *kmt = xasprintf("%s.kmt", argv[1]);
	printf("%s: %.1f MB of text\n", argv[1], (double)text.st_size / 1e6);
	bench_yardsticks(argv[1], (size_t)text.st_size);
	bench_import(argv[1], kmt, (size_t)text.st_size);
	bench_decode(kmt);
	static const char *const allocators[] = {"slub", "slab", "slob", "ideal"};
	for (size_t index = 0; index < sizeof allocators / sizeof allocators[0]; index++)
		bench_replay(kmt, allocators[index], TIMING_NONE, true);
	bench_replay(kmt, "slub", TIMING_CYCLES, true);
	bench_malloc(kmt);
	bench_replay(kmt, "slub", TIMING_NONE, false);
	bench_replay(kmt, "slab", TIMING_NONE, false);
	unlink(kmt);
	free(kmt);
	return EXIT_SUCCESS;
}
