# SPDX-License-Identifier: MIT
#
# stack.gp - where the cycles of an allocation and of a free went (KINDS[1], KINDS[2]; of an access KINDS[2] is empty): a bar for each run, the parts on top of each other.
# DATA: a block for allocations and one for frees; a line for each run and part, the last part first: the run's number, the part's
# number, its cycles of an op, those of all parts up to it.
array SHADE[11] = ['#08306b', '#6a3d9a', '#1b7837', '#5aae61', '#a6dba0', '#d6604d', '#fdae61', '#fee090', '#b2182b', '#969696', '#252525']
set ylabel 'Cycles of an op, mean'
set rmargin at screen 0.83
set bmargin at screen 0.13
set key at screen 0.985, 0.88 top right Left reverse samplen 1.5 spacing 1.4
set yrange [0:*]
set xrange [0.3:(KINDS[2] eq '' ? RUNS + 0.7 : 2 * RUNS + 1.7)]
set xtics scale 0 offset 0, -0.2
set xtics ()
do for [i = 1:RUNS] {
	set xtics add (plain(NAME[i]) i)
	if (KINDS[2] ne '') { set xtics add (plain(NAME[i]).' ' RUNS + 1 + i) }
}
set label 4 KINDS[1] at first (RUNS + 1) / 2.0, screen 0.03 center font FONT.',14'
set label 5 KINDS[2] at first RUNS + 1 + (RUNS + 1) / 2.0, screen 0.03 center font FONT.',14'
set style fill solid 1 border rgb '#202020'
only(value, part, p) = int(part) == p ? value : NaN
plot for [p = PARTS:1:-1] DATA index 0 using 1:(only($4, $2, p)):(0.7) with boxes dt 1 lw 1 lc rgb SHADE[p] notitle, \
	for [p = PARTS:1:-1] DATA index 1 using ($1 + RUNS + 1):(only($4, $2, p)):(0.7) with boxes dt 1 lw 1 lc rgb SHADE[p] notitle, \
	for [p = PARTS:1:-1] keyentry with boxes dt 1 lw 1 lc rgb SHADE[p] title PART[p]
