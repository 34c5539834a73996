//! The matrix unit: eight tile registers of sixteen rows of 64 bytes, a product of two of them added
//! to a third.
//!
//! In assembly, because Rust has no stable functions for it.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::ffi::c_long;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::{PARTS, Patches, STEP, TILE};
use crate::kernels::simd::LANES;

/// Whether this CPU has the unit, and the system keeps its tiles for this process: it is asked once,
/// as Linux wants it.
pub(super) fn is_available() -> bool {
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    const ARCH_REQ_XCOMP_PERM: c_long = 0x1023;
    const XFEATURE_XTILEDATA: c_long = 18;
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let has = |bits: u32| __cpuid_count(7, 0).edx & bits == bits;
        has(BF16 | TILES) && {
            let (code, feature) = (ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
            // SAFETY: the call touches no memory of this process.
            unsafe { libc::syscall(libc::SYS_arch_prctl, code, feature) == 0 }
        }
    })
}

/// Bytes of a lane.
const LANE: usize = size_of::<f32>();

/// The shapes of the tiles, as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

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

/// The unit, ready to multiply on this thread until this is dropped.
pub(in crate::kernels) struct Amx {
    /// A value stays on its thread.
    _thread: PhantomData<*const ()>,
}

impl Amx {
    /// Shapes the tiles, if there is a unit.
    ///
    /// # Safety
    /// A thread has one of these at a time.
    pub(super) unsafe fn take() -> Option<Self> {
        is_available().then(|| {
            // SAFETY: there are tiles. No function keeps anything in them while it calls another, and the
            // compiler does not use them.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack)) };
            Self { _thread: PhantomData }
        })
    }
}

impl Drop for Amx {
    /// Gives the tiles back, empty: the system need not keep them any more.
    fn drop(&mut self) {
        // SAFETY: there are tiles, or there would be no value.
        unsafe { asm!("tilerelease", options(nostack)) };
    }
}

/// [`Unit::multiply`](super::Unit::multiply).
///
/// # Safety
/// As there.
pub(super) unsafe fn multiply(
    _amx: &Amx,
    [a, b]: [*const f32; 2],
    steps: usize,
    (start, start_stride): (*const f32, usize),
    (sums, stride): (*mut f32, usize),
) {
    assert!(steps > 0, "a sum of terms");
    // Tiles 0 to 3 are the sums, 4 and 5 the halves of a, 6 and 7 those of b. A load goes between two
    // products, ahead of the one that needs it.
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
            step = const STEP * size_of::<f32>(),
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
/// another part of the weights, if it can. It begins at the third part, and ends at the first.
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

/// [`Unit::multiply_patches`](super::Unit::multiply_patches).
///
/// # Safety
/// As there.
pub(super) unsafe fn multiply_patches(
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
    let next_row = LANE * row.wrapping_sub(steps * LANES);
    let loops = Loops { steps, next_row, stride: LANE * stride, sums };
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
            "mov {part}, [{loops} + 16]",
            "mov {steps}, [{loops} + 24]",
            "tilestored [{steps} + {part}*1], tmm0",
            "mov {steps}, [{loops} + 32]",
            "tilestored [{steps} + {part}*1], tmm1",
            "mov {steps}, [{loops} + 40]",
            "tilestored [{steps} + {part}*1], tmm2",
            "mov {steps}, [{loops} + 48]",
            "tilestored [{steps} + {part}*1], tmm3",
            t0 = inout(reg) t0 => _,
            t1 = inout(reg) t1 => _,
            t2 = inout(reg) t2 => _,
            t3 = inout(reg) t3 => _,
            weights = inout(reg) weights => _,
            pixel = in(reg) LANE * pixel,
            part = inout(reg) LANE * part => _,
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
    /// Bytes from a row of sums to the next.
    stride: usize,
    sums: [*mut f32; 4],
}

/// [`Unit::multiply_taps`](super::Unit::multiply_taps).
///
/// # Safety
/// As there.
pub(super) unsafe fn multiply_taps(
    _amx: &Amx,
    gradient: *const f32,
    taps: [*const f32; 4],
    patches: &Patches,
    sums: *mut f32,
) {
    let Patches { pixel, part, steps, .. } = *patches;
    assert!(steps > 0, "a sum of terms");
    // Each step begins with the third part.
    let [t0, t1, t2, t3] = taps.map(|tile| tile.wrapping_add(2 * part));
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
            pixel = in(reg) LANE * pixel,
            part = in(reg) LANE * part,
            next_step = in(reg) LANE * (LANES * pixel + 2 * part),
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
