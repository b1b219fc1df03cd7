/* SPDX-License-Identifier: MIT
 *
 * test_trace_text.c - single lines of the three text formats, of kernels 4.x to 6.x, and gfp flags.
 */
#include "tests/unit/test.h"

#include "sim/gfp.h"
#include "sim/trace_text.h"

#include <stdio.h>
#include <string.h>

static enum text_line read_line(const char *line, struct text_event *event)
{
	struct text_reader reader = {0};
	*event = (struct text_event){0};
	return text_read_line(&reader, line, line + strlen(line), event);
}

static void assert_slice(struct text_slice slice, const char *expected)
{
	assert_int_equal(slice.length, strlen(expected));
	assert_memory_equal(slice.at, expected, slice.length);
}

#define KMALLOC "kmalloc: call_site=f+0x1/0x2 ptr=ffff888003bab780 bytes_req=60 bytes_alloc=64 gfp_flags=GFP_KERNEL"

static void assert_kmalloc(const char *line, uint32_t cpu, uint64_t time_ns)
{
	struct text_event event;
	assert_int_equal(read_line(line, &event), TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_KMALLOC);
	assert_int_equal(event.cpu, cpu);
	assert_int_equal(event.time_ns, time_ns);
	assert_int_equal(event.ptr, 0xffff888003bab780);
	assert_int_equal(event.bytes_req, 60);
	assert_int_equal(event.bytes_alloc, 64);
	assert_slice(event.gfp_flags, "GFP_KERNEL");
	assert_slice(event.call_site, "f+0x1/0x2");
	assert_int_equal(event.unknown_keys, 0);
}

/* Heads of ftrace and trace-cmd: every column that may be missing is missing once. */
static void test_ftrace_heads(void **state)
{
	(void)state;
	assert_kmalloc("            init-1       [000] d..1.     3.192619: " KMALLOC, 0, 3192619000);
	/* 4.x: four flags */
	assert_kmalloc("            bash-1977  [003] ....   105.000001: " KMALLOC, 3, 105000001000);
	/* nolatency-format without irq-info, and trace-cmd */
	assert_kmalloc("          <idle>-0     [001]     0.000000: kmalloc:              call_site=f+0x1/0x2 "
	               "ptr=0xffff888003bab780 bytes_req=60 bytes_alloc=64 gfp_flags=GFP_KERNEL",
	               1, 0);
	/* trace-cmd puts the function in front where it knows it, and shows nanoseconds with -t */
	assert_kmalloc("            init-1     [000]     3.192619123: kmalloc:              (f+0x1) call_site=f+0x1/0x2 "
	               "ptr=0xffff888003bab780 bytes_req=60 bytes_alloc=64 gfp_flags=GFP_KERNEL",
	               0, 3192619123);
	/* option record-tgid */
	assert_kmalloc("            bash-1977  (   1977) [127] d..1   105.000001: " KMALLOC, 127, 105000001000);
	assert_kmalloc("          <idle>-0     (-----) [000] d.h.   105.000001: " KMALLOC, 0, 105000001000);
	/* a clock that counts */
	assert_kmalloc("            bash-1977  [003] ....   105: " KMALLOC, 3, 105);
}

/* A task's name may hold what heads are made of. */
static void test_task_names(void **state)
{
	(void)state;
	assert_kmalloc(" Web Content-a-1-1977  [003] ....   1.000001: " KMALLOC, 3, 1000001000);
	assert_kmalloc("      [kthread]-12     [003] ....   1.000001: " KMALLOC, 3, 1000001000);
	assert_kmalloc("  a [000] b: c=d-12    [003] ....   1.000001: " KMALLOC, 3, 1000001000);
	assert_kmalloc("   kworker/u2:0-8      [000] d....  1.000001: " KMALLOC, 0, 1000001000);
	assert_kmalloc("Web Content 1 [x]  1977 [003]     1.000001: kmem:" KMALLOC, 3, 1000001000);
}

/* Who made the call: the thread, and the irq-info flags. */
static void test_contexts(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		uint32_t task;
		uint8_t context;
	} rows[] = {
	        {"  init-1       [000] d....     3.1: " KMALLOC, 1, CONTEXT_KNOWN | CONTEXT_IRQS_OFF},
	        {"  kworker/0:1-12 [000] .Ns1.     3.1: " KMALLOC, 12, CONTEXT_KNOWN | CONTEXT_SOFTIRQ},
	        {"  bash-77  (   70) [003] d.h1    3.1: " KMALLOC, 77, CONTEXT_KNOWN | CONTEXT_IRQS_OFF | CONTEXT_HARDIRQ},
	        {"  <idle>-0     (-----) [000] d.H.   105.000001: " KMALLOC, 0,
	         CONTEXT_KNOWN | CONTEXT_IRQS_OFF | CONTEXT_HARDIRQ | CONTEXT_SOFTIRQ},
	        {"  a-99999999999 [000] b..1.     3.1: " KMALLOC, 0, CONTEXT_KNOWN},
	        {"  a-3 [000]     3.1: " KMALLOC, 3, 0},
	        {"  a-4194304 [000]     3.1: " KMALLOC, 4194304, 0},
	        {"  a-4194305 [000]     3.1: " KMALLOC, 0, 0},
	        {"  bash  1977/1978 [001]   105.000001:       kmem:" KMALLOC, 1978, 0},
	        {"  bash  1977/4194305 [001]   105.000001:       kmem:" KMALLOC, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text_event event;
		assert_int_equal(read_line(rows[i].line, &event), TEXT_EVENT);
		assert_int_equal(event.task, rows[i].task);
		assert_int_equal(event.context, rows[i].context);
	}
}

/* Would catch: the thread that perf does not know, -1, taken for thread 1. */
static void test_unknown_thread(void **state)
{
	static const char line[] = "     :-1    -1 [001]   105.000001:       kmem:" KMALLOC;
	struct text_reader reader = {.format = &trace_format_perf};
	struct text_event event = {0};
	(void)state;
	assert_int_equal(text_read_line(&reader, line, line + sizeof line - 1, &event), TEXT_EVENT);
	assert_int_equal(event.cpu, 1);
	assert_int_equal(event.task, 0);
}

/* The page allocator's inside (lines of a 6.1 kernel). */
static void test_inside_events(void **state)
{
	(void)state;
	struct text_event event;
	assert_int_equal(read_line("  a-1 [000] .... 1.0: mm_page_alloc_zone_locked: page=ffffea0000241f40 pfn=0x907d order=3 "
	                           "migratetype=2 percpu_refill=1",
	                           &event),
	                 TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_ZONE_LOCKED);
	assert_int_equal(event.pfn, 0x907d);
	assert_int_equal(event.order, 3);
	assert_int_equal(event.type, 2);
	assert_true(event.refill);
	assert_int_equal(event.unknown_keys, 0);
	assert_int_equal(read_line("  a-1 [000] .... 1.0: mm_page_pcpu_drain: page=1 pfn=0x1 order=0 migratetype=1", &event),
	                 TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_PCPU_DRAIN);
	assert_int_equal(event.type, 1);
	assert_int_equal(read_line("  a-1 [000] .... 1.0: mm_page_alloc_extfrag: page=ffffea0000200000 pfn=0x8000 alloc_order=1 "
	                           "fallback_order=9 pageblock_order=10 alloc_migratetype=0 fallback_migratetype=2 fragmenting=1 "
	                           "change_ownership=1",
	                           &event),
	                 TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_EXTFRAG);
	assert_int_equal(event.order, 1);
	assert_int_equal(event.other_order, 9);
	assert_int_equal(event.type, 0);
	assert_int_equal(event.other_type, 2);
	assert_int_equal(event.unknown_keys, 0);
	assert_int_equal(read_line("  a-1 [000] .... 1.0: mm_page_pcpu_drain: page=1 order=0 migratetype=1", &event),
	                 TEXT_DAMAGED);
	assert_int_equal(read_line("  a-1 [000] .... 1.0: mm_page_pcpu_drain: pfn=1 order=0 migratetype=256", &event),
	                 TEXT_DAMAGED);
}

static void test_perf_heads(void **state)
{
	(void)state;
	assert_kmalloc("swapper     0 [000]     0.000000: kmem:" KMALLOC, 0, 0);
	assert_kmalloc("         bash  1977/1978 [001]   105.000001:       kmem:" KMALLOC, 1, 105000001000);
	assert_kmalloc("         bash  1977 [001]   105.000001234:                kmem:" KMALLOC, 1, 105000001234);
	assert_kmalloc("         bash  1977   105.000001:                kmem:" KMALLOC, 0, 105000001000);
}

/* Call sites of modules hold a space and brackets; names of caches are the rest of the line. */
static void test_values_with_spaces(void **state)
{
	(void)state;
	struct text_event event;
	assert_int_equal(
	        read_line("  cp-1 [000] ....  1.0: kmem_cache_alloc: call_site=ext4_alloc_inode+0x1b/0x140 [ext4] "
	                  "ptr=00000000a1b2c3d4 bytes_req=1096 bytes_alloc=1096 gfp_flags=GFP_NOFS node=-1 accounted=true",
	                  &event),
	        TEXT_EVENT);
	assert_slice(event.call_site, "ext4_alloc_inode+0x1b/0x140 [ext4]");
	assert_int_equal(event.ptr, 0xa1b2c3d4);
	assert_int_equal(event.ptr_digits, 16);
	assert_int_equal(event.unknown_keys, 0);
	assert_int_equal(
	        read_line("  cp-1 [000] ....  1.0: kmem_cache_free: call_site=f ptr=00000000a1b2c3d4 name=dm crypt io", &event),
	        TEXT_EVENT);
	assert_slice(event.name, "dm crypt io");
}

/* Until 5.12 frames were decimal and call sites of 4.x were numbers; "cold" was a key. */
static void test_old_kernels(void **state)
{
	(void)state;
	struct text_event event;
	assert_int_equal(
	        read_line("  cp-1 [000] .... 1.0: kmalloc_node: call_site=ffffffff81123456 ptr=ffff880036d1d000 bytes_req=1 "
	                  "bytes_alloc=8 gfp_flags=GFP_KERNEL|GFP_NOWARN node=0",
	                  &event),
	        TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_KMALLOC);
	assert_int_equal(read_line("  cp-1 [000] .... 1.0: mm_page_alloc: page=ffffea0000e16d40 pfn=230837 order=0 migratetype=2 "
	                           "gfp_flags=GFP_HIGHUSER_MOVABLE",
	                           &event),
	                 TEXT_EVENT);
	assert_int_equal(event.pfn, 230837);
	assert_int_equal(event.page, 0xffffea0000e16d40);
	assert_int_equal(
	        read_line("  cp-1 [000] .... 1.0: mm_page_free_batched: page=ffffea0000e16d40 pfn=230837 order=0 cold=0", &event),
	        TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_PAGE_FREE_BATCHED);
	assert_int_equal(event.unknown_keys, 0);
	assert_int_equal(
	        read_line("  cp-1 [000] .... 1.0: mm_page_alloc: page=ffffea0000e16d40 pfn=0x825c order=0 gfp_flags=none",
	                  &event),
	        TEXT_EVENT);
	assert_int_equal(event.pfn, 0x825c);
}

/* trace-cmd cannot print struct pages of a kernel without VMEMMAP; the other keys follow in another order. */
static void test_failed_to_parse(void **state)
{
	(void)state;
	struct text_event event;
	assert_int_equal(
	        read_line("  init-1 [000] 3.197869: mm_page_alloc:        [FAILED TO PARSE] pfn=0xe92f order=0 gfp_flags=0xdc0 "
	                  "migratetype=0",
	                  &event),
	        TEXT_EVENT);
	assert_int_equal(event.pfn, 0xe92f);
	assert_slice(event.gfp_flags, "0xdc0");
	assert_int_equal(read_line("  init-1 [000] 4.081993: mm_page_free_batched: [FAILED TO PARSE] pfn=0xe938", &event),
	                 TEXT_EVENT);
}

static void test_null_pointers(void **state)
{
	(void)state;
	static const char *const nulls[] = {"(null)", "          (null)", "(nil)", "0x0", "0000000000000000"};
	struct text_event event;
	char line[128];
	for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
		snprintf(line, sizeof line, "  a-1 [000] .... 1.0: kfree: call_site=f ptr=%s", nulls[i]);
		assert_int_equal(read_line(line, &event), TEXT_EVENT);
		assert_int_equal(event.ptr_state, POINTER_NULL);
	}
	assert_int_equal(read_line("  a-1 [000] .... 1.0: mm_page_alloc: page=          (null) pfn=0 order=4 migratetype=0 "
	                           "gfp_flags=GFP_KERNEL",
	                           &event),
	                 TEXT_EVENT);
	assert_int_equal(event.page_state, POINTER_NULL);
	assert_int_equal(event.order, 4);
	assert_int_equal(read_line("  a-1 [000] .... 1.0: kfree: call_site=f ptr=(____ptrval____)", &event), TEXT_EVENT);
	assert_int_equal(event.ptr_state, POINTER_UNPRINTED);
}

static void test_other_lines(void **state)
{
	(void)state;
	struct text_event event;
	assert_int_equal(read_line("", &event), TEXT_BLANK);
	assert_int_equal(read_line("   \t", &event), TEXT_BLANK);
	assert_int_equal(read_line("# tracer: nop", &event), TEXT_HEADER);
	assert_int_equal(read_line("cpus=2", &event), TEXT_HEADER);
	assert_int_equal(read_line("version = 6", &event), TEXT_HEADER);
	assert_int_equal(read_line("CPU 1 is empty", &event), TEXT_HEADER);
	assert_int_equal(read_line(" => kmem_cache_alloc", &event), TEXT_HEADER);
	assert_int_equal(read_line("\tffffffff81123456 kmem_cache_alloc+0x1 ([kernel.kallsyms])", &event), TEXT_HEADER);
	assert_int_equal(read_line("CPU:0 [LOST 12 EVENTS]", &event), TEXT_LOST);
	assert_int_equal(event.lost, 12);
	assert_int_equal(read_line("CPU:0 [LOST EVENTS]", &event), TEXT_LOST);
	assert_int_equal(event.lost, 0);
	assert_int_equal(read_line("CPU:3 [1234 EVENTS DROPPED]", &event), TEXT_LOST);
	assert_int_equal(event.lost, 1234);
	assert_int_equal(read_line("  a-1 [000] .... 1.0: sched_wakeup: comm=a pid=1 prio=120 target_cpu=000", &event),
	                 TEXT_UNKNOWN);
	assert_int_equal(read_line("This is a README of something: else", &event), TEXT_DAMAGED);
}

static void test_marks(void **state)
{
	(void)state;
	struct text_event event;
	assert_int_equal(read_line("  a-1 [000] .... 1.0: tracing_mark_write: lab: start = 1", &event), TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_MARK);
	assert_slice(event.mark, "lab: start = 1");
	assert_int_equal(read_line("  a-1 [000] 1.0: print:                tracing_mark_write: lab", &event), TEXT_EVENT);
	assert_slice(event.mark, "lab");
}

/* A line without a value that its event must have, or with one that is none, is damaged; another key is only counted. */
static void test_damaged_and_unknown(void **state)
{
	(void)state;
	struct text_event event;
	static const char *const damaged[] = {
	        "kmalloc: call_site=f ptr=ffff888003bab780 bytes_req=60 bytes_alloc=64",
	        "kmalloc: call_site=f ptr=ffff888003bab780 bytes_req=60x bytes_alloc=64 gfp_flags=GFP_KERNEL",
	        "kmalloc: call_site=f ptr=hello bytes_req=60 bytes_alloc=64 gfp_flags=GFP_KERNEL",
	        "kmalloc: call_site=f ptr=ffff888003bab780 bytes_req=99999999999999999999 bytes_alloc=64 gfp_flags=GFP_KERNEL",
	        "mm_page_free: page=ffffea0000e16d40 pfn=0x1",
	        "mm_page_free: page=ffffea0000e16d40 pfn=0x1 order=11",
	        "mm_page_free: page=ffffea0000e16d40 pfn=-1 order=0",
	        "kfree: call_site=f",
	};
	char line[256];
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		snprintf(line, sizeof line, "  a-1 [000] .... 1.0: %s", damaged[i]);
		assert_int_equal(read_line(line, &event), TEXT_DAMAGED);
	}
	assert_int_equal(read_line("  a-1 [000] .... 1.0: kfree: colour=red call_site=f ptr=ffff888003bab780 taste=good", &event),
	                 TEXT_EVENT);
	assert_int_equal(event.unknown_keys, 2);
	assert_int_equal(event.ptr, 0xffff888003bab780);
}

/* Would catch: numbers that wrap around, or that no kernel can have (NR_CPUS ends at 8192), taken for a CPU's. */
static void test_cpu_numbers(void **state)
{
	(void)state;
	static const char *const none[] = {"8192", "65535", "65536", "99999", "2147483648", "4294967296", "18446744073709551616",
	                                   "-1",   "",      " 1",    "0x1"};
	struct text_event event;
	char line[256];
	assert_kmalloc("  a-1 [4095] .... 1.000001: " KMALLOC, 4095, 1000001000);
	assert_kmalloc("  a-1 [8191] .... 1.000001: " KMALLOC, 8191, 1000001000);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		snprintf(line, sizeof line, "  a-1 [%s] .... 1.0: " KMALLOC, none[i]);
		assert_int_equal(read_line(line, &event), TEXT_DAMAGED);
		snprintf(line, sizeof line, "  a 1 [%s] 1.0: kmem:" KMALLOC, none[i]);
		assert_int_equal(read_line(line, &event), TEXT_DAMAGED);
	}
}

static void test_headers_tell(void **state)
{
	(void)state;
	static const char line[] = "# entries-in-buffer/entries-written: 205/1234   #P:4";
	struct text_reader reader = {0};
	struct text_event event;
	assert_int_equal(text_read_line(&reader, line, line + sizeof line - 1, &event), TEXT_HEADER);
	assert_int_equal(reader.entries_kept, 205);
	assert_int_equal(reader.entries_written, 1234);
	assert_int_equal(reader.cpus, 4);
}

/* Would catch: times that the database's signed numbers do not hold, which leave a run without its end. */
static void test_times_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool read;
	} times[] = {{"9223372036.854775807", true}, {"9223372036.854775808", false}, {"18446744073.709551615", false},
	             {"9223372036854775807", true},  {"9223372036854775808", false},  {"99999999999.000000", false}};
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		const char *at = times[i].text;
		uint64_t time_ns;
		assert_int_equal(text_read_time(&at, times[i].text + strlen(times[i].text), &time_ns), times[i].read);
	}
}

static gfp parse(const char *text, bool understood)
{
	gfp flags;
	assert_int_equal(gfp_parse(text, strlen(text), &flags), understood);
	return flags;
}

/* Values: include/linux/gfp_types.h of 6.1. */
static void test_gfp_parse(void **state)
{
	(void)state;
	assert_int_equal(parse("GFP_KERNEL", true), 0xcc0);
	assert_int_equal(parse("GFP_KERNEL|__GFP_ZERO", true), 0xdc0);
	assert_int_equal(parse("GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO", true), 0x140dca);
	assert_int_equal(parse("GFP_ATOMIC", true), 0xa20);
	assert_int_equal(parse("__GFP_ATOMIC", true), 0x200);
	assert_int_equal(parse("none", true), 0);
	assert_int_equal(parse("0x140dca", true), 0x140dca);
	assert_int_equal(parse("GFP_KERNEL|0x100", true), 0xdc0);
	/* trace-cmd's fields of an event it cannot parse */
	assert_int_equal(parse("3264", true), 0xcc0);
	assert_int_equal(parse("0", true), 0);
	assert_int_equal(parse("3264x", false), 0);
	/* before 4.6 single flags had no underscores; REPEAT is RETRY_MAYFAIL since 4.13 */
	assert_int_equal(parse("GFP_KERNEL|GFP_NOWARN|GFP_REPEAT|GFP_COMP", true), 0xcc0 | 0x2000 | 0x4000 | 0x40000);
	assert_int_equal(parse("GFP_KERNEL|__GFP_NOTRACK", true), 0xcc0);
	assert_int_equal(parse("GFP_KERNEL|__GFP_FROM_THE_FUTURE", false), 0xcc0);
	assert_int_equal(parse("", false), 0);
}

/* As 6.1 prints them (recorded values), and back. */
static void test_gfp_print(void **state)
{
	(void)state;
	char text[512];
	assert_string_equal(gfp_print(0x140dca, text, sizeof text), "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO");
	assert_string_equal(gfp_print(0x12cc0, text, sizeof text), "GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY");
	assert_string_equal(gfp_print(0x400dc0, text, sizeof text), "GFP_KERNEL_ACCOUNT|__GFP_ZERO");
	assert_string_equal(gfp_print(0, text, sizeof text), "none");
	assert_string_equal(gfp_print(0x80000000, text, sizeof text), "0x80000000");
	for (gfp flags = 1; flags < 1u << 24; flags = flags * 5 / 3 + 1)
		assert_int_equal(parse(gfp_print(flags, text, sizeof text), true), flags);
	/* A buffer that is too small still ends in a 0. */
	assert_int_equal(strlen(gfp_print(0x140dca, text, 8)), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ftrace_heads),   cmocka_unit_test(test_task_names),
	        cmocka_unit_test(test_contexts),       cmocka_unit_test(test_inside_events),
	        cmocka_unit_test(test_perf_heads),     cmocka_unit_test(test_values_with_spaces),
	        cmocka_unit_test(test_old_kernels),    cmocka_unit_test(test_failed_to_parse),
	        cmocka_unit_test(test_null_pointers),  cmocka_unit_test(test_other_lines),
	        cmocka_unit_test(test_marks),          cmocka_unit_test(test_damaged_and_unknown),
	        cmocka_unit_test(test_unknown_thread), cmocka_unit_test(test_cpu_numbers),
	        cmocka_unit_test(test_times_bounded),  cmocka_unit_test(test_headers_tell),
	        cmocka_unit_test(test_gfp_parse),      cmocka_unit_test(test_gfp_print),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
