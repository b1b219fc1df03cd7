/* SPDX-License-Identifier: MIT
 *
 * kmt_write.c - the writer of the native trace format (interface: kmt.h; layout: docs/formats.md).
 *
 * Columns of a piece of ops, each a run of variable-length integers (7 bits a byte, low bits first):
 *   0 what      0 = a free, else profile + 1
 *   1 time      zigzag difference to the op before
 *   2 line      zigzag difference to the op before
 *   3 cpu       as it is
 *   4 id        zigzag difference to the op before
 *   5 address   allocations only: zigzag difference to the profile's last address
 * Differences run on from piece to piece and start at 0 with the first piece of each tag. In front stand the number of ops, the
 * holes (position among the ops, as differences), and each column's length.
 */
#include "sim/io/kmt.h"
#include "sim/io/zstd_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libzstd's fast level: packing is on the import's way. The tables at the end are small and worth more. */
#define OPS_LEVEL 1
#define TABLES_LEVEL 3

#define VARINT_MAX 10u

struct bytes {
	unsigned char *at;
	size_t used, room;
};

struct content {
	uint64_t offset;
	uint32_t tag, count, raw, packed;
};

/* What the differences refer to. */
struct op_state {
	uint64_t time_ns, line;
	uint32_t id;
	uint64_t *address; /* by profile */
	uint32_t profiles;
};

struct kmt_writer {
	int file;
	char *name;
	uint64_t written;
	struct zstd_packer packer;
	struct content *contents;
	size_t content_count, content_room;
	struct bytes raw;
	unsigned char *columns[KMT_COLUMNS];
	enum kmt_tag tag;
	struct op_state state;
	struct detail last_detail; /* what the differences of details refer to */
};

uint64_t kmt_checksum(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * 0x100000001b3u;
	return hash;
}

static unsigned char *reserve(struct bytes *bytes, size_t more)
{
	if (bytes->used + more > bytes->room) {
		bytes->room = 2 * bytes->room + more;
		bytes->at = xrealloc(bytes->at, bytes->room);
	}
	return bytes->at + bytes->used;
}

static void put_bytes(struct bytes *bytes, const void *from, size_t length)
{
	unsigned char *at = reserve(bytes, length);
	if (length > 0)
		memcpy(at, from, length);
	bytes->used += length;
}

static unsigned char *store_varint(unsigned char *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (unsigned char)(value | 0x80);
	*at++ = (unsigned char)value;
	return at;
}

static void put_varint(struct bytes *bytes, uint64_t value)
{
	unsigned char *at = reserve(bytes, VARINT_MAX);
	bytes->used += (size_t)(store_varint(at, value) - at);
}

static void put_text(struct bytes *bytes, const char *text)
{
	size_t length = strlen(text);
	put_varint(bytes, length);
	put_bytes(bytes, text, length);
}

static bool write_all(struct kmt_writer *writer, const void *bytes, size_t length, struct error *error)
{
	const unsigned char *at = bytes;
	while (length > 0) {
		ssize_t wrote = write(writer->file, at, length);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return error_set(error, ERROR_HOST, "%s: writing failed at byte %llu: %s", writer->name,
			                 (unsigned long long)writer->written, strerror(errno));
		at += wrote;
		length -= (size_t)wrote;
		writer->written += (uint64_t)wrote;
	}
	return true;
}

static void store_piece_head(unsigned char *at, const struct content *content)
{
	kmt_store32(at, content->tag);
	kmt_store32(at + 4, content->count);
	kmt_store32(at + 8, content->raw);
	kmt_store32(at + 12, content->packed);
}

/* Writes writer->raw as one piece. */
static bool write_piece(struct kmt_writer *writer, enum kmt_tag tag, size_t count, int level, struct error *error)
{
	if (writer->raw.used > KMT_TABLE_RAW_MAX)
		return error_set(error, ERROR_INPUT, "%s: the recording's tables are too large for the format (%zu bytes)",
		                 writer->name, writer->raw.used);
	zstd_pack(&writer->packer, writer->raw.at, writer->raw.used, level);
	if (writer->content_count == writer->content_room) {
		writer->content_room = 2 * writer->content_room + 64;
		writer->contents = xrealloc(writer->contents, writer->content_room * sizeof *writer->contents);
	}
	struct content *content = &writer->contents[writer->content_count++];
	*content = (struct content){writer->written, tag, (uint32_t)count, (uint32_t)writer->raw.used,
	                            (uint32_t)writer->packer.packed_bytes};
	unsigned char head[KMT_PIECE_HEAD_BYTES];
	store_piece_head(head, content);
	return write_all(writer, head, sizeof head, error) &&
	       write_all(writer, writer->packer.packed, writer->packer.packed_bytes, error);
}

struct kmt_writer *kmt_writer_create(int file, const char *name)
{
	struct kmt_writer *writer = xcalloc(1, sizeof *writer);
	writer->file = file;
	writer->name = xstrdup(name);
	zstd_packer_init(&writer->packer);
	for (unsigned i = 0; i < KMT_COLUMNS; i++)
		writer->columns[i] = xcalloc(KMT_PIECE_OPS, VARINT_MAX);
	return writer;
}

void kmt_writer_destroy(struct kmt_writer *writer)
{
	if (!writer)
		return;
	for (unsigned i = 0; i < KMT_COLUMNS; i++)
		free(writer->columns[i]);
	zstd_packer_release(&writer->packer);
	free(writer->state.address);
	free(writer->contents);
	free(writer->raw.at);
	free(writer->name);
	free(writer);
}

static bool write_head(struct kmt_writer *writer, struct error *error)
{
	unsigned char head[KMT_HEAD_BYTES] = {0};
	memcpy(head, KMT_MAGIC, 8);
	kmt_store32(head + 8, KMT_VERSION);
	kmt_store32(head + 12, KMT_HEAD_BYTES);
	kmt_store64(head + KMT_HEAD_BYTES - 8, kmt_checksum(head, KMT_HEAD_BYTES - 8));
	return write_all(writer, head, sizeof head, error);
}

/* The first piece of a tag starts the differences at 0. */
static void begin_tag(struct kmt_writer *writer, enum kmt_tag tag)
{
	if (writer->tag == tag)
		return;
	free(writer->state.address);
	writer->state = (struct op_state){0};
	writer->tag = tag;
}

static uint64_t *last_address(struct op_state *state, uint32_t profile)
{
	if (profile >= state->profiles) {
		uint32_t room = 2 * profile + 256;
		state->address = xrealloc(state->address, room * sizeof *state->address);
		memset(state->address + state->profiles, 0, (room - state->profiles) * sizeof *state->address);
		state->profiles = room;
	}
	return &state->address[profile];
}

/* Stores one op at the columns' ends. */
static void store_op(struct op_state *state, unsigned char *ends[KMT_COLUMNS], const struct kmt_op *op)
{
	ends[0] = store_varint(ends[0], op->profile == KMT_FREE ? 0 : (uint64_t)op->profile + 1);
	ends[1] = store_varint(ends[1], kmt_zigzag(op->time_ns - state->time_ns));
	ends[2] = store_varint(ends[2], kmt_zigzag(op->line - state->line));
	ends[3] = store_varint(ends[3], op->cpu);
	ends[4] = store_varint(ends[4], kmt_zigzag((uint64_t)op->id - state->id));
	state->time_ns = op->time_ns;
	state->line = op->line;
	state->id = op->id;
	if (op->profile == KMT_FREE)
		return;
	uint64_t *last = last_address(state, op->profile);
	ends[5] = store_varint(ends[5], kmt_zigzag(op->address - *last));
	*last = op->address;
}

static void put_holes(struct bytes *bytes, const struct kmt_op *ops, size_t count)
{
	size_t holes = 0, last = 0;
	for (size_t i = 0; i < count; i++)
		holes += ops[i].profile == KMT_HOLE;
	put_varint(bytes, count - holes);
	put_varint(bytes, holes);
	for (size_t i = 0; i < count; i++)
		if (ops[i].profile == KMT_HOLE) {
			put_varint(bytes, i - last);
			last = i;
		}
}

bool kmt_write_ops(struct kmt_writer *writer, enum kmt_tag tag, const struct kmt_op *ops, size_t count, struct error *error)
{
	SIM_ASSERT(count <= KMT_PIECE_OPS && (tag == KMT_OPS || tag == KMT_PROLOGUE));
	if (writer->written == 0 && !write_head(writer, error))
		return false;
	begin_tag(writer, tag);
	unsigned char *ends[KMT_COLUMNS];
	memcpy(ends, writer->columns, sizeof ends);
	size_t stored = 0;
	for (size_t i = 0; i < count; i++) {
		if (ops[i].profile == KMT_HOLE)
			continue;
		store_op(&writer->state, ends, &ops[i]);
		stored++;
	}
	writer->raw.used = 0;
	put_holes(&writer->raw, ops, count);
	for (unsigned i = 0; i < KMT_COLUMNS; i++)
		put_varint(&writer->raw, (size_t)(ends[i] - writer->columns[i]));
	for (unsigned i = 0; i < KMT_COLUMNS; i++)
		put_bytes(&writer->raw, writer->columns[i], (size_t)(ends[i] - writer->columns[i]));
	return write_piece(writer, tag, stored, OPS_LEVEL, error);
}

static void put_detail(struct bytes *raw, const struct detail *detail, const struct detail *last)
{
	put_varint(raw, detail->kind);
	put_varint(raw, detail->line - last->line);
	put_varint(raw, kmt_zigzag(detail->time_ns - last->time_ns));
	put_varint(raw, detail->cpu);
	if (detail->kind == DETAIL_CONTEXT) {
		put_varint(raw, detail->task);
		put_varint(raw, detail->context);
	}
	if (detail_has_frame(detail->kind))
		put_varint(raw, kmt_zigzag(detail->pfn - last->pfn));
	if (detail_has_order(detail->kind))
		put_varint(raw, detail->order);
	if (detail_has_type(detail->kind))
		put_varint(raw, detail->type);
	if (detail->kind == DETAIL_PAGE_ALLOC)
		put_varint(raw, detail->gfp);
	if (detail->kind == DETAIL_ZONE_LOCKED)
		put_varint(raw, detail->refill);
	if (detail->kind == DETAIL_EXTFRAG) {
		put_varint(raw, detail->other_order);
		put_varint(raw, detail->other_type);
	}
}

bool kmt_write_details(struct kmt_writer *writer, const struct detail *details, size_t count, struct error *error)
{
	SIM_ASSERT(count <= KMT_PIECE_DETAILS);
	if (writer->written == 0 && !write_head(writer, error))
		return false;
	writer->raw.used = 0;
	struct detail *last = &writer->last_detail;
	for (size_t i = 0; i < count; i++) {
		SIM_ASSERT(details[i].line >= last->line);
		uint64_t frame = detail_has_frame(details[i].kind) ? details[i].pfn : last->pfn;
		put_detail(&writer->raw, &details[i], last);
		*last = details[i];
		last->pfn = frame;
	}
	return write_piece(writer, KMT_DETAILS, count, OPS_LEVEL, error);
}

static uint64_t count_value(const struct trace_summary *summary, const struct trace_count *count)
{
	uint64_t value;
	memcpy(&value, (const char *)summary + count->offset, sizeof value);
	return value;
}

static bool tells_of_processes(const struct trace_summary *summary)
{
	for (const struct trace_count *count = trace_counts; count->name; count++)
		if (count->of_processes && count_value(summary, count) != 0)
			return true;
	return false;
}

static bool write_info(struct kmt_writer *writer, const struct trace_info *info, struct error *error)
{
	struct bytes *raw = &writer->raw;
	raw->used = 0;
	const uint64_t numbers[] = {info->cpus,
	                            info->pointer_bits,
	                            info->ids,
	                            info->ops,
	                            info->first_ns,
	                            info->last_ns,
	                            info->direct_map,
	                            info->vmemmap,
	                            info->page_struct_bytes,
	                            info->end_pfn,
	                            (uint64_t)info->allocator,
	                            info->details};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		put_varint(raw, numbers[i]);
	put_text(raw, info->source);
	put_text(raw, info->sha256);
	bool processes = tells_of_processes(&info->summary);
	for (const struct trace_count *count = trace_counts; count->name; count++)
		if (processes || !count->of_processes)
			put_varint(raw, count_value(&info->summary, count));
	return write_piece(writer, KMT_INFO, 1, TABLES_LEVEL, error);
}

static bool write_strings(struct kmt_writer *writer, const struct string_table *strings, struct error *error)
{
	writer->raw.used = 0;
	put_bytes(&writer->raw, strings->bytes, strings->bytes_used);
	return write_piece(writer, KMT_STRINGS, strings->count, TABLES_LEVEL, error);
}

static bool write_profiles(struct kmt_writer *writer, const struct kmt_tables *tables, struct error *error)
{
	writer->raw.used = 0;
	for (uint32_t i = 0; i < tables->profile_count; i++) {
		const struct kmt_profile *profile = &tables->profiles[i];
		const uint64_t numbers[] = {profile->kind,  profile->order, profile->origin,    profile->call_site,
		                            profile->cache, profile->gfp,   profile->bytes_req, profile->bytes_alloc};
		for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
			put_varint(&writer->raw, numbers[k]);
	}
	return write_piece(writer, KMT_PROFILES, tables->profile_count, TABLES_LEVEL, error);
}

static bool write_caches(struct kmt_writer *writer, const struct kmt_tables *tables, struct error *error)
{
	writer->raw.used = 0;
	for (uint32_t i = 0; i < tables->info->caches; i++) {
		const struct trace_cache *cache = &tables->caches[i];
		const uint64_t numbers[] = {cache->named, cache->object_size, cache->bytes_alloc, cache->align,
		                            cache->flags, cache->ctor,        cache->allocs};
		for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
			put_varint(&writer->raw, numbers[k]);
		put_text(&writer->raw, cache->name);
	}
	return write_piece(writer, KMT_CACHES, tables->info->caches, TABLES_LEVEL, error);
}

static bool write_late(struct kmt_writer *writer, const struct kmt_tables *tables, struct error *error)
{
	uint64_t last = 0;
	writer->raw.used = 0;
	for (size_t i = 0; i < tables->late_count; i++) {
		put_varint(&writer->raw, tables->late[i].op - last);
		put_varint(&writer->raw, tables->late[i].cache);
		last = tables->late[i].op;
	}
	return write_piece(writer, KMT_LATE, tables->late_count, TABLES_LEVEL, error);
}

static bool write_fact(struct kmt_writer *writer, const struct trace_fact *fact, struct error *error)
{
	writer->raw.used = 0;
	put_text(&writer->raw, fact->name);
	put_bytes(&writer->raw, fact->text, fact->length);
	return write_piece(writer, KMT_FACT, 1, TABLES_LEVEL, error);
}

static bool write_spaces(struct kmt_writer *writer, const struct kmt_tables *tables, struct error *error)
{
	if (tables->space_count == 0)
		return true;
	writer->raw.used = 0;
	for (uint32_t i = 0; i < tables->space_count; i++) {
		const struct trace_space *space = &tables->spaces[i];
		const uint64_t numbers[] = {space->first_ns, space->task, space->mm, space->samples, space->peak_resident};
		for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
			put_varint(&writer->raw, numbers[k]);
		for (unsigned member = 0; member < SPACE_MEMBERS; member++) {
			put_varint(&writer->raw, space->peak_pages[member]);
			put_varint(&writer->raw, space->last_pages[member]);
		}
	}
	return write_piece(writer, KMT_SPACES, tables->space_count, TABLES_LEVEL, error);
}

static bool write_contents(struct kmt_writer *writer, struct error *error)
{
	size_t count = writer->content_count;
	writer->raw.used = 0;
	for (size_t i = 0; i < count; i++) {
		unsigned char *at = reserve(&writer->raw, 8 + KMT_PIECE_HEAD_BYTES);
		kmt_store64(at, writer->contents[i].offset);
		store_piece_head(at + 8, &writer->contents[i]);
		writer->raw.used += 8 + KMT_PIECE_HEAD_BYTES;
	}
	return write_piece(writer, KMT_CONTENTS, count, TABLES_LEVEL, error);
}

static bool write_tail(struct kmt_writer *writer, struct error *error)
{
	const struct content *contents = &writer->contents[writer->content_count - 1];
	unsigned char tail[KMT_TAIL_BYTES] = {0};
	kmt_store64(tail, contents->offset);
	store_piece_head(tail + 8, contents);
	kmt_store64(tail + 24, writer->written + KMT_TAIL_BYTES);
	kmt_store64(tail + 32, kmt_checksum(tail, 32));
	memcpy(tail + 40, KMT_END_MAGIC, 8);
	return write_all(writer, tail, sizeof tail, error);
}

bool kmt_write_tables(struct kmt_writer *writer, const struct kmt_tables *tables, struct error *error)
{
	if (writer->written == 0 && !write_head(writer, error))
		return false;
	if (!write_info(writer, tables->info, error) || !write_strings(writer, tables->strings, error) ||
	    !write_profiles(writer, tables, error) || !write_caches(writer, tables, error) || !write_late(writer, tables, error))
		return false;
	for (uint32_t i = 0; i < tables->fact_count; i++)
		if (!write_fact(writer, &tables->facts[i], error))
			return false;
	return write_spaces(writer, tables, error) && write_contents(writer, error) && write_tail(writer, error);
}
