//! `curves.svg`: loss and accuracy of both phases, epoch by epoch.

use super::layout::{TITLE, heading, number};
use crate::draw::color::{BLUE, FAINT, HAIR, INK, VERMILION};
use crate::draw::font::width;
use crate::draw::{Anchor, Rgb, Svg};
use crate::train::{Phase, PhaseReport};

const PANEL: [f64; 2] = [370.0, 270.0];
const LEFT: f64 = 68.0;
const LABELS: f64 = 12.0;

/// Draws the curves of a run as an SVG document. Of masks the second panel shows Dice.
pub fn draw_curves(title: &str, reports: &[PhaseReport]) -> String {
    let step = LEFT + PANEL[0] + 12.0;
    let mut svg = Svg::new(2.0 * step, TITLE + PANEL[1] + 48.0);
    heading(&mut svg, title, 2.0 * step);
    let second = if reports.iter().any(|r| r.scores.overlap.is_some()) { "Dice" } else { "accuracy" };
    let loss = |r: &PhaseReport| r.loss;
    let score = |r: &PhaseReport| r.scores.first();
    panel(&mut svg, LEFT, "loss", &[Phase::Train, Phase::Val].map(|phase| line(reports, phase, loss)), true);
    let lines = [Phase::Train, Phase::Val].map(|phase| line(reports, phase, score));
    panel(&mut svg, LEFT + step, second, &lines, false);
    svg.finish()
}

/// Epochs, counted from 1, and values: those that can be drawn.
fn line(reports: &[PhaseReport], phase: Phase, value: impl Fn(&PhaseReport) -> f64) -> Vec<[f64; 2]> {
    let of_phase = reports.iter().filter(|r| r.phase == phase);
    of_phase.map(|r| [(r.epoch + 1) as f64, value(r)]).filter(|[_, y]| y.is_finite()).collect()
}

fn panel(svg: &mut Svg, left: f64, name: &str, lines: &[Vec<[f64; 2]>; 2], falling: bool) {
    let [w, h] = PANEL;
    let top = TITLE;
    let points = || lines.iter().flatten();
    let (low, high) =
        points().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p[1]), h.max(p[1])));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let margin = ((high - low) * 0.06).max(1e-3);
    let (low, high) = (low - margin, high + margin);
    let last = points().map(|p| p[0]).fold(2.0, f64::max);
    let place = |[x, y]: [f64; 2]| [left + w * (x - 1.0) / (last - 1.0), top + h * (high - y) / (high - low)];

    for y in ticks(low, high, 6.0) {
        let [_, y_at] = place([1.0, y.0]);
        svg.line(&[[left, y_at], [left + w, y_at]], HAIR, 1.0);
        svg.text(&number(y.0, y.1), [left - 6.0, y_at + 4.0], LABELS, Anchor::End, FAINT);
    }
    for (x, _) in ticks(1.0, last, 8.0).into_iter().filter(|(x, _)| x.fract() == 0.0) {
        let [x_at, _] = place([x, low]);
        svg.line(&[[x_at, top], [x_at, top + h]], HAIR, 1.0);
        svg.text(&number(x, 0), [x_at, top + h + 16.0], LABELS, Anchor::Middle, FAINT);
    }
    svg.frame([left, top], PANEL, FAINT);
    svg.text("epoch", [left + w / 2.0, top + h + 36.0], LABELS, Anchor::Middle, INK);
    svg.text_upwards(name, [left - 50.0, top + h / 2.0], LABELS, Anchor::Middle, INK);
    for (points, color) in lines.iter().zip([BLUE, VERMILION]) {
        let points: Vec<_> = points.iter().map(|&p| place(p)).collect();
        svg.line(&points, color, 2.0);
        points.iter().for_each(|&p| svg.dot(p, 2.5, color));
    }
    // Where the curves are not: a loss falls, a score rises.
    let y = if falling { top + 10.0 } else { top + h - 44.0 };
    legend(svg, [left + w - 106.0, y]);
}

fn legend(svg: &mut Svg, [x, y]: [f64; 2]) {
    let entries: [(&str, Rgb); 2] = [("train", BLUE), ("validation", VERMILION)];
    svg.rect([x, y], [98.0, 36.0], crate::draw::color::WHITE);
    svg.frame([x, y], [28.0 + 10.0 + width("validation", LABELS), 36.0], HAIR);
    for (i, (name, color)) in entries.into_iter().enumerate() {
        let y = y + 10.0 + 16.0 * i as f64;
        svg.line(&[[x + 6.0, y], [x + 24.0, y]], color, 2.0);
        svg.dot([x + 15.0, y], 2.5, color);
        svg.text(name, [x + 30.0, y + 4.0], LABELS, Anchor::Start, INK);
    }
}

/// Round numbers from `low` to `high`, about `wanted` of them, and the decimals they need.
fn ticks(low: f64, high: f64, wanted: f64) -> Vec<(f64, usize)> {
    let rough = (high - low) / wanted;
    let power = 10f64.powf(rough.log10().floor());
    let step = power * [1.0, 2.0, 5.0].into_iter().find(|&m| m * power >= rough).unwrap_or(10.0);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let first = (low / step).ceil() as i64;
    (first..).map(|i| (i as f64 * step, decimals)).take_while(|&(tick, _)| tick <= high).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Scores;

    fn labels(svg: &str) -> impl Iterator<Item = &str> {
        svg.split("aria-label=\"").skip(1).filter_map(|rest| rest.split('"').next())
    }

    /// Every epoch is named once at most, whatever the run's length; the title may hold any character.
    #[test]
    fn epochs_are_whole_numbers_and_titles_are_escaped() {
        for epochs in [0, 1, 2, 5, 15, 100] {
            let scores = Scores { accuracy: 0.1, overlap: None };
            let report = |epoch, phase| PhaseReport { epoch, phase, loss: 2.0, scores, seconds: 1.0 };
            let reports: Vec<PhaseReport> =
                (0..epochs).flat_map(|e| [Phase::Train, Phase::Val].map(|phase| report(e, phase))).collect();
            let svg = draw_curves("mlp on a&b<c", &reports);
            assert!(svg.contains("mlp on a&amp;b&lt;c"), "{svg}");
            // Two panels with an axis each; values have decimals, epochs have none.
            let ticks = labels(&svg).filter_map(|label| label.parse::<usize>().ok());
            let mut count = std::collections::BTreeMap::new();
            ticks.for_each(|tick| *count.entry(tick).or_insert(0) += 1);
            assert!(count.values().filter(|&&n| n == 2).count() >= 2, "{epochs} epochs: {count:?}");
        }
    }

    #[test]
    fn ticks_are_round_and_within() {
        let values =
            |low, high| ticks(low, high, 6.0).into_iter().map(|t| number(t.0, t.1)).collect::<Vec<_>>();
        assert_eq!(values(0.13, 0.99), ["0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(values(0.952, 0.9711), ["0.955", "0.960", "0.965", "0.970"]);
        assert_eq!(values(-1.0, 1.0), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
    }

    /// A loss that ran away is left out; what is left still fits the page.
    #[test]
    fn values_that_are_not_finite_are_left_out() {
        let scores = Scores { accuracy: f64::NAN, overlap: None };
        let report = PhaseReport { epoch: 0, phase: Phase::Train, loss: f64::INFINITY, scores, seconds: 1.0 };
        let svg = draw_curves("", &[report]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
