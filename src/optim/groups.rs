//! Groups of tensors: one kernel launch of an optimiser handles many parameters.

use crate::core::Result;
use crate::cuda::kernels::Tensors;
use crate::cuda::{DeviceView, Launch, Ptr};

/// Elements per thread block.
const CHUNK: usize = 4096;

/// One parameter's tensors. Those that a kernel does not read are `None`.
#[derive(Default)]
pub(super) struct Member<'a> {
    pub w: Option<&'a DeviceView>,
    pub dw: Option<&'a DeviceView>,
    /// The velocity or first moment, and the second moment.
    pub moments: [Option<&'a DeviceView>; 2],
    pub decays: bool,
}

/// The number of thread blocks for `n` elements.
pub(super) fn blocks(n: usize) -> usize {
    n.div_ceil(CHUNK)
}

/// Calls `launch` on groups of members, each as large as one launch allows.
pub(super) fn in_groups<'a>(
    members: impl Iterator<Item = Member<'a>>,
    mut launch: impl FnMut(Launch, Tensors) -> Result<()>,
) -> Result<()> {
    let mut group = Tensors { chunk: CHUNK as i64, ..Tensors::default() };
    let mut taken = 0;
    for member in members {
        let address = |view: Option<&DeviceView>| view.map_or(Ok(Ptr::NULL), DeviceView::f32);
        let n = member.dw.map_or(0, DeviceView::numel);
        let i = group.count as usize;
        (group.w[i], group.dw[i]) = (address(member.w)?, address(member.dw)?);
        (group.m[i], group.v[i]) = (address(member.moments[0])?, address(member.moments[1])?);
        (group.n[i], group.first[i]) = (n as i64, taken as i32);
        group.decays[i] = if member.decays { 1.0 } else { 0.0 };
        taken += blocks(n);
        group.count += 1;
        if group.count as usize == group.w.len() {
            launch(Launch::blocks([taken, 1, 1], 256), group)?;
            (group.count, taken) = (0, 0);
        }
    }
    launch(Launch::blocks([taken, 1, 1], 256), group)
}
