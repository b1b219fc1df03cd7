/* SPDX-License-Identifier: MIT
 *
 * follow_rcu.c - when the frees that RCU puts off are made (interface, rule: follow_rcu.h).
 *
 * While ops are told, each unit of memory knows the free that waits for its next use. What uses a unit tells the free its bound.
 * Then, from the last free to the first, none is later than the one behind it; and each moves back to the end of a softirq.
 */
#include "sim/follow_rcu.h"

#include <stdlib.h>

#define UNIT 8u /* bytes: no two objects begin closer together */
#define BATCH_DETAILS 1024
#define NEVER UINT64_MAX

static void note_page(struct follow_rcu *self, const struct detail *detail)
{
	if (self->page_count == self->page_room) {
		self->page_room = 2 * self->page_room + 1024;
		self->pages = xrealloc(self->pages, self->page_room * sizeof *self->pages);
	}
	self->pages[self->page_count++] = (struct rcu_page){detail->line, (uint32_t)detail->pfn};
}

static void note_softirq(struct follow_rcu *self, uint64_t first, uint64_t last)
{
	if (self->softirq_count == self->softirq_room) {
		self->softirq_room = 2 * self->softirq_room + 256;
		self->softirqs = xrealloc(self->softirqs, self->softirq_room * sizeof *self->softirqs);
	}
	self->softirqs[self->softirq_count++] = (struct rcu_softirq){first, last};
}

/* since[]: by CPU, the line from which on it is in a softirq; 0: it is not. */
static void see_context(struct follow_rcu *self, const struct detail *detail, uint64_t since[CPUS_MAX])
{
	uint64_t *mine = &since[detail->cpu % CPUS_MAX];
	bool softirq = detail->context & CONTEXT_SOFTIRQ;
	if (*mine && !softirq)
		note_softirq(self, *mine, detail->line - 1);
	if (!softirq || !*mine)
		*mine = softirq ? detail->line : 0;
}

static bool read_details(struct follow_rcu *self, struct trace *trace, struct error *error)
{
	struct detail *batch = xcalloc(BATCH_DETAILS, sizeof *batch);
	uint64_t since[CPUS_MAX] = {0};
	size_t count;
	bool read;
	while ((read = trace_next_details(trace, batch, BATCH_DETAILS, &count, error)) && count > 0)
		for (size_t i = 0; i < count; i++) {
			if (batch[i].kind == DETAIL_CONTEXT)
				see_context(self, &batch[i], since);
			else if (batch[i].kind == DETAIL_PAGE_FREE && batch[i].order == 0 &&
			         batch[i].pfn < self->units / (PAGE_SIZE / UNIT))
				note_page(self, &batch[i]);
		}
	free(batch);
	return read;
}

bool follow_rcu_init(struct follow_rcu *self, struct trace *trace, struct object_allocator *objects, uint64_t direct_map,
                     uint32_t end_pfn, struct error *error)
{
	*self = (struct follow_rcu){
	        .objects = objects, .direct_map = direct_map, .units = (uint64_t)end_pfn * (PAGE_SIZE / UNIT)};
	self->told = lazy_alloc(self->units, sizeof *self->told);
	return read_details(self, trace, error);
}

static void release_told(struct follow_rcu *self)
{
	if (self->told)
		lazy_free(self->told, self->units, sizeof *self->told);
	free(self->pages);
	free(self->softirqs);
	self->told = NULL;
	self->pages = NULL;
	self->softirqs = NULL;
}

void follow_rcu_release(struct follow_rcu *self)
{
	release_told(self);
	free(self->frees);
	*self = (struct follow_rcu){0};
}

/* The units that `bytes` from `from` on lie in; false: outside of memory. */
static bool units_of(const struct follow_rcu *self, uint64_t from, uint64_t bytes, uint64_t *first, uint64_t *end)
{
	*first = (from - self->direct_map) / UNIT;
	*end = (from - self->direct_map + bytes + UNIT - 1) / UNIT;
	return from >= self->direct_map && bytes > 0 && *end <= self->units && *first < *end;
}

/* The free waits no longer for a use of its bytes. */
static void forget(struct follow_rcu *self, uint32_t number)
{
	const struct rcu_free *entry = &self->frees[number - 1];
	uint64_t first, end;
	if (!units_of(self, entry->at, entry->bytes, &first, &end))
		return;
	for (uint64_t unit = first; unit < end; unit++)
		if (self->told[unit] == number)
			self->told[unit] = 0;
}

static void use(struct follow_rcu *self, uint64_t line, uint64_t from, uint64_t bytes)
{
	uint64_t first, end;
	if (!units_of(self, from, bytes, &first, &end))
		return;
	for (uint64_t unit = first; unit < end; unit++) {
		uint32_t number = self->told[unit];
		if (!number)
			continue;
		self->frees[number - 1].due = line;
		forget(self, number);
	}
}

/* Pages that were given back before this line. */
static void use_pages(struct follow_rcu *self, uint64_t line)
{
	for (; self->page_at < self->page_count && self->pages[self->page_at].line < line; self->page_at++) {
		const struct rcu_page *page = &self->pages[self->page_at];
		use(self, page->line, self->direct_map + ((uint64_t)page->pfn << PAGE_SHIFT), PAGE_SIZE);
	}
}

void follow_rcu_tell_free(struct follow_rcu *self, const struct op *op, uint32_t bytes)
{
	uint64_t first, end;
	use_pages(self, op->line);
	if (!units_of(self, op->address, bytes, &first, &end) || self->count == UINT32_MAX)
		return;
	if (self->count == self->room) {
		self->room = 2 * self->room + 256;
		self->frees = xrealloc(self->frees, self->room * sizeof *self->frees);
	}
	self->frees[self->count++] =
	        (struct rcu_free){.line = op->line, .due = NEVER, .at = op->address, .bytes = bytes, .cache = op->cache};
	for (uint64_t unit = first; unit < end; unit++)
		self->told[unit] = (uint32_t)self->count;
}

void follow_rcu_tell_use(struct follow_rcu *self, uint64_t line, uint64_t from, uint64_t bytes)
{
	use_pages(self, line);
	use(self, line, from, bytes);
}

/* The softirq at work at the line, else the last one before it; NULL: there is none. */
static const struct rcu_softirq *softirq_at(const struct follow_rcu *self, uint64_t line)
{
	size_t low = 0, high = self->softirq_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (self->softirqs[middle].first <= line)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &self->softirqs[low - 1] : NULL;
}

void follow_rcu_begin(struct follow_rcu *self)
{
	uint64_t bound = NEVER;
	use_pages(self, NEVER);
	for (size_t i = self->count; i-- > 0;) {
		struct rcu_free *entry = &self->frees[i];
		bound = entry->due < bound ? entry->due : bound;
		entry->due = bound;
		const struct rcu_softirq *softirq = bound == NEVER ? NULL : softirq_at(self, bound);
		if (softirq && softirq->last < bound && softirq->last > entry->line)
			entry->due = softirq->last + 1;
	}
	release_told(self);
}

void follow_rcu_start(struct follow_rcu *self, uint64_t line, const cache_id *caches)
{
	while (self->asked < self->count && self->frees[self->asked].line < line)
		self->asked++;
	for (size_t i = self->asked; i-- > 0 && self->frees[i].due > line;) {
		struct rcu_free *entry = &self->frees[i];
		if (!object_adopt(self->objects, vaddr_of(entry->at), caches[entry->cache], entry->bytes))
			break;
		entry->waits = true;
		self->put_off++;
	}
}

bool follow_rcu_put_off(struct follow_rcu *self, uint64_t line, vaddr at)
{
	while (self->asked < self->count && self->frees[self->asked].line < line)
		self->asked++;
	if (self->asked == self->count || self->frees[self->asked].line != line)
		return false;
	self->frees[self->asked].at = at.addr;
	self->frees[self->asked++].waits = true;
	self->put_off++;
	return true;
}

void follow_rcu_to(struct follow_rcu *self, uint64_t line, unsigned cpu)
{
	for (; self->made < self->count && self->frees[self->made].due <= line; self->made++) {
		struct rcu_free *entry = &self->frees[self->made];
		if (!entry->waits)
			continue;
		/* The model may have let go of its page already. */
		object_kfree(self->objects, vaddr_of(entry->at), cpu);
		entry->waits = false;
		self->carried_out++;
	}
}

void follow_rcu_check(const struct follow_rcu *self)
{
	uint64_t waiting = 0;
	for (size_t i = 0; i < self->count; i++) {
		waiting += self->frees[i].waits;
		SIM_ASSERT(i == 0 || self->frees[i - 1].due <= self->frees[i].due);
		SIM_ASSERT(i >= self->made || !self->frees[i].waits);
	}
	SIM_ASSERT(self->put_off == self->carried_out + waiting);
}
