"""What bench/run was asked for. Run by itself it only says what is wrong with that, and
what more it takes: all for the comparison, or Go. The help is the head of bench/run."""

import argparse
import os
import re
import sys

FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def usage():
    with open(os.path.join(FOLDER, "run"), encoding="utf-8") as file:
        head = file.read().split("\nset -", 1)[0].split("\n")[1:]
    return "\n".join(line[2:] for line in head)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"bench/run: {message}\n\n{usage()}", file=sys.stderr)
        sys.exit(2)


def rounds(text):
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise argparse.ArgumentTypeError(f"{text} is no number of rounds: 1 to 99999")
    return int(text)


def regex(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text} is no regular expression: {error}")


def writable(text):
    if not os.access(text if os.path.exists(text) else os.path.dirname(text) or ".", os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write {text}")
    return text


def asked(arguments=None):
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--only", type=regex, default=re.compile(""))
    parser.add_argument("--rounds", type=rounds)
    parser.add_argument("--json", type=writable)
    parser.add_argument("--csv", type=writable)
    for flag in ("--quick", "--peers", "--compare", "--list"):
        parser.add_argument(flag, action="store_true")
    found = parser.parse_args(arguments)
    if found.compare and found.peers:
        parser.error("--peers is about the real programs, which --compare does not run: leave one of them out")
    # Go is a large package: only for who asks for its benches.
    found.go = found.compare or found.only.pattern.startswith("^go-")
    if found.compare:
        # The whole of it stays with the sources, for quoting; anything less with the build.
        whole = not (found.quick or found.only.pattern or found.rounds)
        name = os.path.join(FOLDER, "results") if whole else os.path.join(os.path.dirname(FOLDER), "build", "release")
        found.json = found.json or os.path.join(name, "compare.json")
        found.svg = os.path.splitext(found.json)[0] + ".svg"
    return found


if __name__ == "__main__":
    told = asked()
    print("compare" if told.compare else "go" if told.go else "")
