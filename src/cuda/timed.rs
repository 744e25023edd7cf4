//! The time of each launch on the device's clock.

use super::context::Mark;
use crate::core::Result;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// A launch and the time it took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimedLaunch {
    pub kernel: &'static str,
    pub seconds: f64,
}

/// A launch, and the points of the queue before and after it.
type Marked = (&'static str, [Mark; 2]);

/// The launches of a context while they are timed.
#[derive(Default)]
pub(super) struct LaunchClock(Mutex<Option<Vec<Marked>>>);

impl LaunchClock {
    /// True while launches are timed.
    pub fn is_on(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub fn start(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    pub fn add(&self, kernel: &'static str, from: Mark, to: Mark) {
        if let Some(launches) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            launches.push((kernel, [from, to]));
        }
    }

    /// Ends the timing, and waits for the launches.
    pub fn finish(&self) -> Result<Vec<TimedLaunch>> {
        let launches = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let seconds = |[from, to]: [Mark; 2]| Ok(from.milliseconds_to(&to)? / 1e3);
        launches
            .into_iter()
            .map(|(kernel, marks)| Ok(TimedLaunch { kernel, seconds: seconds(marks)? }))
            .collect()
    }
}
