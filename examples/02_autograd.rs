//! Lesson 2: gradients. Every op on a tensor with `requires_grad`, or on a result of such an op, is recorded on a tape.
//! `backward` reads the tape from its end, and computes the gradients.
//!
//!     cargo run --release --example 02_autograd

use receptive::{Device, Result, Tensor};

fn main() -> Result<()> {
    let cpu = Device::cpu()?;

    // y = sum(x^2 + 3x), so dy/dx = 2x + 3.
    let x = Tensor::from_vec(&cpu, vec![1f64, -2.0, 0.5], &[3])?.requires_grad();
    let y = x.mul(&x)?.add(&x.mul_scalar(3.0)?)?.sum_all()?;
    y.backward()?;
    println!("y = {y}\ndy/dx     = {}", x.grad().expect("x is a leaf"));
    println!("by hand   = [5.0000, -1.0000, 4.0000]");

    // x is used three times: twice in x * x, once in 3x. Each use gives a gradient, and the engine adds them up.

    // The same by finite differences: change each element a little and see how y changes.
    let f = |values: &[f64]| values.iter().map(|x| x * x + 3.0 * x).sum::<f64>();
    let shaken: Vec<f64> = (0..3)
        .map(|i| {
            let at = |shift: f64| {
                let mut v = [1.0, -2.0, 0.5];
                v[i] += shift;
                f(&v)
            };
            (at(1e-6) - at(-1e-6)) / 2e-6
        })
        .collect();
    println!("numerical = {shaken:.4?}\n");

    // Gradient descent on one number finds the minimum of (w - 4)^2.
    let mut w = 0.0;
    for step in 0..25 {
        let leaf = Tensor::scalar(&cpu, w).requires_grad();
        let loss = leaf.add_scalar(-4.0)?.pow_scalar(2.0)?;
        loss.backward()?;
        if step % 6 == 0 {
            println!("step {step:2}  w {w:.4}  loss {:.4}", loss.item()?);
        }
        w -= 0.2 * leaf.grad().expect("leaf").item()?;
    }
    println!("the minimum is at {w:.4}");
    Ok(())
}
