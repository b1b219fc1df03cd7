/* SPDX-License-Identifier: MIT
 *
 * test_trace_caches.c - how caches were created, inferred from the sizes of their objects, against what the slab sysfs files of
 * a Linux 6.1 kernel said of its caches; and the files beside a recording.
 */
#include "tests/unit/trace_case.h"

#include "sim/port/object_allocator.h"
#include "sim/trace_caches.h"

/* Recorded: /sys/kernel/slab/<name>/{object_size,slab_size,align,hwcache_align,ctor} of 6.1.192, x86-64, SLUB. */
static const struct recorded {
	const char *name;
	uint32_t object_size, slab_size, align;
	bool hwcache_align, ctor;
} recorded[] = {
        {"Acpi-Operand", 72, 72, 8, false, false},
        {"UNIX", 960, 960, 64, true, false},
        {"aio_kiocb", 176, 192, 64, true, false},
        {"anon_vma", 96, 104, 8, false, true},
        {"cred_jar", 136, 192, 64, true, false},
        {"dentry", 192, 192, 8, false, false},
        {"eventpoll_epi", 120, 128, 64, true, false},
        {"fasync_cache", 48, 48, 8, false, false},
        {"file_lock_cache", 216, 216, 8, false, false},
        {"filp", 224, 256, 64, true, false},
        {"fs_cache", 56, 64, 64, true, false},
        {"inode_cache", 576, 584, 8, false, true},
        {"kmem_cache", 200, 256, 64, true, false},
        {"maple_node", 256, 256, 256, false, false},
        {"mm_struct", 920, 960, 64, true, false},
        {"names_cache", 4096, 4096, 64, true, false},
        {"pid", 112, 128, 64, true, false},
        {"posix_timers_cache", 256, 256, 8, false, false},
        {"proc_inode_cache", 648, 656, 8, false, true},
        {"radix_tree_node", 192, 200, 8, false, true},
        {"shmem_inode_cache", 704, 712, 8, false, true},
        {"sighand_cache", 2080, 2112, 64, true, true},
        {"skbuff_fclone_cache", 424, 448, 64, true, false},
        {"sock_inode_cache", 704, 768, 64, true, true},
        {"task_struct", 2944, 2944, 64, false, false},
        {"uid_cache", 144, 192, 64, true, false},
};

/* What SLUB makes of a spec: calculate_alignment() and calculate_sizes() of 6.1, written down here once more. */
static uint32_t slub_size(const struct trace_cache *cache)
{
	uint32_t align = cache->align > 8 ? cache->align : 8;
	if (cache->flags & SLAB_HWCACHE_ALIGN) {
		uint32_t line = 64;
		while (cache->object_size <= line / 2)
			line /= 2;
		align = line > align ? line : align;
	}
	uint32_t size = (cache->object_size + 7) & ~7u;
	if (cache->ctor || (cache->flags & SLAB_TYPESAFE_BY_RCU))
		size += 8;
	return (size + align - 1) / align * align;
}

/* Whatever was inferred must make objects of the recorded size; a free pointer outside the object must be found. */
static void test_inferred_from_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
		struct trace_cache cache = {.object_size = recorded[i].object_size, .bytes_alloc = recorded[i].slab_size};
		caches_infer(&cache, RECORDED_SLUB, 64, NULL);
		assert_int_equal(slub_size(&cache), recorded[i].slab_size);
		/* A ctor can hide in the padding of an alignment: 704 + 8 is 768 either way. */
		if (!recorded[i].hwcache_align)
			assert_int_equal(cache.ctor, recorded[i].ctor);
	}
}

static void test_facts_over_inference(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
		struct trace_cache cache = {.object_size = recorded[i].object_size, .bytes_alloc = recorded[i].slab_size};
		const struct fact_cache fact = {.object_size = recorded[i].object_size,
		                                .size = recorded[i].slab_size,
		                                .align = recorded[i].align,
		                                .from_sysfs = true,
		                                .hwcache_align = recorded[i].hwcache_align,
		                                .ctor = recorded[i].ctor};
		caches_infer(&cache, RECORDED_SLUB, 64, &fact);
		assert_int_equal(slub_size(&cache), recorded[i].slab_size);
		assert_int_equal(cache.ctor, recorded[i].ctor);
		assert_int_equal((cache.flags & SLAB_HWCACHE_ALIGN) != 0, recorded[i].hwcache_align);
		assert_int_equal(cache.align, recorded[i].align > 8 ? recorded[i].align : 0);
	}
}

/* Eight bytes that no constructor explains: SLAB_TYPESAFE_BY_RCU, whose objects must keep their contents too. */
static void test_typesafe_by_rcu(void **state)
{
	(void)state;
	struct trace_cache cache = {.object_size = 96, .bytes_alloc = 104};
	const struct fact_cache fact = {.object_size = 96, .size = 104, .align = 8, .from_sysfs = true};
	caches_infer(&cache, RECORDED_SLUB, 64, &fact);
	assert_int_equal(cache.flags, SLAB_TYPESAFE_BY_RCU);
	assert_false(cache.ctor);
	/* SLOB puts 24 bytes behind such objects, and nothing else anywhere (recorded: anon_vma 96 of 120). */
	struct trace_cache slob = {.object_size = 96, .bytes_alloc = 120};
	caches_infer(&slob, RECORDED_SLOB, 64, NULL);
	assert_int_equal(slob.flags, SLAB_TYPESAFE_BY_RCU);
	assert_int_equal(slob.align, 0);
}

/* SLAB needs no room for a free pointer: recorded anon_vma 96 of 96, cred_jar 136 of 192. */
static void test_slab_sizes(void **state)
{
	(void)state;
	struct trace_cache plain = {.object_size = 96, .bytes_alloc = 96}, aligned = {.object_size = 136, .bytes_alloc = 192};
	struct trace_cache wide = {.object_size = 100, .bytes_alloc = 256};
	caches_infer(&plain, RECORDED_SLAB, 64, NULL);
	caches_infer(&aligned, RECORDED_SLAB, 64, NULL);
	caches_infer(&wide, RECORDED_SLAB, 64, NULL);
	assert_int_equal(plain.flags, 0);
	assert_int_equal(aligned.flags, SLAB_HWCACHE_ALIGN);
	assert_int_equal(wide.align, 256);
	assert_false(wide.ctor);
}

/* On 32 bits a word is 4 bytes, but objects are aligned to 8: recorded 36 of 40, and radix_tree_node 96 of 104. */
static void test_32_bit_words(void **state)
{
	(void)state;
	struct trace_cache cache = {.object_size = 36, .bytes_alloc = 40}, ctor = {.object_size = 96, .bytes_alloc = 104};
	caches_infer(&cache, RECORDED_SLUB, 32, NULL);
	caches_infer(&ctor, RECORDED_SLUB, 32, NULL);
	assert_int_equal(cache.align, 0);
	assert_false(cache.ctor);
	assert_true(ctor.ctor);
}

static void test_nonsense_stays_harmless(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {0, 1, 7, 64, 1u << 30, UINT32_MAX};
	for (size_t i = 0; i < 6; i++)
		for (size_t k = 0; k < 6; k++) {
			struct trace_cache cache = {.object_size = sizes[i], .bytes_alloc = sizes[k]};
			const struct fact_cache fact = {
			        .object_size = sizes[k], .size = sizes[i], .align = 77, .from_sysfs = true};
			caches_infer(&cache, RECORDED_SLUB, 64, k % 2 ? &fact : NULL);
			assert_true((cache.align & (cache.align - 1)) == 0);
		}
}

static void test_facts_are_found(void **state)
{
	struct trace_case c;
	struct trace_facts facts;
	char command[256];
	(void)state;
	case_begin(&c);
	snprintf(command, sizeof command, "mkdir %s/before %s/after", c.folder, c.folder);
	assert_int_equal(system(command), 0);
	case_fact(&c, "zoneinfo",
	          "Node 0, zone DMA\n        spanned  4095\n  start_pfn:           1\n"
	          "Node 0, zone DMA32\n        spanned  126944\n  start_pfn:           4096\n"
	          "Node 0, zone Normal\n        spanned  0\n");
	case_fact(&c, "before/zoneinfo", "never read");
	case_fact(&c, "before/slabinfo",
	          "slabinfo - version: 2.1\n# name ...\n"
	          "filp 10 20 256 7 1 : tunables 54 27 8 : slabdata 1 1 0\n");
	case_fact(&c, "after/slabinfo", "later");
	case_fact(&c, "meminfo", "general");
	case_fact(&c, "trace.meminfo", "of this recording");
	snprintf(c.path, sizeof c.path, "%s/trace.txt.xz", c.folder);
	assert_true(trace_facts_read(&facts, c.path, &c.error));
	assert_int_equal(facts.count, 4);
	for (uint32_t i = 0; i < facts.count; i++) {
		if (strcmp(facts.facts[i].name, "meminfo") == 0)
			assert_string_equal(facts.facts[i].text, "of this recording");
		if (strcmp(facts.facts[i].name, "slabinfo.after") == 0)
			assert_string_equal(facts.facts[i].text, "later");
	}
	assert_int_equal(fact_memory_frames(&facts), 131040);
	assert_int_equal(fact_allocator(&facts), RECORDED_SLAB);
	struct fact_caches caches;
	fact_caches_read(&caches, &facts);
	assert_int_equal(fact_cache_named(&caches, "filp")->size, 256);
	assert_null(fact_cache_named(&caches, "nothing"));
	fact_caches_release(&caches);
	trace_facts_release(&facts);
	case_end(&c);
}

/* SLUB has no tunables, SLOB no caches. */
static void test_fact_allocators(void **state)
{
	static const struct {
		const char *slabinfo;
		enum recorded_allocator allocator;
	} cases[] = {{"filp 10 20 256 7 1 : tunables 0 0 0 : slabdata 1 1 0\n", RECORDED_SLUB},
	             {"filp 10 20 256 7 1 : tunables 54 27 8 : slabdata 1 1 0\n", RECORDED_SLAB},
	             {"", RECORDED_SLOB},
	             {"hello\n", RECORDED_UNKNOWN}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trace_fact fact = {"slabinfo", cases[i].slabinfo, strlen(cases[i].slabinfo)};
		struct trace_facts facts = {&fact, 1};
		assert_int_equal(fact_allocator(&facts), cases[i].allocator);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_inferred_from_sizes), cmocka_unit_test(test_facts_over_inference),
	        cmocka_unit_test(test_typesafe_by_rcu),     cmocka_unit_test(test_slab_sizes),
	        cmocka_unit_test(test_32_bit_words),        cmocka_unit_test(test_nonsense_stays_harmless),
	        cmocka_unit_test(test_facts_are_found),     cmocka_unit_test(test_fact_allocators),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
