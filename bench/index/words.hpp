// What a word is: letters, digits and underscores in a row. Capitals count as they stand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

inline constexpr auto is_word_character = [] {
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

}  // namespace bench
