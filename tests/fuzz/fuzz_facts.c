/* SPDX-License-Identifier: MIT
 *
 * fuzz_facts.c - any bytes as a file beside a recording: the first byte chooses which (slabinfo, slub_sysfs, zoneinfo), the
 * second the moment, the rest is the file. What it says of caches must explain caches of any size that a recording may have.
 */
#include "sim/trace_caches.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void explain(const struct fact_cache *fact, enum recorded_allocator allocator)
{
	static const uint32_t pointer_bits[] = {32, 64};
	for (unsigned i = 0; i < 2; i++) {
		struct trace_cache cache = {.name = fact->name, .object_size = fact->object_size, .bytes_alloc = fact->size};
		caches_infer(&cache, allocator, pointer_bits[i], fact);
		SIM_ASSERT((cache.align & (cache.align - 1)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"slabinfo", "slub_sysfs", "zoneinfo"};
	if (size < 2)
		return 0;
	char *text = xcalloc(size, 1);
	memcpy(text, data + 2, size - 2);
	char *name = xasprintf("%s%s", names[data[0] % 3], data[1] % 2 ? ".after" : "");
	struct trace_fact fact = {name, text, size - 2};
	const struct trace_facts facts = {&fact, 1};
	struct fact_caches caches = {0};
	fact_caches_read(&caches, &facts);
	enum recorded_allocator allocator = fact_allocator(&facts);
	(void)fact_memory_frames(&facts);
	for (uint32_t i = 0; i < caches.count; i++) {
		SIM_ASSERT(fact_cache_named(&caches, caches.caches[i].name));
		explain(&caches.caches[i], allocator);
	}
	fact_caches_release(&caches);
	free(name);
	free(text);
	return 0;
}
