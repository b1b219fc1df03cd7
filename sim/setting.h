/* SPDX-License-Identifier: MIT
 *
 * setting.h - a typed table of settings: one row names a value's key, type, unit, range, default, help, source, and where it
 * lives in the struct that the models read. Everything that reads, checks, prints or documents settings works from the rows.
 *
 * Numbers carry their unit in the text ("512 MiB", "10 ms", "3 GHz", "44 cycles") and are kept in the base unit (bytes,
 * nanoseconds, hertz, cycles; delays of less than those in picoseconds). Counts have no unit. A row may have a word for the value
 * 0 ("auto", "off"); then 0 is only reached by that word, and min holds for the rest. Where 0 is a number like others, the word
 * stands for SETTING_UNSET.
 *
 * Invariant: a value of the struct came from a row's default or passed setting_set(), so it is within its row's range; printed by
 * setting_print() and read again it is the same.
 */
#ifndef SIM_SETTING_H
#define SIM_SETTING_H

#include "sim/base.h"

#include <stdio.h>

enum setting_type {
	SETTING_BOOL,      /* bool */
	SETTING_COUNT,     /* uint32_t or uint64_t without a unit */
	SETTING_SIZE,      /* uint32_t or uint64_t in bytes */
	SETTING_DURATION,  /* uint64_t in nanoseconds */
	SETTING_FREQUENCY, /* uint64_t in hertz */
	SETTING_CYCLES,    /* uint32_t or uint64_t in cycles */
	SETTING_DELAY,     /* uint64_t in picoseconds, or with a mark in clocks or cycles */
	SETTING_ENUM,      /* an enum whose values are the indexes of `names` */
	SETTING_STRING,    /* char *, owned, NULL when empty */
	SETTING_LIST       /* char **, owned, with a uint32_t count at count_offset */
};

/* The value of a uint32_t whose unset_word was given: no number of the user's. */
#define SETTING_UNSET UINT32_MAX

/*
 * Marks of a SETTING_DELAY: its number is one of clocks of the part it belongs to, or of cycles of the core, and none of
 * picoseconds. A row's min and max hold for the number without its mark.
 */
#define SETTING_DELAY_CLOCKS (1ull << 63)
#define SETTING_DELAY_CYCLES (1ull << 62)
#define SETTING_DELAY_COUNT(delay) ((delay) & ~(SETTING_DELAY_CLOCKS | SETTING_DELAY_CYCLES))

/* Longest text of a value, and most values in a list. */
#define SETTING_TEXT_MAX 4095
#define SETTING_LIST_MAX 64

struct setting {
	const char *key;   /* dotted: "kernel.slub_max_order" */
	const char *alias; /* a shorter key that means the same, or NULL */
	enum setting_type type;
	const char *unit;  /* what a count counts; NULL where the type says it */
	uint64_t min, max; /* of a number; min of a list is its fewest values */
	bool power_of_two;
	bool may_repeat;       /* of a list: its values may be alike */
	const char *zero_word; /* the word for 0, or NULL */
	const char
	        *unset_word; /* the word for SETTING_UNSET where 0 is a value of its own, or NULL; not together with zero_word */
	const char *default_text;  /* as a user would write it; list values separated by one space, lines by a semicolon */
	const char *const *names;  /* SETTING_ENUM: the names, ends with NULL */
	const char *names_of;      /* the value is a name of this kind ("object_allocator"), known to the caller only; or NULL */
	const char *help, *source; /* one sentence; where the default comes from */
	size_t offset, size;
	size_t count_offset;
	const struct setting *line_keys; /* each value of a list is a line "NAME KEY=VALUE ..." of this table, or NULL */
	size_t line_bytes;               /* of the struct that such a line is read into */
};

/* The first row of a table for lines "NAME KEY=VALUE ...": the struct has a `char *name`. what: what the name says. */
#define SETTING_LINE_NAME(values, what) \
	{ \
		.key = "name", .type = SETTING_STRING, .default_text = "", .help = (what), .source = "every line has one", \
		.offset = offsetof(values, name), .size = sizeof(((values *)0)->name) \
	}

/* The valid names of one kind. An array of these ends with a NULL `of`; a kind that is not in it takes any name. */
struct setting_names {
	const char *of;
	const char *const *names; /* ends with NULL */
};

/* The word that a number of this row may be instead ("auto", "off"), NULL if there is none. */
const char *setting_word(const struct setting *row);

/* The row of a key or an alias, NULL if there is none. A table ends with a row whose key is NULL. */
const struct setting *setting_find(const struct setting *table, const char *key);

/* The key most likely meant, NULL if none is near. */
const char *setting_nearest_key(const struct setting *table, const char *key);

/*
 * Reads one value (or the values of a list: `list` says that the user wrote one) into the struct at `values`. On error the old
 * value stays; the message begins with `place` ("a.yaml:3:9", "--set") and the key.
 */
bool setting_set(const struct setting *row, const char *const *texts, size_t count, bool list, const struct setting_names *names,
                 void *values, const char *place, struct error *error);

/* The same of a list that the user wrote; what is wrong with one of its values is told with that one's place. */
bool setting_set_list(const struct setting *row, const char *const *texts, const char *const *places, size_t count,
                      const struct setting_names *names, void *values, const char *place, struct error *error);

/*
 * Reads a line "NAME KEY=VALUE ..." into the struct at `values`, which holds no values yet: the name into the table's first row,
 * each value into its key's, defaults into the rest. On error the struct holds nothing.
 */
bool setting_read_line(const struct setting *keys, const char *line, const struct setting_names *names, void *values,
                       const char *place, struct error *error);

/* Whether two structs hold the same value. */
bool setting_equal(const struct setting *row, const void *left, const void *right);

/* The value as YAML that reads back as the same value. */
void setting_print(const struct setting *row, const void *values, FILE *out);

/* A number in a type's best unit: 536870912 of SETTING_SIZE is "512 MiB". Returns text. */
#define SETTING_NUMBER_MAX 40
const char *setting_number_text(enum setting_type type, uint64_t value, char text[SETTING_NUMBER_MAX]);

/*
 * Reads a number with its unit, the whole text. what is filled with the reason on failure.
 */
#define SETTING_WHY_MAX 160
bool setting_parse_number(enum setting_type type, const char *text, uint64_t *value, char why[SETTING_WHY_MAX]);

/* Gives one value its default. The struct holds values. */
void setting_set_default(const struct setting *row, void *values);

/* The whole struct: defaults, release, copy (to holds no values yet), comparison. */
void setting_table_init(const struct setting *table, void *values);
void setting_table_release(const struct setting *table, void *values);
void setting_table_copy(const struct setting *table, void *to, const void *from);

/* All values as YAML, nested maps, in table order. */
void setting_table_print(const struct setting *table, const void *values, FILE *out);

/* The text in quotes for a message: control bytes shown as '?', cut after 60 bytes between two characters. Returns out. */
#define SETTING_QUOTE_MAX 72
const char *setting_quote(const char *text, char out[SETTING_QUOTE_MAX]);

#endif
