/* SPDX-License-Identifier: MIT
 *
 * test_page_allocator.c - every model of the page_allocator port (models.def) against what the port promises.
 *
 * What a model hands out is entered in a map with a mark per frame, which knows overlaps and nothing of how a model works. Each
 * test names the mistake it would catch.
 */
#include "models/settings.h"
#include "sim/metric.h"
#include "sim/port/page_allocator.h"
#include "sim/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* ---- the models ---- */

typedef struct page_allocator *create_function(const struct page_allocator_wiring *, struct error *);

struct model {
	const struct page_allocator_ops *ops;
	create_function *create;
};

#define MODEL_page_allocator(name) \
	extern const struct page_allocator_ops page_allocator_##name##_ops; \
	create_function page_allocator_##name##_create;
#include "models/models.def"

static const struct model models[] = {
#define MODEL_page_allocator(name) {&page_allocator_##name##_ops, page_allocator_##name##_create},
#include "models/models.def"
};
#define MODELS (sizeof models / sizeof *models)

/* ---- a model on a machine, and a map of what it gave ---- */

#define CPUS 4
#define MEMORY_BYTES (256ull << 20)
#define LIVE_MAX 3000

struct block {
	pfn first;
	unsigned order;
};

struct bench {
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct page_allocator *pages;
	uint8_t *taken; /* by frame */
	struct block live[LIVE_MAX];
	unsigned lives;
};

static void begin(struct bench *bench, const struct model *model, bool recording)
{
	struct error error = {0};
	memset(bench, 0, sizeof *bench);
	settings_init(&bench->settings);
	bench->settings.machine.memory_bytes = MEMORY_BYTES;
	bench->settings.machine.cpus = CPUS;
	layout_init(&bench->layout, 64);
	steps_init(&bench->steps, recording);
	struct page_allocator_wiring wiring = {
	        .settings = &bench->settings, .layout = &bench->layout, .steps = &bench->steps, .seed = 1};
	bench->pages = model->create(&wiring, &error);
	if (!bench->pages)
		fail_msg("%s: %s", model->ops->name, error.text);
	assert_ptr_equal(bench->pages->ops, model->ops);
	bench->taken = calloc(bench->pages->end_pfn, 1);
	assert_non_null(bench->taken);
}

static void end(struct bench *bench)
{
	page_allocator_check(bench->pages);
	page_allocator_destroy(bench->pages);
	steps_release(&bench->steps);
	settings_release(&bench->settings);
	free(bench->taken);
}

/* Takes a block, checks it against the map, and remembers it. */
static bool take(struct bench *bench, unsigned order, gfp flags, unsigned cpu)
{
	pfn first = page_alloc(bench->pages, order, flags, cpu);
	if (first.nr == UINT32_MAX)
		return false;
	assert_int_not_equal(first.nr, 0);
	assert_int_equal(first.nr & ((1u << order) - 1), 0);
	assert_true((uint64_t)first.nr + (1u << order) <= bench->pages->end_pfn);
	for (uint32_t i = 0; i < 1u << order; i++)
		assert_int_equal(bench->taken[first.nr + i]++, 0);
	assert_true(bench->lives < LIVE_MAX);
	bench->live[bench->lives++] = (struct block){first, order};
	return true;
}

static void give(struct bench *bench, unsigned index, unsigned cpu)
{
	struct block block = bench->live[index];
	assert_int_equal(page_free(bench->pages, block.first, block.order, cpu), PAGE_FREE_OK);
	memset(&bench->taken[block.first.nr], 0, (size_t)1 << block.order);
	bench->live[index] = bench->live[--bench->lives];
}

static void give_all(struct bench *bench)
{
	while (bench->lives)
		give(bench, 0, bench->lives % CPUS);
}

static gfp some_flags(uint32_t choice)
{
	static const gfp flags[] = {GFP_KERNEL, GFP_HIGHUSER_MOVABLE,      GFP_KERNEL | __GFP_RECLAIMABLE,
	                            GFP_ATOMIC, GFP_KERNEL | __GFP_ZERO,   GFP_KERNEL | __GFP_DMA32,
	                            GFP_NOWAIT, GFP_KERNEL | __GFP_NORETRY};
	return flags[choice % (sizeof flags / sizeof flags[0])];
}

/* Random requests, mostly small, on all CPUs; about `target` blocks live. */
static void churn(struct bench *bench, uint64_t seed, unsigned calls, unsigned target)
{
	struct rng rng;
	rng_init(&rng, seed, "churn");
	for (unsigned i = 0; i < calls; i++) {
		uint32_t cpu = rng_below(&rng, CPUS);
		if (bench->lives && rng_below(&rng, 2 * target) < bench->lives) {
			give(bench, rng_below(&rng, bench->lives), cpu);
			continue;
		}
		unsigned order = rng_below(&rng, 4) ? rng_below(&rng, 3) : rng_below(&rng, ORDERS);
		if (bench->lives < LIVE_MAX)
			take(bench, order, some_flags(rng_below(&rng, 16)), cpu);
	}
}

/* ---- the laws ---- */

/* Would catch: overlapping or unaligned blocks, wrong accounts, check() that fails on a sound state. */
static void blocks_are_aligned_and_never_overlap(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		for (unsigned round = 0; round < 40; round++) {
			churn(&bench, round, 1000, round % 5 ? 400 : 2500);
			page_allocator_check(bench.pages);
		}
		give_all(&bench);
		assert_int_equal(bench.pages->allocated_pages, 0);
		end(&bench);
	}
}

/* Would catch: memory lost in per-CPU lists or by fragmentation after everything came back. */
static void all_memory_comes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		unsigned largest[2] = {0, 0};
		for (unsigned round = 0; round < 2; round++) {
			while (take(&bench, ORDERS - 1, GFP_KERNEL | __GFP_NORETRY, 0))
				largest[round]++;
			give_all(&bench);
			churn(&bench, 7, 5000, 1500);
			give_all(&bench);
			bench.pages->ops->drain(bench.pages);
		}
		assert_true(largest[0] >= 40);
		/* What a load leaves behind by right: a boosted watermark and a reserve for atomic requests, a pageblock or two.
		 */
		assert_true(largest[1] <= largest[0] && largest[1] + 2 >= largest[0]);
		end(&bench);
	}
}

/* Would catch: a wrong free that is taken, told as something else, or changes anything. */
static void wrong_frees_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		assert_true(take(&bench, 3, GFP_KERNEL, 0));
		assert_true(take(&bench, 0, GFP_KERNEL, 0));
		uint32_t first = bench.live[0].first.nr, single = bench.live[1].first.nr;
		uint64_t allocated = bench.pages->allocated_pages;
		assert_int_equal(page_free(bench.pages, pfn_of(first), 2, 0), PAGE_FREE_WRONG_ORDER);
		assert_int_equal(page_free(bench.pages, pfn_of(first), 4, 0), PAGE_FREE_WRONG_ORDER);
		assert_int_equal(page_free(bench.pages, pfn_of(first + 1), 0, 0), PAGE_FREE_NOT_HEAD);
		assert_int_equal(page_free(bench.pages, pfn_of(first + 4), 2, 0), PAGE_FREE_NOT_HEAD);
		assert_int_equal(page_free(bench.pages, pfn_of(0), 0, 0), PAGE_FREE_NOT_ALLOCATED);
		assert_int_equal(page_free(bench.pages, pfn_of(bench.pages->end_pfn), 0, 0), PAGE_FREE_NOT_ALLOCATED);
		assert_int_equal(page_free(bench.pages, PFN_NONE, 0, 0), PAGE_FREE_NOT_ALLOCATED);
		assert_int_equal(bench.pages->allocated_pages, allocated);
		page_allocator_check(bench.pages);
		give_all(&bench);
		assert_int_equal(page_free(bench.pages, pfn_of(first), 3, 0), PAGE_FREE_NOT_ALLOCATED);
		assert_int_equal(page_free(bench.pages, pfn_of(single), 0, 1), PAGE_FREE_NOT_ALLOCATED);
		end(&bench);
	}
}

/* Would catch: views that do not add up to the accounts. */
static void zone_views_add_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		churn(&bench, 3, 4000, 1000);
		uint64_t managed = 0, free_pages = 0, pcp_pages = 0;
		for (unsigned zone = 0; zone < bench.pages->ops->zones(bench.pages); zone++) {
			struct zone_view view;
			uint64_t in_blocks = 0;
			bench.pages->ops->zone_view(bench.pages, zone, &view);
			assert_non_null(view.name);
			assert_true(view.managed <= view.present && view.cpus <= CPUS_MAX);
			for (unsigned order = 0; order < ORDERS; order++)
				for (unsigned type = 0; type < MIGRATE_TYPES; type++)
					in_blocks += view.free_blocks[order][type] << order;
			assert_int_equal(in_blocks, view.free_pages);
			for (unsigned cpu = 0; cpu < view.cpus; cpu++)
				pcp_pages += view.pcp[cpu].count;
			managed += view.managed;
			free_pages += view.free_pages;
		}
		assert_int_equal(managed, bench.pages->managed_pages);
		assert_int_equal(free_pages + pcp_pages + bench.pages->allocated_pages, managed);
		unsigned pageblock_order = bench.pages->ops->pageblock_order(bench.pages);
		assert_true(pageblock_order > 0 && pageblock_order < ORDERS);
		end(&bench);
	}
}

/* Would catch: running out that crashes or corrupts, or an order that does not exist and is served. */
static void running_out_is_a_result(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		for (unsigned order = ORDERS; order-- > 5;)
			while (take(&bench, order, GFP_KERNEL, order % CPUS))
				;
		for (unsigned n = 0; n < 50; n++)
			assert_int_equal(page_alloc(bench.pages, 10, GFP_ATOMIC, 0).nr, UINT32_MAX);
		assert_int_equal(page_alloc(bench.pages, ORDERS, GFP_KERNEL, 0).nr, UINT32_MAX);
		page_allocator_check(bench.pages);
		give_all(&bench);
		assert_true(take(&bench, 10, GFP_KERNEL, 0));
		end(&bench);
	}
}

/* Would catch: a decision that depends on whether steps are recorded, or on anything but the calls. */
static void the_same_calls_give_the_same_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		static struct bench bench[2];
		for (unsigned run = 0; run < 2; run++) {
			begin(&bench[run], &models[i], run);
			for (unsigned round = 0; round < 20; round++) {
				churn(&bench[run], round, 200, 400);
				steps_clear(&bench[run].steps);
			}
		}
		assert_int_equal(bench[0].lives, bench[1].lives);
		for (unsigned n = 0; n < bench[0].lives; n++)
			assert_int_equal(bench[0].live[n].first.nr, bench[1].live[n].first.nr);
		end(&bench[0]);
		end(&bench[1]);
	}
}

/* Would catch: steps while nobody asks for them, none when somebody does, locks that stay held. */
static void steps_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		take(&bench, 0, GFP_KERNEL, 0);
		assert_int_equal(bench.steps.count, 0);
		bench.steps.recording = true;
		for (unsigned n = 0; n < 2000; n++) {
			steps_clear(&bench.steps);
			churn(&bench, n, 1, 200);
			assert_true(bench.steps.count > 0);
			uint64_t held[8];
			unsigned locks = 0;
			for (uint32_t s = 0; s < bench.steps.count; s++) {
				const struct step *step = &bench.steps.at[s];
				assert_true(step->kind == STEP_SPEND || step->kind == STEP_IRQS ||
				            step->address >= 0xffff800000000000u);
				if (step->kind == STEP_LOCK) {
					assert_true(locks < 8);
					held[locks++] = step->address;
				}
				if (step->kind == STEP_UNLOCK) {
					assert_true(locks > 0);
					assert_int_equal(held[--locks], step->address);
				}
			}
			assert_int_equal(locks, 0);
		}
		bench.steps.recording = false;
		end(&bench);
	}
}

/* Would catch: counters without a row, a name twice, a row that points outside. */
static void counters_are_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < MODELS; i++) {
		struct bench bench;
		begin(&bench, &models[i], false);
		churn(&bench, 1, 100, 50);
		const struct metric *metrics = bench.pages->ops->metrics;
		const void *counters = bench.pages->ops->counters(bench.pages);
		uint64_t sum = 0;
		for (const struct metric *metric = metrics; metric->name; metric++) {
			assert_non_null(metric->unit);
			assert_non_null(metric->help);
			sum += metric_value(metric, counters);
			for (const struct metric *other = metrics; other != metric; other++)
				assert_string_not_equal(other->name, metric->name);
		}
		assert_true(sum > 0);
		assert_non_null(bench.pages->ops->help);
		end(&bench);
	}
}

/* Would catch: a machine that cannot be and is taken, or an error without a sentence. */
static void impossible_machines_are_refused(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {0, 100, 1ull << 50};
	for (size_t i = 0; i < MODELS; i++)
		for (unsigned n = 0; n < 3; n++) {
			struct settings settings;
			struct layout layout;
			struct steps steps;
			struct error error = {0};
			settings_init(&settings);
			layout_init(&layout, 64);
			steps_init(&steps, false);
			settings.machine.memory_bytes = sizes[n];
			struct page_allocator_wiring wiring = {.settings = &settings, .layout = &layout, .steps = &steps};
			assert_null(models[i].create(&wiring, &error));
			assert_int_equal(error.kind, ERROR_USAGE);
			assert_true(strlen(error.text) > 10);
			settings_release(&settings);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(blocks_are_aligned_and_never_overlap),
	        cmocka_unit_test(all_memory_comes_back),
	        cmocka_unit_test(wrong_frees_are_told),
	        cmocka_unit_test(zone_views_add_up),
	        cmocka_unit_test(running_out_is_a_result),
	        cmocka_unit_test(the_same_calls_give_the_same_frames),
	        cmocka_unit_test(steps_are_whole),
	        cmocka_unit_test(counters_are_described),
	        cmocka_unit_test(impossible_machines_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
