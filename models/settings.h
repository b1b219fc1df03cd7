/* SPDX-License-Identifier: MIT
 *
 * settings.h - every value a scenario can set, as the models read it. The table in settings.c gives each its key, type, unit,
 * range, default, help and source; YAML, --set, `kmemsim list settings`, configs/schema.json and the docs come from there.
 *
 * A value of 0 means "as the kernel computes it" where the comment says auto.
 */
#ifndef MODELS_SETTINGS_H
#define MODELS_SETTINGS_H

#include "sim/address_space.h"
#include "sim/base.h"
#include "sim/cache_hierarchy.h"
#include "sim/core_config.h"
#include "sim/interconnect.h"
#include "sim/layout.h"

enum timing { TIMING_NONE, TIMING_CYCLES };
enum pace { PACE_RECORDED, PACE_ASAP };
enum on_error { ON_ERROR_COUNT, ON_ERROR_STOP };

/* What the last level of TLBs brings unasked. */
enum walk_prefetch { WALK_PREFETCH_NONE, WALK_PREFETCH_NEXT_PAGE };

/* What a core does with a line it has written when another one reads it. */
enum coherence_protocol { COHERENCE_MESI, COHERENCE_MOESI };

/* Whether a row stays open after its use. */
enum dram_page { DRAM_PAGE_OPEN, DRAM_PAGE_CLOSED };

/* Whether pages are grouped by mobility; auto: where memory is enough for it. */
enum mobility_grouping { MOBILITY_GROUPING_AUTO, MOBILITY_GROUPING_ON, MOBILITY_GROUPING_OFF };

/* auto: that of the recording, x86-64 without one. */
enum architecture { ARCHITECTURE_AUTO, ARCHITECTURE_X86_64, ARCHITECTURE_X86_32 };

/* Main memory. Delays are SETTING_DELAYs (sim/setting.h); what they mean to the models: dram/ddr.c. */
struct dram_settings {
	char *model;                                  /* name in the dram port */
	uint64_t latency;                             /* of dram/fixed.c */
	uint64_t clock_hz;                            /* of commands: half the data rate of DDR */
	uint32_t transfers;                           /* in a clock: 2 of DDR, 1 of SDR */
	uint32_t bus_bytes;                           /* width of a channel's data bus */
	uint32_t burst;                               /* transfers of a READ or WRITE */
	uint32_t channels, ranks, bank_groups, banks; /* ranks of a channel, groups of a rank, banks of a group */
	uint32_t row_bytes;                           /* of a row in all chips of a rank */
	enum dram_page page_policy;
	bool bank_hash;
	char *mapping; /* dram/address_map.h */
	uint64_t controller;
	uint64_t tcl, tcwl, trcd, trp, tras, trtp, tccd, trrd, tfaw, twr, twtr, trtw, trfc;
	uint64_t trefi;                                          /* 0: no refresh */
	uint32_t read_queue, write_queue, write_high, write_low; /* entries of a channel */
};

/* What a guest's memory lies in. */
enum host_page { HOST_PAGE_4K, HOST_PAGE_2M, HOST_PAGE_1G };

/* What a run of accesses does to the caches at its end. */
enum cache_flush { CACHE_FLUSH_NONE, CACHE_FLUSH_WRITE_BACK, CACHE_FLUSH_INVALIDATE };

/* Which areas of processes get huge pages at faults. */
enum thp { THP_NEVER, THP_ALWAYS, THP_MADVISE };

/* By whom a level's watch splits what it sees. */
enum watch_owner { WATCH_OWNER_CACHE, WATCH_OWNER_CALL_SITE };

struct machine_settings {
	char *name; /* machine.name */
	enum architecture architecture;
	uint64_t memory_bytes; /* memory: end of usable physical memory; auto = from the recording */
	char **reserved;       /* machine.reserved: ranges that are no usable memory (models/reserved_range.h) */
	char **nodes;          /* machine.nodes, machine.distances (models/machine_nodes.h) */
	char **distances;
	uint32_t reserved_count, nodes_count, distances_count;
	uint32_t cpus;             /* machine.cpus: auto = from the recording */
	uint64_t frequency_hz;     /* machine.frequency */
	uint32_t cache_line_bytes; /* machine.cache_line */
	char *memory_model;        /* machine.memory_model: name in the memory port */
	char **caches;             /* machine.caches: lines (models/cache_settings.h) */
	uint32_t caches_count;
	uint32_t tlbs_count;
	char **tlbs;                    /* machine.tlbs: lines (models/tlb_settings.h) */
	char *paging;                   /* machine.paging: name in the translation port, or PAGING_AUTO: see settings_paging() */
	char *virtualized;              /* machine.virtualized: "off", or the second stage's name in the translation port */
	char **paging_structure_caches; /* lines (models/tlb_settings.h) */
	uint32_t paging_structure_caches_count;
	enum walk_prefetch tlb_prefetch;
	uint32_t physical_address_bits; /* MAXPHYADDR */
	bool gigabyte_pages;            /* CPUID PDPE1GB */
	enum cache_rule cache_rule;
	enum line_crossing cache_line_crossing;
	enum modify_counts cache_modify;
	uint32_t cache_walk_level;
	enum cache_flush cache_flush; /* at the end of a run of accesses */
	enum host_page host_page;     /* machine.virtualized: what holds the guest's memory */
	uint64_t cache_flush_every;   /* accesses; 0: never */
	/* cycles per level */
	uint32_t l1_cycles, l2_cycles, llc_cycles, remote_cycles, dram_cycles;
	uint32_t atomic_cycles;  /* extra cycles of a locked instruction */
	struct core_config core; /* machine.core.* */
	struct dram_settings dram;
	uint32_t remote_far_cycles;
	enum coherence_protocol coherence;
	uint32_t walkers;       /* page walks of a core at a time */
	enum topology topology; /* machine.interconnect */
	uint32_t hop_cycles;
	char **hops;
	uint32_t hops_count;
};

/* kernel.slab_max_order: auto. 0 is an order like others. */
#define SLAB_MAX_ORDER_AUTO UINT32_MAX

/* A disk, or a swap device (models/page_reclaim/block_device.h). */
struct device_settings {
	uint64_t read_latency_ns, write_latency_ns;
	uint64_t bandwidth; /* bytes a second */
	uint64_t queue;     /* requests under way at once */
};

struct swap_settings {
	uint64_t bytes; /* 0: none */
	bool synchronous;
	struct device_settings device;
};

/* /sys/kernel/mm/transparent_hugepage/khugepaged */
struct khugepaged_settings {
	uint32_t pages_to_scan; /* 0: it does not run */
	uint32_t scan_sleep_millisecs, alloc_sleep_millisecs;
	uint32_t max_ptes_none, max_ptes_swap, max_ptes_shared;
	bool defrag;
	uint32_t cpu; /* that it runs on */
};

/* How the first chunk of per-CPU data is made: in the direct map, or page by page in vmalloc's range. */
enum percpu_alloc { PERCPU_ALLOC_EMBED, PERCPU_ALLOC_PAGE };

struct kernel_settings {
	char *name;                                        /* kernel.name */
	uint32_t pageblock_order;                          /* 9 with hugetlb or THP, else MAX_ORDER-1 = 10 */
	enum mobility_grouping page_group_by_mobility;     /* auto */
	uint32_t nr_cpus;                                  /* CONFIG_NR_CPUS; 0 = Debian's */
	uint64_t min_free_kbytes;                          /* auto */
	uint32_t watermark_scale_factor;                   /* 10 */
	uint32_t watermark_boost_factor;                   /* 15000 */
	uint32_t percpu_pagelist_high_fraction;            /* auto */
	uint32_t lowmem_reserve_dma, lowmem_reserve_dma32; /* sysctl lowmem_reserve_ratio: 256 256 */
	uint32_t lowmem_reserve_normal;                    /* 32 */
	uint64_t vmalloc_reserve_bytes;                    /* x86-32: __VMALLOC_RESERVE */
	uint64_t lowmem_bytes;                             /* x86-32: what the direct map reaches; 0 = MAXMEM */
	uint64_t highmem_bytes;                            /* x86-32: boot parameter highmem=; 0 = what is left */
	uint32_t reserve_top_bytes;                        /* x86-32: boot parameter reservetop= */
	bool transparent_hugepage;                         /* order-9 pcp lists */
	bool compaction;                                   /* CONFIG_COMPACTION */
	bool pcid;                                         /* address spaces keep their translations over switches */
	bool memcg_kmem;                                   /* kmalloc-cg-* caches exist and __GFP_ACCOUNT selects them */
	uint32_t kswapd_delay;                             /* page allocator calls until kswapd has its turn; 0 = never */
	uint32_t kswapd_cpu, kcompactd_cpu;                /* who pays for them; SETTING_UNSET = the CPU that lets them run */
	bool vmstat;                                       /* CPUs fold their statistics once a second */
	uint32_t swappiness, page_cluster;                 /* vm.swappiness, vm.page-cluster */
	uint32_t dirty_background_ratio, dirty_ratio;      /* percent */
	uint64_t read_ahead_bytes;                         /* of files */
	uint64_t pageout_ns;                               /* of the CPU, for a page that reclaim writes */
	uint64_t fault_around_bytes;                       /* mapped with a page of a file or of shared memory that is read */
	uint32_t reclaim_page_cache, reclaim_slab;         /* percent of memory that reclaim can take back */
	uint32_t page_struct_bytes;                        /* 64, or 56 */
	enum percpu_alloc percpu_alloc;                    /* boot parameter percpu_alloc= */
	uint32_t percpu_static_bytes;                      /* __per_cpu_end - __per_cpu_start; auto */
	uint64_t reserved_bytes; /* not managed by the page allocator: kernel image, memmap, firmware; auto */
	/* SLUB boot parameters */
	uint32_t slub_min_order, slub_max_order, slub_min_objects; /* 0, 3, auto */
	bool slub_cpu_partial;                                     /* CONFIG_SLUB_CPU_PARTIAL */
	char *slub_debug;                                          /* boot parameter slub_debug=; NULL: off */
	/* SLAB boot parameters */
	uint32_t slab_max_order;                           /* SLAB_MAX_ORDER_AUTO: 1 above 32 MiB of memory, else 0 */
	bool slab_merge;                                   /* merging of like caches */
	bool slab_freelist_random, slab_freelist_hardened; /* CONFIG_SLAB_FREELIST_RANDOM, _HARDENED */
	bool init_on_alloc;                                /* objects and pages are zeroed when they are handed out */
	char **cache_tunables;                             /* "NAME cpu_partial=N ..." (object_allocator/cache_tunables.h) */
	uint32_t cache_tunables_count;
	enum thp thp; /* processes: faults ask for pages of 2 MiB */
	struct khugepaged_settings khugepaged;
};

/* Instructions of each path (docs/steps.md tells where the numbers come from). "More" counts what a longer path adds. */
struct cost_settings {
	bool code_fetch;      /* paths fetch their code (kernel_code.h) */
	uint64_t caller_code; /* bytes of other code that a core fetches before each op */
	uint32_t slub_alloc, slub_alloc_slow, slub_cpu_partial, slub_get_partial, slub_partial_slab, slub_new_slab,
	        slub_setup_object;
	uint32_t kmalloc_slab, kmalloc_large, kfree_large; /* finding the cache of a size; whole blocks of pages */
	uint32_t slub_free, slub_free_slow, slub_put_cpu_partial, slub_free_node, slub_unfreeze_slab, slub_discard;
	uint32_t slab_alloc, slab_refill, slab_refill_object, slab_refill_slab, slab_grow, slab_setup_object;
	uint32_t slab_free, slab_flush, slab_free_object, slab_destroy;
	uint32_t freelist_decode; /* a free pointer with slab_freelist_hardened */
	uint32_t page_alloc, page_bulk, page_bulk_block, page_split, page_zone_alloc, page_tail_alloc, page_tail_free;
	uint32_t page_free, page_drain, page_drain_block, page_merge, page_zone_free, page_slowpath;
	uint32_t direct_reclaim, kswapd_run, kswapd_round, reclaim_pass, reclaim_batch, reclaim_page, reclaim_keep,
	        reclaim_referenced, reclaim_unmap, reclaim_free, deactivate_page;
	uint32_t swap_add, pageout, swap_in_page, swap_in_direct, read_ahead, read_ahead_page, block_request;
	uint32_t kmap, kmap_new, kmap_slot, kmap_flush_slot, kmap_drop, kunmap, kmap_local, kunmap_local;
	uint32_t vmalloc_area, vmalloc_page, vfree_area, vfree_page, vmalloc_purge;
	uint32_t vmstat_item;
	uint32_t fault_entry, fault, fault_zero, fault_anonymous, fault_reuse, fault_copy, fault_file, fault_file_copy,
	        fault_swap, fault_around, fault_around_page, fault_shared_new, copy_page;
	uint32_t table_make, table_free, unmap_entry, release_page, mmap, munmap, madvise, mprotect, protect_entry,
	        unlink_anon_vma, tlb_flush;
	uint32_t collapse_range, collapse_entry, collapse_page, collapse_move, collapse;
	uint32_t fork, fork_area, fork_anon_vma, fork_entry, exec, exit, exit_area, context_switch, user_access;
	uint32_t slob_alloc, slob_page, slob_block, slob_new_page, slob_whole_page, slob_free, slob_free_block, slob_free_page;
};

struct settings {
	/* the run */
	char *question; /* first comment line of the scenario, without '#' */
	char *label;
	char *trace;     /* path of the recording */
	char **variants; /* "LABEL KEY=VALUE ..." */
	uint32_t variants_count;
	char *workload;        /* a line: what to make up in place of a recording */
	char *accesses;        /* path of an access trace, in place of a recording */
	char *access_workload; /* a line: accesses to make up in place of such a trace */
	uint32_t instructions_per_access;
	enum address_space_pages address_space;
	char *start;      /* path of a recorded state to start from */
	char *expect;     /* path of a recorded state to hold the end against */
	char **allocator; /* names, in the order asked for */
	uint32_t allocators;
	bool trace_processes;    /* a text recording's events of processes become ops of them */
	char *page_allocator;    /* name in the page_allocator port */
	char *virtual_allocator; /* name in the virtual_allocator port */
	char *user_memory;       /* name in the user_memory port */
	enum timing timing;
	enum pace pace;
	enum on_error on_error;
	uint64_t seed;
	bool watch_levels;
	enum watch_owner watch_owner;
	uint64_t sample_every_ns; /* sample.every, simulated time; 0 = off */
	uint64_t sample_accesses; /* sample.accesses; 0 = off */
	uint64_t paranoid_every;  /* check() every n ops; 0 = at the end only */
	char *dump;               /* dump: "buddyinfo,slabinfo@end" */
	char *events_file;        /* events.file */
	uint64_t events_from_ns;  /* events.from, simulated time from the run's beginning */
	uint64_t events_to_ns;    /* events.to; 0 = the end */
	uint64_t events_limit;
	char **report; /* pictures to draw */
	uint32_t reports;

	struct machine_settings machine;
	struct kernel_settings kernel;
	struct swap_settings swap;
	struct device_settings disk;
	struct cost_settings cost;
};

/* Whether a setting of text names something: without a value it is NULL or "". */
static inline bool is_named(const char *text)
{
	return text && *text;
}

/* Defaults of the table; release with settings_release(). */
void settings_init(struct settings *settings);
void settings_release(struct settings *settings);
void settings_copy(struct settings *to, const struct settings *from);

/* machine.paging that follows from the machine. */
#define PAGING_AUTO "auto"
/*
 * The paging mode's name in the translation port; auto is x86_4level, and on x86-32 x86_32, or x86_pae where memory goes beyond
 * 4 GiB. Lives as long as the settings.
 */
const char *settings_paging(const struct settings *settings);

/* Whether the kernel is an x86-32 one with PAE: entries of 8 bytes, memory beyond 4 GiB. */
bool settings_are_pae(const struct settings *settings);

/* Whether the machine's paging mode is that of LA57, and with it the kernel's map that of 5 levels. */
bool settings_are_5level(const struct settings *settings);

/* CPUs that the kernel is built for. */
uint32_t settings_kernel_cpus(const struct settings *settings, bool is_64bit);

/* What the map of an x86-32 kernel depends on; lowmem_bytes is kernel.lowmem or, of auto, MAXMEM. */
struct layout_32bit settings_layout_32bit(const struct settings *settings);

/* Whether the boot parameters of x86-32 leave such a kernel a machine; else *error says what the kernel would print. */
bool settings_check_32bit(const struct settings *settings, struct error *error);

/* Cycles of a core in a microsecond, at least 1. */
uint64_t settings_mhz(const struct settings *settings);

/* The table behind them (sim/setting.h); ends with a row whose key is NULL. */
struct setting;
const struct setting *settings_table(void);

#endif
