/* SPDX-License-Identifier: MIT
 *
 * test_follow_objects.c - SLOB and SLAB beside a recording: a call foreseen, a call made at a given address, a slab that goes
 * with its pages; and the moments of frees that RCU puts off (sim/follow_rcu.h). The judge of a placed call is the same call made
 * in a second allocator; lines of the recordings are counted by hand.
 */
#include "tests/unit/state_world.h"
#include "tests/unit/trace_case.h"

#include "sim/follow_rcu.h"

struct object_allocator *object_allocator_slob_create(const struct object_allocator_wiring *wiring, struct error *error);
struct object_allocator *object_allocator_slab_create(const struct object_allocator_wiring *wiring, struct error *error);

#define TWIN_OPS 6000u
#define TWIN_LIVE 600u
#define COMPARE_EVERY 50u
#define SECOND_NS 1000000000ull

typedef struct object_allocator *create_function(const struct object_allocator_wiring *, struct error *);

/* Frames of a dump, and an allocator that starts empty on them. */
static void begin_empty(struct world *world, create_function *create)
{
	struct error error = {0};
	begin_pages(world, dump_text);
	object_allocator_destroy(world->objects);
	world->objects = create(
	        &(struct object_allocator_wiring){
	                .settings = &world->settings, .pages = world->pages, .layout = &world->layout, .steps = &world->steps},
	        &error);
	if (!world->objects)
		fail_msg("%s", error.text);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static char *lists_of(const struct object_allocator *objects)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	objects->ops->print_state(objects, CACHE_NONE, out);
	fclose(out);
	return text;
}

static void compare_lists(const struct world *a, const struct world *b)
{
	char *of_a = lists_of(a->objects), *of_b = lists_of(b->objects);
	assert_string_equal(of_a, of_b);
	free(of_a);
	free(of_b);
}

/* One call in `a`; the same, told by its address, in `b`. */
static vaddr call_both(struct world *a, struct world *b, cache_id cache, uint32_t bytes)
{
	struct object placed = {0};
	vaddr next = a->objects->ops->follow->foresee(a->objects, cache, bytes);
	uint64_t pages = a->pages->allocated_pages;
	struct object made = cache.nr == UINT32_MAX ? object_kmalloc(a->objects, bytes, GFP_KERNEL, 0)
	                                            : cache_alloc(a->objects, cache, GFP_KERNEL, 0);
	assert_int_not_equal(made.at.addr, 0);
	assert_int_equal(next.addr, a->pages->allocated_pages == pages ? made.at.addr : 0);
	assert_true(object_place(b->objects, cache, bytes, GFP_KERNEL, 0, made.at, &placed));
	assert_int_equal(placed.at.addr, made.at.addr);
	assert_int_equal(placed.bytes_alloc, made.bytes_alloc);
	return made.at;
}

/* Catches: a placed object that leaves the list unturned, its page on another list, or a full page on a list. */
static void test_slob_placed_as_called(void **unused)
{
	(void)unused;
	struct world a, b;
	vaddr live[TWIN_LIVE];
	uint32_t count = 0;
	uint64_t random = 1;
	begin_empty(&a, object_allocator_slob_create);
	begin_empty(&b, object_allocator_slob_create);
	const struct cache_spec spec = {.name = "nodes", .object_size = 200, .flags = SLAB_HWCACHE_ALIGN};
	cache_id cache = cache_create(a.objects, &spec), same = cache_create(b.objects, &spec);
	assert_int_equal(cache.nr, same.nr);
	for (uint32_t op = 0; op < TWIN_OPS; op++) {
		if (count == TWIN_LIVE || (count > 0 && next_random(&random) % 100 < 45)) {
			uint32_t which = (uint32_t)(next_random(&random) % count);
			assert_int_equal(object_kfree(a.objects, live[which], 0), OBJECT_FREE_OK);
			assert_int_equal(object_kfree(b.objects, live[which], 0), OBJECT_FREE_OK);
			live[which] = live[--count];
		} else {
			bool of_cache = next_random(&random) % 4 == 0;
			uint32_t bytes = 1 + (uint32_t)(next_random(&random) % (1u << (3 + next_random(&random) % 9)));
			live[count++] = call_both(&a, &b, of_cache ? cache : CACHE_NONE, bytes);
		}
		if (op % COMPARE_EVERY == 0)
			compare_lists(&a, &b);
	}
	compare_lists(&a, &b);
	end(&a);
	end(&b);
}

/* Catches: a run placed over one in use, beyond its page, or in a page that others hold. */
static void test_slob_refuses_what_is_not_free(void **unused)
{
	(void)unused;
	struct world world;
	struct object object;
	begin_empty(&world, object_allocator_slob_create);
	vaddr first = object_kmalloc(world.objects, 1000, GFP_KERNEL, 0).at;
	assert_false(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, first, &object));
	assert_false(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, vaddr_of(first.addr + 960), &object));
	assert_false(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, vaddr_of(first.addr + 4000), &object));
	assert_false(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, vaddr_of(address(&world, 0x500, 8)), &object));
	assert_false(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, vaddr_of(address(&world, 0x2000, 8)), &object));
	assert_false(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, vaddr_of(16), &object));
	assert_true(object_place(world.objects, CACHE_NONE, 100, GFP_KERNEL, 0, vaddr_of(first.addr + 1008), &object));
	end(&world);
}

static pfn frame_of(const struct world *world, vaddr at)
{
	return layout_pfn_of(&world->layout, at);
}

/* Catches: an evicted page whose objects stay counted, or that stays on its list. */
static void test_slob_page_evicted(void **unused)
{
	(void)unused;
	struct world world;
	begin_empty(&world, object_allocator_slob_create);
	uint64_t before = world.pages->allocated_pages;
	vaddr at = object_kmalloc(world.objects, 1000, GFP_KERNEL, 0).at;
	object_kmalloc(world.objects, 1000, GFP_KERNEL, 0);
	object_evict(world.objects, frame_of(&world, at), 0);
	assert_int_equal(world.objects->live_objects, 0);
	assert_int_equal(world.pages->allocated_pages, before);
	assert_int_equal(world.objects->ops->ksize(world.objects, at), 0);
	end(&world);
}

/* Catches: objects of an evicted slab that are still in the CPU's array, where the next call would find them. */
static void test_slab_evicted(void **unused)
{
	(void)unused;
	struct world world;
	begin_empty(&world, object_allocator_slab_create);
	cache_id cache = cache_create(world.objects, &(struct cache_spec){.name = "nodes", .object_size = 1024});
	vaddr first = cache_alloc(world.objects, cache, GFP_KERNEL, 0).at;
	pfn frame = frame_of(&world, first);
	uint64_t with_slab = world.pages->allocated_pages;
	assert_true(world.objects->ops->follow->holds(world.objects, frame));
	object_evict(world.objects, frame, 0);
	assert_false(world.objects->ops->follow->holds(world.objects, frame));
	assert_int_equal(world.objects->live_objects, 0);
	assert_int_equal(world.pages->allocated_pages, with_slab - 1);
	object_allocator_check(world.objects);
	assert_int_not_equal(cache_alloc(world.objects, cache, GFP_KERNEL, 0).at.addr, 0);
	assert_int_equal(world.pages->allocated_pages, with_slab);
	end(&world);
}

/* The frames that an idle cache still holds after a minute of the reaper's turns. */
static uint64_t pages_after_reaping(bool followed)
{
	struct world world;
	begin_empty(&world, object_allocator_slab_create);
	world.objects->followed = followed;
	cache_id cache = cache_create(world.objects, &(struct cache_spec){.name = "nodes", .object_size = 1024});
	uint64_t before = world.pages->allocated_pages;
	assert_int_equal(cache_free(world.objects, cache, cache_alloc(world.objects, cache, GFP_KERNEL, 0).at, 0),
	                 OBJECT_FREE_OK);
	for (uint64_t now_ns = SECOND_NS; now_ns < 60 * SECOND_NS;)
		now_ns = object_allocator_tick(world.objects, 0, now_ns);
	uint64_t after = world.pages->allocated_pages - before;
	end(&world);
	return after;
}

/*
 * Turns that a recording shows at 10.5, then 14.52 s: the second confirms the first, and from there the reaper runs every two
 * seconds, however late a turn was. A slab that goes in between, at 15.3 s, is nobody's turn. Catches: a clock that one accident
 * sets, that drifts, or that stays at the boot's.
 */
static void test_slab_reaper_keeps_the_recorded_time(void **unused)
{
	(void)unused;
	struct world world;
	begin_empty(&world, object_allocator_slab_create);
	world.objects->followed = true;
	const uint64_t ms = SECOND_NS / 1000;
	void (*seen)(struct object_allocator *, unsigned, uint64_t) = world.objects->ops->follow->daemon_seen;
	uint64_t own_ns = object_allocator_tick(world.objects, 0, 8 * SECOND_NS);
	assert_int_equal(own_ns, 9816 * ms); /* the boot's: 1.816 s and every two seconds */
	seen(world.objects, 0, 10500 * ms);
	seen(world.objects, 0, 10501 * ms); /* the same turn, the next slab */
	assert_int_equal(object_allocator_tick(world.objects, 0, 11900 * ms), 13816 * ms);
	seen(world.objects, 0, 14520 * ms);
	assert_int_equal(object_allocator_tick(world.objects, 0, 14600 * ms), 16520 * ms);
	seen(world.objects, 0, 15300 * ms);
	assert_int_equal(object_allocator_tick(world.objects, 0, 15400 * ms), 16520 * ms);
	seen(world.objects, 0, 18560 * ms);
	assert_int_equal(object_allocator_tick(world.objects, 0, 18700 * ms), 20560 * ms);
	end(&world);
}

/* Catches: a reaper that gives slabs back by itself where the recording tells which ones go; one that never does elsewhere. */
static void test_slab_reaper_waits_for_the_recording(void **unused)
{
	(void)unused;
	assert_int_equal(pages_after_reaping(false), 0);
	assert_int_equal(pages_after_reaping(true), 1);
}

#define LINE(context, time, event) "   a-1     [000] " context "  0.0000" #time ": " event "\n"
#define TASK "....."
#define SOFTIRQ "..s.."
#define PAGE(pfn) "mm_page_alloc: page=1 pfn=0x" #pfn " order=0 migratetype=0 gfp_flags=GFP_KERNEL"
#define FREE(pfn) "mm_page_free: page=1 pfn=0x" #pfn " order=0"

/* Lines 4 and 5 are of a softirq, 5 gives frame 501 back. */
static const char softirq_text[] =
        LINE(TASK, 01, PAGE(500)) LINE(TASK, 02, PAGE(501)) LINE(TASK, 03, PAGE(502)) LINE(SOFTIRQ, 04, FREE(500))
                LINE(SOFTIRQ, 05, FREE(501)) LINE(TASK, 06, PAGE(503)) LINE(TASK, 07, PAGE(504)) LINE(TASK, 08, PAGE(505));

struct rcu_world {
	struct world world;
	struct trace_case recording;
	struct follow_rcu rcu;
	cache_id cache;
};

static void begin_rcu(struct rcu_world *self)
{
	struct error error = {0};
	begin_empty(&self->world, object_allocator_slob_create);
	self->cache = cache_create(self->world.objects,
	                           &(struct cache_spec){.name = "nodes", .object_size = 96, .flags = SLAB_TYPESAFE_BY_RCU});
	case_begin(&self->recording);
	assert_true(case_import(&self->recording, softirq_text));
	assert_true(follow_rcu_init(&self->rcu, self->recording.trace, self->world.objects, self->world.layout.direct_map,
	                            self->world.pages->end_pfn, &error));
}

static void end_rcu(struct rcu_world *self)
{
	follow_rcu_check(&self->rcu);
	follow_rcu_release(&self->rcu);
	case_end(&self->recording);
	end(&self->world);
}

static vaddr object_of(struct rcu_world *self)
{
	return cache_alloc(self->world.objects, self->cache, GFP_KERNEL, 0).at;
}

static void tell_free(struct rcu_world *self, uint64_t line, vaddr at)
{
	follow_rcu_tell_free(&self->rcu, &(struct op){.line = line, .address = at.addr}, 96);
}

static bool is_live(const struct rcu_world *self, vaddr at)
{
	return self->world.objects->ops->ksize(self->world.objects, at) > 0;
}

/* Catches: a free made at its event, at the use of its bytes, or within the softirq; one that nothing uses made at all. */
static void test_free_at_the_end_of_the_softirq(void **unused)
{
	(void)unused;
	struct rcu_world self;
	begin_rcu(&self);
	vaddr used = object_of(&self), unused_again = object_of(&self);
	tell_free(&self, 2, used);
	tell_free(&self, 3, unused_again);
	follow_rcu_tell_use(&self.rcu, 8, used.addr + 64, 32);
	follow_rcu_begin(&self.rcu);
	assert_true(follow_rcu_put_off(&self.rcu, 2, used));
	assert_true(follow_rcu_put_off(&self.rcu, 3, unused_again));
	assert_false(follow_rcu_put_off(&self.rcu, 4, used));
	follow_rcu_to(&self.rcu, 5, 0);
	assert_true(is_live(&self, used));
	follow_rcu_to(&self.rcu, 6, 0);
	assert_false(is_live(&self, used));
	follow_rcu_to(&self.rcu, UINT64_MAX - 1, 0);
	assert_true(is_live(&self, unused_again));
	assert_int_equal(self.rcu.put_off, 2);
	assert_int_equal(self.rcu.carried_out, 1);
	end_rcu(&self);
}

/* Catches: callbacks that change places: what was asked for first is made first. */
static void test_frees_keep_their_order(void **unused)
{
	(void)unused;
	struct rcu_world self;
	begin_rcu(&self);
	vaddr first = object_of(&self), second = object_of(&self);
	tell_free(&self, 1, first);
	tell_free(&self, 2, second);
	follow_rcu_tell_use(&self.rcu, 8, second.addr, 8);
	follow_rcu_begin(&self.rcu);
	assert_true(follow_rcu_put_off(&self.rcu, 1, first));
	assert_true(follow_rcu_put_off(&self.rcu, 2, second));
	follow_rcu_to(&self.rcu, 6, 0);
	assert_false(is_live(&self, first));
	assert_false(is_live(&self, second));
	end_rcu(&self);
}

/* Catches: a free that comes behind the free of its page. */
static void test_free_before_its_page_goes(void **unused)
{
	(void)unused;
	struct rcu_world self;
	begin_rcu(&self);
	vaddr at = vaddr_of(address(&self.world, 0x501, 0x100));
	tell_free(&self, 3, at);
	follow_rcu_begin(&self.rcu);
	assert_int_equal(self.rcu.frees[0].due, 5);
	end_rcu(&self);
}

/* Catches: a free asked for behind the softirq, and made in it. */
static void test_free_without_a_softirq_between(void **unused)
{
	(void)unused;
	struct rcu_world self;
	begin_rcu(&self);
	vaddr at = object_of(&self);
	tell_free(&self, 6, at);
	follow_rcu_tell_use(&self.rcu, 8, at.addr, 8);
	follow_rcu_begin(&self.rcu);
	assert_int_equal(self.rcu.frees[0].due, 8);
	end_rcu(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_slob_placed_as_called),
	        cmocka_unit_test(test_slob_refuses_what_is_not_free),
	        cmocka_unit_test(test_slob_page_evicted),
	        cmocka_unit_test(test_slab_evicted),
	        cmocka_unit_test(test_slab_reaper_waits_for_the_recording),
	        cmocka_unit_test(test_slab_reaper_keeps_the_recorded_time),
	        cmocka_unit_test(test_free_at_the_end_of_the_softirq),
	        cmocka_unit_test(test_frees_keep_their_order),
	        cmocka_unit_test(test_free_before_its_page_goes),
	        cmocka_unit_test(test_free_without_a_softirq_between),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
