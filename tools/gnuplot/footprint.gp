# SPDX-License-Identifier: MIT
#
# footprint.gp - memory held by each object allocator over time, and what its live objects asked for.
# DATA: a block for each run; seconds, MiB held in slabs and large kmallocs, MiB asked for by live objects.
set xlabel 'Simulated time since the start (s)'
set ylabel 'Memory held in slabs and large kmallocs (MiB)'
set key at screen 0.53, 0.095 top center reverse Left samplen 5 spacing 1.25 maxrows 3
set bmargin at screen 0.185
set yrange [0:*]
stats DATA using 1 nooutput
set xrange [0:(STATS_max > 0 ? STATS_max : 1)]
plot for [i = 1:RUNS] DATA index i - 1 using 1:2 with lines lt i title LEGEND[i], \
	DATA index 0 using 1:3 with lines lw 2 lc rgb '#505050' dt (1,4) title 'asked for by the live objects of '.NAME[1]
