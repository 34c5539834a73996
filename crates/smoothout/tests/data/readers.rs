//! Readers: the shipped MNIST, the formats by hand, and files that lie.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use smoothout::data::{DataError, DataSet, DataSetName, Images, Split, cifar, idx, mnist, verify};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist")
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `images` records of a label (below 10) and pixels that count up.
fn cifar10_file(images: usize) -> Vec<u8> {
    let record = |i: usize| {
        let pixels = (0..3072).map(move |p| (p * 7 + i) as u8);
        std::iter::once((i % 10) as u8).chain(pixels)
    };
    (0..images).flat_map(record).collect()
}

fn tar_gz(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn pixels(set: &DataSet) -> &[u8] {
    match &set.images {
        Images::Memory(pixels) => pixels,
        Images::Files { .. } => panic!("in memory"),
    }
}

fn refused(result: Result<DataSet, DataError>, said: &[&str]) {
    let error = result.expect_err("refused");
    assert!(error.is_bad_input());
    let text = error.to_string();
    assert!(said.iter().all(|said| text.contains(said)), "{text}\nlacks one of {said:?}");
}

/// Counts of the published labels, and the mean of the pixels (0.1307, 0.3081).
#[test]
fn the_shipped_mnist_is_mnist() {
    let train = DataSet::load(DataSetName::Mnist, Some(&shipped()), Split::Train).unwrap();
    let test = DataSet::load(DataSetName::Mnist, Some(&shipped()), Split::Test).unwrap();
    assert_eq!((train.len(), test.len()), (60_000, 10_000));
    assert_eq!((train.height, train.width, train.channels), (28, 28, 1));
    let count = |set: &DataSet, class| set.labels.iter().filter(|&&l| l == class).count();
    assert_eq!((count(&train, 0), count(&train, 1), count(&test, 9)), (5923, 6742, 1009));
    let n = pixels(&train).len() as f64;
    let sum =
        |power| pixels(&train).iter().map(|&p| (f64::from(p) / 255.0).powi(power)).sum::<f64>() / n;
    let (mean, second) = (sum(1), sum(2));
    assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
    assert!(((second - mean * mean).sqrt() - 0.3081).abs() < 5e-5);
}

/// Mean and standard deviation of each channel, and the checksums, as published.
#[test]
fn cifar10_has_its_published_statistics() {
    let folder = std::env::var_os("SMOOTHOUT_CIFAR10_DIR").map(PathBuf::from);
    let set = match DataSet::load(DataSetName::Cifar10, folder.as_deref(), Split::Train) {
        Err(error @ DataError::NotFound { .. }) => {
            eprintln!("SKIPPED, no CIFAR-10 (set SMOOTHOUT_CIFAR10_DIR): {error}");
            return;
        }
        set => set.unwrap(),
    };
    assert_eq!(set.len(), 50_000);
    for finding in verify(DataSetName::Cifar10, folder.as_deref()).unwrap() {
        assert!(finding.outcome.unwrap().contains("as published"));
    }
    let published = [(0.49140, 0.24703), (0.48216, 0.24349), (0.44653, 0.26159)];
    for (c, (mean, std)) in published.into_iter().enumerate() {
        let channel = pixels(&set).iter().skip(c).step_by(3).map(|&p| f64::from(p) / 255.0);
        let (sum, squares) = channel.fold((0.0, 0.0), |(s, q), p| (s + p, q + p * p));
        let n = 50_000.0 * 1024.0;
        let found = (sum / n, (squares / n - (sum / n).powi(2)).sqrt());
        assert!((found.0 - mean).abs() < 6e-6 && (found.1 - std).abs() < 6e-6, "{found:?}");
    }
}

#[test]
fn planes_become_channels_last() {
    let mut content = cifar10_file(3);
    let set = cifar::decode(DataSetName::Cifar10, Split::Test, "x".as_ref(), &content).unwrap();
    assert_eq!(set.labels, [0, 1, 2]);
    for (image, pixels) in pixels(&set).chunks_exact(3072).enumerate() {
        for (i, &pixel) in pixels.iter().enumerate() {
            let (place, channel) = (i / 3, i % 3);
            assert_eq!(pixel, content[image * 3073 + 1 + channel * 1024 + place]);
        }
    }
    content[3073] = 10;
    let set = cifar::decode(DataSetName::Cifar10, Split::Test, "x.bin".as_ref(), &content);
    refused(set, &["x.bin", "record 1", "is 10", "below 10"]);
}

#[test]
fn cifar100_uses_the_fine_label() {
    let mut content = vec![0; 2 * 3074];
    content[..2].copy_from_slice(&[19, 99]);
    content[3074..3076].copy_from_slice(&[0, 42]);
    let set = cifar::decode(DataSetName::Cifar100, Split::Test, "x".as_ref(), &content).unwrap();
    assert_eq!((set.labels, set.classes), (vec![99, 42], 100));
}

/// A folder of files, the official subfolder, and the archive as it is give the same set.
#[test]
fn cifar10_is_read_from_files_subfolder_and_archive() {
    let files: Vec<_> = (1..=5).map(|i| (format!("data_batch_{i}.bin"), cifar10_file(i))).collect();
    let test = cifar10_file(7);
    let [flat, sub, packed] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let subfolder = sub.path().join("cifar-10-batches-bin");
    fs::create_dir(&subfolder).unwrap();
    let mut entries = vec![("cifar-10-batches-bin/test_batch.bin".to_owned(), test)];
    for (i, (name, _)) in files.iter().enumerate() {
        let mut content = cifar10_file(2);
        content[0] = i as u8;
        entries.push((format!("cifar-10-batches-bin/{name}"), content));
    }
    for (path, content) in &entries {
        let name = Path::new(path).file_name().unwrap();
        fs::write(flat.path().join(name), content).unwrap();
        fs::write(subfolder.join(name), content).unwrap();
    }
    let borrowed: Vec<_> = entries.iter().map(|(path, content)| (&**path, &**content)).collect();
    let archive = tar_gz(&borrowed);
    fs::write(packed.path().join("cifar-10-binary.tar.gz"), &archive).unwrap();
    for split in [Split::Train, Split::Test] {
        let read = |dir: &tempfile::TempDir| {
            DataSet::load(DataSetName::Cifar10, Some(dir.path()), split).unwrap()
        };
        let set = read(&flat);
        assert_eq!(set.len(), if split == Split::Train { 10 } else { 7 });
        if split == Split::Train {
            assert_eq!(set.labels, [0, 1, 1, 1, 2, 1, 3, 1, 4, 1]);
        }
        assert_eq!(set, read(&sub));
        assert_eq!(set, read(&packed));
    }
    // One training file cut between two records.
    fs::write(flat.path().join("data_batch_3.bin"), cifar10_file(1)).unwrap();
    let set = DataSet::load(DataSetName::Cifar10, Some(flat.path()), Split::Train);
    refused(set, &["data_batch_3.bin", "3073 bytes", "6146 bytes"]);
    fs::remove_file(flat.path().join("data_batch_3.bin")).unwrap();
    let set = DataSet::load(DataSetName::Cifar10, Some(flat.path()), Split::Train);
    refused(set, &["data_batch_3.bin"]);
    // The archive cut at any of many places, or with bytes behind its end.
    let file = packed.path().join("cifar-10-binary.tar.gz");
    for len in (0..archive.len()).step_by(archive.len() / 40) {
        fs::write(&file, &archive[..len]).unwrap();
        let set = DataSet::load(DataSetName::Cifar10, Some(packed.path()), Split::Train);
        refused(set, &["cifar-10-binary.tar.gz"]);
    }
    fs::write(&file, [&archive[..], b"more"].concat()).unwrap();
    let set = DataSet::load(DataSetName::Cifar10, Some(packed.path()), Split::Train);
    refused(set, &["cifar-10-binary.tar.gz"]);
}

#[test]
fn an_archive_that_reaches_outside_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cifar-10-binary.tar.gz");
    let archive_of = |name: &[u8], kind: tar::EntryType| {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_cksum();
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        builder.append(&header, &[][..]).unwrap();
        builder.into_inner().unwrap().finish().unwrap()
    };
    for (name, kind, reason) in [
        ("../../etc/data_batch_1.bin", tar::EntryType::Regular, "out of the folder"),
        ("/tmp/data_batch_1.bin", tar::EntryType::Regular, "out of the folder"),
        ("a/data_batch_1.bin", tar::EntryType::Symlink, "link"),
        ("a/data_batch_1.bin", tar::EntryType::Link, "link"),
        ("a/data_batch_1.bin", tar::EntryType::Char, "no ordinary file"),
    ] {
        fs::write(&file, archive_of(name.as_bytes(), kind)).unwrap();
        let set = DataSet::load(DataSetName::Cifar10, Some(dir.path()), Split::Train);
        refused(set, &["cifar-10-binary.tar.gz", name, reason]);
    }
}

/// Entries that claim 2^40 bytes and more, wanted or not, in an archive of a few hundred.
#[test]
fn an_archive_that_claims_too_much_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cifar-10-binary.tar.gz");
    for name in ["a/data_batch_1.bin", "a/other.bin"] {
        for size in [1 << 40, u64::MAX / 2, u64::MAX - 511, u64::MAX] {
            let mut header = tar::Header::new_ustar();
            header.set_path(name).unwrap();
            header.set_size(size);
            header.set_cksum();
            let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
            builder.append(&header, &[7; 100][..]).unwrap();
            fs::write(&file, builder.into_inner().unwrap().finish().unwrap()).unwrap();
            let set = DataSet::load(DataSetName::Cifar10, Some(dir.path()), Split::Train);
            refused(set, &["cifar-10-binary.tar.gz"]);
        }
    }
}

/// IDX headers whose claims the file cannot hold, raw and gzipped.
#[test]
fn claims_that_the_file_cannot_hold_are_refused() {
    let header = |magic: [u8; 4], sizes: &[u32]| {
        let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
        magic.into_iter().chain(sizes).collect::<Vec<_>>()
    };
    let images = [0, 0, 8, 3];
    let cases = [
        (header(images, &[u32::MAX, u32::MAX, u32::MAX]), "claims"),
        (header(images, &[1 << 20, 1 << 10, 1 << 10]), "claims"),
        (header(images, &[60_000, 28, 28]), "bytes"),
        (header(images, &[0, 28, 28]), "extents"),
        (header([0, 0, 8, 1], &[3, 1, 1]), "magic"),
        (header([0, 0, 9, 3], &[1, 1, 1]), "magic"),
        (header(images, &[1, 1]), "header of 12 bytes"),
        ([header(images, &[1, 2, 2]), vec![0; 5]].concat(), "bytes"),
        ([header(images, &[1, 2, 2]), vec![0; 3]].concat(), "bytes"),
        (Vec::new(), "header of 0 bytes"),
    ];
    for (content, said) in cases {
        for content in [content.clone(), zipped(&content)] {
            let error = idx::decode("train-images".as_ref(), &content, 3).unwrap_err().to_string();
            assert!(error.contains("train-images") && error.contains(said), "{error}");
        }
    }
}

/// 100 MB of zeros in 100 kB, behind a header that claims 4 bytes: stops after 4 + 1.
#[test]
fn a_gzip_bomb_is_cut_off() {
    let mut content = vec![0, 0, 8, 1, 0, 0, 0, 4];
    content.resize(100_000_000, 0);
    let bomb = zipped(&content);
    let error = idx::decode("bomb".as_ref(), &bomb, 1).unwrap_err().to_string();
    assert!(error.contains("more than the 12 bytes"), "{error}");
}

#[test]
fn mnist_files_must_agree() {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1][..], &[5, 6]].concat();
    let read = |labels: &[u8]| {
        let labels = [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8][..], labels].concat();
        mnist::decode(Split::Test, ("i".as_ref(), &images), ("l".as_ref(), &labels))
    };
    assert_eq!(read(&[3, 9]).unwrap().labels, [3, 9]);
    refused(read(&[3]), &["l: found 1 labels", "expected 2"]);
    refused(read(&[3, 10]), &["record 1", "is 10"]);
}

#[test]
fn what_is_missing_is_named_with_every_place_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    for name in DataSetName::ALL {
        let text = DataSet::load(name, Some(dir.path()), Split::Train).unwrap_err().to_string();
        let place = dir.path().join(name.as_str()).display().to_string();
        assert!(text.contains(&place) && text.contains("--data-dir"), "{text}");
        if name != DataSetName::Folder {
            assert!(text.contains(&format!("smoothout data fetch {name}")), "{text}");
        }
    }
    fs::create_dir(dir.path().join("mnist")).unwrap();
    let labels = dir.path().join("mnist/train-labels-idx1-ubyte");
    fs::write(labels, [0, 0, 8, 1, 0, 0, 0, 1, 7]).unwrap();
    let set = DataSet::load(DataSetName::Mnist, Some(dir.path()), Split::Train);
    let fetch =
        format!("smoothout data fetch mnist --data-dir {}", dir.path().join("mnist").display());
    refused(set, &["train-images-idx3-ubyte.gz: the file is missing", "expected", &fetch]);
    let findings = verify(DataSetName::Mnist, Some(dir.path())).unwrap();
    let missing = findings.iter().filter(|finding| {
        matches!(&finding.outcome, Err(error @ DataError::MissingFile { .. }) if error.is_bad_input())
    });
    assert_eq!(missing.count(), 3);
    // CIFAR's Python version, as an archive, a folder or its files.
    for (name, entry) in [
        (DataSetName::Cifar10, "cifar10/cifar-10-python.tar.gz"),
        (DataSetName::Cifar10, "cifar-10-batches-py/data_batch_1"),
        (DataSetName::Cifar10, "data_batch_1"),
        (DataSetName::Cifar100, "cifar-100-python/train"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(entry);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"\x80\x02}q\x01").unwrap();
        let set = DataSet::load(name, Some(dir.path()), Split::Train);
        refused(set, &["pickle", &format!("smoothout data fetch {name}"), "data/README.md"]);
    }
    // Half of CIFAR-10 beside a whole archive: the archive serves. Without one the file is named.
    let cifar = dir.path().join("cifar10");
    fs::create_dir(&cifar).unwrap();
    fs::write(cifar.join("data_batch_1.bin"), cifar10_file(1)).unwrap();
    let load = || DataSet::load(DataSetName::Cifar10, Some(dir.path()), Split::Train);
    refused(load(), &["data_batch_2.bin: the file is missing", "smoothout data fetch cifar10"]);
    let file = cifar10_file(2);
    let names = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"];
    let names = names.map(|name| format!("cifar-10-batches-bin/{name}.bin"));
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), &file[..])).collect();
    fs::write(cifar.join("cifar-10-binary.tar.gz"), tar_gz(&entries)).unwrap();
    assert_eq!(load().unwrap().len(), 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_never_panic(content in prop::collection::vec(any::<u8>(), 0..5000)) {
        for content in [content.clone(), [&[0x1f, 0x8b, 8, 0], &content[..]].concat()] {
            for extents in [1, 3] {
                let _ = idx::decode("x".as_ref(), &content, extents);
            }
            for name in [DataSetName::Cifar10, DataSetName::Cifar100, DataSetName::Mnist] {
                let _ = cifar::decode(name, Split::Train, "x".as_ref(), &content);
            }
        }
    }

    /// A valid file with a few bytes changed, cut or grown is read or refused, never a panic.
    #[test]
    fn mutated_files_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        zip in any::<bool>(),
        after in any::<bool>(),
    ) {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 5][..], &[9; 100]].concat();
        let mutate = |mut content: Vec<u8>| {
            for (place, byte) in &changes {
                let place = place.index(content.len());
                content[place] = *byte;
            }
            if changes.len() % 2 == 0 {
                content.truncate(cut.index(content.len()));
            }
            content
        };
        let content = match (zip, after) {
            (false, _) => mutate(images),
            (true, false) => zipped(&mutate(images)),
            (true, true) => mutate(zipped(&images)),
        };
        let _ = idx::decode("x".as_ref(), &content, 3);
        let _ = cifar::decode(DataSetName::Cifar10, Split::Train, "x".as_ref(), &mutate(cifar10_file(2)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn mutated_archives_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        inside in any::<bool>(),
    ) {
        let files = cifar10_file(1);
        let archive = tar_gz(&[("cifar-10-batches-bin/test_batch.bin", &files)]);
        let mut content = if inside {
            let mut tar = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*archive), &mut tar).unwrap();
            tar
        } else {
            archive
        };
        for (place, byte) in &changes {
            // The header is where a change matters.
            let place = place.index(if inside { 512 } else { content.len() });
            content[place] = *byte;
        }
        let dir = tempfile::tempdir().unwrap();
        let content = if inside { zipped(&content) } else { content };
        fs::write(dir.path().join("cifar-10-binary.tar.gz"), content).unwrap();
        let _ = DataSet::load(DataSetName::Cifar10, Some(dir.path()), Split::Test);
    }
}
