"""json_threads.py FILE THREADS TIMES: each thread parses the file and writes it out again, so many times; prints the
digest of what they wrote."""

import hashlib
import json
import sys
import threading

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
