# SPDX-License-Identifier: MIT
#
# lines.gp - how often cores took a line from each other (bars: thousands).
set xlabel 'Transfers between cores (thousands)'
INNER = 'hatched: false sharing'
load TEMPLATES.'/bars.gp'
