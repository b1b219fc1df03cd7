/* SPDX-License-Identifier: MIT
 *
 * percpu.c - the plan of the first chunk, and how the kernel prints it (interface and sources: percpu.h).
 */
#include "sim/percpu.h"

#include <limits.h>

#define KIB 1024u
/* include/linux/percpu.h. The reserve for modules lies in the first chunk on 64 bits alone, but counts as dynamic on 32. */
#define PERCPU_MODULE_RESERVE (8 * KIB)
#define PERCPU_DYNAMIC_RESERVE_64BIT (28 * KIB)
#define PERCPU_DYNAMIC_RESERVE_32BIT (20 * KIB)
#define PERCPU_DYNAMIC_EARLY_SIZE (12 * KIB)
#define PCPU_MIN_UNIT_SIZE (32 * KIB)
#define PMD_SIZE (2048 * KIB)
/* pcpu_dump_alloc_info(): columns that a line of allocations has room for. */
#define LINE_COLUMNS 60u

struct percpu_sizes percpu_sizes_x86(bool is_64bit, uint32_t static_bytes)
{
	if (is_64bit)
		return (struct percpu_sizes){static_bytes, PERCPU_MODULE_RESERVE, PERCPU_DYNAMIC_RESERVE_64BIT, PMD_SIZE,
		                             .by_pages = false};
	return (struct percpu_sizes){static_bytes, 0, PERCPU_MODULE_RESERVE + PERCPU_DYNAMIC_RESERVE_32BIT, PAGE_SIZE,
	                             .by_pages = false};
}

struct percpu_sizes percpu_sizes_by_pages(bool is_64bit, uint32_t static_bytes)
{
	return (struct percpu_sizes){static_bytes, is_64bit ? PERCPU_MODULE_RESERVE : 0, PERCPU_DYNAMIC_EARLY_SIZE, PAGE_SIZE,
	                             .by_pages = true};
}

static uint32_t round_up(uint32_t value, uint32_t to)
{
	return (value + to - 1) / to * to;
}

/* Groups in the order of their first CPUs, units in the order of the CPUs. */
static void group_cpus(struct percpu_chunk *chunk, const uint8_t *node_of_cpu)
{
	unsigned group_of_node[PERCPU_GROUPS_MAX];
	for (unsigned node = 0; node < PERCPU_GROUPS_MAX; node++)
		group_of_node[node] = PERCPU_GROUPS_MAX;
	for (unsigned cpu = 0; cpu < chunk->cpus; cpu++) {
		unsigned node = node_of_cpu ? node_of_cpu[cpu] : 0;
		SIM_ASSERT(node < PERCPU_GROUPS_MAX);
		if (group_of_node[node] == PERCPU_GROUPS_MAX)
			group_of_node[node] = chunk->groups++;
		unsigned group = group_of_node[node];
		chunk->group_of_cpu[cpu] = (uint8_t)group;
		chunk->unit_of_cpu[cpu] = (uint8_t)chunk->group[group].cpus++;
	}
}

static bool can_hold(uint32_t alloc_bytes, uint32_t units)
{
	return alloc_bytes % units == 0 && alloc_bytes / units % PAGE_SIZE == 0;
}

/* Units of an allocation. With one unit nothing is wasted, so there is always an answer. */
static uint32_t units_per_alloc(const struct percpu_chunk *chunk, uint32_t most)
{
	uint32_t best = 0, last_allocs = INT_MAX;
	for (uint32_t units = most; units > 0; units--) {
		uint32_t allocs = 0, wasted = 0;
		if (!can_hold(chunk->alloc_bytes, units))
			continue;
		for (unsigned group = 0; group < chunk->groups; group++) {
			uint32_t of_group = (chunk->group[group].cpus + units - 1) / units;
			allocs += of_group;
			wasted += of_group * units - chunk->group[group].cpus;
		}
		if (wasted > chunk->cpus / 3)
			continue;
		if (allocs > last_allocs)
			break;
		last_allocs = allocs;
		best = units;
	}
	SIM_ASSERT(best > 0);
	return best;
}

void percpu_plan(struct percpu_chunk *chunk, const struct percpu_sizes *sizes, unsigned cpus, const uint8_t *node_of_cpu)
{
	SIM_ASSERT(cpus > 0 && cpus <= CPUS_MAX && sizes->static_bytes > 0 && sizes->atom_bytes % PAGE_SIZE == 0);
	uint32_t dynamic = sizes->dynamic_bytes < PERCPU_DYNAMIC_EARLY_SIZE ? PERCPU_DYNAMIC_EARLY_SIZE : sizes->dynamic_bytes;
	uint32_t used = round_up(sizes->static_bytes + sizes->reserved_bytes + dynamic, PAGE_SIZE);
	uint32_t least = used < PCPU_MIN_UNIT_SIZE ? PCPU_MIN_UNIT_SIZE : used;
	*chunk = (struct percpu_chunk){.static_bytes = sizes->static_bytes,
	                               .reserved_bytes = sizes->reserved_bytes,
	                               .dynamic_bytes = used - sizes->static_bytes - sizes->reserved_bytes,
	                               .alloc_bytes = round_up(least, sizes->atom_bytes),
	                               .atom_bytes = sizes->atom_bytes,
	                               .by_pages = sizes->by_pages,
	                               .cpus = cpus};
	group_cpus(chunk, sizes->by_pages ? NULL : node_of_cpu);
	uint32_t units = units_per_alloc(chunk, chunk->alloc_bytes / least);
	chunk->unit_bytes = chunk->alloc_bytes / units;
	for (unsigned group = 0; group < chunk->groups; group++)
		chunk->group[group].units = round_up(chunk->group[group].cpus, units);
}

/* ---- the boot log ---- */

static int digits(unsigned number)
{
	int count = 1;
	while (number /= 10)
		count++;
	return count;
}

static uint32_t power_of_two_below(uint32_t number)
{
	uint32_t power = 1;
	while (2 * power <= number)
		power *= 2;
	return power;
}

/* The CPU of a unit, CPUS_MAX if it has none. */
static unsigned cpu_of_unit(const struct percpu_chunk *chunk, unsigned group, unsigned unit)
{
	for (unsigned cpu = 0; cpu < chunk->cpus; cpu++)
		if (chunk->group_of_cpu[cpu] == group && chunk->unit_of_cpu[cpu] == unit)
			return cpu;
	return CPUS_MAX;
}

static void print_alloc(const struct percpu_chunk *chunk, unsigned group, unsigned first, unsigned units, FILE *out)
{
	int width = digits(chunk->cpus);
	fprintf(out, "[%0*u] ", digits(chunk->groups), group);
	for (unsigned unit = first; unit < first + units; unit++) {
		unsigned cpu = cpu_of_unit(chunk, group, unit);
		if (cpu < CPUS_MAX)
			fprintf(out, "%0*u ", width, cpu);
		else
			fprintf(out, "%.*s ", width, "--------");
	}
}

void percpu_print(const struct percpu_chunk *chunk, FILE *out)
{
	uint32_t units = chunk->alloc_bytes / chunk->unit_bytes, alloc = 0;
	uint32_t columns = units * (uint32_t)(digits(chunk->cpus) + 1) + (uint32_t)digits(chunk->groups) + 3;
	uint32_t per_line = power_of_two_below(columns < LINE_COLUMNS ? LINE_COLUMNS / columns : 1);
	if (chunk->by_pages)
		fprintf(out, "percpu: %u 4K pages/cpu s%u r%u d%u\n", chunk->unit_bytes / (uint32_t)PAGE_SIZE,
		        chunk->static_bytes, chunk->reserved_bytes, chunk->dynamic_bytes);
	else
		fprintf(out, "percpu: Embedded %u pages/cpu s%u r%u d%u u%u\n", percpu_used_bytes(chunk) / (uint32_t)PAGE_SIZE,
		        chunk->static_bytes, chunk->reserved_bytes, chunk->dynamic_bytes, chunk->unit_bytes);
	fprintf(out, "pcpu-alloc: s%u r%u d%u u%u alloc=%u*%u", chunk->static_bytes, chunk->reserved_bytes, chunk->dynamic_bytes,
	        chunk->unit_bytes, chunk->alloc_bytes / chunk->atom_bytes, chunk->atom_bytes);
	for (unsigned group = 0; group < chunk->groups; group++)
		for (unsigned unit = 0; unit < chunk->group[group].units; unit += units) {
			if (alloc++ % per_line == 0)
				fprintf(out, "\npcpu-alloc: ");
			print_alloc(chunk, group, unit, units, out);
		}
	fprintf(out, "\n");
}
