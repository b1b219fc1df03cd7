# SPDX-License-Identifier: MIT
#
# callsite_waste.gp - bytes given and not asked for over all allocations of a call site (bars: KiB).
set xlabel 'Given but not asked for, over all allocations: Total_alloc - Total_req of perf kmem (KiB)'
INNER = ''
load TEMPLATES.'/bars.gp'
