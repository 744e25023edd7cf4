//! What the four normalisations have in common: all but their layout.
//!
//! ```math
//! \begin{aligned}
//! y &= \hat{x} \, w + b \\
//! \hat{x} &= (x - m) \, r \qquad r = \frac{1}{\sqrt{v + \varepsilon}}
//! \end{aligned}
//! ```
//!
//! with m and v over a group of n elements. The gradient, with `g = dy w`. Where m and v are given, `dx = g r`. Where
//! they are the group's own, x moves them too: `dm/dx[i] = 1/n` and `dv/dx[i] = 2 (x[i] - m) / n`, and the chain rule
//! collects
//!
//! ```math
//! \begin{aligned}
//! \mathrm{dx}_i &= r \, \bigl( g_i - \operatorname{mean}(g) - \hat{x}_i \operatorname{mean}(g \hat{x}) \bigr) \\
//! \mathrm{dw} &= \textstyle\sum \mathrm{dy} \, \hat{x} \\
//! \mathrm{db} &= \textstyle\sum \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! What is subtracted is the part of g along the two directions, all ones and xhat, that normalisation throws away.

use super::cuda;
use crate::core::{DType, Error, Float, Result, Shape};
use crate::cpu::norm::{Finish, Gate, Gradients, Layout, STATS, Source, Tape, backward, forward};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Ptr};
use crate::float_type;
use crate::ops::Attrs;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::tensor::{Field, Grads, Meta, Op, Outputs, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::{SmallVec, smallvec};
use std::fmt::Debug;

/// A kind of normalisation.
pub(super) trait Kind: Debug + Copy + Send + Sync + 'static {
    const NAME: &'static str;
    /// The name of its gradient, in errors.
    const GRAD: &'static str;

    /// Checks the input and says which of its elements share statistics and weights.
    fn layout(&self, input: &Shape) -> Result<Layout>;

    /// The shape of weight and bias.
    fn weight(&self, input: &Shape) -> Result<Shape> {
        Shape::new(&input.dims()[1..2])
    }

    /// Whether statistics are those of the input. If not they are the running ones.
    fn own(&self) -> bool {
        true
    }

    /// The weight of the input's statistics in the running ones.
    fn momentum(&self) -> f64 {
        0.0
    }

    /// Whether negative outputs become 0.
    fn relu(&self) -> bool {
        false
    }

    /// What one output depends on.
    fn field(&self) -> Field {
        Field::Global
    }
}

/// Which of the optional inputs come along; in this order, after the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    running_mean: bool,
    running_var: bool,
    weight: bool,
    bias: bool,
    residual: bool,
}

impl Given {
    pub fn new(attrs: &Attrs) -> Given {
        let [running_mean, running_var, weight, bias, residual] =
            ["running_mean", "running_var", "weight", "bias", "residual"].map(|name| attrs.has_input(name));
        Given { running_mean, running_var, weight, bias, residual }
    }

    fn running(&self) -> bool {
        self.running_mean && self.running_var
    }

    fn weight(&self) -> Option<usize> {
        self.weight.then_some(self.after([self.running_mean, self.running_var, false, false]))
    }

    fn bias(&self) -> Option<usize> {
        self.bias.then_some(self.after([self.running_mean, self.running_var, self.weight, false]))
    }

    fn residual(&self) -> Option<usize> {
        self.residual.then_some(self.after([self.running_mean, self.running_var, self.weight, self.bias]))
    }

    /// The place after the input and these.
    fn after(&self, before: [bool; 4]) -> usize {
        1 + before.iter().filter(|given| **given).count()
    }

    /// Visible outputs: the statistics follow those before them.
    fn visible(&self) -> usize {
        if self.running() { 3 } else { 1 }
    }
}

/// The op of such a kind.
#[derive(Debug)]
pub(super) struct Norm<K> {
    pub kind: K,
    pub eps: f64,
    pub given: Given,
}

impl<K: Kind> Norm<K> {
    fn check(&self, x: &[Meta]) -> Result<()> {
        let Given { running_mean, running_var, .. } = self.given;
        if running_mean != running_var || !(self.kind.own() || running_mean) {
            return Err(Error::argument(K::NAME, "needs both running_mean and running_var")
                .help("give both; or neither, and take the input's own statistics"));
        }
        if !(self.eps >= 0.0 && self.eps.is_finite()) {
            return Err(Error::argument(K::NAME, format!("eps {} is not a number from 0 up", self.eps)));
        }
        let channels = || Shape::new(&x[0].dims()[1..2]);
        let affine = || self.kind.weight(&x[0].shape);
        let input = || Ok(x[0].shape);
        let expected: [(_, _, &dyn Fn() -> Result<Shape>); 5] = [
            (running_mean.then_some(1), "running_mean", &channels),
            (running_var.then_some(2), "running_var", &channels),
            (self.given.weight(), "weight", &affine),
            (self.given.bias(), "bias", &affine),
            (self.given.residual(), "residual", &input),
        ];
        for (place, name, want) in expected {
            let Some(place) = place else { continue };
            let want = want()?;
            if x[place].shape != want {
                return Err(Error::shape(K::NAME, format!("{name} disagrees with input"))
                    .with("input", x[0].shape)
                    .with(name, x[place].shape)
                    .expected(format!("{name} {want}")));
            }
        }
        Ok(())
    }

    fn run<T: Float>(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let l = self.kind.layout(&x[0].shape)?;
        let input = |place: Option<usize>| place.map(|i| x[i].get::<T>());
        let running = self.given.running().then(|| [x[1].get::<T>(), x[2].get::<T>()]);
        let from = Source {
            x: x[0].get(),
            given: if self.kind.own() { None } else { running },
            weight: input(self.given.weight()),
            bias: input(self.given.bias()),
            eps: self.eps,
            finish: match input(self.given.residual()) {
                Some(residual) => Finish::Residual(residual),
                None if self.kind.relu() => Finish::Relu,
                None => Finish::None,
            },
        };
        let (y, stats) = y.split_at_mut(self.given.visible());
        forward(cx, l, from, y[0].get::<T>(), stats[0].get());
        let stats = stats[0].get::<f64>();
        let Some(old) = running else { return Ok(()) };
        let [_, mean, variance] = y else { unreachable!("infer plans three outputs") };
        for (k, (old, new)) in old.into_iter().zip([mean.get::<T>(), variance.get::<T>()]).enumerate() {
            if self.kind.own() && x[0].shape.numel() > 0 {
                self.track(l, stats, k, old, new);
            } else {
                new.copy_from_slice(old);
            }
        }
        Ok(())
    }

    /// `new = (1 - momentum) old + momentum now`: the mean (`k` = 0), or the unbiased variance (`k` = 1), averaged over
    /// the groups of a channel.
    fn track<T: Float>(&self, l: Layout, stats: &[f64], k: usize, old: &[T], new: &mut [T]) {
        let (channels, n, momentum) = (old.len(), l.count() as f64, self.kind.momentum());
        let factor = if k == 0 { 1.0 } else { n / (n - 1.0) } / (l.groups / channels) as f64;
        for (c, (old, new)) in old.iter().zip(new).enumerate() {
            let now: f64 = stats[STATS * c + k..].iter().step_by(STATS * channels).sum();
            *new = T::from_f64((1.0 - momentum) * old.to_f64() + momentum * now * factor);
        }
    }
}

impl<K: Kind> Op for Norm<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(K::NAME, x)?;
        let l = self.kind.layout(&x[0].shape)?;
        self.check(x)?;
        let mut plan = Plan::new(x[0].shape, dtype);
        if self.given.running() {
            plan = plan.and(x[1].shape, dtype).and(x[2].shape, dtype);
        }
        Ok(plan.hidden(Shape::new(&[l.groups, STATS])?, DType::F64))
    }

    fn saves(&self) -> Saves {
        let bias = self.given.bias().filter(|_| self.kind.relu());
        let inputs: SmallVec<[usize; 3]> = [0].into_iter().chain(self.given.weight()).chain(bias).collect();
        let saves = Saves::inputs(&inputs).and_outputs(&[self.given.visible()]);
        if self.kind.relu() { saves.and_outputs(&[0]) } else { saves }
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(K::NAME, x[0].dtype, T => self.run::<T>(cx, x, y))
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let input = |place: Option<usize>| place.map_or(Ok(Ptr::NULL), |i| x[i].f32());
        let running = || -> Result<cuda::Running> {
            Ok(cuda::Running {
                channels: x[1].numel(),
                momentum: self.kind.momentum(),
                old: [x[1].f32()?, x[2].f32()?],
                new: [y[1].f32()?, y[2].f32()?],
            })
        };
        let forward = cuda::Forward {
            x: x[0].f32()?,
            weight: input(self.given.weight())?,
            bias: input(self.given.bias())?,
            residual: input(self.given.residual())?,
            relu: self.kind.relu(),
            eps: self.eps,
            own: self.kind.own(),
            running: self.given.running().then(running).transpose()?,
            y: y[0].f32()?,
            stats: y[self.given.visible()].f64()?,
        };
        cuda::forward(cx, self.kind.layout(&x[0].shape)?, &forward)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let input = saved.input(0);
        let (weight, bias, residual) = (self.given.weight(), self.given.bias(), self.given.residual());
        let places = [Some(0), weight, bias, residual];
        let relu = self.kind.relu();
        let grad = NormGrad {
            name: K::GRAD,
            layout: self.kind.layout(input.shape())?,
            own: self.kind.own(),
            parameter: self.kind.weight(input.shape())?,
            relu,
            weight: weight.is_some(),
            added: residual.is_some(),
            needs: places.map(|place| place.is_some_and(|i| needs[i])),
        };
        let stats = saved.output(self.given.visible());
        let y = relu.then(|| saved.output(0));
        let [weight, bias] = [weight, bias.filter(|_| relu)].map(|place| place.map(|i| saved.input(i)));
        let inputs: SmallVec<[&Tensor; 6]> =
            [dy, &input, &stats].into_iter().chain(&y).chain(&weight).chain(&bias).collect();
        let mut outputs = apply(Gradient(grad), &inputs)?.into_iter();
        let mut grads: Grads = smallvec![None; saved.len()];
        for place in places.into_iter().flatten().filter(|&i| needs[i]) {
            grads[place] = outputs.next();
        }
        Ok(grads)
    }

    /// Subtract, multiply, add; for the input's own statistics four more: a sum, a difference, and its square added.
    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64 * if self.kind.own() { 7 } else { 3 }
    }

    fn field(&self, _x: &[Meta]) -> Field {
        self.kind.field()
    }
}

/// Those of `dx`, `dw`, `db` and the residual's gradient that are needed, from `(dy, input, statistics)`, with ReLU the
/// output, and maybe `weight`; with ReLU maybe `bias`.
#[derive(Debug)]
struct NormGrad {
    name: &'static str,
    layout: Layout,
    own: bool,
    parameter: Shape,
    relu: bool,
    weight: bool,
    /// Whether a residual was added before the ReLU.
    added: bool,
    needs: [bool; 4],
}

impl NormGrad {
    /// `weight`, and with ReLU the `bias`, among the inputs.
    fn affine<'a, V>(&self, x: &'a [V]) -> [Option<&'a V>; 2] {
        let (first, weight) = (3 + usize::from(self.relu), usize::from(self.weight));
        [x.get(first).filter(|_| self.weight), x.get(first + weight).filter(|_| self.relu)]
    }
}

impl GradientOp for NormGrad {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name, &x[..2])?;
        let shapes = [x[0].shape, self.parameter, self.parameter, x[0].shape];
        let mut needed = shapes.into_iter().zip(self.needs).filter(|(_, need)| *need).map(|(shape, _)| shape);
        let first = needed.next().ok_or_else(|| Error::argument(self.name, "no gradient is needed"))?;
        Ok(needed.fold(Plan::new(first, dtype), |plan, shape| plan.and(shape, dtype)))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name, x[0].dtype, T => {
            let mut outputs = y.iter_mut().map(|y| y.get::<T>());
            let mut asked = |need| if need { outputs.next().unwrap_or_default() } else { &mut [] };
            let [dx, dweight, dbias, dresidual] = self.needs.map(&mut asked);
            let [weight, bias] = self.affine(x).map(|v| v.map(View::get::<T>));
            let gate = match (self.relu, self.added) {
                (false, _) => Gate::Open,
                (true, false) => Gate::Normalised(bias),
                (true, true) => Gate::Output(x[3].get()),
            };
            let tape = Tape { dy: x[0].get(), x: x[1].get(), stats: x[2].get(), weight, own: self.own, gate };
            backward(cx, self.layout, tape, Gradients { dx, dweight, dbias, dresidual });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let mut outputs = y.iter();
        let mut asked = |need: bool| {
            let output = if need { outputs.next() } else { None };
            output.map_or(Ok(Ptr::NULL), DeviceView::f32)
        };
        let [dx, dweight, dbias, dresidual] = self.needs.map(&mut asked);
        let backward = cuda::Backward {
            dy: x[0].f32()?,
            x: x[1].f32()?,
            y: if self.relu { x[3].f32()? } else { Ptr::NULL },
            stats: x[2].f64()?,
            weight: self.affine(x)[0].map_or(Ok(Ptr::NULL), DeviceView::f32)?,
            weights: self.parameter.numel(),
            own: self.own,
            dx: dx?,
            dweight: dweight?,
            dbias: dbias?,
            dresidual: dresidual?,
        };
        cuda::backward(cx, self.layout, &backward)
    }

    /// Of the input's own statistics: normalise (2), sum dy and its product with that (3), and from both sums dx (4). Of
    /// given ones dx is one product.
    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64 * if self.own { 9 } else { 6 }
    }
}

/// Runs a normalisation: the output, and the new running statistics where there are running ones.
pub(super) fn normalise<K: Kind>(
    kind: K,
    eps: f64,
    input: &Tensor,
    running: Option<[&Tensor; 2]>,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
) -> Result<Outputs> {
    let tracked = running.is_some();
    let given = Given {
        running_mean: tracked,
        running_var: tracked,
        weight: weight.is_some(),
        bias: bias.is_some(),
        residual: residual.is_some(),
    };
    let running = running.into_iter().flatten();
    let inputs: SmallVec<[&Tensor; 6]> =
        [input].into_iter().chain(running).chain(weight).chain(bias).chain(residual).collect();
    apply(Norm { kind, eps, given }, &inputs)
}
