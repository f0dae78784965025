#include "index/corpus.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace bench {

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> regular_files(const fs::path& root) {
    std::vector<fs::path> paths;
    std::error_code failed;
    fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, failed), end;
    for (; !failed && at != end; at.increment(failed)) {
        std::error_code unknown;
        if (fs::is_regular_file(at->symlink_status(unknown))) paths.push_back(at->path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

bool looks_like_text(std::string_view content) { return content.substr(0, 4096).find('\0') == std::string_view::npos; }

}  // namespace

// Pages of its own: the corpus leaves no trace in the heap that the contestants get to see.
corpus::corpus(const std::vector<fs::path>& roots, std::size_t bytes_max) : bytes_max_(bytes_max) {
    void* pages = ::mmap(nullptr, bytes_max, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    text_ = static_cast<char*>(pages);
    for (const fs::path& root : roots)
        if (room()) read_below(root);
}

corpus::~corpus() { ::munmap(text_, bytes_max_); }

void corpus::read_below(const fs::path& root) {
    for (const fs::path& path : regular_files(root)) {
        if (!room()) return;
        read_file(path);
    }
}

void corpus::read_file(const fs::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return;
    std::size_t got = 0;
    while (bytes_ + got < bytes_max_) {
        const ssize_t more = ::read(file, text_ + bytes_ + got, bytes_max_ - bytes_ - got);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) break;
        got += static_cast<std::size_t>(more);
    }
    ::close(file);
    const std::string_view content(text_ + bytes_, got);
    if (content.empty() || !looks_like_text(content)) return;
    files_.push_back(content);
    bytes_ += got;
}

}  // namespace bench
