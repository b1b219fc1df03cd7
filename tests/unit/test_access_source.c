/* SPDX-License-Identifier: MIT
 *
 * test_access_source.c - the readers of access traces. The lines are those of each format's own documentation, named beside them;
 * an access becomes one word, KIND ADDRESS/SIZE or KIND ADDRESS/SIZE@THREAD, so that a test compares texts.
 */
#include "tests/unit/trace_case.h"

#include "sim/access_thread.h"
#include "sim/io/access_format.h"
#include "sim/io/access_kmt.h"

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

/* Would catch: a text of whole records, UTF-8 in it too, one lone record, or records with impossible addresses taken for a raw
 * trace. */
static void test_raw_is_told_apart(void **state)
{
	struct words words;
	char bytes[24];
	(void)state;
	refused("12345678", NULL, "no known format");
	refused("1234567 1234567 ", NULL, "no known format");
	refused("caf\xc3\xa9 1  1234567 ", NULL, "no known format");
	put_record(bytes, 8ull << 56 | 0x7ffe1000);
	put_record(bytes + 8, 8ull << 56 | 0xff8000000000);
	put_record(bytes + 16, 1ull << 63 | 8ull << 56 | 0xff888000001000);
	read_bytes(&words, bytes, 8, NULL);
	assert_false(words.sound);
	read_bytes(&words, bytes, 16, NULL);
	assert_false(words.sound);
	memcpy(bytes + 8, bytes + 16, 8);
	read_bytes(&words, bytes, 16, NULL);
	assert_string_equal(words.text, "L7ffe1000/8 Sff888000001000/8");
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

/* tracein_din() (dinfmt.c) and tracein_xdin() (xdinfmt.c) of Dinero IV. Would catch: a label 3 lost, a flush counted as an
 * access, a size invented. */
static void test_din(void **state)
{
	(void)state;
	gives("0 1003\n1 0x2000 8\n2 3fe remark\n3 10\n4 10\n5 10\n 2 7\n", NULL, "L1000/4 S2000/4 C3fc/4 L10/4 C4/4");
	gives("r 1003 a\nw 0x2000 0x8\ni 3fe 2 remark\nm 10 1\nc 0 0\nv 0 0\n", "xdin", "L1003/10 S2000/8 C3fe/2 L10/1");
	refused("0 10\n6 10\n", NULL, "line 2: found '6 10'");
	refused("0 10\n0 1g\n", NULL, "line 2");
	refused("r 10\n", "xdin", "line 1");
}

/*
 * The example of DynamoRIO's documentation of its view tool, then the forms of clients/drcachesim/tools/view.cpp (`non-fetched`,
 * W0.T292) and older ones. Would catch: a thread that is lost, a word that view has and the reader refuses, the further bytes of
 * an instruction taken for an access, a marker's number taken for one.
 */
static void test_dynamorio(void **state)
{
	(void)state;
	gives("Output format:\n<--record#-> <--instr#->: <---tid---> <record details>\n"
	      "------------------------------------------------------------\n"
	      "           1           0:     2765542 <marker: version 5>\n"
	      "       47445       37770:     2765543 ifetch       5 byte(s) @ 0x0000000000404a7e 48 8b 5c 24 08       mov\n"
	      "       47445       37770:     2765543                                            00 00\n"
	      "       47446       37770:     2765543 read         8 byte(s) @ 0x00007fdf64e2adc8 by PC 0x0000000000404a7e\n"
	      "       47447       37770:     2765542 write       16 byte(s) @ 0x00007fdf64e2adc8 by PC 0x0000000000404a7e\n"
	      "       47448       37770:     2765542 pref-r-L1   64 byte(s) @ 0x00007fdf64e2adc8 by PC 0x0000000000404a7e\n"
	      "       47449       37770:     2765542 ifetch       2 byte(s) @ 0x0000000000404a80 non-fetched instruction\n"
	      "       47450       37770:  W0.T292 non-fetched  2 byte(s) @ 0x0000000000404a80 f3 a4                rep movs\n"
	      "          10           2: W0.T292 read 8 byte(s) @ 0x2345 by PC 0x6789\n"
	      "T342625 write        4 byte(s) @ 0x10 by PC 0x6789\n"
	      "        9: T342625 ifetch 3 byte(s) @ 0x00007f3a12a10000 48 89 e7             mov    %rsp -> %rdi\n"
	      "View tool results:\n          37771 : total instructions\n",
	      NULL, "C404a7e/5 L7fdf64e2adc8/8 S7fdf64e2adc8/16@1 L2345/8@2 S10/4@3 C7f3a12a10000/3@3");
	refused("T1 read 8 byte(s) @ 0x10 by PC 0x1\nT1 reed 8 byte(s) @ 0x10\n", NULL, "line 2: found 'T1 reed");
	refused("T1 read 8 byte(s) @ 0x10 by PC 0x1\n1 2: x\n", NULL, "line 2");
	/* What view printed before May 2022: no word in front of an instruction, no size of it. Passed over, it would be an empty
	 * trace. */
	refused("T1   0x00007f3a12a10000  48 89 e7   mov    %rsp -> %rdi\n", "dynamorio", "line 1");
	refused("      123: T1     read  8 byte(s) @ 0x7fff\n", "dynamorio", "line 1");
	refused("   0: 04", "dynamorio", "ends within a line");
	refused("   0: 045", NULL, "no known format");
}

/* struct input_instr of ChampSim's inc/trace_instruction.h. Would catch: loads and stores exchanged, a record that does not fit
 * the batch. */
static void test_champsim(void **state)
{
	struct words words;
	struct trace_case c;
	char bytes[128] = {0};
	(void)state;
	put_record(bytes, 0x401000);
	bytes[8] = bytes[9] = 1;
	put_record(bytes + 16, 0x2000);
	put_record(bytes + 32, 0x3000);
	put_record(bytes + 56, 0x4000);
	put_record(bytes + 64, 0x401004);
	case_begin(&c);
	case_write(c.path, bytes, sizeof bytes);
	for (size_t capacity = 1; capacity < 10; capacity++) {
		read_words(&words, c.path, NULL, capacity);
		assert_string_equal(words.text, "C401000/1 L3000/1 L4000/1 S2000/1 C401004/1");
	}
	read_bytes(&words, bytes, 100, "champsim");
	assert_non_null(strstr(words.error.text, "byte 64 of the trace: found 36 bytes before the end"));
	bytes[64 + 8] = 7;
	read_bytes(&words, bytes, sizeof bytes, "champsim");
	assert_non_null(strstr(words.error.text, "is_branch 7"));
	case_end(&c);
}

/*
 * Packed by hand after the encoding of protocol buffers and the field numbers of gem5's packet.proto: header {obj_id "m",
 * tick_freq 1000}, packets ReadReq 0x1000/8, ReadReq with INST_FETCH 0x2000/4, WriteReq 0x3000/1, CleanEvict.
 */
static void test_gem5(void **state)
{
	static const char trace[] = "gem5\x06\x0a\x01m\x18\xe8\x07"
	                            "\x09\x08\x01\x10\x01\x18\x80\x20\x20\x08"
	                            "\x0c\x08\x02\x10\x01\x18\x80\x40\x20\x04\x28\x80\x02"
	                            "\x09\x08\x03\x10\x04\x18\x80\x60\x20\x01"
	                            "\x09\x08\x04\x10\x0a\x18\x80\x60\x20\x40";
	struct words words;
	(void)state;
	read_bytes(&words, trace, sizeof trace - 1, NULL);
	assert_string_equal(words.error.text, "");
	assert_string_equal(words.text, "L1000/8 C2000/4 S3000/1");
	for (size_t cut = 4; cut < sizeof trace - 1; cut++) {
		read_bytes(&words, trace, cut, NULL);
		assert_true(!words.sound || cut == 11 || cut == 21 || cut == 34 || cut == 44);
	}
	read_bytes(&words, "gem5\xff\xff\xff\xff\x0f", 9, NULL);
	assert_non_null(strstr(words.error.text, "found a message of length"));
}

/* A packet of 8 bytes at 0x1000 with a command and flags, behind a header; returns the length. */
static size_t gem5_packet(unsigned char *trace, unsigned command, uint32_t flags)
{
	static const unsigned char head[] = "gem5\x06\x0a\x01m\x18\xe8\x07"
	                                    "\x0f\x08\x01\x10\0\x18\x80\x20\x20\x08\x28";
	size_t length = sizeof head - 1;
	memcpy(trace, head, length);
	trace[15] = (unsigned char)command;
	for (unsigned i = 0; i < 5; i++, flags >>= 7)
		trace[length++] = (unsigned char)((flags & 0x7f) | (i < 4 ? 0x80 : 0));
	return length;
}

/*
 * Commands by src/mem/packet.hh of gem5 20.1, 21.2, 22.0 and 24.0, flags by src/mem/request.hh. Would catch: an atomic or a
 * locked read-modify-write that is lost or taken for the other version's command, a fence that becomes a store, an old trace that
 * is read.
 */
static void test_gem5_commands(void **state)
{
	static const struct {
		unsigned command;
		uint32_t flags;
		const char *words; /* NULL: refused */
	} cases[] = {
	        {16, 0, "S1000/8"},
	        {22, 0, "L1000/8"},
	        {26, 0x200000, "L1000/8"},
	        {27, 0x200000, "S1000/8"},
	        {30, 0x100000, "L1000/8"},
	        {30, 0x400000, "M1000/8"},
	        {30, 0x800000, "M1000/8"},
	        {30, 0, NULL},
	        {32, 0x100000, "S1000/8"},
	        {32, 0, NULL},
	        {34, 0x40000000, "M1000/8"},
	        {34, 0x80000000, "M1000/8"},
	        {34, 0, ""},
	        {29, 0x200000, ""},
	        {29, 0x400000, NULL},
	        {11, 0, ""},
	        {15, 0, ""},
	        {21, 0, ""},
	        {38, 0, ""},
	        {59, 0, ""},
	        {60, 0, NULL},
	        {1, 0x100, "C1000/8"},
	        {0, 0, ""},
	};
	struct words words;
	unsigned char trace[64];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		read_bytes(&words, (const char *)trace, gem5_packet(trace, cases[i].command, cases[i].flags), NULL);
		assert_int_equal(words.sound, cases[i].words != NULL);
		if (cases[i].words)
			assert_string_equal(words.text, cases[i].words);
		else
			assert_non_null(strstr(words.error.text, "expected one of gem5 20.1 to 24.0"));
	}
}

/* A header that names 1000 requestors, as a machine of many cores has. Would catch: memory that a header does not fit. */
static void test_gem5_requestors(void **state)
{
	static unsigned char trace[64 << 10];
	static const unsigned char packet[] = "\x09\x08\x01\x10\x01\x18\x80\x20\x20\x08";
	struct words words;
	size_t length = 4 + 3, at = length;
	(void)state;
	memcpy(trace, "gem5", 4);
	memcpy(trace + at, "\x0a\x01m\x18\xe8\x07", 6);
	at += 6;
	for (unsigned i = 0; i < 1000; i++)
		at += (size_t)sprintf((char *)trace + at, "\x22\x18\x08%c\x12\x14system.cpu%03u.inst.x", (int)(i % 127 + 1), i);
	for (unsigned i = 0; i < 3; i++)
		trace[4 + i] = (unsigned char)(((at - length) >> 7 * i & 0x7f) | (i < 2 ? 0x80 : 0));
	memcpy(trace + at, packet, sizeof packet - 1);
	read_bytes(&words, (const char *)trace, at + sizeof packet - 1, NULL);
	assert_string_equal(words.error.text, "");
	assert_string_equal(words.text, "L1000/8");
}

#define ROUND 40000u

static struct access round_access(uint32_t i)
{
	/* Whole pieces of few classes, of many, and addresses of every length. */
	uint32_t mixed = i * 2654435761u;
	return (struct access){.address = i < 20000 ? mixed : (uint64_t)mixed << (i % 32) ^ (uint64_t)i << 40,
	                       .bytes = i < 20000 ? 8 : 1 + mixed % 700,
	                       .cpu = (uint16_t)(i < 20000 ? 0 : mixed % 3 * 32767),
	                       .kind = (uint8_t)(mixed % 4)};
}

struct round_source {
	struct access_source source;
	uint32_t next;
};

static bool round_read(struct access_source *source, struct access *batch, size_t capacity, size_t *count, struct error *error)
{
	struct round_source *self = (struct round_source *)source;
	(void)error;
	for (*count = 0; *count < capacity && self->next < ROUND; ++*count)
		batch[*count] = round_access(self->next++);
	return true;
}

/* What is written reads back; a file that is cut or changed anywhere is refused. Would catch: a class code of one byte where
 * there are more. */
static void test_kmt(void **state)
{
	static const struct access_source_ops ops = {.name = "round", .help = "", .read = round_read};
	struct round_source source = {.source = {.ops = &ops}};
	struct access_summary summary;
	struct access batch[1000];
	struct trace_case c;
	struct words words;
	size_t count = 1, length;
	uint32_t next = 0;
	char *bytes;
	(void)state;
	case_begin(&c);
	assert_true(access_write_kmt(&source.source, c.path, NULL, &summary, &c.error));
	assert_int_equal(access_summary_accesses(&summary), ROUND);
	assert_string_equal(access_source_recognise(c.path), "kmt");
	struct access_source *read = access_source_open(c.path, NULL, &c.error);
	assert_non_null(read);
	while (count > 0) {
		assert_true(access_source_read(read, batch, sizeof batch / sizeof batch[0], &count, &c.error));
		for (size_t i = 0; i < count; i++, next++) {
			struct access expected = round_access(next);
			assert_memory_equal(&batch[i], &expected, sizeof expected);
		}
	}
	assert_int_equal(next, ROUND);
	access_source_close(read);
	assert_true(decompress_all(c.path, 1u << 24, &bytes, &length, &c.error));
	for (size_t at = 8; at < length; at += 1 + length / 97) {
		bytes[at] ^= 0x20;
		case_write(c.path, bytes, length);
		read_words(&words, c.path, "kmt", 64);
		/* Zeros of the head are under its checksum, everything else under a frame's or the totals. */
		assert_false(words.sound);
		bytes[at] ^= 0x20;
		case_write(c.path, bytes, at);
		read_words(&words, c.path, "kmt", 64);
		assert_false(words.sound);
	}
	free(bytes);
	case_end(&c);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lackey),
	                                   cmocka_unit_test(test_lackey_recorded),
	                                   cmocka_unit_test(test_plain),
	                                   cmocka_unit_test(test_raw),
	                                   cmocka_unit_test(test_raw_is_told_apart),
	                                   cmocka_unit_test(test_formats),
	                                   cmocka_unit_test(test_packed_and_split),
	                                   cmocka_unit_test(test_many_lines),
	                                   cmocka_unit_test(test_long_line),
	                                   cmocka_unit_test(test_closed_early),
	                                   cmocka_unit_test(test_din),
	                                   cmocka_unit_test(test_dynamorio),
	                                   cmocka_unit_test(test_champsim),
	                                   cmocka_unit_test(test_gem5),
	                                   cmocka_unit_test(test_gem5_commands),
	                                   cmocka_unit_test(test_gem5_requestors),
	                                   cmocka_unit_test(test_kmt)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
