# For gnuplot 5.4, run by tests/soak: `csvs` are files with samples, `names` what they are of, `count` how many.
set terminal svg size 1000,(250 * count + 20) dynamic noenhanced font "sans-serif,13" background "white" name "soak"
set datafile separator ","
set multiplot layout count,1
set yrange [0:*]
set y2range [0:*]
set grid ytics linecolor "#e0e0e0"
set ytics nomirror
set y2tics
set xlabel "seconds"
set ylabel "MiB"
set y2label "million operations"
set key outside right top
do for [i = 1:count] {
    set title word(names, i)
    plot word(csvs, i) every ::1 using 1:($2 / 1048576) with lines linewidth 2 linecolor rgb "#0072b2" title "resident", \
         "" every ::1 using 1:($3 / 1048576) with lines linecolor rgb "#e69f00" title "held", \
         "" every ::1 using 1:($4 / 1e6) axes x1y2 with lines dashtype 2 linecolor rgb "#999999" title "operations"
}
unset multiplot
