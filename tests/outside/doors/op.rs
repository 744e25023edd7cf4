//! An op of one's own, with its gradient; and the check of that gradient.

use receptive::cpu::{CpuCtx, View, ViewMut};
use receptive::float_type;
use receptive::prelude::*;
use receptive::tensor::{Grads, Meta, Plan, Saved, Saves, apply, float_inputs};
use receptive::testing::gradcheck;

/// `y = x^3`, for f32 and f64. If `wrong`, the gradient lacks its factor.
#[derive(Debug)]
struct Cube {
    wrong: bool,
}

impl Op for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = float_inputs(self.name(), x, 1)?;
        Ok(Plan::new(x[0].shape, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn cpu(&self, _: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            y[0].get::<T>().iter_mut().zip(x[0].get::<T>()).for_each(|(y, x)| *y = x * x * x);
            Ok(())
        })
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _: &[bool]) -> Result<Grads> {
        let squared = saved.input(0).pow_scalar(2.0)?;
        let slope = if self.wrong { squared } else { squared * 3.0 };
        Ok(Grads::from_iter([Some(dy * slope)]))
    }
}

fn cube(x: &Tensor, wrong: bool) -> Result<Tensor> {
    Ok(apply(Cube { wrong }, &[x])?.remove(0))
}

#[test]
fn the_gradient_is_checked() -> Result<()> {
    let x = Tensor::randn(&crate::cpu(), &[3, 4], DType::F64, Key::new(0))?;
    gradcheck(|x| cube(&x[0], false), std::slice::from_ref(&x)).unwrap();
    let wrong = gradcheck(|x| cube(&x[0], true), &[x]).unwrap_err().to_string();
    assert!(wrong.contains("gradient of input 0"), "{wrong}");
    Ok(())
}

/// A function may use tensors of its own that are where the inputs are.
#[test]
fn a_function_with_weights_is_checked() -> Result<()> {
    let [x, weight] = [1, 2].map(|seed| Tensor::randn(&crate::cpu(), &[3, 3], DType::F64, Key::new(seed)));
    let weight = weight?;
    gradcheck(|x| x[0].linear(&weight, None), &[x?]).unwrap();
    assert!(gradcheck(|_| Ok(weight.clone()), &[]).unwrap_err().to_string().contains("no inputs"));
    Ok(())
}

#[test]
fn it_works_in_the_middle_of_an_expression() -> Result<()> {
    let x = Tensor::from_vec(&crate::cpu(), vec![1.0, 2.0], &[2])?.requires_grad();
    ((cube(&x, false)? + 1.0) * &x).sum_all()?.backward()?;
    assert_eq!(x.grad().unwrap().to_vec::<f64>()?, [5.0, 33.0]); // 4 x^3 + 1
    Ok(())
}

#[test]
fn a_check_of_nothing_is_an_error() -> Result<()> {
    let [empty, x] = [[0, 3], [2, 3]].map(|dims| Tensor::ones(&crate::cpu(), &dims, DType::F64));
    let (empty, x) = (empty?, x?);
    let none = gradcheck(|x| cube(&x[0], true), &[empty]).unwrap_err().to_string();
    assert!(none.contains("nothing was checked"), "{none}");
    let none = gradcheck(|x| x[0].narrow(0, 0, 0), &[x]).unwrap_err().to_string();
    assert!(none.contains("nothing was checked"), "{none}");
    Ok(())
}

/// A type for which the op has no loop is an error of its `infer`, not a panic of its loop.
#[test]
fn inputs_that_it_cannot_take_are_errors() -> Result<()> {
    let cpu = crate::cpu();
    let ones = |dtype| Tensor::ones(&cpu, &[2], dtype);
    for dtype in [DType::I64, DType::U8, DType::BF16] {
        let error = cube(&ones(dtype)?, false).unwrap_err().to_string();
        assert!(error.contains(&format!("cube: the input's dtype {dtype} is not f32 or f64")), "{error}");
    }
    let [x, other] = [ones(DType::F32)?, ones(DType::F32)?];
    let error = apply(Cube { wrong: false }, &[&x, &other]).unwrap_err().to_string();
    assert!(error.contains("cube: got 2 inputs, not 1"), "{error}");
    Ok(())
}
