/* SPDX-License-Identifier: MIT
 *
 * zstd_trace.h - one piece of memory as one checksummed zstd frame, and back.
 */
#ifndef SIM_IO_ZSTD_TRACE_H
#define SIM_IO_ZSTD_TRACE_H

#include "sim/base.h"

/* Packs pieces one after the other; keeps its buffer between them. */
struct zstd_packer {
	void *context;
	unsigned char *packed; /* the last frame */
	size_t packed_bytes, packed_room;
};

void zstd_packer_init(struct zstd_packer *packer);
void zstd_packer_release(struct zstd_packer *packer);
/* Afterwards packer->packed holds the frame. level: 1 (fast) .. 19. Equal input and libzstd give equal bytes. */
void zstd_pack(struct zstd_packer *packer, const void *bytes, size_t length, int level);

struct zstd_unpacker {
	void *context;
};

void zstd_unpacker_init(struct zstd_unpacker *unpacker);
void zstd_unpacker_release(struct zstd_unpacker *unpacker);
/* true if `packed` is whole and sound frames that unpack to exactly `length` bytes; their checksum was compared. */
bool zstd_unpack(struct zstd_unpacker *unpacker, const void *packed, size_t packed_bytes, void *bytes, size_t length);

#endif
