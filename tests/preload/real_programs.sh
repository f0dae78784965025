#!/usr/bin/env bash
# Programs that people use give the same results with libc's malloc and with the shim preloaded.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# compare BODY: runs the function twice, in a folder of the same name: once without the shim, and once with the shim in
# every program that it starts. Standard output and all files left there must be equal. Input lies in ../in.
compare() {
    local kind
    mkdir -p in
    for kind in plain shim; do
        mkdir here
        (
            cd here || exit
            [[ $kind == plain ]] || export LD_PRELOAD=$SHIM
            set -e
            "$1"
        ) >"$kind.out" 2>"$kind.err"
        local status=$?
        if ((status != 0)); then
            tail -n 30 "$kind.out" "$kind.err" >&2
            fail "$1 ends well, $kind; it ended with $status"
        fi
        mv here "$kind"
    done
    ! grep -E 'ld\.so|tidepool:' shim.err || fail "nothing is said of the shim"
    cmp plain.out shim.out || fail "$1 writes the same with the shim and without"
    diff -r plain shim || fail "$1 leaves the same files with the shim and without"
    [[ -s plain.out || -n $(ls -A plain) ]] || fail "$1 does something"
}

python_computes() { # python3 with threads, subprocesses and multiprocessing by fork
    [[ -x /usr/bin/python3 ]] || skip "/usr/bin/python3 is not installed"
    export PYTHONHASHSEED=0
    mkdir in && cat >in/work.py <<'END'
import hashlib, json, multiprocessing, subprocess, sys, threading

def table(seed):
    return {f"key {i * seed}": [i, str(i) * (i % 50), {"deep": list(range(i % 20))}] for i in range(4000)}

def digest(seed):
    text = json.dumps(table(seed))
    back = json.dumps(json.loads(text))
    assert back == text
    return hashlib.sha256(back.encode()).hexdigest()

if __name__ == "__main__":
    found = [None] * 6
    def work(i):
        for _ in range(3):
            found[i] = digest(i + 1)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for each in threads: each.start()
    for each in threads: each.join()
    print(found)
    for i in range(5):
        print(subprocess.run([sys.executable, "-c", f"print('x' * {i} * 100)"], capture_output=True, check=True).stdout)
    multiprocessing.set_start_method("fork")
    with multiprocessing.Pool(4) as pool:
        print(pool.map(digest, range(1, 9)))
    numbers = [float(i) for i in range(300_000)]
    numbers.sort(key=lambda x: (x * 7919) % 100_003)
    print(sum(numbers[::7]), len(bytearray(50_000_000)))
END
    body() {
        /usr/bin/python3 ../in/work.py
        PYTHONMALLOC=malloc /usr/bin/python3 ../in/work.py
    }
    compare body
}

perl_computes() { # perl with hashes, regular expressions, threads and forks
    needs perl
    export PERL_HASH_SEED=0
    mkdir in && cat >in/work.pl <<'END'
use strict; use warnings;
sub work {
    my ($seed) = @_;
    my %words;
    my $text = join ' ', map { ($_ * $seed) % 9973 . 'w' x ($_ % 30) } 1 .. 40_000;
    $words{$1}++ while $text =~ /(\d+w*)/g;
    my @top = (sort { $words{$b} <=> $words{$a} || $a cmp $b } keys %words)[0 .. 9];
    return join ',', map { "$_=$words{$_}" } @top;
}
print work(3), "\n";
for my $child (1 .. 4) {
    pipe(my $in, my $out) or die;
    my $pid = fork // die;
    if (!$pid) { close $in; print $out work($child); close $out; exit 0; }
    close $out;
    print <$in>, "\n";
    waitpid $pid, 0;
    die "child: $?" if $?;
}
if (eval { require threads }) {
    my @threads = map { my $seed = $_; threads->create(sub { work($seed) }) } 5 .. 8;
    print $_->join, "\n" for @threads;
}
END
    body() { perl ../in/work.pl; }
    compare body
}

git_clones_and_collects() { # git clones this repository and collects its garbage
    needs git
    local repository=$SOURCE
    if ! git -c safe.directory='*' -C "$SOURCE" rev-parse --git-dir >/dev/null 2>&1; then
        repository=$work/repository  # a checkout without its history: make one
        git init --quiet "$repository"
        cp -r "$SOURCE"/{src,include,tests,CMakeLists.txt} "$repository"
        git -C "$repository" add . &&
            git -C "$repository" -c user.name=a -c user.email=a@localhost commit --quiet --message=all
    fi
    body() {
        git -c safe.directory='*' clone --quiet --no-local --bare "$repository" clone
        cd clone
        git gc --quiet --aggressive --prune=now
        git fsck --full --strict
        git rev-list --objects --all | sort
        git log --all --stat --patch --find-copies-harder | sha256sum
        git archive HEAD | sha256sum
        cd .. && rm -rf clone  # packs differ from run to run, since two threads make them
    }
    compare body
}

sqlite_queries() { # sqlite3 builds, indexes, queries and dumps a database
    needs sqlite3
    body() {
        sqlite3 data.db <<'END'
create table t(id integer primary key, name text, value real, data blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into t select i, printf('name %d', i * 7919 % 10007), i / 7.0, zeroblob(i % 300) from n;
create index by_name on t(name, value);
update t set name = name || ' changed' where id % 3 = 0;
delete from t where id % 11 = 0;
select name, count(*), sum(value), total(length(data)) from t group by name order by 2 desc, 1 limit 20;
select count(*) from t a join t b on a.name = b.name where a.id < 3000;
select group_concat(name) from (select name from t order by value desc limit 2000);
pragma integrity_check;
vacuum;
END
        sqlite3 data.db .dump | sha256sum
    }
    compare body
}

# Writes the same text of some megabytes each time.
text() {
    seq 1 400000
    cat "$SOURCE"/src/*.cpp "$SOURCE"/tests/*/*.cpp
    awk 'BEGIN { x = 1; for (i = 0; i < 300000; ++i) { x = (x * 16807) % 2147483647; print x, i % 100 } }'
}

xz_compresses() { # xz compresses and decompresses with two threads
    needs xz
    mkdir in && text >in/text
    body() {
        xz -T2 -3 --block-size=1MiB --keep --stdout ../in/text >text.xz
        xz -T2 --decompress --keep text.xz
        cmp text ../in/text
    }
    compare body
}

sort_sorts_in_parallel() { # sort --parallel sorts
    mkdir in && text >in/text
    body() {
        sort --parallel=2 --buffer-size=4M ../in/text >by_bytes
        sort --parallel=2 --numeric-sort --key=2 ../in/text >by_number
        sort --parallel=2 --unique --reverse ../in/text | sha256sum
    }
    compare body
}

tar_packs() { # tar packs this project through gzip and unpacks it
    body() {
        tar --create --gzip --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --file=all.tar.gz \
            -C "$SOURCE" src include tests bench
        tar --list --verbose --file=all.tar.gz
        tar --extract --file=all.tar.gz
        diff -r src "$SOURCE/src"
    }
    compare body
}

c_compiler_compiles() { # the C compiler makes the same objects and a working program
    body() {
        local source
        for source in "$SOURCE"/tests/preload/programs/*.c; do
            "$CC" -O2 -g -Wall -c "$source"
        done
        "$CC" plain_c.o -o plain_c -pthread
        ./plain_c
    }
    compare body
}

cxx_compiler_compiles() { # the C++ compiler makes the same objects of this project
    body() {
        local source
        for source in src/source/spans.cpp src/faces/stats.cpp adapters/preload/run.cpp; do
            "$CXX" -std=c++20 -O2 -g -I "$SOURCE/include" -I "$SOURCE/src" -DTIDEPOOL_VERSION='""' \
                -DTIDEPOOL_LIBRARY_FOLDER='""' -DTIDEPOOL_LIBRARY_FROM_HERE='""' -c "$SOURCE/$source"
        done
        ar rcD some.a ./*.o
        "$CXX" run.o -o run
        ./run --help
    }
    compare body
}

cmake_configures() { # cmake configures and builds a small project
    needs ninja
    mkdir in && cat >in/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES C VERSION 1.2.3)
include(CheckFunctionExists)
check_function_exists(reallocarray HAVE_REALLOCARRAY)
find_package(Threads REQUIRED)
foreach(i RANGE 200)
    string(SHA256 digest "${i}${digests}")
    list(APPEND digests ${digest})
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/digests "${digests}")
add_executable(small main.c)
target_link_libraries(small PRIVATE Threads::Threads)
END
    echo '#include <stdio.h>
int main(void) { return puts("small") < 0; }' >in/main.c
    body() {
        cmake -S ../in -B build -G Ninja -DCMAKE_C_COMPILER="$CC" -DCMAKE_BUILD_TYPE=Release >log
        ninja -C build >>log
        ./build/small
        mv build/{CMakeCache.txt,build.ninja,digests} .
        rm -r build log
    }
    compare body
}

redis_serves() { # redis-server with data of its own, a saved copy, and redis-benchmark
    needs redis-server redis-cli redis-benchmark
    body() {
        local port server=
        # A port in use ends the server at once; then another port is tried.
        for _ in {1..20}; do
            port=$((20000 + RANDOM % 12000))
            timeout 100 redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$PWD" --enable-debug-command yes \
                --daemonize no >../server.log 2>&1 &
            server=$!
            until redis-cli -p "$port" info server 2>/dev/null | grep -q "process_id"; do
                kill -0 "$server" 2>/dev/null || break
                sleep 0.1
            done
            # Our server answers, and not the one that had the port.
            kill -0 "$server" 2>/dev/null && redis-cli -p "$port" config get dir | grep -qxF "$PWD" && break
            server=
        done
        [[ $server ]]
        trap 'kill "$server" 2>/dev/null' EXIT
        awk 'BEGIN { for (i = 0; i < 20000; ++i) {
            printf "SET key:%d %0" (i % 400 + 1) "d\r\n", i % 7000, i
            printf "RPUSH list:%d %d\r\nHSET hash:%d f%d %d\r\nZADD z:%d %d m%d\r\n", i % 50, i, i % 90, i, i * 3, i % 9, i, i
            if (i % 5 == 0) printf "DEL key:%d\r\n", i % 3000
            if (i % 3 == 0) printf "APPEND key:%d abc\r\n", i % 7000 } }' | redis-cli -p "$port" --pipe >../pipe.log
        redis-cli -p "$port" dbsize
        redis-cli -p "$port" debug digest
        redis-cli -p "$port" bgsave
        until redis-cli -p "$port" info persistence | grep -q '^rdb_bgsave_in_progress:0'; do sleep 0.1; done
        redis-cli -p "$port" info persistence | grep '^rdb_last_bgsave_status'
        redis-cli -p "$port" debug reload
        redis-cli -p "$port" debug digest
        redis-cli -p "$port" memory purge
        redis-benchmark -p "$port" -q -n 4000 -c 16 -P 4 -r 1000 -t set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset |
            tr '\r' '\n' | sed -n 's/: [0-9.]* requests per second.*//p' | sort -u
        redis-cli -p "$port" shutdown nosave
        trap - EXIT
        wait "$server"
        rm -f dump.rdb  # has the time in it
    }
    compare body
}

node_computes() { # node with workers, if it is installed
    needs node
    mkdir in && cat >in/work.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib');
function work(seed) {
    const rows = Array.from({ length: 20000 }, (_, i) => ({ i, text: 'x'.repeat((i * seed) % 60), list: [i, i + 1] }));
    const text = JSON.stringify(rows);
    const packed = zlib.deflateSync(text);
    if (zlib.inflateSync(packed).toString() !== text) throw new Error('zlib');
    return crypto.createHash('sha256').update(JSON.stringify(JSON.parse(text))).digest('hex');
}
if (!isMainThread) parentPort.postMessage(work(workerData));
else {
    console.log(work(1));
    const all = [2, 3, 4, 5].map(seed => new Promise((good, bad) => {
        const worker = new Worker(__filename, { workerData: seed });
        worker.on('message', good); worker.on('error', bad);
    }));
    Promise.all(all).then(found => console.log(found.join('\n')));
    const buffers = [];
    for (let i = 0; i < 2000; ++i) buffers.push(Buffer.alloc(i * 17, i));
    console.log(Buffer.concat(buffers).length);
}
END
    body() { node ../in/work.js | sort; }
    compare body
}

shell_and_tools_work() { # the shell and the small tools
    body() {
        bash -c 'for i in {1..30}; do echo "$(printf "%0*d" $((i * 50)) $i | tr 0 x | head -c 60)" | sed s/x/y/g; done'
        find "$SOURCE/src" -type f -name '*.hpp' -exec wc -l {} + | sort | awk '{ n += $1 } END { print n }'
        grep -rhc include "$SOURCE/src" | sort | uniq -c
        { diff <(seq 1 20000) <(seq 1 3 20000) || true; } | sha256sum
    }
    compare body
}

libcxx_hears_its_handler() { # both kinds of new call the new-handler of libc++, and its bad_alloc is thrown
    needs clang++
    clang++ -stdlib=libc++ -xc++ -include new -fsyntax-only - </dev/null 2>/dev/null || skip "libc++ is not installed"
    cat >here.cpp <<'END'
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <new>
int main() {
    static int calls = 0;
    volatile std::size_t bytes = PTRDIFF_MAX;
    for (const bool throwing : {true, false}) {
        calls = 0;
        std::set_new_handler([] { if (++calls == 3) std::set_new_handler(nullptr); });
        bool thrown = false;
        void* p = &p;
        try {
            p = throwing ? ::operator new(bytes) : ::operator new(bytes, std::nothrow);
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
        std::printf("%d calls, thrown: %d, null: %d\n", calls, thrown, !p);
    }
}
END
    clang++ -std=c++17 -stdlib=libc++ here.cpp -o here_libcxx || fail "it compiles"
    body() { ../here_libcxx; }
    compare body
}

run_test "$@"
