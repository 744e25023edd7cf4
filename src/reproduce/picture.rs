//! The picture of an experiment: our curves as lines, one per seed, and the notebooks' printed values as rings.

use super::{CurveMeasure, Experiment, PrintedCurve, SeedResult, printed};
use crate::draw::chart::{BELOW, LEFT, PANEL, PointMark, Series, panel};
use crate::draw::color::{BLUE, INK, VERMILION};
use crate::draw::{Anchor, Rgb, Svg};

const TOP: f64 = 40.0;
const TITLE_SIZE: f64 = 16.0;

/// What one panel shows: the name of its axis and its measures with their names and colours.
type CurvePanel = (&'static str, &'static [(CurveMeasure, &'static str, Rgb)]);

const PANELS: [CurvePanel; 4] = [
    ("loss", &[(CurveMeasure::TrainLoss, "train", BLUE), (CurveMeasure::ValLoss, "validation", VERMILION)]),
    (
        "accuracy in percent",
        &[(CurveMeasure::TrainAccuracy, "train", BLUE), (CurveMeasure::ValAccuracy, "validation", VERMILION)],
    ),
    ("mean loss of 1,000 batches", &[(CurveMeasure::BatchLoss, "train", BLUE)]),
    ("loss of the last batch", &[(CurveMeasure::LastBatchLoss, "train", BLUE)]),
];

/// The picture as an SVG document; `None` if no curve was measured. An experiment of two runs has a row of panels for
/// each.
pub fn draw_experiment(experiment: &Experiment, results: &[SeedResult]) -> Option<String> {
    let printed = printed(experiment.id);
    let rows: Vec<Vec<(&CurvePanel, Vec<Series>)>> = (0..2)
        .map(|run| {
            let drawn = PANELS.iter().map(|panel| (panel, series(panel, run, results, &printed)));
            drawn.filter(|(_, series)| series.iter().any(|one| one.mark == PointMark::Thin)).collect()
        })
        .filter(|row: &Vec<_>| !row.is_empty())
        .collect();
    let most = rows.iter().map(Vec::len).max()?;
    let step = [LEFT + PANEL[0] + 12.0, PANEL[1] + BELOW + 12.0];
    let mut svg = Svg::new(step[0] * most as f64, TOP + step[1] * rows.len() as f64);
    let seeds = if results.len() == 1 { "1 seed".to_owned() } else { format!("{} seeds", results.len()) };
    let title = format!("{}: lines are ours ({seeds}), rings are the notebook's", experiment.id);
    svg.text(&title, [12.0, 26.0], TITLE_SIZE, Anchor::Start, INK);
    for (y, row) in rows.iter().enumerate() {
        for (x, ((name, measures), series)) in row.iter().enumerate() {
            let at = [LEFT + step[0] * x as f64, TOP + step[1] * y as f64];
            panel(&mut svg, at, [measures[0].0.position(), name], series, !name.starts_with("accuracy"));
        }
    }
    Some(svg.finish())
}

/// Our lines first, so that the rings lie on top. Only the first of several equal series is named in the legend.
fn series(panel: &CurvePanel, run: usize, results: &[SeedResult], printed: &[PrintedCurve]) -> Vec<Series> {
    let mut all = Vec::new();
    for (measure, name, color) in panel.1 {
        for (i, result) in results.iter().enumerate() {
            let curve = result.curve(run, *measure);
            let points = curve.iter().enumerate().map(|(at, value)| [(at + 1) as f64, *value]).collect();
            let name = if i == 0 { *name } else { "" };
            all.push(Series { name, points, color: *color, mark: PointMark::Thin });
        }
    }
    all.retain(|one| !one.points.is_empty());
    let mut named = false;
    for (measure, _, color) in panel.1 {
        for curve in printed.iter().filter(|curve| (curve.run, curve.measure) == (run, *measure)) {
            let points = curve.values.iter().map(|(at, value)| [(at + 1) as f64, *value]).collect();
            let name = if named { "" } else { "notebook" };
            named = true;
            all.push(Series { name, points, color: *color, mark: PointMark::Ring });
        }
    }
    all
}
