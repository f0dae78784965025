// The top level of the tree is fixed, so that a newcomer sees at once what there is. What git does not track (builds,
// an editor's files) is nobody's business.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

#include "tree.hpp"

namespace {

using namespace structure;

const std::set<std::string> folders{"src", "include", "adapters", "tests", "bench"};
const std::set<std::string> files{"CMakeLists.txt", "README.md", "LICENSE", "CHANGELOG.md", "CMakePresets.json"};

// What of the tracked files' top level is not meant to be there; names that begin with a dot may be.
std::set<std::string> strays(const lines& tracked) {
    std::set<std::string> found;
    for (const std::string& path : tracked) {
        const auto slash = path.find('/');
        const std::string name = path.substr(0, slash);
        if (name[0] != '.' && (slash == std::string::npos ? files : folders).count(name) == 0) found.insert(name);
    }
    return found;
}

TEST_CASE("the top level holds nothing but what it was laid out for") {
    for (const std::string& name : folders) CHECK_MESSAGE(fs::is_directory(root / name), name);
    for (const std::string& name : files) CHECK_MESSAGE(fs::is_regular_file(root / name), name);
    if (const auto tracked = tracked_files())
        for (const std::string& name : strays(*tracked)) FAIL_CHECK(name);
    else
        MESSAGE("git does not say what is part of the tree: not looked for what else there is");
}

TEST_CASE("a stray at the top level is found") {
    CHECK(strays({"src/base/pages.cpp", "README.md", ".ci/run", ".gitignore"}).empty());
    CHECK(strays({"tools/run", "notes.md", "src", "LICENSE/text"}) ==
          std::set<std::string>{"tools", "notes.md", "src", "LICENSE"});
}

}  // namespace
