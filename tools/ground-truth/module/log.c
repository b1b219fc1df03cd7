// SPDX-License-Identifier: GPL-2.0
/*
 * log.c - the text of a recording: one buffer, filled from any context, read through debugfs.
 *
 * A piece of text that might not fit is dropped whole and counted; "#END ... lost=N" tells how many, so that a log with lost=0
 * is known to be complete. The buffer is vmalloc'ed once, before any script, so that writing never allocates.
 *
 * Lines of a dump are said in pieces. Nothing comes between the pieces, because a dump turns events off first, and that is
 * settled under the same lock as the text: once events_log(false) has returned no event is written, on any CPU.
 */
#include "oracle.h"
#include <linux/spinlock.h>
#include <linux/uaccess.h>

/* The longest single piece: a line of vmalloc's frames. */
#define PIECE_MAX 1280

static char *text;
static size_t text_size, text_length, text_lost;
static DEFINE_RAW_SPINLOCK(text_lock);
static bool events_wanted;

int log_init(unsigned int megabytes)
{
	text_size = (size_t)megabytes << 20;
	text = vmalloc(text_size);
	if (!text)
		return -ENOMEM;
	memset(text, 0, text_size);
	return 0;
}

void log_release(void)
{
	vfree(text);
}

void log_reset(void)
{
	text_length = 0;
	text_lost = 0;
}

size_t log_lost(void)
{
	return text_lost;
}

ssize_t log_copy(char __user *to, size_t size, loff_t *position)
{
	return simple_read_from_buffer(to, size, position, text, text_length);
}

static __printf(1, 0) void append(const char *format, va_list arguments)
{
	if (text_size - text_length < PIECE_MAX)
		text_lost++;
	else
		text_length += vscnprintf(text + text_length, text_size - text_length, format, arguments);
}

void say(const char *format, ...)
{
	unsigned long flags;
	va_list arguments;

	va_start(arguments, format);
	raw_spin_lock_irqsave(&text_lock, flags);
	append(format, arguments);
	raw_spin_unlock_irqrestore(&text_lock, flags);
	va_end(arguments);
}

void say_event(const char *format, ...)
{
	unsigned long flags;
	va_list arguments;

	va_start(arguments, format);
	raw_spin_lock_irqsave(&text_lock, flags);
	if (events_wanted)
		append(format, arguments);
	raw_spin_unlock_irqrestore(&text_lock, flags);
	va_end(arguments);
}

bool events_log(bool wanted)
{
	unsigned long flags;
	bool before;

	raw_spin_lock_irqsave(&text_lock, flags);
	before = events_wanted;
	events_wanted = wanted;
	raw_spin_unlock_irqrestore(&text_lock, flags);
	return before;
}

/* Seen without the lock, it only saves the work of saying what would be dropped. */
bool events_logged(void)
{
	return READ_ONCE(events_wanted);
}
