/* SPDX-License-Identifier: MIT
 *
 * mmu_settings.c - MMUs made from settings (interface: mmu_settings.h).
 *
 * MODEL: a guest's memory lies in the host in the order of first use, in pages of machine.host_page, all of that size, and the
 * host's tables between them. Effect: a host that mixes sizes walks between what two runs with one size each say.
 */
#include "models/mmu_settings.h"

#include "models/registry.h"
#include "models/settings.h"

#include <stdlib.h>
#include <string.h>

/* Where the host's memory begins for a guest: beyond what a guest's own addresses reach, so that both can be told apart. */
#define HOST_FIRST (1ull << 40)

#define NESTED "nested_"

const struct translation_ops *mode_of_processes(const struct settings *settings, struct error *error)
{
	const struct translation_model *model = translation_model(settings_paging(settings), error);
	if (model && model->ops->levels == 0)
		model = translation_model(settings->machine.architecture == ARCHITECTURE_X86_32 ? "x86_pae" : "x86_4level",
		                          error);
	return model ? model->ops : NULL;
}

struct paging_controls paging_controls_of(const struct settings *settings)
{
	return (struct paging_controls){.physical_bits = settings->machine.physical_address_bits,
	                                .nx = true,
	                                .large_pages = true,
	                                .gigabyte_pages = settings->machine.gigabyte_pages,
	                                .write_protect = true,
	                                .smep = true,
	                                .smap = false,
	                                .global_pages = true};
}

/* ---- the host of a guest ---- */

static uint64_t take_host_frames(struct mmus *mmus, uint64_t bytes)
{
	uint64_t first = (mmus->host_next + bytes - 1) & ~(bytes - 1);
	mmus->host_next = first + bytes;
	return first;
}

static uint64_t take_host_table(void *context)
{
	return take_host_frames(context, PAGE_SIZE);
}

static bool host_fault(void *context, uint64_t guest_physical)
{
	struct mmus *mmus = context;
	uint64_t bytes = page_size_bytes(mmus->host_page), frames = take_host_frames(mmus, bytes);
	const uint64_t word = frames | WORD_PRESENT | WORD_RIGHTS | WORD_ACCESSED | WORD_DIRTY;
	return translation_canonical(mmus->host_mode, guest_physical) &&
	       page_tables_map(&mmus->host_tables, guest_physical & ~(bytes - 1), word, mmus->host_page) == MAP_OK;
}

static uint64_t address_in_host(void *context, uint64_t guest_physical)
{
	struct mmus *mmus = context;
	enum page_size size = PAGE_4K;
	uint64_t word = page_tables_find(&mmus->host_tables, guest_physical, &size);
	if (!word) {
		bool mapped = host_fault(mmus, guest_physical);
		SIM_ASSERT(mapped);
		word = page_tables_find(&mmus->host_tables, guest_physical, &size);
	}
	return (word & WORD_FRAME) | (guest_physical & (page_size_bytes(size) - 1));
}

struct host_address mmus_host_address(struct mmus *mmus)
{
	return mmus->host_mode ? (struct host_address){.of = address_in_host, .context = mmus} : (struct host_address){0};
}

static const enum page_size host_pages[] = {[HOST_PAGE_4K] = PAGE_4K, [HOST_PAGE_2M] = PAGE_2M, [HOST_PAGE_1G] = PAGE_1G};

static bool make_host(struct mmus *mmus, const struct settings *settings, struct error *error)
{
	const char *name = settings->machine.virtualized;
	if (!name || strcmp(name, "off") == 0)
		return true;
	const struct translation_model *model = translation_model(name, error);
	if (!model)
		return false;
	if (!mmus->mode->levels)
		return error_set(error, ERROR_USAGE, "machine.virtualized: a guest cannot have machine.paging: %s",
		                 mmus->mode->name);
	if (model->ops->linear_bits != 48)
		return error_set(error, ERROR_USAGE,
		                 "machine.virtualized: %s is no second stage; expected x86_ept, x86_4level or off", name);
	mmus->host_mode = model->ops;
	mmus->host_page = host_pages[settings->machine.host_page];
	if (mmus->host_page == PAGE_1G && !mmus->controls.gigabyte_pages)
		return error_set(error, ERROR_USAGE,
		                 "machine.host_page: found 1G, but machine.gigabyte_pages is false; expected 4K or 2M");
	mmus->host_next = HOST_FIRST;
	mmus->host_tables = (struct page_tables){.mode = model->ops,
	                                         .controls = mmus->controls,
	                                         .memory = &mmus->memory,
	                                         .frames = {.take = take_host_table, .context = mmus}};
	return page_tables_init(&mmus->host_tables);
}

/* ---- caches of the walkers ---- */

static bool same_letters(const char *name, const char *entry)
{
	size_t i = 0;
	while (name[i] && (name[i] | 0x20) == (entry[i] | 0x20))
		i++;
	return !name[i] && !entry[i];
}

/* The level of "pde" and the like in a mode; its number of levels if it has none of that name, or none above its last. */
static unsigned level_named(const struct translation_ops *mode, const char *name)
{
	for (unsigned level = 1; level < mode->levels; level++) {
		const char *entry = mode->level[level].entry, *word = strrchr(entry, ' ');
		if (same_letters(name, word ? word + 1 : entry))
			return level;
	}
	return mode->levels;
}

static const char *const structure_names[] = {"pde",        "pdpte",        "pml4e",        "pml5e",
                                              "nested_pde", "nested_pdpte", "nested_pml4e", "nested_tlb"};

static bool is_structure_name(const char *name)
{
	for (unsigned i = 0; i < sizeof structure_names / sizeof *structure_names; i++)
		if (strcmp(name, structure_names[i]) == 0)
			return true;
	return false;
}

/* Where a line's cache belongs in a core; NULL: the machine has no such tables, and the line says nothing. */
static struct tlb_level **place_of(const struct walkers *walkers, const char *name)
{
	bool nested = strncmp(name, NESTED, strlen(NESTED)) == 0;
	if (nested && !walkers->host)
		return NULL;
	if (strcmp(name, "nested_tlb") == 0)
		return &walkers->host->nested;
	struct walker *walker = nested ? walkers->host : walkers->walker;
	unsigned level = level_named(walker->mode, nested ? name + strlen(NESTED) : name);
	if (level == walker->mode->levels || (walker->mode->root_registers && level + 1 == walker->mode->levels))
		return NULL;
	return &walker->structure[level];
}

static bool add_structure_cache(const struct walkers *walkers, const struct settings *settings, const char *line,
                                struct error *error)
{
	struct tlb_spec spec = {0};
	if (!tlb_spec_read(line, "machine.paging_structure_caches", &spec, error))
		return false;
	const struct tlbs_wiring wiring = {.words = true, .seed = settings->seed};
	bool made = is_structure_name(spec.name) || error_set(error, ERROR_USAGE,
	                                                      "machine.paging_structure_caches: there is no '%s'; expected pde, "
	                                                      "pdpte, pml4e or pml5e, or nested_ before "
	                                                      "one of the first three, or nested_tlb",
	                                                      spec.name);
	struct tlb_level **place = made ? place_of(walkers, spec.name) : NULL;
	if (place)
		made = !*place ||
		       error_set(error, ERROR_USAGE, "machine.paging_structure_caches: two lines are named %s", spec.name);
	if (place && made)
		made = (*place = tlb_create(&spec, &wiring, error)) != NULL;
	tlb_spec_release(&spec);
	return made;
}

bool structure_caches_create(const struct walkers *walkers, const struct settings *settings, struct error *error)
{
	bool made = true;
	for (uint32_t i = 0; i < settings->machine.paging_structure_caches_count && made; i++)
		made = add_structure_cache(walkers, settings, settings->machine.paging_structure_caches[i], error);
	return made;
}

/* ---- cores ---- */

static void make_walkers(struct mmus *mmus)
{
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		mmus->walker[cpu] = (struct walker){.mode = mmus->mode, .controls = mmus->controls, .memory = &mmus->memory};
		if (!mmus->host_mode)
			continue;
		mmus->host_walker[cpu] = (struct walker){.mode = mmus->host_mode,
		                                         .controls = mmus->controls,
		                                         .memory = &mmus->memory,
		                                         .root = mmus->host_tables.root,
		                                         .host_fault = host_fault,
		                                         .context = mmus,
		                                         .second_stage = true};
		mmus->walker[cpu].host = &mmus->host_walker[cpu];
	}
}

static bool make_tlbs(struct mmus *mmus, const struct settings *settings, struct error *error)
{
	uint32_t lines = settings->machine.tlbs_count, count = 0;
	struct tlb_spec *specs = xcalloc(lines ? lines : 1, sizeof *specs);
	bool made = true;
	for (; count < lines && made; count += made)
		made = tlb_spec_read(settings->machine.tlbs[count], "machine.tlbs", &specs[count], error);
	const struct tlbs_wiring wiring = {.specs = specs, .count = count, .words = true, .seed = settings->seed};
	for (unsigned cpu = 0; cpu < mmus->cpus && made; cpu++) {
		struct mmu *mmu = &mmus->mmu[cpu];
		made = tlbs_create(mmu, &wiring, error);
		if (!made)
			break;
		mmu->prefetch_next_page =
		        settings->machine.tlb_prefetch == WALK_PREFETCH_NEXT_PAGE && mmus->walker && mmu->levels > 0;
		mmu->walker = mmus->walker ? &mmus->walker[cpu] : NULL;
		mmu_init(mmu);
	}
	for (uint32_t i = 0; i < count; i++)
		tlb_spec_release(&specs[i]);
	free(specs);
	return made;
}

bool mmus_create(struct mmus *mmus, const struct settings *settings, unsigned cpus, struct error *error)
{
	*mmus = (struct mmus){.cpus = cpus, .controls = paging_controls_of(settings)};
	const struct translation_model *model = translation_model(settings_paging(settings), error);
	if (!model)
		return false;
	mmus->mode = model->ops;
	physical_memory_init(&mmus->memory);
	mmus->mmu = xcalloc(cpus, sizeof *mmus->mmu);
	bool made = make_host(mmus, settings, error);
	if (made && mmus->mode->levels) {
		mmus->walker = xcalloc(cpus, sizeof *mmus->walker);
		mmus->host_walker = xcalloc(cpus, sizeof *mmus->host_walker);
		make_walkers(mmus);
		for (unsigned cpu = 0; cpu < cpus && made; cpu++) {
			const struct walkers walkers = {&mmus->walker[cpu], mmus->host_mode ? &mmus->host_walker[cpu] : NULL};
			made = structure_caches_create(&walkers, settings, error);
		}
	}
	made = made && make_tlbs(mmus, settings, error);
	if (!made)
		mmus_release(mmus);
	return made;
}

void mmus_release(struct mmus *mmus)
{
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		mmu_release(&mmus->mmu[cpu]);
		if (!mmus->walker)
			continue;
		walker_release(&mmus->walker[cpu]);
		walker_release(&mmus->host_walker[cpu]);
	}
	free(mmus->mmu);
	free(mmus->walker);
	free(mmus->host_walker);
	physical_memory_release(&mmus->memory);
	*mmus = (struct mmus){0};
}

void mmus_check(const struct mmus *mmus)
{
	for (unsigned cpu = 0; cpu < mmus->cpus; cpu++) {
		mmu_check(&mmus->mmu[cpu]);
		if (mmus->host_mode)
			walker_check(&mmus->host_walker[cpu]);
	}
	if (mmus->host_mode)
		page_tables_check(&mmus->host_tables);
}
