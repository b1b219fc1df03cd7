/* SPDX-License-Identifier: MIT
 *
 * test_trace_decompress.c - gzip, xz and zstd streams: whole, concatenated, cut at every byte, and with one bit changed.
 */
#include "tests/unit/trace_case.h"

#include "sim/io/decompress.h"

#include <lzma.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

struct packed {
	const char *name;
	unsigned char bytes[8192];
	size_t length;
};

#define PLAIN_BYTES 4000u

static void fill_plain(char plain[PLAIN_BYTES])
{
	for (size_t i = 0; i < PLAIN_BYTES; i++)
		plain[i] = (char)('a' + i * i / 7 % 26);
}

static void pack_gzip(struct packed *packed, const char *plain, size_t length)
{
	z_stream stream = {0};
	packed->name = "gzip";
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (Bytef *)(uintptr_t)plain;
	stream.avail_in = (uInt)length;
	stream.next_out = packed->bytes;
	stream.avail_out = sizeof packed->bytes;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	packed->length = stream.total_out;
	deflateEnd(&stream);
}

static void pack_xz(struct packed *packed, const char *plain, size_t length)
{
	packed->name = "xz";
	packed->length = 0;
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (const uint8_t *)plain, length, packed->bytes,
	                                         &packed->length, sizeof packed->bytes),
	                 LZMA_OK);
}

static void pack_zstd(struct packed *packed, const char *plain, size_t length)
{
	packed->name = "zstd";
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	packed->length = ZSTD_compress2(context, packed->bytes, sizeof packed->bytes, plain, length);
	assert_false(ZSTD_isError(packed->length));
	ZSTD_freeCCtx(context);
}

static void pack_plain(struct packed *packed, const char *plain, size_t length)
{
	packed->name = "plain";
	memcpy(packed->bytes, plain, length);
	packed->length = length;
}

static void (*const packers[])(struct packed *, const char *, size_t) = {pack_plain, pack_gzip, pack_xz, pack_zstd};

/* Reads the file in odd pieces. Gives the number of bytes, or -1 after an error, which names the file. */
static long unpack(const struct trace_case *c, char *bytes, size_t room)
{
	struct error error = {0};
	struct decompress *input = decompress_open(c->path, NULL, &error);
	size_t used = 0, count = 1;
	bool sound = input != NULL;
	while (sound && count > 0) {
		size_t piece = room - used < 777 ? room - used : 777;
		assert_true(piece > 0);
		sound = decompress_read(input, bytes + used, piece, &count, &error);
		used += count;
	}
	decompress_close(input);
	if (sound)
		return (long)used;
	assert_int_equal(error.kind, ERROR_INPUT);
	assert_non_null(strstr(error.text, c->path));
	return -1;
}

static void test_whole(void **state)
{
	char plain[PLAIN_BYTES], back[3 * PLAIN_BYTES];
	struct packed packed;
	struct trace_case c;
	(void)state;
	fill_plain(plain);
	case_begin(&c);
	for (size_t i = 0; i < sizeof packers / sizeof packers[0]; i++) {
		packers[i](&packed, plain, sizeof plain);
		case_write(c.path, (const char *)packed.bytes, packed.length);
		assert_int_equal(unpack(&c, back, sizeof back), sizeof plain);
		assert_memory_equal(back, plain, sizeof plain);
		/* Two members are one stream. */
		memcpy(packed.bytes + packed.length, packed.bytes, packed.length);
		case_write(c.path, (const char *)packed.bytes, 2 * packed.length);
		assert_int_equal(unpack(&c, back, sizeof back), 2 * sizeof plain);
		assert_memory_equal(back + sizeof plain, plain, sizeof plain);
	}
	case_end(&c);
}

static void test_empty(void **state)
{
	char back[8];
	struct trace_case c;
	(void)state;
	case_begin(&c);
	for (size_t i = 0; i < sizeof packers / sizeof packers[0]; i++) {
		struct packed packed;
		packers[i](&packed, "", 0);
		case_write(c.path, (const char *)packed.bytes, packed.length);
		assert_int_equal(unpack(&c, back, sizeof back), 0);
	}
	case_end(&c);
}

/* A packed file that ends early never looks like a whole one. */
static void test_cut(void **state)
{
	char plain[PLAIN_BYTES], back[2 * PLAIN_BYTES];
	struct packed packed;
	struct trace_case c;
	(void)state;
	fill_plain(plain);
	case_begin(&c);
	for (size_t i = 1; i < sizeof packers / sizeof packers[0]; i++) {
		packers[i](&packed, plain, sizeof plain);
		/* Shorter than the magic number it is a plain file. */
		for (size_t cut = 6; cut < packed.length; cut += 3) {
			case_write(c.path, (const char *)packed.bytes, cut);
			assert_int_equal(unpack(&c, back, sizeof back), -1);
		}
	}
	case_end(&c);
}

/* A changed bit is found by the format's check, or changes nothing (spare bits of headers). */
static void test_flipped(void **state)
{
	char plain[PLAIN_BYTES], back[1u << 16];
	struct packed packed;
	struct trace_case c;
	(void)state;
	fill_plain(plain);
	case_begin(&c);
	for (size_t i = 1; i < sizeof packers / sizeof packers[0]; i++) {
		packers[i](&packed, plain, sizeof plain);
		for (size_t at = 10; at < packed.length; at += 7) {
			packed.bytes[at] ^= 0x10;
			case_write(c.path, (const char *)packed.bytes, packed.length);
			long length = unpack(&c, back, sizeof back);
			if (length >= 0) {
				assert_int_equal(length, sizeof plain);
				assert_memory_equal(back, plain, sizeof plain);
			}
			packed.bytes[at] ^= 0x10;
		}
	}
	case_end(&c);
}

/* The hash is of the file as it lies there. */
static void test_hash_is_of_the_file(void **state)
{
	struct packed packed;
	struct trace_case c;
	struct sha256 whole, read;
	char expected[65], hex[65], back[64];
	size_t count;
	(void)state;
	case_begin(&c);
	pack_xz(&packed, "hello", 5);
	case_write(c.path, (const char *)packed.bytes, packed.length);
	sha256_init(&whole);
	sha256_add(&whole, packed.bytes, packed.length);
	sha256_final(&whole, expected);
	sha256_init(&read);
	struct decompress *input = decompress_open(c.path, &read, &c.error);
	do
		assert_true(decompress_read(input, back, sizeof back, &count, &c.error));
	while (count > 0);
	assert_int_equal(decompress_done(input), packed.length);
	assert_int_equal(decompress_total(input), packed.length);
	decompress_close(input);
	sha256_final(&read, hex);
	assert_string_equal(hex, expected);
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole), cmocka_unit_test(test_empty), cmocka_unit_test(test_cut),
	                                   cmocka_unit_test(test_flipped), cmocka_unit_test(test_hash_is_of_the_file)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
