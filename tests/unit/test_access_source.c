/* SPDX-License-Identifier: MIT
 *
 * test_access_source.c - the readers of access traces. The lines are those of each format's own documentation, named beside them;
 * an access becomes one word, KIND ADDRESS/SIZE or KIND ADDRESS/SIZE@THREAD, so that a test compares texts.
 */
#include "tests/unit/trace_case.h"

#include "sim/access_thread.h"
#include "sim/io/access_format.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>

/* Room for the words of a small trace. */
#define WORDS 4096

struct words {
	char text[WORDS];
	uint64_t kinds[ACCESS_KINDS];
	uint64_t accesses;
	bool sound;
	struct error error;
};

static void add_word(struct words *words, const struct access *access)
{
	static const char letters[] = "CLSM";
	size_t used = strlen(words->text);
	words->accesses++;
	words->kinds[access->kind]++;
	if (used + 64 > WORDS)
		return;
	used += (size_t)snprintf(words->text + used, WORDS - used, "%s%c%" PRIx64 "/%u", used ? " " : "", letters[access->kind],
	                         access->address, access->bytes);
	if (access->cpu)
		snprintf(words->text + used, WORDS - used, "@%u", access->cpu);
}

/* Reads all, `capacity` accesses at a time. */
static void read_words(struct words *words, const char *path, const char *format, size_t capacity)
{
	struct access batch[64];
	size_t count = 1;
	*words = (struct words){.sound = true};
	struct access_source *source = access_source_open(path, format, &words->error);
	words->sound = source != NULL;
	while (words->sound && count > 0) {
		words->sound = access_source_read(source, batch, capacity, &count, &words->error);
		for (size_t i = 0; i < count; i++)
			add_word(words, &batch[i]);
	}
	access_source_close(source);
	assert_true(words->sound == (words->error.kind == ERROR_NONE));
}

static void read_bytes(struct words *words, const char *bytes, size_t length, const char *format)
{
	struct trace_case c;
	case_begin(&c);
	case_write(c.path, bytes, length);
	read_words(words, c.path, format, 64);
	case_end(&c);
}

static void gives(const char *text, const char *format, const char *expected)
{
	struct words words;
	read_bytes(&words, text, strlen(text), format);
	assert_string_equal(words.error.text, "");
	assert_string_equal(words.text, expected);
}

static void refused(const char *text, const char *format, const char *sentence)
{
	struct words words;
	read_bytes(&words, text, strlen(text), format);
	assert_false(words.sound);
	if (!strstr(words.error.text, sentence))
		fail_msg("'%s' does not say '%s'", words.error.text, sentence);
}

/* valgrind's manual, and the head of lackey's lk_main.c. Would catch: a size read as hexadecimal, a modify taken for a load. */
static void test_lackey(void **state)
{
	(void)state;
	gives("==30217== Lackey, an example Valgrind tool\n==30217== \n"
	      "I  0023C790,2\nI  0023C792,5\n S BE80199C,4\nI  0025242B,3\n L BE801950,4\nI  0023D476,7\n M 0025747C,1\n"
	      "I  0023DC20,2\n L 00254962,1\n L BE801FB3,16\nSB 0023dc20\n==30217== \n",
	      NULL, "C23c790/2 C23c792/5 Sbe80199c/4 C25242b/3 Lbe801950/4 C23d476/7 M25747c/1 C23dc20/2 L254962/1 Lbe801fb3/16");
	refused("I  0023C790,2\n L 10\n", NULL, "line 2: found ' L 10', expected 'I  ADDRESS,SIZE'");
	refused("I  0023C790,2\n L 1,4x\n", NULL, "line 2:");
	refused("I  0023C790,2\nhello\n", NULL, "line 2: found 'hello'");
	refused("I  0023C790,2\n L 10,4", NULL, "line 2: the file ends within a line");
	refused("I  0023C790,2\n L 12345678901234567,4\n", NULL, "does not fit into 64 bits");
	refused("I  0023C790,2\n L 10,99999999999999999999\n", NULL, "does not fit into 64 bits");
	refused("I  0023C790,2\n L 10,0\n", NULL, "the size is 0");
	refused("I  0023C790,2\n L 10,1048577\n", NULL, "above 1 MiB");
	refused("I  0023C790,2\n L ffffffffffffffff,2\n", NULL, "over the end");
}

/* Counts by grep (tests/data/access/README.md). */
static void test_lackey_recorded(void **state)
{
	struct words words;
	(void)state;
	read_words(&words, "tests/data/access/true.lackey.xz", NULL, 64);
	assert_true(words.sound);
	assert_int_equal(words.kinds[ACCESS_CODE], 4922);
	assert_int_equal(words.kinds[ACCESS_LOAD], 937);
	assert_int_equal(words.kinds[ACCESS_STORE], 174);
	assert_int_equal(words.kinds[ACCESS_MODIFY], 21);
}

/* Would catch: decimal addresses taken for hexadecimal ones in silence, a last line that is lost. */
static void test_plain(void **state)
{
	(void)state;
	gives("# R|W addr size\n\nR 0x1000 8\nW 4097 2\nI\t0X401000\t0x10\nM 16\nr 1 1\nw 2 1\nL 3 1\nS 4 1\nf 5", NULL,
	      "L1000/8 S1001/2 C401000/16 M10/1 L1/1 S2/1 L3/1 S4/1 C5/1");
	gives("W 7ffe10\nR 10 8\n", NULL, "S7ffe10/1 L10/8");
	gives("W 10\nR 7ffe10 8\n", "plain_hex", "S10/1 L7ffe10/8");
	refused("W 10\nR 7ffe10 8\n", NULL, "line 2: found 'R 7ffe10 8', expected");
	refused("W 10\nX 7 8\n", NULL, "line 2");
	refused("W 10 4 4\n", "plain", "line 1");
	refused("W 18446744073709551616 4\n", "plain", "does not fit into 64 bits");
	gives("W 18446744073709551615 1\n", "plain", "Sffffffffffffffff/1");
}

static void put_record(char *at, uint64_t record)
{
	for (unsigned i = 0; i < 8; i++)
		at[i] = (char)(record >> 8 * i);
}

static void test_raw(void **state)
{
	struct words words;
	char bytes[24];
	(void)state;
	put_record(bytes, 8ull << 56 | 0x7ffe1000);
	put_record(bytes + 8, 1ull << 63 | 64ull << 56 | 0xffffffffffffc0);
	put_record(bytes + 16, 1ull << 56);
	read_bytes(&words, bytes, 24, NULL);
	assert_true(words.sound);
	assert_string_equal(words.text, "L7ffe1000/8 Sffffffffffffc0/64 L0/1");
	read_bytes(&words, bytes, 23, "raw");
	assert_non_null(strstr(words.error.text, "byte 16 of the trace: found 7 bytes before the end, expected a record of 8"));
	put_record(bytes + 8, 0x1000);
	read_bytes(&words, bytes, 24, "raw");
	assert_string_equal(words.text, "L7ffe1000/8");
	assert_non_null(strstr(words.error.text, "byte 8 of the trace: found a record of size 0"));
}

/* Would catch: a format that is found by its place in a list, a wrong name without a hint. */
static void test_formats(void **state)
{
	struct words words;
	(void)state;
	refused("R 1\n", "plian", "did you mean 'plain'");
	refused("what is this\n", NULL, "no known format");
	refused("", NULL, "is empty");
	gives("", "plain", "");
	read_words(&words, "/nowhere/trace", NULL, 64);
	assert_int_equal(words.error.kind, ERROR_HOST);
}

/* The same accesses through every packing, and however many are asked for at a time. */
static void test_packed_and_split(void **state)
{
	static const char text[] = "R 1 8\nW 2 4\nI 3 2\nM 4 1\nR 5 8\n";
	unsigned char packed[512];
	struct trace_case c;
	struct words words;
	size_t length = 0;
	(void)state;
	case_begin(&c);
	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text, strlen(text), packed, &length,
	                                         sizeof packed),
	                 LZMA_OK);
	case_write(c.path, (const char *)packed, length);
	for (size_t capacity = 1; capacity < 8; capacity++) {
		read_words(&words, c.path, NULL, capacity);
		assert_string_equal(words.text, "L1/8 S2/4 C3/2 M4/1 L5/8");
	}
	case_write(c.path, (const char *)packed, length - 5);
	read_words(&words, c.path, NULL, 64);
	assert_non_null(strstr(words.error.text, "the xz data is cut"));
	case_end(&c);
}

#define LONG_LINES 300000u

/* Lines of many lengths over many buffers. Would catch: a line that is lost or read twice where a buffer ends. */
static void test_many_lines(void **state)
{
	struct trace_case c;
	struct access batch[1000];
	size_t count = 1;
	uint64_t next = 0;
	(void)state;
	case_begin(&c);
	FILE *file = fopen(c.path, "w");
	assert_non_null(file);
	for (uint64_t i = 0; i < LONG_LINES; i++)
		fprintf(file, "%s%*sR %" PRIu64 "\n", i % 7 ? "" : "# a remark\n", (int)(i % 13), "", i * i);
	assert_int_equal(fclose(file), 0);
	struct access_source *source = access_source_open(c.path, NULL, &c.error);
	while (count > 0) {
		assert_true(access_source_read(source, batch, sizeof batch / sizeof batch[0], &count, &c.error));
		for (size_t i = 0; i < count; i++, next++)
			assert_int_equal(batch[i].address, next * next);
	}
	assert_int_equal(next, LONG_LINES);
	assert_int_equal(source->bytes_done, source->bytes_total);
	access_source_close(source);
	case_end(&c);
}

static void test_long_line(void **state)
{
	struct words words;
	(void)state;
	char *text = xcalloc(200001, 1);
	memset(text, ' ', 200000);
	memcpy(text, "R 1\n", 4);
	read_bytes(&words, text, 200000, NULL);
	assert_string_equal(words.text, "L1/1");
	assert_non_null(strstr(words.error.text, "line 2 is longer than"));
	free(text);
}

/* A consumer that has enough goes away while the reader waits: in a full ring, and in a pipe that says nothing. */
static void test_closed_early(void **state)
{
	struct trace_case c;
	struct access access;
	size_t count;
	(void)state;
	case_begin(&c);
	FILE *file = fopen(c.path, "w");
	assert_non_null(file);
	for (unsigned i = 0; i < 2 * ACCESS_BATCH * ACCESS_THREAD_BATCHES; i++)
		fputs("R 1\n", file);
	assert_int_equal(fclose(file), 0);
	struct access_source *source = access_source_open(c.path, NULL, &c.error);
	assert_true(access_source_read(source, &access, 1, &count, &c.error));
	access_source_close(source);
	assert_int_equal(unlink(c.path), 0);
	assert_int_equal(mkfifo(c.path, 0600), 0);
	int writer = open(c.path, O_RDWR);
	assert_int_equal(write(writer, "R 1\nR 2\n", 8), 8); /* opening waits for the first bytes */
	source = access_source_open(c.path, "plain", &c.error);
	assert_non_null(source);
	access_source_close(source);
	close(writer);
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lackey),      cmocka_unit_test(test_lackey_recorded),
	                                   cmocka_unit_test(test_plain),       cmocka_unit_test(test_raw),
	                                   cmocka_unit_test(test_formats),     cmocka_unit_test(test_packed_and_split),
	                                   cmocka_unit_test(test_many_lines),  cmocka_unit_test(test_long_line),
	                                   cmocka_unit_test(test_closed_early)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
