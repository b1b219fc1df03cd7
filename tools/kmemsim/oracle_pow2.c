/* SPDX-License-Identifier: MIT
 *
 * oracle_pow2.c - replays kmalloc_pow2 and vmalloc_pow2, scripts without a dump (interface: oracle.h).
 *
 *     2 size ksize frame.offset   kmalloc(), ksize(), kfree()
 *     2 size OK address pfn0=     vmalloc(), vfree()
 *     2 size FAIL
 *
 * What they start from stands beside them, if anywhere. The recorder runs kmalloc_pow2 behind facts/state_boot, vmalloc_pow2
 * behind vmalloc.log (tools/ground-truth/jobs). In between programs send the last log out, so lists of pages and caches have
 * moved, and what is in use is nearly the same: outcomes are compared, and kmalloc's ksize. Of areas it is known what moved: the
 * programs open a terminal, which is an area of three pages for as long (n_tty_open()). So addresses are compared too where
 * areas come from vmalloc.log. Without dumps the machine boots with the recording's memory.
 *
 * A call is not compared if memory decides it, and so much more or less of it in use as there was at the start would decide it
 * otherwise: what was in use when it was made was not recorded.
 */
#include "models/registry.h"
#include "models/virtual_allocator/vmalloc.h"
#include "tools/kmemsim/oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* include/linux/slab.h, KMALLOC_MAX_SIZE: the largest block. */
#define KMALLOC_MAX_SIZE ((uint64_t)PAGE_SIZE << (ORDERS - 1))
/* drivers/tty/n_tty.c, n_tty_open(): vzalloc() of struct n_tty_data, 8.9 KB. /proc/vmallocinfo has it with pages=3. */
#define TERMINAL_BYTES (3u * PAGE_SIZE)
/* Bytes that an area needs for each of its pages beside it: an entry of a page table and one of its page array. */
#define BYTES_BESIDE_PAGE 16u

struct run {
	struct oracle *oracle;
	const char *from;      /* what the start state is of */
	bool addresses;        /* areas are as they were before the first call */
	uint64_t in_use, free; /* frames of the machine at the start */
	uint64_t left_out;     /* calls that are not compared */
};

static bool is_vmalloc(const struct run *run)
{
	return run->oracle->recording->script == RECORDING_VMALLOC_POW2;
}

/* ---- the start ---- */

static bool load(struct run *run, const struct state_dump *dump, struct error *error)
{
	struct oracle *oracle = run->oracle;
	struct error inner = {0};
	if (!oracle_load_pages(oracle, dump, &inner) ||
	    (is_vmalloc(run) && !oracle_load_areas(oracle, dump, oracle->buddy, &inner)))
		return error_set(error, inner.kind, "the dump %.40s of %s beside it, %s", dump->tag, run->from, inner.text);
	return true;
}

/* Loads the last dump of a file beside the recording. True without one too: nothing is made then. */
static bool load_beside(struct run *run, const char *name, struct error *error)
{
	struct state_dump dump;
	bool done = true;
	if (recording_dump_beside(run->oracle->recording, name, is_vmalloc(run) ? "pv" : "p", &dump)) {
		run->from = name;
		done = load(run, &dump, error);
	}
	state_dump_release(&dump);
	return done;
}

/* A terminal is opened and closed. */
static void use_terminal(struct virtual_allocator *areas)
{
	struct virtual_area area = virtual_alloc(areas, TERMINAL_BYTES, 0);
	if (area.result == VIRTUAL_ALLOC_OK)
		virtual_free(areas, area.at, 0);
}

/* A machine as it boots. True without one too, if it is not told how much memory it has. */
static bool boot(struct run *run, struct error *error)
{
	struct oracle *oracle = run->oracle;
	struct error inner = {0};
	if (!oracle->settings.machine.memory_bytes)
		return true;
	if (oracle->settings.machine.architecture == ARCHITECTURE_X86_32) {
		const struct layout_32bit places = settings_layout_32bit(&oracle->settings);
		layout_set_32bit(&oracle->layout, &places);
	}
	const struct page_allocator_model *buddy = page_allocator_model("buddy", &inner);
	const struct page_allocator_wiring wiring = {
	        .settings = &oracle->settings, .layout = &oracle->layout, .steps = &oracle->steps};
	run->from = "a machine that boots";
	oracle->buddy = buddy ? buddy->create(&wiring, &inner) : NULL;
	if (oracle->buddy && is_vmalloc(run)) {
		const struct virtual_allocator_wiring above = {.settings = &oracle->settings,
		                                               .pages = oracle->buddy,
		                                               .layout = &oracle->layout,
		                                               .steps = &oracle->steps};
		oracle->areas = virtual_allocator_vmalloc_create(&above, &inner);
	}
	if (!oracle->buddy || (is_vmalloc(run) && !oracle->areas))
		return error_set(error, inner.kind, "%s: its machine cannot boot: %s", oracle->recording->path, inner.text);
	return true;
}

static bool start(struct run *run, struct error *error)
{
	struct oracle *oracle = run->oracle;
	if (is_vmalloc(run) && !load_beside(run, "vmalloc.log", error))
		return false;
	run->addresses = oracle->buddy != NULL;
	if (!oracle->buddy && !load_beside(run, "facts/state_boot", error))
		return false;
	if (!oracle->buddy && !boot(run, error))
		return false;
	if (!oracle->buddy)
		return true;
	run->free = oracle->buddy->managed_pages - oracle->buddy->allocated_pages;
	run->in_use = oracle->buddy->end_pfn - run->free;
	if (run->addresses)
		use_terminal(oracle->areas);
	return is_vmalloc(run) || oracle_make_objects(oracle, oracle->buddy, error);
}

/* ---- calls ---- */

/* Whether it would come out alike with no memory in use, and with twice as much as at the start. */
static bool is_decided(const struct run *run, uint64_t bytes)
{
	uint64_t pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (!is_vmalloc(run) && bytes > KMALLOC_MAX_SIZE)
		return true;
	if (is_vmalloc(run))
		pages += (pages * BYTES_BESIDE_PAGE + PAGE_SIZE - 1) >> PAGE_SHIFT;
	return pages > run->free + run->in_use || pages + run->in_use <= run->free;
}

static bool kmalloc_is_equal(struct run *run, const struct recording_line *line, bool compared)
{
	struct oracle *oracle = run->oracle;
	struct object_allocator *objects = oracle->objects;
	vaddr at = object_kmalloc(objects, line->size, line->flags, 0).at;
	uint32_t usable = at.addr > ZERO_SIZE_PTR.addr ? objects->ops->ksize(objects, at) : 0;
	bool equal = line->failed == !at.addr && usable == line->ksize;
	if (at.addr)
		equal = object_kfree(objects, at, 0) == OBJECT_FREE_OK && equal;
	if (!equal && compared)
		oracle_differs(oracle, line, "\"%.80s\": the model gives %u bytes", line->text, usable);
	return equal;
}

static uint64_t recorded_address(const struct recording_line *line)
{
	const char *at = strstr(line->text, " OK ");
	return at ? strtoull(at + strlen(" OK "), NULL, 16) : 0;
}

static bool vmalloc_is_equal(struct run *run, const struct recording_line *line, bool compared)
{
	static const char *const results[] = {[VIRTUAL_ALLOC_OK] = "has it",
	                                      [VIRTUAL_ALLOC_NO_SPACE] = "has no addresses for it",
	                                      [VIRTUAL_ALLOC_NO_PAGES] = "has no pages for it",
	                                      [VIRTUAL_ALLOC_EXCEEDS_TOTAL] = "has not so many pages at all"};
	struct oracle *oracle = run->oracle;
	struct virtual_area area = virtual_alloc(oracle->areas, line->size, 0);
	bool granted = area.result == VIRTUAL_ALLOC_OK;
	bool equal = line->failed == !granted && (!run->addresses || area.at.addr == recorded_address(line));
	if (granted)
		equal = virtual_free(oracle->areas, area.at, 0) == VIRTUAL_FREE_OK && equal;
	if (!equal && compared)
		oracle_differs(oracle, line, "\"%.80s\": the model %s, address %" PRIx64, line->text, results[area.result],
		               area.at.addr);
	return equal;
}

static void make_call(struct run *run, const struct recording_line *line)
{
	struct oracle *oracle = run->oracle;
	bool compared = is_decided(run, line->size);
	oracle->tally->calls += compared;
	bool equal = is_vmalloc(run) ? vmalloc_is_equal(run, line, compared) : kmalloc_is_equal(run, line, compared);
	oracle->tally->calls_equal += compared && equal;
	run->left_out += !compared;
	/* Areas have moved otherwise if it came out otherwise. */
	run->addresses = run->addresses && (compared || equal);
	oracle_check(oracle);
}

static bool run_lines(struct run *run, struct error *error)
{
	const struct recording *recording = run->oracle->recording;
	for (size_t i = 0; i < recording->count; i++) {
		const struct recording_line *line = &recording->lines[i];
		if (line->kind == LINE_POW2)
			make_call(run, line);
		else if (line->kind != LINE_NOTE && !recording_is_event(line))
			return error_set(error, ERROR_INPUT, "%s:%u: \"%.60s\" has no place in a %s recording", recording->path,
			                 line->number, line->text, recording_script_name(recording->script));
	}
	return true;
}

static void tell(const struct run *run)
{
	FILE *note = run->oracle->note;
	if (!run->oracle->buddy) {
		fprintf(note, "; nothing beside it tells the machine's memory: nothing to replay");
		return;
	}
	const char *compared = run->addresses    ? "addresses compared, no frames"
	                       : is_vmalloc(run) ? "success or failure compared, no addresses"
	                                         : "success or failure and ksize compared, no addresses";
	fprintf(note, "; from %s: %s", run->from, compared);
	if (run->left_out)
		fprintf(note, "; %" PRIu64 " calls left out: what was in use then decides them, and is not recorded",
		        run->left_out);
}

bool oracle_replay_pow2(struct oracle *oracle, struct error *error)
{
	struct run run = {.oracle = oracle};
	bool done = start(&run, error);
	if (done && oracle->buddy)
		done = run_lines(&run, error);
	if (done)
		tell(&run);
	if (oracle->objects)
		object_allocator_check(oracle->objects);
	object_allocator_destroy(oracle->objects);
	oracle->objects = NULL;
	if (oracle->areas)
		virtual_allocator_check(oracle->areas);
	if (oracle->buddy)
		page_allocator_check(oracle->buddy);
	return done;
}
