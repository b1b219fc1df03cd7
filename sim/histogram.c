/* SPDX-License-Identifier: MIT
 *
 * histogram.c - log-linear buckets (interface and bounds: histogram.h).
 */
#include "sim/histogram.h"

static unsigned bucket_of(uint64_t value)
{
	if (value < 32)
		return (unsigned)value;
	unsigned power = 63 - (unsigned)__builtin_clzll(value); /* 5 .. 63 */
	return 32 + (power - 5) * 16 + (unsigned)((value >> (power - 4)) & 15);
}

uint64_t histogram_floor(unsigned bucket)
{
	SIM_ASSERT(bucket < HISTOGRAM_BUCKETS);
	if (bucket < 32)
		return bucket;
	unsigned power = (bucket - 32) / 16 + 5;
	return (16ull + (bucket - 32) % 16) << (power - 4);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	if (histogram->count == 0 || value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
	histogram->count++;
	histogram->sum += value;
	histogram->at[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille)
{
	SIM_ASSERT(per_mille <= 1000);
	/* ceil(count * per_mille / 1000) without overflow */
	uint64_t rank = histogram->count / 1000 * per_mille + (histogram->count % 1000 * per_mille + 999) / 1000;
	uint64_t seen = 0;
	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		seen += histogram->at[bucket];
		if (seen && seen >= rank)
			return histogram_floor(bucket) > histogram->min ? histogram_floor(bucket) : histogram->min;
	}
	return 0;
}

void histogram_check(const struct histogram *histogram)
{
	uint64_t count = 0;
	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
		count += histogram->at[bucket];
	SIM_ASSERT(count == histogram->count);
}
