/* SPDX-License-Identifier: MIT
 *
 * slab_load.c - puts a recorded state into the SLAB model (interface and order of the calls: slab.h).
 *
 * A loaded slab's objects count as in use unless they are in its index stack; loading an array takes its objects out of use.
 * What was loaded is kept in slab_allocator.loaded, so that the counters' laws hold from a loaded state on. States come from
 * files, so everything is held against the cache's geometry before it is taken.
 */
#include "models/object_allocator/slab.h"

#include <string.h>

static void set_in_use(struct slab *slab, uint32_t index, bool in_use)
{
	uint8_t bit = (uint8_t)(1u << index % 8);
	slab->bytes[index / 8] = (uint8_t)(in_use ? slab->bytes[index / 8] | bit : slab->bytes[index / 8] & ~bit);
}

static void count_in_use(struct slab_allocator *allocator, struct slab_cache *cache, int64_t change)
{
	cache->live += (uint64_t)change;
	allocator->loaded.live += (uint64_t)change;
	allocator->port.live_objects += (uint64_t)change;
}

static bool frames_fit(const struct slab_allocator *allocator, const struct slab_cache *cache, pfn frame)
{
	uint32_t count = slab_frames(cache);
	const struct frame_map *frames = &allocator->kmalloc.frames;
	if (frame.nr % count != 0 || frame.nr >= frames->frames || count > frames->frames - frame.nr)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (frame_map_get(frames, pfn_of(frame.nr + i)) != 0)
			return false;
	return true;
}

static bool stack_fits(const struct slab_cache *cache, const struct slab_state *state)
{
	bool seen[SLAB_OBJ_MAX_NUM + 1] = {false};
	for (uint32_t i = 0; i < cache->num - state->active; i++) {
		if (state->stack[i] >= cache->num || seen[state->stack[i]])
			return false;
		seen[state->stack[i]] = true;
	}
	return true;
}

static bool freelist_fits(const struct slab_allocator *allocator, const struct slab_cache *cache, const struct slab_state *state)
{
	uint64_t begin = layout_page_address(allocator->wiring.layout, state->frame).addr;
	uint64_t end = begin + ((uint64_t)slab_frames(cache) << PAGE_SHIFT);
	if (cache->geometry.flags & CFLGS_OFF_SLAB)
		return state->freelist != 0 && (state->freelist < begin || state->freelist >= end);
	if (!(cache->geometry.flags & CFLGS_OBJFREELIST_SLAB))
		return state->freelist == end - cache->num;
	if (state->active == cache->num)
		return state->freelist == 0;
	uint32_t deepest = state->stack[cache->num - state->active - 1];
	return state->freelist == begin + state->colour_bytes + (uint64_t)deepest * cache->size;
}

static enum slab_list list_of(const struct slab_cache *cache, uint32_t active)
{
	if (active == 0)
		return SLABS_FREE;
	return active == cache->num ? SLABS_FULL : SLABS_PARTIAL;
}

static bool state_fits(const struct slab_allocator *allocator, const struct slab_cache *cache, enum slab_list list,
                       const struct slab_state *state)
{
	uint32_t colours = cache->geometry.colour ? cache->geometry.colour : 1;
	uint32_t colour_off = cache->geometry.colour_off;
	if (state->active > cache->num || list != list_of(cache, state->active))
		return false;
	if (state->colour_bytes % colour_off != 0 || state->colour_bytes / colour_off >= colours)
		return false;
	return frames_fit(allocator, cache, state->frame) && stack_fits(cache, state) && freelist_fits(allocator, cache, state);
}

static void count_slab(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t active)
{
	count_in_use(allocator, cache, active);
	allocator->loaded.slabs++;
	allocator->loaded.active += active;
	allocator->counters.pages_slab += slab_frames(cache);
	allocator->counters.num_active += active;
	if (allocator->counters.num_active > allocator->counters.high_mark)
		allocator->counters.high_mark = allocator->counters.num_active;
	if (!(cache->geometry.flags & CFLGS_OFF_SLAB))
		return;
	/* The index array is an object in use of its own cache, but of no user of the port. */
	allocator->off_slab_freelists++;
	allocator->port.live_objects--;
}

bool slab_load_slab(struct slab_allocator *allocator, struct slab_cache *cache, enum slab_list list,
                    const struct slab_state *state)
{
	if (!state_fits(allocator, cache, list, state))
		return false;
	uint32_t number = slab_record_take(allocator, cache, state->frame);
	struct slab *slab = slab_at(allocator, number);
	slab->s_mem = layout_page_address(allocator->wiring.layout, state->frame).addr + state->colour_bytes;
	slab->freelist = state->freelist;
	slab->active = (uint8_t)state->active;
	uint32_t inside = cache->num - state->active;
	memset(slab_index(cache, slab), 0, state->active);
	memcpy(slab_index(cache, slab) + state->active, state->stack, inside);
	for (uint32_t index = 0; index < cache->num; index++)
		set_in_use(slab, index, true);
	for (uint32_t i = 0; i < inside; i++)
		set_in_use(slab, state->stack[i], false);
	slab_list_add_tail(allocator, cache, list, number);
	count_slab(allocator, cache, state->active);
	return true;
}

bool slab_load_array(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array, const vaddr *objects,
                     uint32_t avail, uint32_t touched)
{
	/* Filling an array twice would lose the objects of the first time: neither in use nor in a stack nor in an array. */
	if (avail > array->limit || array->avail != 0)
		return false;
	for (uint32_t i = 0; i < avail; i++) {
		struct slab_entry entry = slab_find_object(allocator, objects[i]);
		struct slab *slab = slab_at(allocator, entry.slab);
		if (entry.slab == 0 || slab->cache != cache || !slab_object_live(slab, entry.index))
			return false;
		set_in_use(slab, entry.index, false);
		count_in_use(allocator, cache, -1);
		array->entry[i] = entry;
	}
	array->avail = avail;
	array->touched = touched;
	return true;
}

static uint64_t count_list(const struct slab_allocator *allocator, const struct slab_cache *cache, enum slab_list list,
                           uint64_t *inside)
{
	uint64_t slabs = 0;
	for (uint32_t number = cache->node.list[list].first; number != 0; number = slab_at(allocator, number)->next) {
		*inside += cache->num - slab_at(allocator, number)->active;
		slabs++;
	}
	return slabs;
}

bool slab_load_node(struct slab_allocator *allocator, struct slab_cache *cache, const struct slab_node_state *state)
{
	struct slab_node *node = &cache->node;
	uint32_t colours = cache->geometry.colour ? cache->geometry.colour : 1;
	uint64_t inside = 0;
	uint64_t free_slabs = count_list(allocator, cache, SLABS_FREE, &inside);
	uint64_t slabs = free_slabs + count_list(allocator, cache, SLABS_PARTIAL, &inside);
	slabs += count_list(allocator, cache, SLABS_FULL, &inside);
	if (state->colour_next >= colours || state->free_slabs != free_slabs || state->total_slabs != slabs ||
	    state->free_objects != inside)
		return false;
	node->total_slabs = slabs;
	node->free_slabs = free_slabs;
	node->free_objects = inside;
	node->free_limit = state->free_limit;
	node->colour_next = state->colour_next;
	node->free_touched = state->free_touched;
	return true;
}

/* Where the index array of a slab without colour lies; 0 where nothing of the slab is free and it would lie in a free object. */
static uint64_t freelist_of(const struct slab_allocator *allocator, const struct slab_cache *cache,
                            const struct slab_state *state)
{
	uint64_t begin = layout_page_address(allocator->wiring.layout, state->frame).addr;
	if (!(cache->geometry.flags & CFLGS_OBJFREELIST_SLAB))
		return begin + ((uint64_t)slab_frames(cache) << PAGE_SHIFT) - cache->num;
	if (state->active == cache->num)
		return 0;
	return begin + (uint64_t)state->stack[cache->num - state->active - 1] * cache->size;
}

bool slab_place_slab(struct object_allocator *objects, cache_id id, pfn first, const uint16_t *free_objects, uint32_t free_count)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	struct slab_cache *cache = allocator->caches[id.nr];
	uint8_t stack[SLAB_OBJ_MAX_NUM + 1];
	struct slab_state state = {.frame = first, .active = cache->num - free_count, .stack = stack};
	for (uint32_t i = 0; i < free_count; i++)
		stack[i] = (uint8_t)free_objects[i];
	state.freelist = freelist_of(allocator, cache, &state);
	/* An index array off its slab would be an object that the file does not tell apart from others. */
	if (cache->geometry.flags & CFLGS_OFF_SLAB || !frames_fit(allocator, cache, first) ||
	    !page_adopt(allocator->wiring.pages, first, cache->geometry.order))
		return false;
	bool loadable = slab_load_slab(allocator, cache, list_of(cache, state.active), &state);
	SIM_ASSERT(loadable);
	cache->node.total_slabs++;
	cache->node.free_slabs += state.active == 0;
	cache->node.free_objects += free_count;
	return loadable;
}
