/* SPDX-License-Identifier: MIT
 *
 * store_schema.c - the tables and views of the database. results/README.md explains them to people who query it.
 *
 * Tables but `run` are WITHOUT ROWID with natural keys, so that their order on disk is their key's and nothing depends on which
 * process wrote first. Deleting a run deletes all that belongs to it. sample_zone keeps the free lists as JSON arrays by order:
 * one row for a zone and moment instead of eleven makes sampling three times cheaper; v_free_blocks unfolds them.
 */
#include "sim/io/sqlite_store.h"

/* The arrays of sample_zone and the columns of v_compare have eleven orders. */
_Static_assert(ORDERS == 11, "v_free_blocks and v_compare count orders 0..10");

/* One statement each, in this order. */
const char *const store_schema_sql[] = {
        "CREATE TABLE run("
        " id INTEGER PRIMARY KEY, label TEXT, allocator TEXT, page_allocator TEXT, timing TEXT,"
        " status TEXT NOT NULL CHECK(status IN ('running', 'complete', 'interrupted', 'failed')), message TEXT,"
        " seed TEXT NOT NULL, scenario TEXT, trace TEXT, trace_sha256 TEXT, version TEXT, compiler TEXT,"
        " machine TEXT, kernel TEXT, cpus INTEGER, memory_bytes INTEGER, frequency_hz INTEGER,"
        " ops INTEGER, simulated_ns INTEGER, cycles INTEGER, peak_pages INTEGER,"
        " started_at TEXT, wall_s REAL, replay_wall_s REAL)",

        "CREATE TABLE metric("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, component TEXT NOT NULL, name TEXT NOT NULL,"
        " value INTEGER NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, help TEXT NOT NULL,"
        " PRIMARY KEY(run_id, component, name)) WITHOUT ROWID",

        "CREATE TABLE sample("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, sample INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
        " pages_free INTEGER NOT NULL, pages_pcp INTEGER NOT NULL, pages_allocated INTEGER NOT NULL,"
        " pages_slab INTEGER NOT NULL, pages_kmalloc_large INTEGER NOT NULL,"
        " pages_unmovable INTEGER NOT NULL, pages_movable INTEGER NOT NULL, pages_reclaimable INTEGER NOT NULL,"
        " bytes_req INTEGER NOT NULL, bytes_alloc INTEGER NOT NULL, live_objects INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, sample)) WITHOUT ROWID",

        "CREATE TABLE sample_zone("
        " run_id INTEGER NOT NULL, sample INTEGER NOT NULL, node INTEGER NOT NULL, zone TEXT NOT NULL,"
        " free_pages INTEGER NOT NULL, unmovable TEXT NOT NULL, movable TEXT NOT NULL, reclaimable TEXT NOT NULL,"
        " highatomic TEXT NOT NULL, PRIMARY KEY(run_id, sample, node, zone),"
        " FOREIGN KEY(run_id, sample) REFERENCES sample(run_id, sample) ON DELETE CASCADE) WITHOUT ROWID",

        "CREATE TABLE sample_area("
        " run_id INTEGER NOT NULL, sample INTEGER NOT NULL, areas INTEGER NOT NULL, pages INTEGER NOT NULL,"
        " pages_mapped INTEGER NOT NULL, pages_lazy INTEGER NOT NULL, purges INTEGER NOT NULL, tlb_flushes INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, sample),"
        " FOREIGN KEY(run_id, sample) REFERENCES sample(run_id, sample) ON DELETE CASCADE) WITHOUT ROWID",

        "CREATE TABLE sample_order("
        " run_id INTEGER NOT NULL, sample INTEGER NOT NULL, page_order INTEGER NOT NULL, asked INTEGER NOT NULL,"
        " failed INTEGER NOT NULL, PRIMARY KEY(run_id, sample, page_order),"
        " FOREIGN KEY(run_id, sample) REFERENCES sample(run_id, sample) ON DELETE CASCADE) WITHOUT ROWID",

        "CREATE TABLE snapshot("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, kind TEXT NOT NULL, sample INTEGER NOT NULL,"
        " text TEXT NOT NULL, PRIMARY KEY(run_id, kind, sample)) WITHOUT ROWID",

        "CREATE TABLE cache("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, nr INTEGER NOT NULL, name TEXT NOT NULL,"
        " object_size INTEGER NOT NULL, size INTEGER NOT NULL, align INTEGER NOT NULL, flags INTEGER NOT NULL,"
        " kmalloc INTEGER NOT NULL, objects_per_slab INTEGER NOT NULL, pages_per_slab INTEGER NOT NULL,"
        " active_objects INTEGER NOT NULL, total_objects INTEGER NOT NULL, active_slabs INTEGER NOT NULL,"
        " slabs INTEGER NOT NULL, slabs_peak INTEGER NOT NULL, recorded_slabs INTEGER,"
        " tunable_limit INTEGER NOT NULL, tunable_batchcount INTEGER NOT NULL, tunable_shared INTEGER NOT NULL,"
        " shared_available INTEGER NOT NULL, live_objects INTEGER NOT NULL, total_allocs INTEGER NOT NULL,"
        " total_frees INTEGER NOT NULL, bytes_req INTEGER NOT NULL, bytes_alloc INTEGER NOT NULL,"
        " live_bytes_req INTEGER NOT NULL, live_bytes_alloc INTEGER NOT NULL, PRIMARY KEY(run_id, nr)) WITHOUT ROWID",

        "CREATE TABLE call_site("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, call_site TEXT NOT NULL, hit INTEGER NOT NULL,"
        " ping_pong INTEGER NOT NULL, bytes_req INTEGER NOT NULL, bytes_alloc INTEGER NOT NULL,"
        " live_objects INTEGER NOT NULL, live_bytes_req INTEGER NOT NULL, live_bytes_alloc INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, call_site)) WITHOUT ROWID",

        "CREATE TABLE address_space("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, nr INTEGER NOT NULL, task INTEGER NOT NULL,"
        " mm INTEGER NOT NULL, samples INTEGER NOT NULL,"
        " recorded_file_pages INTEGER, recorded_anonymous_pages INTEGER, recorded_shared_pages INTEGER,"
        " recorded_swapped_pages INTEGER, recorded_pages INTEGER,"
        " file_pages INTEGER NOT NULL, anonymous_pages INTEGER NOT NULL, shared_pages INTEGER NOT NULL,"
        " swapped_pages INTEGER NOT NULL, pages INTEGER NOT NULL, PRIMARY KEY(run_id, nr)) WITHOUT ROWID",

        "CREATE TABLE histogram("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, name TEXT NOT NULL, unit TEXT NOT NULL,"
        " count INTEGER NOT NULL, sum INTEGER NOT NULL, min INTEGER NOT NULL, max INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, name)) WITHOUT ROWID",

        "CREATE TABLE histogram_bucket("
        " run_id INTEGER NOT NULL, name TEXT NOT NULL, lowest INTEGER NOT NULL, highest INTEGER NOT NULL,"
        " count INTEGER NOT NULL, PRIMARY KEY(run_id, name, lowest),"
        " FOREIGN KEY(run_id, name) REFERENCES histogram(run_id, name) ON DELETE CASCADE) WITHOUT ROWID",

        "CREATE TABLE lock("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, address TEXT NOT NULL, name TEXT NOT NULL,"
        " acquisitions INTEGER NOT NULL, waits INTEGER NOT NULL, hand_overs INTEGER NOT NULL, wait_cycles INTEGER NOT NULL,"
        " take_cycles INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, address)) WITHOUT ROWID",

        "CREATE TABLE line("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, physical TEXT NOT NULL, address TEXT,"
        " name TEXT NOT NULL, transfers_clean INTEGER NOT NULL, transfers_dirty INTEGER NOT NULL,"
        " invalidations INTEGER NOT NULL, upgrades INTEGER NOT NULL, cores INTEGER NOT NULL, writers INTEGER NOT NULL,"
        " false_sharing INTEGER NOT NULL, PRIMARY KEY(run_id, physical)) WITHOUT ROWID",

        /* The last eleven columns of these two are the parts of `cycles` (sim/cost.h). */
        "CREATE TABLE op_cost("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, kind TEXT NOT NULL, owner INTEGER NOT NULL,"
        " path TEXT NOT NULL, cache TEXT NOT NULL, ops INTEGER NOT NULL, min INTEGER NOT NULL, median INTEGER NOT NULL,"
        " p90 INTEGER NOT NULL, p99 INTEGER NOT NULL, max INTEGER NOT NULL, cycles INTEGER NOT NULL,"
        " compute INTEGER NOT NULL, tlb INTEGER NOT NULL, l1 INTEGER NOT NULL, l2 INTEGER NOT NULL,"
        " llc INTEGER NOT NULL, coherence INTEGER NOT NULL, dram INTEGER NOT NULL,"
        " store_buffer INTEGER NOT NULL, lock INTEGER NOT NULL, ipi INTEGER NOT NULL, io INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, kind, owner, path)) WITHOUT ROWID",

        "CREATE TABLE site_cost("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, kind TEXT NOT NULL, call_site TEXT NOT NULL,"
        " ops INTEGER NOT NULL, cycles INTEGER NOT NULL,"
        " compute INTEGER NOT NULL, tlb INTEGER NOT NULL, l1 INTEGER NOT NULL, l2 INTEGER NOT NULL,"
        " llc INTEGER NOT NULL, coherence INTEGER NOT NULL, dram INTEGER NOT NULL,"
        " store_buffer INTEGER NOT NULL, lock INTEGER NOT NULL, ipi INTEGER NOT NULL, io INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, kind, call_site)) WITHOUT ROWID",

        "CREATE TABLE level("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, level TEXT NOT NULL, port TEXT NOT NULL,"
        " position INTEGER NOT NULL, instances INTEGER NOT NULL, entries INTEGER NOT NULL, ways INTEGER NOT NULL,"
        " unit_bytes INTEGER NOT NULL, reach_bytes INTEGER NOT NULL, accesses INTEGER NOT NULL, misses INTEGER NOT NULL,"
        " evictions INTEGER NOT NULL, write_backs INTEGER NOT NULL, thrash_window INTEGER, unused_evictions INTEGER,"
        " remisses INTEGER, ping_pong_blocks INTEGER, PRIMARY KEY(run_id, level)) WITHOUT ROWID",

        "CREATE TABLE level_kind("
        " run_id INTEGER NOT NULL, level TEXT NOT NULL, page_bytes INTEGER NOT NULL, kind TEXT NOT NULL,"
        " accesses INTEGER NOT NULL, hits INTEGER NOT NULL, misses INTEGER NOT NULL, evictions INTEGER NOT NULL,"
        " write_backs INTEGER NOT NULL, PRIMARY KEY(run_id, level, page_bytes, kind),"
        " FOREIGN KEY(run_id, level) REFERENCES level(run_id, level) ON DELETE CASCADE) WITHOUT ROWID",

        "CREATE TABLE level_sample("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, sample INTEGER NOT NULL, level TEXT NOT NULL,"
        " position INTEGER NOT NULL, time_ns INTEGER NOT NULL, accesses INTEGER NOT NULL, misses INTEGER NOT NULL,"
        " PRIMARY KEY(run_id, sample, level)) WITHOUT ROWID",

        "CREATE TABLE level_share("
        " run_id INTEGER NOT NULL, level TEXT NOT NULL, by TEXT NOT NULL CHECK(by IN ('region', 'owner', 'call site')), name "
        "TEXT NOT NULL,"
        " accesses INTEGER NOT NULL, misses INTEGER NOT NULL, PRIMARY KEY(run_id, level, by, name),"
        " FOREIGN KEY(run_id, level) REFERENCES level(run_id, level) ON DELETE CASCADE) WITHOUT ROWID",

        "CREATE TABLE walk_reference("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, entry TEXT NOT NULL, served_by TEXT NOT NULL,"
        " refs INTEGER NOT NULL, PRIMARY KEY(run_id, entry, served_by)) WITHOUT ROWID",

        "CREATE TABLE wrong_op("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, nr INTEGER NOT NULL, op INTEGER NOT NULL,"
        " line INTEGER, kind TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY(run_id, nr)) WITHOUT ROWID",

        "CREATE TABLE curve("
        " run_id INTEGER PRIMARY KEY REFERENCES run(id) ON DELETE CASCADE, port TEXT NOT NULL, kinds TEXT NOT NULL,"
        " unit_bytes INTEGER NOT NULL, records INTEGER NOT NULL, accesses INTEGER NOT NULL, blocks INTEGER NOT NULL,"
        " sampled_blocks INTEGER, sampled_accesses INTEGER, rate_ppb INTEGER) WITHOUT ROWID",

        "CREATE TABLE curve_size("
        " run_id INTEGER NOT NULL REFERENCES curve(run_id) ON DELETE CASCADE, sets INTEGER NOT NULL, ways INTEGER NOT NULL,"
        " misses INTEGER NOT NULL, standard_error INTEGER, PRIMARY KEY(run_id, sets, ways)) WITHOUT ROWID",

        "CREATE TABLE curve_distance("
        " run_id INTEGER NOT NULL REFERENCES curve(run_id) ON DELETE CASCADE, lowest INTEGER NOT NULL, highest INTEGER NOT NULL,"
        " accesses INTEGER NOT NULL, PRIMARY KEY(run_id, lowest)) WITHOUT ROWID",

        "CREATE TABLE curve_machine("
        " run_id INTEGER NOT NULL REFERENCES curve(run_id) ON DELETE CASCADE, nr INTEGER NOT NULL, machine TEXT NOT NULL,"
        " level TEXT NOT NULL, entries INTEGER NOT NULL, ways INTEGER NOT NULL, accesses INTEGER NOT NULL,"
        " misses INTEGER NOT NULL, PRIMARY KEY(run_id, nr)) WITHOUT ROWID",

        "CREATE TABLE chase("
        " run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, series TEXT NOT NULL, lines INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL, milli_cycles INTEGER NOT NULL, femtoseconds INTEGER,"
        " PRIMARY KEY(run_id, series, lines)) WITHOUT ROWID",

        /* Free blocks: a row for each order. */
        "CREATE VIEW v_free_blocks AS "
        "SELECT z.run_id, z.sample, z.node, z.zone, u.key AS page_order, u.value AS unmovable,"
        " json_extract(z.movable, u.fullkey) AS movable, json_extract(z.reclaimable, u.fullkey) AS reclaimable,"
        " json_extract(z.highatomic, u.fullkey) AS highatomic "
        "FROM sample_zone AS z, json_each(z.unmovable) AS u",

        /*
         * The unusable index as /sys/kernel/debug/extfrag/unusable_index computes it (mm/vmstat.c, unusable_free_index):
         * 1000 * (free - pages in blocks of at least that order) / free, rounded down; 1000 where nothing is free.
         */
        "CREATE VIEW v_fragmentation AS "
        "WITH block AS ("
        " SELECT run_id, sample, node, zone, page_order, unmovable + movable + reclaimable + highatomic AS blocks FROM "
        "v_free_blocks),"
        " suitable AS ("
        " SELECT *, sum(blocks << page_order) OVER (PARTITION BY run_id, sample, node, zone) AS free_pages,"
        " sum(blocks << page_order) OVER (PARTITION BY run_id, sample, node, zone ORDER BY page_order DESC) AS usable_pages"
        " FROM block) "
        "SELECT f.run_id, r.allocator, f.sample, s.time_ns, f.node, f.zone, f.page_order, f.blocks AS free_blocks, f.free_pages,"
        " CASE f.free_pages WHEN 0 THEN 1000 ELSE (f.free_pages - f.usable_pages) * 1000 / f.free_pages END AS unusable_index "
        "FROM suitable AS f JOIN run AS r ON r.id = f.run_id JOIN sample AS s ON s.run_id = f.run_id AND s.sample = f.sample",

        /* The same over all zones of the machine, taken as one. */
        "CREATE VIEW v_fragmentation_machine AS "
        "WITH block AS ("
        " SELECT run_id, sample, page_order, sum(unmovable + movable + reclaimable + highatomic) AS blocks"
        " FROM v_free_blocks GROUP BY run_id, sample, page_order),"
        " suitable AS ("
        " SELECT *, sum(blocks << page_order) OVER (PARTITION BY run_id, sample) AS free_pages,"
        " sum(blocks << page_order) OVER (PARTITION BY run_id, sample ORDER BY page_order DESC) AS usable_pages FROM block) "
        "SELECT run_id, sample, page_order, blocks AS free_blocks, free_pages,"
        " CASE free_pages WHEN 0 THEN 1000 ELSE (free_pages - usable_pages) * 1000 / free_pages END AS unusable_index "
        "FROM suitable",

        /* Quantiles by the rule of histogram_quantile(): the lowest bucket that holds the rank ceil(count * q). */
        "CREATE VIEW v_histogram AS "
        "WITH seen AS ("
        " SELECT run_id, name, lowest, sum(count) OVER (PARTITION BY run_id, name ORDER BY lowest) AS seen FROM "
        "histogram_bucket) "
        "SELECT h.run_id, r.allocator, h.name, h.unit, h.count, h.min, h.max, h.sum * 1.0 / h.count AS mean,"
        " max(h.min, (SELECT min(s.lowest) FROM seen AS s WHERE s.run_id = h.run_id AND s.name = h.name"
        " AND s.seen >= (h.count * 500 + 999) / 1000)) AS median,"
        " max(h.min, (SELECT min(s.lowest) FROM seen AS s WHERE s.run_id = h.run_id AND s.name = h.name"
        " AND s.seen >= (h.count * 900 + 999) / 1000)) AS p90,"
        " max(h.min, (SELECT min(s.lowest) FROM seen AS s WHERE s.run_id = h.run_id AND s.name = h.name"
        " AND s.seen >= (h.count * 990 + 999) / 1000)) AS p99 "
        "FROM histogram AS h JOIN run AS r ON r.id = h.run_id WHERE h.count > 0",

        "CREATE VIEW v_metric AS "
        "SELECT m.run_id, r.allocator, m.component, m.name, m.value, m.unit, m.kind, m.help "
        "FROM metric AS m JOIN run AS r ON r.id = m.run_id",

        /* Each path of each cache in one row: cycles of an op, and where they went. */
        "CREATE VIEW v_op_cost AS "
        "SELECT c.run_id, r.allocator, r.label, c.kind, c.cache, c.path, c.ops, 1.0 * c.cycles / c.ops AS mean, c.median, c.p90,"
        " c.p99, c.max, c.cycles,"
        " 1.0 * c.compute / c.ops AS compute, 1.0 * c.tlb / c.ops AS tlb, 1.0 * c.l1 / c.ops AS l1,"
        " 1.0 * c.l2 / c.ops AS l2, 1.0 * c.llc / c.ops AS llc, 1.0 * c.coherence / c.ops AS coherence,"
        " 1.0 * c.dram / c.ops AS dram, 1.0 * c.store_buffer / c.ops AS store_buffer,"
        " 1.0 * c.lock / c.ops AS lock, 1.0 * c.ipi / c.ops AS ipi, 1.0 * c.io / c.ops AS io "
        "FROM op_cost AS c JOIN run AS r ON r.id = c.run_id",

        /* Where the cycles of a kind of op went, a row for each part: over all ops, and of one op. Runs of accesses have the kind
           access. */
        "CREATE VIEW v_cost_stack AS "
        "WITH total AS ("
        " SELECT run_id, kind, sum(ops) AS ops, sum(compute) AS compute, sum(tlb) AS tlb, sum(l1) AS l1,"
        " sum(l2) AS l2, sum(llc) AS llc, sum(coherence) AS coherence, sum(dram) AS dram,"
        " sum(store_buffer) AS store_buffer, sum(lock) AS lock, sum(ipi) AS ipi, sum(io) AS io"
        " FROM op_cost GROUP BY run_id, kind),"
        " part AS ("
        " SELECT run_id, kind, ops, 0 AS position, 'compute' AS part, compute AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 1 AS position, 'tlb' AS part, tlb AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 2 AS position, 'l1' AS part, l1 AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 3 AS position, 'l2' AS part, l2 AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 4 AS position, 'llc' AS part, llc AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 5 AS position, 'coherence' AS part, coherence AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 6 AS position, 'dram' AS part, dram AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 7 AS position, 'store_buffer' AS part, store_buffer AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 8 AS position, 'lock' AS part, lock AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 9 AS position, 'ipi' AS part, ipi AS cycles FROM total"
        " UNION ALL SELECT run_id, kind, ops, 10 AS position, 'io' AS part, io AS cycles FROM total UNION ALL"
        " SELECT m.run_id, 'access', x.ops, CASE m.name WHEN 'compute_cycles' THEN 0 WHEN 'tlb_cycles' THEN 1 WHEN 'l1_cycles' "
        "THEN 2"
        " WHEN 'l2_cycles' THEN 3 WHEN 'llc_cycles' THEN 4 WHEN 'coherence_cycles' THEN 5 WHEN 'dram_cycles' THEN 6 WHEN "
        "'store_buffer_cycles' THEN 7"
        " WHEN 'lock_cycles' THEN 8 WHEN 'ipi_cycles' THEN 9 WHEN 'io_cycles' THEN 10 END, replace(m.name, '_cycles', ''), "
        "m.value"
        " FROM metric AS m JOIN run AS x ON x.id = m.run_id WHERE m.component = 'core' AND m.name LIKE '%_cycles'"
        " AND m.name <> 'busy_cycles' AND x.ops > 0 AND m.run_id NOT IN (SELECT run_id FROM op_cost)) "
        "SELECT p.run_id, r.allocator, r.label, p.kind, p.position, p.part, p.ops, p.cycles, 1.0 * p.cycles / p.ops AS "
        "cycles_per_op "
        "FROM part AS p JOIN run AS r ON r.id = p.run_id",

        /* Locks, the most waited for first within a run. Cycles of an acquisition: from asking for it until having it. */
        "CREATE VIEW v_lock AS "
        "SELECT l.run_id, r.allocator, r.label, l.name, l.address, l.acquisitions, l.waits, l.hand_overs, l.wait_cycles,"
        " CASE l.waits WHEN 0 THEN 0.0 ELSE 1.0 * l.wait_cycles / l.waits END AS cycles_per_wait, l.take_cycles,"
        " CASE l.acquisitions WHEN 0 THEN 0.0 ELSE 1.0 * l.take_cycles / l.acquisitions END AS cycles_per_acquisition "
        "FROM lock AS l JOIN run AS r ON r.id = l.run_id ORDER BY l.run_id, l.wait_cycles DESC, l.acquisitions DESC, l.address",

        /* Lines, those that cores took from each other the most first within a run. */
        "CREATE VIEW v_line AS "
        "SELECT l.run_id, r.allocator, r.label, l.name, coalesce(l.address, l.physical) AS address, l.physical,"
        " l.transfers_clean + l.transfers_dirty AS transfers, l.transfers_dirty, l.invalidations, l.upgrades, l.cores,"
        " l.writers, l.false_sharing "
        "FROM line AS l JOIN run AS r ON r.id = l.run_id"
        " ORDER BY l.run_id, l.transfers_clean + l.transfers_dirty + l.invalidations DESC, l.physical",

        /* Each level in one row. thrash_index = remisses / accesses (docs/metrics.md). */
        "CREATE VIEW v_level AS "
        "SELECT l.run_id, r.allocator, r.label, l.position, l.level, l.port, l.accesses, l.accesses - l.misses AS hits, l.misses,"
        " CASE l.accesses WHEN 0 THEN 0.0 ELSE 1.0 * l.misses / l.accesses END AS miss_ratio, l.evictions, l.write_backs,"
        " l.instances, l.entries, l.ways, l.unit_bytes, l.reach_bytes, l.thrash_window, l.unused_evictions, l.remisses,"
        " l.ping_pong_blocks,"
        " CASE WHEN l.remisses IS NOT NULL AND l.accesses > 0 THEN 1.0 * l.remisses / l.accesses END AS thrash_index "
        "FROM level AS l JOIN run AS r ON r.id = l.run_id",

        /* Between one sample and the next: misses per thousand accesses of the level. */
        "CREATE VIEW v_level_sample AS "
        "WITH step AS ("
        " SELECT *, accesses - lag(accesses, 1, 0) OVER way AS accesses_since, misses - lag(misses, 1, 0) OVER way AS "
        "misses_since"
        " FROM level_sample WINDOW way AS (PARTITION BY run_id, level ORDER BY sample)) "
        "SELECT s.run_id, r.allocator, s.level, s.sample, s.position, s.time_ns, s.accesses_since, s.misses_since,"
        " CASE s.accesses_since WHEN 0 THEN NULL ELSE 1000.0 * s.misses_since / s.accesses_since END AS misses_per_thousand "
        "FROM step AS s JOIN run AS r ON r.id = s.run_id",

        "CREATE VIEW v_level_share AS "
        "SELECT s.run_id, r.allocator, s.level, s.by, s.name, s.accesses, s.misses,"
        " CASE s.accesses WHEN 0 THEN 0.0 ELSE 1.0 * s.misses / s.accesses END AS miss_ratio "
        "FROM level_share AS s JOIN run AS r ON r.id = s.run_id",

        /* Miss curves. A ratio is of the accesses that come to the level, a share of all accesses of the curve. */
        "CREATE VIEW v_curve AS "
        "SELECT s.run_id, r.label, r.trace, c.port, c.kinds, c.unit_bytes, s.sets, s.ways, s.sets * s.ways AS entries,"
        " s.sets * s.ways * c.unit_bytes AS bytes, c.accesses, s.misses,"
        " CASE c.accesses WHEN 0 THEN 0.0 ELSE 1.0 * s.misses / c.accesses END AS miss_ratio,"
        " CASE c.accesses WHEN 0 THEN 0.0 ELSE 1.0 * s.standard_error / c.accesses END AS standard_error "
        "FROM curve_size AS s JOIN curve AS c USING(run_id) JOIN run AS r ON r.id = s.run_id",

        "CREATE VIEW v_curve_distance AS "
        "SELECT d.run_id, r.label, c.unit_bytes, d.lowest, d.highest, d.accesses,"
        " CASE c.accesses WHEN 0 THEN 0.0 ELSE 1.0 * d.accesses / c.accesses END AS share,"
        " CASE c.accesses WHEN 0 THEN 0.0 ELSE 1.0 * sum(d.accesses) OVER (PARTITION BY d.run_id ORDER BY d.lowest) / c.accesses"
        " END AS share_up_to "
        "FROM curve_distance AS d JOIN curve AS c USING(run_id) JOIN run AS r ON r.id = d.run_id",

        "CREATE VIEW v_curve_machine AS "
        "SELECT m.run_id, r.label, m.nr, m.machine, m.level, c.port, m.entries, m.ways, m.entries * c.unit_bytes AS bytes,"
        " m.accesses, m.misses, CASE m.accesses WHEN 0 THEN 0.0 ELSE 1.0 * m.misses / m.accesses END AS miss_ratio,"
        " m.accesses = c.accesses AS sees_all "
        "FROM curve_machine AS m JOIN curve AS c USING(run_id) JOIN run AS r ON r.id = m.run_id",

        /* Chains of loads. */
        "CREATE VIEW v_chase AS "
        "SELECT c.run_id, r.label, r.machine, c.series, c.lines, c.bytes, c.milli_cycles / 1000.0 AS cycles,"
        " c.femtoseconds / 1000000.0 AS nanoseconds "
        "FROM chase AS c JOIN run AS r ON r.id = c.run_id",

        /* What caches hold at the end and do not use. Where a cache has no slabs of its own (SLOB), only the waste in objects is
           known. */
        "CREATE VIEW v_cache_waste AS "
        "SELECT c.run_id, r.allocator, c.nr, c.name AS cache, c.object_size, c.size, c.objects_per_slab, c.pages_per_slab,"
        " c.live_objects, c.slabs, c.slabs_peak, c.recorded_slabs,"
        " c.slabs * c.pages_per_slab * 4096 AS bytes_held, c.live_bytes_req, c.live_bytes_alloc,"
        " c.live_bytes_alloc - c.live_bytes_req AS waste_in_objects,"
        " CASE WHEN c.slabs > 0 THEN c.slabs * c.pages_per_slab * 4096 - c.live_bytes_alloc END AS waste_in_slabs,"
        " CASE WHEN c.slabs > 0 THEN c.slabs * c.pages_per_slab * 4096 - c.live_bytes_req"
        " ELSE c.live_bytes_alloc - c.live_bytes_req END AS waste "
        "FROM cache AS c JOIN run AS r ON r.id = c.run_id",

        /* Slabs at the end beside those of the slabinfo that came with the recording: a comparison for the recording's own
           allocator. */
        "CREATE VIEW v_recorded_slabs AS "
        "SELECT c.run_id, r.allocator, c.name AS cache, c.recorded_slabs, c.slabs,"
        " round(100.0 * (c.slabs - c.recorded_slabs) / c.recorded_slabs, 1) AS difference_percent "
        "FROM cache AS c JOIN run AS r ON r.id = c.run_id WHERE c.recorded_slabs > 0",

        /* Resident pages of recorded address spaces, at most, beside what rss_stat told of them. */
        "CREATE VIEW v_recorded_rss AS "
        "SELECT s.run_id, r.allocator, s.nr, s.task, s.mm, s.samples, s.recorded_pages, s.pages,"
        " s.recorded_anonymous_pages, s.anonymous_pages, s.recorded_file_pages, s.file_pages,"
        " round(100.0 * (s.pages - s.recorded_pages) / s.recorded_pages, 1) AS difference_percent "
        "FROM address_space AS s JOIN run AS r ON r.id = s.run_id WHERE s.recorded_pages > 0",

        /* The columns of `perf kmem stat --caller`, then what is still live at the end. */
        "CREATE VIEW v_callsite_waste AS "
        "SELECT c.run_id, r.allocator, c.call_site AS callsite, c.bytes_alloc AS total_alloc, c.bytes_alloc / c.hit AS alloc_per,"
        " c.bytes_req AS total_req, c.bytes_req / c.hit AS req_per, c.hit, c.ping_pong,"
        " CASE c.bytes_alloc WHEN 0 THEN 0.0 ELSE 100.0 - 100.0 * c.bytes_req / c.bytes_alloc END AS frag,"
        " c.bytes_alloc - c.bytes_req AS waste, c.live_objects, c.live_bytes_req, c.live_bytes_alloc,"
        " c.live_bytes_alloc - c.live_bytes_req AS live_waste "
        "FROM call_site AS c JOIN run AS r ON r.id = c.run_id WHERE c.hit > 0",

        /* One row a run; names that perf kmem has too mean the same there. */
        "CREATE VIEW v_run_totals AS "
        "WITH total AS ("
        " SELECT run_id, sum(hit) AS allocations, sum(ping_pong) AS ping_pong, sum(bytes_req) AS req, sum(bytes_alloc) AS alloc"
        " FROM call_site GROUP BY run_id),"
        " final AS (SELECT * FROM sample AS s WHERE s.sample = (SELECT max(sample) FROM sample WHERE run_id = s.run_id)),"
        " final_block AS ("
        " SELECT b.run_id, b.page_order, sum(b.unmovable + b.movable + b.reclaimable + b.highatomic) AS blocks"
        " FROM final AS f JOIN v_free_blocks AS b ON b.run_id = f.run_id AND b.sample = f.sample GROUP BY b.run_id, "
        "b.page_order),"
        " final_index AS MATERIALIZED ("
        " SELECT run_id, page_order, CASE sum(blocks << page_order) OVER whole WHEN 0 THEN 1000 ELSE"
        " (sum(blocks << page_order) OVER whole - sum(blocks << page_order) OVER (whole ORDER BY page_order DESC)) * 1000"
        " / sum(blocks << page_order) OVER whole END AS unusable_index FROM final_block WINDOW whole AS (PARTITION BY run_id)) "
        "SELECT r.id AS run_id, r.label, r.allocator, substr(r.trace_sha256, 1, 12) AS recording, r.page_allocator, r.timing, "
        "r.status, r.ops,"
        " (SELECT count(*) FROM wrong_op AS w WHERE w.run_id = r.id) AS wrong_ops,"
        " t.allocations, t.ping_pong, t.req AS total_bytes_requested, t.alloc AS total_bytes_allocated,"
        " t.alloc - t.req AS total_bytes_wasted,"
        " CASE t.alloc WHEN 0 THEN 0.0 ELSE 100.0 - 100.0 * t.req / t.alloc END AS internal_fragmentation,"
        " coalesce(r.peak_pages, (SELECT max(pages_slab + pages_kmalloc_large) FROM sample WHERE run_id = r.id)) AS peak_pages,"
        " f.pages_slab + f.pages_kmalloc_large AS final_pages,"
        " (SELECT sum(slabs) FROM cache WHERE run_id = r.id) AS slabs,"
        " f.live_objects, f.bytes_req AS live_bytes_requested, f.bytes_alloc AS live_bytes_allocated,"
        " f.bytes_alloc - f.bytes_req AS waste_in_objects,"
        " (f.pages_slab + f.pages_kmalloc_large) * 4096 - f.bytes_alloc AS waste_in_slabs,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 0) AS unusable_index_0,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 1) AS unusable_index_1,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 2) AS unusable_index_2,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 3) AS unusable_index_3,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 4) AS unusable_index_4,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 5) AS unusable_index_5,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 6) AS unusable_index_6,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 7) AS unusable_index_7,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 8) AS unusable_index_8,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 9) AS unusable_index_9,"
        " (SELECT unusable_index FROM final_index WHERE run_id = r.id AND page_order = 10) AS unusable_index_10,"
        " la.mean AS lines_per_alloc, ld.mean AS lines_per_free, pa.mean AS pages_per_alloc, pd.mean AS pages_per_free,"
        " a.median AS cycles_per_alloc_median, a.p99 AS cycles_per_alloc_p99,"
        " d.median AS cycles_per_free_median, d.p99 AS cycles_per_free_p99,"
        " (SELECT sum(acquisitions) FROM lock WHERE run_id = r.id) AS lock_acquisitions,"
        " (SELECT sum(waits) FROM lock WHERE run_id = r.id) AS lock_waits,"
        " (SELECT sum(wait_cycles) FROM lock WHERE run_id = r.id) AS lock_wait_cycles,"
        " r.cycles, r.simulated_ns, r.wall_s, r.replay_wall_s "
        "FROM run AS r LEFT JOIN total AS t ON t.run_id = r.id LEFT JOIN final AS f ON "
        "f.run_id = r.id"
        " LEFT JOIN v_histogram AS a ON a.run_id = r.id AND a.name = 'cycles_per_alloc'"
        " LEFT JOIN v_histogram AS d ON d.run_id = r.id AND d.name = 'cycles_per_free'"
        " LEFT JOIN v_histogram AS la ON la.run_id = r.id AND la.name = 'lines_per_alloc'"
        " LEFT JOIN v_histogram AS ld ON ld.run_id = r.id AND ld.name = 'lines_per_free'"
        " LEFT JOIN v_histogram AS pa ON pa.run_id = r.id AND pa.name = 'pages_per_alloc'"
        " LEFT JOIN v_histogram AS pd ON pd.run_id = r.id AND pd.name = 'pages_per_free'",

        /*
         * Mean cycles of an allocation or free, and where they went; of an access where accesses were run. Those of a program
         * that is a process bear all that was done for it: its faults, and what daemons did meanwhile.
         */
        "CREATE VIEW v_cost_mean AS "
        "WITH program AS (SELECT run_id, value AS accesses FROM metric"
        " WHERE component = 'program' AND name = 'accesses' AND value > 0),"
        " counted AS (SELECT o.*, p.accesses FROM op_cost AS o LEFT JOIN program AS p ON p.run_id = o.run_id"
        " WHERE p.run_id IS NOT NULL OR o.kind IN ('alloc', 'free') OR (o.kind IN ('process', 'touch', 'switch')"
        " AND o.run_id NOT IN (SELECT run_id FROM op_cost WHERE kind IN ('alloc', 'free')))),"
        " summed AS (SELECT run_id, 1.0 * coalesce(max(accesses), sum(ops)) AS n, sum(cycles) AS cycles,"
        " sum(compute) AS compute, sum(tlb) AS tlb, sum(l1) AS l1, sum(l2) AS l2, sum(llc) AS llc,"
        " sum(coherence) AS coherence, sum(dram) AS dram, sum(store_buffer) AS store_buffer, sum(lock) AS lock,"
        " sum(ipi) AS ipi, sum(io) AS io"
        " FROM counted GROUP BY run_id) "
        "SELECT run_id, cycles / n AS cost_mean,"
        " compute / n AS cost_compute, tlb / n AS cost_tlb, l1 / n AS cost_l1, l2 / n AS cost_l2, llc / n AS cost_llc,"
        " coherence / n AS cost_coherence, dram / n AS cost_dram, store_buffer / n AS cost_store_buffer,"
        " lock / n AS cost_lock, ipi / n AS cost_ipi, io / n AS cost_io "
        "FROM summed "
        "UNION ALL SELECT m.run_id, 1.0 * max(m.value * (m.name = 'busy_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'compute_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'tlb_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'l1_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'l2_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'llc_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'coherence_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'dram_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'store_buffer_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'lock_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'ipi_cycles')) / r.ops,"
        " 1.0 * max(m.value * (m.name = 'io_cycles')) / r.ops "
        "FROM metric AS m JOIN run AS r ON r.id = m.run_id WHERE m.component = 'core' AND r.ops > 0"
        " AND m.run_id NOT IN (SELECT run_id FROM op_cost) GROUP BY m.run_id",

        /* What processes took, of runs that have some. */
        "CREATE VIEW v_process_totals AS "
        "SELECT run_id, sum(value) FILTER (WHERE name = 'faults') AS page_faults,"
        " sum(value) FILTER (WHERE name = 'faults_file_read') AS file_read_faults,"
        " sum(value) FILTER (WHERE name IN ('faults_huge', 'faults_huge_zero')) AS huge_faults,"
        " sum(value) FILTER (WHERE name = 'pswpout') AS pages_swapped_out,"
        " sum(value) FILTER (WHERE name = 'pswpin') AS pages_swapped_in "
        "FROM metric WHERE component IN ('user_memory', 'page_lru') GROUP BY run_id HAVING page_faults > 0",

        /* v_run_totals with the costs and the processes beside them. */
        "CREATE VIEW v_compare AS "
        "SELECT t.*, c.cost_mean, c.cost_compute, c.cost_tlb, c.cost_l1, c.cost_l2, c.cost_llc, c.cost_coherence, c.cost_dram,"
        " c.cost_store_buffer, c.cost_lock, c.cost_ipi, c.cost_io, p.page_faults, p.file_read_faults, p.huge_faults,"
        " p.pages_swapped_out, p.pages_swapped_in FROM v_run_totals AS t LEFT JOIN v_cost_mean AS c ON c.run_id = t.run_id"
        " LEFT JOIN v_process_totals AS p ON p.run_id = t.run_id",
        NULL};

const char *const store_insert_sql[STORE_TABLES] = {
        [TABLE_METRIC] = "INSERT OR REPLACE INTO metric VALUES(?, ?, ?, ?, ?, ?, ?)",
        [TABLE_SAMPLE] = "INSERT INTO sample VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_SAMPLE_ZONE] = "INSERT INTO sample_zone VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_SAMPLE_AREA] = "INSERT INTO sample_area VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_SAMPLE_ORDER] = "INSERT INTO sample_order VALUES(?, ?, ?, ?, ?)",
        [TABLE_SNAPSHOT] = "INSERT OR REPLACE INTO snapshot VALUES(?, ?, ?, ?)",
        /* Two caches of a run may bear one name; their number is the order in which they were told. */
        [TABLE_CACHE] = ("INSERT INTO cache VALUES(?1, (SELECT coalesce(max(nr) + 1, 0) FROM cache WHERE run_id = ?1),"
                         " ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,"
                         " ?24, ?25, ?26)"),
        [TABLE_CALL_SITE] =
                ("INSERT INTO call_site VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"
                 " ON CONFLICT(run_id, call_site) DO UPDATE SET hit = hit + excluded.hit,"
                 " ping_pong = ping_pong + excluded.ping_pong, bytes_req = bytes_req + excluded.bytes_req,"
                 " bytes_alloc = bytes_alloc + excluded.bytes_alloc, live_objects = live_objects + excluded.live_objects,"
                 " live_bytes_req = live_bytes_req + excluded.live_bytes_req,"
                 " live_bytes_alloc = live_bytes_alloc + excluded.live_bytes_alloc"),
        [TABLE_ADDRESS_SPACE] = "INSERT INTO address_space VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_HISTOGRAM] = "INSERT INTO histogram VALUES(?, ?, ?, ?, ?, ?, ?)",
        [TABLE_HISTOGRAM_BUCKET] = "INSERT INTO histogram_bucket VALUES(?, ?, ?, ?, ?)",
        [TABLE_LOCK] = "INSERT INTO lock VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_LINE] = "INSERT INTO line VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_OP_COST] = "INSERT INTO op_cost VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_SITE_COST] = ("INSERT INTO site_cost VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                             " ON CONFLICT(run_id, kind, call_site) DO UPDATE SET ops = ops + excluded.ops,"
                             " cycles = cycles + excluded.cycles,"
                             " compute = compute + excluded.compute,"
                             " tlb = tlb + excluded.tlb,"
                             " l1 = l1 + excluded.l1,"
                             " l2 = l2 + excluded.l2,"
                             " llc = llc + excluded.llc,"
                             " coherence = coherence + excluded.coherence,"
                             " dram = dram + excluded.dram,"
                             " store_buffer = store_buffer + excluded.store_buffer,"
                             " lock = lock + excluded.lock,"
                             " ipi = ipi + excluded.ipi,"
                             " io = io + excluded.io"),
        [TABLE_LEVEL] = "INSERT INTO level VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_LEVEL_KIND] = "INSERT INTO level_kind VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_LEVEL_SAMPLE] = "INSERT INTO level_sample VALUES(?, ?, ?, ?, ?, ?, ?)",
        [TABLE_LEVEL_SHARE] = ("INSERT INTO level_share VALUES(?, ?, ?, ?, ?, ?)"
                               " ON CONFLICT(run_id, level, by, name) DO UPDATE SET accesses = accesses + excluded.accesses,"
                               " misses = misses + excluded.misses"),
        [TABLE_WALK_REFERENCE] = "INSERT INTO walk_reference VALUES(?, ?, ?, ?)",
        [TABLE_WRONG_OP] = ("INSERT INTO wrong_op VALUES(?1, (SELECT coalesce(max(nr) + 1, 0) FROM wrong_op WHERE run_id = ?1),"
                            " ?2, ?3, ?4, ?5)"),
        [TABLE_CURVE] = "INSERT INTO curve VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [TABLE_CURVE_SIZE] = "INSERT OR REPLACE INTO curve_size VALUES(?, ?, ?, ?, ?)",
        [TABLE_CURVE_DISTANCE] = "INSERT INTO curve_distance VALUES(?, ?, ?, ?)",
        [TABLE_CURVE_MACHINE] =
                ("INSERT INTO curve_machine VALUES(?1, (SELECT coalesce(max(nr) + 1, 0) FROM curve_machine WHERE run_id = ?1),"
                 " ?2, ?3, ?4, ?5, ?6, ?7)"),
        [TABLE_CHASE] = "INSERT INTO chase VALUES(?, ?, ?, ?, ?, ?)",
};
