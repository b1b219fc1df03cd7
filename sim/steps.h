/* SPDX-License-Identifier: MIT
 *
 * steps.h - the record of a decision: what the decided op would make a core do.
 *
 * A model decides at once, in straight-line code, and writes down what that took: the bytes it touched at the addresses where
 * the real structures would lie, the locks, the instruction cycles. It knows no clock. A core pays for the steps later
 * (sim/core.h). With `timing: none` recording is false and each call costs one predictable branch.
 *
 * Invariant: within the steps of one op every lock taken is released, in reverse order or by name.
 */
#ifndef SIM_STEPS_H
#define SIM_STEPS_H

#include "sim/base.h"

enum step_kind {
	STEP_READ,   /* load of `bytes` at `address` */
	STEP_WRITE,  /* store of `bytes` at `address` */
	STEP_ATOMIC, /* locked read-modify-write of `bytes` at `address` */
	STEP_SPEND,  /* `bytes` instruction cycles, no memory */
	STEP_LOCK,   /* spin until the lock whose word lies at `address` is ours */
	STEP_UNLOCK  /* give that lock up */
};

struct step {
	uint64_t address;
	uint32_t bytes; /* STEP_SPEND: cycles */
	enum step_kind kind;
};

struct steps {
	bool recording;
	uint32_t count;
	uint32_t capacity;
	struct step *at; /* owned */
};

void steps_init(struct steps *steps, bool recording);
void steps_release(struct steps *steps);

/* Out of line so that the inline wrappers stay one branch long. */
void steps_append(struct steps *steps, enum step_kind kind, uint64_t address, uint32_t bytes);

static inline void steps_clear(struct steps *steps)
{
	steps->count = 0;
}

static inline void step_read(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_READ, at.addr, bytes);
}

static inline void step_write(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_WRITE, at.addr, bytes);
}

static inline void step_atomic(struct steps *steps, vaddr at, uint32_t bytes)
{
	if (steps->recording)
		steps_append(steps, STEP_ATOMIC, at.addr, bytes);
}

static inline void step_spend(struct steps *steps, uint32_t cycles)
{
	if (steps->recording)
		steps_append(steps, STEP_SPEND, 0, cycles);
}

static inline void step_lock(struct steps *steps, vaddr lock)
{
	if (steps->recording)
		steps_append(steps, STEP_LOCK, lock.addr, 4);
}

static inline void step_unlock(struct steps *steps, vaddr lock)
{
	if (steps->recording)
		steps_append(steps, STEP_UNLOCK, lock.addr, 4);
}

#endif
