"""What programs of our own measure, a process for each turn of each contestant, which says what it found as one line of
JSON: the main job of the pools, what ticks hold up, and the tide."""

import json
import os

from benchmarks import POOL
from processes import program, run
from session import Bench

TIDE_THREADS = 16


def found_by(*argv, preload=""):
    return json.loads(run([str(each) for each in argv], preload).output)


def run_index(session, bench):
    made = []  # all runs must have made the same index and found the same

    def turn(who, waits):
        found = found_by(program("tidepool-index"), who, bench.threads, 8 if session.asked.quick else 64, waits)
        made.append(found.pop("made"))
        if made[-1] != made[0]:
            raise RuntimeError(f"{who} made another index than {bench.who[0]}: {made[-1]}, not {made[0]}")
        return found

    turns = session.in_turn(bench.who, session.rounds(10, 3), lambda who: turn(who, 0))
    session.input[bench.name] = dict(made[0])
    if POOL in turns:
        session.input[bench.name]["stats"] = turns[POOL][-1]["stats"]
    for who in bench.who if bench.threads > 1 else []:
        session.step(f"memory after a while, {who}")
        turns[who][0]["rss_after_wait_kib"] = turn(who, 1)["rss_after_wait_kib"]
    session.add(bench.name, bench.threads, "ms", "total_ms", turns, POOL)


def run_hold_up(session, bench):
    seconds = 4 if session.asked.quick else 10
    turns = session.in_turn(
        bench.who, session.rounds(3, 1), lambda who: found_by(program("tidepool-ticks"), who, seconds)
    )
    ticked = {who: found for who, found in turns.items() if not who.endswith(", no ticks")}
    by_hand = {who: found for who, found in turns.items() if who.endswith(", by hand")}
    for name, unit, key, who in (
        ("tick-99.9%", "us", "p999_us", turns),
        ("tick-longest", "us", "with_tick_calm_us", ticked),
        ("tick-switched", "us", "with_tick_us", ticked),
        ("tick-any-longest", "us", "longest_calm_us", turns),
        ("tick-any-switched", "us", "longest_us", turns),
        ("tick-share", "% of a cpu", "ticking_percent", by_hand),
    ):
        session.add(name, bench.threads, unit, key, who)


def worth_drawing(samples):
    """Without those that the lines between the others show within 1 % of the most that was resident."""
    within = max(resident for _, resident, _ in samples) / 100

    def of_span(first, last):
        begin, end = samples[first], samples[last]
        furthest, at = 0, None
        for i in range(first + 1, last):
            share = (samples[i][0] - begin[0]) / (end[0] - begin[0])
            off = max(abs(samples[i][k] - begin[k] - share * (end[k] - begin[k])) for k in (1, 2))
            if off > furthest:
                furthest, at = off, i
        return of_span(first, at) + of_span(at, last) if furthest > within else [last]

    # Where a pool begins or ends to hold nothing is kept.
    turns = [i for i in range(1, len(samples)) if (samples[i][2] == 0) != (samples[i - 1][2] == 0)]
    marks = sorted({0, len(samples) - 1, *turns, *(i - 1 for i in turns)})
    kept = [0]
    for first, last in zip(marks, marks[1:]):
        kept += of_span(first, last)
    return [samples[i] for i in kept]


def emptied_after(found):
    """The longest of all rounds, in seconds; infinite if a pool still held something in the end."""
    never = float("inf")
    return max(
        each["empty_after_s"] if each["empty_after_s"] is not None and each["upstream_bytes"] == 0 else never
        for each in found
    )


def run_tide(session, bench):
    if not os.path.exists(program("tidepool-tide")):
        session.miss(bench.name, "this build has no tidepool-tide")
        return
    variant, mib = bench.name.removeprefix("tide-"), 128 if session.asked.quick else 1024

    def turn(who):
        found = found_by(program("tidepool-tide"), variant, who, mib)
        found["mib_left"] = (found["rss_purged_kib"] - found["rss_before_kib"]) / 1024
        return found

    turns = session.in_turn(bench.who, session.rounds(3, 1), turn)
    session.add(bench.name, bench.threads, "MiB left", "mib_left", turns)
    for who, found in turns.items():
        row = session.row(bench.name, bench.threads, who)
        row.pop("empty_after_s", None)
        if who.startswith("tidepool/"):
            row["empty_after_s"] = emptied_after(found)
        for seconds, resident, held in worth_drawing(found[-1]["samples"]):
            session.csv.append(f"{variant},{who},{seconds:.2f},{resident:.1f},{held:.1f}")


def benches(all_tides):
    peers = run([program("tidepool-index")]).output.splitlines()
    found = [
        Bench("pools", "index", 3, [who for who in peers if not who.startswith("unsynchronized")], run_index),
        Bench("pools", "index-1", 1, peers, run_index),
        Bench("ticks", "tick-hold-up", 2, run([program("tidepool-ticks")]).output.splitlines(), run_hold_up),
    ]
    who = ["tidepool/mimalloc", "tidepool/jemalloc", "tidepool/pages", "mimalloc", "jemalloc", "synchronized_pool"]
    for variant in ("left-alone", "sleeping-500", "exited-500", "background"):
        if all_tides or variant == "left-alone":
            found.append(Bench("tide", f"tide-{variant}", TIDE_THREADS, list(who), run_tide))
    return found
