/* SPDX-License-Identifier: MIT
 *
 * fuzz_access.h - any bytes as an access trace of a format. What is given must be accesses as the port promises them; what is
 * refused must be refused with a sentence; and neither may depend on how many accesses are asked for at once.
 */
#ifndef TESTS_FUZZ_ACCESS_H
#define TESTS_FUZZ_ACCESS_H

#include "tests/fuzz/fuzz_text.h"

#include "sim/io/access_format.h"

#include <string.h>

#define FUZZ_BATCH_MAX 100u

/* What reading a trace comes to: its accesses as a number (FNV-1a over their fields), or the reason why it ends. */
struct fuzz_accesses {
	uint64_t hash;
	struct error error;
};

static inline void fuzz_access_add(uint64_t *hash, const struct access *access)
{
	const uint64_t fields[] = {access->address, access->bytes, access->kind, access->cpu};
	SIM_ASSERT(access->kind <= ACCESS_MODIFY && access->bytes > 0 && access->bytes <= ACCESS_BYTES_MAX);
	SIM_ASSERT(access->address + access->bytes - 1 >= access->address);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		*hash = (*hash ^ fields[i]) * 0x100000001b3u;
}

static inline struct fuzz_accesses fuzz_access_read(const char *path, const char *format, size_t at_once)
{
	struct fuzz_accesses read = {.hash = 0xcbf29ce484222325u};
	struct access batch[FUZZ_BATCH_MAX];
	struct access_source *source = access_reader_open(path, format, &read.error);
	SIM_ASSERT((source == NULL) == (read.error.kind != ERROR_NONE));
	for (size_t count = 1; source && count > 0;) {
		bool sound = access_source_read(source, batch, at_once, &count, &read.error);
		SIM_ASSERT(sound == (read.error.kind == ERROR_NONE) && (!sound || count <= at_once));
		if (!sound)
			break;
		for (size_t i = 0; i < count; i++)
			fuzz_access_add(&read.hash, &batch[i]);
	}
	SIM_ASSERT(read.error.kind == ERROR_NONE || read.error.text[0]);
	access_source_close(source);
	return read;
}

/* format NULL: told by content. */
static inline int fuzz_access(const uint8_t *data, size_t size, const char *format)
{
	char path[64];
	int file = fuzz_file(data, size, path);
	struct fuzz_accesses many = fuzz_access_read(path, format, FUZZ_BATCH_MAX), few = fuzz_access_read(path, format, 3);
	SIM_ASSERT(many.error.kind == few.error.kind && strcmp(many.error.text, few.error.text) == 0);
	SIM_ASSERT(many.error.kind != ERROR_NONE || many.hash == few.hash);
	close(file);
	return 0;
}

#endif
