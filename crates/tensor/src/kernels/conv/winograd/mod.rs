//! Winograd's convolution for 3x3 and 5x5 kernels of stride one: F(4x4, 3x3) and F(2x2, 5x5), with
//! 36 products to a tile instead of 144 and 100.

mod blocks;
mod correlate;
mod multiply;
mod tiles;
mod transform;
mod weight_gradient;
mod weights;

pub(super) use correlate::{correlate, group, prepare, prepared_len};
pub(super) use weight_gradient::{Chunks, weight_gradient};

use super::Conv2dShape;
use crate::kernels::simd::LANES;
use crate::kernels::{Arithmetic, InstructionSet, KernelChoice};

/// Whether a correlation with so many target pixels to an image runs here. The matrix unit makes direct
/// ones twice as fast.
pub(super) fn serves(
    (choice, with): (KernelChoice, Arithmetic),
    shape: &Conv2dShape,
    target: [usize; 2],
) -> bool {
    let most = if with.set == InstructionSet::Amx { [3, 10] } else { [3, 5] };
    serves_below(most, choice, shape, target) && fits(choice, with, shape)
}

/// Whether a weight gradient runs here: where [`serves`] says so without a matrix unit, for batches of a few
/// images and more, if the sums stay near.
pub(super) fn serves_weight_gradient(choice: KernelChoice, shape: &Conv2dShape) -> bool {
    let small = shape.in_channels * shape.out_channels <= 128 * 128 && shape.batch >= 4;
    let small = choice == KernelChoice::Winograd || small;
    serves_below([3, 5], choice, shape, shape.output_image()) && small
}

/// Whether it is asked for, or no matrix unit would have to wait until all transformed weights have come
/// from memory.
fn fits(choice: KernelChoice, with: Arithmetic, shape: &Conv2dShape) -> bool {
    const WEIGHTS: usize = 1 << 22;
    let weights = transform::PRODUCTS * shape.in_channels * shape.out_channels;
    choice == KernelChoice::Winograd || with.set != InstructionSet::Amx || weights <= WEIGHTS
}

/// Whether the algorithm applies, and is asked for or takes fewer products than this share of those of
/// the direct one.
fn serves_below(
    [products_of, direct_of]: [usize; 2],
    choice: KernelChoice,
    shape: &Conv2dShape,
    target: [usize; 2],
) -> bool {
    let [taps, other] = shape.kernel;
    let whole = |channels: usize| channels > 0 && channels.is_multiple_of(LANES);
    let applies = taps == other
        && (taps == 3 || taps == 5)
        && shape.stride == [1, 1]
        && whole(shape.in_channels)
        && whole(shape.out_channels);
    if !applies {
        return false;
    }
    // Products to a target pixel, of all that its tile costs.
    let side = transform::POINTS + 1 - taps;
    let tiles = target.map(|extent| extent.div_ceil(side)).iter().product::<usize>();
    let products = tiles * transform::PRODUCTS;
    let direct = target[0] * target[1] * taps * taps;
    match choice {
        KernelChoice::Direct | KernelChoice::Scalar => false,
        KernelChoice::Winograd => true,
        KernelChoice::Auto => direct_of * products < products_of * direct,
    }
}
