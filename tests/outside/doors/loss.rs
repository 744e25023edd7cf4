//! A loss of one's own: for classes with an accuracy, for numbers without.

use receptive::ops::Reduction;
use receptive::prelude::*;
use std::sync::Arc;

/// Focal loss (Lin et al. 2017) with gamma = 1, by ops of the engine: `mean of -(1 - p) ln p` of the true class.
fn focal(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let log_p = logits.log_softmax(1)?;
    let weighted = (1.0 - log_p.exp()?) * log_p;
    weighted.nll_loss(target, None, Default::default())
}

#[test]
fn of_classes() -> Result<()> {
    let (train, val) = (super::batches(200)?, super::batches(100)?);
    let net = super::classifier()?;
    let config = RunConfig::plain("net", 20, 0.5);
    let outcome = Trainer::new(&net, Criterion::own(focal), super::sgd(&net)?, config)?.fit(&train, &val)?;
    assert!(outcome.best.accuracy > 0.9, "{outcome:?}");
    Ok(())
}

/// Regression: the sum of two numbers. The best epoch is the one with the lowest loss.
#[test]
fn of_numbers() -> Result<()> {
    let cpu = crate::cpu();
    let x = Tensor::rand(&cpu, &[200, 2], DType::F32, Key::new(3))?;
    let y = x.sum(&[1], true)?;
    let set = Arc::new(TensorDataset::new(&x, &y)?);
    let loader = || Loader::from_examples(set.clone(), LoaderOptions::plain(20, cpu.clone()));
    let net = Sequential::new().named("fc", Linear::new(2, 1));
    net.init(&cpu, DType::F32, 0)?;
    let squared = Criterion::own(|y, target| y.mse_loss(target, Reduction::Mean));
    let config = RunConfig::plain("net", 30, 0.1);
    let outcome = Trainer::new(&net, squared, super::sgd(&net)?, config)?.fit(&loader()?, &loader()?)?;
    assert!(outcome.best.loss.is_some_and(|loss| loss < 1e-3), "{outcome:?}");
    Ok(())
}

/// Targets may be probabilities of classes. The decision is right if it is the most likely class; there are no masks.
#[test]
fn of_probabilities() -> Result<()> {
    let [x, classes] = super::points(200)?;
    let soft = |&class: &i64| if class == 0 { [0.9f32, 0.1] } else { [0.2, 0.8] };
    let soft: Vec<f32> = classes.to_vec::<i64>()?.iter().flat_map(soft).collect();
    let set = Arc::new(TensorDataset::new(&x, &Tensor::from_vec(&crate::cpu(), soft, &[200, 2])?)?);
    let loader = Loader::from_examples(set, LoaderOptions::plain(20, crate::cpu()))?;
    let net = super::classifier()?;
    let config = RunConfig::plain("net", 20, 0.5);
    let outcome = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?.fit(&loader, &loader)?;
    assert!(outcome.best.overlap.is_none() && outcome.best.accuracy > 0.9, "{outcome:?}");
    // The same network with the most likely classes as labels has the same accuracy.
    let labels =
        receptive::train::evaluate(&net, "net", Loss::CrossEntropy, &super::batches(200)?, |_, _, _| {
            Ok(Flow::Continue)
        })?;
    assert_eq!(labels.map(|tally| tally.accuracy()), Some(outcome.best.accuracy));
    Ok(())
}

#[test]
fn that_is_not_a_scalar() -> Result<()> {
    let [x, classes] = super::points(4)?;
    let error = Criterion::own(|y, _| Ok(y.clone())).compute(&x, &classes).unwrap_err().to_string();
    assert!(error.contains("not a scalar") && error.contains("mean_all"), "{error}");
    Ok(())
}
