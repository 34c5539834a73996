//! Data sets: IDX, CIFAR's binaries, CIFAR's archive, images of a folder.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ExtendedColorType, ImageFormat};
use smoothout::data::{DataSet, DataSetName, Images, Split, cifar as format, folder, idx as array};

use super::{in_folder, refused};

/// An IDX file of images or labels, raw or gzipped.
pub fn idx(bytes: &[u8]) -> bool {
    [1, 3].into_iter().any(|extents| match array::decode("file".as_ref(), bytes, extents) {
        Err(error) => refused(&error),
        Ok(found) => {
            assert_eq!(found.shape.len(), extents);
            assert_eq!(found.values.len(), found.shape.iter().product::<usize>());
            let header = [0, 0, 8, extents as u8].into_iter();
            let sizes = found.shape.iter().flat_map(|&size| (size as u32).to_be_bytes());
            let written: Vec<u8> = header.chain(sizes).chain(found.values.clone()).collect();
            let again = array::decode("file".as_ref(), &written, extents);
            assert_eq!(again.expect("what was read"), found);
            true
        }
    })
}

/// A binary of CIFAR-10 or CIFAR-100.
pub fn cifar(bytes: &[u8]) -> bool {
    [DataSetName::Cifar10, DataSetName::Cifar100].into_iter().any(|name| {
        match format::decode(name, Split::Test, "file".as_ref(), bytes) {
            Err(error) => refused(&error),
            Ok(set) => whole(&set),
        }
    })
}

/// CIFAR-10's archive: the bytes are a tar.gz, or a tar to pack (else a mutation would seldom get
/// past gzip's checksum). Nothing of it may be written anywhere.
pub fn archive(bytes: &[u8]) -> bool {
    let packed = match bytes {
        [0x1f, 0x8b, ..] => bytes.to_vec(),
        _ => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).expect("writing to memory");
            encoder.finish().expect("writing to memory")
        }
    };
    in_folder("cifar10/cifar-10-binary.tar.gz", &packed, |folder| {
        let accepted = [Split::Train, Split::Test].map(|split| {
            match DataSet::load(DataSetName::Cifar10, Some(folder), split) {
                Err(error) => refused(&error),
                Ok(set) => whole(&set),
            }
        });
        let files = folder.join("cifar10").read_dir().expect("the folder").count();
        assert_eq!(files, 1, "an archive is read, not unpacked");
        accepted.contains(&true)
    })
}

/// An image of a folder: JPEG, PNG or BMP.
pub fn image(bytes: &[u8]) -> bool {
    const SIDE: usize = 8;
    let decode = |bytes: &[u8]| folder::decode("file".as_ref(), bytes, SIDE);
    let image = match decode(bytes) {
        Err(error) => return refused(&error),
        Ok(image) => image,
    };
    assert_eq!(image.height.min(image.width), SIDE);
    assert_eq!(image.pixels.len(), image.height * image.width * 3);
    let mut written = Cursor::new(Vec::new());
    let (width, height) = (image.width as u32, image.height as u32);
    let (colours, format) = (ExtendedColorType::Rgb8, ImageFormat::Png);
    image::write_buffer_with_format(&mut written, &image.pixels, width, height, colours, format)
        .expect("writing to memory");
    assert_eq!(decode(written.get_ref()).expect("what was read"), image);
    true
}

/// As many images as labels, each label a class.
fn whole(set: &DataSet) -> bool {
    let Images::Memory(pixels) = &set.images else { panic!("in memory") };
    assert!(!set.is_empty());
    assert_eq!(pixels.len(), set.len() * set.image_len());
    assert!(set.labels.iter().all(|&label| usize::from(label) < set.classes));
    true
}
