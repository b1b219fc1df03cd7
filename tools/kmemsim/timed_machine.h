/* SPDX-License-Identifier: MIT
 *
 * timed_machine.h - what a run with `timing: cycles` has beside its caches and MMUs: memory, the DRAM behind it, cores and their
 * clock; and what they measured into the database.
 */
#ifndef TOOLS_TIMED_MACHINE_H
#define TOOLS_TIMED_MACHINE_H

#include "models/settings.h"
#include "sim/core.h"
#include "sim/layout.h"
#include "sim/op_cost_store.h"
#include "sim/port/dram.h"

struct timed_machine {
	struct memory *memory; /* NULL until it is made */
	struct dram *dram;     /* NULL: the memory model has none */
	struct machine machine;
};

struct timed_machine_parts {
	const struct settings *settings;
	struct cache_hierarchy *caches; /* these two outlive the machine; NULL: the memory model needs none */
	struct mmu *mmu;
	struct layout *layout;
	struct core_listener *listener; /* lives as long as the machine runs; NULL: nobody listens */
	struct user_tables *users;      /* page tables of processes; NULL: there are none that are walked */
	struct table_keeper tables;     /* likewise; remap NULL: nobody keeps page tables */
	const struct code_image *code;  /* of the kernel's paths; NULL: nobody fetches it */
};

/* Whether the memory model of the settings needs caches and MMUs. */
bool timed_machine_has_levels(const struct settings *settings);

bool timed_machine_create(struct timed_machine *timed, const struct timed_machine_parts *parts, struct error *error);
void timed_machine_release(struct timed_machine *timed);
void timed_machine_check(const struct timed_machine *timed);

/* Counters of cores, memory and DRAM, locks, and what ops cost. */
bool timed_machine_store(const struct timed_machine *timed, struct store *store, int64_t run_id, const struct layout *layout,
                         const struct op_cost_names *names, struct error *error);

#endif
