// tick-hold-up, as a part of the driver's run.
#pragma once

#include <string>

#include "support/session.hpp"

namespace bench {

// `there`: who takes part, one a line, as tidepool-front-bench says.
void run_hold_up(session& now, const std::string& there);

}  // namespace bench
