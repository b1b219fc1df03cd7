/* SPDX-License-Identifier: MIT
 *
 * fuzz_kmt.c - the reader of the native format. If the first byte is even, the rest is the file as it is. If it is odd, the rest
 * is pieces (tag, count, length, bytes) from which a file with right checksums is made, so that what is in the pieces is reached.
 */
#include "tests/fuzz/fuzz_text.h"

#include "sim/io/kmt.h"
#include "sim/io/zstd_trace.h"

#include <string.h>

struct buffer {
	unsigned char *at;
	size_t used;
};

#define PIECES_MAX 64u
#define FILE_ROOM (1u << 20)

static void put(struct buffer *to, const void *bytes, size_t length)
{
	SIM_ASSERT(to->used + length <= FILE_ROOM);
	memcpy(to->at + to->used, bytes, length);
	to->used += length;
}

/* Appends a piece; `content` becomes its line of the table of contents. */
static void put_piece(struct buffer *file, struct zstd_packer *packer, const uint32_t head[3], const void *bytes,
                      unsigned char content[24])
{
	zstd_pack(packer, bytes, head[2], 1);
	kmt_store64(content, file->used);
	for (unsigned i = 0; i < 3; i++)
		kmt_store32(content + 8 + 4 * i, head[i]);
	kmt_store32(content + 20, (uint32_t)packer->packed_bytes);
	put(file, content + 8, KMT_PIECE_HEAD_BYTES);
	put(file, packer->packed, packer->packed_bytes);
}

static void put_head(struct buffer *file)
{
	unsigned char head[KMT_HEAD_BYTES] = {0};
	memcpy(head, KMT_MAGIC, 8);
	kmt_store32(head + 8, KMT_VERSION);
	kmt_store32(head + 12, KMT_HEAD_BYTES);
	kmt_store64(head + KMT_HEAD_BYTES - 8, kmt_checksum(head, KMT_HEAD_BYTES - 8));
	put(file, head, sizeof head);
}

static void put_tail(struct buffer *file, const unsigned char content[24])
{
	unsigned char tail[KMT_TAIL_BYTES] = {0};
	memcpy(tail, content, 24);
	kmt_store64(tail + 24, file->used + KMT_TAIL_BYTES);
	kmt_store64(tail + 32, kmt_checksum(tail, 32));
	memcpy(tail + 40, KMT_END_MAGIC, 8);
	put(file, tail, sizeof tail);
}

static struct buffer build(const uint8_t *data, size_t size)
{
	struct buffer file = {xcalloc(FILE_ROOM, 1), 0};
	struct zstd_packer packer;
	unsigned char contents[(PIECES_MAX + 1) * 24];
	uint32_t pieces = 0;
	zstd_packer_init(&packer);
	put_head(&file);
	while (size >= 5 && pieces < PIECES_MAX && file.used < FILE_ROOM / 4) {
		uint32_t head[3] = {data[0], (uint32_t)data[1] | (uint32_t)data[2] << 8,
		                    (uint32_t)data[3] | (uint32_t)data[4] << 8};
		data += 5;
		size -= 5;
		head[2] = head[2] < size ? head[2] : (uint32_t)size;
		put_piece(&file, &packer, head, data, contents + 24 * pieces++);
		data += head[2];
		size -= head[2];
	}
	const uint32_t head[3] = {KMT_CONTENTS, pieces, 24 * pieces};
	put_piece(&file, &packer, head, contents, contents + 24 * PIECES_MAX);
	put_tail(&file, contents + 24 * PIECES_MAX);
	zstd_packer_release(&packer);
	return file;
}

static void read_file(const void *bytes, size_t size)
{
	struct error error = {0};
	struct op batch[256];
	size_t count = 1;
	char path[64];
	int file = fuzz_file(bytes, size, path);
	struct trace *trace = trace_open(path, &error);
	SIM_ASSERT((trace == NULL) == (error.kind != ERROR_NONE));
	for (unsigned turn = 0; trace && turn < 2; turn++) {
		while (count > 0 && trace_next(trace, batch, 256, &count, &error))
			for (size_t i = 0; i < count; i++) {
				SIM_ASSERT(batch[i].kind < OP_KINDS && batch[i].order < ORDERS);
				SIM_ASSERT(batch[i].kind == OP_MARK || batch[i].kind == OP_PROCESS_LEAVE ||
				           batch[i].id < trace_info(trace)->ids);
				SIM_ASSERT(trace_call_site(trace, batch[i].call_site));
				if (batch[i].kind == OP_CACHE_ALLOC || batch[i].kind == OP_CACHE_FREE)
					SIM_ASSERT(trace_cache(trace, batch[i].cache)->name);
			}
		struct detail details[256];
		count = 1;
		while (count > 0 && trace_next_details(trace, details, 256, &count, &error))
			for (size_t i = 0; i < count; i++)
				SIM_ASSERT(details[i].kind < DETAIL_KINDS && details[i].order < ORDERS);
		SIM_ASSERT(trace_rewind(trace, &error));
		count = 1;
	}
	if (trace)
		fuzz_report(trace);
	trace_close(trace);
	close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2 == 0) {
		read_file(data + 1, size - 1);
		return 0;
	}
	struct buffer file = build(data + 1, size - 1);
	read_file(file.at, file.used);
	free(file.at);
	return 0;
}
