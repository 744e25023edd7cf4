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

/// With one name for two parameters, a checkpoint would keep the momentum of only one.
#[test]
fn two_parameters_with_one_name_are_an_error() -> Result<()> {
    let [a, b] = [1, 2].map(|n| Tensor::zeros(&crate::cpu(), &[n], DType::F32));
    let params = vec![("w".to_owned(), a?), ("w".to_owned(), b?)];
    let errors = [
        Sgd::new(params.clone(), 0.9, false, 0.0).err(),
        Adam::new(params.clone(), 0.0).err(),
        SignSgd::new(params, 0.9).err(),
    ];
    for error in errors {
        let error = error.expect("an error").to_string();
        assert!(error.contains("two parameters are named `w`"), "{error}");
    }
    Ok(())
}

/// A gradient that was set by hand must fit its parameter: with fewer elements, a step would change only some weights.
#[test]
fn a_gradient_of_another_shape_or_dtype_is_an_error() -> Result<()> {
    let cpu = crate::cpu();
    let w = Tensor::ones(&cpu, &[4], DType::F32)?.requires_grad();
    let named = || vec![("w".to_owned(), w.clone())];
    for (dims, dtype, text) in [
        (&[2][..], DType::F32, "[2] f32"),
        (&[8], DType::F32, "[8] f32"),
        (&[2, 2], DType::F32, "[2, 2] f32"),
        (&[4], DType::F64, "[4] f64"),
    ] {
        w.set_grad(&Tensor::ones(&cpu, dims, dtype)?);
        let optimizers: [Box<dyn Optimizer>; 3] = [
            Box::new(Sgd::new(named(), 0.9, false, 0.0)?),
            Box::new(Adam::new(named(), 0.0)?),
            Box::new(SignSgd::new(named(), 0.9)?),
        ];
        for mut optimizer in optimizers {
            let error = optimizer.step(0.5).unwrap_err().to_string();
            let all = ["the gradient of `w`", text, "[4] f32"].iter().all(|part| error.contains(part));
            assert!(all, "{error}");
        }
    }
    assert_eq!(w.to_vec::<f32>()?, [1.0; 4]);
    Ok(())
}

#[test]
fn another_count_of_numbers_is_an_error() -> Result<()> {
    let w = Tensor::ones(&crate::cpu(), &[4], DType::F32)?.requires_grad();
    let state = OptimizerState::new(vec![("w".to_owned(), w)], &[], 1)?;
    let error = state.set(&[0.1, 0.9]).unwrap_err().to_string();
    assert!(error.contains("2 numbers for the step, not 1"), "{error}");
    Ok(())
}
