"""Other programs, in the C locale, each run to its end."""

import os
import subprocess
import time
from dataclasses import dataclass

from options import FOLDER

SOURCE = os.path.dirname(FOLDER)
BUILD = os.path.join(SOURCE, "build", "release")


def program(name):
    """One of our own."""
    return os.path.join(BUILD, "bin", name)


def environment(preload):
    found = dict(os.environ, LC_ALL="C")
    found.pop("LD_PRELOAD", None)
    if preload:
        found["LD_PRELOAD"] = preload
    return found


@dataclass
class Ended:
    output: str
    wall_ms: float
    cpu_ms: float  # user and system, of the process and of those it waited for
    peak_kib: int  # the most that one of them had resident; what we have counts, too


def wait(child, name):
    """Until it ends by itself. RuntimeError if that is no good end."""
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode < 0:
        raise RuntimeError(f"{name} was ended by signal {-child.returncode}")
    if child.returncode > 0:
        raise RuntimeError(f"{name} failed with status {child.returncode}")
    return 1000 * (used.ru_utime + used.ru_stime), used.ru_maxrss


def start(argv, preload="", output=subprocess.DEVNULL):
    # No child of ours inherits anything but its stdout.
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, env=environment(preload))


def run(argv, preload=""):
    begin = time.perf_counter()
    child = start(argv, preload, subprocess.PIPE)
    with child.stdout:
        output = child.stdout.read().decode()
    cpu_ms, peak_kib = wait(child, argv[0])
    return Ended(output, 1000 * (time.perf_counter() - begin), cpu_ms, peak_kib)
