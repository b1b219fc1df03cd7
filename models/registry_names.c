/* SPDX-License-Identifier: MIT
 *
 * registry_names.c - the names that settings may have, from the registry and the report (interface: registry_names.h).
 */
#include "models/registry_names.h"

#include "models/registry.h"
#include "models/settings.h"
#include "sim/report.h"

#include <stdlib.h>

/* The lists end with one whose `of` is NULL, names with NULL. */
struct name_lists {
	struct setting_names *at;
	size_t lists, names; /* names: of the last list */
};

static void begin_names(struct name_lists *lists, const char *of)
{
	lists->at = xrealloc(lists->at, (lists->lists + 2) * sizeof *lists->at);
	lists->at[lists->lists++] = (struct setting_names){of, xcalloc(1, sizeof *lists->at->names)};
	lists->at[lists->lists] = (struct setting_names){0};
	lists->names = 0;
}

static void add_name(struct name_lists *lists, const char *name)
{
	struct setting_names *last = &lists->at[lists->lists - 1];
	const char **names = xrealloc((void *)(uintptr_t)last->names, (lists->names + 2) * sizeof *names);
	names[lists->names++] = name;
	names[lists->names] = NULL;
	last->names = names;
}

/* Those of the models in a table of the registry. */
#define ADD_MODELS(lists, port) \
	for (const struct port##_model *model = port##_models; model->ops; model++) \
	add_name(lists, model->ops->name)

struct setting_names *registry_names(void)
{
	struct name_lists lists = {0};
	begin_names(&lists, "object_allocator");
	ADD_MODELS(&lists, object_allocator);
	begin_names(&lists, "page_allocator");
	ADD_MODELS(&lists, page_allocator);
	begin_names(&lists, "virtual_allocator");
	ADD_MODELS(&lists, virtual_allocator);
	begin_names(&lists, "user_memory");
	ADD_MODELS(&lists, user_memory);
	begin_names(&lists, "memory");
	ADD_MODELS(&lists, memory);
	begin_names(&lists, "replacement");
	ADD_MODELS(&lists, replacement);
	begin_names(&lists, "dram");
	ADD_MODELS(&lists, dram);
	begin_names(&lists, "cache_level");
	ADD_MODELS(&lists, cache_level);
	begin_names(&lists, "translation");
	add_name(&lists, PAGING_AUTO);
	ADD_MODELS(&lists, translation);
	begin_names(&lists, "report");
	for (size_t i = 0; report_pictures[i].name; i++)
		add_name(&lists, report_pictures[i].name);
	return lists.at;
}

void registry_names_release(struct setting_names *names)
{
	for (struct setting_names *kind = names; kind->of; kind++)
		free((void *)(uintptr_t)kind->names);
	free(names);
}
