/* SPDX-License-Identifier: MIT
 *
 * state_dump.c - reading recorded allocator states (interface and format: state_dump.h).
 *
 * A line is read left to right by a cursor that cannot leave it. Each kind of line has one function. Numbers are read with an
 * upper bound; what does not fit is an error that names line and word.
 */
#include "sim/state_dump.h"

#include <stdlib.h>
#include <string.h>

/* Upper bounds of what the words can mean: 16 TiB of frames, MAX_ORDER of any kernel, migrate types with CMA and ISOLATE. */
#define PFN_MAX (UINT32_MAX - (1u << 24))
#define ORDER_MAX 31
#define TYPE_MAX 15
#define PCP_LIST_MAX 63
#define COUNT_MAX ((uint64_t)1 << 40)
#define PCP_COUNT_MAX (1u << 24)

enum array { FREE_LISTS, PCP_LISTS, PCPS, PAGEBLOCKS, MAP, PFNS, TYPES, TEXTS };

struct cursor {
	const char *at, *end;
	uint64_t line;
	struct error *error;
};

static bool wrong(struct cursor *cursor, const char *expected)
{
	size_t left = (size_t)(cursor->end - cursor->at);
	return error_set(cursor->error, ERROR_INPUT, "line %llu of the state dump: expected %s at \"%.*s\"",
	                 (unsigned long long)cursor->line, expected, (int)(left > 40 ? 40 : left), cursor->at);
}

static void skip_spaces(struct cursor *cursor)
{
	while (cursor->at < cursor->end && *cursor->at == ' ')
		cursor->at++;
}

static bool at_end(struct cursor *cursor)
{
	skip_spaces(cursor);
	return cursor->at == cursor->end;
}

static int digit_of(char letter, unsigned base)
{
	int digit = -1;
	if (letter >= '0' && letter <= '9')
		digit = letter - '0';
	else if (letter >= 'a' && letter <= 'f')
		digit = letter - 'a' + 10;
	return digit < (int)base ? digit : -1;
}

/* A number that begins right here. */
static bool digits(struct cursor *cursor, unsigned base, uint64_t max, uint64_t *value)
{
	const char *start = cursor->at;
	*value = 0;
	for (; cursor->at < cursor->end; cursor->at++) {
		int digit = digit_of(*cursor->at, base);
		if (digit < 0)
			break;
		if (*value > (UINT64_MAX - 15) / base)
			return wrong(cursor, "a smaller number");
		*value = *value * base + (unsigned)digit;
	}
	if (cursor->at == start)
		return wrong(cursor, base == 16 ? "a hexadecimal number" : "a number");
	if (*value > max) {
		cursor->at = start;
		return wrong(cursor, "a smaller number");
	}
	return true;
}

static bool number(struct cursor *cursor, unsigned base, uint64_t max, uint64_t *value)
{
	skip_spaces(cursor);
	return digits(cursor, base, max, value);
}

static bool number32(struct cursor *cursor, unsigned base, uint32_t max, uint32_t *value)
{
	uint64_t wide;
	if (!number(cursor, base, max, &wide))
		return false;
	*value = (uint32_t)wide;
	return true;
}

static bool signed_digits(struct cursor *cursor, uint64_t max, int64_t *value)
{
	uint64_t magnitude;
	bool minus = cursor->at < cursor->end && *cursor->at == '-';
	cursor->at += minus;
	if (!digits(cursor, 10, max, &magnitude))
		return false;
	*value = minus ? -(int64_t)magnitude : (int64_t)magnitude;
	return true;
}

static bool literal(struct cursor *cursor, const char *word)
{
	size_t length = strlen(word);
	skip_spaces(cursor);
	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
		return wrong(cursor, word);
	cursor->at += length;
	return true;
}

/* The next word up to a space, into a bounded string. */
static bool word(struct cursor *cursor, char *text, size_t size)
{
	size_t length = 0;
	skip_spaces(cursor);
	while (cursor->at + length < cursor->end && cursor->at[length] != ' ')
		length++;
	if (!length || length >= size)
		return wrong(cursor, "a short word");
	memcpy(text, cursor->at, length);
	text[length] = '\0';
	cursor->at += length;
	return true;
}

/* Room for one more item of an array; returns its address. Doubling, so that memory stays in proportion to the text. */
static void *one_more(struct state_dump *dump, enum array array, void *items_at, size_t *count, size_t size)
{
	void **items = items_at;
	if (*count == dump->room[array]) {
		dump->room[array] = dump->room[array] ? 2 * dump->room[array] : 16;
		*items = xrealloc(*items, dump->room[array] * size);
	}
	return memset((char *)*items + (*count)++ * size, 0, size);
}

static bool add_pfn(struct state_dump *dump, uint32_t nr)
{
	*(uint32_t *)one_more(dump, PFNS, &dump->pfns, &dump->pfn_count, sizeof *dump->pfns) = nr;
	return true;
}

/* ": pfn pfn ..." up to the end of the line. */
static bool pfn_list(struct state_dump *dump, struct cursor *cursor, struct state_list *list)
{
	list->first = dump->pfn_count;
	if (!literal(cursor, ":"))
		return false;
	while (!at_end(cursor)) {
		uint32_t nr;
		if (!number32(cursor, 16, PFN_MAX, &nr) || !add_pfn(dump, nr))
			return false;
	}
	list->count = dump->pfn_count - list->first;
	return true;
}

static bool free_list(struct state_dump *dump, struct cursor *cursor)
{
	struct state_list list = {0};
	if (!number32(cursor, 10, STATE_ZONES_MAX - 1, &list.zone) || !number32(cursor, 10, ORDER_MAX, &list.order) ||
	    !number32(cursor, 10, TYPE_MAX, &list.type) || !pfn_list(dump, cursor, &list))
		return false;
	*(struct state_list *)one_more(dump, FREE_LISTS, &dump->free_lists, &dump->free_list_count, sizeof list) = list;
	return true;
}

static bool pcp_list(struct state_dump *dump, struct cursor *cursor)
{
	struct state_list list = {0};
	if (!number32(cursor, 10, STATE_ZONES_MAX - 1, &list.zone) || !number32(cursor, 10, CPUS_MAX - 1, &list.cpu) ||
	    !number32(cursor, 10, PCP_LIST_MAX, &list.list) || !pfn_list(dump, cursor, &list))
		return false;
	*(struct state_list *)one_more(dump, PCP_LISTS, &dump->pcp_lists, &dump->pcp_list_count, sizeof list) = list;
	return true;
}

/* "key=" and a number, in this order and no other. */
static bool keyed(struct cursor *cursor, const char *key, unsigned base, uint64_t max, uint64_t *value)
{
	return literal(cursor, key) && digits(cursor, base, max, value);
}

static bool keyed32(struct cursor *cursor, const char *key, unsigned base, uint32_t max, uint32_t *value)
{
	uint64_t wide;
	if (!keyed(cursor, key, base, max, &wide))
		return false;
	*value = (uint32_t)wide;
	return true;
}

static bool pcp(struct state_dump *dump, struct cursor *cursor)
{
	struct state_pcp one = {0};
	if (!number32(cursor, 10, STATE_ZONES_MAX - 1, &one.zone) || !number32(cursor, 10, CPUS_MAX - 1, &one.cpu) ||
	    !keyed32(cursor, "count=", 10, UINT32_MAX, &one.count) || !keyed32(cursor, "high=", 10, PCP_COUNT_MAX, &one.high) ||
	    !keyed32(cursor, "batch=", 10, PCP_COUNT_MAX, &one.batch) ||
	    !keyed32(cursor, "free_factor=", 10, 31, &one.free_factor))
		return false;
	*(struct state_pcp *)one_more(dump, PCPS, &dump->pcps, &dump->pcp_count, sizeof one) = one;
	return true;
}

static bool pageblocks(struct state_dump *dump, struct cursor *cursor)
{
	struct state_pageblocks blocks = {.first = dump->type_count};
	if (!number32(cursor, 10, STATE_ZONES_MAX - 1, &blocks.zone) || !number32(cursor, 16, PFN_MAX, &blocks.first_pfn) ||
	    !literal(cursor, ":"))
		return false;
	while (!at_end(cursor)) {
		int type = *cursor->at == '-' ? STATE_NO_PAGEBLOCK : digit_of(*cursor->at, 10);
		if (type < 0)
			return wrong(cursor, "migrate types, a digit or '-' each");
		cursor->at++;
		*(uint8_t *)one_more(dump, TYPES, &dump->types, &dump->type_count, 1) = (uint8_t)type;
	}
	blocks.count = dump->type_count - blocks.first;
	*(struct state_pageblocks *)one_more(dump, PAGEBLOCKS, &dump->pageblocks, &dump->pageblocks_count, sizeof blocks) =
	        blocks;
	return true;
}

static bool map(struct state_dump *dump, struct cursor *cursor)
{
	uint32_t at;
	if (!number32(cursor, 16, PFN_MAX, &at) || !literal(cursor, ":"))
		return false;
	while (!at_end(cursor)) {
		struct state_run run = {.first = at, .kind = *cursor->at++};
		uint64_t count;
		if (!digits(cursor, 10, PFN_MAX - at, &count))
			return false;
		run.count = (uint32_t)count;
		at += run.count;
		*(struct state_run *)one_more(dump, MAP, &dump->map, &dump->map_count, sizeof run) = run;
	}
	return true;
}

static bool memory(struct state_dump *dump, struct cursor *cursor)
{
	struct state_memory *memory_ = &dump->memory;
	uint64_t unused;
	uint32_t off;
	if (!keyed(cursor, "totalram=", 10, COUNT_MAX, &memory_->totalram) ||
	    !keyed(cursor, "totalhigh=", 10, COUNT_MAX, &unused) || !keyed(cursor, "pageshift=", 10, PAGE_SHIFT, &unused) ||
	    !keyed32(cursor, "max_order=", 10, ORDER_MAX, &memory_->max_order) ||
	    !keyed32(cursor, "pageblock_order=", 10, ORDER_MAX, &memory_->pageblock_order) ||
	    !keyed32(cursor, "migratetypes=", 10, TYPE_MAX, &memory_->migratetypes) ||
	    !keyed32(cursor, "mobility_off=", 10, 1, &off) || !keyed(cursor, "max_low_pfn=", 16, PFN_MAX, &unused) ||
	    !keyed(cursor, "max_pfn=", 16, PFN_MAX, &memory_->max_pfn))
		return false;
	memory_->mobility_off = off;
	memory_->known = true;
	return true;
}

/* "diff0=N thr0=N diff1=N ...": one pair a CPU, until another key comes. */
static bool zone_differences(struct cursor *cursor, struct state_zone *zone)
{
	for (skip_spaces(cursor); cursor->end - cursor->at > 4 && memcmp(cursor->at, "diff", 4) == 0; skip_spaces(cursor)) {
		uint32_t cpu, again;
		int64_t difference, threshold;
		cursor->at += 4;
		if (!number32(cursor, 10, CPUS_MAX - 1, &cpu) || !literal(cursor, "=") ||
		    !signed_digits(cursor, 127, &difference) || !literal(cursor, "thr") ||
		    !number32(cursor, 10, CPUS_MAX - 1, &again) || !literal(cursor, "=") ||
		    !signed_digits(cursor, 127, &threshold))
			return false;
		if (cpu != zone->cpus || again != cpu)
			return wrong(cursor, "the CPUs in order");
		zone->diff[cpu] = (int32_t)difference;
		zone->threshold[cpu] = (int32_t)threshold;
		zone->cpus++;
	}
	return true;
}

static bool zone_reserves(struct cursor *cursor, struct state_zone *zone)
{
	if (!literal(cursor, "reserve="))
		return false;
	for (;;) {
		if (zone->lowmem_reserves == STATE_RESERVES_MAX)
			return wrong(cursor, "fewer reserves");
		if (!digits(cursor, 10, COUNT_MAX, &zone->lowmem_reserve[zone->lowmem_reserves++]))
			return false;
		if (cursor->at == cursor->end || *cursor->at != ',')
			return true;
		cursor->at++;
	}
}

/* compact= and drift=, which end the line, say nothing about pages. */
static bool zone(struct state_dump *dump, struct cursor *cursor)
{
	struct state_zone one = {.known = true};
	if (!number32(cursor, 10, STATE_ZONES_MAX - 1, &one.index) || !word(cursor, one.name, sizeof one.name) ||
	    !keyed32(cursor, "start=", 16, PFN_MAX, &one.start_pfn) || !keyed(cursor, "spanned=", 10, COUNT_MAX, &one.spanned) ||
	    !keyed(cursor, "present=", 10, COUNT_MAX, &one.present) || !keyed(cursor, "managed=", 10, COUNT_MAX, &one.managed) ||
	    !keyed(cursor, "wmin=", 10, COUNT_MAX, &one.watermark_min) ||
	    !keyed(cursor, "wlow=", 10, COUNT_MAX, &one.watermark_low) ||
	    !keyed(cursor, "whigh=", 10, COUNT_MAX, &one.watermark_high) ||
	    !keyed(cursor, "boost=", 10, COUNT_MAX, &one.watermark_boost) ||
	    !keyed(cursor, "highatomic=", 10, COUNT_MAX, &one.nr_reserved_highatomic) ||
	    !keyed32(cursor, "phigh=", 10, PCP_COUNT_MAX, &one.pcp_high) ||
	    !keyed32(cursor, "pbatch=", 10, PCP_COUNT_MAX, &one.pcp_batch) ||
	    !keyed(cursor, "zflags=", 16, UINT64_MAX, &one.flags) || !literal(cursor, "nr_free=") ||
	    !signed_digits(cursor, COUNT_MAX, &one.nr_free) || !zone_differences(cursor, &one) || !zone_reserves(cursor, &one))
		return false;
	if (dump->zones[one.index].known)
		return wrong(cursor, "each zone once");
	dump->zones[one.index] = one;
	return true;
}

static bool text(struct state_dump *dump, struct cursor *cursor, const char *start)
{
	struct state_text *one = one_more(dump, TEXTS, &dump->texts, &dump->text_count, sizeof *dump->texts);
	size_t length = (size_t)(cursor->end - start);
	one->line = cursor->line;
	one->text = xcalloc(length + 1, 1);
	memcpy(one->text, start, length);
	return true;
}

static const struct {
	const char *name;
	bool (*read)(struct state_dump *, struct cursor *);
} kinds[] = {
        {"@MEM", memory}, {"@ZONE", zone},     {"@FREE", free_list}, {"@PCPL", pcp_list},
        {"@PCP", pcp},    {"@PB", pageblocks}, {"@MAP", map},
};

void state_dump_init(struct state_dump *dump)
{
	*dump = (struct state_dump){0};
}

void state_dump_release(struct state_dump *dump)
{
	for (size_t i = 0; i < dump->text_count; i++)
		free(dump->texts[i].text);
	free(dump->free_lists);
	free(dump->pcp_lists);
	free(dump->pcps);
	free(dump->pageblocks);
	free(dump->map);
	free(dump->pfns);
	free(dump->types);
	free(dump->texts);
	state_dump_init(dump);
}

static bool starts_with(const char *text_, size_t length, const char *word_)
{
	size_t word_length = strlen(word_);
	return length >= word_length && memcmp(text_, word_, word_length) == 0 &&
	       (length == word_length || text_[word_length] == ' ');
}

static bool begin(struct state_dump *dump, struct cursor *cursor)
{
	if (dump->open)
		return wrong(cursor, "@END of the dump before");
	state_dump_release(dump);
	dump->line = cursor->line;
	if (!literal(cursor, "@STATE") || !word(cursor, dump->tag, sizeof dump->tag) || !literal(cursor, "what=") ||
	    !word(cursor, dump->what, sizeof dump->what) || !keyed(cursor, "ts=", 10, UINT64_MAX, &dump->ts))
		return false;
	dump->open = true;
	return true;
}

static bool inside(struct state_dump *dump, struct cursor *cursor)
{
	const char *start = cursor->at;
	size_t length = (size_t)(cursor->end - start);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (!starts_with(start, length, kinds[i].name))
			continue;
		cursor->at += strlen(kinds[i].name);
		return kinds[i].read(dump, cursor);
	}
	return text(dump, cursor, start);
}

enum state_line_result state_dump_line(struct state_dump *dump, const char *text_, size_t length, uint64_t line,
                                       struct error *error)
{
	struct cursor cursor = {text_, text_ + length, line, error};
	bool starts = starts_with(text_, length, "@STATE");
	if (!starts && !dump->open)
		return STATE_OUTSIDE;
	if (!memchr(text_, '\0', length)) {
		if (starts && begin(dump, &cursor))
			return STATE_INSIDE;
		if (!starts && starts_with(text_, length, "@END")) {
			dump->open = false;
			return STATE_WHOLE;
		}
		if (!starts && inside(dump, &cursor))
			return STATE_INSIDE;
	} else {
		wrong(&cursor, "no NUL byte");
	}
	dump->open = false;
	return STATE_WRONG;
}

uint64_t state_text_number(const char *text_, const char *key, uint64_t missing)
{
	size_t length = strlen(key);
	for (const char *at = text_; (at = strstr(at, key)); at += length)
		if (at > text_ && at[-1] == ' ' && at[length] == '=')
			return strtoull(at + length + 1, NULL, 0);
	return missing;
}

bool state_text_begins(const char *text_, const char *words)
{
	return strncmp(text_, words, strlen(words)) == 0;
}

bool state_dump_has(const struct state_dump *dump, char letter)
{
	return strchr(dump->what, letter) != NULL && letter;
}
