// The main job: an inverted index over a corpus, all of it in std::pmr containers over one resource.
//
// Built by two threads, each over half the text into a map of its own; merged into a third map by a third thread, which
// thereby gives back the blocks that the other two took; queried and dropped by the calling thread.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct query {
    std::string first, second;
};

// Pairs of words from the text, the same ones for the same text.
std::vector<query> make_queries(std::string_view text, std::size_t count);

struct outcome {
    double build_ms, merge_ms, query_ms, drop_ms;
    std::uint64_t words, positions;  // in the merged index
    std::uint64_t checksum;          // over what the queries found

    double total_ms() const { return build_ms + merge_ms + query_ms + drop_ms; }
};

enum class threading {
    three,  // as above
    one,    // the same steps, one after the other, on the calling thread
};

// Takes everything from `resource` and has given everything back when it returns. A file's number is its place in
// `files`.
outcome run_job(const std::vector<std::string_view>& files, const std::vector<query>& queries,
                std::pmr::memory_resource* resource, threading how);

}  // namespace bench
