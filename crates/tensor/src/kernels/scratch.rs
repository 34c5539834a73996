//! Working memory that kernels share: grown at first use, then reused without allocation.

/// A buffer that a kernel borrows for the length of one call.
#[derive(Debug, Clone, Default)]
pub struct Scratch<R> {
    buffer: Vec<R>,
}

impl<R: Copy + Default> Scratch<R> {
    /// An empty scratch; it grows at the first call that needs it.
    pub fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// `len` elements with whatever they held before.
    pub(crate) fn take(&mut self, len: usize) -> &mut [R] {
        if self.buffer.len() < len {
            self.buffer.resize(len, R::default());
        }
        &mut self.buffer[..len]
    }
}
