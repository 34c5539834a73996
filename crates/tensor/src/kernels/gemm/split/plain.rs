//! What the matrix unit computes, by its definition: its oracle, and the product of strips where
//! there is no unit.

use super::{LINES, STEP, TILE};
use crate::kernels::simd::LANES;

/// The parts of a and b that are multiplied, in this order: from one product to the next, one of the
/// two stays in its tiles.
const PRODUCTS: [(usize, usize); 6] = [(2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)];

/// [`Unit::multiply`](super::Unit::multiply), a sum after the other.
///
/// # Safety
/// As there.
pub(super) unsafe fn multiply(
    factors: [*const f32; 2],
    steps: usize,
    (start, start_stride): (*const f32, usize),
    (sums, stride): (*mut f32, usize),
) {
    // SAFETY: the caller vouches for these steps.
    let [a, b] = factors.map(|strip| unsafe { std::slice::from_raw_parts(strip, steps * STEP) });
    for i in 0..LINES {
        for j in 0..LINES {
            // SAFETY: the caller vouches for 32 rows of 32 values.
            let mut sum = unsafe { *start.add(i * start_stride + j) };
            for (a, b) in a.chunks_exact(STEP).zip(b.chunks_exact(STEP)) {
                for (part_a, part_b) in PRODUCTS {
                    let row = tile(a, part_a, i / LANES)[i % LANES * LANES..][..LANES].iter();
                    let column = tile(b, part_b, j / LANES)[j % LANES..].iter().step_by(LANES);
                    // Lower and upper halves have sums of their own, from zero.
                    let (mut lower, mut upper) = (0.0, 0.0);
                    for (a, b) in row.zip(column) {
                        let ([a0, a1], [b0, b1]) = (pair(*a), pair(*b));
                        lower += a0 * b0;
                        upper += a1 * b1;
                    }
                    sum += lower + upper;
                }
            }
            // SAFETY: as above.
            unsafe { *sums.add(i * stride + j) = sum };
        }
    }
}

/// A tile of a step.
fn tile(step: &[f32], part: usize, half: usize) -> &[f32] {
    &step[(2 * part + half) * TILE..][..TILE]
}

/// The two `bf16` numbers of a lane.
fn pair(lane: f32) -> [f32; 2] {
    let bits = lane.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)]
}
