//! Tensors of numbers that their dtype cannot hold, and ranges without an end.

use receptive::prelude::*;

#[test]
fn a_number_that_does_not_fit_is_an_error() -> Result<()> {
    let cpu = crate::cpu();
    let full = |value, dtype| Tensor::full(&cpu, value, &[2], dtype);
    for (value, dtype) in [
        (f64::NAN, DType::I64),
        (f64::NEG_INFINITY, DType::I64),
        (2.5, DType::I64),
        (9_223_372_036_854_775_808.0, DType::I64),
        (300.0, DType::U8),
        (-1.0, DType::U8),
        (0.5, DType::U8),
        (f64::NAN, DType::U8),
    ] {
        let error = full(value, dtype).unwrap_err().to_string();
        assert!(error.contains(&format!("{dtype} cannot hold {value}")), "{error}");
    }
    assert_eq!(full(-9_223_372_036_854_775_808.0, DType::I64)?.to_vec::<i64>()?, [i64::MIN; 2]);
    assert_eq!(full(255.0, DType::U8)?.to_vec::<u8>()?, [255; 2]);
    assert!(full(f64::NAN, DType::F32)?.to_vec::<f32>()?[0].is_nan());
    Ok(())
}

#[test]
fn a_range_must_fit_and_end() -> Result<()> {
    let cpu = crate::cpu();
    let range = |start, end, step, dtype| Tensor::arange(&cpu, start, end, step, dtype);
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for (start, end, step) in
        [(0.0, 3.0, inf), (0.0, 3.0, nan), (nan, 3.0, 1.0), (0.0, inf, inf), (0.0, -inf, -1.0)]
    {
        let error = range(start, end, step, DType::F32).unwrap_err().to_string();
        assert!(error.contains("finite"), "{error}");
    }
    for (end, step, dtype, wrong) in
        [(300.0, 1.0, DType::U8, "299"), (-3.0, -1.0, DType::U8, "-1"), (3.0, 0.5, DType::I64, "0.5")]
    {
        let error = range(0.0, end, step, dtype).unwrap_err().to_string();
        assert!(error.contains(&format!("{dtype} cannot hold {wrong}")), "{error}");
    }
    assert_eq!(range(0.0, 256.0, 1.0, DType::U8)?.to_vec::<u8>()?, (0..=255).collect::<Vec<u8>>());
    assert_eq!(range(0.0, 2.0, 2.5, DType::I64)?.to_vec::<i64>()?, [0]);
    assert_eq!(range(2.0, 2.0, 0.5, DType::I64)?.dims(), [0]);
    Ok(())
}
