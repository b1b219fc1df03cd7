/* SPDX-License-Identifier: MIT
 *
 * slab.c - the SLAB allocator of Linux 6.1: the paths of alloc and free, and the port.
 *
 * Interface: sim/port/object_allocator.h; the parts and their words: slab.h.
 *
 * Algorithm (mm/slab.c). An allocation takes the top of the CPU's array. If that is empty, it is refilled with a batch: from the
 * shared array; else from slabs, partial ones before free ones; else from one new slab. A free puts the object on top of the
 * CPU's array. If that is full, its oldest batch goes to the shared array as far as that has room, or else back into the slabs;
 * a slab that becomes empty is given back when the node has more free objects than its limit. Three list rules decide which
 * object comes next: a slab that was taken from returns to the head of its list; one that was freed into goes to the tail of the
 * partial list, or to the head of the free list when it is empty; slabs beyond the limit leave from the free list's tail.
 *
 * A wrong free is found by the bit that each slab keeps per object in use (the kernel has none) and changes nothing.
 *
 * Invariant: every object is in exactly one place: in its slab's index stack, in one array, or in use (slab_laws.c).
 *
 * MODEL: an address is handed out and given back without the interrupts, preemption and memory-cgroup charges around it.
 * MODEL: slabs of SLAB_TYPESAFE_BY_RCU caches go back to the page allocator at once, not after a grace period.
 * MODEL: without CONFIG_NUMA, so a failed slab allocation is not tried again without __GFP_THISNODE.
 */
#include "models/object_allocator/slab.h"
#include "models/kernel_code.h"

#include "models/object_allocator/cache_tunables.h"

#include <stdlib.h>
#include <string.h>

#include "sim/metric.h"

#define POINTER_BYTES 8u

/* mm/internal.h: the flags of a request that reach the page allocator. */
#define GFP_RECLAIM_MASK \
	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | __GFP_NOWARN | __GFP_RETRY_MAYFAIL | __GFP_NOFAIL | __GFP_NORETRY | \
	 __GFP_MEMALLOC | __GFP_NOMEMALLOC | __GFP_ATOMIC)
#define GFP_CONSTRAINT_MASK (__GFP_HARDWALL | __GFP_THISNODE)

struct slab_allocator *slab_allocator_of(struct object_allocator *objects)
{
	return (struct slab_allocator *)(void *)objects;
}

static const struct slab_allocator *reading(const struct object_allocator *objects)
{
	return (const struct slab_allocator *)(const void *)objects;
}

struct slab_cache *slab_cache_of(const struct slab_allocator *allocator, cache_id id)
{
	if (id.nr >= allocator->cache_limit || !allocator->caches[id.nr]->used)
		return NULL;
	return allocator->caches[id.nr];
}

vaddr slab_array_address(const struct slab_allocator *allocator, const struct slab_cache *cache, unsigned cpu)
{
	return layout_per_cpu(allocator->wiring.layout, cache->array_at, cpu);
}

static vaddr entry_address(vaddr array, uint32_t place)
{
	return vaddr_of(array.addr + ARRAY_CACHE_BYTES + (uint64_t)POINTER_BYTES * place);
}

static void lock_node(struct slab_allocator *allocator, const struct slab_cache *cache)
{
	step_lock(allocator->steps, cache->node_at);
}

static void unlock_node(struct slab_allocator *allocator, const struct slab_cache *cache)
{
	step_unlock(allocator->steps, cache->node_at);
}

static void read_node(struct slab_allocator *allocator, const struct slab_cache *cache, uint32_t offset, uint32_t bytes)
{
	step_read(allocator->steps, vaddr_of(cache->node_at.addr + offset), bytes);
}

static void update_node(struct slab_allocator *allocator, const struct slab_cache *cache, uint32_t offset, uint32_t bytes)
{
	step_update(allocator->steps, vaddr_of(cache->node_at.addr + offset), bytes);
}

static void read_cache(struct slab_allocator *allocator, const struct slab_cache *cache, uint32_t offset, uint32_t bytes)
{
	step_read(allocator->steps, vaddr_of(cache->descriptor.addr + offset), bytes);
}

/* get_node(): what follows lies behind that pointer. */
static void find_node(struct slab_allocator *allocator, const struct slab_cache *cache)
{
	read_cache(allocator, cache, CACHE_NODE, POINTER_BYTES);
	step_use(allocator->steps);
}

/* cpu_cache_get() */
static void find_array(struct slab_allocator *allocator, const struct slab_cache *cache)
{
	read_cache(allocator, cache, CACHE_CPU_CACHE, POINTER_BYTES);
	step_use(allocator->steps);
}

static void read_int(struct slab_allocator *allocator, vaddr base, uint32_t offset)
{
	step_read(allocator->steps, vaddr_of(base.addr + offset), INT_BYTES);
}

static void update_int(struct slab_allocator *allocator, vaddr base, uint32_t offset)
{
	step_update(allocator->steps, vaddr_of(base.addr + offset), INT_BYTES);
}

static const struct cost_settings *costs(const struct slab_allocator *allocator)
{
	return &allocator->wiring.settings->cost;
}

static void touch_node_stat(struct slab_allocator *allocator, unsigned cpu)
{
	vaddr at = layout_per_cpu(allocator->wiring.layout, allocator->node_stat_offset, cpu);
	step_update(allocator->steps, vaddr_of(at.addr + NODESTAT_SLAB_OFFSET), 1);
}

/* virt_to_slab(): the object's own struct page leads to that of the slab's first page, whose flags say that it is a slab. */
static void touch_virt_to_slab(struct slab_allocator *allocator, const struct slab *slab, uint64_t object)
{
	struct layout *layout = allocator->wiring.layout;
	vaddr page = layout_struct_page(layout, layout_pfn_of(layout, vaddr_of(object)));
	step_read(allocator->steps, vaddr_of(page.addr + SLAB_PAGE_LIST), POINTER_BYTES);
	step_use(allocator->steps);
	step_read(allocator->steps, slab_page_field(allocator, slab, 0), POINTER_BYTES);
}

/* The slabs' own objects. */

static uint32_t take_from_slab(struct slab_allocator *allocator, struct slab_cache *cache, struct slab *slab)
{
	step_read(allocator->steps, vaddr_of(slab->freelist + slab->active), 1);
	step_update(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_ACTIVE), INT_BYTES);
	return slab_index(cache, slab)[slab->active++];
}

static void put_into_slab(struct slab_allocator *allocator, struct slab_cache *cache, struct slab *slab, uint32_t index)
{
	slab->active--;
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_S_MEM), POINTER_BYTES);
	step_update(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_ACTIVE), INT_BYTES);
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_FREELIST), POINTER_BYTES);
	if (slab->freelist == 0) {
		slab->freelist = slab_object_address(cache, slab, index);
		step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_FREELIST), POINTER_BYTES);
	}
	slab_index(cache, slab)[slab->active] = (uint8_t)index;
	step_use(allocator->steps);
	step_write(allocator->steps, vaddr_of(slab->freelist + slab->active), 1);
}

/*
 * alloc_block(): moves up to `batch` objects of a slab to the array; returns how many are still wanted.
 * MODEL: what does not change while it runs (num, size, s_mem, freelist) is read once for each slab.
 */
static uint32_t alloc_block(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array,
                            uint32_t number, uint32_t batch, unsigned cpu)
{
	struct slab *slab = slab_at(allocator, number);
	vaddr at = slab_array_address(allocator, cache, cpu);
	uint32_t first = array->avail;
	step_use(allocator->steps);
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_ACTIVE), INT_BYTES);
	read_cache(allocator, cache, CACHE_NUM, INT_BYTES);
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_S_MEM), POINTER_BYTES);
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_FREELIST), POINTER_BYTES);
	step_use(allocator->steps);
	for (; batch > 0 && slab->active < cache->num; batch--) {
		array->entry[array->avail] = (struct slab_entry){number, take_from_slab(allocator, cache, slab)};
		step_write(allocator->steps, entry_address(at, array->avail), POINTER_BYTES);
		update_int(allocator, at, ARRAY_AVAIL);
		array->avail++;
	}
	uint32_t count = array->avail - first;
	step_spend(allocator->steps, costs(allocator)->slab_refill_object * count);
	allocator->counters.num_allocations += count;
	allocator->counters.num_active += count;
	if (allocator->counters.num_active > allocator->counters.high_mark)
		allocator->counters.high_mark = allocator->counters.num_active;
	return batch;
}

/* fixup_slab_list(): puts a slab that was taken from where it belongs. */
static void fixup_slab_list(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t number)
{
	struct slab *slab = slab_at(allocator, number);
	step_spend(allocator->steps, costs(allocator)->slab_refill_slab);
	slab_list_del(allocator, cache, number);
	if (slab->active < cache->num) {
		slab_list_add(allocator, cache, SLABS_PARTIAL, number);
		return;
	}
	slab_list_add(allocator, cache, SLABS_FULL, number);
	read_cache(allocator, cache, CACHE_FLAGS, INT_BYTES);
	if (cache->geometry.flags & CFLGS_OBJFREELIST_SLAB) {
		slab->freelist = 0;
		step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_FREELIST), POINTER_BYTES);
	}
}

/* get_first_slab(): the slab to take from, 0 if every slab is full. The caller moves it by fixup_slab_list(). */
static uint32_t get_first_slab(struct slab_allocator *allocator, struct slab_cache *cache)
{
	struct slab_node *node = &cache->node;
	read_node(allocator, cache, NODE_LISTS, POINTER_BYTES);
	if (node->list[SLABS_PARTIAL].first != 0)
		return node->list[SLABS_PARTIAL].first;
	node->free_touched = true;
	step_write(allocator->steps, vaddr_of(cache->node_at.addr + NODE_FREE_TOUCHED), INT_BYTES);
	read_node(allocator, cache, NODE_LISTS + 2 * 2 * POINTER_BYTES, POINTER_BYTES);
	uint32_t number = node->list[SLABS_FREE].first;
	if (number != 0) {
		node->free_slabs--;
		update_node(allocator, cache, NODE_FREE_SLABS, POINTER_BYTES);
	}
	return number;
}

/* New slabs. */

/* The index array's address; false if it should lie in another cache and that has no memory. */
static bool place_freelist(struct slab_allocator *allocator, struct slab_cache *cache, struct slab *slab, gfp flags, unsigned cpu)
{
	const struct slab_geometry *geometry = &cache->geometry;
	uint64_t begin = layout_page_address(allocator->wiring.layout, pfn_of(slab->frame)).addr;
	if (geometry->flags & CFLGS_OBJFREELIST_SLAB) {
		slab->freelist = slab_object_address(cache, slab, cache->num - 1);
		return true;
	}
	if (!(geometry->flags & CFLGS_OFF_SLAB)) {
		slab->freelist = begin + ((uint64_t)PAGE_SIZE << geometry->order) - cache->num;
		return true;
	}
	struct slab_cache *holder = slab_cache_of(allocator, kmalloc_slab(&allocator->kmalloc, cache->num, flags));
	SIM_ASSERT(holder && !(holder->geometry.flags & CFLGS_OFF_SLAB));
	slab->freelist = slab_do_alloc(allocator, holder, flags, cpu).at.addr;
	allocator->off_slab_freelists += slab->freelist != 0;
	return slab->freelist != 0;
}

/* The next colour: counted up before it is used. Returns the offset of the first object. */
static uint32_t next_colour(struct slab_allocator *allocator, struct slab_cache *cache)
{
	struct slab_node *node = &cache->node;
	node->colour_next++;
	if (node->colour_next >= cache->geometry.colour)
		node->colour_next = 0;
	find_node(allocator, cache);
	update_node(allocator, cache, NODE_COLOUR_NEXT, INT_BYTES);
	read_cache(allocator, cache, CACHE_COLOUR, POINTER_BYTES);
	read_cache(allocator, cache, CACHE_COLOUR_OFF, INT_BYTES);
	return node->colour_next * cache->geometry.colour_off;
}

/*
 * shuffle_freelist(): the index stack in the order of the cache's sequence, from a random place of it on. The first one holds the
 * index array where that lies in an object, and then leaves the slab last.
 * MODEL: slabs that a kernel makes before its sequences exist, early at boot, are shuffled one by one there.
 */
static void shuffle_freelist(struct slab_allocator *allocator, const struct slab_cache *cache, struct slab *slab, uint8_t *index)
{
	uint32_t position = (uint32_t)rng_next(&allocator->freelist_rng) % cache->num, count = cache->num;
	bool in_object = cache->geometry.flags & CFLGS_OBJFREELIST_SLAB;
	for (uint32_t drawn = 0; drawn < count; drawn++) {
		uint32_t place = !in_object ? drawn : drawn == 0 ? count - 1 : drawn - 1;
		index[place] = (uint8_t)cache->random_seq[position];
		position = position + 1 < count ? position + 1 : 0;
	}
	if (in_object)
		slab->freelist = slab_object_address(cache, slab, index[count - 1]);
}

static void init_objects(struct slab_allocator *allocator, struct slab_cache *cache, struct slab *slab)
{
	uint8_t *index = slab_index(cache, slab);
	for (uint32_t i = 0; i < cache->num; i++)
		index[i] = (uint8_t)i;
	if (cache->random_seq)
		shuffle_freelist(allocator, cache, slab, index);
	step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_CACHE), 2 * POINTER_BYTES);
	read_cache(allocator, cache, CACHE_RANDOM_SEQ, POINTER_BYTES);
	step_write(allocator->steps, vaddr_of(slab->freelist), cache->num);
	read_cache(allocator, cache, CACHE_CTOR, POINTER_BYTES);
	for (uint32_t i = 0; i < cache->num && cache->ctor; i++)
		step_write(allocator->steps, vaddr_of(slab_object_address(cache, slab, i)), cache->object_size);
	step_spend(allocator->steps, costs(allocator)->slab_setup_object * cache->num);
}

/* cache_grow_begin(): a new slab, on no list yet; 0 if there is no memory. */
static uint32_t cache_grow_begin(struct slab_allocator *allocator, struct slab_cache *cache, gfp flags, unsigned cpu)
{
	gfp local_flags = flags & ~(gfp)__GFP_NOFAIL & (GFP_CONSTRAINT_MASK | GFP_RECLAIM_MASK);
	step_path(allocator->steps, PATH_PAGES);
	step_run(allocator->steps, CODE_SLAB_GROW, costs(allocator)->slab_grow);
	if (local_flags & __GFP_DIRECT_RECLAIM)
		step_irqs(allocator->steps, IRQS_ENABLE);
	read_cache(allocator, cache, CACHE_ALLOCFLAGS, INT_BYTES);
	read_cache(allocator, cache, CACHE_GFPORDER, INT_BYTES);
	pfn frame = page_alloc(allocator->wiring.pages, cache->geometry.order, local_flags | cache->geometry.allocflags, cpu);
	if (frame.nr == UINT32_MAX)
		return 0;
	uint32_t number = slab_record_take(allocator, cache, frame);
	struct slab *slab = slab_at(allocator, number);
	allocator->counters.pages_slab += slab_frames(cache);
	touch_node_stat(allocator, cpu);
	step_update(allocator->steps, slab_page_field(allocator, slab, 0), POINTER_BYTES);
	slab->s_mem = layout_page_address(allocator->wiring.layout, frame).addr + next_colour(allocator, cache);
	step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_ACTIVE), INT_BYTES);
	step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_S_MEM), POINTER_BYTES);
	if (!place_freelist(allocator, cache, slab, local_flags & ~(gfp)GFP_CONSTRAINT_MASK, cpu)) {
		slab_destroy_one(allocator, number, cpu);
		return 0;
	}
	init_objects(allocator, cache, slab);
	if (local_flags & __GFP_DIRECT_RECLAIM)
		step_irqs(allocator->steps, IRQS_DISABLE);
	return number;
}

/* cache_grow_end(): the new slab, already taken from, becomes one of the cache's. */
static void cache_grow_end(struct slab_allocator *allocator, struct slab_cache *cache, uint32_t number)
{
	const struct slab *slab = slab_at(allocator, number);
	step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_LIST), 2 * POINTER_BYTES);
	step_read(allocator->steps, slab_page_field(allocator, slab, 0), POINTER_BYTES);
	find_node(allocator, cache);
	lock_node(allocator, cache);
	cache->node.total_slabs++;
	update_node(allocator, cache, NODE_TOTAL_SLABS, POINTER_BYTES);
	fixup_slab_list(allocator, cache, number);
	cache->node.free_objects += cache->num - slab->active;
	update_node(allocator, cache, NODE_FREE_OBJECTS, POINTER_BYTES);
	unlock_node(allocator, cache);
	allocator->counters.grown++;
}

void slab_destroy_one(struct slab_allocator *allocator, uint32_t number, unsigned cpu)
{
	const struct slab *slab = slab_at(allocator, number);
	const struct slab_cache *cache = slab->cache;
	uint64_t off_slab_freelist = cache->geometry.flags & CFLGS_OFF_SLAB ? slab->freelist : 0;
	pfn frame = pfn_of(slab->frame);
	step_path(allocator->steps, PATH_PAGES);
	step_run(allocator->steps, CODE_SLAB_DESTROY, costs(allocator)->slab_destroy);
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_FREELIST), POINTER_BYTES);
	read_cache(allocator, cache, CACHE_FLAGS, INT_BYTES);
	step_update(allocator->steps, slab_page_field(allocator, slab, 0), POINTER_BYTES);
	step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_ACTIVE), INT_BYTES);    /* the page's _mapcount */
	step_write(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_CACHE), POINTER_BYTES); /* and mapping */
	touch_node_stat(allocator, cpu);
	slab_record_give(allocator, number);
	allocator->counters.pages_slab -= slab_frames(cache);
	enum page_free_result freed = page_free(allocator->wiring.pages, frame, cache->geometry.order, cpu);
	SIM_ASSERT(freed == PAGE_FREE_OK);
	if (off_slab_freelist == 0)
		return;
	enum object_free_result given = slab_do_kfree(allocator, vaddr_of(off_slab_freelist), cpu);
	SIM_ASSERT(given == OBJECT_FREE_OK);
	allocator->off_slab_freelists--;
}

void slab_destroy_chain(struct slab_allocator *allocator, uint32_t doomed, unsigned cpu)
{
	while (doomed != 0) {
		uint32_t next = slab_at(allocator, doomed)->next;
		slab_destroy_one(allocator, doomed, cpu);
		doomed = next;
	}
}

/* Allocation. */

/* transfer_objects() from the shared array to the CPU's: its top batch, in order. Returns whether there was any. */
static bool refill_from_shared(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array,
                               uint32_t batch, unsigned cpu)
{
	struct array_cache *shared = cache->node.shared;
	vaddr at = slab_array_address(allocator, cache, cpu);
	step_use(allocator->steps);
	read_int(allocator, cache->shared_at, ARRAY_AVAIL);
	read_int(allocator, at, ARRAY_LIMIT);
	read_int(allocator, at, ARRAY_AVAIL);
	uint32_t room = array->limit - array->avail;
	uint32_t count = shared->avail < batch ? shared->avail : batch;
	count = count < room ? count : room;
	if (count == 0)
		return false;
	shared->avail -= count;
	memcpy(array->entry + array->avail, shared->entry + shared->avail, count * sizeof *array->entry);
	step_read(allocator->steps, entry_address(cache->shared_at, shared->avail), count * POINTER_BYTES);
	step_write(allocator->steps, entry_address(at, array->avail), count * POINTER_BYTES);
	update_int(allocator, cache->shared_at, ARRAY_AVAIL);
	update_int(allocator, at, ARRAY_AVAIL);
	step_write(allocator->steps, vaddr_of(cache->shared_at.addr + ARRAY_TOUCHED), INT_BYTES);
	array->avail += count;
	shared->touched = 1;
	return true;
}

/* Fills the array from slabs that there are; returns how many objects are still wanted. */
static uint32_t refill_from_lists(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array,
                                  uint32_t batch, unsigned cpu)
{
	while (batch > 0) {
		uint32_t number = get_first_slab(allocator, cache);
		if (number == 0)
			break;
		batch = alloc_block(allocator, cache, array, number, batch, cpu);
		fixup_slab_list(allocator, cache, number);
	}
	cache->node.free_objects -= array->avail;
	update_node(allocator, cache, NODE_FREE_OBJECTS, POINTER_BYTES);
	return batch;
}

static void refill_from_new_slab(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array,
                                 uint32_t batch, gfp flags, unsigned cpu)
{
	uint32_t number = cache_grow_begin(allocator, cache, flags, cpu);
	if (number == 0)
		return;
	find_array(allocator, cache);
	read_int(allocator, slab_array_address(allocator, cache, cpu), ARRAY_AVAIL);
	alloc_block(allocator, cache, array, number, batch, cpu);
	cache_grow_end(allocator, cache, number);
	allocator->counters.refill_grown++;
}

/* cache_alloc_refill(): false if there is no memory. */
static bool cache_alloc_refill(struct slab_allocator *allocator, struct slab_cache *cache, gfp flags, unsigned cpu)
{
	struct array_cache *array = cpu_array(cache, cpu);
	struct slab_counters *counters = &allocator->counters;
	uint32_t batch = array->batchcount;
	if (!array->touched && batch > BATCHREFILL_LIMIT)
		batch = BATCHREFILL_LIMIT;
	struct array_cache *shared = cache->node.shared;
	vaddr at = slab_array_address(allocator, cache, cpu);
	step_run(allocator->steps, CODE_SLAB_REFILL, costs(allocator)->slab_refill);
	find_array(allocator, cache);
	read_int(allocator, at, ARRAY_BATCHCOUNT);
	read_int(allocator, at, ARRAY_TOUCHED);
	read_int(allocator, at, ARRAY_AVAIL);
	find_node(allocator, cache);
	read_node(allocator, cache, NODE_SHARED, POINTER_BYTES);
	read_node(allocator, cache, NODE_FREE_OBJECTS, POINTER_BYTES);
	if (shared && cache->node.free_objects == 0)
		read_int(allocator, cache->shared_at, ARRAY_AVAIL);

	if (cache->node.free_objects > 0 || (shared && shared->avail > 0)) {
		step_path(allocator->steps, PATH_LISTS);
		lock_node(allocator, cache);
		read_node(allocator, cache, NODE_SHARED, POINTER_BYTES);
		if (shared && refill_from_shared(allocator, cache, array, batch, cpu)) {
			counters->refill_shared++;
		} else {
			batch = refill_from_lists(allocator, cache, array, batch, cpu);
			counters->refill_lists += array->avail > 0;
		}
		unlock_node(allocator, cache);
	}
	if (array->avail == 0)
		refill_from_new_slab(allocator, cache, array, batch, flags, cpu);
	return array->avail > 0;
}

/* ____cache_alloc(): the entry on top of the array; `object` is what it names, whose line is fetched. */
static void record_alloc(struct slab_allocator *allocator, const struct slab_cache *cache, const struct array_cache *array,
                         unsigned cpu, vaddr object)
{
	vaddr at = slab_array_address(allocator, cache, cpu);
	step_write(allocator->steps, vaddr_of(at.addr + ARRAY_TOUCHED), INT_BYTES);
	update_int(allocator, at, ARRAY_AVAIL);
	step_read(allocator->steps, entry_address(at, array->avail), POINTER_BYTES);
	step_use(allocator->steps);
	step_prefetch(allocator->steps, object);
}

/* slab_want_init_on_alloc(), memset() */
static void record_init(struct slab_allocator *allocator, const struct slab_cache *cache, gfp flags, vaddr object)
{
	bool zero = flags & __GFP_ZERO;
	if (allocator->wiring.settings->kernel.init_on_alloc) {
		read_cache(allocator, cache, CACHE_CTOR, POINTER_BYTES);
		if (!cache->ctor)
			read_cache(allocator, cache, CACHE_FLAGS, INT_BYTES);
		if (cache->ctor)
			zero = false;
		else if (!(cache->geometry.flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON)))
			zero = true;
	}
	if (!zero)
		return;
	read_cache(allocator, cache, CACHE_OBJECT_SIZE, INT_BYTES);
	step_write(allocator->steps, object, cache->object_size);
}

struct object slab_do_alloc(struct slab_allocator *allocator, struct slab_cache *cache, gfp flags, unsigned cpu)
{
	SIM_ASSERT(cpu < allocator->rules.cpus);
	struct array_cache *array = cpu_array(cache, cpu);
	step_run(allocator->steps, cache->kmalloc ? CODE_SLAB_KMALLOC : CODE_SLAB_ALLOC, costs(allocator)->slab_alloc);
	step_irqs(allocator->steps, IRQS_SAVE);
	find_array(allocator, cache);
	read_int(allocator, slab_array_address(allocator, cache, cpu), ARRAY_AVAIL);
	if (array->avail > 0) {
		allocator->counters.allochit++;
	} else {
		allocator->counters.allocmiss++;
		if (!cache_alloc_refill(allocator, cache, flags, cpu)) {
			allocator->counters.alloc_failed++;
			step_irqs(allocator->steps, IRQS_ENABLE);
			return (struct object){VADDR_NULL, cache->size, (cache_id){cache->id}};
		}
	}
	array->touched = 1;
	struct slab_entry entry = array->entry[--array->avail];
	struct slab *slab = slab_at(allocator, entry.slab);
	slab->bytes[entry.index / 8] |= (uint8_t)(1u << entry.index % 8);
	cache->live++;
	vaddr at = vaddr_of(slab_object_address(cache, slab, entry.index));
	if (allocator->steps->recording) {
		record_alloc(allocator, cache, array, cpu, at);
		step_irqs(allocator->steps, IRQS_ENABLE);
		record_init(allocator, cache, flags, at);
	}
	return (struct object){at, cache->size, (cache_id){cache->id}};
}

/* Freeing. */

static void put_back(struct slab_allocator *allocator, struct slab_cache *cache, struct slab_entry entry)
{
	struct slab *slab = slab_at(allocator, entry.slab);
	touch_virt_to_slab(allocator, slab, slab_object_address(cache, slab, entry.index));
	slab_list_del(allocator, cache, entry.slab);
	put_into_slab(allocator, cache, slab, entry.index);
	if (slab->active > 0) {
		slab_list_add_tail(allocator, cache, SLABS_PARTIAL, entry.slab);
		return;
	}
	slab_list_add(allocator, cache, SLABS_FREE, entry.slab);
	update_node(allocator, cache, NODE_FREE_SLABS, POINTER_BYTES);
	cache->node.free_slabs++;
}

void slab_free_block(struct slab_allocator *allocator, struct slab_cache *cache, const struct slab_entry *entries, uint32_t count,
                     uint32_t *doomed)
{
	struct slab_node *node = &cache->node;
	step_path(allocator->steps, PATH_LISTS);
	step_run(allocator->steps, CODE_SLAB_FREE_OBJECT, costs(allocator)->slab_free_object * count);
	update_node(allocator, cache, NODE_FREE_OBJECTS, POINTER_BYTES);
	node->free_objects += count;
	for (uint32_t i = 0; i < count; i++)
		put_back(allocator, cache, entries[i]);
	allocator->counters.num_frees += count;
	allocator->counters.num_active -= count;
	read_node(allocator, cache, NODE_FREE_OBJECTS, POINTER_BYTES);
	read_node(allocator, cache, NODE_FREE_LIMIT, INT_BYTES);
	while (node->free_objects > node->free_limit && node->list[SLABS_FREE].last != 0) {
		uint32_t number = node->list[SLABS_FREE].last;
		update_node(allocator, cache, NODE_FREE_OBJECTS, POINTER_BYTES);
		read_node(allocator, cache, NODE_LISTS + 5 * POINTER_BYTES, POINTER_BYTES);
		step_use(allocator->steps);
		slab_list_del(allocator, cache, number);
		slab_at(allocator, number)->next = *doomed;
		*doomed = number;
		node->free_objects -= cache->num;
		node->free_slabs--;
		node->total_slabs--;
		update_node(allocator, cache, NODE_FREE_SLABS, POINTER_BYTES);
		update_node(allocator, cache, NODE_TOTAL_SLABS, POINTER_BYTES);
		allocator->counters.over_limit++;
	}
}

/* Appends the bottom of the CPU's array to the shared one; returns how many objects there was room for. */
static uint32_t flush_to_shared(struct slab_allocator *allocator, struct slab_cache *cache, const struct array_cache *array,
                                uint32_t batch, vaddr at)
{
	struct array_cache *shared = cache->node.shared;
	uint32_t room = shared->limit - shared->avail;
	uint32_t count = batch < room ? batch : room;
	memcpy(shared->entry + shared->avail, array->entry, count * sizeof *array->entry);
	step_use(allocator->steps);
	read_int(allocator, cache->shared_at, ARRAY_LIMIT);
	read_int(allocator, cache->shared_at, ARRAY_AVAIL);
	if (count > 0) {
		step_read(allocator->steps, entry_address(at, 0), count * POINTER_BYTES);
		step_write(allocator->steps, entry_address(cache->shared_at, shared->avail), count * POINTER_BYTES);
		update_int(allocator, cache->shared_at, ARRAY_AVAIL);
	}
	shared->avail += count;
	return count;
}

/* cache_flusharray(): the oldest batch of a full array leaves it. */
static void cache_flusharray(struct slab_allocator *allocator, struct slab_cache *cache, struct array_cache *array, unsigned cpu)
{
	uint32_t batch = array->batchcount;
	uint32_t doomed = 0;
	vaddr at = slab_array_address(allocator, cache, cpu);
	step_run(allocator->steps, CODE_SLAB_FLUSH, costs(allocator)->slab_flush);
	step_path(allocator->steps, PATH_LISTS);
	read_int(allocator, at, ARRAY_BATCHCOUNT);
	find_node(allocator, cache);
	lock_node(allocator, cache);
	read_node(allocator, cache, NODE_SHARED, POINTER_BYTES);
	uint32_t moved = cache->node.shared ? flush_to_shared(allocator, cache, array, batch, at) : 0;
	if (moved > 0) {
		batch = moved;
		allocator->counters.flush_shared++;
	} else {
		step_read(allocator->steps, entry_address(at, 0), batch * POINTER_BYTES);
		slab_free_block(allocator, cache, array->entry, batch, &doomed);
		allocator->counters.flush_lists++;
	}
	unlock_node(allocator, cache);
	update_int(allocator, at, ARRAY_AVAIL);
	array->avail -= batch;
	memmove(array->entry, array->entry + batch, array->avail * sizeof *array->entry);
	step_read(allocator->steps, entry_address(at, batch), array->avail * POINTER_BYTES);
	step_write(allocator->steps, entry_address(at, 0), array->avail * POINTER_BYTES);
	slab_destroy_chain(allocator, doomed, cpu);
}

struct slab_entry slab_find_object(const struct slab_allocator *allocator, vaddr at)
{
	uint32_t number = frame_map_get(&allocator->kmalloc.frames, layout_pfn_of(allocator->wiring.layout, at));
	if (number == 0 || number & FRAME_LARGE)
		return (struct slab_entry){0, 0};
	const struct slab *slab = slab_at(allocator, number);
	const struct slab_cache *cache = slab->cache;
	uint64_t offset = at.addr - slab->s_mem;
	if (offset >= (uint64_t)cache->num * cache->size)
		return (struct slab_entry){0, 0};
	uint32_t index = (uint32_t)(offset * cache->reciprocal >> 32);
	if ((uint64_t)index * cache->size != offset)
		return (struct slab_entry){0, 0};
	return (struct slab_entry){number, index};
}

/* kmem_cache_free(), kfree(): the object's page leads to its slab twice, first for the cache; then the CPU's array. */
static void record_free(struct slab_allocator *allocator, const struct slab *slab, uint64_t object, unsigned cpu)
{
	const struct slab_cache *cache = slab->cache;
	vaddr at = slab_array_address(allocator, cache, cpu);
	step_run(allocator->steps, cache->kmalloc ? CODE_SLAB_KFREE : CODE_SLAB_FREE, costs(allocator)->slab_free);
	touch_virt_to_slab(allocator, slab, object);
	step_read(allocator->steps, slab_page_field(allocator, slab, SLAB_PAGE_CACHE), POINTER_BYTES);
	step_irqs(allocator->steps, IRQS_SAVE);
	touch_virt_to_slab(allocator, slab, object);
	find_array(allocator, cache);
	read_int(allocator, at, ARRAY_AVAIL);
	read_int(allocator, at, ARRAY_LIMIT);
}

/* __free_one(): hardened kernels look whether the entry on top is the same object. */
static void record_free_one(struct slab_allocator *allocator, const struct slab_cache *cache, const struct array_cache *array,
                            unsigned cpu)
{
	vaddr at = slab_array_address(allocator, cache, cpu);
	read_int(allocator, at, ARRAY_AVAIL);
	if (array->avail > 0 && allocator->wiring.settings->kernel.slab_freelist_hardened)
		step_read(allocator->steps, entry_address(at, array->avail - 1), POINTER_BYTES);
	update_int(allocator, at, ARRAY_AVAIL);
	step_write(allocator->steps, entry_address(at, array->avail), POINTER_BYTES);
}

static enum object_free_result free_entry(struct slab_allocator *allocator, struct slab_entry entry, unsigned cpu)
{
	struct slab *slab = slab_at(allocator, entry.slab);
	if (!slab_object_live(slab, entry.index))
		return OBJECT_FREE_NOT_ALLOCATED;
	SIM_ASSERT(cpu < allocator->rules.cpus);
	struct slab_cache *cache = slab->cache;
	struct array_cache *array = cpu_array(cache, cpu);
	slab->bytes[entry.index / 8] &= (uint8_t) ~(1u << entry.index % 8);
	cache->live--;
	if (allocator->steps->recording)
		record_free(allocator, slab, slab_object_address(cache, slab, entry.index), cpu);
	if (array->avail < array->limit) {
		allocator->counters.freehit++;
	} else {
		allocator->counters.freemiss++;
		cache_flusharray(allocator, cache, array, cpu);
	}
	if (allocator->steps->recording)
		record_free_one(allocator, cache, array, cpu);
	step_irqs(allocator->steps, IRQS_ENABLE);
	array->entry[array->avail++] = entry;
	return OBJECT_FREE_OK;
}

/* The port. */

static struct object slab_alloc(struct object_allocator *objects, cache_id id, gfp flags, unsigned cpu)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	struct slab_cache *cache = slab_cache_of(allocator, id);
	SIM_ASSERT(cache);
	return slab_do_alloc(allocator, cache, flags, cpu);
}

static enum object_free_result slab_free(struct object_allocator *objects, cache_id id, vaddr at, unsigned cpu)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	struct slab_cache *cache = slab_cache_of(allocator, id);
	SIM_ASSERT(cache);
	struct slab_entry entry = slab_find_object(allocator, at);
	if (entry.slab == 0)
		return kmalloc_large_bytes(&allocator->kmalloc, at) ? OBJECT_FREE_WRONG_CACHE : OBJECT_FREE_NOT_OBJECT;
	if (slab_at(allocator, entry.slab)->cache != cache)
		return OBJECT_FREE_WRONG_CACHE;
	return free_entry(allocator, entry, cpu);
}

static struct object slab_kmalloc(struct object_allocator *objects, uint32_t size, gfp flags, unsigned cpu)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	if (size > KMALLOC_MAX_CACHE_SIZE)
		return kmalloc_large(&allocator->kmalloc, size, flags, cpu);
	if (size == 0)
		return (struct object){ZERO_SIZE_PTR, 0, CACHE_NONE};
	if (allocator->steps->recording)
		kmalloc_touch_slab(&allocator->kmalloc, size, flags);
	return slab_do_alloc(allocator, allocator->caches[kmalloc_slab(&allocator->kmalloc, size, flags).nr], flags, cpu);
}

enum object_free_result slab_do_kfree(struct slab_allocator *allocator, vaddr at, unsigned cpu)
{
	if (at.addr <= ZERO_SIZE_PTR.addr)
		return OBJECT_FREE_OK;
	pfn frame = layout_pfn_of(allocator->wiring.layout, at);
	if (frame_map_get(&allocator->kmalloc.frames, frame) & FRAME_LARGE)
		return kfree_large(&allocator->kmalloc, at, cpu);
	struct slab_entry entry = slab_find_object(allocator, at);
	if (entry.slab == 0)
		return OBJECT_FREE_NOT_OBJECT;
	return free_entry(allocator, entry, cpu);
}

static enum object_free_result slab_kfree(struct object_allocator *objects, vaddr at, unsigned cpu)
{
	return slab_do_kfree(slab_allocator_of(objects), at, cpu);
}

static uint32_t slab_ksize(const struct object_allocator *objects, vaddr at)
{
	const struct slab_allocator *allocator = reading(objects);
	struct slab_entry entry = slab_find_object(allocator, at);
	if (entry.slab == 0)
		return kmalloc_large_bytes(&allocator->kmalloc, at);
	const struct slab *slab = slab_at(allocator, entry.slab);
	return slab_object_live(slab, entry.index) ? slab->cache->object_size : 0;
}

static cache_id slab_port_create(struct object_allocator *objects, const struct cache_spec *spec)
{
	return slab_create_cache(slab_allocator_of(objects), spec);
}

static bool slab_port_destroy(struct object_allocator *objects, cache_id id, unsigned cpu)
{
	return slab_destroy_cache(slab_allocator_of(objects), id, cpu);
}

static void slab_port_shrink(struct object_allocator *objects, cache_id id, unsigned cpu)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	struct slab_cache *cache = slab_cache_of(allocator, id);
	SIM_ASSERT(cache);
	slab_shrink_cache(allocator, cache, cpu);
}

static uint32_t slab_cache_limit(const struct object_allocator *objects)
{
	return reading(objects)->cache_limit;
}

static bool slab_cache_view(const struct object_allocator *objects, cache_id id, struct cache_view *view)
{
	return slab_view(reading(objects), id, view);
}

static uint64_t slab_pages_held(const struct object_allocator *objects)
{
	return reading(objects)->counters.pages_slab + reading(objects)->kmalloc.pages_large;
}

static uint64_t slab_pages_large(const struct object_allocator *objects)
{
	return reading(objects)->kmalloc.pages_large;
}

/* The counters lie in two places of the allocator, so their rows count offsets from its beginning. */
#define ROW(field, name, unit, kind, help) \
	{ \
#name, unit, kind, help, offsetof(struct slab_allocator, field.name) \
	}
#define COUNTER(name, help) ROW(counters, name, "1", METRIC_COUNTER, help)

static const struct metric slab_metrics[] = {
        COUNTER(allochit, "Allocations served from the CPU's array"),
        COUNTER(allocmiss, "Allocations that found the CPU's array empty"),
        COUNTER(freehit, "Frees into a CPU array with room"),
        COUNTER(freemiss, "Frees that had to flush the CPU's array first"),
        COUNTER(refill_shared, "CPU arrays refilled from the shared array"),
        COUNTER(refill_lists, "CPU arrays refilled from slabs on the lists"),
        COUNTER(refill_grown, "CPU arrays refilled from a new slab"),
        COUNTER(alloc_failed, "Allocations that got no memory"),
        COUNTER(flush_shared, "CPU arrays flushed to the shared array"),
        COUNTER(flush_lists, "CPU arrays flushed back into their slabs"),
        COUNTER(num_allocations, "Objects moved out of slabs"),
        COUNTER(num_frees, "Objects moved back into slabs"),
        ROW(counters, num_active, "1", METRIC_GAUGE, "Objects outside their slabs: in use or in an array"),
        ROW(counters, high_mark, "1", METRIC_GAUGE, "The most objects that were outside their slabs at once"),
        COUNTER(grown, "Slabs taken from the page allocator"),
        COUNTER(reaped, "Free slabs given back by the reaper"),
        COUNTER(shrunk, "Free slabs given back by shrinking or destroying a cache"),
        COUNTER(over_limit, "Free slabs given back because the cache had more free objects than its limit"),
        ROW(counters, pages_slab, "pages", METRIC_GAUGE, "Frames held as slabs"),
        ROW(kmalloc.counters, large_allocs, "1", METRIC_COUNTER, "Requests above the largest cache, served by whole blocks"),
        ROW(kmalloc.counters, large_frees, "1", METRIC_COUNTER, "Such blocks given back"),
        ROW(kmalloc.counters, large_failures, "1", METRIC_COUNTER, "Such requests that got no memory"),
        METRIC_END};

static const void *slab_counters(const struct object_allocator *objects)
{
	return objects;
}

static void slab_destroy(struct object_allocator *objects)
{
	struct slab_allocator *allocator = slab_allocator_of(objects);
	slab_release_caches(allocator);
	kmalloc_release(&allocator->kmalloc);
	lazy_free(allocator->arena, allocator->arena_units, SLAB_UNIT);
	free(allocator);
}

static const struct object_follow_ops slab_follow_ops = {
        .holds = slab_holds, .evict = slab_evict, .daemon_seen = slab_reaper_seen};

const struct object_allocator_ops object_allocator_slab_ops = {
        .name = "slab",
        .help = "Linux 6.1 SLAB: per-CPU arrays over slabs with colours, kept on partial, full and free lists",
        .cache_create = slab_port_create,
        .cache_destroy = slab_port_destroy,
        .cache_shrink = slab_port_shrink,
        .alloc = slab_alloc,
        .free = slab_free,
        .kmalloc = slab_kmalloc,
        .kfree = slab_kfree,
        .cpu_dead = slab_cpu_dead,
        .tick = slab_tick,
        .ksize = slab_ksize,
        .cache_limit = slab_cache_limit,
        .cache_view = slab_cache_view,
        .pages_held = slab_pages_held,
        .pages_large = slab_pages_large,
        .print_state = slab_print_state,
        .load_state = slab_load_state,
        .place_slab = slab_place_slab,
        .follow = &slab_follow_ops,
        .check = slab_check,
        .metrics = slab_metrics,
        .counters = slab_counters,
        .destroy = slab_destroy,
};

static struct slab_rules rules_of(const struct object_allocator_wiring *wiring)
{
	const struct settings *settings = wiring->settings;
	uint32_t max_order = settings->kernel.slab_max_order;
	return (struct slab_rules){
	        .cache_line_bytes = settings->machine.cache_line_bytes,
	        .max_order = max_order != SLAB_MAX_ORDER_AUTO ? max_order : slab_max_order_auto(wiring->pages->managed_pages),
	        .cpus = settings->machine.cpus ? settings->machine.cpus : 1,
	        .memcg_kmem = settings->kernel.memcg_kmem,
	};
}

struct object_allocator *object_allocator_slab_create(const struct object_allocator_wiring *wiring, struct error *error)
{
	struct slab_rules rules = rules_of(wiring);
	uint32_t line = rules.cache_line_bytes;
	if (line < 8 || (line & (line - 1)) != 0 || rules.cpus > CPUS_MAX || rules.max_order >= ORDERS) {
		error_set(error, ERROR_USAGE,
		          "slab: cache_line %u bytes must be a power of two from 8 on, cpus %u at most %u, slab_max_order %u at "
		          "most %u",
		          line, rules.cpus, CPUS_MAX, rules.max_order, ORDERS - 1);
		return NULL;
	}
	if (!cache_tunables_check(wiring->settings, error))
		return NULL;
	struct slab_allocator *allocator = xcalloc(1, sizeof *allocator);
	allocator->port.ops = &object_allocator_slab_ops;
	allocator->wiring = *wiring;
	allocator->steps = wiring->steps;
	allocator->rules = rules;
	allocator->merge = wiring->settings->kernel.slab_merge;
	allocator->freelist_random = wiring->settings->kernel.slab_freelist_random;
	allocator->node_stat_offset = layout_per_cpu_alloc(wiring->layout, PER_CPU_NODESTAT_BYTES, PER_CPU_ALIGN_MIN);
	rng_init(&allocator->freelist_rng, wiring->seed, "slab freelists");
	allocator->arena_units = ((size_t)wiring->pages->end_pfn + 1) * ARENA_UNITS_PER_FRAME;
	allocator->arena = lazy_alloc(allocator->arena_units, SLAB_UNIT);
	allocator->arena_used = 1;
	kmalloc_init(&allocator->kmalloc, &allocator->wiring, KMALLOC_SHIFT_LOW_SLAB);
	kmalloc_create_caches(&allocator->kmalloc, SLAB_HWCACHE_ALIGN, slab_create_kmalloc_cache, allocator);
	return &allocator->port;
}
