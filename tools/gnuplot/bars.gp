# SPDX-License-Identifier: MIT
#
# bars.gp - names with bars, the largest first, a bar for each run; loaded by the pictures made of such bars, which set the axis'
# label and INNER: what the hatched part of a bar is, or '' if bars have none.
# DATA: a block for each run; place from the top, length of the bar, of it hatched, name.
set key inside bottom right reverse Left samplen 2 spacing 1.3 opaque box lc rgb '#d0d0d0' width 1
stats DATA index 0 using 1 nooutput
set yrange [STATS_max + 0.6:0.4]
set xrange [0:*]
set grid noytics xtics
set ytics scale 0
THICK = 0.8 / RUNS
place(row, i) = row - 0.4 + (i - 0.5) * THICK
plot for [i = 1:RUNS] DATA index i - 1 using ($2 / 2):(place($1, i)):($2 / 2):(THICK / 2) \
		with boxxyerror dt 1 lw 1 fc rgb BAR[i] fs solid 1 border rgb '#202020' notitle, \
	for [i = 1:(INNER eq '' ? 0 : RUNS)] DATA index i - 1 using ($3 / 2):(place($1, i)):($3 / 2):(THICK / 2) \
		with boxxyerror dt 1 lw 1 lc rgb HATCH[i] fs transparent pattern 4 notitle, \
	DATA index 0 using (0):1:ytic(4) with points pt -1 notitle, \
	for [i = 1:RUNS] keyentry with boxes dt 1 lw 1 fc rgb BAR[i] fs solid 1 border rgb '#202020' title LEGEND[i], \
	for [i = 1:(INNER eq '' ? 0 : 1)] keyentry with boxes dt 1 lw 1 lc rgb '#202020' fs pattern 4 title INNER
