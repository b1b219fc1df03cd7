/* SPDX-License-Identifier: MIT
 *
 * kernel_code_lines.c - the lines of each piece of the kernel's paths (interface and sources: kernel_code.h).
 *
 * Made by tools/kernel-paths/pieces and emulate, not by hand: {offset from _text, bytes}, in the order of the path.
 */
#include "models/kernel_code.h"

#define PIECE(stretches) \
	{ \
		stretches, sizeof stretches / sizeof *stretches \
	}

/* clang-format off */
static const struct code_stretch page_alloc[] = {
	{0x2f9200, 192}, {0x2f9480, 64}, {0x2f92c0, 128}, {0x2f9380, 64}, {0xa52f80, 64}, {0xe01d00, 64}, {0x2f6b40, 64},
	{0x2f93c0, 128}, {0x2f6c80, 512}, {0x2f7200, 128}, {0xa59b40, 64}, {0x2f7280, 64}, {0x548fc0, 128}, {0x2f72c0, 64},
	{0xa5a080, 64}, {0x2f7300, 64}, {0x2f7900, 64}, {0x2f7340, 64}, {0x2f7180, 64}, {0x2f7a00, 64}, {0x2f7a80, 128},
	{0x2f7a40, 64}, {0x2f9440, 64}, {0x2f9340, 64}
};
static const struct code_stretch page_bulk[] = {
	{0x2f7800, 128}, {0x2f5500, 128}, {0xa59ac0, 128}, {0x2f5580, 320}, {0x2f5740, 64}, {0x2f2640, 128}, {0x2f2700, 64},
	{0x2f5780, 64}, {0x548f80, 64}, {0x2f5800, 64}, {0x2f56c0, 128}, {0x2f57c0, 64}, {0x2af4c0, 128}, {0xa59b80, 64},
	{0x9f6a00, 64}
};
static const struct code_stretch page_tail_alloc[] = {{0x2f73c0, 64}, {0x2f7cc0, 192}};
static const struct code_stretch page_free[] = {
	{0x2f6100, 128}, {0x2f61c0, 64}, {0x2f5e40, 64}, {0x2f3f00, 320}, {0xe01d00, 64}, {0x2f5e80, 64}, {0x2f5fc0, 64},
	{0x2f5ec0, 192}, {0xa59b40, 64}, {0x2f5f80, 64}, {0x2f3440, 192}, {0x548f80, 128}, {0x2f3500, 64}, {0x2f3580, 64},
	{0x2f3540, 64}, {0xa5a080, 64}
};
static const struct code_stretch page_tail_free[] = {{0x2f4140, 128}, {0x2f4280, 64}, {0x2f41c0, 128}};
static const struct code_stretch page_drain[] = {
	{0x2f2ec0, 128}, {0xa59ac0, 128}, {0x2f2f40, 128}, {0x2f3000, 64}, {0x549000, 64}, {0x2f3040, 64}, {0x2f2fc0, 64},
	{0x2f2a40, 192}, {0x2af4c0, 64}, {0x2f2b00, 128}, {0x2f2c00, 256}, {0x2f2d80, 256}, {0x2f2bc0, 64}, {0x2f2e80, 64},
	{0x2f3080, 64}, {0xa59b80, 64}
};
static const struct code_stretch kmalloc[] = {{0x2b9640, 128}, {0x2b8dc0, 128}};
static const struct code_stretch slub_alloc[] = {
	{0x32bb00, 128}, {0x32bd40, 64}, {0xa52f80, 64}, {0xe01d00, 64}, {0x2b9ac0, 64}, {0x32bb80, 192}, {0x32bcc0, 128},
	{0x32bc40, 64}, {0x328f00, 64}, {0x3290c0, 64}, {0x32bc80, 64}
};
static const struct code_stretch slub_kmalloc[] = {
	{0x32dfc0, 128}, {0x32e200, 64}, {0xa52f80, 64}, {0xe01d00, 64}, {0x2b9ac0, 64}, {0x32e080, 64}, {0x32e100, 128},
	{0x32e1c0, 64}, {0x328f00, 64}, {0x3290c0, 64}, {0x32e180, 64}
};
static const struct code_stretch slub_alloc_slow[] = {{0x32bd80, 128}, {0x32b180, 384}, {0x32b580, 192}};
static const struct code_stretch slub_cpu_partial[] = {{0x32b300, 128}};
static const struct code_stretch slub_get_partial[] = {
	{0x32b300, 64}, {0x32b440, 128}, {0x32b800, 128}, {0x32ad80, 64}, {0xa59ac0, 128}, {0x32adc0, 320}, {0x548fc0, 128},
	{0x32af00, 64}, {0x32b040, 64}, {0x32af40, 64}, {0x32afc0, 128}, {0xa59b80, 64}, {0x32ba00, 64}, {0x32b940, 64}
};
static const struct code_stretch slub_new_slab[] = {
	{0x32b300, 64}, {0x32b440, 128}, {0x32b800, 128}, {0x32b9c0, 64}, {0x32b880, 128}, {0x31d600, 192}, {0x32b900, 64},
	{0x32b980, 64}, {0x32b4c0, 64}, {0x329580, 192}, {0x3298c0, 64}, {0x31d480, 128}, {0x31d580, 128}, {0x31d500, 64},
	{0x31cec0, 128}, {0x319cc0, 128}, {0x539d40, 64}, {0x319d40, 64}, {0x9f6a00, 64}, {0x329640, 128}, {0x329800, 64},
	{0x2af200, 192}, {0x3296c0, 128}, {0x6b9740, 64}, {0x6b9640, 256}, {0x329740, 64}, {0x328300, 64}, {0x329780, 128},
	{0x329940, 128}, {0x32b500, 128}
};
static const struct code_stretch slub_free[] = {
	{0x32d280, 64}, {0x32d140, 192}, {0xe01d00, 64}, {0x32d2c0, 128}, {0x32d3c0, 192}
};
static const struct code_stretch slub_kfree[] = {{0x2b8f40, 192}, {0x32e280, 128}, {0x32e380, 192}};
static const struct code_stretch slub_free_slow[] = {
	{0x32d540, 128}, {0x32ce80, 256}, {0x328140, 64}, {0x3281c0, 64}, {0x32cfc0, 128}
};
static const struct code_stretch slub_put_cpu_partial[] = {{0x32cf80, 64}, {0x32d040, 64}, {0x32a7c0, 192}};
static const struct code_stretch slub_unfreeze_slab[] = {
	{0x32d200, 64}, {0x32d500, 64}, {0x32a540, 192}, {0xa59ac0, 128}, {0x32a640, 128}, {0x548f80, 128}, {0x32a6c0, 64},
	{0xa59b80, 64}
};
static const struct code_stretch slub_discard[] = {{0x32a140, 64}, {0x329f80, 192}, {0x2af200, 192}, {0x32a040, 64}};
static const struct code_stretch slub_free_node[] = {
	{0x32cf80, 64}, {0xa59ac0, 128}, {0x32d0c0, 64}, {0x549000, 64}, {0x32d100, 64}, {0xa59b80, 64}
};
static const struct code_stretch vmalloc_area[] = {
	{0x2f0700, 192}, {0x2f0e80, 64}, {0x2f07c0, 192}, {0x2eda00, 192}, {0x2b8b80, 64}, {0xa52f80, 64}, {0xe01d00, 64},
	{0x2b8bc0, 64}, {0x2ed180, 256}, {0x2ed5c0, 64}, {0xa5a000, 64}, {0x2ed600, 64}, {0x2ed280, 192}, {0x2ed3c0, 64},
	{0x2ed340, 128}, {0x2ed580, 64}, {0x2ed400, 256}, {0x2ebcc0, 192}, {0x9ea6c0, 128}, {0x9ea800, 128}, {0xe01700, 64},
	{0x2ea540, 128}, {0x9ea740, 128}, {0xe01580, 64}, {0x2ebd80, 64}, {0x548f80, 128}, {0x2ebdc0, 64}, {0x2ed500, 64},
	{0xa5a080, 64}, {0x2ed540, 64}, {0x2eab80, 192}, {0x9ea580, 256}, {0x2eac40, 64}, {0x2edac0, 128}
};
static const struct code_stretch vmalloc_page[] = {
	{0x2f0880, 320}, {0x31da00, 256}, {0x31cec0, 128}, {0x319cc0, 128}, {0x539d40, 64}, {0x319d40, 64}, {0x2f9540, 320},
	{0x2f99c0, 64}, {0x2f9680, 576}, {0x2f9ac0, 128}, {0x2f9b80, 64}, {0x2f9a40, 128}, {0x2f9bc0, 64}, {0x2f9980, 64},
	{0x2f0e40, 64}, {0x2f0ac0, 128}, {0x2f0d00, 64}, {0x2f0b40, 192}, {0x2efc80, 128}, {0x2efd40, 64}, {0x2ebe80, 320},
	{0x2eac80, 128}, {0x2ebfc0, 256}, {0x2ec3c0, 64}, {0x2ec0c0, 128}, {0x2ec400, 64}, {0x2ec140, 128}, {0x2ec380, 64},
	{0x2ec1c0, 128}, {0x2ec340, 64}, {0x2ec240, 64}, {0x7e5c0, 64}, {0x2ec280, 128}, {0x2ec4c0, 64}, {0x2ec300, 64},
	{0x2f0c00, 192}
};
static const struct code_stretch vfree_area[] = {
	{0x2f0040, 128}, {0xa5a000, 64}, {0x2f00c0, 64}, {0xa5a080, 64}, {0x2f0100, 64}, {0x2eff80, 64}, {0xa52f80, 64},
	{0x2effc0, 128}, {0x2eec00, 384}, {0x2eac80, 128}, {0x2eed80, 128}, {0x89f40, 64}, {0x2eee00, 192}, {0x8a180, 128},
	{0x2eeec0, 128}, {0x2ef0c0, 64}, {0x2eef40, 128}, {0x8a200, 64}, {0x2eefc0, 128}, {0x2ef080, 64}, {0x2ef040, 64},
	{0x2eb6c0, 128}, {0x9ea080, 64}, {0x9ea2c0, 64}, {0x548fc0, 128}, {0x2eb740, 320}, {0x9ea580, 192}, {0x548f80, 64},
	{0x2eb880, 128}, {0x2f0280, 64}, {0x2f0200, 128}, {0x2f0300, 64}
};
static const struct code_stretch vfree_page[] = {{0x133c80, 128}, {0x137640, 128}, {0x2acd00, 64}, {0x2ea500, 64}};
static const struct code_stretch fault[] = {
	{0xa48540, 128}, {0xa488c0, 64}, {0xa48880, 64}, {0xa48900, 64}, {0xa485c0, 64}, {0x87880, 384}, {0x2ce3c0, 64},
	{0x110d00, 128}, {0xa52f80, 64}, {0xe01d00, 64}, {0x2d8380, 128}, {0x9dfb80, 128}, {0x133c80, 128}, {0x9dfc00, 256},
	{0x9dbd00, 128}, {0x9dbe00, 192}, {0x9dbdc0, 64}, {0x9dbd80, 64}, {0x9dfd00, 64}, {0x137640, 128}, {0x2ce400, 64},
	{0x87a00, 64}, {0x87b40, 64}, {0x87a80, 64}, {0x2d2ac0, 128}, {0x346cc0, 64}, {0x2d2b40, 64}, {0x2c8b40, 64},
	{0x34c600, 128}, {0x183700, 128}, {0x34c680, 64}, {0x2c8b80, 64}, {0x2d2c00, 128}, {0x2d2b80, 64}, {0x2d2c80, 64},
	{0x2d2bc0, 64}, {0x2d1b40, 256}, {0x2c8a40, 128}, {0x2c8bc0, 64}, {0x2d1c40, 192}, {0x2c89c0, 64}, {0x2d1d00, 64},
	{0x2d1d80, 128}, {0x2d1f40, 64}, {0x2d1e00, 192}, {0x2d1f80, 128}, {0x2c8980, 64}, {0x2d1ec0, 64}, {0x2d2080, 256},
	{0x2c8a00, 64}, {0x2d2180, 64}, {0x2d2240, 192}, {0xa5a000, 64}, {0x2d2300, 64}, {0x2d24c0, 64}, {0xa5a080, 64},
	{0x2d1d40, 64}, {0x2d2cc0, 128}, {0x87a40, 64}, {0x1112c0, 128}, {0xa48940, 64}, {0x1469c0, 128}, {0x40740, 128},
	{0x146a40, 64}, {0xa460c0, 64}
};
static const struct code_stretch fault_anonymous[] = {
	{0x2d23c0, 192}, {0x31cf80, 128}, {0x31cd80, 128}, {0x31d040, 128}, {0x31cec0, 128}, {0x31d000, 64}, {0x319cc0, 128},
	{0x539d40, 64}, {0x319d40, 64}, {0x2f9c00, 64}, {0x2d2480, 64}, {0x350740, 64}, {0x349ec0, 128}, {0x34e940, 64},
	{0x34e9c0, 128}, {0x34e980, 64}, {0x349c80, 64}, {0x2d2800, 64}, {0x309780, 128}, {0x500180, 64}, {0xcd800, 128},
	{0x5001c0, 128}, {0x2d2840, 64}, {0x2c9000, 128}, {0x2d2880, 128}, {0x2c9080, 64}, {0x2e7880, 128}, {0x2e7940, 64},
	{0x2e7900, 64}, {0x34c4c0, 192}, {0x34c480, 64}, {0x2aefc0, 128}, {0x34b580, 192}, {0x2e6780, 128}, {0x2d2900, 64},
	{0x28f980, 64}, {0x293800, 128}, {0x292b80, 192}, {0x7e5c0, 64}, {0x2d2a00, 128}
};
static const struct code_stretch fault_file[] = {
	{0x2cd540, 128}, {0x2cd600, 320}, {0xe01580, 64}, {0x282fc0, 192}, {0x9f47c0, 128}, {0x9f4900, 64}, {0x9f3a40, 64},
	{0x9f3980, 128}, {0x9f3800, 128}, {0x9f3a80, 64}, {0x9f4940, 64}, {0x9f4880, 64}, {0x283080, 64}, {0x282dc0, 256},
	{0x282f40, 128}, {0x2830c0, 64}, {0x2831c0, 320}, {0x2836c0, 64}, {0x283300, 64}, {0x30cb00, 128}, {0x283340, 128},
	{0x2cd100, 256}, {0x2c9000, 128}, {0x2cd240, 128}, {0x2c9080, 64}, {0x2e79c0, 64}, {0x34dbc0, 64}, {0x347c00, 128},
	{0x2e7ac0, 64}, {0x2e7b80, 64}, {0x2e7b00, 64}, {0x2e7a80, 64}, {0x34dc40, 64}, {0x34dc00, 64}, {0x7e5c0, 64},
	{0x2833c0, 64}, {0x283640, 64}, {0x283580, 192}, {0x9f4840, 64}, {0x283680, 64}, {0x283100, 128}, {0x2cd5c0, 64}
};
static const struct code_stretch fault_copy[] = {
	{0x2cc9c0, 192}, {0x2cab00, 192}, {0x2cca80, 256}, {0x2c9540, 128}, {0x2c9500, 64}, {0x2c95c0, 64}, {0x31cf80, 128},
	{0x31cd80, 128}, {0x31d040, 128}, {0x31cec0, 128}, {0x31d000, 64}, {0x319cc0, 128}, {0x539d40, 64}, {0x319d40, 64},
	{0x2f9c00, 64}, {0x9f6a00, 64}, {0x2c9600, 128}, {0x350740, 64}, {0x349ec0, 128}, {0x34e940, 64}, {0x34e9c0, 128},
	{0x34e980, 64}, {0x349c80, 64}, {0x2c96c0, 64}, {0x309780, 128}, {0x500180, 64}, {0xcd800, 128}, {0x5001c0, 128},
	{0x2c9700, 256}, {0x2c9000, 128}, {0x2c9800, 64}, {0x2e5240, 128}, {0x8b340, 256}, {0x539f00, 128}, {0x8b440, 64},
	{0x8ae80, 256}, {0x8b000, 64}, {0x8b600, 192}, {0x8a740, 128}, {0x8b040, 64}, {0x8af80, 64}, {0x2c9840, 64},
	{0x2e7880, 128}, {0x2e7940, 64}, {0x2e7900, 64}, {0x34c4c0, 192}, {0x34c480, 64}, {0x2aefc0, 128}, {0x34b580, 192},
	{0x2e6780, 128}, {0x28f980, 64}, {0x293800, 128}, {0x292b80, 192}, {0x7e5c0, 64}, {0x2c9880, 64}, {0x2e7cc0, 64},
	{0x34dbc0, 64}, {0x347c00, 128}, {0x2e7d00, 64}, {0x2e7d80, 64}, {0x34dc40, 64}, {0x34dc00, 64}, {0x2e7dc0, 64},
	{0x2c8d00, 64}, {0x2c98c0, 64}, {0x2c99c0, 64}, {0x3025c0, 128}, {0x2c9680, 64}
};
static const struct code_stretch slab_alloc[] = {
	{0x329980, 64}, {0x2b9ac0, 64}, {0x329cc0, 64}, {0x3299c0, 128}, {0x329bc0, 128}, {0x329a40, 64}, {0x329c40, 64},
	{0x329b40, 128}, {0xe01d00, 64}
};
static const struct code_stretch slab_kmalloc[] = {
	{0x32a580, 64}, {0x2b9ac0, 64}, {0x32a5c0, 64}, {0x32a880, 64}, {0x32a600, 64}, {0x32a840, 64}, {0x32a640, 64},
	{0x32a8c0, 64}, {0x32a800, 64}, {0x32a780, 64}, {0xe01d00, 64}
};
static const struct code_stretch slab_refill[] = {
	{0x3278c0, 192}, {0xa5a000, 64}, {0x327980, 64}, {0x326d80, 128}, {0x3279c0, 128}, {0x327a80, 64}, {0x327a40, 64},
	{0x327ac0, 128}, {0x329d00, 64}
};
static const struct code_stretch slab_grow[] = {
	{0x327240, 192}, {0x327580, 64}, {0x327300, 64}, {0x2af200, 192}, {0x327340, 256}, {0x6b9640, 256}, {0x327540, 64},
	{0x327440, 256}, {0x327b40, 128}, {0x327140, 256}
};
static const struct code_stretch slab_free[] = {{0x32ab40, 320}, {0x32acc0, 128}, {0x329700, 128}, {0xe01d00, 64}};
static const struct code_stretch slab_kfree[] = {{0x32a9c0, 192}, {0x32aac0, 128}, {0x329700, 128}, {0xe01d00, 64}};
static const struct code_stretch slab_flush[] = {
	{0x329840, 128}, {0xa5a000, 64}, {0x3298c0, 128}, {0xa48e80, 64}, {0x9f9e40, 64}, {0x3277c0, 64}, {0x327840, 64}
};
static const struct code_stretch slab_free_object[] = {{0x327fc0, 512}};
static const struct code_stretch slab_destroy[] = {{0x327800, 64}, {0x326f00, 192}, {0x2af200, 192}, {0x326fc0, 64}};
static const struct code_stretch slob_alloc[] = {
	{0x327e00, 64}, {0x327380, 192}, {0x327100, 192}, {0xa59ac0, 128}, {0x3271c0, 64}, {0x326e80, 256}, {0x326fc0, 192},
	{0x3270c0, 64}, {0xe01d00, 64}, {0x327340, 64}, {0x327200, 64}, {0xa59b80, 64}
};
static const struct code_stretch slob_new_page[] = {
	{0x327240, 64}, {0x326dc0, 192}, {0x31d480, 128}, {0x31d580, 128}, {0x31d500, 64}, {0x31cec0, 128}, {0x319cc0, 192},
	{0x539d40, 64}, {0x2af200, 192}, {0x327280, 192}
};
static const struct code_stretch slob_whole_page[] = {
	{0x327e00, 64}, {0x327380, 128}, {0x326dc0, 192}, {0x31d480, 128}, {0x31d580, 128}, {0x31d500, 64}, {0x31cec0, 128},
	{0x319cc0, 192}, {0x539d40, 64}, {0x326e80, 64}, {0x2af200, 192}, {0xe01d00, 64}, {0x327400, 64}
};
static const struct code_stretch slob_free[] = {
	{0x327f80, 192}, {0x327440, 192}, {0xa59ac0, 128}, {0x327500, 192}, {0x3276c0, 64}, {0x3275c0, 128}, {0xa59b80, 64}
};
static const struct code_stretch slob_free_page[] = {{0x327740, 128}, {0x326d40, 192}, {0x2af200, 192}};

const struct code_piece kernel_code_pieces[KERNEL_CODES] = {
	[CODE_PAGE_ALLOC] = PIECE(page_alloc),
	[CODE_PAGE_BULK] = PIECE(page_bulk),
	[CODE_PAGE_TAIL_ALLOC] = PIECE(page_tail_alloc),
	[CODE_PAGE_FREE] = PIECE(page_free),
	[CODE_PAGE_TAIL_FREE] = PIECE(page_tail_free),
	[CODE_PAGE_DRAIN] = PIECE(page_drain),
	[CODE_KMALLOC] = PIECE(kmalloc),
	[CODE_SLUB_ALLOC] = PIECE(slub_alloc),
	[CODE_SLUB_KMALLOC] = PIECE(slub_kmalloc),
	[CODE_SLUB_ALLOC_SLOW] = PIECE(slub_alloc_slow),
	[CODE_SLUB_CPU_PARTIAL] = PIECE(slub_cpu_partial),
	[CODE_SLUB_GET_PARTIAL] = PIECE(slub_get_partial),
	[CODE_SLUB_NEW_SLAB] = PIECE(slub_new_slab),
	[CODE_SLUB_FREE] = PIECE(slub_free),
	[CODE_SLUB_KFREE] = PIECE(slub_kfree),
	[CODE_SLUB_FREE_SLOW] = PIECE(slub_free_slow),
	[CODE_SLUB_PUT_CPU_PARTIAL] = PIECE(slub_put_cpu_partial),
	[CODE_SLUB_UNFREEZE_SLAB] = PIECE(slub_unfreeze_slab),
	[CODE_SLUB_DISCARD] = PIECE(slub_discard),
	[CODE_SLUB_FREE_NODE] = PIECE(slub_free_node),
	[CODE_VMALLOC_AREA] = PIECE(vmalloc_area),
	[CODE_VMALLOC_PAGE] = PIECE(vmalloc_page),
	[CODE_VFREE_AREA] = PIECE(vfree_area),
	[CODE_VFREE_PAGE] = PIECE(vfree_page),
	[CODE_FAULT] = PIECE(fault),
	[CODE_FAULT_ANONYMOUS] = PIECE(fault_anonymous),
	[CODE_FAULT_FILE] = PIECE(fault_file),
	[CODE_FAULT_COPY] = PIECE(fault_copy),
	[CODE_SLAB_ALLOC] = PIECE(slab_alloc),
	[CODE_SLAB_KMALLOC] = PIECE(slab_kmalloc),
	[CODE_SLAB_REFILL] = PIECE(slab_refill),
	[CODE_SLAB_GROW] = PIECE(slab_grow),
	[CODE_SLAB_FREE] = PIECE(slab_free),
	[CODE_SLAB_KFREE] = PIECE(slab_kfree),
	[CODE_SLAB_FLUSH] = PIECE(slab_flush),
	[CODE_SLAB_FREE_OBJECT] = PIECE(slab_free_object),
	[CODE_SLAB_DESTROY] = PIECE(slab_destroy),
	[CODE_SLOB_ALLOC] = PIECE(slob_alloc),
	[CODE_SLOB_NEW_PAGE] = PIECE(slob_new_page),
	[CODE_SLOB_WHOLE_PAGE] = PIECE(slob_whole_page),
	[CODE_SLOB_FREE] = PIECE(slob_free),
	[CODE_SLOB_FREE_PAGE] = PIECE(slob_free_page),
};
/* clang-format on */
