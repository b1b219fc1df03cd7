# SPDX-License-Identifier: MIT
#
# paths.gp - cycles of an op by its kind and path (bars: mean cycles).
set xlabel 'Cycles of an op, mean'
INNER = 'hatched: of them for memory'
load TEMPLATES.'/bars.gp'
