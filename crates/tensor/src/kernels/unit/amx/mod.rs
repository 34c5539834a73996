//! The matrix unit: eight tile registers of sixteen rows of 64 bytes, a product of two of them added
//! to a third.
//!
//! In assembly, because Rust has no stable functions for it.
//!
//! A `tilestored` that comes more than about 0.7 us after the last one was seen to stall a core for
//! 0.25 us. So each step stores a tile, whatever it holds, and most of them where the sums will be: it
//! costs nothing, the memory is there when the sums are, and products went up to a fifth faster.

mod patches;
mod rounded;
mod strips;

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::ffi::c_long;
use std::marker::PhantomData;
use std::sync::OnceLock;

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
            // SAFETY: there are tiles. Nobody else on this thread uses them as long as there is this value,
            // and the compiler never does, though no rule of the language says so: sums stay in them from
            // one piece of assembly to the next.
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
