/* SPDX-License-Identifier: MIT
 *
 * nearest.c - optimal string alignment distance over three rows (interface and rules: nearest.h).
 */
#include "sim/nearest.h"

#include <limits.h>
#include <string.h>

/* So many letters of a name's beginning stand for it: 'debian' for 'debian-6.1'. */
#define ABBREVIATION_MIN 3

static unsigned smaller(unsigned left, unsigned right)
{
	return left < right ? left : right;
}

unsigned nearest_distance(const char *left, const char *right)
{
	unsigned rows[3][NEAREST_LENGTH_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];
	size_t height = strnlen(left, NEAREST_LENGTH_MAX), width = strnlen(right, NEAREST_LENGTH_MAX);
	for (size_t x = 0; x <= width; x++)
		above[x] = (unsigned)x;
	for (size_t y = 1; y <= height; y++) {
		row[0] = (unsigned)y;
		for (size_t x = 1; x <= width; x++) {
			row[x] = above[x - 1] + (left[y - 1] != right[x - 1]);
			row[x] = smaller(row[x], smaller(above[x], row[x - 1]) + 1);
			if (y > 1 && x > 1 && left[y - 1] == right[x - 2] && left[y - 2] == right[x - 1])
				row[x] = smaller(row[x], before[x - 2] + 1);
		}
		unsigned *free_row = before;
		before = above;
		above = row;
		row = free_row;
	}
	return above[width];
}

void nearest_start(struct nearest *nearest, const char *wanted)
{
	*nearest = (struct nearest){.wanted = wanted, .distance = UINT_MAX};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	unsigned distance = nearest_distance(nearest->wanted, name);
	size_t length = strlen(nearest->wanted);
	if (length >= ABBREVIATION_MIN && distance > 1 && strncmp(nearest->wanted, name, length) == 0)
		distance = 1;
	if (distance >= nearest->distance)
		return;
	nearest->name = name;
	nearest->distance = distance;
}

const char *nearest_found(const struct nearest *nearest)
{
	size_t length = strnlen(nearest->wanted, NEAREST_LENGTH_MAX);
	bool near = nearest->name && nearest->distance < length && nearest->distance <= (length + 2) / 3;
	return near ? nearest->name : NULL;
}
