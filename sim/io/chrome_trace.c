/* SPDX-License-Identifier: MIT
 *
 * chrome_trace.c - the work of cores as Chrome's trace JSON (interface and source: chrome_trace.h).
 */
#include "sim/io/chrome_trace.h"

#include "sim/event.h"
#include "sim/new_file.h"
#include "sim/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one process that the picture shows. */
#define PROCESS 1

struct chrome_trace {
	struct core_listener listener; /* first member */
	struct chrome_trace_wiring wiring;
	struct new_file file;
	FILE *out;
	uint64_t written, left_out;
	bool comma; /* something stands in the list already */
};

static struct chrome_trace *trace_of(struct core_listener *listener)
{
	return (struct chrome_trace *)(void *)listener;
}

/* ---- JSON ---- */

static void next(struct chrome_trace *trace)
{
	fputs(trace->comma ? ",\n" : "\n", trace->out);
	trace->comma = true;
}

static uint64_t nanoseconds(const struct chrome_trace *trace, cycle at)
{
	uint64_t mhz = trace->wiring.frequency_mhz;
	return at / mhz * 1000 + at % mhz * 1000 / mhz;
}

/* In microseconds, as the format wants them. */
static void print_time(const struct chrome_trace *trace, const char *key, uint64_t ns)
{
	fprintf(trace->out, ",\"%s\":%" PRIu64 ".%03" PRIu64, key, ns / 1000, ns % 1000);
}

static void print_text(const struct chrome_trace *trace, const char *key, const char *text)
{
	fprintf(trace->out, ",\"%s\":", key);
	utf8_print_json(text, trace->out);
}

/* A core has two rows: 2n for its ops and waits, 2n + 1 for the interrupts it serves. */
static unsigned row_of(unsigned cpu, bool interrupts)
{
	return 2 * cpu + interrupts;
}

/* Begins a complete event; its args are open. */
static void begin_event(struct chrome_trace *trace, unsigned row, const char *category, cycle from, cycle to)
{
	uint64_t begin_ns = nanoseconds(trace, from);
	next(trace);
	fprintf(trace->out, "{\"ph\":\"X\",\"pid\":%d,\"tid\":%u,\"cat\":\"%s\"", PROCESS, row, category);
	print_time(trace, "ts", begin_ns);
	print_time(trace, "dur", nanoseconds(trace, to) - begin_ns);
}

static void begin_args(struct chrome_trace *trace, cycle from, cycle to)
{
	fprintf(trace->out, ",\"args\":{\"begin_cycle\":%" PRIu64 ",\"cycles\":%" PRIu64, from, to - from);
}

static void end_event(struct chrome_trace *trace)
{
	fputs("}}", trace->out);
}

static void print_name_of(struct chrome_trace *trace, const char *what, unsigned row, const char *name)
{
	next(trace);
	fprintf(trace->out, "{\"ph\":\"M\",\"pid\":%d,\"tid\":%u,\"name\":\"%s\",\"args\":{\"name\":", PROCESS, row, what);
	utf8_print_json(name, trace->out);
	end_event(trace);
}

static void print_row(struct chrome_trace *trace, unsigned row, const char *name)
{
	print_name_of(trace, "thread_name", row, name);
	next(trace);
	fprintf(trace->out, "{\"ph\":\"M\",\"pid\":%d,\"tid\":%u,\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%u",
	        PROCESS, row, row);
	end_event(trace);
}

static void print_rows(struct chrome_trace *trace)
{
	print_name_of(trace, "process_name", 0, trace->wiring.title);
	for (unsigned cpu = 0; cpu < trace->wiring.cpus; cpu++) {
		char name[40];
		snprintf(name, sizeof name, "core %u", cpu);
		print_row(trace, row_of(cpu, false), name);
		if (trace->wiring.cpus == 1) /* nobody could interrupt it */
			continue;
		snprintf(name, sizeof name, "core %u, interrupts", cpu);
		print_row(trace, row_of(cpu, true), name);
	}
}

/* ---- what cores tell ---- */

/* Whether it lies in the window, and there is room; counts it. */
static bool takes(struct chrome_trace *trace, cycle from, cycle to)
{
	const struct chrome_trace_wiring *wiring = &trace->wiring;
	bool is_before = from < wiring->from && to <= wiring->from;
	if (is_before || from >= wiring->to)
		return false;
	if (trace->written == wiring->limit) {
		trace->left_out++;
		return false;
	}
	trace->written++;
	return true;
}

/* "alloc dentry", "page_alloc". */
static void print_job_name(const struct chrome_trace *trace, const struct job_about *about)
{
	const struct op_cost_names *names = &trace->wiring.names;
	const char *kind = job_kind_name(about->kind);
	char *whole = about->owner ? xasprintf("%s %s", kind, names->owner(names->context, about->owner)) : xstrdup(kind);
	print_text(trace, "name", whole);
	free(whole);
}

static void job(struct core_listener *listener, const struct core_job_done *done)
{
	struct chrome_trace *trace = trace_of(listener);
	const struct op_cost_names *names = &trace->wiring.names;
	if (!takes(trace, done->from, done->to))
		return;
	begin_event(trace, row_of(done->cpu, false), job_kind_name(done->about->kind), done->from, done->to);
	print_job_name(trace, done->about);
	begin_args(trace, done->from, done->to);
	print_text(trace, "path", step_path_name(done->path));
	if (done->about->call_site != NO_CALL_SITE)
		print_text(trace, "call_site", names->call_site(names->context, done->about->call_site));
	for (enum cost_part part = 0; part < COST_PARTS; part++)
		if (done->cost->cycles[part])
			fprintf(trace->out, ",\"%s\":%" PRIu64, cost_part_name(part), done->cost->cycles[part]);
	end_event(trace);
}

static void print_span_name(struct chrome_trace *trace, const struct core_span *span)
{
	static const char *const names[] = {
	        [SPAN_LOCK] = "wait for lock", [SPAN_ACKS] = "wait for acknowledgements", [SPAN_INTERRUPT] = "interrupt"};
	const char *label = span->kind == SPAN_LOCK ? layout_label(trace->wiring.layout, vaddr_of(span->what)) : "";
	char *whole = *label ? xasprintf("%s: %s", names[span->kind], label) : xstrdup(names[span->kind]);
	print_text(trace, "name", whole);
	free(whole);
}

static void span(struct core_listener *listener, const struct core_span *span)
{
	static const char *const categories[] = {[SPAN_LOCK] = "lock", [SPAN_ACKS] = "ipi", [SPAN_INTERRUPT] = "interrupt"};
	struct chrome_trace *trace = trace_of(listener);
	if (!takes(trace, span->from, span->to))
		return;
	begin_event(trace, row_of(span->cpu, span->kind == SPAN_INTERRUPT), categories[span->kind], span->from, span->to);
	print_span_name(trace, span);
	begin_args(trace, span->from, span->to);
	if (span->kind == SPAN_LOCK)
		fprintf(trace->out, ",\"lock\":\"0x%" PRIx64 "\"", span->what);
	if (span->kind == SPAN_INTERRUPT)
		fprintf(trace->out, ",\"from_core\":%" PRIu64, span->what);
	end_event(trace);
}

/* ---- from open to close ---- */

static bool open_stream(struct chrome_trace *trace, struct error *error)
{
	const char *path = trace->wiring.path;
	if (!new_file_begin(&trace->file, path, error))
		return false;
	int copy = dup(trace->file.file);
	trace->out = copy >= 0 ? fdopen(copy, "w") : NULL;
	if (trace->out)
		return true;
	error_set(error, ERROR_HOST, "%s: cannot be written: %s", path, strerror(errno));
	if (copy >= 0)
		close(copy);
	new_file_end(&trace->file, false, NULL);
	return false;
}

struct chrome_trace *chrome_trace_open(const struct chrome_trace_wiring *wiring, struct error *error)
{
	SIM_ASSERT(wiring->frequency_mhz > 0 && wiring->cpus > 0 && wiring->from <= wiring->to);
	struct chrome_trace *trace = xcalloc(1, sizeof *trace);
	trace->wiring = *wiring;
	trace->listener = (struct core_listener){.job = job, .span = span};
	if (!open_stream(trace, error)) {
		free(trace);
		return NULL;
	}
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", trace->out);
	print_rows(trace);
	return trace;
}

struct core_listener *chrome_trace_listener(struct chrome_trace *trace)
{
	return &trace->listener;
}

uint64_t chrome_trace_written(const struct chrome_trace *trace)
{
	return trace->written;
}

uint64_t chrome_trace_left_out(const struct chrome_trace *trace)
{
	return trace->left_out;
}

bool chrome_trace_close(struct chrome_trace *trace, struct error *error)
{
	if (!trace)
		return true;
	fprintf(trace->out,
	        "\n],\"otherData\":{\"written\":%" PRIu64 ",\"left_out\":%" PRIu64 ",\"frequency_mhz\":%" PRIu64 "}}\n",
	        trace->written, trace->left_out, trace->wiring.frequency_mhz);
	bool whole = !ferror(trace->out);
	whole = fclose(trace->out) == 0 && whole;
	if (!whole)
		error_set(error, ERROR_HOST, "%s: cannot be written: %s", trace->wiring.path, strerror(errno));
	bool closed = new_file_end(&trace->file, whole, error);
	free(trace);
	return closed && whole;
}
