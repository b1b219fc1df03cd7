# SPDX-License-Identifier: MIT
#
# pairs.gp - what a message between each two cores takes, as shades: measured on the left, simulated on the right.
# Set by `kmemsim machine pairs`:
#   DATA  blocks of CORES rows of CORES numbers: measured (where MEASURED is 1), simulated
#   LEAST, MOST  of these numbers
#   COMPLEX  cores that share a last-level cache; a line stands between those that do not
set multiplot
unset key
unset grid
set border 15 lw 1 lc rgb '#404040'
set palette defined (0 '#f7fbff', 0.25 '#9ecae1', 0.5 '#4292c6', 0.75 '#08519c', 1 '#041c3c')
set logscale cb
set cbrange [LEAST * 0.99:MOST * 1.01]
set xrange [-0.5:CORES - 0.5]
set yrange [CORES - 0.5:-0.5]
set size ratio 1
step = CORES > 16 ? 8 : CORES > 8 ? 4 : 1
set xtics 0, step
set ytics 0, step
do for [i = 1:(CORES - 1) / COMPLEX] {
	at = i * COMPLEX - 0.5
	set arrow from at, -0.5 to at, CORES - 0.5 nohead front lc rgb '#ffffff' lw 2
	set arrow from -0.5, at to CORES - 0.5, at nohead front lc rgb '#ffffff' lw 2
}
set tmargin at screen 0.84
set bmargin at screen 0.14
if (MEASURED) {
	set lmargin at screen 0.05
	set rmargin at screen 0.45
	unset colorbox
	set title 'measured'
	plot DATA index 0 matrix with image
	unset label 1
	unset label 2
}
set lmargin at screen (MEASURED ? 0.50 : 0.27)
set rmargin at screen (MEASURED ? 0.90 : 0.67)
set colorbox
set cbtics (50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200, 250, 300, 350, 400, 450, 500, 600)
set title 'simulated'
plot DATA index (MEASURED ? 1 : 0) matrix with image
unset multiplot
