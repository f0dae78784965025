// How long files and functions of the library may be, and that editors find its functions: universal ctags stands for
// what they use.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "functions.hpp"
#include "tree.hpp"

namespace {

using namespace structure;

constexpr std::size_t file_lines_max = 300, function_lines_max = 50;

std::vector<function> functions_in(const std::string& text) {
    function_finder finder(text);
    auto found = finder.find();
    REQUIRE(finder.balanced());
    return found;
}

// Of each function that ctags finds in the files: path, name and the lines of its name and its end.
std::optional<std::map<std::string, std::vector<function>>> tags_of(const source_tree& files) {
    std::string command = "cd '" + root.string() +
                          "' && ctags -f - --languages=C++ --language-force=C++ --kinds-C++=f " +
                          "--fields=ne --sort=no --excmd=number";
    for (const auto& file : files) command += " '" + file.first + "'";
    const auto said = output_of(command);
    if (!said) return {};
    std::map<std::string, std::vector<function>> found;
    for (const std::string& line : split(*said)) {
        const lines fields = split(line, '\t');
        function tag{};
        for (const std::string& field : fields) {
            if (field.starts_with("line:")) tag.first_line = std::stoul(field.substr(5));
            if (field.starts_with("end:")) tag.last_line = std::stoul(field.substr(4));
        }
        tag.name = fields.at(0);
        std::erase(tag.name, ' ');
        if (!tag.name.starts_with("__anon")) found[fields.at(1)].push_back(tag);  // but for lambdas
    }
    return found;
}

// How many of the first are among the second, too; the others are told of.
std::size_t common(const std::vector<function>& these, const std::vector<function>& those, lines& missing) {
    std::size_t n = 0;
    for (const function& each : these) {
        const bool found = std::any_of(those.begin(), those.end(), [&](const function& other) {
            return other.name == each.name && other.last_line == each.last_line;
        });
        n += found;
        if (!found) missing.push_back(each.name + " at line " + std::to_string(each.first_line));
    }
    return n;
}

TEST_CASE("no file of the library has more than 300 lines") {
    for (const auto& file : library()) {
        const std::string &path = file.first, &text = file.second;
        const auto n = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
        CHECK_MESSAGE(n <= file_lines_max, path << " has " << n << " lines");
    }
}

TEST_CASE("no function of the library has more than 50 lines") {
    std::size_t found = 0;
    for (const auto& file : library()) {
        const std::string &path = file.first, &text = file.second;
        for (const function& each : functions_in(text)) {
            ++found;
            CHECK_MESSAGE(each.length() <= function_lines_max, path << ": " << each.name << " has " << each.length());
        }
    }
    CHECK(found > 500);
}

TEST_CASE("ctags finds the functions of the library, at least 95 of 100") {
    const auto version = output_of("ctags --version 2>/dev/null");
    if (!version || version->find("Universal Ctags") == std::string::npos) {
        MESSAGE("skipped: universal-ctags is not installed");
        return;
    }
    const source_tree files = library();
    const auto tags = tags_of(files);
    REQUIRE(tags);
    std::size_t functions = 0, tagged = 0, all_tags = 0, known_tags = 0;
    lines untagged, unknown;
    for (const auto& file : files) {
        const std::string &path = file.first, &text = file.second;
        const auto ours = functions_in(text);
        const auto theirs = tags->count(path) != 0 ? tags->at(path) : std::vector<function>{};
        functions += ours.size();
        all_tags += theirs.size();
        lines here, there;
        tagged += common(ours, theirs, here);
        known_tags += common(theirs, ours, there);
        for (const std::string& each : here) untagged.push_back(path + ": " + each);
        for (const std::string& each : there) unknown.push_back(path + ": " + each);
    }
    const auto joined = [](const lines& all) {
        std::string text;
        for (const std::string& each : all) text += "\n" + each;
        return text;
    };
    MESSAGE("ctags finds " << tagged << " of " << functions << " functions");
    CHECK_MESSAGE(tagged * 100 >= functions * 95, "ctags misses:" << joined(untagged));
    // And that what it is compared with sees the functions itself.
    CHECK_MESSAGE(known_tags * 100 >= all_tags * 95, "ctags alone finds:" << joined(unknown));
}

TEST_CASE("functions are found by their braces") {
    const std::string text = R"(#include <x>
#define NOT_ONE(x) {
namespace a {
inline namespace b {
// int none() { }
enum class kind : int { one, two };
template <class T, class = decltype(f({}))>
requires requires(T t) { t.g(); }
class [[nodiscard]] box : public base<T> {
public:
    explicit box(int a = {1})
        : a_{a}, b_(a) {
        if (a) {
        }
    }
    ~box() { }
    box& operator=(const box&) = delete;
    bool operator==(const box&) const noexcept { return "}" == '}'; }
    void operator()() { [] { }(); }
    alignas(64) int a_{0};
    std::atomic<int> b_ = {f(1)};
private:
    auto call(auto f) const noexcept(noexcept(f())) -> int
    TIDEPOOL_REQUIRES(lock_) {
    }
    struct inner {
        int get() const { return 1'000; }
    } inner_;
};
#if ONE
void twice() {
#else
void twice(int) {
#endif
}
constexpr auto table = [](int) { return 1; }(2);
extern "C" {
void* plain(struct other* o) { return o; }
}
}}
)";
    const std::vector<function> expected{{"box", 11, 15},        {"~box", 16, 16}, {"operator==", 18, 18},
                                         {"operator()", 19, 19}, {"call", 23, 25}, {"get", 27, 27},
                                         {"twice", 31, 35},      {"plain", 38, 38}};
    const auto found = functions_in(text);
    std::string names;
    for (const function& each : found)
        names += each.name + " " + std::to_string(each.first_line) + " " + std::to_string(each.last_line) + ", ";
    CHECK_MESSAGE(found == expected, names);
    CHECK_FALSE([] {
        function_finder finder("void f() { if (x) { }");
        finder.find();
        return finder.balanced();
    }());
}

}  // namespace
