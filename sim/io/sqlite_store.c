/* SPDX-License-Identifier: MIT
 *
 * sqlite_store.c - opening, closing and the rows of runs (interface and promises: sim/store.h; tables: store_schema.c; the other
 * rows: store_rows.c; questions: store_read.c).
 *
 * WAL makes a killed process harmless: what was committed is found again by whoever opens the file next. `synchronous` decides
 * what a power cut can do. While the database holds no ended run there is nothing to lose and nothing is synced; afterwards
 * NORMAL keeps the older runs safe. Who closes last takes the file back from WAL, so that a single file remains and can be
 * copied.
 */
#include "sim/io/sqlite_store.h"

#include "sim/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for other writers. Their transactions take milliseconds; more than this is a lock that will not go away. */
#define BUSY_TIMEOUT_MS 30000
#define RETRY_PAUSE_US 2000

/* Closers take turns; a stuck one is not waited for longer than this. */
#define CLOSE_TURN_ATTEMPTS 1000

bool store_error(struct store *store, struct error *error, const char *doing)
{
	int cause = errno;
	int code = sqlite3_errcode(store->db);
	if (code == SQLITE_NOTADB)
		return error_set(error, ERROR_INPUT, "%s: this is not a database", store->path);
	if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN)
		cause = 0;
	else if (sqlite3_system_errno(store->db))
		cause = sqlite3_system_errno(store->db);
	return error_set(error, code == SQLITE_CORRUPT ? ERROR_INPUT : ERROR_HOST, "%s: %s: %s%s%s", store->path, doing,
	                 sqlite3_errmsg(store->db), cause ? ": " : "", cause ? strerror(cause) : "");
}

bool store_execute(struct store *store, const char *sql, const char *doing, struct error *error)
{
	errno = 0;
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return store_error(store, error, doing);
}

/* What kind of file it is, as its header says. */
struct identity {
	int64_t application_id, version, tables;
};

static bool identity_read(struct store *store, struct identity *identity)
{
	sqlite3_stmt *statement = NULL;
	const char *sql = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
	                  " FROM pragma_application_id, pragma_user_version";
	bool ok = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
	if (ok) {
		identity->application_id = sqlite3_column_int64(statement, 0);
		identity->version = sqlite3_column_int64(statement, 1);
		identity->tables = sqlite3_column_int64(statement, 2);
	}
	sqlite3_finalize(statement);
	return ok;
}

static bool identity_is_new(const struct identity *identity)
{
	return identity->application_id == 0 && identity->version == 0 && identity->tables == 0;
}

static bool identity_check(const struct store *store, const struct identity *identity, struct error *error)
{
	if (identity->application_id != STORE_APPLICATION_ID)
		return error_set(error, ERROR_INPUT,
		                 "%s: this is a database, but not one of kmemsim (application_id %" PRId64 ", not %d)",
		                 store->path, identity->application_id, STORE_APPLICATION_ID);
	if (identity->version != STORE_VERSION)
		return error_set(error, ERROR_INPUT,
		                 "%s: the database has version %" PRId64
		                 " of the tables, this kmemsim knows version %d; choose another file",
		                 store->path, identity->version, STORE_VERSION);
	return true;
}

/* sqlite3_open_v2 gives names like ":memory:" a meaning of their own; a path that begins with '/' or "./" is always a file. */
static char *plain_path(const char *path)
{
	return path[0] == '/' ? xstrdup(path) : xasprintf("./%s", path);
}

static bool regular_file_or_none(const char *path, struct error *error)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return errno == ENOENT || error_set(error, ERROR_HOST, "%s: cannot be opened: %s", path, strerror(errno));
	if (S_ISREG(status.st_mode))
		return true;
	return error_set(error, ERROR_HOST, "%s: cannot be a database: it is %s", path,
	                 S_ISDIR(status.st_mode) ? "a folder" : "no regular file");
}

/* SQLite's own word for a folder that may not be written is that there is no file. */
static bool can_be_made(const char *path, struct error *error)
{
	const char *slash = strrchr(path, '/');
	char *folder = xasprintf("%.*s", (int)(slash + 1 - path), path);
	bool able = access(path, F_OK) == 0 || access(folder, W_OK | X_OK) == 0;
	if (!able)
		error_set(error, ERROR_HOST, "%s: cannot be made in the folder %s: %s", path, folder, strerror(errno));
	free(folder);
	return able;
}

static bool connect(struct store *store, const char *name, int flags, struct error *error)
{
	if (sqlite3_open_v2(name, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return store_error(store, error, "opening the database");
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	/* A database may come from anywhere: nothing in it may switch the checks off. */
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return store_execute(store, "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON", "opening the database", error);
}

/*
 * Switches to WAL. The busy timeout does not cover this switch, so others are waited for here. Where the file system cannot do
 * WAL the database stays as it is, which is slower and as safe.
 */
static bool enter_wal(struct store *store, struct error *error)
{
	int code = SQLITE_BUSY;
	for (int waited_us = 0; waited_us <= BUSY_TIMEOUT_MS * 1000; waited_us += RETRY_PAUSE_US) {
		code = sqlite3_exec(store->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
		if (code != SQLITE_BUSY)
			break;
		usleep(RETRY_PAUSE_US);
	}
	return code == SQLITE_OK || store_error(store, error, "preparing the database");
}

static int note_row(void *found, int columns, char **values, char **names)
{
	(void)columns, (void)values, (void)names;
	*(bool *)found = true;
	return 0;
}

/* Chooses `synchronous` by the rule in the head of this file. */
static bool choose_synchronous(struct store *store, struct error *error)
{
	bool ended = false;
	if (sqlite3_exec(store->db, "SELECT 1 FROM run WHERE status <> 'running' LIMIT 1", note_row, &ended, NULL) != SQLITE_OK)
		return store_error(store, error, "reading the database");
	return !ended || store_execute(store, "PRAGMA synchronous = NORMAL", "preparing the database", error);
}

static bool create_tables(struct store *store, struct error *error)
{
	char *identity = xasprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", STORE_APPLICATION_ID, STORE_VERSION);
	bool ok = store_execute(store, identity, "creating the tables", error);
	free(identity);
	for (size_t i = 0; ok && store_schema_sql[i]; i++)
		ok = store_execute(store, store_schema_sql[i], "creating the tables", error);
	return ok;
}

/* Makes the tables unless another process has just made them. */
static bool create(struct store *store, struct error *error)
{
	if (!store_execute(store, "BEGIN IMMEDIATE", "creating the tables", error))
		return false;
	struct identity identity;
	bool ok = identity_read(store, &identity);
	if (!ok)
		store_error(store, error, "creating the tables");
	else if (identity_is_new(&identity))
		ok = create_tables(store, error);
	else
		ok = identity_check(store, &identity, error);
	if (ok && store_execute(store, "COMMIT", "creating the tables", error))
		return true;
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

/* Nothing in the file is changed before it is known to be ours. */
static bool open_for_writing(struct store *store, struct error *error)
{
	if (!regular_file_or_none(store->path, error) || !can_be_made(store->path, error) ||
	    !connect(store, store->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error))
		return false;
	if (sqlite3_db_readonly(store->db, "main") == 1)
		return error_set(error, ERROR_HOST, "%s: the database cannot be written: the file or its folder is read-only",
		                 store->path);
	struct identity identity;
	if (!identity_read(store, &identity))
		return store_error(store, error, "opening the database");
	if (!identity_is_new(&identity) && !identity_check(store, &identity, error))
		return false;
	if (!store_execute(store, "PRAGMA synchronous = OFF", "preparing the database", error) || !enter_wal(store, error))
		return false;
	if (identity_is_new(&identity) && !create(store, error))
		return false;
	return choose_synchronous(store, error);
}

static void release(struct store *store)
{
	for (size_t table = 0; table < STORE_TABLES; table++)
		sqlite3_finalize(store->insert[table]);
	sqlite3_close(store->db);
	free(store->queue.bytes);
	free(store->path);
	free(store);
}

struct store *store_open(const char *path, struct error *error)
{
	struct store *store = xcalloc(1, sizeof *store);
	store->path = plain_path(path);
	if (open_for_writing(store, error))
		return store;
	release(store);
	return NULL;
}

static bool file_exists(const char *path, const char *suffix)
{
	char *name = xasprintf("%s%s", path, suffix);
	bool exists = access(name, F_OK) == 0;
	free(name);
	return exists;
}

/* The URI of a file that nobody writes; immutable=1 then needs no lock and no -shm file. */
static char *immutable_uri(const char *path)
{
	char *uri = xcalloc(3 * strlen(path) + sizeof "file:?immutable=1", 1);
	char *to = uri + sprintf(uri, "file:");
	for (const char *from = path; *from; from++) {
		if (strchr("?#% ", *from))
			to += sprintf(to, "%%%02X", (unsigned char)*from);
		else
			*to++ = *from;
	}
	strcpy(to, "?immutable=1");
	return uri;
}

/*
 * A database left in WAL mode can be read the usual way only where SQLite may make its -shm file. In a folder that cannot be
 * written, without a -wal file, nobody else writes it either and it is read as it lies there.
 */
static bool reconnect_immutable(struct store *store, struct error *error)
{
	if (file_exists(store->path, "-wal"))
		return store_error(store, error,
		                   "a run was cut off here and its folder cannot be written; copy the database with its -wal "
		                   "file elsewhere");
	sqlite3_close(store->db);
	store->db = NULL;
	char *uri = immutable_uri(store->path);
	bool ok = connect(store, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
	free(uri);
	return ok;
}

static bool wants_shared_memory(int code)
{
	return (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY;
}

static bool open_for_reading(struct store *store, struct error *error)
{
	if (!regular_file_or_none(store->path, error))
		return false;
	if (access(store->path, R_OK) != 0)
		return error_set(error, ERROR_HOST, "%s: cannot be read: %s", store->path, strerror(errno));
	if (!connect(store, store->path, SQLITE_OPEN_READONLY, error))
		return false;
	struct identity identity;
	bool ok = identity_read(store, &identity);
	if (!ok && wants_shared_memory(sqlite3_extended_errcode(store->db))) {
		if (!reconnect_immutable(store, error))
			return false;
		ok = identity_read(store, &identity);
	}
	if (!ok)
		return store_error(store, error, "opening the database");
	return identity_check(store, &identity, error);
}

struct store *store_open_readonly(const char *path, struct error *error)
{
	struct store *store = xcalloc(1, sizeof *store);
	store->path = plain_path(path);
	store->readonly = true;
	if (open_for_reading(store, error))
		return store;
	release(store);
	return NULL;
}

/*
 * Two processes that close at the same moment would each take the other for the last one. So they take turns, by a lock on the
 * folder, which leaves no file behind. Returns the folder's descriptor, -1 where that cannot be had.
 */
static int close_turn_begin(const char *path)
{
	char *folder = xstrdup(path);
	*(strrchr(folder, '/') + 1) = '\0'; /* plain_path() always leaves a '/' */
	int turn = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	for (int attempt = 0; turn >= 0 && attempt < CLOSE_TURN_ATTEMPTS && flock(turn, LOCK_EX | LOCK_NB) != 0; attempt++) {
		if (errno != EWOULDBLOCK)
			break;
		usleep(RETRY_PAUSE_US);
	}
	return turn;
}

bool store_close(struct store *store, struct error *error)
{
	if (!store)
		return true;
	bool ok = store->readonly || store_flush(store, error);
	int turn = store->readonly ? -1 : close_turn_begin(store->path);
	if (!store->readonly) {
		/* Refused while others have the database open: then they will do it. */
		sqlite3_busy_timeout(store->db, 0);
		sqlite3_exec(store->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	}
	release(store);
	if (turn >= 0)
		close(turn);
	return ok;
}

static void bind_string(sqlite3_stmt *statement, const char *parameter, const char *text)
{
	int column = sqlite3_bind_parameter_index(statement, parameter);
	SIM_ASSERT(column > 0);
	if (!text)
		return;
	size_t length = strlen(text);
	char *clean = xcalloc(length + 1, 1);
	utf8_copy(clean, text, length);
	sqlite3_bind_text(statement, column, clean, (int)length, free);
}

static void bind_number(sqlite3_stmt *statement, const char *parameter, uint64_t value)
{
	int column = sqlite3_bind_parameter_index(statement, parameter);
	SIM_ASSERT(column > 0 && value <= INT64_MAX);
	sqlite3_bind_int64(statement, column, (int64_t)value);
}

/* Runs a statement that gives no rows and finishes it. */
static bool finish(struct store *store, sqlite3_stmt *statement, const char *doing, struct error *error)
{
	bool ok = sqlite3_step(statement) == SQLITE_DONE;
	if (!ok)
		store_error(store, error, doing);
	sqlite3_finalize(statement);
	return ok;
}

bool store_run_begin(struct store *store, const struct store_run *run, int64_t *run_id, struct error *error)
{
	SIM_ASSERT(!store->readonly);
	const char *sql = "INSERT INTO run(label, allocator, page_allocator, timing, status, seed, scenario, trace, "
	                  "trace_sha256, version, compiler,"
	                  " machine, kernel, cpus, memory_bytes, frequency_hz, started_at) VALUES(:label, :allocator, "
	                  ":page_allocator, :timing,"
	                  " 'running', :seed, :scenario, :trace, :trace_sha256, :version, :compiler, :machine, :kernel, :cpus, "
	                  ":memory_bytes,"
	                  " :frequency_hz, :started_at)";
	if (run->memory_bytes > INT64_MAX || run->frequency_hz > INT64_MAX)
		return error_set(error, ERROR_USAGE, "%s: memory or frequency is above 2^63-1", store->path);
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return store_error(store, error, "beginning a run");
	char seed[24], started_at[32];
	snprintf(seed, sizeof seed, "%" PRIu64, run->seed);
	time_t now = time(NULL);
	strftime(started_at, sizeof started_at, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	bind_string(statement, ":label", run->label);
	bind_string(statement, ":allocator", run->allocator);
	bind_string(statement, ":page_allocator", run->page_allocator);
	bind_string(statement, ":timing", run->timing);
	bind_string(statement, ":seed", seed);
	bind_string(statement, ":scenario", run->scenario);
	bind_string(statement, ":trace", run->trace);
	bind_string(statement, ":trace_sha256", run->trace_sha256);
	bind_string(statement, ":version", run->version);
	bind_string(statement, ":compiler", run->compiler);
	bind_string(statement, ":machine", run->machine);
	bind_string(statement, ":kernel", run->kernel);
	bind_number(statement, ":cpus", run->cpus);
	bind_number(statement, ":memory_bytes", run->memory_bytes);
	bind_number(statement, ":frequency_hz", run->frequency_hz);
	bind_string(statement, ":started_at", started_at);
	if (!finish(store, statement, "beginning a run", error))
		return false;
	*run_id = sqlite3_last_insert_rowid(store->db);
	return true;
}

bool store_run_end(struct store *store, int64_t run_id, const struct store_end *end, struct error *error)
{
	SIM_ASSERT(!store->readonly);
	if (end->ops > INT64_MAX || end->simulated_ns > INT64_MAX || end->cycles > INT64_MAX || end->peak_pages > INT64_MAX)
		return error_set(error, ERROR_INPUT, "%s: a number of run %" PRId64 " is above 2^63-1", store->path, run_id);
	bool flushed = store_flush(store, error);
	const char *sql = "UPDATE run SET status = :status, message = :message, wall_s = :wall_s, replay_wall_s = "
	                  ":replay_wall_s, ops = :ops,"
	                  " simulated_ns = :simulated_ns, cycles = :cycles, peak_pages = nullif(:peak_pages, 0) WHERE id = :id";
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return store_error(store, error, "ending a run");
	bind_string(statement, ":status", end->status);
	bind_string(statement, ":message", end->message);
	sqlite3_bind_double(statement, sqlite3_bind_parameter_index(statement, ":wall_s"), end->wall_s);
	sqlite3_bind_double(statement, sqlite3_bind_parameter_index(statement, ":replay_wall_s"), end->replay_wall_s);
	bind_number(statement, ":ops", end->ops);
	bind_number(statement, ":simulated_ns", end->simulated_ns);
	bind_number(statement, ":cycles", end->cycles);
	bind_number(statement, ":peak_pages", end->peak_pages);
	sqlite3_bind_int64(statement, sqlite3_bind_parameter_index(statement, ":id"), run_id);
	if (!finish(store, statement, "ending a run", error))
		return false;
	if (sqlite3_changes(store->db) != 1)
		return error_set(error, ERROR_HOST, "%s: there is no run %" PRId64 " to end", store->path, run_id);
	return flushed;
}
