// A thread that runs tasks and sleeps in between: for tests of the stock of a sleeping thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace support {

// A thread that runs one task after another and is blocked on a condition between them. Used by one thread.
class worker {
public:
    worker() : thread_([this] { serve(); }) {}
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    // Waits for the current task; the thread has exited when this returns.
    ~worker() {
        {
            std::lock_guard guard(lock_);
            dismissed_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    // Starts a task. Precondition: none is running.
    void start(std::function<void()> task) {
        {
            std::lock_guard guard(lock_);
            task_ = std::move(task);
        }
        changed_.notify_all();
    }

    // Returns when the task has ended; the thread then sleeps.
    void wait() {
        std::unique_lock guard(lock_);
        changed_.wait(guard, [this] { return !task_; });
    }

    void run(std::function<void()> task) {
        start(std::move(task));
        wait();
    }

private:
    void serve() {
        std::unique_lock guard(lock_);
        for (;;) {
            changed_.wait(guard, [this] { return task_ || dismissed_; });
            if (!task_) return;
            guard.unlock();
            task_();
            guard.lock();
            task_ = nullptr;
            changed_.notify_all();
        }
    }

    std::mutex lock_;
    std::condition_variable changed_;
    std::function<void()> task_;  // empty: no task; guarded by lock_, except during the call
    bool dismissed_ = false;      // guarded by lock_
    std::thread thread_;          // last member, since the thread uses all of the above
};

}  // namespace support
