/* SPDX-License-Identifier: MIT
 *
 * host_sysfs.c - reads the kernel's files about its machine (interface: host_sysfs.h).
 *
 * Formats: Linux Documentation/ABI/testing/sysfs-devices-system-cpu, sysfs-devices-node, sysfs-firmware-memmap.
 */
#include "sim/io/host_sysfs.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096u
#define CPUINFO_BYTES_MAX 65536u
#define INDEXES_MAX 16u
#define CPU_NUMBERS_MAX 8192u
#define KIB 1024ull
#define MHZ 1000000ull
#define KHZ 1000ull

/* A file's first bytes as text; false: it cannot be read. */
static bool read_text(char *text, size_t size, const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	size_t length = 0;
	ssize_t count = 1;
	while (length < size - 1 && (count = read(file, text + length, size - 1 - length)) > 0)
		length += (size_t)count;
	close(file);
	text[length] = '\0';
	return count >= 0;
}

/* The first line of a file that says something. */
__attribute__((format(printf, 3, 4))) static bool read_line(char *text, size_t size, const char *format, ...)
{
	char path[2 * FILE_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(path, sizeof path, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof path || !read_text(text, size, path))
		return false;
	const size_t first = strspn(text, "\n"); /* a node's meminfo begins with an empty line on some kernels */
	memmove(text, text + first, strlen(text + first) + 1);
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* A whole number at the start of a text; 0 if there is none. */
static uint64_t number(const char *text, int base)
{
	return strtoull(text, NULL, base);
}

static uint64_t bounded(uint64_t value, uint64_t max)
{
	return value <= max ? value : 0;
}

/* How many numbers a list such as "0-3,8" holds; 0 if it is none. */
static uint32_t count_of_list(const char *text)
{
	uint32_t count = 0;
	while (*text >= '0' && *text <= '9') {
		char *end;
		uint64_t first = strtoull(text, &end, 10), last = first;
		if (*end == '-')
			last = strtoull(end + 1, &end, 10);
		if (last < first || last >= CPU_NUMBERS_MAX)
			return 0;
		count += (uint32_t)(last - first + 1);
		text = *end == ',' ? end + 1 : end;
	}
	return *text ? 0 : count;
}

/* ---- caches ---- */

static bool read_cache(struct machine_cache *cache, const char *root, unsigned index)
{
	char folder[FILE_BYTES_MAX], text[HOST_TEXT_MAX];
	snprintf(folder, sizeof folder, "%s/sys/devices/system/cpu/cpu0/cache/index%u", root, index);
	*cache = (struct machine_cache){0};
	if (!read_line(text, sizeof text, "%s/level", folder))
		return false;
	cache->level = (unsigned)bounded(number(text, 10), UINT8_MAX);
	if (read_line(text, sizeof text, "%s/type", folder))
		cache->serves = text[0] == 'I' ? MACHINE_CODE : text[0] == 'D' ? MACHINE_DATA : MACHINE_ALL;
	if (read_line(text, sizeof text, "%s/size", folder))
		cache->size_bytes = bounded(number(text, 10), UINT32_MAX) * KIB;
	if (read_line(text, sizeof text, "%s/ways_of_associativity", folder))
		cache->ways = (uint32_t)bounded(number(text, 10), UINT32_MAX);
	if (read_line(text, sizeof text, "%s/coherency_line_size", folder))
		cache->line_bytes = (uint32_t)bounded(number(text, 10), UINT32_MAX);
	if (read_line(text, sizeof text, "%s/shared_cpu_list", folder))
		cache->cpus = count_of_list(text);
	return true;
}

/* ---- memory ---- */

static int by_address(const void *left, const void *right)
{
	const struct host_ram *a = left, *b = right;
	return a->first < b->first ? -1 : a->first > b->first;
}

/* Ranges that touch become one. */
static void join_ram(struct host_facts *facts)
{
	unsigned kept = 0;
	qsort(facts->ram, facts->ram_count, sizeof facts->ram[0], by_address);
	for (unsigned i = 0; i < facts->ram_count; i++) {
		struct host_ram *before = kept ? &facts->ram[kept - 1] : NULL;
		if (!before || facts->ram[i].first > before->last + 1)
			facts->ram[kept++] = facts->ram[i];
		else if (facts->ram[i].last > before->last)
			before->last = facts->ram[i].last;
	}
	facts->ram_count = kept;
}

static void read_ram(struct host_facts *facts, const char *root)
{
	char text[HOST_TEXT_MAX];
	for (unsigned index = 0; facts->ram_count < HOST_RAM_MAX; index++) {
		if (!read_line(text, sizeof text, "%s/sys/firmware/memmap/%u/type", root, index))
			break;
		struct host_ram range = {0};
		if (strcmp(text, "System RAM") != 0)
			continue;
		if (read_line(text, sizeof text, "%s/sys/firmware/memmap/%u/start", root, index))
			range.first = number(text, 16);
		if (read_line(text, sizeof text, "%s/sys/firmware/memmap/%u/end", root, index))
			range.last = number(text, 16);
		if (range.last > range.first && range.last < 1ull << 52)
			facts->ram[facts->ram_count++] = range;
	}
	join_ram(facts);
}

/* ---- nodes ---- */

static void keep_list(char *to, const char *from)
{
	size_t length = strspn(from, "0123456789-, ");
	while (length > 0 && from[length - 1] == ' ')
		length--;
	memcpy(to, from, length);
	to[length] = '\0';
}

static void read_node(struct host_facts *facts, const char *root, unsigned number_of)
{
	char text[HOST_TEXT_MAX];
	struct host_node node = {.number = number_of};
	if (!read_line(text, sizeof text, "%s/sys/devices/system/node/node%u/cpulist", root, number_of))
		return;
	keep_list(node.cpus, text);
	if (read_line(text, sizeof text, "%s/sys/devices/system/node/node%u/distance", root, number_of))
		keep_list(node.distances, text);
	if (read_line(text, sizeof text, "%s/sys/devices/system/node/node%u/meminfo", root, number_of)) {
		const char *total = strstr(text, "MemTotal:");
		if (total)
			node.memory_bytes = bounded(number(total + strlen("MemTotal:"), 10), UINT64_MAX / KIB) * KIB;
	}
	facts->nodes[facts->nodes_count++] = node;
}

/* ---- processor ---- */

/* What stands behind the colon of a key of /proc/cpuinfo, NULL if the key is not there. */
static const char *cpuinfo_value(const char *text, const char *key)
{
	const char *at = strstr(text, key), *colon = at ? strchr(at, ':') : NULL;
	return colon ? colon + 1 : NULL;
}

static void read_cpuinfo(struct host_facts *facts, const char *root)
{
	char path[FILE_BYTES_MAX], *text = xcalloc(CPUINFO_BYTES_MAX, 1);
	snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
	if (read_text(text, CPUINFO_BYTES_MAX, path)) {
		const char *sizes = cpuinfo_value(text, "\naddress sizes"), *mhz = cpuinfo_value(text, "\ncpu MHz");
		const char *linear = sizes ? strstr(sizes, "physical,") : NULL;
		if (linear)
			facts->linear_bits = (unsigned)bounded(number(linear + strlen("physical,"), 10), 64);
		if (mhz && facts->frequency_hz == 0) {
			facts->frequency_hz = bounded(number(mhz, 10), UINT32_MAX) * MHZ;
			facts->frequency_source = "/proc/cpuinfo";
		}
	}
	free(text);
}

static void read_frequency(struct host_facts *facts, const char *root)
{
	static const char *const files[] = {"base_frequency", "cpuinfo_max_freq"};
	char text[HOST_TEXT_MAX];
	for (unsigned i = 0; i < 2 && facts->frequency_hz == 0; i++)
		if (read_line(text, sizeof text, "%s/sys/devices/system/cpu/cpu0/cpufreq/%s", root, files[i])) {
			facts->frequency_hz = bounded(number(text, 10), UINT32_MAX) * KHZ;
			facts->frequency_source = files[i];
		}
}

void host_sysfs_read(const char *root, struct host_facts *facts)
{
	char text[HOST_TEXT_MAX];
	*facts = (struct host_facts){0};
	if (read_line(text, sizeof text, "%s/sys/devices/system/cpu/online", root))
		facts->cpus = count_of_list(text);
	for (unsigned index = 0; index < INDEXES_MAX && read_cache(&facts->caches[facts->caches_count], root, index); index++)
		facts->caches_count++;
	read_frequency(facts, root);
	read_cpuinfo(facts, root);
	read_ram(facts, root);
	for (unsigned node = 0; node < HOST_NODES_MAX; node++)
		read_node(facts, root, node);
}
