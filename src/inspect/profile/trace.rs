//! The timeline as a file in the Trace Event Format. Open it in <https://ui.perfetto.dev> or chrome://tracing.
//!
//! The file is one object. `traceEvents` holds the timeline; `receptive` holds the tables, which viewers treat as
//! metadata. Its rows are the steps and the phases, and a counter shows the memory in use. Times are in microseconds,
//! as the format requires.

use super::record::{OpEvent, Profile, StepPhase};
use crate::core::Result;
use crate::io::write_atomically;
use serde_json::{Value, json};
use std::path::Path;

/// The number of the only process.
const PID: u32 = 1;
/// The row of the steps; the rows of the phases follow.
const STEPS: usize = 0;

impl Profile {
    /// The file's contents; `title` names what was profiled.
    pub fn trace(&self, title: &str) -> Value {
        let rows =
            std::iter::once((STEPS, "steps")).chain(StepPhase::ALL.iter().map(|&p| (row(p), p.name())));
        let names = rows.flat_map(|(row, name)| {
            [("thread_name", json!({ "name": name })), ("thread_sort_index", json!({ "sort_index": row }))]
                .map(|(what, args)| json!({ "ph": "M", "pid": PID, "tid": row, "name": what, "args": args }))
        });
        let process = json!({ "ph": "M", "pid": PID, "name": "process_name", "args": { "name": title } });
        let steps = self.steps.iter().enumerate().map(|(i, step)| {
            let name = format!("step {i}");
            json!({ "ph": "X", "pid": PID, "tid": STEPS, "cat": "step", "name": name, "ts": step.start_us, "dur": step.us })
        });
        let ops = self.events.iter().flat_map(|event| [slice(event), counter(event)]);
        let events: Vec<Value> = std::iter::once(process).chain(names).chain(steps).chain(ops).collect();
        json!({
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": { "title": title, "version": env!("CARGO_PKG_VERSION") },
            "receptive": {
                "device": self.device,
                "threads": self.threads,
                "roof": self.roof,
                "op_table": self.op_table(),
                "layer_table": self.layer_table(),
                "memory_at_peak": self.memory_at_peak(),
                "tensors": self.tensors,
            },
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn write(&self, path: &Path, title: &str) -> Result<()> {
        write_atomically(path, self.trace(title).to_string().as_bytes())
    }
}

fn row(phase: StepPhase) -> usize {
    STEPS + 1 + phase as usize
}

/// An op as a slice in the row of its phase.
fn slice(event: &OpEvent) -> Value {
    let OpEvent { path, phase, op, span, inputs, outputs, flops, bytes, .. } = event;
    let name = if path.is_empty() { (*op).to_owned() } else { format!("{path} {op}") };
    json!({
        "ph": "X", "pid": PID, "tid": row(*phase), "cat": phase.name(), "name": name, "ts": span.start_us, "dur": span.us,
        "args": { "layer": path, "op": op, "inputs": inputs, "outputs": outputs, "flops": flops, "bytes": bytes },
    })
}

/// The memory in use after an op, as a counter event.
fn counter(event: &OpEvent) -> Value {
    let ts = event.span.start_us + event.span.us;
    json!({ "ph": "C", "pid": PID, "name": "memory in use", "ts": ts, "args": { "bytes": event.in_use } })
}
