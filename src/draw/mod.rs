//! Drawing without other libraries: pictures look the same on every machine, with or without fonts.
//!
//! | file | what |
//! |---|---|
//! | `svg.rs` | [`Svg`]: shapes, text and images on a white page |
//! | `font.rs`, `font/` | the outlines of the letters, from DejaVu Sans; how wide a text is |
//! | `png.rs` | [`png`]: an image as a PNG file, or as a `data:` URL ([`data_url`]) |
//! | `chart.rs` | [`chart`]: a panel with axes, lines and a legend |
//! | `axis.rs` | [`Axis`]: positions of values along a picture's side; round numbers beside it, for any values |
//! | `page.rs`, `page/` | [`page`]: colours, elements and drawing code that all HTML pages share |
//! | `glossary.rs` | [`glossary`]: the terms of `docs/GLOSSARY.md`, and those that a page explains |
//! | `color.rs` | [`Rgb`], and scales that colour-blind readers tell apart |

mod axis;
pub mod chart;
pub mod color;
pub mod font;
pub mod glossary;
pub mod page;
mod png;
mod svg;

pub use axis::{Axis, Tick};
pub use color::Rgb;
pub use png::{data_url, png};
pub use svg::{Anchor, Svg};
