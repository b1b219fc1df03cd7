/* SPDX-License-Identifier: MIT
 *
 * sqlite_store.h - what the parts of the store share: sqlite_store.c, store_rows.c, store_read.c, store_schema.c. Nobody else
 * includes this.
 */
#ifndef SIM_IO_SQLITE_STORE_H
#define SIM_IO_SQLITE_STORE_H

#include "sim/store.h"

#include <sqlite3.h>

/* The tables that rows are queued for, in the order of store_insert_sql[]. */
enum store_table {
	TABLE_METRIC,
	TABLE_SAMPLE,
	TABLE_SAMPLE_ZONE,
	TABLE_SAMPLE_AREA,
	TABLE_SAMPLE_ORDER,
	TABLE_SNAPSHOT,
	TABLE_CACHE,
	TABLE_CALL_SITE,
	TABLE_ADDRESS_SPACE,
	TABLE_HISTOGRAM,
	TABLE_HISTOGRAM_BUCKET,
	TABLE_LOCK,
	TABLE_LINE,
	TABLE_OP_COST,
	TABLE_SITE_COST,
	TABLE_LEVEL,
	TABLE_LEVEL_KIND,
	TABLE_LEVEL_SAMPLE,
	TABLE_LEVEL_SHARE,
	TABLE_WALK_REFERENCE,
	TABLE_WRONG_OP,
	TABLE_CURVE,
	TABLE_CURVE_SIZE,
	TABLE_CURVE_DISTANCE,
	TABLE_CURVE_MACHINE,
	TABLE_CHASE,
	STORE_TABLES
};

/* Rows that wait: for each the table, the number of columns, then the values as put_*() in store_rows.c write them. */
struct store_queue {
	unsigned char *bytes; /* owned */
	size_t used, capacity;
	size_t row_start; /* of the row that is being put together */
	uint32_t rows;
	uint64_t first_ns; /* host clock when the first of them came */
	bool refused;      /* a number of the row that is being put together does not fit the database */
};

struct store {
	sqlite3 *db;
	char *path;
	bool readonly;
	struct store_queue queue;
	sqlite3_stmt *insert[STORE_TABLES]; /* prepared on first use */
};

/* store_schema.c: the tables and views, and the statement that inserts one row of each table. */
extern const char *const store_schema_sql[]; /* ends with NULL */
extern const char *const store_insert_sql[STORE_TABLES];

/*
 * Tells what SQLite said while `doing` something ("writing results"); returns false. SQLite does not always keep the reason of a
 * failed write; so errno is set to 0 before the call that may fail and told if it is not.
 */
bool store_error(struct store *store, struct error *error, const char *doing);

/* Executes statements that give no rows. */
bool store_execute(struct store *store, const char *sql, const char *doing, struct error *error);

#endif
