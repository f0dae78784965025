// sort on the lines of real text: what /usr/include and /usr/share/doc have of it, over and over.
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "index/corpus.hpp"
#include "programs/programs.hpp"
#include "support/child.hpp"
#include "support/command.hpp"
#include "support/files.hpp"

namespace bench {

namespace {

void write_text(const std::string& to, std::size_t bytes_least) {
    const corpus text({"/usr/include", "/usr/share/doc"}, bytes_least);
    if (text.text().empty()) throw std::runtime_error("no text to sort");
    std::ofstream out(to, std::ios::binary);
    for (std::size_t written = 0; written < bytes_least; written += text.text().size()) out << text.text() << '\n';
}

}  // namespace

real_program sort_lines() {
    return {
        "run-sort", 2, false, [](const std::filesystem::path& folder, bool quick) {
            const std::string input = folder / "input.txt", output = folder / "output.txt";
            in_child([&] {
                write_text(input, (quick ? 16U : 128U) << 20);
                return nlohmann::json();
            });
            return [=](const std::string& preload) {
                const finished r = run({{"/usr/bin/sort", "--parallel=2", "-T", folder, "-o", output, input}, preload});
                return program_run{r.wall_ms, r.cpu_ms, r.peak_kib, fmt::format("{:016x}", checksum(output))};
            };
        }};
}

}  // namespace bench
