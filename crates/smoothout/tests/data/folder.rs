//! A folder of images per class: order, labels, crops, and images that are cut.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use smoothout::data::folder::{FolderSize, IMAGENET, read};
use smoothout::data::{Augmentation, DataError, DataSet, DataSetName, Loader, Split};

/// An image of one colour.
fn save(path: &Path, width: u32, height: u32, colour: [u8; 3], format: ImageFormat) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = RgbImage::from_pixel(width, height, Rgb(colour));
    DynamicImage::ImageRgb8(image).save_with_format(path, format).unwrap();
}

/// Two classes; red "ant" in wide and tall images, blue "bee".
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let save = |path: &str, width, height, colour, format| {
        save(&dir.path().join(path), width, height, colour, format);
    };
    save("train/bee/1.png", 300, 260, [0, 0, 200], ImageFormat::Png);
    save("train/ant/b.JPEG", 400, 300, [200, 0, 0], ImageFormat::Jpeg);
    save("train/ant/a.bmp", 20, 50, [200, 0, 0], ImageFormat::Bmp);
    save("val/bee/x.jpg", 64, 64, [0, 0, 200], ImageFormat::Jpeg);
    fs::write(dir.path().join("train/ant/.hidden"), "x").unwrap();
    fs::write(dir.path().join("train/ant/notes.txt"), "x").unwrap();
    dir
}

#[test]
fn classes_and_files_come_in_the_order_of_their_names() {
    let dir = folder();
    let load = |split| DataSet::load(DataSetName::Folder, Some(dir.path()), split).unwrap();
    let (train, test) = (load(Split::Train), load(Split::Test));
    assert_eq!((train.classes, test.classes), (2, 2));
    assert_eq!((train.labels.clone(), test.labels.clone()), (vec![0, 0, 1], vec![1]));
    for set in [train, test] {
        let set = Arc::new(set);
        let augmentation = Augmentation::of(DataSetName::Folder);
        let epochs = [Loader::evaluate(&set, 2), Loader::train(&set, 2, 0, 1, augmentation)];
        for batch in epochs.into_iter().flat_map(Result::unwrap) {
            let batch = batch.unwrap();
            assert_eq!(batch.images().shape(), [batch.len(), 224, 224, 3]);
            for (image, &label) in batch.pixels().chunks_exact(224 * 224 * 3).zip(batch.labels()) {
                let byte = |c: usize, mean: f32, std: f32| (image[c] * std + mean) * 255.0;
                let colour = [byte(0, 0.485, 0.229), byte(2, 0.406, 0.225)];
                let expected = if label == 0 { [200.0, 0.0] } else { [0.0, 200.0] };
                let near = |(a, b): (f32, f32)| (a - b).abs() < 4.0;
                assert!(colour.into_iter().zip(expected).all(near), "{label}: {colour:?}");
            }
        }
    }
}

/// The middle of a 4 x 8 image whose columns count up, cropped to 2 x 2: columns 3 and 4.
#[test]
fn the_evaluation_crop_is_the_middle() {
    let dir = tempfile::tempdir().unwrap();
    let image = RgbImage::from_fn(8, 4, |x, y| Rgb([x as u8, y as u8, 0]));
    fs::create_dir_all(dir.path().join("val/only")).unwrap();
    image.save(dir.path().join("val/only/i.png")).unwrap();
    let size = FolderSize { shorter_side: 4, crop: 2 };
    let set = Arc::new(read(dir.path(), Split::Test, size).unwrap());
    let batch = Loader::evaluate(&set, 1).unwrap().next().unwrap().unwrap();
    let bytes = |c: usize, mean: f32, std: f32| {
        let values = batch.pixels().iter().skip(c).step_by(3);
        values.map(|value| ((value * std + mean) * 255.0).round() as u8).collect::<Vec<_>>()
    };
    assert_eq!(bytes(0, 0.485, 0.229), [3, 4, 3, 4]);
    assert_eq!(bytes(1, 0.456, 0.224), [1, 1, 2, 2]);
}

/// Images are decoded by as many threads as the pool has: the same pixels, and of two broken files
/// the first of the batch is named.
#[test]
fn decoding_threads_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..20_u8 {
        let image =
            RgbImage::from_fn(30 + u32::from(i), 25, |x, y| Rgb([x as u8 * 4, y as u8 * 7, i]));
        let path = dir.path().join(format!("train/c/{i:02}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(&path).unwrap();
    }
    let size = FolderSize { shorter_side: 24, crop: 16 };
    let set = Arc::new(read(dir.path(), Split::Train, size).unwrap());
    let on = |threads: usize, batch: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let augmentation = Augmentation::of(DataSetName::Folder);
        pool.install(|| Loader::train(&set, batch, 3, 1, augmentation)).unwrap()
    };
    let pixels = |threads, batch| -> Vec<f32> {
        on(threads, batch).flat_map(|batch| batch.unwrap().pixels().to_vec()).collect()
    };
    let one = pixels(1, 8);
    assert_eq!(one.len(), 20 * 16 * 16 * 3);
    for (threads, batch) in [(2, 8), (7, 8), (7, 20)] {
        assert!(pixels(threads, batch) == one, "{threads} threads, batches of {batch}");
    }

    let broken: Vec<_> = (0..20).map(|i| dir.path().join(format!("train/c/{i:02}.png"))).collect();
    broken.iter().for_each(|path| fs::write(path, "no image").unwrap());
    let first = |threads| on(threads, 20).next().unwrap().map(|_| ()).unwrap_err().to_string();
    let expected = first(1);
    for _ in 0..10 {
        assert_eq!(first(7), expected);
    }
}

/// Files are sorted by class, so the first few would be of one: a choice has images of all, and is
/// the same each time.
#[test]
fn a_limited_folder_has_every_class() {
    let dir = tempfile::tempdir().unwrap();
    for class in 0..4 {
        let folder = dir.path().join(format!("train/{class}"));
        fs::create_dir_all(&folder).unwrap();
        for i in 0..25 {
            fs::write(folder.join(format!("{i:02}.png")), "not decoded").unwrap();
        }
    }
    let set = read(dir.path(), Split::Train, IMAGENET).unwrap();
    let few = set.first(20);
    assert_eq!(few, set.first(20));
    assert_eq!(few.len(), 20);
    assert!(few.labels.is_sorted());
    assert!((0..4).all(|class| few.labels.contains(&class)), "{:?}", few.labels);
    assert_eq!((set.first(100), set.first(1000)), (set.clone(), set));
}

/// Cut anywhere, an image of any format is an error that names the file, after the good batches.
#[test]
fn a_cut_image_is_an_error_that_names_it() {
    for (name, format) in
        [("z.jpg", ImageFormat::Jpeg), ("z.png", ImageFormat::Png), ("z.bmp", ImageFormat::Bmp)]
    {
        let dir = tempfile::tempdir().unwrap();
        save(&dir.path().join("val/c/a.jpg"), 40, 40, [1, 2, 3], ImageFormat::Jpeg);
        let path = dir.path().join("val/c").join(name);
        save(&path, 40, 40, [9, 100, 30], format);
        let whole = fs::read(&path).unwrap();
        // PNG's last chunk, 12 bytes, holds nothing of the image.
        let last = if format == ImageFormat::Png { whole.len() - 13 } else { whole.len() - 1 };
        let size = FolderSize { shorter_side: 8, crop: 8 };
        let set = Arc::new(read(dir.path(), Split::Test, size).unwrap());
        assert_eq!(Loader::evaluate(&set, 1).unwrap().filter(Result::is_ok).count(), 2);
        for len in (0..last).step_by(37).chain([last]) {
            fs::write(&path, &whole[..len]).unwrap();
            let results: Vec<_> = Loader::evaluate(&set, 1).unwrap().collect();
            assert_eq!(results.len(), 2, "{name} cut to {len}");
            assert!(results[0].is_ok());
            let error = results[1].as_ref().map(|_| ()).unwrap_err();
            assert!(error.is_bad_input() && error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn folders_that_make_no_sense_are_refused() {
    let dir = folder();
    let load = |split| read(dir.path(), split, IMAGENET);
    save(&dir.path().join("val/wasp/1.png"), 9, 9, [0; 3], ImageFormat::Png);
    let text = load(Split::Test).unwrap_err().to_string();
    assert!(text.contains("wasp") && text.contains("2 classes"), "{text}");
    // A folder is no image, whatever its name.
    fs::create_dir_all(dir.path().join("train/cat/d.jpg")).unwrap();
    let text = load(Split::Train).unwrap_err().to_string();
    assert!(text.contains("cat") && text.contains("no image"), "{text}");
    assert!(text.contains("train/<class>/"), "{text}");
    for size in [(4, 0), (4, 5)] {
        let size = FolderSize { shorter_side: size.0, crop: size.1 };
        assert!(matches!(read(dir.path(), Split::Train, size), Err(DataError::Argument { .. })));
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;

        let latin1 = std::ffi::OsStr::from_bytes(b"caf\xe9");
        save(&dir.path().join("val").join(latin1).join("1.png"), 9, 9, [0; 3], ImageFormat::Png);
        let text = load(Split::Test).unwrap_err().to_string();
        assert!(text.contains("not UTF-8") && text.contains("rename it"), "{text}");
    }
    // A needle would be scaled to gigabytes.
    let needle = tempfile::tempdir().unwrap();
    save(&needle.path().join("val/c/n.png"), 20_000, 1, [0; 3], ImageFormat::Png);
    let set = Arc::new(read(needle.path(), Split::Test, IMAGENET).unwrap());
    let error = Loader::evaluate(&set, 1).unwrap().next().unwrap().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("20000 x 1"), "{error}");
}
