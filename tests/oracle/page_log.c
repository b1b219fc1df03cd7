/* SPDX-License-Identifier: MIT
 *
 * page_log.c - replays the page calls of recorded scripts (plain or .xz) on the buddy model and compares every frame it returns
 * and every later state, list by list.
 *
 *     page_log FILE...
 *
 * prints a line per file, "NAME calls=N equal=M states=P equal=Q", the first differences, and a TOTAL line; exit code 0 only if
 * everything is equal. `states` counts the lists and numbers of the dumps after the first.
 *
 * Lines of a log: "A id order gfp pfn|FAIL" and "F id" are the script's own calls; ">CPUctx PA pfn order gfp type" and
 * "PF pfn order" are the kernel's trace events: an allocation's stands before its A line, a free's after its F line. Events that
 * belong to no call of the script are somebody else's calls and are replayed where they stand; so slab and kmalloc scripts
 * give the page calls of the slab layer. In vmalloc scripts "v id bytes" is followed by "V id address : pfn ...": several pages
 * come from the bulk allocator, which has no event, right after the area's page array (the kmalloc of __vmalloc_node_range).
 */
#include "models/page_allocator/buddy.h"
#include "sim/state_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Defaults of Linux 6.1 (mm/page_alloc.c): what a dump does not tell. */
#define WATERMARK_BOOST_FACTOR 15000
/* Ids of a script are below this; a log with more is not one of ours. */
#define IDS_MAX (1u << 20)
/* Pending allocation events: one of the script and what interrupts add. */
#define PENDING_MAX 64

/* vm_area_alloc_pages(): pages in one call of the bulk allocator; vmalloc()'s flags there. */
#define BULK_MAX 100
#define VMALLOC_GFP (GFP_KERNEL | __GFP_NOWARN | __GFP_HIGHMEM)
/* The largest area of a script, in pages. */
#define AREA_PAGES_MAX 4096

struct live {
	uint32_t pfn, order;
	bool used;
};

struct event {
	uint32_t pfn, order, gfp, cpu;
};

struct tally {
	uint64_t calls, calls_equal, states, states_equal;
};

struct replay {
	const char *name;
	uint64_t line;
	struct settings settings;
	struct layout layout;
	struct steps steps;
	struct state_dump dump;
	struct page_allocator *pages; /* NULL until the first dump is whole */
	struct live *live;            /* by id */
	struct event pending[PENDING_MAX];
	unsigned pending_count;
	pfn *area; /* frames of the vmalloc area being made */
	unsigned area_pages, area_taken;
	uint32_t freed; /* frame of the last F line, whose event is to come; BLOCK_NONE: none */
	uint32_t cpu;
	struct tally tally;
	unsigned told;
	bool failed;
};

static void difference(struct replay *replay, const char *what)
{
	if (replay->told++ < 3)
		printf("%s:%llu: call %llu: %s\n", replay->name, (unsigned long long)replay->line,
		       (unsigned long long)replay->tally.calls, what);
}

static void compare_alloc(struct replay *replay, const struct event *event, uint32_t got)
{
	char text[160];
	replay->tally.calls++;
	if (got == event->pfn) {
		replay->tally.calls_equal++;
		return;
	}
	snprintf(text, sizeof text, "order %u gfp %x: expected frame %x, got %x", event->order, event->gfp, event->pfn, got);
	difference(replay, text);
}

static void alloc(struct replay *replay, const struct event *event)
{
	pfn got = page_alloc(replay->pages, event->order, event->gfp, event->cpu);
	compare_alloc(replay, event, got.nr);
}

/* Frees what the recording frees; a block from before the recording is made known first. */
static void free_block(struct replay *replay, uint32_t nr, uint32_t order)
{
	enum page_free_result result = page_free(replay->pages, pfn_of(nr), order, replay->cpu);
	if (result == PAGE_FREE_NOT_ALLOCATED && buddy_adopt(buddy_of(replay->pages), nr, order))
		result = page_free(replay->pages, pfn_of(nr), order, replay->cpu);
	replay->tally.calls++;
	replay->tally.calls_equal += result == PAGE_FREE_OK;
	if (result != PAGE_FREE_OK)
		difference(replay, "a free of what is not allocated here");
}

/* Allocation events that no A line claimed were somebody else's calls. */
static void replay_pending(struct replay *replay)
{
	for (unsigned i = 0; i < replay->pending_count; i++)
		alloc(replay, &replay->pending[i]);
	replay->pending_count = 0;
}

/* The script's own allocation; events of others before it come first. */
static void script_alloc(struct replay *replay, const char *text)
{
	unsigned id, order, flags, nr;
	char result[32];
	if (sscanf(text, "A %u %u %x %31s", &id, &order, &flags, result) != 4 || id >= IDS_MAX) {
		replay->failed = true;
		return;
	}
	nr = strcmp(result, "FAIL") == 0 ? BLOCK_NONE : (unsigned)strtoul(result, NULL, 16);
	struct event event = {.pfn = nr, .order = order, .gfp = flags, .cpu = replay->cpu};
	for (unsigned i = 0; i < replay->pending_count; i++) {
		if (replay->pending[i].pfn == nr && replay->pending[i].order == order) {
			memmove(&replay->pending[i], &replay->pending[i + 1], (--replay->pending_count - i) * sizeof event);
			break;
		}
	}
	replay_pending(replay);
	alloc(replay, &event);
	replay->live[id] = (struct live){nr, order, nr != BLOCK_NONE};
}

static void script_free(struct replay *replay, const char *text)
{
	unsigned id;
	replay_pending(replay);
	if (strstr(text, " lazy="))
		return; /* vfree(): its events follow */
	if (sscanf(text, "F %u", &id) != 1 || id >= IDS_MAX || !replay->live[id].used) {
		replay->failed = true;
		return;
	}
	replay->live[id].used = false;
	replay->freed = replay->live[id].pfn;
	free_block(replay, replay->live[id].pfn, replay->live[id].order);
}

/* "v id bytes": an area whose frames come later. */
static void area_begins(struct replay *replay, const char *text)
{
	unsigned id;
	unsigned long bytes;
	replay_pending(replay);
	if (sscanf(text, "v %u %lu", &id, &bytes) != 2 || bytes > (unsigned long)AREA_PAGES_MAX * PAGE_SIZE) {
		replay->failed = true;
		return;
	}
	replay->area_pages = (unsigned)((bytes + PAGE_SIZE - 1) / PAGE_SIZE);
	replay->area_taken = 0;
}

/* The area's page array is there: its pages follow (vm_area_alloc_pages). A single page has an event and is left to that. */
static void area_pages(struct replay *replay)
{
	replay_pending(replay);
	while (replay->area_pages > 1 && replay->area_taken < replay->area_pages) {
		unsigned wanted = replay->area_pages - replay->area_taken;
		wanted = wanted < BULK_MAX ? wanted : BULK_MAX;
		unsigned taken =
		        buddy_alloc_bulk(replay->pages, VMALLOC_GFP, replay->cpu, wanted, &replay->area[replay->area_taken]);
		replay->area_taken += taken;
		if (taken != wanted)
			return;
	}
}

/* "V id address : pfn ...": what the area got. */
static void area_ends(struct replay *replay, const char *text)
{
	const char *at = strchr(text, ':');
	replay_pending(replay);
	for (unsigned i = 0; at && i < replay->area_taken; i++) {
		char *end;
		struct event event = {.pfn = (uint32_t)strtoul(at + 1, &end, 16), .gfp = VMALLOC_GFP};
		compare_alloc(replay, &event, replay->area[i].nr);
		at = end - 1;
	}
	replay->area_pages = 0;
}

static void trace_event(struct replay *replay, const char *text)
{
	unsigned cpu, order, flags;
	unsigned long long nr;
	char context;
	if (sscanf(text, ">%u%c PA %llx %u %x", &cpu, &context, &nr, &order, &flags) == 5) {
		if (replay->pending_count == PENDING_MAX)
			replay_pending(replay);
		replay->cpu = cpu;
		replay->pending[replay->pending_count++] = (struct event){
		        .pfn = nr > UINT32_MAX ? BLOCK_NONE : (uint32_t)nr, .order = order, .gfp = flags, .cpu = cpu};
		return;
	}
	if (strstr(text, "KM __vmalloc_node_range ")) {
		area_pages(replay);
		return;
	}
	if (sscanf(text, ">%u%c PF %llx %u", &cpu, &context, &nr, &order) != 4)
		return;
	if (nr == replay->freed) {
		replay->freed = BLOCK_NONE;
		return;
	}
	replay_pending(replay);
	replay->cpu = cpu;
	free_block(replay, (uint32_t)nr, order);
}

/* A whole dump: the first is where the replay starts, the others are compared. */
static void state(struct replay *replay)
{
	char text[256];
	struct error error = {0};
	if (!state_dump_has(&replay->dump, 'p'))
		return;
	if (!replay->pages) {
		struct page_allocator_wiring wiring = {
		        .settings = &replay->settings, .layout = &replay->layout, .steps = &replay->steps};
		/* Kernels with pageblocks of order 9 here are those with huge pages. */
		replay->settings.kernel.transparent_hugepage = replay->dump.memory.pageblock_order == 9;
		replay->pages = buddy_load(&replay->dump, &wiring, &error);
		if (!replay->pages) {
			difference(replay, error.text);
			replay->failed = true;
			return;
		}
		page_allocator_check(replay->pages);
		return;
	}
	replay_pending(replay);
	page_allocator_check(replay->pages);
	uint64_t before = replay->tally.states - replay->tally.states_equal;
	buddy_compare(replay->pages, &replay->dump, &replay->tally.states, &replay->tally.states_equal, text, sizeof text);
	if (replay->tally.states - replay->tally.states_equal != before)
		difference(replay, text);
}

static void one_line(struct replay *replay, const char *text, size_t length)
{
	struct error error = {0};
	switch (state_dump_line(&replay->dump, text, length, replay->line, &error)) {
	case STATE_WRONG:
		difference(replay, error.text);
		replay->failed = true;
		return;
	case STATE_WHOLE:
		state(replay);
		return;
	case STATE_INSIDE:
		return;
	case STATE_OUTSIDE:
		break;
	}
	if (!replay->pages)
		return;
	if (length > 2 && text[0] == 'A' && text[1] == ' ')
		script_alloc(replay, text);
	else if (length > 2 && text[0] == 'F' && text[1] == ' ')
		script_free(replay, text);
	else if (length > 2 && text[0] == 'v' && text[1] == ' ')
		area_begins(replay, text);
	else if (length > 2 && text[0] == 'V' && text[1] == ' ')
		area_ends(replay, text);
	else if (length > 2 && text[0] == '>')
		trace_event(replay, text);
}

static FILE *open_log(const char *path)
{
	size_t length = strlen(path);
	bool packed = length > 3 && strcmp(path + length - 3, ".xz") == 0;
	if (strchr(path, '\''))
		return NULL;
	char *command = xasprintf("%s -- '%s'", packed ? "xz -dc" : "cat", path);
	FILE *stream = popen(command, "r");
	free(command);
	return stream;
}

static struct tally replay_log(const char *path)
{
	struct replay replay = {.name = path,
	                        .freed = BLOCK_NONE,
	                        .live = xcalloc(IDS_MAX, sizeof(struct live)),
	                        .area = xcalloc(AREA_PAGES_MAX, sizeof(pfn))};
	char *text = NULL;
	size_t room = 0;
	ssize_t length;
	FILE *stream = open_log(path);
	if (!stream) {
		fprintf(stderr, "page_log: cannot open %s\n", path);
		exit(ERROR_HOST);
	}
	replay.settings.kernel.watermark_boost_factor = WATERMARK_BOOST_FACTOR;
	layout_init(&replay.layout, 64);
	steps_init(&replay.steps, false);
	state_dump_init(&replay.dump);
	while (!replay.failed && (length = getline(&text, &room, stream)) > 0) {
		replay.line++;
		if (text[length - 1] == '\n')
			text[--length] = '\0';
		one_line(&replay, text, (size_t)length);
	}
	if (replay.failed || !replay.pages)
		replay.tally.calls++;
	printf("%s calls=%llu equal=%llu states=%llu equal=%llu\n", path, (unsigned long long)replay.tally.calls,
	       (unsigned long long)replay.tally.calls_equal, (unsigned long long)replay.tally.states,
	       (unsigned long long)replay.tally.states_equal);
	free(text);
	pclose(stream);
	page_allocator_destroy(replay.pages);
	state_dump_release(&replay.dump);
	steps_release(&replay.steps);
	free(replay.area);
	free(replay.live);
	return replay.tally;
}

int main(int argc, char **argv)
{
	struct tally total = {0};
	if (argc < 2) {
		fprintf(stderr, "usage: page_log FILE...\n");
		return ERROR_USAGE;
	}
	for (int i = 1; i < argc; i++) {
		struct tally tally = replay_log(argv[i]);
		total.calls += tally.calls;
		total.calls_equal += tally.calls_equal;
		total.states += tally.states;
		total.states_equal += tally.states_equal;
	}
	printf("TOTAL calls=%llu equal=%llu states=%llu equal=%llu\n", (unsigned long long)total.calls,
	       (unsigned long long)total.calls_equal, (unsigned long long)total.states, (unsigned long long)total.states_equal);
	return total.calls == total.calls_equal && total.states == total.states_equal ? 0 : 1;
}
