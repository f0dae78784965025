# For gnuplot 5.4, run by the script beside it: `csv` is the file with the samples.
set terminal svg size 1000,760 dynamic noenhanced font "sans-serif,13" background "white" name "tide"
set datafile separator ","

variants = "left-alone sleeping-500 exited-500 background"
titles = "'left alone' '500 sleeping threads had full magazines' '500 exited threads had full magazines' \
'nothing runs but a background thread'"
who = "synchronized_pool mimalloc jemalloc tidepool/mimalloc tidepool/jemalloc tidepool/pages"
array color[6] = ["#999999", "#e69f00", "#cc79a7", "#0072b2", "#009e73", "#56b4e9"]
of(v, w) = sprintf("< awk -F, '$1 == \"%s\" && $2 == \"%s\"' '%s'", v, w, csv)

set multiplot
set xrange [-2.5:5.2]
set yrange [0:2200]
set ytics 500
set xtics 1
set grid ytics linecolor "#e0e0e0"
set tics nomirror
set border 3
unset key
set xlabel "seconds since the last block was freed"
set ylabel "resident memory, MiB"
do for [i = 1:4] {
    set origin ((i - 1) % 2) * 0.5, 0.54 - ((i - 1) / 2) * 0.455
    set size 0.5, 0.455
    set title word(titles, i) offset 0, -0.3
    unset arrow
    unset label
    do for [t = 1:2] {
        set arrow from t, 0 to t, 2030 nohead dashtype 2 linecolor "#666666"
        set label (t == 1 ? "1 decay" : "2 decays") at t, 2110 center textcolor "#666666" font ",10"
    }
    set arrow from 3.5, 0 to 3.5, 2030 nohead dashtype 4 linecolor "#666666"
    set label "purge" at 3.5, 2110 center textcolor "#666666" font ",10"
    plot for [k = 1:6] of(word(variants, i), word(who, k)) using 3:4 with lines linewidth 2 linecolor rgb color[k], \
         for [k = 4:6] of(word(variants, i), word(who, k)) using 3:5 with lines dashtype 2 linewidth 1 \
             linecolor rgb color[k]
}

unset title; unset xlabel; unset ylabel; unset tics; unset border; unset arrow; unset label; unset grid
set origin 0, 0
set size 1, 0.1
set key center center horizontal maxrows 2 width -1 samplen 2
set yrange [0:1]
plot for [k = 1:6] NaN with lines linewidth 2 linecolor rgb color[k] title word(who, k), \
     NaN with lines dashtype 2 linewidth 1 linecolor "#333333" title "idle in a Tidepool"
unset multiplot
