/* SPDX-License-Identifier: MIT
 *
 * lru_steps.h - what lists and batches of the LRU touch, as steps: a node's lruvec with its lock, the batches of each CPU, and
 * struct pages. Without a layout nothing of it is told.
 *
 * Fields: bytes from the beginning of each structure (include/linux/mmzone.h: struct lruvec; mm/swap.c: struct cpu_fbatches,
 * struct lru_rotate; include/linux/pagevec.h, mm_types.h; x86-64).
 * MODEL: the counts of pages that lie beside the lists, a CPU's own, are left out, and interrupts are not turned off and on: both
 * are among the instructions of each path. MODEL: release_pages() takes the lock once for 32 pages, and lets go of it behind the
 * last: here it is held for the first of 32.
 */
#ifndef MODELS_PAGE_RECLAIM_LRU_STEPS_H
#define MODELS_PAGE_RECLAIM_LRU_STEPS_H

#include "sim/layout.h"
#include "sim/steps.h"

struct page_lru;

/* The batches of a CPU, in the order of struct cpu_fbatches; that of folio_rotate_reclaimable() is a variable of its own. */
enum lru_batch { BATCH_LRU_ADD, BATCH_DEACTIVATE_FILE, BATCH_DEACTIVATE, BATCH_LAZYFREE, BATCH_ACTIVATE, BATCHES, BATCH_ROTATE };

/* Where things lie. */
struct lru_places {
	struct layout *layout;      /* NULL: nowhere */
	uint64_t lruvec[4];         /* of each node; 0: it was not met yet */
	uint64_t batches, rotate;   /* offsets in a CPU's data */
	uint8_t released[CPUS_MAX]; /* pages since the lock was taken last for one that goes */
};

/* No node's lock is held. */
#define NO_NODE UINT32_MAX

void lru_places_init(struct lru_places *places, struct layout *layout);
/* The lock of a node's lists. */
void lru_lock(struct page_lru *lru, unsigned node);
void lru_unlock(struct page_lru *lru, unsigned node);
/* folio_lruvec_relock_irqsave(): the page's node's lock, and *held is that node. lru_unlock_held(): what is held, if any is. */
void lru_relock(struct page_lru *lru, uint32_t frame, unsigned *held);
void lru_unlock_held(struct page_lru *lru, unsigned held);
/* lru_note_cost(): costs and age of the lists change, under the lock. */
void lru_step_cost(struct page_lru *lru, unsigned node);
/* The page comes between two records of a list, or leaves it. */
void lru_step_link(struct page_lru *lru, uint32_t frame, uint32_t prev, uint32_t next);
void lru_step_unlink(struct page_lru *lru, uint32_t frame);
/* folio_get() or folio_put(); the page's lock or another bit of its flags, set or cleared; folio_ref_freeze(), folio_try_get().
 */
void lru_step_reference(struct page_lru *lru, uint32_t frame);
void lru_step_flag(struct page_lru *lru, uint32_t frame);
void lru_step_try_reference(struct page_lru *lru, uint32_t frame);
/* folio_batch_add(): a reference, and the page at a place of the batch. */
void lru_step_batch(struct page_lru *lru, unsigned cpu, enum lru_batch batch, uint32_t place, uint32_t frame);

#endif
