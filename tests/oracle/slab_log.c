/* SPDX-License-Identifier: MIT
 *
 * slab_log.c - reader, scripted page allocator and runner of object allocator logs (interface and format: slab_log.h).
 *
 * The scripted page allocator keeps a cursor into the log's lines and a limit, the line up to which events belong to the call
 * being made. It takes the next PA or PF line below the limit; a wrong kind, frame or order is noted as a difference, and the run
 * goes on with a spare frame beyond the recorded memory, so that one difference does not end it.
 * Invariant: the frame a model is handed is never one it holds already.
 */
#include "tests/oracle/slab_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames beyond the recorded memory, for requests that the recording does not have. */
#define SPARE_FRAMES (1u << 20)

/* Where the direct map of a 32-bit kernel begins (arch/x86/Kconfig: VMSPLIT_3G). */
#define PAGE_OFFSET_32 0xc0000000u

/* Largest log that is read, decompressed; the recorder's buffer is far smaller. */
#define LOG_BYTES_MAX (1ull << 30)

/* ---- reading ---- */

static bool read_all(FILE *in, const char *path, char **text, size_t *bytes, struct error *error)
{
	size_t capacity = 1u << 20, used = 0;
	char *memory = xcalloc(capacity + 1, 1);
	for (;;) {
		used += fread(memory + used, 1, capacity - used, in);
		if (used < capacity)
			break;
		if (capacity >= LOG_BYTES_MAX) {
			free(memory);
			return error_set(error, ERROR_INPUT, "%s: longer than %llu bytes", path,
			                 (unsigned long long)LOG_BYTES_MAX);
		}
		capacity *= 2;
		memory = xrealloc(memory, capacity + 1);
	}
	if (ferror(in)) {
		free(memory);
		return error_set(error, ERROR_HOST, "%s: cannot be read: %s", path, strerror(errno));
	}
	memory[used] = '\0';
	*text = memory;
	*bytes = used;
	return true;
}

static bool ends_in(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool read_file(const char *path, char **text, size_t *bytes, struct error *error)
{
	if (!ends_in(path, ".xz")) {
		FILE *in = fopen(path, "r");
		if (!in)
			return error_set(error, ERROR_HOST, "%s: %s", path, strerror(errno));
		bool done = read_all(in, path, text, bytes, error);
		fclose(in);
		return done;
	}
	if (strchr(path, '\''))
		return error_set(error, ERROR_USAGE, "%s: a name with a quote cannot be handed to xz", path);
	char *command = xasprintf("xz -dc -- '%s'", path);
	FILE *in = popen(command, "r");
	free(command);
	if (!in)
		return error_set(error, ERROR_HOST, "%s: xz cannot be started: %s", path, strerror(errno));
	bool done = read_all(in, path, text, bytes, error);
	if (pclose(in) != 0 && done) {
		free(*text);
		return error_set(error, ERROR_INPUT, "%s: xz could not unpack it", path);
	}
	return done;
}

uint64_t slab_log_number(const struct slab_log_line *line, const char *key, uint64_t missing)
{
	size_t length = strlen(key);
	for (const char *at = line->text; (at = strstr(at, key)); at += length)
		if (at > line->text && at[-1] == ' ' && at[length] == '=')
			return strtoull(at + length + 1, NULL, 0);
	return missing;
}

/* `frame.offset` in hex, FAIL, or a bare pointer (kmalloc(0)), which has no frame. */
static void take_address(struct slab_log_line *line, const char *at)
{
	char *end;
	line->frame = UINT32_MAX;
	if (strncmp(at, "FAIL", 4) == 0) {
		line->failed = true;
		return;
	}
	unsigned long long frame = strtoull(at, &end, 16);
	if (*end != '.')
		return;
	line->frame = (uint32_t)frame;
	line->offset = (uint32_t)strtoul(end + 1, NULL, 16);
}

/* The n-th blank-separated word, counted from 0; the empty end of the line if there are fewer. */
static const char *word(const char *text, unsigned n)
{
	while (n-- > 0) {
		text += strcspn(text, " ");
		text += strspn(text, " ");
	}
	return text;
}

static uint32_t number_at(const char *text, int base)
{
	return (uint32_t)strtoul(text, NULL, base);
}

static void take_event(struct slab_log_line *line)
{
	const char *what = word(line->text, 1);
	line->kind = LOG_EVENT;
	if (strncmp(what, "PA ", 3) == 0 || strncmp(what, "PF ", 3) == 0) {
		line->kind = LOG_PAGES;
		line->taken = what[1] == 'A';
		line->frame = number_at(word(what, 1), 16);
		line->order = number_at(word(what, 2), 10);
		line->flags = number_at(word(what, 3), 16);
		return;
	}
	if ((what[0] == 'K' || what[0] == 'C') && (what[1] == 'M' || what[1] == 'A' || what[1] == 'F'))
		line->kind = LOG_FOREIGN;
}

static bool take_line(struct slab_log_line *line)
{
	const char *text = line->text;
	line->frame = UINT32_MAX;
	switch (text[0]) {
	case '#':
		line->kind = strncmp(text, "#BEGIN ", 7) == 0 ? LOG_BEGIN : LOG_NOTE;
		return true;
	case '@':
		line->kind = LOG_DUMP;
		return true;
	case '>':
		take_event(line);
		return true;
	case 'k':
		line->kind = LOG_SLABINFO;
		return true;
	case 'a':
		line->kind = LOG_ALLOC;
		line->flags = GFP_KERNEL;
		line->id = number_at(word(text, 1), 10);
		take_address(line, word(text, 2));
		return true;
	case 'f':
		line->kind = LOG_FREE;
		line->id = number_at(word(text, 1), 10);
		return true;
	case 'm':
		line->kind = LOG_KMALLOC;
		line->id = number_at(word(text, 1), 10);
		line->size = number_at(word(text, 2), 10);
		line->flags = number_at(word(text, 3), 16);
		take_address(line, word(text, 4));
		return true;
	case 'K':
	case '2':
		line->kind = text[0] == 'K' ? LOG_KSIZE : LOG_POW2;
		line->flags = GFP_KERNEL;
		line->size = number_at(word(text, 1), 10);
		line->ksize = number_at(word(text, 2), 10);
		take_address(line, word(text, strncmp(word(text, 2), "FAIL", 4) == 0 ? 2 : 3));
		return true;
	default:
		return false;
	}
}

bool slab_log_read(struct slab_log *log, const char *path, struct error *error)
{
	*log = (struct slab_log){.path = path};
	size_t bytes;
	if (!read_file(path, &log->text, &bytes, error))
		return false;
	size_t capacity = 0;
	for (char *at = log->text, *end = log->text + bytes; at < end;) {
		char *stop = memchr(at, '\n', (size_t)(end - at));
		if (stop)
			*stop = '\0';
		if (log->count == capacity) {
			capacity = capacity ? 2 * capacity : 4096;
			log->lines = xrealloc(log->lines, capacity * sizeof *log->lines);
		}
		struct slab_log_line *line = &log->lines[log->count++];
		*line = (struct slab_log_line){.number = (uint32_t)log->count, .text = at};
		if (!take_line(line)) {
			error_set(error, ERROR_INPUT, "%s:%u: \"%.60s\" is no line of an allocator log", path, line->number, at);
			slab_log_release(log);
			return false;
		}
		log->has_zones |= strncmp(at, "@ZONE ", 6) == 0;
		log->has_dma32 |= strncmp(at, "@ZONE ", 6) == 0 && strstr(at, " DMA32 ");
		const char *max_pfn = strncmp(at, "@MEM ", 5) == 0 ? strstr(at, " max_pfn=") : NULL;
		if (max_pfn && !log->end_pfn)
			log->end_pfn = number_at(max_pfn + strlen(" max_pfn="), 16);
		at = stop ? stop + 1 : end;
	}
	return true;
}

void slab_log_release(struct slab_log *log)
{
	free(log->lines);
	free(log->text);
	*log = (struct slab_log){0};
}

/* ---- counting ---- */

void slab_log_differs(struct slab_log_tally *tally, const struct slab_log *log, const struct slab_log_line *line,
                      const char *format, ...)
{
	if (tally->first[0])
		return;
	int length = snprintf(tally->first, sizeof tally->first, "%s:%u: ", log->path, line->number);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(tally->first + length, sizeof tally->first - (size_t)length, format, arguments);
	va_end(arguments);
}

static size_t trimmed(const char *text)
{
	size_t length = strlen(text);
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return length;
}

void slab_log_state(struct slab_log_tally *tally, const struct slab_log *log, const struct slab_log_line *expected,
                    const char *got)
{
	size_t want = trimmed(expected->text), have = trimmed(got);
	tally->states++;
	if (want == have && memcmp(expected->text, got, want) == 0) {
		tally->states_equal++;
		return;
	}
	size_t same = 0;
	while (same < want && same < have && expected->text[same] == got[same])
		same++;
	size_t from = same > 40 ? same - 40 : 0;
	slab_log_differs(
	        tally, log, expected,
	        "state differs at column %zu\n    recorded  ...%.200s\n    simulated ...%.200s\n    whole recorded line %.300s",
	        same + 1, expected->text + from, got + from, expected->text);
}

/* ---- the scripted page allocator ---- */

struct scripted_pages {
	struct page_allocator base;
	const struct slab_log *log;
	struct slab_log_tally *tally;
	const struct slab_log_line *call; /* the line of the call being made */
	size_t cursor, limit;             /* lines[cursor..limit) hold its events */
	bool in_order;                    /* false: frames are not compared (a log without a start state) */
	bool equal;                       /* the call's events were as recorded so far */
	uint32_t spare;                   /* next spare frame */
	uint8_t *held;                    /* per frame: order + 1 of a block handed out */
	struct slab_log_line end;         /* stands for "no event left" */
};

static void event_differs(struct scripted_pages *pages, const char *did, uint32_t frame, unsigned order, gfp flags,
                          const struct slab_log_line *event)
{
	pages->equal = false;
	slab_log_differs(pages->tally, pages->log, pages->call,
	                 "in \"%.80s\" the model %s frame %x order %u gfp %x; recorded: %.80s", pages->call->text, did, frame,
	                 order, flags, event->text);
}

/* The next page event of the call, or pages->end. Events of others inside it are counted and passed over. */
static const struct slab_log_line *next_event(struct scripted_pages *pages)
{
	for (; pages->cursor < pages->limit; pages->cursor++) {
		const struct slab_log_line *line = &pages->log->lines[pages->cursor];
		if (line->kind == LOG_PAGES)
			return line;
		pages->tally->foreign += line->kind == LOG_FOREIGN;
	}
	return &pages->end;
}

static pfn spare_block(struct scripted_pages *pages, unsigned order)
{
	uint32_t frames = 1u << order;
	uint32_t first = (pages->spare + frames - 1) & ~(frames - 1);
	if (first + frames > pages->base.end_pfn)
		return PFN_NONE;
	pages->spare = first + frames;
	pages->held[first] = (uint8_t)(order + 1);
	return pfn_of(first);
}

/*
 * A block of the recorded order is handed out. A request of a higher order than recorded failed in the recording (the kernel
 * tries again with a lower order), and so does any request of a call that failed as a whole.
 */
static pfn scripted_alloc(struct page_allocator *base, unsigned order, gfp flags, unsigned cpu)
{
	struct scripted_pages *pages = (struct scripted_pages *)base;
	(void)cpu;
	if (order >= ORDERS || pages->call->failed)
		return PFN_NONE;
	if (!pages->in_order)
		return spare_block(pages, order);
	const struct slab_log_line *event = next_event(pages);
	if (event == &pages->end || !event->taken || event->order > order) {
		event_differs(pages, "asks for", UINT32_MAX, order, flags, event);
		return spare_block(pages, order);
	}
	if (event->order < order)
		return PFN_NONE;
	if (event->flags != flags)
		event_differs(pages, "asks with other flags for", event->frame, order, flags, event);
	pages->cursor++;
	if (event->frame >= pages->log->end_pfn || pages->held[event->frame]) {
		event_differs(pages, "holds already", event->frame, order, flags, event);
		return spare_block(pages, order);
	}
	pages->held[event->frame] = (uint8_t)(order + 1);
	return pfn_of(event->frame);
}

/* A frame that was never handed out was taken before the recording began. */
static enum page_free_result scripted_free(struct page_allocator *base, pfn first, unsigned order, unsigned cpu)
{
	struct scripted_pages *pages = (struct scripted_pages *)base;
	(void)cpu;
	if (first.nr >= base->end_pfn)
		return PAGE_FREE_NOT_ALLOCATED;
	if (pages->held[first.nr] && pages->held[first.nr] != order + 1)
		return PAGE_FREE_WRONG_ORDER;
	if (!pages->held[first.nr])
		base->allocated_pages += 1ull << order;
	pages->held[first.nr] = 0;
	if (!pages->in_order)
		return PAGE_FREE_OK;
	const struct slab_log_line *event = next_event(pages);
	if (event->taken || event->frame != first.nr || event->order != order)
		event_differs(pages, "gives back", first.nr, order, 0, event);
	else
		pages->cursor++;
	return PAGE_FREE_OK;
}

static void scripted_drain(struct page_allocator *base)
{
	(void)base;
}

static unsigned scripted_zones(const struct page_allocator *base)
{
	(void)base;
	return 0;
}

static unsigned scripted_pageblock_order(const struct page_allocator *base)
{
	(void)base;
	return ORDERS - 1;
}

static void scripted_check(const struct page_allocator *base)
{
	(void)base;
}

static void scripted_destroy(struct page_allocator *base)
{
	struct scripted_pages *pages = (struct scripted_pages *)base;
	lazy_free(pages->held, base->end_pfn, 1);
	free(pages);
}

static const struct page_allocator_ops scripted_pages_ops = {
        .name = "scripted",
        .help = "hands out the frames of a recording",
        .alloc = scripted_alloc,
        .free = scripted_free,
        .drain = scripted_drain,
        .zones = scripted_zones,
        .pageblock_order = scripted_pageblock_order,
        .check = scripted_check,
        .destroy = scripted_destroy,
};

static struct scripted_pages *scripted_pages_create(const struct slab_log *log, struct slab_log_tally *tally)
{
	struct scripted_pages *pages = xcalloc(1, sizeof *pages);
	uint32_t end = log->end_pfn + SPARE_FRAMES;
	*pages = (struct scripted_pages){
	        .base = {.ops = &scripted_pages_ops, .end_pfn = end, .managed_pages = end},
	        .log = log,
	        .tally = tally,
	        .in_order = true,
	        .spare = log->end_pfn,
	        .held = lazy_alloc(end, 1),
	        .end = {.text = "no page event", .frame = UINT32_MAX},
	};
	return pages;
}

/* ---- running ---- */

struct run {
	const struct slab_log *log;
	const struct slab_log_model *model;
	struct slab_log_tally *tally;
	struct scripted_pages *pages;
	struct object_allocator *objects;
	const struct layout *layout;
	cache_id own; /* the script's cache; CACHE_NONE in kmalloc scripts, and after its end */
	vaddr *at;    /* by id: the object the model gave */
	size_t ids;
	bool started; /* the start state is behind us: from here on calls are made */
};

static bool is_event(const struct slab_log_line *line)
{
	return line->kind == LOG_PAGES || line->kind == LOG_FOREIGN || line->kind == LOG_EVENT;
}

/* The first line at or behind `i` that is no event. */
static size_t behind_events(const struct slab_log *log, size_t i)
{
	while (i < log->count && is_event(&log->lines[i]))
		i++;
	return i;
}

/* Page events that stand before line `limit` and were not met by a call are a difference in `line`. */
static bool all_events_met(struct run *run, size_t limit, const struct slab_log_line *line)
{
	run->pages->limit = limit;
	const struct slab_log_line *left = next_event(run->pages);
	run->pages->cursor = limit;
	if (left == &run->pages->end || !run->pages->in_order)
		return true;
	slab_log_differs(run->tally, run->log, line, "\"%.80s\" leaves a recorded page event over: line %u: %s", line->text,
	                 left->number, left->text);
	return false;
}

static void begin_call(struct run *run, const struct slab_log_line *line, size_t limit)
{
	run->pages->call = line;
	run->pages->limit = limit;
	run->pages->equal = true;
	run->tally->calls++;
}

/* Ends an allocating call: the address (if the recording has a start state) and the page events. */
static bool allocation_is_equal(struct run *run, const struct slab_log_line *line, vaddr at)
{
	if (line->failed || !at.addr) {
		if (line->failed != !at.addr)
			slab_log_differs(run->tally, run->log, line, "\"%s\": the model %s", line->text,
			                 at.addr ? "has memory" : "has no memory");
		return line->failed == !at.addr;
	}
	if (!run->pages->in_order)
		return true;
	uint32_t frame = UINT32_MAX, offset = 0;
	if (at.addr != ZERO_SIZE_PTR.addr) {
		frame = layout_pfn_of(run->layout, at).nr;
		offset = (uint32_t)(at.addr & (PAGE_SIZE - 1));
	}
	if (frame == line->frame && offset == line->offset)
		return true;
	slab_log_differs(run->tally, run->log, line, "\"%s\": the model gives %x.%x", line->text, frame, offset);
	return false;
}

static vaddr *slot_of(struct run *run, uint32_t id)
{
	if (id >= run->ids) {
		size_t ids = 2 * ((size_t)id + 512);
		run->at = xrealloc(run->at, ids * sizeof *run->at);
		memset(run->at + run->ids, 0, (ids - run->ids) * sizeof *run->at);
		run->ids = ids;
	}
	return &run->at[id];
}

static void make_allocation(struct run *run, size_t i)
{
	const struct slab_log_line *line = &run->log->lines[i];
	begin_call(run, line, i);
	struct object object = line->kind == LOG_ALLOC ? cache_alloc(run->objects, run->own, line->flags, 0)
	                                               : object_kmalloc(run->objects, line->size, line->flags, 0);
	*slot_of(run, line->id) = object.at;
	bool equal = allocation_is_equal(run, line, object.at);
	equal = all_events_met(run, i, line) && equal;
	run->tally->calls_equal += equal && run->pages->equal;
}

static bool free_is_done(struct run *run, const struct slab_log_line *line, vaddr at)
{
	enum object_free_result result =
	        run->own.nr == UINT32_MAX ? object_kfree(run->objects, at, 0) : cache_free(run->objects, run->own, at, 0);
	if (result == OBJECT_FREE_OK)
		return true;
	slab_log_differs(run->tally, run->log, line, "\"%s\": the model refuses the free (result %d)", line->text, (int)result);
	return false;
}

/* Events that a free leaves over may belong to an allocation behind it; else they are this call's difference. */
static bool events_of_free_met(struct run *run, size_t i)
{
	size_t next = behind_events(run->log, i + 1);
	const struct slab_log_line *line = &run->log->lines[i];
	bool allocation =
	        next < run->log->count && (run->log->lines[next].kind == LOG_ALLOC || run->log->lines[next].kind == LOG_KMALLOC ||
	                                   run->log->lines[next].kind == LOG_KSIZE);
	return allocation || all_events_met(run, next, line);
}

static void make_free(struct run *run, size_t i)
{
	const struct slab_log_line *line = &run->log->lines[i];
	begin_call(run, line, behind_events(run->log, i + 1));
	bool equal = free_is_done(run, line, *slot_of(run, line->id));
	*slot_of(run, line->id) = VADDR_NULL;
	equal = events_of_free_met(run, i) && equal;
	run->tally->calls_equal += equal && run->pages->equal;
}

/* kmalloc, ksize and kfree in one line; the kfree's page events stand behind it. */
static void make_sized_pair(struct run *run, size_t i)
{
	const struct slab_log_line *line = &run->log->lines[i];
	run->pages->in_order = line->kind == LOG_KSIZE;
	begin_call(run, line, i);
	struct object object = object_kmalloc(run->objects, line->size, line->flags, 0);
	bool equal = allocation_is_equal(run, line, object.at);
	equal = all_events_met(run, i, line) && equal;
	uint32_t usable = object.at.addr > ZERO_SIZE_PTR.addr ? run->objects->ops->ksize(run->objects, object.at) : 0;
	if (usable != line->ksize) {
		slab_log_differs(run->tally, run->log, line, "\"%s\": the model's ksize is %u", line->text, usable);
		equal = false;
	}
	run->pages->limit = behind_events(run->log, i + 1);
	equal = free_is_done(run, line, object.at) && equal;
	equal = events_of_free_met(run, i) && equal;
	run->tally->calls_equal += equal && run->pages->equal;
}

/* `# shrink` and `# destroy` are calls on the script's cache; other notes are not. */
static void make_cache_call(struct run *run, size_t i)
{
	const struct slab_log_line *line = &run->log->lines[i];
	bool shrink = strcmp(line->text, "# shrink") == 0;
	if (run->own.nr == UINT32_MAX || (!shrink && strcmp(line->text, "# destroy") != 0))
		return;
	size_t limit = behind_events(run->log, i + 1);
	begin_call(run, line, limit);
	bool equal = true;
	if (shrink) {
		run->objects->ops->cache_shrink(run->objects, run->own, 0);
	} else {
		equal = cache_destroy(run->objects, run->own, 0);
		if (!equal)
			slab_log_differs(run->tally, run->log, line, "the model refuses to destroy the cache");
		run->own = CACHE_NONE;
	}
	equal = all_events_met(run, limit, line) && equal;
	run->tally->calls_equal += equal && run->pages->equal;
}

/* ---- dumps ---- */

/* The dump that begins at line i: a state up to its @END, a check up to the first line that is no part of a dump. */
static struct slab_log_dump dump_at(const struct slab_log *log, size_t i)
{
	bool state = strncmp(log->lines[i].text, "@STATE ", 7) == 0;
	struct slab_log_dump dump = {.tag = word(log->lines[i].text, 1), .lines = &log->lines[i], .count = 1};
	for (size_t j = i + 1; j < log->count; j++, dump.count++) {
		const struct slab_log_line *line = &log->lines[j];
		bool part = line->kind == LOG_DUMP || line->kind == LOG_SLABINFO;
		if (!part || strncmp(line->text, "@END", 4) == 0)
			break;
		if (!state && (strncmp(line->text, "@CHECK", 6) == 0 || strncmp(line->text, "@STATE", 6) == 0))
			break;
	}
	return dump;
}

/* The first dump is the start state, every later one a state to be equal to. */
static bool take_dump(struct run *run, size_t i, size_t *next, struct error *error)
{
	struct slab_log_dump dump = dump_at(run->log, i);
	*next = i + dump.count;
	if (run->started) {
		run->model->compare(run->objects, run->own, run->log, &dump, run->tally);
		return true;
	}
	run->started = true;
	run->pages->cursor = *next;
	return !run->model->load || run->model->load(run->objects, &dump, error);
}

/* ---- the whole log ---- */

/* The script's own cache, made as its #BEGIN line says. A kmalloc script has none. */
static bool make_cache(struct run *run, const struct slab_log_line *begin, struct error *error)
{
	uint32_t size = (uint32_t)slab_log_number(begin, "size", 0), align = (uint32_t)slab_log_number(begin, "align", 0);
	bool line = slab_log_number(begin, "hwalign", 0) != 0;
	char *name = xasprintf("o_%u_%u%s", size, align, line ? "h" : "n");
	struct cache_spec spec = {.name = name, .object_size = size, .align = align, .flags = line ? SLAB_HWCACHE_ALIGN : 0};
	run->own = cache_create(run->objects, &spec);
	free(name);
	if (run->own.nr == UINT32_MAX)
		return error_set(error, ERROR_INPUT, "%s:%u: the model refuses this cache: %s", run->log->path, begin->number,
		                 begin->text);
	return true;
}

static bool run_line(struct run *run, size_t i, size_t *next, struct error *error)
{
	const struct slab_log_line *line = &run->log->lines[i];
	*next = i + 1;
	switch (line->kind) {
	case LOG_BEGIN:
		run->started = strncmp(line->text, "#BEGIN kmalloc_pow2", 19) == 0;
		return strncmp(line->text, "#BEGIN slab ", 12) != 0 || make_cache(run, line, error);
	case LOG_NOTE:
		make_cache_call(run, i);
		return true;
	case LOG_DUMP:
		return strncmp(line->text, "@END", 4) == 0 || take_dump(run, i, next, error);
	case LOG_ALLOC:
	case LOG_KMALLOC:
		make_allocation(run, i);
		return true;
	case LOG_FREE:
		make_free(run, i);
		return true;
	case LOG_KSIZE:
	case LOG_POW2:
		make_sized_pair(run, i);
		return true;
	case LOG_SLABINFO:
		return error_set(error, ERROR_INPUT, "%s:%u: a slabinfo line outside of a dump", run->log->path, line->number);
	case LOG_PAGES:
	case LOG_FOREIGN:
	case LOG_EVENT:
		return true;
	}
	return true;
}

/* A kmalloc script other than kmalloc_pow2 works on caches that hold objects already. */
static bool needs_start_state(const struct slab_log *log)
{
	return log->count > 0 && strncmp(log->lines[0].text, "#BEGIN kmalloc_", 15) == 0 && !strstr(log->lines[0].text, "_pow2");
}

bool slab_log_run(const struct slab_log *log, const struct slab_log_model *model, const struct settings *settings,
                  struct slab_log_tally *tally, bool *ran, struct error *error)
{
	*ran = model->load || !needs_start_state(log);
	if (!*ran)
		return true;
	struct layout layout;
	layout_init(&layout, settings->kernel.page_struct_bytes);
	if (log->has_zones && !log->has_dma32)
		layout.direct_map = PAGE_OFFSET_32;
	struct steps steps;
	steps_init(&steps, false);
	struct run run = {.log = log, .model = model, .tally = tally, .layout = &layout, .own = CACHE_NONE};
	run.pages = scripted_pages_create(log, tally);
	struct object_allocator_wiring wiring = {
	        .settings = settings, .pages = &run.pages->base, .layout = &layout, .steps = &steps};
	run.objects = model->create(&wiring, error);
	bool done = run.objects != NULL;
	for (size_t i = 0, next; done && i < log->count; i = next)
		done = run_line(&run, i, &next, error);
	if (done)
		object_allocator_check(run.objects);
	run.pages->in_order = false;
	object_allocator_destroy(run.objects);
	page_allocator_destroy(&run.pages->base);
	steps_release(&steps);
	free(run.at);
	return done;
}

/* The CPUs that QEMU was told to have; the recorder writes its command line beside the logs. */
static uint32_t recorded_cpus(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *beside = xasprintf("%.*sqemu_cmdline", slash ? (int)(slash + 1 - path) : 0, path);
	FILE *in = fopen(beside, "r");
	free(beside);
	char text[4096] = "";
	if (!in)
		return 1;
	text[fread(text, 1, sizeof text - 1, in)] = '\0';
	fclose(in);
	const char *smp = strstr(text, "-smp ");
	uint32_t cpus = smp ? number_at(smp + 5, 10) : 1;
	return cpus > 0 && cpus <= CPUS_MAX ? cpus : 1;
}

void slab_log_settings(const struct slab_log *log, struct settings *settings)
{
	settings_init(settings);
	settings->machine.cpus = recorded_cpus(log->path);
	settings->machine.memory_bytes = (uint64_t)log->end_pfn << PAGE_SHIFT;
	settings->kernel.slab_merge = false; /* recorded with slab_nomerge */
	settings->kernel.memcg_kmem = false; /* recorded without CONFIG_MEMCG */
	settings->kernel.slab_freelist_random = false; /* and without shuffled free lists */
	settings->kernel.slub_cpu_partial = true;
	settings->kernel.transparent_hugepage = false;
}

/* ---- the program ---- */

static void add(struct slab_log_tally *total, const struct slab_log_tally *one)
{
	total->calls += one->calls;
	total->calls_equal += one->calls_equal;
	total->states += one->states;
	total->states_equal += one->states_equal;
	total->foreign += one->foreign;
}

static void print_tally(const char *name, const struct slab_log_tally *tally)
{
	printf("%s calls=%" PRIu64 " equal=%" PRIu64 " states=%" PRIu64 " equal=%" PRIu64, name, tally->calls, tally->calls_equal,
	       tally->states, tally->states_equal);
	if (tally->foreign)
		printf(" foreign=%" PRIu64, tally->foreign);
	printf("\n");
	if (tally->first[0])
		printf("  first difference: %s\n", tally->first);
}

static bool replay_file(const struct slab_log_model *model, const char *path, struct slab_log_tally *total)
{
	struct error error = {0};
	struct slab_log log;
	struct slab_log_tally *tally = xcalloc(1, sizeof *tally);
	bool done = slab_log_read(&log, path, &error);
	if (done) {
		struct settings settings;
		slab_log_settings(&log, &settings);
		bool ran;
		done = slab_log_run(&log, model, &settings, tally, &ran, &error);
		if (!done)
			fprintf(stderr, "%s\n", error.text);
		else if (!ran)
			printf("%s left out: %s cannot load its start state\n", path, model->name);
		else
			print_tally(path, tally);
		add(total, tally);
		settings_release(&settings);
		slab_log_release(&log);
	} else {
		fprintf(stderr, "%s\n", error.text);
	}
	free(tally);
	return done;
}

int slab_log_main(const struct slab_log_model *models, size_t count, int argc, char **argv)
{
	const struct slab_log_model *model = NULL;
	for (size_t i = 0; argc > 2 && i < count; i++)
		if (strcmp(models[i].name, argv[1]) == 0)
			model = &models[i];
	if (!model) {
		fprintf(stderr, "usage: %s MODEL FILE...\nMODEL is one of:", argv[0]);
		for (size_t i = 0; i < count; i++)
			fprintf(stderr, " %s", models[i].name);
		fprintf(stderr, "\n");
		return ERROR_USAGE;
	}
	struct slab_log_tally *total = xcalloc(1, sizeof *total);
	bool done = true;
	for (int i = 2; i < argc; i++)
		done = replay_file(model, argv[i], total) && done;
	print_tally("TOTAL", total);
	bool equal = total->calls == total->calls_equal && total->states == total->states_equal;
	free(total);
	return done && equal ? 0 : 1;
}
