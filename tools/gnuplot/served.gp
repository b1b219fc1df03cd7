# SPDX-License-Identifier: MIT
#
# served.gp - of the requests for blocks of order 4 and more, those that were served, in per cent over time.
# DATA: a block for each run; seconds, per cent.
stats DATA using 1 nooutput
set xlabel 'Simulated time since the start (s)'
set ylabel 'Requests of order 4 and more that were served (%)'
set key at screen 0.53, 0.095 top center reverse Left samplen 5 spacing 1.25 maxrows 2
set bmargin at screen 0.185
set yrange [0:105]
set xrange [0:(STATS_max > 0 ? STATS_max : 1)]
plot for [i = 1:RUNS] DATA index i - 1 using 1:2 with linespoints lt i ps 0.9 title NAME[i]
