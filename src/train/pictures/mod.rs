//! The pictures of a run: what a trained network sees, what it says, and where it is wrong.
//!
//! | file | picture | what |
//! |---|---|---|
//! | `curves.rs` | `curves.svg` | loss and accuracy (of masks: Dice) of both phases |
//! | `grid.rs` | `predictions.svg` | images with true and predicted label |
//! | `grid.rs` | `mistakes.svg` | those that were taken for something else, the most confident mistakes first |
//! | `matrix.rs` | `confusion.svg` | which class is taken for which |
//! | `weights.rs` | `weights.svg` | the first layer's weights as images |
//! | `triptych.rs` | `masks.svg` | of a segmenter, instead of labels: input, true mask, predicted mask |
//! | `layout.rs` | | what they share: headings, numbers, class names, sizes |
//! | `subject.rs` | | from a network and its data to all of these |
//!
//! Data in, an SVG document out ([`crate::draw`]): the letters are outlines, so no fonts are needed, and the same data are
//! the same bytes.

mod curves;
mod grid;
mod layout;
mod matrix;
mod subject;
mod triptych;
mod weights;

pub use curves::draw_curves;
pub use grid::{Judged, draw_grid};
pub use layout::sized;
pub use matrix::draw_confusion;
pub use subject::{ASKED, Answer, Answers, Subject};
pub(super) use subject::{not_finite, prepare, segment};
pub use triptych::{Masked, draw_triptychs, mask_picture};
pub use weights::{FirstLayer, draw_weights};
