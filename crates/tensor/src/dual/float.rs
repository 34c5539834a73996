//! Functions of dual numbers: f(x + x' e) = f(x) + f'(x) x' e.

use std::num::FpCategory;

use num_traits::Float;

use super::Dual;
use crate::Real;

/// 1 as the type wants it.
fn one<R: Real>() -> R {
    R::one()
}

/// A number that a formula names.
fn real<R: Real>(value: f64) -> R {
    R::from_f64(value)
}

/// Constants, which do not move.
macro_rules! constants {
    ($($name:ident)*) => {$(
        fn $name() -> Self {
            Self::constant(R::$name())
        }
    )*};
}

/// Questions about the value.
macro_rules! questions {
    ($($name:ident)*) => {$(
        fn $name(self) -> bool {
            self.value.$name()
        }
    )*};
}

/// Functions with their derivatives at x, y being the function's value.
macro_rules! functions {
    ($($name:ident: |$x:ident, $y:ident| $derivative:expr;)*) => {$(
        fn $name(self) -> Self {
            let $x = self.value;
            let $y = $x.$name();
            self.chain($y, $derivative)
        }
    )*};
}

impl<R: Real> Float for Dual<R> {
    constants!(nan infinity neg_infinity neg_zero min_value min_positive_value max_value epsilon);
    questions!(is_nan is_infinite is_finite is_normal is_sign_positive is_sign_negative);
    functions! {
        floor: |_x, _y| R::zero();
        ceil: |_x, _y| R::zero();
        round: |_x, _y| R::zero();
        trunc: |_x, _y| R::zero();
        signum: |_x, _y| R::zero();
        fract: |_x, _y| one();
        abs: |x, _y| x.signum();
        recip: |_x, y| -y * y;
        sqrt: |_x, y| real::<R>(0.5) / y;
        cbrt: |_x, y| one::<R>() / (real::<R>(3.0) * y * y);
        exp: |_x, y| y;
        exp2: |_x, y| y * real(std::f64::consts::LN_2);
        exp_m1: |x, _y| x.exp();
        ln: |x, _y| x.recip();
        log2: |x, _y| (x * real(std::f64::consts::LN_2)).recip();
        log10: |x, _y| (x * real(std::f64::consts::LN_10)).recip();
        ln_1p: |x, _y| (one::<R>() + x).recip();
        sin: |x, _y| x.cos();
        cos: |x, _y| -x.sin();
        tan: |_x, y| one::<R>() + y * y;
        asin: |x, _y| (one::<R>() - x * x).sqrt().recip();
        acos: |x, _y| -(one::<R>() - x * x).sqrt().recip();
        atan: |x, _y| (one::<R>() + x * x).recip();
        sinh: |x, _y| x.cosh();
        cosh: |x, _y| x.sinh();
        tanh: |_x, y| one::<R>() - y * y;
        asinh: |x, _y| (x * x + one()).sqrt().recip();
        acosh: |x, _y| (x * x - one()).sqrt().recip();
        atanh: |x, _y| (one::<R>() - x * x).recip();
    }

    fn classify(self) -> FpCategory {
        self.value.classify()
    }

    fn integer_decode(self) -> (u64, i16, i8) {
        self.value.integer_decode()
    }

    fn mul_add(self, a: Self, b: Self) -> Self {
        Self { value: self.value.mul_add(a.value, b.value), ..self * a + b }
    }

    fn powi(self, n: i32) -> Self {
        let derivative = real::<R>(f64::from(n)) * self.value.powi(n - 1);
        self.chain(self.value.powi(n), derivative)
    }

    fn powf(self, n: Self) -> Self {
        let value = self.value.powf(n.value);
        let base = self.chain(value, n.value * self.value.powf(n.value - one()));
        let exponent =
            if n.tangent.is_zero() { R::zero() } else { value * self.value.ln() * n.tangent };
        Self { value, tangent: base.tangent + exponent }
    }

    fn log(self, base: Self) -> Self {
        self.ln() / base.ln()
    }

    /// The larger one, or the one that is not NaN.
    fn max(self, other: Self) -> Self {
        if other.value > self.value || self.value.is_nan() { other } else { self }
    }

    /// The smaller one, or the one that is not NaN.
    fn min(self, other: Self) -> Self {
        if other.value < self.value || self.value.is_nan() { other } else { self }
    }

    fn abs_sub(self, other: Self) -> Self {
        if self.value <= other.value { Self::constant(R::zero()) } else { self - other }
    }

    fn hypot(self, other: Self) -> Self {
        let value = self.value.hypot(other.value);
        let tangent = (self.value * self.tangent + other.value * other.tangent) / value;
        Self { value, tangent }
    }

    fn atan2(self, other: Self) -> Self {
        let squares = self.value * self.value + other.value * other.value;
        let tangent = (other.value * self.tangent - self.value * other.tangent) / squares;
        Self { value: self.value.atan2(other.value), tangent }
    }

    fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }
}
