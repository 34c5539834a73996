//! Every reader, with each file of its corpus and with mutations of them: no panic, no hang, and no
//! memory beyond what the file's size justifies.
//!
//! `SMOOTHOUT_MUTATIONS` sets how many mutations each reader gets. The long form is fuzzing: see
//! `tests/fuzz`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use smoothout_tests::hostile::{READERS, Reader, seeds};

/// What a reader may hold at once: so much, whatever the file...
const BASE: u64 = 8 << 20;
/// ... and so many bytes for each byte of the file: deflate packs at most 1032 into one, which
/// reading doubles twice, once for room to grow and once for the pixels.
const RATIO: u64 = 4 * 1032;
/// A PNG's bits become samples of a byte.
const IMAGE_RATIO: u64 = 8 * RATIO;
/// A hang, and not a slow machine: the slowest takes milliseconds.
const LONGEST: Duration = Duration::from_secs(60);

/// Feeds a reader, and holds it to its promises. Whether it accepted.
fn feed((name, read): Reader, bytes: &[u8]) -> bool {
    let start = Instant::now();
    let mut accepted = false;
    let held = measure(|| accepted = read(bytes)).bytes_max;
    let took = start.elapsed();
    let ratio = if name == "image" { IMAGE_RATIO } else { RATIO };
    let most = BASE + ratio * bytes.len() as u64;
    assert!(held <= most, "{name} held {held} bytes for a file of {}", bytes.len());
    assert!(took < LONGEST, "{name} took {took:?} for a file of {} bytes", bytes.len());
    accepted
}

/// The files of a reader's corpus.
fn corpus(reader: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(reader);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A change of a file.
#[derive(Debug, Clone)]
enum Mutation {
    /// Another byte.
    Byte(Index, u8),
    /// The end is missing.
    Cut(Index),
    /// A piece is there twice, or instead of another.
    Splice { from: Index, to: Index, len: usize, insert: bool },
    /// Another number in text.
    Digits(Index, &'static str),
    /// Another number in binary.
    Word(Index, u64, bool),
}

const NUMBERS: [&str; 8] =
    ["0", "-1", "1.5", "1e308", "5e-324", "4294967296", "1099511627776", "18446744073709551615"];

fn mutation() -> impl Strategy<Value = Mutation> {
    let words = prop::sample::select(vec![0, 1, 1 << 31, 1 << 40, u64::MAX / 2, u64::MAX]);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        any::<Index>().prop_map(Mutation::Cut),
        (any::<Index>(), any::<Index>(), 1_usize..64, any::<bool>())
            .prop_map(|(from, to, len, insert)| Mutation::Splice { from, to, len, insert }),
        (any::<Index>(), prop::sample::select(&NUMBERS[..]))
            .prop_map(|(at, number)| Mutation::Digits(at, number)),
        (any::<Index>(), words, any::<bool>())
            .prop_map(|(at, word, big)| Mutation::Word(at, word, big)),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Self::Byte(at, byte) => bytes[at.index(len)] = *byte,
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Splice { from, to, len: piece, insert } => {
                let from = from.index(len);
                let piece = bytes[from..(from + piece).min(len)].to_vec();
                let to = to.index(len);
                let end = if *insert { to } else { (to + piece.len()).min(len) };
                bytes.splice(to..end, piece);
            }
            Self::Digits(at, number) => {
                let is_start = |&i: &usize| {
                    bytes[i].is_ascii_digit() && (i == 0 || !bytes[i - 1].is_ascii_digit())
                };
                let starts: Vec<usize> = (0..len).filter(is_start).collect();
                if !starts.is_empty() {
                    let start = starts[at.index(starts.len())];
                    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit());
                    let end = start + digits.count();
                    bytes.splice(start..end, number.bytes());
                }
            }
            Self::Word(at, word, big) => {
                let word = if *big { word.to_be_bytes() } else { word.to_le_bytes() };
                let at = at.index(len);
                let end = (at + 8).min(len);
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
        }
    }
}

/// What fuzzing begins with is in the corpus; and readers that refused everything would prove
/// nothing.
#[test]
fn sound_files_are_accepted_and_others_refused() {
    for (name, file, bytes) in seeds() {
        assert!(corpus(name).contains(&bytes), "{name}/{file}: run the example hostile_seeds");
        let reader = READERS.into_iter().find(|reader| reader.0 == name).expect("a reader");
        assert_eq!(feed(reader, &bytes), !file.starts_with("refused"), "{name}/{file}");
    }
}

#[test]
fn no_file_of_the_corpus_does_harm() {
    for reader in READERS {
        for bytes in corpus(reader.0) {
            feed(reader, &bytes);
        }
    }
}

#[test]
fn no_mutation_does_harm() {
    let cases = std::env::var("SMOOTHOUT_MUTATIONS").map_or(200, |n| n.parse().expect("a number"));
    for reader in READERS {
        let corpus = corpus(reader.0);
        let mutated =
            (any::<Index>(), vec(mutation(), 1..6)).prop_map(move |(which, mutations)| {
                let mut bytes = which.get(&corpus).clone();
                mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
                bytes
            });
        // What fails is printed whole, and belongs into the corpus.
        let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
        let mut runner = TestRunner::new(config);
        let found = runner.run(&mutated, |bytes| {
            feed(reader, &bytes);
            Ok(())
        });
        found.unwrap_or_else(|failure| panic!("{}: {failure}", reader.0));
    }
}
