//! Elementary functions of f32 without branches, so that the compiler turns a loop over them into vector instructions.
//!
//! The standard library calls the system's `libm` for one number at a time. Here each function uses only arithmetic
//! that every SIMD level has. Instead of a branch, both values are computed and one is selected. Rounding to an integer
//! is an addition. A power of two is built from its bits. Products and sums are never fused, so a result has the same
//! bits at every level.
//!
//! Each function follows the same plan. It reduces the argument to a small interval by an exact or nearly exact
//! subtraction, evaluates a polynomial there, and undoes the reduction. The polynomials are minimax fits made for this
//! file (Remez exchange in 40 digits, weighted for relative error). The error of a fit is below 2e-8 everywhere, which
//! is a third of half an ulp.
//!
//! | function | largest error (ulp, units in the last place) |
//! |---|---|
//! | [`exp`] | 0.96 |
//! | [`ln`] | 0.79 |
//! | [`tanh`] | 1.39 |
//! | `sigmoid`, from `exp` | 2.3 |
//! | [`softplus`] | 1.9 |
//! | [`normal`], distribution | 6.5 (4 for x from -2 up, where it is above 0.02) |
//! | [`normal`], density | 2.1 |
//!
//! The errors are over all arguments and include denormal arguments and results. They were measured against f64 at
//! every 193rd of the 2^32 bit patterns; the tests below repeat this. NaN stays NaN. Limits and signs of zero are those
//! of C.

use std::f32::consts::LOG2_E;

/// `ln 2` in two parts. The first has 9 bits, so its product with an exponent is exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `1.5 * 2^23`. Adding it to a number below `2^22` rounds that number to an integer: no bits are left for the
/// fraction.
const ROUND: f32 = 12_582_912.0;

/// `c[0] + c[1] x + c[2] x^2 + ..`
#[inline(always)]
fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut sum = c[N - 1];
    for &c in c[..N - 1].iter().rev() {
        sum = sum * x + c;
    }
    sum
}

/// `2^n` for `-126 <= n <= 127`.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `e^(high + low)`, where `low` is the part that rounding cut off from the sum or product `high`.
#[inline(always)]
fn exp_of_sum(high: f32, low: f32) -> f32 {
    // Beyond these limits the result is infinite or 0.
    let high = if high > 89.0 { 89.0 } else { high };
    let high = if high < -104.0 { -104.0 } else { high };
    // high = n ln 2 + r, with an integer n and about |r| <= ln 2 / 2.
    let shifted = high * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (high - n * LN2_HIGH) - n * LN2_LOW + low;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let y = 1.0
        + (r + r
            * r
            * polynomial(r, [0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_717, 0.001_381_461_2]));
    // Two factors, because `2^n` alone may be out of range although the result is not (it may be denormal).
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `e^x`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    exp_of_sum(x, -0.0)
}

/// `big + low + ln(1 + f)`. `big` is larger than `low` and has bits to spare; `tail(s^2)` is `R` below.
///
/// With `s = f / (2 + f)`: `ln(1 + f) = 2 atanh s = 2 s + s R(s^2) = f - f^2/2 + s (f^2/2 + R)`. The terms are added
/// from the smallest to the largest, so that the rounding of s and of the small sums hardly changes the large terms (as
/// in FreeBSD's `logf`).
#[inline(always)]
fn add_ln_1p(big: f32, low: f32, f: f32, tail: impl Fn(f32) -> f32) -> f32 {
    let s = f / (2.0 + f);
    let half_square = 0.5 * f * f;
    big - ((half_square - (s * (half_square + tail(s * s)) + low)) - f)
}

/// `ln x = k ln 2 + ln m` for `x = 2^k m`, with m from the square root of 1/2 to the square root of 2.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    const ROOT_HALF: u32 = 0x3F35_04F3;
    let denormal = x < f32::MIN_POSITIVE;
    let scaled = if denormal { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits().wrapping_sub(ROOT_HALF);
    let k = (((bits as i32) >> 23) - if denormal { 23 } else { 0 }) as f32;
    let f = f32::from_bits((bits & 0x007F_FFFF) + ROOT_HALF) - 1.0;
    let tail = |z| z * polynomial(z, [0.666_667_76, 0.399_775_33, 0.298_720_03]);
    let y = add_ln_1p(k * LN2_HIGH, k * LN2_LOW, f, tail);
    let y = if x < f32::INFINITY { y } else { x };
    let outside = if x == 0.0 { f32::NEG_INFINITY } else { f32::NAN };
    if x > 0.0 { y } else { outside }
}

/// `tanh x`. Near 0 it is `x + x^3 P(x^2)`, because `1 - 2 / (e^2x + 1)` would lose its digits there.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let (a, z) = (x.abs(), x * x);
    let near =
        a + a * z * polynomial(z, [-0.333_333_16, 0.133_325_86, -0.053_852_31, 0.021_071_68, -0.006_274_243]);
    let far = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    (if a < 0.55 { near } else { far }).copysign(x)
}

/// `ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)`. The second term lies from 0 to ln 2, so the argument needs no reduction.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let tail = |z| z * polynomial(z, [0.666_664_1, 0.400_217, 0.279_991_42, 0.280_244_6]);
    add_ln_1p(if x > 0.0 { x } else { 0.0 }, 0.0, exp(-x.abs()), tail)
}

/// The standard normal distribution at x (the probability of a value below x), and its density at x.
///
/// With `a = |x|` and `u = 1 / (3 + a)`, the distribution at `-a` is `e^(-a^2/2) u P(a u)`. The exponential contains
/// all of the decay, so the rest is smooth. The result keeps its digits far from 0, where `1 + erf` would be 0.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    const INVERSE_ROOT_TAU: f32 = 0.398_942_3;
    let a = x.abs();
    // Beyond this limit both results are 0.
    let a = if a > 15.0 { 15.0 } else { a };
    // The square is split into a rounded head and a tail, because an error in the exponent becomes a much larger error
    // in the result.
    let head = f32::from_bits(a.to_bits() & 0xFFFF_F000);
    let bell = exp_of_sum(-0.5 * head * head, -0.5 * (a - head) * (a + head));
    let u = 1.0 / (3.0 + a);
    #[rustfmt::skip]
    let p = polynomial(a * u, [
        1.5, -2.090_474_4, 1.068_822_6, 0.210_093_16, -0.281_013_4,
        -0.035_037_34, -0.154_920_83, 0.326_556_56, -0.171_671_52, 0.026_549_526,
    ]);
    let below = bell * (u * p);
    (if x > 0.0 { 1.0 - below } else { below }, INVERSE_ROOT_TAU * bell)
}

/// The functions above that the standard library lacks, in f64. They are the reference, and use no polynomial of ours.
pub mod double {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

    /// `ln(1 + e^x)`.
    pub fn softplus(x: f64) -> f64 {
        let positive = if x > 0.0 { x } else { 0.0 };
        positive + (-x.abs()).exp().ln_1p()
    }

    /// The standard normal distribution at x, and its density at x.
    pub fn normal(x: f64) -> (f64, f64) {
        (0.5 * libm::erfc(-x * FRAC_1_SQRT_2), 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (-0.5 * x * x).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Float;

    /// The error in ulp: half an ulp is half the distance between neighbours in f32. Below the smallest normal number
    /// an ulp stays the same.
    fn ulps(got: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        if got.is_nan() || exact.is_nan() {
            return if got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
        }
        if got == rounded && (got.is_sign_negative() == rounded.is_sign_negative()) {
            return if got.is_finite() { (got as f64 - exact).abs() / ulp(exact) } else { 0.0 };
        }
        // Infinity counts as 2^128, the first number too large for f32. So a result that is one ulp too large has no
        // infinite error.
        let got = if got.is_infinite() { got.signum() as f64 * 2f64.powi(128) } else { got as f64 };
        (got - exact).abs() / ulp(exact)
    }

    fn ulp(exact: f64) -> f64 {
        let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
        2f64.powi(exponent.clamp(-126, 127) - 23)
    }

    /// The largest error over the whole range, and the argument where it occurs.
    fn worst(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (f64, f32) {
        let special = [0.0, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, 1.0].map(f32::to_bits);
        let signed = special.into_iter().flat_map(|bits| [bits, bits | 1 << 31]);
        let all = (0..=u32::MAX).step_by(193).chain(signed).map(f32::from_bits);
        let error = |x: f32| (ulps(f(x), exact(x as f64)), x);
        all.map(error).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    }

    fn check(name: &str, limit: f64, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) {
        let (error, x) = worst(f, exact);
        println!("{name}: {error:.3} ulp at {x:e}");
        assert!(error <= limit, "{name}({x:e}) is {error} ulp off");
    }

    #[test]
    fn every_function_over_the_whole_range() {
        check("exp", 0.96, exp, f64::exp);
        check("ln", 0.79, ln, f64::ln);
        check("tanh", 1.4, tanh, f64::tanh);
        check("sigmoid", 2.3, Float::sigmoid, Float::sigmoid);
        check("softplus", 1.9, softplus, double::softplus);
        check("distribution", 6.5, |x| normal(x).0, |x| double::normal(x).0);
        let near = |x: f64| if x < -2.0 { f64::NAN } else { x };
        check("distribution", 4.0, |x| normal(near(x as f64) as f32).0, |x| double::normal(near(x)).0);
        check("density", 2.1, |x| normal(x).1, |x| double::normal(x).1);
    }
}
