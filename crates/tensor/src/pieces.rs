//! Loops over the pieces of long vectors, in parallel if there are several.

use rayon::iter::IndexedParallelIterator;
use rayon::iter::plumbing::{Producer, ProducerCallback};

/// Calls `task` on each piece: in parallel if there are several, at once in this thread if there is
/// one. rayon hands even a single piece over to its pool when it is called from outside it, and to
/// wake a thread takes longer than a short vector.
///
/// ```
/// use rayon::prelude::*;
/// use smoothout_tensor::for_each_piece;
///
/// let mut values = vec![1.0; 5];
/// for_each_piece(values.par_chunks_mut(2), |piece| piece.iter_mut().for_each(|x| *x += 1.0));
/// assert_eq!(values, [2.0; 5]);
/// ```
pub fn for_each_piece<I: IndexedParallelIterator>(pieces: I, task: impl Fn(I::Item) + Sync + Send) {
    if pieces.len() > 1 {
        pieces.for_each(task);
    } else {
        pieces.with_producer(Here(task));
    }
}

/// Runs a loop in the thread that asks for it.
struct Here<F>(F);

impl<T, F: Fn(T)> ProducerCallback<T> for Here<F> {
    type Output = ();

    fn callback<P: Producer<Item = T>>(self, producer: P) {
        producer.into_iter().for_each(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn one_piece_stays_in_its_thread_and_several_are_all_seen() {
        for (len, pieces) in [(0, 0), (3, 1), (4, 1), (9, 3)] {
            let mut values = vec![1; len];
            let threads = Mutex::new(Vec::new());
            let with_number = values.par_chunks_mut(4).enumerate();
            for_each_piece(with_number, |(number, piece)| {
                threads.lock().unwrap().push(thread::current().id());
                piece.iter_mut().for_each(|value| *value += number);
            });
            let expected: Vec<usize> = (0..len).map(|i| 1 + i / 4).collect();
            assert_eq!(values, expected);
            let threads = threads.into_inner().unwrap();
            assert_eq!(threads.len(), pieces);
            assert!(pieces != 1 || threads == [thread::current().id()]);
        }
    }
}
