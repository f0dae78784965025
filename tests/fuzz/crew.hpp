// The threads of a fuzzer: the calling one and others that work one at a time, so that an input does the same each time
// it is replayed, or all at once.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "worker.hpp"

namespace fuzz {

class crew {
public:
    static constexpr std::size_t threads = 3;  // beside the caller, which is number 0

    void run(std::size_t who, std::function<void()> task) {
        if (who == 0) return task();
        one(who).run(std::move(task));
    }

    // task(0) … task(threads - 1), each by a thread of its own.
    template <class Task>
    void all_at_once(const Task& task) {
        for (std::size_t i = 0; i < threads; ++i) one(i + 1).start([&task, i] { task(i); });
        for (std::size_t i = 0; i < threads; ++i) one(i + 1).wait();
    }

    // The thread exits; another one takes its number when that is used next.
    void dismiss(std::size_t who) {
        if (who != 0) workers_[who - 1].reset();
    }

private:
    support::worker& one(std::size_t who) {
        auto& its = workers_[who - 1];
        if (!its) its = std::make_unique<support::worker>();
        return *its;
    }

    std::array<std::unique_ptr<support::worker>, threads> workers_;
};

}  // namespace fuzz
