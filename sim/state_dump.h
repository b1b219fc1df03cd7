/* SPDX-License-Identifier: MIT
 *
 * state_dump.h - the full state of a recorded kernel's allocators, as text between "@STATE" and "@END" lines.
 *
 * The reader is fed line by line, so a dump can stand anywhere in a log. It understands the lines about pages (@MEM @ZONE @FREE
 * @PCP @PCPL @PB @MAP) and keeps every other line of the dump as text, for readers of caches (@C ...), slab pages (@SP), SLOB
 * lists (@SL) and vmalloc areas (@VM, @VA).
 *
 * Numbers of frames are hexadecimal in @ZONE (start), @FREE, @PCPL, @PB and decimal in all counts (docs/formats.md).
 * Memory is bounded by the length of the text: each item of a dump takes at least as many bytes there as half of what it takes
 * here. No number of the text is used as a size or an index before it is checked.
 */
#ifndef SIM_STATE_DUMP_H
#define SIM_STATE_DUMP_H

#include "sim/base.h"

#define STATE_ZONES_MAX 16
#define STATE_RESERVES_MAX 8

/* @MEM: the machine. */
struct state_memory {
	bool known;
	uint64_t totalram;
	uint32_t max_order, pageblock_order, migratetypes;
	bool mobility_off;
	uint64_t max_pfn;
};

/* @ZONE: one zone; index as the kernel's zone_idx(). */
struct state_zone {
	bool known;
	uint32_t index;
	char name[16];
	uint32_t start_pfn;
	uint64_t spanned, present, managed;
	uint64_t watermark_min, watermark_low, watermark_high; /* without boost */
	uint64_t watermark_boost, nr_reserved_highatomic;
	uint32_t pcp_high, pcp_batch;
	uint64_t flags;
	int64_t nr_free; /* vm_stat[NR_FREE_PAGES], without the CPUs' differences */
	uint32_t cpus;   /* how many diffC= there are */
	int32_t diff[CPUS_MAX], threshold[CPUS_MAX];
	uint64_t lowmem_reserve[STATE_RESERVES_MAX];
	uint32_t lowmem_reserves;
};

/* @FREE (order, type) or @PCPL (cpu, list): frames in list order, head first: pfns[first .. first + count). */
struct state_list {
	uint32_t zone;
	uint32_t order, type; /* @FREE */
	uint32_t cpu, list;   /* @PCPL */
	size_t first, count;
};

/* @PCP */
struct state_pcp {
	uint32_t zone, cpu;
	uint32_t count, high, batch, free_factor;
};

/* A pageblock without memory map ('-'). */
#define STATE_NO_PAGEBLOCK 255

/* @PB: one migrate type per pageblock of a zone: types[first .. first + count). */
struct state_pageblocks {
	uint32_t zone, first_pfn;
	size_t first, count;
};

/* A run of @MAP: `count` frames from `first` of one kind (a letter or '0', '-'). */
struct state_run {
	uint32_t first, count;
	char kind;
};

/* A line of another kind, without its line end. */
struct state_text {
	uint64_t line;
	char *text;
};

struct state_dump {
	char tag[64], what[16];
	uint64_t ts, line; /* of the @STATE line: its clock, its place in the text */
	struct state_memory memory;
	struct state_zone zones[STATE_ZONES_MAX]; /* by index */
	struct state_list *free_lists;
	struct state_list *pcp_lists;
	struct state_pcp *pcps;
	struct state_pageblocks *pageblocks;
	struct state_run *map;
	uint32_t *pfns;
	uint8_t *types;
	struct state_text *texts;
	size_t free_list_count, pcp_list_count, pcp_count, pageblocks_count, map_count, pfn_count, type_count, text_count;
	/* of the arrays above, in the same order */
	size_t room[8];
	bool open; /* between @STATE and @END */
};

enum state_line_result {
	STATE_OUTSIDE, /* no line of a dump */
	STATE_INSIDE,  /* taken */
	STATE_WHOLE,   /* taken, and the dump is complete */
	STATE_WRONG    /* *error says where and what */
};

void state_dump_init(struct state_dump *dump);
void state_dump_release(struct state_dump *dump);

/*
 * Takes one line of a text (no line end; NUL bytes are wrong). An @STATE line empties the dump and begins it. `line` counts
 * lines from 1, for messages. After STATE_WRONG the dump is closed and holds what came before.
 */
enum state_line_result state_dump_line(struct state_dump *dump, const char *text, size_t length, uint64_t line,
                                       struct error *error);

/* The number behind ` key=` in a line of text, `missing` if there is no such key. */
uint64_t state_text_number(const char *text, const char *key, uint64_t missing);

/* Whether a line of text begins with these words: "@CC ". */
bool state_text_begins(const char *text, const char *words);

/* Whether the dump has this letter in what= (p pages, m map, c caches, k kmalloc caches, s slab pages, v vmalloc). */
bool state_dump_has(const struct state_dump *dump, char letter);

#endif
