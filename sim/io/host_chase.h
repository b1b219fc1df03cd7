/* SPDX-License-Identifier: MIT
 *
 * host_chase.h - the door to the host's memory and clock: runs pointer chases (sim/chase.h) and tells how long a load took.
 *
 * The clock of the core is told by a chain of additions, each waiting for the one before: one a cycle on every x86 that has been
 * made since the Pentium (Intel and AMD optimization manuals, latencies). Each number is the least of many short runs, since
 * other programs, interrupts and other guests can only add.
 */
#ifndef SIM_IO_HOST_CHASE_H
#define SIM_IO_HOST_CHASE_H

#include "sim/chase.h"

struct host_chase;

/* Maps room for `bytes`, in huge pages where the kernel gives them, or in small ones only. NULL with *error. */
struct host_chase *host_chase_open(uint64_t bytes, bool huge_pages, struct error *error);
void host_chase_close(struct host_chase *chase);

/* Femtoseconds of a load of `count` lines in the order of next[] (chase_order): the least of `repeats` runs behind a first pass.
 */
uint64_t host_chase_run(struct host_chase *chase, const struct chase_series *series, const uint32_t *next, uint32_t count,
                        unsigned repeats);

/* Femtoseconds of a cycle of the core that runs this, the least of `repeats` runs; 0 where it cannot be told. */
uint64_t host_cycle(unsigned repeats);

/* Asks the kernel to let others run less often in between, and to stay on one CPU; what it refuses is left. */
void host_hold_still(void);

/* Whether the kernel gives a program that asks for them pages of 2 MiB (transparent_hugepage: always or madvise). */
bool host_has_huge_pages(void);

/* Bytes of memory that the host can give. */
uint64_t host_available_bytes(void);

#endif
