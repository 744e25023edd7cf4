//! What each phase of each epoch gave. Of a run of very many epochs every second one is kept, then every fourth, ...

use super::events::PhasePoint;
use serde::Serialize;

/// The most phases kept.
const MOST: usize = 2048;

#[derive(Debug, Clone)]
pub(super) struct Phases {
    /// Epochs whose number this divides are kept.
    every: usize,
    points: Vec<PhasePoint>,
}

/// How many phases somebody has, of which epochs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Seen {
    every: usize,
    points: usize,
}

/// The phases from one on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Tail {
    /// 0: whatever was there before is replaced.
    pub from: usize,
    pub phases: Vec<PhasePoint>,
}

impl Default for Phases {
    fn default() -> Phases {
        Phases { every: 1, points: Vec::new() }
    }
}

impl Phases {
    pub fn push(&mut self, phase: PhasePoint) {
        if self.points.len() == MOST {
            self.every *= 2;
            self.points.retain(|point| point.epoch.is_multiple_of(self.every));
        }
        if phase.epoch.is_multiple_of(self.every) {
            self.points.push(phase);
        }
    }

    /// What has come since `seen`, which becomes what there is now.
    pub fn since(&self, seen: &mut Seen) -> Option<Tail> {
        let now = Seen { every: self.every, points: self.points.len() };
        if now == *seen || now.points == 0 {
            return None;
        }
        let from = if seen.every == self.every { seen.points } else { 0 };
        *seen = now;
        Some(Tail { from, phases: self.points[from..].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Phase;

    #[test]
    fn many_epochs_are_thinned_out() {
        let (mut phases, mut seen, mut copy) = (Phases::default(), Seen::default(), Vec::new());
        assert_eq!(phases.since(&mut seen), None);
        for epoch in 0..5000 {
            for phase in [Phase::Train, Phase::Val] {
                phases.push(PhasePoint { epoch, phase, loss: 0.0, score: 0.0, seconds: 0.0 });
                if let Some(tail) = phases.since(&mut seen) {
                    copy.truncate(tail.from);
                    copy.extend(tail.phases);
                }
            }
        }
        assert_eq!(copy, phases.points);
        assert!(
            copy.len() <= MOST && copy.len() > MOST / 2 && phases.every == 8,
            "{} {}",
            copy.len(),
            phases.every
        );
        assert_eq!((copy[2].epoch, copy[3].phase), (8, Phase::Val));
    }
}
