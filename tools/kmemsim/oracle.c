/* SPDX-License-Identifier: MIT
 *
 * oracle.c - what all replays of recordings share: counting, telling differences, comparing dumps (interface: oracle.h).
 */
#include "tools/kmemsim/oracle.h"

#include "models/page_allocator/buddy.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Columns of a line of a state that are shown around what differs. */
#define SHOWN_BEFORE 40
#define SHOWN 160
/* Lines of a cache that are shown with a difference. */
#define SHOWN_LINES 6

/* HUGETLB_PAGE_ORDER of x86 with 2 MiB pages: the order of a pageblock in kernels with huge pages (pageblock-flags.h). */
#define PAGEBLOCK_ORDER_HUGE 9

/* ---- differences ---- */

bool oracle_wants_difference(const struct oracle *oracle)
{
	return oracle->told < oracle->options->differences;
}

void oracle_differs(struct oracle *oracle, const struct recording_line *line, const char *format, ...)
{
	if (oracle->told++ >= oracle->options->differences)
		return;
	fprintf(oracle->differences, "  line %u, call %" PRIu64 ": ", line->number, oracle->tally->calls);
	va_list arguments;
	va_start(arguments, format);
	vfprintf(oracle->differences, format, arguments);
	va_end(arguments);
	fprintf(oracle->differences, "\n");
}

static bool last_was_kept(const struct oracle *oracle)
{
	return oracle->told <= oracle->options->differences;
}

/* The word ` frame` in a line, NULL if it is not there. */
static const char *find_frame(const char *line, const char *frame)
{
	size_t length = strlen(frame);
	for (const char *at = line; (at = strstr(at, frame)); at += length)
		if (at > line && at[-1] == ' ' && (at[length] == ' ' || at[length] == '\0'))
			return at;
	return NULL;
}

/* Tells where in a line of the state a frame stands; false if it does not. */
static bool tell_place(struct oracle *oracle, const char *line, const char *what, uint32_t frame)
{
	char word[16];
	snprintf(word, sizeof word, "%x", frame);
	const char *at = frame == UINT32_MAX ? NULL : find_frame(line, word);
	if (!at)
		return false;
	const char *items = strchr(line, ':');
	unsigned place = 0;
	for (const char *c = items ? items + 2 : line; c < at; c++)
		place += *c == ' ';
	const char *from = at - line > SHOWN_BEFORE ? at - SHOWN_BEFORE : line;
	fprintf(oracle->differences, "    %s is in %.*s at place %u: %s%.*s\n", what, (int)strcspn(line, ":"), line, place,
	        from > line ? "..." : "", SHOWN, from);
	return true;
}

void oracle_tell_frames(struct oracle *oracle, uint32_t expected, uint32_t got)
{
	if (!last_was_kept(oracle) || !oracle->buddy)
		return;
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	oracle->buddy->ops->print_state(oracle->buddy, out);
	fclose(out);
	char *rest = text;
	bool expected_found = expected == UINT32_MAX, got_found = got == UINT32_MAX;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (!state_text_begins(line, "@FREE ") && !state_text_begins(line, "@PCPL "))
			continue;
		expected_found |= tell_place(oracle, line, "expected", expected);
		got_found |= tell_place(oracle, line, "got", got);
	}
	if (!expected_found)
		fprintf(oracle->differences, "    expected is on no list now: it is in use, or inside of a larger free block\n");
	if (!got_found)
		fprintf(oracle->differences, "    got is in use now\n");
	free(text);
}

void oracle_tell_cache(struct oracle *oracle)
{
	if (!last_was_kept(oracle) || !oracle->objects || oracle->own.nr == UINT32_MAX)
		return;
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	oracle->objects->ops->print_state(oracle->objects, oracle->own, out);
	fclose(out);
	char *rest = text;
	char *line = strsep(&rest, "\n");
	for (unsigned i = 0; i < SHOWN_LINES && line && *line; i++, line = strsep(&rest, "\n"))
		fprintf(oracle->differences, "    the model's state: %.*s%s\n", SHOWN, line, strlen(line) > SHOWN ? "..." : "");
	free(text);
}

void oracle_check(struct oracle *oracle)
{
	if (!oracle->options->paranoid)
		return;
	if (oracle->buddy)
		page_allocator_check(oracle->buddy);
	if (oracle->objects)
		object_allocator_check(oracle->objects);
}

/* ---- pages ---- */

bool oracle_load_pages(struct oracle *oracle, const struct state_dump *dump, struct error *error)
{
	struct error inner = {0};
	const struct page_allocator_wiring wiring = {
	        .settings = &oracle->settings, .layout = &oracle->layout, .steps = &oracle->steps};
	/* On x86 pageblocks of this order come with huge pages of some kind; the recorder's kernels have them transparent. */
	if (!oracle->recording->facts.pcp_lists)
		oracle->settings.kernel.transparent_hugepage = dump->memory.pageblock_order == PAGEBLOCK_ORDER_HUGE;
	oracle->buddy = buddy_load(dump, &wiring, &inner);
	if (!oracle->buddy)
		return error_set(error, inner.kind, "%s: %s", oracle->recording->path, inner.text);
	page_allocator_check(oracle->buddy);
	return true;
}

void oracle_compare_pages(struct oracle *oracle, const struct recording_line *line, const struct state_dump *dump)
{
	struct oracle_tally *tally = oracle->tally;
	char text[512] = "";
	uint64_t compared = 0, equal = 0;
	/* Only another CPU can have folded its numbers unseen. */
	unsigned folded = oracle->settings.machine.cpus > 1 ? buddy_take_folds(oracle->buddy, dump) : 0;
	page_allocator_check(oracle->buddy);
	buddy_compare(oracle->buddy, dump, &compared, &equal, text, sizeof text);
	SIM_ASSERT(folded <= equal);
	tally->states += compared - folded;
	tally->states_equal += equal - folded;
	tally->excluded += folded;
	if (compared != equal)
		oracle_differs(oracle, line, "state %s: %" PRIu64 " lists or numbers differ, first: %s", dump->tag,
		               compared - equal, text);
}

bool oracle_free_block(struct oracle *oracle, uint32_t frame, unsigned order, unsigned cpu)
{
	if (order >= ORDERS || cpu >= oracle->settings.machine.cpus)
		return false;
	enum page_free_result result = page_free(oracle->buddy, pfn_of(frame), order, cpu);
	if (result == PAGE_FREE_NOT_ALLOCATED && buddy_adopt(buddy_of(oracle->buddy), frame, order))
		result = page_free(oracle->buddy, pfn_of(frame), order, cpu);
	return result == PAGE_FREE_OK;
}

/* ---- objects ---- */

static size_t trimmed(const char *text)
{
	size_t length = strlen(text);
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return length;
}

/* Whether two lines are the same but for the value of one key, "touched=". */
static bool same_but_for(const char *expected, const char *got, const char *key)
{
	const char *a = strstr(expected, key), *b = strstr(got, key);
	if (!a || !b || a - expected != b - got || memcmp(expected, got, (size_t)(a - expected)) != 0)
		return false;
	size_t length = strlen(key);
	a += length + strspn(a + length, "0123456789");
	b += length + strspn(b + length, "0123456789");
	size_t tail = trimmed(a);
	return tail == trimmed(b) && memcmp(a, b, tail) == 0;
}

/* One line of a dump against the model's, NULL if the model has none. */
static void compare_line(struct oracle *oracle, const struct recording_line *expected, const char *got)
{
	struct oracle_tally *tally = oracle->tally;
	got = got ? got : "";
	size_t want = trimmed(expected->text), have = trimmed(got);
	if (want == have && memcmp(expected->text, got, want) == 0) {
		tally->states++;
		tally->states_equal++;
		return;
	}
	/* cache_reap() of another CPU leaves no event; what it does to an array that stays as full is to clear its mark. */
	if (oracle->settings.machine.cpus > 1 && same_but_for(expected->text, got, " touched=")) {
		tally->excluded++;
		return;
	}
	tally->states++;
	size_t same = 0;
	while (same < want && same < have && expected->text[same] == got[same])
		same++;
	size_t from = same > SHOWN_BEFORE ? same - SHOWN_BEFORE : 0;
	oracle_differs(oracle, expected, "state of %.60s differs at column %zu\n    expected ...%.*s\n    got      ...%.*s",
	               expected->text, same + 1, SHOWN, expected->text + from, SHOWN, got + from);
}

/* Recorded lines against as many of the model's; a line that the model has more is a difference too. */
static void compare_lines(struct oracle *oracle, const struct recording_line *lines, size_t count, char *text)
{
	char *rest = text;
	for (size_t i = 0; i < count; i++) {
		char *line = strsep(&rest, "\n");
		compare_line(oracle, &lines[i], line);
	}
	if (!rest || *rest == '\0')
		return;
	oracle->tally->states++;
	oracle_differs(oracle, &lines[count - 1], "the model has one line more: %.*s", SHOWN, rest);
}

static char *state_text(const struct oracle *oracle, cache_id cache)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	oracle->objects->ops->print_state(oracle->objects, cache, out);
	fclose(out);
	return text;
}

/* What the line `k ...` of a dump would say of the script's cache. */
static char *slabinfo_text(const struct oracle *oracle)
{
	struct cache_view view;
	if (!oracle->objects->ops->cache_view(oracle->objects, oracle->own, &view))
		return xstrdup("");
	return xasprintf("k active=%" PRIu64 " num=%" PRIu64 " act_slabs=%" PRIu64 " slabs=%" PRIu64 " shared=%" PRIu64
	                 " objs=%u order=%d",
	                 view.active_objects, view.total_objects, view.active_slabs, view.slabs, view.shared_available,
	                 view.objects_per_slab, __builtin_ctz(view.pages_per_slab));
}

/* The cache a line `@C name ...` is of; CACHE_NONE if the model has none of that name. */
static cache_id cache_of_line(const struct oracle *oracle, const char *text)
{
	const struct object_allocator_ops *ops = oracle->objects->ops;
	const char *name = text + strlen("@C ");
	size_t length = strcspn(name, " ");
	for (uint32_t nr = 0; nr < ops->cache_limit(oracle->objects); nr++) {
		struct cache_view view;
		if (ops->cache_view(oracle->objects, (cache_id){nr}, &view) && strlen(view.name) == length &&
		    memcmp(view.name, name, length) == 0)
			return (cache_id){nr};
	}
	return CACHE_NONE;
}

static bool is_cache_line(const struct recording_line *line)
{
	return state_text_begins(line->text, "@C ");
}

static bool is_list_line(const struct recording_line *line)
{
	const char *text = line->text;
	return text[0] == '@' && text[1] == 'C' &&
	       (text[2] == 'C' || text[2] == 'P' || text[2] == 'N' || text[2] == 'S' || text[2] == 'L');
}

static bool is_heap_line(const struct recording_line *line)
{
	return state_text_begins(line->text, "@SL ");
}

/* Lines from `first` on that belong together: a cache with its lists, or the heap's lists. */
static size_t group_at(const struct recording_dump *dump, size_t first)
{
	bool heap = is_heap_line(&dump->lines[first]);
	size_t end = first + 1;
	while (end < dump->count && (heap ? is_heap_line(&dump->lines[end]) : is_list_line(&dump->lines[end])))
		end++;
	return end - first;
}

void oracle_compare_objects(struct oracle *oracle, const struct recording_dump *dump)
{
	bool slob = strcmp(oracle->allocator, "slob") == 0;
	for (size_t i = 1, count; i < dump->count; i += count) {
		const struct recording_line *line = &dump->lines[i];
		char *text = NULL;
		count = 1;
		if (line->kind == LINE_SLABINFO && oracle->own.nr != UINT32_MAX && !slob) {
			text = slabinfo_text(oracle);
		} else if (is_heap_line(line) && slob) {
			count = group_at(dump, i);
			text = state_text(oracle, CACHE_NONE);
		} else if (is_cache_line(line) && !slob) {
			cache_id cache = cache_of_line(oracle, line->text);
			count = group_at(dump, i);
			text = cache.nr == UINT32_MAX ? NULL : state_text(oracle, cache);
		}
		if (text)
			compare_lines(oracle, line, count, text);
		free(text);
	}
}

void oracle_compare_areas(struct oracle *oracle, const struct recording_dump *dump)
{
	size_t first = 1, end, bytes;
	char *text;
	while (first < dump->count && !state_text_begins(dump->lines[first].text, "@VM "))
		first++;
	for (end = first; end < dump->count && state_text_begins(dump->lines[end].text, "@V");)
		end++;
	FILE *out = open_memstream(&text, &bytes);
	SIM_ASSERT(out);
	oracle->areas->ops->print_state(oracle->areas, out);
	fclose(out);
	if (first < end)
		compare_lines(oracle, &dump->lines[first], end - first, text);
	free(text);
}

/* ---- one recording ---- */

static void tell_note(struct oracle *oracle)
{
	const struct recording *recording = oracle->recording;
	FILE *note = oracle->note;
	if (oracle->tally->foreign)
		fprintf(note, "; %" PRIu64 " calls of others replayed", oracle->tally->foreign);
	if (oracle->tally->excluded)
		fprintf(note, "; %" PRIu64 " states left out: another CPU changed them without an event",
		        oracle->tally->excluded);
	if (recording->lost)
		fprintf(note, "; the recorder lost %" PRIu64 " lines", recording->lost);
	if (recording->cut)
		fprintf(note, "; cut: it has no #END line, its last call is left out");
}

static bool replay_script(struct oracle *oracle, struct error *error)
{
	switch (oracle->recording->script) {
	case RECORDING_SLAB:
	case RECORDING_KMALLOC_SIZES:
	case RECORDING_KMALLOC_RAND:
		return oracle_replay_objects(oracle, error);
	case RECORDING_PAGES:
	case RECORDING_VMALLOC:
		return oracle_replay_pages(oracle, error);
	case RECORDING_KMALLOC_POW2:
	case RECORDING_VMALLOC_POW2:
		return oracle_replay_pow2(oracle, error);
	case RECORDING_KMAP:
		return oracle_replay_kmap(oracle, error);
	case RECORDING_SCRIPTS:
		break;
	}
	SIM_UNREACHABLE("a script");
}

bool oracle_replay(const struct recording *recording, const struct oracle_options *options, struct oracle_result *result,
                   struct error *error)
{
	size_t bytes;
	*result = (struct oracle_result){0};
	struct oracle oracle = {.recording = recording, .options = options, .tally = &result->tally, .own = CACHE_NONE};
	oracle.differences = open_memstream(&result->differences, &bytes);
	oracle.note = open_memstream(&result->note, &bytes);
	SIM_ASSERT(oracle.differences && oracle.note);
	settings_init(&oracle.settings);
	steps_init(&oracle.steps, false);
	bool done = oracle_machine(&oracle, error);
	done = done && replay_script(&oracle, error);
	tell_note(&oracle);
	virtual_allocator_destroy(oracle.areas);
	page_allocator_destroy(oracle.buddy);
	layout_release(&oracle.layout);
	steps_release(&oracle.steps);
	settings_release(&oracle.settings);
	fclose(oracle.differences);
	fclose(oracle.note);
	return done;
}

void oracle_result_release(struct oracle_result *result)
{
	free(result->differences);
	free(result->note);
	*result = (struct oracle_result){0};
}
