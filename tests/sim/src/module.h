// Modules: what a driver reads out of PTX text before it can launch a kernel. The text is not run (the
// kernels are compiled from their C++ source), but it is what a GPU would get: a kernel that it lacks, or
// that takes other arguments there, is reported.
#pragma once
#include "engine.h"

#include <map>
#include <string>
#include <vector>

namespace cusim {

struct Function {
    const Kernel* kernel;
    unsigned max_threads = 1024; // .maxntid, from __launch_bounds__
    size_t static_shared = 0;    // bytes
    size_t max_dynamic_shared;   // what cuFuncSetAttribute asked for
};

struct Module {
    std::string text;
    std::map<std::string, Function> functions; // those asked for
};

// The PTX version that a driver of this number (12080: CUDA 12.8) takes at most, as 87 for 8.7.
int newest_ptx_of_driver(int driver);

// Both return a Status.
int load_module(const std::string& text, int driver, int capability, Module& module);
int find_function(Module& module, const std::string& name, Function** function);

} // namespace cusim
