# SPDX-License-Identifier: MIT
#
# style.gp - how all pictures look. Loaded before a picture's own template, with these variables set by `kmemsim report`:
#   FORMAT   'png' or 'svg'          OUT        the file to draw
#   DATA     the data file           TEMPLATES  this folder
#   RUNS     number of runs          NAME[i], LEGEND[i]  texts of run i
#   HEADING  what the picture shows
#   SOURCE   what was replayed, and on what
#
# Readable in grey: runs differ by dash and point, bars by brightness, orders and owners by brightness from dark to light.
set encoding utf8
FONT = 'DejaVu Sans'
if (FORMAT eq 'svg') {
	set terminal svg noenhanced size 1200, 800 font FONT.',15' background 'white'
} else {
	set terminal pngcairo noenhanced size 1200, 800 font FONT.',13' background 'white'
}
set output OUT

set border 3 lw 1 lc rgb '#404040'
set tics nomirror out scale 0.6
set grid ytics lc rgb '#d8d8d8' lw 1 dt 1
set style fill solid 1 border rgb '#202020'

# Lines of runs 1..4.
set linetype 1 lc rgb '#08306b' lw 2.5 dt 1 pt 7
set linetype 2 lc rgb '#d94801' lw 2.5 dt (14,6) pt 5
set linetype 3 lc rgb '#41ab5d' lw 2.5 dt (3,4) pt 9
set linetype 4 lc rgb '#984ea3' lw 2.5 dt (14,5,3,5) pt 13

set dashtype 2 (9,4)

# Bars of runs 1..4: dark to light.
array BAR[4] = ['#08306b', '#d97a3a', '#a8d8a0', '#f7f7f7']

# Shades of orders 1..10, light to dark (viridis without its palest end).
array ORDER[10] = ['#b5cf2f', '#8ac74a', '#5bbf6a', '#3aab7c', '#2a9688', '#28808c', '#2e6a8c', '#3a5288', '#443780', '#3b0f5c']

# A dark hatch is not seen on a dark bar, nor a light one on a light bar.
array HATCH[4] = ['#ffffff', '#ffffff', '#303030', '#303030']

# A label of an axis is a format: a per cent sign in it stands twice.
plain(text) = strstrt(text, '%') ? text[1:strstrt(text, '%')].'%'.plain(text[strstrt(text, '%') + 1:*]) : text

# The heading of every picture.
set label 1 HEADING at screen 0.5, 0.968 center font FONT.',17'
set label 2 SOURCE at screen 0.5, 0.932 center tc rgb '#505050'
set tmargin at screen 0.895
