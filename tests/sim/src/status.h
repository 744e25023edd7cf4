// The driver's error codes that the simulator can return: number, name, and the text of cuGetErrorString.
#pragma once

#define CUSIM_STATUS_LIST(X)                                                                                 \
    X(0, SUCCESS, "no error")                                                                                \
    X(1, ERROR_INVALID_VALUE, "invalid argument")                                                            \
    X(2, ERROR_OUT_OF_MEMORY, "out of memory")                                                               \
    X(3, ERROR_NOT_INITIALIZED, "initialization error")                                                      \
    X(100, ERROR_NO_DEVICE, "no CUDA-capable device is detected")                                            \
    X(101, ERROR_INVALID_DEVICE, "invalid device ordinal")                                                   \
    X(201, ERROR_INVALID_CONTEXT, "invalid device context")                                                  \
    X(209, ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device")              \
    X(218, ERROR_INVALID_PTX, "a PTX JIT compilation failed")                                                \
    X(222, ERROR_UNSUPPORTED_PTX_VERSION, "the provided PTX was compiled with an unsupported toolchain.")    \
    X(400, ERROR_INVALID_HANDLE, "invalid resource handle")                                                  \
    X(401, ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state")                    \
    X(500, ERROR_NOT_FOUND, "named symbol not found")                                                        \
    X(600, ERROR_NOT_READY, "device not ready")                                                              \
    X(700, ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")                                \
    X(701, ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch")                         \
    X(712, ERROR_HOST_MEMORY_ALREADY_REGISTERED,                                                             \
      "part or all of the requested memory range is already mapped")                                         \
    X(716, ERROR_MISALIGNED_ADDRESS, "misaligned address")                                                   \
    X(719, ERROR_LAUNCH_FAILED, "unspecified launch failure")                                                \
    X(801, ERROR_NOT_SUPPORTED, "operation not supported")                                                   \
    X(900, ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing")             \
    X(901, ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture")      \
    X(902, ERROR_STREAM_CAPTURE_MERGE, "operation would result in a merge of separate capture sequences")    \
    X(903, ERROR_STREAM_CAPTURE_UNMATCHED, "capture was not ended in the same stream as it began")           \
    X(905, ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream")        \
    X(906, ERROR_STREAM_CAPTURE_IMPLICIT,                                                                    \
      "operation would make the legacy stream depend on a capturing blocking stream")                        \
    X(907, ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream")  \
    X(908, ERROR_STREAM_CAPTURE_WRONG_THREAD,                                                                \
      "attempt to terminate a thread-local capture sequence from another thread")                            \
    X(999, ERROR_UNKNOWN, "unknown error")

namespace cusim {

enum Status : int {
#define X(number, name, text) CUDA_##name = number,
    CUSIM_STATUS_LIST(X)
#undef X
};

} // namespace cusim
