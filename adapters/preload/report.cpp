// Statistics of the shim: mallinfo, malloc_stats, malloc_info, and the report at exit.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "adapters/preload/base/exported.hpp"
#include "backing/backing.hpp"
#include "base/uncancelled.hpp"
#include "shim.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

namespace {

// Text for a file descriptor. Allocates nothing, because there may be no memory.
class text {
public:
    explicit text(int descriptor) noexcept : descriptor_(descriptor) {}
    text(const text&) = delete;
    text& operator=(const text&) = delete;
    ~text() { flush(); }

    __attribute__((format(printf, 2, 3))) void add(const char* format, ...) noexcept {
        if (used_ > buffer_.size() / 2) flush();
        std::va_list arguments;
        va_start(arguments, format);
        const int wanted = std::vsnprintf(buffer_.data() + used_, buffer_.size() - used_, format, arguments);
        va_end(arguments);
        used_ += std::min(static_cast<std::size_t>(std::max(wanted, 0)), buffer_.size() - used_ - 1);
    }

private:
    void flush() noexcept {
        for (std::size_t at = 0; at < used_;) {
            const ssize_t written = detail::uncancelled::write(descriptor_, buffer_.data() + at, used_ - at);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) break;
            at += static_cast<std::size_t>(written);
        }
        used_ = 0;
    }

    const int descriptor_;
    std::size_t used_ = 0;
    std::array<char, 1024> buffer_;
};

// The backing's blocks are the large ones.
tidepool::stats all_stats() noexcept {
    tidepool::stats now = snapshot();
    now.large_bytes = backing::measure().in_use;
    return now;
}

void write_lines(int descriptor) noexcept {
    const tidepool::stats now = all_stats();
    text out(descriptor);
#define TIDEPOOL_PRELOAD_LINE(name, unit, meaning) \
    out.add("%-22s%16llu %-7s%s\n", #name, static_cast<unsigned long long>(now.name), unit, meaning);
    TIDEPOOL_STATS(TIDEPOOL_PRELOAD_LINE)
#undef TIDEPOOL_PRELOAD_LINE
}

void write_json(int descriptor) noexcept {
    const tidepool::stats now = all_stats();
    text out(descriptor);
    out.add("{\n  \"pid\": %ld", static_cast<long>(::getpid()));
#define TIDEPOOL_PRELOAD_LINE(name, unit, meaning) \
    out.add(",\n  \"" #name "\": %llu", static_cast<unsigned long long>(now.name));
    TIDEPOOL_STATS(TIDEPOOL_PRELOAD_LINE)
#undef TIDEPOOL_PRELOAD_LINE
    out.add("\n}\n");
}

// The file's name with the process id in place of "%p", in `out`. False if it is too long.
bool file_name(std::array<char, PATH_MAX>& out) noexcept {
    const char* from = current.stats_file.data();
    std::size_t used = 0;
    for (; *from && used + 24 < out.size(); ++from)
        if (from[0] == '%' && from[1] == 'p') {
            used += static_cast<std::size_t>(std::snprintf(&out[used], 24, "%ld", static_cast<long>(::getpid())));
            ++from;
        } else {
            out[used++] = *from;
        }
    out[used] = '\0';
    return !*from;
}

// Standard error as it was at the start, because many programs close it before they end.
int standard_error = STDERR_FILENO;
constexpr int descriptor_least = 64;  // the program may expect to be given the numbers below

__attribute__((constructor)) void at_start() noexcept {
    if (!current.stats || current.stats_file[0]) return;
    const int copy = detail::uncancelled::duplicate(STDERR_FILENO, descriptor_least);
    if (copy >= 0) standard_error = copy;
}

__attribute__((destructor)) void at_exit() noexcept {
    if (!current.stats) return;
    if (!current.stats_file[0]) return write_lines(standard_error);
    std::array<char, PATH_MAX> name;
    const int file =
        file_name(name) ? detail::uncancelled::open(name.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    if (file >= 0) {
        write_json(file);
        detail::uncancelled::close(file);
    } else {
        text(STDERR_FILENO)
            .add("tidepool: the statistics cannot be written to %s: %s\n", current.stats_file.data(),
                 std::strerror(errno));
    }
}

struct figures {
    tidepool::stats ours;
    backing::use its;

    std::size_t held() const noexcept { return ours.upstream_bytes + its.held; }
    std::size_t in_use() const noexcept { return ours.bytes_in_use + its.in_use; }
    std::size_t idle() const noexcept { return held() - std::min(held(), in_use()); }
};

figures measure() noexcept { return {snapshot(), backing::measure()}; }

}  // namespace

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool

using namespace tidepool::preload;

extern "C" {

// arena: bytes from the system; ordblks: idle blocks; uordblks: bytes in use; fordblks: idle bytes; keepcost: bytes
// that malloc_trim() would return at once.
EXPORTED struct mallinfo2 mallinfo2() noexcept {
    const figures now = measure();
    struct mallinfo2 out {};
    out.arena = now.held();
    out.ordblks = now.ours.blocks_cached;
    out.uordblks = now.in_use();
    out.fordblks = now.idle();
    out.keepcost = now.ours.bytes_cached + now.ours.bytes_idle;
    return out;
}

// The same, at most INT_MAX each.
EXPORTED struct mallinfo mallinfo() noexcept {
    const struct mallinfo2 wide = mallinfo2();
    const auto narrow = [](std::size_t value) { return static_cast<int>(std::min<std::size_t>(value, INT_MAX)); };
    struct mallinfo out {};
    out.arena = narrow(wide.arena);
    out.ordblks = narrow(wide.ordblks);
    out.uordblks = narrow(wide.uordblks);
    out.fordblks = narrow(wide.fordblks);
    out.keepcost = narrow(wide.keepcost);
    return out;
}

EXPORTED void malloc_stats() noexcept { write_lines(STDERR_FILENO); }

EXPORTED int malloc_info(int options, FILE* out) noexcept {
    if (options != 0) return EINVAL;
    const tidepool::detail::cancellation_off to_the_end;
    const figures now = measure();
    int written = std::fprintf(out,
                               "<malloc version=\"tidepool-1\">\n<total type=\"fast\" count=\"%llu\" size=\"%llu\"/>\n"
                               "<system type=\"current\" size=\"%zu\"/>\n<in-use size=\"%zu\"/>\n",
                               static_cast<unsigned long long>(now.ours.blocks_cached),
                               static_cast<unsigned long long>(now.ours.bytes_cached), now.held(), now.in_use());
#define TIDEPOOL_PRELOAD_LINE(name, unit, meaning)                                                       \
    if (written >= 0)                                                                                    \
        written = std::fprintf(out, "<tidepool name=\"" #name "\" unit=\"" unit "\" value=\"%llu\"/>\n", \
                               static_cast<unsigned long long>(now.ours.name));
    TIDEPOOL_STATS(TIDEPOOL_PRELOAD_LINE)
#undef TIDEPOOL_PRELOAD_LINE
    if (written >= 0) written = std::fputs("</malloc>\n", out);
    return written < 0 ? -1 : 0;
}

}  // extern "C"
