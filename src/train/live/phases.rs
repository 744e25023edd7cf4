//! The results of each phase of each epoch. With very many epochs only every second one is kept, then every fourth, and
//! so on. The newest is always kept.

use super::events::LivePhasePoint;
use serde::Serialize;

/// The most phases kept.
const MOST: usize = 2048;

pub(super) struct Phases {
    /// Number of phases added so far.
    pushed: u64,
    /// Epochs whose number is a multiple of this are kept.
    every: usize,
    /// The phases that are kept, and at the end those of the newest epoch, even if it is not a multiple.
    points: Vec<LivePhasePoint>,
}

/// What a client has received: the number of phases so far, the multiple in use, and how many of its phases are final.
#[derive(Default)]
pub(super) struct PhaseCursor {
    pushed: u64,
    every: usize,
    kept: usize,
}

/// The end of the list of phases, starting at a given one.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct PhaseTail {
    /// The index of the first of these phases. With 0 the client replaces all phases it had.
    pub from: usize,
    pub phases: Vec<LivePhasePoint>,
}

impl Default for Phases {
    fn default() -> Phases {
        Phases { pushed: 0, every: 1, points: Vec::new() }
    }
}

impl Phases {
    pub fn push(&mut self, phase: LivePhasePoint) {
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

    /// How many points are kept when the next epoch comes.
    fn kept(&self) -> usize {
        let passing = |point: &&LivePhasePoint| !point.epoch.is_multiple_of(self.every);
        self.points.len() - self.points.iter().rev().take_while(passing).count()
    }

    /// The phases that are new since `seen`; `seen` is then updated.
    pub fn since(&self, seen: &mut PhaseCursor) -> Option<PhaseTail> {
        if self.pushed == seen.pushed {
            return None;
        }
        let from = if seen.every == self.every { seen.kept } else { 0 };
        *seen = PhaseCursor { pushed: self.pushed, every: self.every, kept: self.kept() };
        Some(PhaseTail { from, phases: self.points[from..].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Phase;

    #[test]
    fn many_epochs_are_thinned_out() {
        let (mut phases, mut seen, mut copy) = (Phases::default(), PhaseCursor::default(), Vec::new());
        assert_eq!(phases.since(&mut seen), None);
        for epoch in 0..5000 {
            for phase in [Phase::Train, Phase::Val] {
                phases.push(LivePhasePoint { epoch, phase, loss: 0.0, score: 0.0, seconds: 0.0 });
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
