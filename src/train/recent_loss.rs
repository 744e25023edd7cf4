//! The mean loss of the last steps, which a run prints if [`loss_every`](super::RunConfig::loss_every) is set.

/// Sums over the last steps of an epoch.
///
/// ```
/// use receptive::train::RecentLoss;
///
/// let mut recent = RecentLoss::default();
/// let means = [4.0, 2.0, 1.0, 1.0, 7.0].map(|loss| {
///     recent.add(loss, 2);
///     recent.mean(2)
/// });
/// assert_eq!(means, [None, Some((2, 3.0)), None, Some((4, 1.0)), None]);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RecentLoss {
    sum: f64,
    /// Steps in the sum.
    steps: u64,
    /// Steps of the epoch so far.
    seen: u64,
}

impl RecentLoss {
    /// Adds a step's loss. A new sum begins after every `every` steps; 0: nothing is added.
    pub fn add(&mut self, loss: f64, every: usize) {
        if every == 0 {
            return;
        }
        if self.steps >= every as u64 {
            (self.sum, self.steps) = (0.0, 0);
        }
        self.sum += loss;
        self.steps += 1;
        self.seen += 1;
    }

    /// The number of steps of the epoch so far and the mean of the last `every`, if that many are in the sum.
    pub fn mean(&self, every: usize) -> Option<(usize, f64)> {
        let full = every > 0 && self.steps == every as u64;
        full.then(|| (self.seen as usize, self.sum / every as f64))
    }

    /// The fields, for a checkpoint.
    pub(super) fn bits(&self) -> [u64; 3] {
        [self.sum.to_bits(), self.steps, self.seen]
    }

    pub(super) fn from_bits([sum, steps, seen]: [u64; 3]) -> RecentLoss {
        RecentLoss { sum: f64::from_bits(sum), steps, seen }
    }
}
