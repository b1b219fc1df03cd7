/* SPDX-License-Identifier: MIT
 *
 * base.c - errors, the assertion, and memory that may not fail (interface and rules: base.h).
 */
#include "sim/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
	if (!error || error->kind != ERROR_NONE)
		return false;
	error->kind = kind;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return false;
}

_Noreturn void sim_assert_failed(const char *condition, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "kmemsim: %s:%d: the rule \"%s\" does not hold: this is a defect of kmemsim, please report it\n", file,
	        line, condition);
	abort();
}

static _Noreturn void out_of_host_memory(size_t count, size_t size)
{
	fprintf(stderr, "kmemsim: the host has no memory left (%zu x %zu bytes asked for)\n", count, size);
	exit(ERROR_HOST);
}

void *xcalloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);
	if (!memory)
		out_of_host_memory(count, size);
	return memory;
}

void *xrealloc(void *memory, size_t size)
{
	void *moved = realloc(memory, size ? size : 1);
	if (!moved)
		out_of_host_memory(1, size);
	return moved;
}

char *xstrdup(const char *text)
{
	size_t bytes = strlen(text) + 1;
	return memcpy(xcalloc(bytes, 1), text, bytes);
}

char *xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		out_of_host_memory(1, strlen(format));
	va_end(arguments);
	return text;
}

void *lazy_alloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_host_memory(count, size);
	void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		out_of_host_memory(count, size);
	return memory;
}

void *dense_alloc(size_t count, size_t size)
{
	void *memory = lazy_alloc(count, size);
	/* A hint: without large pages it is the same memory. */
	(void)madvise(memory, count * size > 0 ? count * size : 1, MADV_HUGEPAGE);
	return memory;
}

void lazy_free(void *memory, size_t count, size_t size)
{
	size_t bytes = count * size;
	if (memory)
		munmap(memory, bytes > 0 ? bytes : 1);
}
