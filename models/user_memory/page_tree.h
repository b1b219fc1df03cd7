/* SPDX-License-Identifier: MIT
 *
 * page_tree.h - a word for each page of an address space, 0 where nothing was put: a tree of 512 branches over the 45 bits of
 * page numbers, on the host alone. The model `ideal` keeps its pages in it, in place of page tables.
 */
#ifndef MODELS_USER_MEMORY_PAGE_TREE_H
#define MODELS_USER_MEMORY_PAGE_TREE_H

#include "sim/base.h"

#define PAGE_TREE_BITS 9u
#define PAGE_TREE_LEVELS 5u

struct page_tree {
	void *root; /* owned; NULL: empty */
};

/* The page's word; with `make` it is there, else NULL where nothing was put near it. Stays until the tree is released. */
uint64_t *page_tree_word(struct page_tree *tree, uint64_t page, bool make);
/* Hands out each word that is not 0, of pages from `first` up to but without `end`, in ascending order. It may be changed. */
typedef void page_tree_visitor(void *context, uint64_t page, uint64_t *word);
void page_tree_visit(struct page_tree *tree, uint64_t first, uint64_t end, page_tree_visitor *visit, void *context);
void page_tree_release(struct page_tree *tree);

#endif
