"""json_threads.py make FILE RECORDS: writes a document like the answer of some web service.
json_threads.py FILE THREADS TIMES: each thread parses the file and writes it out again, so many times; prints the
digest of what they wrote."""

import hashlib
import json
import random
import sys
import threading


def make(records):
    dice = random.Random(1)

    def word(letters_max):
        return "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(1, letters_max)))

    # Records with numbers, strings short and long, lists, and records within.
    return [
        {
            "id": number,
            "name": word(30),
            "text": word(2000),
            "tags": [word(12) for _ in range(dice.randrange(8))],
            "points": [dice.randrange(1000000) / 64 for _ in range(dice.randrange(40))],
            "owner": {"name": word(20), "age": dice.randrange(90), "of": None},
        }
        for number in range(records)
    ]


if sys.argv[1] == "make":
    with open(sys.argv[2], "w", encoding="ascii") as file:
        json.dump(make(int(sys.argv[3])), file, separators=(",", ":"))
    sys.exit()

with open(sys.argv[1], encoding="ascii") as file:
    text = file.read()
threads, times = int(sys.argv[2]), int(sys.argv[3])
digests = [""] * threads


def work(number):
    written = ""
    for _ in range(times):
        written = json.dumps(json.loads(text), sort_keys=True, indent=1)
    digests[number] = hashlib.sha256(written.encode()).hexdigest()


started = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
for each in started:
    each.start()
for each in started:
    each.join()
print(*digests)
