/* SPDX-License-Identifier: MIT
 *
 * test_walker.c - entry formats bit by bit, walks, faults, paging-structure caches and nested walks against examples worked by
 * hand from the manuals: Intel SDM vol. 3A 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level, 5-level), 4.6 to 4.8, 4.10.3, vol. 3C 28.3; AMD
 * APM vol. 2 5.3, 15.25.
 *
 * Tables are written as numbers here, not by sim/page_table.c, so that a mistake in a format cannot hide by being made twice.
 */
#include "tests/unit/mmu_rig.h"

extern const struct translation_ops translation_x86_4level_ops, translation_x86_5level_ops, translation_x86_pae_ops,
        translation_x86_32_ops, translation_x86_ept_ops;

#define P 1ull
#define RW 2ull
#define US 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define G 0x100ull
#define XD (1ull << 63)
#define ALL (P | RW | US | A)

static struct access sent[WALK_REFERENCES_MAX];

/* A walker over numbers that the test has written. */
struct bare {
	struct physical_memory memory;
	struct walker walker;
	size_t sent;
};

static void bare_begin(struct bare *bare, const struct translation_ops *mode, uint64_t root)
{
	memset(bare, 0, sizeof *bare);
	physical_memory_init(&bare->memory);
	bare->walker = (struct walker){.mode = mode, .controls = rig_controls(), .memory = &bare->memory};
	bare->walker.root = root;
}

static void bare_end(struct bare *bare)
{
	walker_check(&bare->walker);
	walker_release(&bare->walker);
	physical_memory_release(&bare->memory);
}

static void put(struct bare *bare, uint64_t table, unsigned index, uint64_t raw)
{
	unsigned bytes = bare->walker.mode->entry_bytes;
	physical_memory_write(&bare->memory, table + index * bytes, bytes, raw);
}

static uint64_t get(const struct bare *bare, uint64_t table, unsigned index)
{
	unsigned bytes = bare->walker.mode->entry_bytes;
	return physical_memory_read(&bare->memory, table + index * bytes, bytes);
}

static struct walk ask(struct bare *bare, struct walk_request request)
{
	struct walk_sink sink = {.at = sent};
	struct walk walk = walker_walk(&bare->walker, &request, &sink);
	bare->sent = sink.count;
	return walk;
}

static struct walk load(struct bare *bare, uint64_t linear)
{
	return ask(bare, (struct walk_request){.linear = linear, .user = true});
}

static void expect_fault(struct walk walk, unsigned error_code)
{
	assert_int_equal(walk.outcome, WALK_PAGE_FAULT);
	assert_int_equal(walk.error_code, error_code);
}

/* ---- 4-level: 0x00007f1234567abc = PML4 254, PDPT 72, PD 418, PT 359, offset abc (SDM figure 4-8) ---- */

#define LINEAR 0x00007f1234567abcu
#define ROOT 0x1000u
#define PDPT 0x2000u
#define PD 0x3000u
#define PT 0x4000u

static void four_levels(struct bare *bare)
{
	bare_begin(bare, &translation_x86_4level_ops, ROOT);
	put(bare, ROOT, 254, PDPT | ALL);
	put(bare, PDPT, 72, PD | ALL);
	put(bare, PD, 418, PT | ALL);
	put(bare, PT, 359, 0x5a5a5000 | ALL);
}

/* Would catch: a wrong index, entries of a wrong size, references out of order. */
static void a_walk_of_four_levels(void **state)
{
	(void)state;
	struct bare bare;
	four_levels(&bare);
	struct walk walk = load(&bare, LINEAR);
	assert_int_equal(walk.outcome, WALK_OK);
	assert_int_equal(walk.size, PAGE_4K);
	assert_int_equal(walk.word & WORD_FRAME, 0x5a5a5000);
	const uint64_t expected[] = {ROOT + 254 * 8, PDPT + 72 * 8, PD + 418 * 8, PT + 359 * 8};
	assert_int_equal(bare.sent, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(sent[i].address, expected[i]);
		assert_int_equal(sent[i].kind, ACCESS_WALK);
		assert_int_equal(sent[i].bytes, 8);
	}
	bare_end(&bare);
}

/* 2 MiB and 1 GiB pages end the walk early; their frames keep the linear address's lower bits out (SDM figures 4-9, 4-10). */
static void large_pages_end_a_walk_early(void **state)
{
	(void)state;
	struct bare bare;
	four_levels(&bare);
	put(&bare, PD, 418, 0x40200000 | PS | ALL);
	struct walk walk = load(&bare, LINEAR);
	assert_int_equal(walk.size, PAGE_2M);
	assert_int_equal(walk.word & WORD_FRAME, 0x40200000);
	assert_int_equal(bare.sent, 3);
	put(&bare, PDPT, 72, 0xc0000000 | PS | ALL);
	walk = load(&bare, LINEAR);
	assert_int_equal(walk.size, PAGE_1G);
	assert_int_equal(walk.word & WORD_FRAME, 0xc0000000);
	assert_int_equal(bare.sent, 2);
	bare_end(&bare);
}

/* SDM 4.8: the walker sets A in every entry it uses and D in the page's own at a write, each once. */
static void accessed_and_dirty_are_stored_once(void **state)
{
	(void)state;
	struct bare bare;
	four_levels(&bare);
	put(&bare, ROOT, 254, PDPT | P | RW | US);
	put(&bare, PT, 359, 0x5a5a5000 | P | RW | US);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 6);
	assert_int_equal(sent[0].kind, ACCESS_WALK);
	assert_int_equal(sent[1].kind, ACCESS_WALK_STORE);
	assert_int_equal(sent[1].address, ROOT + 254 * 8);
	assert_int_equal(sent[5].kind, ACCESS_WALK_STORE);
	assert_int_equal(get(&bare, ROOT, 254), PDPT | ALL);
	assert_int_equal(get(&bare, PT, 359), 0x5a5a5000 | ALL);
	ask(&bare, (struct walk_request){.linear = LINEAR, .user = true, .write = true});
	assert_int_equal(bare.sent, 5);
	assert_int_equal(get(&bare, PT, 359), 0x5a5a5000 | ALL | D);
	ask(&bare, (struct walk_request){.linear = LINEAR, .user = true, .write = true});
	assert_int_equal(bare.sent, 4);
	assert_int_equal(get(&bare, PD, 418), PT | ALL);
	bare_end(&bare);
}

/* SDM figure 4-12 and 4.6.1: the error code for every way to be refused. */
static void error_codes_are_a_processors(void **state)
{
	(void)state;
	struct bare bare;
	four_levels(&bare);
	const struct walk_request user_load = {.linear = LINEAR, .user = true}, user_store = {LINEAR, true, true, false, false},
	                          user_fetch = {LINEAR, false, true, true, false},
	                          system_store = {LINEAR, true, false, false, false},
	                          system_fetch = {LINEAR, false, false, true, false};
	put(&bare, PD, 418, 0);
	expect_fault(ask(&bare, user_load), PF_USER);
	expect_fault(ask(&bare, user_store), PF_USER | PF_WRITE);
	expect_fault(ask(&bare, user_fetch), PF_USER | PF_FETCH);
	expect_fault(ask(&bare, system_store), PF_WRITE);
	put(&bare, PD, 418, PT | P | US | A); /* one entry that is not writable is enough */
	expect_fault(ask(&bare, user_store), PF_PRESENT | PF_USER | PF_WRITE);
	expect_fault(ask(&bare, system_store), PF_PRESENT | PF_WRITE);
	bare.walker.controls.write_protect = false;
	assert_int_equal(ask(&bare, system_store).outcome, WALK_OK);
	put(&bare, PD, 418, PT | P | RW | A); /* supervisor's */
	expect_fault(ask(&bare, user_load), PF_PRESENT | PF_USER);
	put(&bare, PD, 418, PT | ALL | XD);
	expect_fault(ask(&bare, user_fetch), PF_PRESENT | PF_USER | PF_FETCH);
	put(&bare, PD, 418, PT | ALL);
	bare.walker.controls.smep = true;
	expect_fault(ask(&bare, system_fetch), PF_PRESENT | PF_FETCH);
	bare.walker.controls.smap = true;
	expect_fault(ask(&bare, system_store), PF_PRESENT | PF_WRITE);
	bare.walker.controls.smep = bare.walker.controls.nx = false; /* the I/D bit exists with NXE or SMEP only */
	put(&bare, PD, 418, 0);
	expect_fault(ask(&bare, user_fetch), PF_USER);
	assert_int_equal(load(&bare, 0x0000800000000000u).outcome, WALK_GENERAL_PROTECTION);
	assert_int_equal(load(&bare, 0xffff7fffffffffffu).outcome, WALK_GENERAL_PROTECTION);
	bare_end(&bare);
}

/* SDM 4.5.4: bits that must be clear, level by level, one at a time; and that all others may be set. */
static void reserved_bits_of_long_mode(void **state)
{
	(void)state;
	static const struct {
		uint64_t table;
		unsigned index;
		uint64_t base, reserved;
	} levels[] = {
	        {ROOT, 254, PDPT | ALL, PS},
	        {PDPT, 72, PD | ALL, 0},
	        {PDPT, 72, 0xc0000000 | PS | ALL, 0x3fffe000},
	        {PD, 418, PT | ALL, 0},
	        {PD, 418, 0x40200000 | PS | ALL, 0x1fe000},
	        {PT, 359, 0x5a5a5000 | ALL, 0},
	};
	for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
		for (unsigned bit = 8; bit < 64; bit++) {
			struct bare bare;
			four_levels(&bare);
			bool is_frame = bit >= 12 && bit < 46;
			uint64_t mask = 1ull << bit, reserved = levels[i].reserved | (0x3full << 46); /* MAXPHYADDR 46 */
			put(&bare, levels[i].table, levels[i].index, levels[i].base | mask);
			struct walk walk = load(&bare, LINEAR);
			if (reserved & mask)
				expect_fault(walk, PF_PRESENT | PF_USER | PF_RESERVED);
			else if (!is_frame)
				assert_int_equal(walk.outcome, WALK_OK);
			bare_end(&bare);
		}
	struct bare bare;
	four_levels(&bare);
	put(&bare, ROOT, 254, PDPT | ALL | PS);
	expect_fault(load(&bare, LINEAR), PF_PRESENT | PF_USER | PF_RESERVED);
	put(&bare, ROOT, 254, PDPT | ALL);
	bare.walker.controls.nx = false;
	put(&bare, PT, 359, 0x5a5a5000 | ALL | XD);
	expect_fault(load(&bare, LINEAR), PF_PRESENT | PF_USER | PF_RESERVED);
	bare.walker.controls.gigabyte_pages = false;
	put(&bare, PDPT, 72, 0xc0000000 | PS | ALL);
	expect_fault(load(&bare, LINEAR), PF_PRESENT | PF_USER | PF_RESERVED);
	bare_end(&bare);
}

/* The PAT's place: bit 7 of a PTE, bit 12 of a larger leaf (SDM tables 4-16 to 4-20); G only in leaves and only with CR4.PGE. */
static void memory_type_and_global(void **state)
{
	(void)state;
	struct paging_controls controls = rig_controls();
	const struct translation_ops *mode = &translation_x86_4level_ops;
	assert_int_equal(mode->decode(&controls, 0, P | 0x80).word >> WORD_MEMORY_TYPE_SHIFT & 7, 4);
	assert_int_equal(mode->decode(&controls, 0, P | 0x18).word >> WORD_MEMORY_TYPE_SHIFT & 7, 3);
	assert_int_equal(mode->decode(&controls, 1, P | PS | 0x1000).word >> WORD_MEMORY_TYPE_SHIFT & 7, 4);
	assert_int_equal(mode->decode(&controls, 1, P | PS | 0x1000).word & WORD_FRAME, 0);
	assert_true(mode->decode(&controls, 0, P | G).word & WORD_GLOBAL);
	assert_false(mode->decode(&controls, 1, P | G).word & WORD_GLOBAL);
	controls.global_pages = false;
	assert_false(mode->decode(&controls, 0, P | G).word & WORD_GLOBAL);
}

/* ---- the other modes ---- */

/* 5 levels: bits 56:48 index the PML5; 0x00ff... is an address here and none with 4 levels. */
static void a_walk_of_five_levels(void **state)
{
	(void)state;
	struct bare bare;
	uint64_t linear = 0x0012000000000000u | LINEAR;
	bare_begin(&bare, &translation_x86_5level_ops, 0x9000);
	put(&bare, 0x9000, 0x12, ROOT | ALL);
	put(&bare, ROOT, 254, PDPT | ALL);
	put(&bare, PDPT, 72, PD | ALL);
	put(&bare, PD, 418, PT | ALL);
	put(&bare, PT, 359, 0x5a5a5000 | ALL);
	assert_int_equal(load(&bare, linear).word & WORD_FRAME, 0x5a5a5000);
	assert_int_equal(bare.sent, 5);
	assert_int_equal(sent[0].address, 0x9000 + 0x12 * 8);
	assert_int_equal(load(&bare, 0x0100000000000000u).outcome, WALK_GENERAL_PROTECTION);
	bare_end(&bare);
}

/* 32-bit: 0xdeadbeef = PD 890, PT 731, offset eef; 4 MiB pages with PSE, their high bits by PSE-36 (SDM table 4-4). */
static void a_walk_of_32_bits(void **state)
{
	(void)state;
	struct bare bare;
	bare_begin(&bare, &translation_x86_32_ops, ROOT);
	put(&bare, ROOT, 890, PT | ALL);
	put(&bare, PT, 731, 0x00777000 | ALL);
	assert_int_equal(load(&bare, 0xdeadbeef).word & WORD_FRAME, 0x777000);
	assert_int_equal(bare.sent, 2);
	assert_int_equal(sent[0].address, ROOT + 890 * 4);
	assert_int_equal(sent[1].address, PT + 731 * 4);
	put(&bare, ROOT, 890, 0x10400000 | 0x5 << 13 | PS | ALL);
	struct walk walk = load(&bare, 0xdeadbeef);
	assert_int_equal(walk.size, PAGE_4M);
	assert_int_equal(walk.word & WORD_FRAME, 0x510400000);
	put(&bare, ROOT, 890, 0x10600000 | PS | ALL); /* bit 21 */
	expect_fault(load(&bare, 0xdeadbeef), PF_PRESENT | PF_USER | PF_RESERVED);
	bare.walker.controls.physical_bits = 36;
	put(&bare, ROOT, 890, 0x10400000 | 0x10 << 13 | PS | ALL); /* bit 36 of the address */
	expect_fault(load(&bare, 0xdeadbeef), PF_PRESENT | PF_USER | PF_RESERVED);
	bare.walker.controls.large_pages = false; /* PS is ignored: a table */
	put(&bare, ROOT, 890, PT | PS | ALL);
	assert_int_equal(load(&bare, 0xdeadbeef).size, PAGE_4K);
	bare_end(&bare);
}

/* PAE: 0xdeadbeef = PDPTE 3, PD 245, PT 219; the PDPTE is a register, so two references; bits 62:52 reserved (SDM 4.4). */
static void a_walk_of_pae(void **state)
{
	(void)state;
	struct bare bare;
	bare_begin(&bare, &translation_x86_pae_ops, 0);
	put(&bare, 0x1020, 3, PD | P);
	walker_load_root(&bare.walker, 0x1020, 0);
	put(&bare, PD, 245, PT | ALL);
	put(&bare, PT, 219, 0x123456000 | ALL);
	assert_int_equal(load(&bare, 0xdeadbeef).word & WORD_FRAME, 0x123456000);
	assert_int_equal(bare.sent, 2);
	assert_int_equal(sent[0].address, PD + 245 * 8);
	put(&bare, 0x1020, 3, 0); /* not seen before CR3 is loaded again */
	assert_int_equal(load(&bare, 0xdeadbeef).outcome, WALK_OK);
	put(&bare, PT, 219, 0x123456000 | ALL | 1ull << 52);
	expect_fault(load(&bare, 0xdeadbeef), PF_PRESENT | PF_USER | PF_RESERVED);
	put(&bare, PD, 245, 0x40200000 | PS | ALL);
	assert_int_equal(load(&bare, 0xdeadbeef).size, PAGE_2M);
	walker_load_root(&bare.walker, 0x1020, 0);
	expect_fault(load(&bare, 0xdeadbeef), PF_USER);
	bare_end(&bare);
}

/* What page_tables writes is what the hand wrote above. */
static void tables_are_written_in_the_same_formats(void **state)
{
	(void)state;
	const struct paging_controls controls = rig_controls();
	const uint64_t all = WORD_PRESENT | WORD_WRITE | WORD_USER | WORD_EXECUTE | WORD_ACCESSED;
	assert_int_equal(translation_x86_4level_ops.encode(&controls, 0, 0x5a5a5000 | all, true), 0x5a5a5000 | ALL);
	assert_int_equal(translation_x86_4level_ops.encode(&controls, 0,
	                                                   0x5a5a5000 | (all & ~WORD_EXECUTE) | WORD_DIRTY | WORD_GLOBAL, true),
	                 0x5a5a5000 | ALL | XD | D | G);
	assert_int_equal(translation_x86_4level_ops.encode(&controls, 1, 0x40200000 | all, true), 0x40200000 | ALL | PS);
	assert_int_equal(translation_x86_32_ops.encode(&controls, 1, 0x510400000 | all, true), 0x10400000 | 0x5 << 13 | PS | ALL);
	assert_int_equal(translation_x86_pae_ops.encode(&controls, 2, PD | all, false), PD | P);
	assert_int_equal(translation_x86_ept_ops.encode(&controls, 1, 0x40200000 | all, true), 0x40200000 | 0x1b7);
}

/* ---- paging-structure caches (SDM 4.10.3.1) ---- */

static void give_cache(struct walker *walker, unsigned level)
{
	struct error error = {0};
	const struct tlb_spec spec = {.name = "structure", .entries = 4, .replacement = "lru"};
	const struct tlbs_wiring wiring = {.words = true};
	walker->structure[level] = tlb_create(&spec, &wiring, &error);
	assert_non_null(walker->structure[level]);
}

/* PDE cache: 1 reference; after another 2 MiB, PDPTE cache: 2; another GiB, PML4E cache: 3; another half TiB: 4. */
static void a_walk_starts_below_what_is_cached(void **state)
{
	(void)state;
	struct bare bare;
	four_levels(&bare);
	for (unsigned level = 1; level < 4; level++)
		give_cache(&bare.walker, level);
	put(&bare, PT, 360, 0x6000000 | ALL);
	put(&bare, PD, 419, PT | ALL);
	put(&bare, PDPT, 73, PD | ALL);
	put(&bare, ROOT, 253, PDPT | ALL);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 4);
	load(&bare, LINEAR + 0x1000);
	assert_int_equal(bare.sent, 1);
	load(&bare, LINEAR + 0x200000);
	assert_int_equal(bare.sent, 2);
	load(&bare, LINEAR + 0x40000000);
	assert_int_equal(bare.sent, 3);
	load(&bare, LINEAR - 0x8000000000);
	assert_int_equal(bare.sent, 4);
	/* INVLPG empties them whatever its address (4.10.4.1); another PCID has its own. */
	const struct tlb_scope scope = tlb_scope_invlpg(0, 0);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 1);
	walker_invalidate(&bare.walker, &scope);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 4);
	walker_load_root(&bare.walker, ROOT, 5);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 4);
	/* INVPCID of one address takes what translates it, and no more. */
	const struct tlb_scope one = tlb_scope_invpcid(INVPCID_ADDRESS, 5, LINEAR);
	load(&bare, LINEAR + 0x200000);
	walker_invalidate(&bare.walker, &one);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 4);
	load(&bare, LINEAR + 0x200000);
	assert_int_equal(bare.sent, 1);
	bare_end(&bare);
}

/* What a cached entry forbids stays forbidden: rights are cached with the entry. */
static void cached_entries_keep_their_rights(void **state)
{
	(void)state;
	struct bare bare;
	four_levels(&bare);
	give_cache(&bare.walker, 1);
	put(&bare, PDPT, 72, PD | P | US | A);
	load(&bare, LINEAR);
	struct walk walk = ask(&bare, (struct walk_request){.linear = LINEAR, .user = true, .write = true});
	expect_fault(walk, PF_PRESENT | PF_USER | PF_WRITE);
	assert_int_equal(bare.sent, 1);
	bare_end(&bare);
}

/* ---- nested paging (APM vol. 2 15.25, SDM vol. 3C 28.3) ---- */

/* Host tables of 4 KiB pages that map guest-physical g to g + SHIFT, for g below 2 MiB and for the page that the guest maps. */
#define SHIFT 0x10000000u

static void host_tables(struct bare *bare, struct walker *host, const struct translation_ops *mode, uint64_t all)
{
	*host = (struct walker){.mode = mode, .controls = rig_controls(), .memory = &bare->memory, .root = 0x20000000};
	put(bare, 0x20000000, 0, 0x20001000 | all);
	put(bare, 0x20001000, 0, 0x20002000 | all);
	put(bare, 0x20002000, 0, 0x20003000 | all);
	for (unsigned page = 0; page < 512; page++)
		put(bare, 0x20003000, page, (SHIFT + ((uint64_t)page << 12)) | all);
}

static void nested_walks(const struct translation_ops *host_mode, uint64_t all)
{
	struct bare bare;
	struct walker host;
	bare_begin(&bare, &translation_x86_4level_ops, ROOT);
	host_tables(&bare, &host, host_mode, all);
	bare.walker.host = &host;
	put(&bare, SHIFT + ROOT, 254, PDPT | ALL);
	put(&bare, SHIFT + PDPT, 72, PD | ALL);
	put(&bare, SHIFT + PD, 418, PT | ALL);
	put(&bare, SHIFT + PT, 359, 0x5000 | ALL);
	struct walk walk = load(&bare, LINEAR);
	assert_int_equal(walk.outcome, WALK_OK);
	assert_int_equal(walk.word & WORD_FRAME, SHIFT + 0x5000);
	assert_int_equal(bare.sent, 24);
	/* Four of the host, then the guest's own, five times over; four for the page. */
	for (unsigned i = 0; i < 24; i++)
		assert_int_equal(sent[i].address >= 0x20000000, i % 5 != 4);
	assert_int_equal(sent[4].address, SHIFT + ROOT + 254 * 8);
	assert_int_equal(sent[19].address, SHIFT + PT + 359 * 8);
	/* Host caches that spare three of four: 4 * (1 + 1) + 1, but for the first, which fills them. */
	give_cache(&host, 1);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 4 + 1 + 3 * 2 + 1);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 9);
	/* The guest's PDE cache holds the host's address of the page table: one of its own, then the page's. */
	give_cache(&bare.walker, 1);
	load(&bare, LINEAR);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 2);
	struct error error = {0};
	const struct tlb_spec spec = {.name = "nested_tlb", .entries = 16, .replacement = "lru"};
	host.nested = tlb_create(&spec, &(struct tlbs_wiring){.words = true}, &error);
	assert_non_null(host.nested);
	load(&bare, LINEAR);
	load(&bare, LINEAR);
	assert_int_equal(bare.sent, 1);
	/* A host page of 2 MiB under a guest's of 4 KiB stays 4 KiB; a guest page of 2 MiB on the host's 4 KiB becomes 4 KiB. */
	put(&bare, SHIFT + PD, 419, 0 | PS | ALL);
	walk = load(&bare, LINEAR + 0x200000);
	assert_int_equal(walk.size, PAGE_4K);
	assert_int_equal(walk.word & WORD_FRAME, SHIFT + 0x167000);
	walker_check(&host);
	walker_release(&host);
	bare_end(&bare);
}

/* AMD: the host's tables are ordinary ones, and every access of the guest one of user mode. */
static void a_nested_walk_has_24_references(void **state)
{
	(void)state;
	nested_walks(&translation_x86_4level_ops, ALL | D);
}

/* Intel: read, write, execute in bits 2:0, accessed and dirty in bits 8 and 9. */
static void an_ept_walk_has_24_references(void **state)
{
	(void)state;
	nested_walks(&translation_x86_ept_ops, 0x107 | 0x200);
}

/*
 * A guest with PAE, its PDPT at guest-physical 0x1020: on Intel its entries are registers, so PDE and PTE are read, and each of
 * both tables and the page is looked for in the host: (2 + 1) * (4 + 1) - 1. On AMD the walk reads the PDPTE too: 3 levels on 4.
 * Would catch: registers read from the guest's own addresses, or kept where AMD reads them anew.
 */
static void nested_pae(const struct translation_ops *host_mode, uint64_t all, unsigned references)
{
	struct bare bare;
	struct walker host;
	bare_begin(&bare, &translation_x86_pae_ops, 0);
	host_tables(&bare, &host, host_mode, all);
	bare.walker.host = &host;
	put(&bare, SHIFT + 0x1020, 3, PD | P);
	put(&bare, SHIFT + PD, 245, PT | ALL);
	put(&bare, SHIFT + PT, 219, 0x5000 | ALL);
	walker_load_root(&bare.walker, 0x1020, 0);
	struct walk walk = load(&bare, 0xdeadbeef);
	assert_int_equal(walk.outcome, WALK_OK);
	assert_int_equal(walk.word & WORD_FRAME, SHIFT + 0x5000);
	assert_int_equal(bare.sent, references);
	assert_int_equal(sent[references - 5].address, SHIFT + PT + 219 * 8);
	put(&bare, SHIFT + 0x1020, 3, 0);
	assert_int_equal(load(&bare, 0xdeadbeef).outcome, references == 14 ? WALK_OK : WALK_PAGE_FAULT);
	walker_check(&host);
	walker_release(&host);
	bare_end(&bare);
}

static void a_guest_with_pae(void **state)
{
	(void)state;
	nested_pae(&translation_x86_ept_ops, 0x107 | 0x200, 14);
	nested_pae(&translation_x86_4level_ops, ALL | D, 19);
}

/* Two levels of four-byte entries on four of the host: (2 + 1) * (4 + 1) - 1. Would catch: entries read with the host's width. */
static void a_guest_of_32_bits(void **state)
{
	(void)state;
	struct bare bare;
	struct walker host;
	bare_begin(&bare, &translation_x86_pae_ops, ROOT); /* the host's entries are written with eight bytes */
	host_tables(&bare, &host, &translation_x86_ept_ops, 0x107 | 0x200);
	bare.walker.mode = &translation_x86_32_ops;
	bare.walker.host = &host;
	put(&bare, SHIFT + ROOT, 890, PT | ALL);
	put(&bare, SHIFT + PT, 731, 0x5000 | ALL);
	struct walk walk = load(&bare, 0xdeadbeef);
	assert_int_equal(walk.outcome, WALK_OK);
	assert_int_equal(walk.word & WORD_FRAME, SHIFT + 0x5000);
	assert_int_equal(bare.sent, 14);
	assert_int_equal(sent[4].address, SHIFT + ROOT + 890 * 4);
	assert_int_equal(sent[9].address, SHIFT + PT + 731 * 4);
	walker_check(&host);
	walker_release(&host);
	bare_end(&bare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_walk_of_four_levels),
	        cmocka_unit_test(large_pages_end_a_walk_early),
	        cmocka_unit_test(accessed_and_dirty_are_stored_once),
	        cmocka_unit_test(error_codes_are_a_processors),
	        cmocka_unit_test(reserved_bits_of_long_mode),
	        cmocka_unit_test(memory_type_and_global),
	        cmocka_unit_test(a_walk_of_five_levels),
	        cmocka_unit_test(a_walk_of_32_bits),
	        cmocka_unit_test(a_walk_of_pae),
	        cmocka_unit_test(tables_are_written_in_the_same_formats),
	        cmocka_unit_test(a_walk_starts_below_what_is_cached),
	        cmocka_unit_test(cached_entries_keep_their_rights),
	        cmocka_unit_test(a_nested_walk_has_24_references),
	        cmocka_unit_test(an_ept_walk_has_24_references),
	        cmocka_unit_test(a_guest_with_pae),
	        cmocka_unit_test(a_guest_of_32_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
