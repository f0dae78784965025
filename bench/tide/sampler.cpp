#include "tide/sampler.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "tide/tide.hpp"

namespace bench::tide {

namespace {

constexpr std::size_t samples_max = std::chrono::minutes(1) / sample_period;
constexpr double mib = 1 << 20;

int opened() {
    const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::system_error(errno, std::generic_category(), "/proc/self/statm");
    return file;
}

}  // namespace

// The samples' memory is written once here, so that it is no part of what grows.
sampler::sampler(const contestant& of) : of_(of), statm_(opened()), taken_(samples_max) {
    taken_.clear();
    thread_ = std::thread(&sampler::run, this);
}

sampler::~sampler() {
    taken();
    ::close(statm_);
}

const std::vector<sample>& sampler::taken() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
    return taken_;
}

void sampler::run() {
    auto next = clock::now();
    while (!over_ && taken_.size() < samples_max) {
        taken_.push_back(now());
        std::this_thread::sleep_until(next += sample_period);
    }
}

sample sampler::now() const {
    char text[128] = {};
    if (::pread(statm_, text, sizeof text - 1, 0) < 0) throw std::system_error(errno, std::generic_category(), "statm");
    char* second = nullptr;
    std::strtoul(text, &second, 10);
    const auto pages = static_cast<double>(std::strtoul(second, nullptr, 10));
    const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    return {clock::now(), pages * page / mib, static_cast<double>(of_.held()) / mib};
}

}  // namespace bench::tide
