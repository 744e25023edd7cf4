// The rules of stream capture: which calls join it, which it forbids, and what a forbidden call does to it.
#pragma once
#include "stream.h"

#include <set>

namespace cusim {

const std::set<Stream*>& streams();
Stream* known_stream(void* handle); // null, 1 and 2 are the default stream; a null result: no such stream
Stream* new_stream(bool non_blocking);
void delete_stream(Stream* stream);

int begin_capture(Stream& stream, CaptureMode mode);
int end_capture(Stream& stream, std::unique_ptr<Graph>& graph);

// Each returns a Status, CUDA_SUCCESS if the call may go on. A forbidden call ends the capture: its work
// fails from then on, and so does end_capture.

// Work on `stream`: on the default stream it would have to wait for all blocking streams, a capturing one
// among them.
int touch_stream(Stream& stream);
// A call that waits for the device, or may do so inside the driver, as an allocation may. `what` is named in
// a report.
int unsafe_call(const char* what);
int unsafe_wait();
int wait_for_stream(Stream& stream);
int wait_for_event(Event& event);
int capture_wait(Stream& stream, Event& event); // the stream is to wait for the event

// With CUSIM_ASYNC: the work that must come before work on this stream (default stream and blocking streams).
int flush_before(Stream& stream);

} // namespace cusim
