/* SPDX-License-Identifier: MIT
 *
 * base.h - the words everything else is written in: address types, the cycle, errors, and the assertion that stays on.
 *
 * Three kinds of failure, three tools:
 *   - the user's or the host's fault   -> struct error, filled by the function that found it, which then returns false or NULL;
 *   - a broken invariant of ours       -> SIM_ASSERT, checked in every build;
 *   - a failure inside the simulation  -> a result value (no memory, wrong free) that the caller must switch on.
 */
#ifndef SIM_BASE_H
#define SIM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The page size of x86. Everything counts memory in frames of this size. */
#define PAGE_SHIFT 12
#define PAGE_SIZE (1u << PAGE_SHIFT)

/* The largest number of simulated CPUs, and of block sizes of the page allocator (orders 0..10, as MAX_ORDER in Linux 6.1). */
#define CPUS_MAX 128
#define ORDERS 11

/* A page frame number: physical address >> PAGE_SHIFT. 32 bits hold 16 TiB. */
typedef struct {
	uint32_t nr;
} pfn;

/* A virtual address of the simulated machine. Objects of the direct map are named by it, as the kernel names them. */
typedef struct {
	uint64_t addr;
} vaddr;

#define PFN_NONE ((pfn){UINT32_MAX})
#define VADDR_NULL ((vaddr){0})

static inline pfn pfn_of(uint32_t nr)
{
	return (pfn){nr};
}

static inline vaddr vaddr_of(uint64_t addr)
{
	return (vaddr){addr};
}

/* Simulated time, in cycles of the simulated machine's cores. */
typedef uint64_t cycle;

/* What a command's exit code says of an error. */
enum error_kind {
	ERROR_NONE = 0,
	ERROR_USAGE = 2,  /* the command line or a scenario is wrong */
	ERROR_INPUT = 3,  /* a file that was read is damaged, truncated or of no known format */
	ERROR_HOST = 4,   /* the host refused: no such file, no space, no memory, no program */
	ERROR_STOPPED = 5 /* the run was stopped by its own rule (on_error: stop) */
};

/*
 * An error for the user: one sentence that names the file, line, key, what was found and what was expected.
 * Callers hand in a zeroed struct; the first error wins, later error_set() calls on the same struct are ignored.
 */
struct error {
	enum error_kind kind;
	char text[1024];
};

/* Fills *error (printf style) and returns false, so that `return error_set(...)` reads well. error may be NULL. */
bool error_set(struct error *error, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Prints the place and the sentence to stderr and aborts. Never returns.
 */
_Noreturn void sim_assert_failed(const char *condition, const char *file, int line);

#define SIM_ASSERT(condition) ((condition) ? (void)0 : sim_assert_failed(#condition, __FILE__, __LINE__))

/* A place that no value leads to; the sentence says what the value should have been. */
#define SIM_UNREACHABLE(sentence) sim_assert_failed(sentence, __FILE__, __LINE__)

/*
 * Memory that may not fail: a host without memory for the simulator ends the program with a sentence and exit code
 * ERROR_HOST. Sizes that come from outside are bounded by their reader before they reach these.
 */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A zeroed array that costs host memory only where it is touched (an anonymous mapping). Freed by lazy_free() with the same
 * count and size. Never returns NULL.
 */
void *lazy_alloc(size_t count, size_t size);

/* The same, of an array that is touched all over: the host keeps it in large pages where it can, so that it seldom has to walk.
 */
void *dense_alloc(size_t count, size_t size);
void lazy_free(void *memory, size_t count, size_t size);

#endif
