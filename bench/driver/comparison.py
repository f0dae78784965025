"""The comparison of pools and of mallocs, work by work: a process a turn for all, under LD_PRELOAD or by name. And its
tables and its picture."""

import os
import subprocess
import tempfile

from mallocs import LIBRARIES, SHIM, those_there
from own_programs import found_by
from processes import SOURCE, program, run
from session import Bench, geometric_mean

OURS = {"mallocs": SHIM, "pools": "pool_resource"}
FIRST = {"mallocs": "libc", "pools": "new_delete"}  # whose operations fill a turn
PACKAGES = {"boost": "libboost-container-dev", "tbb": "libtbb-dev"}
MALLOCS = ["libc", "mimalloc", "jemalloc", "tcmalloc"]
POOLS = "new_delete std_sync std_unsync boost_sync boost_unsync tbb_pool tbb_scalable tbb_aligned".split()
OTHERS = {"mallocs": MALLOCS, "pools": POOLS}

SMALL = "16-1040"
# The work, its threads, its sizes; then those sizes that pools have, too.
WORKS = (
    ("pair", (1, 2, 16), "16 64 256 2000 32768", "16 64 2000 32768"),
    ("batch", (1, 2, 16), "16 256 4096 32768", "64 4096"),
    ("far-order", (1, 2, 16), "64", "64"),
    ("far-reversed", (1, 2, 16), "64", "64"),
    ("far-shuffled", (1, 2, 16), "64", "64"),
    ("lists-100", (1, 2, 16), "64", "64"),
    ("lists-10000", (1, 2, 16), "64", "64"),
    ("lists-100000", (1, 2, 16), "64", "64"),
    ("random", (1, 2, 16), f"{SMALL} 1024-32768", f"{SMALL} 1024-32768"),
    ("mixed", (1, 2, 16), "16-524288", "16-524288"),
    ("grow", (1, 2, 16), "16 256 4096", "64"),
    ("tree", (1, 3), "32", "32"),
    ("handoff", (2, 16), "64 1024", "64"),
    ("larson", (2, 16), SMALL, SMALL),
    ("ebb-fast", (1,), "256", "256"),
    ("ebb-slow", (1,), "256", "256"),
    ("ebb-light", (16,), "256", "256"),
    ("holes", (1,), "131072", ""),
)
# Those of other parts that belong to it: of one thread's hits, of threads that come, go and sleep, the tide, Go.
TOO = r"^(pair/1|malloc-(server|bleed|sleepers|handoff-mixed)|tick-|tide-|go-)"


def turn(bench, who, operations):
    kind, *work, sizes = bench.name.replace("far-", "far_").replace("lists-", "lists_").replace("ebb-", "ebb_").split(":")
    least, _, most = sizes.partition("-")
    argv = [work[0].replace("_", "-"), bench.threads, least, most or least, int(operations)]
    if kind == "pools":
        return found_by(program("tidepool-compare-pools"), *argv, who)
    return found_by(program("tidepool-compare-mallocs"), *argv, preload=LIBRARIES[who])


def run_work(session, bench):
    kind = bench.name.split(":")[0]
    if kind == "mallocs":
        who = those_there(session, bench.who)
    else:
        built = run([program("tidepool-compare-pools")]).output.split()
        who = [each for each in bench.who if each in built]
        for each in set(bench.who) - set(who):
            session.miss(each, f"it comes with {PACKAGES[each.split('_')[0]]}, which this build has not found")
    if not who:
        return
    operations, rounds = 1, session.rounds(3, 1)
    unit, key = "KiB left", "kib"
    if ":holes:" in bench.name:
        unit, key = "mappings", "mappings"
    elif ":ebb-" not in bench.name:
        unit, key, rounds = "ns/pair", "ns", session.rounds(11, 3)
        # All do the same number of operations: those that take the first of them about as long as wanted.
        ns, first = (3e6 if session.asked.quick else 15e6), FIRST[kind] if FIRST[kind] in who else who[0]
        tried = turn(bench, first, 1000)
        while tried["ns"] * tried["operations"] < ns / 8:
            tried = turn(bench, first, 4 * tried["operations"])
        operations = ns / tried["ns"]
    turns = session.in_turn(who, rounds, lambda each: turn(bench, each, operations))
    session.add(bench.name, bench.threads, unit, key, turns, OURS[kind])


def benches(elsewhere):
    found = []
    for kind, ours in OURS.items():
        for work, threads, sizes, pools in WORKS:
            for size in (sizes if kind == "mallocs" else pools).split():
                for count in threads:
                    others = [who for who in OTHERS[kind] if count == 1 or "_unsync" not in who]
                    found.append(Bench(kind, f"{kind}:{work}:{size}", count, [ours, *others], run_work))
    return found + elsewhere


def rows_of(session, kind, key="ratio"):
    """By (bench, threads), then by contestant: all that ours is part of."""
    found = {}
    for row in session.rows:
        if row["bench"].startswith(f"{kind}:") and key in row:
            found.setdefault((row["bench"], row["threads"]), {})[row["who"]] = row
    return {name: rows for name, rows in found.items() if OURS[kind] in rows}


def ratios(session, kind, who, key=None, works=""):
    """Theirs over ours, for each bench: of the medians of `key`, or of each round's time."""
    found = []
    for (bench, _), rows in rows_of(session, kind, key or "cpu_ns").items():
        ours, theirs = rows[OURS[kind]], rows.get(who)
        if theirs and (not works or bench.split(":")[1].split("-")[0] in works.split()):
            found.append(theirs["ratio"] if not key else theirs[key] / max(1, ours[key]))
    return [max(each, 1e-6) for each in found]


def short(value):
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{min(value, 99999):.0f}"


def count(value):
    return short(value) if value < 99_999 else f"{value / 1000:.0f}k"


def table(session, kind):
    others, wide = OTHERS[kind], 8 if kind == "pools" else 10
    rows = rows_of(session, kind)
    if not rows:
        return
    heads = [who.replace("boost", "bst").replace("scalable", "scal")[:wide - 1] for who in others]
    for name, key, label, unit in (
        ("time", "median", "ns", 1),
        ("processor time", "cpu_ns", "ns", 1),
        ("most resident", "rss_peak_kib", "MiB", 1024),
        ("page faults", "faults", "", 1),
    ):
        print(f"\n{kind + ', ' + name:<28}{'ours ' + label:>8}" + "".join(f"{who:>{wide}}" for who in heads))
        for (bench, threads), found in rows.items():
            ours = found[OURS[kind]]
            if key not in ours:
                continue
            cells = []
            for who in others:
                theirs = found.get(who, {})
                cell = short(theirs[key] / max(1e-3, ours[key])) if key in theirs else ""
                if key == "median" and "ratio" in theirs:
                    cell = f"{short(theirs['ratio'])}±{min(99, theirs.get('spread', 0)):.0f}"
                cells.append(f"{cell:>{wide}}")
            work = bench.split(":", 1)[1].replace(":", " ") + f"/{threads}"
            work += "" if "cpu_ns" in ours else f", {ours['unit'].split()[0]}"
            print(f"{work:<28}{count(ours[key] / unit):>8}" + "".join(cells))
        means = [ratios(session, kind, who, None if key == "median" else key) for who in others]
        print(f"{'geometric mean':<36}" + "".join(f"{short(geometric_mean(m)) if m else '':>{wide}}" for m in means))


def draw(session, machine, svg):
    """Bars of the geometric means over threads and sizes, a group a work; for lack of gnuplot, nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, others in OTHERS.items():
            with open(os.path.join(folder, kind), "w", encoding="utf-8") as file:
                for work in dict.fromkeys(each[0] for each in WORKS):
                    found = {who: [] for who in others}
                    for (bench, _), rows in rows_of(session, kind, "cpu_ns").items():
                        for who in others:
                            if bench.split(":")[1] == work and who in rows:
                                found[who].append(rows[who]["ratio"])
                    if any(found.values()):
                        means = [f"{geometric_mean(each):.3f}" if each else "nan" for each in found.values()]
                        print(work, *means, file=file)
        told = f"{machine['cpu']}, {machine['cores']} cores, {machine['compiler'].split(' (')[0]}, {machine['libc']}"
        settings = f"folder='{folder}'; machine='{told.replace(chr(39), '')}'"
        try:
            with open(svg, "w", encoding="utf-8") as out:
                script = os.path.join(SOURCE, "bench", "compare", "plot.gp")
                subprocess.run(["gnuplot", "-e", settings, script], stdout=out, check=True)
        except FileNotFoundError:
            print("not drawn: there is no gnuplot; it comes with gnuplot-nox")
