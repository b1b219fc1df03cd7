/* SPDX-License-Identifier: MIT
 *
 * zstd_trace.c - the door to libzstd for the native trace format (interface: zstd_trace.h).
 */
#include "sim/io/zstd_trace.h"

#include <stdlib.h>
#include <zstd.h>

void zstd_packer_init(struct zstd_packer *packer)
{
	*packer = (struct zstd_packer){.context = ZSTD_createCCtx()};
	if (!packer->context)
		xrealloc(NULL, SIZE_MAX); /* ends the program with the sentence for a host without memory */
}

void zstd_packer_release(struct zstd_packer *packer)
{
	ZSTD_freeCCtx(packer->context);
	free(packer->packed);
	*packer = (struct zstd_packer){0};
}

void zstd_pack(struct zstd_packer *packer, const void *bytes, size_t length, int level)
{
	size_t bound = ZSTD_compressBound(length);
	if (bound > packer->packed_room) {
		free(packer->packed);
		packer->packed = xcalloc(bound, 1);
		packer->packed_room = bound;
	}
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, level);
	packer->packed_bytes = ZSTD_compress2(packer->context, packer->packed, packer->packed_room, bytes, length);
	SIM_ASSERT(!ZSTD_isError(packer->packed_bytes)); /* the room is ZSTD_compressBound() */
}

void zstd_unpacker_init(struct zstd_unpacker *unpacker)
{
	unpacker->context = ZSTD_createDCtx();
	if (!unpacker->context)
		xrealloc(NULL, SIZE_MAX);
}

void zstd_unpacker_release(struct zstd_unpacker *unpacker)
{
	ZSTD_freeDCtx(unpacker->context);
	unpacker->context = NULL;
}

bool zstd_unpack(struct zstd_unpacker *unpacker, const void *packed, size_t packed_bytes, void *bytes, size_t length)
{
	size_t made = ZSTD_decompressDCtx(unpacker->context, bytes, length, packed, packed_bytes);
	return !ZSTD_isError(made) && made == length;
}
