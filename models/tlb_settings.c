/* SPDX-License-Identifier: MIT
 *
 * tlb_settings.c - the keys of machine.tlbs, and levels of TLBs made from them (interface: tlb_settings.h).
 */
#include "models/tlb_settings.h"

#include "models/registry.h"

#include <string.h>

#define AT(field) .offset = offsetof(struct tlb_spec, field), .size = sizeof(((struct tlb_spec *)0)->field)

#define SKYLAKE_TLBS "Intel 64 and IA-32 Architectures Optimization Reference Manual, TLB parameters of Skylake"

static const char *const index_names[] = {[INDEX_LINEAR] = "linear", [INDEX_XOR] = "xor", NULL};
static const char *const serves_names[] = {
        [TLB_SERVES_ALL] = "all", [TLB_SERVES_CODE] = "code", [TLB_SERVES_DATA] = "data", NULL};
static const char *const inclusion_names[] = {
        [TLB_NEITHER] = "neither", [TLB_INCLUSIVE] = "inclusive", [TLB_EXCLUSIVE] = "exclusive", NULL};

const struct setting tlb_spec_keys[] = {
        SETTING_LINE_NAME(struct tlb_spec, "The array's name in tables: the line's first word"),
        {.key = "entries",
         .type = SETTING_COUNT,
         .default_text = "64",
         .zero_word = "unlimited",
         .min = 1,
         .max = 1u << 24,
         .help = "Translations it keeps, a multiple of its ways; unlimited: only first uses miss",
         .source = SKYLAKE_TLBS ": DTLB",
         AT(entries)},
        {.key = "ways",
         .type = SETTING_COUNT,
         .default_text = "4",
         .zero_word = "all",
         .min = 1,
         .max = REPLACEMENT_WAYS_MAX,
         .help = "Entries of a set; all: one set",
         .source = SKYLAKE_TLBS ": DTLB",
         AT(ways)},
        {.key = "level",
         .type = SETTING_COUNT,
         .default_text = "1",
         .min = 1,
         .max = MMU_LEVELS_MAX,
         .help = "Its distance from the core",
         .source = "a first-level TLB",
         AT(level)},
        {.key = "pages",
         .type = SETTING_STRING,
         .default_text = "4K",
         .help = "Page sizes it keeps, of 4K, 2M, 4M and 1G, joined by +",
         .source = SKYLAKE_TLBS ": DTLB",
         AT(pages)},
        {.key = "serves",
         .type = SETTING_ENUM,
         .names = serves_names,
         .default_text = "all",
         .help = "Which accesses come to it",
         .source = "a joint TLB",
         AT(serves)},
        {.key = "replacement",
         .type = SETTING_STRING,
         .default_text = "lru",
         .names_of = "replacement",
         .help = "Which entry of a full set goes",
         .source = "what drcachesim uses unless told",
         AT(replacement)},
        {.key = "index",
         .type = SETTING_ENUM,
         .names = index_names,
         .default_text = "linear",
         .help = "A page's set: linear: page number modulo sets; xor: its lowest bits xor the next as many",
         .source = "linear for Skylake's first level, xor for its STLB: Gras et al., Translation Leak-aside Buffer, 2018",
         AT(index)},
        {.key = "inclusion",
         .type = SETTING_ENUM,
         .names = inclusion_names,
         .default_text = "neither",
         .help = "Of its level: inclusive: what goes from here goes from the levels above; exclusive: keeps what the level above "
                 "lets go, and a hit moves up",
         .source = "Gras et al., Translation Leak-aside Buffer, 2018: Intel's TLBs are neither",
         AT(inclusion)},
        {.key = "latency",
         .type = SETTING_COUNT,
         .unit = "cycles",
         .default_text = "0",
         .min = 0,
         .max = 1000,
         .help = "What a lookup adds, found or not; of several arrays of a level the most counts (memory_model: timed)",
         .source = "the first level is looked up while the cache is",
         AT(latency_cycles)},
        {.key = NULL}};

bool tlb_spec_read(const char *line, const char *place, struct tlb_spec *spec, struct error *error)
{
	return setting_read_line(tlb_spec_keys, line, NULL, spec, place, error);
}

void tlb_spec_release(struct tlb_spec *spec)
{
	setting_table_release(tlb_spec_keys, spec);
}

/* Reads "4K+2M" into a set of page sizes. */
static bool read_pages(const struct tlb_spec *spec, bool sizes[PAGE_SIZES], struct error *error)
{
	const char *at = spec->pages ? spec->pages : "";
	for (;;) {
		size_t length = strcspn(at, "+");
		unsigned size = 0;
		while (size < PAGE_SIZES && (strlen(page_size_name((enum page_size)size)) != length ||
		                             memcmp(page_size_name((enum page_size)size), at, length) != 0))
			size++;
		char quoted[SETTING_QUOTE_MAX];
		if (size == PAGE_SIZES)
			return error_set(error, ERROR_USAGE, "machine.tlbs: %s: pages=%s; expected 4K, 2M, 4M or 1G, joined by +",
			                 spec->name, setting_quote(spec->pages ? spec->pages : "", quoted));
		sizes[size] = true;
		if (!at[length])
			return true;
		at += length + 1;
	}
}

static struct replacement *make_replacement(const char *name, const struct replacement_wiring *wiring, struct error *error)
{
	const struct replacement_model *model = replacement_model(name, error);
	return model ? model->create(wiring, error) : NULL;
}

struct tlb_level *tlb_create(const struct tlb_spec *spec, const struct tlbs_wiring *wiring, struct error *error)
{
	const struct tlb_wiring array = {.name = spec->name,
	                                 .entries = spec->entries,
	                                 .ways = spec->ways,
	                                 .replacement = spec->replacement,
	                                 .index = spec->index,
	                                 .words = wiring->words,
	                                 .simd = wiring->simd,
	                                 .seed = wiring->seed,
	                                 .make_replacement = make_replacement};
	const struct tlb_level_model *model = tlb_level_model(spec->entries ? "set_assoc" : "ideal", error);
	return model ? model->create(&array, error) : NULL;
}

/* Puts an array where it serves. */
static bool place_array(struct mmu *mmu, const struct tlb_spec *spec, struct tlb_level *array, struct error *error)
{
	bool sizes[PAGE_SIZES] = {false};
	struct mmu_level *level = &mmu->level[spec->level - 1];
	if (!read_pages(spec, sizes, error))
		return false;
	for (unsigned size = 0; size < PAGE_SIZES; size++)
		for (unsigned side = 0; side < MMU_SIDES; side++) {
			if (!sizes[size] || spec->serves == (side == MMU_CODE ? TLB_SERVES_DATA : TLB_SERVES_CODE))
				continue;
			if (level->array[side][size])
				return error_set(error, ERROR_USAGE,
				                 "machine.tlbs: %s: level %u has %s for %s pages of %s already", spec->name,
				                 spec->level, level->array[side][size]->name,
				                 page_size_name((enum page_size)size), side == MMU_CODE ? "code" : "data");
			level->array[side][size] = array;
		}
	level->inclusion = spec->inclusion;
	if (spec->latency_cycles > level->latency_cycles)
		level->latency_cycles = spec->latency_cycles;
	if (spec->level > mmu->levels)
		mmu->levels = spec->level;
	return true;
}

/* Whether every level above keeps whole what this one keeps: pieces could not be taken out with the page. */
static bool above_keep_sizes(const struct mmu *mmu, unsigned level)
{
	for (unsigned above = 0; above < level; above++)
		for (unsigned side = 0; side < MMU_SIDES; side++)
			for (unsigned size = 0; size < PAGE_SIZES; size++)
				if (mmu->level[level].array[side][size] && !mmu->level[above].array[side][size])
					return false;
	return true;
}

static bool levels_fit(const struct mmu *mmu, const struct tlbs_wiring *wiring, struct error *error)
{
	bool level_has_any[MMU_LEVELS_MAX] = {false};
	for (unsigned i = 0; i < wiring->count; i++) {
		const struct tlb_spec *spec = &wiring->specs[i];
		level_has_any[spec->level - 1] = true;
		if (spec->level == 1 && spec->inclusion != TLB_NEITHER)
			return error_set(error, ERROR_USAGE,
			                 "machine.tlbs: %s: the first level has no level above it to be %s of", spec->name,
			                 inclusion_names[spec->inclusion]);
		if (mmu->level[spec->level - 1].inclusion != spec->inclusion)
			return error_set(error, ERROR_USAGE, "machine.tlbs: %s: another array of level %u says another inclusion",
			                 spec->name, spec->level);
	}
	for (unsigned level = 1; level < mmu->levels; level++)
		if (mmu->level[level].inclusion == TLB_INCLUSIVE && !above_keep_sizes(mmu, level))
			return error_set(error, ERROR_USAGE,
			                 "machine.tlbs: level %u is inclusive and keeps pages of a size that a level above it "
			                 "only keeps in pieces",
			                 level + 1);
	for (unsigned level = 0; level < mmu->levels; level++)
		if (!level_has_any[level])
			return error_set(error, ERROR_USAGE, "machine.tlbs: there is no array of level %u below level %u",
			                 level + 1, mmu->levels);
	return true;
}

static bool add_array(struct mmu *mmu, const struct tlb_spec *spec, const struct tlbs_wiring *wiring, struct error *error)
{
	if (mmu->arrays_count == MMU_ARRAYS_MAX)
		return error_set(error, ERROR_USAGE, "machine.tlbs: more than %u arrays", MMU_ARRAYS_MAX);
	for (unsigned i = 0; i < mmu->arrays_count; i++)
		if (strcmp(mmu->arrays[i]->name, spec->name) == 0)
			return error_set(error, ERROR_USAGE, "machine.tlbs: two arrays are named %s", spec->name);
	struct tlb_level *array = tlb_create(spec, wiring, error);
	if (!array)
		return false;
	mmu->arrays[mmu->arrays_count++] = array;
	return place_array(mmu, spec, array, error);
}

bool tlbs_create(struct mmu *mmu, const struct tlbs_wiring *wiring, struct error *error)
{
	bool made = true;
	for (unsigned i = 0; i < wiring->count && made; i++)
		made = add_array(mmu, &wiring->specs[i], wiring, error);
	made = made && levels_fit(mmu, wiring, error);
	if (!made)
		mmu_release(mmu);
	return made;
}
