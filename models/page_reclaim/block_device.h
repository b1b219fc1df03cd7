/* SPDX-License-Identifier: MIT
 *
 * block_device.h - a disk that answers with the time at which it will be done.
 *
 * A request is taken as soon as fewer than `queue` are under way, its data pass one after the other at `bandwidth`, and it is
 * done its latency after them: latencies of requests under way overlap, their data do not. Requests are served in the order in
 * which they come. Times are nanoseconds of simulated time; they need not ascend from request to request, as CPUs have clocks
 * of their own.
 *
 * Source of the form: the tag set that limits the requests of a queue, and makes the submitter sleep when it is used up
 * (block/blk-mq-tag.c, blk_mq_get_tag()), BLKDEV_DEFAULT_RQ 128 of Linux 6.1.
 * MODEL: neighbouring requests are not merged, none passes another, and the CPU's work for a request is not counted.
 *
 * Law: a request is done no sooner than its latency and its data need, and no more than `queue` are under way at once.
 */
#ifndef MODELS_PAGE_RECLAIM_BLOCK_DEVICE_H
#define MODELS_PAGE_RECLAIM_BLOCK_DEVICE_H

#include "sim/base.h"

#define BLOCK_QUEUE_MAX 1024

struct block_device_spec {
	uint64_t read_latency_ns, write_latency_ns;
	uint64_t bandwidth; /* bytes a second, > 0 */
	uint32_t queue;     /* requests under way at once, 1..BLOCK_QUEUE_MAX */
};

struct block_device_counters {
	uint64_t reads, writes;
	uint64_t bytes_read, bytes_written;
	uint64_t busy_ns; /* in which data passed */
};

struct block_device {
	struct block_device_spec spec;
	uint64_t transfer_free_ns;         /* from then on the next data can pass */
	uint64_t done_ns[BLOCK_QUEUE_MAX]; /* of the last `queue` requests, a ring */
	uint64_t last_done_ns;             /* the latest of all */
	uint32_t next;                     /* place in the ring of the request that came `queue` requests ago */
	struct block_device_counters counters;
};

struct block_answer {
	uint64_t taken_ns; /* until then the one who asks waits for room in the queue */
	uint64_t done_ns;  /* the data are there, or on the medium */
};

void block_device_init(struct block_device *device, const struct block_device_spec *spec);

/* Reads or writes so many bytes, > 0, asked for at now_ns. */
struct block_answer block_device_read(struct block_device *device, uint64_t now_ns, uint32_t bytes);
struct block_answer block_device_write(struct block_device *device, uint64_t now_ns, uint32_t bytes);

#endif
