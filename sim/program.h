/* SPDX-License-Identifier: MIT
 *
 * program.h - what a program's accesses need of an address space, told from all of them: its areas, and the pages that have
 * contents before it begins.
 *
 *   areas      blocks of 2 MiB that are touched and lie next to each other are one area, from the first of its touched pages to
 *              the last
 *   contents   a page whose first access is no store had been filled before
 *
 * MODEL: a trace tells no mappings. Areas of one kind (text, data, heap, a library) that are closer than this are one here, and
 * what a kernel would have read from a file is a page that was written.
 */
#ifndef SIM_PROGRAM_H
#define SIM_PROGRAM_H

#include "sim/port/access_source.h"
#include "sim/trace.h"

/* vm.max_map_count (Linux 6.1 mm/util.c, DEFAULT_MAX_MAP_COUNT). */
#define PROGRAM_AREAS_MAX 65530u
/* So many blocks of 2 MiB may be touched: this bounds the memory that telling them takes, to some 150 MB. */
#define PROGRAM_BLOCKS_MAX (1u << 20)

struct program_range {
	uint64_t start, pages; /* start: an address, a multiple of PAGE_SIZE */
};

struct program {
	struct program_range *areas, *filled; /* ascending; owned */
	uint32_t area_count, filled_count;
	uint64_t pages;    /* that are touched */
	uint64_t accesses; /* prefetches too */
	unsigned threads;  /* those that make accesses are below this */
	bool has_code;     /* some accesses are fetches of instructions */
};

/*
 * Reads all accesses of a source, which `name` is of in errors. false with *error if it is damaged, has no accesses, or some that
 * no process can make.
 */
struct program_reading {
	const char *name;
	unsigned cpus;                   /* of the machine; a thread beyond them is one modulo them */
	uint64_t user_end;               /* the first address that is not a program's */
	const struct progress *progress; /* may be NULL */
};
bool program_read(struct program *program, struct access_source *source, const struct program_reading *reading,
                  struct error *error);
void program_release(struct program *program);

#endif
