/* SPDX-License-Identifier: MIT
 *
 * dump_request.c - the grammar of the setting `dump` (scenario.h).
 */
#include "models/scenario.h"
#include "sim/nearest.h"

#include <stdlib.h>
#include <string.h>

/* Repeating a dump more often than this fills disks, not answers a question. */
#define DUMP_EVERY_MIN_NS 1000

static const char *const kind_names[DUMP_KINDS] = {[DUMP_BUDDYINFO] = "buddyinfo",
                                                   [DUMP_PAGETYPEINFO] = "pagetypeinfo",
                                                   [DUMP_ZONEINFO] = "zoneinfo",
                                                   [DUMP_SLABINFO] = "slabinfo",
                                                   [DUMP_UNUSABLE_INDEX] = "unusable_index",
                                                   [DUMP_EXTFRAG_INDEX] = "extfrag_index",
                                                   [DUMP_VMALLOCINFO] = "vmallocinfo",
                                                   [DUMP_MEMINFO] = "meminfo",
                                                   [DUMP_PERCPU] = "percpu",
                                                   [DUMP_STATE] = "state"};

const char *dump_kind_name(enum dump_kind kind)
{
	SIM_ASSERT(kind < DUMP_KINDS);
	return kind_names[kind];
}

static bool add_kind(struct dump_request *request, const char *word, const char *place, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, word);
	for (unsigned kind = 0; kind < DUMP_KINDS; kind++) {
		if (strcmp(word, kind_names[kind]) == 0) {
			request->kinds |= 1u << kind;
			return true;
		}
		nearest_offer(&nearest, kind_names[kind]);
	}
	char quoted[SETTING_QUOTE_MAX];
	const char *meant = nearest_found(&nearest);
	return error_set(error, ERROR_USAGE,
	                 "%s: dump: unknown kind %s%s%s%s; there are buddyinfo, pagetypeinfo, zoneinfo, slabinfo, "
	                 "unusable_index, extfrag_index, vmallocinfo and state",
	                 place, setting_quote(word, quoted), meant ? "; did you mean '" : "", meant ? meant : "",
	                 meant ? "'?" : "");
}

static bool add_moment(struct dump_request *request, const char *word, const char *place, struct error *error)
{
	static const char every[] = "every=";
	char quoted[SETTING_QUOTE_MAX], why[SETTING_WHY_MAX];
	if (strcmp(word, "end") == 0) {
		request->at_end = true;
		return true;
	}
	if (strncmp(word, every, strlen(every)) != 0)
		return error_set(error, ERROR_USAGE, "%s: dump: unknown moment %s; it may be 'end' or 'every=10ms'", place,
		                 setting_quote(word, quoted));
	if (!setting_parse_number(SETTING_DURATION, word + strlen(every), &request->every_ns, why))
		return error_set(error, ERROR_USAGE, "%s: dump: the time %s %s", place,
		                 setting_quote(word + strlen(every), quoted), why);
	if (request->every_ns < DUMP_EVERY_MIN_NS)
		return error_set(error, ERROR_USAGE, "%s: dump: the time %s is out of range; it may be 1 us and more", place,
		                 setting_quote(word + strlen(every), quoted));
	return true;
}

/* Hands each word between the separators to `add`. Changes the text. */
static bool each_word(char *text, char separator, struct dump_request *request, const char *place, struct error *error,
                      bool (*add)(struct dump_request *, const char *, const char *, struct error *))
{
	for (char *next = text; next; text = next) {
		next = strchr(text, separator);
		if (next)
			*next++ = 0;
		if (!add(request, text, place, error))
			return false;
	}
	return true;
}

bool dump_request_parse(struct dump_request *request, const char *text, const char *place, struct error *error)
{
	*request = (struct dump_request){0};
	if (!text || !*text)
		return true;
	char *copy = xstrdup(text);
	char *moments = strchr(copy, '@');
	if (moments)
		*moments++ = 0;
	else
		request->at_end = true;
	bool valid = each_word(copy, ',', request, place, error, add_kind) &&
	             (!moments || each_word(moments, '|', request, place, error, add_moment));
	free(copy);
	return valid;
}
