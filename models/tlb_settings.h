/* SPDX-License-Identifier: MIT
 *
 * tlb_settings.h - the TLBs of a machine as a scenario describes them: machine.tlbs, a list of lines, one an array.
 *
 *     tlbs: ["itlb entries=128 ways=8 serves=code", "dtlb entries=64 ways=4 serves=data", "stlb level=2 entries=1536 ways=12
 * pages=4K+2M"]
 */
#ifndef MODELS_TLB_SETTINGS_H
#define MODELS_TLB_SETTINGS_H

#include "sim/mmu.h"
#include "sim/setting.h"

struct settings;

enum tlb_serves { TLB_SERVES_ALL, TLB_SERVES_CODE, TLB_SERVES_DATA };

/* One array as its line describes it. */
struct tlb_spec {
	char *name;
	uint32_t entries; /* 0: no end */
	uint32_t ways;    /* 0: one set of all entries */
	uint32_t level;   /* 1 and more */
	char *pages;      /* "4K+2M" */
	enum tlb_serves serves;
	char *replacement;
	enum replacement_index index;
	enum tlb_inclusion inclusion; /* of its level */
	uint32_t latency_cycles;      /* of a lookup */
};

/* The keys of a line; the struct they fill is tlb_spec. */
extern const struct setting tlb_spec_keys[];

/* One line, by itself. Release with tlb_spec_release(). */
bool tlb_spec_read(const char *line, const char *place, struct tlb_spec *spec, struct error *error);
void tlb_spec_release(struct tlb_spec *spec);

/* What arrays are made for. */
struct tlbs_wiring {
	const struct tlb_spec *specs;
	unsigned count;
	bool words; /* with a walker behind them; without, whole batches run fast (sim/mmu_runs.h) */
	uint64_t seed;
	enum simd simd;
};

/*
 * Makes the levels and arrays of an MMU that is all zero; the caller sets walker, fault and the like and calls mmu_init(). false
 * with *error naming the array and what does not fit; then nothing is left to be released.
 */
bool tlbs_create(struct mmu *mmu, const struct tlbs_wiring *wiring, struct error *error);

/* One array, made by the registry's models. */
struct tlb_level *tlb_create(const struct tlb_spec *spec, const struct tlbs_wiring *wiring, struct error *error);

#endif
