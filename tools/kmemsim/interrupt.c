/* SPDX-License-Identifier: MIT
 *
 * interrupt.c - the handler and its flag (interface: interrupt.h).
 */
#include "tools/kmemsim/interrupt.h"

#include <stddef.h>

static volatile sig_atomic_t interrupt_seen;

static void note_interrupt(int signal_number)
{
	(void)signal_number;
	interrupt_seen = 1;
}

const volatile sig_atomic_t *catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return &interrupt_seen;
}
