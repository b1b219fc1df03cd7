/* SPDX-License-Identifier: MIT
 *
 * host_chase.c - pointer chases on the host (interface: host_chase.h).
 */
#include "sim/io/host_chase.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HUGE_BYTES (2ull << 20)
/* A run is so short that it fits between two interruptions: some 16,000 loads, 3 ms where each goes to memory. */
#define LOADS_OF_A_RUN 16384u
#define LOADS_UNROLLED 8u
/* On a busy host one set must not take all the time there is: after so long no further run begins, if there were so many. */
#define POINT_NS_MAX 200000000u
#define RUNS_MIN 5u
#define CHAIN_ROUNDS 2000u
#define CHAIN_ADDITIONS 64u
#define FEMTOSECONDS_OF_NS 1000000u
#define PRIORITY_HIGHEST (-20)

struct host_chase {
	char *memory; /* begins on a huge page */
	void *mapping;
	size_t mapped_bytes;
};

static uint64_t host_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct host_chase *host_chase_open(uint64_t bytes, bool huge_pages, struct error *error)
{
	struct host_chase *chase = xcalloc(1, sizeof *chase);
	chase->mapped_bytes = (size_t)(bytes + HUGE_BYTES);
	chase->mapping =
	        mmap(NULL, chase->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chase->mapping == MAP_FAILED) {
		error_set(error, ERROR_HOST, "%llu bytes for measuring cannot be mapped: %s", (unsigned long long)bytes,
		          strerror(errno));
		free(chase);
		return NULL;
	}
	chase->memory = (char *)chase->mapping + (HUGE_BYTES - (uintptr_t)chase->mapping % HUGE_BYTES) % HUGE_BYTES;
	/* A kernel without huge pages refuses; the chase then runs in small ones, and its numbers show it. */
	(void)madvise(chase->memory, bytes, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return chase;
}

void host_chase_close(struct host_chase *chase)
{
	if (!chase)
		return;
	munmap(chase->mapping, chase->mapped_bytes);
	free(chase);
}

/* Follows pointers; the empty assembly keeps the compiler from leaving the loads out. */
static char *follow(char *at, uint32_t loads)
{
	for (uint32_t i = 0; i < loads; i += LOADS_UNROLLED) {
		at = *(char **)at;
		at = *(char **)at;
		at = *(char **)at;
		at = *(char **)at;
		at = *(char **)at;
		at = *(char **)at;
		at = *(char **)at;
		at = *(char **)at;
	}
	__asm__ volatile("" : : "r"(at) : "memory");
	return at;
}

uint64_t host_chase_run(struct host_chase *chase, const struct chase_series *series, const uint32_t *next, uint32_t count,
                        unsigned repeats)
{
	for (uint32_t i = 0; i < count; i++)
		*(char **)(chase->memory + chase_offset(series, i)) = chase->memory + chase_offset(series, next[i]);
	char *at = follow(chase->memory + chase_offset(series, 0), count);
	uint64_t least = UINT64_MAX;
	const uint64_t begun = host_ns();
	for (unsigned i = 0; i < repeats && (i < RUNS_MIN || host_ns() - begun < POINT_NS_MAX); i++) {
		const uint64_t started = host_ns();
		at = follow(at, LOADS_OF_A_RUN);
		const uint64_t took = host_ns() - started;
		if (took < least)
			least = took;
	}
	return least * FEMTOSECONDS_OF_NS / LOADS_OF_A_RUN;
}

#if defined(__x86_64__) || defined(__i386__)

#define ADD_4 "add %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\tadd %1, %0\n\t"
#define ADD_16 ADD_4 ADD_4 ADD_4 ADD_4

uint64_t host_cycle(unsigned repeats)
{
	uint64_t least = UINT64_MAX;
	for (unsigned i = 0; i < repeats; i++) {
		unsigned long sum = i, term = repeats;
		const uint64_t started = host_ns();
		for (unsigned round = 0; round < CHAIN_ROUNDS; round++)
			__asm__ volatile(ADD_16 ADD_16 ADD_16 ADD_16 : "+r"(sum) : "r"(term) : "cc");
		const uint64_t took = host_ns() - started;
		if (took < least)
			least = took;
	}
	return least * FEMTOSECONDS_OF_NS / (CHAIN_ROUNDS * CHAIN_ADDITIONS);
}

#else

uint64_t host_cycle(unsigned repeats)
{
	(void)repeats;
	return 0;
}

#endif

void host_hold_still(void)
{
	cpu_set_t here;
	const int cpu = sched_getcpu();
	(void)setpriority(PRIO_PROCESS, 0, PRIORITY_HIGHEST);
	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&here);
	CPU_SET((unsigned)cpu, &here);
	(void)sched_setaffinity(0, sizeof here, &here);
}

bool host_has_huge_pages(void)
{
	char line[128] = "";
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
	if (!file)
		return false;
	bool read = fgets(line, sizeof line, file) != NULL;
	fclose(file);
	return read && !strstr(line, "[never]");
}

uint64_t host_available_bytes(void)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");
	if (file) {
		while (fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
			;
		fclose(file);
	}
	const long pages = sysconf(_SC_AVPHYS_PAGES);
	return kib ? (uint64_t)kib << 10 : pages > 0 ? (uint64_t)pages * PAGE_SIZE : 0;
}
