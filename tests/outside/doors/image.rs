//! Tensors from pictures of the crate `image`, and back.

use image::{Rgb, RgbImage};
use receptive::data::Image;
use receptive::prelude::*;

#[test]
fn there_and_back() -> Result<()> {
    let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 7]));
    let size = [3, picture.height() as usize, picture.width() as usize];
    let x = Tensor::from_image(&crate::cpu(), &Image::from_interleaved(size, picture.as_raw())?)?;
    assert_eq!(x.dims(), [3, 3, 5]);
    assert_eq!(x.narrow(0, 0, 1)?.to_vec::<f32>()?[4], 200.0 / 255.0);
    let back = RgbImage::from_raw(5, 3, x.to_image()?.interleaved()).expect("as many bytes");
    assert_eq!(back, picture);
    Ok(())
}

#[test]
fn an_image_without_pixels_is_an_error() -> Result<()> {
    for size in [[1, 0, 4], [0, 2, 2], [1, 3, 0]] {
        let error =
            Tensor::from_image(&crate::cpu(), &Image { size, pixels: vec![] }).unwrap_err().to_string();
        assert!(error.contains("no pixels") && error.contains(&format!("{size:?}")), "{error}");
    }
    Ok(())
}
