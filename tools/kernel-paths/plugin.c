/* SPDX-License-Identifier: MIT
 *
 * plugin.c - a QEMU plugin that writes down what a kernel function does: every instruction and every access to memory between its
 * entry and its return, callees included.
 *
 * Arguments: out=FILE, functions=FILE (a line "ADDRESS NAME" each), trigger=ADDRESS (nothing is watched before the CPU comes
 * there), limit=N (calls of each function), longest=N (instructions of a call), code=on (instructions alone, one that repeats
 * itself once), phases=on (the CPU's every second time there it is watched no more, up to the next). Lines of the output: CPU,
 * then "C NAME" a call begins, "I ADDRESS" an instruction, "L ADDRESS BYTES" one that calls, "T ADDRESS" one that returns, "R
 * ADDRESS BYTES" and "W ADDRESS BYTES" what it read and wrote, "E" the call has returned, "X" it was too long, or ended
 * otherwise, and is given up, "P" a phase begins.
 *
 * Algorithm: a call is over when as many returns as calls, and one more, have been run since its entry. Retpolines, which return
 * to where they do not come from, keep the count; an interrupt in between is part of the call and shows by its symbols. What is
 * named asm_... or entry_... is a way into the kernel from a program, and over when a program's code runs again.
 *
 * The declarations are those of the plugin interface, version 1.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, void (*)(unsigned, uint32_t, uint64_t, void *), int, int,
                                      void *);
bool qemu_plugin_mem_is_store(uint32_t);
unsigned qemu_plugin_mem_size_shift(uint32_t);
void qemu_plugin_reset(uint64_t, void (*)(uint64_t));
int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define FUNCTIONS_MAX 64
#define CPUS_MAX 8
#define KERNEL_HALF 0xffff000000000000u
#define READS_AND_WRITES 3

enum kind { OTHER, RETURN, CALL };

struct watched {
	uint64_t at;
	char name[64];
	unsigned calls;
};

struct cpu {
	bool inside, entry;
	int depth;
	unsigned length;
	enum kind last;
	uint64_t last_at;
};

static struct watched functions[FUNCTIONS_MAX];
static unsigned function_count, limit = 1000, longest = 40000;
static bool code_alone, phases, paused;
static struct cpu cpus[CPUS_MAX];
static uint64_t trigger, plugin_id;
static FILE *out;

static bool is_prefix(unsigned char byte)
{
	return byte == 0x2e || byte == 0x3e || byte == 0xf3 || (byte & 0xf0) == 0x40;
}

static enum kind kind_of(const unsigned char *bytes)
{
	while (is_prefix(*bytes))
		bytes++;
	if (bytes[0] == 0xe8 || (bytes[0] == 0xff && (bytes[1] >> 3 & 7) == 2))
		return CALL;
	return bytes[0] == 0xc3 || bytes[0] == 0xc2 ? RETURN : OTHER;
}

static void on_access(unsigned number, uint32_t info, uint64_t at, void *unused)
{
	(void)unused;
	if (cpus[number].inside)
		fprintf(out, "%u %c %" PRIx64 " %u\n", number, qemu_plugin_mem_is_store(info) ? 'W' : 'R', at,
		        1u << qemu_plugin_mem_size_shift(info));
}

static void go_on(struct cpu *cpu, unsigned number, bool repeats)
{
	cpu->depth += cpu->last == CALL ? 1 : cpu->last == RETURN ? -1 : 0;
	bool over = cpu->depth < 0 && !cpu->entry;
	cpu->length += !repeats;
	cpu->inside = !over && cpu->length <= longest;
	if (!cpu->inside)
		fprintf(out, "%u %c\n", number, over ? 'E' : 'X');
}

static bool is_entry(const char *name)
{
	return !strncmp(name, "asm_", 4) || !strncmp(name, "entry_", 6);
}

static void begin(struct cpu *cpu, unsigned number, uint64_t at)
{
	for (unsigned i = 0; !paused && i < function_count; i++)
		if (functions[i].at == at && functions[i].calls++ < limit) {
			*cpu = (struct cpu){.inside = true, .entry = is_entry(functions[i].name)};
			fprintf(out, "%u C %s\n", number, functions[i].name);
		}
}

static void change_phase(struct cpu *cpu, unsigned number)
{
	paused = !paused;
	if (paused && cpu->inside)
		fprintf(out, "%u X\n", number);
	if (!paused)
		fprintf(out, "%u P\n", number);
	cpu->inside = false;
}

/* A program's code runs. */
static void on_program(unsigned number, void *unused)
{
	struct cpu *cpu = &cpus[number];
	(void)unused;
	if (cpu->inside)
		fprintf(out, "%u %c\n", number, cpu->entry ? 'E' : 'X');
	cpu->inside = false;
}

/* The address without its upper 16 bits, which are all set, and above it the length and the kind. */
static void on_instruction(unsigned number, void *packed)
{
	struct cpu *cpu = &cpus[number];
	uint64_t at = (uint64_t)packed | KERNEL_HALF;
	unsigned bytes = (unsigned)((uint64_t)packed >> 48 & 15);
	bool repeats = code_alone && at == cpu->last_at;
	if (phases && at == trigger)
		change_phase(cpu, number);
	if (cpu->inside)
		go_on(cpu, number, repeats);
	if (!cpu->inside)
		begin(cpu, number, at);
	cpu->last = (enum kind)((uint64_t)packed >> 62);
	if (cpu->inside && cpu->last == CALL)
		fprintf(out, "%u L %" PRIx64 " %u\n", number, at, bytes);
	else if (cpu->inside && !repeats)
		fprintf(out, "%u %c %" PRIx64 "\n", number, cpu->last == RETURN ? 'T' : 'I', at);
	cpu->last_at = at;
}

static void watch(uint64_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
		uint64_t at = qemu_plugin_insn_vaddr(instruction);
		if (at < KERNEL_HALF) {
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_program, 0, NULL);
			return;
		}
		uint64_t packed = (at & ~KERNEL_HALF) | (uint64_t)qemu_plugin_insn_size(instruction) << 48 |
		                  (uint64_t)kind_of(qemu_plugin_insn_data(instruction)) << 62;
		qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction, 0, (void *)packed);
		if (!code_alone)
			qemu_plugin_register_vcpu_mem_cb(instruction, on_access, 0, READS_AND_WRITES, NULL);
	}
}

static void start_watching(uint64_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, watch);
}

static void on_trigger(unsigned number, void *unused)
{
	static bool triggered;
	(void)unused;
	if (!triggered) {
		fprintf(out, "%u P\n", number);
		qemu_plugin_reset(plugin_id, start_watching);
	}
	triggered = true;
}

static void wait_for_trigger(uint64_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
		if (qemu_plugin_insn_vaddr(instruction) == trigger)
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_trigger, 0, NULL);
	}
}

static bool read_functions(const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	while (function_count < FUNCTIONS_MAX &&
	       fscanf(file, "%" SCNx64 " %63s", &functions[function_count].at, functions[function_count].name) == 2)
		function_count++;
	fclose(file);
	return function_count > 0;
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	plugin_id = id;
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (!value)
			return 1;
		*value++ = '\0';
		if (!strcmp(argv[i], "out"))
			out = fopen(value, "w");
		else if (!strcmp(argv[i], "functions") && !read_functions(value))
			return 1;
		else if (!strcmp(argv[i], "trigger"))
			trigger = strtoull(value, NULL, 16);
		else if (!strcmp(argv[i], "code"))
			code_alone = !strcmp(value, "on");
		else if (!strcmp(argv[i], "phases"))
			phases = !strcmp(value, "on");
		else if (!strcmp(argv[i], "limit"))
			limit = (unsigned)strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "longest"))
			longest = (unsigned)strtoul(value, NULL, 10);
	}
	if (!out || !function_count || !trigger)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, wait_for_trigger);
	return 0;
}
