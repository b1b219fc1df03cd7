/* SPDX-License-Identifier: MIT
 *
 * oracle_machine.c - the kernel and machine that wrote a recording, as settings (interface: oracle.h).
 *
 * What the recording's own dumps tell comes first, then its facts, then those beside it, then the command line of its QEMU.
 */
#include "tools/kmemsim/oracle.h"

#include "models/page_allocator/buddy.h"

#include <stdlib.h>
#include <string.h>

/* Where the direct map of a 32-bit kernel begins (arch/x86/Kconfig: VMSPLIT_3G), and its struct page (include/linux/mm_types.h).
 */
#define PAGE_OFFSET_32 0xc0000000u
#define PAGE_STRUCT_BYTES_32 32u

/* kmalloc(1) gives 8 bytes in SLUB (KMALLOC_SHIFT_LOW 3), 32 in SLAB (5), 2 in SLOB (SLOB_UNIT). */
static const char *allocator_of_smallest(const struct recording *recording)
{
	for (size_t i = 0; i < recording->count; i++) {
		const struct recording_line *line = &recording->lines[i];
		if ((line->kind == LINE_POW2 || line->kind == LINE_KSIZE) && line->size == 1)
			return line->ksize == 8 ? "slub" : line->ksize == 32 ? "slab" : line->ksize == 2 ? "slob" : "";
	}
	return "";
}

static void choose_allocator(struct oracle *oracle)
{
	const struct recording *recording = oracle->recording;
	const char *name = recording->allocator;
	if (!*name)
		name = recording->facts.allocator;
	if (!*name)
		name = allocator_of_smallest(recording);
	memcpy(oracle->allocator, name, strlen(name) + 1);
}

/* The number behind `key=` in the kernel's command line; false if it is not there. */
static bool boot_number(const struct recording *recording, const char *key, uint32_t *number)
{
	const char *parameters = recording->facts.boot_parameters;
	const char *at = parameters ? strstr(parameters, key) : NULL;
	if (!at || at[strlen(key)] != '=')
		return false;
	*number = (uint32_t)strtoul(at + strlen(key) + 1, NULL, 10);
	return true;
}

static bool boot_flag(const struct recording *recording, const char *word)
{
	const char *parameters = recording->facts.boot_parameters;
	return parameters && strstr(parameters, word);
}

/* A word `key=text` of the kernel's command line, to be freed; NULL if it is not there. */
static char *boot_text(const struct recording *recording, const char *key)
{
	const char *parameters = recording->facts.boot_parameters;
	const char *at = parameters ? strstr(parameters, key) : NULL;
	if (!at || at[strlen(key)] != '=')
		return NULL;
	at += strlen(key) + 1;
	return xasprintf("%.*s", (int)strcspn(at, " \n\\\"'"), at);
}

static void boot_settings(const struct recording *recording, struct kernel_settings *kernel)
{
	boot_number(recording, "slub_min_order", &kernel->slub_min_order);
	boot_number(recording, "slub_max_order", &kernel->slub_max_order);
	boot_number(recording, "slub_min_objects", &kernel->slub_min_objects);
	boot_number(recording, "slab_max_order", &kernel->slab_max_order);
	char *debug = boot_text(recording, "slub_debug");
	if (debug) {
		free(kernel->slub_debug);
		kernel->slub_debug = debug;
	}
	/* The recorder's kernels do not merge unless they are told to. */
	kernel->slab_merge = boot_flag(recording, "slab_merge") && !boot_flag(recording, "slab_nomerge");
}

static bool is_32_bit(const struct recording *recording)
{
	if (recording->facts.page_offset)
		return !(recording->facts.page_offset >> 32);
	return recording->has_zones && !recording->has_dma32;
}

bool oracle_machine(struct oracle *oracle, struct error *error)
{
	const struct recording *recording = oracle->recording;
	const struct recording_facts *facts = &recording->facts;
	struct settings *settings = &oracle->settings;
	uint64_t end_pfn = recording->end_pfn ? recording->end_pfn : facts->end_pfn;
	if (!end_pfn)
		end_pfn = facts->memory_bytes >> PAGE_SHIFT;
	choose_allocator(oracle);
	if (is_32_bit(recording))
		settings->machine.architecture = ARCHITECTURE_X86_32;
	settings->machine.cpus = recording->cpus ? recording->cpus : facts->cpus ? facts->cpus : 1;
	settings->machine.memory_bytes = end_pfn << PAGE_SHIFT;
	if (facts->cache_line_bytes)
		settings->machine.cache_line_bytes = facts->cache_line_bytes;
	settings->kernel.memcg_kmem = false;           /* recorded without CONFIG_MEMCG */
	settings->kernel.slab_freelist_random = false; /* and without shuffled free lists */
	settings->kernel.slub_cpu_partial = true;
	settings->kernel.transparent_hugepage = facts->pcp_lists > PCP_LISTS_LOW;
	settings->kernel.page_struct_bytes = facts->page_struct_bytes ? facts->page_struct_bytes
	                                     : is_32_bit(recording)   ? PAGE_STRUCT_BYTES_32
	                                                              : settings->kernel.page_struct_bytes;
	boot_settings(recording, &settings->kernel);
	layout_init(&oracle->layout, settings->kernel.page_struct_bytes);
	if (facts->page_offset)
		oracle->layout.direct_map = facts->page_offset;
	else if (is_32_bit(recording))
		oracle->layout.direct_map = PAGE_OFFSET_32;
	if (settings->machine.cpus > CPUS_MAX)
		return error_set(error, ERROR_INPUT, "%s: %u CPUs, at most %d are modelled", recording->path,
		                 settings->machine.cpus, CPUS_MAX);
	return true;
}
