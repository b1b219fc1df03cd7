/* SPDX-License-Identifier: MIT
 *
 * frame_users.h - the pages of address spaces that have one frame: a list for each frame. On the host alone: the model `ideal`
 * finds in it what a kernel finds by its reverse map.
 */
#ifndef MODELS_USER_MEMORY_FRAME_USERS_H
#define MODELS_USER_MEMORY_FRAME_USERS_H

#include "sim/base.h"

/* A part of what stands for a page. */
struct frame_user {
	pfn frame;
	struct frame_user *next, **link;
};

struct frame_users {
	struct frame_list {
		struct frame_user *first; /* NULL: nobody has the frame */
		uint32_t count;
	} * of; /* by frame; owned */
	uint32_t end_pfn;
};

static inline void frame_users_init(struct frame_users *users, uint32_t end_pfn)
{
	*users = (struct frame_users){.of = lazy_alloc(end_pfn, sizeof *users->of), .end_pfn = end_pfn};
}

static inline void frame_users_release(struct frame_users *users)
{
	lazy_free(users->of, users->end_pfn, sizeof *users->of);
}

static inline uint32_t frame_users_count(const struct frame_users *users, pfn frame)
{
	return frame.nr < users->end_pfn ? users->of[frame.nr].count : 0;
}

static inline void frame_users_add(struct frame_users *users, struct frame_user *user, pfn frame)
{
	SIM_ASSERT(frame.nr < users->end_pfn);
	struct frame_list *list = &users->of[frame.nr];
	*user = (struct frame_user){.frame = frame, .next = list->first, .link = &list->first};
	if (user->next)
		user->next->link = &user->next;
	list->first = user;
	list->count++;
}

static inline void frame_users_remove(struct frame_users *users, struct frame_user *user)
{
	users->of[user->frame.nr].count--;
	*user->link = user->next;
	if (user->next)
		user->next->link = user->link;
}

/* What was in one frame is in another from now on, which nobody has. false: nobody had the first. */
static inline bool frame_users_move(struct frame_users *users, pfn from, pfn to)
{
	struct frame_list *old = &users->of[from.nr], *new = &users->of[to.nr];
	SIM_ASSERT(new->count == 0);
	if (old->count == 0)
		return false;
	*new = *old;
	*old = (struct frame_list){0};
	new->first->link = &new->first;
	for (struct frame_user *user = new->first; user; user = user->next)
		user->frame = to;
	return true;
}

#endif
