"""What Google Benchmark times. The benches of the pools run all contestants in one process, in random order. The others
are a process a turn, whose memory is counted: pools over mimalloc and jemalloc, idle pools, malloc under LD_PRELOAD."""

import json

from mallocs import LIBRARIES, SHIM, those_there
from processes import program, run
from session import Bench

POOL = "tidepool::pool_resource"

# A pool over an allocator, and the two ways to that allocator without it.
OVER = {name: [f"pool over {name}", name, f"{name}_resource"] for name in ("mimalloc", "jemalloc")}

COUNTERS = "kib thread_kib upstream_calls rss_before_kib rss_peak_kib rss_after_drop_kib".split()


def repetitions(bench, who, *options):
    """Those of one invocation. Of malloc there is one contestant, by the library that is preloaded."""
    is_malloc = bench.part == "malloc"
    names = "malloc" if is_malloc else "|".join(who)
    binary = program("tidepool-malloc-bench" if is_malloc else "tidepool-micro")
    argv = [binary, "--benchmark_format=json", f"--benchmark_filter=^{bench.name}/{bench.threads} ({names})/", *options]
    output = run(argv, LIBRARIES[who[0]] if is_malloc else "").output
    found = json.loads(output)["benchmarks"] if output else []  # nothing: it has none of that name
    return [each for each in found if each["run_type"] == "iteration"]


def turn_of(repetition):
    # The library counts the operations of all threads.
    found = {"ns": repetition["real_time"] * repetition["threads"]}
    found.update({name: repetition[name] for name in COUNTERS if name in repetition})
    return found


def run_together(session, bench):
    turns = {who: [] for who in bench.who}
    for each in repetitions(
        bench,
        bench.who,
        f"--benchmark_repetitions={session.rounds(31, 11)}",
        f"--benchmark_min_time={0.004 if session.asked.quick else 0.015}",
        "--benchmark_enable_random_interleaving=true",
    ):
        turns[each["label"]].append(turn_of(each))
    session.add(bench.name, bench.threads, "ns/pair", "ns", turns, POOL, same_rounds=False)


def run_apart(session, bench, who, first, seconds, rounds):
    """All do the same number of operations: those that fill a turn of `first`."""
    if session.asked.quick:
        seconds /= 3
    tried = repetitions(bench, [first], f"--benchmark_min_time={seconds:.4f}")[0]
    operations = tried["iterations"] // tried["threads"]
    return session.in_turn(
        who,
        session.rounds(rounds, (rounds + 2) // 3),
        lambda each: turn_of(repetitions(bench, [each], f"--operations={operations}")[0]),
    )


def run_over(session, bench):
    there = [who for who in bench.who if repetitions(bench, [who], "--operations=1000")]
    for who in set(bench.who) - set(there):
        session.miss(who, "this build has none")
    if not there:
        return
    # An allocator without a pool, if there is one.
    first = next((who for who in there if not who.startswith("pool")), there[0])
    turns = run_apart(session, bench, there, first, 0.025, 15)
    for names in OVER.values():
        some = {who: turns[who] for who in names if who in turns}
        session.add(bench.name, bench.threads, "ns/pair", "ns", some, names[0])


def run_malloc(session, bench):
    who = those_there(session, bench.who)
    if not who:
        return
    rounds = {"malloc-sleepers": 3, "malloc-bleed": 11}.get(bench.name, 31)
    turns = run_apart(session, bench, who, "libc", 0.2 if bench.name == "malloc-bleed" else 0.025, rounds)
    unit, key = ("KiB/thread", "thread_kib") if bench.name == "malloc-sleepers" else ("ns/pair", "ns")
    session.add(bench.name, bench.threads, unit, key, turns, SHIM)


def run_idle(session, bench):
    turns = session.in_turn(bench.who, session.rounds(5, 3), lambda who: turn_of(repetitions(bench, [who])[0]))
    session.add(bench.name, bench.threads, "KiB/pool", "kib", turns, POOL)


def entry(name, threads):
    if name.startswith("malloc-"):
        return Bench("malloc", name, threads, list(LIBRARIES), run_malloc)
    if name.startswith("front-"):
        return Bench("pools over mimalloc and jemalloc", name, threads, sum(OVER.values(), []), run_over)
    return Bench("pools", name, threads, [], run_idle if name == "idle" else run_together)


def benches():
    """Of lines like "pair/1 tidepool::pool_resource/real_time"."""
    found = {}
    for binary in ("tidepool-micro", "tidepool-malloc-bench"):
        for line in run([program(binary), "--benchmark_list_tests"]).output.splitlines():
            bench, who = line.split(" ", 1)
            name, threads = bench.split("/")
            made = found.setdefault(bench, entry(name, int(threads)))
            if made.part == "pools":
                made.who.append(who.split("/")[0])
    return list(found.values())
