/* SPDX-License-Identifier: MIT
 *
 * work.c - a small load of processes: areas that are mapped, touched, shared with children, given back; threads; a file; swap.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static char *map(size_t pages, int flags)
{
	char *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		exit(1);
	madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
	return area;
}

static void write_pages(char *area, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		area[i * PAGE] = (char)i;
}

static unsigned read_pages(const char *area, size_t pages)
{
	unsigned sum = 0;
	for (size_t i = 0; i < pages; i++)
		sum += (unsigned char)*(const volatile char *)(area + i * PAGE);
	return sum;
}

/* A child that writes to half of what it shares with its parent. */
static void fork_and_copy(char *area, size_t pages)
{
	if (fork() == 0) {
		write_pages(area, pages / 2);
		_exit(0);
	}
	wait(NULL);
}

static void *thread(void *area)
{
	write_pages(area, 100);
	char *own = map(50, MAP_PRIVATE);
	write_pages(own, 50);
	munmap(own, 50 * PAGE);
	return NULL;
}

static void threads(void)
{
	pthread_t all[2];
	char *areas[2];
	for (int i = 0; i < 2; i++) {
		areas[i] = map(100, MAP_PRIVATE);
		pthread_create(&all[i], NULL, thread, areas[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(all[i], NULL);
	for (int i = 0; i < 2; i++)
		munmap(areas[i], 100 * PAGE);
}

static void file(const char *path)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	char *area = mmap(NULL, 128 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	read_pages(area, 128);
	write_pages(area, 32);
	munmap(area, 128 * PAGE);
	close(fd);
}

static void huge(void)
{
	size_t bytes = 2u << 20;
	char *area = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((unsigned long)area + bytes - 1) & ~(bytes - 1));
	madvise(aligned, bytes, MADV_HUGEPAGE);
	aligned[5 * PAGE] = 1;
	munmap(area, 2 * bytes);
}

int main(int argc, char **argv)
{
	char *area = map(300, MAP_PRIVATE);
	write_pages(area, 300);
	fork_and_copy(area, 200);
	munmap(area + 100 * PAGE, 100 * PAGE);
	char *zero = map(64, MAP_PRIVATE);
	read_pages(zero, 64);
	write_pages(zero, 16);
	char *shared = map(64, MAP_SHARED);
	write_pages(shared, 48);
	fork_and_copy(shared, 64);
	threads();
	file(argc > 1 ? argv[1] : "/data");
	huge();
	char *heap = malloc(100 * PAGE);
	write_pages(heap, 100);
	free(heap);
	madvise(area, 50 * PAGE, 21); /* MADV_PAGEOUT */
	read_pages(area, 50);
	return 0;
}
