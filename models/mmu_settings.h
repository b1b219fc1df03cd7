/* SPDX-License-Identifier: MIT
 *
 * mmu_settings.h - the MMU of every core as the settings describe it: machine.tlbs, machine.paging,
 * machine.paging_structure_caches, machine.virtualized and their like.
 */
#ifndef MODELS_MMU_SETTINGS_H
#define MODELS_MMU_SETTINGS_H

#include "models/tlb_settings.h"

/* What all cores share: the paging mode and the memory that holds the tables; and each core's own MMU and walker. */
struct mmus {
	const struct translation_ops *mode; /* levels 0: nothing is translated */
	struct paging_controls controls;
	struct physical_memory memory;
	unsigned cpus;
	struct mmu *mmu;       /* by core */
	struct walker *walker; /* by core; NULL without translation */
	/* The second stage, of a guest: the host's tables map a guest's frame where it is first used. */
	const struct translation_ops *host_mode; /* NULL: no guest */
	struct walker *host_walker;              /* by core */
	struct page_tables host_tables;
	enum page_size host_page;
	uint64_t host_next; /* physical address of the next frame of the host */
};

struct paging_controls paging_controls_of(const struct settings *settings);
/* The paging mode of processes' tables; where nothing is translated, the usual one of the architecture. NULL with *error. */
const struct translation_ops *mode_of_processes(const struct settings *settings, struct error *error);

/* A core's walker, and that of its second stage; NULL: no guest. */
struct walkers {
	struct walker *walker, *host;
};

/*
 * Gives walkers the caches of machine.paging_structure_caches; lines for tables that they do not have say nothing. The walkers
 * own them (walker_release()), also when false with *error told.
 */
bool structure_caches_create(const struct walkers *walkers, const struct settings *settings, struct error *error);

/*
 * Makes the MMUs of `cpus` cores. Roots are the caller's: mmu_write_cr3() on each, and fault and context of each before its first
 * access. *mmus stays where it is. false with *error naming key and line; then nothing is left to be released.
 */
bool mmus_create(struct mmus *mmus, const struct settings *settings, unsigned cpus, struct error *error);
void mmus_release(struct mmus *mmus);
void mmus_check(const struct mmus *mmus);

/* Of a guest: where its tables are to be written (struct page_tables: host). All NULL on bare metal. */
struct host_address mmus_host_address(struct mmus *mmus);

#endif
