//! What each phase of each epoch gave. Of a run of very many epochs every second one is kept, then every fourth, ...; and always
//! the newest.

use super::events::PhasePoint;
use serde::Serialize;

/// The most phases kept.
const MOST: usize = 2048;

#[derive(Debug, Clone)]
pub(super) struct Phases {
    /// Epochs whose number this divides are kept.
    every: usize,
    /// Those that are kept, then the newest epoch, if it is none of them.
    points: Vec<PhasePoint>,
}

/// How many phases somebody has, of which epochs: those kept, and all with the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Seen {
    every: usize,
    kept: usize,
    points: usize,
    newest: usize,
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
        if self.newest() != phase.epoch {
            self.points.truncate(self.kept());
        }
        if self.points.len() == MOST {
            self.every *= 2;
            self.points.retain(|point| point.epoch.is_multiple_of(self.every));
        }
        self.points.push(phase);
    }

    fn newest(&self) -> usize {
        self.points.last().map_or(0, |point| point.epoch)
    }

    /// How many points stay when the next epoch comes.
    fn kept(&self) -> usize {
        let passing = |point: &&PhasePoint| !point.epoch.is_multiple_of(self.every);
        self.points.len() - self.points.iter().rev().take_while(passing).count()
    }

    /// What has come since `seen`, which becomes what there is now.
    pub fn since(&self, seen: &mut Seen) -> Option<Tail> {
        let [kept, points] = [self.kept(), self.points.len()];
        let now = Seen { every: self.every, kept, points, newest: self.newest() };
        if now == *seen || now.points == 0 {
            return None;
        }
        let from = if seen.every == self.every { seen.kept } else { 0 };
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
