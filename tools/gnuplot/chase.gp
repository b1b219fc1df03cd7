# SPDX-License-Identifier: MIT
#
# chase.gp - what a load costs in a chain of loads over a growing set: above of lines next to each other, below of a line in each page.
# Set by `kmemsim machine measure`:
#   DATA  eight blocks "lines bytes cycles": lines in pages of 2 MiB, lines in pages of 4 KiB, a line a page,
#         the same in pages of 2 MiB; each measured, simulated
set multiplot
set lmargin at screen 0.075
set rmargin at screen 0.97
set logscale x 2
set logscale y 10
set yrange [1:*]
set grid xtics ytics lc rgb '#d8d8d8' lw 1 dt 1
set key top left Left reverse samplen 3 spacing 1.2
set xtics ('1 KiB' 2.0**10, '4 KiB' 2.0**12, '16 KiB' 2.0**14, '64 KiB' 2.0**16, '256 KiB' 2.0**18, '1 MiB' 2.0**20, '4 MiB' 2.0**22, '16 MiB' 2.0**24, '64 MiB' 2.0**26, '256 MiB' 2.0**28, '1 GiB' 2.0**30, '4 GiB' 2.0**32)
set tmargin at screen 0.89
set bmargin at screen 0.54
set label 3 'Cycles of a load' at screen 0.013, 0.715 center rotate by 90
set label 4 'Lines of 64 bytes next to each other: bytes of the set' at screen 0.52, 0.478 center
plot DATA index 0 using 2:3 with linespoints lt 1 ps 1 title 'measured, pages of 2 MiB', \
     DATA index 2 using 2:3 with linespoints lt 3 ps 1 title 'measured, pages of 4 KiB', \
     DATA index 1 using 2:3 with linespoints lt 2 ps 1 title 'simulated, pages of 2 MiB', \
     DATA index 3 using 2:3 with linespoints lt 4 ps 1 title 'simulated, pages of 4 KiB'
unset label 1
unset label 2
set tmargin at screen 0.44
set bmargin at screen 0.1
set xtics ('16' 16, '64' 64, '256' 256, '1 Ki' 1024, '4 Ki' 4096, '16 Ki' 16384, '64 Ki' 65536, '256 Ki' 262144, '1 Mi' 1048576)
set label 3 'Cycles of a load' at screen 0.013, 0.27 center rotate by 90
set label 4 'A line in each 4 KiB: lines of the set' at screen 0.52, 0.025 center
plot DATA index 6 using 1:3 with linespoints lt 1 ps 1 title 'measured, in pages of 2 MiB', \
     DATA index 4 using 1:3 with linespoints lt 3 ps 1 title 'measured, pages of 4 KiB', \
     DATA index 7 using 1:3 with linespoints lt 2 ps 1 title 'simulated, in pages of 2 MiB', \
     DATA index 5 using 1:3 with linespoints lt 4 ps 1 title 'simulated, pages of 4 KiB'
unset multiplot
