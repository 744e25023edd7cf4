//! Tests that the instruments give the same maps on a GPU as on the CPU.

use crate::cuda;
use receptive::inspect::{Goal, Heatmap, OcclusionOptions, activations, gradcam, occlusion, saliency};
use receptive::models::{self, ModelConfig};
use receptive::nn::ModuleExt;
use receptive::{DType, Device, Key, Tensor};

#[test]
fn maps_are_those_of_the_cpu() {
    let Some(gpu) = cuda() else { return };
    let cpu = Device::cpu().unwrap();
    let patch = OcclusionOptions { size: 8, stride: 8, fill: 0.0 };
    let cases = [
        ("lenet5", [1, 28, 28], None, "pool2", Goal::Class(3)),
        ("unet", [3, 16, 16], Some(2), "dec1", Goal::Mask),
    ];
    for (name, input, width, layer, goal) in cases {
        let network = models::find(name).unwrap();
        let [c, h, w] = input;
        let pixels: Vec<f32> = (0..(c * h * w) as u64).map(|i| Key::new(9).normal(i) as f32).collect();
        let on = |device: &Device| -> (Vec<Heatmap>, Vec<f32>) {
            let config = ModelConfig { width, ..ModelConfig::new(input, network.classes) };
            let net = network.build(&config).unwrap();
            net.init(device, DType::F32, 4).unwrap();
            // Gives the segmenter a mask with pixels. LeNet-5 has no parameter of this name, so nothing changes there.
            let bias = Tensor::full(device, 1.0, &[1], DType::F32).unwrap();
            net.load_matching(&[("conv_final.bias".to_owned(), bias)].into()).unwrap();
            let x = Tensor::from_slice(device, &pixels, &[1, c, h, w]).unwrap();
            let maps = [
                gradcam(&*net, name, &x, layer, goal),
                saliency(&*net, name, &x, goal),
                occlusion(&*net, name, &x, goal, &patch),
            ];
            let last = activations(&*net, name, &x).unwrap().pop().unwrap().output;
            (maps.into_iter().collect::<Result<_, _>>().unwrap(), last.values)
        };
        let ((want, logits), (got, same)) = (on(&cpu), on(&gpu));
        let close = |got: &[f32], want: &[f32], what: &str| {
            let largest = want.iter().fold(0f32, |a, b| a.max(b.abs()));
            assert!(largest > 0.0, "{name} {what}: nothing to compare");
            for (i, (g, w)) in got.iter().zip(want).enumerate() {
                assert!((g - w).abs() <= 1e-4 * largest, "{name} {what} at {i}: {g}, not {w}");
            }
        };
        close(&same, &logits, "output");
        for (kind, (got, want)) in ["gradcam", "saliency", "occlusion"].iter().zip(got.iter().zip(&want)) {
            assert_eq!((got.goal, &got.map.dims), (want.goal, &want.map.dims), "{name} {kind}");
            close(&got.map.values, &want.map.values, kind);
        }
    }
}
