// How long operations took, all of them and those that met a tick. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

class times {
public:
    explicit times(std::size_t expected = 0) { all_ns_.reserve(expected); }

    // `calm`: the kernel did not take the processor away meanwhile.
    void add(double ns, bool calm) {
        all_ns_.push_back(static_cast<float>(ns));
        if (calm) longest_calm_ns_ = std::max(longest_calm_ns_, ns);
        sum_ns_ += ns;
    }

    void add(const times& other) {
        all_ns_.insert(all_ns_.end(), other.all_ns_.begin(), other.all_ns_.end());
        longest_calm_ns_ = std::max(longest_calm_ns_, other.longest_calm_ns_);
        sum_ns_ += other.sum_ns_;
    }

    // That share of the operations took no longer.
    double quantile_ns(double share) {
        if (all_ns_.empty()) return 0;
        const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(all_ns_.size() - 1));
        std::nth_element(all_ns_.begin(), all_ns_.begin() + at, all_ns_.end());
        return all_ns_[static_cast<std::size_t>(at)];
    }

    double longest_ns() { return quantile_ns(1); }
    double longest_calm_ns() const { return longest_calm_ns_; }
    double sum_ns() const { return sum_ns_; }
    std::size_t count() const { return all_ns_.size(); }

private:
    std::vector<float> all_ns_;
    double longest_calm_ns_ = 0, sum_ns_ = 0;
};

struct findings {
    times all;
    times performed, beside;     // performed a tick; were under way while another thread did
    std::uint64_t switches = 0;  // involuntary
};

}  // namespace bench
