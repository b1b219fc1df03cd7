/* SPDX-License-Identifier: MIT
 *
 * fuzz_access.c - any bytes as an access trace: the first byte chooses the format (beyond the last: told by content), the rest is
 * the file. What is given must be accesses as the port promises them; what is refused must be refused with a sentence.
 */
#include "tests/fuzz/fuzz_text.h"

#include "sim/io/access_format.h"

static void read_all(struct access_source *source)
{
	struct error error = {0};
	struct access batch[100];
	size_t count = 1;
	bool sound = true;
	while (sound && count > 0) {
		sound = access_source_read(source, batch, sizeof batch / sizeof batch[0], &count, &error);
		for (size_t i = 0; sound && i < count; i++) {
			SIM_ASSERT(batch[i].kind <= ACCESS_MODIFY && batch[i].bytes > 0 && batch[i].bytes <= ACCESS_BYTES_MAX);
			SIM_ASSERT(batch[i].address + batch[i].bytes - 1 >= batch[i].address);
		}
	}
	SIM_ASSERT(sound == (error.kind == ERROR_NONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error error = {0};
	const char *help;
	char path[64];
	if (size == 0)
		return 0;
	int file = fuzz_file(data + 1, size - 1, path);
	struct access_source *source = access_reader_open(path, access_source_format(data[0], &help), &error);
	SIM_ASSERT((source == NULL) == (error.kind != ERROR_NONE));
	if (source)
		read_all(source);
	access_source_close(source);
	close(file);
	return 0;
}
