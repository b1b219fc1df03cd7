/* SPDX-License-Identifier: MIT
 *
 * variants.c - the runs of a scenario with variants, in child processes (interface: variants.h).
 *
 * A child writes rows and tells errors; its tables go nowhere. The next child starts when the one before has made its row, so
 * that the rows' order does not depend on which is faster. An interrupt is handed on to the children, which keep what they
 * measured.
 */
#include "tools/kmemsim/variants.h"

#include "sim/store.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/host_cpus.h"
#include "tools/kmemsim/interrupt.h"
#include "tools/kmemsim/progress.h"
#include "tools/kmemsim/simulate.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long the parent sleeps between two looks at its children. */
#define POLL_NS 20000000

/* ---- children ---- */

struct child {
	struct variant variant;
	pid_t pid; /* 0: not started, or over */
	bool started;
	int code;
};

struct batch {
	const struct variants_run *run;
	const char *db_path;
	struct child *children;
	uint32_t count;
	const volatile sig_atomic_t *interrupt;
	bool told;       /* the children, of the interrupt */
	int64_t last_id; /* of the runs that were there before */
};

static bool take_integer(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	*(int64_t *)context = row->values[0].integer;
	return true;
}

/* The highest number of a run in the database, 0 if there is none or it cannot be read yet. */
static int64_t highest_run(const char *db_path)
{
	struct error ignored = {0};
	int64_t id = 0;
	struct store *store = access(db_path, R_OK) == 0 ? store_open_readonly(db_path, &ignored) : NULL;
	if (!store)
		return 0;
	store_query(store, "SELECT coalesce(max(id), 0) FROM run", NULL, 0, take_integer, &id, &ignored);
	store_close(store, &ignored);
	return id;
}

static bool start(struct batch *batch, struct child *child, struct error *error)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return error_set(error, ERROR_HOST, "no process for the variant %s", child->variant.label);
	if (pid == 0) {
		/* Until it has something to keep, an interrupt ends it. */
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (nowhere >= 0)
			dup2(nowhere, STDOUT_FILENO);
		_exit(batch->run->run(batch->run->context, &child->variant));
	}
	child->pid = pid;
	child->started = true;
	return true;
}

static uint32_t running(const struct batch *batch)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < batch->count; i++)
		count += batch->children[i].pid != 0;
	return count;
}

/* A run that its process left as running: one of a variant that died has nobody else to end it. */
struct left_run {
	const char *label;
	int64_t id; /* 0: none */
};

static bool take_left_run(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct left_run *left = context;
	if (strcmp(row->values[1].text, left->label) == 0)
		left->id = row->values[0].integer;
	return true;
}

static void mark_dead(const struct batch *batch, const struct variant *variant, const char *why)
{
	struct error error = {0};
	struct store *store = store_open(batch->db_path, &error);
	struct left_run left = {.label = variant->label};
	char *message = xasprintf("the process died: %s", why);
	const struct store_end end = {.status = "failed", .message = message};
	if (store && store_query(store, "SELECT id, label FROM run WHERE id > ?1 AND status = 'running'", &batch->last_id, 1,
	                         take_left_run, &left, &error) &&
	    left.id)
		store_run_end(store, left.id, &end, &error);
	if (store)
		store_close(store, &error);
	free(message);
}

static void note_death(const struct batch *batch, struct child *child, int signal_number)
{
	child->code = EXIT_INTERRUPTED;
	if (*batch->interrupt)
		return;
	child->code = EXIT_DIED;
	fprintf(stderr, "kmemsim: the variant %s died: %s\n", child->variant.label, strsignal(signal_number));
	mark_dead(batch, &child->variant, strsignal(signal_number));
}

/* Looks who is over. */
static void reap(struct batch *batch)
{
	int status;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct child *child = &batch->children[i];
		if (!child->pid || waitpid(child->pid, &status, WNOHANG) != child->pid)
			continue;
		child->pid = 0;
		if (WIFEXITED(status))
			child->code = WEXITSTATUS(status);
		else
			note_death(batch, child, WTERMSIG(status));
	}
}

/* Once each: the second interrupt of a kind kills. A terminal sends SIGINT to all of them itself. */
static void hand_on_interrupt(struct batch *batch)
{
	for (uint32_t i = 0; !batch->told && i < batch->count; i++)
		if (batch->children[i].pid)
			kill(batch->children[i].pid, SIGTERM);
	batch->told = true;
}

static void poll_once(struct batch *batch)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	nanosleep(&pause, NULL);
	if (*batch->interrupt)
		hand_on_interrupt(batch);
	reap(batch);
}

static uint32_t most_at_once(const struct batch *batch)
{
	uint32_t cores = host_cpus();
	uint32_t each = batch->run->settings->allocators ? batch->run->settings->allocators : 1;
	return cores > each ? cores / each : 1;
}

static bool run_children(struct batch *batch, struct error *error)
{
	struct progress_bar bar;
	progress_bar_start(&bar, "variants");
	bool ok = true;
	for (uint32_t i = 0; ok && i < batch->count && !*batch->interrupt; i++) {
		while (running(batch) >= most_at_once(batch))
			poll_once(batch);
		int64_t before = highest_run(batch->db_path);
		ok = start(batch, &batch->children[i], error);
		while (ok && batch->children[i].pid && highest_run(batch->db_path) == before)
			poll_once(batch);
		progress_bar_tell(&bar, i, batch->count);
	}
	while (running(batch) > 0)
		poll_once(batch);
	progress_bar_end(&bar);
	return ok;
}

/* ---- the table ---- */

struct ids {
	int64_t *at; /* owned */
	size_t count;
};

static bool take_id(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	struct ids *ids = context;
	ids->at = xrealloc(ids->at, (ids->count + 1) * sizeof *ids->at);
	ids->at[ids->count++] = row->values[0].integer;
	return true;
}

static bool print_runs(const struct batch *batch, struct error *error)
{
	/* Interrupted before the first run began, there may not even be a database. */
	if (highest_run(batch->db_path) == batch->last_id)
		return true;
	struct store *store = store_open_readonly(batch->db_path, error);
	struct ids ids = {0};
	if (!store)
		return false;
	bool ok = store_query(store, "SELECT id FROM run WHERE id > ?1 ORDER BY id", &batch->last_id, 1, take_id, &ids, error) &&
	          (ids.count == 0 || compare_table_print(store, ids.at, ids.count, batch->run->format, stdout, error));
	free(ids.at);
	return store_close(store, error) && ok;
}

static bool read_all(struct batch *batch, struct error *error)
{
	const struct settings *settings = batch->run->settings;
	batch->children = xcalloc(settings->variants_count, sizeof *batch->children);
	for (; batch->count < settings->variants_count; batch->count++)
		if (!variant_read(&batch->children[batch->count].variant, settings->variants[batch->count], batch->run->input,
		                  error))
			return false;
	return true;
}

int variants_simulate(const struct variants_run *run)
{
	struct error error = {0};
	struct batch batch = {
	        .run = run, .db_path = run->db_path ? run->db_path : DEFAULT_DATABASE, .interrupt = catch_interrupts()};
	batch.last_id = highest_run(batch.db_path);
	bool done = read_all(&batch, &error) && run_children(&batch, &error) && print_runs(&batch, &error);
	int code = done ? EXIT_SUCCESS : command_failed(&error);
	for (uint32_t i = 0; i < batch.count; i++) {
		if (code == EXIT_SUCCESS)
			code = batch.children[i].code;
		variant_release(&batch.children[i].variant);
	}
	free(batch.children);
	return code == EXIT_SUCCESS && *batch.interrupt ? EXIT_INTERRUPTED : code;
}
