#include "module.h"

#include "status.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cusim {
namespace {

// The number after a directive, such as 256 in ".maxntid 256, 1, 1". 0 if the directive is missing.
double number_after(const std::string& text, const std::string& directive) {
    const size_t at = text.find(directive);
    return at == std::string::npos ? 0 : strtod(text.c_str() + at + directive.size(), nullptr);
}

// The size in bytes of such a declaration: ".param .u64 x", ".param .align 8 .b8 x[32]", ".shared .align 4
// .b8 s[4096]".
size_t declared_bytes(const std::string& declaration) {
    size_t bits = 0;
    for (size_t at = 0; !bits && (at = declaration.find('.', at)) != std::string::npos; at++) {
        const char type = declaration[at + 1], digit = declaration[at + 2];
        if (strchr("bsuf", type) && isdigit(digit)) bits = strtoul(declaration.c_str() + at + 2, nullptr, 10);
    }
    const size_t bracket = declaration.find('[');
    return bits / 8 *
           (bracket == std::string::npos ? 1 : strtoul(declaration.c_str() + bracket + 1, nullptr, 10));
}

// An entry's parts: "(parameters) directives {body}".
struct Entry {
    std::string parameters, directives, body;
};

bool find_entry(const std::string& text, const std::string& name, Entry& entry) {
    const size_t at = text.find(".entry " + name + "(");
    if (at == std::string::npos) return false;
    const size_t open = text.find('(', at), close = text.find(')', open), brace = text.find('{', close);
    if (brace == std::string::npos) return false;
    entry.parameters = text.substr(open + 1, close - open - 1);
    entry.directives = text.substr(close + 1, brace - close - 1);
    entry.body = text.substr(brace, text.find("\n}", brace) - brace);
    return true;
}

std::vector<size_t> parameter_sizes(const std::string& parameters) {
    std::vector<size_t> sizes;
    for (size_t at = parameters.find(".param"); at != std::string::npos;) {
        const size_t next = parameters.find(".param", at + 1);
        sizes.push_back(declared_bytes(parameters.substr(at, next - at)));
        at = next;
    }
    return sizes;
}

// Static shared memory of an entry: the sizes of all shared arrays of the module that its body names.
size_t shared_bytes(const std::string& text, const Entry& entry) {
    size_t bytes = 0;
    for (size_t at = 0; (at = text.find(".shared .align", at)) != std::string::npos; at++) {
        const std::string declaration = text.substr(at, text.find(';', at) - at);
        const size_t bracket = declaration.find('['), space = declaration.rfind(' ', bracket);
        if (bracket == std::string::npos) continue;
        const std::string name = declaration.substr(space + 1, bracket - space - 1);
        if (entry.body.find(name) != std::string::npos) bytes += declared_bytes(declaration);
    }
    return bytes;
}

} // namespace

int newest_ptx_of_driver(int driver) {
    const int major = driver / 1000, minor = driver % 1000 / 10;
    if (major == 12 && minor > 5) return 80 + minor - 1; // 12.6 brought no new PTX
    return (major - 4) * 10 + minor;
}

int load_module(const std::string& text, int driver, int capability, Module& module) {
    const int version = int(number_after(text, ".version ") * 10 + 0.5),
              target = int(number_after(text, ".target sm_"));
    if (!version || !target) {
        fprintf(stderr, "simulated GPU: this module is no PTX text\n");
        return CUDA_ERROR_INVALID_PTX;
    }
    if (version > newest_ptx_of_driver(driver)) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    if (target > capability) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    module.text = text;
    return CUDA_SUCCESS;
}

int find_function(Module& module, const std::string& name, Function** function) {
    const auto known = module.functions.find(name);
    if (known != module.functions.end()) {
        *function = &known->second;
        return CUDA_SUCCESS;
    }
    Entry entry;
    if (!find_entry(module.text, name, entry)) return CUDA_ERROR_NOT_FOUND;
    const Kernel* kernel = find_kernel(name);
    if (!kernel) {
        fprintf(stderr,
                "simulated GPU: the PTX has kernel %s, but the sources this library was built from do not\n",
                name.c_str());
        return CUDA_ERROR_NOT_FOUND;
    }
    const auto sizes = parameter_sizes(entry.parameters);
    if (!std::equal(sizes.begin(), sizes.end(), kernel->argument_sizes,
                    kernel->argument_sizes + kernel->argument_count)) {
        fprintf(stderr,
                "simulated GPU: kernel %s takes other arguments in the PTX than in the source: one of them "
                "is stale\n",
                name.c_str());
        return CUDA_ERROR_INVALID_PTX;
    }
    Function f;
    f.kernel = kernel;
    if (const auto threads = unsigned(number_after(entry.directives, ".maxntid "))) f.max_threads = threads;
    f.static_shared = shared_bytes(module.text, entry);
    f.max_dynamic_shared = MAX_SHARED_UNASKED - std::min(f.static_shared, MAX_SHARED_UNASKED);
    *function = &module.functions.emplace(name, f).first->second;
    return CUDA_SUCCESS;
}

} // namespace cusim
