//! Downloads from a server on loopback: whole, interrupted, wrong, redirected, hostile.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use smoothout::data::{DataError, DataSet, DataSetName, Event, Fetch, Split, verify};

/// What the server does with a request.
#[derive(Clone)]
enum Answer {
    /// The whole content, or the range that was asked for.
    Whole(Vec<u8>),
    /// As `Whole`, but the connection breaks after so many bytes.
    Cut(Vec<u8>, usize),
    /// The whole content, whatever range was asked for.
    NoRange(Vec<u8>),
    /// To another address.
    Redirect(String),
    /// The connection breaks before an answer.
    Silence,
}

/// A server that gives its answers in turn, the last one for ever.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answers: &[(&str, Vec<Answer>)]) -> Self {
        let mut answers: HashMap<String, Vec<Answer>> =
            answers.iter().map(|(path, answers)| ((*path).to_owned(), answers.clone())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&mut stream) else { continue };
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(request.clone());
                let answer = match answers.get_mut(&path) {
                    Some(list) if list.len() > 1 => Some(list.remove(0)),
                    Some(list) => list.first().cloned(),
                    None => None,
                };
                // A client that hangs up early is part of the test.
                let _ = respond(&mut stream, &request, answer);
            }
        });
        Self { url, requests }
    }

    fn ranges(&self) -> Vec<Option<String>> {
        let range = |request: &String| {
            let line = request.lines().find(|line| line.to_lowercase().starts_with("range:"));
            line.map(|line| line[6..].trim().to_owned())
        };
        self.requests.lock().unwrap().iter().map(range).collect()
    }
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    String::from_utf8(request).ok()
}

fn respond(stream: &mut TcpStream, request: &str, answer: Option<Answer>) -> std::io::Result<()> {
    let (content, sent, ranged) = match answer {
        None => return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        Some(Answer::Silence) => return Ok(()),
        Some(Answer::Redirect(to)) => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Some(Answer::Whole(content)) => (content, usize::MAX, true),
        Some(Answer::Cut(content, after)) => (content, after, true),
        Some(Answer::NoRange(content)) => (content, usize::MAX, false),
    };
    let from = request
        .to_lowercase()
        .split_once("range: bytes=")
        .and_then(|(_, rest)| rest.split_once('-')?.0.parse::<usize>().ok())
        .filter(|_| ranged);
    let len = content.len();
    let body = match from {
        Some(from) if from >= len => {
            return write!(
                stream,
                "HTTP/1.1 416 No\r\nContent-Range: bytes */{len}\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Some(from) => {
            let body = &content[from..];
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{len}\r\n",
                len - 1
            )?;
            body
        }
        None => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            &content[..]
        }
    };
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body[..sent.min(body.len())])
}

fn md5_of(content: &[u8]) -> String {
    Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A CIFAR-100 archive in the official shape: 20 + 10 records of random pixels.
fn cifar100() -> Vec<u8> {
    let mut state = 1_u64;
    let mut file = |records: usize| {
        let mut content = vec![0; records * 3074];
        for byte in &mut content {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        for (i, record) in content.chunks_exact_mut(3074).enumerate() {
            (record[0], record[1]) = (7, i as u8);
        }
        content
    };
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let entries = [
        ("cifar-100-binary/train.bin", file(20)),
        ("cifar-100-binary/readme.txt", b"hello".to_vec()),
        ("cifar-100-binary/test.bin", file(10)),
    ];
    for (path, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, &content[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

const ARCHIVE: &str = "cifar-100-binary.tar.gz";

fn fetch(server: &Server, content: &[u8], folder: &Path) -> Result<(), DataError> {
    let fetch = Fetch {
        name: DataSetName::Cifar100,
        url: Some(format!("{}/x.tar.gz", server.url)),
        data_dir: Some(folder.to_owned()),
        md5: Some(md5_of(content)),
    };
    fetch.run(&mut |_| {}).map(|place| assert_eq!(place, folder))
}

/// The names in a folder, but for the lock.
fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap()).filter(|name| name != ".lock");
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

fn assert_fetched(folder: &Path) {
    let set = |split| DataSet::load(DataSetName::Cifar100, Some(folder), split).unwrap();
    assert!(set(Split::Train).labels.iter().copied().eq(0..20));
    assert_eq!(set(Split::Test).len(), 10);
    assert_eq!(left(&folder.join("cifar-100-binary")), ["test.bin", "train.bin"]);
    assert!(folder.join(ARCHIVE).exists());
    assert!(!folder.join(format!("{ARCHIVE}.part")).exists());
}

#[test]
fn a_whole_download_is_unpacked_and_not_repeated() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive.clone())])]);
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());
    fetch(&server, &archive, folder.path()).unwrap();
    assert_eq!(server.ranges(), [None]);
    // A file that has gone bad is kept aside and fetched anew.
    fs::write(folder.path().join(ARCHIVE), "bad").unwrap();
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());
    assert_eq!(fs::read(folder.path().join(format!("{ARCHIVE}.bad"))).unwrap(), b"bad");
}

#[test]
fn a_broken_connection_is_taken_up_again_in_the_same_run() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let answers = vec![
        Answer::Cut(archive.clone(), 20_000),
        Answer::Silence,
        Answer::Cut(archive.clone(), 10_000),
        Answer::Whole(archive.clone()),
    ];
    let server = Server::new(&[("/x.tar.gz", answers)]);
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());
    let ranges = server.ranges();
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[3].as_deref(), Some("bytes=30000-"));
}

#[test]
fn an_interrupted_run_leaves_its_part_and_the_next_goes_on() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let broken = vec![Answer::Cut(archive.clone(), 12_345), Answer::Silence];
    let server = Server::new(&[("/x.tar.gz", broken)]);
    let error = fetch(&server, &archive, folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Download { .. }) && !error.is_bad_input(), "{error}");
    let part = folder.path().join(format!("{ARCHIVE}.part"));
    assert_eq!(fs::read(&part).unwrap(), archive[..12_345]);
    assert!(!folder.path().join(ARCHIVE).exists());

    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive.clone())])]);
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());
    assert_eq!(server.ranges(), [Some("bytes=12345-".to_owned())]);
}

/// A server without ranges starts again; a part that is whole already needs no byte more; a part
/// that is too long is thrown away.
#[test]
fn parts_meet_every_kind_of_server() {
    let archive = cifar100();
    let whole = Answer::Whole(archive.clone());
    let long = [&archive[..], &[0; 9]].concat();
    for (part, answers) in [
        (archive[..999].to_vec(), vec![Answer::NoRange(archive.clone())]),
        (archive.clone(), vec![whole.clone()]),
        (long, vec![whole]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(format!("{ARCHIVE}.part")), part).unwrap();
        let server = Server::new(&[("/x.tar.gz", answers)]);
        fetch(&server, &archive, folder.path()).unwrap();
        assert_fetched(folder.path());
    }
}

#[test]
fn a_wrong_checksum_is_refused_and_the_file_kept_aside() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let mut wrong = archive.clone();
    wrong[500] ^= 1;
    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(wrong.clone())])]);
    let error = fetch(&server, &archive, folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Checksum { .. }) && error.is_bad_input());
    let (text, bad) = (error.to_string(), folder.path().join(format!("{ARCHIVE}.bad")));
    for said in [md5_of(&wrong), md5_of(&archive), bad.display().to_string()] {
        assert!(text.contains(&said), "{text}");
    }
    assert_eq!(left(folder.path()), [format!("{ARCHIVE}.bad")]);
    assert_eq!(fs::read(bad).unwrap(), wrong);
}

/// The rest of a part may come from a mirror that packs differently: then it all comes anew, once.
#[test]
fn a_part_of_another_mirror_is_begun_again() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join(format!("{ARCHIVE}.part")), [7; 1000]).unwrap();
    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive.clone())])]);
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());
    assert_eq!(server.ranges(), [Some("bytes=1000-".to_owned()), None]);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(format!("{ARCHIVE}.part")), [7; 1000]).unwrap();
    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive)])]);
    let error = fetch(&server, b"another", folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Checksum { .. }), "{error}");
    assert_eq!(server.ranges().len(), 2);
}

/// The reader takes files of the data folder before those of the archive: what is damaged makes
/// room for what is fetched, what is right stays.
#[test]
fn damaged_files_are_set_aside() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive.clone())])]);
    fetch(&server, &archive, folder.path()).unwrap();
    let unpacked = folder.path().join("cifar-100-binary");
    for name in ["train.bin", "test.bin"] {
        fs::copy(unpacked.join(name), folder.path().join(name)).unwrap();
    }
    fs::write(unpacked.join("test.bin"), "cut").unwrap();
    let mut wrong = fs::read(folder.path().join("train.bin")).unwrap();
    wrong[1] = 100;
    fs::write(folder.path().join("train.bin"), &wrong).unwrap();
    DataSet::load(DataSetName::Cifar100, Some(folder.path()), Split::Train).unwrap_err();
    fetch(&server, &archive, folder.path()).unwrap();
    let set = DataSet::load(DataSetName::Cifar100, Some(folder.path()), Split::Train).unwrap();
    assert!(set.labels.iter().copied().eq(0..20));
    assert_eq!(left(folder.path())[2..], ["test.bin", "train.bin.bad"]);
    assert_eq!(left(&unpacked), ["test.bin", "test.bin.bad", "train.bin"]);
    assert_eq!(fs::read(folder.path().join("train.bin.bad")).unwrap(), wrong);
}

#[test]
fn two_fetches_do_not_share_a_folder() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive.clone())])]);
    let first = fs::File::create(folder.path().join(".lock")).unwrap();
    first.lock().unwrap();
    let error = fetch(&server, &archive, folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Locked { .. }) && error.is_bad_input(), "{error}");
    assert!(error.to_string().contains("wait until it has ended"), "{error}");
    assert!(left(folder.path()).is_empty() && server.ranges().is_empty());
    drop(first);
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());
}

#[test]
fn redirects_are_followed_within_their_scheme() {
    let (archive, folder) = (cifar100(), tempfile::tempdir().unwrap());
    let server = Server::new(&[
        ("/x.tar.gz", vec![Answer::Redirect("/there.tar.gz".into())]),
        ("/there.tar.gz", vec![Answer::Whole(archive.clone())]),
    ]);
    fetch(&server, &archive, folder.path()).unwrap();
    assert_fetched(folder.path());

    for (to, said) in [
        ("https://127.0.0.1:1/x", "another scheme"),
        ("ftp://127.0.0.1/x", "another scheme"),
        ("file:///etc/passwd", "another scheme"),
        ("/x.tar.gz", "more than 5 redirects"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::new(&[("/x.tar.gz", vec![Answer::Redirect(to.into())])]);
        let text = fetch(&server, &archive, folder.path()).unwrap_err().to_string();
        assert!(text.contains(said), "{text}");
        assert!(left(folder.path()).is_empty());
    }
}

#[test]
fn a_missing_file_is_named() {
    let (server, folder) = (Server::new(&[]), tempfile::tempdir().unwrap());
    let text = fetch(&server, b"", folder.path()).unwrap_err().to_string();
    assert!(text.contains("/x.tar.gz") && text.contains("404"), "{text}");
}

/// The checksum is right and the archive hostile: nothing is written outside or inside.
#[test]
fn an_archive_that_reaches_outside_writes_nothing() {
    for (path, kind) in [
        ("cifar-100-binary/../../../train.bin", tar::EntryType::Regular),
        ("/tmp/train.bin", tar::EntryType::Regular),
        ("cifar-100-binary/train.bin", tar::EntryType::Symlink),
    ] {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(3074);
        header.set_cksum();
        builder.append(&header, &[0; 3074][..]).unwrap();
        let archive = builder.into_inner().unwrap().finish().unwrap();
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("data/cifar100");
        let server = Server::new(&[("/x.tar.gz", vec![Answer::Whole(archive.clone())])]);
        let error = fetch(&server, &archive, &folder).unwrap_err();
        assert!(matches!(error, DataError::UnsafeArchive { .. }), "{error}");
        assert!(!folder.join("cifar-100-binary").exists());
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
        assert_eq!(left(&folder), [ARCHIVE]);
    }
}

/// The folder of MNIST as shipped, and the names of its files without `.gz`.
fn shipped() -> (PathBuf, [String; 4]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
    let names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];
    (folder, names.map(|name| format!("{name}-ubyte")))
}

/// The shipped files served as a mirror.
fn mnist_mirror() -> Server {
    let (shipped, names) = shipped();
    let answer = |name: &String| {
        let content = fs::read(shipped.join(format!("{name}.gz"))).unwrap();
        (format!("/m/{name}.gz"), vec![Answer::Whole(content)])
    };
    let answers: Vec<_> = names.iter().map(answer).collect();
    let borrowed: Vec<_> = answers.iter().map(|(path, list)| (&**path, list.clone())).collect();
    Server::new(&borrowed)
}

fn mnist(server: &Server, folder: &Path) -> Fetch {
    let mut fetch = Fetch::new(DataSetName::Mnist);
    fetch.url = Some(format!("{}/m", server.url));
    fetch.data_dir = Some(folder.to_owned());
    fetch
}

/// Raw files come before gzipped ones: those that are right need no download, a damaged one makes
/// room.
#[test]
fn raw_mnist_is_fetched_where_it_is_damaged() {
    let ((shipped, names), folder) = (shipped(), tempfile::tempdir().unwrap());
    for name in &names {
        let packed = fs::File::open(shipped.join(format!("{name}.gz"))).unwrap();
        let mut raw = fs::File::create(folder.path().join(name)).unwrap();
        std::io::copy(&mut GzDecoder::new(packed), &mut raw).unwrap();
    }
    let server = mnist_mirror();
    let fetch = mnist(&server, folder.path());
    let mut notes = Vec::new();
    let mut note = |event: Event<'_>| notes.push(format!("{event:?}"));
    fetch.run(&mut note).unwrap();
    assert!(server.ranges().is_empty());
    assert!(notes.len() == 1 && notes[0].contains("nothing to fetch"), "{notes:?}");

    let cut = folder.path().join(&names[3]);
    fs::File::options().write(true).open(&cut).unwrap().set_len(5000).unwrap();
    DataSet::load(DataSetName::Mnist, Some(folder.path()), Split::Test).unwrap_err();
    fetch.run(&mut |_| {}).unwrap();
    assert_eq!(server.ranges().len(), 1);
    assert!(!cut.exists() && folder.path().join(format!("{}.bad", names[3])).exists());
    let set = DataSet::load(DataSetName::Mnist, Some(folder.path()), Split::Test).unwrap();
    assert_eq!(set.len(), 10_000);
    let findings = verify(DataSetName::Mnist, Some(folder.path())).unwrap();
    assert!(findings.iter().all(|finding| finding.outcome.is_ok()));
}

/// The shipped files from a mirror: checked by what they unpack to, then verified.
#[test]
fn mnist_comes_from_a_mirror_and_verifies() {
    let (server, folder) = (mnist_mirror(), tempfile::tempdir().unwrap());
    let fetch = mnist(&server, folder.path());
    let mut started = 0;
    fetch.run(&mut |event| started += usize::from(matches!(event, Event::Started { .. }))).unwrap();
    assert_eq!(started, 4);
    let findings = verify(DataSetName::Mnist, Some(folder.path())).unwrap();
    assert_eq!(findings.len(), 4);
    assert!(findings.iter().all(|finding| finding.outcome.is_ok()));

    let labels = folder.path().join("t10k-labels-idx1-ubyte.gz");
    let mut content = fs::read(&labels).unwrap();
    content.truncate(1000);
    fs::write(&labels, content).unwrap();
    let findings = verify(DataSetName::Mnist, Some(folder.path())).unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.outcome.is_err()).collect();
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].path, labels);
}

#[test]
fn the_shipped_mnist_verifies() {
    for finding in verify(DataSetName::Mnist, Some(&shipped().0)).unwrap() {
        assert!(finding.outcome.unwrap().contains("as published"));
    }
}

#[test]
fn what_cannot_be_fetched_is_refused() {
    let refused = |change: fn(&mut Fetch)| {
        let mut fetch = Fetch::new(DataSetName::Cifar10);
        change(&mut fetch);
        matches!(fetch.run(&mut |_| {}), Err(DataError::Argument { .. }))
    };
    assert!(refused(|fetch| fetch.name = DataSetName::Folder));
    assert!(refused(|fetch| fetch.md5 = Some("abc".into())));
    assert!(refused(|fetch| {
        fetch.name = DataSetName::Mnist;
        fetch.md5 = Some("0".repeat(32));
    }));
}
