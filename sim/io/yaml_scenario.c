/* SPDX-License-Identifier: MIT
 *
 * yaml_scenario.c - libyaml's event parser, walked by recursive descent of bounded depth (what is taken and the bounds:
 * yaml_scenario.h).
 */
#include "sim/io/yaml_scenario.h"
#include "sim/setting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* A comment longer than this is no question; the rest is left out. */
#define COMMENT_MAX 500

struct reader {
	yaml_parser_t parser;
	struct yaml_file *file;
	const char *bytes;
	size_t length;
	unsigned depth;
	struct error *error;
};

static bool fail_at(const struct reader *reader, yaml_mark_t mark, const char *what)
{
	return error_set(reader->error, ERROR_USAGE, "%s:%zu:%zu: %s", reader->file->name, mark.line + 1, mark.column + 1, what);
}

/* ---- events ---- */

/* libyaml gives a byte offset where the bytes are no text; line and column follow from the bytes before it. */
static yaml_mark_t mark_of_offset(const struct reader *reader, size_t offset)
{
	yaml_mark_t mark = {0};
	for (size_t i = 0; i < offset && i < reader->length; i++) {
		if (reader->bytes[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)reader->bytes[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static bool fail_parser(const struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	char what[200];
	if (parser->error == YAML_MEMORY_ERROR)
		return error_set(reader->error, ERROR_HOST, "%s: the host has no memory left", reader->file->name);
	if (parser->error == YAML_READER_ERROR) {
		snprintf(what, sizeof what, "not UTF-8 text: %s", parser->problem);
		return fail_at(reader, mark_of_offset(reader, parser->problem_offset), what);
	}
	snprintf(what, sizeof what, "not YAML: %s%s%s", parser->problem ? parser->problem : "syntax error",
	         parser->context ? " " : "", parser->context ? parser->context : "");
	return fail_at(reader, parser->problem_mark, what);
}

/* Refuses what no scenario needs. */
static bool check_event(const struct reader *reader, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return fail_at(reader, event->start_mark, "aliases (*name) are not taken here: write the value out");
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return fail_at(reader, event->start_mark, "anchors (&name) are not taken here: write the value out");
	if (tag)
		return fail_at(reader, event->start_mark, "tags (!name) are not taken here");
	if (event->type == YAML_SCALAR_EVENT && memchr(event->data.scalar.value, 0, event->data.scalar.length))
		return fail_at(reader, event->start_mark, "the text holds a zero character");
	return true;
}

/* Fetches the next event; the caller deletes it when true. */
static bool next_event(struct reader *reader, yaml_event_t *event)
{
	if (!yaml_parser_parse(&reader->parser, event))
		return fail_parser(reader);
	if (check_event(reader, event))
		return true;
	yaml_event_delete(event);
	return false;
}

/* ---- entries ---- */

static void entry_release(struct yaml_entry *entry)
{
	for (uint32_t i = 0; i < entry->count; i++)
		free(entry->values[i]);
	free(entry->values);
	free(entry->places);
	free(entry->key);
}

/* The text of a scalar, with YAML's two words for nothing turned into nothing. */
static char *scalar_text(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return xstrdup(plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0) ? "" : text);
}

/* Appends an entry for the dotted key; takes the key. NULL with the error when it is there already or there are too many. */
static struct yaml_entry *add_entry(struct reader *reader, char *key, yaml_mark_t mark)
{
	struct yaml_file *file = reader->file;
	const struct yaml_entry *other = yaml_file_entry(file, key);
	if (other || file->count == YAML_KEYS_MAX) {
		char quoted[SETTING_QUOTE_MAX], what[200];
		if (other)
			snprintf(what, sizeof what, "the key %s is set twice, first at line %u, column %u",
			         setting_quote(key, quoted), other->line, other->column);
		else
			snprintf(what, sizeof what, "more than %d keys", YAML_KEYS_MAX);
		fail_at(reader, mark, what);
		free(key);
		return NULL;
	}
	if (file->count == file->capacity) {
		file->capacity = file->capacity ? 2 * file->capacity : 32;
		file->entries = xrealloc(file->entries, file->capacity * sizeof *file->entries);
	}
	struct yaml_entry *entry = &file->entries[file->count++];
	*entry = (struct yaml_entry){.key = key, .line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
	return entry;
}

static struct yaml_place place_of(const yaml_event_t *event)
{
	return (struct yaml_place){(uint32_t)event->start_mark.line + 1, (uint32_t)event->start_mark.column + 1};
}

static void add_value(struct yaml_entry *entry, const yaml_event_t *event)
{
	if ((entry->count & (entry->count - 1)) == 0) {
		size_t room = entry->count ? 2 * (size_t)entry->count : 1;
		entry->values = xrealloc(entry->values, room * sizeof *entry->values);
		entry->places = xrealloc(entry->places, room * sizeof *entry->places);
	}
	entry->places[entry->count] = place_of(event);
	entry->values[entry->count++] = scalar_text(event);
}

/* ---- the descent ---- */

static bool read_map(struct reader *reader, const char *prefix);

static bool read_list(struct reader *reader, struct yaml_entry *entry)
{
	entry->kind = YAML_LIST;
	for (;;) {
		yaml_event_t event;
		if (!next_event(reader, &event))
			return false;
		bool more = event.type == YAML_SCALAR_EVENT, end = event.type == YAML_SEQUENCE_END_EVENT;
		if (more && entry->count == YAML_VALUES_MAX)
			more = fail_at(reader, event.start_mark, "the list is too long");
		else if (more)
			add_value(entry, &event);
		else if (!end)
			fail_at(reader, event.start_mark, "a list may hold single values only");
		yaml_event_delete(&event);
		if (!more)
			return end;
	}
}

static bool read_value(struct reader *reader, uint32_t index)
{
	struct yaml_entry *entry = &reader->file->entries[index];
	yaml_event_t event;
	if (!next_event(reader, &event))
		return false;
	yaml_event_type_t type = event.type;
	entry->value = place_of(&event);
	if (type == YAML_SCALAR_EVENT)
		add_value(entry, &event);
	bool too_deep = type == YAML_MAPPING_START_EVENT && reader->depth == YAML_DEPTH_MAX;
	if (too_deep)
		fail_at(reader, event.start_mark, "nested too deep: at most 16 maps");
	yaml_event_delete(&event);
	if (too_deep)
		return false;
	if (type == YAML_SEQUENCE_START_EVENT)
		return read_list(reader, entry);
	if (type != YAML_MAPPING_START_EVENT)
		return true;
	entry->kind = YAML_MAP;
	char *prefix = xasprintf("%s.", entry->key);
	bool read = read_map(reader, prefix);
	free(prefix);
	return read;
}

static bool check_key(const struct reader *reader, const char *prefix, const yaml_event_t *event)
{
	if (event->type != YAML_SCALAR_EVENT)
		return fail_at(reader, event->start_mark, "a key must be a single word");
	if (event->data.scalar.length == 0)
		return fail_at(reader, event->start_mark, "a key is empty");
	if (strlen(prefix) + event->data.scalar.length > YAML_KEY_LENGTH_MAX)
		return fail_at(reader, event->start_mark, "a key is too long");
	return true;
}

/* Reads keys and values up to the map's end; its start has been read. */
static bool read_map(struct reader *reader, const char *prefix)
{
	reader->depth++;
	for (;;) {
		yaml_event_t event;
		if (!next_event(reader, &event))
			return false;
		bool end = event.type == YAML_MAPPING_END_EVENT;
		bool more = !end && check_key(reader, prefix, &event);
		char *key = more ? xasprintf("%s%s", prefix, (const char *)event.data.scalar.value) : NULL;
		more = more && add_entry(reader, key, event.start_mark);
		yaml_event_delete(&event);
		if (end) {
			reader->depth--;
			return true;
		}
		if (!more || !read_value(reader, reader->file->count - 1))
			return false;
	}
}

/* The events before and after the one map: stream, document, map ... document, stream. */
static bool read_stream(struct reader *reader)
{
	unsigned documents = 0;
	for (;;) {
		yaml_event_t event;
		if (!next_event(reader, &event))
			return false;
		yaml_event_type_t type = event.type;
		yaml_mark_t mark = event.start_mark;
		bool empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT)
			return true;
		if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
			return fail_at(reader, mark, "a second document begins; a file holds one");
		if (type == YAML_MAPPING_START_EVENT && !read_map(reader, ""))
			return false;
		if (type == YAML_SEQUENCE_START_EVENT || (type == YAML_SCALAR_EVENT && !empty))
			return fail_at(reader, mark, "expected keys with values, like 'allocator: slub'");
	}
}

/* ---- files ---- */

static bool starts_with(const char *text, size_t length, const char *start)
{
	return length >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

/* A comment as one line of text: tabs become blanks, at most COMMENT_MAX bytes, cut between two characters. */
static char *comment_text(const char *text, size_t length)
{
	if (length > COMMENT_MAX) {
		length = COMMENT_MAX;
		while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	}
	char *comment = xasprintf("%.*s", (int)length, text);
	for (char *at = comment; *at; at++)
		if (*at == '\t')
			*at = ' ';
	return comment;
}

/* The first comment among the lines before the first key, without '#' and the blanks around it. */
static char *find_first_comment(const char *bytes, size_t length)
{
	const char *end = bytes + length;
	for (const char *line = bytes, *next; line < end; line = next) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		next = stop ? stop + 1 : end;
		stop = stop ? stop : end;
		while (line < stop && (*line == ' ' || *line == '\r'))
			line++;
		if (line == stop || starts_with(line, (size_t)(stop - line), "---"))
			continue;
		if (*line != '#')
			return NULL;
		while (line < stop && (*line == '#' || *line == ' '))
			line++;
		while (stop > line && (stop[-1] == ' ' || stop[-1] == '\r'))
			stop--;
		size_t count = (size_t)(stop - line);
		if (count > 0 && !starts_with(line, count, "SPDX-") && !starts_with(line, count, "yaml-language-server:"))
			return comment_text(line, count);
	}
	return NULL;
}

bool yaml_file_parse(struct yaml_file *file, const char *name, const char *bytes, size_t length, struct error *error)
{
	*file = (struct yaml_file){.name = xstrdup(name)};
	struct reader reader = {.file = file, .bytes = bytes, .length = length, .error = error};
	bool read = false;
	if (length > YAML_BYTES_MAX)
		error_set(error, ERROR_USAGE, "%s: larger than 1 MiB, no scenario is", name);
	else if (!yaml_parser_initialize(&reader.parser))
		error_set(error, ERROR_HOST, "%s: the host has no memory left", name);
	else {
		yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes, length);
		read = read_stream(&reader);
		yaml_parser_delete(&reader.parser);
	}
	if (read)
		file->first_comment = find_first_comment(bytes, length);
	else
		yaml_file_release(file);
	return read;
}

/* The bytes of a file, at most one more than allowed. NULL with the error. */
static char *read_bytes(const char *path, size_t *length, struct error *error)
{
	FILE *in = fopen(path, "rb");
	if (!in) {
		error_set(error, ERROR_HOST, "%s: cannot be opened: %s", path, strerror(errno));
		return NULL;
	}
	char *bytes = xcalloc(YAML_BYTES_MAX + 1, 1);
	*length = fread(bytes, 1, YAML_BYTES_MAX + 1, in);
	if (ferror(in)) {
		error_set(error, ERROR_HOST, "%s: cannot be read: %s", path, strerror(errno));
		free(bytes);
		bytes = NULL;
	}
	fclose(in);
	return bytes;
}

bool yaml_file_read(struct yaml_file *file, const char *path, struct error *error)
{
	size_t length;
	char *bytes = read_bytes(path, &length, error);
	bool read = bytes && yaml_file_parse(file, path, bytes, length, error);
	free(bytes);
	return read;
}

void yaml_file_release(struct yaml_file *file)
{
	for (uint32_t i = 0; i < file->count; i++)
		entry_release(&file->entries[i]);
	free(file->entries);
	free(file->first_comment);
	free(file->name);
	*file = (struct yaml_file){0};
}

const struct yaml_entry *yaml_file_entry(const struct yaml_file *file, const char *key)
{
	for (uint32_t i = 0; i < file->count; i++)
		if (strcmp(file->entries[i].key, key) == 0)
			return &file->entries[i];
	return NULL;
}

char *yaml_first_comment(const char *path)
{
	struct error ignored = {0};
	size_t length;
	char *bytes = read_bytes(path, &length, &ignored);
	char *comment = bytes ? find_first_comment(bytes, length) : NULL;
	free(bytes);
	return comment;
}
