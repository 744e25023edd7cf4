// All inline PTX of the project. On a GPU these are instructions; the simulator (tests/sim) brings its own versions.
#pragma once

#ifndef CUSIM
#define DYN_SHARED(T, name)                                                                                            \
    extern __shared__ __align__(16) unsigned char name##_bytes[];                                                      \
    T* const name = reinterpret_cast<T*>(name##_bytes)
#endif
