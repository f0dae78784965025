// Finds a program, and whether a library can be preloaded into it, for tidepool-run. Reads files only. One thread.
//
// The dynamic loader preloads nothing, usually without a message, into a program that is statically linked, is made for
// another machine than the library, or runs with more rights than its caller.
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace launcher {

// Why a program cannot be started with the library; exit_status 0 if it can.
struct verdict {
    int exit_status = 0;  // as of shells: 127 it does not exist, 126 it cannot be run
    std::string why;
};

inline bool is_regular_file(const std::string& path) {
    struct stat about;
    return stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

// Whether exec would run the file.
inline verdict judge(const std::string& path) {
    if (access(path.c_str(), F_OK) != 0) return {127, path + ": " + std::strerror(errno)};
    if (!is_regular_file(path)) return {126, path + " is not a program"};
    if (access(path.c_str(), X_OK) != 0) return {126, path + " is not executable"};
    return {};
}

// The program that execvp would run for `name`: the first executable file of that name in the folders of PATH.
inline std::pair<std::string, verdict> find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return {name, judge(name)};

    verdict best{127, name + ": no such program in PATH"};
    const char* given = std::getenv("PATH");
    const std::string folders = given ? given : "/bin:/usr/bin";
    for (std::size_t begin = 0; !name.empty() && begin <= folders.size();) {
        const std::size_t end = std::min(folders.find(':', begin), folders.size());
        const std::string folder = folders.substr(begin, end - begin);
        const std::string path = (folder.empty() ? "." : folder) + "/" + name;  // an empty entry is the current folder
        const verdict here = judge(path);
        if (here.exit_status == 0) return {path, here};
        if (here.exit_status == 126 && best.exit_status == 127 && is_regular_file(path)) best = here;
        begin = end + 1;
    }
    return {name, best};
}

// `most` bytes of a file from `offset` on; fewer at its end, none if it cannot be read.
inline std::string bytes_of(const std::string& path, std::size_t most, std::size_t offset = 0) {
    std::string bytes(most, '\0');
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t got = file < 0 ? 0 : pread(file, bytes.data(), most, static_cast<off_t>(offset));
    if (file >= 0) close(file);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
}

inline bool is_elf(const std::string& bytes) { return bytes.compare(0, SELFMAG, ELFMAG) == 0; }

// Whether a program can load a library: class (32 or 64 bits), byte order and machine are the same.
inline bool same_machine(const std::string& one, const std::string& other) {
    constexpr std::size_t machine_at = offsetof(ElfW(Ehdr), e_machine);  // the same in both classes
    return one.size() >= machine_at + 2 && other.size() >= machine_at + 2 &&
           one.compare(EI_CLASS, 2, other, EI_CLASS, 2) == 0 && one.compare(machine_at, 2, other, machine_at, 2) == 0;
}

// Whether the file has a dynamic loader. Requires a file of this program's class.
inline bool is_dynamic(const std::string& path, const std::string& head) {
    ElfW(Ehdr) about;
    if (head.size() < sizeof about) return false;
    std::memcpy(&about, head.data(), sizeof about);
    for (std::size_t i = 0; i < about.e_phnum; ++i) {
        ElfW(Phdr) segment;
        const std::string bytes = bytes_of(path, sizeof segment, about.e_phoff + i * sizeof segment);
        if (bytes.size() < sizeof segment) return false;
        std::memcpy(&segment, bytes.data(), sizeof segment);
        if (segment.p_type == PT_INTERP) return true;
    }
    return false;
}

// Whether running the file grants rights that the caller does not have; the loader then ignores LD_PRELOAD. Root gains
// nothing by its own files.
inline bool gives_rights(const std::string& path) {
    struct stat about;
    if (stat(path.c_str(), &about) != 0) return false;
    if ((about.st_mode & S_ISUID) != 0 && about.st_uid != getuid()) return true;
    const mode_t as_group = S_ISGID | S_IXGRP;
    if ((about.st_mode & as_group) == as_group && about.st_gid != getgid()) return true;
    return getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

// The interpreter of a script: the program in its first line, or the shell.
inline std::string interpreter_of(const std::string& head) {
    if (head.compare(0, 2, "#!") != 0) return "/bin/sh";
    const std::string line = head.substr(2, head.find('\n') - 2);
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) return "/bin/sh";
    return line.substr(begin, line.find_first_of(" \t\r", begin) - begin);
}

// Whether `library` can be preloaded into the program at `path`, or into its interpreter.
// NOLINTNEXTLINE(misc-no-recursion): scripts_max bounds it
inline verdict examine(const std::string& path, const std::string& library, int scripts_max = 4) {
    const std::string head = bytes_of(path, 4096);
    if (head.empty()) return {};  // executable and not readable: exec decides
    if (!is_elf(head)) {
        const std::string interpreter = interpreter_of(head);
        verdict end{126, "its interpreters are scripts, too"};
        if (scripts_max > 0) end = judge(interpreter);
        if (end.exit_status == 0) end = examine(interpreter, library, scripts_max - 1);
        return end.exit_status == 0 ? end : verdict{126, path + " is a script: " + end.why};
    }
    if (!same_machine(head, bytes_of(library, sizeof(ElfW(Ehdr)))))
        return {126, path + " is made for another kind of machine than " + library};
    if (!is_dynamic(path, head)) return {126, path + " is statically linked: no library can be preloaded into it"};
    if (gives_rights(path))
        return {126, path + " is set-user-id, set-group-id or has capabilities: the loader preloads nothing into it"};
    return {};
}

}  // namespace launcher
