# SPDX-License-Identifier: MIT
#
# curve.gp - the miss ratio of a fully associative LRU level by its size, those of machines' levels beside it, and accesses by their
# stack distance on the same axis: a size misses the accesses of its distance and more. Set by `kmemsim curve`:
#   CURVE, HISTOGRAM, MACHINES  the CSV files      LEVELS   whether machines have levels that all accesses come to
#   ACCESSES                    of the trace       COLD     first accesses, which have no distance
#   BLOCKS                      the last size      UNIT     lines or pages, and their size
set datafile separator ','
set multiplot
set lmargin at screen 0.075
set rmargin at screen 0.97
set logscale x 2
set xrange [0.5:2 * BLOCKS]
set xtics ('1' 1, '4' 4, '16' 16, '64' 64, '256' 256, '1 Ki' 1024, '4 Ki' 4096, '16 Ki' 16384, '64 Ki' 65536, '256 Ki' 262144, '1 Mi' 1048576, '4 Mi' 4194304, '16 Mi' 16777216, '64 Mi' 67108864, '256 Mi' 268435456, '1 Gi' 1073741824)
set grid xtics ytics lc rgb '#d8d8d8' lw 1 dt 1
set key top right reverse Left samplen 2 spacing 1.3
set tmargin at screen 0.89
set bmargin at screen 0.54
set yrange [0:*]
set label 3 'Misses (% of accesses)' at screen 0.013, 0.715 center rotate by 90
set label 4 'Size ('.UNIT.')' at screen 0.52, 0.478 center
if (LEVELS) {
	plot CURVE every ::1 using 1:(100 * $4):(100 * $5) with yerrorlines lt 1 title 'every size, fully associative', \
	     MACHINES every ::1 using 3:($7 == 1 ? 100 * $6 / ACCESSES : NaN) with points pt 6 ps 2 lw 2 lc rgb '#d94801' title 'levels of machines, each alone'
} else {
	plot CURVE every ::1 using 1:(100 * $4):(100 * $5) with yerrorlines lt 1 title 'every size, fully associative'
}
unset label 1
unset label 2
unset key
set tmargin at screen 0.44
set bmargin at screen 0.1
set label 3 'Accesses (%)' at screen 0.013, 0.27 center rotate by 90
set label 4 'Other '.UNIT.' used since its last use' at screen 0.52, 0.025 center
set label 5 sprintf('and first uses: %.2f %%', 100.0 * COLD / ACCESSES) at graph 0.995, 0.94 right
plot HISTOGRAM every ::1 using (1):(1):($1 > 0 ? $1 : 0.5):2:(0):(100 * $3 / ACCESSES) with boxxyerror lc rgb BAR[1]
unset multiplot
