/* SPDX-License-Identifier: MIT
 *
 * trace_text.c - names and key=value pairs of a line (interface: trace_text.h).
 *
 * Events of processes are read in trace_text_process.c. Formats of the kmem events: include/trace/events/kmem.h of Linux 4.4
 * to 6.6. A value runs up to the space before the next key, because call sites of modules ("f+0x1/0x2 [ext4]") hold spaces; the
 * last one up to the end of the line.
 */
#include "sim/trace_text.h"

#include <string.h>

static const struct trace_format *const formats[] = {&trace_format_ftrace, &trace_format_perf};

#define CPU_DIGITS_MAX 5u

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

const char *text_skip_spaces(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* Reads decimal digits; false: there are none, or too many for 64 bits. */
static bool read_decimal(const char **at, const char *end, uint64_t *value)
{
	const char *start = *at;
	uint64_t sum = 0;
	while (*at < end && is_digit(**at))
		sum = sum * 10 + (uint64_t)(*(*at)++ - '0');
	*value = sum;
	return *at > start && *at - start <= 19;
}

bool text_read_time(const char **at, const char *end, uint64_t *time_ns)
{
	uint64_t seconds, fraction;
	if (!read_decimal(at, end, &seconds))
		return false;
	*time_ns = seconds;
	if (*at == end || **at != '.')
		return seconds <= INT64_MAX; /* trace clocks "counter" and the like: a plain number, taken as nanoseconds */
	const char *point = ++*at;
	if (!read_decimal(at, end, &fraction) || *at - point > 9)
		return false;
	for (size_t digits = (size_t)(*at - point); digits < 9; digits++)
		fraction *= 10;
	/* The database keeps times as signed numbers of 64 bits: 292 years, more than any clock of a kernel shows. */
	return !__builtin_mul_overflow(seconds, 1000000000u, &seconds) && !__builtin_add_overflow(seconds, fraction, time_ns) &&
	       *time_ns <= INT64_MAX;
}

bool text_read_cpu(const char **at, const char *end, uint32_t *cpu)
{
	const char *digits = *at + 1;
	uint32_t value = 0;
	const char *behind = digits;
	for (; behind < end && is_digit(*behind) && behind - digits < CPU_DIGITS_MAX; behind++)
		value = value * 10 + (uint32_t)(*behind - '0');
	if (behind == digits || behind == end || *behind != ']' || value >= TEXT_CPUS_MAX)
		return false;
	*cpu = value;
	*at = behind + 1;
	return true;
}

uint8_t text_context(const char *flags, size_t length)
{
	/* irqs, rescheduling, interrupt, and more that says nothing here (kernel/trace/trace_output.c: trace_print_lat_fmt) */
	if (length < 4)
		return 0;
	uint8_t context = CONTEXT_KNOWN;
	if (flags[0] == 'd' || flags[0] == 'D')
		context |= CONTEXT_IRQS_OFF;
	if (flags[2] == 's' || flags[2] == 'H')
		context |= CONTEXT_SOFTIRQ;
	if (flags[2] == 'h' || flags[2] == 'H' || flags[2] == 'z' || flags[2] == 'Z')
		context |= CONTEXT_HARDIRQ;
	return context;
}

/* A hexadecimal digit's value + HEX_DIGIT, 0 for other bytes: every pointer goes through here. */
#define HEX_DIGIT 0x10u
static const uint8_t hex_digits[256] = {
        ['0'] = HEX_DIGIT + 0,  ['1'] = HEX_DIGIT + 1,  ['2'] = HEX_DIGIT + 2,  ['3'] = HEX_DIGIT + 3,  ['4'] = HEX_DIGIT + 4,
        ['5'] = HEX_DIGIT + 5,  ['6'] = HEX_DIGIT + 6,  ['7'] = HEX_DIGIT + 7,  ['8'] = HEX_DIGIT + 8,  ['9'] = HEX_DIGIT + 9,
        ['a'] = HEX_DIGIT + 10, ['b'] = HEX_DIGIT + 11, ['c'] = HEX_DIGIT + 12, ['d'] = HEX_DIGIT + 13, ['e'] = HEX_DIGIT + 14,
        ['f'] = HEX_DIGIT + 15, ['A'] = HEX_DIGIT + 10, ['B'] = HEX_DIGIT + 11, ['C'] = HEX_DIGIT + 12, ['D'] = HEX_DIGIT + 13,
        ['E'] = HEX_DIGIT + 14, ['F'] = HEX_DIGIT + 15,
};

static bool is_hex_digit(char c)
{
	return hex_digits[(unsigned char)c] != 0;
}

static bool read_hex(struct text_slice text, uint64_t *value)
{
	uint64_t sum = 0;
	unsigned all = HEX_DIGIT;
	if (text.length == 0 || text.length > 16)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		unsigned digit = hex_digits[(unsigned char)text.at[i]];
		all &= digit;
		sum = sum << 4 | (digit & (HEX_DIGIT - 1));
	}
	*value = sum;
	return all & HEX_DIGIT;
}

bool text_whole_hex(struct text_slice text, uint64_t *value)
{
	return read_hex(text, value);
}

bool text_whole_decimal(struct text_slice text, uint64_t *value)
{
	const char *at = text.at, *end = text.at + text.length;
	return read_decimal(&at, end, value) && at == end;
}

static bool starts_with(struct text_slice text, const char *prefix)
{
	size_t length = strlen(prefix);
	return text.length >= length && memcmp(text.at, prefix, length) == 0;
}

static struct text_slice without_0x(struct text_slice text)
{
	return starts_with(text, "0x") ? (struct text_slice){text.at + 2, text.length - 2} : text;
}

/* Hexadecimal with or without 0x, or one of the words the kernel prints instead. false: neither. */
static bool read_pointer(struct text_slice text, uint64_t *value, uint8_t *state, uint8_t *digits)
{
	if (starts_with(text, "(")) {
		*state = starts_with(text, "(____ptrval") ? POINTER_UNPRINTED : POINTER_NULL;
		return *state == POINTER_UNPRINTED || starts_with(text, "(null)") || starts_with(text, "(nil)");
	}
	text = without_0x(text);
	if (!read_hex(text, value))
		return false;
	*state = *value == 0 ? POINTER_NULL : POINTER_VALUE;
	*digits = (uint8_t)text.length;
	return true;
}

/* "0x825c" since 5.13, decimal before. */
static bool read_frame(struct text_slice text, uint64_t *value)
{
	if (starts_with(text, "0x"))
		return read_hex(without_0x(text), value);
	return text_whole_decimal(text, value);
}

static bool read_size(struct text_slice text, uint32_t *value)
{
	uint64_t wide;
	if (!text_whole_decimal(text, &wide) || wide > UINT32_MAX)
		return false;
	*value = (uint32_t)wide;
	return true;
}

static bool read_order(struct text_slice text, uint8_t *order)
{
	uint32_t value;
	if (!read_size(text, &value) || value >= ORDERS)
		return false;
	*order = (uint8_t)value;
	return true;
}

/* A migrate type: small and not negative in every kernel. */
static bool read_type(struct text_slice text, uint8_t *type)
{
	uint32_t value;
	if (!read_size(text, &value) || value > UINT8_MAX)
		return false;
	*type = (uint8_t)value;
	return true;
}

static bool read_flag(struct text_slice text, bool *flag)
{
	uint32_t value;
	if (!read_size(text, &value))
		return false;
	*flag = value != 0;
	return true;
}

/* Which of the values that an event must have are there. */
enum { HAS_PTR = 1, HAS_BYTES_REQ = 2, HAS_BYTES_ALLOC = 4, HAS_GFP = 8, HAS_FRAME = 16, HAS_ORDER = 32 };

#define KEY(name) (key.length == sizeof(name) - 1 && memcmp(key.at, name, sizeof(name) - 1) == 0)

/* Takes one pair into the event; *has grows. false: the value cannot be read. */
static bool read_pair(struct text_event *event, struct text_slice key, struct text_slice value, unsigned *has)
{
	uint8_t digits;
	switch (key.length) {
	case 3:
		if (KEY("ptr")) {
			*has |= HAS_PTR;
			return read_pointer(value, &event->ptr, &event->ptr_state, &event->ptr_digits);
		}
		if (KEY("pfn")) {
			*has |= HAS_FRAME;
			event->has_pfn = read_frame(value, &event->pfn);
			return event->has_pfn;
		}
		break;
	case 4:
		if (KEY("page"))
			return read_pointer(value, &event->page, &event->page_state, &digits);
		if (KEY("name")) {
			event->name = value;
			return true;
		}
		if (KEY("node") || KEY("cold"))
			return true;
		break;
	case 5:
		if (KEY("order")) {
			*has |= HAS_ORDER;
			return read_order(value, &event->order);
		}
		break;
	case 9:
		if (KEY("call_site")) {
			event->call_site = value;
			return true;
		}
		if (KEY("bytes_req")) {
			*has |= HAS_BYTES_REQ;
			return read_size(value, &event->bytes_req);
		}
		if (KEY("gfp_flags")) {
			*has |= HAS_GFP;
			event->gfp_flags = value;
			return true;
		}
		if (KEY("accounted"))
			return true;
		break;
	case 11:
		if (KEY("bytes_alloc")) {
			*has |= HAS_BYTES_ALLOC;
			return read_size(value, &event->bytes_alloc);
		}
		if (KEY("migratetype"))
			return read_type(value, &event->type);
		if (KEY("alloc_order")) {
			*has |= HAS_ORDER;
			return read_order(value, &event->order);
		}
		if (KEY("fragmenting"))
			return true;
		break;
	case 13:
		if (KEY("percpu_refill"))
			return read_flag(value, &event->refill);
		break;
	case 14:
		if (KEY("fallback_order"))
			return read_order(value, &event->other_order);
		break;
	case 15:
		if (KEY("pageblock_order"))
			return true;
		break;
	case 16:
		if (KEY("change_ownership"))
			return true;
		break;
	case 17:
		if (KEY("alloc_migratetype"))
			return read_type(value, &event->type);
		break;
	case 20:
		if (KEY("fallback_migratetype"))
			return read_type(value, &event->other_type);
		break;
	default:
		break;
	}
	event->unknown_keys++;
	return true;
}

/* Reads every key=value pair of [at, end). */
static bool read_pairs(struct text_event *event, const char *at, const char *end, unsigned *has)
{
	const char *equals = memchr(at, '=', (size_t)(end - at));
	if (!equals)
		return true;
	const char *key_at = equals;
	while (key_at > at && key_at[-1] != ' ')
		key_at--;
	while (equals) {
		struct text_slice key = {key_at, (size_t)(equals - key_at)};
		const char *value_at = equals + 1;
		const char *value_end = end;
		equals = memchr(value_at, '=', (size_t)(end - value_at));
		if (equals) {
			key_at = equals;
			while (key_at > value_at && key_at[-1] != ' ')
				key_at--;
			/* "a=b=c" leaves no room for a key: the rest belongs to the value of a. */
			if (key_at == value_at)
				equals = NULL;
			else
				value_end = key_at;
		}
		/* Until 4.14 a null pointer was padded to the width of others. */
		value_at = text_skip_spaces(value_at, value_end);
		while (value_end > value_at && value_end[-1] == ' ')
			value_end--;
		if (!read_pair(event, key, (struct text_slice){value_at, (size_t)(value_end - value_at)}, has))
			return false;
	}
	return true;
}

/* What each kind must have; without it the line is damaged. */
static const unsigned needed[] = {
        [TEXT_KMALLOC] = HAS_PTR | HAS_BYTES_REQ | HAS_BYTES_ALLOC | HAS_GFP,
        [TEXT_CACHE_ALLOC] = HAS_PTR | HAS_BYTES_REQ | HAS_BYTES_ALLOC | HAS_GFP,
        [TEXT_KFREE] = HAS_PTR,
        [TEXT_CACHE_FREE] = HAS_PTR,
        [TEXT_PAGE_ALLOC] = HAS_FRAME | HAS_ORDER | HAS_GFP,
        [TEXT_PAGE_FREE] = HAS_FRAME | HAS_ORDER,
        [TEXT_PAGE_FREE_BATCHED] = HAS_FRAME,
        [TEXT_ZONE_LOCKED] = HAS_FRAME | HAS_ORDER,
        [TEXT_PCPU_DRAIN] = HAS_FRAME | HAS_ORDER,
        [TEXT_EXTFRAG] = HAS_FRAME | HAS_ORDER,
        [TEXT_MARK] = 0,
};

struct event_name {
	enum text_line line;
	enum text_kind kind;
};

static const struct event_name unknown_event = {TEXT_UNKNOWN, TEXT_MARK};

static struct event_name event_of(enum text_kind kind)
{
	return (struct event_name){TEXT_EVENT, kind};
}

#define IS(name) (memcmp(at, name, sizeof(name) - 1) == 0)

/* By length first, so that a line costs one comparison. */
static struct event_name find_event(const char *at, size_t length)
{
	switch (length) {
	case 5:
		if (IS("kfree"))
			return event_of(TEXT_KFREE);
		if (IS("print"))
			return event_of(TEXT_MARK);
		break;
	case 7:
		if (IS("kmalloc"))
			return event_of(TEXT_KMALLOC);
		break;
	case 8:
		if (IS("rss_stat"))
			return event_of(TEXT_RSS_STAT);
		break;
	case 12:
		if (IS("task_newtask"))
			return event_of(TEXT_NEW_TASK);
		if (IS("sched_switch"))
			return event_of(TEXT_SCHED_SWITCH);
		if (IS("mm_page_free"))
			return event_of(TEXT_PAGE_FREE);
		if (IS("kmalloc_node"))
			return event_of(TEXT_KMALLOC);
		break;
	case 13:
		if (IS("mm_page_alloc"))
			return event_of(TEXT_PAGE_ALLOC);
		break;
	case 15:
		if (IS("kmem_cache_free"))
			return event_of(TEXT_CACHE_FREE);
		if (IS("page_fault_user"))
			return event_of(TEXT_PAGE_FAULT);
		break;
	case 16:
		if (IS("kmem_cache_alloc"))
			return event_of(TEXT_CACHE_ALLOC);
		break;
	case 17:
		if (IS("page_fault_kernel"))
			return event_of(TEXT_PAGE_FAULT);
		break;
	case 18:
		if (IS("tracing_mark_write"))
			return event_of(TEXT_MARK);
		if (IS("sched_process_exec"))
			return event_of(TEXT_PROCESS_EXEC);
		if (IS("sched_process_exit"))
			return event_of(TEXT_PROCESS_EXIT);
		if (IS("mm_page_pcpu_drain"))
			return event_of(TEXT_PCPU_DRAIN);
		break;
	case 20:
		if (IS("mm_page_free_batched"))
			return event_of(TEXT_PAGE_FREE_BATCHED);
		break;
	case 21:
		if (IS("kmem_cache_alloc_node"))
			return event_of(TEXT_CACHE_ALLOC);
		if (IS("mm_page_alloc_extfrag"))
			return event_of(TEXT_EXTFRAG);
		break;
	case 25:
		if (IS("mm_page_alloc_zone_locked"))
			return event_of(TEXT_ZONE_LOCKED);
		break;
	default:
		break;
	}
	return unknown_event;
}

static void read_mark(struct text_event *event, const char *at, const char *end)
{
	struct text_slice text = {text_skip_spaces(at, end), 0};
	text.length = (size_t)(end - text.at);
	/* trace-cmd prints "print: tracing_mark_write: TEXT". */
	static const char prefix[] = "tracing_mark_write: ";
	if (starts_with(text, prefix)) {
		text.at += sizeof prefix - 1;
		text.length -= sizeof prefix - 1;
	}
	event->mark = text;
}

static enum text_line read_event(const struct text_head *head, const char *end, struct text_event *event)
{
	const char *colon = memchr(head->event, ':', (size_t)(end - head->event));
	if (!colon)
		return TEXT_UNKNOWN;
	struct event_name name = find_event(head->event, (size_t)(colon - head->event));
	if (name.line != TEXT_EVENT)
		return name.line;
	*event = (struct text_event){.time_ns = head->time_ns,
	                             .cpu = head->cpu,
	                             .task = head->task,
	                             .context = head->context,
	                             .kind = (uint8_t)name.kind};
	if (name.kind == TEXT_MARK) {
		read_mark(event, colon + 1, end);
		return TEXT_EVENT;
	}
	if (text_is_of_processes(name.kind))
		return text_read_process(event, colon + 1, end) ? TEXT_EVENT : TEXT_DAMAGED;
	unsigned has = 0;
	if (!read_pairs(event, colon + 1, end, &has) || (has & needed[name.kind]) != needed[name.kind])
		return TEXT_DAMAGED;
	return TEXT_EVENT;
}

/* Looks for "PREFIX number" in the line. */
static bool number_after(struct text_slice line, const char *prefix, uint64_t *value)
{
	const char *found = memmem(line.at, line.length, prefix, strlen(prefix));
	if (!found)
		return false;
	const char *at = found + strlen(prefix), *end = line.at + line.length;
	return read_decimal(&at, end, value);
}

/* "# entries-in-buffer/entries-written: 12/34   #P:2" */
static void read_comment(struct text_reader *reader, struct text_slice line)
{
	static const char entries[] = "entries-in-buffer/entries-written: ";
	const char *end = line.at + line.length;
	uint64_t cpus, kept, written;
	if (number_after(line, "#P:", &cpus) && cpus <= TEXT_CPUS_MAX)
		reader->cpus = (uint32_t)cpus;
	const char *at = memmem(line.at, line.length, entries, sizeof entries - 1);
	if (!at)
		return;
	at += sizeof entries - 1;
	if (!read_decimal(&at, end, &kept) || at == end || *at != '/')
		return;
	at++;
	if (!read_decimal(&at, end, &written))
		return;
	reader->entries_kept = kept;
	reader->entries_written = written;
}

/* ftrace: "CPU:0 [LOST 12 EVENTS]"; trace-cmd: "CPU:0 [12 EVENTS DROPPED]"; both may not know how many. */
static bool read_lost(struct text_slice line, struct text_event *event)
{
	*event = (struct text_event){0};
	if (starts_with(line, "CPU:")) {
		bool lost = memmem(line.at, line.length, "EVENTS]", 7) || memmem(line.at, line.length, "EVENTS DROPPED]", 15);
		if (lost && !number_after(line, "[LOST ", &event->lost))
			number_after(line, "[", &event->lost);
		return lost;
	}
	return number_after(line, "PERF_RECORD_LOST lost ", &event->lost);
}

/* A line of a call chain: "=> function" of ftrace and trace-cmd, "ffffffff81234567 function+0x1 (file)" of perf. */
static bool is_stack_line(struct text_slice line)
{
	const char *at = line.at, *end = line.at + line.length;
	if (at == end || (*at != ' ' && *at != '\t'))
		return false;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (end - at >= 2 && at[0] == '=' && at[1] == '>')
		return true;
	const char *digits = at;
	while (at < end && is_hex_digit(*at))
		at++;
	return at - digits >= 8 && (at == end || *at == ' ');
}

static bool is_tool_header(struct text_reader *reader, struct text_slice line)
{
	uint64_t cpus;
	if (starts_with(line, "cpus=")) {
		if (number_after(line, "cpus=", &cpus) && cpus <= TEXT_CPUS_MAX)
			reader->cpus = (uint32_t)cpus;
		return true;
	}
	static const char *const headers[] = {"version = ", "CPU ", "trace-cmd", "file=", "Trace:", "PERF_RECORD_"};
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		if (starts_with(line, headers[i]))
			return true;
	return is_stack_line(line);
}

/* What a line is whose head no format could read. */
static enum text_line read_odd_line(struct text_reader *reader, struct text_slice line, struct text_event *event)
{
	size_t blanks = 0;
	while (blanks < line.length && (line.at[blanks] == ' ' || line.at[blanks] == '\t'))
		blanks++;
	if (blanks == line.length)
		return TEXT_BLANK;
	if (read_lost(line, event))
		return TEXT_LOST;
	return is_tool_header(reader, line) ? TEXT_HEADER : TEXT_DAMAGED;
}

enum text_line text_read_line(struct text_reader *reader, const char *at, const char *end, struct text_event *event)
{
	while (end > at && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	if (at < end && *at == '#') {
		read_comment(reader, (struct text_slice){at, (size_t)(end - at)});
		return TEXT_HEADER;
	}
	struct text_head head;
	if (reader->format && reader->format->head(at, end, &head))
		return read_event(&head, end, event);
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		if (formats[i] == reader->format || !formats[i]->head(at, end, &head))
			continue;
		reader->format = formats[i];
		return read_event(&head, end, event);
	}
	return read_odd_line(reader, (struct text_slice){at, (size_t)(end - at)}, event);
}
