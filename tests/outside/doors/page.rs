//! The page and the profile of any model.

use receptive::data::{Image, Normalize};
use receptive::inspect::profile::Profiler;
use receptive::inspect::summary;
use receptive::prelude::*;
use receptive::report::{About, report_module};

fn network(device: &Device) -> Result<Sequential> {
    let net = Sequential::new()
        .named("conv", Conv2d::new(1, 4, 3))
        .named("relu", Relu)
        .named("flatten", Flatten)
        .named("fc", Linear::new(4 * 6 * 6, 2));
    net.init(device, DType::F32, 0)?;
    Ok(net)
}

#[test]
fn the_page_shows_a_model_and_changes_no_weight() -> Result<()> {
    let net = network(&crate::cpu())?;
    let before = net.state_dict()?["fc.weight"].to_vec::<f32>()?;
    let about = About {
        name: "my network".to_owned(),
        loss: Loss::CrossEntropy,
        classes: vec!["dark".to_owned(), "light".to_owned()],
        image: Image::new([1, 8, 8], (0..64).map(|i| i * 4).collect())?,
        label: Some(1),
        normalize: Normalize::half(1),
    };
    let report = report_module(&net, about)?;
    assert_eq!(report.layers.len(), 4);
    assert!((report.probabilities.as_ref().unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-6);
    let page = report.to_html();
    assert!(page.starts_with("<!") && page.contains("my network"));
    assert_eq!(net.state_dict()?["fc.weight"].to_vec::<f32>()?, before);
    Ok(())
}

/// The errors name fields of `About`: the caller of `report_module` chooses no goal of an explanation.
#[test]
fn a_label_or_a_loss_that_does_not_fit_is_an_error() -> Result<()> {
    let classifier = network(&crate::cpu())?;
    let segmenter = Sequential::new().named("conv", Conv2d::new(1, 1, 3).padding(1));
    segmenter.init(&crate::cpu(), DType::F32, 0)?;
    let error_of = |net: &Sequential, loss, label| -> Result<String> {
        let about = About {
            name: "net".to_owned(),
            loss,
            classes: vec!["dark".to_owned(), "light".to_owned()],
            image: Image::new([1, 8, 8], vec![7; 64])?,
            label,
            normalize: Normalize::half(1),
        };
        Ok(report_module(net, about).err().map(|error| error.to_string()).unwrap_or_default())
    };
    let label = error_of(&classifier, Loss::CrossEntropy, Some(7))?;
    assert!(label.contains("`About::label`: there is no class 7") && label.contains("below 2"), "{label}");
    let mask = error_of(&classifier, Loss::Dice, None)?;
    assert!(mask.contains("`About::loss`: this loss is for a mask"), "{mask}");
    assert!(mask.contains("Loss::CrossEntropy") && !mask.contains("Goal"), "{mask}");
    let classes = error_of(&segmenter, Loss::CrossEntropy, None)?;
    assert!(
        classes.contains("this loss is for classes") && classes.contains("Loss::BceWithLogits"),
        "{classes}"
    );
    assert_eq!(error_of(&segmenter, Loss::Dice, None)?, "");
    Ok(())
}

/// A summary of a model with weights keeps them.
#[test]
fn a_summary_changes_no_weight() -> Result<()> {
    let net = network(&crate::cpu())?;
    let before = net.state_dict()?["conv.weight"].to_vec::<f32>()?;
    let counted = summary(&net, "net", [1, 8, 8]).map_err(|stopped| stopped.error)?;
    assert_eq!((counted.parameters, counted.layers.len()), (4 * 9 + 4 + 2 * 144 + 2, 4));
    assert_eq!(net.state_dict()?["conv.weight"].to_vec::<f32>()?, before);
    Ok(())
}

#[test]
fn the_profiler_names_the_layers() -> Result<()> {
    // The profiler watches a device, so this one is for this test alone.
    let device = Device::cpu()?;
    let net = network(&device)?;
    let x = Tensor::randn(&device, &[4, 1, 8, 8], DType::F32, Key::new(0))?;
    let target = Tensor::from_slice(&device, &[0i64, 1, 1, 0], &[4])?;
    let profiler = Profiler::start(&device)?;
    profiler.know(&net, None)?;
    let (loss, _) = Criterion::from(Loss::CrossEntropy).forward_and_loss(
        &net,
        &Ctx::train("net", Key::new(0)),
        &x,
        &target,
    )?;
    loss.backward()?;
    profiler.step();
    let profile = profiler.finish();
    let layers = profile.layer_table();
    let paths: Vec<&str> = layers.layers.iter().map(|row| &*row.path).collect();
    assert_eq!(paths, ["conv+relu", "flatten", "fc", "loss"]);
    Ok(())
}
