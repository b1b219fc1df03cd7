/* SPDX-License-Identifier: MIT
 *
 * block_device.c - a disk that answers with the time at which it will be done (interface and rules: block_device.h).
 */
#include "models/page_reclaim/block_device.h"

#define NS_PER_SECOND 1000000000ull

void block_device_init(struct block_device *device, const struct block_device_spec *spec)
{
	SIM_ASSERT(spec->bandwidth > 0 && spec->queue > 0 && spec->queue <= BLOCK_QUEUE_MAX);
	*device = (struct block_device){.spec = *spec};
}

static uint64_t later(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static struct block_answer submit(struct block_device *device, uint64_t now_ns, uint32_t bytes, uint64_t latency_ns)
{
	SIM_ASSERT(bytes > 0);
	uint64_t transfer_ns = (bytes * NS_PER_SECOND + device->spec.bandwidth - 1) / device->spec.bandwidth;
	struct block_answer answer;
	answer.taken_ns = later(now_ns, device->done_ns[device->next]);
	uint64_t begin_ns = later(answer.taken_ns, device->transfer_free_ns);
	device->transfer_free_ns = begin_ns + transfer_ns;
	answer.done_ns = device->transfer_free_ns + latency_ns;
	device->done_ns[device->next] = answer.done_ns;
	device->next = (device->next + 1) % device->spec.queue;
	device->last_done_ns = later(device->last_done_ns, answer.done_ns);
	device->counters.busy_ns += transfer_ns;
	return answer;
}

struct block_answer block_device_read(struct block_device *device, uint64_t now_ns, uint32_t bytes)
{
	device->counters.reads++;
	device->counters.bytes_read += bytes;
	return submit(device, now_ns, bytes, device->spec.read_latency_ns);
}

struct block_answer block_device_write(struct block_device *device, uint64_t now_ns, uint32_t bytes)
{
	device->counters.writes++;
	device->counters.bytes_written += bytes;
	return submit(device, now_ns, bytes, device->spec.write_latency_ns);
}
