/* SPDX-License-Identifier: MIT
 *
 * walker.c - the page walk (interface, rules and laws: walker.h).
 */
#include "sim/walker.h"

#include <string.h>

#define LEVEL_METRICS(field, help_) \
	{#field "_pte", "1", METRIC_COUNTER, help_ " the page table", offsetof(struct walker_counters, field[0])}, \
	        {#field "_pde", "1", METRIC_COUNTER, help_ " the page directory", offsetof(struct walker_counters, field[1])}, \
	        {#field "_pdpte", "1", METRIC_COUNTER, help_ " the page-directory-pointer table", \
	         offsetof(struct walker_counters, field[2])}, \
	        {#field "_pml4e", "1", METRIC_COUNTER, help_ " the PML4", offsetof(struct walker_counters, field[3])}, \
	{ \
#field "_pml5e", "1", METRIC_COUNTER, help_ " the PML5", offsetof(struct walker_counters, field[4]) \
	}

const struct metric walker_metrics[] = {
        METRIC(struct walker_counters, walks, "1", "Page walks"),
        METRIC(struct walker_counters, not_canonical, "1", "Walks for addresses that are none: #GP"),
        METRIC(struct walker_counters, no_root, "1", "Walks for which the host had no top table"),
        LEVEL_METRICS(starts, "Walks that began in"),
        LEVEL_METRICS(reads, "Entries read in"),
        LEVEL_METRICS(stores, "Accessed or dirty bits set in"),
        LEVEL_METRICS(ends, "Walks that ended in"),
        METRIC(struct walker_counters, register_reads, "1", "Of the entries read, those of PAE's registers: no reference"),
        METRIC(struct walker_counters, page_faults, "1", "Walks that ended in a page fault"),
        METRIC(struct walker_counters, host_faults, "1", "Walks that ended because the host had no memory"),
        METRIC(struct walker_counters, given_up, "1", "Walks of prefetches that would have had to set an accessed bit"),
        METRIC(struct walker_counters, nested_lookups, "1", "Guest-physical addresses looked up in the nested TLB"),
        METRIC(struct walker_counters, nested_hits, "1", "Of them those it had"),
        METRIC_END,
};

/* A walk on its way down. */
struct descent {
	const struct walk_request *request;
	struct walk_sink *sink;
	unsigned level;
	uint64_t table;  /* of that level; an address of the machine's own memory */
	uint64_t rights; /* that all entries so far give, WORD_RIGHTS */
	uint64_t entry;  /* address of the entry just read */
	uint64_t raw;
};

static struct walk fault(struct walker *walker, const struct walk_request *request, unsigned why)
{
	walker->counters.page_faults++;
	bool told_fetch = request->fetch && ((walker->controls.nx && walker->mode->entry_bytes == 8) || walker->controls.smep);
	return (struct walk){.outcome = WALK_PAGE_FAULT,
	                     .error_code = why | (request->write ? PF_WRITE : 0) | (request->user ? PF_USER : 0) |
	                                   (told_fetch ? PF_FETCH : 0)};
}

/* A reference to the entry of the level the walk is at. */
static void refer(const struct walker *walker, const struct descent *descent, enum access_kind kind)
{
	struct walk_sink *sink = descent->sink;
	if (!sink->at)
		return;
	sink->at[sink->count++] = walker_reference(walker, sink->cpu, descent->entry, descent->level, kind);
}

bool walker_allows(const struct walker *walker, const struct walk_request *request, uint64_t word)
{
	const struct paging_controls *controls = &walker->controls;
	if (request->fetch && (!(word & WORD_EXECUTE) || (!request->user && word & WORD_USER && controls->smep)))
		return false;
	if (request->user)
		return word & WORD_USER && (!request->write || word & WORD_WRITE);
	if (!request->fetch && word & WORD_USER && controls->smap)
		return false;
	return !request->write || word & WORD_WRITE || !controls->write_protect;
}

/* What the nested TLB knows of a guest-physical address. */
static bool nested_hit(struct walker *host, uint64_t guest_physical, struct walk *page)
{
	uint64_t *word;
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		if (!tlb_use(host->nested, tlb_tag(guest_physical, (enum page_size)size, 0), &word))
			continue;
		*page = (struct walk){.word = *word, .size = (enum page_size)size};
		return true;
	}
	return false;
}

/* A walk of the host's tables, its memory given where it was missing. */
static struct walk host_walk(struct walker *host, uint64_t guest_physical, struct walk_sink *sink)
{
	/* The second stage takes every access of a guest for one of user mode (APM vol. 2 15.25.5). */
	const struct walk_request request = {.linear = guest_physical, .user = true};
	struct walk walk = walker_walk(host, &request, sink);
	if (walk.outcome == WALK_PAGE_FAULT && host->host_fault && host->host_fault(host->context, guest_physical))
		walk = walker_walk(host, &request, sink);
	return walk;
}

/* to_host() of a guest. */
static bool guest_to_host(struct walker *walker, uint64_t guest_physical, struct walk_sink *sink, uint64_t *address,
                          enum page_size *size)
{
	struct walker *host = walker->host;
	struct walk page;
	walker->counters.nested_lookups++;
	if (host->nested && nested_hit(host, guest_physical, &page)) {
		walker->counters.nested_hits++;
	} else {
		page = host_walk(host, guest_physical, sink);
		if (page.outcome != WALK_OK)
			return false;
		if (host->nested)
			tlb_fill(host->nested, (struct tlb_entry){tlb_tag(guest_physical, page.size, 0), page.word});
	}
	*address = (page.word & WORD_FRAME) | (guest_physical & (page_size_bytes(page.size) - 1));
	*size = page.size;
	return true;
}

/* The machine's own address of a guest-physical one, and the size of the host's page there. */
static inline bool to_host(struct walker *walker, uint64_t guest_physical, struct walk_sink *sink, uint64_t *address,
                           enum page_size *size)
{
	*address = guest_physical;
	*size = PAGE_1G;
	return !walker->host || guest_to_host(walker, guest_physical, sink, address, size);
}

static uint64_t structure_tag(const struct walker *walker, unsigned level, uint64_t linear)
{
	return (linear >> walker->mode->level[level].shift & TLB_NUMBER) | (uint64_t)walker->pcid << TLB_PCID_SHIFT;
}

static struct walk host_has_none(struct walker *walker)
{
	walker->counters.host_faults++;
	return (struct walk){.outcome = WALK_HOST_FAULT};
}

/*
 * Whether the entries of the top level are registers: PAE's, but for a guest of AMD's, whose walks read them (Intel SDM vol. 3C
 * 28.3.1; AMD APM vol. 2 15.25.10).
 */
static bool has_registers(const struct walker *walker)
{
	return walker->mode->root_registers && (!walker->host || walker->host->mode->keeps_guest_registers);
}

/* Finds where to begin: below the lowest level whose cache knows the address, else at the top. false: the host has no top table.
 */
static bool find_start(struct walker *walker, struct descent *descent)
{
	uint64_t *word;
	enum page_size size;
	unsigned top = walker->mode->levels - 1;
	for (unsigned level = 1; level <= top; level++) {
		struct tlb_level *cache = walker->structure[level];
		if (!cache || !tlb_use(cache, structure_tag(walker, level, descent->request->linear), &word))
			continue;
		descent->level = level - 1;
		descent->table = *word & WORD_FRAME;
		descent->rights = *word & WORD_RIGHTS;
		return true;
	}
	descent->level = top;
	descent->rights = WORD_RIGHTS;
	if (has_registers(walker))
		return true;
	return to_host(walker, walker->root, descent->sink, &descent->table, &size);
}

static struct paging_entry read_entry(struct walker *walker, struct descent *descent)
{
	const struct translation_ops *mode = walker->mode;
	uint64_t index = paging_index(&mode->level[descent->level], descent->request->linear);
	walker->counters.reads[descent->level]++;
	if (descent->level == mode->levels - 1 && has_registers(walker)) {
		walker->counters.register_reads++;
		descent->raw = walker->registers[index];
	} else {
		descent->entry = descent->table + index * mode->entry_bytes;
		descent->raw = physical_memory_read(walker->memory, descent->entry, mode->entry_bytes);
		refer(walker, descent, ACCESS_WALK);
	}
	return mode->decode(&walker->controls, descent->level, descent->raw);
}

/* Sets bits of the entry just read. */
static void set_bits(struct walker *walker, const struct descent *descent, uint64_t bits)
{
	if (!bits)
		return;
	walker->counters.stores[descent->level]++;
	physical_memory_write(walker->memory, descent->entry, walker->mode->entry_bytes, descent->raw | bits);
	refer(walker, descent, ACCESS_WALK_STORE);
}

static struct walk give_up(struct walker *walker)
{
	walker->counters.given_up++;
	return (struct walk){.outcome = WALK_GIVEN_UP};
}

/* The walk has come to a page. */
static struct walk end_in_page(struct walker *walker, struct descent *descent, const struct paging_entry *entry)
{
	const struct walk_request *request = descent->request;
	const struct translation_ops *mode = walker->mode;
	uint64_t word = (entry->word & ~WORD_RIGHTS) | descent->rights, address;
	enum page_size size = mode->level[descent->level].page, host_size;
	if (!walker_allows(walker, request, word))
		return fault(walker, request, PF_PRESENT);
	if (request->prefetch && !(word & WORD_ACCESSED))
		return give_up(walker);
	uint64_t bits = word & WORD_ACCESSED ? 0 : mode->accessed(descent->level);
	if (request->write && !(word & WORD_DIRTY))
		bits |= mode->dirty(descent->level);
	word |= WORD_ACCESSED | (request->write ? WORD_DIRTY : 0);
	set_bits(walker, descent, bits);
	uint64_t inside = page_size_bytes(size) - 1;
	if (!to_host(walker, (word & WORD_FRAME & ~inside) | (request->linear & inside), descent->sink, &address, &host_size))
		return host_has_none(walker);
	if (page_size_shift(host_size) < page_size_shift(size))
		size = host_size;
	address &= ~(page_size_bytes(size) - 1);
	return (struct walk){.word = (word & ~WORD_FRAME) | address, .size = size};
}

/* From an entry that points to a table to that table. */
static enum walk_outcome go_on(struct walker *walker, struct descent *descent, const struct paging_entry *entry)
{
	enum page_size size;
	struct tlb_level *cache = walker->structure[descent->level];
	if (!(entry->word & WORD_ACCESSED)) {
		if (descent->request->prefetch)
			return WALK_GIVEN_UP;
		set_bits(walker, descent, walker->mode->accessed(descent->level));
	}
	if (!to_host(walker, entry->word & WORD_FRAME, descent->sink, &descent->table, &size))
		return WALK_HOST_FAULT;
	if (cache) {
		uint64_t tag = structure_tag(walker, descent->level, descent->request->linear);
		tlb_fill(cache, (struct tlb_entry){tag, descent->table | descent->rights});
	}
	descent->level--;
	return WALK_OK;
}

/* Down from where the walk starts. The level at which it ends stays in the descent. */
static struct walk descend(struct walker *walker, struct descent *descent)
{
	for (;;) {
		const struct paging_entry entry = read_entry(walker, descent);
		if (!(entry.word & WORD_PRESENT))
			return fault(walker, descent->request, 0);
		if (entry.reserved)
			return fault(walker, descent->request, PF_PRESENT | PF_RESERVED);
		descent->rights &= entry.word;
		if (entry.leaf)
			return end_in_page(walker, descent, &entry);
		SIM_ASSERT(descent->level > 0);
		enum walk_outcome outcome = go_on(walker, descent, &entry);
		if (outcome == WALK_GIVEN_UP)
			return give_up(walker);
		if (outcome == WALK_HOST_FAULT)
			return host_has_none(walker);
	}
}

struct walk walker_walk(struct walker *walker, const struct walk_request *request, struct walk_sink *sink)
{
	walker->counters.walks++;
	if (!translation_canonical(walker->mode, request->linear)) {
		walker->counters.not_canonical++;
		return (struct walk){.outcome = WALK_GENERAL_PROTECTION};
	}
	struct descent descent = {.request = request, .sink = sink};
	if (!find_start(walker, &descent)) {
		walker->counters.no_root++;
		return host_has_none(walker);
	}
	walker->counters.starts[descent.level]++;
	struct walk walk = descend(walker, &descent);
	walker->counters.ends[descent.level]++;
	return walk;
}

/* Entries that the host has no memory for are not present. */
static void load_registers(struct walker *walker)
{
	struct walk_sink counted = {.at = NULL};
	const unsigned bytes = walker->mode->entry_bytes;
	enum page_size size;
	uint64_t table;
	bool has_table = to_host(walker, walker->root, &counted, &table, &size);
	for (unsigned index = 0; index < walker->mode->root_registers; index++)
		walker->registers[index] = has_table ? physical_memory_read(walker->memory, table + index * bytes, bytes) : 0;
}

void walker_load_root(struct walker *walker, uint64_t root, unsigned pcid)
{
	SIM_ASSERT(pcid <= PCID_MAX);
	walker->root = root;
	walker->pcid = pcid;
	if (has_registers(walker))
		load_registers(walker);
}

void walker_invalidate(struct walker *walker, const struct tlb_scope *scope)
{
	/* INVLPG takes out everything of the PCID; INVPCID of one address only what translates it (Intel SDM vol. 3A 4.10.4.1).
	 */
	struct tlb_scope all = {.one_pcid = scope->one_pcid, .pcid = scope->pcid, .globals = true};
	bool one_address = scope->one_page && !scope->globals;
	for (unsigned level = 1; level < walker->mode->levels; level++) {
		struct tlb_level *cache = walker->structure[level];
		if (!cache)
			continue;
		if (!one_address) {
			tlb_invalidate(cache, &all);
			continue;
		}
		uint64_t number = scope->linear >> walker->mode->level[level].shift & TLB_NUMBER;
		tlb_remove(cache, number | (uint64_t)scope->pcid << TLB_PCID_SHIFT);
	}
}

void walker_check(const struct walker *walker)
{
	const struct walker_counters *counters = &walker->counters;
	uint64_t started = 0, ended = 0;
	for (unsigned level = 0; level < PAGING_LEVELS_MAX; level++) {
		started += counters->starts[level];
		ended += counters->ends[level];
		uint64_t from_above = level + 1 < PAGING_LEVELS_MAX ? counters->reads[level + 1] - counters->ends[level + 1] : 0;
		SIM_ASSERT(counters->reads[level] == counters->starts[level] + from_above);
		SIM_ASSERT(counters->stores[level] <= counters->reads[level]);
		if (walker->structure[level])
			tlb_check(walker->structure[level]);
	}
	SIM_ASSERT(started == ended);
	SIM_ASSERT(counters->walks == started + counters->not_canonical + counters->no_root);
	SIM_ASSERT(counters->page_faults + counters->host_faults + counters->given_up <= started + counters->no_root);
	SIM_ASSERT(counters->nested_hits <= counters->nested_lookups);
	if (walker->nested)
		tlb_check(walker->nested);
}

void walker_release(struct walker *walker)
{
	for (unsigned level = 0; level < PAGING_LEVELS_MAX; level++)
		tlb_destroy(walker->structure[level]);
	tlb_destroy(walker->nested);
	*walker = (struct walker){0};
}
