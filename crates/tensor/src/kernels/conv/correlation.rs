//! What the forward pass and the input gradient have in common: both are *correlations*. A target
//! pixel sums the products of filter taps with a rectangle of source pixels that begins at a fixed
//! multiple of its own coordinates.
//!
//! Forward: the source is the input, the target the output, and along each axis
//! `y[q] = sum_t w[t] x[s q - p + t]`.
//!
//! Input gradient: the source is the output's gradient g, the target the input's. From
//! `dx[j] = sum { w[u] g[q] : s q - p + u = j }`, the coordinates j with `(j + p) mod s = r` (a
//! *phase*) meet the taps u = r, r + s, ... only: with `j = s q - p + r` and T such taps,
//! `dx[j] = sum_t w[r + s (T - 1 - t)] g[q - (T - 1) + t]`. So each phase is a correlation of
//! stride one with some of the taps in reverse order, written to every s-th target pixel.

use std::ops::Range;

use super::Conv2dShape;

/// Which of the two correlations of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels) enum Direction {
    Forward,
    InputGradient,
}

/// A convolution seen as a correlation.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Correlation {
    shape: Conv2dShape,
    direction: Direction,
}

/// One phase along one axis. Its target coordinate number q is `to_first + to_step q`; there, tap t
/// meets source coordinate `from_first + from_step q + t` and kernel index
/// `kernel_first + kernel_step t`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// How many target coordinates the phase has.
    pub(super) count: usize,
    pub(super) to_first: usize,
    pub(super) to_step: usize,
    pub(super) from_first: isize,
    pub(super) from_step: usize,
    pub(super) taps: usize,
    kernel_first: usize,
    kernel_step: isize,
}

impl Axis {
    /// The kernel index of tap t.
    pub(super) fn kernel(&self, t: usize) -> usize {
        self.kernel_first.wrapping_add_signed(self.kernel_step * t as isize)
    }

    /// The numbers q whose target coordinates lie in `to`.
    pub(super) fn numbers_in(&self, to: &Range<usize>) -> Range<usize> {
        let number = |bound: usize| {
            bound.saturating_sub(self.to_first).div_ceil(self.to_step).min(self.count)
        };
        number(to.start)..number(to.end)
    }

    /// The source coordinates that the target coordinates number `numbers` meet.
    fn reach(&self, numbers: Range<usize>) -> Option<Range<isize>> {
        let last = numbers.end.checked_sub(1).filter(|&last| last >= numbers.start)?;
        let at = |q: usize| self.from_first + (self.from_step * q) as isize;
        (self.taps > 0).then(|| at(numbers.start)..at(last) + self.taps as isize)
    }
}

impl Correlation {
    pub(in crate::kernels) fn new(shape: Conv2dShape, direction: Direction) -> Self {
        Self { shape, direction }
    }

    /// N.
    pub(super) fn batch(&self) -> usize {
        self.shape.batch
    }

    /// Height and width of source and target.
    pub(super) fn images(&self) -> ([usize; 2], [usize; 2]) {
        let (input, output) = (self.shape.image, self.shape.output_image());
        match self.direction {
            Direction::Forward => (input, output),
            Direction::InputGradient => (output, input),
        }
    }

    /// Channels of source and target.
    pub(super) fn channels(&self) -> (usize, usize) {
        let (inputs, outputs) = (self.shape.in_channels, self.shape.out_channels);
        match self.direction {
            Direction::Forward => (inputs, outputs),
            Direction::InputGradient => (outputs, inputs),
        }
    }

    /// Where weight (target channel, source channel, u, v) stands.
    pub(super) fn weight_index(&self, target: usize, source: usize, u: usize, v: usize) -> usize {
        let (o, i) = match self.direction {
            Direction::Forward => (target, source),
            Direction::InputGradient => (source, target),
        };
        let [height, width] = self.shape.kernel;
        ((o * self.shape.in_channels + i) * height + u) * width + v
    }

    /// The convolution's shape.
    pub(super) fn shape(&self) -> &Conv2dShape {
        &self.shape
    }

    /// Which of the convolution's two correlations it is.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// How many phases an axis (0: rows, 1: columns) has.
    pub(super) fn phases(&self, axis: usize) -> usize {
        match self.direction {
            Direction::Forward => 1,
            Direction::InputGradient => self.shape.stride[axis],
        }
    }

    /// Phase r of an axis.
    pub(super) fn axis(&self, axis: usize, r: usize) -> Axis {
        let shape = &self.shape;
        let (kernel, stride, padding) =
            (shape.kernel[axis], shape.stride[axis], shape.padding[axis]);
        match self.direction {
            Direction::Forward => Axis {
                count: shape.output_image()[axis],
                to_first: 0,
                to_step: 1,
                from_first: -(padding as isize),
                from_step: stride,
                taps: kernel,
                kernel_first: 0,
                kernel_step: 1,
            },
            Direction::InputGradient => {
                let taps = kernel.saturating_sub(r).div_ceil(stride);
                let first = padding.saturating_sub(r).div_ceil(stride);
                let to_first = stride * first + r - padding;
                Axis {
                    count: shape.image[axis].saturating_sub(to_first).div_ceil(stride),
                    to_first,
                    to_step: stride,
                    from_first: first as isize + 1 - taps as isize,
                    from_step: 1,
                    taps,
                    kernel_first: (r + stride * taps).saturating_sub(stride),
                    kernel_step: -(stride as isize),
                }
            }
        }
    }

    /// How many of the target coordinates `to` along an axis the phase has that has the most.
    pub(super) fn most_numbers(&self, axis: usize, to: &Range<usize>) -> usize {
        let phases = (0..self.phases(axis)).map(|r| self.axis(axis, r).numbers_in(to).len());
        phases.max().expect("at least one phase")
    }

    /// The source coordinates along an axis that the target coordinates `to` meet in any phase.
    pub(super) fn reach(&self, axis: usize, to: &Range<usize>) -> Range<isize> {
        (0..self.phases(axis))
            .filter_map(|r| {
                let phase = self.axis(axis, r);
                phase.reach(phase.numbers_in(to))
            })
            .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
            .unwrap_or(0..0)
    }
}
