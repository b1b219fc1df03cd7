/* SPDX-License-Identifier: MIT
 *
 * yaml_scenario.h - the only door to libyaml: a small YAML file as a flat list of keys with their places.
 *
 * Taken of YAML: one document, a map whose values are scalars, lists of scalars, or maps of the same. Nested maps become dotted
 * keys: `sample: {every: 10 ms}` and `sample.every: 10 ms` both give "sample.every". Not taken: aliases, anchors and tags (they
 * serve no scenario, and a few lines of aliases can stand for gigabytes), several documents, maps in lists. `~` and `null` are
 * the empty text.
 *
 * Bounds: YAML_BYTES_MAX, YAML_DEPTH_MAX, YAML_KEYS_MAX, YAML_VALUES_MAX; whatever exceeds them is an error with its place, so
 * time and memory are bounded whatever the file holds. Invariant of a file read: no two entries have the same key.
 */
#ifndef SIM_IO_YAML_SCENARIO_H
#define SIM_IO_YAML_SCENARIO_H

#include "sim/base.h"

#define YAML_BYTES_MAX (1u << 20)
#define YAML_DEPTH_MAX 16
#define YAML_KEYS_MAX 1000
#define YAML_VALUES_MAX 1000 /* in one list */
#define YAML_KEY_LENGTH_MAX 255

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_place {
	uint32_t line, column; /* from 1 */
};

struct yaml_entry {
	char *key; /* dotted, from the top of the file */
	enum yaml_kind kind;
	uint32_t line, column;     /* of the key, from 1 */
	struct yaml_place value;   /* where it begins */
	char **values;             /* one for a scalar, none for a map */
	struct yaml_place *places; /* of each */
	uint32_t count;
};

struct yaml_file {
	char *name;          /* as messages call it */
	char *first_comment; /* text of the first comment line that is no notice for a tool or of a licence; NULL if there is none
	                      */
	struct yaml_entry *entries;
	uint32_t count, capacity;
};

/* Reads a file or bytes in memory (name is what messages call them). On failure there is nothing to release. */
bool yaml_file_read(struct yaml_file *file, const char *path, struct error *error);
bool yaml_file_parse(struct yaml_file *file, const char *name, const char *bytes, size_t length, struct error *error);
void yaml_file_release(struct yaml_file *file);

/* The entry of that dotted key, NULL if there is none. */
const struct yaml_entry *yaml_file_entry(const struct yaml_file *file, const char *key);

/* The text of the first comment of a file as a fresh string, NULL if there is none or no such file: what a config says of itself.
 */
char *yaml_first_comment(const char *path);

#endif
