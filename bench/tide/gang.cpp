#include "tide/gang.hpp"

namespace bench::tide {

gang::gang(unsigned threads) {
    for (unsigned number = 0; number < threads; ++number) threads_.emplace_back(&gang::member, this, number);
}

gang::~gang() {
    {
        const std::scoped_lock hold(lock_);
        over_ = true;
        ++generation_;
    }
    told_.notify_all();
    for (std::thread& each : threads_) each.join();
}

void gang::run(const std::function<void(unsigned)>& work) {
    std::unique_lock hold(lock_);
    work_ = &work;
    busy_ = static_cast<unsigned>(threads_.size());
    ++generation_;
    told_.notify_all();
    done_.wait(hold, [this] { return busy_ == 0; });
}

namespace {

// What work needs of the stack is there from the beginning, and no part of what grows.
[[gnu::noinline]] void touch_stack() {
    volatile unsigned char below[16 << 10];
    for (std::size_t i = 0; i < sizeof below; i += 4096) below[i] = 0;
}

}  // namespace

void gang::member(unsigned number) {
    touch_stack();
    std::unique_lock hold(lock_);
    for (unsigned seen = 0;; ++seen) {
        told_.wait(hold, [&] { return generation_ != seen; });
        if (over_) return;
        hold.unlock();
        (*work_)(number);
        hold.lock();
        if (--busy_ == 0) done_.notify_one();
    }
}

}  // namespace bench::tide
