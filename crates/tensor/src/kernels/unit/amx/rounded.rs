//! Products of four or five tiles of pixels and one of what they all meet, of one part each.

use std::arch::asm;

use super::{Amx, LANE};
use crate::kernels::simd::LANES;
use crate::kernels::unit::{Patches, TILE, Taps};

/// Loads a tile of pixels.
macro_rules! pixels {
    ($tile:literal, $pixels:literal) => {
        concat!("tileloadd tmm", $tile, ", [{t", $pixels, "} + {pixel}*1]\n")
    };
}

/// Adds a product of two tiles to one of sums.
macro_rules! multiply {
    ($sums:literal, $a:literal, $b:literal) => {
        concat!("tdpbf16ps tmm", $sums, ", tmm", $a, ", tmm", $b, "\n")
    };
}

impl Amx {
    /// [`Unit::add_patches`](crate::kernels::unit::Unit::add_patches).
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(in crate::kernels::unit) unsafe fn add_rounded_patches(
        &mut self,
        [t0, t1, t2, t3]: [*const f32; 4],
        patches: &Patches,
        weights: *const f32,
        (ahead, stride): (*mut f32, usize),
    ) {
        // Tiles 0 to 3 are the sums, 4 to 6 the pixels, 7 the weights.
        // SAFETY: the caller vouches for all that is read; the tiles have their shapes as long as there
        // is an `Amx`, and nobody else uses them.
        unsafe {
            asm!(
                "tileloadd tmm7, [{weights} + {line}*1]",
                pixels!(4, 0),
                pixels!(5, 1),
                pixels!(6, 2),
                multiply!(0, 4, 7),
                pixels!(4, 3),
                multiply!(1, 5, 7),
                multiply!(2, 6, 7),
                multiply!(3, 4, 7),
                "tilestored [{ahead} + {stride}*1], tmm7",
                t0 = in(reg) t0,
                t1 = in(reg) t1,
                t2 = in(reg) t2,
                t3 = in(reg) t3,
                weights = in(reg) weights,
                pixel = in(reg) LANE * patches.pixel,
                line = in(reg) 64_usize,
                ahead = in(reg) ahead,
                stride = in(reg) LANE * stride,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// [`Unit::multiply_taps`](crate::kernels::unit::Unit::multiply_taps).
    ///
    /// # Safety
    /// As there.
    pub(in crate::kernels::unit) unsafe fn multiply_rounded_taps(
        &mut self,
        gradient: *const f32,
        [t0, t1, t2, t3]: [*const f32; 4],
        taps: &Taps,
        sums: *mut f32,
    ) {
        // Tiles 0 to 3 are the sums, 4 to 6 the pixels, 7 the gradient.
        // SAFETY: the caller vouches for all that is read, and for the sums; there are tiles, as above.
        unsafe {
            asm!(
                "tileloadd tmm0, [{sums} + {line}*1]",
                "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
                "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
                "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
                "2:",
                "tileloadd tmm7, [{gradient} + {line}*1]",
                pixels!(4, 0),
                pixels!(5, 1),
                pixels!(6, 2),
                multiply!(0, 7, 4),
                pixels!(4, 3),
                multiply!(1, 7, 5),
                multiply!(2, 7, 6),
                multiply!(3, 7, 4),
                "tilestored [{sums} + {line}*1], tmm7",
                "add {gradient}, {tile}",
                "add {t0}, {next_step}",
                "add {t1}, {next_step}",
                "add {t2}, {next_step}",
                "add {t3}, {next_step}",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {line}*1], tmm0",
                "tilestored [{sums} + {line}*1 + 1024], tmm1",
                "tilestored [{sums} + {line}*1 + 2048], tmm2",
                "tilestored [{sums} + {line}*1 + 3072], tmm3",
                t0 = inout(reg) t0 => _,
                t1 = inout(reg) t1 => _,
                t2 = inout(reg) t2 => _,
                t3 = inout(reg) t3 => _,
                gradient = inout(reg) gradient => _,
                pixel = in(reg) LANE * taps.row,
                next_step = in(reg) LANE * LANES * taps.row,
                line = in(reg) 64_usize,
                tile = const TILE * LANE,
                steps = inout(reg) taps.steps => _,
                sums = in(reg) sums,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// The same for five tiles.
    ///
    /// # Safety
    /// As there.
    pub(in crate::kernels::unit) unsafe fn multiply_five_rounded_taps(
        &mut self,
        gradient: *const f32,
        [t0, t1, t2, t3, t4]: [*const f32; 5],
        taps: &Taps,
        sums: *mut f32,
    ) {
        // SAFETY: as in `multiply_rounded_taps`.
        unsafe {
            asm!(
                "tileloadd tmm0, [{sums} + {line}*1]",
                "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
                "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
                "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
                "tileloadd tmm4, [{sums} + {line}*1 + 4096]",
                "2:",
                "tileloadd tmm7, [{gradient} + {line}*1]",
                pixels!(5, 0),
                pixels!(6, 1),
                multiply!(0, 7, 5),
                pixels!(5, 2),
                multiply!(1, 7, 6),
                pixels!(6, 3),
                multiply!(2, 7, 5),
                pixels!(5, 4),
                multiply!(3, 7, 6),
                multiply!(4, 7, 5),
                "tilestored [{sums} + {line}*1], tmm7",
                "add {gradient}, {tile}",
                "add {t0}, {next_step}",
                "add {t1}, {next_step}",
                "add {t2}, {next_step}",
                "add {t3}, {next_step}",
                "add {t4}, {next_step}",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {line}*1], tmm0",
                "tilestored [{sums} + {line}*1 + 1024], tmm1",
                "tilestored [{sums} + {line}*1 + 2048], tmm2",
                "tilestored [{sums} + {line}*1 + 3072], tmm3",
                "tilestored [{sums} + {line}*1 + 4096], tmm4",
                t0 = inout(reg) t0 => _,
                t1 = inout(reg) t1 => _,
                t2 = inout(reg) t2 => _,
                t3 = inout(reg) t3 => _,
                t4 = inout(reg) t4 => _,
                gradient = inout(reg) gradient => _,
                pixel = in(reg) LANE * taps.row,
                next_step = in(reg) LANE * LANES * taps.row,
                line = in(reg) 64_usize,
                tile = const TILE * LANE,
                steps = inout(reg) taps.steps => _,
                sums = in(reg) sums,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
