// The names of tests are sentences that fit a line: at most 80 characters.
#include <doctest/doctest.h>

#include <cstddef>
#include <regex>
#include <string>

#include "tree.hpp"

namespace {

using namespace structure;

constexpr std::size_t longest_name = 80;

// Characters, not bytes, of UTF-8.
std::size_t characters(const std::string& text) {
    std::size_t n = 0;
    for (const char each : text) n += (static_cast<unsigned char>(each) & 0xC0) != 0x80;
    return n;
}

// The names of a file's test cases and their parts, as far as they are literals. Adjacent literals are one.
lines names_in(const std::string& text) {
    static const std::regex named(R"re(\b(?:TEST_CASE|TEST_CASE_TEMPLATE|TEST_CASE_TEMPLATE_DEFINE|SUBCASE)\s*\(\s*)re"
                                  R"re(("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*))re");
    static const std::regex between(R"re("\s*")re");
    lines names;
    for (std::sregex_iterator at(text.begin(), text.end(), named), end; at != end; ++at) {
        const std::string joined = std::regex_replace((*at)[1].str(), between, "");
        names.push_back(joined.substr(1, joined.size() - 2));
    }
    return names;
}

TEST_CASE("the names of tests have at most 80 characters") {
    std::size_t found = 0;
    for (const std::string& path : source_files()) {
        if (!is_cpp(path) || !lies_in(path, "tests")) continue;
        for (const std::string& name : names_in(text_of(root / path))) {
            ++found;
            CHECK_MESSAGE(characters(name) <= longest_name, path << ": " << name);
        }
    }
    CHECK(found > 200);
}

TEST_CASE("names of tests are found and measured") {
    const std::string test = "TEST";
    CHECK(names_in(test + "_CASE(\"one\") {\n    SUBCASE( \"t\\\"w\" \n \"o\") {}\n" + test +
                   "_CASE_TEMPLATE(\"three\", T)") == lines{"one", "t\\\"wo", "three"});
    CHECK(characters("päns…") == 5);
}

}  // namespace
