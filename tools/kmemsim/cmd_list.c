/* SPDX-License-Identifier: MIT
 *
 * cmd_list.c - `kmemsim list`: what there is to choose from. Everything is read from the tables that the program itself works by.
 */
#include "models/access_workload.h"
#include "models/page_reclaim/page_lru.h"
#include "models/registry.h"
#include "models/registry_names.h"
#include "models/scenario.h"
#include "models/settings_doc.h"
#include "models/virtual_allocator/kmap.h"
#include "sim/address_space.h"
#include "sim/core.h"
#include "sim/kernel_map.h"
#include "sim/mmu.h"
#include "sim/nearest.h"
#include "sim/port/access_source.h"
#include "sim/replay.h"
#include "sim/setting.h"
#include "tools/kmemsim/command.h"
#include "tools/kmemsim/configs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_FORMAT = 256 };

static const struct argp_option list_options[] = {
        {"format", OPTION_FORMAT, "text|schema|markdown", 0,
         "Form of `list settings`: lines, configs/schema.json for editors, or the reference page docs/settings.md", 0},
        {0},
};

struct list_options {
	const char *what, *format;
};

static void print_ports(void)
{
	puts("page_allocator     hands out blocks of page frames                       models/page_allocator/");
	puts("page_reclaimer     pages of user memory and files by age: reclaim, swap  models/page_reclaim/");
	puts("page_mapper        an address for a page of high memory: kmap            models/virtual_allocator/");
	puts("object_allocator   hands out objects: caches and kmalloc                 models/object_allocator/");
	puts("virtual_allocator  hands out ranges of kernel addresses: vmalloc         models/virtual_allocator/");
	puts("user_memory        processes, their areas, page faults and switches      models/user_memory/");
	puts("memory             says what an access of a core costs                   models/memory/");
	puts("dram               says when a line of main memory arrives               models/dram/");
	puts("cache_level        one cache, with all its instances                     models/cache_level/");
	puts("replacement        sets of ways, and which one a new tag gets            models/replacement/");
	puts("translation        paging modes: formats of page tables                  models/translation/");
	puts("tlb_level          one array of a core's TLBs                            models/tlb_level/");
	puts("access_source      accesses of a recorded program, by format             sim/io/");
	puts("workload           makes a load that nobody recorded                     models/workload/");
}

static void print_models(void)
{
	for (const struct page_allocator_model *model = page_allocator_models; model->ops; model++)
		printf("page_allocator     %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct object_allocator_model *model = object_allocator_models; model->ops; model++)
		printf("object_allocator   %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct virtual_allocator_model *model = virtual_allocator_models; model->ops; model++)
		printf("virtual_allocator  %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct user_memory_model *model = user_memory_models; model->ops; model++)
		printf("user_memory        %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct memory_model *model = memory_models; model->ops; model++)
		printf("memory             %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct dram_model *model = dram_models; model->ops; model++)
		printf("dram               %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct cache_level_model *model = cache_level_models; model->ops; model++)
		printf("cache_level        %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct replacement_model *model = replacement_models; model->ops; model++)
		printf("replacement        %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct translation_model *model = translation_models; model->ops; model++)
		printf("translation        %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct tlb_level_model *model = tlb_level_models; model->ops; model++)
		printf("tlb_level          %-14s  %s\n", model->ops->name, model->ops->help);
	for (const struct workload_model *model = workload_models; model->ops; model++)
		printf("workload           %-14s  %s\n", model->ops->name, model->ops->help);
}

static void print_metric_rows(const char *component, const struct metric *metrics)
{
	for (const struct metric *metric = metrics; metric && metric->name; metric++)
		printf("%-24s  %-32s  %-7s  %-6s  %s\n", component, metric->name,
		       metric->kind == METRIC_GAUGE ? "gauge" : "counter", metric->unit, metric->help);
}

static void print_component(const char *port, const char *name, const struct metric *metrics)
{
	char *component = xasprintf("%s/%s", port, name);
	print_metric_rows(component, metrics);
	free(component);
}

static void print_metrics(void)
{
	print_metric_rows("replay", replay_metrics);
	print_metric_rows("follow_pages", follow_pages_metrics);
	print_metric_rows("core", core_metrics);
	print_metric_rows("mmu", mmu_metrics);
	print_metric_rows("walker", walker_metrics);
	print_metric_rows("tlb_level", tlb_metrics);
	print_metric_rows("address_space", address_space_metrics);
	print_metric_rows("kernel_map", kernel_map_metrics);
	print_metric_rows("page_mapper", kmap_metrics);
	print_metric_rows("page_lru", lru_metrics);
	for (const struct page_allocator_model *model = page_allocator_models; model->ops; model++)
		print_component("page_allocator", model->ops->name, model->ops->metrics);
	for (const struct object_allocator_model *model = object_allocator_models; model->ops; model++)
		print_component("object_allocator", model->ops->name, model->ops->metrics);
	for (const struct virtual_allocator_model *model = virtual_allocator_models; model->ops; model++)
		print_component("virtual_allocator", model->ops->name, model->ops->metrics);
	for (const struct user_memory_model *model = user_memory_models; model->ops; model++)
		print_component("user_memory", model->ops->name, model->ops->metrics);
	for (const struct memory_model *model = memory_models; model->ops; model++)
		print_component("memory", model->ops->name, model->ops->metrics);
	for (const struct dram_model *model = dram_models; model->ops; model++)
		print_component("dram", model->ops->name, model->ops->metrics);
}

static void print_configs(const char *kind)
{
	struct config_list list;
	config_list_init(&list, config_dirs(), kind);
	for (size_t index = 0; index < list.count; index++)
		printf("%-24s  %s\n", list.at[index].name, list.at[index].about ? list.at[index].about : "");
	config_list_release(&list);
}

static bool print_settings(const char *format, struct error *error)
{
	struct setting_names *names = registry_names();
	bool known = true;
	if (!format || strcmp(format, "text") == 0)
		settings_print_list(names, stdout);
	else if (strcmp(format, "schema") == 0)
		settings_print_schema(names, stdout);
	else if (strcmp(format, "markdown") == 0)
		settings_print_markdown(names, stdout);
	else
		known = error_set(error, ERROR_USAGE, "--format: found '%s', expected text, schema or markdown", format);
	registry_names_release(names);
	return known;
}

static void print_formats(void)
{
	const char *name, *help;
	for (size_t index = 0; (name = access_source_format(index, &help)); index++)
		printf("%-10s  %s\n", name, help);
}

static void print_line_keys(const char *name, const char *help, const struct setting *keys)
{
	printf("%s: %s\n", name, help);
	for (const struct setting *key = keys + 1; key->key; key++)
		printf("    %-12s %-12s %s\n", key->key, key->default_text, key->help);
}

/* Each workload, and the keys of its line; then those of accesses. */
static void print_workloads(void)
{
	for (const struct workload_model *model = workload_models; model->ops; model++)
		print_line_keys(model->ops->name, model->ops->help, model->ops->keys);
	puts("\nAccesses (access_workload):");
	const char *name, *help;
	const struct setting *keys;
	for (size_t index = 0; (name = access_workload_pattern(index, &help, &keys)); index++)
		print_line_keys(name, help, keys);
}

static const char *const things[] = {"ports",   "models",    "settings", "metrics",   "machines",
                                     "kernels", "scenarios", "formats",  "workloads", NULL};

static bool print_thing(const struct list_options *options, struct error *error)
{
	const char *what = options->what;
	if (strcmp(what, "ports") == 0)
		print_ports();
	else if (strcmp(what, "models") == 0)
		print_models();
	else if (strcmp(what, "settings") == 0)
		return print_settings(options->format, error);
	else if (strcmp(what, "workloads") == 0)
		print_workloads();
	else if (strcmp(what, "metrics") == 0)
		print_metrics();
	else if (strcmp(what, "machines") == 0 || strcmp(what, "kernels") == 0 || strcmp(what, "scenarios") == 0)
		print_configs(what);
	else if (strcmp(what, "formats") == 0)
		print_formats();
	else {
		struct nearest nearest;
		nearest_start(&nearest, what);
		for (const char *const *thing = things; *thing; thing++)
			nearest_offer(&nearest, *thing);
		const char *meant = nearest_found(&nearest);
		return error_set(error, ERROR_USAGE,
		                 "list: found '%s', expected ports, models, settings, metrics, machines, kernels, scenarios, "
		                 "formats or workloads%s%s%s",
		                 what, meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
	}
	return true;
}

static int parse(int key, char *argument, void *input, struct error *error)
{
	struct list_options *options = input;
	(void)error;
	switch (key) {
	case OPTION_FORMAT:
		options->format = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (options->what)
			return ARGP_ERR_UNKNOWN;
		options->what = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int run(const struct command *command, int argc, char **argv)
{
	struct list_options options = {0};
	struct error error = {0};
	const struct command_line line = {command, parse, &options, &error};
	if (!command_parse(&line, argc, argv))
		return command_failed(&error);
	if (!options.what)
		options.what = "models";
	if (!print_thing(&options, &error))
		return command_failed(&error);
	return EXIT_SUCCESS;
}

const struct command command_list = {
        .name = "list",
        .arguments = "[ports|models|settings|metrics|machines| kernels|scenarios|formats|workloads]",
        .summary = "Show what there is to choose from",
        .help = "  kmemsim list settings                     every key, default and range\n"
                "  kmemsim list settings --format markdown   the same as a page, with sources\n"
                "  kmemsim list formats                      what access traces may be in\n"
                "  kmemsim list workloads                    loads that can be made up, and the keys of each\n",
        .options = list_options,
        .run = run,
};
