#include "source.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>

namespace cusim {
namespace {

const char* const UNKNOWN = "an unknown place";

std::string tidy(std::string line) {
    if (line.rfind("./", 0) == 0) line.erase(0, 2);
    line = line.substr(0, line.find_first_of(" \n"));
    return line.empty() || line[0] == '?' ? UNKNOWN : line;
}

} // namespace

std::string source_line(const void* code) {
    const std::string line = source_lines({code})[code];
    Dl_info info{};
    if (line == UNKNOWN && dladdr(code, &info) && info.dli_sname) return info.dli_sname;
    return line;
}

// Calls addr2line, which is installed together with g++. -a prints the address before its lines; -i prints
// the line of the innermost inlined function first, then those of its callers.
std::map<const void*, std::string> source_lines(const std::vector<const void*>& codes) {
    std::map<const void*, std::string> found;
    std::map<uintptr_t, const void*> by_offset;
    std::string file;
    for (const void* code : codes) {
        found[code] = UNKNOWN;
        Dl_info info{};
        if (!dladdr(code, &info) || !info.dli_fname) continue;
        file = info.dli_fname; // all code of kernels is in this library
        by_offset[uintptr_t(code) - uintptr_t(info.dli_fbase)] = code;
    }
    std::string list = std::filesystem::temp_directory_path() / "cusim-XXXXXX";
    const int descriptor = by_offset.empty() ? -1 : mkstemp(list.data());
    if (descriptor < 0) return found;
    if (FILE* out = fdopen(descriptor, "w")) {
        for (const auto& [offset, code] : by_offset) fprintf(out, "%#zx\n", size_t(offset));
        fclose(out);
    }
    char line[1000];
    const void* code = nullptr;
    const std::string command = std::string("addr2line -a -i -e '") + file + "' @" + list + " 2>/dev/null";
    if (FILE* pipe = popen(command.c_str(), "r")) {
        while (fgets(line, sizeof line, pipe)) {
            if (!strncmp(line, "0x", 2)) {
                const auto at = by_offset.find(strtoull(line, nullptr, 16));
                code = at == by_offset.end() ? nullptr : at->second;
            } else if (code && (found[code] == UNKNOWN || found[code].rfind("tests/sim/include/", 0) == 0)) {
                const std::string place = tidy(line);
                if (place != UNKNOWN) found[code] = place;
            }
        }
        pclose(pipe);
    }
    unlink(list.c_str());
    return found;
}

} // namespace cusim
