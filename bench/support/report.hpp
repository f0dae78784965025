// What a run prints and what it writes.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "support/result.hpp"
#include "support/targets.hpp"

namespace bench {

// To stdout, for a person.
void print_table(const std::vector<result>& results);
void print_targets(const std::vector<target>& targets);

// KiB as MiB, and nothing for nothing measured.
std::string mib(long kib);

nlohmann::json to_json(const std::vector<result>& results);
nlohmann::json to_json(const std::vector<target>& targets);

// One line that says what is being measured. On a terminal it is written over and over and gone at the end; elsewhere
// one line a bench. To stderr.
class progress {
public:
    progress();
    // A bench begins. `about` says how much there is to it.
    void bench(const std::string& name, const std::string& about);
    void step(const std::string& now);
    void done();

private:
    bool terminal_;
    std::string bench_;
};

}  // namespace bench
