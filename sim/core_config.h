/* SPDX-License-Identifier: MIT
 *
 * core_config.h - what a simulated core is like: the numbers that a machine's description gives (sim/core.h has their rules).
 */
#ifndef SIM_CORE_CONFIG_H
#define SIM_CORE_CONFIG_H

#include "sim/base.h"

/* Bounds of these, above any machine. */
#define CORE_MISSES_MAX 64u
#define CORE_STORES_MAX 128u

/* What a core is like; the settings machine.core.*. */
struct core_config {
	uint32_t instructions_per_cycle; /* at least 1 */
	uint32_t misses_in_flight;       /* 1..CORE_MISSES_MAX */
	uint32_t store_buffer;           /* stores, 0..CORE_STORES_MAX */
	uint32_t cmpxchg_cycles;         /* an update beyond its access */
	uint32_t pushf_cycles;           /* PUSHF, beyond an instruction */
	uint32_t cli_cycles, sti_cycles; /* interrupts off, on, likewise */
	uint32_t exception_cycles;       /* a page fault's way in and out, without the kernel's instructions */
	uint32_t ipi_send_cycles;        /* to write the interrupt command */
	uint32_t ipi_cycles;             /* from there to the other core's handler */
	uint32_t ipi_handler_cycles;     /* in and out of it */
	uint32_t ipi_ack_cycles;         /* from its end until the sender knows */
	uint32_t invalidate_cycles;      /* INVLPG, or a flush of all */
	uint32_t cr3_cycles;             /* MOV to CR3 */
	uint32_t context_switch_cycles;  /* between a daemon and whoever ran before */
};

#endif
