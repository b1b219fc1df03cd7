/* SPDX-License-Identifier: MIT
 *
 * test_machine_facts.c - CPUID of real processors decoded, and the machine files made of it.
 *
 * Expected caches are those that the makers publish: Intel's ARK and optimization manual, AMD's optimization guides for families
 * 17h and 19h, and what the dumps' own tool printed beside them ("L2 Unified Cache: 256 KB, 8-way"). Expected TLBs are what
 * Intel's table of descriptors says of each descriptor in the dump (SDM vol. 2A, CPUID), and for AMD the entries of the
 * optimization guides.
 */
#include "tests/unit/test.h"

#include "models/cache_settings.h"
#include "models/machine_file.h"
#include "models/mmu_settings.h"
#include "models/scenario.h"
#include "sim/cpuid.h"
#include "sim/io/decompress.h"
#include "sim/machine_decode.h"
#include "sim/machine_facts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB 1024ull
#define MIB (1024 * KIB)

#define CODE MACHINE_CODE
#define DATA MACHINE_DATA
#define ALL MACHINE_ALL
#define P4K MACHINE_4K
#define LARGE (MACHINE_2M | MACHINE_4M)
#define P1G MACHINE_1G

static struct cpuid_table table_of(const char *name)
{
	struct cpuid_table table = {0};
	struct error error = {0};
	char *path = xasprintf("tests/data/cpuid/%s.txt", name), *text;
	size_t bytes;
	assert_true(decompress_all(path, CPUID_FILE_BYTES_MAX, &text, &bytes, &error));
	bool read = cpuid_read(&table, path, text, bytes, &error);
	if (!read)
		print_error("%s\n", error.text);
	assert_true(read);
	free(text);
	free(path);
	return table;
}

static struct machine_facts facts_of(const char *name)
{
	struct cpuid_table table = table_of(name);
	struct machine_facts facts;
	struct error error = {0};
	bool decoded = machine_facts_decode(&table, &facts, &error);
	if (!decoded)
		print_error("%s: %s\n", name, error.text);
	assert_true(decoded);
	cpuid_release(&table);
	return facts;
}

/* ---- what the makers publish ---- */

struct expected_cache {
	unsigned level, serves;
	uint64_t size;
	unsigned ways, cpus;
	bool inclusive;
};

struct expected_tlb {
	unsigned level, serves, entries, ways, pages;
};

static const struct machine {
	const char *name;
	unsigned family, model, cpus, threads, physical_bits;
	uint64_t mhz;
	bool la57, gigabyte_pages, hypervisor;
	struct expected_cache caches[5];
	struct expected_tlb tlbs[8];
} machines[] = {
        {"haswell",
         6,
         0x3c,
         8,
         2,
         39,
         3400,
         false,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 32 * KIB, 8, 2, false},
          {2, ALL, 256 * KIB, 8, 2, false},
          {3, ALL, 8 * MIB, 16, 8, true}},
         {{1, CODE, 64, 8, P4K},
          {1, CODE, 8, 0, LARGE},
          {1, DATA, 64, 4, P4K},
          {1, DATA, 32, 4, LARGE},
          {1, DATA, 4, 4, P1G},
          {2, ALL, 1024, 8, P4K | LARGE}}},
        {"skylake",
         6,
         0x5e,
         4,
         1,
         39,
         2200,
         false,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 1, false},
          {1, DATA, 32 * KIB, 8, 1, false},
          {2, ALL, 256 * KIB, 4, 1, false},
          {3, ALL, 6 * MIB, 12, 4, true}},
         {{1, CODE, 128, 8, P4K},
          {1, CODE, 8, 0, LARGE},
          {1, DATA, 64, 4, P4K},
          {1, DATA, 32, 4, LARGE},
          {1, DATA, 4, 4, P1G},
          {2, ALL, 1536, 6, P4K | LARGE},
          {2, ALL, 16, 4, P1G}}},
        {"icelake-client",
         6,
         0x7e,
         8,
         2,
         39,
         1500,
         false,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 48 * KIB, 12, 2, false},
          {2, ALL, 512 * KIB, 8, 2, false},
          {3, ALL, 8 * MIB, 16, 8, true}},
         {{1, CODE, 8, 0, P4K | LARGE},
          {1, DATA, 64, 4, P4K},
          {1, DATA, 32, 4, LARGE},
          {1, DATA, 8, 0, P1G},
          {2, ALL, 2048, 16, P4K | LARGE | P1G}}},
        {"icelake-server",
         6,
         0x6a,
         48,
         2,
         46,
         2400,
         true,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 48 * KIB, 12, 2, false},
          {2, ALL, 1280 * KIB, 20, 2, false},
          {3, ALL, 36 * MIB, 12, 48, false}},
         {{1, CODE, 8, 0, P4K | LARGE},
          {1, DATA, 64, 4, P4K},
          {1, DATA, 32, 4, LARGE},
          {1, DATA, 8, 0, P1G},
          {2, ALL, 2048, 16, P4K | LARGE | P1G}}},
        {"sapphire-rapids",
         6,
         0x8f,
         40,
         2,
         52,
         2600,
         true,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 48 * KIB, 12, 2, false},
          {2, ALL, 2 * MIB, 16, 2, false},
          {3, ALL, 38400 * KIB, 15, 40, false}},
         {{1, CODE, 256, 8, P4K},
          {1, CODE, 32, 8, LARGE},
          {1, DATA, 64, 4, P4K},
          {1, DATA, 32, 4, LARGE},
          {1, DATA, 8, 0, P1G},
          {2, ALL, 2048, 16, P4K | LARGE | P1G}}},
        {"zen2",
         23,
         0x71,
         24,
         2,
         48,
         0,
         false,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 32 * KIB, 8, 2, false},
          {2, ALL, 512 * KIB, 8, 2, true},
          {3, ALL, 16 * MIB, 16, 6, false}},
         {{1, CODE, 64, 0, P4K | LARGE | P1G},
          {1, DATA, 64, 0, P4K | LARGE | P1G},
          {2, CODE, 1024, 8, P4K | LARGE},
          {2, DATA, 2048, 8, P4K | LARGE}}},
        {"zen3",
         25,
         0x21,
         32,
         2,
         48,
         0,
         false,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 32 * KIB, 8, 2, false},
          {2, ALL, 512 * KIB, 8, 2, true},
          {3, ALL, 32 * MIB, 16, 16, false}},
         {{1, CODE, 64, 0, P4K | LARGE | P1G},
          {1, DATA, 64, 0, P4K | LARGE | P1G},
          {2, CODE, 512, 4, P4K | LARGE},
          {2, DATA, 2048, 8, P4K | LARGE},
          {2, DATA, 64, 0, P1G}}},
        {"zen4",
         25,
         0x11,
         192,
         2,
         52,
         0,
         true,
         true,
         false,
         {{1, CODE, 32 * KIB, 8, 2, false},
          {1, DATA, 32 * KIB, 8, 2, false},
          {2, ALL, 1 * MIB, 8, 2, true},
          {3, ALL, 32 * MIB, 16, 16, false}},
         {{1, CODE, 64, 0, P4K | LARGE | P1G},
          {1, DATA, 72, 0, P4K | LARGE | P1G},
          {2, CODE, 512, 4, P4K | LARGE},
          {2, DATA, 3072, 8, P4K | LARGE},
          {2, DATA, 64, 0, P1G}}},
        {"zen4-guest",
         25,
         0x11,
         2,
         1,
         48,
         0,
         false,
         true,
         true,
         {{1, CODE, 32 * KIB, 8, 1, false},
          {1, DATA, 32 * KIB, 8, 1, false},
          {2, ALL, 1 * MIB, 8, 1, true},
          {3, ALL, 32 * MIB, 16, 2, false}},
         {{1, CODE, 64, 0, P4K | LARGE},
          {1, DATA, 72, 0, P4K | LARGE},
          {2, CODE, 512, 4, P4K | LARGE},
          {2, DATA, 3072, 8, P4K | LARGE}}},
};
#define MACHINES (sizeof machines / sizeof machines[0])

/* Would catch: a field taken from the wrong bits, "minus one" forgotten, sets and ways exchanged, sharing counted in APIC ids. */
static void caches_are_those_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < MACHINES; i++) {
		struct machine_facts facts = facts_of(machines[i].name);
		unsigned count = 0;
		for (; count < 5 && machines[i].caches[count].level; count++) {
			const struct expected_cache *expected = &machines[i].caches[count];
			const struct machine_cache *found = &facts.caches[count];
			assert_int_equal(found->level, expected->level);
			assert_int_equal(found->serves, expected->serves);
			assert_int_equal(found->size_bytes, expected->size);
			assert_int_equal(found->ways, expected->ways);
			assert_int_equal(found->cpus, expected->cpus);
			assert_int_equal(found->inclusive, expected->inclusive);
			assert_int_equal(found->line_bytes, 64);
		}
		assert_int_equal(facts.caches_count, count);
		machine_facts_release(&facts);
	}
}

/* Would catch: a descriptor with another's meaning, an array of AMD's counted once for each page size, ways of AMD's codes. */
static void tlbs_are_those_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < MACHINES; i++) {
		struct machine_facts facts = facts_of(machines[i].name);
		unsigned count = 0;
		for (; count < 8 && machines[i].tlbs[count].level; count++) {
			const struct expected_tlb *expected = &machines[i].tlbs[count];
			const struct machine_tlb *found = &facts.tlbs[count];
			assert_int_equal(found->level, expected->level);
			assert_int_equal(found->serves, expected->serves);
			assert_int_equal(found->entries, expected->entries);
			assert_int_equal(found->ways, expected->ways);
			assert_int_equal(found->pages, expected->pages);
		}
		assert_int_equal(facts.tlbs_count, count);
		machine_facts_release(&facts);
	}
}

/* Would catch: the extended model left out, GHz with a fraction misread, a hypervisor's machine taken for a bare one. */
static void the_rest_is_as_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < MACHINES; i++) {
		const struct machine *expected = &machines[i];
		struct machine_facts facts = facts_of(expected->name);
		assert_int_equal(facts.family, expected->family);
		assert_int_equal(facts.model, expected->model);
		assert_int_equal(facts.cpus, expected->cpus);
		assert_int_equal(facts.threads, expected->threads);
		assert_int_equal(facts.physical_bits, expected->physical_bits);
		assert_int_equal(facts.frequency_hz, expected->mhz * 1000000);
		assert_int_equal(facts.la57, expected->la57);
		assert_int_equal(facts.gigabyte_pages, expected->gigabyte_pages);
		assert_int_equal(facts.hypervisor, expected->hypervisor);
		assert_true(facts.nx && facts.smep);
		assert_int_equal(facts.hypervisor, facts.hypervisor_vendor[0] != '\0');
		machine_facts_release(&facts);
	}
}

/* APM vol. 3, table E-4. Would catch: codes taken for powers of two, which 6, 48 and 96 ways are not. */
static void ways_of_amd_are_coded(void **state)
{
	(void)state;
	static const uint8_t expected[16] = {0, 1, 2, 3, 4, 6, 8, 0, 16, 0, 32, 48, 64, 96, 128, 0};
	for (uint32_t code = 0; code < 16; code++) {
		uint32_t ways;
		bool full, elsewhere;
		assert_int_equal(machine_amd_ways(code, &ways, &full, &elsewhere), code != 7);
		assert_int_equal(ways, expected[code]);
		assert_int_equal(full, code == 15);
		assert_int_equal(elsewhere, code == 9);
	}
}

/* ---- machine files ---- */

/* The machine file of facts as a scenario's settings. */
static void load(const struct machine_facts *facts, const struct host_facts *host, struct settings *settings)
{
	const struct machine_latencies latencies = {.l1 = 5, .l2 = 15, .llc = 51, .dram = 301, .frequency_hz = 3700000000};
	const struct machine_file file = {.facts = facts, .host = host, .latencies = host ? &latencies : NULL, .indent = "  "};
	const struct scenario_source source = {.path = "test.yaml"};
	struct error error = {0};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	fputs("machine:\n", out);
	machine_file_print(&file, out);
	fclose(out);
	bool parsed = scenario_parse(&source, text, length, settings, &error);
	if (!parsed)
		print_error("%s\n%s", error.text, text);
	assert_true(parsed);
	free(text);
}

static bool has_note(const struct machine_facts *facts, const char *text)
{
	for (unsigned i = 0; i < facts->notes_count; i++)
		if (strstr(facts->notes[i], text))
			return true;
	return false;
}

/* Would catch: a key that is no setting's, caches that do not fit together, TLBs of one level that both hold a page size. */
static void machine_files_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < MACHINES; i++) {
		struct machine_facts facts = facts_of(machines[i].name);
		struct settings settings;
		struct error error = {0};
		struct mmus mmus;
		load(&facts, NULL, &settings);
		assert_int_equal(settings.machine.cpus, machines[i].cpus > CPUS_MAX ? 0 : machines[i].cpus);
		assert_int_equal(settings.machine.caches_count, facts.caches_count);
		assert_int_equal(settings.machine.tlbs_count, facts.tlbs_count);
		assert_int_equal(settings.machine.physical_address_bits, machines[i].physical_bits);
		assert_string_equal(settings.machine.paging, machines[i].la57 ? "x86_5level" : "x86_4level");
		assert_int_equal(has_note(&facts, "machine.virtualized=x86_4level"), machines[i].hypervisor);
		settings.machine.cpus = 1;
		struct cache_hierarchy *caches = caches_of_settings(&settings, false, NULL, &error);
		bool made = caches && mmus_create(&mmus, &settings, 1, &error);
		if (!made)
			print_error("%s: %s\n", machines[i].name, error.text);
		assert_true(made);
		mmus_release(&mmus);
		cache_hierarchy_destroy(caches);
		settings_release(&settings);
		machine_facts_release(&facts);
	}
}

/* ---- what the kernel says beside it ---- */

static void write_file(const char *root, const char *path, const char *text)
{
	char *whole = xasprintf("%s/%s", root, path);
	for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(whole, 0777);
		*slash = '/';
	}
	FILE *file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	free(whole);
}

static void write_cache(const char *root, unsigned index, const char *level, const char *type, const char *size,
                        const char *shared)
{
	char *path = xasprintf("sys/devices/system/cpu/cpu0/cache/index%u/", index);
	const char *const names[] = {"level", "type", "size", "shared_cpu_list", "ways_of_associativity", "coherency_line_size"};
	const char *const texts[] = {level, type, size, shared, "8\n", "64\n"};
	for (unsigned i = 0; i < 6; i++) {
		char *file = xasprintf("%s%s", path, names[i]);
		write_file(root, file, texts[i]);
		free(file);
	}
	free(path);
}

/* Would catch: a second opinion that is not heard, holes of memory that become usable, nodes in the wrong form. */
static void the_kernel_is_asked_too(void **state)
{
	(void)state;
	char root[] = "/tmp/kmemsim-host-XXXXXX", command[64];
	assert_non_null(mkdtemp(root));
	write_file(root, "sys/devices/system/cpu/online", "0-3\n");
	write_cache(root, 0, "1\n", "Data\n", "32K\n", "0\n");
	write_cache(root, 1, "2\n", "Unified\n", "512K\n", "0-1\n");
	write_file(root, "proc/cpuinfo",
	           "processor\t: 0\ncpu MHz\t\t: 2596.144\naddress sizes\t: 48 bits physical, 48 bits virtual\n");
	write_file(root, "sys/firmware/memmap/0/type", "System RAM\n");
	write_file(root, "sys/firmware/memmap/0/start", "0x0\n");
	write_file(root, "sys/firmware/memmap/0/end", "0x9fbff\n");
	write_file(root, "sys/firmware/memmap/1/type", "Reserved\n");
	write_file(root, "sys/firmware/memmap/2/type", "System RAM\n");
	write_file(root, "sys/firmware/memmap/2/start", "0x100000\n");
	write_file(root, "sys/firmware/memmap/2/end", "0x7fffffff\n");
	write_file(root, "sys/devices/system/node/node0/cpulist", "0-1\n");
	write_file(root, "sys/devices/system/node/node0/distance", "10 21\n");
	write_file(root, "sys/devices/system/node/node0/meminfo", "\nNode 0 MemTotal:       1048576 kB\n");
	write_file(root, "sys/devices/system/node/node1/cpulist", "2-3\n");
	write_file(root, "sys/devices/system/node/node1/distance", "21 10\n");
	struct host_facts host;
	host_sysfs_read(root, &host);
	snprintf(command, sizeof command, "rm -r %s", root);
	assert_int_equal(system(command), 0);
	assert_int_equal(host.cpus, 4);
	assert_int_equal(host.caches_count, 2);
	assert_int_equal(host.ram_count, 2);

	struct machine_facts facts = facts_of("zen4");
	struct settings settings;
	machine_file_compare(&facts, &host);
	assert_true(has_note(&facts, "CPUID says 1048576 bytes, /sys 524288"));
	assert_true(has_note(&facts, "the level 1 cache for code, which CPUID tells, is not in /sys"));
	assert_true(has_note(&facts, "could walk five levels"));
	load(&facts, &host, &settings);
	assert_int_equal(settings.machine.cpus, 4);
	assert_string_equal(settings.machine.paging, "x86_4level");
	assert_int_equal(settings.machine.memory_bytes, 2048 * MIB);
	assert_int_equal(settings.machine.reserved_count, 1);
	assert_string_equal(settings.machine.reserved[0], "9fc00-fffff");
	assert_int_equal(settings.machine.nodes_count, 2);
	assert_string_equal(settings.machine.nodes[0], "memory=1048576 KiB cpus=0-1");
	assert_string_equal(settings.machine.nodes[1], "cpus=2-3");
	assert_string_equal(settings.machine.distances[1], "21 10");
	assert_int_equal(settings.machine.dram_cycles, 301);
	assert_string_equal(settings.machine.caches[2], "l2 size=1MiB ways=8 cores=2 inclusion=inclusive");
	settings_release(&settings);
	machine_facts_release(&facts);
}

/* ---- input that cannot be ---- */

static struct error read_error(const char *text)
{
	struct cpuid_table table = {0};
	struct error error = {0};
	assert_false(cpuid_read(&table, "dump", text, strlen(text), &error));
	assert_int_equal(table.count, 0);
	return error;
}

/* Would catch: a damaged line that is passed over, an error without its place. */
static void damaged_tables_are_refused(void **state)
{
	(void)state;
	assert_non_null(strstr(read_error("").text, "no rows"));
	assert_non_null(strstr(read_error("CPU 0:\n\n 0x0 0x00: eax=0x1 ebx=0x2 ecx=0x3\n").text, "dump:3: expected a row"));
	assert_non_null(
	        strstr(read_error("0x0 0x00: eax=0x1 ebx=0x2 ecx=0x3 edx=0x4\n").text, "dump:1: expected a line 'CPU 0:'"));
	assert_non_null(strstr(read_error("CPU 0:\n0x0 0x00: eax=0x123456789 ebx=0x2 ecx=0x3 edx=0x4\n").text, "dump:2:"));
	assert_non_null(strstr(read_error("CPU zero:\n").text, "dump:1: expected 'CPU N:'"));
	assert_non_null(strstr(read_error("CPU 0:\n0x4 0x1: eax=0x1 ebx=0x2 ecx=0x3 edx=0x4\n"
	                                  "0x4 0x1: eax=0x1 ebx=0x2 ecx=0x3 edx=0x4\n")
	                               .text,
	                       "stands twice"));
}

/* Rows of the second CPU are read over, and what is printed reads back. Would catch: CPUs mixed into one table. */
static void a_table_prints_as_it_was_read(void **state)
{
	(void)state;
	static const char text[] = "CPU 0:\n   0x00000004 0x01: eax=0x1c004122 ebx=0x01c0003f ecx=0x0000003f edx=0x00000000\n";
	char *twice = xasprintf("# two CPUs\n%sCPU 1:\n0x4 0x1: eax=0x0 ebx=0x0 ecx=0x0 edx=0x0\r\n", text), *printed;
	struct cpuid_table table = {0};
	struct error error = {0};
	size_t length;
	assert_true(cpuid_read(&table, "dump", twice, strlen(twice), &error));
	FILE *out = open_memstream(&printed, &length);
	cpuid_print(&table, out);
	fclose(out);
	assert_string_equal(printed, text);
	free(printed);
	free(twice);
	cpuid_release(&table);
}

static struct error decode_error(const struct cpuid_leaf *rows, size_t count)
{
	struct cpuid_table table = {0};
	struct machine_facts facts;
	struct error error = {0};
	for (size_t i = 0; i < count; i++)
		assert_true(cpuid_add(&table, &rows[i]));
	assert_false(machine_facts_decode(&table, &facts, &error));
	cpuid_release(&table);
	return error;
}

#define INTEL \
	{ \
		0, 0, 0x18, 0x756e6547, 0x6c65746e, 0x49656e69 \
	}
#define AMD \
	{ \
		0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65 \
	}
#define L1D \
	{ \
		4, 0, 0x00000121, 0x01c0003f, 0x3f, 0 \
	}

/* Would catch: sizes that overflow, levels with a gap, TLBs without entries, that go on into a machine. */
static void leaves_that_cannot_be_are_refused(void **state)
{
	(void)state;
	const struct cpuid_leaf none[] = {INTEL}, amd_none[] = {AMD};
	assert_non_null(strstr(decode_error(none, 1).text, "expected leaf 4"));
	assert_non_null(strstr(decode_error(amd_none, 1).text, "expected leaf 0x8000001d"));
	const struct cpuid_leaf huge[] = {INTEL, {4, 0, 0x121, 0xffc0003f, 0xffffffff, 0}};
	assert_non_null(strstr(decode_error(huge, 2).text, "above 64 GiB"));
	const struct cpuid_leaf line[] = {INTEL, {4, 0, 0x121, 0x01c0002f, 0x3f, 0}};
	assert_non_null(strstr(decode_error(line, 2).text, "no power of two"));
	const struct cpuid_leaf gap[] = {INTEL, L1D, {4, 1, 0x163, 0x01c0003f, 0x3f, 0}};
	assert_non_null(strstr(decode_error(gap, 3).text, "none of the level above"));
	const struct cpuid_leaf twice[] = {INTEL, L1D, {4, 1, 0x121, 0x01c0003f, 0x3f, 0}};
	assert_non_null(strstr(decode_error(twice, 3).text, "same accesses"));
	const struct cpuid_leaf empty[] = {INTEL, L1D, {0x18, 0, 0, 0x00040001, 0, 0x21}};
	assert_non_null(strstr(decode_error(empty, 3).text, "a TLB of 0 entries"));
	const struct cpuid_leaf below[] = {INTEL, L1D, {0x18, 0, 0, 0x00040001, 16, 0x43}};
	assert_non_null(strstr(decode_error(below, 3).text, "level 2 and none of level 1"));
	const struct cpuid_leaf code[] = {AMD, {0x8000001d, 0, 0x121, 0x01c0003f, 0x3f, 0}, {0x80000006, 0, 0, 0x70404040, 0, 0}};
	assert_non_null(strstr(decode_error(code, 3).text, "reserved code 7"));
}

/* What such rows say; they can be. */
static struct machine_facts facts_of_rows(const struct cpuid_leaf *rows, size_t count)
{
	struct cpuid_table table = {0};
	struct machine_facts facts;
	struct error error = {0};
	for (size_t i = 0; i < count; i++)
		cpuid_add(&table, &rows[i]);
	assert_true(machine_facts_decode(&table, &facts, &error));
	cpuid_release(&table);
	return facts;
}

/* A K8 (family 15) has neither 8000001DH nor leaf 4: sizes as its data sheet says. Would catch: the old leaves' units. */
static void old_leaves_of_amd(void **state)
{
	(void)state;
	const struct cpuid_leaf rows[] = {AMD,
	                                  {1, 0, 0xf4a, 0, 0, 0},
	                                  {0x80000005, 0, 0xff08ff08, 0xff20ff20, 0x40020140, 0x40020140},
	                                  {0x80000006, 0, 0, 0x42004200, 0x04008140, 0}};
	struct machine_facts facts = facts_of_rows(rows, sizeof rows / sizeof rows[0]);
	assert_int_equal(facts.caches_count, 3);
	assert_int_equal(facts.caches[1].size_bytes, 64 * KIB);
	assert_int_equal(facts.caches[1].ways, 2);
	assert_int_equal(facts.caches[2].size_bytes, 1 * MIB);
	assert_int_equal(facts.caches[2].ways, 16);
	assert_int_equal(facts.tlbs_count, 6);
	machine_facts_release(&facts);
}

/* A guest on Zen 5 whose hypervisor leaves out 8000001DH: 80000006H then has the package's 508 MiB and "ways: see 8000001DH".
 * Would catch: a host that cannot be detected at all, or a core that is said to reach all of the package's L3. */
static void a_hidden_l3_is_one_complex_s(void **state)
{
	(void)state;
	const struct cpuid_leaf rows[] = {AMD,
	                                  {1, 0, 0x00b00f21, 0, 0, 0},
	                                  {0x80000005, 0, 0xff60ff40, 0xff60ff40, 0x300c0140, 0x20080140},
	                                  {0x80000006, 0, 0x40802040, 0x60804040, 0x04006140, 0x0fe09140}};
	struct machine_facts facts = facts_of_rows(rows, sizeof rows / sizeof rows[0]);
	assert_int_equal(facts.caches_count, 4);
	assert_int_equal(facts.caches[1].size_bytes, 48 * KIB);
	assert_int_equal(facts.caches[1].ways, 12);
	assert_int_equal(facts.caches[2].size_bytes, 1 * MIB);
	assert_int_equal(facts.caches[3].size_bytes, 32 * MIB);
	assert_int_equal(facts.caches[3].ways, 16);
	assert_true(facts.caches[3].exclusive);
	bool is_told = false;
	for (unsigned i = 0; i < facts.notes_count; i++)
		is_told |= strstr(facts.notes[i], "520192 KiB: a core complex's share") != NULL;
	assert_true(is_told);
	machine_facts_release(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(caches_are_those_published),
	        cmocka_unit_test(tlbs_are_those_published),
	        cmocka_unit_test(the_rest_is_as_published),
	        cmocka_unit_test(machine_files_load),
	        cmocka_unit_test(the_kernel_is_asked_too),
	        cmocka_unit_test(damaged_tables_are_refused),
	        cmocka_unit_test(a_table_prints_as_it_was_read),
	        cmocka_unit_test(leaves_that_cannot_be_are_refused),
	        cmocka_unit_test(old_leaves_of_amd),
	        cmocka_unit_test(a_hidden_l3_is_one_complex_s),
	        cmocka_unit_test(ways_of_amd_are_coded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
