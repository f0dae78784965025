#include "support/team.hpp"

#include <algorithm>

namespace bench {

team::team(unsigned threads) : spans_(threads) {
    for (unsigned number = 1; number < threads; ++number) helpers_.emplace_back(&team::helper, this, number);
}

team::~team() {
    over_ = true;
    ++generation_;
    generation_.notify_all();
    for (std::thread& each : helpers_) each.join();
}

double team::run(const std::function<void(unsigned)>& work) {
    work_ = &work;
    here_ = 0;
    done_ = 0;
    ++generation_;
    generation_.notify_all();
    take_part(0);
    while (done_ != spans_.size()) std::this_thread::yield();

    clock::time_point start = spans_[0].start, end = spans_[0].end;
    for (const span& each : spans_) {
        start = std::min(start, each.start);
        end = std::max(end, each.end);
    }
    return std::chrono::duration<double, std::nano>(end - start).count();
}

void team::helper(unsigned number) {
    for (unsigned seen = 0;; ++seen) {
        generation_.wait(seen);
        if (over_) return;
        take_part(number);
    }
}

void team::take_part(unsigned number) {
    ++here_;
    while (here_ != spans_.size()) std::this_thread::yield();
    spans_[number].start = clock::now();
    (*work_)(number);
    spans_[number].end = clock::now();
    ++done_;
}

}  // namespace bench
