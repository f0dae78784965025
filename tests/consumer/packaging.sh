#!/usr/bin/env bash
# How the project is built where nobody says how: at the top, as a part of another project, and by README's words.
#
# Besides the variables of common.sh: GENERATOR, that of CMake, and PREFIX and COMPONENTS, an installed copy and what it has.
source "$(dirname "${BASH_SOURCE[0]}")/../preload/common.sh"
unset CFLAGS CXXFLAGS LDFLAGS CMAKE_BUILD_TYPE DESTDIR
export CMAKE_GENERATOR=$GENERATOR CMAKE_EXPORT_COMPILE_COMMANDS=ON CMAKE_BUILD_PARALLEL_LEVEL=2

# configure FOLDER [ARGUMENT]...: the project in the working folder; what was said is in FOLDER.log.
configure() {
    local folder=$1
    shift
    "$CMAKE" -S . -B "$folder" "$@" >"$folder.log" 2>&1 || fail "configuring with $*: $(cat "$folder.log")"
}
# said FOLDER TEXT: whether configuring FOLDER said so.
said() { grep -qF -- "$2" "$1.log" || fail "configuring $1 says '$2'; it said: $(cat "$1.log")"; }

# refused TEXT [ARGUMENT]...: configuring the checkout fails and says so.
refused() {
    local text=$1
    shift
    "$CMAKE" -S "$SOURCE" -B refused -DTIDEPOOL_TESTS=OFF -DTIDEPOOL_BENCH=OFF "$@" >refused.log 2>&1 &&
        fail "configuring with $* fails"
    [[ $(tr -s "[:space:]" " " <refused.log) == *"$text"* ]] || fail "$* is told '$text'; it was: $(cat refused.log)"
    [[ $(grep -c 'CMake Error' refused.log) == 1 ]] || fail "$* is told one thing; it was: $(cat refused.log)"
    rm -rf refused
}

# header_refused FLAGS HEADER...: each alone is refused by our own error before any other.
header_refused() {
    local flags=$1 header
    shift
    for header in "$@"; do
        # shellcheck disable=SC2086
        "$CXX" $flags -fsyntax-only -I "$SOURCE/include" -x c++ "$header" 2>err && fail "$flags is refused"
        grep -m 1 'error:' err | grep -qF '"Tidepool needs a 64-bit target, C++20 and <memory_resource>' ||
            fail "$flags: the first error of $header is ours: $(head -n 3 err)"
    done
}

# no_packages: from here on CMake finds a compiler and nothing else.
no_packages() {
    mkdir empty
    cat >compiler_only.cmake <<'END'
set(CMAKE_FIND_ROOT_PATH ${CMAKE_CURRENT_LIST_DIR}/empty)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
    export CMAKE_TOOLCHAIN_FILE=$PWD/compiler_only.cmake
}

# a_parent: a project that takes ours in, in the working folder.
a_parent() {
    ln -s "$SOURCE" tidepool
    echo 'int main() {}' >app.cpp
    cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(parent LANGUAGES CXX)
enable_testing()
add_executable(app app.cpp)
add_subdirectory(tidepool)
target_link_libraries(app PRIVATE tidepool::tidepool)
END
}

# commands FOLDER: how each file is compiled, one a line; ours and theirs those of the library, and the parent's own.
commands() { sed -n 's/^ *"command": "\(.*\)",\{0,1\}$/\1/p' "$1/compile_commands.json"; }
ours() { commands "$1" | grep -v app.cpp; }
theirs() { commands "$1" | grep app.cpp; }

# blocks LANGUAGE: the code blocks of README in that language, as block_N.LANGUAGE.
blocks() {
    awk -v language="$1" '
        /^```/ { inside = !inside && $0 == "```" language; if (inside) ++n; next }
        inside { print >("block_" n "." language) }
        END { exit !n }' "$SOURCE/README.md" || fail "README has blocks of $1"
}

a_compiler_and_cmake_are_enough() { # README's first command builds and installs without any other package
    no_packages
    blocks sh
    mkdir checkout
    (cd "$SOURCE" && cp -R CMakeLists.txt README.md LICENSE src include adapters tests bench "$work/checkout") || exit
    cd checkout || exit
    # In the folder that README assumes, but not into this machine.
    DESTDIR=$work/root bash -e ../block_1.sh >../checkout.log 2>&1 || fail "README's command: $(cat ../checkout.log)"
    cd .. || exit
    said checkout "Release, since no build type was given"
    said checkout "built: malloc shim, tidepool-run"
    said checkout "not built: tests (needs doctest-dev)"
    said checkout "not built: benches (needs libbenchmark-dev libfmt-dev nlohmann-json3-dev)"
    said checkout "not built: tidepool::mimalloc (needs libmimalloc-dev)"
    said checkout "not built: tidepool::jemalloc (needs libjemalloc-dev)"
    root/usr/local/bin/tidepool-run grep -q libtidepool_malloc /proc/self/maps || fail "what was installed works"
    [[ -f root/usr/local/include/tidepool/tidepool.hpp ]] || fail "the headers are installed"
}

the_top_level_is_release_by_default() { # a build type that is given is kept, and none is Release
    no_packages
    cd "$SOURCE" || exit
    configure "$work/default"
    configure "$work/given" -DCMAKE_BUILD_TYPE=Debug
    cd "$work" || exit
    said default "Release, since no build type was given"
    said given "Tidepool 0.1.0: Debug"
    grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Release$' default/CMakeCache.txt || fail "the build type is in the cache"
    [[ $(commands default | grep -cv -- ' -O[23]') == 0 ]] || fail "all is optimized: $(commands default | head -n 1)"
    [[ $(commands given | grep -c -- ' -O') == 0 ]] || fail "nothing is optimized: $(commands given | head -n 1)"
}

a_part_is_the_library_alone() { # no shim, launcher, adapter, test or installed file; no flag or definition leaks
    a_parent
    configure build
    local sources
    sources=$(cd "$SOURCE" && find src adapters/libc adapters/pages adapters/pmr adapters/decorators -name '*.cpp' | wc -l)
    [[ $(ours build | wc -l) == "$sources" ]] || fail "$sources files are compiled: $(ours build)"
    ours build | grep -E 'tests/|bench/|adapters/(preload|mimalloc|jemalloc)' && fail "that is the library alone"
    ours build | grep -E -- ' -W' && fail "no warning is asked for that the parent has not asked for"
    theirs build | grep -E -- ' -[WDOf]' && fail "no flag and no definition leaks"
    [[ $("${CMAKE%cmake}ctest" --test-dir build -N) == *"Total Tests: 0"* ]] || fail "no test leaks"
    "$CMAKE" --install build --prefix "$PWD/root" >install.log 2>&1 || fail "installing: $(cat install.log)"
    [[ ! -e root ]] || fail "nothing is installed: $(find root)"
    configure asked -DTIDEPOOL_INSTALL=ON -DTIDEPOOL_MALLOC=ON
    grep -q 'tidepool/libtidepool' asked/tidepool/cmake_install.cmake || fail "TIDEPOOL_INSTALL installs the library"
    ours asked | grep adapters/preload/malloc.cpp >log || fail "TIDEPOOL_MALLOC builds the shim"
}

a_part_is_optimized() { # -O2 where the project does not say how to optimize, unless TIDEPOOL_DEBUG
    a_parent
    configure none
    configure debug -DCMAKE_BUILD_TYPE=Debug
    configure release -DCMAKE_BUILD_TYPE=Release
    configure asked -DCMAKE_BUILD_TYPE=Debug -DTIDEPOOL_DEBUG=ON
    said none "compiled with -O2, which a project without a build type lacks"
    said debug "compiled with -O2, which Debug lacks"
    said release "optimized as the project is"
    said asked "not optimized more than the project is, by TIDEPOOL_DEBUG"
    local folder
    for folder in none debug; do
        [[ $(ours $folder | grep -cv -- ' -O2 ') == 0 ]] || fail "all is optimized: $(ours $folder | grep -v -- ' -O2 ')"
        theirs $folder | grep -- ' -O' && fail "the parent's files are as the parent says"
    done
    ours release | grep -- ' -O2' && fail "a parent's -O3 is kept"
    ours asked | grep -- ' -O' && fail "TIDEPOOL_DEBUG leaves it at what the parent says"
    return 0
}

wrong_values_are_refused() { # an option with a wrong value ends the configure with what is allowed
    refused "TIDEPOOL_JEMALLOC=sharde is not one of: AUTO, ON, private, shared, OFF" -DTIDEPOOL_JEMALLOC=sharde
    refused "TIDEPOOL_MIMALLOC=maybe is not one of: AUTO, ON, OFF" -DTIDEPOOL_MIMALLOC=maybe
    refused "TIDEPOOL_HARDENED=of is not one of: ON, OFF" -DTIDEPOOL_HARDENED=of
    no_packages
    refused "TIDEPOOL_JEMALLOC=private: there is no static archive of jemalloc" -DTIDEPOOL_JEMALLOC=private
}

unfit_compilers_are_refused() { # 32 bits, old C++ and a library without <memory_resource> get one clear line
    # Without a 32-bit C library no program is linked.
    refused "Tidepool needs a 64-bit target; this one has 32 bits" \
        -DCMAKE_CXX_FLAGS=-m32 -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY
    refused "Tidepool needs C++20 and <memory_resource>: g++ 12, clang++ 14, libc++ 16 or later" \
        -DCMAKE_CXX_FLAGS=-nostdinc++
    # The headers say so themselves, and first.
    header_refused -std=c++17 "$SOURCE"/include/tidepool/*.hpp
    header_refused "-std=c++20 -m32" "$SOURCE/include/tidepool/detail/config.hpp"
}

readme_blocks_compile_and_run() { # each block of README in C++, CMake and sh
    blocks cmake
    blocks cpp
    blocks sh
    [[ $(grep -c '^```' "$SOURCE/README.md") == $((2 * $(grep -cxE '```(cmake|cpp|sh)' "$SOURCE/README.md"))) ]] ||
        fail "all blocks of README are in cmake, cpp or sh"
    local block name components=
    for block in block_*.cpp; do
        if grep -q mimalloc "$block"; then
            [[ " $COMPONENTS " == *" mimalloc "* ]] || skip "libmimalloc-dev is not installed"
            components=mimalloc
        fi
        name=${block%.cpp}
        { # What is not an #include is put into a function.
            grep '^#include' "$block"
            echo "void $name() {"
            grep -v '^#include' "$block"
            echo "}"
        } >"run_$block"
        echo "void $name();" >>declarations
        echo "    $name();" >>calls
    done
    { cat declarations; echo 'int main() {'; cat calls; echo '}'; } >main.cpp
    {
        echo 'cmake_minimum_required(VERSION 3.25)'
        echo 'project(app LANGUAGES CXX)'
        echo 'file(GLOB blocks run_*.cpp)'
        # shellcheck disable=SC2016
        echo 'add_executable(app main.cpp ${blocks})'
        cat block_1.cmake
        # As a comment of the block over mimalloc says.
        [[ ! $components ]] || echo 'find_package(tidepool COMPONENTS mimalloc)
            target_link_libraries(app PRIVATE tidepool::mimalloc)'
    } >CMakeLists.txt
    configure build -DCMAKE_PREFIX_PATH="$PREFIX"
    "$CMAKE" --build build >build.log 2>&1 || fail "building: $(cat build.log)"
    build/app || fail "the blocks run"
    # The first shell command is a test of its own.
    command -v python3 >/dev/null || skip "python3 is not installed"
    echo 'print("served")' >server.py
    PATH=$PREFIX/bin:$PATH bash -e block_2.sh >out 2>err || fail "the launcher's command: $(cat err)"
    [[ $(cat out) == served && -s err ]] || fail "the program runs, with statistics: $(cat out err)"
    [[ ! -e block_3.sh ]] || fail "every command is run here"
}

run_test "$1"
