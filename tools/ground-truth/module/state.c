// SPDX-License-Identifier: GPL-2.0
/*
 * state.c - a dump of the allocators' state: "@STATE tag what=letters ts=ns", the parts the letters name, "@END tag ts=ns".
 *
 * Interrupts are off meanwhile, so on one CPU the dump is of one moment; other CPUs run on. ts is the clock of the kernel's
 * trace, so a dump can be placed between the events of one.
 */
#include "oracle.h"
#include <linux/trace_clock.h>

static void dump_part(char letter)
{
	switch (letter) {
	case 'p':
		dump_pages();
		break;
	case 'm':
		dump_map();
		break;
	case 'c':
		dump_caches(NULL);
		break;
	case 'k':
		dump_caches("kmalloc");
		break;
	case 's':
		dump_slab_pages();
		break;
	case 'v':
		dump_vmap();
		break;
	}
}

void dump_state(const char *tag, const char *what)
{
	bool logged = events_log(false);
	unsigned long flags;

	local_irq_save(flags);
	say("@STATE %s what=%s ts=%llu\n", tag, what, trace_clock_local());
	for (; *what; what++)
		dump_part(*what);
	say("@END %s ts=%llu\n", tag, trace_clock_local());
	local_irq_restore(flags);
	events_log(logged);
}
