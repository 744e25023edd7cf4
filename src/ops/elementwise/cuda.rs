//! Broadcasting on a GPU: converts the layout that the CPU loops use to the struct that kernels take.

use crate::core::Shape;
use crate::cpu::broadcast::BroadcastLayout;
use crate::cuda::Launch;
use crate::cuda::kernels::Walk;

/// The sizes of `y`, and the strides of up to three operands that are broadcast to its shape.
pub(in crate::ops) fn walk<const K: usize>(y: &Shape, operands: [&Shape; K]) -> Walk {
    let mut walk = Walk { n: y.numel() as i64, ..Walk::default() };
    let layout = BroadcastLayout::new(y, operands);
    for (d, (size, strides)) in layout.dims().iter().rev().enumerate() {
        walk.size[d] = *size as i64;
        for (to, &stride) in [&mut walk.a, &mut walk.b, &mut walk.c].into_iter().zip(strides) {
            to[d] = stride as i64;
        }
    }
    walk.rank = layout.dims().len() as i32;
    walk
}

/// A grid over `n` elements for kernels in which each thread computes four neighbouring elements.
pub(in crate::ops) fn over_quads(n: usize) -> Launch {
    Launch::over(n.div_ceil(4))
}
