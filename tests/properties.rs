//! Tests properties that hold for all shapes and settings, on random ones.

use proptest::prelude::*;
use receptive::io::TensorFile;
use receptive::ops::{self, Case, Fill, OPS, Tag};
use receptive::testing::cases::checked_cpu;
use receptive::testing::{Place, Tolerance, close};
use receptive::{DType, Device, Key, Shape, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

type Named = BTreeMap<String, Tensor>;

fn attrs(text: &str) -> BTreeMap<String, String> {
    Case::new("", text).attrs
}

fn tensors(all: &[(&str, &Tensor)]) -> Named {
    all.iter().map(|(name, x)| ((*name).to_owned(), (*x).clone())).collect()
}

fn run(op: &str, settings: &str, inputs: &[(&str, &Tensor)]) -> Named {
    ops::find(op).unwrap().run(&attrs(settings), tensors(inputs)).unwrap()
}

fn normal(device: &Device, seed: u64, dims: &[usize]) -> Tensor {
    let key = Key::new(seed);
    let values = (0..dims.iter().product::<usize>() as u64).map(|i| key.normal(i)).collect();
    Tensor::from_vec::<f64>(device, values, dims).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.to_f64().unwrap().iter().zip(b.to_f64().unwrap()).map(|(a, b)| a * b).sum()
}

fn scaled_sum(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Tensor {
    x.mul_scalar(a).unwrap().add(&y.mul_scalar(b).unwrap()).unwrap()
}

fn agree(tensor: &str, got: &Tensor, want: &Tensor) {
    let place = Place { op: "law", case: "random", tensor };
    close(place, got, want, Tolerance::new(1e-10, 1e-10)).unwrap();
}

prop_compose! {
    /// A convolution that fits: (settings, dims of input, dims of weight).
    fn convolution()(
        n in 0usize..3, c in 1usize..3, o in 1usize..3, groups in 1usize..3,
        kernel in prop::array::uniform2(1usize..4), stride in prop::array::uniform2(1usize..3),
        padding in prop::array::uniform2(0usize..3), dilation in prop::array::uniform2(1usize..3),
        extra in prop::array::uniform2(0usize..5),
    ) -> (String, [usize; 4], [usize; 4]) {
        let size = |i: usize| (dilation[i] * (kernel[i] - 1) + 1).saturating_sub(2 * padding[i]).max(1) + extra[i];
        let settings = format!(
            "stride={},{} padding={},{} dilation={},{} groups={groups}",
            stride[0], stride[1], padding[0], padding[1], dilation[0], dilation[1]
        );
        (settings, [n, c * groups, size(0), size(1)], [o * groups, c, kernel[0], kernel[1]])
    }
}

prop_compose! {
    /// A pooling that fits: (kernel, stride, padding, ceil_mode, dims of input).
    fn pooling()(
        kernel in prop::array::uniform2(1usize..4), stride in prop::array::uniform2(1usize..4),
        half in prop::array::uniform2(0usize..2), ceil in any::<bool>(),
        extra in prop::array::uniform2(0usize..6), n in 1usize..3, c in 1usize..3,
    ) -> ([usize; 2], [usize; 2], [usize; 2], bool, [usize; 4]) {
        let padding = [0, 1].map(|i| half[i].min(kernel[i] / 2));
        (kernel, stride, padding, ceil, [n, c, kernel[0] + extra[0], kernel[1] + extra[1]])
    }
}

/// The number of windows along one direction, as in PyTorch. A window that would start in the padding after the image
/// is left out, whatever `ceil_mode` says.
fn windows(size: usize, kernel: usize, stride: usize, padding: usize, ceil: bool) -> usize {
    let span = size + 2 * padding - kernel;
    let count = if ceil { span.div_ceil(stride) } else { span / stride } + 1;
    if (count - 1) * stride >= size + padding { count - 1 } else { count }
}

/// Pooling by its definition. `reduce` gets the values of each window, and the number of positions that the window
/// covers, including padding.
fn pool(
    x: &Tensor,
    (kernel, stride, padding, ceil): ([usize; 2], [usize; 2], [usize; 2], bool),
    reduce: impl Fn(&[f64], usize) -> f64,
) -> Tensor {
    let &[n, c, h, w] = x.dims() else { panic!("an image batch") };
    let size = [h, w];
    let out = [0, 1].map(|i| windows(size[i], kernel[i], stride[i], padding[i], ceil));
    let range = |i: usize, at: usize| {
        let start = at * stride[i];
        start..(start + kernel[i]).min(size[i] + 2 * padding[i])
    };
    let values = x.to_f64().unwrap();
    let mut y = Vec::new();
    for plane in values.chunks(h * w).take(n * c) {
        for (i, j) in (0..out[0]).flat_map(|i| (0..out[1]).map(move |j| (i, j))) {
            let inside = |p: usize, i: usize| p.checked_sub(padding[i]).filter(|&p| p < size[i]);
            let mut seen = Vec::new();
            for p in range(0, i).filter_map(|p| inside(p, 0)) {
                seen.extend(range(1, j).filter_map(|q| inside(q, 1)).map(|q| plane[p * w + q]));
            }
            y.push(reduce(&seen, range(0, i).len() * range(1, j).len()));
        }
    }
    Tensor::from_vec(x.device(), y, &[n, c, out[0], out[1]]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conv2d_is_linear_in_its_input((settings, x, w) in convolution(), seed: u64, a in -2.0..2.0, b in -2.0..2.0) {
        let cpu = checked_cpu(1);
        let (x, z, w) = (normal(&cpu, seed, &x), normal(&cpu, seed ^ 1, &x), normal(&cpu, seed ^ 2, &w));
        let conv = |x: &Tensor| run("conv2d", &settings, &[("input", x), ("weight", &w)]).remove("output").unwrap();
        agree("output", &conv(&scaled_sum(a, &x, b, &z)), &scaled_sum(a, &conv(&x), b, &conv(&z)));
    }

    /// <Ax, y> = <x, A^T y>: the gradient of a linear map is its transpose, for the input and for the weight.
    #[test]
    fn conv2d_gradients_are_adjoint((settings, x, w) in convolution(), seed: u64) {
        let cpu = checked_cpu(1);
        let (x, w) = (normal(&cpu, seed, &x), normal(&cpu, seed ^ 1, &w));
        let given = [("input", &x), ("weight", &w)];
        let y = run("conv2d", &settings, &given).remove("output").unwrap();
        let dy = normal(&cpu, seed ^ 2, y.dims());
        let out = run("conv2d", &settings, &[given[0], given[1], ("grad_output", &dy)]);
        let (product, scale) = (dot(&y, &dy), 1.0 + dot(&y, &y).sqrt() * dot(&dy, &dy).sqrt());
        for (grad, x) in [("grad.input", &x), ("grad.weight", &w)] {
            prop_assert!((dot(&out[grad], x) - product).abs() <= 1e-12 * scale, "{}", grad);
        }
    }

    /// <conv(x), y> = <x, conv_transpose(y)>: one weight, read as [O, C / groups, ..] there and as [C, O / groups, ..]
    /// here. `output_padding` restores what the stride's rounding dropped.
    #[test]
    fn conv_transpose2d_is_the_adjoint_of_conv2d((settings, x, w) in convolution(), seed: u64) {
        let cpu = checked_cpu(1);
        let (x, w) = (normal(&cpu, seed, &x), normal(&cpu, seed ^ 1, &w));
        let conv = run("conv2d", &settings, &[("input", &x), ("weight", &w)]).remove("output").unwrap();
        let y = normal(&cpu, seed ^ 2, conv.dims());
        let back = |extra: [usize; 2]| {
            let settings = format!("{settings} output_padding={},{}", extra[0], extra[1]);
            ops::find("conv_transpose2d").unwrap().run(&attrs(&settings), tensors(&[("input", &y), ("weight", &w)]))
        };
        let dropped = (0..2).flat_map(|h| (0..2).map(move |w| [h, w]));
        let sizes = dropped.filter_map(|extra| back(extra).ok()).map(|mut out| out.remove("output").unwrap());
        let z = sizes.into_iter().find(|z| z.dims() == x.dims()).expect("one output_padding gives the size of x");
        let scale = 1.0 + dot(&x, &x).sqrt() * dot(&z, &z).sqrt();
        prop_assert!((dot(&conv, &y) - dot(&x, &z)).abs() <= 1e-12 * scale);
    }

    #[test]
    fn softmax_rows_are_probabilities(rows in 0usize..5, columns in 1usize..40, scale in 0.0..200.0, seed: u64) {
        let x = normal(&checked_cpu(1), seed, &[rows, columns]).mul_scalar(scale).unwrap();
        let y = x.softmax(1).unwrap().to_f64().unwrap();
        prop_assert!(y.iter().all(|p| (0.0..=1.0).contains(p)));
        for row in y.chunks(columns) {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() <= 1e-12);
        }
    }

    #[test]
    fn max_pool2d_is_the_largest_of_each_window((kernel, stride, padding, ceil, dims) in pooling(), seed: u64) {
        let x = normal(&checked_cpu(1), seed, &dims);
        let want = pool(&x, (kernel, stride, padding, ceil), |seen, _| seen.iter().copied().fold(f64::MIN, f64::max));
        agree("output", &run("max_pool2d", &pool_settings(kernel, stride, padding, ceil), &[("input", &x)])["output"], &want);
    }

    #[test]
    fn avg_pool2d_is_the_mean_of_each_window(
        (kernel, stride, padding, ceil, dims) in pooling(), count_padding: bool, seed: u64,
    ) {
        let x = normal(&checked_cpu(1), seed, &dims);
        let mean = |seen: &[f64], places: usize| {
            seen.iter().sum::<f64>() / if count_padding { places } else { seen.len() } as f64
        };
        let want = pool(&x, (kernel, stride, padding, ceil), mean);
        let settings = pool_settings(kernel, stride, padding, ceil) + &format!(" count_include_pad={count_padding}");
        agree("output", &run("avg_pool2d", &settings, &[("input", &x)])["output"], &want);
    }

    #[test]
    fn broadcasting_is_commutative_and_associative(
        a in prop::collection::vec(0usize..3, 0..4), b in prop::collection::vec(0usize..3, 0..4),
        c in prop::collection::vec(0usize..3, 0..4),
    ) {
        let [a, b, c] = [a, b, c].map(|dims| Shape::new(&dims).unwrap());
        let join = |x: &Shape, y: &Shape| x.broadcast("law", y).ok();
        prop_assert_eq!(join(&a, &a), Some(a));
        prop_assert_eq!(join(&a, &Shape::SCALAR), Some(a));
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        let left = join(&a, &b).and_then(|ab| join(&ab, &c));
        let right = join(&b, &c).and_then(|bc| join(&a, &bc));
        if let (Some(left), Some(right)) = (left, right) {
            prop_assert_eq!(left, right);
        }
    }

    /// <expand x, y> = <x, sum_to_size y>.
    #[test]
    fn expand_and_sum_to_size_are_adjoint(
        dims in prop::collection::vec((1usize..5, any::<bool>()), 0..5), drop in 0usize..5, seed: u64,
    ) {
        let cpu = checked_cpu(1);
        let size: Vec<usize> = dims.iter().map(|d| d.0).collect();
        let small: Vec<usize> = dims.iter().skip(drop).map(|&(d, kept)| if kept { d } else { 1 }).collect();
        let (x, y) = (normal(&cpu, seed, &small), normal(&cpu, seed ^ 1, &size));
        let (up, down) = (x.expand(&size).unwrap(), y.sum_to_size(&small).unwrap());
        prop_assert!((dot(&up, &y) - dot(&x, &down)).abs() <= 1e-9);
    }

    /// For any attribute values and any shapes, an op returns a result or an error. It never panics.
    #[test]
    fn ops_refuse_what_they_cannot_do(seed: u64) {
        for spec in OPS {
            fuzz(spec, Key::new(seed).child(spec.name));
        }
    }

    #[test]
    fn the_safetensors_reader_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), header in "[\\[\\]{}:,\"a-z0-9_-]{0,80}") {
        let _ = read(&bytes);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.extend(bytes);
        let _ = read(&file);
    }

    /// A changed byte gives other values or an error, and a file that is cut off is an error. Neither gives a panic.
    #[test]
    fn a_damaged_file_is_an_error_or_other_values(at in 0usize..400, flip in 1u8..=255, cut in 0usize..400) {
        let cpu = checked_cpu(1);
        let (a, b) = (normal(&cpu, 1, &[3, 4]), Tensor::scalar(&cpu, 5i64));
        let mut whole = Vec::new();
        TensorFile::new(tensors(&[("a", &a), ("b", &b)])).write_to(&mut whole, Path::new("x")).unwrap();
        let mut damaged = whole.clone();
        let at = at % damaged.len();
        damaged[at] ^= flip;
        let _ = read(&damaged);
        prop_assert!(read(&whole[..cut % whole.len()]).is_err());
    }
}

fn pool_settings(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2], ceil: bool) -> String {
    let [kernel, stride, padding] = [kernel, stride, padding].map(|[h, w]| format!("{h},{w}"));
    format!("kernel_size={kernel} stride={stride} padding={padding} ceil_mode={ceil}")
}

fn read(bytes: &[u8]) -> receptive::Result<TensorFile> {
    TensorFile::read_from(&mut &bytes[..], bytes.len() as u64, Path::new("x"), &checked_cpu(1))
}

/// Wrong and extreme values for attributes.
const TEXTS: &[&str] = &[
    "",
    "None",
    "-1",
    "0",
    "1",
    "2",
    "7",
    "1,2",
    "(3,)",
    "2,2,2",
    "0,0",
    "-3,-3",
    "()",
    "[",
    ",,",
    "1e400",
    "nan",
    "inf",
    "true",
    "same",
    "valid",
    "mean",
    "none",
    "floor",
    "reflect",
    "circular",
    "9223372036854775807",
    "4294967295,3",
    "99999999999999999999",
    "-9223372036854775808",
];

/// Runs a case with one attribute changed, or one shape, or both: on the meta device, and on the CPU if it is small.
fn fuzz(spec: &'static ops::OpSpec, key: Key) {
    let cases: Vec<Case> = (spec.cases)().into_iter().filter(|case| case.tag != Tag::Bench).collect();
    let mut case = cases[key.below(0, cases.len())].clone();
    if !spec.attrs.is_empty() && key.below(1, 3) > 0 {
        let attr = spec.attrs[key.below(2, spec.attrs.len())];
        case.attrs.insert(attr.to_owned(), TEXTS[key.below(3, TEXTS.len())].to_owned());
    }
    if key.below(4, 3) > 0 {
        let count = case.inputs.len();
        let dims = &mut case.inputs[key.below(5, count)].dims;
        let at = key.below(6, dims.len() + 1);
        match (key.below(7, 3), at < dims.len()) {
            (0, true) => dims[at] = key.below(8, 4),
            (1, true) => drop(dims.remove(at)),
            _ => dims.insert(at, key.below(8, 3)),
        }
    }
    let meta = call(spec, &case, &Device::meta());
    let small = meta.as_ref().is_ok_and(|call| call.output().numel() <= 100_000);
    if small && let Ok(call) = call(spec, &case, &checked_cpu(1)) {
        assert_eq!(call.output().meta(), meta.unwrap().output().meta(), "{}: {case:?}", spec.name);
        if call.tracks_grad() {
            let dy = case.grad_output(call.output()).unwrap();
            let grads = call.backward(&dy).unwrap_or_else(|e| panic!("{}: {case:?}: {e}", spec.name));
            assert!(!grads.is_empty());
        }
    }
}

fn call(spec: &'static ops::OpSpec, case: &Case, device: &Device) -> receptive::Result<ops::Call> {
    let ones = |input: &ops::CaseInput| {
        let labels = matches!(input.fill, Fill::Labels(_));
        let dtype = input.fill.dtype(DType::F64);
        Ok((input.name.to_owned(), Tensor::full(device, if labels { 0.0 } else { 1.0 }, &input.dims, dtype)?))
    };
    spec.call(&case.attrs, &case.inputs.iter().map(ones).collect::<receptive::Result<Named>>()?)
}
