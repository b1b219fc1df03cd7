/* SPDX-License-Identifier: MIT
 *
 * sha256.h - SHA-256 (FIPS 180-4), for the identity of files and of results. Not for secrets.
 *
 *     struct sha256 hash;
 *     sha256_init(&hash);
 *     sha256_add(&hash, bytes, length);   as often as there are pieces
 *     sha256_final(&hash, hex);           64 lower-case hex digits and a terminating 0
 *
 * The result depends on the bytes alone: the processor's SHA instructions, where it has them, only make it come sooner.
 */
#ifndef SIM_SHA256_H
#define SIM_SHA256_H

#include "sim/base.h"

struct sha256 {
	uint32_t state[8];
	uint64_t length_bytes;
	uint8_t block[64]; /* the first length_bytes % 64 of it wait for the rest */
	bool accelerated;
};

void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t length);
void sha256_final(struct sha256 *hash, char hex[65]);

#endif
