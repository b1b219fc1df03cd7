# SPDX-License-Identifier: MIT
#
# kinds.gp - what memory was used for at the end of the run, the kinds of /proc/meminfo and those it has no line for (bars: MiB).
set xlabel 'Memory in use (MiB)'
INNER = ''
load TEMPLATES.'/bars.gp'
