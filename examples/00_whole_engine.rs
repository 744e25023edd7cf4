//! Lesson 0: a whole engine on one page. A tensor, a tape, five ops with their gradients, a network, an optimiser: this
//! file trains LeNet-5 with nothing but Rust's standard library. (Only the images are read by the project's library.)
//!
//!     cargo run --release --example 00_whole_engine
//!
//! Each part names the engine's file for it. That file is longer: it is fast, checks its inputs, and has more options.

use receptive::data::idx;

// ---- A tensor: numbers, and a shape that says how to read them. In the engine: src/tensor/tensor.rs.
/// Element `[n, c, i, j]` of a tensor with the shape `[N, C, H, W]` is `data[((n C + c) H + i) W + j]`.
#[derive(Clone)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
}

// ---- An op: a function and its gradient. In the engine: src/tensor/op.rs.
/// `dy[k]` is the gradient of the loss with respect to output k: how fast the loss grows when that output grows.
/// From it, `backward` computes the gradient of the loss with respect to each input, by the chain rule.
trait Op {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor;
    fn backward(&self, inputs: &[&Tensor], y: &Tensor, dy: &[f32]) -> Vec<Vec<f32>>;
}

// ---- The tape: all values, in the order of computation. In the engine: src/tensor/exec.rs, src/tensor/backward.rs.
/// `made_by[id]` holds the op that computed value number `id`, and the numbers of the values that the op read. A leaf
/// has `None`: it was not computed. It is a parameter, or the images.
#[derive(Default)]
struct Tape {
    values: Vec<Tensor>,
    made_by: Vec<Option<Made>>,
}

type Made = (Box<dyn Op>, Vec<usize>);

impl Tape {
    fn leaf(&mut self, value: Tensor) -> usize {
        self.values.push(value);
        self.made_by.push(None);
        self.values.len() - 1
    }

    /// Computes an op, and records it for `backward`.
    fn apply(&mut self, op: impl Op + 'static, inputs: &[usize]) -> usize {
        let y = op.forward(&inputs.iter().map(|&i| &self.values[i]).collect::<Vec<_>>());
        self.values.push(y);
        self.made_by.push(Some((Box::new(op), inputs.to_vec())));
        self.values.len() - 1
    }

    /// Returns the gradients of all values, from the gradient `dy` of the last one. It reads the tape from its end: the
    /// ops that used a value come after it on the tape, so its gradient is complete when its turn comes.
    fn backward(&self, dy: Vec<f32>) -> Vec<Vec<f32>> {
        let mut gradients: Vec<_> = self.values.iter().map(|v| vec![0.0; v.data.len()]).collect();
        *gradients.last_mut().unwrap() = dy;
        for (id, made_by) in self.made_by.iter().enumerate().rev() {
            let Some((op, inputs)) = made_by else { continue };
            let values: Vec<&Tensor> = inputs.iter().map(|&i| &self.values[i]).collect();
            let of_inputs = op.backward(&values, &self.values[id], &gradients[id]);
            // A value that was used twice gets two gradients. They are added.
            for (&input, gradient) in inputs.iter().zip(of_inputs) {
                gradients[input].iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
            }
        }
        gradients
    }
}

// ---- Convolution. In the engine: src/ops/conv/conv2d.rs, src/cpu/conv2d/.
/// `y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i + u - P, j + v - P]`, where x is 0 outside the
/// image. The number in the struct is P, the padding. Inputs: x `[N, C, H, W]`, w `[O, C, K, K]`, b `[O]`.
struct Conv2d(usize);

/// All `(i, j, k)` with i < a, j < b, k < c.
fn all(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

impl Conv2d {
    /// Calls `f` for every weight and row of outputs. `f` gets the weight's index, the index in x where a row of pixels
    /// begins, the index in y where its row of outputs begins, and their length. Pixels of the padding are left out.
    fn rows(&self, x: &[usize], w: &[usize], y: &[usize], mut f: impl FnMut(usize, usize, usize, usize)) {
        let (h, width, k, p) = (x[2], x[3], w[2], self.0);
        for (n, o, c) in all(x[0], w[0], w[1]) {
            for (i, u, v) in all(y[2], k, k).filter(|(i, u, _)| (p..h + p).contains(&(i + u))) {
                let (from, to) = (p.saturating_sub(v), y[3].min(width + p - v));
                let weight = ((o * w[1] + c) * k + u) * k + v;
                let pixel = ((n * x[1] + c) * h + i + u - p) * width + from + v - p;
                f(weight, pixel, ((n * y[1] + o) * y[2] + i) * y[3] + from, to - from);
            }
        }
    }
}

impl Op for Conv2d {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let [x, w, b] = inputs else { unreachable!() };
        let [height, width] = [2, 3].map(|d| x.shape[d] + 2 * self.0 - w.shape[d] + 1);
        let (mut y, channels) = (zeros(&[x.shape[0], w.shape[0], height, width]), w.shape[0]);
        y.data.chunks_mut(height * width).enumerate().for_each(|(plane, y)| y.fill(b.data[plane % channels]));
        self.rows(&x.shape, &w.shape, &y.shape, |weight, at_x, at_y, n| {
            let (x, y) = (&x.data[at_x..][..n], &mut y.data[at_y..][..n]);
            y.iter_mut().zip(x).for_each(|(y, x)| *y += w.data[weight] * x);
        });
        y
    }

    /// Forward added each product `w x` to one y. So backward adds `w dy` to that x's dx, and `x dy` to that w's dw.
    fn backward(&self, inputs: &[&Tensor], y: &Tensor, dy: &[f32]) -> Vec<Vec<f32>> {
        let [x, w, b] = inputs else { unreachable!() };
        let [mut dx, mut dw, mut db] = [x, w, b].map(|t| vec![0.0; t.data.len()]);
        self.rows(&x.shape, &w.shape, &y.shape, |weight, at_x, at_y, n| {
            let (x, dx, dy) = (&x.data[at_x..][..n], &mut dx[at_x..][..n], &dy[at_y..][..n]);
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += w.data[weight] * dy);
            dw[weight] += x.iter().zip(dy).map(|(x, dy)| x * dy).sum::<f32>();
        });
        let planes = dy.chunks(y.shape[2] * y.shape[3]).enumerate();
        planes.for_each(|(plane, dy)| db[plane % w.shape[0]] += dy.iter().sum::<f32>());
        vec![dx, dw, db]
    }
}

// ---- ReLU. In the engine: src/ops/elementwise/relu.rs.
/// `y = max(0, x)`.
struct Relu;

impl Op for Relu {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        Tensor { shape: inputs[0].shape.clone(), data: inputs[0].data.iter().map(|x| x.max(0.0)).collect() }
    }

    fn backward(&self, _: &[&Tensor], y: &Tensor, dy: &[f32]) -> Vec<Vec<f32>> {
        vec![y.data.iter().zip(dy).map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 }).collect()]
    }
}

// ---- Max pooling. In the engine: src/ops/pool/max_pool2d.rs.
/// The largest number of each 2x2 window.
struct MaxPool2d;

/// For each window, the index of its largest number.
fn largest(x: &Tensor) -> impl Iterator<Item = usize> {
    let (h, w) = (x.shape[2], x.shape[3]);
    all(x.shape[0] * x.shape[1], h / 2, w / 2).map(move |(plane, i, j)| {
        let corner = (plane * h + 2 * i) * w + 2 * j;
        let window = [corner, corner + 1, corner + w, corner + w + 1];
        window.into_iter().reduce(|best, k| if x.data[k] > x.data[best] { k } else { best }).unwrap()
    })
}

impl Op for MaxPool2d {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let x = inputs[0];
        let shape = vec![x.shape[0], x.shape[1], x.shape[2] / 2, x.shape[3] / 2];
        Tensor { shape, data: largest(x).map(|k| x.data[k]).collect() }
    }

    /// Only the largest number changes the output, so only that one gets the gradient.
    fn backward(&self, inputs: &[&Tensor], _: &Tensor, dy: &[f32]) -> Vec<Vec<f32>> {
        let mut dx = vec![0.0; inputs[0].data.len()];
        largest(inputs[0]).zip(dy).for_each(|(k, dy)| dx[k] += dy);
        vec![dx]
    }
}

// ---- Linear. In the engine: src/ops/product/linear.rs, src/cpu/gemm/.
/// `y = x w^T + b`. Inputs: x `[N, ...]`, read as N rows of I features, w `[O, I]`, b `[O]`.
struct Linear;

impl Op for Linear {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let [x, w, b] = inputs else { unreachable!() };
        let mut y = zeros(&[x.shape[0], w.shape[0]]);
        for (x, y) in x.data.chunks(w.shape[1]).zip(y.data.chunks_mut(w.shape[0])) {
            for ((y, w), b) in y.iter_mut().zip(w.data.chunks(w.shape[1])).zip(&b.data) {
                *y = b + x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>();
            }
        }
        y
    }

    fn backward(&self, inputs: &[&Tensor], _: &Tensor, dy: &[f32]) -> Vec<Vec<f32>> {
        let [x, w, b] = inputs else { unreachable!() };
        let [mut dx, mut dw, mut db] = [x, w, b].map(|t| vec![0.0; t.data.len()]);
        for (n, dy) in dy.chunks(w.shape[0]).enumerate() {
            let row = |i: usize| i * w.shape[1]..(i + 1) * w.shape[1];
            for (o, dy) in dy.iter().enumerate() {
                dx[row(n)].iter_mut().zip(&w.data[row(o)]).for_each(|(dx, w)| *dx += dy * w);
                dw[row(o)].iter_mut().zip(&x.data[row(n)]).for_each(|(dw, x)| *dw += dy * x);
                db[o] += dy;
            }
        }
        vec![dx, dw, db]
    }
}

// ---- Log-softmax. In the engine: src/ops/norm/log_softmax.rs, src/cpu/softmax.rs.
/// Turns scores into logarithms of probabilities, row by row: `y = x - ln(sum of exp(x))`.
struct LogSoftmax;

impl Op for LogSoftmax {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let mut y = inputs[0].clone();
        for row in y.data.chunks_mut(inputs[0].shape[1]) {
            // The largest score is subtracted first, so that exp does not overflow. The result is the same.
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let log_sum = max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
            row.iter_mut().for_each(|x| *x -= log_sum);
        }
        y
    }

    /// `dx = dy - softmax(x) sum(dy)`, row by row.
    fn backward(&self, _: &[&Tensor], y: &Tensor, dy: &[f32]) -> Vec<Vec<f32>> {
        let sums = dy.chunks(y.shape[1]).flat_map(|row| vec![row.iter().sum::<f32>(); row.len()]);
        vec![y.data.iter().zip(dy).zip(sums).map(|((y, dy), sum)| dy - y.exp() * sum).collect()]
    }
}

// ---- The network: LeNet-5. In the engine: src/nn/, src/models/lenet.rs.

const WEIGHTS: [&[usize]; 5] = [&[6, 1, 5, 5], &[16, 6, 5, 5], &[120, 400], &[84, 120], &[10, 84]];
const PIXELS: usize = 28 * 28;
/// Returns the tape: parameters, images, ..., log-probabilities `[N, 10]`. Values w, w + 1: a layer's weights, bias.
fn lenet5(parameters: &[Tensor], images: Vec<f32>) -> Tape {
    let mut tape = Tape::default();
    parameters.iter().for_each(|p| _ = tape.leaf(p.clone()));
    let mut x = tape.leaf(Tensor { shape: vec![images.len() / PIXELS, 1, 28, 28], data: images });
    for (w, padding) in [(0, 2), (2, 0)] {
        x = tape.apply(Conv2d(padding), &[x, w, w + 1]);
        x = tape.apply(Relu, &[x]);
        x = tape.apply(MaxPool2d, &[x]);
    }
    for w in [4, 6, 8] {
        x = tape.apply(Linear, &[x, w, w + 1]);
        x = if w < 8 { tape.apply(Relu, &[x]) } else { tape.apply(LogSoftmax, &[x]) };
    }
    tape
}

// ---- Training: stochastic gradient descent with momentum. In the engine: src/optim/sgd.rs, src/train/trainer.rs.
/// The pixels of some images, as numbers between -1 and 1.
fn pixels(images: &[u8], which: &[usize]) -> Vec<f32> {
    let bytes = which.iter().flat_map(|i| &images[i * PIXELS..][..PIXELS]);
    bytes.map(|&byte| byte as f32 / 127.5 - 1.0).collect()
}

fn main() -> receptive::Result<()> {
    let sample = |file: &[u8]| idx::parse(file, "the sample").map(|idx| idx.data);
    let images = sample(include_bytes!("../src/data/sample/train-images-idx3-ubyte.gz"))?;
    let labels = sample(include_bytes!("../src/data/sample/train-labels-idx1-ubyte.gz"))?;
    let test_images = sample(include_bytes!("../src/data/sample/t10k-images-idx3-ubyte.gz"))?;
    let test_labels = sample(include_bytes!("../src/data/sample/t10k-labels-idx1-ubyte.gz"))?;
    let mut state = 1u64; // A linear congruential generator: its upper bits make random numbers.
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    // Weights and biases start as random numbers from -1/sqrt(k) to 1/sqrt(k); an output is a sum of k products.
    let mut parameters: Vec<Tensor> = WEIGHTS.iter().flat_map(|w| [zeros(w), zeros(&w[..1])]).collect();
    for layer in parameters.chunks_mut(2) {
        let bound = 1.0 / (layer[0].shape[1..].iter().product::<usize>() as f32).sqrt();
        layer.iter_mut().for_each(|p| p.data.fill_with(|| (2.0 * random() - 1.0) * bound));
    }
    let mut velocity: Vec<Vec<f32>> = parameters.iter().map(|p| vec![0.0; p.data.len()]).collect();
    let mut order: Vec<usize> = (0..labels.len()).collect(); // Of the images. Each epoch shuffles it.
    for epoch in 1..=6 {
        (1..order.len()).rev().for_each(|i| order.swap(i, (random() * (i + 1) as f32) as usize));
        let mut loss = 0.0;
        for batch in order.chunks(50) {
            let tape = lenet5(&parameters, pixels(&images, batch));
            // The loss is the mean of -y[n, label of n], so dy is -1/N at the labels and 0 elsewhere.
            let y = &tape.values.last().unwrap().data;
            let mut dy = vec![0.0; y.len()];
            for (n, &i) in batch.iter().enumerate() {
                let at = n * 10 + labels[i] as usize;
                loss -= y[at] / labels.len() as f32;
                dy[at] = -1.0 / batch.len() as f32;
            }
            for ((p, v), gradient) in parameters.iter_mut().zip(&mut velocity).zip(tape.backward(dy)) {
                for ((p, v), g) in p.data.iter_mut().zip(v).zip(gradient) {
                    *v = 0.9 * *v + g;
                    *p -= 0.02 * *v;
                }
            }
        }
        let tape = lenet5(&parameters, pixels(&test_images, &Vec::from_iter(0..test_labels.len())));
        let rows = tape.values.last().unwrap().data.chunks(10).zip(&test_labels);
        let right = rows.filter(|(y, label)| y.iter().all(|other| *other <= y[**label as usize])).count();
        let accuracy = 100.0 * right as f32 / test_labels.len() as f32;
        println!("epoch {epoch}  loss {loss:.4}  test accuracy {accuracy:.1} %");
    }
    Ok(())
}
