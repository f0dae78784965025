// The input of the main job: the text files of a machine, in memory before any clock starts.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

namespace bench {

// Read-only once read; any thread.
class corpus {
public:
    // The regular files below `roots`, root by root in the order of their paths, without those that have a NUL byte in
    // their first 4 KiB, until bytes_max bytes are together; the last one is cut there. Links are not followed, what
    // cannot be read is left out.
    corpus(const std::vector<std::filesystem::path>& roots, std::size_t bytes_max);
    corpus(const corpus&) = delete;
    corpus& operator=(const corpus&) = delete;
    ~corpus();

    // A file's number is its place here.
    const std::vector<std::string_view>& files() const { return files_; }
    std::string_view text() const { return {text_, bytes_}; }

private:
    bool room() const { return bytes_ < bytes_max_; }
    void read_below(const std::filesystem::path& root);
    void read_file(const std::filesystem::path& path);

    std::size_t bytes_max_;
    char* text_;
    std::size_t bytes_ = 0;
    std::vector<std::string_view> files_;
};

}  // namespace bench
