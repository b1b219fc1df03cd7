/* SPDX-License-Identifier: MIT
 *
 * machine_detect.c - the host, or a recorded CPUID, as a machine (interface: machine_detect.h).
 */
#include "tools/kmemsim/machine_detect.h"

#include "models/machine_file.h"
#include "sim/io/decompress.h"
#include "sim/io/host_cpuid.h"
#include "sim/new_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool machine_table_read(struct cpuid_table *table, const char *file, struct error *error)
{
	char *text;
	size_t bytes;
	*table = (struct cpuid_table){0};
	if (!file)
		return host_cpuid_read(table, error);
	if (!decompress_all(file, CPUID_FILE_BYTES_MAX, &text, &bytes, error))
		return false;
	bool read = cpuid_read(table, file, text, bytes, error);
	free(text);
	return read;
}

bool machine_detect(struct detected *detected, const char *file, struct error *error)
{
	*detected = (struct detected){.is_host = !file};
	if (!machine_table_read(&detected->table, file, error))
		return false;
	if (!machine_facts_decode(&detected->table, &detected->facts, error)) {
		cpuid_release(&detected->table);
		return false;
	}
	if (detected->is_host) {
		host_sysfs_read("", &detected->host);
		machine_file_compare(&detected->facts, &detected->host);
	}
	return true;
}

void machine_detected_release(struct detected *detected)
{
	machine_facts_release(&detected->facts);
	cpuid_release(&detected->table);
}

bool machine_write(const char *path, void (*print)(const void *context, FILE *), const void *context, struct error *error)
{
	struct new_file file;
	if (!path) {
		print(context, stdout);
		return fflush(stdout) == 0 || error_set(error, ERROR_HOST, "standard output: %s", strerror(errno));
	}
	if (!new_file_begin(&file, path, error))
		return false;
	int copy = dup(file.file);
	FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;
	if (!out) {
		if (copy >= 0)
			close(copy);
		new_file_end(&file, false, NULL);
		return error_set(error, ERROR_HOST, "%s: cannot be written: %s", path, strerror(errno));
	}
	print(context, out);
	bool whole = !ferror(out);
	whole = fclose(out) == 0 && whole;
	if (!whole)
		error_set(error, ERROR_HOST, "%s: cannot be written: %s", path, strerror(errno));
	return new_file_end(&file, whole, error);
}
