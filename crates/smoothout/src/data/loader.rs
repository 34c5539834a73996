//! Batches for an epoch, prepared ahead on a thread of their own.
//!
//! One thread shuffles, crops, mirrors and normalises into recycled buffers while the network
//! trains on the batch before; at most two finished batches wait. A folder's images, which are
//! decoded first, are shared out to as many threads as the current Rayon pool has; they are the
//! loader's own, so that they never hold up a training thread. Dropping a [`Batch`] hands its
//! buffer back, so that after the first batches nothing is allocated. Dropping the [`Loader`] stops
//! its threads and waits for the work in hand.
//!
//! The bits depend on (seed, epoch, place of the image in the data set) alone: the order of an
//! epoch is one stream, and each image of each epoch has its own.

use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use ndarray::ArrayView4;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use smoothout_tensor::{Purpose, StreamKey};

use super::augmentation::Normalization;
use super::dataset::permutation;
use super::{Augmentation, DataError, DataSet, Images, folder};

/// How many finished batches wait for the network.
const AHEAD: usize = 2;
/// Buffers in the air: waiting, in work, in use, on their way back.
const BUFFERS: usize = AHEAD + 3;

/// Images ready for a network, and their classes.
///
/// # Shapes
/// images (B, H, W, C), labels (B).
#[derive(Debug)]
pub struct Batch {
    content: Content,
    shape: (usize, usize, usize, usize),
    recycled: SyncSender<Content>,
}

/// What is recycled.
#[derive(Debug, Default)]
struct Content {
    images: Vec<f32>,
    labels: Vec<usize>,
}

impl Batch {
    /// The images, (B, H, W, C).
    pub fn images(&self) -> ArrayView4<'_, f32> {
        ArrayView4::from_shape(self.shape, &self.content.images).expect("B H W C values")
    }

    /// The images' values, channels last.
    pub fn pixels(&self) -> &[f32] {
        &self.content.images
    }

    /// The class of each image.
    pub fn labels(&self) -> &[usize] {
        &self.content.labels
    }

    /// B, the number of images.
    pub fn len(&self) -> usize {
        self.content.labels.len()
    }

    /// Whether there is no image: never so in a batch of a [`Loader`].
    pub fn is_empty(&self) -> bool {
        self.content.labels.is_empty()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // A loader that has ended, or has buffers enough, lets this one go.
        let _ = self.recycled.try_send(std::mem::take(&mut self.content));
    }
}

/// An iterator over the batches of one epoch.
#[derive(Debug)]
pub struct Loader {
    finished: Option<Receiver<Result<Batch, DataError>>>,
    worker: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    remaining: usize,
}

impl Loader {
    /// The batches of a training epoch: shuffled, augmented; the last may be incomplete.
    ///
    /// # Errors
    /// An empty data set, a batch size of 0, and pixels that do not fit the shape. Images of a
    /// folder that cannot be decoded are errors of the iterator.
    pub fn train(
        set: &Arc<DataSet>,
        batch_size: usize,
        epoch: u64,
        seed: u64,
        augmentation: Augmentation,
    ) -> Result<Self, DataError> {
        Self::train_from(set, batch_size, epoch, seed, augmentation, 0)
    }

    /// As [`Loader::train`], without its first `skip` batches: a resumed epoch goes on here.
    ///
    /// # Errors
    /// As [`Loader::train`].
    pub fn train_from(
        set: &Arc<DataSet>,
        batch_size: usize,
        epoch: u64,
        seed: u64,
        augmentation: Augmentation,
        skip: usize,
    ) -> Result<Self, DataError> {
        let order = permutation(StreamKey::new(seed, Purpose::Shuffle).step(epoch), set.len());
        let key = StreamKey::new(seed, Purpose::Augmentation).step(epoch);
        Self::start(set, batch_size, order, key, augmentation, skip)
    }

    /// The batches of an evaluation: in the data set's order, not augmented; the last may be
    /// incomplete.
    ///
    /// # Errors
    /// As [`Loader::train`].
    pub fn evaluate(set: &Arc<DataSet>, batch_size: usize) -> Result<Self, DataError> {
        let key = StreamKey::new(0, Purpose::Augmentation);
        Self::start(set, batch_size, (0..set.len()).collect(), key, Augmentation::None, 0)
    }

    fn start(
        set: &Arc<DataSet>,
        batch_size: usize,
        order: Vec<usize>,
        key: StreamKey,
        augmentation: Augmentation,
        skip: usize,
    ) -> Result<Self, DataError> {
        check(set, batch_size, augmentation)?;
        let remaining = set.len().div_ceil(batch_size).saturating_sub(skip);
        let (send_finished, finished) = sync_channel(AHEAD);
        let (recycled, returned) = sync_channel(BUFFERS);
        let stop = Arc::new(AtomicBool::new(false));
        let cannot_start = |source: io::Error| {
            DataError::io("start a thread to load", set.name.as_str().as_ref())(source)
        };
        let decoders = match set.images {
            Images::Memory(_) => None,
            Images::Files { .. } => Some(
                ThreadPoolBuilder::new()
                    .num_threads(rayon::current_num_threads())
                    .thread_name(|_| "smoothout-decoder".into())
                    .build()
                    .map_err(|error| cannot_start(io::Error::other(error)))?,
            ),
        };
        let preparation = Preparation {
            decoders,
            normalization: Normalization::of(set, augmentation),
            set: Arc::clone(set),
            augmentation,
            key,
            stop: Arc::clone(&stop),
        };
        let work = move || {
            for places in order.chunks(batch_size).skip(skip) {
                // None is back yet: at most BUFFERS are ever made while batches are used in turn.
                let mut content = returned.try_recv().unwrap_or_default();
                let batch = preparation.fill(places, &mut content).map(|()| Batch {
                    content,
                    shape: preparation.shape(places.len()),
                    recycled: recycled.clone(),
                });
                let failed = batch.is_err();
                if send_finished.send(batch).is_err() || failed {
                    return;
                }
            }
        };
        let worker = thread::Builder::new()
            .name("smoothout-loader".into())
            .spawn(work)
            .map_err(cannot_start)?;
        Ok(Self { finished: Some(finished), worker: Some(worker), stop, remaining })
    }
}

/// What a loader needs to be able to rely on.
fn check(set: &DataSet, batch_size: usize, augmentation: Augmentation) -> Result<(), DataError> {
    let wrong = |what, found: String, expected: &str| {
        Err(DataError::Argument { what, found, expected: expected.into() })
    };
    if batch_size == 0 {
        return wrong("the batch size", "0".into(), "at least 1");
    }
    if set.is_empty() {
        return wrong("the number of images", "0".into(), "at least 1");
    }
    if ![1, 3].contains(&set.channels) || (set.channels == 1) != (set.name.channels() == 1) {
        return wrong("the number of channels", set.channels.to_string(), "1 for mnist, else 3");
    }
    if let Augmentation::PadCropFlip { padding, .. } = augmentation
        && padding > set.height.min(set.width)
    {
        return wrong("the padding", padding.to_string(), "at most the image's shorter side");
    }
    let images = match &set.images {
        Images::Memory(pixels) => pixels.len() / set.image_len().max(1),
        Images::Files { paths, .. } => paths.len(),
    };
    if images != set.len() {
        let expected = format!("{}, the number of labels", set.len());
        return wrong("the number of images", images.to_string(), &expected);
    }
    Ok(())
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let Ok(batch) = self.finished.as_ref()?.recv() else {
            // The thread ended before its time: it panicked, and its panic is ours.
            self.remaining = 0;
            if let Some(Err(payload)) = self.worker.take().map(JoinHandle::join) {
                panic::resume_unwind(payload);
            }
            return None;
        };
        self.remaining = if batch.is_ok() { self.remaining - 1 } else { 0 };
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining.min(1), Some(self.remaining))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Without a receiver the thread's next send fails.
        drop(self.finished.take());
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// How one batch is made.
#[derive(Debug)]
struct Preparation {
    set: Arc<DataSet>,
    normalization: Normalization,
    augmentation: Augmentation,
    key: StreamKey,
    stop: Arc<AtomicBool>,
    /// For images that have to be decoded.
    decoders: Option<ThreadPool>,
}

impl Preparation {
    fn shape(&self, images: usize) -> (usize, usize, usize, usize) {
        (images, self.set.height, self.set.width, self.set.channels)
    }

    fn fill(&self, places: &[usize], content: &mut Content) -> Result<(), DataError> {
        let set = &*self.set;
        let len = set.image_len();
        content.images.resize(places.len() * len, 0.0);
        content.labels.clear();
        content.labels.extend(places.iter().map(|&place| usize::from(set.labels[place])));
        let images = &mut content.images[..];
        match &self.decoders {
            None => places
                .iter()
                .zip(images.chunks_exact_mut(len))
                .try_for_each(|(&place, out)| self.image(place, out)),
            Some(decoders) => decoders.install(|| {
                // All of them, then the first error in the batch's order: the same whichever
                // thread comes upon one.
                let results: Vec<_> = places
                    .par_iter()
                    .zip(images.par_chunks_exact_mut(len))
                    .map(|(&place, out)| self.image(place, out))
                    .collect();
                results.into_iter().collect()
            }),
        }
    }

    /// Writes one image, unless the loader is being dropped.
    fn image(&self, place: usize, out: &mut [f32]) -> Result<(), DataError> {
        let set = &*self.set;
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        match &set.images {
            Images::Memory(pixels) => {
                let image = &pixels[place * out.len()..][..out.len()];
                self.write(place, image, (set.height, set.width), out);
            }
            Images::Files { paths, shorter_side, .. } => {
                let image = folder::decode_file(&paths[place], *shorter_side)?;
                self.write(place, &image.pixels, (image.height, image.width), out);
            }
        }
        Ok(())
    }

    fn write(&self, place: usize, image: &[u8], size: (usize, usize), out: &mut [f32]) {
        let window = self.augmentation.window(self.key.copy(place as u64), size, &self.set);
        self.normalization.write(image, size, window, self.set.width, out);
    }
}
