//! A learning rate of one's own.

use receptive::prelude::*;
use std::cell::RefCell;

/// The rate falls with the root of the step; every step asks for it.
#[test]
fn the_trainer_asks_for_the_rate_of_every_step() -> Result<()> {
    let (train, val) = (super::batches(100)?, super::batches(100)?);
    let net = super::classifier()?;
    let asked = RefCell::new(Vec::new());
    let config = RunConfig::plain("net", 2, 0.5);
    let mut trainer =
        Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?.schedule(|lr, at| {
            asked.borrow_mut().push(at.step);
            lr / ((at.step + 1) as f64).sqrt()
        });
    assert_eq!(trainer.learning_rate(), 0.5);
    trainer.fit(&train, &val)?;
    assert_eq!(trainer.learning_rate(), 0.5 / 11f64.sqrt());
    assert!((0..10).all(|step| asked.borrow().contains(&step)));
    Ok(())
}

/// A rate that cannot be used is refused before it changes a weight. The error names the schedule and the step.
#[test]
fn a_rate_that_is_no_rate_is_refused() -> Result<()> {
    let (train, val) = (super::batches(100)?, super::batches(100)?);
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let net = super::classifier()?;
        let config = RunConfig::plain("net", 1, 0.5);
        let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?
            .schedule(|lr, at| if at.step == 4 { bad } else { lr });
        let error = trainer.fit(&train, &val).unwrap_err().to_string();
        assert!(error.contains("schedule") && error.contains("step 4"), "{error}");
        let weights = net.trainable()?[0].1.to_vec::<f32>()?;
        assert!(weights.iter().all(|weight| weight.is_finite()));
    }
    Ok(())
}

/// Weights that a last, huge step has ruined do not count as the best: validation refuses a loss that is not finite.
#[test]
fn a_validation_loss_that_is_not_finite_is_an_error() -> Result<()> {
    let (train, val) = (super::batches(100)?, super::batches(100)?);
    let net = super::classifier()?;
    let config = RunConfig::plain("net", 1, 0.5);
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?
        .schedule(|lr, at| if at.step == 4 { 1e38 } else { lr });
    let error = trainer.fit(&train, &val).unwrap_err().to_string();
    assert!(error.contains("validation loss became") && error.contains("epoch 1"), "{error}");
    Ok(())
}
