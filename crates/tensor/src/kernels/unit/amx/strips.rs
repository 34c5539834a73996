//! Products of strips: two tiles of each factor, four of sums.

use std::arch::asm;

use super::Amx;
use crate::kernels::simd::LANES;
use crate::kernels::unit::{PARTS, step_len};

/// Loads a tile of a factor's step: `2 part + half` is its place, both counted from 0.
macro_rules! load {
    ($tile:literal, $factor:literal, $place:literal) => {
        concat!("tileloadd tmm", $tile, ", [{", $factor, "} + {line}*1 + 1024*", $place, "]")
    };
}

/// Adds the product of a tile of a and one of b to a tile of sums.
macro_rules! multiply {
    ($sums:literal, $a:literal, $b:literal) => {
        concat!("tdpbf16ps tmm", $sums, ", tmm", $a, ", tmm", $b)
    };
}

impl Amx {
    /// [`Unit::multiply`](crate::kernels::unit::Unit::multiply).
    ///
    /// # Safety
    /// As there.
    pub(in crate::kernels::unit) unsafe fn multiply(
        &mut self,
        [a, b]: [*const f32; 2],
        steps: usize,
        (start, start_stride): (*const f32, usize),
        (sums, stride): (*mut f32, usize),
    ) {
        assert!(steps > 0, "a sum of terms");
        // Tiles 0 to 3 are the sums, 4 and 5 the halves of a, 6 and 7 those of b. A load goes between two
        // products, ahead of the one that needs it. The tile that each step stores keeps the core awake.
        // SAFETY: the caller vouches for the steps of both factors and for the sums; the tiles have their
        // shapes as long as there is an `Amx`.
        unsafe {
            asm!(
                "tileloadd tmm0, [{start} + {start_stride}*1]",
                "tileloadd tmm1, [{start} + {start_stride}*1 + 64]",
                "tileloadd tmm2, [{start_lower} + {start_stride}*1]",
                "tileloadd tmm3, [{start_lower} + {start_stride}*1 + 64]",
                "2:",
                load!(6, "b", 0),
                load!(4, "a", 4),
                multiply!(0, 4, 6), // a3 b1
                load!(7, "b", 1),
                multiply!(1, 4, 7),
                load!(5, "a", 5),
                multiply!(2, 5, 6),
                load!(4, "a", 2),
                multiply!(3, 5, 7),
                "tilestored [{sums} + {stride}*1], tmm7",
                multiply!(0, 4, 6), // a2 b1
                load!(5, "a", 3),
                multiply!(1, 4, 7),
                multiply!(2, 5, 6),
                load!(6, "b", 2),
                multiply!(3, 5, 7),
                multiply!(0, 4, 6), // a2 b2
                load!(7, "b", 3),
                multiply!(2, 5, 6),
                multiply!(1, 4, 7),
                load!(4, "a", 0),
                multiply!(3, 5, 7),
                multiply!(0, 4, 6), // a1 b2
                load!(5, "a", 1),
                multiply!(1, 4, 7),
                multiply!(2, 5, 6),
                load!(6, "b", 4),
                multiply!(3, 5, 7),
                multiply!(0, 4, 6), // a1 b3
                load!(7, "b", 5),
                multiply!(2, 5, 6),
                multiply!(1, 4, 7),
                load!(6, "b", 0),
                multiply!(3, 5, 7),
                multiply!(0, 4, 6), // a1 b1
                load!(7, "b", 1),
                multiply!(2, 5, 6),
                multiply!(1, 4, 7),
                multiply!(3, 5, 7),
                "add {a}, {step}",
                "add {b}, {step}",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {stride}*1], tmm0",
                "tilestored [{sums} + {stride}*1 + 64], tmm1",
                "tilestored [{lower} + {stride}*1], tmm2",
                "tilestored [{lower} + {stride}*1 + 64], tmm3",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                line = in(reg) 64_usize,
                step = const step_len(PARTS) * size_of::<f32>(),
                start = in(reg) start,
                start_lower = in(reg) start.wrapping_add(LANES * start_stride),
                start_stride = in(reg) start_stride * size_of::<f32>(),
                sums = in(reg) sums,
                lower = in(reg) sums.wrapping_add(LANES * stride),
                stride = in(reg) stride * size_of::<f32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// The same for strips of one part.
    ///
    /// # Safety
    /// As there.
    pub(in crate::kernels::unit) unsafe fn multiply_rounded(
        &mut self,
        [a, b]: [*const f32; 2],
        steps: usize,
        (start, start_stride): (*const f32, usize),
        (sums, stride): (*mut f32, usize),
    ) {
        assert!(steps > 0, "a sum of terms");
        // SAFETY: as in `multiply`.
        unsafe {
            asm!(
                "tileloadd tmm0, [{start} + {start_stride}*1]",
                "tileloadd tmm1, [{start} + {start_stride}*1 + 64]",
                "tileloadd tmm2, [{start_lower} + {start_stride}*1]",
                "tileloadd tmm3, [{start_lower} + {start_stride}*1 + 64]",
                "2:",
                load!(6, "b", 0),
                load!(4, "a", 0),
                multiply!(0, 4, 6),
                load!(7, "b", 1),
                multiply!(1, 4, 7),
                load!(5, "a", 1),
                multiply!(2, 5, 6),
                multiply!(3, 5, 7),
                "tilestored [{sums} + {stride}*1], tmm7",
                "add {a}, {step}",
                "add {b}, {step}",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {stride}*1], tmm0",
                "tilestored [{sums} + {stride}*1 + 64], tmm1",
                "tilestored [{lower} + {stride}*1], tmm2",
                "tilestored [{lower} + {stride}*1 + 64], tmm3",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                line = in(reg) 64_usize,
                step = const step_len(1) * size_of::<f32>(),
                start = in(reg) start,
                start_lower = in(reg) start.wrapping_add(LANES * start_stride),
                start_stride = in(reg) start_stride * size_of::<f32>(),
                sums = in(reg) sums,
                lower = in(reg) sums.wrapping_add(LANES * stride),
                stride = in(reg) stride * size_of::<f32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
