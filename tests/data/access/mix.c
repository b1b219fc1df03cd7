/* SPDX-License-Identifier: MIT
 *
 * mix.c - the program that mix.lackey.xz records (README.md here): what cache simulators count differently, in little:
 * accesses over two lines, load-stores, 16 bytes at once, an fxsave, strided walks, a linked list, code larger than a small
 * cache.
 */
#include <emmintrin.h>
#include <stdint.h>
#include <string.h>
static uint8_t bytes[96 * 1024];
static double a[24][24], b[24][24], c[24][24];
static uint32_t next[8192];
static char area[512] __attribute__((aligned(16)));
#define STEP(n) \
	__attribute__((noinline)) static uint64_t step##n(uint64_t x) \
	{ \
		bytes[(x * (n + 7)) % sizeof bytes]++; \
		x ^= x << 13; \
		x ^= x >> 7; \
		x ^= x << 17; \
		x += n * 0x9e3779b97f4a7c15ull; \
		bytes[x % sizeof bytes] += (uint8_t)x; \
		x = x * 0xd1342543de82ef95ull + n; \
		x ^= x >> 29; \
		return x; \
	}
#define TEN(n) STEP(n##0) STEP(n##1) STEP(n##2) STEP(n##3) STEP(n##4) STEP(n##5) STEP(n##6) STEP(n##7) STEP(n##8) STEP(n##9)
TEN(1)
TEN(2)
TEN(3) TEN(4) TEN(5) TEN(6)
#define R(n) \
	step##n##0, step##n##1, step##n##2, step##n##3, step##n##4, step##n##5, step##n##6, step##n##7, step##n##8, step##n##9
        static uint64_t (*const steps[])(uint64_t) = {R(1), R(2), R(3), R(4), R(5), R(6)};
static void leave(int code)
{
	__asm__ volatile("syscall" ::"a"(231), "D"((long)code) : "rcx", "r11", "memory");
	for (;;)
		;
}
void start(void)
{
	uint64_t x = 88172645463325252ull;
	for (unsigned i = 0; i < 600; i++)
		x = steps[x % 60](x);
	for (unsigned i = 0; i < 24; i++)
		for (unsigned j = 0; j < 24; j++) {
			a[i][j] = i + j;
			b[i][j] = i * j;
		}
	for (unsigned i = 0; i < 24; i++)
		for (unsigned j = 0; j < 24; j++)
			for (unsigned k = 0; k < 24; k++)
				c[i][j] += a[i][k] * b[k][j];
	for (unsigned i = 0; i < 2500; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		uint8_t *p = bytes + x % (sizeof bytes - 64), *q = bytes + (x >> 20) % (sizeof bytes - 64);
		uint64_t v;
		__builtin_memcpy(&v, p, 8);
		v += x;
		__builtin_memcpy(q, &v, 8);
		_mm_storeu_si128((__m128i *)(q + 3), _mm_loadu_si128((const __m128i *)(p + 9)));
		*(volatile uint32_t *)(p + 1) += 3;
	}
	for (unsigned i = 0; i < 8192; i++)
		next[i] = (i * 2731u + 1) & 8191;
	uint32_t n = 0;
	for (unsigned i = 0; i < 6000; i++)
		n = next[n];
	for (unsigned r = 0; r < 3; r++)
		for (unsigned i = 0; i < sizeof bytes; i += 96)
			bytes[i] = (uint8_t)n;
	for (unsigned i = 0; i < 8; i++)
		__asm__ volatile("fxsave64 %0" : "=m"(area));
	__asm__ volatile("rep movsb" ::"S"(bytes + 5), "D"(bytes + 40000), "c"(700) : "memory");
	leave((int)(x & 1 & n));
}
__asm__(".globl _start\n_start:\n\tand $-16, %rsp\n\tcall start\n");
