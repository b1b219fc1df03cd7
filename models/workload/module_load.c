/* SPDX-License-Identifier: MIT
 *
 * module_load.c - kernel modules that are loaded, and unloaded when `live` are there.
 *
 * A step is a module, in the order of load_module() (Linux 6.1, kernel/module/main.c, sysfs.c): a copy of the file by vmalloc,
 * the module's own pages by vmalloc, its arguments, directories and attributes in sysfs (a kernfs_node each, with a name by
 * kmalloc), the tables of its sections and notes; then the copy is freed. All but that lives as long as the module.
 *
 * MODEL: sizes of modules and numbers of their sections vary evenly between one half and three halves of the given ones.
 */
#include "models/kernel_load.h"
#include "sim/port/virtual_allocator.h"

#include <stdlib.h>

extern const struct workload_ops workload_module_load_ops;

struct module_load {
	char *name;
	struct load_pace pace;
	uint32_t live, pages, sections, parameters;
};

#define AT(field) .offset = offsetof(struct module_load, field), .size = sizeof(((struct module_load *)0)->field)
#define DRIVER "estimate: a driver of middle size"

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct module_load, "module_load"),
        LOAD_PACE_KEYS(struct module_load, "modules", "20", "100"),
        {.key = "live",
         .type = SETTING_COUNT,
         .unit = "modules",
         .default_text = "60",
         .min = 1,
         .max = 1000000,
         .help = "Modules that are loaded at once; then the oldest goes for each new one",
         .source = "estimate: lsmod of a desktop tells 100 to 200, a server 60",
         AT(live)},
        {.key = "pages",
         .type = SETTING_COUNT,
         .unit = "pages",
         .default_text = "16",
         .min = 1,
         .max = 4096,
         .help = "Pages of a module",
         .source = DRIVER,
         AT(pages)},
        {.key = "sections",
         .type = SETTING_COUNT,
         .unit = "sections",
         .default_text = "30",
         .min = 1,
         .max = 1000,
         .help = "Sections of a module that sysfs shows",
         .source = DRIVER,
         AT(sections)},
        {.key = "parameters",
         .type = SETTING_COUNT,
         .unit = "parameters",
         .default_text = "4",
         .min = 0,
         .max = 1000,
         .help = "Parameters of a module",
         .source = DRIVER,
         AT(parameters)},
        {.key = NULL},
};

/* Sizes from Linux 6.1's structures for x86-64. */
#define SECTION_BYTES 72         /* struct module_sect_attr: bin_attribute and address */
#define SECTIONS_HEAD_BYTES 48   /* struct module_sect_attrs before its sections */
#define NAME_BYTES 16            /* a section's name; most have 8 to 20 letters */
#define ARGUMENTS_BYTES 8        /* strndup_user() of mostly empty arguments */
#define KOBJECT_BYTES 64         /* struct kobject, include/linux/kobject.h, for holders and notes */
#define PARAMETER_BYTES 64       /* struct param_attribute, kernel/params.c */
#define PARAMETERS_HEAD_BYTES 48 /* struct module_param_attrs before its parameters */
#define DIRECTORIES 5            /* the module's, holders, notes, parameters, sections */
#define ATTRIBUTES 7             /* modinfo_attrs: coresize, initsize, initstate, refcnt, srcversion, taint, uevent */

struct kinds {
	workload_kind arguments, node, node_name, section_name, kobject, parameters;
};

struct state {
	struct workload *workload;
	const struct module_load *values;
	struct kinds kinds;
	struct block_list *modules; /* a ring */
	uint64_t loaded, unloaded;
};

static void *begin(struct workload *workload, const void *opaque)
{
	const struct module_load *values = opaque;
	struct state *state = xcalloc(1, sizeof *state);
	state->workload = workload;
	state->values = values;
	state->kinds =
	        (struct kinds){.arguments = workload_kmalloc(workload, "strndup_user", ARGUMENTS_BYTES, GFP_USER | __GFP_NOWARN),
	                       .node = kernel_object(workload, CACHE_KERNFS_NODE, "__kernfs_new_node", GFP_KERNEL | __GFP_ZERO),
	                       .node_name = workload_kmalloc(workload, "kstrdup_const", NAME_BYTES, GFP_KERNEL),
	                       .section_name = workload_kmalloc(workload, "add_sect_attrs", NAME_BYTES, GFP_KERNEL),
	                       .kobject = workload_kmalloc(workload, "kobject_create", KOBJECT_BYTES, GFP_KERNEL | __GFP_ZERO),
	                       .parameters = workload_kmalloc(workload, "add_sysfs_param",
	                                                      PARAMETERS_HEAD_BYTES + values->parameters * PARAMETER_BYTES,
	                                                      GFP_KERNEL | __GFP_ZERO)};
	state->modules = xcalloc(values->live, sizeof *state->modules);
	return state;
}

/* Between one half and three halves of that, evenly. */
static uint32_t vary(struct state *state, uint32_t number)
{
	return number - number / 2 + rng_below(workload_rng(state->workload), number / 2 * 2 + 1);
}

/* Files and directories of /sys/module/NAME. */
static void add_nodes(struct state *state, struct block_list *module, unsigned cpu, uint32_t count)
{
	for (uint32_t node = 0; node < count; node++) {
		block_list_alloc(module, state->workload, cpu, state->kinds.node_name, 1);
		block_list_alloc(module, state->workload, cpu, state->kinds.node, 1);
	}
}

static void add_sections(struct state *state, struct block_list *module, unsigned cpu, uint32_t sections)
{
	struct workload *workload = state->workload;
	uint32_t bytes = SECTIONS_HEAD_BYTES + sections * SECTION_BYTES;
	workload_kind table = workload_kmalloc(workload, "add_sect_attrs", bytes, GFP_KERNEL | __GFP_ZERO);
	block_list_alloc(module, workload, cpu, table, 1);
	block_list_alloc(module, workload, cpu, state->kinds.section_name, sections);
	add_nodes(state, module, cpu, sections);
}

static void load_module(struct state *state, struct block_list *module, unsigned cpu)
{
	struct workload *workload = state->workload;
	struct block_list copy = {0};
	uint32_t pages = vary(state, state->values->pages);
	uint32_t bytes = pages * PAGE_SIZE;
	workload_kind copied = workload_vmalloc(workload, "copy_module_from_user", bytes);
	workload_kind own = workload_area(workload, "move_module", CALL_MODULE_ALLOC, bytes);
	block_list_alloc(&copy, workload, cpu, copied, 1);
	block_list_alloc(module, workload, cpu, own, 1);
	block_list_alloc(module, workload, cpu, state->kinds.arguments, 1);
	block_list_alloc(module, workload, cpu, state->kinds.kobject, 2);
	add_nodes(state, module, cpu, DIRECTORIES + ATTRIBUTES + state->values->parameters);
	block_list_alloc(module, workload, cpu, state->kinds.parameters, state->values->parameters > 0);
	add_sections(state, module, cpu, vary(state, state->values->sections));
	block_list_free(&copy, workload, cpu);
	block_list_release(&copy);
}

static void step(void *load)
{
	struct state *state = load;
	uint32_t live = state->values->live;
	if (state->loaded - state->unloaded == live)
		block_list_free(&state->modules[state->unloaded++ % live], state->workload, load_any_cpu(state->workload));
	load_module(state, &state->modules[state->loaded++ % live], load_any_cpu(state->workload));
}

static void end(void *load)
{
	struct state *state = load;
	while (state->unloaded < state->loaded)
		block_list_free(&state->modules[state->unloaded++ % state->values->live], state->workload, 0);
	for (uint32_t nr = 0; nr < state->values->live; nr++)
		block_list_release(&state->modules[nr]);
	free(state->modules);
	free(state);
}

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &module_load_load, values, &((const struct module_load *)values)->pace);
}

const struct workload_ops workload_module_load_ops = {
        .name = "module_load",
        .help = "kernel modules loaded and unloaded",
        .keys = keys,
        .values_bytes = sizeof(struct module_load),
        .generate = generate,
};

const struct kernel_load module_load_load = {.workload = &workload_module_load_ops, .begin = begin, .step = step, .end = end};
