/* SPDX-License-Identifier: MIT
 *
 * corpus_main.c - a fuzz target without the fuzzer, for every build: the inputs of its corpus, one after another.
 *
 *     fuzz_NAME FOLDER
 */
#include "sim/base.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Targets that have something to set up have one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

/* No input of a corpus is longer. */
#define INPUT_BYTES_MAX (1u << 20)

static int run(const char *folder, const char *name, uint8_t *bytes)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(bytes, 1, INPUT_BYTES_MAX, file) : 0;
	int failed = !file || !feof(file);
	if (failed)
		fprintf(stderr, "%s: cannot be read, or is longer than 1 MiB\n", path);
	if (file)
		fclose(file);
	printf("%s\n", path);
	fflush(stdout); /* tells which one it was, should the next line not return */
	/* Of its own size, so that a sanitizer sees what is read behind its end. */
	uint8_t *input = xcalloc(size + !size, 1);
	for (size_t at = 0; at < size; at++)
		input[at] = bytes[at];
	if (!failed)
		LLVMFuzzerTestOneInput(input, size);
	free(input);
	free(path);
	return failed;
}

int main(int argc, char **argv)
{
	struct dirent **names;
	int count = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1, failed = 0, ran = 0;
	if (count < 0) {
		fprintf(stderr, "expected a folder with a corpus\n");
		return 2;
	}
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	uint8_t *bytes = xcalloc(INPUT_BYTES_MAX, 1);
	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.') {
			failed |= run(argv[1], names[i]->d_name, bytes);
			ran++;
		}
		free(names[i]);
	}
	free(names);
	free(bytes);
	return failed || ran == 0;
}
