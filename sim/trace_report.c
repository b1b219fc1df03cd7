/* SPDX-License-Identifier: MIT
 *
 * trace_report.c - recordings in words and JSON (interface: trace_report.h).
 *
 * The rows of trace_counts carry the words, so a count that is added there is told here. Counts of 0 are left out of the text,
 * apart from the first ones; JSON has them all.
 */
#include "sim/trace_report.h"

#include "sim/io/kmt.h"
#include "sim/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_OPS 1024u

static const char *const allocator_names[] = {
        [RECORDED_UNKNOWN] = "unknown", [RECORDED_SLUB] = "slub", [RECORDED_SLAB] = "slab", [RECORDED_SLOB] = "slob"};

static uint64_t count_of(const struct trace_summary *summary, const struct trace_count *count)
{
	uint64_t value;
	memcpy(&value, (const char *)summary + count->offset, sizeof value);
	return value;
}

/* The rows from `from` on, up to but without `end`. */
static void print_rows(FILE *out, const struct trace_summary *summary, const char *title, const char *from, const char *end)
{
	bool inside = false, titled = false;
	for (const struct trace_count *count = trace_counts; count->name; count++) {
		inside = (inside || strcmp(count->name, from) == 0) && strcmp(count->name, end) != 0;
		uint64_t value = count_of(summary, count);
		if (!inside || value == 0)
			continue;
		if (!titled)
			fprintf(out, "\n%s\n", title);
		titled = true;
		fprintf(out, "  %12" PRIu64 "  %s\n", value, count->help);
	}
}

/* A name of the recording, without what a terminal might obey. */
static void print_name(FILE *out, const char *text)
{
	char *line = utf8_line(text, strlen(text));
	fputs(line, out);
	free(line);
}

static void print_address(FILE *out, const char *what, uint64_t address)
{
	if (address)
		fprintf(out, "  %-22s 0x%" PRIx64 "\n", what, address);
	else
		fprintf(out, "  %-22s could not be derived\n", what);
}

static void print_machine(FILE *out, const struct trace *trace)
{
	const struct trace_info *info = trace_info(trace);
	const struct trace_fact *facts;
	uint32_t fact_count = trace_facts(trace, &facts);
	uint64_t length_ns = info->last_ns - info->first_ns;
	fprintf(out, "\nThe recorded machine\n");
	fprintf(out, "  %-22s %" PRIu32 "\n", "CPUs", info->cpus);
	fprintf(out, "  %-22s %" PRIu32 " bits\n", "pointers", info->pointer_bits);
	fprintf(out, "  %-22s %s\n", "allocator", allocator_names[info->allocator]);
	fprintf(out, "  %-22s %" PRIu64 " MiB\n", "frames seen up to", info->end_pfn >> (20 - PAGE_SHIFT));
	print_address(out, "direct map", info->direct_map);
	print_address(out, "struct pages", info->vmemmap);
	if (info->page_struct_bytes)
		fprintf(out, "  %-22s %" PRIu32 " bytes\n", "sizeof(struct page)", info->page_struct_bytes);
	fprintf(out, "  %-22s %" PRIu64 ".%06" PRIu64 " s\n", "length", length_ns / 1000000000, length_ns / 1000 % 1000000);
	fprintf(out, "  %-22s", "facts beside it");
	for (uint32_t i = 0; i < fact_count; i++) {
		fputc(' ', out);
		print_name(out, facts[i].name);
	}
	fprintf(out, fact_count ? "\n" : " none\n");
}

static void print_cache(FILE *out, const struct trace_cache *cache)
{
	fprintf(out, "  %12" PRIu64 "  %6" PRIu32 " %6" PRIu32 " %5" PRIu32 "  0x%05" PRIx32 " %-5s ", cache->allocs,
	        cache->object_size, cache->bytes_alloc, cache->align, cache->flags, cache->ctor ? "ctor" : "");
	print_name(out, cache->name);
	fprintf(out, "%s\n", cache->named ? "" : "  (no event names it)");
}

/* Nobody recorded it: there are no lines that it was made of, and its machine is the scenario's. */
static void print_made_up(FILE *out, const struct trace_info *info)
{
	uint64_t length_ns = info->last_ns - info->first_ns;
	fprintf(out, "made up: %" PRIu64 " ops on %" PRIu32 " caches and %" PRIu32 " ids, %" PRIu64 ".%06" PRIu64 " s\n", info->ops,
	        info->caches, info->ids, length_ns / 1000000000, length_ns / 1000 % 1000000);
	print_rows(out, &info->summary, "Processes", "process_ops", "");
}

static void print_recorded(FILE *out, const struct trace *trace)
{
	const struct trace_info *info = trace_info(trace);
	const struct trace_summary *summary = &info->summary;
	fprintf(out, "%" PRIu64 " lines gave %" PRIu64 " ops on %" PRIu32 " caches and %" PRIu32 " ids\n", summary->lines,
	        info->ops, info->caches, info->ids);
	print_rows(out, summary, "Each line is one of", "headers", "left_slab_pages");
	print_rows(out, summary, "Left out", "left_slab_pages", "freed_before_recording");
	print_rows(out, summary, "What could not be seen", "freed_before_recording", "ops");
	print_rows(out, summary, "Processes", "process_ops", "");
	print_machine(out, trace);
}

void trace_report_text(FILE *out, const struct trace *trace)
{
	const struct trace_info *info = trace_info(trace);
	print_name(out, info->source);
	fputs(" (sha256 ", out);
	print_name(out, info->sha256);
	fputs(")\n", out);
	if (info->summary.lines == 0)
		print_made_up(out, info);
	else
		print_recorded(out, trace);
	if (info->caches > 0)
		fprintf(out, "\nCaches\n  %12s  %6s %6s %5s  %-7s %-5s %s\n", "allocs", "size", "given", "align", "flags", "",
		        "name");
	for (uint32_t i = 0; i < info->caches; i++)
		print_cache(out, trace_cache(trace, i));
}

static void print_json_number(FILE *out, const char *key, uint64_t value)
{
	fprintf(out, "\"%s\": %" PRIu64, key, value);
}

static void print_json_cache(FILE *out, const struct trace_cache *cache)
{
	fputs("{\"name\": ", out);
	utf8_print_json(cache->name, out);
	fprintf(out,
	        ", \"named\": %s, \"object_size\": %" PRIu32 ", \"bytes_alloc\": %" PRIu32 ", \"align\": %" PRIu32
	        ", \"flags\": %" PRIu32 ", \"ctor\": %s, \"allocs\": %" PRIu64 "}",
	        cache->named ? "true" : "false", cache->object_size, cache->bytes_alloc, cache->align, cache->flags,
	        cache->ctor ? "true" : "false", cache->allocs);
}

void trace_report_json(FILE *out, const struct trace *trace)
{
	const struct trace_info *info = trace_info(trace);
	const struct trace_fact *facts;
	uint32_t fact_count = trace_facts(trace, &facts);
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {{"version", info->version},
	               {"ops", info->ops},
	               {"ids", info->ids},
	               {"cpus", info->cpus},
	               {"pointer_bits", info->pointer_bits},
	               {"first_ns", info->first_ns},
	               {"last_ns", info->last_ns},
	               {"page_struct_bytes", info->page_struct_bytes},
	               {"end_pfn", info->end_pfn}};
	fputs("{\"source\": ", out);
	utf8_print_json(info->source, out);
	fputs(", \"sha256\": ", out);
	utf8_print_json(info->sha256, out);
	fprintf(out, ", \"allocator\": \"%s\"", allocator_names[info->allocator]);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		fputs(", ", out);
		print_json_number(out, numbers[i].key, numbers[i].value);
	}
	/* As text: numbers of this size lose their last digits in many readers of JSON. */
	fprintf(out, ", \"direct_map\": \"0x%" PRIx64 "\", \"vmemmap\": \"0x%" PRIx64 "\"", info->direct_map, info->vmemmap);
	fputs(",\n \"summary\": {", out);
	for (const struct trace_count *count = trace_counts; count->name; count++) {
		fputs(count == trace_counts ? "" : ", ", out);
		print_json_number(out, count->name, count_of(&info->summary, count));
	}
	fputs("},\n \"facts\": [", out);
	for (uint32_t i = 0; i < fact_count; i++) {
		fputs(i ? ", " : "", out);
		utf8_print_json(facts[i].name, out);
	}
	fputs("],\n \"caches\": [", out);
	for (uint32_t i = 0; i < info->caches; i++) {
		fputs(i ? ",\n  " : "\n  ", out);
		print_json_cache(out, trace_cache(trace, i));
	}
	fputs("]}\n", out);
}

bool trace_check(const char *path, const struct progress *progress, uint64_t *ops, struct error *error)
{
	struct op batch[BATCH_OPS];
	struct trace *trace = trace_open_any(path, progress, error);
	size_t count;
	*ops = 0;
	if (!trace)
		return false;
	do {
		if (!trace_next(trace, batch, BATCH_OPS, &count, error)) {
			trace_close(trace);
			return false;
		}
		*ops += count;
	} while (count > 0);
	struct detail details[BATCH_OPS];
	do {
		if (!trace_next_details(trace, details, BATCH_OPS, &count, error)) {
			trace_close(trace);
			return false;
		}
	} while (count > 0);
	/* The table of contents said how many there are, and was compared with the summary when the file was opened. */
	SIM_ASSERT(*ops == trace_info(trace)->ops);
	trace_close(trace);
	return true;
}
