#include "requests.h"

#include <algorithm>

namespace cusim {
namespace {

constexpr unsigned LANES = 32, BANKS = 32, WORD = 4;

void sort_unique(std::vector<Address>& v) {
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
}

// Wavefronts of one phase, from the words that its lanes touch.
unsigned phase(std::vector<Address>& words) {
    sort_unique(words);
    unsigned in_bank[BANKS] = {}, most = 0;
    for (const Address word : words) most = std::max(most, ++in_bank[word % BANKS]);
    return most;
}

void add_range(std::vector<Address>& list, Address begin, unsigned bytes, unsigned unit) {
    for (Address at = begin / unit; at <= (begin + bytes - 1) / unit; at++) list.push_back(at);
}

} // namespace

Cost global_cost(const Request& request, std::vector<Address>& sectors) {
    thread_local std::vector<Address> lines, places;
    sectors.clear();
    lines.clear();
    places.clear();
    for (unsigned lane = 0; lane < LANES; lane++) {
        if (!(request.mask >> lane & 1)) continue;
        add_range(sectors, request.address[lane], request.bytes, SECTOR);
        add_range(lines, request.address[lane], request.bytes, LINE);
        places.push_back(request.address[lane]);
    }
    sort_unique(sectors);
    sort_unique(lines);
    sort_unique(places);
    const unsigned bytes = unsigned(places.size()) * request.bytes;
    return {unsigned(sectors.size()), (bytes + SECTOR - 1) / SECTOR, unsigned(lines.size())};
}

Cost shared_cost(const Request& request) {
    const unsigned lanes = request.bytes <= 4 ? 32 : request.bytes <= 8 ? 16 : 8; // of a phase
    thread_local std::vector<Address> words;
    Cost cost{0, 0, 0};
    for (unsigned first = 0; first < LANES; first += lanes) {
        words.clear();
        for (unsigned lane = first; lane < first + lanes; lane++)
            if (request.mask >> lane & 1) add_range(words, request.address[lane], request.bytes, WORD);
        cost.units += phase(words);
        cost.ideal += !words.empty();
    }
    return cost;
}

Cost ldmatrix_cost(const void* const rows[32]) {
    thread_local std::vector<Address> words;
    Cost cost{0, 4, 0};
    for (unsigned first = 0; first < LANES; first += 8) {
        words.clear();
        for (unsigned lane = first; lane < first + 8; lane++)
            add_range(words, reinterpret_cast<Address>(rows[lane]), 16, WORD);
        cost.units += phase(words);
    }
    return cost;
}

} // namespace cusim
