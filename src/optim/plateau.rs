//! Lowers the learning rate when the validation loss stops falling. PyTorch: `ReduceLROnPlateau`.

use serde::{Deserialize, Serialize};

/// A loss counts as better if it is below the best loss by at least this fraction.
const THRESHOLD: f64 = 1e-4;
/// A rate is not lowered if that would change it by no more than this.
const EPS: f64 = 1e-8;

/// The state of `plateau:PATIENCE:FACTOR` between epochs. It is saved and restored with the run. PyTorch:
/// `ReduceLROnPlateau(factor, patience)` with its defaults (`mode='min'`, `threshold=1e-4`, `cooldown=0`, `min_lr=0`,
/// `eps=1e-8`).
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
    /// The rate at the start of the run.
    lr: f64,
    /// `None` before the first finite loss, because JSON has no infinity.
    best: Option<f64>,
    bad_epochs: usize,
    factor: f64,
}

impl Plateau {
    /// Tolerates `patience` epochs in a row without a better loss. After one more, the rate, which is `lr` at first, is
    /// multiplied by `gamma`.
    pub fn new(patience: usize, gamma: f64, lr: f64) -> Plateau {
        Plateau { patience, gamma, lr, best: None, bad_epochs: 0, factor: 1.0 }
    }

    /// Takes the validation loss of an epoch. NaN never counts as better.
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

    /// The factor by which [`Schedule::rate`](super::Schedule::rate) is to be multiplied in the next epoch.
    pub fn factor(&self) -> f64 {
        self.factor
    }
}
