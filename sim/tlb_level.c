/* SPDX-License-Identifier: MIT
 *
 * tlb_level.c - what is the same for every TLB array: scopes of invalidations, counters (interface: sim/port/tlb_level.h).
 */
#include "sim/port/tlb_level.h"

const struct metric tlb_metrics[] = {
        METRIC(struct tlb_counters, fills, "1", "Entries put into this array"),
        METRIC(struct tlb_counters, evictions, "1", "Entries that went to make room"),
        METRIC(struct tlb_counters, removed, "1", "Entries taken out because a level next to it wanted so, or a fault"),
        METRIC(struct tlb_counters, invalidated, "1", "Entries taken out by INVLPG, INVPCID, or a write to CR3 or CR4"),
        METRIC_END,
};

struct tlb_scope tlb_scope_invlpg(uint64_t linear, unsigned pcid)
{
	return (struct tlb_scope){.one_page = true, .linear = linear, .one_pcid = true, .pcid = pcid, .globals = true};
}

struct tlb_scope tlb_scope_cr3(unsigned pcid)
{
	return (struct tlb_scope){.one_pcid = true, .pcid = pcid};
}

struct tlb_scope tlb_scope_everything(void)
{
	return (struct tlb_scope){.globals = true};
}

struct tlb_scope tlb_scope_invpcid(enum invpcid type, unsigned pcid, uint64_t linear)
{
	switch (type) {
	case INVPCID_ADDRESS:
		return (struct tlb_scope){.one_page = true, .linear = linear, .one_pcid = true, .pcid = pcid};
	case INVPCID_SINGLE:
		return (struct tlb_scope){.one_pcid = true, .pcid = pcid};
	case INVPCID_ALL_AND_GLOBAL:
		return (struct tlb_scope){.globals = true};
	case INVPCID_ALL:
		return (struct tlb_scope){0};
	}
	SIM_UNREACHABLE("a type of INVPCID, 0 to 3");
}

bool tlb_scope_has(const struct tlb_scope *scope, uint64_t tag)
{
	uint64_t number = scope->linear >> page_size_shift(tlb_tag_size(tag)) & TLB_NUMBER;
	if (scope->one_page && (tag & TLB_NUMBER) != number)
		return false;
	if (tag & TLB_GLOBAL)
		return scope->globals;
	return !scope->one_pcid || tlb_tag_pcid(tag) == scope->pcid;
}

struct recount {
	uint64_t entries, globals;
};

static void count_entry(void *context, struct tlb_entry entry)
{
	struct recount *recount = context;
	recount->entries++;
	recount->globals += (entry.tag & TLB_GLOBAL) != 0;
}

static struct recount recount_of(const struct tlb_level *tlb)
{
	struct recount recount = {0};
	tlb->ops->visit(tlb, count_entry, &recount);
	return recount;
}

void tlb_invalidate(struct tlb_level *tlb, const struct tlb_scope *scope)
{
	tlb->counters.invalidated += tlb->ops->invalidate(tlb, scope);
	if (tlb->globals)
		tlb->globals = recount_of(tlb).globals;
}

size_t tlb_run(struct tlb_level *tlb, const uint64_t *requests, size_t count, struct replacement_miss *misses)
{
	size_t missed = tlb->ops->run(tlb, requests, count, misses);
	tlb->counters.fills += missed;
	for (size_t i = 0; i < missed; i++)
		tlb->counters.evictions += misses[i].evicted != 0;
	return missed;
}

void tlb_check(const struct tlb_level *tlb)
{
	const struct tlb_counters *counters = &tlb->counters;
	const struct recount recount = recount_of(tlb);
	SIM_ASSERT(recount.globals == tlb->globals);
	SIM_ASSERT(counters->fills == counters->evictions + counters->removed + counters->invalidated + recount.entries);
	SIM_ASSERT(tlb->capacity == 0 || recount.entries <= tlb->capacity);
	tlb->ops->check(tlb);
}
