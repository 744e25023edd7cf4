//! The notebooks' experiments. One command runs one of them: `receptive reproduce ID`.
//!
//! | file | what |
//! |---|---|
//! | `experiments.rs` | the table: one row per experiment with its network, settings and published numbers |
//! | `figure.rs` | the kinds of numbers in the table |
//! | `runner.rs` | runs one row with one seed in ordinary run folders, which are resumed where they stopped |
//! | `report.rs` | the published numbers and ours side by side, as text, Markdown and JSON |
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
pub use report::{ExperimentReport, ReportRow, list};
pub use runner::{Options, SeedResult, StoppedRun, run, run_in};
