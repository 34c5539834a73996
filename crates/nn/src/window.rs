//! The window of a convolution or pool: how outputs map to inputs.

/// Kernel, stride and padding, each (height, width).
///
/// The output has `(H + 2 padding - kernel) / stride + 1` rows, rounded down; columns alike.
///
/// ```
/// use smoothout_nn::Window;
/// assert_eq!(Window::square(3).stride(2).padding(1).output([32, 32]), Some([16, 16]));
/// assert_eq!(Window::square(5).output([4, 4]), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Extents of the window.
    pub kernel: [usize; 2],
    /// Steps between neighbouring outputs, at least 1.
    pub stride: [usize; 2],
    /// Rows and columns added on each side.
    pub padding: [usize; 2],
}

impl Window {
    /// A square window, stride 1, no padding.
    pub const fn square(kernel: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [1; 2], padding: [0; 2] }
    }

    /// The same with another stride.
    #[must_use]
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with padding.
    #[must_use]
    pub const fn padding(self, padding: usize) -> Self {
        Self { padding: [padding; 2], ..self }
    }

    /// The extents of the output, if the window fits the image at least once.
    pub fn output(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let extent = |d: usize| {
            if self.stride[d] == 0 || self.kernel[d] == 0 {
                return None;
            }
            let padded = self.padding[d].checked_mul(2)?.checked_add(image[d])?;
            let room = padded.checked_sub(self.kernel[d])?;
            Some(room / self.stride[d] + 1)
        };
        Some([extent(0)?, extent(1)?])
    }

    /// The input coordinates that output coordinate `y` sees, padding left out.
    pub(crate) fn sources(&self, d: usize, y: usize, extent: usize) -> std::ops::Range<usize> {
        let start = y * self.stride[d];
        start.saturating_sub(self.padding[d])
            ..(start + self.kernel[d]).saturating_sub(self.padding[d]).min(extent)
    }
}
