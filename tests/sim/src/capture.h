// The rules of stream capture: which calls are recorded, which are forbidden, and how a forbidden call ends
// it.
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

// Each of these returns a Status: CUDA_SUCCESS if the call may continue. A forbidden call invalidates the
// capture: every later call that adds work to it fails, and so does end_capture.

// Before work on `stream`. Work on the default stream would have to wait for all blocking streams, so it is
// forbidden while one of them is being captured.
int touch_stream(Stream& stream);
// Before a call that waits for the device, or may wait inside the driver (an allocation may). `what` names
// the call in a report.
int unsafe_call(const char* what);
int unsafe_wait();
int wait_for_stream(Stream& stream);
int wait_for_event(Event& event);
int capture_wait(Stream& stream, Event& event); // before the stream waits for the event

// With CUSIM_ASYNC: runs the queued work that must come before work on this stream. The default stream waits
// for all blocking streams, and they wait for it.
int flush_before(Stream& stream);

} // namespace cusim
