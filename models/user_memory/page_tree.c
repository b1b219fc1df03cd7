/* SPDX-License-Identifier: MIT
 *
 * page_tree.c - (interface: page_tree.h)
 */
#include "models/user_memory/page_tree.h"

#include <stdlib.h>

#define BRANCHES (1u << PAGE_TREE_BITS)

/* Above the lowest level the words are branches. */
union node {
	uint64_t word[BRANCHES];
	union node *branch[BRANCHES];
};

static unsigned place_of(uint64_t page, unsigned level)
{
	return (unsigned)(page >> (level * PAGE_TREE_BITS)) & (BRANCHES - 1);
}

uint64_t *page_tree_word(struct page_tree *tree, uint64_t page, bool make)
{
	union node **at = (union node **)&tree->root;
	SIM_ASSERT(page >> (PAGE_TREE_LEVELS * PAGE_TREE_BITS) == 0);
	for (unsigned level = PAGE_TREE_LEVELS - 1;; level--) {
		if (!*at && !make)
			return NULL;
		if (!*at)
			*at = xcalloc(1, sizeof **at);
		if (level == 0)
			return &(*at)->word[place_of(page, 0)];
		at = &(*at)->branch[place_of(page, level)];
	}
}

struct visiting {
	uint64_t first, end;
	page_tree_visitor *visit;
	void *context;
};

/* base: the first page of the node. */
static void visit_node(const struct visiting *visiting, union node *node, unsigned level, uint64_t base)
{
	uint64_t pages = 1ull << (level * PAGE_TREE_BITS);
	unsigned from = visiting->first > base ? (unsigned)((visiting->first - base) / pages) : 0;
	for (unsigned i = from; i < BRANCHES && base + i * pages < visiting->end; i++) {
		if (level > 0 && node->branch[i])
			visit_node(visiting, node->branch[i], level - 1, base + i * pages);
		else if (level == 0 && node->word[i])
			visiting->visit(visiting->context, base + i, &node->word[i]);
	}
}

void page_tree_visit(struct page_tree *tree, uint64_t first, uint64_t end, page_tree_visitor *visit, void *context)
{
	const struct visiting visiting = {first, end, visit, context};
	if (tree->root && first < end)
		visit_node(&visiting, tree->root, PAGE_TREE_LEVELS - 1, 0);
}

static void release_node(union node *node, unsigned level)
{
	for (unsigned i = 0; level > 0 && i < BRANCHES; i++)
		if (node->branch[i])
			release_node(node->branch[i], level - 1);
	free(node);
}

void page_tree_release(struct page_tree *tree)
{
	if (tree->root)
		release_node(tree->root, PAGE_TREE_LEVELS - 1);
	tree->root = NULL;
}
