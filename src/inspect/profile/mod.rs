//! A profile of training steps: the time, floating-point operations, bytes and layer of every op, forward and backward,
//! and the use of memory.
//!
//! | file | what |
//! |---|---|
//! | `profiler.rs` | [`Profiler`]: watches a device and records its ops |
//! | `record.rs` | the record: ops, steps |
//! | `counters.rs` | [`CpuCounters`]: instructions, cycles and cache misses of each op on a CPU |
//! | `memory.rs` | [`TensorLife`]: when tensors are made and freed, and what uses the memory at its peak |
//! | `tables.rs` | [`Cost`], and tables by op and by layer |
//! | `trace.rs` | the timeline as a file for <https://ui.perfetto.dev> and chrome://tracing |
//!
//! Layers run as they do without a profiler. Two layers that are fused into one op are named together, `conv1+relu`.
//! The resulting weights are the same, bit for bit. Recording takes time between ops, not within them. On a GPU the
//! profiler waits for the device before and after each op, and steps are not replayed from a CUDA graph.
//!
//! ```
//! use receptive::inspect::profile::{Profiler, StepPhase};
//! use receptive::nn::{Ctx, Linear, Loss, ModuleExt, Relu, Sequential};
//! use receptive::{DType, Device, Key, Tensor};
//! let cpu = Device::cpu()?;
//! let net = Sequential::new().named("fc1", Linear::new(8, 6)).named("relu", Relu).named("fc2", Linear::new(6, 3));
//! net.init(&cpu, DType::F32, 0)?;
//! let (x, target) = (Tensor::zeros(&cpu, &[4, 8], DType::F32)?, Tensor::zeros(&cpu, &[4], DType::I64)?);
//!
//! let profiler = Profiler::start(&cpu)?;
//! let (loss, _) = Loss::CrossEntropy.forward_and_loss(&net, &Ctx::train("net", Key::new(0)), &x, &target)?;
//! loss.backward()?;
//! let profile = profiler.finish();
//!
//! let layers: Vec<&str> = profile.events.iter().filter(|e| e.phase == StepPhase::Forward).map(|e| &*e.path).collect();
//! assert_eq!(layers, ["fc1+relu", "fc2", "loss"]);
//! // 8 products and sums, a bias and a rectifier for each of 4 x 6 outputs.
//! assert_eq!(profile.events[0].flops, 4 * 6 * (2 * 8 + 1 + 1));
//! assert_eq!(profile.layer_table().layers.len(), 3);
//! # Ok::<(), receptive::Error>(())
//! ```

mod counters;
mod memory;
mod profiler;
mod record;
mod tables;
mod trace;

pub use counters::{CounterRow, CpuCounters, CpuCounts};
pub use memory::{Held, HeldRow, MemoryAtPeak, TensorLife};
pub use profiler::Profiler;
pub use record::{OpEvent, Profile, Span, StepPhase};
pub use tables::{Bound, Cost, LayerRow, LayerTable, OpRow};

/// Number of steps before the first profiled one. They allocate memory and fill caches.
pub const WARM_UP: usize = 3;
/// Number of steps that are profiled by default.
pub const PROFILE_STEPS: usize = 20;
