#!/usr/bin/env bash
# tidepool-run: what it passes on, what it finds, and its messages if it cannot help.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
run=$BIN/tidepool-run

# says STATUS PATTERN COMMAND...: the command exits with the status, writes one line to stderr that matches the pattern,
# and writes nothing else.
says() {
    local wanted=$1 pattern=$2 status=0
    shift 2
    "$@" >out 2>err </dev/null || status=$?
    ((status == wanted)) || fail "$* ends with $wanted; it ended with $status, saying: $(cat err)"
    [[ ! -s out ]] || fail "$* writes nothing to stdout; it wrote: $(cat out)"
    [[ $(wc -l <err) == 1 ]] || fail "$* says one line; it said: $(cat err)"
    grep -qE -- "$pattern" err || fail "$* says $pattern; it said: $(cat err)"
}

# is TEXT COMMAND...: the command writes the text and exits with 0.
is() {
    local wanted=$1 got status=0
    shift
    got=$("$@" 2>&1) || status=$?
    ((status == 0)) || fail "$* ends well; it ended with $status, saying: $got"
    [[ $got == "$wanted" ]] || fail "$* writes '$wanted'; it wrote '$got'"
}

# program FILE: makes a program that exits with 0.
program() {
    echo 'int main(void) { return 0; }' >program.c
    "$CC" program.c -o "$@" || skip "the compiler does not make this kind of program here"
}

the_library_is_in_the_program() { # the shim is loaded into the program and its children
    "$run" grep -q libtidepool_malloc /proc/self/maps || fail "the library is in the program"
    "$run" sh -c 'grep -q libtidepool_malloc /proc/self/maps; exit $?' || fail "the library is in the program's child"
}

exit_status_is_passed_on() { # the launcher exits with the program's exit status
    local status
    for status in 0 1 2 42 126 127 255; do
        "$run" sh -c "exit $status"
        [[ $? == "$status" ]] || fail "exit status $status is passed on"
    done
}

signals_are_passed_on() { # signals reach the program, and its death by a signal is visible
    "$run" sh -c 'kill -USR1 $$' 2>/dev/null
    [[ $? == $((128 + $(kill -l USR1))) ]] || fail "the end by a signal is seen"
    "$run" sh -c 'trap "echo got it; exit 7" TERM; echo ready; while :; do sleep 0.05; done' >out &
    local launched=$!
    until grep -q ready out; do kill -0 "$launched" || fail "the program runs"; sleep 0.05; done
    kill -TERM "$launched"
    wait "$launched"
    [[ $? == 7 ]] && grep -q "got it" out || fail "a signal to the launcher is the program's"
}

arguments_are_passed_on() { # arguments and standard input reach the program unchanged
    is '<a b><><*><-x><--><--stats><$HOME>' "$run" printf '<%s>' 'a b' '' '*' -x -- --stats '$HOME'
    is '<-->' "$run" -- printf '<%s>' --
    is 'in' "$run" cat <<<in
    mkdir 'a folder' && cp /usr/bin/printf 'a folder/a program'
    is 'x' "$run" './a folder/a program' x
    is "$(printf 'a\nb')" "$run" 'printf' 'a\nb'
}

options_end_at_two_dashes() { # the program follows --, whatever its name
    cp "$(type -P printf)" ./--stats
    is x env PATH=".:$PATH" "$run" --background -- --stats x
}

options_become_settings() { # options become the environment variables that the shim reads
    [[ $("$run" --stats printenv TIDEPOOL_STATS 2>/dev/null) == 1 ]] || fail "--stats is TIDEPOOL_STATS=1"
    is "5 1" "$run" --decay 5 --background sh -c 'echo $TIDEPOOL_DECAY_MS $TIDEPOOL_BACKGROUND'
    is "0" "$run" --decay=0 sh -c 'echo $TIDEPOOL_DECAY_MS'
    is "$PWD/a.json" "$run" --stats=a.json printenv TIDEPOOL_STATS
    is "" "$run" sh -c 'echo $TIDEPOOL_STATS $TIDEPOOL_DECAY_MS $TIDEPOOL_BACKGROUND'
    is "decay_ms=7" env TIDEPOOL_OPTIONS=decay_ms=7 "$run" printenv TIDEPOOL_OPTIONS
}

hardened_is_a_library() { # --hardened loads the hardened shim, which names a misuse and ends the program
    is "$(dirname "$SHIM")/libtidepool_malloc_hardened.so" "$run" --hardened printenv LD_PRELOAD
    says 2 'hardened.*over libc' "$run" --hardened --upstream pages true
    cat >twice.c <<'END'
#include <stdlib.h>
int main(void) { void *volatile p = malloc(64), *volatile q = malloc(64); free(p); free(q); free(p); return 0; }
END
    "$CC" -w -fno-builtin twice.c -o twice || skip "there is no C compiler"
    ulimit -c 0
    says 134 'tidepool: double free of 0x[0-9a-f]+: size class [0-9]+ \([0-9]+ B\), freed last by thread [0-9]+$' \
        "$run" --hardened ./twice
}

an_upstream_is_a_library() { # --upstream chooses the library, and a missing one is reported
    is "$SHIM" "$run" --upstream libc printenv LD_PRELOAD
    local name library
    for name in pages mimalloc jemalloc; do
        library=${SHIM%.so}_$name.so
        if [[ -e $library ]]; then
            is "$library" "$run" --upstream "$name" printenv LD_PRELOAD
            "$run" --upstream="$name" python3 -c 'print(len([bytes(100000) for i in range(1000)]))' >out ||
                fail "a program runs over $name"
        else
            says 126 "libtidepool_malloc_$name.so is in none of" "$run" --upstream "$name" true
        fi
    done
}

preloaded_libraries_are_kept() { # an existing LD_PRELOAD is kept, behind the shim
    local other=$LIB/tidepool-preload-early_library.so
    is "$SHIM:$other" env LD_PRELOAD="$other" "$run" printenv LD_PRELOAD
    is "$SHIM" env LD_PRELOAD= "$run" printenv LD_PRELOAD
    LD_PRELOAD=$other "$run" "$BIN/tidepool-preload-early" || fail "both libraries are in the program"
}

stats_are_written() { # --stats prints to stderr, and --stats=FILE writes JSON relative to the caller
    "$run" --stats perl -e 'exit 3' >out 2>err
    [[ $? == 3 ]] || fail "the exit status is passed on with --stats"
    [[ ! -s out ]] || fail "statistics are not written to stdout"
    grep -qE '^refills +[0-9]+ +calls' err || fail "statistics are lines of name, value, unit and meaning: $(cat err)"
    mkdir elsewhere
    "$run" --stats=stats.json python3 -c 'import os; os.chdir("elsewhere"); x = [bytes(i % 2000 + 600) for i in range(50000)]' ||
        fail "the program runs with --stats=FILE"
    python3 - <<'END' || fail "the statistics are JSON with the names of the counters"
import json
found = json.load(open("stats.json"))
assert found["refilled_blocks"] > 0 and found["upstream_bytes_peak"] > 0 and "bytes_in_use" in found, found
END
    "$run" --stats=one-%p.json true && ls one-*.json | grep -qE '^one-[0-9]+\.json$' || fail "%p is the process id"
}

bad_command_lines() { # a bad command line gives one clear line and status 2
    says 2 'which program' "$run"
    says 2 'which program' "$run" --background --
    says 2 'unknown option --fast' "$run" --fast true
    says 2 'unknown option -x' "$run" -x true
    says 2 'unknown option --background=1' "$run" --background=1 true
    says 2 '\.json' "$run" --stats=file.txt true
    says 2 '\.json' "$run" --stats= true
    says 2 '\.json' "$run" --stats=.json true
    says 2 '--decay needs a value' "$run" --decay
    local wrong
    for wrong in abc '' -1 1.5 86400001 99999999999999999999 '5 '; do
        says 2 '--decay .*: allowed is 0 to 86400000' "$run" --decay "$wrong" true
    done
    says 2 'magic.*there are libc' "$run" --upstream=magic true
}

help_and_version() { # --help and --version print and exit with 0
    "$run" --help | grep -q -- --background || fail "--help tells of the options"
    "$run" --version | grep -qE '^tidepool-run [0-9]+\.[0-9]+\.[0-9]+$' || fail "--version tells the version"
    is "--help" "$run" printf '%s' --help
}

missing_programs() { # a missing program gives status 127, as in a shell
    says 127 'no-such-program' "$run" no-such-program
    says 127 '\./no-such-program' "$run" ./no-such-program
    says 127 'no-such-folder' "$run" no-such-folder/program
    says 127 ': no such program' "$run" ''
    says 127 'true: no such program' env PATH=/nowhere "$run" true
}

programs_that_cannot_be_run() { # a file that cannot be executed gives status 126, as in a shell
    echo text >text
    says 126 'text is not executable' "$run" ./text
    says 126 'is not a program' "$run" /
    says 126 'text is not executable' env PATH="$PWD" "$run" text
    echo text >true
    is "" env PATH="$PWD:$PATH" "$run" true
    printf '#!/no/such/interpreter\n' >script && chmod +x script
    says 126 'script.*/no/such/interpreter' "$run" ./script
}

scripts_are_followed() { # scripts are run by the interpreter that their first line names
    printf '#!/bin/sh -e\ngrep -q libtidepool_malloc /proc/$$/maps && echo in "$@"\n' >script
    printf '#! /usr/bin/env sh\ngrep -q libtidepool_malloc /proc/$$/maps && echo in "$@"\n' >by_env
    printf 'grep -q libtidepool_malloc /proc/$$/maps && echo in "$@"\n' >bare
    printf '#!%s/script\n' "$PWD" >of_script
    chmod +x script by_env bare of_script
    is "in a b" "$run" ./script a b
    is "in a b" "$run" ./by_env a b
    is "in a b" "$run" ./bare a b
    is "in ./of_script a" "$run" ./of_script a
    printf '#!%s/loop\n' "$PWD" >loop && chmod +x loop
    says 126 'loop is a script' "$run" ./loop
}

static_programs() { # a static program is reported, and so is a script for one
    program static -static
    says 126 'static is statically linked' "$run" ./static
    printf '#!%s/static\n' "$PWD" >script && chmod +x script
    says 126 'script is a script.*statically linked' "$run" ./script
    program static_pie -static-pie
    says 126 'static_pie is statically linked' "$run" ./static_pie
}

programs_for_other_machines() { # a program for another kind of machine is reported
    program native
    is "" "$run" ./native
    # The ELF header says 32 bits, the other byte order, or another machine.
    cp native narrow && printf '\001' | dd of=narrow bs=1 seek=4 conv=notrunc 2>/dev/null
    cp native turned && printf '\002' | dd of=turned bs=1 seek=5 conv=notrunc 2>/dev/null
    cp native alien && printf '\377\017' | dd of=alien bs=1 seek=18 conv=notrunc 2>/dev/null
    local each
    for each in narrow turned alien; do
        says 126 "$each is made for another kind of machine" "$run" "./$each"
    done
    printf '\177ELF' >stump && chmod +x stump
    says 126 "stump is made for another kind of machine" "$run" ./stump
}

programs_with_more_rights() { # a set-user-id, set-group-id or capable program is reported
    program capable
    chmod 755 capable .
    if ((EUID == 0)); then
        cp capable of_group && cp capable of_user && cp capable of_root
        chown 65534 of_user && chmod u+s of_user || skip "files cannot be given away here"
        chgrp 65534 of_group && chmod g+s of_group
        chmod u+s of_root
        says 126 'of_user is set-user-id' "$run" ./of_user
        says 126 'of_group is set-user-id, set-group-id' "$run" ./of_group
        is "" "$run" ./of_root  # root gains nothing by it
        command -v setpriv >/dev/null && [[ -x /sbin/setcap ]] || return 0
        /sbin/setcap cap_net_raw+ep capable 2>/dev/null || return 0
        is "" "$run" ./capable
        # As another user, with copies that this user can reach.
        cp "$run" "$SHIM" . && chmod 755 tidepool-run libtidepool_malloc.so
        setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$PWD/tidepool-run" || return 0
        local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups ./tidepool-run)
        says 126 'capable is .* has capabilities' "${as_nobody[@]}" ./capable
        says 126 'of_root is set-user-id' "${as_nobody[@]}" ./of_root
        is "" "${as_nobody[@]}" true
        return
    fi
    local found each
    for each in /usr/bin/su /bin/su /usr/bin/passwd /bin/mount /usr/bin/sudo; do
        [[ -u $each ]] && found=$each
    done
    [[ ${found-} ]] || skip "there is no set-user-id program"
    says 126 'set-user-id' "$run" "$found"
}

the_library_is_found() { # the library is found beside the launcher and in ../lib, also through a link
    mkdir -p bin lib
    cp "$run" bin
    cp "$SHIM" lib
    is "$PWD/lib/libtidepool_malloc.so" bin/tidepool-run printenv LD_PRELOAD
    cp "$SHIM" bin
    is "$PWD/bin/libtidepool_malloc.so" bin/tidepool-run printenv LD_PRELOAD
    ln -s bin/tidepool-run link
    is "$PWD/bin/libtidepool_malloc.so" ./link printenv LD_PRELOAD
    mkdir -p 'with space' && cp "$run" "$SHIM" 'with space'
    says 126 'with a space' 'with space/tidepool-run' true
    rm bin/libtidepool_malloc.so lib/libtidepool_malloc.so
    "$PWD/bin/tidepool-run" true 2>err && return  # an installed one
    grep -qF "$PWD/bin, $PWD/bin/../lib" err || fail "it says where the library is not: $(cat err)"
}

an_installed_copy_works() { # an installed copy works, also after it was moved
    "$CMAKE" --install "$BUILD" --config "$CONFIG" --prefix "$PWD/one" >log 2>&1 || fail "it installs: $(tail -n 5 log)"
    is "$PWD/one/lib/libtidepool_malloc.so" one/bin/tidepool-run printenv LD_PRELOAD
    mv one other
    is "$PWD/other/lib/libtidepool_malloc.so" other/bin/tidepool-run printenv LD_PRELOAD
    other/bin/tidepool-run grep -q libtidepool_malloc /proc/self/maps || fail "the library is in the program"
}

run_test "$@"
