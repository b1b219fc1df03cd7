/* SPDX-License-Identifier: MIT
 *
 * page_table.c - building and reading page tables in simulated frames (interface and invariant: page_table.h).
 */
#include "sim/page_table.h"

/* An entry: where it lies, in which table's level, and what it holds. */
struct place {
	unsigned level;
	uint64_t address; /* in the machine's memory */
	struct paging_entry entry;
};

static uint64_t machine_address(const struct page_tables *tables, uint64_t address)
{
	return tables->host.of ? tables->host.of(tables->host.context, address) : address;
}

static struct place place_in(const struct page_tables *tables, uint64_t table, unsigned level, uint64_t index)
{
	const struct translation_ops *mode = tables->mode;
	struct place place = {.level = level, .address = machine_address(tables, table) + index * mode->entry_bytes};
	uint64_t raw = physical_memory_read(tables->memory, place.address, mode->entry_bytes);
	place.entry = mode->decode(&tables->controls, level, raw);
	return place;
}

static void write_entry(struct page_tables *tables, const struct place *place, uint64_t word, bool leaf)
{
	uint64_t raw = tables->mode->encode(&tables->controls, place->level, word, leaf);
	physical_memory_write(tables->memory, place->address, tables->mode->entry_bytes, raw);
}

/* The entry in which a walk for the address ends: a leaf, or the first that is not present. */
static struct place end_of_walk(const struct page_tables *tables, uint64_t linear)
{
	const struct translation_ops *mode = tables->mode;
	unsigned level = mode->levels - 1;
	uint64_t table = tables->root;
	for (;;) {
		struct place place = place_in(tables, table, level, paging_index(&mode->level[level], linear));
		if (place.entry.leaf || !(place.entry.word & WORD_PRESENT))
			return place;
		SIM_ASSERT(level > 0);
		table = place.entry.word & WORD_FRAME;
		level--;
	}
}

static bool in_user_half(const struct translation_ops *mode, uint64_t linear)
{
	return !mode->sign_extended || linear >> (mode->linear_bits - 1) == 0;
}

static void point_to(struct page_tables *tables, const struct place *place, uint64_t linear, uint64_t table)
{
	physical_memory_forget(tables->memory, machine_address(tables, table));
	uint64_t user = in_user_half(tables->mode, linear) ? WORD_USER : 0;
	write_entry(tables, place, table | WORD_PRESENT | WORD_WRITE | WORD_EXECUTE | WORD_ACCESSED | user, false);
	tables->tables[place->level - 1]++;
}

/* Takes a table for the entry and lets the entry point to it. */
static bool add_table(struct page_tables *tables, const struct place *place, uint64_t linear)
{
	uint64_t table = tables->frames.take(tables->frames.context);
	if (table == FRAME_NONE)
		return false;
	point_to(tables, place, linear, table);
	return true;
}

void page_tables_add(struct page_tables *tables, uint64_t linear, uint64_t table)
{
	struct place place = end_of_walk(tables, linear);
	SIM_ASSERT(place.level > 0 && !(place.entry.word & WORD_PRESENT));
	point_to(tables, &place, linear, table);
}

void page_tables_drop(struct page_tables *tables, uint64_t linear, unsigned level)
{
	const struct translation_ops *mode = tables->mode;
	struct place above = {.level = mode->levels};
	uint64_t table = tables->root;
	SIM_ASSERT(level + 1 < mode->levels);
	for (unsigned at = mode->levels - 1; at > level; at--) {
		above = place_in(tables, table, at, paging_index(&mode->level[at], linear));
		SIM_ASSERT(above.entry.word & WORD_PRESENT && !above.entry.leaf);
		table = above.entry.word & WORD_FRAME;
	}
	for (uint64_t index = 0; index < 1ull << mode->level[level].index_bits; index++)
		SIM_ASSERT(!(place_in(tables, table, level, index).entry.word & WORD_PRESENT));
	physical_memory_forget(tables->memory, machine_address(tables, table));
	physical_memory_write(tables->memory, above.address, mode->entry_bytes, 0);
	tables->tables[level]--;
}

bool page_tables_init(struct page_tables *tables)
{
	const struct translation_ops *mode = tables->mode;
	unsigned top = mode->levels - 1;
	SIM_ASSERT(mode->levels > 0);
	tables->root = tables->frames.take(tables->frames.context);
	if (tables->root == FRAME_NONE)
		return false;
	physical_memory_forget(tables->memory, machine_address(tables, tables->root));
	tables->tables[top] = 1;
	for (unsigned index = 0; index < mode->root_registers; index++) {
		struct place place = place_in(tables, tables->root, top, index);
		if (!add_table(tables, &place, 0)) {
			page_tables_release(tables);
			return false;
		}
	}
	return true;
}

enum map_result page_tables_map(struct page_tables *tables, uint64_t linear, uint64_t word, enum page_size size)
{
	unsigned leaf = translation_leaf_level(tables->mode, size);
	uint64_t inside = page_size_bytes(size) - 1;
	SIM_ASSERT(leaf < tables->mode->levels && translation_canonical(tables->mode, linear));
	SIM_ASSERT((linear & inside) == 0 && (word & WORD_FRAME & inside) == 0);
	struct place place = end_of_walk(tables, linear);
	if (place.entry.word & WORD_PRESENT || place.level < leaf)
		return MAP_TAKEN;
	while (place.level > leaf) {
		if (!add_table(tables, &place, linear))
			return MAP_NO_MEMORY;
		place = end_of_walk(tables, linear);
	}
	write_entry(tables, &place, word | WORD_PRESENT, true);
	tables->pages[size]++;
	return MAP_OK;
}

bool page_tables_unmap(struct page_tables *tables, uint64_t linear)
{
	struct place place = end_of_walk(tables, linear);
	if (!(place.entry.word & WORD_PRESENT))
		return false;
	physical_memory_write(tables->memory, place.address, tables->mode->entry_bytes, 0);
	tables->pages[tables->mode->level[place.level].page]--;
	return true;
}

bool page_tables_change(struct page_tables *tables, uint64_t linear, uint64_t word)
{
	struct place place = end_of_walk(tables, linear);
	if (!(place.entry.word & WORD_PRESENT))
		return false;
	write_entry(tables, &place, word | WORD_PRESENT, true);
	return true;
}

uint64_t page_tables_find(const struct page_tables *tables, uint64_t linear, enum page_size *size)
{
	if (!translation_canonical(tables->mode, linear))
		return 0;
	struct place place = end_of_walk(tables, linear);
	if (!(place.entry.word & WORD_PRESENT))
		return 0;
	*size = tables->mode->level[place.level].page;
	return place.entry.word;
}

unsigned page_tables_level(const struct page_tables *tables, uint64_t linear)
{
	return end_of_walk(tables, linear).level;
}

/* One table and all below it, for page_tables_visit(), _check() and _release(). */
struct tour {
	const struct page_tables *tables;
	page_visitor *page;
	void (*table)(void *context, uint64_t address, unsigned level);
	void *context;
};

static void tour_table(const struct tour *tour, uint64_t table, unsigned level, uint64_t linear)
{
	const struct translation_ops *mode = tour->tables->mode;
	for (uint64_t index = 0; index < 1ull << mode->level[level].index_bits; index++) {
		struct place place = place_in(tour->tables, table, level, index);
		uint64_t at = linear | index << mode->level[level].shift;
		if (!(place.entry.word & WORD_PRESENT))
			continue;
		if (mode->sign_extended && level + 1 == mode->levels && index >> (mode->level[level].index_bits - 1))
			at |= UINT64_MAX << mode->linear_bits;
		if (!place.entry.leaf)
			tour_table(tour, place.entry.word & WORD_FRAME, level - 1, at);
		else if (tour->page)
			tour->page(tour->context, at, place.entry.word, mode->level[level].page);
	}
	if (tour->table)
		tour->table(tour->context, table, level);
}

void page_tables_visit(const struct page_tables *tables, page_visitor *visit, void *context)
{
	const struct tour tour = {.tables = tables, .page = visit, .context = context};
	tour_table(&tour, tables->root, tables->mode->levels - 1, 0);
}

static void give_table(void *context, uint64_t address, unsigned level)
{
	struct page_tables *tables = context;
	physical_memory_forget(tables->memory, machine_address(tables, address));
	tables->tables[level]--;
	if (tables->frames.give)
		tables->frames.give(tables->frames.context, address);
}

void page_tables_release(struct page_tables *tables)
{
	const struct tour tour = {.tables = tables, .table = give_table, .context = tables};
	tour_table(&tour, tables->root, tables->mode->levels - 1, 0);
	tables->root = FRAME_NONE;
}

struct census {
	uint64_t tables[PAGING_LEVELS_MAX], pages[PAGE_SIZES];
};

static void count_page(void *context, uint64_t linear, uint64_t word, enum page_size size)
{
	(void)linear;
	SIM_ASSERT(word & WORD_PRESENT);
	((struct census *)context)->pages[size]++;
}

static void count_table(void *context, uint64_t address, unsigned level)
{
	SIM_ASSERT((address & (PAGE_SIZE - 1)) == 0);
	((struct census *)context)->tables[level]++;
}

void page_tables_check(const struct page_tables *tables)
{
	struct census census = {0};
	const struct tour tour = {.tables = tables, .page = count_page, .table = count_table, .context = &census};
	tour_table(&tour, tables->root, tables->mode->levels - 1, 0);
	for (unsigned level = 0; level < tables->mode->levels; level++)
		SIM_ASSERT(census.tables[level] == tables->tables[level]);
	for (unsigned size = 0; size < PAGE_SIZES; size++)
		SIM_ASSERT(census.pages[size] == tables->pages[size]);
}
