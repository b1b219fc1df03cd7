/* SPDX-License-Identifier: MIT
 *
 * highmem.c - files read into the page cache of a 32-bit machine: pages of high memory, filled by copies through
 * kmap_local_page(), and what the kernel keeps of them in low memory.
 *
 * Each file is a dentry and an inode (GFP_KERNEL); each of its pages (GFP_HIGHUSER_MOVABLE) is copied from a page that a device
 * has filled, and has a buffer head (GFP_NOFS); every `mapped` pages a page of page tables is made for those who map them
 * (GFP_KERNEL, with highpte=true of high memory: CONFIG_HIGHPTE). The last `hold` pages stay mapped by kmap(). Files come one on
 * each core in turn; when all are there they go, the first first.
 *
 * Sizes of i386, Linux 6.1 (small configuration with SMP): struct dentry 128, inode 368, buffer_head 60 bytes, from the compiler.
 * Flags: fs/dcache.c, fs/inode.c, fs/buffer.c: alloc_buffer_head(), mm/filemap.c, arch/x86/mm/pgtable.c: pte_alloc_one().
 *
 * MODEL: nothing is given back while files come: what a kernel's shrinkers and writeback would free is what the question leaves
 * out.
 */
#include "sim/port/object_allocator.h"
#include "sim/setting.h"
#include "sim/workload.h"

#include <stdlib.h>

extern const struct workload_ops workload_highmem_ops;

struct highmem {
	char *name;
	uint64_t files;
	uint32_t pages, mapped, hold;
	enum page_map_call call;
	bool highpte;
};

#define AT(field) .offset = offsetof(struct highmem, field), .size = sizeof(((struct highmem *)0)->field)
#define CHOICE "a choice"

static const char *const call_names[] = {
        [PAGE_MAP_PERMANENT] = "kmap", [PAGE_MAP_LOCAL] = "kmap_local", [PAGE_MAP_ATOMIC] = "kmap_atomic", NULL};

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct highmem, "highmem"),
        {.key = "files",
         .type = SETTING_COUNT,
         .unit = "files",
         .default_text = "10000",
         .min = 1,
         .max = 100000000,
         .help = "How many files are read",
         .source = CHOICE,
         AT(files)},
        {.key = "pages",
         .type = SETTING_COUNT,
         .unit = "pages",
         .default_text = "1",
         .min = 1,
         .max = 65536,
         .help = "Of each file are read",
         .source = CHOICE,
         AT(pages)},
        {.key = "mapped",
         .type = SETTING_COUNT,
         .unit = "pages",
         .default_text = "1024",
         .min = 1,
         .max = 1048576,
         .help = "One page of page tables for so many pages",
         .source = "entries of a table without PAE; fewer where every process maps little",
         AT(mapped)},
        {.key = "hold",
         .type = SETTING_COUNT,
         .unit = "pages",
         .default_text = "0",
         .min = 0,
         .max = 65536,
         .help = "The last so many pages stay mapped by kmap()",
         .source = CHOICE,
         AT(hold)},
        {.key = "call",
         .type = SETTING_ENUM,
         .names = call_names,
         .default_text = "kmap_local",
         .help = "How both pages of a copy are mapped: kmap_local, kmap_atomic or kmap",
         .source = "include/linux/highmem.h: copy_highpage() of Linux 6.1",
         AT(call)},
        {.key = "highpte",
         .type = SETTING_BOOL,
         .default_text = "false",
         .help = "Page tables are in high memory too (CONFIG_HIGHPTE)",
         .source = "arch/x86/Kconfig: off unless chosen",
         AT(highpte)},
        {.key = NULL},
};

static const struct workload_cache_spec dentry_cache = {"dentry", 128, 0, SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_ACCOUNT,
                                                        false},
                                        inode_cache = {"inode_cache", 368, 0, SLAB_RECLAIM_ACCOUNT | SLAB_PANIC | SLAB_ACCOUNT,
                                                       true},
                                        head_cache = {"buffer_head", 60, 0, SLAB_RECLAIM_ACCOUNT | SLAB_PANIC, false};

struct state {
	struct workload *workload;
	const struct highmem *values;
	workload_kind dentry, inode, head, page, table, copy, map;
	workload_block *blocks; /* what lives, in the order of making */
	uint64_t count, room;
	uint64_t pages;       /* made so far */
	workload_block *held; /* a ring of mappings */
	workload_block source[CPUS_MAX];
};

static void keep(struct state *state, workload_block block)
{
	if (state->count == state->room) {
		state->room = state->room ? 2 * state->room : 4096;
		state->blocks = xrealloc(state->blocks, state->room * sizeof *state->blocks);
	}
	state->blocks[state->count++] = block;
}

static void make_kinds(struct state *state)
{
	struct workload *workload = state->workload;
	gfp table = GFP_KERNEL | __GFP_ZERO | (state->values->highpte ? __GFP_HIGHMEM : 0);
	state->dentry = workload_object(workload, "__d_alloc", &dentry_cache, GFP_KERNEL);
	state->inode = workload_object(workload, "alloc_inode", &inode_cache, GFP_KERNEL);
	state->head = workload_object(workload, "alloc_buffer_head", &head_cache, GFP_KERNEL & ~(gfp)__GFP_FS);
	state->page = workload_pages(workload, "filemap_alloc_folio", 0, GFP_HIGHUSER_MOVABLE);
	state->table = workload_pages(workload, "pte_alloc_one", 0, table);
	state->copy = workload_page_copy(workload, "copy_highpage", state->values->call);
	state->map = workload_page_map(workload, "kmap", PAGE_MAP_PERMANENT, 0);
}

/* The page stays mapped in the place of the one that has been for longest. */
static void hold(struct state *state, unsigned cpu, workload_block page)
{
	uint32_t held = state->values->hold;
	if (held == 0)
		return;
	if (state->pages >= held)
		workload_free(state->workload, cpu, state->held[state->pages % held]);
	state->held[state->pages % held] = workload_map(state->workload, cpu, state->map, page, 0);
}

static void read_page(struct state *state, unsigned cpu)
{
	struct workload *workload = state->workload;
	if (state->pages % state->values->mapped == 0)
		keep(state, workload_alloc(workload, cpu, state->table));
	workload_block page = workload_alloc(workload, cpu, state->page);
	keep(state, page);
	workload_copy(workload, cpu, state->copy, page, state->source[cpu]);
	keep(state, workload_alloc(workload, cpu, state->head));
	hold(state, cpu, page);
	state->pages++;
}

static void free_all(struct state *state)
{
	unsigned cpus = workload_cpus(state->workload);
	uint64_t held = state->pages < state->values->hold ? state->pages : state->values->hold;
	for (uint64_t i = 0; i < held; i++)
		workload_free(state->workload, 0, state->held[(state->pages - held + i) % state->values->hold]);
	for (uint64_t i = 0; i < state->count; i++)
		workload_free(state->workload, (unsigned)(i % cpus), state->blocks[i]);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		workload_free(state->workload, cpu, state->source[cpu]);
}

static void generate(struct workload *workload, const void *values)
{
	struct state state = {.workload = workload, .values = values};
	unsigned cpus = workload_cpus(workload);
	make_kinds(&state);
	state.held = xcalloc(state.values->hold + 1, sizeof *state.held);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		state.source[cpu] = workload_alloc(workload, cpu, state.page);
	for (uint64_t file = 0; file < state.values->files; file++) {
		unsigned cpu = (unsigned)(file % cpus);
		keep(&state, workload_alloc(workload, cpu, state.dentry));
		keep(&state, workload_alloc(workload, cpu, state.inode));
		for (uint32_t page = 0; page < state.values->pages; page++)
			read_page(&state, cpu);
		if (file % 4096 == 0)
			workload_tell(workload, file, state.values->files);
	}
	free_all(&state);
	free(state.held);
	free(state.blocks);
}

const struct workload_ops workload_highmem_ops = {
        .name = "highmem",
        .help = "files in the page cache of a 32-bit machine: pages of high memory, and what low memory keeps of them",
        .keys = keys,
        .values_bytes = sizeof(struct highmem),
        .generate = generate,
};
