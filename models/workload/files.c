/* SPDX-License-Identifier: MIT
 *
 * files.c - small files that are created, written, closed and unlinked, a share of which stays long.
 *
 * A step is a file made by a core, in the order of open(O_CREAT), write and close (Linux 6.1, fs/namei.c, fs/open.c,
 * mm/filemap.c): the path's buffer, file, dentry, inode, pages of the page cache, for a file of more than one page a node of its
 * xarray. When `live` short-lived files live, the oldest is unlinked on any core; one of the long-lived ones goes, whichever it
 * is, when there are `kept` of them. RCU frees the dentry, inode, file and node.
 *
 * Source of the shape: call sites of traces/qemu-512m-slub-small, part "files" (250 files of one page by a shell, and copies).
 * MODEL: unlink finds the dentry, and nothing is reclaimed; directories, their dentries and security blobs are left out.
 */
#include "models/kernel_load.h"

#include <stdlib.h>

extern const struct workload_ops workload_files_ops;

enum file_system { FILES_TMPFS, FILES_RAMFS, FILE_SYSTEMS };
static const char *const file_system_names[] = {"tmpfs", "ramfs", NULL};

/* Where a file system's inodes come from, and for which of its functions. */
static const struct {
	enum kernel_cache cache;
	const char *call_site;
} inodes[FILE_SYSTEMS] = {{CACHE_SHMEM_INODE, "shmem_alloc_inode"}, {CACHE_INODE, "alloc_inode"}};

struct files {
	char *name;
	struct load_pace pace;
	uint64_t grace_ns;
	enum file_system fs;
	uint32_t pages, live, long_lived, kept;
};

#define AT(field) .offset = offsetof(struct files, field), .size = sizeof(((struct files *)0)->field)

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct files, "files"),
        LOAD_PACE_KEYS(struct files, "files", "2000", "2000"),
        {.key = "fs",
         .type = SETTING_ENUM,
         .names = file_system_names,
         .default_text = "tmpfs",
         .help = "tmpfs: inodes of shmem_inode_cache; ramfs: of inode_cache",
         .source = "what the recorded kernel wrote its files to",
         AT(fs)},
        {.key = "pages",
         .type = SETTING_COUNT,
         .unit = "pages",
         .default_text = "2",
         .min = 1,
         .max = 1024,
         .help = "The longest file; each length from 1 is as likely",
         .source = "recorded: most have one",
         AT(pages)},
        {.key = "live",
         .type = SETTING_COUNT,
         .unit = "files",
         .default_text = "64",
         .min = 1,
         .max = 10000000,
         .help = "Short-lived files at once; then each one made ends the oldest",
         .source = LOAD_CHOICE,
         AT(live)},
        {.key = "long",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "5",
         .min = 0,
         .max = 100,
         .help = "Of the files are long-lived",
         .source = LOAD_CHOICE,
         AT(long_lived)},
        {.key = "kept",
         .type = SETTING_COUNT,
         .unit = "files",
         .default_text = "256",
         .min = 1,
         .max = 10000000,
         .help = "Long-lived files at once; then one of them goes for each new one",
         .source = LOAD_CHOICE,
         AT(kept)},
        LOAD_GRACE_KEY(struct files),
        {.key = NULL},
};

struct file {
	workload_block dentry, inode, node;
	struct block_list pages;
	bool has_node;
};

struct state {
	struct workload *workload;
	const struct files *values;
	struct rcu_frees rcu;
	workload_kind name, dentry, inode, filp, page, node;
	struct file *live, *kept; /* a ring, and any order */
	uint64_t made, unlinked;
	uint32_t kept_count;
};

static void *begin(struct workload *workload, const void *opaque)
{
	const struct files *values = opaque;
	struct state *state = xcalloc(1, sizeof *state);
	state->workload = workload;
	state->values = values;
	rcu_frees_init(&state->rcu, workload, values->grace_ns);
	state->name = kernel_object(workload, CACHE_NAMES, "getname_flags", GFP_KERNEL);
	state->dentry = kernel_object(workload, CACHE_DENTRY, "__d_alloc", GFP_KERNEL);
	state->inode = kernel_object(workload, inodes[values->fs].cache, inodes[values->fs].call_site, GFP_KERNEL);
	state->filp = kernel_object(workload, CACHE_FILP, "__alloc_file", GFP_KERNEL | __GFP_ZERO);
	state->page = workload_pages(workload, "filemap_alloc_folio", 0, GFP_HIGHUSER_MOVABLE | __GFP_COMP);
	state->node = kernel_object(workload, CACHE_RADIX_TREE_NODE, "xas_alloc", GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	state->live = xcalloc(values->live, sizeof *state->live);
	state->kept = xcalloc(values->kept, sizeof *state->kept);
	return state;
}

static void create(struct state *state, struct file *file, unsigned cpu)
{
	struct workload *workload = state->workload;
	uint32_t pages = 1 + rng_below(workload_rng(workload), state->values->pages);
	workload_block name = workload_alloc(workload, cpu, state->name);
	workload_block opened = workload_alloc(workload, cpu, state->filp);
	file->dentry = workload_alloc(workload, cpu, state->dentry);
	file->inode = workload_alloc(workload, cpu, state->inode);
	workload_free(workload, cpu, name);
	block_list_alloc(&file->pages, workload, cpu, state->page, 1);
	/* The first page of a file stands in the xarray's head; a second one needs a node. */
	file->has_node = pages > 1;
	if (file->has_node)
		file->node = workload_alloc(workload, cpu, state->node);
	block_list_alloc(&file->pages, workload, cpu, state->page, pages - 1);
	rcu_frees_add(&state->rcu, cpu, opened);
}

/* do_unlinkat(), and iput() of the last reference. */
static void unlink_file(struct state *state, struct file *file, unsigned cpu)
{
	struct workload *workload = state->workload;
	workload_block name = workload_alloc(workload, cpu, state->name);
	block_list_free(&file->pages, workload, cpu);
	if (file->has_node)
		rcu_frees_add(&state->rcu, cpu, file->node);
	rcu_frees_add(&state->rcu, cpu, file->inode);
	rcu_frees_add(&state->rcu, cpu, file->dentry);
	workload_free(workload, cpu, name);
}

/* Where the next long-lived file is put: another one makes place for it. */
static struct file *place_among_kept(struct state *state)
{
	if (state->kept_count < state->values->kept)
		return &state->kept[state->kept_count++];
	struct file *file = &state->kept[rng_below(workload_rng(state->workload), state->values->kept)];
	unlink_file(state, file, load_any_cpu(state->workload));
	return file;
}

static struct file *place_among_live(struct state *state)
{
	uint32_t live = state->values->live;
	if (state->made - state->unlinked == live)
		unlink_file(state, &state->live[state->unlinked++ % live], load_any_cpu(state->workload));
	return &state->live[state->made++ % live];
}

static void step(void *load)
{
	struct state *state = load;
	rcu_frees_run(&state->rcu);
	bool kept = load_chance(state->workload, state->values->long_lived);
	struct file *file = kept ? place_among_kept(state) : place_among_live(state);
	create(state, file, load_any_cpu(state->workload));
}

static void release_files(struct file *files, uint32_t count)
{
	for (uint32_t nr = 0; nr < count; nr++)
		block_list_release(&files[nr].pages);
	free(files);
}

static void end(void *load)
{
	struct state *state = load;
	while (state->unlinked < state->made)
		unlink_file(state, &state->live[state->unlinked++ % state->values->live], 0);
	while (state->kept_count > 0)
		unlink_file(state, &state->kept[--state->kept_count], 0);
	rcu_frees_end(&state->rcu);
	release_files(state->live, state->values->live);
	release_files(state->kept, state->values->kept);
	free(state);
}

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &files_load, values, &((const struct files *)values)->pace);
}

const struct workload_ops workload_files_ops = {
        .name = "files",
        .help = "small files created, written and unlinked",
        .keys = keys,
        .values_bytes = sizeof(struct files),
        .generate = generate,
};

const struct kernel_load files_load = {.workload = &workload_files_ops, .begin = begin, .step = step, .end = end};
