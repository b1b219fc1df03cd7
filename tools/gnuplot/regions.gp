# SPDX-License-Identifier: MIT
#
# regions.gp - misses of each level by the region of memory they were in (bars: thousands).
set xlabel 'Misses (thousands)'
INNER = ''
load TEMPLATES.'/bars.gp'
