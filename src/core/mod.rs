//! What every other module uses: errors, shapes, element types and keyed random numbers.
//!
//! Nothing here uses tensors, devices or files.

pub mod conv_shape;
pub mod dtype;
pub mod error;
pub mod math;
pub mod observer_slot;
pub mod precision;
pub mod resample;
pub mod rng;
pub mod shape;
mod similar;
pub mod size_class;
pub mod stats;
pub mod table;
pub mod text;
pub mod window;

pub use conv_shape::{ConvShape, Loop};
pub use dtype::{DType, Element, Float};
pub use error::{Error, ErrorKind, Result};
pub use observer_slot::ObserverSlot;
pub use precision::Precision;
pub use rng::Key;
pub use shape::Shape;
pub use similar::similar;
pub use text::Named;
pub use window::{Padding, Window};
