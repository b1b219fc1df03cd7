/* SPDX-License-Identifier: MIT
 *
 * program.c - areas and contents of a program's memory (interface and rules: program.h).
 */
#include "sim/program.h"

#include "sim/trace_table.h"

#include <inttypes.h>
#include <stdlib.h>

#define BLOCK_SHIFT 21u
#define BLOCK_PAGES (1u << (BLOCK_SHIFT - PAGE_SHIFT))
#define WORD_PAGES 64u
#define SEEN_PAGES 256u

/* 2 MiB of addresses: a bit a page. */
struct block {
	uint64_t number; /* the key */
	uint64_t touched[BLOCK_PAGES / WORD_PAGES];
	uint64_t filled[BLOCK_PAGES / WORD_PAGES];
};

struct reader {
	const struct program_reading *of;
	struct program *program;
	struct row_table blocks;   /* of struct block */
	uint32_t last;             /* index of the block touched last */
	uint64_t seen[SEEN_PAGES]; /* pages touched lately, plus 1; 0: none */
};

/* ---- accesses ---- */

static bool touch_page(struct reader *reader, uint64_t page, bool is_store, struct error *error)
{
	const struct block key = {.number = page / BLOCK_PAGES};
	struct block *block = reader->blocks.count ? row_table_row(&reader->blocks, reader->last) : NULL;
	if (!block || block->number != key.number) {
		reader->last = row_table_index(&reader->blocks, &key);
		block = row_table_row(&reader->blocks, reader->last);
		if (reader->blocks.count > PROGRAM_BLOCKS_MAX)
			return error_set(error, ERROR_INPUT,
			                 "%s: access %" PRIu64 ": it is in the %uth block of 2 MiB; at most %u are simulated",
			                 reader->of->name, reader->program->accesses, PROGRAM_BLOCKS_MAX + 1, PROGRAM_BLOCKS_MAX);
	}
	uint64_t bit = 1ull << page % WORD_PAGES, *touched = &block->touched[page % BLOCK_PAGES / WORD_PAGES];
	if (!(*touched & bit) && !is_store)
		block->filled[page % BLOCK_PAGES / WORD_PAGES] |= bit;
	*touched |= bit;
	return true;
}

static bool read_access(struct reader *reader, const struct access *access, struct error *error)
{
	struct program *program = reader->program;
	unsigned cpu = reader->of->cpus > 1 ? access->cpu % reader->of->cpus : 0;
	uint64_t last = access->address + access->bytes - 1;
	program->accesses++;
	if (cpu >= program->threads)
		program->threads = cpu + 1;
	program->has_code |= access->kind == ACCESS_CODE;
	if (access->kind == ACCESS_PREFETCH) /* never faults */
		return true;
	if (last >= reader->of->user_end)
		return error_set(error, ERROR_INPUT,
		                 "%s: access %" PRIu64 ": address 0x%" PRIx64 " is no program's, those end below 0x%" PRIx64
		                 "; of a kernel's accesses expected is address_space: kernel",
		                 reader->of->name, program->accesses, last, reader->of->user_end);
	for (uint64_t page = access->address >> PAGE_SHIFT; page <= last >> PAGE_SHIFT; page++) {
		if (reader->seen[page % SEEN_PAGES] == page + 1)
			continue;
		if (!touch_page(reader, page, access->kind == ACCESS_STORE, error))
			return false;
		reader->seen[page % SEEN_PAGES] = page + 1;
	}
	return true;
}

/* An access of the only CPU to a page that was touched lately says nothing more; it is counted. Returns whether it is one. */
static inline bool is_seen(struct reader *reader, const struct access *access)
{
	const uint64_t page = access->address >> PAGE_SHIFT;
	if (reader->seen[page % SEEN_PAGES] != page + 1 || access->address % PAGE_SIZE + access->bytes > PAGE_SIZE ||
	    access->kind == ACCESS_CODE || reader->of->cpus > 1)
		return false;
	reader->program->accesses++;
	return true;
}

/* ---- ranges ---- */

static int by_number(const void *one, const void *other)
{
	uint64_t a = ((const struct block *)one)->number, b = ((const struct block *)other)->number;
	return (a > b) - (a < b);
}

static bool has_bit(const uint64_t *bits, unsigned page)
{
	return bits[page / WORD_PAGES] >> page % WORD_PAGES & 1;
}

/* A page more: of the last range, if it joins it, else of one of its own. */
static void add_page(struct program_range **ranges, uint32_t *count, uint64_t page, bool joins)
{
	struct program_range *last = *count ? &(*ranges)[*count - 1] : NULL;
	if (last && joins) {
		last->pages = page + 1 - (last->start >> PAGE_SHIFT);
		return;
	}
	/* The room doubles whenever the count is a power of two. */
	if ((*count & (*count - 1)) == 0)
		*ranges = xrealloc(*ranges, (*count ? 2 * (size_t)*count : 1) * sizeof **ranges);
	(*ranges)[(*count)++] = (struct program_range){.start = page << PAGE_SHIFT, .pages = 1};
}

static void add_block(struct program *program, const struct block *block, bool follows)
{
	for (unsigned index = 0; index < BLOCK_PAGES; index++) {
		uint64_t page = block->number * BLOCK_PAGES + index;
		const struct program_range *filled = program->filled_count ? &program->filled[program->filled_count - 1] : NULL;
		if (!has_bit(block->touched, index))
			continue;
		program->pages++;
		add_page(&program->areas, &program->area_count, page, follows);
		follows = true;
		if (has_bit(block->filled, index))
			add_page(&program->filled, &program->filled_count, page,
			         filled && (filled->start >> PAGE_SHIFT) + filled->pages == page);
	}
}

static bool make_ranges(struct reader *reader, struct error *error)
{
	struct program *program = reader->program;
	struct block *blocks = row_table_row(&reader->blocks, 0);
	qsort(blocks, reader->blocks.count, sizeof *blocks, by_number);
	for (uint32_t index = 0; index < reader->blocks.count; index++)
		add_block(program, &blocks[index], index > 0 && blocks[index].number == blocks[index - 1].number + 1);
	if (program->area_count <= PROGRAM_AREAS_MAX)
		return true;
	return error_set(error, ERROR_INPUT,
	                 "%s: its accesses lie in %" PRIu32
	                 " areas, 2 MiB and more apart; a process has at most %u (vm.max_map_count)",
	                 reader->of->name, program->area_count, PROGRAM_AREAS_MAX);
}

/* ---- all ---- */

static bool read_all(struct reader *reader, struct access_source *source, struct error *error)
{
	const struct progress *progress = reader->of->progress;
	struct access batch[ACCESS_BATCH];
	size_t count;
	do {
		if (!access_source_read(source, batch, ACCESS_BATCH, &count, error))
			return false;
		for (size_t index = 0; index < count; index++)
			if (!is_seen(reader, &batch[index]) && !read_access(reader, &batch[index], error))
				return false;
		if (progress)
			progress->tell(progress->context, source->bytes_done, source->bytes_total);
	} while (count > 0);
	if (reader->blocks.count == 0)
		return error_set(error, ERROR_INPUT, "%s: no accesses to memory; expected a program's", reader->of->name);
	return make_ranges(reader, error);
}

bool program_read(struct program *program, struct access_source *source, const struct program_reading *reading,
                  struct error *error)
{
	struct reader reader = {.of = reading, .program = program};
	*program = (struct program){0};
	row_table_init(&reader.blocks, sizeof(struct block), sizeof(uint64_t));
	bool sound = read_all(&reader, source, error);
	row_table_release(&reader.blocks);
	if (!sound)
		program_release(program);
	return sound;
}

void program_release(struct program *program)
{
	free(program->areas);
	free(program->filled);
	*program = (struct program){0};
}
