/* SPDX-License-Identifier: MIT
 *
 * sha256.c - SHA-256 (interface: sha256.h; algorithm: FIPS 180-4, section 6.2).
 *
 * Two block functions give the same state: one in plain C, and one on the SHA extensions of x86, chosen at run time by CPUID,
 * because a text recording is hashed while it is imported and plain C would take longer than the import itself.
 */
#include "sim/sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
        0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
        0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
        0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
        0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
        0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_right(uint32_t word, unsigned bits)
{
	return word >> bits | word << (32 - bits);
}

static void add_blocks_plain(uint32_t state[8], const uint8_t *bytes, size_t blocks)
{
	for (; blocks > 0; blocks--, bytes += 64) {
		uint32_t w[64];
		for (unsigned t = 0; t < 16; t++)
			w[t] = (uint32_t)bytes[4 * t] << 24 | (uint32_t)bytes[4 * t + 1] << 16 | (uint32_t)bytes[4 * t + 2] << 8 |
			       bytes[4 * t + 3];
		for (unsigned t = 16; t < 64; t++) {
			uint32_t sigma0 = rotate_right(w[t - 15], 7) ^ rotate_right(w[t - 15], 18) ^ w[t - 15] >> 3;
			uint32_t sigma1 = rotate_right(w[t - 2], 17) ^ rotate_right(w[t - 2], 19) ^ w[t - 2] >> 10;
			w[t] = w[t - 16] + sigma0 + w[t - 7] + sigma1;
		}
		/* The standard's a..h are s[-t & 7], s[1 - t & 7] and so on: the names move, not the words. */
		uint32_t s[8];
		memcpy(s, state, sizeof s);
#pragma GCC unroll 8
		for (unsigned t = 0; t < 64; t++) {
			uint32_t a = s[(0 - t) & 7], b = s[(1 - t) & 7], c = s[(2 - t) & 7];
			uint32_t e = s[(4 - t) & 7], f = s[(5 - t) & 7], g = s[(6 - t) & 7];
			uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
			uint32_t t1 = s[(7 - t) & 7] + sum1 + ((e & f) ^ (~e & g)) + round_constants[t] + w[t];
			uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
			s[(3 - t) & 7] += t1;
			s[(7 - t) & 7] = t1 + sum0 + ((a & b) ^ (a & c) ^ (b & c));
		}
		for (unsigned i = 0; i < 8; i++)
			state[i] += s[i];
	}
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* CPUID leaf 7: EBX bit 29 tells of the SHA extensions (Intel SDM volume 2A, table 3-8). */
static bool has_sha_instructions(void)
{
	unsigned eax, ebx, ecx, edx;
	return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
	       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & 1u << 29);
}

/* The registers hold the state as ABEF and CDGH, as SHA256RNDS2 wants them (Intel SDM volume 2B, SHA256RNDS2). */
__attribute__((target("sha,ssse3,sse4.1"))) static void add_blocks_sha(uint32_t state[8], const uint8_t *bytes, size_t blocks)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)&state[0]), 0xb1);
	__m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)&state[4]), 0x1b);
	__m128i abef = _mm_alignr_epi8(low, high, 8);
	__m128i cdgh = _mm_blend_epi16(high, low, 0xf0);
	for (; blocks > 0; blocks--, bytes += 64) {
		__m128i abef_before = abef, cdgh_before = cdgh, w[4];
		for (unsigned i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i)), big_endian);
#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++) {
			__m128i now = w[i % 4];
			__m128i sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(const void *)&round_constants[4 * i]));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
			/* The four words sixteen ahead, into the place of the four just used. */
			__m128i next = _mm_sha256msg1_epu32(now, w[(i + 1) % 4]);
			next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
			w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	low = _mm_shuffle_epi32(abef, 0x1b);
	high = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)&state[0], _mm_blend_epi16(low, high, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)&state[4], _mm_alignr_epi8(high, low, 8));
}
#else
static bool has_sha_instructions(void)
{
	return false;
}

static void add_blocks_sha(uint32_t state[8], const uint8_t *bytes, size_t blocks)
{
	add_blocks_plain(state, bytes, blocks);
}
#endif

static void add_blocks(struct sha256 *hash, const uint8_t *bytes, size_t blocks)
{
	if (hash->accelerated)
		add_blocks_sha(hash->state, bytes, blocks);
	else
		add_blocks_plain(hash->state, bytes, blocks);
}

void sha256_init(struct sha256 *hash)
{
	/* FIPS 180-4, 5.3.3. */
	static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	*hash = (struct sha256){.accelerated = has_sha_instructions()};
	memcpy(hash->state, start, sizeof start);
}

void sha256_add(struct sha256 *hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	size_t waiting = hash->length_bytes % 64;
	hash->length_bytes += length;
	if (waiting > 0) {
		size_t piece = length < 64 - waiting ? length : 64 - waiting;
		memcpy(hash->block + waiting, at, piece);
		at += piece;
		length -= piece;
		if (waiting + piece < 64)
			return;
		add_blocks(hash, hash->block, 1);
	}
	add_blocks(hash, at, length / 64);
	if (length % 64 > 0)
		memcpy(hash->block, at + length / 64 * 64, length % 64);
}

void sha256_final(struct sha256 *hash, char hex[65])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t bits = hash->length_bytes * 8;
	uint8_t padding[72] = {0x80};
	size_t waiting = hash->length_bytes % 64;
	size_t zeros_end = waiting < 56 ? 56 - waiting : 120 - waiting;
	for (unsigned i = 0; i < 8; i++)
		padding[zeros_end + i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(hash, padding, zeros_end + 8);
	for (unsigned i = 0; i < 32; i++) {
		unsigned byte = hash->state[i / 4] >> (24 - 8 * (i % 4)) & 0xff;
		hex[2 * i] = digits[byte >> 4];
		hex[2 * i + 1] = digits[byte & 15];
	}
	hex[64] = '\0';
}
