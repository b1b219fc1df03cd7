/* SPDX-License-Identifier: MIT
 *
 * registry.h - models by port and name, from models.def.
 */
#ifndef MODELS_REGISTRY_H
#define MODELS_REGISTRY_H

#include "sim/port/cache_level.h"
#include "sim/port/dram.h"
#include "sim/port/memory.h"
#include "sim/port/object_allocator.h"
#include "sim/port/page_allocator.h"
#include "sim/port/tlb_level.h"
#include "sim/port/translation.h"
#include "sim/port/user_memory.h"
#include "sim/port/virtual_allocator.h"
#include "sim/workload.h"

struct page_allocator_model {
	const struct page_allocator_ops *ops;
	struct page_allocator *(*create)(const struct page_allocator_wiring *, struct error *);
};

struct object_allocator_model {
	const struct object_allocator_ops *ops;
	struct object_allocator *(*create)(const struct object_allocator_wiring *, struct error *);
};

struct virtual_allocator_model {
	const struct virtual_allocator_ops *ops;
	struct virtual_allocator *(*create)(const struct virtual_allocator_wiring *, struct error *);
};

struct user_memory_model {
	const struct user_memory_ops *ops;
	struct user_memory *(*create)(const struct user_memory_wiring *, struct error *);
};

struct memory_model {
	const struct memory_ops *ops;
	struct memory *(*create)(const struct memory_wiring *, struct error *);
};

struct dram_model {
	const struct dram_ops *ops;
	struct dram *(*create)(const struct dram_wiring *, struct error *);
};

struct cache_level_model {
	const struct cache_level_ops *ops;
	struct cache_level *(*create)(const struct cache_level_wiring *, struct error *);
};

struct replacement_model {
	const struct replacement_ops *ops;
	struct replacement *(*create)(const struct replacement_wiring *, struct error *);
};

struct tlb_level_model {
	const struct tlb_level_ops *ops;
	struct tlb_level *(*create)(const struct tlb_wiring *, struct error *);
};

/* A paging mode has no state of its own. */
struct translation_model {
	const struct translation_ops *ops;
};

/* What a workload's line says is its state. */
struct workload_model {
	const struct workload_ops *ops;
};

/* Each table ends with an entry whose ops is NULL. */
extern const struct page_allocator_model page_allocator_models[];
extern const struct object_allocator_model object_allocator_models[];
extern const struct virtual_allocator_model virtual_allocator_models[];
extern const struct user_memory_model user_memory_models[];
extern const struct memory_model memory_models[];
extern const struct dram_model dram_models[];
extern const struct cache_level_model cache_level_models[];
extern const struct replacement_model replacement_models[];
extern const struct tlb_level_model tlb_level_models[];
extern const struct translation_model translation_models[];
extern const struct workload_model workload_models[];

/* NULL with *error naming the nearest model if there is none of that name. */
const struct page_allocator_model *page_allocator_model(const char *name, struct error *error);
const struct object_allocator_model *object_allocator_model(const char *name, struct error *error);
const struct virtual_allocator_model *virtual_allocator_model(const char *name, struct error *error);
const struct user_memory_model *user_memory_model(const char *name, struct error *error);
const struct memory_model *memory_model(const char *name, struct error *error);
const struct dram_model *dram_model(const char *name, struct error *error);
const struct cache_level_model *cache_level_model(const char *name, struct error *error);
const struct replacement_model *replacement_model(const char *name, struct error *error);
const struct tlb_level_model *tlb_level_model(const char *name, struct error *error);
const struct translation_model *translation_model(const char *name, struct error *error);
const struct workload_model *workload_model(const char *name, struct error *error);

#endif
