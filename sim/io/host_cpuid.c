/* SPDX-License-Identifier: MIT
 *
 * host_cpuid.c - executes CPUID (interface: host_cpuid.h).
 *
 * Which leaves have subleaves, and where they end, is from the Intel SDM vol. 2A, CPUID, and AMD's APM vol. 3, appendix E.
 */
#include "sim/io/host_cpuid.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#include <sched.h>

#define SUBLEAVES_MAX 64u
#define LEAVES_MAX 256u /* of one range */

#define BASIC 0u
#define HYPERVISOR 0x40000000u
#define EXTENDED 0x80000000u

static struct cpuid_leaf ask(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_leaf row = {.leaf = leaf, .subleaf = subleaf};
	__cpuid_count(leaf, subleaf, row.eax, row.ebx, row.ecx, row.edx);
	return row;
}

/* How many subleaves of a leaf are to be asked for; `first` is its subleaf 0. */
static uint32_t subleaves_of(const struct cpuid_leaf *first)
{
	switch (first->leaf) {
	case 0x7: /* EAX: the last subleaf */
	case 0x14:
	case 0x17:
	case 0x18:
	case 0x1d:
	case 0x20:
		return first->eax < SUBLEAVES_MAX ? first->eax + 1 : SUBLEAVES_MAX;
	case 0x4: /* until one of type 0 */
	case 0x8000001d:
	case 0xb:
	case 0x1f:
	case 0x80000026:
		return SUBLEAVES_MAX;
	default:
		return 1;
	}
}

/* Whether a subleaf says that there are no more. */
static bool is_last(const struct cpuid_leaf *row)
{
	switch (row->leaf) {
	case 0x4:
	case 0x8000001d:
		return (row->eax & 0x1f) == 0;
	case 0xb:
	case 0x1f:
	case 0x80000026:
		return (row->ecx >> 8 & 0xff) == 0;
	default:
		return false;
	}
}

static void read_leaf(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_leaf row = ask(leaf, 0);
	const uint32_t count = subleaves_of(&row);
	for (uint32_t subleaf = 0; subleaf < count; subleaf++) {
		row = ask(leaf, subleaf);
		cpuid_add(table, &row);
		if (is_last(&row))
			break;
	}
}

static void read_range(struct cpuid_table *table, uint32_t first)
{
	uint32_t last = ask(first, 0).eax;
	if (last < first || last - first >= LEAVES_MAX)
		last = first;
	for (uint32_t leaf = first; leaf <= last; leaf++)
		read_leaf(table, leaf);
}

bool host_cpuid_read(struct cpuid_table *table, struct error *error)
{
	(void)error;
	cpu_set_t before, here;
	const int cpu = sched_getcpu();
	const bool held = cpu >= 0 && cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof before, &before) == 0;
	if (held) {
		CPU_ZERO(&here);
		CPU_SET((unsigned)cpu, &here);
		sched_setaffinity(0, sizeof here, &here);
	}
	const bool is_guest = ask(1, 0).ecx >> 31;
	read_range(table, BASIC);
	if (is_guest) {
		read_range(table, HYPERVISOR);
		read_leaf(table, HYPERVISOR + 0x10); /* clocks, which some have beyond their last leaf */
	}
	read_range(table, EXTENDED);
	if (held)
		sched_setaffinity(0, sizeof before, &before);
	return true;
}

#else

bool host_cpuid_read(struct cpuid_table *table, struct error *error)
{
	(void)table;
	return error_set(error, ERROR_HOST, "this processor is no x86: it has no CPUID; --cpuid FILE takes another machine's");
}

#endif
