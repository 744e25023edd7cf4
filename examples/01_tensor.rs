//! Lesson 1: a tensor is a block of numbers and a shape.
//!
//!     cargo run --release --example 01_tensor

use receptive::{Device, Result, Tensor};

fn main() -> Result<()> {
    // A device is a CPU or a GPU, with its threads and its memory. Every tensor is on one device.
    let cpu = Device::cpu()?;

    // Twelve numbers, seen as 3 rows of 4. Memory is always row-major: the numbers of a row are neighbours.
    let x = Tensor::from_vec(&cpu, (0..12).map(|i| i as f32).collect(), &[3, 4])?;
    println!("x =\n{x}\n");

    // reshape moves no numbers: both tensors use the same memory.
    let image = x.reshape(&[1, 1, 3, 4])?;
    println!("as an image [N, C, H, W]: {:?}, same memory: {}\n", image.dims(), image.shares_storage(&x));

    // permute copies the numbers in a new order: the rows of the result are the columns of x.
    println!("transposed =\n{}\n", x.permute(&[1, 0])?);

    // Broadcasting: shapes are aligned at the right, so the row of 4 is added to each of the 3 rows.
    let row = Tensor::from_vec(&cpu, vec![100f32, 200.0, 300.0, 400.0], &[4])?;
    println!("x + row =\n{}\n", x.add(&row)?);

    // A reduction, such as a sum, gets the dimensions to remove. `&[0]` removes the rows, and leaves 4 sums.
    println!("sum over rows    {}", x.sum(&[0], false)?);
    println!("sum over columns {}", x.sum(&[1], false)?);
    println!("mean of all      {}\n", x.mean_all()?);

    // Shapes that do not fit are errors that say what to do, not panics.
    let error = x.add(&Tensor::from_vec(&cpu, vec![1f32; 3], &[3])?).unwrap_err();
    println!("x + a row of 3:\n{error}");
    Ok(())
}
