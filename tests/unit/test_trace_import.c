/* SPDX-License-Identifier: MIT
 *
 * test_trace_import.c - the rules of attribution (docs/formats.md), each on a few lines written by hand. Expected ops follow from
 * what a kernel must have done to print the lines.
 */
#include "tests/unit/trace_case.h"

#include "sim/port/object_allocator.h"

/* A line of CPU `cpu` at a time in microseconds. */
#define AT(cpu, us, event) "          task-1       [00" #cpu "] d....     0.000" #us ": " event "\n"
#define CACHE_ALLOC(site, ptr, req, alloc) \
	"kmem_cache_alloc: call_site=" site " ptr=" ptr " bytes_req=" #req " bytes_alloc=" #alloc " gfp_flags=GFP_KERNEL " \
	                                                                                          "node=-1"
#define CACHE_FREE(ptr, name) "kmem_cache_free: call_site=g+0x1/0x2 ptr=" ptr " name=" name
#define KMALLOC(ptr, req, alloc) \
	"kmalloc: call_site=k+0x1/0x2 ptr=" ptr " bytes_req=" #req " bytes_alloc=" #alloc " gfp_flags=GFP_KERNEL node=-1"
#define KFREE(ptr) "kfree: call_site=g+0x1/0x2 ptr=" ptr
#define PAGES(pfn, order) \
	"mm_page_alloc: page=ffffea000000" pfn " pfn=0x" pfn " order=" #order " migratetype=0 gfp_flags=GFP_KERNEL"
#define PAGES_FREE(pfn, order) "mm_page_free: page=ffffea000000" pfn " pfn=0x" pfn " order=" #order
#define BATCHED(pfn) "mm_page_free_batched: page=ffffea000000" pfn " pfn=0x" pfn " order=0"
/* One slab page and an object in it: tells that the direct map begins at ffff888000000000. */
#define BASE AT(0, 001, PAGES("9000", 0)) AT(0, 002, KMALLOC("ffff888009000000", 100, 128))

static void test_objects(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, CACHE_ALLOC("f", "ffff888001000000", 100, 104))
	                                    AT(0, 002, KMALLOC("ffff888002000000", 60, 64))
	                                            AT(1, 003, CACHE_FREE("ffff888001000000", "thing"))
	                                                    AT(0, 004, CACHE_ALLOC("f", "ffff888001000000", 100, 104))
	                                                            AT(0, 005, KFREE("ffff888002000000"))));
	/* Id 0 is used again; the last allocation takes the name of its group, although nothing frees it. */
	assert_string_equal(case_ops(&c), "A0:thing K1:60/64 F0:thing A0:thing k1");
	assert_int_equal(c.summary.lines, 5);
	assert_int_equal(c.summary.events_used, 5);
	assert_int_equal(c.summary.never_freed, 1);
	assert_int_equal(trace_info(c.trace)->cpus, 2);
	assert_int_equal(trace_info(c.trace)->pointer_bits, 64);
	assert_int_equal(trace_info(c.trace)->ids, 2);
	assert_int_equal(trace_info(c.trace)->first_ns, 1000);
	assert_int_equal(trace_info(c.trace)->last_ns, 5000);
	case_end(&c);
}

/* Every field of an op; catches columns that are mixed up. */
static void test_op_fields(void **state)
{
	struct trace_case c;
	struct op ops[4];
	size_t count;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, "# tracer: nop\n" AT(3, 001, CACHE_ALLOC("f+0x1/0x2 [mod]", "ffff888001000000", 100, 104))
	                                    AT(2, 002, PAGES("8000", 3)) AT(1, 003, CACHE_FREE("ffff888001000000", "thing"))
	                                            AT(0, 004, PAGES_FREE("8000", 3))));
	assert_true(trace_next(c.trace, ops, 4, &count, &c.error));
	assert_int_equal(count, 4);
	assert_int_equal(ops[0].kind, OP_CACHE_ALLOC);
	assert_int_equal(ops[0].time_ns, 1000);
	assert_int_equal(ops[0].line, 2);
	assert_int_equal(ops[0].address, 0xffff888001000000);
	assert_int_equal(ops[0].cpu, 3);
	assert_int_equal(ops[0].gfp, GFP_KERNEL);
	assert_int_equal(ops[0].bytes_req, 100);
	assert_int_equal(ops[0].bytes_alloc, 104);
	assert_string_equal(trace_call_site(c.trace, ops[0].call_site), "f+0x1/0x2 [mod]");
	assert_int_equal(ops[1].address, 0x8000);
	assert_int_equal(ops[1].cache, TRACE_CACHE_NONE);
	assert_int_equal(ops[1].order, 3);
	/* A free tells what its allocation told. */
	assert_int_equal(ops[2].kind, OP_CACHE_FREE);
	assert_int_equal(ops[2].address, 0xffff888001000000);
	assert_int_equal(ops[2].cache, ops[0].cache);
	assert_int_equal(ops[2].cpu, 1);
	assert_int_equal(ops[2].line, 4);
	assert_int_equal(ops[3].kind, OP_PAGE_FREE);
	assert_int_equal(ops[3].address, 0x8000);
	assert_int_equal(ops[3].order, 3);
	case_end(&c);
}

/* A block whose frames hold an object is the slab layer's, and so is its free; other pages stay. */
static void test_slab_pages(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, PAGES("9000", 1)) AT(0, 002, CACHE_ALLOC("f", "ffff888009001000", 100, 104))
	                                    AT(0, 003, PAGES("9002", 0)) AT(0, 004, CACHE_FREE("ffff888009001000", "thing"))
	                                            AT(0, 005, PAGES_FREE("9000", 1)) AT(0, 006, PAGES_FREE("9002", 0))));
	assert_string_equal(case_ops(&c), "A0:thing P1:0 F0:thing p1:0");
	assert_int_equal(c.summary.left_slab_pages, 1);
	assert_int_equal(c.summary.left_slab_page_frees, 1);
	assert_int_equal(c.summary.events_used, 4);
	assert_int_equal(trace_info(c.trace)->direct_map, 0xffff888000000000);
	assert_int_equal(trace_info(c.trace)->end_pfn, 0x9003);
	case_end(&c);
}

/* A large kmalloc is served by pages; they are the model's business too. */
static void test_large_kmalloc(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, PAGES("9000", 2)) AT(0, 002, KMALLOC("ffff888009000000", 16000, 16384))
	                                    AT(0, 003, KFREE("ffff888009000000")) AT(0, 004, PAGES_FREE("9000", 2))));
	assert_string_equal(case_ops(&c), "K0:16000/16384 k0");
	case_end(&c);
}

/* An object seen only at its free makes its block a slab too, however late; the op was written long before then. */
static void test_slab_found_late(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	FILE *file = fopen(c.path, "w");
	assert_non_null(file);
	fputs(BASE AT(0, 003, PAGES("9001", 0)) AT(0, 004, PAGES("9002", 0)), file);
	for (unsigned i = 0; i < 50000; i++)
		fputs(AT(0, 005, KMALLOC("ffff888009000080", 100, 128)) AT(0, 005, KFREE("ffff888009000080")), file);
	fputs(AT(0, 006, CACHE_FREE("ffff888009001000", "bulk")) AT(0, 007, PAGES_FREE("9001", 0))
	              AT(0, 007, PAGES_FREE("9002", 0)),
	      file);
	fclose(file);
	assert_true(case_import_file(&c));
	assert_int_equal(c.summary.left_slab_pages, 2);
	assert_int_equal(c.summary.left_slab_page_frees, 1);
	assert_int_equal(c.summary.unseen_allocs, 1);
	uint64_t pages = 0, ops = 0;
	struct op batch[512];
	size_t count;
	do {
		assert_true(trace_next(c.trace, batch, 512, &count, &c.error));
		for (size_t i = 0; i < count; i++) {
			pages += batch[i].kind == OP_PAGE_ALLOC;
			assert_false(batch[i].kind == OP_PAGE_ALLOC && batch[i].address != 0x9002);
		}
		ops += count;
	} while (count > 0);
	assert_int_equal(pages, 1);
	assert_int_equal(ops, trace_info(c.trace)->ops);
	assert_int_equal(ops, 1 + 2 + 100000 + 2);
	case_end(&c);
}

/* A frame that held a slab is handed out as a page again: it is no slab any more. */
static void test_frames_change_hands(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, KFREE("ffff888009000000")) AT(0, 004, PAGES_FREE("9000", 0))
	                                    AT(0, 005, PAGES("9000", 0)) AT(0, 006, PAGES_FREE("9000", 0)) AT(
	                                            0, 007, PAGES("9000", 0)) AT(0, 010, KMALLOC("ffff888009000000", 100, 128))));
	assert_string_equal(case_ops(&c), "K0:100/128 k0 P0:0 p0:0 K0:100/128");
	assert_int_equal(c.summary.left_slab_pages, 2);
	case_end(&c);
}

/* Until 6.0 kmem_cache_free's event came after the free, so it may come after its page's. */
static void test_free_after_its_page(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES_FREE("9000", 0)) AT(0, 004, KFREE("ffff888009000000"))
	                                    AT(0, 005, PAGES("9000", 0)) AT(0, 006, PAGES_FREE("9000", 0))));
	assert_string_equal(case_ops(&c), "K0:100/128 k0 P0:0 p0:0");
	assert_int_equal(c.summary.unseen_allocs, 0);
	case_end(&c);
}

/* Bulk frees have no event: an object whose frame is handed out anew must be gone. */
static void test_unseen_free(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES_FREE("9000", 0)) AT(0, 004, PAGES("9000", 0))));
	assert_string_equal(case_ops(&c), "K0:100/128 k0 P0:0");
	assert_int_equal(c.summary.unseen_frees, 1);
	case_end(&c);
}

static void test_before_and_unseen(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, CACHE_FREE("ffff888001000000", "old"))
	                                    AT(0, 004, CACHE_FREE("ffff888001000000", "old")) AT(0, 005, PAGES_FREE("0100", 0))
	                                            AT(0, 006, PAGES_FREE("0100", 0))));
	/* First sight: it lived before. Second: something without an event allocated it in between. Ids of the former are fresh.
	 */
	assert_string_equal(case_ops(&c), "bA1:old bP2:0 K0:100/128 F1:old uA1:old F1:old p2:0 uP2:0 p2:0");
	assert_int_equal(c.summary.freed_before_recording, 1);
	assert_int_equal(c.summary.pages_before_recording, 1);
	assert_int_equal(c.summary.unseen_allocs, 2);
	struct op op;
	size_t count;
	assert_true(trace_next(c.trace, &op, 1, &count, &c.error));
	assert_int_equal(op.origin, OP_BEFORE);
	assert_int_equal(op.time_ns, 1000);
	assert_int_equal(op.line, 0);
	case_end(&c);
}

/* An object in a page that was allocated during the recording cannot be older than it: bulk allocation. */
static void test_unseen_in_recorded_slab(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES("9001", 0)) AT(0, 004, CACHE_ALLOC("f", "ffff888009001000", 256, 256))
	                                    AT(0, 005, CACHE_FREE("ffff888009001100", "maple_node"))));
	assert_string_equal(case_ops(&c), "K0:100/128 A1:maple_node uA2:maple_node F2:maple_node");
	/* Its sizes are those of the cache's other objects, and one free named the whole slab. */
	assert_int_equal(trace_info(c.trace)->caches, 1);
	assert_int_equal(trace_cache(c.trace, 0)->bytes_alloc, 256);
	assert_int_equal(c.summary.guessed_sizes, 0);
	case_end(&c);
}

static void test_sizes_of_unknown_kmallocs(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	/* In the slab of a 128-byte object; and alone. */
	assert_true(case_import(&c, BASE AT(0, 003, KFREE("ffff888009000080")) AT(0, 004, KFREE("ffff888001000000"))));
	assert_string_equal(case_ops(&c), "bK2:64/0 K0:100/128 uK1:128/128 k1 k2");
	assert_int_equal(c.summary.guessed_sizes, 1);
	case_end(&c);
}

static void test_reallocated(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, KMALLOC("ffff888009000000", 90, 128)) AT(0, 004, PAGES("8000", 0))
	                                    AT(0, 005, PAGES("8000", 1)) AT(0, 006, PAGES("8001", 0))));
	assert_string_equal(case_ops(&c), "K0:100/128 k0 K0:90/128 P1:0 p1:0 P1:1 p1:1 P1:0");
	assert_int_equal(c.summary.reallocated, 3);
	case_end(&c);
}

/* alloc_pages_exact() gives back the tail of its block page by page: the rest stays allocated. */
static void test_split_blocks(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES("8000", 2)) AT(0, 004, PAGES_FREE("8003", 0))
	                                    AT(0, 005, PAGES("8003", 0)) AT(0, 006, PAGES_FREE("8000", 0))));
	assert_string_equal(case_ops(&c), "K0:100/128 P1:2 p1:2 uP1:1 uP2:0 P3:0 p1:1 uP1:0");
	assert_int_equal(c.summary.split_frees, 2);
	assert_int_equal(c.summary.split_allocs, 3);
	assert_int_equal(c.summary.reallocated, 0);
	case_end(&c);
}

/* 6.1 prints mm_page_free first and mm_page_free_batched later, 4.x the other way round: one free each. */
static void test_batched_frees(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES("8000", 0)) AT(0, 004, PAGES("8001", 0))
	                                    AT(0, 005, PAGES_FREE("8000", 0)) AT(0, 006, PAGES_FREE("8001", 0))
	                                            AT(0, 007, BATCHED("8000")) AT(0, 010, BATCHED("8001"))));
	assert_string_equal(case_ops(&c), "K0:100/128 P1:0 P2:0 p1:0 p2:0");
	assert_int_equal(c.summary.left_batched_duplicates, 2);
	case_end(&c);
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES("8000", 0)) AT(0, 004, BATCHED("8000"))
	                                    AT(0, 005, PAGES_FREE("8000", 0)) AT(0, 006, PAGES("8000", 0))
	                                            AT(0, 007, BATCHED("8000")) AT(0, 010, PAGES_FREE("8000", 0))));
	assert_string_equal(case_ops(&c), "K0:100/128 P1:0 p1:0 P1:0 p1:0");
	assert_int_equal(c.summary.left_batched_duplicates, 2);
	case_end(&c);
}

static void test_only_batched_frees(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE AT(0, 003, PAGES("8000", 0)) AT(0, 004, BATCHED("8000")) AT(0, 005, PAGES("8000", 0))
	                                    AT(0, 006, BATCHED("8000"))));
	assert_string_equal(case_ops(&c), "K0:100/128 P1:0 p1:0 P1:0 p1:0");
	assert_int_equal(c.summary.left_batched_duplicates, 0);
	case_end(&c);
}

static void test_left_out(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, BASE AT(0, 003, "mm_page_alloc: page=(null) pfn=0x0 order=9 migratetype=1 gfp_flags=GFP_TRANSHUGE") AT(
	                    0, 004, "mm_page_alloc: [FAILED TO PARSE] pfn=0xffffffffffffffff order=9 gfp_flags=0x0 migratetype=1")
	                    AT(0, 005, KMALLOC("(null)", 100, 0)) AT(0, 006, KFREE("(null)"))
	                            AT(0, 007, KFREE("0000000000000010")) AT(0, 010, KFREE("(____ptrval____)"))
	                                    AT(0, 011, "mm_page_pcpu_drain: page=1 pfn=0x1 order=0 migratetype=1")
	                                            AT(0, 012, "sched_wakeup: comm=x pid=1")));
	assert_string_equal(case_ops(&c), "K0:100/128");
	assert_int_equal(c.summary.left_failed_allocs, 3);
	assert_int_equal(c.summary.left_null_frees, 2);
	assert_int_equal(c.summary.left_no_pointer, 1);
	assert_int_equal(c.summary.left_zone_internal, 1);
	assert_int_equal(c.summary.events_unknown, 1);
	case_end(&c);
}

/* Damage in the middle and at the end is counted and placed, and nothing else is lost. */
static void test_damaged_lines(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, BASE "garbage\n" AT(0, 003, "kmalloc: call_site=f ptr=ffff8") AT(
	                                    0, 004, "mm_page_free: page=1 pfn=0x8001 order=1")
	                                    AT(0, 005, KFREE("ffff888009000000")) "          task-1       [000] d....     "
	                                                                          "0.000006: kfree: call_site=f ptr=ffff88"));
	assert_string_equal(case_ops(&c), "K0:100/128 k0");
	assert_int_equal(c.summary.lines, 7);
	assert_int_equal(c.summary.lines_damaged, 4);
	assert_int_equal(c.summary.first_damaged_line, 3);
	assert_int_equal(c.summary.last_line_cut, 1);
	case_end(&c);
}

static void test_long_line(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	static char text[1000000];
	memset(text, 'x', sizeof text);
	size_t used = strlen(BASE);
	memcpy(text, BASE, used);
	static const char tail[] = "\n" AT(0, 003, KFREE("ffff888009000000"));
	memcpy(text + sizeof text - sizeof tail, tail, sizeof tail);
	assert_true(case_import(&c, text));
	assert_string_equal(case_ops(&c), "K0:100/128 k0");
	assert_int_equal(c.summary.lines, 4);
	assert_int_equal(c.summary.lines_damaged, 1);
	case_end(&c);
}

static void test_losses_are_told(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, "# entries-in-buffer/entries-written: 2/12   #P:2\n" BASE "CPU:0 [LOST 3 EVENTS]\n"
	                            "CPU:1 [LOST EVENTS]\n" AT(0, 001, KFREE("ffff888009000000"))));
	assert_int_equal(c.summary.events_lost, 10); /* the notices are of the same events */
	assert_int_equal(c.summary.lines_lost_notice, 2);
	assert_int_equal(c.summary.time_went_back, 1);
	assert_int_equal(trace_info(c.trace)->cpus, 2);
	case_end(&c);
}

static void test_marks(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(
	        case_import(&c, AT(0, 001, "tracing_mark_write: begin = now") AT(0, 002, KMALLOC("ffff888002000000", 60, 64))));
	assert_string_equal(case_ops(&c), "M:begin = now K0:60/64");
	assert_int_equal(c.summary.marks, 1);
	case_end(&c);
}

/* One call site allocates from two caches of equal sizes, as sk_alloc() does: each object is of the cache its free names. */
static void test_two_caches_behind_one_call_site(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, CACHE_ALLOC("sk", "ffff888001000000", 960, 960))
	                                    AT(0, 002, CACHE_ALLOC("sk", "ffff888002000000", 960, 960))
	                                            AT(0, 003, CACHE_FREE("ffff888001000000", "UNIX"))
	                                                    AT(0, 004, CACHE_FREE("ffff888002000000", "UNIX-STREAM"))
	                                                            AT(0, 005, CACHE_ALLOC("sk", "ffff888002000400", 960, 960))));
	/* The last one lies in a page of which a free has named the cache. */
	assert_string_equal(case_ops(&c), "A0:UNIX A1:UNIX-STREAM F0:UNIX F1:UNIX-STREAM A1:UNIX-STREAM");
	case_end(&c);
}

/* The same, when the op that must be corrected was written long ago. */
static void test_cache_found_late(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	FILE *file = fopen(c.path, "w");
	assert_non_null(file);
	fputs(AT(0, 001, CACHE_ALLOC("sk", "ffff888001000000", 960, 960))
	              AT(0, 001, CACHE_ALLOC("sk", "ffff888002000000", 960, 960))
	                      AT(0, 002, CACHE_FREE("ffff888001000000", "UNIX")),
	      file);
	for (unsigned i = 0; i < 50000; i++)
		fputs(AT(0, 005, KMALLOC("ffff888009000080", 100, 128)) AT(0, 005, KFREE("ffff888009000080")), file);
	fputs(AT(0, 006, CACHE_FREE("ffff888002000000", "UNIX-STREAM")), file);
	fclose(file);
	assert_true(case_import_file(&c));
	struct op ops[2];
	size_t count;
	assert_true(trace_next(c.trace, ops, 2, &count, &c.error));
	assert_string_equal(trace_cache(c.trace, ops[0].cache)->name, "UNIX");
	assert_string_equal(trace_cache(c.trace, ops[1].cache)->name, "UNIX-STREAM");
	struct op last = {0}, batch[512];
	do {
		assert_true(trace_next(c.trace, batch, 512, &count, &c.error));
		last = count ? batch[count - 1] : last;
	} while (count > 0);
	assert_int_equal(last.kind, OP_CACHE_FREE);
	assert_int_equal(last.cache, ops[1].cache);
	case_end(&c);
}

/* Without names (before 5.12), objects that share slabs are of one cache; what is left is called by call site and size. */
static void test_nameless_caches(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, CACHE_ALLOC("f", "ffff888001000000", 96, 96))
	                                    AT(0, 002, CACHE_ALLOC("g", "ffff888001000060", 96, 96))
	                                            AT(0, 003, CACHE_ALLOC("h", "ffff888002000000", 96, 96))
	                                                    AT(0, 004, "kmem_cache_free: call_site=x ptr=ffff888001000060")));
	assert_string_equal(case_ops(&c), "A0:f:96 A1:f:96 A2:h:96 F1:f:96");
	assert_false(trace_cache(c.trace, 0)->named);
	case_end(&c);
}

/* The facts name a group that no free names, if only one cache has its sizes. */
static void test_caches_named_by_facts(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	case_fact(&c, "slub_sysfs",
	          "one/object_size:96\none/slab_size:104\none/align:8\none/ctor:init+0x0/0x1\n"
	          "two/object_size:64\ntwo/slab_size:64\ntwo/align:8\nthree/object_size:64\nthree/slab_size:64\nthree/align:8\n");
	assert_true(case_import(&c, AT(0, 001, CACHE_ALLOC("f", "ffff888001000000", 96, 104))
	                                    AT(0, 002, CACHE_ALLOC("g", "ffff888002000000", 64, 64))));
	assert_string_equal(case_ops(&c), "A0:one A1:g:64");
	assert_true(trace_cache(c.trace, 0)->ctor);
	assert_int_equal(trace_info(c.trace)->allocator, RECORDED_SLUB);
	assert_non_null(trace_fact_named(c.trace, "slub_sysfs"));
	assert_null(trace_fact_named(c.trace, "zoneinfo"));
	case_end(&c);
}

static void test_one_name_two_sizes(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, CACHE_ALLOC("f", "ffff888001000000", 96, 96))
	                                    AT(0, 002, CACHE_FREE("ffff888001000000", "thing"))
	                                            AT(0, 003, CACHE_ALLOC("f", "ffff888002000000", 80, 80))
	                                                    AT(0, 004, CACHE_FREE("ffff888002000000", "thing"))));
	assert_string_equal(case_ops(&c), "A0:thing F0:thing A0:thing#2 F0:thing#2");
	assert_int_equal(c.summary.same_name_caches, 1);
	case_end(&c);
}

/* kfree() frees objects of caches too, and kmem_cache_free() those of kmalloc: the allocation decides what the op is. */
static void test_crossed_frees(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, CACHE_ALLOC("f", "ffff888001000000", 96, 96))
	                                    AT(0, 002, KMALLOC("ffff888002000000", 60, 64)) AT(0, 003, KFREE("ffff888001000000"))
	                                            AT(0, 004, CACHE_FREE("ffff888002000000", "kmalloc-64"))));
	assert_string_equal(case_ops(&c), "A0:f:96 K1:60/64 F0:f:96 k1");
	case_end(&c);
}

/* Slab pages tell what mobility and zone their cache asks for. */
static void test_flags_from_slab_pages(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001,
	                               "mm_page_alloc: page=1 pfn=0x9000 order=0 migratetype=2 "
	                               "gfp_flags=GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY|__GFP_RECLAIMABLE")
	                                    AT(0, 002, CACHE_ALLOC("f", "ffff888009000000", 192, 192))));
	assert_int_equal(trace_cache(c.trace, 0)->flags, SLAB_RECLAIM_ACCOUNT);
	case_end(&c);
}

#define KASLR_PAIR(us, pfn, at) AT(0, us, PAGES(pfn, 0)) AT(0, us, KMALLOC(at, 100, 128))

/* With KASLR the direct map begins at any multiple of 1 GiB; the first events, before that is known, count as well. */
static void test_kaslr(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, KASLR_PAIR(001, "9000", "ffff9b8f49000000") KASLR_PAIR(002, "9001", "ffff9b8f49001000")
	                                    KASLR_PAIR(003, "9002", "ffff9b8f49002000") AT(0, 004, PAGES("9003", 0))));
	assert_int_equal(trace_info(c.trace)->direct_map, 0xffff9b8f40000000);
	assert_int_equal(c.summary.left_slab_pages, 3);
	assert_string_equal(case_ops(&c), "K0:100/128 K1:100/128 K2:100/128 P3:0");
	case_end(&c);
}

/* struct page of 56 bytes, and an array base moved by KASLR. */
static void test_struct_pages(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, AT(0, 001, "mm_page_alloc: page=ffffd1e580000038 pfn=0x1 order=0 migratetype=0 gfp_flags=none")
	                    AT(0, 002, "mm_page_alloc: page=ffffd1e5800000a8 pfn=0x3 order=0 migratetype=0 gfp_flags=none")));
	assert_int_equal(trace_info(c.trace)->page_struct_bytes, 56);
	assert_int_equal(trace_info(c.trace)->vmemmap, 0xffffd1e580000000);
	assert_int_equal(trace_info(c.trace)->direct_map, 0);
	case_end(&c);
}

static void test_32_bit(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, "mm_page_alloc: page=f6b66840 pfn=0x38c2 order=0 migratetype=0 gfp_flags=none")
	                                    AT(0, 002, KMALLOC("c38c2000", 20, 32)) AT(0, 003, KFREE("c38c2000"))));
	assert_string_equal(case_ops(&c), "K0:20/32 k0");
	assert_int_equal(trace_info(c.trace)->pointer_bits, 32);
	assert_int_equal(trace_info(c.trace)->direct_map, 0xc0000000);
	case_end(&c);
}

#define SLAB_GFP_PAGES(pfn) \
	"mm_page_alloc: page=00000000b1c2d3e4 pfn=0x" pfn " order=0 migratetype=0 " \
	                                                  "gfp_flags=GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY"

/* Hashed pointers tell no frames: the next event on the CPU and the flags have to. */
static void test_hashed_pointers(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 001, SLAB_GFP_PAGES("9000")) AT(1, 002, PAGES("9001", 0)) AT(
	                                    0, 003, KMALLOC("00000000a1b2c3d4", 60, 64))
	                                    AT(1, 004, KMALLOC("0000000011223344", 60, 64)) AT(0, 005, KFREE("00000000a1b2c3d4"))
	                                            AT(0, 006, PAGES_FREE("9000", 0)) AT(0, 007, PAGES_FREE("9001", 0))));
	assert_string_equal(case_ops(&c), "P1:0 K0:60/64 K2:60/64 k0 p1:0");
	assert_int_equal(c.summary.hashed_pointers, 1);
	assert_int_equal(c.summary.slab_pages_by_neighbour, 1);
	assert_int_equal(c.summary.left_slab_page_frees, 1);
	assert_int_equal(trace_info(c.trace)->pointer_bits, 64);
	assert_int_equal(trace_info(c.trace)->direct_map, 0);
	case_end(&c);
}

/* The same events in the words of the three tools give the same ops. */
static void test_formats_agree(void **state)
{
	static const char *const texts[] = {
	        "     a b-1       [000] d....     0.000001: kmalloc: call_site=f+0x1/0x2 ptr=ffff888002000000 bytes_req=60 "
	        "bytes_alloc=64 "
	        "gfp_flags=GFP_KERNEL node=-1 accounted=false\n"
	        "     a b-1       [000] d....     0.000002: kfree: call_site=f+0x1/0x2 ptr=ffff888002000000\n",
	        "cpus=1\n"
	        "     a b-1     [000]     0.000001: kmalloc:              (f+0x1) call_site=f+0x1/0x2 ptr=0xffff888002000000 "
	        "bytes_req=60 "
	        "bytes_alloc=64 gfp_flags=GFP_KERNEL node=-1 accounted=false\n"
	        "     a b-1     [000]     0.000002: kfree:                (f+0x1) call_site=f+0x1/0x2 ptr=0xffff888002000000\n",
	        "a b     1 [000]     0.000001:   kmem:kmalloc: call_site=f+0x1/0x2 ptr=0xffff888002000000 bytes_req=60 "
	        "bytes_alloc=64 "
	        "gfp_flags=GFP_KERNEL node=-1 accounted=false\n"
	        "a b     1 [000]     0.000002:     kmem:kfree: call_site=f+0x1/0x2 ptr=0xffff888002000000\n"};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct trace_case c;
		case_begin(&c);
		assert_true(case_import(&c, texts[i]));
		assert_string_equal(case_ops(&c), "K0:60/64 k0");
		assert_int_equal(trace_info(c.trace)->first_ns, 1000);
		case_end(&c);
	}
}

/* The kmalloc sizes tell the allocator where no fact does. */
static void test_recorded_allocator(void **state)
{
	static const struct {
		const char *text;
		enum recorded_allocator allocator;
	} cases[] = {
	        {AT(0, 001, KMALLOC("ffff888002000000", 10, 16)), RECORDED_SLUB},
	        {AT(0, 001, KMALLOC("ffff888002000000", 10, 32)), RECORDED_SLAB},
	        {AT(0, 001, KMALLOC("ffff888002000008", 10, 18)) AT(0, 002, KMALLOC("ffff888002000028", 33, 41)), RECORDED_SLOB},
	        {AT(0, 001, KMALLOC("ffff888002000000", 100, 128)), RECORDED_UNKNOWN}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trace_case c;
		case_begin(&c);
		assert_true(case_import(&c, cases[i].text));
		assert_int_equal(trace_info(c.trace)->allocator, cases[i].allocator);
		case_end(&c);
	}
}

static void assert_refused(const char *text, const char *expected)
{
	struct trace_case c;
	char out[128];
	case_begin(&c);
	assert_false(case_import(&c, text));
	assert_int_equal(c.error.kind, ERROR_INPUT);
	assert_non_null(strstr(c.error.text, expected));
	assert_non_null(strstr(c.error.text, c.path));
	/* Nothing appears under the name of the output. */
	snprintf(out, sizeof out, "%s/trace.kmt", c.folder);
	assert_int_equal(access(out, F_OK), -1);
	case_end(&c);
}

static void test_not_a_trace(void **state)
{
	(void)state;
	assert_refused("", "is this a trace?");
	assert_refused("hello\nworld\n", "is this a trace?");
	assert_refused("# tracer: nop\n#\n", "is this a trace?");
	assert_refused("\x17\x08"
	               "Dtracing6",
	               "trace-cmd report");
	assert_refused("PERFILE2xxxx", "perf script");
}

static void test_missing_file(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_false(case_import_file(&c));
	assert_int_equal(c.error.kind, ERROR_HOST);
	assert_non_null(strstr(c.error.text, "No such file"));
	c.error = (struct error){0};
	assert_false(trace_import(c.path, "/nonexistent/x.kmt", TRACE_PROCESSES, NULL, NULL, &c.error));
	assert_int_equal(c.error.kind, ERROR_HOST);
	case_end(&c);
}

/* The same text gives the same bytes. */
static void test_deterministic(void **state)
{
	struct trace_case a, b;
	char command[256];
	(void)state;
	case_begin(&a);
	case_begin(&b);
	assert_true(case_import(&a, BASE AT(0, 003, KFREE("ffff888009000080"))));
	assert_true(case_import(&b, BASE AT(0, 003, KFREE("ffff888009000080"))));
	snprintf(command, sizeof command, "cmp %s/trace.kmt %s/trace.kmt", a.folder, b.folder);
	assert_int_equal(system(command), 0);
	case_end(&a);
	case_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_objects),
	        cmocka_unit_test(test_op_fields),
	        cmocka_unit_test(test_slab_pages),
	        cmocka_unit_test(test_large_kmalloc),
	        cmocka_unit_test(test_slab_found_late),
	        cmocka_unit_test(test_frames_change_hands),
	        cmocka_unit_test(test_free_after_its_page),
	        cmocka_unit_test(test_unseen_free),
	        cmocka_unit_test(test_before_and_unseen),
	        cmocka_unit_test(test_unseen_in_recorded_slab),
	        cmocka_unit_test(test_sizes_of_unknown_kmallocs),
	        cmocka_unit_test(test_reallocated),
	        cmocka_unit_test(test_split_blocks),
	        cmocka_unit_test(test_batched_frees),
	        cmocka_unit_test(test_only_batched_frees),
	        cmocka_unit_test(test_left_out),
	        cmocka_unit_test(test_damaged_lines),
	        cmocka_unit_test(test_long_line),
	        cmocka_unit_test(test_losses_are_told),
	        cmocka_unit_test(test_marks),
	        cmocka_unit_test(test_two_caches_behind_one_call_site),
	        cmocka_unit_test(test_cache_found_late),
	        cmocka_unit_test(test_nameless_caches),
	        cmocka_unit_test(test_caches_named_by_facts),
	        cmocka_unit_test(test_one_name_two_sizes),
	        cmocka_unit_test(test_crossed_frees),
	        cmocka_unit_test(test_flags_from_slab_pages),
	        cmocka_unit_test(test_kaslr),
	        cmocka_unit_test(test_struct_pages),
	        cmocka_unit_test(test_32_bit),
	        cmocka_unit_test(test_hashed_pointers),
	        cmocka_unit_test(test_formats_agree),
	        cmocka_unit_test(test_recorded_allocator),
	        cmocka_unit_test(test_not_a_trace),
	        cmocka_unit_test(test_missing_file),
	        cmocka_unit_test(test_deterministic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
