/* SPDX-License-Identifier: MIT
 *
 * store_rows.c - the rows that belong to a run, and the queue in which they wait (interface: sim/store.h).
 *
 * Rows are put into a queue in memory and written by one short transaction when there are QUEUE_ROWS of them, QUEUE_BYTES, or the
 * first has waited QUEUE_AGE_NS. The write lock is held only during that transaction, so several simulations share a database
 * without waiting for each other. The clock decides only when others see the rows, not what they are.
 *
 * Invariant: between two calls the queue holds whole rows.
 */
#include "sim/io/sqlite_store.h"

#include "sim/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Bounds of a batch: what a killed run can lose, and how long others wait for the lock. */
#define QUEUE_ROWS 16384
#define QUEUE_BYTES (4u << 20)
#define QUEUE_AGE_NS 500000000ull

static uint64_t host_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum { MARK_INTEGER = 'i', MARK_TEXT = 't', MARK_NULL = 'n', MARK_END = 'e' };

static unsigned char *queue_room(struct store_queue *queue, size_t bytes)
{
	if (queue->used + bytes > queue->capacity) {
		queue->capacity = (queue->used + bytes) * 2;
		queue->bytes = xrealloc(queue->bytes, queue->capacity);
	}
	unsigned char *room = queue->bytes + queue->used;
	queue->used += bytes;
	return room;
}

static void put_integer(struct store *store, int64_t value)
{
	unsigned char *room = queue_room(&store->queue, 1 + sizeof value);
	room[0] = MARK_INTEGER;
	memcpy(room + 1, &value, sizeof value);
}

static void put_number(struct store *store, uint64_t value)
{
	store->queue.refused |= value > INT64_MAX;
	put_integer(store, (int64_t)value);
}

static void put_null(struct store *store)
{
	*queue_room(&store->queue, 1) = MARK_NULL;
}

/* Bytes that are no UTF-8 would make the database unreadable for most languages; they become '?'. */
static void put_text(struct store *store, const char *text)
{
	uint32_t length = (uint32_t)strlen(text);
	unsigned char *room = queue_room(&store->queue, 1 + sizeof length + length);
	room[0] = MARK_TEXT;
	memcpy(room + 1, &length, sizeof length);
	utf8_copy((char *)room + 1 + sizeof length, text, length);
}

static void row_begin(struct store *store, enum store_table table, int64_t run_id)
{
	SIM_ASSERT(!store->readonly);
	store->queue.row_start = store->queue.used;
	store->queue.refused = false;
	*queue_room(&store->queue, 1) = (unsigned char)table;
	put_integer(store, run_id);
}

static bool row_end(struct store *store, struct error *error)
{
	struct store_queue *queue = &store->queue;
	if (queue->refused) {
		queue->used = queue->row_start;
		return error_set(error, ERROR_INPUT, "%s: a number is above 2^63-1 and does not fit the database (%.20s)",
		                 store->path, store_insert_sql[queue->bytes[queue->row_start]]);
	}
	*queue_room(queue, 1) = MARK_END;
	uint64_t now_ns = host_clock_ns();
	if (queue->rows++ == 0)
		queue->first_ns = now_ns;
	if (queue->rows < QUEUE_ROWS && queue->used < QUEUE_BYTES && now_ns - queue->first_ns < QUEUE_AGE_NS)
		return true;
	return store_flush(store, error);
}

static sqlite3_stmt *insert_statement(struct store *store, enum store_table table)
{
	if (!store->insert[table])
		sqlite3_prepare_v3(store->db, store_insert_sql[table], -1, SQLITE_PREPARE_PERSISTENT, &store->insert[table],
		                   NULL);
	return store->insert[table];
}

/* Binds one value and returns the place behind it. The text stays in the queue until the row is written. */
static const unsigned char *bind_value(sqlite3_stmt *statement, int column, const unsigned char *at)
{
	int64_t integer;
	uint32_t length;
	switch (*at++) {
	case MARK_INTEGER:
		memcpy(&integer, at, sizeof integer);
		sqlite3_bind_int64(statement, column, integer);
		return at + sizeof integer;
	case MARK_TEXT:
		memcpy(&length, at, sizeof length);
		sqlite3_bind_text(statement, column, (const char *)at + sizeof length, (int)length, SQLITE_STATIC);
		return at + sizeof length + length;
	default:
		sqlite3_bind_null(statement, column);
		return at;
	}
}

/* Writes the row at `at` and returns the place behind it, NULL if the database refuses. */
static const unsigned char *write_row(struct store *store, const unsigned char *at)
{
	sqlite3_stmt *statement = insert_statement(store, (enum store_table) * at++);
	if (!statement)
		return NULL;
	for (int column = 1; *at != MARK_END; column++)
		at = bind_value(statement, column, at);
	errno = 0;
	int code = sqlite3_step(statement);
	return sqlite3_reset(statement) == SQLITE_OK && code == SQLITE_DONE ? at + 1 : NULL;
}

bool store_flush(struct store *store, struct error *error)
{
	struct store_queue *queue = &store->queue;
	if (queue->rows == 0)
		return true;
	bool ok = store_execute(store, "BEGIN IMMEDIATE", "writing results", error);
	const unsigned char *end = queue->bytes + queue->used;
	for (const unsigned char *at = queue->bytes; ok && at != end;) {
		at = write_row(store, at);
		ok = at || store_error(store, error, "writing results");
		if (!ok)
			break;
	}
	ok = ok && store_execute(store, "COMMIT", "writing results", error);
	if (!ok && !sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	queue->used = 0;
	queue->rows = 0;
	return ok;
}

bool store_metric(struct store *store, int64_t run_id, const char *component, const struct metric *metric, uint64_t value,
                  struct error *error)
{
	row_begin(store, TABLE_METRIC, run_id);
	put_text(store, component);
	put_text(store, metric->name);
	put_number(store, value);
	put_text(store, metric->unit);
	put_text(store, metric->kind == METRIC_GAUGE ? "gauge" : "counter");
	put_text(store, metric->help);
	return row_end(store, error);
}

bool store_sample(struct store *store, int64_t run_id, uint32_t sample, const struct store_sample *row, struct error *error)
{
	row_begin(store, TABLE_SAMPLE, run_id);
	put_integer(store, sample);
	put_number(store, row->time_ns);
	put_number(store, row->pages_free);
	put_number(store, row->pages_pcp);
	put_number(store, row->pages_allocated);
	put_number(store, row->pages_slab);
	put_number(store, row->pages_kmalloc_large);
	put_number(store, row->pages_unmovable);
	put_number(store, row->pages_movable);
	put_number(store, row->pages_reclaimable);
	put_number(store, row->bytes_req);
	put_number(store, row->bytes_alloc);
	put_number(store, row->live_objects);
	return row_end(store, error);
}

/* Of the largest uint64_t. */
#define DECIMAL_DIGITS 20

/* Writes a number in decimal and returns the end. printf would take most of the time of a sample. */
static char *decimal(char *to, uint64_t value)
{
	char digits[DECIMAL_DIGITS];
	unsigned count = 0;
	do
		digits[count++] = (char)('0' + value % 10);
	while (value /= 10);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* The free blocks of one migrate type as a JSON array by order, written where the queue keeps it. */
static void put_free_blocks(struct store *store, const struct zone_view *zone, enum migratetype type)
{
	struct store_queue *queue = &store->queue;
	uint32_t length;
	const size_t head = 1 + sizeof length, longest = ORDERS * (DECIMAL_DIGITS + 1) + 1;
	unsigned char *room = queue_room(queue, head + longest);
	char *text = (char *)room + head, *to = text;
	for (unsigned order = 0; order < ORDERS; order++) {
		*to++ = order ? ',' : '[';
		to = decimal(to, zone->free_blocks[order][type]);
	}
	*to++ = ']';
	length = (uint32_t)(to - text);
	room[0] = MARK_TEXT;
	memcpy(room + 1, &length, sizeof length);
	queue->used -= longest - length;
}

bool store_sample_zone(struct store *store, int64_t run_id, uint32_t sample, const struct zone_view *zone, struct error *error)
{
	row_begin(store, TABLE_SAMPLE_ZONE, run_id);
	put_integer(store, sample);
	put_integer(store, zone->node);
	put_text(store, zone->name);
	put_number(store, zone->free_pages);
	put_free_blocks(store, zone, MIGRATE_UNMOVABLE);
	put_free_blocks(store, zone, MIGRATE_MOVABLE);
	put_free_blocks(store, zone, MIGRATE_RECLAIMABLE);
	put_free_blocks(store, zone, MIGRATE_HIGHATOMIC);
	return row_end(store, error);
}

bool store_sample_area(struct store *store, int64_t run_id, uint32_t sample, const struct store_sample_area *row,
                       struct error *error)
{
	row_begin(store, TABLE_SAMPLE_AREA, run_id);
	put_integer(store, sample);
	put_number(store, row->areas);
	put_number(store, row->pages);
	put_number(store, row->pages_mapped);
	put_number(store, row->pages_lazy);
	put_number(store, row->purges);
	put_number(store, row->tlb_flushes);
	return row_end(store, error);
}

bool store_sample_order(struct store *store, int64_t run_id, uint32_t sample, unsigned page_order, uint64_t asked,
                        uint64_t failed, struct error *error)
{
	row_begin(store, TABLE_SAMPLE_ORDER, run_id);
	put_integer(store, sample);
	put_integer(store, page_order);
	put_number(store, asked);
	put_number(store, failed);
	return row_end(store, error);
}

bool store_snapshot(struct store *store, int64_t run_id, const char *kind, uint32_t sample, const char *text, struct error *error)
{
	row_begin(store, TABLE_SNAPSHOT, run_id);
	put_text(store, kind);
	put_integer(store, sample);
	put_text(store, text);
	return row_end(store, error);
}

bool store_cache(struct store *store, int64_t run_id, const struct store_cache *cache, struct error *error)
{
	const struct cache_view *view = &cache->view;
	row_begin(store, TABLE_CACHE, run_id);
	put_text(store, view->name);
	put_integer(store, view->object_size);
	put_integer(store, view->size);
	put_integer(store, view->align);
	put_integer(store, view->flags);
	put_integer(store, view->kmalloc);
	put_integer(store, view->objects_per_slab);
	put_integer(store, view->pages_per_slab);
	put_number(store, view->active_objects);
	put_number(store, view->total_objects);
	put_number(store, view->active_slabs);
	put_number(store, view->slabs);
	put_number(store, cache->slabs_peak);
	if (cache->recorded_slabs >= 0)
		put_integer(store, cache->recorded_slabs);
	else
		put_null(store);
	put_integer(store, view->limit);
	put_integer(store, view->batchcount);
	put_integer(store, view->shared);
	put_number(store, view->shared_available);
	put_number(store, view->live_objects);
	put_number(store, cache->total_allocs);
	put_number(store, cache->total_frees);
	put_number(store, cache->bytes_req);
	put_number(store, cache->bytes_alloc);
	put_number(store, cache->live_bytes_req);
	put_number(store, cache->live_bytes_alloc);
	return row_end(store, error);
}

static void put_space_pages(struct store *store, const struct store_space_pages *pages, bool known)
{
	const uint64_t numbers[] = {pages->file, pages->anonymous, pages->shared, pages->swapped, pages->resident};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (known)
			put_number(store, numbers[i]);
		else
			put_null(store);
}

bool store_space(struct store *store, int64_t run_id, const struct store_space *space, struct error *error)
{
	row_begin(store, TABLE_ADDRESS_SPACE, run_id);
	put_integer(store, space->nr);
	put_integer(store, space->task);
	put_integer(store, space->mm);
	put_number(store, space->samples);
	put_space_pages(store, &space->recorded, space->samples > 0);
	put_space_pages(store, &space->replayed, true);
	return row_end(store, error);
}

bool store_call_site(struct store *store, int64_t run_id, const struct store_call_site *site, struct error *error)
{
	row_begin(store, TABLE_CALL_SITE, run_id);
	put_text(store, site->call_site);
	put_number(store, site->hit);
	put_number(store, site->ping_pong);
	put_number(store, site->bytes_req);
	put_number(store, site->bytes_alloc);
	put_number(store, site->live_objects);
	put_number(store, site->live_bytes_req);
	put_number(store, site->live_bytes_alloc);
	return row_end(store, error);
}

static bool histogram_bucket(struct store *store, int64_t run_id, const char *name, const struct histogram *histogram,
                             unsigned bucket, struct error *error)
{
	row_begin(store, TABLE_HISTOGRAM_BUCKET, run_id);
	put_text(store, name);
	put_number(store, histogram_floor(bucket));
	put_number(store, bucket + 1 < HISTOGRAM_BUCKETS ? histogram_floor(bucket + 1) - 1 : histogram->max);
	put_number(store, histogram->at[bucket]);
	return row_end(store, error);
}

bool store_histogram(struct store *store, int64_t run_id, const char *name, const char *unit, const struct histogram *histogram,
                     struct error *error)
{
	row_begin(store, TABLE_HISTOGRAM, run_id);
	put_text(store, name);
	put_text(store, unit);
	put_number(store, histogram->count);
	put_number(store, histogram->sum);
	put_number(store, histogram->min);
	put_number(store, histogram->max);
	if (!row_end(store, error))
		return false;
	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		if (histogram->at[bucket] && !histogram_bucket(store, run_id, name, histogram, bucket, error))
			return false;
	}
	return true;
}

static void put_address(struct store *store, uint64_t value)
{
	char address[24];
	snprintf(address, sizeof address, "0x%016" PRIx64, value);
	put_text(store, address);
}

bool store_lock(struct store *store, int64_t run_id, const struct store_lock *lock, struct error *error)
{
	row_begin(store, TABLE_LOCK, run_id);
	put_address(store, lock->address);
	put_text(store, lock->name);
	put_number(store, lock->acquisitions);
	put_number(store, lock->waits);
	put_number(store, lock->hand_overs);
	put_number(store, lock->wait_cycles);
	put_number(store, lock->take_cycles);
	return row_end(store, error);
}

bool store_line(struct store *store, int64_t run_id, const struct store_line *line, struct error *error)
{
	row_begin(store, TABLE_LINE, run_id);
	put_address(store, line->physical);
	if (line->address)
		put_address(store, line->address);
	else
		put_null(store);
	put_text(store, line->name);
	put_number(store, line->transfers_clean);
	put_number(store, line->transfers_dirty);
	put_number(store, line->invalidations);
	put_number(store, line->upgrades);
	put_number(store, line->cores);
	put_number(store, line->writers);
	put_number(store, line->false_sharing);
	return row_end(store, error);
}

static void put_parts(struct store *store, const struct cost *cost)
{
	put_number(store, cost_total(cost));
	for (unsigned part = 0; part < COST_PARTS; part++)
		put_number(store, cost->cycles[part]);
}

bool store_op_cost(struct store *store, int64_t run_id, const struct store_op_cost *row, struct error *error)
{
	SIM_ASSERT(row->cycles->sum == cost_total(row->cost));
	row_begin(store, TABLE_OP_COST, run_id);
	put_text(store, row->kind);
	put_number(store, row->owner);
	put_text(store, row->path);
	put_text(store, row->cache);
	put_number(store, row->cycles->count);
	put_number(store, row->cycles->min);
	put_number(store, histogram_quantile(row->cycles, 500));
	put_number(store, histogram_quantile(row->cycles, 900));
	put_number(store, histogram_quantile(row->cycles, 990));
	put_number(store, row->cycles->max);
	put_parts(store, row->cost);
	return row_end(store, error);
}

bool store_site_cost(struct store *store, int64_t run_id, const struct store_site_cost *row, struct error *error)
{
	row_begin(store, TABLE_SITE_COST, run_id);
	put_text(store, row->kind);
	put_text(store, row->call_site);
	put_number(store, row->ops);
	put_parts(store, row->cost);
	return row_end(store, error);
}

static void put_if(struct store *store, bool known, uint64_t value)
{
	if (known)
		put_number(store, value);
	else
		put_null(store);
}

bool store_level(struct store *store, int64_t run_id, const struct store_level *level, struct error *error)
{
	row_begin(store, TABLE_LEVEL, run_id);
	put_text(store, level->level);
	put_text(store, level->port);
	put_number(store, level->position);
	put_number(store, level->instances);
	put_number(store, level->entries);
	put_number(store, level->ways);
	put_number(store, level->unit_bytes);
	put_number(store, level->reach_bytes);
	put_number(store, level->accesses);
	put_number(store, level->misses);
	put_number(store, level->evictions);
	put_number(store, level->write_backs);
	put_if(store, level->watched, level->thrash_window);
	put_if(store, level->watched, level->unused_evictions);
	put_if(store, level->watched, level->remisses);
	put_if(store, level->watched, level->ping_pong_blocks);
	return row_end(store, error);
}

bool store_level_kind(struct store *store, int64_t run_id, const struct store_level_kind *row, struct error *error)
{
	row_begin(store, TABLE_LEVEL_KIND, run_id);
	put_text(store, row->level);
	put_number(store, row->page_bytes);
	put_text(store, row->kind);
	put_number(store, row->accesses);
	put_number(store, row->hits);
	put_number(store, row->misses);
	put_number(store, row->evictions);
	put_number(store, row->write_backs);
	return row_end(store, error);
}

bool store_level_sample(struct store *store, int64_t run_id, uint32_t sample, const struct store_level_sample *row,
                        struct error *error)
{
	row_begin(store, TABLE_LEVEL_SAMPLE, run_id);
	put_number(store, sample);
	put_text(store, row->level);
	put_number(store, row->position);
	put_number(store, row->time_ns);
	put_number(store, row->accesses);
	put_number(store, row->misses);
	return row_end(store, error);
}

bool store_level_share(struct store *store, int64_t run_id, const struct store_level_share *row, struct error *error)
{
	row_begin(store, TABLE_LEVEL_SHARE, run_id);
	put_text(store, row->level);
	put_text(store, row->by);
	put_text(store, row->name);
	put_number(store, row->accesses);
	put_number(store, row->misses);
	return row_end(store, error);
}

bool store_walk_reference(struct store *store, int64_t run_id, const struct store_walk_reference *row, struct error *error)
{
	row_begin(store, TABLE_WALK_REFERENCE, run_id);
	put_text(store, row->entry);
	put_text(store, row->served_by);
	put_number(store, row->references);
	return row_end(store, error);
}

bool store_wrong_op(struct store *store, int64_t run_id, const struct store_wrong_op *wrong, struct error *error)
{
	row_begin(store, TABLE_WRONG_OP, run_id);
	put_number(store, wrong->op);
	put_if(store, wrong->line != 0, wrong->line);
	put_text(store, wrong->kind);
	put_text(store, wrong->what);
	return row_end(store, error);
}

bool store_curve(struct store *store, int64_t run_id, const struct store_curve *curve, struct error *error)
{
	row_begin(store, TABLE_CURVE, run_id);
	put_text(store, curve->port);
	put_text(store, curve->kinds);
	put_number(store, curve->unit_bytes);
	put_number(store, curve->records);
	put_number(store, curve->accesses);
	put_number(store, curve->blocks);
	put_if(store, curve->sampled, curve->sampled_blocks);
	put_if(store, curve->sampled, curve->sampled_accesses);
	put_if(store, curve->sampled, curve->rate_ppb);
	return row_end(store, error);
}

bool store_curve_size(struct store *store, int64_t run_id, const struct store_curve_size *size, struct error *error)
{
	row_begin(store, TABLE_CURVE_SIZE, run_id);
	put_number(store, size->sets);
	put_number(store, size->ways);
	put_number(store, size->misses);
	put_if(store, size->estimated, size->standard_error);
	return row_end(store, error);
}

bool store_curve_distance(struct store *store, int64_t run_id, const struct store_curve_distance *row, struct error *error)
{
	row_begin(store, TABLE_CURVE_DISTANCE, run_id);
	put_number(store, row->lowest);
	put_number(store, row->highest);
	put_number(store, row->accesses);
	return row_end(store, error);
}

bool store_curve_machine(struct store *store, int64_t run_id, const struct store_curve_machine *row, struct error *error)
{
	row_begin(store, TABLE_CURVE_MACHINE, run_id);
	put_text(store, row->machine);
	put_text(store, row->level);
	put_number(store, row->entries);
	put_number(store, row->ways);
	put_number(store, row->accesses);
	put_number(store, row->misses);
	return row_end(store, error);
}

bool store_chase(struct store *store, int64_t run_id, const struct store_chase *row, struct error *error)
{
	row_begin(store, TABLE_CHASE, run_id);
	put_text(store, row->series);
	put_number(store, row->lines);
	put_number(store, row->bytes);
	put_number(store, row->milli_cycles);
	put_if(store, row->femtoseconds != 0, row->femtoseconds);
	return row_end(store, error);
}
