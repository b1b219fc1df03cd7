# SPDX-License-Identifier: MIT
#
# cache_waste.gp - what caches hold at the end of the run and no live object asked for (bars: KiB).
set xlabel 'Held in slabs and asked for by no live object (KiB)'
INNER = 'hatched: inside objects (size - bytes asked for)'
load TEMPLATES.'/bars.gp'
