//! Numbers that are not finite: in the data, in the weights after the last step, and a model with nothing to train.

use receptive::prelude::*;
use std::sync::Arc;

/// Ten points in batches of four, not shuffled, of which number 6 has this coordinate.
fn with(value: f32) -> Result<Loader> {
    let [x, classes] = super::points(10)?;
    let mut numbers = x.to_vec::<f32>()?;
    numbers[13] = value;
    let x = Tensor::from_vec(&super::cpu(), numbers, &[10, 2])?;
    Loader::from_examples(Arc::new(TensorDataset::new(&x, &classes)?), LoaderOptions::plain(4, super::cpu()))
}

fn error_of(train: &Loader, val: &Loader) -> Result<String> {
    let net = super::classifier()?;
    let config = RunConfig::plain("net", 1, 0.5);
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?;
    let error = trainer.fit(train, val).unwrap_err().to_string();
    assert!(trainer.state.best.is_none());
    Ok(error)
}

/// No learning rate helps against a NaN in the data.
#[test]
fn an_example_is_named() -> Result<()> {
    let (good, bad) = (with(0.5)?, with(f32::NAN)?);
    for error in [error_of(&bad, &good)?, error_of(&good, &bad)?] {
        assert!(error.contains("the input of example 6"), "{error}");
        assert!(error.contains("the data has") && !error.contains("learning rate"), "{error}");
    }
    assert!(error_of(&good, &bad)?.contains("in the validation of epoch 1"));
    Ok(())
}

/// The last step makes the weights infinite. No further step sees them, but the validation does.
#[test]
fn the_last_step_is_seen_by_the_validation() -> Result<()> {
    let good = with(0.5)?;
    let net = super::classifier()?;
    let config = RunConfig { max_steps: Some(3), ..RunConfig::plain("net", 3, 0.5) };
    let own =
        |y: &Tensor, target: &Tensor| y.cross_entropy(target, None, Default::default())?.mul_scalar(1e30);
    let mut trainer = Trainer::new(&net, Criterion::own(own), super::sgd(&net)?, config)?
        .schedule(|_, at| if at.step == 2 { 3e38 } else { 0.0 });
    let error = trainer.fit(&good, &good).unwrap_err().to_string();
    assert!(error.contains("in the validation of epoch 1"), "{error}");
    assert!(error.contains("parameter fc.weight, after the previous step"), "{error}");
    assert!(trainer.state.best.is_none());
    Ok(())
}

#[test]
fn a_model_with_nothing_to_train_is_an_error() -> Result<()> {
    let good = with(0.5)?;
    let net = Sequential::new().named("relu", Relu);
    let config = RunConfig::plain("net", 1, 0.5);
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?;
    let error = trainer.fit(&good, &good).unwrap_err().to_string();
    assert!(error.contains("no trainable parameters") && error.contains("visit"), "{error}");
    Ok(())
}
