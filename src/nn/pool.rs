//! Pooling layers.

use super::{Ctx, Module, Pair};
use crate::core::Result;
use crate::ops::OutputSize;
use crate::ops::avg_pool2d::AvgPool2dOptions;
use crate::ops::max_pool2d::MaxPool2dOptions;
use crate::tensor::Tensor;

macro_rules! pool {
    ($(#[$doc:meta])* $name:ident, $options:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name($options);

        impl $name {
            /// No padding. The stride equals the kernel until it is set.
            pub fn new(kernel: impl Into<Pair>) -> $name {
                $name($options::new(kernel.into().0))
            }

            /// Rows and columns by which the window moves.
            pub fn stride(mut self, stride: impl Into<Pair>) -> $name {
                self.0.stride = stride.into().0;
                self
            }

            /// Padding around the image: at most half the kernel.
            pub fn padding(mut self, padding: impl Into<Pair>) -> $name {
                self.0.padding = padding.into().0;
                self
            }

            /// Rounds the output size up instead of down.
            pub fn ceil_mode(mut self) -> $name {
                self.0.ceil_mode = true;
                self
            }
        }

        impl Module for $name {
            fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
                x.$method(&self.0)
            }

            fn kind(&self) -> &'static str {
                stringify!($name)
            }

            fn describe(&self) -> String {
                let o = &self.0;
                let padding = if o.padding == [0, 0] { String::new() } else { format!(", padding={}", Pair(o.padding)) };
                let ceil = if o.ceil_mode { ", ceil_mode=True" } else { "" };
                format!("{}(kernel_size={}, stride={}{padding}{ceil})", self.kind(), Pair(o.kernel_size), Pair(o.stride))
            }
        }
    };
}

pool! {
    /// The largest value in each window. PyTorch: `nn.MaxPool2d`.
    MaxPool2d, MaxPool2dOptions, max_pool2d
}

pool! {
    /// The mean of each window. PyTorch: `nn.AvgPool2d`.
    AvgPool2d, AvgPool2dOptions, avg_pool2d
}

macro_rules! adaptive {
    ($(#[$doc:meta])* $name:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(OutputSize);

        impl $name {
            /// Sets the output's height and width; `None` keeps the input's.
            pub fn new(output_size: impl Into<OutputSize>) -> $name {
                $name(output_size.into())
            }
        }

        impl Module for $name {
            fn forward(&self, _cx: &Ctx, x: &Tensor) -> Result<Tensor> {
                x.$method(self.0)
            }

            fn kind(&self) -> &'static str {
                stringify!($name)
            }

            fn describe(&self) -> String {
                format!("{}(output_size={})", self.kind(), self.0)
            }
        }
    };
}

adaptive! {
    /// Means over windows that are chosen so that the output has a given size. PyTorch: `nn.AdaptiveAvgPool2d`.
    ///
    /// ```
    /// use receptive::nn::{AdaptiveAvgPool2d, Module};
    /// assert_eq!(AdaptiveAvgPool2d::new(1).describe(), "AdaptiveAvgPool2d(output_size=1)");
    /// assert_eq!(AdaptiveAvgPool2d::new([Some(3), None]).describe(), "AdaptiveAvgPool2d(output_size=(3, None))");
    /// ```
    AdaptiveAvgPool2d, adaptive_avg_pool2d
}

adaptive! {
    /// Maxima over windows that are chosen so that the output has a given size. PyTorch: `nn.AdaptiveMaxPool2d`.
    AdaptiveMaxPool2d, adaptive_max_pool2d
}
