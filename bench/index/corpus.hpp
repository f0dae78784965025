// The input of the main job: the text files of a machine, in memory before any clock starts.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

namespace bench {

// The regular files below `roots`, root by root in the order of their paths, without those that have a NUL byte in
// their first 4 KiB, until bytes_max bytes are together; the last one is cut there. Links are not followed, what cannot
// be read is left out. In pages of its own: it leaves no trace in the heap that the contestants get to see.
class corpus {
public:
    corpus(const std::vector<std::filesystem::path>& roots, std::size_t bytes_max) : bytes_max_(bytes_max) {
        void* pages = ::mmap(nullptr, bytes_max, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        text_ = static_cast<char*>(pages);
        for (const std::filesystem::path& root : roots)
            for (const std::filesystem::path& file : regular_files(root))
                if (bytes_ < bytes_max_) read(file);
    }
    corpus(const corpus&) = delete;
    corpus& operator=(const corpus&) = delete;
    ~corpus() { ::munmap(text_, bytes_max_); }

    // A file's number is its place here.
    const std::vector<std::string_view>& files() const { return files_; }
    std::string_view text() const { return {text_, bytes_}; }

private:
    static std::vector<std::filesystem::path> regular_files(const std::filesystem::path& root) {
        std::vector<std::filesystem::path> paths;
        std::error_code failed, unknown;
        const auto skipping = std::filesystem::directory_options::skip_permission_denied;
        std::filesystem::recursive_directory_iterator at(root, skipping, failed), end;
        for (; !failed && at != end; at.increment(failed))
            if (std::filesystem::is_regular_file(at->symlink_status(unknown))) paths.push_back(at->path());
        std::sort(paths.begin(), paths.end());
        return paths;
    }

    void read(const std::filesystem::path& file) {
        std::ifstream in(file, std::ios::binary);
        in.read(text_ + bytes_, static_cast<std::streamsize>(bytes_max_ - bytes_));
        const std::string_view content(text_ + bytes_, static_cast<std::size_t>(in.gcount()));
        if (content.empty() || content.substr(0, 4096).find('\0') != std::string_view::npos) return;
        files_.push_back(content);
        bytes_ += content.size();
    }

    std::size_t bytes_max_;
    char* text_;
    std::size_t bytes_ = 0;
    std::vector<std::string_view> files_;
};

}  // namespace bench
