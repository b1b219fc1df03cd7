# SPDX-License-Identifier: MIT
#
# fragmentation.gp - the unusable index of all zones together over time, a line for each order 1..10, a panel for each run.
# DATA: a block for each run; seconds, then the index of orders 1..10.
stats DATA using 1 nooutput
SECONDS = STATS_max > 0 ? STATS_max : 1
stats DATA using 11 nooutput
HIGHEST = STATS_max > 0.1 ? STATS_max : 0.1
set multiplot
set label 3 'Unusable index (share of free memory in too small blocks)' at screen 0.013, 0.49 center rotate by 90
TOP = 0.895
BOTTOM = 0.085
HEIGHT = (TOP - BOTTOM) / RUNS
set lmargin at screen 0.075
set rmargin at screen 0.865
set xrange [0:SECONDS]
set yrange [0:(HIGHEST * 1.05 < 1 ? HIGHEST * 1.05 : 1)]
STEP = HIGHEST > 0.5 ? (RUNS == 1 ? 0.1 : 0.25) : HIGHEST > 0.2 ? 0.1 : 0.05
set ytics STEP format '%.2f'
unset key
do for [i = 1:RUNS] {
	set tmargin at screen TOP - (i - 1) * HEIGHT - 0.03
	set bmargin at screen TOP - i * HEIGHT + 0.01
	set label 4 NAME[i] at graph 0.01, 1 left offset 0, 0.55 font FONT.',14'
	if (i == RUNS) {
		set format x '%g'
		set label 5 'Simulated time since the start (s)' at screen 0.47, 0.022 center
	} else {
		set format x ''
	}
	plot for [k = 10:1:-1] DATA index i - 1 using 1:(column(k + 1)) with lines lw (k == 10 ? 3.5 : 2) dt 1 + k % 2 \
		lc rgb ORDER[k] notitle
	unset label 1
	unset label 2
	unset label 3
}
# One legend for all panels: orders from the top down, as the lines lie. It belongs to an empty panel as high as the picture.
unset label
unset border
unset tics
unset grid
set tmargin at screen TOP
set bmargin at screen BOTTOM
set key at screen 0.985, 0.87 top right reverse Left samplen 3 spacing 1.3
plot [0:1] [0:1] for [k = 10:1:-1] NaN with lines lw (k == 10 ? 3.5 : 2) dt 1 + k % 2 lc rgb ORDER[k] title sprintf('order %d', k)
unset multiplot
