// Order statistics over rounds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace bench {

// The middle of the values; the mean of the two middle ones where their number is even. Needs one value at least.
template <class T>
T median(std::vector<T> values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Needs one value at least.
inline double geometric_mean(const std::vector<double>& values) {
    double logs = 0;
    for (const double each : values) logs += std::log(each);
    return std::exp(logs / static_cast<double>(values.size()));
}

// The median over the rounds of one's time over the other's: what disturbed a round disturbed both.
inline double median_ratio(const std::vector<double>& one, const std::vector<double>& other) {
    std::vector<double> ratios(std::min(one.size(), other.size()));
    for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] = one[i] / other[i];
    return median(ratios);
}

}  // namespace bench
