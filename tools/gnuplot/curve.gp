# SPDX-License-Identifier: MIT
#
# curve.gp - the miss ratio of a fully associative LRU level by its size, and accesses by their stack distance. Set by `kmemsim curve`:
#   CURVE, HISTOGRAM  the CSV files    UNIT  lines or pages
set datafile separator ','
set multiplot
set lmargin at screen 0.075
set rmargin at screen 0.97
set logscale x 2
set format x '%.0f'
set xtics rotate by 30 right
unset key
set tmargin at screen 0.87
set bmargin at screen 0.53
set yrange [0:*]
set label 3 'Misses (% of accesses)' at screen 0.013, 0.70 center rotate by 90
set label 4 'Size ('.UNIT.')' at screen 0.52, 0.475 center
plot CURVE every ::1 using 1:(100 * $4):(100 * $5) with yerrorlines lt 1
unset label 1
unset label 2
unset label 4
set tmargin at screen 0.44
set bmargin at screen 0.11
set label 3 'Accesses (million)' at screen 0.013, 0.28 center rotate by 90
set label 4 'Other '.UNIT.' used since: up to' at screen 0.52, 0.022 center
set boxwidth 0.5 relative
plot HISTOGRAM every ::1 using 2:($3 / 1e6) with impulses lw 14 lc rgb BAR[1]
unset multiplot
