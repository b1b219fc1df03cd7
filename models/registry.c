/* SPDX-License-Identifier: MIT
 *
 * registry.c - the tables of models, made from models.def (interface: registry.h).
 */
#include "models/registry.h"

#include "sim/nearest.h"

#include <string.h>

#define MODEL_page_allocator(model) \
	extern const struct page_allocator_ops page_allocator_##model##_ops; \
	struct page_allocator *page_allocator_##model##_create(const struct page_allocator_wiring *, struct error *);
#define MODEL_object_allocator(model) \
	extern const struct object_allocator_ops object_allocator_##model##_ops; \
	struct object_allocator *object_allocator_##model##_create(const struct object_allocator_wiring *, struct error *);
#define MODEL_virtual_allocator(model) \
	extern const struct virtual_allocator_ops virtual_allocator_##model##_ops; \
	struct virtual_allocator *virtual_allocator_##model##_create(const struct virtual_allocator_wiring *, struct error *);
#define MODEL_user_memory(model) \
	extern const struct user_memory_ops user_memory_##model##_ops; \
	struct user_memory *user_memory_##model##_create(const struct user_memory_wiring *, struct error *);
#define MODEL_memory(model) \
	extern const struct memory_ops memory_##model##_ops; \
	struct memory *memory_##model##_create(const struct memory_wiring *, struct error *);
#define MODEL_dram(model) \
	extern const struct dram_ops dram_##model##_ops; \
	struct dram *dram_##model##_create(const struct dram_wiring *, struct error *);
#define MODEL_cache_level(model) \
	extern const struct cache_level_ops cache_level_##model##_ops; \
	struct cache_level *cache_level_##model##_create(const struct cache_level_wiring *, struct error *);
#define MODEL_replacement(model) \
	extern const struct replacement_ops replacement_##model##_ops; \
	struct replacement *replacement_##model##_create(const struct replacement_wiring *, struct error *);
#define MODEL_tlb_level(model) \
	extern const struct tlb_level_ops tlb_level_##model##_ops; \
	struct tlb_level *tlb_level_##model##_create(const struct tlb_wiring *, struct error *);
#define MODEL_translation(model) extern const struct translation_ops translation_##model##_ops;
#define MODEL_workload(model) extern const struct workload_ops workload_##model##_ops;
#include "models/models.def"

const struct page_allocator_model page_allocator_models[] = {
#define MODEL_page_allocator(model) {&page_allocator_##model##_ops, page_allocator_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct object_allocator_model object_allocator_models[] = {
#define MODEL_object_allocator(model) {&object_allocator_##model##_ops, object_allocator_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct virtual_allocator_model virtual_allocator_models[] = {
#define MODEL_virtual_allocator(model) {&virtual_allocator_##model##_ops, virtual_allocator_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct user_memory_model user_memory_models[] = {
#define MODEL_user_memory(model) {&user_memory_##model##_ops, user_memory_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct memory_model memory_models[] = {
#define MODEL_memory(model) {&memory_##model##_ops, memory_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct dram_model dram_models[] = {
#define MODEL_dram(model) {&dram_##model##_ops, dram_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct cache_level_model cache_level_models[] = {
#define MODEL_cache_level(model) {&cache_level_##model##_ops, cache_level_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct replacement_model replacement_models[] = {
#define MODEL_replacement(model) {&replacement_##model##_ops, replacement_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct tlb_level_model tlb_level_models[] = {
#define MODEL_tlb_level(model) {&tlb_level_##model##_ops, tlb_level_##model##_create},
#include "models/models.def"
        {NULL, NULL}};

const struct workload_model workload_models[] = {
#define MODEL_workload(model) {&workload_##model##_ops},
#include "models/models.def"
        {NULL}};

const struct translation_model translation_models[] = {
#define MODEL_translation(model) {&translation_##model##_ops},
#include "models/models.def"
        {NULL}};

/* The error of a name that no model of the port has; `nearest` has been offered all that are. */
static void no_such_model(const char *port, const char *name, const struct nearest *nearest, struct error *error)
{
	const char *meant = nearest_found(nearest);
	error_set(error, ERROR_USAGE, "there is no %s '%s'%s%s%s (`kmemsim list %s` shows them all)", port, name,
	          meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "",
	          strcmp(port, "workload") == 0 ? "workloads" : "models");
}

const struct page_allocator_model *page_allocator_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct page_allocator_model *model = page_allocator_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("page allocator", name, &nearest, error);
	return NULL;
}

const struct object_allocator_model *object_allocator_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct object_allocator_model *model = object_allocator_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("allocator", name, &nearest, error);
	return NULL;
}

const struct virtual_allocator_model *virtual_allocator_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct virtual_allocator_model *model = virtual_allocator_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("virtual allocator", name, &nearest, error);
	return NULL;
}

const struct user_memory_model *user_memory_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct user_memory_model *model = user_memory_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("model of user memory", name, &nearest, error);
	return NULL;
}

const struct memory_model *memory_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct memory_model *model = memory_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("memory model", name, &nearest, error);
	return NULL;
}

const struct dram_model *dram_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct dram_model *model = dram_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("DRAM", name, &nearest, error);
	return NULL;
}

const struct cache_level_model *cache_level_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct cache_level_model *model = cache_level_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("cache level", name, &nearest, error);
	return NULL;
}

const struct replacement_model *replacement_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct replacement_model *model = replacement_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("replacement policy", name, &nearest, error);
	return NULL;
}

const struct tlb_level_model *tlb_level_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct tlb_level_model *model = tlb_level_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("TLB", name, &nearest, error);
	return NULL;
}

const struct translation_model *translation_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct translation_model *model = translation_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("paging mode", name, &nearest, error);
	return NULL;
}

const struct workload_model *workload_model(const char *name, struct error *error)
{
	struct nearest nearest;
	nearest_start(&nearest, name);
	for (const struct workload_model *model = workload_models; model->ops; model++) {
		if (strcmp(model->ops->name, name) == 0)
			return model;
		nearest_offer(&nearest, model->ops->name);
	}
	no_such_model("workload", name, &nearest, error);
	return NULL;
}
