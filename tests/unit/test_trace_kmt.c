/* SPDX-License-Identifier: MIT
 *
 * test_trace_kmt.c - the native format: what is written is read, and no damage goes unnoticed.
 */
#include "tests/unit/trace_case.h"

#include "sim/io/kmt.h"
#include "sim/trace_report.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A small recording with every kind of op, two slab pages, a fact and a mark. */
static const char text[] =
        "# entries-in-buffer/entries-written: 10/10   #P:1\n"
        "          task-1       [000] d....     0.000001: mm_page_alloc: page=ffffea0000240000 pfn=0x9000 order=0 migratetype=0 "
        "gfp_flags=GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY\n"
        "          task-1       [000] d....     0.000002: kmalloc: call_site=k ptr=ffff888009000000 bytes_req=100 "
        "bytes_alloc=128 "
        "gfp_flags=GFP_KERNEL node=-1\n"
        "          task-1       [000] d....     0.000003: kmem_cache_alloc: call_site=f ptr=ffff888001000000 bytes_req=96 "
        "bytes_alloc=96 gfp_flags=GFP_KERNEL node=-1\n"
        "          task-1       [000] d....     0.000004: mm_page_alloc: page=ffffea0000240400 pfn=0x9010 order=4 migratetype=0 "
        "gfp_flags=GFP_KERNEL\n"
        "          task-1       [000] d....     0.000005: tracing_mark_write: here\n"
        "          task-1       [000] d....     0.000006: kfree: call_site=g ptr=ffff888009000000\n"
        "          task-1       [000] d....     0.000007: kmem_cache_free: call_site=g ptr=ffff888001000000 name=thing\n"
        "          task-1       [000] d....     0.000008: kfree: call_site=g ptr=ffff888002000000\n"
        "          task-1       [000] d....     0.000009: mm_page_free: page=ffffea0000240400 pfn=0x9010 order=4\n"
        "          task-1       [000] d.s..     0.000010: mm_page_alloc_zone_locked: page=1 pfn=0x8000 order=3 migratetype=2 "
        "percpu_refill=1\n"
        "          task-1       [000] d.s..     0.000011: mm_page_pcpu_drain: page=1 pfn=0x8001 order=0 migratetype=1\n"
        "          task-1       [000] d.s..     0.000012: mm_page_alloc_extfrag: page=1 pfn=0x8400 alloc_order=1 "
        "fallback_order=9 pageblock_order=10 alloc_migratetype=0 fallback_migratetype=2 fragmenting=1 change_ownership=1\n"
        "          task-2       [001] .....     0.000013: mm_page_free_batched: page=1 pfn=0x9010 order=0\n";
static const char ops[] = "bK3:64/0 K0:100/128 A1:thing P2:4 M:here k0 F1:thing k3 p2:4";
/* The slab's page too, which makes no op. */
static const char details[] =
        "C2:1@0/9 A2:9000/0.0 A5:9010/4.0 F10:9010/4.0 C11:1@0/11 Z11:8000/3.2r D12:8001/0.1 X13:8400/1.0 C14:2@1/8 B14:9010/0.0";

/* The bytes of the file made from `text`. */
static unsigned char *make_file(struct trace_case *c, size_t *length)
{
	char path[128];
	struct stat status;
	case_begin(c);
	case_fact(c, "buddyinfo", "Node 0, zone DMA 1 1 1\n");
	assert_true(case_import(c, text));
	assert_string_equal(case_ops(c), ops);
	assert_string_equal(case_details(c), details);
	snprintf(path, sizeof path, "%s/trace.kmt", c->folder);
	assert_int_equal(stat(path, &status), 0);
	*length = (size_t)status.st_size;
	unsigned char *bytes = calloc(*length + 16, 1);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(bytes, 1, *length, file), *length);
	fclose(file);
	return bytes;
}

/* Whether a file of these bytes reads to its end; if so, it must say what the sound one says. */
static bool reads(struct trace_case *c, const unsigned char *bytes, size_t length)
{
	char path[128];
	uint64_t count;
	struct error error = {0};
	snprintf(path, sizeof path, "%s/damaged.kmt", c->folder);
	case_write(path, (const char *)bytes, length);
	bool whole = trace_check(path, NULL, &count, &error);
	assert_int_equal(whole, error.kind == ERROR_NONE);
	if (!whole)
		assert_non_null(strstr(error.text, "damaged.kmt"));
	return whole;
}

static void test_round_trip(void **state)
{
	struct trace_case c;
	size_t length;
	(void)state;
	unsigned char *bytes = make_file(&c, &length);
	const struct trace_fact *fact = trace_fact_named(c.trace, "buddyinfo");
	assert_non_null(fact);
	assert_string_equal(fact->text, "Node 0, zone DMA 1 1 1\n");
	assert_int_equal(fact->length, strlen(fact->text));
	const struct trace_info *info = trace_info(c.trace);
	assert_string_equal(info->source, "trace.txt");
	assert_int_equal(strlen(info->sha256), 64);
	assert_int_equal(info->summary.lines, 14);
	assert_int_equal(info->details, 10);
	assert_memory_equal(&info->summary, &c.summary, sizeof c.summary);
	assert_int_equal(info->ops, 9);
	assert_true(reads(&c, bytes, length));
	free(bytes);
	case_end(&c);
}

/* One bit of every byte: each change must be refused, as nothing in the file is without a checksum. */
static void test_every_byte_is_guarded(void **state)
{
	struct trace_case c;
	size_t length, passed = 0;
	(void)state;
	unsigned char *bytes = make_file(&c, &length);
	for (size_t at = 0; at < length; at++) {
		bytes[at] ^= (unsigned char)(1u << at % 8);
		if (reads(&c, bytes, length))
			passed++;
		bytes[at] ^= (unsigned char)(1u << at % 8);
	}
	/* zstd's frame headers have a few bits that say how it was packed, not what; they may pass. */
	assert_in_range(passed, 0, 16);
	free(bytes);
	case_end(&c);
}

static void test_every_length_is_guarded(void **state)
{
	struct trace_case c;
	size_t length;
	(void)state;
	unsigned char *bytes = make_file(&c, &length);
	for (size_t cut = 0; cut < length; cut++)
		assert_false(reads(&c, bytes, cut));
	for (size_t more = 1; more < 16; more++)
		assert_false(reads(&c, bytes, length + more));
	free(bytes);
	case_end(&c);
}

static void test_other_version(void **state)
{
	struct trace_case c;
	size_t length;
	struct error error = {0};
	char path[128];
	(void)state;
	unsigned char *bytes = make_file(&c, &length);
	kmt_store32(bytes + 8, KMT_VERSION + 1);
	snprintf(path, sizeof path, "%s/damaged.kmt", c.folder);
	case_write(path, (const char *)bytes, length);
	assert_null(trace_open(path, &error));
	assert_non_null(strstr(error.text, "version"));
	free(bytes);
	case_end(&c);
}

static void test_not_native(void **state)
{
	struct trace_case c;
	struct error error = {0};
	(void)state;
	case_begin(&c);
	assert_true(case_import(&c, text));
	assert_false(trace_is_native(c.path));
	assert_null(trace_open(c.path, &error));
	assert_int_equal(error.kind, ERROR_INPUT);
	error = (struct error){0};
	assert_null(trace_open("/nonexistent.kmt", &error));
	assert_int_equal(error.kind, ERROR_HOST);
	/* Both forms open through trace_open_any() and say the same. */
	struct trace *trace = trace_open_any(c.path, NULL, &error);
	assert_non_null(trace);
	assert_int_equal(trace_info(trace)->ops, trace_info(c.trace)->ops);
	trace_close(trace);
	/* A .kmt is no text. */
	char path[128];
	snprintf(path, sizeof path, "%s/trace.kmt", c.folder);
	error = (struct error){0};
	assert_false(trace_import(path, "/tmp/kmemsim-test-never.kmt", TRACE_PROCESSES, NULL, NULL, &error));
	assert_int_equal(error.kind, ERROR_INPUT);
	case_end(&c);
}

/* A writer handed ops that no import makes; whatever is wrong with them, reading ends with an error. */
static void write_ops(const char *path, const struct kmt_op *written, size_t count, uint32_t ids, uint64_t claimed)
{
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct error error = {0};
	struct kmt_writer *writer = kmt_writer_create(file, path);
	struct string_table strings;
	string_table_init(&strings);
	string_table_index(&strings, "site", 4);
	struct trace_info info = {.ids = ids, .ops = claimed};
	const struct kmt_profile profiles[] = {
	        {.kind = OP_KMALLOC, .cache = TRACE_CACHE_NONE, .bytes_req = 60, .bytes_alloc = 64}};
	struct kmt_tables tables = {.info = &info, .strings = &strings, .profiles = profiles, .profile_count = 1};
	assert_true(kmt_write_ops(writer, KMT_OPS, written, count, &error));
	assert_true(kmt_write_tables(writer, &tables, &error));
	kmt_writer_destroy(writer);
	string_table_release(&strings);
	close(file);
}

/* Details that no import makes: more than the summary says, or a value that is none. */
static bool check_details(uint64_t claimed, unsigned kind, unsigned order)
{
	struct trace_case c;
	char path[128];
	uint64_t read;
	case_begin(&c);
	snprintf(path, sizeof path, "%s/x.kmt", c.folder);
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct kmt_writer *writer = kmt_writer_create(file, path);
	struct string_table strings;
	string_table_init(&strings);
	struct trace_info info = {.details = claimed};
	struct kmt_tables tables = {.info = &info, .strings = &strings};
	const struct detail written[] = {{.line = 1, .kind = DETAIL_PAGE_FREE, .pfn = 9},
	                                 {.line = 1, .kind = (uint8_t)kind, .pfn = UINT32_MAX, .order = (uint8_t)order}};
	assert_true(kmt_write_details(writer, written, 2, &c.error));
	assert_true(kmt_write_tables(writer, &tables, &c.error));
	kmt_writer_destroy(writer);
	string_table_release(&strings);
	close(file);
	bool whole = trace_check(path, NULL, &read, &c.error);
	case_end(&c);
	return whole;
}

static void test_wrong_details_are_refused(void **state)
{
	(void)state;
	assert_true(check_details(2, DETAIL_PAGE_ALLOC, ORDERS - 1));
	assert_false(check_details(3, DETAIL_PAGE_ALLOC, 0));
	assert_false(check_details(2, DETAIL_KINDS, 0));
	assert_false(check_details(2, DETAIL_PAGE_ALLOC, ORDERS));
}

static bool check_ops(const struct kmt_op *written, size_t count, uint32_t ids, uint64_t claimed)
{
	struct trace_case c;
	char path[128];
	uint64_t read;
	case_begin(&c);
	snprintf(path, sizeof path, "%s/x.kmt", c.folder);
	write_ops(path, written, count, ids, claimed);
	bool whole = trace_check(path, NULL, &read, &c.error);
	case_end(&c);
	return whole;
}

static void test_wrong_ops_are_refused(void **state)
{
	(void)state;
	const struct kmt_op sound[] = {{.id = 0, .profile = 0}, {.id = 0, .profile = KMT_FREE}};
	const struct kmt_op free_of_nothing[] = {{.id = 0, .profile = KMT_FREE}, {.id = 0, .profile = 0}};
	const struct kmt_op twice[] = {{.id = 0, .profile = 0}, {.id = 0, .profile = 0}};
	const struct kmt_op large_id[] = {{.id = 7, .profile = 0}, {.id = 7, .profile = KMT_FREE}};
	const struct kmt_op no_profile[] = {{.id = 0, .profile = 1}, {.id = 0, .profile = KMT_FREE}};
	assert_true(check_ops(sound, 2, 1, 2));
	assert_false(check_ops(free_of_nothing, 2, 1, 2));
	assert_false(check_ops(twice, 2, 2, 2));
	assert_false(check_ops(large_id, 2, 1, 2));
	assert_false(check_ops(no_profile, 2, 1, 2));
	assert_false(check_ops(sound, 2, 1, 3));
	assert_false(check_ops(sound, 2, UINT32_MAX, 2));
}

/* Extreme values in every column. */
static void test_extreme_values(void **state)
{
	struct trace_case c;
	struct op read[4];
	size_t count;
	char path[128];
	(void)state;
	const struct kmt_op written[] = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, 3, 0, 65535},
	                                 {0, 0, 1, 0, 0, 0},
	                                 {0, 0, 0, 0, KMT_HOLE, 0},
	                                 {UINT64_MAX / 2, 7, 0, 3, KMT_FREE, 9}};
	case_begin(&c);
	snprintf(path, sizeof path, "%s/x.kmt", c.folder);
	/* ids up to 3, of which not all are used */
	write_ops(path, written, 4, 3, 3);
	c.trace = trace_open(path, &c.error);
	assert_non_null(c.trace);
	assert_false(trace_next(c.trace, read, 4, &count, &c.error)); /* id 3 is one too many */
	trace_close(c.trace);
	struct kmt_op smaller[4];
	memcpy(smaller, written, sizeof written);
	smaller[0].id = smaller[3].id = 2;
	write_ops(path, smaller, 4, 3, 3);
	c.trace = trace_open(path, &c.error);
	assert_true(trace_next(c.trace, read, 4, &count, &c.error));
	assert_int_equal(count, 3);
	assert_int_equal(read[0].time_ns, UINT64_MAX);
	assert_int_equal(read[0].line, UINT64_MAX);
	assert_int_equal(read[0].address, UINT64_MAX);
	assert_int_equal(read[0].cpu, 65535);
	assert_int_equal(read[1].address, 1);
	assert_int_equal(read[2].address, UINT64_MAX);
	assert_int_equal(read[2].time_ns, UINT64_MAX / 2);
	assert_int_equal(read[2].line, 7);
	case_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip),
	        cmocka_unit_test(test_every_byte_is_guarded),
	        cmocka_unit_test(test_every_length_is_guarded),
	        cmocka_unit_test(test_other_version),
	        cmocka_unit_test(test_not_native),
	        cmocka_unit_test(test_wrong_ops_are_refused),
	        cmocka_unit_test(test_extreme_values),
	        cmocka_unit_test(test_wrong_details_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
