// SPDX-License-Identifier: GPL-2.0
/*
 * events.c - the kernel's own allocator calls while a script runs, as nested lines ">CcTT ...".
 *
 * Hooks the tracepoints of the group kmem: everything the page allocator does, and every slab call whose caller is not this
 * module (a script logs its own calls itself).
 */
#include "oracle.h"
#include <linux/sched.h>
#include <linux/tracepoint.h>

static bool called_by_script(unsigned long call_site)
{
	return within_module(call_site, THIS_MODULE);
}

/* The CPU, and the kind of context: hard interrupt, soft interrupt, task. */
#define CONTEXT smp_processor_id(), in_hardirq() ? 'I' : in_serving_softirq() ? 'S' : 't'

static void on_kmalloc(void *data, unsigned long call_site, const void *address, size_t asked, size_t given, gfp_t gfp, int node)
{
	if (events_logged() && !called_by_script(call_site))
		say_event(">%d%c KM %ps %zu %zu %x %lx.%x\n", CONTEXT, (void *)call_site, asked, given, gfp, frame_of(address),
		          offset_of(address));
}

static void on_kfree(void *data, unsigned long call_site, const void *address)
{
	if (events_logged() && address && !called_by_script(call_site))
		say_event(">%d%c KF %ps %lx.%x\n", CONTEXT, (void *)call_site, frame_of(address), offset_of(address));
}

static void on_cache_alloc(void *data, unsigned long call_site, const void *address, struct kmem_cache *cache, gfp_t gfp,
                           int node)
{
	if (events_logged() && !called_by_script(call_site))
		say_event(">%d%c CA %ps %s %x %lx.%x\n", CONTEXT, (void *)call_site, cache->name, gfp, frame_of(address),
		          offset_of(address));
}

static void on_cache_free(void *data, unsigned long call_site, const void *address, const struct kmem_cache *cache)
{
	if (events_logged() && !called_by_script(call_site))
		say_event(">%d%c CF %ps %s %lx.%x\n", CONTEXT, (void *)call_site, cache->name, frame_of(address),
		          offset_of(address));
}

static void on_page_alloc(void *data, struct page *page, unsigned int order, gfp_t gfp, int migratetype)
{
	if (events_logged())
		say_event(">%d%c PA %lx %u %x %d\n", CONTEXT, page ? page_to_pfn(page) : ~0UL, order, gfp, migratetype);
}

static void on_page_free(void *data, struct page *page, unsigned int order)
{
	if (events_logged())
		say_event(">%d%c PF %lx %u\n", CONTEXT, page_to_pfn(page), order);
}

static void on_page_free_batched(void *data, struct page *page)
{
	if (events_logged())
		say_event(">%d%c PB %lx\n", CONTEXT, page_to_pfn(page));
}

static void on_page_alloc_zone_locked(void *data, struct page *page, unsigned int order, int migratetype, int refill)
{
	if (events_logged())
		say_event(">%d%c PZ %lx %u %d %d\n", CONTEXT, page ? page_to_pfn(page) : ~0UL, order, migratetype, refill);
}

static void on_page_pcpu_drain(void *data, struct page *page, unsigned int order, int migratetype)
{
	if (events_logged())
		say_event(">%d%c PD %lx %u %d\n", CONTEXT, page_to_pfn(page), order, migratetype);
}

static void on_page_alloc_extfrag(void *data, struct page *page, int order, int fallback_order, int type, int fallback_type)
{
	if (events_logged())
		say_event(">%d%c PX %lx %d %d %d %d\n", CONTEXT, page_to_pfn(page), order, fallback_order, type, fallback_type);
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *hooked;
} hooks[] = {
        {"kmalloc", on_kmalloc},
        {"kfree", on_kfree},
        {"kmem_cache_alloc", on_cache_alloc},
        {"kmem_cache_free", on_cache_free},
        {"mm_page_alloc", on_page_alloc},
        {"mm_page_free", on_page_free},
        {"mm_page_free_batched", on_page_free_batched},
        {"mm_page_alloc_zone_locked", on_page_alloc_zone_locked},
        {"mm_page_pcpu_drain", on_page_pcpu_drain},
        {"mm_page_alloc_extfrag", on_page_alloc_extfrag},
};

static void note_tracepoint(struct tracepoint *tracepoint, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!strcmp(tracepoint->name, hooks[i].name))
			hooks[i].hooked = tracepoint;
}

/* All or none: a recording with events missing would look like one in which nothing happened. */
int events_hook(void)
{
	int i;

	for_each_kernel_tracepoint(note_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!hooks[i].hooked || tracepoint_probe_register(hooks[i].hooked, hooks[i].probe, NULL))
			break;
	if (i == ARRAY_SIZE(hooks))
		return 0;
	pr_err("oracle: no tracepoint %s\n", hooks[i].name);
	for (; i < ARRAY_SIZE(hooks); i++)
		hooks[i].hooked = NULL;
	events_unhook();
	return -ENOENT;
}

void events_unhook(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].hooked)
			tracepoint_probe_unregister(hooks[i].hooked, hooks[i].probe, NULL);
	tracepoint_synchronize_unregister();
}
