//! Arithmetic of dual numbers.

use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use num_traits::{Num, NumCast, One, ToPrimitive, Zero};

use super::Dual;
use crate::Real;

impl<R: Real> Add for Dual<R> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, tangent: self.tangent + other.tangent }
    }
}

impl<R: Real> Sub for Dual<R> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, tangent: self.tangent - other.tangent }
    }
}

impl<R: Real> Mul for Dual<R> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let tangent = self.value * other.tangent + self.tangent * other.value;
        Self { value: self.value * other.value, tangent }
    }
}

impl<R: Real> Div for Dual<R> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        Self { value, tangent: (self.tangent - value * other.tangent) / other.value }
    }
}

/// x - y trunc(x / y).
impl<R: Real> Rem for Dual<R> {
    type Output = Self;

    fn rem(self, other: Self) -> Self {
        let times = (self.value / other.value).trunc();
        Self { value: self.value % other.value, tangent: self.tangent - times * other.tangent }
    }
}

impl<R: Real> Neg for Dual<R> {
    type Output = Self;

    fn neg(self) -> Self {
        Self { value: -self.value, tangent: -self.tangent }
    }
}

macro_rules! assign {
    ($($trait:ident $method:ident $operator:tt),*) => {$(
        impl<R: Real> $trait for Dual<R> {
            fn $method(&mut self, other: Self) {
                *self = *self $operator other;
            }
        }
    )*};
}

assign!(AddAssign add_assign +, SubAssign sub_assign -, MulAssign mul_assign *,
        DivAssign div_assign /, RemAssign rem_assign %);

impl<R: Real> Sum for Dual<R> {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::zero(), Add::add)
    }
}

impl<R: Real> PartialEq for Dual<R> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<R: Real> PartialOrd for Dual<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<R: Real> Zero for Dual<R> {
    fn zero() -> Self {
        Self::constant(R::zero())
    }

    fn is_zero(&self) -> bool {
        self.value.is_zero()
    }
}

impl<R: Real> One for Dual<R> {
    fn one() -> Self {
        Self::constant(R::one())
    }
}

impl<R: Real> Num for Dual<R> {
    type FromStrRadixErr = R::FromStrRadixErr;

    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        R::from_str_radix(text, radix).map(Self::constant)
    }
}

impl<R: Real> ToPrimitive for Dual<R> {
    fn to_i64(&self) -> Option<i64> {
        self.value.to_i64()
    }

    fn to_u64(&self) -> Option<u64> {
        self.value.to_u64()
    }

    fn to_f64(&self) -> Option<f64> {
        self.value.to_f64()
    }
}

impl<R: Real> NumCast for Dual<R> {
    fn from<T: ToPrimitive>(number: T) -> Option<Self> {
        <R as NumCast>::from(number).map(Self::constant)
    }
}
