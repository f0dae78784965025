# What the scripts in this folder share; sourced by bash.
#
# A script is a list of tests. Each is a function with a comment behind its opening brace that says what is tested, by
# which CMake finds the tests. A script is run as SCRIPT TEST with these variables in the environment: SHIM (library),
# SOURCE (checkout), BUILD (build folder), CONFIG (its build type), BIN and LIB (where its programs and libraries are), CC,
# CXX (compilers) and CMAKE. A test passes if it exits with 0, and is
# skipped if it exits with 77. It runs in an empty folder of its own.
set -uo pipefail
export LC_ALL=C
unset LD_PRELOAD "${!TIDEPOOL_@}"

fail() {
    printf 'check failed: %s\n' "$*" >&2
    exit 1
}
skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}
needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

# with_shim COMMAND...: runs the command with the shim, by env, since a builtin of this shell would run without it.
with_shim() { env LD_PRELOAD="$SHIM" "$@"; }

run_test() {
    declare -F "$1" >/dev/null || fail "$1 is a test"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work" || exit
    export HOME=$work
    "$1"
}
