// Modules: what a driver reads from PTX text before it can launch a kernel. The simulator does not run the
// text, since it runs kernels compiled from their C++ source. But a GPU would get this text, so a kernel that
// is missing there, or takes other arguments there, is reported.
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
    size_t max_dynamic_shared;   // set by cuFuncSetAttribute
};

struct Module {
    std::string text;
    std::map<std::string, Function> functions; // those looked up so far
};

// The newest PTX version that a driver of this number (12080: CUDA 12.8) accepts: 87 means 8.7.
int newest_ptx_of_driver(int driver);

// Both return a Status.
int load_module(const std::string& text, int driver, int capability, Module& module);
int find_function(Module& module, const std::string& name, Function** function);

} // namespace cusim
