/* SPDX-License-Identifier: MIT
 *
 * area_tree.c - the trees of address ranges (interface and rules: area_tree.h).
 */
#include "models/virtual_allocator/area_tree.h"

#include <stdlib.h>
#include <string.h>

#define POOL_MIN 64u

void area_pool_init(struct area_pool *pool, struct steps *steps, uint32_t area_bytes)
{
	*pool = (struct area_pool){
	        .at = xcalloc(POOL_MIN, sizeof *pool->at),
	        .capacity = POOL_MIN,
	        .used = 1,
	        .steps = steps,
	        .area_bytes = area_bytes,
	};
}

void area_pool_release(struct area_pool *pool)
{
	free(pool->at);
	*pool = (struct area_pool){0};
}

uint32_t area_new(struct area_pool *pool)
{
	uint32_t area = pool->unused;
	if (area) {
		pool->unused = pool->at[area].right;
	} else {
		if (pool->used == pool->capacity) {
			SIM_ASSERT(pool->capacity <= UINT32_MAX / 2);
			pool->capacity *= 2;
			pool->at = xrealloc(pool->at, pool->capacity * sizeof *pool->at);
		}
		area = pool->used++;
		pool->at[area].address = 0;
	}
	pool->at[area] = (struct area){.address = pool->at[area].address};
	return area;
}

void area_drop(struct area_pool *pool, uint32_t area)
{
	pool->at[area] = (struct area){.right = pool->unused, .address = pool->at[area].address};
	pool->unused = area;
}

static void touch(const struct area_pool *pool, uint32_t area)
{
	step_read(pool->steps, vaddr_of(pool->at[area].address), pool->area_bytes);
}

/* ---- what a subtree knows ---- */

static uint64_t size_of(const struct area *area)
{
	return area->end - area->start;
}

static uint64_t computed_max(const struct area_pool *pool, const struct area *area)
{
	uint64_t max = size_of(area), left = pool->at[area->left].subtree_max_size;
	uint64_t right = pool->at[area->right].subtree_max_size;
	if (left > max)
		max = left;
	return right > max ? right : max;
}

/* Goes up until an ancestor knows the right number already. */
void area_resized(struct area_pool *pool, uint32_t area)
{
	for (; area; area = pool->at[area].parent) {
		uint64_t max = computed_max(pool, &pool->at[area]);
		if (pool->at[area].subtree_max_size == max)
			return;
		pool->at[area].subtree_max_size = max;
		step_write(pool->steps, vaddr_of(pool->at[area].address), pool->area_bytes);
	}
}

/* ---- shape ---- */

/* Puts `other` where `area` hangs on its parent. */
static void replace_child(struct area_pool *pool, struct area_tree *tree, uint32_t area, uint32_t other)
{
	uint32_t parent = pool->at[area].parent;
	if (!parent)
		tree->root = other;
	else if (pool->at[parent].left == area)
		pool->at[parent].left = other;
	else
		pool->at[parent].right = other;
	pool->at[other].parent = parent;
}

static void after_rotation(struct area_pool *pool, uint32_t lower, uint32_t upper)
{
	pool->at[upper].subtree_max_size = pool->at[lower].subtree_max_size;
	pool->at[lower].subtree_max_size = computed_max(pool, &pool->at[lower]);
}

static void rotate_left(struct area_pool *pool, struct area_tree *tree, uint32_t area)
{
	uint32_t up = pool->at[area].right, inner = pool->at[up].left;
	pool->at[area].right = inner;
	if (inner)
		pool->at[inner].parent = area;
	replace_child(pool, tree, area, up);
	pool->at[up].left = area;
	pool->at[area].parent = up;
	after_rotation(pool, area, up);
}

static void rotate_right(struct area_pool *pool, struct area_tree *tree, uint32_t area)
{
	uint32_t up = pool->at[area].left, inner = pool->at[up].right;
	pool->at[area].left = inner;
	if (inner)
		pool->at[inner].parent = area;
	replace_child(pool, tree, area, up);
	pool->at[up].right = area;
	pool->at[area].parent = up;
	after_rotation(pool, area, up);
}

static void balance_insert(struct area_pool *pool, struct area_tree *tree, uint32_t area)
{
	struct area *at = pool->at;
	while (at[area].parent && at[at[area].parent].red) {
		uint32_t parent = at[area].parent, grand = at[parent].parent;
		bool left = at[grand].left == parent;
		uint32_t uncle = left ? at[grand].right : at[grand].left;
		if (at[uncle].red) {
			at[parent].red = at[uncle].red = false;
			at[grand].red = true;
			area = grand;
			continue;
		}
		if (left && at[parent].right == area) {
			rotate_left(pool, tree, parent);
			parent = area;
		} else if (!left && at[parent].left == area) {
			rotate_right(pool, tree, parent);
			parent = area;
		}
		at[parent].red = false;
		at[grand].red = true;
		if (left)
			rotate_right(pool, tree, grand);
		else
			rotate_left(pool, tree, grand);
		break;
	}
	at[tree->root].red = false;
}

bool area_insert(struct area_pool *pool, struct area_tree *tree, uint32_t area)
{
	struct area *at = pool->at;
	uint32_t parent = AREA_NONE;
	bool left = false;
	for (uint32_t node = tree->root; node; node = left ? at[node].left : at[node].right) {
		touch(pool, node);
		parent = node;
		left = at[area].end <= at[node].start;
		if (!left && at[area].start < at[node].end)
			return false;
	}
	at[area].left = at[area].right = AREA_NONE;
	at[area].parent = parent;
	at[area].red = true;
	at[area].subtree_max_size = 0;
	if (!parent)
		tree->root = area;
	else if (left)
		at[parent].left = area;
	else
		at[parent].right = area;
	tree->count++;
	area_resized(pool, area);
	balance_insert(pool, tree, area);
	return true;
}

/* One black area is missing on the way to `area`, which may be none; its parent field is right all the same. */
static void balance_remove(struct area_pool *pool, struct area_tree *tree, uint32_t area)
{
	struct area *at = pool->at;
	while (area != tree->root && !at[area].red) {
		uint32_t parent = at[area].parent;
		bool left = at[parent].left == area;
		uint32_t sibling = left ? at[parent].right : at[parent].left;
		if (at[sibling].red) {
			at[sibling].red = false;
			at[parent].red = true;
			if (left)
				rotate_left(pool, tree, parent);
			else
				rotate_right(pool, tree, parent);
			sibling = left ? at[parent].right : at[parent].left;
		}
		uint32_t near = left ? at[sibling].left : at[sibling].right;
		uint32_t far = left ? at[sibling].right : at[sibling].left;
		if (!at[near].red && !at[far].red) {
			at[sibling].red = true;
			area = parent;
			continue;
		}
		if (!at[far].red) {
			at[near].red = false;
			at[sibling].red = true;
			if (left)
				rotate_right(pool, tree, sibling);
			else
				rotate_left(pool, tree, sibling);
			far = sibling;
			sibling = near;
		}
		at[sibling].red = at[parent].red;
		at[parent].red = at[far].red = false;
		if (left)
			rotate_left(pool, tree, parent);
		else
			rotate_right(pool, tree, parent);
		area = tree->root;
	}
	at[area].red = false;
}

static uint32_t leftmost(const struct area_pool *pool, uint32_t area)
{
	while (pool->at[area].left)
		area = pool->at[area].left;
	return area;
}

void area_remove(struct area_pool *pool, struct area_tree *tree, uint32_t area)
{
	struct area *at = pool->at;
	uint32_t moved, changed = at[area].parent;
	bool black = !at[area].red;
	if (!at[area].left || !at[area].right) {
		moved = at[area].left ? at[area].left : at[area].right;
		replace_child(pool, tree, area, moved);
	} else {
		uint32_t successor = leftmost(pool, at[area].right);
		black = !at[successor].red;
		moved = at[successor].right;
		changed = at[successor].parent == area ? successor : at[successor].parent;
		if (changed == successor) {
			at[moved].parent = successor;
		} else {
			replace_child(pool, tree, successor, moved);
			at[successor].right = at[area].right;
			at[at[successor].right].parent = successor;
		}
		replace_child(pool, tree, area, successor);
		at[successor].left = at[area].left;
		at[at[successor].left].parent = successor;
		at[successor].red = at[area].red;
	}
	for (uint32_t node = changed; node; node = at[node].parent)
		at[node].subtree_max_size = computed_max(pool, &at[node]);
	step_write(pool->steps, vaddr_of(at[area].address), pool->area_bytes);
	tree->count--;
	if (black)
		balance_remove(pool, tree, moved);
	at[AREA_NONE] = (struct area){0};
}

/* ---- looking ---- */

uint32_t area_first(const struct area_pool *pool, const struct area_tree *tree)
{
	return leftmost(pool, tree->root);
}

uint32_t area_next(const struct area_pool *pool, uint32_t area)
{
	if (pool->at[area].right)
		return leftmost(pool, pool->at[area].right);
	uint32_t parent = pool->at[area].parent;
	for (; parent && pool->at[parent].right == area; parent = pool->at[parent].parent)
		area = parent;
	return parent;
}

uint32_t area_previous(const struct area_pool *pool, uint32_t area)
{
	if (pool->at[area].left) {
		area = pool->at[area].left;
		while (pool->at[area].right)
			area = pool->at[area].right;
		return area;
	}
	uint32_t parent = pool->at[area].parent;
	for (; parent && pool->at[parent].left == area; parent = pool->at[parent].parent)
		area = parent;
	return parent;
}

uint32_t area_find(const struct area_pool *pool, const struct area_tree *tree, uint64_t address)
{
	uint32_t node = tree->root;
	while (node && (address < pool->at[node].start || address >= pool->at[node].end)) {
		touch(pool, node);
		node = address < pool->at[node].start ? pool->at[node].left : pool->at[node].right;
	}
	if (node)
		touch(pool, node);
	return node;
}

uint32_t area_find_above(const struct area_pool *pool, const struct area_tree *tree, uint64_t address)
{
	uint32_t found = AREA_NONE;
	for (uint32_t node = tree->root; node;) {
		bool above = pool->at[node].end > address;
		if (above)
			found = node;
		node = above ? pool->at[node].left : pool->at[node].right;
	}
	return found;
}

/* Where the request would begin in this area; false if it does not fit there. */
static bool fits(const struct area *area, const struct area_request *request, uint64_t from, uint64_t *at)
{
	uint64_t lowest = area->start > from ? area->start : from;
	uint64_t begin = (lowest + request->align - 1) & ~(request->align - 1);
	if (begin < from || begin + request->size < begin || begin + request->size > area->end)
		return false;
	*at = begin;
	return true;
}

/*
 * Going back up from an area without a fit: the first ancestor that fits, or (*descend) whose right subtree may. `from` then
 * moves behind that ancestor, so that no subtree is searched twice.
 */
static uint32_t climb(const struct area_pool *pool, uint32_t node, const struct area_request *request, uint64_t length,
                      uint64_t *from, bool *descend)
{
	const struct area *at = pool->at;
	uint64_t begin;
	*descend = false;
	for (node = at[node].parent; node; node = at[node].parent) {
		touch(pool, node);
		if (fits(&at[node], request, *from, &begin))
			return node;
		if (at[at[node].right].subtree_max_size >= length && *from <= at[node].start) {
			*from = at[node].start + 1;
			*descend = true;
			return node;
		}
	}
	return AREA_NONE;
}

static uint32_t lowest_match(const struct area_pool *pool, const struct area_tree *tree, const struct area_request *request,
                             uint64_t length)
{
	const struct area *at = pool->at;
	uint64_t from = request->start, begin;
	for (uint32_t node = tree->root; node;) {
		touch(pool, node);
		if (at[at[node].left].subtree_max_size >= length && from < at[node].start) {
			node = at[node].left;
			continue;
		}
		if (fits(&at[node], request, from, &begin))
			return node;
		if (at[at[node].right].subtree_max_size < length) {
			bool descend;
			node = climb(pool, node, request, length, &from, &descend);
			if (!descend)
				return node;
		}
		node = at[node].right;
	}
	return AREA_NONE;
}

uint32_t area_lowest_match(const struct area_pool *pool, const struct area_tree *tree, const struct area_request *request,
                           uint64_t *at)
{
	/* A search for more than a page's alignment looks for room for the worst case, unless the range leaves no choice. */
	bool worst_case = request->align > PAGE_SIZE && request->end - request->start != request->size;
	uint64_t length = worst_case ? request->size + request->align - 1 : request->size;
	uint32_t area = lowest_match(pool, tree, request, length);
	if (!area || !fits(&pool->at[area], request, request->start, at) || *at + request->size > request->end)
		return AREA_NONE;
	return area;
}

/* ---- merging ---- */

/* The areas in front of and behind a range, by a walk down to where it would be inserted. */
static void neighbours(const struct area_pool *pool, const struct area_tree *tree, const struct area *area, uint32_t *before,
                       uint32_t *behind)
{
	*before = *behind = AREA_NONE;
	for (uint32_t node = tree->root; node;) {
		const struct area *other = &pool->at[node];
		touch(pool, node);
		if (area->end <= other->start) {
			*behind = node;
			node = other->left;
		} else {
			SIM_ASSERT(area->start >= other->end);
			*before = node;
			node = other->right;
		}
	}
}

uint32_t area_merge_or_add(struct area_pool *pool, struct area_tree *tree, uint32_t area, uint32_t dropped[2])
{
	struct area *at = pool->at;
	uint32_t before, behind, held = area;
	dropped[0] = dropped[1] = AREA_NONE;
	neighbours(pool, tree, &at[area], &before, &behind);
	if (behind && at[behind].start == at[area].end) {
		at[behind].start = at[area].start;
		dropped[0] = area;
		held = behind;
	}
	if (before && at[before].end == at[held].start) {
		uint64_t end = at[held].end;
		if (held == behind)
			area_remove(pool, tree, behind);
		at[before].end = end;
		dropped[dropped[0] ? 1 : 0] = held;
		held = before;
	}
	if (held != area) {
		area_resized(pool, held);
		return held;
	}
	bool inserted = area_insert(pool, tree, area);
	SIM_ASSERT(inserted);
	return area;
}

/* ---- the laws ---- */

/* Black areas on each way down, below and with `node`. */
static unsigned check_subtree(const struct area_pool *pool, uint32_t node, uint32_t parent, uint32_t *count)
{
	if (!node)
		return 0;
	const struct area *area = &pool->at[node];
	SIM_ASSERT(area->parent == parent && area->start < area->end);
	SIM_ASSERT(!area->red || !pool->at[parent].red);
	SIM_ASSERT(area->subtree_max_size == computed_max(pool, area));
	++*count;
	unsigned left = check_subtree(pool, area->left, node, count);
	SIM_ASSERT(left == check_subtree(pool, area->right, node, count));
	return left + !area->red;
}

void area_tree_check(const struct area_pool *pool, const struct area_tree *tree, bool apart)
{
	uint32_t count = 0;
	check_subtree(pool, tree->root, AREA_NONE, &count);
	SIM_ASSERT(count == tree->count && !pool->at[tree->root].red);
	uint64_t end = 0;
	for (uint32_t area = area_first(pool, tree); area; area = area_next(pool, area)) {
		SIM_ASSERT(pool->at[area].start >= end && !(apart && end && pool->at[area].start == end));
		end = pool->at[area].end;
	}
}
