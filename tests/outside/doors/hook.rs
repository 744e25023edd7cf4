//! A hook during `fit`: it sees every layer of every training step.

use receptive::prelude::*;
use std::cell::RefCell;

struct Means<'a>(&'a RefCell<Vec<(String, f64)>>);

impl Hook for Means<'_> {
    fn layer(&self, path: &str, _: &dyn Module, _: &Tensor, y: &Tensor) -> Result<()> {
        self.0.borrow_mut().push((path.to_owned(), y.detach().mean_all()?.item()?));
        Ok(())
    }
}

#[test]
fn it_sees_every_layer_and_changes_no_bit() -> Result<()> {
    let (train, val) = (super::batches(100)?, super::batches(100)?);
    let seen = RefCell::default();
    let weights = |hooked: bool| -> Result<Vec<f32>> {
        let net = super::classifier()?;
        let config = RunConfig::plain("net", 2, 0.5);
        let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?;
        if hooked {
            trainer = trainer.hook(Means(&seen));
        }
        trainer.fit(&train, &val)?;
        net.state_dict()?["fc.weight"].to_vec::<f32>()
    };
    assert_eq!(weights(true)?, weights(false)?);
    let seen = seen.borrow();
    assert_eq!(seen.len(), 10, "2 epochs of 5 steps, one layer");
    assert!(seen.iter().all(|(path, mean)| path == "fc" && mean.is_finite()));
    Ok(())
}
