/* SPDX-License-Identifier: MIT
 *
 * flush_every.c - accesses cut where a flush is due (interface: flush_every.h).
 */
#include "tools/kmemsim/flush_every.h"

/* Writes load-stores as a load and a store, as traces do whose format has none; returns how many accesses there are then. */
static size_t split_modifies(const struct access *accesses, size_t count, struct access *split)
{
	size_t made = 0;
	for (size_t i = 0; i < count; i++) {
		split[made] = accesses[i];
		if (accesses[i].kind == ACCESS_MODIFY) {
			split[made++].kind = ACCESS_LOAD;
			split[made] = accesses[i];
			split[made].kind = ACCESS_STORE;
		}
		made++;
	}
	return made;
}

static void run_cut(struct flush_every *flush, const struct access *accesses, size_t count)
{
	for (size_t done = 0; done < count;) {
		size_t part = count - done;
		uint64_t until_flush = flush->every - flush->since;
		if (part > until_flush)
			part = (size_t)until_flush;
		flush->run(flush->context, accesses + done, part);
		done += part;
		flush->since += part;
		if (flush->since < flush->every)
			continue;
		flush->flush(flush->context);
		flush->since = 0;
		flush->flushes++;
	}
}

void flush_every_run(struct flush_every *flush, const struct access *accesses, size_t count)
{
	struct access split[2 * ACCESS_BATCH];
	SIM_ASSERT(count <= ACCESS_BATCH);
	if (flush->every == 0)
		flush->run(flush->context, accesses, count);
	else if (flush->modify == MODIFY_LOAD_STORE)
		run_cut(flush, split, split_modifies(accesses, count, split));
	else
		run_cut(flush, accesses, count);
}
