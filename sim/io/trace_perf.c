/* SPDX-License-Identifier: MIT
 *
 * trace_perf.c - heads of lines as `perf script` prints them:
 *
 *     TASK  TID [CPU]  SECONDS.MICROSECONDS:  GROUP:EVENT: ...
 *     TASK  PID/TID [CPU]  SECONDS.MICROSECONDS:  GROUP:EVENT: ...
 *     TASK  TID  SECONDS.MICROSECONDS:  GROUP:EVENT: ...           recorded without the CPU: it is taken as 0
 *
 * TASK may hold anything. The first place counts where a thread's number is followed by the rest of a head.
 */
#include "sim/trace_text.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The number behind the last slash of [at, end): "PID/TID" or "TID"; 0 for the idle tasks' and what no thread has, as the -1 that
 * perf prints where it knows none.
 */
static uint32_t thread_number(const char *at, const char *end)
{
	uint64_t value = 0;
	if (*at == '-')
		return 0;
	for (; at < end && value <= TEXT_TASK_MAX; at++)
		value = is_digit(*at) ? value * 10 + (uint64_t)(*at - '0') : 0;
	return value <= TEXT_TASK_MAX ? (uint32_t)value : 0;
}

/* Reads "[CPU]" (or nothing), the time, and the group; `at` is behind the thread's number. */
static bool read_behind_thread(const char *at, const char *end, struct text_head *head)
{
	at = text_skip_spaces(at, end);
	head->cpu = 0;
	head->context = 0;
	if (at < end && *at == '[' && !text_read_cpu(&at, end, &head->cpu))
		return false;
	at = text_skip_spaces(at, end);
	if (!text_read_time(&at, end, &head->time_ns) || end - at < 2 || at[0] != ':' || at[1] != ' ')
		return false;
	at = text_skip_spaces(at + 1, end);
	const char *colon = memchr(at, ':', (size_t)(end - at));
	if (!colon)
		return false;
	/* "group:event:" names a tracepoint; other events of perf have no group and are unknown by their own name. */
	head->event = colon + 1 < end && colon[1] != ' ' ? colon + 1 : at;
	return true;
}

static bool perf_head(const char *at, const char *end, struct text_head *head)
{
	for (const char *space = at; (space = memchr(space, ' ', (size_t)(end - space))); space++) {
		const char *number = space + 1;
		const char *behind = number;
		while (behind < end && (is_digit(*behind) || *behind == '/' || (behind == number && *behind == '-')))
			behind++;
		if (behind > number && behind < end && *behind == ' ' && read_behind_thread(behind, end, head)) {
			head->task = thread_number(number, behind);
			return true;
		}
	}
	return false;
}

const struct trace_format trace_format_perf = {"perf script", perf_head};
