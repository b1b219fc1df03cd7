/* SPDX-License-Identifier: MIT
 *
 * access_workload.c - patterns of accesses over a working set (interface: access_workload.h).
 *
 * pointer_chase  a random permutation of the lines that is one cycle (Sattolo, 1986), as lmbench's lat_mem_rd and its successors
 *                measure latency: no line is read again before all others were, and none can be foretold from the last
 * stream         word by word, from the beginning again at the end
 * strided        every `stride` bytes, likewise
 * random         any word, all equally likely
 * zipf           any line, the one of rank k in proportion to 1 / k^exponent; ranks lie anywhere. Alias method (Walker 1977, Vose
 *                1991) with whole numbers: weights are 2^32 / k^exponent rounded down, and are drawn exactly
 * false_sharing  each core changes a word of its own, `spacing` bytes from the next core's
 * shared_counter all cores change the same word
 * calls          a function's lines are fetched in order, then those of another, any equally likely; after each line any word of
 *                the data is used
 * lock_sharing   cores take a spin lock, change a word on a line of its own, and give it up; `neighbours` others use words of
 *                their own, on the lock word's line or on the next one (____cacheline_aligned). Each core's turn is a whole
 *                acquisition, or a neighbour's accesses
 *
 * Invariant: every access lies within its core's working set.
 */
#include "models/access_workload.h"

#include "sim/layout.h"
#include "sim/nearest.h"
#include "sim/rng.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64
#define WORD_BYTES 8
#define REGION_ALIGN (2ull << 20) /* the largest page that a working set may want for itself */
#define BYTES_MAX (4ull << 30)    /* 2^26 lines: the tables of a pattern hold at most 24 bytes for each */

enum exponent { EXPONENT_HALF, EXPONENT_ONE, EXPONENT_ONE_AND_HALF, EXPONENT_TWO };
static const char *const exponent_names[] = {"0.5", "1", "1.5", "2", NULL};

enum stream_region { STREAM_USER, STREAM_DIRECT_MAP, STREAM_VMALLOC, STREAM_VMALLOC_HUGE, STREAM_MODULES, STREAM_TEXT };
static const char *const region_names[] = {"user", "direct_map", "vmalloc", "vmalloc_huge", "modules", "text", NULL};

/* Where the first core's working set lies, and the call that an area comes from (VIRTUAL_CALLS: it is no area). */
static const struct {
	uint64_t base;
	enum virtual_call call;
	bool has_code;
} regions[] = {[STREAM_USER] = {ACCESS_WORKLOAD_BASE, VIRTUAL_CALLS, true},
               [STREAM_DIRECT_MAP] = {ACCESS_WORKLOAD_DIRECT_MAP_BASE, VIRTUAL_CALLS, false},
               [STREAM_VMALLOC] = {ACCESS_WORKLOAD_VMALLOC_BASE, CALL_VMALLOC, false},
               [STREAM_VMALLOC_HUGE] = {ACCESS_WORKLOAD_VMALLOC_BASE, CALL_VMALLOC_HUGE, false},
               [STREAM_MODULES] = {ACCESS_WORKLOAD_MODULES_BASE, CALL_MODULE_ALLOC, true},
               [STREAM_TEXT] = {ACCESS_WORKLOAD_TEXT_BASE, VIRTUAL_CALLS, true}};

enum stream_kind { KIND_DATA, KIND_FETCH };
static const char *const kind_names[] = {"data", "fetch", NULL};

/* The two working sets of a core. */
enum stream_set { SET_DATA, SET_CODE, SETS };

enum lock_layout { LAYOUT_SHARED, LAYOUT_PADDED };
static const char *const layout_names[] = {"shared", "padded", NULL};

enum neighbour_use { NEIGHBOUR_WRITES, NEIGHBOUR_READS };
static const char *const use_names[] = {"write", "read", NULL};

struct values {
	char *name;
	enum stream_region region, code_region;
	enum stream_kind kind;
	uint64_t bytes, code, function, count, stride, spacing;
	uint32_t stores, neighbours, uses;
	enum lock_layout layout;
	enum neighbour_use use;
	enum exponent exponent;
	bool shared;
};

struct stream;

struct pattern {
	const char *name, *help;
	const struct setting *keys;
	void (*begin)(struct stream *);                    /* NULL: nothing to prepare */
	uint64_t (*offset)(struct stream *, unsigned cpu); /* of a core's next access in its working set */
	bool changes;                                      /* each access is a load and a store of one instruction */
	/* The next access of whose turn it is, and whose turn it is then; in place of offset, and of one access a turn. */
	void (*next)(struct stream *, struct access *);
};

struct alias {
	uint64_t least; /* below it a draw means the column's own line */
	uint32_t other; /* else this one */
};

struct stream {
	struct access_source source; /* first: a pointer to it is one to the stream */
	const struct pattern *pattern;
	struct values values;
	struct rng rng;
	unsigned cpus, cpu; /* cpu: whose turn it is */
	unsigned in_turn;   /* accesses done of it, where it has several */
	uint64_t done;
	uint64_t *base[SETS]; /* [cpu]: where the core's working sets begin */
	uint64_t *at;         /* [cpu]: where the core is */
	uint32_t *order;      /* [line]: the line that follows it, or the line of a rank */
	struct alias *alias;  /* [rank] */
	uint64_t weight;      /* sum of all */
};

#define AT(field) .offset = offsetof(struct values, field), .size = sizeof(((struct values *)0)->field)
#define CHOICE "a choice"

#define KEY_NAME SETTING_LINE_NAME(struct values, "of the pattern")
#define KEY_BYTES \
	{ \
		.key = "bytes", .type = SETTING_SIZE, .default_text = "16 MiB", .min = LINE_BYTES, .max = BYTES_MAX, \
		.help = "The working set of a core, in whole lines of 64 bytes", \
		.source = CHOICE ": twice a last level of 8 MiB", AT(bytes) \
	}
#define KEY_COUNT \
	{ \
		.key = "count", .type = SETTING_COUNT, .unit = "accesses", .default_text = "10000000", .min = 1, \
		.max = 1000000000000, .help = "Accesses of all cores together", .source = CHOICE ": past the start", AT(count) \
	}
#define KEY_STORES \
	{ \
		.key = "stores", .type = SETTING_COUNT, .unit = "percent", .default_text = "0", .min = 0, .max = 100, \
		.help = "Of the accesses are stores", .source = CHOICE, AT(stores) \
	}
#define KEY_SHARED \
	{ \
		.key = "shared", .type = SETTING_BOOL, .default_text = "false", \
		.help = "All cores have the same working set; else each one its own", .source = CHOICE, AT(shared) \
	}
#define KEY_REGION \
	{ \
		.key = "region", .type = SETTING_ENUM, .names = region_names, .default_text = "user", \
		.help = "Where it lies: in a program, or with address_space: kernel in the direct map, the kernel's image, or " \
		        "in an " \
		        "area that vmalloc(), vmalloc_huge() or module_alloc() made", \
		.source = CHOICE, AT(region) \
	}
#define KEY_KIND \
	{ \
		.key = "kind", .type = SETTING_ENUM, .names = kind_names, .default_text = "data", \
		.help = "Of the accesses: loads and stores, or fetches of instructions (region user, text or modules)", \
		.source = CHOICE, AT(kind) \
	}
#define KEY_CODE \
	{ \
		.key = "code", .type = SETTING_SIZE, .default_text = "1 MiB", .min = LINE_BYTES, .max = BYTES_MAX, \
		.help = "Code of a core, in whole functions", .source = CHOICE ": of a large module", AT(code) \
	}
#define KEY_FUNCTION \
	{ \
		.key = "function", .type = SETTING_SIZE, .default_text = "256 B", .min = LINE_BYTES, .max = BYTES_MAX, \
		.help = "Of a function, in whole lines of 64 bytes", .source = CHOICE, AT(function) \
	}
#define KEY_CODE_REGION \
	{ \
		.key = "code_region", .type = SETTING_ENUM, .names = region_names, .default_text = "user", \
		.help = "Where the code lies: user, text or modules", .source = CHOICE, AT(code_region) \
	}
#define KEY_STRIDE \
	{ \
		.key = "stride", .type = SETTING_SIZE, .default_text = "256 B", .min = WORD_BYTES, .max = BYTES_MAX, \
		.help = "From one access to the next; it begins again at the end", .source = CHOICE ": every fourth line", \
		AT(stride) \
	}
#define KEY_EXPONENT \
	{ \
		.key = "exponent", .type = SETTING_ENUM, .names = exponent_names, .default_text = "1", \
		.help = "How fast ranks grow rare", .source = "Zipf's law", AT(exponent) \
	}
#define KEY_SPACING \
	{ \
		.key = "spacing", .type = SETTING_SIZE, .default_text = "8 B", .min = WORD_BYTES, .max = BYTES_MAX, \
		.help = "From one core's word to the next; 8 B: neighbours on a line, 64 B: lines of their own", \
		.source = CHOICE, AT(spacing) \
	}

#define KEY_LAYOUT \
	{ \
		.key = "layout", .type = SETTING_ENUM, .names = layout_names, .default_text = "shared", \
		.help = "The neighbours' words: on the lock word's line, or on a line of their own", .source = CHOICE, \
		AT(layout) \
	}
#define KEY_NEIGHBOURS \
	{ \
		.key = "neighbours", .type = SETTING_COUNT, .unit = "cores", .default_text = "1", .min = 0, .max = CPUS_MAX - 1, \
		.help = "Cores, the last ones, that use their words and take no lock; all others take it", \
		.source = CHOICE ": the fewest that disturb", AT(neighbours) \
	}
#define KEY_USE \
	{ \
		.key = "neighbour", .type = SETTING_ENUM, .names = use_names, .default_text = "write", \
		.help = "What they do with them; write: a load and a store", .source = CHOICE, AT(use) \
	}
#define KEY_USES \
	{ \
		.key = "uses", .type = SETTING_COUNT, .unit = "accesses", .default_text = "16", .min = 1, .max = 1000000, \
		.help = "Of each neighbour while a core takes the lock once; with few a neighbour is done before the locks are", \
		.source = CHOICE ": stores on the lock's line last as long as it", AT(uses) \
	}

static const struct setting set_keys[] = {KEY_NAME,   KEY_BYTES,  KEY_COUNT, KEY_STORES,
                                          KEY_SHARED, KEY_REGION, KEY_KIND,  {.key = NULL}};
static const struct setting stride_keys[] = {KEY_NAME,   KEY_BYTES,  KEY_STRIDE, KEY_COUNT,    KEY_STORES,
                                             KEY_SHARED, KEY_REGION, KEY_KIND,   {.key = NULL}};
static const struct setting zipf_keys[] = {KEY_NAME,   KEY_BYTES,  KEY_EXPONENT, KEY_COUNT,    KEY_STORES,
                                           KEY_SHARED, KEY_REGION, KEY_KIND,     {.key = NULL}};
static const struct setting call_keys[] = {KEY_NAME,   KEY_BYTES,  KEY_CODE,   KEY_FUNCTION,    KEY_COUNT,
                                           KEY_STORES, KEY_SHARED, KEY_REGION, KEY_CODE_REGION, {.key = NULL}};
static const struct setting neighbour_keys[] = {KEY_NAME, KEY_SPACING, KEY_COUNT, {.key = NULL}};
static const struct setting counter_keys[] = {KEY_NAME, KEY_COUNT, {.key = NULL}};

static const struct setting lock_keys[] = {KEY_NAME, KEY_LAYOUT, KEY_NEIGHBOURS, KEY_USE,
                                           KEY_USES, KEY_COUNT,  KEY_REGION,     {.key = NULL}};

static uint32_t lines(const struct stream *stream)
{
	return (uint32_t)(stream->values.bytes / LINE_BYTES);
}

/* A number below limit, each exactly as likely: what lies beyond it is drawn again. */
static uint64_t draw(struct rng *rng, uint64_t limit)
{
	uint64_t mask = limit - 1, drawn;
	for (unsigned shift = 1; shift < 64; shift *= 2)
		mask |= mask >> shift;
	do
		drawn = rng_next(rng) & mask;
	while (drawn >= limit);
	return drawn;
}

static void number_lines(struct stream *stream)
{
	stream->order = xcalloc(lines(stream), sizeof *stream->order);
	for (uint32_t line = 0; line < lines(stream); line++)
		stream->order[line] = line;
}

/* Exchanges each line, from the last, with one before it: `with_itself` any order (Fisher, Yates), else one cycle (Sattolo). */
static void shuffle(struct stream *stream, bool with_itself)
{
	uint32_t *order = stream->order;
	for (uint32_t last = lines(stream) - 1; last > 0; last--) {
		uint32_t other = (uint32_t)draw(&stream->rng, (uint64_t)last + with_itself), kept = order[last];
		order[last] = order[other];
		order[other] = kept;
	}
}

/* Cores begin at places of their own, as far from each other as there are lines. */
static void begin_chase(struct stream *stream)
{
	number_lines(stream);
	shuffle(stream, false);
	for (unsigned cpu = 0; cpu < stream->cpus; cpu++)
		stream->at[cpu] = (uint64_t)lines(stream) * cpu / stream->cpus;
}

static uint64_t chase(struct stream *stream, unsigned cpu)
{
	uint64_t line = stream->at[cpu];
	stream->at[cpu] = stream->order[line];
	return line * LINE_BYTES;
}

static uint64_t next_by(struct stream *stream, unsigned cpu, uint64_t stride)
{
	uint64_t at = stream->at[cpu];
	stream->at[cpu] = at + stride + WORD_BYTES > stream->values.bytes ? 0 : at + stride;
	return at;
}

static uint64_t next_word(struct stream *stream, unsigned cpu)
{
	return next_by(stream, cpu, WORD_BYTES);
}

static uint64_t next_stride(struct stream *stream, unsigned cpu)
{
	return next_by(stream, cpu, stream->values.stride);
}

static uint64_t any_word(struct stream *stream, unsigned cpu)
{
	(void)cpu;
	return draw(&stream->rng, stream->values.bytes / WORD_BYTES) * WORD_BYTES;
}

/* The largest whole number whose square is at most `square`. */
static uint64_t root(uint64_t square)
{
	uint64_t found = 0;
	for (uint64_t bit = 1ull << 31; bit > 0; bit >>= 1)
		if ((found + bit) * (found + bit) <= square)
			found += bit;
	return found;
}

/* 2^32 / rank^exponent, rounded down; division by parts rounds the same. */
static uint64_t weight_of(uint64_t rank, enum exponent exponent)
{
	switch (exponent) {
	case EXPONENT_HALF:
		return root(UINT64_MAX / rank);
	case EXPONENT_ONE:
		return (1ull << 32) / rank;
	case EXPONENT_ONE_AND_HALF:
		return root(UINT64_MAX / rank / rank / rank);
	case EXPONENT_TWO:
		return (1ull << 32) / rank / rank;
	}
	return 0;
}

/*
 * Vose: a column with less than its part of the whole is filled up from one with more. `least` holds what a column has, in units
 * in which a column's part is the sum of all weights.
 */
static void fill_columns(struct stream *stream)
{
	struct alias *alias = stream->alias;
	uint32_t count = lines(stream), poor_count = 0, rich_at = count;
	uint32_t *waiting = xcalloc(count, sizeof *waiting); /* poor columns from the front, rich ones from the back */
	for (uint32_t rank = 0; rank < count; rank++)
		waiting[alias[rank].least < stream->weight ? poor_count++ : --rich_at] = rank;
	while (poor_count > 0 && rich_at < count) {
		uint32_t poor = waiting[--poor_count], rich = waiting[rich_at];
		alias[poor].other = rich;
		alias[rich].least -= stream->weight - alias[poor].least;
		if (alias[rich].least >= stream->weight)
			continue;
		rich_at++;
		waiting[poor_count++] = rich;
	}
	SIM_ASSERT(poor_count == 0); /* what all have together is exact */
	free(waiting);
}

static void begin_zipf(struct stream *stream)
{
	uint32_t count = lines(stream);
	number_lines(stream);
	shuffle(stream, true);
	stream->alias = xcalloc(count, sizeof *stream->alias);
	for (uint32_t rank = 0; rank < count; rank++) {
		uint64_t weight = weight_of((uint64_t)rank + 1, stream->values.exponent);
		stream->alias[rank] = (struct alias){.least = weight * count, .other = rank};
		stream->weight += weight;
	}
	fill_columns(stream);
}

static uint64_t any_rank(struct stream *stream, unsigned cpu)
{
	(void)cpu;
	uint32_t rank = (uint32_t)draw(&stream->rng, lines(stream));
	const struct alias *alias = &stream->alias[rank];
	if (draw(&stream->rng, stream->weight) >= alias->least)
		rank = alias->other;
	return (uint64_t)stream->order[rank] * LINE_BYTES;
}

static uint64_t own_word(struct stream *stream, unsigned cpu)
{
	return stream->values.spacing * cpu;
}

/* ---- a lock and its neighbours ---- */

/* Offsets: the lock word; the first neighbour's, if on its line; what the lock protects. */
#define LOCK_AT 0
#define NEIGHBOUR_AT WORD_BYTES
#define PROTECTED_AT (2 * LINE_BYTES)
#define LOCK_BYTES 4 /* of a spinlock_t without debugging */

#define ACQUISITION_ACCESSES 3u

static unsigned takers(const struct stream *stream)
{
	return stream->cpus - stream->values.neighbours;
}

static void acquisition(unsigned step, struct access *access)
{
	access->kind = step == 1 ? ACCESS_MODIFY : ACCESS_STORE;
	access->bytes = step == 1 ? WORD_BYTES : LOCK_BYTES;
	access->region = step == 0 ? ACCESS_TAKES_LOCK : step == 2 ? ACCESS_GIVES_LOCK : 0;
	access->address += step == 1 ? PROTECTED_AT : LOCK_AT;
}

/* Neighbours beyond the words of a line share them. */
static void neighbour(const struct stream *stream, struct access *access)
{
	unsigned number = (access->cpu - takers(stream)) % (LINE_BYTES / WORD_BYTES - 1);
	access->kind = stream->values.use == NEIGHBOUR_READS ? ACCESS_LOAD : ACCESS_MODIFY;
	access->address += NEIGHBOUR_AT + WORD_BYTES * number;
	if (stream->values.layout == LAYOUT_PADDED)
		access->address += LINE_BYTES;
}

static void next_of_lock(struct stream *stream, struct access *access)
{
	bool takes = stream->cpu < takers(stream);
	*access = (struct access){
	        .address = regions[stream->values.region].base, .bytes = WORD_BYTES, .cpu = (uint16_t)stream->cpu};
	if (takes)
		acquisition(stream->in_turn, access);
	else
		neighbour(stream, access);
	if (++stream->in_turn < (takes ? ACQUISITION_ACCESSES : stream->values.uses))
		return;
	stream->in_turn = 0;
	stream->cpu = (stream->cpu + 1) % stream->cpus;
}

/* Whole turns of all cores, so that no lock stays taken. */
static void begin_lock(struct stream *stream)
{
	uint64_t *count = &stream->values.count;
	uint64_t all =
	        (uint64_t)takers(stream) * ACQUISITION_ACCESSES + (uint64_t)stream->values.neighbours * stream->values.uses;
	*count = (*count + all - 1) / all * all;
	stream->source.has_locks = true;
}

/* ---- code and data ---- */

static unsigned kind_of(struct stream *stream)
{
	if (stream->pattern->changes)
		return ACCESS_MODIFY;
	if (stream->values.kind == KIND_FETCH)
		return ACCESS_CODE;
	return rng_below(&stream->rng, 100) < stream->values.stores ? ACCESS_STORE : ACCESS_LOAD;
}

/* at[]: the core's next line of code, as an offset. in_turn: whether it is the turn of the data. */
static void next_of_calls(struct stream *stream, struct access *access)
{
	const struct values *values = &stream->values;
	unsigned cpu = stream->cpu;
	*access = (struct access){.cpu = (uint16_t)cpu};
	if (stream->in_turn++ == 0) {
		if (stream->at[cpu] % values->function == 0)
			stream->at[cpu] = draw(&stream->rng, values->code / values->function) * values->function;
		access->address = stream->base[SET_CODE][cpu] + stream->at[cpu];
		access->bytes = LINE_BYTES;
		access->kind = ACCESS_CODE;
		stream->at[cpu] += LINE_BYTES;
		return;
	}
	access->address = stream->base[SET_DATA][cpu] + any_word(stream, cpu);
	access->bytes = WORD_BYTES;
	access->kind = (uint8_t)kind_of(stream);
	stream->in_turn = 0;
	stream->cpu = (cpu + 1) % stream->cpus;
}

static const struct pattern patterns[] = {
        {"pointer_chase", "each line once a round, in an order that cannot be foretold", set_keys, begin_chase, chase, false,
         NULL},
        {"stream", "word by word, again and again", set_keys, NULL, next_word, false, NULL},
        {"strided", "every so many bytes, again and again", stride_keys, NULL, next_stride, false, NULL},
        {"random", "any word, all equally likely", set_keys, NULL, any_word, false, NULL},
        {"zipf", "few lines often, many seldom: Zipf's law", zipf_keys, begin_zipf, any_rank, false, NULL},
        {"calls", "one function's lines, then another's, any equally likely; beside each line a word of the data", call_keys,
         NULL, NULL, false, next_of_calls},
        {"false_sharing", "each core changes a word of its own, near the others'", neighbour_keys, NULL, own_word, true, NULL},
        {"shared_counter", "all cores change the same word", counter_keys, NULL, own_word, true, NULL},
        {"lock_sharing", "a spin lock, and others' words on its line or the next", lock_keys, begin_lock, NULL, false,
         next_of_lock},
};
#define PATTERNS (sizeof patterns / sizeof *patterns)

const char *access_workload_pattern(size_t index, const char **help, const struct setting **keys)
{
	if (index >= PATTERNS)
		return NULL;
	*help = patterns[index].help;
	*keys = patterns[index].keys;
	return patterns[index].name;
}

/* One access of each core in turn. */
static void next_in_turn(struct stream *stream, struct access *access)
{
	unsigned cpu = stream->cpu;
	*access = (struct access){.address = stream->base[SET_DATA][cpu] + stream->pattern->offset(stream, cpu),
	                          .bytes = WORD_BYTES,
	                          .cpu = (uint16_t)cpu,
	                          .kind = (uint8_t)kind_of(stream)};
	stream->cpu = (cpu + 1) % stream->cpus;
}

static bool read_stream(struct access_source *source, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct stream *stream = (struct stream *)source;
	(void)error;
	void (*next)(struct stream *, struct access *) = stream->pattern->next ? stream->pattern->next : next_in_turn;
	for (*count = 0; *count < capacity && stream->done < stream->values.count; (*count)++) {
		next(stream, &batch[*count]);
		stream->done++;
	}
	source->bytes_done = stream->done;
	return true;
}

static void close_stream(struct access_source *source)
{
	struct stream *stream = (struct stream *)source;
	setting_table_release(stream->pattern->keys, &stream->values);
	for (unsigned set = 0; set < SETS; set++)
		free(stream->base[set]);
	free(stream->at);
	free(stream->order);
	free(stream->alias);
	free(stream);
}

static const struct access_source_ops stream_ops = {
        .name = "workload", .help = "made up, of no file", .read = read_stream, .close = close_stream};

static const struct pattern *find_pattern(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (size_t index = 0; index < PATTERNS; index++) {
		if (strcmp(patterns[index].name, name) == 0)
			return &patterns[index];
		nearest_offer(&nearest, patterns[index].name);
	}
	const char *meant = nearest_found(&nearest);
	error_set(error, ERROR_USAGE, "access_workload: there is no '%s'%s%s%s (`kmemsim list workloads` shows them all)", name,
	          meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
	return NULL;
}

/* The pattern of a line, and its values; NULL with *error. */
static const struct pattern *read_line(const char *line, struct values *values, struct error *error)
{
	line += strspn(line, " \t");
	char *name = xasprintf("%.*s", (int)strcspn(line, " \t"), line);
	const struct pattern *pattern = find_pattern(name, error);
	free(name);
	if (!pattern || !setting_read_line(pattern->keys, line, NULL, values, "access_workload", error))
		return NULL;
	values->bytes -= values->bytes % LINE_BYTES;
	if (values->function > 0) {
		values->function -= values->function % LINE_BYTES;
		values->code -= values->code % values->function;
	}
	return pattern;
}

bool access_workload_line_check(const char *line, struct error *error)
{
	struct values values = {0};
	const struct pattern *pattern = read_line(line, &values, error);
	if (pattern)
		setting_table_release(pattern->keys, &values);
	return pattern != NULL;
}

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
}

static bool has_code_set(const struct pattern *pattern)
{
	return pattern->next == next_of_calls;
}

static enum stream_region region_of(const struct stream *stream, unsigned set)
{
	return set == SET_CODE ? stream->values.code_region : stream->values.region;
}

static uint64_t bytes_of(const struct stream *stream, unsigned set)
{
	return set == SET_CODE ? stream->values.code : stream->values.bytes;
}

/* What keys say together. */
static bool values_fit(const struct pattern *pattern, const struct values *values, unsigned cpus, struct error *error)
{
	enum stream_region fetched = has_code_set(pattern) ? values->code_region : values->region;
	if (pattern->next == next_of_lock && values->neighbours >= cpus)
		return error_set(error, ERROR_USAGE,
		                 "access_workload: neighbours=%u leaves none of %u core%s (machine.cpus) to take the lock",
		                 values->neighbours, cpus, cpus == 1 ? "" : "s");
	if ((has_code_set(pattern) || values->kind == KIND_FETCH) && !regions[fetched].has_code)
		return error_set(error, ERROR_USAGE,
		                 "access_workload: instructions cannot be fetched from %s=%s; expected user, text or modules",
		                 has_code_set(pattern) ? "code_region" : "region", region_names[fetched]);
	if (values->kind == KIND_FETCH && values->stores > 0)
		return error_set(error, ERROR_USAGE, "access_workload: stores=%u with kind=fetch; expected 0", values->stores);
	if (has_code_set(pattern) && values->code == 0)
		return error_set(error, ERROR_USAGE, "access_workload: function is larger than code; expected at most as large");
	return true;
}

/* Working sets one behind the other, that of the code behind those of data in the same region. */
static bool place_sets(struct stream *stream, struct error *error)
{
	const struct values *values = &stream->values;
	for (unsigned set = 0; set < (has_code_set(stream->pattern) ? SETS : SET_CODE); set++) {
		enum stream_region region = region_of(stream, set);
		uint64_t stride = values->shared ? 0 : whole_pages(bytes_of(stream, set)), at = regions[region].base;
		if (set == SET_CODE && region == values->region)
			at += whole_pages(values->bytes) * (values->shared ? 1 : stream->cpus);
		if (region == STREAM_TEXT && at + stride * (stream->cpus - 1) + bytes_of(stream, set) > ACCESS_WORKLOAD_TEXT_END)
			return error_set(error, ERROR_USAGE,
			                 "access_workload: the working sets do not fit the kernel's image, %llu MiB",
			                 (ACCESS_WORKLOAD_TEXT_END - ACCESS_WORKLOAD_TEXT_BASE) >> 20);
		stream->base[set] = xcalloc(stream->cpus, sizeof *stream->base[set]);
		for (unsigned cpu = 0; cpu < stream->cpus; cpu++)
			stream->base[set][cpu] = at + stride * cpu;
	}
	return true;
}

struct access_source *access_workload_open(const char *line, unsigned cpus, uint64_t seed, struct error *error)
{
	struct values values = {0};
	SIM_ASSERT(cpus > 0);
	const struct pattern *pattern = read_line(line, &values, error);
	if (!pattern)
		return NULL;
	struct stream *stream = xcalloc(1, sizeof *stream);
	stream->source = (struct access_source){.ops = &stream_ops};
	stream->pattern = pattern;
	stream->values = values;
	stream->cpus = cpus;
	if (!values_fit(pattern, &values, cpus, error) || !place_sets(stream, error)) {
		close_stream(&stream->source);
		return NULL;
	}
	stream->at = xcalloc(cpus, sizeof *stream->at);
	rng_init(&stream->rng, seed, pattern->name);
	if (pattern->begin)
		pattern->begin(stream);
	stream->source.bytes_total = stream->values.count;
	return &stream->source;
}

/* By how much a region lies elsewhere than the table has it. */
static uint64_t moved_by(enum stream_region region, const struct layout *layout)
{
	if (region == STREAM_DIRECT_MAP)
		return layout->direct_map + ACCESS_WORKLOAD_DIRECT_MAP_OFFSET - regions[region].base;
	if (region == STREAM_VMALLOC || region == STREAM_VMALLOC_HUGE)
		return layout_span_of(layout, REGION_VMALLOC)->first - regions[region].base;
	return 0;
}

void access_workload_set_layout(struct access_source *source, const struct layout *layout)
{
	struct stream *stream = (struct stream *)source;
	if (!(layout->direct_map >> 32))
		return;
	for (unsigned set = 0; set < SETS; set++)
		for (unsigned cpu = 0; stream->base[set] && cpu < stream->cpus; cpu++)
			stream->base[set][cpu] += moved_by(region_of(stream, set), layout);
}

/* Areas are numbered by set, then by core; one for all cores where they share it. */
static bool area_at(const struct stream *stream, unsigned number, unsigned *set, unsigned *cpu)
{
	unsigned each = stream->values.shared ? 1 : stream->cpus;
	for (*set = 0; *set < SETS; ++*set) {
		if (!stream->base[*set] || regions[region_of(stream, *set)].call == VIRTUAL_CALLS)
			continue;
		*cpu = number;
		if (number < each)
			return true;
		number -= each;
	}
	return false;
}

bool access_workload_area(const struct access_source *source, unsigned number, struct virtual_request *request)
{
	const struct stream *stream = (const struct stream *)source;
	unsigned set, cpu;
	if (!area_at(stream, number, &set, &cpu))
		return false;
	*request = (struct virtual_request){
	        .call = regions[region_of(stream, set)].call, .size = bytes_of(stream, set), .caller = "access_workload"};
	return true;
}

void access_workload_place(struct access_source *source, unsigned number, uint64_t at)
{
	struct stream *stream = (struct stream *)source;
	unsigned set, cpu;
	bool found = area_at(stream, number, &set, &cpu);
	SIM_ASSERT(found);
	for (unsigned other = 0; other < stream->cpus; other++)
		if (other == cpu || stream->values.shared)
			stream->base[set][other] = at;
}

void access_workload_name_lines(const struct access_source *source, struct layout *layout)
{
	const struct stream *stream = (const struct stream *)source;
	uint64_t base = stream->base[SET_DATA][0];
	if (stream->pattern->next != next_of_lock)
		return;
	layout_name(layout, vaddr_of(base), LINE_BYTES, "lock", "");
	layout_name(layout, vaddr_of(base + LINE_BYTES), LINE_BYTES, "neighbours", "");
	layout_name(layout, vaddr_of(base + PROTECTED_AT), LINE_BYTES, "protected data", "");
}
