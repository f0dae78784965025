// python3 parsing and writing JSON in threads, one document after the other.
#include <fstream>

#include <nlohmann/json.hpp>

#include "programs/programs.hpp"
#include "support/child.hpp"
#include "support/command.hpp"
#include "support/dice.hpp"

namespace bench {

namespace {

std::string word(dice& random, std::uint32_t letters_max) {
    std::string text(1 + scaled(random.roll(), letters_max), ' ');
    for (char& c : text) c = static_cast<char>('a' + scaled(random.roll(), 26));
    return text;
}

// Like the answer of some web service: records with numbers, strings short and long, lists, and records within.
nlohmann::json document(std::size_t records) {
    dice random(1);
    nlohmann::json all = nlohmann::json::array();
    for (std::size_t i = 0; i < records; ++i) {
        nlohmann::json tags = nlohmann::json::array(), points = nlohmann::json::array();
        for (std::uint32_t n = scaled(random.roll(), 8); n > 0; --n) tags.push_back(word(random, 12));
        for (std::uint32_t n = scaled(random.roll(), 40); n > 0; --n)
            points.push_back(static_cast<double>(scaled(random.roll(), 1'000'000)) / 64);
        all.push_back({{"id", i},
                       {"name", word(random, 30)},
                       {"text", word(random, 2000)},
                       {"tags", tags},
                       {"points", points},
                       {"owner", {{"name", word(random, 20)}, {"age", scaled(random.roll(), 90)}, {"of", nullptr}}}});
    }
    return all;
}

}  // namespace

real_program json_in_threads() {
    return {"run-json", 2, false, [](const std::filesystem::path& folder, bool quick) {
                const std::string input = folder / "input.json";
                in_child([&] {
                    std::ofstream(input) << document(quick ? 1000 : 6000);
                    return nlohmann::json();
                });
                return [=](const std::string& preload) {
                    const std::string script = TIDEPOOL_SOURCE_DIR "/bench/programs/json_threads.py";
                    const finished r = run({{"/usr/bin/python3", "-I", script, input, "2", "3"}, preload});
                    return program_run{r.wall_ms, r.cpu_ms, r.peak_kib, r.output};
                };
            }};
}

}  // namespace bench
