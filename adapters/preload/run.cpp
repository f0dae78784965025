// tidepool-run: starts a program with the malloc shim preloaded.
//
// It sets the environment and then executes the program in its own process, so that signals, exit status and process id
// are the program's. Its own exit status, as that of env and shells: 2 for a bad command line, 127 if the program does
// not exist, 126 if it cannot be run or no library can be preloaded into it.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "program_file.hpp"

// From CMake: TIDEPOOL_VERSION; TIDEPOOL_LIBRARY_FOLDER, where the library is installed; and
// TIDEPOOL_LIBRARY_FROM_HERE, the same relative to the folder of this program.

namespace {

constexpr char usage[] =
    "usage: tidepool-run [option…] [--] program [argument…]\n"
    "Runs a program with libtidepool_malloc.so in place of its malloc.\n"
    "\n"
    "  --stats          print what was counted to stderr when the program exits\n"
    "  --stats=FILE     write it to FILE as JSON instead; FILE ends in .json, %%p in it is the process id\n"
    "  --decay MS       return memory that was not used for two ticks of MS milliseconds, 0 to %ld;\n"
    "                   default %ld; 0: only when the program calls malloc_trim\n"
    "  --background     tick by a thread of its own, so that an idle program returns memory, too\n"
    "  --upstream NAME  where the memory comes from: libc, mimalloc, jemalloc or pages, if they were built;\n"
    "                   default libc\n"
    "  --hardened       stop the program where it misuses malloc, with a message; over libc only, and slower\n"
    "  --help, --version\n"
    "\n"
    "Exit status: the program's own; 2 for a bad command line, 127 if there is no such program, 126 if it cannot\n"
    "be run with the library.\n";

constexpr long decay_ms_max = tidepool::detail::limits::decay_interval_max.count();
constexpr long decay_ms_default = tidepool::detail::limits::decay_interval_default.count();

[[noreturn]] void stop(int exit_status, const std::string& why) {
    std::fprintf(stderr, "tidepool-run: %s\n", why.c_str());
    std::exit(exit_status);
}

struct choices {
    std::string stats;  // value of TIDEPOOL_STATS; empty: not set
    std::string decay;  // value of TIDEPOOL_DECAY_MS; empty: not set
    std::string upstream = "libc";
    bool background = false;
    bool hardened = false;
    char** command = nullptr;  // the program and its arguments, with null at the end
};

bool is_decay(const std::string& text) {
    return !text.empty() && text.size() <= 8 && text.find_first_not_of("0123456789") == std::string::npos &&
           std::stol(text) <= decay_ms_max;
}

// A file's path is relative to the folder that the command was typed in, even if the program changes its folder.
std::string absolute(const std::string& file) {
    if (file[0] == '/') return file;
    char* here = getcwd(nullptr, 0);
    if (!here) return file;
    std::string path = std::string(here) + "/" + file;
    std::free(here);
    return path;
}

std::string checked_upstream(const std::string& name) {
    if (name != "libc" && name != "mimalloc" && name != "jemalloc" && name != "pages")
        stop(2, "--upstream " + name + ": there are libc, mimalloc, jemalloc and pages");
    return name;
}

choices read_command_line(int argc, char** argv) {
    choices chosen;
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; ++at) {
        const std::string argument = argv[at];
        const std::string name = argument.substr(0, argument.find('='));
        const bool has_value = name.size() < argument.size();
        const auto value = [&] {
            if (has_value) return argument.substr(name.size() + 1);
            if (++at == argc) stop(2, name + " needs a value (--help tells more)");
            return std::string(argv[at]);
        };
        const bool takes_value = name == "--stats" || name == "--decay" || name == "--upstream";
        if (argument == "--") {
            ++at;
            break;
        }
        if (has_value && !takes_value) stop(2, "unknown option " + argument + " (--help tells what there is)");
        if (name == "--help") {
            std::printf(usage, decay_ms_max, decay_ms_default);
            std::exit(0);
        } else if (name == "--version") {
            std::puts("tidepool-run " TIDEPOOL_VERSION);
            std::exit(0);
        } else if (name == "--stats") {
            chosen.stats = has_value ? value() : "1";
            if (has_value && (chosen.stats.size() < 6 || !chosen.stats.ends_with(".json")))
                stop(2, argument + ": the file's name must end in .json");
            if (has_value) chosen.stats = absolute(chosen.stats);
        } else if (name == "--decay") {
            chosen.decay = value();
            if (!is_decay(chosen.decay))
                stop(2, "--decay " + chosen.decay + ": allowed is 0 to " + std::to_string(decay_ms_max));
        } else if (name == "--background") {
            chosen.background = true;
        } else if (name == "--hardened") {
            chosen.hardened = true;
        } else if (name == "--upstream") {
            chosen.upstream = checked_upstream(value());
        } else {
            stop(2, "unknown option " + argument + " (--help tells what there is)");
        }
    }
    if (chosen.hardened && chosen.upstream != "libc") stop(2, "--hardened is over libc, not " + chosen.upstream);
    if (at == argc) stop(2, "which program? (--help tells more)");
    chosen.command = argv + at;
    return chosen;
}

// In the folder of this program, in the library's folder relative to that, in ../lib, or where it was installed.
std::string find_library(const std::string& flavour) {
    const std::string name = "libtidepool_malloc" + (flavour == "libc" ? "" : "_" + flavour) + ".so";
    std::vector<std::string> folders;
    char self[4096];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
    if (length > 0 && length < static_cast<ssize_t>(sizeof self)) {
        const std::string_view path(self, static_cast<std::size_t>(length));
        const std::string here(path.substr(0, path.rfind('/')));
        folders = {here, here + "/" + TIDEPOOL_LIBRARY_FROM_HERE, here + "/../lib"};
    }
    folders.emplace_back(TIDEPOOL_LIBRARY_FOLDER);
    std::string seen;
    for (const std::string& folder : folders) {
        char* real = realpath(folder.c_str(), nullptr);  // without the /../
        std::string library = (real ? real : folder) + "/" + name;
        std::free(real);
        if (launcher::is_regular_file(library)) return library;
        seen += (seen.empty() ? "" : ", ") + folder;
    }
    stop(126, name + " is in none of: " + seen);
}

void set(const char* name, const std::string& value) {
    if (setenv(name, value.c_str(), true) != 0) stop(126, std::string(name) + ": " + std::strerror(errno));
}

// Before other libraries: of several mallocs the first is used.
void preload(const std::string& library) {
    if (library.find_first_of(" :") != std::string::npos)
        stop(126, library + ": LD_PRELOAD cannot carry a path with a space or a colon");
    const char* others = std::getenv("LD_PRELOAD");
    set("LD_PRELOAD", others && *others ? library + ":" + others : library);
}

}  // namespace

int main(int argc, char** argv) {
    const choices chosen = read_command_line(argc, argv);
    const std::string library = find_library(chosen.hardened ? "hardened" : chosen.upstream);
    const auto [program, found] = launcher::find_program(chosen.command[0]);
    if (found.exit_status != 0) stop(found.exit_status, found.why);
    const launcher::verdict end = launcher::examine(program, library);
    if (end.exit_status != 0) stop(end.exit_status, end.why);

    preload(library);
    if (!chosen.stats.empty()) set("TIDEPOOL_STATS", chosen.stats);
    if (!chosen.decay.empty()) set("TIDEPOOL_DECAY_MS", chosen.decay);
    if (chosen.background) set("TIDEPOOL_BACKGROUND", "1");
    execvp(program.c_str(), chosen.command);  // not execv: the shell runs a script without a #! line
    stop(126, program + ": " + std::strerror(errno));
}
