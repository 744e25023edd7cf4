#include "capture.h"

#include "status.h"

#include <cstdio>

namespace cusim {
namespace {

std::set<Stream*>& all() {
    static std::set<Stream*> the;
    return the;
}

Stream* default_stream() {
    static Stream* const stream = new_stream(false);
    return stream;
}

// True if the capture of `s` forbids this thread to make a call that might wait. A global capture forbids it
// to every thread, a thread-local one only to the thread that captures, a relaxed one to none.
bool forbids(const Stream& s) {
    if (s.capture != Capture::Active || s.mode == CaptureMode::Relaxed) return false;
    return s.mode == CaptureMode::Global || s.capturing_thread == std::this_thread::get_id();
}

} // namespace

const std::set<Stream*>& streams() { return all(); }

Stream* new_stream(bool non_blocking) {
    auto* stream = new Stream;
    stream->non_blocking = non_blocking;
    all().insert(stream);
    return stream;
}

void delete_stream(Stream* stream) {
    all().erase(stream);
    delete stream;
}

Stream* known_stream(void* handle) {
    if (reinterpret_cast<uintptr_t>(handle) <= 2) return default_stream();
    auto* stream = static_cast<Stream*>(handle);
    return all().count(stream) ? stream : nullptr;
}

int begin_capture(Stream& stream, CaptureMode mode) {
    if (&stream == default_stream()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream.capture != Capture::None) return CUDA_ERROR_ILLEGAL_STATE;
    if (const int error = stream.flush()) return error;
    stream.capture = Capture::Active;
    stream.mode = mode;
    stream.capturing_thread = std::this_thread::get_id();
    stream.graph = std::make_unique<Graph>();
    return CUDA_SUCCESS;
}

int end_capture(Stream& stream, std::unique_ptr<Graph>& graph) {
    if (stream.capture == Capture::None) return CUDA_ERROR_ILLEGAL_STATE;
    if (stream.mode != CaptureMode::Relaxed && stream.capturing_thread != std::this_thread::get_id())
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    const bool whole = stream.capture == Capture::Active;
    stream.capture = Capture::None;
    if (whole) graph = std::move(stream.graph);
    stream.graph.reset();
    return whole ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
}

int touch_stream(Stream& stream) {
    if (&stream != default_stream()) return CUDA_SUCCESS;
    int refused = CUDA_SUCCESS;
    for (Stream* s : all())
        if (s->capture == Capture::Active && !s->non_blocking) {
            s->invalidate();
            refused = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
    if (refused)
        fprintf(stderr, "simulated GPU: work on the default stream while another is being captured\n");
    return refused;
}

int unsafe_call(const char* what) {
    int refused = CUDA_SUCCESS;
    for (Stream* s : all())
        if (forbids(*s)) {
            s->invalidate();
            refused = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    if (refused) fprintf(stderr, "simulated GPU: %s while a stream is being captured\n", what);
    return refused;
}

// A wait for the whole device would wait for every capturing stream too, so every mode forbids it.
int unsafe_wait() {
    int refused = CUDA_SUCCESS;
    for (Stream* s : all())
        if (s->capture == Capture::Active) {
            s->invalidate();
            refused = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    if (refused) fprintf(stderr, "simulated GPU: a wait for the device while a stream is being captured\n");
    return refused;
}

int wait_for_stream(Stream& stream) {
    if (stream.capture == Capture::Invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream.capture == Capture::Active) {
        fprintf(stderr, "simulated GPU: a wait for a stream that is being captured\n");
        stream.invalidate();
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return touch_stream(stream);
}

int wait_for_event(Event& event) {
    if (event.captured) {
        if (event.stream && all().count(event.stream) && event.stream->capture == Capture::Active)
            event.stream->invalidate();
        return CUDA_ERROR_CAPTURED_EVENT;
    }
    return unsafe_call("cuEventSynchronize or cuEventQuery");
}

int capture_wait(Stream& stream, Event& event) {
    if (stream.capture == Capture::Invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    const bool capturing = stream.capture == Capture::Active;
    if (!event.recorded || (event.captured && event.stream == &stream) || (!event.captured && !capturing))
        return CUDA_SUCCESS;
    // One side is being captured and the other is not. (On a GPU a second stream can join a capture this way.
    // That is not simulated: the project captures one stream.)
    fprintf(stderr,
            "simulated GPU: a stream waits for an event of another, and one of the two is being captured\n");
    if (capturing) stream.invalidate();
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
}

int flush_before(Stream& stream) {
    if (stream.non_blocking) return CUDA_SUCCESS;
    if (&stream != default_stream()) return default_stream()->flush();
    for (Stream* s : all())
        if (s != &stream && !s->non_blocking) s->flush();
    return context_error;
}

} // namespace cusim
