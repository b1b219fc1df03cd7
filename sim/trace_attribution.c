/* SPDX-License-Identifier: MIT
 *
 * trace_attribution.c - events of objects, and where events go (interface and data: trace_attribution.h).
 */
#include "sim/trace_attribution.h"

#include "sim/port/object_allocator.h"

#include <stdlib.h>

#define WINDOW_OPS (2 * KMT_PIECE_OPS)

/* MODEL: the size taken for a kfree()d object of unknown size: a middling kmalloc size; only older or unseen objects have it. */
#define GUESSED_BYTES 64u

void attribution_init(struct attribution *self, struct trace_summary *summary, struct string_table *strings,
                      struct string_table *names, struct kmt_writer *writer)
{
	*self = (struct attribution){
	        .summary = summary, .strings = strings, .names = names, .writer = writer, .free_slab = TABLE_NONE};
	self->window = xcalloc(WINDOW_OPS, sizeof *self->window);
	row_table_init(&self->profiles, sizeof(struct profile_row), PROFILE_KEY_BYTES);
	row_table_init(&self->groups, sizeof(struct group), offsetof(struct group, name));
	number_map_init(&self->live, sizeof(struct live_object));
	number_map_init(&self->blocks, sizeof(struct page_block));
	number_map_init(&self->frames, sizeof(struct frame));
	number_map_init(&self->pages_seen, sizeof(struct seen_pages));
	processes_init(&self->processes);
}

void attribution_release(struct attribution *self)
{
	free(self->window);
	free(self->late);
	free(self->prologue);
	free(self->free_ids);
	free(self->seen_bits);
	free(self->slabs);
	row_table_release(&self->profiles);
	row_table_release(&self->groups);
	number_map_release(&self->live);
	number_map_release(&self->blocks);
	number_map_release(&self->frames);
	number_map_release(&self->pages_seen);
	processes_release(&self->processes);
}

static uint32_t group_root(struct attribution *self, uint32_t index)
{
	struct group *group = attribution_group(self, index);
	while (group->parent != index) {
		index = group->parent;
		struct group *parent = attribution_group(self, index);
		group->parent = parent->parent;
		group = parent;
	}
	return index;
}

static uint32_t group_index(struct attribution *self, uint32_t call_site, uint32_t bytes_req, uint32_t bytes_alloc)
{
	struct group row = {call_site, bytes_req, bytes_alloc, TABLE_NONE, 0, 0};
	uint32_t count = self->groups.count;
	uint32_t index = row_table_index(&self->groups, &row);
	if (index == count)
		attribution_group(self, index)->parent = index;
	return index;
}

/* Objects of one slab are of one cache, if their sizes agree too. Not in SLOB, whose pages all caches share. */
static void join_groups(struct attribution *self, uint32_t first, uint32_t second)
{
	const struct group *a = attribution_group(self, first), *b = attribution_group(self, second);
	if (first == second || a->bytes_req != b->bytes_req || a->bytes_alloc != b->bytes_alloc)
		return;
	uint32_t root_a = group_root(self, first), root_b = group_root(self, second);
	if (root_a < root_b)
		attribution_group(self, root_b)->parent = root_a;
	else
		attribution_group(self, root_a)->parent = root_b;
}

static bool slabs_tell_caches(const struct attribution *self)
{
	return self->machine.allocator != RECORDED_SLOB;
}

/*
 * What the slab says of the cache of an object that a group allocates in it. Gives the cache's name where it is known not to be
 * the group's, else TABLE_NONE.
 */
static uint32_t learn_from_slab(struct attribution *self, struct slab *slab, uint32_t group)
{
	if (!slabs_tell_caches(self))
		return TABLE_NONE;
	uint32_t before = slab->group;
	slab->group = group;
	if (before != TABLE_NONE && before != group) {
		const struct group *a = attribution_group(self, before), *b = attribution_group(self, group);
		/* Another size: the slab's pages came and went unseen, and what is known of it is of another slab. */
		if (a->bytes_req != b->bytes_req || a->bytes_alloc != b->bytes_alloc)
			slab->name = TABLE_NONE;
	}
	if (slab->name == TABLE_NONE) {
		if (before != TABLE_NONE)
			join_groups(self, before, group);
		return TABLE_NONE;
	}
	if (attribution_group(self, group)->name == TABLE_NONE)
		attribution_group(self, group)->name = slab->name;
	return attribution_group(self, group)->name == slab->name ? TABLE_NONE : slab->name;
}

static void release_object(struct attribution *self, const struct attribution_event *event, struct live_object *object)
{
	window_push(self, event, object->id, KMT_FREE, 0);
	window_release_id(self, object->id);
	number_map_remove(&self->live, object, sizeof *object);
}

void attribution_lost_object(struct attribution *self, const struct attribution_event *event, uint64_t address)
{
	struct live_object *object = number_map_find(&self->live, address, sizeof *object);
	if (!object)
		return;
	release_object(self, event, object);
	self->summary->unseen_frees++;
}

static void object_alloc(struct attribution *self, const struct attribution_event *event)
{
	bool cache = event->kind == TEXT_CACHE_ALLOC;
	struct live_object *object = number_map_find(&self->live, event->ptr, sizeof *object);
	if (object) {
		release_object(self, event, object);
		self->summary->reallocated++;
	}
	frames_neighbour(self, event, true);
	struct profile_row row = {.what = cache ? OP_CACHE_ALLOC : OP_KMALLOC,
	                          .call_site = event->call_site,
	                          .gfp = event->gfp,
	                          .bytes_req = event->bytes_req,
	                          .bytes_alloc = event->bytes_alloc,
	                          .group = TABLE_NONE,
	                          .name = TABLE_NONE};
	if (cache)
		row.group = group_index(self, event->call_site, event->bytes_req, event->bytes_alloc);
	struct slab *slab = frames_object(self, event, true, row.group);
	if (cache)
		row.name = learn_from_slab(self, slab, row.group);
	else
		slab->bytes_alloc = event->bytes_alloc;
	frames_see_object(self, event->ptr);
	uint32_t profile = window_profile(self, &row);
	uint32_t id = window_new_id(self);
	uint64_t op = window_push(self, event, id, profile, event->ptr);
	object = number_map_add(&self->live, event->ptr, sizeof *object);
	object->op = op;
	object->id = id;
	object->profile = profile;
	self->summary->events_used++;
}

/* A free named the cache whose slab this is; so it names the group that allocated there last, if nothing did yet. */
static void name_slab(struct attribution *self, struct slab *slab, uint32_t name)
{
	if (!slabs_tell_caches(self) || slab->freed)
		return;
	slab->name = name;
	if (slab->group != TABLE_NONE && attribution_group(self, slab->group)->name == TABLE_NONE)
		attribution_group(self, slab->group)->name = name;
}

/* A free names the cache of its object: what that says of the object's group, and of the slab. */
static void learn_from_name(struct attribution *self, const struct live_object *object, struct slab *slab, uint32_t name)
{
	const struct profile_row *profile = attribution_profile(self, object->profile);
	uint32_t index = profile->group;
	name_slab(self, slab, name);
	if ((profile->what & 0xff) != OP_CACHE_ALLOC || profile->name == name)
		return;
	struct group *group = attribution_group(self, index);
	if (group->name == TABLE_NONE)
		group->name = name;
	if (group->name != name || profile->name != TABLE_NONE)
		window_rename(self, object->op, object->profile, name);
}

/* What an object was that only its free shows. */
static struct profile_row unknown_object(struct attribution *self, const struct attribution_event *event, const struct slab *slab)
{
	struct profile_row row = {.gfp = GFP_KERNEL, .group = TABLE_NONE, .name = TABLE_NONE};
	bool evidence = slabs_tell_caches(self) && !slab->freed;
	bool cache = event->kind == TEXT_CACHE_FREE || (evidence && slab->group != TABLE_NONE);
	row.what = cache ? OP_CACHE_ALLOC : OP_KMALLOC;
	if (!cache) {
		row.bytes_req = evidence && slab->bytes_alloc != 0 ? slab->bytes_alloc : GUESSED_BYTES;
		row.bytes_alloc = row.bytes_req == slab->bytes_alloc ? slab->bytes_alloc : 0;
		self->summary->guessed_sizes += row.bytes_alloc == 0;
		return row;
	}
	row.name = event->name;
	if (evidence && slab->group != TABLE_NONE) {
		row.group = slab->group;
		row.bytes_req = attribution_group(self, slab->group)->bytes_req;
		row.bytes_alloc = attribution_group(self, slab->group)->bytes_alloc;
		if (row.name == TABLE_NONE)
			row.name = slab->name;
	}
	/* Without a name or a neighbour, where it is freed is all there is to tell its cache by. */
	if (row.group == TABLE_NONE)
		row.group = group_index(self, event->call_site, 0, 0);
	return row;
}

static void free_unknown_object(struct attribution *self, const struct attribution_event *event, struct slab *slab)
{
	bool unseen = frames_see_object(self, event->ptr) || slab->recorded;
	struct profile_row row = unknown_object(self, event, slab);
	row.what |= (uint32_t)(unseen ? OP_UNSEEN : OP_BEFORE) << 16;
	if (event->name != TABLE_NONE)
		name_slab(self, slab, event->name);
	uint32_t profile = window_profile(self, &row);
	uint32_t id = unseen ? window_new_id(self) : window_fresh_id(self);
	if (unseen) {
		self->summary->unseen_allocs++;
		window_push(self, event, id, profile, event->ptr);
	} else {
		self->summary->freed_before_recording++;
		window_push_before(self, event, id, profile, event->ptr);
	}
	window_push(self, event, id, KMT_FREE, 0);
	window_release_id(self, id);
	self->summary->events_used++;
}

static void object_free(struct attribution *self, const struct attribution_event *event)
{
	frames_neighbour(self, event, false);
	struct slab *slab = frames_object(self, event, false, TABLE_NONE);
	struct live_object *object = number_map_find(&self->live, event->ptr, sizeof *object);
	if (!object) {
		free_unknown_object(self, event, slab);
		return;
	}
	if (event->name != TABLE_NONE)
		learn_from_name(self, object, slab, event->name);
	release_object(self, event, object);
	self->summary->events_used++;
}

static void leave_out(struct attribution *self, uint64_t *reason)
{
	self->summary->events_left_out++;
	(*reason)++;
}

/*
 * mm_page_free_batched stands for the same free as an mm_page_free of the same page: of one before it since 4.15, of the next one
 * in older kernels. If only the batched events were recorded, they are the frees.
 */
static void page_free_batched_event(struct attribution *self, const struct attribution_event *event)
{
	if (self->machine.page_frees_seen) {
		leave_out(self, &self->summary->left_batched_duplicates);
		return;
	}
	self->last_batched = event->pfn + 1;
	frames_page_free(self, event);
}

static void page_free_event(struct attribution *self, const struct attribution_event *event)
{
	self->machine.page_frees_seen = true;
	if (self->last_batched == event->pfn + 1 && event->order == 0) {
		self->last_batched = 0;
		leave_out(self, &self->summary->left_batched_duplicates);
		return;
	}
	frames_page_free(self, event);
}

static void mark(struct attribution *self, const struct attribution_event *event)
{
	struct profile_row row = {.what = OP_MARK, .call_site = event->call_site, .group = TABLE_NONE, .name = TABLE_NONE};
	window_push(self, event, 0, window_profile(self, &row), 0);
	self->summary->marks++;
}

static bool is_object_event(const struct attribution_event *event)
{
	return event->kind <= TEXT_CACHE_FREE;
}

/* Events of objects without an object: failed allocations and frees of nothing. true: the event is done with. */
static bool left_out_without_object(struct attribution *self, const struct attribution_event *event)
{
	bool allocates = event->kind == TEXT_KMALLOC || event->kind == TEXT_CACHE_ALLOC;
	if (event->ptr_state == POINTER_UNPRINTED) {
		leave_out(self, &self->summary->left_no_pointer);
		return true;
	}
	/* kmalloc(0) gives the address 16 (ZERO_SIZE_PTR), which kfree() ignores. */
	if (event->ptr_state == POINTER_VALUE && event->ptr > ZERO_SIZE_PTR.addr)
		return false;
	leave_out(self, allocates ? &self->summary->left_failed_allocs : &self->summary->left_null_frees);
	return true;
}

static void page_event(struct attribution *self, const struct attribution_event *event)
{
	if (event->kind == TEXT_PAGE_ALLOC) {
		frames_page_alloc(self, event);
		return;
	}
	frames_neighbour(self, event, false);
	if (event->kind == TEXT_PAGE_FREE)
		page_free_event(self, event);
	else
		page_free_batched_event(self, event);
}

static void memory_event(struct attribution *self, const struct attribution_event *event)
{
	if (event->kind == TEXT_MARK) {
		mark(self, event);
	} else if (is_object_event(event)) {
		if (left_out_without_object(self, event))
			return;
		if (event->kind == TEXT_KMALLOC || event->kind == TEXT_CACHE_ALLOC)
			object_alloc(self, event);
		else
			object_free(self, event);
	} else if (event->kind == TEXT_PAGE_ALLOC && !event->has_pfn) {
		leave_out(self, &self->summary->left_failed_allocs);
	} else {
		page_event(self, event);
	}
}

bool attribution_event(struct attribution *self, const struct attribution_event *event, struct error *error)
{
	if (!self->any_event)
		self->first_ns = self->last_ns = event->time_ns;
	self->any_event = true;
	self->summary->time_went_back += event->time_ns < self->previous_ns;
	self->previous_ns = event->time_ns;
	if (event->time_ns > self->last_ns)
		self->last_ns = event->time_ns;
	if (event->kind != TEXT_PAGE_FREE && event->kind != TEXT_PAGE_FREE_BATCHED)
		user_pages_flush(self);
	if (text_is_of_processes(event->kind))
		processes_event(self, event);
	else if (!processes_take(self, event))
		memory_event(self, event);
	if (self->error.kind == ERROR_NONE)
		return true;
	return error_set(error, self->error.kind, "%s", self->error.text);
}

bool attribution_finish(struct attribution *self, struct error *error)
{
	uint64_t blocks = self->blocks.count;
	SIM_ASSERT(blocks >= self->slab_blocks + self->process_blocks);
	self->summary->never_freed = self->live.count + blocks - self->slab_blocks - self->process_blocks;
	user_pages_flush(self);
	window_finish(self);
	if (self->error.kind == ERROR_NONE)
		return true;
	return error_set(error, self->error.kind, "%s", self->error.text);
}

void attribution_check(const struct attribution *self)
{
	uint64_t orders = 0, with_slab = 0, of_processes = 0, references = 0, counted = 0;
	for (unsigned order = 0; order < ORDERS; order++)
		orders += self->blocks_of_order[order];
	SIM_ASSERT(orders == self->blocks.count);
	for (size_t slot = 0; slot <= self->blocks.mask; slot++) {
		const struct page_block *block = (const void *)(self->blocks.entries + slot * sizeof *block);
		with_slab += block->key != 0 && block->slab != 0;
		of_processes += block->key != 0 && block->use != BLOCK_HAS_OP;
	}
	SIM_ASSERT(with_slab == self->slab_blocks && of_processes == self->process_blocks);
	for (size_t slot = 0; slot <= self->frames.mask; slot++) {
		const struct frame *frame = (const void *)(self->frames.entries + slot * sizeof *frame);
		references += frame->key != 0 && frame->slab != 0;
	}
	for (uint32_t index = 0; index < self->slab_count; index++)
		counted += self->slabs[index].references;
	SIM_ASSERT(references + with_slab == counted);
	uint64_t without_op = self->slab_blocks + self->process_blocks;
	SIM_ASSERT(self->live.count + self->blocks.count - without_op + self->processes.live + self->free_id_count == self->ids);
	processes_check(self);
}
