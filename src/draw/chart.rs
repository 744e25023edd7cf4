//! One panel of a line chart: axes, grid, series and legend.
//!
//! A value that is NaN or infinite has no place on an axis. It gets a cross at the upper edge, and the line is broken
//! there. With very many points a line keeps only those that can be told apart on the page.

use super::color::{FAINT, HAIR, INK, WHITE};
use super::font::width;
use super::{Anchor, Axis, Rgb, Svg};

/// Width and height of a panel in pixels, without its labels.
pub const PANEL: [f64; 2] = [370.0, 270.0];
/// Space for the labels left of a panel and below it.
pub const LEFT: f64 = 68.0;
pub const BELOW: f64 = 48.0;

const LABELS: f64 = 12.0;
/// A line with more points than this is drawn without markers, and keeps at most four points per column of pixels.
const MARKED: usize = 200;

/// Points of one colour. x counts whole numbers from 1.
pub struct Series {
    /// Its name in the legend; empty for a series that needs none.
    pub name: &'static str,
    pub points: Vec<[f64; 2]>,
    pub color: Rgb,
    pub mark: PointMark,
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointMark {
    /// A line with a dot at each point.
    Line,
    /// A thin line without dots, for one of several runs.
    Thin,
    /// A ring at each point, and no line.
    Ring,
}

/// Draws a panel with its upper left corner at `at`. `x` and `y` are the names of the axes. `falling` puts the legend
/// at the top, where a falling curve is not.
pub fn panel(svg: &mut Svg, [left, top]: [f64; 2], [x, y]: [&str; 2], series: &[Series], falling: bool) {
    let [w, h] = PANEL;
    let points = || series.iter().flat_map(|one| &one.points);
    let last = points().map(|p| p[0]).fold(2.0, f64::max);
    let (across, values) = (Axis::counting(1, last as usize), Axis::over(points().map(|p| p[1])));
    let place = |[x, y]: [f64; 2]| [left + w * across.share(x), top + h * (1.0 - values.share(y))];

    for tick in values.ticks(6) {
        let y_at = top + h * (1.0 - tick.share);
        svg.line(&[[left, y_at], [left + w, y_at]], HAIR, 1.0);
        let label = number(tick.value, tick.decimals);
        svg.text(&label, [left - 6.0, y_at + 4.0], LABELS, Anchor::End, FAINT);
    }
    for tick in across.whole_ticks(8) {
        let x_at = left + w * tick.share;
        svg.line(&[[x_at, top], [x_at, top + h]], HAIR, 1.0);
        svg.text(&number(tick.value, 0), [x_at, top + h + 16.0], LABELS, Anchor::Middle, FAINT);
    }
    svg.frame([left, top], PANEL, FAINT);
    svg.text(x, [left + w / 2.0, top + h + 36.0], LABELS, Anchor::Middle, INK);
    let name = match values.exponent() {
        0 => y.to_owned(),
        exponent => format!("{y}, in 1e{exponent}").replace('-', "−"),
    };
    svg.text_upwards(&name, [left - 50.0, top + h / 2.0], LABELS, Anchor::Middle, INK);
    for one in series {
        draw(svg, one, place);
    }
    let entries: Vec<&Series> = series.iter().filter(|one| !one.name.is_empty()).collect();
    let [wide, high] = legend_size(&entries);
    let y = if falling { top + 10.0 } else { top + h - 8.0 - high };
    legend(svg, [left + w - 10.0 - wide, y], &entries);
}

/// A number as text, with a real minus sign (U+2212).
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) => format!("−{digits}"),
        Some(zero) => zero.to_owned(),
        None => text,
    }
}

fn draw(svg: &mut Svg, series: &Series, place: impl Fn([f64; 2]) -> [f64; 2]) {
    let Series { points, color, mark, .. } = series;
    let marked = points.len() <= MARKED;
    for part in points.chunk_by(|a, b| a[1].is_finite() == b[1].is_finite()) {
        let places: Vec<_> = part.iter().map(|&p| place(p)).collect();
        let kept = thinned(&places, marked);
        if !part[0][1].is_finite() {
            kept.iter().for_each(|&p| cross(svg, p, *color));
        } else if *mark == PointMark::Ring {
            kept.iter().for_each(|&p| ring(svg, p, *color));
        } else {
            svg.line(&kept, *color, if *mark == PointMark::Thin { 1.0 } else { 2.0 });
            // A single point is no line.
            let dots = marked && *mark == PointMark::Line || kept.len() == 1;
            kept.iter().filter(|_| dots).for_each(|&p| svg.dot(p, 2.5, *color));
        }
    }
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

fn ring(svg: &mut Svg, at: [f64; 2], color: Rgb) {
    svg.dot(at, 4.5, color);
    svg.dot(at, 2.5, WHITE);
}

fn legend_size(entries: &[&Series]) -> [f64; 2] {
    let widest = entries.iter().map(|one| width(one.name, LABELS)).fold(0.0, f64::max);
    [38.0 + widest, 4.0 + 16.0 * entries.len() as f64]
}

fn legend(svg: &mut Svg, [x, y]: [f64; 2], entries: &[&Series]) {
    let size = legend_size(entries);
    svg.rect([x, y], size, WHITE);
    svg.frame([x, y], size, HAIR);
    for (i, Series { name, color, mark, .. }) in entries.iter().enumerate() {
        let y = y + 10.0 + 16.0 * i as f64;
        match mark {
            PointMark::Ring => ring(svg, [x + 15.0, y], *color),
            PointMark::Thin => svg.line(&[[x + 6.0, y], [x + 24.0, y]], *color, 1.0),
            PointMark::Line => {
                svg.line(&[[x + 6.0, y], [x + 24.0, y]], *color, 2.0);
                svg.dot([x + 15.0, y], 2.5, *color);
            }
        }
        svg.text(name, [x + 30.0, y + 4.0], LABELS, Anchor::Start, INK);
    }
}
