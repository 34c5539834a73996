//! Working memory that kernels share: grown at first use, then reused without allocation.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Elements whose first begins a cache line of 64 bytes: a vector register is read from one line
/// then, not from two.
///
/// ```
/// use smoothout_tensor::kernels::Aligned;
///
/// let mut buffer = Aligned::default();
/// buffer.grow(3);
/// buffer.copy_from_slice(&[1.0, 2.0, 3.0_f32]);
/// assert!(buffer.as_ptr().addr().is_multiple_of(64));
/// ```
#[derive(Debug, Default)]
pub struct Aligned<T> {
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes of a large page, on most systems.
const HUGE_PAGE: usize = 2 << 20;

impl<T: Copy + Default> Aligned<T> {
    /// Makes it at least `len` elements long. What it held is lost if it was shorter.
    pub fn grow(&mut self, len: usize) {
        if self.len < len {
            let bytes = len * size_of::<T>();
            let huge = cfg!(target_os = "linux") && bytes >= HUGE_PAGE;
            let boundary = if huge { HUGE_PAGE } else { LINE };
            let spare = boundary / size_of::<T>().clamp(1, LINE);
            self.buffer = Vec::new();
            self.buffer = vec![T::default(); len + spare];
            // There is no offset to ask for where elements do not divide a line: then any will do.
            self.start = self.buffer.as_ptr().align_offset(boundary).min(spare);
            self.len = len;
            if huge {
                ask_for_huge_pages(&mut self[..]);
            }
        }
    }
}

/// Large pages spare the CPU the search for small ones, which slows reads of far rows; a system that
/// gives none goes on with small ones.
fn ask_for_huge_pages<T>(values: &mut [T]) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let len = size_of_val(values) / HUGE_PAGE * HUGE_PAGE;
        // SAFETY: the advice changes no value of these pages, which are all `values`.
        unsafe { libc::madvise(values.as_mut_ptr().cast(), len, libc::MADV_HUGEPAGE) };
    }
    #[cfg(any(not(target_os = "linux"), miri))]
    let _ = values;
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        copy.grow(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer[self.start..][..self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..][..self.len]
    }
}

/// A buffer that a kernel borrows for the length of one call: repacked weights, partial sums.
#[derive(Debug, Default)]
pub struct Scratch<R> {
    buffer: Aligned<R>,
}

impl<R: Copy + Default> Scratch<R> {
    /// An empty scratch; it grows at the first call that needs it.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` elements with whatever they held before.
    pub(crate) fn take(&mut self, len: usize) -> &mut [R] {
        self.buffer.grow(len);
        &mut self.buffer[..len]
    }
}

impl<R: Copy + Default> Clone for Scratch<R> {
    fn clone(&self) -> Self {
        Self { buffer: self.buffer.clone() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grown_buffers_begin_a_line_and_copies_hold_the_same() {
        let mut buffer = Aligned::<f32>::default();
        assert!(buffer.is_empty());
        for len in [5, 1000, 17] {
            buffer.grow(len);
            assert!(buffer.len() >= len && buffer.as_ptr().addr().is_multiple_of(LINE));
        }
        buffer.iter_mut().enumerate().for_each(|(i, value)| *value = i as f32);
        let copy = buffer.clone();
        assert_eq!(copy[..], buffer[..]);
        assert!(copy.len() == 1000 && copy.as_ptr().addr().is_multiple_of(LINE));
    }
}
