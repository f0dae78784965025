// A bounded queue from one producer thread to one consumer thread: the way blocks travel in the handoff bench.
//
// Each side keeps the last it saw of the other side's index and looks again only when that says full or empty, and what
// the two sides write lies apart, so that the ring costs little beside what is measured through it. A side that cannot
// go on yields: there may be no more processors than threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>

namespace bench {

template <class T, std::size_t capacity>
class ring {
    static_assert((capacity & (capacity - 1)) == 0);

public:
    // Holds `most` values, `capacity` at most.
    explicit ring(std::size_t most = capacity) : most_(most) {}

    // Producer only.
    void push(T value) {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);  // relaxed: only this thread writes it
        while (tail - head_seen_ == most_) {
            head_seen_ = head_.load(std::memory_order_acquire);  // partner: the store in pop()
            if (tail - head_seen_ == most_) std::this_thread::yield();
        }
        slots_[tail % capacity] = value;
        tail_.store(tail + 1, std::memory_order_release);
    }

    // Consumer only.
    T pop() {
        const std::size_t head = head_.load(std::memory_order_relaxed);  // relaxed: only this thread writes it
        while (head == tail_seen_) {
            tail_seen_ = tail_.load(std::memory_order_acquire);  // partner: the store in push()
            if (head == tail_seen_) std::this_thread::yield();
        }
        T value = slots_[head % capacity];
        head_.store(head + 1, std::memory_order_release);
        return value;
    }

private:
    static constexpr std::size_t apart = 128;  // two lines, which the prefetcher pulls together

    alignas(apart) std::atomic<std::size_t> tail_ = 0;  // written by the producer
    std::size_t head_seen_ = 0;                         // the producer's
    const std::size_t most_;                            // the producer's
    alignas(apart) std::atomic<std::size_t> head_ = 0;  // written by the consumer
    std::size_t tail_seen_ = 0;                         // the consumer's
    alignas(apart) T slots_[capacity] = {};
};

}  // namespace bench
