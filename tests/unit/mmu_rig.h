/* SPDX-License-Identifier: MIT
 *
 * mmu_rig.h - a core's MMU with page tables behind it, for tests: tables in frames counted upward, TLBs from lines as in
 * machine.tlbs.
 */
#ifndef TESTS_MMU_RIG_H
#define TESTS_MMU_RIG_H

#include "tests/unit/test.h"

#include "models/tlb_settings.h"
#include "sim/mmu.h"

#include <stdlib.h>
#include <string.h>

#define RIG_SPECS 12

struct rig {
	struct mmu mmu;
	struct walker walker;
	struct physical_memory memory;
	struct page_tables tables;
	uint64_t next_frame; /* physical address of the frame that the next table gets */
};

static inline uint64_t rig_take(void *context)
{
	struct rig *rig = context;
	rig->next_frame += PAGE_SIZE;
	return rig->next_frame - PAGE_SIZE;
}

static inline struct paging_controls rig_controls(void)
{
	return (struct paging_controls){.physical_bits = 46,
	                                .nx = true,
	                                .large_pages = true,
	                                .gigabyte_pages = true,
	                                .write_protect = true,
	                                .global_pages = true};
}

/* An empty address space; tables begin at the frame of `first_table`. */
static inline void rig_begin(struct rig *rig, const struct translation_ops *mode, uint64_t first_table)
{
	memset(rig, 0, sizeof *rig);
	physical_memory_init(&rig->memory);
	rig->next_frame = first_table;
	rig->tables = (struct page_tables){
	        .mode = mode, .controls = rig_controls(), .memory = &rig->memory, .frames = {.take = rig_take, .context = rig}};
	assert_true(page_tables_init(&rig->tables));
	rig->walker = (struct walker){.mode = mode, .controls = rig_controls(), .memory = &rig->memory};
	walker_load_root(&rig->walker, rig->tables.root, 0);
}

static inline void rig_map(struct rig *rig, uint64_t linear, uint64_t word, enum page_size size)
{
	assert_int_equal(page_tables_map(&rig->tables, linear, word, size), MAP_OK);
}

/* TLBs of these lines, the last NULL. With a walker unless `untranslated`. */
static inline void rig_tlbs_simd(struct rig *rig, const char *const *lines, bool untranslated, bool words, enum simd simd)
{
	struct tlb_spec specs[RIG_SPECS] = {{0}};
	struct error error = {0};
	unsigned count = 0;
	for (; lines[count]; count++)
		if (!tlb_spec_read(lines[count], "test", &specs[count], &error))
			fail_msg("%s", error.text);
	const struct tlbs_wiring wiring = {.specs = specs, .count = count, .words = words, .seed = 1, .simd = simd};
	if (!tlbs_create(&rig->mmu, &wiring, &error))
		fail_msg("%s", error.text);
	for (unsigned i = 0; i < count; i++)
		tlb_spec_release(&specs[i]);
	rig->mmu.walker = untranslated ? NULL : &rig->walker;
	mmu_init(&rig->mmu);
}

static inline void rig_tlbs(struct rig *rig, const char *const *lines, bool untranslated, bool words)
{
	rig_tlbs_simd(rig, lines, untranslated, words, SIMD_AUTO);
}

/* A paging-structure cache for the entries of a level. */
static inline void rig_structure_cache(struct rig *rig, unsigned level, uint32_t entries)
{
	struct error error = {0};
	const struct tlb_spec spec = {.name = "structure", .entries = entries, .replacement = "lru"};
	const struct tlbs_wiring wiring = {.words = true, .seed = 1};
	rig->walker.structure[level] = tlb_create(&spec, &wiring, &error);
	assert_non_null(rig->walker.structure[level]);
}

static inline void rig_end(struct rig *rig)
{
	mmu_check(&rig->mmu);
	mmu_release(&rig->mmu);
	walker_check(&rig->walker);
	walker_release(&rig->walker);
	if (rig->tables.root != FRAME_NONE) {
		page_tables_check(&rig->tables);
		page_tables_release(&rig->tables);
	}
	physical_memory_release(&rig->memory);
}

/* One access; what came out of the MMU for it, at most `room`. */
static inline size_t rig_access(struct rig *rig, enum access_kind kind, uint64_t linear, uint32_t bytes, struct access *out,
                                size_t room)
{
	struct access access = {.address = linear, .bytes = bytes, .kind = (uint8_t)kind};
	size_t made;
	assert_int_equal(mmu_run(&rig->mmu, &access, 1, out, room, &made), 1);
	return made;
}

#endif
