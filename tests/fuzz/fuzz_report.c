/* SPDX-License-Identifier: MIT
 *
 * fuzz_report.c - a database of which anybody changed any value, read by the report: tables and the data of a picture. A value
 * may be of any kind, of any size, of bytes that are no text. There is no gnuplot here, so a picture ends where it would start.
 *
 * Input: a byte that chooses the picture, then changes: table, column, run, kind (empty, integer, real, text, bytes) and the
 * value, 8 bytes or a length and so many bytes.
 */
#include "sim/report.h"
#include "sim/store.h"

#include <sqlite3.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define RUNS 2u
#define ROWS 3u /* of each table and run */
#define CHANGES_MAX 64u
#define TABLES_MAX 64u
#define COLUMNS_MAX 64u

struct table {
	char *name;
	char *columns[COLUMNS_MAX];
	unsigned columns_count;
};

static struct {
	char folder[64], db[96], sound[96];
	struct table tables[TABLES_MAX];
	unsigned tables_count;
} rig;

static sqlite3 *open_raw(const char *path)
{
	sqlite3 *db;
	int opened = sqlite3_open(path, &db);
	SIM_ASSERT(opened == SQLITE_OK);
	sqlite3_exec(db, "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF", NULL, NULL, NULL);
	return db;
}

static int take_table(void *context, int count, char **values, char **names)
{
	(void)context;
	(void)count;
	(void)names;
	SIM_ASSERT(rig.tables_count < TABLES_MAX);
	rig.tables[rig.tables_count++].name = xstrdup(values[0]);
	return 0;
}

static int take_column(void *context, int count, char **values, char **names)
{
	struct table *table = context;
	(void)count;
	(void)names;
	SIM_ASSERT(table->columns_count < COLUMNS_MAX);
	table->columns[table->columns_count++] = xstrdup(values[0]);
	return 0;
}

/* What the columns hold that views look for, row by row; others hold the row's number. */
static const struct {
	const char *column, *rows[ROWS];
} words[] = {
        {"status", {"complete", "failed", "interrupted"}},
        {"name", {"cycles_per_alloc", "cycles_per_free", "kmalloc-64"}},
        {"kind", {"alloc", "free", "access"}},
        {"component", {"meminfo", "buddy", "slub"}},
        {"level", {"l1d", "llc", "stlb"}},
        {"by", {"region", "owner", "region"}},
        {"unmovable", {"[1,2,3,4,5,6,7,8,9,10,11]", "[0,0,0,0,0,0,0,0,0,0,1]", "[1,0,0,0,0,0,0,0,0,0,0]"}},
        {"movable", {"[1,2,3,4,5,6,7,8,9,10,11]", "[0,0,0,0,0,0,0,0,0,0,1]", "[1,0,0,0,0,0,0,0,0,0,0]"}},
        {"reclaimable", {"[1,2,3,4,5,6,7,8,9,10,11]", "[0,0,0,0,0,0,0,0,0,0,1]", "[1,0,0,0,0,0,0,0,0,0,0]"}},
        {"highatomic", {"[1,2,3,4,5,6,7,8,9,10,11]", "[0,0,0,0,0,0,0,0,0,0,1]", "[1,0,0,0,0,0,0,0,0,0,0]"}},
};

static const char *word_of(const char *column, unsigned row)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i].column, column) == 0)
			return words[i].rows[row];
	return NULL;
}

/* Rows that differ in every column but the run's id; those that the table refuses are left out. */
static void fill(sqlite3 *db, const struct table *table, unsigned run, unsigned row)
{
	char *sql;
	size_t length;
	FILE *out = open_memstream(&sql, &length);
	SIM_ASSERT(out);
	fprintf(out, "INSERT OR IGNORE INTO \"%s\" VALUES(", table->name);
	for (unsigned i = 0; i < table->columns_count; i++) {
		const char *column = table->columns[i], *word = word_of(column, row);
		bool is_run = strcmp(column, "run_id") == 0 || strcmp(column, "id") == 0;
		fputs(i ? "," : "", out);
		if (word)
			fprintf(out, "'%s'", word);
		else
			fprintf(out, "%u", is_run ? run : row + (strcmp(column, "sample") != 0));
	}
	fputs(")", out);
	fclose(out);
	sqlite3_exec(db, sql, NULL, NULL, NULL);
	free(sql);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[1u << 16];
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");
	SIM_ASSERT(in && out);
	for (size_t count; (count = fread(bytes, 1, sizeof bytes, in)) > 0;)
		fwrite(bytes, 1, count, out);
	fclose(in);
	fclose(out);
}

static void remove_files(void)
{
	unlink(rig.db);
	unlink(rig.sound);
	char *page = xasprintf("%s/index.html", rig.folder);
	unlink(page);
	free(page);
	rmdir(rig.folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error error = {0};
	(void)argc;
	(void)argv;
	strcpy(rig.folder, "/tmp/kmemsim-fuzz-XXXXXX");
	char *made = mkdtemp(rig.folder);
	SIM_ASSERT(made);
	snprintf(rig.db, sizeof rig.db, "%s/fuzz.db", rig.folder);
	snprintf(rig.sound, sizeof rig.sound, "%s/sound.db", rig.folder);
	atexit(remove_files);
	struct store *store = store_open(rig.sound, &error);
	SIM_ASSERT(store);
	store_close(store, &error);
	sqlite3 *db = open_raw(rig.sound);
	sqlite3_exec(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", take_table, NULL, NULL);
	for (unsigned i = 0; i < rig.tables_count; i++) {
		char *sql = xasprintf("SELECT name FROM pragma_table_info('%s')", rig.tables[i].name);
		sqlite3_exec(db, sql, take_column, &rig.tables[i], NULL);
		free(sql);
		for (unsigned row = 0; row < RUNS * ROWS; row++)
			fill(db, &rig.tables[i], 1 + row / ROWS, row % ROWS);
	}
	sqlite3_close(db);
	return 0;
}

/* Binds the value that a change holds; gives how many bytes of it that took. */
static size_t bind(sqlite3_stmt *statement, unsigned kind, const uint8_t *data, size_t size)
{
	int64_t integer = 0;
	double real;
	size_t length = kind < 3 ? 8 : size > 0 ? 1u + data[0] : 0;
	length = length < size ? length : size;
	if (kind < 3)
		memcpy(&integer, data, length);
	memcpy(&real, &integer, sizeof real);
	if (kind == 0)
		return 0;
	if (kind == 1)
		sqlite3_bind_int64(statement, 1, integer);
	else if (kind == 2)
		sqlite3_bind_double(statement, 1, real);
	else if (kind == 3 && length > 0)
		sqlite3_bind_text(statement, 1, (const char *)data + 1, (int)length - 1, SQLITE_TRANSIENT);
	else if (length > 0)
		sqlite3_bind_blob(statement, 1, data + 1, (int)length - 1, SQLITE_TRANSIENT);
	return length;
}

/* One change; what the database refuses is not made. Gives how many bytes it took. */
static size_t change(sqlite3 *db, const uint8_t *data, size_t size)
{
	const struct table *table = &rig.tables[data[0] % rig.tables_count];
	const char *column = table->columns[data[1] % table->columns_count], *key = strcmp(table->name, "run") ? "run_id" : "id";
	char *sql =
	        xasprintf("UPDATE OR IGNORE \"%s\" SET \"%s\" = ?1 WHERE %s = %u", table->name, column, key, 1 + data[2] % RUNS);
	sqlite3_stmt *statement = NULL;
	size_t used = 4;
	sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	if (statement) {
		used += bind(statement, data[3] % 5, data + 4, size - 4);
		sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	free(sql);
	return used;
}

static void report(unsigned choice)
{
	struct error error = {0};
	char *text;
	size_t length, count = 0;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	while (report_pictures[count].name)
		count++;
	const char *name = report_pictures[choice % count].name;
	const struct report_options options = {.pictures = &name,
	                                       .pictures_count = 1,
	                                       .out = rig.folder,
	                                       .templates = "tools/gnuplot",
	                                       .gnuplot = "/nowhere/gnuplot"};
	bool done = report_write(rig.db, &options, out, &error);
	fclose(out);
	SIM_ASSERT(done == (error.kind == ERROR_NONE) && (done || error.text[0]));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	copy_file(rig.sound, rig.db);
	sqlite3 *db = open_raw(rig.db);
	sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	size_t at = 1;
	for (unsigned i = 0; i < CHANGES_MAX && at + 4 < size; i++)
		at += change(db, data + at, size - at);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
	report(data[0]);
	return 0;
}
