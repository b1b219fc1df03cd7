/* SPDX-License-Identifier: MIT
 *
 * kmt_read.c - the reader of the native trace format (interface: sim/trace.h and kmt.h; layout: docs/formats.md).
 *
 * Everything is checked before it is believed: head, tail and contents by checksum, that the pieces lie without a gap, every
 * length against the bytes that are there, every index against its table, and every op against what is live. What a damaged file
 * can make us allocate is bounded by its own size and by KMT_TABLE_RAW_MAX.
 *
 * A piece of ops is unpacked column by column; then ops are put together from the columns, the profiles, and the table of ids,
 * which remembers what lives under each id, so that a free needs no more than it.
 */
#include "sim/io/kmt.h"
#include "sim/io/zstd_trace.h"
#include "sim/port/page_mapper.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The largest fact an import takes in, and so the largest a file may hold. */
#define FACT_RAW_MAX (17u << 20)
/* zstd packs at best some 30000:1; no honest table comes near this, so a small file cannot ask for much memory. */
#define TABLE_RATIO_MAX 4096u
#define TABLE_RAW_SMALL (1u << 16)

struct content {
	uint64_t offset;
	uint32_t tag, count, raw, packed;
};

struct live {
	uint64_t address;
	uint32_t cache;
	uint8_t kind; /* enum op_kind of the free, 0 = not live (OP_CACHE_ALLOC is no free) */
	uint8_t order;
};

/* Bytes being taken apart; `damaged` stays set once a number ran over the end. */
struct cursor {
	const unsigned char *at, *end;
	bool damaged;
};

struct trace {
	int file;
	char *name;
	uint64_t file_bytes;
	struct trace_info info;

	struct content *contents;
	uint32_t content_count;
	char *strings;
	uint64_t *string_at; /* offsets into strings */
	uint32_t string_count;
	struct kmt_profile *profiles;
	uint32_t profile_count;
	struct trace_cache *caches;
	char *cache_names;
	struct kmt_late *late;
	uint32_t late_count;
	struct trace_fact *facts;
	uint32_t fact_count;
	struct trace_space *spaces;
	uint32_t space_count;

	struct zstd_unpacker unpacker;
	unsigned char *packed, *raw;
	size_t packed_room, raw_room;

	/* The stream: the prologue's pieces first, then the others. */
	enum kmt_tag tag;
	uint32_t content_next;
	uint64_t op_number; /* of the piece's first op, holes included */
	uint32_t late_next;
	struct live *live;      /* by id */
	uint64_t *last_address; /* by profile */
	uint64_t last_time, last_line;
	uint32_t last_id;

	/* The piece. */
	uint32_t at, count;
	uint64_t *times, *lines, *addresses, *whats, *ids, *cpus;
	uint32_t *late_cache; /* by op, only where piece_has_late */
	bool piece_has_late;

	/* The stream of details; it has nothing in common with that of the ops but the file. */
	struct detail *details; /* of one piece; NULL until the first is asked for */
	uint32_t detail_at, detail_count;
	uint32_t detail_content; /* the next piece to look at */
	struct detail last_detail;
};

/* The value late_cache has for ops that stand as their profile says. */
#define NOT_LATE (UINT32_MAX - 1)

static bool damaged(const struct trace *trace, struct error *error, const char *what)
{
	return error_set(error, ERROR_INPUT, "%s: damaged kmemsim trace: %s", trace->name, what);
}

static bool read_at(const struct trace *trace, uint64_t offset, void *bytes, size_t length, struct error *error)
{
	unsigned char *at = bytes;
	while (length > 0) {
		ssize_t got = pread(trace->file, at, length, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(error, ERROR_HOST, "%s: reading failed at byte %" PRIu64 ": %s", trace->name, offset,
			                 strerror(errno));
		if (got == 0)
			return error_set(error, ERROR_INPUT, "%s: the file ends at byte %" PRIu64 ", where more was expected",
			                 trace->name, offset);
		at += got;
		offset += (uint64_t)got;
		length -= (size_t)got;
	}
	return true;
}

static struct content load_piece_head(uint64_t offset, const unsigned char *at)
{
	return (struct content){offset, kmt_load32(at), kmt_load32(at + 4), kmt_load32(at + 8), kmt_load32(at + 12)};
}

static uint64_t take_slow(struct cursor *cursor)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
		unsigned char byte = *cursor->at++;
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	cursor->damaged = true;
	return 0;
}

/* Nearly all numbers have one to three bytes. */
static inline uint64_t take(struct cursor *cursor)
{
	const unsigned char *at = cursor->at;
	if (cursor->end - at < 3)
		return take_slow(cursor);
	if (at[0] < 0x80) {
		cursor->at = at + 1;
		return at[0];
	}
	if (at[1] < 0x80) {
		cursor->at = at + 2;
		return (at[0] & 0x7fu) | (uint64_t)at[1] << 7;
	}
	if (at[2] < 0x80) {
		cursor->at = at + 3;
		return (at[0] & 0x7fu) | (uint64_t)(at[1] & 0x7fu) << 7 | (uint64_t)at[2] << 14;
	}
	return take_slow(cursor);
}

/* A number that must be at most `limit`. */
static uint64_t take_below(struct cursor *cursor, uint64_t limit)
{
	uint64_t value = take(cursor);
	if (value <= limit)
		return value;
	cursor->damaged = true;
	return 0;
}

static uint32_t take32(struct cursor *cursor)
{
	return (uint32_t)take_below(cursor, UINT32_MAX);
}

/* A text of at most `limit` bytes; NULL if it is not there whole. */
static const char *take_text(struct cursor *cursor, size_t limit, size_t *length)
{
	*length = (size_t)take_below(cursor, limit);
	if (cursor->damaged || *length > (size_t)(cursor->end - cursor->at)) {
		cursor->damaged = true;
		*length = 0;
		return NULL;
	}
	const char *text = (const char *)cursor->at;
	cursor->at += *length;
	return text;
}

static void make_room(unsigned char **bytes, size_t *room, size_t length)
{
	if (length <= *room)
		return;
	free(*bytes);
	*bytes = xcalloc(length, 1);
	*room = length;
}

/* Reads and unpacks a piece into trace->raw. */
static bool unpack_piece(struct trace *trace, const struct content *content, struct error *error)
{
	unsigned char head[KMT_PIECE_HEAD_BYTES];
	if (!read_at(trace, content->offset, head, sizeof head, error))
		return false;
	struct content here = load_piece_head(content->offset, head);
	if (here.tag != content->tag || here.count != content->count || here.raw != content->raw ||
	    here.packed != content->packed)
		return damaged(trace, error, "a piece is not the one that the table of contents names");
	make_room(&trace->packed, &trace->packed_room, content->packed);
	make_room(&trace->raw, &trace->raw_room, (size_t)content->raw + 1);
	if (!read_at(trace, content->offset + KMT_PIECE_HEAD_BYTES, trace->packed, content->packed, error))
		return false;
	if (!zstd_unpack(&trace->unpacker, trace->packed, content->packed, trace->raw, content->raw))
		return error_set(error, ERROR_INPUT, "%s: damaged kmemsim trace: the piece at byte %" PRIu64 " does not unpack",
		                 trace->name, content->offset);
	return true;
}

static bool sizes_are_plausible(const struct trace *trace, const struct content *content)
{
	if (content->packed > trace->file_bytes)
		return false;
	if (content->tag == KMT_OPS || content->tag == KMT_PROLOGUE)
		return content->raw <= KMT_OPS_RAW_MAX && content->count <= KMT_PIECE_OPS;
	if (content->tag == KMT_DETAILS)
		return content->raw <= KMT_DETAILS_RAW_MAX && content->count <= KMT_PIECE_DETAILS;
	if (content->tag == KMT_FACT)
		return content->raw <= FACT_RAW_MAX;
	return content->raw <= KMT_TABLE_RAW_MAX &&
	       (content->raw <= TABLE_RAW_SMALL || content->raw / TABLE_RATIO_MAX <= content->packed);
}

static bool read_head(struct trace *trace, struct error *error)
{
	unsigned char head[KMT_HEAD_BYTES];
	if (trace->file_bytes < KMT_HEAD_BYTES + KMT_TAIL_BYTES)
		return error_set(error, ERROR_INPUT, "%s: %" PRIu64 " bytes are too few for a kmemsim trace", trace->name,
		                 trace->file_bytes);
	if (!read_at(trace, 0, head, sizeof head, error))
		return false;
	if (memcmp(head, KMT_MAGIC, 8) != 0)
		return error_set(error, ERROR_INPUT, "%s: this is no kmemsim trace (.kmt): its first bytes are others",
		                 trace->name);
	if (kmt_load32(head + 8) != KMT_VERSION)
		return error_set(error, ERROR_INPUT, "%s: a kmemsim trace of version %u, this program reads version %u",
		                 trace->name, kmt_load32(head + 8), KMT_VERSION);
	if (kmt_load64(head + KMT_HEAD_BYTES - 8) != kmt_checksum(head, KMT_HEAD_BYTES - 8) ||
	    kmt_load32(head + 12) != KMT_HEAD_BYTES)
		return damaged(trace, error, "the head's checksum is wrong");
	return true;
}

static bool read_contents(struct trace *trace, struct error *error)
{
	unsigned char tail[KMT_TAIL_BYTES];
	if (!read_at(trace, trace->file_bytes - KMT_TAIL_BYTES, tail, sizeof tail, error))
		return false;
	if (memcmp(tail + 40, KMT_END_MAGIC, 8) != 0 || kmt_load64(tail + 32) != kmt_checksum(tail, 32) ||
	    kmt_load64(tail + 24) != trace->file_bytes)
		return damaged(trace, error, "it was cut or has bytes after its end");
	struct content self = load_piece_head(kmt_load64(tail), tail + 8);
	if (self.tag != KMT_CONTENTS || !sizes_are_plausible(trace, &self) ||
	    self.offset != trace->file_bytes - KMT_TAIL_BYTES - self.packed - KMT_PIECE_HEAD_BYTES ||
	    self.raw != (uint64_t)self.count * (8 + KMT_PIECE_HEAD_BYTES))
		return damaged(trace, error, "the table of contents is not where it should be");
	if (!unpack_piece(trace, &self, error))
		return false;
	trace->content_count = self.count;
	trace->contents = xcalloc(self.count, sizeof *trace->contents);
	uint64_t offset = KMT_HEAD_BYTES;
	for (uint32_t i = 0; i < self.count; i++) {
		const unsigned char *at = trace->raw + (size_t)i * (8 + KMT_PIECE_HEAD_BYTES);
		trace->contents[i] = load_piece_head(kmt_load64(at), at + 8);
		if (trace->contents[i].offset != offset || !sizes_are_plausible(trace, &trace->contents[i]))
			return damaged(trace, error, "the table of contents has a gap");
		offset += KMT_PIECE_HEAD_BYTES + (uint64_t)trace->contents[i].packed;
	}
	if (offset != self.offset)
		return damaged(trace, error, "the table of contents does not reach to the end");
	return true;
}

static bool copy_text(struct cursor *cursor, char *to, size_t room)
{
	size_t length;
	const char *text = take_text(cursor, room - 1, &length);
	if (!text)
		return false;
	memcpy(to, text, length);
	to[length] = '\0';
	return strlen(to) == length;
}

static bool read_info(struct trace *trace, struct cursor cursor, struct error *error)
{
	struct trace_info *info = &trace->info;
	info->version = KMT_VERSION;
	info->cpus = take32(&cursor);
	info->pointer_bits = take32(&cursor);
	info->ids = take32(&cursor);
	info->ops = take(&cursor);
	info->first_ns = take(&cursor);
	info->last_ns = take(&cursor);
	info->direct_map = take(&cursor);
	info->vmemmap = take(&cursor);
	info->page_struct_bytes = take32(&cursor);
	info->end_pfn = take(&cursor);
	info->allocator = (enum recorded_allocator)take_below(&cursor, RECORDED_SLOB);
	info->details = take(&cursor);
	bool texts =
	        copy_text(&cursor, info->source, sizeof info->source) && copy_text(&cursor, info->sha256, sizeof info->sha256);
	for (const struct trace_count *count = trace_counts; count->name; count++) {
		if (count->of_processes && !cursor.damaged && cursor.at == cursor.end)
			break;
		uint64_t value = take(&cursor);
		memcpy((char *)&info->summary + count->offset, &value, sizeof value);
	}
	if (!texts || cursor.damaged || cursor.at != cursor.end)
		return damaged(trace, error, "its summary is not whole");
	return true;
}

static bool read_strings(struct trace *trace, uint32_t count, size_t length, struct error *error)
{
	trace->strings = xcalloc(length + 1, 1);
	memcpy(trace->strings, trace->raw, length);
	trace->string_at = xcalloc((size_t)count + 1, sizeof *trace->string_at);
	size_t at = 0;
	uint32_t found = 0;
	for (; found < count && at < length; found++) {
		trace->string_at[found] = at;
		at += strlen(trace->strings + at) + 1;
	}
	if (found != count || at != length)
		return damaged(trace, error, "its table of texts is not whole");
	trace->string_count = count;
	return true;
}

/* The op kind that frees what the index allocates; 0 for marks and uses, which nothing frees, and for frees. */
static const uint8_t free_kind[OP_KINDS] = {
        [OP_CACHE_ALLOC] = OP_CACHE_FREE,   [OP_KMALLOC] = OP_KFREE,       [OP_PAGE_ALLOC] = OP_PAGE_FREE,
        [OP_AREA_ALLOC] = OP_AREA_FREE,     [OP_PAGE_MAP] = OP_PAGE_UNMAP, [OP_PROCESS_CREATE] = OP_PROCESS_EXIT,
        [OP_PROCESS_FORK] = OP_PROCESS_EXIT};

/* Whether the op names a block or a process that lives, by id: it neither allocates nor frees. */
static bool is_use(unsigned kind)
{
	return kind == OP_PAGE_CLEAR || kind == OP_PAGE_COPY || (kind >= OP_PROCESS_EXEC && kind <= OP_PROCESS_SWITCH) ||
	       (kind >= OP_PROCESS_RUN && kind <= OP_PROCESS_REMAP);
}

/* Whether the op may name a recorded address space. */
static bool makes_space(unsigned kind)
{
	return kind == OP_PROCESS_CREATE || kind == OP_PROCESS_FORK || kind == OP_PROCESS_EXEC;
}

/* Whether the op has no id. */
static bool is_nobodys(unsigned kind)
{
	return kind == OP_MARK || kind == OP_PROCESS_LEAVE;
}

/* What an op of a process says beside its address is in its bounds. */
static bool process_profile_is_sound(const struct kmt_profile *profile)
{
	switch (profile->kind) {
	case OP_PROCESS_FORK:
		return profile->order < FORK_KINDS;
	case OP_PROCESS_MAP:
		return profile->order < USER_AREA_KINDS && profile->bytes_req > 0;
	case OP_PROCESS_UNMAP:
		return profile->bytes_req > 0;
	case OP_PROCESS_PROTECT:
		return profile->bytes_req > 0 && profile->order <= USER_RIGHTS;
	case OP_PROCESS_REMAP:
		return profile->bytes_req > 0 && profile->bytes_alloc > 0;
	case OP_PROCESS_ADVISE:
		return profile->bytes_req > 0 && profile->order < USER_ADVICES;
	case OP_PROCESS_TOUCH:
		return profile->order < TOUCH_KINDS && profile->bytes_req > 0 && profile->bytes_alloc > 0 &&
		       profile->bytes_req / profile->bytes_alloc < TOUCH_ACCESSES_MAX;
	case OP_PROCESS_RUN:
		return profile->bytes_req > 0 && profile->bytes_req <= PROCESS_RUN_MAX && profile->bytes_alloc > 0;
	default:
		return true;
	}
}

static bool profile_is_sound(const struct trace *trace, const struct kmt_profile *profile)
{
	if (!is_nobodys(profile->kind) && !is_use(profile->kind) && free_kind[profile->kind] == 0)
		return false;
	if (profile->kind >= OP_PAGE_MAP && profile->kind <= OP_PAGE_COPY && profile->order >= PAGE_MAP_CALLS)
		return false;
	if (!process_profile_is_sound(profile))
		return false;
	if (profile->kind == OP_PAGE_MAP && profile->bytes_req > PAGE_SIZE)
		return false;
	if (profile->kind == OP_AREA_ALLOC && profile->order >= VIRTUAL_CALLS)
		return false;
	if (profile->kind == OP_CACHE_ALLOC ? profile->cache >= trace->info.caches : profile->cache != TRACE_CACHE_NONE)
		return false;
	return profile->call_site < trace->string_count && profile->order < ORDERS && profile->origin <= OP_UNSEEN;
}

static bool read_profiles(struct trace *trace, struct cursor cursor, uint32_t count, struct error *error)
{
	if (count > (size_t)(cursor.end - cursor.at))
		return damaged(trace, error, "its table of profiles is not whole");
	trace->profiles = xcalloc(count, sizeof *trace->profiles);
	trace->last_address = xcalloc(count, sizeof *trace->last_address);
	trace->profile_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct kmt_profile *profile = &trace->profiles[i];
		profile->kind = (uint8_t)take_below(&cursor, OP_KINDS - 1);
		profile->order = (uint8_t)take_below(&cursor, ORDERS - 1);
		profile->origin = (uint8_t)take_below(&cursor, OP_UNSEEN);
		profile->call_site = take32(&cursor);
		profile->cache = take32(&cursor);
		profile->gfp = take32(&cursor);
		profile->bytes_req = take32(&cursor);
		profile->bytes_alloc = take32(&cursor);
		if (cursor.damaged || !profile_is_sound(trace, profile))
			return damaged(trace, error, "a profile points outside its tables");
	}
	if (cursor.at != cursor.end)
		return damaged(trace, error, "its table of profiles has bytes left over");
	return true;
}

static bool read_caches(struct trace *trace, struct cursor cursor, uint32_t count, struct error *error)
{
	size_t bytes = (size_t)(cursor.end - cursor.at);
	if (count > bytes)
		return damaged(trace, error, "its table of caches is not whole");
	trace->caches = xcalloc(count, sizeof *trace->caches);
	trace->cache_names = xcalloc(bytes + count, 1);
	char *name_at = trace->cache_names;
	for (uint32_t i = 0; i < count; i++) {
		struct trace_cache *cache = &trace->caches[i];
		cache->named = take_below(&cursor, 1);
		cache->object_size = take32(&cursor);
		cache->bytes_alloc = take32(&cursor);
		cache->align = take32(&cursor);
		cache->flags = take32(&cursor);
		cache->ctor = take_below(&cursor, 1);
		cache->allocs = take(&cursor);
		size_t length;
		const char *name = take_text(&cursor, bytes, &length);
		if (!name || cursor.damaged)
			return damaged(trace, error, "a cache is not whole");
		cache->name = memcpy(name_at, name, length);
		name_at += length + 1;
	}
	trace->info.caches = count;
	if (cursor.at != cursor.end)
		return damaged(trace, error, "its table of caches has bytes left over");
	return true;
}

static bool read_late(struct trace *trace, struct cursor cursor, uint32_t count, struct error *error)
{
	if (count > (size_t)(cursor.end - cursor.at))
		return damaged(trace, error, "its table of corrections is not whole");
	trace->late = xcalloc(count, sizeof *trace->late);
	trace->late_count = count;
	uint64_t op = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t step = take(&cursor);
		uint32_t cache = take32(&cursor);
		bool sound = !cursor.damaged && (i == 0 || step > 0) && op + step >= op &&
		             (cache == KMT_TAKEN_BACK || cache < trace->info.caches);
		if (!sound)
			return damaged(trace, error, "a correction points outside its table");
		op += step;
		trace->late[i] = (struct kmt_late){op, cache};
	}
	if (cursor.at != cursor.end)
		return damaged(trace, error, "its table of corrections has bytes left over");
	return true;
}

static bool read_fact(struct trace *trace, struct cursor cursor, struct error *error)
{
	size_t length;
	const char *name = take_text(&cursor, 255, &length);
	if (!name)
		return damaged(trace, error, "a fact has no name");
	trace->facts = xrealloc(trace->facts, (trace->fact_count + 1) * sizeof *trace->facts);
	size_t text_length = (size_t)(cursor.end - cursor.at);
	char *text = xcalloc(text_length + 1, 1);
	memcpy(text, cursor.at, text_length);
	char *own_name = xcalloc(length + 1, 1);
	memcpy(own_name, name, length);
	trace->facts[trace->fact_count++] = (struct trace_fact){own_name, text, text_length};
	return true;
}

static bool read_spaces(struct trace *trace, struct cursor cursor, uint32_t count, struct error *error)
{
	if (trace->spaces || count > (size_t)(cursor.end - cursor.at))
		return damaged(trace, error, "its table of address spaces is not whole");
	trace->spaces = xcalloc((size_t)count + 1, sizeof *trace->spaces);
	trace->space_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct trace_space *space = &trace->spaces[i];
		space->first_ns = take_below(&cursor, INT64_MAX);
		space->task = take32(&cursor);
		space->mm = take32(&cursor);
		space->samples = take_below(&cursor, INT64_MAX);
		space->peak_resident = take_below(&cursor, INT64_MAX);
		for (unsigned member = 0; member < SPACE_MEMBERS; member++) {
			space->peak_pages[member] = take_below(&cursor, INT64_MAX);
			space->last_pages[member] = take_below(&cursor, space->peak_pages[member]);
		}
	}
	if (cursor.damaged || cursor.at != cursor.end)
		return damaged(trace, error, "its table of address spaces is not whole");
	return true;
}

/* Finds the only piece of a tag and unpacks it. */
static bool unpack_table(struct trace *trace, enum kmt_tag tag, struct cursor *cursor, uint32_t *count, struct error *error)
{
	const struct content *found = NULL;
	for (uint32_t i = 0; i < trace->content_count; i++) {
		if (trace->contents[i].tag != tag)
			continue;
		if (found)
			return damaged(trace, error, "a table is there twice");
		found = &trace->contents[i];
	}
	if (!found)
		return damaged(trace, error, "a table is missing");
	if (!unpack_piece(trace, found, error))
		return false;
	*cursor = (struct cursor){trace->raw, trace->raw + found->raw, false};
	*count = found->count;
	return true;
}

static bool read_tables(struct trace *trace, struct error *error)
{
	struct cursor cursor;
	uint32_t count;
	if (!unpack_table(trace, KMT_INFO, &cursor, &count, error) || !read_info(trace, cursor, error))
		return false;
	if (!unpack_table(trace, KMT_STRINGS, &cursor, &count, error) ||
	    !read_strings(trace, count, (size_t)(cursor.end - cursor.at), error))
		return false;
	if (!unpack_table(trace, KMT_CACHES, &cursor, &count, error) || !read_caches(trace, cursor, count, error))
		return false;
	if (!unpack_table(trace, KMT_PROFILES, &cursor, &count, error) || !read_profiles(trace, cursor, count, error))
		return false;
	if (!unpack_table(trace, KMT_LATE, &cursor, &count, error) || !read_late(trace, cursor, count, error))
		return false;
	for (uint32_t i = 0; i < trace->content_count; i++) {
		const struct content *content = &trace->contents[i];
		if (content->tag != KMT_FACT && content->tag != KMT_SPACES)
			continue;
		if (!unpack_piece(trace, content, error))
			return false;
		cursor = (struct cursor){trace->raw, trace->raw + content->raw, false};
		if (content->tag == KMT_FACT ? !read_fact(trace, cursor, error)
		                             : !read_spaces(trace, cursor, content->count, error))
			return false;
	}
	trace->info.call_sites = trace->string_count;
	return true;
}

/* The numbers that are told twice must agree. */
static bool check_counts(const struct trace *trace, struct error *error)
{
	uint64_t ops = 0, details = 0;
	for (uint32_t i = 0; i < trace->content_count; i++) {
		uint32_t tag = trace->contents[i].tag;
		if ((tag < KMT_OPS || tag > KMT_FACT) && tag != KMT_DETAILS && tag != KMT_SPACES)
			return damaged(trace, error, "a piece is of no known kind");
		if (tag == KMT_DETAILS)
			details += trace->contents[i].count;
		if (tag == KMT_OPS || tag == KMT_PROLOGUE)
			ops += trace->contents[i].count;
	}
	for (uint32_t i = 0; i < trace->late_count; i++)
		ops -= trace->late[i].cache == KMT_TAKEN_BACK;
	if (ops != trace->info.ops || trace->info.ids > ops || details != trace->info.details)
		return damaged(trace, error, "its summary does not fit its ops");
	return true;
}

static void allocate_piece(struct trace *trace)
{
	uint64_t **columns[] = {&trace->times, &trace->lines, &trace->addresses, &trace->whats, &trace->ids, &trace->cpus};
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
		*columns[i] = xcalloc(KMT_PIECE_OPS, sizeof **columns[i]);
	trace->late_cache = xcalloc(KMT_PIECE_OPS, sizeof *trace->late_cache);
}

static void begin_stream(struct trace *trace, enum kmt_tag tag)
{
	trace->tag = tag;
	trace->content_next = 0;
	trace->op_number = 0;
	trace->late_next = 0;
	trace->at = trace->count = 0;
	trace->last_time = trace->last_line = 0;
	trace->last_id = 0;
	for (uint32_t i = 0; i < trace->profile_count; i++)
		trace->last_address[i] = 0;
}

static void begin_details(struct trace *trace)
{
	trace->detail_at = trace->detail_count = 0;
	trace->detail_content = 0;
	trace->last_detail = (struct detail){0};
}

struct trace *kmt_open(int file, const char *name, struct error *error)
{
	struct trace *trace = xcalloc(1, sizeof *trace);
	trace->file = file;
	trace->name = xstrdup(name);
	zstd_unpacker_init(&trace->unpacker);
	struct stat status;
	if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
		error_set(error, ERROR_INPUT, "%s: not a regular file", name);
		trace_close(trace);
		return NULL;
	}
	trace->file_bytes = (uint64_t)status.st_size;
	if (!read_head(trace, error) || !read_contents(trace, error) || !read_tables(trace, error) ||
	    !check_counts(trace, error)) {
		trace_close(trace);
		return NULL;
	}
	allocate_piece(trace);
	trace->live = lazy_alloc((size_t)trace->info.ids + 1, sizeof *trace->live);
	begin_stream(trace, KMT_PROLOGUE);
	return trace;
}

struct trace *trace_open(const char *path, struct error *error)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
		return NULL;
	}
	return kmt_open(file, path, error);
}

bool trace_is_native(const char *path)
{
	char magic[8];
	struct stat found;
	/* What is read of a pipe is gone from it, and a .kmt has to be a file: its contents stand at the end. */
	if (stat(path, &found) != 0 || !S_ISREG(found.st_mode))
		return false;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	bool native = read(file, magic, sizeof magic) == (ssize_t)sizeof magic && memcmp(magic, KMT_MAGIC, sizeof magic) == 0;
	close(file);
	return native;
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	uint64_t *columns[] = {trace->times, trace->lines, trace->addresses, trace->whats, trace->ids, trace->cpus};
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
		free(columns[i]);
	for (uint32_t i = 0; i < trace->fact_count; i++) {
		free((void *)(uintptr_t)trace->facts[i].name);
		free((void *)(uintptr_t)trace->facts[i].text);
	}
	if (trace->live)
		lazy_free(trace->live, (size_t)trace->info.ids + 1, sizeof *trace->live);
	free(trace->late_cache);
	free(trace->details);
	free(trace->facts);
	free(trace->spaces);
	free(trace->late);
	free(trace->caches);
	free(trace->cache_names);
	free(trace->profiles);
	free(trace->last_address);
	free(trace->strings);
	free(trace->string_at);
	free(trace->contents);
	free(trace->packed);
	free(trace->raw);
	zstd_unpacker_release(&trace->unpacker);
	close(trace->file);
	free(trace->name);
	free(trace);
}

const struct trace_info *trace_info(const struct trace *trace)
{
	return &trace->info;
}

const struct trace_cache *trace_cache(const struct trace *trace, uint32_t index)
{
	SIM_ASSERT(index < trace->info.caches);
	return &trace->caches[index];
}

const char *trace_call_site(const struct trace *trace, uint32_t index)
{
	SIM_ASSERT(index < trace->string_count);
	return trace->strings + trace->string_at[index];
}

uint32_t trace_spaces(const struct trace *trace, const struct trace_space **spaces)
{
	*spaces = trace->spaces;
	return trace->space_count;
}

uint32_t trace_facts(const struct trace *trace, const struct trace_fact **facts)
{
	*facts = trace->facts;
	return trace->fact_count;
}

bool trace_has_areas(const struct trace *trace)
{
	for (uint32_t i = 0; i < trace->profile_count; i++)
		if (trace->profiles[i].kind == OP_AREA_ALLOC)
			return true;
	return false;
}

bool trace_has_processes(const struct trace *trace)
{
	for (uint32_t i = 0; i < trace->profile_count; i++)
		if (trace->profiles[i].kind >= OP_PROCESS_CREATE && trace->profiles[i].kind <= OP_PROCESS_REMAP)
			return true;
	return false;
}

const struct trace_fact *trace_fact_named(const struct trace *trace, const char *name)
{
	for (uint32_t i = 0; i < trace->fact_count; i++)
		if (strcmp(trace->facts[i].name, name) == 0)
			return &trace->facts[i];
	return NULL;
}

/* Takes one column apart; it must hold exactly `count` numbers. */
static bool take_column(struct cursor *piece, uint64_t length, uint64_t *values, size_t count)
{
	if (length > (uint64_t)(piece->end - piece->at))
		return false;
	struct cursor column = {piece->at, piece->at + length, false};
	for (size_t i = 0; i < count; i++)
		values[i] = take(&column);
	piece->at = column.end;
	return !column.damaged && column.at == column.end;
}

static void add_up(uint64_t *values, size_t count, uint64_t *last)
{
	uint64_t sum = *last;
	for (size_t i = 0; i < count; i++)
		values[i] = sum += kmt_unzigzag(values[i]);
	*last = sum;
}

/*
 * Finds the corrections that fall into the piece. Op numbers count the holes: `hole` runs over their positions, given as
 * differences.
 */
static bool place_late(struct trace *trace, struct cursor *piece, uint64_t holes)
{
	uint64_t total = trace->count + holes;
	bool any = trace->tag == KMT_OPS && trace->late_next < trace->late_count &&
	           trace->late[trace->late_next].op < trace->op_number + total;
	trace->piece_has_late = any;
	for (uint32_t i = 0; any && i < trace->count; i++)
		trace->late_cache[i] = NOT_LATE;
	uint64_t position = 0, passed = 0;
	for (uint64_t hole = 0; hole <= holes; hole++) {
		/* Between two holes, positions and ops differ by the holes passed. */
		uint64_t next = hole == holes ? total : position + take(piece);
		if (piece->damaged || next > total || (hole > 0 && hole < holes && next == position))
			return false;
		while (any && trace->late_next < trace->late_count &&
		       trace->late[trace->late_next].op < trace->op_number + next) {
			const struct kmt_late *late = &trace->late[trace->late_next++];
			uint64_t at = late->op - trace->op_number - passed;
			if (at >= trace->count)
				return false;
			trace->late_cache[at] = late->cache;
		}
		position = next;
		passed = hole + 1;
	}
	trace->op_number += total;
	return true;
}

static bool place_addresses(struct trace *trace, struct cursor *piece, uint64_t length)
{
	if (length > (uint64_t)(piece->end - piece->at))
		return false;
	struct cursor column = {piece->at, piece->at + length, false};
	for (uint32_t i = 0; i < trace->count; i++) {
		uint64_t what = trace->whats[i];
		if (what == 0)
			continue;
		if (what > trace->profile_count)
			return false;
		trace->addresses[i] = trace->last_address[what - 1] += kmt_unzigzag(take(&column));
	}
	piece->at = column.end;
	return !column.damaged && column.at == column.end;
}

static bool take_piece(struct trace *trace, const struct content *content)
{
	struct cursor piece = {trace->raw, trace->raw + content->raw, false};
	trace->count = (uint32_t)take_below(&piece, KMT_PIECE_OPS);
	uint64_t holes = take_below(&piece, KMT_PIECE_OPS);
	if (piece.damaged || trace->count != content->count || trace->count + holes > KMT_PIECE_OPS)
		return false;
	if (!place_late(trace, &piece, holes))
		return false;
	uint64_t lengths[KMT_COLUMNS];
	for (unsigned i = 0; i < KMT_COLUMNS; i++)
		lengths[i] = take(&piece);
	uint64_t id = trace->last_id;
	bool whole = !piece.damaged && take_column(&piece, lengths[0], trace->whats, trace->count) &&
	             take_column(&piece, lengths[1], trace->times, trace->count) &&
	             take_column(&piece, lengths[2], trace->lines, trace->count) &&
	             take_column(&piece, lengths[3], trace->cpus, trace->count) &&
	             take_column(&piece, lengths[4], trace->ids, trace->count) && place_addresses(trace, &piece, lengths[5]) &&
	             piece.at == piece.end;
	if (!whole)
		return false;
	add_up(trace->times, trace->count, &trace->last_time);
	add_up(trace->lines, trace->count, &trace->last_line);
	add_up(trace->ids, trace->count, &id);
	trace->last_id = (uint32_t)id;
	return true;
}

/* Unpacks the next piece of ops. trace->count stays 0 at the end. */
static bool next_piece(struct trace *trace, struct error *error)
{
	trace->at = trace->count = 0;
	while (trace->count == 0) {
		while (trace->content_next < trace->content_count && trace->contents[trace->content_next].tag != trace->tag)
			trace->content_next++;
		if (trace->content_next == trace->content_count) {
			if (trace->tag == KMT_OPS)
				return true;
			begin_stream(trace, KMT_OPS);
			continue;
		}
		const struct content *content = &trace->contents[trace->content_next++];
		if (!unpack_piece(trace, content, error))
			return false;
		if (!take_piece(trace, content)) {
			trace->count = 0;
			return error_set(error, ERROR_INPUT,
			                 "%s: damaged kmemsim trace: the piece at byte %" PRIu64 " does not hold what it says",
			                 trace->name, content->offset);
		}
	}
	return true;
}

static bool make_free(struct trace *trace, uint32_t id, struct op *op)
{
	struct live *live = &trace->live[id];
	if (live->kind == 0)
		return false;
	op->kind = live->kind;
	op->address = live->address;
	op->cache = live->cache;
	op->order = live->order;
	live->kind = 0;
	return true;
}

static bool make_alloc(struct trace *trace, uint32_t id, const struct kmt_profile *profile, struct op *op)
{
	op->kind = profile->kind;
	op->origin = profile->origin;
	op->order = profile->order;
	op->call_site = profile->call_site;
	op->gfp = profile->gfp;
	op->bytes_req = profile->bytes_req;
	op->bytes_alloc = profile->bytes_alloc;
	if (is_nobodys(profile->kind) || is_use(profile->kind))
		return true;
	struct live *live = &trace->live[id];
	if (live->kind != 0)
		return false;
	*live = (struct live){op->address, op->cache, free_kind[profile->kind], profile->order};
	return true;
}

static bool make_op(struct trace *trace, uint32_t at, uint32_t correction, struct op *op)
{
	uint64_t what = trace->whats[at];
	*op = (struct op){.time_ns = trace->times[at], .line = trace->lines[at], .cpu = (uint16_t)trace->cpus[at]};
	if (trace->ids[at] >= trace->info.ids && (what == 0 || !is_nobodys(trace->profiles[what - 1].kind)))
		return false;
	op->id = (uint32_t)trace->ids[at];
	if (what == 0)
		return correction == NOT_LATE && make_free(trace, op->id, op);
	const struct kmt_profile *profile = &trace->profiles[what - 1];
	if (correction != NOT_LATE && profile->kind != OP_CACHE_ALLOC)
		return false;
	op->address = trace->addresses[at];
	if ((profile->kind == OP_PAGE_MAP || profile->kind == OP_PAGE_COPY) && (uint32_t)op->address >= trace->info.ids)
		return false;
	if (profile->kind == OP_PROCESS_FORK && op_parent_of(op) >= trace->info.ids)
		return false;
	if (profile->kind == OP_PROCESS_RUN && profile->bytes_alloc > trace->info.ids - op->id)
		return false;
	if (makes_space(profile->kind) && op->address >> 32 > trace->space_count)
		return false;
	op->cache = correction == NOT_LATE ? profile->cache : correction;
	return make_alloc(trace, op->id, profile, op);
}

bool trace_next(struct trace *trace, struct op *batch, size_t capacity, size_t *count, struct error *error)
{
	size_t made = 0;
	*count = 0;
	while (made < capacity) {
		if (trace->at == trace->count) {
			if (!next_piece(trace, error))
				return false;
			if (trace->count == 0)
				break;
		}
		uint32_t at = trace->at++;
		uint32_t correction = trace->piece_has_late ? trace->late_cache[at] : NOT_LATE;
		if (correction == KMT_TAKEN_BACK)
			continue;
		if (!make_op(trace, at, correction, &batch[made]))
			return error_set(error, ERROR_INPUT,
			                 "%s: damaged kmemsim trace: line %" PRIu64
			                 " of the recording uses an id that is not its own",
			                 trace->name, trace->lines[at]);
		made++;
	}
	*count = made;
	return true;
}

bool trace_rewind(struct trace *trace, struct error *error)
{
	(void)error; /* nothing of a file that was opened can fail here; the interface leaves room for sources that can */
	lazy_free(trace->live, (size_t)trace->info.ids + 1, sizeof *trace->live);
	trace->live = lazy_alloc((size_t)trace->info.ids + 1, sizeof *trace->live);
	begin_stream(trace, KMT_PROLOGUE);
	begin_details(trace);
	return true;
}

/* Takes one detail apart; its differences refer to *last. false: it is damaged. */
static bool take_detail(struct cursor *cursor, struct detail *last, struct detail *detail)
{
	uint64_t line, frame = last->pfn;
	*detail = (struct detail){.kind = (uint8_t)take_below(cursor, DETAIL_KINDS - 1)};
	line = last->line + take(cursor);
	detail->time_ns = last->time_ns + kmt_unzigzag(take(cursor));
	detail->cpu = (uint16_t)take_below(cursor, UINT16_MAX);
	if (detail->kind == DETAIL_CONTEXT) {
		detail->task = take32(cursor);
		detail->context =
		        (uint8_t)take_below(cursor, CONTEXT_IRQS_OFF | CONTEXT_SOFTIRQ | CONTEXT_HARDIRQ | CONTEXT_KNOWN);
	}
	if (detail_has_frame(detail->kind))
		detail->pfn = frame = last->pfn + kmt_unzigzag(take(cursor));
	if (detail_has_order(detail->kind))
		detail->order = (uint8_t)take_below(cursor, ORDERS - 1);
	if (detail_has_type(detail->kind))
		detail->type = (uint8_t)take_below(cursor, UINT8_MAX);
	if (detail->kind == DETAIL_PAGE_ALLOC)
		detail->gfp = take32(cursor);
	if (detail->kind == DETAIL_ZONE_LOCKED)
		detail->refill = take_below(cursor, 1);
	if (detail->kind == DETAIL_EXTFRAG) {
		detail->other_order = (uint8_t)take_below(cursor, ORDERS - 1);
		detail->other_type = (uint8_t)take_below(cursor, UINT8_MAX);
	}
	bool sound = !cursor->damaged && line >= last->line && frame <= UINT32_MAX;
	detail->line = line;
	*last = *detail;
	last->pfn = frame;
	return sound;
}

static bool take_details(struct trace *trace, const struct content *content)
{
	struct cursor cursor = {trace->raw, trace->raw + content->raw, false};
	if (!trace->details)
		trace->details = xcalloc(KMT_PIECE_DETAILS, sizeof *trace->details);
	for (uint32_t i = 0; i < content->count; i++)
		if (!take_detail(&cursor, &trace->last_detail, &trace->details[i]))
			return false;
	trace->detail_count = content->count;
	return cursor.at == cursor.end;
}

/* Unpacks the next piece of details. trace->detail_count stays 0 at the end. */
static bool next_details(struct trace *trace, struct error *error)
{
	trace->detail_at = trace->detail_count = 0;
	while (trace->detail_count == 0 && trace->detail_content < trace->content_count) {
		const struct content *content = &trace->contents[trace->detail_content++];
		if (content->tag != KMT_DETAILS)
			continue;
		if (!unpack_piece(trace, content, error))
			return false;
		if (!take_details(trace, content))
			return error_set(error, ERROR_INPUT,
			                 "%s: damaged kmemsim trace: the piece at byte %" PRIu64 " does not hold what it says",
			                 trace->name, content->offset);
	}
	return true;
}

bool trace_next_details(struct trace *trace, struct detail *batch, size_t capacity, size_t *count, struct error *error)
{
	*count = 0;
	while (*count < capacity) {
		if (trace->detail_at == trace->detail_count && !next_details(trace, error))
			return false;
		if (trace->detail_count == 0)
			break;
		size_t left = trace->detail_count - trace->detail_at;
		size_t taken = left < capacity - *count ? left : capacity - *count;
		memcpy(batch + *count, trace->details + trace->detail_at, taken * sizeof *batch);
		trace->detail_at += (uint32_t)taken;
		*count += taken;
	}
	return true;
}
