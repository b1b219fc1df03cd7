/* SPDX-License-Identifier: MIT
 *
 * fuzz_scenario.c - any bytes as a scenario: refused with words, or loaded so that the printed settings load to the same
 * settings. Run from the source folder: names of machines and kernels are looked for in configs/.
 */
#include "models/scenario.h"
#include "models/settings_doc.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const config_dirs[] = {"configs", NULL};

static void check_reads_back(const struct scenario_source *source, const struct settings *settings)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	SIM_ASSERT(out);
	settings_print_yaml(settings, out);
	fclose(out);
	struct settings again;
	struct error error = {0};
	bool loaded = scenario_parse(source, text, length, &again, &error);
	SIM_ASSERT(loaded);
	for (const struct setting *row = settings_table(); row->key; row++)
		SIM_ASSERT(setting_equal(row, settings, &again));
	settings_release(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct scenario_source source = {.path = "fuzz.yaml", .config_dirs = config_dirs};
	struct settings settings;
	struct error error = {0};
	if (!scenario_parse(&source, (const char *)data, size, &settings, &error)) {
		SIM_ASSERT(error.kind != ERROR_NONE && error.text[0]);
		return 0;
	}
	check_reads_back(&source, &settings);
	settings_release(&settings);
	return 0;
}
