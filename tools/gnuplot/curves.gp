# SPDX-License-Identifier: MIT
#
# curves.gp - the miss ratio of a fully associative LRU level by its size, those of machines' levels and of sizes in sets beside it,
# and accesses by their stack distance on the same axis: a size misses the accesses of its distance and more.
# DATA: four blocks for each run, all in bytes and per cent of its accesses: sizes with standard errors; distances from, below;
# levels of machines that see every access; sizes in several sets. MACHINES and SETS tell whether there are any of the last two.
stats DATA using 1 nooutput
LOWEST = STATS_min
HIGHEST = STATS_max
set multiplot
set lmargin at screen 0.075
set rmargin at screen 0.97
set logscale x 2
set xrange [LOWEST / 1.5:HIGHEST * 1.5]
array UNIT[6] = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
set xtics ('' 0)
do for [power = 0:59:2] {
	set xtics add (sprintf('%d %s', 2 ** (power % 10), UNIT[power / 10 + 1]) 2.0 ** power)
}
set grid xtics ytics lc rgb '#d8d8d8' lw 1 dt 1
set key top right reverse Left samplen 2 spacing 1.3 opaque
set tmargin at screen 0.89
set bmargin at screen 0.54
set yrange [0:*]
set label 3 'Misses (% of accesses)' at screen 0.013, 0.715 center rotate by 90
set label 4 'Size, fully associative' at screen 0.52, 0.478 center
plot for [i = 1:RUNS] DATA index 4 * (i - 1) using 1:2:3 with yerrorlines lt i title LEGEND[i], \
     for [i = 1:(MACHINES ? RUNS : 0)] DATA index 4 * (i - 1) + 2 using 1:2 with points pt 6 ps 2 lw 2 lc rgb '#d94801' \
         title (i == 1 ? 'levels of machines, each alone' : ''), \
     for [i = 1:(SETS ? RUNS : 0)] DATA index 4 * (i - 1) + 3 using 1:2 with points pt 4 ps 1.5 lw 2 lt i \
         title (i == 1 ? 'in several sets, by ways' : '')
unset label 1
unset label 2
set tmargin at screen 0.44
set bmargin at screen 0.1
set label 3 'Accesses (%)' at screen 0.013, 0.27 center rotate by 90
set label 4 'Bytes of others that were used since the last use' at screen 0.52, 0.025 center
if (RUNS == 1) {
	plot DATA index 1 using (1):(1):1:2:(0):3 with boxxyerror lc rgb BAR[1] title NAME[1]
} else {
	plot for [i = 1:RUNS] DATA index 4 * (i - 1) + 1 using 1:3 with steps lt i title NAME[i]
}
unset multiplot
