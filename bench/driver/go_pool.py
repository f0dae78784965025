"""object_pool beside Go's sync.Pool, in Go's own loops: a process for each turn of each, the same number of rounds."""

import os

from own_programs import found_by
from processes import program
from session import Bench

OBJECT_POOL, SYNC_POOL = "tidepool::object_pool", "sync.Pool"
PROGRAMS = {OBJECT_POOL: "tidepool-go-loops", SYNC_POOL: "tidepool-go-pool"}

# The rounds of all threads together: 25 ms and more of each turn.
ROUNDS = {"pool": 10_000_000, "overflow": 100_000, "starvation": 100_000, "expensive-new": 1000}


def run_loop(session, bench):
    loop = bench.name.removeprefix("go-")
    there = [who for who in bench.who if os.path.exists(program(PROGRAMS[who]))]
    for who in set(bench.who) - set(there):
        session.miss(who, f"there is no {PROGRAMS[who]}: it takes Go")
    rounds = ROUNDS[loop] // (5 if session.asked.quick else 1)
    turns = session.in_turn(
        there, session.rounds(15, 5), lambda who: found_by(program(PROGRAMS[who]), loop, bench.threads, rounds)
    )
    unit, key = ("News", "news") if loop == "expensive-new" else ("ns/round", "ns")
    session.add(bench.name, bench.threads, unit, key, turns, OBJECT_POOL)


def benches():
    part = "object_pool and sync.Pool"
    return [Bench(part, f"go-{loop}", threads, list(PROGRAMS), run_loop) for loop in ROUNDS for threads in (1, 2)]
