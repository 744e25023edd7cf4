//! A module of one's own: a layer with a parameter, used inside a network.

use receptive::prelude::*;

/// `y = x * scale`, with one factor per feature. (LayerScale, Touvron et al. 2021.)
struct LayerScale {
    scale: Param,
}

impl LayerScale {
    fn new(features: usize) -> LayerScale {
        LayerScale { scale: Param::new(&[features], Init::Constant(0.1)) }
    }
}

impl Module for LayerScale {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        x.mul(&cx.value(&self.scale)?)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        visitor.param("scale", &self.scale);
    }

    fn kind(&self) -> &'static str {
        "LayerScale"
    }
}

#[test]
fn a_layer_is_part_of_a_network() -> Result<()> {
    let net = Sequential::new()
        .named("fc1", Linear::new(2, 8))
        .named("scale", LayerScale::new(8))
        .named("relu", Relu)
        .named("fc2", Linear::new(8, 2));
    net.init(&crate::cpu(), DType::F32, 0)?;
    let before = net.state_dict()?["scale.scale"].to_vec::<f32>()?;
    assert_eq!(before, [0.1; 8]);
    let (train, val) = (super::batches(200)?, super::batches(100)?);
    let config = RunConfig::plain("net", 20, 0.5);
    let outcome = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?.fit(&train, &val)?;
    assert!(outcome.best.accuracy > 0.9, "{outcome:?}");
    assert_ne!(net.state_dict()?["scale.scale"].to_vec::<f32>()?, before);
    Ok(())
}

/// A layer without a name could not be found in a state_dict, nor by a hook.
#[test]
fn a_name_that_is_empty_is_an_error() -> Result<()> {
    for (name, path) in [("", ""), (".", "."), ("a.", "a."), (".a", ".a"), ("a..b", "a..b")] {
        for net in [Sequential::new().named(name, Linear::new(2, 2)), Sequential::new().named(name, Relu)] {
            let error = net.init(&crate::cpu(), DType::F32, 0).unwrap_err().to_string();
            assert!(error.contains(&format!("`{path}` has an empty name")), "{error}");
        }
    }
    let net = Sequential::new().named("linears.0", Linear::new(2, 2));
    net.init(&crate::cpu(), DType::F32, 0)?;
    assert!(net.state_dict()?.contains_key("linears.0.weight"));
    Ok(())
}

/// The error of a kernel of 0 is about the kernel, even if the channels disagree, too.
#[test]
fn a_kernel_of_nothing_is_named() -> Result<()> {
    let conv = Conv2d::new(3, 4, 0);
    conv.init(&crate::cpu(), DType::F32, 0)?;
    let x = Tensor::ones(&crate::cpu(), &[1, 5, 8, 8], DType::F32)?;
    let error = conv.forward(&Ctx::eval("net"), &x).unwrap_err().to_string();
    assert!(error.contains("kernel_size") && error.contains("from 1 to"), "{error}");
    assert!(!error.contains("Conv2d::new"), "{error}");
    Ok(())
}
