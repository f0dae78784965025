// src/README.md lists the floors of the library, lowest first, between `<!-- include order -->` and
// `<!-- /include order -->`. What may include what follows from it: a file includes files of its own floor and of those
// below, and on one floor there is no cycle, a header and its .cpp taken as one.
//
// A line is a floor: a folder, with all folders in it that are not listed themselves; or files that stand elsewhere
// than their folder. `a | b` are two floors beside each other, neither of which includes the other. Blank lines and the
// code fence are passed over.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tree.hpp"

namespace {

using namespace structure;

struct floor_of {
    std::size_t height;  // the line's number
    std::size_t room;    // which of those beside each other
    auto operator<=>(const floor_of&) const = default;
};
using floors = std::map<std::string, floor_of>;  // folder or file -> where it stands

lines listed_in(const std::string& readme) {
    lines order;
    bool inside = false;
    for (const std::string& line : split(readme)) {
        if (line == "<!-- /include order -->") break;
        if (inside && !line.empty() && line[0] != '`') order.push_back(line);
        if (line == "<!-- include order -->") inside = true;
    }
    return order;
}

floors floors_of(const lines& order) {
    floors found;
    for (std::size_t height = 0; height < order.size(); ++height) {
        const lines rooms = split(order[height], '|');
        for (std::size_t room = 0; room < rooms.size(); ++room) {
            std::istringstream names(rooms[room]);
            for (std::string name; names >> name;) found[name] = {height, room};
        }
    }
    return found;
}

// The entry that speaks of the file: itself, or the nearest folder that is listed. Empty where there is none.
std::string entry_for(std::string path, const floors& order) {
    while (!path.empty() && order.count(path) == 0) path = fs::path(path).parent_path().generic_string();
    return path;
}

// Files of ours that the file includes: <tidepool/…> lies under include/, quoted names beside the file or in a folder
// of the include path.
lines includes_of(const std::string& path, const source_tree& files) {
    static const std::regex directive(R"(^[ \t]*#[ \t]*include[ \t]*(<tidepool/|")([^">]+)[">])",
                                      std::regex::multiline);
    const std::string& text = files.at(path);
    lines names;
    for (std::sregex_iterator at(text.begin(), text.end(), directive), end; at != end; ++at) {
        const std::string name = (*at)[2].str(),
                          beside = (fs::path(path).parent_path() / name).lexically_normal().generic_string();
        const bool quoted = (*at)[1] == "\"";
        // The shim's own folder is in its include path, and the root in that of what takes in jemalloc.
        const lines places =
            quoted ? lines{beside, "src/" + name, "adapters/preload/" + name, name} : lines{"include/tidepool/" + name};
        const auto at_place = std::find_if(places.begin(), places.end(),
                                           [&](const std::string& place) { return files.count(place) != 0; });
        names.push_back(at_place != places.end() ? *at_place : name);
    }
    return names;
}

// A header together with its .cpp.
std::string unit_of(const std::string& path) { return fs::path(path).replace_extension().generic_string(); }

using includes = std::map<std::string, std::set<std::string>>;  // unit -> units

// The units from one to itself again, if there is such a way. `way` led here; what was passed before is on none.
lines cycle_from(const std::string& unit, const includes& graph, lines way, std::set<std::string>& passed) {
    const auto before = std::find(way.begin(), way.end(), unit);
    const bool closed = before != way.end();
    way.erase(way.begin(), closed ? before : way.begin());
    way.push_back(unit);
    if (closed) return way;
    if (const auto from = graph.find(unit); passed.insert(unit).second && from != graph.end())
        for (const std::string& next : from->second)
            if (lines cycle = cycle_from(next, graph, way, passed); !cycle.empty()) return cycle;
    return {};
}

lines complaints(const lines& order, const source_tree& files) {
    lines found;
    const floors listed = floors_of(order);
    for (const auto& entry : listed)
        if (std::none_of(files.begin(), files.end(),
                         [&](const auto& file) { return entry_for(file.first, listed) == entry.first; }))
            found.push_back(entry.first + " is listed and nothing stands there");

    includes graph;  // of units on one floor
    for (const auto& file : files) {
        const std::string &path = file.first, here = entry_for(path, listed);
        if (here.empty()) {
            found.push_back(path + " stands on no floor");
            continue;
        }
        for (const std::string& included : includes_of(path, files)) {
            const std::string there = entry_for(included, listed);
            if (files.count(included) == 0)
                found.push_back(path + " includes " + included + ", which does not exist");
            else if (there.empty())
                continue;  // told of itself
            else if (listed.at(there).height > listed.at(here).height)
                found.push_back(path + " includes " + included + ", which stands above it");
            else if (listed.at(there).height == listed.at(here).height && listed.at(there) != listed.at(here))
                found.push_back(path + " includes " + included + ", which stands beside it");
            else if (listed.at(there) == listed.at(here) && unit_of(path) != unit_of(included))
                graph[unit_of(path)].insert(unit_of(included));
        }
    }

    std::set<std::string> passed;
    for (const auto& node : graph) {
        std::string told;
        for (const std::string& unit : cycle_from(node.first, graph, {}, passed))
            told += (told.empty() ? "" : " includes ") + unit;
        if (!told.empty()) found.push_back(told);
    }
    return found;
}

TEST_CASE("a file includes only its own floor and lower ones, without a cycle") {
    const lines order = listed_in(text_of(root / "src/README.md"));
    REQUIRE_MESSAGE(!order.empty(), "src/README.md has no list between its marks");
    for (const std::string& complaint : complaints(order, library())) FAIL_CHECK(complaint);
}

TEST_CASE("the floors are read from between their marks") {
    CHECK(listed_in("x\n<!-- include order -->\n```\nsrc/a\n\nsrc/b | src/c\n```\n<!-- /include order -->\ny\n") ==
          lines{"src/a", "src/b | src/c"});
    CHECK(floors_of({"src/a a.hpp", "src/b | src/c"}) ==
          floors{{"src/a", {0, 0}}, {"a.hpp", {0, 0}}, {"src/b", {1, 0}}, {"src/c", {1, 1}}});
}

TEST_CASE("breaches of the include order are found") {
    const source_tree files{
        {"include/tidepool/face.hpp", "#include <tidepool/detail/deep.hpp>\n#include <vector>\n"},
        {"include/tidepool/detail/deep.hpp", "#pragma once\n"},
        {"src/low/one.hpp", "// #include \"high/high.hpp\"\n#include \"low/two.hpp\"\n"},
        {"src/low/one.cpp", "#include \"low/one.hpp\"\n"},
        {"src/low/two.hpp", "#include <tidepool/detail/deep.hpp>\n"},
        {"src/low/two.cpp", "#include \"two.hpp\"\n"},
        {"src/left/left.hpp", "#include \"low/one.hpp\"\n"},
        {"src/right/deeper/right.hpp", "#include \"low/two.hpp\"\n"},
        {"src/high/high.hpp", "#include \"left/left.hpp\"\n  # include <tidepool/face.hpp>\n"},
        {"adapters/on/top.cpp", "#include \"high/high.hpp\"\n"},
    };
    const lines good{"include/tidepool/detail", "src/low",  "src/left | src/right",
                     "include/tidepool",        "src/high", "adapters"};
    CHECK(complaints(good, files) == lines{});

    CHECK(complaints({good[0], good[1], good[2], good[4], good[3], good[5]}, files) ==
          lines{"src/high/high.hpp includes include/tidepool/face.hpp, which stands above it"});
    CHECK(complaints({good[0], good[1], good[2], good[3], good[4]}, files) ==
          lines{"adapters/on/top.cpp stands on no floor"});
    CHECK(complaints({good[0], good[1], good[2], good[3], good[4], good[5], "src/gone"}, files) ==
          lines{"src/gone is listed and nothing stands there"});

    // A file listed by itself stands there and not with its folder.
    CHECK(complaints({"include/tidepool/face.hpp src/high/high.hpp", good[0], good[1], good[2], good[5]}, files) ==
          lines{"include/tidepool/face.hpp includes include/tidepool/detail/deep.hpp, which stands above it",
                "src/high/high.hpp includes src/left/left.hpp, which stands above it"});

    source_tree strayed = files;
    strayed["src/left/left.hpp"] = "#include \"right/deeper/right.hpp\"\n";
    CHECK(complaints(good, strayed) ==
          lines{"src/left/left.hpp includes src/right/deeper/right.hpp, which stands beside it"});

    strayed = files;
    strayed["include/tidepool/face.hpp"] = "#include \"high/high.hpp\"\n";
    strayed["src/low/one.cpp"] = "#include \"nowhere.hpp\"\n";
    CHECK(complaints(good, strayed) ==
          lines{"include/tidepool/face.hpp includes src/high/high.hpp, which stands above it",
                "src/low/one.cpp includes nowhere.hpp, which does not exist"});
}

TEST_CASE("a cycle on one floor is found") {
    source_tree files{
        {"src/low/one.hpp", ""},
        {"src/low/one.cpp", "#include \"one.hpp\"\n#include \"two.hpp\"\n"},
        {"src/low/two.hpp", "#include \"three.hpp\"\n"},
        {"src/low/three.hpp", ""},
        {"src/low/three.cpp", "#include \"three.hpp\"\n"},
    };
    CHECK(complaints({"src/low"}, files) == lines{});
    // Though no header includes itself: three.cpp needs one, and one.cpp needs, by way of two, three.
    files["src/low/three.cpp"] += "#include \"one.hpp\"\n";
    CHECK(complaints({"src/low"}, files) ==
          lines{"src/low/one includes src/low/two includes src/low/three includes src/low/one"});
}

}  // namespace
