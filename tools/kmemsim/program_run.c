/* SPDX-License-Identifier: MIT
 *
 * program_run.c - a program's accesses as a process's (interface: program_run.h).
 */
#include "tools/kmemsim/program_run.h"

#include "models/access_workload.h"
#include "models/mmu_settings.h"
#include "models/program_load.h"
#include "sim/path.h"
#include "tools/kmemsim/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* More than most programs touch; of a 32-bit machine what its addresses reach without PAE. */
#define MEMORY_BYTES (8ull << 30)
#define MEMORY_BYTES_32 (4ull << 30)

bool program_is_wanted(const struct settings *settings)
{
	return settings->address_space == PAGES_OF_PROCESS &&
	       (is_named(settings->accesses) || is_named(settings->access_workload));
}

uint64_t program_memory_bytes(const struct settings *settings)
{
	return settings->machine.architecture == ARCHITECTURE_X86_32 ? MEMORY_BYTES_32 : MEMORY_BYTES;
}

struct access_source *program_source_open(const struct settings *settings, struct error *error)
{
	if (is_named(settings->accesses))
		return access_source_open(settings->accesses, NULL, error);
	return access_workload_open(settings->access_workload, settings->machine.cpus, settings->seed, error);
}

/* The accesses are read once to find the program's areas, and once more by each run. */
static bool can_be_read_again(const char *path, struct error *error)
{
	struct stat about;
	if (stat(path, &about) != 0)
		return error_set(error, ERROR_INPUT, "%s: %s", path, strerror(errno));
	return S_ISREG(about.st_mode) ||
	       error_set(error, ERROR_USAGE,
	                 "accesses: '%s' can be read only once; address_space: process reads twice, expected a regular file",
	                 path);
}

/* All that the program touches is written sooner or later, so it has to have a frame or a place in swap. */
static bool fits(const struct program *program, const struct settings *settings, const char *name, struct error *error)
{
	uint64_t room = settings->machine.memory_bytes + settings->swap.bytes;
	return program->pages <= room >> PAGE_SHIFT ||
	       error_set(error, ERROR_USAGE,
	                 "%s: touches %" PRIu64 " pages of 4 KiB; machine.memory and swap.size hold %" PRIu64 " together", name,
	                 program->pages, room >> PAGE_SHIFT);
}

static bool read_program(struct program *program, const struct settings *settings, const struct program_reading *reading,
                         struct error *error)
{
	struct access_source *source = program_source_open(settings, error);
	bool sound = source != NULL;
	if (sound && source->has_locks)
		sound = error_set(error, ERROR_USAGE,
		                  "access_workload: '%s' takes locks, which address_space: process has none of", reading->name);
	sound = sound && program_read(program, source, reading, error);
	access_source_close(source);
	return sound;
}

int program_write(const struct settings *settings, struct error *error)
{
	const char *name = is_named(settings->accesses) ? settings->accesses : settings->access_workload;
	const struct translation_ops *mode = mode_of_processes(settings, error);
	struct program program = {0};
	struct progress_bar bar;
	int file = -1;
	if (!mode || (is_named(settings->accesses) && !can_be_read_again(name, error)))
		return -1;
	const struct program_load load = {.program = &program, .user_end = user_end_of(mode)};
	progress_bar_start(&bar, "reading the program");
	struct progress progress = progress_bar_callback(&bar);
	const struct program_reading reading = {
	        .name = name, .cpus = settings->machine.cpus, .user_end = load.user_end, .progress = &progress};
	const struct workload_wiring wiring = {.ops = &program_load_ops,
	                                       .values = &load,
	                                       .line = is_named(settings->accesses) ? path_name(name) : name,
	                                       .cpus = settings->machine.cpus,
	                                       .memory_bytes = settings->machine.memory_bytes,
	                                       .seed = settings->seed,
	                                       .progress = &progress};
	if (read_program(&program, settings, &reading, error) && fits(&program, settings, name, error))
		file = workload_write(&wiring, error);
	progress_bar_end(&bar);
	program_release(&program);
	return file;
}
