/* SPDX-License-Identifier: MIT
 *
 * trace_text.h - one line of a text recording as an event.
 *
 * A line is a head (task, CPU, time), an event's name, and key=value pairs. The heads differ by the tool that printed them and
 * live in sim/io/trace_<format>.c, one struct trace_format each; names and keys are read here, the same for all of them. Pairs
 * are found by name, so their order, additions and omissions do not matter. Nothing is copied: texts point into the line.
 */
#ifndef SIM_TRACE_TEXT_H
#define SIM_TRACE_TEXT_H

#include "sim/base.h"
#include "sim/trace.h"

/* Numbers of CPUs are below this, others are damage: NR_CPUS_RANGE_END of arch/x86/Kconfig. op.cpu has 16 bits. */
#define TEXT_CPUS_MAX 8192u
/* No thread has a higher number: PID_MAX_LIMIT of 64 bits (include/linux/threads.h). */
#define TEXT_TASK_MAX (4u << 20)

struct text_slice {
	const char *at;
	size_t length;
};

struct text_head {
	uint64_t time_ns;
	uint32_t cpu;
	uint32_t task;     /* thread number up to TEXT_TASK_MAX, 0 = not told */
	uint8_t context;   /* CONTEXT_ bits of trace.h */
	const char *event; /* where the event's name begins */
};

struct trace_format {
	const char *name;
	/* Reads the head of the line [at, end). false: the line is not of this format. */
	bool (*head)(const char *at, const char *end, struct text_head *head);
};

extern const struct trace_format trace_format_ftrace, trace_format_perf;

/* What a line is. */
enum text_line {
	TEXT_BLANK,
	TEXT_HEADER,  /* comments, what the tools say of themselves, lines of stack traces */
	TEXT_LOST,    /* events were lost here; text_event.lost says how many */
	TEXT_EVENT,   /* of the kinds below */
	TEXT_UNKNOWN, /* some other event */
	TEXT_DAMAGED  /* no event can be read from it, or one without a value that it must have */
};

enum text_kind {
	TEXT_KMALLOC,
	TEXT_CACHE_ALLOC,
	TEXT_KFREE,
	TEXT_CACHE_FREE,
	TEXT_PAGE_ALLOC,
	TEXT_PAGE_FREE,
	TEXT_PAGE_FREE_BATCHED,
	TEXT_ZONE_LOCKED,
	TEXT_PCPU_DRAIN,
	TEXT_EXTFRAG,
	TEXT_MARK,
	/* Of processes: trace_text_process.c. */
	TEXT_PAGE_FAULT,
	TEXT_RSS_STAT,
	TEXT_SCHED_SWITCH,
	TEXT_NEW_TASK,
	TEXT_PROCESS_EXEC,
	TEXT_PROCESS_EXIT
};

static inline bool text_is_of_processes(unsigned kind)
{
	return kind >= TEXT_PAGE_FAULT && kind <= TEXT_PROCESS_EXIT;
}

/* Bits of a page fault's error code (arch/x86/include/asm/trap_pf.h). */
enum { FAULT_PROTECTION = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_INSTRUCTION = 16 };

/* Bits of clone_flags (include/uapi/linux/sched.h): the address space is shared; a kernel thread's, as no user's clone has it. */
enum { CLONE_SHARES_SPACE = 0x100, CLONE_OF_KERNEL = 0x800000 };

/* What an event of a process tells; of the other kinds all of it is 0. */
struct text_process {
	int64_t rss_pages;    /* TEXT_RSS_STAT: what the counter is now; may be below 0 for a while */
	uint32_t mm;          /* TEXT_RSS_STAT: the address space's number */
	uint32_t next_task;   /* TEXT_SCHED_SWITCH; TEXT_NEW_TASK: the new one; TEXT_PROCESS_EXEC: its number from now on */
	uint32_t prev_task;   /* TEXT_SCHED_SWITCH; TEXT_PROCESS_EXEC: its number until now; TEXT_PROCESS_EXIT */
	uint32_t clone_flags; /* TEXT_NEW_TASK */
	uint32_t program;     /* TEXT_PROCESS_EXEC: a hash of its path, not 0 */
	uint32_t error_code;  /* TEXT_PAGE_FAULT; the address is text_event.ptr */
	uint8_t member;       /* TEXT_RSS_STAT: enum space_member */
	bool current;         /* TEXT_RSS_STAT: the address space is that of the task that the line names */
	bool has_mm;          /* TEXT_RSS_STAT: kernels before 5.6 do not tell it, nor any that cannot hash pointers yet */
	bool gone;            /* TEXT_SCHED_SWITCH: the task before never runs again (states X and Z); TEXT_PROCESS_EXIT: true */
};

enum text_pointer {
	POINTER_MISSING,
	POINTER_NULL,
	POINTER_UNPRINTED, /* "(____ptrval____)": the kernel could not hash pointers yet */
	POINTER_VALUE
};

struct text_event {
	uint64_t time_ns;
	uint64_t ptr;  /* of the object */
	uint64_t page; /* struct page */
	uint64_t pfn;
	uint64_t lost; /* TEXT_LOST: how many, 0 = not said */
	uint32_t cpu;
	uint32_t task;   /* as in struct text_head */
	uint8_t context; /* likewise */
	uint32_t bytes_req, bytes_alloc;
	uint32_t unknown_keys;
	uint8_t kind; /* enum text_kind */
	uint8_t order;
	uint8_t type;                    /* migrate type */
	uint8_t other_order, other_type; /* TEXT_EXTFRAG: of the block that was taken instead */
	bool refill;                     /* TEXT_ZONE_LOCKED: for a CPU's list */
	uint8_t ptr_state, page_state;   /* enum text_pointer */
	uint8_t ptr_digits;              /* hexadecimal digits the pointer was printed with, without 0x */
	bool has_pfn;
	struct text_slice call_site, gfp_flags, name, mark;
	struct text_process process;
};

/* What the lines' heads have in common, and what header lines said. */
struct text_reader {
	const struct trace_format *format;      /* of the last line that was read; tried first. NULL at the start */
	uint32_t cpus;                          /* as a header says, 0 = no word of it */
	uint64_t entries_kept, entries_written; /* as ftrace's header says */
};

/* Reads the line [at, end), which does not hold its newline. *event is filled for TEXT_EVENT and TEXT_LOST. */
enum text_line text_read_line(struct text_reader *reader, const char *at, const char *end, struct text_event *event);

/* For the formats: reads "SECONDS.FRACTION" or a plain count at *at, moves *at behind it. false: there is none. */
bool text_read_time(const char **at, const char *end, uint64_t *time_ns);
/* Reads "[NNN]" at *at, moves *at behind it. */
bool text_read_cpu(const char **at, const char *end, uint32_t *cpu);
/* For the events of processes: numbers that fill a whole text. */
bool text_whole_decimal(struct text_slice text, uint64_t *value);
bool text_whole_hex(struct text_slice text, uint64_t *value);
/*
 * trace_text_process.c: what stands behind the event's name, as the kernel and as trace-cmd's plugins print it. false: the line
 * is damaged.
 */
bool text_read_process(struct text_event *event, const char *at, const char *end);
/* The CONTEXT_ bits of irq-info flags as ftrace prints them, "d.s1.". */
uint8_t text_context(const char *flags, size_t length);
/* The first byte from `at` on that is no space. */
const char *text_skip_spaces(const char *at, const char *end);

#endif
