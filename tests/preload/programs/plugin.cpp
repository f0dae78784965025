// The plugin that plugins.c opens.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

// Exists while the plugin is open.
std::map<int, std::string> table = [] {
    std::map<int, std::string> made;
    for (int i = 0; i < 300; ++i) made[i] = std::string(static_cast<std::size_t>(i) * 3, 't');
    return made;
}();

// Volatile, since the compiler knows that this size is impossible.
std::size_t impossible() {
    std::size_t bytes = PTRDIFF_MAX;
    asm volatile("" : "+r"(bytes));
    return bytes;
}

bool throws_bad_alloc() {
    try {
        ::operator delete(::operator new(impossible()));
    } catch (const std::bad_alloc&) {
        return ::operator new(impossible(), std::nothrow) == nullptr;
    }
    return false;
}

bool hears_its_handler() {
    static int calls;
    calls = 0;
    const auto before = std::set_new_handler([] {
        if (++calls >= 3) throw std::bad_alloc();
    });
    const bool threw = throws_bad_alloc();
    std::set_new_handler(before);
    return threw && calls >= 3;
}

}  // namespace

// Returns 0 or the number of the step that failed.
extern "C" int plugin_run() {
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < 1000; ++i) lines.emplace_back(i, 'l');
    if (lines.back().size() != 999 || table.size() != 300) return 1;
    try {
        throw std::runtime_error(lines.back());
    } catch (const std::exception& error) {
        if (error.what() != lines.back()) return 2;
    }
    std::size_t in_thread = 0;
    std::thread([&] { in_thread = std::vector<std::string>(100, std::string(100, 'x')).size(); }).join();
    if (in_thread != 100) return 3;
    if (!throws_bad_alloc()) return 4;
    return hears_its_handler() ? 0 : 5;
}
extern "C" void* plugin_take(std::size_t bytes) { return ::operator new(bytes); }
extern "C" void plugin_give(void* p) { ::operator delete(p); }
