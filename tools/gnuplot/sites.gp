# SPDX-License-Identifier: MIT
#
# sites.gp - cycles of all allocations and frees of a call site (bars: millions).
set xlabel 'Cycles (millions)'
INNER = 'hatched: of them for memory'
load TEMPLATES.'/bars.gp'
