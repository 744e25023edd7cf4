//! Lowering the rate when the validation loss stops falling. PyTorch: `ReduceLROnPlateau`.

use serde::{Deserialize, Serialize};

/// A loss is better when it is below the best by this part of it.
const THRESHOLD: f64 = 1e-4;
/// A rate is left alone when lowering it would change it by no more than this.
const EPS: f64 = 1e-8;

/// What `plateau:PATIENCE:FACTOR` remembers from epoch to epoch. It is part of a run's state: saved with it, restored
/// with it. PyTorch: `ReduceLROnPlateau(factor, patience)` with its defaults (`mode='min'`, `threshold=1e-4`,
/// `cooldown=0`, `min_lr=0`, `eps=1e-8`).
///
/// ```
/// use receptive::optim::Plateau;
/// let mut plateau = Plateau::new(1, 0.5, 0.1);
/// [1.0, 0.9, 0.9].map(|loss| plateau.observe(loss));
/// assert_eq!(plateau.factor(), 1.0); // one bad epoch is tolerated
/// plateau.observe(0.95);
/// assert_eq!(plateau.factor(), 0.5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    patience: usize,
    gamma: f64,
    /// The rate before anything was lowered.
    lr: f64,
    /// `None` before the first finite loss: JSON has no infinity.
    best: Option<f64>,
    bad_epochs: usize,
    factor: f64,
}

impl Plateau {
    /// Tolerates `patience` epochs in a row without a better loss, then multiplies the rate, `lr` at first, by `gamma`.
    pub fn new(patience: usize, gamma: f64, lr: f64) -> Plateau {
        Plateau { patience, gamma, lr, best: None, bad_epochs: 0, factor: 1.0 }
    }

    /// Takes the validation loss of an epoch. NaN is no better than anything.
    pub fn observe(&mut self, val_loss: f64) {
        if val_loss < self.best.map_or(f64::INFINITY, |best| best * (1.0 - THRESHOLD)) {
            self.best = Some(val_loss);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        if self.bad_epochs > self.patience {
            self.bad_epochs = 0;
            let lowered = self.factor * self.gamma;
            if self.lr * (self.factor - lowered) > EPS {
                self.factor = lowered;
            }
        }
    }

    /// What multiplies the rate of [`Schedule::rate`](super::Schedule::rate) in the coming epoch.
    pub fn factor(&self) -> f64 {
        self.factor
    }
}
