# Builds for AArch64 with Debian's cross compiler, and runs the tests in QEMU's user mode: `tests/run aarch64`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
find_program(qemu_aarch64 qemu-aarch64 REQUIRED)
# Where the loader and the libraries of the other machine are.
set(CMAKE_CROSSCOMPILING_EMULATOR ${qemu_aarch64};-L;/usr/aarch64-linux-gnu)
