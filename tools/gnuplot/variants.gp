# SPDX-License-Identifier: MIT
#
# variants.gp - cycles of an op over the variants of a scenario, in its order: all cycles, and (PANELS = 2) those that a core waited for
# others.
# DATA: a block for each line; place, cycles of an op, of them those waited for locks, other cores' lines and interrupts.
set multiplot
set lmargin at screen 0.085
set rmargin at screen 0.97
set xrange [0.5:PLACES + 0.5]
set xtics scale 0 ()
set logscale y
set yrange [*:*]
set grid ytics
array PANEL[2] = ['Cycles of an op, mean', 'Of them waiting for locks, lines of other cores and their interrupts']
do for [p = 1:PANELS] {
	set tmargin at screen (p == 1 ? 0.87 : 0.44)
	set bmargin at screen (p == 1 && PANELS == 2 ? 0.51 : 0.085)
	set label 4 PANEL[p] at graph 0.01, 1 left offset 0, 0.55 font FONT.',14'
	do for [i = 1:PLACES] {
		set xtics add ((p == PANELS ? plain(PLACE[i]) : '') i)
	}
	if (p == 1) { set key top left reverse Left samplen 5 spacing 1.3 } else { unset key }
	if (p == 2) { set yrange [0.1:*] }
	plot for [i = 1:LINES] DATA index i - 1 using 1:(p == 1 ? $2 : ($3 > 0.1 ? $3 : 0.1)) with linespoints lt i ps 1.4 title LINE[i]
	unset label 1
	unset label 2
}
unset multiplot
