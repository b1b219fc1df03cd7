# SPDX-License-Identifier: MIT
#
# cycles.gp - the share of ops that took at most so many cycles, a panel for allocations and one for frees.
# DATA: two blocks for each run, allocations and frees; cycles, per cent.
stats DATA using 1 nooutput
FEWEST = STATS_min > 1 ? STATS_min : 1
MOST = STATS_max > 10 ? STATS_max : 10
set multiplot
set label 3 'Ops that took at most so many cycles (%)' at screen 0.013, 0.49 center rotate by 90
set lmargin at screen 0.075
set rmargin at screen 0.97
set logscale x
set yrange [0:100]
set ytics 25
set grid xtics
set xrange [FEWEST:MOST]
array KIND[2] = ['Allocations', 'Frees']
do for [p = 1:2] {
	set tmargin at screen (p == 1 ? 0.87 : 0.455)
	set bmargin at screen (p == 1 ? 0.51 : 0.095)
	set label 4 KIND[p] at graph 0.01, 1 left offset 0, 0.55 font FONT.',14'
	set format x (p == 2 ? '%g' : '')
	if (p == 2) { set label 5 'Cycles (logarithmic)' at screen 0.52, 0.022 center }
	if (p == 1) { set key bottom right reverse Left samplen 5 spacing 1.3 } else { unset key }
	plot for [i = 1:RUNS] DATA index 2 * (i - 1) + p - 1 using 1:2 with fsteps lt i title NAME[i]
	unset label 1
	unset label 2
	unset label 3
}
unset multiplot
