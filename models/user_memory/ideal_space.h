/* SPDX-License-Identifier: MIT
 *
 * ideal_space.h - address spaces of the model `ideal`: areas, and the pages that touches bring, for nothing but their frames.
 *
 * A page comes with its first touch, at once: a write to private memory takes a frame, a read of what nobody wrote takes none
 * (all share the zero page), pages of files come from their cache, and after a fork private pages are shared until one of their
 * users writes. Pages stand in a tree of the host (page_tree.h), those with one frame in a list (frame_users.h).
 *
 * Laws (spaces_check): a frame's list is the pages that have it, all of one content; a space's counts are the pages found in it,
 * and all spaces' counts together those of struct spaces; every page lies in an area; touched pages = what touches found or did.
 */
#ifndef MODELS_USER_MEMORY_IDEAL_SPACE_H
#define MODELS_USER_MEMORY_IDEAL_SPACE_H

#include "models/user_memory/area_set.h"
#include "models/user_memory/frame_users.h"
#include "models/user_memory/page_store.h"
#include "models/user_memory/page_tree.h"

/* What a page is. */
enum content { ZERO, PRIVATE, OF_FILE, SHARED, CONTENTS };

/* What a touch of a page found or did. */
enum touched {
	TOUCH_FOUND,
	TOUCH_TOOK,   /* a frame */
	TOUCH_ZERO,   /* a read of what nobody wrote */
	TOUCH_COPIED, /* a write that took a frame in place of one that others use */
	TOUCH_FILE,
	TOUCH_SHARED,
	TOUCH_NO_MEMORY,
	TOUCH_NO_AREA,
	TOUCH_NO_RIGHT,
	TOUCHES
};

struct space {
	struct area_set areas;
	struct page_tree pages;
	uint64_t mapped[CONTENTS]; /* pages by what they are */
	uint32_t sharers, last_cpu;
	struct space *next, **link; /* the list of all */
};

/* All address spaces, and what they have in common. */
struct spaces {
	struct page_allocator *pages;
	const struct file_pages *files; /* the port's */
	uint64_t user_end;              /* linear address */
	struct space *first;
	struct frame_users users;
	uint64_t mapped[CONTENTS];   /* of all spaces */
	uint64_t private_pages;      /* frames */
	uint64_t touched_pages;      /* = the sum of the next */
	uint64_t touches[TOUCHES];   /* of pages, by what they found or did */
	struct page_store own_files; /* pages of files, where nobody else keeps them */
	struct page_store shared;    /* memory of areas of USER_SHARED, */
	uint64_t *shared_shown;      /* by its number: pages of areas that show it; owned */
	uint32_t shared_count;
};

void spaces_init(struct spaces *spaces, struct page_allocator *pages, const struct file_pages *files, uint64_t user_end);
/* No space may be left. */
void spaces_release(struct spaces *spaces);
void spaces_check(const struct spaces *spaces);

/* A new program's: its stack, and in it a page with the arguments. NULL: no memory. */
struct space *space_of_program(struct spaces *spaces, unsigned cpu);
struct space *space_fork(struct spaces *spaces, struct space *parent, unsigned cpu);
/* One sharer less; with the last one the space goes. */
void space_leave(struct spaces *spaces, struct space *space, unsigned cpu);

enum user_result space_map(struct spaces *spaces, struct space *space, const struct user_area_request *request, unsigned cpu);
/* Pages by number, linear address >> PAGE_SHIFT; the range is a user's. */
void space_unmap(struct spaces *spaces, struct space *space, uint64_t first, uint64_t end, unsigned cpu);
/* What lies in the range has these rights. */
void space_protect(struct space *space, uint64_t first, uint64_t end, unsigned rights);
/* mremap(), as the port says, of a valid request. */
enum user_result space_remap(struct spaces *spaces, struct space *space, const struct user_remap *remap, unsigned cpu);
/* The pages go, the areas stay (MADV_DONTNEED). */
void space_forget(struct spaces *spaces, struct space *space, uint64_t first, uint64_t end, unsigned cpu);

/* *frame: what is accessed; the zero page's is 0. Set with USER_OK. */
enum user_result space_touch(struct spaces *spaces, struct space *space, uint64_t number, enum access_kind kind, unsigned cpu,
                             pfn *frame);

/* A frame that the page allocator moved; false: nobody has it. */
bool spaces_moved(struct spaces *spaces, pfn from, pfn to);
/* As ops.referenced and ops.unmap_page of the port say. */
uint32_t spaces_referenced(struct spaces *spaces, pfn frame, bool *executable);
uint32_t spaces_unmap_page(struct spaces *spaces, pfn frame, bool *dirty, unsigned cpu);

#endif
