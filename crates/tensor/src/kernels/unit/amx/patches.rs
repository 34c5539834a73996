//! Products of four tiles of pixels and one of what they all meet.

use std::arch::asm;

use super::{Amx, LANE};
use crate::kernels::simd::LANES;
use crate::kernels::unit::{PARTS, Patches, TILE, Taps};

/// Loads a part of a tile of pixels.
macro_rules! pixels {
    ($tile:literal, $pixels:literal) => {
        concat!("tileloadd tmm", $tile, ", [{t", $pixels, "} + {pixel}*1]\n")
    };
}

/// Loads a part of a tile of weights.
macro_rules! weights {
    ($part:literal) => {
        concat!("tileloadd tmm7, [{weights} + {line}*1 + 1024*", $part, "]\n")
    };
}

/// Goes to the part before.
macro_rules! part_before {
    () => {
        "sub {t0}, {part}\nsub {t1}, {part}\nsub {t2}, {part}\nsub {t3}, {part}\n"
    };
}

/// Adds the product of a tile of pixels and the one of weights to a tile of sums.
macro_rules! patch_by_weight {
    ($sums:literal, $pixels:literal) => {
        concat!("tdpbf16ps tmm", $sums, ", tmm", $pixels, ", tmm7\n")
    };
}

/// Adds the product of a tile of gradients, which stands for the weights, and one of pixels.
macro_rules! gradient_by_tap {
    ($sums:literal, $pixels:literal) => {
        concat!("tdpbf16ps tmm", $sums, ", tmm7, tmm", $pixels, "\n")
    };
}

/// A step of four tiles of pixels and one of weights. Tiles 0 to 3 are the sums, 4 to 6 the pixels, 7 the
/// weights. Sums wait for three products of others; a tile of pixels stays for the next product with
/// another part of the weights, if it can. It begins at the third part, and ends at the first. The tile
/// that it stores, with `$stride` from a row to the next, keeps the core awake, see [`amx`](super).
macro_rules! step {
    ($multiply:ident, $ahead:literal, $stride:literal) => {
        concat!(
            weights!(0),
            pixels!(4, 0),
            pixels!(5, 1),
            pixels!(6, 2),
            $multiply!(0, 4), // a3 b1
            pixels!(4, 3),
            $multiply!(1, 5),
            $multiply!(2, 6),
            $multiply!(3, 4),
            "tilestored [{",
            $ahead,
            "} + {",
            $stride,
            "}*1], tmm7\n",
            part_before!(),
            pixels!(5, 0),
            pixels!(6, 1),
            $multiply!(0, 5), // a2 b1
            pixels!(4, 2),
            $multiply!(1, 6),
            pixels!(5, 3),
            $multiply!(2, 4),
            $multiply!(3, 5),
            weights!(1),
            $multiply!(1, 6), // a2 b2
            pixels!(6, 0),
            $multiply!(2, 4),
            $multiply!(3, 5),
            $multiply!(0, 6),
            part_before!(),
            pixels!(4, 1),
            pixels!(5, 2),
            $multiply!(1, 4), // a1 b2
            pixels!(6, 3),
            $multiply!(2, 5),
            pixels!(4, 0),
            $multiply!(3, 6),
            $multiply!(0, 4),
            weights!(2),
            $multiply!(2, 5), // a1 b3
            pixels!(5, 1),
            $multiply!(3, 6),
            $multiply!(0, 4),
            $multiply!(1, 5),
            weights!(0),
            $multiply!(3, 6), // a1 b1
            pixels!(6, 2),
            $multiply!(0, 4),
            $multiply!(1, 5),
            $multiply!(2, 6),
        )
    };
}

/// The products of a part of the gradient and one of five tiles. Tiles 0 to 4 are the sums, 5 and 6 the
/// pixels, 7 the gradient.
macro_rules! five_products {
    ($part:literal) => {
        concat!(
            "tileloadd tmm7, [{gradient} + {line}*1 + 1024*",
            $part,
            "]\n",
            pixels!(5, 0),
            pixels!(6, 1),
            gradient_by_tap!(0, 5),
            pixels!(5, 2),
            gradient_by_tap!(1, 6),
            pixels!(6, 3),
            gradient_by_tap!(2, 5),
            pixels!(5, 4),
            gradient_by_tap!(3, 6),
            gradient_by_tap!(4, 5),
        )
    };
}

/// Goes to the part before in five tiles.
macro_rules! part_before_of_five {
    () => {
        concat!(part_before!(), "sub {t4}, {part}\n")
    };
}

impl Amx {
    /// [`Unit::begin`](crate::kernels::unit::Unit::begin).
    #[inline(always)]
    pub(in crate::kernels::unit) fn begin(&mut self) {
        // SAFETY: there are tiles as long as there is an `Amx`, and their values are its own.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }

    /// [`Unit::add_patches`](crate::kernels::unit::Unit::add_patches).
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(in crate::kernels::unit) unsafe fn add_patches(
        &mut self,
        tiles: [*const f32; 4],
        patches: &Patches,
        weights: *const f32,
        (ahead, stride): (*mut f32, usize),
    ) {
        let Patches { pixel, part } = *patches;
        // Each step begins with the third part.
        let [t0, t1, t2, t3] = tiles.map(|tile| tile.wrapping_add(2 * part));
        // SAFETY: the caller vouches for all that is read; the tiles have their shapes as long as there
        // is an `Amx`, and nobody else uses them.
        unsafe {
            asm!(
                step!(patch_by_weight, "ahead", "stride"),
                t0 = inout(reg) t0 => _,
                t1 = inout(reg) t1 => _,
                t2 = inout(reg) t2 => _,
                t3 = inout(reg) t3 => _,
                weights = in(reg) weights,
                pixel = in(reg) LANE * pixel,
                part = in(reg) LANE * part,
                line = in(reg) 64_usize,
                ahead = in(reg) ahead,
                stride = in(reg) LANE * stride,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// [`Unit::finish`](crate::kernels::unit::Unit::finish).
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(in crate::kernels::unit) unsafe fn finish(&mut self, sums: [*mut f32; 4], stride: usize) {
        // SAFETY: the caller vouches for all that is written; there are tiles, as above.
        unsafe {
            asm!(
                "tilestored [{t0} + {stride}*1], tmm0",
                "tilestored [{t1} + {stride}*1], tmm1",
                "tilestored [{t2} + {stride}*1], tmm2",
                "tilestored [{t3} + {stride}*1], tmm3",
                t0 = in(reg) sums[0],
                t1 = in(reg) sums[1],
                t2 = in(reg) sums[2],
                t3 = in(reg) sums[3],
                stride = in(reg) LANE * stride,
                options(nostack, preserves_flags),
            );
        }
    }

    /// [`Unit::multiply_taps`](crate::kernels::unit::Unit::multiply_taps).
    ///
    /// # Safety
    /// As there.
    pub(in crate::kernels::unit) unsafe fn multiply_taps(
        &mut self,
        gradient: *const f32,
        tiles: [*const f32; 4],
        taps: &Taps,
        sums: *mut f32,
    ) {
        let Taps { row, part, steps } = *taps;
        // Each step begins with the third part.
        let [t0, t1, t2, t3] = tiles.map(|tile| tile.wrapping_add(2 * part));
        // SAFETY: the caller vouches for all that is read, and for the sums; there are tiles, as above.
        unsafe {
            asm!(
                "tileloadd tmm0, [{sums} + {line}*1]",
                "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
                "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
                "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
                "2:",
                step!(gradient_by_tap, "sums", "line"),
                "add {weights}, {step_of_weights}",
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
                weights = inout(reg) gradient => _,
                pixel = in(reg) LANE * row,
                part = in(reg) LANE * part,
                next_step = in(reg) LANE * (LANES * row + 2 * part),
                line = in(reg) 64_usize,
                step_of_weights = const PARTS * TILE * LANE,
                steps = inout(reg) steps => _,
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
    pub(in crate::kernels::unit) unsafe fn multiply_five_taps(
        &mut self,
        gradient: *const f32,
        tiles: [*const f32; 5],
        taps: &Taps,
        sums: *mut f32,
    ) {
        let Taps { row, part, steps } = *taps;
        let [t0, t1, t2, t3, t4] = tiles.map(|tile| tile.wrapping_add(2 * part));
        // SAFETY: as in `multiply_taps`.
        unsafe {
            asm!(
                "tileloadd tmm0, [{sums} + {line}*1]",
                "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
                "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
                "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
                "tileloadd tmm4, [{sums} + {line}*1 + 4096]",
                "2:",
                five_products!(0), // a3 b1
                "tilestored [{sums} + {line}*1], tmm7",
                part_before_of_five!(),
                five_products!(0), // a2 b1
                five_products!(1), // a2 b2
                part_before_of_five!(),
                five_products!(1), // a1 b2
                five_products!(2), // a1 b3
                five_products!(0), // a1 b1
                "add {gradient}, {step_of_gradient}",
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
                pixel = in(reg) LANE * row,
                part = in(reg) LANE * part,
                next_step = in(reg) LANE * (LANES * row + 2 * part),
                line = in(reg) 64_usize,
                step_of_gradient = const PARTS * TILE * LANE,
                steps = inout(reg) steps => _,
                sums = in(reg) sums,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
