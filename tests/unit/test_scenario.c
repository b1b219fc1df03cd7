/* SPDX-License-Identifier: MIT
 *
 * test_scenario.c - scenarios from files, memory and --set: who wins, what is refused and with which words, hostile YAML, and the
 * committed configs, schema and reference page.
 */
#include "models/registry_names.h"
#include "models/scenario.h"
#include "models/settings_doc.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const config_dirs[] = {"configs", NULL};

/* ---- a folder for files ---- */

static char folder[200];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/kmemsim-scenario-XXXXXX", P_tmpdir);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[300];
	snprintf(command, sizeof command, "rm -r '%s'", folder);
	return system(command);
}

/* Writes a file below the folder and gives its path. */
static const char *write_file(const char *name, const char *text)
{
	static char path[300];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = 0;
		mkdir(path, 0777);
		*slash = '/';
	}
	FILE *out = fopen(path, "wb");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	return path;
}

/* ---- loading ---- */

static bool parse_sets(const char *text, const char *const *sets, struct settings *settings, struct error *error)
{
	struct scenario_source source = {.path = "s.yaml", .config_dirs = config_dirs, .sets = sets};
	*error = (struct error){0};
	return scenario_parse(&source, text, strlen(text), settings, error);
}

static void parse(const char *text, struct settings *settings)
{
	struct error error;
	if (!parse_sets(text, NULL, settings, &error))
		fail_msg("%s", error.text);
}

static void load(const char *path, struct settings *settings)
{
	struct error error = {0};
	struct scenario_source source = {.path = path, .config_dirs = config_dirs};
	if (!scenario_load(&source, settings, &error))
		fail_msg("%s", error.text);
}

static void expect_message(const struct error *error, const char *message)
{
	assert_true(error->kind == ERROR_USAGE || error->kind == ERROR_HOST);
	if (!strstr(error->text, message))
		fail_msg("'%s' does not say '%s'", error->text, message);
}

static void refuse(const char *text, const char *message)
{
	struct settings settings;
	struct error error;
	if (parse_sets(text, NULL, &settings, &error))
		fail_msg("taken: %s", text);
	expect_message(&error, message);
}

static void refuse_file(const char *path, const char *message)
{
	struct settings settings;
	struct error error = {0};
	struct scenario_source source = {.path = path, .config_dirs = config_dirs};
	if (scenario_load(&source, &settings, &error))
		fail_msg("taken: %s", path);
	expect_message(&error, message);
}

static void refuse_set(const char *set, const char *message)
{
	struct settings settings;
	struct error error;
	if (parse_sets("", (const char *const[]){set, NULL}, &settings, &error))
		fail_msg("taken: %s", set);
	expect_message(&error, message);
}

static void assert_equal_settings(const struct settings *left, const struct settings *right)
{
	for (const struct setting *row = settings_table(); row->key; row++)
		if (!setting_equal(row, left, right))
			fail_msg("%s differs", row->key);
}

static char *printed(const struct settings *settings)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	settings_print_yaml(settings, out);
	fclose(out);
	return text;
}

/* ---- what is taken ---- */

/* The example of the project's plan. Would catch: any part of the grammar that the plan shows and the loader does not take. */
static void the_plans_example_loads(void **state)
{
	(void)state;
	write_file("machines/skylake.yaml", "# a core\nfrequency: 2.6 GHz\nlatency: {l1: 5 cycles}\n");
	write_file("traces/boot.txt", "x\n");
	struct settings settings;
	load(write_file("example.yaml", "# Does SLOB's smaller footprint cost more TLB misses than it saves?\n"
	                                "machine: skylake            # configs/machines/skylake.yaml\n"
	                                "memory: 512 MiB\n"
	                                "kernel: debian-6.1          # sysctls\n"
	                                "trace: traces/boot.txt\n"
	                                "allocator: [slab, slub, slob]   # run each, compare\n"
	                                "timing: cycles              # none | cycles\n"
	                                "seed: 1\n"
	                                "sample: {every: 10 ms}\n"
	                                "report: [fragmentation, footprint, cycles]\n"),
	     &settings);
	assert_string_equal(settings.question, "Does SLOB's smaller footprint cost more TLB misses than it saves?");
	assert_string_equal(settings.machine.name, "skylake");
	assert_int_equal(settings.machine.frequency_hz, 2600000000u);
	assert_int_equal(settings.machine.l1_cycles, 5);
	assert_int_equal(settings.machine.memory_bytes, 512u << 20);
	assert_string_equal(settings.kernel.name, "debian-6.1");
	assert_int_equal(settings.allocators, 3);
	assert_string_equal(settings.allocator[1], "slub");
	assert_int_equal(settings.timing, TIMING_CYCLES);
	assert_int_equal(settings.reports, 3);
	char expected[300];
	snprintf(expected, sizeof expected, "%s/traces/boot.txt", folder);
	assert_string_equal(settings.trace, expected);
	settings_release(&settings);
}

/* Would catch: dotted keys and maps read differently, at any depth. */
static void dotted_keys_and_maps_mean_the_same(void **state)
{
	(void)state;
	struct settings nested, dotted, mixed;
	parse("machine: {latency: {l1: 7 cycles}, cpus: 3}\nkernel: {lowmem_reserve_ratio: {dma: 32}}\n", &nested);
	parse("machine.latency.l1: 7 cycles\nmachine.cpus: 3\nkernel.lowmem_reserve_ratio.dma: 32\n", &dotted);
	parse("machine: {latency.l1: 7 cycles}\nmachine.cpus: 3\nkernel: {lowmem_reserve_ratio.dma: 32}\n", &mixed);
	assert_int_equal(nested.machine.l1_cycles, 7);
	assert_int_equal(nested.kernel.lowmem_reserve_dma, 32);
	assert_equal_settings(&nested, &dotted);
	assert_equal_settings(&nested, &mixed);
	settings_release(&nested);
	settings_release(&dotted);
	settings_release(&mixed);
}

/* Would catch: an include that overrides the file's own keys because it stands below them. */
static void a_file_wins_over_its_includes(void **state)
{
	(void)state;
	struct settings settings;
	parse("memory: 64 MiB\nkernel.pageblock_order: 8\nkernel: lab-6.1\nmachine: qemu-512m\n", &settings);
	assert_int_equal(settings.machine.memory_bytes, 64u << 20);
	assert_int_equal(settings.machine.cpus, 1);
	assert_int_equal(settings.kernel.pageblock_order, 8);
	assert_false(settings.kernel.transparent_hugepage);
	settings_release(&settings);
	parse("machine: {cpus: 4, include: qemu-512m}\n", &settings);
	assert_int_equal(settings.machine.cpus, 4);
	assert_int_equal(settings.machine.memory_bytes, 524160u << 10);
	assert_string_equal(settings.machine.name, "qemu-512m");
	settings_release(&settings);
}

/* Would catch: bases in the wrong order, a base's machine that leaves values in the machine named instead. */
static void a_scenario_may_have_a_base(void **state)
{
	(void)state;
	write_file("base.yaml",
	           "# base\nlabel: base\nseed: 7\nmachine: qemu-512m\nmachine.latency.dram: 999 cycles\nkernel: lab-6.1\n");
	write_file("other.yaml", "seed: 8\n");
	struct settings settings;
	load(write_file("derived.yaml", "# derived\nkernel: lab-6.1-hugepages\ninclude: [base.yaml, other.yaml]\nmachine: pc\n"),
	     &settings);
	assert_string_equal(settings.question, "derived");
	assert_string_equal(settings.label, "base");
	assert_int_equal(settings.seed, 8);
	assert_string_equal(settings.machine.name, "pc");
	assert_int_equal(settings.machine.dram_cycles, 240);
	assert_int_equal(settings.machine.memory_bytes, 0);
	assert_int_equal(settings.kernel.pageblock_order, 9);
	assert_false(settings.kernel.slab_merge);
	assert_string_equal(settings.kernel.name, "lab-6.1-hugepages");
	settings_release(&settings);
}

/* Would catch: --set applied before the files, machine= set as a key, lists not split, an earlier --set winning. */
static void sets_win(void **state)
{
	(void)state;
	struct settings settings;
	struct error error;
	const char *const sets[] = {
	        "seed=3", "allocator=slob, slab", "machine=qemu-64m", "sample.every=1 s", "seed=0x4", "label=a=b", NULL};
	assert_true(parse_sets("machine: qemu-512m\nmachine.cpus: 2\nseed: 1\nallocator: slub\n", sets, &settings, &error));
	assert_int_equal(settings.seed, 4);
	assert_int_equal(settings.allocators, 2);
	assert_string_equal(settings.allocator[0], "slob");
	assert_string_equal(settings.machine.name, "qemu-64m");
	assert_int_equal(settings.machine.memory_bytes, 65408u << 10);
	assert_int_equal(settings.machine.cpus, 2);
	assert_int_equal(settings.sample_every_ns, 1000000000);
	assert_string_equal(settings.label, "a=b");
	settings_release(&settings);
	assert_true(parse_sets("", (const char *const[]){"allocator=[slab,slub]", NULL}, &settings, &error));
	assert_int_equal(settings.allocators, 2);
	settings_release(&settings);
}

/* Would catch: a crash or an unset value where there is no scenario file at all. */
static void no_scenario_is_all_defaults(void **state)
{
	(void)state;
	struct settings settings, defaults;
	load(NULL, &settings);
	settings_init(&defaults);
	assert_equal_settings(&settings, &defaults);
	settings_release(&defaults);
	settings_release(&settings);
	parse("# only a question\n", &settings);
	assert_string_equal(settings.question, "only a question");
	settings_release(&settings);
}

/* Would catch: an editor's notice or a licence line taken for the question, a comment below the keys taken. */
static void the_first_comment_is_the_question(void **state)
{
	(void)state;
	struct settings settings;
	parse("# yaml-language-server: $schema=../schema.json\n#\n##  why\tso?  \r\nseed: 1\n", &settings);
	assert_string_equal(settings.question, "why so?");
	settings_release(&settings);
	parse("seed: 1\n# not a question\n", &settings);
	assert_null(settings.question);
	settings_release(&settings);
	parse("# a comment\nquestion: a key\n", &settings);
	assert_string_equal(settings.question, "a key");
	settings_release(&settings);
}

/* Beside the scenario first, then in the current folder, which for tests is the source tree's. */
static void traces_are_found_beside_the_scenario_first(void **state)
{
	(void)state;
	char expected[300];
	struct settings settings;
	write_file("tests/CMakeLists.txt", "a trace\n");
	load(write_file("near.yaml", "trace: tests/CMakeLists.txt\n"), &settings);
	snprintf(expected, sizeof expected, "%s/tests/CMakeLists.txt", folder);
	assert_string_equal(settings.trace, expected);
	settings_release(&settings);
	load(write_file("far.yaml", "trace: tests/unit/test.h\n"), &settings);
	assert_string_equal(settings.trace, "tests/unit/test.h");
	settings_release(&settings);
	load(write_file("deep/up.yaml", "trace: ../deep/../tests/CMakeLists.txt\n"), &settings);
	assert_string_equal(settings.trace, expected);
	settings_release(&settings);
	refuse_file(write_file("none.yaml", "seed: 1\ntrace: nowhere.txt\n"), "none.yaml:2:8: trace: there is no file");
}

/* ---- what is refused ---- */

/* Would catch: a message without its place, its key, or the nearest name. */
static void wrong_keys_and_values_are_told_with_their_place(void **state)
{
	(void)state;
	refuse("seed: 1\nalocator: slub\n", "s.yaml:2:1: unknown key 'alocator'; did you mean 'allocator'?");
	refuse("machin: {cpus: 1}\n", "s.yaml:1:1: unknown key 'machin'; did you mean 'machine'?");
	refuse("machine: {cpu: 1}\n", "s.yaml:1:11: unknown key 'machine.cpu'; did you mean 'machine.cpus'?");
	refuse("cpus: 1\n", "unknown key 'cpus'; did you mean 'machine.cpus'?");
	refuse("colour: red\n", "unknown key 'colour'; `kmemsim list settings`");
	refuse("allocator: [slub, slbo]\n", "s.yaml:1:19: allocator: unknown value 'slbo'; did you mean 'slob'?");
	refuse("page_allocator: budy\n", "did you mean 'buddy'?");
	refuse("machine: {memory_model: idael}\n", "did you mean 'ideal'?");
	/* Would catch: a value of a list that is told at the list's beginning. */
	refuse("allocator:\n  - slub\n  - slbo\n", "s.yaml:3:5: allocator: unknown value 'slbo'");
	refuse("allocator: [slub,\n  slub]\n", "s.yaml:2:3: allocator: 'slub' stands twice in the list");
	refuse("machine.caches:\n  - l1d size=32KiB ways=8\n  - l2 size=256KiB wazs=8\n", "s.yaml:3:5: machine.caches: ");
	refuse_file(write_file("bases.yaml", "include:\n  - base.yaml\n  - nowhere.yaml\n"), "bases.yaml:3:5: ");
	refuse("memory: 512\n", "s.yaml:1:9: machine.memory: '512' has no unit");
	refuse("seed: -1\n", "s.yaml:1:7: seed: '-1' is out of range; it may be 0 to 18446744073709551615");
	refuse("seed:\n", "seed: '' is not a whole number");
	refuse("sample: 10 ms\n", "'sample' holds keys of its own");
	refuse("seed: {a: 1}\n", "seed: takes a value, not a map");
	refuse("seed: [1, 2]\n", "takes one value, not a list");
	refuse("sample: {}\nsampel: {}\n", "did you mean 'sample'?");
	refuse("machine: qemu-51m\n", "s.yaml:1:10: there is no machine 'qemu-51m'; did you mean 'qemu-512m'?");
	refuse("kernel: debian\n", "did you mean 'debian-6.1'?");
	refuse("machine: [pc, pc]\n", "takes one name, not a list");
	refuse("machine: ./no.yaml\n", "there is no file './no.yaml'");
	refuse("machine: ''\n", "the name is empty");
	refuse("dump: slabinfo@never\n", "s.yaml:1:7: dump: unknown moment 'never'");
}

/* Would catch: the later of two equal keys silently winning, in one map, across spellings, or by an alias. */
static void keys_set_twice_are_told_with_both_places(void **state)
{
	(void)state;
	refuse("seed: 1\nlabel: x\nseed: 2\n", "s.yaml:3:1: the key 'seed' is set twice, first at line 1, column 1");
	refuse("machine: {cpus: 1}\nmachine.cpus: 2\n", "'machine.cpus' is set twice, first at line 1, column 11");
	refuse("machine: {cpus: 1}\nmachine: {cache_line: 64 B}\n", "'machine' is set twice");
	refuse("machine.memory: 1 GiB\nmemory: 2 GiB\n",
	       "s.yaml:2:1: the key 'memory' sets again what 'machine.memory' set at line 1");
}

/* Would catch: --set with other errors than files have. */
static void wrong_sets_are_told(void **state)
{
	(void)state;
	refuse_set("alocator=slub", "--set: unknown key 'alocator'; did you mean 'allocator'?");
	refuse_set("allocator=slbo", "--set: allocator: unknown value 'slbo'");
	refuse_set("memory=512", "--set: machine.memory: '512' has no unit");
	refuse_set("seed", "--set: 'seed' is not of the form KEY=VALUE");
	refuse_set("machine=qemu-51m", "--set: there is no machine 'qemu-51m'");
	refuse_set("dump=x", "--set: dump: unknown kind 'x'");
	refuse_set("=1", "--set: unknown key ''");
}

/* Would catch: an endless descent into files, an error that does not name the including line. */
static void includes_that_do_not_end_are_refused(void **state)
{
	(void)state;
	refuse_file(write_file("self.yaml", "include: self.yaml\n"), "self.yaml:1:10: ");
	write_file("ping.yaml", "include: pong.yaml\n");
	refuse_file(write_file("pong.yaml", "include: ping.yaml\n"), "in a circle");
	write_file("machines/loop.yaml", "include: loop\n");
	refuse_file(write_file("loop-user.yaml", "machine: loop\n"), "in a circle");
	for (int i = 0; i < 12; i++) {
		char name[20], text[40];
		snprintf(name, sizeof name, "d%d.yaml", i);
		snprintf(text, sizeof text, "include: d%d.yaml\n", i + 1);
		write_file(name, text);
	}
	char first[300];
	snprintf(first, sizeof first, "%s/d0.yaml", folder);
	refuse_file(first, "more than 8 deep");
	refuse_file(write_file("wrong-machine.yaml", "machine: {include: [pc]}\ninclude: {a: 1}\n"), "takes a name or a list");
	refuse_file(folder, "cannot be read");
	refuse_file("no/such/file.yaml", "cannot be opened");
	write_file("machines/bad.yaml", "cpus: 1\ncpuss: 2\n");
	refuse_file(write_file("bad-user.yaml", "machine: bad\n"),
	            "machines/bad.yaml:2:1: unknown key 'cpuss'; did you mean 'cpus'?");
}

/* ---- hostile YAML ---- */

/* Would catch: aliases expanded (nine lines of them stand for gigabytes), anchors and tags let through. */
static void bombs_are_refused(void **state)
{
	(void)state;
	refuse("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "s.yaml:1:4: anchors");
	refuse("a: *a\n", "s.yaml:1:4: aliases");
	refuse("seed: !!int 1\n", "tags");
	refuse("<<: {seed: 1}\n", "unknown key '<<");
	refuse("a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: {q: 1}}}}}}}}}}}}}}}}\n", "nested too deep");
	refuse("seed: 1\n---\nseed: 2\n", "s.yaml:2:1: a second document");
	refuse("- seed\n", "expected keys");
	refuse("allocator: [[slub]]\n", "a list may hold single values only");
	refuse("[a, b]: 1\n", "a key must be a single word");
	refuse("'': 1\n", "a key is empty");
	refuse("label: \"a\\0b\"\n", "zero character");
	refuse("seed: 'x\n", "not YAML");
}

/* Would catch: bytes that are no text taken, or told without their place. */
static void bytes_that_are_no_text_are_refused(void **state)
{
	(void)state;
	refuse("seed: 1\nlabel: \xff\n", "s.yaml:2:8: not UTF-8 text");
	refuse("seed: 1\nlabel: \xc3\xa9\xed\xa0\x80\n", "s.yaml:2:9: not UTF-8 text");
	refuse("label: \x01\n", "s.yaml:1:8: not UTF-8 text");
	struct settings settings;
	struct error error = {0};
	struct scenario_source source = {.path = "s.yaml", .config_dirs = config_dirs};
	assert_false(scenario_parse(&source, "seed: 1\0", 8, &settings, &error));
	expect_message(&error, "not UTF-8 text");
}

static void refuse_generated(const char *unit, size_t count, const char *message)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	for (size_t i = 0; i < count; i++)
		fprintf(out, unit, i);
	fclose(out);
	refuse(text, message);
	free(text);
}

/* Would catch: time or memory that grows with what a hostile file asks for. */
static void large_files_are_refused(void **state)
{
	(void)state;
	refuse_generated("# comment %zu\n", 100000, "larger than 1 MiB");
	refuse_generated("key%zu: 1\n", 2000, "more than 1000 keys");
	refuse_generated("[", 100000, "expected keys");
	refuse_generated("{a: ", 100000, "nested too deep");
	refuse_generated("- %zu\n", 2000, "expected keys");
	refuse_generated("x%zux", 40000, "expected keys");
	char *list;
	size_t length;
	FILE *out = open_memstream(&list, &length);
	fputs("report: [a", out);
	for (int i = 0; i < 2000; i++)
		fprintf(out, ", r%d", i);
	fputs("]\n", out);
	fclose(out);
	refuse(list, "the list is too long");
	list[strlen("report: [a") + 400] = 0;
	char *shorter = xasprintf("%s]", list);
	refuse(shorter, "more than 64 values");
	free(shorter);
	free(list);
}

/* Law: any beginning of a scenario loads or is refused with words. Would catch: reads beyond the end, states left half-made. */
static void truncated_scenarios_load_or_say_why(void **state)
{
	(void)state;
	static const char text[] = "# question?\nmachine: {include: qemu-512m, latency: {l1: 4 cycles}}\nkernel: lab-6.1\n"
	                           "allocator: [slab, \"slub\", 'slob']\nsample.every: 10 ms\nlabel: |\n  text\n";
	for (size_t length = 0; length < sizeof text; length++) {
		struct settings settings;
		struct error error = {0};
		struct scenario_source source = {.path = "s.yaml", .config_dirs = config_dirs};
		if (scenario_parse(&source, text, length, &settings, &error))
			settings_release(&settings);
		else
			assert_true(error.kind != ERROR_NONE && error.text[0]);
	}
}

/* ---- what is printed ---- */

/* Loads what was printed, from a file elsewhere, and compares. */
static void check_reads_back(const struct settings *settings)
{
	char *text = printed(settings);
	struct settings again;
	load(write_file("elsewhere/printed.yaml", text), &again);
	assert_equal_settings(settings, &again);
	char *text_again = printed(&again);
	assert_string_equal(text, text_again);
	free(text_again);
	free(text);
	settings_release(&again);
}

/* Would catch: a value printed that YAML or the table reads otherwise: quotes, words, colons, numbers as text. */
static void printed_settings_read_back(void **state)
{
	(void)state;
	static const char *const labels[] = {"plain", "on",     "null", "~",     "12",  "a: b # c", "\"quoted\" \\ 'text'",
	                                     "- x",   "[a, b]", "&a",   "%done", " x ", "été →",    "a/b.c",
	                                     "@x",    "true",   "=",    "!x"};
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		struct settings settings;
		struct error error;
		char *set = xasprintf("label=%s", labels[i]);
		assert_true(parse_sets("", (const char *const[]){set, NULL}, &settings, &error));
		check_reads_back(&settings);
		settings_release(&settings);
		free(set);
	}
	struct settings settings;
	parse("machine: qemu-64m\nmemory: 12345678 B\nmachine.frequency: 1998.846 MHz\nseed: 18446744073709551615\nparanoid: 5\n"
	      "report: [memory, cycles]\nkernel: lab-6.1\ntrace: tests/unit/test.h\ncost.slob_page: 0\nsample.every: "
	      "off\n",
	      &settings);
	check_reads_back(&settings);
	settings_release(&settings);
}

/* Would catch: a committed config that does not load, or says nothing of itself. */
static void committed_configs_load(void **state)
{
	(void)state;
	static const char *const kinds[] = {"machines", "kernels", "scenarios"};
	for (size_t kind = 0; kind < 3; kind++) {
		struct config_list list;
		config_list_init(&list, config_dirs, kinds[kind]);
		assert_true(list.count > 1);
		for (size_t i = 0; i < list.count; i++) {
			struct settings settings;
			struct error error;
			assert_non_null(list.at[i].about);
			if (kind == 2) {
				load(list.at[i].path, &settings);
				assert_true(settings.trace || settings.accesses || settings.workload || settings.access_workload);
				assert_string_equal(settings.question, list.at[i].about);
				check_reads_back(&settings);
			} else {
				char *set = xasprintf("%s=%s", kind == 0 ? "machine" : "kernel", list.at[i].name);
				if (!parse_sets("", (const char *const[]){set, NULL}, &settings, &error))
					fail_msg("%s", error.text);
				assert_string_equal(kind == 0 ? settings.machine.name : settings.kernel.name, list.at[i].name);
				free(set);
			}
			settings_release(&settings);
		}
		config_list_release(&list);
	}
}

/* machines/pc.yaml and kernels/debian-6.1.yaml say that they are the defaults. Would catch: a default changed in one place only.
 */
static void default_configs_equal_the_defaults(void **state)
{
	(void)state;
	struct settings settings, defaults;
	parse("machine: pc\nkernel: debian-6.1\n", &settings);
	settings_init(&defaults);
	assert_equal_settings(&settings, &defaults);
	settings_release(&defaults);
	settings_release(&settings);
}

static void check_committed(const char *path, const char *format, void (*print)(const struct setting_names *, FILE *))
{
	FILE *in = fopen(path, "rb");
	if (!in)
		fail_msg("%s is missing: build/kmemsim list settings --format %s > %s", path, format, path);
	char *committed = xcalloc(1u << 20, 1), *generated;
	size_t length;
	assert_true(fread(committed, 1, (1u << 20) - 1, in) > 0);
	fclose(in);
	FILE *out = open_memstream(&generated, &length);
	struct setting_names *names = registry_names();
	print(names, out);
	registry_names_release(names);
	fclose(out);
	if (strcmp(committed, generated) != 0)
		fail_msg("%s is not what the table says: build/kmemsim list settings --format %s > %s", path, format, path);
	free(generated);
	free(committed);
}

/* Would catch: a row changed without the pages that people and editors read. */
static void committed_schema_and_page_are_the_tables(void **state)
{
	(void)state;
	check_committed("configs/schema.json", "schema", settings_print_schema);
	check_committed("docs/settings.md", "markdown", settings_print_markdown);
}

/* ---- dump ---- */

static void dump_requests(void **state)
{
	(void)state;
	struct dump_request request;
	struct error error = {0};
	assert_true(dump_request_parse(&request, NULL, "here", &error));
	assert_int_equal(request.kinds, 0);
	assert_true(dump_request_parse(&request, "buddyinfo,slabinfo,pagetypeinfo,zoneinfo@end", "here", &error));
	assert_int_equal(request.kinds,
	                 1u << DUMP_BUDDYINFO | 1u << DUMP_SLABINFO | 1u << DUMP_PAGETYPEINFO | 1u << DUMP_ZONEINFO);
	assert_true(request.at_end && request.every_ns == 0);
	assert_true(dump_request_parse(&request, "slabinfo", "here", &error));
	assert_true(request.at_end);
	assert_true(dump_request_parse(&request, "slabinfo@every=10ms", "here", &error));
	assert_true(!request.at_end && request.every_ns == 10000000);
	assert_true(dump_request_parse(&request, "extfrag_index@end|every=1 s", "here", &error));
	assert_true(request.at_end && request.every_ns == 1000000000);
	static const char *const wrong[] = {"x", "slabinfo,", ",", "slabinfo@", "slabinfo@every=", "slabinfo@every=0 ns", "@end"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		error = (struct error){0};
		assert_false(dump_request_parse(&request, wrong[i], "here", &error));
		assert_int_equal(strncmp(error.text, "here: dump: ", 12), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_plans_example_loads),
	        cmocka_unit_test(dotted_keys_and_maps_mean_the_same),
	        cmocka_unit_test(a_file_wins_over_its_includes),
	        cmocka_unit_test(a_scenario_may_have_a_base),
	        cmocka_unit_test(sets_win),
	        cmocka_unit_test(no_scenario_is_all_defaults),
	        cmocka_unit_test(the_first_comment_is_the_question),
	        cmocka_unit_test(traces_are_found_beside_the_scenario_first),
	        cmocka_unit_test(wrong_keys_and_values_are_told_with_their_place),
	        cmocka_unit_test(keys_set_twice_are_told_with_both_places),
	        cmocka_unit_test(wrong_sets_are_told),
	        cmocka_unit_test(includes_that_do_not_end_are_refused),
	        cmocka_unit_test(bombs_are_refused),
	        cmocka_unit_test(bytes_that_are_no_text_are_refused),
	        cmocka_unit_test(large_files_are_refused),
	        cmocka_unit_test(truncated_scenarios_load_or_say_why),
	        cmocka_unit_test(printed_settings_read_back),
	        cmocka_unit_test(committed_configs_load),
	        cmocka_unit_test(default_configs_equal_the_defaults),
	        cmocka_unit_test(committed_schema_and_page_are_the_tables),
	        cmocka_unit_test(dump_requests),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
