//! How exactly products take their factors.

use std::sync::atomic::{AtomicU8, Ordering};

use super::InstructionSet;
use super::unit;

/// How many bits products in `f32` take of their factors, for the whole process: matrix products, linear layers, and
/// the convolutions that the unit takes, or dot products do: most of those with sixteen channels and more, and
/// passes over images. Others, those of Winograd's algorithm, and all of
/// [`KernelChoice::Scalar`](super::KernelChoice::Scalar) take all bits. Sums, and all else, are `f32`.
///
/// ```
/// use smoothout_tensor::kernels::{MatrixMut, MatrixRef, Kernels, Precision};
///
/// let (a, b) = (vec![1.0 + 1.0 / 512.0_f32; 64], vec![1.0_f32; 64]);
/// let product = || {
///     let mut c = [0.0];
///     f32::gemm(MatrixRef::new(&a, 1, 64), MatrixRef::new(&b, 64, 1), MatrixMut::new(&mut c, 1, 1));
///     c[0]
/// };
/// assert_eq!(product(), 64.125);
/// if Precision::Bf16.is_available() {
///     Precision::Bf16.select();
///     // To eight bits, 1.001953125 is 1.
///     assert_eq!(product(), 64.0);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Precision {
    /// All 24.
    #[default]
    F32 = 0,
    /// The eight of `bf16`, to which factors are rounded as they are read: faster where the CPU multiplies
    /// `bf16`.
    Bf16 = 1,
}

static PRECISION: AtomicU8 = AtomicU8::new(Precision::F32 as u8);

impl Precision {
    /// Its name: `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Whether this CPU has it with the [instruction set](InstructionSet) in force: `bf16` needs AMX, or
    /// AVX-512 with its BF16 instructions.
    pub fn is_available(self) -> bool {
        self == Self::F32
            || Arithmetic { set: InstructionSet::current(), precision: self }.has_unit()
    }

    /// What it keeps of a value that is not too large: the nearest, the even one of two.
    #[cfg(test)]
    pub(crate) fn kept(self, value: f32) -> f32 {
        if self == Self::F32 {
            return value;
        }
        let last = 2.0_f64.powi(value.abs().log2().floor().max(-126.0) as i32 - 7);
        ((f64::from(value) / last).round_ties_even() * last) as f32
    }

    /// The precision in force: that [selected](Self::select) last, or `F32` where it is not available.
    pub fn current() -> Self {
        Arithmetic::current().precision
    }

    /// Puts the precision in force for the whole process. Kernels that are running finish as they began.
    ///
    /// # Panics
    /// If this CPU does not have it with the instruction set in force.
    pub fn select(self) {
        assert!(
            self.is_available(),
            "this CPU does not multiply {} with the instructions in force",
            self.name()
        );
        PRECISION.store(self as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
thread_local! {
    /// What is in force for the calls of a test alone, others of which run beside it.
    pub(crate) static TESTED: std::cell::Cell<Option<Arithmetic>> = const { std::cell::Cell::new(None) };
}

/// What products are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    pub(crate) set: InstructionSet,
    pub(crate) precision: Precision,
}

impl Arithmetic {
    /// What is in force.
    pub(crate) fn current() -> Self {
        #[cfg(test)]
        if let Some(tested) = TESTED.get() {
            return tested;
        }
        let full = Self::from(InstructionSet::current());
        let reduced = Self { precision: Precision::Bf16, ..full };
        let asked = PRECISION.load(Ordering::Relaxed) == Precision::Bf16 as u8;
        if asked && reduced.has_unit() { reduced } else { full }
    }

    /// All that this CPU has.
    #[cfg(test)]
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        let sets = InstructionSet::ALL.into_iter().filter(|set| set.is_available());
        let full = sets.map(Self::from);
        let reduced = full.clone().map(|full| Self { precision: Precision::Bf16, ..full });
        full.chain(reduced.filter(|reduced| reduced.has_unit()))
    }

    /// What split factors are tested with: plain sums where there is no unit.
    #[cfg(test)]
    pub(crate) fn of_split_factors() -> impl Iterator<Item = Self> {
        let plain = Self { set: InstructionSet::Baseline, precision: Precision::Bf16 };
        let full = Self::from(InstructionSet::detected());
        Self::available().filter(|with| with.rounds()).chain([full, plain])
    }

    /// Whether there is what multiplies `bf16`, in parts of factors or rounded ones.
    pub(crate) fn has_unit(self) -> bool {
        match self.set {
            InstructionSet::Amx => true,
            InstructionSet::Avx512 => self.rounds() && unit::has_dot_products(),
            InstructionSet::Avx2 | InstructionSet::Baseline => false,
        }
    }

    /// The `bf16` numbers that a factor is made into.
    pub(crate) fn parts(self) -> usize {
        if self.rounds() { 1 } else { unit::PARTS }
    }

    /// Whether factors are rounded to `bf16`, instead of split into three of them.
    pub(crate) fn rounds(self) -> bool {
        self.precision == Precision::Bf16
    }
}

impl From<InstructionSet> for Arithmetic {
    /// In full precision.
    fn from(set: InstructionSet) -> Self {
        Self { set, precision: Precision::F32 }
    }
}
