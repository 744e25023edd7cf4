//! What limits each GPU kernel of a training step, and how long it would take: predicted from counts, without a GPU.
//!
//! | file | what |
//! |---|---|
//! | `card.rs` | [`GpuCard`]: the speeds of six GPUs, with their sources |
//! | `resources.rs` | [`Resources`]: what the assembler made of a kernel, from `kernels/resources.tsv` |
//! | `predict.rs` | [`predict`]: the time of a launch, from seven limits |
//! | `table.rs` | [`KernelTable`]: a step's launches, summed by kernel |
//! | `measured.rs` | [`MeasuredTable`]: the same kernels as a card ran them, and the errors of the predictions |
//! | `page.rs`, `page.css` | the table as a page, with the counts beside the lines of source |
//!
//! Three sources meet here. The simulated GPU counts what the blocks of a launch do with memory
//! ([`crate::cuda::LaunchRecorder`]). NVIDIA's assembler says which instructions a loop has. The card's table says how fast each
//! unit is. All times are predictions until they are measured on a card.

mod card;
mod measured;
mod page;
mod predict;
mod resources;
mod table;

pub use card::{CARDS, GpuCard};
pub use measured::{MeasuredRow, MeasuredTable, PredictionError};
pub use predict::{Bottleneck, LaunchTime, predict};
pub use resources::{InstructionMix, KernelLoop, Resources};
pub use table::{KernelRow, KernelTable};
