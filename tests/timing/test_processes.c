/* SPDX-License-Identifier: MIT
 *
 * test_processes.c - address spaces under the clock: what a load of CR3 keeps and drops, what it costs, and when page tables
 * change.
 *
 * One core with a TLB of 16 entries, and caches that hold everything; two spaces that share the kernel's half, which has one
 * global page. Each test names the mistake it would catch.
 */
#include "tests/timing/timed_rig.h"

#include "models/memory/timed.h"
#include "sim/core.h"
#include "sim/rng.h"
#include "tests/unit/mmu_rig.h"

#define KERNEL_PAGE 0xffff888000000000ull
#define USER_PAGE 0x10000000ull
#define PAGES 4u
#define CR3 180u
#define WORD_OF_USER (WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_ACCESSED | WORD_DIRTY)
#define FIRST_FRAME 0x800000u
#define FIRST_TABLE 0x100000u

static const char *const caches[] = {"l1d size=32KiB ways=8", "llc size=1MiB ways=16", NULL};
static const char *const tlbs[] = {"dtlb entries=16 ways=16", NULL};

struct world {
	struct rig mmu; /* its tables are the first space's, and the kernel's */
	struct page_tables second;
	struct machine_rig rig;
	struct user_tables tables;
	struct machine machine;
	struct steps steps;
};

extern const struct translation_ops translation_x86_4level_ops;

static void begin_machine(struct world *world, bool settles)
{
	memset(world, 0, sizeof *world);
	rig_begin(&world->mmu, &translation_x86_4level_ops, FIRST_TABLE);
	rig_map(&world->mmu, KERNEL_PAGE, 0x400000 | WORD_PRESENT | WORD_WRITE | WORD_ACCESSED | WORD_DIRTY | WORD_GLOBAL,
	        PAGE_4K);
	world->second = world->mmu.tables;
	memset(world->second.tables, 0, sizeof world->second.tables);
	memset(world->second.pages, 0, sizeof world->second.pages);
	assert_true(page_tables_init(&world->second));
	world->tables = (struct user_tables){.memory = &world->mmu.memory,
	                                     .kernel_root = world->mmu.tables.root,
	                                     .entry_bytes = 8,
	                                     .first_kernel_entry = 256,
	                                     .entries = 512};
	user_tables_new(&world->tables, world->second.root, true);
	for (unsigned page = 0; page < PAGES; page++) {
		uint64_t linear = USER_PAGE + page * PAGE_SIZE, frame = FIRST_FRAME + page * PAGE_SIZE;
		rig_map(&world->mmu, linear, frame | WORD_OF_USER, PAGE_4K);
		assert_int_equal(page_tables_map(&world->second, linear, (frame + PAGES * PAGE_SIZE) | WORD_OF_USER, PAGE_4K),
		                 MAP_OK);
	}
	rig_tlbs(&world->mmu, tlbs, false, true);
	machine_rig_settings(&world->rig, 1, caches);
	assert_true(machine_rig_make(&world->rig, "timed", &world->mmu.mmu));
	const struct machine_wiring wiring = {.cpus = 1,
	                                      .line_bytes = 64,
	                                      .core = world->rig.settings.machine.core,
	                                      .memory = world->rig.memory,
	                                      .settles = settles,
	                                      .user_tables = &world->tables};
	machine_init(&world->machine, &wiring);
	world->machine.config.cr3_cycles = CR3;
	steps_init(&world->steps, true);
}

static void begin(struct world *world)
{
	begin_machine(world, false);
}

static void end(struct world *world)
{
	machine_check(&world->machine);
	machine_release(&world->machine);
	steps_release(&world->steps);
	machine_rig_release(&world->rig);
	page_tables_release(&world->mmu.tables);
	world->mmu.tables.root = FRAME_NONE;
	rig_end(&world->mmu);
}

static void run(struct world *world)
{
	const struct job_about about = {.kind = JOB_TOUCH, .call_site = NO_CALL_SITE};
	core_push(&world->machine, 0, &about, &world->steps);
	machine_drain(&world->machine);
	steps_clear(&world->steps);
}

static void touch_all(struct world *world)
{
	step_read(&world->steps, vaddr_of(KERNEL_PAGE), 8);
	for (unsigned page = 0; page < PAGES; page++)
		step_read(&world->steps, vaddr_of(USER_PAGE + page * PAGE_SIZE), 8);
}

static uint64_t walks(const struct world *world)
{
	return world->mmu.mmu.counters.miss_walks;
}

/* First, second and first space once more, each touched as a whole; walks of the last turn, and cycles of its load of CR3. */
static uint64_t turn_back(struct world *world, bool pcid, uint64_t *tlb_cycles)
{
	step_switch(&world->steps, world->mmu.tables.root, pcid ? 2 : 0, false);
	touch_all(world);
	step_switch(&world->steps, world->second.root, pcid ? 3 : 0, false);
	touch_all(world);
	run(world);
	uint64_t before = walks(world), cycles = world->machine.cores[0].counters.cost.cycles[COST_TLB];
	step_switch(&world->steps, world->mmu.tables.root, pcid ? 2 : 0, pcid);
	run(world);
	*tlb_cycles = world->machine.cores[0].counters.cost.cycles[COST_TLB] - cycles;
	touch_all(world);
	run(world);
	return walks(world) - before;
}

/* With a PCID of its own a space finds its translations again. Would catch: a flush of what is another PCID's. */
static void a_switch_with_pcid_keeps_translations(void **state)
{
	(void)state;
	struct world world;
	uint64_t cycles;
	begin(&world);
	assert_int_equal(turn_back(&world, true, &cycles), 0);
	assert_int_equal(cycles, CR3);
	assert_int_equal(world.machine.cores[0].counters.cr3_loads, 3);
	end(&world);
}

/* Without, all that is not global has gone, and only that. Would catch: a global page lost, a space that sees another's pages. */
static void a_switch_without_pcid_drops_what_is_not_global(void **state)
{
	(void)state;
	struct world world;
	uint64_t cycles;
	begin(&world);
	/* The first turn walks for the global page, too, the second for its own ones alone. */
	assert_int_equal(turn_back(&world, false, &cycles), PAGES);
	assert_int_equal(cycles, CR3);
	assert_int_equal(walks(&world), 1 + 3 * PAGES);
	end(&world);
}

/*
 * A table changes when the core comes to the step, not when it was decided: the access before it finds nothing, the one behind it
 * the page. Dropping one address, or the space's, takes that out, and nothing else. Would catch: a walk that sees the future, a
 * flush of global pages.
 */
static void tables_change_in_time(void **state)
{
	(void)state;
	struct world world;
	begin(&world);
	uint64_t linear = USER_PAGE + PAGES * PAGE_SIZE, frame = 0x900000;
	uint64_t table = world.mmu.tables.root;
	for (unsigned level = 3; level > 0; level--) {
		uint64_t index = linear >> (12 + 9 * level) & 511;
		table = physical_memory_read(&world.mmu.memory, table + 8 * index, 8) & WORD_FRAME;
	}
	step_switch(&world.steps, world.mmu.tables.root, 2, false);
	step_read(&world.steps, vaddr_of(linear), 8);
	step_table_entry(&world.steps, table + 8 * (linear >> 12 & 511),
	                 translation_x86_4level_ops.encode(&world.mmu.tables.controls, 0, frame | WORD_OF_USER, true));
	step_read(&world.steps, vaddr_of(linear), 8);
	assert_int_equal(world.mmu.mmu.counters.faults, 0);
	run(&world);
	assert_int_equal(world.mmu.mmu.counters.faults, 1);
	assert_int_equal(world.mmu.mmu.counters.refused, 1);
	world.mmu.tables.pages[PAGE_4K]++;
	touch_all(&world);
	run(&world);
	uint64_t before = walks(&world);
	step_invalidate_pages(&world.steps, USER_PAGE, 2);
	touch_all(&world);
	run(&world);
	assert_int_equal(walks(&world) - before, 2);
	step_invalidate_pages(&world.steps, STEP_USER_ADDRESSES, 1);
	touch_all(&world);
	run(&world);
	assert_int_equal(walks(&world) - before, 2 + PAGES);
	end(&world);
}

/* Where a space's page tables tell of an address. */
static uint64_t entry_of(struct world *world, uint64_t root, uint64_t linear)
{
	for (unsigned level = 3; level > 0; level--)
		root = physical_memory_read(&world->mmu.memory, root + 8 * (linear >> (12 + 9 * level) & 511), 8) & WORD_FRAME;
	return root + 8 * (linear >> 12 & 511);
}

/* One job of a process: some accesses, and now and then something that what comes behind it depends on. */
static void push_job(struct world *world, struct rng *rng)
{
	const struct job_about about = {.kind = JOB_TOUCH, .call_site = NO_CALL_SITE};
	struct steps *steps = &world->steps;
	uint32_t what = rng_below(rng, 40), accesses = rng_below(rng, 12);
	uint64_t unmapped = USER_PAGE + PAGES * PAGE_SIZE, root = world->mmu.tables.root;
	for (uint32_t i = 0; i < accesses; i++) {
		uint64_t page = rng_below(rng, PAGES + 1), inside = rng_below(rng, PAGE_SIZE - 8);
		if (rng_below(rng, 8) == 0)
			step_use(steps);
		if (rng_below(rng, 3) == 0)
			step_write(steps, vaddr_of(USER_PAGE + page * PAGE_SIZE + inside), 8);
		else
			step_read(steps, vaddr_of(USER_PAGE + page * PAGE_SIZE + inside), 8);
		step_spend(steps, 1 + rng_below(rng, 5));
	}
	if (what == 0)
		step_switch(steps, rng_below(rng, 2) ? root : world->second.root, 0, false);
	else if (what == 1)
		step_table_entry(steps, entry_of(world, root, unmapped), 0x900000 | WORD_OF_USER);
	else if (what == 2)
		step_table_entry(steps, entry_of(world, root, unmapped), 0);
	else if (what == 3)
		step_invalidate_pages(steps, unmapped, 1);
	else if (what == 4)
		step_atomic(steps, vaddr_of(KERNEL_PAGE + 64), 8);
	else if (what == 5)
		step_lock(steps, vaddr_of(KERNEL_PAGE + 128));
	if (what == 5)
		step_unlock(steps, vaddr_of(KERNEL_PAGE + 128));
	core_push(&world->machine, 0, &about, steps);
	steps_clear(steps);
}

/* The tables are as their owner knows them. */
static void unmap_again(struct world *world)
{
	step_table_entry(&world->steps, entry_of(world, world->mmu.tables.root, USER_PAGE + PAGES * PAGE_SIZE), 0);
	run(world);
}

/*
 * Jobs that wait and are made together, what they will ask for being told beforehand, and the same ones made as they come, an
 * access at a time: at any time the same cycles and counts. Would catch: a job made before its turn, or seen by who looks before
 * it; an access that is looked up before a table, a translation or an access that it depends on has changed.
 */
static void made_together_or_as_they_come(void **state)
{
	(void)state;
	static struct world together, alone;
	struct rng rng, again;
	rng_init(&rng, 1, "jobs");
	begin_machine(&together, true);
	begin(&alone);
	struct memory_ops unplanned = *alone.rig.memory->ops;
	unplanned.plan = NULL;
	alone.rig.memory->ops = &unplanned;
	for (unsigned job = 0; job < 5000; job++) {
		again = rng;
		push_job(&together, &rng);
		push_job(&alone, &again);
		if (rng_below(&rng, 300) != 0)
			continue;
		machine_settle(&together.machine);
		const struct core *a = &together.machine.cores[0], *b = &alone.machine.cores[0];
		assert_int_equal(a->queued, b->queued);
		assert_int_equal(a->started, b->started);
		assert_memory_equal(&a->counters, &b->counters, sizeof a->counters);
		assert_memory_equal(&together.mmu.mmu.counters, &alone.mmu.mmu.counters, sizeof alone.mmu.mmu.counters);
		assert_memory_equal(together.rig.memory->ops->counters(together.rig.memory),
		                    alone.rig.memory->ops->counters(alone.rig.memory), sizeof(struct timed_counters));
		assert_int_equal(together.machine.queue.now, alone.machine.queue.now);
	}
	assert_true(alone.mmu.mmu.counters.refused > 10);
	unmap_again(&together);
	unmap_again(&alone);
	end(&together);
	end(&alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_switch_with_pcid_keeps_translations),
	        cmocka_unit_test(a_switch_without_pcid_drops_what_is_not_global),
	        cmocka_unit_test(tables_change_in_time),
	        cmocka_unit_test(made_together_or_as_they_come),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
