# SPDX-License-Identifier: MIT
#
# memory.gp - memory by owner over time, stacked, a panel for each run.
# DATA: a block for each run; seconds, then MiB of unmovable, reclaimable and movable pages, large kmallocs, slabs, per-CPU lists.
stats DATA using 1 nooutput
SECONDS = STATS_max > 0 ? STATS_max : 1
stats DATA using ($2 + $3 + $4 + $5 + $6 + $7) nooutput
HIGHEST = STATS_max > 0 ? STATS_max : 1
set multiplot
set label 3 'Memory in use (MiB)' at screen 0.013, 0.5 center rotate by 90
TOP = 0.895
BOTTOM = 0.085
HEIGHT = (TOP - BOTTOM) / RUNS
set lmargin at screen 0.075
set rmargin at screen 0.765
unset key
set xrange [0:SECONDS]
set yrange [0:HIGHEST * 1.04]
array OWNER[6] = ['pages, unmovable', 'pages, reclaimable', 'pages, movable', 'large kmalloc', 'slabs', 'per-CPU lists (free)']
array SHADE[6] = ['#2b3440', '#a07850', '#e6d8bc', '#0b5a50', '#f0a030', '#f7f7f7']
do for [i = 1:RUNS] {
	set tmargin at screen TOP - (i - 1) * HEIGHT - 0.03
	set bmargin at screen TOP - i * HEIGHT + 0.01
	set label 4 NAME[i] at graph 0.01, 1 left offset 0, 0.55 font FONT.',14'
	if (i == RUNS) {
		set format x '%g'
		set label 5 'Simulated time since the start (s)' at screen 0.43, 0.022 center
	} else {
		set format x ''
	}
	# The lowest owner is drawn last, over the higher sums.
	plot for [k = 6:1:-1] DATA index i - 1 using 1:(sum [c = 2:k + 1] column(c)) with filledcurves y1=0 fc rgb SHADE[k] \
			fs solid 1 noborder notitle, \
		for [k = 1:6] DATA index i - 1 using 1:(sum [c = 2:k + 1] column(c)) with lines lw 1 dt 1 lc rgb '#202020' notitle
	unset label 1
	unset label 2
	unset label 3
}
# One legend for all panels, stacked as the owners are. It belongs to an empty panel as high as the picture.
unset label
unset border
unset tics
unset grid
set tmargin at screen TOP
set bmargin at screen BOTTOM
set key at screen 0.995, 0.87 top right reverse Left samplen 2 spacing 1.4
plot [0:1] [0:1] for [k = 6:1:-1] NaN with boxes dt 1 lw 1 fc rgb SHADE[k] fs solid 1 border rgb '#202020' title OWNER[k]
unset multiplot
