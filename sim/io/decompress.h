/* SPDX-License-Identifier: MIT
 *
 * decompress.h - a file as a stream of bytes, whatever it is packed with: plain, gzip, xz or zstd, told apart by its first bytes.
 *
 * Memory stays bounded by the format's own window; nothing is read ahead but one buffer. Concatenated members (as gzip, xz and
 * zstd allow) are one stream. A damaged or cut file is an error that names the file and the offset in it.
 */
#ifndef SIM_IO_DECOMPRESS_H
#define SIM_IO_DECOMPRESS_H

#include "sim/base.h"
#include "sim/sha256.h"

struct decompress;

/* hash, where not NULL, is fed every byte of the file as it lies there (packed). NULL with *error filled on failure. */
struct decompress *decompress_open(const char *path, struct sha256 *hash, struct error *error);
void decompress_close(struct decompress *input);

/* Reads up to `capacity` bytes (> 0) of the unpacked stream; *count 0 with true: the end. */
bool decompress_read(struct decompress *input, void *bytes, size_t capacity, size_t *count, struct error *error);

/*
 * A whole file, unpacked, with a NUL byte behind it that *bytes does not count; *text is the caller's. At most `max` bytes.
 */
bool decompress_all(const char *path, size_t max, char **text, size_t *bytes, struct error *error);

/*
 * Called from another thread: a read that waits for a pipe fails now, and so do all later ones.
 */
void decompress_stop(struct decompress *input);

/* Bytes of the file read so far, and the file's size when it was opened (0 for a pipe). */
uint64_t decompress_done(const struct decompress *input);
uint64_t decompress_total(const struct decompress *input);

#endif
