/* SPDX-License-Identifier: MIT
 *
 * slab_log.h - replays recorded scripts of object allocators (slab_*.log, kmalloc_*.log, also .xz) call by call.
 *
 * A log is the text that the recorder's kernel module wrote inside a real Linux 6.1: one call a line with the address it
 * returned, dumps of the allocator's lists between the calls, and the page allocator's events of each call. Three things live
 * here:
 *   - the reader: struct slab_log, every line classified and its fields taken apart;
 *   - the scripted page allocator: it answers each page_alloc() with the frame of the next recorded event of the same call and
 *     holds each page_free() against the next one, so that an object allocator is tested alone and every address can be equal;
 *   - the runner: makes the calls of a log on one object allocator, counts calls and states that came out equal and keeps the
 *     first difference.
 * Dumps are compared line by line by the model's own checker (slub_log.c, slab_check.c, slob_check.c), named in struct
 * slab_log_model.
 *
 * Order of the events in a log: those of an allocating call stand before its result line, those of a free after its `f` line.
 * What a free leaves over belongs to the call behind it (an allocation can give pages back, a free never takes any).
 */
#ifndef TESTS_ORACLE_SLAB_LOG_H
#define TESTS_ORACLE_SLAB_LOG_H

#include "models/settings.h"
#include "sim/port/object_allocator.h"

enum slab_log_kind {
	LOG_BEGIN,    /* #BEGIN script key=value ... */
	LOG_NOTE,     /* any other line that begins with # */
	LOG_ALLOC,    /* a id pfn.off: kmem_cache_alloc(GFP_KERNEL) of the script's cache */
	LOG_FREE,     /* f id: kmem_cache_free, or kfree in a kmalloc script */
	LOG_KMALLOC,  /* m id size gfp pfn.off */
	LOG_KSIZE,    /* K size ksize pfn.off: kmalloc, ksize and kfree at once */
	LOG_POW2,     /* 2 size ksize pfn.off: the same without a start state, or 2 size FAIL */
	LOG_SLABINFO, /* k key=value ...: what /proc/slabinfo would show, part of a dump */
	LOG_DUMP,     /* @...: part of a dump */
	LOG_PAGES,    /* >CcTT PA or PF: the page allocator gave or took a block */
	LOG_FOREIGN,  /* >CcTT KM, KF, CA, CF: an object of somebody else */
	LOG_EVENT     /* >CcTT, any other: inside the page allocator, of no interest here */
};

/* One line. Fields that its kind does not have are 0. */
struct slab_log_line {
	uint32_t number; /* in the file, from 1 */
	enum slab_log_kind kind;
	const char *text; /* the whole line without its newline */
	uint32_t id, size, ksize;
	gfp flags;
	bool failed;     /* the recorded call got no memory */
	uint32_t frame;  /* of the object or block; UINT32_MAX for none */
	uint32_t offset; /* of the object in that frame, bytes */
	uint32_t order;  /* LOG_PAGES */
	bool taken;      /* LOG_PAGES: PA, not PF */
};

struct slab_log {
	const char *path;
	char *text; /* owned, as everything below */
	struct slab_log_line *lines;
	size_t count;
	uint32_t end_pfn; /* from the first @MEM line, 0 without one */
	bool has_zones;   /* there are @ZONE lines */
	bool has_dma32;   /* one of them is DMA32, which only 64-bit kernels have */
};

/* Reads a log, through `xz -dc` if its name ends in .xz. false with *error if it cannot be read or understood. */
bool slab_log_read(struct slab_log *log, const char *path, struct error *error);
void slab_log_release(struct slab_log *log);

/* The number behind `key=` in a line, `missing` if there is no such key. */
uint64_t slab_log_number(const struct slab_log_line *line, const char *key, uint64_t missing);

/* Lines of one dump: `@CHECK tag` or `@STATE tag ...` first, then what belongs to it (without @END). */
struct slab_log_dump {
	const char *tag; /* up to a blank or the end of the line */
	const struct slab_log_line *lines;
	size_t count;
};

/* What came out. A call is equal if its address (or failure), its size and its page events are; a state is one dumped line. */
struct slab_log_tally {
	uint64_t calls, calls_equal;
	uint64_t states, states_equal;
	uint64_t foreign; /* events of others between the calls: not replayed */
	char first[4096]; /* the first difference, with its line; empty without one */
};

/* Counts one dumped line as equal if `got` is the same text, blanks at the ends apart. */
void slab_log_state(struct slab_log_tally *tally, const struct slab_log *log, const struct slab_log_line *expected,
                    const char *got);

/* Notes a difference found in `line` (printf style); the first one is kept. */
void slab_log_differs(struct slab_log_tally *tally, const struct slab_log *log, const struct slab_log_line *line,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* An object allocator and how its dumps are read. */
struct slab_log_model {
	const char *name;
	struct object_allocator *(*create)(const struct object_allocator_wiring *, struct error *);
	/*
	 * Puts a recorded start state into the fresh allocator; NULL if the model cannot, then logs that need one (kmalloc_rand,
	 * kmalloc_sizes) are left out. Called with the first dump of the log.
	 */
	bool (*load)(struct object_allocator *, const struct slab_log_dump *, struct error *);
	/* Holds a later dump against the allocator: slab_log_state() for each line it knows. `own` is the script's cache, or
	 * CACHE_NONE. */
	void (*compare)(struct object_allocator *, cache_id own, const struct slab_log *, const struct slab_log_dump *,
	                struct slab_log_tally *);
};

/* The models' checkers: slub_log.c, slab_check.c, slob_check.c. */
void slub_state_compare(struct object_allocator *objects, cache_id own, const struct slab_log *log,
                        const struct slab_log_dump *dump, struct slab_log_tally *tally);
void slab_state_compare(struct object_allocator *objects, cache_id own, const struct slab_log *log,
                        const struct slab_log_dump *dump, struct slab_log_tally *tally);
void slob_state_compare(struct object_allocator *objects, cache_id own, const struct slab_log *log,
                        const struct slab_log_dump *dump, struct slab_log_tally *tally);
bool slub_state_load(struct object_allocator *objects, const struct slab_log_dump *dump, struct error *error);
bool slab_state_load(struct object_allocator *objects, const struct slab_log_dump *dump, struct error *error);
bool slob_state_load(struct object_allocator *objects, const struct slab_log_dump *dump, struct error *error);

/*
 * Makes the calls of `log` on a fresh allocator of `model` and adds to *tally. `settings` must fit the machine of the log
 * (slab_log_settings). *ran is false if the log needs a start state that the model cannot load.
 */
bool slab_log_run(const struct slab_log *log, const struct slab_log_model *model, const struct settings *settings,
                  struct slab_log_tally *tally, bool *ran, struct error *error);

/* Settings of the kernel and machine that wrote the log: CPUs from the `-smp N` of the file qemu_cmdline beside it, else 1. */
void slab_log_settings(const struct slab_log *log, struct settings *settings);

/*
 * The program: `PROGRAM MODEL FILE...`, MODEL being one of models[0..count). A line for each file,
 * `NAME calls=N equal=M states=P equal=Q`, the first difference below it, a TOTAL line at the end; 0 if everything was equal.
 */
int slab_log_main(const struct slab_log_model *models, size_t count, int argc, char **argv);

#endif
