//! Exercise: which pixels can an output see?
//!
//! Along one axis, an output of a layer sees `size` pixels of the image. Output 0 sees them from pixel `start` on. The
//! next output sees as many pixels, `jump` pixels further.
//!
//! ```text
//!   pixels    0 1 2 3 4 5 6 7 8            the image itself: size 1, jump 1, start 0
//!   after a   [-----]
//!   kernel 3,     [-----]                  size 3, jump 2, start 0
//!   stride 2          [-----]
//! ```
//!
//! Now add another layer: a window of `kernel` outputs, `dilation` apart, that moves by `stride`. The outputs below it
//! are padded by `padding` on each side. What does an output of the *new* layer see?
//!
//! Hints: how many jumps lie between the fields of its first and its last tap? Padding makes output 0 begin earlier: by
//! how many *pixels*? Answer for LeNet-5's layers by hand first. The table in `src/inspect/receptive_field.rs` has the
//! answers.

use super::Wrong;
use receptive::core::Window;
use receptive::inspect::ReceptiveField;
use receptive::tensor::Dependence;

/// What an output sees along one axis, in pixels of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sees {
    pub size: usize,
    pub jump: usize,
    pub start: isize,
}

/// A window along one axis.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

/// What an output sees after one more layer. For you to write.
pub fn through(below: Sees, _layer: Layer) -> Sees {
    below
}

// What follows compares with the instrument of the engine, layer by layer.

const fn layer(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Layer {
    Layer { kernel, stride, padding, dilation }
}

/// Stacks of layers: LeNet-5, AlexNet, the stem of a ResNet, and one with dilation.
const STACKS: [(&str, &[Layer]); 4] = [
    ("lenet5", &[layer(5, 1, 2, 1), layer(2, 2, 0, 1), layer(5, 1, 0, 1), layer(2, 2, 0, 1)]),
    ("alexnet", &[layer(11, 4, 1, 1), layer(3, 2, 0, 1), layer(5, 1, 2, 1), layer(3, 2, 0, 1)]),
    ("resnet", &[layer(7, 2, 3, 1), layer(3, 2, 1, 1), layer(3, 1, 1, 1), layer(3, 2, 1, 1)]),
    ("dilated", &[layer(3, 1, 1, 1), layer(3, 1, 2, 2), layer(3, 2, 4, 4), layer(3, 1, 3, 3)]),
];

/// Compares an answer with the instrument's.
pub fn check(through: fn(Sees, Layer) -> Sees) -> Result<String, Wrong> {
    for (name, layers) in STACKS {
        let mut yours = Sees { size: 1, jump: 1, start: 0 };
        let mut field = ReceptiveField::PIXEL;
        for (i, &layer) in layers.iter().enumerate() {
            let window = Window {
                kernel: [layer.kernel; 2],
                stride: [layer.stride; 2],
                padding: [[layer.padding; 2]; 2],
                dilation: [layer.dilation; 2],
            };
            field = field.through(Dependence::Window(window), [224, 224]);
            yours = through(yours, layer);
            let true_one = Sees { size: field.size[0], jump: field.jump[0], start: field.start[0] };
            if yours != true_one {
                let text = format!("  {name}, layer {i}: {layer:?}\n  yours {yours:?}\n  it is {true_one:?}");
                return Err(text.into());
            }
        }
    }
    Ok("All layers of four networks agree with the engine's instrument.".into())
}
