// How long the operations of one thread took: steps of 10 ns up to 100 us, and the longest whatever it was. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace bench {

class histogram {
public:
    void add(double ns) {
        ++steps_[std::min(static_cast<std::size_t>(std::max(ns, 0.0) / step_ns), steps_.size() - 1)];
        longest_ns_ = std::max(longest_ns_, ns);
        ++count_;
    }

    void add(const histogram& other) {
        for (std::size_t i = 0; i < steps_.size(); ++i) steps_[i] += other.steps_[i];
        longest_ns_ = std::max(longest_ns_, other.longest_ns_);
        count_ += other.count_;
    }

    // That share of the operations took no longer; to the step. The last step stands for all that is longer.
    double quantile_ns(double share) const {
        const auto enough = static_cast<std::uint64_t>(share * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < steps_.size(); ++i)
            if ((seen += steps_[i]) >= enough) return static_cast<double>(i + 1) * step_ns;
        return longest_ns_;
    }

    double longest_ns() const { return longest_ns_; }
    std::uint64_t count() const { return count_; }

private:
    static constexpr double step_ns = 10;

    std::array<std::uint32_t, 10'001> steps_{};
    double longest_ns_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace bench
