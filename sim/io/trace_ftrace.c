/* SPDX-License-Identifier: MIT
 *
 * trace_ftrace.c - heads of lines as /sys/kernel/tracing/trace and `trace-cmd report` print them:
 *
 *     TASK-PID     [CPU] FLAGS  SECONDS.MICROSECONDS: EVENT: ...          ftrace
 *     TASK-PID  (  TGID) [CPU] FLAGS  SECONDS.MICROSECONDS: EVENT: ...    ftrace, option record-tgid
 *     TASK-PID     [CPU]  SECONDS.MICROSECONDS: EVENT:   ...              trace-cmd; ftrace without option irq-info
 *
 * TASK may hold anything, spaces, dashes and brackets too. So the first "[number]" counts that has "-PID" or "(TGID)" before it
 * and flags and a time behind it. FLAGS are four to six characters that do not begin with a digit.
 */
#include "sim/trace_text.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the decimal number [at, end); 0 if no thread has it. */
static uint32_t task_number(const char *at, const char *end)
{
	uint64_t value = 0;
	for (; at < end && value <= TEXT_TASK_MAX; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value <= TEXT_TASK_MAX ? (uint32_t)value : 0;
}

/* Whether [start, bracket) ends as the task of a line does: "-PID  " or "(TGID) " or "(-----) ". *task: the PID, 0 if it is not
 * there. */
static bool task_ends_before(const char *start, const char *bracket, uint32_t *task)
{
	*task = 0;
	const char *at = bracket;
	while (at > start && at[-1] == ' ')
		at--;
	if (at == bracket || at == start)
		return false;
	if (at[-1] == ')') {
		const char *open = memrchr(start, '(', (size_t)(at - start));
		if (open && open > start)
			task_ends_before(start, open, task);
		return true;
	}
	const char *digits_end = at;
	while (at > start && is_digit(at[-1]))
		at--;
	*task = task_number(at, digits_end);
	return at < digits_end && at > start && at[-1] == '-';
}

static bool read_behind_cpu(const char *at, const char *end, struct text_head *head)
{
	at = text_skip_spaces(at, end);
	head->context = 0;
	if (at < end && !is_digit(*at)) {
		const char *flags = at;
		while (at < end && *at != ' ')
			at++;
		head->context = text_context(flags, (size_t)(at - flags));
		at = text_skip_spaces(at, end);
	}
	if (!text_read_time(&at, end, &head->time_ns) || end - at < 2 || at[0] != ':' || at[1] != ' ')
		return false;
	head->event = at + 2;
	return true;
}

static bool ftrace_head(const char *at, const char *end, struct text_head *head)
{
	const char *start = at;
	while ((at = memchr(at, '[', (size_t)(end - at)))) {
		const char *bracket = at;
		if (text_read_cpu(&at, end, &head->cpu) && task_ends_before(start, bracket, &head->task) &&
		    read_behind_cpu(at, end, head))
			return true;
		at = bracket + 1;
	}
	return false;
}

const struct trace_format trace_format_ftrace = {"ftrace", ftrace_head};
