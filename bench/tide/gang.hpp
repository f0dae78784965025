// Threads that are asleep but for the pieces of work that all of them do at the same time. Made and told by one thread,
// which takes no part. What they sleep in is a system call, and they never wake on their own account.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bench::tide {

class gang {
public:
    explicit gang(unsigned threads);
    gang(const gang&) = delete;
    gang& operator=(const gang&) = delete;
    // Ends them.
    ~gang();

    // Calls work(0) to work(threads - 1) and waits until all are done.
    void run(const std::function<void(unsigned)>& work);

private:
    void member(unsigned number);

    std::mutex lock_;  // guards all below but the threads
    std::condition_variable told_, done_;
    const std::function<void(unsigned)>* work_ = nullptr;
    unsigned generation_ = 0;  // up by one for each piece of work
    unsigned busy_ = 0;        // members that are not done with it
    bool over_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace bench::tide
