/* SPDX-License-Identifier: MIT
 *
 * trace_frames.c - which pages serve slabs, and which page frees have no allocation in the recording (interface:
 * trace_attribution.h; rules: docs/formats.md).
 *
 * A block of pages turns out to serve a slab when an object is handed out or freed in one of its frames while it is live. Its
 * allocation is taken back then, and its free makes no op. Slabs older than the recording have no block; they are known by the
 * objects seen in their frames. A slab's frames are remembered after its pages are freed: until 6.0 the event of an object's free
 * came after the free itself, so it may follow the free of its page.
 */
#include "sim/trace_attribution.h"

#include "sim/port/object_allocator.h"

/* A slab object begins at a multiple of this many bytes on x86-64 (ARCH_SLAB_MINALIGN). */
#define OBJECT_STEP_SHIFT 3
#define SEEN_PAGES_SHIFT 9

#define OUTSIDE_DIRECT_MAP (1ull << 63)

static uint64_t frame_key(const struct attribution *self, uint64_t address)
{
	uint64_t offset = address - self->machine.direct_map;
	if (self->machine.frames_known && address >= self->machine.direct_map && offset >> PAGE_SHIFT < UINT32_MAX)
		return (offset >> PAGE_SHIFT) + 1;
	/* Such an address still has a page of its own; no block of frames can be behind it. */
	return (address >> PAGE_SHIFT) | OUTSIDE_DIRECT_MAP;
}

static struct frame *find_frame(const struct attribution *self, uint64_t key)
{
	return number_map_find(&self->frames, key, sizeof(struct frame));
}

static struct page_block *find_block(const struct attribution *self, uint64_t first)
{
	return number_map_find(&self->blocks, first + 1, sizeof(struct page_block));
}

/* The live block that holds the frame, of at least order `from`. Blocks are aligned to their size, so each order has one
 * candidate. */
static struct page_block *block_covering(const struct attribution *self, uint64_t frame, unsigned from)
{
	for (unsigned order = from; order < ORDERS; order++) {
		if (self->blocks_of_order[order] == 0)
			continue;
		struct page_block *block = find_block(self, frame & ~((1ull << order) - 1));
		if (block && block->order == order)
			return block;
	}
	return NULL;
}

static uint32_t new_slab(struct attribution *self)
{
	uint32_t index = self->free_slab;
	if (index != TABLE_NONE) {
		self->free_slab = self->slabs[index].group;
	} else {
		if (self->slab_count == self->slab_room) {
			self->slab_room = 2 * self->slab_room + 256;
			self->slabs = xrealloc(self->slabs, self->slab_room * sizeof *self->slabs);
		}
		index = self->slab_count++;
	}
	self->slabs[index] = (struct slab){.name = TABLE_NONE, .group = TABLE_NONE};
	return index;
}

/* Drops one reference of the slab that *slab (index + 1) names. */
static void drop_slab(struct attribution *self, uint32_t *slab)
{
	if (*slab == 0)
		return;
	uint32_t index = *slab - 1;
	*slab = 0;
	SIM_ASSERT(self->slabs[index].references > 0);
	if (--self->slabs[index].references > 0)
		return;
	self->slabs[index].group = self->free_slab;
	self->free_slab = index;
}

static void set_slab(struct attribution *self, uint32_t *place, uint32_t index)
{
	self->slabs[index].references++;
	drop_slab(self, place);
	*place = index + 1;
}

/* Whether ops stand for the block's allocation and free. */
static bool has_ops(const struct page_block *block)
{
	return block->slab == 0 && block->use == BLOCK_HAS_OP;
}

static void remove_block(struct attribution *self, struct page_block *block)
{
	drop_slab(self, &block->slab);
	self->blocks_of_order[block->order]--;
	number_map_remove(&self->blocks, block, sizeof *block);
}

/* A block that was taken for a process's is a slab's after all. */
static void take_from_process(struct attribution *self, struct page_block *block)
{
	uint64_t *reason = block->use == BLOCK_USER_PAGE ? &self->summary->left_fault_pages : &self->summary->left_page_tables;
	(*reason)--;
	self->summary->left_slab_pages++;
	block->use = BLOCK_HAS_OP;
	self->process_blocks--;
}

/* The block is pages of a slab: its allocation makes no op. */
static void block_serves_slab(struct attribution *self, struct page_block *block)
{
	bool had_op = has_ops(block);
	if (had_op) {
		window_take_back(self, block->op, block->profile);
		window_release_id(self, block->id);
	} else {
		take_from_process(self, block);
	}
	set_slab(self, &block->slab, new_slab(self));
	self->slabs[block->slab - 1].recorded = true;
	self->slab_blocks++;
	self->summary->events_used -= had_op;
	self->summary->events_left_out += had_op;
	self->summary->left_slab_pages += had_op;
}

/*
 * The pages of a slab carry the mobility and the zone of its cache's flags, which the objects' own flags need not have
 * (allocate_slab and kmem_getpages add the cache's allocflags).
 */
static void learn_cache_flags(struct attribution *self, const struct page_block *block, uint32_t group, gfp object_flags)
{
	if (group == TABLE_NONE || block->profile == TABLE_NONE)
		return;
	gfp extra = attribution_profile(self, block->profile)->gfp & ~object_flags;
	if (extra & __GFP_RECLAIMABLE)
		attribution_group(self, group)->flags |= SLAB_RECLAIM_ACCOUNT;
	if (extra & __GFP_DMA)
		attribution_group(self, group)->flags |= SLAB_CACHE_DMA;
}

struct slab *frames_object(struct attribution *self, const struct attribution_event *event, bool allocated, uint32_t group)
{
	uint64_t key = frame_key(self, event->ptr);
	struct frame *frame = find_frame(self, key);
	if (!frame) {
		frame = number_map_add(&self->frames, key, sizeof *frame);
		if (self->machine.frames_known && !(key & OUTSIDE_DIRECT_MAP) && key > self->end_pfn)
			self->end_pfn = key;
	}
	/* A free after its page's free tells nothing new; an allocation there means that the page came back unseen. */
	if (frame->slab != 0 && (!self->slabs[frame->slab - 1].freed || !allocated))
		return &self->slabs[frame->slab - 1];
	struct page_block *block = key & OUTSIDE_DIRECT_MAP ? NULL : block_covering(self, key - 1, 0);
	if (!block) {
		set_slab(self, &frame->slab, new_slab(self));
		return &self->slabs[frame->slab - 1];
	}
	if (block->slab == 0)
		block_serves_slab(self, block);
	if (allocated)
		learn_cache_flags(self, block, group, event->gfp);
	set_slab(self, &frame->slab, block->slab - 1);
	return &self->slabs[frame->slab - 1];
}

bool frames_see_object(struct attribution *self, uint64_t address)
{
	struct frame *frame = find_frame(self, frame_key(self, address));
	SIM_ASSERT(frame);
	if (frame->seen == 0) {
		if (self->seen_bits_count == self->seen_bits_room) {
			self->seen_bits_room = 2 * self->seen_bits_room + 256;
			self->seen_bits = xrealloc(self->seen_bits, self->seen_bits_room * sizeof *self->seen_bits);
		}
		memset(self->seen_bits[self->seen_bits_count], 0, sizeof *self->seen_bits);
		frame->seen = ++self->seen_bits_count;
	}
	unsigned step = (unsigned)(address >> OBJECT_STEP_SHIFT) & (PAGE_SIZE / (1u << OBJECT_STEP_SHIFT) - 1);
	uint64_t *bits = &self->seen_bits[frame->seen - 1][step / 64];
	bool before = *bits >> step % 64 & 1;
	*bits |= 1ull << step % 64;
	return before;
}

/* The frame is handed out anew: whatever slab was there is gone, and so are objects of it that seem to be live. */
static void end_slab_in(struct attribution *self, const struct attribution_event *event, uint64_t number)
{
	struct frame *frame = find_frame(self, number + 1);
	if (!frame || frame->slab == 0)
		return;
	drop_slab(self, &frame->slab);
	if (frame->seen == 0)
		return;
	const uint64_t *words = self->seen_bits[frame->seen - 1];
	for (unsigned word = 0; word < 8; word++)
		for (uint64_t bits = words[word]; bits != 0; bits &= bits - 1) {
			uint64_t step = word * 64 + (unsigned)__builtin_ctzll(bits);
			attribution_lost_object(self, event,
			                        self->machine.direct_map + (number << PAGE_SHIFT) + (step << OBJECT_STEP_SHIFT));
		}
}

/* Marks the frames as seen in page events; tells whether one of them was before. */
static bool see_pages(struct attribution *self, uint64_t first, unsigned order)
{
	bool before = false;
	uint64_t end = first + (1ull << order);
	if (end > self->end_pfn)
		self->end_pfn = end;
	for (uint64_t frame = first; frame < end;) {
		uint64_t key = (frame >> SEEN_PAGES_SHIFT) + 1;
		struct seen_pages *seen = number_map_find(&self->pages_seen, key, sizeof *seen);
		if (!seen)
			seen = number_map_add(&self->pages_seen, key, sizeof *seen);
		do {
			uint64_t *bits = &seen->bits[frame / 64 % 8];
			before = before || (*bits >> frame % 64 & 1);
			*bits |= 1ull << frame % 64;
			frame++;
		} while (frame < end && frame % (1u << SEEN_PAGES_SHIFT) != 0);
	}
	return before;
}

/* Frees a whole block, with an op if it has one. */
static void free_block(struct attribution *self, const struct attribution_event *event, struct page_block *block)
{
	if (block->slab != 0) {
		self->slabs[block->slab - 1].freed = true;
		self->slab_blocks--;
	} else if (block->use != BLOCK_HAS_OP) {
		if (block->use == BLOCK_USER_PAGE)
			processes_page_gone(self, event, block);
		self->process_blocks--;
	} else {
		window_push(self, event, block->id, KMT_FREE, 0);
		window_release_id(self, block->id);
	}
	remove_block(self, block);
}

/* Frees every live block that shares a frame with the new one: their frees were not seen. */
static void free_overlapping(struct attribution *self, const struct attribution_event *event)
{
	struct page_block *block;
	while ((block = block_covering(self, event->pfn, 0))) {
		self->summary->reallocated += has_ops(block);
		free_block(self, event, block);
	}
	for (uint64_t frame = event->pfn + 1; frame < event->pfn + (1ull << event->order); frame++) {
		block = find_block(self, frame);
		if (!block)
			continue;
		self->summary->reallocated += has_ops(block);
		free_block(self, event, block);
	}
}

static struct profile_row page_profile(const struct attribution_event *event, enum op_origin origin, gfp flags)
{
	return (struct profile_row){.what = OP_PAGE_ALLOC | (uint32_t)event->order << 8 | (uint32_t)origin << 16,
	                            .gfp = flags,
	                            .group = TABLE_NONE,
	                            .name = TABLE_NONE};
}

static void add_block(struct attribution *self, const struct attribution_event *event, uint64_t first, unsigned order,
                      uint32_t profile)
{
	uint32_t id = window_new_id(self);
	uint64_t op = window_push(self, event, id, profile, first);
	struct page_block *block = number_map_add(&self->blocks, first + 1, sizeof *block);
	block->op = op;
	block->id = id;
	block->profile = profile;
	block->order = (uint8_t)order;
	self->blocks_of_order[order]++;
}

/* A block without an op. */
static void add_process_block(struct attribution *self, uint64_t first, unsigned order, const struct page_block *like)
{
	struct page_block *block = number_map_add(&self->blocks, first + 1, sizeof *block);
	block->use = like->use;
	block->profile = TABLE_NONE;
	block->space = like->space;
	block->page = like->page;
	block->order = (uint8_t)order;
	self->blocks_of_order[order]++;
	self->process_blocks++;
}

static void remember_neighbour(struct attribution *self, const struct attribution_event *event)
{
	if (!self->machine.frames_known)
		self->neighbours[event->cpu % NEIGHBOURS] = (struct neighbour){event->pfn + 1, event->cpu, event->gfp};
}

/* The frames are handed out: what was known of them is over. */
static void begin_block(struct attribution *self, const struct attribution_event *event)
{
	free_overlapping(self, event);
	if (self->machine.frames_known)
		for (uint64_t frame = event->pfn; frame < event->pfn + (1ull << event->order); frame++)
			end_slab_in(self, event, frame);
	see_pages(self, event->pfn, event->order);
	if (self->last_batched == event->pfn + 1)
		self->last_batched = 0;
}

void frames_process_block(struct attribution *self, const struct attribution_event *event, const struct page_block *like)
{
	begin_block(self, event);
	add_process_block(self, event->pfn, event->order, like);
}

void frames_page_alloc(struct attribution *self, const struct attribution_event *event)
{
	begin_block(self, event);
	struct profile_row row = page_profile(event, OP_RECORDED, event->gfp);
	add_block(self, event, event->pfn, event->order, window_profile(self, &row));
	self->summary->events_used++;
	remember_neighbour(self, event);
}

static void leave_out_slab_free(struct attribution *self)
{
	self->summary->events_left_out++;
	self->summary->left_slab_page_frees++;
}

static void leave_out_process_free(struct attribution *self)
{
	self->summary->events_left_out++;
	self->summary->left_process_page_frees++;
}

/* The half of a block of the next order above, at *first, that is not the freed one; *first goes on with the other. */
static uint64_t kept_half(const struct attribution_event *event, uint64_t *first, unsigned order)
{
	uint64_t kept = *first + (event->pfn < *first + (1ull << order) ? 1ull << order : 0);
	*first = kept == *first ? *first + (1ull << order) : *first;
	return kept;
}

/* A part of a huge page that was split, or of a top table. */
static void split_process_block(struct attribution *self, const struct attribution_event *event, const struct page_block *block)
{
	struct page_block whole = *block;
	uint64_t first = whole.key - 1;
	for (unsigned order = whole.order; order-- > event->order;)
		add_process_block(self, kept_half(event, &first, order), order, &whole);
}

/*
 * A part of a block is freed (split_page(), alloc_pages_exact()). MODEL: ops know whole blocks only, so the block is freed and
 * the rest of it is allocated anew in halves, quarters and so on; the rest may get another place by that, its size is right.
 */
static void split_block(struct attribution *self, const struct attribution_event *event, const struct page_block *block)
{
	struct page_block whole = *block;
	struct profile_row row = *attribution_profile(self, whole.profile);
	uint64_t first = whole.key - 1;
	for (unsigned order = whole.order; order-- > event->order;) {
		uint64_t kept = kept_half(event, &first, order);
		row.what = OP_PAGE_ALLOC | order << 8 | (uint32_t)OP_UNSEEN << 16;
		row.count = 0;
		add_block(self, event, kept, order, window_profile(self, &row));
		self->summary->split_allocs++;
	}
	self->summary->split_frees++;
}

/* A free of all or a part of a live block. */
static void free_in_block(struct attribution *self, const struct attribution_event *event, struct page_block *block)
{
	struct page_block whole = *block;
	free_block(self, event, block);
	if (whole.slab != 0) {
		leave_out_slab_free(self);
		return;
	}
	if (whole.use != BLOCK_HAS_OP) {
		leave_out_process_free(self);
		split_process_block(self, event, &whole);
		return;
	}
	self->summary->events_used++;
	if (whole.order > event->order)
		split_block(self, event, &whole);
}

/* Frees blocks smaller than what is freed, which only happens where frees were not seen. Tells how many had ops. */
static uint64_t free_smaller(struct attribution *self, const struct attribution_event *event, bool *any_of_process)
{
	uint64_t freed = 0;
	*any_of_process = false;
	for (uint64_t frame = event->pfn; event->order > 0 && frame < event->pfn + (1ull << event->order); frame++) {
		struct page_block *block = find_block(self, frame);
		if (!block)
			continue;
		freed += has_ops(block);
		*any_of_process = *any_of_process || block->use != BLOCK_HAS_OP;
		free_block(self, event, block);
	}
	return freed;
}

/* Whether a slab without a block lies in the frames; its pages count as free from here on. */
static bool free_older_slab(struct attribution *self, const struct attribution_event *event)
{
	bool found = false;
	for (uint64_t number = event->pfn; self->machine.frames_known && number < event->pfn + (1ull << event->order); number++) {
		struct frame *frame = find_frame(self, number + 1);
		if (!frame || frame->slab == 0 || self->slabs[frame->slab - 1].freed)
			continue;
		self->slabs[frame->slab - 1].freed = true;
		found = true;
	}
	return found;
}

/* A free of pages that no event allocated. */
static void free_unknown_pages(struct attribution *self, const struct attribution_event *event, bool seen)
{
	enum op_origin origin = seen ? OP_UNSEEN : OP_BEFORE;
	/* MODEL: what pages without an allocation event were asked for with is not known; most are user or vmalloc pages. */
	struct profile_row row = page_profile(event, origin, GFP_KERNEL | __GFP_HIGHMEM);
	uint32_t profile = window_profile(self, &row);
	uint32_t id = origin == OP_BEFORE ? window_fresh_id(self) : window_new_id(self);
	if (origin == OP_BEFORE) {
		self->summary->pages_before_recording++;
		window_push_before(self, event, id, profile, event->pfn);
	} else {
		self->summary->unseen_allocs++;
		window_push(self, event, id, profile, event->pfn);
	}
	window_push(self, event, id, KMT_FREE, 0);
	window_release_id(self, id);
	self->summary->events_used++;
}

void frames_page_free(struct attribution *self, const struct attribution_event *event)
{
	bool seen = see_pages(self, event->pfn, event->order);
	struct page_block *block = block_covering(self, event->pfn, event->order);
	if (block) {
		free_in_block(self, event, block);
		return;
	}
	bool of_process;
	uint64_t smaller = free_smaller(self, event, &of_process);
	if (smaller > 0) {
		self->summary->events_used++;
		self->summary->unseen_frees += smaller - 1;
		return;
	}
	if (of_process) {
		leave_out_process_free(self);
		return;
	}
	if (free_older_slab(self, event)) {
		leave_out_slab_free(self);
		return;
	}
	free_unknown_pages(self, event, seen);
}

void frames_neighbour(struct attribution *self, const struct attribution_event *event, bool object_alloc)
{
	if (self->machine.frames_known)
		return;
	struct neighbour *neighbour = &self->neighbours[event->cpu % NEIGHBOURS];
	struct neighbour before = *neighbour;
	neighbour->key = 0;
	if (before.key == 0 || before.cpu != event->cpu || !object_alloc)
		return;
	/* SLUB and SLAB ask for slabs so; SLOB passes on the flags of the request, without the zeroing. */
	bool slab_flags = before.gfp & __GFP_COMP || (~before.gfp & (__GFP_NOWARN | __GFP_NORETRY)) == 0 ||
	                  (self->machine.allocator == RECORDED_SLOB && before.gfp == (event->gfp & ~(gfp)__GFP_ZERO));
	struct page_block *block = slab_flags ? find_block(self, before.key - 1) : NULL;
	if (!block || !has_ops(block))
		return;
	block_serves_slab(self, block);
	self->summary->slab_pages_by_neighbour++;
}
