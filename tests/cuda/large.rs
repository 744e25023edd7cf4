//! Tests reductions over more elements than one block handles: the parts, and the sum of the parts. The cases in the
//! ops' table are too small for this, or too large for the simulator.

use crate::cuda;
use receptive::ops::{Case, Fill, find};
use receptive::testing::cases::checked_cpu;
use receptive::testing::conformance::f32_against_f64;

#[test]
fn long_reductions_are_cut_and_added_up() {
    let Some(device) = cuda() else { return };
    let cpu = checked_cpu(1);
    let norm = |attrs, input: &[usize], weights: usize| {
        Case::new("parts", attrs).input("input", input).input("weight", &[weights]).input("bias", &[weights])
    };
    let pair = |dims: &[usize]| {
        Case::new("parts", "").input("input", dims).filled("target", dims, Fill::Uniform(0.0, 1.0))
    };
    let labels = |dims: [usize; 2]| {
        Case::new("parts", "").input("input", &dims).filled("target", &dims[..1], Fill::Labels(dims[1]))
    };
    let batch = [3, 2, 60, 50];
    for (op, case) in [
        ("batch_norm", norm("training=true", &batch, 2)),
        ("batch_norm_relu", norm("training=true", &batch, 2).input("residual", &batch)),
        ("instance_norm", norm("", &[1, 2, 9001], 2)),
        ("group_norm", norm("num_groups=2", &[1, 4, 9001], 4)),
        ("layer_norm", norm("normalized_shape=9001", &[2, 9001], 9001)),
        ("layer_norm", norm("normalized_shape=40", &[300, 40], 40)),
        ("softmax", Case::new("a block a row", "dim=1").input("input", &[3, 3001])),
        ("log_softmax", Case::new("a block a column", "dim=0").input("input", &[3001, 3])),
        ("cross_entropy", labels([3, 3001])),
        ("cross_entropy", labels([5000, 3])),
        ("nll_loss", labels([5000, 3])),
        ("binary_cross_entropy_with_logits", pair(&[5000])),
        ("dice_loss", pair(&[1, 2, 9001])),
    ] {
        if let Err(failure) = f32_against_f64(find(op).unwrap(), &case, &device, &cpu) {
            panic!("{op} {:?}: {failure}", case.inputs[0].dims);
        }
    }
}

/// If the mean is a thousand times the deviation, no digits are lost. E[x^2] - E[x]^2 would have no correct digit.
#[test]
fn large_means_keep_the_deviations_digits() {
    let Some(device) = cuda() else { return };
    for n in [40, 9001] {
        let values: Vec<f32> = (0..n).map(|i| 4096.0 + (i % 5) as f32).collect();
        let x = receptive::Tensor::from_slice(&device, &values, &[1, n]).unwrap();
        let y = x.layer_norm(&[n], None, None, 0.0).unwrap().to_f64().unwrap();
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n as f64;
        for (&x, y) in values.iter().zip(y) {
            let want = (f64::from(x) - mean) / variance.sqrt();
            assert!((y - want).abs() <= 2e-6, "{n}: {y}, not {want}");
        }
    }
}
