/* SPDX-License-Identifier: MIT
 *
 * fault_around.c - pages that a read fault maps beside the one it is for (interface: mm.h).
 *
 * Of a file, and of shared memory without one, a read fault first maps what is in memory already of kernel.fault_around bytes
 * about it; if its own page is among that, it is over. The range begins where they are aligned, or behind that with the area, and
 * ends with the area or the page table at the latest. Pages that are being read, or that read-ahead goes on from, are passed
 * over. Entries in use stay as they are; the others are made as a fault of their own would make them, accessed
 * (arch_wants_old_prefaulted_pte() is false of x86).
 *
 * Source: Linux 6.1 mm/memory.c: do_read_fault(), do_fault_around(), do_set_pte(); mm/filemap.c: filemap_map_pages(),
 * next_uptodate_page(); mm/shmem.c: shmem_anon_vm_ops, which has the same map_pages().
 */
#include "models/user_memory/mm.h"

/* One fault's look around it. */
struct around {
	struct mm *mm;
	struct space *space;
	const struct area *area;
	const struct entry *own; /* of the fault's page */
	uint64_t linear;         /* of that page */
	uint64_t index, last;    /* of the file or the shared pages: what is looked at next, and up to where */
	unsigned cpu;
	bool own_mapped;
};

static pfn next_shared(struct around *around)
{
	const struct shared *shared = around->area->shared;
	for (; around->index <= around->last; around->index++) {
		uint32_t place = shared->frames[around->index];
		if (place && !(place & SHARED_SWAPPED))
			return pfn_of(place - 1);
	}
	return PFN_NONE;
}

static pfn next_kept(struct around *around)
{
	for (; around->index <= around->last; around->index++) {
		pfn frame = page_store_find(&around->mm->kept, around->area->file, around->index);
		if (frame.nr != UINT32_MAX)
			return frame;
	}
	return PFN_NONE;
}

/* The next page from around->index on, whose place that is then. PFN_NONE: there is none. */
static pfn next_page(struct around *around)
{
	const struct file_pages *files = &around->mm->port.files;
	if (around->area->kind == USER_SHARED)
		return next_shared(around);
	if (!files->next)
		return next_kept(around);
	return files->next(files->context, around->area->file, &around->index, around->last, around->cpu);
}

/* do_set_pte() of a read; pages of shmem are not watched for writes (fault.c). */
static void map_page(struct around *around, const struct entry *entry, pfn frame)
{
	struct mm *mm = around->mm;
	uint64_t word = area_word(around->area, frame, false);
	if (around->area->kind != USER_SHARED)
		page_is_of_file(mm, frame, around->area->file, around->index);
	else if (around->area->rights & USER_WRITE)
		word |= WORD_WRITE;
	page_mapped(mm, around->space, frame, false);
	entry_write(mm, entry, word);
}

static void look_at(struct around *around, pfn frame)
{
	struct mm *mm = around->mm;
	uint64_t linear = around->area->start + ((around->index - around->area->first_page) << PAGE_SHIFT);
	struct entry entry = *around->own;
	entry.index += (uint32_t)(linear >> PAGE_SHIFT) - (uint32_t)(around->linear >> PAGE_SHIFT);
	step_spend(mm->steps, mm->cost.fault_around_page);
	entry_read(mm, &entry);
	mm->counters.around_found++;
	bool is_free = !entry_word(&entry), own = is_free && linear == around->linear;
	if (is_free)
		map_page(around, &entry, frame);
	around->own_mapped |= own;
	*(own ? &mm->counters.around_own : is_free ? &mm->counters.around_mapped : &mm->counters.around_there) += 1;
	/* folio_unlock(), and the reference given back that no entry has. */
	step_atomic(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
	if (!is_free)
		step_atomic(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
}

/* A reference and the page's lock, both tried. */
static void hold(const struct around *around, pfn frame)
{
	struct mm *mm = around->mm;
	step_read(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
	step_cmpxchg(mm->steps, page_field(mm, frame, PAGE_REFCOUNT), 4);
	step_atomic(mm->steps, page_field(mm, frame, PAGE_FLAGS), 8);
}

bool fault_around(struct mm *mm, struct space *space, const struct area *area, const struct entry *entry, uint64_t linear,
                  unsigned cpu)
{
	uint64_t bytes = (uint64_t)mm->around_pages << PAGE_SHIFT, aligned = linear & ~(bytes - 1);
	uint64_t start = aligned > area->start ? aligned : area->start;
	uint64_t table_last = start | ((1ull << mm->mode->level[1].shift) - 1), last = start + bytes - 1;
	last = last < area->end - 1 ? last : area->end - 1;
	last = last < table_last ? last : table_last;
	struct around around = {.mm = mm,
	                        .space = space,
	                        .area = area,
	                        .own = entry,
	                        .linear = linear,
	                        .index = area_page(area, start),
	                        .last = area_page(area, last),
	                        .cpu = cpu};
	mm->counters.around_faults++;
	pfn frame = next_page(&around);
	if (frame.nr == UINT32_MAX)
		return false;
	hold(&around, frame);
	entry_lock(mm, entry);
	for (;;) {
		look_at(&around, frame);
		around.index++;
		frame = next_page(&around);
		if (frame.nr == UINT32_MAX)
			break;
		hold(&around, frame);
	}
	entry_unlock(mm, entry);
	return around.own_mapped;
}
