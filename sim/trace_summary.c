/* SPDX-License-Identifier: MIT
 *
 * trace_summary.c - the counts of an import as rows: the order in which a .kmt holds them, and what to print (interface:
 * io/kmt.h).
 */
#include "sim/io/kmt.h"

#define COUNT(member, help) \
	{ \
#member, offsetof(struct trace_summary, member), help, false \
	}
#define OF_PROCESSES(member, help) \
	{ \
#member, offsetof(struct trace_summary, member), help, true \
	}

const struct trace_count trace_counts[] = {
        COUNT(lines, "lines of the text"),
        COUNT(headers, "comments, what the tools say of themselves, lines of stack traces"),
        COUNT(blank, "empty lines"),
        COUNT(events_used, "events that became ops"),
        COUNT(events_left_out, "events known and left out, for the reasons below"),
        COUNT(marks, "marks written by the recording user"),
        COUNT(events_unknown, "events of other kinds"),
        COUNT(lines_lost_notice, "notices that events were lost"),
        COUNT(lines_damaged, "lines that could not be read"),
        COUNT(left_slab_pages, "page allocations that served slabs: each model makes its own"),
        COUNT(left_slab_page_frees, "page frees of slabs"),
        COUNT(left_batched_duplicates, "mm_page_free_batched beside the mm_page_free of the same page"),
        COUNT(left_zone_internal, "events of the page allocator's inside"),
        COUNT(left_failed_allocs, "allocations that failed"),
        COUNT(left_null_frees, "frees of nothing (NULL, ZERO_SIZE_PTR)"),
        COUNT(left_no_pointer, "events whose pointer the kernel could not print yet"),
        COUNT(freed_before_recording, "objects freed that were allocated before the recording"),
        COUNT(pages_before_recording, "page blocks freed that were allocated before the recording"),
        COUNT(unseen_allocs, "frees of what was allocated without an event"),
        COUNT(never_freed, "allocations still live at the end"),
        COUNT(reallocated, "allocations at an address still live: its free was not seen"),
        COUNT(unseen_frees, "live objects whose pages were handed out anew: their free was not seen"),
        COUNT(split_frees, "frees of a part of a page block"),
        COUNT(split_allocs, "ops that allocate the rests of such blocks anew"),
        COUNT(events_lost, "events lost, as the recording itself says"),
        COUNT(time_went_back, "events older than the event before them"),
        COUNT(unknown_keys, "keys of no known meaning"),
        COUNT(unknown_gfp_names, "events with gfp flags of no known meaning"),
        COUNT(hashed_pointers, "1: pointers are hashed, frames of objects cannot be told"),
        COUNT(slab_pages_by_neighbour, "slab pages told by the event after them, as frames could not be told"),
        COUNT(same_name_caches, "cache names that stand for more than one pair of sizes"),
        COUNT(guessed_sizes, "objects whose size nothing tells: 64 bytes were taken"),
        COUNT(last_line_cut, "1: the text ends in the middle of a line"),
        COUNT(first_damaged_line, "number of the first line that could not be read"),
        COUNT(ops, "ops written, with those before the recording and the unseen ones"),
        OF_PROCESSES(process_ops, "ops that make and end processes and their areas"),
        OF_PROCESSES(processes, "processes, as far as they were seen"),
        OF_PROCESSES(threads, "threads beside them"),
        OF_PROCESSES(execs, "programs that they became (execve)"),
        OF_PROCESSES(left_fault_pages, "page allocations left out: those of faults, which the model of processes makes"),
        OF_PROCESSES(left_page_tables, "page allocations left out: page tables, likewise"),
        OF_PROCESSES(left_process_page_frees, "page frees left out: those of both"),
        OF_PROCESSES(left_rss_stats, "counters of resident pages (rss_stat): no ops, kept to be compared"),
        OF_PROCESSES(left_switches, "switches left out: between tasks that are no processes"),
        OF_PROCESSES(left_wild_faults, "faults left out: outside of user memory, or at an address that is not told"),
        OF_PROCESSES(threads_apart, "processes that turned out too late to be threads of others"),
        OF_PROCESSES(faults_without_page, "writing faults of which no page allocation was found"),
        OF_PROCESSES(left_lives, "forks, new programs and ends of tasks: no ops themselves, they tell who is which process"),
        OF_PROCESSES(file_areas, "areas taken for files', as faults read or execute there"),
        {NULL, 0, NULL, false},
};
