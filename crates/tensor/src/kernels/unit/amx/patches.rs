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
/// that it stores keeps the core awake, see [`amx`](super).
macro_rules! step {
    ($multiply:ident) => {
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
            "tilestored [{sums} + {stride}*1], tmm7\n",
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
            "add {weights}, {step_of_weights}",
        )
    };
}

/// [`Unit::multiply_patches`](crate::kernels::unit::Unit::multiply_patches).
///
/// # Safety
/// As there.
pub(in crate::kernels::unit) unsafe fn multiply_patches(
    _amx: &Amx,
    tiles: [*const f32; 4],
    patches: &Patches,
    weights: *const f32,
    (sums, stride): ([*mut f32; 4], usize),
) {
    let Patches { pixel, row, part, rows, steps } = *patches;
    assert!(rows > 0 && steps > 0, "a sum of terms");
    // Each step begins with the third part.
    let [t0, t1, t2, t3] = tiles.map(|tile| tile.wrapping_add(2 * part));
    let next_row = row.wrapping_sub(steps * LANES).wrapping_mul(LANE);
    let loops = Loops { steps, next_row, sums: [sums[1], sums[2], sums[3]] };
    // SAFETY: the caller vouches for all that is read, and for the sums; the tiles have their shapes as
    // long as there is an `Amx`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {steps}, [{loops}]",
            "3:",
            step!(patch_by_weight),
            "lea {t0}, [{t0} + 2*{part} + 64]",
            "lea {t1}, [{t1} + 2*{part} + 64]",
            "lea {t2}, [{t2} + 2*{part} + 64]",
            "lea {t3}, [{t3} + 2*{part} + 64]",
            "dec {steps}",
            "jnz 3b",
            "mov {steps}, [{loops} + 8]",
            "add {t0}, {steps}",
            "add {t1}, {steps}",
            "add {t2}, {steps}",
            "add {t3}, {steps}",
            "dec {rows}",
            "jnz 2b",
            "tilestored [{sums} + {stride}*1], tmm0",
            "mov {sums}, [{loops} + 16]",
            "tilestored [{sums} + {stride}*1], tmm1",
            "mov {sums}, [{loops} + 24]",
            "tilestored [{sums} + {stride}*1], tmm2",
            "mov {sums}, [{loops} + 32]",
            "tilestored [{sums} + {stride}*1], tmm3",
            t0 = inout(reg) t0 => _,
            t1 = inout(reg) t1 => _,
            t2 = inout(reg) t2 => _,
            t3 = inout(reg) t3 => _,
            weights = inout(reg) weights => _,
            pixel = in(reg) LANE * pixel,
            part = in(reg) LANE * part,
            sums = inout(reg) sums[0] => _,
            stride = in(reg) LANE * stride,
            line = in(reg) 64_usize,
            step_of_weights = const PARTS * TILE * LANE,
            rows = inout(reg) rows => _,
            steps = out(reg) _,
            loops = in(reg) &raw const loops,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// What there is no register for, in the order in which the assembly reads it.
#[repr(C)]
struct Loops {
    steps: usize,
    /// Bytes from the end of a row of a patch to the next one.
    next_row: usize,
    sums: [*mut f32; 3],
}

/// [`Unit::multiply_taps`](crate::kernels::unit::Unit::multiply_taps).
///
/// # Safety
/// As there.
pub(in crate::kernels::unit) unsafe fn multiply_taps(
    _amx: &Amx,
    gradient: *const f32,
    tiles: [*const f32; 4],
    taps: &Taps,
    sums: *mut f32,
) {
    let Taps { row, part, steps } = *taps;
    assert!(steps > 0, "a sum of terms");
    // Each step begins with the third part.
    let [t0, t1, t2, t3] = tiles.map(|tile| tile.wrapping_add(2 * part));
    // SAFETY: the caller vouches for all that is read, and for the sums; the tiles have their shapes as
    // long as there is an `Amx`.
    unsafe {
        asm!(
            "tileloadd tmm0, [{sums} + {line}*1]",
            "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
            "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
            "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
            "2:",
            step!(gradient_by_tap),
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
            stride = in(reg) 64_usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
