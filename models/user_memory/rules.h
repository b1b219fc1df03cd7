/* SPDX-License-Identifier: MIT
 *
 * rules.h - what every model of the port user_memory decides alike: which ranges are a user's, how much an area may promise, and
 * which accesses an area's rights allow.
 */
#ifndef MODELS_USER_MEMORY_RULES_H
#define MODELS_USER_MEMORY_RULES_H

#include "sim/port/user_memory.h"

/* What one access of a touch reads or writes. */
#define ACCESS_BYTES 8u

static inline bool user_range_is_valid(uint64_t user_end, uint64_t start, uint64_t pages)
{
	return start % PAGE_SIZE == 0 && pages > 0 && start < user_end && pages <= (user_end - start) >> PAGE_SHIFT;
}

/* mremap(), mremap_to(): both ranges are the user's, and what moves does not move over itself. */
static inline bool user_remap_is_valid(uint64_t user_end, const struct user_remap *remap)
{
	if (!user_range_is_valid(user_end, remap->start, remap->pages) ||
	    !user_range_is_valid(user_end, remap->to, remap->new_pages))
		return false;
	return remap->to == remap->start || remap->to + (remap->new_pages << PAGE_SHIFT) <= remap->start ||
	       remap->start + (remap->pages << PAGE_SHIFT) <= remap->to;
}

/* What an area is once it lies where mremap() put it: no heap grows from there, no stack. */
static inline enum user_area_kind user_kind_when_moved(enum user_area_kind kind)
{
	return kind == USER_HEAP || kind == USER_STACK ? USER_ANONYMOUS : kind;
}

/* __vm_enough_memory(), OVERCOMMIT_GUESS: one area may not promise more pages than memory and swap have. */
static inline bool user_area_is_too_much(const struct user_area_request *request, uint64_t pages)
{
	bool accounted = request->kind == USER_SHARED || (request->rights & USER_WRITE && request->kind != USER_FILE_SHARED);
	return accounted && request->pages > pages;
}

/* access_error() of arch/x86/mm/fault.c: what may be written or executed only may be read too, as the processor knows no less. */
static inline bool user_rights_allow(unsigned rights, enum access_kind kind)
{
	unsigned needed = kind == ACCESS_STORE ? USER_WRITE : kind == ACCESS_CODE ? USER_EXECUTE : USER_RIGHTS;
	return rights & needed;
}

/* What create() and exec() begin with. */
static inline struct user_area_request user_stack_request(uint64_t user_end)
{
	return (struct user_area_request){.start = user_stack_end(user_end) - USER_STACK_BYTES,
	                                  .pages = USER_STACK_BYTES >> PAGE_SHIFT,
	                                  .kind = USER_STACK,
	                                  .rights = USER_READ | USER_WRITE};
}

/* The bytes of a touch's access at an address: up to the next page, and up to the touch's end. */
static inline uint32_t user_access_bytes(const struct user_touch *touch, uint64_t at)
{
	uint64_t page = PAGE_SIZE - at % PAGE_SIZE, run = touch->address + touch->bytes - at, least = page < run ? page : run;
	return (uint32_t)(least < ACCESS_BYTES ? least : ACCESS_BYTES);
}

/* The first address of a touch's accesses behind the page of the one at an address; it may be behind the touch. */
static inline uint64_t user_touch_next_page(const struct user_touch *touch, uint64_t at)
{
	uint64_t page_end = (at | (PAGE_SIZE - 1)) + 1;
	return at + (page_end - at + touch->stride - 1) / touch->stride * touch->stride;
}

#endif
