//! What the HTML pages share, the one of `receptive inspect` and the one of a run that is followed: files inside the program.

/// Colours, type, and the few controls.
pub const BASE_CSS: &str = include_str!("page/base.css");
/// Sections, tables and figures: the page of `receptive inspect`, of which the live page takes what it needs.
pub const PAGE_CSS: &str = include_str!("page/page.css");
/// How numbers are read and written. The first of the scripts: the others need it.
pub const DATA_JS: &str = include_str!("page/data.js");
/// Elements, and how the keyboard moves between them.
pub const DOM_JS: &str = include_str!("page/dom.js");
/// Numbers as colours.
pub const DRAW_JS: &str = include_str!("page/draw.js");
/// Where numbers lie along a side of a drawing.
pub const AXIS_JS: &str = include_str!("page/axis.js");
/// Lines, histograms and bars.
pub const CHARTS_JS: &str = include_str!("page/charts.js");
