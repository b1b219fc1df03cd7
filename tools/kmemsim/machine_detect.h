/* SPDX-License-Identifier: MIT
 *
 * machine_detect.h - a machine found out from CPUID and from what the kernel says of it.
 */
#ifndef TOOLS_MACHINE_DETECT_H
#define TOOLS_MACHINE_DETECT_H

#include "sim/io/host_sysfs.h"
#include "sim/machine_facts.h"

struct detected {
	struct cpuid_table table;
	struct machine_facts facts;
	struct host_facts host;
	bool is_host; /* else a file's: host is not filled */
};

/* The CPUID table of the host, or of a file where one is named. false with *error; then nothing is to be released. */
bool machine_table_read(struct cpuid_table *table, const char *file, struct error *error);

/* The machine of the host, or of a file. false with *error; then nothing is to be released. */
bool machine_detect(struct detected *detected, const char *file, struct error *error);
void machine_detected_release(struct detected *detected);

/* Writes to a path, or to standard output where it is NULL, what print() prints. A file that fails is not left behind. */
bool machine_write(const char *path, void (*print)(const void *context, FILE *), const void *context, struct error *error);

#endif
