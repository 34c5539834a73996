//! Asking for values before they are read or written.
//!
//! Passes that compute little wait for memory, which has little to do while a kernel multiplies. So a kernel
//! that knows where this thread goes next asks for that memory on its way, a few cache lines at a time:
//! more at once would only queue.

use super::simd::{LANES, prefetch_far};

/// The most places.
const PLACES: usize = 8;

/// Memory that will be read or written next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// How many there are.
    count: usize,
    /// Where each goes on, and how many of its values have not been asked for yet.
    places: [(*const f32, usize); PLACES],
    /// Values of each to ask for at a time.
    each: [usize; PLACES],
}

impl Ahead {
    /// These values, each slice once.
    ///
    /// # Panics
    /// If there are more than eight places, with those that are added.
    pub(super) fn new(slices: &[&[f32]]) -> Self {
        let mut ahead =
            Self { count: 0, places: [(std::ptr::null(), 0); PLACES], each: [0; PLACES] };
        for slice in slices {
            ahead.add((slice.as_ptr(), slice.len()));
        }
        ahead
    }

    /// As many values behind these as well, which the next group of images has if there is one.
    pub(super) fn and_behind(mut self, values: &[f32]) -> Self {
        self.add((values.as_ptr_range().end, values.len()));
        self
    }

    fn add(&mut self, place: (*const f32, usize)) {
        if place.1 > 0 && !self.places[..self.count].contains(&place) {
            self.places[self.count] = place;
            self.count += 1;
        }
    }

    /// All of it within so many steps.
    pub(super) fn within(self, steps: usize) -> Self {
        let each = |(_, len): (_, usize)| len.div_ceil(steps.max(1)).next_multiple_of(LANES);
        Self { each: self.places.map(each), ..self }
    }

    /// Asks for some of it.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        for ((start, left), each) in self.places[..self.count].iter_mut().zip(self.each) {
            let now = each.min(*left);
            prefetch_far(*start, now);
            (*start, *left) = (start.wrapping_add(now), *left - now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_asked_for_within_the_steps_and_nothing_twice() {
        let values = [0.0; 100];
        let (some, rest) = values.split_at(30);
        let mut ahead = Ahead::new(&[some, &[], rest, some]).and_behind(some).within(3);
        // What lies behind some of them has another length than the rest.
        assert_eq!((ahead.count, &ahead.each[..4]), (3, &[16, 32, 16, 0][..]));
        for left in [[14, 38, 14], [0, 6, 0], [0, 0, 0], [0, 0, 0]] {
            ahead.step();
            assert_eq!([0, 1, 2].map(|k| ahead.places[k].1), left);
        }
        assert_eq!(ahead.places[0].0, some.as_ptr_range().end);
        // As many as an input gradient has.
        let all: Vec<_> = values.chunks(15).collect();
        assert_eq!(Ahead::new(&all).and_behind(&values).within(1).count, 8);
    }
}
