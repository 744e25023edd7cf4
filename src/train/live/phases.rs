//! What each phase of each epoch gave. Of a run of very many epochs every second one is kept, then every fourth, ...; and always
//! the newest.

use super::events::PhasePoint;
use serde::Serialize;

/// The most phases kept.
const MOST: usize = 2048;

pub(super) struct Phases {
    /// Phases so far.
    pushed: u64,
    /// Epochs whose number this divides are kept.
    every: usize,
    /// Those that are kept, then the newest epoch, if it is none of them.
    points: Vec<PhasePoint>,
}

/// What somebody has: of so many phases those that are kept, of which epochs.
#[derive(Default)]
pub(super) struct Seen {
    pushed: u64,
    every: usize,
    kept: usize,
}

/// The phases from one on.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Tail {
    /// 0: whatever was there before is replaced.
    pub from: usize,
    pub phases: Vec<PhasePoint>,
}

impl Default for Phases {
    fn default() -> Phases {
        Phases { pushed: 0, every: 1, points: Vec::new() }
    }
}

impl Phases {
    pub fn push(&mut self, phase: PhasePoint) {
        self.pushed += 1;
        if self.points.last().is_some_and(|newest| newest.epoch != phase.epoch) {
            self.points.truncate(self.kept());
        }
        if self.points.len() == MOST {
            self.every *= 2;
            self.points.retain(|point| point.epoch.is_multiple_of(self.every));
        }
        self.points.push(phase);
    }

    /// How many points stay when the next epoch comes.
    fn kept(&self) -> usize {
        let passing = |point: &&PhasePoint| !point.epoch.is_multiple_of(self.every);
        self.points.len() - self.points.iter().rev().take_while(passing).count()
    }

    /// What has come since `seen`, which becomes what there is now.
    pub fn since(&self, seen: &mut Seen) -> Option<Tail> {
        if self.pushed == seen.pushed {
            return None;
        }
        let from = if seen.every == self.every { seen.kept } else { 0 };
        *seen = Seen { pushed: self.pushed, every: self.every, kept: self.kept() };
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
                let tail = phases.since(&mut seen).unwrap();
                copy.truncate(tail.from);
                copy.extend(tail.phases);
                let newest = copy.last().unwrap();
                assert_eq!((newest.epoch, newest.phase), (epoch, phase), "the newest is always there");
            }
        }
        assert_eq!((&copy, phases.since(&mut seen)), (&phases.points, None));
        assert!(
            copy.len() <= MOST && copy.len() > MOST / 2 && phases.every == 8,
            "{} {}",
            copy.len(),
            phases.every
        );
        assert_eq!((copy[2].epoch, copy[3].phase), (8, Phase::Val));
    }
}
