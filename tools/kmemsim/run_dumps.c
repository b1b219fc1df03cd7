/* SPDX-License-Identifier: MIT
 *
 * run_dumps.c - what a run keeps of its allocators as the kernel's own files (interface: run_parts.h).
 */
#include "tools/kmemsim/run_parts.h"

#include "models/kernel_layout.h"
#include "sim/procfs.h"
#include "sim/setting.h"

#include <stdio.h>
#include <stdlib.h>

static void print_caches(const struct run_parts *parts, FILE *out)
{
	struct object_allocator *objects = parts->objects;
	uint32_t limit = objects->ops->cache_limit(objects), count = 0;
	struct cache_view *views = xcalloc(limit, sizeof *views);
	for (uint32_t nr = limit; nr-- > 0;) /* the kernel shows the newest first */
		count += objects->ops->cache_view(objects, (cache_id){nr}, &views[count]);
	procfs_print_slabinfo(views, count, out);
	free(views);
}

/* All lists of the allocators, so that `kmemsim diff` and the loaders can read them back. */
static void print_state(const struct run_parts *parts, FILE *out)
{
	const struct page_allocator_ops *pages = parts->pages->ops;
	const struct object_allocator_ops *objects = parts->objects->ops;
	const char *what = pages->print_state ? (objects->print_state ? "pmc" : "pm") : (objects->print_state ? "c" : "none");
	bool areas = parts->areas && parts->areas->ops->print_state;
	fprintf(out, "@STATE simulated what=%s%s ts=%llu\n", what, areas ? "v" : "",
	        (unsigned long long)replay_time_ns(parts->replay));
	if (pages->print_state)
		pages->print_state(parts->pages, out);
	if (objects->print_state)
		objects->print_state(parts->objects, CACHE_NONE, out);
	if (areas)
		parts->areas->ops->print_state(parts->areas, out);
	fprintf(out, "@END simulated\n");
}

struct meminfo run_meminfo(const struct run_parts *parts)
{
	const struct meminfo_parts of = {.pages = parts->pages,
	                                 .objects = parts->objects,
	                                 .areas = parts->areas,
	                                 .users = parts->users,
	                                 .layout = &parts->layout};
	struct meminfo info;
	meminfo_read(&info, &of);
	meminfo_check(&info);
	return info;
}

static void print_dump(const struct run_parts *parts, enum dump_kind kind, FILE *out)
{
	struct page_allocator *pages = parts->pages;
	unsigned count = pages->ops->zones(pages);
	struct zone_view *zones = xcalloc(count, sizeof *zones);
	for (unsigned index = 0; index < count; index++)
		pages->ops->zone_view(pages, index, &zones[index]);
	switch (kind) {
	case DUMP_BUDDYINFO:
		procfs_print_buddyinfo(zones, count, out);
		break;
	case DUMP_PAGETYPEINFO:
		procfs_print_pagetypeinfo(zones, count, pages->ops->pageblock_order(pages), out);
		break;
	case DUMP_ZONEINFO:
		procfs_print_zoneinfo(zones, count, out);
		break;
	case DUMP_SLABINFO:
		print_caches(parts, out);
		break;
	case DUMP_UNUSABLE_INDEX:
		procfs_print_unusable_index(zones, count, out);
		break;
	case DUMP_EXTFRAG_INDEX:
		procfs_print_extfrag_index(zones, count, out);
		break;
	case DUMP_STATE:
		print_state(parts, out);
		break;
	case DUMP_VMALLOCINFO:
		if (parts->areas && parts->areas->ops->print_info)
			parts->areas->ops->print_info(parts->areas, out);
		break;
	case DUMP_MEMINFO: {
		struct meminfo info = run_meminfo(parts);
		meminfo_print(&info, out);
		break;
	}
	case DUMP_PERCPU:
		kernel_layout_print_per_cpu(parts->run->settings, out);
		break;
	case DUMP_KINDS:
		SIM_UNREACHABLE("a kind of dump");
	}
	free(zones);
}

/* One kind of the kernel's files as a string that the caller frees. */
static char *dump_text(const struct run_parts *parts, enum dump_kind kind, struct error *error)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (!out) {
		error_set(error, ERROR_HOST, "the host has no memory for a dump");
		return NULL;
	}
	print_dump(parts, kind, out);
	fclose(out);
	return text;
}

bool run_write_dumps(void *context, uint32_t sample, bool last, struct error *error)
{
	const struct run_parts *parts = context;
	/* The end is always kept in the four kinds that people compare with their own machines. */
	unsigned kept_at_end = 1u << DUMP_BUDDYINFO | 1u << DUMP_PAGETYPEINFO | 1u << DUMP_ZONEINFO | 1u << DUMP_SLABINFO;
	unsigned kinds = last ? parts->dump.kinds | kept_at_end : parts->dump.kinds;
	for (unsigned kind = 0; kind < DUMP_KINDS; kind++) {
		if (!(kinds & 1u << kind))
			continue;
		char *text = dump_text(parts, (enum dump_kind)kind, error);
		bool written = text && store_snapshot(parts->store, parts->run->run_id, dump_kind_name((enum dump_kind)kind),
		                                      sample, text, error);
		free(text);
		if (!written)
			return false;
	}
	return true;
}
