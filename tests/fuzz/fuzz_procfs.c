/* SPDX-License-Identifier: MIT
 *
 * fuzz_procfs.c - any bytes as /proc files: the first byte chooses the reader, the rest is the file. What is read must print, and
 * what was printed must be readable again.
 */
#include "sim/procfs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool read_zones(struct procfs_memory *, const char *, const char *, size_t, struct error *);

static read_zones *const readers[] = {procfs_read_buddyinfo, procfs_read_pagetypeinfo, procfs_read_zoneinfo};

static void print_zones(const struct procfs_memory *memory, unsigned kind, FILE *out)
{
	if (kind == 0)
		procfs_print_buddyinfo(memory->zones, memory->count, out);
	else if (kind == 1)
		procfs_print_pagetypeinfo(memory->zones, memory->count, memory->pageblock_order, out);
	else
		procfs_print_zoneinfo(memory->zones, memory->count, out);
}

static void check_zones(unsigned kind, const char *text, size_t length)
{
	struct procfs_memory *memory = xcalloc(2, sizeof *memory);
	struct error error = {0};
	char *printed;
	size_t printed_length;
	if (readers[kind](memory, "fuzz", text, length, &error)) {
		FILE *out = open_memstream(&printed, &printed_length);
		SIM_ASSERT(out);
		print_zones(memory, kind, out);
		fclose(out);
		bool empty = printed_length == 0; /* only zones of device memory */
		bool read = readers[kind](memory + 1, "printed", printed, printed_length, &error);
		SIM_ASSERT(read || empty);
		free(printed);
		FILE *nowhere = fopen("/dev/null", "w");
		SIM_ASSERT(nowhere);
		procfs_print_unusable_index(memory->zones, memory->count, nowhere);
		procfs_print_extfrag_index(memory->zones, memory->count, nowhere);
		fclose(nowhere);
	}
	free(memory);
}

static void check_slabinfo(const char *text, size_t length)
{
	struct procfs_slabinfo slabinfo, again;
	struct error error = {0};
	char *printed;
	size_t printed_length;
	if (!procfs_read_slabinfo(&slabinfo, "fuzz", text, length, &error))
		return;
	FILE *out = open_memstream(&printed, &printed_length);
	SIM_ASSERT(out);
	procfs_print_slabinfo(slabinfo.at, slabinfo.count, out);
	fclose(out);
	bool read = procfs_read_slabinfo(&again, "printed", printed, printed_length, &error);
	SIM_ASSERT(read && again.count == slabinfo.count);
	procfs_slabinfo_release(&again);
	procfs_slabinfo_release(&slabinfo);
	free(printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = xcalloc(size, 1);
	memcpy(text, data + 1, size - 1);
	unsigned kind = data[0] % 4;
	if (kind == 3)
		check_slabinfo(text, size - 1);
	else
		check_zones(kind, text, size - 1);
	free(text);
	return 0;
}
