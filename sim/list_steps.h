/* SPDX-License-Identifier: MIT
 *
 * list_steps.h - what the kernel's doubly linked lists touch, as steps: struct list_head is two pointers, next and prev.
 *
 * Source: Linux 6.1 include/linux/list.h (list_add, list_add_tail, list_del) and lib/list_debug.c, which a kernel with
 * CONFIG_DEBUG_LIST, as Debian's, calls first: it reads both neighbours' pointers to the place before they are written.
 * MODEL: every kernel is taken to have CONFIG_DEBUG_LIST. Without it the same lines are only written, and a core need not wait
 * for them.
 */
#ifndef SIM_LIST_STEPS_H
#define SIM_LIST_STEPS_H

#include "sim/steps.h"

static inline vaddr list_prev_pointer(vaddr head, uint32_t pointer_bytes)
{
	return vaddr_of(head.addr + pointer_bytes);
}

/* list_add() and list_add_tail(): `entry` comes between two list heads that were neighbours (and may be the same one). */
static inline void step_list_add(struct steps *steps, vaddr entry, vaddr prev, vaddr next, uint32_t pointer_bytes)
{
	step_read(steps, list_prev_pointer(next, pointer_bytes), pointer_bytes);
	step_read(steps, prev, pointer_bytes);
	step_write(steps, list_prev_pointer(next, pointer_bytes), pointer_bytes);
	step_write(steps, entry, 2 * pointer_bytes);
	step_write(steps, prev, pointer_bytes);
}

/* list_del(): both neighbours are found in `entry`, whose pointers are then poisoned. */
static inline void step_list_del(struct steps *steps, vaddr entry, vaddr prev, vaddr next, uint32_t pointer_bytes)
{
	step_read(steps, entry, 2 * pointer_bytes);
	step_use(steps);
	step_read(steps, prev, pointer_bytes);
	step_read(steps, list_prev_pointer(next, pointer_bytes), pointer_bytes);
	step_write(steps, list_prev_pointer(next, pointer_bytes), pointer_bytes);
	step_write(steps, prev, pointer_bytes);
	step_write(steps, entry, 2 * pointer_bytes);
}

#endif
