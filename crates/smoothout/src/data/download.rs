//! One file over HTTP, resumed where it stopped.
//!
//! What arrives goes to `<file>.part`. A lost connection is taken up again with a `Range` request,
//! in the same run while there is progress, and in the next run; a server that ignores the range
//! starts from the beginning. A redirect to another scheme is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::{DataError, bounded};

/// What a download tells about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file begins, or goes on at `from` bytes.
    Started {
        /// The file's name.
        file: &'a str,
        /// The bytes that are there already.
        from: u64,
        /// The whole file's bytes, if the server says so.
        total: Option<u64>,
    },
    /// This many bytes of the file are there.
    Received(u64),
    /// Something to tell the user.
    Note(&'a str),
}

const REDIRECTS: usize = 5;
/// Lost connections in a row that brought nothing.
const FRUITLESS: usize = 3;

/// Downloads `url` to `part`, going on where an earlier download stopped; whether the part is of
/// several answers, which may be of different files.
pub(super) fn download(
    url: &str,
    part: &Path,
    name: &str,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<bool, DataError> {
    let mut fruitless = 0;
    loop {
        let before = fs::metadata(part).map_or(0, |metadata| metadata.len());
        let lost = match attempt(url, part, before, name, report)? {
            Outcome::Complete { from } => return Ok(from > 0),
            Outcome::Lost(reason) => reason,
        };
        let now = fs::metadata(part).map_or(0, |metadata| metadata.len());
        fruitless = if now > before { 0 } else { fruitless + 1 };
        if fruitless == FRUITLESS {
            return Err(DataError::Download { url: url.into(), reason: lost });
        }
        report(Event::Note(&format!("{lost}; going on at {now} bytes")));
    }
}

enum Outcome {
    /// The last answer began at this byte.
    Complete {
        from: u64,
    },
    Lost(String),
}

/// One request, from `have` bytes on.
fn attempt(
    url: &str,
    part: &Path,
    have: u64,
    name: &str,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, DataError> {
    let failed = |reason: String| DataError::Download { url: url.into(), reason };
    let response = match request(url, have)? {
        Ok(response) => response,
        Err(reason) => return Ok(Outcome::Lost(reason)),
    };
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let (from, total) = match response.status() {
        StatusCode::OK => (0, length),
        StatusCode::PARTIAL_CONTENT => match header(header::CONTENT_RANGE).and_then(range) {
            Some((start, total)) if start == have => {
                (have, total.or(length.map(|length| have + length)))
            }
            _ => return Err(failed("the server answered with a range not asked for".into())),
        },
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // Nothing is left to send, or the part is of another file: the checksum will tell.
            let total = header(header::CONTENT_RANGE)
                .and_then(|range| range.strip_prefix("bytes */")?.parse::<u64>().ok());
            if total == Some(have) {
                return Ok(Outcome::Complete { from: have });
            }
            fs::remove_file(part).map_err(DataError::io("remove", part))?;
            return Ok(Outcome::Lost("the server refused to resume".into()));
        }
        status => return Err(failed(format!("the server answered {status}"))),
    };
    report(Event::Started { file: name, from, total });
    let file = OpenOptions::new().create(true).append(true).open(part);
    let mut file = file.map_err(DataError::io("write", part))?;
    if from == 0 {
        file.set_len(0).map_err(DataError::io("write", part))?;
    }
    receive(response, &mut file, part, from, total, report)
}

/// Appends the body to the part.
fn receive(
    response: Response<Body>,
    file: &mut File,
    part: &Path,
    from: u64,
    total: Option<u64>,
    report: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, DataError> {
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 16];
    let mut have = from;
    loop {
        let len = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) => return Ok(Outcome::Lost(format!("the connection was lost ({error})"))),
        };
        file.write_all(&buffer[..len]).map_err(DataError::io("write", part))?;
        have += len as u64;
        report(Event::Received(have));
        if have > bounded::LONGEST {
            return Err(DataError::malformed(
                part,
                "an endless answer of the server",
                format!("at most {} bytes", bounded::LONGEST),
            ));
        }
    }
    if total.is_some_and(|total| have < total) {
        return Ok(Outcome::Lost("the connection was lost".into()));
    }
    file.sync_all().map_err(DataError::io("write", part))?;
    Ok(Outcome::Complete { from })
}

/// The answer to a request for the bytes from `have` on, redirects followed; a transport failure
/// is the inner error.
fn request(url: &str, have: u64) -> Result<Result<Response<Body>, String>, DataError> {
    let failed = |reason: String| DataError::Download { url: url.into(), reason };
    let mut address = url.to_owned();
    for _ in 0..=REDIRECTS {
        let request = agent(&address).get(&address).header("Accept-Encoding", "identity");
        let request = match have {
            0 => request,
            have => request.header("Range", format!("bytes={have}-")),
        };
        let response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::BadUri(reason)) => return Err(failed(reason)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if !response.status().is_redirection() {
            return Ok(Ok(response));
        }
        let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let next = location
            .and_then(|location| resolve(&address, location))
            .ok_or_else(|| failed("a redirect without a usable address".into()))?;
        if scheme(&next) != scheme(&address) {
            return Err(failed(format!("refused a redirect to another scheme ({next})")));
        }
        address = next;
    }
    Err(failed(format!("more than {REDIRECTS} redirects")))
}

/// An agent that leaves redirects and statuses to us; loopback needs no proxy.
fn agent(url: &str) -> Agent {
    let config = Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)));
    let host = url.split("://").nth(1).unwrap_or_default();
    let loopback = ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| host.starts_with(name));
    if loopback { config.proxy(None) } else { config }.build().into()
}

fn scheme(url: &str) -> String {
    url.split("://").next().unwrap_or_default().to_ascii_lowercase()
}

/// The address that `location` means, seen from `base`.
fn resolve(base: &str, location: &str) -> Option<String> {
    if location.contains("://") {
        return Some(location.into());
    }
    let authority = base.find("://")? + 3;
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{}{rest}", &base[..authority]));
    }
    let path = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    if location.starts_with('/') {
        return Some(format!("{}{location}", &base[..path]));
    }
    let folder = base[path..].rfind('/').map_or(base.len(), |at| path + at);
    Some(format!("{}/{location}", &base[..folder]))
}

/// `bytes 10-99/100` as (10, 100).
fn range(content_range: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base = "https://host:1/a/b.gz";
        for (location, address) in [
            ("http://x/y", "http://x/y"),
            ("/c.gz", "https://host:1/c.gz"),
            ("c.gz", "https://host:1/a/c.gz"),
            ("//other/c", "https://other/c"),
        ] {
            assert_eq!(resolve(base, location).unwrap(), address);
        }
        assert_eq!(resolve("http://host", "c").unwrap(), "http://host/c");
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(range("bytes 10-99/100"), Some((10, Some(100))));
        assert_eq!(range("bytes 10-99/*"), Some((10, None)));
        assert_eq!(range("10-99/100"), None);
    }
}
