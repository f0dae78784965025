# For gnuplot 5.4, run by bench/run --compare: `folder` has a file for mallocs and one for pools, `machine` is a line.
set terminal svg size 1000,760 dynamic noenhanced font "sans-serif,13" background "white" name "compare"
set style data histogram
set style histogram clustered gap 1.5
set style fill solid noborder
set logscale y
set xtics rotate by -30 nomirror scale 0
set ytics nomirror
set border 3
set grid ytics linecolor "#e0e0e0"
set key outside top center horizontal
set ylabel "their time over ours"
set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor "#333333" front

array color[8] = ["#999999", "#e69f00", "#cc79a7", "#009e73", "#0072b2", "#56b4e9", "#d55e00", "#f0e442"]
names_mallocs = "libc mimalloc jemalloc tcmalloc"
names_pools = "new_delete std_sync std_unsync boost_sync boost_unsync tbb_pool tbb_scalable tbb_aligned"
set multiplot layout 2,1 title machine."; above 1 Tidepool is faster; means over threads and sizes"
do for [kind in "mallocs pools"] {
    file = folder."/".kind
    names = kind eq "mallocs" ? names_mallocs : names_pools
    set title (kind eq "mallocs" ? "malloc" : "memory resources and pools")
    if (int(system("wc -l < '".file."'")) > 0) {
        plot for [i = 1:words(names)] file using i + 1:xtic(1) linecolor rgb color[i] title word(names, i)
    }
}
unset multiplot
