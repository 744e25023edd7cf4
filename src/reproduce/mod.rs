//! The notebooks' experiments. One command runs one of them: `receptive reproduce ID`.
//!
//! | file | what |
//! |---|---|
//! | `experiments.rs` | the table: one row per experiment with its network, settings and published numbers |
//! | `figure.rs` | the kinds of numbers in the table |
//! | `printed.rs`, `printed.tsv` | the curves that the notebooks printed, and the gaps to ours |
//! | `picture.rs` | our curves and the notebooks' values in one picture |
//! | `runner.rs` | runs one row with one seed in ordinary run folders, which are resumed where they stopped |
//! | `quick.rs` | a short version of each experiment |
//! | `result.rs` | what one seed gave: figures, curves, machine and commit |
//! | `recorded.rs` | the project's own results, from `docs/results/` |
//! | `tables.rs` | the recorded results as Markdown |
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
mod picture;
mod printed;
mod quick;
mod recorded;
mod report;
mod result;
mod runner;
mod tables;

pub use experiments::{EXPERIMENTS, Experiment, Net, find};
pub use figure::{Figure, Measure};
pub use picture::draw_experiment;
pub use printed::{CurveGap, CurveMeasure, PrintedCurve, curve_gaps, printed};
pub use recorded::{QuietTimes, RecordedResults, RecordedRow, SeedSummary};
pub use report::{ExperimentReport, ReportRow, list};
pub use result::{Curves, SeedResult};
pub use runner::{Options, StoppedRun, run, run_in};
