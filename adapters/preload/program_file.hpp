// What tidepool-run must know of a program before it starts it: where it is, and whether a library can be preloaded
// into it. Reads files, starts nothing. One thread.
//
// The dynamic loader preloads nothing, and mostly says nothing, where a program is statically linked, is made for
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

// Why a program cannot be started with the library; exit_status 0 where it can.
struct verdict {
    int exit_status = 0;  // as shells have it: 127 it is not there, 126 it is there and cannot be run
    std::string why;
};

inline bool is_regular_file(const std::string& path) {
    struct stat about;
    return stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

// Whether exec would take the file.
inline verdict judge(const std::string& path) {
    if (access(path.c_str(), F_OK) != 0) return {127, path + ": " + std::strerror(errno)};
    if (!is_regular_file(path)) return {126, path + " is not a program"};
    if (access(path.c_str(), X_OK) != 0) return {126, path + " is not executable"};
    return {};
}

// What execvp would run under `name`. Of the folders in PATH the first wins that has an executable file of that name.
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

// The first `most` bytes of a file at `offset`; fewer where it ends before, none where it cannot be read.
inline std::string bytes_of(const std::string& path, std::size_t most, std::size_t offset = 0) {
    std::string bytes(most, '\0');
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t got = file < 0 ? 0 : pread(file, bytes.data(), most, static_cast<off_t>(offset));
    if (file >= 0) close(file);
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return bytes;
}

inline bool is_elf(const std::string& bytes) { return bytes.compare(0, SELFMAG, ELFMAG) == 0; }

// Class (32 or 64 bits), byte order and machine: programs and libraries that differ in one do not go together.
inline bool same_machine(const std::string& one, const std::string& other) {
    constexpr std::size_t machine_at = offsetof(ElfW(Ehdr), e_machine);  // the same in both classes
    return one.size() >= machine_at + 2 && other.size() >= machine_at + 2 &&
           one.compare(EI_CLASS, 2, other, EI_CLASS, 2) == 0 && one.compare(machine_at, 2, other, machine_at, 2) == 0;
}

// Whether the file asks for a dynamic loader. Needs a file of our own class.
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

// Whether running the file gives rights that the caller has not; the loader then ignores LD_PRELOAD. Root gains
// nothing by root's files.
inline bool gives_rights(const std::string& path) {
    struct stat about;
    if (stat(path.c_str(), &about) != 0) return false;
    if ((about.st_mode & S_ISUID) != 0 && about.st_uid != getuid()) return true;
    const mode_t as_group = S_ISGID | S_IXGRP;
    if ((about.st_mode & as_group) == as_group && about.st_gid != getgid()) return true;
    return getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

// What runs a script: the program its first line names, or the shell where it names none.
inline std::string interpreter_of(const std::string& head) {
    if (head.compare(0, 2, "#!") != 0) return "/bin/sh";
    const std::string line = head.substr(2, head.find('\n') - 2);
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) return "/bin/sh";
    return line.substr(begin, line.find_first_of(" \t\r", begin) - begin);
}

// Whether `library` can be preloaded into the program at `path`, or into what interprets it.
// NOLINTNEXTLINE(misc-no-recursion): scripts_max bounds it
inline verdict examine(const std::string& path, const std::string& library, int scripts_max = 4) {
    const std::string head = bytes_of(path, 4096);
    if (head.empty()) return {};  // may be executable without being readable: then exec shall decide
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
