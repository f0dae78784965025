"""One run of the driver: what there is to measure, and what was measured so far."""

import math
import sys
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Callable


@dataclass
class Bench:
    """One bench of the plan, with those of its contestants that are wanted."""

    part: str  # the summary has a section for each
    name: str
    threads: int
    who: list
    run: Callable  # with the session and this

    def names(self):
        return [f"{self.name}/{self.threads} {who}" for who in self.who]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


@dataclass
class Session:
    asked: object  # the options
    rows: list = field(default_factory=list)  # what one contestant reached in one bench, each
    input: dict = field(default_factory=dict)  # what the index was made of
    csv: list = field(default_factory=list)  # resident memory over time, of the tide
    missing: set = field(default_factory=set)
    now: str = ""

    def rounds(self, full, short):
        return self.asked.rounds or (short if self.asked.quick else full)

    def begin(self, number, count, bench):
        """Says what is measured: on a terminal one line that is written over, elsewhere one line a bench."""
        self.now = f"bench {number} of {count}: {bench.name}, threads: {bench.threads}, contestants: {len(bench.who)}"
        if not sys.stderr.isatty():
            print(self.now, file=sys.stderr, flush=True)
        self.step("")

    def step(self, what):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{self.now} {what}"[:100], end="", file=sys.stderr, flush=True)

    def done(self):
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def miss(self, who, why):
        """A contestant that is not there is left out, and said once."""
        if who not in self.missing:
            print(f"\nnot measured: {who}: {why}", file=sys.stderr)
        self.missing.add(who)

    def in_turn(self, who, rounds, turn):
        """What turn(who) found, by contestant, a list of rounds each. Each round begins with another one, so that
        whatever the machine does besides meets all alike."""
        found = {each: [] for each in who}
        for number in range(rounds):
            for i in range(len(who)):
                each = who[(i + number) % len(who)]
                self.step(f"round {number + 1} of {rounds}, {each}")
                found[each].append(turn(each))
        return found

    def add(self, bench, threads, unit, key, turns, reference=None, same_rounds=True):
        """A row for each contestant. `key` is what becomes its median, and of which its ratio to the reference is; all
        other numbers that the turns found go along as medians."""
        base = [turn[key] for turn in turns.get(reference, [])]
        for who, found in turns.items():
            samples = [turn[key] for turn in found if key in turn]
            if not samples:
                continue
            row = {"bench": bench, "threads": threads, "who": who, "unit": unit, "median": median(samples)}
            row.update(min=min(samples), max=max(samples), rounds=len(samples))
            if base and same_rounds and min(base) > 0:  # what disturbed a round disturbed both
                ratios = [one / other for one, other in zip(samples, base)]
                row["ratio"] = median(ratios)
                low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
                row["spread"] = 50 * (high - low) / row["ratio"] if row["ratio"] else 0  # half of the middle half's, in %
            elif base and not same_rounds:
                row["ratio"] = row["median"] / median(base)
            for name in found[0]:
                values = [turn[name] for turn in found if is_number(turn.get(name))]
                if values and name != key:
                    row[name] = median(values)
            self.rows.append(row)

    def row(self, bench, threads, who):
        for row in self.rows:
            if (row["bench"], row["threads"], row["who"]) == (bench, threads, who):
                return row
        return None
