// The input of the main job: the text files of a machine, in memory before any clock starts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "index/scratch.hpp"

namespace bench {

// The regular files below `roots`, root by root in the order of their paths, without those that have a NUL byte in
// their first 4 KiB, until bytes_max bytes are together; the last one is cut there. Links are not followed, what cannot
// be read is left out.
class corpus {
public:
    corpus(const std::vector<std::filesystem::path>& roots, std::size_t bytes_max) : pages_(bytes_max) {
        for (const std::filesystem::path& root : roots) read_below(root);
    }

    // A file's number is its place here.
    const std::vector<std::string_view>& files() const { return files_; }
    std::string_view text() const { return {pages_.data(), bytes_}; }

private:
    void read_below(const std::filesystem::path& root) {
        scratch names;
        std::pmr::vector<std::pmr::string> files(names.resource());
        std::error_code failed, unknown;
        const auto skipping = std::filesystem::directory_options::skip_permission_denied;
        std::filesystem::recursive_directory_iterator at(root, skipping, failed), end;
        for (; !failed && at != end; at.increment(failed))
            if (std::filesystem::is_regular_file(at->symlink_status(unknown))) files.emplace_back(at->path().native());
        // Name by name, so the slash comes before all else.
        std::sort(files.begin(), files.end(), [](std::string_view a, std::string_view b) {
            const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
            return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                                [&](char x, char y) { return rank(x) < rank(y); });
        });
        for (const std::pmr::string& each : files)
            if (bytes_ < pages_.size()) read(each.c_str());
    }

    void read(const char* file) {
        std::ifstream in(file, std::ios::binary);
        in.read(pages_.data() + bytes_, static_cast<std::streamsize>(pages_.size() - bytes_));
        const std::string_view content(pages_.data() + bytes_, static_cast<std::size_t>(in.gcount()));
        if (content.empty() || content.substr(0, 4096).find('\0') != std::string_view::npos) return;
        files_.push_back(content);
        bytes_ += content.size();
    }

    const pages pages_;
    std::size_t bytes_ = 0;
    std::vector<std::string_view> files_;
};

}  // namespace bench
