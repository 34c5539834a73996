//! Which kernels run: the instruction set of this CPU and the choice of algorithm, both for the
//! whole process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use super::precision::{Arithmetic, Precision};
use super::simd::{self, Task, Vector};
use super::unit;

/// Which algorithms convolutions and products use. In `f64` all but `Scalar` are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum KernelChoice {
    /// The fastest for each shape, as measured once and written down; never timed at run time.
    #[default]
    Auto = 0,
    /// Convolutions multiply as the definition does.
    Direct = 1,
    /// Convolutions use Winograd's algorithm wherever it applies.
    Winograd = 2,
    /// The plain definitions, without vector instructions of our own: slow, the oracle of the rest.
    Scalar = 3,
}

static CHOICE: AtomicU8 = AtomicU8::new(KernelChoice::Auto as u8);
/// A place in [`InstructionSet::ALL`]; beyond it, the best set is in force.
static SELECTED: AtomicU8 = AtomicU8::new(u8::MAX);

impl KernelChoice {
    /// The choice that is in force.
    pub fn current() -> Self {
        match CHOICE.load(Ordering::Relaxed) {
            1 => Self::Direct,
            2 => Self::Winograd,
            3 => Self::Scalar,
            _ => Self::Auto,
        }
    }

    /// Puts the choice in force for the whole process. Kernels that are running finish as they
    /// began.
    pub fn select(self) {
        CHOICE.store(self as u8, Ordering::Relaxed);
    }
}

/// The instructions that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    /// AVX-512, and the matrix unit AMX for matrix products, direct convolutions of sixteen channels and
    /// more, and weight gradients of images.
    /// The unit multiplies `bf16`: each `f32` is split into three of these, and between 1e-30 and 3.39e38
    /// sums are as exact as those of fused multiply-adds. On Linux.
    Amx,
    /// AVX-512 F, DQ, BW and VL: sixteen lanes.
    Avx512,
    /// AVX2 and FMA: eight lanes.
    Avx2,
    /// What the target has at least: SSE2 on x86-64, NEON on aarch64.
    Baseline,
}

impl InstructionSet {
    /// Every set, the best first, in the order of the variants.
    pub const ALL: [Self; 4] = [Self::Amx, Self::Avx512, Self::Avx2, Self::Baseline];

    /// Whether this CPU has the set.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Amx => unit::is_available() && Self::Avx512.is_available(),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && Self::Avx2.is_available()
            }
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Baseline => true,
        }
    }

    /// Whether this CPU has the set.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        match self {
            Self::Amx => unit::is_available(),
            Self::Avx512 | Self::Avx2 => false,
            Self::Baseline => true,
        }
    }

    /// The set in force for the whole process: the best of this CPU, unless another was
    /// [selected](Self::select).
    pub fn current() -> Self {
        let selected = SELECTED.load(Ordering::Relaxed);
        Self::ALL.get(usize::from(selected)).copied().unwrap_or_else(Self::detected)
    }

    /// Puts the set in force for the whole process. Kernels that are running finish as they began.
    ///
    /// # Panics
    /// If this CPU does not have it.
    pub fn select(self) {
        assert!(self.is_available(), "this CPU does not have {self:?}");
        SELECTED.store(self as u8, Ordering::Relaxed);
    }

    /// The best set of this CPU.
    pub fn detected() -> Self {
        static DETECTED: OnceLock<InstructionSet> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            Self::ALL.into_iter().find(|set| set.is_available()).unwrap_or(Self::Baseline)
        })
    }

    /// Its name: `amx`, `avx512`, `avx2`, and `baseline` or `neon`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Baseline if cfg!(target_arch = "aarch64") => "neon",
            Self::Baseline => "baseline",
        }
    }
}

/// Calls `body`, compiled for the [instruction set](InstructionSet) in force: the compiler can make
/// wider vectors of its plain loops than those that every CPU of the target has. Results are the same,
/// bit for bit. The [`KernelChoice`] does not matter here.
///
/// Only what is inlined into `body` gains: mark the functions that it calls `#[inline(always)]`.
///
/// ```
/// use smoothout_tensor::kernels::vectorised;
///
/// let mut w = vec![1.0_f32; 1000];
/// vectorised(|| w.iter_mut().for_each(|w| *w += 0.5));
/// assert!(w.iter().all(|&w| w == 1.5));
/// ```
#[inline]
pub fn vectorised<T>(body: impl FnOnce() -> T) -> T {
    struct Body<F>(F);
    impl<T, F: FnOnce() -> T> Task for Body<F> {
        type Output = T;

        #[inline(always)]
        fn run<V: Vector>(self) -> T {
            (self.0)()
        }
    }
    simd::run(InstructionSet::current(), Body(body))
}

/// The algorithms and instructions in force, as a person would write them: `"auto avx512"`, and the
/// precision if it is not `f32`: `"auto amx bf16"`.
///
/// ```
/// use smoothout_tensor::kernels::{KernelChoice, kernels_in_use};
///
/// KernelChoice::Scalar.select();
/// assert_eq!(kernels_in_use(), "scalar");
/// ```
pub fn kernels_in_use() -> String {
    let choice = match KernelChoice::current() {
        KernelChoice::Auto => "auto",
        KernelChoice::Direct => "direct",
        KernelChoice::Winograd => "winograd",
        KernelChoice::Scalar => return "scalar".to_owned(),
    };
    let Arithmetic { set, precision } = Arithmetic::current();
    match precision {
        Precision::F32 => format!("{choice} {}", set.name()),
        Precision::Bf16 => format!("{choice} {} {}", set.name(), precision.name()),
    }
}
