//! What the four normalisations share: everything except which elements share statistics.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= \hat{x} \, w + b \\
//! \hat{x} &= (x - m) \, r \qquad r = \frac{1}{\sqrt{v + \varepsilon}}
//! \end{aligned}
//! ```
//!
//! m and v are the mean and the variance of a group of n elements. For the gradient, let `g = dy w`. If m and v are
//! given (running statistics), `dx = g r`. If they are computed from the group, they depend on x: `d m / d x[i] = 1/n`
//! and `d v / d x[i] = 2 (x[i] - m) / n`. The chain rule then gives
//!
//! ```math
//! \begin{aligned}
//! \mathrm{dx}_i &= r \, \bigl( g_i - \operatorname{mean}(g) - \hat{x}_i \operatorname{mean}(g \hat{x}) \bigr) \\
//! \mathrm{dw} &= \textstyle\sum \mathrm{dy} \, \hat{x} \\
//! \mathrm{db} &= \textstyle\sum \mathrm{dy}
//! \end{aligned}
//! ```
//!
//! The two subtracted terms are the components of g along two directions: all ones (a shift of the group) and xhat (a
//! scaling of the group). Normalisation removes any change of x in these directions, so they get no gradient.

use super::cuda;
use crate::core::{DType, Error, Float, Result, Shape};
use crate::cpu::norm::{
    Gradients, NormBackward, NormForward, NormLayout, NormRelu, STATS, backward, forward,
};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Ptr};
use crate::float_type;
use crate::ops::Attrs;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::tensor::{Dependence, Grads, Meta, Op, Outputs, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::{SmallVec, smallvec};
use std::fmt::Debug;

/// What makes one normalisation differ from another.
pub(super) trait Norm: Debug + Copy + Send + Sync + 'static {
    const NAME: &'static str;
    /// The gradient's name in error messages.
    const GRAD: &'static str;

    /// Checks the input and says which of its elements share statistics and weights.
    fn layout(&self, input: &Shape) -> Result<NormLayout>;

    /// The shape of weight and bias.
    fn weight(&self, input: &Shape) -> Result<Shape> {
        Shape::new(&input.dims()[1..2])
    }

    /// Whether the statistics are computed from the input. Else they are the running ones.
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
    fn dependence(&self) -> Dependence {
        Dependence::Global
    }
}

/// The positions of the optional inputs, which follow the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputPositions {
    running_mean: Option<usize>,
    running_var: Option<usize>,
    weight: Option<usize>,
    bias: Option<usize>,
    residual: Option<usize>,
}

impl InputPositions {
    /// `given` tells which inputs are present, in this order: running mean, running variance, weight, bias, residual.
    fn new(given: [bool; 5]) -> InputPositions {
        let mut place = 0;
        let [running_mean, running_var, weight, bias, residual] = given.map(|given| {
            place += usize::from(given);
            given.then_some(place)
        });
        InputPositions { running_mean, running_var, weight, bias, residual }
    }

    pub fn from_attrs(attrs: &Attrs) -> InputPositions {
        let names = ["running_mean", "running_var", "weight", "bias", "residual"];
        InputPositions::new(names.map(|name| attrs.has_input(name)))
    }

    fn running(&self) -> bool {
        self.running_mean.is_some() && self.running_var.is_some()
    }

    /// Number of outputs that callers see. The hidden statistics come after them.
    fn visible(&self) -> usize {
        if self.running() { 3 } else { 1 }
    }
}

/// The op of a normalisation.
#[derive(Debug)]
pub(super) struct Normalise<N> {
    pub norm: N,
    pub eps: f64,
    pub inputs: InputPositions,
}

impl<N: Norm> Normalise<N> {
    fn check(&self, x: &[Meta]) -> Result<()> {
        let InputPositions { running_mean, running_var, weight, bias, residual } = self.inputs;
        if running_mean.is_some() != running_var.is_some() || !(self.norm.own() || running_mean.is_some()) {
            return Err(Error::argument(N::NAME, "needs both running_mean and running_var")
                .help("give both; or give neither, and use the input's own statistics"));
        }
        if !(self.eps >= 0.0 && self.eps.is_finite()) {
            return Err(Error::argument(N::NAME, format!("eps {} is not a number of 0 or more", self.eps)));
        }
        let channels = || Shape::new(&x[0].dims()[1..2]);
        let affine = || self.norm.weight(&x[0].shape);
        let input = || Ok(x[0].shape);
        let expected: [(_, _, &dyn Fn() -> Result<Shape>); 5] = [
            (running_mean, "running_mean", &channels),
            (running_var, "running_var", &channels),
            (weight, "weight", &affine),
            (bias, "bias", &affine),
            (residual, "residual", &input),
        ];
        for (place, name, want) in expected {
            let Some(place) = place else { continue };
            let want = want()?;
            if x[place].shape != want {
                return Err(Error::shape(N::NAME, format!("{name} disagrees with input"))
                    .with("input", x[0].shape)
                    .with(name, x[place].shape)
                    .expected(format!("{name} {want}")));
            }
        }
        Ok(())
    }

    fn run<T: Float>(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let l = self.norm.layout(&x[0].shape)?;
        let input = |place: Option<usize>| place.map(|i| x[i].get::<T>());
        let running = self.inputs.running().then(|| [x[1].get::<T>(), x[2].get::<T>()]);
        let from = NormForward {
            x: x[0].get(),
            running: if self.norm.own() { None } else { running },
            weight: input(self.inputs.weight),
            bias: input(self.inputs.bias),
            eps: self.eps,
            relu: match input(self.inputs.residual) {
                Some(residual) => NormRelu::Added(residual),
                None if self.norm.relu() => NormRelu::Plain,
                None => NormRelu::None,
            },
        };
        let (y, stats) = y.split_at_mut(self.inputs.visible());
        forward(cx, l, from, y[0].get::<T>(), stats[0].get());
        let stats = stats[0].get::<f64>();
        let Some(old) = running else { return Ok(()) };
        let [_, mean, variance] = y else { unreachable!("infer plans three outputs") };
        for (k, (old, new)) in old.into_iter().zip([mean.get::<T>(), variance.get::<T>()]).enumerate() {
            if self.norm.own() && x[0].shape.numel() > 0 {
                self.track(l, stats, k, old, new);
            } else {
                new.copy_from_slice(old);
            }
        }
        Ok(())
    }

    /// Updates a running statistic: `new = (1 - momentum) old + momentum now`. `now` is the mean (`k` = 0) or the
    /// unbiased variance (`k` = 1), averaged over the groups of a channel.
    fn track<T: Float>(&self, l: NormLayout, stats: &[f64], k: usize, old: &[T], new: &mut [T]) {
        let (channels, n, momentum) = (old.len(), l.count() as f64, self.norm.momentum());
        let factor = if k == 0 { 1.0 } else { n / (n - 1.0) } / (l.groups / channels) as f64;
        for (c, (old, new)) in old.iter().zip(new).enumerate() {
            let now: f64 = stats[STATS * c + k..].iter().step_by(STATS * channels).sum();
            *new = T::from_f64((1.0 - momentum) * old.to_f64() + momentum * now * factor);
        }
    }
}

impl<N: Norm> Op for Normalise<N> {
    fn name(&self) -> &'static str {
        N::NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(N::NAME, x)?;
        let l = self.norm.layout(&x[0].shape)?;
        self.check(x)?;
        let mut plan = Plan::new(x[0].shape, dtype);
        if self.inputs.running() {
            plan = plan.and(x[1].shape, dtype).and(x[2].shape, dtype);
        }
        Ok(plan.hidden(Shape::new(&[l.groups, STATS])?, DType::F64))
    }

    fn saves(&self) -> Saves {
        let bias = self.inputs.bias.filter(|_| self.norm.relu());
        let inputs: SmallVec<[usize; 3]> = [0].into_iter().chain(self.inputs.weight).chain(bias).collect();
        let saves = Saves::inputs(&inputs).and_outputs(&[self.inputs.visible()]);
        if self.norm.relu() { saves.and_outputs(&[0]) } else { saves }
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(N::NAME, x[0].dtype, T => self.run::<T>(cx, x, y))
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let input = |place: Option<usize>| place.map_or(Ok(Ptr::NULL), |i| x[i].f32());
        let running = || -> Result<cuda::RunningBuffers> {
            Ok(cuda::RunningBuffers {
                channels: x[1].numel(),
                momentum: self.norm.momentum(),
                old: [x[1].f32()?, x[2].f32()?],
                new: [y[1].f32()?, y[2].f32()?],
            })
        };
        let forward = cuda::ForwardBuffers {
            x: x[0].f32()?,
            weight: input(self.inputs.weight)?,
            bias: input(self.inputs.bias)?,
            residual: input(self.inputs.residual)?,
            relu: self.norm.relu(),
            eps: self.eps,
            own: self.norm.own(),
            running: self.inputs.running().then(running).transpose()?,
            y: y[0].f32()?,
            stats: y[self.inputs.visible()].f64()?,
        };
        cuda::forward(cx, self.norm.layout(&x[0].shape)?, &forward)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let input = saved.input(0);
        let InputPositions { weight, bias, residual, .. } = self.inputs;
        let places = [Some(0), weight, bias, residual];
        let relu = self.norm.relu();
        let grad = NormaliseGrad {
            name: N::GRAD,
            layout: self.norm.layout(input.shape())?,
            own: self.norm.own(),
            parameter: self.norm.weight(input.shape())?,
            relu,
            weight: weight.is_some(),
            added: residual.is_some(),
            needs: places.map(|place| place.is_some_and(|i| needs[i])),
        };
        let stats = saved.output(self.inputs.visible());
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

    /// Three operations: subtract, multiply, add. Four more to compute the input's statistics: an addition for the
    /// mean; a subtraction, a multiplication and an addition for the variance.
    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64 * if self.norm.own() { 7 } else { 3 }
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        self.norm.dependence()
    }
}

/// Computes the needed ones of `dx`, `dw`, `db` and the residual's gradient. Its inputs are `(dy, input, statistics)`,
/// then the output if there is ReLU, the `weight` if given, and the `bias` if given with ReLU.
#[derive(Debug)]
struct NormaliseGrad {
    name: &'static str,
    layout: NormLayout,
    own: bool,
    parameter: Shape,
    relu: bool,
    weight: bool,
    /// Whether a residual was added before the ReLU.
    added: bool,
    needs: [bool; 4],
}

impl NormaliseGrad {
    /// Finds `weight`, and with ReLU `bias`, among the inputs.
    fn affine<'a, V>(&self, x: &'a [V]) -> [Option<&'a V>; 2] {
        let (first, weight) = (3 + usize::from(self.relu), usize::from(self.weight));
        [x.get(first).filter(|_| self.weight), x.get(first + weight).filter(|_| self.relu)]
    }
}

impl GradientOp for NormaliseGrad {
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
            let relu = match (self.relu, self.added) {
                (false, _) => NormRelu::None,
                (true, false) => NormRelu::Plain,
                (true, true) => NormRelu::Added(x[3].get()),
            };
            let (dy, x, stats) = (x[0].get(), x[1].get(), x[2].get());
            let from = NormBackward { dy, x, stats, weight, bias, own: self.own, relu };
            backward(cx, self.layout, from, Gradients { dx, dweight, dbias, dresidual });
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
        let backward = cuda::BackwardBuffers {
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

    /// With the input's own statistics: normalise x (2), sum dy and `dy xhat` (3), and compute dx from both sums (4).
    /// With given statistics dx is a single product.
    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        x[0].numel() as u64 * if self.own { 9 } else { 6 }
    }
}

/// Runs a normalisation. Returns the output, and the new running statistics if there are any.
pub(super) fn normalise<N: Norm>(
    norm: N,
    eps: f64,
    input: &Tensor,
    running: Option<[&Tensor; 2]>,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    residual: Option<&Tensor>,
) -> Result<Outputs> {
    let tracked = running.is_some();
    let given = [tracked, tracked, weight.is_some(), bias.is_some(), residual.is_some()];
    let running = running.into_iter().flatten();
    let inputs: SmallVec<[&Tensor; 6]> =
        [input].into_iter().chain(running).chain(weight).chain(bias).chain(residual).collect();
    apply(Normalise { norm, eps, inputs: InputPositions::new(given) }, &inputs)
}
