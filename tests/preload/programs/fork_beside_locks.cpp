// Threads fork while others hold locks of libc's and allocate: stdio's list and its files, the user database, locales,
// the loader. fork() takes the first two after all fork handlers have run, so nobody may wait for the fork with one in
// hand.
#include <dlfcn.h>
#include <locale.h>
#include <pwd.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "program.hpp"
#include "scale.hpp"

namespace {

using programs::require;

std::atomic<bool> done{false};  // relaxed: seen some time

template <class Work>
std::thread again_and_again(Work work) {
    return std::thread([work] {
        while (!done.load(std::memory_order_relaxed)) work();
    });
}

void write_and_read() {
    std::FILE* file = std::tmpfile();
    require(file, "there are temporary files");
    for (int i = 0; i < 300; ++i) std::fprintf(file, "%d %0*d\n", i, i, 0);
    std::rewind(file);
    char* line = nullptr;
    std::size_t room = 0;
    int lines = 0;
    while (getline(&line, &room, file) > 0) ++lines;
    require(lines == 300, "what is written is read");
    std::free(line);
    std::fclose(file);
}

void write_to_memory() {
    char* text = nullptr;
    std::size_t length = 0;
    std::FILE* file = open_memstream(&text, &length);
    for (int i = 0; i < 1000; ++i) std::fprintf(file, "%d\n", i);
    std::fclose(file);
    require(length == 3890, "what is written to memory is there");
    std::free(text);
}

void look_up_a_user() {
    passwd entry, *found = nullptr;
    std::vector<char> room(16'384);
    getpwuid_r(0, &entry, room.data(), room.size(), &found);
}

void make_a_locale() {
    if (locale_t made = newlocale(LC_ALL_MASK, "C.UTF-8", nullptr)) freelocale(made);
}

void fork_and_wait(std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
        std::fflush(nullptr);
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            std::free(programs::take(100));
            std::free(programs::take(100'000));
            std::_Exit(0);
        }
        require(child > 0, "fork works");
        int status = -1;
        while (waitpid(child, &status, 0) < 0) require(errno == EINTR, "the child is waited for");
        require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child has ended well");
    }
}

}  // namespace

int main(int, char** arguments) {
    alarm(250);  // where it hangs it ends here
    const std::string plugin = arguments[1];
    std::vector<std::thread> others;
    for (int i = 0; i < 3; ++i) others.push_back(again_and_again(write_and_read));
    others.push_back(again_and_again(write_to_memory));
    others.push_back(again_and_again(look_up_a_user));
    others.push_back(again_and_again(make_a_locale));
    others.push_back(again_and_again([&plugin] {
        void* opened = dlopen(plugin.c_str(), RTLD_NOW);
        require(opened, "a library can be opened");
        dlclose(opened);
    }));
    others.push_back(again_and_again([] { std::free(std::realloc(programs::take(40'000), 90'000)); }));
    std::thread also([] { fork_and_wait(support::scaled(40)); });
    fork_and_wait(support::scaled(40));
    also.join();
    done.store(true, std::memory_order_relaxed);
    for (std::thread& each : others) each.join();
}
