#include "index/job.hpp"

#include <array>
#include <chrono>
#include <list>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>

#include "common/dice.hpp"

namespace bench {

namespace {

// A word is letters, digits and underscores in a row. Capitals count as they stand.
constexpr auto is_word_character = [] {
    std::array<bool, 256> table{};
    for (unsigned c = 0; c < 256; ++c)
        table[c] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    return table;
}();

// Calls f(word, offset) for each word of the text, in order.
template <class F>
void for_each_word(std::string_view text, F f) {
    const auto in_word = [&](std::size_t at) { return is_word_character[static_cast<unsigned char>(text[at])]; };
    for (std::size_t at = 0; at < text.size();) {
        while (at < text.size() && !in_word(at)) ++at;
        const std::size_t start = at;
        while (at < text.size() && in_word(at)) ++at;
        if (at > start) f(text.substr(start, at - start), static_cast<std::uint32_t>(start));
    }
}

using allocator = std::pmr::polymorphic_allocator<>;

// Where a word stands in one file.
struct file_hits {
    using allocator_type = allocator;

    std::uint32_t file;
    std::pmr::vector<std::uint32_t> offsets;

    file_hits(std::uint32_t number, allocator from) : file(number), offsets(from) {}
    file_hits(const file_hits& other, allocator from) : file(other.file), offsets(other.offsets, from) {}
};

// The files of a word rise from the front of its list to the back.
using postings = std::pmr::list<file_hits>;
using inverted_index = std::pmr::unordered_map<std::pmr::string, postings>;

void add_file(inverted_index& index, std::uint32_t file, std::string_view text) {
    for_each_word(text, [&](std::string_view word, std::uint32_t offset) {
        postings& hits = index[std::pmr::string(word, index.get_allocator())];
        if (hits.empty() || hits.back().file != file) hits.emplace_back(file);
        hits.back().offsets.push_back(offset);
    });
}

void add_files(inverted_index& index, const std::vector<std::string_view>& files, std::size_t first, std::size_t last) {
    for (std::size_t file = first; file < last; ++file) add_file(index, static_cast<std::uint32_t>(file), files[file]);
}

// The first file of the second half, by bytes.
std::size_t middle(const std::vector<std::string_view>& files) {
    std::size_t all = 0, before = 0, file = 0;
    for (std::string_view text : files) all += text.size();
    while (before < all / 2) before += files[file++].size();
    return file;
}

// Copies word by word, each list of positions to its exact size, and takes the part down on the way, so that the whole
// never stands twice. The files of `part` come after those in `whole`. Returns the number of positions.
std::uint64_t merge(inverted_index& whole, inverted_index& part) {
    std::uint64_t positions = 0;
    while (!part.empty()) {
        const auto word = part.begin();
        postings& into = whole[word->first];
        for (const file_hits& hits : word->second) {
            into.emplace_back(hits);
            positions += hits.offsets.size();
        }
        part.erase(word);
    }
    return positions;
}

std::uint64_t mixed(std::uint64_t sum, std::uint64_t value) { return (sum ^ value) * 0x100000001b3; }

// The files that have both words, with where each word stands in them first.
std::uint64_t answered(const inverted_index& index, const query& q) {
    const allocator from = index.get_allocator();
    const auto first = index.find(std::pmr::string(q.first, from));
    const auto second = index.find(std::pmr::string(q.second, from));
    if (first == index.end() || second == index.end()) return 0;

    std::pmr::vector<std::pair<const file_hits*, const file_hits*>> both(from);
    auto a = first->second.begin();
    auto b = second->second.begin();
    while (a != first->second.end() && b != second->second.end()) {
        if (a->file == b->file) both.emplace_back(&*a, &*b);
        const bool step_a = a->file <= b->file, step_b = b->file <= a->file;
        if (step_a) ++a;
        if (step_b) ++b;
    }
    std::uint64_t sum = both.size();
    for (const auto& [x, y] : both) sum = mixed(mixed(mixed(sum, x->file), x->offsets.front()), y->offsets.front());
    return sum;
}

class stopwatch {
public:
    double lap_ms() {
        const auto now = std::chrono::steady_clock::now();
        return std::chrono::duration<double, std::milli>(now - std::exchange(start_, now)).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Runs `work` and waits for it.
template <class F>
void apart_from_here(threading how, F work) {
    if (how == threading::one) return work();
    std::thread(work).join();
}

// Both at the same time.
template <class F, class G>
void side_by_side(threading how, F one, G other) {
    if (how == threading::one) return one(), other();
    std::thread first(one), second(other);
    first.join();
    second.join();
}

// The longest word near a random place: people search for what tells texts apart.
std::string random_word(std::string_view text, dice& random) {
    constexpr std::size_t near = 256;
    std::string longest;
    for_each_word(text.substr(random.roll() % text.size(), near), [&](std::string_view word, std::uint32_t) {
        if (word.size() > longest.size()) longest = word;
    });
    return longest;
}

}  // namespace

std::vector<query> make_queries(std::string_view text, std::size_t count) {
    std::vector<query> queries;
    dice random(1);
    while (!text.empty() && queries.size() < count) {
        std::string first = random_word(text, random);
        queries.push_back({std::move(first), random_word(text, random)});
    }
    return queries;
}

outcome run_job(const std::vector<std::string_view>& files, const std::vector<query>& queries,
                std::pmr::memory_resource* resource, threading how) {
    outcome result{};
    stopwatch watch;

    std::optional<inverted_index> left(resource), right(resource), whole(resource);
    const std::size_t half = middle(files);
    side_by_side(
        how, [&] { add_files(*left, files, 0, half); }, [&] { add_files(*right, files, half, files.size()); });
    result.build_ms = watch.lap_ms();

    apart_from_here(how, [&] {
        result.positions = merge(*whole, *left);
        left.reset();
        result.positions += merge(*whole, *right);
        right.reset();
    });
    result.merge_ms = watch.lap_ms();

    for (const query& each : queries) result.checksum = mixed(result.checksum, answered(*whole, each));
    result.query_ms = watch.lap_ms();

    result.words = whole->size();
    whole.reset();
    result.drop_ms = watch.lap_ms();
    return result;
}

}  // namespace bench
