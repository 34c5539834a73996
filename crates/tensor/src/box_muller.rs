//! Two standard normal numbers from two uniform ones in (-1, 1):
//! `(r cos(pi v), r sin(pi v))` with `r = sqrt(-2 ln |u|)`.
//!
//! The `f32` functions are polynomials without branches or tables, so that a loop over them becomes
//! vector instructions. Nothing is fused or reordered: every instruction set gives the same bits.
//!
//! # Source
//! Box and Muller 1958; the polynomials are those of Moshier's Cephes library (`logf`, `sinf`,
//! `cosf`), accurate to about 1e-7.

/// A pair in `f32`; `u` must not be zero.
#[inline(always)]
pub(crate) fn pair_f32(u: f32, v: f32) -> (f32, f32) {
    let radius = (-2.0 * ln(u.abs())).sqrt();
    let (sin, cos) = sin_cos_pi(v);
    (radius * cos, radius * sin)
}

/// A pair in `f64`; `u` must not be zero.
#[inline(always)]
pub(crate) fn pair_f64(u: f64, v: f64) -> (f64, f64) {
    let radius = (-2.0 * libm::log(u.abs())).sqrt();
    let (sin, cos) = libm::sincos(std::f64::consts::PI * v);
    (radius * cos, radius * sin)
}

/// Horner's scheme, the leading coefficient first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut value = coefficients[0];
    for coefficient in &coefficients[1..] {
        value = value * x + coefficient;
    }
    value
}

/// The natural logarithm of a normal number: `x = 2^e (1 + f)` with `1 + f` in [sqrt(1/2), sqrt 2).
#[inline(always)]
fn ln(x: f32) -> f32 {
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let bits = x.to_bits() as i32;
    let exponent = bits.wrapping_sub(SQRT_HALF) >> 23;
    let f = f32::from_bits(bits.wrapping_sub(exponent << 23) as u32) - 1.0;
    let e = exponent as f32;
    let tail = polynomial(
        f,
        [
            7.037_683_6e-2,
            -0.115_146_1,
            0.116_769_99,
            -0.124_201_41,
            0.142_493_23,
            -0.166_680_58,
            0.200_007_15,
            -0.249_999_94,
            0.333_333_3,
        ],
    );
    let z = f * f;
    // ln 2 in two parts, the first exact in a product with e.
    let small = tail * f * z + e * -2.121_944_4e-4 - 0.5 * z;
    f + small + e * 0.693_359_4
}

/// (sin, cos) of pi v for |v| <= 1: v is a multiple k of 1/2 and a rest of at most 1/4.
#[inline(always)]
fn sin_cos_pi(v: f32) -> (f32, f32) {
    /// 1.5 * 2^23: adding it rounds to a whole number, which stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = 2.0 * v + ROUND;
    let (k, half) = (rounded.to_bits(), rounded - ROUND);
    let a = (v - 0.5 * half) * std::f32::consts::PI;
    let z = a * a;
    let sin = polynomial(z, [-1.951_529_6e-4, 8.332_161e-3, -0.166_666_55]) * z * a + a;
    let cos = polynomial(z, [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]) * z * z - 0.5 * z;
    let cos = cos + 1.0;
    // A quarter turn exchanges them and turns one sign.
    let (turned_sin, turned_cos) = if k & 1 == 1 { (cos, sin) } else { (sin, cos) };
    let sin_sign = (k & 2) << 30;
    let cos_sign = (k.wrapping_add(1) & 2) << 30;
    (
        f32::from_bits(turned_sin.to_bits() ^ sin_sign),
        f32::from_bits(turned_cos.to_bits() ^ cos_sign),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every u = (2 k + 1) 2^-24 and as many v, against `f64`.
    #[test]
    fn logarithm_sine_and_cosine_are_accurate() {
        for k in 0..1 << 23 {
            let x = (2 * k + 1) as f32 / (1 << 24) as f32;
            let exact = f64::from(x).ln();
            let error = (f64::from(ln(x)) - exact).abs() / exact.abs();
            assert!(error < 2e-7, "ln {x}: {error}");
        }
        for k in (-(1 << 24)..1 << 24).step_by(37) {
            let v = k as f32 / (1 << 24) as f32;
            let (sin, cos) = sin_cos_pi(v);
            let (exact_sin, exact_cos) = (std::f64::consts::PI * f64::from(v)).sin_cos();
            assert!((f64::from(sin) - exact_sin).abs() < 2e-7, "sin pi {v}");
            assert!((f64::from(cos) - exact_cos).abs() < 2e-7, "cos pi {v}");
        }
    }
}
