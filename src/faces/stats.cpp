#include <tidepool/stats.hpp>

#include <iomanip>
#include <ostream>
#include <sstream>

namespace tidepool {
inline namespace TIDEPOOL_ABI {

std::ostream& operator<<(std::ostream& out, const stats& snapshot) {
    const auto flags = out.flags();
#define TIDEPOOL_STATS_LINE(name, unit, meaning)                                                                   \
    out << std::left << std::setw(22) << #name << std::right << std::setw(16) << snapshot.name << ' ' << std::left \
        << std::setw(7) << (unit) << (meaning) << '\n';
    TIDEPOOL_STATS(TIDEPOOL_STATS_LINE)
#undef TIDEPOOL_STATS_LINE
    out.flags(flags);
    return out;
}

std::string to_string(const stats& snapshot) {
    std::ostringstream out;
    out << snapshot;
    return out.str();
}

}  // namespace TIDEPOOL_ABI
}  // namespace tidepool
