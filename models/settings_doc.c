/* SPDX-License-Identifier: MIT
 *
 * settings_doc.c - the settings table as YAML, list, Markdown and JSON Schema (interface: settings_doc.h).
 *
 * The schema has one definition a row. A group of keys ("machine", "machine.latency") becomes an object whose properties refer to
 * the rows, both by nested maps and by dotted keys, because a scenario may be written either way.
 */
#include "models/settings_doc.h"

#include <stdlib.h>
#include <string.h>

void settings_print_yaml(const struct settings *settings, FILE *out)
{
	setting_table_print(settings_table(), settings, out);
}

/* ---- what a row takes, in words ---- */

static const char *const *names_of(const struct setting *row, const struct setting_names *names)
{
	if (row->type == SETTING_ENUM)
		return row->names;
	for (; names && names->of && row->names_of; names++)
		if (strcmp(names->of, row->names_of) == 0)
			return names->names;
	return NULL;
}

static void print_range(const struct setting *row, FILE *out)
{
	char low[SETTING_NUMBER_MAX], high[SETTING_NUMBER_MAX];
	fprintf(out, "%s to %s", setting_number_text(row->type, row->min, low), setting_number_text(row->type, row->max, high));
	if (row->power_of_two)
		fputs(", a power of two", out);
	if (row->unit)
		fprintf(out, " (%s)", row->unit);
	if (setting_word(row))
		fprintf(out, " or %s", setting_word(row));
}

/* "none, cycles" or "4 MiB to 8 TiB or auto". */
static void print_values(const struct setting *row, const struct setting_names *names, FILE *out)
{
	const char *const *known = names_of(row, names);
	if (row->type == SETTING_LIST)
		fputs(known ? "one or a list of " : row->line_keys ? "a list of lines" : "a list of names", out);
	for (size_t i = 0; known && known[i]; i++)
		fprintf(out, "%s%s", i ? ", " : "", known[i]);
	if (known || row->type == SETTING_LIST)
		return;
	if (row->type == SETTING_BOOL)
		fputs("true, false", out);
	else if (row->type == SETTING_STRING)
		fputs("text", out);
	else
		print_range(row, out);
}

/* Appends what print_ writes to a fresh string. */
static char *values_text(const struct setting *row, const struct setting_names *names)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	print_values(row, names, out);
	fclose(out);
	return text;
}

/* The default as a list shows it: nothing is "-", list values have commas. */
static char *default_text(const struct setting *row)
{
	char *text = xstrdup(*row->default_text ? row->default_text : "-");
	for (char *at = text; row->type == SETTING_LIST && !row->line_keys && *at; at++)
		if (*at == ' ')
			*at = ',';
	return text;
}

void settings_print_list(const struct setting_names *names, FILE *out)
{
	fprintf(out, "%-38s %-12s %-32s %s\n", "KEY", "DEFAULT", "VALUES", "HELP");
	for (const struct setting *row = settings_table(); row->key; row++) {
		char *values = values_text(row, names), *initial = default_text(row);
		fprintf(out, "%-38s %-12s %-32s %s\n", row->key, initial, values, row->help);
		free(initial);
		free(values);
	}
}

/* ---- Markdown ---- */

/* A cell: a bar would end it. */
static void print_cell(const char *text, FILE *out)
{
	fputc(' ', out);
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputs(" |", out);
}

static void print_markdown_row(const struct setting *row, const struct setting_names *names, FILE *out)
{
	char *values = values_text(row, names), *initial = default_text(row);
	fprintf(out, "| `%s`", row->key);
	if (row->alias)
		fprintf(out, " (or `%s`)", row->alias);
	fputs(" |", out);
	print_cell(initial, out);
	print_cell(values, out);
	print_cell(row->help, out);
	print_cell(row->source, out);
	fputc('\n', out);
	free(initial);
	free(values);
}

/* Length of the first part of a key, 0 where the key has one part only. */
static size_t group_length(const char *key)
{
	const char *dot = strchr(key, '.');
	return dot ? (size_t)(dot - key) : 0;
}

/* The heading a row stands under: its group where that holds a whole part of the simulator, else the run. */
static const char *section_of(const struct setting *row)
{
	static const char *const sections[] = {"machine", "kernel", "cost"};
	size_t length = group_length(row->key);
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
		if (length == strlen(sections[i]) && strncmp(row->key, sections[i], length) == 0)
			return sections[i];
	return "the run";
}

static const char markdown_head[] =
        "# Settings\n"
        "\n"
        "This page is made from the table in models/settings.c by `kmemsim list settings --format markdown`; do not edit it.\n"
        "\n"
        "A key stands in a scenario, or in `--set KEY=VALUE`. Nested maps and dotted keys mean the same: `sample: {every: 10 "
        "ms}` is\n"
        "`sample.every: 10 ms`. Numbers that have a unit carry it: sizes B, KiB, MiB, GiB, TiB; times ns, us, ms, s, min, h; "
        "frequencies "
        "Hz,\n"
        "kHz, MHz, GHz; cycles.\n"
        "\n"
        "Three keys more name other files: `machine: NAME` (configs/machines/NAME.yaml, which holds `machine.*` keys), `kernel: "
        "NAME`\n"
        "(configs/kernels/NAME.yaml, `kernel.*` keys) and `include: NAME` or `include: [NAME, ...]` (another file of the same "
        "kind, a\n"
        "base for this one). A name with `/` or `.yaml` is a path; `machine: {include: NAME, cpus: 4}` changes one on the spot. "
        "The later\n"
        "of these wins: default, included files, machine and kernel, the file itself, `--set`. For a recording without a "
        "scenario,\n"
        "what it tells of its kernel stands in the kernel's place.\n"
        "\n"
        "The defaults are those of a generic PC (configs/machines/pc.yaml) and of Debian 12's kernel "
        "(configs/kernels/debian-6.1.yaml).\n";

static const char markdown_columns[] =
        "| key | default | values | what it is | where the default comes from |\n|---|---|---|---|---|\n";

/* The keys of the lines of a setting. The first is the line's first word. */
static void print_markdown_lines(const struct setting *row, const struct setting_names *names, FILE *out)
{
	fprintf(out, "\n## lines of %s\n\nEach line is `NAME KEY=VALUE ...`, without spaces inside a value.\n\n%s", row->key,
	        markdown_columns);
	for (const struct setting *key = row->line_keys + 1; key->key; key++)
		print_markdown_row(key, names, out);
}

void settings_print_markdown(const struct setting_names *names, FILE *out)
{
	fputs(markdown_head, out);
	const char *section = "";
	for (const struct setting *row = settings_table(); row->key; row++) {
		if (strcmp(section, section_of(row)) != 0) {
			section = section_of(row);
			fprintf(out, "\n## %s\n\n", section);
			fputs(markdown_columns, out);
		}
		print_markdown_row(row, names, out);
	}
	for (const struct setting *row = settings_table(); row->key; row++)
		if (row->line_keys)
			print_markdown_lines(row, names, out);
}

/* ---- JSON Schema ---- */

static void print_json_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static const char *unit_pattern(enum setting_type type)
{
	switch (type) {
	case SETTING_SIZE:
		return "^[0-9]+(\\.[0-9]+)? *(B|KiB|MiB|GiB|TiB)$";
	case SETTING_DURATION:
		return "^[0-9]+(\\.[0-9]+)? *(ns|us|ms|s)$";
	case SETTING_FREQUENCY:
		return "^[0-9]+(\\.[0-9]+)? *(Hz|kHz|MHz|GHz)$";
	case SETTING_CYCLES:
		return "^[0-9]+ *(cycle|cycles)$";
	case SETTING_DELAY:
		return "^[0-9]+(\\.[0-9]+)? *(ps|ns|us|clock|clocks|cycle|cycles)$";
	default:
		return NULL;
	}
}

/* `"type": ...` of a number, without the word for 0. */
static void print_number_schema(const struct setting *row, FILE *out)
{
	const char *pattern = unit_pattern(row->type);
	if (!pattern) {
		fprintf(out, "\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu", (unsigned long long)row->min,
		        (unsigned long long)row->max);
		return;
	}
	fputs("\"type\": \"string\", \"pattern\": ", out);
	print_json_text(pattern, out);
}

static void print_names_schema(const char *const *names, FILE *out)
{
	if (!names) {
		fprintf(out, "\"type\": \"string\", \"maxLength\": %d", SETTING_TEXT_MAX);
		return;
	}
	fputs("\"enum\": [", out);
	for (size_t i = 0; names[i]; i++) {
		fputs(i ? ", " : "", out);
		print_json_text(names[i], out);
	}
	fputc(']', out);
}

static void print_row_schema(const struct setting *row, const struct setting_names *names, FILE *out)
{
	if (row->type == SETTING_BOOL) {
		fputs("\"type\": \"boolean\"", out);
	} else if (row->type == SETTING_ENUM || row->type == SETTING_STRING) {
		print_names_schema(names_of(row, names), out);
	} else if (row->type == SETTING_LIST) {
		fputs("\"anyOf\": [{", out);
		print_names_schema(names_of(row, names), out);
		fprintf(out, "}, {\"type\": \"array\", \"maxItems\": %d, %s\"items\": {", SETTING_LIST_MAX,
		        row->may_repeat ? "" : "\"uniqueItems\": true, ");
		print_names_schema(names_of(row, names), out);
		fputs("}}]", out);
	} else if (setting_word(row)) {
		fprintf(out, "\"anyOf\": [{\"const\": \"%s\"}, {", setting_word(row));
		print_number_schema(row, out);
		fputs("}]", out);
	} else {
		print_number_schema(row, out);
	}
}

/* A list of lines, empty too, as an array. */
static void print_lines_default(const struct setting *row, FILE *out)
{
	char *lines = xstrdup(row->default_text), *rest = lines;
	fputc('[', out);
	for (char *line; (line = strtok_r(rest, ";", &rest)) != NULL;) {
		fputs(line == lines ? "" : ", ", out);
		print_json_text(line, out);
	}
	fputc(']', out);
	free(lines);
}

/* The default in the type a schema gives it. */
static void print_default_schema(const struct setting *row, FILE *out)
{
	bool number = row->type == SETTING_COUNT && (!setting_word(row) || strcmp(setting_word(row), row->default_text) != 0);
	if (row->type == SETTING_LIST && (!*row->default_text || row->line_keys))
		print_lines_default(row, out);
	else if (row->type == SETTING_BOOL || number)
		fputs(row->default_text, out);
	else
		print_json_text(row->default_text, out);
}

static void print_definition(const struct setting *row, const struct setting_names *names, FILE *out)
{
	char *values = values_text(row, names);
	char *description = xasprintf("%s. Values: %s. Default from: %s.", row->help, values, row->source);
	fprintf(out, "    \"%s\": {", row->key);
	print_row_schema(row, names, out);
	fputs(", \"default\": ", out);
	print_default_schema(row, out);
	fputs(", \"description\": ", out);
	print_json_text(description, out);
	fputs("},\n", out);
	free(description);
	free(values);
}

/* Whether the row is the table's first whose key begins with the same `length` bytes. */
static bool begins_group(const struct setting *row, size_t length)
{
	for (const struct setting *other = settings_table(); other < row; other++)
		if (strncmp(other->key, row->key, length) == 0)
			return false;
	return true;
}

/* The groups that a name may stand for, and whose files may include others. */
static bool has_files(const char *group, size_t length)
{
	return (length == strlen("machine") && strncmp(group, "machine", length) == 0) ||
	       (length == strlen("kernel") && strncmp(group, "kernel", length) == 0);
}

static void print_property(const char *name, size_t length, const char *definition, size_t definition_length, FILE *out)
{
	fprintf(out, "      \"%.*s\": {\"$ref\": \"#/definitions/%.*s\"},\n", (int)length, name, (int)definition_length,
	        definition);
}

/* The property of a group below `prefix` ("machine", or "latency" of "machine."): its map, or the name of a file. */
static void print_group_property(const struct setting *row, size_t prefix_length, FILE *out)
{
	const char *name = row->key + prefix_length;
	size_t length = group_length(name);
	if (prefix_length > 0 || !has_files(name, length)) {
		print_property(name, length, row->key, prefix_length + length, out);
		return;
	}
	fprintf(out,
	        "      \"%.*s\": {\"anyOf\": [{\"type\": \"string\", \"description\": \"The name of a file in configs/%.*ss, or "
	        "a path\"}, "
	        "{\"$ref\": \"#/definitions/%.*s\"}]},\n",
	        (int)length, name, (int)length, name, (int)length, name);
}

/* The properties of all keys that begin with the prefix, which ends in a dot or is empty. */
static void print_properties(const char *prefix, size_t prefix_length, FILE *out)
{
	for (const struct setting *row = settings_table(); row->key; row++) {
		if (strncmp(row->key, prefix, prefix_length) != 0)
			continue;
		const char *name = row->key + prefix_length;
		size_t length = group_length(name);
		print_property(name, strlen(name), row->key, strlen(row->key), out);
		if (row->alias && prefix_length == 0)
			print_property(row->alias, strlen(row->alias), row->key, strlen(row->key), out);
		if (length > 0 && begins_group(row, prefix_length + length + 1))
			print_group_property(row, prefix_length, out);
	}
}

/* One object; every object that stands for a file may have `include`, the others close with a property that nothing satisfies. */
static void print_object(const char *prefix, size_t prefix_length, bool includes, FILE *out)
{
	fputs("\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\n", out);
	print_properties(prefix, prefix_length, out);
	fprintf(out, "      \"include\": %s\n    }", includes ? "{\"$ref\": \"#/definitions/include\"}" : "false");
}

static void print_group_definitions(const struct setting *row, FILE *out)
{
	for (size_t length = 0; row->key[length]; length++) {
		if (row->key[length] != '.' || !begins_group(row, length + 1))
			continue;
		fprintf(out, "    \"%.*s\": {", (int)length, row->key);
		print_object(row->key, length + 1, has_files(row->key, length), out);
		fputs("},\n", out);
	}
}

void settings_print_schema(const struct setting_names *names, FILE *out)
{
	fputs("{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"title\": \"kmemsim scenario\",\n"
	      "  \"description\": \"Made by `kmemsim list settings --format schema` from the table in models/settings.c\",\n"
	      "  \"definitions\": {\n",
	      out);
	for (const struct setting *row = settings_table(); row->key; row++) {
		print_definition(row, names, out);
		print_group_definitions(row, out);
	}
	fputs("    \"include\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": \"string\"}}], "
	      "\"description\": \"Files of the same kind, a base for this one\"}\n  },\n  ",
	      out);
	print_object("", 0, true, out);
	fputs("\n}\n", out);
}
