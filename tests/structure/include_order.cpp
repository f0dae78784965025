// src/README.md lists every file of the library, lowest first. A file may include only what is listed before it, so
// that a cycle, or a look upward, cannot be written by accident.
//
// The list stands between `<!-- include order -->` and `<!-- /include order -->`, one path a line; blank lines, lines
// that begin with # (a layer's name) and the code fence are passed over. A path without extension stands for a header
// together with its .cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

using lines = std::vector<std::string>;
using source_tree = std::map<std::string, std::string>;  // path from the root -> text

const fs::path root = TIDEPOOL_SOURCE_DIR;

std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

source_tree sources() {
    source_tree found;
    for (const char* folder : {"include", "src", "adapters"})
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            const auto kind = entry.path().extension();
            if (kind == ".hpp" || kind == ".h" || kind == ".cpp" || kind == ".c")
                found[entry.path().lexically_relative(root).generic_string()] = text_of(entry.path());
        }
    return found;
}

lines listed_in(const std::string& readme) {
    lines order;
    bool inside = false;
    std::istringstream in(readme);
    for (std::string line; std::getline(in, line);) {
        if (line == "<!-- /include order -->") break;
        if (inside && !line.empty() && line[0] != '#' && line[0] != '`') order.push_back(line);
        if (line == "<!-- include order -->") inside = true;
    }
    return order;
}

// Whether an entry of the list speaks of the file.
bool names(const std::string& entry, const std::string& path) {
    return entry == path || entry == fs::path(path).replace_extension().generic_string();
}

// Files of ours that the file includes: <tidepool/…> lies under include/, quoted names beside the file or under src/.
lines includes_of(const std::string& path, const source_tree& files) {
    static const std::regex directive(R"(^[ \t]*#[ \t]*include[ \t]*(<tidepool/|")([^">]+)[">])",
                                      std::regex::multiline);
    const std::string& text = files.at(path);
    lines names;
    for (std::sregex_iterator at(text.begin(), text.end(), directive), end; at != end; ++at) {
        const std::string name = (*at)[2].str(),
                          beside = (fs::path(path).parent_path() / name).lexically_normal().generic_string();
        const bool quoted = (*at)[1] == "\"";
        names.push_back(!quoted ? "include/tidepool/" + name : files.count(beside) != 0 ? beside : "src/" + name);
    }
    return names;
}

lines complaints(const lines& order, const source_tree& files) {
    lines found;

    // The place of each file in the list; a file listed twice or not at all is told of here.
    std::map<std::string, std::ptrdiff_t> place;
    for (const auto& file : files) {
        const std::string& path = file.first;
        const auto of_this = [&](const std::string& entry) { return names(entry, path); };
        const auto times = std::count_if(order.begin(), order.end(), of_this);
        if (times != 1) found.push_back(path + " is listed " + std::to_string(times) + " times");
        place[path] = std::find_if(order.begin(), order.end(), of_this) - order.begin();
    }
    for (const std::string& entry : order)
        if (std::none_of(files.begin(), files.end(), [&](const auto& file) { return names(entry, file.first); }))
            found.push_back(entry + " is listed and does not exist");

    for (const auto& file : files) {
        const std::string& path = file.first;
        for (const std::string& included : includes_of(path, files)) {
            if (place.count(included) == 0)
                found.push_back(path + " includes " + included + ", which does not exist");
            else if (place[included] > place[path])
                found.push_back(path + " includes " + included + ", which is listed later");
        }
    }
    return found;
}

TEST_CASE("every file of the library is listed and includes only files listed above it") {
    const lines order = listed_in(text_of(root / "src/README.md"));
    REQUIRE_MESSAGE(!order.empty(), "src/README.md has no list between its marks");
    for (const std::string& complaint : complaints(order, sources())) FAIL_CHECK(complaint);
}

TEST_CASE("the include order is read from between its marks") {
    CHECK(listed_in("x\n<!-- include order -->\n```\n# base\nsrc/a\n\nsrc/b.hpp\n```\n<!-- /include order -->\ny\n") ==
          lines{"src/a", "src/b.hpp"});
}

TEST_CASE("breaches of the include order are found") {
    const source_tree files{
        {"include/tidepool/face.hpp", "#include <tidepool/detail/deep.hpp>\n#include <vector>\n"},
        {"include/tidepool/detail/deep.hpp", "#pragma once\n"},
        {"src/low.hpp", "// #include \"high.hpp\"\n"},
        {"src/low.cpp", "#include \"low.hpp\"\n"},
        {"src/high.hpp", "#include \"low.hpp\"\n  # include <tidepool/face.hpp>\n"},
        {"adapters/on/top.hpp", "#include \"low.hpp\"\n"},
        {"adapters/on/top.cpp", "#include \"top.hpp\"\n"},
    };
    const lines good{"include/tidepool/detail/deep.hpp", "include/tidepool/face.hpp", "src/low", "src/high.hpp",
                     "adapters/on/top"};
    CHECK(complaints(good, files) == lines{});

    CHECK(complaints({good[0], good[1], good[3], good[2], good[4]}, files) ==
          lines{"src/high.hpp includes src/low.hpp, which is listed later"});
    CHECK(complaints({good[0], good[1], good[2], good[4]}, files) == lines{"src/high.hpp is listed 0 times"});
    CHECK(complaints({good[0], good[1], good[2], "src/low.cpp", good[3], good[4]}, files) ==
          lines{"src/low.cpp is listed 2 times"});
    CHECK(complaints({good[0], good[1], good[2], good[3], good[4], "src/gone"}, files) ==
          lines{"src/gone is listed and does not exist"});

    source_tree strayed = files;
    strayed["include/tidepool/face.hpp"] = "#include \"high.hpp\"\n";
    strayed["src/low.cpp"] = "#include \"nowhere.hpp\"\n";
    CHECK(complaints(good, strayed) == lines{"include/tidepool/face.hpp includes src/high.hpp, which is listed later",
                                             "src/low.cpp includes src/nowhere.hpp, which does not exist"});
}

}  // namespace
