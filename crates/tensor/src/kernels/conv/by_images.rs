//! Tensors of which a kernel takes some images at a time.

use std::ops::Range;

/// A tensor of a batch, stored or not.
pub(in crate::kernels) trait ByImages: Sync {
    /// Calls `body` with some images.
    fn images(&self, images: Range<usize>, body: impl FnOnce(&[f32]));
}

/// One that is stored.
pub(in crate::kernels) struct Stored<'a> {
    pub(in crate::kernels) values: &'a [f32],
    pub(in crate::kernels) batch: usize,
}

impl ByImages for Stored<'_> {
    fn images(&self, images: Range<usize>, body: impl FnOnce(&[f32])) {
        let image = self.values.len() / self.batch.max(1);
        body(&self.values[images.start * image..images.end * image]);
    }
}
