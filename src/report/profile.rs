//! Profiles some steps of a training run.

use crate::core::{Error, Result};
use crate::inspect::profile::{Profile, Profiler, WARM_UP};
use crate::io::check_writable;
use crate::nn::ModuleExt;
use crate::train::{Callback, Flow, Outcome, StepReport, Trainer};
use std::path::{Path, PathBuf};

/// Profiles the first steps of a training run, writes the profile to a file, and then leaves the run alone. The first
/// [`WARM_UP`] steps are not part of the profile. What happens between steps is not part of it either: validation,
/// checkpoints, samples of the layers' health. Waiting for a step's batch is part of the step.
///
/// On a GPU the profiled epochs run without a CUDA graph.
pub struct ProfileTraining<'a> {
    file: PathBuf,
    steps: usize,
    /// Receives the profile or the error. A file that cannot be written does not end the run.
    done: Box<dyn FnMut(Result<Profile>) + Send + 'a>,
    /// Number of warm-up steps that are left.
    warm_up: usize,
    profiler: Option<Profiler>,
    title: String,
}

impl<'a> ProfileTraining<'a> {
    /// Profiles `steps` steps into this file. `done` receives the profile when it is written, or the error.
    ///
    /// # Errors
    /// 0 steps; a file that cannot be written.
    pub fn new(
        file: &Path,
        steps: usize,
        done: impl FnMut(Result<Profile>) + Send + 'a,
    ) -> Result<ProfileTraining<'a>> {
        if steps == 0 {
            return Err(Error::argument("steps", "0 is out of range").expected("1 or more"));
        }
        check_writable(file)?;
        let (file, done) = (file.to_owned(), Box::new(done));
        Ok(ProfileTraining { file, steps, done, warm_up: WARM_UP, profiler: None, title: String::new() })
    }

    fn finish(&mut self) {
        if let Some(profiler) = self.profiler.take() {
            (self.done)(write(profiler, &self.file, &self.title));
        }
    }
}

fn write(profiler: Profiler, file: &Path, title: &str) -> Result<Profile> {
    let device = profiler.device().clone();
    let mut profile = profiler.finish();
    if profile.events.is_empty() {
        return Err(Error::argument("profile", "no training step ran, so there is no profile to write"));
    }
    profile.measure_roof(&device)?;
    profile.write(file, title)?;
    Ok(profile)
}

impl Callback for ProfileTraining<'_> {
    fn on_start(&mut self, trainer: &Trainer) -> Result<()> {
        let Some((_, param)) = trainer.model.params().into_iter().next() else { return Ok(()) };
        let profiler = Profiler::start(param.value()?.device())?;
        profiler.know(trainer.model, Some(&*trainer.optimizer))?;
        let ahead = trainer.total_steps().saturating_sub(trainer.state.step) as usize;
        self.warm_up = WARM_UP.min(ahead.saturating_sub(1));
        self.title = format!("receptive train {}", trainer.config.model);
        profiler.pause();
        self.profiler = Some(profiler);
        Ok(())
    }

    fn before_step(&mut self) {
        self.profiler.iter().for_each(Profiler::resume);
    }

    fn after_step(&mut self) {
        let Some(profiler) = &self.profiler else { return };
        if self.warm_up > 0 {
            self.warm_up -= 1;
            profiler.restart();
        } else {
            profiler.step();
        }
        profiler.pause();
    }

    fn on_step(&mut self, _trainer: &Trainer, _report: &StepReport) -> Result<Flow> {
        if self.profiler.as_ref().is_some_and(|profiler| profiler.steps() >= self.steps) {
            self.finish();
        }
        Ok(Flow::Continue)
    }

    fn on_end(&mut self, _trainer: &Trainer, _outcome: &Outcome) -> Result<()> {
        self.finish();
        Ok(())
    }
}
