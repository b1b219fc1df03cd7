/* SPDX-License-Identifier: MIT
 *
 * machine_measure.c - measures the host (interface: machine_measure.h).
 */
#include "tools/kmemsim/machine_measure.h"

#include "sim/io/host_chase.h"

#include <stdlib.h>
#include <string.h>

/* The largest set by default, in last-level caches, and where CPUID tells of none. */
#define MAX_CACHES 3u
#define MAX_BYTES_DEFAULT (64ull << 20)
/* No more than this part of what the host can give. */
#define MEMORY_PART 4u
#define CYCLE_REPEATS 50u
#define MHZ 1000000ull
#define FEMTOSECONDS_OF_SECOND 1000000000000000ull
/* Pages beyond those that the last TLB holds show only what lies in caches of tables. */
#define TLB_REACHES 4u

const struct chase_series measure_series[MEASURE_SERIES] = {
        {"lines, pages of 2 MiB", CHASE_LINE_BYTES, true},
        {"lines, pages of 4 KiB", CHASE_LINE_BYTES, false},
        {"a line in each page of 4 KiB", PAGE_SIZE, false},
        {"the same, in pages of 2 MiB", PAGE_SIZE, true},
};

/* ---- what is known beforehand ---- */

static struct machine_cache *cache_of(struct machine_facts *facts, unsigned level)
{
	for (unsigned i = 0; i < facts->caches_count; i++)
		if (facts->caches[i].level == level && facts->caches[i].serves != MACHINE_CODE)
			return &facts->caches[i];
	return NULL;
}

static uint32_t entries_of(const struct machine_facts *facts, unsigned level)
{
	for (unsigned i = 0; i < facts->tlbs_count; i++)
		if (facts->tlbs[i].level == level && facts->tlbs[i].serves != MACHINE_CODE && facts->tlbs[i].pages & MACHINE_4K)
			return facts->tlbs[i].entries;
	return 0;
}

static struct chase_capacities capacities_of(struct machine_facts *facts)
{
	const struct machine_cache *l1 = cache_of(facts, 1), *l2 = cache_of(facts, 2), *llc = cache_of(facts, 3);
	return (struct chase_capacities){.l1_bytes = l1 ? l1->size_bytes : 0,
	                                 .l2_bytes = l2 ? l2->size_bytes : 0,
	                                 .llc_bytes = llc ? llc->size_bytes : 0,
	                                 .llc_exclusive = llc && llc->exclusive,
	                                 .tlb_entries = entries_of(facts, 1),
	                                 .last_tlb_entries = entries_of(facts, 2)};
}

static bool choose_max(const struct measure_request *request, struct measured *measured, struct error *error)
{
	const struct chase_capacities *capacities = &measured->capacities;
	const uint64_t available = host_available_bytes() / MEMORY_PART;
	const uint64_t wanted = capacities->llc_bytes ? MAX_CACHES * capacities->llc_bytes : MAX_BYTES_DEFAULT;
	measured->max_bytes = request->max_bytes ? request->max_bytes : wanted < available ? wanted : available;
	if (request->max_bytes > available)
		return error_set(error, ERROR_HOST, "--max: a quarter of the memory that the host can give is %llu MiB",
		                 (unsigned long long)(available >> 20));
	return true;
}

static uint64_t max_of(const struct measured *measured, unsigned series)
{
	const uint64_t reach = (uint64_t)measured->capacities.last_tlb_entries * PAGE_SIZE * TLB_REACHES;
	const bool is_pages = measure_series[series].stride_bytes == PAGE_SIZE;
	return is_pages && reach && reach < measured->max_bytes ? reach : measured->max_bytes;
}

/* ---- measuring ---- */

static bool is_interrupted(const struct measure_request *request)
{
	return request->interrupt && *request->interrupt;
}

void machine_progress(const struct measure_request *request, const struct measured *measured, unsigned series, unsigned point,
                      unsigned half)
{
	uint64_t done = point, total = 0;
	for (unsigned i = 0; i < MEASURE_SERIES; i++) {
		done += i < series ? measured->count[i] : 0;
		total += measured->count[i];
	}
	if (request->progress)
		request->progress->tell(request->progress->context, half * total + done, 2 * total);
}

static bool measure_one(const struct measure_request *request, struct measured *measured, unsigned series, uint32_t *next,
                        struct error *error)
{
	const struct chase_series *about = &measure_series[series];
	struct host_chase *chase = host_chase_open(max_of(measured, series), about->huge_pages, error);
	if (!chase)
		return false;
	for (unsigned i = 0; i < measured->count[series]; i++) {
		if (is_interrupted(request)) {
			measured->count[series] = i; /* what was measured is told */
			break;
		}
		struct chase_point *point = &measured->points[series][i];
		chase_order(next, point->count, request->seed);
		point->femtoseconds = host_chase_run(chase, about, next, point->count, request->repeats);
		const uint64_t cycle_fs = host_cycle(CYCLE_REPEATS);
		if (cycle_fs && (measured->cycle_fs == 0 || cycle_fs < measured->cycle_fs))
			measured->cycle_fs = cycle_fs;
		machine_progress(request, measured, series, i, 0);
	}
	host_chase_close(chase);
	return true;
}

static void to_cycles(struct measured *measured)
{
	for (unsigned series = 0; series < MEASURE_SERIES; series++)
		for (unsigned i = 0; i < measured->count[series]; i++) {
			struct chase_point *point = &measured->points[series][i];
			point->milli_cycles = (point->femtoseconds * 1000 + measured->cycle_fs / 2) / measured->cycle_fs;
		}
}

static bool measure_host(const struct measure_request *request, struct measured *measured, struct error *error)
{
	uint32_t *next = xcalloc(measured->max_bytes / CHASE_LINE_BYTES, sizeof *next);
	bool fine = true;
	host_hold_still();
	for (unsigned series = 0; series < MEASURE_SERIES && fine; series++)
		fine = measure_one(request, measured, series, next, error);
	free(next);
	measured->interrupted = is_interrupted(request);
	if (fine && measured->cycle_fs == 0)
		return error_set(error, ERROR_HOST, "the clock of this processor's cores cannot be told: it is no x86");
	if (fine)
		to_cycles(measured);
	return fine;
}

/* ---- what was found ---- */

static void find(struct measured *measured, struct chase_point points[MEASURE_SERIES][CHASE_POINTS_MAX],
                 struct chase_findings *found)
{
	*found = (struct chase_findings){0};
	chase_find_caches(points[MEASURE_LINES_HUGE], measured->count[MEASURE_LINES_HUGE], &measured->capacities, found);
	chase_find_tlbs(points[MEASURE_PAGES], measured->count[MEASURE_PAGES], &measured->capacities, found);
}

/* Whose pages of 2 MiB the TLBs keep as such lies in pages of that size, or larger. */
static const char *host_page_of(const struct detected *detected, const struct measured *measured)
{
	bool split;
	if (!detected->facts.hypervisor || !host_has_huge_pages() ||
	    !chase_find_split(measured->points[MEASURE_PAGES_HUGE], measured->count[MEASURE_PAGES_HUGE], &measured->capacities,
	                      &measured->found, &split))
		return NULL;
	return split ? "4K" : "2M";
}

static uint32_t rounded(uint64_t milli_cycles)
{
	return (uint32_t)((milli_cycles + 500) / 1000);
}

static struct machine_latencies latencies_of(const struct measured *measured)
{
	const struct chase_findings *found = &measured->found;
	struct machine_latencies latencies = {.l1 = rounded(found->l1),
	                                      .l2 = rounded(found->l2),
	                                      .llc = rounded(found->llc),
	                                      .dram = rounded(found->dram),
	                                      .frequency_hz =
	                                              (FEMTOSECONDS_OF_SECOND / measured->cycle_fs + MHZ / 2) / MHZ * MHZ};
	const uint64_t before = found->llc ? found->llc : found->l2 ? found->l2 : found->l1;
	if (found->tlb_miss > found->l1)
		latencies.last_tlb = rounded(found->tlb_miss - found->l1);
	if (found->dram > before)
		latencies.dram_picoseconds = (found->dram - before) * measured->cycle_fs / 1000000;
	return latencies;
}

/* A guest may be given some ways of a cache, or share it with others that are busy: the machine gets what was found. */
static void fit_llc(struct detected *detected, struct measured *measured)
{
	struct machine_cache *llc = cache_of(&detected->facts, 3);
	const uint64_t step = measured->found.llc_step_bytes, l2 = measured->capacities.l2_bytes;
	if (!llc || step == 0 || llc->ways == 0)
		return;
	const uint64_t found = llc->exclusive && step > l2 ? step - l2 : step, way = llc->size_bytes / llc->ways;
	if (2 * found > llc->size_bytes)
		return;
	const uint32_t ways = (uint32_t)((found + way / 2) / way);
	measured->llc_told_bytes = llc->size_bytes;
	machine_facts_note(
	        &detected->facts,
	        "measured: the last-level cache holds %llu KiB for this CPU, CPUID says %llu KiB in %u ways: a guest may "
	        "have a part of them, or others use it; the file has %u",
	        (unsigned long long)(found >> 10), (unsigned long long)(llc->size_bytes >> 10), llc->ways, ways ? ways : 1);
	llc->ways = ways ? ways : 1;
	llc->size_bytes = way * llc->ways;
}

bool machine_measure(struct detected *detected, const struct measure_request *request, struct measured *measured,
                     struct error *error)
{
	*measured = (struct measured){.capacities = capacities_of(&detected->facts)};
	if (!choose_max(request, measured, error))
		return false;
	for (unsigned series = 0; series < MEASURE_SERIES; series++)
		measured->count[series] = chase_plan(&measure_series[series], max_of(measured, series), measured->points[series]);
	if (!host_has_huge_pages())
		machine_facts_note(&detected->facts,
		                   "the kernel gives no transparent huge pages: what is measured in pages of 2 MiB has "
		                   "pages of 4 KiB");
	if (!measure_host(request, measured, error))
		return false;
	find(measured, measured->points, &measured->found);
	measured->host_page = host_page_of(detected, measured);
	fit_llc(detected, measured);
	measured->latencies = latencies_of(measured);
	if (measured->interrupted)
		return true;
	if (!machine_simulate(detected, request, measured, error))
		return false;
	find(measured, measured->simulated, &measured->found_simulated);
	return true;
}

void machine_measured_release(struct measured *measured)
{
	free(measured->scenario);
	measured->scenario = NULL;
}
