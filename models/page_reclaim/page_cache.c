/* SPDX-License-Identifier: MIT
 *
 * page_cache.c - pages of files in memory (interface, source and laws: page_cache.h).
 *
 * A file's places lie in chunks of 64, made when the first is used. A place is 0, the shadow of an evicted page (odd), or twice
 * the frame's number plus 1.
 */
#include "models/page_reclaim/page_cache.h"
#include "models/kernel_code.h"

#include <stdlib.h>

#define CHUNK_PAGES 64
/* mm/filemap.c: MMAP_LOTSAMISS. */
#define LOTS_OF_MISSES 100
/* mm/page-writeback.c: ratelimit_pages; dirty_writeback_interval, dirty_expire_interval in centiseconds there. */
#define RATELIMIT_PAGES 32
#define WRITEBACK_INTERVAL_NS 5000000000ull
#define EXPIRE_INTERVAL_NS 30000000000ull

struct chunk {
	uint64_t places[CHUNK_PAGES];
	uint64_t dirty; /* a bit a place */
};

/* struct file_ra_state */
struct read_ahead {
	uint32_t start, size, async_size, mmap_miss;
};

struct cached_file {
	uint32_t pages; /* 0: no such file any more */
	uint32_t dirty;
	uint64_t dirtied_ns; /* its oldest dirty page, as its inode tells */
	struct read_ahead ra;
	struct chunk **chunks;
};

struct page_cache {
	struct page_lru *lru;
	struct cached_file *files;
	uint32_t file_count;
	uint64_t pages, dirty;
	uint32_t dirtied; /* since the limits were looked at */
	uint64_t next_tick_ns;
};

struct page_cache *page_cache_create(struct page_lru *lru)
{
	struct page_cache *cache = xcalloc(1, sizeof *cache);
	cache->lru = lru;
	cache->next_tick_ns = WRITEBACK_INTERVAL_NS;
	return cache;
}

uint32_t page_cache_add_file(struct page_cache *cache, uint32_t pages)
{
	SIM_ASSERT(pages > 0 && pages <= CACHED_FILE_PAGES_MAX);
	cache->files = xrealloc(cache->files, (cache->file_count + 1) * sizeof *cache->files);
	struct cached_file *file = &cache->files[cache->file_count];
	*file = (struct cached_file){.pages = pages};
	file->chunks = xcalloc(pages / CHUNK_PAGES + 1, sizeof(struct chunk *));
	return cache->file_count++;
}

static struct cached_file *file_at(const struct page_cache *cache, uint32_t file)
{
	SIM_ASSERT(file < cache->file_count && cache->files[file].pages);
	return &cache->files[file];
}

void page_cache_grow_file(struct page_cache *cache, uint32_t number, uint32_t pages)
{
	struct cached_file *file = file_at(cache, number);
	SIM_ASSERT(pages <= CACHED_FILE_PAGES_MAX);
	if (pages <= file->pages)
		return;
	uint32_t had = file->pages / CHUNK_PAGES + 1, has = pages / CHUNK_PAGES + 1;
	file->chunks = xrealloc(file->chunks, has * sizeof(struct chunk *));
	for (uint32_t chunk = had; chunk < has; chunk++)
		file->chunks[chunk] = NULL;
	file->pages = pages;
}

static struct chunk *chunk_of(const struct page_cache *cache, uint32_t file, uint32_t index)
{
	return cache->files[file].chunks[index / CHUNK_PAGES];
}

static uint64_t *place_of(struct page_cache *cache, uint32_t file, uint32_t index)
{
	struct chunk **chunk = &cache->files[file].chunks[index / CHUNK_PAGES];
	if (!*chunk)
		*chunk = xcalloc(1, sizeof **chunk);
	return &(*chunk)->places[index % CHUNK_PAGES];
}

static uint64_t place_of_frame(uint32_t frame)
{
	return ((uint64_t)frame + 1) << 1;
}

uint32_t page_cache_find(const struct page_cache *cache, uint32_t file, uint32_t index)
{
	const struct chunk *chunk = chunk_of(cache, file, index);
	uint64_t place = chunk ? chunk->places[index % CHUNK_PAGES] : 0;
	return place && !(place & 1) ? (uint32_t)((place >> 1) - 1) : PAGE_NONE;
}

void page_cache_moved(struct page_cache *cache, uint32_t file, uint32_t index, uint32_t to)
{
	*place_of(cache, file, index) = place_of_frame(to);
}

void page_cache_evict(struct page_cache *cache, uint32_t file, uint32_t index, page_shadow shadow)
{
	SIM_ASSERT(page_cache_find(cache, file, index) != PAGE_NONE);
	*place_of(cache, file, index) = shadow.bits;
	cache->pages--;
}

/* --- dirty pages --- */

static uint64_t dirty_bit(uint32_t index)
{
	return 1ull << index % CHUNK_PAGES;
}

static void clear_dirty(struct page_cache *cache, uint32_t frame)
{
	struct user_page *page = page_of(cache->lru, frame);
	SIM_ASSERT(page->marks & PG_DIRTY);
	page->marks &= (uint16_t)~PG_DIRTY;
	chunk_of(cache, page->file, page->index)->dirty &= ~dirty_bit(page->index);
	cache->files[page->file].dirty--;
	cache->dirty--;
}

/* Pages of a file from `first` on go in one request; they are clean from then on, and on their way. */
static struct block_answer write_run(struct page_cache *cache, unsigned cpu, uint32_t file, uint32_t first, uint32_t pages)
{
	struct page_lru *lru = cache->lru;
	struct block_answer answer = block_device_write(&lru->disk, page_lru_now(lru, cpu), pages * PAGE_SIZE);
	lru->counters.pgpgout += pages;
	for (uint32_t index = first; index < first + pages; index++) {
		uint32_t frame = page_cache_find(cache, file, index);
		clear_dirty(cache, frame);
		writeback_start(lru, WRITE_DISK, frame, answer.done_ns);
	}
	return answer;
}

uint64_t page_cache_write(struct page_cache *cache, unsigned cpu, uint32_t frame)
{
	const struct user_page *page = page_of(cache->lru, frame);
	return write_run(cache, cpu, page->file, page->index, 1).taken_ns;
}

/* Dirty, and not being written already (write_cache_pages() of WB_SYNC_NONE). */
static bool may_be_written(const struct page_cache *cache, const struct chunk *chunk, uint32_t file, uint32_t index)
{
	return chunk->dirty & dirty_bit(index) && !page_has(cache->lru, page_cache_find(cache, file, index), PG_WRITEBACK);
}

/* The dirty pages of a file, neighbours in one request. MODEL: requests end with their chunk. Stops with `enough` written. */
static uint64_t write_file(struct page_cache *cache, unsigned cpu, uint32_t number, uint64_t enough)
{
	uint64_t written = 0;
	struct cached_file *file = &cache->files[number];
	for (uint32_t first = 0; first < file->pages && file->dirty && written < enough; first += CHUNK_PAGES) {
		const struct chunk *chunk = file->chunks[first / CHUNK_PAGES];
		uint32_t run = 0;
		for (uint32_t index = first; chunk && index <= first + CHUNK_PAGES; index++) {
			if (index < first + CHUNK_PAGES && may_be_written(cache, chunk, number, index)) {
				run++;
				continue;
			}
			if (run)
				write_run(cache, cpu, number, index - run, run);
			written += run;
			run = 0;
		}
	}
	return written;
}

void page_cache_wake_flusher(struct page_cache *cache, unsigned cpu)
{
	for (uint32_t file = 0; file < cache->file_count && cache->dirty; file++)
		write_file(cache, cpu, file, UINT64_MAX);
}

void page_cache_tick(struct page_cache *cache, unsigned cpu)
{
	uint64_t now_ns = page_lru_now(cache->lru, cpu);
	if (now_ns < cache->next_tick_ns)
		return;
	cache->next_tick_ns = now_ns + WRITEBACK_INTERVAL_NS;
	for (uint32_t file = 0; file < cache->file_count && cache->dirty; file++)
		if (cache->files[file].dirty && now_ns - cache->files[file].dirtied_ns >= EXPIRE_INTERVAL_NS)
			write_file(cache, cpu, file, UINT64_MAX);
}

/* global_dirtyable_memory(). MODEL: the zones' reserves are not taken off. */
static uint64_t dirtyable_pages(const struct page_lru *lru)
{
	uint64_t pages = 0;
	for (unsigned nr = 0; nr < lru->zone_count; nr++) {
		struct zone_view view;
		lru->pages->ops->zone_view(lru->pages, nr, &view);
		pages += view.free_pages;
	}
	for (unsigned node = 0; node < LRU_NODES_MAX; node++)
		pages += lru->nodes[node].pages[LRU_INACTIVE_FILE] + lru->nodes[node].pages[LRU_ACTIVE_FILE];
	return pages;
}

void page_cache_balance(struct page_cache *cache, unsigned cpu, bool waits)
{
	struct page_lru *lru = cache->lru;
	if (cache->dirtied < RATELIMIT_PAGES)
		return;
	cache->dirtied = 0;
	uint64_t dirtyable = dirtyable_pages(lru);
	uint64_t background = dirtyable * lru->spec.dirty_background_ratio / 100;
	uint64_t limit = dirtyable * lru->spec.dirty_ratio / 100;
	bool beyond = cache->dirty + writeback_pages(lru) > limit;
	for (uint32_t file = 0; file < cache->file_count && cache->dirty > background; file++)
		write_file(cache, cpu, file, cache->dirty - background);
	if (beyond && waits)
		page_lru_wait_until(lru, cpu, lru->disk.last_done_ns);
}

void page_cache_found_dirty(struct page_cache *cache, unsigned cpu, uint32_t frame)
{
	struct user_page *page = page_of(cache->lru, frame);
	SIM_ASSERT(page->marks & PG_FILE);
	page->marks &= (uint16_t)~PG_READAHEAD;
	if (page->marks & PG_DIRTY)
		return;
	struct cached_file *file = file_at(cache, page->file);
	page->marks |= PG_DIRTY;
	chunk_of(cache, page->file, page->index)->dirty |= dirty_bit(page->index);
	if (!file->dirty++)
		file->dirtied_ns = page_lru_now(cache->lru, cpu);
	cache->dirty++;
	cache->dirtied++;
}

void page_cache_set_dirty(struct page_cache *cache, unsigned cpu, uint32_t frame)
{
	page_cache_found_dirty(cache, cpu, frame);
	page_cache_balance(cache, cpu, true);
}

uint64_t page_cache_dirty_pages(const struct page_cache *cache)
{
	return cache->dirty;
}

/* --- pages coming in --- */

/* filemap_alloc_folio(), filemap_add_folio(). The frame is there, its contents are not. PAGE_NONE: no memory. */
static uint32_t add_page(struct page_cache *cache, unsigned cpu, uint32_t file, uint32_t index, gfp flags, unsigned marks)
{
	struct page_lru *lru = cache->lru;
	pfn frame = page_alloc(lru->pages, 0, flags, cpu);
	if (frame.nr == UINT32_MAX)
		return PAGE_NONE;
	uint64_t *place = place_of(cache, file, index);
	step_spend(lru->steps, lru->spec.cost.read_ahead_page);
	marks |= PG_FILE;
	lru_refault(lru, frame.nr, &marks, (page_shadow){*place});
	*place = place_of_frame(frame.nr);
	cache->pages++;
	lru->frames[frame.nr].file = file;
	lru->frames[frame.nr].index = index;
	lru->frames[frame.nr].ready_ns = UINT64_MAX;
	page_lru_add(lru, cpu, frame.nr, marks);
	return frame.nr;
}

/* The pages before `end` that wait for it are read in one request. */
static void read_run(struct page_cache *cache, unsigned cpu, uint32_t file, uint32_t end, uint32_t pages)
{
	struct page_lru *lru = cache->lru;
	if (!pages)
		return;
	step_run(lru->steps, CODE_BLOCK_REQUEST, lru->spec.cost.block_request);
	struct block_answer answer = block_device_read(&lru->disk, page_lru_now(lru, cpu), pages * PAGE_SIZE);
	lru->counters.pgpgin += pages;
	for (uint32_t index = end - pages; index < end; index++)
		lru->frames[page_cache_find(cache, file, index)].ready_ns = answer.done_ns;
	page_lru_wait_until(lru, cpu, answer.taken_ns);
}

/* do_page_cache_ra(): up to `wanted` pages from `start` on; the one `look_ahead` before their end is marked. */
static void read_pages(struct page_cache *cache, unsigned cpu, uint32_t number, uint32_t start, uint32_t wanted,
                       uint32_t look_ahead)
{
	const struct cached_file *file = file_at(cache, number);
	uint32_t run = 0, index = start;
	if (start >= file->pages)
		return;
	if (wanted > file->pages - start)
		wanted = file->pages - start;
	step_run(cache->lru->steps, CODE_READ_AHEAD, cache->lru->spec.cost.read_ahead);
	for (; index < start + wanted; index++) {
		if (page_cache_find(cache, number, index) != PAGE_NONE) {
			read_run(cache, cpu, number, index, run);
			run = 0;
			continue;
		}
		unsigned marks = index - start == wanted - look_ahead ? PG_READAHEAD : 0;
		gfp flags = (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN) & ~(gfp)__GFP_FS;
		if (add_page(cache, cpu, number, index, flags, marks) == PAGE_NONE)
			break;
		run++;
	}
	read_run(cache, cpu, number, index, run);
}

static uint32_t first_size(uint32_t size, uint32_t most)
{
	uint32_t rounded = 1;
	while (rounded < size)
		rounded *= 2;
	if (rounded <= most / 32)
		return rounded * 4;
	return rounded <= most / 4 ? rounded * 2 : most;
}

static uint32_t next_size(uint32_t size, uint32_t most)
{
	if (size < most / 16)
		return 4 * size;
	return size <= most / 2 ? 2 * size : most;
}

/* page_cache_next_miss(): pages in memory from `index` on; `most` at most. */
static uint32_t cached_from(const struct page_cache *cache, uint32_t file, uint32_t index, uint32_t most)
{
	uint32_t pages = 0;
	while (pages < most && index + pages < cache->files[file].pages &&
	       page_cache_find(cache, file, index + pages) != PAGE_NONE)
		pages++;
	return pages;
}

/* The new window, as far as it does not hit its own mark at once. */
static void read_window(struct page_cache *cache, unsigned cpu, uint32_t number, uint32_t index)
{
	struct read_ahead *ra = &file_at(cache, number)->ra;
	uint32_t most = cache->lru->spec.read_ahead_pages;
	if (index == ra->start && ra->size == ra->async_size) {
		uint32_t more = next_size(ra->size, most);
		if (ra->size + more <= most) {
			ra->async_size = more;
			ra->size += more;
		} else {
			ra->size = most;
			ra->async_size = most / 2;
		}
	}
	read_pages(cache, cpu, number, ra->start, ra->size, ra->async_size);
}

/* ondemand_readahead() of a fault, which always asks for a whole window; `marked`: at a page marked for it. */
static void read_on_demand(struct page_cache *cache, unsigned cpu, uint32_t number, uint32_t index, bool marked)
{
	struct read_ahead *ra = &file_at(cache, number)->ra;
	uint32_t most = cache->lru->spec.read_ahead_pages;
	if (index && (index == ra->start + ra->size - ra->async_size || index == ra->start + ra->size)) {
		uint32_t next = next_size(ra->size, most);
		ra->start += ra->size;
		ra->size = ra->size > next ? ra->size : next;
		ra->async_size = ra->size;
	} else if (index && marked) {
		uint32_t cached = cached_from(cache, number, index + 1, most);
		if (cached == most)
			return;
		ra->start = index + 1 + cached;
		ra->size = next_size(1 + cached + most, most);
		ra->async_size = ra->size;
	} else if (index > 1) {
		/* Nothing says that it goes on: try_context_readahead() looks back no farther than the fault asks for, so it never
		 * finds more. */
		read_pages(cache, cpu, number, index, most, 0);
		return;
	} else {
		ra->start = index;
		ra->size = first_size(most, most);
		ra->async_size = ra->size;
	}
	read_window(cache, cpu, number, index);
}

/* do_sync_mmap_readahead() */
static void read_around(struct page_cache *cache, unsigned cpu, uint32_t number, uint32_t index, enum file_advice advice)
{
	struct read_ahead *ra = &file_at(cache, number)->ra;
	uint32_t most = cache->lru->spec.read_ahead_pages;
	if (advice == FILE_RANDOM || !most)
		return;
	if (advice == FILE_SEQUENTIAL) {
		read_on_demand(cache, cpu, number, index, false);
		return;
	}
	if (ra->mmap_miss < LOTS_OF_MISSES * 10)
		ra->mmap_miss++;
	if (ra->mmap_miss > LOTS_OF_MISSES)
		return;
	ra->start = index > most / 2 ? index - most / 2 : 0;
	ra->size = most;
	ra->async_size = most / 4;
	read_pages(cache, cpu, number, ra->start, ra->size, ra->async_size);
}

/* do_async_mmap_readahead(), page_cache_async_ra(); true: the page is marked for it. */
static bool read_behind(struct page_cache *cache, unsigned cpu, uint32_t number, uint32_t index, uint32_t frame,
                        enum file_advice advice)
{
	struct page_lru *lru = cache->lru;
	struct read_ahead *ra = &file_at(cache, number)->ra;
	if (advice == FILE_RANDOM || !lru->spec.read_ahead_pages)
		return false;
	ra->mmap_miss -= ra->mmap_miss > 0;
	if (!page_has(lru, frame, PG_READAHEAD))
		return false;
	/* The mark is reclaim's. */
	if (page_has(lru, frame, PG_WRITEBACK))
		return true;
	lru->frames[frame].marks &= (uint16_t)~PG_READAHEAD;
	read_on_demand(cache, cpu, number, index, true);
	return true;
}

/* Locked, and not uptodate. */
static bool is_being_read(const struct page_lru *lru, unsigned cpu, uint32_t frame)
{
	return lru->frames[frame].ready_ns > page_lru_now(lru, cpu);
}

uint32_t page_cache_next(struct page_cache *cache, unsigned cpu, uint32_t number, uint32_t *index, uint32_t last)
{
	struct cached_file *file = file_at(cache, number);
	for (; *index <= last && *index < file->pages; ++*index) {
		uint32_t frame = page_cache_find(cache, number, *index);
		if (frame == PAGE_NONE || page_has(cache->lru, frame, PG_READAHEAD) || is_being_read(cache->lru, cpu, frame))
			continue;
		file->ra.mmap_miss -= file->ra.mmap_miss > 0;
		return frame;
	}
	return PAGE_NONE;
}

enum file_fault_result page_cache_fault(struct page_cache *cache, unsigned cpu, uint32_t file, uint32_t index,
                                        enum file_advice advice, uint32_t *frame)
{
	struct page_lru *lru = cache->lru;
	enum file_fault_result result = FILE_FAULT_MINOR;
	if (index >= file_at(cache, file)->pages)
		return FILE_FAULT_BEYOND_END;
	*frame = page_cache_find(cache, file, index);
	if (*frame != PAGE_NONE) {
		page_lru_pin(lru, *frame);
		bool reads = read_behind(cache, cpu, file, index, *frame, advice);
		if (reads || is_being_read(lru, cpu, *frame))
			result = FILE_FAULT_AGAIN;
	} else {
		lru->counters.pgmajfault++;
		result = FILE_FAULT_MAJOR;
		read_around(cache, cpu, file, index, advice);
		*frame = page_cache_find(cache, file, index);
		if (*frame == PAGE_NONE) {
			step_run(lru->steps, CODE_READ_AHEAD, lru->spec.cost.read_ahead);
			*frame = add_page(cache, cpu, file, index, GFP_HIGHUSER_MOVABLE, 0);
			if (*frame == PAGE_NONE)
				return FILE_FAULT_NO_MEMORY;
			read_run(cache, cpu, file, index + 1, 1);
		}
		page_lru_pin(lru, *frame);
	}
	page_lru_wait_until(lru, cpu, lru->frames[*frame].ready_ns);
	return result;
}

/* --- pages going --- */

/* truncate_inode_pages() */
void page_cache_remove_file(struct page_cache *cache, unsigned cpu, uint32_t number)
{
	struct cached_file *file = file_at(cache, number);
	page_lru_drain(cache->lru, cpu);
	for (uint32_t index = 0; index < file->pages; index++) {
		uint32_t frame = page_cache_find(cache, number, index);
		if (frame == PAGE_NONE)
			continue;
		writeback_wait(cache->lru, cpu, frame);
		if (page_has(cache->lru, frame, PG_DIRTY))
			clear_dirty(cache, frame);
		page_cache_evict(cache, number, index, SHADOW_NONE);
		page_lru_release(cache->lru, cpu, frame);
	}
	for (uint32_t chunk = 0; chunk <= file->pages / CHUNK_PAGES; chunk++)
		free(file->chunks[chunk]);
	free(file->chunks);
	*file = (struct cached_file){0};
}

void page_cache_destroy(struct page_cache *cache)
{
	for (uint32_t file = 0; file < cache->file_count; file++)
		if (cache->files[file].pages)
			page_cache_remove_file(cache, 0, file);
	free(cache->files);
	free(cache);
}

/* --- laws --- */

static void check_place(const struct page_cache *cache, uint32_t file, uint32_t index, uint64_t *pages, uint64_t *dirty)
{
	const struct chunk *chunk = chunk_of(cache, file, index);
	uint32_t frame = page_cache_find(cache, file, index);
	bool is_dirty = chunk && chunk->dirty & dirty_bit(index);
	if (frame == PAGE_NONE) {
		SIM_ASSERT(!is_dirty);
		return;
	}
	const struct user_page *page = page_of(cache->lru, frame);
	SIM_ASSERT(page->marks & PG_FILE && page->file == file && page->index == index);
	SIM_ASSERT(is_dirty == ((page->marks & PG_DIRTY) != 0));
	*pages += 1;
	*dirty += is_dirty;
}

void page_cache_check(const struct page_cache *cache)
{
	uint64_t pages = 0, dirty = 0;
	for (uint32_t number = 0; number < cache->file_count; number++) {
		const struct cached_file *file = &cache->files[number];
		uint64_t of_file = dirty;
		for (uint32_t index = 0; index < file->pages; index++) {
			if (!file->chunks[index / CHUNK_PAGES])
				index |= CHUNK_PAGES - 1;
			else
				check_place(cache, number, index, &pages, &dirty);
		}
		SIM_ASSERT(dirty - of_file == file->dirty);
	}
	SIM_ASSERT(pages == cache->pages && dirty == cache->dirty);
}
