/* SPDX-License-Identifier: MIT
 *
 * oracle_kmap.c - replays kmap scripts (interface: oracle.h).
 *
 *     #BEGIN kmap pkmap_base=ff400000 last_pkmap=1024 fixmap_begin=fffbb000
 *     @PK : counts             pkmap_count[], before and after
 *     P id frame high=0|1      the script's pages
 *     kmap id address          also kmap-again (mapped already) and kmap-turn (kmap and kunmap)
 *     kunmap id
 *     kmap_local id address kmap_atomic id address ...    one inside the other, then all unmapped
 *     lowmem page frame kmap address kmap_local address
 */
#include "models/virtual_allocator/kmap.h"
#include "tools/kmemsim/oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_MAX 65536u
/* Ids of the script's pages are below PAGES_MAX; no more mappings than this are one inside the other. */
#define NESTED_MAX KM_MAX_IDX

struct run {
	struct oracle *oracle;
	struct kmap kmap;
	uint32_t *frames; /* by id; UINT32_MAX: none */
};

static uint64_t hex_behind(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 16) : 0;
}

/* The first frame of high memory that the script has, as lowmem is whatever is below it: both are told page by page. */
static uint32_t lowest_high_frame(const struct recording *recording, uint32_t *end)
{
	uint32_t lowest = UINT32_MAX;
	for (size_t i = 0; i < recording->count; i++) {
		const char *at = recording->lines[i].text;
		uint32_t frame;
		if (sscanf(at, "P %*u %" SCNx32, &frame) != 1)
			continue;
		if (frame >= *end && frame < UINT32_MAX)
			*end = frame + 1;
		if (strstr(at, " high=1") && frame < lowest)
			lowest = frame;
	}
	return lowest;
}

static bool begin(struct run *run, struct error *error)
{
	const struct recording *recording = run->oracle->recording;
	uint32_t end = recording->end_pfn ? (uint32_t)recording->end_pfn : 1;
	uint32_t high = lowest_high_frame(recording, &end);
	struct kmap_spec spec = {
	        .direct_map = run->oracle->layout.direct_map,
	        .highmem_pfn = high < end ? high : end,
	        .end_pfn = end,
	        .pkmap_base = hex_behind(recording->begin, "pkmap_base="),
	        .last_pkmap = (uint32_t)state_text_number(recording->begin, "last_pkmap", 0),
	        .fixmap_begin = hex_behind(recording->begin, "fixmap_begin="),
	        .cpus = run->oracle->settings.machine.cpus,
	};
	if (!spec.pkmap_base || !spec.fixmap_begin || (spec.last_pkmap != LAST_PKMAP && spec.last_pkmap != LAST_PKMAP_PAE))
		return error_set(error, ERROR_INPUT,
		                 "%s: its #BEGIN line lacks pkmap_base=, last_pkmap= (%u or %u) or fixmap_begin=",
		                 recording->path, LAST_PKMAP, LAST_PKMAP_PAE);
	kmap_init(&run->kmap, &spec, &run->oracle->steps);
	return true;
}

static void compare(struct run *run, const struct recording_line *line, uint64_t expected, uint64_t got)
{
	run->oracle->tally->calls++;
	run->oracle->tally->calls_equal += expected == got;
	if (expected != got)
		oracle_differs(run->oracle, line, "\"%.60s\": expected address %" PRIx64 ", got %" PRIx64, line->text, expected,
		               got);
}

static void compare_counts(struct run *run, const struct recording_line *line)
{
	const char *at = line->text + strlen("@PK :");
	for (uint32_t slot = 0; slot < run->kmap.spec.last_pkmap; slot++) {
		char *end;
		uint32_t expected = (uint32_t)strtoul(at, &end, 10), got = run->kmap.pkmap_count[slot];
		if (end == at)
			break;
		at = end;
		run->oracle->tally->states++;
		run->oracle->tally->states_equal += expected == got;
		if (expected != got)
			oracle_differs(run->oracle, line, "pkmap_count[%u]: expected %u, got %u", slot, expected, got);
	}
}

/* Reads " id address" behind a word; false if it is not there or the id has no page. */
static bool take_mapping(const struct run *run, const char **at, pfn *frame, uint64_t *address)
{
	char *end;
	unsigned long id = strtoul(*at, &end, 10);
	if (end == *at || id >= PAGES_MAX || run->frames[id] >= run->kmap.spec.end_pfn)
		return false;
	*frame = pfn_of(run->frames[id]);
	*at = end;
	*address = strtoull(*at, &end, 16);
	*at = end;
	return true;
}

static bool replay_nested(struct run *run, const struct recording_line *line)
{
	vaddr mapped[NESTED_MAX];
	unsigned depth = 0;
	for (const char *at = line->text; *at && depth < NESTED_MAX; at += strspn(at, " ")) {
		pfn frame;
		uint64_t address;
		at += strcspn(at, " ");
		if (!take_mapping(run, &at, &frame, &address))
			return false;
		mapped[depth] = VADDR_NULL;
		kmap_local(&run->kmap, frame, 0, &mapped[depth]);
		compare(run, line, address, mapped[depth].addr);
		depth++;
	}
	while (depth--)
		kunmap_local(&run->kmap, mapped[depth], 0);
	return true;
}

static bool replay_lowmem(struct run *run, const struct recording_line *line)
{
	uint32_t frame;
	uint64_t kmap_address, local_address;
	if (sscanf(line->text, "lowmem page %" SCNx32 " kmap %" SCNx64 " kmap_local %" SCNx64, &frame, &kmap_address,
	           &local_address) != 3 ||
	    frame >= run->kmap.spec.end_pfn)
		return false;
	vaddr at = VADDR_NULL;
	kmap_page(&run->kmap, pfn_of(frame), 0, &at);
	compare(run, line, kmap_address, at.addr);
	kmap_local(&run->kmap, pfn_of(frame), 0, &at);
	compare(run, line, local_address, at.addr);
	return true;
}

static bool replay_kmap(struct run *run, const struct recording_line *line, const char *at, bool unmap)
{
	pfn frame;
	uint64_t address;
	vaddr got = VADDR_NULL;
	if (!take_mapping(run, &at, &frame, &address))
		return false;
	kmap_page(&run->kmap, frame, 0, &got);
	compare(run, line, address, got.addr);
	if (unmap)
		kunmap_page(&run->kmap, frame);
	return true;
}

static bool replay_kunmap(struct run *run, const struct recording_line *line, const char *at)
{
	pfn frame;
	uint64_t address;
	if (!take_mapping(run, &at, &frame, &address))
		return false;
	compare(run, line, PAGE_UNMAP_OK, kunmap_page(&run->kmap, frame));
	return true;
}

static bool take_page(struct run *run, const char *text)
{
	uint32_t id, frame;
	if (sscanf(text, "P %" SCNu32 " %" SCNx32, &id, &frame) != 2 || id >= PAGES_MAX)
		return false;
	run->frames[id] = frame;
	return true;
}

static bool run_line(struct run *run, const struct recording_line *line)
{
	const char *text = line->text;
	if (line->kind == LINE_DUMP) {
		if (state_text_begins(text, "@PK :"))
			compare_counts(run, line);
		return true;
	}
	if (line->kind != LINE_KMAP)
		return true;
	if (state_text_begins(text, "P "))
		return take_page(run, text);
	if (state_text_begins(text, "kmap_"))
		return replay_nested(run, line);
	if (state_text_begins(text, "lowmem "))
		return replay_lowmem(run, line);
	if (state_text_begins(text, "kunmap "))
		return replay_kunmap(run, line, text + strlen("kunmap "));
	if (state_text_begins(text, "kmap "))
		return replay_kmap(run, line, text + strlen("kmap "), false);
	if (state_text_begins(text, "kmap-again "))
		return replay_kmap(run, line, text + strlen("kmap-again "), false);
	if (state_text_begins(text, "kmap-turn "))
		return replay_kmap(run, line, text + strlen("kmap-turn "), true);
	return false;
}

bool oracle_replay_kmap(struct oracle *oracle, struct error *error)
{
	const struct recording *recording = oracle->recording;
	struct run run = {.oracle = oracle, .frames = xcalloc(PAGES_MAX, sizeof *run.frames)};
	memset(run.frames, 0xff, PAGES_MAX * sizeof *run.frames);
	bool done = begin(&run, error);
	for (size_t i = 0; done && i < recording->count; i++) {
		const struct recording_line *line = &recording->lines[i];
		done = run_line(&run, line) || error_set(error, ERROR_INPUT, "%s:%u: \"%.60s\" is no line of a kmap script",
		                                         recording->path, line->number, line->text);
		if (done && oracle->options->paranoid)
			kmap_check(&run.kmap);
	}
	if (run.kmap.pkmap_count) {
		kmap_check(&run.kmap);
		kmap_release(&run.kmap);
	}
	free(run.frames);
	return done;
}
