/* SPDX-License-Identifier: MIT
 *
 * kmalloc_fill.c - kmallocs of many sizes fill a share of memory, then any of them goes for each that comes.
 *
 * Sizes are multiples of 8 bytes; each doubling from `min` to `max` is as likely as another, and in it each size. Which one goes
 * is drawn evenly from those that live, so lives have no memory: after `rounds` replacements of each on average holes lie
 * everywhere. That is the load that a first-fit allocator is asked about (Knuth, The Art of Computer Programming 1, 2.5).
 */
#include "sim/setting.h"
#include "sim/workload.h"

#include <stdlib.h>

extern const struct workload_ops workload_kmalloc_fill_ops;

struct kmalloc_fill {
	char *name;
	uint32_t min, max, fill, rounds;
};

#define AT(field) .offset = offsetof(struct kmalloc_fill, field), .size = sizeof(((struct kmalloc_fill *)0)->field)
#define SIZE_STEP 8
#define SIZE_MAX_BYTES (64 << 10)

static const struct setting keys[] = {
        SETTING_LINE_NAME(struct kmalloc_fill, "kmalloc_fill"),
        {.key = "min",
         .type = SETTING_SIZE,
         .default_text = "16 B",
         .min = SIZE_STEP,
         .max = SIZE_MAX_BYTES,
         .power_of_two = true,
         .help = "Bytes of the smallest allocation",
         .source = "a choice: a name",
         AT(min)},
        {.key = "max",
         .type = SETTING_SIZE,
         .default_text = "2 KiB",
         .min = SIZE_STEP,
         .max = SIZE_MAX_BYTES,
         .power_of_two = true,
         .help = "Bytes that none reaches",
         .source = "a choice: half a page, beyond which SLUB and SLOB go other ways",
         AT(max)},
        {.key = "fill",
         .type = SETTING_COUNT,
         .unit = "percent",
         .default_text = "25",
         .min = 1,
         .max = 100,
         .help = "Of memory is asked for by what lives",
         .source = "a choice: enough to be past the start",
         AT(fill)},
        {.key = "rounds",
         .type = SETTING_COUNT,
         .unit = "rounds",
         .default_text = "3",
         .min = 0,
         .max = 1000,
         .help = "How often each is replaced, on average, once memory is filled",
         .source = "a choice: enough to be past the start",
         AT(rounds)},
        {.key = NULL},
};

struct piece {
	workload_block block;
	uint32_t bytes;
};

struct state {
	struct workload *workload;
	const struct kmalloc_fill *values;
	workload_kind kinds[SIZE_MAX_BYTES / SIZE_STEP]; /* by size; those that `has_kind` */
	bool has_kind[SIZE_MAX_BYTES / SIZE_STEP];
	struct piece *pieces;
	size_t count, room;
	uint64_t bytes, bytes_most;
	unsigned octaves;
};

static uint32_t any_size(struct state *state)
{
	uint32_t low = state->values->min << rng_below(workload_rng(state->workload), state->octaves);
	return low + SIZE_STEP * rng_below(workload_rng(state->workload), low / SIZE_STEP);
}

static void add(struct state *state, uint32_t bytes)
{
	unsigned cpu = rng_below(workload_rng(state->workload), workload_cpus(state->workload)), nr = bytes / SIZE_STEP;
	if (!state->has_kind[nr])
		state->kinds[nr] = workload_kmalloc(state->workload, "fill", bytes, GFP_KERNEL);
	state->has_kind[nr] = true;
	if (state->count == state->room) {
		state->room = state->room ? 2 * state->room : 1024;
		state->pieces = xrealloc(state->pieces, state->room * sizeof *state->pieces);
	}
	state->pieces[state->count++] =
	        (struct piece){.block = workload_alloc(state->workload, cpu, state->kinds[nr]), .bytes = bytes};
	state->bytes += bytes;
}

static void remove_any(struct state *state)
{
	unsigned cpu = rng_below(workload_rng(state->workload), workload_cpus(state->workload));
	size_t nr = rng_below(workload_rng(state->workload), (uint32_t)state->count);
	struct piece piece = state->pieces[nr];
	state->pieces[nr] = state->pieces[--state->count];
	state->bytes -= piece.bytes;
	workload_free(state->workload, cpu, piece.block);
}

/* One more comes; as many go as it takes to stay within the share. */
static void replace(struct state *state)
{
	uint32_t bytes = any_size(state);
	while (state->count > 0 && state->bytes + bytes > state->bytes_most)
		remove_any(state);
	add(state, bytes);
}

static void generate(struct workload *workload, const void *opaque)
{
	const struct kmalloc_fill *values = opaque;
	struct state *state = xcalloc(1, sizeof *state);
	state->workload = workload;
	state->values = values;
	state->bytes_most = workload_memory_bytes(workload) / 100 * values->fill;
	state->octaves = (unsigned)__builtin_ctz(values->max) - (unsigned)__builtin_ctz(values->min);
	for (uint32_t bytes = any_size(state); state->bytes + bytes <= state->bytes_most; bytes = any_size(state))
		add(state, bytes);
	uint64_t steps = (uint64_t)state->count * values->rounds;
	for (uint64_t step = 0; step < steps; step++) {
		replace(state);
		if (step % 4096 == 0)
			workload_tell(workload, step, steps);
	}
	while (state->count > 0)
		remove_any(state);
	free(state->pieces);
	free(state);
}

static bool check(const void *opaque, const char *place, struct error *error)
{
	const struct kmalloc_fill *values = opaque;
	return values->min < values->max ||
	       error_set(error, ERROR_USAGE, "%s: kmalloc_fill: min=%u is not below max=%u", place, values->min, values->max);
}

const struct workload_ops workload_kmalloc_fill_ops = {
        .name = "kmalloc_fill",
        .help = "kmallocs of many sizes fill memory, then any goes for each that comes",
        .keys = keys,
        .values_bytes = sizeof(struct kmalloc_fill),
        .generate = generate,
        .check = check,
};
