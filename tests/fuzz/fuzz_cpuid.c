/* SPDX-License-Identifier: MIT
 *
 * fuzz_cpuid.c - any bytes as a CPUID table. What is read must print and read back the same; what decodes must make a machine
 * file that a scenario takes.
 */
#include "models/machine_file.h"
#include "models/mmu_settings.h"
#include "models/scenario.h"
#include "sim/cpuid.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* TLBs of more entries than this are read but not made: memory stays bounded. */
#define ENTRIES_MAX 100000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printed(const struct cpuid_table *table)
{
	struct cpuid_table again = {0};
	struct error error = {0};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	cpuid_print(table, out);
	fclose(out);
	bool read = cpuid_read(&again, "printed", text, length, &error);
	SIM_ASSERT(read && again.count == table->count && memcmp(again.at, table->at, table->count * sizeof *table->at) == 0);
	cpuid_release(&again);
	free(text);
}

static void check_tlbs(const struct machine_facts *facts, struct settings *settings)
{
	uint64_t entries = 0;
	for (unsigned i = 0; i < facts->tlbs_count; i++)
		entries += facts->tlbs[i].entries;
	if (entries > ENTRIES_MAX)
		return;
	struct mmus mmus;
	struct error error = {0};
	settings->machine.cpus = 1;
	bool made = mmus_create(&mmus, settings, 1, &error);
	SIM_ASSERT(made);
	mmus_release(&mmus);
}

static void check_file(const struct machine_facts *facts)
{
	const struct machine_file file = {.facts = facts, .indent = "  "};
	const struct scenario_source source = {.path = "fuzz.yaml"};
	struct settings settings;
	struct error error = {0};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	fputs("machine:\n", out);
	machine_file_print(&file, out);
	fclose(out);
	bool parsed = scenario_parse(&source, text, length, &settings, &error);
	if (!parsed)
		fprintf(stderr, "%s\n%s", error.text, text);
	SIM_ASSERT(parsed && settings.machine.caches_count == facts->caches_count);
	check_tlbs(facts, &settings);
	settings_release(&settings);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cpuid_table table = {0};
	struct machine_facts facts;
	struct error error = {0};
	if (!cpuid_read(&table, "fuzz", (const char *)data, size, &error))
		return 0;
	check_printed(&table);
	if (machine_facts_decode(&table, &facts, &error)) {
		check_file(&facts);
		machine_facts_release(&facts);
	}
	cpuid_release(&table);
	return 0;
}
