//! Lesson 12: logistic regression. One neuron separates two clouds of points, and its decision line shows how.
//!
//!     cargo run --release --example 12_decision_line             # draws runs/decision-line.svg
//!     cargo run --release --example 12_decision_line -- FILE.svg
//!
//! Draws its own points: no data set is needed.

use receptive::draw::color::{BLUE, FAINT, HAIR, INK, Rgb, VERMILION};
use receptive::draw::{Anchor, Svg};
use receptive::nn::{Ctx, Linear, Module, ModuleExt};
use receptive::ops::Reduction;
use receptive::optim::{Optimizer, Sgd};
use receptive::{DType, Device, Key, Result, Tensor};

/// Points of each class.
const POINTS: usize = 100;
/// The picture shows the plane from -LIMIT to LIMIT.
const LIMIT: f64 = 4.0;

fn main() -> Result<()> {
    let cpu = Device::cpu()?;

    // Two clouds of points (x1, x2): class 0 around (-1, -0.5), class 1 around (1, 1). They overlap a little.
    let noise = Key::new(0).child("points");
    let point = |i: usize| {
        let middle = if i < POINTS { [-1.0, -0.5] } else { [1.0, 1.0] };
        [0, 1].map(|axis| middle[axis] + 0.8 * noise.step(i as u64).normal(axis as u64))
    };
    let points: Vec<[f64; 2]> = (0..2 * POINTS).map(point).collect();
    let x = Tensor::from_vec(&cpu, points.concat(), &[2 * POINTS, 2])?;
    let classes: Vec<f64> = (0..2 * POINTS).map(|i| if i < POINTS { 0.0 } else { 1.0 }).collect();
    let target = Tensor::from_vec(&cpu, classes.clone(), &[2 * POINTS, 1])?;

    // The neuron: z = w1 x1 + w2 x2 + b. The probability of class 1 is sigmoid(z) = 1 / (1 + exp(-z)).
    let neuron = Linear::new(2, 1);
    neuron.init(&cpu, DType::F64, 0)?;
    let mut sgd = Sgd::new(neuron.trainable()?, 0.0, false, 0.0)?;
    for step in 0..=200 {
        let z = neuron.forward(&Ctx::train("neuron", Key::new(0).step(step)), &x)?;
        // The loss is the mean of -log(probability of the true class). It takes z, not sigmoid(z), because
        // log(sigmoid(z)) of a very negative z would be log(0).
        let loss = z.binary_cross_entropy_with_logits(&target, None, None, Reduction::Mean)?;
        // sigmoid(z) is above 1/2 exactly where z is above 0.
        let right =
            z.to_f64()?.iter().zip(&classes).filter(|(z, class)| (**z > 0.0) == (**class > 0.5)).count();
        if step % 50 == 0 {
            let accuracy = 100.0 * right as f64 / (2 * POINTS) as f64;
            println!("step {step:3}  loss {:.4}  accuracy {accuracy:.1} %", loss.item()?);
        }
        sgd.zero_grad();
        loss.backward()?;
        sgd.step(0.5)?;
    }

    // On the decision line the neuron is undecided: w1 x1 + w2 x2 + b = 0, so x2 = -w1/w2 x1 - b/w2. The weights point
    // from the line to the side of class 1.
    let values = neuron.state_dict()?;
    let (w, b) = (values["weight"].to_f64()?, values["bias"].to_f64()?[0]);
    let (slope, intercept) = (-w[0] / w[1], -b / w[1]);
    println!("\nw1 {:.3}  w2 {:.3}  b {b:.3}", w[0], w[1]);
    println!("decision line: x2 = {slope:.3} x1 + {intercept:.3}");

    let file = std::env::args().nth(1).unwrap_or_else(|| "runs/decision-line.svg".to_owned());
    let picture = picture(&points, slope, intercept);
    receptive::io::write_atomically(file.as_ref(), picture.as_bytes())?;
    println!("the picture is in {file}");
    Ok(())
}

/// The points of both classes and the line.
fn picture(points: &[[f64; 2]], slope: f64, intercept: f64) -> String {
    let (left, top, side) = (50.0, 40.0, 400.0);
    // x2 grows upwards, a picture's y downwards.
    let place = |[x1, x2]: [f64; 2]| {
        [left + (x1 + LIMIT) / (2.0 * LIMIT) * side, top + (LIMIT - x2) / (2.0 * LIMIT) * side]
    };
    let mut svg = Svg::new(left + side + 30.0, top + side + 60.0);
    svg.text("one neuron and its decision line", [left, 26.0], 16.0, Anchor::Start, INK);
    svg.frame([left, top], [side, side], HAIR);
    for tick in [-4.0, -2.0, 0.0, 2.0, 4.0] {
        let ([x, _], [_, y]) = (place([tick, 0.0]), place([0.0, tick]));
        svg.line(&[[x, top], [x, top + side]], HAIR, 1.0);
        svg.line(&[[left, y], [left + side, y]], HAIR, 1.0);
        svg.text(&tick.to_string(), [x, top + side + 16.0], 12.0, Anchor::Middle, FAINT);
        svg.text(&tick.to_string(), [left - 6.0, y + 4.0], 12.0, Anchor::End, FAINT);
    }
    svg.text("x1", [left + side / 2.0, top + side + 34.0], 12.0, Anchor::Middle, INK);
    svg.text_upwards("x2", [16.0, top + side / 2.0], 12.0, Anchor::Middle, INK);
    let color = |i: usize| -> Rgb { if i < POINTS { BLUE } else { VERMILION } };
    for (i, &point) in points.iter().enumerate().filter(|(_, point)| point.iter().all(|x| x.abs() < LIMIT)) {
        svg.dot(place(point), 3.0, color(i));
    }
    // Where the line leaves the picture: at the left and the right, or before that at the top and the bottom.
    let ends = [-LIMIT, LIMIT].map(|x1| {
        let x2 = slope * x1 + intercept;
        if x2.abs() <= LIMIT {
            [x1, x2]
        } else {
            [(LIMIT.copysign(x2) - intercept) / slope, LIMIT.copysign(x2)]
        }
    });
    svg.line(&ends.map(place), INK, 2.0);
    for (i, name) in [(0, "class 0"), (POINTS, "class 1")] {
        let x = left + if i == 0 { 10.0 } else { 110.0 };
        svg.dot([x, top + side + 48.0], 4.0, color(i));
        svg.text(name, [x + 10.0, top + side + 52.0], 12.0, Anchor::Start, INK);
    }
    svg.finish()
}
