// Which line of a kernel's source an address of code belongs to.
#pragma once
#include <map>
#include <string>
#include <vector>

namespace cusim {

std::string source_line(const void* code); // "kernels/relu.cu:12"

// As source_line, for many addresses at once. A line of the simulator's own headers, such as that of __ldg,
// stands for the line that calls it.
std::map<const void*, std::string> source_lines(const std::vector<const void*>& codes);

} // namespace cusim
