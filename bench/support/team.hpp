// Threads that start a piece of work together. Made, used and ended by one thread, which is a member itself: a team of
// one makes no thread at all, so that one-thread benches see the C library's single-threaded short cuts.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

namespace bench {

class team {
public:
    explicit team(unsigned threads);
    team(const team&) = delete;
    team& operator=(const team&) = delete;
    ~team();

    // Calls work(0) to work(threads - 1) at the same time. Nanoseconds from the first start to the last end.
    double run(const std::function<void(unsigned)>& work);

private:
    using clock = std::chrono::steady_clock;
    struct span {
        clock::time_point start, end;
    };

    void helper(unsigned number);
    void take_part(unsigned number);

    const std::function<void(unsigned)>* work_ = nullptr;  // written before `generation_` goes up
    std::atomic<unsigned> generation_ = 0;                 // up by one for each run
    std::atomic<bool> over_ = false;
    std::atomic<unsigned> here_ = 0;  // members at the start line
    std::atomic<unsigned> done_ = 0;  // members past the end
    std::vector<span> spans_;         // each member writes its own, before `done_` goes up
    std::vector<std::thread> helpers_;
};

}  // namespace bench
