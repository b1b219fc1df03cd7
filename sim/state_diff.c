/* SPDX-License-Identifier: MIT
 *
 * state_diff.c - comparing states line by line (interface: state_diff.h).
 *
 * The lines of b are sorted by what they are known by; each line of a looks up its partner. Lines are printed in the order of a,
 * then what only b has in the order of b.
 */
#include "sim/state_diff.h"

#include "sim/state_dump.h"

#include <stdlib.h>
#include <string.h>

/* Columns of an item that are printed. */
#define ITEM_SHOWN 48

struct state_line {
	const char *cache; /* the @C line it belongs to, "" for none */
	const char *text;
	size_t known;  /* bytes of text that it is known by */
	size_t number; /* in its state */
};

/* How many words each kind of line is known by. Kinds that are not here are known by the first. */
static const struct {
	const char *kind;
	unsigned words;
	bool of_cache;
} kinds[] = {
        {"@ZONE ", 3, false}, {"@FREE ", 4, false}, {"@PCPL ", 4, false}, {"@PCP ", 3, false}, {"@PB ", 3, false},
        {"@MAP ", 2, false},  {"@C ", 2, false},    {"@CC ", 2, true},    {"@CP ", 2, true},   {"@CN", 1, true},
        {"@CS ", 2, true},    {"@CL ", 2, true},    {"@SP ", 2, false},   {"@SL ", 2, false},  {"@VA ", 2, false},
};

static size_t words_length(const char *text, unsigned words)
{
	size_t length = strcspn(text, " ");
	while (--words > 0 && text[length] == ' ')
		length += 1 + strcspn(text + length + 1, " ");
	return length;
}

static struct state_line line_of(const char *text, const char *cache, size_t number)
{
	struct state_line line = {.cache = "", .text = text, .known = words_length(text, 1), .number = number};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (!state_text_begins(text, kinds[i].kind))
			continue;
		line.known = words_length(text, kinds[i].words);
		line.cache = kinds[i].of_cache ? cache : "";
		break;
	}
	return line;
}

/* ---- taking a state out of a text ---- */

static void add(struct state_lines *state, size_t *capacity, const char *text, const char **cache)
{
	if (state->count == *capacity) {
		*capacity = *capacity ? 2 * *capacity : 256;
		state->lines = xrealloc(state->lines, *capacity * sizeof *state->lines);
	}
	if (state_text_begins(text, "@C "))
		*cache = text;
	state->lines[state->count] = line_of(text, *cache, state->count);
	state->count++;
}

static void take_tag(char tag[64], const char *line)
{
	const char *from = line + strlen("@STATE ");
	size_t length = strcspn(from, " ");
	length = length < 63 ? length : 63;
	memcpy(tag, from, length);
	tag[length] = '\0';
}

/* Notes another tag for the message, as far as there is room. */
static void note_tag(char *tags, size_t size, const char *tag)
{
	size_t used = strlen(tags);
	if (used + strlen(tag) + 3 < size)
		snprintf(tags + used, size - used, "%s%s", used ? ", " : "", tag);
}

static bool refuse(const char *name, const char *tag, const char *tags, unsigned found, struct error *error)
{
	if (!*tags)
		return error_set(error, ERROR_INPUT, "%s: no state in it: no line begins with @STATE", name);
	if (found == 0)
		return error_set(error, ERROR_USAGE, "%s: no whole state of the tag '%s'; there are %s", name, tag ? tag : "",
		                 tags);
	return error_set(error, ERROR_USAGE, "%s: several states (%s); choose one as FILE@TAG", name, tags);
}

bool state_lines_take(struct state_lines *state, const char *name, char *text, const char *tag, bool any, struct error *error)
{
	char tags[512] = "", current[64] = "";
	const char *cache = "";
	size_t capacity = 0;
	unsigned found = 0;
	bool inside = false, wanted = false;
	*state = (struct state_lines){.text = text};
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (state_text_begins(line, "@STATE ")) {
			take_tag(current, line);
			note_tag(tags, sizeof tags, current);
			inside = true;
			wanted = found == 0 && (!tag || strcmp(tag, current) == 0);
			state->count = wanted ? 0 : state->count;
		} else if (state_text_begins(line, "@END") && inside) {
			inside = false;
			found += !tag || strcmp(tag, current) == 0;
			if (wanted)
				memcpy(state->tag, current, sizeof current);
		} else if (inside && wanted) {
			add(state, &capacity, line, &cache);
		}
	}
	if (found == 1 || (found > 1 && (any || tag)))
		return true;
	state_lines_release(state);
	return refuse(name, tag, tags, found, error);
}

void state_lines_release(struct state_lines *state)
{
	free(state->lines);
	free(state->text);
	*state = (struct state_lines){0};
}

/* ---- comparing ---- */

static size_t cache_name_length(const char *cache)
{
	return words_length(cache, 2);
}

static int compare_words(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
	if (order != 0)
		return order;
	return (a_length > b_length) - (a_length < b_length);
}

static int by_identity(const void *left, const void *right)
{
	const struct state_line *a = left, *b = right;
	int order = compare_words(a->cache, cache_name_length(a->cache), b->cache, cache_name_length(b->cache));
	return order ? order : compare_words(a->text, a->known, b->text, b->known);
}

static int by_identity_and_place(const void *left, const void *right)
{
	const struct state_line *a = left, *b = right;
	int order = by_identity(left, right);
	return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* The next item: a word, or a bracketed group with what stands before it; a pageblock's letter. Its length is 0 at the end. */
static size_t item_length(const struct state_line *line, const char *at)
{
	size_t length = 0;
	if (state_text_begins(line->text, "@PB "))
		return *at != '\0';
	unsigned depth = 0;
	for (; at[length] && (depth > 0 || at[length] != ' '); length++) {
		depth += at[length] == '[' || at[length] == '{';
		depth -= depth > 0 && (at[length] == ']' || at[length] == '}');
	}
	return length;
}

static const char *item_at(const char *at)
{
	return at + strspn(at, " ");
}

static bool is_pair(const char *at, size_t length)
{
	return memchr(at, '=', length) != NULL;
}

static size_t count_items(const struct state_line *line, const char *at)
{
	size_t count = 0;
	for (at = item_at(at); *at; at = item_at(at + item_length(line, at)))
		count++;
	return count;
}

static void print_item(FILE *out, const char *at, size_t length)
{
	if (length == 0)
		fprintf(out, "(the list ends)");
	else
		fprintf(out, "%.*s%s", (int)(length < ITEM_SHOWN ? length : ITEM_SHOWN), at, length > ITEM_SHOWN ? "..." : "");
}

static void print_name(FILE *out, const struct state_line *line)
{
	if (*line->cache)
		fprintf(out, "%.*s ", (int)cache_name_length(line->cache), line->cache);
	fprintf(out, "%.*s:", (int)line->known, line->text);
}

/* Items of key=value lines are named; of others, the first different one is shown with its place. */
static void print_difference(FILE *out, const struct state_line *line, const char *a, const char *b)
{
	size_t place = 0;
	bool pairs = false;
	size_t a_count = count_items(line, a), b_count = count_items(line, b);
	print_name(out, line);
	for (a = item_at(a), b = item_at(b); *a || *b; place++) {
		size_t a_length = item_length(line, a), b_length = item_length(line, b);
		bool pair = is_pair(a, a_length) && is_pair(b, b_length);
		if (a_length != b_length || memcmp(a, b, a_length) != 0) {
			fprintf(out, pairs ? ", " : " ");
			if (!pair)
				fprintf(out, "%zu against %zu items, the first that differs at place %zu: ", a_count, b_count,
				        place);
			print_item(out, a, a_length);
			fprintf(out, " | ");
			print_item(out, b, b_length);
			pairs = true;
			if (!pair)
				break;
		}
		a = item_at(a + a_length);
		b = item_at(b + b_length);
	}
	fprintf(out, "\n");
}

static size_t trimmed(const char *text)
{
	size_t length = strlen(text);
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return length;
}

static bool same(const char *a, const char *b)
{
	size_t length = trimmed(a);
	return length == trimmed(b) && memcmp(a, b, length) == 0;
}

/* What stands behind the words a line is known by, and behind a colon there. */
static const char *items_of(const struct state_line *line)
{
	const char *items = item_at(line->text + line->known);
	return *items == ':' ? items + 1 : items;
}

/* Whether a state has any line of the kind `word`. */
static bool has_kind(const struct state_lines *state, const char *word, size_t length)
{
	for (size_t i = 0; i < state->count; i++)
		if (words_length(state->lines[i].text, 1) == length && memcmp(state->lines[i].text, word, length) == 0)
			return true;
	return false;
}

/*
 * Whether the other state was asked for such lines at all: a dump of pages says nothing about caches, and the map of frames is in
 * some dumps only. Lists of pages are left out of a dump where they are empty.
 */
static bool is_told_by(const struct state_lines *other, const struct state_line *line)
{
	static const char *const optional[] = {"@MAP", "@C", "@SP", "@SL", "@VM", "@VA", "@FREE"};
	const char *word = *line->cache ? "@C" : line->text;
	size_t length = words_length(word, 1);
	if (length == 5 && memcmp(word, "@PCPL", 5) == 0)
		length = strlen("@PCP");
	for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
		if (strlen(optional[i]) == length && memcmp(word, optional[i], length) == 0)
			return has_kind(other, word, length);
	return true;
}

uint64_t state_diff(const struct state_lines *a, const struct state_lines *b, FILE *out, uint64_t *compared)
{
	uint64_t different = 0;
	struct state_line *sorted = xcalloc(b->count + 1, sizeof *sorted);
	bool *met = xcalloc(b->count + 1, sizeof *met);
	for (size_t i = 0; i < b->count; i++)
		sorted[i] = b->lines[i];
	qsort(sorted, b->count, sizeof *sorted, by_identity_and_place);
	*compared = a->count;
	for (size_t i = 0; i < a->count; i++) {
		const struct state_line *line = &a->lines[i];
		const struct state_line *partner = bsearch(line, sorted, b->count, sizeof *sorted, by_identity);
		if (partner)
			met[partner->number] = true;
		if (partner ? same(items_of(line), items_of(partner)) : *item_at(items_of(line)) == '\0' || !is_told_by(b, line))
			continue;
		different++;
		print_difference(out, line, items_of(line), partner ? items_of(partner) : "");
	}
	for (size_t i = 0; i < b->count; i++) {
		*compared += !met[i];
		if (met[i] || *item_at(items_of(&b->lines[i])) == '\0' || !is_told_by(a, &b->lines[i]))
			continue;
		different++;
		print_difference(out, &b->lines[i], "", items_of(&b->lines[i]));
	}
	free(met);
	free(sorted);
	return different;
}
