/* SPDX-License-Identifier: MIT
 *
 * decompress.c - the door to zlib, liblzma and libzstd's streaming readers (interface: decompress.h).
 *
 * Each format is one row: its magic bytes, and how to begin, step and end. A step consumes packed bytes and makes unpacked ones.
 * At the end of the file a format must stand between members; else the file was cut.
 */
#include "sim/io/decompress.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* One read of a packed file; small enough to stay in the second-level cache until it is unpacked. */
#define PACKED_BYTES (128u << 10)

/* xz -9 needs 65 MiB to unpack; a file that asks for more than this is hostile. */
#define XZ_MEMORY_LIMIT (256u << 20)

struct format {
	const char *name;
	unsigned char magic[6];
	size_t magic_length;
	bool (*begin)(struct decompress *);
	/* Unpacks from input->packed into `bytes`; *made tells how much. false: damaged. */
	bool (*step)(struct decompress *, unsigned char *bytes, size_t capacity, size_t *made);
	void (*end)(struct decompress *);
};

struct decompress {
	const struct format *format; /* NULL: plain */
	char *path;
	int file;
	struct sha256 *hash;
	uint64_t done, total;
	int stop; /* an eventfd: readable once somebody wants the reads to end */
	unsigned char *packed;
	size_t packed_at, packed_end;
	bool file_ended;
	bool inside_member; /* the packed stream may not end here */
	z_stream gzip;
	lzma_stream xz;
	ZSTD_DStream *zstd;
};

static bool gzip_begin(struct decompress *input)
{
	return inflateInit2(&input->gzip, 15 + 16) == Z_OK; /* the largest window, gzip header */
}

static bool gzip_step(struct decompress *input, unsigned char *bytes, size_t capacity, size_t *made)
{
	if (!input->inside_member && inflateReset(&input->gzip) != Z_OK)
		return false;
	input->inside_member = true;
	input->gzip.next_in = input->packed + input->packed_at;
	input->gzip.avail_in = (uInt)(input->packed_end - input->packed_at);
	input->gzip.next_out = bytes;
	input->gzip.avail_out = capacity > UINT32_MAX ? UINT32_MAX : (uInt)capacity;
	uInt room = input->gzip.avail_out;
	int result = inflate(&input->gzip, Z_NO_FLUSH);
	input->packed_at = input->packed_end - input->gzip.avail_in;
	*made = room - input->gzip.avail_out;
	if (result == Z_STREAM_END)
		input->inside_member = false;
	return result == Z_OK || result == Z_STREAM_END || (result == Z_BUF_ERROR && input->packed_at == input->packed_end);
}

static void gzip_end(struct decompress *input)
{
	inflateEnd(&input->gzip);
}

static bool xz_begin(struct decompress *input)
{
	input->inside_member = true; /* until liblzma says that the stream ended */
	return lzma_stream_decoder(&input->xz, XZ_MEMORY_LIMIT, LZMA_CONCATENATED) == LZMA_OK;
}

static bool xz_step(struct decompress *input, unsigned char *bytes, size_t capacity, size_t *made)
{
	input->xz.next_in = input->packed + input->packed_at;
	input->xz.avail_in = input->packed_end - input->packed_at;
	input->xz.next_out = bytes;
	input->xz.avail_out = capacity;
	lzma_ret result = lzma_code(&input->xz, input->file_ended ? LZMA_FINISH : LZMA_RUN);
	input->packed_at = input->packed_end - input->xz.avail_in;
	*made = capacity - input->xz.avail_out;
	if (result == LZMA_STREAM_END)
		input->inside_member = false;
	/* LZMA_BUF_ERROR: no progress was possible; at the end of the file that means it was cut, which the caller tells. */
	return result == LZMA_OK || result == LZMA_STREAM_END || result == LZMA_BUF_ERROR;
}

static void xz_end(struct decompress *input)
{
	lzma_end(&input->xz);
}

static bool zstd_begin(struct decompress *input)
{
	input->zstd = ZSTD_createDStream();
	return input->zstd != NULL;
}

static bool zstd_step(struct decompress *input, unsigned char *bytes, size_t capacity, size_t *made)
{
	ZSTD_inBuffer in = {input->packed, input->packed_end, input->packed_at};
	ZSTD_outBuffer out = {bytes, capacity, 0};
	size_t result = ZSTD_decompressStream(input->zstd, &out, &in);
	if (ZSTD_isError(result))
		return false;
	/* 0 = a frame is complete; when nothing was consumed or made, the state of the frame before stands. */
	if (in.pos != input->packed_at || out.pos > 0)
		input->inside_member = result != 0;
	input->packed_at = in.pos;
	*made = out.pos;
	return true;
}

static void zstd_end(struct decompress *input)
{
	ZSTD_freeDStream(input->zstd);
}

/* Magic bytes: RFC 1952 (gzip), the .xz file format 1.1.0, RFC 8878 (zstd). */
static const struct format formats[] = {
        {"gzip", {0x1f, 0x8b}, 2, gzip_begin, gzip_step, gzip_end},
        {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, xz_begin, xz_step, xz_end},
        {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_begin, zstd_step, zstd_end},
};

void decompress_stop(struct decompress *input)
{
	const uint64_t one = 1;
	ssize_t wrote = write(input->stop, &one, sizeof one);
	SIM_ASSERT(wrote == sizeof one);
}

/* Waits until the file can be read; false: it was stopped before. A regular file always can. */
static bool wait_for_file(struct decompress *input)
{
	struct pollfd either[] = {{.fd = input->file, .events = POLLIN}, {.fd = input->stop, .events = POLLIN}};
	while (poll(either, 2, -1) < 0 && errno == EINTR)
		;
	return !(either[1].revents & POLLIN);
}

/* Reads from the file itself; *count 0 = its end. */
static bool read_file(struct decompress *input, void *bytes, size_t capacity, size_t *count, struct error *error)
{
	ssize_t got;
	if (!wait_for_file(input))
		return error_set(error, ERROR_STOPPED, "%s: reading was stopped", input->path);
	do
		got = read(input->file, bytes, capacity);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_set(error, ERROR_HOST, "%s: reading failed at byte %llu: %s", input->path,
		                 (unsigned long long)input->done, strerror(errno));
	if (input->hash)
		sha256_add(input->hash, bytes, (size_t)got);
	input->done += (uint64_t)got;
	*count = (size_t)got;
	return true;
}

/* The first bytes decide the format; a pipe may hand them over in pieces. */
static bool read_beginning(struct decompress *input, struct error *error)
{
	while (input->packed_end < sizeof formats[0].magic) {
		size_t count;
		if (!read_file(input, input->packed + input->packed_end, PACKED_BYTES - input->packed_end, &count, error))
			return false;
		if (count == 0) {
			input->file_ended = true;
			break;
		}
		input->packed_end += count;
	}
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (input->packed_end >= formats[i].magic_length &&
		    memcmp(input->packed, formats[i].magic, formats[i].magic_length) == 0)
			input->format = &formats[i];
	if (input->format && !input->format->begin(input))
		return error_set(error, ERROR_HOST, "%s: the %s reader could not be started", input->path, input->format->name);
	return true;
}

struct decompress *decompress_open(const char *path, struct sha256 *hash, struct error *error)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	if (file < 0 || fstat(file, &status) != 0) {
		error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
		if (file >= 0)
			close(file);
		return NULL;
	}
	if (S_ISDIR(status.st_mode)) {
		error_set(error, ERROR_USAGE, "%s: this is a folder, a file was expected", path);
		close(file);
		return NULL;
	}
	struct decompress *input = xcalloc(1, sizeof *input);
	*input = (struct decompress){
	        .path = xstrdup(path), .file = file, .stop = eventfd(0, EFD_CLOEXEC), .hash = hash, .xz = LZMA_STREAM_INIT};
	input->total = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
	input->packed = xcalloc(PACKED_BYTES, 1);
	if (input->stop < 0)
		error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
	if (input->stop < 0 || !read_beginning(input, error)) {
		decompress_close(input);
		return NULL;
	}
	return input;
}

void decompress_close(struct decompress *input)
{
	if (!input)
		return;
	if (input->format)
		input->format->end(input);
	close(input->file);
	if (input->stop >= 0)
		close(input->stop);
	free(input->packed);
	free(input->path);
	free(input);
}

/* Plain bytes go straight to the caller, after those that were read to find the format. */
static bool read_plain(struct decompress *input, void *bytes, size_t capacity, size_t *count, struct error *error)
{
	size_t waiting = input->packed_end - input->packed_at;
	if (waiting == 0)
		return read_file(input, bytes, capacity, count, error);
	*count = waiting < capacity ? waiting : capacity;
	memcpy(bytes, input->packed + input->packed_at, *count);
	input->packed_at += *count;
	return true;
}

static bool refill(struct decompress *input, struct error *error)
{
	if (input->packed_at < input->packed_end || input->file_ended)
		return true;
	input->packed_at = 0;
	if (!read_file(input, input->packed, PACKED_BYTES, &input->packed_end, error))
		return false;
	input->file_ended = input->packed_end == 0;
	return true;
}

bool decompress_read(struct decompress *input, void *bytes, size_t capacity, size_t *count, struct error *error)
{
	*count = 0;
	if (!input->format)
		return read_plain(input, bytes, capacity, count, error);
	while (*count == 0) {
		if (!refill(input, error))
			return false;
		bool drained = input->file_ended && input->packed_at == input->packed_end;
		if (drained && !input->inside_member)
			return true;
		uint64_t at = input->done - (input->packed_end - input->packed_at);
		if (!input->format->step(input, bytes, capacity, count))
			return error_set(error, ERROR_INPUT, "%s: damaged %s data near byte %llu of the file", input->path,
			                 input->format->name, (unsigned long long)at);
		if (drained && *count == 0 && input->inside_member)
			return error_set(error, ERROR_INPUT,
			                 "%s: the %s data is cut: the file ends at byte %llu, where more was expected",
			                 input->path, input->format->name, (unsigned long long)input->done);
	}
	return true;
}

uint64_t decompress_done(const struct decompress *input)
{
	return input->done - (input->packed_end - input->packed_at);
}

uint64_t decompress_total(const struct decompress *input)
{
	return input->total;
}

bool decompress_all(const char *path, size_t max, char **text, size_t *bytes, struct error *error)
{
	struct decompress *input = decompress_open(path, NULL, error);
	if (!input)
		return false;
	size_t capacity = PACKED_BYTES, used = 0, count = 1;
	char *memory = xcalloc(capacity + 1, 1);
	bool done = true;
	while (done && count > 0) {
		done = decompress_read(input, memory + used, capacity - used, &count, error);
		used += done ? count : 0;
		if (done && used > max)
			done = error_set(error, ERROR_INPUT, "%s: longer than %llu bytes", path, (unsigned long long)max);
		if (done && used == capacity) {
			capacity *= 2;
			memory = xrealloc(memory, capacity + 1);
		}
	}
	decompress_close(input);
	if (!done) {
		free(memory);
		return false;
	}
	memory[used] = '\0';
	*text = memory;
	*bytes = used;
	return true;
}
