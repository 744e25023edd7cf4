//! Callbacks of one's own: one stops early, one keeps a log.

use receptive::prelude::*;
use std::sync::{Arc, Mutex};

/// Finishes the run after the first epoch whose validation accuracy is high enough.
struct GoodEnough {
    accuracy: f64,
    reached: bool,
}

impl Callback for GoodEnough {
    fn on_phase(&mut self, _: &Trainer, report: &PhaseReport) -> Result<()> {
        self.reached |= report.phase == Phase::Val && report.scores.accuracy >= self.accuracy;
        Ok(())
    }

    fn on_epoch(&mut self, _: &Trainer) -> Result<Flow> {
        Ok(if self.reached { Flow::Finish } else { Flow::Continue })
    }
}

/// Writes a line for each step.
struct Log(Arc<Mutex<Vec<String>>>);

impl Callback for Log {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        let line = format!("step {} loss {:.3} rate {}", report.step, report.loss, trainer.learning_rate());
        self.0.lock().unwrap().push(line);
        Ok(Flow::Continue)
    }
}

#[test]
fn they_stop_early_and_keep_a_log() -> Result<()> {
    let (train, val) = (super::batches(200)?, super::batches(100)?);
    let net = super::classifier()?;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let outcome =
        Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, RunConfig::plain("net", 1000, 0.5))?
            .callback(GoodEnough { accuracy: 0.9, reached: false })
            .callback(Log(Arc::clone(&lines)))
            .fit(&train, &val)?;
    assert!(outcome.finished && outcome.best.accuracy >= 0.9, "{outcome:?}");
    let lines = lines.lock().unwrap();
    assert!(lines.len() < 10_000 && lines.len() % 10 == 0, "{} steps", lines.len());
    assert!(lines[0].starts_with("step 0 loss 0.") && lines[0].ends_with("rate 0.5"), "{}", lines[0]);
    Ok(())
}
