/* SPDX-License-Identifier: MIT
 *
 * area_tree.h - ranges of addresses in red-black trees: the kernel's vmap_area structs and the trees that hold them.
 *
 * Areas are indices into one pool, so that a link costs 4 bytes and an area can move from tree to tree. Each area knows the
 * longest range in its subtree; the lowest fit of an aligned request depends on which areas the search passes, so the trees
 * take the same shape as the kernel's: insertion and removal rebalance as lib/rbtree.c does, which is the textbook's way
 * (Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, chapter 13; a removed area with two children is replaced by its
 * successor). In the kernel only the free tree keeps the longest range; keeping it everywhere changes nothing one can see.
 *
 * Source of the rule: mm/vmalloc.c of Linux 6.1: find_vmap_lowest_match, is_within_this_va, merge_or_add_vmap_area.
 * Invariant: areas of a tree do not overlap, and those of the free and purge trees do not even touch.
 */
#ifndef MODELS_VIRTUAL_ALLOCATOR_AREA_TREE_H
#define MODELS_VIRTUAL_ALLOCATOR_AREA_TREE_H

#include "sim/base.h"
#include "sim/steps.h"

#define AREA_NONE 0u

struct area {
	uint64_t start, end;
	uint64_t subtree_max_size;
	uint64_t address; /* of the simulated struct vmap_area */
	uint32_t left, right, parent;
	uint32_t mapping; /* of a busy area: what is behind it, 0 for nothing known */
	bool red;
	bool is_object; /* the simulated struct came from the object allocator */
};

/* Index 0 is no area; its fields are zero, but for what a removal writes to its parent. */
struct area_pool {
	struct area *at; /* owned */
	uint32_t capacity, used;
	uint32_t unused; /* first of the areas given back, linked by `right` */
	struct steps *steps;
	uint32_t area_bytes; /* sizeof(struct vmap_area) of the simulated kernel */
};

struct area_tree {
	uint32_t root;
	uint32_t count;
};

void area_pool_init(struct area_pool *pool, struct steps *steps, uint32_t area_bytes);
void area_pool_release(struct area_pool *pool);
/* A new area, in no tree; its fields are zero, but for the address that an area of that index had before. */
uint32_t area_new(struct area_pool *pool);
void area_drop(struct area_pool *pool, uint32_t area);

static inline struct area *area_of(const struct area_pool *pool, uint32_t area)
{
	return &pool->at[area];
}

/* Puts an area in. False, with nothing changed, if it overlaps one that is there. */
bool area_insert(struct area_pool *pool, struct area_tree *tree, uint32_t area);
void area_remove(struct area_pool *pool, struct area_tree *tree, uint32_t area);
/* The start or end of an area was changed in place: updates what its ancestors know. */
void area_resized(struct area_pool *pool, uint32_t area);

uint32_t area_first(const struct area_pool *pool, const struct area_tree *tree);
uint32_t area_next(const struct area_pool *pool, uint32_t area);
uint32_t area_previous(const struct area_pool *pool, uint32_t area);
/* The area that holds an address. */
uint32_t area_find(const struct area_pool *pool, const struct area_tree *tree, uint64_t address);
/* The first area that ends above an address. */
uint32_t area_find_above(const struct area_pool *pool, const struct area_tree *tree, uint64_t address);

struct area_request {
	uint64_t size, align; /* bytes; align is a power of two */
	uint64_t start, end;  /* where the range may lie */
};

/* The lowest area that holds the request, AREA_NONE if there is none; *at is where the request begins in it. */
uint32_t area_lowest_match(const struct area_pool *pool, const struct area_tree *tree, const struct area_request *request,
                           uint64_t *at);

/*
 * Puts an area into a tree where ranges that touch become one. The area that holds the range now is the result; dropped[] are
 * those that are in no tree any more, in the order the kernel frees them.
 */
uint32_t area_merge_or_add(struct area_pool *pool, struct area_tree *tree, uint32_t area, uint32_t dropped[2]);

/* Proves order, colours, subtree sizes and the count. */
void area_tree_check(const struct area_pool *pool, const struct area_tree *tree, bool apart);

#endif
