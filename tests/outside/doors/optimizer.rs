//! An optimiser of one's own: its update, and its state in a checkpoint.

use receptive::cpu::{CpuCtx, View, ViewMut};
use receptive::optim::OptimizerState;
use receptive::prelude::*;
use receptive::tensor::Update;

/// Sign SGD (Bernstein et al. 2018) with momentum: `v = m v + dw`, `w -= lr sign(v)`.
struct SignSgd {
    state: OptimizerState,
    momentum: f64,
}

impl SignSgd {
    fn new(params: Vec<(String, Tensor)>, momentum: f64) -> Result<SignSgd> {
        Ok(SignSgd { state: OptimizerState::new(params, &["momentum_buffer"], 2)?, momentum })
    }
}

impl Optimizer for SignSgd {
    fn set(&mut self, lr: f64) -> Result<()> {
        self.state.begin_step();
        self.state.set(&[lr, self.momentum])
    }

    fn apply(&self) -> Result<()> {
        self.state.apply(&Step)
    }

    fn memory(&self) -> &OptimizerState {
        &self.state
    }

    fn memory_mut(&mut self) -> &mut OptimizerState {
        &mut self.state
    }
}

/// Targets: `w` and `v` of each parameter. Inputs: `dw` of each parameter, and the two numbers.
#[derive(Debug)]
struct Step;

impl Update for Step {
    fn name(&self) -> &'static str {
        "sign_sgd"
    }

    fn cpu(&self, _: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        let (numbers, gradients) = x.split_last().expect("the numbers come last");
        let &[lr, momentum] = numbers.get::<f32>() else { unreachable!("two numbers") };
        for (targets, dw) in targets.chunks_exact_mut(2).zip(gradients) {
            let [w, v] = targets else { unreachable!("chunks of two") };
            for ((w, v), dw) in w.get::<f32>().iter_mut().zip(v.get::<f32>()).zip(dw.get::<f32>()) {
                *v = momentum * *v + dw;
                *w -= lr * v.signum();
            }
        }
        Ok(())
    }
}

#[test]
fn it_trains_and_keeps_its_state() -> Result<()> {
    let (train, val) = (super::batches(200)?, super::batches(100)?);
    let net = super::classifier()?;
    let optimizer = Box::new(SignSgd::new(net.trainable()?, 0.9)?);
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, optimizer, RunConfig::plain("net", 20, 0.02))?;
    let outcome = trainer.fit(&train, &val)?;
    assert!(outcome.best.accuracy > 0.9, "{outcome:?}");
    assert_eq!(trainer.optimizer.steps(), 200);
    let saved = trainer.optimizer.memory().tensors();
    assert!(saved.keys().eq(["momentum_buffer.fc.bias", "momentum_buffer.fc.weight"]));
    let mut other = SignSgd::new(net.trainable()?, 0.9)?;
    other.memory_mut().restore(&saved, 200)?;
    let same = |name: &str| -> Result<bool> {
        Ok(other.memory().tensors()[name].to_vec::<f32>()? == saved[name].to_vec::<f32>()?)
    };
    assert!(same("momentum_buffer.fc.weight")? && other.steps() == 200);
    Ok(())
}

/// Gradients and numbers that do not fit, and two parameters with one name, are refused by name.
#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let net = super::classifier()?;
    let params = net.trainable()?;
    let weight = params.iter().find(|(name, _)| name == "fc.weight").unwrap().1.clone();
    for (_, param) in &params {
        param.set_grad(&Tensor::zeros(&super::cpu(), param.dims(), DType::F32)?);
    }
    let mut optimizer = SignSgd::new(params.clone(), 0.9)?;
    optimizer.step(0.1)?;
    weight.set_grad(&Tensor::zeros(&super::cpu(), &[1], DType::F32)?);
    let error = optimizer.step(0.1).unwrap_err().to_string();
    assert!(error.contains("gradient of `fc.weight`") && error.contains("[1]"), "{error}");
    let error = optimizer.state.set(&[0.1]).unwrap_err().to_string();
    assert!(error.contains("2 numbers, not 1"), "{error}");
    let error = optimizer.step(f64::NAN).unwrap_err().to_string();
    assert!(error.contains("NaN is among the numbers"), "{error}");
    let twice = vec![params[0].clone(), params[0].clone()];
    let error = SignSgd::new(twice, 0.9).err().unwrap().to_string();
    assert!(error.contains("two parameters are called"), "{error}");
    Ok(())
}
