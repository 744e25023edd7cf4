//! Tests of losses: the kernel finds a label that is no class, and the error is the same as on the CPU.

use crate::cuda;
use receptive::ops::cross_entropy::CrossEntropy;
use receptive::ops::nll_loss::NllLoss;
use receptive::{ErrorKind, Tensor};

/// The kernel does not read a score for such a label. The error names the first one, and the device stays usable.
#[test]
fn a_label_out_of_range_is_an_error_after_which_work_goes_on() {
    let Some(device) = cuda() else { return };
    let x = Tensor::from_slice(&device, &[0.5f32; 12], &[4, 3]).unwrap();
    let labels = |values: [i64; 4]| Tensor::from_slice(&device, &values, &[4]).unwrap();
    let (good, bad) = (labels([0, 2, -100, 1]), labels([0, -100, 3, -1]));
    for fused in [true, false] {
        let loss = |target: &Tensor| match fused {
            true => x.cross_entropy(target, None, CrossEntropy::default())?.item(),
            false => x.nll_loss(target, None, NllLoss::default())?.item(),
        };
        let want = loss(&good).unwrap();
        let error = loss(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        let text = error.to_string();
        assert!(text.contains("out of range for 3 classes") && text.contains("position 2"), "{text}");
        assert_eq!(loss(&good).unwrap(), want);
    }
}
