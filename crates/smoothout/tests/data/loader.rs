//! Batches: their order, their pixels, their thread.

use std::sync::Arc;

use smoothout::data::{
    Augmentation, Batch, DataError, DataSet, DataSetName, Images, Loader, Split,
};

const CIFAR: Augmentation = Augmentation::PadCropFlip { padding: 4, fill: 127 };
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// `count` images of 32 x 32 whose pixels tell (image, row, column, channel) apart.
fn cifar(count: usize) -> Arc<DataSet> {
    let pixel = |i: usize| {
        let (image, y, x, c) = (i / 3072, i / 96 % 32, i / 3 % 32, i % 3);
        (image * 61 + y * 7 + x * 5 + c * 83) as u8
    };
    Arc::new(DataSet {
        name: DataSetName::Cifar10,
        split: Split::Train,
        images: Images::Memory((0..count * 3072).map(pixel).collect()),
        labels: (0..count).map(|i| (i % 10) as u16).collect(),
        height: 32,
        width: 32,
        channels: 3,
        classes: 10,
    })
}

fn all(loader: Result<Loader, DataError>) -> (Vec<f32>, Vec<usize>) {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for batch in loader.unwrap() {
        let batch = batch.unwrap();
        pixels.extend_from_slice(batch.pixels());
        labels.extend_from_slice(batch.labels());
    }
    (pixels, labels)
}

fn bytes(set: &DataSet) -> &[u8] {
    match &set.images {
        Images::Memory(bytes) => bytes,
        Images::Files { .. } => panic!("in memory"),
    }
}

#[test]
fn an_evaluation_is_the_file_in_its_order() {
    let set = cifar(23);
    let sizes: Vec<_> =
        Loader::evaluate(&set, 10).unwrap().map(|batch| batch.unwrap().len()).collect();
    assert_eq!(sizes, [10, 10, 3]);
    let (pixels, labels) = all(Loader::evaluate(&set, 10));
    assert!(labels.iter().zip(&set.labels).all(|(&a, &b)| a == usize::from(b)));
    for (i, (&value, &byte)) in pixels.iter().zip(bytes(&set)).enumerate() {
        assert_eq!(value, (f32::from(byte) / 255.0 - MEAN[i % 3]) / STD[i % 3]);
    }
    assert_eq!(pixels.len(), bytes(&set).len());
}

#[test]
fn mnist_is_scaled_to_one_and_minus_one() {
    let set = DataSet {
        name: DataSetName::Mnist,
        split: Split::Test,
        images: Images::Memory(vec![0, 255, 51, 204]),
        labels: vec![3],
        height: 2,
        width: 2,
        channels: 1,
        classes: 10,
    };
    let (pixels, _) = all(Loader::evaluate(&Arc::new(set), 1));
    for (value, expected) in pixels.iter().zip([-1.0, 1.0, -0.6, 0.6]) {
        assert!((value - expected).abs() < 1e-6);
    }
}

/// Each augmented image is one of the 81 x 2 windows of the padded image, found by brute force;
/// each offset and both mirrorings come up.
#[test]
fn augmented_images_are_mirrored_windows_of_the_padded_image() {
    let set = cifar(400);
    let (pixels, labels) = all(Loader::train(&set, 64, 3, 7, CIFAR));
    assert_eq!(labels.len(), 400);
    let value = |image: &[u8], y: isize, x: isize, c: usize| {
        let inside = (0..32).contains(&y) && (0..32).contains(&x);
        let byte = if inside { image[(y as usize * 32 + x as usize) * 3 + c] } else { 127 };
        (f32::from(byte) / 255.0 - MEAN[c]) / STD[c]
    };
    let is_window = |out: &[f32], image: &[u8], top: isize, left: isize, flip: bool| {
        (0..3072).all(|i| {
            let (y, x, c) = ((i / 96) as isize, (i / 3 % 32) as isize, i % 3);
            let x = if flip { 31 - x } else { x };
            out[i] == value(image, y + top, x + left, c)
        })
    };
    let (mut tops, mut lefts, mut flips) = ([0; 9], [0; 9], [0; 2]);
    let mut found = 0;
    for out in pixels.chunks_exact(3072).take(60) {
        'search: for image in bytes(&set).chunks_exact(3072) {
            for top in -4..=4 {
                for left in -4..=4 {
                    for flip in [false, true] {
                        if is_window(out, image, top, left, flip) {
                            tops[(top + 4) as usize] += 1;
                            lefts[(left + 4) as usize] += 1;
                            flips[usize::from(flip)] += 1;
                            found += 1;
                            break 'search;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(found, 60);
    assert!(tops.iter().chain(&lefts).all(|&count| count > 0), "{tops:?} {lefts:?}");
    assert!(flips.iter().all(|&count| count > 15), "{flips:?}");
}

#[test]
fn an_epoch_holds_every_image_once_and_epochs_and_seeds_differ() {
    let set = cifar(40);
    let epoch = |epoch, seed| all(Loader::train(&set, 16, epoch, seed, Augmentation::None));
    let sorted = |pixels: &[f32]| {
        let mut images: Vec<_> = pixels
            .chunks_exact(3072)
            .map(|image| image.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
            .collect();
        images.sort_unstable();
        images
    };
    let (first, _) = epoch(0, 1);
    assert_eq!(sorted(&first), sorted(&all(Loader::evaluate(&set, 16)).0));
    assert_eq!(first, epoch(0, 1).0);
    assert_ne!(first, epoch(1, 1).0);
    assert_ne!(first, epoch(0, 2).0);
}

/// The pixels of an image do not depend on how the epoch is cut into batches, nor on where it is
/// taken up again.
#[test]
fn batch_size_and_resuming_change_no_bit() {
    let set = cifar(50);
    let whole = all(Loader::train(&set, 50, 2, 9, CIFAR));
    assert_eq!(whole, all(Loader::train(&set, 7, 2, 9, CIFAR)));
    let (pixels, labels) = all(Loader::train_from(&set, 7, 2, 9, CIFAR, 3));
    assert_eq!(pixels, whole.0[21 * 3072..]);
    assert_eq!(labels, whole.1[21..]);
    assert_eq!(Loader::train_from(&set, 7, 2, 9, CIFAR, 8).unwrap().count(), 0);
}

/// At most five buffers serve any number of batches that are used one after another.
#[test]
fn buffers_are_recycled() {
    let set = cifar(3000);
    let mut places = std::collections::HashSet::new();
    for batch in Loader::train(&set, 10, 0, 0, CIFAR).unwrap() {
        places.insert(batch.unwrap().pixels().as_ptr() as usize);
    }
    assert!(places.len() <= 5, "{}", places.len());
}

#[test]
fn batches_may_be_kept() {
    let kept: Vec<Batch> =
        Loader::evaluate(&cifar(40), 2).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(kept.len(), 20);
    assert_eq!(kept[19].images().shape(), [2, 32, 32, 3]);
}

/// Whether nothing or something was taken, the thread ends with its loader.
#[test]
fn dropping_a_loader_joins_its_thread() {
    let set = cifar(2000);
    for taken in [0, 1, 3] {
        let mut loader = Loader::train(&set, 8, 0, 0, CIFAR).unwrap();
        let kept: Vec<_> = loader.by_ref().take(taken).collect();
        assert_eq!(kept.len(), taken);
        drop(loader);
        assert_eq!(Arc::strong_count(&set), 1, "the thread still holds the data");
    }
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let set = cifar(4);
    let change = |change: fn(&mut DataSet)| {
        let mut set = DataSet::clone(&set);
        change(&mut set);
        Loader::evaluate(&Arc::new(set), 2).err().map(|error| error.to_string())
    };
    assert!(change(|_| {}).is_none());
    assert!(change(|set| set.channels = 1).unwrap().contains("channels"));
    assert!(change(|set| set.labels.truncate(3)).unwrap().contains("number of images"));
    assert!(change(|set| *set = set.first(0)).unwrap().contains("number of images"));
    assert!(Loader::evaluate(&set, 0).is_err());
    let padding = Augmentation::PadCropFlip { padding: usize::MAX, fill: 0 };
    assert!(Loader::train(&set, 2, 0, 0, padding).is_err());
}
