"""What Tidepool is to reach, and whether it did: the lines of the summary. The numbers are the project's promises to
itself, not tests: a bench that misses one says so and goes on."""

from dataclasses import asdict, dataclass

import os
import re

import comparison
from benchmarks import OVER, POOL
from go_pool import OBJECT_POOL, SYNC_POOL
from mallocs import SHIM
from processes import SOURCE
from session import geometric_mean


@dataclass
class Line:
    part: str
    work: str
    ours: str = ""
    theirs: str = ""
    who: str = ""
    ratio: float | None = None  # their figure over ours: above 1, ours is better
    target: str = ""
    met: bool | None = None

    def as_json(self):
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


def figure(value, unit):
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def unit_of(row):
    return row["unit"].split("/")[0].split(" ")[0]


def work_of(row):
    return f"{row['bench']}, {row['threads']} thread{'' if row['threads'] == 1 else 's'}"


def mib(row, name="rss_peak_kib"):
    return figure(row[name] / 1024, "MiB")


def short(who):
    return who.removesuffix("_resource") if who.endswith("_pool_resource") else who


class Summary:
    def __init__(self, session):
        self.session, self.lines, self.part = session, [], ""

    def row(self, bench, threads, who):
        return self.session.row(bench, threads, who)

    def best(self, bench, threads, names, key="ratio"):
        """The one of these with the least of it; None if none was run beside ours."""
        found = [self.row(bench, threads, who) for who in names]
        return min((row for row in found if row and key in row), key=lambda row: row[key], default=None)

    def compare(self, work, ours, theirs, who, ratio, at_least=None, more_than=None):
        line = Line(self.part, work, ours, theirs, short(who), ratio)
        if at_least is not None:
            line.target, line.met = f">= {at_least:.3g}", ratio >= at_least
        if more_than is not None:
            line.target, line.met = f"> {more_than:.3g}", ratio > more_than
        self.lines.append(line)

    def faster(self, ours, theirs, at_least=None):
        if ours and theirs and "ratio" in theirs:
            unit = unit_of(ours)
            median, other = figure(ours["median"], unit), figure(theirs["median"], unit)
            self.compare(work_of(ours), median, other, theirs["who"], theirs["ratio"], at_least)

    def leaner(self, ours, theirs, at_least, work=None):
        if ours and theirs:
            ratio = theirs["rss_peak_kib"] / ours["rss_peak_kib"]
            work = (work or ours["bench"]) + ", peak memory"
            self.compare(work, mib(ours), mib(theirs), theirs["who"], ratio, at_least)

    def limit(self, work, value, unit, at_most=None, below=None):
        target = f"< {below:.3g} {unit}" if at_most is None else f"<= {at_most:.3g} {unit}"
        met = value < below if at_most is None else value <= at_most
        self.lines.append(Line(self.part, work, figure(value, unit), target=target, met=met))

    def mean(self, work, theirs, count, **target):
        """Nothing if one of the benches was not run, since the mean of some would be another figure."""
        ratios = [row["ratio"] for row in theirs if row and "ratio" in row]
        if ratios and len(ratios) == count:
            self.compare(work, "", "", theirs[0]["who"], geometric_mean(ratios), **target)

    def pools(self):
        self.part = "pools"
        standard = [f"{name}_resource" for name in ("synchronized_pool", "unsynchronized_pool", "new_delete")]
        synchronized, unsynchronized, new_delete = standard
        for bench, threads, promises in (
            ("pair", 1, {synchronized: 8, unsynchronized: 3.5, new_delete: 3, "bump": 1 / 1.6}),
            ("pair", 2, {synchronized: 30}),
            ("batch-reverse", 1, {new_delete: 2}),
            ("batch-order", 1, {new_delete: 2}),
            ("handoff", 2, {new_delete: 2, synchronized: 10}),
            ("random", 1, {}),
            ("random", 2, {}),
            ("index", 3, {synchronized: 2, new_delete: 1.15}),
            ("index-1", 1, {}),
        ):
            ours, best = self.row(bench, threads, POOL), self.best(bench, threads, standard)
            if best:
                self.faster(ours, best, promises.pop(best["who"], None))
            for who, at_least in promises.items():
                self.faster(ours, self.row(bench, threads, who), at_least)
        if ours := self.row("index", 3, POOL):
            ratio = ours["rss_before_kib"] / ours["rss_after_decay_kib"]
            after, before = mib(ours, "rss_after_decay_kib"), mib(ours, "rss_before_kib")
            self.compare("index, resident two ticks later", after, before, "before", ratio, 1 / 1.1)
        if ours := self.row("idle", 1, POOL):
            self.limit("idle, a pool never used", ours["median"], "KiB", below=4)
            self.limit("idle, its calls to the upstream", ours["upstream_calls"], "calls", at_most=0)

    def over(self, library, mean, large_mean):
        self.part = "pools over mimalloc and jemalloc"
        pool, *others = OVER[library]
        rows = [row for row in self.session.rows if row["bench"].startswith("front-") and "ratio" in row]

        def ours(row):
            return self.row(row["bench"], row["threads"], pool)

        for work in ("pair", "batch", "random", "grow", "handoff"):
            some = [row for row in rows if row["who"] == library and row["bench"].startswith(f"front-{work}-")]
            if not some:
                continue
            ratio = geometric_mean([row["ratio"] for row in some])
            here, there = (geometric_mean([row["median"] for row in of]) for of in (map(ours, some), some))
            self.compare(f"{work} over {library}", figure(here, "ns"), figure(there, "ns"), library, ratio)
            worst = min(some, key=lambda row: row["rss_peak_kib"] / ours(row)["rss_peak_kib"])
            self.leaner(ours(worst), worst, 1 / 1.1, f"{work} over {library}")
        for who in others:
            theirs = [row for row in rows if row["who"] == who]
            # front-random-1040 has blocks from 16 bytes on.
            large = [row for row in theirs if int(row["bench"].split("-")[-1]) not in (16, 64, 256, 1040)]
            if theirs:
                worst = min(theirs, key=lambda row: row["ratio"])
                median, other = figure(ours(worst)["median"], "ns"), figure(worst["median"], "ns")
                name = worst["bench"].removeprefix("front-")
                self.compare(f"worst over {library}: {name}", median, other, who, worst["ratio"], more_than=1)
            self.mean(f"mean of all over {library}", theirs, 34, at_least=mean)
            if large_mean:
                self.mean(f"mean from 1 KiB over {library}", large, 21, at_least=large_mean)

    def ticks(self):
        """The longest of all rounds counts, of the others the median."""
        self.part = "ticks"
        for bench, name, of, unit, below in (
            ("tick-99.9%", "99.9%", "median", "us", 5),
            ("tick-longest", "longest", "max", "us", 50),
            ("tick-share", "ticking", "median", "%", 0.1),
        ):
            for row in self.session.rows:
                if row["bench"] == bench and not row["who"].endswith("no ticks"):
                    self.limit(f"{name}: {row['who']}", row[of], unit, below=below)

    def mallocs(self):
        self.part = "malloc"
        others = ["libc", "mimalloc", "jemalloc", "tcmalloc"]
        alone = "pair-64 pair-2000 pair-16384 batch-reverse batch-order random".split()
        for name in alone:
            ours = self.row(f"malloc-{name}", 1, SHIM)
            self.faster(ours, self.best(f"malloc-{name}", 1, others[1:]), 1)
            self.faster(ours, self.row(f"malloc-{name}", 1, "libc"), 2)
        theirs = [self.row(f"malloc-{name}", 1, "mimalloc") for name in alone]
        self.mean("mean of these", theirs, len(alone), more_than=1.3)
        across = {("handoff", 2): 1, ("handoff-mixed", 4): 1, ("server-2", 2): 1, ("server-16", 16): 1, ("bleed", 2): 3}
        for (name, threads), at_least in across.items():
            best = self.best(f"malloc-{name}", threads, others)
            self.faster(self.row(f"malloc-{name}", threads, SHIM), best, at_least)
        best = self.best("malloc-bleed", 2, others, "rss_peak_kib")
        self.leaner(self.row("malloc-bleed", 2, SHIM), best, 1 / 1.2)
        if ours := self.row("malloc-sleepers", 1000, SHIM):
            self.limit("malloc-sleepers, beyond the stack", ours["median"], "KiB", at_most=64)

    def programs(self):
        """Never slower than libc by more than 2 %."""
        self.part = "programs"
        benches = {"run-compiler": 1, "run-json": 2, "run-sort": 2, "run-redis": 1}
        for bench, threads in benches.items():
            ours, libc = self.row(bench, threads, SHIM), self.row(bench, threads, "libc")
            self.faster(ours, self.best(bench, threads, ["mimalloc", "jemalloc", "tcmalloc", "as shipped"]))
            self.faster(ours, libc, 1 / 1.02)
            self.leaner(ours, libc, 1 / 1.15)
        theirs = [self.row(bench, threads, "libc") for bench, threads in benches.items()]
        self.mean("mean of the programs", theirs, len(benches), more_than=1)

    def go(self):
        self.part = "object_pool and sync.Pool"
        for loop, at_least in {"pool": 3, "overflow": 4, "starvation": 4, "expensive-new": 1}.items():
            for threads in (1, 2):
                ours, theirs = (self.row(f"go-{loop}", threads, who) for who in (OBJECT_POOL, SYNC_POOL))
                self.faster(ours, theirs, at_least)

    def tide(self):
        """The worst round counts."""
        self.part = "tide"
        for row in self.session.rows:
            if not row["bench"].startswith("tide-") or "empty_after_s" not in row:
                continue
            # Two decay intervals, and what the driver of the ticks needs beyond: a thread that allocates all the while,
            # to hand down one to two GiB in slices; a background thread, to wake up twice.
            late = 0.5 if row["bench"] == "tide-background" else 0.25
            name = f"{row['bench'].removeprefix('tide-')} over {row['who'].split('/')[1]}"
            self.limit(f"{name}: empty", row["empty_after_s"], "s", at_most=2 + late)
            self.limit(f"{name}: left", row["max"], "MiB", at_most=16)
            peers = ["mimalloc", "jemalloc", "synchronized_pool"]
            if peer := self.best(row["bench"], row["threads"], peers, "median"):
                line = self.lines[-1]
                line.theirs, line.who = figure(peer["median"], "MiB"), peer["who"]
                line.ratio = peer["median"] / row["max"] if row["max"] > 0 else None

    def reached(self, work, value, at_most, unit="x"):
        """`value` is ours in theirs; by how much it misses stands in the column of the ratio."""
        line = Line(self.part, work, figure(value, unit), target=f"<= {at_most:.3g}", met=value <= at_most)
        line.theirs, line.ratio = "" if line.met else "missed", None if line.met else value / at_most
        line.who = "" if line.met else "by a factor of"
        self.lines.append(line)

    def of_mallocs(self):
        found = comparison.rows_of(self.session, "mallocs")
        pairs = {name: rows for name, rows in found.items() if name[0].startswith("mallocs:pair:") and name[1] == 1}
        for who in comparison.MALLOCS:
            some = [rows[who]["ratio"] for name, rows in pairs.items() if who in rows and "32768" not in name[0]]
            if some:
                self.reached(f"pair to 2000 B, worst: {who}", 1 / min(some), 1)
        best = []
        server = {(f"mallocs:server:{n}", n): self.of_bench(f"malloc-server-{n}", n) for n in (2, 16)}
        for work in "far tree batch random larson server handoff".split():
            of = {name: rows for name, rows in {**found, **server}.items() if re.match(f"mallocs:{work}\\b", name[0])}
            some = [1 / min(row["ratio"] for row in rows.values()) for rows in map(self.others, of.values()) if rows]
            best += some
            if some:
                self.reached(f"{work}: worst beside the best", max(some), 1)
        if best:
            self.reached("mean of these beside the best", geometric_mean(best), 0.85)
        for length in (100, 10_000, 100_000):
            one, two = (self.row(f"mallocs:lists-{length}:64", n, SHIM) for n in (1, 2))
            if one and two:
                self.reached(f"lists of {length}, cpu, 2 by 1", two["cpu_ns"] / one["cpu_ns"], 1.2)
        for threads in (2, 16):
            rows = found.get(("mallocs:mixed:16-524288", threads), {})
            for key in ("faults", "median") if self.others(rows) else ():
                least = min(row[key] for row in self.others(rows).values())
                self.reached(f"mixed/{threads}, {key.replace('median', 'time')}", rows[SHIM][key] / least, 1)
        peaks = comparison.ratios(self.session, "mallocs", "libc", "rss_peak_kib")
        if peaks:
            self.reached("most resident, worst beside libc", 1 / min(peaks), 1)
            self.reached("most resident, mean beside libc", 1 / geometric_mean(peaks), 0.85)
        if row := self.row("malloc-sleepers", 1000, SHIM):
            self.reached("1000 sleepers, each", row["median"], 16, "KiB")
        if row := self.row("mallocs:holes:131072", 1, SHIM):
            self.reached("mappings, half of 16 GiB freed", row["median"], 1000, "")

    def of_bench(self, bench, threads):
        return {row["who"]: row for row in self.session.rows if (row["bench"], row["threads"]) == (bench, threads)}

    @staticmethod
    def others(rows):
        return {who: row for who, row in rows.items() if who in comparison.MALLOCS and "ratio" in row}

    def issued(self):
        """The table of the issue that asked for the comparison; what has sections of its own stands there: Go, ticks."""
        self.part = "the comparison"
        self.of_mallocs()
        bump, ours = self.row("pair", 1, "bump"), self.row("pair", 1, POOL)
        for face, at_most in (("pool_resource", 1.25), ("allocator", 1), ("block_pool", 1)) if bump and ours else ():
            if row := self.row("pair", 1, f"tidepool::{face}"):
                self.reached(f"{face} pair beside bump", row["median"] / bump["median"], at_most)
        for row in self.session.rows:
            kind = row["bench"].split(":")[0]
            if ":ebb-" in row["bench"] and row["who"] == comparison.OURS[kind]:
                self.reached(f"{kind}, {row['bench'].split(':')[1]}, left", row["max"] / 1024, 16, "MiB")
        with open(os.path.join(SOURCE, "tests", "golden", "hits.txt"), encoding="utf-8") as file:
            counted = dict(re.findall(r"^([a-z_0-9-]+) +(\d+)", file.read(), re.MULTILINE))
        for case, at_most in (("malloc-64", 54), ("pool_resource", 60), ("allocator", 28)):
            self.reached(f"{case}, instructions", int(counted[case]), at_most, "")


def summary_of(session):
    made = Summary(session)
    if session.asked.compare:
        made.issued()
        made.ticks()
        made.tide()
        made.go()
        return made.lines
    made.pools()
    made.over("mimalloc", 1.6, 3)
    made.over("jemalloc", 2, None)
    made.ticks()
    made.mallocs()
    made.programs()
    made.tide()
    made.go()
    if not made.lines:  # nothing of Tidepool's was run: then what was
        for row in session.rows:
            made.lines.append(Line("all", work_of(row), "", figure(row["median"], unit_of(row)), short(row["who"])))
    return made.lines
