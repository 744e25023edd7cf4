//! Tests what the ops' own cases leave out: element types other than f32, reductions so long that they take three
//! passes, and random numbers. Random numbers must equal the CPU's bit for bit, also in a replayed graph.

use crate::{context, cuda};
use receptive::ops::pad::PadMode;
use receptive::testing::cases::checked_cpu;
use receptive::testing::{Place, Tolerance, close};
use receptive::{DType, Device, Key, Tensor};

const DTYPES: [DType; 6] = [DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::U8];

/// Infinities, NaN, values halfway between two of a narrower type, and values beyond the range of every integer.
const AWKWARD: [f64; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    254.5,
    255.0,
    256.0,
    -3.7,
    65504.0,
    65520.0,
    1e-8,
    6e-8,
    3.4e38,
    1e300,
    -1e300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1.0 + 1.0 / 256.0,
    // Just above the middle of two bf16, and of two f16.
    1.0 + 1.0 / 256.0 + 1.5e-7,
    1.0 + 1.0 / 2048.0 + 1.5e-7,
    9_007_199_254_740_993.0,
    9.3e18,
    -9.3e18,
];

#[test]
fn every_conversion_is_the_cpus() {
    let Some(device) = cuda() else { return };
    let cpu = checked_cpu(1);
    let values = Tensor::from_slice(&cpu, &AWKWARD, &[AWKWARD.len()]).unwrap();
    for from in DTYPES {
        let x = values.to_dtype(from).unwrap();
        let there = x.to_device(&device).unwrap();
        for to in DTYPES {
            let (want, got) = (x.to_dtype(to).unwrap(), there.to_dtype(to).unwrap());
            let case = format!("{from} to {to}");
            close(Place { op: "cast", case: &case, tensor: "output" }, &got, &want, Tolerance::EXACT)
                .unwrap();
        }
    }
}

/// Copies move elements of one to eight bytes, and several elements at once if they are contiguous.
#[test]
fn elements_of_every_size_are_moved() {
    let Some(device) = cuda() else { return };
    let cpu = checked_cpu(1);
    let moved = |x: &Tensor| {
        let parts = [x.narrow(1, 1, 2).unwrap(), x.slice(1, Some(0), None, 2).unwrap()];
        [
            x.permute(&[2, 0, 1]).unwrap(),
            x.transpose(1, 2).unwrap(),
            x.slice(2, Some(3), Some(35), 1).unwrap(),
            x.slice(2, Some(1), None, 5).unwrap(),
            x.narrow(2, 4, 1).unwrap().expand(&[2, 4, 6]).unwrap(),
            x.pad(&[2, -1, 1, 0], PadMode::Constant(7.0)).unwrap(),
            x.pad(&[2, 1], PadMode::Reflect).unwrap(),
            Tensor::cat(&[&parts[0], x, &parts[1]], 1).unwrap(),
            x.copy().unwrap(),
        ]
    };
    for dtype in DTYPES {
        // A view, so that it starts at the address of an element and not of a whole buffer.
        let values: Vec<f64> = (0..3 * 4 * 40).map(|i| (i % 251) as f64).collect();
        let whole = Tensor::from_vec(&cpu, values, &[3, 4, 40]).unwrap().to_dtype(dtype).unwrap();
        let view =
            |x: &Tensor| x.reshape(&[480]).unwrap().narrow(0, 1, 304).unwrap().reshape(&[2, 4, 38]).unwrap();
        let (want, got) = (moved(&view(&whole)), moved(&view(&whole.to_device(&device).unwrap())));
        for (i, (want, got)) in want.iter().zip(&got).enumerate() {
            let case = format!("{dtype}, copy {i}");
            close(Place { op: "copy", case: &case, tensor: "output" }, got, want, Tolerance::EXACT).unwrap();
        }
    }
}

/// Reductions in three passes: 17 million elements along a row, 70,000 along a column.
#[test]
fn reductions_of_three_passes_keep_every_digit() {
    let Some(device) = cuda() else { return };
    let n = 4096 * 4096 + 5;
    let mut values: Vec<f32> = (0..n).map(|i| 0.1 + (i % 7) as f32 * 1e-3).collect();
    (values[n - 3], values[n - 2]) = (5.0, 5.0);
    let exact: f64 = values.iter().map(|&v| v as f64).sum();
    let x = Tensor::from_vec(&device, values, &[n]).unwrap();
    let sum = x.sum_all().unwrap().item().unwrap();
    assert!((sum / exact - 1.0).abs() < 1e-7, "{sum} for {exact}");
    assert_eq!(x.argmax(None, false).unwrap().item().unwrap(), (n - 3) as f64, "the first of equal ones");

    let rows = 256 * 256 + 3;
    let columns = x.narrow(0, 0, rows * 2).unwrap().reshape(&[rows, 2]).unwrap();
    let means = columns.mean(&[0], false).unwrap().to_vec::<f32>().unwrap();
    let values = columns.to_vec::<f32>().unwrap();
    for (column, mean) in means.into_iter().enumerate() {
        let exact = values.iter().skip(column).step_by(2).map(|&v| v as f64).sum::<f64>() / rows as f64;
        assert!((mean as f64 / exact - 1.0).abs() < 1e-7, "{mean} for {exact}");
    }
    let (largest, places) = columns.max_dim(0, false).unwrap();
    let first = |c: usize, v: f32| values.iter().skip(c).step_by(2).position(|&x| x == v).unwrap() as i64;
    let largest = largest.to_vec::<f32>().unwrap();
    assert_eq!(places.to_vec::<i64>().unwrap(), [first(0, largest[0]), first(1, largest[1])]);
}

#[test]
fn nan_is_largest_and_the_first_of_equal_ones_wins() {
    let Some(device) = cuda() else { return };
    let mut values = vec![1f32; 3 * 5000];
    (values[4000], values[4999]) = (2.0, 2.0);
    (values[5000 + 4500], values[5000 + 4600]) = (f32::NAN, f32::NAN);
    values[10_000..].fill(f32::NEG_INFINITY);
    let x = Tensor::from_slice(&device, &values, &[3, 5000]).unwrap();
    assert_eq!(x.argmax(Some(1), false).unwrap().to_vec::<i64>().unwrap(), [4000, 4500, 0]);
    let columns = x.transpose(0, 1).unwrap();
    assert_eq!(columns.argmax(Some(0), false).unwrap().to_vec::<i64>().unwrap(), [4000, 4500, 0]);
}

/// The dropout mask equals the CPU's, including the last, partial block of random numbers.
#[test]
fn masks_are_the_cpus() {
    let Some(device) = cuda() else { return };
    let key = Key::new(9).child("dropout").step(1 << 40);
    let drop = |device: &Device| {
        let x = Tensor::full(device, 1.0, &[7, 11, 13], DType::F32).unwrap();
        [x.dropout(0.3, key).unwrap(), x.dropout2d(0.5, key).unwrap()].map(|y| y.to_vec::<f32>().unwrap())
    };
    assert_eq!(drop(&device), drop(&checked_cpu(1)));
}

/// Each replay must use the number of its own step. Otherwise it would always drop the same elements.
#[test]
fn a_replayed_graph_draws_each_steps_own_mask() {
    let Some(device) = cuda() else { return };
    let (cx, cpu) = (context(&device), checked_cpu(1));
    let key = Key::new(3).child("dropout");
    let ones = |device: &Device| Tensor::full(device, 1.0, &[1001], DType::F32).unwrap();
    let x = ones(&device);
    let memory = cx.graph_memory();
    memory.with(|| x.dropout(0.5, key)).unwrap();
    let mut output = None;
    let graph = memory
        .capture(|| {
            output = Some(x.dropout(0.5, key)?);
            Ok(())
        })
        .unwrap();
    let output = output.unwrap();
    for step in [0, 5, 6] {
        cx.set_step(step).unwrap();
        graph.replay().unwrap();
        let want = ones(&cpu).dropout(0.5, key.step(step)).unwrap();
        assert_eq!(output.to_vec::<f32>().unwrap(), want.to_vec::<f32>().unwrap(), "step {step}");
    }
}
