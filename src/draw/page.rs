//! Files that the HTML pages share, built into the program. The pages are that of `receptive inspect` and the live
//! page.

/// Colours, type, and the few controls.
pub const BASE_CSS: &str = include_str!("page/base.css");
/// Sections, tables and figures. It is made for the page of `receptive inspect`; the live page uses a part of it.
pub const PAGE_CSS: &str = include_str!("page/page.css");
/// Marked terms, and the popup with their meaning.
pub const TERMS_CSS: &str = include_str!("page/terms.css");
/// Functions that read and format numbers. It comes first, because the other scripts need it.
pub const DATA_JS: &str = include_str!("page/data.js");
/// Elements, and keyboard navigation between them.
pub const DOM_JS: &str = include_str!("page/dom.js");
/// Terms that show their meaning when they are pointed at. It needs `dom.js` and the script that
/// [`glossary::script`](super::glossary::script) makes.
pub const TERMS_JS: &str = include_str!("page/terms.js");
/// Numbers as colours.
pub const DRAW_JS: &str = include_str!("page/draw.js");
/// Positions of numbers along a side of a drawing.
pub const AXIS_JS: &str = include_str!("page/axis.js");
/// Lines, histograms and bars.
pub const CHARTS_JS: &str = include_str!("page/charts.js");
