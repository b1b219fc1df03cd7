# SPDX-License-Identifier: MIT
#
# misses.gp - misses per thousand accesses of each cache and TLB over the run, a panel for each level, a line for each run.
# DATA: for each panel a block for each run; million accesses (of a recording: ops) so far, misses per thousand accesses since the sample before.
stats DATA using 1 nooutput
LAST = STATS_max > 0 ? STATS_max : 1
set multiplot
set label 3 'Misses per thousand accesses of the level' at screen 0.013, 0.49 center rotate by 90
TOP = 0.895
BOTTOM = 0.085
HEIGHT = (TOP - BOTTOM) / PANELS
set lmargin at screen 0.075
set rmargin at screen 0.97
set xrange [0:LAST]
set yrange [0:*]
set ytics autofreq
do for [p = 1:PANELS] {
	set tmargin at screen TOP - (p - 1) * HEIGHT - 0.03
	set bmargin at screen TOP - p * HEIGHT + 0.01
	set label 4 PANEL[p] at graph 0.01, 1 left offset 0, 0.55 font FONT.',14'
	if (p == PANELS) {
		set format x '%g'
		set label 5 'Accesses of the trace, or ops of the recording, so far (million)' at screen 0.52, 0.022 center
	} else {
		set format x ''
	}
	if (p == 1) { set key top right reverse Left samplen 5 spacing 1.3 } else { unset key }
	plot for [i = 1:RUNS] DATA index (p - 1) * RUNS + i - 1 using 1:2 with lines lt i title NAME[i]
	unset label 1
	unset label 2
	unset label 3
}
unset multiplot
