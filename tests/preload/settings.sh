#!/usr/bin/env bash
# The settings of the shim in the environment, and its messages about them.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# warns VARIABLE VALUE PATTERN: with this setting, a program writes one line that matches the pattern, and runs on.
warns() {
    local variable=$1 value=$2 pattern=$3 out
    out=$(env "$variable=$value" LD_PRELOAD="$SHIM" printf 'goes on' 2>err) || fail "the program ends well"
    [[ $out == "goes on" ]] || fail "the program goes on with $variable=$value"
    [[ $(wc -l <err) == 1 ]] || fail "$variable=$value costs one line; it said: $(cat err)"
    grep -qE -- "^tidepool: $pattern" err || fail "$variable=$value: says 'tidepool: $pattern'; it said: $(cat err)"
}

# accepts SETTING...: with these settings nothing is written to stderr.
accepts() {
    env "$@" LD_PRELOAD="$SHIM" true 2>err || fail "the program ends well with $*"
    [[ ! -s err ]] || fail "$* is accepted; it said: $(cat err)"
}

right_values_are_accepted() { # allowed values are accepted without a message
    accepts TIDEPOOL_DECAY_MS=0
    accepts TIDEPOOL_DECAY_MS=86400000
    accepts TIDEPOOL_LOCAL_BYTES=0
    accepts TIDEPOOL_LOCAL_BYTES=100000000
    accepts TIDEPOOL_IGNORE_SIZE=1 TIDEPOOL_BACKGROUND=1 TIDEPOOL_STATS=0
    accepts TIDEPOOL_IGNORE_SIZE=0 TIDEPOOL_BACKGROUND=0
    accepts TIDEPOOL_OPTIONS=decay_ms=10,local_bytes=65536,ignore_size=1,background=1,stats=0
    accepts TIDEPOOL_OPTIONS=
    accepts TIDEPOOL_OPTIONS=decay_ms=5 TIDEPOOL_DECAY_MS=10
}

wrong_values_cost_a_line() { # a wrong value is reported once, with the allowed values and the default
    warns TIDEPOOL_DECAY_MS abc 'TIDEPOOL_DECAY_MS=abc: allowed is 0 to 86400000; using 1000$'
    warns TIDEPOOL_DECAY_MS -1 'TIDEPOOL_DECAY_MS=-1: '
    warns TIDEPOOL_DECAY_MS 86400001 'TIDEPOOL_DECAY_MS=86400001: '
    warns TIDEPOOL_DECAY_MS 99999999999999999999999 'TIDEPOOL_DECAY_MS=99999999999999999999999: '
    warns TIDEPOOL_DECAY_MS 10ms 'TIDEPOOL_DECAY_MS=10ms: '
    warns TIDEPOOL_DECAY_MS '' 'TIDEPOOL_DECAY_MS=: '
    warns TIDEPOOL_LOCAL_BYTES -5 'TIDEPOOL_LOCAL_BYTES=-5: '
    warns TIDEPOOL_LOCAL_BYTES 1k 'TIDEPOOL_LOCAL_BYTES=1k: '
    warns TIDEPOOL_IGNORE_SIZE 2 'TIDEPOOL_IGNORE_SIZE=2: .*using 0'
    warns TIDEPOOL_IGNORE_SIZE yes 'TIDEPOOL_IGNORE_SIZE=yes: .*using 0'
    warns TIDEPOOL_BACKGROUND on 'TIDEPOOL_BACKGROUND=on: .*using 0'
    warns TIDEPOOL_STATS 2 'TIDEPOOL_STATS=2: '
    warns TIDEPOOL_STATS file.txt 'TIDEPOOL_STATS=file\.txt: '
    # Once, control characters were written as they are: the line ended in the midst.
    warns TIDEPOOL_DECAY_MS $'1\n2\e[7m' 'TIDEPOOL_DECAY_MS=1\?2\?\[7m: allowed is 0 to 86400000; using 1000$'
}

wrong_options_cost_a_line() { # the same in TIDEPOOL_OPTIONS, where right options still take effect
    warns TIDEPOOL_OPTIONS decay_ms=abc '.*decay_ms=abc.*using 1000'
    warns TIDEPOOL_OPTIONS no_such_name=1 '.*no_such_name'
    warns TIDEPOOL_OPTIONS decay_ms '.*decay_ms'
    warns TIDEPOOL_OPTIONS background=1,colour=blue,ignore_size=1 '.*colour'
}

wrong_names_cost_a_line() { # an unknown variable that begins with TIDEPOOL_ is reported
    warns TIDEPOOL_DECAY 5 'TIDEPOOL_DECAY'
    warns TIDEPOOL_NO_SUCH_NAME 1 'TIDEPOOL_NO_SUCH_NAME'
}

stats_at_exit() { # TIDEPOOL_STATS prints lines or writes JSON, for each process with %p
    TIDEPOOL_STATS=1 with_shim true 2>err || fail "the program ends well"
    grep -qE '^refills +[0-9]+ +calls +[a-z]' err || fail "statistics are lines of name, value, unit, meaning: $(cat err)"
    TIDEPOOL_STATS=$PWD/%p.json with_shim perl -e 'system("ls / >/dev/null"); exit 4'
    [[ $? == 4 ]] || fail "the exit status is the program's"
    [[ $(ls ./*.json | wc -l) == 2 ]] || fail "the program and its child each write a file: $(ls)"
    python3 - <<'END' || fail "the files are JSON with the names of the counters"
import glob, json
for name in glob.glob("*.json"):
    found = json.load(open(name))
    assert found["refilled_blocks"] > 0 and "bytes_in_use" in found, found
END
    TIDEPOOL_STATS=$PWD/no/such/folder/file.json with_shim true 2>err || fail "the program ends well"
    [[ $(wc -l <err) -le 1 ]] || fail "a file that cannot be written costs a line at most: $(cat err)"
}

# secure_program FOLDER: makes FOLDER/program, which is set-user-id and another user's, and says whether it takes effect. The
# loader ignores LD_PRELOAD there, so the program is linked to the shim, and to a copy beside it: its user need not be able to
# read the checkout.
secure_program() {
    local folder=$1
    chmod 777 "$folder" && cp "$SHIM" "$folder" && chmod 755 "$folder/${SHIM##*/}" || return
    "$CXX" -std=c++20 -fno-builtin -I "$SOURCE/include" -I "$SOURCE/tests/support" "$SOURCE/tests/preload/programs/linked.cpp" \
        -o "$folder/program" "$folder/${SHIM##*/}" -Wl,-rpath,"$folder" || fail "a program is linked to a copy of the shim"
    chown 65534:65534 "$folder/program" && chmod 6755 "$folder/program" || return
    [[ $("$folder/program" 2>err) == secure ]]
}

set_user_id_programs() { # a set-user-id program writes no file, whatever its caller sets
    ((EUID == 0)) || skip "only root can make a program another user's"
    chmod 755 .
    # Temporary files may lie where set-user-id has no effect, or where nobody else gets to.
    local place open
    for place in "$PWD" /var/tmp /dev/shm /run /usr/local/lib; do
        open=$(mktemp -d "$place/open-XXXXXX") || continue
        # shellcheck disable=SC2064 # this folder, not the next
        trap "rm -rf '$work' '$open'" EXIT
        secure_program "$open" && break
        rm -rf "$open"
    done
    [[ -d $open ]] || skip "set-user-id has no effect here: $(head -n 1 err)"
    TIDEPOOL_STATS=$open/stats.json "$open/program" >/dev/null || fail "it ends well"
    [[ ! -e $open/stats.json ]] || fail "no file is written"
    chown 0:0 "$open/program" && chmod 755 "$open/program"
    TIDEPOOL_STATS=$open/stats.json "$open/program" && [[ -s $open/stats.json ]] || fail "otherwise it is"
}

run_test "$@"
