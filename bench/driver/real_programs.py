"""Real programs of the distribution, as they are, each on one piece of work, under libc's malloc and Tidepool's in turn.
One run before the rounds brings their files into memory; what comes out of it all the others must bring out, too."""

import csv
import hashlib
import os
import socket
import tempfile
import time

from mallocs import LIBRARIES, SHIM, those_there
from options import FOLDER
from processes import SOURCE, run, start, wait
from session import Bench

AS_SHIPPED = "as shipped"
JSON_THREADS = os.path.join(FOLDER, "programs", "json_threads.py")

# redis-benchmark's keys are other ones each time. So the digest, of all keys and values, is taken of these.
KNOWN_WORK = """
    for i = 1, 20000 do
        redis.call('SET', 'string:' .. i % 7000, string.rep('x', i % 3000))
        redis.call('APPEND', 'string:' .. i % 5000, i)
        redis.call('RPUSH', 'list:' .. i % 50, string.rep('y', i % 200))
        redis.call('HSET', 'hash:' .. i % 100, 'field:' .. i % 1000, i)
        redis.call('ZADD', 'sorted', i % 1009, 'member:' .. i)
        if i % 3 == 0 then redis.call('DEL', 'string:' .. i % 4000) end
        if i % 5 == 0 then redis.call('LPOP', 'list:' .. i % 50) end
    end"""


def timed(argv, preload, file=None):
    """What a command took. Its outcome is the file, or, if there is none, what it prints."""
    ended = run(argv, preload)
    outcome = ended.output
    if file:
        with open(file, "rb") as made:
            outcome = hashlib.file_digest(made, "sha256").hexdigest()
    return {"wall_ms": ended.wall_ms, "cpu_ms": ended.cpu_ms, "rss_peak_kib": ended.peak_kib, "outcome": outcome}


def compiler(preload, quick):
    """One file of this project, to an object file."""
    includes = ["-I", f"{SOURCE}/include", "-I", f"{SOURCE}/src"]
    source = f"{SOURCE}/src/pool/pool.cpp"
    return timed(["/usr/bin/g++", "-std=c++20", "-O2", *includes, "-c", source, "-o", "pool.o"], preload, "pool.o")


def make_json(quick):
    run(["/usr/bin/python3", JSON_THREADS, "make", "input.json", "1000" if quick else "6000"])


def json_threads(preload, quick):
    """Two threads, each of which parses a document and writes it out three times."""
    return timed(["/usr/bin/python3", "-I", JSON_THREADS, "input.json", "2", "3"], preload)


def text_files(*roots):
    """Regular files in the order of their paths, without those that have a NUL byte in their first 4 KiB."""
    for root in roots:
        for path in sorted(os.path.join(top, name) for top, _, names in os.walk(root) for name in names):
            if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                with open(path, "rb") as file:
                    text = file.read()
                if b"\0" not in text[:4096]:
                    yield text


def make_lines(quick):
    """What /usr/include and /usr/share/doc have of text, over and over."""
    bytes_least = (16 if quick else 128) << 20
    with open("once.txt", "wb") as file:
        for text in text_files("/usr/include", "/usr/share/doc"):
            file.write(text[: bytes_least - file.tell()])
        once = file.tell()
    if once == 0:
        raise RuntimeError("no text to sort")
    run(["/bin/sh", "-c", f"for i in $(seq {-(-bytes_least // once)}); do cat once.txt; echo; done >input.txt"])


def sort(preload, quick):
    return timed(["/usr/bin/sort", "--parallel=2", "-T", ".", "-o", "output.txt", "input.txt"], preload, "output.txt")


def redis_cli(port, *words):
    # -e: an error that the server answers is one of the command.
    return run(["/usr/bin/redis-cli", "-e", "-p", port, *words]).output


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


def measure_redis(port, requests):
    commands = "set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset"
    argv = ["/usr/bin/redis-benchmark", "-p", port, "-t", commands, "-n", str(requests)]
    table = run([*argv, "-P", "16", "-r", "100000", "-d", "256", "--csv"]).output
    found = {}
    for test in csv.DictReader(table.splitlines()):
        # What comes before LRANGE only to have a list for it is said to be "needed".
        if "(needed" not in test["test"]:
            found[test["test"].split(" ")[0] + "_ms"] = 1000 * requests / float(test["rps"])
    if not found:
        raise RuntimeError(f"redis-benchmark said nothing: {table}")
    found["wall_ms"] = sum(found.values())
    redis_cli(port, "FLUSHALL")
    redis_cli(port, "EVAL", KNOWN_WORK, "0")
    found["outcome"] = redis_cli(port, "DEBUG", "DIGEST")
    redis_cli(port, "SHUTDOWN", "NOSAVE")
    return found


def redis(preload, quick):
    """Started on a free port of the loopback interface, nothing written to disk, ended again. The time is what
    redis-benchmark took by its own account, and only the server has the malloc under test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    argv = ["/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"]
    server = start([*argv, "--enable-debug-command", "local"], preload)
    try:
        for _ in range(1000):
            if answers(port):
                break
            if os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                wait(server, "redis-server")  # which says how it ended
            time.sleep(0.01)
        else:
            raise RuntimeError("redis-server does not answer")
        found = measure_redis(port, 5000 if quick else 40000)
        cpu_ms, peak_kib = wait(server, "redis-server")
    finally:
        if server.returncode is None:
            server.kill()
            server.wait()
    return dict(found, cpu_ms=cpu_ms, rss_peak_kib=peak_kib)


# By name: threads, what makes the input before the first run, what runs it once; both in a folder of their own.
PROGRAMS = {
    "run-compiler": (1, None, compiler),
    "run-json": (2, make_json, json_threads),
    "run-sort": (2, make_lines, sort),
    "run-redis": (1, None, redis),
}


def run_program(session, bench):
    _, prepare, run_once = PROGRAMS[bench.name]
    who = those_there(session, [each for each in bench.who if each != AS_SHIPPED])
    who += [AS_SHIPPED] if AS_SHIPPED in bench.who else []
    if not who:
        return
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="tidepool-bench-") as folder:
        os.chdir(folder)
        try:
            session.step("preparing")
            if prepare:
                prepare(session.asked.quick)
            outcome = run_once("", session.asked.quick)["outcome"]

            def turn(each):
                found = run_once(LIBRARIES.get(each, ""), session.asked.quick)
                if found["outcome"] != outcome:
                    raise RuntimeError(f"{bench.name} brought out something else under {each}")
                return found

            turns = session.in_turn(who, session.rounds(11, 3), turn)
        finally:
            os.chdir(before)
    session.add(bench.name, bench.threads, "ms", "wall_ms", turns, SHIM)


def benches(peers):
    found = []
    for name, (threads, _, _) in PROGRAMS.items():
        who = list(LIBRARIES) if peers else list(LIBRARIES)[:2]
        # Debian's is linked to jemalloc, so it is run with nothing preloaded, too.
        found.append(Bench("programs", name, threads, who + [AS_SHIPPED] * (name == "run-redis"), run_program))
    return found
