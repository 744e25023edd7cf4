//! The notebooks' experiments, each one command: `receptive reproduce ID`.
//!
//! | file | what |
//! |---|---|
//! | `experiments.rs` | the table: network, settings, published numbers, one row each |
//! | `figure.rs` | what a number of the table is |
//! | `runner.rs` | one row with one seed: ordinary run folders, resumed where they stopped |
//! | `report.rs` | published and ours side by side, as text, Markdown and JSON |
//!
//! ```
//! let row = receptive::reproduce::find("m7")?;
//! let config = row.config()?;
//! assert_eq!((config.model.as_str(), config.epochs, config.lr), ("lenet5", 5, 0.01));
//! # Ok::<(), receptive::Error>(())
//! ```

mod experiments;
mod figure;
mod report;
mod runner;

pub use experiments::{EXPERIMENTS, Experiment, Net, find};
pub use figure::{Figure, Measure};
pub use report::{Report, ReportRow, list};
pub use runner::{Options, SeedResult, Stopped, run, run_in};
