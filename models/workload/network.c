/* SPDX-License-Identifier: MIT
 *
 * network.c - packets: a core that receives allocates each one, the core of its reader frees it.
 *
 * A step is a packet, as __netdev_alloc_skb() makes it (Linux 6.1, net/core/skbuff.c): a head of skbuff_head_cache, and data: by
 * kmalloc where they are short, else a fragment of the core's own block of pages (page_frag_alloc), which is given back when all
 * its fragments are. Lengths are those of a mix of packets. A core receives so many packets in a row as one poll may take, then
 * the next one does. `queue` packets of each receiver wait for their readers.
 *
 * MODEL: heads come from kmem_cache_alloc() one by one; drivers that call napi_build_skb() take them in bulk. Fragments are cut
 * upwards, which no allocator sees.
 */
#include "models/kernel_load.h"

#include <stdlib.h>

extern const struct workload_ops workload_network_ops;

struct network {
	char *name;
	struct load_pace pace;
	uint32_t receivers, queue, away, fragments;
	uint32_t small, middle;
};

#define AT(field) .offset = offsetof(struct network, field), .size = sizeof(((struct network *)0)->field)
#define SIMPLE_IMIX "simple IMIX: 7, 4 and 1 of 12 packets have 40, 576 and 1500 bytes (RFC 6985, section 1)"

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct network, "network"),
        LOAD_PACE_KEYS(struct network, "packets", "100000", "20000"),
        {.key = "receivers",
         .type = SETTING_COUNT,
         .unit = "cores",
         .default_text = "half",
         .zero_word = "half",
         .min = 1,
         .max = 65536,
         .help = "The first cores, that packets come to (at least one, at most all)",
         .source = LOAD_CHOICE,
         AT(receivers)},
        {.key = "queue",
         .type = SETTING_COUNT,
         .unit = "packets",
         .default_text = "256",
         .min = 1,
         .max = 1000000,
         .help = "Packets of a receiver that wait for their reader",
         .source = LOAD_CHOICE,
         AT(queue)},
        {.key = "away",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "100",
         .min = 0,
         .max = 100,
         .help = "Of the packets are read and freed on another core",
         .source = LOAD_CHOICE,
         AT(away)},
        {.key = "small",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "58",
         .min = 0,
         .max = 100,
         .help = "Of the packets have 40 bytes",
         .source = SIMPLE_IMIX,
         AT(small)},
        {.key = "middle",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "33",
         .min = 0,
         .max = 100,
         .help = "Of the packets have 576 bytes; the rest 1500",
         .source = SIMPLE_IMIX,
         AT(middle)},
        {.key = "fragments",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "100",
         .min = 0,
         .max = 100,
         .help = "Of the long packets lie in fragments of pages; the rest is kmalloc'ed",
         .source = "__netdev_alloc_skb(): data of more than 704 bytes",
         AT(fragments)},
        {.key = NULL},
};

/* Numbers of Linux 6.1 for x86-64. */
#define POLL_PACKETS 64       /* NAPI_POLL_WEIGHT, include/linux/netdevice.h */
#define FRAGMENT_ORDER 3      /* PAGE_FRAG_CACHE_MAX_ORDER: 32 KiB */
#define HEADROOM_BYTES 64     /* NET_SKB_PAD */
#define SHARED_INFO_BYTES 320 /* struct skb_shared_info, in whole lines */
#define LINE_BYTES 64
#define FRAGMENT_GFP (GFP_ATOMIC | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC)

enum packet_length { PACKET_SMALL, PACKET_MIDDLE, PACKET_LARGE, PACKET_LENGTHS };
static const uint32_t packet_bytes[PACKET_LENGTHS] = {40, 576, 1500};

/* What the kernel allocates for so many bytes. */
#define IN_LINES(bytes) (((bytes) + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES)
#define DATA_BYTES(bytes) (IN_LINES((bytes) + HEADROOM_BYTES) + SHARED_INFO_BYTES)

/* A block of pages that fragments are cut from. */
struct fragment_block {
	workload_block pages;
	uint32_t live;   /* fragments */
	bool is_current; /* of its receiver, which holds it too */
};

struct packet {
	workload_block head, data;
	struct fragment_block *from; /* NULL: data are kmalloc'ed */
};

struct receiver {
	struct packet *queue; /* a ring */
	uint64_t came, went;
	struct fragment_block *current;
	uint32_t used_bytes; /* of it */
};

struct state {
	struct workload *workload;
	const struct network *values;
	workload_kind head, data[PACKET_LENGTHS], fragments;
	struct receiver *receivers;
	uint32_t receivers_count;
	uint64_t packets;
};

static uint32_t count_receivers(const struct workload *workload, const struct network *values)
{
	unsigned cpus = workload_cpus(workload);
	if (values->receivers == 0)
		return (cpus + 1) / 2;
	return values->receivers < cpus ? values->receivers : cpus;
}

static void *begin(struct workload *workload, const void *opaque)
{
	const struct network *values = opaque;
	struct state *state = xcalloc(1, sizeof *state);
	state->workload = workload;
	state->values = values;
	state->head = kernel_object(workload, CACHE_SKBUFF_HEAD, "__alloc_skb", GFP_ATOMIC);
	for (unsigned length = 0; length < PACKET_LENGTHS; length++)
		state->data[length] = workload_kmalloc(workload, "kmalloc_reserve", DATA_BYTES(packet_bytes[length]),
		                                       GFP_ATOMIC | __GFP_NOWARN);
	state->fragments = workload_pages(workload, "__page_frag_cache_refill", FRAGMENT_ORDER, FRAGMENT_GFP);
	state->receivers_count = count_receivers(workload, values);
	state->receivers = xcalloc(state->receivers_count, sizeof *state->receivers);
	for (uint32_t nr = 0; nr < state->receivers_count; nr++)
		state->receivers[nr].queue = xcalloc(values->queue, sizeof *state->receivers[nr].queue);
	return state;
}

static void free_if_unused(struct state *state, struct fragment_block *block, unsigned cpu)
{
	if (block->live > 0 || block->is_current)
		return;
	workload_free(state->workload, cpu, block->pages);
	free(block);
}

/* page_frag_alloc(): a block whose fragments are all back is begun again. */
static struct fragment_block *cut_fragment(struct state *state, unsigned cpu, uint32_t bytes)
{
	struct receiver *receiver = &state->receivers[cpu];
	struct fragment_block *block = receiver->current;
	if (block && receiver->used_bytes + bytes > PAGE_SIZE << FRAGMENT_ORDER) {
		receiver->used_bytes = 0;
		if (block->live > 0) {
			block->is_current = false;
			block = NULL;
		}
	}
	if (!block) {
		block = xcalloc(1, sizeof *block);
		block->pages = workload_alloc(state->workload, cpu, state->fragments);
		block->is_current = true;
		receiver->current = block;
	}
	receiver->used_bytes += bytes;
	block->live++;
	return block;
}

static enum packet_length any_length(struct state *state)
{
	uint32_t drawn = rng_below(workload_rng(state->workload), 100);
	if (drawn < state->values->small)
		return PACKET_SMALL;
	return drawn < state->values->small + state->values->middle ? PACKET_MIDDLE : PACKET_LARGE;
}

static void receive(struct state *state, struct packet *packet, unsigned cpu)
{
	enum packet_length length = any_length(state);
	*packet = (struct packet){0};
	if (length == PACKET_LARGE && load_chance(state->workload, state->values->fragments))
		packet->from = cut_fragment(state, cpu, DATA_BYTES(packet_bytes[length]));
	packet->head = workload_alloc(state->workload, cpu, state->head);
	if (!packet->from)
		packet->data = workload_alloc(state->workload, cpu, state->data[length]);
}

/* kfree_skb(): data first. */
static void free_packet(struct state *state, struct packet *packet, unsigned cpu)
{
	if (packet->from) {
		packet->from->live--;
		free_if_unused(state, packet->from, cpu);
	} else {
		workload_free(state->workload, cpu, packet->data);
	}
	workload_free(state->workload, cpu, packet->head);
}

static void step(void *load)
{
	struct state *state = load;
	uint32_t queue = state->values->queue;
	unsigned cpu = (unsigned)(state->packets++ / POLL_PACKETS % state->receivers_count);
	struct receiver *receiver = &state->receivers[cpu];
	if (receiver->came - receiver->went == queue) {
		struct packet *oldest = &receiver->queue[receiver->went++ % queue];
		free_packet(state, oldest, load_other_cpu(state->workload, cpu, state->values->away));
	}
	receive(state, &receiver->queue[receiver->came++ % queue], cpu);
}

static void end_receiver(struct state *state, unsigned cpu)
{
	struct receiver *receiver = &state->receivers[cpu];
	while (receiver->went < receiver->came)
		free_packet(state, &receiver->queue[receiver->went++ % state->values->queue], cpu);
	if (receiver->current) {
		receiver->current->is_current = false;
		free_if_unused(state, receiver->current, cpu);
	}
	free(receiver->queue);
}

static void end(void *load)
{
	struct state *state = load;
	for (uint32_t cpu = 0; cpu < state->receivers_count; cpu++)
		end_receiver(state, cpu);
	free(state->receivers);
	free(state);
}

static void generate(struct workload *workload, const void *values)
{
	kernel_load_generate(workload, &network_load, values, &((const struct network *)values)->pace);
}

static bool check(const void *opaque, const char *place, struct error *error)
{
	const struct network *values = opaque;
	return values->small + values->middle <= 100 ||
	       error_set(error, ERROR_USAGE, "%s: network: small=%u and middle=%u are more than 100 percent", place,
	                 values->small, values->middle);
}

const struct workload_ops workload_network_ops = {
        .name = "network",
        .help = "packets received on one core and freed on another",
        .keys = keys,
        .values_bytes = sizeof(struct network),
        .generate = generate,
        .check = check,
};

const struct kernel_load network_load = {.workload = &workload_network_ops, .begin = begin, .step = step, .end = end};
