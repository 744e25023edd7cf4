// What a program gave the device to do. Normally it is done and forgotten. A dry run does copies and fills,
// but no launches: it lists what a step would launch, in seconds for any network. A counting run (COUNT=1)
// runs some blocks of each launch and counts what they would cost.
//
// In a dry or counting run, results are wrong, because blocks are missing. New device memory then holds
// zeros, so that an index that no block has written is still a valid one.
#pragma once
#include "counters.h"

#include <string>
#include <vector>

namespace cusim {

enum class Mode { Run, Dry, Count };

struct Node {
    enum class Kind { Launch, Copy, Fill } kind;
    const char* kernel = nullptr;
    Shape shape = {};
    size_t static_shared = 0;
    size_t bytes = 0; // of a copy or fill
    bool to_device = false, from_device = false;
    bool of_graph = false; // a node of a replayed graph
    LaunchCounters counters = {};
};

// CUSIM_DRY=1, CUSIM_COUNT=N or CUSIM_COUNT=all set the mode at the start; a table is then printed when the
// program ends.
Mode mode();
uint64_t blocks_wanted(); // of each launch, in a counting run; 0: all
// Forgets the nodes so far. False if this build cannot count.
bool set_mode(Mode mode, uint64_t blocks);

void record(Node node);
std::string report_json(); // the nodes so far, and the counters of each line of each kernel

} // namespace cusim
