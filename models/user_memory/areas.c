/* SPDX-License-Identifier: MIT
 *
 * areas.c - areas of an address space: their places, objects and anonymous maps (interface: mm.h).
 *
 * Every area is a vm_area_struct of the object allocator. An area with private pages that were written has an anon_vma, and a
 * chain of anon_vma_chains to it and to those of the areas that it was forked from, so that whoever reclaims a page finds all
 * who map it.
 *
 * Source: Linux 6.1 mm/mmap.c: mmap_region(), do_brk_flags(), __split_vma(), do_mas_munmap(), unmap_region(); mm/rmap.c:
 * __anon_vma_prepare(), anon_vma_clone(), anon_vma_fork(), unlink_anon_vmas(); kernel/fork.c: vm_area_dup().
 * MODEL: areas are not merged with their neighbours, but brk() extends the heap; so an anon_vma is never that of a neighbour.
 * MODEL: the maple tree has a node for every ten areas, and one above them; the kernel's leaves hold up to 16, and are half full
 * at least. Its writes are a read of one node and a write to it. MODEL: pages of shared memory go with their last area, as those
 * of an unlinked shmem file do.
 */
#include "models/kernel_code.h"
#include "models/user_memory/mm.h"

#include <stdlib.h>
#include <string.h>

#define AREAS_PER_NODE 10u

/* ---- places ---- */

uint32_t area_index(const struct space *space, uint64_t linear)
{
	uint32_t low = 0, high = space->areas_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (space->areas[middle]->end > linear)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct area *area_at(const struct space *space, uint64_t linear)
{
	uint32_t index = area_index(space, linear);
	return index < space->areas_count && space->areas[index]->start <= linear ? space->areas[index] : NULL;
}

static uint32_t nodes_for(uint32_t areas)
{
	uint32_t leaves = (areas + AREAS_PER_NODE - 1) / AREAS_PER_NODE;
	return leaves > 1 ? leaves + 1 : leaves;
}

/* As many nodes as the areas need. */
static bool fit_nodes(struct mm *mm, struct space *space, uint32_t areas, unsigned cpu)
{
	uint32_t wanted = nodes_for(areas);
	while (space->nodes_count > wanted)
		mm_free_object(mm, OBJECT_NODE, &space->nodes[--space->nodes_count], cpu);
	if (space->nodes_count < wanted)
		space->nodes = xrealloc(space->nodes, wanted * sizeof *space->nodes);
	while (space->nodes_count < wanted) {
		struct object node = mm_object(mm, OBJECT_NODE, GFP_KERNEL, cpu);
		if (!node.at.addr)
			return false;
		space->nodes[space->nodes_count++] = node;
	}
	if (space->nodes_count) {
		const struct object *node = &space->nodes[space->nodes_count - 1];
		read_field(mm, node, 0);
		write_field(mm, node, 0);
	}
	return true;
}

bool areas_insert(struct mm *mm, struct space *space, struct area *area, unsigned cpu)
{
	uint32_t index = area_index(space, area->start);
	if (!fit_nodes(mm, space, space->areas_count + 1, cpu))
		return false;
	if (space->areas_count == space->areas_room) {
		space->areas_room = space->areas_room ? 2 * space->areas_room : 16;
		space->areas = xrealloc(space->areas, space->areas_room * sizeof(struct area *));
	}
	memmove(space->areas + index + 1, space->areas + index, (space->areas_count - index) * sizeof(struct area *));
	space->areas[index] = area;
	space->areas_count++;
	step_update(mm->steps, mm_field(&space->object, MM_MAP_COUNT), 4);
	return true;
}

static void take_out(struct mm *mm, struct space *space, uint32_t index, unsigned cpu)
{
	space->areas_count--;
	memmove(space->areas + index, space->areas + index + 1, (space->areas_count - index) * sizeof(struct area *));
	bool fits = fit_nodes(mm, space, space->areas_count, cpu);
	SIM_ASSERT(fits);
	step_update(mm->steps, mm_field(&space->object, MM_MAP_COUNT), 4);
}

/* ---- shared pages ---- */

static struct shared *shared_make(struct mm *mm, uint64_t pages)
{
	struct shared *shared = xcalloc(1, sizeof *shared);
	*shared = (struct shared){.number = mm->next_shared++, .areas = 1, .pages = pages, .next = mm->shared};
	mm->shared = shared;
	shared->frames = lazy_alloc(pages, sizeof *shared->frames);
	return shared;
}

struct shared *shared_of(const struct mm *mm, pfn frame)
{
	struct shared *shared = mm->shared;
	while (shared->number != mm->page[frame.nr].file)
		shared = shared->next;
	return shared;
}

static void take_out_shared(struct mm *mm, const struct shared *shared)
{
	struct shared **at = &mm->shared;
	while (*at != shared)
		at = &(*at)->next;
	*at = shared->next;
}

void shared_put(struct mm *mm, struct shared *shared, unsigned cpu)
{
	const struct page_watcher *watcher = &mm->port.watcher;
	if (--shared->areas > 0)
		return;
	for (uint64_t i = 0; i < shared->pages; i++) {
		uint32_t place = shared->frames[i];
		if (!place)
			continue;
		shared->frames[i] = 0;
		if (place & SHARED_SWAPPED) {
			watcher->swap_given(watcher->context, place & ~SHARED_SWAPPED, cpu);
			continue;
		}
		pfn frame = pfn_of(place - 1);
		SIM_ASSERT(mm->page[frame.nr].map_count == 0);
		mm->page[frame.nr] = (struct mapped_page){0};
		mm->counters.shared_pages--;
		page_free_new(mm, frame, 0, cpu);
	}
	take_out_shared(mm, shared);
	lazy_free(shared->frames, shared->pages, sizeof *shared->frames);
	free(shared);
}

/* ---- anonymous maps ---- */

static struct anon_vma *anon_vma_make(struct mm *mm, struct anon_vma *parent, unsigned cpu)
{
	struct object object = mm_object(mm, OBJECT_ANON_VMA, GFP_KERNEL, cpu);
	if (!object.at.addr)
		return NULL;
	struct anon_vma *made = xcalloc(1, sizeof *made);
	*made = (struct anon_vma){.object = object, .parent = parent ? parent : made};
	/* The root is its own parent, and counts as its own child. */
	made->parent->num_children++;
	made->parent->references += made->parent != made;
	return made;
}

/* Nobody leads to it any more, and it has no child. */
static void anon_vma_drop(struct mm *mm, struct anon_vma *dropped, unsigned cpu)
{
	while (dropped && dropped->references == 0) {
		struct anon_vma *parent = dropped->parent;
		mm_free_object(mm, OBJECT_ANON_VMA, &dropped->object, cpu);
		bool was_root = parent == dropped;
		free(dropped);
		if (was_root)
			return;
		parent->references--;
		dropped = parent;
	}
}

/* anon_vma_chain_link(): the list of the area and the tree of the anon_vma, under the root's lock. */
static void link_chain(struct mm *mm, struct area *area, const struct object *object, struct anon_vma *to)
{
	area->chains = xrealloc(area->chains, (area->chains_count + 1) * sizeof *area->chains);
	area->chains[area->chains_count++] = (struct chain){*object, to};
	to->chains++;
	to->references++;
	step_atomic(mm->steps, mm_field(&to->object, 8), 8);
	write_field(mm, object, 0);
	write_field(mm, &area->object, VMA_ANON_CHAIN);
	write_field(mm, &to->object, 72);
	step_update(mm->steps, mm_field(&to->object, 8), 8);
}

static bool chain_to(struct mm *mm, struct area *area, struct anon_vma *to, gfp flags, unsigned cpu)
{
	struct object object = mm_object(mm, OBJECT_CHAIN, flags, cpu);
	if (object.at.addr)
		link_chain(mm, area, &object, to);
	return object.at.addr != 0;
}

static void unchain(struct mm *mm, struct area *area, unsigned cpu)
{
	if (area->anon_vma)
		area->anon_vma->num_active_vmas--;
	if (area->chains_count > 0)
		step_run(mm->steps, CODE_UNLINK_ANON_VMA, mm->cost.unlink_anon_vma);
	/* From the newest to the oldest, the root last. */
	while (area->chains_count > 0) {
		struct chain *chain = &area->chains[--area->chains_count];
		struct anon_vma *to = chain->to;
		step_atomic(mm->steps, mm_field(&to->object, 8), 8);
		write_field(mm, &to->object, 72);
		step_update(mm->steps, mm_field(&to->object, 8), 8);
		if (--to->chains == 0)
			to->parent->num_children--;
		mm_free_object(mm, OBJECT_CHAIN, &chain->object, cpu);
		to->references--;
		anon_vma_drop(mm, to, cpu);
	}
	free(area->chains);
	area->chains = NULL;
	area->anon_vma = NULL;
}

bool area_prepare_anon(struct mm *mm, struct area *area, unsigned cpu)
{
	read_field(mm, &area->object, VMA_ANON_VMA);
	if (area->anon_vma)
		return true;
	struct object object = mm_object(mm, OBJECT_CHAIN, GFP_KERNEL, cpu);
	struct anon_vma *made = object.at.addr ? anon_vma_make(mm, NULL, cpu) : NULL;
	if (!made) {
		if (object.at.addr)
			mm_free_object(mm, OBJECT_CHAIN, &object, cpu);
		return false;
	}
	link_chain(mm, area, &object, made);
	area->anon_vma = made;
	made->num_active_vmas++;
	write_field(mm, &area->object, VMA_ANON_VMA);
	return true;
}

/* anon_vma_clone(): every chain of `from`, the newest first (they are added at the tail of a list that is walked backward). */
static bool clone_chains(struct mm *mm, struct area *area, const struct area *from, bool may_reuse, unsigned cpu)
{
	for (uint32_t i = 0; i < from->chains_count; i++) {
		struct anon_vma *to = from->chains[i].to;
		if (!chain_to(mm, area, to, GFP_NOWAIT | __GFP_NOWARN, cpu))
			return false;
		if (may_reuse && !area->anon_vma && to->num_children < 2 && to->num_active_vmas == 0)
			area->anon_vma = to;
	}
	if (area->anon_vma)
		area->anon_vma->num_active_vmas++;
	return true;
}

static bool fork_chains(struct mm *mm, struct area *area, const struct area *from, unsigned cpu)
{
	if (!from->anon_vma)
		return true;
	step_run(mm->steps, CODE_FORK_ANON_VMA, mm->cost.fork_anon_vma);
	if (!clone_chains(mm, area, from, true, cpu))
		return false;
	if (area->anon_vma)
		return true;
	struct anon_vma *made = anon_vma_make(mm, from->anon_vma, cpu);
	if (!made)
		return false;
	if (!chain_to(mm, area, made, GFP_KERNEL, cpu)) {
		made->parent->num_children--;
		anon_vma_drop(mm, made, cpu);
		return false;
	}
	made->num_active_vmas++;
	area->anon_vma = made;
	return true;
}

/* ---- areas ---- */

static struct area *area_make(struct mm *mm, const struct area *like, unsigned cpu)
{
	struct object object = mm_object(mm, OBJECT_VMA, GFP_KERNEL, cpu);
	if (!object.at.addr)
		return NULL;
	struct area *area = xcalloc(1, sizeof *area);
	*area = *like;
	area->object = object;
	area->anon_vma = NULL;
	area->chains = NULL;
	area->chains_count = 0;
	if (area->shared)
		area->shared->areas++;
	step_write(mm->steps, object.at, 64);
	step_write(mm->steps, mm_field(&object, 64), 64);
	mm->counters.areas_made++;
	mm->counters.live_areas++;
	return area;
}

void area_free(struct mm *mm, struct area *area, unsigned cpu)
{
	unchain(mm, area, cpu);
	if (area->shared)
		shared_put(mm, area->shared, cpu);
	mm_free_object(mm, OBJECT_VMA, &area->object, cpu);
	mm->counters.areas_gone++;
	mm->counters.live_areas--;
	free(area);
}

struct area *area_fork(struct mm *mm, struct space *space, const struct area *from, unsigned cpu)
{
	step_read(mm->steps, from->object.at, 64);
	step_read(mm->steps, mm_field(&from->object, 64), 64);
	step_run(mm->steps, CODE_FORK_AREA, mm->cost.fork_area);
	struct area *area = area_make(mm, from, cpu);
	if (!area)
		return NULL;
	if (!fork_chains(mm, area, from, cpu) || !areas_insert(mm, space, area, cpu)) {
		area_free(mm, area, cpu);
		return NULL;
	}
	return area;
}

/* __split_vma(): the part from `at` on becomes an area of its own. */
static bool split_area(struct mm *mm, struct space *space, struct area *area, uint64_t at, unsigned cpu)
{
	struct area *tail = area_make(mm, area, cpu);
	if (!tail)
		return false;
	tail->start = at;
	tail->first_page += (at - area->start) >> PAGE_SHIFT;
	tail->private_first = area_private_page(area, at);
	tail->anon_vma = area->anon_vma;
	uint64_t end = area->end;
	area->end = at;
	if (clone_chains(mm, tail, area, false, cpu) && areas_insert(mm, space, tail, cpu)) {
		write_field(mm, &area->object, VMA_START);
		return true;
	}
	area->end = end;
	/* clone_chains() counts it as active only where it went well. */
	if (tail->chains_count < area->chains_count)
		tail->anon_vma = NULL;
	area_free(mm, tail, cpu);
	return false;
}

struct area *area_copy(struct mm *mm, struct space *space, const struct area *from, uint64_t start, uint64_t to, uint64_t pages,
                       unsigned cpu)
{
	struct area like = *from;
	like.start = to;
	like.end = to + (pages << PAGE_SHIFT);
	like.kind = user_kind_when_moved(from->kind);
	like.first_page = area_page(from, start);
	like.private_first = from->anon_vma ? area_private_page(from, start) : to >> PAGE_SHIFT;
	struct area *area = area_make(mm, &like, cpu);
	if (!area)
		return NULL;
	area->anon_vma = from->anon_vma;
	if (clone_chains(mm, area, from, false, cpu) && areas_insert(mm, space, area, cpu))
		return area;
	/* clone_chains() counts it as active only where it went well. */
	if (area->chains_count < from->chains_count)
		area->anon_vma = NULL;
	area_free(mm, area, cpu);
	return NULL;
}

/* ---- mmap, brk, munmap ---- */

/* do_brk_flags(): the heap grows where it ends. */
static bool grow_heap(struct mm *mm, struct space *space, const struct user_area_request *request, unsigned cpu)
{
	uint32_t index = area_index(space, request->start);
	if (request->kind != USER_HEAP || index == 0)
		return false;
	struct area *below = space->areas[index - 1];
	if (below->kind != USER_HEAP || below->end != request->start || below->rights != request->rights)
		return false;
	if (below->wants_huge || below->refuses_huge || below->reading != FILE_NORMAL)
		return false;
	area_grow(mm, space, below, request->pages, cpu);
	write_field(mm, &space->object, MM_BRK);
	return true;
}

void area_grow(struct mm *mm, struct space *space, struct area *area, uint64_t pages, unsigned cpu)
{
	area->end += pages << PAGE_SHIFT;
	write_field(mm, &area->object, VMA_START);
	khugepaged_enter_area(mm, space, area, cpu);
}

enum user_result areas_map(struct mm *mm, struct space *space, const struct user_area_request *request, unsigned cpu)
{
	uint64_t end = request->start + (request->pages << PAGE_SHIFT);
	if (!user_range_is_valid(mm->user_end, request->start, request->pages))
		return USER_BAD_RANGE;
	uint32_t index = area_index(space, request->start);
	if (index < space->areas_count && space->areas[index]->start < end)
		return USER_BAD_RANGE;
	if (user_area_is_too_much(request, mm->pages->managed_pages + mm->port.watcher.swap_pages))
		return USER_NO_MEMORY;
	lock_space(mm, space, true);
	step_run(mm->steps, CODE_MMAP, mm->cost.mmap);
	enum user_result result = USER_OK;
	if (!grow_heap(mm, space, request, cpu)) {
		const struct area like = {.start = request->start,
		                          .end = end,
		                          .kind = request->kind,
		                          .rights = request->rights,
		                          .file = request->file,
		                          .private_first = request->start >> PAGE_SHIFT,
		                          .first_page = request->kind == USER_SHARED ? 0 : request->first_page};
		struct area *area = area_make(mm, &like, cpu);
		if (area && request->kind == USER_SHARED)
			area->shared = shared_make(mm, request->pages);
		if (!area || !areas_insert(mm, space, area, cpu)) {
			if (area)
				area_free(mm, area, cpu);
			result = USER_NO_MEMORY;
		}
	}
	if (result == USER_OK && user_area_has_file(request->kind) && mm->port.files.shown)
		mm->port.files.shown(mm->port.files.context, request->file, request->first_page + request->pages);
	step_update(mm->steps, mm_field(&space->object, MM_TOTAL_VM), 8);
	unlock_space(mm, space, true);
	return result;
}

struct zapping {
	struct mm *mm;
	struct space *space;
	struct table *locked; /* whose ptl is held */
	uint64_t start, end;
	unsigned cpu;
};

/* A whole huge page goes at once; one that only reaches into the range has to be split first. */
static void zap_one(void *context, const struct entry *entry, uint64_t linear)
{
	struct zapping *zapping = context;
	struct mm *mm = zapping->mm;
	SIM_ASSERT(entry->level == 0 || (linear >= zapping->start && linear + HUGE_BYTES <= zapping->end));
	if (zapping->locked != entry->table) {
		if (zapping->locked)
			entry_unlock(mm, &(struct entry){.table = zapping->locked});
		entry_lock(mm, entry);
		zapping->locked = entry->table;
	}
	entry_zap(mm, zapping->space, entry, linear, zapping->cpu);
}

void areas_zap(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu)
{
	struct zapping zapping = {.mm = mm, .space = space, .start = start, .end = end, .cpu = cpu};
	tables_visit(mm, space, start, end, zap_one, &zapping);
	if (zapping.locked)
		entry_unlock(mm, &(struct entry){.table = zapping.locked});
}

/* A huge page that reaches over an edge of the range is taken apart (vma_adjust_trans_huge()). */
void areas_split_huge(struct mm *mm, struct space *space, uint64_t at, unsigned cpu)
{
	struct entry entry;
	if (!mm->huge_pages || at % HUGE_BYTES == 0 || at >= mm->user_end)
		return;
	entry_find(mm, space, at, &entry);
	if (entry.level == huge_level(mm) && entry_word(&entry) & WORD_PRESENT)
		huge_split(mm, space, &entry, at, cpu);
}

/* Areas end at the edges of the range. */
bool areas_split_edges(struct mm *mm, struct space *space, uint64_t start, uint64_t end, unsigned cpu)
{
	struct area *first = area_at(space, start);
	if (first && first->start < start && !split_area(mm, space, first, start, cpu))
		return false;
	struct area *last = area_at(space, end - 1);
	if (last && last->end > end && !split_area(mm, space, last, end, cpu))
		return false;
	areas_split_huge(mm, space, start, cpu);
	areas_split_huge(mm, space, end, cpu);
	return true;
}

enum user_result areas_unmap_locked(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, unsigned cpu)
{
	uint64_t end = start + (pages << PAGE_SHIFT);
	step_run(mm->steps, CODE_MUNMAP, mm->cost.munmap);
	uint32_t index = area_index(space, start);
	if (index < space->areas_count && space->areas[index]->start < end) {
		if (!areas_split_edges(mm, space, start, end, cpu))
			return USER_NO_MEMORY;
		gather_begin(mm);
		areas_zap(mm, space, start, end, cpu);
		bool freed = tables_prune(mm, space, start, end, cpu);
		gather_end(mm, space, false, freed, cpu);
		index = area_index(space, start);
		while (index < space->areas_count && space->areas[index]->start < end) {
			struct area *area = space->areas[index];
			take_out(mm, space, index, cpu);
			area_free(mm, area, cpu);
		}
	}
	step_update(mm->steps, mm_field(&space->object, MM_TOTAL_VM), 8);
	return USER_OK;
}

enum user_result areas_unmap(struct mm *mm, struct space *space, uint64_t start, uint64_t pages, unsigned cpu)
{
	if (!user_range_is_valid(mm->user_end, start, pages))
		return USER_BAD_RANGE;
	lock_space(mm, space, true);
	enum user_result result = areas_unmap_locked(mm, space, start, pages, cpu);
	unlock_space(mm, space, true);
	return result;
}

void areas_release(struct mm *mm, struct space *space, unsigned cpu)
{
	for (uint32_t i = 0; i < space->areas_count; i++) {
		step_spend(mm->steps, mm->cost.exit_area);
		area_free(mm, space->areas[i], cpu);
	}
	space->areas_count = 0;
	while (space->nodes_count > 0)
		mm_free_object(mm, OBJECT_NODE, &space->nodes[--space->nodes_count], cpu);
	free(space->nodes);
	free(space->areas);
	space->nodes = NULL;
	space->areas = NULL;
}
