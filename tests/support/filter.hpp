// Filters of system calls, for tests of what a sandbox allows. They hold for the calling thread and those that it
// starts.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace support {

// What becomes of calls: SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | number, SECCOMP_RET_KILL_PROCESS. False if the system
// has no filters.
inline bool filter_calls(std::initializer_list<long> named, unsigned those, unsigned others) {
    std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const long call : named) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, those));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, others));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace support
