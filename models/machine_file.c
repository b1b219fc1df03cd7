/* SPDX-License-Identifier: MIT
 *
 * machine_file.c - writes a machine's YAML (interface: machine_file.h).
 */
#include "models/machine_file.h"

#include "models/machine_nodes.h"
#include "sim/setting.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MACHINE_NAME_MAX 64u
#define SOURCE_MAX 64u
#define COMMENT_COLUMNS 124u
/* Bounds of machine.memory, machine.frequency, machine.physical_address_bits and SETTING_LIST_MAX (models/settings.c). */
#define MEMORY_MIN (4ull << 20)
#define MEMORY_MAX (8ull << 40)
#define FREQUENCY_MIN 1000000ull
#define FREQUENCY_MAX 100000000000ull
#define PHYSICAL_BITS_MIN 32u
#define PHYSICAL_BITS_MAX 52u
#define NO_VALUE "none told"

static const char *source_text(const struct machine_source *source, char text[SOURCE_MAX])
{
	int length = snprintf(text, SOURCE_MAX, "CPUID leaf %XH", source->leaf);
	if (source->descriptor)
		snprintf(text + length, SOURCE_MAX - (size_t)length, ", descriptor %02XH", source->descriptor);
	else if (source->subleaf)
		snprintf(text + length, SOURCE_MAX - (size_t)length, ", subleaf %u", source->subleaf);
	return text;
}

static const char *serves_word(enum machine_serves serves)
{
	static const char *const words[] = {[MACHINE_ALL] = "all", [MACHINE_CODE] = "code", [MACHINE_DATA] = "data"};
	return words[serves];
}

/* ---- where CPUID and the kernel disagree ---- */

static const struct machine_cache *host_cache(const struct host_facts *host, const struct machine_cache *cache)
{
	for (unsigned i = 0; i < host->caches_count; i++)
		if (host->caches[i].level == cache->level && host->caches[i].serves == cache->serves)
			return &host->caches[i];
	return NULL;
}

static void compare_number(struct machine_facts *facts, const struct machine_cache *cache, const char *what, uint64_t cpuid,
                           uint64_t kernel)
{
	if (kernel && cpuid != kernel)
		machine_facts_note(facts,
		                   "the level %u cache for %s: CPUID says %" PRIu64 " %s, /sys %" PRIu64 "; CPUID's is taken",
		                   cache->level, serves_word(cache->serves), cpuid, what, kernel);
}

static void compare_cache(struct machine_facts *facts, struct machine_cache *cache, const struct machine_cache *kernel)
{
	const uint64_t lines = cache->size_bytes / cache->line_bytes;
	compare_number(facts, cache, "bytes", cache->size_bytes, kernel->size_bytes);
	compare_number(facts, cache, "ways", cache->ways ? cache->ways : lines, kernel->ways);
	compare_number(facts, cache, "bytes a line", cache->line_bytes, kernel->line_bytes);
	if (kernel->cpus && kernel->cpus != cache->cpus) {
		machine_facts_note(
		        facts,
		        "the level %u cache for %s: CPUID says %u CPUs share it, /sys %u; what /sys says of online CPUs is "
		        "taken",
		        cache->level, serves_word(cache->serves), cache->cpus, kernel->cpus);
		cache->cpus = kernel->cpus;
	}
}

void machine_file_compare(struct machine_facts *facts, const struct host_facts *host)
{
	for (unsigned i = 0; i < facts->caches_count; i++) {
		const struct machine_cache *kernel = host_cache(host, &facts->caches[i]);
		if (kernel)
			compare_cache(facts, &facts->caches[i], kernel);
		else if (host->caches_count)
			machine_facts_note(facts, "the level %u cache for %s, which CPUID tells, is not in /sys",
			                   facts->caches[i].level, serves_word(facts->caches[i].serves));
	}
	if (host->cpus && facts->cpus && host->cpus % facts->cpus)
		machine_facts_note(facts, "CPUID says %u CPUs a package, /sys has %u online; what /sys has is taken", facts->cpus,
		                   host->cpus);
	if (host->nodes_count > MACHINE_NODES_MAX)
		machine_facts_note(facts, "%u NUMA nodes; at most %d can be simulated: machine.nodes is left out",
		                   host->nodes_count, MACHINE_NODES_MAX);
	if (facts->la57 && host->linear_bits && host->linear_bits < 57)
		machine_facts_note(facts, "the processor could walk five levels of tables, its kernel uses four");
}

/* ---- the file ---- */

static void print_comment(const struct machine_file *file, const char *text, FILE *out)
{
	size_t column = 0;
	const size_t width = COMMENT_COLUMNS - strlen(file->indent);
	while (*text) {
		size_t word = strcspn(text, " ");
		if (column == 0 || column + 1 + word > width)
			column = (size_t)fprintf(out, "%s%s#", column ? "\n" : "", file->indent);
		column += (size_t)fprintf(out, " %.*s", (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

/* Takes a mark out of a text, wherever it stands. */
static void take_out(char *text, const char *mark)
{
	for (char *at; (at = strstr(text, mark));)
		memmove(at, at + strlen(mark), strlen(at + strlen(mark)) + 1);
}

/* The brand's words in small letters, joined by dashes: "intel-core-i7-4770". */
static void print_name(const struct machine_facts *facts, FILE *out)
{
	char text[CPUID_BRAND_BYTES + CPUID_VENDOR_BYTES + MACHINE_NAME_MAX];
	if (facts->brand[0])
		snprintf(text, sizeof text, "%s", facts->brand);
	else
		snprintf(text, sizeof text, "%s family %u model %u", facts->vendor, facts->family, facts->model);
	text[strcspn(text, "@")] = '\0';
	take_out(text, "(R)");
	take_out(text, "(TM)");
	take_out(text, " CPU");
	const char *joint = "";
	bool any = false;
	for (const char *at = text; *at; at++) {
		if (!isalnum((unsigned char)*at)) {
			joint = any ? "-" : "";
			continue;
		}
		fprintf(out, "%s%c", joint, tolower((unsigned char)*at));
		joint = "";
		any = true;
	}
	if (!any)
		fputs("x86", out);
}

static bool has_level(const struct machine_facts *facts, unsigned level)
{
	for (unsigned i = 0; i < facts->caches_count; i++)
		if (facts->caches[i].level == level)
			return true;
	return false;
}

static void print_cache_name(const struct machine_facts *facts, const struct machine_cache *cache, FILE *out)
{
	const char *side = cache->serves == MACHINE_CODE ? "i" : cache->serves == MACHINE_DATA ? "d" : "";
	if (cache->level >= 3 && cache->serves == MACHINE_ALL && !has_level(facts, cache->level + 1))
		fputs("llc", out);
	else
		fprintf(out, "l%u%s", cache->level, side);
}

static void print_size(uint64_t bytes, FILE *out)
{
	if (bytes % (1u << 20) == 0)
		fprintf(out, "%" PRIu64 "MiB", bytes >> 20);
	else if (bytes % (1u << 10) == 0)
		fprintf(out, "%" PRIu64 "KiB", bytes >> 10);
	else
		fprintf(out, "%" PRIu64 "B", bytes);
}

static void print_ways(uint32_t ways, FILE *out)
{
	if (ways)
		fprintf(out, " ways=%u", ways);
	else
		fputs(" ways=all", out);
}

/* CPUs of the machine; 0: not told, or more than can be simulated. */
static uint32_t cpus_of(const struct machine_file *file)
{
	uint32_t cpus = file->host && file->host->cpus ? file->host->cpus : file->facts->cpus;
	return cpus <= CPUS_MAX ? cpus : 0;
}

static void print_cache(const struct machine_file *file, const struct machine_cache *cache, FILE *out)
{
	char source[SOURCE_MAX];
	const uint32_t cpus = cpus_of(file);
	fprintf(out, "%s  - ", file->indent);
	print_cache_name(file->facts, cache, out);
	fputs(" size=", out);
	print_size(cache->size_bytes, out);
	print_ways(cache->ways, out);
	if (cache->line_bytes != 64)
		fprintf(out, " line=%uB", cache->line_bytes);
	if (cache->serves != MACHINE_ALL)
		fprintf(out, " serves=%s", serves_word(cache->serves));
	if (cache->cpus > 1 && (cache->cpus == cpus || cache->cpus > CPUS_MAX))
		fputs(" cores=all", out);
	else if (cache->cpus > 1)
		fprintf(out, " cores=%u", cache->cpus);
	if (cache->inclusive || cache->exclusive)
		fprintf(out, " inclusion=%s", cache->inclusive ? "inclusive" : "exclusive");
	fprintf(out, " # %s%s%s\n", source_text(&cache->source, source),
	        cache->exclusive ? "; exclusive: AMD's optimization guides, a victim cache" : "",
	        cache->complex_index ? "; sets by a hash that is not told, here by the lowest bits" : "");
}

static void print_pages(unsigned pages, FILE *out)
{
	static const char *const names[] = {"4K", "2M", "4M", "1G"};
	const char *joint = " pages=";
	for (unsigned i = 0; i < 4; i++)
		if (pages & 1u << i) {
			fprintf(out, "%s%s", joint, names[i]);
			joint = "+";
		}
}

/* "dtlb", "stlb_2m": by side, and by what it holds where it holds no 4 KiB pages; the level where it is not the first. */
static void print_tlb_name(const struct machine_tlb *tlb, FILE *out)
{
	const bool joint = tlb->serves == MACHINE_ALL;
	fputs(tlb->serves == MACHINE_CODE ? "itlb" : !joint ? "dtlb" : tlb->level == 1 ? "tlb" : "stlb", out);
	if (tlb->level > (joint ? 2u : 1u))
		fprintf(out, "%u", tlb->level);
	if (!(tlb->pages & MACHINE_4K))
		fputs(tlb->pages & MACHINE_2M ? "_2m" : tlb->pages & MACHINE_4M ? "_4m" : "_1g", out);
}

static void print_tlb(const struct machine_file *file, const struct machine_tlb *tlb, FILE *out)
{
	char source[SOURCE_MAX];
	fprintf(out, "%s  - ", file->indent);
	print_tlb_name(tlb, out);
	if (tlb->level > 1)
		fprintf(out, " level=%u", tlb->level);
	fprintf(out, " entries=%u", tlb->entries);
	print_ways(tlb->ways, out);
	if (tlb->pages != MACHINE_4K)
		print_pages(tlb->pages, out);
	if (tlb->serves != MACHINE_ALL)
		fprintf(out, " serves=%s", serves_word(tlb->serves));
	const bool measured = file->latencies && file->latencies->last_tlb && tlb->level == 2 && tlb->serves != MACHINE_CODE;
	if (measured)
		fprintf(out, " latency=%u", file->latencies->last_tlb);
	fprintf(out, " # %s%s\n", source_text(&tlb->source, source), measured ? "; latency measured" : "");
}

static void print_frequency(const struct machine_file *file, FILE *out)
{
	const struct machine_facts *facts = file->facts;
	char source[SOURCE_MAX], number[SETTING_NUMBER_MAX];
	uint64_t hz = facts->frequency_hz;
	source_text(&facts->frequency_source, source);
	if (hz == 0 && file->host && file->host->frequency_hz) {
		hz = file->host->frequency_hz;
		snprintf(source, sizeof source, "the kernel: %s", file->host->frequency_source);
	}
	if (file->latencies && file->latencies->frequency_hz) {
		hz = file->latencies->frequency_hz;
		snprintf(source, sizeof source, "measured: a chain of additions, one a cycle");
	}
	if (hz >= FREQUENCY_MIN && hz <= FREQUENCY_MAX)
		fprintf(out, "%sfrequency: %s # %s\n", file->indent, setting_number_text(SETTING_FREQUENCY, hz, number), source);
}

static void print_memory(const struct machine_file *file, FILE *out)
{
	const struct host_facts *host = file->host;
	char number[SETTING_NUMBER_MAX];
	if (!host || host->ram_count == 0)
		return;
	const uint64_t end = (host->ram[host->ram_count - 1].last + 1) & ~(uint64_t)(PAGE_SIZE - 1);
	if (end < MEMORY_MIN || end > MEMORY_MAX)
		return;
	fprintf(out, "%smemory: %s # /sys/firmware/memmap: the end of System RAM\n", file->indent,
	        setting_number_text(SETTING_SIZE, end, number));
	if (host->ram_count == 1 || host->ram_count > SETTING_LIST_MAX)
		return;
	fprintf(out, "%sreserved: # /sys/firmware/memmap: between System RAM\n", file->indent);
	for (unsigned i = 1; i < host->ram_count; i++)
		fprintf(out, "%s  - %" PRIx64 "-%" PRIx64 "\n", file->indent, host->ram[i - 1].last + 1, host->ram[i].first - 1);
}

static void print_nodes(const struct machine_file *file, FILE *out)
{
	const struct host_facts *host = file->host;
	if (!host || host->nodes_count < 2 || host->nodes_count > MACHINE_NODES_MAX || cpus_of(file) == 0)
		return;
	fprintf(out, "%snodes: # /sys/devices/system/node; the last one has the rest of memory\n", file->indent);
	for (unsigned i = 0; i < host->nodes_count; i++) {
		const struct host_node *node = &host->nodes[i];
		fprintf(out, "%s  - \"", file->indent);
		if (i + 1 < host->nodes_count)
			fprintf(out, "memory=%" PRIu64 " KiB ", node->memory_bytes >> 10);
		fprintf(out, "cpus=%s\"\n", node->cpus[0] ? node->cpus : "none");
	}
	fprintf(out, "%sdistances: # /sys/devices/system/node\n", file->indent);
	for (unsigned i = 0; i < host->nodes_count; i++)
		fprintf(out, "%s  - \"%s\"\n", file->indent, host->nodes[i].distances);
}

static void print_cpus(const struct machine_file *file, FILE *out)
{
	const struct machine_facts *facts = file->facts;
	const uint32_t cpus = cpus_of(file);
	char source[SOURCE_MAX];
	if (cpus == 0)
		return;
	bool from_kernel = file->host && file->host->cpus;
	fprintf(out, "%scpus: %u # %s", file->indent, cpus,
	        from_kernel ? "/sys/devices/system/cpu/online" : source_text(&facts->cpus_source, source));
	if (facts->threads > 1)
		fprintf(out, "; %u threads a core: neighbours by number here, whatever numbers they have there", facts->threads);
	fputc('\n', out);
}

static void print_translation(const struct machine_file *file, FILE *out)
{
	const struct machine_facts *facts = file->facts;
	const unsigned linear = file->host ? file->host->linear_bits : 0;
	const bool five = facts->la57 && (linear == 0 || linear >= 57);
	fprintf(out, "%spaging: %s # CPUID leaf 7H: la57 %s%s\n", file->indent, five ? "x86_5level" : "x86_4level",
	        facts->la57 ? "yes" : "no", facts->la57 && !five ? "; /proc/cpuinfo: four levels in use" : "");
	if (facts->physical_bits >= PHYSICAL_BITS_MIN && facts->physical_bits <= PHYSICAL_BITS_MAX)
		fprintf(out, "%sphysical_address_bits: %u # CPUID leaf 80000008H\n", file->indent, facts->physical_bits);
	fprintf(out, "%sgigabyte_pages: %s # CPUID leaf 80000001H\n", file->indent, facts->gigabyte_pages ? "true" : "false");
	fprintf(out, "%s# CPUID leaves 1H, 7H, 80000001H: nx %s, pcid %s, smep %s, smap %s\n", file->indent,
	        facts->nx ? "yes" : "no", facts->pcid ? "yes" : "no", facts->smep ? "yes" : "no", facts->smap ? "yes" : "no");
	if (facts->hypervisor)
		fprintf(out, "%s# virtualized: %s # CPUID leaf 1H: a hypervisor; for runs of accesses, which can be a guest's\n",
		        file->indent, machine_facts_nesting(facts));
}

static void print_latencies(const struct machine_file *file, FILE *out)
{
	const struct machine_latencies *latencies = file->latencies;
	if (!latencies) {
		print_comment(file,
		              "Latencies are in no leaf: `kmemsim machine measure` finds them; until then they are the defaults.",
		              out);
		return;
	}
	const struct {
		const char *key;
		uint32_t cycles;
	} rows[] = {{"l1", latencies->l1}, {"l2", latencies->l2}, {"llc", latencies->llc}, {"dram", latencies->dram}};
	fprintf(out, "%slatency: # measured by `kmemsim machine measure`\n", file->indent);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].cycles)
			fprintf(out, "%s  %s: %u cycles\n", file->indent, rows[i].key, rows[i].cycles);
	if (latencies->dram_picoseconds)
		fprintf(out,
		        "%sdram: # measured, without the last level's lookup\n%s  model: fixed\n%s  latency: %" PRIu64 " ps\n",
		        file->indent, file->indent, file->indent, latencies->dram_picoseconds);
}

static void print_head(const struct machine_file *file, FILE *out)
{
	const struct machine_facts *facts = file->facts;
	char *title = xasprintf("%s%sfamily %u model %u stepping %u of %s, as CPUID%s tells it", facts->brand,
	                        facts->brand[0] ? ", " : "", facts->family, facts->model, facts->stepping,
	                        facts->vendor[0] ? facts->vendor : NO_VALUE, file->host ? " and the kernel" : "");
	print_comment(file, title, out);
	free(title);
	for (unsigned i = 0; i < facts->notes_count; i++) {
		fprintf(out, "%s#\n", file->indent);
		print_comment(file, facts->notes[i], out);
	}
}

void machine_file_print(const struct machine_file *file, FILE *out)
{
	const struct machine_facts *facts = file->facts;
	print_head(file, out);
	fprintf(out, "%sname: ", file->indent);
	print_name(facts, out);
	fprintf(out, " # CPUID leaf 80000002H\n");
	print_frequency(file, out);
	print_cpus(file, out);
	print_memory(file, out);
	print_nodes(file, out);
	fprintf(out, "%scache_line: %u B # of its first cache\n", file->indent, facts->caches[0].line_bytes);
	fprintf(out, "%smemory_model: %s\n%scaches:\n", file->indent, file->latencies ? "timed" : "hierarchy", file->indent);
	for (unsigned i = 0; i < facts->caches_count; i++)
		print_cache(file, &facts->caches[i], out);
	if (facts->tlbs_count)
		fprintf(out, "%stlbs:\n", file->indent);
	for (unsigned i = 0; i < facts->tlbs_count; i++)
		print_tlb(file, &facts->tlbs[i], out);
	print_translation(file, out);
	print_latencies(file, out);
}
