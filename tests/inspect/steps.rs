//! Tests that the terms of an output add up to the op's result, on the op table's own cases, in f64.

use receptive::core::Key;
use receptive::cpu::{CpuOptions, Simd};
use receptive::inspect::steps::*;
use receptive::ops::batch_norm::BatchNormOptions;
use receptive::ops::conv_transpose2d::ConvTranspose2dOptions;
use receptive::ops::conv2d::Conv2dOptions;
use receptive::ops::{Attrs, Case, OutputSize, Tag};
use receptive::ops::{avg_pool2d::AvgPool2dOptions, max_pool2d::MaxPool2dOptions};
use receptive::testing::cases::{self, Failure, checked_cpu};
use receptive::testing::close::index;
use receptive::testing::for_each_case;
use receptive::{DType, Device, ErrorKind, Tensor};
use std::cell::Cell;
use std::collections::BTreeMap;

/// The most elements that are compared per tensor.
const SAMPLE: usize = 40;

/// A case that has run forward and, if it has gradients, backward.
struct Run<'a> {
    case: &'a Case,
    inputs: BTreeMap<String, Tensor>,
    all: BTreeMap<String, Tensor>,
    dy: Tensor,
    compared: &'a Cell<usize>,
}

impl Run<'_> {
    fn input(&self, name: &str) -> Option<&Tensor> {
        self.inputs.get(name)
    }

    fn attrs(&self) -> Attrs<'_> {
        Attrs::new("test", &self.case.attrs, &[])
    }

    /// Compares elements of a tensor with `element(index)`: a result, and the sum of its terms' absolute values.
    #[allow(clippy::neg_cmp_op_on_partial_ord)] // NaN must fail
    fn compare(
        &self,
        name: &str,
        element: impl Fn(&[usize]) -> receptive::Result<(f64, f64)>,
    ) -> Result<(), Failure> {
        let want = self.all[name].to_f64()?;
        let key = Key::new(0).child(self.case.label).child(name);
        for i in 0..want.len().min(SAMPLE) {
            let i = if want.len() > SAMPLE { key.below(i as u64, want.len()) } else { i };
            let place = index(self.all[name].dims(), i);
            let (got, scale) = element(&place)?;
            if !((got - want[i]).abs() <= 1e-12 * scale) {
                return Err(format!("{name}{place:?}: {got}, the op has {}", want[i]).into());
            }
            self.compared.set(self.compared.get() + 1);
        }
        Ok(())
    }
}

/// Runs every small case of an op.
fn each(op: &str, check: impl Fn(&Run) -> Result<(), Failure>) {
    let (cpu, compared) = (checked_cpu(1), Cell::new(0));
    for_each_case(&[Tag::Grad, Tag::Edge], |spec, case| {
        if spec.name != op {
            return Ok(());
        }
        let inputs = cases::inputs(case, &cpu, DType::F64)?;
        let call = spec.call(&case.attrs, &inputs)?;
        let dy = case.grad_output(call.output())?;
        let mut all = call.outputs();
        all.extend(call.backward(&dy)?);
        check(&Run { case, inputs, all, dy, compared: &compared })
    });
    assert!(compared.get() > 50, "only {} elements of {op} compared", compared.get());
}

/// An index as a place in a batch. A single image counts as the first of a batch.
fn in_batch(at: &[usize]) -> [usize; 4] {
    match *at {
        [n, c, i, j] => [n, c, i, j],
        [c, i, j] => [0, c, i, j],
        _ => panic!("{at:?} is no place in images"),
    }
}

fn size(products: impl Iterator<Item = f64>) -> f64 {
    products.map(f64::abs).sum()
}

#[test]
fn convolution() {
    each("conv2d", |run| {
        let options = Conv2dOptions::from_attrs(&run.attrs())?;
        let (x, weight, bias) = (&run.inputs["input"], &run.inputs["weight"], run.input("bias"));
        run.compare("output", |at| {
            let steps = conv_steps(x, weight, bias, &options, in_batch(at))?;
            check_gemm(&steps);
            Ok((
                steps.result,
                size(steps.taps.iter().map(|tap| tap.product)) + steps.bias.unwrap_or(0.0).abs(),
            ))
        })?;
        run.compare("grad.input", |at| {
            let steps = conv_grad_input_steps(x, &run.dy, weight, &options, in_batch(at))?;
            Ok((steps.result, size(steps.terms.iter().map(|term| term.product))))
        })?;
        run.compare("grad.weight", |at| {
            let steps = conv_grad_weight_steps(x, &run.dy, weight, &options, in_batch(at))?;
            let outputs = steps.terms.len() + steps.padding;
            assert_eq!(
                outputs * weight.dims()[0],
                run.dy.numel(),
                "every output uses the weight or misses the input"
            );
            Ok((steps.result, size(steps.terms.iter().map(|term| term.product))))
        })
    });
}

/// The blocks add up to the sum of row times column, and the tile contains the output.
fn check_gemm(steps: &ConvSteps) {
    let gemm = &steps.gemm;
    let [m, k, n] = gemm.sizes;
    assert!(gemm.row < m && gemm.column < n && k == steps.taps.len(), "{gemm:?}");
    let tile = gemm.tile.as_ref().expect("small sums are computed by tiles");
    assert!(tile.rows.contains(&gemm.row) && tile.columns.contains(&gemm.column), "{gemm:?}");
    let blocks: f64 = tile.blocks.iter().map(|block| block.sum).sum();
    let size = size(steps.taps.iter().map(|tap| tap.product));
    assert!((blocks - steps.sum).abs() <= 1e-12 * size, "{blocks} {}", steps.sum);
}

/// The tiles cover the output matrix exactly once at each SIMD level. 14 rows are cut into tiles of 8 and 6, or 6, 6
/// and 2, or 4, 4, 4 and 2. With few rows, B is not packed.
#[test]
fn tiles_cover_the_output_once() {
    for simd in [Simd::Portable, Simd::Avx2, Simd::Avx512].into_iter().filter_map(|s| s.supported().ok()) {
        let cpu = Device::cpu_with(&CpuOptions { simd: Some(simd), ..CpuOptions::with_threads(1) }).unwrap();
        let image = Tensor::zeros(&cpu, &[1, 30, 12, 11], DType::F32).unwrap();
        for channels in [1, 5, 14] {
            let weight = Tensor::zeros(&cpu, &[channels, 30, 3, 3], DType::F32).unwrap();
            let mut seen = 0;
            for o in 0..channels {
                for pixel in 0..90 {
                    let at = [0, o, pixel / 9, pixel % 9];
                    let gemm = conv_steps(&image, &weight, None, &Conv2dOptions::default(), at).unwrap().gemm;
                    let tile = gemm.tile.unwrap();
                    let [rows, columns] = tile.cut.tile;
                    assert!(tile.rows.len() <= rows && tile.columns.len() <= columns, "{tile:?}");
                    // Counts each tile once, at its first element.
                    if (tile.rows.start, tile.columns.start) == (gemm.row, gemm.column) {
                        seen += tile.rows.len() * tile.columns.len();
                    }
                    let (depth, packed) = if channels <= rows { (8, false) } else { (256, true) };
                    assert_eq!((tile.cut.depth, tile.cut.packed), (depth, packed), "{simd} {channels}");
                    assert_eq!(tile.blocks.last().unwrap().k.end, 270);
                }
            }
            assert_eq!(seen, channels * 90, "{simd} {channels}");
        }
    }
}

#[test]
fn transposed_convolution() {
    each("conv_transpose2d", |run| {
        let options = ConvTranspose2dOptions::from_attrs(&run.attrs())?;
        let (x, weight, bias) = (&run.inputs["input"], &run.inputs["weight"], run.input("bias"));
        run.compare("output", |at| {
            let steps = conv_transpose_steps(x, weight, bias, &options, in_batch(at))?;
            Ok((steps.result, size(steps.terms.iter().map(|t| t.product)) + steps.bias.unwrap_or(0.0).abs()))
        })?;
        // The gradient of an input comes from the outputs to which the input contributes.
        run.compare("grad.input", |at| {
            let spread = conv_transpose_spread(x, weight, &options, in_batch(at))?;
            let dy = |tap: &SpreadTap| {
                let [n, h, w] =
                    [spread.from[0], run.dy.dims()[run.dy.dims().len() - 2], *run.dy.dims().last()?];
                let [p, q] = tap.at.map(|p| usize::try_from(p).ok());
                let (p, q) = (p.filter(|p| *p < h)?, q.filter(|q| *q < w)?);
                let channels =
                    run.dy.numel() / (h * w) / x.dims()[..x.dims().len() - 3].iter().product::<usize>();
                run.dy.to_f64().ok().map(|dy| dy[((n * channels + tap.channel) * h + p) * w + q])
            };
            let terms: Vec<f64> = spread.taps.iter().map(|tap| tap.weight * dy(tap).unwrap_or(0.0)).collect();
            assert!(spread.taps.iter().all(|tap| tap.cut == dy(tap).is_none()));
            Ok((terms.iter().sum(), size(terms.into_iter())))
        })
    });
}

/// Checks all cases of one pooling op.
fn pooling(op: &str, pooling: impl Fn(&Attrs) -> receptive::Result<Pooling>) {
    each(op, |run| {
        let pooling = pooling(&run.attrs())?;
        run.compare("output", |at| {
            let steps = pool_steps(&run.inputs["input"], pooling, in_batch(at))?;
            let values = || steps.taps.iter().filter_map(|tap| tap.x);
            let scale = match steps.pooled {
                Pooled::Max { winner } => {
                    assert_eq!(winner.and_then(|tap| steps.taps[tap].x), Some(steps.result));
                    0.0
                }
                Pooled::Avg { divisor, .. } => size(values()) / divisor.abs(),
            };
            Ok((steps.result, scale))
        })
    });
}

#[test]
fn pools() {
    pooling("max_pool2d", |attrs| Ok(Pooling::Max(MaxPool2dOptions::from_attrs(attrs)?)));
    pooling("avg_pool2d", |attrs| Ok(Pooling::Avg(AvgPool2dOptions::from_attrs(attrs)?)));
    pooling("adaptive_max_pool2d", |attrs| Ok(Pooling::AdaptiveMax(OutputSize::from_attrs(attrs)?)));
    pooling("adaptive_avg_pool2d", |attrs| Ok(Pooling::AdaptiveAvg(OutputSize::from_attrs(attrs)?)));
}

/// Among equal values the first in row-major order wins. NaN wins over every number. The padding never wins.
#[test]
fn winners_follow_the_rule_of_ties() {
    let cpu = Device::cpu().unwrap();
    let winner = |values: [f64; 4]| {
        let x = Tensor::from_slice(&cpu, &values, &[1, 1, 2, 2]).unwrap();
        let options = MaxPool2dOptions { padding: [1, 1], ..MaxPool2dOptions::new([3, 3]) };
        let steps = pool_steps(&x, Pooling::Max(options), [0; 4]).unwrap();
        let [y, indices] = {
            let (y, i) = x.max_pool2d_with_indices(&options).unwrap();
            [y.to_f64().unwrap()[0], i.to_f64().unwrap()[0]]
        };
        assert!(steps.result == y || steps.result.is_nan() && y.is_nan());
        let Pooled::Max { winner: Some(tap) } = steps.pooled else { panic!("{steps:?}") };
        let [p, q] = steps.taps[tap].at;
        assert_eq!((p * 2 + q) as f64, indices);
        (p, q)
    };
    assert_eq!(winner([1.0, 2.0, 2.0, 2.0]), (0, 1));
    assert_eq!(winner([3.0, 3.0, 3.0, 3.0]), (0, 0));
    assert_eq!(winner([1.0, f64::NAN, 5.0, f64::NAN]), (1, 1));
}

#[test]
fn batch_normalisation() {
    each("batch_norm", |run| {
        let settings = BatchNormOptions::from_attrs(&run.attrs())?;
        let running = run.input("running_mean").zip(run.input("running_var")).map(|(mean, var)| [mean, var]);
        let (weight, bias) = (run.input("weight"), run.input("bias"));
        run.compare("output", |at| {
            let s = batch_norm_steps(&run.inputs["input"], running, weight, bias, settings, at)?;
            assert_eq!(s.values.is_some(), settings.training);
            let scale = (s.x.abs() + s.mean.abs()) / (s.variance + s.eps).sqrt();
            Ok((s.result, scale * s.gamma.unwrap_or(1.0).abs() + s.beta.unwrap_or(0.0).abs()))
        })
    });
}

#[test]
fn softmaxes() {
    for op in ["softmax", "log_softmax"] {
        each(op, |run| {
            let dim = run.case.attrs["dim"].parse()?;
            run.compare("output", |at| {
                let steps = softmax_steps(&run.inputs["input"], dim, at)?;
                let result = if op == "softmax" { steps.probability } else { steps.log_probability };
                Ok((result, 1.0 + result.abs()))
            })
        });
    }
}

#[test]
fn places_that_are_not_there_are_refused() {
    let meta = |dims: &[usize]| Tensor::zeros(&Device::cpu().unwrap(), dims, DType::F32).unwrap();
    let (x, weight, default) = (meta(&[1, 2, 5, 5]), meta(&[3, 2, 3, 3]), Conv2dOptions::default());
    let refused = |error: receptive::Error| {
        assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        assert!(error.to_string().contains("has no element"), "{error}");
    };
    refused(conv_steps(&x, &weight, None, &default, [0, 3, 0, 0]).unwrap_err());
    refused(conv_steps(&x, &weight, None, &default, [0, 0, 3, 0]).unwrap_err());
    let dy = meta(&[1, 3, 3, 3]);
    refused(conv_grad_input_steps(&x, &dy, &weight, &default, [0, 0, 0, 5]).unwrap_err());
    refused(conv_grad_weight_steps(&x, &dy, &weight, &default, [0, 0, 0, 3]).unwrap_err());
    assert_eq!(
        conv_grad_input_steps(&x, &x, &weight, &default, [0; 4]).unwrap_err().kind(),
        ErrorKind::Shape
    );
    refused(pool_steps(&x, Pooling::Max(MaxPool2dOptions::new([2, 2])), [0, 2, 0, 0]).unwrap_err());
    refused(softmax_steps(&x, 1, &[0, 2, 0, 0]).unwrap_err());
    refused(
        batch_norm_steps(
            &x,
            None,
            None,
            None,
            BatchNormOptions { training: true, ..Default::default() },
            &[0, 0],
        )
        .unwrap_err(),
    );
}
