/* SPDX-License-Identifier: MIT
 *
 * start_slabs.h - the slabs of a /proc/slabinfo as the start of a run: each cache's slabs and live objects are there, in frames
 * that are in use and that nobody else is known to use.
 *
 * The file counts, it does not say where. Slabs are placed from the largest order down, each at a random aligned place in frames
 * in use. Of a cache's slabs as many as are active have a live object; the other live objects are drawn from all their slots
 * alike.
 *
 * MODEL: places, which objects are free, and the order of free ones (ascending) are a seeded draw; no CPU has a slab or an array
 * of its own at the start, and slabs have no colour. Effect: addresses mean nothing, and the first calls on each CPU take the
 * slow path. MODEL: a cache whose slabs the run's allocator makes of another size (a slabinfo of another allocator, kernel or CPU
 * count, or slabs of different sizes) starts with its live objects in as few slabs as hold them.
 */
#ifndef MODELS_START_SLABS_H
#define MODELS_START_SLABS_H

#include "sim/layout.h"
#include "sim/port/object_allocator.h"
#include "sim/procfs.h"

/*
 * Fills the fresh allocator, making the caches it does not have. False with *error: the allocator has no slabs, or memory in use
 * does not hold them; it can then only be destroyed.
 */
bool start_slabs_place(const struct procfs_slabinfo *slabs, struct object_allocator *objects,
                       const struct object_allocator_wiring *wiring, struct error *error);

#endif
