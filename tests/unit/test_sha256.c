/* SPDX-License-Identifier: MIT
 *
 * test_sha256.c - SHA-256 against the examples of FIPS 180-4 (csrc.nist.gov, "SHA256.pdf") on both block functions.
 */
#include "tests/unit/test.h"

#include "sim/sha256.h"

#include <string.h>

static void expect(const char *text, size_t piece, bool accelerated, const char *expected)
{
	struct sha256 hash;
	char hex[65];
	sha256_init(&hash);
	hash.accelerated = hash.accelerated && accelerated;
	size_t length = strlen(text);
	for (size_t at = 0; at < length; at += piece)
		sha256_add(&hash, text + at, length - at < piece ? length - at : piece);
	sha256_final(&hash, hex);
	assert_string_equal(hex, expected);
}

static void test_examples(void **state)
{
	(void)state;
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	for (int accelerated = 0; accelerated < 2; accelerated++) {
		/* One piece, and pieces that straddle the 64 bytes of a block. */
		for (size_t piece = 1; piece < 70; piece += 17) {
			expect("", piece, accelerated, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
			expect("abc", piece, accelerated, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
			expect(two_blocks, piece, accelerated,
			       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
		}
	}
}

/* A million times "a": catches a length counter that is too small and a wrong padding after whole blocks. */
static void test_million(void **state)
{
	(void)state;
	char piece[1000];
	memset(piece, 'a', sizeof piece);
	for (int accelerated = 0; accelerated < 2; accelerated++) {
		struct sha256 hash;
		char hex[65];
		sha256_init(&hash);
		hash.accelerated = hash.accelerated && accelerated;
		for (unsigned i = 0; i < 1000; i++)
			sha256_add(&hash, piece, sizeof piece);
		sha256_final(&hash, hex);
		assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	}
}

/* Lengths around the padding's border (55, 56, 63, 64 bytes) must agree between the two block functions. */
static void test_border(void **state)
{
	(void)state;
	char text[200], plain[65], fast[65];
	for (size_t length = 0; length < sizeof text; length++) {
		struct sha256 hash;
		text[length] = (char)(length * 7);
		sha256_init(&hash);
		sha256_add(&hash, text, length);
		sha256_final(&hash, fast);
		sha256_init(&hash);
		hash.accelerated = false;
		sha256_add(&hash, text, length);
		sha256_final(&hash, plain);
		assert_string_equal(fast, plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_million),
	                                   cmocka_unit_test(test_border)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
