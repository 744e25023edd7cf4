//! Training: the notebooks' loop, and everything that happens around it.
//!
//! The [`Trainer`] handles epochs, phases, the best weights and stopping. It does not handle files, terminals or
//! signals. Callbacks do that: the run folder's callback writes metrics and checkpoints, the command line's draws a
//! progress bar.
//!
//! | file | what |
//! |---|---|
//! | `trainer.rs` | the loop: a train and a validation phase each epoch |
//! | `rate.rs` | the learning rate and the momentum of each step |
//! | `cuda_graph_steps.rs` | training steps on a GPU, captured once as a CUDA graph and replayed |
//! | `state.rs` | the position in the loop: everything that a checkpoint holds besides the tensors |
//! | `evaluate.rs` | mean loss and scores over a data set |
//! | `callback.rs` | the interface for watching the loop and stopping it |
//! | `metrics.rs` | mean loss and accuracy; the reports of a step, a phase, a run |
//! | `recent_loss.rs` | the mean loss of the last steps |
//! | `confusion.rs` | the confusion matrix |
//! | `non_finite.rs` | finds the layer that first produced NaN |
//! | `config/` | everything a run depends on: the library's settings, `config.toml`, the flags of `receptive train` |
//! | `data_preview.rs` | what a data set holds, and what training will see of it |
//! | `data_record.rs` | what a run needs to know about its data, as stored in `data.json` |
//! | `setup.rs` | builds model, data and trainer from a configuration |
//! | `session.rs`, `changed.rs` | trains a run folder to its end; changes what may be changed before it goes on |
//! | `weights.rs` | weights from other programs, fitted to a model |
//! | `inference.rs` | a trained model ready for inference |
//! | `run_dir.rs`, `recorder.rs`, `history.rs`, `checkpoint.rs` | the run folder |
//! | `health.rs` | samples every layer's health into the run folder |
//! | `live/` | shows a run in a browser: follow, pause, stop |
//! | `pictures/` | the pictures in the run folder |

mod callback;
mod changed;
mod checkpoint;
mod config;
mod confusion;
mod cuda_graph_steps;
mod data_preview;
mod data_record;
mod evaluate;
mod health;
mod history;
mod inference;
#[cfg(feature = "live")]
pub mod live;
mod metrics;
mod non_finite;
pub mod pictures;
mod rate;
mod recent_loss;
mod recorder;
mod run_dir;
mod session;
mod setup;
mod state;
mod trainer;
mod weights;

pub use callback::{Callback, Flow};
pub use changed::{longer, moved};
pub use checkpoint::Checkpoint;
pub use config::{FORMAT, RunConfig};
pub use confusion::Confusion;
pub use cuda_graph_steps::GraphMode;
pub use data_preview::{BatchFacts, ClassCount, DataFacts, DataPreview, DataSample, SplitFacts};
pub use data_record::DataRecord;
pub use evaluate::evaluate;
pub use health::{HealthRecorder, HealthSample};
pub use inference::{Split, Trained, TrainedOptions};
pub use metrics::{Outcome, Overlap, Phase, PhaseReport, Scores, StepReport, Tally};
#[cfg(feature = "cli")]
pub(crate) use non_finite::finite;
pub use recent_loss::RecentLoss;
pub use recorder::Recorder;
pub use run_dir::RunDir;
pub use session::{Done, train};
pub use setup::Setup;
pub use state::{Best, State};
pub use trainer::{Keep, Trainer};
pub use weights::FittedWeights;
