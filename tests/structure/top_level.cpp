// The top level of the tree is fixed, so that a newcomer sees at once what there is.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

TEST_CASE("the top level holds only the planned files and folders") {
    const std::set<std::string> folders{"src", "include", "adapters", "tests", "bench", "build"};
    const std::set<std::string> files{"CMakeLists.txt", "README.md", "LICENSE", "CHANGELOG.md", "CMakePresets.json"};
    for (const auto& entry : std::filesystem::directory_iterator(TIDEPOOL_SOURCE_DIR)) {
        const std::string name = entry.path().filename().string();
        const bool known = entry.is_directory() ? folders.count(name) != 0 : files.count(name) != 0;
        CHECK_MESSAGE((known || name[0] == '.'), name);
    }
    for (const std::string& name : files)
        CHECK_MESSAGE(std::filesystem::exists(std::filesystem::path(TIDEPOOL_SOURCE_DIR) / name), name);
}
