/* SPDX-License-Identifier: MIT
 *
 * access_thread.h - a source of accesses that another thread reads ahead, so that unpacking and parsing cost its consumer
 * nothing.
 *
 * The accesses, their order, the error and the end are those of the inner source. At most ACCESS_THREAD_BATCHES batches are read
 * ahead.
 */
#ifndef SIM_ACCESS_THREAD_H
#define SIM_ACCESS_THREAD_H

#include "sim/port/access_source.h"

#define ACCESS_THREAD_BATCHES 8u

/* Owns `inner` from here on. Where no thread can be started, `inner` itself is returned. */
struct access_source *access_thread_start(struct access_source *inner);

#endif
