/* SPDX-License-Identifier: MIT
 *
 * recording.c - reads recordings of scripts (interface and format: recording.h).
 *
 * The text is cut into lines in place. Each line is read by a cursor that stops at the line's NUL; a number that is missing, has
 * other letters behind it or is beyond its bound makes the line one that is told and refused.
 */
#include "sim/recording.h"

#include "sim/io/decompress.h"

#include <stdlib.h>
#include <string.h>

/* As far as a file is looked at to tell whether it is one; a block of facts is smaller. */
#define SNIFFED_BYTES 4096
/* Orders that the kernel refuses are recorded too. */
#define ORDER_MAX 63

static const char *const script_names[RECORDING_SCRIPTS] = {
        [RECORDING_SLAB] = "slab",
        [RECORDING_KMALLOC_SIZES] = "kmalloc_sizes",
        [RECORDING_KMALLOC_RAND] = "kmalloc_rand",
        [RECORDING_KMALLOC_POW2] = "kmalloc_pow2",
        [RECORDING_PAGES] = "pages",
        [RECORDING_VMALLOC] = "vmalloc",
        [RECORDING_VMALLOC_POW2] = "vmalloc_pow2",
        [RECORDING_KMAP] = "kmap",
};

const char *recording_script_name(enum recording_script script)
{
	return script_names[script];
}

/* ---- one line ---- */

static bool ends_word(const char *at)
{
	return *at == '\0' || *at == ' ';
}

static int digit_of(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	if (letter >= 'a' && letter <= 'f')
		return letter - 'a' + 10;
	return INT32_MAX;
}

/* A number behind blanks; *at moves behind it. */
static bool take(const char **at, int base, uint64_t max, uint64_t *number)
{
	const char *digits = *at + strspn(*at, " ");
	const char *end = digits;
	*number = 0;
	for (; digit_of(*end) < base; end++) {
		if (*number > (UINT64_MAX - 15) / (unsigned)base)
			return false;
		*number = *number * (unsigned)base + (unsigned)digit_of(*end);
	}
	*at = end;
	return end > digits && *number <= max;
}

static bool take32(const char **at, int base, uint32_t max, uint32_t *number)
{
	uint64_t wide;
	if (!take(at, base, max, &wide) || (!ends_word(*at) && **at != '.'))
		return false;
	*number = (uint32_t)wide;
	return true;
}

/* A frame in hex; none at all is printed as all ones. */
static bool take_frame(const char **at, uint32_t *frame)
{
	uint64_t wide;
	if (!take(at, 16, UINT64_MAX, &wide))
		return false;
	*frame = wide < UINT32_MAX ? (uint32_t)wide : UINT32_MAX;
	return true;
}

static bool take_word(const char **at, const char *word)
{
	const char *from = *at + strspn(*at, " ");
	size_t length = strlen(word);
	if (strncmp(from, word, length) != 0 || !ends_word(from + length))
		return false;
	*at = from + length;
	return true;
}

static bool skip_word(const char **at)
{
	*at += strspn(*at, " ");
	size_t length = strcspn(*at, " ");
	*at += length;
	return length > 0;
}

/* `frame.offset` in hex, FAIL, or a bare pointer (kmalloc(0)), which has no frame. */
static bool take_address(const char *at, struct recording_line *line)
{
	if (take_word(&at, "FAIL")) {
		line->failed = true;
		return ends_word(at);
	}
	uint32_t frame;
	uint64_t offset;
	if (!take_frame(&at, &frame))
		return false;
	if (*at == '\0')
		return true;
	if (*at++ != '.' || !take(&at, 16, PAGE_SIZE - 1, &offset) || *at != '\0')
		return false;
	line->frame = frame;
	line->offset = (uint32_t)offset;
	return true;
}

static bool take_id(const char **at, struct recording_line *line)
{
	return take32(at, 10, RECORDING_IDS_MAX - 1, &line->id);
}

/* Behind `>CcTT ` of an event of another's object: caller, then what the kind has. */
static bool take_object(const char *what, struct recording_line *line)
{
	const char *at = what + 2;
	uint32_t got;
	line->kind = LINE_OBJECT;
	line->taken = what[1] != 'F';
	if (!skip_word(&at))
		return false;
	if (what[0] == 'C' && !skip_word(&at))
		return false;
	if (state_text_begins(what, "KM") && (!take32(&at, 10, UINT32_MAX, &line->size) || !take32(&at, 10, UINT32_MAX, &got)))
		return false;
	return (!line->taken || take32(&at, 16, UINT32_MAX, &line->flags)) && take_address(at, line);
}

static bool take_block(const char *what, struct recording_line *line)
{
	const char *at = what + 2;
	uint32_t order;
	line->kind = LINE_BLOCK;
	line->taken = what[1] == 'A';
	if (!take_frame(&at, &line->frame) || !take32(&at, 10, ORDER_MAX, &order))
		return false;
	line->order = (uint16_t)order;
	return !line->taken || take32(&at, 16, UINT32_MAX, &line->flags);
}

static bool take_event(struct recording_line *line)
{
	const char *at = line->text + 1;
	uint64_t cpu;
	line->kind = LINE_EVENT;
	if (!take(&at, 10, CPUS_MAX - 1, &cpu) || *at == '\0')
		return false;
	line->cpu = (uint16_t)cpu;
	line->context = *at;
	if (!skip_word(&at))
		return false;
	at += strspn(at, " ");
	if (state_text_begins(at, "PA ") || state_text_begins(at, "PF "))
		return take_block(at, line);
	if (state_text_begins(at, "KM ") || state_text_begins(at, "KF ") || state_text_begins(at, "CA ") ||
	    state_text_begins(at, "CF "))
		return take_object(at, line);
	return true;
}

static bool take_kmalloc(const char *at, struct recording_line *line)
{
	line->kind = LINE_KMALLOC;
	return take_id(&at, line) && take32(&at, 10, UINT32_MAX, &line->size) && take32(&at, 16, UINT32_MAX, &line->flags) &&
	       take_address(at, line);
}

/* K size ksize address, 2 size ksize address, 2 size FAIL. In a vmalloc script `2 size OK ...` is an area. */
static bool take_sized(const char *at, struct recording_line *line, enum recording_script script)
{
	uint64_t address;
	line->kind = line->text[0] == 'K' ? LINE_KSIZE : LINE_POW2;
	line->flags = GFP_KERNEL;
	if (!take32(&at, 10, UINT32_MAX, &line->size))
		return false;
	if (take_word(&at, "FAIL")) {
		line->failed = true;
		return true;
	}
	if (script == RECORDING_VMALLOC_POW2)
		return take_word(&at, "OK") && take(&at, 16, UINT64_MAX, &address) && ends_word(at);
	return take32(&at, 10, UINT32_MAX, &line->ksize) && take_address(at, line);
}

static bool take_pages(const char *at, struct recording_line *line)
{
	uint32_t order;
	line->kind = LINE_PAGES;
	if (!take_id(&at, line) || !take32(&at, 10, ORDER_MAX, &order) || !take32(&at, 16, UINT32_MAX, &line->flags))
		return false;
	line->order = (uint16_t)order;
	line->failed = take_word(&at, "FAIL");
	return line->failed || (take_frame(&at, &line->frame) && ends_word(at));
}

static bool take_pages_free(const char *at, struct recording_line *line)
{
	line->kind = strstr(at, " lazy=") ? LINE_VFREE : LINE_PAGES_FREE;
	return take_id(&at, line);
}

static bool take_vmalloc(const char *at, struct recording_line *line)
{
	line->kind = LINE_VMALLOC;
	return take_id(&at, line) && take32(&at, 10, UINT32_MAX, &line->size);
}

static bool take_area(const char *at, struct recording_line *line)
{
	uint64_t address;
	line->kind = LINE_AREA;
	if (!take_id(&at, line))
		return false;
	line->failed = take_word(&at, "FAIL");
	return line->failed || (take(&at, 16, UINT64_MAX, &address) && ends_word(at));
}

static bool take_call(struct recording_line *line, enum recording_script script)
{
	const char *at = line->text + 1;
	if (script == RECORDING_KMAP) {
		line->kind = LINE_KMAP;
		return true;
	}
	if (line->text[0] == '\0' || *at != ' ')
		return false;
	switch (line->text[0]) {
	case 'k':
		line->kind = LINE_SLABINFO;
		return true;
	case 'a':
		line->kind = LINE_ALLOC;
		line->flags = GFP_KERNEL;
		return take_id(&at, line) && take_address(at, line);
	case 'f':
		line->kind = LINE_FREE;
		return take_id(&at, line);
	case 'm':
		return take_kmalloc(at, line);
	case 'K':
	case '2':
		return take_sized(at, line, script);
	case 'A':
		return take_pages(at, line);
	case 'F':
		return take_pages_free(at, line);
	case 'v':
		return take_vmalloc(at, line);
	case 'V':
		return take_area(at, line);
	default:
		return false;
	}
}

static bool take_line(struct recording_line *line, enum recording_script script)
{
	line->frame = UINT32_MAX;
	switch (line->text[0]) {
	case '#':
		line->kind = strcmp(line->text, "# shrink") == 0    ? LINE_SHRINK
		             : strcmp(line->text, "# destroy") == 0 ? LINE_DESTROY
		                                                    : LINE_NOTE;
		return true;
	case '@':
		line->kind = LINE_DUMP;
		return true;
	case '>':
		return take_event(line);
	default:
		return take_call(line, script);
	}
}

/* ---- what dumps tell of the machine ---- */

static void learn_from_zone(struct recording *recording, const char *text)
{
	recording->has_zones = true;
	recording->has_dma32 |= strstr(text, " DMA32 ") != NULL;
	uint32_t cpus = 0;
	for (const char *at = text; (at = strstr(at, " diff")); at += strlen(" diff"))
		cpus++;
	if (cpus > recording->cpus && cpus <= CPUS_MAX)
		recording->cpus = cpus;
}

/* Each allocator's dumps have words that no other's have. */
static void learn_allocator(struct recording *recording, const char *text)
{
	const char *name = NULL;
	if (state_text_begins(text, "@SL "))
		name = "slob";
	else if (state_text_begins(text, "@C ") && strstr(text, " cpu_partial="))
		name = "slub";
	else if (state_text_begins(text, "@C ") && strstr(text, " colour="))
		name = "slab";
	if (name && !recording->allocator[0])
		memcpy(recording->allocator, name, strlen(name));
}

static void learn(struct recording *recording, const char *text)
{
	if (state_text_begins(text, "@ZONE "))
		learn_from_zone(recording, text);
	else if (state_text_begins(text, "@MEM ") && !recording->end_pfn) {
		const char *max_pfn = strstr(text, " max_pfn=");
		recording->end_pfn = max_pfn ? strtoull(max_pfn + strlen(" max_pfn="), NULL, 16) : 0;
		recording->end_pfn = recording->end_pfn < UINT32_MAX ? recording->end_pfn : 0;
	} else {
		learn_allocator(recording, text);
	}
}

/* ---- the whole text ---- */

static bool begin_script(struct recording *recording, const char *text, uint32_t number, struct error *error)
{
	const char *name = text + strlen("#BEGIN ");
	size_t length = strcspn(name, " ");
	if (recording->begin)
		return error_set(error, ERROR_INPUT, "%s:%u: a second script in one recording", recording->path, number);
	for (enum recording_script script = 0; script < RECORDING_SCRIPTS; script++) {
		if (strlen(script_names[script]) != length || memcmp(name, script_names[script], length) != 0)
			continue;
		recording->script = script;
		recording->begin = text;
		return true;
	}
	return error_set(error, ERROR_INPUT, "%s:%u: \"%.60s\" is no script known here", recording->path, number, text);
}

static struct recording_line *one_more(struct recording *recording, size_t *capacity)
{
	if (recording->count == *capacity) {
		*capacity = *capacity ? 2 * *capacity : 4096;
		recording->lines = xrealloc(recording->lines, *capacity * sizeof *recording->lines);
	}
	return &recording->lines[recording->count++];
}

/* Where the reader stands: before a script, in a block of facts, in the script, behind it. */
struct reading {
	struct recording *recording;
	size_t capacity;
	uint32_t number;
	bool facts, ended;
	struct error *error;
};

static bool read_line(struct reading *reading, const char *text)
{
	struct recording *recording = reading->recording;
	if (state_text_begins(text, "#BEGIN facts")) {
		reading->facts = true;
		return true;
	}
	if (reading->facts) {
		reading->facts = !state_text_begins(text, "#END");
		recording_facts_line(&recording->facts, text);
		return true;
	}
	if (state_text_begins(text, "#BEGIN "))
		return begin_script(recording, text, reading->number, reading->error);
	if (!recording->begin || reading->ended)
		return true;
	if (state_text_begins(text, "#END ")) {
		reading->ended = true;
		recording->lost = state_text_number(text, "lost", 0);
		return true;
	}
	struct recording_line *line = one_more(recording, &reading->capacity);
	*line = (struct recording_line){.number = reading->number, .text = text};
	if (!take_line(line, recording->script))
		return error_set(reading->error, ERROR_INPUT, "%s:%u: \"%.60s\" is no line of a %s recording", recording->path,
		                 reading->number, text, script_names[recording->script]);
	if (line->kind == LINE_DUMP)
		learn(recording, text);
	return true;
}

static bool is_call(const struct recording_line *line)
{
	return line->kind >= LINE_SHRINK && line->kind <= LINE_KMAP;
}

static bool is_of_dump(const struct recording_line *line)
{
	return line->kind == LINE_DUMP || line->kind == LINE_SLABINFO;
}

/* The last call of a cut recording may lack events behind it: it goes. What stands in front of it stays. */
static void leave_last_call_out(struct recording *recording)
{
	size_t count = recording->count;
	while (count > 0 && !is_call(&recording->lines[count - 1]) && !is_of_dump(&recording->lines[count - 1]))
		count--;
	if (count > 0 && is_call(&recording->lines[count - 1]))
		count--;
	recording->count = count;
}

bool recording_parse(struct recording *recording, const char *name, char *text, size_t bytes, struct error *error)
{
	*recording = (struct recording){.path = xstrdup(name), .text = text};
	struct reading reading = {.recording = recording, .error = error};
	bool done = true;
	if (memchr(text, '\0', bytes))
		done = error_set(error, ERROR_INPUT, "%s: a NUL byte in a text", name);
	for (char *at = text, *end = text + bytes; done && at < end;) {
		char *stop = memchr(at, '\n', (size_t)(end - at));
		if (!stop)
			break; /* cut inside of a line */
		*stop = '\0';
		reading.number++;
		done = read_line(&reading, at);
		at = stop + 1;
	}
	if (done && !recording->begin)
		done = error_set(error, ERROR_INPUT, "%s: no recording of a script: it has no line such as \"#BEGIN pages ...\"",
		                 name);
	if (!done) {
		recording_release(recording);
		return false;
	}
	recording->cut = !reading.ended;
	if (recording->cut)
		leave_last_call_out(recording);
	return true;
}

void recording_release(struct recording *recording)
{
	free(recording->path);
	free(recording->text);
	free(recording->lines);
	free(recording->facts.boot_parameters);
	*recording = (struct recording){0};
}

/* ---- files ---- */

/* Whether a text begins with a script, or with facts and then a script. */
static bool begins_as_script(const char *text)
{
	while (state_text_begins(text, "#BEGIN facts")) {
		const char *end = strstr(text, "\n#END facts\n");
		if (!end)
			return false;
		text = end + strlen("\n#END facts\n");
	}
	return state_text_begins(text, "#BEGIN ");
}

bool recording_sniff(const char *path, struct error *error)
{
	char head[SNIFFED_BYTES + 1];
	size_t used = 0, count = 1;
	struct decompress *input = decompress_open(path, NULL, error);
	if (!input)
		return false;
	while (used < SNIFFED_BYTES && count > 0 && decompress_read(input, head + used, SNIFFED_BYTES - used, &count, error))
		used += count;
	decompress_close(input);
	head[used] = '\0';
	return begins_as_script(head);
}

bool recording_read(struct recording *recording, const char *path, struct error *error)
{
	char *text;
	size_t bytes;
	if (!decompress_all(path, RECORDING_BYTES_MAX, &text, &bytes, error) || !recording_parse(recording, path, text, bytes, error))
		return false;
	recording_read_beside(recording);
	return true;
}

/* ---- dumps ---- */

struct recording_dump recording_dump_at(const struct recording *recording, size_t at)
{
	const struct recording_line *first = &recording->lines[at];
	struct recording_dump dump = {.state = state_text_begins(first->text, "@STATE "), .lines = first, .count = 1};
	dump.tag = strchr(first->text, ' ');
	dump.tag = dump.tag ? dump.tag + 1 : first->text;
	for (size_t i = at + 1; i < recording->count; i++, dump.count++) {
		const struct recording_line *line = &recording->lines[i];
		bool part = is_of_dump(line);
		bool end = state_text_begins(line->text, "@END");
		bool next = state_text_begins(line->text, "@CHECK") || state_text_begins(line->text, "@STATE");
		dump.whole = dump.state ? end : !part || end || next;
		if (!part || end || next)
			return dump;
	}
	dump.whole = !dump.state && !recording->cut;
	return dump;
}

bool recording_state(const struct recording *recording, const struct recording_dump *from, struct state_dump *dump,
                     struct error *error)
{
	struct error inner = {0};
	state_dump_init(dump);
	for (size_t i = 0; i < from->count; i++) {
		const struct recording_line *line = &from->lines[i];
		if (state_dump_line(dump, line->text, strlen(line->text), line->number, &inner) != STATE_WRONG)
			continue;
		state_dump_release(dump);
		return error_set(error, ERROR_INPUT, "%s: %s", recording->path, inner.text);
	}
	return true;
}
