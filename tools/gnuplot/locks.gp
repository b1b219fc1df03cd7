# SPDX-License-Identifier: MIT
#
# locks.gp - cycles that each lock took cores, and of them those that they waited for others (bars: thousands).
set xlabel 'Cycles from asking for it to having it (thousands)'
INNER = 'of them waiting for another core'
load TEMPLATES.'/bars.gp'
