//! `curves.svg`: loss and accuracy of both phases, epoch by epoch. If a value is NaN or infinite, a remark below the
//! title explains the cross that marks its epoch.

use super::layout::{TITLE, heading, note};
use crate::draw::Svg;
use crate::draw::chart::{BELOW, LEFT, PANEL, PointMark, Series, panel};
use crate::draw::color::{BLUE, VERMILION};
use crate::train::{Phase, PhaseReport};

/// Height of the remark below the title that explains the crosses.
const REMARK: f64 = 16.0;

/// Draws the curves of a run as an SVG document. For masks the second panel shows Dice.
pub fn draw_curves(title: &str, reports: &[PhaseReport]) -> String {
    let step = LEFT + PANEL[0] + 12.0;
    let page = 2.0 * step;
    let second = if reports.iter().any(|r| r.scores.overlap.is_some()) { "Dice" } else { "accuracy" };
    let losses = lines(reports, |r| r.loss);
    let scores = lines(reports, |r| r.scores.first());
    let all_finite = losses.iter().chain(&scores).flat_map(|line| &line.points).all(|[_, y]| y.is_finite());
    let top = TITLE + if all_finite { 0.0 } else { REMARK };
    let mut svg = Svg::new(page, top + PANEL[1] + BELOW);
    heading(&mut svg, title, page);
    if !all_finite {
        note(&mut svg, "× at the top: the value is NaN or infinite", page);
    }
    panel(&mut svg, [LEFT, top], ["epoch", "loss"], &losses, true);
    panel(&mut svg, [LEFT + step, top], ["epoch", second], &scores, false);
    svg.finish()
}

/// A line for each phase. Epochs count from 1.
fn lines(reports: &[PhaseReport], value: impl Fn(&PhaseReport) -> f64) -> [Series; 2] {
    let phases = [(Phase::Train, "train", BLUE), (Phase::Val, "validation", VERMILION)];
    phases.map(|(phase, name, color)| {
        let of_phase = reports.iter().filter(|r| r.phase == phase);
        let points = of_phase.map(|r| [(r.epoch + 1) as f64, value(r)]).collect();
        Series { name, points, color, mark: PointMark::Line }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Scores;

    fn labels(svg: &str) -> impl Iterator<Item = &str> {
        svg.split("aria-label=\"").skip(1).filter_map(|rest| rest.split('"').next())
    }

    /// Every epoch has at most one label, whatever the run's length. The title may hold any character.
    #[test]
    fn epochs_are_whole_numbers_and_titles_are_escaped() {
        for epochs in [0, 1, 2, 5, 15, 100] {
            let phases = |e| [Phase::Train, Phase::Val].map(|phase| report(e, phase, 2.0));
            let reports: Vec<PhaseReport> = (0..epochs).flat_map(phases).collect();
            let svg = draw_curves("mlp on a&b<c", &reports);
            assert!(svg.contains("mlp on a&amp;b&lt;c"), "{svg}");
            // Two panels with an axis each; values have decimals, epochs have none.
            let ticks = labels(&svg).filter_map(|label| label.parse::<usize>().ok());
            let mut count = std::collections::BTreeMap::new();
            ticks.for_each(|tick| *count.entry(tick).or_insert(0) += 1);
            assert!(count.values().filter(|&&n| n == 2).count() >= 2, "{epochs} epochs: {count:?}");
        }
    }

    fn report(epoch: usize, phase: Phase, loss: f64) -> PhaseReport {
        let scores = Scores { accuracy: 0.1, ..Scores::default() };
        PhaseReport { epoch, phase, loss, scores, seconds: 1.0 }
    }

    /// Losses that diverged, whatever their bits are: the picture stays small and reports values that are not finite.
    #[test]
    fn a_diverged_run_has_its_picture() {
        let losses = [2.3, 1e35, 1e35, f64::MAX, -f64::MAX, f64::INFINITY, f64::NAN, f64::from_bits(1), -0.0];
        for first in losses {
            for second in losses {
                let reports: Vec<PhaseReport> = [first, second, first, second]
                    .into_iter()
                    .enumerate()
                    .flat_map(|(e, loss)| [Phase::Train, Phase::Val].map(|phase| report(e, phase, loss)))
                    .collect();
                let svg = draw_curves("t", &reports);
                assert!(
                    svg.len() < 40_000 && !svg.contains("\"NaN") && !svg.contains("inf,"),
                    "{first} {second}"
                );
                let says = svg.contains("NaN or infinite");
                assert_eq!(says, !(first.is_finite() && second.is_finite()), "{first} {second}");
            }
        }
        let svg = draw_curves("t", &[report(0, Phase::Train, 1e35), report(1, Phase::Train, 3e35)]);
        assert!(svg.contains("loss, in 1e35"), "{svg}");
    }

    /// A line is broken where it has no value; it is not drawn across the gap.
    #[test]
    fn what_is_not_finite_breaks_the_line() {
        let losses = [3.0, 2.0, f64::NAN, 1.0, 0.5];
        let reports: Vec<_> = losses.iter().enumerate().map(|(e, &l)| report(e, Phase::Train, l)).collect();
        let svg = draw_curves("t", &reports);
        let in_blue = |line: &&str| line.starts_with("<polyline") && line.contains(&BLUE.to_string());
        // The loss has two parts and a cross of two strokes. The score adds one line, the legends two.
        assert_eq!(svg.lines().filter(in_blue).count(), 7, "{svg}");
    }

    /// The picture of a million epochs is as small as that of a few hundred.
    #[test]
    fn very_many_epochs_are_thinned_out() {
        let loss = |e: usize| if e == 777_777 { 9.0 } else { 1.0 + (e % 7) as f64 / 10.0 };
        let reports: Vec<_> = (0..1_000_000).map(|e| report(e, Phase::Train, loss(e))).collect();
        let svg = draw_curves("t", &reports);
        assert!(svg.len() < 100_000, "{} bytes", svg.len());
        assert!(svg.contains("1000000") && !svg.contains("<circle cx=\"68"));
    }
}
