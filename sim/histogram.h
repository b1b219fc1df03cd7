/* SPDX-License-Identifier: MIT
 *
 * histogram.h - counts of values in buckets of bounded relative width (log-linear, as HdrHistogram's idea).
 *
 * Values below 32 have a bucket each; above, each power of two is cut into 16 buckets, so a bucket is at most 1/16 of its lower
 * bound wide. Quantiles are exact for values below 32 and at most 6.25 % low otherwise. Invariant: the counts add up to `count`.
 */
#ifndef SIM_HISTOGRAM_H
#define SIM_HISTOGRAM_H

#include "sim/base.h"

#define HISTOGRAM_BUCKETS (32 + 59 * 16)

struct histogram {
	uint64_t count, sum, min, max;
	uint64_t at[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* The lowest value whose bucket holds the q-th part (0..1000 per mille) of all values; 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned per_mille);
/* Lower bound of a bucket. */
uint64_t histogram_floor(unsigned bucket);
void histogram_check(const struct histogram *histogram);

#endif
