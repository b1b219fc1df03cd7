/* SPDX-License-Identifier: MIT
 *
 * oracle_pages.c - replays page scripts on the buddy, and the page calls of vmalloc and kmap scripts (interface: oracle.h).
 *
 * The first dump with page lists is the start state. Events of an allocation stand before its A line, those of a free behind its
 * F line. An event that belongs to no call of the script is somebody else's call and is made where it stands.
 *
 * Pages of vmalloc: "v id bytes" is followed by "V id address : frame ...". Several pages come from the bulk allocator, which has
 * no event, right after the area's page array (the kmalloc of __vmalloc_node_range); a single page has its event.
 */
#include "models/page_allocator/buddy.h"
#include "tools/kmemsim/oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Pending allocation events: one of the script and what interrupts add. */
#define PENDING_MAX 64
/* vm_area_alloc_pages(): pages in one call of the bulk allocator; vmalloc()'s flags there. */
#define BULK_MAX 100
#define VMALLOC_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_HIGHMEM)
/* The largest area whose pages are held against the recording. */
#define AREA_PAGES_MAX (1u << 20)

struct live {
	uint32_t frame;
	uint16_t order;
	bool used;
};

struct run {
	struct oracle *oracle;
	struct live *live; /* by id */
	vaddr *areas;      /* of vmalloc, by id */
	const struct recording_line *pending[PENDING_MAX];
	unsigned pending_count;
	unsigned cpu;        /* the script's */
	uint32_t freed;      /* frame of the last F line, whose event is to come; BLOCK_NONE: none */
	pfn *area;           /* frames of the vmalloc area being made */
	uint32_t area_pages; /* how many it wants */
	uint32_t area_taken;
};

/* ---- calls ---- */

static bool is_equal(struct run *run, const struct recording_line *line, uint32_t expected, uint32_t got)
{
	struct oracle *oracle = run->oracle;
	oracle->tally->calls++;
	oracle->tally->calls_equal += expected == got;
	if (expected == got)
		return true;
	char expected_text[16] = "FAIL", got_text[16] = "FAIL";
	if (expected != BLOCK_NONE)
		snprintf(expected_text, sizeof expected_text, "%x", expected);
	if (got != BLOCK_NONE)
		snprintf(got_text, sizeof got_text, "%x", got);
	oracle_differs(oracle, line, "\"%.60s\": expected frame %s, got %s", line->text, expected_text, got_text);
	return false;
}

/* Makes an allocation; the difference, if there is one, is told with the lists as they were left. */
static uint32_t make_alloc(struct run *run, const struct recording_line *line, unsigned cpu)
{
	struct oracle *oracle = run->oracle;
	uint32_t got = BLOCK_NONE;
	if (cpu < oracle->settings.machine.cpus)
		got = page_alloc(oracle->buddy, line->order, line->flags, cpu).nr;
	if (!is_equal(run, line, line->failed ? BLOCK_NONE : line->frame, got))
		oracle_tell_frames(oracle, line->frame, got);
	oracle_check(oracle);
	return got;
}

static void make_free(struct run *run, const struct recording_line *line, uint32_t frame, unsigned order, unsigned cpu)
{
	struct oracle *oracle = run->oracle;
	bool done = oracle_free_block(oracle, frame, order, cpu);
	oracle->tally->calls++;
	oracle->tally->calls_equal += done;
	if (!done)
		oracle_differs(oracle, line, "\"%.60s\": the model has no block of order %u in use at frame %x", line->text,
		               order, frame);
	oracle_check(oracle);
}

/* Allocation events that no line of the script claimed were somebody else's calls. */
static void make_pending(struct run *run)
{
	for (unsigned i = 0; i < run->pending_count; i++) {
		run->oracle->tally->foreign++;
		make_alloc(run, run->pending[i], run->pending[i]->cpu);
	}
	run->pending_count = 0;
}

/* The event of the script's own allocation: the one of that frame, else the last of that order. */
static void claim_event(struct run *run, const struct recording_line *line)
{
	unsigned claimed = run->pending_count;
	for (unsigned i = 0; i < run->pending_count; i++)
		if (run->pending[i]->order == line->order && run->pending[i]->context == 't')
			claimed = i;
	for (unsigned i = 0; i < run->pending_count; i++)
		if (run->pending[i]->order == line->order && run->pending[i]->frame == line->frame)
			claimed = i;
	if (claimed == run->pending_count)
		return;
	run->cpu = run->pending[claimed]->cpu;
	run->pending_count--;
	memmove(&run->pending[claimed], &run->pending[claimed + 1], (run->pending_count - claimed) * sizeof run->pending[0]);
}

static void script_alloc(struct run *run, const struct recording_line *line)
{
	claim_event(run, line);
	make_pending(run);
	uint32_t got = make_alloc(run, line, run->cpu);
	run->live[line->id] = (struct live){got, line->order, got != BLOCK_NONE};
}

static void script_free(struct run *run, const struct recording_line *line)
{
	struct live *live = &run->live[line->id];
	make_pending(run);
	if (!live->used) {
		run->oracle->tally->calls++;
		oracle_differs(run->oracle, line, "\"%.60s\": the model has nothing of that id", line->text);
		return;
	}
	live->used = false;
	run->freed = live->frame;
	make_free(run, line, live->frame, live->order, run->cpu);
}

/* ---- vmalloc's pages ---- */

static void area_begins(struct run *run, const struct recording_line *line)
{
	uint64_t pages = ((uint64_t)line->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	make_pending(run);
	run->area_pages = pages <= AREA_PAGES_MAX ? (uint32_t)pages : 0;
	run->area_taken = 0;
}

/* The area's page array is there: its pages follow (vm_area_alloc_pages). A single page has an event and is left to that. */
static void area_pages(struct run *run)
{
	make_pending(run);
	while (run->area_pages > 1 && run->area_taken < run->area_pages) {
		uint32_t wanted = run->area_pages - run->area_taken;
		wanted = wanted < BULK_MAX ? wanted : BULK_MAX;
		unsigned taken = buddy_alloc_bulk(run->oracle->buddy, VMALLOC_GFP, run->cpu, wanted, &run->area[run->area_taken]);
		run->area_taken += taken;
		if (taken != wanted)
			return;
	}
}

static void area_ends(struct run *run, const struct recording_line *line)
{
	const char *at = strchr(line->text, ':');
	make_pending(run);
	at = at ? at + 1 : "";
	for (uint32_t i = 0; i < run->area_taken; i++) {
		char *end;
		uint32_t expected = (uint32_t)strtoul(at, &end, 16);
		is_equal(run, line, end == at ? BLOCK_NONE : expected, run->area[i].nr);
		at = end;
	}
	run->area_pages = 0;
	oracle_check(run->oracle);
}

/* ---- events ---- */

static void block_event(struct run *run, const struct recording_line *line)
{
	if (line->taken) {
		if (run->pending_count == PENDING_MAX)
			make_pending(run);
		run->pending[run->pending_count++] = line;
		return;
	}
	if (line->frame == run->freed) {
		run->freed = BLOCK_NONE;
		return;
	}
	make_pending(run);
	run->oracle->tally->foreign++;
	make_free(run, line, line->frame, line->order, line->cpu);
}

static void object_event(struct run *run, const struct recording_line *line)
{
	if (strstr(line->text, " KM __vmalloc_node_range "))
		area_pages(run);
}

/* ---- the whole recording ---- */

/* The first dump with page lists is where the replay starts; later ones are compared. */
static bool take_dump(struct run *run, size_t i, size_t *next, struct error *error)
{
	struct oracle *oracle = run->oracle;
	struct recording_dump from = recording_dump_at(oracle->recording, i);
	struct state_dump dump;
	*next = i + from.count;
	if (!from.whole || !from.state)
		return true;
	if (!recording_state(oracle->recording, &from, &dump, error))
		return false;
	bool done = true;
	if (state_dump_has(&dump, 'p') && !oracle->buddy) {
		done = oracle_load_pages(oracle, &dump, error);
	} else if (state_dump_has(&dump, 'p')) {
		make_pending(run);
		oracle_compare_pages(oracle, from.lines, &dump);
	}
	if (done && state_dump_has(&dump, 'v') && !oracle->areas)
		done = oracle_load_areas(oracle, &dump, NULL, error);
	else if (done && state_dump_has(&dump, 'v'))
		oracle_compare_areas(oracle, &from);
	state_dump_release(&dump);
	return done;
}

static bool run_line(struct run *run, size_t i, size_t *next, struct error *error)
{
	const struct recording_line *line = &run->oracle->recording->lines[i];
	*next = i + 1;
	if (line->kind == LINE_DUMP)
		return state_text_begins(line->text, "@END") || take_dump(run, i, next, error);
	if (!run->oracle->buddy)
		return true;
	switch ((enum recording_line_kind)line->kind) {
	case LINE_PAGES:
		script_alloc(run, line);
		return true;
	case LINE_PAGES_FREE:
		script_free(run, line);
		return true;
	case LINE_VMALLOC:
		oracle_area_line(run->oracle, line, run->areas);
		area_begins(run, line);
		return true;
	case LINE_AREA:
		oracle_area_line(run->oracle, line, run->areas);
		area_ends(run, line);
		return true;
	case LINE_VFREE:
		oracle_area_line(run->oracle, line, run->areas);
		make_pending(run);
		return true;
	case LINE_BLOCK:
		block_event(run, line);
		return true;
	case LINE_OBJECT:
		object_event(run, line);
		return true;
	case LINE_NOTE:
	case LINE_EVENT:
		return true;
	case LINE_SHRINK:
	case LINE_DESTROY:
	case LINE_ALLOC:
	case LINE_FREE:
	case LINE_KMALLOC:
	case LINE_KSIZE:
	case LINE_POW2:
	case LINE_KMAP:
	case LINE_SLABINFO:
	case LINE_DUMP:
		break;
	}
	return error_set(error, ERROR_INPUT, "%s:%u: \"%.60s\" has no place in a %s recording", run->oracle->recording->path,
	                 line->number, line->text, recording_script_name(run->oracle->recording->script));
}

bool oracle_replay_pages(struct oracle *oracle, struct error *error)
{
	const struct recording *recording = oracle->recording;
	struct run run = {.oracle = oracle,
	                  .live = xcalloc(RECORDING_IDS_MAX, sizeof *run.live),
	                  .areas = lazy_alloc(RECORDING_IDS_MAX, sizeof *run.areas),
	                  .area = lazy_alloc(AREA_PAGES_MAX, sizeof *run.area),
	                  .freed = BLOCK_NONE};
	bool done = true;
	for (size_t i = 0, next; done && i < recording->count; i = next)
		done = run_line(&run, i, &next, error);
	if (done && !oracle->buddy)
		fprintf(oracle->note, "; it has no page lists to start from: nothing to replay");
	if (oracle->buddy)
		page_allocator_check(oracle->buddy);
	lazy_free(run.areas, RECORDING_IDS_MAX, sizeof *run.areas);
	lazy_free(run.area, AREA_PAGES_MAX, sizeof *run.area);
	free(run.live);
	return done;
}
