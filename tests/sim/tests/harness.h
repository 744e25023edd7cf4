// What a small host program needs of the driver: device arrays, and launches by name. launch() returns the
// driver's error code.
//
//   Device<float> x({1, 2, 3}), y(3);
//   int status = launch("relu_fwd_f32", {1}, {32}, 0, x.p, y.p, 3ll);
//   std::vector<float> result = y.read();
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// The driver calls used here. A real libcuda.so has them as well. The numbers that they take are those of
// cuda.h.
extern "C" {
int cuInit(unsigned);
int cuDevicePrimaryCtxRetain(void**, int);
int cuCtxSetCurrent(void*);
int cuCtxSynchronize();
int cuMemAlloc_v2(unsigned long long*, size_t);
int cuMemFree_v2(unsigned long long);
int cuMemcpyHtoD_v2(unsigned long long, const void*, size_t);
int cuMemcpyDtoH_v2(void*, unsigned long long, size_t);
int cuModuleLoadData(void**, const void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
                   void**);
}

inline void must(int status, const char* what) {
    if (!status) return;
    printf("%s failed: error %d\n", what, status);
    exit(1);
}

inline void open_device() {
    void* context;
    must(cuInit(0), "cuInit");
    must(cuDevicePrimaryCtxRetain(&context, 0), "cuDevicePrimaryCtxRetain");
    must(cuCtxSetCurrent(context), "cuCtxSetCurrent");
}

template <class T> struct Device {
    unsigned long long address = 0;
    T* p = nullptr;
    size_t count;

    explicit Device(size_t n) : count(n) {
        must(cuMemAlloc_v2(&address, n * sizeof(T)), "cuMemAlloc");
        p = reinterpret_cast<T*>(address);
    }
    explicit Device(const std::vector<T>& values) : Device(values.size()) {
        must(cuMemcpyHtoD_v2(address, values.data(), count * sizeof(T)), "cuMemcpyHtoD");
    }
    Device(const Device&) = delete;
    ~Device() { cuMemFree_v2(address); }

    std::vector<T> read() const {
        std::vector<T> values(count);
        must(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)), "cuMemcpyDtoH");
        return values;
    }
};

struct Size3 {
    unsigned x = 1, y = 1, z = 1;
};

// PTX that declares a kernel with an empty body. That is enough here: the simulator runs the compiled C++
// source.
inline std::string declare_kernel(const std::string& name, const std::vector<size_t>& argument_sizes,
                                  const char* directives = "") {
    std::string text = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry " + name + "(";
    for (size_t i = 0; i < argument_sizes.size(); i++)
        text += (i ? ",\n" : "\n") + std::string(".param .align 1 .b8 p") + std::to_string(i) + "[" +
                std::to_string(argument_sizes[i]) + "]";
    return text + "\n)\n" + directives + "\n{\nret;\n}\n";
}

inline void* load_kernel(const std::string& name, const std::vector<size_t>& argument_sizes,
                         const char* directives = "") {
    void *module, *function;
    must(cuModuleLoadData(&module, declare_kernel(name, argument_sizes, directives).c_str()),
         "cuModuleLoadData");
    must(cuModuleGetFunction(&function, module, name.c_str()), name.c_str());
    return function;
}

template <class... Args>
int launch(const std::string& name, Size3 grid, Size3 block, unsigned shared_bytes, Args... args) {
    void* function = load_kernel(name, {sizeof(Args)...});
    if (shared_bytes > 48 << 10)
        must(cuFuncSetAttribute(function, 8, int(shared_bytes)), "cuFuncSetAttribute");
    void* pointers[] = {static_cast<void*>(&args)..., nullptr};
    const int status = cuLaunchKernel(function, grid.x, grid.y, grid.z, block.x, block.y, block.z,
                                      shared_bytes, nullptr, pointers, nullptr);
    return status ? status : cuCtxSynchronize();
}
