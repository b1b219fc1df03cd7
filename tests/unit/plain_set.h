/* SPDX-License-Identifier: MIT
 *
 * plain_set.h - the second opinion on replacement: one set, ways as they lie in hardware, with everything any policy may want to
 * know, and each policy's rule in its plainest words.
 *
 * A free way is filled before any is evicted, the lowest first.
 */
#ifndef TESTS_PLAIN_SET_H
#define TESTS_PLAIN_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WAYS_MAX 140

struct plain_way {
	bool valid, recent;
	uint64_t tag, marks, payload;
	unsigned long last_use, came;
	unsigned prediction;
};

struct plain_set {
	struct plain_way way[WAYS_MAX];
	bool right_is_older[2 * 256]; /* by node of the tree */
	unsigned long clock;
};

static const char *const deterministic[] = {"lru", "fifo", "tree_plru", "bit_plru", "srrip", NULL};

/* Turns the nodes above the way away from it: the leaf range [low, low + leaves) belongs to `node`. */
static inline void tree_touch(struct plain_set *set, unsigned node, unsigned low, unsigned leaves, unsigned way)
{
	if (leaves == 1)
		return;
	bool goes_right = way >= low + leaves / 2;
	set->right_is_older[node] = !goes_right;
	tree_touch(set, 2 * node + goes_right, goes_right ? low + leaves / 2 : low, leaves / 2, way);
}

static inline unsigned tree_victim(const struct plain_set *set, unsigned node, unsigned low, unsigned leaves, unsigned ways)
{
	if (leaves == 1)
		return low;
	bool goes_right = low + leaves / 2 < ways && set->right_is_older[node];
	return tree_victim(set, 2 * node + goes_right, goes_right ? low + leaves / 2 : low, leaves / 2, ways);
}

static inline unsigned leaves_of(unsigned ways)
{
	unsigned leaves = 1;
	while (leaves < ways)
		leaves *= 2;
	return leaves;
}

static inline void plain_set_use(struct plain_set *set, unsigned ways, unsigned way)
{
	set->way[way].last_use = ++set->clock;
	set->way[way].prediction = 0;
	tree_touch(set, 1, 0, leaves_of(ways), way);
	set->way[way].recent = true;
	for (unsigned i = 0; i < ways; i++)
		if (!set->way[i].recent)
			return;
	for (unsigned i = 0; i < ways; i++)
		set->way[i].recent = i == way;
}

static inline unsigned plain_set_victim(struct plain_set *set, unsigned ways, const char *policy)
{
	unsigned victim = 0;
	for (unsigned i = 0; i < ways; i++)
		if (!set->way[i].valid)
			return i;
	if (strcmp(policy, "tree_plru") == 0)
		return tree_victim(set, 1, 0, leaves_of(ways), ways);
	if (strcmp(policy, "bit_plru") == 0) {
		while (victim + 1 < ways && set->way[victim].recent)
			victim++;
		return set->way[victim].recent ? 0 : victim;
	}
	if (strcmp(policy, "srrip") == 0) {
		for (;;) {
			for (unsigned i = 0; i < ways; i++)
				if (set->way[i].prediction == 3)
					return i;
			for (unsigned i = 0; i < ways; i++)
				set->way[i].prediction++;
		}
	}
	bool fifo = strcmp(policy, "fifo") == 0;
	for (unsigned i = 1; i < ways; i++)
		if (fifo ? set->way[i].came < set->way[victim].came : set->way[i].last_use < set->way[victim].last_use)
			victim = i;
	return victim;
}

/* Puts what `fresh` says into a way, the victim's or a free one. */
static inline void plain_set_put(struct plain_set *set, unsigned ways, unsigned way, struct plain_way fresh)
{
	fresh.valid = true;
	fresh.recent = set->way[way].recent;
	set->way[way] = fresh;
	plain_set_use(set, ways, way);
	set->way[way].came = set->clock;
	set->way[way].prediction = 2;
}

static inline void plain_remove(struct plain_way *way)
{
	*way = (struct plain_way){0};
}

#endif
