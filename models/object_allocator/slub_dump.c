/* SPDX-License-Identifier: MIT
 *
 * slub_dump.c - brings SLUB into the state of a recorded dump (interface: slub.h; list by list: slub_load.c). The lines are:
 *
 *   @C name key=value ...                    a cache; the list lines behind it belong to it
 *   @CC cpu { lockless chain } SLAB          the CPU's slab
 *   @CP cpu slabs=n SLAB SLAB ...            the CPU's partial list, head first
 *   @CN SLAB SLAB ...                        the node's partial list, head first
 *   @SP pfn order cache inuse/objects/frozen every slab there is; those that no list names are full
 * SLAB is `pfn inuse/objects/frozen [ own chain ]`. A dump without @SP lines only counts its full slabs (slub_load_unseen()).
 *
 * Invariant: every slab's frames are known to the page allocator as a block, so that SLUB can give them back.
 */
#include "models/object_allocator/dump_text.h"
#include "models/object_allocator/slub.h"

struct slub_reader {
	struct slub *slub;
	const struct state_text *line;
	const char *at;
	uint16_t *chain, *lockless; /* MAX_OBJS_PER_PAGE each */
	struct error *error;
};

static bool damaged(const struct slub_reader *reader)
{
	return dump_error(reader->line, "not a list of slabs", reader->error);
}

/* `open n n n close` */
static bool take_chain(struct slub_reader *reader, const char *open, const char *close, uint16_t *chain, uint32_t *length)
{
	if (!dump_skip(&reader->at, open))
		return false;
	for (*length = 0; !dump_skip(&reader->at, close); ++*length) {
		uint64_t index;
		if (*length >= MAX_OBJS_PER_PAGE || !dump_take(&reader->at, 10, MAX_OBJS_PER_PAGE - 1, &index))
			return false;
		chain[*length] = (uint16_t)index;
	}
	return true;
}

/* `pfn` and then, behind `between` if there is anything, inuse/objects/frozen. */
static bool take_counts(struct slub_reader *reader, struct slub_loaded_slab *slab)
{
	uint64_t inuse, objects, frozen;
	if (!dump_take(&reader->at, 10, MAX_OBJS_PER_PAGE, &inuse) || !dump_skip(&reader->at, "/") ||
	    !dump_take(&reader->at, 10, MAX_OBJS_PER_PAGE, &objects) || !dump_skip(&reader->at, "/") ||
	    !dump_take(&reader->at, 10, 1, &frozen))
		return false;
	slab->inuse = (uint32_t)inuse;
	slab->objects = (uint32_t)objects;
	return true;
}

static bool take_slab(struct slub_reader *reader, struct slub_loaded_slab *slab)
{
	uint64_t frame;
	slab->chain = reader->chain;
	if (!dump_take(&reader->at, 16, UINT32_MAX - 1, &frame) || !take_counts(reader, slab) ||
	    !take_chain(reader, "[", "]", reader->chain, &slab->chain_length))
		return false;
	slab->first = pfn_of((uint32_t)frame);
	return true;
}

/* The page allocator learns of the block that the slab at `first` lies in. */
static bool adopt_slab(struct slub *slub, const struct slub_reader *reader, pfn first)
{
	const struct slub_slab *slab = slub_slab_of(slub, layout_page_address(slub->wiring.layout, first));
	SIM_ASSERT(slab);
	return page_adopt(slub->wiring.pages, first, slab->order) ||
	       dump_error(reader->line, "a slab lies in frames that are free", reader->error);
}

static bool load_slab(struct slub_reader *reader, struct slub_cache *cache, const struct slub_loaded_slab *slab,
                      enum slub_place place, unsigned cpu)
{
	return slub_load_slab(reader->slub, cache, slab, place, cpu, reader->error) &&
	       adopt_slab(reader->slub, reader, slab->first);
}

static bool load_list(struct slub_reader *reader, struct slub_cache *cache)
{
	const char kind = reader->line->text[2];
	enum slub_place place = kind == 'C' ? SLUB_CPU : kind == 'P' ? SLUB_CPU_PARTIAL : SLUB_NODE_PARTIAL;
	struct slub_loaded_slab slab = {.lockless = reader->lockless};
	uint64_t cpu = 0, slabs;
	reader->at = reader->line->text + strlen("@CC");
	if (place != SLUB_NODE_PARTIAL && !dump_take(&reader->at, 10, CPUS_MAX - 1, &cpu))
		return damaged(reader);
	if (place == SLUB_CPU && !take_chain(reader, "{", "}", reader->lockless, &slab.lockless_length))
		return damaged(reader);
	if (place == SLUB_CPU_PARTIAL && (!dump_skip(&reader->at, "slabs=") || !dump_take(&reader->at, 10, UINT32_MAX, &slabs)))
		return damaged(reader);
	do {
		if (!take_slab(reader, &slab))
			return damaged(reader);
		if (!load_slab(reader, cache, &slab, place, (unsigned)cpu))
			return false;
		reader->at += strspn(reader->at, " ");
	} while (*reader->at);
	return true;
}

/* A slab that no list named is full. */
static bool load_full(struct slub_reader *reader)
{
	uint64_t frame, order;
	char name[DUMP_NAME_MAX];
	reader->at = reader->line->text + strlen("@SP");
	if (!dump_take(&reader->at, 16, UINT32_MAX - 1, &frame) || !dump_take(&reader->at, 10, ORDERS - 1, &order))
		return damaged(reader);
	struct slub_loaded_slab slab = {.first = pfn_of((uint32_t)frame)};
	if (slub_slab_of(reader->slub, layout_page_address(reader->slub->wiring.layout, slab.first)))
		return true;
	reader->at += strspn(reader->at, " ");
	size_t length = strcspn(reader->at, " ");
	if (length == 0 || length >= sizeof name)
		return damaged(reader);
	memcpy(name, reader->at, length);
	name[length] = '\0';
	reader->at += length;
	struct slub_cache *cache = slub_cache_of(reader->slub, dump_find_cache(&reader->slub->base, name));
	if (!cache || !take_counts(reader, &slab))
		return damaged(reader);
	return load_slab(reader, cache, &slab, SLUB_FULL, 0);
}

static bool is_list(const char *text)
{
	return dump_starts(text, "@CC ") || dump_starts(text, "@CP ") || dump_starts(text, "@CN ");
}

static bool load_lines(struct slub_reader *reader, const struct state_dump *dump)
{
	struct slub_cache *cache = NULL;
	char name[DUMP_NAME_MAX];
	for (size_t i = 0; i < dump->text_count; i++) {
		reader->line = &dump->texts[i];
		const char *text = reader->line->text;
		if (dump_starts(text, "@C ")) {
			dump_cache_name(text, name);
			cache = slub_cache_of(reader->slub, dump_find_cache(&reader->slub->base, name));
		} else if (is_list(text) && (!cache || !load_list(reader, cache))) {
			return cache ? false : damaged(reader);
		}
	}
	for (size_t i = 0; i < dump->text_count; i++) {
		reader->line = &dump->texts[i];
		if (dump_starts(reader->line->text, "@SP ") && !load_full(reader))
			return false;
	}
	return true;
}

/* What @C counts and neither a list nor @SP shows. */
static void load_unseen(struct slub *slub, const struct state_dump *dump)
{
	char name[DUMP_NAME_MAX];
	for (size_t i = 0; i < dump->text_count; i++) {
		const char *text = dump->texts[i].text;
		if (!dump_starts(text, "@C "))
			continue;
		dump_cache_name(text, name);
		struct slub_cache *cache = slub_cache_of(slub, dump_find_cache(&slub->base, name));
		uint64_t slabs = dump_number(text, "slabs", 10), objects = dump_number(text, "total", 10);
		if (cache && slabs > cache->nr_slabs && objects > cache->total_objects)
			slub_load_unseen(slub, cache, slabs - cache->nr_slabs, objects - cache->total_objects);
	}
}

bool slub_load_dump(struct object_allocator *objects, const struct state_dump *dump, struct error *error)
{
	struct slub *slub = slub_of(objects);
	if (!dump_make_caches(objects, dump, error))
		return false;
	uint16_t *chains = xcalloc(2 * MAX_OBJS_PER_PAGE, sizeof *chains);
	struct slub_reader reader = {.slub = slub, .chain = chains, .lockless = chains + MAX_OBJS_PER_PAGE, .error = error};
	bool loaded = load_lines(&reader, dump);
	free(chains);
	if (loaded)
		load_unseen(slub, dump);
	return loaded;
}
