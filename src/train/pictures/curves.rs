//! `curves.svg`: loss and accuracy of both phases, epoch by epoch.
//!
//! A value that is NaN or infinite has no place on an axis. Its epoch gets a cross at the upper edge, the line is
//! broken there, and a remark below the title says so. With very many epochs a line keeps only the points that can be
//! told apart on the page.

use super::layout::{TITLE, heading, note, number};
use crate::draw::color::{BLUE, FAINT, HAIR, INK, VERMILION};
use crate::draw::font::width;
use crate::draw::{Anchor, Axis, Rgb, Svg};
use crate::train::{Phase, PhaseReport};

const PANEL: [f64; 2] = [370.0, 270.0];
const LEFT: f64 = 68.0;
const LABELS: f64 = 12.0;
/// A line with more points than this is drawn without markers, and keeps at most four points per column of pixels.
const MARKED: usize = 200;
/// Height of the remark below the title that explains the crosses.
const REMARK: f64 = 16.0;

/// Draws the curves of a run as an SVG document. For masks the second panel shows Dice.
pub fn draw_curves(title: &str, reports: &[PhaseReport]) -> String {
    let step = LEFT + PANEL[0] + 12.0;
    let page = 2.0 * step;
    let second = if reports.iter().any(|r| r.scores.overlap.is_some()) { "Dice" } else { "accuracy" };
    let loss = |r: &PhaseReport| r.loss;
    let score = |r: &PhaseReport| r.scores.first();
    let losses = [Phase::Train, Phase::Val].map(|phase| line(reports, phase, loss));
    let scores = [Phase::Train, Phase::Val].map(|phase| line(reports, phase, score));
    let all_finite = losses.iter().chain(&scores).flatten().all(|[_, y]| y.is_finite());
    let top = TITLE + if all_finite { 0.0 } else { REMARK };
    let mut svg = Svg::new(page, top + PANEL[1] + 48.0);
    heading(&mut svg, title, page);
    if !all_finite {
        note(&mut svg, "× at the top: the value is NaN or infinite", page);
    }
    panel(&mut svg, [LEFT, top], "loss", &losses, true);
    panel(&mut svg, [LEFT + step, top], second, &scores, false);
    svg.finish()
}

/// Points of a phase: epochs counted from 1, and values.
fn line(reports: &[PhaseReport], phase: Phase, value: impl Fn(&PhaseReport) -> f64) -> Vec<[f64; 2]> {
    let of_phase = reports.iter().filter(|r| r.phase == phase);
    of_phase.map(|r| [(r.epoch + 1) as f64, value(r)]).collect()
}

fn panel(svg: &mut Svg, [left, top]: [f64; 2], name: &str, lines: &[Vec<[f64; 2]>; 2], falling: bool) {
    let [w, h] = PANEL;
    let points = || lines.iter().flatten();
    let last = points().map(|p| p[0]).fold(2.0, f64::max);
    let (epochs, values) = (Axis::counting(1, last as usize), Axis::over(points().map(|p| p[1])));
    let place = |[x, y]: [f64; 2]| [left + w * epochs.share(x), top + h * (1.0 - values.share(y))];

    for tick in values.ticks(6) {
        let y_at = top + h * (1.0 - tick.share);
        svg.line(&[[left, y_at], [left + w, y_at]], HAIR, 1.0);
        let label = number(tick.value, tick.decimals);
        svg.text(&label, [left - 6.0, y_at + 4.0], LABELS, Anchor::End, FAINT);
    }
    for tick in epochs.whole_ticks(8) {
        let x_at = left + w * tick.share;
        svg.line(&[[x_at, top], [x_at, top + h]], HAIR, 1.0);
        svg.text(&number(tick.value, 0), [x_at, top + h + 16.0], LABELS, Anchor::Middle, FAINT);
    }
    svg.frame([left, top], PANEL, FAINT);
    svg.text("epoch", [left + w / 2.0, top + h + 36.0], LABELS, Anchor::Middle, INK);
    let name = match values.exponent() {
        0 => name.to_owned(),
        exponent => format!("{name}, in 1e{exponent}").replace('-', "−"),
    };
    svg.text_upwards(&name, [left - 50.0, top + h / 2.0], LABELS, Anchor::Middle, INK);
    for (points, color) in lines.iter().zip([BLUE, VERMILION]) {
        let marked = points.len() <= MARKED;
        for part in points.chunk_by(|a, b| a[1].is_finite() == b[1].is_finite()) {
            let places: Vec<_> = part.iter().map(|&p| place(p)).collect();
            if part[0][1].is_finite() {
                let kept = thinned(&places, marked);
                svg.line(&kept, color, 2.0);
                kept.iter().filter(|_| marked).for_each(|&p| svg.dot(p, 2.5, color));
            } else {
                thinned(&places, marked).iter().for_each(|&p| cross(svg, p, color));
            }
        }
    }
    // Place the legend where the curves are not: a loss falls, a score rises.
    let y = if falling { top + 10.0 } else { top + h - 44.0 };
    legend(svg, [left + w - 106.0, y]);
}

/// A line's points. If not `all`, only the first, the lowest, the highest and the last point of each column of pixels,
/// which look the same.
fn thinned(places: &[[f64; 2]], all: bool) -> Vec<[f64; 2]> {
    if all {
        return places.to_vec();
    }
    let columns = places.chunk_by(|a, b| a[0].floor() == b[0].floor());
    let kept = columns.flat_map(|column| {
        let ends = (1..column.len()).fold((0, 0), |(low, high), i| {
            let pick = |best: usize, better: bool| if better { i } else { best };
            (pick(low, column[i][1] < column[low][1]), pick(high, column[i][1] > column[high][1]))
        });
        let mut kept = vec![0, ends.0, ends.1, column.len() - 1];
        kept.sort_unstable();
        kept.dedup();
        kept.into_iter().map(|i| column[i])
    });
    kept.collect()
}

/// Marks a value that has no place on the axis.
fn cross(svg: &mut Svg, [x, y]: [f64; 2], color: Rgb) {
    for slope in [-4.0, 4.0] {
        svg.line(&[[x - 4.0, y - slope], [x + 4.0, y + slope]], color, 2.0);
    }
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
