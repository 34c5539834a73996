//! Working memory that kernels share: grown at first use, then reused without allocation.

use std::cell::RefCell;

/// A buffer that a kernel borrows for the length of one call: repacked weights, partial sums.
#[derive(Debug, Clone, Default)]
pub struct Scratch<R> {
    buffer: Vec<R>,
}

/// Elements that are worth a cache line of 64 bytes or more.
const LINE: usize = 16;

impl<R: Copy + Default> Scratch<R> {
    /// An empty scratch; it grows at the first call that needs it.
    pub fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// `len` elements with whatever they held before, the first at the start of a cache line.
    pub(crate) fn take(&mut self, len: usize) -> &mut [R] {
        if self.buffer.len() < len + LINE {
            self.buffer.resize(len + LINE, R::default());
        }
        let start = self.buffer.as_ptr().align_offset(64).min(LINE);
        &mut self.buffer[start..][..len]
    }
}

thread_local! {
    /// The buffers of this thread that are not in use. A thread that waits inside one task may run
    /// another, so there can be more than one.
    static IDLE: RefCell<Vec<Scratch<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `body` a buffer of this thread, at least `len` elements long as [`Scratch::take`] gives
/// them. It is kept for the next borrower.
pub(crate) fn with_thread_buffer<T>(len: usize, body: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut scratch = IDLE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = body(scratch.take(len));
    IDLE.with_borrow_mut(|idle| idle.push(scratch));
    result
}
