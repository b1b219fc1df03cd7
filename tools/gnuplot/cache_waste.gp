# SPDX-License-Identifier: MIT
#
# cache_waste.gp - what caches hold at the end of the run and no live object asked for, the largest first, a bar for each run.
# DATA: a block for each run; place from the top, KiB wasted, of them inside objects, name.
set xlabel 'Held in slabs and asked for by no live object (KiB)'
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
	for [i = 1:RUNS] DATA index i - 1 using ($3 / 2):(place($1, i)):($3 / 2):(THICK / 2) \
		with boxxyerror dt 1 lw 1 lc rgb HATCH[i] fs transparent pattern 4 notitle, \
	DATA index 0 using (0):1:ytic(4) with points pt -1 notitle, \
	for [i = 1:RUNS] keyentry with boxes dt 1 lw 1 fc rgb BAR[i] fs solid 1 border rgb '#202020' title LEGEND[i], \
	keyentry with boxes dt 1 lw 1 lc rgb '#202020' fs pattern 4 title 'hatched: inside objects (size - bytes asked for)'
