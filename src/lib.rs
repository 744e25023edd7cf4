//! `receptive`: a from-scratch tensor engine for learning how convolutional networks work.
//!
//! A training loop, by hand:
//!
//! ```
//! use receptive::prelude::*;
//!
//! let cpu = Device::cpu()?;
//! let net = Sequential::new().named("fc1", Linear::new(2, 16)).named("tanh", Tanh).named("fc2", Linear::new(16, 1));
//! net.init(&cpu, DType::F32, 0)?;
//! let x = Tensor::randn(&cpu, &[64, 2], DType::F32, Key::new(1))?;
//! let target = x.narrow(1, 0, 1)? * x.narrow(1, 1, 1)?;
//! let mut adam = Adam::new(net.trainable()?, 0.0)?;
//! let mut last = f64::INFINITY;
//! for step in 0..300 {
//!     let y = net.forward(&Ctx::train("net", Key::new(0).step(step)), &x)?;
//!     let loss = (y - &target).pow_scalar(2.0)?.mean_all()?;
//!     adam.zero_grad();
//!     loss.backward()?;
//!     adam.step(0.02)?;
//!     last = loss.item()?;
//! }
//! assert!(last < 0.01, "{last}");
//! # Ok::<(), receptive::Error>(())
//! ```
//!
//! [`train::Trainer`] is that loop with data, validation, schedules and callbacks. Lesson 11,
//! `examples/11_your_own.rs`, gives it a data set, an op, a module and a callback of its own.
//!
//! # What is where
//!
//! Dependencies go one way: a module uses only modules above it in this table.
//!
//! | module | what |
//! |---|---|
//! | [`core`] | errors, shapes, element types, keyed random numbers |
//! | [`ladder`] | the row type of ladders, the tables that list all versions of a kernel; `cpu` and `cuda` have the tables |
//! | [`cpu`] | the loops, which read and write slices; threads and recycled memory |
//! | [`cuda`] | device memory, launches, captured graphs; the kernels are in `kernels/` |
//! | [`tensor`] | the tensor, the trait of an op, the tape (a record of the ops that ran) and the backward engine |
//! | [`ops`] | one file and one row per op: formula, derivation, loops, cases |
//! | [`io`] | files of tensors; replacing a file in one step |
//! | [`nn`] | layers, and the context in which they run |
//! | [`optim`], [`data`] | optimisers and schedules; images |
//! | [`models`] | the networks, one row per network, and arch files |
//! | [`draw`] | SVG and PNG, letters included; the common parts of the HTML pages |
//! | [`inspect`] | instruments that count, draw, observe and compare a network's layers; facts about the machine |
//! | [`train`] | the training loop, and the run folder from which a run can be resumed |
//! | [`report`] | reports on a network: one page about it and an image, and a profile of some training steps |
//! | [`reproduce`] | the notebooks' experiments, one row per experiment |
//! | [`prelude`] | the names that most programs need, for `use receptive::prelude::*` |
//! | [`testing`] | comparisons of tensors, gradient checks, the cases of every op |
//! | `cli` | the `receptive` program, a thin layer over all of these |
//!
//! There are four features, all on by default: `cli` is the program, `images` reads PNG, JPEG and GIF files, `live`
//! shows a run in a browser, `cuda` runs on NVIDIA GPUs if a driver is installed. Without them the library lacks only
//! these parts.
//!
//! # Life of a training step
//!
//! 1. A thread of the loader has made a batch. It read the images' bytes and normalised them to f32 ([`data::Loader`]).
//! 2. `forward`: each layer calls ops. An op first *infers*: it makes all checks and computes the output shapes
//!    ([`tensor::Op::infer`]). Then memory is taken from the pool of recycled buffers, and the loop runs. If an input
//!    tracks gradients, a node is added to the tape with only the tensors that backward will read.
//! 3. The loss is a scalar. The backward engine takes nodes off the tape, the latest first. Each op returns the
//!    gradients of its inputs. Only the engine adds them up, always in the same order.
//! 4. The optimiser changes every parameter in place. This raises the version number of the parameter's memory. If
//!    backward later reads a tensor that was saved before the change, it returns an error, never a wrong gradient.
//! 5. All buffers of the step return to the pool. The next step asks for the same sizes and gets them.
//!
//! On a GPU an op launches a kernel instead of running a loop, and the launch returns at once. After the first full
//! batch, the whole step is captured as a CUDA graph. From then on the graph is replayed ([`cuda`]).
//!
//! `docs/design.md` says where the code departs from the plan it started from, and why.

#[doc(inline)]
pub use receptive_engine::*;

#[cfg(feature = "cli")]
pub mod cli;
pub mod draw;
pub mod inspect;
pub mod prelude;
pub mod report;
pub mod reproduce;
pub mod testing;
pub mod train;
