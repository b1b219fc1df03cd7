/* SPDX-License-Identifier: MIT
 *
 * interrupt.h - Ctrl-C for commands that read a trace: the first one ends the trace there and keeps what was measured, the second
 * one kills.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <signal.h>

/* From here on SIGINT and SIGTERM set what it returns. */
const volatile sig_atomic_t *catch_interrupts(void);

#endif
