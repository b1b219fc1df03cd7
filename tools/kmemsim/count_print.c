/* SPDX-License-Identifier: MIT
 *
 * count_print.c - what `kmemsim count` counted, as a table and as JSON (interface: count.h; keys: docs/counting.md).
 */
#include "tools/kmemsim/count.h"

#include <inttypes.h>

/* "1,234,567"; returns text */
#define GROUPED_MAX 32
static const char *grouped(uint64_t value, char text[GROUPED_MAX])
{
	char digits[GROUPED_MAX];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, value), at = 0;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return text;
}

uint64_t count_accesses(const struct count_level *level)
{
	return access_sum(level->accesses) - level->own_prefetches;
}

uint64_t count_misses(const struct count_level *level)
{
	return access_sum(level->misses) - level->own_prefetch_misses;
}

/* ---- text ---- */

static void print_line(const char *name, const char *kind, uint64_t accesses, uint64_t misses, FILE *out)
{
	char accesses_text[GROUPED_MAX], misses_text[GROUPED_MAX];
	fprintf(out, "%-6s %-11s %18s %18s", name, kind, grouped(accesses, accesses_text), grouped(misses, misses_text));
	if (accesses > 0)
		fprintf(out, " %8.2f %%", 100.0 * (double)misses / (double)accesses);
	fputc('\n', out);
}

static void print_level(const struct count_level *level, FILE *out)
{
	char text[GROUPED_MAX];
	fprintf(out, "\n%-6s %s\n", level->name, level->geometry);
	print_line("", "all", count_accesses(level), count_misses(level), out);
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		if (level->accesses[kind] > 0 && level->accesses[kind] != count_accesses(level))
			print_line("", access_kind_name(kind), level->accesses[kind], level->misses[kind], out);
	if (!level->is_tlb)
		fprintf(out, "%-6s %-11s %18s\n", "", "write-backs", grouped(level->write_backs, text));
}

static const char *const entry_names[PAGING_LEVELS_MAX] = {"pte", "pde", "pdpte", "pml4e", "pml5e"};

static void print_walks(const struct count_result *result, FILE *out)
{
	char text[GROUPED_MAX];
	fprintf(out, "\n%-18s %18s\n", "walks", grouped(result->walks, text));
	for (unsigned level = 0; level < PAGING_LEVELS_MAX; level++)
		if (result->walk_reads[level] > 0)
			fprintf(out, "%-6s %-11s %18s\n", "", entry_names[level], grouped(result->walk_reads[level], text));
	fprintf(out, "%-6s %-11s %18s\n", "", "bits set", grouped(result->walk_stores, text));
	fprintf(out, "%-18s %18s\n", "pages touched", grouped(result->first_touches, text));
	if (result->refused > 0)
		fprintf(out, "%-18s %18s (to addresses that x86-64 does not have)\n", "refused", grouped(result->refused, text));
}

void count_print_text(const struct count_request *request, const struct count_result *result, FILE *out)
{
	char text[GROUPED_MAX];
	fprintf(out, "%s: %s accesses", request->trace, grouped(result->records, text));
	const char *before = ": ";
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
		if (result->kinds[kind] == 0)
			continue;
		fprintf(out, "%s%s %s", before, grouped(result->kinds[kind], text), access_kind_name(kind));
		before = ", ";
	}
	fprintf(out, "%s\n", result->interrupted ? " (interrupted: the rest of the trace was not read)" : "");
	if (result->levels > 0)
		fprintf(out, "\n%-6s %-11s %18s %18s %10s\n", "level", "kind", "accesses", "misses", "misses");
	for (unsigned level = 0; level < result->levels; level++)
		print_level(&result->level[level], out);
	if (result->has_walks)
		print_walks(result, out);
	if (!result->has_caches)
		return;
	fprintf(out, "\n%-18s %18s lines read\n", "memory", grouped(result->memory_reads, text));
	fprintf(out, "%-18s %18s lines written\n", "", grouped(result->memory_writes, text));
}

/* ---- JSON ---- */

static void print_key(const char *level, const char *kind, const char *what, uint64_t value, FILE *out)
{
	fprintf(out, ",\n  \"%s%s%s.%s\": %" PRIu64, level, kind ? "." : "", kind ? kind : "", what, value);
}

/* What a program's accesses turn into. A TLB sees no line that leaves and no walker. */
static bool is_seen(const struct count_level *level, unsigned kind)
{
	if (kind == ACCESS_MODIFY)
		return level->accesses[kind] > 0;
	return !level->is_tlb || kind == ACCESS_CODE || kind == ACCESS_LOAD || kind == ACCESS_STORE;
}

void count_print_json(const struct count_result *result, FILE *out)
{
	fprintf(out, "{\n  \"complete\": %s", result->interrupted ? "false" : "true");
	print_key("trace", NULL, "accesses", result->records, out);
	for (unsigned kind = 0; kind <= ACCESS_MODIFY; kind++)
		print_key("trace", access_kind_name(kind), "accesses", result->kinds[kind], out);
	print_key("trace", NULL, "flushes", result->flushes, out);
	for (unsigned i = 0; i < result->levels; i++) {
		const struct count_level *level = &result->level[i];
		print_key(level->name, NULL, "accesses", count_accesses(level), out);
		print_key(level->name, NULL, "misses", count_misses(level), out);
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
			if (!is_seen(level, kind))
				continue;
			print_key(level->name, access_kind_name(kind), "accesses", level->accesses[kind], out);
			print_key(level->name, access_kind_name(kind), "misses", level->misses[kind], out);
		}
		if (!level->is_tlb)
			print_key(level->name, NULL, "write_backs", level->write_backs, out);
	}
	if (result->has_walks) {
		print_key("walk", NULL, "walks", result->walks, out);
		for (unsigned level = 0; level < PAGING_LEVELS_MAX; level++)
			print_key("walk", entry_names[level], "reads", result->walk_reads[level], out);
		print_key("walk", NULL, "stores", result->walk_stores, out);
		print_key("walk", NULL, "first_touches", result->first_touches, out);
		print_key("walk", NULL, "refused", result->refused, out);
	}
	if (result->has_caches) {
		print_key("memory", NULL, "reads", result->memory_reads, out);
		print_key("memory", NULL, "writes", result->memory_writes, out);
	}
	fputs("\n}\n", out);
}
