// Every C++ file is as .clang-format says, in the version that Debian 12 has: others break lines elsewhere.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tree.hpp"

namespace {

using namespace structure;

const std::string clang_format = "clang-format-14";

// What is not as clang-format would write it, one line a file.
std::string misformatted(const lines& paths) {
    std::string command = "cd '" + root.string() + "' && " + clang_format + " --dry-run";
    for (const std::string& path : paths) command += " '" + path + "'";
    std::string found;
    const auto said = output_of(command + " 2>&1");
    if (!said) return clang_format + " fails";
    for (const std::string& line : split(*said))
        if (const auto at = line.find(": warning: "); at != std::string::npos) found += line.substr(0, at) + "\n";
    return found;
}

TEST_CASE("every C++ file is formatted as .clang-format says") {
    if (!is_installed(clang_format)) {
        MESSAGE("skipped: " << clang_format << " is not installed");
        return;
    }
    lines paths = source_files();
    std::erase_if(paths, [](const std::string& path) { return !is_cpp(path); });
    REQUIRE(paths.size() > 100);
    CHECK(misformatted(paths) == "");
}

TEST_CASE("a file that is formatted otherwise is found") {
    if (!is_installed(clang_format)) return;
    const fs::path file = fs::temp_directory_path() / ("tidepool-format-" + std::to_string(getpid()) + ".cpp");
    const auto written = [&](const std::string& text) {
        std::ofstream(file) << text;
        return misformatted({"--style=file:" + (root / ".clang-format").string(), file.string()});
    };
    CHECK(written("int f() { return 0; }\n") == "");
    CHECK(written("int f() { return  0; }\n").find(file.string() + ":1:17") == 0);
    fs::remove(file);
}

}  // namespace
