# What the scripts beside it share; sourced by bash.
#
# A script is a list of tests, each a function that says behind its brace what holds; CMake finds them by that. It is run
# as SCRIPT TEST with these in the environment: SHIM, the library; SOURCE, the checkout; BUILD, the build folder; CC, CXX.
# A test passes by exiting with 0 and is skipped by exiting with 77. It runs in an empty folder of its own.
set -uo pipefail
export LC_ALL=C
unset LD_PRELOAD "${!TIDEPOOL_@}"

fail() {
    printf 'not so: %s\n' "$*" >&2
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

# with_shim COMMAND...: by env, since a builtin of this shell would run without it.
with_shim() { env LD_PRELOAD="$SHIM" "$@"; }

run_test() {
    declare -F "$1" >/dev/null || fail "$1 is a test"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work" || exit
    export HOME=$work
    "$1"
}
