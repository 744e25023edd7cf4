//! `curves.svg`: loss and accuracy of both phases, epoch by epoch.

use super::{Phase, PhaseReport};
use crate::core::{Error, ErrorKind, Result};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 380);
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VAL: RGBColor = RGBColor(214, 96, 20);

/// Draws the curves of a run as an SVG document.
///
/// # Errors
/// None for finite numbers.
pub fn draw_curves(title: &str, reports: &[PhaseReport]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, title, reports)
        .map_err(|e| Error::new(ErrorKind::Argument, "curves", format!("cannot be drawn: {e}")))?;
    Ok(svg)
}

fn draw(svg: &mut String, title: &str, reports: &[PhaseReport]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    panel(&left, "loss", reports, |r| r.loss)?;
    let overlap = reports.iter().any(|r| r.scores.overlap.is_some());
    panel(&right, if overlap { "Dice" } else { "accuracy" }, reports, |r| r.scores.first())?;
    root.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    name: &str,
    reports: &[PhaseReport],
    value: impl Fn(&PhaseReport) -> f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let line = |phase: Phase| {
        let of_phase = reports.iter().filter(move |r| r.phase == phase);
        of_phase.map(|r| (r.epoch + 1, value(r))).filter(|(_, y)| y.is_finite()).collect::<Vec<_>>()
    };
    let (train, val) = (line(Phase::Train), line(Phase::Val));
    let values = || train.iter().chain(&val).map(|p| p.1);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let margin = ((high - low) * 0.06).max(1e-3);
    let last = train.iter().chain(&val).map(|p| p.0).max().unwrap_or(1).max(2);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(52)
        .build_cartesian_2d(1..last, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("epoch")
        .y_desc(name)
        .y_label_formatter(&|y| format!("{y:.3}"))
        .draw()?;
    for (label, points, color) in [("train", train, TRAIN), ("validation", val, VAL)] {
        let dots = points.iter().map(|&p| Circle::new(p, 2, color.filled())).collect::<Vec<_>>();
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        chart.draw_series(dots)?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Scores;
    use super::*;

    /// Every epoch is named once at most, whatever the run's length; the title may hold any character.
    #[test]
    fn epochs_are_whole_numbers_and_titles_are_escaped() {
        for epochs in [0, 1, 2, 5, 15, 100] {
            let scores = Scores { accuracy: 0.1, overlap: None };
            let report = |epoch, phase| PhaseReport { epoch, phase, loss: 2.0, scores, seconds: 1.0 };
            let reports: Vec<PhaseReport> =
                (0..epochs).flat_map(|e| [Phase::Train, Phase::Val].map(|phase| report(e, phase))).collect();
            let svg = draw_curves("mlp on a&b<c", &reports).unwrap();
            assert!(svg.contains("mlp on a&amp;b&lt;c"), "{svg}");
            // Two panels with an axis each; values have decimals, epochs have none.
            let ticks = svg.lines().filter_map(|line| line.parse::<usize>().ok());
            let mut count = std::collections::BTreeMap::new();
            ticks.for_each(|tick| *count.entry(tick).or_insert(0) += 1);
            assert!(count.len() >= 2 && count.values().all(|&n| n == 2), "{epochs} epochs: {count:?}");
        }
    }
}
