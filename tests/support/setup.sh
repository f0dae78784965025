# What tests/run and bench/run share: the Debian packages they need, and steps that are silent until they fail.
# Sourced by bash, from the root of the checkout.

packages_to_build=(g++ cmake ninja-build valgrind
    doctest-dev nlohmann-json3-dev libfmt-dev libbenchmark-dev libmimalloc-dev libjemalloc-dev)

# What the tests of the source tree ask; the formatter in this version, since others break lines elsewhere.
packages_to_check=(clang-format-14 clang-tidy cppcheck universal-ctags git)

# What tests/models/run verifies the models with.
packages_to_verify=(spin gcc)

# What builds for AArch64, and runs it.
packages_to_emulate=(g++-aarch64-linux-gnu qemu-user)

# What tests/run --coverage counts with.
packages_to_count=(gcovr)

# What the malloc shim's tests run under it.
packages_to_preload=(gcc binutils git perl python3 redis-server redis-tools sqlite3 tar xz-utils)

# What bench/run measures the malloc shim against, and with.
packages_to_compare=(libmimalloc2.0 libjemalloc2 libtcmalloc-minimal4 python3 redis-server redis-tools)

# What bench/run --compare measures object_pool against, and the pools.
packages_to_compare_go=(golang-go)
packages_to_compare_pools=(libboost-container-dev libtbb-dev)

# What bench/tide/plot draws with.
packages_to_draw=(gnuplot-nox)

# install_packages NAME...: installs those that are missing, through sudo where not root. Where that cannot be done it
# prints the command and ends the script.
install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian: taking it that these are here: $*"
        return
    fi
    local missing=() name
    for name in "$@"; do
        [[ $(dpkg-query --show --showformat="\${db:Status-Status}" "$name" 2>/dev/null) == installed ]] ||
            missing+=("$name")
    done
    ((${#missing[@]})) || return 0

    # The update, because a container's package lists are often empty or out of date.
    local install="apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}"
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    if ((EUID != 0)) && ! command -v sudo >/dev/null ||
        ! quietly "installing ${missing[*]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive bash -c "$install"; then
        printf 'packages are missing; to install them, run as root:\n    %s\n' "$install" >&2
        exit 1
    fi
}

# quietly WHAT COMMAND...: one line while it runs, its output only where it fails.
quietly() {
    local what=$1 log status=0
    shift
    echo "$what…"
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    ((status == 0)) || cat "$log" >&2
    rm -f "$log"
    return "$status"
}
