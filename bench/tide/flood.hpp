// The work: what is taken, by whom it is freed, and what goes on afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include "support/dice.hpp"

namespace bench::tide {

// The blocks of a flood; the same sizes for every contestant. Made before the count, so that the book itself is no part
// of what grows.
class flood {
public:
    // `bytes` in all, in blocks of 16 bytes to 32 KiB, each doubling of the size as likely as the next.
    explicit flood(std::size_t bytes);

    // By taker number `taker`: takes its part and writes into every page of it.
    void take(std::pmr::memory_resource* from, unsigned taker);
    // By freer number `freer`: gives back its part of what each taker took, so that neighbours are freed by different
    // threads. Ends the program where a block is not as it was written.
    void free(std::pmr::memory_resource* to, unsigned freer);

private:
    struct block {
        void* at;
        std::size_t bytes;
    };
    std::vector<std::vector<block>> of_taker_;
};

// By each bystander: as many blocks of every size class of Tidepool's taken and given back as fill the two magazines
// that a thread keeps of it.
void fill_magazines(std::pmr::memory_resource* of);

// A little work: some blocks taken and given back.
class trickle {
public:
    explicit trickle(std::pmr::memory_resource* in) : in_(in) {}
    void burst();

private:
    std::pmr::memory_resource* in_;
    dice random_{1};
};

}  // namespace bench::tide
