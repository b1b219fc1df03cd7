/* SPDX-License-Identifier: MIT
 *
 * guest.c - the first program of `record-processes`' guest: makes the kernel go the paths of processes and areas, one kind after
 * the other. What is to be counted stands between begin(), which says its name on the console, and end(); both call
 * sethostname(), by which the plugin knows.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define TABLE (512 * PAGE) /* what one page table maps */
#define FREE_SPACE ((char *)0x100000000000)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED)
#define COMMON (MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED)
#define READ_WRITE (PROT_READ | PROT_WRITE)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	reboot(RB_AUTOBOOT);
}

static void begin(const char *name)
{
	char line[64];
	int length = snprintf(line, sizeof line, "path %s\n", name);
	must(write(1, line, (size_t)length) == length, "write");
	syscall(SYS_sethostname, "guest", 5);
}

static void end(void)
{
	syscall(SYS_sethostname, "guest", 5);
}

static void put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	must(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(file);
}

static void map(char *at, unsigned long pages, int rights, int kind, int file)
{
	must(mmap(at, pages * PAGE, rights, kind, file, 0) == at, "mmap");
}

static void write_pages(char *at, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		((volatile char *)at)[i * PAGE] = 1;
}

static void read_pages(char *at, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		(void)((volatile char *)at)[i * PAGE];
}

/* The table of an area is there, and stays: a page behind it is in use. */
static void keep_table(char *at)
{
	map(at + TABLE - PAGE, 1, READ_WRITE, PRIVATE, -1);
	write_pages(at + TABLE - PAGE, 1);
}

static void clear(char *at)
{
	must(munmap(at, 16 * TABLE) == 0, "munmap");
}

static void anonymous(void)
{
	char *at = FREE_SPACE;
	map(at, 400, READ_WRITE, PRIVATE, -1);
	write_pages(at, 1);
	begin("anonymous");
	write_pages(at + PAGE, 399);
	end();
	clear(at);
	map(at, 400, READ_WRITE, PRIVATE, -1);
	write_pages(at, 1);
	begin("zero-page");
	read_pages(at + PAGE, 399);
	end();
	begin("zero-page-written");
	write_pages(at + PAGE, 399);
	end();
	clear(at);
}

static void wait_for(pid_t child)
{
	must(waitpid(child, NULL, 0) == child, "waitpid");
}

static void copies(void)
{
	char *at = FREE_SPACE;
	map(at, 400, READ_WRITE, PRIVATE, -1);
	write_pages(at, 400);
	pid_t child = fork();
	if (child == 0) {
		begin("copied");
		write_pages(at, 400);
		end();
		_exit(0);
	}
	wait_for(child);
	begin("reused");
	write_pages(at, 400);
	end();
	clear(at);
}

/* Mappings of 1 to 16 pages of a file, all of which are in memory; of each the first page is read. */
static void around(const char *path)
{
	char *at = FREE_SPACE, name[64];
	int file = open(path, O_RDWR);
	must(file >= 0, path);
	keep_table(at);
	for (unsigned long pages = 1; pages <= 16; pages++)
		for (unsigned times = 0; times < 8; times++) {
			map(at, pages, PROT_READ, MAP_PRIVATE | MAP_FIXED, file);
			snprintf(name, sizeof name, "around%s %lu", strrchr(path, '/'), pages);
			begin(name);
			read_pages(at, 1);
			end();
			must(munmap(at, pages * PAGE) == 0, "munmap");
		}
	close(file);
	clear(at);
}

static void of_file(const char *path)
{
	char *at = FREE_SPACE, name[64];
	int file = open(path, O_RDWR);
	must(file >= 0, path);
	keep_table(at);
	put("/debug/fault_around_bytes", "4096");
	map(at, 256, READ_WRITE, MAP_SHARED | MAP_FIXED, file);
	snprintf(name, sizeof name, "read%s", strrchr(path, '/'));
	begin(name);
	read_pages(at, 256);
	end();
	map(at, 256, READ_WRITE, MAP_SHARED | MAP_FIXED, file);
	snprintf(name, sizeof name, "written%s", strrchr(path, '/'));
	begin(name);
	write_pages(at, 256);
	end();
	map(at, 256, READ_WRITE, MAP_PRIVATE | MAP_FIXED, file);
	write_pages(at, 1);
	snprintf(name, sizeof name, "copied%s", strrchr(path, '/'));
	begin(name);
	write_pages(at + PAGE, 255);
	end();
	put("/debug/fault_around_bytes", "65536");
	close(file);
	clear(at);
}

static void shared(void)
{
	char *at = FREE_SPACE;
	keep_table(at);
	map(at, 400, READ_WRITE, COMMON, -1);
	begin("shared-new");
	write_pages(at, 400);
	end();
	clear(at);
}

/* Areas of some pages, all or none of which are there, that merge with no other. */
static void areas(void)
{
	static const unsigned long sizes[] = {1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 256};
	char *at = FREE_SPACE, name[64];
	keep_table(at);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (unsigned times = 0; times < 16; times++) {
			bool touched = times % 2;
			snprintf(name, sizeof name, "%s %lu", touched ? "mapped" : "mapped-empty", sizes[i]);
			begin(name);
			char *made = mmap(at, sizes[i] * PAGE, READ_WRITE, PRIVATE, -1, 0);
			end();
			must(made == at, "mmap");
			if (touched)
				write_pages(at, sizes[i]);
			snprintf(name, sizeof name, "%s %lu", touched ? "unmapped" : "unmapped-empty", sizes[i]);
			begin(name);
			munmap(at, sizes[i] * PAGE);
			end();
		}
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		map(at, sizes[i], READ_WRITE, PRIVATE, -1);
		write_pages(at, sizes[i]);
		for (unsigned times = 0; times < 20; times++) {
			bool back = times % 2;
			snprintf(name, sizeof name, "%s %lu", back ? "protected-back" : "protected", sizes[i]);
			begin(name);
			mprotect(at, sizes[i] * PAGE, back ? READ_WRITE : PROT_READ);
			end();
		}
		munmap(at, sizes[i] * PAGE);
	}
	map(at, 16, READ_WRITE, PRIVATE, -1);
	begin("advised");
	for (unsigned times = 0; times < 50; times++)
		madvise(at, 16 * PAGE, MADV_DONTNEED);
	end();
	sbrk(64 * PAGE);
	begin("brk");
	for (unsigned times = 0; times < 50; times++)
		sbrk(4 * PAGE);
	end();
	clear(at);
}

static void fork_once(const char *name, unsigned long number)
{
	char line[64];
	snprintf(line, sizeof line, "%s %lu", name, number);
	begin(line);
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	wait_for(child);
	end();
}

static void forks(void)
{
	static const unsigned long counts[] = {0, 4, 8, 16, 32}, pages[] = {1, 64, 128, 256, 512};
	char *at = FREE_SPACE;
	for (unsigned i = 0; i < 5; i++)
		for (unsigned touched = 0; touched < 2; touched++) {
			for (unsigned long area = 0; area < counts[i]; area++) {
				map(at + 2 * area * PAGE, 1, READ_WRITE, PRIVATE, -1);
				if (touched)
					write_pages(at + 2 * area * PAGE, 1);
			}
			for (unsigned times = 0; times < 4; times++)
				fork_once(touched ? "fork-areas" : "fork-empty-areas", counts[i]);
			clear(at);
		}
	for (unsigned i = 0; i < 5; i++) {
		map(at, 512, READ_WRITE, PRIVATE, -1);
		write_pages(at, pages[i]);
		for (unsigned times = 0; times < 4; times++)
			fork_once("fork-pages", pages[i]);
		clear(at);
	}
	char *const arguments[] = {"/init", "leave", NULL}, *const environment[] = {"HOME=/", NULL};
	for (unsigned times = 0; times < 16; times++) {
		pid_t child = fork();
		if (child == 0) {
			begin("exec");
			execve("/init", arguments, environment);
			_exit(1);
		}
		wait_for(child);
		end();
	}
}

/* Two processes that wait for each other. */
static void switches(void)
{
	int there[2], back[2];
	char byte = 0;
	must(pipe(there) == 0 && pipe(back) == 0, "pipe");
	pid_t child = fork();
	if (child == 0) {
		while (read(there[0], &byte, 1) == 1 && byte == 0)
			must(write(back[1], &byte, 1) == 1, "write");
		_exit(0);
	}
	begin("switch");
	for (unsigned times = 0; times < 200; times++)
		must(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "pipe");
	end();
	byte = 1;
	must(write(there[1], &byte, 1) == 1, "write");
	wait_for(child);
}

static void huge_pages(void)
{
	char *at = FREE_SPACE, name[64];
	for (unsigned long pages = 64; pages <= 512; pages *= 2)
		for (unsigned times = 0; times < 4; times++) {
			map(at, 512, READ_WRITE, PRIVATE, -1);
			write_pages(at, pages);
			snprintf(name, sizeof name, "collapse %lu", pages);
			begin(name);
			must(madvise(at, TABLE, MADV_COLLAPSE) == 0, "MADV_COLLAPSE");
			end();
			clear(at);
		}
	put("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	map(at, 8 * 512, READ_WRITE, PRIVATE, -1);
	write_pages(at, 1);
	begin("huge");
	for (unsigned i = 1; i < 8; i++)
		write_pages(at + i * TABLE, 1);
	end();
	put("/sys/kernel/mm/transparent_hugepage/enabled", "never");
	clear(at);
}

static bool load(const char *module, const char *options)
{
	char path[64];
	snprintf(path, sizeof path, "/modules/%s.ko", module);
	int file = open(path, O_RDONLY);
	if (file < 0)
		return false;
	must(syscall(SYS_finit_module, file, options, 0) == 0, path);
	close(file);
	return true;
}

/* Swap on a whole device, the first. */
static void swap_to(const char *device, uint32_t pages)
{
	static char header[PAGE];
	const uint32_t version_and_last[2] = {1, pages - 1};
	memcpy(header + 1024, version_and_last, sizeof version_and_last);
	memcpy(header + PAGE - 10, "SWAPSPACE2", 10);
	int disk = open(device, O_WRONLY);
	must(disk >= 0 && write(disk, header, sizeof header) == sizeof header && fsync(disk) == 0, device);
	close(disk);
	must(swapon(device, 0) == 0, "swapon");
}

static void page_out(char *at, unsigned long pages)
{
	must(madvise(at, pages * PAGE, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	usleep(100000);
}

/* Pages that were swapped out to a RAM disk, past swap's cache, and are read one by one. */
static void swapped(void)
{
	char *at = FREE_SPACE;
	if (!load("brd", "rd_nr=1 rd_size=16384"))
		return;
	swap_to("/dev/ram0", 4096);
	put("/proc/sys/vm/page-cluster", "0");
	map(at, 400, READ_WRITE, PRIVATE, -1);
	write_pages(at, 400);
	page_out(at, 400);
	begin("swapped");
	write_pages(at, 200);
	end();
	begin("swapped-read");
	read_pages(at + 200 * PAGE, 200);
	end();
	clear(at);
	must(swapoff("/dev/ram0") == 0, "swapoff");
}

/* A disk that interrupts when it is done: to swap to, and one that is read as a file. */
static bool find_disks(void)
{
	static const char *const modules[] = {"crc64",
	                                      "crc64_rocksoft_generic",
	                                      "crc64-rocksoft",
	                                      "crct10dif_common",
	                                      "crct10dif_generic",
	                                      "crc-t10dif",
	                                      "t10-pi",
	                                      "nvme-core",
	                                      "nvme"};
	for (unsigned i = 0; i < sizeof modules / sizeof modules[0]; i++)
		if (!load(modules[i], ""))
			return false;
	for (unsigned tries = 0; access("/dev/nvme0n1", F_OK) || access("/dev/nvme1n1", F_OK); tries++) {
		must(tries < 100, "nvme");
		usleep(100000);
	}
	return true;
}

static void drop_caches(void)
{
	sync();
	put("/proc/sys/vm/drop_caches", "1");
}

static int open_file_disk(void)
{
	int file = open("/dev/nvme1n1", O_RDONLY);
	must(file >= 0, "/dev/nvme1n1");
	return file;
}

/* 1 to 32 pages are read round each of those that are touched, and 1 to 64 pages in memory at a call of pread(). */
static void disk_reads(void)
{
	static char buffer[64 * PAGE];
	const unsigned long far_away = 128;
	char *at = FREE_SPACE, name[64];
	put("/debug/fault_around_bytes", "4096");
	keep_table(at);
	for (unsigned long pages = 1; pages <= 32; pages *= 2) {
		snprintf(name, sizeof name, "%lu", 4 * pages);
		put("/sys/block/nvme1n1/queue/read_ahead_kb", name);
		int file = open_file_disk();
		drop_caches();
		map(at, 64 * far_away, PROT_READ, MAP_SHARED | MAP_FIXED, file);
		snprintf(name, sizeof name, "read-around %lu", pages);
		begin(name);
		for (unsigned long i = 1; i < 40; i++)
			read_pages(at + i * far_away * PAGE, 1);
		end();
		clear(at);
		close(file);
	}
	int file = open_file_disk();
	for (unsigned long pages = 1; pages <= 64; pages *= 2) {
		must(pread(file, buffer, sizeof buffer, 0) == sizeof buffer, "pread");
		snprintf(name, sizeof name, "pread %lu", pages);
		begin(name);
		for (unsigned times = 0; times < 20; times++)
			must(pread(file, buffer, pages * PAGE, 0) == (ssize_t)(pages * PAGE), "pread");
		end();
	}
	put("/sys/block/nvme1n1/queue/read_ahead_kb", "128");
	put("/debug/fault_around_bytes", "65536");
	close(file);
}

/* 1 to 32 pages at a call are written out. */
static void page_outs(void)
{
	char *at = FREE_SPACE, name[64];
	for (unsigned long pages = 1; pages <= 32; pages *= 2)
		for (unsigned times = 0; times < 8; times++) {
			map(at, pages, READ_WRITE, PRIVATE, -1);
			write_pages(at, pages);
			snprintf(name, sizeof name, "paged-out %lu", pages);
			begin(name);
			page_out(at, pages);
			end();
			clear(at);
		}
}

static unsigned long looked_at_by_kswapd(void)
{
	char line[128];
	unsigned long value = 0;
	FILE *file = fopen("/proc/vmstat", "r");
	must(file != NULL, "/proc/vmstat");
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "pgscan_kswapd %lu", &value) == 1)
			break;
	fclose(file);
	return value;
}

/* Memory is used up, and from then on `pages` more of it are touched. Returns where that ends. */
static char *pressure(const char *name, char *at, unsigned long pages, void (*touch)(char *, unsigned long))
{
	unsigned long before = looked_at_by_kswapd();
	while (looked_at_by_kswapd() == before) {
		touch(at, 256);
		at += 256 * PAGE;
	}
	begin(name);
	touch(at, pages);
	end();
	return at + pages * PAGE;
}

/* The file's last pages are read three times, and active from then on. */
static void make_active(int file, unsigned long first, unsigned long pages)
{
	static char buffer[64 * PAGE];
	for (unsigned times = 0; times < 3; times++)
		for (unsigned long at = first; at < first + pages; at += 64)
			must(pread(file, buffer, sizeof buffer, (off_t)(at * PAGE)) == sizeof buffer, "pread");
}

/* Pages that are gone from memory are read, 1 to 16 at a fault. */
static void swap_ins(char *at)
{
	char name[64];
	for (unsigned long order = 0; order <= 4; order++) {
		snprintf(name, sizeof name, "%lu", order);
		put("/proc/sys/vm/page-cluster", name);
		snprintf(name, sizeof name, "swapped-in %lu", 1ul << order);
		begin(name);
		read_pages(at + order * 512 * PAGE, 160);
		end();
	}
}

/* Disks of their own, and more than memory. */
static void disks(void)
{
	const unsigned long most = 180 * 1024;
	char *at = FREE_SPACE;
	if (!find_disks())
		return;
	put("/sys/block/nvme0n1/queue/scheduler", "none");
	put("/sys/block/nvme1n1/queue/scheduler", "none");
	disk_reads();
	swap_to("/dev/nvme0n1", 65536);
	page_outs();
	int file = open_file_disk();
	map(at, most, PROT_READ, MAP_SHARED | MAP_FIXED, file);
	make_active(file, most, 66 * 1024);
	pressure("files-reclaimed", at, 2048, read_pages);
	must(munmap(at, most * PAGE) == 0, "munmap");
	close(file);
	drop_caches();
	map(at, most, READ_WRITE, PRIVATE, -1);
	char *behind = pressure("memory-reclaimed", at, 1024, write_pages);
	write_pages(behind, 16384);
	must(munmap(at + 32768 * PAGE, (most - 32768) * PAGE) == 0, "munmap");
	usleep(500000);
	swap_ins(at);
}

static int make_array(unsigned pages)
{
	union bpf_attr array = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = PAGE, .max_entries = pages - 1};
	int file = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &array, sizeof array);
	must(file >= 0, "bpf");
	return file;
}

static void free_array(int file)
{
	close(file);
	usleep(50000);
}

/* Arrays of BPF, of more than eight pages, are vmalloc()ed, and vfree()d by a thread of the kernel. */
static void kernel_areas(void)
{
	static const unsigned pages[] = {10, 16, 32, 64, 96};
	char name[64];
	for (unsigned i = 0; i < sizeof pages / sizeof pages[0]; i++)
		for (unsigned times = 0; times < 9; times++) {
			snprintf(name, sizeof name, "kernel-area %u", pages[i]);
			begin(name);
			free_array(make_array(pages[i]));
			end();
		}
	/* More than lazy_max_pages() of one CPU wait: a purge. */
	for (unsigned count = 1; count <= 64; count *= 2) {
		for (unsigned i = 0; i < count; i++)
			free_array(make_array(10));
		int large = make_array(8300);
		begin("purge");
		free_array(large);
		end();
	}
}

static void make_file(const char *path)
{
	static char zeroes[256 * PAGE];
	int file = open(path, O_RDWR | O_CREAT, 0600);
	must(file >= 0 && write(file, zeroes, sizeof zeroes) == sizeof zeroes, path);
	close(file);
}

static bool asked_for_symbols(void)
{
	char line[512] = "";
	int file = open("/proc/cmdline", O_RDONLY);
	must(file >= 0 && read(file, line, sizeof line - 1) > 0, "/proc/cmdline");
	close(file);
	return strstr(line, " symbols") != NULL;
}

static void tell_symbols(void)
{
	char line[256], kind;
	FILE *file = fopen("/proc/kallsyms", "r");
	must(file != NULL, "/proc/kallsyms");
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %c", &kind) == 1 && strchr("tTwW", kind))
			fputs(line, stdout);
	fflush(stdout);
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "leave"))
		_exit(0);
	must(mount("proc", "/proc", "proc", 0, NULL) == 0, "/proc");
	if (asked_for_symbols()) {
		tell_symbols();
		return reboot(RB_AUTOBOOT);
	}
	must(mount("sys", "/sys", "sysfs", 0, NULL) == 0 && mount("debug", "/debug", "debugfs", 0, NULL) == 0 &&
	             mount("shm", "/shm", "tmpfs", 0, NULL) == 0 && mount("ram", "/ram", "ramfs", 0, NULL) == 0,
	     "mount");
	put("/sys/kernel/mm/transparent_hugepage/enabled", "never");
	put("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "1000000");
	make_file("/ram/file");
	make_file("/shm/memory");
	anonymous();
	copies();
	around("/ram/file");
	around("/shm/memory");
	of_file("/ram/file");
	of_file("/shm/memory");
	shared();
	areas();
	forks();
	switches();
	huge_pages();
	kernel_areas();
	must(mount("dev", "/dev", "devtmpfs", 0, NULL) == 0, "/dev");
	swapped();
	begin("statistics");
	for (unsigned times = 0; times < 20; times++)
		usleep(500000);
	end();
	disks();
	begin("end");
	end();
	return reboot(RB_AUTOBOOT);
}
