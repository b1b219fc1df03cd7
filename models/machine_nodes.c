/* SPDX-License-Identifier: MIT
 *
 * machine_nodes.c - reads machine.nodes and machine.distances (interface and grammar: machine_nodes.h).
 *
 * Source of the bounds: arch/x86/mm/numa.c: numa_set_distance (a byte; oneself is LOCAL_DISTANCE), drivers/acpi/numa/srat.c:
 * slit_valid (others are farther).
 */
#include "models/machine_nodes.h"

#include "sim/setting.h"

#include <stdlib.h>
#include <string.h>

/* Shares are whole blocks of the highest order, so that no block lies on two nodes. */
#define SHARE_BYTES ((uint64_t)PAGE_SIZE << (ORDERS - 1))

static const char memory_key[] = "memory=", cpus_key[] = "cpus=";

static bool fail_node(const char *text, const char *expected, struct error *error)
{
	char quoted[SETTING_QUOTE_MAX];
	return error_set(error, ERROR_USAGE, "machine.nodes: %s; expected %s", setting_quote(text, quoted), expected);
}

/* One CPU or a range of them; *at moves behind it. */
static bool read_cpus(const char **at, uint32_t *first, uint32_t *last)
{
	char *end;
	if (**at < '0' || **at > '9')
		return false;
	unsigned long from = strtoul(*at, &end, 10), to = from;
	if (*end == '-') {
		*at = end + 1;
		if (**at < '0' || **at > '9')
			return false;
		to = strtoul(*at, &end, 10);
	}
	*at = end;
	if (from > to || to >= CPUS_MAX)
		return false;
	*first = (uint32_t)from;
	*last = (uint32_t)to;
	return true;
}

static bool name_cpus(struct machine_nodes *nodes, unsigned node, const char *entry, const char *at, struct error *error)
{
	uint32_t first, last;
	nodes->names_cpus = true;
	if (strcmp(at, "none") == 0)
		return true;
	do {
		if (!read_cpus(&at, &first, &last))
			return fail_node(entry, "cpus= a list such as 0-3,8, or none", error);
		for (uint32_t cpu = first; cpu <= last; cpu++) {
			if (nodes->cpu_named[cpu])
				return error_set(error, ERROR_USAGE, "machine.nodes: CPU %u is on nodes %u and %u", cpu,
				                 nodes->node_of_cpu[cpu], node);
			nodes->cpu_named[cpu] = true;
			nodes->node_of_cpu[cpu] = (uint8_t)node;
		}
	} while (*at == ',' && *++at);
	return *at == '\0' || fail_node(entry, "cpus= a list such as 0-3,8, or none", error);
}

/* The value of a key up to the next key or the end, in `value`; false if the key is not there. */
static bool value_of(const char *entry, const char *key, char *value, size_t size)
{
	const char *at = strstr(entry, key);
	if (!at)
		return false;
	at += strlen(key);
	const char *other = strcmp(key, memory_key) == 0 ? strstr(at, cpus_key) : strstr(at, memory_key);
	size_t length = other ? (size_t)(other - at) : strlen(at);
	while (length > 0 && at[length - 1] == ' ')
		length--;
	if (length >= size)
		length = size - 1;
	memcpy(value, at, length);
	value[length] = '\0';
	return true;
}

static bool begins_with_key(const char *entry)
{
	return strncmp(entry, memory_key, strlen(memory_key)) == 0 || strncmp(entry, cpus_key, strlen(cpus_key)) == 0;
}

static bool parse_node(struct machine_nodes *nodes, unsigned node, const char *entry, struct error *error)
{
	char value[256], why[SETTING_WHY_MAX];
	if (strcmp(entry, "share") == 0)
		return true;
	if (!begins_with_key(entry))
		return fail_node(entry, "memory=SIZE, cpus=LIST, both, or the word share", error);
	if (value_of(entry, memory_key, value, sizeof value)) {
		nodes->has_memory[node] = true;
		if (!setting_parse_number(SETTING_SIZE, value, &nodes->memory_bytes[node], why))
			return fail_node(entry, "memory= a size with its unit, such as 2 GiB", error);
	}
	return !value_of(entry, cpus_key, value, sizeof value) || name_cpus(nodes, node, entry, value, error);
}

/* A row of as many distances as there are rows. */
static bool parse_row(struct machine_nodes *nodes, unsigned row, unsigned count, const char *text, struct error *error)
{
	const char *at = text;
	char quoted[SETTING_QUOTE_MAX];
	for (unsigned i = 0; i < count; i++) {
		char *end;
		unsigned long distance = strtoul(at, &end, 10);
		bool right = i == row ? distance == LOCAL_DISTANCE : distance > LOCAL_DISTANCE;
		if (end == at || distance > UINT8_MAX || !right)
			return error_set(
			        error, ERROR_USAGE,
			        "machine.distances: row %u is %s; expected %u numbers, %d to itself and %d to %d to the others",
			        row, setting_quote(text, quoted), count, LOCAL_DISTANCE, LOCAL_DISTANCE + 1, UINT8_MAX);
		nodes->distance[row][i] = (uint8_t)distance;
		at = end;
	}
	return *at == '\0' || error_set(error, ERROR_USAGE, "machine.distances: row %u is %s; expected %u numbers", row,
	                                setting_quote(text, quoted), count);
}

static bool parse_distances(struct machine_nodes *nodes, const struct machine_settings *machine, struct error *error)
{
	if (machine->distances_count > MACHINE_NODES_MAX)
		return error_set(error, ERROR_USAGE, "machine.distances: %u rows; expected at most %u", machine->distances_count,
		                 MACHINE_NODES_MAX);
	for (uint32_t row = 0; row < machine->distances_count; row++)
		if (!parse_row(nodes, row, machine->distances_count, machine->distances[row], error))
			return false;
	return true;
}

bool machine_distances_check(const struct settings *settings, struct error *error)
{
	struct machine_nodes unused = {0};
	return parse_distances(&unused, &settings->machine, error);
}

bool machine_nodes_check(const struct settings *settings, struct error *error)
{
	const struct machine_settings *machine = &settings->machine;
	struct machine_nodes nodes = {0};
	if (machine->nodes_count > MACHINE_NODES_MAX)
		return error_set(error, ERROR_USAGE, "machine.nodes: %u nodes; expected at most %u", machine->nodes_count,
		                 MACHINE_NODES_MAX);
	for (uint32_t node = 0; node < machine->nodes_count; node++)
		if (!parse_node(&nodes, node, machine->nodes[node], error))
			return false;
	return true;
}

bool machine_nodes_parse(struct machine_nodes *nodes, const struct settings *settings, struct error *error)
{
	const struct machine_settings *machine = &settings->machine;
	*nodes = (struct machine_nodes){.count = machine->nodes_count};
	if (!machine_nodes_check(settings, error))
		return false;
	for (unsigned node = 0; node < nodes->count; node++)
		for (unsigned other = 0; other < nodes->count; other++)
			nodes->distance[node][other] = node == other ? LOCAL_DISTANCE : REMOTE_DISTANCE;
	for (unsigned node = 0; node < nodes->count; node++)
		if (!parse_node(nodes, node, machine->nodes[node], error))
			return false;
	if (machine->distances_count && machine->distances_count != nodes->count)
		return error_set(error, ERROR_USAGE, "machine.distances: %u rows for %u nodes (machine.nodes)",
		                 machine->distances_count, nodes->count);
	return parse_distances(nodes, machine, error);
}

static bool share_cpus(struct machine_nodes *nodes, unsigned cpus, struct error *error)
{
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (nodes->names_cpus && cpu < cpus && !nodes->cpu_named[cpu])
			return error_set(error, ERROR_USAGE, "machine.nodes: CPU %u of %u is on no node", cpu, cpus);
		if (nodes->cpu_named[cpu] && cpu >= cpus)
			return error_set(error, ERROR_USAGE, "machine.nodes: CPU %u; the machine has %u (machine.cpus)", cpu,
			                 cpus);
		if (!nodes->names_cpus && cpu < cpus)
			nodes->node_of_cpu[cpu] = (uint8_t)(cpu * nodes->count / cpus);
	}
	return true;
}

bool machine_nodes_share(struct machine_nodes *nodes, unsigned cpus, uint64_t bytes, struct error *error)
{
	uint64_t left = bytes;
	unsigned sharers = 0;
	for (unsigned node = 0; node < nodes->count; node++) {
		sharers += !nodes->has_memory[node];
		if (nodes->has_memory[node] && nodes->memory_bytes[node] > left)
			return error_set(error, ERROR_USAGE, "machine.nodes: the nodes have more than the %llu bytes of memory",
			                 (unsigned long long)bytes);
		left -= nodes->has_memory[node] ? nodes->memory_bytes[node] : 0;
	}
	for (unsigned node = 0; node < nodes->count; node++) {
		if (nodes->has_memory[node])
			continue;
		uint64_t share = sharers == 1 ? left : left / sharers / SHARE_BYTES * SHARE_BYTES;
		nodes->memory_bytes[node] = share;
		left -= share;
		sharers--;
	}
	return share_cpus(nodes, cpus, error);
}
