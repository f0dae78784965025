"""The driver of the benches: runs what is wanted and says what it gave. What each measures is in README.md beside this
folder."""

import json
import os
import platform
import re
import sys
import time

import benchmarks
import comparison
import go_pool
import own_programs
import real_programs
from options import asked
from processes import BUILD, SOURCE, run
from session import Session
from targets import summary_of


def first_line(path):
    with open(path, encoding="utf-8") as file:
        return file.readline().strip()


def field(path, name):
    """What follows "name:" on its line of the file, or "name:TYPE=" in CMake's."""
    with open(path, encoding="utf-8") as file:
        return re.search(rf"^{name}\s*:(?:[A-Z]+=)?\s*(.*)$", file.read(), re.MULTILINE)[1]


def machine():
    cache = os.path.join(BUILD, "CMakeCache.txt")
    commit = run(["sh", "-c", f"git -C '{SOURCE}' describe --always --dirty 2>/dev/null || true"]).output.strip()
    return {
        "cpu": field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_kib": int(field("/proc/meminfo", "MemTotal").split()[0]),
        "kernel": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "compiler": run([field(cache, "CMAKE_CXX_COMPILER"), "--version"]).output.splitlines()[0],
        "huge_pages": first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load_before": first_line("/proc/loadavg"),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "tidepool": field(cache, "CMAKE_PROJECT_VERSION"),
        "commit": commit,
    }


def everything(options):
    own = own_programs.benches(all_tides=not options.quick or options.only.pattern)
    if options.go and not options.compare:
        return go_pool.benches()
    found = benchmarks.benches() + own
    if options.compare:
        found += go_pool.benches()
        return comparison.benches([bench for bench in found if re.match(comparison.TOO, bench.name + f"/{bench.threads}")])
    return found + real_programs.benches(options.peers)


def only(benches, pattern):
    for bench in benches:
        bench.who = [who for who, name in zip(bench.who, bench.names()) if pattern.search(name)]
    return [bench for bench in benches if bench.who]


def show(lines):
    """In 100 columns."""
    part = None
    for line in lines:
        if line.part != part:
            part = line.part
            print(f"\n{part:<34}{'ours':>9}  {'best of the others':<28}{'ratio':>7} {'target':>10}")
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        met = {True: "met", False: "missed", None: ""}[line.met]
        text = f"{line.work:<34}{line.ours:>9}{line.theirs:>10} {line.who:<19}{ratio:>7} {line.target:>10} {met}"
        print(text.rstrip())
    verdicts = [line.met for line in lines if line.met is not None]
    if verdicts:
        print(f"\n{sum(verdicts)} of {len(verdicts)} targets met")


def a_line_each(values):
    return "[" + ",".join("\n" + json.dumps(value) for value in values) + "]"


def write(session, lines, about):
    if session.asked.json:
        about.update(results=a_line_each(map(rounded, session.rows)), targets=a_line_each(line.as_json() for line in lines))
        with open(session.asked.json, "w", encoding="utf-8") as file:
            file.write("{" + ",\n".join(f'"{name}": {text}' for name, text in about.items()) + "}\n")
    if session.asked.csv:
        with open(session.asked.csv, "w", encoding="utf-8") as file:
            file.write("\n".join(["variant,who,seconds,rss_mib,held_mib", *session.csv]) + "\n")


def rounded(row):
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in row.items()}


def measure(session, plan):
    """Whether all went well. What is measured when it did not is worth reporting."""
    try:
        for number, bench in enumerate(plan, 1):
            session.begin(number, len(plan), bench)
            bench.run(session, bench)
    except (RuntimeError, OSError, ValueError, LookupError) as error:
        print(f"\nbench/run: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    finally:
        session.done()
    # Whom the comparison lacks is said; it goes on with the others.
    return session.asked.compare or not session.missing


def main():
    options = asked()
    plan = only(everything(options), options.only)
    if not plan:
        print(f"bench/run: --only {options.only.pattern} matches none of these:", file=sys.stderr)
        options.only = re.compile("")
        print("\n".join(name for bench in everything(options) for name in bench.names()), file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(name for bench in plan for name in bench.names()))
        return 0
    about, session = {"machine": json.dumps(machine())}, Session(options)
    good = measure(session, plan)
    lines = summary_of(session)
    for kind in comparison.OURS if options.compare else ():
        comparison.table(session, kind)
    show(lines)
    if options.compare:
        comparison.draw(session, json.loads(about["machine"]), options.svg)
        print(f"results: {options.json}, picture: {options.svg}")
    if options.quick:
        print("--quick: few and short rounds; not for quoting.")
    if session.missing:
        print(f"not measured, being missing: {', '.join(sorted(session.missing))}")
    if not options.json:
        print("All contestants, their spread and their memory: --json FILE")
    write(session, lines, dict(about, quick=json.dumps(options.quick), input=json.dumps(session.input)))
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nbench/run: ended before its time")
