/* SPDX-License-Identifier: MIT
 *
 * recording.h - a script recorded inside a real kernel: one call a line with what it returned, the allocators' events inside each
 * call, and dumps of the allocators' state between calls (docs/formats.md, "Recordings of scripts").
 *
 * A recording is read whole, unpacked (sim/io/decompress.h), and its lines taken apart. What kind it is stands in its own
 * "#BEGIN script ..." line; neither its name nor its folder is looked at.
 *
 * Order of the lines: events of an allocating call stand before its result line; those of a free behind its line.
 *
 * A recording without its "#END" line was cut. Its last line (if it has no line end) and its last call (whose events may be
 * missing) are left out, and `cut` tells so. Numbers are bounded before they are stored: ids, orders, sizes (see below).
 */
#ifndef SIM_RECORDING_H
#define SIM_RECORDING_H

#include "sim/gfp.h"
#include "sim/state_dump.h"

/* Ids of a script are below this. */
#define RECORDING_IDS_MAX (1u << 20)
/* Largest recording that is read, unpacked; the recorder's buffers are far smaller. */
#define RECORDING_BYTES_MAX (1ull << 30)

enum recording_script {
	RECORDING_SLAB,          /* one cache of its own: kmem_cache_alloc, kmem_cache_free */
	RECORDING_KMALLOC_SIZES, /* kmalloc, ksize, kfree of each size */
	RECORDING_KMALLOC_RAND,  /* kmalloc and kfree */
	RECORDING_KMALLOC_POW2,  /* kmalloc of powers of two, without a start state */
	RECORDING_PAGES,         /* alloc_pages, __free_pages */
	RECORDING_VMALLOC,       /* vmalloc, vfree */
	RECORDING_VMALLOC_POW2,  /* vmalloc and vfree of powers of two, without a start state */
	RECORDING_KMAP,          /* kmap, kunmap, kmap_local_page, kmap_atomic */
	RECORDING_SCRIPTS
};

enum recording_line_kind {
	LINE_NOTE,    /* #... of no other kind */
	LINE_SHRINK,  /* # shrink: kmem_cache_shrink of the script's cache */
	LINE_DESTROY, /* # destroy: kmem_cache_destroy of it */
	LINE_ALLOC,   /* a id frame.offset|FAIL: kmem_cache_alloc(GFP_KERNEL) */
	LINE_FREE,    /* f id: kmem_cache_free, in a kmalloc script kfree */
	LINE_KMALLOC, /* m id size gfp frame.offset|FAIL */
	LINE_KSIZE,   /* K size ksize frame.offset: kmalloc, ksize and kfree at once */
	LINE_POW2,  /* 2 size ksize frame.offset, of vmalloc 2 size OK address, or 2 size FAIL: the same without a start state */
	LINE_PAGES, /* A id order gfp frame|FAIL: alloc_pages */
	LINE_PAGES_FREE, /* F id: __free_pages */
	LINE_VMALLOC,    /* v id size lazy=: vmalloc begins */
	LINE_AREA,       /* V id address : frame ..., or V id FAIL: what it gave */
	LINE_VFREE,      /* F id lazy=: vfree */
	LINE_KMAP,       /* a line of a kmap script: its text is read by who replays it */
	LINE_SLABINFO,   /* k key=value ...: what /proc/slabinfo would show of the script's cache, part of a dump */
	LINE_DUMP,       /* @...: part of a dump */
	LINE_BLOCK,      /* >CcTT PA frame order gfp type, PF frame order: the page allocator gave or took a block */
	LINE_OBJECT,     /* >CcTT KM, KF, CA, CF: an object of somebody else */
	LINE_EVENT       /* >CcTT, any other: inside the page allocator */
};

/* One line. Fields that its kind does not have are 0. */
struct recording_line {
	uint32_t number; /* in the file, from 1 */
	uint8_t kind;    /* enum recording_line_kind */
	bool failed;     /* the recorded call got no memory */
	bool taken;      /* LINE_BLOCK: PA, not PF. LINE_OBJECT: KM or CA, not KF or CF */
	char context;    /* of an event: t task, S softirq, I hardirq */
	uint16_t cpu;    /* of an event */
	uint16_t order;
	const char *text; /* the whole line, without its line end */
	uint32_t id;
	uint32_t size; /* bytes asked for */
	uint32_t ksize;
	gfp flags;
	uint32_t frame;  /* of the object or block; UINT32_MAX: none */
	uint32_t offset; /* of the object in that frame, bytes */
};

/* What the kernel said of itself: a "#BEGIN facts" block, in the recording or beside it. */
struct recording_facts {
	bool known;
	char allocator[8]; /* slub, slab or slob; empty: not told */
	uint32_t cpus;     /* present ones; 0: not told */
	uint32_t pcp_lists;
	uint32_t page_struct_bytes;
	uint32_t cache_line_bytes;
	uint64_t page_offset;  /* where the direct map begins */
	uint64_t end_pfn;      /* from a dump behind the block */
	uint64_t memory_bytes; /* that QEMU was told to give the machine; 0: not told */
	char *boot_parameters; /* of the kernel's command line, owned; NULL: not told */
};

struct recording {
	char *path;
	char *text; /* as the lines below point into it */
	struct recording_line *lines;
	size_t count;
	enum recording_script script;
	const char *begin; /* its #BEGIN line */
	bool cut;          /* no #END line */
	uint64_t lost;     /* lines that the recorder's buffer had no room for */
	struct recording_facts facts;
	/* what its own dumps tell; 0 where they do not */
	uint64_t end_pfn;
	uint32_t cpus;
	bool has_zones, has_dma32;
	char allocator[8];
};

/*
 * Whether the file begins as a recording of a script, perhaps behind a block of facts, whatever it is packed with. False with
 * *error filled if it cannot be unpacked that far; false with no error if it is something else.
 */
bool recording_sniff(const char *path, struct error *error);

/* Reads a recording and the facts beside it. False with *error filled if it cannot be read or understood. */
bool recording_read(struct recording *recording, const char *path, struct error *error);
/* The same from a text in memory, which the recording then owns; it must end with a NUL byte that `bytes` does not count. */
bool recording_parse(struct recording *recording, const char *name, char *text, size_t bytes, struct error *error);
void recording_release(struct recording *recording);

/* recording_facts.c: takes one line of a block of facts; words that mean nothing here are passed over. */
void recording_facts_line(struct recording_facts *facts, const char *text);
/* Fills what facts/state_boot and qemu_cmdline beside the recording tell and the recording itself does not. */
void recording_read_beside(struct recording *recording);
/*
 * Reads the last whole @STATE dump that has all of `letters` in what= from a file beside the recording: "facts/state_boot", as it
 * is or packed (.xz, .gz, .zst). False: there is none. Release with state_dump_release() in any case.
 */
bool recording_dump_beside(const struct recording *recording, const char *name, const char *letters, struct state_dump *dump);

/* Whether a kind of line is an event: of a call in front of it or behind it. */
static inline bool recording_is_event(const struct recording_line *line)
{
	return line->kind >= LINE_BLOCK;
}

/* Lines of one dump: `@CHECK tag` or `@STATE tag ...` first, then what belongs to it (without @END). */
struct recording_dump {
	bool state; /* @STATE */
	bool whole; /* its end was seen */
	const char *tag;
	const struct recording_line *lines;
	size_t count;
};

/* The dump that begins at line `at`. */
struct recording_dump recording_dump_at(const struct recording *recording, size_t at);

/* Reads a whole @STATE dump's lines; false with *error filled if they make no sense. Release with state_dump_release(). */
bool recording_state(const struct recording *recording, const struct recording_dump *from, struct state_dump *dump,
                     struct error *error);

/* "pages", "slab": the word in the #BEGIN line. */
const char *recording_script_name(enum recording_script script);

#endif
