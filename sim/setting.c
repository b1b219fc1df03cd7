/* SPDX-License-Identifier: MIT
 *
 * setting.c - reading, checking, copying and printing the values of a table of settings (interface and invariant: setting.h).
 *
 * Numbers are read exactly, in integers: "1.5 GHz" is 1500000000, and "0.3 B" is refused because it is no whole number of bytes.
 */
#include "sim/setting.h"
#include "sim/nearest.h"
#include "sim/utf8.h"

#include <stdlib.h>
#include <string.h>

/* More digits behind the point than this would overflow the exact product with the largest unit (h, 3.6 * 10^12). */
#define FRACTION_DIGITS_MAX 6

struct unit {
	const char *name;
	uint64_t factor;
	uint64_t mark; /* of a number in this unit: SETTING_DELAY_* */
};

/* Smallest first; a value is printed in the last one that divides it. Each table ends with a NULL name. */
static const struct unit size_units[] = {
        {"B", 1, 0}, {"KiB", 1ull << 10, 0}, {"MiB", 1ull << 20, 0}, {"GiB", 1ull << 30, 0}, {"TiB", 1ull << 40, 0},
        {NULL, 0, 0}};
static const struct unit duration_units[] = {{"ns", 1, 0},         {"us", 1000, 0},         {"ms", 1000000, 0},
                                             {"s", 1000000000, 0}, {"min", 60000000000, 0}, {"h", 3600000000000, 0},
                                             {NULL, 0, 0}};
static const struct unit frequency_units[] = {
        {"Hz", 1, 0}, {"kHz", 1000, 0}, {"MHz", 1000000, 0}, {"GHz", 1000000000, 0}, {NULL, 0, 0}};
static const struct unit cycle_units[] = {{"cycles", 1, 0}, {NULL, 0, 0}};
static const struct unit delay_units[] = {{"ps", 1, 0},
                                          {"ns", 1000, 0},
                                          {"us", 1000000, 0},
                                          {"clocks", 1, SETTING_DELAY_CLOCKS},
                                          {"cycles", 1, SETTING_DELAY_CYCLES},
                                          {NULL, 0, 0}};

static const struct unit *units_of(enum setting_type type)
{
	switch (type) {
	case SETTING_SIZE:
		return size_units;
	case SETTING_DURATION:
		return duration_units;
	case SETTING_FREQUENCY:
		return frequency_units;
	case SETTING_CYCLES:
		return cycle_units;
	case SETTING_DELAY:
		return delay_units;
	default:
		return NULL;
	}
}

static bool is_number(enum setting_type type)
{
	return type == SETTING_COUNT || units_of(type);
}

const char *setting_quote(const char *text, char out[SETTING_QUOTE_MAX])
{
	size_t length = strlen(text), shown = length > 60 ? 60 : length;
	while (shown < length && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
		shown--;
	out[0] = '\'';
	for (size_t i = 0; i < shown; i++)
		out[1 + i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	strcpy(out + 1 + shown, shown < length ? "...'" : "'");
	return out;
}

/* ---- numbers ---- */

/* "B, KiB, MiB" into text. */
static void list_units(const struct unit *units, char *text, size_t size)
{
	size_t used = 0;
	for (const struct unit *unit = units; unit->name && used < size; unit++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", unit == units ? "" : ", ", unit->name);
}

static const struct unit *unit_named(const struct unit *units, const char *name)
{
	if (strcmp(name, "cycle") == 0)
		name = "cycles";
	if (strcmp(name, "clock") == 0)
		name = "clocks";
	for (const struct unit *unit = units; unit->name; unit++)
		if (strcmp(unit->name, name) == 0)
			return unit;
	return NULL;
}

static int digit_of(char letter, unsigned base)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	if (base == 16 && letter >= 'a' && letter <= 'f')
		return letter - 'a' + 10;
	if (base == 16 && letter >= 'A' && letter <= 'F')
		return letter - 'A' + 10;
	return -1;
}

/* Reads digits up to the first other letter. *too_large is set when they do not fit; *value is then meaningless. */
static const char *read_digits(const char *text, unsigned base, uint64_t *value, bool *too_large)
{
	*value = 0;
	for (int digit; (digit = digit_of(*text, base)) >= 0; text++)
		if (__builtin_mul_overflow(*value, base, value) || __builtin_add_overflow(*value, (unsigned)digit, value))
			*too_large = true;
	return text;
}

/* Reads the digits behind a point as *numerator / *denominator. NULL if there are none or too many that matter. */
static const char *read_fraction(const char *text, uint64_t *numerator, uint64_t *denominator)
{
	unsigned digits = 0, zeros = 0;
	*numerator = 0;
	*denominator = 1;
	const char *at = text;
	for (int digit; (digit = digit_of(*at, 10)) >= 0; at++) {
		if (digit == 0) {
			zeros++;
			continue;
		}
		digits += zeros + 1;
		if (digits > FRACTION_DIGITS_MAX)
			return NULL;
		for (; zeros > 0; zeros--) {
			*numerator *= 10;
			*denominator *= 10;
		}
		*numerator = *numerator * 10 + (unsigned)digit;
		*denominator *= 10;
	}
	return at == text ? NULL : at;
}

static bool refuse(char why[SETTING_WHY_MAX], const char *text)
{
	snprintf(why, SETTING_WHY_MAX, "%s", text);
	return false;
}

static bool refuse_unit(char why[SETTING_WHY_MAX], const struct unit *units, const char *found)
{
	char known[48], quoted[SETTING_QUOTE_MAX];
	list_units(units, known, sizeof known);
	if (!*found)
		snprintf(why, SETTING_WHY_MAX, "has no unit; the units are %s", known);
	else
		snprintf(why, SETTING_WHY_MAX, "has no known unit (%s); the units are %s", setting_quote(found, quoted), known);
	return false;
}

static bool parse_count(const char *text, uint64_t *value, char why[SETTING_WHY_MAX])
{
	bool hexadecimal = text[0] == '0' && text[1] == 'x', too_large = false;
	const char *digits = hexadecimal ? text + 2 : text;
	const char *end = read_digits(digits, hexadecimal ? 16 : 10, value, &too_large);
	if (end == digits || *end)
		return refuse(why, "is not a whole number");
	return too_large ? refuse(why, "is out of range") : true;
}

bool setting_parse_number(enum setting_type type, const char *text, uint64_t *value, char why[SETTING_WHY_MAX])
{
	const struct unit *units = units_of(type);
	if (text[0] == '-' && digit_of(text[1], 10) >= 0)
		return refuse(why, "is out of range");
	if (!units)
		return parse_count(text, value, why);
	bool too_large = false;
	uint64_t whole, numerator = 0, denominator = 1;
	const char *end = read_digits(text, 10, &whole, &too_large);
	if (end == text)
		return refuse(why, "is not a number");
	if (*end == '.') {
		end = read_fraction(end + 1, &numerator, &denominator);
		if (!end)
			return refuse(why, "is not a number with at most six decimals");
	}
	while (*end == ' ')
		end++;
	const struct unit *unit = unit_named(units, end);
	if (!unit)
		return refuse_unit(why, units, end);
	if (numerator * unit->factor % denominator != 0)
		return refuse(why, "is not a whole number of the smallest unit");
	if (too_large || __builtin_mul_overflow(whole, unit->factor, value) ||
	    __builtin_add_overflow(*value, numerator * unit->factor / denominator, value))
		return refuse(why, "is out of range");
	if (type == SETTING_DELAY && *value != SETTING_DELAY_COUNT(*value))
		return refuse(why, "is out of range");
	*value |= unit->mark;
	return true;
}

const char *setting_number_text(enum setting_type type, uint64_t value, char text[SETTING_NUMBER_MAX])
{
	const struct unit *units = units_of(type);
	if (!units) {
		snprintf(text, SETTING_NUMBER_MAX, "%llu", (unsigned long long)value);
		return text;
	}
	const struct unit *best = units;
	uint64_t mark = type == SETTING_DELAY ? value - SETTING_DELAY_COUNT(value) : 0;
	value -= mark;
	for (const struct unit *unit = units; unit->name && (value > 0 || mark); unit++)
		if (unit->mark == mark && value % unit->factor == 0)
			best = unit;
	snprintf(text, SETTING_NUMBER_MAX, "%llu %s", (unsigned long long)(value / best->factor), best->name);
	return text;
}

static uint64_t load_number(const struct setting *row, const void *values)
{
	const char *at = (const char *)values + row->offset;
	if (row->size == 1)
		return *(const uint8_t *)(const void *)at;
	if (row->size == 4)
		return *(const uint32_t *)(const void *)at;
	SIM_ASSERT(row->size == 8);
	return *(const uint64_t *)(const void *)at;
}

static void store_number(const struct setting *row, void *values, uint64_t number)
{
	char *at = (char *)values + row->offset;
	if (row->size == 1) {
		*(bool *)(void *)at = number != 0;
		return;
	}
	if (row->size == 4) {
		uint32_t narrow = (uint32_t)number;
		SIM_ASSERT(narrow == number);
		memcpy(at, &narrow, sizeof narrow);
		return;
	}
	SIM_ASSERT(row->size == 8);
	memcpy(at, &number, sizeof number);
}

/* ---- strings and lists ---- */

static char **string_at(const struct setting *row, void *values)
{
	return (char **)(void *)((char *)values + row->offset);
}

static char *const *strings_of(const struct setting *row, const void *values, uint32_t *count)
{
	const char *at = (const char *)values + row->offset;
	if (row->type == SETTING_STRING) {
		*count = 1;
		return (char *const *)(const void *)at;
	}
	*count = *(const uint32_t *)(const void *)((const char *)values + row->count_offset);
	return *(char **const *)(const void *)at;
}

static void release_strings(const struct setting *row, void *values)
{
	if (row->type == SETTING_STRING) {
		free(*string_at(row, values));
		*string_at(row, values) = NULL;
		return;
	}
	char ***list = (char ***)(void *)((char *)values + row->offset);
	uint32_t *count = (uint32_t *)(void *)((char *)values + row->count_offset);
	for (uint32_t i = 0; i < *count; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*count = 0;
}

/* Replaces the value by copies of the texts. */
static void store_strings(const struct setting *row, void *values, const char *const *texts, size_t count)
{
	release_strings(row, values);
	if (row->type == SETTING_STRING) {
		*string_at(row, values) = texts[0] && *texts[0] ? xstrdup(texts[0]) : NULL;
		return;
	}
	if (count == 0)
		return;
	char **list = xcalloc(count, sizeof *list);
	for (size_t i = 0; i < count; i++)
		list[i] = xstrdup(texts[i]);
	*(char ***)(void *)((char *)values + row->offset) = list;
	*(uint32_t *)(void *)((char *)values + row->count_offset) = (uint32_t)count;
}

/* ---- reading a value ---- */

/* What every reader of one value is told: the row, where the text stands, and where an error goes. */
struct reading {
	const struct setting *row;
	const struct setting_names *names;
	const char *place;
	struct error *error;
};

const char *setting_word(const struct setting *row)
{
	return row->zero_word ? row->zero_word : row->unset_word;
}

/* The number that the row's word stands for. */
static uint64_t word_value(const struct setting *row)
{
	return row->zero_word ? 0 : SETTING_UNSET;
}

/* `why` and what the number may be. */
static bool fail_number(const struct reading *reading, const char *text, const char *why)
{
	const struct setting *row = reading->row;
	const char *word = setting_word(row);
	char quoted[SETTING_QUOTE_MAX], low[SETTING_NUMBER_MAX], high[SETTING_NUMBER_MAX];
	setting_number_text(row->type, row->min, low);
	setting_number_text(row->type, row->max, high);
	return error_set(reading->error, ERROR_USAGE, "%s: %s: %s %s; it may be %s to %s%s%s%s", reading->place, row->key,
	                 setting_quote(text, quoted), why, low, high, word ? " or '" : "", word ? word : "", word ? "'" : "");
}

static bool read_number(const struct reading *reading, const char *text, void *values)
{
	const struct setting *row = reading->row;
	char why[SETTING_WHY_MAX];
	uint64_t number;
	const char *word = setting_word(row);
	if (word && strcmp(text, word) == 0) {
		store_number(row, values, word_value(row));
		return true;
	}
	if (!setting_parse_number(row->type, text, &number, why))
		return fail_number(reading, text, why);
	uint64_t count = row->type == SETTING_DELAY ? SETTING_DELAY_COUNT(number) : number;
	if (count < row->min || count > row->max)
		return fail_number(reading, text, "is out of range");
	if (row->power_of_two && (number & (number - 1)) != 0)
		return fail_number(reading, text, "is not a power of two");
	store_number(row, values, number);
	return true;
}

static bool read_bool(const struct reading *reading, const char *text, void *values)
{
	static const char *const yes[] = {"true", "yes", "on", NULL}, *const no[] = {"false", "no", "off", NULL};
	for (size_t i = 0; yes[i]; i++) {
		bool is_yes = strcmp(text, yes[i]) == 0;
		if (!is_yes && strcmp(text, no[i]) != 0)
			continue;
		store_number(reading->row, values, is_yes);
		return true;
	}
	char quoted[SETTING_QUOTE_MAX];
	return error_set(reading->error, ERROR_USAGE, "%s: %s: %s is neither 'true' nor 'false'", reading->place,
	                 reading->row->key, setting_quote(text, quoted));
}

/* "'none', 'cycles'" into text. */
static void list_names(const char *const *names, char *text, size_t size)
{
	size_t used = 0;
	text[0] = 0;
	for (size_t i = 0; names[i] && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s'%s'", i ? ", " : "", names[i]);
}

/* The index of the name, or -1 with the error that names the nearest one and all there are. */
static int name_index(const struct reading *reading, const char *const *names, const char *text)
{
	struct nearest nearest;
	nearest_start(&nearest, text);
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
		nearest_offer(&nearest, names[i]);
	}
	char quoted[SETTING_QUOTE_MAX], all[400];
	list_names(names, all, sizeof all);
	const char *meant = nearest_found(&nearest);
	error_set(reading->error, ERROR_USAGE, "%s: %s: unknown value %s%s%s%s (there are %s)", reading->place, reading->row->key,
	          setting_quote(text, quoted), meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "", all);
	return -1;
}

/*
 * Whether the text can be written as one line of YAML and read again: no control characters (U+0000 to U+001F, U+007F to U+009F),
 * line separators (U+2028, U+2029), byte order marks (U+FEFF) or characters that YAML does not allow (U+FFFE, U+FFFF).
 */
static bool is_printable_utf8(const char *text)
{
	static const char *const refused[] = {"\u2028", "\u2029", "\ufeff", "\xef\xbf\xbe", "\xef\xbf\xbf"};
	size_t length = strlen(text);
	for (size_t at = 0, bytes; at < length; at += bytes) {
		const char *character = text + at;
		bytes = utf8_character(character, length - at);
		if (bytes == 0 || (unsigned char)*character < ' ' || *character == 0x7f)
			return false;
		if (bytes == 2 && character[0] == '\xc2' && (unsigned char)character[1] < 0xa0)
			return false;
		for (size_t i = 0; bytes == 3 && i < sizeof refused / sizeof *refused; i++)
			if (memcmp(character, refused[i], 3) == 0)
				return false;
	}
	return true;
}

static bool check_string(const struct reading *reading, const char *text)
{
	if (strlen(text) > SETTING_TEXT_MAX)
		return error_set(reading->error, ERROR_USAGE, "%s: %s: the text is longer than %d bytes", reading->place,
		                 reading->row->key, SETTING_TEXT_MAX);
	if (!is_printable_utf8(text))
		return error_set(reading->error, ERROR_USAGE, "%s: %s: the text holds control characters or is not UTF-8",
		                 reading->place, reading->row->key);
	const struct setting_names *kind = reading->row->names_of ? reading->names : NULL;
	for (; kind && kind->of; kind++)
		if (strcmp(kind->of, reading->row->names_of) == 0)
			return name_index(reading, kind->names, text) >= 0;
	return true;
}

/* Whether a value of a list of lines can be read. */
static bool check_line(const struct reading *reading, const char *text)
{
	void *values = xcalloc(1, reading->row->line_bytes);
	char *place = xasprintf("%s: %s", reading->place, reading->row->key);
	bool valid = setting_read_line(reading->row->line_keys, text, reading->names, values, place, reading->error);
	if (valid)
		setting_table_release(reading->row->line_keys, values);
	free(place);
	free(values);
	return valid;
}

/* One value of a list, the i-th. */
static bool check_value(const struct reading *reading, const char *const *texts, size_t i)
{
	if (!*texts[i])
		return error_set(reading->error, ERROR_USAGE, "%s: %s: a value of the list is empty", reading->place,
		                 reading->row->key);
	if (!check_string(reading, texts[i]) || (reading->row->line_keys && !check_line(reading, texts[i])))
		return false;
	for (size_t j = 0; j < i && !reading->row->may_repeat; j++)
		if (strcmp(texts[i], texts[j]) == 0)
			return error_set(reading->error, ERROR_USAGE, "%s: %s: '%s' stands twice in the list", reading->place,
			                 reading->row->key, texts[i]);
	return true;
}

/* places: of each value; NULL: all have the list's. */
static bool read_list(const struct reading *reading, const char *const *texts, const char *const *places, size_t count,
                      void *values)
{
	if (count > SETTING_LIST_MAX)
		return error_set(reading->error, ERROR_USAGE, "%s: %s: the list has more than %d values", reading->place,
		                 reading->row->key, SETTING_LIST_MAX);
	if (count < reading->row->min)
		return error_set(reading->error, ERROR_USAGE, "%s: %s: the list is empty", reading->place, reading->row->key);
	for (size_t i = 0; i < count; i++) {
		struct reading one = *reading;
		if (places)
			one.place = places[i];
		if (!check_value(&one, texts, i))
			return false;
	}
	store_strings(reading->row, values, texts, count);
	return true;
}

static bool read_one(const struct reading *reading, const char *text, void *values)
{
	const struct setting *row = reading->row;
	if (is_number(row->type))
		return read_number(reading, text, values);
	if (row->type == SETTING_BOOL)
		return read_bool(reading, text, values);
	if (row->type == SETTING_ENUM) {
		int index = name_index(reading, row->names, text);
		if (index < 0)
			return false;
		store_number(row, values, (uint64_t)index);
		return true;
	}
	SIM_ASSERT(row->type == SETTING_STRING);
	bool known = row->names_of || *text; /* a name may not be left empty, a free text may */
	if (known && !check_string(reading, text))
		return false;
	store_strings(row, values, &text, 1);
	return true;
}

bool setting_set(const struct setting *row, const char *const *texts, size_t count, bool list, const struct setting_names *names,
                 void *values, const char *place, struct error *error)
{
	struct reading reading = {row, names, place, error};
	if (row->type == SETTING_LIST)
		return read_list(&reading, texts, NULL, !list && count == 1 && !*texts[0] ? 0 : count, values);
	if (list || count != 1)
		return error_set(error, ERROR_USAGE, "%s: %s: takes one value, not a list", place, row->key);
	return read_one(&reading, texts[0], values);
}

bool setting_set_list(const struct setting *row, const char *const *texts, const char *const *places, size_t count,
                      const struct setting_names *names, void *values, const char *place, struct error *error)
{
	const struct reading reading = {row, names, place, error};
	if (row->type != SETTING_LIST)
		return setting_set(row, texts, count, true, names, values, place, error);
	return read_list(&reading, texts, places, count, values);
}

/* ---- lines "NAME KEY=VALUE ..." ---- */

static bool unknown_line_key(const struct setting *keys, const char *line, const char *key, const char *place,
                             struct error *error)
{
	const char *meant = setting_nearest_key(keys, key);
	char quoted[SETTING_QUOTE_MAX], all[400] = "";
	size_t used = 0;
	for (const struct setting *row = keys + 1; row->key && used < sizeof all; row++)
		used += (size_t)snprintf(all + used, sizeof all - used, " %s", row->key);
	return error_set(error, ERROR_USAGE, "%s: '%s' has no key %s%s%s%s (there are%s)", place, line,
	                 setting_quote(key, quoted), meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "", all);
}

/* Reads one KEY=VALUE, which is cut in two. */
static bool read_pair(const struct setting *keys, const char *line, char *pair, const struct setting_names *names, void *values,
                      const char *place, struct error *error)
{
	char *equals = strchr(pair, '='), quoted[SETTING_QUOTE_MAX];
	if (!equals)
		return error_set(error, ERROR_USAGE, "%s: %s in '%s' is no KEY=VALUE; a line is NAME KEY=VALUE ...", place,
		                 setting_quote(pair, quoted), line);
	*equals = '\0';
	const struct setting *row = setting_find(keys, pair);
	if (!row || row == keys)
		return unknown_line_key(keys, line, pair, place, error);
	const char *value = equals + 1;
	return setting_set(row, &value, 1, false, names, values, place, error);
}

bool setting_read_line(const struct setting *keys, const char *line, const struct setting_names *names, void *values,
                       const char *place, struct error *error)
{
	setting_table_init(keys, values);
	char *words = xstrdup(line), *rest = words;
	const char *name = strtok_r(rest, " ", &rest);
	bool valid = name && !strchr(name, '=');
	if (!valid)
		error_set(error, ERROR_USAGE, "%s: '%s' does not begin with a name; a line is NAME KEY=VALUE ...", place, line);
	valid = valid && setting_set(keys, &name, 1, false, names, values, place, error);
	for (char *pair; valid && (pair = strtok_r(rest, " ", &rest)) != NULL;)
		valid = read_pair(keys, line, pair, names, values, place, error);
	if (!valid)
		setting_table_release(keys, values);
	free(words);
	return valid;
}

/* ---- finding rows ---- */

const struct setting *setting_find(const struct setting *table, const char *key)
{
	for (const struct setting *row = table; row->key; row++)
		if (strcmp(row->key, key) == 0 || (row->alias && strcmp(row->alias, key) == 0))
			return row;
	return NULL;
}

const char *setting_nearest_key(const struct setting *table, const char *key)
{
	struct nearest nearest;
	nearest_start(&nearest, key);
	for (const struct setting *row = table; row->key; row++) {
		const char *last = strrchr(row->key, '.');
		if (last && strcmp(last + 1, key) == 0)
			return row->key;
		nearest_offer(&nearest, row->key);
		if (row->alias)
			nearest_offer(&nearest, row->alias);
	}
	return nearest_found(&nearest);
}

/* ---- whole tables ---- */

void setting_set_default(const struct setting *row, void *values)
{
	char *words = xstrdup(row->default_text);
	const char *texts[SETTING_LIST_MAX];
	size_t count = 0;
	char *rest = words;
	if (row->type == SETTING_LIST) {
		for (char *word; (word = strtok_r(rest, row->line_keys ? ";" : " ", &rest)) != NULL;)
			texts[count++] = word;
	} else {
		texts[count++] = words;
	}
	struct error error = {0};
	bool valid = setting_set(row, texts, count, row->type == SETTING_LIST, NULL, values, "default", &error);
	SIM_ASSERT(valid);
	free(words);
}

void setting_table_init(const struct setting *table, void *values)
{
	for (const struct setting *row = table; row->key; row++) {
		memset((char *)values + row->offset, 0, row->size);
		if (row->type == SETTING_LIST)
			memset((char *)values + row->count_offset, 0, sizeof(uint32_t));
		setting_set_default(row, values);
	}
}

static bool holds_strings(const struct setting *row)
{
	return row->type == SETTING_STRING || row->type == SETTING_LIST;
}

void setting_table_release(const struct setting *table, void *values)
{
	for (const struct setting *row = table; row->key; row++)
		if (holds_strings(row))
			release_strings(row, values);
}

void setting_table_copy(const struct setting *table, void *to, const void *from)
{
	for (const struct setting *row = table; row->key; row++) {
		if (!holds_strings(row)) {
			store_number(row, to, load_number(row, from));
			continue;
		}
		memset((char *)to + row->offset, 0, row->size);
		if (row->type == SETTING_LIST)
			memset((char *)to + row->count_offset, 0, sizeof(uint32_t));
		uint32_t count;
		char *const *strings = strings_of(row, from, &count);
		store_strings(row, to, (const char *const *)strings, count);
	}
}

bool setting_equal(const struct setting *row, const void *left, const void *right)
{
	if (!holds_strings(row))
		return load_number(row, left) == load_number(row, right);
	uint32_t left_count, right_count;
	char *const *lefts = strings_of(row, left, &left_count), *const *rights = strings_of(row, right, &right_count);
	if (left_count != right_count)
		return false;
	for (uint32_t i = 0; i < left_count; i++)
		if (strcmp(lefts[i] ? lefts[i] : "", rights[i] ? rights[i] : "") != 0)
			return false;
	return true;
}

/* ---- printing ---- */

/* A double-quoted YAML scalar. Strings hold no control characters, so two escapes are enough. */
static void print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* A name is printed plain, anything YAML could read otherwise in quotes. */
static void print_string(const char *text, FILE *out)
{
	size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./");
	bool first = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z') || text[0] == '/';
	if (!first || text[plain] || strcmp(text, "null") == 0)
		print_quoted(text, out);
	else
		fputs(text, out);
}

void setting_print(const struct setting *row, const void *values, FILE *out)
{
	uint32_t count;
	char number[SETTING_NUMBER_MAX];
	if (row->type == SETTING_STRING) {
		const char *text = *strings_of(row, values, &count);
		print_string(text ? text : "", out);
		return;
	}
	if (row->type == SETTING_LIST) {
		char *const *strings = strings_of(row, values, &count);
		fputc('[', out);
		for (uint32_t i = 0; i < count; i++) {
			fputs(i ? ", " : "", out);
			print_string(strings[i], out);
		}
		fputc(']', out);
		return;
	}
	uint64_t value = load_number(row, values);
	if (row->type == SETTING_BOOL)
		fputs(value ? "true" : "false", out);
	else if (row->type == SETTING_ENUM)
		fputs(row->names[value], out);
	else if (setting_word(row) && value == word_value(row))
		fputs(setting_word(row), out);
	else
		fputs(setting_number_text(row->type, value, number), out);
}

/* How many leading bytes of the key, up to and with a dot, it shares with the key before it. */
static size_t shared_prefix(const char *before, const char *key)
{
	size_t shared = 0;
	for (size_t i = 0; before[i] && before[i] == key[i]; i++)
		if (key[i] == '.')
			shared = i + 1;
	return shared;
}

void setting_table_print(const struct setting *table, const void *values, FILE *out)
{
	const char *before = "";
	for (const struct setting *row = table; row->key; before = row->key, row++) {
		size_t shared = shared_prefix(before, row->key);
		int depth = 0;
		for (size_t i = 0; i < shared; i++)
			depth += row->key[i] == '.';
		const char *part = row->key + shared;
		for (const char *dot; (dot = strchr(part, '.')) != NULL; part = dot + 1, depth++)
			fprintf(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - part), part);
		fprintf(out, "%*s%s: ", 2 * depth, "", part);
		setting_print(row, values, out);
		fputc('\n', out);
	}
}
