/* SPDX-License-Identifier: MIT
 *
 * store_read.c - the reading half of the store: questions, and the digest (interface: sim/store.h).
 *
 * The digest hashes, table by table in the order of digest_tables[] and row by row in the order of the primary key, each column
 * as a mark of its type, its length and its bytes; integers as 8 bytes, low byte first. So two databases have one digest if and
 * only if their contents are equal, whatever order they were written in.
 */
#include "sim/io/sqlite_store.h"

#include "sim/sha256.h"

#include <stdlib.h>
#include <string.h>

/* More columns than any table or view has. */
#define COLUMNS_MAX 128

static void read_value(sqlite3_stmt *statement, int column, struct store_value *value)
{
	*value = (struct store_value){.kind = STORE_NULL};
	switch (sqlite3_column_type(statement, column)) {
	case SQLITE_INTEGER:
		value->kind = STORE_INTEGER;
		value->integer = sqlite3_column_int64(statement, column);
		value->real = (double)value->integer;
		break;
	case SQLITE_FLOAT:
		value->kind = STORE_REAL;
		value->real = sqlite3_column_double(statement, column);
		break;
	case SQLITE_TEXT:
	case SQLITE_BLOB:
		value->text = (const char *)sqlite3_column_text(statement, column);
		value->kind = value->text ? STORE_TEXT : STORE_NULL;
		break;
	default:
		break;
	}
}

static bool each_row(struct store *store, sqlite3_stmt *statement, store_row_function *each, void *context, struct error *error)
{
	const char *names[COLUMNS_MAX];
	struct store_value values[COLUMNS_MAX];
	int columns = sqlite3_column_count(statement);
	if (columns > COLUMNS_MAX)
		return error_set(error, ERROR_USAGE, "%s: a query gives %d columns, at most %d are read", store->path, columns,
		                 COLUMNS_MAX);
	for (int column = 0; column < columns; column++)
		names[column] = sqlite3_column_name(statement, column);
	int code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int column = 0; column < columns; column++)
			read_value(statement, column, &values[column]);
		struct store_row row = {.columns = (size_t)columns, .names = names, .values = values};
		if (!each(context, &row, error))
			return false;
	}
	return code == SQLITE_DONE || store_error(store, error, "reading results");
}

bool store_query(struct store *store, const char *sql, const int64_t *parameters, size_t parameters_count,
                 store_row_function *each, void *context, struct error *error)
{
	if (!store_flush(store, error))
		return false;
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return store_error(store, error, "reading results");
	bool ok = statement && sqlite3_stmt_readonly(statement);
	if (!ok)
		error_set(error, ERROR_USAGE, "%s: the query must be one that only reads", store->path);
	for (size_t i = 0; i < parameters_count; i++)
		sqlite3_bind_int64(statement, (int)i + 1, parameters[i]);
	ok = ok && each_row(store, statement, each, context, error);
	sqlite3_finalize(statement);
	return ok;
}

static const char *const digest_tables[] = {
        "SELECT 'run', * FROM run ORDER BY id",
        "SELECT 'metric', * FROM metric ORDER BY run_id, component, name",
        "SELECT 'sample', * FROM sample ORDER BY run_id, sample",
        "SELECT 'sample_zone', * FROM sample_zone ORDER BY run_id, sample, node, zone",
        "SELECT 'sample_area', * FROM sample_area ORDER BY run_id, sample",
        "SELECT 'sample_order', * FROM sample_order ORDER BY run_id, sample, page_order",
        "SELECT 'snapshot', * FROM snapshot ORDER BY run_id, kind, sample",
        "SELECT 'cache', * FROM cache ORDER BY run_id, nr",
        "SELECT 'call_site', * FROM call_site ORDER BY run_id, call_site",
        "SELECT 'histogram', * FROM histogram ORDER BY run_id, name",
        "SELECT 'histogram_bucket', * FROM histogram_bucket ORDER BY run_id, name, lowest",
        "SELECT 'lock', * FROM lock ORDER BY run_id, address",
        "SELECT 'level', * FROM level ORDER BY run_id, level",
        "SELECT 'level_kind', * FROM level_kind ORDER BY run_id, level, page_bytes, kind",
        "SELECT 'level_sample', * FROM level_sample ORDER BY run_id, sample, level",
        "SELECT 'level_share', * FROM level_share ORDER BY run_id, level, by, name",
        "SELECT 'walk_reference', * FROM walk_reference ORDER BY run_id, entry, served_by",
        "SELECT 'wrong_op', * FROM wrong_op ORDER BY run_id, nr",
        "SELECT 'curve', * FROM curve ORDER BY run_id",
        "SELECT 'curve_size', * FROM curve_size ORDER BY run_id, sets, ways",
        "SELECT 'curve_distance', * FROM curve_distance ORDER BY run_id, lowest",
        "SELECT 'curve_machine', * FROM curve_machine ORDER BY run_id, nr",
};

/* Columns in which equal runs differ: the clock on the wall, who compiled the program, and where the trace lay (its contents are
 * in trace_sha256). */
static bool varies(const char *column)
{
	static const char *const columns[] = {"started_at", "wall_s", "replay_wall_s", "compiler", "trace"};
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
		if (strcmp(column, columns[i]) == 0)
			return true;
	}
	return false;
}

static void digest_integer(struct sha256 *hash, unsigned char mark, uint64_t value)
{
	unsigned char bytes[9] = {mark};
	for (unsigned i = 0; i < 8; i++)
		bytes[i + 1] = (unsigned char)(value >> (8 * i));
	sha256_add(hash, bytes, sizeof bytes);
}

static void digest_value(struct sha256 *hash, const struct store_value *value)
{
	uint64_t bits;
	switch (value->kind) {
	case STORE_NULL:
		digest_integer(hash, 'n', 0);
		break;
	case STORE_INTEGER:
		digest_integer(hash, 'i', (uint64_t)value->integer);
		break;
	case STORE_REAL:
		memcpy(&bits, &value->real, sizeof bits);
		digest_integer(hash, 'r', bits);
		break;
	case STORE_TEXT:
		digest_integer(hash, 't', strlen(value->text));
		sha256_add(hash, value->text, strlen(value->text));
		break;
	}
}

static bool digest_row(void *context, const struct store_row *row, struct error *error)
{
	(void)error;
	for (size_t column = 0; column < row->columns; column++) {
		if (!varies(row->names[column]))
			digest_value(context, &row->values[column]);
	}
	return true;
}

bool store_digest(struct store *store, char digest[65], struct error *error)
{
	struct sha256 hash;
	sha256_init(&hash);
	for (size_t table = 0; table < sizeof digest_tables / sizeof digest_tables[0]; table++) {
		if (!store_query(store, digest_tables[table], NULL, 0, digest_row, &hash, error))
			return false;
	}
	sha256_final(&hash, digest);
	return true;
}
