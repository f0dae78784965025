#include "slow_section.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

constinit thread_local unsigned inside __attribute__((tls_model("initial-exec"))) = 0;

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool
