#include "settings.hpp"

#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>

#include "base/uncancelled.hpp"

namespace tidepool {
inline namespace TIDEPOOL_ABI {
namespace preload {

namespace {

using std::string_view;

constexpr string_view prefix = "TIDEPOOL_", json = ".json";
constexpr std::size_t name_max = 32;

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < ' ' || c == 127; }

// One line to stderr; longer ones are cut, and what would end it or steer a terminal is a question mark.
template <class... Values>
void say(const char* format, Values... values) noexcept {
    char line[512];
    const int wanted = std::snprintf(line, sizeof line, format, values...);
    const auto length = static_cast<std::size_t>(std::clamp(wanted, 0, static_cast<int>(sizeof line) - 1));
    std::replace_if(line, line + length, is_control, '?');
    line[length ? length - 1 : 0] = '\n';
    [[maybe_unused]] const auto written = detail::uncancelled::write(STDERR_FILENO, line, length);
}

// As the members of string_view, which need the C++ runtime library for their exceptions.
string_view first(string_view text, std::size_t count) noexcept { return {text.data(), std::min(count, text.size())}; }
string_view after(string_view text, std::size_t count) noexcept {
    const std::size_t skipped = std::min(count, text.size());
    return {text.data() + skipped, text.size() - skipped};
}
bool begins_with(string_view text, string_view with) noexcept { return first(text, with.size()) == with; }
bool ends_with(string_view text, string_view with) noexcept {
    return text.size() >= with.size() && after(text, text.size() - with.size()) == with;
}

int width(string_view text) noexcept { return static_cast<int>(std::min<std::size_t>(text.size(), 128)); }

// A name and value, and where they are from.
struct assignment {
    string_view variable;  // as the user wrote it
    string_view name;      // in lower case
    string_view value;

    void refuse(const char* allowed, const char* instead) const noexcept {
        say("tidepool: %.*s=%.*s: allowed is %s; using %s\n", width(variable), variable.data(), width(value),
            value.data(), allowed, instead);
    }
};

void set_number(const assignment& a, long& field, long least, long most) noexcept {
    long value;
    const auto [end, error] = std::from_chars(a.value.data(), a.value.data() + a.value.size(), value);
    if (error == std::errc{} && end == a.value.data() + a.value.size() && value >= least && value <= most) {
        field = value;
        return;
    }
    char allowed[64], instead[32];
    std::snprintf(allowed, sizeof allowed, "%ld to %ld", least, most);
    std::snprintf(instead, sizeof instead, "%ld", field);
    a.refuse(allowed, instead);
}

void set_stats(const assignment& a, settings& s) noexcept {
    constexpr const char* allowed = "0, 1 or a file name that ends in .json";
    if (a.value == "0" || a.value == "1") {
        s.stats = a.value == "1";
        s.stats_file[0] = '\0';
    } else if (!ends_with(a.value, json) || a.value.size() >= s.stats_file.size()) {
        a.refuse(allowed, s.stats ? "1" : "0");
    } else if (::getauxval(AT_SECURE)) {
        a.refuse("0 or 1 in a set-user-id program", s.stats ? "1" : "0");
    } else {
        s.stats = true;
        *std::copy(a.value.begin(), a.value.end(), s.stats_file.begin()) = '\0';
    }
}

void set(const assignment& a, settings& s) noexcept {
#define TIDEPOOL_PRELOAD_SET(field, by_default, least, most, meaning) \
    if (a.name == #field) return set_number(a, s.field, least, most);
    TIDEPOOL_PRELOAD_SETTINGS(TIDEPOOL_PRELOAD_SET)
#undef TIDEPOOL_PRELOAD_SET
    if (a.name == "stats") return set_stats(a, s);
#define TIDEPOOL_PRELOAD_NAME(field, by_default, least, most, meaning) #field ", "
    a.refuse("as a name " TIDEPOOL_PRELOAD_SETTINGS(TIDEPOOL_PRELOAD_NAME) "stats, options", "none");
#undef TIDEPOOL_PRELOAD_NAME
}

void read_list(string_view list, settings& s) noexcept {
    while (!list.empty()) {
        const string_view item = first(list, list.find(','));
        list = after(list, item.size() + 1);
        if (item.empty()) continue;
        const string_view name = first(item, item.find('='));
        std::array<char, 64> variable;
        const int length =
            std::snprintf(variable.data(), variable.size(), "TIDEPOOL_OPTIONS: %.*s", width(name), name.data());
        set({first({variable.data(), variable.size() - 1}, static_cast<std::size_t>(length)), name,
             after(item, name.size() + 1)},
            s);
    }
}

// Calls use(name, value) for each TIDEPOOL_ variable, with the name in lower case and without the prefix. Not for those
// of the project's tests.
template <class Use>
void for_variables(Use use) noexcept {
    for (char** each = environ; each && *each; ++each) {
        const string_view text(*each);
        const std::size_t equals = text.find('=');
        if (!begins_with(text, prefix) || begins_with(text, "TIDEPOOL_TEST") || equals == string_view::npos) continue;
        const string_view variable = first(text, equals);
        char lower[name_max];
        const std::size_t length = std::min(variable.size() - prefix.size(), name_max);
        std::transform(variable.begin() + prefix.size(), variable.begin() + prefix.size() + length, lower,
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
        use(assignment{variable, {lower, length}, after(text, equals + 1)});
    }
}

}  // namespace

void settings::read() noexcept {
    for_variables([&](const assignment& a) {
        if (a.name == "options") read_list(a.value, *this);
    });
    for_variables([&](const assignment& a) {
        if (a.name != "options") set(a, *this);
    });
}

}  // namespace preload
}  // namespace TIDEPOOL_ABI
}  // namespace tidepool
