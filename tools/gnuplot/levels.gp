# SPDX-License-Identifier: MIT
#
# levels.gp - misses of each cache and TLB (bars: per thousand accesses of the level).
set xlabel 'Misses per thousand accesses of the level'
INNER = 'hatched: of what the level had just evicted (re-misses)'
load TEMPLATES.'/bars.gp'
