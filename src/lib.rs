//! `receptive`: a from-scratch tensor engine for learning how convolutional networks work.
//!
//! # What is where
//!
//! Dependencies point one way, from the bottom of this table to its top.
//!
//! | module | what |
//! |---|---|
//! | [`core`] | errors, shapes, element types, keyed random numbers |
//! | [`ladder`] | what every version of a kernel says of itself; each family below has its table of them |
//! | [`cpu`] | slices in, slices out: threads, recycled memory, the loops |
//! | [`cuda`] | device memory, launches, captured graphs; the kernels stand in `kernels/` |
//! | [`tensor`] | the tensor, the contract of an op, the tape and its engine |
//! | [`ops`] | one file and one row each: formula, derivation, loops, cases |
//! | [`io`] | files of tensors, replacing a file as a whole |
//! | [`nn`] | layers and the context they run in |
//! | [`optim`], [`data`] | the optimisers, the images |
//! | [`models`] | the networks, a row each, and arch files |
//! | [`draw`] | SVG and PNG, letters included; what the HTML pages share |
//! | [`inspect`] | a network layer by layer: counted, drawn, followed while it learns, compared; the machine |
//! | [`train`] | the loop, and the run folder that survives anything |
//! | [`report`] | what the instruments and a run's folder tell of it: one page, a profile of its first steps |
//! | [`reproduce`] | the notebooks' experiments, a row each |
//! | [`testing`] | comparators, gradient checks, the cases of every op |
//! | `cli` | the `receptive` program, thin over all of these |
//!
//! Four features, all on by default: `cli` is the program, `images` reads PNG, JPEG and GIF files, `live` shows a run in a
//! browser, `cuda` runs on NVIDIA GPUs where a driver is installed. Without them the library has everything but these.
//!
//! # Life of a training step
//!
//! 1. The loader's own thread has a batch ready: bytes, normalised to f32 ([`data::Loader`]).
//! 2. `forward`: each layer calls ops. An op first *infers*: every check and the output shapes ([`tensor::Op::infer`]).
//!    Then memory is taken from the pool of recycled buffers, the loop runs, and if an input asks for gradients a node
//!    goes on the tape with only what backward will read.
//! 3. The loss is a scalar. `backward` takes nodes off the tape, latest first; each op returns the gradients of its
//!    inputs, and the engine alone adds them up, in that one order.
//! 4. The optimiser changes every parameter in place. Storage versions rise, so that a tensor saved before and used after
//!    is a typed error, never a wrong gradient.
//! 5. All buffers of the step went back to the pool; the next step asks for the same sizes and gets them.
//!
//! On a GPU the loop of an op is a launch, which returns at once, and the whole step is captured as a CUDA graph the first
//! time and replayed from then on ([`cuda`]).
//!
//! # Where it departs from the plan it started from
//!
//! - **A leaf adopts its first gradient** instead of adding it into a buffer of its own: adding would cost a pass over
//!   memory for every parameter. Within a step the buffer is stable, and later gradients are added in place.
//! - **Layers are described, then filled.** `Conv2d::new(3, 6, 5)` has no values; `model.init(&device, dtype, seed)` draws
//!   each parameter from the key of its path. So construction needs no device, and `summary` runs any network on the
//!   [`Device::Meta`] device, where nothing is allocated or computed.
//! - **Launch functions are generated.** `build.rs` reads each kernel's declaration and writes a typed function for it, so
//!   that the two cannot disagree; the structs they share are generated the same way.
//! - **`--precision bf16` and `tf32` are about products.** Tensor cores multiply what was rounded while it was loaded, and add
//!   in f32; tensors stay f32 in memory. So every op has one kernel, not one for each precision.
//! - **f64 stays on the CPU**, where it is the oracle: a GPU for learners computes it 64 times slower than f32.
//! - **Scratch memory is not planned in `infer`**: loops take it from the same recycled buffers. Nor does a dry run size these:
//!   the first step does. Its ranges are cut from one arena, on huge pages, and every later step finds them, so that memory is
//!   flat from the second step on (`tests/soak/flat_memory.py`); a dry run would save a part of one step.
//! - **Weights are written here; the `safetensors` crate reads them** (see [`io::safetensors`]): it would list tensors by
//!   element type first and metadata in no fixed order, and ours promise sorted names and the same bytes for the same
//!   tensors.

#[doc(inline)]
pub use receptive_engine::*;

#[cfg(feature = "cli")]
pub mod cli;
pub mod draw;
pub mod inspect;
pub mod report;
pub mod reproduce;
pub mod testing;
pub mod train;
