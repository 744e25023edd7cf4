//! Training: the notebooks' loop, and everything that happens around it.
//!
//! The [`Trainer`] knows epochs, phases, the best weights and how to stop; it knows nothing of files, terminals or
//! signals. Those are callbacks: the run folder writes metrics and checkpoints, the command line draws a bar.
//!
//! | file | what |
//! |---|---|
//! | `trainer.rs` | the loop: a train and a validation phase each epoch |
//! | `replay.rs` | the steps of a GPU, captured once and replayed |
//! | `state.rs` | the position in the loop: all that a checkpoint must hold beside the tensors |
//! | `callback.rs` | what may watch the loop, and stop it |
//! | `metrics.rs` | mean loss and accuracy; the reports of a step, a phase, a run |
//! | `confusion.rs` | which class is taken for which |
//! | `non_finite.rs` | which layer first turned NaN |
//! | `config/` | everything a run depends on: the library's settings, `config.toml`, the flags of `receptive train` |
//! | `data_record.rs` | what a run must know of its data, as `data.json` holds it |
//! | `setup.rs` | model, data and trainer from a configuration |
//! | `session.rs`, `changed.rs` | a run folder trained to its end, and what may be changed before it goes on |
//! | `weights.rs` | weights from elsewhere, fitted to a model |
//! | `trained.rs` | a trained network, loaded to be asked |
//! | `run_dir.rs`, `recorder.rs`, `history.rs`, `checkpoint.rs` | the run folder |
//! | `health.rs` | every layer's health, sampled into it |
//! | `live/` | a run in a browser: follow, pause, stop |
//! | `pictures/` | the pictures in it |

mod callback;
mod changed;
mod checkpoint;
mod config;
mod confusion;
mod data_record;
mod health;
mod history;
#[cfg(feature = "live")]
pub mod live;
mod metrics;
mod non_finite;
pub mod pictures;
mod recorder;
mod replay;
mod run_dir;
mod session;
mod setup;
mod state;
mod trained;
mod trainer;
mod weights;

pub use callback::{Callback, Flow};
pub use changed::{longer, moved};
pub use checkpoint::Checkpoint;
pub use config::{FORMAT, RunConfig};
pub use confusion::Confusion;
pub use data_record::DataRecord;
pub use health::{HealthRecorder, HealthSample};
pub use metrics::{Outcome, Overlap, Phase, PhaseReport, Scores, StepReport, Tally};
#[cfg(feature = "cli")]
pub(crate) use non_finite::finite;
pub use recorder::Recorder;
pub use replay::GraphMode;
pub use run_dir::RunDir;
pub use session::{Done, train};
pub use setup::Setup;
pub use state::{Best, State};
pub use trained::{Split, Trained, TrainedOptions};
pub use trainer::{Keep, Trainer, evaluate};
pub use weights::Fitted;
