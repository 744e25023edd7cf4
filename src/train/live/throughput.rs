//! The speed of a run: images per second, time left.

/// Seconds of training over which the rate is measured.
const WINDOW: f64 = 0.5;

/// Measures the speed of one session of a run. Its clock counts seconds of training.
pub(super) struct Throughput {
    /// The step and the seconds at the session's start.
    start: (u64, f64),
    /// The time at the end of the last step, or of the validation after it.
    last: f64,
    /// Images of the rate that is being measured; `spent` is their seconds.
    images: usize,
    spent: f64,
    pub images_per_second: Option<f64>,
}

impl Throughput {
    /// A session that starts at this step, after this many seconds of training.
    pub fn new(step: u64, seconds: f64) -> Throughput {
        Throughput { start: (step, seconds), last: seconds, images: 0, spent: 0.0, images_per_second: None }
    }

    /// Adds a step with this many images.
    pub fn step(&mut self, images: usize, seconds: f64) {
        self.images += images;
        self.spent += seconds - self.last;
        self.last = seconds;
        if self.spent >= WINDOW {
            self.images_per_second = Some(self.images as f64 / self.spent);
            (self.images, self.spent) = (0, 0.0);
        }
    }

    /// Excludes the time since the last step from the rate: it was validation, not training.
    pub fn skip_to(&mut self, seconds: f64) {
        self.last = seconds;
    }

    /// Seconds for the remaining steps, if they take as long as those of this session, including validation.
    pub fn seconds_left(&self, step: u64, steps: u64, seconds: f64) -> Option<f64> {
        let (done, spent) = (step - self.start.0, seconds - self.start.1);
        (done > 0).then(|| spent / done as f64 * steps.saturating_sub(step) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_this_session_and_without_validation() {
        let mut throughput = Throughput::new(100, 50.0);
        assert_eq!((throughput.images_per_second, throughput.seconds_left(100, 200, 50.0)), (None, None));
        for step in 1..=4 {
            throughput.step(32, 50.0 + 0.25 * f64::from(step));
        }
        assert_eq!(throughput.images_per_second, Some(128.0));
        assert_eq!(throughput.seconds_left(104, 200, 51.0), Some(24.0));
        throughput.skip_to(61.0);
        throughput.step(64, 62.0);
        assert_eq!(throughput.images_per_second, Some(64.0));
    }

    #[test]
    fn epochs_shorter_than_the_window_have_a_rate_too() {
        let mut throughput = Throughput::new(0, 0.0);
        for epoch in 0..4 {
            throughput.step(32, f64::from(epoch) + 0.125);
            throughput.skip_to(f64::from(epoch) + 1.0);
        }
        assert_eq!(throughput.images_per_second, Some(256.0));
    }
}
