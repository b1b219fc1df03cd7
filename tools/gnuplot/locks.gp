# SPDX-License-Identifier: MIT
#
# locks.gp - cycles that cores waited for each lock (bars: thousands).
set xlabel 'Cycles waited (thousands)'
INNER = ''
load TEMPLATES.'/bars.gp'
