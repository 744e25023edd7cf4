//! A curve of any length in bounded memory: when there are too many points, neighbours are joined.

use serde::Serialize;

/// The most points kept. It is even, so that all points pair up.
const MOST: usize = 1024;

/// Sums over consecutive steps.
#[derive(Debug, Clone, Copy)]
struct Point {
    steps: u64,
    loss: f64,
    /// Sum of the steps' scores on their batches: accuracy, or Dice for masks.
    score: f64,
}

impl Point {
    fn add(&mut self, other: Point) {
        self.steps += other.steps;
        self.loss += other.loss;
        self.score += other.score;
    }

    /// Number of steps, mean loss, mean score. f32 is more precise than a screen can show.
    fn means(&self) -> (u64, f32, f32) {
        let mean = |sum: f64| (sum / self.steps as f64) as f32;
        (self.steps, mean(self.loss), mean(self.score))
    }
}

/// Loss and score of every step since `start`. Each point except the last is the sum over `width` steps.
pub(super) struct Curve {
    start: u64,
    width: u64,
    points: Vec<Point>,
}

/// The part of a curve that a client has received: number of steps, and the width of its points.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct CurveCursor {
    width: u64,
    steps: u64,
}

/// The end of a curve, starting at a given point.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct CurveTail {
    pub start: u64,
    pub width: u64,
    /// The index of the first of these points. With 0 the client replaces all points it had.
    pub from: usize,
    /// `[steps, mean loss, mean score]` per point.
    pub points: Vec<(u64, f32, f32)>,
}

impl Curve {
    /// An empty curve; the first step added is step `start` of the run.
    pub fn new(start: u64) -> Curve {
        Curve { start, width: 1, points: Vec::new() }
    }

    /// Adds one step.
    pub fn push(&mut self, loss: f64, score: f64) {
        let step = Point { steps: 1, loss, score };
        match self.points.last_mut() {
            Some(last) if last.steps < self.width => last.add(step),
            _ => {
                if self.points.len() == MOST {
                    self.halve();
                }
                self.points.push(step);
            }
        }
    }

    fn halve(&mut self) {
        let join = |pair: &[Point]| {
            let mut joined = pair[0];
            pair[1..].iter().for_each(|&other| joined.add(other));
            joined
        };
        self.points = self.points.chunks(2).map(join).collect();
        self.width *= 2;
    }

    /// The points that are new since `seen`; `seen` is then updated. The last point is sent again, because it may have
    /// grown.
    pub fn since(&self, seen: &mut CurveCursor) -> Option<CurveTail> {
        let full = self.points.len().saturating_sub(1) as u64 * self.width;
        let now =
            CurveCursor { width: self.width, steps: full + self.points.last().map_or(0, |last| last.steps) };
        if now == *seen || now.steps == 0 {
            return None;
        }
        let from =
            if seen.width == self.width { (seen.steps.saturating_sub(1) / self.width) as usize } else { 0 };
        *seen = now;
        let points = self.points[from..].iter().map(Point::means).collect();
        Some(CurveTail { start: self.start, width: self.width, from, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long the run is, the number of points is bounded, and no step is lost or counted twice.
    #[test]
    fn a_long_curve_is_bounded_and_whole() {
        let steps = 10 * MOST as u64 + 3;
        let mut curve = Curve::new(0);
        (0..steps).for_each(|step| curve.push(step as f64, 1.0));
        assert!(curve.points.len() <= MOST && curve.width == 16, "{} of {}", curve.points.len(), curve.width);
        let (last, full) = curve.points.split_last().unwrap();
        assert!(full.iter().all(|point| point.steps == curve.width) && last.steps <= curve.width);
        let sum = |of: fn(&Point) -> f64| curve.points.iter().map(of).sum::<f64>();
        assert_eq!(sum(|point| point.steps as f64), steps as f64);
        assert_eq!(sum(|point| point.loss), (steps * (steps - 1) / 2) as f64);
        assert_eq!(sum(|point| point.score), steps as f64);
        assert_eq!(curve.points[0].loss, 120.0);
    }

    /// A reader that puts every tail at its `from` has the whole curve, even if it reads rarely.
    #[test]
    fn tails_add_up_to_the_curve() {
        for every in [1, 7, 1000, 3000] {
            let (mut curve, mut seen, mut copy) = (Curve::new(5), CurveCursor::default(), Vec::new());
            for step in 1..=5000u64 {
                curve.push(step as f64, 0.5);
                if step.is_multiple_of(every) || step == 5000 {
                    let tail = curve.since(&mut seen).unwrap();
                    assert!(tail.from == 0 || tail.points.len() as u64 <= every + 1);
                    copy.truncate(tail.from);
                    copy.extend(&tail.points);
                    assert_eq!((tail.start, tail.width), (5, curve.width));
                }
            }
            let whole = curve.since(&mut CurveCursor::default()).unwrap();
            assert_eq!((0, copy), (whole.from, whole.points), "every {every} steps");
            assert_eq!(curve.since(&mut seen), None);
        }
    }
}
