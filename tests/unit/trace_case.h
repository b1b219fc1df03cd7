/* SPDX-License-Identifier: MIT
 *
 * trace_case.h - for the tests of the import: a text becomes a recording in a folder of its own, is imported, and its ops become
 * one line of text that a test can compare.
 *
 * An op reads: origin (b = before the recording, u = unseen), kind (A F cache alloc and free, K k kmalloc and kfree, P p pages, M
 * mark), id, and what matters of the rest: A0:cache, F0:cache, K0:req/alloc, k0, P0:order, p0:order, M:text. Of processes:
 * N0/space create, R1<0/space fork by 0, T1<0/space its thread, X0 exit, x0/space exec, m0:address+pages map (of a file: and
 * fFILE@PAGE), u0:address+pages unmap, r0:address w0:address f0:address a touch (read, write, fetch), s0 switch, L leave.
 */
#ifndef TESTS_TRACE_CASE_H
#define TESTS_TRACE_CASE_H

#include "tests/unit/test.h"

#include "sim/port/user_memory.h"
#include "sim/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trace_case {
	char folder[64];
	char path[128];
	enum trace_processes processes;
	struct trace_summary summary;
	struct trace *trace;
	struct error error;
};

static inline void case_write(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static inline void case_begin(struct trace_case *self)
{
	*self = (struct trace_case){.folder = "/tmp/kmemsim-test.XXXXXX"};
	assert_non_null(mkdtemp(self->folder));
	snprintf(self->path, sizeof self->path, "%s/trace.txt", self->folder);
}

/* Puts a file beside the recording. */
static inline void case_fact(const struct trace_case *self, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", self->folder, name);
	case_write(path, text, strlen(text));
}

/* Imports the file at self->path. false: refused, with self->error. */
static inline bool case_import_file(struct trace_case *self)
{
	char out[128];
	snprintf(out, sizeof out, "%s/trace.kmt", self->folder);
	self->error = (struct error){0};
	if (!trace_import(self->path, out, self->processes, NULL, &self->summary, &self->error))
		return false;
	self->trace = trace_open(out, &self->error);
	assert_string_equal(self->error.text, "");
	assert_non_null(self->trace);
	return true;
}

static inline bool case_import(struct trace_case *self, const char *text)
{
	case_write(self->path, text, strlen(text));
	return case_import_file(self);
}

static inline void case_end(struct trace_case *self)
{
	char command[128];
	trace_close(self->trace);
	snprintf(command, sizeof command, "rm -r %s", self->folder);
	assert_int_equal(system(command), 0);
}

static inline void case_render_process(const struct op *op, char *text, size_t size)
{
	static const char touches[] = "rwf";
	uint32_t space = op_space_of(op);
	switch ((enum op_kind)op->kind) {
	case OP_PROCESS_CREATE:
		snprintf(text, size, "N%" PRIu32 "/%" PRIu32 " ", op->id, space);
		break;
	case OP_PROCESS_FORK:
		snprintf(text, size, "%c%" PRIu32 "<%" PRIu32 "/%" PRIu32 " ", op->order == FORK_THREAD ? 'T' : 'R', op->id,
		         op_parent_of(op), space);
		break;
	case OP_PROCESS_EXIT:
		snprintf(text, size, "X%" PRIu32 " ", op->id);
		break;
	case OP_PROCESS_EXEC:
		snprintf(text, size, "x%" PRIu32 "/%" PRIu32 " ", op->id, space);
		break;
	case OP_PROCESS_MAP:
	case OP_PROCESS_UNMAP:
		if (op->kind == OP_PROCESS_MAP && op->order == USER_FILE_PRIVATE) {
			snprintf(text, size, "m%" PRIu32 ":%" PRIx64 "+%" PRIu32 "f%" PRIu32 "@%" PRIx32 " ", op->id, op->address,
			         op->bytes_req, op->bytes_alloc, op->gfp >> PROCESS_MAP_PAGE_SHIFT);
			break;
		}
		snprintf(text, size, "%c%" PRIu32 ":%" PRIx64 "+%" PRIu32 " ", op->kind == OP_PROCESS_MAP ? 'm' : 'u', op->id,
		         op->address, op->bytes_req);
		break;
	case OP_PROCESS_ADVISE:
		snprintf(text, size, "a%" PRIu32 ":%" PRIx64 "+%" PRIu32 "/%u ", op->id, op->address, op->bytes_req, op->order);
		break;
	case OP_PROCESS_PROTECT:
		snprintf(text, size, "p%" PRIu32 ":%" PRIx64 "+%" PRIu32 "/%u ", op->id, op->address, op->bytes_req, op->order);
		break;
	case OP_PROCESS_REMAP:
		snprintf(text, size, "v%" PRIu32 ":%" PRIx64 "+%" PRIu32 ">%" PRIx64 "+%" PRIu32 " ", op->id, op->address,
		         op->bytes_req, op_remap_to(op), op->bytes_alloc);
		break;
	case OP_PROCESS_TOUCH:
		snprintf(text, size, "%c%" PRIu32 ":%" PRIx64 " ", touches[op->order], op->id, op->address);
		break;
	case OP_PROCESS_SWITCH:
		snprintf(text, size, "s%" PRIu32 " ", op->id);
		break;
	default:
		snprintf(text, size, "L ");
	}
}

static inline void case_render_op(const struct trace *trace, const struct op *op, char *text, size_t size)
{
	static const char kinds[] = "AFKkPpMVvEeCY";
	static const char *const origins[] = {"", "b", "u"};
	if (op->kind >= OP_PROCESS_CREATE) {
		case_render_process(op, text, size);
		return;
	}
	int used = snprintf(text, size, "%s%c", origins[op->origin], kinds[op->kind]);
	text += used;
	size -= (size_t)used;
	switch ((enum op_kind)op->kind) {
	case OP_CACHE_ALLOC:
	case OP_CACHE_FREE:
		snprintf(text, size, "%" PRIu32 ":%s ", op->id, trace_cache(trace, op->cache)->name);
		break;
	case OP_KMALLOC:
		snprintf(text, size, "%" PRIu32 ":%" PRIu32 "/%" PRIu32 " ", op->id, op->bytes_req, op->bytes_alloc);
		break;
	case OP_KFREE:
		snprintf(text, size, "%" PRIu32 " ", op->id);
		break;
	case OP_PAGE_ALLOC:
	case OP_PAGE_FREE:
	case OP_AREA_ALLOC:
	case OP_AREA_FREE:
	case OP_PAGE_MAP:
	case OP_PAGE_UNMAP:
	case OP_PAGE_CLEAR:
	case OP_PAGE_COPY:
		snprintf(text, size, "%" PRIu32 ":%u ", op->id, op->order);
		break;
	case OP_MARK:
		snprintf(text, size, ":%s ", trace_call_site(trace, op->call_site));
		break;
	default:
		fail();
	}
}

/* All ops as one text, without the last space; valid until the next call. */
static inline const char *case_ops(struct trace_case *self)
{
	static char text[8192];
	struct op batch[7];
	size_t count, used = 0;
	text[0] = '\0';
	do {
		assert_true(trace_next(self->trace, batch, 7, &count, &self->error));
		for (size_t i = 0; i < count; i++) {
			case_render_op(self->trace, &batch[i], text + used, sizeof text - used);
			used = strlen(text);
		}
	} while (count > 0);
	if (used > 0)
		text[used - 1] = '\0';
	assert_true(trace_rewind(self->trace, &self->error));
	return text;
}

/* All details as one text: kind (C context, A page alloc, F page free, B batched, Z zone locked, D drain, X extfrag), line,
 * frame, and what the kind tells. */
static inline const char *case_details(struct trace_case *self)
{
	static char text[8192];
	static const char kinds[] = "CAFBZDX";
	struct detail batch[3];
	size_t count, used = 0;
	text[0] = '\0';
	do {
		assert_true(trace_next_details(self->trace, batch, 3, &count, &self->error));
		for (size_t i = 0; i < count; i++) {
			const struct detail *d = &batch[i];
			if (d->kind == DETAIL_CONTEXT)
				used += (size_t)snprintf(text + used, sizeof text - used, "C%" PRIu64 ":%u@%u/%u ", d->line,
				                         d->task, d->cpu, d->context);
			else
				used += (size_t)snprintf(text + used, sizeof text - used, "%c%" PRIu64 ":%" PRIx64 "/%u.%u%s ",
				                         kinds[d->kind], d->line, d->pfn, d->order, d->type,
				                         d->refill ? "r" : "");
		}
	} while (count > 0);
	if (used > 0)
		text[used - 1] = '\0';
	assert_true(trace_rewind(self->trace, &self->error));
	return text;
}

#endif
