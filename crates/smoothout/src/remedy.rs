//! What to do about an answer of the file system.

use std::io::{Error, ErrorKind};

/// Advice for a person whose file could not be read or written.
pub(crate) fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "check the path",
        ErrorKind::PermissionDenied => "change its permissions, or name another",
        ErrorKind::IsADirectory => "name a file, not a folder",
        ErrorKind::NotADirectory => "a part of the path is a file: name another",
        ErrorKind::AlreadyExists => "a file of that name is in the way: name another",
        ErrorKind::ReadOnlyFilesystem => "name a place that can be written",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room and run it again",
        ErrorKind::FileTooLarge => "raise the limit on the size of files, and run it again",
        ErrorKind::InvalidInput => "name an ordinary file",
        ErrorKind::InvalidData => "name a text file",
        _ => "look after the disk and run it again",
    }
}
