// The source tree, as the structure tests look at it.
#pragma once

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace structure {

namespace fs = std::filesystem;

using lines = std::vector<std::string>;
using source_tree = std::map<std::string, std::string>;  // path from the root -> text

inline const fs::path root = TIDEPOOL_SOURCE_DIR;

inline std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

inline lines split(const std::string& text, char separator = '\n') {
    lines found;
    std::istringstream in(text);
    for (std::string each; std::getline(in, each, separator);) found.push_back(each);
    return found;
}

// What a shell command writes to stdout; nothing where it fails.
inline std::optional<std::string> output_of(const std::string& command) {
    std::FILE* const pipe = popen(command.c_str(), "r");
    if (!pipe) return {};
    std::string text;
    std::array<char, 4096> buffer;
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), got);
    const int status = pclose(pipe);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return {};
    return text;
}

inline bool is_installed(const std::string& program) {
    return output_of("command -v " + program + " 2>/dev/null").has_value();
}

// Paths from the root of the files that git tracks and that are there; nothing where git cannot be asked, as in an
// unpacked archive.
inline std::optional<lines> tracked_files() {
    const auto listed = output_of("git -c safe.directory='*' -C '" + root.string() + "' ls-files -z 2>/dev/null");
    if (!listed || listed->empty()) return {};
    lines files = split(*listed, '\0');
    std::erase_if(files, [](const std::string& path) { return !fs::exists(root / path); });
    return files;
}

// The same where git can be asked, otherwise all that lies in the folders of the source.
inline lines source_files() {
    if (auto tracked = tracked_files()) return *tracked;
    lines files;
    for (const char* folder : {"include", "src", "adapters", "tests", "bench"})
        for (const auto& entry : fs::recursive_directory_iterator(root / folder))
            if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(root).generic_string());
    std::sort(files.begin(), files.end());
    return files;
}

inline bool is_cpp(const std::string& path) {
    const auto kind = fs::path(path).extension();
    return kind == ".hpp" || kind == ".cpp";
}

inline bool lies_in(const std::string& path, std::string_view folder) {
    return path.starts_with(folder) && path.substr(folder.size()).starts_with('/');
}

// The C++ files of the library: of include, src and adapters.
inline source_tree library() {
    source_tree found;
    for (const std::string& path : source_files())
        if (is_cpp(path) && (lies_in(path, "include") || lies_in(path, "src") || lies_in(path, "adapters")))
            found[path] = text_of(root / path);
    return found;
}

}  // namespace structure
