//! The pictures of a run: the images that a trained network receives, its predictions, and its mistakes. And pictures
//! of a data set before training.
//!
//! | file | picture | what |
//! |---|---|---|
//! | `curves.rs` | `curves.svg` | loss and accuracy (for masks: Dice) of both phases |
//! | `grid.rs` | `predictions.svg` | images with true and predicted label |
//! | `grid.rs` | `mistakes.svg` | images that were predicted wrongly, the most confident mistakes first |
//! | `matrix.rs` | `confusion.svg` | the confusion matrix |
//! | `weights.rs` | `weights.svg` | the first layer's weights as images |
//! | `triptych.rs` | `masks.svg` | for a segmenter: input, true mask, predicted mask |
//! | `data_set.rs` | of `receptive data show` | the first images, images of each class, or augmented images |
//! | `layout.rs` | | shared parts: headings, numbers, class names, sizes |
//! | `subject.rs` | | makes all of these from a network and its data |
//!
//! Each picture is a function from data to an SVG document ([`crate::draw`]). Letters are drawn as outlines, so no
//! fonts are needed, and the same data give the same bytes.

mod curves;
mod data_set;
mod grid;
mod layout;
mod matrix;
mod subject;
mod triptych;
mod weights;

pub use curves::draw_curves;
pub use data_set::{DataPicture, draw_data_set};
pub use grid::{ClassifiedImage, draw_grid};
pub use layout::sized;
pub use matrix::draw_confusion;
pub(crate) use subject::prepare;
pub use subject::{ASKED, Answer, Answers, Subject};
pub(super) use subject::{not_finite, segment};
pub use triptych::{Masked, draw_triptychs, mask_picture};
pub use weights::{FirstLayer, draw_weights};
