//! `receptive`: a from-scratch tensor engine for learning how convolutional networks work.
//!
//! # What is where
//!
//! Dependencies go one way: a module uses only modules above it in this table.
//!
//! | module | what |
//! |---|---|
//! | [`core`] | errors, shapes, element types, keyed random numbers |
//! | [`ladder`] | the form of the tables that list all versions of a kernel; each family below has its own tables |
//! | [`cpu`] | functions from slices to slices: threads, recycled memory, the loops |
//! | [`cuda`] | device memory, launches, captured graphs; the kernels are in `kernels/` |
//! | [`tensor`] | the tensor, the contract of an op, the tape and the backward engine |
//! | [`ops`] | one file and one row per op: formula, derivation, loops, cases |
//! | [`io`] | files of tensors, replacing a file in one step |
//! | [`nn`] | layers, and the context in which they run |
//! | [`optim`], [`data`] | optimisers and schedules; images |
//! | [`models`] | the networks, one row per network, and arch files |
//! | [`draw`] | SVG and PNG, letters included; the common parts of the HTML pages |
//! | [`inspect`] | a network layer by layer: counted, drawn, observed while it learns, compared; the machine |
//! | [`train`] | the training loop, and the run folder from which a run can be resumed |
//! | [`report`] | reports on a run's folder: one page, and a profile of its first steps |
//! | [`reproduce`] | the notebooks' experiments, one row per experiment |
//! | [`testing`] | comparators, gradient checks, the cases of every op |
//! | `cli` | the `receptive` program, a thin layer over all of these |
//!
//! There are four features, all on by default: `cli` is the program, `images` reads PNG, JPEG and GIF files, `live`
//! shows a run in a browser, `cuda` runs on NVIDIA GPUs if a driver is installed. Without them the library lacks only
//! these parts.
//!
//! # Life of a training step
//!
//! 1. The loader's thread has a batch ready: bytes, normalised to f32 ([`data::Loader`]).
//! 2. `forward`: each layer calls ops. An op first *infers*: it makes all checks and computes the output shapes
//!    ([`tensor::Op::infer`]). Then memory is taken from the pool of recycled buffers, and the loop runs. If an input
//!    tracks gradients, a node is added to the tape with only the tensors that backward will read.
//! 3. The loss is a scalar. `backward` takes nodes off the tape, latest first. Each op returns the gradients of its
//!    inputs. Only the engine adds them up, always in the same order.
//! 4. The optimiser changes every parameter in place. This raises storage versions. So a tensor that was saved before
//!    and is used after is a typed error, never a wrong gradient.
//! 5. All buffers of the step return to the pool. The next step asks for the same sizes and gets them.
//!
//! On a GPU the loop of an op is a kernel launch, which returns at once. The whole step is captured as a CUDA graph the
//! first time, and the graph is replayed from then on ([`cuda`]).
//!
//! # Where it departs from the plan it started from
//!
//! - **A leaf adopts its first gradient** instead of adding it into its own buffer. Adding would cost a pass over
//!   memory for every parameter. Within a step the buffer stays the same, and later gradients are added in place.
//! - **Layers are described first and get values later.** `Conv2d::new(3, 6, 5)` has no values;
//!   `model.init(&device, dtype, seed)` draws each parameter with the key of its path. So construction needs no device,
//!   and `summary` runs any network on the [`Device::Meta`] device, where nothing is allocated or computed.
//! - **Launch functions are generated.** `build.rs` reads each kernel's declaration and writes a typed function for it,
//!   so that the two cannot disagree. The structs that they share are generated in the same way.
//! - **`--precision bf16` and `tf32` concern only matrix products.** Inputs are rounded while they are loaded; tensor
//!   cores multiply them and add in f32. Tensors stay f32 in memory. So every op has one kernel, not one per precision.
//! - **f64 stays on the CPU**, where it is the reference: a GPU for learners computes it 64 times slower than f32.
//! - **Scratch memory is not planned in `infer`.** Loops take it from the same recycled buffers. No dry run sets the
//!   buffers' sizes: the first step does. Its buffers are cut from one arena on huge pages, and every later step reuses
//!   them. So memory is flat from the second step on (`tests/soak/flat_memory.py`). A dry run would save only a part of
//!   one step.
//! - **Weights are written here; the `safetensors` crate reads them** (see [`io::safetensors`]). The crate would list
//!   tensors by element type first and metadata in no fixed order. Our files promise sorted names, and the same bytes
//!   for the same tensors.

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
