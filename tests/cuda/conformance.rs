//! Compares CUDA in f32 with the CPU in f64 on every case of every op, forward and backward.
//!
//! `RECEPTIVE_ONLY=conv2d,relu` runs only these ops, for work on their kernels.

use crate::cuda;
use receptive::ops::Tag;
use receptive::testing::cases::checked_cpu;
use receptive::testing::conformance::{Affordable, f32_against_f64};
use receptive::testing::for_each_case;

/// The simulator takes a thousand times as long as a GPU.
const AFFORDABLE: Affordable = Affordable { elements: 1 << 17, flops: 5_000_000 };

#[test]
fn cuda_conforms_to_the_cpu() {
    let Some(device) = cuda() else { return };
    let only = std::env::var("RECEPTIVE_ONLY").unwrap_or_default();
    let cpu = checked_cpu(1);
    for_each_case(&[Tag::Grad, Tag::Edge, Tag::Bench], |spec, case| {
        let asked = only.is_empty() || only.split(',').any(|name| name == spec.name);
        if asked && AFFORDABLE.holds(spec, case)? {
            f32_against_f64(spec, case, &device, &cpu)
        } else {
            Ok(())
        }
    });
}
