/* SPDX-License-Identifier: MIT
 *
 * test_trace_processes.c - events of processes as lines and as ops. The recordings are tests/data/processes, and a few lines
 * here; what must become of them follows from what a kernel must have done to print them, by the rules of docs/formats.md.
 */
#include "tests/unit/trace_case.h"

#include "sim/trace_text.h"

#define DATA "tests/data/processes/"

static enum text_line read_event(const char *event_text, struct text_event *event)
{
	char line[512];
	struct text_reader reader = {0};
	snprintf(line, sizeof line, "     sh-71      [000] .....    12.000100: %s", event_text);
	*event = (struct text_event){0};
	return text_read_line(&reader, line, line + strlen(line), event);
}

/* Each field of a fault; a symbol for the address leaves it untold, and the instruction's may be anything. */
static void test_fault_lines(void **state)
{
	struct text_event event;
	(void)state;
	assert_int_equal(read_event("page_fault_user: address=0x7f2a10203018 ip=0x5581d0a41b3c error_code=0x17", &event),
	                 TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_PAGE_FAULT);
	assert_int_equal(event.ptr, 0x7f2a10203018);
	assert_int_equal(event.ptr_state, POINTER_VALUE);
	assert_int_equal(event.process.error_code, 0x17);
	assert_int_equal(event.task, 71);
	assert_int_equal(read_event("page_fault_kernel: address=0x10 ip=copy_to_user+0x1/0x2 [mod] error_code=0x2", &event),
	                 TEXT_EVENT);
	assert_int_equal(event.ptr, 0x10);
	assert_int_equal(read_event("page_fault_user: address=fixed_percpu_data ip=f error_code=0x4", &event), TEXT_EVENT);
	assert_int_equal(event.ptr_state, POINTER_UNPRINTED);
}

static void test_rss_lines(void **state)
{
	struct text_event event;
	(void)state;
	assert_int_equal(read_event("rss_stat: mm_id=4294967295 curr=0 type=MM_SHMEMPAGES size=8192B", &event), TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_RSS_STAT);
	assert_int_equal(event.process.mm, UINT32_MAX);
	assert_false(event.process.current);
	assert_true(event.process.has_mm);
	assert_int_equal(event.process.member, SPACE_SHARED);
	assert_int_equal(event.process.rss_pages, 2);
	/* Counters that threads keep for themselves may bring the sum below 0 for a while. */
	assert_int_equal(read_event("rss_stat: mm_id=1 curr=1 type=MM_FILEPAGES size=-4096B", &event), TEXT_EVENT);
	assert_int_equal(event.process.rss_pages, -1);
	assert_int_equal(event.process.member, SPACE_FILE);
	assert_int_equal(read_event("rss_stat: mm_id=1 curr=1 member=2 size=0B", &event), TEXT_EVENT);
	assert_int_equal(event.process.member, SPACE_SWAP);
	/* Linux 5.5 */
	assert_int_equal(read_event("rss_stat: member=1 size=4096B", &event), TEXT_EVENT);
	assert_false(event.process.has_mm);
}

/* Until its random numbers are there the kernel prints 0 for every address space. Would catch: all of them taken for one. */
static void test_spaces_without_numbers(void **state)
{
	struct text_event event;
	(void)state;
	assert_int_equal(read_event("rss_stat: mm_id=0 curr=1 type=MM_ANONPAGES size=4096B", &event), TEXT_EVENT);
	assert_false(event.process.has_mm);
}

/* Names hold what the lines are made of; flags are hexadecimal without 0x. */
static void test_life_lines(void **state)
{
	struct text_event event, other;
	(void)state;
	assert_int_equal(read_event("task_newtask: pid=72 comm=a pid=9 clone_flags=1 clone_flags=3d0f00 oom_score_adj=0", &event),
	                 TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_NEW_TASK);
	assert_int_equal(event.process.next_task, 72);
	assert_int_equal(event.process.clone_flags, 0x3d0f00);
	assert_int_equal(read_event("task_newtask:         pid=74 comm=a clone_flags=1200000 oom_score_adj=0", &event),
	                 TEXT_EVENT);
	assert_int_equal(event.process.next_task, 74);
	assert_int_equal(event.process.clone_flags, 0x1200000);
	assert_int_equal(read_event("sched_process_exec: filename=/bin/a pid=9 old_pid=8 pid=73 old_pid=72", &event), TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_PROCESS_EXEC);
	assert_int_equal(event.process.next_task, 73);
	assert_int_equal(event.process.prev_task, 72);
	assert_int_equal(read_event("sched_process_exec: filename=/bin/a pid=74 old_pid=74", &other), TEXT_EVENT);
	assert_int_not_equal(other.process.program, 0);
	assert_int_not_equal(other.process.program, event.process.program);
	assert_int_equal(read_event("sched_process_exit: comm=a pid=9 b pid=72 prio=120", &event), TEXT_EVENT);
	assert_int_equal(event.kind, TEXT_PROCESS_EXIT);
	assert_int_equal(event.process.prev_task, 72);
	assert_true(event.process.gone);
}

/* As the kernel prints it, as trace-cmd's plugin does, and raw; names hold what the line is made of. */
static void test_switch_lines(void **state)
{
	static const struct {
		const char *text;
		uint32_t prev, next;
		bool gone;
	} rows[] = {
	        {"sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=R+ ==> next_comm=swapper/0 next_pid=0 "
	         "next_prio=120",
	         71, 0, false},
	        {"sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=Z ==> next_comm=a next_pid=4194304 "
	         "next_prio=-1",
	         71, 4194304, true},
	        {"sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=D|X ==> next_comm=a next_pid=2 next_prio=0", 71,
	         2, true},
	        {"sched_switch: prev_comm=a prev_pid=9 b prev_pid=71 prev_prio=120 prev_state=S ==> next_comm= next_pid=8 "
	         "next_pid=2 "
	         "next_prio=0",
	         71, 2, false},
	        {"sched_switch: prev_comm=a ==> b prev_pid=71 prev_prio=120 prev_state=S ==> next_comm=c next_pid=2 next_prio=0",
	         71, 2, false},
	        {"sched_switch:         sh:71 [120] S ==> swapper/0:0 [120]", 71, 0, false},
	        {"sched_switch: Web Content:71 [120] Z ==> a:b [1]:2 [120]", 71, 2, true},
	        {"sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=0x20 next_comm=a next_pid=2 next_prio=0", 71, 2,
	         true},
	        {"sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=1 next_comm=a next_pid=2 next_prio=0", 71, 2,
	         false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text_event event;
		assert_int_equal(read_event(rows[i].text, &event), TEXT_EVENT);
		assert_int_equal(event.kind, TEXT_SCHED_SWITCH);
		assert_int_equal(event.process.prev_task, rows[i].prev);
		assert_int_equal(event.process.next_task, rows[i].next);
		assert_int_equal(event.process.gone, rows[i].gone);
	}
}

/* Lines that were cut, and numbers that no kernel prints: damaged, never believed. */
static void test_damaged_lines(void **state)
{
	static const char *const lines[] = {
	        "page_fault_user:",
	        "page_fault_user: address=0x7f2a10203018 ip=0x1",
	        "page_fault_user: address=0x7f2a10203018 ip=0x1 error_code=",
	        "page_fault_user: address=0x7f2a10203018 ip=0x1 error_code=0x100000000",
	        "page_fault_user: address=0x7f2a1020301812345 ip=0x1 error_code=0x4",
	        "page_fault_user: address= ip=0x1 error_code=0x4",
	        "page_fault_user: address=0xzz ip=0x1 error_code=0x4",
	        "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES",
	        "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=",
	        "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=4095B",
	        "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=18446744073709547520B",
	        "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=--4096B",
	        "rss_stat: mm_id=1 curr=1 type=MM_OTHER size=4096B",
	        "rss_stat: mm_id=1 curr=1 member=4 size=4096B",
	        "rss_stat: mm_id=1 curr=2 type=MM_ANONPAGES size=4096B",
	        "rss_stat: mm_id=1 type=MM_ANONPAGES size=4096B",
	        "rss_stat: mm_id=4294967296 curr=1 type=MM_ANONPAGES size=4096B",
	        "sched_switch: prev_comm=sh prev_pid=71",
	        "sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=S ==> next_comm=a",
	        "sched_switch: prev_comm=sh prev_pid=99999999 prev_prio=120 prev_state=S ==> next_comm=a next_pid=2 next_prio=0",
	        "sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state=? ==> next_comm=a next_pid=2 next_prio=0",
	        "sched_switch: prev_comm=sh prev_pid=71 prev_prio=120 prev_state= ==> next_comm=a next_pid=2 next_prio=0",
	        "sched_switch: sh:71 [120] S ==> swapper/0:0 [120",
	        "sched_switch: sh:71 [120 S ==> swapper/0:0 [120]",
	        "sched_switch: sh [120] S ==> swapper/0:0 [120]",
	        "sched_switch:  ==> ",
	        "task_newtask:",
	        "task_newtask: pid=72 comm=a oom_score_adj=0",
	        "task_newtask: comm=a pid=72 clone_flags=0 oom_score_adj=0",
	        "task_newtask: pid=x comm=a clone_flags=0 oom_score_adj=0",
	        "task_newtask: pid=72 comm=a clone_flags=100000000 oom_score_adj=0",
	        "task_newtask: pid=99999999 comm=a clone_flags=0 oom_score_adj=0",
	        "sched_process_exec: filename=/bin/a pid=73",
	        "sched_process_exec: filename=/bin/a old_pid=73",
	        "sched_process_exit: comm=a prio=120",
	        "sched_process_exit: comm=a pid= prio=120",
	};
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct text_event event;
		if (read_event(lines[i], &event) != TEXT_DAMAGED)
			fail_msg("not damaged: %s", lines[i]);
	}
}

static void import_data(struct trace_case *c, const char *name)
{
	case_begin(c);
	snprintf(c->path, sizeof c->path, DATA "%s", name);
	assert_true(case_import_file(c));
}

/* What the shell's events must become, in order. */
#define SHELL_OPS \
	"N0/0 m0:7f2a10200000+256 w0:7f2a10203018 A1:__anon_vma_prepare+0x3e/0x140:104 P2:0 r0:7f2a10204000 " \
	"m0:5581d0a40000+16f0@4000f f0:5581d0a41b3c w0:7ffffffdf008 r0:7f2a10205000 P3:0 R4<0/1 s4 w4:7f2a10203018 T5<0/0 " \
	"m5:7f2a10400000+256 w5:7f2a10400000 L X4 s0 u0:7f2a10400000+512 x0/2 m0:7f2a10200000+256 w0:7f2a10203018"

/*
 * Areas around touches, no area over the stack; a fork by who has the new address space later, a thread by who has the old one, a
 * new program, an end that is told twice; an area that goes with its last page; and pages of faults and page tables that are no
 * ops, where another's (in a softirq) and the page cache's are.
 */
static void test_shell(void **state)
{
	static const char *const files[] = {"ftrace.txt", "trace-cmd.txt", "perf.txt"};
	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct trace_case c;
		import_data(&c, files[i]);
		assert_string_equal(case_ops(&c), SHELL_OPS);
		const struct trace_summary *sum = &c.summary;
		assert_int_equal(sum->lines - sum->headers, 37);
		assert_int_equal(sum->events_used, 14);
		assert_int_equal(sum->process_ops, 10);
		assert_int_equal(sum->processes, 2);
		assert_int_equal(sum->threads, 1);
		assert_int_equal(sum->execs, 1);
		assert_int_equal(sum->left_fault_pages, 5);
		assert_int_equal(sum->left_page_tables, 1);
		assert_int_equal(sum->left_process_page_frees, 3);
		assert_int_equal(sum->left_rss_stats, 11);
		assert_int_equal(sum->left_switches, 3);
		assert_int_equal(sum->events_left_out, 5 + 1 + 3 + 11 + 3);
		assert_int_equal(sum->lines_damaged + sum->events_unknown + sum->faults_without_page, 0);
		/* Of the page allocations, the softirq's, the page cache's, and the anon_vma live on. */
		assert_int_equal(sum->never_freed, 3);
		case_end(&c);
	}
}

/* What rss_stat told of each address space: the highest of each counter, and of all together. */
static void test_shell_counters(void **state)
{
	struct trace_case c;
	const struct trace_space *spaces;
	(void)state;
	import_data(&c, "ftrace.txt");
	assert_int_equal(trace_spaces(c.trace, &spaces), 3);
	assert_int_equal(spaces[0].task, 71);
	assert_int_equal(spaces[0].mm, 1754396741);
	assert_int_equal(spaces[0].samples, 4);
	assert_int_equal(spaces[0].peak_pages[SPACE_ANONYMOUS], 3);
	assert_int_equal(spaces[0].last_pages[SPACE_ANONYMOUS], 1);
	assert_int_equal(spaces[0].peak_resident, 3);
	assert_int_equal(spaces[1].task, 72);
	assert_int_equal(spaces[1].mm, 40961);
	assert_int_equal(spaces[1].samples, 3);
	assert_int_equal(spaces[1].peak_pages[SPACE_FILE], 5);
	assert_int_equal(spaces[1].peak_resident, 7);
	/* The number of the child's, that was given again. */
	assert_int_equal(spaces[2].task, 71);
	assert_int_equal(spaces[2].mm, 40961);
	assert_int_equal(spaces[2].samples, 2);
	assert_int_equal(spaces[2].peak_resident, 3);
	case_end(&c);
}

/* Without processes the recording is its page events, and the others are what they were before they were read. */
static void test_without_processes(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	c.processes = TRACE_NO_PROCESSES;
	snprintf(c.path, sizeof c.path, DATA "ftrace.txt");
	assert_true(case_import_file(&c));
	assert_string_equal(case_ops(&c),
	                    "A0:__anon_vma_prepare+0x3e/0x140:104 P1:0 P2:0 P3:0 P4:0 P5:0 P6:0 P7:0 p6:0 p7:0 P7:0 "
	                    "p1:0");
	assert_int_equal(c.summary.events_used, 12);
	assert_int_equal(c.summary.left_zone_internal, 11);
	assert_int_equal(c.summary.events_unknown, 14);
	assert_int_equal(c.summary.process_ops, 0);
	assert_false(trace_has_processes(c.trace));
	case_end(&c);
}

/* 32 bits: where the user's half and the stack lie; the kernel's copies to users are touches, its own faults are not. */
static void test_32bit(void **state)
{
	struct trace_case c;
	(void)state;
	import_data(&c, "i386.txt");
	assert_int_equal(trace_info(c.trace)->pointer_bits, 32);
	assert_string_equal(case_ops(&c),
	                    "K0:60/64 N1/0 m1:b7f00000+256 w1:b7f01018 w1:bffff008 m1:bfe00000+16f0@4000f r1:bfe01000 "
	                    "w1:b7f02000");
	assert_int_equal(c.summary.left_fault_pages, 1);
	assert_int_equal(c.summary.left_page_tables, 1);
	assert_int_equal(c.summary.left_wild_faults, 1);
	/* A writing fault found no page of its own twice: on the stack; the last one may still have been under way. */
	assert_int_equal(c.summary.faults_without_page, 1);
	case_end(&c);
}

#define AT(task, us, event) "     x-" #task "       [000] .....    0.0000" #us ": " event "\n"
#define FAULT(address, code) "page_fault_user: address=0x" address " ip=0x1 error_code=0x" code
#define PAGE(pfn, flags) "mm_page_alloc: page=ffffea0000000000 pfn=0x" pfn " order=0 migratetype=1 gfp_flags=" flags
#define FREE(pfn) "mm_page_free: page=ffffea0000000000 pfn=0x" pfn " order=0"
#define USER "GFP_HIGHUSER_MOVABLE|__GFP_ZERO"

/* Which page allocation is the fault's: the next of its task, of a user page's flags, before anything else happens to it. */
static void test_pages_of_faults(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("400000", "6")) AT(6, 02, PAGE("10", USER))
	                                    AT(5, 03, PAGE("11", "GFP_HIGHUSER_MOVABLE|__GFP_NOWARN|__GFP_NORETRY"))
	                                            AT(5, 04, PAGE("12", USER)) AT(5, 05, FAULT("401000", "6"))
	                                                    AT(5, 06, "kfree: call_site=f ptr=(null)") AT(5, 07, PAGE("13", USER))
	                                                            AT(5, 08, FAULT("402000", "6")) AT(5, 09, PAGE("14", USER))
	                                                                    AT(5, 10, PAGE("15", USER)) AT(5, 11, FREE("14"))));
	/* 10: another's. 11 ends the wait, so 12 is an op; a free ends it, so 13 is; 14 is the fault's, 15 is too late. */
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:400000 P1:0 P2:0 P3:0 w0:401000 P4:0 w0:402000 P5:0 "
	                                  "u0:402000+1");
	assert_int_equal(c.summary.left_fault_pages, 1);
	assert_int_equal(c.summary.faults_without_page, 2);
	assert_int_equal(c.summary.left_process_page_frees, 1);
	case_end(&c);
}

/* As kernels since 5.19 ask for it (vma_alloc_folio()). Would catch: the page left among the ops, beside the model's own. */
static void test_page_of_a_folio(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, AT(5, 01, FAULT("400000", "6")) AT(5, 02, PAGE("10", "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO"))
	                    AT(5, 03, FAULT("401000", "7")) AT(5, 04, PAGE("11", "GFP_HIGHUSER_MOVABLE|__GFP_COMP"))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:400000 w0:401000");
	assert_int_equal(c.summary.left_fault_pages, 2);
	case_end(&c);
}

/* A huge page needs an area of 2 MiB; elsewhere none has room. Would catch: huge pages in each area with kernel.thp: always. */
static void test_huge_page(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, AT(5, 01, FAULT("405000", "6")) AT(5, 02,
	                                               "mm_page_alloc: page=ffffea0000000000 pfn=0x200 order=9 migratetype=1 "
	                                               "gfp_flags=GFP_TRANSHUGE|__GFP_NORETRY|__GFP_THISNODE")
	                    AT(5, 03, FAULT("800000", "6")) AT(5, 04, "mm_page_free: page=ffffea0000000000 pfn=0x200 order=9")));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:405000 u0:400000+512 m0:400000+512 w0:405000 m0:800000+256 "
	                                  "w0:800000 u0:400000+512");
	assert_int_equal(c.summary.left_fault_pages, 1);
	case_end(&c);
	/* The page that the fault was for goes, and the huge page stays. Would catch: its region gone with the former. */
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("405000", "6")) AT(
	                                    5, 02,
	                                    "mm_page_alloc: page=ffffea0000000000 pfn=0x200 order=9 migratetype=1 "
	                                    "gfp_flags=GFP_TRANSHUGE") AT(5, 03, FAULT("405000", "7")) AT(5, 04, PAGE("10", USER))
	                                    AT(5, 05, FREE("10")) AT(5, 06, FAULT("405000", "6")) AT(5, 07, PAGE("11", USER))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:405000 u0:400000+512 m0:400000+512 w0:405000 w0:405000 "
	                                  "u0:405000+1 m0:405000+1 w0:405000");
	case_end(&c);
}

/*
 * What one munmap gives back is one op, in whatever order its pages are freed, and a touch there finds a new area; a page that
 * another frees was reclaimed, and stays. Would catch: a region kept until its last page goes, or an op a page.
 */
static void test_pages_given_back(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c,
	                        AT(5, 01, FAULT("400000", "6")) AT(5, 02, PAGE("10", USER)) AT(5, 03, FAULT("401000", "6"))
	                                AT(5, 04, PAGE("11", USER)) AT(5, 05, FAULT("402000", "6")) AT(5, 06, PAGE("12", USER))
	                                        AT(5, 07, FAULT("403000", "6")) AT(5, 08, PAGE("13", USER)) AT(5, 09, FREE("12"))
	                                                AT(5, 10, "mm_page_free_batched: page=ffffea0000000000 pfn=0x12 order=0")
	                                                        AT(5, 11, FREE("11")) AT(5, 12, FAULT("401000", "6"))
	                                                                AT(31, 13, FREE("13")) AT(5, 14, FREE("10"))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:400000 w0:401000 w0:402000 w0:403000 u0:401000+2 m0:401000+2 "
	                                  "w0:401000 u0:400000+1");
	case_end(&c);
}

#define EXEC(path, task) "sched_process_exec: filename=" path " pid=" #task " old_pid=" #task
#define EXIT(task) "sched_process_exit: comm=a pid=" #task " prio=120"
#define NEW(task, flags) "task_newtask: pid=" #task " comm=a clone_flags=" flags " oom_score_adj=0"
#define RSS(mm, own, pages) "rss_stat: mm_id=" #mm " curr=" #own " type=MM_ANONPAGES size=" pages "B"

/*
 * What a fault executes or reads is a file's, 16 pages as it maps them; what is read page after page is the zero page's, and what
 * was written before stays what it is. A program's file is the same each time, wherever it lies.
 */
static void test_files(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, AT(4, 01, NEW(5, "1200000")) AT(5, 02, EXEC("/a", 5)) AT(5, 03, FAULT("7000405000", "14"))
	                    AT(5, 04, FAULT("7000427000", "4")) AT(5, 05, FAULT("7000437000", "6"))
	                            AT(5, 06, FAULT("7000438000", "4")) AT(5, 07, FAULT("7000450000", "4"))
	                                    AT(5, 08, FAULT("7000451000", "4")) AT(5, 09, FAULT("7000452000", "4"))
	                                            AT(5, 10, FAULT("7000467000", "4")) AT(5, 11, FAULT("f000000000", "14"))
	                                                    AT(5, 12, EXEC("/a", 5)) AT(5, 13, FAULT("7123405000", "14")) AT(
	                                                            5, 14, EXEC("/b", 5)) AT(5, 15, FAULT("7123405000", "14"))));
	/* Windows of ...400 and 420 are files'; 430 was written; 450 is read three times; 460 lies in an area by then. */
	assert_string_equal(case_ops(&c),
	                    "N0/0 R1<0/1 x1/2 m1:7000400000+16f0@4000b f1:7000405000 m1:7000420000+16f0@4002b r1:7000427000 "
	                    "m1:7000430000+208 w1:7000437000 r1:7000438000 r1:7000450000 r1:7000451000 r1:7000452000 "
	                    "u1:7000460000+16 m1:7000460000+16f0@4006b r1:7000467000 m1:f000000000+16f1@40010 f1:f000000000 "
	                    "x1/3 m1:7123400000+16f0@4000b f1:7123405000 x1/4 m1:7123400000+16f2@4000b f1:7123405000");
	assert_int_equal(c.summary.file_areas, 6);
	case_end(&c);
}

/*
 * Forks, threads and programs as their events tell them, where numbers of address spaces come again at once: 3 is the child's
 * before its exec, then its own child's. Would catch: who has a space told by its number alone.
 */
static void test_lives(void **state)
{
	struct trace_case c;
	const struct trace_space *spaces;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, AT(5, 01, RSS(1, 1, "40960")) AT(5, 02, RSS(3, 0, "8192")) AT(5, 03, NEW(6, "1200000"))
	        /* The child becomes a program: its arguments, the end of the old space, what the kernel writes. */
	        AT(6, 04, RSS(4, 0, "4096")) AT(6, 05, RSS(3, 0, "4096")) AT(6, 06, RSS(3, 0, "0"))
	                AT(6, 07, FAULT("7000437000", "2")) AT(6, 08, EXEC("/a", 6)) AT(6, 09, FAULT("7000438000", "6"))
	                        AT(6, 10, RSS(4, 1, "12288")) AT(6, 11, RSS(3, 0, "16384")) AT(6, 12, NEW(7, "1200000")) AT(
	                                6, 13, NEW(8, "3d0f00")) AT(6, 14, NEW(9, "800711")) AT(8, 15, FAULT("7000439000", "6"))
	                                AT(8, 16, EXIT(8)) AT(7, 17, RSS(3, 0, "0")) AT(7, 18, EXIT(7))
	        /* vfork: the parent's space until the program. */
	        AT(5, 19, NEW(7, "4100")) AT(7, 20, RSS(1, 1, "45056")) AT(7, 21, RSS(3, 0, "4096")) AT(7, 22, RSS(3, 1, "8192"))
	                AT(7, 23, EXEC("/b", 7))));
	assert_string_equal(case_ops(&c), "N0/0 R1<0/1 x1/2 m1:7000400000+256 w1:7000437000 w1:7000438000 R2<1/3 T3<1/2 "
	                                  "w3:7000439000 X3 X2 T2<0/0 x2/4");
	assert_int_equal(c.summary.processes, 3);
	assert_int_equal(c.summary.threads, 2);
	assert_int_equal(c.summary.execs, 2);
	assert_int_equal(c.summary.threads_apart, 0);
	assert_int_equal(c.summary.left_lives, 9);
	assert_int_equal(trace_spaces(c.trace, &spaces), 5);
	static const uint64_t peaks[] = {11, 2, 3, 4, 2};
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(spaces[i].peak_pages[SPACE_ANONYMOUS], peaks[i]);
	case_end(&c);
}

/* Another thread than the first becomes a program and takes the first one's number; tasks that nobody knows end. */
static void test_odd_lives(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("400000", "6")) AT(5, 02, NEW(6, "3d0f00")) AT(5, 03, EXIT(5))
	                                    AT(5, 04, "sched_process_exec: filename=/a pid=5 old_pid=6")
	                                            AT(5, 05, FAULT("400000", "6")) AT(9, 06, EXIT(9)) AT(0, 07, NEW(0, "0"))
	                                                    AT(9, 10, EXEC("/a", 9))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:400000 T1<0/0 X0 X1 N1/1 m1:400000+256 w1:400000");
	case_end(&c);
	/* Nobody names the old space: what the kernel writes is the new one's. Would catch: the write in the parent's pages. */
	case_begin(&c);
	assert_true(case_import(&c, AT(4, 01, NEW(5, "4100")) AT(4, 02, NEW(6, "1200000")) AT(6, 03, RSS(2, 0, "4096"))
	                                    AT(6, 04, FAULT("400000", "6")) AT(6, 05, FAULT("400000", "2"))
	                                            AT(6, 06, EXEC("/a", 6)) AT(6, 07, RSS(2, 1, "8192"))));
	assert_string_equal(case_ops(&c), "N0/0 R1<0/1 m1:400000+256 w1:400000 x1/2 m1:400000+256 w1:400000");
	case_end(&c);
}

/* A copy on write gives the page another frame; the free of the old one, which is the child's by then, unmaps nothing. */
static void test_copy_outlives_the_original(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("400000", "6")) AT(5, 02, PAGE("10", USER)) AT(5, 03, FAULT("400000", "7"))
	                                    AT(5, 04, PAGE("11", "GFP_HIGHUSER_MOVABLE")) AT(5, 05, FREE("10"))
	                                            AT(5, 06, FREE("11"))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:400000 w0:400000 u0:400000+512");
	assert_int_equal(c.summary.left_process_page_frees, 2);
	case_end(&c);
}

/* Frames that turn out to be a slab's, or are handed out anew though their free was not seen. */
static void test_frames_that_change_hands(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, PAGE("9000", "GFP_KERNEL")) AT(
	                                    5, 02,
	                                    "kmalloc: call_site=k ptr=ffff888009000000 bytes_req=100 bytes_alloc=128 "
	                                    "gfp_flags=GFP_KERNEL") AT(5, 03, FAULT("400000", "6")) AT(5, 04, PAGE("9001", USER))
	                                    AT(5, 05,
	                                       "kmalloc: call_site=k ptr=ffff888009001000 bytes_req=100 "
	                                       "bytes_alloc=128 gfp_flags=GFP_KERNEL") AT(5, 06, FAULT("401000", "6"))
	                                            AT(5, 07, PAGE("9002", USER)) AT(6, 08, PAGE("9002", "GFP_KERNEL"))));
	assert_string_equal(case_ops(&c), "K0:100/128 N1/0 m1:400000+256 w1:400000 K2:100/128 w1:401000 P3:0");
	assert_int_equal(c.summary.left_slab_pages, 2);
	assert_int_equal(c.summary.left_fault_pages, 1);
	assert_int_equal(c.summary.reallocated, 0);
	case_end(&c);
}

/* Who is what can be told by switches alone; without a fault or a counter nobody is a process. */
static void test_switches_alone(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01,
	                               "sched_switch: prev_comm=a prev_pid=5 prev_prio=1 prev_state=S ==> next_comm=b "
	                               "next_pid=6 next_prio=1")
	                                    AT(6, 02,
	                                       "kmalloc: call_site=k ptr=ffff888009000000 bytes_req=100 bytes_alloc=128 "
	                                       "gfp_flags=GFP_KERNEL")));
	assert_string_equal(case_ops(&c), "K0:100/128");
	assert_int_equal(c.summary.left_switches, 1);
	assert_false(trace_has_processes(c.trace));
	case_end(&c);
}

/* An address space that a thread has without having made it, before anybody saw it made: another program. */
static void test_unseen_exec(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=4096B")
	                                    AT(5, 02, "rss_stat: mm_id=2 curr=1 type=MM_ANONPAGES size=4096B")
	                                            AT(9, 03, "rss_stat: mm_id=3 curr=0 type=MM_ANONPAGES size=4096B")
	                                                    AT(5, 04,
	                                                       "sched_switch: prev_comm=a prev_pid=5 prev_prio=1 prev_state=X "
	                                                       "==> next_comm=b next_pid=6 next_prio=1")));
	/* 3 is nobody's that is known. */
	assert_string_equal(case_ops(&c), "N0/0 x0/1 X0");
	assert_int_equal(c.summary.left_rss_stats, 3);
	case_end(&c);
}

/*
 * A thread that makes an address space for another, and claims it too later on: the space is the other's alone, so that when
 * that one ends, nobody has it. No kernel says so, but a recording that lost events may.
 */
static void test_space_claimed_by_its_maker(void **state)
{
	struct trace_case c;
	const struct trace_space *spaces;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, "rss_stat: mm_id=1 curr=0 type=MM_ANONPAGES size=4096B")
	                                    AT(6, 02, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=4096B")
	                                            AT(5, 03, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=4096B") AT(
	                                                    6, 04,
	                                                    "sched_switch: prev_comm=a prev_pid=6 prev_prio=1 prev_state=X "
	                                                    "==> next_comm=b next_pid=7 next_prio=1")
	                                                    AT(7, 05, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=0B")));
	assert_string_equal(case_ops(&c), "N0/0 R1<0/1 X1 L N1/2");
	assert_int_equal(trace_spaces(c.trace, &spaces), 3);
	assert_int_equal(spaces[0].samples, 0);
	assert_int_equal(spaces[1].samples, 3);
	assert_int_equal(spaces[2].samples, 1);
	case_end(&c);
}

/* What a block of a process was asked for with says nothing of the cache whose slab it turns out to be, nor does any other op. */
static void test_slab_from_process_page(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(
	        &c, AT(6, 01, PAGE("9100", "GFP_KERNEL|__GFP_RECLAIMABLE")) AT(5, 02, FAULT("400000", "6"))
	                    AT(5, 03, PAGE("9001", USER)) AT(5, 04,
	                                                     "kmem_cache_alloc: call_site=k ptr=ffff888009001000 bytes_req=104 "
	                                                     "bytes_alloc=104 gfp_flags=GFP_KERNEL")
	                            AT(5, 05, "kmem_cache_free: call_site=k ptr=ffff888009001000 name=x")));
	assert_int_equal(c.summary.left_slab_pages, 1);
	assert_int_equal(trace_cache(c.trace, 0)->flags, 0);
	case_end(&c);
}

/*
 * Pages of the stack beside an area in the same 2 MiB, known before the area is there or after. Would catch: their frees counted
 * off the area's pages, so that it goes too early, or, below 0, never.
 */
static void test_stack_beside_an_area(void **state)
{
	static const char text[] = AT(5, 01, FAULT("7ffffffdf008", "6")) AT(5, 02, PAGE("10", USER))
	        AT(5, 03, FAULT("7ffffff02001", "5")) AT(5, 04, FREE("10")) AT(5, 05, FAULT("7ffffff02000", "6"))
	                AT(5, 06, PAGE("11", USER)) AT(5, 07, FAULT("7ffffffe0000", "6")) AT(5, 08, PAGE("12", USER))
	                        AT(5, 09, FREE("12")) AT(5, 10, "tracing_mark_write: a") AT(5, 11, FAULT("7ffffffe0000", "6"))
	                                AT(5, 12, PAGE("13", USER)) AT(5, 13, FREE("11")) AT(5, 14, "tracing_mark_write: b")
	                                        AT(5, 15, FREE("13"));
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, text));
	assert_string_equal(case_ops(&c), "N0/0 w0:7ffffffdf008 m0:7ffffff00000+222 r0:7ffffff02001 w0:7ffffff02000 "
	                                  "w0:7ffffffe0000 M:a w0:7ffffffe0000 u0:7fffffe00000+478 M:b");
	assert_int_equal(c.summary.left_process_page_frees, 4);
	case_end(&c);
}

/*
 * A frame that a fault takes may be the area's only page whose free was not seen, the faulting page's own even. Would catch: the
 * area unmapped right behind the touch that made it needed.
 */
static void test_frame_comes_back_to_its_area(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("400000", "6")) AT(5, 02, PAGE("10", USER)) AT(5, 03, FAULT("401000", "6"))
	                                    AT(5, 04, PAGE("10", USER)) AT(5, 05, FAULT("401000", "6"))
	                                            AT(5, 06, PAGE("10", USER)) AT(5, 07, FREE("10"))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:400000 w0:401000 u0:400000+1 w0:401000 u0:400000+512");
	assert_int_equal(c.summary.left_fault_pages, 3);
	case_end(&c);
}

/* execve counts each page of its arguments to the space that it makes. Would catch: the second one taken for the program's end.
 */
static void test_exec_with_many_arguments(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c,
	                        AT(5, 01, FAULT("400000", "4")) AT(5, 02, "rss_stat: mm_id=2 curr=0 type=MM_ANONPAGES size=4096B")
	                                AT(5, 03, "rss_stat: mm_id=2 curr=0 type=MM_ANONPAGES size=8192B")
	                                        AT(5, 04, "rss_stat: mm_id=2 curr=1 type=MM_ANONPAGES size=12288B")
	                                                AT(5, 05, "rss_stat: mm_id=2 curr=0 type=MM_ANONPAGES size=0B")));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+16f0@40010 r0:400000 x0/1 X0");
	case_end(&c);
}

/*
 * Numbers that no kernel prints, or that say nothing: thread 0, threads beyond PID_MAX_LIMIT, addresses that are nobody's,
 * counters beyond all memory. Would catch: one of them believed, wrapped around or asserted on.
 */
static void test_hostile_numbers(void **state)
{
	struct trace_case c;
	const struct trace_space *spaces;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(0, 01, FAULT("400000", "6")) AT(4194305, 02, FAULT("400000", "6"))
	                                    AT(0, 03, "rss_stat: mm_id=9 curr=1 type=MM_ANONPAGES size=4096B")
	                                            AT(5, 04, FAULT("fff", "6")) AT(5, 05, FAULT("8000000000000000", "6"))
	                                                    AT(5, 06, FAULT("7ffffffff000", "6"))
	                                                            AT(5, 07, FAULT("ffffffffffffffff", "6"))));
	assert_string_equal(case_ops(&c), "");
	assert_int_equal(c.summary.left_wild_faults, 6);
	assert_int_equal(c.summary.left_rss_stats, 1);
	case_end(&c);
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=-4503599627370496B")
	                                    AT(5, 02, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=4503599627370496B") AT(
	                                            5, 03, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=-4503599627374592B")
	                                            AT(5, 04, "rss_stat: mm_id=1 curr=1 type=MM_ANONPAGES size=-4096B")));
	assert_int_equal(c.summary.lines_damaged, 1);
	assert_int_equal(trace_spaces(c.trace, &spaces), 1);
	assert_int_equal(spaces[0].peak_pages[SPACE_ANONYMOUS], 1ull << 40);
	assert_int_equal(spaces[0].last_pages[SPACE_ANONYMOUS], 0);
	case_end(&c);
}

#define HUGE_PAGE "mm_page_alloc: page=ffffea0000000000 pfn=0x200 order=9 migratetype=1 gfp_flags=GFP_TRANSHUGE|__GFP_NORETRY"
#define HUGE_FREE "mm_page_free: page=ffffea0000000000 pfn=0x200 order=9"

/*
 * Small pages of an area where a huge page comes, and those copied out of one, are gone with it; their frames' frees come when
 * they come. Would catch: a page of an area that is no more, or one cut out of the huge page that took its place.
 */
static void test_small_pages_go_with_a_huge_one(void **state)
{
	struct trace_case c;
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("402000", "6")) AT(5, 02, PAGE("10", USER)) AT(5, 03, FAULT("405000", "6"))
	                                    AT(5, 04, HUGE_PAGE) AT(5, 05, FREE("10")) AT(5, 06, HUGE_FREE)));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:402000 w0:405000 u0:400000+512 m0:400000+512 w0:405000 "
	                                  "u0:400000+512");
	case_end(&c);
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("405000", "6")) AT(5, 02, HUGE_PAGE) AT(5, 03, FAULT("405000", "7"))
	                                    AT(5, 04, PAGE("10", USER)) AT(5, 05, HUGE_FREE) AT(5, 06, FREE("10"))));
	assert_string_equal(case_ops(&c), "N0/0 m0:400000+256 w0:405000 u0:400000+512 m0:400000+512 w0:405000 w0:405000 "
	                                  "u0:400000+512");
	case_end(&c);
	/* Beside the stack, where no area has room for the huge page. */
	case_begin(&c);
	assert_true(case_import(&c, AT(5, 01, FAULT("7fffffe01000", "4")) AT(5, 02, FAULT("7fffffe02000", "6")) AT(
	                                    5, 03, PAGE("11", USER)) AT(5, 04, FAULT("7fffffe00000", "6")) AT(5, 05, HUGE_PAGE)
	                                    AT(5, 06, HUGE_FREE) AT(5, 07, FAULT("400000", "6")) AT(5, 08, PAGE("11", USER))));
	assert_non_null(strstr(case_ops(&c), "m0:400000+256 w0:400000"));
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_fault_lines),
	        cmocka_unit_test(test_rss_lines),
	        cmocka_unit_test(test_spaces_without_numbers),
	        cmocka_unit_test(test_life_lines),
	        cmocka_unit_test(test_switch_lines),
	        cmocka_unit_test(test_damaged_lines),
	        cmocka_unit_test(test_shell),
	        cmocka_unit_test(test_shell_counters),
	        cmocka_unit_test(test_without_processes),
	        cmocka_unit_test(test_32bit),
	        cmocka_unit_test(test_pages_of_faults),
	        cmocka_unit_test(test_page_of_a_folio),
	        cmocka_unit_test(test_huge_page),
	        cmocka_unit_test(test_pages_given_back),
	        cmocka_unit_test(test_files),
	        cmocka_unit_test(test_lives),
	        cmocka_unit_test(test_odd_lives),
	        cmocka_unit_test(test_copy_outlives_the_original),
	        cmocka_unit_test(test_frames_that_change_hands),
	        cmocka_unit_test(test_switches_alone),
	        cmocka_unit_test(test_unseen_exec),
	        cmocka_unit_test(test_space_claimed_by_its_maker),
	        cmocka_unit_test(test_slab_from_process_page),
	        cmocka_unit_test(test_stack_beside_an_area),
	        cmocka_unit_test(test_frame_comes_back_to_its_area),
	        cmocka_unit_test(test_exec_with_many_arguments),
	        cmocka_unit_test(test_hostile_numbers),
	        cmocka_unit_test(test_small_pages_go_with_a_huge_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
