//! Reading the program's own files: JSON, of a length that fits in memory, and what can stand in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::builder::{StringValueParser, TypedValueParser};
use serde::de::DeserializeOwned;

/// The longest text that is read: some hundred times the longest that the program writes.
const LONGEST: u64 = 256 << 20;

/// Reads a path of the command line that is written to a JSON file later: it must be text.
pub(crate) fn utf8_path() -> impl TypedValueParser<Value = PathBuf> {
    StringValueParser::new().map(PathBuf::from)
}

/// Reads a number of the command line that is written to a JSON file later, which has no infinite one.
pub(crate) fn finite(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err("it must be finite".to_owned()),
        Err(_) => Err("it is not a number".to_owned()),
    }
}

/// The content of a file or pipe.
///
/// # Errors
/// Those of the file system, and for more than 256 MiB: a device may have no end.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        let problem = "found more than 256 MiB, expected a JSON file of at most that";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(bytes)
}

/// As [`read_bytes`], of a text.
///
/// # Errors
/// As there, and for bytes that are not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read_bytes(path)?).map_err(not_text)
}

/// A value from a JSON object; the problem with it names the field and the line.
pub(crate) fn parse_object<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // A structure can also be read from a list: its fields in the order of their declaration.
    if text.trim_start().starts_with('[') {
        return Err("found a list, expected an object such as {\"model\": \"f1\"}".to_owned());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}
