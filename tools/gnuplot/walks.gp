# SPDX-License-Identifier: MIT
#
# walks.gp - references of the page walker by kind of entry and the level that served them (bars: thousands).
set xlabel 'References (thousands)'
INNER = ''
load TEMPLATES.'/bars.gp'
