/* SPDX-License-Identifier: MIT
 *
 * trace_text_process.c - the events of processes in a line (interface: trace_text.h).
 *
 * Formats: arch/x86/include/asm/trace/exceptions.h, include/trace/events/kmem.h and sched.h of Linux 6.1:
 *
 *     page_fault_user: address=0x7f0012345678 ip=0x55d0c0ffee00 error_code=0x6
 *     page_fault_kernel: likewise; at a user's address it is the kernel's copy to or from the process's memory
 *     rss_stat: mm_id=1754396741 curr=1 type=MM_ANONPAGES size=8192B            since 5.13; before that member=1 for type=
 *     sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
 *     sched_switch: sh:71 [120] S ==> swapper/0:0 [120]                        trace-cmd's plugin
 *     task_newtask: pid=72 comm=sh clone_flags=1200000 oom_score_adj=0         flags hexadecimal, without 0x
 *     sched_process_exec: filename=/bin/cat pid=72 old_pid=72
 *     sched_process_exit: comm=cat pid=72 prio=120
 *
 * A command's name (comm) may hold anything, so numbers are looked for from the right, where no name follows. The address of a
 * fault is printed as a symbol's name (%ps) where the reader knows one for it; then it cannot be told.
 */
#include "sim/trace_text.h"

#include <string.h>

/* A counter of pages above what any machine has: 2^52 bytes of physical addresses. */
#define RSS_PAGES_MAX (1ull << 40)

static struct text_slice slice_of(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	while (end > at && end[-1] == ' ')
		end--;
	return (struct text_slice){at, (size_t)(end - at)};
}

static bool is_text(struct text_slice slice, const char *text)
{
	return slice.length == strlen(text) && memcmp(slice.at, text, slice.length) == 0;
}

/* The word behind the last " KEY" in the text, which begins with a space. */
static bool last_value(struct text_slice text, const char *key, struct text_slice *value)
{
	size_t length = strlen(key);
	for (size_t left = text.length; left > length; left--) {
		const char *at = text.at + left - length - 1;
		if (*at != ' ' || memcmp(at + 1, key, length) != 0)
			continue;
		const char *behind = at + 1 + length, *end = text.at + text.length;
		const char *space = memchr(behind, ' ', (size_t)(end - behind));
		*value = (struct text_slice){behind, (size_t)((space ? space : end) - behind)};
		return true;
	}
	return false;
}

static bool read_hex_number(struct text_slice text, uint64_t *value)
{
	if (text.length > 2 && text.at[0] == '0' && text.at[1] == 'x')
		return text_whole_hex((struct text_slice){text.at + 2, text.length - 2}, value);
	return false;
}

/* A symbol begins as an identifier does; its name may go on with more than that ("f+0x1/0x2 [ext4]"). */
static bool is_symbol(struct text_slice text)
{
	char first = text.length ? text.at[0] : '\0';
	return first == '_' || (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
}

static bool read_fault(struct text_event *event, struct text_slice text)
{
	struct text_slice address, code;
	uint64_t bits;
	if (!last_value(text, "address=", &address) || !last_value(text, "error_code=", &code) || !read_hex_number(code, &bits) ||
	    bits > UINT32_MAX)
		return false;
	event->process.error_code = (uint32_t)bits;
	if (read_hex_number(address, &event->ptr)) {
		event->ptr_state = POINTER_VALUE;
		return true;
	}
	event->ptr_state = POINTER_UNPRINTED;
	return is_symbol(address);
}

static bool read_member(struct text_slice text, uint8_t *member)
{
	static const char *const names[] = {[SPACE_FILE] = "MM_FILEPAGES",
	                                    [SPACE_ANONYMOUS] = "MM_ANONPAGES",
	                                    [SPACE_SWAP] = "MM_SWAPENTS",
	                                    [SPACE_SHARED] = "MM_SHMEMPAGES"};
	uint64_t number;
	for (uint8_t i = 0; i < SPACE_MEMBERS; i++)
		if (is_text(text, names[i])) {
			*member = i;
			return true;
		}
	*member = SPACE_MEMBERS;
	if (!text_whole_decimal(text, &number) || number >= SPACE_MEMBERS)
		return false;
	*member = (uint8_t)number;
	return true;
}

/* "8192B": bytes, whole pages of them. */
static bool read_rss_size(struct text_slice text, int64_t *pages)
{
	uint64_t bytes;
	if (text.length > 0 && text.at[text.length - 1] == 'B')
		text.length--;
	bool negative = text.length > 0 && text.at[0] == '-';
	if (negative)
		text = (struct text_slice){text.at + 1, text.length - 1};
	if (!text_whole_decimal(text, &bytes) || bytes % PAGE_SIZE != 0 || bytes / PAGE_SIZE > RSS_PAGES_MAX)
		return false;
	*pages = negative ? -(int64_t)(bytes / PAGE_SIZE) : (int64_t)(bytes / PAGE_SIZE);
	return true;
}

static bool read_rss_stat(struct text_process *process, struct text_slice text)
{
	struct text_slice size, member, mm, current;
	uint64_t number, flag = 0;
	if (!last_value(text, "size=", &size) || !read_rss_size(size, &process->rss_pages))
		return false;
	if ((!last_value(text, "type=", &member) && !last_value(text, "member=", &member)) ||
	    !read_member(member, &process->member))
		return false;
	if (!last_value(text, "mm_id=", &mm))
		return true;
	if (!last_value(text, "curr=", &current) || !text_whole_decimal(current, &flag) || flag > 1)
		return false;
	/* %u of a hash of 32 bits; trace-cmd may show it in hexadecimal. */
	if ((!text_whole_decimal(mm, &number) && !read_hex_number(mm, &number)) || number > UINT32_MAX)
		return false;
	/* The hash is 0 until the kernel's random numbers are there to hash with (mm_ptr_to_hash()): that names nothing. */
	process->has_mm = number != 0;
	process->mm = (uint32_t)number;
	process->current = flag == 1;
	return true;
}

static bool read_task(struct text_slice text, uint32_t *task)
{
	uint64_t number;
	if (!text_whole_decimal(text, &number) || number > TEXT_TASK_MAX)
		return false;
	*task = (uint32_t)number;
	return true;
}

/* Where the text begins for the last time; NULL: nowhere. */
static const char *last_place(struct text_slice text, const char *of)
{
	const char *found = NULL, *end = text.at + text.length;
	for (const char *at = text.at; (at = memmem(at, (size_t)(end - at), of, strlen(of))); at++)
		found = at;
	return found;
}

/* A state is letters joined by '|', perhaps with '+' behind, or a number of its bits. */
static bool read_state(struct text_slice text, bool *gone)
{
	/* EXIT_DEAD and EXIT_ZOMBIE (include/linux/sched.h). */
	static const uint64_t gone_bits = 0x10 | 0x20;
	uint64_t bits;
	*gone = false;
	if (text_whole_decimal(text, &bits) || read_hex_number(text, &bits)) {
		*gone = bits & gone_bits;
		return true;
	}
	for (size_t i = 0; i < text.length; i++) {
		if (!strchr("RSDTtXZPIKWxNw|+", text.at[i]))
			return false;
		*gone = *gone || text.at[i] == 'X' || text.at[i] == 'Z';
	}
	return text.length > 0;
}

/* "sh:71 [120] S" or, of the task after, "sh:71 [120]": the task's number, and the place behind the priority. */
static bool read_plugin_task(struct text_slice text, uint32_t *task, struct text_slice *behind)
{
	const char *end = text.at + text.length;
	for (const char *at = end; at > text.at; at--) {
		if (at[-1] != '[')
			continue;
		const char *close = memchr(at, ']', (size_t)(end - at)), *number = at - 1;
		while (number > text.at && number[-1] == ' ')
			number--;
		const char *colon = memrchr(text.at, ':', (size_t)(number - text.at));
		if (!close || !colon)
			return false;
		*behind = slice_of(close + 1, end);
		return read_task((struct text_slice){colon + 1, (size_t)(number - colon - 1)}, task);
	}
	return false;
}

static bool read_switch(struct text_process *process, struct text_slice text)
{
	struct text_slice prev, next, state;
	/* The last one: a name before it may hold an arrow too; one behind it is too short to hold what follows an arrow. */
	const char *parting = last_place(text, " ==> ");
	size_t arrow = parting ? strlen(" ==>") : 0;
	if (!parting)
		parting = last_place(text, " next_comm=");
	if (!parting)
		return false;
	const struct text_slice before = {text.at, (size_t)(parting - text.at)};
	const struct text_slice after = {parting + arrow, text.length - before.length - arrow};
	if (last_value(before, "prev_state=", &state))
		return last_value(before, "prev_pid=", &prev) && last_value(after, "next_pid=", &next) &&
		       read_task(prev, &process->prev_task) && read_task(next, &process->next_task) &&
		       read_state(state, &process->gone);
	struct text_slice nothing;
	return arrow > 0 && read_plugin_task(before, &process->prev_task, &state) &&
	       read_plugin_task(after, &process->next_task, &nothing) && nothing.length == 0 && read_state(state, &process->gone);
}

/* The new thread's number stands in front of its name. */
static bool read_new_task(struct text_process *process, struct text_slice text)
{
	static const char key[] = "pid=";
	struct text_slice flags;
	uint64_t bits;
	/* trace-cmd puts all events' keys into one column. */
	const char *end = text.at + text.length, *at = text_skip_spaces(text.at, end);
	if ((size_t)(end - at) < sizeof key - 1 || memcmp(at, key, sizeof key - 1) != 0)
		return false;
	at += sizeof key - 1;
	const char *space = memchr(at, ' ', (size_t)(end - at));
	if (!space || !last_value(text, "clone_flags=", &flags))
		return false;
	if ((!text_whole_hex(flags, &bits) && !read_hex_number(flags, &bits)) || bits > UINT32_MAX)
		return false;
	process->clone_flags = (uint32_t)bits;
	return read_task((struct text_slice){at, (size_t)(space - at)}, &process->next_task);
}

/* FNV-1a, 32 bits. */
static uint32_t hash_of(const char *at, const char *end)
{
	uint32_t hash = 2166136261u;
	for (; at < end; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619u;
	return hash ? hash : 1;
}

static bool read_exec(struct text_process *process, struct text_slice text)
{
	struct text_slice now, before;
	const char *pid = last_place(text, " pid=");
	process->program = pid ? hash_of(text.at, pid) : 0;
	return last_value(text, "pid=", &now) && last_value(text, "old_pid=", &before) && read_task(now, &process->next_task) &&
	       read_task(before, &process->prev_task);
}

static bool read_exit(struct text_process *process, struct text_slice text)
{
	struct text_slice task;
	process->gone = true;
	return last_value(text, "pid=", &task) && read_task(task, &process->prev_task);
}

bool text_read_process(struct text_event *event, const char *at, const char *end)
{
	/* `at` is behind the colon of the event's name, where a space stands. */
	const struct text_slice text = {at, (size_t)(end - at)};
	switch (event->kind) {
	case TEXT_PAGE_FAULT:
		return read_fault(event, text);
	case TEXT_RSS_STAT:
		return read_rss_stat(&event->process, text);
	case TEXT_NEW_TASK:
		return read_new_task(&event->process, text);
	case TEXT_PROCESS_EXEC:
		return read_exec(&event->process, text);
	case TEXT_PROCESS_EXIT:
		return read_exit(&event->process, text);
	default:
		return read_switch(&event->process, text);
	}
}
