/* SPDX-License-Identifier: MIT
 *
 * replay_process.c - ops of processes as calls of the port (interface: replay_process.h).
 */
#include "sim/replay_process.h"

static struct process_op_done done_of(enum user_result result)
{
	static const char *const texts[] = {
	        [USER_OK] = NULL,
	        [USER_NO_MEMORY] = NULL,
	        [USER_NO_PROCESS] = "no process is live under its id",
	        [USER_BAD_RANGE] = "its range is empty, not the user's, or lies over an area that is there",
	        [USER_BAD_KIND] = "a part of its range is an area that this advice is not for",
	        [USER_HOLE] = "a part of its range is no area",
	        [USER_NO_AREA] = "it touches what is no area (a segmentation fault), or moves what is not of one",
	        [USER_NO_RIGHT] = "it touches an area against its rights: a segmentation fault"};
	if (result == USER_OK)
		return (struct process_op_done){.result = PROCESS_OP_DONE};
	if (result == USER_NO_MEMORY)
		return (struct process_op_done){.result = PROCESS_OP_NO_MEMORY};
	return (struct process_op_done){
	        .result = PROCESS_OP_WRONG, .what = texts[result], .is_of_areas = result != USER_NO_PROCESS};
}

static struct process_op_done made(process_id process)
{
	return (struct process_op_done){.result = process.nr == UINT32_MAX ? PROCESS_OP_NO_MEMORY : PROCESS_OP_DONE,
	                                .process = process};
}

static enum user_result map(struct user_memory *users, const struct op *op, process_id subject, unsigned cpu)
{
	const struct user_area_request request = {.start = op->address,
	                                          .pages = op->bytes_req,
	                                          .kind = (enum user_area_kind)op->order,
	                                          .rights = op->gfp & USER_RIGHTS,
	                                          .file = op->bytes_alloc,
	                                          .first_page = op->gfp >> PROCESS_MAP_PAGE_SHIFT};
	return user_map(users, subject, &request, cpu);
}

static enum user_result remap(struct user_memory *users, const struct op *op, process_id subject, unsigned cpu)
{
	const struct user_remap remap = {
	        .start = op->address, .pages = op->bytes_req, .to = op_remap_to(op), .new_pages = op->bytes_alloc};
	return user_remap(users, subject, &remap, cpu);
}

static enum user_result touch(struct user_memory *users, const struct op *op, process_id subject, unsigned cpu)
{
	static const enum access_kind kinds[] = {
	        [TOUCH_READ] = ACCESS_LOAD, [TOUCH_WRITE] = ACCESS_STORE, [TOUCH_EXECUTE] = ACCESS_CODE};
	const struct user_touch run = {
	        .address = op->address, .bytes = op->bytes_req, .stride = op->bytes_alloc, .kind = kinds[op->order]};
	return user_touch(users, subject, &run, cpu);
}

struct process_op_done process_op(struct user_memory *users, const struct op *op, process_id subject, unsigned cpu)
{
	switch (op->kind) {
	case OP_PROCESS_CREATE:
		return made(user_create(users, cpu));
	case OP_PROCESS_FORK:
		return made(user_fork(users, subject, op->order == FORK_THREAD, cpu));
	case OP_PROCESS_EXIT:
		user_exit(users, subject, cpu);
		return done_of(USER_OK);
	case OP_PROCESS_EXEC:
		return done_of(user_exec(users, subject, cpu));
	case OP_PROCESS_MAP:
		return done_of(map(users, op, subject, cpu));
	case OP_PROCESS_UNMAP:
		return done_of(user_unmap(users, subject, op->address, op->bytes_req, cpu));
	case OP_PROCESS_ADVISE:
		return done_of(user_advise(users, subject, op->address, op->bytes_req, (enum user_advice)op->order, cpu));
	case OP_PROCESS_PROTECT:
		return done_of(user_protect(users, subject, op->address, op->bytes_req, op->order, cpu));
	case OP_PROCESS_REMAP:
		return done_of(remap(users, op, subject, cpu));
	case OP_PROCESS_TOUCH:
		return done_of(touch(users, op, subject, cpu));
	case OP_PROCESS_SWITCH:
		user_switch(users, subject, cpu);
		return done_of(USER_OK);
	case OP_PROCESS_LEAVE:
		user_switch(users, PROCESS_NONE, cpu);
		return done_of(USER_OK);
	}
	SIM_UNREACHABLE("an op of a process");
}
