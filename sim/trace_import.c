/* SPDX-License-Identifier: MIT
 *
 * trace_import.c - from a text recording to a .kmt file, in one pass (interface: trace.h; rules: docs/formats.md).
 *
 * The text is unpacked into one buffer and cut into lines; a line becomes an event (trace_text.c), its texts become indexes, and
 * the event becomes ops (trace_attribution.c). The first events wait until enough of them are there to tell where the recorded
 * kernel's direct map lies (trace_address.c) and which allocator it had. At the end groups become caches (trace_caches.c), and
 * the tables are written behind the ops.
 *
 * Law: every line is counted in exactly one way, and every op comes from a counted reason (check_laws()).
 */
#include "sim/io/decompress.h"
#include "sim/io/kmt.h"
#include "sim/new_file.h"
#include "sim/path.h"
#include "sim/port/access_source.h"
#include "sim/trace.h"
#include "sim/trace_address.h"
#include "sim/trace_attribution.h"
#include "sim/trace_caches.h"
#include "sim/trace_facts.h"
#include "sim/trace_later.h"
#include "sim/trace_text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Events that wait until the addresses are derived; in a recording with events of processes, so many wait all the time, because
 * what a thread is is told by later ones.
 */
#define FIRST_EVENTS 65536u
/* One read; the lines in it stay in the second-level cache while they are hashed and parsed. */
#define READ_BYTES (256u << 10)
/* A longer line is no event of any kernel. */
#define LINE_BYTES_MAX (64u << 10)
/* Distinct texts of gfp flags whose meaning is remembered. */
#define GFP_TEXTS_MAX 65536u
/* CPUs whose context is remembered; what stands in for more is told again and again, but not wrong. */
#define CONTEXTS 256u

struct gfp_meaning {
	gfp flags;
	bool understood;
};

/* The last context that was told; key: CPU + 1. */
struct told_context {
	uint32_t key, task;
	uint8_t context;
};

struct import {
	const char *path;
	const struct progress *progress;
	struct decompress *input;
	struct sha256 hash;
	struct trace_summary summary;
	struct text_reader reader;
	struct string_table strings, names, gfp_texts;
	struct gfp_meaning *gfp_meanings; /* by index in gfp_texts */
	struct trace_facts facts;
	struct fact_caches fact_caches;
	struct attribution attribution;
	struct trace_addresses addresses;
	struct later_events waiting;
	bool begun;      /* the first events were there */
	bool processes;  /* take the events of processes */
	bool look_ahead; /* some of them were seen */
	struct kmt_writer *writer;
	struct detail *details; /* up to a piece of them */
	size_t detail_count;
	uint64_t details_written;
	struct told_context contexts[CONTEXTS];
	uint32_t cpus_seen;
	uint64_t lost_notices;
	char *buffer;
	size_t buffered;
	bool skipping; /* inside a line that is too long */
};

static struct gfp_meaning meaning_of(const struct text_slice *text)
{
	struct gfp_meaning meaning;
	meaning.understood = gfp_parse(text->at, text->length, &meaning.flags);
	return meaning;
}

static gfp import_gfp(struct import *import, const struct text_slice *text)
{
	if (!text->at)
		return 0;
	struct gfp_meaning meaning;
	if (import->gfp_texts.count < GFP_TEXTS_MAX) {
		uint32_t known = import->gfp_texts.count;
		uint32_t index = string_table_index(&import->gfp_texts, text->at, text->length);
		if (index == known)
			import->gfp_meanings[index] = meaning_of(text);
		meaning = import->gfp_meanings[index];
	} else {
		meaning = meaning_of(text);
	}
	import->summary.unknown_gfp_names += !meaning.understood;
	return meaning.flags;
}

/*
 * A page allocation that failed is printed as page (null), frame 0; raw, as trace-cmd shows it where it cannot print pages, as
 * frame -1 (include/trace/events/kmem.h). Frame 0 is never handed out on x86.
 */
static bool page_alloc_failed(const struct text_event *text)
{
	return text->kind == TEXT_PAGE_ALLOC && (text->page_state == POINTER_NULL || text->pfn == 0 || text->pfn == UINT64_MAX ||
	                                         (text->page_state == POINTER_MISSING && text->pfn == UINT32_MAX));
}

/* Blocks are aligned to their size, and frames have 32 bits here. */
static bool frames_are_possible(const struct text_event *text)
{
	return !text->has_pfn ||
	       ((text->pfn & ((1ull << text->order) - 1)) == 0 && text->pfn + (1ull << text->order) < UINT32_MAX);
}

static struct attribution_event import_event(struct import *import, const struct text_event *text)
{
	struct attribution_event event = {.time_ns = text->time_ns,
	                                  .line = import->summary.lines,
	                                  .ptr = text->ptr,
	                                  .page = text->page,
	                                  .pfn = text->pfn,
	                                  .name = TABLE_NONE,
	                                  .gfp = import_gfp(import, &text->gfp_flags),
	                                  .bytes_req = text->bytes_req,
	                                  .bytes_alloc = text->bytes_alloc,
	                                  .cpu = (uint16_t)text->cpu,
	                                  .kind = text->kind,
	                                  .order = text->order,
	                                  .ptr_state = text->ptr_state,
	                                  .page_state = text->page_state,
	                                  .ptr_digits = text->ptr_digits,
	                                  .context = text->context,
	                                  .task = text->task,
	                                  .process = text->process,
	                                  .has_pfn = text->has_pfn && !page_alloc_failed(text)};
	const struct text_slice *site = text->kind == TEXT_MARK ? &text->mark : &text->call_site;
	if (site->at)
		event.call_site = string_table_index(&import->strings, site->at, site->length);
	if (text->name.at && text->name.length > 0)
		event.name = string_table_index(&import->names, text->name.at, text->name.length);
	return event;
}

/*
 * The sizes that kmalloc gives tell the allocator: SLOB puts 8 bytes before each object (slob.c), SLUB has classes of 8 and 16
 * bytes, SLAB's smallest has 32 (KMALLOC_SHIFT_LOW).
 */
static enum recorded_allocator allocator_of_sizes(const struct attribution_event *events, size_t count)
{
	size_t small = 0, with_header = 0, tiny = 0, widened = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t asked = events[i].bytes_req, given = events[i].bytes_alloc;
		if (events[i].kind != TEXT_KMALLOC || given >= PAGE_SIZE)
			continue;
		small++;
		with_header += given == asked + 8;
		tiny += given == 8 || given == 16;
		widened += asked <= 16 && given == 32;
	}
	if (small > 0 && with_header >= small - small / 10)
		return RECORDED_SLOB;
	if (tiny > 0)
		return RECORDED_SLUB;
	return widened > 0 ? RECORDED_SLAB : RECORDED_UNKNOWN;
}

static bool any_page_free(const struct attribution_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (events[i].kind == TEXT_PAGE_FREE)
			return true;
	return false;
}

static bool attribute_first(struct import *import, struct error *error)
{
	const struct attribution_event event = later_events_pop(&import->waiting);
	return attribution_event(&import->attribution, &event, error);
}

static bool attribute_waiting(struct import *import, struct error *error)
{
	while (import->waiting.count > 0)
		if (!attribute_first(import, error))
			return false;
	return true;
}

/* Derives what the first events tell, and attributes them, where nothing of what comes later is needed for that. */
static bool begin(struct import *import, struct error *error)
{
	const struct attribution_event *events = import->waiting.events;
	size_t count = import->waiting.count;
	import->begun = true;
	import->addresses = trace_derive_addresses(events, count, fact_memory_frames(&import->facts));
	import->summary.hashed_pointers = import->addresses.hashed;
	enum recorded_allocator allocator = fact_allocator(&import->facts);
	if (allocator == RECORDED_UNKNOWN)
		allocator = allocator_of_sizes(events, count);
	import->attribution.machine = (struct attribution_machine){.direct_map = import->addresses.direct_map,
	                                                           .frames_known = import->addresses.frames_known,
	                                                           .page_frees_seen = any_page_free(events, count),
	                                                           .is_32bit = import->addresses.pointer_bits == 32,
	                                                           .allocator = allocator};
	return import->look_ahead || attribute_waiting(import, error);
}

/* Takes an event that came behind all that wait. */
static bool push_event(struct import *import, const struct attribution_event *event, struct error *error)
{
	struct later_events *waiting = &import->waiting;
	import->look_ahead = import->look_ahead || text_is_of_processes(event->kind);
	if (import->begun && !import->look_ahead)
		return attribution_event(&import->attribution, event, error);
	if (waiting->count == waiting->room && !attribute_first(import, error))
		return false;
	later_events_push(waiting, event);
	return import->begun || waiting->count < waiting->room || begin(import, error);
}

static bool write_details(struct import *import, struct error *error)
{
	size_t count = import->detail_count;
	import->details_written += count;
	import->detail_count = 0;
	return count == 0 || kmt_write_details(import->writer, import->details, count, error);
}

static bool add_detail(struct import *import, const struct detail *detail, struct error *error)
{
	import->details[import->detail_count++] = *detail;
	return import->detail_count < KMT_PIECE_DETAILS || write_details(import, error);
}

/* Tells the context of an event if the CPU's last event had another. */
static bool tell_context(struct import *import, const struct text_event *text, struct error *error)
{
	struct told_context *told = &import->contexts[text->cpu % CONTEXTS];
	struct told_context now = {text->cpu + 1, text->task, text->context};
	if (told->key == now.key && told->task == now.task && told->context == now.context)
		return true;
	*told = now;
	struct detail detail = {.time_ns = text->time_ns,
	                        .line = import->summary.lines,
	                        .task = text->task,
	                        .cpu = (uint16_t)text->cpu,
	                        .kind = DETAIL_CONTEXT,
	                        .context = text->context};
	return add_detail(import, &detail, error);
}

/* The detail that an event is, DETAIL_KINDS for none. */
static enum detail_kind detail_kind_of(enum text_kind kind)
{
	switch (kind) {
	case TEXT_PAGE_ALLOC:
		return DETAIL_PAGE_ALLOC;
	case TEXT_PAGE_FREE:
		return DETAIL_PAGE_FREE;
	case TEXT_PAGE_FREE_BATCHED:
		return DETAIL_PAGE_FREE_BATCHED;
	case TEXT_ZONE_LOCKED:
		return DETAIL_ZONE_LOCKED;
	case TEXT_PCPU_DRAIN:
		return DETAIL_PCPU_DRAIN;
	case TEXT_EXTFRAG:
		return DETAIL_EXTFRAG;
	default:
		return DETAIL_KINDS;
	}
}

/* What the event tells beside its op: its context, and itself if it is of the page allocator. */
static bool take_detail(struct import *import, const struct text_event *text, gfp flags, struct error *error)
{
	enum detail_kind kind = detail_kind_of(text->kind);
	if (!tell_context(import, text, error))
		return false;
	if (kind == DETAIL_KINDS || page_alloc_failed(text))
		return true;
	struct detail detail = {.time_ns = text->time_ns,
	                        .line = import->summary.lines,
	                        .pfn = text->pfn,
	                        .gfp = flags,
	                        .cpu = (uint16_t)text->cpu,
	                        .kind = (uint8_t)kind,
	                        .order = text->order,
	                        .type = text->type,
	                        .other_order = text->other_order,
	                        .other_type = text->other_type,
	                        .refill = text->refill};
	return add_detail(import, &detail, error);
}

/* An event that makes no op, only a detail. */
static bool is_detail_only(const struct text_event *text)
{
	return text->kind == TEXT_ZONE_LOCKED || text->kind == TEXT_PCPU_DRAIN || text->kind == TEXT_EXTFRAG;
}

/* Events of processes that nobody asked for: rss_stat has always been read, the others are of other kinds then. */
static void leave_out_process(struct import *import, const struct text_event *text)
{
	bool known = text->kind == TEXT_RSS_STAT;
	import->summary.events_left_out += known;
	import->summary.left_zone_internal += known;
	import->summary.events_unknown += !known;
}

/* They say nothing of the page allocator, so they are no details. */
static bool take_process(struct import *import, const struct text_event *text, struct error *error)
{
	const struct attribution_event event = import_event(import, text);
	if (text->cpu >= import->cpus_seen)
		import->cpus_seen = text->cpu + 1;
	return push_event(import, &event, error);
}

static bool take_event(struct import *import, const struct text_event *text, struct error *error)
{
	if (text_is_of_processes(text->kind)) {
		if (import->processes)
			return take_process(import, text, error);
		leave_out_process(import, text);
		return true;
	}
	import->summary.unknown_keys += text->unknown_keys;
	if (text->cpu >= import->cpus_seen)
		import->cpus_seen = text->cpu + 1;
	struct attribution_event event = import_event(import, text);
	if (!take_detail(import, text, event.gfp, error))
		return false;
	if (is_detail_only(text)) {
		import->summary.events_left_out++;
		import->summary.left_zone_internal++;
		return true;
	}
	return push_event(import, &event, error);
}

static void count_damaged(struct import *import)
{
	import->summary.lines_damaged++;
	if (import->summary.first_damaged_line == 0)
		import->summary.first_damaged_line = import->summary.lines;
}

static bool take_line(struct import *import, const char *at, const char *end, struct error *error)
{
	struct text_event text;
	struct trace_summary *summary = &import->summary;
	summary->lines++;
	switch (text_read_line(&import->reader, at, end, &text)) {
	case TEXT_BLANK:
		summary->blank++;
		return true;
	case TEXT_HEADER:
		summary->headers++;
		return true;
	case TEXT_LOST:
		summary->lines_lost_notice++;
		import->lost_notices += text.lost > 0 ? text.lost : 1;
		return true;
	case TEXT_UNKNOWN:
		summary->events_unknown++;
		return true;
	case TEXT_DAMAGED:
		count_damaged(import);
		return true;
	case TEXT_EVENT:
		if (page_alloc_failed(&text) || frames_are_possible(&text))
			return take_event(import, &text, error);
		count_damaged(import);
		return true;
	}
	SIM_ASSERT(false && "a line that is none of the kinds");
}

/* Takes the whole lines of the buffer and keeps the rest. */
static bool take_lines(struct import *import, struct error *error)
{
	const char *at = import->buffer, *end = import->buffer + import->buffered;
	const char *newline;
	while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
		if (import->skipping) {
			import->summary.lines++;
			count_damaged(import);
			import->skipping = false;
		} else if (!take_line(import, at, newline, error)) {
			return false;
		}
		at = newline + 1;
	}
	import->buffered = (size_t)(end - at);
	if (import->buffered >= LINE_BYTES_MAX || import->skipping) {
		import->skipping = true;
		import->buffered = 0;
	}
	memmove(import->buffer, at, import->buffered);
	return true;
}

static void take_cut_line(struct import *import)
{
	if (import->buffered == 0 && !import->skipping)
		return;
	import->summary.lines++;
	import->summary.last_line_cut = 1;
	count_damaged(import);
}

/* Recordings in the tools' binary forms are the most likely mistake. */
static bool check_beginning(const struct import *import, struct error *error)
{
	static const char trace_dat[] = "\x17\x08"
	                                "Dtracing";
	if (import->buffered >= 10 && memcmp(import->buffer, trace_dat, 10) == 0)
		return error_set(
		        error, ERROR_INPUT,
		        "%s: this is trace-cmd's binary trace.dat; its text was expected, as `trace-cmd report` prints it",
		        import->path);
	if (import->buffered >= 8 && memcmp(import->buffer, "PERFILE2", 8) == 0)
		return error_set(error, ERROR_INPUT,
		                 "%s: this is perf's binary perf.data; its text was expected, as `perf script` prints it",
		                 import->path);
	if (import->buffered >= 8 && memcmp(import->buffer, KMT_MAGIC, 8) == 0)
		return error_set(error, ERROR_INPUT, "%s: this is a .kmt file already; a text recording was expected",
		                 import->path);
	return true;
}

static void tell_progress(const struct import *import)
{
	if (import->progress && import->progress->tell)
		import->progress->tell(import->progress->context, decompress_done(import->input),
		                       decompress_total(import->input));
}

static bool read_text(struct import *import, struct error *error)
{
	bool first = true;
	for (;;) {
		size_t count;
		if (!decompress_read(import->input, import->buffer + import->buffered, READ_BYTES, &count, error))
			return false;
		if (count == 0)
			break;
		import->buffered += count;
		if (first && !check_beginning(import, error))
			return false;
		first = false;
		if (!take_lines(import, error))
			return false;
		tell_progress(import);
	}
	take_cut_line(import);
	return (import->begun || begin(import, error)) && attribute_waiting(import, error);
}

/* Every line is counted once; every op has its reason. */
static void check_laws(const struct import *import)
{
	const struct trace_summary *sum = &import->summary;
	attribution_check(&import->attribution);
	SIM_ASSERT(sum->lines == sum->headers + sum->blank + sum->events_used + sum->events_left_out + sum->marks +
	                                 sum->events_unknown + sum->lines_lost_notice + sum->lines_damaged);
	SIM_ASSERT(sum->events_left_out == sum->left_slab_pages + sum->left_batched_duplicates + sum->left_zone_internal +
	                                           sum->left_failed_allocs + sum->left_null_frees + sum->left_slab_page_frees +
	                                           sum->left_no_pointer + sum->left_fault_pages + sum->left_page_tables +
	                                           sum->left_process_page_frees + sum->left_rss_stats + sum->left_switches +
	                                           sum->left_wild_faults + sum->left_lives);
	SIM_ASSERT(sum->ops == sum->events_used + sum->marks + sum->freed_before_recording + sum->pages_before_recording +
	                               sum->unseen_allocs + sum->reallocated + sum->unseen_frees + sum->split_allocs +
	                               sum->process_ops);
}

static void fill_info(const struct import *import, struct trace_info *info)
{
	const struct attribution *attribution = &import->attribution;
	info->version = KMT_VERSION;
	info->cpus = import->reader.cpus > import->cpus_seen ? import->reader.cpus : import->cpus_seen;
	info->pointer_bits = import->addresses.pointer_bits;
	info->ids = attribution->ids;
	info->call_sites = import->strings.count;
	info->ops = import->summary.ops;
	info->details = import->details_written;
	info->first_ns = attribution->first_ns;
	info->last_ns = attribution->last_ns;
	info->direct_map = import->addresses.direct_map;
	info->vmemmap = import->addresses.vmemmap;
	info->page_struct_bytes = import->addresses.page_struct_bytes;
	info->end_pfn = attribution->end_pfn;
	info->allocator = attribution->machine.allocator;
	snprintf(info->source, sizeof info->source, "%s", path_name(import->path));
	info->summary = import->summary;
}

static void finish_summary(struct import *import)
{
	struct trace_summary *summary = &import->summary;
	uint64_t overwritten = import->reader.entries_written > import->reader.entries_kept
	                               ? import->reader.entries_written - import->reader.entries_kept
	                               : 0;
	/* Both tell of the same events, as far as both tell. */
	summary->events_lost = overwritten > import->lost_notices ? overwritten : import->lost_notices;
	summary->ops = 0;
	for (uint32_t i = 0; i < import->attribution.profiles.count; i++)
		summary->ops += attribution_profile(&import->attribution, i)->count;
	summary->ops += import->attribution.frees;
}

static bool write_file(struct import *import, struct kmt_writer *writer, struct error *error)
{
	struct resolved_caches resolved;
	struct trace_info info = {0};
	if (!attribution_finish(&import->attribution, error) || !write_details(import, error))
		return false;
	finish_summary(import);
	check_laws(import);
	caches_resolve(&resolved, &import->attribution, &import->fact_caches, import->addresses.pointer_bits);
	fill_info(import, &info);
	info.caches = resolved.count;
	sha256_final(&import->hash, info.sha256);
	struct trace_space *spaces = processes_spaces(&import->attribution.processes);
	struct kmt_tables tables = {.info = &info,
	                            .spaces = spaces,
	                            .space_count = import->attribution.processes.spaces_count,
	                            .strings = &import->strings,
	                            .profiles = resolved.profiles,
	                            .profile_count = import->attribution.profiles.count,
	                            .caches = resolved.caches,
	                            .late = resolved.late,
	                            .late_count = resolved.late_count,
	                            .facts = import->facts.facts,
	                            .fact_count = import->facts.count};
	bool written = kmt_write_tables(writer, &tables, error);
	free(spaces);
	caches_release(&resolved);
	return written;
}

static bool any_known_event(const struct import *import, struct error *error)
{
	const struct trace_summary *sum = &import->summary;
	if (sum->events_used + sum->events_left_out + sum->marks > 0)
		return true;
	const char *format = access_source_recognise(import->path);
	if (format)
		return error_set(error, ERROR_INPUT,
		                 "%s: this is an access trace (%s), expected a recording of kernel memory; `kmemsim count` and "
		                 "`kmemsim curve` read access traces, and `kmemsim run` by a scenario's key accesses",
		                 import->path, format);
	return error_set(error, ERROR_INPUT,
	                 "%s: none of its %" PRIu64
	                 " lines is an event of kernel memory; is this a trace? Expected was the text of "
	                 "/sys/kernel/tracing/trace, `trace-cmd report` or `perf script` with events as kmalloc or mm_page_alloc",
	                 import->path, sum->lines);
}

static void import_init(struct import *import, const char *path, enum trace_processes processes, const struct progress *progress)
{
	*import = (struct import){.path = path, .progress = progress, .processes = processes == TRACE_PROCESSES};
	sha256_init(&import->hash);
	string_table_init(&import->strings);
	string_table_init(&import->names);
	string_table_init(&import->gfp_texts);
	/* Index 0 stands for events without a call site. */
	string_table_index(&import->strings, "(not recorded)", strlen("(not recorded)"));
	import->gfp_meanings = xcalloc(GFP_TEXTS_MAX, sizeof *import->gfp_meanings);
	later_events_init(&import->waiting, FIRST_EVENTS);
	import->details = xcalloc(KMT_PIECE_DETAILS, sizeof *import->details);
	import->buffer = xcalloc(LINE_BYTES_MAX + READ_BYTES, 1);
}

static void import_release(struct import *import)
{
	decompress_close(import->input);
	fact_caches_release(&import->fact_caches);
	trace_facts_release(&import->facts);
	string_table_release(&import->strings);
	string_table_release(&import->names);
	string_table_release(&import->gfp_texts);
	free(import->gfp_meanings);
	later_events_release(&import->waiting);
	free(import->details);
	free(import->buffer);
}

/* Imports into an open, empty file. */
static bool import_to_file(const char *path, int file, const char *name, enum trace_processes processes,
                           const struct progress *progress, struct trace_summary *summary, struct error *error)
{
	struct import import;
	import_init(&import, path, processes, progress);
	struct kmt_writer *writer = kmt_writer_create(file, name);
	import.writer = writer;
	attribution_init(&import.attribution, &import.summary, &import.strings, &import.names, writer);
	import.attribution.later = &import.waiting;
	import.input = decompress_open(path, &import.hash, error);
	bool done = import.input && trace_facts_read(&import.facts, path, error);
	if (done)
		fact_caches_read(&import.fact_caches, &import.facts);
	done = done && read_text(&import, error) && any_known_event(&import, error) && write_file(&import, writer, error);
	if (done && summary)
		*summary = import.summary;
	attribution_release(&import.attribution);
	kmt_writer_destroy(writer);
	import_release(&import);
	return done;
}

bool trace_import(const char *path, const char *out, enum trace_processes processes, const struct progress *progress,
                  struct trace_summary *summary, struct error *error)
{
	struct new_file file;
	if (!new_file_begin(&file, out, error))
		return false;
	bool done = import_to_file(path, file.file, out, processes, progress, summary, error);
	return new_file_end(&file, done, error) && done;
}

int trace_import_unnamed(const char *path, enum trace_processes processes, const struct progress *progress, struct error *error)
{
	char *name;
	int file = new_file_unnamed(&name, error);
	if (file >= 0 && !import_to_file(path, file, name, processes, progress, NULL, error)) {
		close(file);
		file = -1;
	}
	free(name);
	return file;
}

struct trace *trace_open_any(const char *path, const struct progress *progress, struct error *error)
{
	if (trace_is_native(path))
		return trace_open(path, error);
	int file = trace_import_unnamed(path, TRACE_PROCESSES, progress, error);
	return file < 0 ? NULL : kmt_open(file, path, error);
}
