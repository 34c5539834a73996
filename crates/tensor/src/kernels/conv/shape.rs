//! The extents of a convolution and what follows from them.

use std::ops::Range;

/// The extents of a two-dimensional convolution.
///
/// input (N, H, W, I), weight (O, I, KH, KW), output (N, HO, WO, O) with
/// HO = (H + 2 PH - KH) / SH + 1, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2dShape {
    /// N, the number of images.
    pub batch: usize,
    /// (H, W), the input's height and width in pixels.
    pub image: [usize; 2],
    /// I.
    pub in_channels: usize,
    /// O.
    pub out_channels: usize,
    /// (KH, KW).
    pub kernel: [usize; 2],
    /// (SH, SW), at least 1.
    pub stride: [usize; 2],
    /// (PH, PW): rows and columns of zeros on each side.
    pub padding: [usize; 2],
}

impl Conv2dShape {
    /// (HO, WO), the output's height and width.
    ///
    /// # Panics
    /// If the kernel does not fit the padded image, or a stride is zero.
    pub fn output_image(&self) -> [usize; 2] {
        [0, 1].map(|d| {
            let padded = self.padding[d].checked_mul(2).and_then(|p| p.checked_add(self.image[d]));
            match padded.and_then(|padded| padded.checked_sub(self.kernel[d])) {
                Some(room) => room / self.stride[d] + 1,
                None => panic!("the kernel does not fit the padded image of {self:?}"),
            }
        })
    }

    /// Elements of the input.
    ///
    /// # Panics
    /// Like the other counts, if they are more than can be counted.
    pub fn input_len(&self) -> usize {
        product([self.batch, self.image[0], self.image[1], self.in_channels])
    }

    /// Elements of the weight.
    pub fn weight_len(&self) -> usize {
        product([self.out_channels, self.in_channels, self.kernel[0], self.kernel[1]])
    }

    /// Elements of the output.
    ///
    /// # Panics
    /// As [`output_image`](Self::output_image).
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_image();
        product([self.batch, height, width, self.out_channels])
    }

    /// Multiply-adds of one forward pass, padding counted as dense work.
    pub fn multiply_adds(&self) -> usize {
        product([self.output_len(), self.in_channels, self.kernel[0], self.kernel[1]])
    }

    /// The input coordinate that tap `u` meets at output coordinate `y`, if it is not padding.
    pub(super) fn source(&self, dimension: usize, y: usize, u: usize) -> Option<usize> {
        (y * self.stride[dimension] + u)
            .checked_sub(self.padding[dimension])
            .filter(|&source| source < self.image[dimension])
    }

    /// The input coordinates along `dimension` that output coordinate `y` meets, padding left out.
    pub(in crate::kernels) fn sources(&self, dimension: usize, y: usize) -> Range<usize> {
        let (start, padding) = (y * self.stride[dimension], self.padding[dimension]);
        let end = (start + self.kernel[dimension]).saturating_sub(padding);
        start.saturating_sub(padding)..end.min(self.image[dimension])
    }

    /// For each input coordinate along `dimension`, the output coordinates that meet it.
    pub(in crate::kernels) fn windows(
        &self,
        dimension: usize,
    ) -> impl Iterator<Item = Range<usize>> + Clone {
        let (kernel, stride) = (self.kernel[dimension], self.stride[dimension]);
        let (padding, count) = (self.padding[dimension], self.output_image()[dimension]);
        let mut seen = 0..0;
        (padding..padding + self.image[dimension]).map(move |at| {
            while seen.end < count && seen.end * stride <= at {
                seen.end += 1;
            }
            while seen.start < seen.end && seen.start * stride + kernel <= at {
                seen.start += 1;
            }
            seen.clone()
        })
    }

    /// Calls `visit(output pixel, input pixel, tap)` for each pair that meets within one image.
    pub(super) fn for_each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [height, width] = self.output_image();
        for y in 0..height {
            for x in 0..width {
                for u in 0..self.kernel[0] {
                    let Some(source_y) = self.source(0, y, u) else { continue };
                    for v in 0..self.kernel[1] {
                        let Some(source_x) = self.source(1, x, v) else { continue };
                        visit(
                            y * width + x,
                            source_y * self.image[1] + source_x,
                            u * self.kernel[1] + v,
                        );
                    }
                }
            }
        }
    }

    /// # Panics
    /// If a max pool does not take what this convolution writes.
    pub(super) fn check_pool(&self, pool: &Self) {
        let takes = (pool.batch, pool.image, [pool.in_channels, pool.out_channels]);
        let written = (self.batch, self.output_image(), [self.out_channels; 2]);
        assert_eq!(takes, written, "batch, image and channels of a pool behind {self:?}");
    }

    pub(super) fn check(&self, input: usize, weight: usize, output: usize) {
        assert_eq!(input, self.input_len(), "length of the input of {self:?}");
        assert_eq!(weight, self.weight_len(), "length of the weight of {self:?}");
        assert_eq!(output, self.output_len(), "length of the output of {self:?}");
    }

    /// Whether there is nothing to multiply: what is asked for is zeros then.
    pub(super) fn is_empty(&self) -> bool {
        [self.input_len(), self.weight_len(), self.output_len()].contains(&0)
    }
}

/// Checked: the lengths of slices are held against it, and unsafe code relies on them.
fn product<const N: usize>(extents: [usize; N]) -> usize {
    let count = extents.into_iter().try_fold(1, usize::checked_mul);
    count.unwrap_or_else(|| panic!("{extents:?} are more elements than can be counted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Conv2dShape = Conv2dShape {
        batch: 32,
        image: [1, 1],
        in_channels: 3,
        out_channels: 8,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [0, 0],
    };

    #[test]
    #[should_panic(expected = "the kernel does not fit")]
    fn a_kernel_is_no_larger_than_the_padded_image() {
        SHAPE.output_image();
    }

    #[test]
    #[should_panic(expected = "more elements than can be counted")]
    fn lengths_do_not_wrap() {
        Conv2dShape { kernel: [1, 1], out_channels: 1 << 60, ..SHAPE }.output_len();
    }
}
