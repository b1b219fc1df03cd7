/* SPDX-License-Identifier: MIT
 *
 * ideal_space.c - (interface and laws: ideal_space.h)
 */
#include "models/user_memory/ideal_space.h"

#include "models/user_memory/rules.h"

#include <stdlib.h>
#include <string.h>

/* A page of an address space that was touched; its word in the space's tree points to it. */
struct page {
	struct frame_user user; /* first; of ZERO all 0: it has no frame */
	struct space *space;
	uint64_t number; /* linear address >> PAGE_SHIFT */
	uint64_t *word;
	enum content content;
	bool used, dirty;
};

/* What something happens to: a space, in it a page and its area, on a CPU. */
struct place {
	struct spaces *spaces;
	struct space *space;
	const struct area *area;
	uint64_t number;
	unsigned cpu;
};

/* ---- pages ---- */

static struct page *page_of(uint64_t word)
{
	return (struct page *)(uintptr_t)word;
}

static struct page *page_of_user(const struct frame_user *user)
{
	return (struct page *)(uintptr_t)user;
}

/* NULL: it is not there. */
static struct page *page_at(const struct place *place)
{
	const uint64_t *word = page_tree_word(&place->space->pages, place->number, false);
	return word ? page_of(*word) : NULL;
}

static void page_make(const struct place *place, enum content content, pfn frame)
{
	struct spaces *spaces = place->spaces;
	const struct file_pages *files = spaces->files;
	struct page *page = xcalloc(1, sizeof *page);
	*page = (struct page){.space = place->space, .number = place->number, .content = content};
	page->word = page_tree_word(&place->space->pages, place->number, true);
	SIM_ASSERT(*page->word == 0);
	*page->word = (uintptr_t)page;
	place->space->mapped[content]++;
	spaces->mapped[content]++;
	if (content == ZERO)
		return;
	frame_users_add(&spaces->users, &page->user, frame);
	if (content == OF_FILE && files->mapped && frame_users_count(&spaces->users, frame) == 1)
		files->mapped(files->context, frame);
}

/* The last page with the frame, a copy, is gone: a private one's frame goes too. */
static void leave_frame(struct spaces *spaces, const struct page *gone, unsigned cpu)
{
	const struct file_pages *files = spaces->files;
	if (gone->content == OF_FILE && files->unmapped)
		files->unmapped(files->context, gone->user.frame, gone->dirty);
	if (gone->content != PRIVATE)
		return;
	spaces->private_pages--;
	enum page_free_result result = page_free(spaces->pages, gone->user.frame, 0, cpu);
	SIM_ASSERT(result == PAGE_FREE_OK);
}

static void page_drop(struct spaces *spaces, struct page *page, unsigned cpu)
{
	const struct file_pages *files = spaces->files;
	const struct page gone = *page;
	*page->word = 0;
	page->space->mapped[page->content]--;
	spaces->mapped[page->content]--;
	if (page->content != ZERO)
		frame_users_remove(&spaces->users, &page->user);
	free(page);
	if (gone.content == OF_FILE && files->used)
		files->used(files->context, gone.user.frame, gone.used, gone.dirty, cpu);
	if (gone.content != ZERO && frame_users_count(&spaces->users, gone.user.frame) == 0)
		leave_frame(spaces, &gone, cpu);
}

/* ---- areas ---- */

/* An area that comes (sign 1) or goes (-1) shows pages of shared memory; what nobody shows any more is given back. */
static void show_shared(struct spaces *spaces, const struct area *area, int sign, unsigned cpu)
{
	if (area->kind != USER_SHARED)
		return;
	uint64_t *shown = &spaces->shared_shown[area->number];
	*shown += (area->end - area->first) * (uint64_t)sign;
	if (*shown == 0)
		page_store_drop(&spaces->shared, area->number, cpu);
}

static uint32_t new_shared(struct spaces *spaces)
{
	spaces->shared_shown = xrealloc(spaces->shared_shown, (spaces->shared_count + 1) * sizeof *spaces->shared_shown);
	spaces->shared_shown[spaces->shared_count] = 0;
	return spaces->shared_count++;
}

enum user_result space_map(struct spaces *spaces, struct space *space, const struct user_area_request *request, unsigned cpu)
{
	const struct file_pages *files = spaces->files;
	uint64_t first = request->start >> PAGE_SHIFT, end = first + request->pages;
	if (!user_range_is_valid(spaces->user_end, request->start, request->pages) ||
	    !area_set_is_free(&space->areas, first, end))
		return USER_BAD_RANGE;
	if (user_area_is_too_much(request, spaces->pages->managed_pages))
		return USER_NO_MEMORY;
	struct area area = {.first = first,
	                    .end = end,
	                    .kind = request->kind,
	                    .rights = request->rights,
	                    .number = request->file,
	                    .first_page = request->first_page};
	if (area.kind == USER_SHARED) {
		area.number = new_shared(spaces);
		area.first_page = 0;
	}
	area_set_add(&space->areas, &area);
	show_shared(spaces, &area, 1, cpu);
	if (user_area_has_file(area.kind) && files->shown)
		files->shown(files->context, request->file, request->first_page + request->pages);
	return USER_OK;
}

static void drop_visited(void *context, uint64_t number, uint64_t *word)
{
	const struct place *place = context;
	(void)number;
	page_drop(place->spaces, page_of(*word), place->cpu);
}

static void area_gone(void *context, const struct area *area)
{
	const struct place *place = context;
	show_shared(place->spaces, area, -1, place->cpu);
}

void space_unmap(struct spaces *spaces, struct space *space, uint64_t first, uint64_t end, unsigned cpu)
{
	struct place place = {.spaces = spaces, .space = space, .cpu = cpu};
	page_tree_visit(&space->pages, first, end, drop_visited, &place);
	area_set_cut(&space->areas, first, end, area_gone, &place);
}

void space_forget(struct spaces *spaces, struct space *space, uint64_t first, uint64_t end, unsigned cpu)
{
	struct place place = {.spaces = spaces, .space = space, .cpu = cpu};
	page_tree_visit(&space->pages, first, end, drop_visited, &place);
}

struct parts {
	struct area *at; /* owned */
	uint32_t count;
};

static void keep_part(void *context, const struct area *area)
{
	struct parts *parts = context;
	parts->at = xrealloc(parts->at, (parts->count + 1) * sizeof *parts->at);
	parts->at[parts->count++] = *area;
}

void space_protect(struct space *space, uint64_t first, uint64_t end, unsigned rights)
{
	struct parts parts = {0};
	area_set_cut(&space->areas, first, end, keep_part, &parts);
	for (uint32_t i = 0; i < parts.count; i++) {
		parts.at[i].rights = rights;
		area_set_add(&space->areas, &parts.at[i]);
	}
	free(parts.at);
}

/* ---- mremap ---- */

struct moving {
	struct space *space;
	uint64_t by; /* pages, added with wrap-around */
};

static void move_page(void *context, uint64_t number, uint64_t *word)
{
	const struct moving *moving = context;
	struct page *page = page_of(*word);
	*word = 0;
	page->number = number + moving->by;
	page->word = page_tree_word(&moving->space->pages, page->number, true);
	SIM_ASSERT(*page->word == 0);
	*page->word = (uintptr_t)page;
}

/* What lies in [first, end), which is of one area, goes to `to` with its pages, and has `pages` pages there. */
static void move_area(struct space *space, uint64_t first, uint64_t end, uint64_t to, uint64_t pages)
{
	struct parts parts = {0};
	struct moving moving = {space, to - first};
	area_set_cut(&space->areas, first, end, keep_part, &parts);
	SIM_ASSERT(parts.count == 1);
	struct area area = parts.at[0];
	area.first = to;
	area.end = to + pages;
	area.kind = user_kind_when_moved(area.kind);
	area_set_add(&space->areas, &area);
	page_tree_visit(&space->pages, first, end, move_page, &moving);
	free(parts.at);
}

static enum user_result move_or_grow(struct spaces *spaces, struct space *space, uint64_t first, uint64_t end, uint64_t to,
                                     uint64_t pages)
{
	const struct area *area = area_set_find(&space->areas, first);
	const struct file_pages *files = spaces->files;
	uint64_t more = pages - (end - first);
	if (!area || end > area->end)
		return USER_NO_AREA;
	if (more && area->kind == USER_SHARED)
		return USER_BAD_RANGE;
	const struct user_area_request growth = {.pages = more, .kind = area->kind, .rights = area->rights};
	if (user_area_is_too_much(&growth, spaces->pages->managed_pages))
		return USER_NO_MEMORY;
	if (user_area_has_file(area->kind) && files->shown)
		files->shown(files->context, area->number, area->first_page + (first - area->first) + pages);
	if (to != first) {
		move_area(space, first, end, to, pages);
		return USER_OK;
	}
	if (end < area->end || !area_set_is_free(&space->areas, end, end + more))
		return USER_BAD_RANGE;
	area_set_grow(&space->areas, first, more);
	return USER_OK;
}

enum user_result space_remap(struct spaces *spaces, struct space *space, const struct user_remap *remap, unsigned cpu)
{
	uint64_t first = remap->start >> PAGE_SHIFT, to = remap->to >> PAGE_SHIFT, end = first + remap->pages;
	if (!area_set_find(&space->areas, first))
		return USER_NO_AREA;
	if (to != first)
		space_unmap(spaces, space, to, to + remap->new_pages, cpu);
	if (remap->new_pages < remap->pages) {
		space_unmap(spaces, space, first + remap->new_pages, end, cpu);
		end = first + remap->new_pages;
	}
	if (to == first && remap->new_pages <= remap->pages)
		return USER_OK;
	return move_or_grow(spaces, space, first, end, to, remap->new_pages);
}

/* ---- touches ---- */

/* A new private page in place of what is there, which what made room for it may have changed. */
static bool take_private(const struct place *place)
{
	struct spaces *spaces = place->spaces;
	pfn frame = page_alloc(spaces->pages, 0, GFP_HIGHUSER_MOVABLE, place->cpu);
	if (frame.nr == UINT32_MAX)
		return false;
	SIM_ASSERT(frame_users_count(&spaces->users, frame) == 0);
	if (page_at(place))
		page_drop(spaces, page_at(place), place->cpu);
	spaces->private_pages++;
	page_make(place, PRIVATE, frame);
	return true;
}

/* The frame of what the area shows here: of shared memory, or of a file, from its cache or read in. PFN_NONE: no memory. */
static pfn shown_frame(const struct place *place)
{
	struct spaces *spaces = place->spaces;
	const struct file_pages *files = spaces->files;
	bool is_shared = place->area->kind == USER_SHARED, again; /* nobody holds mmap_lock */
	uint32_t number = place->area->number;
	uint64_t index = place->area->first_page + (place->number - place->area->first);
	pfn frame;
	if (!is_shared && files->find) {
		frame = files->find(files->context, number, index, FILE_NORMAL, place->cpu, &again);
		return frame.nr != UINT32_MAX ? frame
		                              : files->read(files->context, number, index, FILE_NORMAL, place->cpu, &again);
	}
	struct page_store *store = is_shared ? &spaces->shared : &spaces->own_files;
	frame = page_store_find(store, number, index);
	return frame.nr != UINT32_MAX ? frame : page_store_make(store, number, index, place->cpu);
}

/* The page is what its area shows; a write to a private file takes a copy. */
static bool take_shown(const struct place *place, bool write)
{
	const struct file_pages *files = place->spaces->files;
	bool is_shared = place->area->kind == USER_SHARED, taken = true;
	pfn frame = shown_frame(place);
	if (frame.nr == UINT32_MAX)
		return false;
	if (write && place->area->kind == USER_FILE_PRIVATE)
		taken = take_private(place);
	else
		page_make(place, is_shared ? SHARED : OF_FILE, frame);
	if (!is_shared && files->put)
		files->put(files->context, frame, place->cpu);
	return taken;
}

/* Whether a write needs a frame of its own. */
static bool is_others(const struct place *place, const struct page *page)
{
	return page->content == ZERO ||
	       (page->content == PRIVATE && frame_users_count(&place->spaces->users, page->user.frame) > 1) ||
	       (page->content == OF_FILE && place->area->kind == USER_FILE_PRIVATE);
}

/* Makes the page, NULL where none is, what the access needs. */
static enum touched prepare(const struct place *place, const struct page *page, bool write)
{
	if (page && !(write && is_others(place, page)))
		return TOUCH_FOUND;
	if (!page && place->area->kind == USER_SHARED)
		return take_shown(place, write) ? TOUCH_SHARED : TOUCH_NO_MEMORY;
	if (!page && user_area_has_file(place->area->kind))
		return take_shown(place, write) ? TOUCH_FILE : TOUCH_NO_MEMORY;
	if (!write) {
		page_make(place, ZERO, pfn_of(0));
		return TOUCH_ZERO;
	}
	enum touched done = page && page->content != ZERO ? TOUCH_COPIED : TOUCH_TOOK;
	return take_private(place) ? done : TOUCH_NO_MEMORY;
}

static enum touched touch(const struct place *place, const struct page *page, enum access_kind kind)
{
	if (!place->area)
		return TOUCH_NO_AREA;
	return user_rights_allow(place->area->rights, kind) ? prepare(place, page, kind == ACCESS_STORE) : TOUCH_NO_RIGHT;
}

enum user_result space_touch(struct spaces *spaces, struct space *space, uint64_t number, enum access_kind kind, unsigned cpu,
                             pfn *frame)
{
	static const enum user_result failures[TOUCHES] = {
	        [TOUCH_NO_MEMORY] = USER_NO_MEMORY, [TOUCH_NO_AREA] = USER_NO_AREA, [TOUCH_NO_RIGHT] = USER_NO_RIGHT};
	const struct place place = {spaces, space, area_set_find(&space->areas, number), number, cpu};
	struct page *page = place.area ? page_at(&place) : NULL; /* the tree ends where users' addresses do */
	enum touched done = touch(&place, page, kind);
	spaces->touched_pages++;
	spaces->touches[done]++;
	if (failures[done] != USER_OK)
		return failures[done];
	if (done != TOUCH_FOUND)
		page = page_at(&place);
	page->used = true;
	page->dirty |= kind == ACCESS_STORE;
	*frame = page->user.frame;
	return USER_OK;
}

/* ---- address spaces ---- */

static struct space *space_make(struct spaces *spaces, unsigned cpu)
{
	struct space *space = xcalloc(1, sizeof *space);
	*space = (struct space){.sharers = 1, .last_cpu = cpu, .next = spaces->first, .link = &spaces->first};
	if (space->next)
		space->next->link = &space->next;
	return spaces->first = space;
}

void space_leave(struct spaces *spaces, struct space *space, unsigned cpu)
{
	if (--space->sharers > 0)
		return;
	space_unmap(spaces, space, 0, spaces->user_end >> PAGE_SHIFT, cpu);
	page_tree_release(&space->pages);
	area_set_release(&space->areas);
	*space->link = space->next;
	if (space->next)
		space->next->link = space->link;
	free(space);
}

struct space *space_of_program(struct spaces *spaces, unsigned cpu)
{
	struct space *space = space_make(spaces, cpu);
	const struct user_area_request stack = user_stack_request(spaces->user_end);
	uint64_t last = (stack.start >> PAGE_SHIFT) + stack.pages - 1;
	pfn frame;
	if (space_map(spaces, space, &stack, cpu) == USER_OK &&
	    space_touch(spaces, space, last, ACCESS_STORE, cpu, &frame) == USER_OK)
		return space;
	space_leave(spaces, space, cpu);
	return NULL;
}

/* What can be had again by a touch is not shared at once. */
static void fork_page(void *context, uint64_t number, uint64_t *word)
{
	struct place child = *(const struct place *)context;
	const struct page *page = page_of(*word);
	child.number = number;
	if (page->content == PRIVATE || page->content == ZERO)
		page_make(&child, page->content, page->user.frame);
}

struct space *space_fork(struct spaces *spaces, struct space *parent, unsigned cpu)
{
	struct place child = {.spaces = spaces, .space = space_make(spaces, cpu), .cpu = cpu};
	for (uint32_t i = 0; i < parent->areas.count; i++) {
		area_set_add(&child.space->areas, &parent->areas.at[i]);
		show_shared(spaces, &parent->areas.at[i], 1, cpu);
	}
	page_tree_visit(&parent->pages, 0, spaces->user_end >> PAGE_SHIFT, fork_page, &child);
	return child.space;
}

/* ---- frames ---- */

bool spaces_moved(struct spaces *spaces, pfn from, pfn to)
{
	bool stored = page_store_moved(&spaces->own_files, from, to) || page_store_moved(&spaces->shared, from, to);
	return frame_users_move(&spaces->users, from, to) || stored;
}

uint32_t spaces_referenced(struct spaces *spaces, pfn frame, bool *executable)
{
	uint32_t count = 0;
	*executable = false;
	for (const struct frame_user *user = spaces->users.of[frame.nr].first; user; user = user->next) {
		struct page *page = page_of_user(user);
		count += page->used;
		*executable |= page->used && area_set_find(&page->space->areas, page->number)->rights & USER_EXECUTE;
		page->used = false;
	}
	return count;
}

uint32_t spaces_unmap_page(struct spaces *spaces, pfn frame, bool *dirty, unsigned cpu)
{
	const struct frame_list *list = &spaces->users.of[frame.nr];
	uint32_t count = 0;
	*dirty = false;
	while (list->first && page_of_user(list->first)->content == OF_FILE) {
		struct page *page = page_of_user(list->first);
		/* Who takes it away knows what was done with it. */
		*dirty |= page->dirty;
		page->used = page->dirty = false;
		page_drop(spaces, page, cpu);
		count++;
	}
	return count;
}

/* ---- all of them ---- */

void spaces_init(struct spaces *spaces, struct page_allocator *pages, const struct file_pages *files, uint64_t user_end)
{
	*spaces = (struct spaces){.pages = pages, .files = files, .user_end = user_end};
	page_store_init(&spaces->own_files, pages);
	page_store_init(&spaces->shared, pages);
	frame_users_init(&spaces->users, pages->end_pfn);
}

void spaces_release(struct spaces *spaces)
{
	SIM_ASSERT(!spaces->first);
	page_store_release(&spaces->own_files);
	page_store_release(&spaces->shared);
	frame_users_release(&spaces->users);
	free(spaces->shared_shown);
}

struct recount {
	const struct space *space;
	uint64_t mapped[CONTENTS];
};

static void recount_page(void *context, uint64_t number, uint64_t *word)
{
	struct recount *recount = context;
	const struct page *page = page_of(*word);
	SIM_ASSERT(page->space == recount->space && page->number == number && page->word == word);
	SIM_ASSERT(area_set_find(&recount->space->areas, number));
	recount->mapped[page->content]++;
}

/* Every page in a list is in a tree: where there are as many of both, every page in a tree is in a list. */
static void check_frames(const struct spaces *spaces)
{
	uint64_t pages = 0, private_pages = 0;
	for (uint32_t nr = 0; nr < spaces->users.end_pfn; nr++) {
		const struct frame_list *list = &spaces->users.of[nr];
		uint32_t count = 0;
		for (const struct frame_user *user = list->first; user; user = user->next, count++) {
			SIM_ASSERT(page_of(*page_of_user(user)->word) == page_of_user(user) && *user->link == user);
			SIM_ASSERT(user->frame.nr == nr && page_of_user(user)->content == page_of_user(list->first)->content);
		}
		SIM_ASSERT(count == list->count);
		pages += count;
		private_pages += count > 0 && page_of_user(list->first)->content == PRIVATE;
	}
	SIM_ASSERT(private_pages == spaces->private_pages);
	SIM_ASSERT(pages == spaces->mapped[PRIVATE] + spaces->mapped[OF_FILE] + spaces->mapped[SHARED]);
}

void spaces_check(const struct spaces *spaces)
{
	uint64_t mapped[CONTENTS] = {0}, touches = 0;
	for (struct space *space = spaces->first; space; space = space->next) {
		struct recount recount = {.space = space};
		area_set_check(&space->areas);
		page_tree_visit(&space->pages, 0, spaces->user_end >> PAGE_SHIFT, recount_page, &recount);
		SIM_ASSERT(memcmp(recount.mapped, space->mapped, sizeof recount.mapped) == 0);
		for (unsigned content = 0; content < CONTENTS; content++)
			mapped[content] += recount.mapped[content];
	}
	SIM_ASSERT(memcmp(mapped, spaces->mapped, sizeof mapped) == 0);
	for (unsigned done = 0; done < TOUCHES; done++)
		touches += spaces->touches[done];
	SIM_ASSERT(touches == spaces->touched_pages);
	check_frames(spaces);
}
